/* poller.h - what a loop needs of a system: to wait until one of many descriptors is ready.
 *
 * Each way to wait is a file of its own beside its system: ref/linux/poller_epoll.c, ref/bsd/poller_kqueue.c, and
 * ref/posix/poller_poll.c for all. Readiness is level-triggered and a hint: a descriptor reported as ready may not be
 * so, one that is ready is reported again and again while there is interest in it. Trouble (an error, a hang-up) is
 * readiness of both directions: the next attempt will name it.
 *
 * `set` and `wake` may be called by any thread while one waits; `set` by one thread at a time.
 */
#ifndef REF_POSIX_POLLER_H
#define REF_POSIX_POLLER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { IPC_READY_READ = 1, IPC_READY_WRITE = 2 };

/* A descriptor that is ready. */
typedef struct ipc_ready {
  int fd;
  uint32_t directions; /* IPC_READY_* */
} ipc_ready;

typedef struct ipc_poller ipc_poller;

typedef struct ipc_poller_kind {
  /* Makes one. errno. */
  int (*open)(ipc_poller **out_poller);

  /* Releases it. Nobody waits. */
  void (*close)(ipc_poller *poller);

  /* Changes the interest in |fd|, which is open, from the directions |before| to |after|; 0 is none. When a removal
   * returns, no wait holds on to the descriptor: it may be closed, and what it led to is let go. errno; EPERM: the
   * system does not wait for descriptors of this kind, which are always ready. Removing cannot fail. */
  int (*set)(ipc_poller *poller, int fd, uint32_t before, uint32_t after);

  /* Waits at most |timeout_ms| (-1: for ever) until descriptors are ready, and gives at most |max| of them, in turn if
   * there are more. It returns early, perhaps with none, after a wake or a signal. errno. */
  int (*wait)(ipc_poller *poller, int timeout_ms, ipc_ready *out_ready, size_t max, size_t *out_num);

  /* Makes the wait under way, or the next, return. Safe in a signal handler; errno stays as it was. */
  void (*wake)(ipc_poller *poller);
} ipc_poller_kind;

/* ipc_poller_of gives this system's way for a back end (IPC_LOOP_*), or NULL. Each system defines it. */
const ipc_poller_kind *ipc_poller_of(uint32_t backend);

extern const ipc_poller_kind ipc_poller_poll;

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_POSIX_POLLER_H */
