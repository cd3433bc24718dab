"""Unix datagrams in the loop of asyncio: `loop.create_datagram_endpoint`.

An endpoint hands each message to a method of its protocol, whole, whatever room there is for it; the protocol here
keeps them in a queue. Names are text. Where sends go is said when the endpoint is made, so that what `socket.open`
makes has none before the first request that says so, or that needs one. Sends wait in memory; `pause_writing` tells
when that is much.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any, Dict, Optional

import cts_peer
from asyncio_streams import AsyncioStreams
from cts_peer import Call, Outcome, raw_fd
from handles import views_of
from streams import ON_LINUX, address_of, native_of


class Queue(asyncio.DatagramProtocol):
    """What came, in order: messages with the name of their sender, and errors that were no send's."""

    def __init__(self) -> None:
        self.came: "asyncio.Queue[Any]" = asyncio.Queue()
        self.closed: "asyncio.Future[Optional[Exception]]" = asyncio.get_running_loop().create_future()
        self._room = asyncio.Event()
        self._room.set()
        self._sending, self._send_error = False, None  # type: bool, Optional[Exception]

    def datagram_received(self, data: bytes, sender: Any) -> None:
        self.came.put_nowait((data, sender))

    def error_received(self, error: Exception) -> None:
        if self._sending:
            self._send_error = error
        else:
            self.came.put_nowait(error)

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._room.set()
        self.closed.set_result(error)

    async def send(self, transport: Any, data: bytes, receiver: Any) -> None:
        """sendto, which tells an error before it returns, closes the endpoint for it, or takes the message."""
        self._sending, self._send_error = True, None
        try:
            transport.sendto(data, receiver)
        finally:
            self._sending = False
        if self._send_error is not None:
            raise self._send_error
        if transport.is_closing():
            raise await asyncio.shield(self.closed) or Outcome("failed", "the endpoint is closed")
        await self._room.wait()


class AsyncSocket:
    """An endpoint, made at once or with its first use."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._messages: Any = None
        self._making = asyncio.Lock()

    async def make(self, **how: Any) -> None:
        loop = asyncio.get_running_loop()
        self._transport, self._messages = await loop.create_datagram_endpoint(Queue, **how)

    async def connect(self, name: str, timeout: Optional[float]) -> None:
        async with self._making:
            if self._transport is not None:
                raise Outcome("unsupported", "an endpoint has its receiver from the beginning or never")
            await asyncio.wait_for(self.make(family=socket.AF_UNIX, remote_addr=name), timeout)

    async def _made(self) -> None:
        async with self._making:
            if self._transport is None:
                await self.make(family=socket.AF_UNIX)

    async def sock(self) -> Any:
        await self._made()
        return self._transport.get_extra_info("socket")

    async def send(self, data: bytes, receiver: Any) -> None:
        await self._made()
        await self._messages.send(self._transport, data, receiver)

    async def receive(self) -> Any:
        await self._made()
        return await self._messages.came.get()

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._messages.closed
            await asyncio.sleep(0)  # asyncio closes the descriptor behind that callback

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class AsyncioDatagrams(AsyncioStreams):
    features = ["socket.connect.timeout", "socket.receive.timeout"] + (["unix.abstract"] if ON_LINUX else [])

    async def _new_socket(self, call: Call, **how: Any) -> AsyncSocket:
        made = AsyncSocket()
        await made.make(**how)
        call.make(made)
        return made

    def socket_open(self, call: Call) -> None:
        if call["type"] != "datagram":
            raise Outcome("unsupported", "asyncio has no seqpacket sockets")
        call.make(AsyncSocket())

    async def socket_bind(self, call: Call) -> Dict[str, Any]:
        if "kind" not in call or "name" not in call:
            raise Outcome("invalid_argument", "no name")
        made = await self._new_socket(call, family=socket.AF_UNIX, local_addr=os.fsdecode(address_of(call)))
        return {"native": native_of(await made.sock())}

    async def socket_connect(self, call: Call) -> None:
        await call.handle.connect(os.fsdecode(address_of(call)), call.timeout)

    async def socket_native(self, call: Call) -> Dict[str, Any]:
        return {"native": native_of(await call.handle.sock())}

    async def socket_send(self, call: Call) -> Dict[str, Any]:
        data = b"".join(views_of(call["data"], call.get("lengths", [len(call["data"])])))
        receiver = address_of(call, "to_kind", "to") if "to" in call else None
        try:
            await call.handle.send(data, receiver)
        except Exception as error:
            outcome = cts_peer.outcome_of(error)
            outcome.results["length"] = 0
            raise outcome from error
        return {"length": len(data)}

    async def socket_receive(self, call: Call) -> Dict[str, Any]:
        try:
            came = await asyncio.wait_for(call.handle.receive(), call.timeout)
            if isinstance(came, Exception):
                raise came
        except (Exception, asyncio.CancelledError) as error:
            outcome = cts_peer.outcome_of(error)
            outcome.results.update(length=0, crc32=0, data=b"")
            raise outcome from error
        data, sender = came
        return dict(cts_peer.read_results(data, 0), **({"from": os.fsencode(sender)} if sender else {}))

    async def socket_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd((await call.handle.sock()).fileno())}

    async def socket_adopt(self, call: Call) -> None:
        await self._adopt(call, lambda sock: self._new_socket(call, sock=sock))

    async def socket_close(self, call: Call) -> None:
        await call.handle.close()
