"""The ledger: what `cts spec check` says of it."""

from __future__ import annotations

import unittest

from tests.support import BUG, Checkout

REASON = '[[line]]\nid = "bug.A1"\nsays = "It went wrong."\nreason = "@why"\n'


class LedgerTest(Checkout):
    """A miniature checkout with a ledger of a line."""

    def setUp(self) -> None:
        super().setUp()
        self.assertEqual(self.cts("spec", "generate")[0], 0)

    def expect_problem(self, problem: str) -> None:
        status, out, _ = self.cts("spec", "check")
        self.assertEqual(status, 1)
        self.assertIn(problem, out)

    def test_numbers_are_printed(self) -> None:
        other = BUG.replace("bug.A1", "bug.A2").replace('requirements = ["Alpha.One"]', 'reason = "Nobody can."')
        self.write_ledger(BUG + other, kinds="bug = 2")
        status, out, _ = self.cts("spec", "check")
        self.assertEqual(status, 0)
        self.assertIn("ledger: 2 lines: 1 covered, 1 with a reason", out)
        self.assertIn("Beta, 1: it is pure. Alone", out)

    def test_no_id_twice(self) -> None:
        self.write_ledger(BUG + BUG, kinds="bug = 2")
        self.expect_problem("bug.A1 stands twice")

    def test_no_line_is_lost(self) -> None:
        self.write_ledger(BUG, kinds="bug = 2")
        self.expect_problem("there are 1 lines of kind bug; `kinds` says 2")

    def test_names_exist(self) -> None:
        self.write_ledger(BUG.replace("Alpha.One", "Alpha.Gone"))
        self.expect_problem("bug.A1: there is no requirement Alpha.Gone")
        self.write_ledger(BUG + 'operations = ["stream.paint"]\n')
        self.expect_problem("bug.A1: there is no operation stream.paint")
        self.write_ledger(BUG.replace("bug.A1", "bugs.A1"), kinds="bug = 0")
        self.expect_problem("bugs.A1: an id is a kind")

    def test_requirements_or_a_reason(self) -> None:
        self.write_ledger(BUG + 'reason = "Both."\n')
        self.expect_problem("bug.A1: it needs `requirements` or a `reason`")
        self.write_ledger(BUG.replace('requirements = ["Alpha.One"]', ""))
        self.expect_problem("bug.A1: it needs `requirements` or a `reason`")

    def test_shared_reasons(self) -> None:
        self.write_ledger(REASON)
        self.expect_problem("bug.A1: there is no reason @why")
        self.write_ledger(REASON, reasons='why = "Because."\nother = "Unused."')
        self.expect_problem("no line has the reason @other")
        self.write_ledger(REASON, reasons='why = "Because."')
        self.assertEqual(self.cts("spec", "check")[0], 0)

    def test_every_operation_is_required(self) -> None:
        self.write_ledger(BUG, without=("stream.read",))
        self.expect_problem("no requirement names the operation stream.read")
        text = (self.root / "spec/ledger.toml").read_text()
        named = text.replace("[unrequired]\n", '[unrequired]\n"name.parse" = "a test"\n"stream.read" = "a test"\n')
        (self.root / "spec/ledger.toml").write_text(named)
        self.expect_problem("a requirement names name.parse: take it out")

    def test_typing_errors(self) -> None:
        self.write_ledger(BUG.replace("says", "say"))
        self.assertEqual(self.cts("spec", "check")[0], 2)
        (self.root / "spec/ledger.toml").write_text("[kinds\n")
        self.assertEqual(self.cts("spec", "check")[0], 2)

    def test_one_process_needs_its_reason(self) -> None:
        page = self.root / "spec/fake.md"
        page.write_text(page.read_text().replace("Alone: it is pure.\n", ""))
        self.expect_problem("Beta.Alone is about one process")


if __name__ == "__main__":
    unittest.main()
