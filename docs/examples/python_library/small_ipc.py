"""A small IPC library, as a sample: streams over Unix domain sockets, in the role of the client."""

import socket


class Stream:
    """A connected stream. Not for several threads at once."""

    def __init__(self, path):
        """Connect to the listener at `path`, a bytes object; raises OSError."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError:
            self._socket.close()
            raise

    def read(self, size):
        """At most `size` bytes, waiting for the first; empty at the end."""
        return self._socket.recv(size)

    def write(self, data):
        """Send some of `data`, waiting for room; returns how many bytes were taken."""
        return self._socket.send(data)

    def close(self):
        """Close it; again is allowed."""
        self._socket.close()
