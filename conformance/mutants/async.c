/* async.c - a broken loop. */
#include <poll.h>
#include <pthread.h>

#include "conformance/mutants/mutants.h"

enum { UNDER_WAY_MAX = 512 };

/* An operation under way. */
typedef struct operation {
  uint64_t token;
  uint32_t kind; /* IPC_SUBMIT_*, 0: the place is free */
  int64_t timeout_ms;
  const void *handle;
  bool wanted_cancelled; /* loop.cancel asked for it */
  bool timed_out_early;
} operation;

static operation under_way[UNDER_WAY_MAX];
static pthread_mutex_t under_way_mutex = PTHREAD_MUTEX_INITIALIZER;

static ipc_status submits(ipc_loop *loop, const ipc_submission *s) {
  const void *handle = s->stream != NULL     ? (const void *)s->stream
                       : s->listener != NULL ? (const void *)s->listener
                                             : (const void *)s->socket;
  operation *place = NULL;
  pthread_mutex_lock(&under_way_mutex);
  for (size_t i = 0; i < UNDER_WAY_MAX && place == NULL; i++) {
    if (under_way[i].kind == 0) place = &under_way[i];
  }
  if (place != NULL) *place = (operation){s->token, s->operation, s->timeout_ms, handle, false, false};
  pthread_mutex_unlock(&under_way_mutex);
  ipc_status status = ipc_loop_submit(loop, s);
  if (status.code != IPC_OK && place != NULL) place->kind = 0;
  return status;
}

/* operation_of returns what is known of |token|, and forgets it if |ended|. */
static operation operation_of(uint64_t token, bool ended) {
  operation found = {0};
  pthread_mutex_lock(&under_way_mutex);
  for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
    if (under_way[i].kind == 0 || under_way[i].token != token) continue;
    found = under_way[i];
    if (ended) under_way[i].kind = 0;
  }
  pthread_mutex_unlock(&under_way_mutex);
  return found;
}

/* other_than returns an operation of |kind| on |handle| (NULL: any, with a timeout) beside |token|; kind 0: none. */
static operation other_than(uint64_t token, uint32_t kind, const void *handle) {
  operation found = {0};
  pthread_mutex_lock(&under_way_mutex);
  for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
    operation *o = &under_way[i];
    if (o->kind != kind || o->token == token) continue;
    if (handle != NULL ? o->handle != handle : o->timeout_ms <= 0) continue;
    found = *o;
    if (handle == NULL) o->timed_out_early = true;
  }
  pthread_mutex_unlock(&under_way_mutex);
  return found;
}

static ipc_status waits(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions, size_t completions_max,
                        size_t *out_num) {
  ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
  for (size_t i = 0; status.code == IPC_OK && i < *out_num; i++) operation_of(out_completions[i].token, true);
  return status;
}

/* Not every operation can be cancelled. */
#define CANNOT_CANCEL(function, what)                                     \
  static ipc_status function(ipc_loop *loop, uint64_t token) {            \
    const operation o = operation_of(token, false);                       \
    return (what) ? mutant_status(IPC_OK) : ipc_loop_cancel(loop, token); \
  }                                                                       \
  static void install_##function(ipc_table *table) {                      \
    table->loop_submit = submits;                                         \
    table->loop_wait = waits;                                             \
    table->loop_cancel = function;                                        \
  }

CANNOT_CANCEL(cannot_cancel_an_accept, o.kind == IPC_SUBMIT_ACCEPT)
CANNOT_CANCEL(cannot_cancel_a_connect, o.kind == IPC_SUBMIT_CONNECT)
CANNOT_CANCEL(cannot_cancel_a_receive, o.kind == IPC_SUBMIT_RECEIVE)
CANNOT_CANCEL(cannot_cancel_a_send, o.kind == IPC_SUBMIT_SEND)
CANNOT_CANCEL(cannot_cancel_an_open, o.kind == IPC_SUBMIT_FIFO_OPEN)

/* Who cancels one operation cancels another of the same handle. */
#define CANCELS_TOO(function, cancelled, other)                                           \
  static ipc_status function(ipc_loop *loop, uint64_t token) {                            \
    const operation o = operation_of(token, false);                                       \
    const operation too = o.kind == (cancelled) ? other_than(token, other, o.handle) : o; \
    if (o.kind == (cancelled) && too.kind != 0) ipc_loop_cancel(loop, too.token);         \
    return ipc_loop_cancel(loop, token);                                                  \
  }                                                                                       \
  static void install_##function(ipc_table *table) {                                      \
    table->loop_submit = submits;                                                         \
    table->loop_wait = waits;                                                             \
    table->loop_cancel = function;                                                        \
  }

CANCELS_TOO(cancels_writes_with_a_read, IPC_SUBMIT_READ, IPC_SUBMIT_WRITE)
CANCELS_TOO(cancels_reads_with_a_write, IPC_SUBMIT_WRITE, IPC_SUBMIT_READ)
CANCELS_TOO(cancels_reads_with_a_read, IPC_SUBMIT_READ, IPC_SUBMIT_READ)
CANCELS_TOO(cancels_accepts_with_an_accept, IPC_SUBMIT_ACCEPT, IPC_SUBMIT_ACCEPT)

static ipc_status forgets_what_was_written(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions,
                                           size_t completions_max, size_t *out_num) {
  ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
  for (size_t i = 0; status.code == IPC_OK && i < *out_num; i++) {
    ipc_completion *c = &out_completions[i];
    if (c->operation == IPC_SUBMIT_WRITE && c->status.code == IPC_CANCELLED) c->len = 0;
  }
  return status;
}
REPLACES(loop_wait, forgets_what_was_written)

static ipc_status completes_twice(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions,
                                  size_t completions_max, size_t *out_num) {
  ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
  if (status.code != IPC_OK || *out_num == completions_max) return status;
  const ipc_completion last = out_completions[*out_num - 1];
  if (last.operation == IPC_SUBMIT_SOCKET_CONNECT && last.status.code == IPC_CANCELLED)
    out_completions[(*out_num)++] = last;
  return status;
}
REPLACES(loop_wait, completes_twice)

static ipc_status says_cancelled_to_what_came(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions,
                                              size_t completions_max, size_t *out_num) {
  ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
  for (size_t i = 0; status.code == IPC_OK && i < *out_num; i++) {
    ipc_completion *c = &out_completions[i];
    const operation o = operation_of(c->token, true);
    if (!o.wanted_cancelled || o.kind != IPC_SUBMIT_READ || c->status.code != IPC_OK) continue;
    c->status.code = IPC_CANCELLED;
    c->len = 0;
  }
  return status;
}
static void note_a_cancel(uint64_t token) {
  pthread_mutex_lock(&under_way_mutex);
  for (size_t i = 0; i < UNDER_WAY_MAX; i++) {
    if (under_way[i].kind != 0 && under_way[i].token == token) under_way[i].wanted_cancelled = true;
  }
  pthread_mutex_unlock(&under_way_mutex);
}
static ipc_status notes_a_cancel(ipc_loop *loop, uint64_t token) {
  note_a_cancel(token);
  return ipc_loop_cancel(loop, token);
}
/* It gives what may come the time to come. */
static ipc_status cancels_late(ipc_loop *loop, uint64_t token) {
  note_a_cancel(token);
  poll(NULL, 0, 2);
  return ipc_loop_cancel(loop, token);
}
static void install_says_cancelled_to_what_came(ipc_table *table) {
  table->loop_submit = submits;
  table->loop_cancel = cancels_late;
  table->loop_wait = says_cancelled_to_what_came;
}

static ipc_status has_one_clock(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions,
                                size_t completions_max, size_t *out_num) {
  ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
  for (size_t i = 0; status.code == IPC_OK && i < *out_num; i++) {
    ipc_completion *c = &out_completions[i];
    const operation o = operation_of(c->token, true);
    if (o.timed_out_early && c->status.code == IPC_CANCELLED) c->status.code = IPC_TIMED_OUT;
    if (c->operation != IPC_SUBMIT_READ || c->status.code != IPC_TIMED_OUT) continue;
    const operation later = other_than(c->token, IPC_SUBMIT_READ, NULL);
    if (later.kind != 0) ipc_loop_cancel(loop, later.token);
  }
  return status;
}
static void install_one_clock(ipc_table *table) {
  table->loop_submit = submits;
  table->loop_wait = has_one_clock;
}

/* The completion of a read that a close ended never comes. */
static ipc_status forgets_reads_at_a_close(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions,
                                           size_t completions_max, size_t *out_num) {
  for (;;) {
    size_t kept = 0;
    ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
    if (status.code != IPC_OK) return status;
    for (size_t i = 0; i < *out_num; i++) {
      const operation o = operation_of(out_completions[i].token, true);
      const bool closed = o.kind == IPC_SUBMIT_READ && out_completions[i].status.code == IPC_CANCELLED;
      if (!closed || o.wanted_cancelled) out_completions[kept++] = out_completions[i];
    }
    *out_num = kept;
    if (kept > 0) return status;
  }
}
static void install_forgets_reads_at_a_close(ipc_table *table) {
  table->loop_submit = submits;
  table->loop_cancel = notes_a_cancel;
  table->loop_wait = forgets_reads_at_a_close;
}

const mutant async_mutants[] = {
    {"async.accept_not_cancelled", "cannot cancel an accept (dotnet/runtime#63536)",
     "Async.CancelledAcceptLeavesTheNextConnection", NULL, "async", install_cannot_cancel_an_accept},
    {"async.connect_not_cancelled", "cannot cancel a connect (dotnet/runtime#66877)", "Async.CancelEndsAWaitingConnect",
     NULL, "async", install_cannot_cancel_a_connect},
    {"async.receive_not_cancelled", "cannot cancel a receive (dotnet/runtime#40289)",
     "Async.CancelledReceiveLosesNoMessage", "path", "async", install_cannot_cancel_a_receive},
    {"async.send_not_cancelled", "cannot cancel a send", "Async.CancelledSendIsNoMessage", "path+named", "async",
     install_cannot_cancel_a_send},
    {"async.open_not_cancelled", "cannot cancel the open of a FIFO", "Async.CancelEndsAWaitingFifoOpen", "read",
     "async", install_cannot_cancel_an_open},
    {"async.write_cancelled_with_read", "cancels a stream's writes with its read",
     "Async.CancelledReadLeavesAWriteAlone", NULL, "async", install_cancels_writes_with_a_read},
    {"async.read_cancelled_with_write", "cancels a stream's reads with its write",
     "Async.CancelledWriteLeavesAReadAlone", NULL, "async", install_cancels_reads_with_a_write},
    {"async.reads_cancelled_together", "cancels every read of a stream with one", "Async.CancelEndsOneOfTwoReads", NULL,
     "async", install_cancels_reads_with_a_read},
    {"async.accepts_cancelled_together", "cancels every accept of a listener with one",
     "Async.AcceptsUnderWayTakeConnectionsInOrder", NULL, "async", install_cancels_accepts_with_an_accept},
    {"async.cancelled_length", "forgets what a cancelled write had placed", "Async.CancelledWriteSaysWhatWasTaken",
     NULL, "async", install_forgets_what_was_written},
    {"async.completes_twice", "completes a cancelled connect twice", "Async.CancelEndsAWaitingSocketConnect", NULL,
     "async", install_completes_twice},
    {"async.came_is_cancelled", "says cancelled to a read that has its bytes", "Async.CancelAndArrivalMeet", NULL,
     "async", install_says_cancelled_to_what_came},
    {"async.one_clock", "ends every timeout when the first is due", "Async.EachTimeoutHasItsTime", NULL, "async",
     install_one_clock},
    {"async.close_forgets_reads", "never completes a read whose handle is closed", "Async.CloseEndsEverythingUnderWay",
     "server", "async", install_forgets_reads_at_a_close},
    {0},
};
