"""The command `cts`: its subcommands, and how each way of ending becomes an exit status."""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
from typing import Any, List, Optional

from cts.common import VERSION, CannotRun, Interrupted, printable, say

COMMANDS = {
    "run": "run the cases against implementations",
    "mutants": "run the cases against broken implementations, each of which a case must catch",
    "explain": "what a case demands, and how it came out last",
    "spec": "check the spec, or generate what is made from it",
    "peers": "list or build the implementations that come with the suite",
    "trace": "the canonical trace of a report",
    "compare": "the semantic differences between two traces",
    "summary": "a report in Markdown, or as annotations, for a job of continuous integration",
    "expect": "rewrite an expectation file from results",
    "fuzz": "run a fuzz target, or show and shrink what one found",
    "test": "everything that must hold before a change goes in",
}


def _parser(chosen: Optional[str]) -> argparse.ArgumentParser:
    """The parser. Only the chosen command's module is imported, so that `cts --help` needs nothing but Python."""
    parser = argparse.ArgumentParser(
        prog="cts",
        description="IPC-CTS: a conformance test suite for inter-process communication.",
        epilog="Exit status: 0 as expected, 1 something differs from what is expected, 2 could not run.",
    )
    parser.add_argument("--version", action="version", version=f"IPC-CTS {VERSION}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        # The launcher acts on these before this program starts; here they are known so that they may stand anywhere.
        launcher = sub.add_mutually_exclusive_group()
        launcher.add_argument("--yes", action="store_true", help="install what is missing without asking")
        launcher.add_argument("--no-install", action="store_true", help="install nothing; say what is missing")
        if name == chosen:
            module = importlib.import_module(f"cts.{name}_command")
            module.add_arguments(sub)
            sub.set_defaults(module=module)
    return parser


def main(argv: Optional[List[str]] = None, project: Any = None) -> int:
    """Run `cts` with these arguments; returns the exit status. `project` (a Project) stands in for this checkout."""
    gc.set_threshold(100_000)  # a trace is a million small objects without a cycle, and collecting walks them all
    arguments = sys.argv[1:] if argv is None else argv
    options = _parser(arguments[0] if arguments else None).parse_args(arguments)
    try:
        from cts.project import Project

        return int(options.module.run(project or Project(), options, ["cts", *arguments]))
    except CannotRun as error:
        say(f"cts: {printable(error, lines=True)}")
        return 2
    except Interrupted as interruption:
        say("cts: interrupted")
        return 128 + interruption.signum
    except KeyboardInterrupt:
        say("cts: interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read our output is gone (`cts trace … | head`): not a failure, and nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
