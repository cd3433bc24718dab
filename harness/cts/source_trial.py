"""What the cases make of mutants of the source (source_mutants.py): the nearest cases first, until one fails.

Near is a case that executes the changed line, and nearer one that executes less beside it. What each case executes is
found by running each alone, once, on a library that notes it (conformance/mutants/source/coverage.c); that is kept for
the same source and cases. A case that fails on a mutant is repeated, and kills only if it fails again. A line that no
case executes is a survivor by itself.

Everything runs in a process namespace of its own: a mutant may send any signal to any process.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from cts import peers, processes
from cts.build import Artifacts
from cts.common import FAILING, CannotRun, cores, host_system, plural
from cts.mutants import NOT_RUN, Mutant, Verdict
from cts.pairings import Pairing, Side
from cts.results import CANARY_OUTCOMES
from cts.runner import Record, Runner, case_of, is_canary, last_begun, runner_environment, test_of
from cts.source_mutants import Change, Compiler, keep, recall
from cts.systems import System

COVERAGE = "conformance/mutants/source/coverage.c"
OLDER_KERNEL = "conformance/mutants/source/older_kernel.c"
NEAR = (3, 12, 48)  # how many of the nearest cases are asked at a time
FAR = 60  # and then of the others, evenly from the nearer to the farther ones; the rest behind the in-process cases
EQUIVALENT_ASKED = 2  # of these steps, for a mutant that is declared to be equivalent
IN_PROCESS = "in process"  # the mode of what an in-process case killed
UNREACHED = "no case executes it"
IN_PROCESS_S = 120.0  # in-process cases that write nothing for so long hang
MEMORY_MAX = 8 << 30  # bytes that a process may map: a mutant may ask for memory without end
Line = Tuple[str, int]


@dataclass(frozen=True)
class Configuration:
    """A way in which the library is reached."""

    name: str
    mode: str
    env: Dict[str, str] = field(default_factory=dict, compare=False)
    older: bool = False  # as on an older kernel


CONFIGURATIONS = (
    Configuration("ref", "blocking"),
    Configuration("ref", "nonblocking"),
    Configuration("ref", "async"),
    Configuration("older", "async", {"CTS_LOOP": "poll"}, True),
)


class Contained(System):
    """The machine as it is, with a process namespace for each runner, and a limit on memory."""

    bazel_flags = ("--compilation_mode=opt",)  # the runner is started thousands of times

    def __init__(self) -> None:
        super().__init__(host_system())

    def runner(self, argv: List[str], directory: Path, work_dir: Path) -> List[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
        enter = ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc"]
        # The shell stays: a runner that is process 1 would be what signals spare.
        return [*enter, "prlimit", f"--as={MEMORY_MAX}", "sh", "-c", '"$@"; exit $?', "sh", *argv]


@dataclass
class Probe:
    """A case in a configuration, and which blocks of the library it executes (a set of bits)."""

    configuration: int
    case: str
    blocks: int

    @property
    def size(self) -> int:
        """How many blocks."""
        return bin(self.blocks).count("1")


@contextlib.contextmanager
def all_cores() -> Iterator[None]:
    """What this thread starts meanwhile may use the cores of the process, not its own alone."""
    mine = None
    try:
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, os.sched_getaffinity(os.getpid()))
    except (AttributeError, OSError):
        pass  # it is a matter of luck alone
    try:
        yield
    finally:
        if mine is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, mine)


def _output(argv: Sequence[str], text: str = "") -> str:
    try:
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise CannotRun(f"{argv[0]} failed: {error}") from error
    return done.stdout


def blocks_of(library: Path, root: Path) -> List[Tuple[int, List[Line]]]:
    """The blocks of an instrumented library: the offset by which each is noted, and the lines that it is made of."""
    code = _output(["objdump", "-d", "--no-show-raw-insn", str(library)])
    found: List[Tuple[int, List[int]]] = []  # of each block, its offset and its instructions
    inside = after_call = False
    for text in code.splitlines():
        match = re.match(r" *([0-9a-f]+):\t(.*)", text)
        if not match:
            inside = inside and text.strip() != ""  # a function ends with an empty line
            continue
        address = int(match.group(1), 16)
        if after_call:
            found.append((address, []))
            inside = True
        after_call = match.group(2).startswith("call") and "__sanitizer_cov_trace_pc" in match.group(2)
        if inside and not after_call:
            found[-1][1].append(address)
    addresses = [a for _, inner in found for a in inner]
    told = _output(["addr2line", "-e", str(library)], "".join(f"{a:#x}\n" for a in addresses)).splitlines()
    lines: Dict[int, Line] = {}
    for address, where in zip(addresses, told):
        match = re.match(r"(.*):(\d+)", where)
        if match:
            lines[address] = (os.path.relpath(os.path.join(root, match.group(1)), root), int(match.group(2)))
    return [(offset, sorted({lines[a] for a in inner if a in lines})) for offset, inner in found]


class SourceTrial:
    """Runs cases against mutants of the source, `jobs` of them side by side; `progress` is told done and total.

    What no case kills the in-process cases (spec/abi.md) are asked about: they see what only a caller in the same
    process does, as what becomes of a null pointer.
    """

    def __init__(
        self,
        runner: Runner,
        compiler: Compiler,
        artifacts: Artifacts,
        jobs: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self.runner = runner
        self.compiler = compiler
        assert artifacts.abi is not None  # its caller has them built
        self.peer, self.abi = artifacts.peer, artifacts.abi
        # Those of them that the unbroken library fails, by the configuration. Modes are the peer's, so one is enough.
        self._not_in_process: Dict[int, List[str]] = {0: [], len(CONFIGURATIONS) - 1: []}
        self.jobs = jobs
        self.progress = progress
        self._older_kernel = compiler.program(OLDER_KERNEL)
        self.canaries_wrong: List[str] = []
        self.probes: List[Probe] = []
        self.not_asked: List[str] = []  # cases that do not pass where it is noted what they execute
        self.lines: Dict[Line, int] = {}  # of each line the blocks that hold it
        self.tests: List[Dict[str, List[str]]] = []  # the tests of each case, a dictionary a configuration

    def _pairing(self, library: Path, configuration: Configuration, env: Optional[Dict[str, str]] = None) -> Pairing:
        command = peers.generic_command(self.peer, library)
        if configuration.older:
            command = [str(self._older_kernel), *command]
        side = Side(configuration.name, configuration.mode, tuple(command), {**configuration.env, **(env or {})})
        return Pairing(side, side)

    def _workers(self) -> ThreadPoolExecutor:
        """Threads that have a core each, and what they start with them."""
        usable, lock, taken = cores(), threading.Lock(), [0]

        def settle() -> None:
            with lock:
                core = usable[taken[0] % len(usable)]
                taken[0] += 1
            if hasattr(os, "sched_setaffinity"):
                try:
                    os.sched_setaffinity(0, {core})
                except OSError:
                    pass  # a container may forbid it; it is a matter of speed alone

        return ThreadPoolExecutor(self.jobs, initializer=settle)

    def _execute(self, pairing: Pairing, tests: Iterable[str]) -> List[Record]:
        """The records of these tests, up to the first that fails if the runner stops there."""
        task = self.runner.repeat_tasks({pairing: list(tests)})[0]
        outcome = self.runner.execute(task)
        if outcome.error or outcome.interrupted:
            raise CannotRun(outcome.error or "interrupted")
        return outcome.records

    def _all(self, work: Callable[[Any], Any], items: Sequence[Any]) -> List[Any]:
        """What `work` makes of each, in the order of the items."""
        with self._workers() as pool:
            futures = {pool.submit(work, item): i for i, item in enumerate(items)}
            made: List[Any] = [None] * len(items)
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    made[futures[future]] = future.result()
                    self.progress(done, len(items))
            except BaseException:
                self.runner.group.end()
                for future in futures:
                    future.cancel()
                raise
        return made

    # -------------------------------------------------------------------------------------------------- coverage

    def _instrumented(self, texts: Sequence[str]) -> Path:
        flags = ("-O0", "-g", "-fsanitize-coverage=trace-pc")
        objects = []
        for file in texts:
            objects.append(self.compiler.work / "instrumented" / f"{file}.o")
            if not self.compiler.compile(Path(file), objects[-1], *flags):
                raise CannotRun(f"{file} does not compile with {' '.join(flags)}")
        objects.append(self.compiler.work / "instrumented" / "coverage.o")
        if not self.compiler.compile(Path(COVERAGE), objects[-1], "-O2"):
            raise CannotRun(f"{COVERAGE} does not compile")
        library = self.compiler.work / "instrumented.so"
        self.compiler.link(objects, library)
        return library

    def list_tests(self, library: Path) -> None:
        """See what tests there are in each configuration."""
        for configuration in CONFIGURATIONS:
            by_case: Dict[str, List[str]] = {}
            for test in self.runner.list_tests(self._pairing(library, configuration)):
                by_case.setdefault(case_of(test), []).append(test)
            self.tests.append(by_case)

    def _covered(self, library: Path, offsets: Sequence[int], probe: Tuple[int, str]) -> Optional[int]:
        """The blocks that a case executes; None if it does not apply, -1 if it does not pass."""
        number, case = probe
        noted = self.compiler.work / "noted" / f"{number}-{case}"
        pairing = self._pairing(library, CONFIGURATIONS[number], {"CTS_COVERAGE": str(noted)})
        records = self._execute(pairing, self.tests[number][case])
        ran = [r for r in records if r["outcome"] not in NOT_RUN]
        if not ran or not noted.exists():
            return None
        if any(r["outcome"] != "passed" for r in ran):
            return -1
        data = noted.read_bytes()
        noted.unlink()
        return sum(1 << bit for bit, offset in enumerate(offsets) if data[offset])

    def _measure(self, texts: Sequence[str], families: Sequence[str]) -> List[Dict[str, Any]]:
        """What the cases of these families execute, a value for each family."""
        library = self._instrumented(texts)
        blocks = blocks_of(library, self.compiler.root)
        (self.compiler.work / "noted").mkdir()
        wanted = [(n, c) for n, cases in enumerate(self.tests) for c in cases if c.partition(".")[0] in families]
        offsets = [offset for offset, _ in blocks]
        found = list(zip(wanted, self._all(lambda probe: self._covered(library, offsets, probe), wanted)))
        lines = [lines for _, lines in blocks]
        values = []
        for family in families:
            mine = [(n, c, b) for (n, c), b in found if c.startswith(family + ".") and b is not None]
            probes = [[n, c, f"{b:x}"] for n, c, b in mine if b >= 0]
            failed = [f"{CONFIGURATIONS[n].name}:{CONFIGURATIONS[n].mode} {c}" for n, c, b in mine if b < 0]
            values.append({"blocks": lines, "probes": probes, "failed": failed})
        return values

    def measure(self, texts: Sequence[str], digests: Dict[str, str]) -> None:
        """Find what each case executes, or remember it; `digests` has of each family that of all it depends on."""
        kept = {family: recall(digest) for family, digest in digests.items()}
        missing = [family for family, value in kept.items() if value is None]
        if missing:
            for family, value in zip(missing, self._measure(texts, missing)):
                kept[family] = value
                keep(digests[family], value)
        for value in kept.values():
            self.probes += [Probe(n, c, int(b, 16)) for n, c, b in value["probes"]]
            self.not_asked += value["failed"]
        for bit, lines in enumerate(next(iter(kept.values()))["blocks"]):
            for file, line in lines:
                self.lines[file, line] = self.lines.get((file, line), 0) | 1 << bit

    # -------------------------------------------------------------------------------------------------- verdicts

    def unbroken_failures(self, library: Path) -> List[Record]:
        """What the library of the unchanged source fails, also when it is repeated. Such a case kills nothing."""
        wanted: List[Tuple[int, List[str]]] = []
        for number, cases in enumerate(self.tests):
            mine = [t for p in self.probes if p.configuration == number for t in cases.get(p.case, [])]
            mine += [t for c, tests in cases.items() if is_canary(c) for t in tests]
            wanted.append((number, mine))
        failures: List[Record] = []
        for number, tests in wanted:
            pairing = self._pairing(library, CONFIGURATIONS[number])
            left = tests
            while left:  # the runner stops where one fails
                records = self._execute(pairing, left)
                recorded = {test_of(r) for r in records}
                self._check_canaries(records)
                failed = [r for r in records if r["outcome"] in FAILING and not is_canary(test_of(r))]
                failures += [r for r in failed if self._fails(pairing, test_of(r)) is not None]
                left = [t for t in left if t not in recorded] if failed else []
        bad = {(r["pairing"], r["case"]) for r in failures}
        ids = [self._pairing(library, c).id for c in CONFIGURATIONS]
        self.probes = [p for p in self.probes if (ids[p.configuration], p.case) not in bad]
        return failures

    def _in_process(self, library: Path, number: int, wanted: str = "*", besides: Sequence[str] = ()) -> str:
        """The first in-process case that fails in a configuration, or how their runner ended; empty if all pass."""
        directory = self.compiler.work / "in_process" / f"{library.stem}-{threading.get_ident()}"
        directory.mkdir(parents=True, exist_ok=True)
        output = directory / "output"
        output.unlink(missing_ok=True)
        configuration = CONFIGURATIONS[number]
        chosen = f"--gtest_filter={wanted}-{':'.join([*self._not_in_process[number], *besides, 'Canary*'])}"
        argv = [str(self.abi), f"--library={library}", "--gtest_color=no", "--gtest_fail_fast", chosen]
        if configuration.older:
            argv = [str(self._older_kernel), *argv]
        argv = self.runner.system.runner(argv, directory, directory)
        environment = {**runner_environment(), **configuration.env}
        with all_cores():  # what threads do at once shows on several alone
            process = self.runner.group.start(argv, environment, directory, output)
        if process is None:
            raise CannotRun("interrupted")
        status = processes.wait_while_it_moves(process, lambda: output.stat().st_size, IN_PROCESS_S, self.runner.group)
        text = output.read_text(encoding="utf-8", errors="replace")
        failed = re.search(r"^\[  FAILED  \] ([^\s,]+)", text, re.MULTILINE)
        if failed:
            return failed.group(1)
        return "" if status == 0 else last_begun(text) or "(all)"

    def unbroken_in_process(self, library: Path) -> List[str]:
        """The in-process cases that the library of the unchanged source fails, which kill nothing."""
        for number, failing in self._not_in_process.items():
            while failed := self._in_process(library, number):
                if failed == "(all)":
                    raise CannotRun("the runner of the in-process cases cannot be used")
                failing.append(failed)
        return [f"{CONFIGURATIONS[n].name} {case}" for n, cases in self._not_in_process.items() for case in cases]

    def _asked_in_process(self, change: Change) -> List[int]:
        """The configurations in which in-process cases are asked: on an older kernel about what only runs there.

        Where a line that no case executes belongs is not known.
        """
        executed = {CONFIGURATIONS[p.configuration].older for p in self.near(change)}
        return [n for n in self._not_in_process if not executed or CONFIGURATIONS[n].older == (False not in executed)]

    def _kill_in_process(self, library: Path, change: Change) -> str:
        """The in-process case that fails, twice; empty if there is none."""
        for number in self._asked_in_process(change):
            passed: List[str] = []  # when they were repeated
            while first := self._in_process(library, number, besides=passed):
                if self._in_process(library, number, first if first != "(all)" else "*"):
                    return first
                if first == "(all)":
                    break
                passed.append(first)
        return ""

    def _check_canaries(self, records: List[Record]) -> None:
        for record in records:
            wanted = CANARY_OUTCOMES.get(record["case"])
            if wanted is not None and record["outcome"] != wanted:
                self.canaries_wrong.append(record["case"])

    def _fails(self, pairing: Pairing, test: str) -> Optional[Record]:
        """The record of a test that fails, if it does."""
        return next((r for r in self._execute(pairing, [test]) if r["outcome"] in FAILING), None)

    def _kill(self, library: Path, probes: Sequence[Probe]) -> Optional[Record]:
        """The record of the first case that fails, twice; None if all pass."""
        for number, configuration in enumerate(CONFIGURATIONS):
            pairing = self._pairing(library, configuration)
            tests = [t for p in probes if p.configuration == number for t in self.tests[number].get(p.case, [])]
            wanted: Set[str] = set(tests)
            while wanted:
                records = self._execute(pairing, [t for t in tests if t in wanted])
                failed = next((r for r in records if r["outcome"] in FAILING), None)
                if failed is None:
                    break
                again = self._fails(pairing, test_of(failed))
                if again is not None:
                    return again
                wanted -= {test_of(r) for r in records}
        return None

    def near(self, change: Change) -> List[Probe]:
        """The cases that execute the line in the order in which they are asked: those that execute least first.

        Behind the nearest come FAR of the others, evenly chosen, and then the rest.
        Of a line that is no code, as a table or an enum, those that execute anything of its file.
        """
        blocks = self.lines.get((change.file, change.line))
        if blocks is None:
            blocks = 0
            for (file, _), held in self.lines.items():
                blocks |= held if file == change.file else 0
        found = sorted((p for p in self.probes if p.blocks & blocks), key=lambda p: (p.size, p.case, p.configuration))
        nearest, others = found[: sum(NEAR)], found[sum(NEAR) :]
        step = -(-len(others) // FAR) or 1
        return nearest + others[::step] + [p for i, p in enumerate(others) if i % step]

    def judge(self, change: Change, changed: Path, proof: str = "") -> Verdict:
        """The verdict on one mutant. `proof` is why it is declared to be equivalent; a case may still refute that."""
        library = self.compiler.work / "libraries" / f"{changed.parent.name}.so"
        self.compiler.library(change, changed, library)
        near = self.near(change)
        told = change.sentence
        try:
            at = 0
            killer: Optional[Record] = None
            for size in NEAR[:EQUIVALENT_ASKED] if proof else (*NEAR, FAR):
                if killer is None and at < len(near):
                    killer = self._kill(library, near[at : at + size])
                    at += size
            in_process = "" if proof or killer is not None else self._kill_in_process(library, change)
            if killer is None and not in_process and not proof and at < len(near):
                killer = self._kill(library, near[at:])
        finally:
            library.unlink()
        if killer is not None:
            mode = killer["pairing"].rpartition(":")[2]
            mutant = Mutant(change.name, told, killer["case"], killer["shape"], mode)
            return Verdict(mutant, "killed", killer["outcome"], killer["message"])
        if in_process:
            return Verdict(Mutant(change.name, told, in_process, "", IN_PROCESS), "killed", "failed")
        mutant = Mutant(change.name, told, "", "", "")
        if proof:
            return Verdict(mutant, "equivalent", "passed", proof)
        why = f"{plural(len(near), 'case')} that execute it passed" if near else UNREACHED
        return Verdict(mutant, "survived", "passed" if near else "", why)

    def verdicts(
        self, sample: Sequence[Tuple[Change, Path]], proofs: Dict[Change, str], told: Callable[[Verdict], None]
    ) -> List[Verdict]:
        """The verdicts, in the sample's order; each goes to `told` as it is found."""
        lock = threading.Lock()

        def judge(one: Tuple[Change, Path]) -> Verdict:
            verdict = self.judge(one[0], one[1], proofs.get(one[0], ""))
            with lock:
                told(verdict)
            return verdict

        found: List[Verdict] = self._all(judge, sample)
        return found
