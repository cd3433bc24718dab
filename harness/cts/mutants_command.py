"""`cts mutants`: shows that the suite catches each broken implementation in conformance/mutants."""

from __future__ import annotations

import argparse
import fnmatch
import json
import secrets
import time
from pathlib import Path
from typing import Any, Dict, List

from cts import mutants, processes, workdir
from cts.common import VERSION, CannotRun, cores, host, host_system, plural, printable
from cts.mutants import SHARE_MIN, UNBROKEN, Mutant, Trial, Verdict
from cts.project import Project
from cts.run_command import Signals, positive
from cts.runner import Conditions, Record, Runner, test_of
from cts.systems import System
from cts.terminal import Progress

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
    parser.add_argument("--report", type=Path, metavar="DIR", help="write mutants.json there")


def select(globs: List[str], known: List[Mutant]) -> List[Mutant]:
    """The mutants whose name matches a glob, without globs all but the unbroken one; CannotRun if one matches none."""
    if not globs:
        return [m for m in known if m.name != UNBROKEN]
    for glob in globs:
        if not any(fnmatch.fnmatchcase(m.name, glob) for m in known):
            raise CannotRun(f"no mutant matches {printable(glob)!r}; `cts mutants --list` names them")
    return [m for m in known if any(fnmatch.fnmatchcase(m.name, glob) for glob in globs)]


def _place(mutant: Mutant) -> str:
    mode = f" ({mutant.mode})" if mutant.mode != "blocking" else ""
    return f"{mutant.case}{'/' + mutant.shape if mutant.shape else ''}{mode}"


def _show(verdicts: List[Verdict]) -> None:
    """The kill table: for each mutant what became of it, what it does, and what the rest of its family says."""
    for v in verdicts:
        share = "" if v.share is None else f", {100 * v.share:.0f} % of {plural(v.others or 0, 'other')} passed"
        print(f"{v.verdict:<10} {v.mutant.name}: {v.mutant.sentence}")
        print(f"           {_place(v.mutant)}: {v.how or 'did not run'}{share}")
        if v.failed:
            print(f"           also caught by {', '.join(c.partition('.')[2] for c in v.failed)}")
        if v.verdict != "killed" and v.message:
            print(f"           {printable(v.message)}")


def _write(directory: Path, document: Dict[str, Any]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (directory / "mutants.json").write_text(text, encoding="utf-8")


def _try(
    project: Project, options: argparse.Namespace, progress: Progress
) -> "tuple[List[Verdict], List[Record], List[str]]":
    """The verdicts, what the unbroken library fails, and the canaries that came out wrong."""
    requirements = project.requirements()
    artifacts, known = project.mutants(progress.step)
    mutants.check(known, requirements)
    chosen = select(options.names, known)
    run_id = secrets.token_hex(16)
    workdir.sweep()
    with workdir.WorkDir(run_id) as work:
        here = System(host_system())
        conditions = Conditions(secrets.randbits(31))
        runner = Runner(artifacts, work, run_id, here, requirements, options.jobs, conditions, mutants.DEADLINE_MS)
        processes.become_subreaper()
        try:
            trial = Trial(runner, known, lambda done, total: progress.count(done, total, 0))
            progress.step(f"running {plural(len(chosen), 'mutant')}")
            failures = trial.unbroken_failures(chosen, not options.quick)
            return trial.verdicts(chosen, not options.quick), failures, trial.canaries_wrong
        finally:
            runner.group.end()
            runner.group.reap_orphans()


def _run(project: Project, options: argparse.Namespace) -> int:
    started = time.monotonic()
    progress = Progress()
    try:
        if options.only_list:
            _, known = project.mutants(progress.step)
            progress.clear()
            for m in select(options.names, known):
                print(f"{m.name}: {m.sentence} [{_place(m)}]")
            return 0
        verdicts, failures, canaries = _try(project, options, progress)
    finally:
        progress.clear()
    _show(verdicts)
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
        _write(options.report, document)
    return status


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """`cts mutants`: 0 if every mutant was killed by its case and the unbroken library by none, else 1; 2 as ever."""
    with Signals():
        return _run(project, options)
