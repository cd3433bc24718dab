"""Builds what a run needs from this repository with Bazel: the runner, the generic peer, the reference library."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List

from cts.common import CannotRun, clip, printable

TARGETS = {
    "runner": "//conformance/cases:cases",
    "peer": "//conformance/peer:peer",
    "reference": "//ref:libipc_ref.so",
}


@dataclass(frozen=True)
class Artifacts:
    """Absolute paths of what was built."""

    runner: Path
    peer: Path
    reference: Path


def bazel() -> str:
    """The Bazel to use: bazelisk if there is one (it honours .bazelversion), else bazel."""
    for name in ("bazelisk", "bazel"):
        found = shutil.which(name)
        if found:
            return found
    raise CannotRun("neither bazel nor bazelisk is installed; `./cts` says how to get it")


def _errors(output: str) -> str:
    """What matters of Bazel's output: its errors and the compilers', else the end of it."""
    lines = output.splitlines()
    wanted = [line for line in lines if re.search(r"\b(ERROR|FATAL|error)\b:?", line)]
    return "\n".join(printable(clip(line, 400)) for line in (wanted or lines)[-25:])


def _bin_dir(program: str, root: Path) -> Path:
    done = subprocess.run([program, "info", "bazel-bin"], cwd=root, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise CannotRun(f"`bazel info` failed:\n{_errors(done.stderr)}")
    return Path(done.stdout.strip().splitlines()[-1])


def build(root: Path, progress: Callable[[str], None]) -> Artifacts:
    """Build the targets and return where they are; raises CannotRun with the compilers' errors."""
    program = bazel()
    progress("building the runner and the reference")
    command: List[str] = [program, "build", "--noshow_progress", "--color=no", *TARGETS.values()]
    try:
        done = subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise CannotRun(f"{program}: {error.strerror}") from error
    if done.returncode != 0:
        raise CannotRun(f"the build failed:\n{_errors(done.stderr + done.stdout)}")
    directory = _bin_dir(program, root)
    paths = {}
    for key, target in TARGETS.items():
        package, _, name = target[2:].partition(":")
        paths[key] = directory / package / name
        if not paths[key].exists():
            raise CannotRun(f"Bazel built {target}, but {paths[key]} does not exist")
    return Artifacts(**paths)
