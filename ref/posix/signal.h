/* signal.h - what ref/posix/signal.c and ref/posix/watcher.c share: the one lock of everything that changes
 * dispositions, and what a signal handler may know. */
#ifndef REF_POSIX_SIGNAL_H
#define REF_POSIX_SIGNAL_H

#include <signal.h>
#include <stdbool.h>

#include "ipc/signal.h"

/* ipc_signals_lock keeps dispositions as they are until ipc_signals_unlock, which gets what this wrote to |out_before|:
 * the thread's signal mask. Meanwhile the thread handles no signal, so that no hook finds its own thread half way
 * through a change. A fork waits for the lock: the child finds it open and what it guards whole. */
void ipc_signals_lock(sigset_t *out_before);
void ipc_signals_unlock(const sigset_t *before);

/* ipc_signal_traits gives the IPC_SIGNAL_* traits of |signal|; false if the system has no such signal. */
bool ipc_signal_traits(int32_t signal, uint32_t *out_traits);

/* ipc_signal_event_of is what |info| says. Async-signal-safe. */
ipc_signal_event ipc_signal_event_of(int signal, const siginfo_t *info);

#endif /* REF_POSIX_SIGNAL_H */
