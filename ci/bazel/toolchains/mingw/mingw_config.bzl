"""A cc_toolchain for Debian's mingw-w64 (posix threads)."""
load("@rules_cc//cc:action_names.bzl", "ACTION_NAMES")
load("@rules_cc//cc:cc_toolchain_config_lib.bzl", "artifact_name_pattern", "feature", "flag_group", "flag_set", "tool_path")

_LINK = [ACTION_NAMES.cpp_link_executable, ACTION_NAMES.cpp_link_dynamic_library, ACTION_NAMES.cpp_link_nodeps_dynamic_library]
_T = "/usr/bin/x86_64-w64-mingw32-"

def _impl(ctx):
    tools = {"gcc": "gcc-posix", "cpp": "cpp-posix", "ld": "ld", "ar": "ar", "nm": "nm", "objdump": "objdump", "strip": "strip", "gcov": "gcov-posix"}
    features = [
        feature(name = "targets_windows", enabled = True),
        feature(name = "copy_dynamic_libraries_to_binary", enabled = True),
        feature(name = "supports_interface_shared_libraries", enabled = False),
        feature(name = "static_link_cpp_runtimes", enabled = False),
        feature(
            name = "mingw_link",
            enabled = True,
            flag_sets = [flag_set(actions = _LINK, flag_groups = [flag_group(flags = ["-static", "-lstdc++"])])],
        ),
        feature(
            name = "mingw_compile",
            enabled = True,
            flag_sets = [flag_set(
                actions = [ACTION_NAMES.c_compile, ACTION_NAMES.cpp_compile],
                flag_groups = [flag_group(flags = ["-D_WIN32_WINNT=0x0A00", "-fno-ident", "-no-canonical-prefixes"])],
            )],
        ),
    ]
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "mingw-w64",
        host_system_name = "local",
        target_system_name = "x86_64-w64-mingw32",
        target_cpu = "x64_windows",
        target_libc = "mingw",
        compiler = "mingw-gcc",
        abi_version = "gcc",
        abi_libc_version = "mingw",
        features = features,
        tool_paths = [tool_path(name = k, path = _T + v) for k, v in tools.items()],
        cxx_builtin_include_directories = ["/usr/lib/gcc/x86_64-w64-mingw32", "/usr/x86_64-w64-mingw32/include", "/usr/share/mingw-w64/include"],
        artifact_name_patterns = [
            artifact_name_pattern(category_name = "executable", prefix = "", extension = ".exe"),
            artifact_name_pattern(category_name = "dynamic_library", prefix = "", extension = ".dll"),
        ],
    )

mingw_config = rule(implementation = _impl, provides = [CcToolchainConfigInfo])
