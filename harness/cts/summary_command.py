"""`cts summary REPORT`: a run in Markdown, for the page of a continuous integration job, or as its annotations."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, Dict, List

from cts import report, results, summary
from cts.common import CannotRun, clip, plural, printable
from cts.project import Project

_FINDINGS_MAX = 50  # a job's page takes a megabyte, and its reader less
_MARKS = {"bad": "❌", "finding": "⚠️", "good": "✅", "none": ""}
_SPECIAL = "\\`*_{}[]<>()#|~"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts summary`."""
    parser.add_argument("report", type=Path, metavar="REPORT_DIR", help="report of a run")
    parser.add_argument(
        "--annotations",
        action="store_true",
        help="in place of it, a line `::error title=…::…` for each case that is not as expected (GitHub Actions)",
    )


def _escaped(text: object) -> str:
    """Text that somebody else chose, as it stands in Markdown."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in printable(text))


def _place(record: Dict[str, Any]) -> str:
    shape = f" [{record['shape']}]" if record.get("shape") else ""
    return f"{record['case']}{shape}, {summary.pairing_title(record.get('pairing', ''))}"


def _gating(document: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [r for r in document["results"] if results.gates(r)]


def markdown(document: Dict[str, Any]) -> str:
    """The run: how it ended, the matrix, and what is not as expected."""
    run, records = document["run"], document["results"]
    passed, failed = results.case_counts(records)
    title = {0: "as expected", 1: "not as expected"}.get(run["exit_status"], "could not be carried out")
    told = [f"### IPC-CTS: {title}", "", f"{passed} passed, {failed} failed ({plural(run['cases'], 'case')})", ""]
    pairings, families, cells = summary.matrix(records)
    if pairings:
        told += ["| | " + " | ".join(_escaped(f) for f in families) + " |", "|---" * (len(families) + 1) + "|"]
    for pairing in pairings:
        row = [f"{_MARKS[cells[pairing, f].state]} {cells[pairing, f].text}".strip() for f in families]
        told.append("| " + " | ".join([_escaped(summary.pairing_title(pairing)), *row]) + " |")
    wrong = [f"- {_escaped(clip(w, 400))}" for w in summary.run_wide(run)]
    wrong += [
        f"- **{r['outcome'].replace('_', ' ')}**: {_escaped(_place(r))}: {_escaped(clip(r.get('message', ''), 400))}"
        for r in _gating(document)
    ]
    if wrong:
        told += ["", "#### Not as expected", "", *wrong[:_FINDINGS_MAX]]
    if len(wrong) > _FINDINGS_MAX:
        told.append(f"- and {len(wrong) - _FINDINGS_MAX} more, in the report")
    return "\n".join(told) + "\n"


def _command(text: str, title: str) -> str:
    """A workflow command, with what would end it or begin another taken away."""
    for character, code in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text, title = text.replace(character, code), title.replace(character, code)
    return f"::error title={title.replace(':', '%3A').replace(',', '%2C')}::{text}"


def annotations(document: Dict[str, Any]) -> List[str]:
    """A line for each thing that is not as expected."""
    lines = [_command(printable(w), "IPC-CTS") for w in summary.run_wide(document["run"])]
    for record in _gating(document):
        title = f"{record['outcome'].replace('_', ' ')}: {_place(record)}"
        lines.append(_command(printable(record.get("message", "")), printable(title)))
    return lines


def run(_project: Project, options: argparse.Namespace, _command_line: List[str]) -> int:
    """Print it; 0 whatever the run was; raises CannotRun if there is no report."""
    if not (options.report / "results.json").is_file():
        raise CannotRun(f"{options.report} is no report of a run: it holds no results.json")
    document = report.load(options.report)
    if options.annotations:
        print("\n".join(annotations(document)), end="\n" if annotations(document) else "")
    else:
        print(markdown(document), end="")
    return 0
