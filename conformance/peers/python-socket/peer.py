"""Peer for local sockets of Python's standard library: `socket` in two modes, `asyncio` streams in the third.

blocking      plain blocking sockets, one thread a lane. Timeouts are `settimeout`.
nonblocking   `setblocking(False)`; the kit waits with poll, as a program's selector loop would.
async         `asyncio.start_unix_server`, `asyncio.open_unix_connection`, `StreamReader` and `StreamWriter`.

Nothing is added to what the modules do. What they leave to the program and programs commonly do in a line is done here
in that line: unpacking SO_PEERCRED, putting NUL before an abstract name. What they leave undone stays undone:

- A close in one thread does not wake another one that waits in `recv` or `accept`, so the mode blocking does not offer
  close_while_in_use. In asyncio a local close looks like the end of the stream to a read under way, and a `drain`
  under way goes on waiting: not offered either.
- The socket file stays after a close (trait keeps_name; asyncio removes it since Python 3.13), and
  `start_unix_server` removes an old socket file before it binds, even one with a listener (unlinks_before_listen).
- asyncio accepts by itself and hands over connections by callback (accepts_eagerly). `StreamWriter.write` keeps
  whatever it is given until the system takes it (writes_to_user_queue); `drain`, which every write here is followed by,
  waits until little of it is left.
- Names too long raise an OSError without a number: `failed`, since no class can be told from it.
- A timeout of 0 is the module's nonblocking mode: what cannot be done at once is `would_block`, not `timed_out`.
- connect(2) answers EAGAIN while the backlog of a local socket is full, with a timeout or in nonblocking mode; nothing
  tells when to try again, and the module does not try: `would_block`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import platform
import socket
import struct
import sys
from typing import Any, Callable, Dict, List, Optional

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "kits", "python"))

import cts_peer
from cts_peer import Call, Outcome, raw_fd

ON_LINUX = sys.platform.startswith("linux")
NAME_FEATURES = ["name.path"] + (["name.namespaced"] if ON_LINUX else [])
CREDENTIAL_FEATURES = ["stream.peer_credentials." + field for field in ("pid", "uid", "gid")] if ON_LINUX else []


def address_of(call: Call) -> bytes:
    """The address as the module takes it: a path, or NUL and an abstract name. A native address is one already."""
    return b"\0" + call["name"] if call["kind"] == "namespaced" else call["name"]


def native_of(sock: Any) -> bytes:
    """The address that the system has for `sock`: abstract ones are bytes in Python, paths are text."""
    return os.fsencode(sock.getsockname())


def credentials_of(sock: Any) -> Dict[str, int]:
    """Process, user and group at the other end (Linux: struct ucred; socket(7), unix(7))."""
    pid, uid, gid = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return {"pid": pid, "uid": uid, "gid": gid}


def adopted_socket(call: Call) -> socket.socket:
    """A socket object for a descriptor; the module finds out family and type itself."""
    kind, descriptor = call["raw"]
    if kind != "fd":
        raise Outcome("invalid_argument", "a raw handle of kind %s" % kind)
    try:
        return socket.socket(fileno=descriptor)
    except OverflowError as error:
        raise Outcome("invalid_argument", str(error)) from error
    except OSError as error:
        if error.errno == errno.ENOTSOCK:  # here it is the argument that is wrong, not a name
            raise Outcome("invalid_argument", str(error), error.errno) from error
        raise


def views_of(data: bytes, lengths: List[int]) -> List[memoryview]:
    """`data` cut into buffers of `lengths`."""
    views, start = [], 0
    for length in lengths:
        views.append(memoryview(data)[start : start + length])
        start += length
    return views


def views_after(views: List[memoryview], accepted: int) -> List[memoryview]:
    """What is left of `views` when their first `accepted` bytes are gone."""
    rest = []
    for view in views:
        skipped = min(accepted, len(view))
        accepted -= skipped
        if skipped < len(view):
            rest.append(view[skipped:])
    return rest


class Handle:
    """A socket and whether the request `set_nonblocking` switched it, so that its operations are single attempts."""

    def __init__(self, sock: socket.socket, once: bool = False) -> None:
        self.sock, self.once = sock, once

    def close(self) -> None:
        self.sock.close()


class SocketPeer(cts_peer.Peer):
    """What the modes blocking and nonblocking share; `attempt` is where they differ."""

    implementation = "python-socket"
    version = platform.python_version()
    features = ["wait", "local.listen.backlog", "stream.duplex"] + NAME_FEATURES + CREDENTIAL_FEATURES
    traits = ["keeps_name"]

    def attempt(self, call: Call, handle: Handle, event: str, function: Callable[[], Any]) -> Any:
        """Calls `function`, which performs one call of the module that may wait for `event`."""
        raise NotImplementedError

    def make_socket(self, call: Call, sock: socket.socket) -> None:
        """Names a new socket, in the state that the mode wants."""
        raise NotImplementedError

    def local_listen(self, call: Call) -> Dict[str, Any]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.bind(address_of(call))
            sock.listen(*([call["backlog"]] if "backlog" in call else []))
            native = native_of(sock)
        except BaseException:
            sock.close()
            raise
        self.make_socket(call, sock)
        return {"native": native}

    def listener_accept(self, call: Call) -> None:
        sock, _ = self.attempt(call, call.handle, "read", call.handle.sock.accept)
        self.make_socket(call, sock)

    def listener_native(self, call: Call) -> Dict[str, Any]:
        return {"native": native_of(call.handle.sock)}

    def set_nonblocking(self, call: Call) -> None:
        raise NotImplementedError

    def listener_set_nonblocking(self, call: Call) -> None:
        self.set_nonblocking(call)

    def stream_set_nonblocking(self, call: Call) -> None:
        self.set_nonblocking(call)

    def listener_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.sock.fileno())}

    def listener_release(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.sock.detach())}

    def listener_adopt(self, call: Call) -> None:
        self.make_socket(call, adopted_socket(call))

    def listener_close(self, call: Call) -> None:
        call.handle.close()

    def stream_read(self, call: Call) -> Dict[str, Any]:
        handle = call.handle
        return call.read(lambda size: self.attempt(call, handle, "read", lambda: handle.sock.recv(size)))

    def stream_write(self, call: Call) -> Dict[str, Any]:
        handle = call.handle
        return call.write(lambda data: self.attempt(call, handle, "write", lambda: handle.sock.send(data)))

    def stream_read_vectored(self, call: Call) -> Dict[str, Any]:
        buffers, handle = [bytearray(length) for length in call["lengths"]], call.handle
        length = self.attempt(call, handle, "read", lambda: handle.sock.recvmsg_into(buffers)[0])
        return cts_peer.read_results(b"".join(buffers)[:length], sum(call["lengths"]))

    def stream_write_vectored(self, call: Call) -> Dict[str, Any]:
        views, handle = views_of(call["data"], call["lengths"]), call.handle

        def send_rest(rest: memoryview) -> int:
            left = views_after(views, len(call["data"]) - len(rest))
            return self.attempt(call, handle, "write", lambda: handle.sock.sendmsg(left))

        return call.write(send_rest)

    def stream_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.sock.fileno())}

    def stream_release(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.sock.detach())}

    def stream_adopt(self, call: Call) -> None:
        self.make_socket(call, adopted_socket(call))

    def stream_close(self, call: Call) -> None:
        call.handle.close()

    if ON_LINUX:

        def stream_peer_credentials(self, call: Call) -> Dict[str, int]:
            return credentials_of(call.handle.sock)


class BlockingSocket(SocketPeer):
    """Plain blocking sockets. `wait: false` and timeouts are `settimeout`, for the one request."""

    mode = "blocking"
    features = SocketPeer.features + [
        "local.connect.timeout",
        "listener.accept.timeout",
        "stream.read.timeout",
        "stream.write.timeout",
    ]

    def attempt(self, call: Call, handle: Handle, event: str, function: Callable[[], Any]) -> Any:
        usual = handle.sock.gettimeout()
        timeout = 0.0 if call.get("wait") is False or handle.once else call.timeout
        if timeout == usual:
            return function()
        handle.sock.settimeout(timeout)
        try:
            return function()
        finally:
            handle.sock.settimeout(usual)

    def make_socket(self, call: Call, sock: socket.socket) -> None:
        call.make(Handle(sock))

    def local_connect(self, call: Call) -> None:
        handle = Handle(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            self.attempt(call, handle, "write", lambda: handle.sock.connect(address_of(call)))
        except BaseException:
            handle.close()
            raise
        call.make(handle)

    def set_nonblocking(self, call: Call) -> None:
        call.handle.sock.setblocking(not call["nonblocking"])
        call.handle.once = call["nonblocking"]


class NonblockingSocket(SocketPeer):
    """Sockets with `setblocking(False)`; between attempts the kit waits until poll finds the socket ready."""

    mode = "nonblocking"
    features = SocketPeer.features + ["close_while_in_use"]

    def attempt(self, call: Call, handle: Handle, event: str, function: Callable[[], Any]) -> Any:
        return call.attempt(handle.sock, event, function, once=handle.once)

    def make_socket(self, call: Call, sock: socket.socket) -> None:
        sock.setblocking(False)
        call.make(Handle(sock))

    def local_connect(self, call: Call) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            error_number = sock.connect_ex(address_of(call))
            if error_number == errno.EINPROGRESS and call.get("wait") is not False:
                call.wait_ready(sock, "write")
                error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if error_number:
                raise OSError(error_number, os.strerror(error_number))
        except BaseException:
            sock.close()
            raise
        call.make(Handle(sock))

    def set_nonblocking(self, call: Call) -> None:
        call.handle.sock.setblocking(False)  # the module's switch is on in this mode anyway; the kit stops waiting
        call.handle.once = call["nonblocking"]


class AsyncListener:
    """An asyncio.Server and the connections that its callback has handed over, which accept takes in order."""

    def __init__(self) -> None:
        self.server: Any = None
        self.connections: "asyncio.Queue[AsyncStream]" = asyncio.Queue()

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections.put_nowait(AsyncStream(reader, writer))

    @property
    def sock(self) -> Any:
        return self.server.sockets[0]

    def close(self) -> None:
        """Stops listening. Connections never accepted end for their clients."""
        self.server.close()
        while not self.connections.empty():
            self.connections.get_nowait().abort()


class AsyncStream:
    """A reader and a writer. They are no halves: closing the writer closes the connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @property
    def sock(self) -> Any:
        return self.writer.get_extra_info("socket")

    async def close(self) -> None:
        """As the documentation has it."""
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass  # how the connection broke has been said to the reads and writes that met it

    def abort(self) -> None:
        self.writer.transport.abort()


class AsyncioStreams(cts_peer.Peer):
    """asyncio's streams. Timeouts are `asyncio.wait_for`."""

    implementation = SocketPeer.implementation
    version = SocketPeer.version
    mode = "async"
    lanes = "task"
    features = (
        [
            "local.listen.backlog",
            "local.connect.timeout",
            "stream.read.timeout",
            "stream.write.timeout",
            "stream.duplex",
        ]
        + NAME_FEATURES
        + CREDENTIAL_FEATURES
    )
    traits = ["accepts_eagerly", "unlinks_before_listen", "writes_to_user_queue"]
    traits += ["keeps_name"] if sys.version_info < (3, 13) else []

    async def discard(self, value: Any) -> None:
        if isinstance(value, AsyncStream):
            value.abort()
        else:
            value.close()
        await asyncio.sleep(0)  # asyncio closes descriptors in a callback of the next turn

    async def _listen(self, call: Call, **where: Any) -> AsyncListener:
        listener = AsyncListener()
        listener.server = await asyncio.start_unix_server(listener.connected, **where)
        call.make(listener)
        return listener

    async def local_listen(self, call: Call) -> Dict[str, Any]:
        backlog = {"backlog": call["backlog"]} if "backlog" in call else {}
        listener = await self._listen(call, path=address_of(call), **backlog)
        return {"native": native_of(listener.sock)}

    async def local_connect(self, call: Call) -> None:
        reader, writer = await asyncio.wait_for(asyncio.open_unix_connection(address_of(call)), call.timeout)
        call.make(AsyncStream(reader, writer))

    async def listener_accept(self, call: Call) -> None:
        call.make(await call.handle.connections.get())

    def listener_native(self, call: Call) -> Dict[str, Any]:
        return {"native": native_of(call.handle.sock)}

    def listener_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.sock.fileno())}

    async def listener_adopt(self, call: Call) -> None:
        await self._adopt(call, lambda sock: self._listen(call, sock=sock))

    async def listener_close(self, call: Call) -> None:
        call.handle.close()
        await asyncio.sleep(0)  # asyncio closes the descriptor in a callback of the next turn

    async def stream_read(self, call: Call) -> Dict[str, Any]:
        reader = call.handle.reader
        return await call.read_async(lambda size: asyncio.wait_for(reader.read(size), call.timeout))

    async def stream_write(self, call: Call) -> Dict[str, Any]:
        data, size = memoryview(call["data"]), call.get("buffer", 2**30)
        return await self._write(call, [data[start : start + size] for start in range(0, max(1, len(data)), size)])

    async def stream_write_vectored(self, call: Call) -> Dict[str, Any]:
        return await self._write(call, None)

    async def _write(self, call: Call, pieces: Optional[List[memoryview]]) -> Dict[str, Any]:
        """write, or writelines if `pieces` is None, and then drain: what write took it keeps, so it all counts."""
        writer, length = call.handle.writer, 0
        try:
            if pieces is None:
                writer.writelines(views_of(call["data"], call["lengths"]))
                length = len(call["data"])
                await asyncio.wait_for(writer.drain(), call.timeout)
            for piece in pieces or ():
                writer.write(piece)
                length += len(piece)
                await asyncio.wait_for(writer.drain(), call.timeout)
        except (Exception, asyncio.CancelledError) as error:
            outcome = cts_peer.outcome_of(error)
            outcome.results["length"] = length
            raise outcome from error
        return {"length": length}

    def stream_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.sock.fileno())}

    async def stream_adopt(self, call: Call) -> None:
        async def open_connection(sock: socket.socket) -> None:
            call.make(AsyncStream(*await asyncio.open_unix_connection(sock=sock)))

        await self._adopt(call, open_connection)

    async def _adopt(self, call: Call, adopt: Callable[[socket.socket], Any]) -> None:
        sock = adopted_socket(call)
        try:
            await adopt(sock)
        except ValueError as error:  # asyncio's word for a socket of another family or type
            sock.detach()
            raise Outcome("invalid_argument", str(error)) from error
        except BaseException:
            sock.detach()  # a handle that is not taken over stays the caller's
            raise

    async def stream_close(self, call: Call) -> None:
        await call.handle.close()

    if ON_LINUX:

        def stream_peer_credentials(self, call: Call) -> Dict[str, int]:
            return credentials_of(call.handle.sock)


if __name__ == "__main__":
    cts_peer.run(BlockingSocket, NonblockingSocket, AsyncioStreams)
