"""Systems: labels and what they gate, and a run under a Wine that is two shell scripts."""

from __future__ import annotations

import os
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from cts import expectations, systems
from cts.common import CannotRun, cache_dir
from cts.requirements import Requirement
from cts.runner import KNOWN_HANG_DEADLINE_MS, Conditions, Pairing, Runner, Task
from tests.support import Checkout

# What Wine's loader is asked: its version, or to run Z:\PROGRAM. Arguments lose the drive again.
LOADER = """#!/bin/bash
[ "$1" = --version ] && { echo 'wine-8.0.1 (Debian 8.0.1~1)'; exit 0; }
echo "$WINEPREFIX $WINEDEBUG" >>"$FAKE_WINE_LOG"
[ -d "$WINEPREFIX/dosdevices/z:/" ] && [ -f "$WINEPREFIX/system.reg" ] || exit 77
arguments=()
for argument; do
  case $argument in
    Z:*) argument=${argument#Z:}; argument=${argument//\\\\//} ;;
    --cts_plan=Z:*) argument=--cts_plan=${argument#--cts_plan=Z:}; argument=${argument//\\\\//} ;;
  esac
  arguments+=("$argument")
done
for plan in "${arguments[@]}"; do
  case $plan in
    --cts_plan=*) file=${plan#--cts_plan=}; sed -i 's/Z://g; s/\\\\\\\\/\\//g' "$file" ;;
  esac
done
if [ -n "${FAKE_WINE_DIES-}" ] && [[ "$*" == *--cts_plan=* && "$*" != *--gtest_list_tests* ]]; then
  kill -9 "$(cat "$WINEPREFIX/server.pid")"
  exec sleep 1000
fi
exec "${arguments[@]}"
"""
SERVER = """#!/bin/bash
case $1 in
  --foreground)
    mkdir -p "$WINEPREFIX/wine-1/server-1"
    echo $$ >"$WINEPREFIX/server.pid"
    echo "server $$" >>"$FAKE_WINE_LOG"
    touch "$WINEPREFIX/wine-1/server-1/socket"
    exec sleep 1000
    ;;
  --kill) kill "$(cat "$WINEPREFIX/server.pid")" ;;
esac
"""


class Labels(unittest.TestCase):
    def test_system_of_a_label(self) -> None:
        told = {label: systems.system_of(label) for label in ("linux", "gvisor", "windows", "windows-wine-8.0")}
        expected = {"linux": "linux", "gvisor": "linux", "windows": "windows", "windows-wine-8.0": "windows"}
        self.assertEqual(told, expected)

    def test_evidence_of_wine_gates_wine_alone(self) -> None:
        def gates(evidence: str) -> "list[str]":
            requirement = Requirement("A.B", "A", "MUST", 1, {"windows": evidence, "linux": "run 6.18"}, "", 0)
            return [label for label in ("linux", "windows", "windows-wine-8.0") if requirement.gates(label)]

        self.assertEqual(gates("wine 8.0"), ["linux", "windows-wine-8.0"])
        self.assertEqual(gates("run 10.0"), ["linux", "windows"])
        self.assertEqual(gates("documented"), ["linux"])

    def test_expectation_files_leave_out_the_version(self) -> None:
        self.assertEqual(expectations.label_of_file("windows-wine-8.0"), "windows-wine")
        self.assertEqual(expectations.label_of_file("linux"), "linux")

    def test_other_systems_are_refused(self) -> None:
        with self.assertRaises(CannotRun):
            systems.named("plan9")


@unittest.skipUnless("windows" in systems.labels() and os.name == "posix", "Wine is for Linux")
class UnderWine(Checkout):
    def setUp(self) -> None:
        super().setUp()
        programs = self.base / "bin"
        programs.mkdir()
        for name, text in (("wine64", LOADER), ("wineserver64", SERVER)):
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        (self.root / "ci").mkdir()
        (self.root / "ci/wine").write_text("#!/bin/sh\nexit 0\n")
        (self.root / "ci/wine").chmod(0o755)
        template = cache_dir() / "wine"
        (template / "drive_c").mkdir(parents=True)
        for name in ("system.reg", ".update-timestamp"):
            (template / name).touch()
        self.log = self.base / "wine.log"
        os.environ.update(PATH=f"{programs}:{os.environ['PATH']}", FAKE_WINE_LOG=str(self.log))

    def _run(self, status: int = 0, *options: str) -> "dict":
        got, out, err = self.cts("run", "--report", str(self.report), "--os", "windows", *options)
        self.assertEqual(got, status, out + err)
        return self.results()

    def _left(self) -> "list[Path]":
        return list(self.tmp.iterdir())

    def _server_lives(self) -> bool:
        pids = [line.split()[1] for line in self.log.read_text().splitlines() if line.startswith("server ")]
        self.assertEqual(len(pids), 1)
        return Path("/proc", pids[0]).exists()

    def test_a_run_is_labelled_and_leaves_nothing(self) -> None:
        document = self._run()
        self.assertEqual({r["os"] for r in document["results"]}, {"windows-wine-8.0.1"})
        self.assertEqual((self._left(), self._server_lives()), ([], False))
        prefixes = {line.split()[0] for line in self.log.read_text().splitlines() if not line.startswith("server ")}
        self.assertEqual(len(prefixes), 1, "one prefix a run")

    def test_the_command_that_shows_it_again_names_the_system(self) -> None:
        self.behaviour["Alpha.One"] = {"outcome": "failed"}
        got, out, err = self.cts("run", "--report", str(self.report), "--os=windows")
        self.assertIn("run --cases Alpha.One --peer ref", out, err)
        self.assertIn("--os windows", out)

    def test_third_parties_are_unavailable(self) -> None:
        self.third_party("other")
        document = self._run()
        peer = next(p for p in document["run"]["peers"] if p["name"] == "other")
        self.assertEqual(
            (peer["available"], peer["why"]), (False, "its toolchain builds for this machine, not for windows")
        )

    def test_third_parties_that_are_built_for_it_anywhere_take_part(self) -> None:
        self.third_party("other", extra='os = ["windows"]\ncross = true')
        document = self._run()
        peer = next(p for p in document["run"]["peers"] if p["name"] == "other")
        self.assertEqual((peer["available"], peer["why"]), (True, ""))
        self.assertTrue([r for r in document["results"] if "other" in r["pairing"]])

    def test_a_wineserver_that_dies_ends_the_run(self) -> None:
        os.environ["FAKE_WINE_DIES"] = "1"
        self.addCleanup(os.environ.pop, "FAKE_WINE_DIES")
        got, _, err = self.cts("run", "--report", str(self.report), "--os", "windows")
        self.assertEqual(got, 2)
        self.assertIn("the wineserver was ended by signal 9, and nothing can run without it; run again", err)
        self.assertEqual((self._left(), self._server_lives(), self.report.exists()), ([], False, False))

    def test_a_reference_that_does_not_start_leaves_nothing(self) -> None:
        self.artifacts.peer.write_text("#!/bin/sh\nexit 3\n")
        got, _, err = self.cts("run", "--report", str(self.report), "--os", "windows")
        self.assertEqual(got, 2)
        self.assertIn("the reference does not start", err)
        self.assertEqual((self._left(), self._server_lives()), ([], False))


class Deadlines(unittest.TestCase):
    """Cases that are known to hang wait for less, unless what is slow by itself would look as if it hung."""

    def deadline_ms(self, system: type, slow: int = 1, waits: bool = True, deadline_ms: int = 10000) -> int:
        given = SimpleNamespace(system=system, conditions=Conditions(slow=slow), deadline_ms=deadline_ms)
        task = Task(0, cast(Pairing, None), [], False, waits=waits)
        return Runner._deadline_ms(cast(Runner, given), task)

    def test_known_hangs(self) -> None:
        self.assertEqual(self.deadline_ms(systems.System), KNOWN_HANG_DEADLINE_MS)
        self.assertEqual(self.deadline_ms(systems.System, deadline_ms=2000), 2000)
        self.assertEqual(self.deadline_ms(systems.System, waits=False), 10000)
        self.assertEqual(self.deadline_ms(systems.System, slow=20), 10000)
        self.assertEqual(self.deadline_ms(systems.Wine), 10000)
        self.assertEqual(self.deadline_ms(systems.Gvisor), 10000)


if __name__ == "__main__":
    unittest.main()
