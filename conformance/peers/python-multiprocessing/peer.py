"""Peer for `multiprocessing.connection`: messages behind a length of four bytes, between a `Listener` and `Client`s.

A stream is a `Connection` before the first message: cases that look at the bytes read and write its `fileno` with `os`.
The frames are the codec `u32`, for lengths below 2^31.

- Two threads may not write, or read, at the same time (documentation of `Pipe`): one request after another, no lanes.
- `send_bytes` and `recv_bytes` have no timeout and no single attempt, and a close does not wake them. `poll(timeout)`
  says that something came, not that a whole message did: a timeout of a read of bytes, and none of a message's.
- `recv_bytes` knows one limit, its own `maxlength`; after a message that is longer it ends reading.
- Both ends and a message too long are an EOFError or an OSError without a number: their texts tell them apart.
- Paths are text; bytes are only for a name that begins with NUL. A `Listener` removes its file when it is closed.
"""

from __future__ import annotations

import multiprocessing.connection as connections
import os
import platform
import socket
import sys
from typing import Any, Dict, Union

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "kits", "python"))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "python-socket"))

import cts_peer
from cts_peer import Call, Outcome, raw_fd
from handles import adopted_descriptor
from streams import CREDENTIAL_FEATURES, NAME_FEATURES, ON_LINUX, credentials_of

STATUS_OF_TEXT = {
    "got end of file during message": "message_truncated",
    "bad message length": "message_too_large",
    "handle is closed": "closed",
    "connection is read-only": "unsupported",
    "connection is write-only": "unsupported",
}
BACKLOG = 16  # the module's own default is 1, and another client then waits in its connect


def outcome_of(error: Exception) -> Outcome:
    """The status of an exception of `multiprocessing.connection`."""
    if isinstance(error, EOFError):
        return Outcome("end")
    if isinstance(error, OSError) and error.errno is None and str(error) in STATUS_OF_TEXT:
        return Outcome(STATUS_OF_TEXT[str(error)], str(error))
    return cts_peer.outcome_of(error)


def address_of(call: Call) -> Union[str, bytes]:
    """The address as the module takes it: a path as text, or NUL and an abstract name."""
    return b"\0" + call["name"] if call["kind"] == "namespaced" else os.fsdecode(call["name"])


class Framed:
    """A `Connection`, and the `maxlength` that the program wants for it."""

    def __init__(self, connection: connections.Connection, length_max: int) -> None:
        self.connection, self.length_max = connection, length_max

    def close(self) -> None:
        self.connection.close()


class Connections(cts_peer.Peer):
    implementation, version = "python-multiprocessing", platform.python_version()
    lanes = "single"
    features = ["local.listen.backlog", "stream.duplex", "stream.read.timeout", "framing.escape"]
    features += NAME_FEATURES + CREDENTIAL_FEATURES

    def discard(self, value: Any) -> None:
        try:
            value.close()
        except FileNotFoundError:  # a Listener's, whose socket is closed by then: its file had gone before
            pass

    def local_listen(self, call: Call) -> Dict[str, Any]:
        listener = connections.Listener(address_of(call), backlog=call.get("backlog", BACKLOG))
        call.make(listener)
        return {"native": os.fsencode(listener.address)}

    def local_connect(self, call: Call) -> None:
        call.make(connections.Client(address_of(call)))

    def listener_accept(self, call: Call) -> None:
        call.make(call.handle.accept())

    def listener_native(self, call: Call) -> Dict[str, Any]:
        return {"native": os.fsencode(call.handle.address)}

    def listener_close(self, call: Call) -> None:
        call.handle.close()

    def pipe_create(self, call: Call) -> None:
        reader, writer = connections.Pipe(duplex=False)
        call.make(reader, "read_as")
        call.make(writer, "write_as")

    def stream_read(self, call: Call) -> Dict[str, Any]:
        def read_some(size: int) -> bytes:
            if call.timeout is not None and not call.handle.poll(call.timeout):
                raise Outcome("timed_out")
            return os.read(call.handle.fileno(), size)

        return call.read(read_some)

    def stream_write(self, call: Call) -> Dict[str, Any]:
        return call.write(lambda data: os.write(call.handle.fileno(), data))

    def stream_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.fileno())}

    def stream_adopt(self, call: Call) -> None:
        call.make(connections.Connection(adopted_descriptor(call)))
        self.disown(call["raw"][1])

    def stream_close(self, call: Call) -> None:
        call.handle.close()

    if ON_LINUX:

        def stream_peer_credentials(self, call: Call) -> Dict[str, int]:
            with socket.socket(fileno=os.dup(call.handle.fileno())) as sock:
                return credentials_of(sock)

    def framed_open(self, call: Call) -> None:
        if call["codec"] not in ("u32", "escape"):  # which are one below 2^31
            raise Outcome("unsupported", "a Connection has one kind of frame")
        call.make(Framed(call.handle, call.get("max", 1 << 20)))

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
