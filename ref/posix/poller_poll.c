/* poller_poll.c - waiting with poll(2): the way that every Unix has.
 *
 * poll(2) waits for an array that it is given. The one who waits has a copy of it, and whoever changes the interest
 * meanwhile wakes him to take a new one. While poll(2) waits it holds on to what its descriptors lead to: a listener
 * whose descriptor is closed then goes on listening. So a removal returns only when that wait has ended.
 */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/poller.h"

#ifndef IPC_WITHOUT_ASYNC

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ref/posix/system.h"

enum { FIRST_ROOM = 32 };

struct ipc_poller {
  ipc_wake wake;
  pthread_mutex_t lock; /* of the rest */
  pthread_cond_t back;  /* a poll(2) has ended */
  struct pollfd *wanted;
  size_t num_wanted;
  size_t wanted_room;
  size_t *place; /* by descriptor: its place in `wanted`, plus 1; 0: it is not there */
  size_t place_room;
  struct pollfd *polled; /* the copy, the one's who waits; `polled[0]` is the wake descriptor */
  size_t polled_room;
  size_t next; /* where the search for ready ones begins, so that all have their turn */
  bool waiting;
  uint64_t num_waits;
};

static int poll_open(ipc_poller **out_poller) {
  ipc_poller *poller = calloc(1, sizeof *poller);
  if (poller == NULL) return ENOMEM;
  int error = pthread_mutex_init(&poller->lock, NULL);
  if (error == 0) {
    error = pthread_cond_init(&poller->back, NULL);
    if (error == 0) {
      error = ipc_system_wake_open(&poller->wake);
      if (error != 0) pthread_cond_destroy(&poller->back);
    }
    if (error != 0) pthread_mutex_destroy(&poller->lock);
  }
  if (error != 0) {
    free(poller);
    return error;
  }
  *out_poller = poller;
  return 0;
}

static void poll_close(ipc_poller *poller) {
  ipc_system_wake_close(&poller->wake);
  pthread_cond_destroy(&poller->back);
  pthread_mutex_destroy(&poller->lock);
  free(poller->wanted);
  free(poller->place);
  free(poller->polled);
  free(poller);
}

static void poll_wake(ipc_poller *poller) {
  int error = errno;
  ipc_system_wake_signal(&poller->wake);
  errno = error;
}

/* Makes room for |wanted| elements of |size| bytes in |*array|, which has |*room|. */
static bool make_room(void **array, size_t *room, size_t wanted, size_t size) {
  if (wanted <= *room) return true;
  size_t more = *room == 0 ? FIRST_ROOM : *room * 2;
  if (more < wanted) more = wanted;
  void *grown = realloc(*array, more * size);
  if (grown == NULL) return false;
  memset((unsigned char *)grown + *room * size, 0, (more - *room) * size);
  *array = grown;
  *room = more;
  return true;
}

static short events_of(uint32_t directions) {
  int events = 0;
  if ((directions & IPC_READY_READ) != 0) events |= POLLIN;
  if ((directions & IPC_READY_WRITE) != 0) events |= POLLOUT;
  return (short)events;
}

static int add(ipc_poller *poller, int fd, uint32_t directions) {
  void *wanted = poller->wanted;
  void *place = poller->place;
  bool fits = make_room(&wanted, &poller->wanted_room, poller->num_wanted + 1, sizeof *poller->wanted);
  poller->wanted = wanted;
  fits = fits && make_room(&place, &poller->place_room, (size_t)fd + 1, sizeof *poller->place);
  poller->place = place;
  if (!fits) return ENOMEM;
  poller->wanted[poller->num_wanted++] = (struct pollfd){.fd = fd, .events = events_of(directions)};
  poller->place[fd] = poller->num_wanted;
  return 0;
}

/* The last one takes the place of the one removed. */
static void take_out(ipc_poller *poller, int fd) {
  size_t place = poller->place[fd];
  poller->place[fd] = 0;
  poller->num_wanted--;
  if (place - 1 == poller->num_wanted) return;
  poller->wanted[place - 1] = poller->wanted[poller->num_wanted];
  poller->place[poller->wanted[place - 1].fd] = place;
}

static int poll_set(ipc_poller *poller, int fd, uint32_t before, uint32_t after) {
  int error = 0;
  pthread_mutex_lock(&poller->lock);
  if (before == 0) {
    error = add(poller, fd, after);
  } else if (after != 0) {
    poller->wanted[poller->place[fd] - 1].events = events_of(after);
  } else {
    take_out(poller, fd);
  }
  if (error == 0 && poller->waiting) {
    poll_wake(poller);
    uint64_t wait = poller->num_waits;
    while (after == 0 && poller->waiting && poller->num_waits == wait) pthread_cond_wait(&poller->back, &poller->lock);
  }
  pthread_mutex_unlock(&poller->lock);
  return error;
}

static uint32_t directions_of(short events) {
  uint32_t directions = 0;
  const int trouble = POLLERR | POLLHUP | POLLNVAL;
  if ((events & (POLLIN | trouble)) != 0) directions |= IPC_READY_READ;
  if ((events & (POLLOUT | trouble)) != 0) directions |= IPC_READY_WRITE;
  return directions;
}

/* Takes what poll(2) said, |num_ready| of |num|, beginning behind the last one taken before. */
static size_t collect(ipc_poller *poller, size_t num, int num_ready, ipc_ready *out_ready, size_t max) {
  size_t taken = 0;
  struct pollfd *polled = poller->polled;
  if (polled[0].revents != 0) {
    /* One read empties an eventfd; of a pipe with many wakes in it, it leaves some for the next wait, which then is
     * short. */
    unsigned char bytes[64];
    ssize_t got = read(poller->wake.wait, bytes, sizeof bytes);
    (void)got;
    num_ready--;
  }
  size_t first = num == 0 ? 0 : poller->next % num;
  for (size_t i = 0; i < num && num_ready > 0 && taken < max; i++) {
    size_t at = (first + i) % num;
    if (polled[1 + at].revents == 0) continue;
    out_ready[taken++] = (ipc_ready){polled[1 + at].fd, directions_of(polled[1 + at].revents)};
    num_ready--;
    poller->next = at + 1;
  }
  return taken;
}

static int poll_wait(ipc_poller *poller, int timeout_ms, ipc_ready *out_ready, size_t max, size_t *out_num) {
  *out_num = 0;
  pthread_mutex_lock(&poller->lock);
  size_t num = poller->num_wanted;
  void *polled = poller->polled;
  bool fits = make_room(&polled, &poller->polled_room, num + 1, sizeof *poller->polled);
  poller->polled = polled;
  if (!fits) {
    pthread_mutex_unlock(&poller->lock);
    return ENOMEM;
  }
  poller->polled[0] = (struct pollfd){.fd = poller->wake.wait, .events = POLLIN};
  if (num != 0) memcpy(poller->polled + 1, poller->wanted, num * sizeof *poller->wanted);
  poller->waiting = true;
  pthread_mutex_unlock(&poller->lock);

  int ready = poll(poller->polled, (nfds_t)(num + 1), timeout_ms);
  int error = ready < 0 && errno != EINTR ? errno : 0;

  pthread_mutex_lock(&poller->lock);
  poller->waiting = false;
  poller->num_waits++;
  pthread_cond_broadcast(&poller->back);
  pthread_mutex_unlock(&poller->lock);
  if (ready > 0) *out_num = collect(poller, num, ready, out_ready, max);
  return error;
}

const ipc_poller_kind ipc_poller_poll = {
    .open = poll_open,
    .close = poll_close,
    .set = poll_set,
    .wait = poll_wait,
    .wake = poll_wake,
};

#endif /* IPC_WITHOUT_ASYNC */
