/* binding.c - giving a socket its name. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/binding.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/posix/system.h"

enum {
  KNOWN_FLAGS = IPC_LISTEN_RECLAIM | IPC_LISTEN_MODE | IPC_LISTEN_KEEP_NAME | IPC_LISTEN_SAME_USER,
  MODE_MAX = 0777,
  MODE_OF_THE_OWNER = 0700,
  BIND_ATTEMPTS = 8, /* each finds the name taken and then gone */
};

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

bool ipc_binding_options(const ipc_local_listen_options *given, ipc_local_listen_options *out_options) {
  *out_options = (ipc_local_listen_options){.size = sizeof *out_options};
  if (given == NULL) return true;
  if (!ipc_options_fit(given, given->size, sizeof *out_options)) return false;
  *out_options = *given;
  if ((out_options->flags & ~(uint32_t)KNOWN_FLAGS) != 0) return false;
  return (out_options->flags & IPC_LISTEN_MODE) == 0 || out_options->mode <= MODE_MAX;
}

ipc_status ipc_binding_address(const ipc_name *name, ipc_address *address, const ipc_address **out_bound_to) {
  *out_bound_to = NULL;
  if (name == NULL) return ipc_status_of(IPC_OK);
  *out_bound_to = address;
  return ipc_address_init(address, name);
}

/* Replaces a socket file that was left behind by |fd|'s. IPC_NOT_FOUND: it is gone, try again. */
static ipc_status bind_over_stale(int fd, const ipc_address *address, const ipc_place *place) {
  int lock;
  ipc_status status = ipc_socket_file_reclaim(address, place, &lock);
  if (status.code != IPC_OK) return status;
  if (bind(fd, &address->socket.any, address->len) != 0) status = from_errno();
  ipc_socket_file_unlock(lock);
  /* Somebody without the lock was faster: his name. */
  return status.code == IPC_IN_USE ? ipc_socket_file_occupied(place) : status;
}

/* Binds |fd| to a path. Who has the name is found out only after the system said that somebody has. */
static ipc_status bind_path(int fd, const ipc_address *address, const ipc_place *place, bool reclaim) {
  for (int attempt = 0; attempt < BIND_ATTEMPTS; attempt++) {
    if (bind(fd, &address->socket.any, address->len) == 0) return ipc_status_of(IPC_OK);
    if (errno != EADDRINUSE) return from_errno();
    ipc_status status = reclaim ? bind_over_stale(fd, address, place) : ipc_socket_file_occupied(place);
    if (status.native != ENOENT) return status;
  }
  return ipc_status_of(IPC_BUSY); /* others bind and remove the name all the time */
}

/* The bits that the file is to have. False: what the umask leaves. */
static bool wanted_mode(const ipc_local_listen_options *options, mode_t *out_mode) {
  bool has_mode = (options->flags & IPC_LISTEN_MODE) != 0;
  bool same_user = (options->flags & IPC_LISTEN_SAME_USER) != 0;
  *out_mode = has_mode ? (mode_t)options->mode : MODE_MAX;
  if (same_user) *out_mode &= MODE_OF_THE_OWNER;
  return has_mode || same_user;
}

/* Binds |fd| to the path at |place| and notes the file. The socket gets its bits before it is bound, so that the file
 * is at no moment more open than asked. Where a system cannot do that, the second step does it; until listen(2) nobody
 * can connect anyway. */
static ipc_status bind_at(int fd, const ipc_address *address, const ipc_place *place,
                          const ipc_local_listen_options *options, ipc_socket_file *file) {
  mode_t mode;
  bool has_mode = wanted_mode(options, &mode);
  if (has_mode) (void)fchmod(fd, mode);
  ipc_status status = bind_path(fd, address, place, (options->flags & IPC_LISTEN_RECLAIM) != 0);
  if (status.code != IPC_OK) {
    ipc_socket_file_forget(file);
    return status;
  }
  status = ipc_socket_file_identify(file, place);
  if (status.code != IPC_OK) {
    (void)unlinkat(place->directory, place->name, 0); /* made a moment ago; whose it is now nobody can say */
    ipc_socket_file_forget(file);
    return status;
  }
  if (has_mode) status = ipc_socket_file_set_mode(place, mode);
  if (status.code != IPC_OK) ipc_socket_file_remove(file);
  return status;
}

static ipc_status bind_to_path(int fd, const ipc_address *address, const ipc_local_listen_options *options,
                               ipc_socket_file *file) {
  const char *path = ipc_address_path(address);
  ipc_place place;
  int error = ipc_place_open(path, &place);
  if (error != 0) return ipc_platform_status((uint32_t)error);
  ipc_status status = ipc_socket_file_init(file, path);
  if (status.code == IPC_OK) status = bind_at(fd, address, &place, options, file);
  ipc_place_close(&place);
  return status;
}

/* A name without a file has no permissions: to accept a mode would be to promise a protection that is not there. There
 * is nothing to take over or to keep either. */
static ipc_status bind_without_file(int fd, const ipc_address *address, const ipc_local_listen_options *options) {
  if ((options->flags & IPC_LISTEN_MODE) != 0) return ipc_status_of(IPC_UNSUPPORTED);
  if (address == NULL) {
    int error = ipc_system_autobind(fd);
    return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
  }
  return bind(fd, &address->socket.any, address->len) == 0 ? ipc_status_of(IPC_OK) : from_errno();
}

ipc_status ipc_binding_bind(int fd, const ipc_address *address, const ipc_local_listen_options *options,
                            ipc_socket_file *out_file) {
  *out_file = (ipc_socket_file){.path = NULL};
  bool has_file = address != NULL && ipc_address_path(address) != NULL;
  return has_file ? bind_to_path(fd, address, options, out_file) : bind_without_file(fd, address, options);
}
