"""How the mode blocking calls the modules."""

from __future__ import annotations

import socket
from typing import Any, Callable

import cts_peer
from cts_peer import Call


class PlainCalls(cts_peer.Peer):
    """Plain blocking calls. `wait: false` and timeouts are `settimeout`, for the one request."""

    mode = "blocking"

    def attempt(self, call: Call, handle: Any, event: str, function: Callable[[], Any]) -> Any:
        usual = handle.timeout()
        timeout = 0.0 if call.get("wait") is False or handle.once else call.timeout
        if timeout == usual:
            return function()
        handle.set_timeout(timeout)
        try:
            return function()
        finally:
            handle.set_timeout(usual)

    def prepare(self, handle: Any) -> Any:
        return handle

    def connect(self, call: Call, sock: socket.socket, address: bytes) -> None:
        sock.settimeout(0.0 if call.get("wait") is False else call.timeout)
        sock.connect(address)
        sock.settimeout(None)

    def set_nonblocking(self, call: Call) -> None:
        call.handle.set_timeout(0.0 if call["nonblocking"] else None)
        call.handle.once = call["nonblocking"]
