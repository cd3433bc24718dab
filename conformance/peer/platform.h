/* platform.h - what the generic peer needs of a system: its main function, threads, loading a library, waiting for
 * readiness, closing a handle. Each system implements it in a file of its own (platform_posix.c, platform_windows.c).
 */
#ifndef CTS_PEER_PLATFORM_H
#define CTS_PEER_PLATFORM_H

#include <stdbool.h>

#include "ipc/ipc.h"

#if defined(_WIN32)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

typedef SRWLOCK platform_mutex;
typedef CONDITION_VARIABLE platform_condition;
typedef struct platform_wake {
  HANDLE event; /* NULL when not open */
} platform_wake;
#define PLATFORM_MUTEX_INIT SRWLOCK_INIT
#define PLATFORM_CONDITION_INIT CONDITION_VARIABLE_INIT
#define PLATFORM_WAKE_INIT {NULL}
#else
#include <pthread.h>

typedef pthread_mutex_t platform_mutex;
typedef pthread_cond_t platform_condition;
typedef struct platform_wake {
  int in; /* the two ends, or the same; -1 when not open */
  int out;
} platform_wake;
#define PLATFORM_MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define PLATFORM_CONDITION_INIT PTHREAD_COND_INITIALIZER
#define PLATFORM_WAKE_INIT {-1, -1}
#endif

/* peer_main is the program. The platform's main function calls it with the arguments in UTF-8 (Windows: WTF-8). */
int peer_main(int argc, char **argv);

void platform_mutex_init(platform_mutex *mutex);
void platform_mutex_destroy(platform_mutex *mutex);
void platform_lock(platform_mutex *mutex);
void platform_unlock(platform_mutex *mutex);

void platform_condition_init(platform_condition *condition);
void platform_condition_destroy(platform_condition *condition);
void platform_wait(platform_condition *condition, platform_mutex *mutex);
void platform_wake_one(platform_condition *condition);
void platform_wake_all(platform_condition *condition);

/* platform_start_thread starts a thread that calls |*body|, which must stay where it is, and in which no handler of a
 * signal runs; false if it cannot. */
typedef void (*platform_body)(void);
bool platform_start_thread(platform_body *body);

typedef const ipc_table *(*get_table_function)(uint32_t abi_major);

/* platform_load loads the shared library at |path| for the rest of the process's life and returns its `ipc_get_table`,
 * or NULL with a reason in |*out_why| (static, or valid until the next call). */
get_table_function platform_load(const char *path, const char **out_why);

/* A platform_wake is something to wait for that another thread, or a handler of a signal, sets. platform_wake_open
 * makes one that no child inherits; false, with nothing left open, if it cannot. */
bool platform_wake_open(platform_wake *wake);

/* platform_wake_set ends every wait on |wake|, now and from now on. It may be called by a signal handler. */
void platform_wake_set(const platform_wake *wake);

/* platform_wake_take waits until |wake| is set, and takes that back. */
void platform_wake_take(const platform_wake *wake);

/* platform_wake_close closes |wake|; one that is not open is left alone. */
void platform_wake_close(platform_wake *wake);

enum { WAIT_READABLE = 1, WAIT_WRITABLE = 2 };

/* True where the system tells no readiness: instead of waiting for it the peer asks the library again and again. */
extern const bool platform_asks_again;

/* platform_wait_ready waits until |raw| may be |direction|, or |wake| is set. It may return early: ask again. Not
 * called where platform_asks_again. */
void platform_wait_ready(const ipc_raw *raw, int direction, const platform_wake *wake);

/* platform_raw_kind_name and platform_raw_kind translate IPC_RAW_* to and from its name in the protocol ("fd",
 * "handle", "socket"). */
const char *platform_raw_kind_name(uint32_t kind);
uint32_t platform_raw_kind(const char *name);

/* platform_close_raw closes a system handle that this process owns. */
void platform_close_raw(const ipc_raw *raw);

#endif /* CTS_PEER_PLATFORM_H */
