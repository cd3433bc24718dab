"""`cts run` end to end, with a fake runner."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

from cts import peers, results, schemas, summary, workdir
from cts.common import CannotRun, host_system, repository_root
from cts.systems import System
from tests.support import CASES, HERE, Checkout

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

    def test_unavailable_is_counted_for_every_wanted_case(self) -> None:
        self.third_party("other", extra='toolchain = [{ program = "no-such-program" }]\nmodes = ["async"]')
        document = self.run_cts("--cases", "Alpha.*", "--cases", "Beta.Alone")
        records = [r for r in document["results"] if r["outcome"] == "unavailable"]
        self.assertEqual([r["case"] for r in records], ["Alpha.One", "Alpha.Two", "Beta.Alone"])
        self.assertEqual({r["pairing"] for r in records}, {"other:async>other:async"})
        self.assertEqual(
            (records[0]["server"], records[0]["client_mode"], records[2]["peer"]), ("other", "async", "other")
        )
        self.assertIn("other is unavailable: needs no-such-program", records[0]["message"])
        self.assertEqual(document["run"]["outcomes"]["unavailable"], 3)
        peer = document["run"]["peers"][1]
        self.assertEqual(
            (peer["name"], peer["available"], peer["by_mode"], peer["arguments"]), ("other", False, {}, [])
        )
        self.assertEqual(schemas.problems(repository_root(), "results", document), [])
        self.assertNotIn("other alone", self.out)  # in the terminal's matrix it would be a row of dashes
        self.assertIn('class="away"><td>other alone (async), unavailable', (self.report / "index.html").read_text())

    def test_too_old_toolchain(self) -> None:
        python = sys.executable
        tool = f'toolchain = [{{ program = "{python}", version = ["{python}", "--version"], minimum = "99" }}]'
        self.third_party("other", extra=tool)
        document = self.run_cts()
        self.assertIn("99 or newer, found 3.", document["run"]["peers"][1]["why"])
        self.assertEqual(self.cts("run", "--peer", "other", "--report", str(self.report))[0], 2)

    def test_missing_part_of_a_tool_is_said_by_name(self) -> None:
        python = sys.executable
        for name, source in (("with", ""), ("without", "import no_such_module")):
            check = json.dumps([python, "-c", source])
            self.third_party(name, extra=f'toolchain = [{{ program = "{python}", part = "that", check = {check} }}]')
        why = {p["name"]: p["why"] for p in self.run_cts()["run"]["peers"]}
        self.assertEqual((why["with"], why["without"]), ("", f"needs {python} with that, which is not installed"))

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
        self.assertRegex(self.out, r"/cts run --cases Alpha\.Two --peer ref --mode blocking")
        self.assertIn("expected end, got ok", self.out)

    def test_should_and_missing_evidence_do_not_gate(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "failed", "requirement": "SHOULD"}
        self.behaviour["Alpha.Two"] = {"outcome": "failed", "gates": False}
        self.run_cts()
        self.assertIn("4 results that do not hold and do not gate (SHOULD, no evidence here)", self.out)
        self.assertIn("8 passed, 0 failed, 4 not held (SHOULD, no evidence here) (5 cases)", self.out)
        self.assertIn("<b>4</b>not held (SHOULD, no evidence here)", (self.report / "index.html").read_text())

    def test_what_does_not_gate_is_told_whole_with_its_command(self) -> None:
        message = "it answered " + "x" * 500 + " in the end"
        self.behaviour["Alpha.One"] = {"outcome": "failed", "requirement": "MAY", "message": message}
        self.run_cts("--mode", "blocking", "--cases", "Alpha.One")
        self.assertIn("1 result that does not hold and does not gate (MAY)", self.out)
        self.assertIn(message, self.out)
        self.assertIn("cts run --cases Alpha.One --peer ref --mode blocking", self.out)
        self.assertIn("0 passed, 0 failed, 1 not held (MAY) (1 case)", self.out)

    def test_what_is_said_to_run_is_what_is_offered(self) -> None:
        self.run_cts("--mode", "blocking")
        self.assertIn("running 4 cases in 1 pairing\n", self.err)  # Beta.Alone needs what nobody offers

    def test_label_of_a_system_that_is_none(self) -> None:
        status, _, err = self.cts("run", "--os", "linuks", "--report", str(self.report))
        self.assertEqual((status, "valid here: linux" in err), (2, True))

    def test_offering_nothing(self) -> None:
        command = self.command(operations=["hello", "configure", "reset", "pending"])
        status, _, err = self.cts("run", "--peer", command, "--report", str(self.report))
        self.assertEqual((status, "it offers nothing" in err), (2, True))

    # ----------------------------------------------------------------------------------- names relative to a directory

    def inside(self, directory: Path) -> None:
        """Change to a directory for the rest of the test."""
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(directory)

    def test_files_that_a_command_names_are_found_from_anywhere(self) -> None:
        shutil.copy(HERE / "fake_peer.py", self.base / "my_peer.py")
        self.inside(self.base)
        document = self.run_cts("--peer", f"{sys.executable} my_peer.py")
        self.assertIn("fake:blocking>ref:blocking", {r["pairing"] for r in document["results"]})
        arguments = document["run"]["peers"][1]["arguments"]
        self.assertEqual(arguments, ["--peer", f"{sys.executable} {self.base / 'my_peer.py'}"])

    def test_what_cannot_be_found_from_anywhere_is_found_out_at_hello(self) -> None:
        self.inside(self.base)
        (self.base / "lib.txt").touch()
        command = "sh -c 'cat lib.txt && exec " + self.command().replace("'", "'\"'\"'") + "'"
        status, _, err = self.cts("run", "--peer", command, "--report", str(self.report))
        self.assertEqual((status, "exit status 1" in err, "lib.txt" in err), (2, True, True), err)
        self.assertNotIn("trusted", err)

    def test_options_and_what_is_no_file_stay(self) -> None:
        self.inside(self.base)
        (self.base / "-x").touch()
        (self.base / "server").mkdir()
        self.assertEqual(peers.absolute_command("sh -x server none")[1:], ["-x", "server", "none"])

    # ---------------------------------------------------------------------------------------- peers that do not start

    def test_peer_that_does_not_start_for_the_cases(self) -> None:
        for case in self.behaviour["cases"]:
            self.behaviour[case] = {"outcome": "crashed", "blame": "server", "message": "given up, because: it is gone"}
        self.third_party("other", {"modes": ["async"]})
        for case in self.behaviour["cases"]:
            self.behaviour[case]["only"] = "other:async>ref:blocking"
        self.behaviour["Canary.MustFail"]["otherwise"] = "failed"
        self.behaviour["Canary.NotOffered"]["otherwise"] = "not_applicable"
        document = self.run_cts("--peer", "other", status=2)
        self.assertEqual(document["run"]["canary"], {"must_fail": "failed", "not_offered": "not_applicable"})
        self.assertEqual(len(document["run"]["errors"]), 1)
        self.assertRegex(document["run"]["errors"][0], "^other:async>ref:blocking: other .*did not start.*it is gone")
        self.assertNotIn("trusted", self.out)
        self.assertNotIn("crashed: Alpha.One", self.out)
        self.assertEqual(document["run"]["outcomes"]["crashed"], 5)

    def test_no_pairing_starts(self) -> None:
        for case in self.behaviour["cases"]:
            self.behaviour[case] = {"outcome": "hung", "blame": "server"}
        document = self.run_cts("--mode", "blocking", status=2)
        self.assertEqual(document["run"]["canary"], {"must_fail": "not_run", "not_offered": "not_run"})
        self.assertNotIn("trusted", self.out + (self.report / "junit.xml").read_text())
        self.assertEqual(schemas.problems(repository_root(), "results", document), [])

    def test_crashing_in_every_case_is_no_failure_to_start(self) -> None:
        for case in CASES:
            self.behaviour[case] = {"outcome": "crashed", "blame": "server", "hello": True}
        document = self.run_cts("--mode", "blocking", status=1)
        self.assertEqual(document["run"]["errors"], [])

    def test_library_that_is_a_directory(self) -> None:
        status, _, err = self.cts("run", "--library", str(self.base), "--report", str(self.report))
        self.assertEqual((status, "is a directory" in err), (2, True))

    def test_library_that_cannot_be_loaded_is_named_once(self) -> None:
        library = self.base / "libthing.so"
        library.touch()
        self.artifacts.peer.write_text('#!/bin/sh\necho "peer: $2: $2: file too short" >&2\nexit 2\n')
        with self.assertRaises(CannotRun) as caught:
            peers.library(library, self.artifacts.peer, [], System(host_system()))
        self.assertEqual(str(caught.exception).count("libthing.so"), 1)
        self.assertIn("exit status 2", str(caught.exception))
        self.assertIn("file too short", str(caught.exception))

    # ------------------------------------------------------------------------------------------------ running it again

    def test_explain_names_the_implementation_of_the_run(self) -> None:
        library = self.base / "libthing.so"
        library.touch()
        self.run_cts("--library", str(library))
        self.inside(self.tmp)
        out = self.cts("explain", "Alpha.Two", "--report", str(self.report))[1]
        self.assertIn(f"  ../root/cts run --cases Alpha.Two --library {library}\n", out)
        self.run_cts("--peer", self.command(implementation="mine"), "--with", "ref")
        out = self.cts("explain", "Alpha.Two", "--report", str(self.report))[1]
        self.assertIn(f"--cases Alpha.Two --peer {shlex.quote(self.command(implementation='mine'))} --with ref\n", out)

    def test_library_keeps_its_option_against_another_third_party(self) -> None:
        self.third_party("other")
        library = self.base / "libthing.so"
        library.touch()
        self.behaviour["Alpha.One"] = {"outcome": "failed", "only": "other:blocking>libthing:blocking"}
        self.run_cts("--library", str(library), "--with", "other", status=1)
        self.assertIn(f"run --cases Alpha.One --library {library} --with other --mode blocking", self.out)

    def test_expectations_that_were_given_are_given_again(self) -> None:
        self.third_party("other")
        file = self.base / "mine.toml"
        file.write_text('schema = 1\nimplementation = "other"\nos = "linux"\n')
        self.behaviour["Alpha.One"] = {"outcome": "failed"}
        self.run_cts("--peer", "other", "--expect", str(file), status=1)
        self.assertIn(f"--mode blocking --expect {file}", self.out)
        self.assertIn(
            f" --peer other --expect {file}\n", self.cts("explain", "Alpha.One", "--report", str(self.report))[1]
        )

    def test_known_hangs_wait_beside_the_other_cases(self) -> None:
        self.third_party("other", {"modes": ["blocking"]})
        text = ""
        for case in ("Alpha.One", "Beta.Alone"):
            role = "peer" if case == "Beta.Alone" else "server"
            text += f'[[expectation]]\ncase = "{case}"\nrole = "{role}"\noutcome = "hung"\nreason = "known"\n'
        self.expectation("other", text)
        hangs, others = self.base / "hangs", self.base / "others"
        hung = {"outcome": "hung", "started": str(hangs), "wait_for": str(others)}
        self.behaviour["Alpha.One"] = hung
        self.behaviour["Beta.Alone"] = {**hung, "alone": True}
        self.behaviour["Beta.Last"] = {"started": str(others), "wait_for": str(hangs)}
        document = self.run_cts("--peer", "other", "--with", "other", "--jobs", "1")
        known = [r["case"] for r in document["results"] if r["outcome"] == "expected_failure"]
        self.assertEqual(sorted(known), ["Alpha.One", "Beta.Alone"])
        self.assertEqual(len(document["results"]), len({(r["case"], r["shape"]) for r in document["results"]}))
        self.assertTrue(self.by_case(document, "Beta.Last"))

    def test_launcher_from_here(self) -> None:
        (self.root / "deep/er").mkdir(parents=True)
        for directory, wanted in ((self.root, "./cts"), (self.root / "deep/er", "../../cts"), (self.base, "root/cts")):
            self.inside(directory)
            self.assertEqual(summary.launcher(self.root), wanted)
        self.inside(Path("/"))
        self.assertEqual(summary.launcher(self.root), str(self.root / "cts"))
        deep = self.base.joinpath(*"abcdefghijklmnopqrstuvwxyz")
        deep.mkdir(parents=True)
        self.inside(deep)
        self.assertEqual(summary.launcher(self.root), str(self.root / "cts"))

    def test_files_are_named_from_here(self) -> None:
        self.inside(self.base)
        arguments = ["--peer", f"{self.base / 'my_peer'} -v {self.base / 'x/data'} /elsewhere"]
        rerun = summary.Rerun(self.root, {"peers": [{"name": "mine", "arguments": arguments}]})
        self.assertEqual(rerun.case("A.B"), "root/cts run --cases A.B --peer './my_peer -v x/data /elsewhere'")

    def test_conditions_are_handed_on_and_named_again(self) -> None:
        conditions = ["--account", "all", "--slow", "7", "--shuffle", "11"]
        run = self.run_cts("--mode", "blocking", "--cases", "Alpha.One", *conditions)["run"]
        self.assertEqual((run["seed"], run["account"], run["slow"], run["shuffle"]), (1, "all", 7, 11))
        self.assertIn("7 requests went before one that its case had made earlier (--shuffle)", run["notes"])
        self.assertIn(shlex.join(conditions), summary.Rerun(self.root, run).case("Alpha.One"))

    def test_times(self) -> None:
        case = {"outcome": "passed", "server": "a", "client": "a"}
        alone = {"outcome": "passed", "peer": "a", "duration_ms": 100}
        absent = {**case, "outcome": "not_applicable", "duration_ms": 0.1}
        records = [*({**case, "duration_ms": ms} for ms in (1, 2, 9)), alone, absent]
        medians = {"two_process_case_ms": 2, "process_start_ms": 0.625}
        self.assertEqual(results.times(records, [0.5, 0.75, 0.0]), medians)
        self.assertEqual(results.times([], []), {})

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

    def test_half_a_line_of_a_killed_runner_is_told(self) -> None:
        self.behaviour["Alpha.Two"] = {"crash": int(signal.SIGSEGV), "torn": '{"case": "Alpha.T'}
        document = self.run_cts("--mode", "blocking", "--jobs", "1", status=1)
        (crashed,) = [r for r in document["results"] if r["outcome"] == "crashed"]
        self.assertRegex(crashed["message"], "SIGSEGV, which left half a record, in this case")
        self.assertRegex(" ".join(document["run"]["notes"]), "1 event of the trace: half a line")

    def test_broken_record_is_an_error_that_names_its_line(self) -> None:
        for torn, why in (
            ("no JSON\n", ":1: no JSON"),
            ('{"case": "Alpha.One"}\n', ":1: no record: `outcome` is no text"),
            ('{"case": "Alpha.One", "shape": "", "outcome": "fine"}\n', ":1: no record: outcome: 'fine' is not one of"),
        ):
            self.behaviour["Alpha.One"] = {"torn": torn}
            document = self.run_cts("--mode", "blocking", "--jobs", "1", status=2)
            self.assertRegex(document["run"]["errors"][0], f"what the runner recorded is broken: .*records.jsonl{why}")

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

    def test_names_are_made_in_memory_unless_told_otherwise(self) -> None:
        memory = self.tmp / "memory"
        memory.mkdir()
        with mock.patch.object(workdir, "MEMORY", str(memory)):
            with workdir.WorkDir("a" * 32) as path:
                self.assertEqual((list(memory.iterdir()), (path / "names").exists()), ([], False))
            with mock.patch.dict(os.environ), mock.patch("tempfile.tempdir", str(self.tmp)):
                os.environ.pop("TMPDIR", None)
                with workdir.WorkDir("a" * 32) as path:
                    (names,) = memory.iterdir()
                    self.assertEqual((path / "names").resolve(), names)
                    self.assertEqual(workdir.sweep(), [])
                    dead = memory / "cts-bbbbbbbb-abcdefgh"
                    dead.mkdir(mode=0o700)
                    (dead / "lock").touch()
                    self.assertEqual(workdir.sweep(), [dead])
                self.assertEqual(list(memory.iterdir()), [])

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
