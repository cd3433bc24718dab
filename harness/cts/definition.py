"""The definition of the operations (`spec/operations.toml`), loaded and checked.

Everything that speaks of operations, statuses, features or traits gets them from here; nothing else reads the file.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser under its name from before Python 3.11
    import tomli as tomllib

FACES = ("abi", "protocol")
GATES = ("signals", "async", "nonblocking")
SYSTEMS = ("", "unix", "windows")
TYPES = {"bool", "u32", "u64", "i64", "text", "bytes", "data", "enum", "raw", "list_u32", "list_u64", "list_text"}


class DefinitionError(Exception):
    """operations.toml contradicts itself; the message names the entry."""


@dataclass(frozen=True)
class Status:
    """One outcome class: its name in the protocol and its number in the C ABI."""

    name: str
    value: int
    doc: str

    @property
    def constant(self) -> str:
        """Name of the C constant."""
        return "IPC_" + self.name.upper()


@dataclass(frozen=True)
class Field:
    """An argument or result of an operation."""

    name: str
    type: str
    doc: str
    optional: bool = False
    feature: Optional[str] = None
    values: tuple = ()


@dataclass(frozen=True)
class Operation:
    """One operation with all its faces."""

    name: str
    since: int
    doc: str
    slot: Optional[int] = None
    c: Optional[str] = None
    on: Optional[str] = None
    consumes: bool = False
    makes: Dict[str, str] = field(default_factory=dict)
    args: tuple = ()
    results: tuple = ()
    gate: Optional[str] = None
    systems: str = ""
    faces: tuple = FACES

    @property
    def snake(self) -> str:
        """`a.b` as `a_b`: the slot's name, and the C function's after `ipc_`."""
        return self.name.replace(".", "_")

    @property
    def gates(self) -> List[str]:
        """The feature gates of the build, each of which removes the function."""
        return (self.gate or "").split()

    @property
    def condition(self) -> str:
        """When the library has the function, as the preprocessor puts it; empty: always."""
        system = {"": [], "unix": ["!defined(_WIN32)"], "windows": ["defined(_WIN32)"]}[self.systems]
        return " && ".join(system + [f"!defined(IPC_WITHOUT_{gate.upper()})" for gate in self.gates])


@dataclass(frozen=True)
class Definition:
    """The whole of operations.toml."""

    protocol: Dict[str, Any]
    abi: Dict[str, int]
    statuses: List[Status]
    native: Dict[str, Dict[str, str]]
    features: Dict[str, Dict[str, str]]
    traits: Dict[str, str]
    operations: List[Operation]

    @property
    def slots(self) -> List[Operation]:
        """The operations that have a slot in the ABI's table, in its order."""
        return sorted((o for o in self.operations if o.slot is not None), key=lambda o: o.slot or 0)

    @property
    def protocol_operations(self) -> List[Operation]:
        """The operations that the peer protocol has."""
        return [o for o in self.operations if "protocol" in o.faces]


def _unique(kind: str, names: List[Any]) -> None:
    seen = set()
    for name in names:
        if name in seen:
            raise DefinitionError(f"{kind} {name!r} is defined twice")
        seen.add(name)


def _field(operation: str, raw: Dict[str, Any]) -> Field:
    if raw.get("type") not in TYPES:
        raise DefinitionError(f"{operation}: {raw.get('name')!r} has type {raw.get('type')!r}; known: {sorted(TYPES)}")
    if (raw["type"] == "enum") != bool(raw.get("values")):
        raise DefinitionError(f"{operation}: {raw['name']!r}: `values` belong to type enum, and enum needs them")
    return Field(**{**raw, "values": tuple(raw.get("values", ()))})


def load(path: Path) -> Definition:
    """Read and check the definition; raises DefinitionError with the entry at fault, OSError if it cannot be read."""
    with open(path, "rb") as file:
        raw = tomllib.load(file)
    statuses = [Status(**s) for s in raw["status"]]
    _unique("status", [s.name for s in statuses])
    if [s.value for s in statuses] != list(range(len(statuses))):
        raise DefinitionError("status values must be 0, 1, 2, … in the order of the file")
    features = {f["name"]: f for f in raw["feature"]}
    _unique("feature", [f["name"] for f in raw["feature"]])
    _unique("trait", [t["name"] for t in raw["trait"]])
    operations = []
    for entry in raw["operation"]:
        name = entry["name"]
        if not re.fullmatch(r"[a-z_]+(\.[a-z_]+)?", name):
            raise DefinitionError(f"operation {name!r}: a name is `word` or `noun.verb` in lower case")
        args = tuple(_field(name, a) for a in entry.pop("args", []))
        results = tuple(_field(name, r) for r in entry.pop("results", []))
        operation = Operation(args=args, results=results, faces=tuple(entry.pop("faces", FACES)), **entry)
        if (operation.slot is None) != (operation.c is None):
            raise DefinitionError(f"operation {name!r}: `slot` and `c` go together")
        if set(operation.gates) - set(GATES):
            raise DefinitionError(f"operation {name!r}: gates are {', '.join(GATES)}")
        if operation.systems not in SYSTEMS:
            raise DefinitionError(f"operation {name!r}: systems are unix, windows, or absent for all")
        for arg in args:
            if arg.feature is not None and arg.feature not in features:
                raise DefinitionError(f"operation {name!r}: argument {arg.name!r} names no known feature")
        operations.append(operation)
    _unique("operation", [o.name for o in operations])
    slots = sorted(o.slot for o in operations if o.slot is not None)
    if slots != list(range(len(slots))):
        raise DefinitionError("slots must be 0, 1, 2, … without a gap")
    known = {s.name for s in statuses}
    for table in raw["native"].values():
        for code, status in table.items():
            if status not in known:
                raise DefinitionError(f"native error {code}: {status!r} is no status")
    return Definition(
        protocol=raw["protocol"],
        abi=raw["abi"],
        statuses=statuses,
        native=raw["native"],
        features=features,
        traits={t["name"]: t["doc"] for t in raw["trait"]},
        operations=operations,
    )
