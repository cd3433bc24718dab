/* system.c - what ref/posix/ needs of FreeBSD: accept4(2), pipe2(2), flags of socket(2), MSG_NOSIGNAL, LOCAL_PEERCRED.
 *
 * Written from the manual pages (unix(4), accept(2), pipe(2), socket(2), send(2)) and the headers of the system;
 * compiled, and never run.
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

const uint32_t ipc_platform_os = IPC_OS_FREEBSD;

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
    "unix.seqpacket",
    "socket.send.timeout",
    "socket.receive.timeout",
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

int ipc_system_socket(int type, bool nonblocking) {
  return socket(AF_UNIX, type | SOCK_CLOEXEC | (nonblocking ? SOCK_NONBLOCK : 0), 0);
}

/* accept4(2) takes its flags from the call alone, not from the listener. */
int ipc_system_accept(int listener) {
  int fd;
  do {
    fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
  return fd;
}

int ipc_system_pipe(int out_ends[2]) { return pipe2(out_ends, O_CLOEXEC) == 0 ? 0 : errno; }

int ipc_system_peer_credentials(int fd, ipc_credentials *out_credentials) {
  struct xucred peer;
  socklen_t len = sizeof peer;
  if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERCRED, &peer, &len) != 0) return errno;
  if (len != sizeof peer || peer.cr_version != XUCRED_VERSION || peer.cr_ngroups < 1) return EOPNOTSUPP;
  *out_credentials =
      (ipc_credentials){.fields = IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID, .uid = peer.cr_uid, .gid = peer.cr_gid};
  if (peer.cr_pid > 0) { /* 0 before FreeBSD 13 */
    out_credentials->fields |= IPC_CREDENTIALS_PID;
    out_credentials->pid = (uint64_t)peer.cr_pid;
  }
  return 0;
}
