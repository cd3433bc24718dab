/* system.c - what ref/posix/ needs and macOS and FreeBSD do alike.
 *
 * Neither has a transfer that does not wait on a descriptor that waits, but for sockets; neither can end an open(2)
 * that waits without ending those of others; neither waits in connect(2) for room in a backlog.
 */
#include "ref/posix/system.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ref/bsd/bsd.h"

int ipc_bsd_close_failed(int fd) {
  int error = errno;
  (void)close(fd);
  errno = error;
  return -1;
}

bool ipc_bsd_set_nonblocking(int fd, bool nonblocking) {
  int on = nonblocking ? 1 : 0;
  return ioctl(fd, FIONBIO, &on) == 0;
}

/* A local socket's connect does not wait: a full backlog is ECONNREFUSED at once, as if nobody listened. Interrupted,
 * it has done its work or nothing (POSIX: a connection that goes on is EISCONN in the end). */
int ipc_system_connect(int fd, const struct sockaddr *address, socklen_t address_len, ipc_deadline *deadline) {
  bool interrupted = false;
  while (connect(fd, address, address_len) != 0) {
    if (errno == EISCONN && interrupted) break;
    if (errno != EINTR) return errno;
    interrupted = true;
  }
  if (deadline->timeout_ms < 0) return 0;
  return ipc_bsd_set_nonblocking(fd, false) ? 0 : errno;
}

/* ------------------------------------------------------------------------------------------------ waking */

/* A pipe of which neither end waits: however often it is signalled, one byte is enough. */
int ipc_system_wake_open(ipc_wake *out_wake) {
  int ends[2];
  int error = ipc_system_pipe(ends);
  if (error != 0) return error;
  if (!ipc_bsd_set_nonblocking(ends[0], true) || !ipc_bsd_set_nonblocking(ends[1], true)) {
    error = errno;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return error;
  }
  out_wake->wait = ends[0];
  out_wake->signal = ends[1];
  return 0;
}

void ipc_system_wake_signal(const ipc_wake *wake) {
  while (write(wake->signal, "", 1) < 0 && errno == EINTR) continue;
}

void ipc_system_wake_close(const ipc_wake *wake) {
  (void)close(wake->wait);
  (void)close(wake->signal);
}

/* ------------------------------------------------------------------------------------------------- pipes */

/* Both grow their pipes by themselves. */
void ipc_system_pipe_capacity(int fd, uint64_t bytes) {
  (void)fd;
  (void)bytes;
}

ssize_t ipc_system_read_now(int fd, const struct iovec *buffers, size_t num_buffers) {
  (void)fd;
  (void)buffers;
  (void)num_buffers;
  errno = EOPNOTSUPP;
  return -1;
}

ssize_t ipc_system_write_now(int fd, const struct iovec *buffers, size_t num_buffers, bool now, bool quiet) {
  if (!now && !quiet) return writev(fd, buffers, (int)num_buffers);
  errno = EOPNOTSUPP;
  return -1;
}

/* Bytes have had a writer. Without any, only a read tells a writer (EAGAIN) from none (0), and it may take what a
 * writer puts there in between. */
int ipc_system_fifo_has_writer(int fd, bool *out_has) {
  int num_bytes = 0;
  if (ioctl(fd, FIONREAD, &num_bytes) != 0) return errno;
  *out_has = num_bytes > 0;
  return *out_has ? 0 : EOPNOTSUPP;
}

int ipc_system_open_until(const char *path, int flags, ipc_deadline *deadline, int *out_fd) {
  (void)path;
  (void)flags;
  (void)deadline;
  (void)out_fd;
  return EOPNOTSUPP;
}
