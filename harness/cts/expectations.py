"""Expectation files: what is known not to hold for one implementation on one system, and what it offered.

spec/results.md defines the file. An expectation *applies* to a record if everything it names agrees but the outcome; it
*matches* if the outcome agrees too.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from cts import schemas
from cts.common import FAILING, CannotRun, printable

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser under its name from before Python 3.11
    import tomli as tomllib

Record = Dict[str, Any]
RAN = ("passed", *FAILING, "flaky", "unverifiable")


@dataclass
class Expectation:
    """One `[[expectation]]`, with the implementation and the file that it stands in."""

    case: str
    role: str
    outcome: str
    reason: str
    shape: Optional[str] = None
    mode: Optional[str] = None
    other: Optional[str] = None
    version: Optional[str] = None
    blame: Optional[str] = None
    link: str = ""
    implementation: str = ""
    file: str = ""
    used: bool = False


@dataclass
class File:
    """One expectation file."""

    path: Path
    implementation: str
    os: str
    expectations: List[Expectation] = field(default_factory=list)
    offers: List[Dict[str, Any]] = field(default_factory=list)
    differences: List[Dict[str, Any]] = field(default_factory=list)


def load(path: Path, root: Path) -> File:
    """Read and check a file; raises CannotRun with the file and what is wrong in it."""
    try:
        with open(path, "rb") as opened:
            raw = tomllib.load(opened)
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:  # also what is no UTF-8
        raise CannotRun(f"{path} is no TOML: {error}") from error
    wrong = schemas.problems(root, "expectations", raw)
    if wrong:
        raise CannotRun(f"{path}: {wrong[0]}")
    file = File(
        path, raw["implementation"], raw["os"], offers=raw.get("offer", []), differences=raw.get("difference", [])
    )
    for entry in [*raw.get("expectation", []), *file.offers]:
        try:
            SpecifierSet(entry.get("version", ""))
        except InvalidSpecifier as error:
            raise CannotRun(f"{path}: {entry.get('case', 'offer')}: {error}") from error
    for entry in raw.get("expectation", []):
        entry = {("other" if k == "with" else k): v for k, v in entry.items()}
        file.expectations.append(Expectation(**entry, implementation=file.implementation, file=str(path)))
    return file


def label_of_file(label: str) -> str:
    """The label that an expectation file has for a system's: `windows-wine` for `windows-wine-8.0`.

    What depends on a version says so in its `version`, or in its reason; a file of its own for each would be copied.
    """
    return re.sub(r"-\d[\d.]*$", "", label)


def load_for(root: Path, told: Dict[str, Tuple[str, str]], label: str, extra: Optional[Path]) -> List[File]:
    """The files of who takes part, for a system's label; `extra` (--expect) replaces the one of its implementation.

    `told`: name -> (implementation, version). Raises CannotRun if `extra` speaks of nobody who takes part.
    """
    files: List[File] = []
    system = label_of_file(label)
    given = load(extra, root) if extra is not None else None
    if given is not None:
        if given.os not in (label, system):
            raise CannotRun(f"{given.path} is for {given.os}, this run is on {label}")
        if given.implementation not in {*told, *(implementation for implementation, _ in told.values())}:
            raise CannotRun(
                f"{given.path} is for {printable(given.implementation)}, which takes no part in this run; these do: "
                + ", ".join(map(printable, told))
            )
        files.append(given)
    for name in told:
        path = root / "conformance/expectations" / f"{name}.{system}.toml"
        # A name from a command's hello may hold anything: it names a file only if it stays in the folder.
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+ ()-]*", name) or not path.is_file():
            continue
        file = load(path, root)
        if given is None or file.implementation != given.implementation:
            files.append(file)
    return files


def role_of(record: Record, names: Tuple[str, ...]) -> List[Tuple[str, str, str]]:
    """The roles that an implementation with one of these names plays: (role, mode, name of the other one)."""
    found = []
    for role, other in (("server", "client"), ("client", "server"), ("peer", "peer")):
        if record.get(role) in names:
            mode = record.get("mode" if role == "peer" else f"{role}_mode", "")
            found.append((role, mode, record.get(other, "")))
    return found


def parse_version(text: str) -> Optional[Version]:
    """The version in what a peer says of itself: `v22.1.0`, `go1.26`, `1.2.1 (abi 1.1)`; None if there is none."""
    match = re.search(r"\d+(\.\d+)*((a|b|rc|\.dev|\.post)\d+)?", text)
    try:
        return Version(match.group()) if match else None
    except InvalidVersion:
        return None


class Matcher:
    """Applies expectations to records. `peers`: name -> (implementation, version), as their hello said."""

    def __init__(self, files: List[File], peers: Dict[str, Tuple[str, str]]) -> None:
        self.files = files
        self.peers = peers

    @property
    def expectations(self) -> List[Expectation]:
        """Every expectation of every file."""
        return [e for file in self.files for e in file.expectations]

    def _names(self, e: Expectation) -> Tuple[str, ...]:
        """The peers of this run that the expectation's implementation is."""
        by_name = tuple(n for n in self.peers if n == e.implementation)
        return by_name or tuple(
            n for n, (implementation, _) in self.peers.items() if implementation == e.implementation
        )

    def _version_fits(self, wanted: Optional[str], name: str) -> bool:
        if not wanted:
            return True
        version = parse_version(self.peers[name][1])
        return version is not None and SpecifierSet(wanted).contains(version, prereleases=True)

    def applies(self, e: Expectation, record: Record) -> bool:
        """Whether everything but the outcome agrees."""
        if e.case != record["case"] or (e.shape is not None and e.shape != record["shape"]):
            return False
        # A failure that shows at the other one is foreseen only by an expectation that says so: it may be new, and its.
        if record.get("blame") and record["blame"] != (e.blame or e.role):
            return False
        for role, mode, other in role_of(record, self._names(e)):
            fits = role == e.role and (e.mode is None or e.mode == mode) and (e.other is None or e.other == other)
            if fits and self._version_fits(e.version, record[role]):
                return True
        return False

    def foreseen(self, record: Record) -> List[Expectation]:
        """The expectations that apply to the record."""
        return [e for e in self.expectations if self.applies(e, record)]

    def may_hang(self, record: Record) -> bool:
        """Whether one foresees that the case hangs, whomever of these peers it will be blamed on."""
        return any(e.outcome == "hung" for e in self.foreseen(record))

    def needs_repeat(self, record: Record) -> bool:
        """Whether a failure must be repeated: nobody foresaw it, or what was foreseen is that it comes and goes."""
        return record["outcome"] in FAILING and not any(e.outcome == record["outcome"] for e in self.foreseen(record))

    def apply(self, record: Record) -> None:
        """Turn the record's outcome into what it is in the light of the expectations, and mark those that matched."""
        observed = record["outcome"]
        record["observed"] = observed
        if observed not in RAN:
            return
        applicable = self.foreseen(record)
        matching = [e for e in applicable if e.outcome == observed]
        comes_and_goes = any(e.outcome == "flaky" for e in applicable)
        if matching:
            for e in applicable if comes_and_goes else matching:
                e.used = True
            record.update(outcome="expected_failure", expected=matching[0].reason)
            if matching[0].link:
                record["link"] = matching[0].link
            return
        for e in applicable:  # what comes and goes may come or go; beside it, another outcome is one that may stay
            e.used = e.used or (comes_and_goes and observed == "passed")
        strict = [] if comes_and_goes else applicable
        if observed == "passed" and strict:
            for e in strict:
                e.used = True  # it is told as an unexpected pass already
            record.update(outcome="unexpected_pass", expected=strict[0].reason)
            record["message"] = f"{strict[0].file} expects {strict[0].outcome!r}, but it passed"
        elif applicable:
            record["message"] = f"{record['message']} (the expectations foresee {applicable[0].outcome!r} here)".strip()

    def unmatched(self, records: List[Record], known_cases: Iterable[str]) -> List[Dict[str, Any]]:
        """The expectations that matched nothing although their case ran where they could have, or has no heading."""
        known = set(known_cases)
        ran: Dict[str, List[Record]] = {}
        shapes: Dict[str, Set[str]] = {}
        for record in records:
            shapes.setdefault(record["case"], set()).add(record["shape"])
            if record.get("observed", record["outcome"]) in RAN:
                ran.setdefault(record["case"], []).append(record)
        found = []
        for e in self.expectations:
            if e.used or not self._names(e):
                continue
            why = ""
            if known and e.case not in known:
                why = "no requirement has this name"
            elif any(self.applies(e, r) for r in ran.get(e.case, [])):
                why = "its case ran, and nothing was as it says"
            elif e.shape is not None and ran.get(e.case) and e.shape not in shapes[e.case]:
                why = "its case has no such shape"
            if why:
                found.append(_described(e, why))
        return found

    def shrunk(self, offers: Dict[str, Dict[str, Dict[str, Any]]]) -> List[Dict[str, Any]]:
        """What the files say was offered and is not any more. `offers`: name -> mode -> hello in that mode."""
        found = []
        for file in self.files:
            names = [n for n in offers if file.implementation in (n, self.peers.get(n, ("", ""))[0])]
            exact = [n for n in names if n == file.implementation]
            for name in exact or names:
                meant = [o for o in file.offers if self._version_fits(o.get("version"), name)]
                found += [s for s in (_shrunk(file, o, name, offers[name]) for o in meant) if s]
        return found


def _described(e: Expectation, why: str) -> Dict[str, Any]:
    keys = {"case": e.case, "shape": e.shape, "role": e.role, "mode": e.mode, "with": e.other, "version": e.version}
    entry: Dict[str, Any] = {k: v for k, v in keys.items() if v is not None}
    return {"file": e.file, "implementation": e.implementation, **entry, "outcome": e.outcome, "why": why}


def _shrunk(
    file: File, offer: Dict[str, Any], name: str, hellos: Dict[str, Dict[str, Any]]
) -> Optional[Dict[str, Any]]:
    mode_missing = offer["mode"] not in hellos
    hello = hellos.get(offer["mode"], {})
    operations = sorted(set(offer["operations"]) - set(hello.get("operations", [])))
    features = sorted(set(offer["features"]) - set(hello.get("features", [])))
    if not (operations or features or mode_missing):
        return None
    return {
        "implementation": name,
        "mode": offer["mode"],
        "mode_missing": mode_missing,
        "operations": operations,
        "features": features,
        "file": str(file.path),
    }
