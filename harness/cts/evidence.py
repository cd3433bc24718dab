"""`cts spec evidence`: what a run of the reference has shown goes into the evidence of the requirements.

`documented` becomes `run KERNEL`, or `wine VERSION` for a run under Wine. Nothing else is changed: evidence of a better
kind stays, `no` is a decision, and what failed is a matter for expectations.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, List, Set

from cts import report
from cts.common import CannotRun, printable, system_of
from cts.peers import REFERENCE
from cts.requirements import Requirement

Record = Dict[str, Any]


def kind_of(document: Dict[str, Any]) -> "tuple[str, str]":
    """The system that a run was on, and the evidence that it gives: (`windows`, `wine 8.0`)."""
    labels = {r["os"] for r in document["results"]}
    if len(labels) != 1:
        raise CannotRun(f"the results are of {', '.join(sorted(labels)) or 'nothing'}: evidence is of one system")
    label = labels.pop()
    wine = re.search(r"-wine-(\d[\d.]*)$", label)
    if wine:
        return system_of(label), f"wine {wine.group(1)}"
    kernel = re.match(r"\d+(\.\d+)?", str(document["run"]["host"].get("kernel", "")))
    if label != system_of(label) or not kernel:
        raise CannotRun(f"a run on {printable(label)} is no evidence of a system of its own")
    return label, f"run {kernel.group()}"


def shown(records: List[Record]) -> Set[str]:
    """The cases that passed with the reference in every role, in every shape and mode in which they apply."""
    passed: Set[str] = set()
    other: Set[str] = set()
    for record in records:
        if {record[role] for role in ("server", "client", "peer") if role in record} != {REFERENCE}:
            continue
        if record["outcome"] == "passed":
            passed.add(record["case"])
        elif record["outcome"] != "not_applicable":
            other.add(record["case"])
    return passed - other


def write(root: Path, requirements: Dict[str, Requirement], path: Path) -> List[str]:
    """Write the evidence that the results at `path` give; returns a sentence for each requirement that changed.

    Raises CannotRun if that run did not end well.
    """
    document = report.load(path)
    if document["run"]["exit_status"] not in (0, 1):
        raise CannotRun(f"{path}: that run did not end well; its results do not serve")
    system, evidence = kind_of(document)
    changed: List[str] = []
    files: Dict[str, List[str]] = {}
    for case in sorted(shown(document["results"])):
        requirement = requirements.get(case)
        if requirement is None or requirement.evidence.get(system) != "documented":
            continue
        if requirement.hidden_by_wine and evidence.startswith("wine "):
            continue
        lines = files.setdefault(requirement.file, (root / requirement.file).read_text(encoding="utf-8").split("\n"))
        line = requirement.line  # behind the heading, whose number counts from 1
        lines[line] = lines[line].replace(f" · {system}: documented", f" · {system}: {evidence}")
        changed.append(f"{requirement.file}:{requirement.line}: {case}: {system}: {evidence}")
    for file, lines in files.items():
        (root / file).write_text("\n".join(lines), encoding="utf-8")
    return changed
