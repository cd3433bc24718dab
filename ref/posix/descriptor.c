/* descriptor.c - checking and marking descriptors that come from outside. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#include "ref/common/platform.h"
#include "ref/posix/address.h"

/* The value of an option of the socket level, or -1 with errno. */
static int option_of(int fd, int option) {
  int value = -1;
  socklen_t len = sizeof value;
  return getsockopt(fd, SOL_SOCKET, option, &value, &len) == 0 ? value : -1;
}

static bool is_local(int fd) {
  ipc_address address = {.len = sizeof address.socket};
  return getsockname(fd, &address.socket.any, &address.len) == 0 && address.socket.any.sa_family == AF_UNIX;
}

/* True for a connected socket, also one whose other end has gone. */
static bool is_connected(int fd) {
  ipc_address address = {.len = sizeof address.socket};
  return getpeername(fd, &address.socket.any, &address.len) == 0;
}

static bool serves(int fd, ipc_descriptor_use use, int type) {
  bool listens = option_of(fd, SO_ACCEPTCONN) == 1;
  switch (use) {
    case IPC_USE_LISTENER:
      return (type == SOCK_STREAM || type == SOCK_SEQPACKET) && listens;
    case IPC_USE_STREAM:
      return type == SOCK_STREAM && !listens && is_connected(fd);
    case IPC_USE_SOCKET:
      return (type == SOCK_DGRAM || type == SOCK_SEQPACKET) && !listens;
  }
  return false;
}

ipc_status ipc_descriptor_check(const ipc_raw *raw, ipc_descriptor_use use, int *out_fd, int *out_type) {
  ipc_status status = {IPC_INVALID_ARGUMENT, 0};
  if (raw == NULL || raw->kind != IPC_RAW_FD || raw->value > INT_MAX) return status;
  int fd = (int)raw->value;
  errno = 0; /* what is no complaint of the system has no number */
  int type = option_of(fd, SO_TYPE);
  if (type < 0 || !is_local(fd) || !serves(fd, use, type)) return ipc_descriptor_refused(errno);
  *out_fd = fd;
  *out_type = type;
  status.code = IPC_OK;
  return status;
}

ipc_status ipc_descriptor_refused(int error) {
  ipc_status status = ipc_platform_status((uint32_t)error);
  if (status.code != IPC_OUT_OF_RESOURCES) status.code = IPC_INVALID_ARGUMENT;
  return status;
}

int ipc_descriptor_set_cloexec(int fd) {
  int flags = fcntl(fd, F_GETFD);
  return flags >= 0 && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == 0 ? 0 : errno;
}

ipc_raw ipc_descriptor_raw(int fd) {
  ipc_raw raw = {IPC_RAW_FD, (uint64_t)fd};
  return raw;
}
