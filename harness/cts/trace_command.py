"""`cts trace REPORT_DIR`: the canonical trace, a JSON line for each pairing, case and shape."""

from __future__ import annotations

import argparse
import fnmatch
import json
from pathlib import Path
from typing import List

from cts import trace
from cts.common import CannotRun, printable
from cts.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts trace`."""
    parser.add_argument("report", type=Path, metavar="REPORT_DIR", help="report of a run, or its trace.jsonl")
    parser.add_argument("--case", action="append", default=[], metavar="GLOB", help="only cases that match")
    parser.add_argument("--text", action="store_true", help="for people: a line an operation")


def run(_project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Print the traces in the order of their pairing, case and shape; raises CannotRun if there is none."""
    file = options.report / "trace.jsonl" if options.report.is_dir() else options.report
    try:
        grouped = trace.read(file)
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}") from error
    wanted = [k for k in sorted(grouped) if not options.case or any(fnmatch.fnmatchcase(k[1], g) for g in options.case)]
    if not wanted:
        raise CannotRun(f"no case in {file} matches {printable(' '.join(options.case)) or 'anything'}")
    for pairing, case, shape in wanted:
        lanes = trace.canonical(grouped[pairing, case, shape])
        if options.text:
            print(printable(f"{case}{f' [{shape}]' if shape else ''}, {pairing}"))
            for place, sentences in trace.lines(lanes):
                print("\n".join([f"  {place}", *(f"    {s}" for s in sentences)]))
        else:
            print(json.dumps({"pairing": pairing, "case": case, "shape": shape, "lanes": lanes}, sort_keys=True))
    return 0
