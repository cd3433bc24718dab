/* watcher.h - watchers as other files of ref/posix/ use them: who asks whether a signal is watched, and who waits for
 * one by other means than ipc_watcher_next. */
#ifndef REF_POSIX_WATCHER_H
#define REF_POSIX_WATCHER_H

#include <stdbool.h>

#include "ipc/signal.h"
#include "ref/posix/gate.h"

/* ipc_watcher_watches tells whether some watcher has |signal|. The lock of signal.h is held. */
bool ipc_watcher_watches(int32_t signal);

/* ipc_watcher_gate is the gate that every use of |watcher| enters. */
ipc_gate *ipc_watcher_gate(ipc_watcher *watcher);

/* ipc_watcher_descriptor is readable while ipc_watcher_attempt has something to say. The caller is inside the gate. */
int ipc_watcher_descriptor(const ipc_watcher *watcher);

/* ipc_watcher_event_fits tells whether |event| is one that ipc_watcher_attempt can fill: by its `size`. */
bool ipc_watcher_event_fits(const ipc_signal_event *event);

/* ipc_watcher_attempt takes the next signal without waiting. The caller is inside the gate, and |out_event| fits.
 * IPC_OK, IPC_WOULD_BLOCK, IPC_OUT_OF_RESOURCES (some are lost), IPC_FAILED. */
ipc_status ipc_watcher_attempt(ipc_watcher *watcher, ipc_signal_event *out_event);

#endif /* REF_POSIX_WATCHER_H */
