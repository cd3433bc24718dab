"""From records to `results.json`: repetitions, expectations, canaries, counts, the gate."""

from __future__ import annotations

import copy
import statistics
from dataclasses import dataclass, field
from typing import Any, Container, Dict, Iterable, List, Set, Tuple

from cts.common import FAILING, GATING, OUTCOMES
from cts.peers import Peer
from cts.requirements import Requirement
from cts.runner import CANARIES

Record = Dict[str, Any]
Key = Tuple[str, str, str]
CANARY_OUTCOMES = {"Canary.MustFail": "failed", "Canary.NotOffered": "not_applicable"}
CANARY_NOT_RUN = "not_run"  # no pairing ran whose implementations started
_CANARY_KEYS = {"Canary.MustFail": "must_fail", "Canary.NotOffered": "not_offered"}


def key(record: Record) -> Key:
    """What identifies a result: pairing, case, shape."""
    return record.get("pairing", ""), record["case"], record["shape"]


@dataclass
class Canaries:
    """What the canary cases of each pairing came out as."""

    seen: Dict[str, Dict[str, Set[str]]] = field(default_factory=lambda: {c: {} for c in CANARIES})

    def take(self, records: Iterable[Record]) -> List[Record]:
        """Note the canaries among the records and return the others."""
        others = []
        for record in records:
            if record["case"] in self.seen:
                self.seen[record["case"]].setdefault(record["pairing"], set()).add(record["outcome"])
            else:
                others.append(record)
        return others

    def verdict(self, due: Iterable[str], never_started: Container[str] = ()) -> Dict[str, str]:
        """`run.canary`: the outcome each must have; else the first wrong one, or `missing` if one that is due has none.

        `never_started` are pairings that an implementation kept from running, of which the canaries say nothing; if
        there are no others, the canaries are `not_run`.
        """
        due = list(due)
        told = {}
        for case, wanted in CANARY_OUTCOMES.items():
            seen = {p: outcomes for p, outcomes in self.seen[case].items() if p not in never_started}
            wrong = [o for outcomes in seen.values() for o in sorted(outcomes) if o != wanted]
            missing = [p for p in due if p not in seen and p not in never_started]
            kept = not seen and any(p in never_started for p in due)
            told[_CANARY_KEYS[case]] = (
                wrong[0] if wrong else "missing" if missing else CANARY_NOT_RUN if kept else wanted
            )
        return told


def canaries_right(canary: Dict[str, str]) -> bool:
    """Whether the suite has shown that it can fail, and that it leaves out what is not offered."""
    return canary == {_CANARY_KEYS[c]: outcome for c, outcome in CANARY_OUTCOMES.items()}


def suspicious(canary: Dict[str, str]) -> bool:
    """Whether the canaries ran, or should have, and say that the suite cannot be trusted."""
    return not canaries_right(canary) and any(outcome != CANARY_NOT_RUN for outcome in canary.values())


def fold_repeats(records: List[Record], repeats: List[List[Record]]) -> List[Record]:
    """The first run's records, where a failure that passed when it was repeated became `flaky`.

    `repeats` are the records of each repetition, in order.
    """
    folded = copy.deepcopy(records)
    for number, repeated in enumerate(repeats, 1):
        passed = {key(r) for r in repeated if r["outcome"] == "passed"}
        for record in folded:
            if record["outcome"] in FAILING and key(record) in passed:
                first = f"{record['outcome']}: {record['message']}" if record["message"] else record["outcome"]
                record.update(outcome="flaky", message=f"passed at repetition {number}; before: {first}")
    return folded


def unavailable(requirement: Requirement, peer: Peer, system: str) -> Record:
    """The record of a case that could not run because its implementation cannot run here; it says what is missing."""
    mode = peer.modes[0] if peer.modes else "blocking"
    record: Record = {
        "case": requirement.id,
        "requirement": requirement.level,
        "shape": "",
        "os": system,
        "outcome": "unavailable",
        "observed": "unavailable",
        "pairing": f"{peer.name}:{mode}>{peer.name}:{mode}",
        "proof": "none",
        "blame": "",
        "duration_ms": 0,
        "message": f"{peer.name} is unavailable: {peer.why}",
        "operations": 0,
        "gates": False,
    }
    if requirement.alone:
        return {**record, "peer": peer.name, "mode": mode}
    return {**record, "server": peer.name, "server_mode": mode, "client": peer.name, "client_mode": mode}


def unique(records: Iterable[Record]) -> Tuple[List[Record], int]:
    """The records without those said twice (the first stands), and how many were."""
    found: Dict[Key, Record] = {}
    twice = 0
    for record in records:
        if key(record) in found:
            twice += 1
        else:
            found[key(record)] = record
    return list(found.values()), twice


def gates(record: Record) -> bool:
    """Whether this record alone makes the run fail."""
    return record["outcome"] in GATING and record["requirement"] == "MUST" and bool(record["gates"])


def counts(records: Iterable[Record]) -> Dict[str, int]:
    """How many records have each outcome."""
    found = {outcome: 0 for outcome in OUTCOMES}
    for record in records:
        found[record["outcome"]] += 1
    return found


def times(records: Iterable[Record], starts_ms: Iterable[float]) -> Dict[str, float]:
    """`run.times`: medians of the cases of two processes, and of the starts of a process that does nothing."""
    ran = [r for r in records if r["outcome"] not in ("not_applicable", "unavailable")]
    measured = {
        "two_process_case_ms": [float(r["duration_ms"]) for r in ran if "peer" not in r],
        "process_start_ms": [ms for ms in starts_ms if ms > 0],
    }
    return {name: round(statistics.median(values), 3) for name, values in measured.items() if values}


def headings_that_ran(records: Iterable[Record]) -> int:
    """How many cases ran at least once."""
    return len({r["case"] for r in records if r["outcome"] not in ("not_applicable", "unavailable")})


def case_counts(records: Iterable[Record]) -> Tuple[int, int]:
    """(passed, failed) cases, each counted once a pairing whatever its shapes; not counted: what did not apply."""
    states: Dict[Tuple[str, str], bool] = {}
    for record in records:
        if record["outcome"] in ("not_applicable", "unavailable", "unverifiable"):
            continue
        place = (record.get("pairing", ""), record["case"])
        states[place] = states.get(place, True) and not gates(record)
    failed = sum(1 for good in states.values() if not good)
    return len(states) - failed, failed


def exit_status(run: Dict[str, Any], records: Iterable[Record]) -> int:
    """0 as expected, 1 something differs from what is expected, 2 the run says nothing."""
    if run.get("errors") or not canaries_right(run["canary"]):
        return 2
    if any(gates(r) for r in records) or run["unmatched_expectations"] or run["offers_shrunk"]:
        return 1
    return 0
