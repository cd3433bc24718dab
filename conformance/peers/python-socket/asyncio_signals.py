"""Signals in the loop of asyncio: `loop.add_signal_handler` and `remove_signal_handler`.

A signal has one callback, which the loop calls some time after it came; it is told nothing, and another takes its
place. So a watcher here is a queue that the callbacks of its signals fill, and nothing says that a callback has run (no
signal.raise). Ignoring and the default are set by the module `signal`.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Callable, Dict, List

from cts_peer import Call, Outcome
from signals import SignalCalls, number_of

SIGNALS_MAX = 64  # that one request names


def add_handler(number: int, callback: Callable[..., Any], *arguments: Any) -> None:
    try:
        asyncio.get_running_loop().add_signal_handler(number, callback, *arguments)
    except ValueError as error:  # the documented word for a number that is none, or that nobody may catch
        raise Outcome("invalid_argument", str(error)) from error


class Hook:
    """A callback that counts."""

    def __init__(self, number: int, reset: bool) -> None:
        self.number, self.reset, self.count = number, reset, 0
        self._ran = asyncio.Event()

    def __call__(self) -> None:
        if self.reset:
            set_default(self.number)
        self.count += 1
        self._ran.set()

    async def wait_for(self, at_least: int) -> int:
        while self.count < at_least:
            self._ran.clear()
            await self._ran.wait()
        return self.count


def set_default(number: int) -> None:
    """Takes the callback away. For INT asyncio puts Python's own handler in its place, and it knows no ignored one."""
    asyncio.get_running_loop().remove_signal_handler(number)
    signal.signal(number, signal.SIG_DFL)


class Watcher:
    """Callbacks that queue what came."""

    def __init__(self, names: List[str]) -> None:
        self.came: "asyncio.Queue[str]" = asyncio.Queue()
        self._numbers: List[int] = []
        try:
            for name in names:
                add_handler(number_of(name), self.came.put_nowait, name)
                self._numbers.append(number_of(name))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for number in self._numbers:
            asyncio.get_running_loop().remove_signal_handler(number)


class AsyncioSignals(SignalCalls):
    features = ["watcher.next.timeout"]

    def __init__(self) -> None:
        super().__init__()
        self._hooks: Dict[int, Hook] = {}

    def signal_set_handler(self, call: Call) -> None:
        number = number_of(call["signal"])
        hook = Hook(number, call.get("reset", False))
        if call["action"] == "hook":
            add_handler(number, hook)
        elif call["action"] == "ignore":
            signal.signal(number, signal.SIG_IGN)
        else:
            set_default(number)
        self._hooks[number] = hook

    async def signal_hooked(self, call: Call) -> Dict[str, Any]:
        hook = self._hooks.setdefault(number_of(call["signal"]), Hook(0, False))
        count = await hook.wait_for(call.get("at_least", 0))
        return dict({"count": count}, **({"signal": call["signal"]} if count else {}))

    def signal_watch(self, call: Call) -> None:
        if not 1 <= len(call["signals"]) <= SIGNALS_MAX:
            raise Outcome("invalid_argument", "no or too many signals")
        call.make(Watcher(call["signals"]))

    async def watcher_next(self, call: Call) -> Dict[str, Any]:
        return {"signal": await asyncio.wait_for(call.handle.came.get(), call.timeout)}

    def watcher_close(self, call: Call) -> None:
        call.handle.close()
