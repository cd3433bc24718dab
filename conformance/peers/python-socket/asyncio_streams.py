"""asyncio's streams: `start_unix_server`, `open_unix_connection`, `StreamReader` and `StreamWriter`."""

from __future__ import annotations

import asyncio
import platform
import socket
from typing import Any, Callable, Dict, List, Optional

import cts_peer
from cts_peer import Call, Outcome, raw_fd
from handles import adopted_socket, views_of
from streams import CREDENTIAL_FEATURES, NAME_FEATURES, ON_LINUX, address_of, credentials_of, native_of

IMPLEMENTATION, VERSION = "python-socket", platform.python_version()


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
        self._reader, self._writer = reader, writer

    async def reading(self) -> asyncio.StreamReader:
        return self._reader

    async def writing(self) -> asyncio.StreamWriter:
        return self._writer

    @property
    def sock(self) -> Any:
        return self._writer.get_extra_info("socket")

    def fileno(self) -> int:
        return int(self.sock.fileno())

    async def close(self) -> None:
        """As the documentation has it."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            pass  # how the connection broke has been said to the reads and writes that met it

    def abort(self) -> None:
        self._writer.transport.abort()


class AsyncioStreams(cts_peer.Peer):
    """asyncio's streams. Timeouts are `asyncio.wait_for`."""

    implementation = IMPLEMENTATION
    version = VERSION
    mode = "async"
    lanes = "task"
    features = (
        [
            "local.listen.backlog",
            "local.connect.timeout",
            "stream.read.timeout",
            "stream.write.timeout",
            "stream.duplex",
            "stream.half_close",
        ]
        + NAME_FEATURES
        + CREDENTIAL_FEATURES
    )
    traits = ["accepts_eagerly", "unlinks_before_listen", "writes_to_user_queue", "receives_eagerly"]
    traits += ["keeps_name"]  # a listener's until Python 3.13, a datagram socket's always

    async def discard(self, value: Any) -> None:
        if hasattr(value, "abort"):
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
        reader = await call.handle.reading()
        return await call.read_async(lambda size: asyncio.wait_for(reader.read(size), call.timeout))

    async def stream_write(self, call: Call) -> Dict[str, Any]:
        data, size = memoryview(call["data"]), call.get("buffer", 2**30)
        return await self._write(call, [data[start : start + size] for start in range(0, max(1, len(data)), size)])

    async def stream_write_vectored(self, call: Call) -> Dict[str, Any]:
        return await self._write(call, None)

    async def _write(self, call: Call, pieces: Optional[List[memoryview]]) -> Dict[str, Any]:
        """write, or writelines if `pieces` is None, and then drain.

        What write took it keeps, so it all counts; a writer that is closing, or that this made close, takes nothing.
        """
        writer, length = await call.handle.writing(), 0
        try:
            if pieces is None:
                writer.writelines(views_of(call["data"], call["lengths"]))
                length = 0 if writer.is_closing() else len(call["data"])
                await asyncio.wait_for(writer.drain(), call.timeout)
            for piece in pieces or ():
                writer.write(piece)
                length += 0 if writer.is_closing() else len(piece)
                await asyncio.wait_for(writer.drain(), call.timeout)
        except (Exception, asyncio.CancelledError) as error:
            outcome = cts_peer.outcome_of(error)
            outcome.results["length"] = length
            raise outcome from error
        return {"length": length}

    async def stream_shutdown(self, call: Call) -> None:
        if call["how"] != "write":
            raise Outcome("unsupported", "a StreamReader cannot be shut down")
        (await call.handle.writing()).write_eof()

    def stream_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.fileno())}

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
