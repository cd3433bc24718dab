"""What other processes wrote, mutated: a reader says what is wrong, drops nothing unseen, or gives what was written.

CTS_EXAMPLES says how many inputs each property gets (100); what fails is printed and belongs in an @example.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import tempfile
import unittest
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from hypothesis import example, given
from hypothesis import strategies as st

from cts import (
    build,
    canonical,
    expectations,
    fuzz,
    fuzz_differential,
    fuzz_seeds,
    hello,
    jsonl,
    junit,
    mutants,
    recorded,
    report,
    runner,
    schemas,
    summary,
    terminal,
    test_command,
    trace,
)
from cts.common import CannotRun, repository_root
from tests.properties import EXAMPLES
from tests.support import DOCUMENT, PEER, RECORD

ROOT = repository_root()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
REQUESTS = [
    json.loads(file.read_bytes())
    for file in sorted((ROOT / "fuzz/corpus/peer_protocol").iterdir())
    if file.read_bytes().startswith(b'{"id"') or file.read_bytes().startswith(b'{"op"')
]
COMMON = {
    "t_us": 1,
    "pairing": "ref:blocking>ref:blocking",
    "case": "Alpha.One",
    "shape": "",
    "role": "server",
    "pid": 7,
}
REPLY = {"status": "ok", "length": 5, "crc32": 9, "chunks": [1], "native": "cts-00000000-1", "raw": {"kind": "fd"}}
AQUERY = {
    "actions": [
        {"mnemonic": "CppCompile", "arguments": ["gcc", "-MF", "a", "-c", "b", "-o", "c", "-O2"]},
        {"mnemonic": "CppLink", "arguments": ["gcc", "-shared", "-o", "x"]},
    ]
}
MUTANT = {"name": "unbroken", "sentence": "s", "case": "A.B", "shape": "", "mode": "blocking", "env": {"A": "b"}}
FUZZER = {
    "requests": 9,
    "cpu_seconds": 0.2,
    "seconds": 0.1,
    "peers": [
        {
            **{"name": "p", "requests": 9, "seconds": 0.1, "spawned": 1, "spawned_seconds": 0.1, "differences": 1},
            **{"cpu_seconds": 0.1, "restarts": 0, "known": {"d": 3}},
        }
    ],
    "findings": [{"file": "f", "peer": "p", "facts": {"ours": "frame"}}],
}


def places(value: Any, path: Tuple[Any, ...] = ()) -> List[Tuple[Any, ...]]:
    """Where in a JSON value something stands."""
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(p for key, v in inner for p in places(v, (*path, key)))]


@st.composite
def changed(draw: Callable[[Any], Any], value: Any) -> Any:
    """The JSON value with something in it that is another, is gone, or has come."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        *path, key = draw(st.sampled_from(places(value)[1:] or [(None,)]))
        inside = value
        for step in path:
            inside = inside[step]
        if not isinstance(inside, (dict, list)) or not inside:
            return draw(VALUES)
        if draw(st.booleans()):
            inside[key] = draw(VALUES)
        elif draw(st.booleans()):
            del inside[key]
        elif isinstance(inside, dict):
            inside[draw(st.text(max_size=5))] = draw(VALUES)
    return value


@st.composite
def mutated(draw: Callable[[Any], Any], data: bytes) -> bytes:
    """The bytes with some cut off, put in, taken out or flipped."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        how = draw(st.sampled_from(("cut", "put", "take", "flip", "double")))
        if how == "cut":
            data = data[:at]
        elif how == "put":
            odd = (
                b"\0",
                b"\n",
                b"\r",
                b"\xff",
                b"\xed\xa0\x80",
                b"[" * 5000,
                b'"',
                b"}",
                b"NaN",
                b"1e999",
                b"9" * 5000,
            )
            data = data[:at] + draw(st.binary(max_size=6) | st.sampled_from(odd)) + data[at:]
        elif how == "take":
            data = data[:at] + data[at + draw(st.integers(1, 20)) :]
        elif how == "flip" and at < len(data):
            data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
        else:
            data = data[:at] + data[max(0, at - 20) :]
    return data


def lines_of(values: List[Any]) -> bytes:
    """As a runner writes them, a line each."""
    return b"".join(json.dumps(v).encode() + b"\n" for v in values)


class Readers(unittest.TestCase):
    """Base: a file that another process has written."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.file = self.directory / "file"

    def read(self, data: bytes, wrong: Callable[[Dict[str, Any]], str] = lambda _: "") -> Tuple[List[Any], List[str]]:
        """The objects in the bytes, and what is told of the other lines."""
        self.file.write_bytes(data)
        broken: List[str] = []
        return list(jsonl.read(self.file, broken.append, wrong)), broken

    def told(self, call: Callable[[], Any]) -> Any:
        """What the call returns; None if it refuses, and says of which file, and why, on one line at most."""
        try:
            return call()
        except CannotRun as error:
            self.assertGreater(len(str(error)), 10)
            return None


class LinesTest(Readers):
    @EXAMPLES
    @given(mutated(lines_of([RECORD, RECORD, RECORD])))
    @example(b"[" * 100000 + b"\n")
    @example(b'{"a": NaN}\n')
    @example(b"\n")
    @example(b'{"a": "\xff"}\n{"b')
    def test_every_line_is_an_object_or_told_with_its_number(self, data: bytes) -> None:
        objects, broken = self.read(data)
        lines = data.split(b"\n")
        self.assertEqual(len(objects) + len(broken), len(lines) - (not lines[-1]))
        for wrong in broken:
            self.assertRegex(wrong, rf"^{self.file}:\d+: (no JSON|no UTF-8|half a line)")

    @EXAMPLES
    @given(st.lists(st.dictionaries(st.text(), VALUES.filter(lambda v: "NaN" not in repr(v).replace("nan", "NaN")))))
    def test_what_was_written_is_read(self, values: List[Dict[str, Any]]) -> None:
        values = [v for v in values if not any(word in json.dumps(v) for word in ("NaN", "Infinity"))]
        self.assertEqual(self.read(lines_of(values)), (values, []))

    @EXAMPLES
    @given(st.integers(1, len(lines_of([RECORD])) - 2))
    def test_last_line_that_was_cut_off_is_told_as_half(self, at: int) -> None:
        objects, broken = self.read(lines_of([RECORD]) * 2 + lines_of([RECORD])[:at])
        self.assertEqual((len(objects), broken), (2, [f"{self.file}:3: {jsonl.HALF}"]))


class RecordsTest(Readers):
    @EXAMPLES
    @given(changed(RECORD))
    @example({**RECORD, "duration_ms": "1"})
    @example({**RECORD, "outcome": "passd"})
    @example({**RECORD, "operations": -1})
    def test_record_is_whole_or_told(self, record: Any) -> None:
        (self.directory / "records.jsonl").write_bytes(lines_of([record, RECORD]))

        def wrong(found: Dict[str, Any]) -> str:
            return runner.unusable(found) or schemas.wrong_record(ROOT, found)

        broken: List[str] = []
        found = list(jsonl.read(self.directory / "records.jsonl", broken.append, wrong))
        self.assertEqual(len(found) + len(broken), 2)
        for one in found:
            summary.matrix([one])
            junit.render({**DOCUMENT, "results": [one]})

    @EXAMPLES
    @given(
        st.text()
        | mutated(
            b"Alpha.\n  One/a  # x\n[ RUN      ] Alpha.One\nRan 5 tests in 1s\nstat::a: 1\n#1 X cov: 1 ft: 1"
        ).map(lambda data: data.decode("utf-8", "replace"))
    )
    def test_any_output_of_a_program_is_read(self, text: str) -> None:
        runner.parse_listing(text)
        runner.last_begun(text)
        fuzz.parse(text)
        test_command.unittest_count(1, text)


class TraceTest(Readers):
    @EXAMPLES
    @given(st.lists(st.sampled_from(REQUESTS), min_size=1, max_size=4), st.data())
    def test_any_answer_has_a_canonical_trace(self, requests: List[Dict[str, Any]], data: st.DataObject) -> None:
        events: List[Dict[str, Any]] = []
        for number, request in enumerate(requests):
            request = {**request, "id": number}
            events.append({**COMMON, "kind": "begin", "request": request})
            reply = data.draw(st.just({**REPLY, "id": number}) | changed({**REPLY, "id": number}))
            events.append({**COMMON, "kind": "end", "reply": reply})
        events.append({**COMMON, "kind": "exit", "status": 0})
        events = data.draw(st.just(events) | changed(events).filter(lambda e: isinstance(e, list)))
        self.file.write_bytes(lines_of(events))
        broken: List[str] = []
        raw = trace.read(self.file, broken.append)
        self.assertLessEqual(sum(map(len, raw.values())) + len(broken), len(events))
        for of_case in raw.values():
            lanes = canonical.canonical(of_case, canonical.Rules(("stream.write",), {"stream.read": ("ok",)}))
            json.dumps(lanes)
            trace.lines(lanes)
            trace.notes(of_case)
            for operations in lanes.values():
                recorded.elided([recorded.line(o) for o in operations])

    @EXAMPLES
    @given(st.sampled_from(REQUESTS).flatmap(lambda request: st.just(request) | changed(request)))
    def test_any_request_can_be_a_seed_or_is_none(self, request: Any) -> None:
        self.file.write_bytes(lines_of([{**COMMON, "kind": "begin", "request": request}]))
        broken: List[str] = []
        found = [e["request"] for e in trace.events(self.file, broken.append)]
        for target in fuzz_seeds.TARGETS:
            list(fuzz_seeds.seeds(target, found))

    def test_broken_trace_is_refused_with_its_line(self) -> None:
        self.file.write_bytes(lines_of([COMMON]) + b'{"kind"')
        with self.assertRaisesRegex(CannotRun, f"{self.file}:2: half a line"):
            list(trace.events(self.file))
        self.file.write_bytes(lines_of([{**COMMON, "kind": "end", "reply": []}]))
        with self.assertRaisesRegex(CannotRun, ":1: no event: `reply` is no object"):
            trace.read(self.file)


class ReportTest(Readers):
    def show(self, document: Dict[str, Any]) -> None:
        """Everything that people and programs are shown of a report."""
        rerun = summary.Rerun(ROOT, document["run"])
        junit.render(document)
        report.html(document, {}, {}, rerun)
        with contextlib.redirect_stdout(io.StringIO()):
            terminal.show(document, rerun, "index.html")
        for record in document["results"]:
            rerun.record(record)

    @EXAMPLES
    @given(changed(DOCUMENT))
    def test_report_can_be_shown_or_is_refused(self, document: Any) -> None:
        self.file.write_text(json.dumps(document), encoding="utf-8")
        loaded = self.told(lambda: report.load(self.file))
        if loaded is not None:
            self.show(loaded)

    @EXAMPLES
    @given(mutated(json.dumps(DOCUMENT).encode()))
    @example(json.dumps(DOCUMENT).encode())
    def test_bytes_are_a_report_or_refused(self, data: bytes) -> None:
        self.file.write_bytes(data)
        self.told(lambda: report.load(self.file))

    def test_what_was_written_is_read(self) -> None:
        self.file.write_text(json.dumps(DOCUMENT), encoding="utf-8")
        self.assertEqual(report.load(self.file), DOCUMENT)
        self.show(report.load(self.file))


class RecordingTest(Readers):
    def recording(self, data: bytes) -> Path:
        """A recording with one family of which these are the bytes."""
        linux = ROOT / "conformance/traces/linux"
        (self.directory / recorded.ABOUT).write_bytes((linux / recorded.ABOUT).read_bytes())
        (self.directory / "Signal.trace").write_bytes(data)
        return self.directory

    @EXAMPLES
    @given(mutated((ROOT / "conformance/traces/linux/Signal.trace").read_bytes()[-3000:]))
    def test_recording_is_read_or_refused(self, data: bytes) -> None:
        self.told(lambda: recorded.of_recording(self.recording(data)))

    @EXAMPLES
    @given(mutated((ROOT / "conformance/traces/linux" / recorded.ABOUT).read_bytes()))
    def test_about_is_read_or_refused(self, data: bytes) -> None:
        where = self.recording(b"=== A.B\nmodes blocking\n")
        (where / recorded.ABOUT).write_bytes(data)
        self.told(lambda: recorded.of_recording(where))

    def test_what_was_written_is_read(self) -> None:
        for label in ("linux", "gvisor"):
            side = recorded.of_recording(ROOT / "conformance/traces" / label)
            recorded.write(side, self.directory)
            again = recorded.of_recording(self.directory)
            self.assertEqual((again.cases, again.absent), (side.cases, side.absent))

    def test_cut_off_line_is_told(self) -> None:
        data = b"=== A.B\nmodes blocking\n--- server/a\nx -> status=o"
        with self.assertRaisesRegex(CannotRun, "Signal.trace:4: half a line"):
            recorded.of_recording(self.recording(data))


class OthersTest(Readers):
    @EXAMPLES
    @given(mutated((ROOT / "conformance/expectations/go-net.linux.toml").read_bytes()[:3000]))
    def test_expectations_are_read_or_refused(self, data: bytes) -> None:
        self.file.write_bytes(data)
        self.told(lambda: expectations.load(self.file, ROOT))

    @EXAMPLES
    @given(changed({"id": 1, "status": "ok", **PEER}).map(lambda v: json.dumps(v).encode()) | st.binary())
    def test_hello_is_an_offer_or_refused(self, line: bytes) -> None:
        try:
            hello.parse(line)
        except hello.PeerError as error:
            self.assertGreater(len(str(error)), 10)

    @EXAMPLES
    @given(
        changed(
            {
                "id": {"testResult": {"label": "//a"}},
                "testResult": {"status": "PASSED", "testActionOutput": [{"name": "test.xml", "uri": "file:///a"}]},
            }
        ),
        mutated(b'<?xml version="1.0" encoding="UTF-8"?><testsuite><testcase name="a"/></testsuite>'),
    )
    def test_build_events_are_counted_or_refused(self, event: Any, xml: bytes) -> None:
        (self.directory / "test.xml").write_bytes(xml)
        self.told(lambda: test_command.junit_count(self.directory / "test.xml"))
        self.file.write_bytes(lines_of([event]))
        self.told(lambda: test_command.bep_count(self.file))

    @EXAMPLES
    @given(changed(AQUERY).map(lambda v: json.dumps(v).encode()) | mutated(json.dumps(AQUERY).encode()))
    def test_commands_are_read_or_refused(self, told: bytes) -> None:
        self.told(lambda: build.parse_commands(told))

    @EXAMPLES
    @given(changed([MUTANT]).map(json.dumps) | st.text())
    def test_mutants_are_read_or_refused(self, listed: str) -> None:
        found = self.told(lambda: mutants.parse(listed, Path("peer"), Path("library")))
        if found is not None:
            self.told(lambda: mutants.check(found, {}))

    @EXAMPLES
    @given(changed(FUZZER).map(lambda v: json.dumps(v).encode()) | mutated(json.dumps(FUZZER).encode()))
    def test_report_of_a_fuzzer_is_read_or_refused(self, data: bytes) -> None:
        self.file.write_bytes(data)
        told = self.told(lambda: fuzz_differential.Asked({}, self.file).told())
        if told:
            fuzz_differential.lines(told)


if __name__ == "__main__":
    unittest.main()
