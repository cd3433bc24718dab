"""The parts of `cts mutants --source` that need no build: sampling, equivalents, nearness, sums."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Dict, List

from cts import source_mutants as source
from cts import source_record
from cts.common import CannotRun
from cts.mutants import Mutant, Verdict
from cts.source_trial import CONFIGURATIONS, FAR, IN_PROCESS, NEAR, Probe, SourceTrial


def change(file: str, line: int, kind: str, text: str) -> source.Change:
    return source.Change(file, line, kind, "before", text.strip(), text)


class _Compiler(source.Compiler):
    """Makes an object of the text itself; what holds `invalid` does not compile."""

    def __init__(self, work: Path, texts: Dict[str, List[str]]) -> None:
        super().__init__(work, work, ([], []))
        for file in texts:
            self.objects[file] = work / Path(file).name
            self.objects[file].write_text("as it is\n")

    def changed(self, change: source.Change, texts: Dict[str, List[str]]) -> "Path | None":
        if "invalid" in change.text:
            return None
        path = self.work / change.name.replace("/", "_")
        path.write_text(change.text)
        return path


class Sampling(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.texts = {"a.c": ["x;\n"] * 30, "b.c": ["y;\n"] * 10}
        self.compiler = _Compiler(Path(directory.name), self.texts)

    def draw(self, everything: "Dict[tuple[str, str], List[source.Change]]", size: int = 8, seed: int = 1) -> List[str]:
        return [c.name for c, _ in source.Sampler(self.compiler, self.texts, size, seed).draw(everything, 2)]

    def everything(self, text: str = "{}") -> "Dict[tuple[str, str], List[source.Change]]":
        return {
            (file, kind): [change(file, i, kind, text.format(f"{kind} {i}")) for i in range(1, 20)]
            for file in self.texts
            for kind in ("deletion", "constant")
        }

    def test_each_file_has_its_part_by_lines_and_each_kind_its_part_of_that(self) -> None:
        drawn = [name.split(":") for name in self.draw(self.everything())]
        self.assertEqual([n[0] for n in drawn], ["a.c"] * 6 + ["b.c"] * 2)
        self.assertEqual([n[2] for n in drawn].count("deletion"), 4)

    def test_same_seed_same_sample(self) -> None:
        self.assertEqual(self.draw(self.everything()), self.draw(self.everything()))
        self.assertNotEqual(self.draw(self.everything()), self.draw(self.everything(), seed=2))

    def test_what_does_not_compile_does_not_count(self) -> None:
        self.assertEqual(self.draw(self.everything("invalid {}")), [])

    def test_same_object_code_counts_once(self) -> None:
        self.assertEqual(len(self.draw(self.everything("the same"))), 2)
        self.assertEqual(self.draw(self.everything("as it is\n")), [])

    def test_kind_that_has_too_few_leaves_its_part_to_the_others(self) -> None:
        everything = self.everything()
        everything["a.c", "deletion"] = [change("a.c", i, "deletion", f"invalid {i}") for i in range(1, 20)]
        drawn = [name.split(":") for name in self.draw(everything)]
        self.assertEqual([n[2] for n in drawn if n[0] == "a.c"], ["constant"] * 6)

    def test_shares_deal_all(self) -> None:
        self.assertEqual(source.shares({"a": 1, "b": 1, "c": 1}, 10), {"a": 4, "b": 3, "c": 3})
        self.assertEqual(source.shares({}, 10), {})


class EquivalentMutants(unittest.TestCase):
    def load(self, text: str) -> List[source.Equivalent]:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / source.EQUIVALENT
            path.parent.mkdir(parents=True)
            path.write_text(text)
            return source.equivalent(Path(directory), {"a.c": ["  x = 1;\n"]})

    def test_line_is_known_by_its_text(self) -> None:
        (found,) = self.load('[[mutant]]\nfile = "a.c"\nbefore = "x = 1;"\nafter = ";"\nproof = "nobody reads x"\n')
        self.assertTrue(found.is_that(source.Change("a.c", 7, "deletion", "x = 1;", ";", "  ;\n")))
        self.assertFalse(found.is_that(source.Change("a.c", 7, "constant", "x = 1;", "x = 0;", "  x = 0;\n")))

    def test_entry_without_a_proof_or_of_no_line_is_refused(self) -> None:
        entry = '[[mutant]]\nfile = "a.c"\nbefore = "{}"\nafter = ";"\nproof = "{}"\n'
        for text in (entry.format("x = 1;", " "), entry.format("x = 2;", "why"), "[[mutant]]\n", "="):
            with self.assertRaises(CannotRun):
                self.load(text)


class Near(unittest.TestCase):
    def trial(self) -> SourceTrial:
        trial = SourceTrial.__new__(SourceTrial)
        trial.lines = {("a.c", 1): 0b001, ("a.c", 2): 0b010, ("b.c", 1): 0b100}
        trial.probes = [Probe(0, "Wide", 0b111), Probe(0, "Narrow", 0b001), Probe(1, "Other", 0b110)]
        return trial

    def near(self, file: str, line: int) -> List[str]:
        return [p.case for p in self.trial().near(change(file, line, "deletion", ";"))]

    def test_cases_that_execute_less_come_first(self) -> None:
        self.assertEqual(self.near("a.c", 1), ["Narrow", "Wide"])

    def test_line_that_is_no_code_is_its_files(self) -> None:
        self.assertEqual(self.near("b.c", 9), ["Other", "Wide"])

    def test_line_of_a_block_that_nothing_executes_has_none(self) -> None:
        trial = self.trial()
        trial.lines["a.c", 3] = 0b1000
        self.assertEqual(trial.near(change("a.c", 3, "deletion", ";")), [])

    def test_far_ones_are_asked_evenly(self) -> None:
        trial = self.trial()
        trial.probes = [Probe(0, f"{i:04}", 1) for i in range(1000)]
        found = [int(p.case) for p in trial.near(change("a.c", 1, "deletion", ";"))]
        self.assertEqual(found[: sum(NEAR)], list(range(sum(NEAR))))
        self.assertGreater(found[sum(NEAR) + FAR - 10], 800)
        self.assertEqual(sorted(found), list(range(1000)))


class InProcess(unittest.TestCase):
    def test_what_only_an_older_kernel_executes_is_asked_there(self) -> None:
        trial = SourceTrial.__new__(SourceTrial)
        older = len(CONFIGURATIONS) - 1
        trial._not_in_process = {0: [], older: []}
        trial.lines = {("a.c", 1): 0b001, ("a.c", 2): 0b010, ("a.c", 3): 0b100}
        trial.probes = [Probe(0, "Now", 0b001), Probe(older, "Then", 0b011)]
        found = [trial._asked_in_process(change("a.c", line, "deletion", ";")) for line in (1, 2, 3)]
        self.assertEqual(found, [[0], [older], [0, older]])

    def test_case_that_passes_when_repeated_is_passed_over(self) -> None:
        trial = SourceTrial.__new__(SourceTrial)
        trial._not_in_process = {0: []}
        trial.lines, trial.probes = {}, []
        for answers, killer in ((["A", "", ""], ""), (["A", "", "B", "B"], "B"), (["(all)", ""], ""), ([""], "")):
            left = list(answers)
            trial._in_process = lambda *_, left=left, **__: left.pop(0)  # type: ignore[method-assign,misc]
            self.assertEqual(trial._kill_in_process(Path("x.so"), change("a.c", 1, "deletion", ";")), killer)
            self.assertEqual(left, [])


def verdict(name: str, word: str, mode: str = "") -> Verdict:
    return Verdict(Mutant(name, "", "Alpha.One" if word == "killed" else "", "", mode), word)


class Sums(unittest.TestCase):
    def test_rate_leaves_equivalent_ones_out(self) -> None:
        verdicts = [verdict("a.c:1:x:0", "killed"), verdict("a.c:1:x:0", "killed", IN_PROCESS)]
        verdicts += [verdict("a.c:1:y:0", word) for word in ("equivalent", "survived", "survived")]
        self.assertEqual(source_record.rate(verdicts), 0.5)
        self.assertEqual(source_record.rate(verdicts, in_process=False), 0.25)
        text = source_record.document(verdicts, 5, 1, 5)
        self.assertIn("| a.c | 5 | 1 | 1 | 1 | 2 |", text)
        self.assertIn("| y | 3 | 0 | 0 | 1 | 2 |", text)
        self.assertIn("25.0 %, with the in-process cases 50.0 %", text)
        self.assertNotIn("The last run", text)
        self.assertIn("The last run asked about 2 of them", source_record.document(verdicts, 5, 1, 2))


class Recorded(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / source_record.VERDICTS).parent.mkdir(parents=True)
        self.sample = [change("a.c", line, "deletion", ";") for line in (1, 2, 3)]

    def test_source_is_what_the_mutants_are_compiled_from(self) -> None:
        for file in ("ref/common/a.c", "ref/linux/a.h", "ref/windows/a.h"):
            (self.root / file).parent.mkdir(parents=True)
            (self.root / file).write_text("x;\n")

        def digest() -> str:
            return source.source_digest(self.root, source.sources(self.root))

        before = digest()
        (self.root / "ref/windows/a.h").write_text("y;\n")
        self.assertEqual(digest(), before)
        for file in ("ref/common/a.c", "ref/linux/a.h"):
            before = digest()
            (self.root / file).write_text("y;\n")
            self.assertNotEqual(digest(), before)

    def test_verdicts_of_another_run_are_kept(self) -> None:
        self.assertFalse(source_record.load(self.root).is_of(3, 1, "d"))
        one, two, three = (c.name for c in self.sample)
        kept = source_record.Kept(3, 1, "d", {one: verdict(one, "killed", IN_PROCESS), two: verdict(two, "survived")})
        source_record.write(self.root, kept, self.sample, 2)
        again = source_record.load(self.root)
        self.assertTrue(again.is_of(3, 1, "d"))
        for other in ((4, 1, "d"), (3, 2, "d"), (3, 1, "e")):
            self.assertFalse(again.is_of(*other))
        self.assertEqual([again.killed(name) for name in (one, two, three)], [True, False, False])
        self.assertEqual([v.mutant.mode for v in again.of(self.sample)], [IN_PROCESS, "", ""])

    def test_what_nobody_was_asked_about_has_survived(self) -> None:
        source_record.write(self.root, source_record.Kept(3, 1, "d"), self.sample, 0)
        self.assertEqual({v.verdict for v in source_record.load(self.root).of(self.sample)}, {"survived"})
        self.assertEqual((self.root / source_record.TEXT).read_text().count(source_record.NOT_ASKED), 3)

    def test_file_that_cannot_be_read_is_told(self) -> None:
        for text in ("{", "[]", '{"sample": 1, "seed": 1, "source": "d", "mutants": [{}]}'):
            (self.root / source_record.VERDICTS).write_text(text)
            with self.assertRaises(CannotRun):
                source_record.load(self.root)


if __name__ == "__main__":
    unittest.main()
