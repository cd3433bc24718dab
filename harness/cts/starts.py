"""Which pairings never ran at all, because an implementation did not start for their cases."""

from __future__ import annotations

import re
from typing import Dict, Iterable, List, Set

from cts import trace
from cts.common import clip, printable
from cts.runner import CANARIES, Outcome, Record

_GIVEN_UP = "given up, because: "


def _answered(outcomes: List[Outcome]) -> Set[str]:
    """The roles that answered `hello`, by the raw traces."""
    roles: Set[str] = set()
    for outcome in outcomes:
        if outcome.trace is None or not outcome.trace.exists():
            continue
        broken: List[str] = []  # which report.py tells
        for event in trace.events(outcome.trace, broken.append):
            if event.get("kind") == "end" and "implementation" in event["reply"]:
                roles.add(event.get("role", ""))
    return roles


def _that_tell(outcomes: List[Outcome]) -> List[Record]:
    """The records that tell whether the implementations started: what is not on this system needs none of them.

    Canaries tell if there is nothing else, for they ask the server alone.
    """
    ran = [r for o in outcomes for r in o.records if r["outcome"] != "not_applicable"]
    return [r for r in ran if r["case"] not in CANARIES] or ran


def _sentence(outcomes: List[Outcome]) -> str:
    """Why nothing of one pairing ran, beginning with the pairing; empty if something did."""
    records = _that_tell(outcomes)
    if not records or any(r["outcome"] not in ("crashed", "hung") or not r["blame"] for r in records):
        return ""
    pairing = outcomes[0].task.pairing
    alone = pairing.server == pairing.client
    answered, blamed = _answered(outcomes), {r["blame"] for r in records}
    if answered & blamed or (alone and answered):
        return ""
    names = {"server": pairing.server.name, "client": pairing.client.name, "peer": pairing.server.name}
    who = " and ".join(sorted({names.get(role, role) for role in blamed}))
    message = next((r["message"] for r in records if not r["message"].startswith(_GIVEN_UP)), records[0]["message"])
    message = re.sub(r"(\\n)+$", "", message)  # the runner has escaped the end of its last words
    return (
        f"{pairing.id}: {printable(who)} answered `hello` before, and did not start for the cases, which have another "
        f"directory and a scrubbed environment (spec/peer_protocol.md, 8.1): {printable(clip(message, 800))}"
    )


def never(outcomes: Iterable[Outcome]) -> Dict[str, str]:
    """The pairings of which nothing ran because an implementation did not start: id -> a sentence that says so."""
    by_pairing: Dict[str, List[Outcome]] = {}
    for outcome in outcomes:
        by_pairing.setdefault(outcome.task.pairing.id, []).append(outcome)
    told = {pairing: _sentence(of_it) for pairing, of_it in by_pairing.items()}
    return {pairing: sentence for pairing, sentence in told.items() if sentence}
