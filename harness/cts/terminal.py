"""The terminal: a progress line while a run goes on, and the matrix with its summary at the end.

What peers said is escaped, and never read as rich's markup. On something that is no terminal the output is plain.
"""

from __future__ import annotations

import sys
from typing import Any, Dict, List, Optional, Set, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cts import results, summary
from cts.common import clip, plural, printable

_STYLES = {"bad": "bold red", "finding": "yellow", "good": "green", "none": "dim"}
_SHOWN_MAX = 20
_MESSAGE_MAX = 800  # the fact is often at the end of a message


class Progress:
    """One line that is rewritten in place; on something that is no terminal, each new step is a line of its own."""

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._last = ""

    def step(self, text: str) -> None:
        """What goes on now."""
        text = clip(printable(text), 100)
        if text == self._last:
            return
        self._last = text
        self._stream.write(f"\r\x1b[2K{text}" if self._live else f"{text}\n")
        self._stream.flush()

    def count(self, done: int, total: int, unexpected: int) -> None:
        """How far the cases are; shown on a terminal only, where it replaces itself."""
        if self._live:
            bad = f", {unexpected} unexpected" if unexpected else ""
            self.step(f"{done} of about {total} results{bad}")

    def clear(self) -> None:
        """Take the line away."""
        if self._live and self._last:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
        self._last = ""


def _matrix(records: List[Dict[str, Any]]) -> Table:
    pairings, families, cells = summary.matrix(records)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("server ← client")
    for family in families:
        table.add_column(printable(family), justify="right")
    for pairing in pairings:
        row = [Text(printable(summary.pairing_title(pairing)))]
        row += [Text(cells[pairing, f].text, style=_STYLES[cells[pairing, f].state]) for f in families]
        table.add_row(*row)
    return table


def _grouped(records: List[Dict[str, Any]]) -> List[List[Dict[str, Any]]]:
    """Records that differ in their shape alone, together."""
    groups: Dict[Any, List[Dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record.get("pairing", ""), record["case"], record["outcome"]), []).append(record)
    return list(groups.values())


def _place(group: List[Dict[str, Any]]) -> str:
    shapes = ", ".join(r["shape"] for r in group if r["shape"])
    return f"{group[0]['case']}{f' [{shapes}]' if shapes else ''}, {summary.pairing_title(group[0].get('pairing', ''))}"


def _told(records: List[Dict[str, Any]], rerun: summary.Rerun, style: str, indent: str = "") -> List[Text]:
    """For each group of records where it is, what was found, and the command that runs it again."""
    groups = _grouped(records)
    lines: List[Text] = []
    for group in groups[:_SHOWN_MAX]:
        lines.append(Text(indent + printable(f"{group[0]['outcome']}: {_place(group)}"), style=style))
        for message in list(dict.fromkeys(r["message"] for r in group if r["message"]))[:2]:
            lines.append(Text(f"{indent}  {clip(printable(message), _MESSAGE_MAX)}"))
        lines.append(Text(f"{indent}  {printable(rerun.record(group[0]))}", style="dim"))
    if len(groups) > _SHOWN_MAX:
        lines.append(Text(f"{indent}… and {len(groups) - _SHOWN_MAX} more; the report has them all"))
    return lines


def _not_held(records: List[Dict[str, Any]], rerun: summary.Rerun) -> List[Text]:
    """What does not hold and does not gate."""
    if not records:
        return []
    reasons = ", ".join(sorted({summary.why_not_gating(r) for r in records}))
    verb = "does" if len(records) == 1 else "do"
    head = f"{plural(len(records), 'result')} that {verb} not hold and {verb} not gate ({reasons}):"
    return [Text(head), *_told(records, rerun, "yellow", "  ")]


def _of_failed_starts(run: Dict[str, Any], records: List[Dict[str, Any]]) -> Set[str]:
    """The pairings of which nothing is to be said but the error that names them: nothing of them ever ran."""
    named = {e.partition(": ")[0] for e in run.get("errors", [])}
    return named - {r.get("pairing", "") for r in records if r["outcome"] not in ("crashed", "hung", "not_applicable")}


def _findings(records: List[Dict[str, Any]]) -> List[Text]:
    """Expected failures, one line a case and reason."""
    by_reason: Dict[Any, List[Dict[str, Any]]] = {}
    for record in records:
        if record["outcome"] == "expected_failure":
            by_reason.setdefault((record["case"], record.get("expected", "")), []).append(record)
    lines = [Text(f"{plural(len(by_reason), 'finding')}, as expected", style="bold")] if by_reason else []
    for (case, reason), found in by_reason.items():
        names = sorted({summary.pairing_title(r.get("pairing", "")) for r in found})
        where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
        lines.append(Text(f"  {printable(case)} ({printable(where)}): {clip(printable(reason), 160)}", style="yellow"))
    return lines


def _run_wide(run: Dict[str, Any]) -> List[Text]:
    lines = [Text(printable(text, lines=True), style="bold red") for text in summary.run_wide(run)]
    lines += [Text(printable(n), style="yellow") for n in run.get("notes", [])]
    for peer in run["peers"]:
        if not peer["available"]:
            lines.append(Text(printable(f"unavailable: {peer['name']}: {clip(peer['why'], 300)}"), style="dim"))
    return lines


def show(document: Dict[str, Any], rerun: summary.Rerun, report: str, stream: Optional[TextIO] = None) -> None:
    """Print the matrix, what was found, and the counts."""
    stream = stream or sys.stdout
    console = Console(file=stream, highlight=False, markup=False, soft_wrap=True, emoji=False)
    if not stream.isatty():
        console = Console(
            file=stream, highlight=False, markup=False, soft_wrap=True, emoji=False, width=200, no_color=True
        )
    run, records = document["run"], document["results"]
    here = [r for r in records if r["outcome"] != "unavailable"]  # who is unavailable is named below
    if here:
        console.print(_matrix(here))
        console.print()
    silent = _of_failed_starts(run, records)
    tellable = [r for r in here if r.get("pairing", "") not in silent]
    unexpected = [r for r in tellable if results.gates(r)]
    ungated = [r for r in tellable if summary.not_held(r)]
    surprises = [r for r in tellable if r["outcome"] == "unexpected_pass" and not results.gates(r)]
    for line in [*_findings(records), *_told(unexpected, rerun, "bold red"), *_told(surprises, rerun, "yellow")]:
        console.print(line)
    for line in [*_run_wide(run), *_not_held(ungated, rerun)]:
        console.print(line)
    cases = plural(run["cases"], "case")
    console.print(Text(f"{summary.counts_line(records)} ({cases}) in {run['wall_ms'] / 1000:.1f} s"))
    times = run.get("times", {})
    if len(times) == 2:
        case_ms, start_ms = times["two_process_case_ms"], times["process_start_ms"]
        told = f"median case of two processes {case_ms:.1f} ms; start and end of an empty process {start_ms:.1f} ms"
        console.print(Text(told, style="dim"))
    if report:
        console.print(Text(f"report: {printable(report)}", style="dim"))
