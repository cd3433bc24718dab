/* stream.c - byte streams over a channel: who may call what, and when. */
#include "ref/windows/stream.h"

#include <stdlib.h>

#include "ref/common/platform.h"

struct ipc_stream {
  ipc_gate gate;
  ipc_gate_attachment closing; /* ends the writes that wait */
  ipc_channel *channel;
  uint32_t directions; /* DIRECTION_* */
  bool half;           /* of a split: the pipe is the other half's too */
};

/* ------------------------------------------------------------------------------------------------- life */

static void end_writes(ipc_gate_attachment *attachment) {
  const ipc_stream *stream = attachment->owner;
  if (stream->channel != NULL && (stream->directions & DIRECTION_WRITE) != 0) ipc_channel_end_writes(stream->channel);
}

static ipc_stream *stream_alloc(uint32_t directions) {
  ipc_stream *stream = malloc(sizeof *stream);
  if (stream == NULL) return NULL;
  if (!ipc_gate_init(&stream->gate)) {
    free(stream);
    return NULL;
  }
  stream->channel = NULL;
  stream->directions = directions;
  stream->half = false;
  stream->closing = (ipc_gate_attachment){.shut = end_writes, .owner = stream};
  (void)ipc_gate_attach(&stream->gate, &stream->closing);
  return stream;
}

/* Releases a stream whose channel is already gone, or was never there. */
static void stream_dispose(ipc_stream *stream) {
  (void)ipc_gate_shut(&stream->gate);
  ipc_gate_destroy(&stream->gate);
  free(stream);
}

ipc_status ipc_stream_prepare(uint32_t directions, ipc_stream **out_stream) {
  *out_stream = NULL;
  ipc_stream *stream = stream_alloc(directions);
  if (stream == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  stream->channel = ipc_channel_new(directions);
  if (stream->channel == NULL) {
    stream_dispose(stream);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  *out_stream = stream;
  return ipc_status_of(IPC_OK);
}

void ipc_stream_own(ipc_stream *stream, HANDLE pipe, bool synchronous, bool server) {
  ipc_channel_own(stream->channel, pipe, synchronous, server);
}

static void drop_channel(ipc_stream *stream) {
  ipc_channel *channel = stream->channel;
  stream->channel = NULL;
  ipc_channel_drop(channel);
}

void ipc_stream_discard(ipc_stream *stream) {
  (void)ipc_gate_shut(&stream->gate);
  drop_channel(stream);
  stream_dispose(stream);
}

ipc_status ipc_stream_adopt(const ipc_raw *raw, ipc_stream **out_stream) {
  if (out_stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_stream = NULL;
  ipc_pipe_facts facts;
  ipc_stream *stream;
  ipc_status status = ipc_pipe_examine(raw, &facts);
  if (status.code != IPC_OK) return status;
  if (facts.directions == 0 || facts.nonblocking || !facts.connected) return ipc_status_of(IPC_INVALID_ARGUMENT);
  status = ipc_stream_prepare(facts.directions, &stream);
  if (status.code != IPC_OK) return status;
  HANDLE pipe = (HANDLE)(uintptr_t)raw->value;
  if (!SetHandleInformation(pipe, HANDLE_FLAG_INHERIT, 0)) {
    status = ipc_platform_status(GetLastError());
    ipc_stream_discard(stream);
    return status;
  }
  ipc_stream_own(stream, pipe, facts.synchronous, facts.server);
  *out_stream = stream;
  return status;
}

ipc_status ipc_stream_close(ipc_stream *stream) {
  if (stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  drop_channel(stream);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_stream_disconnect(ipc_stream *stream) {
  if (!ipc_gate_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  DWORD error = DisconnectNamedPipe(stream->channel->pipe) ? 0 : GetLastError();
  drop_channel(stream);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status(error);
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
  *out_raw = ipc_pipe_raw(ipc_channel_give_away(stream->channel));
  drop_channel(stream);
  return ipc_status_of(IPC_OK);
}

/* Moves the channel of |stream|, which nobody uses any more, to the two halves. */
static void share_channel(ipc_stream *stream, ipc_stream *reader, ipc_stream *writer) {
  ipc_channel *channel = stream->channel;
  bool nonblocking = atomic_load(&stream->gate.nonblocking);
  atomic_store(&reader->gate.nonblocking, nonblocking);
  atomic_store(&writer->gate.nonblocking, nonblocking);
  ipc_channel_renew_writes(channel);
  atomic_fetch_add(&channel->references, 1);
  reader->channel = channel;
  writer->channel = channel;
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

/* How long a call may wait. */
typedef struct patience {
  ipc_deadline deadline;
  bool nonblocking; /* as it was when the call began */
} patience;

static patience patience_of(const ipc_stream *stream, int64_t timeout_ms) {
  bool nonblocking = atomic_load_explicit(&stream->gate.nonblocking, memory_order_relaxed);
  return (patience){.deadline = {.timeout_ms = nonblocking ? 0 : timeout_ms}, .nonblocking = nonblocking};
}

/* Reads into the first buffer, waiting, and into those behind it what is there without waiting. */
static ipc_status read_buffers(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers,
                               ipc_deadline *deadline, size_t *out_len) {
  ipc_deadline now = {.timeout_ms = 0};
  bool some = false;
  for (size_t i = 0; i < num_buffers; i++) {
    if (buffers[i].len == 0) continue;
    size_t len;
    ipc_status status =
        ipc_channel_read(stream->channel, &stream->gate, buffers[i].data, buffers[i].len, some ? &now : deadline, &len);
    if (status.code != IPC_OK) return some ? ipc_status_of(IPC_OK) : status;
    some = true;
    *out_len += len;
    if (len < buffers[i].len) break;
  }
  return ipc_status_of(IPC_OK);
}

static ipc_status run_read(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers, int64_t timeout_ms,
                           size_t *out_len) {
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  patience p = patience_of(stream, timeout_ms);
  ipc_status status = ipc_stream_can(stream, DIRECTION_READ)
                          ? read_buffers(stream, buffers, num_buffers, &p.deadline, out_len)
                          : ipc_status_of(IPC_UNSUPPORTED);
  ipc_gate_leave(&stream->gate);
  if (status.code == IPC_TIMED_OUT && p.nonblocking) status.code = IPC_WOULD_BLOCK;
  return status;
}

static ipc_status run_write(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers, size_t total,
                            int64_t timeout_ms, size_t *out_len) {
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  patience p = patience_of(stream, timeout_ms);
  ipc_status status = ipc_status_of(IPC_OK);
  if (!ipc_stream_can(stream, DIRECTION_WRITE)) {
    status = ipc_status_of(IPC_UNSUPPORTED);
  } else if (total != 0) {
    status = ipc_channel_write(stream->channel, buffers, num_buffers, &p.deadline, out_len);
  }
  ipc_gate_leave(&stream->gate);
  /* An attempt that took a part is a success. */
  if (status.code == IPC_TIMED_OUT && p.nonblocking) status.code = *out_len != 0 ? IPC_OK : IPC_WOULD_BLOCK;
  return status;
}

/* Adds a buffer to |*total|; false if it is none, or the sum too large. */
static bool add_buffer(const void *data, size_t len, size_t *total) {
  if (len == 0) return true;
  if (data == NULL || len > (size_t)PTRDIFF_MAX - *total) return false;
  *total += len;
  return true;
}

ipc_status ipc_stream_read_vectored(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers,
                                    int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || (buffers == NULL && num_buffers != 0) || num_buffers > VECTOR_MAX || out_len == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  size_t total = 0;
  for (size_t i = 0; i < num_buffers; i++) {
    if (!add_buffer(buffers[i].data, buffers[i].len, &total)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return run_read(stream, buffers, num_buffers, timeout_ms, out_len);
}

ipc_status ipc_stream_write_vectored(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers,
                                     int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || (buffers == NULL && num_buffers != 0) || num_buffers > VECTOR_MAX || out_len == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  size_t total = 0;
  for (size_t i = 0; i < num_buffers; i++) {
    if (!add_buffer(buffers[i].data, buffers[i].len, &total)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return run_write(stream, buffers, num_buffers, total, timeout_ms, out_len);
}

ipc_status ipc_stream_read(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (out_data == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_buffer buffer = {out_data, data_max};
  return ipc_stream_read_vectored(stream, &buffer, 1, timeout_ms, out_len);
}

ipc_status ipc_stream_write(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                            size_t *out_len) {
  ipc_const_buffer buffer = {data, data_len};
  return ipc_stream_write_vectored(stream, &buffer, 1, timeout_ms, out_len);
}

/* ------------------------------------------------------------------------------------------------- rest */

ipc_gate *ipc_stream_gate(ipc_stream *stream) { return &stream->gate; }
ipc_channel *ipc_stream_channel(ipc_stream *stream) { return stream->channel; }
bool ipc_stream_can(const ipc_stream *stream, uint32_t direction) { return (stream->directions & direction) != 0; }

/* Nothing is held back: a chunk in flight is the system's already. */
ipc_status ipc_stream_flush(ipc_stream *stream) {
  if (stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (ipc_gate_is_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  return ipc_status_of(ipc_stream_can(stream, DIRECTION_WRITE) ? IPC_OK : IPC_UNSUPPORTED);
}

/* Both ends of a connection know the process of the other; the end of a pipe is no connection. */
static ipc_status find_peer(const ipc_stream *stream, ipc_credentials *out_credentials) {
  if (stream->directions != DIRECTION_BOTH && !stream->half) return ipc_status_of(IPC_UNSUPPORTED);
  const ipc_channel *channel = stream->channel;
  ULONG pid;
  BOOL found = channel->server ? GetNamedPipeClientProcessId(channel->pipe, &pid)
                               : GetNamedPipeServerProcessId(channel->pipe, &pid);
  if (!found) return ipc_platform_status(GetLastError());
  *out_credentials = (ipc_credentials){.fields = IPC_CREDENTIALS_PID, .pid = pid};
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_stream_peer_credentials(ipc_stream *stream, ipc_credentials *out_credentials) {
  if (stream == NULL || out_credentials == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = find_peer(stream, out_credentials);
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
  ipc_channel_leave_home(stream->channel); /* the caller may duplicate it */
  *out_raw = ipc_pipe_raw(stream->channel->pipe);
  ipc_gate_leave(&stream->gate);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_stream_take_over(ipc_stream *stream, bool *out_nonblocking) {
  if (ipc_gate_is_shut(&stream->gate)) return ipc_status_of(IPC_CLOSED);
  if (atomic_load(&stream->gate.state) != 0) return ipc_status_of(IPC_BUSY);
  *out_nonblocking = atomic_exchange(&stream->gate.nonblocking, false);
  return ipc_status_of(IPC_OK);
}
