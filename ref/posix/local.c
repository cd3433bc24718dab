/* local.c - local sockets: listening on a name and connecting to one. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/local.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/address.h"
#include "ref/posix/listener.h"
#include "ref/posix/socket_file.h"
#include "ref/posix/stream.h"
#include "ref/posix/system.h"

enum {
  KNOWN_FLAGS = IPC_LISTEN_RECLAIM | IPC_LISTEN_MODE,
  MODE_MAX = 0777,
  OPTIONS_SIZE_MAX = 4096, /* of an options structure of any version to come */
  BIND_ATTEMPTS = 8,       /* each finds the name taken and then gone */
};

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

/* ----------------------------------------------------------------------------------------------- listen */

/* Copies what this version knows of |given|. False if there is something in it that this version does not: a newer
 * program that asks for nothing new has zeros there. */
static bool read_options(const ipc_local_listen_options *given, ipc_local_listen_options *out) {
  *out = (ipc_local_listen_options){.size = sizeof *out};
  if (given == NULL) return true;
  if (given->size < sizeof *out || given->size > OPTIONS_SIZE_MAX) return false;
  const unsigned char *bytes = (const unsigned char *)given;
  for (size_t i = sizeof *out; i < given->size; i++) {
    if (bytes[i] != 0) return false;
  }
  *out = *given;
  if ((out->flags & ~(uint32_t)KNOWN_FLAGS) != 0) return false;
  return (out->flags & IPC_LISTEN_MODE) == 0 || out->mode <= MODE_MAX;
}

/* Replaces a socket file that was left behind by |fd|'s. IPC_NOT_FOUND: it is gone, try again. */
static ipc_status bind_over_stale(int fd, const ipc_address *address) {
  int lock;
  ipc_status status = ipc_socket_file_reclaim(address, &lock);
  if (status.code != IPC_OK) return status;
  if (bind(fd, &address->socket.any, address->len) != 0) status = from_errno();
  ipc_socket_file_unlock(lock);
  /* Somebody without the lock was faster: his name. */
  return status.code == IPC_IN_USE ? ipc_socket_file_occupied(ipc_address_path(address)) : status;
}

/* Binds |fd|. Who has the name is found out only after the system said that somebody has. */
static ipc_status bind_name(int fd, const ipc_address *address, bool reclaim) {
  const char *path = ipc_address_path(address);
  for (int attempt = 0; attempt < BIND_ATTEMPTS; attempt++) {
    if (bind(fd, &address->socket.any, address->len) == 0) return ipc_status_of(IPC_OK);
    if (errno != EADDRINUSE || path == NULL) return from_errno();
    ipc_status status = reclaim ? bind_over_stale(fd, address) : ipc_socket_file_occupied(path);
    if (status.native != ENOENT) return status;
  }
  return ipc_status_of(IPC_BUSY); /* others bind and remove the name all the time */
}

/* Binds |fd| to a path and makes it listen, and notes the file. Until listen(2) nobody can connect: by then the file
 * has its bits. The socket gets them before it is bound, so that the file is at no moment more open than asked; where a
 * system cannot do that, the second step still does it in time. */
static ipc_status listen_on_path(int fd, const ipc_address *address, const ipc_local_listen_options *options,
                                 int backlog, ipc_socket_file *file) {
  bool has_mode = (options->flags & IPC_LISTEN_MODE) != 0;
  mode_t mode = (mode_t)options->mode;
  ipc_status status = ipc_socket_file_init(file, ipc_address_path(address));
  if (status.code != IPC_OK) return status;
  if (has_mode) (void)fchmod(fd, mode);
  status = bind_name(fd, address, (options->flags & IPC_LISTEN_RECLAIM) != 0);
  if (status.code == IPC_OK) status = ipc_socket_file_identify(file);
  if (status.code != IPC_OK) {
    ipc_socket_file_forget(file);
    return status;
  }
  if (has_mode) status = ipc_socket_file_set_mode(file, mode);
  if (status.code == IPC_OK && listen(fd, backlog) != 0) status = from_errno();
  if (status.code != IPC_OK) ipc_socket_file_remove(file);
  return status;
}

/* A name without a file has no permissions: to accept a mode would be to promise a protection that is not there. */
static ipc_status listen_without_file(int fd, const ipc_address *address, const ipc_local_listen_options *options,
                                      int backlog) {
  if ((options->flags & IPC_LISTEN_MODE) != 0) return ipc_status_of(IPC_UNSUPPORTED);
  if (bind(fd, &address->socket.any, address->len) != 0 || listen(fd, backlog) != 0) return from_errno();
  return ipc_status_of(IPC_OK);
}

static ipc_status listen_at(const ipc_address *address, const ipc_local_listen_options *options, int *out_fd,
                            ipc_socket_file *out_file) {
  int backlog = options->backlog == 0 ? SOMAXCONN : options->backlog > INT_MAX ? INT_MAX : (int)options->backlog;
  *out_file = (ipc_socket_file){.path = NULL};
  *out_fd = ipc_system_socket(SOCK_STREAM, true);
  if (*out_fd < 0) return from_errno();
  ipc_status status = ipc_address_path(address) != NULL ? listen_on_path(*out_fd, address, options, backlog, out_file)
                                                        : listen_without_file(*out_fd, address, options, backlog);
  if (status.code != IPC_OK) (void)close(*out_fd);
  return status;
}

ipc_status ipc_local_listen(const ipc_name *name, const ipc_local_listen_options *options,
                            ipc_listener **out_listener) {
  if (out_listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_listener = NULL;
  ipc_local_listen_options wanted;
  if (name == NULL || !read_options(options, &wanted)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address;
  ipc_listener *listener;
  ipc_status status = ipc_address_init(&address, name);
  if (status.code == IPC_OK) status = ipc_listener_prepare(&listener);
  if (status.code != IPC_OK) return status;
  int fd;
  ipc_socket_file file;
  status = listen_at(&address, &wanted, &fd, &file);
  if (status.code != IPC_OK) {
    ipc_listener_discard(listener);
    return status;
  }
  ipc_listener_own(listener, fd, &file);
  *out_listener = listener;
  return status;
}

/* ---------------------------------------------------------------------------------------------- connect */

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
