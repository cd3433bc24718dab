"""Makes from `spec/operations.toml` and the requirements what other languages need of them.

`outputs(root)` maps each generated file to its text; `cts spec generate` writes them and a test compares them. The
files are kept in the repository because peers are built by their own ecosystems' tools, and because they are read.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any, Dict, List

from cts import definition as definitions
from cts import offers
from cts import requirements as requirements_of
from cts.definition import Definition, Field, Operation
from cts.requirements import Requirement

MADE = "Made by `cts spec generate` from spec/operations.toml: change that file, not this one."
KITS = ("python", "node", "go", "rust")


def _c_comment(text: str, indent: str = "") -> str:
    words, lines, line = text.split(), [], ""
    for word in words:
        if len(indent) + len(line) + len(word) + 7 > 120:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    lines.append(line)
    return f"\n{indent} * ".join([f"{indent}/* {lines[0]}", *lines[1:]]) + " */"


def status_header(d: Definition) -> str:
    """include/ipc/status.h: the statuses' numbers, and ipc_status."""
    rows = "\n".join(f"{_c_comment(s.doc, '  ')}\n  {s.constant} = {s.value}," for s in d.statuses)
    return f"""/* status.h - the outcome of every call. {MADE} */
#ifndef IPC_STATUS_H
#define IPC_STATUS_H

#include <stdint.h>

/* Outcome classes: the values of ipc_status.code. */
enum {{
{rows}
}};

/* Number of outcome classes: codes are below it. */
#define IPC_STATUS_COUNT {len(d.statuses)}

/* What a call returns. It is passed in a register. */
typedef struct ipc_status {{
  int32_t code;    /* one of the above: decides */
  uint32_t native; /* errno or the Win32 error that led to it, 0 if none: for people */
}} ipc_status;

#endif /* IPC_STATUS_H */
"""


def table_header(d: Definition) -> str:
    """include/ipc/table.h: the versioned, append-only table of functions."""
    slots = []
    for o in d.slots:
        gate = f" Feature gate{'s' * (len(o.gates) > 1)}: {', '.join(o.gates)}." if o.gates else ""
        system = f" {o.systems.capitalize()} only." if o.systems else ""
        slots.append(
            f"{_c_comment(f'{o.slot}: {o.name}. {o.doc}{system}{gate}', '  ')}\n  ipc_status (*{o.snake})({o.c});"
        )
    body = "\n".join(slots)
    return f"""/* table.h - the versioned table of functions. {MADE} */
#ifndef IPC_TABLE_H
#define IPC_TABLE_H

#include "ipc/ancillary.h"
#include "ipc/base.h"
#include "ipc/fifo.h"
#include "ipc/framed.h"
#include "ipc/framing.h"
#include "ipc/local.h"
#include "ipc/loop.h"
#include "ipc/name.h"
#include "ipc/named_pipe.h"
#include "ipc/pipe.h"
#include "ipc/signal.h"
#include "ipc/socket.h"
#include "ipc/stream.h"
#include "ipc/unix.h"

#ifdef __cplusplus
extern "C" {{
#endif

#define IPC_ABI_MAJOR {d.abi["major"]}u
#define IPC_ABI_MINOR {d.abi["minor"]}u

/* Slots are only ever appended. A slot beyond `size`, or NULL, is not offered (spec/abi.md). */
typedef struct ipc_table {{
  uint32_t size;               /* bytes of this structure as the library knows it */
  uint16_t abi_major;          /* IPC_ABI_MAJOR it was built with */
  uint16_t abi_minor;          /* IPC_ABI_MINOR it was built with */
  const char *implementation;  /* name of the implementation, UTF-8 */
  const char *version;         /* its version */
  const char *const *features; /* features offered, names from spec/operations.md; ends in NULL */
  const char *const *traits;   /* traits declared; ends in NULL */
{body}
}} ipc_table;

#if defined(_WIN32)
#define IPC_EXPORT __declspec(dllexport)
#else
#define IPC_EXPORT __attribute__((visibility("default")))
#endif

/* The one symbol that a library exports. Returns its table, or NULL if it does not speak |abi_major|. The table lives
 * as long as the library is loaded. */
IPC_EXPORT const ipc_table *ipc_get_table(uint32_t abi_major);

#ifdef __cplusplus
}} /* extern "C" */
#endif

#endif /* IPC_TABLE_H */
"""


def _field_json(f: Field) -> Dict[str, Any]:
    entry: Dict[str, Any] = {"name": f.name, "type": f.type}
    if f.optional:
        entry["optional"] = True
    if f.feature:
        entry["feature"] = f.feature
    if f.values:
        entry["values"] = list(f.values)
    return entry


def _operation_json(o: Operation) -> Dict[str, Any]:
    entry: Dict[str, Any] = {"args": [_field_json(a) for a in o.args]}
    if o.on:
        entry["on"] = o.on
    if o.makes:
        entry["makes"] = o.makes
    if o.consumes:
        entry["consumes"] = True
    return entry


def operations_json(d: Definition) -> str:
    """operations.json beside each kit: what a peer needs to check a request and to name a status."""
    return (
        json.dumps(
            {
                "made": MADE,
                "protocol": d.protocol,
                "statuses": [s.name for s in d.statuses],
                "errno": d.native["errno"],
                "win32": d.native["win32"],
                "features": list(d.features),
                "traits": list(d.traits),
                "operations": {o.name: _operation_json(o) for o in d.protocol_operations},
            },
            indent=1,
        )
        + "\n"
    )


def errno_table(d: Definition) -> str:
    """ref/common/native_status.inc: rows NATIVE_ERRNO(name, code) and NATIVE_WIN32(name, code) for the reference."""
    rows = [f"/* {MADE} */", "#ifdef NATIVE_ERRNO"]
    constants = {s.name: s.constant for s in d.statuses}
    for code, status in d.native["errno"].items():
        if code == "EWOULDBLOCK":
            rows += [f"#if EWOULDBLOCK != EAGAIN\nNATIVE_ERRNO({code}, {constants[status]})\n#endif"]
        elif code == "ENOTSUP":
            rows += [f"#if ENOTSUP != EOPNOTSUPP\nNATIVE_ERRNO({code}, {constants[status]})\n#endif"]
        else:
            rows += [f"NATIVE_ERRNO({code}, {constants[status]})"]
    rows += ["#endif", "#ifdef NATIVE_WIN32"]
    rows += [f"NATIVE_WIN32({code}, {constants[status]})" for code, status in d.native["win32"].items()]
    rows += ["#endif"]
    return "\n".join(rows) + "\n"


def gates(d: Definition) -> str:
    """ref/common/gates.inc: what each feature gate of the build removes, for the reference's tests and installation.

    X-macro rows: IPC_SLOT(slot, name, gates) in the table's order, of those that the system has,
    IPC_FOREIGN_SLOT(slot, name) of the others, and IPC_FEATURE(name, gates). The gates are one string, separated by
    spaces.
    """
    rows = [f"/* {MADE} */", "#ifdef IPC_SLOT"]
    conditions = {"unix": "#ifndef _WIN32", "windows": "#ifdef _WIN32"}
    for systems, run in itertools.groupby(d.slots, lambda o: o.systems):
        some = [f"IPC_SLOT({o.slot}, {o.snake}, {_c_string(' '.join(o.gates))})" for o in run]
        rows += [conditions[systems], *some, "#endif"] if systems else some
    rows += ["#endif", "#ifdef IPC_FOREIGN_SLOT"]
    for systems, condition in (("windows", "#ifndef _WIN32"), ("unix", "#ifdef _WIN32")):
        foreign = [f"IPC_FOREIGN_SLOT({o.slot}, {o.snake})" for o in d.slots if o.systems == systems]
        rows += [condition, *foreign, "#endif"]
    rows += ["#endif", "#ifdef IPC_FEATURE"]
    rows += [f"IPC_FEATURE({_c_string(name)}, {_c_string(f.get('gate', ''))})" for name, f in d.features.items()]
    return "\n".join([*rows, "#endif"]) + "\n"


def slots(d: Definition) -> str:
    """ref/common/slots.inc: the initializers of the reference's table, each where the library has the function."""
    rows = [f"/* {MADE} */"]
    for condition, run in itertools.groupby(d.slots, lambda o: o.condition):
        some = [f".{o.snake} = ipc_{o.snake}," for o in run]
        rows += [f"#if {condition}", *some, "#endif"] if condition else some
    return "\n".join(rows) + "\n"


def abi_slots(d: Definition) -> str:
    """conformance/abi/slots.inc: rows CTS_SLOT(slot, operation) in the table's order."""
    return "\n".join([f"/* {MADE} */", *[f"CTS_SLOT({o.snake}, {_c_string(o.name)})" for o in d.slots]]) + "\n"


def _c_string(text: str) -> str:
    return json.dumps(text, ensure_ascii=True)


def c_operations(d: Definition) -> str:
    """kits/c/cts_operations.inc: statuses, features and operations with their arguments, for the C kit.

    X-macro rows: CTS_STATUS(name), CTS_FEATURE(name), CTS_TRAIT(name), and for each operation
    CTS_OPERATION_BEGIN(identifier, name, on kind or NULL, consumes), then CTS_MAKES(key, kind) and
    CTS_ARG(name, type, optional, feature or NULL, enum values joined by `|` or NULL), then CTS_OPERATION_END.
    """
    rows = [f"/* {MADE} */", "#ifdef CTS_STATUS"]
    rows += [f"CTS_STATUS({_c_string(s.name)})" for s in d.statuses]
    rows += ["#endif", "#ifdef CTS_FEATURE"]
    rows += [f"CTS_FEATURE({_c_string(f)})" for f in d.features]
    rows += ["#endif", "#ifdef CTS_TRAIT"]
    rows += [f"CTS_TRAIT({_c_string(t)})" for t in d.traits]
    rows += ["#endif", "#ifdef CTS_OPERATION_BEGIN"]
    for o in d.protocol_operations:
        on = _c_string(o.on) if o.on else "NULL"
        rows.append(f"CTS_OPERATION_BEGIN({o.snake}, {_c_string(o.name)}, {on}, {int(o.consumes)})")
        rows += [f"CTS_MAKES({_c_string(k)}, {_c_string(v)})" for k, v in o.makes.items()]
        for a in o.args:
            feature = _c_string(a.feature) if a.feature else "NULL"
            values = _c_string("|".join(a.values)) if a.values else "NULL"
            rows.append(f"CTS_ARG({_c_string(a.name)}, {a.type}, {int(a.optional)}, {feature}, {values})")
        rows.append("CTS_OPERATION_END")
    rows += ["#endif"]
    return "\n".join(rows) + "\n"


_CPP_TYPES = {
    "bool": "bool",
    "u32": "uint32_t",
    "u64": "uint64_t",
    "i64": "int64_t",
    "text": "const std::string &",
    "enum": "const std::string &",
    "bytes": "const Bytes &",
    "data": "const Data &",
    "raw": "const Raw &",
    "list_u32": "const std::vector<uint32_t> &",
    "list_u64": "const std::vector<uint64_t> &",
    "list_text": "const std::vector<std::string> &",
}


def _setter(o: Operation, name: str, cpp: str, feature: str, doc: str) -> str:
    gap = "" if cpp.endswith("&") else " "
    return (
        f"  /// {doc}\n"
        f"  {o.snake} &{name}({cpp}{gap}value) {{\n"
        f"    set({_c_string(name)}, value, {_c_string(feature)});\n"
        f"    return *this;\n  }}"
    )


def _c_native(macro: str, table: Dict[str, str]) -> str:
    rows = [f"/* {MADE} */"]
    for code, status in table.items():
        rows += [f"#ifdef {code}", f"{macro}({code}, {_c_string(status)})", "#endif"]
    return "\n".join(rows) + "\n"


def c_errno(d: Definition) -> str:
    """kits/c/cts_errno.inc: rows CTS_ERRNO(code, status) for the error numbers that the system has."""
    return _c_native("CTS_ERRNO", d.native["errno"])


def c_win32(d: Definition) -> str:
    """kits/c/cts_win32.inc: rows CTS_WIN32(code, status) for what GetLastError answers."""
    return _c_native("CTS_WIN32", d.native["win32"])


def cpp_stubs(d: Definition) -> str:
    """support/operations.h: a request builder for each operation."""
    parts = [
        f"// operations.h - a request for each operation of the peer protocol. {MADE}",
        "// clang-format off",
        "#ifndef CONFORMANCE_SUPPORT_OPERATIONS_H",
        "#define CONFORMANCE_SUPPORT_OPERATIONS_H",
        "",
        "#include <cstdint>",
        "#include <set>",
        "#include <string>",
        "#include <vector>",
        "",
        '#include "conformance/support/request.h"',
        "",
        "namespace cts {",
        "namespace op {",
    ]
    for o in d.protocol_operations:
        parts += ["", f"/// {o.name}: {o.doc}", f"struct {o.snake} : RequestOf<{o.snake}> {{"]
        parts += [f"  {o.snake}() : RequestOf({_c_string(o.name)}) {{}}"]
        parts += [
            _setter(o, key, "const std::string &", "", f"name for the {kind} it makes") for key, kind in o.makes.items()
        ]
        parts += [_setter(o, a.name, _CPP_TYPES[a.type], a.feature or "", a.doc) for a in o.args]
        parts += ["};"]
    parts += ["", "}  // namespace op", ""]
    parts += [
        "/// An operation of the peer protocol: the kinds of the handles that it makes, the features of its arguments."
    ]
    parts += ["struct Defined {", "  std::string name;", "  std::vector<std::string> makes;"]
    parts += ["  std::set<std::string> features;", "};"]
    parts += [
        "/// Every operation, in the order of the definition.",
        "inline const std::vector<Defined> &Definition() {",
    ]
    parts += ["  static const std::vector<Defined> operations = {"]
    for o in d.protocol_operations:
        makes = ", ".join(_c_string(kind) for kind in o.makes.values())
        features = ", ".join(_c_string(f) for f in sorted({a.feature for a in o.args if a.feature}))
        parts += [f"    {{{_c_string(o.name)}, {{{makes}}}, {{{features}}}}},"]
    parts += ["  };", "  return operations;", "}"]
    parts += ["", "}  // namespace cts", "", "#endif  // CONFORMANCE_SUPPORT_OPERATIONS_H", ""]
    return "\n".join(parts)


def cpp_requirements(requirements: List[Requirement]) -> str:
    """support/requirements.inc: the requirements as JSON, a string literal a line, which cts::Requirements reads.

    As initializers of C++ they took the compiler most of a minute.
    """
    rows = ["// Made by `cts spec generate` from spec/*.md: change those files, not this one.", "// clang-format off"]
    for r in requirements:
        row = {
            "id": r.id,
            "level": r.level,
            "shapes": [[axis, values] for axis, values in r.shapes.items()],
            "needs": r.needs,
            "fresh": r.fresh,
            "evidence": r.evidence,
            "outcomes": r.outcomes,
        }
        rows.append(f"{_c_string(json.dumps(row, ensure_ascii=True, separators=(',', ':')))},")
    return "\n".join(rows) + "\n"


def cpp_framing_vectors(lines: List[str]) -> str:
    """support/framing_vectors.inc: the lines of spec/vectors/framing.jsonl as string literals."""
    rows = ["// Made by `cts spec generate` from spec/vectors/framing.jsonl: change that file, not this one."]
    rows += ["// clang-format off", *[f"{_c_string(line)}," for line in lines]]
    return "\n".join(rows) + "\n"


def operations_page(d: Definition) -> str:
    """spec/operations.md: the reference page."""
    parts = [
        "# Operations",
        "",
        MADE,
        "",
        f"Protocol version {d.protocol['version']}; C ABI {d.abi['major']}.{d.abi['minor']}. "
        "`peer_protocol.md` and `abi.md` say how they are carried.",
        "",
        "## Statuses",
        "",
        "| status | C | meaning |",
        "|---|---|---|",
        *[f"| `{s.name}` | `{s.constant}` = {s.value} | {s.doc} |" for s in d.statuses],
        "",
        "## Features",
        "",
        "| feature | meaning |",
        "|---|---|",
        *[f"| `{name}` | {f['doc']} |" for name, f in d.features.items()],
        "",
        "## Traits",
        "",
        "| trait | meaning |",
        "|---|---|",
        *[f"| `{name}` | {doc} |" for name, doc in d.traits.items()],
        "",
        "## Operations",
    ]
    for o in d.operations:
        parts += ["", f"### `{o.name}`", "", o.doc, ""]
        if o.c is not None:
            parts += [f"C, slot {o.slot}: `ipc_status ipc_{o.snake}({o.c})`", ""]
        if "protocol" not in o.faces:
            parts += ["Exists in the C ABI alone."]
            continue
        rows = [f"| `on` | a {o.on} | {'which it consumes' if o.consumes else 'which it acts on'} |"] if o.on else []
        rows += [f"| `{k}` | new {kind} | name for it |" for k, kind in o.makes.items()]
        for a in o.args:
            what = a.type if not a.values else " \\| ".join(a.values)
            extra = (", optional" if a.optional else "") + (f", feature `{a.feature}`" if a.feature else "")
            rows.append(f"| `{a.name}` | {what}{extra} | {a.doc} |")
        rows += [f"| → `{r.name}` | {r.type}{', optional' if r.optional else ''} | {r.doc} |" for r in o.results]
        if rows:
            parts += ["| key | type | meaning |", "|---|---|---|", *rows]
    return "\n".join(parts) + "\n"


_LIMIT = 2**53 - 1
_JSON_TYPES: Dict[str, Dict[str, Any]] = {
    "bool": {"type": "boolean"},
    "u32": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    "u64": {"type": "integer", "minimum": 0, "maximum": _LIMIT},
    "i64": {"type": "integer", "minimum": -_LIMIT, "maximum": _LIMIT},
    "text": {"type": "string"},
    "bytes": {"$ref": "#/$defs/bytes"},
    "data": {"$ref": "#/$defs/data"},
    "raw": {"$ref": "#/$defs/raw"},
    "list_u32": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}},
    "list_u64": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": _LIMIT}},
    "list_text": {"type": "array", "items": {"type": "string"}},
}


def _json_type(f: Field) -> Dict[str, Any]:
    base = {"enum": list(f.values)} if f.type == "enum" else dict(_JSON_TYPES[f.type])
    return {**base, "description": f.doc}


def _request_schema(o: Operation, handle: str) -> Dict[str, Any]:
    properties: Dict[str, Any] = {
        "id": {"type": "integer", "minimum": 1, "maximum": _LIMIT},
        "op": {"const": o.name},
        "lane": {"type": "string", "pattern": handle},
        "watch": {"type": "boolean"},
    }
    required = ["id", "op"]
    for key in (["on"] if o.on else []) + list(o.makes):
        properties[key] = {"type": "string", "pattern": handle}
        required.append(key)
    for a in o.args:
        properties[a.name] = _json_type(a)
        if not a.optional:
            required.append(a.name)
    return {"title": o.name, "description": o.doc, "type": "object", "properties": properties, "required": required}


def protocol_schema(d: Definition) -> str:
    """spec/schema/peer_protocol.schema.json: a line of the channel, either way."""
    handle = f"^{d.protocol['handle_pattern']}$"
    reply = {
        "id": {"type": "integer", "minimum": 0, "maximum": _LIMIT},
        "status": {"enum": [s.name for s in d.statuses]},
        "error": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
        "why": {"type": "string"},
    }
    event = {
        "id": reply["id"],
        "event": {"const": "begun"},
        "tid": _JSON_TYPES["u64"],
        "repeats": {"type": "boolean"},
    }
    b64 = {
        "type": "object",
        "properties": {"b64": {"type": "string"}},
        "required": ["b64"],
        "additionalProperties": False,
    }
    raw = {"kind": {"enum": ["fd", "handle", "socket"]}, "value": {"type": "string", "pattern": "^[0-9]{1,20}$"}}
    pattern = {
        "seed": {"type": "integer", "minimum": 0, "maximum": 65520},
        "length": {"type": "integer", "minimum": 0, "maximum": 2**30},
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:ipc-cts:peer-protocol:1",
        "title": "A line of the IPC-CTS peer protocol",
        "description": MADE,
        "oneOf": [{"$ref": "#/$defs/request"}, {"$ref": "#/$defs/reply"}, {"$ref": "#/$defs/event"}],
        "$defs": {
            "bytes": {"oneOf": [{"type": "string"}, b64]},
            "data": {
                "oneOf": [
                    {"$ref": "#/$defs/bytes"},
                    {
                        "type": "object",
                        "properties": pattern,
                        "required": ["seed", "length"],
                        "additionalProperties": False,
                    },
                ]
            },
            "raw": {"type": "object", "properties": raw, "required": ["kind", "value"], "additionalProperties": False},
            "request": {"oneOf": [_request_schema(o, handle) for o in d.protocol_operations]},
            "reply": {"type": "object", "properties": reply, "required": ["id", "status"]},
            "event": {"type": "object", "properties": event, "required": ["id", "event", "tid"]},
            "results": {
                o.name: {
                    "type": "object",
                    "properties": {r.name: _json_type(r) for r in o.results},
                    "required": [r.name for r in o.results if not r.optional],
                }
                for o in d.protocol_operations
            },
        },
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def outputs(root: Path) -> Dict[Path, str]:
    """Every generated file below `root`, with its text."""
    d = definitions.load(root / "spec/operations.toml")
    made = {
        "spec/include/ipc/status.h": status_header(d),
        "spec/include/ipc/table.h": table_header(d),
        "spec/operations.md": operations_page(d),
        "docs/offers.md": offers.page(root, d),
        "spec/schema/peer_protocol.schema.json": protocol_schema(d),
        "ref/common/native_status.inc": errno_table(d),
        "ref/common/gates.inc": gates(d),
        "ref/common/slots.inc": slots(d),
        "conformance/abi/slots.inc": abi_slots(d),
        "conformance/kits/c/cts_operations.inc": c_operations(d),
        "conformance/kits/c/cts_errno.inc": c_errno(d),
        "conformance/kits/c/cts_win32.inc": c_win32(d),
        "conformance/support/operations.h": cpp_stubs(d),
        "conformance/support/framing_vectors.inc": cpp_framing_vectors(
            (root / "spec/vectors/framing.jsonl").read_text(encoding="utf-8").splitlines()
        ),
        "conformance/support/requirements.inc": cpp_requirements(requirements_of.load(root)),
    }
    for kit in KITS:
        made[f"conformance/kits/{kit}/operations.json"] = operations_json(d)
    return {root / path: text for path, text in made.items()}


def write(root: Path) -> List[Path]:
    """Write what is stale; returns the files that changed."""
    changed = []
    for path, text in outputs(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


def stale(root: Path) -> List[Path]:
    """The generated files that differ from what their source makes."""
    return [p for p, text in outputs(root).items() if not p.exists() or p.read_text(encoding="utf-8") != text]
