/* system.c - what ref/posix/ needs of macOS: no flag comes with a call that makes a descriptor, so fcntl(2) follows it.
 * A fork and exec of another thread in between inherits the descriptor; there is no way to prevent that.
 *
 * Written from the manual pages (unix(4), setsockopt(2), fcntl(2), pipe(2)) and the headers of the system; compiled,
 * and never run.
 */
#include "ref/posix/system.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <unistd.h>

#include "ref/bsd/bsd.h"
#include "ref/common/features.h"
#include "ref/common/platform.h"

const uint32_t ipc_platform_os = IPC_OS_MACOS;

const char *const ipc_platform_features[] = {
    IPC_COMMON_FEATURES,
    "lanes",
    "close_while_in_use",
#ifndef IPC_WITHOUT_NONBLOCKING
    "wait",
#endif
    "name.path",
    "local.listen.reclaim",
    "local.listen.mode",
    "local.listen.backlog",
    "listener.accept.timeout",
    "stream.read.timeout",
    "stream.write.timeout",
    "stream.duplex",
    "stream.peer_credentials.pid",
    "stream.peer_credentials.uid",
    "stream.peer_credentials.gid",
    "pipe.inherit",
    "ancillary.descriptors",
    "local.listen.keep_name",
    "local.listen.same_user",
    "stream.half_close",
    "stream.shutdown.read",
    "stream.read.concurrent",
    "socket.send.timeout",
    "socket.receive.timeout",
#ifndef IPC_WITHOUT_SIGNALS
    "signal.sender",
    "signal.child_stop",
    "watcher.next.timeout",
#endif
    NULL,
};

/* Older systems do not know MSG_NOSIGNAL, and let it pass: there SO_NOSIGPIPE alone is what keeps SIGPIPE away. */
#ifdef MSG_NOSIGNAL
const int ipc_system_send_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
#else
const int ipc_system_send_flags = MSG_DONTWAIT;
#endif
const int ipc_system_receive_flags = MSG_DONTWAIT;

static bool set_cloexec(int fd) { return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; }

/* The system refuses the option with EINVAL once the other end has gone. Such a connection is one like any other: its
 * bytes can be read. */
static bool set_quiet(int fd) {
  int on = 1;
  return setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) == 0 || errno == EINVAL;
}

int ipc_system_socket(int type, bool nonblocking) {
  int fd = socket(AF_UNIX, type, 0);
  if (fd < 0) return fd;
  bool done = set_cloexec(fd) && set_quiet(fd) && (!nonblocking || ipc_bsd_set_nonblocking(fd, true));
  return done ? fd : ipc_bsd_close_failed(fd);
}

/* An accepted socket has the listener's O_NONBLOCK. */
int ipc_system_accept(int listener) {
  int fd;
  do {
    fd = accept(listener, NULL, NULL);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  if (fd < 0) return fd;
  bool done = set_cloexec(fd) && set_quiet(fd) && ipc_bsd_set_nonblocking(fd, false);
  return done ? fd : ipc_bsd_close_failed(fd);
}

int ipc_system_pipe(int out_ends[2]) {
  if (pipe(out_ends) != 0) return errno;
  if (set_cloexec(out_ends[0]) && set_cloexec(out_ends[1])) return 0;
  int error = errno;
  (void)close(out_ends[0]);
  (void)close(out_ends[1]);
  return error;
}

int ipc_system_peer_credentials(int fd, ipc_credentials *out_credentials) {
  struct xucred peer;
  socklen_t len = sizeof peer;
  if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERCRED, &peer, &len) != 0) return errno;
  if (len != sizeof peer || peer.cr_version != XUCRED_VERSION || peer.cr_ngroups < 1) return EOPNOTSUPP;
  *out_credentials = (ipc_credentials){
      .fields = IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID, .uid = peer.cr_uid, .gid = peer.cr_groups[0]};
  pid_t pid = 0;
  len = sizeof pid;
  if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &len) == 0 && pid > 0) {
    out_credentials->fields |= IPC_CREDENTIALS_PID;
    out_credentials->pid = (uint64_t)pid;
  }
  return 0;
}
