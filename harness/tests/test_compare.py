"""`cts compare`: nothing that differs gets lost in normalising, and what may differ is set apart with its reason."""

from __future__ import annotations

import copy
import random
import re
import shutil
import unittest
import zlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

from cts import canonical, compare, recorded
from cts.common import CannotRun, repository_root
from cts.project import Project
from cts.recorded import Key, Side, Variant
from tests.support import Checkout

ROOT = repository_root()
LINUX = ROOT / "conformance/traces/linux"
SEEDS = range(60)


def refused(a: Side, b: Side) -> List[compare.Difference]:
    return compare.Comparer(a, b, Project(ROOT).requirements()).compare().refused


class Planted(unittest.TestCase):
    """A difference of each kind, planted at many places of the reference's real trace, is refused."""

    trace: Side
    other_system = ""  # in which the differences are planted; empty: the same
    statuses = ("ok", "end", "reset", "failed", "would_block", "timed_out")

    @classmethod
    def setUpClass(cls) -> None:
        cls.trace = recorded.of_recording(LINUX)
        cls.requirements = Project(ROOT).requirements()

    def planted(self, seed: int, kind: str) -> Tuple[Side, Key]:
        """A copy of the trace in which one variant of one case was changed."""
        dice = random.Random(f"{kind} {seed}")
        changes: Dict[str, Callable[[List[str], random.Random], bool]] = {
            "status": self.status,
            "byte": self.byte,
            "length": self.length,
            "order": self.order,
            "missing": self.missing,
            "extra": self.extra,
        }
        while True:
            key = dice.choice(sorted(self.trace.cases))
            if self.other_system and (key[0] not in self.requirements or self.requirements[key[0]].own):
                continue
            number = dice.randrange(len(self.trace.cases[key]))
            lanes = self.trace.cases[key][number].lanes
            place = dice.choice(sorted(lanes)) if lanes else ""
            lane = list(lanes.get(place, []))
            if lane and changes[kind](lane, dice):
                break
        side = self.elsewhere()
        side.cases = dict(self.trace.cases)
        variants = side.cases[key] = copy.deepcopy(self.trace.cases[key])
        variants[number].lanes[place] = lane
        return side, key

    def elsewhere(self) -> Side:
        """The same trace, of the other system."""
        side = copy.copy(self.trace)
        if self.other_system:
            side.system = side.label = self.other_system
        return side

    @staticmethod
    def pick(lane: List[str], dice: random.Random, pattern: str) -> int:
        found = [n for n, text in enumerate(lane) if re.search(pattern, text)]
        return dice.choice(found) if found else -1

    def status(self, lane: List[str], dice: random.Random) -> bool:
        at = self.pick(lane, dice, r"-> status=")
        if at >= 0:
            now = re.search(r"-> status=(\S+)", lane[at]).group(1)
            other = dice.choice([s for s in self.statuses if s != now])
            lane[at] = lane[at].replace(f"-> status={now}", f"-> status={other}")
        return at >= 0

    def byte(self, lane: List[str], dice: random.Random) -> bool:
        at = self.pick(lane, dice, r"crc32=\d+")
        if at >= 0:
            lane[at] = re.sub(r"crc32=(\d+)", lambda m: f"crc32={int(m.group(1)) ^ 1 << dice.randrange(32)}", lane[at])
        return at >= 0

    def length(self, lane: List[str], dice: random.Random) -> bool:
        at = self.pick(lane, dice, r"-> .*length=\d+")
        if at >= 0:
            lane[at] = re.sub(r"(-> .*length=)(\d+)", lambda m: f"{m.group(1)}{int(m.group(2)) + 1}", lane[at])
        return at >= 0

    def order(self, lane: List[str], dice: random.Random) -> bool:
        places = [n for n in range(len(lane) - 1) if lane[n] != lane[n + 1]]
        if places:
            at = dice.choice(places)
            lane[at], lane[at + 1] = lane[at + 1], lane[at]
        return bool(places)

    def missing(self, lane: List[str], dice: random.Random) -> bool:
        del lane[dice.randrange(len(lane))]
        return True

    def extra(self, lane: List[str], dice: random.Random) -> bool:
        at = dice.randrange(len(lane))
        lane.insert(at, lane[at])
        return True

    def check(self, kind: str) -> None:
        for seed in SEEDS:
            side, key = self.planted(seed, kind)
            for a, b in ((self.trace, side), (side, self.trace)):
                found = compare.Comparer(a, b, self.requirements).compare().refused
                self.assertEqual({d.key for d in found}, {key}, f"{kind} with seed {seed}: {key}")

    def test_status(self) -> None:
        self.check("status")

    def test_byte(self) -> None:
        self.check("byte")
        self.check("length")

    def test_order_within_a_lane(self) -> None:
        self.check("order")

    def test_missing_operation(self) -> None:
        self.check("missing")

    def test_extra_operation(self) -> None:
        self.check("extra")

    def test_missing_and_extra_case(self) -> None:
        for seed in SEEDS:
            dice = random.Random(seed)
            key = dice.choice(sorted(self.trace.cases))
            side = self.elsewhere()
            if self.other_system and self.requirements[key[0]].evidence[self.other_system] == "no":
                continue
            side.cases = {k: v for k, v in self.trace.cases.items() if k != key}
            for a, b in ((self.trace, side), (side, self.trace)):
                found = compare.Comparer(a, b, self.requirements).compare().refused
                self.assertEqual({(d.key, d.kind) for d in found}, {(key, "case")})

    def test_the_trace_itself_is_equal(self) -> None:
        self.assertEqual(refused(self.trace, recorded.of_recording(LINUX)), [])


class PlantedBetweenSystems(Planted):
    """Nor is it lost in what two systems need not have in common."""

    other_system = "windows"
    statuses = ("failed", "closed")  # no table has these for that

    def test_the_trace_itself_is_equal(self) -> None:
        self.assertEqual(refused(self.trace, self.elsewhere()), [])


class Raw(unittest.TestCase):
    """Changes of raw events: what folds and labels leave of them."""

    def events(self, *operations: Any, lane: str = "a") -> List[Dict[str, Any]]:
        made: List[Dict[str, Any]] = []
        for number, (role, request, reply) in enumerate(operations, 1):
            common = {"role": role, "pid": 70 + len(role)}
            begin = {"kind": "begin", "request": {"id": number, "lane": lane, **request}}
            made.append({"seq": 2 * number, **common, **begin})
            made.append({"seq": 2 * number + 1, **common, "kind": "end", "reply": {"id": number, **reply}})
        return made

    def filled(self, taken: List[int], read: bytes, last: str = "would_block") -> Any:
        """A stream filled in pieces of which `taken` were accepted, and what came out of it."""
        data = canonical.pattern(5, 1000)
        writes = []
        for length in taken:
            request = {"op": "stream.write", "on": "w", "data": {"seed": 5, "length": 1000}, "wait": False}
            writes.append(("client", request, {"status": "ok", "length": length}))
        request = {"op": "stream.write", "on": "w", "data": {"seed": 5, "length": 1000}, "wait": False}
        writes.append(("client", request, {"status": last, "length": 0}))
        reply = {"status": "ok", "length": len(read), "crc32": zlib.crc32(read)}
        reading = ("server", {"op": "stream.read", "on": "r", "until": "exact", "max": len(read)}, reply)
        self.assertEqual(len(data), 1000)
        return canonical.canonical(self.events(*writes, reading))

    def test_the_room_is_the_systems(self) -> None:
        one = canonical.pattern(5, 1000)
        small, large = self.filled([1000, 700], one + one[:700]), self.filled([1000, 1000, 3], one * 2 + one[:3])
        self.assertEqual(small, large)

    def test_what_came_of_the_room_is_not(self) -> None:
        one = canonical.pattern(5, 1000)
        right = self.filled([1000, 700], one + one[:700])
        wrong_byte = bytes([one[0] ^ 1]) + one[1:] + one[:700]
        for told in (
            self.filled([1000, 700], wrong_byte),
            self.filled([1000, 700], one + one[:699]),
            self.filled([1000, 700, 1000], one + one[:700]),
            self.filled([1000, 700], one + one[:700], last="timed_out"),
            self.filled([1000, 700], one + one[:700], last="broken_pipe"),
        ):
            self.assertNotEqual(told, right)

    def messages(self, sent: List[str], came: List[str]) -> Any:
        def send(text: str, status: str) -> Any:
            request = {"op": "socket.send", "on": "s", "data": text, "wait": False}
            return ("client", request, {"status": status, "length": len(text) if status == "ok" else 0})

        def receive(text: str) -> Any:
            reply = {"status": "ok", "length": len(text), "crc32": zlib.crc32(text.encode()), "data": text}
            return ("server", {"op": "socket.receive", "on": "r", "max": 64}, reply)

        sends = [*(send(t, "ok") for t in sent), send("full", "would_block")]
        return canonical.canonical(self.events(*sends, *map(receive, came)))

    def test_queues_of_any_length_are_alike(self) -> None:
        self.assertEqual(self.messages(["0", "1"], ["0", "1"]), self.messages(["0", "1", "2"], ["0", "1", "2"]))

    def connections(self, filled: int, accepted: int) -> Any:
        connects = [
            ("client", {"op": "local.connect", "as": f"c{n}", "name": "n", "timeout_ms": 0}, {"status": status})
            for n, status in enumerate([*["ok"] * filled, "timed_out"])
        ]
        accepts = [
            ("server", {"op": "listener.accept", "on": "l", "as": f"s{n}"}, {"status": "ok"}) for n in range(accepted)
        ]
        return canonical.canonical(self.events(*connects, *accepts))

    def test_a_connection_is_accepted_once(self) -> None:
        right = self.connections(2, 3)
        self.assertEqual(right, self.connections(1, 2))
        for filled, accepted in ((1, 1), (1, 3), (2, 2), (2, 4), (2, 1)):
            self.assertNotEqual(right, self.connections(filled, accepted), (filled, accepted))

    def test_messages_lost_changed_or_twice_are_not(self) -> None:
        right = self.messages(["0", "1", "2"], ["0", "1", "2"])
        for came in (["0", "1"], ["0", "2", "1"], ["0", "1", "x"], ["0", "1", "2", "2"]):
            self.assertNotEqual(self.messages(["0", "1", "2"], came), right)

    def racing(self, came: List[str], rules: canonical.Rules) -> Any:
        reads = [
            ("client", {"op": "watcher.next", "on": "w"}, {"status": "ok", "signal": signal, "pid": 77})
            for signal in came
        ]
        return canonical.canonical(self.events(*reads), rules)

    def test_races_hide_the_order_alone(self) -> None:
        rules = canonical.Rules(races={"watcher.next": ()})
        right = self.racing(["TERM", "HUP"], rules)
        self.assertEqual(right, self.racing(["HUP", "TERM"], rules))
        self.assertNotEqual(
            self.racing(["TERM", "HUP"], canonical.NO_RULES), self.racing(["HUP", "TERM"], canonical.NO_RULES)
        )
        for came in (["TERM", "TERM"], ["TERM"], ["TERM", "HUP", "HUP"]):
            self.assertNotEqual(self.racing(came, rules), right)

    def cancelled(self, statuses: List[Tuple[str, str]]) -> Any:
        rules = canonical.Rules(races={"stream.read": ("ok", "cancelled")})
        reads = []
        for status, text in statuses:
            reply = {"status": status, "length": len(text), "crc32": zlib.crc32(text.encode())}
            reads.append(("client", {"op": "stream.read", "on": "r", "until": "some"}, reply))
        return canonical.canonical(self.events(*reads), rules)

    def test_races_of_statuses_keep_every_byte(self) -> None:
        right = self.cancelled([("ok", "x"), ("ok", "y")])
        self.assertEqual(right, self.cancelled([("ok", "x"), ("cancelled", ""), ("ok", "y")]))
        for other in ([("ok", "x")], [("ok", "y"), ("ok", "x")], [("ok", "x"), ("ok", "y"), ("reset", "")]):
            self.assertNotEqual(self.cancelled(other), right)

    def test_repeats_are_equal_ones(self) -> None:
        def told(lengths: List[int]) -> Any:
            writes = [
                ("client", {"op": "stream.write", "on": "w", "data": "x"}, {"status": "ok", "length": n})
                for n in lengths
            ]
            return canonical.canonical(self.events(*writes), canonical.Rules(repeats=("stream.write",)))

        self.assertEqual(told([1, 1, 1]), told([1]))
        self.assertNotEqual(told([1, 0, 1]), told([1, 1, 1]))

    def test_bytes_that_are_not_those_of_the_digest_stay(self) -> None:
        def told(data: str) -> Any:
            reply = {"status": "ok", "length": 1, "crc32": zlib.crc32(b"x"), "data": data}
            return canonical.canonical(
                self.events(("client", {"op": "stream.read", "on": "r", "until": "exact"}, reply))
            )

        self.assertNotEqual(told("x"), told("y"))

    def test_processes_are_told_apart_by_their_roles(self) -> None:
        def told(pid: int) -> Any:
            client = ("client", {"op": "stream.flush", "on": "s"}, {"status": "ok"})
            asking = ("peer", {"op": "stream.peer_credentials", "on": "s"}, {"status": "ok", "pid": pid})
            return canonical.canonical(self.events(client, asking))

        self.assertNotEqual(told(70 + len("client")), told(70 + len("peer")))
        self.assertNotEqual(told(70 + len("client")), told(999))
        self.assertEqual(told(999), told(998))

    def test_a_timeout_before_its_time_is_told(self) -> None:
        def told(took_ms: float, status: str = "timed_out") -> Any:
            read = ("client", {"op": "stream.read", "on": "s", "timeout_ms": 100}, {"status": status})
            begin, end = self.events(read)
            begin["t_us"], end["t_us"] = 5000, 5000 + int(1000 * took_ms)
            return canonical.canonical([begin, end])

        self.assertEqual(told(100), told(9000))
        self.assertNotEqual(told(100), told(50))
        self.assertEqual(told(100, "ok"), told(50, "ok"))

    def test_what_a_case_saw_of_the_system(self) -> None:
        def told(pid: int, fd: int, **look: Any) -> Any:
            raw = {"kind": "fd", "value": "7"}
            events = self.events(("client", {"op": "stream.raw", "on": "s"}, {"status": "ok", "raw": raw}))
            of = {"pid": pid, "raw": {"kind": "fd", "value": str(fd)}, **look}
            return canonical.canonical([*events, {"seq": 9, "kind": "look", "role": "system", "look": of}])

        right = told(76, 7, at="close_on_exec", saw=True)
        self.assertEqual(
            right[canonical.SYSTEM],
            [
                {
                    "op": "look.close_on_exec",
                    "arguments": {"pid": "<pid-of-client>", "raw": "<fd-1>"},
                    "answer": {"saw": True},
                }
            ],
        )
        self.assertNotEqual(right, told(76, 7, at="close_on_exec", saw=False))
        self.assertNotEqual(right, told(76, 8, at="close_on_exec", saw=True))
        self.assertEqual(
            told(76, 7, at="description", saw="socket:[4711]"), told(76, 7, at="description", saw="socket:[12]")
        )
        self.assertNotEqual(told(76, 7, at="description", saw="socket:[4711]"), told(76, 7, at="description", saw=""))

    def test_numbers_are_told_by_who_gave_them(self) -> None:
        def told(first: int, second: int, passed: int) -> Any:
            raw = [
                ("client", {"op": "stream.raw", "on": h}, {"status": "ok", "raw": {"kind": "fd", "value": str(n)}})
                for h, n in (("a", first), ("b", second))
            ]
            passing = ("client", {"op": "stream.write_ancillary", "on": "s", "descriptors": [passed]}, {"status": "ok"})
            return canonical.canonical(self.events(*raw, passing))

        self.assertEqual(told(5, 6, 5), told(9, 7, 9))
        self.assertNotEqual(told(5, 6, 5), told(5, 6, 6))
        self.assertNotEqual(told(5, 6, 99), told(5, 6, 6))


class Allowed(unittest.TestCase):
    """What the spec lets differ, on two made-up sides."""

    def setUp(self) -> None:
        self.requirements = Project(ROOT).requirements()
        self.case, self.row = next(
            (r.id, row)
            for r in self.requirements.values()
            for row in r.outcomes.values()
            if set(row["linux"]) != set(row["macos"]) and row["linux"] and row["macos"]
        )

    def side(self, system: str, status: str, implementation: str = "ref", **more: Any) -> Side:
        side = Side("t", implementation, "1", system, system, 1, **more)
        lanes = {"client/a": ["stream.close on=<handle-1> -> status=ok", f"stream.read -> status={status}"]}
        side.cases[self.case, ""] = [Variant(["blocking"], "passed", "", lanes)]
        return side

    def comparison(self, a: Side, b: Side) -> compare.Comparison:
        return compare.Comparer(a, b, self.requirements).compare()

    def test_the_table_of_the_requirement(self) -> None:
        linux = [s for s in self.row["linux"] if s not in self.row["macos"]]
        self.assertTrue(linux, "the table has to tell the two systems apart")
        status, other = linux[0], self.row["macos"][0]
        found = self.comparison(self.side("linux", status), self.side("macos", other))
        self.assertEqual((len(found.refused), [d.allowed[:6] for d in found.differences]), (0, ["table:"]))
        self.assertEqual(len(self.comparison(self.side("linux", "failed"), self.side("macos", other)).refused), 1)
        self.assertEqual(len(self.comparison(self.side("macos", status), self.side("linux", "failed")).refused), 1)

    def test_not_offered_needs_its_reason(self) -> None:
        a, b = self.side("linux", "ok"), self.side("macos", "ok")
        key = ("Naming.PathIsKept", "")
        a.cases[key] = [Variant(["blocking"], "passed", "", {})]
        self.assertEqual(len(self.comparison(a, b).refused), 1)
        b.absent[key] = {"blocking": "not offered: peer: name.parse"}
        found = self.comparison(a, b)
        self.assertEqual(
            (found.refused, [d.allowed for d in found.differences]), ([], ["not offered: peer: name.parse"])
        )
        b.label = b.system = "linux"  # the same implementation on the same system offers what it offered
        self.assertEqual(len(self.comparison(a, b).refused), 1)

    def test_expected_failures(self) -> None:
        a, b = self.side("linux", "ok"), self.side("macos", "reset")
        b.cases[self.case, ""][0].outcome, b.cases[self.case, ""][0].why = "expected_failure", "a bug of theirs"
        found = self.comparison(a, b)
        self.assertEqual((found.refused, {d.allowed for d in found.differences}), ([], {"expected: a bug of theirs"}))
        b.cases[self.case, ""][0].outcome = "failed"
        self.assertEqual(len(self.comparison(a, b).refused), 2)

    def test_known_differences_in_keys_of_answers(self) -> None:
        a, b = self.side("linux", "ok pid=<pid-1>"), self.side("gvisor", "ok pid=<pid-2>")
        known = {"case": self.case.partition(".")[0] + ".*", "keys": ["pid"], "reason": "the thread's"}
        self.assertEqual(len(self.comparison(a, b).refused), 1)
        found = compare.Comparer(a, b, self.requirements, [known]).compare()
        self.assertEqual(([d.allowed for d in found.differences], found.unmatched), (["expected: the thread's"], []))
        other = self.side("gvisor", "end pid=<pid-2>")
        self.assertEqual(len(compare.Comparer(a, other, self.requirements, [known]).compare().refused), 1)
        alike = compare.Comparer(a, self.side("gvisor", "ok pid=<pid-1>"), self.requirements, [known]).compare()
        self.assertEqual(alike.unmatched, [known])

    def test_a_name_of_the_run_is_each_systems_own(self) -> None:
        def listening(system: str, kind: str, native: str) -> Side:
            side = self.side(system, "ok")
            lanes = {"server/a": [f"local.listen kind={kind} name=<name-1> -> status=ok native={native}"]}
            side.cases[self.case, ""] = [Variant(["blocking"], "passed", "", lanes)]
            return side

        linux = listening("linux", "path", "<name-1>")
        windows = listening("windows", "namespaced", r'"\\\\.\\pipe\\<name-1>"')
        self.assertEqual(self.comparison(linux, windows).refused, [])
        self.assertTrue(self.comparison(linux, listening("windows", "namespaced", "<name-2>")).refused)
        self.assertTrue(self.comparison(linux, listening("linux", "namespaced", "<name-1>")).refused)

    def on_a_raw_handle(self, system: str, raw: str, more: str = "") -> Side:
        side = self.side(system, "ok")
        adopted = f"stream.adopt as=<handle-2> raw={raw} -> status=ok{more}"
        side.cases[self.case, ""] = [Variant(["blocking"], "passed", "", {"server/a": [adopted]})]
        return side

    def test_what_a_system_calls_its_handles_is_its_own(self) -> None:
        linux = self.on_a_raw_handle("linux", "<fd-1>")
        self.assertEqual(self.comparison(linux, self.on_a_raw_handle("windows", "<os-handle-1>")).refused, [])
        for raw in ("<os-handle-2>", '{"kind":"handle","value":"7"}', "<handle-1>"):
            self.assertTrue(self.comparison(linux, self.on_a_raw_handle("windows", raw)).refused, raw)
        self.assertTrue(self.comparison(linux, self.on_a_raw_handle("linux", "<os-handle-1>")).refused)
        self.assertTrue(self.comparison(linux, self.on_a_raw_handle("windows", "<os-handle-1>", " pid=1")).refused)

    def test_own_are_the_keys_that_the_requirement_names(self) -> None:
        own = next(r.id for r in self.requirements.values() if r.own.get("signal.hooked") == ["pid", "uid"])

        def hooked(system: str, answer: str, op: str = "signal.hooked") -> Side:
            side = self.side(system, "ok")
            lanes = {"peer/a": [f'{op} at_least=0 name="a pid=7" -> status=ok{answer}', "signal.raise -> status=ok"]}
            side.cases = {(own, ""): [Variant(["blocking"], "passed", "", lanes)]}
            return side

        linux = hooked("linux", ' count=1 note="x pid=3" pid=<pid-1> uid=<uid-1>')
        found = self.comparison(linux, hooked("windows", ' count=1 note="x pid=3"'))
        self.assertEqual([d.allowed for d in found.differences], ["each system's own"])
        for other in (' count=2 note="x pid=3"', ' count=1 note="x pid=4" pid=<pid-1>', ' note="x pid=3"'):
            self.assertEqual(len(self.comparison(linux, hooked("windows", other)).refused), 1, other)
        self.assertEqual(len(self.comparison(linux, hooked("linux", ' count=1 note="x pid=3"')).refused), 1)
        raised = ' count=1 note="x pid=3"'
        self.assertTrue(
            self.comparison(
                hooked("linux", raised + " pid=<pid-1>", "signal.next"), hooked("windows", raised, "signal.next")
            ).refused
        )

    def test_a_digest_of_a_long_lane_is_of_what_systems_have_in_common(self) -> None:
        def long(system: str, name: str) -> Side:
            side = self.side(system, "ok", recorded=True)
            lanes = {"client/a": recorded.elided([f"local.connect kind=native name={name} -> status=ok"] * 150)}
            side.cases[self.case, ""] = [Variant(["blocking"], "passed", "", lanes)]
            return side

        linux, windows = long("linux", "<name-1>"), long("windows", r'"\\\\.\\pipe\\<name-1>"')
        self.assertEqual(self.comparison(linux, windows).refused, [])
        self.assertTrue(self.comparison(linux, long("windows", r'"\\\\.\\pipe\\<name-2>"')).refused)
        windows.system = windows.label = "linux"
        self.assertEqual(len(self.comparison(linux, windows).refused), 101)

    def test_nothing_in_common(self) -> None:
        empty = self.side("linux", "ok")
        empty.cases = {("Other.Case", ""): empty.cases[self.case, ""]}
        with self.assertRaisesRegex(CannotRun, "no case in common"):
            self.comparison(self.side("linux", "ok"), empty)

    def test_other_bytes(self) -> None:
        other = self.side("macos", "ok")
        other.seed = 2
        with self.assertRaisesRegex(CannotRun, "same --seed"):
            self.comparison(self.side("linux", "ok"), other)


class Command(Checkout):
    """`cts compare`, `cts trace --record` and `cts explain --os`, with the fake runner."""

    def record(self, name: str, *argv: str) -> Path:
        self.run_cts(*argv)
        shutil.copytree(self.report, self.base / name)
        return self.base / name

    def test_a_report_against_its_recording(self) -> None:
        self.record("one")
        self.assertEqual(self.cts("trace", str(self.report), "--record")[0], 0)
        kept = self.root / "conformance/traces/linux"
        self.assertEqual(sorted(p.name for p in kept.iterdir()), ["Alpha.trace", "Beta.trace", "about.json"])
        status, out, err = self.cts("compare", "linux", str(self.base / "one"))
        self.assertEqual(
            (status, out.splitlines()[-1]), (0, "5 cases compared: 0 differences in 0 cases, 0 allowed"), err
        )

    def test_differences_are_status_1(self) -> None:
        one = self.record("one")
        self.cts("trace", str(one), "--record")
        file = self.root / "conformance/traces/linux/Alpha.trace"
        file.write_text(file.read_text().replace("status=ok", "status=refused", 1))
        status, out, _ = self.cts("compare", "linux", str(one))
        self.assertEqual(status, 1)
        self.assertIn("status=refused", out)
        status, out, _ = self.cts("compare", "linux", str(one), "--case", "Beta.*")
        self.assertEqual(status, 0)

    def test_what_cannot_be_compared_is_status_2(self) -> None:
        one = self.record("one")
        self.cts("trace", str(one), "--record")
        kept = self.root / "conformance/traces/linux"
        for broken in ("=== A.B\nmodes blocking\n--- client/a\nx -> status=ok\ngarbage\n", "no recording\n", ""):
            for file in kept.glob("*.trace"):
                file.write_text(broken if file.name == "Alpha.trace" else "")
            self.assertEqual(self.cts("compare", "linux", str(one))[0], 2, broken)
        self.assertEqual(self.cts("compare", "nowhere", str(one))[0], 2)
        self.assertEqual(self.cts("compare", str(self.base / "none"), str(one))[0], 2)
        with open(one / "trace.jsonl", "a") as file:
            file.write('{"seq":1,"pair')
        self.assertEqual(self.cts("compare", str(one), str(self.report))[0], 2)
        (one / "trace.jsonl").unlink()
        self.assertEqual(self.cts("compare", str(one), str(self.report))[0], 2)

    def test_no_common_case_is_status_2(self) -> None:
        one, two = self.record("one", "--cases", "Alpha.One"), self.record("two", "--cases", "Beta.Alone")
        status, _, err = self.cts("compare", str(one), str(two))
        self.assertEqual(status, 2, err)
        self.assertEqual(self.cts("compare", str(one), str(one), "--case", "No.*")[0], 2)

    def test_explain_shows_both_traces(self) -> None:
        one = self.record("one")
        self.cts("trace", str(one), "--record")
        file = self.root / "conformance/traces/linux/Alpha.trace"
        file.write_text(file.read_text().replace("status=ok", "status=refused", 1))
        status, out, err = self.cts("explain", "Alpha.One", "--os", "linux", "--os", str(one))
        self.assertEqual(status, 0, err)
        marks = [line[:6] for line in out.splitlines() if " -> status=" in line]
        self.assertIn("    A ", marks)
        self.assertIn("    B ", marks)
        self.assertEqual(self.cts("explain", "Alpha.One", "--os", "nowhere")[0], 2)

    def test_partial_or_failed_runs_are_not_recorded(self) -> None:
        one = self.record("one", "--cases", "Alpha.One")
        self.assertEqual(self.cts("trace", str(one), "--record")[0], 2)
        self.behaviour["Alpha.Two"] = {"outcome": "failed", "message": "wrong"}
        self.run_cts(status=1)
        self.assertEqual(self.cts("trace", str(self.report), "--record")[0], 2)
        self.assertFalse((self.root / "conformance/traces").exists())


if __name__ == "__main__":
    unittest.main()
