"""Drives a peer through the basic exchange of spec/peer_protocol.md: the test that all kits share.

    python3 exchange.py [--mode MODE] -- COMMAND...

It asks nothing of the library under test but a connection, bytes there and back, and the end; the rest is what a kit
does: hello, strict lines, argument checks, lanes, watching, reset, the end of input. The other end of a connection is
a socket of this script. Prints a line a check; exit status 0 if all hold, 1 if one does not, 2 if it could not run.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

DEADLINE_S = 30.0
LINE_MAX = 65536
KITS = Path(__file__).resolve().parent.parent
TABLES = json.loads((KITS / "python" / "operations.json").read_text(encoding="utf-8"))
VECTORS = json.loads((KITS / "vectors.json").read_text(encoding="utf-8"))["pattern"]

BAD_LINES = {
    "empty": b"",
    "no JSON": b"garbage",
    "an array": b"[1]",
    "text after the object": b'{"id":1000,"op":"x"} y',
    "a key twice": b'{"id":1000,"id":1000,"op":"x"}',
    "a key twice inside": b'{"id":1000,"op":"x","a":{"b":1,"b":2}}',
    "a float": b'{"id":1000,"op":"x","a":1.5}',
    "an exponent": b'{"id":1000,"op":"x","a":1e2}',
    "NaN": b'{"id":1000,"op":"x","a":NaN}',
    "Infinity": b'{"id":1000,"op":"x","a":-Infinity}',
    "2^53": b'{"id":1000,"op":"x","a":9007199254740992}',
    "a leading zero": b'{"id":1000,"op":"x","a":01}',
    "5000 digits": b'{"id":1000,"op":"x","a":' + b"9" * 5000 + b"}",
    "nested 9 deep": b'{"id":1000,"op":"x","a":' + b"[" * 8 + b"]" * 8 + b"}",
    "nested 20000 deep": b'{"id":1000,"op":"x","a":' + b"[" * 20000 + b"]" * 20000 + b"}",
    "no UTF-8": b'{"id":1000,"op":"\xff\xfe"}',
    "an encoded surrogate": b'{"id":1000,"op":"\xed\xa0\x80"}',
    "an unpaired surrogate": b'{"id":1000,"op":"\\ud800"}',
    "a control character": b'{"id":1000,"op":"x\x01"}',
    "no id": b'{"op":"hello"}',
    "id 0": b'{"id":0,"op":"x"}',
    "a negative id": b'{"id":-1,"op":"x"}',
    "a boolean id": b'{"id":true,"op":"x"}',
    "a textual id": b'{"id":"1","op":"x"}',
}


class CheckFailed(Exception):
    """A check does not hold; the message says what came instead."""


def expect(holds: bool, what: str, got: Any = None) -> None:
    if not holds:
        raise CheckFailed(what if got is None else "%s; got %.600r" % (what, got))


def receive(other: socket.socket, length: int) -> bytes:
    """`length` bytes, or fewer at the end. (MSG_WAITALL does not wait on a socket with a timeout.)"""
    data = bytearray()
    while len(data) < length:
        block = other.recv(length - len(data))
        if not block:
            break
        data += block
    return bytes(data)


class PeerProcess:
    """A peer: requests go in, replies and events come out; nothing is waited for longer than the deadline."""

    def __init__(self, command: List[str]) -> None:
        # What Bazel tells its own Python (PYTHONSAFEPATH) is not for a peer.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=environment,
        )
        assert self.process.stdout is not None
        self._start(os.dup(self.process.stdout.fileno()))

    def _start(self, output: int) -> None:
        self.replies: Dict[int, List[Dict[str, Any]]] = {}
        self.events: List[Dict[str, Any]] = []
        self._last_id = 0
        self._lines: "queue.Queue[Optional[bytes]]" = queue.Queue()
        threading.Thread(target=self._read, args=(output,), daemon=True).start()

    def _read(self, output: int) -> None:
        with os.fdopen(output, "rb") as stdout:
            for line in stdout:
                self._lines.put(line)
        self._lines.put(None)

    def send_line(self, line: bytes) -> None:
        assert self.process.stdin is not None
        rest = memoryview(line)
        while rest:
            rest = rest[self.process.stdin.write(rest) :]

    def begin(self, operation: str, **keys: Any) -> int:
        """Writes a request and returns its id. `as_` is the key `as`."""
        self._last_id += 1
        request = {"id": self._last_id, "op": operation, **{key.rstrip("_"): value for key, value in keys.items()}}
        self.send_line(json.dumps(request).encode("ascii") + b"\n")
        return self._last_id

    def take_line(self) -> None:
        """Takes one line of the peer, a reply or an event."""
        try:
            line = self._lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise CheckFailed("nothing came within %g s" % DEADLINE_S) from None
        expect(line is not None, "the peer ended")
        assert line is not None
        expect(line.endswith(b"\n") and len(line) <= LINE_MAX, "a line of the peer is too long or cut", line)
        message = json.loads(line.decode("utf-8"))
        if "event" in message:
            self.events.append(message)
        else:
            expect(message.get("status") in TABLES["statuses"], "a reply has a status of the list", message)
            expect(len(message.get("why", "").encode()) <= 500, "why is at most 500 bytes", message)
            self.replies.setdefault(message["id"], []).append(message)

    def reply(self, request_id: int) -> Dict[str, Any]:
        """The reply to a request, which must be the only one."""
        while not self.replies.get(request_id):
            self.take_line()
        return self.replies[request_id].pop(0)

    def event(self, request_id: int) -> Dict[str, Any]:
        while not any(event["id"] == request_id for event in self.events):
            expect(not self.replies.get(request_id), "begun comes before the reply", self.replies.get(request_id))
            self.take_line()
        return next(event for event in self.events if event["id"] == request_id)

    def ask(self, operation: str, **keys: Any) -> Dict[str, Any]:
        return self.reply(self.begin(operation, **keys))

    def status(self, operation: str, **keys: Any) -> str:
        return self.ask(operation, **keys)["status"]

    def ok(self, operation: str, **keys: Any) -> Dict[str, Any]:
        reply = self.ask(operation, **keys)
        expect(reply["status"] == "ok", "%s is ok" % operation, reply)
        return reply

    def end(self) -> int:
        """Closes the peer's input and returns its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            return self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise CheckFailed("the peer goes on after the end of its input") from None

    def kill(self) -> None:
        """Leaves nothing behind, whatever state it is in."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


class ChildPeer(PeerProcess):
    """A peer that another one started: its channel is a connection that it makes itself."""

    def __init__(self, parent: PeerProcess, handle: str, directory: str) -> None:
        path = os.path.join(directory, secrets.token_hex(4))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            listener.settimeout(DEADLINE_S)
            self.pid = parent.ok("process.spawn", as_=handle, control=path)["pid"]
            self.connection, _ = listener.accept()
        self._start(os.dup(self.connection.fileno()))

    def send_line(self, line: bytes) -> None:
        self.connection.sendall(line)

    def end_input(self) -> None:
        self.connection.shutdown(socket.SHUT_WR)

    def expect_end(self, what: str) -> None:
        """Expects the end of what the peer writes: nobody holds the other end of the connection any more."""
        try:
            line = self._lines.get(timeout=DEADLINE_S)
        except queue.Empty:
            raise CheckFailed("%s; the channel is still open" % what) from None
        expect(line is None, what, line)
        self.connection.close()


class Exchange:
    """The checks, in order. They share one peer, which every check leaves without handles."""

    def __init__(self, command: List[str], mode: Optional[str], directory: str) -> None:
        self.command, self.mode, self.directory = command, mode, directory
        self.peer = PeerProcess(command)
        self.hello: Dict[str, Any] = {}

    def offers(self, *names: str) -> bool:
        return all(name in self.hello["operations"] or name in self.hello["features"] for name in names)

    def path(self) -> str:
        return os.path.join(self.directory, secrets.token_hex(4))

    # -- checks: names begin with check_, they run in the order of this page

    def check_hello(self) -> None:
        self.hello = hello = self.peer.ok("hello", protocol=99)
        if self.mode is not None:
            expect(self.mode in hello["modes"], "the mode is offered", hello["modes"])
            lanes = self.peer.ok("configure", mode=self.mode)["lanes"]
            self.hello = hello = self.peer.ok("hello", protocol=1)
            expect(hello["lanes"] == lanes, "hello after configure speaks of the mode chosen", hello["lanes"])
        expect(hello["protocol"] == 1, "the peer speaks protocol 1", hello["protocol"])
        for key in ("implementation", "version", "os", "lanes"):
            expect(isinstance(hello[key], str) and hello[key] != "", "%s is a text" % key, hello[key])
        expect(hello["lanes"] in ("thread", "task", "single"), "lanes", hello["lanes"])
        expect(("lanes" in hello["features"]) == (hello["lanes"] != "single"), "the feature lanes fits lanes", hello)
        known = (("operations", TABLES["operations"]), ("features", TABLES["features"]), ("traits", TABLES["traits"]))
        for key, table in known:
            expect(set(hello[key]) <= set(table), "%s are those of operations.toml" % key, hello[key])
        expect(set(hello["modes"]) <= {"blocking", "nonblocking", "async"} and bool(hello["modes"]), "modes", hello)
        expect({"hello", "reset"} <= set(hello["operations"]), "hello and reset are offered", hello["operations"])
        os.kill(hello["pid"], 0)

    def check_hello_arguments(self) -> None:
        for protocol in ("1", True, 0, -1, None, [1]):
            expect(self.peer.status("hello", protocol=protocol) == "invalid_argument", "protocol %r" % (protocol,))
        expect(self.peer.status("hello") == "invalid_argument", "protocol is missing")

    def check_unknown_operation(self) -> None:
        for name in ("cts." + secrets.token_hex(8), "", "__init__", "constructor", "o" * 5000):
            expect(self.peer.status(name) == "unsupported", "operation %.20r is unsupported" % name)
        missing = [name for name in TABLES["operations"] if name not in self.hello["operations"]]
        for name in missing:
            if name not in ("configure", "pending"):
                expect(self.peer.status(name) == "unsupported", "%s is not offered" % name)
        expect(self.peer.status("reset", unknown_key={"a": [None]}) == "ok", "an unknown key is ignored")

    def check_op_of_wrong_type(self) -> None:
        self.peer.send_line(b'{"id":900001}\n{"id":900002,"op":7}\n')
        for request_id in (900001, 900002):
            expect(self.peer.reply(request_id)["status"] == "invalid_argument", "op is no text")

    def check_bad_lines(self) -> None:
        for what, line in BAD_LINES.items():
            self.peer.send_line(line + b"\n")
            reply = self.peer.reply(0)
            expect(reply["status"] == "invalid_argument" and bool(reply.get("why")), "a line with %s" % what, reply)
        self.peer.ok("hello", protocol=1)
        expect(not self.peer.replies.get(1000) and not self.peer.replies.get(0), "one answer a line")

    def check_line_endings_and_lengths(self) -> None:
        self.peer.send_line(b'{"id":800001,"op":"hello","protocol":1}\r\n')
        expect(self.peer.reply(800001)["status"] == "ok", "CR before LF")
        head, tail = b'{"id":800002,"op":"hello","protocol":1,"pad":"', b'"}\n'
        self.peer.send_line(head + b"x" * (LINE_MAX - len(head) - len(tail)) + tail)
        expect(self.peer.reply(800002)["status"] == "ok", "a line of exactly %d bytes" % LINE_MAX)
        self.peer.send_line(head + b"x" * (LINE_MAX - len(head) - len(tail) + 1) + tail)
        expect(self.peer.reply(0)["status"] == "invalid_argument", "a line one byte longer")
        for part in (b'{"id":800003,"op":"he', b'llo","proto', b'col":1}\n'):
            self.peer.send_line(part)
        expect(self.peer.reply(800003)["status"] == "ok", "a line in pieces")
        self.peer.ok("hello", protocol=1)
        expect(not self.peer.replies.get(0), "one answer a line")

    def check_endless_line(self) -> None:
        self.peer.ok("hello", protocol=1)
        before = self.resident_kib()
        block = b"x" * 2**20
        for _ in range(64):
            self.peer.send_line(block)
        self.peer.send_line(b"\n")
        expect(self.peer.reply(0)["status"] == "invalid_argument", "a line of 64 MiB")
        self.peer.ok("hello", protocol=1)
        grown = self.resident_kib() - before
        expect(grown < 48 * 1024, "a line of 64 MiB is not kept", "%d KiB more at its peak" % grown)

    def resident_kib(self) -> int:
        """The largest resident size the peer has had; 0 where the system does not say."""
        try:
            status = Path("/proc/%d/status" % self.hello["pid"]).read_text(encoding="ascii", errors="replace")
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")), 0)

    def check_handle_names(self) -> None:
        if self.offers("stream.close"):
            for name in ("none", "", "a/b", "x" * 64, 7, None):
                expect(self.peer.status("stream.close", on=name) == "invalid_argument", "no handle %.20r" % (name,))
            expect(self.peer.status("stream.close") == "invalid_argument", "on is missing")
        if self.offers("local.connect", "name.path"):
            for name in ("", "a b", "x" * 64, 7, None):
                status = self.peer.status("local.connect", as_=name, kind="path", name=self.path())
                expect(status == "invalid_argument", "no name for a handle: %.20r" % (name,), status)

    def check_argument_types(self) -> None:
        if not self.offers("local.connect", "name.path"):
            return
        good: Dict[str, Any] = {"as_": "c", "kind": "path", "name": self.path()}
        for key, value in (
            ("kind", "other"),
            ("kind", 1),
            ("name", 5),
            ("name", {"b64": "A"}),
            ("name", {"b64": "QR=="}),
            ("name", {"b64": "QQ"}),
            ("name", {}),
            ("name", None),
            ("lane", 7),
            ("lane", "control"),
        ):
            status = self.peer.status("local.connect", **{**good, key: value})
            expect(status == "invalid_argument", "%s: %r" % (key, value), status)
        for key in ("kind", "name"):
            request = {other: value for other, value in good.items() if other != key}
            expect(self.peer.status("local.connect", **request) == "invalid_argument", "%s is missing" % key)
        if not self.offers("local.connect.timeout"):
            expect(self.peer.status("local.connect", timeout_ms=1, **good) == "unsupported", "timeout_ms not offered")
        status = self.peer.status("local.connect", **good)
        expect(status not in ("ok", "invalid_argument"), "a name that is not there", status)

    def check_client(self) -> None:
        if not self.offers("local.connect", "stream.read", "stream.write", "stream.close", "name.path"):
            return
        path = self.path()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen()
            self.peer.ok("local.connect", as_="s", kind="path", name={"b64": base64.b64encode(path.encode()).decode()})
            other, _ = listener.accept()
            with other:
                self.exchange_bytes(other)
                status = self.peer.status("local.connect", as_="s", kind="path", name=path)
                expect(status == "invalid_argument", "the name s is taken", status)
        self.check_end_and_close()

    def check_server(self) -> None:
        if not self.offers(
            "local.listen",
            "listener.accept",
            "listener.close",
            "stream.read",
            "stream.write",
            "stream.close",
            "name.path",
        ):
            return
        native = self.peer.ok("local.listen", as_="l", kind="path", name=self.path())["native"]
        address = base64.b64decode(native["b64"]) if isinstance(native, dict) else native.encode()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.connect(address)
            self.peer.ok("listener.accept", on="l", as_="s")
            status = self.peer.status("stream.read", on="l", until="some")
            expect(status == "invalid_argument", "a listener is no stream", status)
            self.exchange_bytes(other)
        self.check_end_and_close()
        self.peer.ok("listener.close", on="l")
        expect(self.peer.status("listener.close", on="l") == "invalid_argument", "a closed name is gone")

    def exchange_bytes(self, other: socket.socket) -> None:
        """Bytes and patterns both ways over the stream `s`, whose other end is ours."""
        other.settimeout(DEADLINE_S)
        expect(self.peer.ok("stream.write", on="s", data={"b64": "AP9B"})["length"] == 3, "length of a write")
        expect(receive(other, 3) == b"\0\xffA", "bytes arrive")
        other.sendall(b"\0\xffA")
        read = self.peer.ok("stream.read", on="s", until="exact", max=3)
        expect((read["length"], read["crc32"]) == (3, zlib.crc32(b"\0\xffA")), "digest of a read", read)
        expect(read["data"] == {"b64": "AP9B"}, "bytes in base64", read)
        for vector in VECTORS:
            self.exchange_pattern(other, vector)
        bad: List[Any] = [5, {}, {"seed": 65521, "length": 1}, {"seed": 0, "length": 2**30 + 1}, "x" * 4097]
        for data in bad:
            status = self.peer.status("stream.write", on="s", data=data)
            expect(status == "invalid_argument", "data %.40r" % (data,), status)
        for keys in ({"until": "exact"}, {"until": "x"}, {}, {"until": "some", "max": -1}):
            status = self.peer.status("stream.read", on="s", **keys)
            expect(status == "invalid_argument", "read %r" % (keys,), status)

    def exchange_pattern(self, other: socket.socket, vector: Dict[str, Any]) -> None:
        length = vector["length"]
        request = self.peer.begin("stream.write", on="s", data={"seed": vector["seed"], "length": length})
        data = receive(other, length)
        written = self.peer.reply(request)
        expect(written["status"] == "ok" and written["length"] == length, "a pattern is written", written)
        expect(zlib.crc32(data) == vector["crc32"], "pattern %r" % (vector,), zlib.crc32(data))
        if not length:
            return
        request = self.peer.begin("stream.read", on="s", until="exact", max=length, chunk=65536, buffer=50000)
        other.sendall(data)
        read = self.peer.reply(request)
        expect((read["status"], read["length"], read["crc32"]) == ("ok", length, vector["crc32"]), "its digest", read)
        chunks = [zlib.crc32(data[start : start + 65536]) for start in range(0, length, 65536)]
        expect(read["chunks"] == chunks, "digests of its chunks", read["chunks"])
        expect(("data" in read) == (length <= 4096), "data comes back up to 4096 bytes", read)

    def check_end_and_close(self) -> None:
        """For a stream `s` whose other end is closed. Not a check of its own but the end of two."""
        if "s" not in self.open_names():
            return
        read = self.peer.ask("stream.read", on="s", until="exact", max=10)
        expect(read["status"] == "end" and read["length"] == 0 and read["crc32"] == 0, "the end", read)
        self.peer.ok("stream.close", on="s")
        expect(self.peer.status("stream.close", on="s") == "invalid_argument", "a closed name is gone")

    def open_names(self) -> List[str]:
        return ["s"] if self.peer.status("stream.read", on="s", until="exact", max=0) != "invalid_argument" else []

    def blocked_read(self) -> Optional[Any]:
        """A stream `w` with a watched read under way in lane a: (our end, request id); None if not offered."""
        if not self.offers("local.connect", "stream.read", "stream.write", "name.path"):
            return None
        path = self.path()
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(path)
            listener.listen()
            self.peer.ok("local.connect", as_="w", kind="path", name=path, lane="a")
            other, _ = listener.accept()
        request = self.peer.begin("stream.read", on="w", until="some", watch=True, lane="a")
        event = self.peer.event(request)
        expect(event["event"] == "begun", "the event is begun", event)
        expect((event["tid"] > 0) == (self.hello["lanes"] != "task"), "tid of a thread, or 0 for a task", event)
        return other, request

    def check_lanes(self) -> None:
        blocked = self.blocked_read() if self.offers("lanes") else None
        if blocked is None:
            return
        other, request = blocked
        with other:
            for lane in ("b", "main", "c"):
                expect(self.peer.status("cts.none", lane=lane) == "unsupported", "lane %s goes on" % lane)
            queued = self.peer.begin("cts.none", lane="a")
            self.peer.ok("hello", protocol=1)
            if self.offers("pending"):
                expect(request in self.peer.ok("pending")["ids"], "pending lists the read")
            expect(not self.peer.replies.get(queued), "a lane is in order")
            other.sendall(b"x")
            expect(self.peer.reply(request).get("data") == "x", "the read ends with the data")
            expect(self.peer.reply(queued)["status"] == "unsupported", "then the request behind it")
            if self.offers("pending"):
                expect(self.peer.ok("pending")["ids"] == [], "nothing is pending")
            self.peer.ok("stream.close", on="w")

    def check_reset(self) -> None:
        blocked = self.blocked_read()
        if blocked is None:
            return
        other, request = blocked
        with other:
            if self.hello["lanes"] == "single":
                other.sendall(b"x")
                expect(self.peer.reply(request)["status"] == "ok", "the read ends with the data")
            reset = self.peer.ask("reset")
            expect(reset["status"] in ("ok", "busy"), "reset is ok or busy", reset)
            if reset["status"] == "busy":
                other.sendall(b"x")  # cannot be ended by the library: let it end, then all must go
                expect(self.peer.reply(request)["status"] == "ok", "the read ends with the data")
                self.peer.ok("reset")
            elif self.hello["lanes"] != "single":
                answer = self.peer.reply(request)
                expect(answer["status"] == "cancelled" and answer["length"] == 0, "the read is cancelled", answer)
            other.settimeout(DEADLINE_S)
            expect(other.recv(1) == b"", "reset has closed the stream")
        expect(self.peer.status("stream.close", on="w") == "invalid_argument", "its name is gone")

    def check_children(self) -> None:
        if not self.offers("process.spawn"):
            return
        expect(self.offers("process.wait", "process.close"), "the operations on processes come together")
        expect(self.peer.status("process.spawn", as_="c") == "invalid_argument", "control is missing")
        child = ChildPeer(self.peer, "c", self.directory)
        hello = child.ok("hello", protocol=1)
        expect(hello["pid"] == child.pid != self.hello["pid"], "the child says its own process id", hello["pid"])
        if self.mode is not None:
            child.ok("configure", mode=self.mode)
            hello = child.ok("hello", protocol=1)
        for key in ("implementation", "version", "lanes", "modes", "operations", "features", "traits"):
            expect(hello[key] == self.hello[key], "the child's %s are its parent's" % key, hello[key])
        child.send_line(b"garbage\n" + b"x" * (LINE_MAX + 1) + b'\n{"id":9,"op":"hel')
        for what in ("garbage", "a long line"):
            expect(child.reply(0)["status"] == "invalid_argument", "%s is answered" % what)
        child.send_line(b'lo","protocol":1}\n')
        expect(child.reply(9)["status"] == "ok", "a line in pieces")
        expect(child.status("process.wait", on="c") == "invalid_argument", "handles are each one's own")
        # The channel is not inherited: it ends with the child although a child of that one lives.
        grandchild = ChildPeer(child, "g", self.directory)
        grandchild.ok("hello", protocol=1)
        child.end_input()
        expect(self.peer.ok("process.wait", on="c").get("code") == 0, "exit status 0 at the end of input")
        child.expect_end("a child's channel ends with it")
        grandchild.ok("hello", protocol=1)
        grandchild.end_input()
        grandchild.expect_end("a child whose parent has ended ends with its own input")
        self.peer.ok("process.close", on="c")
        expect(self.peer.status("process.wait", on="c") == "invalid_argument", "its name is gone")

    def check_ends_of_children(self) -> None:
        if not self.offers("process.spawn"):
            return
        closed, reset = (ChildPeer(self.peer, name, self.directory) for name in ("c", "r"))
        self.peer.ok("process.close", on="c")
        closed.expect_end("a closed process is killed")
        waiting = None
        if self.offers("lanes"):
            waiting = self.peer.begin("process.wait", on="r", watch=True, lane="w")
            self.peer.event(waiting)
        self.peer.ok("reset")
        if waiting is not None:
            expect(self.peer.reply(waiting)["status"] == "cancelled", "a reset cancels process.wait")
        reset.expect_end("a reset kills children")
        killed = ChildPeer(self.peer, "k", self.directory)
        os.kill(killed.pid, signal.SIGTERM)
        ended = self.peer.ok("process.wait", on="k")
        expect(ended.get("signal") == "TERM" and "code" not in ended, "the signal that ended it", ended)
        killed.expect_end("a killed child")
        self.peer.ok("reset")

    def check_end_of_input_while_busy(self) -> None:
        blocked = self.blocked_read()
        self.peer.send_line(b'{"id":700001,"op":"hel')  # a last line without its end is none
        status = self.peer.end()
        if blocked is not None:
            blocked[0].close()
        expect(status == 0, "exit status 0 at the end of input, whatever it is doing", status)

    def check_end_of_input_at_once(self) -> None:
        peer = PeerProcess(self.command)
        try:
            expect(peer.end() == 0, "exit status 0 without any request", peer.process.returncode)
        finally:
            peer.kill()


def run(command: List[str], mode: Optional[str]) -> int:
    directory = tempfile.mkdtemp(prefix="cts-")
    failures = 0
    try:
        exchange = Exchange(command, mode, directory)
    except OSError as error:
        shutil.rmtree(directory)
        print("cannot start %s: %s" % (command[0], error))
        return 2
    try:
        checks: List[Callable[[], None]] = [
            exchange.check_hello,
            exchange.check_hello_arguments,
            exchange.check_unknown_operation,
            exchange.check_op_of_wrong_type,
            exchange.check_bad_lines,
            exchange.check_line_endings_and_lengths,
            exchange.check_endless_line,
            exchange.check_handle_names,
            exchange.check_argument_types,
            exchange.check_client,
            exchange.check_server,
            exchange.check_lanes,
            exchange.check_reset,
            exchange.check_children,
            exchange.check_ends_of_children,
            exchange.check_end_of_input_while_busy,
            exchange.check_end_of_input_at_once,
        ]
        for check in checks:
            name = check.__name__[len("check_") :].replace("_", " ")
            try:
                check()
                print("ok    " + name)
            except (CheckFailed, OSError, ValueError, KeyError, TypeError) as error:
                failures += 1
                print("FAIL  %s: %s" % (name, error if isinstance(error, CheckFailed) else repr(error)))
                if check == exchange.check_hello or exchange.peer.process.poll() is not None:
                    break  # what follows would only repeat it
    finally:
        exchange.peer.kill()
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failures else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Drives a peer through the basic exchange of the peer protocol.")
    parser.add_argument("--mode", help="choose this mode with configure; default: the peer's first")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="the peer, after --")
    arguments = parser.parse_args()
    return run(arguments.command, arguments.mode)


if __name__ == "__main__":
    sys.exit(main())
