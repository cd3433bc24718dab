"""`cts fuzz promote`: a finding begins a requirement and its case, which `cts spec check` asks to be finished."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

from cts import requirements as spec
from cts.common import CannotRun, plural, printable

_NAME = re.compile(r"[A-Z][A-Za-z0-9]*\.[A-Z][A-Za-z0-9]*")
_FILE_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_END = re.compile(r"(\n}  // namespace\b[^\n]*|\n)+\Z")  # of a file of cases
_SHOWN_BYTES = 24


@dataclass(frozen=True)
class Begun:
    """What was written, relative to the repository."""

    requirement: str  # FILE:LINE
    case: str  # FILE:LINE
    regression: str


def _roles(kin: Sequence[spec.Requirement]) -> str:
    """The line of needs, still without any: the processes that most requirements of that family are about."""
    if kin[-1].in_process:
        return "Library:"
    return "Peer:" if 2 * sum(r.alone for r in kin) > len(kin) else "Server: · Client:"


def _requirement(name: str, kin: Sequence[spec.Requirement], target: str, regression: str) -> List[str]:
    systems = " · ".join(f"{system}: documented" for system in spec.SYSTEMS)
    return [
        f"### {name}",
        f"**MUST** · {systems} · since {kin[-1].since}",
        _roles(kin),
        "",
        f"{spec.UNFINISHED}: what must hold, and for whom. `{target}` found what does not:",
        f"`{regression}`.",
        "",
        f"Source: {spec.UNFINISHED}.",
        "",
    ]


def _case(name: str, target: str, regression: str, data: bytes) -> str:
    family, _, rule = name.partition(".")
    more = " ..." if len(data) > _SHOWN_BYTES else ""
    return (
        f"// {spec.UNFINISHED}: found by the fuzz target {target} in\n"
        f"// {regression},\n"
        f"// {plural(len(data), 'byte')}: {data[:_SHOWN_BYTES].hex(' ')}{more}\n"
        f'CTS_CASE({family}, {rule}) {{ FAIL() << "the case is unfinished"; }}\n'
    )


def promote(root: Path, target: str, finding: Path, name: str) -> Begun:
    """Begin the requirement `name` (Family.Rule) and its case behind the last of their family, and keep the finding.

    Raises CannotRun, with nothing written, if the name is none or taken, the family has no requirement or case yet, or
    another finding of that file name is kept.
    """
    if not _NAME.fullmatch(name):
        raise CannotRun(f"--requirement is Family.Rule, such as Framing.EmptyBodyIsAFrame, not {printable(name)!r}")
    family = name.partition(".")[0]
    try:
        requirements, cases = spec.load(root), spec.cases(root)
    except spec.SpecError as error:
        raise CannotRun(str(error)) from error
    if name in cases or any(r.id == name for r in requirements):
        raise CannotRun(f"there is a {name} already")
    kin = [r for r in requirements if r.family == family]
    places = [place for case, place in cases.items() if case.partition(".")[0] == family]
    if not kin or not places:
        known = sorted({r.family for r in requirements})
        raise CannotRun(f"no requirement and case of a family {family} stand yet; families: {', '.join(known)}")
    if not _FILE_NAME.fullmatch(finding.name):
        raise CannotRun(
            f"{printable(str(finding))}: a finding is kept under its file's name; rename it to letters and digits"
        )
    data = finding.read_bytes()
    kept = root / "fuzz/regressions" / target / finding.name
    if kept.exists() and kept.read_bytes() != data:
        raise CannotRun(f"{kept.relative_to(root)} is another finding: rename the file")
    regression = kept.relative_to(root).as_posix()

    page = root / kin[-1].file
    lines = page.read_text(encoding="utf-8").split("\n")
    at = next((n for n in range(kin[-1].line, len(lines)) if re.match(r"#{1,3} ", lines[n])), None)
    if at is None:  # the last of its page
        at = len(lines) - 1 if lines[-1] == "" else len(lines)
        begun = ["", *_requirement(name, kin, target, regression)[:-1]]
    else:
        begun = _requirement(name, kin, target, regression)
    lines[at:at] = begun

    source = root / places[-1][0]
    text = source.read_text(encoding="utf-8")
    end = _END.search(text)
    assert end is not None  # each ends its last line
    body = text[: end.start()]
    case = _case(name, target, regression, data)

    kept.parent.mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        shutil.copyfile(finding, kept)
    page.write_text("\n".join(lines), encoding="utf-8")
    source.write_text(body + "\n\n" + case + end.group().replace("\n", "", 1), encoding="utf-8")
    return Begun(
        f"{kin[-1].file}:{at + 1 + begun.index(f'### {name}')}",
        f"{places[-1][0]}:{(body + case).count(chr(10)) + 2}",
        regression,
    )
