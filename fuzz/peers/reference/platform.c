/* platform.c - what the portable files of the reference want of a platform, where they are built without one. */
#include "ref/common/platform.h"

#ifdef _WIN32
const uint32_t ipc_platform_os = IPC_OS_WINDOWS;
#else
const uint32_t ipc_platform_os = IPC_OS_LINUX;
#endif
