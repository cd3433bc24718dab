/* fifo.h - FIFO files: pipes that processes find by a path.
 *
 * Paths are bytes without a NUL. spec/fifo.md holds the requirements. A system without FIFO files answers
 * IPC_UNSUPPORTED.
 */
#ifndef IPC_FIFO_H
#define IPC_FIFO_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which end ipc_fifo_open opens. */
enum { IPC_FIFO_READ = 1, IPC_FIFO_WRITE = 2 };

/* Flags of ipc_fifo_open. */
enum {
  IPC_FIFO_NO_WAIT = 1, /* do not wait for the other side */
};

#ifndef _WIN32

/* ipc_fifo_create makes a FIFO file at |path| with exactly the permission bits |mode| (at most 0777), whatever the
 * umask; until they are set it has fewer, never more. What exists already is left as it is.
 *
 *   IPC_OK
 *   IPC_ALREADY_EXISTS     something has that path: a FIFO, a link that leads nowhere, anything
 *   IPC_INVALID_NAME       an empty path, or one with a NUL
 *   IPC_NAME_TOO_LONG      longer than the system allows
 *   IPC_NOT_FOUND          the directory does not exist
 *   IPC_PERMISSION_DENIED  the directory may not be written to, or the file system holds no FIFO files
 *   IPC_OUT_OF_RESOURCES   disk space
 *   IPC_INVALID_ARGUMENT   a NULL path, bits beyond 0777
 *   IPC_UNSUPPORTED, IPC_FAILED
 */
ipc_status ipc_fifo_create(const void *path, size_t path_len, uint32_t mode);

/* ipc_fifo_open opens one end of the FIFO at |path| and waits at most |timeout_ms| until some process has the other
 * end open, or opens it. Links are followed. On success |*out_stream| is a stream of one direction, as the ends of an
 * unnamed pipe are (ipc/pipe.h); its descriptor is not inherited. That descriptor is nonblocking, also where
 * ipc_stream_raw lends it, until ipc_stream_release gives it away.
 *
 * While it waits it counts as an opener: the other side's open ends its wait and its own. There is no handle yet that
 * another thread could close to end the wait; that is what |timeout_ms| is for.
 *
 * With IPC_FIFO_NO_WAIT the reading end is opened at once, whoever is there, and the writing end only if there is a
 * reader. A reader that had no writer yet has not come to an end: reads wait for one (or answer IPC_WOULD_BLOCK,
 * IPC_TIMED_OUT). IPC_END comes when the last writer has left, until a new one opens, which revives the same reader.
 *
 *   IPC_OK
 *   IPC_WOULD_BLOCK        IPC_FIFO_NO_WAIT, writing: there is no reader
 *   IPC_TIMED_OUT          nobody opened the other end; the caller no longer counts as an opener
 *   IPC_REFUSED            what is there is no FIFO; it was not opened
 *   IPC_NOT_FOUND          nothing is there
 *   IPC_PERMISSION_DENIED  the file or a directory above forbids it
 *   IPC_INVALID_NAME, IPC_NAME_TOO_LONG   as ipc_fifo_create
 *   IPC_OUT_OF_RESOURCES   descriptors, memory or threads
 *   IPC_UNSUPPORTED        a timeout that would have to wait, and the system cannot end such a wait
 *   IPC_INVALID_ARGUMENT, IPC_FAILED
 */
ipc_status ipc_fifo_open(const void *path, size_t path_len, uint32_t direction, uint32_t flags, int64_t timeout_ms,
                         ipc_stream **out_stream);

/* ipc_fifo_remove removes the FIFO file at |path|; who has it open goes on. A link is not followed, and what is no FIFO
 * stays. Only a process that puts something else there in the moment between the look and the removal loses that.
 *
 *   IPC_OK
 *   IPC_REFUSED            what is there is no FIFO (a link to one is none)
 *   IPC_BUSY               the system uses it (something is mounted there)
 *   IPC_NOT_FOUND, IPC_PERMISSION_DENIED, IPC_INVALID_NAME, IPC_NAME_TOO_LONG, IPC_INVALID_ARGUMENT, IPC_UNSUPPORTED,
 *   IPC_FAILED
 */
ipc_status ipc_fifo_remove(const void *path, size_t path_len);

#endif /* _WIN32 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_FIFO_H */
