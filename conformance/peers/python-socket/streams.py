"""Local sockets: `AF_UNIX` stream sockets as listeners and streams, and what streams of every kind share."""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import Any, Callable, Dict

import cts_peer
from cts_peer import Call, raw_fd
from handles import SocketHandle, adopted_socket, adopted_stream, socket_of, views_after, views_of

ON_LINUX = sys.platform.startswith("linux")
NAME_FEATURES = ["name.path"] + (["name.namespaced"] if ON_LINUX else [])
CREDENTIAL_FEATURES = ["stream.peer_credentials." + field for field in ("pid", "uid", "gid")] if ON_LINUX else []


def address_of(call: Call, kind: str = "kind", name: str = "name") -> bytes:
    """The address as the module takes it: a path, or NUL and an abstract name. A native address is one already."""
    return b"\0" + call[name] if call[kind] == "namespaced" else call[name]


def native_of(sock: Any) -> bytes:
    """The address that the system has for `sock`: abstract ones are bytes in Python, paths are text."""
    return os.fsencode(sock.getsockname())


def credentials_of(sock: Any) -> Dict[str, int]:
    """Process, user and group at the other end (Linux: struct ucred; socket(7), unix(7))."""
    pid, uid, gid = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return {"pid": pid, "uid": uid, "gid": gid}


class Streams(cts_peer.Peer):
    """What the modes blocking and nonblocking share; `attempt` and its neighbours are where they differ."""

    features = ["wait", "local.listen.backlog", "stream.duplex", "stream.half_close", "stream.shutdown.read"]
    features += NAME_FEATURES + CREDENTIAL_FEATURES
    traits = ["keeps_name"]

    def attempt(self, call: Call, handle: Any, event: str, function: Callable[[], Any]) -> Any:
        """Calls `function`, which performs one call of the module that may wait for `event`."""
        raise NotImplementedError

    def prepare(self, handle: Any) -> Any:
        """Brings a new handle into the state that the mode wants."""
        raise NotImplementedError

    def connect(self, call: Call, sock: socket.socket, address: bytes) -> None:
        """Connects a socket that no request knows yet."""
        raise NotImplementedError

    def set_nonblocking(self, call: Call) -> None:
        raise NotImplementedError

    def make_socket(self, call: Call, sock: socket.socket) -> None:
        """Names a new socket."""
        call.make(self.prepare(SocketHandle(sock)))

    def listen(self, call: Call, sock: socket.socket, address: bytes) -> Dict[str, Any]:
        """Makes `sock` a listener, or closes it."""
        try:
            sock.bind(address)
            sock.listen(*([call["backlog"]] if "backlog" in call else []))
            native = native_of(sock)
        except BaseException:
            sock.close()
            raise
        self.make_socket(call, sock)
        return {"native": native}

    def local_listen(self, call: Call) -> Dict[str, Any]:
        return self.listen(call, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), address_of(call))

    def local_connect(self, call: Call) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.connect(call, sock, address_of(call))
        except BaseException:
            sock.close()
            raise
        self.make_socket(call, sock)

    def listener_accept(self, call: Call) -> None:
        sock, _ = self.attempt(call, call.handle, "read", call.handle.sock.accept)
        self.make_socket(call, sock)

    def listener_native(self, call: Call) -> Dict[str, Any]:
        return {"native": native_of(call.handle.sock)}

    def listener_set_nonblocking(self, call: Call) -> None:
        self.set_nonblocking(call)

    def listener_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.fileno())}

    def listener_release(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(self.own(call.handle.detach()))}

    def listener_adopt(self, call: Call) -> None:
        self.make_socket(call, adopted_socket(call))
        self.disown(call["raw"][1])

    def listener_close(self, call: Call) -> None:
        call.handle.close()

    def stream_read(self, call: Call) -> Dict[str, Any]:
        handle = call.handle
        return call.read(lambda size: self.attempt(call, handle, "read", lambda: handle.read(size)))

    def stream_write(self, call: Call) -> Dict[str, Any]:
        handle = call.handle
        return call.write(lambda data: self.attempt(call, handle, "write", lambda: handle.write(data)))

    def stream_read_vectored(self, call: Call) -> Dict[str, Any]:
        buffers, handle = [bytearray(length) for length in call["lengths"]], call.handle
        length = self.attempt(call, handle, "read", lambda: handle.read_into(buffers))
        return cts_peer.read_results(b"".join(buffers)[:length], sum(call["lengths"]))

    def stream_write_vectored(self, call: Call) -> Dict[str, Any]:
        views, handle = views_of(call["data"], call["lengths"]), call.handle

        def write_rest(rest: memoryview) -> int:
            left = views_after(views, len(call["data"]) - len(rest))
            return self.attempt(call, handle, "write", lambda: handle.write_from(left))

        return call.write(write_rest)

    def stream_shutdown(self, call: Call) -> None:
        how = {"read": socket.SHUT_RD, "write": socket.SHUT_WR, "both": socket.SHUT_RDWR}[call["how"]]
        socket_of(call.handle).shutdown(how)

    def stream_set_nonblocking(self, call: Call) -> None:
        self.set_nonblocking(call)

    def stream_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.fileno())}

    def stream_release(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(self.own(call.handle.detach()))}

    def stream_adopt(self, call: Call) -> None:
        call.make(self.prepare(adopted_stream(call)))
        self.disown(call["raw"][1])

    def stream_close(self, call: Call) -> None:
        call.handle.close()

    if ON_LINUX:

        def stream_peer_credentials(self, call: Call) -> Dict[str, int]:
            return credentials_of(socket_of(call.handle))
