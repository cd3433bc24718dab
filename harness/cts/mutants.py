"""Mutants: the deliberately broken implementations in conformance/mutants, and what the cases make of them.

A mutant is the reference with a function or two replaced. It names the case that must catch it (it is *killed*), and
passes at least `SHARE_MIN` of the other cases of that family, so that it is caught for what it does and not for
breaking everything. The unbroken library, reached in the same way, fails none.
"""

from __future__ import annotations

import json
import queue
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from cts import pairings, peers
from cts.common import FAILING, IN_PROCESS, MODES, CannotRun, printable
from cts.pairings import Pairing, Side
from cts.requirements import Requirement
from cts.results import CANARY_OUTCOMES
from cts.runner import Outcome, Record, Runner, Task, case_of, is_canary, test_of

UNBROKEN = "unbroken"  # the mutant that changes nothing: no case catches it
SHARE_MIN = 0.9
SURVIVOR_REPEATS = 2  # a scheduler may let a broken one pass once
DEADLINE_MS = 3000  # a mutant that waits for ever costs this; the unbroken library shows that it is enough
VARIABLE = "CTS_MUTANT"  # tells the library which of its mutants it is
NOT_RUN = ("not_applicable", "unavailable", "unverifiable")


@dataclass(frozen=True)
class Mutant:
    """One broken implementation. `shape` is that in which the case must catch it; empty: any one suffices."""

    name: str
    sentence: str
    case: str
    shape: str
    mode: str
    command: Sequence[str] = ()
    env: Dict[str, str] = field(default_factory=dict, compare=False)

    @property
    def family(self) -> str:
        """The family of its case."""
        return self.case.partition(".")[0]

    def pairing(self) -> Pairing:
        """Itself in both roles, or in the process that calls it."""
        if self.mode == IN_PROCESS:
            return pairings.in_process(self.name, self.command[-1], {**self.env, VARIABLE: self.name})
        side = Side(self.name, self.mode, tuple(self.command), {**self.env, VARIABLE: self.name})
        return Pairing(side, side)


@dataclass
class Verdict:
    """What the cases made of a mutant."""

    mutant: Mutant
    verdict: str  # killed, survived, too_broken, not_here (its case does not apply on this system), not_run, error
    how: str = ""  # the outcome of the named case that says so, and its message
    message: str = ""
    others: Optional[int] = None  # other cases of its family that ran; None: they were not asked
    failed: List[str] = field(default_factory=list)  # those of them that failed

    @property
    def share(self) -> Optional[float]:
        """How many of the other cases passed, of 1."""
        return None if self.others is None else (self.others - len(self.failed)) / self.others if self.others else 1.0

    def described(self) -> Dict[str, Any]:
        """The entry in mutants.json."""
        told = {k: v for k, v in asdict(self.mutant).items() if k not in ("command", "env")}
        share = self.share
        told.update(verdict=self.verdict, outcome=self.how, message=self.message, others=self.others)
        return {**told, "others_failed": self.failed, "share": None if share is None else round(share, 4)}


def parse(listed: str, generic_peer: Path, library: Path) -> List[Mutant]:
    """The mutants in what the library's list says; raises CannotRun if it is not of that shape."""
    command = tuple(peers.generic_command(generic_peer, library))
    try:
        found = [Mutant(command=command, **entry) for entry in json.loads(listed)]
    except (TypeError, ValueError) as error:
        raise CannotRun(f"the list of mutants cannot be read: {printable(error)}") from error
    return found


def check(mutants: List[Mutant], requirements: Dict[str, Requirement]) -> None:
    """Raise CannotRun if a mutant is named twice, or names a case, shape or mode that there is not."""
    seen: Set[str] = set()
    for m in mutants:
        if m.name in seen:
            raise CannotRun(f"two mutants are named {m.name}")
        seen.add(m.name)
        requirement = requirements.get(m.case)
        if requirement is None:
            raise CannotRun(f"mutant {m.name}: there is no case {m.case}")
        values = m.shape.split("+") if m.shape else []
        axes = list(requirement.shapes.values())
        if values and (len(values) != len(axes) or any(v not in axis for v, axis in zip(values, axes))):
            raise CannotRun(f"mutant {m.name}: {m.case} has no shape {m.shape}")
        if m.mode not in (*MODES, IN_PROCESS) or (m.mode == IN_PROCESS) != requirement.in_process:
            raise CannotRun(f"mutant {m.name}: {m.case} has no mode {m.mode}")
    if UNBROKEN not in seen:
        raise CannotRun(f"there is no mutant {UNBROKEN!r}: without it a run proves nothing")


def judge(mutant: Mutant, named: List[Record], others: Optional[List[Record]], error: str = "") -> Verdict:
    """The verdict from the records of the named case, and of the other cases of its family if these ran."""
    verdict = Verdict(mutant, "error", message=error)
    if error:
        return verdict
    ran = [r for r in named if r["outcome"] not in NOT_RUN]
    bad = [r for r in ran if r["outcome"] in FAILING]
    if others is not None:
        states: Dict[str, bool] = {}
        for record in others:
            if record["outcome"] not in NOT_RUN:
                states[record["case"]] = states.get(record["case"], True) and record["outcome"] == "passed"
        verdict.others = len(states)
        verdict.failed = [case for case, good in states.items() if not good]
    verdict.how, verdict.message = (bad[0]["outcome"], bad[0]["message"]) if bad else ("passed" if ran else "", "")
    share = verdict.share
    if not ran:
        here = not named or any(r["outcome"] != "not_applicable" for r in named)
        verdict.verdict = "not_run" if here else "not_here"
        verdict.message = named[0]["message"] if named else "the runner does not have it"
    elif not bad:
        verdict.verdict = "survived"
    else:
        verdict.verdict = "too_broken" if share is not None and share < SHARE_MIN else "killed"
    return verdict


def _judge_first(mutant: Mutant, outcomes: List[Outcome]) -> Verdict:
    """The verdict from the named case alone."""
    error = next((o.error for o in outcomes if o.error), "")
    return judge(mutant, [r for o in outcomes for r in o.records], None, error)


class Trial:
    """Runs the cases against mutants: `runner` runs them, `progress` is told how many are done of how many."""

    def __init__(self, runner: Runner, mutants: List[Mutant], progress: Callable[[int, int], None]) -> None:
        self.runner = runner
        self.unbroken = next(m for m in mutants if m.name == UNBROKEN)
        self.progress = progress
        listed = runner.list_tests(self.unbroken.pairing())
        if any(m.mode == IN_PROCESS for m in mutants):
            listed += runner.list_tests(replace(self.unbroken, mode=IN_PROCESS).pairing())
        self.tests = list(dict.fromkeys(listed))  # each runner has the canaries
        self.canaries_wrong: List[str] = []

    def named(self, mutant: Mutant) -> List[str]:
        """The tests of the case that it names."""
        return [t for t in self.tests if case_of(t) == mutant.case and mutant.shape in ("", t.partition("/")[2])]

    def family(self, mutant: Mutant) -> List[str]:
        """The tests of the other cases of that family, each in its first shape."""
        first: Dict[str, str] = {}
        for test in self.tests:
            if test.startswith(mutant.family + ".") and case_of(test) != mutant.case:
                first.setdefault(case_of(test), test)
        return list(first.values())

    def _tasks(self, tests: Dict[Pairing, List[str]]) -> List[Task]:
        return self.runner.repeat_tasks({pairing: names for pairing, names in tests.items() if names})

    def run(self, tests: Dict[Pairing, List[str]]) -> Dict[str, List[Outcome]]:
        """Run the tests of each pairing; returns what came out by the pairing's id."""
        finished: "queue.Queue[Optional[Outcome]]" = queue.Queue()
        tasks = self._tasks(tests)
        found: Dict[str, List[Outcome]] = {pairing.id: [] for pairing in tests}
        pool = self.runner.run(tasks, finished)
        try:
            done = 0
            while tasks:
                outcome = finished.get()
                if outcome is None:
                    break
                found[outcome.task.pairing.id].append(outcome)
                done += 1
                self.progress(done, len(tasks))
        except BaseException:
            self.runner.group.end()
            raise
        finally:
            pool.join()
        return found

    def _run_families(self, tests: Dict[Pairing, List[str]]) -> Dict[str, List[Outcome]]:
        """As `run`, and nobody is held to what he leaves behind: a file that stays is one fault, and not one a case."""
        judged = self.runner.conditions
        self.runner.conditions = replace(judged, account="none")
        try:
            return self.run(tests)
        finally:
            self.runner.conditions = judged

    def unbroken_failures(self, mutants: List[Mutant], families: bool) -> List[Record]:
        """What the unbroken library fails, also when it is repeated, of everything that the mutants are asked."""
        tests: Dict[Pairing, List[str]] = {}
        for mode in sorted({m.mode for m in mutants}):
            pairing = Mutant(UNBROKEN, "", "", "", mode, self.unbroken.command, self.unbroken.env).pairing()
            wanted: Set[str] = set()
            for m in mutants:
                if m.mode == mode:
                    wanted.update(self.named(m))
                    wanted.update(self.family(m) if families else [])
            tests[pairing] = [t for t in self.tests if t in wanted or is_canary(t)]
        records: List[Record] = []
        for _repetition in range(2):
            records = [r for outcomes in self.run(tests).values() for o in outcomes for r in o.records]
            self._check_canaries(records)
            records = [r for r in records if not is_canary(test_of(r)) and r["outcome"] in FAILING]
            again = {(r["pairing"], test_of(r)) for r in records}
            tests = {
                pairing: [t for t in names if (pairing.id, t) in again or is_canary(t)]
                for pairing, names in tests.items()
                if any(place == pairing.id for place, _ in again)
            }
            if not tests:
                break
        return records

    def _check_canaries(self, records: List[Record]) -> None:
        for case, wanted in CANARY_OUTCOMES.items():
            if {r["outcome"] for r in records if r["case"] == case} != {wanted}:
                self.canaries_wrong.append(case)

    def verdicts(self, mutants: List[Mutant], families: bool) -> List[Verdict]:
        """What the named cases make of the mutants and, if `families`, the other cases of their families."""
        pairings = {m.name: m.pairing() for m in mutants}
        named = self.run({pairings[m.name]: self.named(m) for m in mutants})
        for _repetition in range(SURVIVOR_REPEATS):
            left = [m for m in mutants if _judge_first(m, named[pairings[m.name].id]).verdict == "survived"]
            if not left:
                break
            named.update(self.run({pairings[m.name]: self.named(m) for m in left}))
        others = self._run_families({pairings[m.name]: self.family(m) for m in mutants}) if families else {}
        found = []
        for m in mutants:
            first, rest = named[pairings[m.name].id], others.get(pairings[m.name].id)
            error = next((o.error for o in [*first, *(rest or [])] if o.error), "")
            records = [r for o in first for r in o.records]
            found.append(judge(m, records, None if rest is None else [r for o in rest for r in o.records], error))
        return found
