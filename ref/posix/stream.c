/* stream.c - byte streams over a descriptor: a connected socket, or an end of a pipe (pipe.c).
 *
 * Every transfer is an attempt that does not wait, and only if that finds nothing to do a wait for the descriptor or
 * for close. So what need not wait is one system call. What differs between kinds of descriptors is the attempt. A
 * socket's does not depend on the descriptor's own blocking mode, which is never changed. Nothing is allocated on the
 * way.
 */
#include "ref/posix/extensions.h"

#include "ref/posix/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ipc/unix.h"
#include "ref/common/platform.h"
#include "ref/posix/control.h"
#include "ref/posix/descriptor.h"
#include "ref/posix/pipe.h"
#include "ref/posix/system.h"

struct ipc_stream {
  ipc_gate gate;
  ipc_channel *channel;
  uint32_t directions; /* DIRECTION_* */
  bool half;           /* of a split: the descriptor is the other half's too */
};

/* ------------------------------------------------------------------------------------------------- life */

static ipc_stream *stream_alloc(uint32_t directions) {
  ipc_stream *stream = malloc(sizeof *stream);
  if (stream == NULL) return NULL;
  if (ipc_gate_init(&stream->gate) != 0) {
    free(stream);
    return NULL;
  }
  stream->channel = NULL;
  stream->directions = directions;
  stream->half = false;
  return stream;
}

/* Releases a stream whose channel is already gone, or was never there. */
static void stream_dispose(ipc_stream *stream) {
  (void)ipc_gate_shut(&stream->gate);
  ipc_gate_destroy(&stream->gate);
  free(stream);
}

static ipc_channel *channel_alloc(const ipc_transport *transport) {
  ipc_channel *channel = malloc(sizeof *channel);
  if (channel == NULL) return NULL;
  if (pthread_mutex_init(&channel->looking, NULL) != 0) {
    free(channel);
    return NULL;
  }
  channel->transport = transport;
  channel->fd = -1;
  atomic_init(&channel->handles, 1);
  atomic_init(&channel->lacks, 0);
  return channel;
}

static void channel_dispose(ipc_channel *channel) {
  pthread_mutex_destroy(&channel->looking);
  free(channel);
}

ipc_status ipc_stream_prepare(const ipc_transport *transport, uint32_t directions, ipc_stream **out_stream) {
  *out_stream = NULL;
  ipc_stream *stream = stream_alloc(directions);
  if (stream == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  stream->channel = channel_alloc(transport);
  if (stream->channel == NULL) {
    stream_dispose(stream);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  *out_stream = stream;
  return ipc_status_of(IPC_OK);
}

void ipc_stream_own(ipc_stream *stream, int fd) { stream->channel->fd = fd; }

void ipc_stream_discard(ipc_stream *stream) {
  channel_dispose(stream->channel);
  stream_dispose(stream);
}

ipc_status ipc_stream_adopt(const ipc_raw *raw, ipc_stream **out_stream) {
  if (out_stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_stream = NULL;
  int fd;
  ipc_stream *stream;
  uint32_t directions = DIRECTION_BOTH;
  const ipc_transport *transport = &ipc_transport_socket;
  int type;
  ipc_status status = ipc_descriptor_check(raw, IPC_USE_STREAM, &fd, &type);
  if (status.code != IPC_OK) {
    ipc_status as_pipe = ipc_pipe_adoptable(raw, &fd, &directions);
    if (as_pipe.code != IPC_INVALID_ARGUMENT) status = as_pipe;
    transport = &ipc_transport_pipe;
  }
  if (status.code == IPC_OK) status = ipc_stream_prepare(transport, directions, &stream);
  if (status.code != IPC_OK) return status;
  int error = ipc_descriptor_set_cloexec(fd);
  if (error != 0) {
    ipc_stream_discard(stream);
    return ipc_platform_status((uint32_t)error);
  }
  ipc_stream_own(stream, fd);
  *out_stream = stream;
  return status;
}

ipc_status ipc_stream_close(ipc_stream *stream) {
  if (stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  if (atomic_fetch_sub(&stream->channel->handles, 1) == 1) {
    (void)close(stream->channel->fd);
    channel_dispose(stream->channel);
  }
  stream->channel = NULL;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_stream_free(ipc_stream *stream) {
  if (stream == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_stream_close(stream);
  stream_dispose(stream);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_stream_release(ipc_stream *stream, ipc_raw *out_raw) {
  if (stream == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (ipc_gate_is_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  if (stream->half) return ipc_status_of(IPC_UNSUPPORTED);
  if (!ipc_gate_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_channel *channel = stream->channel;
  stream->channel = NULL;
  if (channel->transport->owns_mode) {
    int flags = fcntl(channel->fd, F_GETFL);
    if (flags >= 0) (void)fcntl(channel->fd, F_SETFL, flags & ~O_NONBLOCK);
  }
  *out_raw = ipc_descriptor_raw(channel->fd);
  channel_dispose(channel);
  return ipc_status_of(IPC_OK);
}

/* Moves the channel of |stream|, which nobody uses any more, to the two halves. */
static void share_channel(ipc_stream *stream, ipc_stream *reader, ipc_stream *writer) {
  bool nonblocking = atomic_load(&stream->gate.nonblocking);
  atomic_store(&reader->gate.nonblocking, nonblocking);
  atomic_store(&writer->gate.nonblocking, nonblocking);
  atomic_store(&stream->channel->handles, 2);
  reader->channel = stream->channel;
  writer->channel = stream->channel;
  reader->half = true;
  writer->half = true;
  stream->channel = NULL;
}

ipc_status ipc_stream_split(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer) {
  if (out_reader != NULL) *out_reader = NULL;
  if (out_writer != NULL) *out_writer = NULL;
  if (stream == NULL || out_reader == NULL || out_writer == NULL || out_reader == out_writer) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (ipc_gate_is_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  if (stream->directions != DIRECTION_BOTH) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_stream *reader = stream_alloc(DIRECTION_READ);
  ipc_stream *writer = stream_alloc(DIRECTION_WRITE);
  int32_t code = reader == NULL || writer == NULL ? IPC_OUT_OF_RESOURCES : ipc_gate_shut_if_empty(&stream->gate);
  if (code != IPC_OK) {
    if (reader != NULL) stream_dispose(reader);
    if (writer != NULL) stream_dispose(writer);
    return ipc_status_of(code);
  }
  share_channel(stream, reader, writer);
  *out_reader = reader;
  *out_writer = writer;
  return ipc_status_of(IPC_OK);
}

/* -------------------------------------------------------------------------------------------- transfers */

/* What both directions go through: where the bytes are, what travels beside them, and what may end the wait for them.
 */
typedef struct transfer {
  ipc_stream *stream;
  struct iovec *buffers;
  size_t num_buffers;
  bool with_ancillary;         /* the call is one of those with ancillary data */
  ipc_ancillary *room;         /* a read of them */
  const struct msghdr *beside; /* a write of them: what has not been sent yet, NULL from the first byte on */
  bool nonblocking;            /* as it was when the call began */
  ipc_deadline deadline;
} transfer;

/* A socket's attempts. A single buffer spares the kernel a structure to copy. */
static ssize_t socket_read(ipc_channel *channel, struct iovec *buffers, size_t num_buffers) {
  int fd = channel->fd;
  if (num_buffers == 1) return recv(fd, buffers->iov_base, buffers->iov_len, ipc_system_receive_flags);
  struct msghdr message = {.msg_iov = buffers, .msg_iovlen = num_buffers};
  return recvmsg(fd, &message, ipc_system_receive_flags);
}

static ssize_t socket_write(ipc_channel *channel, struct iovec *buffers, size_t num_buffers) {
  int fd = channel->fd;
  if (num_buffers == 1) return send(fd, buffers->iov_base, buffers->iov_len, ipc_system_send_flags);
  struct msghdr message = {.msg_iov = buffers, .msg_iovlen = num_buffers};
  return sendmsg(fd, &message, ipc_system_send_flags);
}

static int socket_shutdown(int fd, uint32_t directions) {
  int how = directions == IPC_SHUTDOWN_READ ? SHUT_RD : directions == IPC_SHUTDOWN_WRITE ? SHUT_WR : SHUT_RDWR;
  return shutdown(fd, how) == 0 ? 0 : errno;
}

/* At the end the system tells credentials of nobody. */
static ssize_t socket_read_ancillary(ipc_channel *channel, struct iovec *buffers, size_t num_buffers,
                                     ipc_ancillary *ancillary) {
  struct msghdr message = {.msg_iov = buffers, .msg_iovlen = num_buffers};
  ssize_t n = ipc_control_receive(channel->fd, &message, ipc_system_receive_flags, ancillary);
  if (n == 0) ipc_control_clear(ancillary);
  return n;
}

static ssize_t socket_write_ancillary(ipc_channel *channel, struct iovec *buffers, size_t num_buffers,
                                      const struct msghdr *beside) {
  struct msghdr message = *beside;
  message.msg_iov = buffers;
  message.msg_iovlen = num_buffers;
  return sendmsg(channel->fd, &message, ipc_system_send_flags);
}

const ipc_transport ipc_transport_socket = {
    .read = socket_read,
    .write = socket_write,
    .read_ancillary = socket_read_ancillary,
    .write_ancillary = socket_write_ancillary,
    .pass_credentials = ipc_system_pass_credentials,
    .peer_credentials = ipc_system_peer_credentials,
    .shutdown = socket_shutdown,
};

/* Decides, after an attempt failed with |error|, whether another one makes sense: IPC_OK, perhaps after a wait. */
static ipc_status before_retry(transfer *t, int error, short events) {
  if (error == EINTR) return ipc_status_of(IPC_OK);
  if (error != EAGAIN && error != EWOULDBLOCK) return ipc_platform_status((uint32_t)error);
  if (t->nonblocking) return ipc_platform_status((uint32_t)error);
  return ipc_status_of(ipc_gate_wait(&t->stream->gate, t->stream->channel->fd, events, &t->deadline));
}

static ssize_t attempt_read(transfer *t) {
  ipc_channel *channel = t->stream->channel;
  if (t->room == NULL) return channel->transport->read(channel, t->buffers, t->num_buffers);
  return channel->transport->read_ancillary(channel, t->buffers, t->num_buffers, t->room);
}

static ipc_status read_transfer(transfer *t, size_t *out_len) {
  for (;;) {
    ssize_t n = attempt_read(t);
    if (n >= 0) {
      *out_len = (size_t)n;
      return ipc_status_of(n > 0 ? IPC_OK : IPC_END);
    }
    ipc_status status = before_retry(t, errno, POLLIN);
    if (status.code != IPC_OK) return status;
  }
}

/* Steps over the first |len| bytes of the buffers: over the library's copy, the caller's array stays as it was. */
static void advance(transfer *t, size_t len) {
  while (t->num_buffers != 0 && len >= t->buffers->iov_len) {
    len -= t->buffers->iov_len;
    t->buffers++;
    t->num_buffers--;
  }
  if (len == 0) return;
  t->buffers->iov_base = (unsigned char *)t->buffers->iov_base + len;
  t->buffers->iov_len -= len;
}

/* What travels beside the bytes travels once: with the first of them. */
static ssize_t attempt_write(transfer *t) {
  ipc_channel *channel = t->stream->channel;
  if (t->beside == NULL) return channel->transport->write(channel, t->buffers, t->num_buffers);
  ssize_t n = channel->transport->write_ancillary(channel, t->buffers, t->num_buffers, t->beside);
  if (n > 0) t->beside = NULL;
  return n;
}

static ipc_status write_transfer(transfer *t, size_t *out_len) {
  for (;;) {
    ssize_t n = attempt_write(t);
    int error = n < 0 ? errno : EAGAIN; /* after a part the next attempt would find no room */
    if (n > 0) {
      *out_len += (size_t)n;
      advance(t, (size_t)n);
      if (t->num_buffers == 0 || t->nonblocking) return ipc_status_of(IPC_OK);
    }
    ipc_status status = before_retry(t, error, POLLOUT);
    if (status.code != IPC_OK) return status;
  }
}

static bool can_transfer(const transfer *t, uint32_t direction) {
  const ipc_stream *stream = t->stream;
  if ((stream->directions & direction) == 0) return false;
  return !t->with_ancillary || stream->channel->transport->read_ancillary != NULL;
}

/* Does the transfer inside the gate. */
static ipc_status run_transfer(transfer *t, uint32_t direction, size_t *out_len) {
  ipc_stream *stream = t->stream;
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = ipc_status_of(IPC_OK);
  if (!can_transfer(t, direction)) {
    status = ipc_status_of(IPC_UNSUPPORTED);
  } else if (t->num_buffers != 0) {
    t->nonblocking = atomic_load_explicit(&stream->gate.nonblocking, memory_order_relaxed);
    status = direction == DIRECTION_READ ? read_transfer(t, out_len) : write_transfer(t, out_len);
  }
  ipc_gate_leave(&stream->gate);
  return status;
}

/* What a loop makes is a transfer that is nonblocking whatever the handle is. */
ipc_status ipc_stream_attempt(ipc_stream *stream, uint32_t direction, const ipc_stream_attempting *wanted,
                              size_t *out_len) {
  transfer t = {.stream = stream,
                .buffers = wanted->buffers,
                .num_buffers = wanted->num_buffers,
                .with_ancillary = wanted->room != NULL || wanted->beside != NULL,
                .room = wanted->room,
                .beside = wanted->beside,
                .nonblocking = true};
  *out_len = 0;
  if (!can_transfer(&t, direction)) return ipc_status_of(IPC_UNSUPPORTED);
  if (t.num_buffers == 0) return ipc_status_of(IPC_OK);
  return direction == DIRECTION_READ ? read_transfer(&t, out_len) : write_transfer(&t, out_len);
}

/* Copies one buffer to the end of |t|'s array; empty ones are left out. False if it is none, or the sum too large. */
static bool append_buffer(transfer *t, size_t *total, void *data, size_t len) {
  if (len == 0) return true;
  if (data == NULL || len > (size_t)SSIZE_MAX - *total) return false;
  *total += len;
  t->buffers[t->num_buffers++] = (struct iovec){data, len};
  return true;
}

ipc_status ipc_stream_read(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || out_data == NULL || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT || data_max > SSIZE_MAX) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  struct iovec buffer = {out_data, data_max};
  transfer t = {
      .stream = stream, .buffers = &buffer, .num_buffers = data_max != 0, .deadline = {.timeout_ms = timeout_ms}};
  return run_transfer(&t, DIRECTION_READ, out_len);
}

/* An iovec has no const: a send does not write through it. */
static void *without_const(const void *data) {
  union {
    const void *given;
    void *taken;
  } pointer = {data};
  return pointer.taken;
}

ipc_status ipc_stream_write(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                            size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || (data == NULL && data_len != 0) || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT ||
      data_len > SSIZE_MAX) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  struct iovec buffer = {without_const(data), data_len};
  transfer t = {
      .stream = stream, .buffers = &buffer, .num_buffers = data_len != 0, .deadline = {.timeout_ms = timeout_ms}};
  return run_transfer(&t, DIRECTION_WRITE, out_len);
}

ipc_status ipc_stream_read_vectored(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers,
                                    int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || (buffers == NULL && num_buffers != 0) || num_buffers > VECTOR_MAX || out_len == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  struct iovec copy[VECTOR_MAX];
  transfer t = {.stream = stream, .buffers = copy, .deadline = {.timeout_ms = timeout_ms}};
  size_t total = 0;
  for (size_t i = 0; i < num_buffers; i++) {
    if (!append_buffer(&t, &total, buffers[i].data, buffers[i].len)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return run_transfer(&t, DIRECTION_READ, out_len);
}

ipc_status ipc_stream_write_vectored(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers,
                                     int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || (buffers == NULL && num_buffers != 0) || num_buffers > VECTOR_MAX || out_len == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  struct iovec copy[VECTOR_MAX];
  transfer t = {.stream = stream, .buffers = copy, .deadline = {.timeout_ms = timeout_ms}};
  size_t total = 0;
  for (size_t i = 0; i < num_buffers; i++) {
    void *data = without_const(buffers[i].data);
    if (!append_buffer(&t, &total, data, buffers[i].len)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return run_transfer(&t, DIRECTION_WRITE, out_len);
}

/* -------------------------------------------------------------------------------------------- ancillary */

ipc_status ipc_stream_read_ancillary(ipc_stream *stream, void *out_data, size_t data_max, ipc_ancillary *ancillary,
                                     int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  ipc_status status = ipc_control_check_room(ancillary);
  if (status.code != IPC_OK) return status;
  if (stream == NULL || out_data == NULL || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT || data_max == 0 ||
      data_max > SSIZE_MAX) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  struct iovec buffer = {out_data, data_max};
  transfer t = {.stream = stream,
                .buffers = &buffer,
                .num_buffers = 1,
                .with_ancillary = true,
                .room = ancillary,
                .deadline = {.timeout_ms = timeout_ms}};
  return run_transfer(&t, DIRECTION_READ, out_len);
}

ipc_status ipc_stream_write_ancillary(ipc_stream *stream, const void *data, size_t data_len,
                                      const ipc_ancillary *ancillary, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || data == NULL || data_len == 0 || data_len > SSIZE_MAX || out_len == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_status status = ipc_control_check_sent(ancillary);
  if (status.code != IPC_OK) return status;
  ipc_control control;
  struct msghdr beside = {0};
  ipc_control_put(&control, ancillary, &beside);
  struct iovec buffer = {without_const(data), data_len};
  transfer t = {.stream = stream,
                .buffers = &buffer,
                .num_buffers = 1,
                .with_ancillary = true,
                .beside = &beside,
                .deadline = {.timeout_ms = timeout_ms}};
  return run_transfer(&t, DIRECTION_WRITE, out_len);
}

ipc_status ipc_stream_set_pass_credentials(ipc_stream *stream, bool pass) {
  if (stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  const ipc_transport *transport = stream->channel->transport;
  int error = transport->pass_credentials != NULL ? transport->pass_credentials(stream->channel->fd, pass) : EOPNOTSUPP;
  ipc_gate_leave(&stream->gate);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

/* ------------------------------------------------------------------------------------------------ loops */

ipc_gate *ipc_stream_gate(ipc_stream *stream) { return &stream->gate; }

int ipc_stream_descriptor(const ipc_stream *stream) { return stream->channel->fd; }

/* What is left of one buffer behind |*offset| bytes, added to |out|. */
static bool add_rest(void *data, size_t len, size_t *offset, size_t *total, struct iovec *out, size_t *out_num) {
  if (len == 0) return true;
  if (data == NULL || len > (size_t)SSIZE_MAX - *total) return false;
  *total += len;
  size_t skipped = *offset < len ? *offset : len;
  *offset -= skipped;
  if (skipped < len) out[(*out_num)++] = (struct iovec){(unsigned char *)data + skipped, len - skipped};
  return true;
}

bool ipc_stream_room(const ipc_buffer *buffers, size_t num, struct iovec *out, size_t *out_num) {
  size_t total = 0;
  size_t offset = 0;
  *out_num = 0;
  if ((buffers == NULL && num != 0) || num > VECTOR_MAX) return false;
  for (size_t i = 0; i < num; i++) {
    if (!add_rest(buffers[i].data, buffers[i].len, &offset, &total, out, out_num)) return false;
  }
  return true;
}

bool ipc_stream_bytes(const ipc_const_buffer *buffers, size_t num, size_t offset, struct iovec *out, size_t *out_num) {
  size_t total = 0;
  *out_num = 0;
  if ((buffers == NULL && num != 0) || num > VECTOR_MAX) return false;
  for (size_t i = 0; i < num; i++) {
    if (!add_rest(without_const(buffers[i].data), buffers[i].len, &offset, &total, out, out_num)) return false;
  }
  return true;
}

/* ------------------------------------------------------------------------------------------------- rest */

/* Nothing is held back: every write ends in the system. */
ipc_status ipc_stream_flush(ipc_stream *stream) {
  if (stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (ipc_gate_is_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  return ipc_status_of((stream->directions & DIRECTION_WRITE) != 0 ? IPC_OK : IPC_UNSUPPORTED);
}

ipc_status ipc_stream_peer_credentials(ipc_stream *stream, ipc_credentials *out_credentials) {
  if (stream == NULL || out_credentials == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  int error = stream->channel->transport->peer_credentials(stream->channel->fd, out_credentials);
  ipc_gate_leave(&stream->gate);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

/* Shuts down inside the gate. */
static ipc_status shut_down(ipc_stream *stream, uint32_t directions) {
  ipc_channel *channel = stream->channel;
  if (channel->transport->shutdown == NULL || (directions & ~stream->directions) != 0) {
    return ipc_status_of(IPC_UNSUPPORTED);
  }
  int error = channel->transport->shutdown(channel->fd, directions);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

ipc_status ipc_stream_shutdown(ipc_stream *stream, uint32_t directions) {
  if (stream == NULL || directions == 0 || (directions & ~(uint32_t)IPC_SHUTDOWN_BOTH) != 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = shut_down(stream, directions);
  ipc_gate_leave(&stream->gate);
  return status;
}

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_stream_set_nonblocking(ipc_stream *stream, bool nonblocking) {
  if (stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&stream->gate.nonblocking, nonblocking);
  ipc_gate_leave(&stream->gate);
  return ipc_status_of(IPC_OK);
}
#endif

ipc_status ipc_stream_raw(ipc_stream *stream, ipc_raw *out_raw) {
  if (stream == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  *out_raw = ipc_descriptor_raw(stream->channel->fd);
  ipc_gate_leave(&stream->gate);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_stream_take_over(ipc_stream *stream, bool *out_nonblocking) {
  if (ipc_gate_is_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  if (atomic_load(&stream->gate.state) != 0) return ipc_status_of(IPC_BUSY);
  *out_nonblocking = atomic_exchange(&stream->gate.nonblocking, false);
  return ipc_status_of(IPC_OK);
}
