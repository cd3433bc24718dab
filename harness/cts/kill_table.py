"""The kill table: what `cts mutants` shows and writes of mutants, whoever made them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from cts.common import plural, printable
from cts.mutants import Mutant, Verdict


def place(mutant: Mutant) -> str:
    """The case that kills it, with shape and mode."""
    mode = f" ({mutant.mode})" if mutant.mode not in ("", "blocking") else ""
    return f"{mutant.case}{'/' + mutant.shape if mutant.shape else ''}{mode}"


def show(verdicts: List[Verdict]) -> None:
    """For each mutant what became of it, what it does, and what the rest of its family says."""
    for v in verdicts:
        share = "" if v.share is None else f", {100 * v.share:.0f} % of {plural(v.others or 0, 'other')} passed"
        print(f"{v.verdict:<10} {v.mutant.name}: {v.mutant.sentence}")
        if v.mutant.case:
            print(f"           {place(v.mutant)}: {v.how or 'did not run'}{share}")
        if v.failed:
            print(f"           also caught by {', '.join(c.partition('.')[2] for c in v.failed)}")
        if v.verdict != "killed" and v.message:
            print(f"           {printable(v.message)}")


def write(directory: Path, document: Dict[str, Any]) -> None:
    """Write mutants.json there."""
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    (directory / "mutants.json").write_text(text, encoding="utf-8")
