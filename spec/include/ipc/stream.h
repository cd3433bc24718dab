/* stream.h - byte streams: read, write, split, credentials, raw handles, close.
 *
 * One type for every primitive that moves bytes without message boundaries. Which call a stream supports depends on
 * what it was made from; a call it does not support is IPC_UNSUPPORTED, never a silent success.
 */
#ifndef IPC_STREAM_H
#define IPC_STREAM_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ipc_stream_read reads at least one and at most |data_max| bytes to |out_data|, waiting at most |timeout_ms| for the
 * first. |*out_len| says how many. It never waits for more once it has some. |data_max| 0 reads nothing: IPC_OK with
 * length 0, whatever the state of the stream.
 *
 *   IPC_OK
 *   IPC_END                the writer is gone and everything it wrote has been read; every further read says so again
 *   IPC_RESET              the other end left with bytes of ours unread (Linux says it once, then IPC_END; other
 *                          systems say IPC_END at once)
 *   IPC_WOULD_BLOCK        nonblocking mode, and nothing to read
 *   IPC_TIMED_OUT
 *   IPC_CANCELLED          closed while it waited; nothing was consumed
 *   IPC_CLOSED             closed before
 *   IPC_UNSUPPORTED        the writing half of a split stream, the writing end of a pipe
 *   IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_stream_read(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms, size_t *out_len);

/* ipc_stream_write writes |data_len| bytes and returns when the system has taken all of them; |*out_len| says how many
 * it took, whatever the status, and those are never taken back. In nonblocking mode it takes what there is room for:
 * IPC_OK with a length of at least 1, or IPC_WOULD_BLOCK with length 0. |data_len| 0 writes nothing and is IPC_OK.
 * The process is never ended by SIGPIPE.
 *
 *   IPC_OK
 *   IPC_BROKEN_PIPE        the reader is gone; |*out_len| bytes were taken before that showed
 *   IPC_RESET              as IPC_BROKEN_PIPE, on systems that tell the two apart here
 *   IPC_WOULD_BLOCK        nonblocking mode, and no room
 *   IPC_TIMED_OUT          |*out_len| bytes were taken
 *   IPC_CANCELLED          closed while it waited; |*out_len| bytes were taken
 *   IPC_CLOSED             closed before
 *   IPC_UNSUPPORTED        the reading half of a split stream, the reading end of a pipe
 *   IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_stream_write(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms, size_t *out_len);

/* ipc_stream_read_vectored is ipc_stream_read into |num_buffers| (at most 64) buffers, each filled before the next is
 * begun. More buffers than 64 are IPC_INVALID_ARGUMENT. */
ipc_status ipc_stream_read_vectored(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers,
                                    int64_t timeout_ms, size_t *out_len);

/* ipc_stream_write_vectored is ipc_stream_write from |num_buffers| (at most 64) buffers in order. More buffers than 64
 * are IPC_INVALID_ARGUMENT. */
ipc_status ipc_stream_write_vectored(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers,
                                     int64_t timeout_ms, size_t *out_len);

/* ipc_stream_flush hands to the system what the library still holds back; it does not wait for the reader. A library
 * that holds nothing back has nothing to do. IPC_OK, IPC_CLOSED, IPC_UNSUPPORTED (nothing to write to),
 * IPC_INVALID_ARGUMENT, or as ipc_stream_write. */
ipc_status ipc_stream_flush(ipc_stream *stream);

/* ipc_stream_split makes a reading half and a writing half of |stream|, which is closed by it (free it). Each half can
 * be used and closed by a thread of its own; the connection ends when both are closed, not before. A half refuses the
 * other direction with IPC_UNSUPPORTED. Calls under way on |stream| make it IPC_BUSY and nothing happens.
 * IPC_OK, IPC_BUSY, IPC_CLOSED, IPC_OUT_OF_RESOURCES, IPC_UNSUPPORTED (one direction already), IPC_INVALID_ARGUMENT. */
ipc_status ipc_stream_split(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer);

/* ipc_stream_peer_credentials writes who the other end was when the connection was made: at the accepting end the
 * process that connected, at the connecting end the process that called listen. It stays what it was when that
 * process has ended, and may be asked before the first byte is read. Source: unix(7), SO_PEERCRED.
 * IPC_OK, IPC_CLOSED, IPC_UNSUPPORTED, IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_stream_peer_credentials(ipc_stream *stream, ipc_credentials *out_credentials);

/* ipc_stream_set_nonblocking makes reads and writes answer IPC_WOULD_BLOCK instead of waiting, or wait again. It is a
 * property of this handle alone: the other half, and a descriptor shared with others, are not changed. Calls under way
 * keep what they began with. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. Absent without `nonblocking`. */
#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_stream_set_nonblocking(ipc_stream *stream, bool nonblocking);
#endif

/* ipc_stream_raw lends the system's handle: for waiting on it and for options. It stays the stream's.
 * IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_stream_raw(ipc_stream *stream, ipc_raw *out_raw);

/* ipc_stream_release gives the system's handle away: the caller owns it and the stream is closed without touching it.
 * Calls under way end as IPC_CANCELLED first. IPC_OK, IPC_CLOSED, IPC_UNSUPPORTED (a half: the handle is not its own),
 * IPC_INVALID_ARGUMENT. */
ipc_status ipc_stream_release(ipc_stream *stream, ipc_raw *out_raw);

/* ipc_stream_adopt makes a stream of a connected local socket, or of one end of a pipe or FIFO. On IPC_OK the stream
 * owns the handle; otherwise it stays the caller's, untouched. O_NONBLOCK on it is neither needed nor changed.
 * On Windows it is either end of a named or unnamed pipe, not in PIPE_NOWAIT mode. One that was opened without
 * FILE_FLAG_OVERLAPPED, as standard streams are, does one thing at a time: its two directions wait for each other.
 *
 *   IPC_OK
 *   IPC_INVALID_ARGUMENT   a NULL pointer, a kind of another system, no open descriptor, no stream socket of the local
 *                          family, one that is not connected, or a FIFO opened for both directions
 *   IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_stream_adopt(const ipc_raw *raw, ipc_stream **out_stream);

/* ipc_stream_close ends calls under way as IPC_CANCELLED, returns after they have returned, and closes. Bytes that a
 * write has taken stay readable for the other end, however soon after it the close comes. It does not wait for them to
 * be read. A descriptor shared with another process or given out by ipc_stream_raw loses neither a direction nor its
 * blocking mode. IPC_OK, IPC_CLOSED (it was before), IPC_INVALID_ARGUMENT. */
ipc_status ipc_stream_close(ipc_stream *stream);

/* ipc_stream_free closes the stream if that has not been done, and releases its memory. No other call on it may be
 * under way. NULL is allowed. Always IPC_OK. */
ipc_status ipc_stream_free(ipc_stream *stream);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_STREAM_H */
