"""`cts peers list` and `cts peers build`."""

from __future__ import annotations

import argparse
from typing import List

from cts import peers
from cts.common import host_system, printable, say
from cts.project import Project
from cts.terminal import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The subcommands of `cts peers`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="the implementations that come with the suite, and whether they can run here")
    build = actions.add_parser("build", help="build them")
    build.add_argument("names", nargs="*", metavar="NAME", help="which (default: all that can be built here)")
    build.add_argument("--force", action="store_true", help="also if the sources did not change")


def _cannot(peer: peers.Peer) -> str:
    if peer.os and host_system() not in peer.os:
        return f"{', '.join(peer.os)} only"
    return peers.missing_tool(peer)


def _list(project: Project) -> int:
    rows = [(peers.REFERENCE, "C", "the reference implementation", "")]
    for peer in project.peers().values():
        why = _cannot(peer)
        built = (peers.out_dir(peer) / ".built").exists()
        state = f"unavailable: {why}" if why else "" if built or not peer.build else "not built yet"
        rows.append((peer.name, peer.language, peer.title, state))
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for row in rows:
        cells = [printable(cell).ljust(width) for cell, width in zip(row, widths)]
        print("  ".join([*cells, printable(row[3])]).rstrip())
    return 0


def _build(project: Project, names: List[str], force: bool) -> int:
    known = project.peers()
    for name in names:
        if name not in known:
            raise peers.unknown(name, list(known))
    progress, failed = Progress(), 0
    for peer in [known[n] for n in names] if names else known.values():
        why = _cannot(peer)
        if why:
            failed += bool(names)
            say(f"{peer.name}: unavailable: {printable(why)}")
            continue
        wrong = peers.build(peer, progress.step, force)
        progress.clear()
        print(f"{peer.name}: {printable(wrong) if wrong else 'built'}")
        failed += bool(wrong)
    return 1 if failed else 0


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """List or build; building answers 1 if one that was wanted could not be built."""
    return _list(project) if options.action == "list" else _build(project, options.names, options.force)
