/* base.h - what every part of the IPC-CTS C ABI shares: handles, raw handles, buffers, timeouts.
 *
 * Rules for every function of the ABI, so that the other headers need not repeat them:
 *
 * - It returns an `ipc_status` (ipc/status.h): `code` decides, `native` (errno or the Win32 code, 0 if the system was
 *   not asked or did not complain) is for people.
 * - Results come through `out_` parameters. On a status other than IPC_OK a handle result is NULL and a length result
 *   says what was transferred before (0 if nothing). A NULL `out_` parameter, a NULL handle or an unknown enum value is
 *   IPC_INVALID_ARGUMENT, and nothing is done.
 * - What a function lists is what it decides. Each that asks the system anything may also answer that the system
 *   forbids it (a sandbox: IPC_PERMISSION_DENIED), or was short of something (IPC_OUT_OF_RESOURCES). No function
 *   answers that a signal handler interrupted it, except where it says IPC_INTERRUPTED.
 * - `_len` counts bytes given or produced, `_max` bytes of room, `num_` elements; times are milliseconds.
 * - Memory passed in is the caller's and is not kept after the call returns.
 * - Handles may be used from any thread. One stream may be read by one thread and written by another at the same time;
 *   two readers (or two writers) at once are allowed and get the bytes in an unspecified share.
 * - A handle's life: made by a call that returns IPC_OK; `_close` ends it for the system and ends calls under way on
 *   it with IPC_CANCELLED, after which every call on it is IPC_CLOSED; `_free` releases its memory. So a thread that
 *   is about to use a handle while another closes it gets an answer; only `_free` needs to be the last call.
 * - A handle belongs to the process that made it. A child of fork(2) that goes on without exec may only `_free` handles
 *   on which no call was under way when it was made: that releases its own copies and removes no file.
 * - No call leaves a descriptor that a child process inherits unless it was asked to.
 * - No call raises SIGPIPE or changes the umask or the working directory; none but those of ipc/signal.h changes a
 *   signal disposition.
 */
#ifndef IPC_BASE_H
#define IPC_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A listening endpoint: takes connections. Made by ipc_local_listen and ipc_listener_adopt. */
typedef struct ipc_listener ipc_listener;

/* A byte stream, or one direction of it. Made by ipc_local_connect, ipc_listener_accept, ipc_pipe_create,
 * ipc_fifo_open, ipc_stream_split and ipc_stream_adopt. */
typedef struct ipc_stream ipc_stream;

/* A socket that moves whole messages: datagrams, or a seqpacket connection. Made by ipc_socket_open, ipc_socket_bind,
 * ipc_listener_accept_socket and ipc_socket_adopt. */
typedef struct ipc_socket ipc_socket;

/* `timeout_ms` that never expires. 0 is a timeout that expires at once: what cannot complete immediately is
 * IPC_TIMED_OUT. Values below -1 are IPC_INVALID_ARGUMENT. A handle in nonblocking mode does not wait at all: there a
 * call answers IPC_WOULD_BLOCK, whatever the timeout. */
#define IPC_NO_TIMEOUT ((int64_t)-1)

/* The system that a name is for. IPC_OS_THIS is the one the library runs on. */
enum { IPC_OS_THIS = 0, IPC_OS_LINUX = 1, IPC_OS_MACOS = 2, IPC_OS_FREEBSD = 3, IPC_OS_WINDOWS = 4 };

/* Directions of a shutdown. */
enum { IPC_SHUTDOWN_READ = 1, IPC_SHUTDOWN_WRITE = 2, IPC_SHUTDOWN_BOTH = 3 };

/* What kind of system handle an `ipc_raw` holds: a Unix descriptor, a Windows HANDLE, a Windows SOCKET. Descriptors of
 * a C run-time library never cross this boundary. */
enum { IPC_RAW_FD = 1, IPC_RAW_HANDLE = 2, IPC_RAW_SOCKET = 3 };

/* A system handle as a number. */
typedef struct ipc_raw {
  uint32_t kind;  /* IPC_RAW_* */
  uint64_t value; /* the descriptor, HANDLE or SOCKET, zero-extended */
} ipc_raw;

/* Room for bytes that a vectored read fills. */
typedef struct ipc_buffer {
  void *data; /* may be NULL if len is 0 */
  size_t len; /* bytes of room */
} ipc_buffer;

/* Bytes that a vectored write takes. */
typedef struct ipc_const_buffer {
  const void *data; /* may be NULL if len is 0 */
  size_t len;       /* bytes */
} ipc_const_buffer;

/* What ipc_credentials.fields says is known, or meant. */
enum { IPC_CREDENTIALS_PID = 1, IPC_CREDENTIALS_UID = 2, IPC_CREDENTIALS_GID = 4 };

/* Who a process is. */
typedef struct ipc_credentials {
  uint32_t fields; /* IPC_CREDENTIALS_*: which of the following are known */
  uint32_t uid;    /* effective user id */
  uint32_t gid;    /* effective group id */
  uint64_t pid;    /* process id, as this process sees it */
} ipc_credentials;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_BASE_H */
