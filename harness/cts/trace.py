"""Raw traces read, and canonical ones (`canonical.py`) shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from cts import jsonl
from cts.common import clip, printable

Event = Dict[str, Any]
Key = Tuple[str, str, str]


_SAID = {"begin": "request", "end": "reply"}  # what an event of this kind holds


def read(path: Path, broken: Callable[[str], Any] = jsonl.refuse) -> Dict[Key, List[Event]]:
    """The raw events of a trace.jsonl by pairing, case and shape, in the file's order. `broken`: as in `events`."""
    grouped: Dict[Key, List[Event]] = {}
    for event in events(path, broken):
        place = (event.get("pairing", ""), event.get("case", ""), event.get("shape", ""))
        if place[1]:
            grouped.setdefault(place, []).append(event)
    return grouped


def wrong(event: Event) -> str:
    """Why this is no event of a raw trace (spec/results.md); empty if it is one. What a peer answered is its matter."""
    for key in ("kind", "pairing", "case", "shape", "role"):
        if not isinstance(event.get(key, ""), str):
            return f"no event: `{key}` is no text"
    if not isinstance(event.get("pid", 0), (int, str)):
        return "no event: `pid` is no number"
    said = _SAID.get(event.get("kind", ""))
    if said and not isinstance(event.get(said), dict):
        return f"no event: `{said}` is no object"
    if said and not isinstance(event[said].get("id"), (int, float, str, type(None))):
        return f"no event: the `id` of its {said} is neither number nor text"
    look = event.get("look", {}) if event.get("kind") == "look" else {}
    if not isinstance(look, dict) or not isinstance(look.get("pid", 0), int):
        return "no event: `look` is no object, or its `pid` no number"
    return ""


def events(path: Path, broken: Callable[[str], Any] = jsonl.refuse) -> Iterator[Event]:
    """Every event of a trace.jsonl; a line that is none is given to `broken` (see `jsonl.read`), which refuses it."""
    return jsonl.read(path, broken, wrong)


_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def _value(value: Any) -> str:
    return _ENCODER.encode(value)


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
