/* unix.c - listening on Unix domain sockets of every type that has connections; local sockets are the streams among
 * them. */
#define _POSIX_C_SOURCE 200809L

#include "ipc/unix.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/binding.h"
#include "ref/posix/listener.h"
#include "ref/posix/system.h"

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

static ipc_status listen_at(int fd, const ipc_address *address, const ipc_local_listen_options *options,
                            ipc_socket_file *file) {
  int backlog = options->backlog == 0 ? SOMAXCONN : options->backlog > INT_MAX ? INT_MAX : (int)options->backlog;
  ipc_status status = ipc_binding_bind(fd, address, options, file);
  if (status.code == IPC_OK && listen(fd, backlog) != 0) {
    status = from_errno();
    ipc_socket_file_remove(file);
  }
  return status;
}

/* Makes a listening socket. |address| NULL: the system chooses the name. */
static ipc_status make_listener(int type, const ipc_address *address, const ipc_local_listen_options *options,
                                ipc_listener **out_listener) {
  ipc_listener *listener;
  ipc_status status = ipc_listener_prepare(type, &listener);
  if (status.code != IPC_OK) return status;
  ipc_socket_file file;
  int fd = ipc_system_socket(type, true);
  status = fd < 0 ? from_errno() : listen_at(fd, address, options, &file);
  if (status.code != IPC_OK) {
    if (fd >= 0) (void)close(fd);
    ipc_listener_discard(listener);
    return status;
  }
  if ((options->flags & IPC_LISTEN_KEEP_NAME) != 0) ipc_socket_file_forget(&file);
  if ((options->flags & IPC_LISTEN_SAME_USER) != 0) ipc_listener_restrict(listener);
  ipc_listener_own(listener, fd, &file);
  *out_listener = listener;
  return status;
}

ipc_status ipc_unix_listen(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                           ipc_listener **out_listener) {
  if (out_listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_listener = NULL;
  ipc_local_listen_options wanted;
  if ((type != IPC_UNIX_STREAM && type != IPC_UNIX_SEQPACKET) || !ipc_binding_options(options, &wanted)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_address address;
  const ipc_address *bound_to;
  ipc_status status = ipc_binding_address(name, &address, &bound_to);
  if (status.code != IPC_OK) return status;
  if ((wanted.flags & IPC_LISTEN_SAME_USER) != 0 && !ipc_system_knows_peers) return ipc_status_of(IPC_UNSUPPORTED);
  return make_listener(type == IPC_UNIX_STREAM ? SOCK_STREAM : SOCK_SEQPACKET, bound_to, &wanted, out_listener);
}
