/* signal.c - the handlers of signals and their watchers. In the protocol a signal is a name.
 *
 * The hook that signal.set_handler sets counts, for signal.hooked. It runs in a signal handler, in any thread, several
 * at once: so the counts are atomics, and those who wait for one have a wake each, which is made once and never closed.
 * Whoever waits is listed first and looks at the count then; the hook counts first and looks at the list then: one of
 * the two sees the other. Reset ends the waits the same way. */
#include <stdatomic.h>
#include <string.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

enum { SIGNAL_NAME_MAX = 64, SIGNALS_MAX = 128, WAITERS_MAX = 32 };

/* ------------------------------------------------------------------------------------------------------- names */

/* signal_of reads the name |name|: `ok`, or what is wrong with it. */
static cts_outcome signal_of(const char *name, int32_t *out_signal) {
  ipc_status status = library.signal_number(name, strlen(name), out_signal);
  if (status.code == IPC_NOT_FOUND) return outcome_why("invalid_argument", "the library knows no signal of that name");
  return outcome_of(status);
}

/* call_signal reads the argument `signal`. One that is absent is 0: no signal. */
static cts_outcome call_signal(const cts_call *call, int32_t *out_signal) {
  *out_signal = 0;
  return cts_has(call, "signal") ? signal_of(cts_text_or(call, "signal", ""), out_signal) : cts_ok();
}

/* add_event adds what is known of a signal that came. */
static void add_event(cts_call *call, const ipc_signal_event *event) {
  char name[SIGNAL_NAME_MAX + 1] = "";
  size_t len = 0;
  if (library.signal_name(event->signal, name, SIGNAL_NAME_MAX, &len).code == IPC_OK && len <= SIGNAL_NAME_MAX) {
    cts_add_text(call, "signal", name);
  }
  if (event->fields & IPC_SIGNAL_HAS_SENDER) {
    cts_add_u64(call, "pid", event->pid);
    cts_add_u64(call, "uid", event->uid);
  }
  if (event->fields & IPC_SIGNAL_HAS_VALUE) cts_add_i64(call, "value", event->value);
}

cts_outcome do_signal_number(cts_call *call) {
  const char *name = cts_text_or(call, "signal", "");
  int32_t signal = 0;
  ipc_status status = library.signal_number(name, strlen(name), &signal);
  if (status.code == IPC_OK && signal <= 0) return outcome_why("failed", "the library answered %d", (int)signal);
  if (status.code == IPC_OK) cts_add_u64(call, "number", (uint64_t)signal);
  return outcome_of(status);
}

cts_outcome do_signal_name(cts_call *call) {
  int64_t number = cts_i64_or(call, "number", 0);
  char name[SIGNAL_NAME_MAX + 1] = "";
  size_t len = 0;
  if (number < INT32_MIN || number > INT32_MAX) return cts_status("not_found", "no C library has such a number");
  ipc_status status = library.signal_name((int32_t)number, name, SIGNAL_NAME_MAX, &len);
  if (status.code == IPC_OK && len > SIGNAL_NAME_MAX) return outcome_why("failed", "the library wrote too much");
  if (status.code == IPC_OK) cts_add_text(call, "signal", name);
  return outcome_of(status);
}

cts_outcome do_signal_describe(cts_call *call) {
  int32_t signal;
  uint32_t traits = 0;
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  ipc_status status = library.signal_describe(signal, &traits);
  if (status.code == IPC_OK) {
    cts_add_bool(call, "catchable", (traits & IPC_SIGNAL_CATCHABLE) != 0);
    cts_add_bool(call, "queued", (traits & IPC_SIGNAL_QUEUED) != 0);
    cts_add_bool(call, "fault", (traits & IPC_SIGNAL_FAULT) != 0);
  }
  return outcome_of(status);
}

/* ----------------------------------------------------------------------------------------------------- sending */

cts_outcome do_signal_send(cts_call *call) {
  int32_t signal;
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  return outcome_of(library.signal_send(signal, cts_u64_or(call, "pid", 0)));
}

cts_outcome do_signal_raise(cts_call *call) {
  int32_t signal;
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  return outcome_of(library.signal_raise(signal));
}

cts_outcome do_signal_send_group(cts_call *call) {
  int32_t signal;
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  return outcome_of(library.signal_send_group(signal, cts_u64_or(call, "group", 0)));
}

cts_outcome do_signal_queue(cts_call *call) {
  int32_t signal;
  int64_t value = cts_i64_or(call, "value", 0);
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  if (value < INT32_MIN || value > INT32_MAX) return cts_status("invalid_argument", "value has at most 32 bits");
  return outcome_of(library.signal_queue(signal, cts_u64_or(call, "pid", 0), (int32_t)value));
}

/* ------------------------------------------------------------------------------------------------------- hooks */

/* What the hook of one signal has seen. The last event is written by whichever run of the hook finds nobody else at it,
 * under a version that is odd meanwhile. */
typedef struct hook_record {
  _Atomic uint64_t count;
  _Atomic uint32_t version;
  _Atomic uint32_t fields, uid;
  _Atomic uint64_t pid;
  _Atomic int32_t value;
} hook_record;

/* Somebody who waits in signal.hooked. */
typedef struct waiter {
  _Atomic int32_t signal; /* that it waits for; 0 while nobody does */
  _Atomic bool has_wake;  /* and it stays */
  platform_wake wake;
} waiter;

static hook_record records[SIGNALS_MAX];
static waiter waiters[WAITERS_MAX];
static platform_mutex waiters_mutex = PLATFORM_MUTEX_INIT; /* of taking and leaving a place */
static _Atomic bool resetting;

static void record_event(hook_record *r, const ipc_signal_event *event) {
  uint32_t version = atomic_load(&r->version);
  if ((version & 1) != 0 || !atomic_compare_exchange_strong(&r->version, &version, version + 1)) return;
  atomic_store(&r->fields, event->fields);
  atomic_store(&r->uid, event->uid);
  atomic_store(&r->pid, event->pid);
  atomic_store(&r->value, event->value);
  atomic_store(&r->version, version + 2);
}

static void count_signal(const ipc_signal_event *event, void *context) {
  hook_record *r = context;
  record_event(r, event);
  atomic_fetch_add(&r->count, 1);
  for (size_t i = 0; i < WAITERS_MAX; i++) {
    if (atomic_load(&waiters[i].signal) == event->signal) platform_wake_set(&waiters[i].wake);
  }
}

/* read_event copies the last event. It waits only for a hook that another thread is in the middle of. */
static ipc_signal_event read_event(hook_record *r, int32_t signal) {
  ipc_signal_event event = {.size = sizeof(event), .signal = signal};
  uint32_t version;
  do {
    version = atomic_load(&r->version);
    event.fields = atomic_load(&r->fields);
    event.uid = atomic_load(&r->uid);
    event.pid = atomic_load(&r->pid);
    event.value = atomic_load(&r->value);
  } while ((version & 1) != 0 || version != atomic_load(&r->version));
  return event;
}

static uint32_t flag_of(const cts_call *call, const char *name, uint32_t flag) {
  return cts_bool_or(call, name, false) ? flag : 0;
}

cts_outcome do_signal_set_handler(cts_call *call) {
  const char *action = cts_text_or(call, "action", "");
  int32_t signal;
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  if (signal < 0 || signal >= SIGNALS_MAX) return outcome_why("failed", "the signal's number is %d", (int)signal);
  uint32_t flags = flag_of(call, "restart", IPC_SIGNAL_RESTART) | flag_of(call, "reset", IPC_SIGNAL_RESET) |
                   flag_of(call, "nested", IPC_SIGNAL_NESTED) |
                   flag_of(call, "no_child_stop", IPC_SIGNAL_NO_CHILD_STOP);
  bool hook = strcmp(action, "hook") == 0;
  uint32_t what = hook ? IPC_SIGNAL_HOOK : strcmp(action, "ignore") == 0 ? IPC_SIGNAL_IGNORE : IPC_SIGNAL_DEFAULT;
  uint64_t before = atomic_exchange(&records[signal].count, 0);
  ipc_status status = library.signal_set_handler(signal, what, flags, hook ? count_signal : NULL, &records[signal]);
  if (status.code != IPC_OK) atomic_fetch_add(&records[signal].count, before);
  return outcome_of(status);
}

/* waiter_enter takes a place in the list; NULL if there is none. */
static waiter *waiter_enter(int32_t signal) {
  waiter *w = NULL;
  platform_lock(&waiters_mutex);
  for (size_t i = 0; i < WAITERS_MAX && w == NULL; i++) {
    if (atomic_load(&waiters[i].signal) != 0) continue;
    if (!atomic_load(&waiters[i].has_wake) && !platform_wake_open(&waiters[i].wake)) break;
    atomic_store(&waiters[i].has_wake, true);
    w = &waiters[i];
    atomic_store(&w->signal, signal);
  }
  platform_unlock(&waiters_mutex);
  return w;
}

/* wait_for_count waits until the hook has run |at_least| so often: false if a reset came first. A wake that was meant
 * for whoever had the place before is one look too many. */
static bool wait_for_count(waiter *w, hook_record *r, uint64_t at_least) {
  for (;;) {
    if (atomic_load(&r->count) >= at_least) return true;
    if (atomic_load(&resetting)) return false;
    platform_wake_take(&w->wake);
  }
}

cts_outcome do_signal_hooked(cts_call *call) {
  int32_t signal;
  cts_outcome outcome = call_signal(call, &signal);
  if (!outcome_is(outcome, "ok")) return outcome;
  if (signal < 0 || signal >= SIGNALS_MAX) return outcome_why("failed", "the signal's number is %d", (int)signal);
  hook_record *r = &records[signal];
  waiter *w = waiter_enter(signal);
  if (w == NULL) return cts_status("out_of_resources", "nothing left to wait with");
  (void)cts_sleeps(call); /* outside a loop, in every mode */
  bool enough = wait_for_count(w, r, cts_u64_or(call, "at_least", 0));
  cts_awake(call);
  atomic_store(&w->signal, 0);
  if (!enough) return cts_status("cancelled", "reset came first");
  uint64_t count = atomic_load(&r->count);
  ipc_signal_event event = read_event(r, signal);
  cts_add_u64(call, "count", count);
  if (count > 0) add_event(call, &event);
  return cts_ok();
}

void hooked_begin_reset(void) {
  atomic_store(&resetting, true);
  for (size_t i = 0; i < WAITERS_MAX; i++) {
    if (atomic_load(&waiters[i].signal) != 0) platform_wake_set(&waiters[i].wake);
  }
}

void hooked_end_reset(void) { atomic_store(&resetting, false); }

/* ---------------------------------------------------------------------------------------------------- watchers */

cts_outcome do_signal_watch(cts_call *call) {
  int32_t signals[CTS_LIST_MAX];
  size_t num = 0;
  const char *const *names = cts_texts_of(call, "signals", &num);
  for (size_t i = 0; i < num; i++) {
    cts_outcome outcome = signal_of(names[i], &signals[i]);
    if (!outcome_is(outcome, "ok")) return outcome;
  }
  ipc_watcher *watcher = NULL;
  ipc_status status = library.signal_watch(signals, num, &watcher);
  return call_make(call, "as", status, ENDPOINT_WATCHER, watcher);
}

static ipc_status next_once(endpoint *e, int64_t timeout_ms, void *context) {
  return library.watcher_next(e->watcher, timeout_ms, context);
}

static void next_submit(endpoint *e, ipc_submission *out, void *context) {
  out->operation = IPC_SUBMIT_NEXT_SIGNAL;
  out->watcher = e->watcher;
  out->event = context;
}

static void next_complete(const ipc_completion *done, void *context) {
  (void)done;
  (void)context;
}

cts_outcome do_watcher_next(cts_call *call) {
  ipc_signal_event event = {.size = sizeof(event)};
  endpoint_request request = {
      .direction = WAIT_READABLE,
      .wait = cts_bool_or(call, "wait", true),
      .timeout_ms = call_timeout(call),
      .call = next_once,
      .context = &event,
      .submit = next_submit,
      .complete = next_complete,
  };
  ipc_status status = endpoint_perform(cts_object(call), &request);
  if (status.code == IPC_OK) add_event(call, &event);
  return outcome_of(status);
}

cts_outcome do_watcher_raw(cts_call *call) {
  endpoint *e = cts_object(call);
  ipc_raw raw = {0, 0};
  ipc_status status = library.watcher_raw(e->watcher, &raw);
  return call_add_raw(call, status, &raw);
}
