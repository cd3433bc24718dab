"""Drives the runner: plans, shards, crashes, repetitions. What a case means and how long it may take is the runner's.

A *task* is one invocation of the runner binary: a pairing, and a shard of its cases or a list of them. Tasks run side
by side, each worker thread (and what it starts) on one core, because the processes of a case that take turns are
fastest there.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import signal
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from cts import jsonl, processes, schemas
from cts.build import Artifacts
from cts.common import FAILING, CannotRun, cores, printable, repository_root
from cts.pairings import Pairing
from cts.requirements import Requirement
from cts.systems import System

Record = Dict[str, Any]

CANARIES = ("Canary.MustFail", "Canary.NotOffered")
DEADLINE_MS = 10000
KNOWN_HANG_DEADLINE_MS = 3000  # of cases that are known to hang
SLOWED_DEADLINE_MS = 60000  # where peers are slowed, what is late is late later
IDLE_S = 300.0  # a runner that writes nothing for so long is broken: a case may use three deadlines
REPEATS_MAX = 2
HANGS_AT_ONCE = 4  # tasks of cases that are known to hang, which only wait for their deadlines to pass
HANGS_A_TASK = 3
STARTS = 5  # of a process that does nothing, before each task
NOTHING = "/bin/true"
_REQUIRED = ("case", "outcome", "shape")


@dataclass(frozen=True)
class Conditions:
    """Under what the cases run: keys of the plan (spec/results.md)."""

    seed: int = 1
    account: str = "grown"  # which cases are repeated to tell what leaks: none, grown, all
    slow: int = 1  # how many times slower than alone peers run
    shuffle: int = 0  # what the order of requests in different lanes is drawn from; 0: as cases make them


@dataclass
class Task:
    """One invocation of the runner."""

    number: int
    pairing: Pairing
    tests: List[str]  # GoogleTest's names, in its order: `Family.Rule`, or `Family.Rule/shape`
    filtered: bool
    shard: int = 0
    shards: int = 1
    again: bool = False
    without: Tuple[str, ...] = ()  # unless it is filtered: the runner's other tests, which `tests` does not hold
    waits: bool = False  # its cases are known to hang

    @property
    def mine(self) -> List[str]:
        """The tests of this shard, dealt as GoogleTest deals them."""
        return self.tests[self.shard :: self.shards]


@dataclass
class Outcome:
    """What a task left behind."""

    task: Task
    records: List[Record] = field(default_factory=list)
    trace: Optional[Path] = None
    error: str = ""
    rerun: List[str] = field(default_factory=list)
    interrupted: bool = False


def parse_listing(text: str) -> List[str]:
    """The tests' names in the answer to --gtest_list_tests, in its order; disabled ones are left out."""
    found: List[str] = []
    suite = ""
    for line in text.splitlines():
        name = line.split("#")[0].rstrip()
        if re.fullmatch(r"\S+\.", name):
            suite = name
        elif suite and re.fullmatch(r"  \S+", name):
            if not name.strip().startswith("DISABLED_") and not suite.startswith("DISABLED_"):
                found.append(suite + name.strip())
    return found


def runner_environment() -> Dict[str, str]:
    """Our environment without what GoogleTest or a test runner around us reads as its own."""
    theirs = ("GTEST_", "TEST_", "TESTBRIDGE_", "XML_OUTPUT_FILE")
    return {k: v for k, v in os.environ.items() if not k.startswith(theirs)}


def unusable(record: Record) -> str:
    """Which key a line of records.jsonl lacks without which nobody can say of what it is; empty if it has them."""
    lacks = [key for key in _REQUIRED if not isinstance(record.get(key), str)]
    return f"no record: `{lacks[0]}` is no text" if lacks else ""


def case_of(test: str) -> str:
    """The id of the case that a test belongs to: what stands before the shape."""
    return test.partition("/")[0]


def test_of(record: Record) -> str:
    """The name of the test that left a record."""
    return f"{record['case']}/{record['shape']}" if record["shape"] else str(record["case"])


def is_canary(test: str) -> bool:
    """Whether the test belongs to a canary."""
    return case_of(test) in CANARIES


def filter_of(tests: Iterable[str]) -> str:
    """A --gtest_filter for exactly these: what GoogleTest reads as an operator becomes `?`."""
    return ":".join(re.sub(r"[-:*]", "?", test) for test in tests)


def last_begun(output: str) -> str:
    """The test that GoogleTest's output shows as begun and not ended; empty if there is none."""
    begun = ""
    for match in re.finditer(r"^\[ *(RUN|OK|FAILED|SKIPPED) *\] ([^\s,]+)", output, re.MULTILINE):
        begun = match.group(2) if match.group(1) == "RUN" else ""
    return begun


def how_it_ended(status: Optional[int]) -> str:
    """An exit status in words; None means that it was killed because it made no progress."""
    if status is None:
        return f"made no progress for {IDLE_S:g} s and was killed"
    if status < 0:
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    return f"ended with exit status {status}"


def start_of_a_process_ms() -> float:
    """What it takes to start a process that does nothing and wait for its end: a measure for what a case takes."""
    if not hasattr(os, "posix_spawn") or not os.path.exists(NOTHING):
        return 0.0
    began = time.perf_counter()
    os.waitpid(os.posix_spawn(NOTHING, [NOTHING], {}), 0)
    return (time.perf_counter() - began) * 1000


class Runner:
    """Runs pairings in `work`, a directory of this run; `requirements` by id tell levels and shapes."""

    def __init__(
        self,
        artifacts: Artifacts,
        work: Path,
        run_id: str,
        system: System,
        requirements: Dict[str, Requirement],
        jobs: int,
        conditions: Conditions,
        deadline_ms: int = DEADLINE_MS,
        fail_fast: bool = False,  # a runner stops at the first test that fails; the others leave no record
    ) -> None:
        self.artifacts = artifacts
        self.work = work
        self.run_id = run_id
        self.system = system
        self.requirements = requirements
        self.jobs = max(1, jobs)
        self.deadline_ms = deadline_ms if conditions.slow == 1 else SLOWED_DEADLINE_MS
        self.conditions = conditions
        self.starts_ms: List[float] = []  # of a process that does nothing, on the workers' cores
        self.fail_fast = fail_fast
        self.group = processes.Group()
        self.outcomes: List[Outcome] = []
        self._numbers = itertools.count(1)

    # ------------------------------------------------------------------------------------------------------ planning

    def list_tests(self, pairing: Pairing) -> List[str]:
        """The names of the tests that the runner has for this pairing, in its order; canaries among them."""
        task = Task(next(self._numbers), pairing, [], False)
        directory = self._directory(task)
        output = directory / "output"
        argv = self._argv(task, "--gtest_list_tests")
        process = self.group.start(argv, self._environment(), directory, output)
        if process is None:
            return []
        status = processes.wait_while_it_moves(process, output.stat, IDLE_S, self.group)
        text = output.read_text(encoding="utf-8", errors="replace")
        listed = parse_listing(text)
        if status != 0 or not listed:
            raise CannotRun(f"the runner lists no cases: it {how_it_ended(status)}\n{printable(text[-2000:], True)}")
        for canary in CANARIES:
            if canary not in map(case_of, listed):
                raise CannotRun(f"the runner does not have {canary}: without it a run proves nothing")
        return listed

    def tasks(
        self, tests: Dict[Pairing, List[str]], filtered: bool, may_hang: Callable[[Record], bool] = lambda _: False
    ) -> List[Task]:
        """The tasks for these pairings and tests: as few shards each as keep every worker busy to the end.

        The tests are in the runner's own order and hold the canaries: shards are dealt by that order. Those that may
        hang get tasks of their own, which wait beside the others; not where peers are slowed, by whatever else runs.
        """
        wanted = -(-3 * self.jobs // max(1, len(tests))) if self.jobs > 1 else 1
        tasks: List[Task] = []
        for pairing, names in tests.items():
            apart = self.conditions.slow == 1
            hanging = [n for n in names if apart and not is_canary(n) and may_hang(self._about(pairing, n))]
            others = [n for n in names if n not in set(hanging)]
            shards = max(1, min(wanted, len(others) // 4))
            for shard in range(shards):
                task = Task(next(self._numbers), pairing, others, filtered, shard, shards, without=tuple(hanging))
                tasks.append(task)
            for i in range(0, len(hanging), HANGS_A_TASK):
                some = hanging[i : i + HANGS_A_TASK]
                tasks.append(Task(next(self._numbers), pairing, some, True, waits=True))
        return tasks

    def _directory(self, task: Task) -> Path:
        directory = self.work / str(task.number)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return directory

    def _program(self, task: Task) -> Path:
        """The runner that has the cases of the task's pairing."""
        if not task.pairing.in_process:
            return self.artifacts.runner
        if self.artifacts.abi is None:
            raise CannotRun("the runner of the in-process cases was not built")
        return self.artifacts.abi

    def _deadline_ms(self, task: Task) -> int:
        """Short for a case that is known to hang, which costs all of it, unless what is slow would seem to hang."""
        if not task.waits or self.system.emulated or self.conditions.slow > 1:
            return self.deadline_ms
        return min(self.deadline_ms, KNOWN_HANG_DEADLINE_MS)

    def _argv(self, task: Task, *more: str) -> List[str]:
        directory = self._directory(task)
        work_dir = self.system.work_dir(directory, f"cts-{self.run_id[:8]}-{task.number}")
        plan = {
            # Runners side by side share the abstract namespace, so each needs names of its own: the run's digits first,
            # then the task's.
            "run_id": f"{self.run_id[:20]}{task.number:012x}",
            "work_dir": self.system.path(work_dir),
            "os": self.system.label,
            "server": task.pairing.server.plan(),
            "client": task.pairing.client.plan(),
            "records": self.system.path(directory / "records.jsonl"),
            "trace": self.system.path(directory / "trace.jsonl"),
            "deadline_ms": self._deadline_ms(task),
            **asdict(self.conditions),
        }
        file = directory / "plan.json"
        file.write_text(json.dumps(plan), encoding="utf-8")
        program = self.system.path(self._program(task))
        argv = [program, f"--cts_plan={self.system.path(file)}", "--gtest_color=no", *more]
        if self.fail_fast:
            argv.append("--gtest_fail_fast")
        if task.filtered:
            argv.append("--gtest_filter=" + filter_of(task.tests))
        elif task.without:
            argv.append("--gtest_filter=-" + filter_of(task.without))
        return self.system.runner(argv, directory, work_dir)

    def _environment(self) -> Dict[str, str]:
        return {**runner_environment(), **self.system.environment()}

    # ------------------------------------------------------------------------------------------------------- running

    def execute(self, task: Task) -> Outcome:
        """Run one task to its end, in the calling thread."""
        directory = self._directory(task)
        env = self._environment()
        if task.shards > 1:
            env.update(GTEST_TOTAL_SHARDS=str(task.shards), GTEST_SHARD_INDEX=str(task.shard))
        output = directory / "output"
        files = (output, directory / "records.jsonl", directory / "trace.jsonl")

        def moved() -> Tuple[int, ...]:
            return tuple(f.stat().st_size if f.exists() else 0 for f in files)

        try:
            process = self.group.start(self._argv(task), env, directory, output)
        except OSError as error:
            return Outcome(task, error=f"{self._program(task)}: {error.strerror}")
        if process is None:
            return Outcome(task, interrupted=True)
        status = processes.wait_while_it_moves(process, moved, IDLE_S, self.group)
        return self._collect(task, status, directory)

    def _collect(self, task: Task, status: Optional[int], directory: Path) -> Outcome:
        records, broken = self._records(task, directory / "records.jsonl")
        outcome = Outcome(task, records, directory / "trace.jsonl")
        half = len(broken) == 1 and broken[0].endswith(jsonl.HALF) and status not in (0, 1)
        text = (directory / "output").read_text(encoding="utf-8", errors="replace")
        if self.group.ended:
            outcome.interrupted = True
        elif status == 2:
            said = printable(text.strip()[-1500:], lines=True)
            outcome.error = f"{task.pairing.id}: the runner cannot carry out its plan: {said}"
        elif broken and not half:
            outcome.error = f"{task.pairing.id}: what the runner recorded is broken: {printable(broken[0])}"
        else:
            self._account(outcome, status, text, half)
        return outcome

    def _records(self, task: Task, file: Path) -> Tuple[List[Record], List[str]]:
        """The records of a file, completed, and what is wrong with each line that is none."""
        records: List[Record] = []
        broken: List[str] = []

        def wrong(record: Record) -> str:
            return unusable(record) or schemas.wrong_record(repository_root(), self._completed(task, record))

        if file.exists():
            records += jsonl.read(file, broken.append, wrong)
        return records, broken

    def _account(self, outcome: Outcome, status: Optional[int], text: str, half: bool) -> None:
        """Give every test that should have run and left no record one that says so, or have it run again.

        `half`: its last record is half a line.
        """
        task = outcome.task
        if self.fail_fast and any(r["outcome"] in FAILING for r in outcome.records):
            return
        recorded = {test_of(r) for r in outcome.records}
        missing = [t for t in task.mine if t not in recorded]
        if status in (0, 1):
            outcome.records += [self._crashed(task, t, "the runner left no record of this case") for t in missing]
            return
        how = how_it_ended(status) + (", which left half a record," if half else "")
        culprit = last_begun(text)
        if culprit not in missing:
            culprit = missing[0] if missing else ""
        if culprit:
            outcome.records.append(self._crashed(task, culprit, f"the runner {how} in this case"))
        rest = [t for t in missing if t != culprit]
        if task.again:
            why = f"the runner {how} before this case, a second time"
            outcome.records += [self._crashed(task, t, why) for t in rest]
        else:
            outcome.rerun = rest

    def _about(self, pairing: Pairing, test: str) -> Record:
        """What a record of the test says of who takes part."""
        case, _, shape = test.partition("/")
        record: Record = {"case": case, "shape": shape}
        requirement = self.requirements.get(case)
        if requirement is not None and requirement.alone:
            record.update(peer=pairing.server.name, mode=pairing.server.mode)
        else:
            for role, side in (("server", pairing.server), ("client", pairing.client)):
                record.update({role: side.name, f"{role}_mode": side.mode})
        return record

    def _crashed(self, task: Task, test: str, message: str) -> Record:
        record = {**self._about(task.pairing, test), "outcome": "crashed", "message": message, "blame": ""}
        return self._completed(task, record)

    def _completed(self, task: Task, record: Record) -> Record:
        """The record with every key: what the runner left out is filled in from the pairing and the requirement."""
        requirement = self.requirements.get(record["case"])
        server, client = task.pairing.server, task.pairing.client
        if "peer" in record:
            record.setdefault("mode", server.mode)
        else:
            for role, side in (("server", server), ("client", client)):
                record.setdefault(role, side.name)
                record.setdefault(f"{role}_mode", side.mode)
        defaults: Record = {
            "requirement": requirement.level if requirement else "MUST",
            "os": self.system.label,
            "proof": "none",
            "blame": "",
            "duration_ms": 0,
            "message": "",
            "operations": 0,
            "gates": requirement.gates(self.system.label) if requirement else False,
        }
        for key, value in defaults.items():
            record.setdefault(key, value)
        record["pairing"] = task.pairing.id
        return record

    def run(self, tasks: Iterable[Task], finished: "queue.Queue[Optional[Outcome]]") -> "Pool":
        """Start the tasks on the workers; each outcome goes to `finished`, and None when all are done."""
        return Pool(self, list(tasks), finished)

    def records_so_far(self) -> int:
        """How many records the runners under way have written, for the progress line."""
        count = 0
        for path in self.work.glob("*/records.jsonl"):
            try:
                count += path.read_bytes().count(b"\n")
            except OSError:
                continue
        return count

    def rerun_task(self, outcome: Outcome) -> Optional[Task]:
        """The task that runs once more what a crash kept from running; None if nothing is left."""
        if not outcome.rerun:
            return None
        task = outcome.task
        tests = [t for t in task.tests if t in set(outcome.rerun) or is_canary(t)]
        return Task(next(self._numbers), task.pairing, tests, True, again=True)

    def repeat_tasks(self, tests: Dict[Pairing, List[str]]) -> List[Task]:
        """The tasks that repeat failed tests (and the canaries), to tell what is flaky."""
        return [Task(next(self._numbers), pairing, names, True) for pairing, names in tests.items()]


class Pool:
    """Worker threads, each with a core of its own, that take tasks until there are none.

    Those whose cases only wait have workers of their own, on the same cores.
    """

    def __init__(self, runner: Runner, tasks: List[Task], finished: "queue.Queue[Optional[Outcome]]") -> None:
        self._runner = runner
        self._finished = finished
        self._lock = threading.Lock()
        usable_cores = cores()
        lanes = [
            ([t for t in tasks if not t.waits], runner.jobs),
            ([t for t in tasks if t.waits], HANGS_AT_ONCE),
        ]
        places: "List[queue.SimpleQueue[Task]]" = []
        for mine, at_once in lanes:
            left: "queue.SimpleQueue[Task]" = queue.SimpleQueue()
            for task in mine:
                left.put(task)
            places += [left] * min(at_once, len(mine))
        places = places or [queue.SimpleQueue()]
        self._left = len(places)
        self._threads = [
            threading.Thread(target=self._work, args=(usable_cores[i % len(usable_cores)], place), daemon=True)
            for i, place in enumerate(places)
        ]
        for thread in self._threads:
            thread.start()

    def _work(self, core: int, tasks: "queue.SimpleQueue[Task]") -> None:
        if hasattr(os, "sched_setaffinity"):
            try:
                os.sched_setaffinity(0, {core})  # of this thread, and of what it starts
            except OSError:
                pass  # a container may forbid it; it is a matter of speed alone
        try:
            while True:
                try:
                    task = tasks.get_nowait()
                except queue.Empty:
                    return
                self._do(task)
        finally:
            with self._lock:
                self._left -= 1
                last = self._left == 0
            if last:
                self._finished.put(None)

    def _do(self, task: Task) -> None:
        try:
            self._runner.starts_ms += [start_of_a_process_ms() for _ in range(STARTS)]
            outcome = self._runner.execute(task)
            self._finished.put(outcome)
            again = self._runner.rerun_task(outcome)
            if again is not None:
                self._finished.put(self._runner.execute(again))
        except Exception as error:  # a defect of the harness must not leave the main thread waiting
            self._finished.put(Outcome(task, error=f"{task.pairing.id}: {type(error).__name__}: {printable(error)}"))

    def join(self) -> None:
        """Wait until every worker has returned."""
        for thread in self._threads:
            thread.join()
