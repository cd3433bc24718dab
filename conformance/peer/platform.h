/* platform.h - what the generic peer needs of a system: loading a library, waiting for readiness, closing a handle.
 * Each system implements it in a file of its own (platform_posix.c). */
#ifndef CTS_PEER_PLATFORM_H
#define CTS_PEER_PLATFORM_H

#include <stdbool.h>

#include "ipc/ipc.h"

typedef const ipc_table *(*get_table_function)(uint32_t abi_major);

/* platform_load loads the shared library at |path| for the rest of the process's life and returns its `ipc_get_table`,
 * or NULL with a reason in |*out_why| (static, or valid until the next call). */
get_table_function platform_load(const char *path, const char **out_why);

/* Something that ends a wait for readiness. `in` and `out` are the two ends, or the same; -1 when not open. */
typedef struct platform_wake {
  int in;
  int out;
} platform_wake;

/* platform_wake_open makes a wake that no child inherits; false, with nothing left open, if it cannot. */
bool platform_wake_open(platform_wake *wake);

/* platform_wake_set ends every wait on |wake|, now and from now on. It may be called by a signal handler. */
void platform_wake_set(const platform_wake *wake);

/* platform_wake_take waits until |wake| is set, and takes that back. */
void platform_wake_take(const platform_wake *wake);

/* platform_wake_close closes |wake|; one that is not open is left alone. */
void platform_wake_close(platform_wake *wake);

enum { WAIT_READABLE = 1, WAIT_WRITABLE = 2 };

/* platform_wait_ready waits until |raw| may be |direction|, or |wake| is set. It may return early: ask again. */
void platform_wait_ready(const ipc_raw *raw, int direction, const platform_wake *wake);

/* platform_raw_kind_name and platform_raw_kind translate IPC_RAW_* to and from its name in the protocol ("fd",
 * "handle", "socket"). */
const char *platform_raw_kind_name(uint32_t kind);
uint32_t platform_raw_kind(const char *name);

/* platform_close_raw closes a system handle that this process owns. */
void platform_close_raw(const ipc_raw *raw);

#endif /* CTS_PEER_PLATFORM_H */
