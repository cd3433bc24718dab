"""Fuzz targets: what a file of this folder becomes."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

_COPTS = [
    "-Wall",
    "-Wextra",
    "-pedantic-errors",
]

def fuzz_target(name, srcs = [], deps = [], systems = [], data = [], env = {}):
    """The target NAME of NAME.cc: NAME for a fuzzer, and the test NAME_replay, which needs none.

    NAME links libFuzzer and is built with --config=fuzz alone. NAME_replay runs corpus/NAME and regressions/NAME.

    Args:
      name: of the target, its file, and its folders below corpus/ and regressions/.
      srcs: files besides NAME.cc.
      deps: what they need.
      systems: target_compatible_with of all.
      data: what NAME_replay needs besides the inputs.
      env: variables of NAME_replay.
    """
    cc_library(
        name = name + "_target",
        testonly = True,
        srcs = [name + ".cc", "input.h"] + srcs,
        copts = _COPTS,
        tags = ["manual"],
        deps = deps,
        linkstatic = True,
        alwayslink = True,
    )
    cc_binary(
        name = name,
        testonly = True,
        linkopts = ["-fsanitize=fuzzer"],
        tags = ["manual"],
        target_compatible_with = systems,
        deps = [name + "_target"],
    )
    findings = native.glob(["regressions/%s/*" % name], allow_empty = True)
    folders = ["corpus"] + (["regressions"] if findings else [])
    cc_test(
        name = name + "_replay",
        size = "small",
        srcs = ["replay_main.cc", "input.h"],
        args = ["fuzz/%s/%s" % (folder, name) for folder in folders],
        copts = _COPTS,
        data = native.glob(["corpus/%s/*" % name]) + findings + data,
        env = env,
        target_compatible_with = systems,
        deps = [name + "_target"],
    )
