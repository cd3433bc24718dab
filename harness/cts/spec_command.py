"""`cts spec check` and `cts spec generate`."""

from __future__ import annotations

import argparse
from typing import List

from cts import generate
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
    return found


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Check (status 1 if something is wrong) or generate."""
    try:
        if options.action == "generate":
            for path in generate.write(project.root):
                print(f"wrote {path.relative_to(project.root)}")
            return 0
        found = problems(project)
    except (spec.SpecError, DefinitionError, OSError) as error:
        raise CannotRun(str(error)) from error
    for problem in found:
        print(problem)
    if not found:
        print(f"{len(project.requirements())} requirements, each with its case; generated files are fresh")
    return 1 if found else 0
