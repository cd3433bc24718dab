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
{line}
Something holds.

Source: somebody. {remark}
"""


def load(evidence: str = "documented", remark: str = "", line: str = "") -> requirements.Requirement:
    with tempfile.TemporaryDirectory() as directory:
        spec = Path(directory) / "spec"
        spec.mkdir()
        shutil.copy(ROOT / "spec/operations.toml", spec)
        page = PAGE.format(evidence=evidence, remark=remark, line=f"{line}\n" if line else "")
        (spec / "page.md").write_text(page, encoding="utf-8")
        return requirements.load(Path(directory))[0]


class Own(unittest.TestCase):
    def test_keys_by_operation(self) -> None:
        line = "Own: signal.number.number signal.raise.exit name.native.status name.native.native line.features"
        own = {
            "signal.number": ["number"],
            "signal.raise": ["exit"],
            "name.native": ["status", "native"],
            "line": ["features"],
        }
        self.assertEqual(load(line=line).own, own)
        self.assertEqual(load().own, {})

    def test_what_is_no_key_is_refused(self) -> None:
        for token in ("number", "signal.number", "signal.number.uid", "signal.nothing.number", "line.nothing"):
            with self.assertRaisesRegex(requirements.SpecError, f"{token}' is no argument and no result"):
                load(line=f"Own: {token}")


class WineHides(unittest.TestCase):
    def test_evidence_from_wine_is_refused(self) -> None:
        with self.assertRaisesRegex(requirements.SpecError, "Family.Rule has evidence from Wine"):
            load("wine 8.0", "*Wine hides it.*")

    def test_other_evidence_is_not(self) -> None:
        for evidence in ("documented", "run 10.0"):
            self.assertTrue(load(evidence, "*Wine hides it.*").hidden_by_wine)

    def test_nor_is_wine_where_it_shows(self) -> None:
        self.assertFalse(load("wine 8.0", "").hidden_by_wine)


if __name__ == "__main__":
    unittest.main()
