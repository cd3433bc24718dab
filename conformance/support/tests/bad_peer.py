"""A peer that breaks the protocol once, in the way its argument names, and behaves otherwise.

Once: it leaves a file in its current directory, which the runner keeps for it over restarts. It offers the client role
with `local.connect` alone, and connects with the bare system calls.

With `parent` or `child` in front of the kind it offers `process.spawn` too, and it is the parent or its child that does
something wrong, always: there only one case has children. One that leaks does so at each connect, or, to warm up, at
the first. One that claims to be another process also offers to watch signals.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from typing import Any, Dict, List

OFFER: Dict[str, Any] = {
    "protocol": 1,
    "implementation": "bad",
    "version": "1",
    "os": "linux",
    "lanes": "single",
    "modes": ["blocking"],
    "operations": ["hello", "reset", "local.connect"],
    "features": ["name.path"],
    "traits": [],
}
STATUS = {"FileNotFoundError": "not_found", "ConnectionRefusedError": "refused"}


channel_in, channel_out = sys.stdin.buffer, sys.stdout.buffer


def write(text: str) -> None:
    channel_out.write(text.encode("utf-8", "surrogateescape"))
    channel_out.flush()


def answer(request: Dict[str, Any], **more: Any) -> None:
    write(json.dumps({"id": request["id"], "status": "ok", **more}) + "\n")


def misbehave(kind: str, request: Dict[str, Any]) -> None:
    if kind == "garbage":
        write("Segmentation fault, he said\n")
    elif kind == "half_and_hang":
        write('{"id":')
    elif kind == "half_and_die":
        write('{"id":')
        os._exit(0)
    elif kind == "wrong_id":
        write('{"id":987654321,"status":"ok"}\n')
    elif kind == "endless_line":
        for _ in range(1024):
            write("x" * 65536)
    elif kind == "dies":
        os._exit(3)
    elif kind == "killed":
        print("last words on standard error", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGSEGV)
    elif kind == "flood":
        while True:
            write('{"id":%d,"event":"begun","tid":0}\n' % request["id"])
    elif kind == "bad_status":
        answer(request, status="splendid")
    elif kind == "twice":
        answer(request, status="refused")
        answer(request, status="refused")
    elif kind == "closes_output":
        os.close(1)
        signal.pause()
    elif kind == "float":
        write('{"id":%d,"status":"ok","length":1.5}\n' % request["id"])
    elif kind == "repeated_key":
        write('{"id":%d,"status":"refused","status":"ok"}\n' % request["id"])
    elif kind == "orphan":
        subprocess.Popen(
            [sys.executable, __file__, "orphan_child", sys.argv[2]], start_new_session=True, stdin=subprocess.DEVNULL
        )
        os._exit(1)
    elif kind == "hoards":
        memory = []
        while True:
            memory.append(bytearray(os.urandom(1 << 20)) * 16)
    elif kind == "hostile_text":
        answer(request, status="failed", why="\x1b[2J<script>alert(1)</script>]]>&\u202e")
    elif kind != "nothing":
        raise SystemExit(f"unknown kind {kind}")


kept: List[Any] = []


def leak(kind: str) -> None:
    if kind == "leaks_descriptor" or (kind == "leaks_to_warm_up" and not kept):
        kept.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
    elif kind == "leaks_thread":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    elif kind == "leaks_process":
        kept.append(subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()", sys.argv[2]]))
    elif kind == "leaks_file":
        kept.append(None)
        open(f"left{len(kept)}", "w").close()


def connect(request: Dict[str, Any]) -> str:
    name = request["name"]
    name = name.encode() if isinstance(name, str) else base64.b64decode(name["b64"])
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(name)
        except OSError as error:
            return STATUS.get(type(error).__name__, "failed")
    return "ok"


def control_connection(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection


def spawn(kind: str, request: Dict[str, Any]) -> None:
    """Starts this program again as a child, which finds CTS_CONTROL; what the parent does wrong it does here."""
    control = request["control"]
    connections = [control_connection(control)] if kind.startswith("parent_stranger") else []
    child = subprocess.Popen(
        [sys.executable, *sys.argv], env={**os.environ, "CTS_CONTROL": control}, start_new_session=True
    )
    if kind == "child_dies":
        child.wait()
    answer(request, pid=1 if kind == "parent_lies" else child.pid)
    children.append((child, connections))


children: List[Any] = []


def end_children() -> None:
    """What a reset does to them."""
    while children:
        child, connections = children.pop()
        child.kill()
        child.wait()
        for connection in connections:
            connection.close()


def become_child(kind: str, control: str) -> None:
    """Opens the channel of a child, or does what a child must not do before it has one."""
    global channel_in, channel_out
    if kind == "child_dies":
        os._exit(3)
    if kind in ("child_silent", "parent_stranger_alone"):
        signal.pause()
    connection = control_connection(control)
    if kind == "child_twice":
        children.append(control_connection(control))
    channel_in, channel_out = connection.makefile("rb"), connection.makefile("wb")


def claimed_pid(kind: str) -> int:
    runner = os.getppid()
    if kind == "claims_runner":
        return runner
    if kind == "claims_harness":
        with open(f"/proc/{runner}/stat") as stat:
            return int(stat.read().rpartition(")")[2].split()[1])
    return 1 if kind == "claims_init" else os.getpid()


def main() -> None:
    kind = sys.argv[1]
    control = os.environ.pop("CTS_CONTROL", None)
    with_children = kind.startswith(("parent_", "child_"))
    if with_children:
        OFFER["operations"] += ["process.spawn", "process.wait", "local.listen"]
    if control is not None:
        become_child(kind, control)
    claims = kind.startswith("claims_")
    if claims:
        OFFER["operations"] += ["signal.watch", "watcher.next"]
    if kind in ("orphan_child", "never_hello"):
        signal.pause()
    for line in channel_in:
        request = json.loads(line)
        if request["op"] == "hello" and control is not None and kind == "child_other_pid":
            answer(request, **OFFER, pid=os.getppid())
        elif request["op"] == "hello" and control is not None and kind == "child_offers_less":
            answer(request, **{**OFFER, "operations": OFFER["operations"][:-1]}, pid=os.getpid())
        elif request["op"] == "hello":
            answer(request, **OFFER, pid=claimed_pid(kind))
        elif with_children and request["op"] == "process.spawn":
            spawn(kind, request)
        elif control is not None and kind == "child_garbage":
            write("Segmentation fault, she said\n")
        elif with_children and request["op"] == "process.wait":
            answer(request, status="invalid_argument")
        elif with_children and request["op"] == "local.listen":
            answer(request, native="nowhere")
        elif request["op"] == "reset":
            if control is None:
                end_children()
            answer(request)
        elif claims and request["op"] == "signal.watch":
            answer(request)
        elif request["op"] != "local.connect":
            answer(request, status="unsupported")
        elif kind.startswith("leaks_"):
            leak(kind)
            answer(request, status=connect(request))
        elif not with_children and not os.path.exists("misbehaved"):
            open("misbehaved", "w").close()
            misbehave(kind, request)
        else:
            answer(request, status=connect(request))
    if control is not None and kind == "child_stays":
        signal.pause()


if __name__ == "__main__":
    main()
