"""docs/offers.md: that it says what the bundled peers say of themselves, and that every gap has its reason."""

import unittest
from typing import Any, Dict

from cts import common, definition, offers, peers, systems
from cts.common import repository_root
from cts.expectations import load as load_expectations

ROOT = repository_root()
D = definition.load(ROOT / "spec/operations.toml")


class Reasons(unittest.TestCase):
    """`lacks` of go-net, changed."""

    def problems(self, **changes: str) -> str:
        """What is wrong when these reasons are given too; an empty one is taken away."""
        found = offers.load(ROOT, D)
        go_net = next(o for o in found if o.peer.name == "go-net")
        for key, reason in changes.items():
            go_net.peer.lacks.pop(key, None)
            if reason:
                go_net.peer.lacks[key] = reason
        return "\n".join(offers.problems(found))

    def test_as_they_are(self) -> None:
        self.assertEqual(self.problems(), "")

    def test_an_operation_without_a_reason(self) -> None:
        self.assertIn("go-net/peer.toml: no reason in `lacks` for cancel", self.problems(cancel=""))

    def test_a_reason_for_what_is_offered(self) -> None:
        self.assertIn("'stream.r*', but stream.raw is offered", self.problems(**{"stream.r*": "no call"}))

    def test_a_reason_for_nothing(self) -> None:
        self.assertIn("'named_pipe.*', and nothing of that is missing", self.problems(**{"named_pipe.*": "no call"}))


class Recorded(unittest.TestCase):
    """A run tells when a peer offers less than is recorded; the page is wrong as well when it offers more."""

    def test_as_the_peers_say(self) -> None:
        system = systems.named(common.host_system())
        for peer in peers.load_all(ROOT).values():
            file = ROOT / f"conformance/expectations/{peer.name}.{system.name}.toml"
            if system.name not in peer.os or not file.exists():
                continue
            peers.prepare(peer, system, lambda _: None)
            with self.subTest(peer.name):
                if peer.why.startswith("needs "):
                    self.skipTest(peer.why)
                self.assertEqual(peer.why, "")
                recorded = {o["mode"]: self.parts(o) for o in load_expectations(file, ROOT).offers}
                self.assertEqual(recorded, {mode: self.parts(offer) for mode, offer in peer.offers.items()})

    @staticmethod
    def parts(offer: Dict[str, Any]) -> Dict[str, Any]:
        return {key: sorted(set(offer[key])) for key in ("operations", "features")}


if __name__ == "__main__":
    unittest.main()
