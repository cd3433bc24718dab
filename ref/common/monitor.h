/* monitor.h - a lock with something to wait for: what a platform gives the portable part so that threads can wait for
 * each other. Each platform implements it. */
#ifndef REF_COMMON_MONITOR_H
#define REF_COMMON_MONITOR_H

#include "ref/common/deadline.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ipc_monitor ipc_monitor;

/* ipc_monitor_new makes a monitor; NULL if there is no memory. ipc_monitor_free releases it; nobody is inside. */
ipc_monitor *ipc_monitor_new(void);
void ipc_monitor_free(ipc_monitor *monitor);

void ipc_monitor_lock(ipc_monitor *monitor);
void ipc_monitor_unlock(ipc_monitor *monitor);

/* ipc_monitor_wait gives the lock up until ipc_monitor_wake or |deadline|, and takes it again. False if the deadline
 * has passed. It may return true for no reason. */
bool ipc_monitor_wait(ipc_monitor *monitor, ipc_deadline *deadline);

/* ipc_monitor_wake wakes everybody who waits. The caller has the lock. */
void ipc_monitor_wake(ipc_monitor *monitor);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_COMMON_MONITOR_H */
