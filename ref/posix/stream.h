/* stream.h - how other files of ref/posix/ make streams, and what a stream needs of the kind of descriptor it uses. */
#ifndef REF_POSIX_STREAM_H
#define REF_POSIX_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ipc/ancillary.h"
#include "ipc/stream.h"
#include "ref/posix/gate.h"

enum { DIRECTION_READ = 1, DIRECTION_WRITE = 2, DIRECTION_BOTH = 3 };

typedef struct ipc_transport ipc_transport;

/* A descriptor and the handles that use it: one, or the two halves of a split. The last one closes it. */
typedef struct ipc_channel {
  const ipc_transport *transport;
  int fd;
  _Atomic uint32_t handles;
  _Atomic uint32_t lacks;  /* pipes: what this system or descriptor turned out not to know, see pipe.c */
  pthread_mutex_t looking; /* pipes: from a look to the transfer that rests on it */
} ipc_channel;

/* What kinds of descriptors do differently. An attempt moves what it can between the descriptor and at least one
 * buffer, none of them empty, without waiting and without raising SIGPIPE: a count, or -1 with errno, EAGAIN if it
 * would have to wait. A read of 0 bytes is the end. The attempts with ancillary data are NULL where none can travel:
 * |ancillary| is room that has been checked, |beside| has a control buffer and nothing else. */
struct ipc_transport {
  ssize_t (*read)(ipc_channel *channel, struct iovec *buffers, size_t num_buffers);
  ssize_t (*write)(ipc_channel *channel, struct iovec *buffers, size_t num_buffers);
  ssize_t (*read_ancillary)(ipc_channel *channel, struct iovec *buffers, size_t num_buffers, ipc_ancillary *ancillary);
  ssize_t (*write_ancillary)(ipc_channel *channel, struct iovec *buffers, size_t num_buffers,
                             const struct msghdr *beside);
  int (*pass_credentials)(int fd, bool pass);                        /* errno; NULL as above */
  int (*peer_credentials)(int fd, ipc_credentials *out_credentials); /* errno */
  int (*shutdown)(int fd, uint32_t directions);                      /* errno; NULL: there is none */
  bool owns_mode; /* the description is the library's own, and nonblocking until it is given away */
};

extern const ipc_transport ipc_transport_socket;

enum { VECTOR_MAX = 64 }; /* buffers of one call */

/* ipc_stream_prepare allocates a stream of |directions| that has no descriptor yet, so that memory cannot run out once
 * there is a connection to lose. IPC_OK or IPC_OUT_OF_RESOURCES. Exactly one of the two below must follow. */
ipc_status ipc_stream_prepare(const ipc_transport *transport, uint32_t directions, ipc_stream **out_stream);

/* ipc_stream_own gives |stream| its descriptor. */
void ipc_stream_own(ipc_stream *stream, int fd);

/* ipc_stream_discard releases a stream that was never given one. */
void ipc_stream_discard(ipc_stream *stream);

/* What an attempt is given: buffers, none of them empty, and what travels beside them: room for it of a read, or of a
 * write (control.h); NULL for neither. */
typedef struct ipc_stream_attempting {
  struct iovec *buffers;
  size_t num_buffers;
  ipc_ancillary *room;
  const struct msghdr *beside;
} ipc_stream_attempting;

/* What a loop needs of a stream. Behind the gate, which the caller has entered: its descriptor, and one attempt to move
 * bytes, which repeats itself only where a signal interrupted it. IPC_WOULD_BLOCK if it would have to wait; otherwise
 * the statuses of the calls, IPC_OK also for a part of a write. */
ipc_gate *ipc_stream_gate(ipc_stream *stream);
int ipc_stream_descriptor(const ipc_stream *stream);
ipc_status ipc_stream_attempt(ipc_stream *stream, uint32_t direction, const ipc_stream_attempting *wanted,
                              size_t *out_len);

/* ipc_stream_room and ipc_stream_bytes copy |num| buffers to |out|, which has room for VECTOR_MAX, the latter from
 * their byte |offset| on; empty ones are left out. False if one of them is none, or they are too many or too long. */
bool ipc_stream_room(const ipc_buffer *buffers, size_t num, struct iovec *out, size_t *out_num);
bool ipc_stream_bytes(const ipc_const_buffer *buffers, size_t num, size_t offset, struct iovec *out, size_t *out_num);

#endif /* REF_POSIX_STREAM_H */
