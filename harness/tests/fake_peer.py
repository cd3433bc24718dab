"""A peer that answers hello alone, for tests of the harness: what FAKE_HELLO (a JSON file) holds, else a plain offer.

`--library FILE` plays the generic peer: the implementation is the file's stem.
"""

import json
import os
import sys
from pathlib import Path

HELLO = {
    "protocol": 1,
    "implementation": "fake",
    "version": "1.2.3",
    "os": "linux",
    "lanes": "thread",
    "modes": ["blocking", "nonblocking"],
    "operations": ["local.listen", "local.connect", "stream.read"],
    "features": ["name.path"],
    "traits": [],
}


def main() -> None:
    hello = dict(HELLO)
    if "--library" in sys.argv:
        hello["implementation"] = Path(sys.argv[-1]).stem
    elif len(sys.argv) > 1:
        hello.update(json.loads(sys.argv[1]))
    for line in sys.stdin:
        request = json.loads(line)
        answer = {"id": request["id"], "status": "ok", **hello, "pid": os.getpid()}
        print(json.dumps(answer), flush=True)


main()
