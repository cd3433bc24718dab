/* poller_kqueue.c - waiting with kqueue(2), and which ways to wait macOS and FreeBSD have.
 *
 * A descriptor has a filter for each direction, added when there is interest and deleted when there is none. Filters
 * are level-triggered (neither EV_CLEAR nor EV_ONESHOT), as poller.h wants it: what is ready and not dealt with is
 * reported again. Changes are made at once and with receipts, not with the next wait: somebody else may be waiting, and
 * a failure belongs to him who asked. A wake is an event of EVFILT_USER, which EV_CLEAR resets when it is reported. A
 * filter goes with its descriptor, so nothing is left of one that was closed; the loop removes interest before all the
 * same.
 *
 * Known: on macOS neither kqueue nor poll tells the reader of a FIFO file that the last writer has left.
 */
#include "ref/posix/poller.h"

#ifndef IPC_WITHOUT_ASYNC

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>
#include <unistd.h>

#include "ipc/loop.h"
#include "ref/bsd/kqueue_events.h"

enum { EVENTS_MAX = 64, WAKE_IDENT = 0 };

struct ipc_poller {
  int queue;
};

static ipc_kqueue_event translate(const struct kevent *event) {
  int filter = event->filter == EVFILT_READ    ? IPC_KQUEUE_READ
               : event->filter == EVFILT_WRITE ? IPC_KQUEUE_WRITE
               : event->filter == EVFILT_USER  ? IPC_KQUEUE_USER
                                               : IPC_KQUEUE_OTHER;
  return (ipc_kqueue_event){.fd = (int)event->ident,
                            .filter = filter,
                            .error = (event->flags & EV_ERROR) != 0,
                            .eof = (event->flags & EV_EOF) != 0,
                            .data = (int64_t)event->data};
}

/* Makes |num| changes, at most 2, of the same sort. errno. */
static int change(const ipc_poller *poller, struct kevent *changes, size_t num, bool adding) {
  static const struct timespec at_once = {0, 0};
  struct kevent receipts[2];
  ipc_kqueue_event translated[2];
  if (num == 0) return 0;
  int got = kevent(poller->queue, changes, (int)num, receipts, (int)num, &at_once);
  if (got < 0) return errno == EINTR ? 0 : errno; /* interrupted, the changes have been made */
  for (int i = 0; i < got; i++) translated[i] = translate(&receipts[i]);
  return ipc_kqueue_receipts(translated, (size_t)got, adding);
}

/* Puts one change for each of |directions| into |out|. */
static size_t list_changes(int fd, uint32_t directions, unsigned short action, struct kevent out[2]) {
  size_t num = 0;
  if ((directions & IPC_READY_READ) != 0) EV_SET(&out[num++], (uintptr_t)fd, EVFILT_READ, action | EV_RECEIPT, 0, 0, 0);
  if ((directions & IPC_READY_WRITE) != 0) {
    EV_SET(&out[num++], (uintptr_t)fd, EVFILT_WRITE, action | EV_RECEIPT, 0, 0, 0);
  }
  return num;
}

static int kqueue_set(ipc_poller *poller, int fd, uint32_t before, uint32_t after) {
  struct kevent changes[2];
  size_t num = list_changes(fd, before & ~after, EV_DELETE, changes);
  (void)change(poller, changes, num, false);
  num = list_changes(fd, after & ~before, EV_ADD, changes);
  int error = change(poller, changes, num, true);
  if (error != 0) {
    num = list_changes(fd, after & ~before, EV_DELETE, changes);
    (void)change(poller, changes, num, false);
  }
  return error;
}

static int kqueue_open(ipc_poller **out_poller) {
  ipc_poller *poller = malloc(sizeof *poller);
  if (poller == NULL) return ENOMEM;
  poller->queue = kqueue(); /* not inherited by fork(2); an exec keeps it unless it is told not to */
  int error = poller->queue < 0 || fcntl(poller->queue, F_SETFD, FD_CLOEXEC) != 0 ? errno : 0;
  if (error == 0) {
    struct kevent wake;
    EV_SET(&wake, WAKE_IDENT, EVFILT_USER, EV_ADD | EV_CLEAR | EV_RECEIPT, 0, 0, 0);
    error = change(poller, &wake, 1, true);
  }
  if (error != 0) {
    if (poller->queue >= 0) (void)close(poller->queue);
    free(poller);
    return error;
  }
  *out_poller = poller;
  return 0;
}

static void kqueue_close(ipc_poller *poller) {
  (void)close(poller->queue);
  free(poller);
}

static int kqueue_wait(ipc_poller *poller, int timeout_ms, ipc_ready *out_ready, size_t max, size_t *out_num) {
  struct kevent events[EVENTS_MAX];
  ipc_kqueue_event translated[EVENTS_MAX];
  struct timespec timeout = {.tv_sec = timeout_ms / 1000, .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
  *out_num = 0;
  int room = max < EVENTS_MAX ? (int)max : EVENTS_MAX;
  int num = kevent(poller->queue, NULL, 0, events, room, timeout_ms < 0 ? NULL : &timeout);
  if (num < 0) return errno == EINTR ? 0 : errno;
  for (int i = 0; i < num; i++) translated[i] = translate(&events[i]);
  bool woken;
  *out_num = ipc_kqueue_ready(translated, (size_t)num, out_ready, &woken);
  return 0;
}

/* kevent(2) is a system call and nothing else: it may be made in a signal handler. */
static void kqueue_wake(ipc_poller *poller) {
  int error = errno;
  struct kevent wake;
  EV_SET(&wake, WAKE_IDENT, EVFILT_USER, 0, NOTE_TRIGGER, 0, 0);
  (void)kevent(poller->queue, &wake, 1, NULL, 0, NULL);
  errno = error;
}

static const ipc_poller_kind poller_kqueue = {
    .open = kqueue_open,
    .close = kqueue_close,
    .set = kqueue_set,
    .wait = kqueue_wait,
    .wake = kqueue_wake,
};

const ipc_poller_kind *ipc_poller_of(uint32_t backend) {
  switch (backend) {
    case IPC_LOOP_BEST:
    case IPC_LOOP_KQUEUE:
      return &poller_kqueue;
    case IPC_LOOP_POLL:
      return &ipc_poller_poll;
    default:
      return NULL;
  }
}

#endif /* IPC_WITHOUT_ASYNC */
