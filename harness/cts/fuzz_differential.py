"""Differential fuzz targets: which peers they ask, differences that are known, and what the peers came to."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

from cts import jsonl, peers, systems
from cts.common import CannotRun, host_system, printable

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser under its name from before Python 3.11
    import tomli as tomllib

TARGETS = ("frame_differential", "name_differential")
BATCH = 64
_DEADLINE_MS = 10000
_KEYS = {"name", "peer", "where", "reason"}


@dataclass
class Asked:
    """What a fuzzer needs to ask peers, and where its report will be."""

    environment: Dict[str, str]
    report: Path

    def told(self) -> Dict[str, Any]:
        """The report; empty if the fuzzer did not come to its end. Raises CannotRun if there is one that is broken."""
        if not self.report.exists():
            return {}
        try:
            told = jsonl.parse(self.report.read_bytes())
            lines(told)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CannotRun(f"the fuzzer's report is broken: {printable(error)}") from error
        return told


def load_peers(root: Path) -> Dict[str, peers.Peer]:
    """The peers in fuzz/peers by name."""
    found = (peers.load_directory(file.parent) for file in sorted((root / "fuzz/peers").glob("*/peer.toml")))
    return {peer.name: peer for peer in found}


def known_differences(root: Path, target: str) -> List[Dict[str, Any]]:
    """The differences in fuzz/TARGET.toml; raises CannotRun with what is wrong in it."""
    file = root / "fuzz" / f"{target}.toml"
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get("difference", [])
    except (OSError, ValueError) as error:
        raise CannotRun(f"{file}: {error}") from error
    names = list(load_peers(root))
    seen = set()
    for entry in found:
        name = entry.get("name", "?")
        if set(entry) != _KEYS or not all(entry.values()):
            raise CannotRun(f"{file}: {name}: a difference has {', '.join(sorted(_KEYS))}, and no more")
        if name in seen:
            raise CannotRun(f"{file}: {name} stands twice")
        if entry["peer"] not in names:
            raise CannotRun(f"{file}: {name}: there is no peer {entry['peer']!r}; there are: {', '.join(names)}")
        for fact, pattern in entry["where"].items():
            try:
                re.compile(pattern)
            except (re.error, TypeError) as error:
                raise CannotRun(f"{file}: {name}: {fact} is no regular expression: {error}") from error
        seen.add(name)
    return found


def chosen(root: Path, target: str, names: Sequence[str]) -> List[peers.Peer]:
    """The peers of these names, or all, that have something to answer to a target; raises CannotRun if one has not."""
    every = {name: peer for name, peer in load_peers(root).items() if target in (peer.targets or TARGETS)}
    for name in names:
        if name not in every:
            raise CannotRun(f"{target} has no peer {printable(name)!r}; it has: {', '.join(every)}")
    return [every[name] for name in dict.fromkeys(names)] if names else list(every.values())


def _system(peer: peers.Peer) -> systems.System:
    here = host_system()
    if not peer.os or here in peer.os:
        return systems.named(here)
    if "windows" in peer.os and here == "linux":
        return systems.named("windows")
    raise CannotRun(f"{', '.join(peer.os)} only")


def _ready(
    root: Path, wanted: List[peers.Peer], named: bool, stack: ExitStack, progress: Callable[[str], None]
) -> List[Tuple[peers.Peer, Dict[str, str]]]:
    """The peers that can run here, built, each with its variables; one that was named must."""
    ready = []
    for peer in wanted:
        try:
            why = peers.missing_tool(peer)
            system = _system(peer)
            why = why or peers.build(peer, progress)
            if not why:
                work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cts-fuzz-peer-")))
                stack.callback(system.end)
                system.begin(root, work, progress)
        except CannotRun as error:
            why = str(error)
        if why:
            if named:
                raise CannotRun(f"{peer.name}: {why}")
            progress(f"{peer.name} is left out: {printable(why)}")
            continue
        peer.command = system.started(system.command(peer.command))
        ready.append((peer, {**system.environment(), **peer.env}))
    if not ready:
        raise CannotRun("none of the peers can run here")
    return ready


@contextmanager
def asked(
    root: Path, target: str, names: Sequence[str], batch: int, artifacts: Path, progress: Callable[[str], None]
) -> Iterator[Asked]:
    """Have peers ready for a run of a differential target; raises CannotRun."""
    known = known_differences(root, target)
    wanted = chosen(root, target, names)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cts-fuzz-peers-")))
        report = directory / "report.json"
        told = []
        for peer, environment in _ready(root, wanted, bool(names), stack, progress):
            own = [{"name": d["name"], "where": d["where"]} for d in known if d["peer"] == peer.name]
            told.append({"name": peer.name, "command": peer.command, "environment": environment, "known": own})
        config: Dict[str, Any] = {"batch": batch, "deadline_ms": _DEADLINE_MS, "peers": told}
        config["artifacts"] = str(artifacts)
        if batch > 1:
            config["report"] = str(report)
        file = directory / "peers.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        yield Asked({**os.environ, "CTS_FUZZ_PEERS": str(file)}, report)


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds > 0 else 0.0


def lines(told: Dict[str, Any], runs: int = 0) -> List[str]:
    """What the report of a fuzzer says that ran so many inputs: rates, and how often each known difference was met."""
    if not told:
        return []
    found = [f"in this process: {_rate(told['requests'], told['seconds']):.0f} answers a second"]
    cpu = told["cpu_seconds"] + sum(peer["cpu_seconds"] for peer in told["peers"])
    rates = f"{_rate(runs, cpu):.0f} runs and {_rate(told['requests'], cpu):.0f} requests"
    found.append(f"of all processes: {rates} a second of CPU time")
    for peer in told["peers"]:
        rate, spawned = _rate(peer["requests"], peer["seconds"]), _rate(peer["spawned"], peer["spawned_seconds"])
        ratio = f", {rate / spawned:.0f} times that of" if spawned else "; none by"
        found.append(
            f"{peer['name']}: {peer['requests']} requests, {rate:.0f} a second{ratio} a process each"
            f" ({spawned:.1f}); {peer['cpu_seconds']:.1f} s of CPU time"
            f"; {peer['differences']} differences, {peer['restarts']} restarts"
        )
        found += [f"  known: {name}: {count}" for name, count in peer["known"].items()]
    for finding in told["findings"]:
        facts = " ".join(f"{k}={v}" for k, v in finding["facts"].items())
        found.append(f"difference: {finding['file']}: {finding['peer']}: {printable(facts)}")
    return found
