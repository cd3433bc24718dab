/* named_pipe.c - named pipes: a stream that may also move messages, and what only the system's pipes can do. */
#include "ipc/named_pipe.h"

#include <stdlib.h>

#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/windows/listener.h"
#include "ref/windows/stream.h"

enum { INSTANCES_LIMIT = 254 };

/* Where the life of a pipe is: whoever moves it on does what belongs to that. */
enum { LIFE_OPEN, LIFE_DISCONNECTED, LIFE_CLOSED };

struct ipc_named_pipe {
  ipc_stream *stream; /* the handle, its gate, and bytes */
  uint32_t type;      /* IPC_NAMED_PIPE_* */
  bool server;
  ipc_pipe_instance_options made; /* as a listener made it; all zero for others */
  _Atomic uint32_t read_mode;     /* IPC_NAMED_PIPE_* */
  _Atomic uint32_t life;          /* LIFE_* */

  /* Messages are read one call at a time: a message and what is left of it belong together. */
  ipc_gate_attachment closing;
  ipc_monitor *monitor;
  ipc_turn reading;
};

/* ------------------------------------------------------------------------------------------------- options */

static bool is_type(uint32_t type) { return type == IPC_NAMED_PIPE_BYTES || type == IPC_NAMED_PIPE_MESSAGES; }

/* Copies the options, with the defaults in them. */
static bool read_options(const ipc_named_pipe_options *given, ipc_named_pipe_options *out) {
  *out = (ipc_named_pipe_options){.size = sizeof *out};
  if (given != NULL) {
    if (!ipc_options_fit(given, given->size, sizeof *out)) return false;
    *out = *given;
  }
  const uint32_t known =
      IPC_NAMED_PIPE_SHARE_NAME | IPC_NAMED_PIPE_SAME_USER | IPC_NAMED_PIPE_REMOTE | IPC_NAMED_PIPE_WRITE_THROUGH;
  if (out->type == 0) out->type = IPC_NAMED_PIPE_BYTES;
  if (out->read_mode == 0) out->read_mode = out->type;
  if (out->direction == 0) out->direction = IPC_NAMED_PIPE_DUPLEX;
  if (out->in_size == 0) out->in_size = PIPE_BUFFER;
  if (out->out_size == 0) out->out_size = PIPE_BUFFER;
  return (out->flags & ~known) == 0 && is_type(out->type) && is_type(out->read_mode) && out->read_mode <= out->type &&
         out->direction <= IPC_NAMED_PIPE_DUPLEX && out->instances_max <= INSTANCES_LIMIT;
}

static bool read_access(const ipc_named_pipe_access *given, ipc_named_pipe_access *out) {
  *out = (ipc_named_pipe_access){.size = sizeof *out};
  if (given != NULL) {
    if (!ipc_options_fit(given, given->size, sizeof *out)) return false;
    *out = *given;
  }
  if (out->direction == 0) out->direction = IPC_NAMED_PIPE_DUPLEX;
  if (out->read_mode == 0) out->read_mode = IPC_NAMED_PIPE_BYTES;
  return (out->flags & ~(uint32_t)IPC_NAMED_PIPE_WRITE_THROUGH) == 0 && out->direction <= IPC_NAMED_PIPE_DUPLEX &&
         is_type(out->read_mode);
}

static ipc_listener_shape shape_of(const ipc_named_pipe_options *options) {
  const bool messages = options->type == IPC_NAMED_PIPE_MESSAGES;
  ipc_listener_shape shape = {
      .instance =
          {
              .open_mode = options->direction, /* PIPE_ACCESS_INBOUND, _OUTBOUND and _DUPLEX are 1, 2 and 3, too */
              .pipe_mode = (messages ? PIPE_TYPE_MESSAGE : PIPE_TYPE_BYTE) |
                           (options->read_mode == IPC_NAMED_PIPE_MESSAGES ? PIPE_READMODE_MESSAGE : PIPE_READMODE_BYTE),
              .instances_max = options->instances_max != 0 ? options->instances_max : PIPE_UNLIMITED_INSTANCES,
              .in_size = options->in_size,
              .out_size = options->out_size,
              .wait_ms = options->wait_ms,
          },
      .same_user = (options->flags & IPC_NAMED_PIPE_SAME_USER) != 0,
      .share_name = (options->flags & IPC_NAMED_PIPE_SHARE_NAME) != 0,
      .named_pipe = true,
  };
  if ((options->flags & IPC_NAMED_PIPE_REMOTE) == 0) shape.instance.pipe_mode |= PIPE_REJECT_REMOTE_CLIENTS;
  if ((options->flags & IPC_NAMED_PIPE_WRITE_THROUGH) != 0) shape.instance.open_mode |= FILE_FLAG_WRITE_THROUGH;
  return shape;
}

/* ------------------------------------------------------------------------------------------------- life */

static void end_reading(ipc_gate_attachment *attachment) {
  const ipc_named_pipe *owner = attachment->owner;
  ipc_turn *turn = &((ipc_named_pipe *)(uintptr_t)owner)->reading;
  (void)ipc_turn_end(turn);
}

/* Makes a pipe of |directions| that has no handle yet. IPC_OK or IPC_OUT_OF_RESOURCES; pipe_discard or pipe_begin must
 * follow. */
static ipc_status pipe_prepare(uint32_t directions, ipc_named_pipe **out_pipe) {
  *out_pipe = calloc(1, sizeof **out_pipe);
  if (*out_pipe == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  (*out_pipe)->monitor = ipc_monitor_new();
  ipc_status status = ipc_status_of(IPC_OUT_OF_RESOURCES);
  if ((*out_pipe)->monitor != NULL && directions != 0) status = ipc_stream_prepare(directions, &(*out_pipe)->stream);
  if ((*out_pipe)->monitor != NULL && directions == 0) status = ipc_status_of(IPC_OK); /* a stream will be there */
  if (status.code != IPC_OK) {
    if ((*out_pipe)->monitor != NULL) ipc_monitor_free((*out_pipe)->monitor);
    free(*out_pipe);
    *out_pipe = NULL;
  }
  return status;
}

static void pipe_discard(ipc_named_pipe *pipe) {
  if (pipe->stream != NULL) ipc_stream_discard(pipe->stream);
  ipc_monitor_free(pipe->monitor);
  free(pipe);
}

/* Begins the life of a pipe whose stream has its handle. */
static void pipe_begin(ipc_named_pipe *pipe, uint32_t type, uint32_t read_mode, bool server) {
  pipe->type = type;
  pipe->server = server;
  atomic_init(&pipe->read_mode, read_mode);
  atomic_init(&pipe->life, LIFE_OPEN);
  ipc_turn_init(&pipe->reading, pipe->monitor);
  pipe->closing = (ipc_gate_attachment){.shut = end_reading, .owner = pipe};
  (void)ipc_gate_attach(ipc_stream_gate(pipe->stream), &pipe->closing);
}

/* What the server does and what the client does in |direction|. */
static uint32_t directions_of(uint32_t direction, bool server) {
  switch (direction) {
    case IPC_NAMED_PIPE_INBOUND:
      return server ? DIRECTION_READ : DIRECTION_WRITE;
    case IPC_NAMED_PIPE_OUTBOUND:
      return server ? DIRECTION_WRITE : DIRECTION_READ;
    default:
      return DIRECTION_BOTH;
  }
}

ipc_status ipc_named_pipe_listen(const ipc_name *name, const ipc_named_pipe_options *options,
                                 ipc_listener **out_listener) {
  if (out_listener != NULL) *out_listener = NULL;
  ipc_named_pipe_options wanted;
  if (name == NULL || out_listener == NULL || !read_options(options, &wanted)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_address address;
  ipc_listener *listener;
  ipc_listener_shape shape = shape_of(&wanted);
  ipc_status status = ipc_address_init(&address, name);
  if (status.code == IPC_OK) status = ipc_listener_prepare(&address, &shape, wanted.backlog, &listener);
  if (status.code != IPC_OK) return status;
  status = ipc_listener_open(listener);
  if (status.code != IPC_OK) {
    ipc_listener_discard(listener);
    return status;
  }
  *out_listener = listener;
  return status;
}

ipc_status ipc_listener_accept_named_pipe(ipc_listener *listener, int64_t timeout_ms, ipc_named_pipe **out_pipe) {
  if (out_pipe != NULL) *out_pipe = NULL;
  if (listener == NULL || out_pipe == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  const ipc_pipe_instance_options *instance = &ipc_listener_shape_of(listener)->instance;
  ipc_named_pipe *pipe;
  HANDLE handle;
  ipc_status status = pipe_prepare(directions_of(instance->open_mode & PIPE_ACCESS_DUPLEX, true), &pipe);
  if (status.code != IPC_OK) return status;
  status = ipc_listener_accept_pipe(listener, true, timeout_ms, &handle);
  if (status.code != IPC_OK) {
    pipe_discard(pipe);
    return status;
  }
  ipc_stream_own(pipe->stream, handle, false, true);
  ipc_channel_set_home(ipc_stream_channel(pipe->stream), ipc_listener_home(listener));
  pipe->made = *instance;
  bool messages = (instance->pipe_mode & PIPE_TYPE_MESSAGE) != 0;
  bool reads_messages = (instance->pipe_mode & PIPE_READMODE_MESSAGE) != 0;
  pipe_begin(pipe, messages ? IPC_NAMED_PIPE_MESSAGES : IPC_NAMED_PIPE_BYTES,
             reads_messages ? IPC_NAMED_PIPE_MESSAGES : IPC_NAMED_PIPE_BYTES, true);
  *out_pipe = pipe;
  return status;
}

/* The type of the pipe behind |handle|; 0 if the system does not say. */
static uint32_t type_of(HANDLE handle) {
  DWORD flags;
  if (!GetNamedPipeInfo(handle, &flags, NULL, NULL, NULL)) return 0;
  return (flags & PIPE_TYPE_MESSAGE) != 0 ? IPC_NAMED_PIPE_MESSAGES : IPC_NAMED_PIPE_BYTES;
}

static ipc_status set_read_mode(HANDLE handle, uint32_t read_mode) {
  DWORD mode = PIPE_WAIT | (read_mode == IPC_NAMED_PIPE_MESSAGES ? PIPE_READMODE_MESSAGE : PIPE_READMODE_BYTE);
  return SetNamedPipeHandleState(handle, &mode, NULL, NULL) ? ipc_status_of(IPC_OK)
                                                            : ipc_platform_status(GetLastError());
}

/* Looks at a client's end that was just opened, and sets its mode. */
static ipc_status prepare_client(HANDLE handle, uint32_t read_mode, uint32_t *out_type) {
  *out_type = type_of(handle);
  if (*out_type == 0) return ipc_platform_status(GetLastError());
  if (read_mode > *out_type) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return read_mode == IPC_NAMED_PIPE_MESSAGES ? set_read_mode(handle, read_mode) : ipc_status_of(IPC_OK);
}

/* Attributes are what the mode is set and asked by. */
static DWORD access_of(uint32_t direction) {
  switch (direction) {
    case IPC_NAMED_PIPE_INBOUND:
      return GENERIC_WRITE | FILE_READ_ATTRIBUTES;
    case IPC_NAMED_PIPE_OUTBOUND:
      return GENERIC_READ | FILE_WRITE_ATTRIBUTES;
    default:
      return GENERIC_READ | GENERIC_WRITE;
  }
}

ipc_status ipc_named_pipe_connect(const ipc_name *name, const ipc_named_pipe_access *access, int64_t timeout_ms,
                                  ipc_named_pipe **out_pipe) {
  if (out_pipe != NULL) *out_pipe = NULL;
  ipc_named_pipe_access wanted;
  if (name == NULL || out_pipe == NULL || timeout_ms < IPC_NO_TIMEOUT || !read_access(access, &wanted)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_address address;
  ipc_named_pipe *pipe;
  ipc_status status = ipc_address_init(&address, name);
  if (status.code == IPC_OK) status = pipe_prepare(directions_of(wanted.direction, false), &pipe);
  if (status.code != IPC_OK) return status;
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  HANDLE handle;
  uint32_t type = 0;
  DWORD flags = (wanted.flags & IPC_NAMED_PIPE_WRITE_THROUGH) != 0 ? FILE_FLAG_WRITE_THROUGH : 0;
  DWORD error = ipc_pipe_open(address.text, access_of(wanted.direction), flags, &deadline, &handle);
  if (error == ERROR_PIPE_BUSY) {
    status = (ipc_status){timeout_ms == 0 ? IPC_BUSY : IPC_TIMED_OUT, error};
  } else if (error != 0) {
    status = ipc_platform_status(error);
  } else {
    status = prepare_client(handle, wanted.read_mode, &type);
    if (status.code != IPC_OK) (void)CloseHandle(handle);
  }
  if (status.code != IPC_OK) {
    pipe_discard(pipe);
    return status;
  }
  ipc_stream_own(pipe->stream, handle, false, false);
  pipe_begin(pipe, type, wanted.read_mode, false);
  *out_pipe = pipe;
  return status;
}

ipc_status ipc_named_pipe_wait(const ipc_name *name, int64_t timeout_ms) {
  if (name == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address;
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  ipc_status status = ipc_address_init(&address, name);
  if (status.code != IPC_OK) return status;
  DWORD error = ipc_pipe_await_instance(address.text, &deadline);
  if (error == ERROR_PIPE_BUSY || error == ERROR_SEM_TIMEOUT) return (ipc_status){IPC_TIMED_OUT, error};
  return error == 0 ? status : ipc_platform_status(error);
}

/* A synchronous handle cannot take a read back: messages need an overlapped one. */
ipc_status ipc_named_pipe_adopt(const ipc_raw *raw, ipc_named_pipe **out_pipe) {
  if (out_pipe == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_pipe = NULL;
  ipc_pipe_facts facts;
  ipc_status status = ipc_pipe_examine(raw, &facts);
  if (status.code != IPC_OK) return status;
  HANDLE handle = (HANDLE)(uintptr_t)raw->value;
  DWORD mode = 0;
  uint32_t type = type_of(handle);
  if (facts.synchronous || type == 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  (void)GetNamedPipeHandleStateW(handle, &mode, NULL, NULL, NULL, NULL, 0);
  ipc_named_pipe *pipe;
  status = pipe_prepare(0, &pipe);
  if (status.code != IPC_OK) return status;
  status = ipc_stream_adopt(raw, &pipe->stream);
  if (status.code != IPC_OK) {
    pipe->stream = NULL;
    pipe_discard(pipe);
    return status;
  }
  pipe_begin(pipe, type, (mode & PIPE_READMODE_MESSAGE) != 0 ? IPC_NAMED_PIPE_MESSAGES : IPC_NAMED_PIPE_BYTES,
             facts.server);
  *out_pipe = pipe;
  return status;
}

ipc_status ipc_named_pipe_close(ipc_named_pipe *pipe) {
  if (pipe == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  switch (atomic_exchange(&pipe->life, LIFE_CLOSED)) {
    case LIFE_OPEN:
      return ipc_stream_close(pipe->stream);
    case LIFE_DISCONNECTED:
      return ipc_status_of(IPC_OK);
    default:
      return ipc_status_of(IPC_CLOSED);
  }
}

ipc_status ipc_named_pipe_free(ipc_named_pipe *pipe) {
  if (pipe == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_named_pipe_close(pipe);
  (void)ipc_stream_free(pipe->stream);
  ipc_monitor_free(pipe->monitor);
  free(pipe);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_named_pipe_raw(ipc_named_pipe *pipe, ipc_raw *out_raw) {
  return pipe == NULL ? ipc_status_of(IPC_INVALID_ARGUMENT) : ipc_stream_raw(pipe->stream, out_raw);
}

ipc_status ipc_named_pipe_release(ipc_named_pipe *pipe, ipc_raw *out_raw) {
  return pipe == NULL ? ipc_status_of(IPC_INVALID_ARGUMENT) : ipc_stream_release(pipe->stream, out_raw);
}

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_named_pipe_set_nonblocking(ipc_named_pipe *pipe, bool nonblocking) {
  return pipe == NULL ? ipc_status_of(IPC_INVALID_ARGUMENT) : ipc_stream_set_nonblocking(pipe->stream, nonblocking);
}
#endif

/* ------------------------------------------------------------------------------------------------- transfers */

/* A call on a pipe: inside its gate, with its patience. */
typedef struct visit {
  ipc_named_pipe *pipe;
  ipc_channel *channel;
  ipc_gate *gate;
  ipc_deadline deadline;
  bool nonblocking; /* as it was when the call began */
} visit;

static bool begin_visit(ipc_named_pipe *pipe, int64_t timeout_ms, bool heeds_mode, visit *out_visit) {
  ipc_gate *gate = ipc_stream_gate(pipe->stream);
  if (!ipc_gate_enter(gate)) return false;
  bool nonblocking = heeds_mode && atomic_load_explicit(&gate->nonblocking, memory_order_relaxed);
  *out_visit = (visit){.pipe = pipe,
                       .channel = ipc_stream_channel(pipe->stream),
                       .gate = gate,
                       .deadline = {.timeout_ms = nonblocking ? 0 : timeout_ms},
                       .nonblocking = nonblocking};
  return true;
}

static ipc_status end_visit(const visit *v, ipc_status status) {
  ipc_gate_leave(v->gate);
  if (status.code == IPC_TIMED_OUT && v->nonblocking) status.code = IPC_WOULD_BLOCK;
  return status;
}

/* What is left of the message that reads are in. */
static size_t left_of_message(HANDLE pipe) {
  DWORD left = 0;
  return PeekNamedPipe(pipe, NULL, 0, NULL, NULL, &left) ? left : 0;
}

/* Waits for a message and leaves it there: IPC_MESSAGE_TRUNCATED with its length; IPC_OK if it is empty, which takes
 * it. A read of no bytes is what waits. */
static ipc_status await_message(visit *v, size_t *out_left) {
  size_t len;
  ipc_status status = ipc_channel_read_message(v->channel, v->gate, NULL, 0, &v->deadline, &len);
  if (status.code == IPC_MESSAGE_TRUNCATED) *out_left = left_of_message(v->channel->pipe);
  return status;
}

/* The caller has the turn. */
static ipc_status read_one_message(visit *v, uint32_t flags, void *out_data, size_t data_max, size_t *out_len,
                                   size_t *out_left) {
  if ((flags & IPC_NAMED_PIPE_WHOLE) != 0) {
    ipc_status status = await_message(v, out_left);
    if (status.code != IPC_MESSAGE_TRUNCATED || *out_left > data_max) return status;
    *out_left = 0;
  }
  ipc_status status = ipc_channel_read_message(v->channel, v->gate, out_data, data_max, &v->deadline, out_len);
  if (status.code == IPC_MESSAGE_TRUNCATED) *out_left = left_of_message(v->channel->pipe);
  return status;
}

static ipc_status read_message(ipc_named_pipe *pipe, uint32_t flags, void *out_data, size_t data_max,
                               int64_t timeout_ms, size_t *out_len, size_t *out_left) {
  visit v;
  if (!begin_visit(pipe, timeout_ms, true, &v)) return ipc_status_of(IPC_CLOSED);
  if (!ipc_stream_can(pipe->stream, DIRECTION_READ)) return end_visit(&v, ipc_status_of(IPC_UNSUPPORTED));
  int32_t code = ipc_turn_take(&pipe->reading, &v.deadline);
  if (code != IPC_OK) return end_visit(&v, ipc_status_of(code == IPC_CLOSED ? IPC_CANCELLED : code));
  ipc_status status = read_one_message(&v, flags, out_data, data_max, out_len, out_left);
  ipc_turn_give(&pipe->reading);
  return end_visit(&v, status);
}

ipc_status ipc_named_pipe_read(ipc_named_pipe *pipe, uint32_t flags, void *out_data, size_t data_max,
                               int64_t timeout_ms, size_t *out_len, size_t *out_left) {
  size_t left = 0;
  if (out_len != NULL) *out_len = 0;
  if (out_left != NULL) *out_left = 0;
  if (pipe == NULL || (out_data == NULL && data_max != 0) || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT ||
      (flags & ~(uint32_t)IPC_NAMED_PIPE_WHOLE) != 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (atomic_load(&pipe->read_mode) == IPC_NAMED_PIPE_BYTES) {
    ipc_buffer buffer = {out_data, data_max};
    return ipc_stream_read_vectored(pipe->stream, &buffer, 1, timeout_ms, out_len);
  }
  ipc_status status = read_message(pipe, flags, out_data, data_max, timeout_ms, out_len, &left);
  if (out_left != NULL) *out_left = left;
  return status;
}

static ipc_status write_message(ipc_named_pipe *pipe, const void *data, size_t data_len, int64_t timeout_ms) {
  visit v;
  if (!begin_visit(pipe, timeout_ms, true, &v)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = ipc_stream_can(pipe->stream, DIRECTION_WRITE)
                          ? ipc_channel_write_message(v.channel, data, data_len, &v.deadline)
                          : ipc_status_of(IPC_UNSUPPORTED);
  return end_visit(&v, status);
}

ipc_status ipc_named_pipe_write(ipc_named_pipe *pipe, const void *data, size_t data_len, int64_t timeout_ms,
                                size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (pipe == NULL || (data == NULL && data_len != 0) || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (pipe->type == IPC_NAMED_PIPE_BYTES) {
    ipc_const_buffer buffer = {data, data_len};
    return ipc_stream_write_vectored(pipe->stream, &buffer, 1, timeout_ms, out_len);
  }
  ipc_status status = write_message(pipe, data, data_len, timeout_ms);
  if (status.code == IPC_OK) *out_len = data_len;
  return status;
}

/* What one transaction is made of. */
typedef struct transaction {
  const void *data;
  DWORD data_len;
  void *out_answer;
  DWORD answer_max;
} transaction;

/* The caller has both turns: nothing else is written or read meanwhile. */
static ipc_status transact(visit *v, const transaction *t, size_t *out_len, size_t *out_left) {
  HANDLE pipe = v->channel->pipe;
  DWORD available = 0;
  unsigned char none;
  if (!PeekNamedPipe(pipe, NULL, 0, NULL, &available, NULL)) return ipc_channel_write_status(GetLastError());
  if (available != 0) return ipc_status_of(IPC_BUSY);
  HANDLE event = ipc_event_take(&v->channel->reading);
  if (event == NULL) return ipc_platform_status(GetLastError());
  OVERLAPPED operation = ipc_overlapped_init(event);
  BOOL started = TransactNamedPipe(pipe, (void *)(uintptr_t)t->data, t->data_len,
                                   t->answer_max != 0 ? t->out_answer : &none, t->answer_max, NULL, &operation);
  ipc_outcome outcome = ipc_overlapped_finish(v->gate, pipe, &operation, event, started, &v->deadline);
  ipc_event_give(&v->channel->reading, event);
  if (outcome.code != IPC_OK) return ipc_status_of(outcome.code);
  *out_len = outcome.len;
  if (outcome.error == ERROR_MORE_DATA) {
    *out_left = left_of_message(pipe);
    return (ipc_status){IPC_MESSAGE_TRUNCATED, outcome.error};
  }
  return outcome.error == 0 ? ipc_status_of(IPC_OK) : ipc_channel_write_status(outcome.error);
}

static ipc_status transact_in_turn(visit *v, const transaction *t, size_t *out_len, size_t *out_left) {
  int32_t code = ipc_turn_take(&v->pipe->reading, &v->deadline);
  if (code != IPC_OK) return ipc_status_of(code == IPC_CLOSED ? IPC_CANCELLED : code);
  ipc_status status = ipc_channel_take_writing(v->channel, &v->deadline);
  if (status.code == IPC_OK) {
    status = transact(v, t, out_len, out_left);
    ipc_channel_give_writing(v->channel);
  }
  ipc_turn_give(&v->pipe->reading);
  return status;
}

ipc_status ipc_named_pipe_transact(ipc_named_pipe *pipe, const void *data, size_t data_len, void *out_answer,
                                   size_t answer_max, int64_t timeout_ms, size_t *out_len, size_t *out_left) {
  size_t left = 0;
  if (out_len != NULL) *out_len = 0;
  if (out_left != NULL) *out_left = 0;
  if (pipe == NULL || (data == NULL && data_len != 0) || (out_answer == NULL && answer_max != 0) || out_len == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (data_len > INT32_MAX) return ipc_status_of(IPC_MESSAGE_TOO_LARGE);
  visit v;
  if (!begin_visit(pipe, timeout_ms, false, &v)) return ipc_status_of(IPC_CLOSED);
  transaction t = {data, (DWORD)data_len, out_answer, answer_max > INT32_MAX ? INT32_MAX : (DWORD)answer_max};
  bool can = ipc_stream_can(pipe->stream, DIRECTION_READ) && ipc_stream_can(pipe->stream, DIRECTION_WRITE) &&
             atomic_load(&pipe->read_mode) == IPC_NAMED_PIPE_MESSAGES;
  ipc_status status = end_visit(&v, can ? transact_in_turn(&v, &t, out_len, &left) : ipc_status_of(IPC_UNSUPPORTED));
  if (out_left != NULL) *out_left = left;
  return status;
}

ipc_status ipc_named_pipe_peek(ipc_named_pipe *pipe, void *out_data, size_t data_max, size_t *out_len,
                               size_t *out_available, size_t *out_message_left) {
  if (out_len != NULL) *out_len = 0;
  if (out_available != NULL) *out_available = 0;
  if (out_message_left != NULL) *out_message_left = 0;
  if (pipe == NULL || (out_data == NULL && data_max != 0) || out_len == NULL || out_available == NULL ||
      out_message_left == NULL) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  visit v;
  DWORD len = 0, available = 0, left = 0;
  if (!begin_visit(pipe, 0, false, &v)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = ipc_status_of(IPC_UNSUPPORTED);
  if (ipc_stream_can(pipe->stream, DIRECTION_READ)) {
    DWORD max = data_max > INT32_MAX ? INT32_MAX : (DWORD)data_max;
    BOOL looked = PeekNamedPipe(v.channel->pipe, max != 0 ? out_data : NULL, max, &len, &available, &left);
    DWORD error = looked ? 0 : GetLastError();
    bool there = error == 0 || error == ERROR_MORE_DATA;
    status = there ? ipc_status_of(IPC_OK) : ipc_channel_read_status(error);
    if (there) {
      *out_len = len;
      *out_available = available;
      if (atomic_load(&pipe->read_mode) == IPC_NAMED_PIPE_MESSAGES) *out_message_left = left;
    }
  }
  return end_visit(&v, status);
}

/* ------------------------------------------------------------------------------------------------- rest */

static ipc_status flush_inside(visit *v) {
  return ipc_stream_can(v->pipe->stream, DIRECTION_WRITE) ? ipc_channel_flush(v->channel, v->gate, &v->deadline)
                                                          : ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_flush(ipc_named_pipe *pipe, int64_t timeout_ms) {
  if (pipe == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  visit v;
  if (!begin_visit(pipe, timeout_ms, false, &v)) return ipc_status_of(IPC_CLOSED);
  return end_visit(&v, flush_inside(&v));
}

ipc_status ipc_named_pipe_disconnect(ipc_named_pipe *pipe, uint32_t flags, int64_t timeout_ms) {
  if (pipe == NULL || timeout_ms < IPC_NO_TIMEOUT || (flags & ~(uint32_t)IPC_NAMED_PIPE_FLUSH) != 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (atomic_load(&pipe->life) != LIFE_OPEN) return ipc_status_of(IPC_CLOSED);
  if (!pipe->server) return ipc_status_of(IPC_UNSUPPORTED);
  if ((flags & IPC_NAMED_PIPE_FLUSH) != 0 && ipc_stream_can(pipe->stream, DIRECTION_WRITE)) {
    ipc_status status = ipc_named_pipe_flush(pipe, timeout_ms);
    /* A client that is gone reads nothing any more. */
    if (status.code != IPC_OK && status.code != IPC_BROKEN_PIPE) return status;
  }
  uint32_t open = LIFE_OPEN;
  if (!atomic_compare_exchange_strong(&pipe->life, &open, LIFE_DISCONNECTED)) return ipc_status_of(IPC_CLOSED);
  return ipc_stream_disconnect(pipe->stream);
}

static ipc_status find_process(const ipc_named_pipe *pipe, HANDLE handle, ULONG *out_pid, ULONG *out_session) {
  BOOL found =
      pipe->server ? GetNamedPipeClientProcessId(handle, out_pid) : GetNamedPipeServerProcessId(handle, out_pid);
  if (!found) return ipc_platform_status(GetLastError());
  found = pipe->server ? GetNamedPipeClientSessionId(handle, out_session)
                       : GetNamedPipeServerSessionId(handle, out_session);
  /* The session of a process that has ended nobody knows but the pipe. */
  if (!found) found = ProcessIdToSessionId(*out_pid, out_session);
  return found ? ipc_status_of(IPC_OK) : ipc_platform_status(GetLastError());
}

ipc_status ipc_named_pipe_peer(ipc_named_pipe *pipe, ipc_named_pipe_process *out_process) {
  if (pipe == NULL || out_process == NULL || out_process->size < sizeof *out_process) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  visit v;
  ULONG pid = 0, session = 0;
  if (!begin_visit(pipe, 0, false, &v)) {
    return ipc_status_of(atomic_load(&pipe->life) == LIFE_DISCONNECTED ? IPC_NOT_CONNECTED : IPC_CLOSED);
  }
  ipc_status status = find_process(pipe, v.channel->pipe, &pid, &session);
  if (status.code == IPC_OK) {
    out_process->pid = pid;
    out_process->session = session;
  }
  return end_visit(&v, status);
}

/* A server's end that only writes has not the right to ask: it tells what it was made with. */
static ipc_status find_information(const ipc_named_pipe *pipe, HANDLE handle, ipc_named_pipe_information *out) {
  const bool made = pipe->made.instances_max != 0;
  DWORD flags, out_size = pipe->made.out_size, in_size = pipe->made.in_size, max = pipe->made.instances_max;
  DWORD instances = 0;
  if (!GetNamedPipeInfo(handle, &flags, &out_size, &in_size, &max)) {
    DWORD error = GetLastError();
    if (error != ERROR_ACCESS_DENIED || !made) return ipc_platform_status(error);
  }
  if (!GetNamedPipeHandleStateW(handle, NULL, &instances, NULL, NULL, NULL, 0)) {
    DWORD error = GetLastError();
    if (error != ERROR_ACCESS_DENIED) return ipc_platform_status(error);
  }
  out->server = pipe->server;
  out->type = pipe->type;
  out->read_mode = atomic_load(&pipe->read_mode);
  out->instances_max = max >= PIPE_UNLIMITED_INSTANCES ? 0 : max; /* Wine says 0xFFFFFFFF */
  out->num_instances = instances;
  out->in_size = in_size;
  out->out_size = out_size;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_named_pipe_info(ipc_named_pipe *pipe, ipc_named_pipe_information *out_information) {
  if (pipe == NULL || out_information == NULL || out_information->size < sizeof *out_information) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  visit v;
  if (!begin_visit(pipe, 0, false, &v)) return ipc_status_of(IPC_CLOSED);
  return end_visit(&v, find_information(pipe, v.channel->pipe, out_information));
}

ipc_status ipc_named_pipe_set_read_mode(ipc_named_pipe *pipe, uint32_t read_mode) {
  if (pipe == NULL || !is_type(read_mode) || read_mode > pipe->type) return ipc_status_of(IPC_INVALID_ARGUMENT);
  visit v;
  if (!begin_visit(pipe, 0, false, &v)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = ipc_status_of(IPC_UNSUPPORTED);
  if (ipc_stream_can(pipe->stream, DIRECTION_READ)) status = set_read_mode(v.channel->pipe, read_mode);
  if (status.code == IPC_OK) atomic_store(&pipe->read_mode, read_mode);
  return end_visit(&v, status);
}

static ipc_status duplicate_to(HANDLE pipe, uint64_t pid, ipc_raw *out_raw) {
  HANDLE made;
  if (pid == 0 || pid > UINT32_MAX) return ipc_status_of(IPC_NO_SUCH_PROCESS);
  HANDLE process = OpenProcess(PROCESS_DUP_HANDLE, FALSE, (DWORD)pid);
  if (process == NULL) {
    DWORD error = GetLastError();
    return error == ERROR_INVALID_PARAMETER ? (ipc_status){IPC_NO_SUCH_PROCESS, error} : ipc_platform_status(error);
  }
  DWORD error =
      DuplicateHandle(GetCurrentProcess(), pipe, process, &made, 0, FALSE, DUPLICATE_SAME_ACCESS) ? 0 : GetLastError();
  (void)CloseHandle(process);
  if (error != 0) return ipc_platform_status(error);
  *out_raw = ipc_pipe_raw(made);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_named_pipe_duplicate(ipc_named_pipe *pipe, uint64_t pid, ipc_raw *out_raw) {
  if (pipe == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  visit v;
  if (!begin_visit(pipe, 0, false, &v)) return ipc_status_of(IPC_CLOSED);
  ipc_channel_leave_home(v.channel);
  return end_visit(&v, duplicate_to(v.channel->pipe, pid, out_raw));
}
