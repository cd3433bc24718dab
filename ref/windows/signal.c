/* signal.c - the signals of the C run-time library: names and hooks. signal.h says what they are.
 *
 * A hook and its context are a pair that handlers in other threads read while it is replaced. Each signal has an entry
 * of atomics for it, versioned: a change makes the version odd, and even again; a handler that saw another version
 * behind its reading than before reads again. Changes are made under a lock, which a handler takes to set itself again:
 * never while somebody's hook runs, so never in a thread that has it.
 */
#ifndef IPC_WITHOUT_SIGNALS

#include "ref/windows/signal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "ref/common/platform.h"
#include "ref/windows/win32.h"

enum {
  KNOWN_FLAGS = IPC_SIGNAL_RESTART | IPC_SIGNAL_RESET | IPC_SIGNAL_NESTED | IPC_SIGNAL_NO_CHILD_STOP |
      IPC_SIGNAL_UNSAFE,
};

/* Whether the hook of a signal runs, and whether it is to run once more. */
enum { HOOK_IDLE, HOOK_RUNNING, HOOK_AGAIN };

typedef struct signal_entry {
  const char *name;
  int32_t number;
  uint32_t traits;
  _Atomic uint32_t version; /* odd while the following are being changed */
  _Atomic(ipc_signal_hook) hook;
  _Atomic(void *) context;
  _Atomic uint32_t flags;
  _Atomic uint32_t running; /* HOOK_* */
  bool hooked;              /* under the lock: a hook is what the signal does */
} signal_entry;

static signal_entry entries[] = {
    {.name = "ABRT", .number = SIGABRT, .traits = IPC_SIGNAL_CATCHABLE},
    {.name = "BREAK", .number = SIGBREAK, .traits = IPC_SIGNAL_CATCHABLE},
    {.name = "FPE", .number = SIGFPE, .traits = IPC_SIGNAL_CATCHABLE | IPC_SIGNAL_FAULT},
    {.name = "ILL", .number = SIGILL, .traits = IPC_SIGNAL_CATCHABLE | IPC_SIGNAL_FAULT},
    {.name = "INT", .number = SIGINT, .traits = IPC_SIGNAL_CATCHABLE},
    {.name = "SEGV", .number = SIGSEGV, .traits = IPC_SIGNAL_CATCHABLE | IPC_SIGNAL_FAULT},
    {.name = "TERM", .number = SIGTERM, .traits = IPC_SIGNAL_CATCHABLE},
};

enum { NUM_SIGNALS = sizeof entries / sizeof *entries };

static SRWLOCK dispositions = SRWLOCK_INIT;

/* ------------------------------------------------------------------------------------------------ names */

static signal_entry *find_signal(int32_t number) {
  for (size_t i = 0; i < NUM_SIGNALS; i++) {
    if (entries[i].number == number) return &entries[i];
  }
  return NULL;
}

ipc_status ipc_signal_number(const void *name, size_t name_len, int32_t *out_signal) {
  if (name == NULL || out_signal == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  for (size_t i = 0; i < NUM_SIGNALS; i++) {
    if (strlen(entries[i].name) == name_len && memcmp(entries[i].name, name, name_len) == 0) {
      *out_signal = entries[i].number;
      return ipc_status_of(IPC_OK);
    }
  }
  return ipc_status_of(IPC_NOT_FOUND);
}

ipc_status ipc_signal_name(int32_t signal, void *out_name, size_t name_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (out_name == NULL || out_len == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  const signal_entry *entry = find_signal(signal);
  if (entry == NULL) return ipc_status_of(IPC_NOT_FOUND);
  *out_len = strlen(entry->name);
  if (*out_len > name_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_name, entry->name, *out_len);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_signal_describe(int32_t signal, uint32_t *out_traits) {
  const signal_entry *entry = find_signal(signal);
  if (out_traits == NULL || entry == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_traits = entry->traits;
  return ipc_status_of(IPC_OK);
}

/* ------------------------------------------------------------------------------------------------ hooks */

typedef struct hook_of {
  ipc_signal_hook hook;
  void *context;
  uint32_t flags;
} hook_of;

static hook_of read_hook(signal_entry *entry) {
  hook_of found;
  uint32_t version;
  do {
    version = atomic_load(&entry->version);
    found.hook = atomic_load(&entry->hook);
    found.context = atomic_load(&entry->context);
    found.flags = atomic_load(&entry->flags);
  } while ((version & 1) != 0 || version != atomic_load(&entry->version));
  return found;
}

static void write_hook(signal_entry *entry, const hook_of *hook) {
  atomic_fetch_add(&entry->version, 1);
  atomic_store(&entry->hook, hook->hook);
  atomic_store(&entry->context, hook->context);
  atomic_store(&entry->flags, hook->flags);
  atomic_fetch_add(&entry->version, 1);
}

static void call_hook(const signal_entry *entry, const hook_of *found) {
  ipc_signal_event event = {.size = sizeof event, .signal = entry->number};
  found->hook(&event, found->context);
}

/* True if the hook may begin; else whoever runs it will see that it is to run once more. */
static bool begin_hook(signal_entry *entry) {
  for (;;) {
    uint32_t state = HOOK_IDLE;
    if (atomic_compare_exchange_strong(&entry->running, &state, HOOK_RUNNING)) return true;
    if (state == HOOK_AGAIN || atomic_compare_exchange_strong(&entry->running, &state, HOOK_AGAIN)) return false;
  }
}

/* True if the hook is to run once more. */
static bool end_hook(signal_entry *entry) {
  uint32_t state = HOOK_RUNNING;
  if (atomic_compare_exchange_strong(&entry->running, &state, HOOK_IDLE)) return false;
  atomic_store(&entry->running, HOOK_RUNNING);
  return true;
}

/* Sets the handler again, unless the signal has been told to do something else meanwhile. */
static void set_again(signal_entry *entry);

/* The run-time library's handler. */
static void __cdecl handle(int number) {
  int error = errno;
  signal_entry *entry = find_signal(number);
  hook_of found = read_hook(entry);
  if ((found.flags & IPC_SIGNAL_RESET) == 0) set_again(entry);
  if ((found.flags & IPC_SIGNAL_NESTED) != 0 || (entry->traits & IPC_SIGNAL_FAULT) != 0) {
    call_hook(entry, &found);
  } else if (begin_hook(entry)) {
    do {
      call_hook(entry, &found);
      found = read_hook(entry);
    } while (end_hook(entry));
  }
  errno = error;
}

static void set_again(signal_entry *entry) {
  AcquireSRWLockExclusive(&dispositions);
  if (entry->hooked) (void)signal(entry->number, handle);
  ReleaseSRWLockExclusive(&dispositions);
}

/* Makes the disposition, with the lock held. The hook comes first: from the moment that the run-time library knows the
 * handler it may run. What is no hook leaves the entry as it is, because a handler that has begun in another thread
 * still reads it. */
static ipc_status set_disposition(signal_entry *entry, uint32_t action, const hook_of *hook) {
  hook_of before = read_hook(entry);
  if (action == IPC_SIGNAL_HOOK) write_hook(entry, hook);
  void(__cdecl * handler)(int) = action == IPC_SIGNAL_HOOK ? handle : action == IPC_SIGNAL_IGNORE ? SIG_IGN : SIG_DFL;
  if (signal(entry->number, handler) != SIG_ERR) {
    entry->hooked = action == IPC_SIGNAL_HOOK;
    return ipc_status_of(IPC_OK);
  }
  if (action == IPC_SIGNAL_HOOK) write_hook(entry, &before);
  return ipc_status_of(IPC_FAILED);
}

ipc_status ipc_signal_set_handler(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                  void *context) {
  signal_entry *entry = find_signal(signal);
  if (entry == NULL || action < IPC_SIGNAL_DEFAULT || action > IPC_SIGNAL_HOOK ||
      (flags & ~(uint32_t)KNOWN_FLAGS) != 0 || (action == IPC_SIGNAL_HOOK && hook == NULL)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if ((flags & IPC_SIGNAL_NO_CHILD_STOP) != 0) return ipc_status_of(IPC_UNSUPPORTED);
  if (action == IPC_SIGNAL_HOOK && (entry->traits & IPC_SIGNAL_FAULT) != 0 && (flags & IPC_SIGNAL_UNSAFE) == 0) {
    return ipc_status_of(IPC_PERMISSION_DENIED);
  }
  hook_of wanted = {hook, context, flags};
  AcquireSRWLockExclusive(&dispositions);
  ipc_status status = set_disposition(entry, action, &wanted);
  ReleaseSRWLockExclusive(&dispositions);
  return status;
}

/* A signal whose default nobody changed ends the process: the run-time library does that in the call. */
ipc_status ipc_signal_raise(int32_t signal) {
  if (find_signal(signal) == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  int kept = errno;
  bool raised = raise(signal) == 0;
  errno = kept;
  return ipc_status_of(raised ? IPC_OK : IPC_FAILED);
}

#else

typedef int ipc_windows_signal_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
