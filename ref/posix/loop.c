/* loop.c - completion loops: operations under way, what ends them, and who is told. loop.h says how it works. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/loop.h"

#ifndef IPC_WITHOUT_ASYNC

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/posix/deadline.h"
#include "ref/posix/poller.h"
#include "ref/posix/stream.h"

enum {
  READY_MAX = 64,  /* descriptors in one turn */
  SERVED_MAX = 16, /* operations of one queue in one turn */
  UNSEEN_MAX = 64, /* completions taken before there is another turn */
};

/* A descriptor that operations wait for. It goes with the last binding and the last operation. */
typedef struct loop_source loop_source;
struct loop_source {
  int fd;
  uint32_t interest; /* what the poller knows */
  bool always_ready; /* the poller does not take it */
  size_t num_bindings;
  loop_link queues[2];     /* by `queue_of`; circular */
  loop_source *aside;      /* watched in this one's stead: the head of the writing queue stands aside */
  loop_source *stands_for; /* of one that is watched so */
};

/* A loop's hold on a handle: for as long as the handle is open. */
typedef struct loop_binding {
  ipc_gate_attachment attachment; /* first */
  ipc_loop *loop;
  ipc_gate *gate;
  loop_source *source;
  loop_link in_loop;
} loop_binding;

struct ipc_loop {
  const ipc_poller_kind *kind;
  ipc_poller *poller;
  _Atomic bool closed;
  _Atomic bool woken;   /* ipc_loop_wake, and no wait has returned since */
  _Atomic bool polling; /* a thread is, or is about to be, in the poller */

  pthread_mutex_t lock;   /* of the rest */
  pthread_cond_t unbound; /* the last binding went */
  bool waiting;           /* a thread is in ipc_loop_wait */
  bool signalled;         /* the thread in the poller has been told to come back */
  loop_table table;       /* operations */
  loop_link bindings;
  size_t num_bindings;
  size_t num_always_ready; /* sources */
  size_t num_unseen;       /* completions taken since the last turn */
  loop_source **sources;   /* by descriptor */
  size_t sources_room;
};

/* ------------------------------------------------------------------------------------------------ links */

static loop_operation *by_loop(loop_link *link) { return (loop_operation *)(void *)link; }

static loop_operation *by_queue(loop_link *link) {
  return (loop_operation *)(void *)((unsigned char *)link - offsetof(loop_operation, in_queue));
}

static loop_binding *binding_by_loop(loop_link *link) {
  return (loop_binding *)(void *)((unsigned char *)link - offsetof(loop_binding, in_loop));
}

/* ---------------------------------------------------------------------------------------------- sources */

static loop_link *queue_of(loop_source *source, uint32_t direction) {
  return &source->queues[direction == IPC_READY_READ ? 0 : 1];
}

static loop_source *find_source(ipc_loop *loop, int fd) {
  return fd >= 0 && (size_t)fd < loop->sources_room ? loop->sources[fd] : NULL;
}

/* Gives the source of |fd|, making it if there is none. NULL: out of memory. */
static loop_source *need_source(ipc_loop *loop, int fd) {
  loop_source *source = find_source(loop, fd);
  if (source != NULL) return source;
  if ((size_t)fd >= loop->sources_room) {
    size_t room = loop->sources_room * 2 > (size_t)fd + 1 ? loop->sources_room * 2 : (size_t)fd + 1;
    loop_source **grown = realloc(loop->sources, room * sizeof(loop_source *));
    if (grown == NULL) return NULL;
    for (size_t i = loop->sources_room; i < room; i++) grown[i] = NULL;
    loop->sources = grown;
    loop->sources_room = room;
  }
  source = calloc(1, sizeof *source);
  if (source == NULL) return NULL;
  source->fd = fd;
  link_init(&source->queues[0]);
  link_init(&source->queues[1]);
  loop->sources[fd] = source;
  return source;
}

/* What the operations of |source| wait for on its own descriptor. */
static uint32_t wanted_of(const loop_source *source) {
  return (link_is_empty(&source->queues[0]) ? 0u : IPC_READY_READ) |
         (link_is_empty(&source->queues[1]) || source->aside != NULL ? 0u : IPC_READY_WRITE);
}

/* Tells the poller. errno, but not EPERM: that is a descriptor which is always ready. */
static int set_interest(ipc_loop *loop, loop_source *source, uint32_t interest) {
  if (source->always_ready || source->interest == interest) return 0;
  int error = loop->kind->set(loop->poller, source->fd, source->interest, interest);
  if (error == EPERM) {
    source->always_ready = true;
    loop->num_always_ready++;
    return 0;
  }
  if (error == 0) source->interest = interest;
  return error;
}

/* Lets go of |source| if nobody uses it. */
static void release_source(ipc_loop *loop, loop_source *source) {
  if (source->num_bindings != 0 || !link_is_empty(&source->queues[0]) || !link_is_empty(&source->queues[1])) return;
  (void)set_interest(loop, source, 0);
  if (source->always_ready) loop->num_always_ready--;
  loop->sources[source->fd] = NULL;
  free(source);
}

/* ---------------------------------------------------------------------------------------- ending, beginning */

/* Ends the watch of what |source|'s head waits for in truth, if it stands aside. */
static void come_back(ipc_loop *loop, loop_source *source) {
  loop_source *aside = source->aside;
  if (aside == NULL) return;
  source->aside = NULL;
  release_source(loop, aside);
}

/* Watches what |op|, the head of |source|'s writing queue, waits for: what it stands aside for, or the source itself.
 * errno. */
static int watch_head(ipc_loop *loop, loop_source *source, const loop_operation *op) {
  if (op->aside_fd < 0) return set_interest(loop, source, source->interest | op->direction);
  loop_source *aside = need_source(loop, op->aside_fd);
  if (aside == NULL) return ENOMEM;
  int error = set_interest(loop, aside, op->aside_direction);
  if (error != 0) {
    release_source(loop, aside);
    return error;
  }
  aside->stands_for = source;
  source->aside = aside; /* what interest there is in the source itself goes when it is reported */
  return 0;
}

/* Makes the thread that is in the poller come back. */
static void call_back(ipc_loop *loop) {
  if (!atomic_load(&loop->polling) || loop->signalled) return;
  loop->signalled = true;
  loop->kind->wake(loop->poller);
}

static void watch_next(ipc_loop *loop, loop_source *source);

/* Takes |op| out of its queue. */
static void dequeue(ipc_loop *loop, loop_operation *op) {
  loop_source *source = loop->sources[op->fd];
  bool stood_aside = op->aside_fd >= 0 && source->aside != NULL && source->aside->fd == op->aside_fd;
  if (stood_aside) come_back(loop, source);
  link_remove(&op->in_queue);
  bool is_own = op->waiter != NULL && op->fd == ipc_waiter_descriptor(op->waiter);
  if (is_own) (void)set_interest(loop, source, 0); /* the descriptor goes with the operation */
  if (stood_aside) watch_next(loop, source);
  release_source(loop, source);
}

/* Ends |op|, which is under way: the one place where operations end. */
static void finish(ipc_loop *loop, loop_operation *op, ipc_status status) {
  ipc_loop_table_remove(&loop->table, &op->entry);
  if (op->in_queue.before != NULL) dequeue(loop, op);
  op->status = op->kind->end != NULL ? op->kind->end(op, status) : status;
  if (op->gate != NULL) ipc_gate_leave(op->gate);
  op->gate = NULL;
  link_append(&loop->table.completed, &op->entry.in_loop);
  call_back(loop);
}

/* Has the writing queue of |source| tried in the next turn, when the head that stood aside is gone. What the poller
 * then refuses to tell of ends. */
static void watch_next(ipc_loop *loop, loop_source *source) {
  const loop_link *head = &source->queues[1];
  source->num_bindings++; /* it is in use */
  while (!link_is_empty(head)) {
    int error = set_interest(loop, source, source->interest | IPC_READY_WRITE);
    if (error == 0) break;
    finish(loop, by_queue(head->after), ipc_platform_status((uint32_t)error));
  }
  source->num_bindings--;
}

/* Ends the operations of |source| that are inside of |gate|. */
static void cancel_inside(ipc_loop *loop, loop_source *source, const ipc_gate *gate) {
  for (size_t i = 0; i < 2; i++) {
    loop_link *head = &source->queues[i];
    loop_link *link = head->after;
    while (link != head) {
      bool is_inside = by_queue(link)->gate == gate;
      if (is_inside) finish(loop, by_queue(link), ipc_status_of(IPC_CANCELLED));
      link = is_inside ? head->after : link->after; /* others may have ended with it: see watch_next */
    }
  }
}

static void drop_binding(ipc_loop *loop, loop_binding *binding) {
  loop_source *source = binding->source;
  link_remove(&binding->in_loop);
  free(binding);
  loop->num_bindings--;
  source->num_bindings--;
  (void)set_interest(loop, source, source->interest & wanted_of(source));
  release_source(loop, source);
}

/* A handle is being closed. */
static void handle_shut(ipc_gate_attachment *attachment) {
  loop_binding *binding = (loop_binding *)attachment;
  ipc_loop *loop = binding->loop;
  pthread_mutex_lock(&loop->lock);
  cancel_inside(loop, binding->source, binding->gate); /* the binding keeps the source */
  drop_binding(loop, binding);
  if (loop->num_bindings == 0) pthread_cond_signal(&loop->unbound);
  pthread_mutex_unlock(&loop->lock);
}

/* Binds the loop to the gate that |op| is inside of, if it is not. IPC_OK, IPC_CANCELLED (it is being shut),
 * IPC_OUT_OF_RESOURCES. */
static int32_t bind_gate(ipc_loop *loop, const loop_operation *op, loop_source *source) {
  if (ipc_gate_attached(op->gate, loop) != NULL) return IPC_OK;
  loop_binding *binding = calloc(1, sizeof *binding);
  if (binding == NULL) return IPC_OUT_OF_RESOURCES;
  binding->attachment.shut = handle_shut;
  binding->attachment.owner = loop;
  binding->loop = loop;
  binding->gate = op->gate;
  binding->source = source;
  if (!ipc_gate_attach(op->gate, &binding->attachment)) {
    free(binding);
    return IPC_CANCELLED;
  }
  link_append(&loop->bindings, &binding->in_loop);
  loop->num_bindings++;
  source->num_bindings++;
  return IPC_OK;
}

/* Puts |op| into the queue of what it waits for. IPC_OK, or what it then ends as. */
static ipc_status enqueue(ipc_loop *loop, loop_operation *op) {
  loop_source *source = need_source(loop, op->fd);
  if (source == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  int32_t code = op->gate != NULL ? bind_gate(loop, op, source) : IPC_OK;
  if (code != IPC_OK) {
    release_source(loop, source);
    return ipc_status_of(code);
  }
  bool is_head = link_is_empty(queue_of(source, op->direction));
  link_append(queue_of(source, op->direction), &op->in_queue);
  int error = is_head ? watch_head(loop, source, op) : 0; /* for the others it is watched already */
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

/* Whether operations wait that |op| must not overtake. */
static bool must_queue(ipc_loop *loop, loop_operation *op) {
  if (op->fd < 0) return false;
  loop_source *source = find_source(loop, op->fd);
  return source != NULL && !link_is_empty(queue_of(source, op->direction));
}

/* Makes the first attempt of |op|, which is under way, and decides what it waits for. */
static void start(ipc_loop *loop, loop_operation *op) {
  ipc_status status = must_queue(loop, op) ? ipc_status_of(IPC_WOULD_BLOCK) : op->kind->attempt(op);
  if (status.code != IPC_WOULD_BLOCK || op->single) {
    finish(loop, op, status);
    return;
  }
  if (op->what.timeout_ms == 0) {
    finish(loop, op, ipc_status_of(IPC_TIMED_OUT));
    return;
  }
  if (op->fd >= 0) {
    status = enqueue(loop, op);
    if (status.code != IPC_OK) {
      finish(loop, op, status);
      return;
    }
  }
  if (op->what.timeout_ms < 0) return;
  bool is_first = ipc_loop_table_time(&loop->table, &op->entry, ipc_deadline_end_ns(op->what.timeout_ms));
  if (is_first) call_back(loop); /* the poller waits for a later one */
}

/* Makes attempts for the head of a queue for as long as it gets done, within what is fair. */
static void serve(ipc_loop *loop, loop_source *source, uint32_t direction) {
  loop_link *head = queue_of(source, direction);
  size_t left = SERVED_MAX;
  while (!link_is_empty(head) && left-- > 0) {
    loop_operation *op = by_queue(head->after);
    op->aside_fd = -1;
    ipc_status status = op->kind->attempt(op);
    if (status.code == IPC_WOULD_BLOCK) {
      int error = watch_head(loop, source, op);
      if (error == 0) return;
      status = ipc_platform_status((uint32_t)error);
    }
    finish(loop, op, status);
  }
  if (direction == IPC_READY_WRITE) watch_next(loop, source); /* the first may have stood aside until now */
}

static void serve_ready(ipc_loop *loop, const ipc_ready *ready) {
  loop_source *source = find_source(loop, ready->fd);
  if (source == NULL) return; /* it went while the poller looked */
  uint32_t directions = ready->directions;
  if (source->stands_for != NULL) {
    source = source->stands_for;
    come_back(loop, source);
    directions = IPC_READY_WRITE;
  }
  uint32_t wanted = directions & wanted_of(source);
  uint32_t idle = directions & ~wanted;
  source->num_bindings++; /* it is in use */
  if ((wanted & IPC_READY_READ) != 0) serve(loop, source, IPC_READY_READ);
  if ((wanted & IPC_READY_WRITE) != 0) serve(loop, source, IPC_READY_WRITE);
  if ((source->interest & idle) != 0) (void)set_interest(loop, source, source->interest & ~idle);
  source->num_bindings--;
  release_source(loop, source);
}

static void serve_always_ready(ipc_loop *loop) {
  for (size_t fd = 0; fd < loop->sources_room && loop->num_always_ready > 0; fd++) {
    if (loop->sources[fd] == NULL || !loop->sources[fd]->always_ready) continue;
    const ipc_ready ready = {(int)fd, IPC_READY_READ | IPC_READY_WRITE};
    serve_ready(loop, &ready);
  }
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

static int init_locks(ipc_loop *loop) {
  int error = pthread_mutex_init(&loop->lock, NULL);
  if (error != 0) return error;
  error = pthread_cond_init(&loop->unbound, NULL);
  if (error != 0) pthread_mutex_destroy(&loop->lock);
  return error;
}

static int init(ipc_loop *loop) {
  if (!ipc_loop_table_init(&loop->table)) return ENOMEM;
  atomic_init(&loop->closed, false);
  atomic_init(&loop->woken, false);
  atomic_init(&loop->polling, false);
  link_init(&loop->bindings);
  int error = init_locks(loop);
  if (error != 0) return error;
  error = loop->kind->open(&loop->poller);
  if (error != 0) {
    pthread_cond_destroy(&loop->unbound);
    pthread_mutex_destroy(&loop->lock);
  }
  return error;
}

ipc_status ipc_loop_open(const ipc_loop_options *options, ipc_loop **out_loop) {
  if (out_loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_loop = NULL;
  if (options != NULL && !ipc_options_fit(options, options->size, sizeof *options)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  uint32_t backend = options != NULL ? options->backend : IPC_LOOP_BEST;
  if (backend > IPC_LOOP_IOCP) return ipc_status_of(IPC_INVALID_ARGUMENT);
  const ipc_poller_kind *kind = ipc_poller_of(backend);
  if (kind == NULL) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_loop *loop = calloc(1, sizeof *loop);
  if (loop == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  loop->kind = kind;
  int error = init(loop);
  if (error != 0) {
    ipc_loop_table_free(&loop->table);
    free(loop);
    return ipc_platform_status((uint32_t)error);
  }
  *out_loop = loop;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_loop_close(ipc_loop *loop) {
  if (loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  pthread_mutex_lock(&loop->lock);
  bool was_closed = atomic_exchange(&loop->closed, true);
  if (!was_closed) {
    while (!link_is_empty(&loop->table.under_way)) {
      finish(loop, by_loop(loop->table.under_way.after), ipc_status_of(IPC_CANCELLED));
    }
    for (loop_link *link = loop->bindings.after, *after; link != &loop->bindings; link = after) {
      loop_binding *binding = binding_by_loop(link);
      after = link->after;
      /* While the binding is attached the descriptor cannot be closed. The handle of one that was taken off is being
       * closed, and drops it. */
      (void)set_interest(loop, binding->source, 0);
      if (ipc_gate_detach(binding->gate, &binding->attachment)) drop_binding(loop, binding);
    }
    call_back(loop);
  }
  pthread_mutex_unlock(&loop->lock);
  return ipc_status_of(was_closed ? IPC_CLOSED : IPC_OK);
}

static void free_operations(loop_link *head) {
  while (!link_is_empty(head)) {
    loop_operation *op = by_loop(head->after);
    link_remove(&op->entry.in_loop);
    free(op);
  }
}

ipc_status ipc_loop_free(ipc_loop *loop) {
  if (loop == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_loop_close(loop);
  pthread_mutex_lock(&loop->lock);
  while (loop->num_bindings > 0) pthread_cond_wait(&loop->unbound, &loop->lock);
  pthread_mutex_unlock(&loop->lock);
  for (loop_link *link = loop->table.completed.after; link != &loop->table.completed; link = link->after) {
    (void)ipc_stream_free(by_loop(link)->stream);
    (void)ipc_socket_free(by_loop(link)->socket);
  }
  free_operations(&loop->table.completed);
  free_operations(&loop->table.spare);
  loop->kind->close(loop->poller);
  pthread_cond_destroy(&loop->unbound);
  pthread_mutex_destroy(&loop->lock);
  free(loop->sources);
  ipc_loop_table_free(&loop->table);
  free(loop);
  return ipc_status_of(IPC_OK);
}

/* ---------------------------------------------------------------------------------------- submit, cancel, wake */

static loop_operation *take_spare(ipc_loop *loop) {
  if (link_is_empty(&loop->table.spare)) return malloc(sizeof(loop_operation));
  loop_operation *op = by_loop(loop->table.spare.after);
  link_remove(&op->entry.in_loop);
  return op;
}

/* Fills |op| but for what its kind adds. */
static void set_up(loop_operation *op, const loop_kind *kind, const ipc_submission *submission) {
  op->entry.token = submission->token;
  op->in_queue = (loop_link){NULL, NULL};
  op->kind = kind;
  op->what = *submission;
  op->gate = NULL;
  op->fd = -1;
  op->direction = 0;
  op->aside_fd = -1;
  op->aside_direction = 0;
  op->single = false;
  op->status = ipc_status_of(IPC_OK);
  op->len = 0;
  op->stream = NULL;
  op->socket = NULL;
  op->waiter = NULL;
  op->opening = NULL;
  op->room = -1;
  op->connecting = false;
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
  pthread_mutex_lock(&loop->lock);
  ipc_status status = submit(loop, kind, submission);
  pthread_mutex_unlock(&loop->lock);
  return status;
}

ipc_status ipc_loop_cancel(ipc_loop *loop, uint64_t token) {
  if (loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  int32_t code = IPC_OK;
  pthread_mutex_lock(&loop->lock);
  loop_entry *found = ipc_loop_table_find(&loop->table, token);
  if (atomic_load(&loop->closed)) {
    code = IPC_CLOSED;
  } else if (found == NULL) {
    code = IPC_NOT_FOUND;
  } else {
    finish(loop, by_loop(&found->in_loop), ipc_status_of(IPC_CANCELLED));
  }
  pthread_mutex_unlock(&loop->lock);
  return ipc_status_of(code);
}

/* Either the waiting thread sees the flag before it goes to the poller, or this sees that it is there. */
ipc_status ipc_loop_wake(ipc_loop *loop) {
  if (loop == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (atomic_load(&loop->closed)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&loop->woken, true);
  if (atomic_load(&loop->polling)) loop->kind->wake(loop->poller);
  return ipc_status_of(IPC_OK);
}

/* ------------------------------------------------------------------------------------------------- wait */

/* How long the poller may wait: until the first deadline of an operation or |deadline|, not at all if there is
 * something to return. In milliseconds, rounded up: never early. */
static int patience_ms(ipc_loop *loop, ipc_deadline *deadline) {
  if (!link_is_empty(&loop->table.completed) || atomic_load(&loop->woken) || loop->num_always_ready > 0 ||
      atomic_load(&loop->closed)) {
    return 0;
  }
  int left_ms = ipc_deadline_left_ms(deadline);
  const loop_entry *entry = ipc_loop_table_first(&loop->table);
  if (entry == NULL) return left_ms;
  ipc_deadline first = {.timeout_ms = 1, .running = true, .end_ns = entry->end_ns};
  int first_ms = ipc_deadline_left_ms(&first);
  return left_ms < 0 || first_ms < left_ms ? first_ms : left_ms;
}

/* One turn: looks at the descriptors, waiting if it may, and carries out what can be. errno. */
static int turn(ipc_loop *loop, ipc_deadline *deadline) {
  ipc_ready ready[READY_MAX];
  size_t num = 0;
  atomic_store(&loop->polling, true);
  int timeout_ms = patience_ms(loop, deadline);
  pthread_mutex_unlock(&loop->lock);
  int error = loop->kind->wait(loop->poller, timeout_ms, ready, READY_MAX, &num);
  pthread_mutex_lock(&loop->lock);
  atomic_store(&loop->polling, false);
  loop->signalled = false;
  loop->num_unseen = 0;
  for (size_t i = 0; i < num; i++) serve_ready(loop, &ready[i]);
  if (loop->num_always_ready > 0) serve_always_ready(loop);
  serve_timers(loop);
  return error;
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
                                  .stream = op->stream,
                                  .socket = op->socket};
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
    int error = turn(loop, deadline);
    if (error != 0) return (ipc_status){error == ENOMEM ? IPC_OUT_OF_RESOURCES : IPC_FAILED, (uint32_t)error};
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
  pthread_mutex_lock(&loop->lock);
  if (loop->waiting) {
    pthread_mutex_unlock(&loop->lock);
    return ipc_status_of(IPC_BUSY);
  }
  loop->waiting = true;
  ipc_status status = wait_for_completions(loop, &deadline);
  if (status.code == IPC_OK) *out_num = take_completions(loop, out_completions, completions_max);
  loop->waiting = false;
  atomic_store(&loop->woken, false);
  pthread_mutex_unlock(&loop->lock);
  return status;
}

#endif /* IPC_WITHOUT_ASYNC */
