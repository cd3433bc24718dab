"""`cts spec check`, `cts spec generate` and `cts spec evidence`."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import List

from cts import definition, evidence, generate, ledger, offers
from cts import requirements as spec
from cts.common import CannotRun, plural
from cts.definition import DefinitionError
from cts.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of `cts spec`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("check", help="hold requirements, cases and generated files together")
    actions.add_parser("generate", help="write what is made from the spec, where it is stale")
    proof = actions.add_parser("evidence", help="write what a run of the reference has shown into the requirements")
    proof.add_argument(
        "--from", required=True, type=Path, dest="results", metavar="RESULTS", help="report directory or results.json"
    )


def problems(project: Project) -> List[str]:
    """Everything that is wrong with the spec, a sentence each."""
    found = spec.check(project.root)
    if not found:
        found += [
            f"{p.relative_to(project.root)} is stale: run `./cts spec generate`" for p in generate.stale(project.root)
        ]
        found += offers.problems(offers.load(project.root, definition.load(project.root / "spec/operations.toml")))
        found += ledger.check(
            ledger.load(project.root / "spec/ledger.toml"),
            definition.load(project.root / "spec/operations.toml"),
            spec.load(project.root),
        )
    return found


def _print_numbers(project: Project) -> None:
    requirements = spec.load(project.root)
    print(f"{len(requirements)} requirements, each with its case; generated files are fresh")
    print(ledger.load(project.root / "spec/ledger.toml").summary())
    print(f"{sum(r.alone for r in requirements)} requirements are about one process:")
    for (family, reason), ids in spec.alone(requirements).items():
        rules = ", ".join(name.partition(".")[2] for name in ids)
        text = f"{family}, {len(ids)}: {reason} {rules}"
        print(textwrap.fill(text, 120, initial_indent="  ", subsequent_indent="    "))


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Check (status 1 if something is wrong), generate, or write evidence."""
    try:
        if options.action == "evidence":
            changed = evidence.write(project.root, project.requirements(), options.results)
            made = (
                [f"wrote {path.relative_to(project.root)}" for path in generate.write(project.root)] if changed else []
            )
            print("\n".join([*changed, *made, f"{plural(len(changed), 'requirement')} changed"]))
            return 0
        if options.action == "generate":
            for path in generate.write(project.root):
                print(f"wrote {path.relative_to(project.root)}")
            return 0
        found = problems(project)
    except (spec.SpecError, DefinitionError, ledger.LedgerError, OSError) as error:
        raise CannotRun(str(error)) from error
    for problem in found:
        print(problem)
    if not found:
        _print_numbers(project)
    return 1 if found else 0
