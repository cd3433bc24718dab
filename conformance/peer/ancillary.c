/* ancillary.c - the handlers of what travels beside the bytes of a stream, and of control buffers. */
#include "conformance/peer/ancillary.h"

#include <stdlib.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"
#include "conformance/peer/released.h"

/* ---------------------------------------------------------------------------------------- arguments and results */

static cts_outcome credentials_given(const cts_call *call, ipc_credentials *out) {
  bool wanted = cts_bool_or(call, "credentials", false);
  *out = (ipc_credentials){0};
  if (cts_has(call, "pid")) out->fields |= IPC_CREDENTIALS_PID;
  if (cts_has(call, "uid")) out->fields |= IPC_CREDENTIALS_UID;
  if (cts_has(call, "gid")) out->fields |= IPC_CREDENTIALS_GID;
  out->pid = cts_u64_or(call, "pid", 0);
  out->uid = (uint32_t)cts_u64_or(call, "uid", 0);
  out->gid = (uint32_t)cts_u64_or(call, "gid", 0);
  if (out->fields != 0 && !wanted) return cts_status("invalid_argument", "pid, uid and gid need credentials: true");
  return cts_ok();
}

cts_outcome ancillary_given(const cts_call *call, ancillary *out) {
  size_t num = 0;
  const uint64_t *descriptors = cts_list_of(call, "descriptors", &num);
  out->value = (ipc_ancillary){.size = sizeof(out->value), .descriptors = out->descriptors, .num_descriptors = num};
  for (size_t i = 0; i < num; i++) {
    if (descriptors[i] > INT32_MAX) return cts_status("invalid_argument", "no descriptor is so large");
    out->descriptors[i] = (int32_t)descriptors[i];
  }
  if (cts_bool_or(call, "credentials", false)) out->value.fields = IPC_ANCILLARY_CREDENTIALS;
  return credentials_given(call, &out->value.credentials);
}

bool ancillary_is_empty(const ancillary *a) { return a->value.num_descriptors == 0 && a->value.fields == 0; }

cts_outcome ancillary_room(const cts_call *call, ancillary *out) {
  uint64_t max = cts_u64_or(call, "descriptors_max", 0);
  if (max > CTS_LIST_MAX) return cts_status("invalid_argument", "descriptors_max is at most 64");
  out->value =
      (ipc_ancillary){.size = sizeof(out->value), .descriptors = out->descriptors, .descriptors_max = (size_t)max};
  return cts_ok();
}

/* add_results adds what |a| holds. False: the library claims more than it had room for. */
static bool add_results(cts_call *call, const ancillary *a) {
  uint64_t numbers[CTS_LIST_MAX];
  size_t num = a->value.num_descriptors;
  if (num > a->value.descriptors_max) return false;
  for (size_t i = 0; i < num; i++) numbers[i] = (uint64_t)a->descriptors[i];
  if (num > 0) cts_add_list_u64(call, "descriptors", numbers, num);
  if (a->value.fields & IPC_ANCILLARY_CREDENTIALS) call_add_credentials(call, &a->value.credentials);
  if (a->value.fields & IPC_ANCILLARY_CUT) cts_add_bool(call, "cut", true);
  return true;
}

cts_outcome ancillary_add(cts_call *call, const ancillary *a, cts_outcome outcome) {
  size_t num = a->value.num_descriptors;
  if (!add_results(call, a)) {
    return outcome_why("failed", "the library answered %zu descriptors for %zu", num, a->value.descriptors_max);
  }
  bool delivered = outcome_is(outcome, "ok") || outcome_is(outcome, "message_truncated");
  if (!delivered && num > 0) return outcome_why("failed", "the library answered %s and a descriptor", outcome.status);
  for (size_t i = 0; i < num; i++) {
    ipc_raw raw = {IPC_RAW_FD, (uint64_t)a->descriptors[i]};
    released_add(&raw);
  }
  return outcome;
}

/* ------------------------------------------------------------------------------------------------------- stream */

/* What one call of the library moves. */
typedef struct transfer {
  ancillary *beside;
  uint8_t *data;
  size_t len;
  size_t moved;    /* what the library answered */
  ipc_buffer room; /* as a submission names it */
  ipc_const_buffer from;
} transfer;

static ipc_status read_once(endpoint *e, int64_t timeout_ms, void *context) {
  transfer *t = context;
  t->moved = 0;
  return library.stream_read_ancillary(e->stream, t->data, t->len, &t->beside->value, timeout_ms, &t->moved);
}

static ipc_status write_once(endpoint *e, int64_t timeout_ms, void *context) {
  transfer *t = context;
  t->moved = 0;
  return library.stream_write_ancillary(e->stream, t->data, t->len, &t->beside->value, timeout_ms, &t->moved);
}

/* The same calls as submissions. What they name must stay until they end. */

static void read_submit(endpoint *e, ipc_submission *out, void *context) {
  transfer *t = context;
  t->room = (ipc_buffer){t->data, t->len};
  out->operation = IPC_SUBMIT_READ_ANCILLARY;
  out->stream = e->stream;
  out->buffers = &t->room;
  out->num_buffers = 1;
  out->ancillary = &t->beside->value;
}

static void write_submit(endpoint *e, ipc_submission *out, void *context) {
  transfer *t = context;
  t->from = (ipc_const_buffer){t->data, t->len};
  out->operation = IPC_SUBMIT_WRITE_ANCILLARY;
  out->stream = e->stream;
  out->const_buffers = &t->from;
  out->num_buffers = 1;
  out->ancillary = &t->beside->value;
}

static void transfer_complete(const ipc_completion *done, void *context) {
  transfer *t = context;
  t->moved = done->len;
}

static endpoint_request request_of(const cts_call *call, int direction, ipc_status (*once)(endpoint *, int64_t, void *),
                                   transfer *t) {
  return (endpoint_request){
      .direction = direction,
      .wait = cts_bool_or(call, "wait", true),
      .timeout_ms = call_timeout(call),
      .call = once,
      .context = t,
      .submit = direction == WAIT_READABLE ? read_submit : write_submit,
      .complete = transfer_complete,
  };
}

/* perform makes the call, and turns a length that cannot be into `failed`. */
static cts_outcome perform(cts_call *call, const endpoint_request *request, transfer *t) {
  ipc_status status = endpoint_perform(cts_object(call), request);
  if (t->moved <= t->len) return outcome_of(status);
  size_t claimed = t->moved;
  t->moved = 0;
  return outcome_why("failed", "the library answered length %zu for %zu bytes", claimed, t->len);
}

/* write_all repeats the call as spec/peer_protocol.md, 2.6, says: what travels beside the bytes is in the first that
 * takes some. */
static cts_outcome write_all(cts_call *call, transfer *t, uint64_t *out_written) {
  ancillary nothing = {.value = {.size = sizeof(nothing.value)}};
  endpoint_request request = request_of(call, WAIT_WRITABLE, write_once, t);
  for (;;) {
    cts_outcome outcome = perform(call, &request, t);
    *out_written += t->moved;
    t->data += t->moved;
    t->len -= t->moved;
    if (outcome_is(outcome, "would_block") && *out_written > 0) return cts_ok();
    if (!outcome_is(outcome, "ok") || t->len == 0) return outcome;
    if (t->moved == 0) return cts_status("failed", "the library answered ok and wrote nothing");
    if (!mode_nonblocking && request.wait && !endpoint_is_switched(cts_object(call))) {
      return outcome_why("failed", "the library answered ok with %zu bytes left", t->len);
    }
    t->beside = &nothing;
  }
}

cts_outcome do_stream_write_ancillary(cts_call *call) {
  ancillary beside;
  uint64_t written = 0;
  cts_data data = cts_data_of(call, "data");
  cts_outcome outcome = ancillary_given(call, &beside);
  if (!outcome_is(outcome, "ok")) return outcome;
  uint8_t *room = call_room_get(call, data.len);
  if (room == NULL) return cts_status("out_of_resources", "no memory for the data");
  cts_data_copy(&data, 0, room, data.len);
  transfer t = {.beside = &beside, .data = room, .len = data.len};
  outcome = write_all(call, &t, &written);
  cts_add_u64(call, "length", written);
  call_room_put(call, room);
  return outcome;
}

cts_outcome do_stream_read_ancillary(cts_call *call) {
  ancillary beside;
  cts_digest digest;
  uint64_t max = cts_u64_or(call, "max", 0);
  cts_outcome outcome = ancillary_room(call, &beside);
  if (!outcome_is(outcome, "ok")) return outcome;
  uint8_t *room = max <= CTS_PATTERN_MAX ? call_room_get(call, (size_t)max) : NULL;
  if (room == NULL) return cts_status("out_of_resources", "no memory for the bytes");
  transfer t = {.beside = &beside, .data = room, .len = (size_t)max};
  endpoint_request request = request_of(call, WAIT_READABLE, read_once, &t);
  outcome = perform(call, &request, &t);
  if (outcome_is(outcome, "ok") && t.moved == 0) outcome = cts_status("failed", "ok, and read nothing");
  cts_digest_init(&digest, 0);
  cts_digest_update(&digest, room, t.moved);
  cts_add_digest(call, &digest);
  call_room_put(call, room);
  return ancillary_add(call, &beside, outcome);
}

cts_outcome do_stream_set_pass_credentials(cts_call *call) {
  endpoint *e = cts_object(call);
  return outcome_of(library.stream_set_pass_credentials(e->stream, cts_bool_or(call, "pass", false)));
}

/* ---------------------------------------------------------------------------------------------- control buffers */

/* A buffer of exactly the size that the library asks for: one byte too many would be written beyond it. */
static cts_outcome encode_exactly(cts_call *call, const ancillary *a, size_t needed) {
  size_t len = 0;
  uint8_t *control = malloc(needed > 0 ? needed : 1);
  if (control == NULL) return cts_status("out_of_resources", "no memory for the buffer");
  cts_outcome outcome = outcome_of(library.ancillary_encode(&a->value, control, needed, &len));
  if (outcome_is(outcome, "ok") && len != needed) {
    outcome = outcome_why("failed", "the library asked for %zu bytes and wrote %zu", needed, len);
  }
  if (outcome_is(outcome, "ok")) cts_add_bytes(call, "control", control, len);
  free(control);
  return outcome;
}

cts_outcome do_ancillary_encode(cts_call *call) {
  ancillary a;
  size_t needed = 0;
  cts_outcome outcome = ancillary_given(call, &a);
  if (!outcome_is(outcome, "ok")) return outcome;
  ipc_status status = library.ancillary_encode(&a.value, cts_scratch(call), 0, &needed);
  bool asked = status.code == IPC_MESSAGE_TRUNCATED || status.code == IPC_OK;
  if (!asked || needed > CTS_LINE_MAX) return outcome_of(status);
  return encode_exactly(call, &a, needed);
}

/* The numbers in a buffer are no descriptors of this process: they are not remembered. */
cts_outcome do_ancillary_decode(cts_call *call) {
  ancillary a;
  cts_bytes control = cts_bytes_of(call, "control");
  cts_outcome outcome = ancillary_room(call, &a);
  if (!outcome_is(outcome, "ok")) return outcome;
  outcome = outcome_of(library.ancillary_decode(control.data, control.len, &a.value));
  if (add_results(call, &a)) return outcome;
  return cts_status("failed", "the library answered more descriptors than it had room for");
}
