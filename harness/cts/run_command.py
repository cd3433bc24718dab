"""`cts run`: pairs implementations, runs the cases, compares with what is expected, and reports."""

from __future__ import annotations

import argparse
import datetime
import fnmatch
import queue
import secrets
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from cts import (
    build,
    expectations,
    pairings,
    peers,
    processes,
    report,
    results,
    starts,
    summary,
    systems,
    terminal,
    workdir,
)
from cts.build import Artifacts
from cts.common import VERSION, CannotRun, Interrupted, cores, host_system, plural, printable
from cts.pairings import Pairing
from cts.peers import REFERENCE, Peer
from cts.project import Project
from cts.requirements import Requirement
from cts.runner import CANARIES, REPEATS_MAX, Conditions, Outcome, Record, Runner, Task, case_of, is_canary, test_of
from cts.systems import System


def positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts run`."""
    parser.add_argument("--peer", action="append", default=[], metavar="NAME|COMMAND", help="implementation under test")
    parser.add_argument(
        "--with", action="append", default=[], dest="others", metavar="NAME|COMMAND", help="meets it (default: ref)"
    )
    parser.add_argument("--library", type=Path, metavar="FILE", help="shared library under test, by its C ABI")
    parser.add_argument(
        "--abi",
        action="store_true",
        help="also the in-process cases (spec/abi.md): of --library, else of the reference",
    )
    parser.add_argument(
        "--cases", action="append", default=[], metavar="GLOB", help="only cases that match, as in LocalSocket.*"
    )
    parser.add_argument("--mode", default="", metavar="M", help="only this mode: blocking, nonblocking, async")
    parser.add_argument(
        "--os", default=host_system(), metavar="LABEL", help="the system; on Linux also `windows`: under Wine"
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        default=len(cores()),
        help="runners at a time (default: one a core)",
    )
    parser.add_argument(
        "--built",
        type=Path,
        metavar="DIR",
        help="build nothing: runner, peer and reference are in DIR, into which `ci/build DIR` has put them",
    )
    parser.add_argument(
        "--report", type=Path, default=Path("report"), metavar="DIR", help="where the report goes (default: ./report)"
    )
    parser.add_argument(
        "--expect", type=Path, metavar="FILE", help="expectations in place of, or besides, those of the repository"
    )
    parser.add_argument(
        "--seed",
        type=positive,
        default=1,
        metavar="N",
        help="for the bytes that cases send; traces compare only at the same one (default: 1)",
    )
    parser.add_argument(
        "--account",
        choices=("none", "grown", "all"),
        default="grown",
        help="what cases are repeated to tell what leaks: those after which a peer holds more (default), none, or all",
    )
    parser.add_argument(
        "--slow",
        type=positive,
        default=1,
        metavar="FACTOR",
        help="run the peers about that many times slower, on cores that are busy; deadlines grow with it",
    )
    parser.add_argument(
        "--shuffle",
        type=positive,
        default=0,
        metavar="SEED",
        help="send requests that go to different lanes and peers at once in an order drawn from SEED",
    )
    parser.add_argument(
        "--build", action="store_true", help="build a folder with a peer.toml that --peer or --with names"
    )


def conditions(options: argparse.Namespace) -> Conditions:
    """Under what the cases of `cts run` run."""
    return Conditions(options.seed, options.account, options.slow, options.shuffle)


class Signals:
    """While it is entered, SIGINT, SIGTERM and SIGHUP raise Interrupted in the main thread, once."""

    def __init__(self) -> None:
        self._old: Dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                if hasattr(signal, name):
                    signum = getattr(signal, name)
                    self._old[signum] = signal.signal(signum, self._arrived)
        return self

    def _arrived(self, signum: int, _frame: Optional[FrameType]) -> None:
        for each in self._old:  # what follows is cleaning up, which ends by itself
            signal.signal(each, signal.SIG_IGN)
        raise Interrupted(signum)

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)


def select_cases(globs: List[str], known: List[str]) -> List[str]:
    """The ids that match one of the globs, in order; raises CannotRun if one matches none."""
    for glob in globs:
        if not any(fnmatch.fnmatchcase(name, glob) for name in known):
            raise CannotRun(f"no case matches {printable(glob)!r}; ids are Family.Rule, as in LocalSocket.*")
    return [name for name in known if any(fnmatch.fnmatchcase(name, glob) for glob in globs)]


class Run:
    """One `cts run`, from its arguments to its exit status."""

    def __init__(self, project: Project, options: argparse.Namespace, command: List[str]) -> None:
        self.project = project
        self.options = options
        self.command = command
        self.run_id = secrets.token_hex(16)
        self.progress = terminal.Progress()
        self.system: System = System(options.os)
        self.requirements: Dict[str, Requirement] = {}
        self.wanted: List[str] = []  # ids that --cases chose; empty: all
        self.peers: Dict[str, Peer] = {}
        self.never_started: Dict[str, str] = {}  # pairing -> why nothing of it ran
        self.pairings: List[Pairing] = []
        self.order: Dict[Tuple[str, str], int] = {}  # (pairing, test) -> place among the results
        self.outcomes: List[Outcome] = []
        self.repeats: List[List[Outcome]] = []
        self.notes: List[str] = []
        self.errors: List[str] = []
        self.interrupted: Optional[int] = None
        self.runner: Optional[Runner] = None

    # ----------------------------------------------------------------------------------------- before anything is built

    def check(self) -> Tuple[List[str], Dict[str, Peer]]:
        """Everything that can be refused without building: returns the cases that are wanted and the known peers."""
        o = self.options
        self.system = systems.named(o.os)
        if self.system.only_the_reference and not (set(o.peer) | set(o.others) <= {REFERENCE}):
            raise CannotRun(
                f"--os {o.os} runs the reference and --library; peers with programs of their own it does not"
            )
        self.requirements = self.project.requirements()
        if o.abi and self.system.name == "windows":
            raise CannotRun("--abi: the in-process cases run on Unix systems")
        self.wanted = cases = self._select() if o.cases else []
        known = self.project.peers()
        names = [REFERENCE, *known]
        for text in [*o.peer, *o.others]:
            if text not in names and not (Path(text) / "peer.toml").is_file() and not peers.is_command(text):
                raise peers.unknown(text, names)
            if (Path(text) / "peer.toml").is_file() and text not in names and not o.build:
                raise CannotRun(
                    f"{text} is a folder: building it runs what its peer.toml says; add --build to allow that"
                )
        if o.others and not o.peer and o.library is None:
            raise CannotRun("--with says whom --peer or --library meets; give one of these")
        if o.library is not None:
            peers.check_library(o.library)
        if o.expect is not None:
            expectations.load(o.expect, self.project.root)
        report.check_replaceable(o.report)
        return cases, known

    def _select(self) -> List[str]:
        """The cases that --cases chose: those of libraries in process only with --abi."""
        ids = [r.id for r in self.requirements.values() if self.options.abi or not r.in_process]
        for glob in self.options.cases:
            found = [r for r in self.requirements.values() if fnmatch.fnmatchcase(r.id, glob)]
            if found and not self.options.abi and all(r.in_process for r in found):
                raise CannotRun(f"{printable(found[0].id)} is about a library in the process that calls it: add --abi")
        return select_cases(self.options.cases, ids)

    # ------------------------------------------------------------------------------------------------ who takes part

    def _reference(self, artifacts: Artifacts) -> Peer:
        command = peers.generic_command(artifacts.peer, artifacts.reference)
        peer = Peer(REFERENCE, command=command, title="the reference", language="C")
        peers.greet(peer, self.system)
        if not peer.available:
            raise CannotRun(f"the reference does not start: {peer.why}")
        return peer

    def _named(self, text: str, known: Dict[str, Peer]) -> Peer:
        """The peer for an argument of --peer or --with, ready to run."""
        if text == REFERENCE:
            peer = self.peers[REFERENCE]
            peer.arguments = ["--peer", text]
        elif text in known:
            peer = known[text]
            peer.arguments = ["--peer", text]
            if peer.name not in self.peers:
                peers.prepare(peer, self.system, self.progress.step)
            if not peer.available:
                raise CannotRun(f"{peer.name} is unavailable: {peer.why}")
        else:
            taken = [*known, *self.peers]
            names = [REFERENCE, *known]
            peer = peers.from_text(text, names, taken, self.options.build, self.system, self.progress.step)
        self.peers[peer.name] = peer
        if text not in self.options.peer:
            peer.arguments[0] = "--with"
        return peer

    def gather(self, artifacts: Artifacts, known: Dict[str, Peer]) -> None:
        """Fill `peers` and `pairings`."""
        o = self.options
        self.peers[REFERENCE] = reference = self._reference(artifacts)
        if o.peer or o.library is not None:
            texts = dict.fromkeys([*o.peer, *o.others])
            by_text = {text: self._named(text, known) for text in texts}
            subjects = [by_text[text] for text in dict.fromkeys(o.peer)]
            if o.library is not None:
                peer = peers.library(o.library, artifacts.peer, [*known, *self.peers], self.system)
                self.peers[peer.name] = peer
                subjects.append(peer)
            others = [by_text[text] for text in dict.fromkeys(o.others)] or [reference]
        elif self.system.only_the_reference:
            others = subjects = [reference]
        else:
            others = [reference]
            self._prepare(list(known.values()))
            self.peers.update(known)
            subjects = [reference, *(p for p in known.values() if p.available)]
        self.pairings = pairings.make(subjects, others, o.mode)
        if o.abi:
            self.pairings.append(self._in_process(artifacts))

    def _in_process(self, artifacts: Artifacts) -> Pairing:
        """The library under test, else the reference, in the process that calls it."""
        file = self.options.library or artifacts.reference
        names = [p.name for p in self.peers.values() if p.arguments[:1] == ["--library"]]
        return pairings.in_process((names or [REFERENCE])[0], self.system.path(file.resolve()))

    def _prepare(self, all_of_them: List[Peer]) -> None:
        """Make peers ready, several at a time; an interruption ends their builds."""
        with ThreadPoolExecutor(max_workers=self.options.jobs) as pool:
            try:
                list(pool.map(lambda p: peers.prepare(p, self.system, self.progress.step), all_of_them))
            except BaseException:
                peers.BUILDS.end()
                raise

    # --------------------------------------------------------------------------------------------------------- running

    def _drain(self, runner: Runner, tasks: List[Task], into: List[Outcome], total: int) -> None:
        """Run the tasks to their end, showing progress."""
        finished: "queue.Queue[Optional[Outcome]]" = queue.Queue()
        pool = runner.run(tasks, finished)
        try:
            while True:
                failure = self.system.failure()
                if failure:
                    raise CannotRun(failure)
                try:
                    outcome = finished.get(timeout=0.2)
                except queue.Empty:
                    if total:
                        self.progress.count(runner.records_so_far(), total, 0)
                    continue
                if outcome is None:
                    break
                into.append(outcome)
        except BaseException:
            runner.group.end()
            raise
        finally:
            pool.join()
            while not finished.empty():
                late = finished.get()
                if late is not None:
                    into.append(late)

    def _records(self, outcomes: List[Outcome]) -> List[Record]:
        return [r for o in outcomes for r in o.records]

    def _repeat(self, runner: Runner, tests: Dict[Pairing, List[str]], matcher: expectations.Matcher) -> None:
        """Run what failed unforeseen again, at most twice, to tell what is flaky from what is broken."""
        records = [r for r in self._records(self.outcomes) if r["pairing"] not in self.never_started]
        failed = [r for r in records if r["case"] not in CANARIES and matcher.needs_repeat(r)]
        open_ones = {(r["pairing"], test_of(r)) for r in failed}
        for attempt in range(1, REPEATS_MAX + 1):
            if not open_ones:
                return
            self.progress.step(f"repeating {plural(len(open_ones), 'unexpected result')} ({attempt} of {REPEATS_MAX})")
            affected = {p: names for p, names in tests.items() if any(place == p.id for place, _ in open_ones)}
            again = {p: [t for t in names if (p.id, t) in open_ones or is_canary(t)] for p, names in affected.items()}
            self.repeats.append([])
            self._drain(runner, runner.repeat_tasks(again), self.repeats[-1], 0)
            passed = [r for r in self._records(self.repeats[-1]) if r["outcome"] == "passed"]
            open_ones -= {(r["pairing"], test_of(r)) for r in passed}

    def _tests(self, runner: Runner, cases: List[str]) -> Dict[Pairing, List[str]]:
        """What to run in each pairing: the wanted cases and the canaries; pairings without any case are left out.

        The runner has cases of one process only where one implementation plays both roles, and those of a library in a
        runner of their own, so there are up to three listings.
        """
        listings: Dict[Tuple[bool, bool], List[str]] = {}
        chosen: Dict[Pairing, List[str]] = {}
        for pairing in self.pairings:
            kind = (pairing.server == pairing.client, pairing.in_process)
            if kind not in listings:
                listings[kind] = runner.list_tests(pairing)
            tests = [t for t in listings[kind] if not cases or case_of(t) in cases or is_canary(t)]
            if not all(map(is_canary, tests)):
                chosen[pairing] = tests
        found = {case_of(t) for tests in chosen.values() for t in tests}
        absent = [c for c in cases if c not in found]
        if absent and any(alone for alone, _ in listings):
            raise CannotRun(f"the runner does not have the case {absent[0]}; `cts spec check` compares spec and cases")
        return chosen

    def _say_what_runs(self, tests: Dict[Pairing, List[str]]) -> None:
        """Say how many cases run, in how many pairings: without what is not offered or not on this system."""
        running: Dict[Pairing, Set[str]] = {}
        for pairing, names in tests.items():
            for name in names:
                requirement = self.requirements.get(case_of(name))
                shape = name.partition("/")[2]
                if requirement and pairings.applies(requirement, shape, pairing, self.peers, self.system.name):
                    running.setdefault(pairing, set()).add(requirement.id)
        count = len(set().union(*running.values()))
        self.progress.step(f"running {plural(count, 'case')} in {plural(len(running), 'pairing')}")

    def execute(self, artifacts: Artifacts, work: Path, cases: List[str], matcher: expectations.Matcher) -> None:
        """Run every pairing, and repeat what failed."""
        o = self.options
        self.runner = runner = Runner(
            artifacts, work, self.run_id, self.system, self.requirements, o.jobs, conditions(o)
        )
        try:
            tests = self._tests(runner, cases)
            self.pairings = list(tests)
            places = ((p.id, name) for p, names in tests.items() for name in names)
            self.order = {place: number for number, place in enumerate(places)}
            total = sum(map(len, tests.values()))
            self._say_what_runs(tests)
            self._drain(runner, runner.tasks(tests, bool(cases), matcher.may_hang), self.outcomes, total)
            self.never_started = starts.never(self.outcomes)
            self._repeat(runner, tests, matcher)
        except Interrupted as interruption:
            self.interrupted = interruption.signum
        finally:
            runner.group.end()
            self.system.end()
            runner.group.reap_orphans()

    # -------------------------------------------------------------------------------------------------------- results

    def _note_what_happened(self, twice: int) -> None:
        self.errors += list(
            dict.fromkeys(o.error for o in [*self.outcomes, *(r for rs in self.repeats for r in rs)] if o.error)
        )
        self.errors += self.never_started.values()
        if twice:
            self.notes.append(f"{twice} results were recorded twice; the first of each stands")
        if self.interrupted is not None:
            name = signal.Signals(self.interrupted).name
            self.notes.append(f"The run was interrupted by {name}: what is here is what had been recorded by then.")

    def _unavailable(self) -> List[Record]:
        """A record for each wanted case of each peer that cannot run here, so that what is missing is counted."""
        of_peers = [r for r in self.requirements.values() if not r.in_process]
        wanted = [r for r in of_peers if not self.wanted or r.id in self.wanted]
        return [
            results.unavailable(requirement, peer, self.system.label)
            for peer in self.peers.values()
            if not peer.available
            for requirement in wanted
        ]

    def document(self, started: float, matcher: expectations.Matcher) -> Dict[str, Any]:
        """results.json, with the expectations applied."""
        canaries = results.Canaries()
        records, twice = results.unique(canaries.take(self._records(self.outcomes)))
        records = results.fold_repeats(records, [canaries.take(self._records(r)) for r in self.repeats])
        records.sort(key=lambda r: self.order.get((r["pairing"], test_of(r)), len(self.order)))
        for record in records:
            matcher.apply(record)
        records += self._unavailable()
        self._note_what_happened(twice)
        complete = self.interrupted is None and not self.errors
        broken = {o.task.pairing.id for o in self.outcomes if o.error}
        due = [p.id for p in self.pairings if p.id not in broken] if self.interrupted is None else []
        run: Dict[str, Any] = {
            "run_id": self.run_id,
            "cts_version": VERSION,
            "started": datetime.datetime.fromtimestamp(started, datetime.timezone.utc).isoformat(timespec="seconds"),
            "wall_ms": int((time.time() - started) * 1000),
            "command": self.command,
            **asdict(conditions(self.options)),
            "times": results.times(records, self.runner.starts_ms if self.runner else []),
            **({"expect": str(self.options.expect.resolve())} if self.options.expect is not None else {}),
            "host": self.system.host(),
            "outcomes": results.counts(records),
            "cases": results.headings_that_ran(records),
            "peers": [p.described() for p in self.peers.values()],
            "offers_shrunk": matcher.shrunk({p.name: p.offers for p in self.peers.values() if p.available}),
            "unmatched_expectations": matcher.unmatched(records, self.requirements) if complete else [],
            "canary": canaries.verdict(due, self.never_started),
            "notes": self.notes,
            "errors": self.errors,
        }
        reordered = sum(r.get("reordered", 0) for r in records)
        if self.options.shuffle:
            self.notes.append(
                f"{plural(reordered, 'request')} went before one that its case had made earlier (--shuffle)"
            )
        if not records and self.interrupted is None and not self.errors:
            run["errors"] = self.errors = ["no case ran at all"]
        run["exit_status"] = results.exit_status(run, records) if self.interrupted is None else 128 + self.interrupted
        return {"schema": 1, "run": run, "results": records}

    def matcher(self) -> expectations.Matcher:
        """The expectations for who takes part."""
        taking_part = [p for p in self.peers.values() if p.available]
        told = {p.name: (p.implementation, str(p.offer.get("version", ""))) for p in taking_part}
        files = expectations.load_for(self.project.root, told, self.system.label, self.options.expect)
        return expectations.Matcher(files, told)

    @contextmanager
    def _begun(self, work: Path) -> Iterator[None]:
        """The system with all that its programs need, which ends with the run."""
        try:
            self.system.begin(self.project.root, work, self.progress.step)
            yield
        finally:
            self.system.end()

    def _artifacts(self) -> Artifacts:
        """What takes part besides the peers: built, or found where it was put."""
        if self.options.built is not None:
            return build.built(self.options.built, self.system, self.options.abi)
        return self.project.artifacts(self.system, self.progress.step, self.options.abi)

    def main(self) -> int:
        """Everything; returns the exit status."""
        started = time.time()
        cases, known = self.check()
        self.system.prepare(self.options, self.progress.step)
        artifacts = self._artifacts()
        workdir.sweep()
        # Behind the build, whose server goes on, and before what leaves orphans.
        processes.become_subreaper()
        with workdir.WorkDir(self.run_id) as work, self._begun(work):
            self.gather(artifacts, known)
            matcher = self.matcher()
            self.execute(artifacts, work, cases, matcher)
            document = self.document(started, matcher)
            self.progress.step("writing the report")
            traces = [o.trace for o in self.outcomes if o.trace is not None]
            rerun = summary.Rerun(self.project.root, document["run"])
            report.write(self.options.report, document, traces, self.requirements, rerun)
        self.progress.clear()
        terminal.show(document, rerun, str(self.options.report / "index.html"))
        return int(document["run"]["exit_status"])


def run(project: Project, options: argparse.Namespace, command: Optional[List[str]] = None) -> int:
    """`cts run`: returns its exit status; raises CannotRun."""
    this = Run(project, options, command or ["cts", *sys.argv[1:]])
    try:
        with Signals():
            return this.main()
    finally:
        this.progress.clear()
