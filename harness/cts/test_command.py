"""`cts test`: everything that must hold before a change goes in, a line a step, and the sum at the very end.

A step is a function that returns what it counted. To add one, append it to STEPS.
"""

from __future__ import annotations

import argparse
import itertools
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple
from urllib.parse import unquote, urlparse

from cts import (
    build,
    compare,
    compare_command,
    definition,
    generate,
    jsonl,
    recorded,
    report,
    results,
    schemas,
    spec_command,
    trace,
)
from cts.common import CannotRun, cache_dir, host_system, printable
from cts.peers import REFERENCE
from cts.project import Project

_ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.7"
_C_SUFFIXES = {".c", ".cc", ".h"}
_NOT_OURS = {"target", "node_modules", ".git", "__pycache__", "report"}


@dataclass
class Count:
    """What a step found. `detail` is shown if it failed, `note` always; `skipped` says why it did not run at all."""

    passed: int = 0
    failed: int = 0
    detail: str = ""
    skipped: str = ""
    could_not_run: bool = False
    note: str = ""


@dataclass(frozen=True)
class Step:
    """One step. `thorough` ones run with --all only."""

    name: str
    run: Callable[[Project], Count]
    thorough: bool = False


def _call(argv: Sequence[str], cwd: Path, env: Optional[Dict[str, str]] = None) -> Tuple[int, str]:
    """Run a program; returns its status and both its outputs. A program that cannot be started is status 2."""
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        return 2, f"{argv[0]}: {error.strerror}"
    return done.returncode, done.stdout


def _tool(name: str) -> str:
    """A program of the harness's own environment, so that its version is the pinned one."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name


def _one(status: int, output: str) -> Count:
    return Count(passed=1) if status == 0 else Count(failed=1, detail=output)


def _files(root: Path, suffixes: Sequence[str]) -> List[str]:
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in _NOT_OURS and not f.startswith("bazel-")]
        found += [os.path.join(folder, n) for n in names if Path(n).suffix in suffixes]
    return sorted(found)


def ruff_check(project: Project) -> Count:
    """Python is free of what ruff knows as mistakes."""
    return _one(*_call([_tool("ruff"), "check", "--no-cache", "--quiet", "."], project.root))


def ruff_format(project: Project) -> Count:
    """Python is formatted."""
    return _one(*_call([_tool("ruff"), "format", "--no-cache", "--check", "--quiet", "--diff", "."], project.root))


def _generated(file: str) -> bool:
    """Whether its head says that the generator, which has a layout of its own, made it."""
    with open(file, encoding="utf-8", errors="replace") as opened:
        return "Made by `cts spec generate`" in opened.read(300)


def clang_format(project: Project) -> Count:
    """C and C++ are formatted."""
    files = [f for f in _files(project.root, sorted(_C_SUFFIXES)) if not _generated(f)]
    if not files:
        return Count(skipped="there are no C or C++ files")
    # Called through its package: the script beside python names the directory in which the environment was made.
    program = [sys.executable, "-c", "import sys, clang_format; sys.exit(clang_format.clang_format())"]
    return _one(*_call([*program, "--dry-run", "-Werror", *files], project.root))


def spec_check(project: Project) -> Count:
    """Every requirement has its case, every case its requirement."""
    problems = [p for p in spec_command.problems(project) if " is stale: " not in p]
    return Count(failed=1, detail="\n".join(problems)) if problems else Count(passed=1)


def generated_fresh(project: Project) -> Count:
    """What is made from the spec is what the spec makes."""
    stale = [str(p.relative_to(project.root)) for p in generate.stale(project.root)]
    return Count(failed=1, detail="stale: " + ", ".join(stale)) if stale else Count(passed=1)


def harness_tests(project: Project) -> Count:
    """The harness's own tests, with the harness's own environment."""
    argv = [sys.executable, "-m", "unittest", "discover", "-s", "harness/tests", "-t", "harness"]
    status, output = _call(
        argv, project.root, {"PYTHONPATH": str(project.root / "harness"), "PYTHONDONTWRITEBYTECODE": "1"}
    )
    return unittest_count(status, output)


def unittest_count(status: int, output: str) -> Count:
    """What unittest's last lines say."""
    ran = re.search(r"^Ran (\d+) tests?", output, re.MULTILINE)
    if not ran:
        return Count(failed=1, detail=output)
    bad = sum(int(n) for n in re.findall(r"(?:failures|errors|unexpected successes)=(\d+)", output.splitlines()[-1]))
    skipped = sum(int(n) for n in re.findall(r"skipped=(\d+)", output.splitlines()[-1]))
    bad = max(bad, 1) if status != 0 else bad
    return Count(passed=max(0, int(ran.group(1)) - bad - skipped), failed=bad, detail=output if bad else "")


def junit_count(file: Path) -> Tuple[int, int]:
    """(passed, failed) test cases in a test.xml; raises CannotRun if it is none."""
    passed = failed = 0
    try:
        root = ET.parse(file).getroot()
    except (ET.ParseError, ValueError, LookupError) as error:  # also an encoding that there is not
        raise CannotRun(f"{file}: no XML: {printable(error)}") from error
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif (
            case.find("skipped") is None
            and case.get("status") != "notrun"
            and case.get("result") not in ("suppressed", "skipped")
        ):
            passed += 1
    return passed, failed


def _of_test(event: Dict[str, Any]) -> Tuple[str, bool, List[Path]]:
    """(label, whether it passed, its test.xml) of the build event of a test; an empty label if it is another."""
    label = event.get("id", {}).get("testResult", {}).get("label", "")
    result = event.get("testResult", {})
    outputs = [o for o in result.get("testActionOutput", []) if o.get("name") == "test.xml"]
    return label + "", result.get("status") in ("PASSED", "FLAKY"), [_local(o.get("uri", "")) for o in outputs]


def _local(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def _not_built(event: Dict[str, Any]) -> str:
    """Why this is no build event that can be counted; empty if it is one."""
    try:
        files = _of_test(event)[2]
        return "no build event: `uri` has a zero byte" if any("\0" in str(file) for file in files) else ""
    except (AttributeError, TypeError, ValueError) as error:
        return f"no build event: {printable(error)}"


def bep_count(events: Path) -> Tuple[int, int, List[str]]:
    """(passed, failed, targets that failed) from Bazel's build events: the cases in each test.xml, else the targets.

    Raises CannotRun at a line that is no event: a Bazel that was killed tells half.
    """
    passed = failed = 0
    bad: List[str] = []
    for event in jsonl.read(events, wrong=_not_built):
        label, good, files = _of_test(event)
        if not label:
            continue
        here = (0, 0)
        for path in files:
            if path.is_file():
                here = junit_count(path)
        if here == (0, 0) or (not good and not here[1]):
            here = (here[0] + 1, 0) if good else (here[0], 1)
        passed, failed = passed + here[0], failed + here[1]
        bad += [] if good else [label]
    return passed, failed, bad


def bazel_tests(project: Project, *flags: str) -> Count:
    """Every test that Bazel knows."""
    with tempfile.TemporaryDirectory(prefix="cts-test-") as directory:
        events = Path(directory) / "events.json"
        argv = [build.bazel(), "test", "--noshow_progress", "--color=no", "--keep_going", *flags]
        status, output = _call([*argv, f"--build_event_json_file={events}", "//..."], project.root)
        try:
            passed, failed, bad = bep_count(events) if events.exists() else (0, 0, [])
        except CannotRun as error:
            return Count(failed=1, detail=f"{error}\n{output}")
    if status != 0 and not failed:
        return Count(passed=passed, failed=1, detail=output)
    return Count(passed, failed, f"failed: {', '.join(bad)}\n{output}" if bad else "")


def big_endian(project: Project) -> Count:
    """Framing, naming and the C kit hold on a big-endian machine."""
    for program in ("s390x-linux-gnu-g++", "qemu-s390x-static"):
        if shutil.which(program) is None:
            return Count(skipped=f"{program} is not installed")
    status, output = _call([str(project.root / "ci/big_endian")], project.root)
    said = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    passed, failed = (int(said.group(1)), int(said.group(2))) if said else (0, 0)
    if status == 0 and passed:
        return Count(passed, failed)
    return Count(passed, max(failed, 1), output, could_not_run=status == 2)


def cross_compile(project: Project) -> Count:
    """The reference builds and links for macOS and FreeBSD; nothing of it is run."""
    status, output = _call([str(project.root / "ci/cross_compile")], project.root)
    passed, failed = (len(re.findall(f"^{word} ", output, re.MULTILINE)) for word in ("ok", "FAILED"))
    if status == 0 and passed:
        return Count(passed)
    return Count(passed, max(failed, 1), output, could_not_run=status == 2)


def windows_tests(project: Project) -> Count:
    """Every test that Bazel can build for Windows, under Wine."""
    status, output = _call([str(project.root / "ci/wine"), "--prepare"], project.root)
    if status != 0:
        return Count(failed=1, detail=output, could_not_run=True)
    return bazel_tests(project, "--config=windows")


def windows_run(project: Project) -> Count:
    """`cts run` with the reference as a Windows DLL, under Wine; only what the spec allows differs from Linux."""
    return gate(project, "--os", "windows")


def _sanitizer(config: str) -> Step:
    """Every test that Bazel knows, built with a sanitizer of .bazelrc; its build goes to a directory of its own."""

    def test(project: Project) -> Count:
        return bazel_tests(project, f"--config={config}", f"--platform_suffix=-{config}")

    return Step(f"bazel test, {config}", test, thorough=True)


def example_library(project: Project) -> Count:
    """`ci/gate` with the C library in docs/examples, which the reference is no part of."""
    label = "//docs/examples/minimal_library:libminimal.so"
    status, output = _call([build.bazel(), "build", "--noshow_progress", "--color=no", label], project.root)
    if status != 0:
        return Count(failed=1, detail=output)
    library = "bazel-bin/docs/examples/minimal_library/libminimal.so"
    return gate(project, "--library", library, "--abi", by=[str(project.root / "ci/gate")])


def feature_gates(project: Project) -> Count:
    """`cts run --library` with the reference in each of its eight builds: the cases on what is offered."""
    builds = itertools.product((False, True), repeat=len(definition.GATES))
    libraries = ["gates" + "".join(f"_{g}" for g, on in zip(definition.GATES, gates) if on) + ".so" for gates in builds]
    labels = [f"//ref:{library}" for library in libraries]
    status, output = _call([build.bazel(), "build", "--noshow_progress", "--color=no", *labels], project.root)
    if status != 0:
        return Count(failed=1, detail=output)
    total = Count()
    for library in libraries:
        one = gate(project, "--library", f"bazel-bin/ref/{library}", "--cases", "FeatureGates.*")
        total.passed += one.passed
        total.failed += one.failed
        total.detail += f"{library}:\n{one.detail}\n" if one.detail else ""
        total.could_not_run = total.could_not_run or one.could_not_run
    return total


def example_peer(project: Project) -> Count:
    """`ci/gate` with the Python library in docs/examples, and what is expected of it."""
    directory = "docs/examples/python_library"
    options = ["--peer", f"python3 {directory}/peer.py", "--expect", f"{directory}/small_ipc.{host_system()}.toml"]
    with tempfile.TemporaryDirectory(prefix="cts-test-") as directory:
        page = Path(directory) / "summary.md"
        env = {"GITHUB_STEP_SUMMARY": str(page), "GITHUB_ACTIONS": "true"}
        count = gate(project, *options, env=env, by=[str(project.root / "ci/gate")])
        if not page.exists() or not page.read_text(encoding="utf-8").startswith("### IPC-CTS: as expected"):
            count.failed += 1
            count.detail += "\nthe job's page does not say that all is as expected"
    return count


def workflows(project: Project) -> Count:
    """GitHub's workflows are free of what actionlint knows as mistakes."""
    if shutil.which("go") is None:
        return Count(skipped="go is not installed, by which actionlint is built")
    files = sorted(str(f) for f in (project.root / ".github/workflows").glob("*.yml"))
    return _one(*_call(["go", "run", _ACTIONLINT, *files], Path(tempfile.gettempdir())))


def poll_loop(project: Project) -> Count:
    """`cts run` with the reference in async mode, over poll(2) in place of the best that the system has."""
    return gate(project, "--peer", "ref", "--mode", "async", env={"CTS_LOOP": "poll"})


def accounts(project: Project) -> Count:
    """`cts run --account all`: every case that passes is repeated, and no peer holds more each time."""
    return gate(project, "--account", "all")


def slowed(project: Project) -> Count:
    """The reference with slowed peers on busy cores, its lanes shuffled anew: it passes what it passes, unchanged."""
    return gate(project, "--peer", REFERENCE, "--slow", "20", "--shuffle", str(secrets.randbelow(10**6) + 1))


def gvisor(project: Project) -> Count:
    """`cts run --os gvisor --abi` with the reference; what differs between Linux and gVisor is what is known to."""
    if shutil.which("go") is None:
        return Count(skipped="go is not installed, and gVisor is built by it")
    return gate(project, "--peer", REFERENCE, "--os", "gvisor", "--abi", "--yes")


def _compare(project: Project, count: Count, a: str, b: str) -> None:
    """Add a comparison of two traces to what a step found."""
    requirements = project.requirements()
    try:
        one, two = (recorded.load(where, project.root, requirements, REFERENCE) for where in (a, b))
        known = compare.known_differences(project.root, one, two)
        found = compare.Comparer(one, two, requirements, known).compare()
    except CannotRun as error:
        count.failed, count.detail = count.failed + 1, f"{count.detail}\n{error}"
        return
    if not found.refused and not found.unmatched:
        count.passed += 1
        return
    count.failed += 1
    told = [*compare_command.show(found.refused[:20]), *compare_command.summary(found)]
    count.detail += "\n".join([f"\nA: {one.title}", f"B: {two.title}", *told])


def _compare_with_recorded(project: Project, count: Count, report_directory: Path, label: str) -> None:
    """Hold a fresh trace of the reference against the recorded one of that system; it is said where there is none."""
    if compare_command.recorded_directory(project.root, label).is_dir():
        _compare(project, count, label, str(report_directory))
    else:
        count.note = f"no trace of {label} is recorded: nothing to compare with"


def mutants(project: Project) -> Count:
    """`cts mutants --quick`: every broken implementation is caught by the case that it names."""
    return _mutants(project, "--quick")


def mutants_and_families(project: Project) -> Count:
    """`cts mutants`: also, each passes most of the other cases of its family."""
    return _mutants(project)


def mutants_compared(project: Project) -> Count:
    """`cts mutants --compare`: enough of the broken implementations are visible in traces, and the unbroken is not."""
    label = host_system()
    if not compare_command.recorded_directory(project.root, label).is_dir():
        return Count(skipped=f"no trace of {label} is recorded")
    argv = [sys.executable, "-m", "cts", "mutants", "--compare"]
    status, output = _call(argv, project.root, {"PYTHONPATH": str(project.root / "harness")})
    visible = len(re.findall("^visible ", output, re.MULTILINE))
    told = [line for line in output.splitlines() if not line.startswith(("visible", "not_compared"))]
    # One that is invisible is no failure of its own: the share of them is what is judged.
    note = next((line for line in reversed(told) if " visible (" in line), "")
    failed = int(status != 0 or not visible)
    return Count(visible, failed, "\n".join(told) if failed else "", could_not_run=status == 2, note=note)


def source_mutants(project: Project) -> Count:
    """`cts mutants --source`, a small sample: enough of what is changed in the reference's source is noticed."""
    if host_system() != "linux":
        return Count(skipped="the namespaces in which such mutants run are Linux's")
    argv = [sys.executable, "-m", "cts", "mutants", "--source", "--sample", "40"]
    status, output = _call(argv, project.root, {"PYTHONPATH": str(project.root / "harness")})
    killed = len(re.findall("^killed ", output, re.MULTILINE))
    told = [line for line in output.splitlines() if not line.startswith((" ", "killed", "survived", "equivalent"))]
    # A survivor is no failure of its own: the share of them is what is judged.
    return Count(
        killed, 0 if status == 0 else 1, "\n".join(told), could_not_run=status == 2, note=told[-1] if told else ""
    )


def _mutants(project: Project, *options: str) -> Count:
    with tempfile.TemporaryDirectory(prefix="cts-test-") as directory:
        argv = [sys.executable, "-m", "cts", "mutants", "--report", directory, *options]
        status, output = _call(argv, project.root, {"PYTHONPATH": str(project.root / "harness")})
        report_file = Path(directory) / "mutants.json"
        if not report_file.exists():
            return Count(failed=1, detail=output, could_not_run=status == 2)
        try:
            document = jsonl.parse(report_file.read_bytes())
            verdicts = [m["verdict"] for m in document["mutants"]]
            failed = len(document["unbroken_fails"])
        except (ValueError, TypeError, KeyError) as error:
            return Count(failed=1, detail=f"mutants.json is broken: {printable(error)}\n{output}")
    passed = verdicts.count("killed")
    failed += len(verdicts) - passed - verdicts.count("not_here")
    failed = max(failed, 1) if status != 0 else failed
    bad = [line for line in output.splitlines() if not line.startswith(("killed", " "))]
    return Count(passed, failed, "\n".join(bad) if failed else "", could_not_run=status == 2)


def _fuzz(project: Project, what: str) -> Tuple[int, str]:
    """(exit status, output) of `cts fuzz` WHAT."""
    argv = [sys.executable, "-m", "cts", "fuzz", what]
    return _call(argv, project.root, {"PYTHONPATH": str(project.root / "harness")})


def planted_bugs(project: Project) -> Count:
    """`cts fuzz planted`: a fuzz target finds each bug that is put into the reference."""
    if shutil.which("clang") is None:
        return Count(skipped="clang is not installed, of which the fuzzer is a part")
    status, output = _fuzz(project, "planted")
    said = re.search(r"^(\d+) found, (\d+) missed", output, re.MULTILINE)
    passed, failed = (int(said.group(1)), int(said.group(2))) if said else (0, 0)
    if status == 0 and passed:
        return Count(passed, failed)
    return Count(passed, max(failed, 1), output, could_not_run=status == 2)


def fuzz_coverage(project: Project) -> Count:
    """`cts fuzz coverage`: the versioned corpora reach enough of the reference's pure code."""
    if shutil.which("clang") is None:
        return Count(skipped="clang is not installed, which counts what is reached")
    status, output = _fuzz(project, "coverage")
    rows = re.findall(r"^(\S+ +[0-9.]+ % of \d+ +[0-9.]+ % of \d+)(  below)?$", output, re.MULTILINE)
    files = [mark for row, mark in rows if not row.startswith("total ")]
    below = sum(map(bool, files))
    if status == 0 and files and not below:
        return Count(len(files), note=re.sub(" +", " ", rows[-1][0]))
    return Count(len(files) - below, max(below, 1), output, could_not_run=status == 2)


def gate(
    project: Project, *options: str, env: Optional[Dict[str, str]] = None, by: Optional[Sequence[str]] = None
) -> Count:
    """`cts run`: with no options the reference and every third party that can run here; nothing may be unexpected.

    With `by` it is the command that runs it, which takes the report's directory and the same options.
    """
    with tempfile.TemporaryDirectory(prefix="cts-test-") as directory:
        target = Path(directory) / "report"
        argv = [*by, str(target)] if by else [sys.executable, "-m", "cts", "run", "--report", str(target)]
        argv += options
        status, output = _call(argv, project.root, {"PYTHONPATH": str(project.root / "harness"), **(env or {})})
        if not (target / "results.json").exists():
            return Count(failed=1, detail=output, could_not_run=status == 2)
        document = report.load(target)
        wrong = schemas.problems(project.root, "results", document)
        wrong += schemas.ProtocolChecker(project.root).problems(trace.events(target / "trace.jsonl"))
        compared = Count()
        if not options or "--os" in options:
            label = next((str(r["os"]) for r in document["results"]), host_system())
            _compare_with_recorded(project, compared, target, label)
            if label != host_system():
                _compare(project, compared, host_system(), str(target))
    passed, failed = results.case_counts(document["results"])
    run = document["run"]
    failed += len(wrong)
    output += "".join(f"\nagainst the schema: {w}" for w in wrong)
    failed += len(run["unmatched_expectations"]) + len(run["offers_shrunk"]) + len(run["errors"])
    failed = max(failed, 1) if status != 0 else failed
    detail = (output if failed else "") + compared.detail
    return Count(
        passed + compared.passed, failed + compared.failed, detail, could_not_run=status == 2, note=compared.note
    )


def _kit(language: str, program: str, marker: str, argv: List[str], counted: str) -> Step:
    """A step that runs a kit's own tests in conformance/kits/LANGUAGE, if there are any and their program is there.

    `marker` is a glob that finds something only if there are tests; `counted` a regular expression for one passed test.
    """

    def test(project: Project) -> Count:
        directory = project.root / "conformance/kits" / language
        if not any(directory.glob(marker)):
            return Count(skipped="it has no tests of its own")
        if shutil.which(program) is None:
            return Count(skipped=f"{program} is not installed")
        elsewhere = {"PYTHONDONTWRITEBYTECODE": "1", "CARGO_TARGET_DIR": str(cache_dir() / "kits" / language)}
        status, output = _call(argv, directory, elsewhere)
        passed = len(re.findall(counted, output, re.MULTILINE))
        if status != 0:
            return Count(passed, 1, output)
        return Count(passed) if passed else Count(failed=1, detail=f"no test ran:\n{output}")

    return Step(f"{language} kit", test)


STEPS: List[Step] = [
    Step("ruff check", ruff_check),
    Step("ruff format", ruff_format),
    Step("clang-format", clang_format),
    Step("spec check", spec_check),
    Step("generated files", generated_fresh),
    Step("harness tests", harness_tests),
    Step("bazel test //...", bazel_tests),
    _kit("python", "python3", "*test*.py", ["python3", "-m", "unittest", "discover", "-v"], r"\.\.\. ok$"),
    _kit(
        "node",
        "node",
        "*.js",
        ["python3", "../tests/exchange.py", "--", "node", "../../peers/node-net/peer.js"],
        r"^ok ",
    ),
    _kit("go", "go", "**/*_test.go", ["go", "test", "-v", "./..."], r"^--- PASS"),
    _kit("rust", "cargo", "Cargo.toml", ["cargo", "test"], r"^test .* ok$"),
    Step("C example", example_library),
    Step("cts run, feature gates", feature_gates),
    Step("Python example", example_peer),
    Step("cts run", gate),
    Step("cts run, poll(2)", poll_loop),
    Step("cts mutants", mutants),
    Step("cts mutants, all", mutants_and_families, thorough=True),
    Step("cts mutants, traces", mutants_compared, thorough=True),
    Step("cts fuzz planted", planted_bugs, thorough=True),
    Step("cts fuzz coverage", fuzz_coverage, thorough=True),
    Step("cts mutants, source", source_mutants, thorough=True),
    Step("actionlint", workflows, thorough=True),
    Step("cross compile", cross_compile, thorough=True),
    Step("bazel test, windows", windows_tests, thorough=True),
    Step("cts run, windows", windows_run, thorough=True),
    Step("big endian", big_endian, thorough=True),
    Step("cts run, accounts", accounts, thorough=True),
    Step("cts run, slowed", slowed, thorough=True),
    Step("cts run, gVisor", gvisor, thorough=True),
    _sanitizer("asan"),
    _sanitizer("ubsan"),
    _sanitizer("tsan"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts test`."""
    parser.add_argument("--all", action="store_true", help="also the steps that take long")


def _perform(step: Step, project: Project) -> Count:
    started = time.monotonic()
    print(f"{step.name:<20} ", end="", flush=True)
    try:
        count = step.run(project)
    except CannotRun as error:
        count = Count(failed=1, detail=str(error), could_not_run=True)
    if count.skipped:
        print(f"skipped: {count.skipped}")
        return count
    print(f"{count.passed} passed, {count.failed} failed ({time.monotonic() - started:.1f} s)", flush=True)
    if count.note:
        print(f"    {count.note}")
    if count.failed:
        print("\n".join("    " + printable(line) for line in count.detail.strip().splitlines()[-80:]), flush=True)
    return count


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Perform the steps; the last line is the sum of what they counted."""
    counts = [_perform(step, project) for step in STEPS if options.all or not step.thorough]
    passed, failed = sum(c.passed for c in counts), sum(c.failed for c in counts)
    print(f"{passed} passed, {failed} failed")
    return 2 if any(c.could_not_run for c in counts) else 1 if failed or not passed else 0
