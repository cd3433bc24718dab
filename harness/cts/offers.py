"""What each bundled peer offers of every operation, and why it lacks the rest: docs/offers.md.

The page is made of what was recorded with the expectations (`[[offer]]`) and of `[lacks]` in each peer.toml, which
gives a reason for every operation of the peer's system that it offers in no mode: the names, or patterns of them, as
keys.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List

from cts import expectations, peers
from cts.definition import Definition, Operation

CONTROL = ("hello", "configure", "reset", "pending")  # every peer has them

HEAD = """# What the bundled peers offer

Made by `cts spec generate` from the offers in `conformance/expectations` and the reasons in each `peer.toml`: change
those.

An operation that no mode of a peer offers has its reason below. Each peer is shown as it is on the system of its
expectations. `·`: offered; modes: in these alone; `—`: not offered; empty: the system has no such operation. Timeouts
and other additions to operations are features, which `[[offer]]` in `conformance/expectations` lists.
"""


@dataclass
class Offer:
    """A peer, the modes in which it offers each operation, and the operations that it offers in none."""

    peer: peers.Peer
    system: str
    modes: List[str]
    offered: Dict[str, List[str]]
    missing: List[str]

    def reasons(self, operation: str) -> List[str]:
        """The keys of the reasons for an operation."""
        return [key for key in self.peer.lacks if fnmatchcase(operation, key)]


def load(root: Path, d: Definition) -> List[Offer]:
    """The offer of each bundled peer as it is recorded, in the order of names."""
    bundled, found = peers.load_all(root), []
    for path in sorted((root / "conformance/expectations").glob("*.toml")):
        file = expectations.load(path, root)
        peer = next((p for p in bundled.values() if p.implementation == file.implementation), None)
        if peer is None or not file.offers:
            continue
        offered: Dict[str, List[str]] = {}
        for offer in file.offers:
            for operation in offer["operations"]:
                offered.setdefault(operation, []).append(offer["mode"])
        system = "windows" if file.os.startswith("windows") else "unix"
        missing = [o.name for o in d.operations if _meant(o, system) and o.name not in offered]
        found.append(Offer(peer, system, [offer["mode"] for offer in file.offers], offered, missing))
    return found


def _meant(operation: Operation, system: str) -> bool:
    return "protocol" in operation.faces and operation.systems in ("", system) and operation.name not in CONTROL


def problems(offers: List[Offer]) -> List[str]:
    """What an offer lacks without a reason, and reasons for what is not lacking, a sentence each."""
    found = []
    for offer in offers:
        where = f"conformance/peers/{offer.peer.name}/peer.toml"
        found += [f"{where}: no reason in `lacks` for {name}" for name in offer.missing if not offer.reasons(name)]
        for key in offer.peer.lacks:
            if not any(fnmatchcase(name, key) for name in offer.missing):
                found.append(f"{where}: `lacks` has {key!r}, and nothing of that is missing")
            found += [
                f"{where}: `lacks` has {key!r}, but {name} is offered"
                for name in offer.offered
                if fnmatchcase(name, key)
            ]
    return found


def page(root: Path, d: Definition) -> str:
    """docs/offers.md."""
    offers = load(root, d)
    rows = [HEAD, "| operation | " + " | ".join(f"`{o.peer.name}`" for o in offers) + " |"]
    rows.append("|---" * (len(offers) + 1) + "|")
    for operation in d.operations:
        if "protocol" in operation.faces and operation.name not in CONTROL:
            cells = " | ".join(_cell(offer, operation) for offer in offers)
            rows.append(f"| `{operation.name}` | {cells} |")
    rows += ["", "## Why not", ""]
    for offer in offers:
        rows += [f"### {offer.peer.title}", ""]
        for reason in dict.fromkeys(offer.peer.lacks.values()):
            names = [n for n in offer.missing if reason in (offer.peer.lacks[key] for key in offer.reasons(n))]
            rows.append(f"- {', '.join(f'`{name}`' for name in names)}: {reason}")
        rows.append("")
    return "\n".join(rows).rstrip() + "\n"


def _cell(offer: Offer, operation: Operation) -> str:
    modes = offer.offered.get(operation.name, [])
    if not modes:
        return "—" if _meant(operation, offer.system) else ""
    return "·" if modes == offer.modes else ", ".join(modes)
