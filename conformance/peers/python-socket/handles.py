"""What the peer's handles are: a socket object, or a descriptor that is one end of a pipe.

Both answer to the same names, each with the one call that the standard library has for it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import Any, List, Optional, Sequence

from cts_peer import Call, Outcome


class SocketHandle:
    """A socket, and whether `set_nonblocking` switched it, so that its operations are single attempts."""

    def __init__(self, sock: socket.socket, once: bool = False) -> None:
        self.sock, self.once = sock, once
        self.passes_credentials = False  # `set_pass_credentials`: room for them is needed in every call

    def fileno(self) -> int:
        return self.sock.fileno()

    def timeout(self) -> Optional[float]:
        return self.sock.gettimeout()

    def set_timeout(self, timeout: Optional[float]) -> None:
        """The module's switch: None waits, 0 does not, anything else waits so many seconds."""
        self.sock.settimeout(timeout)

    def read(self, size: int) -> bytes:
        return self.sock.recv(size)

    def write(self, data: memoryview) -> int:
        return self.sock.send(data)

    def read_into(self, buffers: List[bytearray]) -> int:
        return self.sock.recvmsg_into(buffers)[0]

    def write_from(self, views: Sequence[memoryview]) -> int:
        return self.sock.sendmsg(views)

    def detach(self) -> int:
        return self.sock.detach()

    def close(self) -> None:
        self.sock.close()


class PipeHandle:
    """One end of a pipe or FIFO: a descriptor and the functions of `os`, which know no timeout."""

    def __init__(self, descriptor: int, once: bool = False) -> None:
        self._descriptor, self.once = descriptor, once

    def fileno(self) -> int:
        return self._descriptor

    def timeout(self) -> Optional[float]:
        return None if os.get_blocking(self._descriptor) else 0.0

    def set_timeout(self, timeout: Optional[float]) -> None:
        if timeout:
            raise Outcome("unsupported", "os.read and os.write know no timeout")
        os.set_blocking(self._descriptor, timeout is None)

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)

    def write(self, data: memoryview) -> int:
        return os.write(self._descriptor, data)

    def read_into(self, buffers: List[bytearray]) -> int:
        return os.readv(self._descriptor, buffers)

    def write_from(self, views: Sequence[memoryview]) -> int:
        return os.writev(self._descriptor, views)

    def detach(self) -> int:
        descriptor, self._descriptor = self._descriptor, -1
        return descriptor

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self.detach())


def socket_of(handle: Any) -> socket.socket:
    """The socket of a stream. Raises Outcome `unsupported` for a pipe, for which there is nothing to call."""
    if not isinstance(handle, SocketHandle):
        raise Outcome("unsupported", "os has no such function for a pipe")
    return handle.sock


def adopted_descriptor(call: Call) -> int:
    """The descriptor in `raw`. Raises Outcome `invalid_argument` if it is none of this system."""
    kind, descriptor = call["raw"]
    if kind != "fd" or descriptor >= 2**31:
        raise Outcome("invalid_argument", "a raw handle of kind %s and value %d" % (kind, descriptor))
    return int(descriptor)


def adopted_socket(call: Call) -> socket.socket:
    """A socket object for a descriptor; the module finds out family and type itself."""
    descriptor = adopted_descriptor(call)
    try:
        return socket.socket(fileno=descriptor)
    except OSError as error:
        if error.errno == errno.ENOTSOCK:  # here it is the argument that is wrong, not a name
            raise Outcome("invalid_argument", str(error), error.errno) from error
        raise


def adopted_stream(call: Call) -> Any:
    """A handle for a descriptor: a program knows which of the two it has."""
    descriptor = adopted_descriptor(call)
    if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return PipeHandle(descriptor)
    return SocketHandle(adopted_socket(call))


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
