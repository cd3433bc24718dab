"""A checkout in miniature, with a fake runner and fake peers, in which tests run `cts` end to end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Tuple

from cts import definition, ledger
from cts.build import Artifacts
from cts.cli import main
from cts.common import OUTCOMES, repository_root
from cts.project import Project

HERE = Path(__file__).resolve().parent
CASES = ["Alpha.One", "Alpha.Two", "Beta.Alone", "Beta.Shaped", "Beta.Last"]
CANARIES = {"Canary.MustFail": {"outcome": "failed"}, "Canary.NotOffered": {"outcome": "not_applicable"}}

NAMED = ("local.listen", "local.connect", "name.parse")  # operations that the requirements name
BUG = """[[line]]
id = "bug.A1"
issue = "example/example#1"
says = "It went wrong."
requirements = ["Alpha.One"]
"""

NEEDS = "Server: local.listen · Client: local.connect"
REQUIREMENT = """### {id}
**MUST** · linux: run 6.1 · macos: documented · freebsd: documented · windows: documented · since 1
{shapes}{needs}

What {id} demands, with <b>markup</b>.

Source: unix(7).

"""

# A whole results.json, with everything that may be in it.
RECORD: Dict[str, Any] = {
    "case": "Alpha.One",
    "requirement": "MUST",
    "shape": "path+server",
    "server": "ref",
    "server_mode": "blocking",
    "client": "other",
    "client_mode": "async",
    "os": "linux",
    "outcome": "failed",
    "observed": "failed",
    "proof": "thread",
    "blame": "client",
    "duration_ms": 1.5,
    "message": "it said \u201cno\u201d\n",
    "operations": 3,
    "gates": True,
    "resources": {"server": {"descriptors": [4, 5]}},
    "pairing": "ref:blocking>other:async",
}
PEER: Dict[str, Any] = {k: "x" for k in ("name", "why", "implementation", "version", "os", "lanes")}
PEER = {**PEER, "available": True, "arguments": ["--peer", "/bin/x 'y'"], "title": "t"}
PEER = {**PEER, **{k: ["blocking"] for k in ("modes", "operations", "features", "traits")}}
DOCUMENT: Dict[str, Any] = {
    "schema": 1,
    "run": {
        "run_id": "0" * 32,
        "cts_version": "1",
        "started": "2026-01-01T00:00:00Z",
        "wall_ms": 1,
        "command": ["cts", "run", "--os", "linux"],
        "host": {"os": "linux", "kernel": "6.1", "machine": "m", "cpus": 2},
        "outcomes": {o: 0 for o in OUTCOMES},
        "cases": 1,
        "peers": [PEER],
        "offers_shrunk": [{"implementation": "x", "mode": "async", "operations": ["a"], "features": ["b"]}],
        "unmatched_expectations": [{"file": "f", "implementation": "x", "case": "A.B", "why": "w"}],
        "canary": {"must_fail": "failed", "not_offered": "not_applicable"},
        "notes": ["n"],
        "times": {"two_process_case_ms": 1.5, "process_start_ms": 1},
        "exit_status": 1,
    },
    "results": [RECORD],
}


class Checkout(unittest.TestCase):
    """Base of tests with a miniature checkout in `self.root` and its report in `self.report`."""

    def setUp(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="harness-test-"))
        self.addCleanup(shutil.rmtree, self.base, True)
        self.root = self.base / "root"
        self.report = self.base / "report"
        self.tmp = self.base / "tmp"
        for directory in (self.tmp, self.base / "state", self.base / "cache", self.root / "conformance/cases"):
            directory.mkdir(parents=True)
        (self.root / "conformance/peers").mkdir()
        self._write_spec()
        self.behaviour: Dict[str, Any] = {"cases": [*CASES, *CANARIES], "state": str(self.base / "state"), **CANARIES}
        self.behaviour["Beta.Alone"] = {"alone": True}
        self.behaviour["Beta.Shaped"] = {"shapes": ["path+server", "path+client"]}
        self.artifacts = self._make_artifacts()
        self.project = Project(self.root, self.artifacts)
        environment = {
            "XDG_CACHE_HOME": str(self.base / "cache"),
            "TMPDIR": str(self.tmp),
            "FAKE_BEHAVIOUR": str(self.base / "behaviour.json"),
        }
        saved = dict(os.environ)
        os.environ.update(environment)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(saved)))
        tempfile.tempdir = None
        self.addCleanup(setattr, tempfile, "tempdir", None)

    def _write_spec(self) -> None:
        spec = self.root / "spec"
        shutil.copytree(repository_root() / "spec/schema", spec / "schema")
        shutil.copy(repository_root() / "spec/operations.toml", spec)
        shutil.copytree(repository_root() / "spec/vectors", spec / "vectors")
        needs = {"Beta.Alone": "Peer: name.parse"}
        shapes = {"Beta.Shaped": "Shapes: kind = path; end = server | client\n"}
        texts = [REQUIREMENT.format(id=c, shapes=shapes.get(c, ""), needs=needs.get(c, NEEDS)) for c in CASES]
        (spec / "fake.md").write_text("".join(["# Fake\n\nAlone: it is pure.\n\n", *texts]))
        self.write_ledger(BUG)
        lines = [f"CTS_CASE({c.replace('.', ', ')}) {{}}\n" for c in CASES]
        (self.root / "conformance/cases/fake_test.cc").write_text("".join(lines))

    def write_ledger(
        self, lines: str, reasons: str = "", without: Tuple[str, ...] = (), kinds: str = "bug = 1"
    ) -> None:
        """Write the ledger: these lines, and a reason for each operation that no requirement names but `without`."""
        d = definition.load(self.root / "spec/operations.toml")
        free = [o.name for o in d.protocol_operations if o.name not in (*NAMED, *ledger.ALWAYS, *without)]
        unrequired = "".join(f'"{name}" = "a test"\n' for name in free)
        text = f"[kinds]\n{kinds}\n[reasons]\n{reasons}\n[unrequired]\n{unrequired}\n{lines}"
        (self.root / "spec/ledger.toml").write_text(text)

    def _make_artifacts(self) -> Artifacts:
        paths = {}
        for name in ("runner", "peer"):
            path = self.base / name
            path.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE}/fake_{name}.py "$@"\n')
            path.chmod(0o755)
            paths[name] = path
        reference = self.base / "ref.so"
        reference.touch()
        return Artifacts(reference=reference, **paths)

    def third_party(self, name: str, hello: Dict[str, Any] = {}, extra: str = "") -> None:  # noqa: B006
        """Add a peer to conformance/peers."""
        directory = self.root / "conformance/peers" / name
        directory.mkdir()
        said = json.dumps({"implementation": name, **hello})
        command = json.dumps([sys.executable, str(HERE / "fake_peer.py"), said])
        (directory / "peer.toml").write_text(f'name = "{name}"\nrun = {command}\n{extra}\n')

    def command(self, **hello: Any) -> str:
        """A command line for a peer that is in no folder."""
        import shlex

        return shlex.join([sys.executable, str(HERE / "fake_peer.py"), json.dumps(hello)])

    def expectation(self, name: str, text: str) -> Path:
        """Write an expectation file of an implementation."""
        path = self.root / "conformance/expectations" / f"{name}.linux.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'schema = 1\nimplementation = "{name}"\nos = "linux"\n{text}')
        return path

    def cts(self, *argv: str) -> Tuple[int, str, str]:
        """Run `cts`; returns exit status, standard output and standard error."""
        (self.base / "behaviour.json").write_text(json.dumps(self.behaviour))
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(list(argv), self.project)
            except SystemExit as end:  # argparse
                status = int(end.code or 0)
        return status, out.getvalue(), err.getvalue()

    def run_cts(self, *argv: str, status: int = 0) -> Dict[str, Any]:
        """`cts run` with its usual options; asserts the exit status and returns results.json."""
        got, out, err = self.cts("run", "--report", str(self.report), "--os", "linux", *argv)
        self.assertEqual(got, status, out + err)
        self.out, self.err = out, err
        return self.results()

    def results(self) -> Dict[str, Any]:
        return json.loads((self.report / "results.json").read_text())

    def by_case(self, document: Dict[str, Any], case: str) -> List[Dict[str, Any]]:
        return [r for r in document["results"] if r["case"] == case]
