"""Twisted's IntNStringReceiver and NetstringReceiver as a peer of the differential fuzz targets.

What travels is in fuzz/README.md.
"""

import struct
import sys
from typing import BinaryIO, Iterator, List, Optional, Tuple, Type

from twisted.internet.testing import StringTransport
from twisted.protocols.basic import (
    Int8StringReceiver,
    Int16StringReceiver,
    Int32StringReceiver,
    NetstringReceiver,
    StringTooLongError,
)

OFFERS = [f"{what} {codec}".encode() for what in ("decode", "encode") for codec in ("u32", "length", "netstring")]

DECODE, ENCODE = 1, 2
U32, LENGTH, NETSTRING = 1, 2, 4
LITTLE_ENDIAN, BODY_AT_SKIP = 1, 4
FRAME, WOULD_BLOCK, MESSAGE_TOO_LARGE, UNENCODABLE, UNTOLD, NOT_OFFERED = 0, 2, 21, 23, 0xFE, 0xFF

CODEC = struct.Struct(">BBBIIIqQ")
OF_WIDTH = {1: Int8StringReceiver, 2: Int16StringReceiver, 4: Int32StringReceiver}
ENCODED_MAX = 1 << 17  # bodies that are encoded are made: longer ones are not


def _counting(base: Type, limit: int) -> Type:
    """A receiver that keeps what it receives, and whether a length was beyond the limit."""

    class Receiver(base):  # type: ignore[misc, valid-type]
        MAX_LENGTH = limit

        def connectionMade(self) -> None:
            self.received: List[bytes] = []
            self.too_large = False

        def stringReceived(self, string: bytes) -> None:
            self.received.append(string)

        def lengthLimitExceeded(self, length: int) -> None:
            self.too_large = True

    return Receiver


def _receiver(codec: bytes, encodes: bool) -> Optional[Type]:
    """The receiver for a codec of a request; None if Twisted has none like it."""
    number, flags, _, width, offset, skip, adjustment, limit = CODEC.unpack(codec)
    if number == NETSTRING:
        return _counting(NetstringReceiver, limit)
    if number == LENGTH and (flags & (LITTLE_ENDIAN | encodes * BODY_AT_SKIP) or offset or skip != width or adjustment):
        return None
    base = Int32StringReceiver if number == U32 else OF_WIDTH.get(width)
    return _counting(base, limit) if base and number in (U32, LENGTH) else None


def _pieces(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def _decode(kind: Type, data: bytes) -> bytes:
    """Twisted tells nothing at the end of a stream: what lacks then is not to be seen."""
    transport = StringTransport()
    receiver = kind()
    receiver.makeConnection(transport)
    status = WOULD_BLOCK
    for piece in _pieces(data):
        receiver.dataReceived(piece)
        if receiver.too_large:
            status = MESSAGE_TOO_LARGE
        elif transport.disconnecting:
            status = UNTOLD
        if status != WOULD_BLOCK:
            break
    frames = b"".join(struct.pack(">BI", FRAME, len(body)) + body for body in receiver.received)
    return frames + struct.pack(">BQ", status, 0)


def _encode(kind: Type, length: int) -> bytes:
    if length > ENCODED_MAX:
        return bytes([NOT_OFFERED])
    transport = StringTransport()
    sender = kind()
    sender.makeConnection(transport)
    body = b"x" * length
    try:
        sender.sendString(body)
    except StringTooLongError:
        return bytes([UNENCODABLE])
    written = transport.value()
    trailer = b"," if issubclass(kind, NetstringReceiver) else b""
    header = written[: len(written) - length - len(trailer)]
    assert written == header + body + trailer
    return struct.pack(">BI", FRAME, len(header)) + header + trailer


def answer(request: bytes) -> bytes:
    """The answer to one request."""
    what, codec, rest = request[:1], request[1 : 1 + CODEC.size], request[1 + CODEC.size :]
    if what not in (bytes([DECODE]), bytes([ENCODE])):
        return bytes([NOT_OFFERED])
    kind = _receiver(codec, what == bytes([ENCODE]))
    if kind is None:
        return bytes([NOT_OFFERED])
    return _decode(kind, rest[1:]) if what == bytes([DECODE]) else _encode(kind, int.from_bytes(rest, "big"))


def _list(batch: bytes) -> List[bytes]:
    return list(_pieces(batch[4:]))


def _exactly(source: BinaryIO, length: int) -> Tuple[bytes, bool]:
    data = source.read(length)
    return data, len(data) == length


def main() -> int:
    """Answer until the input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    while True:
        head, whole = _exactly(source, 4)
        if not head:
            return 0
        batch, there = _exactly(source, struct.unpack(">I", head)[0]) if whole else (b"", False)
        if not there:
            print("a batch that is none", file=sys.stderr)
            return 1
        answers = [answer(request) for request in _list(batch)] or OFFERS
        told = struct.pack(">I", len(answers)) + b"".join(struct.pack(">I", len(a)) + a for a in answers)
        sink.write(struct.pack(">I", len(told)) + told)
        sink.flush()


if __name__ == "__main__":
    sys.exit(main())
