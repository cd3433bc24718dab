"""`cts mutants` end to end, with a fake runner."""

from __future__ import annotations

import json
import unittest
from typing import Any, Callable, Dict, List, Tuple

from cts import mutants, visibility
from cts.build import Artifacts
from cts.common import host_system
from cts.compare import Comparer
from cts.project import Project
from cts.recorded import Side, Variant
from cts.systems import System
from tests.support import Checkout


def entry(name: str, case: str = "Alpha.One", shape: str = "", mode: str = "blocking") -> Dict[str, str]:
    return {"name": name, "sentence": f"does {name}", "case": case, "shape": shape, "mode": mode}


def pairing(name: str, mode: str = "blocking") -> str:
    return f"{name}:{mode}>{name}:{mode}"


class _Project(Project):
    """A checkout whose mutants are those of `listed`."""

    listed: List[Dict[str, str]] = []

    def mutants(self, progress: Callable[[str], None]) -> Tuple[Artifacts, List[mutants.Mutant]]:
        artifacts = self.artifacts(System(host_system()), progress)
        return artifacts, mutants.parse(json.dumps(self.listed), artifacts.peer, artifacts.reference)


class Trials(Checkout):
    """What tests of mutants have in common: two of them, each caught by its case."""

    def setUp(self) -> None:
        super().setUp()
        self.project = _Project(self.root, self.artifacts)
        self.project.listed = [entry("unbroken"), entry("fake.broken"), entry("other.broken", "Beta.Last")]
        self.behaviour["Alpha.One"] = {"only": pairing("fake.broken"), "outcome": "failed", "message": "it is broken"}
        self.behaviour["Beta.Last"] = {"only": pairing("other.broken"), "outcome": "hung"}

    def mutants(self, *argv: str, status: int = 0) -> str:
        got, out, err = self.cts("mutants", *argv)
        self.assertEqual(got, status, out + err)
        return out + err


class Mutants(Trials):
    def test_every_mutant_is_killed(self) -> None:
        out = self.mutants()
        self.assertIn("killed     fake.broken: does fake.broken", out)
        self.assertIn("Beta.Last: hung, 100 % of 2 others passed", out)
        self.assertIn("2 mutants: 2 killed, 0 survived", out)

    def test_report(self) -> None:
        self.mutants("--report", str(self.report))
        document: Dict[str, Any] = json.loads((self.report / "mutants.json").read_text())
        self.assertEqual(document["run"]["exit_status"], 0)
        self.assertEqual([m["verdict"] for m in document["mutants"]], ["killed", "killed"])
        self.assertEqual(document["mutants"][0]["share"], 1.0)
        self.assertEqual(document["mutants"][0]["message"], "it is broken")

    def test_globs_choose(self) -> None:
        self.assertIn("1 mutant: 1 killed", self.mutants("fake.*"))

    def test_glob_that_matches_nothing_cannot_run(self) -> None:
        self.assertIn("no mutant matches 'fake.nothing'", self.mutants("fake.nothing", status=2))

    def test_survivor_fails(self) -> None:
        self.project.listed.append(entry("fake.harmless"))
        out = self.mutants(status=1)
        self.assertIn("survived   fake.harmless", out)
        self.assertIn("2 killed, 1 survived", out)

    def test_unbroken_library_survives_where_it_is_asked_for(self) -> None:
        self.assertIn("survived   unbroken", self.mutants("unbroken", status=1))

    def test_mutant_that_breaks_its_family_fails(self) -> None:
        self.behaviour["Alpha.Two"] = {"only": pairing("fake.broken"), "outcome": "crashed"}
        out = self.mutants(status=1)
        self.assertIn("too_broken fake.broken", out)
        self.assertIn("also caught by Two", out)
        self.mutants("--quick")  # which does not ask the family

    def test_unbroken_library_that_fails_is_told(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "failed"}
        out = self.mutants("fake.*", status=1)
        self.assertIn("the unbroken library fails Alpha.One", out)

    def test_unbroken_library_that_fails_once_is_forgiven(self) -> None:
        self.behaviour["Alpha.Two"] = {"only": pairing("unbroken"), "outcome": "failed", "passes_at": 2}
        self.mutants("fake.*")

    def test_mutant_of_another_mode_is_compared_with_the_unbroken_one_in_that_mode(self) -> None:
        self.project.listed.append(entry("fake.later", mode="async"))
        self.behaviour["Alpha.One"] = {"only": pairing("unbroken", "async"), "outcome": "failed", "otherwise": "hung"}
        self.assertIn("the unbroken library fails Alpha.One", self.mutants("fake.later", status=1))

    def test_wrong_canary_proves_nothing(self) -> None:
        self.behaviour["Canary.MustFail"] = {"outcome": "passed"}
        self.assertIn("Canary.MustFail came out wrong", self.mutants(status=2))

    def test_case_that_does_not_apply_here_is_counted_apart(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "not_applicable"}
        self.assertIn("1 do not apply here", self.mutants())
        self.mutants("fake.*", status=2)  # nothing ran

    def test_case_that_leaves_no_result_did_not_run(self) -> None:
        self.behaviour["Alpha.One"] = {"only": pairing("fake.broken"), "outcome": "unverifiable"}
        self.assertIn("1 did not run", self.mutants(status=2))

    def test_named_shape_alone_must_catch_it(self) -> None:
        self.project.listed.append(entry("fake.shaped", "Beta.Shaped", "path+client"))
        self.behaviour["Beta.Shaped"]["outcome"] = "failed"
        self.behaviour["Beta.Shaped"]["only"] = pairing("fake.shaped")
        self.assertIn("Beta.Shaped/path+client: failed", self.mutants("fake.shaped"))

    def test_registry_is_checked(self) -> None:
        for wrong, said in (
            (entry("fake.broken"), "two mutants are named fake.broken"),
            (entry("fake.new", "Alpha.Three"), "there is no case Alpha.Three"),
            (entry("fake.new", "Beta.Shaped", "path+nobody"), "Beta.Shaped has no shape path+nobody"),
            (entry("fake.new", mode="sometimes"), "has no mode sometimes"),
        ):
            with self.subTest(said=said):
                before = list(self.project.listed)
                self.project.listed.append(wrong)
                self.assertIn(said, self.mutants(status=2))
                self.project.listed = before
        self.project.listed = self.project.listed[1:]
        self.assertIn("there is no mutant 'unbroken'", self.mutants(status=2))

    def test_list_runs_nothing(self) -> None:
        self.assertIn("fake.broken: does fake.broken [Alpha.One]", self.mutants("--list"))


class Compared(Trials):
    """`cts mutants --compare`: a mutant is visible by what its trace says, and not by its case's failing."""

    def setUp(self) -> None:
        super().setUp()
        self.run_cts()
        self.assertEqual(self.cts("trace", str(self.report), "--record")[0], 0)

    def wrong(self, case: str, name: str, **more: Any) -> None:
        """The mutant's trace of that case has another status, and more or something else."""
        told = {"only": pairing(name), "outcome": "failed", "answer": {"status": "refused"}, **more}
        self.behaviour[case] = {**self.behaviour.get(case, {}), **told}

    def compare(self, *argv: str, status: int = 0) -> str:
        return self.mutants("--compare", *argv, status=status)

    def test_visible_by_what_it_answers(self) -> None:
        self.wrong("Alpha.One", "fake.broken")
        self.wrong("Beta.Last", "other.broken", answer={"native": "elsewhere"})
        out = self.compare("--report", str(self.base / "compared"))
        self.assertIn("visible      fake.broken: status in Alpha.One", out)
        self.assertIn("visible      other.broken: value in Beta.Last", out)
        self.assertIn("2 mutants: 2 of 2 visible (100.0 %)", out)
        document = json.loads((self.base / "compared/mutants.json").read_text())
        self.assertEqual((document["share"], document["run"]["exit_status"]), (1.0, 0))
        self.assertEqual(document["mutants"][0]["kinds"], {"Alpha.One": ["status"]})

    def test_visible_in_another_case_of_its_family(self) -> None:
        self.wrong("Alpha.Two", "fake.broken")
        self.assertIn("visible      fake.broken: status in Alpha.Two", self.compare("fake.broken"))

    def test_failing_alone_does_not_count(self) -> None:
        out = self.compare(status=1)
        self.assertIn("invisible    fake.broken: outcome", out)
        self.assertIn("does fake.broken [Alpha.One]", out)
        self.assertIn("2 mutants: 0 of 2 visible (0.0 %)", out)

    def test_what_a_failed_case_left_does_not_count(self) -> None:
        self.wrong("Alpha.One", "fake.broken", answer=None)
        self.assertIn("invisible    fake.broken: cut", self.compare("fake.broken", status=1))
        self.wrong("Alpha.One", "fake.broken", answer=None, outcome="hung")
        self.assertIn("visible      fake.broken: status", self.compare("fake.broken"))

    def test_what_is_not_seen_again_does_not_count(self) -> None:
        self.wrong("Alpha.One", "fake.broken", answers_times=1)
        self.assertIn("0 of 1 visible", self.compare("fake.broken", status=1))

    def test_too_few_are_visible(self) -> None:
        for number in range(8):
            name = f"fake.{number}"
            self.project.listed.append(entry(name, "Beta.Alone"))
        self.behaviour["Beta.Alone"].update(answer={"status": "refused"})
        self.behaviour["Beta.Alone"].pop("only", None)
        self.behaviour["Beta.Alone"].update(only=pairing("fake.0"))
        self.assertIn("1 of 10 visible (10.0 %)", self.compare(status=1))

    def test_unbroken_library_that_is_visible_fails(self) -> None:
        self.wrong("Alpha.One", "fake.broken")
        self.wrong("Alpha.Two", "unbroken", outcome="passed")
        out = self.compare("fake.broken", status=1)
        self.assertIn("the unbroken library (blocking) is visible", out)
        self.assertIn("status=refused", out)

    def test_without_a_recording_nothing_is_compared(self) -> None:
        for file in (self.root / "conformance/traces/linux").iterdir():
            file.unlink()
        self.compare(status=2)


class Kinds(unittest.TestCase):
    """What two lanes differ in."""

    def kinds(self, a: List[str], b: List[str], outcome: str = "passed") -> Tuple[List[str], int]:
        sides = []
        for lane, ended in ((a, "passed"), (b, outcome)):
            side = Side("t", "ref", "1", "linux", "linux", 1)
            side.cases["A.B", ""] = [Variant(["blocking"], ended, "", {"client/a": lane})]
            sides.append(side)
        variants = [side.variant(("A.B", ""), "blocking") for side in sides]
        kinds, counting = visibility.kinds_of(Comparer(*sides, {}).compare().refused, *variants)
        return kinds, len(counting)

    lane = ["a -> status=ok length=1 crc32=7", "b -> status=ok pid=<pid-1>", "c -> status=end", "d -> status=ok"]

    def test_answers(self) -> None:
        for at, now, kind in (
            (0, "a -> status=ok length=2 crc32=7", "byte"),
            (0, "a -> status=end length=0 crc32=0", "status"),
            (1, "b -> status=ok pid=<pid-2>", "value"),
            (1, "b -> status=ok", "value"),
            (1, "b ->", "status"),
        ):
            other = [*self.lane]
            other[at] = now
            self.assertEqual(self.kinds(self.lane, other), ([kind], 1), now)

    def test_order_missing_extra(self) -> None:
        a, b, c, d = self.lane
        self.assertEqual(self.kinds(self.lane, [a, c, b, d])[0], ["order"])
        self.assertEqual(self.kinds(self.lane, [a, b, d]), (["missing"], 1))
        self.assertEqual(self.kinds(self.lane, [a, b, c, c, d]), (["extra"], 1))

    def test_end_of_a_failed_case(self) -> None:
        a, b, _, d = self.lane
        self.assertEqual(self.kinds(self.lane, [a, b], "failed"), (["cut"], 0))
        self.assertEqual(self.kinds(self.lane, [a, b, "c -> left=true"], "failed"), (["cut"], 0))
        self.assertEqual(self.kinds(self.lane, [a, b, "c -> left=true"], "hung"), (["status"], 1))
        self.assertEqual(self.kinds(self.lane, [a, b, "c ->"], "crashed"), (["status"], 1))
        self.assertEqual(self.kinds(self.lane, [a, b, d], "failed"), (["missing"], 1))
        self.assertEqual(self.kinds(self.lane, [a, b], "passed"), (["missing"], 2))
        self.assertEqual(self.kinds(self.lane, self.lane, "failed"), (["outcome"], 0))
        renumbered = "b -> status=ok pid=<pid-2>"
        self.assertEqual(self.kinds(self.lane, [a, renumbered], "failed"), (["cut"], 0))
        self.assertEqual(self.kinds(self.lane, [a, renumbered, *self.lane[2:]], "failed"), (["value"], 1))
