"""Files with a JSON object a line that other processes wrote: each line is an object, or is told with what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, NoReturn

from cts.common import CannotRun

Object = Dict[str, Any]
HALF = "half a line: who wrote it was ended"  # the last line of what a killed process leaves


def refuse(wrong: str) -> NoReturn:
    """Raise CannotRun with what is wrong."""
    raise CannotRun(wrong)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(parse_constant=_constant)  # made once: a trace has 200,000 lines


def parse(data: bytes) -> Any:
    """The JSON value that the bytes are; raises ValueError with what they are instead."""
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None


def _nothing_wrong(_: Object) -> str:
    return ""


def read(
    path: Path, broken: Callable[[str], Any] = refuse, wrong: Callable[[Object], str] = _nothing_wrong
) -> Iterator[Object]:
    """Every object of the file in its order; a line that is none is given to `broken` as `FILE:LINE: what is wrong`.

    So is an object of which `wrong` says something. Raises OSError if the file cannot be read.
    """
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                value = parse(line)
                why = wrong(value) if isinstance(value, dict) else "no JSON object"
            except ValueError as error:
                why = f"no JSON: {error}" if line.endswith(b"\n") else HALF
            if why:
                broken(f"{path}:{number}: {why}")
            else:
                yield value
