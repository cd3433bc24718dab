"""What people read of a run: the matrix of pairings and families, and what differs from what is expected."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Tuple

from cts import results
from cts.common import FAILING, IN_PROCESS, OUTCOMES, host_system, plural

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


def run_wide(run: Dict[str, Any]) -> List[str]:
    """What is wrong with a run as a whole, a text each: errors, idle expectations, shrunk offers, canaries."""
    told = [f"could not run: {e}" for e in run.get("errors", [])]
    for u in run["unmatched_expectations"]:
        told.append(f"expectation without effect: {u['case']} in {u['file']}: {u['why']}")
    for s in run["offers_shrunk"]:
        gone = ", ".join([*s["operations"], *s["features"]]) or "the mode"
        told.append(f"offer shrank: {s['implementation']} ({s['mode']}): {gone}")
    if results.suspicious(run["canary"]):
        wrong = ", ".join(f"{k} is {v}" for k, v in run["canary"].items())
        told.append(f"The suite cannot be trusted: its canary cases came out wrong ({wrong}).")
    return told


def is_unavailable(records: List[Record]) -> bool:
    """Whether nothing of a pairing could run because an implementation cannot run here."""
    return all(r["outcome"] == "unavailable" for r in records)


def not_held(record: Record) -> bool:
    """Whether the record says that something does not hold, and does not gate."""
    return record["outcome"] in (*FAILING, "flaky") and not results.gates(record)


def why_not_gating(record: Record) -> str:
    """Why a record that says that something does not hold does not gate."""
    return str(record["requirement"]) if record["requirement"] != "MUST" else "no evidence here"


def counts(records: List[Record]) -> List[Tuple[str, int, str]]:
    """(outcome, how many, what they are called): what gates by its outcome, what does not hold without gating apart.

    What is zero is left out, but passed and failed. The outcome of what does not gate is `not_held`.
    """
    nouns = {"expected_failure": "expected failure", "unexpected_pass": "unexpected pass"}
    apart = [r for r in records if not_held(r)]
    found = results.counts(r for r in records if not not_held(r))
    told: List[Tuple[str, int, str]] = []
    for outcome in OUTCOMES:
        count = found[outcome]
        name = plural(count, nouns[outcome]).partition(" ")[2] if outcome in nouns else outcome
        if count or outcome in ("passed", "failed"):
            told.append((outcome, count, "not offered" if outcome == "not_applicable" else name))
        if outcome == "failed" and apart:
            reasons = ", ".join(sorted({why_not_gating(r) for r in apart}, key=_REASONS.index))
            told.append(("not_held", len(apart), f"not held ({reasons})"))
    return told


_REASONS = ("SHOULD", "MAY", "no evidence here")


def counts_line(records: List[Record]) -> str:
    """`412 passed, 0 failed, 3 not held (SHOULD, MAY), 12 not offered`."""
    return ", ".join(f"{count} {name}" for _, count, name in counts(records))


def launcher(root: Path) -> str:
    """How the launcher of the checkout `root` is called from the current directory."""
    path = root.resolve() / "cts"
    try:
        near = os.path.relpath(path)
    except (OSError, ValueError):  # the current directory is gone, or on another drive
        return str(path)
    near = near if os.sep in near else os.path.join(".", near)
    return near if len(near) + 1 < len(str(path)) else str(path)  # from the root it is no shorter


def _near(text: str) -> str:
    """A file's absolute path, from the current directory if the file is below it."""
    if not os.path.isabs(text):
        return text
    try:
        near = os.path.relpath(text)
    except (OSError, ValueError):
        return text
    return text if near.startswith(os.pardir) or len(near) + 1 >= len(text) else near


def _near_command(text: str) -> str:
    """A COMMAND, with the files that it names written from the current directory where they are below it."""
    try:
        program, *rest = shlex.split(text)
    except ValueError:
        return text
    if os.path.isabs(program):
        near = _near(program)
        program = near if os.sep in near else os.path.join(".", near)
    return shlex.join([program, *map(_near, rest)])


@dataclass(frozen=True)
class _Named:
    """How a command line names a peer: an option and its text, and whether it is a folder that has to be built."""

    option: str
    text: str
    builds: bool = False


def _other_system(command: List[str]) -> List[str]:
    """The `--os` of a command line, unless it is what holds without."""
    labels = [value for option, value in zip(command, command[1:]) if option == "--os"]
    labels += [argument[5:] for argument in command if argument.startswith("--os=")]
    return ["--os", labels[-1]] if labels and labels[-1] != host_system() else []


class Rerun:
    """The commands that run cases of a report again, from the current directory.

    `run` is that of results.json, of whoever made it: what it lacks is left out.
    """

    def __init__(self, root: Path, run: Dict[str, Any]) -> None:
        self._launcher = launcher(root)
        self._expect = ["--expect", _near(str(run["expect"]))] if run.get("expect") else []
        self._abi = ["--abi"] if "--abi" in run.get("command", []) else []
        self._os = _other_system([str(a) for a in run.get("command", [])])
        self._conditions = [
            argument
            for key, usual in (("account", "grown"), ("slow", 1), ("shuffle", 0))
            if run.get(key, usual) != usual
            for argument in (f"--{key}", str(run[key]))
        ]
        self._named: Dict[str, _Named] = {}
        for peer in run["peers"]:
            if len(peer.get("arguments", [])) >= 2:
                option, text, *rest = peer["arguments"]
                is_path = option == "--library" or "--build" in rest
                self._named[peer["name"]] = _Named(
                    option, _near(text) if is_path else _near_command(text), "--build" in rest
                )

    def _command(self, case: str, who: List[_Named], more: List[str]) -> str:
        named = [a for n in who for a in (n.option, n.text)]
        build = ["--build"] if any(n.builds for n in who) else []
        around = [*self._conditions, *self._os, *self._expect]
        return shlex.join([self._launcher, "run", "--cases", case, *named, *build, *more, *around])

    def case(self, case: str) -> str:
        """The command for a case with all whom the run's command line named."""
        who = sorted(self._named.values(), key=lambda n: n.option == "--with")
        return self._command(case, who, self._abi)

    def record(self, record: Record) -> str:
        """The one command that runs this record's case again, with its implementations and, if it is one, its mode."""
        server, client = (record.get(role) or record["peer"] for role in ("server", "client"))
        names = [name for name in dict.fromkeys((server, client)) if name != "ref"] or ["ref"]
        who = [self._named.get(name, _Named("--peer", name)) for name in names]
        # One of two goes behind --with, where no library can be.
        who.sort(key=lambda n: {"--library": 0, "--with": 2}.get(n.option, 1))
        options = [who[0].option if who[0].option == "--library" else "--peer", "--with"]
        who = [replace(n, option=option) for n, option in zip(who, options)]
        modes = {record.get(k) for k in ("server_mode", "client_mode", "mode")} - {None}
        if modes == {IN_PROCESS}:
            return self._command(record["case"], who, ["--abi"])
        return self._command(record["case"], who, ["--mode", str(modes.pop())] if len(modes) == 1 else [])
