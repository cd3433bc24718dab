"""`cts mutants`: shows that the suite catches each broken implementation in conformance/mutants."""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Iterator, List, Tuple

from cts import compare_command, mutants, processes, recorded, source_command, visibility, workdir
from cts.common import VERSION, CannotRun, cores, host, host_system, plural, printable
from cts.kill_table import place, show, write
from cts.mutants import SHARE_MIN, UNBROKEN, Mutant, Trial, Verdict
from cts.project import Project
from cts.run_command import Signals, positive
from cts.runner import Conditions, Record, Runner, test_of
from cts.systems import System
from cts.terminal import Progress
from cts.visibility import Sight, Viewer

JOBS_PER_CORE = 3  # what a mutant does is often to wait for ever


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts mutants`."""
    parser.add_argument("names", nargs="*", metavar="NAME-GLOB", help="which (default: all), as in 'fifo.*'")
    parser.add_argument(
        "--quick", action="store_true", help="run the named case of each alone, without the rest of its family"
    )
    parser.add_argument("--list", action="store_true", dest="only_list", help="say what there is, and run nothing")
    parser.add_argument(
        "--jobs", type=positive, default=JOBS_PER_CORE * len(cores()), metavar="N", help="runners at a time"
    )
    parser.add_argument(
        "--compare", action="store_true", help="say which of them the canonical traces tell from the reference"
    )
    source_command.add_arguments(parser)
    parser.add_argument("--report", type=Path, metavar="DIR", help="write mutants.json there")


def select(globs: List[str], known: List[Mutant]) -> List[Mutant]:
    """The mutants whose name matches a glob, without globs all but the unbroken one; CannotRun if one matches none."""
    if not globs:
        return [m for m in known if m.name != UNBROKEN]
    for glob in globs:
        if not any(fnmatch.fnmatchcase(m.name, glob) for m in known):
            raise CannotRun(f"no mutant matches {printable(glob)!r}; `cts mutants --list` names them")
    return [m for m in known if any(fnmatch.fnmatchcase(m.name, glob) for glob in globs)]


@contextlib.contextmanager
def _trial(
    project: Project, options: argparse.Namespace, progress: Progress, conditions: Conditions
) -> Iterator[Tuple[Trial, List[Mutant]]]:
    """The chosen mutants, and what runs cases against them."""
    requirements = project.requirements()
    artifacts, known = project.mutants(progress.step)
    mutants.check(known, requirements)
    chosen = select(options.names, known)
    run_id = secrets.token_hex(16)
    workdir.sweep()
    with workdir.WorkDir(run_id) as work:
        here = System(host_system())
        runner = Runner(artifacts, work, run_id, here, requirements, options.jobs, conditions, mutants.DEADLINE_MS)
        processes.become_subreaper()
        try:
            trial = Trial(runner, known, lambda done, total: progress.count(done, total, 0))
            progress.step(f"running {plural(len(chosen), 'mutant')}")
            yield trial, chosen
        finally:
            runner.group.end()
            runner.group.reap_orphans()


def _try(
    project: Project, options: argparse.Namespace, progress: Progress
) -> "tuple[List[Verdict], List[Record], List[str]]":
    """The verdicts, what the unbroken library fails, and the canaries that came out wrong."""
    with _trial(project, options, progress, Conditions(secrets.randbits(31))) as (trial, chosen):
        failures = trial.unbroken_failures(chosen, not options.quick)
        return trial.verdicts(chosen, not options.quick), failures, trial.canaries_wrong


def _view(project: Project, options: argparse.Namespace, progress: Progress) -> Tuple[List[Sight], List[Sight]]:
    """What the traces show of the mutants, and of the unbroken library in each mode."""
    baseline = recorded.load(host_system(), project.root, project.requirements())
    conditions = Conditions(baseline.seed, account="none")  # traces are of equal bytes; who keeps what is not in them
    with _trial(project, options, progress, conditions) as (trial, chosen):
        viewer = Viewer(trial, baseline, project.requirements())
        return viewer.view(chosen), viewer.unbroken(chosen)


def _show_sights(sights: List[Sight]) -> None:
    """For each mutant whether it is visible and how, and where; and what a case has that shows only its failing."""
    for s in sights:
        where = ""
        if s.seen:
            others = len(s.seen) - 1
            where = f" in {' '.join(filter(None, s.seen[0]))}" + (f" and {plural(others, 'other')}" if others else "")
        print(f"{s.verdict:<12} {s.mutant.name}: {', '.join(s.how) or s.error or 'nothing'}{where}")
        if s.verdict == "invisible":
            print(f"             {s.mutant.sentence} [{place(s.mutant)}]")


def _compare(project: Project, options: argparse.Namespace) -> int:
    """`cts mutants --compare`: 0 if enough of the mutants are visible and the unbroken library is not."""
    started = time.monotonic()
    progress = Progress()
    try:
        sights, unbroken = _view(project, options, progress)
    finally:
        progress.clear()
    _show_sights(sights)
    wrong = [s for s in unbroken if s.verdict != "invisible"]
    for s in wrong:
        print(f"the unbroken library ({s.mutant.mode}) is {s.verdict}: {s.error}")
        print("\n".join(compare_command.show([*s.first.values()])))
    counts = Counter(s.verdict for s in sights)
    compared = counts["visible"] + counts["invisible"]
    share = counts["visible"] / compared if compared else 0.0
    kinds = Counter(kind for s in sights if s.verdict == "visible" for kind in s.how)
    print(f"where they are seen first: {', '.join(f'{kinds[k]} {k}' for k in visibility.KINDS if kinds[k])}")
    seconds = time.monotonic() - started
    print(
        f"{plural(len(sights), 'mutant')}: {counts['visible']} of {compared} visible ({100 * share:.1f} %), "
        f"{counts['not_compared']} have no trace, {counts['error']} did not run; the unbroken library differs in "
        f"{plural(sum(len(s.first) for s in wrong), 'case')} ({seconds:.1f} s)"
    )
    status = 2 if counts["error"] or any(s.error for s in wrong) or not compared else 0
    status = status or int(bool(wrong) or share < visibility.SHARE_MIN)
    if options.report is not None:
        run = {"cts_version": VERSION, "host": host(), "wall_ms": int(seconds * 1000), "exit_status": status}
        told = [s.described() for s in sights]
        write(options.report, {"schema": 1, "run": run, "share": round(share, 4), "mutants": told})
    return status


def _run(project: Project, options: argparse.Namespace) -> int:
    started = time.monotonic()
    progress = Progress()
    try:
        if options.only_list:
            _, known = project.mutants(progress.step)
            progress.clear()
            for m in select(options.names, known):
                print(f"{m.name}: {m.sentence} [{place(m)}]")
            return 0
        verdicts, failures, canaries = _try(project, options, progress)
    finally:
        progress.clear()
    show(verdicts)
    for record in failures:
        print(f"the unbroken library fails {test_of(record)}: {printable(record['message'])}")
    words = ("killed", "survived", "too_broken", "not_here")
    counts = {word: sum(v.verdict == word for v in verdicts) for word in words}
    odd = len(verdicts) - sum(counts.values())
    seconds = time.monotonic() - started
    print(
        f"{plural(len(verdicts), 'mutant')}: {counts['killed']} killed, {counts['survived']} survived, "
        f"{counts['too_broken']} pass less than {100 * SHARE_MIN:.0f} % of their family, "
        f"{counts['not_here']} do not apply here, {odd} did not run; "
        f"the unbroken library fails {len(failures)} ({seconds:.1f} s)"
    )
    bad = bool(failures) or counts["survived"] + counts["too_broken"] > 0
    status = 2 if canaries or odd or not counts["killed"] + counts["survived"] else 1 if bad else 0
    if canaries:
        print(f"the canary {canaries[0]} came out wrong: this run proves nothing")
    if options.report is not None:
        unbroken = [{"test": test_of(r), "mode": r["pairing"], "message": r["message"]} for r in failures]
        run = {"cts_version": VERSION, "host": host(), "quick": options.quick, "wall_ms": int(seconds * 1000)}
        told = [v.described() for v in verdicts]
        document = {"schema": 1, "run": {**run, "exit_status": status}, "unbroken_fails": unbroken, "mutants": told}
        write(options.report, document)
    return status


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """`cts mutants`: 0 if every mutant was killed by its case and the unbroken library by none, else 1; 2 as ever."""
    with Signals():
        if options.source:
            return source_command.run(project, options)
        return _compare(project, options) if options.compare else _run(project, options)
