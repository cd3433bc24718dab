"""`cts spec check` and `cts spec generate`."""

from __future__ import annotations

import argparse
import textwrap
from typing import List

from cts import definition, generate, ledger
from cts import requirements as spec
from cts.common import CannotRun
from cts.definition import DefinitionError
from cts.project import Project


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of `cts spec`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("check", help="hold requirements, cases and generated files together")
    actions.add_parser("generate", help="write what is made from the spec, where it is stale")


def problems(project: Project) -> List[str]:
    """Everything that is wrong with the spec, a sentence each."""
    found = spec.check(project.root)
    if not found:
        found += [
            f"{p.relative_to(project.root)} is stale: run `./cts spec generate`" for p in generate.stale(project.root)
        ]
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
    """Check (status 1 if something is wrong) or generate."""
    try:
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
