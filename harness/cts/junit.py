"""JUnit XML of a run: a suite for each pairing, a test case for each case and shape."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any, Dict, List

from cts import results
from cts.common import printable

# What XML 1.0 cannot hold, not even as a reference; printable() has dealt with the controls, this with the rest.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED = ("not_applicable", "unavailable", "unverifiable", "expected_failure")


def text(value: Any) -> str:
    """A text that XML can hold, whatever a peer said."""
    return _NOT_XML.sub(lambda m: f"\\u{ord(m.group()):04x}", printable(value, lines=True))


def _case(suite: ET.Element, record: Dict[str, Any]) -> None:
    family, _, rule = record["case"].partition(".")
    shape = f" [{record['shape']}]" if record["shape"] else ""
    element = ET.SubElement(suite, "testcase")
    element.set("classname", text(f"{record.get('pairing', '')}.{family}"))
    element.set("name", text(rule + shape))
    element.set("time", f"{record['duration_ms'] / 1000:.3f}")
    outcome = record["outcome"]
    why = record.get("expected") or record["message"]
    if results.gates(record):
        child = ET.SubElement(element, "failure", type=outcome, message=text(record["message"] or outcome))
        child.text = text(f"{outcome}: {record['message']}\nblame: {record['blame'] or 'unknown'}")
    elif outcome in _SKIPPED:
        ET.SubElement(element, "skipped", message=text(f"{outcome}: {why}" if why else outcome))
    elif outcome != "passed":  # reported, not gated: a SHOULD, or no evidence for this system
        child = ET.SubElement(element, "skipped", message=text(f"{outcome}, which does not gate: {record['message']}"))


def _gate(root: ET.Element, run: Dict[str, Any]) -> None:
    """A suite of what is wrong with the run as a whole, so that no consumer of the XML misses it."""
    wrong: List[str] = [f"could not run: {e}" for e in run.get("errors", [])]
    wrong += [f"expectation of {u['case']} in {u['file']}: {u['why']}" for u in run["unmatched_expectations"]]
    wrong += [f"{s['implementation']} ({s['mode']}) offers less than before" for s in run["offers_shrunk"]]
    if results.suspicious(run["canary"]):
        wrong.append(f"the canary cases came out as {run['canary']}: the suite cannot be trusted")
    suite = ET.SubElement(root, "testsuite", name="run", tests=str(max(1, len(wrong))), failures=str(len(wrong)))
    for sentence in wrong:
        element = ET.SubElement(suite, "testcase", classname="run", name=text(sentence)[:200])
        ET.SubElement(element, "failure", message=text(sentence)).text = text(sentence)
    if not wrong:
        ET.SubElement(suite, "testcase", classname="run", name="canaries, expectations and offers")
    for peer in run["peers"]:
        if not peer["available"]:
            element = ET.SubElement(suite, "testcase", classname="run", name=text(f"peer {peer['name']}"))
            ET.SubElement(element, "skipped", message=text(f"unavailable: {peer['why']}"))


def render(document: Dict[str, Any]) -> bytes:
    """The XML for a results.json document."""
    root = ET.Element("testsuites", name="IPC-CTS")
    by_pairing: Dict[str, List[Dict[str, Any]]] = {}
    for record in document["results"]:
        by_pairing.setdefault(record.get("pairing", ""), []).append(record)
    for pairing, records in by_pairing.items():
        suite = ET.SubElement(root, "testsuite", name=text(pairing), tests=str(len(records)))
        suite.set("failures", str(sum(1 for r in records if results.gates(r))))
        suite.set("time", f"{sum(r['duration_ms'] for r in records) / 1000:.3f}")
        for record in records:
            _case(suite, record)
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    _gate(root, document["run"])
    ET.indent(root)
    return ET.tostring(root, encoding="utf-8", xml_declaration=True)
