"""Raw traces read, and canonical ones (`canonical.py`) shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from cts.common import clip, printable

Event = Dict[str, Any]
Key = Tuple[str, str, str]


def read(path: Path) -> Dict[Key, List[Event]]:
    """The raw events of a trace.jsonl by pairing, case and shape, in the file's order; broken lines are skipped."""
    grouped: Dict[Key, List[Event]] = {}
    for event in events(path):
        place = tuple(str(event.get(k, "")) for k in ("pairing", "case", "shape"))
        if place[1]:
            grouped.setdefault(place, []).append(event)  # type: ignore[arg-type]
    return grouped


def events(path: Path) -> Iterator[Event]:
    """Every event of a trace.jsonl; a line that is no JSON object (a killed runner leaves half a one) is skipped."""
    with open(path, "rb") as file:
        for line in file:
            try:
                event = json.loads(line.decode("utf-8", "replace"))
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event


def _value(value: Any) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sentence(operation: Event) -> str:
    """An operation on a line: `stream.read s1 until="some" → ok length=5 crc32=…`, safe to show."""
    arguments = dict(operation["arguments"])
    on = f" {arguments.pop('on')}" if "on" in arguments else ""
    told = "".join(f" {k}={clip(_value(v), 120)}" for k, v in arguments.items())
    answer = dict(operation["answer"])
    status = answer.pop("status", "") or "(no reply)"
    results = "".join(f" {k}={clip(_value(v), 120)}" for k, v in answer.items())
    return printable(f"{operation['op']}{on}{told} → {status}{results}")


def lines(lanes: Dict[str, List[Event]]) -> List[Tuple[str, List[str]]]:
    """A canonical trace for people: (role/lane, sentences)."""
    return [(printable(place), [sentence(o) for o in operations]) for place, operations in lanes.items()]


def notes(raw: Optional[List[Event]]) -> List[str]:
    """What the runner remarked in a raw trace: how peers ended."""
    found = []
    for event in raw or []:
        if event.get("kind") == "exit":
            found.append(printable(f"{event.get('role', '')}: exit {event.get('status', '')}"))
    return found
