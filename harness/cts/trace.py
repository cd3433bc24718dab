"""The canonical trace, derived from the raw one (spec/results.md): what two systems' runs must have in common.

Per pairing, case and shape, and there per role and lane, the operations in order with their arguments, status, length
and digest. Ids, process ids, times and raw handles are dropped; handles and names of the run become labels in order of
appearance;
consecutive reads that merely came in pieces are folded into one.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from cts.common import clip, printable

Event = Dict[str, Any]
Key = Tuple[str, str, str]

_REQUEST_DROPPED = {"id", "op", "lane", "watch", "raw"}
_REPLY_KEPT = ("status", "length", "crc32", "kind", "name", "text", "native", "max")
_HOST_SPECIFIC = ("pid", "uid", "gid")
_HANDLE_KEYS = ("on", "as", "read_as", "write_as")
_FOLDED = ("stream.read",)
# A name of the run: what begins with `cts-` and digits of the run id, and the directories before it.
_RUN_NAME = re.compile(rb"(?:/[^\0]*?/|/)?cts-[0-9a-f]{8,32}[^\0]*")


class Labels:
    """Gives each name of a run a label, in order of appearance."""

    def __init__(self) -> None:
        self._labels: Dict[bytes, str] = {}

    def _label(self, match: "re.Match[bytes]") -> bytes:
        name = match.group()
        return self._labels.setdefault(name, f"<name-{len(self._labels) + 1}>").encode()

    def replace(self, value: Any) -> Any:
        """The value with names replaced: a text, `{"b64": …}`, or anything that holds such."""
        if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
            try:
                raw = base64.b64decode(value["b64"], validate=True)
            except ValueError:
                return value
            replaced = _RUN_NAME.sub(self._label, raw)
            return _as_text(replaced) if replaced != raw else value
        if isinstance(value, dict):
            return {k: self.replace(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.replace(v) for v in value]
        if isinstance(value, str):
            return _as_text(_RUN_NAME.sub(self._label, value.encode("utf-8", "surrogatepass")))
        return value


def _as_text(data: bytes) -> Any:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(data).decode("ascii")}


def _crc32_matrix_times(matrix: List[int], vector: int) -> int:
    total, row = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[row]
        vector >>= 1
        row += 1
    return total


def crc32_combine(first: int, second: int, second_length: int) -> int:
    """The CRC-32 of two runs of bytes in a row, from their own CRCs and the second's length.

    Appending n zero bytes to what `first` is of is a linear map over GF(2); it is applied by repeated squaring.
    """
    odd = [0xEDB88320] + [1 << n for n in range(31)]  # one zero bit
    even = [_crc32_matrix_times(odd, row) for row in odd]  # two
    odd = [_crc32_matrix_times(even, row) for row in even]  # four
    operator, length = odd, second_length
    while length:
        operator = [_crc32_matrix_times(operator, row) for row in operator]  # eight, sixteen, …
        if length & 1:
            first = _crc32_matrix_times(operator, first)
        length >>= 1
    return first ^ second


def _arguments(request: Event, labels: Labels, handles: Dict[str, str]) -> Event:
    """The arguments as every run has them. `handles`: label of each handle of the peer, in order of appearance."""
    kept = {k: v for k, v in request.items() if k not in _REQUEST_DROPPED}
    for key in _HANDLE_KEYS:
        if isinstance(kept.get(key), str):
            kept[key] = handles.setdefault(kept[key], f"<handle-{len(handles) + 1}>")
    if isinstance(request.get("raw"), dict):
        kept["raw"] = request["raw"].get("kind", "")
    return {k: labels.replace(v) for k, v in kept.items()}


def _answer(reply: Event, labels: Labels) -> Event:
    kept = {k: reply[k] for k in _REPLY_KEPT if k in reply}
    kept.update({k: "*" for k in _HOST_SPECIFIC if k in reply})
    if isinstance(reply.get("raw"), dict):
        kept["raw"] = reply["raw"].get("kind", "")
    return {k: labels.replace(v) for k, v in kept.items()}


def _same_read(one: Event, two: Event) -> bool:
    """Whether two operations are reads of one handle that both gave bytes and that only their pieces tell apart."""
    if one["op"] not in _FOLDED or two["op"] != one["op"]:
        return False
    if any(o["answer"].get("status") != "ok" or "crc32" not in o["answer"] for o in (one, two)):
        return False
    a, b = one["arguments"], two["arguments"]
    return a.get("until") == b.get("until") == "some" and a.get("on") == b.get("on") and a.get("wait") == b.get("wait")


def fold(operations: List[Event]) -> List[Event]:
    """The operations of a lane, with repeated reads as one: length and digest are those of all bytes together."""
    folded: List[Event] = []
    for operation in operations:
        if folded and _same_read(folded[-1], operation):
            before, answer = folded[-1]["answer"], operation["answer"]
            crc = crc32_combine(before["crc32"], answer["crc32"], answer["length"])
            folded[-1]["answer"] = {"status": "ok", "length": before["length"] + answer["length"], "crc32": crc}
            kept = {k: v for k, v in folded[-1]["arguments"].items() if k not in ("max", "buffer", "chunk")}
            folded[-1]["arguments"] = kept
        else:
            folded.append(operation)
    return folded


def canonical(events: Iterable[Event]) -> Dict[str, List[Event]]:
    """The canonical trace of one case and shape: `role/lane` -> operations, each {op, arguments, answer}.

    An operation without a reply has an empty answer. Lane `control` is the runner's own business and left out.
    """
    labels = Labels()
    handles: Dict[str, Dict[str, str]] = {}
    lanes: Dict[str, List[Event]] = {}
    open_ones: Dict[Tuple[Any, Any], Event] = {}
    for event in sorted(events, key=lambda e: e.get("seq", 0)):
        if event.get("kind") == "begin" and isinstance(event.get("request"), dict):
            request = event["request"]
            lane = request.get("lane", "a")
            if lane == "control" or request.get("op") in ("hello", "configure", "reset", "pending"):
                continue
            arguments = _arguments(request, labels, handles.setdefault(str(event.get("role", "")), {}))
            operation = {"op": request.get("op", ""), "arguments": arguments, "answer": {}}
            open_ones[event.get("role"), request.get("id")] = operation
            lanes.setdefault(f"{event.get('role', '')}/{lane}", []).append(operation)
        elif event.get("kind") == "end" and isinstance(event.get("reply"), dict):
            found = open_ones.pop((event.get("role"), event["reply"].get("id")), None)
            if found is not None:
                found["answer"] = _answer(event["reply"], labels)
    return {place: fold(operations) for place, operations in sorted(lanes.items())}


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
