/* descriptor.c - checking and marking descriptors that come from outside. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/socket.h>

#include "ref/common/platform.h"
#include "ref/posix/address.h"

static bool option_is(int fd, int option, int wanted) {
  int value = -1;
  socklen_t len = sizeof value;
  if (getsockopt(fd, SOL_SOCKET, option, &value, &len) != 0) return false;
  if (value == wanted) return true;
  errno = 0; /* the system did not complain */
  return false;
}

static bool is_local(int fd) {
  ipc_address address = {.len = sizeof address.socket};
  if (getsockname(fd, &address.socket.any, &address.len) != 0) return false;
  if (address.socket.any.sa_family == AF_UNIX) return true;
  errno = 0;
  return false;
}

/* True for a connected socket, also one whose other end has gone. */
static bool is_connected(int fd) {
  ipc_address address = {.len = sizeof address.socket};
  return getpeername(fd, &address.socket.any, &address.len) == 0;
}

ipc_status ipc_descriptor_check(const ipc_raw *raw, ipc_descriptor_use use, int *out_fd) {
  ipc_status status = {IPC_INVALID_ARGUMENT, 0};
  if (raw == NULL || raw->kind != IPC_RAW_FD || raw->value > INT_MAX) return status;
  int fd = (int)raw->value;
  bool listener = use == IPC_USE_LISTENER;
  if (!option_is(fd, SO_TYPE, SOCK_STREAM) || !is_local(fd) || !option_is(fd, SO_ACCEPTCONN, listener ? 1 : 0) ||
      (!listener && !is_connected(fd))) {
    return ipc_descriptor_refused(errno);
  }
  *out_fd = fd;
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
