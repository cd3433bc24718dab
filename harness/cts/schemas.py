"""The JSON schemas in spec/schema, applied to what the harness reads and writes."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Dict, Iterable, List

import jsonschema

from cts.common import clip, printable


def problems(root: Path, name: str, value: Any) -> List[str]:
    """What is wrong with `value` by spec/schema/`name`.schema.json, a sentence each; empty if nothing is."""
    schema = json.loads((root / "spec/schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    found = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    return [f"{'.'.join(map(str, e.absolute_path)) or 'top level'}: {printable(clip(e.message, 300))}" for e in found]


@functools.lru_cache(maxsize=None)
def _record_validator(root: Path) -> jsonschema.Draft202012Validator:
    schema = json.loads((root / "spec/schema/results.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator({**schema["$defs"]["record"], "$defs": schema["$defs"]})


def wrong_record(root: Path, record: Dict[str, Any]) -> str:
    """Why this is no record of spec/schema/results.schema.json; empty if it is one."""
    error = next(_record_validator(root).iter_errors(record), None)
    where = ".".join(map(str, error.absolute_path)) if error else ""
    return f"no record: {where or 'top level'}: {printable(clip(error.message, 300))}" if error else ""


class ProtocolChecker:
    """Holds what was said on the channel, as a raw trace has it, against spec/schema/peer_protocol.schema.json."""

    def __init__(self, root: Path) -> None:
        schema = json.loads((root / "spec/schema/peer_protocol.schema.json").read_text(encoding="utf-8"))
        self._defs = schema["$defs"]
        self._requests = {r["properties"]["op"]["const"]: self._validator(r) for r in self._defs["request"]["oneOf"]}
        self._results = {name: self._validator(result) for name, result in self._defs["results"].items()}
        self._reply = self._validator(self._defs["reply"])

    def _validator(self, schema: Dict[str, Any]) -> jsonschema.Draft202012Validator:
        return jsonschema.Draft202012Validator({**schema, "$defs": self._defs})

    def problems(self, events: Iterable[Dict[str, Any]]) -> List[str]:
        """What is wrong with the requests, replies and results, a sentence each.

        Cases of the family PeerProtocol say wrong things on purpose and are left out.
        """
        found: List[str] = []
        operations: Dict[Any, str] = {}
        for event in events:
            if str(event.get("case", "")).startswith("PeerProtocol."):
                continue
            place = (event.get("pairing"), event.get("pid"))
            validators = []
            said: Any = None
            if event.get("kind") == "begin":
                said = event["request"]
                operations[(*place, said.get("id"))] = said.get("op", "")
                validators = [self._requests[said["op"]]] if said.get("op") in self._requests else []
            elif event.get("kind") == "end":
                said = event["reply"]
                operation = operations.pop((*place, said.get("id")), "")
                ok = said.get("status") == "ok" and operation in self._results
                validators = [self._reply, *([self._results[operation]] if ok else [])]
            for error in (e for v in validators for e in v.iter_errors(said)):
                found.append(f"{event['case']}: {printable(clip(json.dumps(said), 200))}: {clip(error.message, 200)}")
        return found
