"""The JSON schemas in spec/schema, applied to what the harness reads and writes."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Tuple

import jsonschema_rs

from cts.common import clip, printable


def _validator(schema: Dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema)


def _schema(root: Path, name: str) -> Dict[str, Any]:
    found: Dict[str, Any] = json.loads((root / "spec/schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    return found


def _errors(validator: jsonschema_rs.Draft202012Validator, value: Any) -> Iterator[Tuple[List[str], str]]:
    """(where, what is wrong) of each error."""
    try:
        for error in validator.iter_errors(value):
            options = getattr(error.kind, "options", None)  # of which the message names the first two
            message = f"{error.instance!r} is not one of {options}" if options else error.message
            yield list(map(str, error.instance_path)), message
    except UnicodeEncodeError as error:  # a key with half a surrogate pair, which JSON can escape
        yield [], f"{error.object!r} is no Unicode text"


def _sentence(where: List[str], message: str) -> str:
    return f"{'.'.join(where) or 'top level'}: {printable(clip(message, 300))}"


@functools.lru_cache(maxsize=None)
def _whole_validator(root: Path, name: str) -> jsonschema_rs.Draft202012Validator:
    return _validator(_schema(root, name))


def problems(root: Path, name: str, value: Any) -> List[str]:
    """What is wrong with `value` by spec/schema/`name`.schema.json, a sentence each; empty if nothing is."""
    return [_sentence(*error) for error in sorted(_errors(_whole_validator(root, name), value))]


@functools.lru_cache(maxsize=None)
def _record_validator(root: Path) -> jsonschema_rs.Draft202012Validator:
    schema = _schema(root, "results")
    return _validator({**schema["$defs"]["record"], "$defs": schema["$defs"]})


def wrong_record(root: Path, record: Dict[str, Any]) -> str:
    """Why this is no record of spec/schema/results.schema.json; empty if it is one."""
    error = next(_errors(_record_validator(root), record), None)
    return f"no record: {_sentence(*error)}" if error else ""


class ProtocolChecker:
    """Holds what was said on the channel, as a raw trace has it, against spec/schema/peer_protocol.schema.json."""

    def __init__(self, root: Path) -> None:
        defs = _schema(root, "peer_protocol")["$defs"]
        self._requests = {
            r["properties"]["op"]["const"]: _validator({**r, "$defs": defs}) for r in defs["request"]["oneOf"]
        }
        self._results = {name: _validator({**result, "$defs": defs}) for name, result in defs["results"].items()}
        self._reply = _validator({**defs["reply"], "$defs": defs})

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
            for _, message in (e for v in validators for e in _errors(v, said)):
                found.append(f"{event['case']}: {printable(clip(json.dumps(said), 200))}: {clip(message, 200)}")
        return found
