/* named_pipe.h - named pipes of Windows, with what only they can do: messages, instances, transactions.
 *
 * A local socket (ipc/local.h) is a stream over a named pipe there, and the same on every system; this is the pipe
 * itself. Windows alone has it. spec/named_pipe.md holds the requirements.
 *
 * Names are those of a local socket: IPC_NAME_NAMESPACED, or IPC_NAME_NATIVE (`\\.\pipe\` and the name).
 *
 * Sources: Microsoft, "Named Pipes" (CreateNamedPipe, "Named Pipe Type, Read, and Wait Modes", "Named Pipe Instances",
 * TransactNamedPipe, PeekNamedPipe, FlushFileBuffers, DisconnectNamedPipe).
 */
#ifndef IPC_NAMED_PIPE_H
#define IPC_NAMED_PIPE_H

#include "ipc/base.h"
#include "ipc/local.h"
#include "ipc/name.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One end of a connection. Made by ipc_listener_accept_named_pipe (the server's end), ipc_named_pipe_connect (the
 * client's) and ipc_named_pipe_adopt. */
typedef struct ipc_named_pipe ipc_named_pipe;

/* What a pipe is made of: bytes, or messages, each written by one write. */
enum { IPC_NAMED_PIPE_BYTES = 1, IPC_NAMED_PIPE_MESSAGES = 2 };

/* Directions, seen from the server. */
enum {
  IPC_NAMED_PIPE_INBOUND = 1,  /* the client writes, the server reads */
  IPC_NAMED_PIPE_OUTBOUND = 2, /* the server writes, the client reads */
  IPC_NAMED_PIPE_DUPLEX = 3,
};

/* Flags of ipc_named_pipe_options. */
enum {
  IPC_NAMED_PIPE_SHARE_NAME = 1,    /* others may have instances of the name; without it nobody else has */
  IPC_NAMED_PIPE_SAME_USER = 2,     /* processes of this user may connect, and nobody else */
  IPC_NAMED_PIPE_REMOTE = 4,        /* clients of other machines may connect */
  IPC_NAMED_PIPE_WRITE_THROUGH = 8, /* a write waits until the bytes have crossed the network: remote clients alone */
};

/* Options of ipc_named_pipe_listen. Zero-initialise, set `size`, then what is wanted: 0 is the default of each. */
typedef struct ipc_named_pipe_options {
  uint32_t size;          /* sizeof(ipc_named_pipe_options): newer fields are appended */
  uint32_t flags;         /* IPC_NAMED_PIPE_SHARE_NAME, ... */
  uint32_t type;          /* IPC_NAMED_PIPE_BYTES (default) or IPC_NAMED_PIPE_MESSAGES */
  uint32_t read_mode;     /* of the server's end: what it reads, bytes or messages (default: the type) */
  uint32_t direction;     /* IPC_NAMED_PIPE_DUPLEX is the default */
  uint32_t instances_max; /* connections at a time, 1 to 254; 0: no limit. Equal for all who share a name */
  uint32_t in_size;       /* bytes that should wait for the server without its reading: a hint; 0: 65536 */
  uint32_t out_size;      /* bytes that should wait for the client: a hint; 0: 65536 */
  uint32_t wait_ms;       /* how long clients wait that do not say (WaitNamedPipe): 0: 50 */
  uint32_t backlog;       /* instances that wait for clients: a hint; 0 is the library's choice */
} ipc_named_pipe_options;

/* Options of ipc_named_pipe_connect. */
typedef struct ipc_named_pipe_access {
  uint32_t size;      /* sizeof(ipc_named_pipe_access) */
  uint32_t flags;     /* IPC_NAMED_PIPE_WRITE_THROUGH or 0 */
  uint32_t direction; /* what the client does, as seen from the server; 0: IPC_NAMED_PIPE_DUPLEX */
  uint32_t read_mode; /* of the client's end; 0: IPC_NAMED_PIPE_BYTES, as the system begins */
} ipc_named_pipe_access;

/* Flags of ipc_named_pipe_read and ipc_named_pipe_transact. */
enum { IPC_NAMED_PIPE_WHOLE = 1 /* a message that does not fit is not begun: it stays, and comes again */ };

/* Flags of ipc_named_pipe_disconnect. */
enum { IPC_NAMED_PIPE_FLUSH = 1 /* wait first until the client has read everything */ };

/* What an end is. Set `size`; the rest is set by ipc_named_pipe_info. */
typedef struct ipc_named_pipe_information {
  uint32_t size;          /* sizeof(ipc_named_pipe_information) */
  uint32_t server;        /* 1: the server's end */
  uint32_t type;          /* IPC_NAMED_PIPE_BYTES or IPC_NAMED_PIPE_MESSAGES */
  uint32_t read_mode;     /* likewise */
  uint32_t instances_max; /* 0: no limit */
  uint32_t num_instances; /* that the name has now, waiting ones included; 0: an end that only writes may not ask */
  uint32_t in_size;       /* as asked for; the system may hold more or less */
  uint32_t out_size;
} ipc_named_pipe_information;

/* Who is at the other end. */
typedef struct ipc_named_pipe_process {
  uint32_t size;    /* sizeof(ipc_named_pipe_process) */
  uint32_t session; /* Remote Desktop session of the process */
  uint64_t pid;     /* process id */
} ipc_named_pipe_process;

#ifdef _WIN32

/* ipc_named_pipe_listen makes a pipe |name| and waits for clients. |options| may be NULL. The listener is used with the
 * functions of ipc/local.h; its connections are taken with ipc_listener_accept_named_pipe. Clients connect from the
 * moment it returns, as many at a time as there are instances.
 *
 *   IPC_OK
 *   IPC_IN_USE             somebody has an instance of the name and either of the two does not share it
 *   IPC_PERMISSION_DENIED  the owner of the name does not let this user add instances, or its pipe differs in type,
 *                          direction or limit
 *   IPC_BUSY               as many instances as the limit are there
 *   IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_UNSUPPORTED   as ipc_name_native; IPC_UNSUPPORTED also for a path
 *   IPC_INVALID_ARGUMENT   a NULL pointer, an unknown value, messages read from a pipe of bytes, a limit above 254, a
 *                          `size` of another layout
 *   IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_named_pipe_listen(const ipc_name *name, const ipc_named_pipe_options *options,
                                 ipc_listener **out_listener);

/* ipc_listener_accept_named_pipe is ipc_listener_accept for a listener of ipc_named_pipe_listen. Each of the two
 * answers IPC_UNSUPPORTED, without taking a connection, on a listener of the other kind. While every instance is
 * connected it waits, until one is closed. */
ipc_status ipc_listener_accept_named_pipe(ipc_listener *listener, int64_t timeout_ms, ipc_named_pipe **out_pipe);

/* ipc_named_pipe_connect connects to |name|, waiting at most |timeout_ms| while every instance is taken. |access| may
 * be NULL. The server may learn who this is, but not act for it (SECURITY_IDENTIFICATION).
 *
 *   IPC_OK
 *   IPC_NOT_FOUND          nobody has the name
 *   IPC_BUSY               every instance is taken, and |timeout_ms| is 0
 *   IPC_TIMED_OUT          every instance stayed taken
 *   IPC_PERMISSION_DENIED  the server does not let this user connect, or not in that direction
 *   IPC_INVALID_ARGUMENT   a NULL pointer, an unknown value, messages to be read from a pipe of bytes
 *   IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_UNSUPPORTED, IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_named_pipe_connect(const ipc_name *name, const ipc_named_pipe_access *access, int64_t timeout_ms,
                                  ipc_named_pipe **out_pipe);

/* ipc_named_pipe_wait waits until an instance of |name| is free, at most |timeout_ms|; it may be taken again before
 * anything connects. IPC_OK, IPC_NOT_FOUND (nobody has the name), IPC_TIMED_OUT, and the others of
 * ipc_named_pipe_connect. */
ipc_status ipc_named_pipe_wait(const ipc_name *name, int64_t timeout_ms);

/* ipc_named_pipe_read reads, waiting at most |timeout_ms|. Reading bytes it is ipc_stream_read. Reading messages it
 * takes one: IPC_OK with its length, 0 if it is empty; or, if |data_max| is less, its front and IPC_MESSAGE_TRUNCATED
 * with |*out_left| bytes that the next read goes on with. With IPC_NAMED_PIPE_WHOLE nothing is taken then, and
 * |*out_left| is the length of the message. |*out_left| is 0 otherwise; |out_left| may be NULL.
 *
 *   IPC_OK
 *   IPC_MESSAGE_TRUNCATED
 *   IPC_END                the other end is closed and everything has been read, or the server has disconnected
 *   IPC_UNSUPPORTED        this end only writes
 *   IPC_WOULD_BLOCK, IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED   as ipc_stream_read
 *   IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_named_pipe_read(ipc_named_pipe *pipe, uint32_t flags, void *out_data, size_t data_max,
                               int64_t timeout_ms, size_t *out_len, size_t *out_left);

/* ipc_named_pipe_write writes. Into a pipe of bytes it is ipc_stream_write. Into a pipe of messages it writes one,
 * which is taken whole or not at all; an empty one is a message, too.
 *
 *   IPC_OK
 *   IPC_BROKEN_PIPE        the other end is gone
 *   IPC_MESSAGE_TOO_LARGE  longer than the system takes as one
 *   IPC_UNSUPPORTED        this end only reads
 *   IPC_WOULD_BLOCK, IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED   as ipc_stream_write
 *   IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_named_pipe_write(ipc_named_pipe *pipe, const void *data, size_t data_len, int64_t timeout_ms,
                                size_t *out_len);

/* ipc_named_pipe_transact writes a message and reads the one that answers it, as one operation of the system; an end
 * that reads messages, of both directions, with none waiting to be read. Results and statuses as ipc_named_pipe_read;
 * IPC_BUSY: something waits to be read; IPC_BROKEN_PIPE; IPC_UNSUPPORTED: this end reads bytes, or has one direction.
 * After IPC_TIMED_OUT and IPC_CANCELLED the message may have been written, and its answer may come. Nonblocking mode
 * does not matter here. */
ipc_status ipc_named_pipe_transact(ipc_named_pipe *pipe, const void *data, size_t data_len, void *out_answer,
                                   size_t answer_max, int64_t timeout_ms, size_t *out_len, size_t *out_left);

/* ipc_named_pipe_peek copies what waits to be read, at most |data_max| bytes and of messages only the first, and leaves
 * it there; it does not wait. |*out_available| is all that waits, in every message; |*out_message_left| what the first
 * message has behind the bytes copied, 0 when reading bytes. IPC_OK (|*out_len| 0: nothing waits, or an empty message),
 * IPC_END, IPC_CLOSED, IPC_UNSUPPORTED (this end only writes), IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_named_pipe_peek(ipc_named_pipe *pipe, void *out_data, size_t data_max, size_t *out_len,
                               size_t *out_available, size_t *out_message_left);

/* ipc_named_pipe_flush waits, at most |timeout_ms|, until the other end has read everything.
 * IPC_OK, IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED, IPC_BROKEN_PIPE (it is gone), IPC_UNSUPPORTED (this end only
 * reads), IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_named_pipe_flush(ipc_named_pipe *pipe, int64_t timeout_ms);

/* ipc_named_pipe_disconnect ends the connection at the server's end, which is good for nothing but to be closed then.
 * What the client has not read is lost, unless IPC_NAMED_PIPE_FLUSH waits for that first, at most |timeout_ms|; if it
 * is not read by then nothing is done. The client reads the end; its writes are IPC_BROKEN_PIPE. Calls under way here
 * end as IPC_CANCELLED.
 * IPC_OK, IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED (or it was done before), IPC_UNSUPPORTED (the client's end),
 * IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_named_pipe_disconnect(ipc_named_pipe *pipe, uint32_t flags, int64_t timeout_ms);

/* ipc_named_pipe_peer tells which process is at the other end: at the server's end the one that connected, at the
 * client's the one that made the pipe. Set |out_process->size|. IPC_OK, IPC_CLOSED, IPC_NOT_CONNECTED (disconnected),
 * IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_named_pipe_peer(ipc_named_pipe *pipe, ipc_named_pipe_process *out_process);

/* ipc_named_pipe_info tells what this end is. Set |out_information->size|. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT,
 * IPC_FAILED. */
ipc_status ipc_named_pipe_info(ipc_named_pipe *pipe, ipc_named_pipe_information *out_information);

/* ipc_named_pipe_set_read_mode says whether this end reads bytes or messages from now on. Of a message that was begun,
 * the rest counts. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT (messages from a pipe of bytes; an unknown mode),
 * IPC_UNSUPPORTED (this end only writes), IPC_FAILED. */
ipc_status ipc_named_pipe_set_read_mode(ipc_named_pipe *pipe, uint32_t read_mode);

/* ipc_named_pipe_duplicate makes another handle of this end in the process |pid| and writes its value there: that
 * process owns it. The connection lasts until every handle of an end is closed.
 * IPC_OK, IPC_NO_SUCH_PROCESS, IPC_PERMISSION_DENIED, IPC_CLOSED, IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_named_pipe_duplicate(ipc_named_pipe *pipe, uint64_t pid, ipc_raw *out_raw);

/* ipc_named_pipe_set_nonblocking makes reads and writes answer IPC_WOULD_BLOCK instead of waiting, or wait again; it is
 * a property of this handle alone, and not PIPE_NOWAIT. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. Absent without
 * `nonblocking`. */
#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_named_pipe_set_nonblocking(ipc_named_pipe *pipe, bool nonblocking);
#endif

/* The following are what their namesakes of ipc/stream.h are. ipc_named_pipe_adopt takes a connected end of a named
 * pipe, of bytes or messages, whatever its read mode. Where instances are limited, the instance of a server's end that
 * was closed serves another client as soon as its own has read everything or is gone. */
ipc_status ipc_named_pipe_raw(ipc_named_pipe *pipe, ipc_raw *out_raw);
ipc_status ipc_named_pipe_release(ipc_named_pipe *pipe, ipc_raw *out_raw);
ipc_status ipc_named_pipe_adopt(const ipc_raw *raw, ipc_named_pipe **out_pipe);
ipc_status ipc_named_pipe_close(ipc_named_pipe *pipe);
ipc_status ipc_named_pipe_free(ipc_named_pipe *pipe);

#endif /* _WIN32 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_NAMED_PIPE_H */
