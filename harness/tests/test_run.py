"""`cts run` end to end, with a fake runner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path

from cts import schemas, workdir
from cts.common import repository_root
from tests.support import CASES, Checkout

ALONE = "ref:blocking>ref:blocking"
HARNESS = str(repository_root() / "harness")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


class Runs(Checkout):
    def test_reference_alone_in_each_mode(self) -> None:
        document = self.run_cts()
        self.assertEqual({r["pairing"] for r in document["results"]}, {ALONE, "ref:nonblocking>ref:nonblocking"})
        self.assertEqual(document["run"]["outcomes"]["passed"], 12)
        self.assertEqual(document["run"]["cases"], 5)
        self.assertEqual(document["run"]["canary"], {"must_fail": "failed", "not_offered": "not_applicable"})
        self.assertEqual(schemas.problems(repository_root(), "results", document), [])
        self.assertIn("12 passed, 0 failed (5 cases)", self.out)

    def test_leaves_nothing_in_the_temporary_directory(self) -> None:
        self.run_cts()
        self.assertEqual(os.listdir(self.tmp), [])

    def test_third_party_alone_and_in_both_roles(self) -> None:
        self.third_party("other", {"modes": ["async", "blocking"]})
        document = self.run_cts("--peer", "other")
        self.assertEqual(
            {r["pairing"] for r in document["results"]},
            {
                "other:async>other:async",
                "other:blocking>other:blocking",
                "other:async>ref:blocking",
                "ref:blocking>other:async",
            },
        )

    def test_every_third_party_without_arguments(self) -> None:
        self.third_party("other", {"modes": ["async"]})
        document = self.run_cts()
        self.assertEqual(len({r["pairing"] for r in document["results"]}), 5)

    def test_mode_restricts(self) -> None:
        document = self.run_cts("--mode", "nonblocking")
        self.assertEqual({r["pairing"] for r in document["results"]}, {"ref:nonblocking>ref:nonblocking"})

    def test_unknown_peer_lists_names(self) -> None:
        self.third_party("other")
        status, _, err = self.cts("run", "--peer", "no-such-thing")
        self.assertEqual(status, 2)
        self.assertIn("ref, other", err)

    def test_command_is_named_by_its_hello_made_unique(self) -> None:
        self.third_party("other")
        document = self.run_cts("--peer", self.command(implementation="other"))
        self.assertEqual({p["name"] for p in document["run"]["peers"]}, {"ref", "other (command)"})

    def test_library_is_named_by_its_table(self) -> None:
        library = self.base / "libthing.so"
        library.touch()
        document = self.run_cts("--library", str(library))
        self.assertIn("libthing:blocking>ref:blocking", {r["pairing"] for r in document["results"]})

    def test_folder_is_built_only_with_build(self) -> None:
        folder = self.base / "mine"
        folder.mkdir()
        command = json.dumps(
            [sys.executable, str(Path(__file__).with_name("fake_peer.py")), '{"implementation":"mine"}']
        )
        build = json.dumps([["touch", "{out}/made"]])
        (folder / "peer.toml").write_text(f'name = "mine"\nbuild = {build}\nrun = {command}\n')
        status, _, err = self.cts("run", "--peer", str(folder), "--report", str(self.report))
        self.assertEqual((status, "--build" in err), (2, True))
        self.assertEqual(list((self.base / "cache").rglob("made")), [])
        self.run_cts("--peer", str(folder), "--build")
        self.assertEqual(len(list((self.base / "cache").rglob("made"))), 1)

    def test_missing_toolchain_is_unavailable_by_name(self) -> None:
        self.third_party("other", extra='toolchain = [{ program = "no-such-program", minimum = "3.0" }]')
        document = self.run_cts()
        peer = next(p for p in document["run"]["peers"] if p["name"] == "other")
        self.assertEqual(
            (peer["available"], peer["why"]), (False, "needs no-such-program 3.0 or newer, which is not installed")
        )
        self.assertIn("unavailable: other: needs no-such-program", self.out)

    def test_too_old_toolchain(self) -> None:
        python = sys.executable
        tool = f'toolchain = [{{ program = "{python}", version = ["{python}", "--version"], minimum = "99" }}]'
        self.third_party("other", extra=tool)
        document = self.run_cts()
        self.assertIn("99 or newer, found 3.", document["run"]["peers"][1]["why"])
        self.assertEqual(self.cts("run", "--peer", "other", "--report", str(self.report))[0], 2)

    def test_failing_build_is_said(self) -> None:
        self.third_party("other", extra='build = [["false"]]')
        self.assertIn("its build failed: `false` gave 1", self.run_cts()["run"]["peers"][1]["why"])

    def test_filter(self) -> None:
        document = self.run_cts("--cases", "Alpha.*")
        self.assertEqual({r["case"] for r in document["results"]}, {"Alpha.One", "Alpha.Two"})

    def test_filter_that_matches_nothing(self) -> None:
        self.project._artifacts = None  # were anything built, this would fail otherwise
        status, _, err = self.cts("run", "--cases", "Nothing.*", "--report", str(self.report))
        self.assertEqual((status, "no case matches" in err), (2, True))

    def test_shards_run_each_case_once(self) -> None:
        self.behaviour["cases"] = [*CASES, "Canary.MustFail", "Canary.NotOffered"]
        document = self.run_cts("--jobs", "4", "--mode", "blocking")
        self.assertEqual(sorted(r["case"] for r in document["results"]), sorted([*CASES, "Beta.Shaped"]))

    def test_case_of_one_process_runs_where_one_implementation_plays_both_roles(self) -> None:
        self.third_party("other", {"modes": ["async"]})
        document = self.run_cts("--peer", "other", "--cases", "Beta.Alone")
        self.assertEqual([(r["peer"], r["mode"]) for r in document["results"]], [("other", "async")])

    def test_runners_side_by_side_have_names_of_their_own(self) -> None:
        self.run_cts()
        names = set()
        for line in (self.report / "trace.jsonl").read_text().splitlines():
            event = json.loads(line)
            names.add((event["pairing"], event.get("request", {}).get("name", "").rpartition("/")[2]))
        names = {(p, n) for p, n in names if n}
        self.assertEqual(len({n for _, n in names}), len(names))

    def test_failure_gates_and_is_reproducible(self) -> None:
        self.behaviour["Alpha.Two"] = {"outcome": "failed", "message": "expected end, got ok", "blame": "client"}
        document = self.run_cts(status=1)
        self.assertEqual(document["run"]["outcomes"]["failed"], 2)
        self.assertIn("./cts run --cases Alpha.Two --peer ref --mode blocking", self.out)
        self.assertIn("expected end, got ok", self.out)

    def test_should_and_missing_evidence_do_not_gate(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "failed", "requirement": "SHOULD"}
        self.behaviour["Alpha.Two"] = {"outcome": "failed", "gates": False}
        self.run_cts()
        self.assertIn("4 results that do not hold and do not gate", self.out)

    def test_flaky(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "failed", "message": "once", "passes_at": 3}
        record = self.by_case(self.run_cts(status=1), "Alpha.One")[0]
        self.assertEqual(
            (record["outcome"], record["message"]), ("flaky", "passed at repetition 2; before: failed: once")
        )

    def test_failing_three_times_is_failed(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "hung", "passes_at": 4}
        self.assertEqual(self.by_case(self.run_cts(status=1), "Alpha.One")[0]["outcome"], "hung")

    def test_crash_of_the_runner_costs_the_culprit_alone(self) -> None:
        self.behaviour["Alpha.Two"] = {"crash": int(signal.SIGSEGV)}
        document = self.run_cts("--mode", "blocking", "--jobs", "1", status=1)
        crashed = [r for r in document["results"] if r["outcome"] == "crashed"]
        self.assertEqual([(r["case"], r["blame"]) for r in crashed], [("Alpha.Two", "")])
        self.assertIn("SIGSEGV", crashed[0]["message"])
        self.assertEqual(document["run"]["outcomes"]["passed"], 5)
        self.assertEqual(schemas.problems(repository_root(), "results", document), [])

    def test_second_crash_ends_the_pairing(self) -> None:
        self.behaviour["Alpha.One"] = {"crash": int(signal.SIGABRT)}
        self.behaviour["Beta.Shaped"] = {"crash": int(signal.SIGABRT)}
        document = self.run_cts("--mode", "blocking", "--jobs", "1", status=2)  # the canaries did not run
        outcomes = {r["case"]: r["outcome"] for r in document["results"]}
        self.assertEqual(outcomes["Beta.Last"], "crashed")
        self.assertEqual(outcomes["Alpha.Two"], "passed")

    def test_case_without_record(self) -> None:
        self.behaviour["Alpha.One"] = {"silent": True}
        record = self.by_case(self.run_cts(status=1), "Alpha.One")[0]
        self.assertEqual((record["outcome"], record["message"]), ("crashed", "the runner left no record of this case"))

    def test_plan_that_cannot_be_carried_out(self) -> None:
        self.behaviour["refuse"] = "no such peer"
        document = self.run_cts(status=2)
        self.assertIn("no such peer", document["run"]["errors"][0])
        self.assertNotIn("\x1b", document["run"]["errors"][0] + self.out)

    def test_canary_that_passes_is_no_result(self) -> None:
        self.behaviour["Canary.MustFail"] = {"outcome": "passed"}
        self.assertEqual(self.run_cts(status=2)["run"]["canary"]["must_fail"], "passed")
        self.assertIn("cannot be trusted", self.out)

    def test_canary_runs_whatever_the_filter(self) -> None:
        self.behaviour["Canary.NotOffered"] = {"outcome": "passed"}
        self.run_cts("--cases", "Alpha.One", status=2)

    def test_foreign_directory_is_not_replaced(self) -> None:
        self.report.mkdir()
        (self.report / "precious").touch()
        status, _, err = self.cts("run", "--report", str(self.report))
        self.assertEqual((status, "is no report of IPC-CTS" in err), (2, True))
        self.assertTrue((self.report / "precious").exists())

    def test_report_is_replaced(self) -> None:
        first = self.run_cts()["run"]["run_id"]
        self.assertNotEqual(self.run_cts()["run"]["run_id"], first)
        self.assertEqual(
            sorted(os.listdir(self.base / "report")),
            [".ipc-cts-report", "index.html", "junit.xml", "results.json", "trace.jsonl"],
        )
        self.assertEqual([n for n in os.listdir(self.base) if n.startswith(".report")], [])

    def test_two_runs_at_once_do_not_meet(self) -> None:
        (self.base / "behaviour.json").write_text(json.dumps(self.behaviour))
        both = [self.start(self.base / f"report-{n}") for n in range(2)]
        self.assertEqual([p.wait(timeout=60) for p in both], [0, 0])

    # ------------------------------------------------------------------------------------------------- interruption

    def start(self, target: Path, *more: str) -> "subprocess.Popen[bytes]":
        """Start `cts run` as a process of its own."""
        a = self.artifacts
        program = (
            "import sys; from pathlib import Path; from cts.cli import main; from cts.project import Project;"
            "from cts.build import Artifacts;"
            f"sys.exit(main(sys.argv[1:], Project(Path({str(self.root)!r}), Artifacts(Path({str(a.runner)!r}),"
            f" Path({str(a.peer)!r}), Path({str(a.reference)!r})))))"
        )
        argv = [sys.executable, "-c", program, "run", "--report", str(target), "--os", "linux", *more]
        process = subprocess.Popen(
            argv, env={**os.environ, "PYTHONPATH": HARNESS}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.addCleanup(process.wait)
        return process

    def interrupt(self, signum: int) -> None:
        started, child = self.base / "started", self.base / "child"
        self.behaviour["Beta.Last"] = {
            "started": str(started),
            "wait_for": str(self.base / "never"),
            "child": str(child),
        }
        (self.base / "behaviour.json").write_text(json.dumps(self.behaviour))
        process = self.start(self.report, "--jobs", "1")  # in order: what is before Beta.Last has been recorded
        while not started.exists():
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        process.send_signal(signum)
        self.assertEqual(process.wait(timeout=30), 128 + signum)
        self.assertFalse(alive(int(child.read_text())))
        self.assertEqual(os.listdir(self.tmp), [])
        document = self.results()
        self.assertIn(f"interrupted by {signal.Signals(signum).name}", document["run"]["notes"][0])
        self.assertTrue(self.by_case(document, "Alpha.One"))
        self.assertEqual(schemas.problems(repository_root(), "results", document), [])

    def test_interrupted_by_the_terminal_and_run_again(self) -> None:
        self.interrupt(signal.SIGINT)
        self.behaviour["Beta.Last"] = {}
        self.run_cts()

    def test_terminated(self) -> None:
        self.interrupt(signal.SIGTERM)

    def test_orphans_of_a_runner_do_not_outlive_the_run(self) -> None:
        child = self.base / "child"
        self.behaviour["Alpha.One"] = {"child": str(child)}
        (self.base / "behaviour.json").write_text(json.dumps(self.behaviour))
        self.assertEqual(self.start(self.report).wait(timeout=60), 0)
        self.assertFalse(alive(int(child.read_text())))

    # -------------------------------------------------------------------------------------------------------- sweep

    def test_sweep_takes_the_dead_and_spares_the_living(self) -> None:
        living = workdir.WorkDir("a" * 32)
        dead = self.tmp / "cts-bbbbbbbb-abcdefgh"
        dead.mkdir(mode=0o700)
        (dead / "lock").touch()
        foreign = self.tmp / "cts-cccccccc-abcdefgh"
        foreign.mkdir(mode=0o700)
        (self.tmp / "cts-dddddddd-abcdefgh").symlink_to(foreign)
        with living as path:
            self.assertEqual(workdir.sweep(), [dead])
            self.assertTrue(path.exists() and foreign.exists())
        self.assertFalse(path.exists())

    def test_explain_shows_requirement_and_last_results(self) -> None:
        self.behaviour["Alpha.Two"] = {"outcome": "failed", "message": "bad \x1b[2J"}
        self.run_cts(status=1)
        status, out, _ = self.cts("explain", "Alpha.Two", "--report", str(self.report))
        self.assertEqual(status, 0)
        for text in (
            "What Alpha.Two demands",
            "spec/fake.md:",
            "conformance/cases/fake_test.cc:2",
            "bad \\x1b[2J",
            "--cases Alpha.Two",
        ):
            self.assertIn(text, out)
        self.assertEqual(self.cts("explain", "Alpha.Tow")[0], 2)

    def test_spec_check(self) -> None:
        status, out, _ = self.cts("spec", "check")
        self.assertEqual(status, 1)
        self.assertIn("is stale", out)
        self.assertEqual(self.cts("spec", "generate")[0], 0)
        self.assertEqual(self.cts("spec", "check")[0], 0)
        (self.root / "conformance/cases/more_test.cc").write_text("CTS_CASE(Alpha, Three) {}\n")
        status, out, _ = self.cts("spec", "check")
        self.assertEqual((status, "case Alpha.Three has no requirement" in out), (1, True))

    def test_peers_list_and_build(self) -> None:
        self.third_party("other", extra='build = [["true"]]')
        self.assertIn("not built yet", self.cts("peers", "list")[1])
        self.assertEqual(self.cts("peers", "build", "other")[:2], (0, "other: built\n"))
        self.assertNotIn("not built yet", self.cts("peers", "list")[1])

    def test_threads_end(self) -> None:
        before = threading.active_count()
        self.run_cts()
        self.assertEqual(threading.active_count(), before)


if __name__ == "__main__":
    unittest.main()
