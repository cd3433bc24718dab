"""`cts trace REPORT_DIR`: the canonical trace, a JSON line for each pairing, case and shape; or recorded."""

from __future__ import annotations

import argparse
import fnmatch
import json
from pathlib import Path
from typing import List, Optional

from cts import canonical, compare_command, recorded, report, trace
from cts.common import CannotRun, plural, printable
from cts.peers import REFERENCE
from cts.project import Project
from cts.requirements import Requirement


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts trace`."""
    parser.add_argument("report", type=Path, metavar="REPORT_DIR", help="report of a run, or its trace.jsonl")
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases that match")
    parser.add_argument(
        "--record",
        action="store_true",
        help="write the reference's trace to conformance/traces/LABEL, in place of what is there",
    )
    parser.add_argument("--text", action="store_true", help="for people: a line an operation")


def _rules(requirement: Optional[Requirement]) -> canonical.Rules:
    return requirement.rules if requirement else canonical.NO_RULES


def _record(project: Project, options: argparse.Namespace) -> int:
    """Record a whole run of the reference in which nothing unforeseen happened."""
    if options.case or options.text:
        raise CannotRun("--record takes the whole report")
    document = report.load(options.report)
    if document["run"]["exit_status"] != 0:
        raise CannotRun(f"{options.report}: that run did not go as expected; what it left is not to be recorded")
    if any(argument.startswith("--cases") for argument in document["run"]["command"]):
        raise CannotRun(f"{options.report}: that run left cases out")
    side = recorded.of_report(options.report, project.requirements(), REFERENCE)
    directory = compare_command.recorded_directory(project.root, side.label)
    files = recorded.write(side, directory)
    size = sum(f.stat().st_size for f in files)
    print(f"{plural(len({case for case, _ in side.cases}), 'case')}, {size // 1024} KiB: {directory}")
    unlike = sorted({case for (case, _), variants in side.cases.items() if len(variants) > 1})
    print(f"went another way in another mode: {', '.join(unlike) or 'none'}")
    return 0


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Print the traces in the order of their pairing, case and shape; raises CannotRun if there is none."""
    if options.record:
        return _record(project, options)
    requirements = project.requirements()
    file = options.report / "trace.jsonl" if options.report.is_dir() else options.report
    try:
        grouped = trace.read(file)
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}") from error
    wanted = [k for k in sorted(grouped) if not options.case or any(fnmatch.fnmatchcase(k[1], g) for g in options.case)]
    if not wanted:
        raise CannotRun(f"no case in {file} matches {printable(' '.join(options.case)) or 'anything'}")
    for pairing, case, shape in wanted:
        lanes = canonical.canonical(grouped[pairing, case, shape], _rules(requirements.get(case)))
        if options.text:
            print(printable(f"{case}{f' [{shape}]' if shape else ''}, {pairing}"))
            for place, sentences in trace.lines(lanes):
                print("\n".join([f"  {place}", *(f"    {s}" for s in sentences)]))
        else:
            print(json.dumps({"pairing": pairing, "case": case, "shape": shape, "lanes": lanes}, sort_keys=True))
    return 0
