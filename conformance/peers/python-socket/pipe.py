"""Unnamed pipes and FIFO files: `os.pipe`, `os.mkfifo`, `os.open`. `os` removes no FIFO but any file: not offered."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import Any, Callable, Tuple

import cts_peer
from cts_peer import Call, Outcome
from handles import PipeHandle

HAS_CAPACITY = hasattr(fcntl, "F_SETPIPE_SZ")  # Linux, Python 3.10


def new_pipe(call: Call) -> Tuple[int, int]:
    """The descriptors of a pipe, reader and writer, as `pipe.create` asks for them."""
    reader, writer = os.pipe()
    try:
        os.set_inheritable(reader, call.get("inherit_reader", False))
        os.set_inheritable(writer, call.get("inherit_writer", False))
        if "capacity" in call:
            _ask_for_capacity(writer, call["capacity"])
    except BaseException:
        os.close(reader)
        os.close(writer)
        raise
    return reader, writer


def _ask_for_capacity(writer: int, capacity: int) -> None:
    """A hint: what the system does not grant is not insisted on."""
    try:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, min(capacity, 2**31 - 1))
    except OSError:
        pass


def opened_fifo(call: Call) -> int:
    """The descriptor of the FIFO that `fifo.open` names."""
    access = os.O_RDONLY if call["direction"] == "read" else os.O_WRONLY
    waits = call.get("wait") is not False
    try:
        descriptor: int = _with_path(lambda: os.open(call["path"], access | (0 if waits else os.O_NONBLOCK)))
    except OSError as error:
        if error.errno == errno.ENXIO and not waits:  # open(2): nobody has it open for reading
            raise Outcome("would_block", str(error), error.errno) from error
        raise
    if not waits:
        os.set_blocking(descriptor, True)
    return descriptor


def _with_path(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except ValueError as error:  # the word of `os` for a path with a NUL
        raise Outcome("invalid_name", str(error)) from error


class NewPipes(cts_peer.Peer):
    """How pipes are made, whatever is done with them."""

    features = ["pipe.inherit"] + (["pipe.capacity"] if HAS_CAPACITY else [])
    unendable = ["fifo.open"]  # the open of a FIFO that waits has no handle to close

    def fifo_create(self, call: Call) -> None:
        _with_path(lambda: os.mkfifo(call["path"], call["mode"]))


class Pipes(NewPipes):
    """Pipes that are descriptors."""

    def prepare(self, handle: Any) -> Any:
        raise NotImplementedError

    def pipe_create(self, call: Call) -> None:
        reader, writer = new_pipe(call)
        call.make(self.prepare(PipeHandle(reader)), "read_as")
        call.make(self.prepare(PipeHandle(writer)), "write_as")

    def fifo_open(self, call: Call) -> None:
        call.make(self.prepare(PipeHandle(opened_fifo(call))))
