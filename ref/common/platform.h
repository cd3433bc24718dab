/* platform.h - what a platform must provide to the portable part of the reference, and the other way round.
 *
 * The portable part (ref/common/) includes no header of an operating system. It holds naming, framing and the table of
 * functions; everything that asks the system lives in the folders of the platforms, in files of the same names side by
 * side (ref/linux/, ref/darwin/, ref/windows/), and what all Unix systems share in ref/posix/, whose own contract with
 * its systems is ref/posix/system.h. A platform provides:
 *
 * 1. every function declared in ipc/local.h, ipc/stream.h, ipc/pipe.h, ipc/fifo.h and ipc/signal.h, under those names,
 * with the semantics said there;
 * 2. the constants and functions below, those of ref/common/monitor.h, and the clock of ref/common/deadline.h.
 *
 * A function that spec/operations.toml gives to other systems alone (`systems`) is absent, and its slot NULL. What else
 * a platform does not have it does not leave out: it answers IPC_UNSUPPORTED, and does not list the feature.
 */
#ifndef REF_COMMON_PLATFORM_H
#define REF_COMMON_PLATFORM_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The system this library was built for: IPC_OS_LINUX, IPC_OS_MACOS, ... Never IPC_OS_THIS. */
extern const uint32_t ipc_platform_os;

/* Features of the library on this platform, names from spec/operations.toml; ends in NULL. It begins with
 * IPC_COMMON_FEATURES (ref/common/features.h), those of the portable part. A feature behind a gate that is off is not
 * in it. */
extern const char *const ipc_platform_features[];

/* ipc_platform_status gives the status that the system's error number |native| (errno, Win32) stands for when nothing
 * more is known: the table of spec/operations.toml, IPC_FAILED for what is not in it. |native| travels along. It never
 * answers IPC_OK: it is asked about an error. */
ipc_status ipc_platform_status(uint32_t native);

/* ipc_stream_take_over says whether a handle of the portable part may own |stream| from now on, and if so takes it out
 * of nonblocking mode and says in |*out_nonblocking| whether it was in it: the new owner has a mode of its own. IPC_OK,
 * IPC_BUSY (a call on it is under way) or IPC_CLOSED. */
ipc_status ipc_stream_take_over(ipc_stream *stream, bool *out_nonblocking);

/* ipc_status_of is a status that the system had no part in. */
static inline ipc_status ipc_status_of(int32_t code) {
  ipc_status status = {code, 0};
  return status;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_COMMON_PLATFORM_H */
