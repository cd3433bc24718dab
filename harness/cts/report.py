"""The report directory: results.json, junit.xml, trace.jsonl, index.html; replaced as a whole, only if it is ours."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Tuple

import jinja2

from cts import canonical, jsonl, junit, results, schemas, summary, trace
from cts.common import CannotRun, plural, printable, repository_root
from cts.requirements import Requirement

MARKER = ".ipc-cts-report"
_MARKER_TEXT = "A report of IPC-CTS; `cts run` may replace this directory.\n"
_RENAME_EXCHANGE = 2
_AT_FDCWD = -100
_INLINE_TRACE = ("failed", "hung", "crashed", "flaky", "unexpected_pass", "expected_failure", "unverifiable")


def check_replaceable(target: Path) -> None:
    """Raise CannotRun if `target` is something that a report must not replace."""
    if not os.path.lexists(target):
        return
    if target.is_symlink() or not target.is_dir() or not (target / MARKER).is_file():
        raise CannotRun(f"{target} exists and is no report of IPC-CTS; remove it or choose another with --report DIR")


def _exchange(one: Path, two: Path) -> bool:
    """Exchange two directories in one step, where the system can (Linux)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        return False
    rename.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    return rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(two), _RENAME_EXCHANGE) == 0


def _put(made: Path, target: Path) -> None:
    """Give the finished directory its name. Whoever looks finds the old report or the new one."""
    for _ in range(100):  # another run may put its own between two steps
        if not os.path.lexists(target):
            try:
                os.rename(made, target)
                return
            except FileExistsError:
                continue
            except OSError as error:
                if os.path.lexists(target):
                    continue
                raise CannotRun(f"cannot write {target}: {error.strerror}") from error
        check_replaceable(target)
        if _exchange(made, target):
            shutil.rmtree(made, ignore_errors=True)
            return
        aside = Path(tempfile.mkdtemp(prefix=f".{target.name}-old-", dir=target.parent))
        try:
            os.rename(target, aside / "old")
        except FileNotFoundError:
            pass
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    raise CannotRun(f"cannot replace {target}: another run replaces it all the time")


def merge_traces(parts: Iterable[Path], out: Path) -> int:
    """Put raw traces behind one another without the half lines that killed runners left; returns how many these are."""
    halves = 0
    with open(out, "wb") as merged:
        for part in parts:
            try:
                with open(part, "rb") as source:
                    for line in source:
                        if line.endswith(b"\n"):
                            merged.write(line)
                        else:
                            halves += 1
            except FileNotFoundError:
                continue
    return halves


def _whole_traces(parts: Iterable[Path], out: Path, notes: List[str]) -> Dict[trace.Key, List[trace.Event]]:
    """Merge raw traces into `out` and read them; what they lack becomes a note."""
    halves = merge_traces(parts, out)
    if halves:
        notes.append(f"{plural(halves, 'event')} of the trace: {jsonl.HALF}; not in trace.jsonl")
    broken: List[str] = []
    found = trace.read(out, broken.append)
    if broken:
        notes.append(
            f"trace.jsonl is broken in {plural(len(broken), 'line')}, first {broken[0][len(str(out.parent)) + 1 :]}"
        )
    return found


def write(
    target: Path,
    document: Dict[str, Any],
    traces: List[Path],
    requirements: Dict[str, Requirement],
    rerun: summary.Rerun,
) -> None:
    """Write the report to `target`; raises CannotRun if it cannot be written or something else is there."""
    check_replaceable(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}-new-", dir=target.parent))
    except OSError as error:
        raise CannotRun(f"cannot write {target}: {error.strerror}") from error
    try:
        made.chmod(0o755)
        (made / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")
        raw = _whole_traces(traces, made / "trace.jsonl", document["run"].setdefault("notes", []))
        (made / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        (made / "junit.xml").write_bytes(junit.render(document))
        page = html(document, raw, requirements, rerun)
        (made / "index.html").write_text(page, encoding="utf-8", errors="backslashreplace")
        _put(made, target)
    except OSError as error:
        raise CannotRun(f"cannot write {target}: {error.strerror}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def load(directory: Path) -> Dict[str, Any]:
    """The results.json of a report directory (or that file itself); raises CannotRun if there is none."""
    file = directory / "results.json" if directory.is_dir() else directory
    try:
        document = jsonl.parse(file.read_bytes())
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}; `cts run` makes a report") from error
    except ValueError as error:
        raise CannotRun(f"{file}: {error}") from error
    wrong = schemas.problems(repository_root(), "results", document)
    if wrong:
        raise CannotRun(f"{file}: no results.json of schema 1: {wrong[0]}")
    return document


# ------------------------------------------------------------------------------------------------------------- HTML


class _Traces:
    """Canonical traces for the page: each different text once, numbered."""

    def __init__(self, raw: Dict[trace.Key, List[trace.Event]]) -> None:
        self._raw = raw
        self._numbers: Dict[str, int] = {}
        self.all: List[List[Tuple[str, List[str]]]] = []

    def number(self, record: Dict[str, Any]) -> int:
        """The number of this record's trace, from 1; 0 if it has none."""
        events = self._raw.get((record.get("pairing", ""), record["case"], record["shape"]))
        if not events:
            return 0
        told = trace.lines(canonical.canonical(events))
        remarks = trace.notes(events) if record["outcome"] in _INLINE_TRACE else []
        if remarks:
            told.append(("runner", remarks))
        if not told:
            return 0
        text = json.dumps(told)
        if text not in self._numbers:
            self.all.append(told)
            self._numbers[text] = len(self.all)
        return self._numbers[text]


def _entry(record: Dict[str, Any], traces: _Traces, rerun: summary.Rerun) -> Dict[str, Any]:
    number = traces.number(record)
    return {
        **{
            k: printable(record.get(k, ""), lines=True)
            for k in ("case", "shape", "message", "expected", "proof", "blame")
        },
        "outcome": record["outcome"],
        "level": record["requirement"],
        "link": record.get("link", "") if str(record.get("link", "")).startswith(("https://", "http://")) else "",
        "duration_ms": record["duration_ms"],
        "operations": record["operations"],
        "gates": results.gates(record),
        "command": printable(rerun.record(record)),
        "trace": number,
        "inline": bool(number) and record["outcome"] in _INLINE_TRACE,
    }


def _anchor(pairing: int, family: str) -> str:
    return f"c{pairing}-{''.join(c for c in family if c.isalnum())}"


def html(
    document: Dict[str, Any],
    raw: Dict[trace.Key, List[trace.Event]],
    requirements: Dict[str, Requirement],
    rerun: summary.Rerun,
) -> str:
    """The page: self-contained, and readable without JavaScript."""
    pairings, families, cells = summary.matrix(document["results"])
    traces = _Traces(raw)
    rows = []
    for index, pairing in enumerate(pairings):
        row = []
        for family in families:
            cell = cells[pairing, family]
            entries = [_entry(r, traces, rerun) for r in cell.records]
            row.append(
                {
                    "id": _anchor(index, family),
                    "family": printable(family),
                    "text": cell.text,
                    "state": cell.state,
                    "entries": entries,
                }
            )
        away = summary.is_unavailable([r for family in families for r in cells[pairing, family].records])
        rows.append({"title": printable(summary.pairing_title(pairing)), "unavailable": away, "cells": row})
    ran = {r["case"] for r in document["results"]}
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(str(Path(__file__).parent / "templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = printable
    return environment.get_template("report.html.j2").render(
        run=document["run"],
        families=[printable(f) for f in families],
        rows=rows,
        traces=traces,
        requirements=[r for r in requirements.values() if r.id in ran],
        known={r.id for r in requirements.values() if r.id in ran},
        counts=summary.counts(document["results"]),
        counts_line=summary.counts_line(document["results"]),
        cases=plural(document["run"]["cases"], "case"),
        trusted=not results.suspicious(document["run"]["canary"]),
    )
