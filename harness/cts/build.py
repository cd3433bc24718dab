"""Builds what a run needs from this repository with Bazel: the runner, the generic peer, the reference library."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Tuple

from cts.common import CannotRun, clip, printable

TARGETS = {
    "runner": "//conformance/cases:cases",
    "peer": "//conformance/peer:peer",
    "reference": "//ref:libipc_ref.so",
}
MUTANT_TARGETS = {
    "library": "//conformance/mutants:libipc_mutant.so",
    "list": "//conformance/mutants:list",
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


def build_targets(root: Path, targets: Dict[str, str], progress: Callable[[str], None]) -> Dict[str, Path]:
    """Build labels, given by keys, and return where each is; raises CannotRun with the compilers' errors."""
    program = bazel()
    progress("building the runner and the reference")
    command: List[str] = [program, "build", "--noshow_progress", "--color=no", *targets.values()]
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
    for key, target in targets.items():
        package, _, name = target[2:].partition(":")
        paths[key] = directory / package / name
        if not paths[key].exists():
            raise CannotRun(f"Bazel built {target}, but {paths[key]} does not exist")
    return paths


def build(root: Path, progress: Callable[[str], None]) -> Artifacts:
    """Build what a run needs and return where it is; raises CannotRun with the compilers' errors."""
    return Artifacts(**build_targets(root, TARGETS, progress))


def build_mutants(root: Path, progress: Callable[[str], None]) -> Tuple[Artifacts, Path, str]:
    """Build what a run needs and the mutants: returns that, their library, and what its list says of them (JSON)."""
    paths = build_targets(root, {**TARGETS, **MUTANT_TARGETS}, progress)
    done = subprocess.run([str(paths["list"])], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotRun(f"{paths['list']} ended with exit status {done.returncode}: {printable(done.stderr[-400:])}")
    return Artifacts(**{key: paths[key] for key in TARGETS}), paths["library"], done.stdout
