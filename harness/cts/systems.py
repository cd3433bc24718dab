"""The systems that cases can run on from here: this one, and gVisor, another kernel with Linux's interface.

A system says how the runner (with the peers it starts) and a single peer are started on it. What it needs and is not
there it fetches at the first use, if that may be (`--yes`, `CI`, or a terminal's answer).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Callable, Dict, List, Tuple

from packaging.version import Version

from cts.common import CannotRun, cache_dir, clip, host, host_system, printable, say, system_of

# The kernel that expectations and traces of `gvisor` speak of. A change here asks for both to be made anew.
GVISOR_MODULE = "gvisor.dev/gvisor/runsc"
GVISOR_VERSION = "v0.0.0-20260905035102-160fafc42237"
_GO_MINIMUM = "1.26.3"  # of that version's go.mod


class System:
    """The system that the harness runs on: programs start as they are."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.name = system_of(label)

    def prepare(self, options: object, progress: Callable[[str], None]) -> None:
        """See to what running there needs; raises CannotRun with what is missing."""

    def peer(self, command: List[str]) -> List[str]:
        """How a single peer is started there."""
        return command

    def work_dir(self, directory: Path, name: str) -> Path:
        """Where a runner has its files: in `directory`, unless the system has a better place for `name`."""
        made = directory / "work"
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made

    def runner(self, argv: List[str], directory: Path, work_dir: Path) -> List[str]:
        """How a runner is started there. It writes to `directory`, and its cases to `work_dir`."""
        return argv

    def host(self) -> Dict[str, object]:
        """The machine, for the head of a report."""
        return host()


def _may_install(options: object, what: str) -> bool:
    """The launcher's rule for what a run fetches."""
    if getattr(options, "no_install", False):
        return False
    if getattr(options, "yes", False) or os.environ.get("CI"):
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(f"cts: {what}")
    print("Do it now? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


class Gvisor(System):
    """Linux's interface by gVisor, whose `runsc do` runs a program in a sandbox.

    The sandbox sees this machine's files. What cases make lies in a memory file system of its own, which ends with it;
    only records and traces are written through.
    """

    _FLAGS = ("--rootless", "--network=none", "--platform=systrap", "--ignore-cgroups")

    def __init__(self) -> None:
        super().__init__("gvisor")
        self._program = cache_dir() / "gvisor" / GVISOR_VERSION / "runsc"

    def prepare(self, options: object, progress: Callable[[str], None]) -> None:
        if host_system() != "linux":
            raise CannotRun("--os gvisor: gVisor runs on Linux alone")
        if self._program.exists():
            return
        go = shutil.which("go")
        if go is None:
            raise CannotRun(f"--os gvisor: gVisor is built by Go {_GO_MINIMUM} or newer, which is not installed")
        said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, errors="replace").stdout
        version = re.search(r"\d+(\.\d+)+", said)
        if version is None or Version(version.group()) < Version(_GO_MINIMUM):
            raise CannotRun(f"--os gvisor: needs Go {_GO_MINIMUM} or newer, found {printable(said.strip()) or 'none'}")
        command = [go, "install", "-p", "1", f"{GVISOR_MODULE}@{GVISOR_VERSION}"]
        if not _may_install(options, f"gVisor {GVISOR_VERSION} is fetched and built (minutes): {shlex.join(command)}"):
            raise CannotRun(f"--os gvisor: gVisor {GVISOR_VERSION} is not built yet; run again with --yes to have it")
        progress("building gVisor")
        self._build(command)

    def _build(self, command: List[str]) -> None:
        aside = self._program.parent.with_name(f".{GVISOR_VERSION}-{os.getpid()}")
        aside.mkdir(parents=True, exist_ok=True)
        try:
            # With cgo every sandbox ends before its program starts.
            environment = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(aside), "GOFLAGS": "-mod=mod"}
            done = subprocess.run(command, env=environment, cwd=aside, capture_output=True, text=True, errors="replace")
            if done.returncode != 0 or not (aside / "runsc").exists():
                raise CannotRun(f"gVisor cannot be built:\n{printable(clip(done.stderr[-2000:], 2000), lines=True)}")
            self._program.parent.mkdir(parents=True, exist_ok=True)
            os.replace(aside / "runsc", self._program)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def _do(self, *options: str) -> List[str]:
        return [str(self._program), *self._FLAGS, *options, "do", "-quiet"]

    def peer(self, command: List[str]) -> List[str]:
        return [*self._do(), *command]

    def work_dir(self, directory: Path, name: str) -> Path:
        return Path("/dev/shm") / name

    def runner(self, argv: List[str], directory: Path, work_dir: Path) -> List[str]:
        # The shell stays: a runner that is process 1 would be what every orphan falls to, and what signals spare.
        script = 'mkdir -m 700 "$0" && "$@"; exit $?'
        state = directory / "runsc"
        return [*self._do(f"--root={state}"), "-force-overlay=false", "sh", "-c", script, str(work_dir), *argv]

    def host(self) -> Dict[str, object]:
        return {**host(), "kernel": f"gVisor {GVISOR_VERSION}"}


def labels() -> Tuple[str, ...]:
    """The labels that `--os` may have here."""
    return (host_system(), "gvisor") if host_system() == "linux" else (host_system(),)


def of(label: str) -> System:
    """The system of a label; raises CannotRun for one that is none here."""
    if label not in labels():
        raise CannotRun(f"--os {printable(label)}: no label of this system; valid here: {', '.join(labels())}")
    return Gvisor() if label == "gvisor" else System(label)
