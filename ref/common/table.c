/* table.c - the table of functions: the one symbol a host asks for. */
#include "ipc/ipc.h"
#include "ref/common/platform.h"

/* No trait: closing a listener removes its file, a write waits for room, nothing is accepted ahead of the program. */
static const char *const ipc_traits[] = {NULL};

static const ipc_table ipc_ref_table = {
    .size = sizeof(ipc_table),
    .abi_major = IPC_ABI_MAJOR,
    .abi_minor = IPC_ABI_MINOR,
    .implementation = "ipc-ref",
    .version = "0.1.0",
    .features = ipc_platform_features,
    .traits = ipc_traits,
#include "ref/common/slots.inc"
};

const ipc_table *ipc_get_table(uint32_t abi_major) { return abi_major == IPC_ABI_MAJOR ? &ipc_ref_table : NULL; }
