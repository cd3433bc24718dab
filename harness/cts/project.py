"""The checkout that `cts` works for: its requirements, its peers, and what is built from it."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

from cts import build, mutants, peers
from cts import requirements as spec
from cts.build import Artifacts
from cts.common import CannotRun, repository_root
from cts.definition import DefinitionError
from cts.requirements import Requirement
from cts.systems import System


class Project:
    """A checkout. `artifacts` stand in for a build if they are given (what is tested was built elsewhere)."""

    def __init__(self, root: Optional[Path] = None, artifacts: Optional[Artifacts] = None) -> None:
        self.root = root or repository_root()
        self._artifacts = artifacts

    def requirements(self) -> Dict[str, Requirement]:
        """The requirements by id; raises CannotRun with FILE:LINE of what is wrong in the spec."""
        try:
            return {r.id: r for r in spec.load(self.root)}
        except (spec.SpecError, DefinitionError, OSError) as error:
            raise CannotRun(f"the spec cannot be read: {error}") from error

    def artifacts(self, system: System, progress: Callable[[str], None], abi: bool = False) -> Artifacts:
        """What a run on that system needs, built; with `abi` also the runner of the in-process cases."""
        return self._artifacts or build.build(self.root, system, progress, abi)

    def peers(self) -> Dict[str, peers.Peer]:
        """The third parties in conformance/peers."""
        return peers.load_all(self.root)

    def mutants(self, progress: Callable[[str], None]) -> Tuple[Artifacts, List[mutants.Mutant]]:
        """What a run of the mutants needs, built, and the mutants."""
        artifacts, library, listed = build.build_mutants(self.root, progress)
        return artifacts, mutants.parse(listed, artifacts.peer, library)
