"""What travels beside bytes: `sendmsg` and `recvmsg` with SCM_RIGHTS and SCM_CREDENTIALS, as in its examples."""

from __future__ import annotations

import array
import os
import socket
import struct
from typing import Any, Dict, List, Tuple

import cts_peer
from cts_peer import Call, Outcome
from handles import socket_of
from streams import Streams

CREDENTIALS = struct.Struct("iII")  # struct ucred of unix(7)
INT_BYTES = array.array("i").itemsize
MAX_DESCRIPTORS = 64


def control_of(call: Call) -> List[Tuple[int, int, Any]]:
    """The control messages that a request asks for."""
    messages: List[Tuple[int, int, Any]] = []
    if call.get("descriptors"):
        messages.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", call["descriptors"])))
    named = [call.get(field) for field in ("pid", "uid", "gid")]
    if call.get("credentials") or named != [None] * 3:
        own = (os.getpid(), os.geteuid(), os.getegid())
        filled = [usual if value is None else value for value, usual in zip(named, own)]
        messages.append((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, CREDENTIALS.pack(*filled)))
    return messages


def room_for(call: Call, handle: Any) -> int:
    """Bytes of a control buffer for what the request has room for: CMSG_LEN, so that padding makes no room for more."""
    descriptors = call.get("descriptors_max", 0)
    credentials = socket.CMSG_SPACE(CREDENTIALS.size) if handle.passes_credentials else 0
    return credentials + (socket.CMSG_LEN(descriptors * INT_BYTES) if descriptors else 0)


def nothing_moved(error: Exception, **results: Any) -> Outcome:
    """The status of a failed send or receive, which moved no byte."""
    outcome = cts_peer.outcome_of(error)
    outcome.results = dict(results, length=0)
    return outcome


class AncillaryData(Streams):
    """Ancillary data beside the bytes of a stream."""

    features = ["ancillary.descriptors", "ancillary.credentials"]

    def results_of(self, control: List[Tuple[int, int, bytes]], flags: int) -> Dict[str, Any]:
        """What came beside bytes. The descriptors are this process's own until a reset."""
        results: Dict[str, Any] = {}
        descriptors = array.array("i")
        for level, kind, data in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(data[: len(data) - len(data) % INT_BYTES])
            elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
                sender = CREDENTIALS.unpack(data)
                if sender[0] != 0:  # Linux's word for bytes sent before anybody asked who sends
                    results["pid"], results["uid"], results["gid"] = sender
        if descriptors:
            results["descriptors"] = [self.own(descriptor) for descriptor in descriptors]
        if flags & socket.MSG_CTRUNC:
            results["cut"] = True
        return results

    def stream_write_ancillary(self, call: Call) -> Dict[str, Any]:
        sock, control = socket_of(call.handle), control_of(call)

        def send(data: memoryview) -> int:
            sent: int = self.attempt(call, call.handle, "write", lambda: sock.sendmsg([data], control))
            control.clear()  # beside the first byte alone
            return sent

        return call.write(send)

    def stream_read_ancillary(self, call: Call) -> Dict[str, Any]:
        handle, sock = call.handle, socket_of(call.handle)
        try:
            data, control, flags, _ = self.attempt(
                call, handle, "read", lambda: sock.recvmsg(call["max"], room_for(call, handle))
            )
        except Exception as error:
            raise nothing_moved(error, crc32=0, data=b"") from error
        beside = self.results_of(control, flags)
        return dict(cts_peer.read_results(data, call["max"]), **beside)

    def stream_set_pass_credentials(self, call: Call) -> None:
        self.pass_credentials(call)

    def pass_credentials(self, call: Call) -> None:
        socket_of(call.handle).setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, call["pass"])
        call.handle.passes_credentials = call["pass"]
