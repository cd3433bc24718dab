"""Seeds of the fuzz targets: inputs made of what the conformance cases asked, from the raw trace of a run.

A seed is an input in the layout that its target's file (fuzz/TARGET.cc) describes at its head.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from cts import canonical, trace

Request = Dict[str, Any]

_CODECS = ("u32", "length", "varint", "netstring", "content_length", "escape")
_WIDTHS = (1, 2, 3, 4, 8)
_OFFSET_NEAR = (0xF8, 1020)  # offsets from 1,020 on are written as 0xF8 and up
_SKIP_NEAR = (0xF8, 1028)
_EXTREME = {-(1 << 63): -(1 << 15), (1 << 53) - 1: (1 << 15) - 1}  # adjustments that have a number of their own


def _small(value: int, near: Tuple[int, int]) -> Optional[int]:
    """A length as one byte: itself, or its distance from the limit; None if it is neither."""
    code, first = near
    if 0 <= value < code:
        return value
    return code + value - first if first <= value < first + 8 else None


def _limit(value: int) -> bytes:
    """A limit as mantissa and shift. What has more than 16 significant bits is rounded down."""
    shift = max(0, value.bit_length() - 16)
    return struct.pack("<HB", value >> shift, shift)


def frame_decode(request: Request) -> Optional[bytes]:
    """The input that decodes or encodes what a framing.decode or framing.encode request asks."""
    if request.get("op") not in ("framing.decode", "framing.encode"):
        return None
    offset, width = request.get("offset", 0), request.get("width", 4)
    at_skip = bool(request.get("body_at_skip"))
    flags = (request.get("order") == "little") | (request.get("overlong") == "accept") << 1 | at_skip << 2
    adjustment = request.get("adjustment", 0)
    adjustment = _EXTREME.get(adjustment, adjustment)
    encoded_offset = _small(offset, _OFFSET_NEAR)
    encoded_skip = _small(request.get("skip", offset + width), _SKIP_NEAR)
    if encoded_offset is None or encoded_skip is None or not -(1 << 15) <= adjustment < 1 << 15:
        return None
    encoded_width = _WIDTHS.index(width) if width in _WIDTHS else 0xF0
    varint = request.get("varint_bytes", 5)
    encoded_varint = {5: 1, 10: 2}.get(varint, 0xF1)
    change = request.get("max_after")
    options = bool(request.get("end")) | (change is not None) << 2
    head = struct.pack(
        "<BBBBBhB",
        _CODECS.index(request["codec"]),
        flags,
        encoded_width,
        encoded_offset,
        encoded_skip,
        adjustment,
        encoded_varint,
    )
    cut = 1 if request.get("piece") == 1 else 3 if request.get("pieces") else 0
    rest = struct.pack("<BB", options, 1) + _limit(change or 0) + bytes([cut]) + _limit(request.get("body_length", 0))
    stream = b"".join((canonical.decoded(request.get(part, "")) or b"") for part in ("head", "tail"))
    return head + _limit(request.get("max", 0)) + rest + stream


def name_parse(request: Request) -> Optional[bytes]:
    """The input with the text or name of a name.parse, name.format or name.native request."""
    text = request.get("text", request.get("name"))
    if request.get("op") not in ("name.parse", "name.format", "name.native") or text is None:
        return None
    data = canonical.decoded(text) or b""
    return struct.pack("<BHB", 0, len(data) // 2, ord("x")) + data


def ancillary_decode(request: Request) -> Optional[bytes]:
    """The input with the control buffer of an ancillary.decode request."""
    if request.get("op") != "ancillary.decode":
        return None
    room = min(255, request.get("descriptors_max", 0))
    return bytes([0, 0, room]) + (canonical.decoded(request.get("control", "")) or b"")


def peer_protocol(request: Request) -> Optional[bytes]:
    """The line of a request, whatever it asks."""
    return json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


_MAKERS: Dict[str, Callable[[Request], Optional[bytes]]] = {
    "ancillary_decode": ancillary_decode,
    "frame_decode": frame_decode,
    "name_parse": name_parse,
    "peer_protocol": peer_protocol,
}
TARGETS = tuple(_MAKERS)


def seeds(target: str, requests: Iterable[Request], longest: int = 4096) -> Iterator[bytes]:
    """Each input once, in the order of the requests, without those that are longer than a fuzzer would go through."""
    seen: Set[bytes] = set()
    for request in requests:
        seed = _MAKERS[target](request)
        if seed is not None and len(seed) <= longest and seed not in seen:
            seen.add(seed)
            yield seed


def requests(trace_file: Path) -> Iterator[Request]:
    """Every request in the raw trace of a run."""
    for event in trace.events(trace_file):
        if event.get("kind") == "begin" and isinstance(event.get("request"), dict):
            yield event["request"]


def write(directory: Path, inputs: Iterable[bytes]) -> List[Path]:
    """Write each input to a file named by its digest, as fuzzers do; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for data in inputs:
        file = directory / hashlib.sha1(data).hexdigest()
        file.write_bytes(data)
        files.append(file)
    return files
