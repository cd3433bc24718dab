"""The peer whose command follows, as if it waited by asking again: `repeating_peer.py in_vain|never COMMAND...`

Its events say `repeats` and name a thread that never waits. With `in_vain` its answers to `pending` list every request
under way in `would_block`, with `never` none.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any, Dict


def changed(line: Dict[str, Any], kind: str) -> Dict[str, Any]:
    if line.get("event") == "begun":
        return {**line, "tid": os.getpid(), "repeats": True}
    if "ids" in line and kind == "in_vain":
        return {**line, "would_block": line["ids"]}
    return line


def main() -> None:
    peer = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert peer.stdin is not None and peer.stdout is not None
    to_peer, from_peer = peer.stdin, peer.stdout

    def hand_on() -> None:
        for request in sys.stdin.buffer:
            to_peer.write(request)
            to_peer.flush()
        to_peer.close()

    threading.Thread(target=hand_on, daemon=True).start()
    for reply in from_peer:
        sys.stdout.write(json.dumps(changed(json.loads(reply), sys.argv[1]), separators=(",", ":")) + "\n")
        sys.stdout.flush()
    sys.exit(peer.wait())


if __name__ == "__main__":
    main()
