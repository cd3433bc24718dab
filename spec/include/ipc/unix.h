/* unix.h - what Unix domain sockets can do beyond local sockets: other types of connections, names chosen by the
 * system, ending one direction.
 *
 * A Unix domain stream is the stream of a local socket (ipc/local.h), and ipc_local_connect connects to it. Names with
 * a NUL in them, which only the abstract namespace of Linux knows, are given as IPC_NAME_NATIVE. spec/unix_stream.md,
 * spec/seqpacket.md and spec/abstract.md hold the requirements. Windows has none of them; other systems that lack one
 * answer IPC_UNSUPPORTED.
 *
 * Sources: unix(7); POSIX.1-2017 XSH 2.10.
 */
#ifndef IPC_UNIX_H
#define IPC_UNIX_H

#include "ipc/base.h"
#include "ipc/local.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Types of Unix domain sockets. */
enum {
  IPC_UNIX_STREAM = 1,    /* bytes without boundaries */
  IPC_UNIX_DATAGRAM = 2,  /* messages, without a connection */
  IPC_UNIX_SEQPACKET = 3, /* messages over a connection */
};

#ifndef _WIN32

/* ipc_unix_listen is ipc_local_listen with a type, IPC_UNIX_STREAM or IPC_UNIX_SEQPACKET. A |name| of NULL lets the
 * system choose one that is free (Linux: an abstract one of five hexadecimal digits); ipc_listener_native tells it.
 *
 *   IPC_UNSUPPORTED   also: the system has no such type, or cannot choose a name
 *   and every status of ipc_local_listen
 */
ipc_status ipc_unix_listen(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                           ipc_listener **out_listener);

/* ipc_listener_accept_socket is ipc_listener_accept for a listener of IPC_UNIX_SEQPACKET. Each of the two answers
 * IPC_UNSUPPORTED, without taking a connection, on a listener of the other's type. Statuses as ipc_listener_accept. */
ipc_status ipc_listener_accept_socket(ipc_listener *listener, int64_t timeout_ms, ipc_socket **out_socket);

/* ipc_stream_shutdown ends |directions| (IPC_SHUTDOWN_*) of the connection, for every handle and process that shares
 * it. After IPC_SHUTDOWN_WRITE the other end reads what was written, then the end, and can go on writing; writes here
 * are IPC_BROKEN_PIPE. After IPC_SHUTDOWN_READ reads here give what has come already, then IPC_END, and writes of the
 * other end are IPC_BROKEN_PIPE. Calls under way notice it; a write that waits for room, when both directions are
 * ended, and else as soon as there is room: before that poll(2) says nothing of it on Linux. Doing it again is IPC_OK.
 *
 *   IPC_OK
 *   IPC_NOT_CONNECTED      the other end is gone, on systems that mind (macOS, FreeBSD)
 *   IPC_UNSUPPORTED        a pipe or FIFO; a half of a split stream and a direction that is not its own
 *   IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED
 */
ipc_status ipc_stream_shutdown(ipc_stream *stream, uint32_t directions);

#endif /* _WIN32 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_UNIX_H */
