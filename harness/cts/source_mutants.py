"""Mutants of the reference's source: made mechanically, a change of one line each, and a fair sample of them.

universalmutator makes them by the rules in conformance/mutants/source, a file for each kind of change. A mutant counts
if it compiles, and to other object code than the source and than the mutants before it (at -O2: what the compiler
proves equal is equal). The sample is stratified: each file gets its part by its lines of code, each kind of change its
part of that by what the rules find, drawn by a seed. So the same source and seed give the same sample everywhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

from cts.common import CannotRun, cache_dir, printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDERS = ("ref/common", "ref/posix", "ref/linux")
RULES = "conformance/mutants/source"
EQUIVALENT = "conformance/mutants/equivalent.toml"
REQUIREMENTS = "harness/requirements-source.txt"
OPTIMIZATION = "-O2"
_Texts = Dict[str, List[str]]


@dataclass(frozen=True)
class Change:
    """One mutant: what stands in a line of a file becomes something else. Both without the space around them."""

    file: str
    line: int
    kind: str  # the rules that made it, as in `relational`
    before: str
    after: str
    text: str = ""  # the whole line as it becomes, with its end

    @property
    def name(self) -> str:
        """Tells it from all others: `ref/posix/fifo.c:28:relational:1a2b`."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:4]
        return f"{self.file}:{self.line}:{self.kind}:{digest}"

    @property
    def sentence(self) -> str:
        """What it is, in words."""
        return f"`{self.before}` is `{self.after}`"


@dataclass(frozen=True)
class Equivalent:
    """A change that no caller can tell from the source, and why."""

    file: str
    before: str
    after: str
    proof: str

    def is_that(self, change: Change) -> bool:
        """Whether it speaks of that mutant, wherever the line stands now."""
        return (self.file, self.before, self.after) == (change.file, change.before, change.after)


def sources(root: Path) -> _Texts:
    """The lines of each source file of the reference on Linux, by its path in the checkout."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.c"))]
    return {str(p.relative_to(root)): p.read_text(encoding="utf-8").splitlines(True) for p in found}


def lines_of_code(lines: Sequence[str]) -> int:
    """How many lines hold code."""
    return sum(bool(line.strip()) and not re.match(r"\s*(//|/\*|\*|#)", line) for line in lines)


def equivalent(root: Path, texts: _Texts) -> List[Equivalent]:
    """What is declared to be equivalent; raises CannotRun if an entry has no proof or no such line."""
    path = root / EQUIVALENT
    if not path.exists():
        return []
    try:
        found = [Equivalent(**entry) for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("mutant", [])]
    except (ValueError, TypeError) as error:
        raise CannotRun(f"{EQUIVALENT} cannot be read: {printable(error)}") from error
    for one in found:
        if not one.proof.strip():
            raise CannotRun(f"{EQUIVALENT}: {one.file}: {one.before!r} has no proof")
        if one.before not in (line.strip() for line in texts.get(one.file, [])):
            raise CannotRun(f"{EQUIVALENT}: {one.file} has no line {one.before!r}")
    return found


def _mutator(root: Path) -> Any:
    """Load universalmutator's own module, of the pinned version; it is fetched at the first use.

    What the package asks for beside it (comby, a syntax-aware mode) is not used, so it is installed alone, aside.
    """
    requirements = root / REQUIREMENTS
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()[:16]
    place = cache_dir() / f"source-{digest}"
    if not (place / "universalmutator").is_dir():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        aside = place.with_name(f".{place.name}-{os.getpid()}")
        pip += ["--require-hashes", "--only-binary", ":all:", "--no-deps", "--target", str(aside)]
        done = subprocess.run([*pip, "--requirement", str(requirements)], capture_output=True, text=True)
        if done.returncode != 0:
            raise CannotRun(f"pip could not install what {REQUIREMENTS} pins:\n{printable(done.stderr[-800:], True)}")
        try:
            os.replace(aside, place)
        except OSError:
            pass  # another was first
    sys.path.insert(0, str(place))
    from universalmutator import mutator  # type: ignore[import-not-found]

    return mutator


def changes(root: Path, texts: _Texts) -> Dict[Tuple[str, str], List[Change]]:
    """Every change that the rules make, by file and kind."""
    mutator = _mutator(root)
    found: Dict[Tuple[str, str], List[Change]] = {}
    for rules in sorted((root / RULES).glob("*.rules")):
        for file, lines in texts.items():
            with contextlib.redirect_stdout(io.StringIO()):
                made = mutator.mutants_regexp(lines, [str(rules)], ignorePatterns=[], ignoreStringOnly=True)
            entries = [
                Change(file, number, rules.stem, lines[number - 1].strip(), text.strip(), text)
                for number, text, *_ in made
            ]
            if entries:
                found[file, rules.stem] = entries
    return found


def shares(weights: Dict[Any, int], total: int) -> Dict[Any, int]:
    """`total` dealt in proportion to the weights, by largest remainder."""
    whole = sum(weights.values())
    exact = {key: total * weight / whole for key, weight in weights.items()} if whole else {}
    dealt = {key: int(value) for key, value in exact.items()}
    left = total - sum(dealt.values()) if exact else 0
    for key in sorted(exact, key=lambda k: (dealt[k] - exact[k], str(k)))[:left]:
        dealt[key] += 1
    return dealt


class Compiler:
    """Compiles and links the reference with the flags that Bazel uses, below `work`."""

    def __init__(self, root: Path, work: Path, commands: Tuple[List[str], List[str]]) -> None:
        self.root = root
        self.work = work
        self._compile, self._link = commands
        self.objects: Dict[str, Path] = {}

    def compile(self, source: Path, output: Path, *flags: str) -> bool:
        """Compile one file; false if it is no valid C."""
        argv = [*self._compile, *flags, "-w", "-c", str(source), "-o", str(output)]
        output.parent.mkdir(parents=True, exist_ok=True)
        return subprocess.run(argv, cwd=self.root, capture_output=True).returncode == 0

    def changed(self, change: Change, texts: _Texts) -> Optional[Path]:
        """The object of a mutant; None if it does not compile."""
        digest = hashlib.sha256(change.name.encode()).hexdigest()[:16]
        directory = self.work / "changed" / digest
        directory.mkdir(parents=True, exist_ok=True)
        lines = list(texts[change.file])
        lines[change.line - 1] = change.text
        # The compiler notes the file's name, and no directory, in what it makes.
        source = directory / Path(change.file).name
        source.write_text("".join(lines), encoding="utf-8")
        output = directory / "changed.o"
        return output if self.compile(source, output, OPTIMIZATION, self._anywhere(source, change.file)) else None

    def _anywhere(self, source: Path, file: str) -> str:
        """The flag that has the compiler call a file what it is called in the checkout."""
        return f"-ffile-prefix-map={source}={file}"

    def program(self, source: str) -> Path:
        """A helper's program, built."""
        output = self.work / Path(source).stem
        if not self.compile(Path(source), output.with_suffix(".o"), OPTIMIZATION):
            raise CannotRun(f"{source} does not compile")
        done = subprocess.run([self._link[0], "-o", str(output), str(output.with_suffix(".o"))], capture_output=True)
        if done.returncode != 0:
            raise CannotRun(f"{source} cannot be linked")
        return output

    def unchanged(self, texts: _Texts, jobs: int) -> None:
        """Compile the source as it is, to `objects`."""
        self.objects = {file: self.work / "objects" / f"{file}.o" for file in texts}
        with ThreadPoolExecutor(jobs) as pool:
            done = pool.map(lambda i: self.compile(self.root / i[0], i[1], OPTIMIZATION), self.objects.items())
        if not all(done):
            raise CannotRun("the reference does not compile with the flags that Bazel tells")

    def link(self, objects: Sequence[Path], output: Path) -> None:
        """Make a shared library of objects."""
        output.parent.mkdir(parents=True, exist_ok=True)
        argv = [*self._link, "-o", str(output), *map(str, objects), "-pthread"]
        done = subprocess.run(argv, cwd=self.root, capture_output=True, text=True)
        if done.returncode != 0:
            raise CannotRun(f"a library cannot be linked: {printable(done.stderr[-800:], True)}")

    def library(self, change: Change, changed: Path, output: Path) -> None:
        """The reference with one object changed."""
        self.link([changed if f == change.file else path for f, path in self.objects.items()], output)


class Sampler:
    """Draws a sample of `size` by `seed`. `found` gets each mutant of it with its object."""

    def __init__(self, compiler: Compiler, texts: _Texts, size: int, seed: int) -> None:
        self.compiler = compiler
        self.texts = texts
        self.size = size
        self.seed = seed
        self.tried = 0

    def _of_file(self, file: str, quota: int, kinds: Dict[str, List[Change]]) -> List[Tuple[Change, Path]]:
        """The part of one file, in the order in which it was drawn."""
        seen: Set[bytes] = {self.compiler.objects[file].read_bytes()}
        waiting: Dict[str, List[Change]] = {}
        for kind, entries in kinds.items():
            waiting[kind] = list(entries)
            random.Random(f"{self.seed}:{file}:{kind}").shuffle(waiting[kind])
        drawn: List[Tuple[Change, Path]] = []

        def draw(kind: str) -> bool:
            while waiting[kind]:
                change = waiting[kind].pop()
                self.tried += 1
                made = self.compiler.changed(change, self.texts)
                code = made.read_bytes() if made is not None else None
                if made is not None and code is not None and code not in seen:
                    seen.add(code)
                    drawn.append((change, made))
                    return True
            return False

        for kind, wanted in shares({k: len(v) for k, v in kinds.items()}, quota).items():
            for _ in range(wanted):
                draw(kind)
        # A kind that had too few leaves its part to the kinds that the rules find more of.
        for kind in sorted(kinds, key=lambda k: (-len(kinds[k]), k)):
            while len(drawn) < quota and draw(kind):
                pass
        return drawn

    def draw(self, everything: Dict[Tuple[str, str], List[Change]], jobs: int) -> List[Tuple[Change, Path]]:
        """The sample, file by file."""
        weights = {file: lines_of_code(lines) for file, lines in self.texts.items()}
        by_file: Dict[str, Dict[str, List[Change]]] = {}
        for (file, kind), entries in everything.items():
            by_file.setdefault(file, {})[kind] = entries
        quotas = shares({file: weights[file] for file in by_file}, self.size)
        with ThreadPoolExecutor(jobs) as pool:
            parts = pool.map(lambda file: self._of_file(file, quotas[file], by_file[file]), sorted(by_file))
            return [entry for part in parts for entry in part]


def digest_of(paths: Sequence[Path]) -> str:
    """One digest of several files."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()[:32]


def _kept(digest: str) -> Path:
    return cache_dir() / "source-coverage" / f"{digest}.json"


def recall(digest: str) -> Any:
    """The JSON value kept under that name; None if there is none."""
    try:
        return json.loads(_kept(digest).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def keep(digest: str, value: Any) -> None:
    """Keep a JSON value."""
    path = _kept(digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}-{os.getpid()}")
    aside.write_text(json.dumps(value), encoding="utf-8")
    os.replace(aside, path)


def source_digest(root: Path, texts: _Texts) -> str:
    """Of all in the folders of the mutants that the reference is compiled from: other systems' files change nothing."""
    return digest_of([root / file for file in texts] + [p for f in FOLDERS for p in sorted((root / f).glob("*.h"))])


def family_digests(root: Path, texts: _Texts, more: Sequence[Path]) -> Dict[str, str]:
    """Of each family of cases a digest of the reference's source, of what all cases share, and of the family's file."""
    shared = [root / file for file in texts] + sorted((root / "ref").glob("*/*.h")) + list(more)
    for folder in (
        "conformance/cases",
        "conformance/support",
        "conformance/support/posix",
        "conformance/support/linux",
    ):
        shared += sorted((root / folder).glob("*.h")) + sorted((root / folder).glob("*.cc"))
    shared = [path for path in shared if not path.name.endswith("_test.cc")]
    digests = {}
    for file in sorted((root / "conformance/cases").glob("*_test.cc")):
        for family in set(re.findall(r"^CTS_CASE\((\w+),", file.read_text(encoding="utf-8"), re.MULTILINE)):
            digests[family] = digest_of([*shared, file])
            digests[family] = hashlib.sha256(f"{family} {digests[family]}".encode()).hexdigest()[:32]
    return digests
