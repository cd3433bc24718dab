"""What every part of the harness shares: where things are, how it refuses, and how foreign text is shown."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import Dict, List, Tuple

VERSION = "0.1.0"

OUTCOMES: Tuple[str, ...] = (
    "passed",
    "failed",
    "hung",
    "crashed",
    "expected_failure",
    "unexpected_pass",
    "flaky",
    "not_applicable",
    "unavailable",
    "unverifiable",
)
FAILING = ("failed", "hung", "crashed")
GATING = (*FAILING, "flaky", "unexpected_pass")
ROLES = ("server", "client", "peer")
MODES = ("blocking", "nonblocking", "async")
IN_PROCESS = "abi"  # in place of a mode: a library in the process that calls it, without a peer


class CannotRun(Exception):
    """The command cannot be carried out; the message says why and what to do. Exit status 2."""


class Interrupted(BaseException):
    """SIGINT, SIGTERM or SIGHUP arrived. Not an Exception, so that no handler of errors swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def repository_root() -> Path:
    """The checkout that this package lies in."""
    return Path(__file__).resolve().parents[2]


def cache_dir() -> Path:
    """Where builds of peers are kept: below $XDG_CACHE_HOME or ~/.cache. Not created here."""
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(base if base and os.path.isabs(base) else Path.home() / ".cache") / "ipc-cts"


def host_system() -> str:
    """Name of this system as the peer protocol spells it."""
    names = {"Linux": "linux", "Darwin": "macos", "FreeBSD": "freebsd", "Windows": "windows"}
    return names.get(platform.system(), platform.system().lower())


def system_of(label: str) -> str:
    """The system whose requirements hold for a label: `windows-wine-8.0` is windows, gVisor has Linux's interface."""
    return "linux" if label == "gvisor" else label.partition("-")[0]


def host() -> Dict[str, object]:
    """The machine, for the head of a report."""
    return {
        "os": host_system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": len(cores()),
    }


def cores() -> List[int]:
    """The cores this process may use; where the system does not say, as many as there are."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


# C0 and C1 controls, DEL, lone surrogates, and what turns or hides text: bidirectional marks and zero-width characters.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)


def _escape(match: "re.Match[str]") -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def printable(text: object, lines: bool = False) -> str:
    r"""Text that somebody else chose, safe for a terminal, XML and logs: what controls a terminal becomes `\xNN`.

    Tabs become spaces. Newlines stay only if `lines`; otherwise they are shown as `\n`.
    """
    shown = _UNPRINTABLE.sub(_escape, str(text).replace("\t", " ").replace("\r\n", "\n"))
    return shown if lines else shown.replace("\n", "\\n")


def clip(text: str, most: int) -> str:
    """The text, cut to `most` characters with a mark that says so."""
    return text if len(text) <= most else text[: most - 1] + "…"


def plural(count: int, noun: str) -> str:
    """`1 case`, `2 cases`, `2 passes`."""
    ending = "" if count == 1 else "es" if noun.endswith(("s", "x", "ch")) else "s"
    return f"{count} {noun}{ending}"


def say(text: str) -> None:
    """A line to standard error: progress and remarks, never results."""
    print(text, file=sys.stderr, flush=True)
