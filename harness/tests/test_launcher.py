"""The launcher: what it finds missing, when it installs, and that it starts from anywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Dict, List

from cts.common import repository_root

LAUNCHER = repository_root() / "cts"
TOOLS = ["sh", "readlink", "dirname", "tr", "id", "ls", "env", "cat", "mkdir", "mktemp", "mv", "rm", "chmod"]


@unittest.skipUnless(os.name == "posix", "the launcher is a shell script")
class Launcher(unittest.TestCase):
    def setUp(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="harness-test-"))
        self.addCleanup(shutil.rmtree, self.base, True)
        self.bin = self.base / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.bin / tool).symlink_to(found)
        self.program("python3", f'exec {sys.executable} "$@"')
        self.log = self.base / "apt.log"

    def program(self, name: str, body: str) -> None:
        """Put a shell script on the PATH."""
        (self.bin / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.bin / name).chmod(0o755)

    def debian(self) -> None:
        """Make it a Debian whose apt-get notes what it is asked for, and whose dpkg knows no package."""
        self.program("dpkg", "exit 1")
        self.program("apt-get", f'echo "$@" >> {self.log}')
        self.program("sudo", 'exec "$@"')

    def start(self, *argv: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        kept: Dict[str, str] = {"PATH": str(self.bin), "HOME": str(self.base), **environment}
        command: List[str] = [str(self.bin / "sh"), str(LAUNCHER), *argv]
        return subprocess.run(command, env=kept, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)

    def test_help_needs_python_alone(self) -> None:
        done = self.start("--help")
        self.assertEqual((done.returncode, "COMMAND" in done.stdout), (0, True), done.stderr)
        self.assertEqual(self.start().returncode, 0)

    def test_says_what_is_missing_elsewhere(self) -> None:
        done = self.start("run")
        self.assertEqual(done.returncode, 2)
        self.assertIn("g++", done.stderr)
        self.assertIn("bazel-bootstrap bazel-rules-cc", done.stderr)

    def test_tests_need_more_than_a_run(self) -> None:
        self.assertIn("pkg-config", self.start("test").stderr)
        self.assertNotIn("pkg-config", self.start("run").stderr)
        self.assertNotIn("pkg-config", self.start("run", "--cases", "test").stderr)
        self.program("pkg-config", "exit 0")
        self.assertNotIn("pkg-config", self.start("test").stderr)

    def test_windows_needs_wine(self) -> None:
        for argv in (("run", "--os", "windows"), ("run", "--jobs", "1", "--os=windows"), ("test", "--all")):
            self.assertIn("wine64 wine mingw-w64", self.start(*argv).stderr)
        for argv in (("run",), ("run", "--os", "linux"), ("run", "--cases", "windows"), ("test",)):
            self.assertNotIn("wine", self.start(*argv).stderr)
        self.program("wine", "exit 0")
        self.assertNotIn("wine64", self.start("run", "--os", "windows").stderr)

    def test_installs_nothing_unasked(self) -> None:
        self.debian()
        for argv in (("run",), ("mutants",), ("run", "--no-install"), ("test", "--no-install", "--yes")):
            done = self.start(*argv)
            self.assertEqual((done.returncode, self.log.exists()), (2, False), done.stderr)
            self.assertIn("install with: apt-get install", done.stderr)

    def test_installs_with_yes_or_in_ci(self) -> None:
        self.debian()
        for argv, environment in ((("run", "--yes"), {}), (("run",), {"CI": "true"})):
            done = self.start(*argv, **environment)
            self.assertEqual(done.returncode, 2)  # the fake apt-get installs nothing, which is noticed
            self.assertIn("still missing", done.stderr)
            self.assertIn("install --yes --no-install-recommends", self.log.read_text())
            self.assertIn("g++", self.log.read_text())
            self.log.unlink()

    def test_no_install_wins_over_ci(self) -> None:
        self.debian()
        self.assertEqual(self.start("run", "--no-install", CI="1").returncode, 2)
        self.assertFalse(self.log.exists())

    def test_old_python_is_refused(self) -> None:
        self.program("python3", 'case "$*" in *version_info*) exit 1 ;; -V) echo Python 3.7.3 ;; esac')
        done = self.start("peers", "list")
        self.assertEqual((done.returncode, "3.10 or newer" in done.stderr), (2, True), done.stderr)

    def test_through_symbolic_links(self) -> None:
        (self.base / "one").symlink_to("two")
        (self.base / "two").symlink_to(LAUNCHER)
        done = subprocess.run(
            [str(self.base / "one"), "--version"],
            env={"PATH": str(self.bin), "HOME": str(self.base)},
            cwd="/",
            capture_output=True,
            text=True,
            timeout=60,
        )
        self.assertEqual((done.returncode, done.stdout.startswith("IPC-CTS ")), (0, True), done.stderr)


if __name__ == "__main__":
    unittest.main()
