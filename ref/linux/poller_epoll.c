/* poller_epoll.c - waiting with epoll(7), and which ways to wait Linux has.
 *
 * epoll keeps an entry for a pair of descriptor number and open file description. When the number is closed but the
 * description lives on, in another process or behind a duplicate, the entry stays and cannot be removed any more: its
 * events come for ever. So a descriptor is removed before it is closed, which the loop sees to. An entry without
 * interest would still report hang-ups: there is none of those either.
 */
#define _GNU_SOURCE

#include "ref/posix/poller.h"

#ifndef IPC_WITHOUT_ASYNC

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/loop.h"
#include "ref/posix/system.h"

enum { EVENTS_MAX = 64 };

struct ipc_poller {
  int epoll;
  ipc_wake wake;
};

static int control(const ipc_poller *poller, int operation, int fd, uint32_t directions) {
  struct epoll_event event = {.data.fd = fd};
  if ((directions & IPC_READY_READ) != 0) event.events |= EPOLLIN;
  if ((directions & IPC_READY_WRITE) != 0) event.events |= EPOLLOUT;
  return epoll_ctl(poller->epoll, operation, fd, &event) == 0 ? 0 : errno;
}

static int epoll_open(ipc_poller **out_poller) {
  ipc_poller *poller = malloc(sizeof *poller);
  if (poller == NULL) return ENOMEM;
  poller->epoll = epoll_create1(EPOLL_CLOEXEC);
  int error = poller->epoll < 0 ? errno : ipc_system_wake_open(&poller->wake);
  if (error == 0) {
    error = control(poller, EPOLL_CTL_ADD, poller->wake.wait, IPC_READY_READ);
    if (error != 0) ipc_system_wake_close(&poller->wake);
  }
  if (error != 0) {
    if (poller->epoll >= 0) (void)close(poller->epoll);
    free(poller);
    return error;
  }
  *out_poller = poller;
  return 0;
}

static void epoll_close(ipc_poller *poller) {
  ipc_system_wake_close(&poller->wake);
  (void)close(poller->epoll);
  free(poller);
}

static int epoll_set(ipc_poller *poller, int fd, uint32_t before, uint32_t after) {
  if (after == 0) {
    (void)control(poller, EPOLL_CTL_DEL, fd, 0);
    return 0;
  }
  return control(poller, before == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, after);
}

static uint32_t directions_of(uint32_t events) {
  uint32_t directions = 0;
  if ((events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0) directions |= IPC_READY_READ;
  if ((events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) directions |= IPC_READY_WRITE;
  return directions;
}

/* What epoll reports it moves to the end of its list of the ready ones: so they come in turn. */
static int epoll_wait_ready(ipc_poller *poller, int timeout_ms, ipc_ready *out_ready, size_t max, size_t *out_num) {
  struct epoll_event events[EVENTS_MAX];
  *out_num = 0;
  int num = epoll_wait(poller->epoll, events, (int)(max < EVENTS_MAX ? max : EVENTS_MAX), timeout_ms);
  if (num < 0) return errno == EINTR ? 0 : errno;
  for (int i = 0; i < num; i++) {
    if (events[i].data.fd == poller->wake.wait) {
      eventfd_t count;
      (void)eventfd_read(poller->wake.wait, &count);
    } else {
      out_ready[(*out_num)++] = (ipc_ready){events[i].data.fd, directions_of(events[i].events)};
    }
  }
  return 0;
}

static void epoll_wake(ipc_poller *poller) {
  int error = errno;
  ipc_system_wake_signal(&poller->wake);
  errno = error;
}

static const ipc_poller_kind poller_epoll = {
    .open = epoll_open,
    .close = epoll_close,
    .set = epoll_set,
    .wait = epoll_wait_ready,
    .wake = epoll_wake,
};

const ipc_poller_kind *ipc_poller_of(uint32_t backend) {
  switch (backend) {
    case IPC_LOOP_BEST:
    case IPC_LOOP_EPOLL:
      return &poller_epoll;
    case IPC_LOOP_POLL:
      return &ipc_poller_poll;
    default:
      return NULL;
  }
}

#endif /* IPC_WITHOUT_ASYNC */
