"""`cts compare A B`: the semantic differences between two traces."""

from __future__ import annotations

import argparse
import fnmatch
from collections import Counter
from pathlib import Path
from typing import List

from cts import compare, recorded
from cts.common import CannotRun, clip, plural, printable
from cts.project import Project

_LINE_MAX = 400
_LABELS = {"missing": "only A", "extra": "only B"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts compare`."""
    text = "report of a run, directory of a recorded trace, or its label (linux)"
    parser.add_argument("a", metavar="A", help=text)
    parser.add_argument("b", metavar="B", help="the same")
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases that match")
    parser.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME",
        help="implementation in a report of several; twice: one for A, one for B (default: ref)",
    )
    parser.add_argument("--all", action="store_true", help="show the allowed differences one by one, too")


def _place(difference: compare.Difference) -> str:
    case, shape = difference.key
    return f"{case}{f' [{shape}]' if shape else ''} ({', '.join(difference.modes)})"


def lines(difference: compare.Difference) -> List[str]:
    """A difference for people, below its case."""
    where = difference.place or difference.kind
    told = [f"  {where}" + (f": {_LABELS[difference.kind]}" if difference.kind in _LABELS else "")]
    for name, text in (("A", difference.a), ("B", difference.b)):
        if text or difference.kind == "case":
            told.append(f"    {name}: {clip(printable(text or 'not there'), _LINE_MAX)}")
    if difference.allowed:
        told.append(f"    allowed: {clip(printable(difference.allowed), _LINE_MAX)}")
    return told


def show(differences: List[compare.Difference]) -> List[str]:
    """Differences for people, by case."""
    told: List[str] = []
    before = ""
    for difference in differences:
        place = _place(difference)
        if place != before:
            told.append(place)
        before = place
        told += lines(difference)
    return told


def summary(found: compare.Comparison) -> List[str]:
    """How many differences are allowed, by reason, and how many are not: the last line holds the sum."""
    reasons = Counter(d.allowed for d in found.differences if d.allowed)
    told = [f"{n:6} allowed: {clip(printable(reason), 120)}" for reason, n in reasons.most_common()]
    cases = len({d.key[0] for d in found.refused})
    told.append(
        f"{plural(found.common, 'case')} compared: {plural(len(found.refused), 'difference')} in "
        f"{plural(cases, 'case')}, {sum(reasons.values())} allowed"
    )
    return told


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Print the differences; 0 if each of them is allowed, 1 if one is not; raises CannotRun if nothing compares."""
    if len(options.peer) > 2:
        raise CannotRun("--peer is given at most twice")
    requirements = project.requirements()
    peers = [*options.peer, *options.peer, "", ""][:2] if len(options.peer) < 2 else options.peer
    a, b = (recorded.load(w, project.root, requirements, p) for w, p in zip((options.a, options.b), peers))
    known = compare.known_differences(project.root, a, b)
    found = compare.Comparer(a, b, requirements, known).compare(
        lambda case: not options.case or any(fnmatch.fnmatchcase(case, g) for g in options.case)
    )
    for name, side in (("A", a), ("B", b)):
        print(printable(f"{name}: {side.title}{f', {side.kernel}' if side.kernel else ''}"))
    print()
    shown = found.differences if options.all else found.refused
    if shown:
        print("\n".join([*show(shown), ""]))
    unmatched = [] if options.case else found.unmatched
    for known in unmatched:
        print(printable(f"no trace differs as this record says: {known['case']}: {known['reason']}"))
    print("\n".join(summary(found)))
    return 1 if found.refused or unmatched else 0


def recorded_directory(root: Path, label: str) -> Path:
    """Where the reference's trace on a system is kept."""
    return root / "conformance/traces" / label
