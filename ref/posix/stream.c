/* stream.c - byte streams over a descriptor: a connected socket, or an end of a pipe (pipe.c).
 *
 * Every transfer is an attempt that does not wait, and only if that finds nothing to do a wait for the descriptor or
 * for close. So what need not wait is one system call. What differs between kinds of descriptors is the attempt. A
 * socket's does not depend on the descriptor's own blocking mode, which is never changed. Nothing is allocated on the
 * way.
 */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ref/common/platform.h"
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
  ipc_status status = ipc_descriptor_check(raw, IPC_USE_STREAM, &fd);
  if (status.code != IPC_OK && ipc_pipe_adoptable(raw, &fd, &directions).code == IPC_OK) {
    transport = &ipc_transport_pipe;
    status = ipc_status_of(IPC_OK);
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

/* What both directions go through: where the bytes are, and what may end the wait for them. */
typedef struct transfer {
  ipc_stream *stream;
  struct iovec *buffers;
  size_t num_buffers;
  bool nonblocking; /* as it was when the call began */
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

const ipc_transport ipc_transport_socket = {
    .read = socket_read,
    .write = socket_write,
    .peer_credentials = ipc_system_peer_credentials,
};

/* One attempt, which counts what it moved; a signal that interrupted it had no part in the outcome. */
static ipc_status read_attempt(ipc_channel *channel, struct iovec *buffers, size_t num_buffers, size_t *out_len) {
  for (;;) {
    ssize_t n = channel->transport->read(channel, buffers, num_buffers);
    if (n >= 0) {
      *out_len = (size_t)n;
      return ipc_status_of(n > 0 ? IPC_OK : IPC_END);
    }
    if (errno != EINTR) return ipc_platform_status((uint32_t)errno);
  }
}

static ipc_status write_attempt(ipc_channel *channel, struct iovec *buffers, size_t num_buffers, size_t *out_len) {
  for (;;) {
    ssize_t n = channel->transport->write(channel, buffers, num_buffers);
    if (n > 0) {
      *out_len = (size_t)n;
      return ipc_status_of(IPC_OK);
    }
    if (n == 0) return ipc_status_of(IPC_WOULD_BLOCK);
    if (errno != EINTR) return ipc_platform_status((uint32_t)errno);
  }
}

static int32_t wait_ready(transfer *t, short events) {
  return ipc_gate_wait(&t->stream->gate, t->stream->channel->fd, events, &t->deadline);
}

static ipc_status read_transfer(transfer *t, size_t *out_len) {
  for (;;) {
    ipc_status status = read_attempt(t->stream->channel, t->buffers, t->num_buffers, out_len);
    if (status.code != IPC_WOULD_BLOCK || t->nonblocking) return status;
    int32_t code = wait_ready(t, POLLIN);
    if (code != IPC_OK) return ipc_status_of(code);
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

static ipc_status write_transfer(transfer *t, size_t *out_len) {
  for (;;) {
    size_t len = 0;
    ipc_status status = write_attempt(t->stream->channel, t->buffers, t->num_buffers, &len);
    if (status.code == IPC_OK) {
      *out_len += len;
      advance(t, len);
      if (t->num_buffers == 0 || t->nonblocking) return status;
    } else if (status.code != IPC_WOULD_BLOCK || t->nonblocking) {
      return status;
    }
    int32_t code = wait_ready(t, POLLOUT); /* also after a part: the next attempt would find no room */
    if (code != IPC_OK) return ipc_status_of(code);
  }
}

/* Does the transfer inside the gate. */
static ipc_status run_transfer(transfer *t, uint32_t direction, size_t *out_len) {
  ipc_stream *stream = t->stream;
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = ipc_status_of(IPC_OK);
  if ((stream->directions & direction) == 0) {
    status = ipc_status_of(IPC_UNSUPPORTED);
  } else if (t->num_buffers != 0) {
    t->nonblocking = atomic_load_explicit(&stream->gate.nonblocking, memory_order_relaxed);
    status = direction == DIRECTION_READ ? read_transfer(t, out_len) : write_transfer(t, out_len);
  }
  ipc_gate_leave(&stream->gate);
  return status;
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

bool ipc_stream_room(const ipc_buffer *buffers, size_t num, size_t offset, struct iovec *out, size_t *out_num) {
  size_t total = 0;
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

ipc_status ipc_stream_read_vectored(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers,
                                    int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  struct iovec copy[VECTOR_MAX];
  transfer t = {.stream = stream, .buffers = copy, .deadline = {.timeout_ms = timeout_ms}};
  if (stream == NULL || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT ||
      !ipc_stream_room(buffers, num_buffers, 0, copy, &t.num_buffers)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return run_transfer(&t, DIRECTION_READ, out_len);
}

ipc_status ipc_stream_write_vectored(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers,
                                     int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  struct iovec copy[VECTOR_MAX];
  transfer t = {.stream = stream, .buffers = copy, .deadline = {.timeout_ms = timeout_ms}};
  if (stream == NULL || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT ||
      !ipc_stream_bytes(buffers, num_buffers, 0, copy, &t.num_buffers)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return run_transfer(&t, DIRECTION_WRITE, out_len);
}

/* ------------------------------------------------------------------------------------------------ loops */

ipc_gate *ipc_stream_gate(ipc_stream *stream) { return &stream->gate; }

bool ipc_stream_has(const ipc_stream *stream, uint32_t direction) { return (stream->directions & direction) != 0; }

int ipc_stream_descriptor(const ipc_stream *stream) { return stream->channel->fd; }

ipc_status ipc_stream_attempt(ipc_stream *stream, uint32_t direction, struct iovec *buffers, size_t num_buffers,
                              size_t *out_len) {
  *out_len = 0;
  return direction == DIRECTION_READ ? read_attempt(stream->channel, buffers, num_buffers, out_len)
                                     : write_attempt(stream->channel, buffers, num_buffers, out_len);
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
