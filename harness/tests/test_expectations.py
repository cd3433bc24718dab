"""Expectations: each rule of matching, what is left over, offers that shrink, and rewriting the file."""

from __future__ import annotations

import itertools
import json
import unittest
from pathlib import Path
from typing import Any, Dict, List, Tuple

from hypothesis import given
from hypothesis import strategies as st

from cts import expectations, schemas
from cts.common import repository_root
from cts.expect_command import from_results, generalise, keep_reasons
from cts.expectations import Expectation
from tests.properties import EXAMPLES
from tests.support import Checkout

HEAD = '[[expectation]]\ncase = "Alpha.One"\nrole = "{role}"\noutcome = "{outcome}"\nreason = "It never does."\n'


class Matching(Checkout):
    """A third party whose Alpha.One fails as server against ref."""

    def setUp(self) -> None:
        super().setUp()
        self.third_party("other", {"modes": ["async"], "version": "v2.3.1"})
        self.behaviour["Alpha.One"] = {"outcome": "failed", "only": "other:async>ref:blocking", "message": "no"}

    def outcome(
        self, extra: str = "", role: str = "server", outcome: str = "failed", status: int = 0
    ) -> Dict[str, Any]:
        self.expectation("other", HEAD.format(role=role, outcome=outcome) + extra)
        document = self.run_cts("--peer", "other", "--with", "ref", status=status)
        return next(
            r for r in document["results"] if r["case"] == "Alpha.One" and r["pairing"] == "other:async>ref:blocking"
        )

    def test_foreseen(self) -> None:
        record = self.outcome('with = "ref"\n')
        self.assertEqual(
            (record["outcome"], record["expected"], record["observed"]),
            ("expected_failure", "It never does.", "failed"),
        )
        self.assertIn("1 finding, as expected", self.out)

    def test_all_that_may_be_named(self) -> None:
        extra = 'shape = ""\nmode = "async"\nwith = "ref"\nversion = ">=2,<3"\nlink = "https://example.org/x"\n'
        self.assertEqual(self.outcome(extra)["link"], "https://example.org/x")

    def test_without_the_other_every_pairing_must_fail(self) -> None:
        self.outcome(status=1)  # alone it passes
        self.assertEqual(self.results()["run"]["outcomes"]["unexpected_pass"], 1)

    def test_other_role(self) -> None:
        self.assertEqual(self.outcome('with = "ref"\n', role="client", status=1)["outcome"], "failed")

    def test_other_mode(self) -> None:
        self.assertEqual(self.outcome('with = "ref"\nmode = "blocking"\n', status=1)["outcome"], "failed")

    def test_other_partner(self) -> None:
        self.assertEqual(self.outcome('with = "somebody"\n', status=1)["outcome"], "failed")

    def test_other_version_is_neither_matched_nor_left_over(self) -> None:
        self.assertEqual(self.outcome('with = "ref"\nversion = ">=3"\n', status=1)["outcome"], "failed")
        self.assertEqual(self.results()["run"]["unmatched_expectations"], [])

    def test_other_shape_is_left_over(self) -> None:
        self.assertEqual(self.outcome('with = "ref"\nshape = "pathh"\n', status=1)["outcome"], "failed")
        self.assertEqual(self.results()["run"]["unmatched_expectations"][0]["shape"], "pathh")

    def test_other_outcome_is_told(self) -> None:
        record = self.outcome('with = "ref"\n', outcome="hung", status=1)
        self.assertEqual(record["outcome"], "failed")
        self.assertIn("foresee 'hung'", record["message"])
        self.assertEqual(len(self.results()["run"]["unmatched_expectations"]), 1)

    def test_unexpected_pass(self) -> None:
        self.behaviour["Alpha.One"] = {}
        record = self.outcome('with = "ref"\n', status=1)
        self.assertEqual(record["outcome"], "unexpected_pass")
        self.assertEqual(self.results()["run"]["unmatched_expectations"], [])

    def test_not_applicable_is_neither(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "not_applicable"}
        self.assertEqual(self.outcome('with = "ref"\n')["outcome"], "not_applicable")

    def test_case_without_requirement_is_left_over(self) -> None:
        self.expectation("other", HEAD.format(role="server", outcome="failed").replace("Alpha.One", "Alpha.Gone"))
        self.behaviour["Alpha.One"] = {}
        document = self.run_cts("--peer", "other", status=1)
        self.assertEqual(document["run"]["unmatched_expectations"][0]["why"], "no requirement has this name")

    def test_what_a_filter_left_out_is_not_left_over(self) -> None:
        self.expectation("other", HEAD.format(role="server", outcome="failed"))
        self.run_cts("--peer", "other", "--cases", "Alpha.Two")

    def test_flaky_beside_another_outcome_allows_all_three(self) -> None:
        for behaviour in ({}, {"outcome": "failed"}, {"outcome": "failed", "passes_at": 2}):
            expectation = "".join(
                f'[[expectation]]\ncase = "Alpha.Two"\nrole = "server"\noutcome = "{o}"\nreason = "r"\n'
                for o in ("flaky", "failed")
            )
            self.expectation("ref", expectation)
            self.behaviour["Alpha.Two"] = behaviour
            document = self.run_cts("--mode", "blocking")
            self.assertEqual(document["run"]["unmatched_expectations"], [], behaviour)

    def test_flaky_may_come_or_go(self) -> None:
        self.behaviour["Alpha.One"]["passes_at"] = 2
        self.assertEqual(self.outcome('with = "ref"\n', outcome="flaky")["outcome"], "expected_failure")
        self.behaviour["Alpha.One"] = {}
        self.assertEqual(self.outcome('with = "ref"\n', outcome="flaky")["outcome"], "passed")

    def test_unverifiable(self) -> None:
        self.behaviour["Alpha.One"]["outcome"] = "unverifiable"
        self.assertEqual(self.outcome('with = "ref"\n', outcome="unverifiable")["outcome"], "expected_failure")

    def test_option_replaces_the_file(self) -> None:
        path = self.base / "mine.toml"
        path.write_text(
            'schema = 1\nimplementation = "other"\nos = "linux"\n'
            + HEAD.format(role="server", outcome="failed")
            + 'with = "ref"\n'
        )
        self.expectation("other", HEAD.format(role="client", outcome="hung"))
        self.run_cts("--peer", "other", "--expect", str(path))

    def test_option_for_somebody_who_takes_no_part(self) -> None:
        path = self.base / "mine.toml"
        path.write_text('schema = 1\nimplementation = "somebody"\nos = "linux"\n')
        status, _, err = self.cts("run", "--peer", "other", "--expect", str(path), "--report", str(self.report))
        self.assertEqual((status, "somebody, which takes no part in this run; these do: ref, other" in err), (2, True))

    def test_file_that_is_no_toml(self) -> None:
        path = self.base / "mine.toml"
        for data in (b"\xff\xfe", b"= 3", b"a = 1979-13-45"):
            path.write_bytes(data)
            status, _, err = self.cts("run", "--peer", "other", "--expect", str(path), "--report", str(self.report))
            self.assertEqual((status, "mine.toml is no TOML" in err), (2, True))

    def test_only_files_of_what_comes_with_the_suite_are_written_unasked(self) -> None:
        self.run_cts("--peer", self.command(implementation="mine"), "--with", "other", status=0)
        folder = self.root / "conformance/expectations"
        status, _, err = self.cts("expect", str(self.report))
        self.assertEqual((status, "--implementation mine --output FILE" in err, folder.exists()), (2, True, False))
        self.run_cts("--peer", self.command(implementation="mine"))
        status, _, err = self.cts("expect", str(self.report))
        self.assertEqual((status, "say where its expectations go: --output FILE" in err), (2, True))
        mine = self.base / "mine.toml"
        self.assertEqual(self.cts("expect", str(self.report), "--output", str(mine))[0], 0)
        self.assertEqual((expectations.load(mine, self.root).implementation, folder.exists()), ("mine", False))
        self.run_cts("--peer", "other", status=1)
        status, _, err = self.cts("expect", str(self.report), "--output", str(mine))
        self.assertEqual((status, "is for mine, not for other" in err), (2, True))

    def test_file_of_a_wrong_shape(self) -> None:
        self.expectation("other", HEAD.format(role="waiter", outcome="failed"))
        status, _, err = self.cts("run", "--peer", "other", "--report", str(self.report), "--os", "linux")
        self.assertEqual((status, "expectation.0.role" in err), (2, True))

    def test_offer_that_shrank(self) -> None:
        offer = '[[offer]]\nmode = "async"\noperations = ["local.listen", "stream.split"]\nfeatures = ["lanes"]\n'
        self.behaviour["Alpha.One"] = {}
        self.expectation("other", offer)
        shrunk = self.run_cts("--peer", "other", status=1)["run"]["offers_shrunk"]
        self.assertEqual([(s["operations"], s["features"]) for s in shrunk], [(["stream.split"], ["lanes"])])

    def test_offer_of_another_version_is_not_held_against_it_and_keeps_its_version(self) -> None:
        self.behaviour["Alpha.One"] = {}
        offer = '[[offer]]\nmode = "async"\nversion = "{}"\noperations = ["stream.split"]\nfeatures = []\n'
        path = self.expectation("other", offer.format(">=3"))
        self.assertEqual(self.run_cts("--peer", "other")["run"]["offers_shrunk"], [])
        self.expectation("other", offer.format(">=2"))
        self.assertEqual(len(self.run_cts("--peer", "other", status=1)["run"]["offers_shrunk"]), 1)
        self.assertEqual(self.cts("expect", str(self.report))[0], 0)
        offers = expectations.load(path, self.root).offers
        self.assertEqual(
            [(o["mode"], o["version"], "stream.split" in o["operations"]) for o in offers], [("async", ">=2", False)]
        )

    def test_mode_that_is_not_offered_any_more(self) -> None:
        self.behaviour["Alpha.One"] = {}
        self.expectation("other", '[[offer]]\nmode = "blocking"\noperations = []\nfeatures = []\n')
        self.assertTrue(self.run_cts("--peer", "other", status=1)["run"]["offers_shrunk"][0]["mode_missing"])

    def test_rewriting_makes_the_next_run_pass_and_keeps_reasons(self) -> None:
        self.run_cts("--peer", "other", status=1)
        path = self.root / "conformance/expectations/other.linux.toml"
        self.assertEqual(self.cts("expect", str(self.report))[0], 0)
        file = expectations.load(path, self.root)
        self.assertEqual(
            [(e.case, e.role, e.other, e.outcome) for e in file.expectations],
            [("Alpha.One", "server", "ref", "failed")],
        )
        self.assertEqual(file.offers[0]["mode"], "async")
        path.write_text(path.read_text().replace("Observed: no", "Because it is so."))
        self.run_cts("--peer", "other")
        self.assertEqual(self.cts("expect", str(self.report), "--implementation", "other")[0], 0)
        self.assertEqual(expectations.load(path, self.root).expectations[0].reason, "Because it is so.")
        self.behaviour["Alpha.One"] = {}
        self.run_cts("--peer", "other", status=1)
        self.cts("expect", str(self.report))
        self.assertEqual(expectations.load(path, self.root).expectations, [])

    def test_several_machines(self) -> None:
        self.run_cts("--peer", "other", status=1)
        elsewhere = self.base / "elsewhere.json"
        document = self.results()
        for record in document["results"]:
            if record["outcome"] == "failed":
                record.update(outcome="passed", observed="passed")
        document["run"]["peers"][1]["version"] = "v3.0"
        elsewhere.write_text(json.dumps(document))
        self.assertEqual(self.cts("expect", str(self.report), str(elsewhere))[0], 0)
        made = expectations.load(self.root / "conformance/expectations/other.linux.toml", self.root).expectations
        self.assertEqual([e.version for e in made], ["==2.3.1"])

    def test_flaky_stays_when_it_does_not_show(self) -> None:
        path = self.expectation("other", HEAD.format(role="server", outcome="flaky"))
        self.behaviour["Alpha.One"] = {}
        self.run_cts("--peer", "other")
        self.assertEqual(self.cts("expect", str(self.report))[0], 0)
        self.assertEqual(
            [(e.outcome, e.reason) for e in expectations.load(path, self.root).expectations],
            [("flaky", "It never does.")],
        )

    def test_runs_that_disagree_make_it_flaky(self) -> None:
        self.run_cts("--peer", "other", status=1)
        first = self.base / "first.json"
        first.write_text(json.dumps(self.results()))
        fails, self.behaviour["Alpha.One"] = self.behaviour["Alpha.One"], {}
        self.run_cts("--peer", "other")
        self.assertEqual(self.cts("expect", str(first), str(self.report))[0], 0)
        made = expectations.load(self.root / "conformance/expectations/other.linux.toml", self.root).expectations
        self.assertEqual(sorted((e.outcome, e.version) for e in made), [("failed", None), ("flaky", None)])
        self.run_cts("--peer", "other")
        self.behaviour["Alpha.One"] = fails
        self.run_cts("--peer", "other")


# Outcomes, and the role that is blamed; the implementation is the server.
OUTCOMES = (
    ("passed", ""),
    ("failed", "server"),
    ("failed", "client"),
    ("hung", "server"),
    ("flaky", "server"),
    ("unverifiable", ""),
)
POINTS = tuple(itertools.product(("p", "n"), ("blocking", "async"), ("ref", "else")))
Run = Tuple[str, Tuple[Tuple[str, str], ...]]  # the version, and what came out at each point


def _records(run: Run, machine: int = 0) -> List[Dict[str, Any]]:
    return [
        {"case": "A.B", "shape": shape, "server": "x", "server_mode": mode, "client": other, "client_mode": "blocking"}
        | {"outcome": outcome, "blame": blame, "message": outcome, "machine": machine}
        for (shape, mode, other), (outcome, blame) in zip(POINTS, run[1])
        # What fails at another third party is told in its file.
        if blame != "client" or other == "ref"
    ]


def _expectation(outcome: str, axes: Tuple[Any, Any, Any], version: Any) -> Expectation:
    shape, mode, other = axes
    return Expectation("A.B", "server", outcome, "Why.", shape, mode, other, version, implementation="x")


RUNS = st.lists(
    st.tuples(st.sampled_from(("1", "2")), st.tuples(*[st.sampled_from(OUTCOMES)] * len(POINTS))),
    min_size=1,
    max_size=4,
)
OLD = st.lists(
    st.builds(
        _expectation,
        st.sampled_from(("failed", "hung", "flaky", "unverifiable")),
        st.tuples(
            *[st.sampled_from((None, *values)) for values in zip(*[("p", "blocking", "ref"), ("n", "async", "else")])]
        ),
        st.sampled_from((None, "==1", ">=2")),
    ),
    max_size=3,
)


class Rewriting(unittest.TestCase):
    def rewritten(self, runs: List[Run], old: List[Expectation]) -> List[Expectation]:
        records = [r for machine, run in enumerate(runs) for r in _records(run, machine)]
        made = from_results(records, "x", {machine: run[0] for machine, run in enumerate(runs)}, old)
        entries = keep_reasons(made, old, {"A.B"}, {version for version, _ in runs})
        renamed = [{("other" if k == "with" else k): v for k, v in e.items()} for e in entries]
        return [Expectation(**e, implementation="x") for e in renamed]

    @EXAMPLES
    @given(RUNS, OLD)
    def test_what_was_seen_is_as_expected_afterwards(self, runs: List[Run], old: List[Expectation]) -> None:
        made = self.rewritten(runs, old)
        for run in runs:
            file = expectations.File(Path("x.linux.toml"), "x", "linux", self.rewritten(runs, old))
            matcher = expectations.Matcher([file], {"x": ("x", run[0]), "ref": ("ref", "1"), "else": ("else", "1")})
            records = _records(run)
            for record in records:
                seen = record["outcome"]
                matcher.apply(record)
                as_expected = "passed" if seen == "passed" else "expected_failure"
                self.assertEqual(record["outcome"], as_expected, (record, made))
            if not any(e.outcome == "flaky" for e in old):
                self.assertEqual(matcher.unmatched(records, ["A.B"]), [])

    @EXAMPLES
    @given(RUNS, OLD)
    def test_once_more_changes_nothing(self, runs: List[Run], old: List[Expectation]) -> None:
        made = self.rewritten(runs, old)
        self.assertEqual(self.rewritten(runs, made), made)

    @EXAMPLES
    @given(RUNS, OLD)
    def test_flaky_stays(self, runs: List[Run], old: List[Expectation]) -> None:
        made = self.rewritten(runs, old)
        for e in old:
            self.assertTrue(e.outcome != "flaky" or e in made, (e, made))


class Parts(unittest.TestCase):
    def test_versions(self) -> None:
        for text, wanted in (
            ("v22.1.0", "22.1.0"),
            ("go1.26", "1.26"),
            ("1.2.1 (abi 1.1)", "1.2.1"),
            ("3.13rc1", "3.13rc1"),
        ):
            self.assertEqual(str(expectations.parse_version(text)), wanted)
        self.assertIsNone(expectations.parse_version("unknown"))

    def test_generalise(self) -> None:
        ran = {(s, m, w) for s in ("p", "n") for m in ("b", "a") for w in ("ref", "x")}
        self.assertEqual(generalise(ran, ran), [{}])
        self.assertEqual(generalise({p for p in ran if p[0] == "p"}, ran), [{"shape": "p"}])
        only = {("p", "b", "ref"), ("n", "a", "x")}
        self.assertEqual(len(generalise(only, ran)), 2)

    def test_schema_refuses(self) -> None:
        good = {"schema": 1, "implementation": "x", "os": "linux"}
        root = repository_root()
        self.assertEqual(schemas.problems(root, "expectations", good), [])
        for bad in ({**good, "schema": 2}, {**good, "expectation": [{"case": "A.B"}]}, {**good, "surprise": 1}):
            self.assertTrue(schemas.problems(root, "expectations", bad))


if __name__ == "__main__":
    unittest.main()
