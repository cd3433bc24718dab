/* fifo.h - the open of a FIFO in steps, for those who must not wait in it. */
#ifndef REF_POSIX_FIFO_H
#define REF_POSIX_FIFO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/fifo.h"

/* What is to be opened. */
typedef struct ipc_fifo_opening {
  int flags;           /* of open(2), without O_NONBLOCK */
  bool no_wait;        /* IPC_FIFO_NO_WAIT */
  char path[PATH_MAX]; /* ends in NUL */
} ipc_fifo_opening;

/* ipc_fifo_opening_init takes the arguments of ipc_fifo_open. Statuses as there. */
ipc_status ipc_fifo_opening_init(ipc_fifo_opening *opening, const void *path, size_t path_len, uint32_t direction,
                                 uint32_t flags);

/* ipc_fifo_opening_attempt opens what need not wait. IPC_OK; IPC_WOULD_BLOCK if it would have to wait, or, with
 * `no_wait`, as ipc_fifo_open; else a final status as there. A reading end that may wait finds out by waiting. */
ipc_status ipc_fifo_opening_attempt(const ipc_fifo_opening *opening, int *out_fd);

/* ipc_fifo_opening_at_once is the open with a timeout that expires at once. */
ipc_status ipc_fifo_opening_at_once(const ipc_fifo_opening *opening, int *out_fd);

/* ipc_fifo_opened ends an open(2) that waited: |error| is its errno, |fd| its descriptor if that is 0, which is closed
 * if it is no FIFO after all. */
ipc_status ipc_fifo_opened(int error, int fd);

#endif /* REF_POSIX_FIFO_H */
