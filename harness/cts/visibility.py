"""Whether `cts compare` tells a mutant from the reference by what their canonical traces say.

A failed case is a difference by itself, and so are the operations that it then leaves out: these say that the suite
noticed, which `cts mutants` shows, and not that a trace holds what is wrong. So a mutant is *visible* only if an
operation of its trace stands otherwise in the recorded one; and, as a busy machine may make a trace differ by chance,
only if that case differs so again when it is repeated.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Optional, Set, Tuple

from cts import recorded, report
from cts.common import FAILING, IN_PROCESS
from cts.compare import Comparer, Difference, without
from cts.mutants import Mutant, Trial
from cts.recorded import Key, Side, Variant
from cts.requirements import Requirement
from cts.runner import Outcome, case_of

SHARE_MIN = 0.9  # of the mutants that have traces
KINDS = ("status", "byte", "value", "order", "missing", "extra")
CUT, OUTCOME = "cut", "outcome"  # what a failed case alone accounts for
_BYTES = ("length", "crc32", "data", "chunks")
_STATUS = re.compile(r" status=\S+|")
_LABEL = re.compile(r"<([a-z-]+)-\d+>")
_UNDER_WAY = re.compile(r" ->( left=true)?$")


@dataclass
class Sight:
    """What the traces show of a mutant."""

    mutant: Mutant
    kinds: Dict[Key, List[str]] = field(default_factory=dict)  # of each case that differs
    first: Dict[Key, Difference] = field(default_factory=dict)  # of each case in which it is seen
    compared: int = 0
    error: str = ""

    @property
    def seen(self) -> List[Key]:
        """The cases in whose traces it is, before others that which it names."""
        return sorted(self.first, key=lambda key: (key[0] != self.mutant.case, key))

    @property
    def verdict(self) -> str:
        """visible, invisible, not_compared (it ran in no case that has a trace), error."""
        if self.error:
            return "error"
        return "not_compared" if not self.compared else "visible" if self.first else "invisible"

    @property
    def how(self) -> List[str]:
        """The kinds of difference where it is seen first; if nowhere, what its own case has in their place."""
        own = [key for key in self.kinds if key[0] == self.mutant.case]
        return self.kinds[[*self.seen, *own, *self.kinds][0]] if self.kinds else []

    def described(self) -> Dict[str, Any]:
        """The entry in mutants.json."""
        m = self.mutant
        cases = {" ".join(filter(None, key)): kinds for key, kinds in sorted(self.kinds.items())}
        told = {"name": m.name, "sentence": m.sentence, "case": m.case, "shape": m.shape, "mode": m.mode}
        return {**told, "verdict": self.verdict, "kinds": cases, "compared": self.compared, "message": self.error}


def kind_of(difference: Difference) -> str:
    """Which of KINDS it is when two operations differ: their status, their bytes, or what else is asked or said."""
    if difference.kind != "answer":
        return difference.kind
    (asked, _, one), (asked_b, _, two) = (text.partition(" ->") for text in (difference.a, difference.b))
    if asked != asked_b:
        return "value"
    if _STATUS.match(one).group() != _STATUS.match(two).group():
        return "status"
    return "byte" if without(one, _BYTES) == without(two, _BYTES) else "value"


def key_of(test: str) -> Key:
    """Case and shape of a test."""
    return case_of(test), test.partition("/")[2]


def _number(difference: Difference) -> int:
    return int(difference.place.rpartition(" ")[2])


def _left_out(found: List[Difference], length: int, outcome: str) -> List[Difference]:
    """Of a lane's differences, those that the outcome accounts for; `length` of the whole lane.

    What a failed case left under way says nothing; where it hung, or a process ended, it is an answer that never came.
    """
    if outcome not in FAILING:
        return []
    missing = {_number(d): d for d in found if d.kind == "missing"}
    left = []
    while length in missing:
        left.append(missing[length])
        length -= 1
    return left + [
        d for d in found if outcome not in ("hung", "crashed") and d.kind == "answer" and _UNDER_WAY.search(d.b)
    ]


def kinds_of(found: List[Difference], a: Optional[Variant], b: Optional[Variant]) -> Tuple[List[str], List[Difference]]:
    """The kinds of what differs between two runs of a case, and the differences that show more than the outcome."""
    if a is None or b is None:
        return ["missing" if b is None else "extra"], found
    lanes: Dict[str, List[Difference]] = {}
    for d in found:
        if d.place:
            lanes.setdefault(d.place.partition(",")[0], []).append(d)
    kinds: Set[str] = set()
    counting: List[Difference] = []
    left = [d for place, here in lanes.items() for d in _left_out(here, len(a.lanes.get(place, [])), b.outcome)]
    if left:  # labels are numbered by order of appearance: what is left out makes others of those behind it
        left += [d for d in found if d.kind == "answer" and _LABEL.sub(r"<\1>", d.a) == _LABEL.sub(r"<\1>", d.b)]
    for here in lanes.values():
        rest = [d for d in here if d not in left]
        counting += rest
        if rest and Counter(d.a for d in here if d.a) == Counter(d.b for d in here if d.b):
            kinds.add("order")
        else:
            kinds |= {kind_of(d) for d in rest} or {CUT}
    return sorted(kinds or {OUTCOME}, key=[*KINDS, CUT, OUTCOME].index), counting


class Viewer:
    """Runs cases against mutants and holds the traces against `baseline`, the reference's on this system."""

    def __init__(self, trial: Trial, baseline: Side, requirements: Dict[str, Requirement]) -> None:
        self.trial = trial
        self.baseline = baseline
        self.requirements = requirements

    def _side(self, mutant: Mutant, outcomes: List[Outcome]) -> Side:
        """What the mutant did, as a side: it says that it is the reference."""
        side = replace(self.baseline, title=mutant.name, name=mutant.name, recorded=False, cases={}, absent={})
        records = [r for o in outcomes for r in o.records]
        traces = [o.trace for o in outcomes if o.trace is not None]
        if traces:
            file = traces[0].with_name("merged.jsonl")
            report.merge_traces(traces, file)
            recorded.fill(side, records, file, self.requirements)
        return side

    def _look(self, mutant: Mutant, outcomes: List[Outcome]) -> Sight:
        sight = Sight(mutant, error=next((o.error for o in outcomes if o.error), ""))
        if sight.error:
            return sight
        side = self._side(mutant, outcomes)
        keys = {*side.cases, *side.absent} & {*self.baseline.cases, *self.baseline.absent}
        a, b = (of.only(keys, mutant.mode) for of in (self.baseline, side))
        sight.compared = len({*a.cases} & {*b.cases})
        if not sight.compared:
            return sight
        by_key: Dict[Key, List[Difference]] = {}
        for difference in Comparer(a, b, self.requirements).compare().refused:
            by_key.setdefault(difference.key, []).append(difference)
        for key, found in by_key.items():
            variants = (side.variant(key, mutant.mode) for side in (a, b))
            sight.kinds[key], counting = kinds_of(found, *variants)
            if counting:
                sight.first[key] = counting[0]
        return sight

    def _run(self, tests: Dict[Mutant, List[str]]) -> Dict[Mutant, Sight]:
        pairings = {mutant: mutant.pairing() for mutant in tests}
        found = self.trial.run({pairings[mutant]: names for mutant, names in tests.items()})
        return {mutant: self._look(mutant, found[pairings[mutant].id]) for mutant in tests}

    def _view(self, asked: Dict[Mutant, List[str]]) -> List[Sight]:
        sights = self._run(asked)
        differ = {m: [t for t in asked[m] if key_of(t) in sights[m].first] for m in asked}
        for mutant, again in self._run({m: tests for m, tests in differ.items() if tests}).items():
            sight = sights[mutant]
            sight.error = again.error
            sight.first = {key: d for key, d in sight.first.items() if key in again.first}
        return list(sights.values())

    def _asked(self, mutant: Mutant) -> List[str]:
        return [*self.trial.named(mutant), *self.trial.family(mutant)]

    def view(self, mutants: List[Mutant]) -> List[Sight]:
        """What the traces show of each mutant in the case that it names and the other cases of that family."""
        sights = self._view({m: self._asked(m) for m in mutants if m.mode != IN_PROCESS})
        return sights + [Sight(m) for m in mutants if m.mode == IN_PROCESS]

    def unbroken(self, mutants: List[Mutant]) -> List[Sight]:
        """What the same cases show of the unbroken library in each mode: nothing, or the rest proves nothing."""
        asked: Dict[Mutant, List[str]] = {}
        for mode in sorted({m.mode for m in mutants} - {IN_PROCESS}):
            wanted = {t for m in mutants if m.mode == mode for t in self._asked(m)}
            asked[replace(self.trial.unbroken, mode=mode)] = [t for t in self.trial.tests if t in wanted]
        return self._view(asked)
