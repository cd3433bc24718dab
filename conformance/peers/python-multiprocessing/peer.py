"""Peer for `multiprocessing.connection`: messages behind a length of four bytes over a socket.

A `Connection` is made of a connected socket, as a program does that has one; the sockets, and the streams that cases
look at the bytes with, are those of the peer of `socket`. The frames are the codec `u32`, for lengths below 2^31.

- Two threads may not write, or read, at the same time (documentation of `Pipe`): one request after another, no lanes.
- `send_bytes` and `recv_bytes` have no timeout and no single attempt, and a close does not wake them.
- `recv_bytes` knows one limit, its own `maxlength`; after a message that is longer it ends reading.
- Both ends and a message too long are an EOFError or an OSError without a number: their texts tell them apart.
"""

from __future__ import annotations

import os
import platform
import sys
from multiprocessing.connection import Connection
from typing import Any, Dict

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "kits", "python"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python-socket"))

import cts_peer
from cts_peer import Call, Outcome, raw_fd
from handles import socket_of
from plain_calls import PlainCalls
from streams import Streams

STATUS_OF_TEXT = {
    "got end of file during message": "message_truncated",
    "bad message length": "message_too_large",
    "handle is closed": "closed",
}


def outcome_of(error: Exception) -> Outcome:
    """The status of an exception of `multiprocessing.connection`."""
    if isinstance(error, EOFError):
        return Outcome("end")
    if isinstance(error, OSError) and error.errno is None and str(error) in STATUS_OF_TEXT:
        return Outcome(STATUS_OF_TEXT[str(error)], str(error))
    return cts_peer.outcome_of(error)


class Framed:
    """A `Connection`, and the `maxlength` that the program wants for it."""

    def __init__(self, connection: Connection, length_max: int) -> None:
        self.connection, self.length_max = connection, length_max

    def close(self) -> None:
        self.connection.close()


class Connections(PlainCalls, Streams):
    implementation, version = "python-multiprocessing", platform.python_version()
    lanes = "single"
    features = ["local.listen.backlog"] + [f for f in Streams.features if f.startswith("name.")]

    def framed_open(self, call: Call) -> None:
        if call["codec"] != "u32":
            raise Outcome("unsupported", "a Connection has one kind of frame")
        call.make(Framed(Connection(socket_of(call.handle).detach()), call.get("max", 1 << 20)))

    def framed_write(self, call: Call) -> Dict[str, Any]:
        start, frames = 0, 0
        try:
            for length in call["lengths"]:
                call.handle.connection.send_bytes(call["data"], start, length)
                start, frames = start + length, frames + 1
        except Exception as error:
            outcome = outcome_of(error)
            outcome.results = {"frames": frames}
            raise outcome from error
        return {"frames": frames}

    def framed_read(self, call: Call) -> Dict[str, Any]:
        try:
            body = call.handle.connection.recv_bytes(min(call["max"], call.handle.length_max))
        except Exception as error:
            outcome = outcome_of(error)
            outcome.results = {"length": 0, "crc32": 0, "data": b""}
            raise outcome from error
        return cts_peer.read_results(body, 0)

    def framed_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.connection.fileno())}

    def framed_close(self, call: Call) -> None:
        call.handle.close()


if __name__ == "__main__":
    cts_peer.run(Connections)
