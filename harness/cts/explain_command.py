"""`cts explain CASE`: what a case demands, where it stands, how it came out last, and how to run it again."""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import textwrap
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from cts import compare, compare_command, recorded, report, results, summary
from cts import requirements as spec
from cts.common import CannotRun, clip, printable
from cts.project import Project
from cts.recorded import Key, Side, Variant, elided
from cts.requirements import Requirement

_COMMANDS_MAX = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts explain`."""
    parser.add_argument("case", metavar="CASE", help="id of the case, Family.Rule; a glob explains each that matches")
    parser.add_argument(
        "--os",
        action="append",
        default=[],
        metavar="LABEL|DIR",
        help="show its trace on that system (as for `cts compare`); twice: the two beside each other",
    )
    parser.add_argument(
        "--report", type=Path, default=Path("report"), metavar="DIR", help="report to look in (default: ./report)"
    )


def _wrapped(label: str, text: str) -> List[str]:
    return textwrap.wrap(text, 110, initial_indent=f"  {label:<12}", subsequent_indent=" " * 14, break_long_words=False)


def requirement_lines(r: Requirement, cases: Dict[str, Tuple[str, int]]) -> List[str]:
    """What the spec says of a case."""
    lines = [f"{r.id}  ({r.level}, since version {r.since})", ""]
    lines += textwrap.wrap(r.text, 110, initial_indent="  ", subsequent_indent="  ")
    lines.append("")
    for role, tokens in r.needs.items():
        lines += _wrapped(role.capitalize(), " ".join([*tokens, *(["fresh"] if role in r.fresh else [])]) or "nothing")
    for axis, values in r.shapes.items():
        lines += _wrapped("Shapes", f"{axis} = {' | '.join(values)}")
    lines += _wrapped("Evidence", ", ".join(f"{system}: {kind}" for system, kind in r.evidence.items()))
    for name, row in r.outcomes.items():
        told = "; ".join(f"{system}: {', '.join(v) or 'not applicable'}" for system, v in row.items())
        lines += _wrapped("Outcome", f"{name}: {told}")
    lines += _wrapped("Source", r.source)
    if r.known_to_break:
        lines += _wrapped("Breaks", r.known_to_break)
    lines += _wrapped("Spec", f"{r.file}:{r.line}")
    place = cases.get(r.id)
    lines += _wrapped("Case", f"{place[0]}:{place[1]}" if place else "none yet")
    return lines


def result_lines(case: str, directory: Path, document: Optional[Dict[str, Any]], launcher: str) -> List[str]:
    """How the case came out in the last report; one line if there is no report."""
    if document is None:
        return [f"  No report in {directory}: `{launcher} run` makes one."]
    records = [r for r in document["results"] if r["case"] == case]
    if not records:
        return [f"  It is not among the results in {directory}."]
    lines = [f"  Results of {document['run']['started']} in {directory}:"]
    for record in records:
        shape = f" [{record['shape']}]" if record["shape"] else ""
        place = f"{summary.pairing_title(record.get('pairing', ''))}{shape}"
        lines.append("    " + printable(f"{record['outcome']:<17} {place}"))
        for text in (record["message"], record.get("expected", "")):
            if text and record["outcome"] != "passed":
                lines.append("    " + " " * 18 + clip(printable(text), 500))
    return lines


def rerun_lines(case: str, document: Optional[Dict[str, Any]], rerun: summary.Rerun) -> List[str]:
    """The command that runs the case again as the report's run did, and those for what did not come out well alone."""
    lines = [f"  Run it again:  {printable(rerun.case(case))}"]
    records = [r for r in document["results"] if r["case"] == case] if document else []
    bad = [r for r in records if results.gates(r) or summary.not_held(r)]
    single = list(dict.fromkeys(rerun.record(r) for r in bad))
    lines += [f"                 {printable(command)}" for command in single[:_COMMANDS_MAX] if command not in lines[0]]
    return lines


def trace_lines(case: str, sides: List[Side], comparer: Optional[compare.Comparer]) -> List[str]:
    """The case's trace on each side: a line stands once with ` ` before it if both have it, else with A or B."""
    lines: List[str] = [f"  {name}: {printable(side.title)}" for name, side in zip("AB", sides)]
    keys = sorted({key for side in sides for key in (*side.cases, *side.absent) if key[0] == case})
    if not keys:
        return [*lines, "  It is in neither." if len(sides) > 1 else "  It is not there."]
    for key in keys:
        for modes, variants in _variants(key, sides):
            lines.append(f"\n  {key[1] or 'no shape'}, {', '.join(modes)}")
            for name, side, variant in zip("AB", sides, variants):
                why = "" if variant else side.absent.get(key, {}).get(modes[0], "not there")
                if why or (variant and variant.outcome != "passed"):
                    lines.append(
                        f"    {name}: " + printable(why or f"{variant.outcome}: {variant.why}" if variant else why)
                    )
            for place in sorted({p for v in variants if v for p in v.lanes}):
                lines.append(f"    {place}")
                lanes = [elided(v.lanes.get(place, [])) if v else [] for v in variants]
                lines += [f"    {mark} {printable(text)}" for mark, text in _beside(lanes)]
    if comparer is not None:
        found = comparer.compare(lambda name: name == case)
        lines += ["", *(f"  {text}" for text in compare_command.summary(found))]
    return lines


def _variants(key: Key, sides: List[Side]) -> List[Tuple[List[str], List[Optional[Variant]]]]:
    """The modes that went the same way on each side, and how."""
    told: List[Tuple[List[str], List[Optional[Variant]]]] = []
    for mode in sorted({m for side in sides for m in side.modes}):
        variants = [side.variant(key, mode) for side in sides]
        same = next((modes for modes, others in told if all(a is b for a, b in zip(others, variants))), None)
        if same is not None:
            same.append(mode)
        elif any(variants):
            told.append(([mode], variants))
    return told


def _beside(lanes: List[List[str]]) -> List[Tuple[str, str]]:
    if len(lanes) == 1:
        return [(" ", text) for text in lanes[0]]
    told: List[Tuple[str, str]] = []
    matcher = difflib.SequenceMatcher(None, lanes[0], lanes[1], autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        told += [(" " if tag == "equal" else "A", text) for text in lanes[0][i:i_end]]
        if tag != "equal":
            told += [("B", text) for text in lanes[1][j:j_end]]
    return told


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Print each case that matches; raises CannotRun if none does."""
    requirements = project.requirements()
    wanted = [r for r in requirements.values() if fnmatch.fnmatchcase(r.id, options.case)]
    if not wanted:
        lower = options.case.lower()
        near = [r for r in requirements if lower in r.lower() or lower.split(".")[-1] in r.lower()][:5]
        hint = f"; did you mean {', '.join(near)}?" if near else "; ids are Family.Rule"
        raise CannotRun(f"no case is named {printable(options.case)!r}{hint}")
    try:
        cases = spec.cases(project.root)
    except spec.SpecError as error:
        raise CannotRun(str(error)) from error
    try:
        document = report.load(options.report)
    except CannotRun:
        document = None
    if len(options.os) > 2:
        raise CannotRun("--os is given at most twice")
    sides = [recorded.load(where, project.root, requirements) for where in options.os]
    known = compare.known_differences(project.root, *sides)
    comparer = compare.Comparer(sides[0], sides[1], requirements, known) if len(sides) == 2 else None
    rerun = summary.Rerun(project.root, document["run"] if document else {"peers": []})
    launcher = summary.launcher(project.root)
    for number, requirement in enumerate(wanted):
        if number:
            print()
        print("\n".join(requirement_lines(requirement, cases)))
        print()
        print("\n".join(result_lines(requirement.id, options.report, document, launcher)))
        print()
        print("\n".join(rerun_lines(requirement.id, document, rerun)))
        if sides:
            print()
            print("\n".join(trace_lines(requirement.id, sides, comparer)))
    return 0
