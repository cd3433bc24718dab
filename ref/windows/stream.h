/* stream.h - how other files of ref/windows/ make streams, and what a loop needs of one.
 *
 * What a stream promises about bytes rests on its channel (channel.h), where it is said. Of the headers:
 *
 * - ipc_stream_close: a chunk that a timeout or the close left in flight reaches the reader behind the closed stream,
 *   unless the process ends first. A write that answered IPC_OK without having been impatient leaves none.
 * - ipc_stream_adopt takes either end of a byte or message pipe, overlapped or synchronous (channel.h says what a
 *   synchronous one cannot do), and makes it not inherited. It refuses handles in PIPE_NOWAIT mode, whose reads do not
 *   wait, and instances that no client has connected to. A handle that goes one way is the end of a pipe.
 * - ipc_stream_release: what is given away is overlapped or not as it was made; the library never associates a handle
 *   with a completion port.
 */
#ifndef REF_WINDOWS_STREAM_H
#define REF_WINDOWS_STREAM_H

#include "ipc/stream.h"
#include "ref/windows/channel.h"

enum { VECTOR_MAX = 64 }; /* buffers of one call */

/* ipc_stream_prepare allocates a stream of |directions| that has no pipe yet, so that memory cannot run out once there
 * is a connection to lose. IPC_OK or IPC_OUT_OF_RESOURCES. Exactly one of the two below must follow. */
ipc_status ipc_stream_prepare(uint32_t directions, ipc_stream **out_stream);

/* ipc_stream_own gives |stream| its pipe; |server| if it is the end of who made the pipe. */
void ipc_stream_own(ipc_stream *stream, HANDLE pipe, bool synchronous, bool server);

/* ipc_stream_discard releases a stream that was never given one. */
void ipc_stream_discard(ipc_stream *stream);

/* ipc_stream_disconnect is ipc_stream_close at the server's end, and takes the connection from the client: what it has
 * not read is lost. */
ipc_status ipc_stream_disconnect(ipc_stream *stream);

/* What a loop needs: the gate, and behind it, entered, the channel. */
ipc_gate *ipc_stream_gate(ipc_stream *stream);
ipc_channel *ipc_stream_channel(ipc_stream *stream);
bool ipc_stream_can(const ipc_stream *stream, uint32_t direction);

#endif /* REF_WINDOWS_STREAM_H */
