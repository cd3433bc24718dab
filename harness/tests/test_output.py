"""What is shown: hostile text in every field, the canonical trace, counting."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import tempfile
import unittest
import xml.etree.ElementTree as ET
import zlib
from pathlib import Path
from typing import Any, Dict, List

from cts import canonical, hello, junit, report, results, summary, terminal, test_command, trace
from cts.common import printable
from cts.runner import last_begun, parse_listing
from tests.support import Checkout

HOSTILE = (
    "\x1b[31m\x07<script>alert(1)</script>\"'&]]>\x00\x9b2J\u202e\ud800\r\n[bold red]x[/] {{ 7*7 }} \ufffe --> --&gt;"
)


class Tags(html.parser.HTMLParser):
    """Notes scripts, and every attribute that could act."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts = 0
        self.acting: List[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.scripts += tag == "script"
        self.acting += [k for k, v in attrs if k.startswith("on") or str(v).startswith("javascript:")]

    def handle_data(self, data: str) -> None:
        self.text += data


class Hostile(Checkout):
    """Every text that a peer or the runner chooses is HOSTILE."""

    def setUp(self) -> None:
        super().setUp()
        said = {"implementation": HOSTILE, "version": HOSTILE, "lanes": HOSTILE}
        lists = {k: [HOSTILE] for k in ("operations", "features", "traits")}
        self.behaviour["Alpha.One"] = {"outcome": "failed", "message": HOSTILE, "claims": HOSTILE}
        self.document = self.run_cts("--peer", self.command(**said, **lists, modes=["blocking"]), status=1)

    def check_text(self, text: str) -> None:
        for control in ("\x1b", "\x07", "\x00", "\x9b", "\u202e", "\ud800", "\r"):
            self.assertNotIn(control, text)

    def test_terminal(self) -> None:
        self.check_text(self.out + self.err)
        self.assertIn("[bold red]x[/]", self.out)

    def test_terminal_of_a_person(self) -> None:
        class Screen(io.StringIO):
            def isatty(self) -> bool:
                return True

        screen = Screen()
        terminal.show(self.document, summary.Rerun(self.root, self.document["run"]), "report", screen)
        self.assertNotIn("\x1b[2J", screen.getvalue())
        self.assertNotIn("\x07", screen.getvalue())
        self.assertIn("\\x1b[31m", screen.getvalue())

    def test_xml(self) -> None:
        data = (self.report / "junit.xml").read_bytes()
        root = ET.fromstring(data)
        self.check_text(data.decode())
        self.assertTrue(any("<script>" in (f.get("message") or "") for f in root.iter("failure")))

    def test_html(self) -> None:
        page = (self.report / "index.html").read_text()
        self.check_text(page)
        tags = Tags()
        tags.feed(page)
        self.assertEqual((tags.scripts, tags.acting), (1, []))
        self.assertIn("<script>alert(1)</script>", tags.text)
        self.assertNotIn(" 49 ", tags.text)

    def test_explain_trace_and_expect(self) -> None:
        for argv in (("explain", "Alpha.One", "--report", str(self.report)), ("trace", str(self.report), "--text")):
            status, out, _ = self.cts(*argv)
            self.assertEqual(status, 0)
            self.check_text(out)
        status, _, err = self.cts("expect", str(self.report))
        self.assertEqual(status, 2)
        self.check_text(err)


class Page(Checkout):
    def test_holds_requirement_trace_and_command(self) -> None:
        self.behaviour["Alpha.Two"] = {"outcome": "failed", "message": "wrong"}
        self.run_cts(status=1)
        page = (self.report / "index.html").read_text()
        for text in (
            "What Alpha.Two demands, with &lt;b&gt;markup&lt;/b&gt;.",
            "--cases Alpha.Two",
            "&lt;name-1&gt;",
            "local.listen",
        ):
            self.assertIn(text, page)
        self.assertNotIn("http://", page.replace("https://", ""))

    def test_trace_command(self) -> None:
        self.run_cts("--mode", "blocking")
        status, out, _ = self.cts("trace", str(self.report), "--case", "Beta.[LS]*")
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(
            (status, [(x["case"], x["shape"]) for x in lines]),
            (0, [("Beta.Last", ""), ("Beta.Shaped", "path+client"), ("Beta.Shaped", "path+server")]),
        )
        self.assertEqual(lines[0]["lanes"]["server/a"][0]["arguments"]["name"], "<name-1>")
        self.assertEqual(self.cts("trace", str(self.report), "--case", "No.*")[0], 2)


class Canonical(unittest.TestCase):
    RUN = "0123456789abcdef" * 2

    def events(self, *pairs: Any) -> List[Dict[str, Any]]:
        """Begin and end for each (role, request, reply); a reply of None never came."""
        made: List[Dict[str, Any]] = []
        for number, (role, request, reply) in enumerate(pairs, 1):
            made.append({"seq": 2 * number, "role": role, "kind": "begin", "request": {"id": number, **request}})
            if reply is not None:
                made.append({"seq": 2 * number + 1, "role": role, "kind": "end", "reply": {"id": number, **reply}})
        return made

    def read(self, data: bytes, **more: Any) -> Any:
        request = {"op": "stream.read", "on": "s", "until": "some", "max": len(data) + 9, **more}
        return (
            "client",
            request,
            {"status": "ok", "length": len(data), "crc32": zlib.crc32(data), "data": data.decode()},
        )

    def test_reads_in_pieces_are_one(self) -> None:
        one = canonical.canonical(self.events(self.read(b"hello, world"), self.read(b"!")))
        other = canonical.canonical(self.events(self.read(b"he"), self.read(b"llo, worl"), self.read(b"d!")))
        self.assertEqual(one, other)
        self.assertEqual(
            one["client/a"][0]["answer"], {"status": "ok", "length": 13, "crc32": zlib.crc32(b"hello, world!")}
        )

    def test_reads_of_other_handles_and_ends_stay(self) -> None:
        end = ("client", {"op": "stream.read", "on": "s", "until": "some"}, {"status": "end", "length": 0, "crc32": 0})
        told = canonical.canonical(self.events(self.read(b"a"), self.read(b"b", on="t"), self.read(b"c"), end))
        self.assertEqual(len(told["client/a"]), 4)

    def test_names_become_labels_in_any_spelling(self) -> None:
        path = f"/tmp/cts-01234567-abcdefgh/3/work/cts-{self.RUN}-1.sock"
        abstract = base64.b64encode(b"\0cts-" + self.RUN.encode() + b"-2").decode()
        told = canonical.canonical(
            self.events(
                (
                    "server",
                    {"op": "local.listen", "as": "l", "kind": "path", "name": path},
                    {"status": "ok", "native": path},
                ),
                (
                    "client",
                    {"op": "local.connect", "as": "c", "kind": "native", "name": {"b64": abstract}},
                    {"status": "refused", "error": 111},
                ),
            )
        )
        self.assertEqual(told["server/a"][0]["answer"], {"status": "ok", "native": "<name-2>"})
        self.assertEqual(told["client/a"][0]["arguments"]["name"], "\0<name-1>")
        self.assertEqual(told["client/a"][0]["answer"], {"status": "refused"})

    def test_lanes_have_no_order_between_them(self) -> None:
        a = (
            "server",
            {"op": "listener.accept", "on": "l", "as": "s", "lane": "a", "watch": True},
            {"status": "cancelled"},
        )
        b = ("server", {"op": "listener.close", "on": "l", "lane": "b"}, {"status": "ok"})
        control = ("server", {"op": "pending", "lane": "control"}, {"status": "ok", "ids": [1]})
        self.assertEqual(canonical.canonical(self.events(a, control, b)), canonical.canonical(self.events(b, a)))

    def test_what_differs_between_machines_is_dropped(self) -> None:
        def told(pid: int, value: str) -> Any:
            return canonical.canonical(
                self.events(
                    ("client", {"op": "stream.peer_credentials", "on": "s"}, {"status": "ok", "pid": pid, "uid": pid}),
                    (
                        "client",
                        {"op": "stream.raw", "on": "s"},
                        {"status": "ok", "raw": {"kind": "fd", "value": value}},
                    ),
                )
            )

        self.assertEqual(told(71, "5"), told(72, "6"))

    def test_handles_become_labels(self) -> None:
        def events(first: str, second: str) -> List[Dict[str, Any]]:
            requests = [
                {"id": 1, "op": "local.connect", "as": first},
                {"id": 2, "op": "local.connect", "as": second},
                {"id": 3, "op": "stream.close", "on": first},
            ]
            return [{"seq": r["id"], "kind": "begin", "role": "client", "request": r} for r in requests]

        told = canonical.canonical(events("s31", "s32"))
        self.assertEqual(told, canonical.canonical(events("s7", "s9")))
        self.assertNotEqual(told, canonical.canonical(events("s7", "s7")))

    def test_no_reply(self) -> None:
        told = canonical.canonical(self.events(("client", {"op": "stream.read", "on": "s"}, None)))
        self.assertEqual(trace.sentence(told["client/a"][0]), "stream.read <handle-1> → (no reply)")

    def test_crc32_combine(self) -> None:
        for one, two in ((b"", b"x"), (b"x", b""), (b"a" * 1000, b"b" * 70001), (b"abc", b"d")):
            self.assertEqual(canonical.crc32_combine(zlib.crc32(one), zlib.crc32(two), len(two)), zlib.crc32(one + two))


class Parts(unittest.TestCase):
    def test_printable(self) -> None:
        self.assertEqual(printable("a\tb\x1b\r\nc\x9b\u202e"), "a b\\x1b\\nc\\x9b\\u202e")
        self.assertEqual(junit.text("\ufffe\uffff\x0b"), "\\ufffe\\uffff\\x0b")

    def test_listing(self) -> None:
        text = "Running main()\nA.\n  One\n  DISABLED_Two\nDISABLED_B.\n  X\nC.  # TypeParam = int\n  Y  # is 1\n"
        self.assertEqual(parse_listing(text), ["A.One", "C.Y"])

    def test_last_begun(self) -> None:
        self.assertEqual(last_begun("[ RUN      ] A.B\n[       OK ] A.B (1 ms)\n[ RUN      ] A.C\nnoise"), "A.C")
        self.assertEqual(last_begun("[ RUN      ] A.B\n[  FAILED  ] A.B, where (1 ms)\n"), "")

    def test_hello_is_held_to_its_shape(self) -> None:
        good = {"id": 1, "status": "ok", "implementation": "x", "modes": ["blocking"]}
        self.assertEqual(hello.parse(json.dumps(good).encode())["modes"], ["blocking"])
        for bad in (
            {**good, "modes": []},
            {**good, "modes": "blocking"},
            {**good, "status": "failed"},
            {**good, "version": 3},
            [],
            1,
        ):
            with self.assertRaises(hello.PeerError):
                hello.parse(json.dumps(bad).encode())
        with self.assertRaises(hello.PeerError):
            hello.parse(b"\xff")

    def test_hello_quotes_last_words_and_keeps_its_deadline(self) -> None:
        with self.assertRaisesRegex(hello.PeerError, "last words: oh no"):
            hello.probe(["sh", "-c", "echo oh no >&2"])
        with self.assertRaisesRegex(hello.PeerError, "exit status 3, without an answer to hello"):
            hello.probe(["sh", "-c", "exit 3"])
        with self.assertRaisesRegex(hello.PeerError, "was ended by SIGSEGV"):
            hello.probe(["sh", "-c", "kill -SEGV $$"])
        with self.assertRaisesRegex(hello.PeerError, "closed its output"):
            hello.probe(["sh", "-c", "exec >&-; exec sleep 1000"])
        with self.assertRaisesRegex(hello.PeerError, "within 0.1 s"):
            hello.probe(["sleep", "1000"], deadline_s=0.1)
        with self.assertRaisesRegex(hello.PeerError, "exceeds 65536"):
            hello.probe(["sh", "-c", "yes | tr -d '\\n'"])
        with self.assertRaisesRegex(hello.PeerError, "does not start"):
            hello.probe(["/no/such/program"])

    def test_case_counts_are_headings(self) -> None:
        base = {"pairing": "p", "requirement": "MUST", "gates": True}
        records = [
            {**base, "case": "A.B", "outcome": "passed"},
            {**base, "case": "A.B", "outcome": "failed"},
            {**base, "case": "A.C", "outcome": "expected_failure"},
            {**base, "case": "A.D", "outcome": "not_applicable"},
        ]
        self.assertEqual(results.case_counts(records), (1, 1))

    def test_bazel_counts(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            xml = Path(directory) / "test.xml"
            xml.write_text('<testsuite><testcase name="a"/><testcase name="b"><failure/></testcase></testsuite>')
            output = [{"name": "test.xml", "uri": f"file://{xml}"}]
            events = [
                {
                    "id": {"testResult": {"label": "//a"}},
                    "testResult": {"status": "FAILED", "testActionOutput": output},
                },
                {"id": {"testResult": {"label": "//b"}}, "testResult": {"status": "PASSED"}},
                {"id": {"testResult": {"label": "//c"}}, "testResult": {"status": "TIMEOUT"}},
                {"id": {"progress": {}}},
            ]
            told = Path(directory) / "events.json"
            told.write_text("".join(json.dumps(e) + "\n" for e in events))
            self.assertEqual(test_command.bep_count(told), (2, 2, ["//a", "//c"]))

    def test_unittest_counts(self) -> None:
        self.assertEqual(test_command.unittest_count(0, "Ran 5 tests in 1s\n\nOK (skipped=1)").passed, 4)
        count = test_command.unittest_count(1, "Ran 5 tests in 1s\n\nFAILED (failures=1, errors=1)")
        self.assertEqual((count.passed, count.failed), (3, 2))
        self.assertEqual(test_command.unittest_count(1, "ImportError").failed, 1)

    def test_half_a_line_of_a_killed_runner_is_dropped(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            part, out = Path(directory) / "part", Path(directory) / "out"
            part.write_bytes(b'{"seq":1}\n{"seq"')
            self.assertEqual(report.merge_traces([part, part, Path(directory) / "absent"], out), 2)
            self.assertEqual(out.read_bytes(), b'{"seq":1}\n{"seq":1}\n')


if __name__ == "__main__":
    unittest.main()
