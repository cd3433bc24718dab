"""Which implementation meets which, in which roles and modes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence

from cts.common import IN_PROCESS, CannotRun
from cts.peers import Peer
from cts.requirements import Requirement


@dataclass(frozen=True)
class Side:
    """One role of a pairing: an implementation in one mode. In process, `command` is the library alone."""

    name: str
    mode: str
    command: Sequence[str] = field(compare=False)
    env: Dict[str, str] = field(compare=False, default_factory=dict)

    def plan(self) -> Dict[str, Any]:
        """The side as a plan names it."""
        return {"name": self.name, "command": list(self.command), "env": dict(self.env), "mode": self.mode}


@dataclass(frozen=True)
class Pairing:
    """A server and a client."""

    server: Side
    client: Side

    @property
    def in_process(self) -> bool:
        """Whether it is a library in the process that calls it: its cases are in a runner of their own."""
        return self.server.mode == IN_PROCESS

    @property
    def id(self) -> str:
        """The text that names the pairing in traces: `ref:blocking>ref:blocking`."""
        return f"{self.server.name}:{self.server.mode}>{self.client.name}:{self.client.mode}"


def side(peer: Peer, mode: str) -> Side:
    """The peer in that mode."""
    return Side(peer.name, mode, tuple(peer.command), dict(peer.env))


def applies(requirement: Requirement, shape: str, pairing: Pairing, peers: Dict[str, Peer], system: str) -> bool:
    """Whether the sides of a pairing offer what a requirement needs in a shape: the runner's rule, for what is told."""
    if requirement.evidence.get(system) == "no":
        return False
    axes = dict(zip(requirement.shapes, shape.split("+")))
    if requirement.in_process != pairing.in_process:
        return False
    if requirement.in_process:  # slots that the peer protocol has no operation for, it leaves to the runner
        return True
    if requirement.alone:
        return _covers(peers, pairing.server, requirement.needs["peer"])
    for role, taken in (("server", pairing.server), ("client", pairing.client)):
        needs = list(requirement.needs.get(role, []))
        if "writer" in axes:
            needs += requirement.needs.get("writer" if axes["writer"] == role else "reader", [])
        needs += [f"name.{axes['kind']}"] if "kind" in axes else []
        if not _covers(peers, taken, needs):
            return False
    return True


def _covers(peers: Dict[str, Peer], taken: Side, needs: List[str]) -> bool:
    """Whether the side offers all of these, of which a trait is excluded by `!`."""
    offer = peers[taken.name].offers.get(taken.mode, {})
    offered = {name for key in ("operations", "features") for name in offer.get(key, [])}
    return all(need[1:] not in offer.get("traits", []) if need[0] == "!" else need in offered for need in needs)


def _first_mode(peer: Peer, wanted: str) -> str:
    modes = peer.offered_modes
    return wanted if wanted in modes else modes[0]


def _alone(peer: Peer, wanted: str) -> List[Pairing]:
    modes = [m for m in peer.offered_modes if not wanted or m == wanted]
    return [Pairing(side(peer, m), side(peer, m)) for m in modes]


def _both_roles(one: Peer, other: Peer, wanted: str) -> List[Pairing]:
    a, b = side(one, _first_mode(one, wanted)), side(other, _first_mode(other, wanted))
    return [Pairing(a, b), Pairing(b, a)]


def in_process(name: str, library: str, env: Optional[Dict[str, str]] = None) -> Pairing:
    """A library in the process that calls it; `library` as programs of its system call the file."""
    one = Side(name, IN_PROCESS, (library,), dict(env or {}))
    return Pairing(one, one)


def make(subjects: List[Peer], others: List[Peer], mode: str = "") -> List[Pairing]:
    """Each subject alone in each of its modes, and in both roles against each of `others`, without repetitions.

    `mode` restricts to one mode; a peer that lacks it meets others in its first one. Raises CannotRun if no subject
    has the mode.
    """
    if mode and not any(mode in s.offered_modes for s in subjects):
        raise CannotRun(f"no implementation of this run has the mode {mode!r}")
    pairings: List[Pairing] = []
    for subject in subjects:
        if mode and mode not in subject.offered_modes:
            continue
        pairings += _alone(subject, mode)
        for other in others:
            if other.name != subject.name:
                pairings += _both_roles(subject, other, mode)
    return list(dict.fromkeys(pairings))
