"""The peer of small_ipc: what the suite asks for, done with that library."""

import pathlib
import sys

# A project of its own has a copy of the kit beside its peer; here it is the one that comes with the suite.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "conformance/kits/python"))

import cts_peer
import small_ipc


class Peer(cts_peer.Peer):
    """The minimum profile in the role of the client."""

    implementation = "small-ipc"
    version = "1.0"
    lanes = "single"
    features = ["name.path"]

    def local_connect(self, call):
        call.make(small_ipc.Stream(call["name"]))

    def stream_read(self, call):
        return call.read(call.handle.read)

    def stream_write(self, call):
        return call.write(call.handle.write)

    def stream_close(self, call):
        call.handle.close()


if __name__ == "__main__":
    cts_peer.run(Peer)
