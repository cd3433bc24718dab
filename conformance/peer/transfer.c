/* transfer.c - the operations that move bytes: read, write, their vectored forms, flush. They repeat the library's call
 * as spec/peer_protocol.md, 2.5 and 2.6, says, and trust nothing that the library says about lengths. */
#include <stdlib.h>
#include <string.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

enum { BUFFER_DEFAULT = 65536, VECTORS_MAX = CTS_LIST_MAX };

/* What one call of the library moves. */
typedef struct transfer {
  void *data;             /* plain calls: room or bytes */
  size_t len;             /* of `data`, or of all buffers together */
  ipc_buffer *room;       /* vectored reads */
  ipc_const_buffer *from; /* vectored writes */
  size_t num;             /* of buffers */
  size_t moved;           /* what the library answered */
  ipc_buffer single_room; /* plain calls as submissions: what they name must stay until they end */
  ipc_const_buffer single_from;
} transfer;

static ipc_status read_once(endpoint *e, int64_t timeout_ms, void *context) {
  transfer *t = context;
  t->moved = 0;
  return library.stream_read(e->stream, t->data, t->len, timeout_ms, &t->moved);
}

static ipc_status write_once(endpoint *e, int64_t timeout_ms, void *context) {
  transfer *t = context;
  t->moved = 0;
  return library.stream_write(e->stream, t->data, t->len, timeout_ms, &t->moved);
}

static ipc_status read_vectored_once(endpoint *e, int64_t timeout_ms, void *context) {
  transfer *t = context;
  t->moved = 0;
  return library.stream_read_vectored(e->stream, t->room, t->num, timeout_ms, &t->moved);
}

static ipc_status write_vectored_once(endpoint *e, int64_t timeout_ms, void *context) {
  transfer *t = context;
  t->moved = 0;
  return library.stream_write_vectored(e->stream, t->from, t->num, timeout_ms, &t->moved);
}

/* The same calls as submissions. A plain call is one of a single buffer. */

static void read_submit(endpoint *e, ipc_submission *out, void *context) {
  transfer *t = context;
  t->single_room = (ipc_buffer){t->data, t->len};
  out->operation = IPC_SUBMIT_READ;
  out->stream = e->stream;
  out->buffers = t->room != NULL ? t->room : &t->single_room;
  out->num_buffers = t->room != NULL ? t->num : 1;
}

static void write_submit(endpoint *e, ipc_submission *out, void *context) {
  transfer *t = context;
  t->single_from = (ipc_const_buffer){t->data, t->len};
  out->operation = IPC_SUBMIT_WRITE;
  out->stream = e->stream;
  out->const_buffers = t->from != NULL ? t->from : &t->single_from;
  out->num_buffers = t->from != NULL ? t->num : 1;
}

static void transfer_complete(const ipc_completion *done, void *context) {
  transfer *t = context;
  t->moved = done->len;
}

static ipc_status flush_once(endpoint *e, int64_t timeout_ms, void *context) {
  (void)timeout_ms;
  (void)context;
  return library.stream_flush(e->stream);
}

/* request_of fills a request from the arguments `wait` and `timeout_ms`. */
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

/* -------------------------------------------------------------------------------------------------------- read */

typedef struct read_plan {
  bool some;       /* one successful call is enough */
  uint64_t max;    /* bytes at most */
  uint64_t buffer; /* bytes of each call */
  uint32_t chunk;  /* 0: no digests of chunks */
} read_plan;

/* read_plan_of reads the arguments; on anything but `ok` nothing has been done. */
static cts_outcome read_plan_of(const cts_call *call, read_plan *plan) {
  const char *until = cts_text_or(call, "until", "");
  plan->some = strcmp(until, "some") == 0;
  plan->max = cts_u64_or(call, "max", plan->some ? BUFFER_DEFAULT : UINT64_MAX);
  plan->buffer = cts_u64_or(call, "buffer", BUFFER_DEFAULT);
  plan->chunk = (uint32_t)cts_u64_or(call, "chunk", 0);
  if (plan->buffer == 0) return cts_status("invalid_argument", "buffer is at least 1");
  if (strcmp(until, "exact") == 0 && !cts_has(call, "max"))
    return cts_status("invalid_argument", "until exact needs max");
  if (cts_has(call, "chunk") && plan->chunk == 0) return cts_status("invalid_argument", "chunk is at least 1");
  bool bounded = plan->chunk > 0 && cts_has(call, "max");
  if (bounded && plan->max > (uint64_t)plan->chunk * CTS_CHUNKS_MAX) {
    return cts_status("invalid_argument", "more than 4096 chunks");
  }
  if (plan->buffer > plan->max && plan->max > 0) plan->buffer = plan->max;
  return cts_ok();
}

/* read_until repeats the library's read until the plan holds or another status than `ok` stops it. */
static cts_outcome read_until(cts_call *call, const read_plan *plan, uint8_t *room, cts_digest *digest) {
  transfer t = {.data = room};
  endpoint_request request = request_of(call, WAIT_READABLE, read_once, &t);
  for (;;) {
    uint64_t left = plan->max - digest->length;
    t.len = (size_t)(left < plan->buffer ? left : plan->buffer);
    cts_outcome outcome = perform(call, &request, &t);
    cts_digest_update(digest, room, t.moved);
    if (!outcome_is(outcome, "ok") || plan->some || digest->length == plan->max) return outcome;
    if (t.moved == 0) return cts_status("failed", "the library answered ok and read nothing");
  }
}

cts_outcome do_stream_read(cts_call *call) {
  read_plan plan;
  cts_digest digest;
  cts_outcome outcome = read_plan_of(call, &plan);
  if (!outcome_is(outcome, "ok")) return outcome;
  uint8_t *room = call_room_get(call, (size_t)plan.buffer);
  if (room == NULL) return cts_status("out_of_resources", "no memory for the buffer");
  cts_digest_init(&digest, plan.chunk);
  outcome = read_until(call, &plan, room, &digest);
  cts_add_digest(call, &digest);
  call_room_put(call, room);
  return outcome;
}

/* lengths_of reads `lengths`, and their sum. */
static size_t lengths_of(const cts_call *call, const uint64_t **out_lengths, uint64_t *out_sum) {
  size_t num = 0;
  *out_lengths = cts_list_of(call, "lengths", &num);
  *out_sum = 0;
  for (size_t i = 0; i < num; i++) *out_sum += (*out_lengths)[i];
  return num;
}

cts_outcome do_stream_read_vectored(cts_call *call) {
  const uint64_t *lengths;
  uint64_t sum;
  ipc_buffer buffers[VECTORS_MAX];
  cts_digest digest;
  size_t num = lengths_of(call, &lengths, &sum), at = 0;
  uint8_t *room = sum <= CTS_PATTERN_MAX ? call_room_get(call, (size_t)sum) : NULL;
  if (room == NULL) return cts_status("out_of_resources", "no memory for the buffers");
  for (size_t i = 0; i < num; i++) {
    buffers[i] = (ipc_buffer){room + at, (size_t)lengths[i]};
    at += (size_t)lengths[i];
  }
  transfer t = {.room = buffers, .num = num, .len = (size_t)sum};
  endpoint_request request = request_of(call, WAIT_READABLE, read_vectored_once, &t);
  cts_outcome outcome = perform(call, &request, &t);
  cts_digest_init(&digest, 0);
  cts_digest_update(&digest, room, t.moved);
  cts_add_digest(call, &digest);
  call_room_put(call, room);
  return outcome;
}

/* ------------------------------------------------------------------------------------------------------- write */

/* A write that may take several calls. */
typedef struct writing {
  cts_data data;
  uint8_t *window;    /* bytes made so far and not yet accepted: the library's are taken from it */
  size_t window_from; /* offset in the data of its first byte */
  size_t window_len;  /* bytes in it */
  size_t window_max;  /* room in it: bytes handed to each call */
  size_t written;     /* bytes accepted */
} writing;

/* writing_next returns the bytes for the next call, and fills the window again when its pieces are used up. Each call
 * gets a full window, as long as there are that many bytes. */
static uint8_t *writing_next(writing *w, size_t *out_len) {
  size_t left = w->data.len - w->written;
  size_t wanted = left < w->window_max ? left : w->window_max;
  if (w->written + wanted > w->window_from + w->window_len) {
    w->window_from = w->written;
    w->window_len = wanted;
    cts_data_copy(&w->data, w->written, w->window, wanted);
  }
  *out_len = wanted;
  return w->window + (w->written - w->window_from);
}

static bool may_be_short(cts_call *call, const endpoint_request *request) {
  return mode_nonblocking || !request->wait || endpoint_is_switched(cts_object(call));
}

/* writing_step adds what a call accepted; true: another call is needed. A handle that waits must not answer ok before
 * everything is taken (ipc/stream.h); one that is switched to nonblocking may, and |may_be_short| says that it could
 * be. */
static bool writing_step(writing *w, const transfer *t, bool may_be_short, cts_outcome *outcome) {
  w->written += t->moved;
  if (!outcome_is(*outcome, "ok") || w->written == w->data.len) return false;
  if (!may_be_short && t->moved < t->len) {
    *outcome = outcome_why("failed", "the library answered ok when it had taken %zu of %zu bytes", t->moved, t->len);
    return false;
  }
  if (t->moved > 0) return true;
  *outcome = cts_status("failed", "the library answered ok and wrote nothing");
  return false;
}

/* writing_end answers: an attempt that placed a part is `ok`. */
static cts_outcome writing_end(cts_call *call, const writing *w, cts_outcome outcome) {
  cts_add_u64(call, "length", w->written);
  return outcome_is(outcome, "would_block") && w->written > 0 ? cts_ok() : outcome;
}

cts_outcome do_stream_write(cts_call *call) {
  writing w = {.data = cts_data_of(call, "data")};
  uint64_t buffer = cts_u64_or(call, "buffer", CTS_PATTERN_MAX);
  if (buffer == 0) return cts_status("invalid_argument", "buffer is at least 1");
  w.window_max = w.data.len < buffer ? w.data.len : (size_t)buffer;
  w.window = call_room_get(call, w.window_max);
  if (w.window == NULL) return cts_status("out_of_resources", "no memory for the data");
  transfer t = {.data = NULL};
  endpoint_request request = request_of(call, WAIT_WRITABLE, write_once, &t);
  cts_outcome outcome;
  do {
    t.data = writing_next(&w, &t.len);
    outcome = perform(call, &request, &t);
  } while (writing_step(&w, &t, may_be_short(call, &request), &outcome));
  call_room_put(call, w.window);
  return writing_end(call, &w, outcome);
}

/* skip_buffers takes |moved| bytes off the front of the buffers. */
static void skip_buffers(transfer *t, size_t moved) {
  t->len -= moved;
  while (moved > 0) {
    size_t run = t->from->len < moved ? t->from->len : moved;
    t->from->data = (const uint8_t *)t->from->data + run;
    t->from->len -= run;
    moved -= run;
    if (t->from->len == 0) {
      t->from++;
      t->num--;
    }
  }
}

cts_outcome do_stream_write_vectored(cts_call *call) {
  const uint64_t *lengths;
  uint64_t sum;
  ipc_const_buffer buffers[VECTORS_MAX];
  writing w = {.data = cts_data_of(call, "data")};
  size_t num = lengths_of(call, &lengths, &sum), at = 0;
  if (sum != w.data.len) return cts_status("invalid_argument", "lengths do not add up to the length of data");
  w.window = call_room_get(call, w.data.len);
  if (w.window == NULL) return cts_status("out_of_resources", "no memory for the data");
  cts_data_copy(&w.data, 0, w.window, w.data.len);
  for (size_t i = 0; i < num; i++) {
    buffers[i] = (ipc_const_buffer){w.window + at, (size_t)lengths[i]};
    at += (size_t)lengths[i];
  }
  transfer t = {.from = buffers, .num = num, .len = w.data.len};
  endpoint_request request = request_of(call, WAIT_WRITABLE, write_vectored_once, &t);
  cts_outcome outcome;
  bool again;
  do {
    outcome = perform(call, &request, &t);
    again = writing_step(&w, &t, may_be_short(call, &request), &outcome);
    skip_buffers(&t, t.moved);
  } while (again);
  call_room_put(call, w.window);
  return writing_end(call, &w, outcome);
}

/* A flush waits only in a library that holds bytes back, for the same readiness as a write. */
cts_outcome do_stream_flush(cts_call *call) {
  transfer t = {.len = 0};
  endpoint_request request = {
      .direction = WAIT_WRITABLE, .wait = true, .timeout_ms = IPC_NO_TIMEOUT, .call = flush_once, .context = &t};
  return perform(call, &request, &t);
}
