"""Processes of a run: started in groups of their own, waited for without polling, and ended with all they started."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Callable, Dict, List, Optional, Set

_PR_SET_CHILD_SUBREAPER = 36


def become_subreaper() -> None:
    """From now on orphans of our children become our children (Linux), so that none outlives the run unseen."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _children() -> List[int]:
    pids: List[int] = []
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            pids += [int(p) for p in task.read_text().split()]
        except OSError:
            continue
    return pids


def _signal_group(process: "subprocess.Popen[bytes]", name: str) -> None:
    """Send the signal of that name to the group that the process leads; where there are no groups, end the process.

    (A runner's peers end with it there: they are in jobs of its own.)
    """
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, getattr(signal, name))
        else:
            process.terminate()
    except (ProcessLookupError, PermissionError):
        pass


class Group:
    """The processes that one run has under way. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Dict[int, "subprocess.Popen[bytes]"] = {}
        self._ended = False

    @property
    def ended(self) -> bool:
        """Whether end() was called."""
        return self._ended

    def start(
        self, argv: List[str], env: Optional[Dict[str, str]], cwd: Optional[Path], output: Path
    ) -> "Optional[subprocess.Popen[bytes]]":
        """Start a program with both outputs appended to a file; None if the run is being ended."""
        with self._lock, open(output, "ab") as out:
            if self._ended:
                return None
            process = subprocess.Popen(
                argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )
            self._running[process.pid] = process
            return process

    def finished(self, process: "subprocess.Popen[bytes]") -> None:
        """The process has been waited for; what it left of its group is killed."""
        _signal_group(process, "SIGKILL")
        with self._lock:
            self._running.pop(process.pid, None)

    def end(self, grace_s: float = 2.0) -> None:
        """End every process: SIGTERM, and SIGKILL for what is there after `grace_s`; starts nothing any more."""
        with self._lock:
            self._ended = True
            running = list(self._running.values())
        for process in running:
            _signal_group(process, "SIGTERM")
        until = time.monotonic() + grace_s
        for process in running:
            wait(process, max(0.0, until - time.monotonic()))
        for process in running:
            _signal_group(process, "SIGKILL")

    def reap_orphans(self) -> int:
        """Kill and reap what our children left behind; returns how many. Only when nothing of the run is under way."""
        ended: Set[int] = set()
        while True:
            with self._lock:
                pids = [p for p in _children() if p not in self._running and p not in ended]
            if not pids:
                return len(ended)
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                except (ProcessLookupError, ChildProcessError, PermissionError):
                    pass
                ended.add(pid)


def _exited(pid: int) -> bool:
    """Whether our child has ended; leaves its status to whoever waits for it."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    """Wait until the process has ended, without reaping it; false if `timeout_s` passed first."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "pidfd_open"):
        try:
            process.wait(timeout_s)
            return True
        except subprocess.TimeoutExpired:
            return False
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:  # reaped already, or a kernel without it
        try:
            process.wait(timeout_s)
            return True
        except subprocess.TimeoutExpired:
            return False
    try:
        return bool(select.select([fd], [], [], timeout_s)[0]) or _exited(process.pid)
    finally:
        os.close(fd)


def wait_while_it_moves(
    process: "subprocess.Popen[bytes]", moved: Callable[[], object], idle_s: float, group: Group
) -> Optional[int]:
    """Wait for the end; returns the status, or None if `moved()` did not change for `idle_s` and it was killed."""
    last, since = moved(), time.monotonic()
    killed = False
    while not wait(process, 1.0):
        now = moved()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > idle_s:
            _signal_group(process, "SIGKILL")
            killed = True
            break
    status = process.wait()
    group.finished(process)
    return None if killed else status
