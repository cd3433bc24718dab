/* stream.h - how other files of ref/posix/ make streams. */
#ifndef REF_POSIX_STREAM_H
#define REF_POSIX_STREAM_H

#include "ipc/stream.h"

/* ipc_stream_prepare allocates a stream that has no descriptor yet, so that memory cannot run out once there is a
 * connection to lose. IPC_OK or IPC_OUT_OF_RESOURCES. Exactly one of the two below must follow. */
ipc_status ipc_stream_prepare(ipc_stream **out_stream);

/* ipc_stream_own gives |stream| its descriptor. */
void ipc_stream_own(ipc_stream *stream, int fd);

/* ipc_stream_discard releases a stream that was never given one. */
void ipc_stream_discard(ipc_stream *stream);

#endif /* REF_POSIX_STREAM_H */
