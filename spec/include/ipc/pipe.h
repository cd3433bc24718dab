/* pipe.h - unnamed pipes: a stream of bytes in one direction, for threads and for children that inherit an end.
 *
 * spec/unnamed_pipe.md holds the requirements.
 */
#ifndef IPC_PIPE_H
#define IPC_PIPE_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of ipc_pipe_options. */
enum {
  IPC_PIPE_INHERIT_READER = 1, /* a child process inherits the reading end */
  IPC_PIPE_INHERIT_WRITER = 2, /* a child process inherits the writing end */
};

/* Options of ipc_pipe_create. Zero-initialise, set `size`, then what is wanted. */
typedef struct ipc_pipe_options {
  uint32_t size;     /* sizeof(ipc_pipe_options): newer fields are appended */
  uint32_t flags;    /* IPC_PIPE_* */
  uint64_t capacity; /* bytes it should hold without a reader: a hint; 0 is the system's choice */
} ipc_pipe_options;

/* ipc_pipe_create makes a pipe. |options| may be NULL. On success both ends are the caller's: close and free them.
 *
 * The ends are streams (ipc/stream.h) of one direction: the reading end answers a write, a flush and the writing end a
 * read with IPC_UNSUPPORTED, and both answer ipc_stream_split and ipc_stream_peer_credentials so. Everything else
 * works on them as on any stream, ipc_stream_release and ipc_stream_adopt included. A read is IPC_END when every
 * writing end is closed, those that children inherited too, and everything written has been read; a write is
 * IPC_BROKEN_PIPE when no reading end is left. The process is never ended by SIGPIPE, whatever its disposition.
 *
 * A write of at most PIPE_BUF bytes (POSIX: at least 512; Linux: 4096) is never mixed with the bytes of other writers,
 * and in nonblocking mode is taken whole or not at all.
 *
 * An end that is not inheritable is so from the moment it exists. The descriptors are blocking ones, as programs expect
 * that get one as their standard input or output; no call of this library waits in them.
 *
 *   IPC_OK
 *   IPC_OUT_OF_RESOURCES   descriptors or memory; nothing is left open
 *   IPC_INVALID_ARGUMENT   a NULL or the same out pointer twice, an unknown flag, a `size` of another layout
 *   IPC_UNSUPPORTED        the system has no unnamed pipes
 *   IPC_FAILED
 */
ipc_status ipc_pipe_create(const ipc_pipe_options *options, ipc_stream **out_reader, ipc_stream **out_writer);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_PIPE_H */
