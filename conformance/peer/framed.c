/* framed.c - the handlers of streams of frames. */
#include <stdlib.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

enum { BODIES_MAX = CTS_LIST_MAX };

/* The stream is the framed stream's from then on: the endpoint that is released has none any more. */
cts_outcome do_framed_open(cts_call *call) {
  endpoint *from = cts_object(call);
  ipc_framing framing;
  cts_outcome refusal;
  ipc_framed *framed = NULL;
  if (!call_framing(call, &framing, &refusal)) return refusal;
  if (endpoint_kit_waits(from)) return outcome_why("busy", "an operation is in flight on the stream");
  ipc_status status = library.framed_open(from->stream, &framing, &framed);
  if (status.code != IPC_OK) return outcome_of(status);
  if (framed == NULL) return outcome_why("failed", "the library answered ok and made no handle");
  from->stream = NULL;
  endpoint *e = endpoint_new(ENDPOINT_FRAMED, framed, &status);
  if (e == NULL) return outcome_of(status);
  endpoint_follow(e, from);
  cts_make(call, "as", e);
  return cts_ok();
}

/* ------------------------------------------------------------------------------------------------------- write */

/* Bodies that are still to be written. */
typedef struct writing {
  ipc_const_buffer bodies[BODIES_MAX];
  size_t num;   /* of all */
  size_t taken; /* by calls before */
  size_t moved; /* what the library answered last */
} writing;

static ipc_status write_once(endpoint *e, int64_t timeout_ms, void *context) {
  writing *w = context;
  w->moved = 0;
  return library.framed_write(e->framed, w->bodies + w->taken, w->num - w->taken, timeout_ms, &w->moved);
}

static ipc_status flush_once(endpoint *e, int64_t timeout_ms, void *context) {
  (void)context;
  return library.framed_flush(e->framed, timeout_ms);
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

/* write_all makes the call until every body is taken, or the library says something else; an attempt is one call. What
 * a call took in part is then flushed, because a write that waits hands everything to the system. */
static cts_outcome write_all(cts_call *call, writing *w) {
  endpoint *e = cts_object(call);
  endpoint_request request = request_of(call, WAIT_WRITABLE, write_once, w);
  const bool may_be_short = mode_nonblocking || !request.wait || endpoint_is_switched(e);
  const bool attempt = !request.wait || e->user_nonblocking;
  for (;;) {
    w->moved = 0;
    ipc_status status = endpoint_perform(e, &request);
    if (w->moved > w->num - w->taken)
      return outcome_why("failed", "the library took %zu frames of %zu", w->moved, w->num - w->taken);
    w->taken += w->moved;
    if (status.code != IPC_OK) return outcome_of(status);
    if (w->moved == 0) return cts_status("failed", "the library answered ok and took nothing");
    if (w->taken < w->num && !may_be_short)
      return outcome_why("failed", "the library answered ok when it had taken %zu of %zu frames", w->taken, w->num);
    if (attempt) return cts_ok();
    if (w->taken == w->num) break;
  }
  if (!mode_nonblocking || request.timeout_ms >= 0) return cts_ok();
  request.call = flush_once;
  return outcome_of(endpoint_perform(e, &request));
}

cts_outcome do_framed_write(cts_call *call) {
  writing w = {.num = 0};
  cts_data data = cts_data_of(call, "data");
  const uint64_t *lengths = cts_list_of(call, "lengths", &w.num);
  uint64_t sum = 0;
  for (size_t i = 0; i < w.num; i++) sum += lengths[i];
  if (w.num == 0) return cts_status("invalid_argument", "there is no body");
  if (sum != data.len) return cts_status("invalid_argument", "lengths do not add up to the length of data");
  uint8_t *bytes = malloc(data.len + 1);
  if (bytes == NULL) return cts_status("out_of_resources", "no memory for the data");
  cts_data_copy(&data, 0, bytes, data.len);
  for (size_t i = 0, at = 0; i < w.num; at += (size_t)lengths[i++]) {
    w.bodies[i] = (ipc_const_buffer){bytes + at, (size_t)lengths[i]};
  }
  cts_outcome outcome = write_all(call, &w);
  cts_add_u64(call, "frames", w.taken);
  free(bytes);
  return outcome;
}

cts_outcome do_framed_flush(cts_call *call) {
  endpoint_request request = request_of(call, WAIT_WRITABLE, flush_once, NULL);
  return outcome_of(endpoint_perform(cts_object(call), &request));
}

/* -------------------------------------------------------------------------------------------------------- read */

typedef struct reading {
  uint8_t *room;
  size_t max;
  size_t len; /* what the library answered */
} reading;

static ipc_status read_once(endpoint *e, int64_t timeout_ms, void *context) {
  reading *r = context;
  r->len = 0;
  return library.framed_read(e->framed, r->room, r->max, timeout_ms, &r->len);
}

/* add_frame adds what a read delivered, and judges the length that goes with its status. */
static cts_outcome add_frame(cts_call *call, const reading *r, ipc_status status) {
  cts_digest digest;
  cts_digest_init(&digest, 0);
  bool fits = r->len <= r->max;
  if (status.code == IPC_OK && fits) cts_digest_update(&digest, r->room, r->len);
  cts_add_digest(call, &digest);
  if (status.code == IPC_MESSAGE_TRUNCATED && r->len != 0) {
    if (fits) return outcome_why("failed", "the library says that %zu bytes do not fit in %zu", r->len, r->max);
    cts_add_u64(call, "needed", r->len);
  } else if (status.code == IPC_OK && !fits) {
    return outcome_why("failed", "the library answered length %zu for %zu bytes", r->len, r->max);
  }
  return outcome_of(status);
}

cts_outcome do_framed_read(cts_call *call) {
  uint64_t max = cts_u64_or(call, "max", 0);
  reading r = {.max = (size_t)(max < CTS_PATTERN_MAX ? max : CTS_PATTERN_MAX)};
  r.room = r.max <= CTS_LINE_MAX ? cts_scratch(call) : malloc(r.max);
  if (r.room == NULL) return cts_status("out_of_resources", "no memory for the frame");
  endpoint_request request = request_of(call, WAIT_READABLE, read_once, &r);
  cts_outcome outcome = add_frame(call, &r, endpoint_perform(cts_object(call), &request));
  if (r.room != cts_scratch(call)) free(r.room);
  return outcome;
}

cts_outcome do_framed_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.framed_raw(e->framed, &raw);
  return call_add_raw(call, status, &raw);
}
