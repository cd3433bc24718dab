"""`cts mutants` end to end, with a fake runner."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Tuple

from cts import mutants
from cts.build import Artifacts
from cts.common import host_system
from cts.project import Project
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


class Mutants(Checkout):
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
