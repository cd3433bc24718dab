/* signal.c - names, sending, and hooks.
 *
 * A hook and its context are a pair that handlers in other threads read while it is replaced. Each signal has an entry
 * of atomics for it, versioned: a change makes the version odd, and even again; a handler that saw another version
 * behind its reading than before reads again. It can wait only for another thread that is between two stores, because
 * whoever changes an entry handles no signals meanwhile. Nothing is allocated, so nothing is ever freed under a
 * handler.
 */
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700

#ifndef IPC_WITHOUT_SIGNALS

#include "ref/posix/signal.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/types.h>

#include "ref/common/platform.h"
#include "ref/posix/system.h"
#include "ref/posix/watcher.h"

enum {
  KNOWN_FLAGS = IPC_SIGNAL_RESTART | IPC_SIGNAL_RESET | IPC_SIGNAL_NESTED | IPC_SIGNAL_NO_CHILD_STOP |
      IPC_SIGNAL_UNSAFE,
  RT_NAME_MAX = 5, /* RT and at most three digits */
};

/* ------------------------------------------------------------------------------------------------- lock */

static pthread_mutex_t dispositions = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_is_handled = PTHREAD_ONCE_INIT;

static void lock_before_fork(void) { pthread_mutex_lock(&dispositions); }
static void unlock_after_fork(void) { pthread_mutex_unlock(&dispositions); }

/* Fails only for want of memory; then a child forked at the wrong moment can change no disposition by this library. */
static void handle_fork(void) { (void)pthread_atfork(lock_before_fork, unlock_after_fork, unlock_after_fork); }

void ipc_signals_lock(sigset_t *out_before) {
  sigset_t all;
  (void)pthread_once(&fork_is_handled, handle_fork);
  sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, out_before);
  pthread_mutex_lock(&dispositions);
}

void ipc_signals_unlock(const sigset_t *before) {
  pthread_mutex_unlock(&dispositions);
  (void)pthread_sigmask(SIG_SETMASK, before, NULL);
}

/* ------------------------------------------------------------------------------------------------ names */

static bool is_realtime(int32_t signal) {
  int32_t lowest, highest;
  ipc_system_realtime_signals(&lowest, &highest);
  return signal >= lowest && signal <= highest;
}

static const ipc_system_signal *find_signal(int32_t signal) {
  const ipc_system_signal *entry = ipc_system_signals;
  while (entry->name != NULL && entry->signal != signal) entry++;
  return entry->name != NULL ? entry : NULL;
}

bool ipc_signal_traits(int32_t signal, uint32_t *out_traits) {
  *out_traits = IPC_SIGNAL_CATCHABLE;
  if (is_realtime(signal)) {
    *out_traits |= IPC_SIGNAL_QUEUED;
    return true;
  }
  if (find_signal(signal) == NULL) return false;
  if (signal == SIGKILL || signal == SIGSTOP) *out_traits = 0;
  if (signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL) *out_traits |= IPC_SIGNAL_FAULT;
  return true;
}

/* Reads RT0, RT1, ...: no sign, no leading zero. -1 if |name| is none of them. */
static int32_t realtime_number(const char *name, size_t name_len) {
  int32_t lowest, highest, index = 0;
  if (name_len < 3 || name_len > RT_NAME_MAX || memcmp(name, "RT", 2) != 0) return -1;
  if (name[2] == '0' && name_len != 3) return -1;
  for (size_t i = 2; i < name_len; i++) {
    if (name[i] < '0' || name[i] > '9') return -1;
    index = index * 10 + (name[i] - '0');
  }
  ipc_system_realtime_signals(&lowest, &highest);
  return index <= highest - lowest ? lowest + index : -1;
}

ipc_status ipc_signal_number(const void *name, size_t name_len, int32_t *out_signal) {
  if (name == NULL || out_signal == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  for (const ipc_system_signal *entry = ipc_system_signals; entry->name != NULL; entry++) {
    if (strlen(entry->name) == name_len && memcmp(entry->name, name, name_len) == 0) {
      *out_signal = entry->signal;
      return ipc_status_of(IPC_OK);
    }
  }
  int32_t signal = realtime_number(name, name_len);
  if (signal < 0) return ipc_status_of(IPC_NOT_FOUND);
  *out_signal = signal;
  return ipc_status_of(IPC_OK);
}

/* Writes the name of a real-time signal and returns its length. */
static size_t realtime_name(int32_t signal, char out_name[RT_NAME_MAX]) {
  int32_t lowest, highest;
  ipc_system_realtime_signals(&lowest, &highest);
  int32_t index = signal - lowest;
  size_t len = index >= 100 ? 5 : index >= 10 ? 4 : 3;
  out_name[0] = 'R';
  out_name[1] = 'T';
  for (size_t i = len; i > 2; i--, index /= 10) out_name[i - 1] = (char)('0' + index % 10);
  return len;
}

ipc_status ipc_signal_name(int32_t signal, void *out_name, size_t name_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (out_name == NULL || out_len == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  char made[RT_NAME_MAX];
  const ipc_system_signal *entry = find_signal(signal);
  const char *name = entry != NULL ? entry->name : made;
  if (entry == NULL && !is_realtime(signal)) return ipc_status_of(IPC_NOT_FOUND);
  size_t len = entry != NULL ? strlen(name) : realtime_name(signal, made);
  *out_len = len;
  if (len > name_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_name, name, len);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_signal_describe(int32_t signal, uint32_t *out_traits) {
  if (out_traits == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return ipc_status_of(ipc_signal_traits(signal, out_traits) ? IPC_OK : IPC_INVALID_ARGUMENT);
}

/* ------------------------------------------------------------------------------------------------ hooks */

typedef struct hook_entry {
  _Atomic uint32_t version; /* odd while the others are being changed */
  _Atomic(ipc_signal_hook) hook;
  _Atomic(void *) context;
} hook_entry;

static hook_entry hooks[IPC_SYSTEM_SIGNALS_MAX];

static void read_hook(hook_entry *entry, ipc_signal_hook *out_hook, void **out_context) {
  uint32_t version;
  do {
    version = atomic_load(&entry->version);
    *out_hook = atomic_load(&entry->hook);
    *out_context = atomic_load(&entry->context);
  } while ((version & 1) != 0 || version != atomic_load(&entry->version));
}

static void write_hook(hook_entry *entry, ipc_signal_hook hook, void *context) {
  atomic_fetch_add(&entry->version, 1);
  atomic_store(&entry->hook, hook);
  atomic_store(&entry->context, context);
  atomic_fetch_add(&entry->version, 1);
}

ipc_signal_event ipc_signal_event_of(int signal, const siginfo_t *info) {
  ipc_signal_event event = {.size = sizeof event, .signal = signal, .code = info->si_code};
  ipc_system_signal_origin(info, &event);
  return event;
}

static void run_hook(int signal, siginfo_t *info, void *machine_context) {
  (void)machine_context;
  int error = errno;
  ipc_signal_hook hook;
  void *context;
  read_hook(&hooks[signal], &hook, &context);
  ipc_signal_event event = ipc_signal_event_of(signal, info);
  hook(&event, context);
  errno = error;
}

/* The disposition that the arguments mean. A thread that has an alternate stack gets its hooks there: some runtimes
 * have no other room for them. */
static struct sigaction disposition_of(uint32_t action, uint32_t flags) {
  struct sigaction disposition;
  memset(&disposition, 0, sizeof disposition);
  sigemptyset(&disposition.sa_mask);
  if ((flags & IPC_SIGNAL_NO_CHILD_STOP) != 0) disposition.sa_flags |= SA_NOCLDSTOP;
  if (action != IPC_SIGNAL_HOOK) {
    disposition.sa_handler = action == IPC_SIGNAL_IGNORE ? SIG_IGN : SIG_DFL;
    return disposition;
  }
  disposition.sa_sigaction = run_hook;
  disposition.sa_flags |= SA_SIGINFO | SA_ONSTACK;
  if ((flags & IPC_SIGNAL_RESTART) != 0) disposition.sa_flags |= SA_RESTART;
  if ((flags & IPC_SIGNAL_RESET) != 0) disposition.sa_flags |= (int)SA_RESETHAND;
  if ((flags & IPC_SIGNAL_NESTED) != 0) disposition.sa_flags |= SA_NODEFER;
  return disposition;
}

/* Makes the disposition, with the lock held. The hook comes first: from the moment that the system knows the handler it
 * may run. What is no hook leaves the entry as it is, because a handler that has begun in another thread still reads
 * it. */
static ipc_status set_disposition(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                  void *context) {
  if (ipc_watcher_watches(signal)) return ipc_status_of(IPC_BUSY);
  struct sigaction disposition = disposition_of(action, flags);
  ipc_signal_hook hook_before;
  void *context_before;
  read_hook(&hooks[signal], &hook_before, &context_before);
  if (action == IPC_SIGNAL_HOOK) write_hook(&hooks[signal], hook, context);
  if (sigaction(signal, &disposition, NULL) == 0) return ipc_status_of(IPC_OK);
  int error = errno;
  if (action == IPC_SIGNAL_HOOK) write_hook(&hooks[signal], hook_before, context_before);
  return ipc_platform_status((uint32_t)error);
}

ipc_status ipc_signal_set_handler(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                  void *context) {
  uint32_t traits;
  if (!ipc_signal_traits(signal, &traits) || action < IPC_SIGNAL_DEFAULT || action > IPC_SIGNAL_HOOK ||
      (flags & ~(uint32_t)KNOWN_FLAGS) != 0 || (action == IPC_SIGNAL_HOOK && hook == NULL)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if ((traits & IPC_SIGNAL_CATCHABLE) == 0) return ipc_status_of(IPC_UNSUPPORTED);
  if (action == IPC_SIGNAL_HOOK && (traits & IPC_SIGNAL_FAULT) != 0 && (flags & IPC_SIGNAL_UNSAFE) == 0) {
    return ipc_status_of(IPC_PERMISSION_DENIED);
  }
  sigset_t before;
  ipc_signals_lock(&before);
  ipc_status status = set_disposition(signal, action, flags, hook, context);
  ipc_signals_unlock(&before);
  return status;
}

/* ---------------------------------------------------------------------------------------------- sending */

static bool may_be_sent(int32_t signal) {
  uint32_t traits;
  return signal == 0 || ipc_signal_traits(signal, &traits);
}

/* kill(2) for hooks, too: errno is kept. */
static ipc_status send_signal(pid_t target, int32_t signal) {
  int kept = errno;
  ipc_status status = kill(target, signal) == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)errno);
  errno = kept;
  return status;
}

ipc_status ipc_signal_raise(int32_t signal) {
  if (signal == 0 || !may_be_sent(signal)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  int kept = errno;
  int error = pthread_kill(pthread_self(), signal);
  errno = kept;
  if (error == EAGAIN) return (ipc_status){IPC_OUT_OF_RESOURCES, EAGAIN};
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

ipc_status ipc_signal_send(int32_t signal, uint64_t pid) {
  if (!may_be_sent(signal) || pid == 0 || pid > INT_MAX) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return send_signal((pid_t)pid, signal);
}

ipc_status ipc_signal_send_group(int32_t signal, uint64_t group) {
  if (!may_be_sent(signal) || group < 2 || group > INT_MAX) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return send_signal(-(pid_t)group, signal);
}

ipc_status ipc_signal_queue(int32_t signal, uint64_t pid, int32_t value) {
  int32_t lowest, highest;
  ipc_system_realtime_signals(&lowest, &highest);
  if (lowest > highest) return ipc_status_of(IPC_UNSUPPORTED);
  if (!is_realtime(signal) || pid == 0 || pid > INT_MAX) return ipc_status_of(IPC_INVALID_ARGUMENT);
  int kept = errno;
  int error = ipc_system_signal_queue((pid_t)pid, signal, value);
  errno = kept;
  if (error == EAGAIN) return (ipc_status){IPC_OUT_OF_RESOURCES, EAGAIN}; /* not "later": the queue is full */
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

#else

typedef int ipc_posix_signal_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
