"""A peer that breaks the protocol once, in the way its argument names, and behaves otherwise.

Once: it leaves a file in its current directory, which the runner keeps for it over restarts. It offers the client role
with `local.connect` alone, and connects with the bare system calls. One that claims to be another process also offers
to watch signals.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Dict

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


def write(text: str) -> None:
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


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


def connect(request: Dict[str, Any]) -> str:
    name = request["name"]
    name = name.encode() if isinstance(name, str) else base64.b64decode(name["b64"])
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(name)
        except OSError as error:
            return STATUS.get(type(error).__name__, "failed")
    return "ok"


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
    claims = kind.startswith("claims_")
    if claims:
        OFFER["operations"] += ["signal.watch", "watcher.next"]
    if kind in ("orphan_child", "never_hello"):
        signal.pause()
    for line in sys.stdin:
        request = json.loads(line)
        if request["op"] == "hello":
            answer(request, **OFFER, pid=claimed_pid(kind))
        elif request["op"] == "reset" or (claims and request["op"] == "signal.watch"):
            answer(request)
        elif request["op"] != "local.connect":
            answer(request, status="unsupported")
        elif not os.path.exists("misbehaved"):
            open("misbehaved", "w").close()
            misbehave(kind, request)
        else:
            answer(request, status=connect(request))


if __name__ == "__main__":
    main()
