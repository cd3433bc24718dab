"""Canonical traces of one implementation on one system: taken from a report, or recorded in conformance/traces.

A recorded trace is a directory (spec/results.md): `about.json`, and a text file a family. Operations are text there, a
line each, and texts are what is compared.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Collection, Dict, Iterator, List, Optional, Tuple

from cts import canonical, jsonl, report, trace
from cts.common import IN_PROCESS, CannotRun, printable
from cts.peers import REFERENCE
from cts.requirements import Requirement

FORMAT = 1
ABOUT = "about.json"
SUFFIX = ".trace"
_VALUE_MAX = 160  # characters of a value that are shown; more is told by its digest
_LANE_MAX = 120  # operations of a lane that are recorded one by one
_BLOCK = 100  # operations beyond these that one digest stands for
_BARE = re.compile(r'[A-Za-z<][^\s"=,\[\]{}]*')
_PREFIX = re.compile(r'"(?:\\\\\\\\\.\\\\pipe\\\\|\\u0000)(<name-\d+>)"')
_OF_PREFIXES = re.compile(r"(?<=[0-9a-f]), with prefixes [0-9a-f]{16}$")
_NOT_RUN = ("not_applicable", "unavailable")
_ABOUT_KEYS = {"format": int, "implementation": str, "version": str, "label": str, "system": str, "seed": int}

Key = Tuple[str, str]  # case and shape
Lanes = Dict[str, List[str]]


# ---------------------------------------------------------------------------------------------------------------- text


def _value(value: Any) -> str:
    if isinstance(value, str) and _BARE.fullmatch(value) and value not in ("true", "false", "null"):
        text = value
    else:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if len(text) > _VALUE_MAX:
        digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        text = f"{text[:40]}…({len(text)} characters, sha256 {digest})"
    return printable(text)


def line(operation: canonical.Operation) -> str:
    """An operation as text: `stream.read max=16 on=<handle-1> -> status=ok length=5 crc32=907060870`."""
    arguments, answer = operation["arguments"], dict(operation["answer"])
    status = [f"status={_value(answer.pop('status'))}"] if "status" in answer else []
    told = [operation["op"], *(f"{k}={_value(arguments[k])}" for k in sorted(arguments)), "->"]
    return " ".join([*told, *status, *(f"{k}={_value(answer[k])}" for k in sorted(answer))])


def without_prefixes(operation: str) -> str:
    """The operation, or a digest of some, without what a system puts before a name of the run."""
    return _OF_PREFIXES.sub("", _PREFIX.sub(r"\1", operation))


def _digest(block: List[str]) -> str:
    return hashlib.sha256("\n".join(block).encode()).hexdigest()[:16]


def elided(operations: List[str]) -> List[str]:
    """The lines of a lane as a recording holds them: beyond the first, blocks of them are told by a digest, and by
    another one that holds the systems' prefixes of names, if there are any.
    """
    if len(operations) <= _LANE_MAX:
        return operations
    told = operations[:_BLOCK]
    for at in range(_BLOCK, len(operations), _BLOCK):
        block = operations[at : at + _BLOCK]
        names = Counter(o.partition(" ")[0] for o in block)
        counted = ", ".join(f"{n} {name}" for name, n in sorted(names.items()))
        bare = [without_prefixes(o) for o in block]
        with_prefixes = f", with prefixes {_digest(block)}" if bare != block else ""
        told.append(f"… {counted}: sha256 {_digest(bare)}{with_prefixes}")
    return told


@dataclass
class Variant:
    """How a case went in some modes: its outcome, why if it did not pass, and the operations by process and lane."""

    modes: List[str]
    outcome: str
    why: str
    lanes: Lanes


@dataclass
class Side:
    """All the canonical traces of one implementation alone, on one system."""

    title: str
    implementation: str
    version: str
    label: str
    system: str
    seed: int
    name: str = REFERENCE  # recordings are of the reference alone
    kernel: str = ""
    recorded: bool = False
    cases: Dict[Key, List[Variant]] = field(default_factory=dict)
    absent: Dict[Key, Dict[str, str]] = field(default_factory=dict)  # -> mode -> why it did not run

    @property
    def modes(self) -> List[str]:
        """Every mode in which something ran."""
        return sorted({mode for variants in self.cases.values() for v in variants for mode in v.modes})

    def variant(self, key: Key, mode: str) -> Optional[Variant]:
        """How the case went in that mode; None if it did not run."""
        return next((v for v in self.cases.get(key, []) if mode in v.modes), None)

    def only(self, keys: Collection[Key], mode: str) -> Side:
        """The part of it that is about these cases in one mode."""
        cases = {
            k: [replace(v, modes=[mode]) for v in vs if mode in v.modes] for k, vs in self.cases.items() if k in keys
        }
        absent = {k: {mode: why[mode]} for k, why in self.absent.items() if k in keys and mode in why}
        return replace(self, cases={k: vs for k, vs in cases.items() if vs}, absent=absent)

    def add(self, key: Key, mode: str, outcome: str, why: str, lanes: Lanes) -> None:
        """Note one run of a case; modes that went the same way are one variant."""
        for variant in self.cases.setdefault(key, []):
            if (variant.outcome, variant.why, variant.lanes) == (outcome, why, lanes):
                variant.modes.append(mode)
                return
        self.cases[key].append(Variant([mode], outcome, why, lanes))


# ---------------------------------------------------------------------------------------------------------- of a report


def _peer_of(document: Dict[str, Any], wanted: str, where: Path) -> Dict[str, Any]:
    """The implementation whose traces are meant: the wanted one, else the only one under test."""
    peers = {p["name"]: p for p in document["run"]["peers"] if p["available"]}
    alone = {r["pairing"].partition(":")[0] for r in document["results"] if _mode_alone(r.get("pairing", ""))}
    names = [n for n in peers if n in alone]
    if wanted:
        if wanted not in names:
            raise CannotRun(f"{where}: {printable(wanted)!r} did not run alone there; who did: {', '.join(names)}")
        return peers[wanted]
    if not names:
        raise CannotRun(f"{where}: no implementation ran alone there")
    asked = [n for n in names if peers[n].get("arguments")]
    names = asked if len(names) > 1 and asked else names
    if len(names) > 1 and "ref" in names:
        names = ["ref"]
    if len(names) > 1:
        raise CannotRun(f"{where}: which of {', '.join(names)}? Say it with --peer")
    return peers[names[0]]


def _mode_alone(pairing: str) -> str:
    """The mode of a pairing in which one implementation plays both roles; empty for others."""
    server, _, client = pairing.partition(">")
    return server.rpartition(":")[2] if server == client else ""


def _raw(file: Path, name: str) -> Dict[Tuple[str, str, str], List[trace.Event]]:
    """The events of one implementation alone by mode, case and shape; a broken line cannot be compared."""
    found: Dict[Tuple[str, str, str], List[trace.Event]] = {}
    try:
        for (pairing, case, shape), events in trace.read(file).items():
            mode = _mode_alone(pairing)
            if mode and pairing.startswith(f"{name}:"):
                found[mode, case, shape] = events
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}; `cts run` makes a report") from error
    return found


def of_report(directory: Path, requirements: Dict[str, Requirement], peer: str = "") -> Side:
    """The traces of the implementation `peer` (else the only one, or the reference) in a report of `cts run`."""
    document = report.load(directory)
    run = document["run"]
    subject = _peer_of(document, peer, directory)
    name = subject["name"]
    labels = {r["os"] for r in document["results"]}
    label = labels.pop() if len(labels) == 1 else run["host"]["os"]
    side = Side(
        title=f"{name} {subject['version']}, {label}",
        implementation=subject["implementation"],
        version=subject["version"],
        label=label,
        system=subject["os"],
        seed=run.get("seed", 0),
        name=name,
        kernel=str(run["host"].get("kernel", "")),
    )
    fill(side, document["results"], directory / "trace.jsonl", requirements)
    return side


def fill(side: Side, records: List[Dict[str, Any]], file: Path, requirements: Dict[str, Requirement]) -> None:
    """Add what records of the side's implementation alone, and the raw trace in `file`, tell of it."""
    raw = _raw(file, side.name)
    for record in records:
        mode = _mode_alone(record.get("pairing", ""))
        if not mode or mode == IN_PROCESS or not record["pairing"].startswith(f"{side.name}:"):
            continue
        key = (record["case"], record["shape"])
        if record["outcome"] in _NOT_RUN:
            side.absent.setdefault(key, {})[mode] = printable(record["message"])
            continue
        requirement = requirements.get(key[0])
        lanes = canonical.canonical(raw.get((mode, *key), []), requirement.rules if requirement else canonical.NO_RULES)
        why = "" if record["outcome"] == "passed" else printable(record.get("expected") or record["message"])
        side.add(key, mode, record["outcome"], why, {p: [line(o) for o in ops] for p, ops in lanes.items()})


# -------------------------------------------------------------------------------------------------------- of recordings


def write(side: Side, directory: Path) -> List[Path]:
    """Record a side in the directory, in place of what was there; returns the files."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob(f"*{SUFFIX}"):
        old.unlink()
    about = {key: getattr(side, key) for key in ("implementation", "version", "label", "system", "kernel", "seed")}
    files = [directory / ABOUT]
    files[0].write_text(json.dumps({"format": FORMAT, **about}, indent=1) + "\n", encoding="utf-8")
    keys = sorted({*side.cases, *side.absent})
    for family in sorted({case.partition(".")[0] for case, _ in keys}):
        lines = [text for key in keys if key[0].startswith(f"{family}.") for text in _recorded(side, key)]
        files.append(directory / f"{family}{SUFFIX}")
        files[-1].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return files


def _recorded(side: Side, key: Key) -> Iterator[str]:
    yield " ".join(["===", key[0], *([key[1]] if key[1] else [])])
    absent = side.absent.get(key, {})
    for why in sorted(set(absent.values())):
        yield f"absent {' '.join(sorted(m for m in absent if absent[m] == why))}: {why}"
    for variant in sorted(side.cases.get(key, []), key=lambda v: sorted(v.modes)):
        yield f"modes {' '.join(sorted(variant.modes))}"
        if variant.outcome != "passed":
            yield f"outcome {variant.outcome}: {variant.why}"
        for place, operations in variant.lanes.items():
            yield f"--- {place}"
            yield from elided(operations)


def of_recording(directory: Path) -> Side:
    """The traces that a directory holds; raises CannotRun with FILE:LINE of what is no recording."""
    file = directory / ABOUT
    try:
        about = jsonl.parse(file.read_bytes())
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise CannotRun(f"{file}: {error}") from error
    for key, kind in _ABOUT_KEYS.items():
        if not isinstance(about, dict) or not isinstance(about.get(key), kind):
            raise CannotRun(f"{file}: `{key}` is missing or of another type")
    if about["format"] != FORMAT:
        raise CannotRun(f"{file}: format {about['format']}; this version reads {FORMAT}")
    side = Side(
        title=f"{about['implementation']} {about['version']}, {about['label']} (recorded)",
        recorded=True,
        kernel=str(about.get("kernel", "")),
        **{key: about[key] for key in _ABOUT_KEYS if key != "format"},
    )
    for path in sorted(directory.glob(f"*{SUFFIX}")):
        _read(side, path)
    if not side.cases:
        raise CannotRun(f"{directory}: no case is recorded there")
    return side


def _read(side: Side, path: Path) -> None:
    key: Optional[Key] = None
    variant: Optional[Variant] = None
    lane: Optional[List[str]] = None
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CannotRun(f"{path}: {error}") from error
    if lines.pop():
        raise CannotRun(f"{path}:{len(lines) + 1}: {jsonl.HALF}")
    for number, text in enumerate(lines, 1):
        word, _, rest = text.partition(" ")
        if word == "===" and rest:
            case, _, shape = rest.partition(" ")
            key, variant, lane = (case, shape), None, None
            if key in side.cases or key in side.absent:
                raise CannotRun(f"{path}:{number}: {rest} stands twice")
        elif word == "absent" and key and ": " in rest and lane is None:
            modes, _, why = rest.partition(": ")
            side.absent.setdefault(key, {}).update({mode: why for mode in modes.split()})
        elif word == "modes" and key and rest:
            variant, lane = Variant(rest.split(), "passed", "", {}), None
            side.cases.setdefault(key, []).append(variant)
        elif word == "outcome" and variant and lane is None and ": " in rest:
            variant.outcome, _, variant.why = rest.partition(": ")
        elif word == "---" and variant and rest and rest not in variant.lanes:
            lane = variant.lanes[rest] = []
        elif lane is not None and (" ->" in text or word == "…"):
            lane.append(text)
        else:
            raise CannotRun(f"{path}:{number}: {printable(text[:80])!r} does not belong here; the recording is broken")


def load(where: str, root: Path, requirements: Dict[str, Requirement], peer: str = "") -> Side:
    """The side that a text names: a report, the directory of a recording, or the label of one in conformance/traces."""
    path = Path(where)
    if not path.exists() and re.fullmatch(r"[A-Za-z0-9_.-]+", where):
        path = root / "conformance/traces" / where
        if not path.is_dir():
            kept = sorted(p.name for p in (root / "conformance/traces").glob("*") if p.is_dir())
            raise CannotRun(
                f"{printable(where)}: no such report, and no trace of that system is recorded; recorded: "
                f"{', '.join(kept) or 'none'}"
            )
    if (path / ABOUT).exists():
        return of_recording(path)
    return of_report(path, requirements, peer)
