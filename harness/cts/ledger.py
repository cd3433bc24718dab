"""The ledger (`spec/ledger.toml`): what is checked and what is not, line by line, and held against the specification.

`spec/README.md` says what its lines are. It is read strictly: an unknown key or name is an error.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterable, List

from cts.definition import Definition
from cts.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser under its name from before Python 3.11
    import tomli as tomllib

ALWAYS = ("hello", "configure", "reset", "pending")  # operations that every case uses, so that none names them

_ID = re.compile(r"([a-z]+)\.[A-Za-z0-9_.-]+$")
_KEYS = {"id", "issue", "says", "requirements", "operations", "reason"}


class LedgerError(Exception):
    """ledger.toml cannot be read; the message says where and why."""


@dataclass(frozen=True)
class Line:
    """A behaviour, defect, difference or item of an interface: what checks it, or the reason why nothing does."""

    id: str
    says: str
    issue: str = ""
    requirements: tuple = ()
    operations: tuple = ()
    reason: str = ""

    @property
    def kind(self) -> str:
        """What stands before the first point of the id."""
        return self.id.partition(".")[0]

    @property
    def covered(self) -> bool:
        """Whether a requirement checks it."""
        return bool(self.requirements)


@dataclass(frozen=True)
class Ledger:
    """The whole of ledger.toml."""

    kinds: Dict[str, int]
    reasons: Dict[str, str]
    unrequired: Dict[str, str]
    lines: List[Line]

    def summary(self) -> str:
        """The numbers, in one line."""
        covered = sum(1 for line in self.lines if line.covered)
        return f"ledger: {len(self.lines)} lines: {covered} covered, {len(self.lines) - covered} with a reason"


def _line(raw: Dict[str, Any]) -> Line:
    name = raw.get("id", "without an id")
    unknown = set(raw) - _KEYS
    if unknown:
        raise LedgerError(f"line {name}: unknown key {sorted(unknown)[0]!r}")
    if "id" not in raw or "says" not in raw:
        raise LedgerError(f"line {name}: `id` and `says` are needed")
    return Line(**{key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()})


def load(path: Path) -> Ledger:
    """Read the ledger; raises LedgerError, or OSError if there is none."""
    try:
        with open(path, "rb") as file:
            raw = tomllib.load(file)
        return Ledger(
            kinds=raw["kinds"],
            reasons=raw["reasons"],
            unrequired=raw["unrequired"],
            lines=[_line(line) for line in raw["line"]],
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise LedgerError(f"{path.name}: {error!r}") from error


def _line_problems(ledger: Ledger, required: Iterable[str], operations: Iterable[str]) -> List[str]:
    found: List[str] = []
    required, operations = set(required), set(operations)
    seen = set()
    for line in ledger.lines:
        match = _ID.match(line.id)
        if not match or match.group(1) not in ledger.kinds:
            found.append(f"{line.id}: an id is a kind ({', '.join(ledger.kinds)}), a point and a name")
        if line.id in seen:
            found.append(f"{line.id} stands twice")
        seen.add(line.id)
        if line.covered == bool(line.reason):
            found.append(f"{line.id}: it needs `requirements` or a `reason`, and not both")
        found += [f"{line.id}: there is no requirement {name}" for name in line.requirements if name not in required]
        found += [f"{line.id}: there is no operation {name}" for name in line.operations if name not in operations]
        if line.reason.startswith("@") and line.reason[1:] not in ledger.reasons:
            found.append(f"{line.id}: there is no reason {line.reason}")
    return found


def check(ledger: Ledger, d: Definition, requirements: List[Requirement]) -> List[str]:
    """What is wrong with it, a sentence each; empty if nothing is."""
    operations = [o.name for o in d.protocol_operations]
    found = _line_problems(ledger, (r.id for r in requirements), operations)
    for kind, number in ledger.kinds.items():
        has = sum(1 for line in ledger.lines if line.kind == kind)
        if has != number:
            found.append(f"there are {has} lines of kind {kind}; `kinds` says {number}")
    used = {line.reason[1:] for line in ledger.lines if line.reason.startswith("@")}
    found += [f"no line has the reason @{name}" for name in ledger.reasons if name not in used]
    named = {need for r in requirements for needs in r.needs.values() for need in needs}
    for name in operations:
        if name in named or name in ALWAYS:
            if name in ledger.unrequired:
                found.append(f"a requirement names {name}: take it out of `unrequired`")
        elif name not in ledger.unrequired:
            found.append(f"no requirement names the operation {name}, and `unrequired` has no reason for it")
    found += [f"unrequired: there is no operation {name}" for name in ledger.unrequired if name not in operations]
    return [f"spec/ledger.toml: {problem}" for problem in found]
