"""Bugs planted into the reference, one at a time, which a fuzz target has to find (fuzz/planted.toml)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional

from cts import fuzz
from cts.common import CannotRun, cache_dir, printable

if sys.version_info >= (3, 11):
    import tomllib
else:  # the same parser under its name from before Python 3.11
    import tomli as tomllib

SECONDS = 60  # within which each is found
_SOUND_SECONDS = 5
_KEYS = {"name", "says", "target", "file", "old", "new"}


@dataclass(frozen=True)
class Bug:
    """One planted bug: in `file`, `old`, which stands there once, becomes `new`."""

    name: str
    says: str
    target: str
    file: str
    old: str
    new: str


@dataclass
class Hunt:
    """What came of the hunt for a bug: the seconds it took, or None if it was not found."""

    bug: Bug
    seconds: Optional[float]
    cause: str


def load(root: Path) -> List[Bug]:
    """The bugs of fuzz/planted.toml; raises CannotRun for one that no longer fits what it would be planted into."""
    file = root / "fuzz/planted.toml"
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CannotRun(f"{file}: {error}") from error
    bugs = []
    for record in document.get("bug", []):
        if set(record) != _KEYS:
            raise CannotRun(f"{file}: a bug has exactly the keys {', '.join(sorted(_KEYS))}: {record.get('name')!r}")
        bug = Bug(**record)
        fuzz.known(root, bug.target)
        times = (root / bug.file).read_text(encoding="utf-8").count(bug.old)
        if times != 1:
            raise CannotRun(f"{file}: {bug.name}: `old` stands {times} times in {bug.file}, not once")
        bugs.append(bug)
    if len({bug.name for bug in bugs}) != len(bugs):
        raise CannotRun(f"{file}: two bugs have one name")
    return bugs


def _copy(root: Path) -> Path:
    """A copy of the working tree in the cache, in which bugs are planted; always the same place, so that what does not
    change is built once.
    """
    done = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root, capture_output=True
    )
    if done.returncode != 0:
        raise CannotRun(f"git cannot say what belongs to {root}: {printable(done.stderr.decode('utf-8', 'replace'))}")
    copy = cache_dir() / "fuzz/planted"
    wanted = {name for name in done.stdout.decode("utf-8").split("\0") if name and (root / name).is_file()}
    for path in [p for p in copy.rglob("*") if p.is_file() and not p.relative_to(copy).parts[0].startswith("bazel-")]:
        if str(path.relative_to(copy)) not in wanted:
            path.unlink()
    for name in wanted:
        source, target = root / name, copy / name
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    return copy


def _run(root: Path, copy: Path, target: str, seconds: int) -> fuzz.Outcome:
    """Build a target in the copy and run it from the versioned corpus alone."""
    program = fuzz.build_target(copy, target)
    with tempfile.TemporaryDirectory(prefix="cts-fuzz-") as directory:
        grown, artifacts = Path(directory) / "corpus", Path(directory) / "artifacts"
        grown.mkdir()
        artifacts.mkdir()
        arguments = [f"-max_total_time={seconds}", "-seed=1", *fuzz.options(root, target), str(grown)]
        arguments += [str(d) for d in fuzz.corpora(root, target)]
        outcome, _ = fuzz.run(program, arguments, artifacts)
    return outcome


def hunt(root: Path, bugs: List[Bug]) -> Iterator[Hunt]:
    """Plant each bug and hunt it. Before that, the targets find nothing where there is no bug; else CannotRun."""
    copy = _copy(root)
    for target in sorted({bug.target for bug in bugs}):
        outcome = _run(root, copy, target, _SOUND_SECONDS)
        if outcome.status != 0:
            raise CannotRun(f"{target} finds something where no bug is planted: {printable(outcome.cause)}")
    for bug in bugs:
        file = copy / bug.file
        sound = file.read_text(encoding="utf-8")
        file.write_text(sound.replace(bug.old, bug.new), encoding="utf-8")
        try:
            outcome = _run(root, copy, bug.target, SECONDS)
        finally:
            file.write_text(sound, encoding="utf-8")
        yield Hunt(bug, outcome.seconds if outcome.status != 0 else None, outcome.cause)
