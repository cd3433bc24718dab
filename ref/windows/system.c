/* system.c - what this platform is, and can do. */
#include "ref/common/features.h"
#include "ref/common/platform.h"

const uint32_t ipc_platform_os = IPC_OS_WINDOWS;

const char *const ipc_platform_features[] = {
    IPC_COMMON_FEATURES,
    "lanes",
    "close_while_in_use",
#ifndef IPC_WITHOUT_NONBLOCKING
    "wait",
#endif
    "name.namespaced",
    "local.listen.backlog",
    "local.listen.same_user",
    "local.connect.timeout",
    "listener.accept.timeout",
    "stream.read.timeout",
    "stream.write.timeout",
    "stream.duplex",
    "stream.read.concurrent",
    "stream.peer_credentials.pid",
    "pipe.inherit",
    "pipe.capacity",
    "named_pipe.messages",
    "named_pipe.same_user",
    "named_pipe.connect.timeout",
    "named_pipe.read.timeout",
    "named_pipe.write.timeout",
    NULL,
};
