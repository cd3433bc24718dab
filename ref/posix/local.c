/* local.c - local sockets: listening on a name and connecting to one. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/local.h"

#include <errno.h>
#include <unistd.h>

#include "ipc/unix.h"
#include "ref/common/platform.h"
#include "ref/posix/address.h"
#include "ref/posix/stream.h"
#include "ref/posix/system.h"

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

ipc_status ipc_local_listen(const ipc_name *name, const ipc_local_listen_options *options,
                            ipc_listener **out_listener) {
  if (out_listener != NULL) *out_listener = NULL;
  if (name == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT); /* to ipc_unix_listen it means something */
  return ipc_unix_listen(name, IPC_UNIX_STREAM, options, out_listener);
}

ipc_status ipc_local_connect_status(int error) {
  switch (error) {
    case ETIMEDOUT: /* said by the deadline, not by the system */
      return ipc_status_of(IPC_TIMED_OUT);
    case EAGAIN: /* no room, and no way to wait for it */
      return (ipc_status){IPC_BUSY, EAGAIN};
    default:
      return ipc_platform_status((uint32_t)error);
  }
}

static ipc_status connect_to(const ipc_address *address, int64_t timeout_ms, int *out_fd) {
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  *out_fd = ipc_system_socket(SOCK_STREAM, timeout_ms >= 0);
  if (*out_fd < 0) return from_errno();
  int error = ipc_system_connect(*out_fd, &address->socket.any, address->len, &deadline);
  if (error == 0) return ipc_status_of(IPC_OK);
  (void)close(*out_fd);
  return ipc_local_connect_status(error);
}

ipc_status ipc_local_connect_attempt(const ipc_address *address, int *out_fd) {
  ipc_status status = connect_to(address, 0, out_fd);
  return status.code == IPC_TIMED_OUT ? ipc_status_of(IPC_WOULD_BLOCK) : status;
}

ipc_status ipc_local_connect(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  if (out_stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_stream = NULL;
  if (name == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address;
  ipc_stream *stream;
  ipc_status status = ipc_address_init(&address, name);
  if (status.code == IPC_OK) status = ipc_stream_prepare(&ipc_transport_socket, DIRECTION_BOTH, &stream);
  if (status.code != IPC_OK) return status;
  int fd;
  status = connect_to(&address, timeout_ms, &fd);
  if (status.code != IPC_OK) {
    ipc_stream_discard(stream);
    return status;
  }
  ipc_stream_own(stream, fd);
  *out_stream = stream;
  return status;
}
