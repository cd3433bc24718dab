"""The runner against peers that break the protocol.

The case at hand fails with a sentence that says so, the others run, and nothing stays behind.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List

HERE = Path(__file__).resolve().parent
os.environ.pop("XML_OUTPUT_FILE", None)  # Bazel's, for this test: the runners started here would write theirs to it
CASES = os.path.abspath(os.environ["CTS_CASES"])
REFERENCE = [os.path.abspath(os.environ["CTS_PEER"]), "--library", os.path.abspath(os.environ["CTS_LIBRARY"])]
CLIENT_CASES = [
    "LocalSocket.ConnectToNothingFails/path",
    "LocalSocket.ConnectToRegularFileFails",
    "LocalSocket.ConnectToStaleNameIsRefused",
]


class Run:
    """One run of the runner in a directory of its own."""

    def __init__(
        self, server: List[str], client: List[str], cases: List[str], deadline_ms: int = 1500, **more: Any
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="cts-") as directory:
            records = os.path.join(directory, "records.jsonl")
            work = os.path.join(directory, "work")
            os.mkdir(work, 0o700)
            plan = {
                "run_id": secrets.token_hex(16),
                "work_dir": work,
                "os": "linux",
                "server": {"name": "one", "command": server},
                "client": {"name": "one" if client == server else "other", "command": client},
                "records": records,
                "trace": os.path.join(directory, "trace.jsonl"),
                "deadline_ms": deadline_ms,
                "memory_max_mib": 64,
                **more,
            }
            Path(directory, "plan.json").write_text(json.dumps(plan))
            process = subprocess.run(
                [CASES, f"--cts_plan={directory}/plan.json", "--gtest_filter=" + ":".join(cases)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=120,
            )
            self.control_sockets = [name for name in os.listdir(work) if name.startswith("k")]
            self.status = process.returncode
            self.output = process.stdout.decode("utf-8", "replace")
            self.records: List[Dict[str, Any]] = []
            if os.path.exists(records):
                self.records = [json.loads(line) for line in Path(records).read_text().splitlines()]
            self.trace = [json.loads(line) for line in Path(directory, "trace.jsonl").read_text().splitlines()]


def processes_with(token: str) -> List[str]:
    """Command lines of living processes that hold `token`."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                line = Path("/proc", entry, "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if token in line:
                found.append(line)
    return found


class BadPeers(unittest.TestCase):
    """Each way to break the protocol, once."""

    def broken(self, kind: str, outcome: str, sentence: str) -> Dict[str, Any]:
        token = secrets.token_hex(8)
        command = [sys.executable, str(HERE / "bad_peer.py"), kind, token]
        run = Run(command, command, CLIENT_CASES)
        self.assertEqual(len(run.records), len(CLIENT_CASES), run.output)
        bad = [r for r in run.records if r["outcome"] != "passed"]
        self.assertEqual(len(bad), 1, run.records)
        self.assertEqual(bad[0]["outcome"], outcome, bad)
        self.assertEqual(bad[0]["blame"], "client", bad)
        self.assertIn(sentence, bad[0]["message"])
        self.assertEqual(processes_with(token), [], "left behind")
        self.assertEqual(run.status, 1)
        return bad[0]

    def test_garbage(self) -> None:
        self.broken("garbage", "failed", "a line that is no JSON: Segmentation fault, he said")

    def test_half_a_line_and_no_more(self) -> None:
        self.broken("half_and_hang", "hung", 'half a line is there: {"id":')

    def test_half_a_line_and_death(self) -> None:
        self.broken("half_and_die", "crashed", 'half a line is there: {"id":')

    def test_wrong_id(self) -> None:
        self.broken("wrong_id", "failed", "answers id 987654321, which is not outstanding")

    def test_line_of_64_mebibytes(self) -> None:
        self.broken("endless_line", "failed", "has 65,536 bytes and no end")

    def test_nothing(self) -> None:
        self.broken("nothing", "hung", "no reply to local.connect within 1500 ms")

    def test_exit(self) -> None:
        self.broken("dies", "crashed", "ended with exit status 3 without a reply to local.connect")

    def test_signal_and_last_words(self) -> None:
        record = self.broken("killed", "crashed", "ended with signal 11")
        self.assertIn("last words on standard error", record["message"])

    def test_flood(self) -> None:
        self.broken("flood", "failed", "is an event that is not expected")

    def test_unknown_status(self) -> None:
        self.broken("bad_status", "failed", "has a status that does not exist")

    def test_two_replies(self) -> None:
        # The second reply may arrive while the next request is under way: the case that meets it fails.
        token = secrets.token_hex(8)
        command = [sys.executable, str(HERE / "bad_peer.py"), "twice", token]
        run = Run(command, command, CLIENT_CASES)
        bad = [r for r in run.records if r["outcome"] != "passed"]
        self.assertTrue(any("which is not outstanding" in r["message"] for r in bad), run.records)
        self.assertEqual(len(run.records), len(CLIENT_CASES))

    def test_closed_output(self) -> None:
        self.broken("closes_output", "crashed", "closed its output and went on")

    def test_float(self) -> None:
        self.broken("float", "failed", "has a number that is no integer")

    def test_repeated_key(self) -> None:
        self.broken("repeated_key", "failed", "has a key twice")

    def test_orphan(self) -> None:
        self.broken("orphan", "crashed", "ended with exit status 1")

    def test_memory(self) -> None:
        self.broken("hoards", "failed", "it holds more than 64 MiB of memory")

    def test_hostile_text(self) -> None:
        record = self.broken("hostile_text", "failed", "local.connect answered failed")
        self.assertNotIn("\x1b", record["message"])

    def test_signals_go_to_peers_alone(self) -> None:
        for kind in ("claims_init", "claims_runner", "claims_harness"):
            claims = [sys.executable, str(HERE / "bad_peer.py"), kind, secrets.token_hex(8)]
            run = Run(claims, REFERENCE, ["Signal.WatcherGetsTheSignal/TERM"])
            self.assertEqual([r["outcome"] for r in run.records], ["failed"], run.output)
            self.assertIn("which is no peer's", run.records[0]["message"])
            sent = [line for line in run.trace if line["kind"] == "begin" and line["request"]["op"] == "signal.send"]
            self.assertEqual(sent, [], "it was sent")

    def test_a_peer_that_never_greets_is_given_up(self) -> None:
        run = Run(REFERENCE, [sys.executable, str(HERE / "bad_peer.py"), "never_hello", "x"], ["LocalSocket.*"], 300)
        self.assertGreater(len(run.records), 50)
        outcomes = {r["outcome"] for r in run.records}
        self.assertEqual(outcomes, {"hung", "crashed"})
        self.assertIn("given up, because: ", run.records[-1]["message"])

    def test_a_command_that_does_not_exist(self) -> None:
        run = Run(["/nonexistent/peer"], ["/nonexistent/peer"], CLIENT_CASES)
        self.assertEqual({r["outcome"] for r in run.records}, {"crashed"})
        self.assertIn("cannot run /nonexistent/peer: No such file or directory", run.records[0]["message"])


class Children(unittest.TestCase):
    """Peers that start a child, where the one or the other breaks the protocol."""

    CASES = ["PeerProtocol.ChildIsAPeerOfItsOwn", *CLIENT_CASES]

    def run_with(self, kind: str) -> Dict[str, Any]:
        """The record of the case that has a child. The others pass, and nothing is left."""
        token = secrets.token_hex(8)
        command = [sys.executable, str(HERE / "bad_peer.py"), kind, token]
        run = Run(command, command, self.CASES)
        self.assertEqual(len(run.records), len(self.CASES), run.output)
        self.assertEqual({r["outcome"] for r in run.records if r["case"] != self.CASES[0]}, {"passed"}, run.records)
        self.assertEqual(processes_with(token), [], "left behind")
        self.assertEqual(run.control_sockets, [])
        return next(r for r in run.records if r["case"] == self.CASES[0])

    def broken(self, kind: str, outcome: str, sentence: str) -> None:
        record = self.run_with(kind)
        self.assertEqual((record["outcome"], record["blame"]), (outcome, "peer"), record)
        self.assertIn(sentence, record["message"])

    def test_all_is_well(self) -> None:
        record = self.run_with("child_behaves")
        self.assertEqual(record["outcome"], "passed", record)

    def test_child_never_connects(self) -> None:
        self.broken("child_silent", "hung", "did not connect to its control socket within 1500 ms")

    def test_child_dies_at_once(self) -> None:
        self.broken("child_dies", "crashed", "it ended before it connected to its control socket")

    def test_child_connects_twice(self) -> None:
        self.broken("child_twice", "failed", "it connected to its control socket a second time")

    def test_child_says_another_process_id(self) -> None:
        self.broken("child_other_pid", "failed", "it says that it is process")

    def test_child_offers_less(self) -> None:
        self.broken("child_offers_less", "failed", "it does not offer what its parent offers")

    def test_child_writes_garbage(self) -> None:
        self.broken("child_garbage", "failed", "a line that is no JSON: Segmentation fault, she said")

    def test_child_outlives_its_input(self) -> None:
        self.broken("child_stays", "hung", "did not end at the end of its input")

    def test_parent_answers_a_process_that_is_not_its_child(self) -> None:
        self.broken("parent_lies", "failed", "process 1, which it says it has started, is not its child")

    def test_stranger_is_turned_away(self) -> None:
        record = self.run_with("parent_stranger")
        self.assertEqual(record["outcome"], "passed", record)

    def test_stranger_instead_of_the_child(self) -> None:
        self.broken("parent_stranger_alone", "hung", "; others did, 1 times")


class Leaks(unittest.TestCase):
    """Peers that keep something after every reset."""

    def run_with(self, kind: str, **plan: Any) -> Run:
        token = secrets.token_hex(8)
        command = [sys.executable, str(HERE / "bad_peer.py"), kind, token]
        run = Run(command, command, CLIENT_CASES, **plan)
        self.assertEqual(len(run.records), len(CLIENT_CASES), run.output)
        self.assertEqual(processes_with(token), [], "left behind")
        return run

    def leaks(self, kind: str, what: str, counted: str) -> None:
        run = self.run_with(kind)
        for record in run.records:
            self.assertEqual((record["outcome"], record["blame"]), ("failed", "client"), record)
            self.assertRegex(record["message"], what)
            if counted:
                counts = record["resources"]["client"][counted]
                self.assertEqual(counts, list(range(counts[0], counts[0] + 5)))
        repeated = [line for line in run.trace if line["case"] == CLIENT_CASES[2] and line["kind"] == "begin"]
        self.assertEqual([line["request"]["op"] for line in repeated], ["local.connect", "reset", "reset"])
        self.assertEqual(run.status, 1)

    def test_descriptor(self) -> None:
        told = r"^after each of 3 repetitions the client has 1 more of its descriptors: \d+ is socket:\S+ unix datagram"
        self.leaks("leaks_descriptor", told, "descriptors")

    def test_thread(self) -> None:
        self.leaks(
            "leaks_thread",
            r"after each of 3 repetitions the client has 1 more of its threads: \d+ is python3",
            "threads",
        )

    def test_process(self) -> None:
        self.leaks(
            "leaks_process",
            r"after each of 3 repetitions the client has 1 more of its children: \d+ is python3",
            "children",
        )

    def test_file(self) -> None:
        self.leaks("leaks_file", r"after each of 3 repetitions there is left file left1, file left", "")

    def test_what_is_made_once_is_no_leak(self) -> None:
        run = self.run_with("leaks_to_warm_up")
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.records)
        counts = [r["resources"]["client"]["descriptors"] for r in run.records]
        before = counts[0][0]
        self.assertEqual(counts, [[before, before + 1, before + 1]] + 2 * [[before + 1, before + 1]])

    def test_what_is_counted_is_not_judged_if_asked(self) -> None:
        run = self.run_with("leaks_descriptor", account="none")
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.records)
        for record in run.records:
            before, after = record["resources"]["client"]["descriptors"]
            self.assertEqual(after, before + 1)

    def test_every_case_is_repeated_if_asked(self) -> None:
        run = self.run_with("leaks_to_warm_up", account="all")
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.records)
        self.assertEqual({len(r["resources"]["client"]["descriptors"]) for r in run.records}, {5})


class Conditions(unittest.TestCase):
    """Peers that are slowed, and requests in an order that is drawn."""

    CASES = [
        "LocalSocket.StreamIsDuplex*",
        "LocalSocket.SplitHalvesWorkAtOnce/*",
        "PeerProtocol.LanesDoNotDelayEachOther",
    ]

    def test_slowed(self) -> None:
        run = Run(REFERENCE, REFERENCE, ["LocalSocket.BytesArriveUnchanged/*"], 20000, slow=20)
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.output)
        self.assertEqual(run.status, 0)

    def test_shuffled(self) -> None:
        orders = set()
        for seed in range(1, 6):
            run = Run(REFERENCE, REFERENCE, self.CASES, 5000, shuffle=seed)
            self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.output)
            begun = [line["request"]["id"] for line in run.trace if line["kind"] == "begin"]
            overtaken = sum(a > b for a, b in zip(begun, begun[1:]))
            self.assertEqual(sum(r["reordered"] for r in run.records) > 0, overtaken > 0)
            orders.add(tuple(begun))
        self.assertGreater(len(orders), 1, "every seed gives the same order")


class Runs(unittest.TestCase):
    """The runner with the reference."""

    def test_canaries(self) -> None:
        run = Run(REFERENCE, REFERENCE, ["Canary.*"])
        outcomes = {r["case"]: r["outcome"] for r in run.records}
        self.assertEqual(outcomes, {"Canary.MustFail": "failed", "Canary.NotOffered": "not_applicable"})

    def test_processes_are_really_two(self) -> None:
        run = Run(REFERENCE, REFERENCE, ["LocalSocket.BytesArriveUnchanged/*"])
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.output)
        pids = {line["role"]: line["pid"] for line in run.trace}
        self.assertEqual(len(set(pids.values())), 2, pids)

    def test_children_are_processes_of_their_own(self) -> None:
        run = Run(REFERENCE, REFERENCE, ["UnnamedPipe.ReaderGetsTheBytesOfTwoWritingProcesses"])
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.output)
        pids = {line["role"]: line["pid"] for line in run.trace if line["kind"] == "end"}
        self.assertEqual(set(pids), {"peer", "peer.child", "peer.child2"})
        self.assertEqual(len(set(pids.values())), 3, pids)
        self.assertEqual(run.control_sockets, [])

    def test_a_fresh_process_is_new_and_ended_after_its_case(self) -> None:
        # The first case leaves a process that has been used, the second hooks signals, the third asks for nothing.
        cases = ["LocalSocket.EndRepeats/server", "Signal.HookGetsTheSender", "Signal.WatcherTellsTheSender"]
        run = Run(REFERENCE, REFERENCE, cases)
        self.assertEqual({r["outcome"] for r in run.records}, {"passed"}, run.output)
        pids: Dict[str, Dict[str, set]] = {"server": {}, "client": {}}
        for line in run.trace:
            if line["kind"] == "begin" and line["request"]["op"] not in ("hello", "configure", "reset"):
                pids[line["role"]].setdefault(line["case"], set()).add(line["pid"])
        self.assertEqual([len(found) for found in pids["server"].values()], [1, 1, 1])
        self.assertEqual(len(set.union(*pids["server"].values())), 3, "the hook's process was used before or after")
        self.assertEqual(len(set.union(*pids["client"].values())), 1, "the sender's was replaced without need")

    def test_an_end_by_a_signal_is_expected(self) -> None:
        run = Run(REFERENCE, REFERENCE, ["Signal.DefaultEndsTheProcess/TERM"])
        self.assertEqual([r["outcome"] for r in run.records], ["passed"], run.output)
        exits = [line["status"] for line in run.trace if line["kind"] == "exit" and line["role"] == "server"]
        self.assertEqual(exits, ["signal 15 (Terminated)"])

    def test_trace_begins_before_it_ends(self) -> None:
        run = Run(REFERENCE, REFERENCE, ["LocalSocket.EndRepeats/server"])
        begun = {line["request"]["id"]: line["seq"] for line in run.trace if line["kind"] == "begin"}
        ended = {line["reply"]["id"]: line["seq"] for line in run.trace if line["kind"] == "end"}
        self.assertEqual(set(begun), set(ended))
        self.assertTrue(all(begun[i] < ended[i] for i in begun))
        self.assertEqual([line["seq"] for line in run.trace], sorted(line["seq"] for line in run.trace))

    def test_one_role_alone_says_nothing_of_a_pair(self) -> None:
        other = [*REFERENCE[:2], os.path.join(os.path.dirname(REFERENCE[2]), ".", os.path.basename(REFERENCE[2]))]
        run = Run(REFERENCE, other, ["LocalSocket.ConnectToNothingFails/path", "LocalSocket.EndRepeats/server"])
        self.assertEqual([r["case"] for r in run.records], ["LocalSocket.EndRepeats"], run.output)

    def test_a_wrapped_peer_is_seen_through(self) -> None:
        wrapped = ["/bin/sh", "-c", '"$@"; exit $?', "wrapper", *REFERENCE]
        run = Run(wrapped, wrapped, ["LocalSocket.ReadWaitsForData/*"])
        self.assertEqual({(r["outcome"], r["proof"]) for r in run.records}, {("passed", "thread")}, run.records)

    def test_what_asks_again_waits_when_it_asked_in_vain(self) -> None:
        for kind, expected in (("in_vain", ("passed", "pending")), ("never", ("failed", "none"))):
            command = [sys.executable, str(HERE / "repeating_peer.py"), kind, *REFERENCE]
            run = Run(command, command, ["LocalSocket.ReadWaitsForData/*"])
            self.assertEqual({(r["outcome"], r["proof"]) for r in run.records}, {expected}, run.records)

    def test_an_unwritable_record_is_no_success(self) -> None:
        with tempfile.TemporaryDirectory(prefix="cts-") as work:
            side = {"name": "one", "command": REFERENCE}
            plan = {"run_id": secrets.token_hex(16), "work_dir": work, "os": "linux", "server": side, "client": side}
            Path(work, "plan.json").write_text(json.dumps({**plan, "records": "/dev/full"}))
            command = [CASES, f"--cts_plan={work}/plan.json", "--gtest_filter=LocalSocket.EndRepeats/*"]
            process = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"could not be written", process.stderr)

    def test_an_unusable_plan_is_refused(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as plan:
            plan.write('{"run_id": "short"}')
            plan.flush()
            process = subprocess.run([CASES, f"--cts_plan={plan.name}"], stderr=subprocess.PIPE)
        self.assertEqual(process.returncode, 2)
        self.assertIn(b"is not usable", process.stderr)

    def test_two_runs_at_once_do_not_meet(self) -> None:
        program = (
            "import runner_test as t, sys; r = t.Run(t.REFERENCE, t.REFERENCE, ['LocalSocket.*']); sys.exit(r.status)"
        )
        command = [sys.executable, "-c", program]
        paths = {"CTS_CASES": CASES, "CTS_PEER": REFERENCE[0], "CTS_LIBRARY": REFERENCE[2], "PYTHONPATH": str(HERE)}
        environment = {**os.environ, **paths}
        runs = [subprocess.Popen(command, env=environment, cwd=HERE) for _ in range(2)]
        self.assertEqual([run.wait(timeout=120) for run in runs], [0, 0])


if __name__ == "__main__":
    unittest.main()
