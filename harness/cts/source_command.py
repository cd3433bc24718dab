"""`cts mutants --source`: how many mechanical changes of the reference's source the cases notice."""

from __future__ import annotations

import argparse
import secrets
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from cts import build, processes, workdir
from cts import source_mutants as source
from cts.common import VERSION, CannotRun, host, host_system, plural, printable
from cts.kill_table import show, write
from cts.mutants import Verdict
from cts.project import Project
from cts.runner import Conditions, Record, Runner, test_of
from cts.source_mutants import Change
from cts.source_trial import COVERAGE, IN_PROCESS, OLDER_KERNEL, UNREACHED, Contained, SourceTrial
from cts.terminal import Progress

SAMPLE = 400
SEED = 1
KILLED_MIN = 0.6  # of the mutants that are not equivalent: below that the suite has lost something
KILLED_AIM = 0.9
EQUIVALENT_MAX = 0.05  # of the sample
DEADLINE_MS = 5000  # a mutant that waits for ever costs this; the unbroken library shows that it is enough
RECORD = "conformance/mutants/source_mutation.md"
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
    group.add_argument("--record", action="store_true", help=f"write the sums to {RECORD}")


def _try(
    project: Project, options: argparse.Namespace, progress: Progress
) -> "Tuple[List[Verdict], List[Record], List[str]]":
    """The verdicts, what the unbroken library fails, and the canaries that came out wrong."""
    if host_system() != "linux":
        raise CannotRun("--source: the namespaces in which such mutants run are Linux's")
    for tool in _TOOLS:
        if shutil.which(tool) is None:
            raise CannotRun(f"--source: {tool} is not installed")
    root = project.root
    texts = source.sources(root)
    declared = source.equivalent(root, texts)
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

            return trial.verdicts(chosen, proofs, told), failures, trial.canaries_wrong
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


def _file(verdict: Verdict) -> str:
    return verdict.mutant.name.split(":")[0]


def _kind(verdict: Verdict) -> str:
    return verdict.mutant.name.split(":")[2]


def _table(head: str, groups: Dict[str, List[Verdict]]) -> List[str]:
    lines = [f"| {head} | mutants | killed | in process | equivalent | survived |", "|---|---:|---:|---:|---:|---:|"]
    for name, members in groups.items():
        counts = Counter(v.verdict for v in members)
        inside = sum(v.mutant.mode == IN_PROCESS for v in members)
        numbers = (len(members), counts["killed"] - inside, inside, counts["equivalent"], counts["survived"])
        lines.append(f"| {name} | {' | '.join(map(str, numbers))} |")
    return lines


def _grouped(verdicts: List[Verdict], by: "object") -> Dict[str, List[Verdict]]:
    groups: Dict[str, List[Verdict]] = {}
    for v in sorted(verdicts, key=by):  # type: ignore[arg-type]
        groups.setdefault(by(v), []).append(v)  # type: ignore[operator]
    return groups


def rate(verdicts: List[Verdict], in_process: bool = True) -> float:
    """How many of those that are not equivalent were killed, of 1; without `in_process` by the other cases alone."""
    rest = [v for v in verdicts if v.verdict != "equivalent"]
    killed = sum(v.verdict == "killed" and (in_process or v.mutant.mode != IN_PROCESS) for v in rest)
    return killed / len(rest) if rest else 1.0


def document(verdicts: List[Verdict], options: argparse.Namespace) -> str:
    """The versioned text: sums by file and by kind of change, and each survivor."""
    survivors = [v for v in verdicts if v.verdict == "survived"]
    unreached = sum(v.message == UNREACHED for v in survivors)
    killers = {v.mutant.case for v in verdicts if v.verdict == "killed"}
    lines = [
        "# What the cases notice of changes in the reference's source",
        "",
        f"Made by `./cts mutants --source --sample {options.sample} --seed {options.seed} --record`.",
        "",
        f"{plural(len(verdicts), 'mutant')}. Of those that are not equivalent the cases kill "
        f"{100 * rate(verdicts, False):.1f} %, with the in-process cases {100 * rate(verdicts):.1f} %; "
        f"{plural(len(killers), 'case')} killed one. Of the survivors {unreached} are on lines that no case executes.",
        f"The aim is {100 * KILLED_AIM:.0f} %; `cts mutants --source` fails below {100 * KILLED_MIN:.0f} %.",
        "",
        *_table("file", {**_grouped(verdicts, _file), "all": verdicts}),
        "",
        *_table("change", _grouped(verdicts, _kind)),
    ]
    if survivors:
        lines += ["", "## Survivors", ""]
        lines += [f"* {v.mutant.name}: {v.mutant.sentence}: {v.message}" for v in survivors]
    return "\n".join(lines) + "\n"


def run(project: Project, options: argparse.Namespace) -> int:
    """0 if enough were killed, few enough are equivalent, and the unbroken library fails nothing; else 1, 2 as ever."""
    started = time.monotonic()
    progress = Progress()
    try:
        verdicts, failures, canaries = _try(project, options, progress)
    finally:
        progress.clear()
    for record in failures:
        print(f"the unbroken library fails {test_of(record)}: {printable(record['message'])}")
    seconds = time.monotonic() - started
    counts = Counter(v.verdict for v in verdicts)
    killed = rate(verdicts)
    print(
        f"{plural(len(verdicts), 'mutant')} of the source, seed {options.seed}: {counts['killed']} killed, "
        f"{counts['equivalent']} equivalent, {counts['survived']} survived "
        f"({100 * rate(verdicts, False):.1f} % killed by cases, {100 * killed:.1f} % in all); "
        f"the unbroken library fails {len(failures)} ({seconds:.1f} s)"
    )
    bad = bool(failures) or killed < KILLED_MIN or counts["equivalent"] > EQUIVALENT_MAX * len(verdicts)
    status = 2 if canaries else 1 if bad else 0
    if canaries:
        print(f"the canary {canaries[0]} came out wrong: this run proves nothing")
    if options.record:
        (project.root / RECORD).write_text(document(verdicts, options), encoding="utf-8")
    if options.report is not None:
        unbroken = [{"test": test_of(r), "mode": r["pairing"], "message": r["message"]} for r in failures]
        told = {"cts_version": VERSION, "host": host(), "quick": False, "wall_ms": int(seconds * 1000)}
        head = {**told, "exit_status": status, "seed": options.seed}
        mutants = [v.described() for v in verdicts]
        write(options.report, {"schema": 1, "run": head, "unbroken_fails": unbroken, "mutants": mutants})
    return status
