/* monitor.c - monitors are a slim lock and a condition variable. */
#include "ref/common/monitor.h"

#include <stdlib.h>

#include "ref/windows/win32.h"

struct ipc_monitor {
  SRWLOCK lock;
  CONDITION_VARIABLE condition;
};

ipc_monitor *ipc_monitor_new(void) {
  ipc_monitor *monitor = malloc(sizeof *monitor);
  if (monitor == NULL) return NULL;
  InitializeSRWLock(&monitor->lock);
  InitializeConditionVariable(&monitor->condition);
  return monitor;
}

void ipc_monitor_free(ipc_monitor *monitor) { free(monitor); }

void ipc_monitor_lock(ipc_monitor *monitor) { AcquireSRWLockExclusive(&monitor->lock); }
void ipc_monitor_unlock(ipc_monitor *monitor) { ReleaseSRWLockExclusive(&monitor->lock); }
void ipc_monitor_wake(ipc_monitor *monitor) { WakeAllConditionVariable(&monitor->condition); }

bool ipc_monitor_wait(ipc_monitor *monitor, ipc_deadline *deadline) {
  int left_ms = ipc_deadline_left_ms(deadline);
  if (left_ms == 0) return false;
  (void)SleepConditionVariableSRW(&monitor->condition, &monitor->lock, left_ms < 0 ? INFINITE : (DWORD)left_ms, 0);
  return true; /* whether it has passed the next wait will say */
}
