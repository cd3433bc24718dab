/* kqueue_events.h - what the events of kqueue(2) mean, as pure functions: no header of a system is needed, so that they
 * are tested everywhere. poller_kqueue.c translates.
 *
 * Source: kqueue(2) of FreeBSD 14 and of macOS.
 */
#ifndef REF_BSD_KQUEUE_EVENTS_H
#define REF_BSD_KQUEUE_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ref/posix/poller.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { IPC_KQUEUE_READ = 1, IPC_KQUEUE_WRITE = 2, IPC_KQUEUE_USER = 3, IPC_KQUEUE_OTHER = 4 };

/* A struct kevent, as far as it matters. */
typedef struct ipc_kqueue_event {
  int fd;       /* ident */
  int filter;   /* IPC_KQUEUE_* */
  bool error;   /* EV_ERROR: `data` is an errno, 0 in a receipt of a change that was made */
  bool eof;     /* EV_EOF: the other side is gone; there may be bytes left */
  int64_t data; /* bytes or connections to take, room */
} ipc_kqueue_event;

/* ipc_kqueue_ready turns events into descriptors that are ready, each once, and says whether a wake was among them. At
 * most |num| are written. */
size_t ipc_kqueue_ready(const ipc_kqueue_event *events, size_t num, ipc_ready *out_ready, bool *out_woken);

/* ipc_kqueue_receipts judges the receipts of changes that add (|adding|) or remove interest: 0, or the first errno that
 * counts. What is to be removed and is not there, is removed. */
int ipc_kqueue_receipts(const ipc_kqueue_event *receipts, size_t num, bool adding);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_BSD_KQUEUE_EVENTS_H */
