/* tasks.c - see tasks.h. */
#include "conformance/peer/tasks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conformance/peer/endpoint.h"

enum { COMPLETIONS_MAX = 16 };

/* An operation under way. It lives on the stack of its lane. */
typedef struct task {
  uint64_t token;
  cts_call *call;
  ipc_completion done;
  bool has_ended;
  platform_condition ended;
  struct task *next;
} task;

static ipc_loop *loop;

/* What the lanes and the loop's thread share. */
static struct {
  platform_mutex mutex;
  task *first;
  uint64_t last_token;
  uint64_t turns_wanted;
  uint64_t turns_done;
  platform_condition turned;
} shared = {.mutex = PLATFORM_MUTEX_INIT, .turned = PLATFORM_CONDITION_INIT};

bool tasks_offered(void) {
  return library.loop_open != NULL && library.loop_submit != NULL && library.loop_cancel != NULL &&
         library.loop_wait != NULL && library.loop_wake != NULL && library.loop_close != NULL &&
         library.loop_free != NULL;
}

static void library_is_wrong(const char *what) {
  fprintf(stderr, "peer: the library's loop %s\n", what);
  abort();
}

/* find_task returns the place of the task with that token, or of the end. shared.mutex is held. */
static task **find_task(uint64_t token) {
  task **at = &shared.first;
  while (*at != NULL && (*at)->token != token) at = &(*at)->next;
  return at;
}

/* hand_over gives the completions to their lanes. */
static void hand_over(const ipc_completion *completions, size_t num) {
  platform_lock(&shared.mutex);
  for (size_t i = 0; i < num; i++) {
    task *t = *find_task(completions[i].token);
    if (t == NULL) library_is_wrong("completed an operation that is not under way");
    if (t->has_ended) library_is_wrong("completed an operation twice");
    t->done = completions[i];
    t->has_ended = true;
    cts_awake(t->call);
    platform_wake_one(&t->ended);
  }
  platform_unlock(&shared.mutex);
}

/* take_completions waits and hands over; the status is the wait's. */
static int32_t take_completions(int64_t timeout_ms) {
  ipc_completion completions[COMPLETIONS_MAX];
  size_t num = 0;
  ipc_status status = library.loop_wait(loop, timeout_ms, completions, COMPLETIONS_MAX, &num);
  if (num > COMPLETIONS_MAX) library_is_wrong("answered more completions than there was room for");
  if (status.code == IPC_OK && num == 0) library_is_wrong("answered ok and no completion");
  if (status.code != IPC_OK && status.code != IPC_TIMED_OUT && status.code != IPC_INTERRUPTED) {
    library_is_wrong("cannot wait");
  }
  hand_over(completions, num);
  return status.code;
}

/* The loop's thread. After each wait it looks whether a turn was asked for meanwhile; such a turn takes everything that
 * is there without waiting. */
static void serve(void) {
  for (;;) {
    take_completions(IPC_NO_TIMEOUT);
    platform_lock(&shared.mutex);
    uint64_t wanted = shared.turns_wanted;
    bool asked = wanted != shared.turns_done;
    platform_unlock(&shared.mutex);
    if (!asked) continue;
    while (take_completions(0) == IPC_OK) continue;
    platform_lock(&shared.mutex);
    shared.turns_done = wanted;
    platform_wake_all(&shared.turned);
    platform_unlock(&shared.mutex);
  }
}

static uint32_t wanted_backend(void) {
  const char *name = getenv("CTS_LOOP");
  if (name == NULL || name[0] == 0) return IPC_LOOP_BEST;
  return strcmp(name, "epoll") == 0    ? IPC_LOOP_EPOLL
         : strcmp(name, "kqueue") == 0 ? IPC_LOOP_KQUEUE
         : strcmp(name, "poll") == 0   ? IPC_LOOP_POLL
         : strcmp(name, "iocp") == 0   ? IPC_LOOP_IOCP
                                       : UINT32_MAX;
}

bool tasks_start(void) {
  ipc_loop_options options = {.size = sizeof(options), .backend = wanted_backend()};
  ipc_status status = library.loop_open(&options, &loop);
  if (status.code != IPC_OK) {
    fprintf(stderr, "peer: the library opens no loop (CTS_LOOP): status %d, error %u\n", (int)status.code,
            (unsigned)status.native);
    return false;
  }
  static platform_body body = serve;
  return platform_start_thread(&body); /* handlers of signals run where the library's callers are, not there */
}

static void begin_task(task *t) {
  platform_condition_init(&t->ended);
  platform_lock(&shared.mutex);
  t->token = ++shared.last_token;
  t->next = shared.first;
  shared.first = t;
  platform_unlock(&shared.mutex);
}

static void end_task(task *t) {
  platform_lock(&shared.mutex);
  task **at = find_task(t->token);
  *at = t->next;
  platform_unlock(&shared.mutex);
  platform_condition_destroy(&t->ended);
}

/* wait_for_end sleeps until the completion is there. A request that was cancelled before its operation was under way is
 * ended here. */
static void wait_for_end(task *t) {
  platform_lock(&shared.mutex);
  bool cancelled = !t->has_ended && !cts_sleeps(t->call);
  platform_unlock(&shared.mutex);
  if (cancelled) library.loop_cancel(loop, t->token);
  platform_lock(&shared.mutex);
  while (!t->has_ended) platform_wait(&t->ended, &shared.mutex);
  platform_unlock(&shared.mutex);
}

ipc_status tasks_perform(const ipc_submission *submission, ipc_completion *out_done) {
  task t = {.call = cts_current()};
  ipc_submission numbered = *submission;
  begin_task(&t);
  numbered.token = t.token;
  ipc_status status = library.loop_submit(loop, &numbered);
  if (status.code == IPC_OK) {
    wait_for_end(&t);
    status = t.done.status;
    if (t.done.operation != submission->operation) library_is_wrong("completed another operation than was submitted");
  }
  end_task(&t);
  *out_done = t.done;
  return status;
}

static bool is_active(void) { return loop != NULL; }

static void make_turn(void) {
  platform_lock(&shared.mutex);
  uint64_t wanted = ++shared.turns_wanted;
  platform_unlock(&shared.mutex);
  library.loop_wake(loop);
  platform_lock(&shared.mutex);
  while (shared.turns_done < wanted) platform_wait(&shared.turned, &shared.mutex);
  platform_unlock(&shared.mutex);
}

static void cancel_task(uint64_t id) {
  uint64_t token = 0;
  platform_lock(&shared.mutex);
  for (task *t = shared.first; t != NULL; t = t->next) {
    if (cts_id(t->call) == id) token = t->token;
  }
  platform_unlock(&shared.mutex);
  if (token != 0) library.loop_cancel(loop, token);
}

const cts_tasks tasks_hooks = {is_active, make_turn, cancel_task};
