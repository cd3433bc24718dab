"""The directory that a run works in, and the sweep of those whose run is dead.

A directory is named `cts-<8 digits of the run id>-<random>`, has mode 0700 and holds a file `lock` that its run keeps
locked (flock) as long as it lives, so the system tells the living from the dead and no process id is trusted.
Its `names` is where cases make sockets and FIFOs: on Linux such a directory in memory, as long as TMPDIR says nothing
else. Disk file systems are slow to make names where they have just removed some: ext4 uses no inode again that it has
removed in the last seconds, and looks for another one.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import List, Optional, Tuple, Type

from cts.common import CannotRun

try:
    import fcntl
except ImportError:  # Windows: nothing is swept there
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"cts-[0-9a-f]{8}-[A-Za-z0-9_]{8}$")
_LOCK = "lock"
NAMES = "names"


def _stale(directory: Path) -> Optional[int]:
    """A descriptor of the directory's lock, now ours, if its run is dead; None if it lives or is none of ours."""
    assert fcntl is not None
    try:
        dir_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = os.fstat(dir_fd)
        if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) != 0o700:
            return None
        lock_fd = os.open(_LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=dir_fd)
    except OSError:
        return None
    finally:
        os.close(dir_fd)
    try:
        if os.fstat(lock_fd).st_uid != os.getuid():
            raise OSError("not ours")
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock_fd
    except OSError:
        os.close(lock_fd)
        return None


def sweep() -> List[Path]:
    """Remove the work directories of dead runs of this user; returns those removed."""
    removed: List[Path] = []
    if fcntl is None:
        return removed
    for found in (Path(parent) / name for parent in {_parent(), _names_parent()} for name in os.listdir(parent)):
        lock_fd = _stale(found) if _NAME.match(found.name) else None
        if lock_fd is None:
            continue
        try:
            shutil.rmtree(found, ignore_errors=True)
            removed.append(found)
        finally:
            os.close(lock_fd)
    return removed


# A case pads paths to the 103 bytes that every Unix has for a socket; below its work directory it needs about 45.
_PARENT_MAX = 50


def _parent() -> str:
    """Where work directories go: TMPDIR, or /tmp if that is too long for the names of sockets."""
    parent = os.path.realpath(tempfile.gettempdir())
    if len(os.fsencode(parent)) <= _PARENT_MAX:
        return parent
    if os.access("/tmp", os.W_OK | os.X_OK):
        return "/tmp"
    raise CannotRun(f"TMPDIR is too long for the names of sockets ({parent}), and /tmp cannot be written to")


MEMORY = "/dev/shm"  # a file system in memory that everybody can write to, where Linux has one


def _names_parent() -> str:
    """Where the directories for names go."""
    return MEMORY if "TMPDIR" not in os.environ and os.access(MEMORY, os.W_OK | os.X_OK) else _parent()


def _made(run_id: str, parent: str) -> Tuple[Path, int]:
    """A new directory there, and the descriptor that keeps it locked."""
    path = Path(tempfile.mkdtemp(prefix=f"cts-{run_id[:8]}-", dir=parent))
    # Locked before it gets the name that a sweep looks for: there is no moment in which it looks dead.
    fd = os.open(path / "lock.new", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    if fcntl is not None:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.rename(path / "lock.new", path / _LOCK)
    return path, fd


class WorkDir:
    """A context manager that makes the directory of run `run_id`, keeps it locked, and removes it at the end."""

    def __init__(self, run_id: str) -> None:
        parents = [_parent()] if _names_parent() == _parent() else [_parent(), _names_parent()]
        self._made = [_made(run_id, parent) for parent in parents]
        self.path = self._made[0][0]
        if len(self._made) > 1:
            (self.path / NAMES).symlink_to(self._made[1][0])

    def __enter__(self) -> Path:
        return self.path

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        for path, fd in self._made:
            shutil.rmtree(path, ignore_errors=True)
            os.close(fd)
