"""Fuzz targets: which there are, how they are built, and what a run of one came to. The fuzzer is libFuzzer."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from cts import build, processes
from cts.common import CannotRun, cache_dir, printable

FLAGS = ("--config=fuzz",)
_SECONDS_OF_AN_INPUT = 10  # what takes longer is a hang
_MEGABYTES = 2048
# Freed memory of thousands of inputs, and not of so many that each touches pages which no other has touched.
_SANITIZER = {"ASAN_OPTIONS": "quarantine_size_mb=8"}
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
_COVERAGE = re.compile(r"^#\d+\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)", re.MULTILINE)
_CAUSE = re.compile(r"^(.*does not hold:.*|.*runtime error:.*|SUMMARY: .*|==\d+==ERROR: .*)$", re.MULTILINE)


@dataclass
class Outcome:
    """What a fuzzer said at its end."""

    runs: int = 0
    seconds: float = 0.0
    edges: int = 0  # places of the code that were reached
    features: int = 0  # with how often and after what
    corpus: int = 0  # inputs that are worth keeping
    peak_megabytes: int = 0
    findings: List[Path] = field(default_factory=list)
    cause: str = ""  # what it said of the finding
    status: int = 0

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return self.runs / self.seconds if self.seconds > 0 else 0.0


def targets(root: Path) -> List[str]:
    """The names of all targets."""
    text = (root / "fuzz/BUILD.bazel").read_text(encoding="utf-8")
    return sorted(re.findall(r'^fuzz_target\(\n\s+name = "(\w+)"', text, re.MULTILINE))


def known(root: Path, name: str) -> str:
    """The name, if there is such a target."""
    names = targets(root)
    if name not in names:
        raise CannotRun(f"there is no fuzz target {printable(name)!r}; there are: {', '.join(names)}")
    return name


def target_of(root: Path, file: Path, named: Optional[str]) -> str:
    """The target that a file is an input of: the one that is named, else that of the folder in which it lies."""
    if named:
        return known(root, named)
    if file.resolve().parent.name in targets(root):
        return file.resolve().parent.name
    raise CannotRun(f"{printable(str(file))} lies in no target's folder: name the target with --target")


def build_target(root: Path, name: str) -> Path:
    """Build a target with the fuzzer and return the program."""
    if shutil.which("clang") is None:
        raise CannotRun("clang is not installed, of which libFuzzer is a part; `./cts fuzz --yes` installs it")
    return build.program(root, FLAGS, "fuzz", name)


def options(root: Path, name: str) -> List[str]:
    """The arguments that TARGET.options (as OSS-Fuzz has them) stands for."""
    file = root / "fuzz" / f"{name}.options"
    if not file.exists():
        return []
    parser = configparser.ConfigParser()
    parser.read(file, encoding="utf-8")
    found = dict(parser["libfuzzer"]) if parser.has_section("libfuzzer") else {}
    if "dict" in found:
        found["dict"] = str(root / "fuzz" / found["dict"])
    return [f"-{key}={value}" for key, value in found.items()]


def kept_corpus(name: str) -> Path:
    """Where inputs that runs on this machine found worth keeping stay. Created here."""
    directory = cache_dir() / "fuzz" / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def corpora(root: Path, name: str) -> List[Path]:
    """The versioned inputs of a target: seeds and old findings."""
    return [d for d in (root / "fuzz/corpus" / name, root / "fuzz/regressions" / name) if d.is_dir()]


def parse(output: str) -> Outcome:
    """An Outcome, without its findings, from what the fuzzer printed."""
    numbers: Dict[str, int] = {key: int(value) for key, value in _STAT.findall(output)}
    outcome = Outcome(runs=numbers.get("number_of_executed_units", 0), peak_megabytes=numbers.get("peak_rss_mb", 0))
    reached: List[Tuple[str, str, str]] = _COVERAGE.findall(output)
    if reached:
        outcome.edges, outcome.features, outcome.corpus = (int(n) for n in reached[-1])
    cause = _CAUSE.search(output)
    outcome.cause = cause.group(1).strip() if cause else ""
    return outcome


def run(
    program: Path, arguments: Sequence[str], artifacts: Path, env: Optional[Dict[str, str]] = None
) -> Tuple[Outcome, str]:
    """Run a fuzzer to its end; its findings lie in `artifacts` then. An exception ends it with all it started."""
    argv = [
        str(program),
        f"-artifact_prefix={artifacts}/",
        f"-timeout={_SECONDS_OF_AN_INPUT}",
        f"-rss_limit_mb={_MEGABYTES}",
        "-print_final_stats=1",
        *arguments,
    ]
    group = processes.Group()
    with tempfile.TemporaryDirectory(prefix="cts-fuzz-") as directory:
        log = Path(directory) / "output"
        began = time.monotonic()
        process = group.start(argv, {**_SANITIZER, **(os.environ if env is None else env)}, None, log)
        assert process is not None  # the group is new
        try:
            status = process.wait()
        except BaseException:
            group.end(0)
            process.wait()
            raise
        finally:
            group.finished(process)
        seconds = time.monotonic() - began
        output = log.read_text(encoding="utf-8", errors="replace")
    outcome = parse(output)
    outcome.seconds = seconds
    outcome.status = status
    outcome.findings = sorted(p for p in artifacts.iterdir() if p.is_file())
    return outcome, output
