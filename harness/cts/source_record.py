"""What is known of the mutants of the source: the last verdict on each mutant of the sample, and the text made of it.

The verdicts are kept in the repository, so that after cases were added `cts mutants --source --survivors` asks only
what was not killed before: a case that is added brings no mutant back to life. They hold for the source that they were
found with, and are used for no other.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from cts.common import CannotRun, plural, printable
from cts.mutants import Mutant, Verdict
from cts.source_mutants import Change
from cts.source_trial import IN_PROCESS, UNREACHED

TEXT = "conformance/mutants/source_mutation.md"
VERDICTS = "conformance/mutants/source_mutation.json"
KILLED_MIN = 0.6  # of the mutants that are not equivalent: below that the suite has lost something
KILLED_AIM = 0.9
NOT_ASKED = "not asked"


@dataclass
class Kept:
    """The verdicts on one sample of one source, by the mutant's name."""

    sample: int
    seed: int
    source: str  # the digest of the reference's source
    verdicts: Dict[str, Verdict] = field(default_factory=dict)

    def is_of(self, sample: int, seed: int, source: str) -> bool:
        """Whether it speaks of that sample of that source."""
        return (self.sample, self.seed, self.source) == (sample, seed, source)

    def killed(self, name: str) -> bool:
        """Whether a case has killed that mutant."""
        return name in self.verdicts and self.verdicts[name].verdict == "killed"

    def of(self, sample: Sequence[Change]) -> List[Verdict]:
        """A verdict on each mutant of the sample: a survivor is also what nobody was asked about."""

        def unknown(change: Change) -> Verdict:
            return Verdict(Mutant(change.name, change.sentence, "", "", ""), "survived", "", NOT_ASKED)

        return [self.verdicts.get(change.name) or unknown(change) for change in sample]


def load(root: Path) -> Kept:
    """What is kept; nothing, of no source, if there is no such file. Raises CannotRun if it cannot be read."""
    path = root / VERDICTS
    if not path.exists():
        return Kept(0, 0, "")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        kept = Kept(int(told["sample"]), int(told["seed"]), str(told["source"]))
        for one in told["mutants"]:
            mutant = Mutant(one["name"], one["sentence"], one["case"], "", one["mode"])
            kept.verdicts[mutant.name] = Verdict(mutant, one["verdict"], "", one["message"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise CannotRun(f"{VERDICTS} cannot be read: {printable(error)}") from error
    return kept


def write(root: Path, kept: Kept, sample: Sequence[Change], num_asked: int) -> None:
    """Write the verdicts on the sample and the text. `num_asked`: how many of them the last run has asked about."""
    verdicts = kept.of(sample)
    entries = []
    for v in verdicts:
        m = v.mutant
        told = {"name": m.name, "verdict": v.verdict, "case": m.case, "mode": m.mode, "sentence": m.sentence}
        # What a case said when it killed is of no use later, and another one each time.
        entries.append(json.dumps({**told, "message": "" if v.verdict == "killed" else v.message}, ensure_ascii=False))
    head = f'{{"sample": {kept.sample}, "seed": {kept.seed}, "source": "{kept.source}", "mutants": [\n'
    (root / VERDICTS).write_text(head + ",\n".join(entries) + "\n]}\n", encoding="utf-8")
    (root / TEXT).write_text(document(verdicts, kept.sample, kept.seed, num_asked), encoding="utf-8")


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


def _grouped(verdicts: List[Verdict], by: Callable[[Verdict], str]) -> Dict[str, List[Verdict]]:
    groups: Dict[str, List[Verdict]] = {}
    for v in sorted(verdicts, key=by):
        groups.setdefault(by(v), []).append(v)
    return groups


def rate(verdicts: List[Verdict], in_process: bool = True) -> float:
    """How many of those that are not equivalent were killed, of 1; without `in_process` by the other cases alone."""
    rest = [v for v in verdicts if v.verdict != "equivalent"]
    killed = sum(v.verdict == "killed" and (in_process or v.mutant.mode != IN_PROCESS) for v in rest)
    return killed / len(rest) if rest else 1.0


def document(verdicts: List[Verdict], sample: int, seed: int, num_asked: int) -> str:
    """The versioned text: sums by file and by kind of change, and each survivor."""
    survivors = [v for v in verdicts if v.verdict == "survived"]
    unreached = sum(v.message == UNREACHED for v in survivors)
    note: List[str] = []
    if num_asked < len(verdicts):
        note = [
            f"The last run asked about {num_asked} of them; the other verdicts are those of runs before, "
            "with fewer cases and the same source.",
        ]
    killers = {v.mutant.case for v in verdicts if v.verdict == "killed"}
    lines = [
        "# What the cases notice of changes in the reference's source",
        "",
        f"Made by `./cts mutants --source --sample {sample} --seed {seed} --record`.",
        "",
        f"{plural(len(verdicts), 'mutant')}. Of those that are not equivalent the cases kill "
        f"{100 * rate(verdicts, False):.1f} %, with the in-process cases {100 * rate(verdicts):.1f} %; "
        f"{plural(len(killers), 'case')} killed one. Of the survivors {unreached} are on lines that no case executes.",
        f"The aim is {100 * KILLED_AIM:.0f} %; `cts mutants --source` fails below {100 * KILLED_MIN:.0f} %.",
        *note,
        "",
        *_table("file", {**_grouped(verdicts, _file), "all": verdicts}),
        "",
        *_table("change", _grouped(verdicts, _kind)),
    ]
    if survivors:
        lines += ["", "## Survivors", ""]
        lines += [f"* {v.mutant.name}: {v.mutant.sentence}: {v.message}" for v in survivors]
    return "\n".join(lines) + "\n"
