"""The scripts of ci/ and what they are made of: comparing several systems, a job's summary and annotations."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Tuple

from cts import build, summary_command
from cts.common import CannotRun, repository_root
from cts.systems import System

ROOT = repository_root()
TRACES = ROOT / "conformance/traces"


def ci(script: str, *arguments: str) -> Tuple[int, str]:
    """Run a script of ci/; returns its status and what it said."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GITHUB_")}
    done = subprocess.run(
        [str(ROOT / "ci" / script), *arguments], env=environment, capture_output=True, text=True, timeout=300
    )
    return done.returncode, done.stdout + done.stderr


def record(**keys: Any) -> Dict[str, Any]:
    """A record of results.json."""
    usual = {"case": "LocalSocket.StreamIsDuplex", "pairing": "x:blocking>x:blocking", "shape": "", "message": ""}
    return {**usual, "outcome": "passed", "requirement": "MUST", "gates": True, **keys}


def document(*records: Dict[str, Any], **run: Any) -> Dict[str, Any]:
    """A results.json."""
    head = {"cases": len(records), "errors": [], "unmatched_expectations": [], "offers_shrunk": [], "exit_status": 0}
    canary = {"must_fail": "failed", "not_offered": "not_applicable"}
    return {"schema": 1, "run": {**head, "canary": canary, **run}, "results": list(records)}


class Compare(unittest.TestCase):
    """ci/compare."""

    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.directory = Path(made.name)

    def planted(self) -> Path:
        """The recorded trace of Linux with one status changed."""
        copy = self.directory / "planted"
        shutil.copytree(TRACES / "linux", copy)
        file = copy / "UnixStream.trace"
        text = file.read_text(encoding="utf-8")
        self.assertIn("-> status=end", text)
        file.write_text(text.replace("-> status=end", "-> status=reset", 1), encoding="utf-8")
        return copy

    def test_what_is_recorded_holds(self) -> None:
        wine = next(d.name for d in TRACES.iterdir() if d.name.startswith("windows"))
        status, said = ci("compare", "linux", wine, "gvisor")
        self.assertEqual(status, 0, said[-2000:])
        self.assertEqual(said.count("== "), 3)

    def test_a_planted_difference_fails(self) -> None:
        status, said = ci("compare", "linux", str(self.planted()))
        self.assertEqual(status, 1, said[-2000:])
        self.assertIn("1 difference in 1 case", said)

    def test_too_few_and_unknown_runs_are_refused(self) -> None:
        for arguments in (["linux"], ["linux", "plan9"]):
            status, said = ci("compare", *arguments)
            self.assertEqual(status, 2, said)


class Scripts(unittest.TestCase):
    """What the others refuse."""

    def test_bad_arguments(self) -> None:
        bad: List[Tuple[str, List[str]]] = [
            ("gate", []),
            ("gate", ["report", "--report", "other"]),
            ("build", []),
            ("build", [str(ROOT / "ci")]),
            ("build", ["/nonexistent/directory", "plan9"]),
            ("linux", []),
            ("macos", []),
            ("windows", []),
            ("fuzz", ["soon"]),
            ("nightly", ["now"]),
            ("cross_compile", ["plan9"]),
            ("zig", []),
        ]
        for script, arguments in bad:
            with self.subTest(script=script, arguments=arguments):
                status, said = ci(script, *arguments)
                self.assertEqual(status, 2, said)
                self.assertTrue(said.strip())

    def test_what_was_built_must_be_there(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            (Path(directory) / "cases").touch()
            with self.assertRaisesRegex(CannotRun, r"does not hold peer, libipc_ref\.so"):
                build.built(Path(directory), System("linux"))
            for name in ("peer", "libipc_ref.so"):
                (Path(directory) / name).touch()
            self.assertEqual(build.built(Path(directory), System("linux")).peer, Path(directory) / "peer")


class Summary(unittest.TestCase):
    """cts summary."""

    def test_as_expected(self) -> None:
        text = summary_command.markdown(document(record()))
        self.assertIn("### IPC-CTS: as expected", text)
        self.assertIn("1 passed, 0 failed (1 case)", text)
        self.assertIn("✅ 1/1", text)
        self.assertNotIn("Not as expected", text)
        self.assertEqual(summary_command.annotations(document(record())), [])

    def test_what_peers_say_is_data(self) -> None:
        evil = "100%\n::error::x | <b> `x`\x1b[31m"
        gone = {"file": "x.toml", "implementation": "x", "case": "LocalSocket.Gone", "why": "no such\ncase"}
        shrunk = {"implementation": "x", "mode": "async", "operations": ["stream.read"], "features": []}
        bad = document(
            record(outcome="failed", message=evil), exit_status=1, unmatched_expectations=[gone], offers_shrunk=[shrunk]
        )
        text = summary_command.markdown(bad)
        self.assertIn("❌ 0/1", text)
        self.assertIn("100%\\\\n::error::x \\| \\<b\\> \\`x\\`\\\\x1b\\[31m", text)
        self.assertIn("expectation without effect: LocalSocket.Gone in x.toml: no such\\\\ncase", text)
        self.assertIn("offer shrank: x \\(async\\): stream.read", text)
        lines = summary_command.annotations(bad)
        self.assertEqual(len(lines), 3)
        self.assertTrue(
            lines[2].startswith("::error title=failed%3A LocalSocket.StreamIsDuplex%2C x alone (blocking)::")
        )
        self.assertTrue(all("\n" not in line and "\x1b" not in line for line in lines))
        self.assertIn("100%25", lines[2])

    def test_long_lists_are_cut(self) -> None:
        many = [record(case=f"LocalSocket.Case{n}", outcome="hung") for n in range(60)]
        self.assertIn("and 10 more", summary_command.markdown(document(*many, exit_status=1)))


if __name__ == "__main__":
    unittest.main()
