/* socket_file.c - remembering, removing and replacing the files of bound paths. */
#include "ref/posix/extensions.h"

#include "ref/posix/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/system.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif

enum { MODE_BITS = 0777 };

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

/* -------------------------------------------------------------------------------- the file of a listener */

/* The directory that |path| is relative to: "" if it is absolute, or nobody can say. */
static void base_directory(const char *path, char *out, size_t out_max) {
  out[0] = '\0';
  if (path[0] != '/' && getcwd(out, out_max) == NULL) out[0] = '\0';
}

ipc_status ipc_socket_file_init(ipc_socket_file *file, const char *path) {
  char base[PATH_MAX];
  base_directory(path, base, sizeof base);
  size_t base_len = strlen(base);
  size_t path_len = strlen(path);
  *file = (ipc_socket_file){.path = malloc(base_len + 1 + path_len + 1)};
  if (file->path == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  char *end = file->path;
  if (base_len != 0) {
    memcpy(end, base, base_len);
    end[base_len] = '/';
    end += base_len + 1;
  }
  memcpy(end, path, path_len + 1);
  return ipc_status_of(IPC_OK);
}

void ipc_socket_file_forget(ipc_socket_file *file) {
  free(file->path);
  file->path = NULL;
}

ipc_status ipc_socket_file_identify(ipc_socket_file *file, const ipc_place *place) {
  struct stat found;
  if (fstatat(place->directory, place->name, &found, AT_SYMLINK_NOFOLLOW) != 0) return from_errno();
  file->owner = getpid();
  file->device = found.st_dev;
  file->inode = found.st_ino;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_socket_file_set_mode(const ipc_place *place, mode_t mode) {
  struct stat found;
  if (fstatat(place->directory, place->name, &found, AT_SYMLINK_NOFOLLOW) != 0) return from_errno();
  if ((found.st_mode & MODE_BITS) == mode) return ipc_status_of(IPC_OK);
  int changed = fchmodat(place->directory, place->name, mode, AT_SYMLINK_NOFOLLOW);
  return changed == 0 ? ipc_status_of(IPC_OK) : from_errno();
}

/* Removes |file| from |place| if it is there. */
static void remove_from(const ipc_place *place, const ipc_socket_file *file) {
  struct stat found;
  if (fstatat(place->directory, place->name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(found.st_mode) &&
      found.st_dev == file->device && found.st_ino == file->inode) {
    (void)unlinkat(place->directory, place->name, 0);
  }
}

void ipc_socket_file_remove(ipc_socket_file *file) {
  ipc_place place;
  if (file->path == NULL) return;
  if (getpid() == file->owner) {
    int error = ipc_place_open(file->path, &place);
    /* No descriptors left is when programs close what they have: a file left behind then would keep the next from
     * starting. */
    if (error == EMFILE || error == ENFILE) place = (ipc_place){AT_FDCWD, file->path};
    if (error == 0 || error == EMFILE || error == ENFILE) remove_from(&place, file);
    if (error == 0) ipc_place_close(&place);
  }
  ipc_socket_file_forget(file);
}

/* ------------------------------------------------------------------------------------ a name that is taken */

static ipc_status look_at(const ipc_place *place, struct stat *out_found) {
  if (fstatat(place->directory, place->name, out_found, AT_SYMLINK_NOFOLLOW) != 0) return from_errno();
  return ipc_status_of(S_ISSOCK(out_found->st_mode) ? IPC_OK : IPC_ALREADY_EXISTS);
}

ipc_status ipc_socket_file_occupied(const ipc_place *place) {
  struct stat found;
  ipc_status status = look_at(place, &found);
  if (status.code == IPC_OK) status = (ipc_status){IPC_IN_USE, EADDRINUSE};
  return status;
}

/* Finds out whether a process has a socket bound to |address| without its noticing: a datagram socket can be connected
 * to none but a datagram socket, and connecting those sends nothing. A stream socket answers EPROTOTYPE, whether it
 * listens already or is only bound; a file without a socket answers ECONNREFUSED. IPC_OK: nobody. */
static ipc_status probe(const ipc_address *address) {
  int fd = ipc_system_socket(SOCK_DGRAM, true);
  if (fd < 0) return from_errno();
  int error;
  do {
    error = connect(fd, &address->socket.any, address->len) == 0 ? 0 : errno;
  } while (error == EINTR);
  (void)close(fd);
  switch (error) {
    case ECONNREFUSED:
      return ipc_status_of(IPC_OK);
    case 0:
    case EPROTOTYPE:
    case EPERM: /* a datagram socket that talks to another one alone */
      return (ipc_status){IPC_IN_USE, EADDRINUSE};
    case EAGAIN: /* who answers so is there, and may be gone the next time */
      return (ipc_status){IPC_BUSY, EAGAIN};
    default:
      return ipc_platform_status((uint32_t)error);
  }
}

/* Locks the directory of |place|, so that all who reclaim a name in it, by whatever path, meet one lock. */
static ipc_status lock_directory(const ipc_place *place, int *out_lock) {
  int lock;
  do {
    lock = openat(place->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  } while (lock < 0 && errno == EINTR);
  if (lock < 0) return from_errno();
  int error;
  do {
    error = flock(lock, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  } while (error == EINTR);
  if (error != 0) {
    (void)close(lock);
    return error == EWOULDBLOCK ? (ipc_status){IPC_BUSY, EWOULDBLOCK} : ipc_platform_status((uint32_t)error);
  }
  *out_lock = lock;
  return ipc_status_of(IPC_OK);
}

void ipc_socket_file_unlock(int lock) {
  /* Closing is not enough: a child that another thread is about to start may hold a copy until its exec. */
  (void)flock(lock, LOCK_UN);
  (void)close(lock);
}

/* Inode numbers are reused; the time of the last change tells a reused one. */
static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
         a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* With the lock held: removes the file that |before| describes if it is still there and nobody is behind it. */
static ipc_status remove_stale(const ipc_address *address, const ipc_place *place, const struct stat *before) {
  struct stat now;
  ipc_status status = probe(address);
  if (status.code == IPC_OK) status = look_at(place, &now);
  if (status.code != IPC_OK) return status;
  if (!same_file(before, &now)) return ipc_status_of(IPC_BUSY);
  return unlinkat(place->directory, place->name, 0) == 0 ? status : from_errno();
}

ipc_status ipc_socket_file_reclaim(const ipc_address *address, const ipc_place *place, int *out_lock) {
  struct stat before;
  /* Most names that are taken are taken by the living: no lock for them. */
  ipc_status status = look_at(place, &before);
  if (status.code == IPC_OK) status = probe(address);
  if (status.code == IPC_OK) status = lock_directory(place, out_lock);
  if (status.code != IPC_OK) return status;
  status = remove_stale(address, place, &before);
  if (status.code != IPC_OK) ipc_socket_file_unlock(*out_lock);
  return status;
}
