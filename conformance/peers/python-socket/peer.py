"""Peer for Python's standard library: `socket`, `os` and `signal` in two modes, `asyncio` streams in the third.

blocking      plain blocking calls, one thread a lane. Timeouts are `settimeout`.
nonblocking   `setblocking(False)`, `os.set_blocking`; the kit waits with poll, as a program's selector loop would.
async         `asyncio.start_unix_server`, `asyncio.open_unix_connection`, `StreamReader` and `StreamWriter`.

streams.py has the local sockets, ancillary.py what travels beside bytes, pipe.py pipes and FIFOs, asyncio_streams.py
the third mode, asyncio_pipes.py, asyncio_datagrams.py and asyncio_signals.py what else asyncio has; in the mode
blocking alone messages.py datagrams and seqpackets, signals.py signals (without modes).

Nothing is added to what the modules do. What they leave to the program and programs commonly do in a line is done here
in that line: unpacking SO_PEERCRED, putting NUL before an abstract name. What they leave undone stays undone:

- A close in one thread does not wake another one that waits in `recv` or `accept`, so the mode blocking does not offer
  close_while_in_use. In asyncio a local close looks like the end of the stream to a read under way, and a `drain`
  under way goes on waiting: not offered either.
- The socket file stays after a close (trait keeps_name; asyncio removes it since Python 3.13), and
  `start_unix_server` removes an old socket file before it binds, even one with a listener (unlinks_before_listen).
- asyncio accepts by itself and hands over connections by callback (accepts_eagerly). `StreamWriter.write` keeps
  whatever it is given until the system takes it (writes_to_user_queue); `drain`, which every write here is followed by,
  waits until little of it is left. So all that write was given has been taken, whatever becomes of the drain.
- A StreamReader refuses a read while another waits, and only `write_eof` shuts a direction down.
- An endpoint of datagrams takes what comes before anybody asks for it (receives_eagerly).
- Names too long raise an OSError without a number: `failed`, since no class can be told from it.
- A timeout of 0 is the module's nonblocking mode: what cannot be done at once is `would_block`, not `timed_out`.
- connect(2) answers EAGAIN while the backlog of a local socket is full, with a timeout or in nonblocking mode; nothing
  tells when to try again, and the module does not try: `would_block`. (asyncio believes that it is connected.)
- Pipes have no timeouts, and no operation on half of them: what `os` has no function for is `unsupported`.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any, Callable, List

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "kits", "python"))

import cts_peer
from asyncio_datagrams import AsyncioDatagrams
from asyncio_pipes import AsyncioPipes
from asyncio_signals import AsyncioSignals
from asyncio_streams import IMPLEMENTATION, VERSION
from cts_peer import Call
from pipe import Pipes
from plain_calls import PlainCalls
from signals import Signals
from streams import ON_LINUX, Streams

if ON_LINUX:  # control messages and types of sockets as it has them
    from ancillary import AncillaryData
    from messages import Messages
else:
    AncillaryData = Messages = Streams  # type: ignore[assignment, misc]


def features_of(*groups: Any) -> List[str]:
    """What groups of operations offer together, with those that they build upon."""
    found: List[str] = []
    for group in groups:
        for base in group.__mro__:
            found += [feature for feature in vars(base).get("features", []) if feature not in found]
    return found


class BlockingCalls(PlainCalls, Messages, Pipes, Signals):
    """Everything that the modules offer to threads that wait."""

    implementation, version = IMPLEMENTATION, VERSION
    mode = "blocking"
    features = (
        ["local.connect.timeout", "listener.accept.timeout", "stream.read.timeout", "stream.write.timeout"]
        + ["socket.connect.timeout", "socket.send.timeout", "socket.receive.timeout"]
        + features_of(Messages, Pipes)
    )
    unendable = Pipes.unendable + Signals.unendable


class NonblockingCalls(AncillaryData, Pipes):
    """Calls that do not wait; between attempts the kit waits until poll finds the descriptor ready."""

    implementation, version = IMPLEMENTATION, VERSION
    mode = "nonblocking"
    features = ["close_while_in_use"] + features_of(AncillaryData, Pipes)

    def attempt(self, call: Call, handle: Any, event: str, function: Callable[[], Any]) -> Any:
        return call.attempt(handle.fileno(), event, function, once=handle.once)

    def prepare(self, handle: Any) -> Any:
        handle.set_timeout(0.0)
        return handle

    def connect(self, call: Call, sock: socket.socket, address: bytes) -> None:
        sock.setblocking(False)
        error_number = sock.connect_ex(address)
        if error_number == errno.EINPROGRESS and call.get("wait") is not False:
            call.wait_ready(sock, "write")
            error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number:
            raise OSError(error_number, os.strerror(error_number))

    def set_nonblocking(self, call: Call) -> None:
        call.handle.set_timeout(0.0)  # the module's switch is on in this mode anyway; the kit stops waiting
        call.handle.once = call["nonblocking"]


class Asyncio(AsyncioPipes, AsyncioDatagrams, AsyncioSignals):
    """What asyncio offers."""

    features = features_of(AsyncioPipes, AsyncioDatagrams, AsyncioSignals)


if __name__ == "__main__":
    cts_peer.run(BlockingCalls, NonblockingCalls, Asyncio)
