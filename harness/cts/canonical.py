"""The canonical trace, derived from the raw one (spec/results.md): what two systems' runs must have in common.

Per case and shape, and there per process and lane, the operations in order with their arguments and answers. What no
two runs share becomes labels in order of appearance, and what a kernel may cut as it likes is folded. Status, bytes,
order within a lane and the number of operations stay, whatever is folded.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import zlib
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Set, Tuple

Event = Dict[str, Any]
Operation = Dict[str, Any]  # {"op", "arguments", "answer"}
Lanes = Dict[str, List[Operation]]  # `role/lane` -> operations

# How the runner and its peers get ready is no part of a case: it depends on what ran before in the same process.
_UNTOLD = ("hello", "configure", "pending", "reset")
_CONTROL = ("cancel",)
_REQUEST_DROPPED = {"id", "op", "lane", "watch"}
_REPLY_DROPPED = {"id", "error", "why"}
_HANDLE_KEYS = ("on", "as", "read_as", "write_as")
_PID_KEYS = ("pid", "group")
_USER_KEYS = ("uid", "gid")
LINE = "line"  # stands for the operation of an answer to which there is no request
# What the case saw of the system itself is operations of a lane of their own.
SYSTEM = "system/looks"
LOOKS = tuple(f"look.{at}" for at in ("type", "mode", "contents", "close_on_exec", "description", "descriptors"))
EARLY = 0.8  # of its timeout: an operation that timed out before that was `early`
OS_HANDLE = "os-handle"  # label of a handle of the system; `handle` is one of the protocol
_PIDS = range(2, 1 << 22 | 1)  # what a system may give; other numbers are a case's own choice
# A name of the run: what begins with `cts-` and digits of the run id, and the directories before it, which in an
# abstract name may lack their slash.
_RUN_NAME = re.compile(rb"(?:(?:(?<=\0)|\A)[^\0@]*/|/(?:[^\0]*/)?)?(?:cts-[0-9a-f]{8,32}|CTS-[0-9A-F]{8,32})[^\0]*")


@dataclass(frozen=True)
class Rules:
    """What a requirement says of its case's trace (spec/README.md: `Repeats:`, `Races:`)."""

    repeats: Tuple[str, ...] = ()
    races: Dict[str, Tuple[str, ...]] = field(default_factory=dict)  # operation -> statuses; none: just their order


NO_RULES = Rules()


# --------------------------------------------------------------------------------------------------------------- bytes


def _crc32_matrix_times(matrix: List[int], vector: int) -> int:
    total, row = 0, 0
    while vector:
        if vector & 1:
            total ^= matrix[row]
        vector >>= 1
        row += 1
    return total


@functools.lru_cache(maxsize=4096)
def _appending(length: int) -> List[int]:
    """What appending so many zero bytes does to a CRC-32: a linear map over GF(2), by repeated squaring."""
    odd = [0xEDB88320] + [1 << n for n in range(31)]  # one zero bit
    even = [_crc32_matrix_times(odd, row) for row in odd]  # two
    operator = [_crc32_matrix_times(even, row) for row in even]  # four
    product = [1 << n for n in range(32)]
    while length:
        operator = [_crc32_matrix_times(operator, row) for row in operator]  # eight, sixteen, …
        if length & 1:
            product = [_crc32_matrix_times(operator, row) for row in product]
        length >>= 1
    return product


def crc32_combine(first: int, second: int, second_length: int) -> int:
    """The CRC-32 of two runs of bytes in a row, from their own CRCs and the second's length."""
    return _crc32_matrix_times(_appending(second_length), first) ^ second


_PERIOD = 65521
_table = b""


def pattern(seed: int, length: int) -> bytes:
    """The first `length` bytes of the pattern `seed` (spec/peer_protocol.md, 2.4)."""
    global _table
    if not _table:
        made, x = bytearray(_PERIOD), 1
        for index in range(_PERIOD):
            x = (1103515245 * x + 12345) & 0x7FFFFFFF
            made[index] = (x >> 16) & 0xFF
        _table = bytes(made)
    start = seed % _PERIOD
    period = _table[start:] + _table[:start]
    return (period * (length // _PERIOD + 1))[:length]


def decoded(value: Any) -> Optional[bytes]:
    """The bytes that a value of type bytes stands for; None if it is no such value."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except ValueError:
            return None
    return None


def _encoded(data: bytes) -> Any:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(data).decode("ascii")}


def _data(value: Any, most: int) -> Optional[bytes]:
    """The first `most` bytes of a value of type data."""
    if isinstance(value, dict) and isinstance(value.get("seed"), int) and isinstance(value.get("length"), int):
        return pattern(value["seed"], min(most, value["length"]))
    found = decoded(value)
    return None if found is None else found[:most]


def _size(value: Any) -> int:
    if isinstance(value, dict) and isinstance(value.get("length"), int):
        return int(value["length"])
    return len(decoded(value) or b"")


# ------------------------------------------------------------------------------------------- what goes with which reply


@dataclass(frozen=True)
class _Target:
    """The operation that another one means, by its serial number in the case."""

    serial: int


@dataclass(frozen=True)
class _Number:
    """A descriptor or handle number as one reply gave it: a number that is given again is another one."""

    kind: str
    issue: int


class _Numbers:
    """Follows the numbers of descriptors and handles from the replies that gave them to the requests that use them."""

    def __init__(self) -> None:
        self._latest: Dict[Tuple[str, str], _Number] = {}  # (process, number)
        self._anywhere: Dict[str, _Number] = {}
        self._issued = 0

    def given(self, process: str, kind: str, number: Any) -> _Number:
        self._issued += 1
        made = _Number(kind, self._issued)
        self._latest[process, str(number)] = self._anywhere[str(number)] = made
        return made

    def used(self, process: str, kind: str, number: Any) -> Any:
        """What the number is in this process; else (a child has its parent's numbers) in any; else it stays."""
        found = self._latest.get((process, str(number))) or self._anywhere.get(str(number))
        return found or {"kind": kind, "value": str(number)}


def _walk_numbers(op: str, message: Event, each: Callable[[str, Any], Any]) -> Event:
    """The message with numbers of descriptors and handles replaced by what `each` says of (kind, number)."""
    told = dict(message)
    if op.startswith("ancillary."):  # pure functions: to them a descriptor is but a number
        return told
    raw = message.get("raw")
    if isinstance(raw, dict):
        told["raw"] = each(str(raw.get("kind", "")), raw.get("value"))
    if isinstance(message.get("descriptors"), list):
        told["descriptors"] = [each("fd", n) for n in message["descriptors"]]
    return told


class _Processes:
    """Tells apart the processes that play one role in turn: they are numbered as they are first asked something."""

    def __init__(self) -> None:
        self.ids: List[Any] = []
        self.names: Dict[Any, str] = {}  # by process id, of those that were asked something
        self._asked: Dict[str, List[Any]] = {}

    def name(self, event: Event) -> str:
        """The name of the process that is asked something."""
        asked = self._asked.setdefault(str(event.get("role", "")), [])
        if event.get("pid") not in asked:
            asked.append(event.get("pid"))
        number = asked.index(event.get("pid")) + 1
        name = f"{event.get('role', '')}:{number}" if number > 1 else str(event.get("role", ""))
        self.names[event.get("pid")] = name
        return name


class _Pairing:
    """Puts each reply to its request, in the runner's order."""

    def __init__(self) -> None:
        self.lanes: Lanes = {}
        self.processes = _Processes()
        self._open: Dict[Tuple[Any, Any], Operation] = {}  # (role, pid), id of the request
        self._serials: Dict[Any, int] = {}  # id of a request -> number of its operation
        self._untold: Set[Tuple[Any, Any]] = set()  # as in _open
        self._left: Dict[Any, List[Operation]] = {}  # (role, pid) -> what was open at its last reset
        self._numbers = _Numbers()

    def take(self, event: Event) -> None:
        """The next event."""
        who = (event.get("role"), event.get("pid"))
        if event.get("kind") == "look" and isinstance(event.get("look"), dict):
            self._look(event["look"])
            return
        if event.get("pid") not in self.processes.ids:
            self.processes.ids.append(event.get("pid"))
        if event.get("kind") == "begin" and isinstance(event.get("request"), dict):
            self._begin(event, who)
        elif event.get("kind") == "end" and isinstance(event.get("reply"), dict):
            key = (who, event["reply"].get("id"))
            found = self._open.pop(key, None)
            if found is None and key not in self._untold:
                found = self._line(event)
            if found is not None:
                reply = _walk_numbers(
                    found["op"], event["reply"], lambda kind, n: self._numbers.given(found["process"], kind, n)
                )
                found["answer"] = {k: v for k, v in reply.items() if k not in _REPLY_DROPPED}
                found["answer"].update(_early(found, event))
        elif event.get("kind") == "exit":
            for key in [k for k in self._open if k[0] == who]:
                self._open.pop(key)["answer"] = {"exit": event.get("status", "")}

    def _begin(self, event: Event, who: Any) -> None:
        request = event["request"]
        op = str(request.get("op", ""))
        if op == "reset":
            self._left[who] = [operation for key, operation in self._open.items() if key[0] == who]
        if op in _UNTOLD:
            self._untold.add((who, request.get("id")))
            return
        process = self.processes.name(event)
        place = f"{process}/{request.get('lane', 'control' if op in _CONTROL else 'a')}"
        lane = self.lanes.setdefault(place, [])
        told = _walk_numbers(op, request, lambda kind, n: self._numbers.used(process, kind, n))
        arguments = {k: v for k, v in told.items() if k not in _REQUEST_DROPPED}
        if "target" in arguments:
            arguments["target"] = _Target(self._serials.get(arguments["target"], 0))
        serial = len(self._serials) + 1
        operation = {"op": op, "arguments": arguments, "answer": {}, "process": process, "serial": serial}
        operation["t_us"] = event.get("t_us")
        self._open[who, request.get("id")] = operation
        lane.append(operation)
        self._serials[request.get("id")] = serial

    def _look(self, look: Event) -> None:
        """What the case saw of the system; the processes that it looks into call their descriptors by numbers."""
        process = self.processes.names.get(look.get("pid"), "")
        op = f"look.{look.get('at', '')}"
        told = _walk_numbers(op, look, lambda kind, n: self._numbers.used(process, kind, n))
        arguments = {k: v for k, v in told.items() if k not in ("at", "saw")}
        answer = {"saw" if op != "look.description" else "description": look.get("saw")}
        operation = {"op": op, "arguments": arguments, "answer": answer, "process": process}
        self.lanes.setdefault(SYSTEM, []).append(operation)

    def _line(self, event: Event) -> Operation:
        """What the answer belongs to that no request asked for: a line that was none."""
        process = self.processes.name(event)
        operation: Operation = {"op": LINE, "arguments": {}, "answer": {}, "process": process}
        self.lanes.setdefault(f"{process}/lines", []).append(operation)
        return operation

    def forget_what_was_left(self) -> None:
        """What a case leaves under way is ended by the reset behind it, in one way or another: that says nothing."""
        for operations in self._left.values():
            for operation in operations:
                operation["answer"] = {"left": True}


def _early(operation: Operation, end: Event) -> Event:
    """`early` of what timed out before its time. That something is late says nothing: the machine may be busy."""
    timeout_ms, began_us, ended_us = operation["arguments"].get("timeout_ms"), operation.get("t_us"), end.get("t_us")
    if operation["answer"].get("status") != "timed_out" or not all(
        isinstance(number, int) for number in (timeout_ms, began_us, ended_us)
    ):
        return {}
    return {"early": True} if ended_us - began_us < EARLY * 1000 * timeout_ms else {}


def _ordered(events: Iterable[Event]) -> Tuple[Lanes, Dict[Any, str]]:
    """The operations by process and lane with their answers, and the processes: name by id, empty if it has none."""
    pairing = _Pairing()
    for event in sorted(events, key=lambda e: e.get("seq", 0)):
        pairing.take(event)
    pairing.forget_what_was_left()
    return dict(sorted(pairing.lanes.items())), {n: pairing.processes.names.get(n, "") for n in pairing.processes.ids}


# --------------------------------------------------------------------------------------------------------------- folds


def _status(operation: Operation) -> str:
    return str(operation["answer"].get("status", ""))


def _drop_told_bytes(operation: Operation) -> None:
    """Bytes that the digest beside them is of are told by it; if it is not of them both stay, and differ."""
    answer = operation["answer"]
    data = decoded(answer.get("data"))
    if data is not None and answer.get("crc32") == zlib.crc32(data) and answer.get("length") == len(data):
        del answer["data"]


_READ = "stream.read"


def _same_read(one: Operation, two: Operation, names: Iterable[str]) -> bool:
    """Whether two operations are reads of one handle that both gave bytes and that only their pieces tell apart."""
    if one["op"] not in names or two["op"] != one["op"] or set(two["answer"]) != {"status", "length", "crc32"}:
        return False
    for answer in (one["answer"], two["answer"]):
        if answer.get("status") != "ok" or not answer.get("length") or "crc32" not in answer or "chunks" in answer:
            return False
    a, b = one["arguments"], two["arguments"]
    return a.get("until", "some") == "some" and all(
        a.get(k) == b.get(k) for k in set(a) | set(b) if k not in ("max", "buffer")
    )


def _reads(operations: List[Operation], names: Iterable[str]) -> List[Operation]:
    """Repeated reads as one: length and digest are those of all bytes together."""
    folded: List[Operation] = []
    for operation in operations:
        if folded and _same_read(folded[-1], operation, names):
            before, answer = folded[-1]["answer"], operation["answer"]
            crc = crc32_combine(before["crc32"], answer["crc32"], answer["length"])
            folded[-1]["answer"] = {**before, "length": before["length"] + answer["length"], "crc32": crc}
            kept = {k: v for k, v in folded[-1]["arguments"].items() if k not in ("max", "buffer")}
            folded[-1]["arguments"] = kept
        else:
            folded.append(operation)
    return folded


_TOLD = ("op", "arguments", "answer", "process")


def _repeated(operations: List[Operation], names: Iterable[str]) -> List[Operation]:
    """What a case repeats for as long as something else takes, as one."""
    folded: List[Operation] = []
    for operation in operations:
        if operation["op"] in names and folded and all(folded[-1][k] == operation[k] for k in _TOLD):
            continue
        folded.append(operation)
    return folded


# What puts something where there is room for so much, and what takes it out again.
_FILLS = {
    "stream.write": "stream.read",
    "stream.write_vectored": "stream.read",
    "socket.send": "socket.receive",
    "framed.write": "framed.read",
    "local.connect": "listener.accept",
    "socket.connect": "listener.accept_socket",
}
_OPENS = {"socket.connect": "socket.open"}  # what goes before each attempt, on a handle of its own


@dataclass
class _Room:
    """How much fitted until an end had no room: that number is the system's, what came of it is not."""

    op: str
    count: int  # operations that were `ok`
    length: int  # bytes that they took
    crc32: int  # of these
    pieces: List[Tuple[int, int]]  # length and digest of each
    label: str = ""
    accepted: bool = False  # of connections, which come out only once


def _is_full(operation: Operation) -> bool:
    """Whether it found no room in one attempt."""
    if operation["arguments"].get("timeout_ms") == 0 and _status(operation) == "timed_out":
        return True
    return _status(operation) == "would_block"


def _common(operation: Operation) -> Event:
    unlike = {"data", "as"} | ({"on"} if operation["op"] in _OPENS else set())
    return {k: v for k, v in operation["arguments"].items() if k not in unlike}


def _taken(operation: Operation) -> Tuple[int, int]:
    """(length, digest) of what a write accepted."""
    data = operation["arguments"].get("data")
    length = operation["answer"].get("length", 0)
    if data is None:
        return 0, 0
    if operation["op"] == "framed.write":
        length = _size(data)
    return length, zlib.crc32(_data(data, length) or b"")


def _room_of(op: str, writes: List[Operation]) -> _Room:
    room = _Room(op, len(writes), 0, 0, [_taken(w) for w in writes])
    for length, crc in room.pieces:
        room.crc32 = crc32_combine(room.crc32, crc, length)
        room.length += length
    return room


def _attempt(operations: List[Operation], at: int) -> Tuple[Optional[Operation], int]:
    """The attempt that begins at `at` and how many operations it is; nothing if none does."""
    first = operations[at]
    if first["op"] not in _OPENS.values():
        return (first if first["op"] in _FILLS and first["op"] not in _OPENS else None), 1
    if at + 1 == len(operations) or _status(first) != "ok":
        return None, 1
    second = operations[at + 1]
    like = _OPENS.get(second["op"]) == first["op"] and second["arguments"].get("on") == first["arguments"].get("as")
    return (second if like else None), 2 if like else 1


def _row(operations: List[Operation], start: int) -> Tuple[List[Operation], int]:
    """The `ok` attempts of a filling that begins at `start`; and where it ends, or where the next one may begin."""
    first, step = _attempt(operations, start)
    if first is None:
        return [], start + 1
    attempts: List[Operation] = []
    at = start
    while at < len(operations):
        operation, size = _attempt(operations, at)
        if operation is None or operation["op"] != first["op"] or _common(operation) != _common(first):
            return [], at
        answer = operation["answer"]
        if _is_full(operation) and not answer.get("length") and not answer.get("frames"):
            return attempts, at + step
        if _status(operation) != "ok":
            return [], max(at, start + 1)
        attempts.append(operation)
        at += size
    return [], at


def _part(operation: Operation, rooms: List[_Room]) -> None:
    """If a write took a part, say that it is what there was room for."""
    length = operation["answer"].get("length")
    data = operation["arguments"].get("data")
    if operation["op"] in _FILLS and data is not None and length and length < _size(data):
        rooms.append(_room_of(operation["op"], [operation]))
        operation["answer"]["length"] = rooms[-1]


def _fillings(operations: List[Operation], rooms: List[_Room]) -> List[Operation]:
    """Attempts that are `ok` up to one for which there is no room, as one; and writes that took a part."""
    folded: List[Operation] = []
    at = 0
    while at < len(operations):
        writes, end = _row(operations, at)
        if writes:
            rooms.append(_room_of(writes[0]["op"], writes))
            answer = {"status": _status(operations[end - 1]), "before": "ok", "room": rooms[-1]}
            folded.append({**writes[0], "arguments": _common(writes[0]), "answer": answer})
        else:
            for operation in operations[at:end]:
                _part(operation, rooms)
                folded.append(operation)
        at = end
    return folded


def _gives(operation: Operation, room: _Room, index: int) -> bool:
    """Whether it takes out what the filling put in as its `index`-th."""
    if operation["op"] != _FILLS[room.op] or _status(operation) != "ok":
        return False
    if "accept" in operation["op"]:
        return True
    return (operation["answer"].get("length"), operation["answer"].get("crc32")) == room.pieces[index]


def _emptyings(operations: List[Operation], rooms: List[_Room]) -> List[Operation]:
    """What takes out again, one for one, all that a filling of messages or connections put in, as one."""
    folded: List[Operation] = []
    at = 0
    while at < len(operations):
        for room in rooms:
            row = operations[at : at + room.count]
            if room.op.startswith("stream.") or room.accepted or len(row) < room.count or room.count < 1:
                continue
            like = all(_common(o) == _common(row[0]) for o in row)
            if like and all(_gives(o, room, index) for index, o in enumerate(row)):
                room.accepted = "accept" in _FILLS[room.op]
                folded.append({**row[0], "arguments": _common(row[0]), "answer": {"status": "ok", "room": room}})
                at += room.count
                break
        else:
            folded.append(operations[at])
            at += 1
    return folded


def _of_rooms(operation: Operation, rooms: List[_Room]) -> None:
    """Say of a read that it gave just what was put in, in place of numbers that the room decides."""
    arguments, answer = operation["arguments"], operation["answer"]
    for room in rooms:
        if not room.op.startswith("stream.") or not room.length:
            continue
        if arguments.get("max") == room.length:
            arguments["max"] = room
        if answer.get("length") == room.length and answer.get("crc32") == room.crc32 and "chunks" not in answer:
            answer["length"] = answer["crc32"] = room


def fold(lanes: Lanes, rules: Rules) -> Lanes:
    """The operations of a case with everything folded that a system may cut as it likes."""
    rooms: List[_Room] = []
    told: Lanes = {}
    for place, operations in lanes.items():
        for operation in operations:
            _drop_told_bytes(operation)
        told[place] = _fillings(_reads(_repeated(operations, rules.repeats), (_READ, *rules.repeats)), rooms)
    for place, operations in told.items():
        told[place] = _emptyings(operations, rooms)
        for operation in told[place]:
            _of_rooms(operation, rooms)
    return told


# --------------------------------------------------------------------------------------------------------------- races


def _anonymous(value: Any) -> Any:
    """The value with numbers as mere signs that there is one: which is which depends on the order."""
    if isinstance(value, _Number):
        return f"<{value.kind}>"
    if isinstance(value, list):
        return [_anonymous(v) for v in value]
    return value


def _unordered(racing: List[Operation]) -> List[Operation]:
    """The answers of one operation in an order that says nothing; the digests of chunks stand for the whole."""
    answers = [{k: _anonymous(v) for k, v in o["answer"].items()} for o in racing]
    chunks: List[int] = []
    length = 0
    for answer in answers:
        if "chunks" in answer:
            chunks += answer.pop("chunks")
            length += answer.pop("length", 0)
            answer.pop("crc32", None)
    if chunks:
        answers.append({"length": length, "chunks": sorted(chunks)})
    answers.sort(key=lambda a: json.dumps(a, sort_keys=True, default=str))
    return [{"op": racing[0]["op"], "process": "", "arguments": {}, "answer": answer} for answer in answers]


def _together(racing: List[Operation], statuses: Tuple[str, ...]) -> Operation:
    """One operation for all of them, with all their bytes."""
    answer: Event = {"status": " | ".join(statuses)}
    for operation in racing:
        length, crc = operation["answer"].get("length"), operation["answer"].get("crc32")
        if isinstance(length, int) and isinstance(crc, int):
            answer["crc32"] = crc32_combine(answer.get("crc32", 0), crc, length)
            answer["length"] = answer.get("length", 0) + length
    return {"op": racing[0]["op"], "process": "", "arguments": {}, "answer": answer}


def races(lanes: Lanes, rules: Rules) -> Lanes:
    """The lanes with operations whose answers are a matter of who comes first in a lane of their own, `races`."""
    if not rules.races:
        return lanes
    told: Lanes = {}
    racing: Dict[str, List[Operation]] = {}
    for place, operations in lanes.items():
        told[place] = []
        for operation in operations:
            statuses = rules.races.get(operation["op"])
            if statuses is None or (statuses and _status(operation) not in statuses):
                told[place].append(operation)
                continue
            racing.setdefault(operation["op"], []).append(operation)
            if not statuses:
                told[place].append({**operation, "answer": {"races": True}})
    told["races"] = []
    for op in sorted(racing):
        statuses = rules.races[op]
        told["races"] += [_together(racing[op], statuses)] if statuses else _unordered(racing[op])
    return told


# -------------------------------------------------------------------------------------------------------------- labels


class Labels:
    """Gives what no two runs share a label, in order of appearance.

    `pids` are the processes of the case, with the names that they have; `names` are names that the system chose.
    """

    def __init__(self, pids: Mapping[Any, str], names: Iterable[bytes] = ()) -> None:
        self._labels: Dict[Tuple[str, Any], str] = {}
        self._counts: Dict[str, int] = {}
        self.places: Dict[int, str] = {}  # serial number of an operation -> where it stands
        self._pids = dict(pids)
        self._names = set(names)

    def label(self, kind: str, value: Any) -> str:
        """`<kind-n>` for this value."""
        if (kind, value) not in self._labels:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._labels[kind, value] = f"<{kind}-{self._counts[kind]}>"
        return self._labels[kind, value]

    def _name(self, match: "re.Match[bytes]") -> bytes:
        return self.label("name", match.group()).encode()

    def replace(self, value: Any) -> Any:
        """The value with names replaced: a text, `{"b64": …}`, or anything that holds such."""
        if isinstance(value, _Number):
            return self.label({"handle": OS_HANDLE}.get(value.kind, value.kind or "raw"), value.issue)
        if isinstance(value, _Target):
            return self.places.get(value.serial, "<nothing>")
        if isinstance(value, _Room):
            value.label = value.label or self.label("room", id(value))
            return value.label
        raw = decoded(value)
        if raw is not None:
            if raw in self._names:
                return self.label("name", raw)
            replaced = _RUN_NAME.sub(self._name, raw)
            return _encoded(replaced) if replaced != raw or isinstance(value, str) else value
        if isinstance(value, dict):
            return {k: self.replace(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.replace(v) for v in value]
        return value

    def pid(self, number: Any) -> Any:
        """A process id as a label, also where a case has put bits above it or taken it away from a power of two."""
        if not isinstance(number, int):
            return number
        if number in self._pids or number in _PIDS:
            return self._process(number)
        high, low = number >> 32, number & 0xFFFFFFFF
        if high and low in self._pids:
            return f"{self._process(low)}+{high}*2^32"
        if (1 << 32) - low in self._pids:
            return f"{high + 1}*2^32-{self._process((1 << 32) - low)}"
        return number

    def _process(self, number: int) -> str:
        """Which process of the case it is; of others, which came first."""
        name = self._pids.get(number)
        return f"<pid-of-{name}>" if name else self.label("pid", number)

    def message(self, operation: Operation, message: Event) -> Event:
        """Arguments or answer of an operation as every run has them."""
        told: Event = {}
        for key, value in message.items():
            if key in _HANDLE_KEYS and isinstance(value, str):
                told[key] = self.label("handle", (operation["process"], value))
            elif key == "pid" and "signal" in message and message is operation["answer"]:
                told[key] = self.label("pid", value)  # of a sender: on gVisor its thread's
            elif key in _PID_KEYS:
                told[key] = self.pid(value)
            elif key == "description" and value:  # of an open file, as the system tells it
                told[key] = self.label("description", decoded(value))
            elif key in _USER_KEYS and isinstance(value, int):
                told[key] = self.label(key, value)
            elif key == "control" and operation["op"].startswith("ancillary."):
                # A buffer in the system's own layout, with numbers of this run in it; what it says is decoded beside.
                told[key] = "<control>" if decoded(value) else value
            elif key == "control" and operation["op"] == "process.spawn":
                # Where the runner waits for a child: a name of the run, whatever it is made of.
                told[key] = self.label("name", decoded(value))
            else:
                told[key] = self.replace(value)
        return told


def _chosen_names(lanes: Lanes) -> List[bytes]:
    """The names that the system chose where a case left it the choice."""
    found = []
    for operations in lanes.values():
        for operation in operations:
            name = decoded(operation["answer"].get("native"))
            if operation["arguments"].get("autobind") and name:
                found.append(name)
    return found


def canonical(events: Iterable[Event], rules: Rules = NO_RULES) -> Lanes:
    """The canonical trace of one case and shape: `role/lane` -> operations, each {op, arguments, answer}.

    An operation without a reply has an empty answer, or the end of its process as `exit`. `rules` are those of
    its requirement.
    """
    ordered, pids = _ordered(events)
    labels = Labels(pids, _chosen_names(ordered))
    folded = races(fold(ordered, rules), rules)
    labels.places = {
        operation["serial"]: f"<{place}#{number}>"
        for place, operations in folded.items()
        for number, operation in enumerate(operations, 1)
        if "serial" in operation
    }
    return {
        place: [
            {
                "op": operation["op"],
                "arguments": labels.message(operation, operation["arguments"]),
                "answer": labels.message(operation, operation["answer"]),
            }
            for operation in operations
        ]
        for place, operations in folded.items()
        if operations
    }
