/* kqueue_events.c - see kqueue_events.h. */
#include "ref/bsd/kqueue_events.h"

/* Which directions an event makes ready. An end of file is readiness of its own filter: with bytes left they are read
 * first, and a writer whose reader is gone is told by its own filter. A registration that failed is told as trouble in
 * both: the next attempt will name it. `data` decides nothing: 0 may be an empty message, and what was counted may be
 * gone by the time of the attempt. */
static uint32_t directions_of(const ipc_kqueue_event *event) {
  if (event->error) return event->data != 0 ? IPC_READY_READ | IPC_READY_WRITE : 0;
  if (event->filter == IPC_KQUEUE_READ) return IPC_READY_READ;
  return event->filter == IPC_KQUEUE_WRITE ? IPC_READY_WRITE : 0;
}

/* The two filters of a descriptor come as two events, not always side by side. */
size_t ipc_kqueue_ready(const ipc_kqueue_event *events, size_t num, ipc_ready *out_ready, bool *out_woken) {
  size_t num_ready = 0;
  *out_woken = false;
  for (size_t i = 0; i < num; i++) {
    if (events[i].filter == IPC_KQUEUE_USER) {
      *out_woken = true;
      continue;
    }
    uint32_t directions = directions_of(&events[i]);
    if (directions == 0) continue;
    size_t at = 0;
    while (at < num_ready && out_ready[at].fd != events[i].fd) at++;
    if (at == num_ready) out_ready[num_ready++] = (ipc_ready){events[i].fd, 0};
    out_ready[at].directions |= directions;
  }
  return num_ready;
}

int ipc_kqueue_receipts(const ipc_kqueue_event *receipts, size_t num, bool adding) {
  for (size_t i = 0; i < num; i++) {
    if (adding && receipts[i].error && receipts[i].data != 0) return (int)receipts[i].data;
  }
  return 0;
}
