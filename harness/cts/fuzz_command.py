"""`cts fuzz`: run a fuzz target, show a finding again, make it small, make seeds."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Iterator, List, Optional

from cts import fuzz, fuzz_coverage, fuzz_differential, fuzz_planted, fuzz_promote, fuzz_seeds
from cts.common import CannotRun, plural, printable, say
from cts.fuzz_differential import Asked
from cts.project import Project
from cts.run_command import Signals

_ACTIONS = ("list", "replay", "minimise", "promote", "coverage", "planted", "seeds")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts fuzz`."""
    parser.add_argument("what", metavar="TARGET|ACTION", help=f"a target, or one of {', '.join(_ACTIONS)}")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="replay, minimise, promote: inputs")
    parser.add_argument("--seconds", type=int, default=60, metavar="N", help="how long to run a target (60)")
    parser.add_argument(
        "--target",
        metavar="TARGET",
        help="replay, minimise, promote, seeds: the target, if no folder says it; planted: its bugs alone",
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME", help="whom a differential target asks (all)"
    )
    parser.add_argument("--requirement", metavar="FAMILY.RULE", help="promote: what the requirement will be called")
    parser.add_argument(
        "--minimum", metavar="LINES/BRANCHES", help="coverage: percent of each file that is enough (95/90)"
    )
    parser.add_argument("--from", type=Path, dest="report", metavar="REPORT", help="seeds: the report of a run")


@contextmanager
def _peers(project: Project, name: str, named: List[str], batch: int, artifacts: str) -> Iterator[Optional[Asked]]:
    """The peers of a differential target; None for another, which asks nobody."""
    if name not in fuzz_differential.TARGETS:
        if named:
            raise CannotRun(f"{name} asks no peers; those that do: {', '.join(fuzz_differential.TARGETS)}")
        yield None
        return
    with fuzz_differential.asked(project.root, name, named, batch, Path(artifacts), say) as asked:
        yield asked


def _relative(project: Project, path: Path) -> str:
    try:
        return str(path.relative_to(project.root))
    except ValueError:
        return str(path)


def _keep(project: Project, name: str, finding: Path) -> Path:
    """Move a finding to where the tests replay it."""
    directory = project.root / "fuzz/regressions" / name
    directory.mkdir(parents=True, exist_ok=True)
    kept = directory / finding.name
    shutil.move(str(finding), str(kept))
    return kept


def _fuzz(project: Project, name: str, seconds: int, peers: List[str]) -> int:
    if seconds < 1:
        raise CannotRun("--seconds is 1 or more")
    fuzz.known(project.root, name)
    if name in fuzz_differential.TARGETS:
        fuzz_differential.chosen(project.root, name, peers)
    elif peers:
        raise CannotRun(f"{name} asks no peers; those that do: {', '.join(fuzz_differential.TARGETS)}")
    say(f"building {name}")
    program = fuzz.build_target(project.root, name)
    say(f"running {name} for {plural(seconds, 'second')}")
    with tempfile.TemporaryDirectory(prefix="cts-fuzz-") as artifacts:
        # No other process adds to the corpus: nothing is to be read again.
        arguments = [
            f"-max_total_time={seconds}",
            "-reload=0",
            *fuzz.options(project.root, name),
            str(fuzz.kept_corpus(name)),
        ]
        arguments += [str(d) for d in fuzz.corpora(project.root, name)]
        with _peers(project, name, peers, fuzz_differential.BATCH, artifacts) as asked:
            outcome, output = fuzz.run(program, arguments, Path(artifacts), asked and asked.environment)
            told = asked.told() if asked else {}
        if outcome.status != 0 and not outcome.findings:
            raise CannotRun(f"{name} ended with status {outcome.status}:\n{printable(output[-2000:], lines=True)}")
        kept = [_keep(project, name, finding) for finding in outcome.findings]
    for finding in kept:
        if not told:  # a report names the difference of each
            print(f"finding: {printable(outcome.cause) or 'see the replay'}")
        for action in ("replay", "minimise"):
            print(f"  ./cts fuzz {action} {_relative(project, finding)}{''.join(f' --peer {peer}' for peer in peers)}")
    for line in fuzz_differential.lines(told, outcome.runs):
        print(line)
    print(
        f"{name}: {outcome.runs} runs in {outcome.seconds:.0f} s, {outcome.rate:.0f} a second; "
        f"{outcome.edges} edges, {plural(outcome.corpus, 'input')} worth keeping, "
        f"{outcome.peak_megabytes} MiB; {plural(len(kept), 'finding')}"
    )
    return 1 if kept else 0


def _replay(project: Project, files: List[Path], named: str, peers: List[str]) -> int:
    failed = 0
    for file in files:
        if not file.is_file():
            raise CannotRun(f"{printable(str(file))} is no file")
        name = fuzz.target_of(project.root, file, named)
        program = fuzz.build_target(project.root, name)
        with tempfile.TemporaryDirectory(prefix="cts-fuzz-") as artifacts:
            with _peers(project, name, peers, 1, artifacts) as asked:
                arguments = [*fuzz.options(project.root, name), str(file)]
                outcome, output = fuzz.run(program, arguments, Path(artifacts), asked and asked.environment)
        if outcome.status != 0:
            failed += 1
            print(printable(output, lines=True))
        print(f"{'failed' if outcome.status else 'holds'}: {name}: {printable(str(file))}")
    return 1 if failed else 0


def _minimise(project: Project, files: List[Path], named: str, peers: List[str]) -> int:
    for file in files:
        if not file.is_file():
            raise CannotRun(f"{printable(str(file))} is no file")
        name = fuzz.target_of(project.root, file, named)
        program = fuzz.build_target(project.root, name)
        with ExitStack() as stack:
            artifacts = stack.enter_context(tempfile.TemporaryDirectory(prefix="cts-fuzz-"))
            asked = stack.enter_context(_peers(project, name, peers, 1, artifacts))
            env = asked and asked.environment
            small = Path(artifacts) / "small"
            arguments = ["-minimize_crash=1", "-max_total_time=60", f"-exact_artifact_path={small}", str(file)]
            outcome, _ = fuzz.run(program, arguments, Path(artifacts), env)
            if not small.exists():
                # Nothing smaller fails; or the file does not fail at all.
                again, _ = fuzz.run(program, [str(file)], Path(artifacts), env)
                if again.status == 0:
                    raise CannotRun(f"{printable(str(file))} is no finding: {name} holds for it")
                print(f"{printable(str(file))}: {file.stat().st_size} bytes, and nothing smaller fails")
                continue
            target = file.with_name(file.name + ".min")
            shutil.move(str(small), str(target))
        print(f"{printable(str(target))}: {target.stat().st_size} of {file.stat().st_size} bytes")
    return 0


def _seeds(project: Project, report: Path, named: str) -> int:
    """Write, in place of a target's seeds, those of a run's requests that reach something of their own."""
    trace = report / "trace.jsonl"
    if not trace.is_file():
        raise CannotRun(f"{printable(str(trace))} is no file: --from wants the report of `cts run`")
    asked = list(fuzz_seeds.requests(trace))
    for name in [named] if named else fuzz_seeds.TARGETS:
        if name not in fuzz_seeds.TARGETS:
            raise CannotRun(f"seeds are made for {', '.join(fuzz_seeds.TARGETS)}, not for {printable(name)!r}")
        program = fuzz.build_target(project.root, name)
        with tempfile.TemporaryDirectory(prefix="cts-fuzz-") as directory:
            every, merged, artifacts = (Path(directory) / d for d in ("every", "merged", "artifacts"))
            merged.mkdir()
            artifacts.mkdir()
            made = fuzz_seeds.write(every, fuzz_seeds.seeds(name, asked))
            if not made:
                raise CannotRun(f"{printable(str(trace))} has no request that {name} could begin with")
            outcome, output = fuzz.run(program, ["-merge=1", str(merged), str(every)], artifacts)
            if outcome.status != 0:
                raise CannotRun(f"{name} could not merge:\n{printable(output[-2000:], lines=True)}")
            corpus = project.root / "fuzz/corpus" / name
            if corpus.exists():
                shutil.rmtree(corpus)
            shutil.copytree(merged, corpus)
        print(f"{name}: {plural(len(list(corpus.iterdir())), 'seed')} of {plural(len(made), 'request')}")
    return 0


def _planted(project: Project, named: Optional[str]) -> int:
    """Show that each planted bug, or each of one target, is found; a line each, and the numbers in the last."""
    bugs = [bug for bug in fuzz_planted.load(project.root) if named in (None, bug.target)]
    if not bugs:
        raise CannotRun(f"no bug is planted for {printable(named or 'any target')}")
    missed = 0
    for hunt in fuzz_planted.hunt(project.root, bugs):
        missed += hunt.seconds is None
        how = "MISSED" if hunt.seconds is None else f"{hunt.seconds:.1f} s"
        print(f"{how:>8}  {hunt.bug.target:<17} {hunt.bug.name}: {hunt.bug.says}", flush=True)
    print(f"{len(bugs) - missed} found, {missed} missed (within {fuzz_planted.SECONDS} s, from the versioned corpus)")
    return 1 if missed else 0


def _promote(project: Project, files: List[Path], named: str, requirement: Optional[str]) -> int:
    """Begin a requirement and its case for a finding."""
    if len(files) != 1 or requirement is None:
        raise CannotRun("cts fuzz promote wants one FILE and --requirement FAMILY.RULE")
    if not files[0].is_file():
        raise CannotRun(f"{printable(str(files[0]))} is no file")
    name = fuzz.target_of(project.root, files[0], named)
    begun = fuzz_promote.promote(project.root, name, files[0], requirement)
    print(f"{begun.requirement}: says what must hold, and what it needs\n{begun.case}: checks it")
    print(f"{begun.regression}: is replayed by `bazel test //fuzz:{name}_replay`")
    print("`./cts spec check` names both until they are finished")
    return 0


def _coverage(project: Project, text: Optional[str]) -> int:
    """Print what the corpora reach of each file; status 1 if that is too little."""
    least = fuzz_coverage.minimum(text) if text is not None else fuzz_coverage.MINIMUM
    every = fuzz_coverage.measure(project.root, say)
    print("\n".join(fuzz_coverage.table(every, least)))
    return 1 if any(r.below(least) for r in every) else 0


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Status 1 if there is a finding, a replayed one fails, or a planted bug is missed; raises CannotRun."""
    with Signals():
        return _run(project, options)


def _run(project: Project, options: argparse.Namespace) -> int:
    if options.what == "list":
        print("\n".join(fuzz.targets(project.root)))
        return 0
    if options.what in ("replay", "minimise", "promote") and not options.files:
        raise CannotRun(f"cts fuzz {options.what} wants a FILE")
    if options.what == "replay":
        return _replay(project, options.files, options.target, options.peer)
    if options.what == "minimise":
        return _minimise(project, options.files, options.target, options.peer)
    if options.what == "promote":
        return _promote(project, options.files, options.target, options.requirement)
    if options.what == "coverage":
        return _coverage(project, options.minimum)
    if options.what == "planted":
        return _planted(project, options.target)
    if options.what == "seeds":
        if options.report is None:
            raise CannotRun("cts fuzz seeds wants --from REPORT")
        return _seeds(project, options.report, options.target)
    if options.files:
        raise CannotRun(f"cts fuzz {printable(options.what)} takes no FILE; to run one: cts fuzz replay FILE")
    return _fuzz(project, options.what, options.seconds, options.peer)
