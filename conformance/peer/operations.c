/* operations.c - names, making and ending handles, and what is one plain call of the library. Moving bytes is in
 * transfer.c. */
#include "conformance/peer/operations.h"

#include <string.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/outcome.h"
#include "conformance/peer/released.h"
#include "conformance/peer/tasks.h"

/* ------------------------------------------------------------------------------------------------------- names */

static uint32_t os_of(const cts_call *call) {
  static const char *const names[] = {"linux", "macos", "freebsd", "windows"};
  const char *os = cts_text_or(call, "os", "");
  for (uint32_t i = 0; i < 4; i++) {
    if (strcmp(os, names[i]) == 0) return IPC_OS_LINUX + i;
  }
  return IPC_OS_THIS;
}

cts_outcome do_name_parse(cts_call *call) {
  cts_bytes text = cts_bytes_of(call, "text");
  uint32_t kind = 0;
  size_t len = 0;
  ipc_status status = library.name_parse(text.data, text.len, &kind, cts_scratch(call), CTS_LINE_MAX, &len);
  if (status.code == IPC_OK) {
    if (kind != IPC_NAME_PATH && kind != IPC_NAME_NAMESPACED)
      return outcome_why("failed", "the kind is %u", (unsigned)kind);
    cts_add_text(call, "kind", kind == IPC_NAME_PATH ? "path" : "namespaced");
  }
  return call_add_bytes(call, "name", status, len);
}

cts_outcome do_name_format(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  size_t len = 0;
  ipc_status status = library.name_format(&name, cts_scratch(call), CTS_LINE_MAX, &len);
  return call_add_bytes(call, "text", status, len);
}

cts_outcome do_name_native(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  size_t len = 0;
  ipc_status status = library.name_native(&name, os_of(call), cts_scratch(call), CTS_LINE_MAX, &len);
  return call_add_bytes(call, "native", status, len);
}

cts_outcome do_name_limit(cts_call *call) {
  size_t max = 0;
  ipc_status status = library.name_limit(call_name_kind(call, "kind"), os_of(call), &max);
  if (status.code == IPC_OK) cts_add_u64(call, "max", max);
  return outcome_of(status);
}

/* ------------------------------------------------------------------------------------------ making and ending */

cts_outcome do_local_listen(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  ipc_local_listen_options options;
  ipc_listener *listener = NULL;
  cts_outcome outcome = call_listen_options(call, &options);
  if (!outcome_is(outcome, "ok")) return outcome;
  ipc_status status = library.local_listen(&name, &options, &listener);
  if (status.code == IPC_OK && listener != NULL) call_add_native(call, listener);
  return call_make(call, "as", status, ENDPOINT_LISTENER, listener);
}

/* make_stream has the loop make a stream, in async mode. */
static ipc_status make_stream(const ipc_submission *submission, ipc_stream **out_stream) {
  ipc_completion done;
  ipc_status status = tasks_perform(submission, &done);
  *out_stream = done.stream;
  return status;
}

static ipc_status connect_to(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  if (!mode_async) return library.local_connect(name, timeout_ms, out_stream);
  const ipc_submission submission = {
      .size = sizeof(submission), .operation = IPC_SUBMIT_CONNECT, .timeout_ms = timeout_ms, .name = name};
  return make_stream(&submission, out_stream);
}

/* A connect has no handle to wait on yet, so it is the library's own wait in every mode. `wait: false` is a timeout
 * that expires at once, and what the library calls timed_out is then would_block. */
cts_outcome do_local_connect(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  ipc_stream *stream = NULL;
  bool wait = cts_bool_or(call, "wait", true);
  int64_t timeout_ms = call_timeout(call);
  ipc_status status = connect_to(&name, wait ? timeout_ms : 0, &stream);
  if (!wait && status.code == IPC_TIMED_OUT) status.code = IPC_WOULD_BLOCK;
  return call_make(call, "as", status, ENDPOINT_STREAM, stream);
}

static ipc_status accept_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.listener_accept(e->listener, timeout_ms, context);
}

static void accept_submit(endpoint *e, ipc_submission *out, void *context) {
  (void)context;
  out->operation = IPC_SUBMIT_ACCEPT;
  out->listener = e->listener;
}

static void accept_complete(const ipc_completion *done, void *context) {
  ipc_stream **out_stream = context;
  *out_stream = done->stream;
}

cts_outcome do_listener_accept(cts_call *call) {
  ipc_stream *stream = NULL;
  endpoint_request request = {
      .direction = WAIT_READABLE,
      .wait = cts_bool_or(call, "wait", true),
      .timeout_ms = call_timeout(call),
      .call = accept_once,
      .context = &stream,
      .submit = accept_submit,
      .complete = accept_complete,
  };
  ipc_status status = endpoint_perform(cts_object(call), &request);
  return call_make(call, "as", status, ENDPOINT_STREAM, stream);
}

cts_outcome do_listener_adopt(cts_call *call) {
  ipc_raw raw = call_raw(call);
  ipc_listener *listener = NULL;
  ipc_status status = library.listener_adopt(&raw, &listener);
  if (status.code == IPC_OK) released_take(&raw);
  return call_make(call, "as", status, ENDPOINT_LISTENER, listener);
}

cts_outcome do_stream_adopt(cts_call *call) {
  ipc_raw raw = call_raw(call);
  ipc_stream *stream = NULL;
  ipc_status status = library.stream_adopt(&raw, &stream);
  if (status.code == IPC_OK) released_take(&raw);
  return call_make(call, "as", status, ENDPOINT_STREAM, stream);
}

/* make_two gives the kit the two streams that the library made of one call. */
static cts_outcome make_two(cts_call *call, ipc_status status, ipc_stream *reader, ipc_stream *writer) {
  cts_outcome outcome = call_make(call, "read_as", status, ENDPOINT_STREAM, reader);
  if (status.code != IPC_OK) return outcome;
  cts_outcome second = call_make(call, "write_as", status, ENDPOINT_STREAM, writer);
  return strcmp(outcome.status, "ok") == 0 ? second : outcome;
}

cts_outcome do_pipe_create(cts_call *call) {
  ipc_pipe_options options = {.size = sizeof(options)};
  ipc_stream *reader = NULL, *writer = NULL;
  if (cts_bool_or(call, "inherit_reader", false)) options.flags |= IPC_PIPE_INHERIT_READER;
  if (cts_bool_or(call, "inherit_writer", false)) options.flags |= IPC_PIPE_INHERIT_WRITER;
  options.capacity = cts_u64_or(call, "capacity", 0);
  ipc_status status = library.pipe_create(&options, &reader, &writer);
  return make_two(call, status, reader, writer);
}

cts_outcome do_fifo_create(cts_call *call) {
  cts_bytes path = cts_bytes_of(call, "path");
  return outcome_of(library.fifo_create(path.data, path.len, (uint32_t)cts_u64_or(call, "mode", 0)));
}

static ipc_status open_fifo(cts_bytes path, uint32_t direction, uint32_t flags, int64_t timeout_ms,
                            ipc_stream **out_stream) {
  if (!mode_async) return library.fifo_open(path.data, path.len, direction, flags, timeout_ms, out_stream);
  const ipc_name name = {IPC_NAME_PATH, path.data, path.len};
  const ipc_submission submission = {.size = sizeof(submission),
                                     .operation = IPC_SUBMIT_FIFO_OPEN,
                                     .timeout_ms = timeout_ms,
                                     .flags = flags,
                                     .direction = direction,
                                     .name = &name};
  return make_stream(&submission, out_stream);
}

/* Like a connect, an open has no handle to wait on yet: it is the library's own wait in every mode. */
cts_outcome do_fifo_open(cts_call *call) {
  cts_bytes path = cts_bytes_of(call, "path");
  uint32_t direction = strcmp(cts_text_or(call, "direction", ""), "read") == 0 ? IPC_FIFO_READ : IPC_FIFO_WRITE;
  uint32_t flags = cts_bool_or(call, "wait", true) ? 0 : IPC_FIFO_NO_WAIT;
  int64_t timeout_ms = call_timeout(call);
  ipc_stream *stream = NULL;
  ipc_status status = open_fifo(path, direction, flags, timeout_ms, &stream);
  return call_make(call, "as", status, ENDPOINT_STREAM, stream);
}

cts_outcome do_fifo_remove(cts_call *call) {
  cts_bytes path = cts_bytes_of(call, "path");
  return outcome_of(library.fifo_remove(path.data, path.len));
}

/* A split of a stream on which the kit waits is what a split during a blocked call is: busy. */
cts_outcome do_stream_split(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_stream *reader = NULL, *writer = NULL;
  if (endpoint_kit_waits(e)) return outcome_why("busy", "an operation is in flight on the stream");
  ipc_status status = library.stream_split(e->stream, &reader, &writer);
  return make_two(call, status, reader, writer);
}

cts_outcome do_listener_release(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.listener_release(e->listener, &raw);
  return call_released(call, status, &raw);
}

cts_outcome do_stream_release(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.stream_release(e->stream, &raw);
  return call_released(call, status, &raw);
}

static cts_outcome close_object(void *object) { return outcome_of(endpoint_close(object)); }
static void release_object(void *object) { endpoint_free(object); }

const cts_kind operations_kinds[] = {
    {"listener", close_object, release_object},
    {"stream", close_object, release_object},
    {"socket", close_object, release_object},
    {"watcher", close_object, release_object},
    {"framed", close_object, release_object},
    {"named_pipe", close_object, release_object},
    {NULL, NULL, NULL},
};

/* ------------------------------------------------------------------------------------------------- plain calls */

cts_outcome do_listener_native(cts_call *call) {
  endpoint *e = cts_object(call);
  size_t len = 0;
  ipc_status status = library.listener_native(e->listener, cts_scratch(call), CTS_LINE_MAX, &len);
  return call_add_bytes(call, "native", status, len);
}

cts_outcome do_listener_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.listener_raw(e->listener, &raw);
  return call_add_raw(call, status, &raw);
}

cts_outcome do_stream_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.stream_raw(e->stream, &raw);
  return call_add_raw(call, status, &raw);
}

/* One handler for every kind of handle: the endpoint knows which function of the library it is. */
static cts_outcome set_nonblocking(cts_call *call) {
  return outcome_of(endpoint_set_nonblocking(cts_object(call), cts_bool_or(call, "nonblocking", false)));
}

cts_outcome do_listener_set_nonblocking(cts_call *call) { return set_nonblocking(call); }
cts_outcome do_stream_set_nonblocking(cts_call *call) { return set_nonblocking(call); }
cts_outcome do_socket_set_nonblocking(cts_call *call) { return set_nonblocking(call); }
cts_outcome do_watcher_set_nonblocking(cts_call *call) { return set_nonblocking(call); }
cts_outcome do_framed_set_nonblocking(cts_call *call) { return set_nonblocking(call); }
cts_outcome do_named_pipe_set_nonblocking(cts_call *call) { return set_nonblocking(call); }

cts_outcome do_listener_close(cts_call *call) { return cts_close(call); }
cts_outcome do_stream_close(cts_call *call) { return cts_close(call); }
cts_outcome do_socket_close(cts_call *call) { return cts_close(call); }
cts_outcome do_watcher_close(cts_call *call) { return cts_close(call); }
cts_outcome do_framed_close(cts_call *call) { return cts_close(call); }
cts_outcome do_named_pipe_close(cts_call *call) { return cts_close(call); }

cts_outcome do_stream_peer_credentials(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_credentials credentials = {0, 0, 0, 0};
  ipc_status status = library.stream_peer_credentials(e->stream, &credentials);
  if (status.code == IPC_OK) call_add_credentials(call, &credentials);
  return outcome_of(status);
}
