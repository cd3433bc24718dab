"""A cc_toolchain for macOS or FreeBSD: the cross compiler of ci/zig."""
load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path")

_COMPILE = [ACTION_NAMES.c_compile, ACTION_NAMES.cpp_compile]
_LINK = [ACTION_NAMES.cpp_link_executable, ACTION_NAMES.cpp_link_dynamic_library, ACTION_NAMES.cpp_link_nodeps_dynamic_library]

def _impl(ctx):
    # Without a level of optimisation it would put checks of undefined behaviour in, which a library made by it must not need.
    target = ["-target", ctx.attr.target, "-fno-sanitize=undefined"]
    # What it says of the JSON library, which is older than that.
    quiet = ["-Wno-deprecated-literal-operator"]
    features = [
        feature(name = "supports_pic", enabled = True),
        feature(
            name = "zig_compile",
            enabled = True,
            flag_sets = [flag_set(actions = _COMPILE, flag_groups = [flag_group(flags = target + ["-no-canonical-prefixes"] + quiet)])],
        ),
        feature(
            name = "zig_link",
            enabled = True,
            flag_sets = [flag_set(actions = _LINK, flag_groups = [flag_group(flags = target + ["-lc++"])])],
        ),
    ]
    tools = {"gcc": "cc", "cpp": "cc", "ar": "ar"}
    unused = {name: "/bin/false" for name in ["ld", "nm", "objdump", "strip", "gcov"]}
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "zig-" + ctx.attr.target,
        host_system_name = "local",
        target_system_name = ctx.attr.target,
        target_cpu = ctx.attr.target,
        target_libc = "zig",
        compiler = "zig-clang",
        abi_version = "zig",
        abi_libc_version = "zig",
        features = features,
        tool_paths = [tool_path(name = name, path = path) for name, path in dict(tools, **unused).items()],
        # It finds its own headers, which lie in its environment, wherever that is.
        cxx_builtin_include_directories = ["/"],
    )

zig_config = rule(
    implementation = _impl,
    attrs = {"target": attr.string(mandatory = True)},
    provides = [CcToolchainConfigInfo],
)
