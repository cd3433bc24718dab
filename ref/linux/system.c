/* system.c - what ref/posix/ needs of Linux: flags that come with the call, eventfd, SO_PEERCRED, waiting connects,
 * transfers that do not wait. */
#define _GNU_SOURCE

#include "ref/posix/system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ref/common/features.h"
#include "ref/common/platform.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100 /* Linux 6.18; an older one answers EOPNOTSUPP */
#endif

const uint32_t ipc_platform_os = IPC_OS_LINUX;

const char *const ipc_platform_features[] = {
    IPC_COMMON_FEATURES,
    "lanes",
    "close_while_in_use",
#ifndef IPC_WITHOUT_NONBLOCKING
    "wait",
#endif
    "name.path",
    "name.namespaced",
    "local.listen.reclaim",
    "local.listen.mode",
    "local.listen.backlog",
    "local.connect.timeout",
    "listener.accept.timeout",
    "stream.read.timeout",
    "stream.write.timeout",
    "stream.duplex",
    "stream.peer_credentials.pid",
    "stream.peer_credentials.uid",
    "stream.peer_credentials.gid",
    "pipe.inherit",
    "pipe.capacity",
    "fifo.open.timeout",
    "local.listen.keep_name",
    "local.listen.same_user",
    "stream.half_close",
    "stream.shutdown.read",
    "stream.read.concurrent",
    "unix.seqpacket",
    "unix.abstract",
    "unix.autobind",
    "socket.connect.timeout",
    "socket.send.timeout",
    "socket.receive.timeout",
    "socket.receive.needed",
    "socket.receive.whole",
    "ancillary.descriptors",
    "ancillary.credentials",
#ifndef IPC_WITHOUT_SIGNALS
    "signal.queue",
    "signal.sender",
    "signal.child_stop",
    "watcher.next.timeout",
#endif
    NULL,
};

const int ipc_system_send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
const int ipc_system_receive_flags = MSG_DONTWAIT;
const int ipc_system_directory_flags = O_PATH | O_DIRECTORY;
const short ipc_system_poll_end = POLLRDHUP;
const bool ipc_system_knows_peers = true;

/* For kernels and sandboxes that do not know the flags of a call: sets close-on-exec behind it, and closes |fd| if that
 * fails. Another thread's fork and exec in between inherits the descriptor; there is no way to prevent that then. */
static int with_cloexec(int fd) {
  if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static bool set_nonblocking(int fd, bool nonblocking) {
  int on = nonblocking ? 1 : 0;
  return ioctl(fd, FIONBIO, &on) == 0;
}

int ipc_system_socket(int type, bool nonblocking) {
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
  if (fd >= 0 || errno != EINVAL) return fd;
  fd = with_cloexec(socket(AF_UNIX, type, 0));
  if (fd < 0 || !nonblocking || set_nonblocking(fd, true)) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int ipc_system_accept(int listener) {
  int fd;
  do {
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0 && (errno == ENOSYS || errno == EINVAL)) fd = with_cloexec(accept(listener, NULL, NULL));
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return fd;
}

/* Waits in connect(2) for room in the backlog. SO_SNDTIMEO bounds that wait; the kernel counts it in ticks and may come
 * back a part of one early, so the deadline and not EAGAIN says when it is over. Interrupted, the kernel has done
 * nothing, and the next attempt gets what is left. */
static int connect_waiting(int fd, const struct sockaddr *address, socklen_t address_len, ipc_deadline *deadline) {
  for (;;) {
    int64_t left_ns = ipc_deadline_left(deadline);
    if (left_ns == 0) return ETIMEDOUT;
    if (left_ns != INT64_MAX) {
      int64_t left_us = left_ns / 1000 + 1; /* 0 would be for ever */
      struct timeval timeout = {.tv_sec = (time_t)(left_us / 1000000), .tv_usec = (suseconds_t)(left_us % 1000000)};
      if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0) return errno;
    }
    if (connect(fd, address, address_len) == 0) return 0;
    if (errno != EAGAIN && errno != EINTR) return errno;
  }
}

int ipc_system_connect(int fd, const struct sockaddr *address, socklen_t address_len, ipc_deadline *deadline) {
  if (deadline->timeout_ms < 0) return connect_waiting(fd, address, address_len, deadline);
  int error;
  do {
    error = connect(fd, address, address_len) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != 0 && error != EAGAIN) return error;
  if (!set_nonblocking(fd, false)) return errno;
  if (error == 0) return 0;

  error = connect_waiting(fd, address, address_len, deadline);
  if (error != 0) return error;
  /* The stream's own timeouts are another matter. */
  struct timeval none = {0, 0};
  return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none) == 0 ? 0 : errno;
}

/* Connects once, with O_NONBLOCK as |nonblocking| says; afterwards it is as it was. A listener's backlog and a signal
 * handler that ran are the only things that end a waiting attempt early. */
static int connect_once(int fd, const struct sockaddr *address, socklen_t address_len, bool nonblocking) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  bool was_nonblocking = (flags & O_NONBLOCK) != 0;
  if (was_nonblocking != nonblocking && !set_nonblocking(fd, nonblocking)) return errno;
  int error = connect(fd, address, address_len) == 0 ? 0 : errno;
  if (was_nonblocking != nonblocking) (void)set_nonblocking(fd, was_nonblocking);
  return error == EINTR ? EAGAIN : error;
}

int ipc_system_connect_now(int fd, const struct sockaddr *address, socklen_t address_len) {
  return connect_once(fd, address, address_len, true);
}

int ipc_system_connect_for(int fd, const struct sockaddr *address, socklen_t address_len, int64_t timeout_ms) {
  struct timeval timeout = {.tv_sec = (time_t)(timeout_ms / 1000), .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)};
  struct timeval before;
  socklen_t before_len = sizeof before;
  if (getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, &before_len) != 0) return errno;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout) != 0) return errno;
  int error = connect_once(fd, address, address_len, false);
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof before);
  return error;
}

bool ipc_system_has_input(int fd) {
  int num_bytes = 0;
  return ioctl(fd, FIONREAD, &num_bytes) == 0 && num_bytes > 0;
}

/* unix(7), "Autobind feature": an address of the family alone. */
int ipc_system_autobind(int fd) {
  struct sockaddr_storage family_alone = {.ss_family = AF_UNIX};
  return bind(fd, (const struct sockaddr *)&family_alone, sizeof(sa_family_t)) == 0 ? 0 : errno;
}

int ipc_system_wake_open(ipc_wake *out_wake) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  out_wake->wait = fd;
  out_wake->signal = fd;
  return fd < 0 ? errno : 0;
}

void ipc_system_wake_signal(const ipc_wake *wake) {
  /* Once in the life of the descriptor: the counter cannot overflow. */
  (void)eventfd_write(wake->signal, 1);
}

void ipc_system_wake_close(const ipc_wake *wake) { (void)close(wake->wait); }

int ipc_system_pipe(int out_ends[2]) { return pipe2(out_ends, O_CLOEXEC) == 0 ? 0 : errno; }

/* Beyond /proc/sys/fs/pipe-max-size an unprivileged process gets EPERM: then half of it, down to what the pipe has. */
void ipc_system_pipe_capacity(int fd, uint64_t bytes) {
  int wanted = bytes > INT_MAX ? INT_MAX : (int)bytes;
  int has = fcntl(fd, F_GETPIPE_SZ);
  if (has < 0) return;
  while (wanted > has && fcntl(fd, F_SETPIPE_SZ, wanted) < 0) wanted /= 2;
}

/* Whether the pipes of this kernel heed the flags of preadv2(2) and pwritev2(2): those of gVisor take no notice of
 * them, where Linux refuses what it does not know, and a transfer that must not wait would wait. Asked once in a
 * process, with a flag that nobody knows. Where there is no descriptor left to ask with, the answer is no, for now. */
static bool pipes_heed_flags(void) {
  enum { UNASKED, HEED, IGNORE };
  static _Atomic int known = UNASKED;
  int now = atomic_load_explicit(&known, memory_order_relaxed);
  if (now != UNASKED) return now == HEED;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const int unknown_flag = 1 << 30;
  struct iovec byte = {.iov_base = "", .iov_len = 1};
  now = pwritev2(ends[1], &byte, 1, -1, unknown_flag) < 0 ? HEED : IGNORE;
  (void)close(ends[0]);
  (void)close(ends[1]);
  atomic_store_explicit(&known, now, memory_order_relaxed);
  return now == HEED;
}

ssize_t ipc_system_read_now(int fd, const struct iovec *buffers, size_t num_buffers) {
  if (pipes_heed_flags()) return preadv2(fd, buffers, (int)num_buffers, -1, RWF_NOWAIT);
  errno = EOPNOTSUPP;
  return -1;
}

ssize_t ipc_system_write_now(int fd, const struct iovec *buffers, size_t num_buffers, bool now, bool quiet) {
  int flags = (now ? RWF_NOWAIT : 0) | (quiet ? RWF_NOSIGNAL : 0);
  if (flags == 0 || pipes_heed_flags()) return pwritev2(fd, buffers, (int)num_buffers, -1, flags);
  errno = EOPNOTSUPP;
  return -1;
}

/* tee(2) copies without consuming, and tells "nothing, and no writer" (0) from "nothing yet" (EAGAIN). */
int ipc_system_fifo_has_writer(int fd, bool *out_has) {
  int scratch[2];
  if (pipe2(scratch, O_CLOEXEC) != 0) return errno;
  ssize_t n;
  do {
    n = tee(fd, scratch[1], 1, SPLICE_F_NONBLOCK);
  } while (n < 0 && errno == EINTR);
  int error = n < 0 && errno != EAGAIN ? errno : 0;
  *out_has = n != 0;
  (void)close(scratch[0]);
  (void)close(scratch[1]);
  return error;
}

int ipc_system_peer_credentials(int fd, ipc_credentials *out_credentials) {
  struct ucred peer;
  socklen_t len = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) != 0) return errno;
  *out_credentials =
      (ipc_credentials){.fields = IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID, .uid = peer.uid, .gid = peer.gid};
  /* 0: the process lives in a PID namespace that this one cannot see. */
  if (peer.pid > 0) {
    out_credentials->fields |= IPC_CREDENTIALS_PID;
    out_credentials->pid = (uint64_t)peer.pid;
  }
  return 0;
}
