"""`cts mutants --source`: how many mechanical changes of the reference's source the cases notice."""

from __future__ import annotations

import argparse
import secrets
import shutil
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple

from cts import build, processes, source_record, workdir
from cts import source_mutants as source
from cts.common import VERSION, CannotRun, host, host_system, plural, printable
from cts.kill_table import show, write
from cts.mutants import Verdict
from cts.project import Project
from cts.runner import Conditions, Record, Runner, test_of
from cts.source_mutants import Change
from cts.source_trial import COVERAGE, OLDER_KERNEL, Contained, SourceTrial
from cts.terminal import Progress

SAMPLE = 400
SEED = 1
EQUIVALENT_MAX = 0.05  # of a sample of that size; in a small one they may lie close together
DEADLINE_MS = 5000  # a mutant that waits for ever costs this; the unbroken library shows that it is enough
_TOOLS = ("unshare", "prlimit", "objdump", "addr2line")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts mutants` that are about the source."""
    group = parser.add_argument_group("mutants of the reference's source")
    group.add_argument("--source", action="store_true", help="mechanical changes of the source, a sample of them")
    group.add_argument("--sample", type=_count, default=SAMPLE, metavar="N", help=f"how many (default: {SAMPLE})")
    group.add_argument("--seed", type=int, default=SEED, metavar="S", help=f"which of them (default: {SEED})")
    group.add_argument("--survivors", action="store_true", help="of those alone that no recorded run has killed")
    group.add_argument("--record", action="store_true", help=f"write the sums to {source_record.TEXT}")


@dataclass
class Tried:
    """What a run has found. `kept` has the verdicts on the sample, also those of recorded runs."""

    verdicts: List[Verdict]
    failures: List[Record]  # of the unbroken library
    canaries_wrong: List[str]
    sample: List[Change]
    kept: source_record.Kept


def _try(project: Project, options: argparse.Namespace, progress: Progress) -> Tried:
    if host_system() != "linux":
        raise CannotRun("--source: the namespaces in which such mutants run are Linux's")
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            raise CannotRun(f"--source: {tool} is not installed")
    root = project.root
    texts = source.sources(root)
    declared = source.equivalent(root, texts)
    kept = source_record.load(root)
    this = (options.sample, options.seed, source.source_digest(root, texts))
    if not kept.is_of(*this):
        if options.survivors:
            raise CannotRun(f"--survivors: {source_record.VERDICTS} is of another sample, or of another source")
        kept = source_record.Kept(*this)
    here = Contained()
    artifacts = project.artifacts(here, progress.step, abi=True)
    commands = build.reference_commands(root)
    run_id = secrets.token_hex(16)
    workdir.sweep()
    with workdir.WorkDir(run_id) as work:
        compiler = source.Compiler(root, work / "build", commands)
        runner = Runner(
            artifacts,
            work,
            run_id,
            here,
            project.requirements(),
            options.jobs,
            Conditions(secrets.randbits(31)),
            DEADLINE_MS,
            fail_fast=True,
        )
        processes.become_subreaper()
        try:
            progress.step("compiling mutants")
            compiler.unchanged(texts, options.jobs)
            sampler = source.Sampler(compiler, texts, options.sample, options.seed)
            sample = sampler.draw(source.changes(root, texts), options.jobs)
            chosen = _chosen(options.names, sample)
            if options.survivors:
                chosen = [one for one in chosen if not kept.killed(one[0].name)]
            unbroken = compiler.work / "unbroken.so"
            compiler.link(list(compiler.objects.values()), unbroken)
            trial = SourceTrial(
                runner, compiler, artifacts, options.jobs, lambda done, total: progress.count(done, total, 0)
            )
            trial.list_tests(unbroken)
            progress.step("finding what each case executes")
            own = [root / COVERAGE, root / OLDER_KERNEL, artifacts.peer]
            digests = source.family_digests(root, texts, own)
            trial.measure(list(texts), {f: d for f, d in digests.items() if f != "Canary"})
            progress.step("running the unbroken library")
            failures = trial.unbroken_failures(unbroken)
            not_in_process = trial.unbroken_in_process(unbroken)
            if not_in_process:
                progress.clear()
                print(f"in-process cases that are not asked, because they fail here: {', '.join(not_in_process)}")
            if trial.not_asked:
                progress.clear()
                print(f"not asked, because they do not pass on the instrumented library: {', '.join(trial.not_asked)}")
            progress.step(f"running {plural(len(chosen), 'mutant')}")
            proofs = {c: e.proof for c, _ in chosen for e in declared if e.is_that(c)}

            def told(verdict: Verdict) -> None:
                progress.clear()
                show([verdict])

            verdicts = trial.verdicts(chosen, proofs, told)
            kept.verdicts.update({v.mutant.name: v for v in verdicts})
            return Tried(verdicts, failures, trial.canaries_wrong, [change for change, _ in sample], kept)
        finally:
            runner.group.end()
            runner.group.reap_orphans()


def _chosen(globs: Sequence[str], sample: "List[Tuple[Change, Path]]") -> "List[Tuple[Change, Path]]":
    """The mutants of the sample whose name or file matches a glob; all without globs."""
    chosen = [
        one
        for one in sample
        if not globs or any(Path(one[0].name).match(g) or Path(one[0].file).match(g) for g in globs)
    ]
    if not chosen:
        raise CannotRun("no mutant of the sample matches")
    return chosen


def run(project: Project, options: argparse.Namespace) -> int:
    """0 if enough were killed, few enough are equivalent, and the unbroken library fails nothing; else 1, 2 as ever."""
    started = time.monotonic()
    progress = Progress()
    try:
        tried = _try(project, options, progress)
    finally:
        progress.clear()
    for record in tried.failures:
        print(f"the unbroken library fails {test_of(record)}: {printable(record['message'])}")
    seconds = time.monotonic() - started
    verdicts = tried.kept.of(tried.sample) if options.survivors else tried.verdicts
    counts = Counter(v.verdict for v in verdicts)
    killed = source_record.rate(verdicts)
    print(
        f"{plural(len(verdicts), 'mutant')} of the source, seed {options.seed}: {counts['killed']} killed, "
        f"{counts['equivalent']} equivalent, {counts['survived']} survived "
        f"({100 * source_record.rate(verdicts, False):.1f} % killed by cases, {100 * killed:.1f} % in all); "
        f"the unbroken library fails {len(tried.failures)} ({seconds:.1f} s)"
    )
    if options.survivors:
        print(f"asked about {len(tried.verdicts)}; the others were killed in recorded runs of the same source")
    too_few = killed < source_record.KILLED_MIN
    too_many_equivalent = counts["equivalent"] > EQUIVALENT_MAX * max(len(verdicts), SAMPLE)
    bad = bool(tried.failures) or too_few or too_many_equivalent
    status = 2 if tried.canaries_wrong else 1 if bad else 0
    if tried.canaries_wrong:
        print(f"the canary {tried.canaries_wrong[0]} came out wrong: this run proves nothing")
    elif options.record:
        source_record.write(project.root, tried.kept, tried.sample, len(tried.verdicts))
    if options.report is not None:
        unbroken = [{"test": test_of(r), "mode": r["pairing"], "message": r["message"]} for r in tried.failures]
        told = {"cts_version": VERSION, "host": host(), "quick": False, "wall_ms": int(seconds * 1000)}
        head = {**told, "exit_status": status, "seed": options.seed}
        mutants = [v.described() for v in tried.verdicts]
        write(options.report, {"schema": 1, "run": head, "unbroken_fails": unbroken, "mutants": mutants})
    return status
