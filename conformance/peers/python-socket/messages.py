"""Sockets that move messages, and listeners of a type: `SOCK_DGRAM` and `SOCK_SEQPACKET` of `AF_UNIX`.

A socket object is the same for every type, so `accept` gives what the listener's type says. A program knows which it
has; the peer looks at `sock.type` before it calls it the one or the other.
"""

from __future__ import annotations

import socket
from typing import Any, Dict

import cts_peer
from ancillary import AncillaryData, control_of, nothing_moved, room_for
from cts_peer import Call, Outcome, raw_fd
from handles import adopted_socket, views_of
from streams import address_of, credentials_of, native_of

TYPES = {"stream": socket.SOCK_STREAM, "datagram": socket.SOCK_DGRAM, "seqpacket": socket.SOCK_SEQPACKET}


def bound_address(call: Call) -> bytes:
    """The address to bind; an empty one makes Linux choose an abstract name."""
    if call.get("autobind"):
        return b""
    if "kind" not in call or "name" not in call:
        raise Outcome("invalid_argument", "neither a name nor autobind")
    return address_of(call)


class Messages(AncillaryData):
    """Sockets that move messages, not in nonblocking mode.

    Nothing tells a loop when a datagram socket can go on: poll(2) calls one writable whatever the room of a receiver
    that it is not connected to, and readable for ever when it was shut down.
    """

    features = ["unix.seqpacket", "unix.abstract", "unix.autobind", "socket.receive.needed"]

    def unix_listen(self, call: Call) -> Dict[str, Any]:
        return self.listen(call, socket.socket(socket.AF_UNIX, TYPES[call["type"]]), bound_address(call))

    def listener_accept(self, call: Call) -> None:
        self._check_type(call, socket.SOCK_STREAM)
        super().listener_accept(call)

    def listener_accept_socket(self, call: Call) -> None:
        self._check_type(call, socket.SOCK_SEQPACKET)
        super().listener_accept(call)

    def _check_type(self, call: Call, wanted: int) -> None:
        if call.handle.sock.type != wanted:
            raise Outcome("unsupported", "the listener is of another type")

    def socket_open(self, call: Call) -> None:
        self.make_socket(call, socket.socket(socket.AF_UNIX, TYPES[call["type"]]))

    def socket_bind(self, call: Call) -> Dict[str, Any]:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            sock.bind(bound_address(call))
            native = native_of(sock)
        except BaseException:
            sock.close()
            raise
        self.make_socket(call, sock)
        return {"native": native}

    def socket_connect(self, call: Call) -> None:
        self.attempt(call, call.handle, "write", lambda: call.handle.sock.connect(address_of(call)))

    def socket_native(self, call: Call) -> Dict[str, Any]:
        return {"native": native_of(call.handle.sock)}

    def socket_send(self, call: Call) -> Dict[str, Any]:
        handle = call.handle
        views = views_of(call["data"], call.get("lengths", [len(call["data"])]))
        where = (0, address_of(call, "to_kind", "to")) if "to" in call else ()
        try:
            sent = self.attempt(call, handle, "write", lambda: handle.sock.sendmsg(views, control_of(call), *where))
        except Exception as error:
            raise nothing_moved(error) from error
        return {"length": sent}

    def socket_receive(self, call: Call) -> Dict[str, Any]:
        handle = call.handle
        buffers = [bytearray(length) for length in call.get("lengths", [call["max"]])]
        room = room_for(call, handle)
        # With MSG_TRUNC Linux tells the length of the whole message, whatever fitted (recv(2)).
        try:
            length, control, flags, sender = self.attempt(
                call, handle, "read", lambda: handle.sock.recvmsg_into(buffers, room, socket.MSG_TRUNC)
            )
        except Exception as error:
            raise nothing_moved(error, crc32=0, data=b"") from error
        beside = self.results_of(control, flags)
        if sender:
            beside["from"] = sender if isinstance(sender, bytes) else sender.encode("utf-8", "surrogateescape")
        data = b"".join(buffers)[: min(length, call["max"])]
        connected = handle.sock.type == socket.SOCK_SEQPACKET
        results = dict(cts_peer.read_results(data, 1 if connected and length == 0 else 0), **beside)
        if flags & socket.MSG_TRUNC:
            raise Outcome("message_truncated", needed=length, **results)
        return results

    def socket_next_length(self, call: Call) -> Dict[str, Any]:
        sock, flags = call.handle.sock, socket.MSG_PEEK | socket.MSG_TRUNC
        try:
            length = self.attempt(call, call.handle, "read", lambda: sock.recvmsg_into([bytearray()], 0, flags)[0])
        except Exception as error:
            raise nothing_moved(error) from error
        if length == 0 and sock.type == socket.SOCK_SEQPACKET:
            raise Outcome("end", length=0)
        return {"length": length}

    def socket_shutdown(self, call: Call) -> None:
        self.stream_shutdown(call)

    def socket_peer_credentials(self, call: Call) -> Dict[str, int]:
        return credentials_of(call.handle.sock)

    def socket_set_pass_credentials(self, call: Call) -> None:
        self.pass_credentials(call)

    def socket_set_nonblocking(self, call: Call) -> None:
        self.set_nonblocking(call)

    def socket_raw(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(call.handle.fileno())}

    def socket_release(self, call: Call) -> Dict[str, Any]:
        return {"raw": raw_fd(self.own(call.handle.detach()))}

    def socket_adopt(self, call: Call) -> None:
        self.make_socket(call, adopted_socket(call))
        self.disown(call["raw"][1])

    def socket_close(self, call: Call) -> None:
        call.handle.close()
