/* signal.h - signals: handling them, waiting for them, sending them.
 *
 * Signals are numbers of the system; ipc_signal_number and ipc_signal_name translate. Names are those of POSIX without
 * SIG: INT, TERM, CHLD, ...; real-time signals are RT0, RT1, ... from the lowest. spec/signal.md holds the
 * requirements. This is the one part of the library with state of the whole process, because dispositions are. A
 * library whose hooks or watchers are set must stay loaded. Absent without `signals`. Windows, which has only the
 * signals of C, cannot send them to another process or watch them.
 *
 * Sources: POSIX.1-2017 XSH 2.4, sigaction(), kill(), sigqueue(); signal(7); ISO C11 7.14.
 */
#ifndef IPC_SIGNAL_H
#define IPC_SIGNAL_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What ipc_signal_describe says of a signal. */
enum {
  IPC_SIGNAL_CATCHABLE = 1, /* it can be handled or ignored (all but KILL and STOP) */
  IPC_SIGNAL_QUEUED = 2,    /* real-time: each sending is delivered, in order, with its value */
  IPC_SIGNAL_FAULT = 4,     /* SEGV, BUS, FPE, ILL: raised for a mistake of the thread itself; a hook must not return */
};

/* Actions of ipc_signal_set_handler. */
enum { IPC_SIGNAL_DEFAULT = 1, IPC_SIGNAL_IGNORE = 2, IPC_SIGNAL_HOOK = 3 };

/* Flags of ipc_signal_set_handler, for IPC_SIGNAL_HOOK alone but one. */
enum {
  IPC_SIGNAL_RESTART = 1,       /* system calls that it interrupts go on */
  IPC_SIGNAL_RESET = 2,         /* the first delivery sets the signal back to its default */
  IPC_SIGNAL_NESTED = 4,        /* it may interrupt its own hook */
  IPC_SIGNAL_NO_CHILD_STOP = 8, /* CHLD: only for children that end; also with the other actions */
  IPC_SIGNAL_UNSAFE = 16,       /* a hook for an IPC_SIGNAL_FAULT signal is meant */
};

/* What ipc_signal_event.fields says is known. */
enum { IPC_SIGNAL_HAS_SENDER = 1, IPC_SIGNAL_HAS_VALUE = 2 };

/* A signal that came. */
typedef struct ipc_signal_event {
  uint32_t size;   /* sizeof(ipc_signal_event); ipc_watcher_next: set by the caller */
  int32_t signal;  /* its number */
  uint32_t fields; /* IPC_SIGNAL_HAS_* */
  uint32_t uid;    /* real user id of the sender */
  uint64_t pid;    /* process id of the sender */
  int32_t value;   /* that ipc_signal_queue sent with it */
  int32_t code;    /* si_code of the system: for people */
} ipc_signal_event;

/* A hook runs in a signal handler: it may call only what POSIX.1-2017 XSH 2.4.3 lists as async-signal-safe, and of this
 * library nothing but ipc_signal_raise, ipc_signal_send, ipc_signal_queue and ipc_loop_wake. errno is kept for it. */
typedef void (*ipc_signal_hook)(const ipc_signal_event *event, void *context);

/* A set of signals that can be waited for. */
typedef struct ipc_watcher ipc_watcher;

#ifndef IPC_WITHOUT_SIGNALS

/* ipc_signal_number writes the number of the signal |name| to |*out_signal|.
 * IPC_OK, IPC_NOT_FOUND (the system has no such signal), IPC_INVALID_ARGUMENT. */
ipc_status ipc_signal_number(const void *name, size_t name_len, int32_t *out_signal);

/* ipc_signal_name writes the name of |signal|, at most |name_max| bytes, and its length.
 * IPC_OK, IPC_NOT_FOUND (no signal), IPC_MESSAGE_TRUNCATED (nothing written but |*out_len|), IPC_INVALID_ARGUMENT. */
ipc_status ipc_signal_name(int32_t signal, void *out_name, size_t name_max, size_t *out_len);

/* ipc_signal_describe writes IPC_SIGNAL_CATCHABLE and its like to |*out_traits|.
 * IPC_OK, IPC_INVALID_ARGUMENT (also: no signal, 0 included). */
ipc_status ipc_signal_describe(int32_t signal, uint32_t *out_traits);

/* ipc_signal_set_handler says what |signal| does to this process from now on; |hook| and |context| are for
 * IPC_SIGNAL_HOOK, as the flags are, and mean nothing otherwise. The hook runs in whatever thread the system chooses
 * among those that do not block |signal|, with the signals of that thread blocked as before, and |signal| itself unless
 * IPC_SIGNAL_NESTED. A hook that another thread has begun to run before the call returns is not waited for: what
 * |context| points to must outlive it. On another status than IPC_OK nothing has changed.
 *
 *   IPC_OK
 *   IPC_UNSUPPORTED        KILL and STOP, which cannot be handled; a flag that the system does not know
 *   IPC_BUSY               a watcher has the signal
 *   IPC_PERMISSION_DENIED  a hook for an IPC_SIGNAL_FAULT signal without IPC_SIGNAL_UNSAFE
 *   IPC_INVALID_ARGUMENT   no signal, an unknown action or flag, no hook
 */
ipc_status ipc_signal_set_handler(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook, void *context);

/* ipc_signal_raise raises |signal| in the calling thread: unless that thread blocks it, what it does has been done when
 * the call returns, if it returns. IPC_OK, IPC_INVALID_ARGUMENT (no signal), IPC_OUT_OF_RESOURCES, IPC_FAILED. Source:
 * ISO C11 7.14.2.1. */
ipc_status ipc_signal_raise(int32_t signal);

#ifndef _WIN32

/* ipc_signal_send sends |signal| to the process |pid|; 0 sends nothing and asks whether it exists.
 * A signal to the calling process that no thread blocks is delivered before it returns, if the process has one thread.
 *
 *   IPC_OK
 *   IPC_NO_SUCH_PROCESS
 *   IPC_PERMISSION_DENIED
 *   IPC_INVALID_ARGUMENT   no signal; a |pid| of 0 or beyond what the system has (a group is never meant)
 */
ipc_status ipc_signal_send(int32_t signal, uint64_t pid);

/* ipc_signal_send_group is ipc_signal_send to every process of the process group |group|, which is at least 2: every
 * process of the system, or of one's own group without saying its number, is never meant. IPC_OK if one got it. */
ipc_status ipc_signal_send_group(int32_t signal, uint64_t group);

/* ipc_signal_queue sends a real-time |signal| with |value|. The system delivers equal ones in the order sent, and lower
 * numbers before higher ones. A watcher hands them out so if one thread of the process lets them in; several threads
 * handle several at once. A hook is interrupted by the next signal unless that is its own. IPC_UNSUPPORTED where the
 * system has none; IPC_INVALID_ARGUMENT also for a signal that is not IPC_SIGNAL_QUEUED; IPC_OUT_OF_RESOURCES: too many
 * are queued; the others of ipc_signal_send. */
ipc_status ipc_signal_queue(int32_t signal, uint64_t pid, int32_t value);

/* ipc_signal_watch routes |num_signals| (1 to 64) signals to a watcher, whatever they did before, until it is closed:
 * then they do that again. Some thread must not block them. Several watchers of one signal each get it. Each real-time
 * signal comes once for each sending; standard ones may fall together while they wait. System calls of other threads
 * that they interrupt go on. In a child of fork(2) the signals do what they did before they were watched.
 *
 *   IPC_OK
 *   IPC_UNSUPPORTED        one of them cannot be handled
 *   IPC_PERMISSION_DENIED  one of them is IPC_SIGNAL_FAULT
 *   IPC_INVALID_ARGUMENT   no signal, one twice, none or too many
 *   IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_signal_watch(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher);

/* ipc_watcher_next waits for the next signal at most |timeout_ms|, and takes it. Set |out_event->size|.
 * IPC_OK, IPC_WOULD_BLOCK (nonblocking mode), IPC_TIMED_OUT, IPC_CANCELLED, IPC_CLOSED, IPC_OUT_OF_RESOURCES (signals
 * came faster than they were taken and some are lost: said once), IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_watcher_next(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event);

/* ipc_watcher_set_nonblocking makes ipc_watcher_next answer IPC_WOULD_BLOCK instead of waiting, or wait again.
 * IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. Absent without `nonblocking`. */
#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_watcher_set_nonblocking(ipc_watcher *watcher, bool nonblocking);
#endif

/* ipc_watcher_raw lends a handle that is readable while a signal waits to be taken. It is for waiting alone.
 * IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_watcher_raw(ipc_watcher *watcher, ipc_raw *out_raw);

/* ipc_watcher_close ends calls under way as IPC_CANCELLED and gives the signals back what they did before. Signals that
 * were not taken are forgotten. IPC_OK, IPC_CLOSED (it was before), IPC_INVALID_ARGUMENT. */
ipc_status ipc_watcher_close(ipc_watcher *watcher);

/* ipc_watcher_free closes the watcher if that has not been done, and releases its memory. No other call on it may be
 * under way. NULL is allowed. Always IPC_OK. */
ipc_status ipc_watcher_free(ipc_watcher *watcher);

#endif /* _WIN32 */

#endif /* IPC_WITHOUT_SIGNALS */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_SIGNAL_H */
