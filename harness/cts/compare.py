"""What differs between two sides' canonical traces, and which of it the spec allows."""

from __future__ import annotations

import difflib
import fnmatch
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Collection, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from cts import expectations
from cts.canonical import OS_HANDLE
from cts.common import CannotRun, system_of
from cts.recorded import Key, Side, Variant, elided, without_prefixes
from cts.requirements import Requirement

Known = Dict[str, Any]  # a `[[difference]]` of an expectation file
_STATUS = re.compile(r"(?<= -> )status=(\S+)")
_KEY_AND_VALUE = re.compile(r' ([a-z_0-9]+)=(?:"(?:[^"\\]|\\.)*"(?= |$)|(?:(?! [a-z_0-9]+=| ->).)*)')
_RAW = re.compile(rf"(?<= raw=)<(?:fd|{OS_HANDLE})-(\d+)>")
_KIND_OF_NAME = re.compile(r"kind=(?:path|namespaced) (name=<name-\d+>)")


@dataclass
class Difference:
    """One difference: where it is, what each side has there (empty: nothing), and why it is allowed, if it is."""

    key: Key
    modes: List[str]
    kind: str  # case, outcome, answer, missing, extra
    place: str
    a: str
    b: str
    allowed: str = ""


@dataclass
class Comparison:
    """Everything that was found, and how many cases (headings) both sides ran."""

    differences: List[Difference] = field(default_factory=list)
    common: int = 0
    unmatched: List[Known] = field(default_factory=list)

    @property
    def refused(self) -> List[Difference]:
        """The differences that nothing allows."""
        return [d for d in self.differences if not d.allowed]


class Comparer:
    """Lays side `b` over side `a`."""

    def __init__(self, a: Side, b: Side, requirements: Dict[str, Requirement], known: Iterable[Known] = ()) -> None:
        self.a, self.b, self.requirements = a, b, requirements
        self.known = list(known)
        self.matched: Set[int] = set()  # places in `known`
        if a.seed != b.seed:
            raise CannotRun(
                f"their cases sent other bytes ({a.title}: seed {a.seed or 'unknown'}; {b.title}: seed "
                f"{b.seed or 'unknown'}); run both with the same --seed"
            )
        self.modes = (a.modes, b.modes)
        self.same = (a.implementation, a.label) == (b.implementation, b.label)

    def compare(self, wanted: Callable[[str], bool] = lambda case: True) -> Comparison:
        """The comparison of the cases that are wanted; raises CannotRun if the sides have none of them in common."""
        found = Comparison()
        both = set()
        for key in sorted({*self.a.cases, *self.b.cases}):
            if not wanted(key[0]):
                continue
            here: List[Difference] = []
            for mode in sorted({*self.modes[0], *self.modes[1]}):
                of_a, of_b = self.a.variant(key, mode), self.b.variant(key, mode)
                if of_a and of_b:
                    both.add(key[0])
                _merge(here, self._mode(key, mode, of_a, of_b), mode)
            found.differences += here
        found.common = len(both)
        # An expectation says how a system departs from what the spec says: of two that depart neither need show it.
        one_is_the_measure = any(side.label == system_of(side.label) for side in (self.a, self.b))
        if one_is_the_measure and self.a.label != self.b.label:
            found.unmatched = [k for n, k in enumerate(self.known) if n not in self.matched]
        if not both:
            raise CannotRun("the two have no case in common, so nothing was compared")
        return found

    # ---------------------------------------------------------------------------------------------- one case, one mode

    def _mode(self, key: Key, mode: str, a: Optional[Variant], b: Optional[Variant]) -> List[Difference]:
        if a is None and b is None:
            return []
        if a is None or b is None:
            allowed = self._absence(key, mode, self.a if a is None else self.b)
            told = [f"{v.outcome}, {sum(map(len, v.lanes.values()))} operations" if v else "" for v in (a, b)]
            return [Difference(key, [], "case", "", told[0], told[1], allowed)]
        if (a.outcome, a.lanes) == (b.outcome, b.lanes):
            return []
        found = list(self._lanes(key, a, b))
        if a.outcome != b.outcome:
            told = [f"{v.outcome}{f': {v.why}' if v.why else ''}" for v in (a, b)]
            found.insert(0, Difference(key, [], "outcome", "", told[0], told[1]))
        expected = next((v.why for v in (a, b) if v.outcome == "expected_failure"), "")
        unverifiable = next((v.why for v in (a, b) if v.outcome == "unverifiable"), "")
        for difference in found:
            if expected:
                difference.allowed = f"expected: {expected}"
            elif difference.kind == "outcome" and unverifiable and {a.outcome, b.outcome} <= {"passed", "unverifiable"}:
                difference.allowed = "unverifiable on one side"
        return found

    def _absence(self, key: Key, mode: str, where: Side) -> str:
        """Why a case need not be there; empty if it should be."""
        requirement = self.requirements.get(key[0])
        if self.same:  # what an implementation once did on a system, it does
            return ""
        if requirement and requirement.evidence.get(where.system) == "no":
            return f"not on {where.system}"
        why = where.absent.get(key, {}).get(mode)
        if why is not None:
            return why
        if mode not in self.modes[0 if where is self.a else 1]:
            return f"mode {mode} is not offered"
        return ""

    def _lanes(self, key: Key, a: Variant, b: Variant) -> Iterator[Difference]:
        short = self.a.recorded or self.b.recorded
        for place in sorted({*a.lanes, *b.lanes}):
            one, two = a.lanes.get(place, []), b.lanes.get(place, [])
            if self.a.system != self.b.system:
                one, two = ([self._of_any_system(key, text) for text in lane] for lane in (one, two))
            if short:
                one, two = elided(one), elided(two)
            if one == two:
                continue
            asked = ([self._request(key, text) for text in lane] for lane in (one, two))
            matcher = difflib.SequenceMatcher(None, *asked, autojunk=False)
            for _, i, i_end, j, j_end in matcher.get_opcodes():
                pairs = min(i_end - i, j_end - j)
                for n in range(pairs):
                    if one[i + n] == two[j + n]:
                        continue
                    allowed = self._why(key, one[i + n], two[j + n])
                    where = f"{place}, operation {i + n + 1}"
                    yield Difference(key, [], "answer", where, one[i + n], two[j + n], allowed)
                for n in range(i + pairs, i_end):
                    yield Difference(key, [], "missing", f"{place}, operation {n + 1}", one[n], "")
                for n in range(j + pairs, j_end):
                    yield Difference(key, [], "extra", f"{place}, operation {n + 1}", "", two[n])

    def _of_any_system(self, key: Key, operation: str) -> str:
        """The operation without what each system has of its own at a name of the run: its prefix, and its kind where
        the case left that to the system; and whatever it calls the handles below its own.
        """
        operation = _RAW.sub(r"<raw-\1>", without_prefixes(operation))
        requirement = self.requirements.get(key[0])
        asks = requirement is None or "kind" in requirement.shapes
        return operation if asks else _KIND_OF_NAME.sub(r"kind=<kind> \1", operation)

    def _own(self, key: Key, operation: str) -> str:
        """The operation without what the requirement says is each system's own; the same one on one system."""
        requirement = self.requirements.get(key[0])
        keys = requirement.own.get(operation.partition(" ")[0], ()) if requirement else ()
        return operation if self.a.system == self.b.system else without(operation, keys)

    def _request(self, key: Key, operation: str) -> str:
        return self._own(key, operation).partition(" -> ")[0]

    def _why(self, key: Key, a: str, b: str) -> str:
        """What allows two operations that stand in the same place and differ; empty if nothing does."""
        if self._own(key, a) == self._own(key, b):
            return "each system's own"
        return self._table(key, a, b) or self._expected(key, a, b)

    def _expected(self, key: Key, a: str, b: str) -> str:
        """The reason of the record that foresees two answers which differ in some keys alone."""
        for number, known in enumerate(self.known):
            told = [text.partition(" -> ") for text in (a, b)]
            same = told[0][0] == told[1][0] and len({without(" " + t[2], known["keys"]) for t in told}) == 1
            if same and fnmatch.fnmatchcase(key[0], known["case"]):
                self.matched.add(number)
                return f"expected: {known['reason']}"
        return ""

    def _table(self, key: Key, a: str, b: str) -> str:
        """The row of the requirement's table that allows two operations which differ in status alone."""
        requirement = self.requirements.get(key[0])
        status_a, status_b = _STATUS.search(a), _STATUS.search(b)
        if not requirement or not status_a or not status_b or _STATUS.sub("", a) != _STATUS.sub("", b):
            return ""
        for name, row in requirement.outcomes.items():
            in_a, in_b = (row.get(side.system, []) for side in (self.a, self.b))
            if status_a.group(1) in in_a and status_b.group(1) in in_b:
                return f"table: {name}"
        return ""


def without(operation: str, keys: Collection[str]) -> str:
    """The operation without these keys of its arguments and its answer."""
    return _KEY_AND_VALUE.sub(lambda m: "" if m.group(1) in keys else m.group(), operation) if keys else operation


def known_differences(root: Path, *sides: Side) -> List[Known]:
    """The `[[difference]]` records of the sides' expectation files."""
    found: List[Known] = []
    for side in sides:
        file = root / "conformance/expectations" / f"{side.name}.{side.label}.toml"
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+ ()-]*", side.name) and file.is_file():
            found += [known for known in expectations.load(file, root).differences if known not in found]
    return found


def _merge(into: List[Difference], found: List[Difference], mode: str) -> None:
    """Add what a mode has; what another mode has, too, is one difference."""
    for difference in found:
        same = next((d for d in into if _alike(d) == _alike(difference) and mode not in d.modes), None)
        if same is None:
            into.append(difference)
        (same or difference).modes.append(mode)


def _alike(d: Difference) -> Tuple[str, str, str, str, str]:
    return d.kind, d.place, d.a, d.b, d.allowed
