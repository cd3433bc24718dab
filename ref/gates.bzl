"""The feature gates of ci/bazel/flags, and every combination of gates that are on."""

GATES = [
    "signals",
    "async",
    "nonblocking",
]

GATE_COMBINATIONS = [
    [gate for gate, on in zip(GATES, (signals, asynchronous, nonblocking)) if on]
    for signals in (False, True)
    for asynchronous in (False, True)
    for nonblocking in (False, True)
]
