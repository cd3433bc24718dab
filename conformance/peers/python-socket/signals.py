"""Signals: the module `signal`, and `os.kill` and `os.killpg`.

Handlers are functions of Python. They run in the main thread, between two of its instructions, and are set there. They
are told the signal and no more. Calls that a signal interrupts go on by themselves (PEP 475), whatever `restart` says;
with SA_RESTART, which `siginterrupt` can set, no handler would run before a call that waits returned. The module has no
handle on which signals wait (asyncio has: asyncio_signals.py), and sends none with a value. A signal that its own
handler puts back to the default is what programs write for `reset`.
"""

from __future__ import annotations

import os
import queue
import signal
from typing import Any, Dict

import cts_peer
from cts_peer import Call, Outcome

REAL_TIME = range(signal.SIGRTMIN, signal.SIGRTMAX + 1) if hasattr(signal, "SIGRTMIN") else range(0)


def number_of(name: str) -> int:
    """The number of a signal by its portable name. Raises Outcome `not_found`."""
    if name.startswith("RT") and name[2:].isdecimal() and name[2:] == str(int(name[2:])):
        if int(name[2:]) < len(REAL_TIME):
            return REAL_TIME[int(name[2:])]
    elif "SIG" + name in signal.Signals.__members__ and not name.startswith("RT"):
        return int(signal.Signals["SIG" + name])
    raise Outcome("not_found", "no signal %.80s" % name)


def name_of(number: int) -> str:
    """The portable name. Raises Outcome `not_found`."""
    if number in REAL_TIME:
        return "RT%d" % (number - REAL_TIME[0])
    try:
        return signal.Signals(number).name[len("SIG") :]
    except ValueError:
        raise Outcome("not_found", "no signal %d" % number) from None


class Hook:
    """A handler that counts."""

    def __init__(self, number: int, reset: bool) -> None:
        self.number, self.reset, self.count = number, reset, 0
        self._runs: "queue.SimpleQueue[None]" = queue.SimpleQueue()  # its put may be called from a handler

    def __call__(self, number: int, frame: Any) -> None:
        if self.reset:
            signal.signal(self.number, signal.SIG_DFL)
        self.count += 1
        self._runs.put(None)

    def wait_for(self, at_least: int) -> int:
        while self.count < at_least:
            self._runs.get()
        return self.count


class SignalCalls(cts_peer.Peer):
    """What has nothing to do with handlers."""

    def signal_number(self, call: Call) -> Dict[str, Any]:
        return {"number": number_of(call["signal"])}

    def signal_name(self, call: Call) -> Dict[str, Any]:
        return {"signal": name_of(call["number"])}

    def signal_send(self, call: Call) -> None:
        os.kill(call["pid"], number_of(call["signal"]) if "signal" in call else 0)

    def signal_send_group(self, call: Call) -> None:
        os.killpg(call["group"], number_of(call["signal"]) if "signal" in call else 0)


class Signals(SignalCalls):
    """Handlers of `signal.signal`."""

    unendable = ["signal.hooked"]

    def __init__(self) -> None:
        super().__init__()
        self._hooks: Dict[int, Hook] = {}

    def signal_set_handler(self, call: Call) -> None:
        number = number_of(call["signal"])
        hook = Hook(number, call.get("reset", False))
        action = {"default": signal.SIG_DFL, "ignore": signal.SIG_IGN, "hook": hook}[call["action"]]

        def set_it() -> None:
            signal.signal(number, action)

        call.in_main_thread(set_it)
        self._hooks.pop(number, None)
        if action is hook:
            self._hooks[number] = hook

    def signal_hooked(self, call: Call) -> Dict[str, Any]:
        number = number_of(call["signal"])
        hook = self._hooks.get(number, Hook(number, False))
        count = hook.wait_for(call.get("at_least", 0))
        return dict({"count": count}, **({"signal": call["signal"]} if count else {}))

    def signal_raise(self, call: Call) -> None:
        signal.raise_signal(number_of(call["signal"]))
