"""Twisted's IntNStringReceiver and NetstringReceiver as a peer of the differential fuzz targets.

What travels is in fuzz/README.md.
"""

import struct
import sys
from typing import BinaryIO, Iterator, List, Optional, Tuple, Type

from twisted.internet.protocol import Protocol
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
FRAME_HEAD = struct.Struct(">BI").pack
LAST = struct.Struct(">BQ").pack
ENCODED_MAX = 1 << 17  # bodies that are encoded are made: longer ones are not
BODY = b"x" * ENCODED_MAX
U32_AT = struct.Struct(">I").unpack_from


def _keeping(base: Type) -> Type:
    """A receiver that keeps what it receives, and whether a length was beyond the limit."""

    class Receiver(base):  # type: ignore[misc, valid-type]
        def __init__(self, limit: int) -> None:
            self.MAX_LENGTH = limit
            self.received: List[bytes] = []
            self.stringReceived = self.received.append
            self.too_large = False

        def lengthLimitExceeded(self, length: int) -> None:
            self.too_large = True

    return Receiver


OF_WIDTH = {
    width: _keeping(base)
    for width, base in ((1, Int8StringReceiver), (2, Int16StringReceiver), (4, Int32StringReceiver))
}
OF_NETSTRINGS = _keeping(NetstringReceiver)


def _receiver(codec: bytes, encodes: bool) -> Optional[Protocol]:
    """The receiver for a codec of a request; None if Twisted has none like it."""
    number, flags, _, width, offset, skip, adjustment, limit = CODEC.unpack(codec)
    if number == NETSTRING:
        return OF_NETSTRINGS(limit)
    if number == U32:
        return OF_WIDTH[4](limit)
    if number != LENGTH or width not in OF_WIDTH or offset or skip != width or adjustment:
        return None
    if flags & (LITTLE_ENDIAN | encodes * BODY_AT_SKIP):
        return None
    return OF_WIDTH[width](limit)


def _decode(receiver: Protocol, pieces: bytes) -> bytes:
    """Twisted tells nothing at the end of a stream: what lacks then is not to be seen."""
    transport = StringTransport()
    receiver.makeConnection(transport)
    receive = receiver.dataReceived
    at, end = 0, len(pieces)
    status = WOULD_BLOCK
    while at < end and status == WOULD_BLOCK:
        (length,) = U32_AT(pieces, at)
        at += 4 + length
        receive(pieces[at - length : at])
        if receiver.too_large:
            status = MESSAGE_TOO_LARGE
        elif transport.disconnecting:
            status = UNTOLD
    frames = b"".join([FRAME_HEAD(FRAME, len(body)) + body for body in receiver.received])
    return frames + LAST(status, 0)


def _encode(sender: Protocol, length: int) -> bytes:
    if length > ENCODED_MAX:
        return bytes([NOT_OFFERED])
    transport = StringTransport()
    sender.makeConnection(transport)
    body = BODY[:length]
    try:
        sender.sendString(body)
    except StringTooLongError:
        return bytes([UNENCODABLE])
    written = transport.value()
    trailer = b"," if isinstance(sender, NetstringReceiver) else b""
    header = written[: len(written) - length - len(trailer)]
    assert written == header + body + trailer
    return FRAME_HEAD(FRAME, len(header)) + header + trailer


def answer(request: bytes) -> bytes:
    """The answer to one request."""
    what, codec, rest = request[:1], request[1 : 1 + CODEC.size], request[1 + CODEC.size :]
    if what not in (bytes([DECODE]), bytes([ENCODE])):
        return bytes([NOT_OFFERED])
    receiver = _receiver(codec, what == bytes([ENCODE]))
    if receiver is None:
        return bytes([NOT_OFFERED])
    return _decode(receiver, rest[1:]) if what == bytes([DECODE]) else _encode(receiver, int.from_bytes(rest, "big"))


def _list(batch: bytes) -> Iterator[bytes]:
    at = 4
    while at < len(batch):
        (length,) = U32_AT(batch, at)
        at += 4 + length
        yield batch[at - length : at]


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
