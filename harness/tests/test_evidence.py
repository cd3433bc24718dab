"""`cts spec evidence`: what passed with the reference everywhere becomes evidence, where there was none."""

from __future__ import annotations

import json
import unittest
from typing import Any, Dict, List
from unittest import mock

from tests.support import DOCUMENT, RECORD, Checkout


def record(case: str, outcome: str = "passed", **more: str) -> Dict[str, Any]:
    said = {"case": case, "outcome": outcome, "os": "windows-wine-8.0", "server": "ref", "client": "ref"}
    return {**RECORD, **said, **more}


class Evidence(Checkout):
    def setUp(self) -> None:
        super().setUp()
        # What the generator needs of a whole checkout is not what is tested here.
        patched = mock.patch("cts.generate.write", return_value=[])
        self.generated = patched.start()
        self.addCleanup(patched.stop)

    def evidence(self, *records: Dict[str, Any], status: int = 0, **run: Any) -> List[str]:
        """The lines of evidence after the command, in order."""
        host = {**DOCUMENT["run"]["host"], "kernel": "6.18.5-amd64"}
        told = {**DOCUMENT["run"], "exit_status": 1, "host": host, **run}
        file = self.base / "results.json"
        file.write_text(json.dumps({"schema": 1, "run": told, "results": list(records)}))
        got, self.out, err = self.cts("spec", "evidence", "--from", str(file))
        self.assertEqual(got, status, self.out + err)
        return [line for line in (self.root / "spec/fake.md").read_text().split("\n") if line.startswith("**")]

    def test_what_passed_everywhere(self) -> None:
        before = self.evidence(record("Alpha.One", "failed"))
        self.generated.assert_not_called()
        after = self.evidence(
            record("Alpha.One"),
            record("Alpha.One", "not_applicable"),
            record("Alpha.Two"),
            record("Alpha.Two", "failed"),
            record("Beta.Alone", "not_applicable"),
            record("Beta.Shaped", client="other"),
            record("Beta.Last", "unverifiable"),
        )
        changed = [number for number, line in enumerate(after) if line != before[number]]
        self.assertEqual(changed, [0])
        self.assertEqual(after[0], before[0].replace("windows: documented", "windows: wine 8.0"))
        self.assertIn("spec/fake.md:5: Alpha.One: windows: wine 8.0\n1 requirement changed", self.out)
        self.generated.assert_called_once()

    def test_a_real_kernel(self) -> None:
        after = self.evidence(record("Alpha.One", os="freebsd"))
        self.assertIn("freebsd: run 6.18 ·", after[0])
        again = self.evidence(record("Alpha.One"))
        self.assertIn("linux: run 6.1 · macos: documented · freebsd: run 6.18 · windows: wine 8.0 ·", again[0])

    def test_runs_that_are_no_evidence(self) -> None:
        before = self.evidence(record("Alpha.One", "failed"))
        self.assertEqual(self.evidence(record("Alpha.One"), status=2, exit_status=2), before)
        self.assertEqual(self.evidence(record("Alpha.One", os="gvisor"), status=2), before)
        self.assertEqual(self.evidence(record("Alpha.One"), record("Alpha.Two", os="linux"), status=2), before)


if __name__ == "__main__":
    unittest.main()
