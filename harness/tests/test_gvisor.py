"""`--os gvisor`: what is missing is said, what is fetched needs a yes, and the runner starts inside."""

from __future__ import annotations

import os
import sys
import unittest
from pathlib import Path

from cts import systems
from cts.common import cache_dir, system_of
from tests.support import Checkout

# Stands in for runsc: drops its options, and puts the sandbox's own file system into a directory of the test.
RUNSC = """#!{python}
import os, sys
command = sys.argv[sys.argv.index("-quiet") + 1 :]
command = [a for a in command if not a.startswith("-force-overlay")]
command = ["{shm}" + a[len("/dev/shm") :] if a.startswith("/dev/shm/") else a for a in command]
open("{log}", "a").write(command[0] + "\\n")
os.execvp(command[0], command)
"""
GO = """#!/bin/sh
case $1 in
  env) echo go{version} ;;
  install) echo "$*" >"{log}"; cp "{runsc}" "$GOBIN/runsc" ;;
esac
"""


@unittest.skipUnless(sys.platform.startswith("linux"), "gVisor runs on Linux alone")
class Gvisor(Checkout):
    def setUp(self) -> None:
        super().setUp()
        self.bin = self.base / "bin"
        (self.base / "shm").mkdir()
        self.bin.mkdir()
        os.environ.pop("CI", None)

    def program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def go(self, version: str) -> None:
        log = self.base / "log"
        self.program(self.base / "runsc", RUNSC.format(python=sys.executable, shm=self.base / "shm", log=log))
        self.program(self.bin / "go", GO.format(version=version, log=log, runsc=self.base / "runsc"))
        os.environ["PATH"] = f"{self.bin}:{os.environ['PATH']}"

    def refused(self, *argv: str) -> str:
        status, _, err = self.cts("run", "--report", str(self.report), "--os", "gvisor", *argv)
        self.assertEqual(status, 2)
        return err

    def test_without_go(self) -> None:
        os.environ["PATH"] = str(self.bin)
        self.assertIn("which is not installed", self.refused("--yes"))

    def test_with_an_old_go(self) -> None:
        self.go("1.19.8")
        self.assertIn("found go1.19.8", self.refused("--yes"))

    def test_nothing_is_fetched_unasked(self) -> None:
        self.go("99.1")
        self.assertIn("--yes", self.refused())
        self.assertIn("--yes", self.refused("--no-install"))
        self.assertFalse((self.base / "log").exists())
        self.assertFalse((cache_dir() / "gvisor").exists())

    def test_the_runner_and_the_peer_start_inside(self) -> None:
        self.go("99.1")
        status, out, err = self.cts("run", "--report", str(self.report), "--os", "gvisor", "--yes")
        self.assertEqual(status, 0, out + err)
        log = (self.base / "log").read_text()
        self.assertIn(f"{systems.GVISOR_MODULE}@{systems.GVISOR_VERSION}", log)
        self.assertIn(str(self.artifacts.peer), log.splitlines())
        self.assertIn("sh", log.splitlines())
        document = self.results()
        self.assertEqual({r["os"] for r in document["results"]}, {"gvisor"})
        self.assertIn(systems.GVISOR_VERSION, document["run"]["host"]["kernel"])

    def test_third_parties_are_not_taken_inside(self) -> None:
        self.third_party("mine")
        self.go("99.1")
        self.assertIn("the reference and --library", self.refused("--yes", "--peer", "mine"))


class Labels(unittest.TestCase):
    def test_system_of(self) -> None:
        self.assertEqual([system_of(s) for s in ("linux", "gvisor", "windows-wine-8.0")], ["linux", "linux", "windows"])


if __name__ == "__main__":
    unittest.main()
