"""The JSON schemas in spec/schema, applied to what the harness reads and writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import jsonschema

from cts.common import clip, printable


def problems(root: Path, name: str, value: Any) -> List[str]:
    """What is wrong with `value` by spec/schema/`name`.schema.json, a sentence each; empty if nothing is."""
    schema = json.loads((root / "spec/schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    found = sorted(validator.iter_errors(value), key=lambda e: list(map(str, e.absolute_path)))
    return [f"{'.'.join(map(str, e.absolute_path)) or 'top level'}: {printable(clip(e.message, 300))}" for e in found]
