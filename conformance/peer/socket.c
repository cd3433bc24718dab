/* socket.c - the handlers of Unix domain sockets: unix.listen, stream.shutdown, and the sockets that move messages. */
#include <stdlib.h>
#include <string.h>

#include "conformance/peer/ancillary.h"
#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"
#include "conformance/peer/released.h"

enum { VECTORS_MAX = CTS_LIST_MAX };

/* ---------------------------------------------------------------------------------------------------- arguments */

/* name_or_autobind reads a name, or `autobind`, which stands for none: then |*out_name| is NULL. */
static cts_outcome name_or_autobind(const cts_call *call, ipc_name *name, const ipc_name **out_name) {
  bool named = cts_has(call, "kind") && cts_has(call, "name");
  bool autobind = cts_bool_or(call, "autobind", false);
  if (named == autobind || cts_has(call, "kind") != cts_has(call, "name")) {
    return cts_status("invalid_argument", "either kind and name, or autobind");
  }
  if (named) *name = call_name(call, "kind", "name");
  *out_name = named ? name : NULL;
  return cts_ok();
}

static uint32_t directions_of(const cts_call *call) {
  const char *how = cts_text_or(call, "how", "");
  return strcmp(how, "read") == 0    ? IPC_SHUTDOWN_READ
         : strcmp(how, "write") == 0 ? IPC_SHUTDOWN_WRITE
                                     : IPC_SHUTDOWN_BOTH;
}

static uint32_t type_of(const cts_call *call) {
  const char *type = cts_text_or(call, "type", "");
  return strcmp(type, "stream") == 0     ? IPC_UNIX_STREAM
         : strcmp(type, "datagram") == 0 ? IPC_UNIX_DATAGRAM
                                         : IPC_UNIX_SEQPACKET;
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

/* ------------------------------------------------------------------------------------------ making and ending */

cts_outcome do_unix_listen(cts_call *call) {
  ipc_name name;
  const ipc_name *bound_to;
  ipc_local_listen_options options;
  ipc_listener *listener = NULL;
  cts_outcome outcome = name_or_autobind(call, &name, &bound_to);
  if (outcome_is(outcome, "ok")) outcome = call_listen_options(call, &options);
  if (!outcome_is(outcome, "ok")) return outcome;
  ipc_status status = library.unix_listen(bound_to, type_of(call), &options, &listener);
  if (status.code == IPC_OK && listener != NULL) call_add_native(call, listener);
  return call_make(call, "as", status, ENDPOINT_LISTENER, listener);
}

static ipc_status accept_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.listener_accept_socket(e->listener, timeout_ms, context);
}

static void accept_submit(endpoint *e, ipc_submission *out, void *context) {
  (void)context;
  out->operation = IPC_SUBMIT_ACCEPT_SOCKET;
  out->listener = e->listener;
}

static void accept_complete(const ipc_completion *done, void *context) {
  ipc_socket **out_socket = context;
  *out_socket = done->socket;
}

cts_outcome do_listener_accept_socket(cts_call *call) {
  ipc_socket *socket = NULL;
  endpoint_request request = request_of(call, WAIT_READABLE, accept_once, &socket);
  request.submit = accept_submit;
  request.complete = accept_complete;
  ipc_status status = endpoint_perform(cts_object(call), &request);
  return call_make(call, "as", status, ENDPOINT_SOCKET, socket);
}

cts_outcome do_socket_open(cts_call *call) {
  ipc_socket *socket = NULL;
  ipc_status status = library.socket_open(type_of(call), &socket);
  return call_make(call, "as", status, ENDPOINT_SOCKET, socket);
}

/* add_native adds the address of a socket. */
static cts_outcome add_native(cts_call *call, ipc_socket *socket) {
  size_t len = 0;
  ipc_status status = library.socket_native(socket, cts_scratch(call), CTS_LINE_MAX, &len);
  return call_add_bytes(call, "native", status, len);
}

cts_outcome do_socket_bind(cts_call *call) {
  ipc_name name;
  const ipc_name *bound_to;
  ipc_local_listen_options options;
  ipc_socket *socket = NULL;
  cts_outcome outcome = name_or_autobind(call, &name, &bound_to);
  if (outcome_is(outcome, "ok")) outcome = call_listen_options(call, &options);
  if (!outcome_is(outcome, "ok")) return outcome;
  ipc_status status = library.socket_bind(bound_to, &options, &socket);
  if (status.code == IPC_OK && socket != NULL) (void)add_native(call, socket);
  return call_make(call, "as", status, ENDPOINT_SOCKET, socket);
}

cts_outcome do_socket_native(cts_call *call) {
  endpoint *e = cts_object(call);
  return add_native(call, e->socket);
}

cts_outcome do_socket_adopt(cts_call *call) {
  ipc_raw raw = call_raw(call);
  ipc_socket *socket = NULL;
  ipc_status status = library.socket_adopt(&raw, &socket);
  if (status.code == IPC_OK) released_take(&raw);
  return call_make(call, "as", status, ENDPOINT_SOCKET, socket);
}

cts_outcome do_socket_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.socket_raw(e->socket, &raw);
  return call_add_raw(call, status, &raw);
}

cts_outcome do_socket_release(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.socket_release(e->socket, &raw);
  return call_released(call, status, &raw);
}

/* ------------------------------------------------------------------------------------------------------ connect */

static ipc_status connect_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.socket_connect(e->socket, context, timeout_ms);
}

static void connect_submit(endpoint *e, ipc_submission *out, void *context) {
  out->operation = IPC_SUBMIT_SOCKET_CONNECT;
  out->socket = e->socket;
  out->name = context;
}

static void connect_complete(const ipc_completion *done, void *context) {
  (void)done;
  (void)context;
}

/* No readiness tells of room in a backlog: as with a stream's connect the wait is the library's own in every mode. */
cts_outcome do_socket_connect(cts_call *call) {
  ipc_name name = call_name(call, "kind", "name");
  endpoint_request request = request_of(call, WAIT_WRITABLE, connect_once, &name);
  request.own_wait = true;
  request.submit = connect_submit;
  request.complete = connect_complete;
  return outcome_of(endpoint_perform(cts_object(call), &request));
}

/* --------------------------------------------------------------------------------------------------------- send */

/* What one send is made of. */
typedef struct sending {
  ipc_const_buffer buffers[VECTORS_MAX];
  size_t num_buffers;
  const ipc_name *to;
  ipc_ancillary *beside;
  size_t sent; /* by a completion that says ok */
} sending;

static ipc_status send_once(endpoint *e, int64_t timeout_ms, void *context) {
  const sending *s = context;
  return library.socket_send(e->socket, s->buffers, s->num_buffers, s->to, s->beside, timeout_ms);
}

static void send_submit(endpoint *e, ipc_submission *out, void *context) {
  const sending *s = context;
  out->operation = IPC_SUBMIT_SEND;
  out->socket = e->socket;
  out->const_buffers = s->buffers;
  out->num_buffers = s->num_buffers;
  out->name = s->to;
  out->ancillary = s->beside;
}

static void send_complete(const ipc_completion *done, void *context) {
  sending *s = context;
  s->sent = done->len;
}

/* lengths_of reads `lengths`, or makes them one of |whole| if they are absent. False: they do not add up to |whole|. */
static bool lengths_of(const cts_call *call, uint64_t whole, uint64_t *lengths, size_t *out_num) {
  size_t num = 0;
  const uint64_t *given = cts_list_of(call, "lengths", &num);
  uint64_t sum = 0;
  *out_num = 1;
  lengths[0] = whole;
  if (!cts_has(call, "lengths")) return true;
  for (size_t i = 0; i < num; i++) {
    lengths[i] = given[i];
    sum += given[i];
  }
  *out_num = num;
  return sum == whole;
}

/* sending_of reads the arguments beside the data, which is at |data|. */
static cts_outcome sending_of(const cts_call *call, const uint8_t *data, size_t data_len, sending *s, ipc_name *to,
                              ancillary *beside) {
  uint64_t lengths[VECTORS_MAX];
  cts_outcome outcome = ancillary_given(call, beside);
  if (!outcome_is(outcome, "ok")) return outcome;
  if (!lengths_of(call, data_len, lengths, &s->num_buffers)) {
    return cts_status("invalid_argument", "lengths do not add up to the length of data");
  }
  if (cts_has(call, "to") != cts_has(call, "to_kind")) return cts_status("invalid_argument", "to needs to_kind");
  for (size_t i = 0; i < s->num_buffers; i++) {
    s->buffers[i] = (ipc_const_buffer){data, (size_t)lengths[i]};
    data += lengths[i];
  }
  if (cts_has(call, "to")) *to = call_name(call, "to_kind", "to");
  s->to = cts_has(call, "to") ? to : NULL;
  s->beside = ancillary_is_empty(beside) ? NULL : &beside->value;
  return cts_ok();
}

/* Whether the receiver of a message has room, the socket's own readiness does not say if it is not connected to it: a
 * send to somebody is the library's own wait in nonblocking mode, too. A message is sent whole or not at all. */
static cts_outcome send_it(cts_call *call, sending *s, size_t len) {
  endpoint_request request = request_of(call, WAIT_WRITABLE, send_once, s);
  request.own_wait = s->to != NULL;
  request.submit = send_submit;
  request.complete = send_complete;
  s->sent = len;
  cts_outcome outcome = outcome_of(endpoint_perform(cts_object(call), &request));
  if (outcome_is(outcome, "ok") && s->sent != len) {
    return outcome_why("failed", "the library completed a message of %zu bytes with %zu", len, s->sent);
  }
  cts_add_u64(call, "length", outcome_is(outcome, "ok") ? len : 0);
  return outcome;
}

cts_outcome do_socket_send(cts_call *call) {
  cts_data data = cts_data_of(call, "data");
  sending s;
  ipc_name to;
  ancillary beside;
  uint8_t *room = malloc(data.len > 0 ? data.len : 1);
  if (room == NULL) return cts_status("out_of_resources", "no memory for the data");
  cts_data_copy(&data, 0, room, data.len);
  cts_outcome outcome = sending_of(call, room, data.len, &s, &to, &beside);
  if (outcome_is(outcome, "ok")) outcome = send_it(call, &s, data.len);
  free(room);
  return outcome;
}

/* ------------------------------------------------------------------------------------------------------ receive */

typedef struct receiving {
  ipc_buffer buffers[VECTORS_MAX];
  size_t num_buffers;
  size_t room;
  uint32_t flags;
  ipc_received received;
  ancillary beside;
} receiving;

static ipc_status receive_once(endpoint *e, int64_t timeout_ms, void *context) {
  receiving *r = context;
  r->received = (ipc_received){.size = sizeof(r->received)};
  return library.socket_receive(e->socket, r->flags, r->buffers, r->num_buffers, &r->received, &r->beside.value,
                                timeout_ms);
}

static void receive_submit(endpoint *e, ipc_submission *out, void *context) {
  receiving *r = context;
  r->received = (ipc_received){.size = sizeof(r->received)};
  out->operation = IPC_SUBMIT_RECEIVE;
  out->socket = e->socket;
  out->flags = r->flags;
  out->buffers = r->buffers;
  out->num_buffers = r->num_buffers;
  out->received = &r->received;
  out->ancillary = &r->beside.value;
}

/* The length is told twice, and must be the same: what cannot be is more than any room. */
static void receive_complete(const ipc_completion *done, void *context) {
  receiving *r = context;
  if (done->len != r->received.len) r->received.len = SIZE_MAX;
}

static cts_outcome receiving_of(const cts_call *call, uint8_t *data, size_t max, receiving *r) {
  uint64_t lengths[VECTORS_MAX];
  if (!lengths_of(call, max, lengths, &r->num_buffers)) {
    return cts_status("invalid_argument", "lengths do not add up to max");
  }
  for (size_t i = 0; i < r->num_buffers; i++) {
    r->buffers[i] = (ipc_buffer){data, (size_t)lengths[i]};
    data += lengths[i];
  }
  r->room = max;
  r->flags = cts_bool_or(call, "whole", false) ? IPC_RECEIVE_WHOLE : 0;
  return ancillary_room(call, &r->beside);
}

/* receive_it makes the call, and turns lengths that cannot be into `failed`. */
static cts_outcome receive_it(cts_call *call, receiving *r, const uint8_t *data) {
  endpoint_request request = request_of(call, WAIT_READABLE, receive_once, r);
  request.submit = receive_submit;
  request.complete = receive_complete;
  cts_outcome outcome = outcome_of(endpoint_perform(cts_object(call), &request));
  if (r->received.len > r->room || r->received.from_len > IPC_NATIVE_MAX) {
    return outcome_why("failed", "the library answered length %zu for %zu bytes, and a sender's name of %zu",
                       r->received.len, r->room, r->received.from_len);
  }
  cts_digest digest;
  cts_digest_init(&digest, 0);
  cts_digest_update(&digest, data, r->received.len);
  cts_add_digest(call, &digest);
  if (outcome_is(outcome, "message_truncated") && r->received.needed != 0) {
    cts_add_u64(call, "needed", r->received.needed);
  }
  if (r->received.from_len > 0) cts_add_bytes(call, "from", r->received.from, r->received.from_len);
  return ancillary_add(call, &r->beside, outcome);
}

cts_outcome do_socket_receive(cts_call *call) {
  uint64_t max = cts_u64_or(call, "max", 0);
  receiving *r = calloc(1, sizeof(*r));
  uint8_t *room = max <= CTS_PATTERN_MAX ? malloc(max > 0 ? (size_t)max : 1) : NULL;
  cts_outcome outcome = cts_status("out_of_resources", "no memory for the message");
  if (r != NULL && room != NULL) {
    outcome = receiving_of(call, room, (size_t)max, r);
    if (outcome_is(outcome, "ok")) outcome = receive_it(call, r, room);
  }
  free(room);
  free(r);
  return outcome;
}

static ipc_status next_length_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.socket_next_length(e->socket, timeout_ms, context);
}

cts_outcome do_socket_next_length(cts_call *call) {
  size_t len = 0;
  endpoint_request request = request_of(call, WAIT_READABLE, next_length_once, &len);
  ipc_status status = endpoint_perform(cts_object(call), &request);
  if (status.code == IPC_OK) cts_add_u64(call, "length", len);
  return outcome_of(status);
}

/* ------------------------------------------------------------------------------------------------- plain calls */

cts_outcome do_stream_shutdown(cts_call *call) {
  endpoint *e = cts_object(call);
  return outcome_of(library.stream_shutdown(e->stream, directions_of(call)));
}

cts_outcome do_socket_shutdown(cts_call *call) {
  endpoint *e = cts_object(call);
  return outcome_of(library.socket_shutdown(e->socket, directions_of(call)));
}

cts_outcome do_socket_peer_credentials(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_credentials credentials = {0, 0, 0, 0};
  ipc_status status = library.socket_peer_credentials(e->socket, &credentials);
  if (status.code == IPC_OK) call_add_credentials(call, &credentials);
  return outcome_of(status);
}

cts_outcome do_socket_set_pass_credentials(cts_call *call) {
  endpoint *e = cts_object(call);
  return outcome_of(library.socket_set_pass_credentials(e->socket, cts_bool_or(call, "pass", false)));
}
