"""Where cases run: on this machine as it is, as programs of Windows under Wine, or on gVisor, another kernel.

A system says how its programs are built, how they are started from here, and how they call the files that lie here. A
run asks it for these and holds no branch of its own. What it needs and is not there it fetches at the first use, if
that may be (`--yes`, `CI`, or a terminal's answer).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from packaging.version import Version

from cts import workdir
from cts.common import CannotRun, cache_dir, clip, host, host_system, printable, say, system_of

_WINE = "windows"  # what --os says for it on Linux
# Wine asks nobody at a screen and writes nothing that programs did not say.
# Its narrow strings are UTF-8 where the locale is.
_WINE_ENVIRONMENT = {"WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
# The kernel that expectations and traces of `gvisor` speak of. A change here asks for both to be made anew.
GVISOR_MODULE = "gvisor.dev/gvisor/runsc"
GVISOR_VERSION = "v0.0.0-20260905035102-160fafc42237"
_GO_MINIMUM = "1.26.3"  # of that version's go.mod
_START_S = 20.0
_END_S = 20.0


class System:
    """The machine as it is."""

    bazel_flags: Tuple[str, ...] = ()
    emulated = False  # programs start and run slower there
    only_the_reference = False  # and --library: it takes no peers with programs of their own

    def __init__(self, label: str) -> None:
        self.label = label

    @property
    def name(self) -> str:
        """The system whose column in a requirement holds."""
        return system_of(self.label)

    @property
    def runs_here(self) -> bool:
        """Whether it is what this machine is, so that what its tools build runs there."""
        return self.name == host_system()

    def program(self, name: str) -> str:
        """The file that Bazel makes of the program `name`."""
        return f"{name}.exe" if self.name == "windows" else name

    def library(self, name: str) -> str:
        """The file that Bazel makes of the shared library `name`."""
        return {"windows": f"{name}.dll", "macos": f"lib{name}.dylib"}.get(self.name, f"lib{name}.so")

    def path(self, path: Path) -> str:
        """What its programs call a file that lies here."""
        return str(path)

    def command(self, argv: Sequence[str]) -> List[str]:
        """The arguments as its programs take them: those that name a file from here name it from there."""
        return list(argv)

    def started(self, argv: Sequence[str]) -> List[str]:
        """How this process starts a command of that system."""
        return list(argv)

    def environment(self) -> Dict[str, str]:
        """Variables that `started` needs."""
        return {}

    def prepare(self, options: object, progress: Callable[[str], None]) -> None:
        """See to what running there needs; raises CannotRun with what is missing."""

    def work_dir(self, directory: Path, name: str) -> Path:
        """Where the cases of the runner of `directory` have their files, or `name` where the system has a place."""
        made = (directory.parent / workdir.NAMES).resolve() / directory.name
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made

    def runner(self, argv: List[str], directory: Path, work_dir: Path) -> List[str]:
        """How a runner is started there. It writes to `directory`, and its cases to `work_dir`."""
        return self.started(argv)

    def host(self) -> Dict[str, object]:
        """The machine, for the head of a report."""
        return host()

    def begin(self, root: Path, work: Path, progress: Callable[[str], None]) -> None:
        """Have ready, with its files below `work`, what programs need while they run; `root` is the checkout."""

    def failure(self) -> str:
        """Why nothing can run there any more, in a sentence; empty as long as it can."""
        return ""

    def end(self) -> None:
        """End what `begin` began; may be called more than once."""


class Wine(System):
    """Windows programs under Wine: a prefix and a wineserver for this run alone."""

    bazel_flags = ("--config=windows",)
    emulated = True

    def __init__(self) -> None:
        self.loader = _wine_program("wine64", "/usr/lib/wine/wine64", "wine")
        self.server_program = _wine_program("wineserver64", "/usr/lib/wine/wineserver64", "wineserver")
        super().__init__(f"windows-wine-{wine_version(self.loader)}")
        self.prefix: Optional[Path] = None
        self._server: "Optional[subprocess.Popen[bytes]]" = None

    def path(self, path: Path) -> str:
        """Drive Z: of a prefix is this machine's root."""
        return "Z:" + str(path.absolute()).replace("/", "\\")

    def command(self, argv: Sequence[str]) -> List[str]:
        return [self.path(Path(a)) if os.path.isabs(a) and os.path.exists(a) else a for a in argv]

    def started(self, argv: Sequence[str]) -> List[str]:
        return [self.loader, *argv]

    def environment(self) -> Dict[str, str]:
        assert self.prefix is not None
        # In TMPDIR the wineserver makes a directory, which it leaves behind.
        own = {"WINEPREFIX": str(self.prefix), "HOME": str(self.prefix), "TMPDIR": str(self.prefix), "DISPLAY": ""}
        return {**_WINE_ENVIRONMENT, **own}

    def begin(self, root: Path, work: Path, progress: Callable[[str], None]) -> None:
        """Make a prefix in `work` that shares the files of the one in the cache, and start its wineserver.

        Raises CannotRun if one of them cannot be.
        """
        progress("preparing Wine")
        done = subprocess.run([str(root / "ci/wine"), "--prepare"], capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            raise CannotRun(f"ci/wine --prepare failed: {printable(done.stderr[-1000:], lines=True)}")
        self.prefix = work / "wine"
        _make_prefix(cache_dir() / "wine", self.prefix)
        # In the foreground it is a child that can be waited for. It dies with this process whatever ends that, and with
        # it every program of the prefix.
        argv = ["setpriv", "--pdeathsig", "KILL", self.server_program, "--foreground", "--persistent"]
        environment = {**os.environ, **self.environment()}
        try:
            self._server = subprocess.Popen(
                argv,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise CannotRun(f"{argv[0]}: {error.strerror}") from error
        self._await_server(self._server)

    def _await_server(self, server: "subprocess.Popen[bytes]") -> None:
        """Wait until the wineserver listens: a program that found none would start one that nobody watches."""
        assert self.prefix is not None
        until = time.monotonic() + _START_S
        while not any(self.prefix.glob("wine-*/server-*/socket")):
            if server.poll() is not None or time.monotonic() > until:
                raise CannotRun(f"{self.server_program} does not start (status {server.poll()})")
            time.sleep(0.01)

    def failure(self) -> str:
        server = self._server
        if server is None or server.poll() is None:
            return ""
        status = server.returncode
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        return f"the wineserver {how}, and nothing can run without it; run again"

    def end(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        environment = {**os.environ, **self.environment()}
        subprocess.run([self.server_program, "--kill"], env=environment, capture_output=True)
        try:
            server.wait(_END_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wine_program(*names: str) -> str:
    """The first of these that is there. (Debian's `wine` is a script around the loader that says what it misses.)"""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    raise CannotRun(f"--os {_WINE} needs Wine: {names[-1]} is not installed; `./cts` says how to get it")


def wine_version(loader: str) -> str:
    """The version of Wine as a label has it: `8.0`."""
    try:
        done = subprocess.run([loader, "--version"], capture_output=True, text=True, errors="replace", timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotRun(f"{loader} --version: {error}") from error
    found = re.search(r"wine-(\d+(?:\.\d+)*)", done.stdout)
    if not found:
        raise CannotRun(f"{loader} --version says no version: {printable(done.stdout[:200])}")
    return found.group(1)


def _make_prefix(template: Path, prefix: Path) -> None:
    """A prefix with a registry of its own and the template's files (ci/bazel/toolchains/mingw/run_wine.sh)."""
    (prefix / "dosdevices").mkdir(parents=True)
    for file in [*template.glob("*.reg"), template / ".update-timestamp"]:
        shutil.copy(file, prefix)
    (prefix / "drive_c").symlink_to(template / "drive_c")
    (prefix / "dosdevices/c:").symlink_to("../drive_c")
    (prefix / "dosdevices/z:").symlink_to("/")


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

    emulated = True
    only_the_reference = True
    runs_here = False
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

    def started(self, argv: Sequence[str]) -> List[str]:
        return [*self._do(), *argv]

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
    """What `--os` may say here."""
    return (host_system(), _WINE, "gvisor") if host_system() == "linux" else (host_system(),)


def named(label: str) -> System:
    """The system for what `--os` says; raises CannotRun if it cannot be had here."""
    if label not in labels():
        raise CannotRun(f"--os {printable(label)}: no label of this system; valid here: {', '.join(labels())}")
    if label == "gvisor":
        return Gvisor()
    return Wine() if label == _WINE and host_system() == "linux" else System(label)
