/* socket.h - sockets that move whole messages: Unix domain datagrams and seqpacket connections.
 *
 * One send is one message, and one receive takes one. spec/datagram.md and spec/seqpacket.md hold the requirements.
 * Windows has none of them; other systems that lack one answer IPC_UNSUPPORTED.
 *
 * Sources: unix(7), recv(2); POSIX.1-2017 XSH 2.10.
 */
#ifndef IPC_SOCKET_H
#define IPC_SOCKET_H

#include "ipc/ancillary.h"
#include "ipc/base.h"
#include "ipc/local.h"
#include "ipc/name.h"
#include "ipc/unix.h"

#ifdef __cplusplus
extern "C" {
#endif

#ifndef _WIN32

/* ipc_socket_open makes a socket of |type|, IPC_UNIX_DATAGRAM or IPC_UNIX_SEQPACKET, that has no name and no peer.
 * IPC_OK, IPC_UNSUPPORTED (no such type here), IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_socket_open(uint32_t type, ipc_socket **out_socket);

/* ipc_socket_bind makes a datagram socket that receives what is sent to |name|; NULL lets the system choose a name that
 * is free. |options| may be NULL; `backlog` must be 0 and IPC_LISTEN_SAME_USER is IPC_UNSUPPORTED (nobody connects).
 * Names, files and statuses are those of ipc_local_listen; the file is removed at close if it is still the same. */
ipc_status ipc_socket_bind(const ipc_name *name, const ipc_local_listen_options *options, ipc_socket **out_socket);

/* ipc_socket_connect: a datagram socket sends to |name| from now on where no receiver is given, and receives from there
 * alone; it may be done again. A seqpacket socket connects, waiting at most |timeout_ms| while the backlog is full; who
 * shares its description sees its blocking mode and its SO_SNDTIMEO change meanwhile.
 *
 *   IPC_OK
 *   IPC_ALREADY_CONNECTED  seqpacket
 *   IPC_BUSY               seqpacket: another call connects this socket right now
 *   IPC_WOULD_BLOCK        nonblocking mode, and the backlog is full
 *   IPC_CANCELLED          closed while it waited
 *   IPC_CLOSED             closed before
 *   IPC_REFUSED            nobody has the name, or a socket of another type
 *   and every status of ipc_local_connect
 */
ipc_status ipc_socket_connect(ipc_socket *socket, const ipc_name *name, int64_t timeout_ms);

/* ipc_socket_native writes the address that the socket is bound to, as ipc_name_native writes it; length 0: it has
 * none. IPC_OK, IPC_MESSAGE_TRUNCATED (nothing written but |*out_len|), IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED.
 */
ipc_status ipc_socket_native(ipc_socket *socket, void *out_native, size_t native_max, size_t *out_len);

/* ipc_socket_send sends the bytes of |num_buffers| (at most 64) buffers as one message: whole, or not at all. |to| is
 * who receives it, NULL: where the socket is connected. |ancillary| (NULL: nothing) travels beside it. A datagram may
 * be empty; on seqpacket an empty message, which the receiver could not tell from the end, is IPC_UNENCODABLE.
 *
 * A send waits for the receiver's room. Who waits for readiness instead (nonblocking mode and ipc_socket_raw) learns of
 * it only on a socket that is connected to the receiver: for any other one the system calls it writable at once.
 *
 *   IPC_OK
 *   IPC_MESSAGE_TOO_LARGE  longer than the socket's buffer lets through at once
 *   IPC_NOT_CONNECTED      no receiver is given and none is set
 *   IPC_ALREADY_CONNECTED  a receiver is given for a seqpacket connection
 *   IPC_REFUSED            nobody has the receiver's name any more, or it is no socket of this type. A datagram socket
 *                          whose connected receiver has closed says so once (Linux), and is not connected any more
 *   IPC_NOT_FOUND, IPC_PERMISSION_DENIED   as ipc_local_connect; also: credentials that this process may not claim
 *   IPC_NO_SUCH_PROCESS    credentials of a process that does not exist
 *   IPC_BROKEN_PIPE        seqpacket: the other end is gone; a direction that was shut down
 *   IPC_RESET              seqpacket: the other end left with messages of ours unread (Linux says it once)
 *   IPC_UNENCODABLE        an empty message on seqpacket
 *   IPC_WOULD_BLOCK        nonblocking mode, and the receiver has no room
 *   IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED, IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_UNSUPPORTED,
 *   IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED
 */
ipc_status ipc_socket_send(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers, const ipc_name *to,
                           const ipc_ancillary *ancillary, int64_t timeout_ms);

#endif /* _WIN32 */

/* Flags of ipc_socket_receive. */
enum {
  IPC_RECEIVE_WHOLE = 1, /* a message that does not fit stays, and comes again */
};

/* Room for a native name of any system. */
#define IPC_NATIVE_MAX ((size_t)128)

/* What ipc_socket_receive tells of a message. Set `size`; the rest is set by the call. */
typedef struct ipc_received {
  uint32_t size;                      /* sizeof(ipc_received) */
  uint32_t reserved;                  /* 0 */
  size_t len;                         /* bytes put into the buffers */
  size_t needed;                      /* bytes of the whole message; 0 if the system does not tell */
  size_t from_len;                    /* bytes of `from`; 0: the sender has no name */
  unsigned char from[IPC_NATIVE_MAX]; /* the sender's native name */
} ipc_received;

#ifndef _WIN32

/* ipc_socket_receive takes the next message into |num_buffers| (at most 64) buffers, each filled before the next, and
 * what travels beside it to |ancillary| (NULL: closed and forgotten). An empty message is IPC_OK with length 0.
 *
 * A message that does not fit is IPC_MESSAGE_TRUNCATED. Without flags its front has been delivered; the rest, and what
 * travelled beside it, is lost: no status but IPC_OK leaves descriptors in |ancillary|. With IPC_RECEIVE_WHOLE nothing
 * is delivered, |needed| tells the room it takes, and it stays to be received; that costs one more system call. Another
 * process that receives from the same socket may take it in between.
 *
 * An empty seqpacket message of another program is IPC_OK with length 0 while the other end is there or more follows,
 * and is taken for the end behind which nothing comes.
 *
 *   IPC_OK
 *   IPC_END                seqpacket: the other end is gone, or has shut down its direction, and every message has been
 *                          received; a direction that was shut down here
 *   IPC_MESSAGE_TRUNCATED
 *   IPC_NOT_CONNECTED      seqpacket without a connection
 *   IPC_RESET              seqpacket: the other end left with messages of ours unread (Linux says it once, before the
 *                          messages that are still there)
 *   IPC_WOULD_BLOCK        nonblocking mode, and no message
 *   IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED, IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT, IPC_FAILED
 */
ipc_status ipc_socket_receive(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                              ipc_received *out_received, ipc_ancillary *ancillary, int64_t timeout_ms);

/* ipc_socket_next_length waits for a message and tells its length; it stays. Statuses as ipc_socket_receive, and
 * IPC_UNSUPPORTED where the system does not tell. */
ipc_status ipc_socket_next_length(ipc_socket *socket, int64_t timeout_ms, size_t *out_len);

/* ipc_socket_shutdown ends |directions| (IPC_SHUTDOWN_*), as ipc_stream_shutdown does. On a datagram socket it concerns
 * this socket alone. IPC_OK, IPC_NOT_CONNECTED, IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_socket_shutdown(ipc_socket *socket, uint32_t directions);

/* ipc_socket_peer_credentials is ipc_stream_peer_credentials for a seqpacket connection. IPC_NOT_CONNECTED without one;
 * IPC_UNSUPPORTED on a datagram socket, whose messages carry the sender's (ipc_socket_set_pass_credentials). */
ipc_status ipc_socket_peer_credentials(ipc_socket *socket, ipc_credentials *out_credentials);

/* ipc_socket_set_pass_credentials is ipc_stream_set_pass_credentials for messages. */
ipc_status ipc_socket_set_pass_credentials(ipc_socket *socket, bool pass);

/* ipc_socket_set_nonblocking makes sends and receives answer IPC_WOULD_BLOCK instead of waiting, or wait again; it is a
 * property of this handle alone. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. Absent without `nonblocking`. */
#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_socket_set_nonblocking(ipc_socket *socket, bool nonblocking);
#endif

/* The following are what their namesakes of ipc/stream.h are. ipc_socket_adopt takes a datagram or seqpacket socket of
 * the local family, connected or not, but none that listens. */
ipc_status ipc_socket_raw(ipc_socket *socket, ipc_raw *out_raw);
ipc_status ipc_socket_release(ipc_socket *socket, ipc_raw *out_raw);
ipc_status ipc_socket_adopt(const ipc_raw *raw, ipc_socket **out_socket);

/* ipc_socket_close ends calls under way as IPC_CANCELLED, returns after they have returned, removes the file that
 * ipc_socket_bind made if the name still leads to that very file, and closes. IPC_OK, IPC_CLOSED (it was before),
 * IPC_INVALID_ARGUMENT. */
ipc_status ipc_socket_close(ipc_socket *socket);

/* ipc_socket_free closes the socket if that has not been done, and releases its memory. No other call on it may be
 * under way. NULL is allowed. Always IPC_OK. */
ipc_status ipc_socket_free(ipc_socket *socket);

#endif /* _WIN32 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_SOCKET_H */
