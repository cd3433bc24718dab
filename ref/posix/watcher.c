/* watcher.c - signals that can be waited for.
 *
 * A watcher is a pipe. The handler of a watched signal writes a record of it to the pipe of every watcher that has the
 * signal; a record is smaller than PIPE_BUF, so it is in the pipe whole or not at all. Neither end waits.
 *
 * The handler runs in any thread at any moment, also while another thread closes the watcher. What keeps it from memory
 * that was freed and from a descriptor that was closed and is somebody else's by now: it knows watchers by their *slot*
 * alone. Slots are never freed, only used again, and each has a gate of its own: the handler enters it, looks what the
 * watcher has, writes, and leaves; close shuts it and waits until the last handler has left before it closes the pipe.
 * That wait is short: the handler runs with every signal blocked, calls nothing that waits, and is no place where a
 * thread is cancelled.
 *
 * A child of fork(2) inherits the handler, but its signals are not the watcher's: there they do what they did before
 * the watcher came.
 */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700

#ifndef IPC_WITHOUT_SIGNALS

#include "ref/posix/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/descriptor.h"
#include "ref/posix/signal.h"
#include "ref/posix/system.h"

#define SLOT_OPEN 0x80000000u

enum { SIGNALS_WATCHED_MAX = 64, EVENT_SIZE_MAX = 4096, YIELDS_MAX = 100, SET_WORDS = IPC_SYSTEM_SIGNALS_MAX / 64 };

/* What travels through the pipe. Signal 0 says that some are lost. */
typedef struct record {
  int32_t signal;
  uint32_t fields;
  uint32_t uid;
  int32_t value;
  uint64_t pid;
  int32_t code;
  int32_t unused;
} record;

_Static_assert(sizeof(record) <= _POSIX_PIPE_BUF, "a record must be written whole");

/* A watcher as the handler knows it. What is not atomic changes only while the slot is shut and nobody is inside. */
typedef struct slot {
  _Atomic uint32_t state; /* SLOT_OPEN | handlers inside */
  _Atomic bool lost;      /* a record did not fit, which nobody has been told yet */
  uint64_t signals[SET_WORDS];
  int fd;     /* writing end of the pipe */
  pid_t pid;  /* process that the watcher belongs to */
  bool taken; /* under the lock of signal.h */
  struct slot *next;
} slot;

struct ipc_watcher {
  ipc_gate gate;
  slot *slot; /* NULL once it is closed */
  int fd;     /* reading end */
};

static _Atomic(slot *) slots; /* grows at its head */

/* Under the lock: how many watchers have a signal, and what it did before the first. The handler reads the second, in
 * children alone, and only while it is installed: it is written before that. */
static unsigned num_watching[IPC_SYSTEM_SIGNALS_MAX];
static struct sigaction before_watching[IPC_SYSTEM_SIGNALS_MAX];

/* ------------------------------------------------------------------------------------------------- slots */

static bool set_has(const uint64_t *set, int32_t signal) { return (set[signal / 64] >> (signal % 64) & 1) != 0; }

static void set_add(uint64_t *set, int32_t signal) { set[signal / 64] |= UINT64_C(1) << (signal % 64); }

static bool slot_enter(slot *s) {
  uint32_t state = atomic_load_explicit(&s->state, memory_order_relaxed);
  do {
    if ((state & SLOT_OPEN) == 0) return false;
  } while (
      !atomic_compare_exchange_weak_explicit(&s->state, &state, state + 1, memory_order_acquire, memory_order_relaxed));
  return true;
}

static void slot_leave(slot *s) { atomic_fetch_sub_explicit(&s->state, 1, memory_order_release); }

/* Takes a free slot, or makes one; NULL without memory. The lock is held. In a child a slot may be left that a handler
 * of another thread was inside of when the child was made: it is never free again. */
static slot *slot_take(void) {
  slot *s = atomic_load(&slots);
  while (s != NULL && (s->taken || atomic_load_explicit(&s->state, memory_order_acquire) != 0)) s = s->next;
  if (s == NULL) {
    s = malloc(sizeof *s);
    if (s == NULL) return NULL;
    atomic_init(&s->state, 0);
    s->next = atomic_load(&slots);
    atomic_init(&s->lost, false);
    s->taken = true;
    atomic_store(&slots, s);
  }
  s->taken = true;
  return s;
}

/* Shuts |s| and returns when no handler is inside. The lock is held. After some turns the processor is given to threads
 * of lower priority, too, one of which may be the one waited for. */
static void slot_shut(slot *s) {
  atomic_fetch_and(&s->state, ~SLOT_OPEN);
  bool inherited = s->pid != getpid(); /* the threads that were inside do not exist here */
  for (unsigned turn = 0; !inherited && atomic_load_explicit(&s->state, memory_order_acquire) != 0; turn++) {
    if (turn < YIELDS_MAX) {
      sched_yield();
    } else {
      (void)poll(NULL, 0, 1);
    }
  }
  s->taken = false;
}

/* ----------------------------------------------------------------------------------------------- handler */

/* Writes |r| to the watcher, or notes that it could not. The reader may have emptied the pipe between the two, and
 * would find the note only at the next signal: so it is told with another record, which fits if it has. */
static void tell(slot *s, const record *r) {
  if (ipc_system_signal_write(s->fd, r, sizeof *r) == (ssize_t)sizeof *r) return;
  static const record some_are_lost = {.signal = 0};
  atomic_store(&s->lost, true);
  (void)ipc_system_signal_write(s->fd, &some_are_lost, sizeof some_are_lost);
}

/* In a child: the signal does what it did before, this one too. It is blocked until the handler returns. */
static void do_as_before(int signal) {
  (void)sigaction(signal, &before_watching[signal], NULL);
  (void)raise(signal);
}

static void on_watched(int signal, siginfo_t *info, void *machine_context) {
  (void)machine_context;
  int error = errno;
  ipc_signal_event event = ipc_signal_event_of(signal, info);
  const record r = {event.signal, event.fields, event.uid, event.value, event.pid, event.code, 0};
  pid_t self = getpid();
  bool told = false, inherited = false;
  for (slot *s = atomic_load(&slots); s != NULL; s = s->next) {
    if (!slot_enter(s)) continue;
    if (set_has(s->signals, signal)) {
      if (s->pid == self) {
        tell(s, &r);
        told = true;
      } else {
        inherited = true;
      }
    }
    slot_leave(s);
  }
  if (inherited && !told) do_as_before(signal);
  errno = error;
}

/* Whether the system calls on_watched for |signal| now; what it does is in |*out_now|. */
static bool is_installed(int32_t signal, struct sigaction *out_now) {
  return sigaction(signal, NULL, out_now) == 0 && (out_now->sa_flags & SA_SIGINFO) != 0 &&
         out_now->sa_sigaction == on_watched;
}

/* Makes on_watched the handler of |signal| for one more watcher. errno. The lock is held. */
static int watch_signal(int32_t signal) {
  struct sigaction now, wanted;
  memset(&wanted, 0, sizeof wanted);
  sigfillset(&wanted.sa_mask);
  wanted.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  wanted.sa_sigaction = on_watched;
  if (!is_installed(signal, &now)) {
    if (num_watching[signal] == 0) before_watching[signal] = now;
    if (sigaction(signal, &wanted, NULL) != 0) return errno;
  }
  num_watching[signal]++;
  return 0;
}

/* Ends that for one watcher. What the program has set itself meanwhile stays. The lock is held. */
static void unwatch_signal(int32_t signal) {
  struct sigaction now;
  if (--num_watching[signal] == 0 && is_installed(signal, &now)) {
    (void)sigaction(signal, &before_watching[signal], NULL);
  }
}

bool ipc_watcher_watches(int32_t signal) { return num_watching[signal] != 0; }

/* ------------------------------------------------------------------------------------------------- life */

/* Ends the watching of the signals of |s| below |end|, then the handlers that still run. */
static void detach(slot *s, int32_t end) {
  for (int32_t signal = 1; signal < end; signal++) {
    if (set_has(s->signals, signal)) unwatch_signal(signal);
  }
  slot_shut(s);
}

/* Opens a slot for a watcher that writes to |fd|, and routes the signals to it. errno. */
static int attach(const uint64_t *signals, int fd, slot **out_slot) {
  int error = 0;
  sigset_t before;
  ipc_signals_lock(&before);
  slot *s = slot_take();
  if (s == NULL) error = ENOMEM;
  if (s != NULL) {
    memcpy(s->signals, signals, sizeof s->signals);
    s->fd = fd;
    s->pid = getpid();
    atomic_store(&s->lost, false);
    atomic_store_explicit(&s->state, SLOT_OPEN, memory_order_release);
    for (int32_t signal = 1; signal < IPC_SYSTEM_SIGNALS_MAX && error == 0; signal++) {
      if (set_has(signals, signal)) error = watch_signal(signal);
      if (error != 0) detach(s, signal);
    }
  }
  ipc_signals_unlock(&before);
  *out_slot = s;
  return error;
}

static bool set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

/* Makes the pipe, and the slot that writes to it. errno. */
static int open_watcher(ipc_watcher *watcher, const uint64_t *signals) {
  int ends[2];
  int error = ipc_system_pipe(ends);
  if (error != 0) return error;
  error = set_nonblocking(ends[0]) && set_nonblocking(ends[1]) ? attach(signals, ends[1], &watcher->slot) : errno;
  if (error != 0) {
    (void)close(ends[0]);
    (void)close(ends[1]);
    return error;
  }
  watcher->fd = ends[0];
  return 0;
}

static void dispose(ipc_watcher *watcher) {
  (void)ipc_gate_shut(&watcher->gate);
  ipc_gate_destroy(&watcher->gate);
  free(watcher);
}

/* Collects the signals in |set|, if they are what can be watched. */
static int32_t check_signals(const int32_t *signals, size_t num_signals, uint64_t *set) {
  int32_t code = IPC_OK;
  if (signals == NULL || num_signals == 0 || num_signals > SIGNALS_WATCHED_MAX) return IPC_INVALID_ARGUMENT;
  for (size_t i = 0; i < num_signals; i++) {
    uint32_t traits;
    if (!ipc_signal_traits(signals[i], &traits) || set_has(set, signals[i])) return IPC_INVALID_ARGUMENT;
    set_add(set, signals[i]);
    if (code == IPC_OK && (traits & IPC_SIGNAL_CATCHABLE) == 0) code = IPC_UNSUPPORTED;
    if (code == IPC_OK && (traits & IPC_SIGNAL_FAULT) != 0) code = IPC_PERMISSION_DENIED;
  }
  return code;
}

ipc_status ipc_signal_watch(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher) {
  if (out_watcher == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_watcher = NULL;
  uint64_t set[SET_WORDS] = {0};
  int32_t code = check_signals(signals, num_signals, set);
  if (code != IPC_OK) return ipc_status_of(code);
  ipc_watcher *watcher = malloc(sizeof *watcher);
  if (watcher == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  if (ipc_gate_init(&watcher->gate) != 0) {
    free(watcher);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  int error = open_watcher(watcher, set);
  if (error != 0) {
    dispose(watcher);
    return ipc_platform_status((uint32_t)error);
  }
  *out_watcher = watcher;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_watcher_close(ipc_watcher *watcher) {
  if (watcher == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&watcher->gate)) return ipc_status_of(IPC_CLOSED);
  int fd = watcher->slot->fd;
  sigset_t before;
  ipc_signals_lock(&before);
  detach(watcher->slot, IPC_SYSTEM_SIGNALS_MAX);
  ipc_signals_unlock(&before);
  (void)close(fd);
  (void)close(watcher->fd);
  watcher->slot = NULL;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_watcher_free(ipc_watcher *watcher) {
  if (watcher == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_watcher_close(watcher);
  dispose(watcher);
  return ipc_status_of(IPC_OK);
}

/* ----------------------------------------------------------------------------------------------- waiting */

ipc_gate *ipc_watcher_gate(ipc_watcher *watcher) { return &watcher->gate; }

int ipc_watcher_descriptor(const ipc_watcher *watcher) { return watcher->fd; }

bool ipc_watcher_event_fits(const ipc_signal_event *event) {
  return event != NULL && event->size >= sizeof *event && event->size <= EVENT_SIZE_MAX;
}

/* Fills what this version knows of |out_event|; what a newer program knows beyond it is zero. */
static void fill_event(ipc_signal_event *out_event, const record *r) {
  uint32_t size = out_event->size;
  memset(out_event, 0, size);
  *out_event = (ipc_signal_event){size, r->signal, r->fields, r->uid, r->pid, r->value, r->code};
}

/* Tells once that some are lost. */
static bool take_lost(slot *s) {
  return atomic_load_explicit(&s->lost, memory_order_relaxed) && atomic_exchange(&s->lost, false);
}

ipc_status ipc_watcher_attempt(ipc_watcher *watcher, ipc_signal_event *out_event) {
  record r;
  for (;;) {
    if (take_lost(watcher->slot)) return ipc_status_of(IPC_OUT_OF_RESOURCES);
    ssize_t n = read(watcher->fd, &r, sizeof r);
    if (n == (ssize_t)sizeof r) {
      if (r.signal == 0) continue;
      fill_event(out_event, &r);
      return ipc_status_of(IPC_OK);
    }
    if (n >= 0) return ipc_status_of(IPC_FAILED); /* somebody else has read from, or written to, the pipe */
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return ipc_platform_status((uint32_t)errno);
    return ipc_status_of(take_lost(watcher->slot) ? IPC_OUT_OF_RESOURCES : IPC_WOULD_BLOCK);
  }
}

ipc_status ipc_watcher_next(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event) {
  if (watcher == NULL || !ipc_watcher_event_fits(out_event) || timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (!ipc_gate_enter(&watcher->gate)) return ipc_status_of(IPC_CLOSED);
  bool nonblocking = atomic_load_explicit(&watcher->gate.nonblocking, memory_order_relaxed);
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  ipc_status status = ipc_watcher_attempt(watcher, out_event);
  while (status.code == IPC_WOULD_BLOCK && !nonblocking) {
    int32_t code = ipc_gate_wait(&watcher->gate, watcher->fd, POLLIN, &deadline);
    status = code == IPC_OK ? ipc_watcher_attempt(watcher, out_event) : ipc_status_of(code);
  }
  ipc_gate_leave(&watcher->gate);
  return status;
}

/* ------------------------------------------------------------------------------------------------- rest */

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_watcher_set_nonblocking(ipc_watcher *watcher, bool nonblocking) {
  if (watcher == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&watcher->gate)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&watcher->gate.nonblocking, nonblocking);
  ipc_gate_leave(&watcher->gate);
  return ipc_status_of(IPC_OK);
}
#endif

ipc_status ipc_watcher_raw(ipc_watcher *watcher, ipc_raw *out_raw) {
  if (watcher == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&watcher->gate)) return ipc_status_of(IPC_CLOSED);
  *out_raw = ipc_descriptor_raw(watcher->fd);
  ipc_gate_leave(&watcher->gate);
  return ipc_status_of(IPC_OK);
}

#else

typedef int ipc_posix_watcher_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
