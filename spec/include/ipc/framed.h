/* framed.h - frames over a stream: whole messages in, whole messages out.
 *
 * A framed stream owns a stream (ipc/stream.h) and a codec (ipc/framing.h). It takes as many frames from the system in
 * one call as are there, and gives the system as many as it is handed. spec/framing.md holds the requirements.
 */
#ifndef IPC_FRAMED_H
#define IPC_FRAMED_H

#include "ipc/base.h"
#include "ipc/framing.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A stream of frames. One thread may read while another writes; two readers, or two writers, take turns. */
typedef struct ipc_framed ipc_framed;

/* ipc_framed_open makes a framed stream of |stream|, which may be of one direction alone. On IPC_OK it owns the stream:
 * no call on that is allowed any more but through the framed stream. The stream's nonblocking mode goes along.
 *
 *   IPC_OK
 *   IPC_BUSY               a call on the stream is under way
 *   IPC_CLOSED             the stream was closed before
 *   IPC_INVALID_ARGUMENT   a NULL pointer, or a codec that ipc_framing_decode would refuse
 *   IPC_OUT_OF_RESOURCES
 */
ipc_status ipc_framed_open(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed);

/* ipc_framed_write writes a frame around each of |num_bodies| (at most 64) bodies, in order, with one system call where
 * the stream has room, or a few if many of them are long. No bodies are a flush. |*out_num| says how many it took, whatever the status: those arrive whole, and the others not at
 * all. If the call ends in the middle of a frame, that counts as taken; the library keeps the rest of it, and the next
 * write or ipc_framed_flush sends that first.
 *
 *   IPC_OK                 all of them; in nonblocking mode at least one
 *   IPC_MESSAGE_TOO_LARGE, IPC_UNENCODABLE   the body behind those taken, found before its first byte
 *   IPC_OUT_OF_RESOURCES   also: no memory for the rest of a frame; |*out_num| is right, and the stream is broken
 *   and every status of ipc_stream_write
 */
ipc_status ipc_framed_write(ipc_framed *framed, const ipc_const_buffer *bodies, size_t num_bodies, int64_t timeout_ms,
                            size_t *out_num);

/* ipc_framed_flush sends the rest of a frame that a write has taken. IPC_OK: nothing is left. Else as
 * ipc_stream_write. */
ipc_status ipc_framed_flush(ipc_framed *framed, int64_t timeout_ms);

/* ipc_framed_read takes the next frame's body, at most |body_max| bytes, and its length to |*out_len|. It asks the
 * system only if no whole frame is at hand, and waits at most |timeout_ms|; bytes of a frame that is not complete stay.
 *
 *   IPC_OK                 an empty body is length 0
 *   IPC_MESSAGE_TRUNCATED  with |*out_len| above |body_max|: the body does not fit; it stays, and |*out_len| is its
 *                          length. With |*out_len| 0: the stream ended inside a frame, now or since an earlier call
 *   IPC_END                the stream ended between two frames; a FIFO may go on after it
 *   IPC_MESSAGE_TOO_LARGE, IPC_MALFORMED     the stream is broken, now or since an earlier call
 *   and every other status of ipc_stream_read
 */
ipc_status ipc_framed_read(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms, size_t *out_len);

/* ipc_framed_set_nonblocking makes reads and writes answer IPC_WOULD_BLOCK instead of waiting, or wait again.
 * Calls under way keep what they began with. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. Absent without `nonblocking`. */
#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_framed_set_nonblocking(ipc_framed *framed, bool nonblocking);
#endif

/* ipc_framed_raw lends the system's handle. A frame may be at hand although it is not readable: try first, then wait.
 * IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_framed_raw(ipc_framed *framed, ipc_raw *out_raw);

/* ipc_framed_close ends calls under way as IPC_CANCELLED and closes the stream. Frames not read, and what
 * ipc_framed_flush would send, are lost. IPC_OK, IPC_CLOSED (it was before), IPC_INVALID_ARGUMENT. */
ipc_status ipc_framed_close(ipc_framed *framed);

/* ipc_framed_free closes if that has not been done, and releases the memory. No other call on it may be under way. NULL
 * is allowed. Always IPC_OK. */
ipc_status ipc_framed_free(ipc_framed *framed);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_FRAMED_H */
