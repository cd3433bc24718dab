"""What people read of a run: the matrix of pairings and families, and what differs from what is expected."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

from cts import results
from cts.common import OUTCOMES

Record = Dict[str, Any]
STATES = ("bad", "finding", "good", "none")


@dataclass
class Cell:
    """Where a pairing and a family meet: the records, and the counts of headings."""

    records: List[Record]

    @property
    def applicable(self) -> int:
        """Headings with at least one record that ran."""
        return len({r["case"] for r in self.records if r["outcome"] not in ("not_applicable", "unavailable")})

    @property
    def held(self) -> int:
        """Headings of which every record that ran passed."""
        ran = [r for r in self.records if r["outcome"] not in ("not_applicable", "unavailable")]
        return len({r["case"] for r in ran} - {r["case"] for r in ran if r["outcome"] != "passed"})

    @property
    def state(self) -> str:
        """bad: something gates; finding: something does not hold, as expected or without gating; good; none."""
        if any(results.gates(r) for r in self.records):
            return "bad"
        if not self.applicable:
            return "none"
        return "good" if self.held == self.applicable else "finding"

    @property
    def text(self) -> str:
        """`12/14`, or a dash if nothing applies."""
        return f"{self.held}/{self.applicable}" if self.applicable else "–"


def matrix(records: List[Record]) -> Tuple[List[str], List[str], Dict[Tuple[str, str], Cell]]:
    """(pairings, families, cells), in order of appearance."""
    pairings = list(dict.fromkeys(r.get("pairing", "") for r in records))
    families = list(dict.fromkeys(r["case"].split(".")[0] for r in records))
    cells = {(p, f): Cell([]) for p in pairings for f in families}
    for record in records:
        cells[record.get("pairing", ""), record["case"].split(".")[0]].records.append(record)
    return pairings, families, cells


def pairing_title(pairing: str) -> str:
    """`ref alone (blocking)`, or `server ref (blocking), client node-net (async)`."""
    server, _, client = pairing.partition(">")
    name, _, mode = server.rpartition(":")
    if server == client:
        return f"{name} alone ({mode})"
    other, _, other_mode = client.rpartition(":")
    return f"{name} ({mode}) ← {other} ({other_mode})"


def counts_line(outcomes: Dict[str, int]) -> str:
    """`412 passed, 0 failed, 12 not offered`; what is zero is left out, but passed and failed."""
    names = {"not_applicable": "not offered"}
    parts = [
        f"{outcomes[o]} {names.get(o, o.replace('_', ' '))}"
        for o in OUTCOMES
        if outcomes.get(o) or o in ("passed", "failed")
    ]
    return ", ".join(parts)


def reproduce(record: Record, arguments: Dict[str, List[str]]) -> str:
    """The one command that runs this record's case again. `arguments`: how each peer was named on the command line."""
    server, client = (record["server"], record["client"]) if "server" in record else (record["peer"], record["peer"])
    argv = ["./cts", "run", "--cases", record["case"]]
    if client == server:
        argv += arguments.get(server, ["--peer", server])
    elif server == "ref" or client == "ref":
        other = client if server == "ref" else server
        argv += arguments.get(other, ["--peer", other])
    else:
        argv += arguments.get(server, ["--peer", server])
        argv += ["--with", *arguments.get(client, ["--peer", client])[1:2]]
    modes = {record.get(k) for k in ("server_mode", "client_mode", "mode")} - {None}
    if len(modes) == 1:
        argv += ["--mode", str(modes.pop())]
    return shlex.join(argv)
