"""Unnamed pipes and FIFO files in the loop of asyncio: `connect_read_pipe` and `connect_write_pipe`.

asyncio makes neither pipes nor FIFOs: that is `os`, as in the other modes. An open that waits it leaves to a thread
(`run_in_executor`), in which nothing ends it. It has no streams for pipes either: a program puts a StreamReader or a
StreamWriter on the transport, with a StreamReaderProtocol between them. A transport reads as soon as it is there, so a
program that makes a pipe for its child makes none on the child's end: here an end has one from its first read or write.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import stat
from typing import Any, Optional

from asyncio_streams import AsyncioStreams
from cts_peer import Call, Outcome
from handles import adopted_descriptor
from pipe import NewPipes, new_pipe, opened_fifo


class AsyncPipe:
    """One end: a file without a buffer, later a transport on it with a reader or a writer."""

    def __init__(self, descriptor: int) -> None:
        self._reads = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        self._file = os.fdopen(descriptor, "rb" if self._reads else "wb", buffering=0)
        self._transport: Any = None
        self._reader: Optional[asyncio.StreamReader] = None
        self._writer: Optional[asyncio.StreamWriter] = None
        self._connecting = asyncio.Lock()

    async def reading(self) -> asyncio.StreamReader:
        await self._connect()
        if self._reader is None:
            raise Outcome("unsupported", "a StreamWriter reads nothing")
        return self._reader

    async def writing(self) -> asyncio.StreamWriter:
        await self._connect()
        if self._writer is None:
            raise Outcome("unsupported", "a StreamReader writes nothing")
        return self._writer

    async def _connect(self) -> None:
        async with self._connecting:
            if self._transport is not None:
                return
            loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            connect = loop.connect_read_pipe if self._reads else loop.connect_write_pipe
            self._transport, _ = await connect(lambda: protocol, self._file)
            if self._reads:
                self._reader = reader
            else:
                self._writer = asyncio.StreamWriter(self._transport, protocol, None, loop)

    @property
    def sock(self) -> Any:
        raise Outcome("unsupported", "a pipe is no socket")

    def fileno(self) -> int:
        return self._file.fileno()

    async def close(self) -> None:
        if self._transport is None:
            self._file.close()
            return
        self._transport.close()
        if self._writer is not None:
            try:
                await self._writer.wait_closed()
            except OSError:
                pass  # how the pipe broke has been said to the writes that met it
        await asyncio.sleep(0)  # asyncio closes the descriptor in a callback of the next turn

    def abort(self) -> None:
        if self._transport is None:
            self._file.close()
        elif self._writer is None:
            self._transport.close()
        elif (
            not self._transport.is_closing() or self._transport.get_write_buffer_size()
        ):  # else abort trips over itself
            self._transport.abort()


class AsyncioPipes(AsyncioStreams, NewPipes):
    def pipe_create(self, call: Call) -> None:
        reader, writer = new_pipe(call)
        call.make(AsyncPipe(reader), "read_as")
        call.make(AsyncPipe(writer), "write_as")

    async def fifo_open(self, call: Call) -> None:
        call.make(AsyncPipe(await asyncio.get_running_loop().run_in_executor(None, opened_fifo, call)))

    async def stream_adopt(self, call: Call) -> None:
        descriptor = adopted_descriptor(call)
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            call.make(AsyncPipe(descriptor))
        else:
            await super().stream_adopt(call)
