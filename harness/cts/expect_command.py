"""`cts expect`: rewrites an expectation file from the results of one or several machines.

What does not hold in the results becomes an expectation; reasons and links that stand in the file are kept;
expectations of cases that the results do not contain stay as they are; those of cases that hold now are dropped. What
results of one version disagree about is `flaky`. One that is `flaky` stays, and what stands beside it, whatever the
results say: that it does not show is no sign that it has gone.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Set, Tuple

import tomli_w
from packaging.specifiers import SpecifierSet

from cts import expectations, report
from cts.common import FAILING, CannotRun, clip, plural, printable
from cts.expectations import Expectation
from cts.peers import REFERENCE
from cts.project import Project

Record = Dict[str, Any]
Point = Tuple[str, str, str]  # shape, mode, with
_AXES = ("shape", "mode", "with")
_EXPECTABLE = (*FAILING, "unverifiable", "flaky")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cts expect`."""
    parser.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help="report directories or results.json files"
    )
    parser.add_argument(
        "--implementation", metavar="NAME", help="whose file (default: each third party in the results)"
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="file to rewrite (default, for what comes with the suite: the one in conformance/expectations)",
    )


def failing_role(record: Record, name: str) -> Optional[str]:
    """The role in which `name` is answerable for the record: where the blame lies, or where it faced another one."""
    if record.get("peer") == name:
        return "peer"
    roles = [r for r in ("server", "client") if record.get(r) == name]
    blame = record.get("blame")
    if blame in ("server", "client") and blame not in roles and record[blame] != REFERENCE:
        return None
    # The reference is the measure: what fails between it and another one is the other one's.
    return blame if blame in roles else roles[0] if roles else None


def _point(record: Record, role: str) -> Point:
    other = {"server": "client", "client": "server", "peer": "peer"}[role]
    return record["shape"], record["mode" if role == "peer" else f"{role}_mode"], record[other]


def generalise(failed: Set[Point], ran: Set[Point]) -> List[Dict[str, str]]:
    """The shortest description of `failed` that says nothing wrong of `ran`: entries of the axes that matter."""
    for size in range(len(_AXES) + 1):
        for kept in itertools.combinations(range(len(_AXES)), size):
            cells = {tuple(p[i] for i in kept) for p in failed}
            if all(p in failed for p in ran if tuple(p[i] for i in kept) in cells):
                return [dict(zip((_AXES[i] for i in kept), cell)) for cell in sorted(cells)]
    return [dict(zip(_AXES, p)) for p in sorted(failed)]


def _observed(record: Record) -> str:
    return str(record.get("observed", record["outcome"]))


def _foresees(e: Expectation, case: str, role: str, point: Point) -> bool:
    """Whether the expectation is about this, of whatever version."""
    wanted = zip((e.shape, e.mode, e.other), point)
    return (e.case, e.role) == (case, role) and all(w is None or w == is_ for w, is_ in wanted)


def _plain(version: str) -> str:
    """The version in what a peer says of itself, as an expectation compares it."""
    return str(expectations.parse_version(version) or "0")


def _covers(wanted: Optional[str], version: str) -> bool:
    return SpecifierSet(wanted or "").contains(version, prereleases=True)


def from_results(
    records: List[Record], name: str, versions: Dict[int, str], old: List[Expectation]
) -> List[Dict[str, Any]]:
    """The expectations that the records of `name` call for, beside those of `old` that are `flaky`.

    Each record has `machine`, an index into `versions`. What one version does and another does not is told of that
    version.
    """
    ran: Dict[Tuple[str, str], Dict[str, Dict[Point, List[Record]]]] = {}
    for record in records:
        outcome = _observed(record)
        if outcome not in expectations.RAN:
            continue
        role = failing_role(record, name) if outcome != "passed" else None
        roles = [role] if role else [r for r in ("server", "client", "peer") if record.get(r) == name]
        version = _plain(versions[record["machine"]])
        for each in roles if outcome == "passed" or role else []:
            points = ran.setdefault((record["case"], each), {}).setdefault(version, {})
            points.setdefault(_point(record, each), []).append(record)
    made: List[Dict[str, Any]] = []
    for (case, role), by_version in ran.items():
        found: Dict[Tuple[Tuple[str, str], ...], Dict[str, str]] = {}
        for version, points in by_version.items():
            here = [e for e in old if _covers(e.version, version)]
            for entry, message in _of_one_version(case, role, points, here):
                found.setdefault(tuple(entry.items()), {})[version] = message
        for items, messages in found.items():
            told = [""] if len(messages) == len(by_version) else sorted(messages)
            for version in told:
                only = {"version": f"=={version}"} if version else {}
                message = messages[version or min(messages)]
                made.append({**dict(items), **only, "reason": f"Observed: {clip(printable(message), 300)}"})
    return made


def _of_one_version(
    case: str, role: str, points: Dict[Point, List[Record]], old: List[Expectation]
) -> List[Tuple[Dict[str, str], str]]:
    """The expectations of one role of a case, without their reasons, and what was observed."""
    loose = {p for p in points if any(e.outcome == "flaky" and _foresees(e, case, role, p) for e in old)}
    wanted: Dict[Tuple[str, str], Set[Point]] = {}
    for point, records in points.items():
        seen = _outcomes(records, role)
        if point in loose:  # the one that is flaky stays, and so does what stands beside it: it may come or go
            beside = {(e.outcome, e.blame or "") for e in old if _foresees(e, case, role, point)}
            seen = {s for s in seen | beside if s[0] != "flaky"}
        for outcome in seen:
            wanted.setdefault(outcome, set()).add(point)
    made = []
    for (outcome, blame), failed in sorted(wanted.items()):
        if outcome not in _EXPECTABLE:
            continue
        messages = [r["message"] for p in sorted(failed) for r in points[p] if _observed(r) == outcome and r["message"]]
        for axes in generalise(failed, set(points)):
            entry = {"case": case, **axes, "role": role, "outcome": outcome, **({"blame": blame} if blame else {})}
            made.append((entry, messages[0] if messages else outcome))
    return made


def _outcomes(records: List[Record], role: str) -> Set[Tuple[str, str]]:
    """What the results of one version say of one point, but for `passed`: outcomes, and who is blamed if not `role`.

    It is `flaky`, too, where they disagree: each outcome that stayed through a run's repetitions may stay again.
    """
    outcomes = {_observed(r) for r in records}
    seen = {(_observed(r), "" if r.get("blame", "") == role else r.get("blame", "")) for r in records}
    seen = {s for s in seen if s[0] != "passed"}
    return seen | ({("flaky", blame) for _, blame in seen} if len(outcomes) > 1 else set())


_KEYS = ("case", "shape", "mode", "with", "role", "outcome", "blame", "version", "reason", "link")


def _as_entry(e: Expectation) -> Dict[str, Any]:
    return {k: value for k in _KEYS for value in [getattr(e, "other" if k == "with" else k)] if value}


def keep_reasons(
    made: List[Dict[str, Any]], old: List[Expectation], ran: Set[str], versions: Set[str]
) -> List[Dict[str, Any]]:
    """The new entries with the old ones' reasons, links and version ranges, and the old ones that stay.

    `ran` are cases, `versions` those of the implementation that the results are of.
    """
    kept = [_as_entry(e) for e in old if e.case not in ran or e.outcome == "flaky"]
    for entry in made:
        # A reason is kept only for the same failure: another outcome, or another shape, may have another cause.
        same = [e for e in old if (e.case, e.role, e.outcome) == (entry["case"], entry["role"], entry["outcome"])]
        alike = [e for e in same if e.shape in (None, entry.get("shape")) or len({e.reason for e in same}) == 1]
        if alike:
            keys = (("shape", "shape"), ("mode", "mode"), ("with", "other"), ("blame", "blame"))
            best = max(alike, key=lambda e: sum(entry.get(k) == getattr(e, a) for k, a in keys))
            entry["reason"] = best.reason
            if best.link:
                entry["link"] = best.link
            meant = {v for v in versions if _covers(entry.get("version"), v)}
            if best.version and {v for v in versions if _covers(best.version, v)} == meant:
                entry["version"] = best.version
        kept.append({k: entry[k] for k in _KEYS if k in entry})
    order = ("case", "role", "shape", "mode", "with", "outcome", "blame", "version")
    return sorted(kept, key=lambda e: tuple(str(e.get(k, "")) for k in order))


def _offers(peer: Dict[str, Any], old: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    """The offer in each mode; the version ranges that stand in the old ones are kept."""
    versions = {o["mode"]: {"version": o["version"]} for o in old if "version" in o}
    return [
        {"mode": mode, **versions.get(mode, {}), **{k: sorted(set(offer[k])) for k in ("operations", "features")}}
        for mode, offer in peer["by_mode"].items()
    ]


def _write(path: Path, document: Dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as file:
            tomli_w.dump(document, file)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def rewrite(project: Project, documents: List[Dict[str, Any]], name: str, path: Path, system: str) -> int:
    """Write the file of `name`; returns how many expectations it has."""
    records, versions, newest = [], {}, None
    for machine, document in enumerate(documents):
        peer = next((p for p in document["run"]["peers"] if p["name"] == name and p["available"]), None)
        if peer is None:
            continue
        newest = peer
        versions[machine] = peer["version"]
        records += [{**r, "machine": machine} for r in document["results"] if r["os"] == system]
    if newest is None:
        raise CannotRun(f"no result speaks of {printable(name)!r}")
    file = expectations.load(path, project.root) if path.exists() else None
    if file and file.implementation not in (name, newest["implementation"]):
        raise CannotRun(f"{path} is for {printable(file.implementation)}, not for {printable(name)}")
    old = file.expectations if file else []
    ran = {
        r["case"]
        for r in records
        if _observed(r) in expectations.RAN and name in (r.get("server"), r.get("client"), r.get("peer"))
    }
    made = from_results(records, name, versions, old)
    entries = keep_reasons(made, old, ran, {_plain(v) for v in versions.values()})
    offers = _offers(newest, file.offers if file else [])
    document = {
        "schema": 1,
        "implementation": name,
        "os": expectations.label_of_file(system),
        "expectation": entries,
        "difference": file.differences if file else [],  # of traces, which results do not tell
        "offer": offers,
    }
    _write(path, {k: v for k, v in document.items() if v != []})
    return len(entries)


def _names(documents: Iterable[Dict[str, Any]], wanted: Optional[str]) -> List[str]:
    known = [p["name"] for d in documents for p in d["run"]["peers"] if p["available"]]
    if wanted and wanted not in known:
        raise CannotRun(f"no result speaks of {printable(wanted)!r}")
    return [wanted] if wanted else [n for n in dict.fromkeys(known) if n != REFERENCE]


def _check_bundled(project: Project, names: List[str]) -> None:
    """Raise CannotRun unless the files of all of these belong into conformance/expectations."""
    known = project.peers()
    for name in names:
        if name not in known and name != REFERENCE:
            which = f" --implementation {shlex.quote(printable(name))}" if len(names) > 1 else ""
            raise CannotRun(
                f"{printable(name)!r} does not come with the suite; say where its expectations go:{which} --output FILE"
            )


def run(project: Project, options: argparse.Namespace, _command: List[str]) -> int:
    """Rewrite the files; raises CannotRun if results are of several systems or of interrupted runs."""
    documents = [report.load(path) for path in options.results]
    for path, document in zip(options.results, documents):
        if document["run"]["exit_status"] not in (0, 1):
            raise CannotRun(
                f"{path}: that run did not end well (status {document['run']['exit_status']}); its results do not serve"
            )
    systems = {r["os"] for d in documents for r in d["results"]}
    if len(systems) != 1:
        raise CannotRun(
            f"the results are of {', '.join(sorted(systems)) or 'nothing'}: an expectation file is of one system"
        )
    system = systems.pop()
    label = expectations.label_of_file(system)
    names = _names(documents, options.implementation)
    if not names or (options.output and len(names) > 1):
        told = printable(", ".join(names)) or "the results hold none but ref"
        raise CannotRun(f"say whose file with --implementation: {told}")
    if not options.output:
        _check_bundled(project, names)
    for name in names:
        path = options.output or project.root / "conformance/expectations" / f"{name}.{label}.toml"
        count = rewrite(project, documents, name, path, system)
        print(f"{path}: {plural(count, 'expectation')}")
    return 0
