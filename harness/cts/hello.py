"""Asks a peer who it is and what it offers in each of its modes (spec/peer_protocol.md, 5.1 and 7)."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Optional

from cts.common import clip, printable

LINE_BYTES_MAX = 65536
DEADLINE_S = 30.0
CONTROL = frozenset(("hello", "configure", "reset", "pending", "cancel"))  # what a peer answers without its library
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "SYSTEMROOT")


class PeerError(Exception):
    """The peer did not start, or did not answer `hello` as the protocol wants; the message says what it did."""


class _Ended(Exception):
    """The peer's output ended before the answer."""


def peer_environment(extra: Dict[str, str]) -> Dict[str, str]:
    """The scrubbed environment that a peer gets: what spec/peer_protocol.md (8.1) names, and `extra`."""
    kept = {k: v for k, v in os.environ.items() if k in PASSED_ON or k.startswith("CTS_")}
    kept.update(extra)
    return kept


def _arrived(fd: int, timeout_s: float) -> bool:
    """Wait until a pipe can be read without waiting, or has ended; false if `timeout_s` passed first."""
    if os.name != "nt":
        return bool(select.select([fd], [], [], timeout_s)[0])
    import ctypes
    import msvcrt  # Windows alone, where pipes cannot be waited for with a deadline

    until = time.monotonic() + timeout_s
    there = ctypes.c_ulong(0)
    handle = ctypes.c_void_p(msvcrt.get_osfhandle(fd))  # type: ignore[attr-defined]
    peek = ctypes.windll.kernel32.PeekNamedPipe  # type: ignore[attr-defined]
    while peek(handle, None, 0, None, ctypes.byref(there), None) and there.value == 0:
        if time.monotonic() >= until:
            return False
        time.sleep(0.001)
    return True


def _read_line(fd: int, deadline_s: float, operation: str) -> bytes:
    """The next line from `fd`; raises _Ended at the end of output, PeerError past the deadline or if it is too long.

    Nothing behind the line is taken, because nothing may be there: no other request is outstanding.
    """
    until = time.monotonic() + deadline_s
    data = b""
    while b"\n" not in data:
        left = until - time.monotonic()
        if left <= 0 or not _arrived(fd, left):
            raise PeerError(f"no answer to {operation} within {deadline_s:g} s")
        part = os.read(fd, LINE_BYTES_MAX)
        if not part:
            raise _Ended
        data += part
        if len(data) > LINE_BYTES_MAX:
            raise PeerError(f"its answer to {operation} exceeds {LINE_BYTES_MAX} bytes")
    return data.split(b"\n", 1)[0]


def _texts(reply: Dict[str, Any], key: str) -> List[str]:
    value = reply.get(key, [])
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise PeerError(f"`{key}` in its hello is no list of texts")
    return value


def _ok(line: bytes, number: int, operation: str) -> Dict[str, Any]:
    """The reply in `line`, which must be `ok` to request `number`; raises PeerError if it is not."""
    try:
        reply = json.loads(line.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise PeerError(f"its answer to {operation} is no JSON: {printable(clip(repr(line), 200))}") from error
    if not isinstance(reply, dict) or reply.get("id") != number or reply.get("status") != "ok":
        raise PeerError(f"it did not answer {operation} with ok: {printable(clip(repr(line), 200))}")
    return reply


def parse(line: bytes, number: int = 1) -> Dict[str, Any]:
    """The offer in the reply `line` to request `number`; raises PeerError if it is none."""
    reply = _ok(line, number, "hello")
    offer: Dict[str, Any] = {}
    for key in ("implementation", "version", "os", "lanes"):
        if not isinstance(reply.get(key, ""), str):
            raise PeerError(f"`{key}` in its hello is no text")
        offer[key] = clip(reply.get(key, ""), 200)
    for key in ("modes", "operations", "features", "traits"):
        offer[key] = _texts(reply, key)
    if not offer["implementation"] or not offer["modes"]:
        raise PeerError("its hello names no implementation or no mode")
    return offer


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the peer: by closing its input, else by killing its process group."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.close()
    except OSError:
        pass
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        pass
    finally:
        if hasattr(os, "killpg"):
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        elif process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def _how_it_ended(process: "subprocess.Popen[bytes]", operation: str) -> str:
    """What became of a peer whose output has ended, as a sentence."""
    try:
        status = process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        return f"it closed its output without an answer to {operation}"
    if status >= 0:
        return f"it ended with exit status {status}, without an answer to {operation}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"it was ended by {name}, without an answer to {operation}"


def _ask(process: "subprocess.Popen[bytes]", mode: str, deadline_s: float) -> Dict[str, Any]:
    """Ask a fresh peer for its offer; with a mode, choose that first."""
    assert process.stdin is not None and process.stdout is not None
    requests: List[Dict[str, Any]] = [{"op": "hello", "protocol": 1}]
    if mode:
        requests += [{"op": "configure", "mode": mode}, {"op": "hello", "protocol": 1}]
    offer: Dict[str, Any] = {}
    for number, request in enumerate(requests, 1):
        try:
            process.stdin.write(json.dumps({"id": number, **request}).encode() + b"\n")
        except BrokenPipeError:
            pass  # it is gone; reading says so
        try:
            line = _read_line(process.stdout.fileno(), deadline_s, request["op"])
        except _Ended:
            raise PeerError(_how_it_ended(process, request["op"])) from None
        if request["op"] == "hello":
            offer = parse(line, number)
        else:
            _ok(line, number, f"configure ({mode})")
    return offer


@contextmanager
def _fresh_directory() -> Iterator[str]:
    directory = tempfile.mkdtemp(prefix="cts-hello-")
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def probe(
    command: List[str], env: Optional[Dict[str, str]] = None, deadline_s: float = DEADLINE_S, mode: str = ""
) -> Dict[str, Any]:
    """Start the peer, ask what it offers (in `mode`, or in its first), end it; returns the offer.

    It runs in an empty directory of its own, as in the cases, so that a name relative to another directory is found
    out here. Raises PeerError, which quotes the peer's last words.
    """
    with tempfile.TemporaryFile() as errors, _fresh_directory() as directory:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=peer_environment(env or {}),
                cwd=directory,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            raise PeerError(f"{command[0]} does not start: {error}") from error
        try:
            return _ask(process, mode, deadline_s)
        except PeerError as error:
            _end(process)
            errors.seek(0, os.SEEK_END)
            errors.seek(max(0, errors.tell() - 2000))
            words = errors.read().decode("utf-8", "replace").strip()
            said = f"; its last words: {printable(clip(words[-300:], 300))}" if words else ""
            raise PeerError(f"{error}{said}") from None
        finally:
            _end(process)
