"""A kit for peers of IPC-CTS in Python: everything of the peer protocol but the calls of the library under test.

Copy this file and operations.json next to a peer of your own. It needs Python 3.8 and its standard library. Subclass
`Peer`, declare what is offered, write one method for each operation (`stream.read` is `stream_read`), end with `run`:

    class MyPeer(cts_peer.Peer):
        implementation, version = "my-library", "1.0"
        features = ["name.path"]

        def local_connect(self, call):
            call.make(my_library.connect(call["name"]))

    cts_peer.run(MyPeer)

A method gets a `Call` with checked arguments and returns the results as a dict, or None. An OSError it raises becomes
the status of its errno; `Outcome` is any other status; an exception of another type is `failed`. A peer with several
modes has a class for each. spec/peer_protocol.md is the contract; the numbers in comments here are its paragraphs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import collections
import concurrent.futures
import errno
import inspect
import json
import os
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import zlib
from typing import Any, Awaitable, Callable, Deque, Dict, Iterator, List, Optional, Set, Tuple, Type, Union

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "operations.json"), encoding="utf-8") as _file:
    TABLES: Dict[str, Any] = json.load(_file)

PROTOCOL = TABLES["protocol"]
INTEGER_MAX = 2**53 - 1
NESTING_MAX = 8
LANES_MAX = 16
WHY_BYTES_MAX = 500
CHUNKS_MAX = 4096
PATTERN_PERIOD = 65521
PATTERN_LENGTH_MAX = 2**30
LOOP_TURNS = 16  # turns of an asyncio loop in which an event passes from the poll through every task that waits for it

_CONTROL_OPERATIONS = ("hello", "configure", "reset", "pending", "cancel")
_HANDLE_NAME = re.compile(PROTOCOL["handle_pattern"])
_STATUS_OF_ERRNO = {getattr(errno, name): status for name, status in TABLES["errno"].items() if hasattr(errno, name)}
# Libraries raise these without a number too (asyncio: ConnectionResetError("Connection lost")).
_STATUS_OF_CLASS: Tuple[Tuple[Type[BaseException], str], ...] = (
    (BrokenPipeError, "broken_pipe"),
    (ConnectionResetError, "reset"),
    (ConnectionAbortedError, "reset"),
    (ConnectionRefusedError, "refused"),
    (BlockingIOError, "would_block"),
    (socket.timeout, "timed_out"),
    (TimeoutError, "timed_out"),
    (asyncio.TimeoutError, "timed_out"),
    (asyncio.CancelledError, "cancelled"),
    (FileNotFoundError, "not_found"),
    (FileExistsError, "already_exists"),
    (PermissionError, "permission_denied"),
    (MemoryError, "out_of_resources"),
    (OverflowError, "invalid_argument"),  # a number that no C type of the call holds
)
# Bounds that a type does not say, as operations.toml words them: (operation, argument) -> least, greatest.
_BOUNDS: Dict[Tuple[str, str], Tuple[int, int]] = {
    ("hello", "protocol"): (1, 2**32 - 1),
    ("local.listen", "mode"): (0, 0o777),
    ("local.listen", "backlog"): (1, 2**32 - 1),
    ("stream.read", "buffer"): (1, 2**32 - 1),
    ("stream.read", "chunk"): (1, 2**32 - 1),
    ("stream.write", "buffer"): (1, 2**32 - 1),
    ("stream.read_ancillary", "max"): (1, INTEGER_MAX),
}


class Outcome(Exception):
    """A status other than `ok`, raised by a peer's method.

    `native` is the system's error number or 0; `results` are reply keys that count whatever the status is.
    """

    def __init__(self, status: str, why: str = "", native: int = 0, **results: Any) -> None:
        super().__init__(status)
        assert status in TABLES["statuses"], status
        self.status, self.why, self.native, self.results = status, why, native, results


class InvalidLine(ValueError):
    """A line that is no request (1.4)."""


def outcome_of(error: BaseException) -> Outcome:
    """The status of an exception of the library: by errno, else by class, else `failed` (2.9)."""
    if isinstance(error, Outcome):
        return error
    native = error.errno if isinstance(error, OSError) and isinstance(error.errno, int) else 0
    why = "%s: %s" % (type(error).__name__, error)
    if native in _STATUS_OF_ERRNO:
        return Outcome(_STATUS_OF_ERRNO[native], why, native)
    for error_class, status in _STATUS_OF_CLASS:
        if isinstance(error, error_class):
            return Outcome(status, why, native)
    return Outcome("failed", why, native)


def _answer_to(error: BaseException) -> Outcome:
    """The outcome, without the frames that the error came through: what they hold is not kept until it is collected."""
    outcome = outcome_of(error)
    outcome.__traceback__ = outcome.__cause__ = outcome.__context__ = None
    return outcome


# ------------------------------------------------------------------------------------------------- patterns, bytes


def _make_pattern_table() -> bytes:
    """T of paragraph 2.4: bits 16 to 23 of a linear congruential generator's first 65521 values."""
    table, x = bytearray(PATTERN_PERIOD), 1
    for index in range(PATTERN_PERIOD):
        x = (1103515245 * x + 12345) & 0x7FFFFFFF
        table[index] = (x >> 16) & 0xFF
    return bytes(table)


_pattern_table = b""


def pattern(seed: int, length: int) -> bytes:
    """The `length` bytes of the pattern that begins at `seed`."""
    global _pattern_table
    if not _pattern_table:
        _pattern_table = _make_pattern_table()
    period = _pattern_table[seed:] + _pattern_table[:seed]
    return (period * (length // PATTERN_PERIOD + 1))[:length]


def encode_bytes(data: bytes) -> Union[str, Dict[str, str]]:
    """Bytes as they travel (1.2): printable ASCII as a string, anything else in base64."""
    data = bytes(data)
    if all(0x20 <= byte < 0x7F for byte in data):
        return data.decode("ascii")
    return {"b64": base64.b64encode(data).decode("ascii")}


def raw_fd(descriptor: int) -> Dict[str, str]:
    """The wire form of a system handle that is a Unix descriptor."""
    return {"kind": "fd", "value": str(descriptor)}


def _decode_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("utf-8")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        try:
            data = base64.b64decode(value["b64"].encode("ascii"), validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise ValueError("no base64") from None
        if base64.b64encode(data).decode("ascii") != value["b64"]:
            raise ValueError("base64 that is not canonical")
        return data
    raise ValueError('neither a string nor {"b64"}')


# ---------------------------------------------------------------------------------------------- strict JSON (1.1)


def parse_line(line: bytes) -> Dict[str, Any]:
    """The object on one line (without its LF). Raises InvalidLine for all that paragraph 1.1 forbids.

    Python's own parser takes duplicate keys, floats, NaN, huge integers and lone surrogates: all closed here.
    """
    try:
        value = json.loads(
            line.decode("utf-8"),
            object_pairs_hook=_unique_object,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
            parse_int=_bounded_int,
        )
    except InvalidLine:
        raise
    except RecursionError:
        raise InvalidLine("nested deeper than %d" % NESTING_MAX) from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise InvalidLine("no JSON in UTF-8: %s" % error) from None
    _check_value(value, 1)
    if not isinstance(value, dict):
        raise InvalidLine("not an object")
    return value


def _unique_object(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise InvalidLine("a key twice in one object")
    return result


def _refuse_number(text: str) -> Any:
    raise InvalidLine("%s is no integer" % text[:40])


def _bounded_int(text: str) -> int:
    # The length is asked first: converting thousands of digits takes quadratic time.
    if len(text) > 17 or not text.isascii() or abs(int(text)) > INTEGER_MAX:
        raise InvalidLine("an integer beyond 2^53-1")
    return int(text)


def _check_value(value: Any, depth: int) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            raise InvalidLine("an unpaired surrogate in a string") from None
    elif isinstance(value, (dict, list)):
        if depth > NESTING_MAX:
            raise InvalidLine("nested deeper than %d" % NESTING_MAX)
        for item in value.values() if isinstance(value, dict) else value:
            _check_value(item, depth + 1)
        for key in value if isinstance(value, dict) else ():
            _check_value(key, depth + 1)


# ------------------------------------------------------------------------------------ arguments, from operations.json


def _integer(low: int, high: int) -> Callable[[Any, Dict[str, Any]], int]:
    def check(value: Any, _: Dict[str, Any]) -> int:
        if type(value) is not int:  # a bool is an int to isinstance
            raise ValueError("no integer")
        if not low <= value <= high:
            raise ValueError("out of range")
        return value

    return check


def _instance(wanted: type) -> Callable[[Any, Dict[str, Any]], Any]:
    def check(value: Any, _: Dict[str, Any]) -> Any:
        if not isinstance(value, wanted):
            raise ValueError("no %s" % wanted.__name__)
        return value

    return check


def _list_of(check_item: Callable[[Any, Dict[str, Any]], Any]) -> Callable[[Any, Dict[str, Any]], List[Any]]:
    def check(value: Any, spec: Dict[str, Any]) -> List[Any]:
        if not isinstance(value, list):
            raise ValueError("no list")
        return [check_item(item, spec) for item in value]

    return check


def _check_enum(value: Any, spec: Dict[str, Any]) -> str:
    if not isinstance(value, str) or value not in spec["values"]:
        raise ValueError("none of %s" % ", ".join(spec["values"]))
    return value


def _check_data(value: Any, _: Dict[str, Any]) -> bytes:
    if isinstance(value, dict) and "b64" not in value:
        seed = _integer(0, PATTERN_PERIOD - 1)(value.get("seed"), {})
        return pattern(seed, _integer(0, PATTERN_LENGTH_MAX)(value.get("length"), {}))
    data = _decode_bytes(value)
    if len(data) > PROTOCOL["inline_bytes_max"]:
        raise ValueError("more than %d bytes: send a pattern" % PROTOCOL["inline_bytes_max"])
    return data


def _check_raw(value: Any, _: Dict[str, Any]) -> Tuple[str, int]:
    if not isinstance(value, dict) or value.get("kind") not in ("fd", "handle", "socket"):
        raise ValueError("no raw handle")
    number = value.get("value")
    if not isinstance(number, str) or not re.fullmatch(r"0|[1-9][0-9]{0,19}", number) or int(number) >= 2**64:
        raise ValueError("no decimal string of 64 bits")
    return value["kind"], int(number)


_CHECK_OF_TYPE: Dict[str, Callable[[Any, Dict[str, Any]], Any]] = {
    "bool": _instance(bool),
    "u32": _integer(0, 2**32 - 1),
    "u64": _integer(0, INTEGER_MAX),
    "i64": _integer(-INTEGER_MAX, INTEGER_MAX),
    "text": _instance(str),
    "bytes": lambda value, _: _decode_bytes(value),
    "data": _check_data,
    "enum": _check_enum,
    "raw": _check_raw,
    "list_u32": _list_of(_integer(0, 2**32 - 1)),
    "list_u64": _list_of(_integer(0, INTEGER_MAX)),
    "list_text": _list_of(_instance(str)),
}


def check_arguments(operation: str, request: Dict[str, Any], features: Set[str]) -> Dict[str, Any]:
    """The arguments of `request` in Python's types. Raises Outcome `invalid_argument` or `unsupported` (1.4, 2.3)."""
    arguments: Dict[str, Any] = {}
    for spec in TABLES["operations"][operation]["args"]:
        name = spec["name"]
        if name not in request:
            if not spec.get("optional"):
                raise Outcome("invalid_argument", "%s is missing" % name)
            continue
        if spec.get("feature") and spec["feature"] not in features:
            raise Outcome("unsupported", "%s needs %s, which is not offered" % (name, spec["feature"]))
        try:
            value = _CHECK_OF_TYPE[spec["type"]](request[name], spec)
            low, high = _BOUNDS.get((operation, name), (None, None))
            if low is not None and not low <= value <= high:
                raise ValueError("out of range")
        except ValueError as error:
            raise Outcome("invalid_argument", "%s: %s" % (name, error)) from None
        arguments[name] = value
    _check_together(operation, arguments, features)
    return arguments


def _check_together(operation: str, arguments: Dict[str, Any], features: Set[str]) -> None:
    """Rules that concern more than one argument."""
    kind = arguments.get("kind")
    if operation.startswith("local.") and kind in ("path", "namespaced") and "name." + kind not in features:
        raise Outcome("unsupported", "name.%s is not offered" % kind)
    if arguments.get("until") == "exact" and "max" not in arguments:
        raise Outcome("invalid_argument", "until exact needs max")
    if operation == "stream.write_ancillary" and not arguments["data"]:
        raise Outcome("invalid_argument", "data: no byte that anything could travel beside")
    lengths = arguments.get("lengths")
    if lengths is not None and len(lengths) > 64:
        raise Outcome("invalid_argument", "more than 64 lengths")
    if lengths is not None and "data" in arguments and sum(lengths) != len(arguments["data"]):
        raise Outcome("invalid_argument", "lengths do not add up to the data")


# ------------------------------------------------------------------------------------------- handles, calls, peers


class _Handle:
    """A named handle. `users` are the calls inside it; the name may be gone while they end."""

    def __init__(self, name: str, kind: str, value: Any) -> None:
        self.name, self.kind, self.value = name, kind, value
        self.users: Set["Call"] = set()
        self.unanswered: Set["Call"] = set()  # the same, until the reply has been written

    def is_left(self) -> bool:
        """True if the only call inside is the one that closes it."""
        return len(self.unanswered) == 1


class ReadProgress:
    """What a `stream.read` has consumed so far, and whether its `until` holds (2.5)."""

    def __init__(self, call: "Call") -> None:
        self.until: str = call.get("until", "some")
        default_max = INTEGER_MAX if self.until == "end" else 65536
        self.max: int = call.get("max", default_max)
        self.buffer: int = call.get("buffer", 65536)
        self.chunk: Optional[int] = call.get("chunk")
        self.length, self.crc32, self.calls = 0, 0, 0
        self._data: Optional[bytearray] = bytearray()
        self._chunks: List[int] = []
        self._chunk_crc, self._chunk_length = 0, 0

    def next_size(self) -> Optional[int]:
        """Bytes to ask the library for, or None if there is nothing more to ask."""
        if self.until == "some" and self.calls > 0:
            return None
        if self.until != "some" and self.length >= self.max:
            return None
        return min(self.max - self.length, self.buffer)

    def feed(self, data: Any, asked: int) -> None:
        """Takes what one call of the library returned. Nothing, where something was asked for, is the end."""
        self.calls += 1
        if len(data) == 0 and asked > 0:
            raise Outcome("end")
        self.length += len(data)
        self.crc32 = zlib.crc32(data, self.crc32)
        if self._data is not None:
            if self.length <= PROTOCOL["inline_bytes_max"]:
                self._data += data
            else:
                self._data = None
        if self.chunk is not None:
            self._feed_chunks(memoryview(data), self.chunk)

    def _feed_chunks(self, data: memoryview, chunk: int) -> None:
        while len(data) > 0 and len(self._chunks) < CHUNKS_MAX:
            part = data[: chunk - self._chunk_length]
            self._chunk_crc = zlib.crc32(part, self._chunk_crc)
            self._chunk_length += len(part)
            data = data[len(part) :]
            if self._chunk_length == chunk:
                self._chunks.append(self._chunk_crc)
                self._chunk_crc, self._chunk_length = 0, 0

    def results(self) -> Dict[str, Any]:
        results: Dict[str, Any] = {"length": self.length, "crc32": self.crc32}
        if self._data is not None:
            results["data"] = bytes(self._data)
        if self.chunk is not None:
            last = [self._chunk_crc] if self._chunk_length and len(self._chunks) < CHUNKS_MAX else []
            results["chunks"] = self._chunks + last
        return results


class Call:
    """One request while it runs: checked arguments by `call["name"]`, the handle, the handles it makes."""

    def __init__(self, request: Dict[str, Any], arguments: Dict[str, Any], runtime: "_Runtime") -> None:
        self.id: int = request["id"]
        self.operation: str = request["op"]
        self.handle: Any = None  # what a peer's method gave to `make` for the handle in `on`
        self.made: Dict[str, Any] = {}
        self.cancelled = False
        self.task: Optional["asyncio.Future[Any]"] = None
        self.entry: Any = None  # the _Handle
        self.closes = False
        self.new_names: Dict[str, str] = {}  # request key -> name
        self._arguments, self._runtime = arguments, runtime

    def __getitem__(self, name: str) -> Any:
        return self._arguments[name]

    def __contains__(self, name: str) -> bool:
        return name in self._arguments

    def get(self, name: str, default: Any = None) -> Any:
        return self._arguments.get(name, default)

    @property
    def timeout(self) -> Optional[float]:
        """`timeout_ms` in seconds, None if it was not given: for the library, never for the peer itself (2.7)."""
        milliseconds = self.get("timeout_ms")
        return None if milliseconds is None else milliseconds / 1000

    def make(self, value: Any, key: str = "as") -> None:
        """Gives the handle named in request key `key` its value. It gets its name when the method has returned."""
        self.made[key] = value

    def read(self, read_some: Callable[[int], Any]) -> Dict[str, Any]:
        """Performs `stream.read` with `read_some(size)`, which returns bytes, none at the end of the stream."""
        progress = ReadProgress(self)
        size = progress.next_size()
        try:
            while size is not None:
                progress.feed(read_some(size), size)
                size = progress.next_size()
        except Exception as error:
            raise _with_results(error, progress.results()) from error
        return progress.results()

    async def read_async(self, read_some: Callable[[int], Awaitable[Any]]) -> Dict[str, Any]:
        """As `read`, with a coroutine function."""
        progress = ReadProgress(self)
        size = progress.next_size()
        try:
            while size is not None:
                progress.feed(await read_some(size), size)
                size = progress.next_size()
        except (Exception, asyncio.CancelledError) as error:
            raise _with_results(error, progress.results()) from error
        return progress.results()

    def write(self, write_some: Callable[[memoryview], int]) -> Dict[str, Any]:
        """Performs `stream.write` with `write_some(bytes)`, which returns how many the library accepted."""
        data, length = memoryview(self["data"]), 0
        size = self.get("buffer", max(1, len(data)))
        try:
            while True:
                length += write_some(data[length : length + size])
                if length >= len(data):
                    return {"length": length}
        except Exception as error:
            outcome = outcome_of(error)
            if outcome.status == "would_block" and length > 0:  # 2.6: a part is placed
                return {"length": length}
            raise _with_results(outcome, {"length": length}) from error

    def attempt(self, socket_or_fd: Any, event: str, function: Callable[[], Any], once: bool = False) -> Any:
        """Calls a nonblocking `function` until it does not raise BlockingIOError, and returns what it returns.

        Between the calls the kit waits until the descriptor is ready for `event`: "read" or "write". A close of the
        handle or a reset ends the wait as `cancelled` (5.3). `once` or `wait: false` make it a single attempt.
        """
        once = once or self.get("wait") is False
        while True:
            try:
                return function()
            except BlockingIOError:
                if once:
                    raise
                self.wait_ready(socket_or_fd, event)

    def in_main_thread(self, function: Callable[[], Any]) -> Any:
        """Calls `function` in the main thread, where alone Python sets signal handlers, and returns what it returns.

        A main thread that waits in a request of the lane `main` comes to it afterwards.
        """
        return self._runtime.call_in_main_thread(function)

    def wait_ready(self, socket_or_fd: Any, event: str) -> None:
        """Waits until the descriptor is ready for "read" or "write"; raises Outcome `cancelled` on a close or reset."""
        self._runtime.waker.wait(self, socket_or_fd, event)


def read_results(data: bytes, asked: int) -> Dict[str, Any]:
    """The results of one read that asked for `asked` bytes. Raises Outcome `end` if it got none."""
    results: Dict[str, Any] = {"length": len(data), "crc32": zlib.crc32(data)}
    if len(data) <= PROTOCOL["inline_bytes_max"]:
        results["data"] = data
    if not data and asked > 0:
        raise Outcome("end", **results)
    return results


def _with_results(error: BaseException, results: Dict[str, Any]) -> Outcome:
    outcome = outcome_of(error)
    outcome.results = dict(results, **outcome.results)
    return outcome


class Peer:
    """One mode of an implementation under test. Subclass it; methods named after operations are the offer."""

    implementation = "unnamed"
    version = "0"
    mode = "blocking"  # blocking, nonblocking (use Call.attempt), async (methods may be coroutines)
    lanes = "thread"  # thread, task (asyncio; the mode async), or single
    features: List[str] = []  # `lanes` is added by the kit
    traits: List[str] = []
    unendable: List[str] = []  # operations that a reset cannot end while they wait: it answers `busy` (6.2)

    def __init__(self) -> None:
        self._owned: Set[int] = set()

    def own(self, descriptor: int) -> int:
        """Notes a descriptor that was released or came beside bytes, which the next reset closes (6.2); returns it."""
        self._owned.add(descriptor)
        return descriptor

    def disown(self, descriptor: int) -> None:
        """A descriptor that was noted belongs to a handle again."""
        self._owned.discard(descriptor)

    def close_owned(self) -> None:
        while self._owned:
            os.close(self._owned.pop())

    # The operations on processes are the kit's (6.3, 6.4), where the system tells how a child ended without reaping it.

    def process_spawn(self, call: Call) -> Dict[str, Any]:
        child = _Child(call["control"])
        call.make(child)
        return {"pid": child.pid}

    def process_wait(self, call: Call) -> Any:
        if self.lanes != "task":
            return call.handle.wait()
        return asyncio.get_running_loop().run_in_executor(None, call.handle.wait)

    def process_close(self, call: Call) -> None:
        call.handle.close()

    def discard(self, value: Any) -> Any:
        """Closes what `Call.make` was given, for `reset`. May be a coroutine function in the mode async."""
        value.close()

    @classmethod
    def operations(cls) -> List[str]:
        """The operations offered: those that have a method, and those the kit serves itself."""
        control = [name for name in _CONTROL_OPERATIONS if name != "cancel" or cls.lanes == "task"]  # Task.cancel
        served = [name for name in TABLES["operations"] if name in control or hasattr(cls, _method_name(name))]
        return [name for name in served if not name.startswith("process.") or hasattr(os, "waitid")]

    @classmethod
    def offered_features(cls) -> List[str]:
        lanes = [] if cls.lanes == "single" else ["lanes"]
        return lanes + [feature for feature in cls.features if feature != "lanes"]


def _method_name(operation: str) -> str:
    return operation.replace(".", "_")


class _Child:
    """A child process that is a peer. It is not reaped before it is closed, so that its number means it alone."""

    def __init__(self, control: str) -> None:
        # Standard input is the null device and standard output is standard error here already.
        arguments = [sys.executable] + getattr(sys, "orig_argv", [sys.executable, *sys.argv])[1:]
        environment = dict(os.environ, CTS_CONTROL=control)
        mask = _change_signal_mask("SIG_SETMASK", ())  # a child inherits that of the thread, which blocks everything
        try:
            self._process = subprocess.Popen(arguments, env=environment, close_fds=False, start_new_session=True)
        finally:
            _change_signal_mask("SIG_SETMASK", mask)
        self.pid = self._process.pid
        self._closing = False

    def wait(self) -> Dict[str, Any]:
        """The results of `process.wait`. Raises Outcome `cancelled` if it is closed meanwhile."""
        try:
            info = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:  # reaped by `close`
            info = None
        if self._closing or info is None:
            raise Outcome("cancelled")
        if info.si_code == os.CLD_EXITED:
            return {"code": info.si_status}
        return {"signal": signal.Signals(info.si_status).name[len("SIG") :]}

    def close(self) -> None:
        self._closing = True
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


class _Waker:
    """Ends waits of the kit in nonblocking mode: every wait also watches one socket, made readable by `wake`.

    One pair for the process, not one for each wait, so that descriptors do not come and go with the requests.
    """

    def __init__(self) -> None:
        self._receiver, self._sender = socket.socketpair()
        self._lock = threading.Lock()

    def wait(self, call: Call, socket_or_fd: Any, event: str) -> None:
        if not call.cancelled:
            self._wait_descriptors(socket_or_fd, event)
        if call.cancelled:
            raise Outcome("cancelled")

    def _wait_descriptors(self, socket_or_fd: Any, event: str) -> None:
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(socket_or_fd, select.POLLIN if event == "read" else select.POLLOUT)
            poll.register(self._receiver, select.POLLIN)
            poll.poll()
            return
        watched = [socket_or_fd]  # Windows has select for sockets only, and says there that a connect failed
        reading, writing = (watched, []) if event == "read" else ([], watched)
        select.select(reading + [self._receiver], writing, writing)

    def wake(self, wait_for_end: Callable[[], None]) -> None:
        """Makes waits look at `cancelled`, until `wait_for_end` has returned: a wait may be about to begin."""
        with self._lock:
            self._sender.send(b"w")
            try:
                wait_for_end()
            finally:
                self._receiver.recv(1)


# --------------------------------------------------------------------------------------------------- the channel


class _Channel:
    """The requester's lines, on descriptors of our own (1.3): what the library prints goes to standard error.

    In a child of another peer they are the two directions of a connection (1.7).
    """

    def __init__(self) -> None:
        control = os.environ.pop("CTS_CONTROL", None)
        if control is None:
            self._input, self._output = os.dup(0), os.dup(1)  # not inheritable (PEP 446)
        else:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(control)
            self._input = connection.detach()
            self._output = os.dup(self._input)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        os.dup2(2, 1)
        if sys.platform == "win32":
            import msvcrt

            msvcrt.setmode(self._input, os.O_BINARY)
            msvcrt.setmode(self._output, os.O_BINARY)
        self._lock = threading.Lock()

    def lines(self) -> Iterator[Union[bytes, InvalidLine]]:
        """Each line without its LF, or what is wrong with one too long, which is skipped without being kept.

        It ends with the input; a last line without LF is none.
        """
        buffer, skipping = bytearray(), False
        line_max = PROTOCOL["line_bytes_max"]
        while True:
            block = os.read(self._input, 65536)
            if not block:
                return
            buffer += block
            start = 0
            while True:
                end = buffer.find(b"\n", start)
                if end < 0:
                    break
                if not skipping:
                    yield self._line_or_error(bytes(buffer[start:end]), line_max)
                skipping, start = False, end + 1
            del buffer[:start]
            if skipping:
                buffer.clear()
            elif len(buffer) >= line_max:
                buffer.clear()
                skipping = True
                yield InvalidLine("a line of more than %d bytes" % line_max)

    @staticmethod
    def _line_or_error(line: bytes, line_max: int) -> Union[bytes, InvalidLine]:
        if len(line) + 1 > line_max:
            return InvalidLine("a line of more than %d bytes" % line_max)
        return line[:-1] if line.endswith(b"\r") else line

    def write(self, message: Dict[str, Any]) -> None:
        """Writes one line, whole. Ends the process if nobody reads any more."""
        line = memoryview(json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n")
        assert len(line) <= PROTOCOL["line_bytes_max"], "reply too long"
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._output, line) :]
            except OSError:
                os._exit(1)


# -------------------------------------------------------------------------------------------------- lanes, runtime


class _ThreadLane:
    """Runs its requests one after another in a thread."""

    def __init__(self, name: str, start: bool = True) -> None:
        self._jobs: "queue.SimpleQueue[Callable[[], None]]" = queue.SimpleQueue()
        if start:
            threading.Thread(target=self.run, name="lane " + name, daemon=True).start()

    def put(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)

    def run(self) -> None:
        _block_signals()
        while True:
            self._jobs.get()()


class _MainLane(_ThreadLane):
    """The lane that the main thread runs.

    Signal handlers run in the main thread alone, and one that came just before it began to wait for a lock or a queue
    would not run before the wait ended. So it waits for a socket that every signal writes to (`signal.set_wakeup_fd`).
    """

    def __init__(self) -> None:
        super().__init__("main", start=False)
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)

    def put(self, job: Callable[[], None]) -> None:
        super().put(job)
        try:
            self._sender.send(b"\0")
        except BlockingIOError:
            pass  # full: it will be read

    def run(self) -> None:
        signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
        while True:
            select.select([self._receiver], [], [])
            self._receiver.recv(4096)
            while not self._jobs.empty():
                self._jobs.get()()


class _TaskLane:
    """Runs its requests one after another in a task of the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._jobs: Deque[Callable[[], Awaitable[None]]] = collections.deque()
        self._loop, self._running = loop, False

    def put(self, job: Callable[[], Awaitable[None]]) -> None:
        self._loop.call_soon_threadsafe(self._put_here, job)

    def _put_here(self, job: Callable[[], Awaitable[None]]) -> None:
        self._jobs.append(job)
        if not self._running:
            self._running = True
            self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        while self._jobs:
            await self._jobs.popleft()()
        self._running = False


class _Runtime:
    """The peer's process: reads requests, runs them in their lanes, answers them.

    Threads: a reader, so that the end of input is seen whatever else goes on (1.6); one for the lane `control`; the
    main thread; one for each other lane. With `single` lanes the main thread does everything but reading.
    """

    def __init__(self, peers: List[Type[Peer]]) -> None:
        self._peer_classes = {peer.mode: peer for peer in peers}
        assert len(self._peer_classes) == len(peers), "two classes for one mode"
        self._peer = peers[0]()
        self._offered = frozenset(self._peer.operations())
        self._configured = False
        self._channel = _Channel()
        self.waker = _Waker()
        self._changed = threading.Condition()  # guards all that follows; notified when a reply has been written
        self._handles: Dict[str, Optional[_Handle]] = {}  # None: reserved for an operation that runs
        self._calls: Dict[int, Call] = {}  # begun, not finished
        self._unfinished: Set[int] = set()  # ids: arrived, not finished
        self._queued: Set[int] = set()  # ids: in a lane, not begun
        self._called_off: Set[int] = set()  # those of them that were cancelled
        self._unanswered: Set[int] = set()  # arrivals: finished or not, the reply is not yet written whole
        self._arrivals = 0
        self._reset_bound = 0  # requests that arrived before this one are cancelled, not begun
        self._lanes: Dict[str, Any] = {}
        self._main = _MainLane()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._waiting_tasks: List["asyncio.Future[None]"] = []  # of the loop's thread alone

    # -- reading and dispatching

    def run(self) -> None:
        """Serves requests until the input ends, which ends the process."""
        threading.Thread(target=self._read, name="reader", daemon=True).start()
        try:
            self._main.run()
        except KeyboardInterrupt:
            os._exit(130)
        except BaseException:
            _die()

    def _read(self) -> None:
        _block_signals()
        try:
            for line in self._channel.lines():
                self._dispatch_line(line)
        except BaseException:
            _die()
        os._exit(0)

    def _dispatch_line(self, line: Union[bytes, InvalidLine]) -> None:
        try:
            if isinstance(line, InvalidLine):
                raise line
            request = parse_line(line)
            request_id = request.get("id")
            if type(request_id) is not int or request_id < 1:
                raise InvalidLine("id is no positive integer")
            with self._changed:
                if request_id in self._unfinished:
                    raise InvalidLine("id %d is outstanding" % request_id)
                self._arrivals += 1
                arrival = self._arrivals
                self._unfinished.add(request_id)
                self._unanswered.add(arrival)
        except InvalidLine as error:
            self._channel.write({"id": 0, "status": "invalid_argument", "why": _shorten(str(error))})
            return
        try:
            self._dispatch(request, arrival)
        except Outcome as outcome:
            self._finish(request, arrival, None, outcome)

    def _dispatch(self, request: Dict[str, Any], arrival: int) -> None:
        operation = request.get("op")
        if not isinstance(operation, str):
            raise Outcome("invalid_argument", "op is no string")
        control = operation in _CONTROL_OPERATIONS
        lane_name = request.get("lane", "control" if control else "a")
        if not isinstance(lane_name, str) or not _HANDLE_NAME.fullmatch(lane_name):
            raise Outcome("invalid_argument", "lane is no name")
        if control != (lane_name == "control"):
            raise Outcome("invalid_argument", "%s does not run in lane %s" % (operation[:80], lane_name))
        if len(self._unfinished) > PROTOCOL["outstanding_max"]:
            raise Outcome("out_of_resources", "more than %d requests outstanding" % PROTOCOL["outstanding_max"])
        lane = self._lane("main" if self._peer.lanes == "single" else lane_name)
        if not control:
            with self._changed:
                self._queued.add(request["id"])
        if isinstance(lane, _TaskLane):
            lane.put(lambda: self._serve_async(request, arrival))
        else:
            lane.put(lambda: self._serve(request, arrival))

    def _lane(self, name: str) -> Any:
        if name not in self._lanes:
            if name != "control" and len(self._lanes) - ("control" in self._lanes) >= LANES_MAX:
                raise Outcome("invalid_argument", "more than %d lanes" % LANES_MAX)
            if name == "control":
                self._lanes[name] = _ThreadLane(name)
            elif self._peer.lanes == "task":
                self._lanes[name] = _TaskLane(self._running_loop())
            else:
                self._lanes[name] = self._main if name == "main" else _ThreadLane(name)
        return self._lanes[name]

    def call_in_main_thread(self, function: Callable[[], Any]) -> Any:
        if threading.current_thread() is threading.main_thread():
            return function()
        done: "concurrent.futures.Future[Any]" = concurrent.futures.Future()

        def work() -> None:
            try:
                done.set_result(function())
            except BaseException as error:
                done.set_exception(error)

        self._main.put(work)
        return done.result()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        """The loop, which the main thread runs from now on: what it starts must see it as the main thread's."""
        if self._loop is None:
            started: "queue.SimpleQueue[asyncio.AbstractEventLoop]" = queue.SimpleQueue()
            self._main.put(lambda: asyncio.run(_run_for_ever(started)))
            self._loop = started.get()
        return self._loop

    # -- one request

    def _serve(self, request: Dict[str, Any], arrival: int) -> None:
        call = None
        try:
            if request["op"] in _CONTROL_OPERATIONS:
                result: Any = self._control(request, arrival)
            else:
                call, method = self._begin(request, arrival)
                if request.get("watch") is True:
                    self._channel.write({"id": call.id, "event": "begun", "tid": threading.get_native_id()})
                if call.closes and call.entry.kind != "process" and self._peer.mode == "nonblocking":
                    self._cancel([user for user in call.entry.users if user is not call], call.entry.is_left)
                result = method(call)
                if call.closes:
                    self._wait_until(call.entry.is_left)
        except Exception as error:
            result = _answer_to(error)
        self._finish(request, arrival, call, result)

    async def _serve_async(self, request: Dict[str, Any], arrival: int) -> None:
        call = None
        try:
            call, method = self._begin(request, arrival)
            call.task = asyncio.ensure_future(_call_method(method, call))
            if request.get("watch") is True:
                await _turn(1)  # meanwhile the task runs to its first wait: the operation is started (4.1)
                self._channel.write({"id": call.id, "event": "begun", "tid": 0})
            await asyncio.wait([call.task])
            result: Any = call.task.result()
            if call.closes:
                await self._wait_until_async(call.entry.is_left)
        except (Exception, asyncio.CancelledError) as error:
            result = _answer_to(error)
        if call is not None:
            call.task = None  # which keeps the exception, and that the frames it came through, with all they hold
        self._finish(request, arrival, call, result)

    def _begin(self, request: Dict[str, Any], arrival: int) -> Tuple[Call, Callable[[Call], Any]]:
        """Checks everything, reserves the new names, enters the handle. If it raises, nothing has happened."""
        operation = request["op"]
        method = getattr(self._peer, _method_name(operation), None) if operation in self._offered else None
        if method is None:
            raise Outcome("unsupported", "operation %s is not offered" % operation[:80])
        if not isinstance(request.get("watch", False), bool):
            raise Outcome("invalid_argument", "watch is no boolean")
        call = Call(request, check_arguments(operation, request, set(self._peer.offered_features())), self)
        with self._changed:
            if arrival < self._reset_bound:
                raise Outcome("cancelled", "a reset came before it began")
            if call.id in self._called_off:
                raise Outcome("cancelled", "it was cancelled before it began")
            call.new_names = self._new_names(request)
            self._enter_handle(request, call)
            for name in call.new_names.values():
                self._handles[name] = None
            self._queued.discard(call.id)
            self._calls[call.id] = call
        return call, method

    def _new_names(self, request: Dict[str, Any]) -> Dict[str, str]:
        names: Dict[str, str] = {}
        for key in TABLES["operations"][request["op"]].get("makes", {}):
            name = request.get(key)
            if not isinstance(name, str) or not _HANDLE_NAME.fullmatch(name):
                raise Outcome("invalid_argument", "%s is no name for a handle" % key)
            if name in self._handles or name in names.values():
                raise Outcome("invalid_argument", "the name %s is taken" % name)
            names[key] = name
        return names

    def _enter_handle(self, request: Dict[str, Any], call: Call) -> None:
        spec = TABLES["operations"][call.operation]
        if "on" not in spec:
            return
        name = request.get("on")
        entry = self._handles.get(name) if isinstance(name, str) else None
        if entry is None or entry.kind != spec["on"]:
            raise Outcome("invalid_argument", "on: no such %s" % spec["on"])
        call.closes = call.operation.endswith(".close")
        consumes = spec.get("consumes", False)
        can_end = entry.kind == "process" or "close_while_in_use" in self._peer.features
        if entry.users and consumes and not (call.closes and can_end):
            raise Outcome("busy", "another lane is inside of it")
        if call.closes:
            del self._handles[entry.name]  # 6.1: at once
        elif consumes:
            self._handles[entry.name] = None  # back when the operation fails
        call.entry, call.handle = entry, entry.value
        entry.users.add(call)
        entry.unanswered.add(call)

    def _finish(self, request: Dict[str, Any], arrival: int, call: Optional[Call], result: Any) -> None:
        """Names the handles that were made, leaves the one that was used, replies."""
        reply = _reply_of(request["id"], call, result)
        with self._changed:
            for ids in (self._unfinished, self._queued, self._called_off):
                ids.discard(request["id"])
            if call is not None:
                self._leave(call, reply["status"] == "ok")
        self._channel.write(reply)
        with self._changed:
            self._unanswered.discard(arrival)
            if call is not None and call.entry is not None:
                call.entry.unanswered.discard(call)
            self._changed.notify_all()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_tasks)

    def _leave(self, call: Call, succeeded: bool) -> None:
        del self._calls[call.id]
        makes = TABLES["operations"][call.operation].get("makes", {})
        for key, name in call.new_names.items():
            del self._handles[name]
            if succeeded:
                self._handles[name] = _Handle(name, makes[key], call.made[key])
        if call.entry is not None:
            call.entry.users.discard(call)
            if TABLES["operations"][call.operation].get("consumes") and not call.closes:
                del self._handles[call.entry.name]
                if not succeeded:
                    self._handles[call.entry.name] = call.entry

    # -- the lane control

    def _control(self, request: Dict[str, Any], arrival: int) -> Optional[Dict[str, Any]]:
        if request["op"] not in self._offered:
            raise Outcome("unsupported", "operation %s is not offered" % request["op"])
        arguments = check_arguments(request["op"], request, set())
        if request["op"] == "hello":
            return self._hello(arguments["protocol"])
        if request["op"] == "configure":
            return self._configure(arguments["mode"])
        if request["op"] == "pending":
            return self._pending()
        if request["op"] == "cancel":
            return self._cancel_request(arguments["target"])
        self._reset(arrival)
        return None

    def _hello(self, protocol: int) -> Dict[str, Any]:
        peer = type(self._peer)
        system = {"win32": "windows", "darwin": "macos"}.get(sys.platform, re.sub("[0-9]+$", "", sys.platform))
        return {
            "protocol": min(protocol, PROTOCOL["version"]),
            "implementation": peer.implementation,
            "version": peer.version,
            "os": system,
            "pid": os.getpid(),
            "lanes": peer.lanes,
            "modes": list(self._peer_classes),
            "operations": peer.operations(),
            "features": peer.offered_features(),
            "traits": list(peer.traits),
        }

    def _configure(self, mode: str) -> Dict[str, Any]:
        if mode not in self._peer_classes:
            raise Outcome("unsupported", "the mode %s is not offered" % mode)
        with self._changed:
            if self._configured or self._handles or self._loop is not None:
                raise Outcome("invalid_argument", "configure comes once, before any handle")
            self._configured = True
            self._peer = self._peer_classes[mode]()
            self._offered = frozenset(self._peer.operations())
            self._lanes = {name: lane for name, lane in self._lanes.items() if name == "control"}
        if self._peer.lanes == "task":
            self._running_loop()  # now, so that its descriptors do not appear with the first request of a case
        return {"lanes": self._peer.lanes}

    def _pending(self) -> Dict[str, Any]:
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(_turn(LOOP_TURNS), self._loop).result()
        with self._changed:
            return {"ids": sorted(self._calls)}

    def _cancel_request(self, target: int) -> None:
        asyncio.run_coroutine_threadsafe(self._cancel_async(target), self._running_loop()).result()

    async def _cancel_async(self, target: int) -> None:
        """Ends one request: at once if it is under way, in its turn if it still waits in its lane."""
        with self._changed:
            call = self._calls.get(target)
            if call is None and target not in self._queued:
                raise Outcome("not_found", "it has its answer, or never was")
            if call is None:
                self._called_off.add(target)
        if call is not None and call.task is not None:
            call.task.cancel()

    def _reset(self, arrival: int) -> None:
        with self._changed:
            self._reset_bound = arrival
            calls = list(self._calls.values())
            children = [entry for entry in self._handles.values() if entry is not None and entry.kind == "process"]
            for entry in children:
                del self._handles[entry.name]
        for entry in children:
            entry.value.close()  # which ends every `process.wait`
        calls = [call for call in calls if call.operation != "process.wait"]
        if any(call.operation in self._peer.unendable for call in calls):
            raise Outcome("busy", "an operation is under way that nothing can end")
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._reset_async(calls, arrival), self._loop).result()
            self._peer.close_owned()
            return
        if self._peer.mode == "nonblocking":
            self._cancel(calls, lambda: self._answered_before(arrival))
        elif calls and "close_while_in_use" not in self._peer.features:
            raise Outcome("busy", "an operation is under way that the library cannot end")  # 6.2, 5.3
        else:
            self._discard_all()  # the library ends the operations in flight
        self._wait_until(lambda: self._answered_before(arrival))
        self._discard_all()
        self._peer.close_owned()

    async def _reset_async(self, calls: List[Call], arrival: int) -> None:
        for call in calls:
            if call.task is not None:
                call.task.cancel()
        await self._wait_until_async(lambda: self._answered_before(arrival))
        for entry in self._take_handles():
            if entry.kind == "process":
                entry.value.close()
            else:
                await _call_method(self._peer.discard, entry.value)

    def _discard_all(self) -> None:
        for entry in self._take_handles():
            if entry.kind == "process":  # made while the reset was under way
                entry.value.close()
            else:
                self._peer.discard(entry.value)

    def _take_handles(self) -> List[_Handle]:
        with self._changed:
            taken = [entry for entry in self._handles.values() if entry is not None]
            for entry in taken:
                del self._handles[entry.name]
        return taken

    def _answered_before(self, arrival: int) -> bool:
        return all(earlier >= arrival for earlier in self._unanswered)

    def _cancel(self, calls: List[Call], ended: Callable[[], bool]) -> None:
        """Ends the kit's waits of these calls, and returns when `ended` holds."""
        if not calls:
            return
        for call in calls:
            call.cancelled = True
        self.waker.wake(lambda: self._wait_until(ended))

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            self._changed.wait_for(condition)

    async def _wait_until_async(self, condition: Callable[[], bool]) -> None:
        while not condition():
            waiting = asyncio.get_running_loop().create_future()
            self._waiting_tasks.append(waiting)
            await waiting

    def _wake_tasks(self) -> None:
        for waiting in self._waiting_tasks:
            if not waiting.done():
                waiting.set_result(None)
        self._waiting_tasks.clear()


async def _run_for_ever(started: "queue.SimpleQueue[asyncio.AbstractEventLoop]") -> None:
    started.put(asyncio.get_running_loop())
    await asyncio.Event().wait()


async def _turn(times: int) -> None:
    """Let the event loop go round: each time, what was ready before has run when the loop comes to this."""
    loop = asyncio.get_running_loop()
    for _ in range(times):
        turned = loop.create_future()
        loop.call_soon(turned.set_result, None)
        await turned


async def _call_method(method: Callable[[Any], Any], argument: Any) -> Any:
    result = method(argument)
    return await result if inspect.isawaitable(result) else result


def _reply_of(request_id: int, call: Optional[Call], result: Any) -> Dict[str, Any]:
    """The reply to what a method returned, or to the Outcome it raised."""
    if not isinstance(result, Outcome) and call is not None and set(call.new_names) - set(call.made):
        result = Outcome("failed", "the peer made no handle")
    if isinstance(result, Outcome):
        reply: Dict[str, Any] = {"id": request_id, "status": result.status}
        if result.native:
            reply["error"] = result.native
        if result.why:
            reply["why"] = _shorten(result.why)
        results = result.results
    else:
        reply, results = {"id": request_id, "status": "ok"}, result or {}
    for name, value in results.items():
        reply[name] = encode_bytes(value) if isinstance(value, (bytes, bytearray, memoryview)) else value
    return reply


def _shorten(why: str) -> str:
    return why.encode("utf-8", "replace")[:WHY_BYTES_MAX].decode("utf-8", "ignore")


def _change_signal_mask(how: str, mask: Any) -> Any:
    """`signal.pthread_sigmask`, where there is one; returns the mask before."""
    return signal.pthread_sigmask(getattr(signal, how), mask) if hasattr(signal, "pthread_sigmask") else ()


def _block_signals() -> None:
    """Leaves signals to the main thread: one that another took would not wake it, and there alone handlers run."""
    if hasattr(signal, "valid_signals"):
        _change_signal_mask("SIG_BLOCK", signal.valid_signals())


def _die() -> None:
    """A defect of the kit or the peer outside of any request: says so and ends the process."""
    sys.excepthook(*sys.exc_info())
    sys.stderr.flush()
    os._exit(1)


def run(*peers: Type[Peer]) -> None:
    """Serves the requests on standard input with these classes, one a mode, the default mode first. Never returns."""
    _Runtime(list(peers)).run()
