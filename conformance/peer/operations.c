/* operations.c - names, making and ending handles, and what is one plain call of the library. Moving bytes is in
 * transfer.c. */
#include "conformance/peer/operations.h"

#include <string.h>

#include "conformance/peer/endpoint.h"
#include "conformance/peer/outcome.h"
#include "conformance/peer/released.h"

/* ------------------------------------------------------------------------------------------------------- names */

static uint32_t kind_of(const cts_call *call) {
  const char *kind = cts_text_or(call, "kind", "");
  return strcmp(kind, "path") == 0         ? IPC_NAME_PATH
         : strcmp(kind, "namespaced") == 0 ? IPC_NAME_NAMESPACED
                                           : IPC_NAME_NATIVE;
}

static ipc_name name_of(const cts_call *call) {
  cts_bytes name = cts_bytes_of(call, "name");
  return (ipc_name){kind_of(call), name.data, name.len};
}

static uint32_t os_of(const cts_call *call) {
  static const char *const names[] = {"linux", "macos", "freebsd", "windows"};
  const char *os = cts_text_or(call, "os", "");
  for (uint32_t i = 0; i < 4; i++) {
    if (strcmp(os, names[i]) == 0) return IPC_OS_LINUX + i;
  }
  return IPC_OS_THIS;
}

/* add_bytes_of_library adds the |len| bytes that the library wrote to the scratch room, if |status| is ok. */
static cts_outcome add_bytes_of_library(cts_call *call, const char *key, ipc_status status, size_t len) {
  if (status.code == IPC_OK && len > CTS_LINE_MAX)
    return outcome_why("failed", "the library wrote beyond the room it had");
  if (status.code == IPC_OK) cts_add_bytes(call, key, cts_scratch(call), len);
  return outcome_of(status);
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
  return add_bytes_of_library(call, "name", status, len);
}

cts_outcome do_name_format(cts_call *call) {
  ipc_name name = name_of(call);
  size_t len = 0;
  ipc_status status = library.name_format(&name, cts_scratch(call), CTS_LINE_MAX, &len);
  return add_bytes_of_library(call, "text", status, len);
}

cts_outcome do_name_native(cts_call *call) {
  ipc_name name = name_of(call);
  size_t len = 0;
  ipc_status status = library.name_native(&name, os_of(call), cts_scratch(call), CTS_LINE_MAX, &len);
  return add_bytes_of_library(call, "native", status, len);
}

cts_outcome do_name_limit(cts_call *call) {
  size_t max = 0;
  ipc_status status = library.name_limit(kind_of(call), os_of(call), &max);
  if (status.code == IPC_OK) cts_add_u64(call, "max", max);
  return outcome_of(status);
}

/* ------------------------------------------------------------------------------------------ making and ending */

/* make_handle gives the kit the handle that the library made; |status| is the library's. */
static cts_outcome make_handle(cts_call *call, const char *key, ipc_status status, ipc_listener *listener,
                               ipc_stream *stream) {
  if (status.code != IPC_OK) return outcome_of(status);
  if (listener == NULL && stream == NULL) return outcome_why("failed", "the library answered ok and made no handle");
  endpoint *e = endpoint_new(listener, stream, &status);
  if (e != NULL) cts_make(call, key, e);
  return outcome_of(status);
}

cts_outcome do_local_listen(cts_call *call) {
  ipc_name name = name_of(call);
  ipc_local_listen_options options = {.size = sizeof(options)};
  ipc_listener *listener = NULL;
  if (cts_bool_or(call, "reclaim", false)) options.flags |= IPC_LISTEN_RECLAIM;
  if (cts_has(call, "mode")) options.flags |= IPC_LISTEN_MODE;
  options.mode = (uint32_t)cts_u64_or(call, "mode", 0);
  options.backlog = (uint32_t)cts_u64_or(call, "backlog", 0);
  if (cts_has(call, "backlog") && options.backlog == 0) return outcome_why("invalid_argument", "backlog is at least 1");
  ipc_status status = library.local_listen(&name, &options, &listener);
  if (status.code == IPC_OK && listener != NULL && library.listener_native != NULL) {
    size_t len = 0;
    ipc_status native = library.listener_native(listener, cts_scratch(call), CTS_LINE_MAX, &len);
    if (native.code == IPC_OK && len <= CTS_LINE_MAX) cts_add_bytes(call, "native", cts_scratch(call), len);
  }
  return make_handle(call, "as", status, listener, NULL);
}

/* A connect has no handle to wait on yet, so it is the library's own wait in every mode. `wait: false` is a timeout
 * that expires at once, and what the library calls timed_out is then would_block. */
cts_outcome do_local_connect(cts_call *call) {
  ipc_name name = name_of(call);
  ipc_stream *stream = NULL;
  bool wait = cts_bool_or(call, "wait", true);
  int64_t timeout_ms = cts_has(call, "timeout_ms") ? (int64_t)cts_u64_or(call, "timeout_ms", 0) : IPC_NO_TIMEOUT;
  ipc_status status = library.local_connect(&name, wait ? timeout_ms : 0, &stream);
  if (!wait && status.code == IPC_TIMED_OUT) status.code = IPC_WOULD_BLOCK;
  return make_handle(call, "as", status, NULL, stream);
}

static ipc_status accept_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.listener_accept(e->listener, timeout_ms, context);
}

cts_outcome do_listener_accept(cts_call *call) {
  ipc_stream *stream = NULL;
  endpoint_request request = {
      .direction = WAIT_READABLE,
      .wait = cts_bool_or(call, "wait", true),
      .timeout_ms = cts_has(call, "timeout_ms") ? (int64_t)cts_u64_or(call, "timeout_ms", 0) : IPC_NO_TIMEOUT,
      .call = accept_once,
      .context = &stream,
  };
  ipc_status status = endpoint_perform(cts_object(call), &request);
  return make_handle(call, "as", status, NULL, stream);
}

static ipc_raw raw_argument(const cts_call *call) {
  cts_raw raw = cts_raw_of(call, "raw");
  return (ipc_raw){platform_raw_kind(raw.kind), raw.value};
}

cts_outcome do_listener_adopt(cts_call *call) {
  ipc_raw raw = raw_argument(call);
  ipc_listener *listener = NULL;
  ipc_status status = library.listener_adopt(&raw, &listener);
  if (status.code == IPC_OK) released_take(&raw);
  return make_handle(call, "as", status, listener, NULL);
}

cts_outcome do_stream_adopt(cts_call *call) {
  ipc_raw raw = raw_argument(call);
  ipc_stream *stream = NULL;
  ipc_status status = library.stream_adopt(&raw, &stream);
  if (status.code == IPC_OK) released_take(&raw);
  return make_handle(call, "as", status, NULL, stream);
}

/* make_two gives the kit the two streams that the library made of one call. */
static cts_outcome make_two(cts_call *call, ipc_status status, ipc_stream *reader, ipc_stream *writer) {
  cts_outcome outcome = make_handle(call, "read_as", status, NULL, reader);
  if (status.code != IPC_OK) return outcome;
  cts_outcome second = make_handle(call, "write_as", status, NULL, writer);
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

/* Like a connect, an open has no handle to wait on yet: it is the library's own wait in every mode. */
cts_outcome do_fifo_open(cts_call *call) {
  cts_bytes path = cts_bytes_of(call, "path");
  uint32_t direction = strcmp(cts_text_or(call, "direction", ""), "read") == 0 ? IPC_FIFO_READ : IPC_FIFO_WRITE;
  uint32_t flags = cts_bool_or(call, "wait", true) ? 0 : IPC_FIFO_NO_WAIT;
  int64_t timeout_ms = cts_has(call, "timeout_ms") ? (int64_t)cts_u64_or(call, "timeout_ms", 0) : IPC_NO_TIMEOUT;
  ipc_stream *stream = NULL;
  ipc_status status = library.fifo_open(path.data, path.len, direction, flags, timeout_ms, &stream);
  return make_handle(call, "as", status, NULL, stream);
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

/* add_raw adds a system handle that the library answered, if |status| is ok. */
static cts_outcome add_raw(cts_call *call, ipc_status status, const ipc_raw *raw) {
  if (status.code == IPC_OK) cts_add_raw(call, "raw", (cts_raw){platform_raw_kind_name(raw->kind), raw->value});
  return outcome_of(status);
}

/* end_release ends the kit's waits on a handle that was released: they are calls under way that end as cancelled. */
static cts_outcome end_release(cts_call *call, ipc_status status, const ipc_raw *raw) {
  if (status.code == IPC_OK) {
    released_add(raw);
    endpoint_end_waits(cts_object(call));
  }
  return add_raw(call, status, raw);
}

cts_outcome do_listener_release(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.listener_release(e->listener, &raw);
  return end_release(call, status, &raw);
}

cts_outcome do_stream_release(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.stream_release(e->stream, &raw);
  return end_release(call, status, &raw);
}

cts_outcome do_listener_close(cts_call *call) { return cts_close(call); }
cts_outcome do_stream_close(cts_call *call) { return cts_close(call); }

static cts_outcome close_object(void *object) { return outcome_of(endpoint_close(object)); }
static void release_object(void *object) { endpoint_free(object); }

const cts_kind operations_kinds[] = {
    {"listener", close_object, release_object},
    {"stream", close_object, release_object},
    {NULL, NULL, NULL},
};

/* ------------------------------------------------------------------------------------------------- plain calls */

cts_outcome do_listener_native(cts_call *call) {
  endpoint *e = cts_object(call);
  size_t len = 0;
  ipc_status status = library.listener_native(e->listener, cts_scratch(call), CTS_LINE_MAX, &len);
  return add_bytes_of_library(call, "native", status, len);
}

cts_outcome do_listener_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.listener_raw(e->listener, &raw);
  return add_raw(call, status, &raw);
}

cts_outcome do_stream_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.stream_raw(e->stream, &raw);
  return add_raw(call, status, &raw);
}

cts_outcome do_listener_set_nonblocking(cts_call *call) {
  return outcome_of(endpoint_set_nonblocking(cts_object(call), cts_bool_or(call, "nonblocking", false)));
}

cts_outcome do_stream_set_nonblocking(cts_call *call) {
  return outcome_of(endpoint_set_nonblocking(cts_object(call), cts_bool_or(call, "nonblocking", false)));
}

cts_outcome do_stream_peer_credentials(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_credentials credentials = {0, 0, 0, 0};
  ipc_status status = library.stream_peer_credentials(e->stream, &credentials);
  if (status.code == IPC_OK) {
    if (credentials.fields & IPC_CREDENTIALS_PID) cts_add_u64(call, "pid", credentials.pid);
    if (credentials.fields & IPC_CREDENTIALS_UID) cts_add_u64(call, "uid", credentials.uid);
    if (credentials.fields & IPC_CREDENTIALS_GID) cts_add_u64(call, "gid", credentials.gid);
  }
  return outcome_of(status);
}
