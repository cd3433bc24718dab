"""Builds what a run needs from this repository with Bazel: the runner, the generic peer, the reference library."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from cts.common import CannotRun, clip, host_system, printable
from cts.systems import System


@dataclass(frozen=True)
class Artifacts:
    """Absolute paths of what was built."""

    runner: Path
    peer: Path
    reference: Path
    abi: Optional[Path] = None  # the runner of the in-process cases, if it was asked for


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


_Targets = Dict[str, Tuple[str, str]]  # what each is for: the package, and the file that Bazel makes there


def _targets(system: System, abi: bool) -> _Targets:
    """What a run needs, with or without the in-process cases."""
    targets = {
        "runner": ("conformance/cases", system.program("cases")),
        "peer": ("conformance/peer", system.program("peer")),
        "reference": ("ref", system.library("ipc_ref")),
    }
    return {**targets, "abi": ("conformance/abi", system.program("abi"))} if abi else targets


def _label(package: str, file: str) -> str:
    """A program's target has no suffix; a library's is named as its file."""
    return f"//{package}:{file[:-4] if file.endswith('.exe') else file}"


def _bin_dir(program: str, root: Path, flags: Sequence[str]) -> Path:
    argv = [program, "info", *flags, "bazel-bin"]
    done = subprocess.run(argv, cwd=root, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise CannotRun(f"`bazel info` failed:\n{_errors(done.stderr)}")
    return Path(done.stdout.strip().splitlines()[-1])


def _build(root: Path, system: System, targets: _Targets, progress: Callable[[str], None]) -> Dict[str, Path]:
    """Build targets for a system and return where each is; raises CannotRun with the compilers' errors."""
    progress("building the runner and the reference")
    return _made(root, system.bazel_flags, targets)


def _made(root: Path, flags: Sequence[str], targets: _Targets) -> Dict[str, Path]:
    """Build targets with these flags and return where each is; raises CannotRun with the compilers' errors."""
    program = bazel()
    command = [program, "build", "--noshow_progress", "--color=no", *flags]
    command += [_label(*target) for target in targets.values()]
    try:
        done = subprocess.run(
            command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        raise CannotRun(f"{program}: {error.strerror}") from error
    if done.returncode != 0:
        raise CannotRun(f"the build failed:\n{_errors(done.stderr + done.stdout)}")
    directory = _bin_dir(program, root, flags)
    paths = {}
    for key, (package, file) in targets.items():
        paths[key] = directory / package / file
        if not paths[key].exists():
            raise CannotRun(f"Bazel built {_label(package, file)}, but {paths[key]} does not exist")
    return paths


def program(root: Path, flags: Sequence[str], package: str, file: str) -> Path:
    """Build one program with these flags and return where it is; raises CannotRun."""
    return _made(root, flags, {file: (package, file)})[file]


def build(root: Path, system: System, progress: Callable[[str], None], abi: bool = False) -> Artifacts:
    """Build what a run on that system needs and return where it is; raises CannotRun."""
    return Artifacts(**_build(root, system, _targets(system, abi), progress))


def built(directory: Path, system: System, abi: bool = False) -> Artifacts:
    """What a run on that system needs, from a directory into which it was put when it was built elsewhere.

    Raises CannotRun with what is not there.
    """
    paths = {key: directory.absolute() / file for key, (_, file) in _targets(system, abi).items()}
    missing = [path.name for path in paths.values() if not path.is_file()]
    if missing:
        raise CannotRun(f"--built {directory}: it does not hold {', '.join(missing)}; `ci/build DIR` fills such a one")
    return Artifacts(**paths)


def build_mutants(root: Path, progress: Callable[[str], None]) -> Tuple[Artifacts, Path, str]:
    """Build what a run needs and the mutants: returns that, their library, and what its list says of them (JSON)."""
    here = System(host_system())
    targets = _targets(here, abi=True)
    package = "conformance/mutants"
    mutants = {"library": (package, here.library("ipc_mutant")), "list": (package, here.program("list"))}
    paths = _build(root, here, {**targets, **mutants}, progress)
    done = subprocess.run([str(paths["list"])], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise CannotRun(f"{paths['list']} ended with exit status {done.returncode}: {printable(done.stderr[-400:])}")
    return Artifacts(**{key: paths[key] for key in targets}), paths["library"], done.stdout


def reference_commands(root: Path) -> Tuple[List[str], List[str]]:
    """How Bazel compiles a file of the reference and links the library: the commands without files, from the checkout.

    Raises CannotRun if Bazel does not tell.
    """
    query = 'mnemonic("CppCompile|CppLink", //ref:%s)' % System(host_system()).library("ipc_ref")
    argv = [bazel(), "aquery", "--noshow_progress", "--output=jsonproto", query]
    done = subprocess.run(argv, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise CannotRun(f"`bazel aquery` failed:\n{_errors(done.stderr)}")
    found: Dict[str, List[str]] = {}
    for action in json.loads(done.stdout)["actions"]:
        found.setdefault(action["mnemonic"], action["arguments"])
    compiling, linking = found["CppCompile"], found["CppLink"]
    # Each file has its own of these.
    for option in ("-MF", "-c", "-o"):
        at = compiling.index(option)
        compiling = compiling[:at] + compiling[at + 2 :]
    compiling = [a for a in compiling if a != "-MD" and not a.startswith("-frandom-seed=")]
    # Of the linker's, what names a file, and what strips the lines from a library that is looked into.
    linking = linking[:1] + [a for a in linking[1:] if a.startswith("-") and a not in ("-o", "-Wl,-S")]
    return compiling, linking
