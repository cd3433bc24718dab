"""Stands in for the runner in tests of the harness: takes plans, filters and shards, writes records and traces.

FAKE_BEHAVIOUR names a JSON file: {"cases": [ids], "state": directory, "ID": {...}}. What a case may say:
`alone` (of one process); `outcome`, `message`, `blame`; `shapes`; `claims` (the shape its record has instead);
`only` (pairing in which this holds), `otherwise` (the outcome elsewhere); `passes_at` (run number from which it
passes); `crash` (signal, in the first `crash_times` runs); `silent` (no record); `torn` (text that it writes to its
records and trace before); `wait_for` (file whose appearance it waits for, having made `started`); `hello` (its trace
shows that the server answered hello); `answer` (keys of the reply in its trace; null: there is none), in the first
`answers_times` runs alone; `child` (leaves a process behind, whose pid it writes there).
"""

import fnmatch
import json
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path


def option(name, default=""):
    return next((a.partition("=")[2] for a in sys.argv if a.startswith(f"--{name}=")), default)


def bump(state, name):
    """How often this was called with the name, counted over processes."""
    with open(Path(state) / zlib.crc32(name.encode("utf-8", "replace")).to_bytes(4, "big").hex(), "a") as file:
        file.write("x")
        return file.tell()


def write(path, value):
    with open(path, "a") as file:
        file.write(json.dumps(value) + "\n")


def trace(plan, pairing, case, shape, seq, hello, answer):
    request = {
        "id": seq,
        "op": "local.listen",
        "as": "l",
        "kind": "path",
        "name": f"{plan['work_dir']}/cts-{plan['run_id']}-1",
    }
    common = {"t_us": 1, "pairing": pairing, "case": case, "shape": shape, "role": "server", "pid": 7}
    if hello:
        write(plan["trace"], {"seq": seq, **common, "kind": "end", "reply": {"id": 0, "implementation": "fake"}})
    write(plan["trace"], {"seq": seq, **common, "kind": "begin", "request": request})
    if answer is not None:
        reply = {"id": seq, "status": "ok", "native": request["name"], **answer}
        write(plan["trace"], {"seq": seq + 1, **common, "kind": "end", "reply": reply})


def run_case(plan, test, does, state, seq):
    server, client = plan["server"], plan["client"]
    pairing = f"{server['name']}:{server['mode']}>{client['name']}:{client['mode']}"
    number = bump(state, f"{test}-{pairing}")
    applies = does.get("only", pairing) == pairing
    case, _, shape = test.partition("/")
    print(f"[ RUN      ] {test}", flush=True)
    if "child" in does:
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        Path(does["child"]).write_text(str(child.pid))
    if "started" in does:
        Path(does["started"]).touch()
    while "wait_for" in does and not Path(does["wait_for"]).exists():
        time.sleep(0.01)
    for file in ("records", "trace") if "torn" in does else ():
        with open(plan[file], "a") as torn:
            torn.write(does["torn"])
    if "crash" in does and applies and number <= does.get("crash_times", 1000):
        os.kill(os.getpid(), does["crash"])
        time.sleep(60)
    outcome = does.get("outcome", "passed") if applies else does.get("otherwise", "passed")
    if number >= does.get("passes_at", 1 << 30):
        outcome = "passed"
    shape = does.get("claims", shape)
    answer = does.get("answer", {}) if applies and number <= does.get("answers_times", 1000) else {}
    trace(plan, pairing, case, shape, seq, does.get("hello", False), answer)
    record = {
        "case": case,
        "requirement": does.get("requirement", "MUST"),
        "shape": shape,
        "os": plan["os"],
        "server": server["name"],
        "client": client["name"],
        "server_mode": server["mode"],
        "client_mode": client["mode"],
        "outcome": outcome,
        "proof": "thread",
        "blame": does.get("blame", "") if outcome != "passed" else "",
        "duration_ms": 1,
        "message": does.get("message", "") if outcome != "passed" else "",
        "operations": 2,
        "gates": does.get("gates", True),
    }
    if plan["shuffle"]:
        record["reordered"] = plan["slow"]  # what the plan says can be seen
    if does.get("alone"):
        for role in ("server", "client"):
            del record[role], record[role + "_mode"]
        record.update(peer=server["name"], mode=server["mode"])
    if not does.get("silent"):
        write(plan["records"], record)
    print(f"[       OK ] {test} (1 ms)", flush=True)
    return outcome in ("passed", "not_applicable")


def main():
    behaviour = json.loads(Path(os.environ["FAKE_BEHAVIOUR"]).read_text())
    plan = json.loads(Path(option("cts_plan")).read_text())
    alone = (plan["server"]["name"], plan["server"]["mode"]) == (plan["client"]["name"], plan["client"]["mode"])
    wanted, _, unwanted = option("gtest_filter", "*").partition("-")
    globs, not_these = (wanted or "*").split(":"), unwanted.split(":")
    tests = []
    for case in behaviour["cases"]:
        does = behaviour.get(case, {})
        if alone or not does.get("alone"):
            tests += [f"{case}/{shape}" if shape else case for shape in does.get("shapes", [""])]

    def matches(test, patterns):
        return any(fnmatch.fnmatchcase(test, g.replace("[", "[[]")) for g in patterns)

    tests = [t for t in tests if matches(t, globs) and not matches(t, not_these)]
    if "--gtest_list_tests" in sys.argv:
        for test in tests:
            print("{}.\n  {}".format(*test.split(".", 1)))
        return 0
    if behaviour.get("refuse"):
        print("the plan is not usable: \x1b[31m" + behaviour["refuse"], file=sys.stderr)
        return 2
    total, index = int(os.environ.get("GTEST_TOTAL_SHARDS", 1)), int(os.environ.get("GTEST_SHARD_INDEX", 0))
    good = True
    for number, test in enumerate(tests):
        if number % total == index:
            good = (
                run_case(plan, test, behaviour.get(test.partition("/")[0], {}), behaviour["state"], 10 * number + 1)
                and good
            )
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
