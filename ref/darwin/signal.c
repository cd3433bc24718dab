/* signal.c - macOS has no real-time signals, and no sigqueue. */
#ifndef IPC_WITHOUT_SIGNALS

#include <errno.h>

#include "ref/posix/system.h"

void ipc_system_realtime_signals(int32_t *out_lowest, int32_t *out_highest) {
  *out_lowest = 1;
  *out_highest = 0;
}

int ipc_system_signal_queue(pid_t pid, int32_t signal, int32_t value) {
  (void)pid;
  (void)signal;
  (void)value;
  return EOPNOTSUPP;
}

#else

typedef int ipc_darwin_signal_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
