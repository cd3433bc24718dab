"""What the versioned corpora reach of the reference's pure code, by clang's source-based coverage."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

from cts import build, fuzz
from cts.common import CannotRun, host_system, printable

FLAGS = ("--config=fuzz_coverage",)
MINIMUM = (95.0, 90.0)  # percent of lines, of branches
_SECONDS_OF_A_REPLAY = 300

# What decides about bytes and asks no system anything but recvmsg(2): the whole of it is an input's to reach.
FILES = (
    "ref/common/framing.c",
    "ref/common/name.c",
    "ref/posix/ancillary.c",
    "ref/posix/control.c",
    "ref/linux/control.c",
)


@dataclass(frozen=True)
class Reached:
    """How much of one file, or of all, is reached. A branch is a condition that came out true, or false."""

    file: str
    lines: int
    lines_reached: int
    branches: int
    branches_reached: int
    missed: Tuple[str, ...] = ()  # `LINE`: not reached; `LINE:COLUMN true`: the condition there never was

    @property
    def line_percent(self) -> float:
        """Percent of lines reached; 100 if there are none."""
        return 100.0 * self.lines_reached / self.lines if self.lines else 100.0

    @property
    def branch_percent(self) -> float:
        """Percent of branches reached; 100 if there are none."""
        return 100.0 * self.branches_reached / self.branches if self.branches else 100.0

    def below(self, minimum: Tuple[float, float]) -> bool:
        """Whether it is less than this percentage of lines, or that of branches."""
        return self.line_percent < minimum[0] or self.branch_percent < minimum[1]


def minimum(text: str) -> Tuple[float, float]:
    """`95/90` as (95, 90): percent of lines, of branches. Raises CannotRun for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)", text)
    if not match or any(float(number) > 100 for number in match.groups()):
        raise CannotRun(f"--minimum is LINES/BRANCHES in percent, such as 95/90, not {printable(text)!r}")
    return float(match.group(1)), float(match.group(2))


def _missed(record: Dict[str, Any]) -> Tuple[str, ...]:
    """Where nothing came, first lines, then conditions, each in order."""
    lines = sorted({s[0] for s in record["segments"] if s[3] and s[4] and not s[5] and s[2] == 0})
    conditions = [
        (b[0], b[1], way) for b in record["branches"] for way, n in (("true", b[4]), ("false", b[5])) if not n
    ]
    return tuple([str(n) for n in lines] + [f"{n}:{column} {way}" for n, column, way in sorted(conditions)])


def read(exported: str, files: Sequence[str] = FILES) -> List[Reached]:
    """What `llvm-cov export` says of these files, in their order; raises CannotRun if it lacks one."""
    document = json.loads(exported)
    found = {}
    for record in document["data"][0]["files"]:
        for file in files:
            if record["filename"].endswith("/" + file) or record["filename"] == file:
                lines, branches = record["summary"]["lines"], record["summary"]["branches"]
                found[file] = Reached(
                    file, lines["count"], lines["covered"], branches["count"], branches["covered"], _missed(record)
                )
    lacking = [file for file in files if file not in found]
    if lacking:
        raise CannotRun(f"llvm-cov tells nothing of {', '.join(lacking)}: no target was built with it")
    return [found[file] for file in files]


def total(every: Sequence[Reached]) -> Reached:
    """The sum of all files."""
    return Reached(
        "total",
        sum(r.lines for r in every),
        sum(r.lines_reached for r in every),
        sum(r.branches for r in every),
        sum(r.branches_reached for r in every),
    )


def _tool(name: str) -> str:
    """The path of the clang's own tool of that name: another version's cannot read its profiles."""
    if shutil.which("clang") is None:
        raise CannotRun("clang is not installed, which counts what is reached; `./cts fuzz --yes` installs it")
    done = subprocess.run(["clang", f"-print-prog-name={name}"], capture_output=True, text=True)
    path = shutil.which(done.stdout.strip())
    if path is None:
        raise CannotRun(f"{name} is not installed, which belongs to clang (Debian: the package llvm)")
    return path


def _output(argv: List[str]) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise CannotRun(
            f"{Path(argv[0]).name} ended with {done.returncode}: {printable(done.stderr[-1000:], lines=True)}"
        )
    return done.stdout


def _replay(root: Path, name: str, program: Path, profiles: Path) -> None:
    """Run a target over its corpora. A differential target has no peers then: it asks the reference alone."""
    environment = {k: v for k, v in os.environ.items() if k != "CTS_FUZZ_PEERS"}
    environment["LLVM_PROFILE_FILE"] = str(profiles / f"{name}-%p.profraw")
    argv = [str(program), *map(str, fuzz.corpora(root, name))]
    try:
        done = subprocess.run(
            argv,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS_OF_A_REPLAY,
        )
    except subprocess.TimeoutExpired as error:
        raise CannotRun(f"{name} replays its corpora for more than {_SECONDS_OF_A_REPLAY} s") from error
    if done.returncode != 0:
        told = printable((done.stdout + done.stderr)[-1000:], lines=True)
        raise CannotRun(f"{name} does not hold for its corpora (`bazel test //fuzz:{name}_replay`):\n{told}")


def measure(root: Path, progress: Callable[[str], None]) -> List[Reached]:
    """What all targets' corpora together reach of each of FILES.

    Raises CannotRun if a target or a tool cannot be had, or a target does not hold for its corpora.
    """
    if host_system() != "linux":
        raise CannotRun("coverage is measured of what the reference is made of on Linux")
    profdata, cov = _tool("llvm-profdata"), _tool("llvm-cov")
    programs = {}
    for name in fuzz.targets(root):
        progress(f"building {name}")
        programs[name] = build.program(root, FLAGS, "fuzz", f"{name}_replay")
    with tempfile.TemporaryDirectory(prefix="cts-fuzz-") as directory:
        profiles = Path(directory)
        for name, program in programs.items():
            progress(f"replaying {name}")
            _replay(root, name, program, profiles)
        merged = profiles / "all.profdata"
        _output([profdata, "merge", "-o", str(merged), *map(str, sorted(profiles.glob("*.profraw")))])
        objects = [word for program in programs.values() for word in ("-object", str(program))][1:]
        return read(_output([cov, "export", f"-instr-profile={merged}", *objects]))


def table(every: Sequence[Reached], least: Tuple[float, float]) -> List[str]:
    """Lines of text: a row for each file and their total, and where a file that is below `least` was not reached."""
    rows = [*every, total(every)]
    width = max(len(r.file) for r in rows)
    told = [f"{'file':<{width}}  {'lines':>16}  {'branches':>16}"]
    for r in rows:
        lines = f"{r.line_percent:.1f} % of {r.lines}"
        branches = f"{r.branch_percent:.1f} % of {r.branches}"
        told.append(f"{r.file:<{width}}  {lines:>16}  {branches:>16}{'  below' if r.below(least) else ''}")
    for r in every:
        if r.below(least):
            told += [f"{r.file}:{place}" for place in r.missed]
    return told
