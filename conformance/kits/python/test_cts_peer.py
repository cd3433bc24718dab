"""Tests of the Python kit: its parsing, checks and digests directly, its lanes, reset and end through a process."""

from __future__ import annotations

import base64
import errno
import json
import os
import subprocess
import sys
import unittest
import zlib
from pathlib import Path
from typing import Any, Dict, List

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import cts_peer  # noqa: E402
from cts_peer import InvalidLine, Outcome, check_arguments, parse_line, pattern  # noqa: E402

# A peer of pipes: `local.connect` makes one, so that a read waits until a write of another lane. A thread's read cannot
# be ended, a task's and a kit's wait can.
PEER = """
import asyncio, os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
import cts_peer

class Pipe:
    def __init__(self):
        self.reader, self.writer = os.pipe()
    def close(self):
        os.close(self.reader)
        os.close(self.writer)

class Blocking(cts_peer.Peer):
    implementation, version, features = "pipe", "1", ["name.path", "wait"]
    unendable = ["fifo.open"]
    def fifo_open(self, call):
        os.read(os.pipe()[0], 1)
    def stream_raw(self, call):
        return {"raw": cts_peer.raw_fd(self.own(os.dup(0)))}
    def signal_set_handler(self, call):
        call.in_main_thread(lambda: signal.signal(signal.SIGUSR2, lambda *_: None))
    def signal_name(self, call):
        call.in_main_thread(lambda: signal.signal(call["number"], signal.SIG_DFL))
    def signal_raise(self, call):
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        in_main = threading.current_thread() is threading.main_thread()
        assert (signal.SIGUSR2 in blocked) != in_main
    def local_connect(self, call):
        print("printed by the library")
        os.write(1, b"printed by the library, below Python")
        call.make(Pipe())
    def stream_read(self, call):
        return call.read(lambda size: os.read(call.handle.reader, size))
    def stream_write(self, call):
        return call.write(lambda data: os.write(call.handle.writer, data))
    def stream_flush(self, call):
        raise RuntimeError("no class")
    def stream_split(self, call):
        raise OSError(24, "too many")
    def stream_close(self, call):
        call.handle.close()

class Nonblocking(Blocking):
    mode, features = "nonblocking", Blocking.features + ["close_while_in_use"]
    def stream_read(self, call):
        os.set_blocking(call.handle.reader, False)
        once = lambda size: call.attempt(call.handle.reader, "read", lambda: os.read(call.handle.reader, size))
        return call.read(once)

class Tasks(Blocking):
    mode, lanes = "async", "task"
    async def stream_read(self, call):
        def ready():
            future = asyncio.get_running_loop().create_future()
            loop.add_reader(call.handle.reader, lambda: future.done() or future.set_result(None))
            return future
        async def some(size):
            try:
                await ready()
            finally:
                loop.remove_reader(call.handle.reader)
            return os.read(call.handle.reader, size)
        loop = asyncio.get_running_loop()
        return await call.read_async(some)

cts_peer.run(Blocking, Nonblocking, Tasks)
"""


class ParseTest(unittest.TestCase):
    """Strict JSON (1.1)."""

    def test_good(self) -> None:
        self.assertEqual(
            parse_line(b' {"id":1, "a":[-0,9007199254740991,true,null,"\\ud83d\\ude00"]} '),
            {"id": 1, "a": [0, 2**53 - 1, True, None, "\U0001f600"]},
        )
        self.assertEqual(len(parse_line(b'{"a":' + b"[" * 7 + b"]" * 7 + b"}")), 1)

    def test_bad(self) -> None:
        for line in (
            b"",
            b"[]",
            b"1",
            b"{",
            b'{"a":1}x',
            b'{"a":1,"a":1}',
            b'{"a":{"b":1,"b":2}}',
            b'{"a":1.0}',
            b'{"a":1e3}',
            b'{"a":NaN}',
            b'{"a":Infinity}',
            b'{"a":-Infinity}',
            b'{"a":9007199254740992}',
            b'{"a":-9007199254740992}',
            b'{"a":' + b"9" * 10000 + b"}",
            b'{"a":' + b"[" * 8 + b"]" * 8 + b"}",
            b'{"a":' + b"[" * 60000,
            b'{"\xff":1}',
            b'{"a":"\xed\xa0\x80"}',
            b'{"a":"\\ud800"}',
            b'{"\\udc00":1}',
            b'{"a":"\n"}',
            b'\xef\xbb\xbf{"a":1}',
            b"{'a':1}",
        ):
            with self.subTest(line=line[:40]), self.assertRaises(InvalidLine):
                parse_line(line)


class ArgumentTest(unittest.TestCase):
    """Checks from operations.json (1.4, 2.3)."""

    def status(self, operation: str, features: List[str], **request: Any) -> str:
        try:
            check_arguments(operation, request, set(features))
        except Outcome as outcome:
            return outcome.status
        return "ok"

    def test_types(self) -> None:
        name = {"kind": "path", "name": "/x"}
        cases = [
            ("ok", name),
            ("ok", dict(name, name={"b64": "AA=="})),
            ("ok", dict(name, backlog=1, reclaim=False)),
            ("invalid_argument", {"kind": "path"}),
            ("invalid_argument", dict(name, kind="file")),
            ("invalid_argument", dict(name, kind=None)),
            ("invalid_argument", dict(name, name=1)),
            ("invalid_argument", dict(name, name={"b64": "AB=="})),
            ("invalid_argument", dict(name, name={"b64": "A"})),
            ("invalid_argument", dict(name, name={"b64": "é"})),
            ("invalid_argument", dict(name, backlog=0)),
            ("invalid_argument", dict(name, backlog=True)),
            ("invalid_argument", dict(name, backlog=2**32)),
            ("invalid_argument", dict(name, reclaim=1)),
            ("unsupported", dict(name, mode=0o600)),
            ("unsupported", dict(name, kind="namespaced")),
            ("ok", dict(name, kind="native")),
        ]
        features = ["name.path", "local.listen.reclaim", "local.listen.backlog"]
        for status, request in cases:
            with self.subTest(request=request):
                self.assertEqual(self.status("local.listen", features, **request), status)
        mode = features + ["local.listen.mode"]
        self.assertEqual(self.status("local.listen", mode, mode=0o777, **name), "ok")
        self.assertEqual(self.status("local.listen", mode, mode=0o1000, **name), "invalid_argument")

    def test_data(self) -> None:
        self.assertEqual(check_arguments("stream.write", {"data": "é"}, set())["data"], "é".encode())
        self.assertEqual(check_arguments("stream.write", {"data": {"seed": 0, "length": 1}}, set())["data"], b"\xc6")
        for data in (
            "x" * 4097,
            {"seed": -1, "length": 1},
            {"seed": 65521, "length": 1},
            {"seed": 0},
            {},
            [],
            None,
            {"seed": 0, "length": 2**30 + 1},
            {"seed": True, "length": 1},
        ):
            with self.subTest(data=str(data)[:40]):
                self.assertEqual(self.status("stream.write", [], data=data), "invalid_argument")

    def test_together(self) -> None:
        self.assertEqual(self.status("stream.read", [], until="exact"), "invalid_argument")
        self.assertEqual(self.status("stream.read", [], until="some", chunk=0), "invalid_argument")
        self.assertEqual(self.status("stream.read", [], until="some", wait=True), "unsupported")
        self.assertEqual(self.status("stream.read_vectored", [], lengths=[1] * 65), "invalid_argument")
        self.assertEqual(self.status("stream.write_vectored", [], data="abc", lengths=[1, 1]), "invalid_argument")
        self.assertEqual(self.status("stream.write_vectored", [], data="abc", lengths=[1, 0, 2]), "ok")

    def test_ancillary_data_needs_a_byte(self) -> None:
        self.assertEqual(self.status("stream.write_ancillary", [], data=""), "invalid_argument")
        self.assertEqual(self.status("stream.write_ancillary", [], data="a"), "ok")
        self.assertEqual(self.status("stream.read_ancillary", [], max=0), "invalid_argument")

    def test_raw(self) -> None:
        raw = {"kind": "fd", "value": "18446744073709551615"}
        self.assertEqual(check_arguments("stream.adopt", {"raw": raw}, set())["raw"], ("fd", 2**64 - 1))
        for value in (3, "", "03", "-1", "18446744073709551616", "1e1", "٣"):
            self.assertEqual(self.status("stream.adopt", [], raw={"kind": "fd", "value": value}), "invalid_argument")


class DataTest(unittest.TestCase):
    """Patterns, digests, statuses of errors."""

    def test_vectors(self) -> None:
        for vector in json.loads((HERE.parent / "vectors.json").read_text(encoding="utf-8"))["pattern"]:
            data = pattern(vector["seed"], vector["length"])
            self.assertEqual(len(data), vector["length"])
            self.assertEqual(zlib.crc32(data), vector["crc32"])
            self.assertEqual(data[:16], base64.b64decode(vector["head"]))

    def test_status_of_errors(self) -> None:
        self.assertEqual(cts_peer.outcome_of(OSError(errno.EADDRINUSE, "x")).status, "in_use")
        self.assertEqual(cts_peer.outcome_of(OSError(errno.EADDRINUSE, "x")).native, errno.EADDRINUSE)
        self.assertEqual(cts_peer.outcome_of(OSError("AF_UNIX path too long")).status, "failed")
        self.assertEqual(cts_peer.outcome_of(ConnectionResetError("Connection lost")).status, "reset")
        self.assertEqual(cts_peer.outcome_of(ValueError("x")).status, "failed")
        self.assertEqual(cts_peer.outcome_of(MemoryError()).status, "out_of_resources")

    def test_encode(self) -> None:
        self.assertEqual(cts_peer.encode_bytes(b"a b"), "a b")
        self.assertEqual(cts_peer.encode_bytes(b"\n"), {"b64": "Cg=="})


class PeerTest(unittest.TestCase):
    """A peer of the kit as a process, in each mode."""

    mode = "blocking"

    def setUp(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PEER, str(HERE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        self.addCleanup(self._end)
        self.replies: Dict[int, Dict[str, Any]] = {}
        self.events: List[Dict[str, Any]] = []
        self.last_id = 0
        self.assertEqual(self.ask("hello", protocol=1)["modes"], ["blocking", "nonblocking", "async"])
        self.lanes = self.ask("configure", mode=self.mode)["lanes"]

    def _end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def begin(self, operation: str, **keys: Any) -> int:
        self.last_id += 1
        request = {"id": self.last_id, "op": operation, **{key.rstrip("_"): value for key, value in keys.items()}}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        return self.last_id

    def take(self) -> None:
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.process.stdout.fileno(), 1)
            self.assertTrue(byte, "the peer ended")
            line += byte
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        else:
            self.assertNotIn(message["id"], self.replies)
            self.replies[message["id"]] = message

    def reply(self, request_id: int) -> Dict[str, Any]:
        while request_id not in self.replies:
            self.take()
        return self.replies[request_id]

    def ask(self, operation: str, **keys: Any) -> Dict[str, Any]:
        return self.reply(self.begin(operation, **keys))

    def begun_read(self, lane: str, handle: str) -> int:
        self.assertEqual(self.ask("local.connect", as_=handle, kind="path", name="x", lane=lane)["status"], "ok")
        request = self.begin("stream.read", on=handle, until="some", lane=lane, watch=True)
        while not any(event["id"] == request for event in self.events):
            self.take()
        self.assertEqual(self.events[-1]["tid"] == 0, self.lanes == "task")
        return request

    def test_lanes_run_at_the_same_time(self) -> None:
        reads = [self.begun_read(lane, "s" + lane) for lane in ("a", "b", "main")]
        self.assertEqual(self.ask("pending")["ids"], reads)
        for lane in ("d", "e"):
            self.assertEqual(self.ask("stream.flush", on="none", lane=lane)["status"], "invalid_argument")
        self.assertFalse(set(reads) & set(self.replies))

    def test_errors_of_the_library(self) -> None:
        self.ask("local.connect", as_="s", kind="path", name="x")
        flush = self.ask("stream.flush", on="s")
        self.assertEqual((flush["status"], flush["why"]), ("failed", "RuntimeError: no class"))
        split = self.ask("stream.split", on="s", read_as="r", write_as="w")
        self.assertEqual((split["status"], split["error"]), ("out_of_resources", 24))
        self.assertEqual(self.ask("stream.split", on="s", read_as="r", write_as="r")["status"], "invalid_argument")
        self.assertEqual(self.ask("stream.close", on="s")["status"], "ok")  # it kept its name

    def test_names_are_reserved_while_they_are_made(self) -> None:
        self.begun_read("a", "s")
        self.assertEqual(
            self.ask("local.connect", as_="s", kind="path", name="x", lane="b")["status"], "invalid_argument"
        )

    def test_too_many_lanes(self) -> None:
        statuses = [self.ask("cts.none", lane="lane%d" % number)["status"] for number in range(17)]
        self.assertEqual(statuses, ["unsupported"] * 16 + ["invalid_argument"])

    def test_configure_comes_once(self) -> None:
        self.assertEqual(self.ask("configure", mode=self.mode)["status"], "invalid_argument")

    def test_reset_cancels(self) -> None:
        read = self.begun_read("a", "s")
        behind = self.begin("cts.none", lane="a")
        close = self.begin("stream.close", on="s", lane="a")
        reset = self.ask("reset")
        if self.mode == "blocking":
            self.assertEqual(reset["status"], "busy")
            return
        self.assertEqual(reset["status"], "ok")
        answers = [self.replies[request]["status"] for request in (read, behind, close)]
        self.assertEqual(answers, ["cancelled", "unsupported", "cancelled"])
        self.assertEqual(self.replies[read]["length"], 0)
        self.assertEqual(self.ask("local.connect", as_="s", kind="path", name="x")["status"], "ok")

    def test_close_of_a_handle_in_use(self) -> None:
        read = self.begun_read("a", "s")
        close = self.ask("stream.close", on="s", lane="b")
        if self.mode != "nonblocking":
            self.assertEqual(close["status"], "busy")
            return
        self.assertEqual((close["status"], self.replies[read]["status"]), ("ok", "cancelled"))

    def test_cancel_needs_tasks(self) -> None:
        read = self.begun_read("a", "s")
        self.assertNotIn("cancel", self.ask("hello", protocol=1)["operations"])
        self.assertEqual(self.ask("cancel", target=read)["status"], "unsupported")

    def test_an_id_is_free_with_its_answer(self) -> None:
        for _ in range(200):
            self.last_id = 999
            self.replies.pop(self.begin("cts.none"), None)
            self.assertEqual(self.reply(1000)["status"], "unsupported")
        self.assertEqual(self.ask("reset")["status"], "ok")

    def test_reset_says_what_it_cannot_end(self) -> None:
        opening = self.begin("fifo.open", as_="f", path="x", direction="read", watch=True)
        while not any(event["id"] == opening for event in self.events):
            self.take()
        self.assertEqual(self.ask("reset")["status"], "busy")

    def test_reset_closes_what_is_owned(self) -> None:
        self.ask("local.connect", as_="s", kind="path", name="x")
        owned = "/proc/%d/fd/%s" % (self.process.pid, self.ask("stream.raw", on="s")["raw"]["value"])
        self.assertTrue(os.path.lexists(owned))
        self.assertEqual(self.ask("reset")["status"], "ok")
        self.assertFalse(os.path.lexists(owned))

    def test_signals_are_the_main_threads(self) -> None:
        self.assertEqual(self.ask("signal.set_handler", signal="USR2", action="hook", lane="b")["status"], "ok")
        self.assertEqual(self.ask("signal.name", number=1 << 40, lane="b")["status"], "invalid_argument")
        for lane in ("a", "main"):
            self.assertEqual(self.ask("signal.raise", signal="USR2", lane=lane)["status"], "ok")

    def test_end_of_input_while_busy(self) -> None:
        self.begun_read("a", "s")
        self.begun_read("main", "t")
        self.process.stdin.close()
        self.assertEqual(self.process.wait(30), 0)

    def test_prints_of_the_library_are_no_lines(self) -> None:
        self.ask("local.connect", as_="s", kind="path", name="x")
        self.ask("stream.close", on="s")
        self.assertEqual(sorted(self.replies), list(range(1, self.last_id + 1)))


class NonblockingPeerTest(PeerTest):
    mode = "nonblocking"

    def test_single_attempt(self) -> None:
        self.ask("local.connect", as_="s", kind="path", name="x")
        read = self.ask("stream.read", on="s", until="some", wait=False)
        self.assertEqual((read["status"], read["length"]), ("would_block", 0))
        self.ask("stream.write", on="s", data="abc")
        read = self.ask("stream.read", on="s", until="exact", max=5, wait=False)
        self.assertEqual((read["status"], read["length"], read["data"]), ("would_block", 3, "abc"))


class AsyncPeerTest(PeerTest):
    mode = "async"

    def test_cancel_needs_tasks(self) -> None:
        read = self.begun_read("a", "s")
        behind = self.begin("stream.read", on="s", until="some", lane="a")
        for target in (behind, read):
            self.assertEqual(self.ask("cancel", target=target)["status"], "ok")
        self.assertEqual((self.reply(read)["status"], self.reply(read)["length"]), ("cancelled", 0))
        self.assertEqual(self.reply(behind)["status"], "cancelled")
        for target in (read, behind, self.last_id + 1):
            self.assertEqual(self.ask("cancel", target=target)["status"], "not_found")
        self.ask("stream.write", on="s", data="abc")
        self.assertEqual(self.ask("stream.read", on="s", until="some")["data"], "abc")

    def test_reset_says_what_it_cannot_end(self) -> None:
        """Not here: a task that blocks its loop is a defect of the peer."""

    def test_signals_are_the_main_threads(self) -> None:
        """Not here: tasks run in the main thread."""


if __name__ == "__main__":
    unittest.main()
