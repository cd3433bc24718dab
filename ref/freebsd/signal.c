/* signal.c - the real-time signals of FreeBSD: sigqueue(2). */
#ifndef IPC_WITHOUT_SIGNALS

#include <errno.h>
#include <signal.h>

#include "ref/posix/system.h"

void ipc_system_realtime_signals(int32_t *out_lowest, int32_t *out_highest) {
  *out_lowest = SIGRTMIN;
  *out_highest = SIGRTMAX;
}

int ipc_system_signal_queue(pid_t pid, int32_t signal, int32_t value) {
  union sigval sent = {.sival_int = value};
  return sigqueue(pid, signal, sent) == 0 ? 0 : errno;
}

#else

typedef int ipc_freebsd_signal_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_SIGNALS */
