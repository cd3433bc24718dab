/* local.h - local sockets: listen, connect, accept.
 *
 * The same stream between two processes of one machine on every system: Unix domain sockets where there are any, named
 * pipes on Windows. What only some systems can do (half close, descriptors, datagrams) is not here but under the
 * header of that primitive. spec/local_socket.md holds the requirements.
 */
#ifndef IPC_LOCAL_H
#define IPC_LOCAL_H

#include "ipc/base.h"
#include "ipc/name.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of ipc_local_listen_options. */
enum {
  IPC_LISTEN_RECLAIM = 1,   /* take over a path whose listener is gone */
  IPC_LISTEN_MODE = 2,      /* `mode` is meant: give the file these permission bits, whatever the umask */
  IPC_LISTEN_KEEP_NAME = 4, /* leave the file behind at close: the program removes it */
  IPC_LISTEN_SAME_USER = 8, /* let processes of this user connect, and nobody else */
};

/* Options of ipc_local_listen. Zero-initialise, set `size`, then what is wanted. */
typedef struct ipc_local_listen_options {
  uint32_t size;    /* sizeof(ipc_local_listen_options): newer fields are appended */
  uint32_t flags;   /* IPC_LISTEN_* */
  uint32_t mode;    /* permission bits, at most 0777, with IPC_LISTEN_MODE */
  uint32_t backlog; /* connections that may wait for accept: a hint; 0 is the library's choice */
} ipc_local_listen_options;

/* ipc_local_listen binds |name| and listens. |options| may be NULL. On success |*out_listener| is the caller's: close
 * and free it. The descriptor is not inherited by children.
 *
 * Connections succeed from the moment it returns, before any accept. A file it makes is removed by
 * ipc_listener_close, but only if it is still the same file. With IPC_LISTEN_MODE nobody can connect before the bits
 * are set.
 *
 * With IPC_LISTEN_SAME_USER the file has at most the bits 0700 before anybody can connect, and accept takes only
 * connections whose peer, as the system vouches, has the effective user id of the process that listens: others are
 * closed without a word and never come to the program, root included. On names without a file that check stands alone.
 * `mode` beside it gives the file those of its bits that are within 0700; without `mode` it gets 0700. A system that
 * cannot tell who connects answers IPC_UNSUPPORTED.
 *
 * IPC_LISTEN_KEEP_NAME on a name without a file leaves nothing behind: there is nothing.
 *
 * A path with a symbolic link in it that somebody else could change, who is neither this user nor root, is
 * IPC_PERMISSION_DENIED, here and wherever the library makes or removes a file: a link that belongs to somebody else,
 * or that stands in a directory that belongs to somebody else or that group or others may write to without its sticky
 * bit.
 *
 * With IPC_LISTEN_RECLAIM a socket file that no process listens on any more is replaced. A live name, and anything
 * that is not a socket, is left exactly as it is; two processes that reclaim one name at once end with one listener.
 *
 *   IPC_OK
 *   IPC_IN_USE             a live holder has the name; without reclaim also a socket file left behind
 *   IPC_ALREADY_EXISTS     something that is no socket has the name
 *   IPC_BUSY               another process reclaims in the same directory right now, or holds a flock on it: try again
 *   IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_UNSUPPORTED   as ipc_name_native; IPC_UNSUPPORTED also for IPC_LISTEN_MODE
 *                          on a name without a file (bits that protect nothing must not be promised)
 *   IPC_NOT_FOUND          the directory does not exist
 *   IPC_PERMISSION_DENIED  the directory may not be written to, or the file system holds no sockets
 *   IPC_OUT_OF_RESOURCES   descriptors, memory or disk space
 *   IPC_INVALID_ARGUMENT   a NULL pointer, an unknown flag, bits beyond 0777, a `size` of another layout
 *   IPC_FAILED             an error without a class
 */
ipc_status ipc_local_listen(const ipc_name *name, const ipc_local_listen_options *options, ipc_listener **out_listener);

/* ipc_local_connect connects to |name|, waiting at most |timeout_ms| while the listener's backlog is full.
 *
 *   IPC_OK
 *   IPC_NOT_FOUND          nothing has that path or pipe name
 *   IPC_REFUSED            nobody listens: a file left behind, or something that is no listening stream socket, or, in
 *                          the abstract namespace, nothing there
 *   IPC_TIMED_OUT          the backlog stayed full for |timeout_ms|
 *   IPC_BUSY               the backlog is full and the system cannot wait for it
 *   IPC_PERMISSION_DENIED  the file or a directory above forbids it
 *   IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_UNSUPPORTED   as ipc_name_native
 *   IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED
 */
ipc_status ipc_local_connect(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream);

/* ipc_listener_accept takes the next connection, waiting at most |timeout_ms| for one. A client that connected and
 * left again is a connection like any other: its stream reads what it wrote, then the end. The stream waits
 * (it is not in nonblocking mode), whatever the listener's mode, and its descriptor is not inherited.
 *
 *   IPC_OK
 *   IPC_WOULD_BLOCK        nonblocking mode, and nobody waits
 *   IPC_TIMED_OUT
 *   IPC_CANCELLED          closed while it waited
 *   IPC_CLOSED             closed before
 *   IPC_OUT_OF_RESOURCES   descriptors or memory: the connection stays queued
 *   IPC_INVALID_ARGUMENT, IPC_FAILED
 */
ipc_status ipc_listener_accept(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream);

/* ipc_listener_native writes the address the system has for the listener, as ipc_name_native writes it.
 * IPC_OK, IPC_MESSAGE_TRUNCATED (nothing written but |*out_len|), IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_listener_native(ipc_listener *listener, void *out_native, size_t native_max, size_t *out_len);

/* ipc_listener_set_nonblocking makes accept answer IPC_WOULD_BLOCK instead of waiting, or wait again. It is a property
 * of this handle alone: a descriptor shared with others is not changed. Calls under way keep what they began with.
 * IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. Absent when the library is built without `nonblocking`. */
#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_listener_set_nonblocking(ipc_listener *listener, bool nonblocking);
#endif

/* ipc_listener_raw lends the system's handle: for waiting on it and for options. It stays the listener's.
 * IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_listener_raw(ipc_listener *listener, ipc_raw *out_raw);

/* ipc_listener_release gives the system's handle away: the caller owns it, the listener is closed without touching it,
 * and its file stays. Calls under way end as IPC_CANCELLED first. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_listener_release(ipc_listener *listener, ipc_raw *out_raw);

/* ipc_listener_adopt makes a listener of a handle that listens on a local socket, of streams or of seqpackets
 * (ipc/unix.h; socket activation). On IPC_OK the
 * listener owns it; otherwise it stays the caller's, untouched. Its name is never removed by the library.
 *
 *   IPC_OK
 *   IPC_INVALID_ARGUMENT   a NULL pointer, a kind of another system, no open descriptor, no listening socket of the
 *                          local family
 *   IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_listener_adopt(const ipc_raw *raw, ipc_listener **out_listener);

/* ipc_listener_close ends accepts under way as IPC_CANCELLED and returns after they have returned; stops listening;
 * removes the file that ipc_local_listen made if the name still leads to that very file. Accepted streams go on;
 * connections never accepted end for their clients. On Windows the name is free once the accepted streams are closed,
 * too. IPC_OK, IPC_CLOSED (it was before), IPC_INVALID_ARGUMENT. */
ipc_status ipc_listener_close(ipc_listener *listener);

/* ipc_listener_free closes the listener if that has not been done, and releases its memory. No other call on it may be
 * under way. NULL is allowed. Always IPC_OK. */
ipc_status ipc_listener_free(ipc_listener *listener);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_LOCAL_H */
