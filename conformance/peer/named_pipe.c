/* named_pipe.c - the handlers of Windows' named pipes. Listeners are those of every primitive. */
#include <stdlib.h>
#include <string.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"
#include "conformance/peer/released.h"

/* ---------------------------------------------------------------------------------------------------- arguments */

/* Bytes or messages, IPC_NAMED_PIPE_*; 0 if it is absent. */
static uint32_t type_of(const cts_call *call, const char *key) {
  const char *type = cts_text_or(call, key, "");
  return strcmp(type, "bytes") == 0      ? IPC_NAMED_PIPE_BYTES
         : strcmp(type, "messages") == 0 ? IPC_NAMED_PIPE_MESSAGES
                                         : 0;
}

static uint32_t direction_of(const cts_call *call) {
  const char *direction = cts_text_or(call, "direction", "");
  return strcmp(direction, "inbound") == 0    ? IPC_NAMED_PIPE_INBOUND
         : strcmp(direction, "outbound") == 0 ? IPC_NAMED_PIPE_OUTBOUND
         : strcmp(direction, "duplex") == 0   ? IPC_NAMED_PIPE_DUPLEX
                                              : 0;
}

static endpoint_request request_of(const cts_call *call, int direction, ipc_status (*once)(endpoint *, int64_t, void *),
                                   void *context) {
  return (endpoint_request){
      .direction = direction,
      .wait = cts_bool_or(call, "wait", true),
      .timeout_ms = call_timeout(call),
      .call = once,
      .context = context,
  };
}

/* Of an operation that has no nonblocking form, and no argument `wait`: the library waits in every mode. */
static endpoint_request waiting_request_of(const cts_call *call, int direction,
                                           ipc_status (*once)(endpoint *, int64_t, void *), void *context) {
  return (endpoint_request){
      .direction = direction,
      .wait = true,
      .own_wait = true,
      .timeout_ms = call_timeout(call),
      .call = once,
      .context = context,
  };
}

/* ------------------------------------------------------------------------------------------ making and ending */

cts_outcome do_named_pipe_listen(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  ipc_named_pipe_options options = {.size = sizeof(options)};
  ipc_listener *listener = NULL;
  options.type = type_of(call, "type");
  options.read_mode = type_of(call, "read_mode");
  options.direction = direction_of(call);
  options.instances_max = (uint32_t)cts_u64_or(call, "instances_max", 0);
  options.in_size = (uint32_t)cts_u64_or(call, "in_size", 0);
  options.out_size = (uint32_t)cts_u64_or(call, "out_size", 0);
  options.backlog = (uint32_t)cts_u64_or(call, "backlog", 0);
  if (cts_bool_or(call, "share_name", false)) options.flags |= IPC_NAMED_PIPE_SHARE_NAME;
  if (cts_bool_or(call, "same_user", false)) options.flags |= IPC_NAMED_PIPE_SAME_USER;
  ipc_status status = library.named_pipe_listen(&name, &options, &listener);
  if (status.code == IPC_OK && listener != NULL) call_add_native(call, listener);
  return call_make(call, "as", status, ENDPOINT_LISTENER, listener);
}

static ipc_status accept_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.listener_accept_named_pipe(e->listener, timeout_ms, context);
}

cts_outcome do_listener_accept_named_pipe(cts_call *call) {
  ipc_named_pipe *pipe = NULL;
  endpoint_request request = request_of(call, WAIT_READABLE, accept_once, &pipe);
  ipc_status status = endpoint_perform(cts_object(call), &request);
  return call_make(call, "as", status, ENDPOINT_NAMED_PIPE, pipe);
}

/* As with a local socket there is no handle to wait on yet: the wait is the library's own in every mode, and
 * `wait: false` is a timeout that expires at once. */
cts_outcome do_named_pipe_connect(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  ipc_named_pipe_access access = {.size = sizeof(access)};
  ipc_named_pipe *pipe = NULL;
  access.direction = direction_of(call);
  access.read_mode = type_of(call, "read_mode");
  int64_t timeout_ms = cts_bool_or(call, "wait", true) ? call_timeout(call) : 0;
  ipc_status status = library.named_pipe_connect(&name, &access, timeout_ms, &pipe);
  return call_make(call, "as", status, ENDPOINT_NAMED_PIPE, pipe);
}

cts_outcome do_named_pipe_wait(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  return outcome_of(library.named_pipe_wait(&name, call_timeout(call)));
}

cts_outcome do_named_pipe_adopt(cts_call *call) {
  ipc_raw raw = call_raw(call);
  ipc_named_pipe *pipe = NULL;
  ipc_status status = library.named_pipe_adopt(&raw, &pipe);
  if (status.code == IPC_OK) released_take(&raw);
  return call_make(call, "as", status, ENDPOINT_NAMED_PIPE, pipe);
}

cts_outcome do_named_pipe_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.named_pipe_raw(e->named_pipe, &raw);
  return call_add_raw(call, status, &raw);
}

cts_outcome do_named_pipe_release(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.named_pipe_release(e->named_pipe, &raw);
  return call_released(call, status, &raw);
}

/* The handle is the other process's: a reset of this one does not close it. */
cts_outcome do_named_pipe_duplicate(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.named_pipe_duplicate(e->named_pipe, cts_u64_or(call, "pid", 0), &raw);
  return call_add_raw(call, status, &raw);
}

/* -------------------------------------------------------------------------------------------------------- write */

typedef struct writing {
  const uint8_t *data;
  size_t len;   /* of all */
  size_t taken; /* by calls before */
  size_t moved; /* what the library answered last */
} writing;

static ipc_status write_once(endpoint *e, int64_t timeout_ms, void *context) {
  writing *w = context;
  w->moved = 0;
  return library.named_pipe_write(e->named_pipe, w->data + w->taken, w->len - w->taken, timeout_ms, &w->moved);
}

/* write_all makes the call until everything is taken: of bytes, a library that does not wait may take a part. */
static cts_outcome write_all(cts_call *call, writing *w) {
  endpoint *e = cts_object(call);
  endpoint_request request = request_of(call, WAIT_WRITABLE, write_once, w);
  const bool attempt = !request.wait || e->user_nonblocking;
  do {
    w->moved = 0;
    ipc_status status = endpoint_perform(e, &request);
    if (w->moved > w->len - w->taken) {
      return outcome_why("failed", "the library took %zu bytes of %zu", w->moved, w->len - w->taken);
    }
    w->taken += w->moved;
    if (status.code != IPC_OK) return outcome_of(status);
    if (w->moved == 0 && w->len > 0) return cts_status("failed", "the library answered ok and took nothing");
  } while (w->taken < w->len && !attempt);
  return cts_ok();
}

cts_outcome do_named_pipe_write(cts_call *call) {
  cts_data data = cts_data_of(call, "data");
  uint8_t *bytes = call_room_get(call, data.len);
  if (bytes == NULL) return cts_status("out_of_resources", "no memory for the data");
  cts_data_copy(&data, 0, bytes, data.len);
  writing w = {.data = bytes, .len = data.len};
  cts_outcome outcome = write_all(call, &w);
  cts_add_u64(call, "length", w.taken);
  call_room_put(call, bytes);
  return outcome;
}

/* --------------------------------------------------------------------------------------------------------- read */

typedef struct reading {
  uint32_t flags;
  uint8_t *room;
  size_t max;
  size_t len;          /* what the library answered */
  size_t left;         /* likewise */
  const uint8_t *data; /* of a transaction */
  size_t data_len;
} reading;

static ipc_status read_once(endpoint *e, int64_t timeout_ms, void *context) {
  reading *r = context;
  r->len = r->left = 0;
  return library.named_pipe_read(e->named_pipe, r->flags, r->room, r->max, timeout_ms, &r->len, &r->left);
}

static ipc_status transact_once(endpoint *e, int64_t timeout_ms, void *context) {
  reading *r = context;
  r->len = r->left = 0;
  return library.named_pipe_transact(e->named_pipe, r->data, r->data_len, r->room, r->max, timeout_ms, &r->len,
                                     &r->left);
}

static cts_outcome read_it(cts_call *call, reading *r, const endpoint_request *request) {
  cts_outcome outcome = outcome_of(endpoint_perform(cts_object(call), request));
  if (r->len > r->max) return outcome_why("failed", "the library answered length %zu for %zu bytes", r->len, r->max);
  cts_digest digest;
  cts_digest_init(&digest, 0);
  cts_digest_update(&digest, r->room, r->len);
  cts_add_digest(call, &digest);
  if (outcome_is(outcome, "message_truncated")) {
    if (r->left == 0) return cts_status("failed", "the library says message_truncated and that nothing is left");
    cts_add_u64(call, "left", r->left);
  }
  return outcome;
}

/* room_of gives room for `max` bytes; one byte more, so that it is never NULL for none. */
static uint8_t *room_of(cts_call *call, size_t *out_max) {
  uint64_t max = cts_u64_or(call, "max", 0);
  *out_max = (size_t)max;
  return max < CTS_PATTERN_MAX ? malloc((size_t)max + 1) : NULL;
}

cts_outcome do_named_pipe_read(cts_call *call) {
  reading r = {.flags = cts_bool_or(call, "whole", false) ? IPC_NAMED_PIPE_WHOLE : 0};
  r.room = room_of(call, &r.max);
  if (r.room == NULL) return cts_status("out_of_resources", "no memory for so much");
  endpoint_request request = request_of(call, WAIT_READABLE, read_once, &r);
  cts_outcome outcome = read_it(call, &r, &request);
  free(r.room);
  return outcome;
}

cts_outcome do_named_pipe_transact(cts_call *call) {
  cts_data data = cts_data_of(call, "data");
  uint8_t *bytes = call_room_get(call, data.len);
  reading r = {.data = bytes, .data_len = data.len};
  r.room = room_of(call, &r.max);
  cts_outcome outcome = cts_status("out_of_resources", "no memory for so much");
  if (bytes != NULL && r.room != NULL) {
    cts_data_copy(&data, 0, bytes, data.len);
    endpoint_request request = waiting_request_of(call, WAIT_READABLE, transact_once, &r);
    outcome = read_it(call, &r, &request);
  }
  free(r.room);
  if (bytes != NULL) call_room_put(call, bytes);
  return outcome;
}

cts_outcome do_named_pipe_peek(cts_call *call) {
  endpoint *e = cts_object(call);
  size_t max = 0, len = 0, available = 0, message_left = 0;
  uint8_t *room = room_of(call, &max);
  if (room == NULL) return cts_status("out_of_resources", "no memory for so much");
  ipc_status status = library.named_pipe_peek(e->named_pipe, room, max, &len, &available, &message_left);
  cts_outcome outcome = outcome_of(status);
  if (len > max) {
    outcome = outcome_why("failed", "the library answered length %zu for %zu bytes", len, max);
  } else {
    cts_digest digest;
    cts_digest_init(&digest, 0);
    cts_digest_update(&digest, room, len);
    cts_add_digest(call, &digest);
    cts_add_u64(call, "available", available);
    cts_add_u64(call, "message_left", message_left);
  }
  free(room);
  return outcome;
}

/* ------------------------------------------------------------------------------------------------------- others */

static ipc_status flush_once(endpoint *e, int64_t timeout_ms, void *context) {
  (void)context;
  return library.named_pipe_flush(e->named_pipe, timeout_ms);
}

cts_outcome do_named_pipe_flush(cts_call *call) {
  endpoint_request request = waiting_request_of(call, WAIT_WRITABLE, flush_once, NULL);
  return outcome_of(endpoint_perform(cts_object(call), &request));
}

static ipc_status disconnect_once(endpoint *e, int64_t timeout_ms, void *context) {
  const uint32_t *flags = context;
  return library.named_pipe_disconnect(e->named_pipe, *flags, timeout_ms);
}

cts_outcome do_named_pipe_disconnect(cts_call *call) {
  uint32_t flags = cts_bool_or(call, "flush", false) ? IPC_NAMED_PIPE_FLUSH : 0;
  endpoint_request request = waiting_request_of(call, WAIT_WRITABLE, disconnect_once, &flags);
  return outcome_of(endpoint_perform(cts_object(call), &request));
}

cts_outcome do_named_pipe_peer(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_named_pipe_process process = {.size = sizeof(process)};
  ipc_status status = library.named_pipe_peer(e->named_pipe, &process);
  if (status.code == IPC_OK) {
    cts_add_u64(call, "pid", process.pid);
    cts_add_u64(call, "session", process.session);
  }
  return outcome_of(status);
}

static const char *type_name(uint32_t type) { return type == IPC_NAMED_PIPE_MESSAGES ? "messages" : "bytes"; }

cts_outcome do_named_pipe_info(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_named_pipe_information information = {.size = sizeof(information)};
  ipc_status status = library.named_pipe_info(e->named_pipe, &information);
  if (status.code == IPC_OK) {
    cts_add_text(call, "end", information.server != 0 ? "server" : "client");
    cts_add_text(call, "type", type_name(information.type));
    cts_add_text(call, "read_mode", type_name(information.read_mode));
    cts_add_u64(call, "instances_max", information.instances_max);
    cts_add_u64(call, "instances", information.num_instances);
    cts_add_u64(call, "in_size", information.in_size);
    cts_add_u64(call, "out_size", information.out_size);
  }
  return outcome_of(status);
}

cts_outcome do_named_pipe_set_read_mode(cts_call *call) {
  endpoint *e = cts_object(call);
  return outcome_of(library.named_pipe_set_read_mode(e->named_pipe, type_of(call, "read_mode")));
}
