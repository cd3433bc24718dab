/* waiter.c - macOS and FreeBSD have no waiters: a thread has no table of descriptors of its own there, so an open that
 * is called off could not be told from one that has just succeeded. Their connects do not wait. */
#include "ref/posix/waiter.h"

#include <errno.h>

int ipc_waiter_open(const char *path, int flags, ipc_waiter **out_waiter) {
  (void)path;
  (void)flags;
  (void)out_waiter;
  return EOPNOTSUPP;
}

int ipc_waiter_connect(const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter) {
  (void)address;
  (void)address_len;
  (void)out_waiter;
  return EOPNOTSUPP;
}

int ipc_waiter_connect_socket(int fd, const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter) {
  (void)fd;
  return ipc_waiter_connect(address, address_len, out_waiter);
}

/* There is none to ask these about. */
int ipc_waiter_descriptor(const ipc_waiter *waiter) {
  (void)waiter;
  return -1;
}

bool ipc_waiter_has_ended(const ipc_waiter *waiter) {
  (void)waiter;
  return true;
}

int ipc_waiter_end(ipc_waiter *waiter, int *out_fd) {
  (void)waiter;
  (void)out_fd;
  return ECANCELED;
}
