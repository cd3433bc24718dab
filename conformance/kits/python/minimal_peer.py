"""The smallest useful peer: a client of local sockets, one request after another.

It tests Python's own `socket` module; put the calls of your library where `socket` is used. Run it with
`./cts run --peer "python3 minimal_peer.py"`.
"""

import platform
import socket

import cts_peer


class MinimalPeer(cts_peer.Peer):
    """The minimum profile in the role of the client: local.connect, stream.read, stream.write, stream.close."""

    implementation = "minimal-python"
    version = platform.python_version()
    lanes = "single"
    features = ["name.path"]

    def local_connect(self, call):
        if b"\0" in call["name"]:
            raise cts_peer.Outcome("invalid_name", "the system would read the path up to its NUL")
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            stream.connect(call["name"])
        except OSError:
            stream.close()  # a handle that is not made must not stay open
            raise  # the kit turns errno into a status
        call.make(stream)

    def stream_read(self, call):
        return call.read(call.handle.recv)  # b"" is the end

    def stream_write(self, call):
        return call.write(call.handle.send)

    def stream_close(self, call):
        call.handle.close()


if __name__ == "__main__":
    cts_peer.run(MinimalPeer)
