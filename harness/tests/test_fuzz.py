"""Fuzz targets: names, what a fuzzer's output says, seeds, and bugs that can be planted."""

import contextlib
import io
import json
import re
import shutil
import struct
import tempfile
import unittest
from pathlib import Path
from typing import Dict, Iterable, List, Set

from cts import cli, fuzz, fuzz_coverage, fuzz_differential, fuzz_planted, fuzz_promote, fuzz_seeds, requirements
from cts.common import CannotRun, repository_root
from cts.fuzz_coverage import Reached

_OUTPUT = """#2\tINITED cov: 117 ft: 118 corp: 1/1b exec/s: 0 rss: 31Mb
#262144\tpulse  cov: 644 ft: 1450 corp: 433/52Kb lim: 512 exec/s: 9362 rss: 300Mb
fuzz/frame_decode.cc:155: does not hold: status.code == expected.status: status 0 in place of 16 at 9
==4711== ERROR: libFuzzer: deadly signal
stat::number_of_executed_units: 300000
stat::average_exec_per_sec:     9677
stat::peak_rss_mb:              312
"""


def _told(*argv: str) -> str:
    """What the command says on standard error when it ends with status 2."""
    with contextlib.redirect_stderr(io.StringIO()) as said:
        status = cli.main(list(argv))
    assert status == 2, status
    return said.getvalue()


class TargetsTest(unittest.TestCase):
    def test_every_target_has_its_file_seeds_and_test(self) -> None:
        root = repository_root()
        names = fuzz.targets(root)
        self.assertIn("frame_decode", names)
        for name in names:
            self.assertTrue((root / "fuzz" / f"{name}.cc").is_file(), name)
            self.assertTrue(list((root / "fuzz/corpus" / name).iterdir()), name)
            self.assertIn(f"`{name}`", (root / "fuzz/README.md").read_text(encoding="utf-8"))
        files = {f.stem for f in (root / "fuzz").glob("*.cc") if "LLVMFuzzerTestOneInput(const" in f.read_text("utf-8")}
        self.assertEqual(files, set(names))

    def test_every_target_is_built_for_oss_fuzz(self) -> None:
        root = repository_root()
        script = (root / "fuzz/oss_fuzz/build.sh").read_text(encoding="utf-8")
        listed, excluded = (
            [line.split()[0] for line in script.split(f"\n{name}='")[1].split("'")[0].split("\n") if line]
            for name in ("targets", "excluded")
        )
        self.assertEqual(sorted([*listed, *excluded]), fuzz.targets(root))
        # What compares with other processes has none to compare with there.
        self.assertEqual(sorted(excluded), sorted(fuzz_differential.TARGETS))

    def test_unknown_target_is_named_with_those_there_are(self) -> None:
        self.assertRegex(_told("fuzz", "frame_decoder"), "no fuzz target 'frame_decoder'; there are: .*frame_decode")

    def test_file_outside_a_targets_folder_needs_the_target(self) -> None:
        with tempfile.NamedTemporaryFile() as file:
            self.assertIn("--target", _told("fuzz", "replay", file.name))

    def test_missing_arguments_are_told(self) -> None:
        self.assertIn("wants a FILE", _told("fuzz", "replay"))
        self.assertIn("wants --from", _told("fuzz", "seeds"))
        self.assertIn("is no file", _told("fuzz", "minimise", "/nowhere/at/all"))
        self.assertIn("wants one FILE and --requirement", _told("fuzz", "promote", "/nowhere/at/all"))
        named = ("--requirement", "Framing.New")
        self.assertIn("wants a FILE", _told("fuzz", "promote", *named))
        self.assertIn("is no file", _told("fuzz", "promote", "/nowhere/at/all", *named))
        self.assertIn("1 or more", _told("fuzz", "frame_decode", "--seconds", "0"))


class OutputTest(unittest.TestCase):
    def test_numbers_and_cause(self) -> None:
        outcome = fuzz.parse(_OUTPUT)
        self.assertEqual((outcome.runs, outcome.peak_megabytes), (300000, 312))
        self.assertEqual((outcome.edges, outcome.features, outcome.corpus), (644, 1450, 433))
        self.assertIn("does not hold", outcome.cause)

    def test_nothing_is_made_of_nothing(self) -> None:
        outcome = fuzz.parse("")
        self.assertEqual((outcome.runs, outcome.edges, outcome.cause, outcome.rate), (0, 0, "", 0.0))


class SeedsTest(unittest.TestCase):
    def test_frame(self) -> None:
        request = {"op": "framing.decode", "codec": "length", "width": 2, "order": "little", "max": 10, "end": True}
        (seed,) = fuzz_seeds.seeds("frame_decode", [{**request, "head": "ab", "tail": {"b64": "AP8="}}] * 2)
        head = struct.pack("<BBBBBhB", 1, 1, 1, 0, 2, 0, 1)
        self.assertEqual(seed, head + b"\x0a\0\0" + b"\x01\x01" + b"\0\0\0" + b"\0" + b"\0\0\0" + b"ab\0\xff")

    def test_greatest_limits_keep_their_magnitude(self) -> None:
        (seed,) = fuzz_seeds.seeds("frame_decode", [{"op": "framing.decode", "codec": "u32", "max": (1 << 31) - 1}])
        mantissa, shift = struct.unpack("<HB", seed[8:11])
        self.assertEqual(mantissa << shift, 0xFFFF << 15)

    def test_name_and_control_buffer(self) -> None:
        self.assertEqual(list(fuzz_seeds.seeds("name_parse", [{"op": "name.parse", "text": "@a"}])), [b"\0\1\0x@a"])
        asked = {"op": "ancillary.decode", "control": {"b64": "AAE="}, "descriptors_max": 300}
        self.assertEqual(list(fuzz_seeds.seeds("ancillary_decode", [asked])), [b"\0\0\xff\0\1"])

    def test_other_requests_are_no_seeds(self) -> None:
        for target in set(fuzz_seeds.TARGETS) - {"peer_protocol"}:
            self.assertEqual(list(fuzz_seeds.seeds(target, [{"op": "stream.read", "max": 4}])), [])


class DifferentialTest(unittest.TestCase):
    def test_bad_peers_are_told(self) -> None:
        told = _told("fuzz", "frame_differential", "--peer", "nobody")
        self.assertRegex(told, "has no peer 'nobody'; it has: .*reference-s390x.*rust-tokio-util")
        self.assertIn("asks no peers", _told("fuzz", "frame_decode", "--peer", "rust-tokio-util"))
        told = _told("fuzz", "name_differential", "--peer", "java-netty")
        self.assertIn("name_differential has no peer 'java-netty'; it has: reference-s390x, reference-windows", told)

    def test_peers_say_which_targets_ask_them(self) -> None:
        for peer in fuzz_differential.load_peers(repository_root()).values():
            self.assertLessEqual(set(peer.targets), set(fuzz_differential.TARGETS), peer.name)

    def test_known_differences_are_sound(self) -> None:
        for target in fuzz_differential.TARGETS:
            known = fuzz_differential.known_differences(repository_root(), target)
            self.assertTrue(all(len(d["reason"]) > 20 for d in known))

    def test_bad_difference_is_told(self) -> None:
        good = 'name = "d"\npeer = "p"\nreason = "r"\nwhere = { ours = "frame" }\n'
        for wrong, why in (
            (good.replace('"p"', '"q"'), "no peer 'q'; there are: p"),
            (good.replace('"frame"', '"("'), "ours is no regular expression"),
            (good.replace('reason = "r"\n', ""), "a difference has name, peer, reason, where"),
            (good + "[[difference]]\n" + good, "d stands twice"),
        ):
            with tempfile.TemporaryDirectory() as directory:
                peer = Path(directory) / "fuzz/peers/p"
                peer.mkdir(parents=True)
                (peer / "peer.toml").write_text('name = "p"\nrun = ["p"]\n', encoding="utf-8")
                file = Path(directory) / "fuzz/t.toml"
                file.write_text("[[difference]]\n" + wrong, encoding="utf-8")
                with self.assertRaisesRegex(CannotRun, why):
                    fuzz_differential.known_differences(Path(directory), "t")

    def test_report_gives_rates_and_their_ratio(self) -> None:
        peer = {"name": "p", "requests": 640, "seconds": 0.1, "spawned": 10, "spawned_seconds": 1.0, "differences": 2}
        peer = {**peer, "cpu_seconds": 1.5, "restarts": 0, "known": {"d": 3}}
        told = {"requests": 100, "seconds": 0.01, "cpu_seconds": 0.5, "peers": [peer], "findings": []}
        lines = fuzz_differential.lines(told, 200)
        self.assertEqual(lines[0], "in this process: 10000 answers a second")
        self.assertEqual(lines[1], "of all processes: 100 runs and 50 requests a second of CPU time")
        self.assertIn("640 times that of a process each (10.0); 1.5 s of CPU time; 2 differences", lines[2])
        self.assertEqual(lines[3], "  known: d: 3")


def _exported(**more: object) -> Dict[str, object]:
    """What `llvm-cov export` says of a file: four lines, one of them not reached, and a condition never true."""
    summary = {"lines": {"count": 4, "covered": 3}, "branches": {"count": 2, "covered": 1}}
    segments = [
        [1, 1, 7, True, True, False],
        [2, 5, 0, True, True, False],
        [3, 1, 7, True, False, False],
        [3, 9, 0, True, True, True],  # between two statements
        [4, 1, 0, False, False, False],
    ]
    branches = [[1, 7, 1, 9, 0, 7, 0, 0, 4]]
    return {"filename": "/x/ref/a.c", "summary": summary, "segments": segments, "branches": branches, **more}


class CoverageTest(unittest.TestCase):
    def _read(self, *records: object) -> List[Reached]:
        return fuzz_coverage.read(json.dumps({"data": [{"files": records}]}), ["ref/a.c", "ref/b.c"])

    def test_files_are_told_in_their_order_with_what_is_missed(self) -> None:
        every = self._read(_exported(filename="/x/ref/b.c"), _exported(filename="/x/other/ref_a.c"), _exported())
        self.assertEqual([r.file for r in every], ["ref/a.c", "ref/b.c"])
        self.assertEqual(every[0].missed, ("2", "1:7 true"))
        self.assertEqual((every[0].line_percent, every[0].branch_percent), (75.0, 50.0))

    def test_file_that_no_target_holds_is_named(self) -> None:
        with self.assertRaisesRegex(CannotRun, "nothing of ref/b.c: no target"):
            self._read(_exported())

    def test_table_says_what_is_below_and_where(self) -> None:
        every = self._read(_exported(), _exported(filename="/x/ref/b.c"))
        told = fuzz_coverage.table(every, (75.0, 50.0))
        self.assertEqual(len(told), 4)
        self.assertRegex(told[-1], r"total +75.0 % of 8 +50.0 % of 4$")
        for least in ((75.1, 50.0), (75.0, 50.1)):
            told = fuzz_coverage.table(every, least)
            self.assertTrue(all(row.endswith("  below") for row in told[1:4]), told)
            self.assertEqual(told[4:6], ["ref/a.c:2", "ref/a.c:1:7 true"])

    def test_nothing_is_reached_as_a_whole(self) -> None:
        self.assertEqual(fuzz_coverage.Reached("a", 0, 0, 0, 0).below((100.0, 100.0)), False)

    def test_bad_minimum_is_told(self) -> None:
        self.assertEqual(fuzz_coverage.minimum("95.5/90"), (95.5, 90.0))
        for wrong in ("95", "95/", "101/90", "95/-1", "a/b", "95/90/80", ""):
            self.assertIn("--minimum is LINES/BRANCHES", _told("fuzz", "coverage", "--minimum", wrong))


class PromoteTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        for folder in ("spec", *requirements.CASES):
            shutil.copytree(repository_root() / folder, self.root / folder)
        self.finding = self.root / "crash-0"
        self.finding.write_bytes(b"\x00\xff" * 20)

    def _refused(self, name: str, why: str) -> None:
        with self.assertRaisesRegex(CannotRun, why):
            fuzz_promote.promote(self.root, "frame_decode", self.finding, name)
        self.assertEqual(requirements.check(self.root), [])

    def test_requirement_and_case_are_named_as_unfinished(self) -> None:
        self.assertEqual(requirements.check(self.root), [])
        expected = set()
        # In the middle and at the end of a page; about two processes, one, and a library.
        for family in (
            "NamedPipe",
            "NamedPipeMessage",
            "FramedStream",
            "Framing",
            "SignalRaise",
            "AbiTable",
            "AbiMemory",
        ):
            name = f"{family}.FoundByFuzzing"
            begun = fuzz_promote.promote(self.root, "frame_decode", self.finding, name)
            self.assertEqual((self.root / begun.regression).read_bytes(), self.finding.read_bytes())
            expected.add(f"{begun.requirement}: {name} is unfinished: it says so")
            expected.add(f"{begun.case}: case {name} is unfinished: the comment above it says so")

        def without_lines(told: Iterable[str]) -> Set[str]:
            return {re.sub(r":\d+:", ":", line) for line in told}  # families that share a file move one another

        self.assertEqual(without_lines(requirements.check(self.root)), without_lines(expected))
        case = (self.root / "conformance/cases/framing_test.cc").read_text(encoding="utf-8")
        self.assertIn("// 40 bytes: 00 ff", case)
        self.assertIn('FAIL() << "the case is unfinished"', case)
        self.assertTrue(case.endswith("}\n\n}  // namespace cts\n"))

    def test_finished_ones_are_named_no_more(self) -> None:
        begun = fuzz_promote.promote(self.root, "name_parse", self.finding, "Framing.New")
        told = requirements.check(self.root)
        self.assertEqual([line.partition(": ")[0] for line in told], [begun.requirement, begun.case])
        for place in (begun.requirement, begun.case):
            file = self.root / place.partition(":")[0]
            file.write_text(file.read_text(encoding="utf-8").replace("UNFINISHED", "Done"), encoding="utf-8")
        self.assertEqual(requirements.check(self.root), [])

    def test_bad_names_are_told_and_nothing_is_written(self) -> None:
        self._refused("framing.new", "--requirement is Family.Rule")
        self._refused("Framing.EmptyBodyIsAFrame", "there is a Framing.EmptyBodyIsAFrame already")
        self._refused("Nothing.New", "no requirement and case of a family Nothing stand yet; families: .*Framing")
        kept = self.root / "fuzz/regressions/frame_decode"
        kept.mkdir(parents=True)
        (kept / "crash-0").write_bytes(b"another")
        self._refused("Framing.New", "crash-0 is another finding")
        self.finding = self.finding.rename(self.root / "crash 0")
        self._refused("Framing.New", "kept under its file's name")


class PlantedTest(unittest.TestCase):
    def test_every_bug_can_be_planted(self) -> None:
        bugs = fuzz_planted.load(repository_root())
        self.assertGreaterEqual(len(bugs), 12)
        targets = {"frame_decode", "name_parse", "ancillary_decode", "hostile_peer"}
        self.assertGreaterEqual({bug.target for bug in bugs}, targets)

    def test_bug_that_no_longer_fits_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            (root / "fuzz").mkdir()
            (root / "fuzz/BUILD.bazel").write_text('fuzz_target(\n    name = "t",\n)\n', encoding="utf-8")
            (root / "a.c").write_text("x x", encoding="utf-8")
            bug = '[[bug]]\nname = "b"\nsays = "s"\ntarget = "t"\nfile = "a.c"\nold = "x"\nnew = "y"\n'
            (root / "fuzz/planted.toml").write_text(bug, encoding="utf-8")
            with self.assertRaisesRegex(CannotRun, "b: `old` stands 2 times in a.c, not once"):
                fuzz_planted.load(root)


if __name__ == "__main__":
    unittest.main()
