"""Peers: those in conformance/peers, a library behind the generic peer, and commands from the command line."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from packaging.version import Version

from cts import hello, processes
from cts.common import CannotRun, cache_dir, clip, printable
from cts.systems import System

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser under its name from before Python 3.11
    import tomli as tomllib

try:
    import fcntl
except ImportError:  # Windows: two builds at once are not kept apart
    fcntl = None  # type: ignore[assignment]

REFERENCE = "ref"
BUILDS = processes.Group()  # the builds under way, so that an interruption ends them
_NOT_SOURCES = {"target", "node_modules", "__pycache__", ".git", ".gradle", "build", "bin"}
_KEYS = set(
    "name implementation title homepage language toolchain sources build run modes os cross targets env lacks".split()
)


@dataclass
class Peer:
    """One implementation and how to start it. `why` says why it is not available; `offer` is its hello."""

    name: str
    command: List[str] = field(default_factory=list)
    env: Dict[str, str] = field(default_factory=dict)
    arguments: List[str] = field(default_factory=list)  # how the command line named it: `--peer TEXT`, `--library FILE`
    implementation: str = ""
    title: str = ""
    homepage: str = ""
    language: str = ""
    toolchain: List[Dict[str, Any]] = field(default_factory=list)
    build: List[List[str]] = field(default_factory=list)
    run: List[str] = field(default_factory=list)
    modes: List[str] = field(default_factory=list)
    os: List[str] = field(default_factory=list)
    cross: bool = False  # its build makes programs of `os` on this machine, too
    targets: List[str] = field(default_factory=list)  # fuzz targets that ask it; none: every one that asks peers
    lacks: Dict[str, str] = field(
        default_factory=dict
    )  # operations, or patterns of them -> why it offers none (offers.py)
    sources: List[str] = field(default_factory=list)  # folders, from its own, that it is made of, too
    directory: Optional[Path] = None
    kits: Optional[Path] = None
    available: bool = False
    why: str = ""
    offer: Dict[str, Any] = field(default_factory=dict)
    offers: Dict[str, Dict[str, Any]] = field(default_factory=dict)  # mode -> its hello in that mode

    @property
    def offered_modes(self) -> List[str]:
        """The modes of its hello, of which peer.toml may list a part in an order of its own."""
        offered = self.offer.get("modes", [])
        return [m for m in self.modes if m in offered] if self.modes else list(offered)

    def described(self) -> Dict[str, Any]:
        """The entry in `run.peers` of results.json."""
        keys = ("implementation", "version", "os", "modes", "lanes", "operations", "features", "traits")
        empty: Dict[str, Any] = {k: [] if k in ("modes", "operations", "features", "traits") else "" for k in keys}
        entry: Dict[str, Any] = {"name": self.name, "available": self.available, "why": self.why, **empty}
        entry["implementation"] = self.implementation
        entry.update({k: self.offer[k] for k in keys if k in self.offer})
        entry.update({k: getattr(self, k) for k in ("arguments", "title", "homepage", "language")})
        parts = ("lanes", "operations", "features", "traits")
        entry["by_mode"] = {mode: {k: offer[k] for k in parts} for mode, offer in self.offers.items()}
        return entry


def _check(raw: Dict[str, Any], file: Path) -> None:
    for key in ("name", "run"):
        if not raw.get(key):
            raise CannotRun(f"{file}: `{key}` is missing")
    unknown = sorted(set(raw) - _KEYS)
    if unknown:
        raise CannotRun(f"{file}: unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,62}", raw["name"]) or raw["name"] == REFERENCE:
        raise CannotRun(f"{file}: the name {raw['name']!r} is no name of a peer")
    if not isinstance(raw.get("cross", False), bool):
        raise CannotRun(f"{file}: `cross` is true or false")
    for argv in [raw["run"], *raw.get("build", [])]:
        if not isinstance(argv, list) or not argv or not all(isinstance(a, str) for a in argv):
            raise CannotRun(f"{file}: `run` is a list of texts and `build` a list of such lists")


def load_directory(directory: Path, kits: Optional[Path] = None) -> Peer:
    """The peer that `directory`/peer.toml describes; raises CannotRun with what is wrong in it."""
    file = directory / "peer.toml"
    try:
        with open(file, "rb") as opened:
            raw = tomllib.load(opened)
    except OSError as error:
        raise CannotRun(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise CannotRun(f"{file} is no TOML: {error}") from error
    _check(raw, file)
    env = raw.get("env", {})
    if isinstance(env, list):  # names that are passed on
        env = {name: os.environ[name] for name in env if name in os.environ}
    return Peer(
        name=raw["name"],
        implementation=raw.get("implementation", raw["name"]),
        title=raw.get("title", raw["name"]),
        homepage=raw.get("homepage", ""),
        language=raw.get("language", ""),
        toolchain=raw.get("toolchain", []),
        build=raw.get("build", []),
        run=raw["run"],
        modes=raw.get("modes", []),
        os=raw.get("os", []),
        cross=raw.get("cross", False),
        targets=raw.get("targets", []),
        lacks=raw.get("lacks", {}),
        sources=raw.get("sources", []),
        env={k: str(v) for k, v in env.items()},
        directory=directory.resolve(),
        kits=kits,
    )


def load_all(root: Path) -> Dict[str, Peer]:
    """The peers in conformance/peers by name, in the order of their names."""
    found: Dict[str, Peer] = {}
    for file in sorted((root / "conformance/peers").glob("*/peer.toml")):
        peer = load_directory(file.parent, root / "conformance/kits")
        if peer.name in found:
            raise CannotRun(f"{file}: the name {peer.name!r} is taken by {found[peer.name].directory}")
        found[peer.name] = peer
    return dict(sorted(found.items()))


def _ask(command: List[str]) -> "Optional[subprocess.CompletedProcess[str]]":
    """What a tool answers with an empty standard input; None if it cannot be asked."""
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def missing_tool(peer: Peer) -> str:
    """Which program the peer needs and this machine lacks, as a sentence; empty if there is everything.

    Of a tool, `version` is the command that tells its version, and `minimum` the least one that will do; or `part`
    names something that is installed beside it, and `check` is a command that succeeds if that is there.
    """
    for tool in peer.toolchain:
        program, minimum = tool["program"], str(tool.get("minimum", ""))
        wanted = f"{program} {minimum} or newer".replace("  ", " ") if minimum else program
        if not shutil.which(program):
            return f"needs {wanted}, which is not installed"
        if "check" in tool:
            done = _ask(tool["check"])
            if done is None or done.returncode != 0:
                return f"needs {program} with {tool['part']}, which is not installed"
            continue
        done = _ask(tool.get("version", [program, "--version"]))
        if done is None:
            return f"needs {wanted}, but asking {program} for its version failed"
        if minimum:
            said = re.search(r"\d+(?:\.\d+)*", done.stdout + done.stderr)
            if done.returncode != 0 or not said:
                words = printable(clip((done.stderr + done.stdout).strip(), 120)) or "nothing"
                return f"needs {wanted}, but {program} did not tell its version: it said {words}"
            if Version(said.group()) < Version(minimum):
                return f"needs {wanted}, found {said.group()}"
    return ""


def _sources(peer: Peer) -> Iterator[Path]:
    """Every file that the peer is made of: its folder, and the kit of its language (all of them if it has none)."""
    assert peer.directory is not None
    places = [peer.directory, *(peer.directory / source for source in peer.sources)]
    if peer.kits is not None and peer.kits.is_dir():
        own = peer.kits / peer.language.lower()
        places.append(own if peer.language and own.is_dir() else peer.kits)
    for place in places:
        for folder, folders, files in os.walk(place):
            folders[:] = sorted(f for f in folders if f not in _NOT_SOURCES)
            for name in sorted(files):
                if not name.endswith(".pyc"):
                    yield Path(folder) / name


def out_dir(peer: Peer) -> Path:
    """Where the peer's build goes: its name says from which sources, so that a change makes a new one."""
    digest = hashlib.sha256()
    for path in _sources(peer):
        digest.update(str(path).encode("utf-8", "surrogateescape") + b"\0")
        digest.update((path.read_bytes() if path.is_file() else b"") + b"\0")
    return cache_dir() / "peers" / f"{peer.name}-{digest.hexdigest()[:16]}"


def _substituted(peer: Peer, argv: List[str], out: Path) -> List[str]:
    return [a.replace("{dir}", str(peer.directory)).replace("{out}", str(out)) for a in argv]


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Holds a lock that other runs of this user wait for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if fcntl is not None:
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def build(peer: Peer, progress: Callable[[str], None], force: bool = False) -> str:
    """Build the peer unless that was done, and set its command; returns why it could not, or an empty text."""
    out = out_dir(peer)
    peer.command = _substituted(peer, peer.run, out)
    peer.env = {k: _substituted(peer, [v], out)[0] for k, v in peer.env.items()}
    done = out / ".built"
    with _locked(out.with_name(out.name + ".lock")):
        if done.exists() and not force:
            return ""
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        if peer.build:
            progress(f"building {peer.name}")
        with open(out.with_name(out.name + ".log"), "wb") as log:
            for argv in peer.build:
                argv = _substituted(peer, argv, out)
                log.write(f"$ {shlex.join(argv)}\n".encode("utf-8", "surrogateescape"))
                log.flush()
                try:
                    process = BUILDS.start(argv, None, peer.directory, Path(log.name))
                except OSError as error:
                    return f"its build failed: {argv[0]}: {error.strerror}"
                if process is None:
                    return "its build was interrupted"
                status = process.wait()
                BUILDS.finished(process)
                if status != 0:
                    return f"its build failed: `{clip(shlex.join(argv), 200)}` gave {status}; see {log.name}"
        done.touch()
    return ""


def prepare(peer: Peer, system: System, progress: Callable[[str], None]) -> None:
    """Make a peer with a folder ready: checks system and toolchain, builds, asks `hello`; fills `available`, `why`."""
    if peer.os and system.name not in peer.os:
        peer.why = f"{', '.join(peer.os)} only"
    elif not system.runs_here and not peer.cross:
        peer.why = f"its toolchain builds for this machine, not for {system.name}"
    else:
        peer.why = missing_tool(peer) or build(peer, progress)
    if not peer.why:
        greet(peer, system)


def greet(peer: Peer, system: System) -> None:
    """Ask `hello` and note the answer in the peer, whose command becomes what programs of the system take."""
    peer.command = system.command(peer.command)
    command, environment = system.started(peer.command), {**system.environment(), **peer.env}
    try:
        peer.offer = hello.probe(command, environment)
        for mode in peer.offered_modes:
            first = mode == peer.offer["modes"][0]
            peer.offers[mode] = peer.offer if first else hello.probe(command, environment, mode=mode)
    except hello.PeerError as error:
        peer.why = str(error)
        return
    peer.implementation = peer.offer["implementation"]
    if not peer.offered_modes:
        peer.why = f"peer.toml lists the modes {', '.join(peer.modes)}, of which its hello offers none"
    elif not any(set(offer["operations"]) - hello.CONTROL for offer in peer.offers.values()):
        peer.why = "it offers nothing: its hello lists no operation but hello, configure, reset and pending"
    else:
        peer.available = True


def unique(name: str, taken: List[str]) -> str:
    """`name`, or with ` (command)` or ` (command 2)` behind it, so that it is not `taken`."""
    name = printable(clip(name, 80))
    candidates = [name, f"{name} (command)"] + [f"{name} (command {n})" for n in range(2, len(taken) + 3)]
    return next(c for c in candidates if c not in taken)


def check_library(file: Path) -> None:
    """Raise CannotRun if this cannot be a shared library."""
    if file.is_dir():
        raise CannotRun(f"--library {file}: is a directory; name the shared library in it")
    if not file.is_file():
        raise CannotRun(f"--library {file}: no such file")


def library(file: Path, generic_peer: Path, taken: List[str], system: System) -> Peer:
    """The peer for a shared library that exports the C ABI, named as the library names itself."""
    check_library(file)
    peer = Peer("", command=generic_command(generic_peer, file), title=file.name, language="C ABI")
    peer.arguments = ["--library", str(file.resolve())]
    greet(peer, system)
    if not peer.available:
        # The generic peer and the dynamic loader both begin with the path, which stands here already.
        raise CannotRun(f"--library {file}: {peer.why.replace(f'{printable(system.path(file.resolve()))}: ', '')}")
    peer.name = unique(peer.implementation, taken)
    return peer


def generic_command(generic_peer: Path, file: Path) -> List[str]:
    """How the generic peer is started for a library."""
    return [str(generic_peer), "--library", str(file.resolve())]


def unknown(text: str, known: List[str]) -> CannotRun:
    """The error for a text that is neither a known name nor a command."""
    return CannotRun(f"{printable(text)!r} is neither a known peer nor a program; known peers: {', '.join(known)}")


def is_command(text: str) -> bool:
    """Whether the text, split as a shell splits, begins with a program that can be started."""
    try:
        argv = shlex.split(text)
    except ValueError:
        return False
    return bool(argv) and shutil.which(argv[0]) is not None


def absolute_command(text: str) -> List[str]:
    """The COMMAND as arguments, of which its program, and those that name a file from here, name it from anywhere.

    An argument that begins with `-` is an option and stays as it is.
    """
    argv = shlex.split(text)
    program = os.path.abspath(shutil.which(argv[0]) or argv[0])
    return [program, *(os.path.abspath(a) if not a.startswith("-") and os.path.isfile(a) else a for a in argv[1:])]


def _as_text(text: str, command: List[str]) -> str:
    """The COMMAND as it can be given in any directory: its program as it was typed if PATH finds it."""
    typed = shlex.split(text)[0]
    return shlex.join([command[0] if os.sep in typed else typed, *command[1:]])


def from_text(text: str, known: List[str], taken: List[str], may_build: bool, system: System, progress: Any) -> Peer:
    """The peer for a COMMAND, or for a folder with a peer.toml, which is built only if `may_build`."""
    if (Path(text) / "peer.toml").is_file():
        if not may_build:
            raise CannotRun(f"{text} is a folder: building it runs what its peer.toml says; add --build to allow that")
        peer = load_directory(Path(text))
        peer.arguments = ["--peer", str(peer.directory), "--build"]
        prepare(peer, system, progress)
        if not peer.available:
            raise CannotRun(f"{text}: {peer.why}")
        peer.name = unique(peer.name, taken)
        return peer
    if not is_command(text):
        raise unknown(text, known)
    peer = Peer("", command=absolute_command(text), title=text)
    peer.arguments = ["--peer", _as_text(text, peer.command)]
    greet(peer, system)
    if not peer.available:
        raise CannotRun(f"{printable(text)}: {peer.why}")
    peer.name = unique(peer.implementation, taken)
    return peer
