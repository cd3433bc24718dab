"""The requirements in `spec/*.md`: read, checked, and held against the cases.

`spec/README.md` defines the shape of a requirement; `load` reads it strictly, so that a typing error is an error and
not a requirement that quietly needs nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Set, Tuple

from cts import definition as definitions
from cts.canonical import LINE, LOOKS, NO_RULES, Rules
from cts.common import system_of
from cts.definition import Definition

LEVELS = ("MUST", "SHOULD", "MAY")
SYSTEMS = ("linux", "macos", "freebsd", "windows")
ROLES = ("server", "client", "writer", "reader", "peer", "library")
FRESH = "fresh"  # among a role's needs: it gets a process of its own
LASTING = {"signal.set_handler"}  # operations that change a process beyond reset
WINE_HIDES = "*Wine hides it.*"  # what would break the requirement does not show under Wine
UNFINISHED = "UNFINISHED"  # in a requirement or a case that was begun (cts fuzz promote)
CONTRACTS = {"README.md", "operations.md", "results.md"}
CASES = ("conformance/cases", "conformance/abi")  # of peers, and of a library in the process that calls it

_HEADING = re.compile(r"### ([A-Z][A-Za-z0-9]*)\.([A-Z][A-Za-z0-9]*)$")
_LEVEL = re.compile(r"\*\*(MUST|SHOULD|MAY)\*\*((?: · [a-z]+: [^·]+)+) · since (\d+)$")
_CASE = re.compile(r"^CTS_CASE\(\s*([A-Za-z0-9]+),\s*([A-Za-z0-9]+)\)", re.MULTILINE)


class SpecError(Exception):
    """A requirement that is not of the shape in spec/README.md; the message begins with FILE:LINE."""


@dataclass
class Requirement:
    """One requirement: what must hold, who has to offer what for it, and where it is known to."""

    id: str
    family: str
    level: str
    since: int
    evidence: Dict[str, str]
    file: str
    line: int
    shapes: Dict[str, List[str]] = field(default_factory=dict)
    needs: Dict[str, List[str]] = field(default_factory=dict)
    fresh: List[str] = field(default_factory=list)
    outcomes: Dict[str, Dict[str, List[str]]] = field(default_factory=dict)
    rules: Rules = NO_RULES
    own: Dict[str, List[str]] = field(default_factory=dict)  # operation -> keys that are each system's own
    text: str = ""
    source: str = ""
    known_to_break: str = ""
    alone_because: str = ""

    @property
    def alone(self) -> bool:
        """Whether it is about one process (`alone_because` says why)."""
        return "peer" in self.needs or self.in_process

    @property
    def in_process(self) -> bool:
        """Whether it is about a library in the process that calls it (spec/abi.md): `cts run --abi`."""
        return "library" in self.needs

    @property
    def hidden_by_wine(self) -> bool:
        """Whether passing under Wine proves nothing of it, so that its evidence never comes from there."""
        return WINE_HIDES in f"{self.source} {self.text}"

    def gates(self, label: str) -> bool:
        """Whether its evidence lets it gate the system of that label: Wine's results gate Wine alone."""
        kind = "wine " if "-wine" in label else "run "
        return self.evidence.get(system_of(label), "").startswith(kind)


def _needs(line: str, where: str, known: Dict[str, str]) -> Tuple[Dict[str, List[str]], List[str]]:
    needs: Dict[str, List[str]] = {}
    fresh: List[str] = []
    for part in line.split(" · "):
        role, colon, tokens = part.partition(":")
        role = role.strip().lower()
        if not colon or role not in ROLES or role in needs:
            raise SpecError(
                f"{where}: {part!r} should be one of Server, Client, Writer, Reader, Peer, Library, a colon, and what "
                "it needs"
            )
        words = tokens.split()
        if FRESH in words:
            words.remove(FRESH)
            fresh.append(role)
        for token in words:
            kind = known.get(token.lstrip("!"), "")
            if not kind or (kind == "slot" and role != "library"):
                raise SpecError(f"{where}: {token!r} is no operation, feature or trait of operations.toml")
            if token.startswith("!") != (kind == "trait"):
                raise SpecError(f"{where}: {token!r}: traits, and only traits, are excluded with `!`")
            if token in LASTING and role not in (*fresh, "library"):
                raise SpecError(f"{where}: {token!r} outlives a reset: its role needs {FRESH!r}")
        needs[role] = words
    if {"peer", "library"} & set(needs) and len(needs) > 1:
        raise SpecError(f"{where}: Peer and Library stand alone")
    return needs, fresh


def _shapes(line: str, where: str) -> Dict[str, List[str]]:
    shapes: Dict[str, List[str]] = {}
    for axis in line.split(";"):
        name, equals, values = axis.partition("=")
        if not equals or not values.strip():
            raise SpecError(f"{where}: a shape is `axis = value | value`, separated by `;`")
        shapes[name.strip()] = [v.strip() for v in values.split("|")]
    return shapes


def _rules(line: str, rules: Rules, where: str, known: Dict[str, str], statuses: Iterable[str]) -> Rules:
    """The rules with those of a line `Repeats: op op`, `Races: op op` or `Races: op = status | status; …` added."""
    name, _, rest = line.partition(": ")
    races: Dict[str, Tuple[str, ...]] = dict(rules.races)
    repeats: Tuple[str, ...] = rules.repeats
    if name == "Repeats":
        ops = repeats = tuple(rest.split())
    elif "=" in rest:
        parts = [part.partition("=") for part in rest.split(";")]
        races.update({op.strip(): tuple(s.strip() for s in told.split("|")) for op, _, told in parts})
        ops = tuple(op.strip() for op, _, _ in parts)
    else:
        ops = tuple(rest.split())
        races.update({op: () for op in ops})
    for op in ops:
        if known.get(op) != "operation" and op not in ("cancel", LINE, *LOOKS):
            raise SpecError(f"{where}: {op!r} is no operation of operations.toml")
    for status in (s for told in races.values() for s in told):
        if status not in statuses:
            raise SpecError(f"{where}: {status!r} is no status")
    return Rules(repeats, races)


def _own(line: str, where: str, known: Dict[str, Set[str]]) -> Dict[str, List[str]]:
    """What a line `Own: op.key op.key` names: operation -> keys of its arguments and answers."""
    own: Dict[str, List[str]] = {}
    for token in line.split():
        op, _, key = token.rpartition(".")
        if key not in known.get(op, ()):
            raise SpecError(f"{where}: {token!r} is no argument and no result of an operation of operations.toml")
        own.setdefault(op, []).append(key)
    return own


def _outcome_row(
    line: str, columns: List[str], where: str, statuses: Iterable[str]
) -> Tuple[str, Dict[str, List[str]]]:
    cells = [c.strip() for c in line.strip().strip("|").split("|")]
    if len(cells) != len(columns) + 1:
        raise SpecError(f"{where}: the row has {len(cells)} cells, its table {len(columns) + 1}")
    row: Dict[str, List[str]] = {}
    for system, cell in zip(columns, cells[1:]):
        row[system] = [] if cell == "—" else [s.strip() for s in cell.split(",")]
        for status in row[system]:
            if status not in statuses:
                raise SpecError(f"{where}: {status!r} is no status")
    return cells[0], row


def _level(line: str, where: str) -> Tuple[str, Dict[str, str], int]:
    match = _LEVEL.match(line)
    if not match:
        raise SpecError(
            f"{where}: expected `**MUST** · linux: run 6.18 · macos: documented · … · since 1`, found {line!r}"
        )
    evidence = {}
    for part in match.group(2).strip(" ·").split(" · "):
        system, _, kind = part.partition(": ")
        if system not in SYSTEMS or not re.match(r"(run \S+|wine \S+|documented|no)$", kind):
            raise SpecError(f"{where}: {part!r}: a system and `run KERNEL`, `wine VERSION`, `documented` or `no`")
        evidence[system] = kind
    return match.group(1), evidence, int(match.group(3))


class _Reader:
    """Reads one file, line by line."""

    def __init__(self, path: Path, root: Path, d: Definition) -> None:
        self.name = path.relative_to(root).as_posix()
        self.lines = path.read_text(encoding="utf-8").splitlines()
        self.statuses = [s.name for s in d.statuses]
        self.known = {o.name: "slot" for o in d.slots}  # some have no face in the peer protocol
        self.known.update({o.name: "operation" for o in d.protocol_operations})
        self.known.update({f: "feature" for f in d.features})
        self.known.update({t: "trait" for t in d.traits})
        self.keys = {
            o.name: {"status", "exit", *(v.name for v in [*o.args, *o.results])} for o in d.protocol_operations
        }
        self.keys[LINE] = set().union(*self.keys.values())

    def requirements(self) -> List[Requirement]:
        found = []
        fenced = False
        starts = []
        for number, line in enumerate(self.lines):
            if line.startswith("```"):
                fenced = not fenced
            if not fenced and re.match(r"#{1,3} ", line):
                starts.append(number)
        page = section = ""  # why the requirements below are about one process
        for start, end in zip(starts, [*starts[1:], len(self.lines)]):
            match = _HEADING.match(self.lines[start])
            if match:
                requirement = self._one(start, end, match.group(1), match.group(2))
                if requirement.alone:
                    requirement.alone_because = self._alone(start, end) or section or page
                found.append(requirement)
            elif self.lines[start].startswith("# "):
                page, section = self._alone(start, end), ""
            elif self.lines[start].startswith("## "):
                section = self._alone(start, end)
        return found

    def _alone(self, start: int, end: int) -> str:
        """What `Alone: ` says between two headings, "" if nothing does."""
        for line in self.lines[start + 1 : end]:
            if line.startswith("Alone: "):
                return line[len("Alone: ") :]
        return ""

    def _one(self, start: int, end: int, family: str, rule: str) -> Requirement:
        where = f"{self.name}:{start + 2}"
        level, evidence, since = _level(self.lines[start + 1] if start + 1 < end else "", where)
        requirement = Requirement(f"{family}.{rule}", family, level, since, evidence, self.name, start + 1)
        text: List[str] = []
        columns: Optional[List[str]] = None
        for number in range(start + 2, end):
            line, where = self.lines[number], f"{self.name}:{number + 1}"
            if line.startswith("Shapes: "):
                requirement.shapes = _shapes(line[8:], where)
            elif re.match(r"(Server|Client|Writer|Reader|Peer|Library):( |$)", line) and not text:
                requirement.needs, requirement.fresh = _needs(line, where, self.known)
            elif re.match(r"(Repeats|Races): ", line) and not text:
                requirement.rules = _rules(line, requirement.rules, where, self.known, self.statuses)
            elif line.startswith("Own: ") and not text:
                requirement.own = _own(line[5:], where, self.keys)
            elif line.startswith("Alone: "):
                continue
            elif line.startswith("Source: "):
                requirement.source = line[8:]
            elif line.startswith("Known to break: "):
                requirement.known_to_break = line[16:]
            elif line.startswith("| outcome |"):
                columns = [c.strip() for c in line.strip().strip("|").split("|")][1:]
            elif line.startswith("|") and columns is not None:
                if not re.match(r"\|[-|: ]+\|$", line):
                    name, row = _outcome_row(line, columns, where, self.statuses)
                    requirement.outcomes[name] = row
            elif line.strip():
                text.append(line.strip())
        requirement.text = " ".join(text)
        self._complete(requirement)
        return requirement

    def _complete(self, r: Requirement) -> None:
        where = f"{r.file}:{r.line}: {r.id}"
        if not r.needs:
            raise SpecError(f"{where} does not say what it needs (Server:, Client:, …, Peer: or Library:)")
        if not r.text or not r.source:
            raise SpecError(f"{where} lacks its {'rule' if not r.text else 'Source:'}")
        if r.hidden_by_wine and r.evidence.get("windows", "").startswith("wine "):
            raise SpecError(f"{where} has evidence from Wine, which hides what would break it")
        if bool({"writer", "reader"} & set(r.needs)) != ("writer" in r.shapes):
            raise SpecError(
                f"{where}: Writer: and Reader: belong to the shape `writer = server | client`, and it to them"
            )


def load(root: Path) -> List[Requirement]:
    """Every requirement of `root`/spec, in order; raises SpecError where one is not of the shape."""
    d = definitions.load(root / "spec/operations.toml")
    requirements: List[Requirement] = []
    for path in sorted((root / "spec").glob("*.md")):
        if path.name not in CONTRACTS:
            requirements += _Reader(path, root, d).requirements()
    seen: Dict[str, Requirement] = {}
    for r in requirements:
        if r.id in seen:
            raise SpecError(f"{r.file}:{r.line}: {r.id} stands already at {seen[r.id].file}:{seen[r.id].line}")
        seen[r.id] = r
    return requirements


def cases(root: Path) -> Dict[str, Tuple[str, int]]:
    """The cases in `CASES`: id -> (file, line). Raises SpecError if one is written twice."""
    found: Dict[str, Tuple[str, int]] = {}
    for path in sorted(p for folder in CASES for p in (root / folder).glob("*.cc")):
        text = path.read_text(encoding="utf-8")
        for match in _CASE.finditer(text):
            name = f"{match.group(1)}.{match.group(2)}"
            place = (path.relative_to(root).as_posix(), text.count("\n", 0, match.start()) + 1)
            if name in found:
                raise SpecError(
                    f"{place[0]}:{place[1]}: case {name} stands already at {found[name][0]}:{found[name][1]}"
                )
            found[name] = place
    return found


def _comment_above(path: Path, line: int) -> str:
    """The comment that ends right above that line."""
    lines = path.read_text(encoding="utf-8").splitlines()[: line - 1]
    comment: List[str] = []
    while lines and lines[-1].lstrip().startswith("//"):
        comment.insert(0, lines.pop())
    return "\n".join(comment)


def check(root: Path) -> List[str]:
    """What is wrong between spec and cases, a sentence each; empty if every requirement has its case and vice versa."""
    try:
        requirements = {r.id: r for r in load(root)}
        written = cases(root)
    except (SpecError, definitions.DefinitionError) as error:
        return [str(error)]
    problems = [
        f"{r.file}:{r.line}: {r.id} has no case"
        for r in requirements.values()
        if r.level != "MAY" and r.id not in written
    ]
    problems += [
        f"{f}:{n}: case {name} has no requirement" for name, (f, n) in written.items() if name not in requirements
    ]
    problems += [
        f"{f}:{n}: case {name} belongs into {CASES[requirements[name].in_process]}"
        for name, (f, n) in written.items()
        if name in requirements and not f.startswith(CASES[requirements[name].in_process] + "/")
    ]
    problems += [
        f"{r.file}:{r.line}: {r.id} is unfinished: it says so"
        for r in requirements.values()
        if UNFINISHED in f"{r.text} {r.source} {r.alone_because}"
    ]
    problems += [
        f"{f}:{n}: case {name} is unfinished: the comment above it says so"
        for name, (f, n) in written.items()
        if UNFINISHED in _comment_above(root / f, n)
    ]
    problems += [
        f"{r.file}:{r.line}: {r.id} is about one process (Peer:, Library:), and no `Alone: ` says why, in it, its "
        "section or page"
        for r in requirements.values()
        if r.alone and not r.alone_because
    ]
    return problems


def alone(requirements: Iterable[Requirement]) -> Dict[Tuple[str, str], List[str]]:
    """The ids of the requirements that are about one process, by family and reason."""
    found: Dict[Tuple[str, str], List[str]] = {}
    for r in requirements:
        if r.alone:
            found.setdefault((r.family, r.alone_because), []).append(r.id)
    return found
