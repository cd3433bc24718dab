"""Where cases run: on this machine as it is, or as programs of Windows under Wine on Linux.

A system says how its programs are built, how they are started from here, and how they call the files that lie here. A
run asks it for these and holds no branch of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from cts.common import CannotRun, cache_dir, host_system, printable

_WINE = "windows"  # what --os says for it on Linux
# Wine asks nobody at a screen and writes nothing that programs did not say.
# Its narrow strings are UTF-8 where the locale is.
_WINE_ENVIRONMENT = {"WINEDEBUG": "-all", "LC_ALL": "C.UTF-8"}
_START_S = 20.0
_END_S = 20.0


class System:
    """The machine as it is."""

    bazel_flags: Tuple[str, ...] = ()

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

    def begin(self, root: Path, work: Path, progress: Callable[[str], None]) -> None:
        """Have ready, with its files below `work`, what programs need while they run; `root` is the checkout."""

    def end(self) -> None:
        """End what `begin` began; may be called more than once."""


class Wine(System):
    """Windows programs under Wine: a prefix and a wineserver for this run alone."""

    bazel_flags = ("--config=windows",)

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


def system_of(label: str) -> str:
    """The system whose column applies to a label: `windows-wine-8.0` is `windows`, `gvisor` is `linux`."""
    return {"gvisor": "linux"}.get(label, label.split("-")[0])


def labels() -> Tuple[str, ...]:
    """What `--os` may say here."""
    return (host_system(), _WINE) if host_system() == "linux" else (host_system(),)


def named(label: str) -> System:
    """The system for what `--os` says; raises CannotRun if it cannot be had here."""
    if label not in labels():
        raise CannotRun(f"--os {printable(label)}: no label of this system; valid here: {', '.join(labels())}")
    return Wine() if label == _WINE and host_system() == "linux" else System(label)
