"""What the requirements' shape refuses, on pages made for it."""

import shutil
import tempfile
import unittest
from pathlib import Path

from cts import requirements

ROOT = Path(__file__).resolve().parents[2]
PAGE = """# A page

### Family.Rule
**MUST** · linux: no · macos: no · freebsd: no · windows: {evidence} · since 1
Peer: name.parse

Something holds.

Source: somebody. {remark}
"""


class WineHides(unittest.TestCase):
    def load(self, evidence: str, remark: str) -> requirements.Requirement:
        with tempfile.TemporaryDirectory() as directory:
            spec = Path(directory) / "spec"
            spec.mkdir()
            shutil.copy(ROOT / "spec/operations.toml", spec)
            (spec / "page.md").write_text(PAGE.format(evidence=evidence, remark=remark), encoding="utf-8")
            return requirements.load(Path(directory))[0]

    def test_evidence_from_wine_is_refused(self) -> None:
        with self.assertRaisesRegex(requirements.SpecError, "Family.Rule has evidence from Wine"):
            self.load("wine 8.0", "*Wine hides it.*")

    def test_other_evidence_is_not(self) -> None:
        for evidence in ("documented", "run 10.0"):
            self.assertTrue(self.load(evidence, "*Wine hides it.*").hidden_by_wine)

    def test_nor_is_wine_where_it_shows(self) -> None:
        self.assertFalse(self.load("wine 8.0", "").hidden_by_wine)


if __name__ == "__main__":
    unittest.main()
