/* loop.c - completion loops: operations under way, what ends them, and who is told. loop.h says how it works. */
#ifndef IPC_WITHOUT_ASYNC

#include "ref/windows/loop.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/windows/channel.h"
#include "ref/windows/stream.h"

enum {
  BUCKETS = 256,        /* of queues */
  READY_MAX = 64,       /* packets in one turn */
  SERVED_MAX = 16,      /* operations of one queue in one turn */
  UNSEEN_MAX = 64,      /* completions taken before there is another turn */
  TICKS_PER_MS = 10000, /* of a FILETIME */
};

/* A loop's hold on a handle: for as long as the handle is open. */
typedef struct loop_binding {
  ipc_gate_attachment attachment; /* first */
  ipc_loop *loop;
  ipc_gate *gate;
  loop_link in_loop;
} loop_binding;

struct ipc_loop {
  HANDLE port;
  HANDLE never; /* event that is never set: a wait for time alone */
  _Atomic bool closed;
  _Atomic bool woken;   /* ipc_loop_wake, and no wait has returned since */
  _Atomic bool polling; /* a thread is, or is about to be, at the port */

  SRWLOCK lock;               /* of the rest */
  CONDITION_VARIABLE unbound; /* the last binding went */
  bool waiting;               /* a thread is in ipc_loop_wait */
  bool signalled;             /* the thread at the port has been told to come back */
  loop_table table;
  loop_link bindings;
  size_t num_bindings;
  size_t num_unseen; /* completions taken since the last turn */
  loop_queue *queues[BUCKETS];
};

static loop_operation *by_loop(loop_link *link) { return (loop_operation *)(void *)link; }

static loop_operation *by_queue(loop_link *link) {
  return (loop_operation *)(void *)((unsigned char *)link - offsetof(loop_operation, in_queue));
}

static loop_binding *binding_by_loop(loop_link *link) {
  return (loop_binding *)(void *)((unsigned char *)link - offsetof(loop_binding, in_loop));
}

/* ----------------------------------------------------------------------------------------------- packets */

/* Has the thread at the port look at |op|, or, with NULL, come back. A packet that comes too late for its operation
 * costs an attempt: operations are never freed before the loop. */
static void post(ipc_loop *loop, loop_operation *op) {
  (void)PostQueuedCompletionStatus(loop->port, 0, (ULONG_PTR)op, NULL);
}

/* Makes the thread that is at the port come back. */
static void call_back(ipc_loop *loop) {
  if (!atomic_load(&loop->polling) || loop->signalled) return;
  loop->signalled = true;
  post(loop, NULL);
}

static void CALLBACK event_is_set(PTP_CALLBACK_INSTANCE instance, void *context, PTP_WAIT wait, TP_WAIT_RESULT result) {
  loop_operation *op = context;
  (void)instance;
  (void)wait;
  (void)result;
  post(op->loop, op);
}

static void arm(loop_operation *op, HANDLE event) {
  LARGE_INTEGER ticks = {.QuadPart = -(LONGLONG)SLICE_MS * TICKS_PER_MS}; /* from now */
  FILETIME slice = {.dwLowDateTime = ticks.LowPart, .dwHighDateTime = (DWORD)ticks.HighPart};
  op->is_armed = true;
  SetThreadpoolWait(op->wait, event != NULL ? event : op->loop->never, event != NULL ? NULL : &slice);
}

/* Afterwards the pool looks at the event no more, and it may be closed. The callback takes no lock. */
static void disarm(loop_operation *op) {
  if (!op->is_armed) return;
  SetThreadpoolWait(op->wait, NULL, NULL);
  WaitForThreadpoolWaitCallbacks(op->wait, TRUE);
  op->is_armed = false;
}

/* ----------------------------------------------------------------------------------------------- queues */

static loop_queue **bucket_of(ipc_loop *loop, const void *key) {
  uint64_t mixed = (uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15);
  return &loop->queues[(mixed >> 32) % BUCKETS];
}

static loop_queue *find_queue(ipc_loop *loop, const void *key) {
  loop_queue *queue = *bucket_of(loop, key);
  while (queue != NULL && queue->key != key) queue = queue->same_bucket;
  return queue;
}

/* Puts |op| at the end of its queue. False if there is no memory. */
static bool enqueue(ipc_loop *loop, loop_operation *op) {
  loop_queue *queue = find_queue(loop, op->key);
  if (queue == NULL) {
    queue = malloc(sizeof *queue);
    if (queue == NULL) return false;
    queue->key = op->key;
    link_init(&queue->operations);
    queue->same_bucket = *bucket_of(loop, op->key);
    *bucket_of(loop, op->key) = queue;
  }
  op->queue = queue;
  link_append(&queue->operations, &op->in_queue);
  return true;
}

static bool is_head(const loop_operation *op) {
  return op->in_queue.before == NULL || op->in_queue.before == &op->queue->operations;
}

/* Takes |op| out of its queue. Whoever is the head then is looked at in the next turn. */
static void dequeue(ipc_loop *loop, loop_operation *op) {
  loop_queue *queue = op->queue;
  bool was_head = is_head(op);
  link_remove(&op->in_queue);
  op->queue = NULL;
  if (!link_is_empty(&queue->operations)) {
    if (was_head) post(loop, by_queue(queue->operations.after));
    return;
  }
  loop_queue **at = bucket_of(loop, queue->key);
  while (*at != queue) at = &(*at)->same_bucket;
  *at = queue->same_bucket;
  free(queue);
}

/* ---------------------------------------------------------------------------------------- ending, beginning */

/* Ends |op|, which is under way: the one place where operations end. */
static void finish(ipc_loop *loop, loop_operation *op, ipc_status status) {
  ipc_loop_table_remove(&loop->table, &op->entry);
  disarm(op);
  op->status = op->kind->end != NULL ? op->kind->end(op, status) : status;
  if (op->in_queue.before != NULL) dequeue(loop, op);
  if (op->gate != NULL) ipc_gate_leave(op->gate);
  op->gate = NULL;
  link_append(&loop->table.completed, &op->entry.in_loop);
  call_back(loop);
}

static void drop_binding(ipc_loop *loop, loop_binding *binding) {
  link_remove(&binding->in_loop);
  free(binding);
  loop->num_bindings--;
}

/* A handle is being closed. */
static void handle_shut(ipc_gate_attachment *attachment) {
  loop_binding *binding = (loop_binding *)attachment;
  ipc_loop *loop = binding->loop;
  AcquireSRWLockExclusive(&loop->lock);
  for (loop_link *link = loop->table.under_way.after, *after; link != &loop->table.under_way; link = after) {
    after = link->after;
    if (by_loop(link)->gate == binding->gate) finish(loop, by_loop(link), ipc_status_of(IPC_CANCELLED));
  }
  drop_binding(loop, binding);
  if (loop->num_bindings == 0) WakeConditionVariable(&loop->unbound);
  ReleaseSRWLockExclusive(&loop->lock);
}

/* Binds the loop to the gate that |op| is inside of, if it is not. IPC_OK, IPC_CANCELLED (it is being shut),
 * IPC_OUT_OF_RESOURCES. */
static int32_t bind_gate(ipc_loop *loop, const loop_operation *op) {
  if (op->gate == NULL || ipc_gate_attached(op->gate, loop) != NULL) return IPC_OK;
  loop_binding *binding = calloc(1, sizeof *binding);
  if (binding == NULL) return IPC_OUT_OF_RESOURCES;
  binding->attachment.shut = handle_shut;
  binding->attachment.owner = loop;
  binding->loop = loop;
  binding->gate = op->gate;
  if (!ipc_gate_attach(op->gate, &binding->attachment)) {
    free(binding);
    return IPC_CANCELLED;
  }
  link_append(&loop->bindings, &binding->in_loop);
  loop->num_bindings++;
  return IPC_OK;
}

/* Makes an attempt of |op|, which waits for nothing, and another if its event is set behind that: it may have been set
 * between. If it still is, it is about something else, and time has to help. IPC_WOULD_BLOCK: |*out_event| is what to
 * wait for. */
static ipc_status try(loop_operation *op, HANDLE *out_event) {
  ipc_status status = op->kind->attempt(op);
  if (status.code != IPC_WOULD_BLOCK || op->event == NULL || WaitForSingleObject(op->event, 0) != WAIT_OBJECT_0) {
    *out_event = op->event;
    return status;
  }
  status = op->kind->attempt(op);
  bool is_set = op->event != NULL && WaitForSingleObject(op->event, 0) == WAIT_OBJECT_0;
  *out_event = is_set ? NULL : op->event;
  return status;
}

/* Makes the first attempt of |op|, which is under way, and decides what it waits for. */
static void start(ipc_loop *loop, loop_operation *op) {
  bool must_queue = op->key != NULL && find_queue(loop, op->key) != NULL;
  HANDLE event = NULL;
  int32_t code = IPC_OK;
  ipc_status status = must_queue ? ipc_status_of(IPC_WOULD_BLOCK) : try(op, &event);
  if (status.code == IPC_WOULD_BLOCK && op->what.timeout_ms == 0) status = ipc_status_of(IPC_TIMED_OUT);
  if (status.code == IPC_WOULD_BLOCK) code = bind_gate(loop, op);
  if (status.code == IPC_WOULD_BLOCK && code == IPC_OK && op->key != NULL && !enqueue(loop, op)) {
    code = IPC_OUT_OF_RESOURCES;
  }
  if (code != IPC_OK) status = ipc_status_of(code);
  if (status.code != IPC_WOULD_BLOCK) {
    finish(loop, op, status);
    return;
  }
  if (!must_queue && op->what.operation != IPC_SUBMIT_TIMER) arm(op, event);
  if (op->what.timeout_ms < 0) return;
  bool is_first = ipc_loop_table_time(&loop->table, &op->entry, ipc_deadline_end_ns(op->what.timeout_ms));
  if (is_first) call_back(loop); /* the wait at the port is for a later one */
}

/* Makes attempts for |op|, and for those behind it in its queue for as long as they get done, within what is fair. */
static void serve(ipc_loop *loop, loop_operation *op) {
  for (size_t left = SERVED_MAX; op != NULL && left > 0; left--) {
    loop_queue *queue = op->queue;
    bool has_next = queue != NULL && op->in_queue.after != &queue->operations;
    loop_operation *next = has_next ? by_queue(op->in_queue.after) : NULL;
    HANDLE event;
    disarm(op);
    ipc_status status = try(op, &event);
    if (status.code == IPC_WOULD_BLOCK) {
      arm(op, event);
      return;
    }
    finish(loop, op, status);
    op = next;
  }
}

/* Whether |op| is one that waits: a packet may come for one that has ended. */
static bool is_under_way(const ipc_loop *loop, const loop_operation *op) {
  return ipc_loop_table_find(&loop->table, op->entry.token) == &op->entry;
}

/* Ends what is past its deadline, in the order of the deadlines. */
static void serve_timers(ipc_loop *loop) {
  loop_entry *first = ipc_loop_table_first(&loop->table);
  if (first == NULL) return;
  int64_t now = ipc_deadline_now_ns();
  for (; first != NULL && first->end_ns <= now; first = ipc_loop_table_first(&loop->table)) {
    finish(loop, by_loop(&first->in_loop), ipc_status_of(IPC_TIMED_OUT));
  }
}

/* ---------------------------------------------------------------------------------------- open, close, free */

static void release(ipc_loop *loop) {
  if (loop->port != NULL) (void)CloseHandle(loop->port);
  if (loop->never != NULL) (void)CloseHandle(loop->never);
  ipc_loop_table_free(&loop->table);
  free(loop);
}

ipc_status ipc_loop_open(const ipc_loop_options *options, ipc_loop **out_loop) {
  if (out_loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_loop = NULL;
  if (options != NULL && !ipc_options_fit(options, options->size, sizeof *options)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  uint32_t backend = options != NULL ? options->backend : IPC_LOOP_BEST;
  if (backend > IPC_LOOP_IOCP) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (backend != IPC_LOOP_BEST && backend != IPC_LOOP_IOCP) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_loop *loop = calloc(1, sizeof *loop);
  if (loop == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  InitializeSRWLock(&loop->lock);
  InitializeConditionVariable(&loop->unbound);
  link_init(&loop->bindings);
  loop->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
  loop->never = CreateEventW(NULL, TRUE, FALSE, NULL);
  if (!ipc_loop_table_init(&loop->table) || loop->port == NULL || loop->never == NULL) {
    release(loop);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  *out_loop = loop;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_loop_close(ipc_loop *loop) {
  if (loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  AcquireSRWLockExclusive(&loop->lock);
  bool was_closed = atomic_exchange(&loop->closed, true);
  if (!was_closed) {
    while (!link_is_empty(&loop->table.under_way)) {
      finish(loop, by_loop(loop->table.under_way.after), ipc_status_of(IPC_CANCELLED));
    }
    for (loop_link *link = loop->bindings.after, *after; link != &loop->bindings; link = after) {
      loop_binding *binding = binding_by_loop(link);
      after = link->after;
      /* The handle of one that was taken off is being closed, and drops it. */
      if (ipc_gate_detach(binding->gate, &binding->attachment)) drop_binding(loop, binding);
    }
    call_back(loop);
  }
  ReleaseSRWLockExclusive(&loop->lock);
  return ipc_status_of(was_closed ? IPC_CLOSED : IPC_OK);
}

static void free_operations(loop_link *head) {
  while (!link_is_empty(head)) {
    loop_operation *op = by_loop(head->after);
    link_remove(&op->entry.in_loop);
    CloseThreadpoolWait(op->wait);
    if (op->own != NULL) (void)CloseHandle(op->own);
    free(op);
  }
}

ipc_status ipc_loop_free(ipc_loop *loop) {
  if (loop == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_loop_close(loop);
  AcquireSRWLockExclusive(&loop->lock);
  while (loop->num_bindings > 0) (void)SleepConditionVariableSRW(&loop->unbound, &loop->lock, INFINITE, 0);
  ReleaseSRWLockExclusive(&loop->lock);
  for (loop_link *link = loop->table.completed.after; link != &loop->table.completed; link = link->after) {
    (void)ipc_stream_free(by_loop(link)->stream);
  }
  free_operations(&loop->table.completed);
  free_operations(&loop->table.spare);
  release(loop);
  return ipc_status_of(IPC_OK);
}

/* ---------------------------------------------------------------------------------------- submit, cancel, wake */

static loop_operation *make_operation(ipc_loop *loop) {
  loop_operation *op = calloc(1, sizeof *op);
  if (op == NULL) return NULL;
  op->loop = loop;
  op->wait = CreateThreadpoolWait(event_is_set, op, NULL);
  if (op->wait == NULL) {
    free(op);
    return NULL;
  }
  return op;
}

static loop_operation *take_spare(ipc_loop *loop) {
  if (link_is_empty(&loop->table.spare)) return make_operation(loop);
  loop_operation *op = by_loop(loop->table.spare.after);
  link_remove(&op->entry.in_loop);
  return op;
}

/* Fills |op| but for what its kind adds. */
static void set_up(loop_operation *op, const loop_kind *kind, const ipc_submission *submission) {
  op->entry.token = submission->token;
  op->in_queue = (loop_link){NULL, NULL};
  op->queue = NULL;
  op->kind = kind;
  op->what = *submission;
  op->gate = NULL;
  op->key = NULL;
  op->event = NULL;
  op->is_armed = false;
  op->status = ipc_status_of(IPC_OK);
  op->len = 0;
  op->stream = NULL;
  op->waiting = NULL;
  op->is_reading = false;
}

static ipc_status submit(ipc_loop *loop, const loop_kind *kind, const ipc_submission *submission) {
  if (atomic_load(&loop->closed)) return ipc_status_of(IPC_CLOSED);
  if (ipc_loop_table_find(&loop->table, submission->token) != NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_loop_table_reserve(&loop->table)) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  loop_operation *op = take_spare(loop);
  if (op == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  set_up(op, kind, submission);
  ipc_status status = kind->begin(op);
  if (status.code != IPC_OK) {
    link_append(&loop->table.spare, &op->entry.in_loop);
    return status;
  }
  ipc_loop_table_add(&loop->table, &op->entry);
  start(loop, op);
  return status;
}

ipc_status ipc_loop_submit(ipc_loop *loop, const ipc_submission *submission) {
  if (loop == NULL || submission == NULL || !ipc_options_fit(submission, submission->size, sizeof *submission) ||
      submission->timeout_ms < IPC_NO_TIMEOUT || submission->operation == 0 ||
      submission->operation > IPC_SUBMIT_TIMER) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  const loop_kind *kind = ipc_loop_kind(submission->operation);
  if (kind == NULL) return ipc_status_of(IPC_UNSUPPORTED);
  AcquireSRWLockExclusive(&loop->lock);
  ipc_status status = submit(loop, kind, submission);
  ReleaseSRWLockExclusive(&loop->lock);
  return status;
}

ipc_status ipc_loop_cancel(ipc_loop *loop, uint64_t token) {
  if (loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  int32_t code = IPC_OK;
  AcquireSRWLockExclusive(&loop->lock);
  loop_entry *found = ipc_loop_table_find(&loop->table, token);
  if (atomic_load(&loop->closed)) {
    code = IPC_CLOSED;
  } else if (found == NULL) {
    code = IPC_NOT_FOUND;
  } else {
    finish(loop, by_loop(&found->in_loop), ipc_status_of(IPC_CANCELLED));
  }
  ReleaseSRWLockExclusive(&loop->lock);
  return ipc_status_of(code);
}

/* Either the waiting thread sees the flag before it goes to the port, or this sees that it is there. */
ipc_status ipc_loop_wake(ipc_loop *loop) {
  if (loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (atomic_load(&loop->closed)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&loop->woken, true);
  if (atomic_load(&loop->polling)) post(loop, NULL);
  return ipc_status_of(IPC_OK);
}

/* ------------------------------------------------------------------------------------------------- wait */

/* How long to wait at the port: until the first deadline of an operation or |deadline|, not at all if there is
 * something to return. In milliseconds, rounded up: never early. */
static DWORD patience_ms(ipc_loop *loop, ipc_deadline *deadline) {
  if (!link_is_empty(&loop->table.completed) || atomic_load(&loop->woken) || atomic_load(&loop->closed)) return 0;
  int left_ms = ipc_deadline_left_ms(deadline);
  const loop_entry *entry = ipc_loop_table_first(&loop->table);
  if (entry != NULL) {
    ipc_deadline first = {.timeout_ms = 1, .running = true, .end_ns = entry->end_ns};
    int first_ms = ipc_deadline_left_ms(&first);
    if (left_ms < 0 || first_ms < left_ms) left_ms = first_ms;
  }
  return left_ms < 0 ? INFINITE : (DWORD)left_ms;
}

/* One turn: takes packets, waiting if it may, and carries out what can be. A Win32 error. */
static DWORD turn(ipc_loop *loop, ipc_deadline *deadline) {
  OVERLAPPED_ENTRY ready[READY_MAX];
  ULONG num = 0;
  atomic_store(&loop->polling, true);
  DWORD patience = patience_ms(loop, deadline);
  ReleaseSRWLockExclusive(&loop->lock);
  DWORD error = GetQueuedCompletionStatusEx(loop->port, ready, READY_MAX, &num, patience, FALSE) ? 0 : GetLastError();
  AcquireSRWLockExclusive(&loop->lock);
  atomic_store(&loop->polling, false);
  loop->signalled = false;
  loop->num_unseen = 0;
  if (error != 0) num = 0;
  for (ULONG i = 0; i < num; i++) {
    loop_operation *op = (loop_operation *)ready[i].lpCompletionKey;
    if (op != NULL && is_under_way(loop, op) && is_head(op)) serve(loop, op);
  }
  serve_timers(loop);
  return error == WAIT_TIMEOUT ? 0 : error;
}

static size_t take_completions(ipc_loop *loop, ipc_completion *out, size_t max) {
  size_t num = 0;
  while (num < max && !link_is_empty(&loop->table.completed)) {
    loop_operation *op = by_loop(loop->table.completed.after);
    link_remove(&op->entry.in_loop);
    out[num++] = (ipc_completion){.token = op->what.token,
                                  .operation = op->what.operation,
                                  .status = op->status,
                                  .len = op->len,
                                  .stream = op->stream};
    link_append(&loop->table.spare, &op->entry.in_loop);
  }
  loop->num_unseen += num;
  return num;
}

/* A wake is answered by a wait that has had a turn since: what could be completed at that moment has been. */
static ipc_status wait_for_completions(ipc_loop *loop, ipc_deadline *deadline) {
  bool looked = false;
  for (;;) {
    bool woken = atomic_load(&loop->woken);
    bool has_some = !link_is_empty(&loop->table.completed);
    if (has_some && (looked || (!woken && loop->num_unseen < UNSEEN_MAX))) return ipc_status_of(IPC_OK);
    if (!has_some && atomic_load(&loop->closed)) return ipc_status_of(IPC_CLOSED);
    if (!has_some && looked && woken) return ipc_status_of(IPC_INTERRUPTED);
    if (!has_some && looked && ipc_deadline_left(deadline) == 0) return ipc_status_of(IPC_TIMED_OUT);
    DWORD error = turn(loop, deadline);
    if (error != 0) return (ipc_status){IPC_FAILED, error};
    looked = woken == atomic_load(&loop->woken); /* a wake during the turn wants one of its own */
  }
}

ipc_status ipc_loop_wait(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions, size_t completions_max,
                         size_t *out_num) {
  if (out_num != NULL) *out_num = 0;
  if (loop == NULL || out_completions == NULL || completions_max == 0 || out_num == NULL ||
      timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  AcquireSRWLockExclusive(&loop->lock);
  if (loop->waiting) {
    ReleaseSRWLockExclusive(&loop->lock);
    return ipc_status_of(IPC_BUSY);
  }
  loop->waiting = true;
  ipc_status status = wait_for_completions(loop, &deadline);
  if (status.code == IPC_OK) *out_num = take_completions(loop, out_completions, completions_max);
  loop->waiting = false;
  atomic_store(&loop->woken, false);
  ReleaseSRWLockExclusive(&loop->lock);
  return status;
}

#else

typedef int ipc_windows_loop_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_ASYNC */
