/* fifo.c - FIFO files: making, opening, removing.
 *
 * The description that an open makes is this library's alone until it is released, so it is nonblocking from then on,
 * and transfers on it need no other way not to wait (pipe.c).
 */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/fifo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/pipe.h"
#include "ref/posix/system.h"
#include "ref/posix/trusted_path.h"

enum { MODE_MAX = 0777, MODE_BITS = 07777 };

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

static ipc_status path_init(char out[PATH_MAX], const void *path, size_t path_len) {
  if (path == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (path_len == 0 || memchr(path, 0, path_len) != NULL) return ipc_status_of(IPC_INVALID_NAME);
  if (path_len >= PATH_MAX) return ipc_status_of(IPC_NAME_TOO_LONG);
  memcpy(out, path, path_len);
  out[path_len] = '\0';
  return ipc_status_of(IPC_OK);
}

/* --------------------------------------------------------------------------------------- create, remove */

/* Gives the FIFO just made the bits that the umask took from it. */
static ipc_status complete_mode(const ipc_place *place, mode_t mode) {
  struct stat found;
  if (fstatat(place->directory, place->name, &found, AT_SYMLINK_NOFOLLOW) != 0) return from_errno();
  if (!S_ISFIFO(found.st_mode) || (found.st_mode & MODE_BITS) == mode) return ipc_status_of(IPC_OK);
  int changed = fchmodat(place->directory, place->name, mode, AT_SYMLINK_NOFOLLOW);
  return changed == 0 ? ipc_status_of(IPC_OK) : from_errno();
}

static ipc_status create_at(const ipc_place *place, mode_t mode) {
  if (mkfifoat(place->directory, place->name, mode) != 0) return from_errno();
  ipc_status status = complete_mode(place, mode);
  if (status.code != IPC_OK) (void)unlinkat(place->directory, place->name, 0);
  return status;
}

ipc_status ipc_fifo_create(const void *path, size_t path_len, uint32_t mode) {
  char name[PATH_MAX];
  ipc_place place;
  if (mode > MODE_MAX) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = path_init(name, path, path_len);
  if (status.code != IPC_OK) return status;
  int error = ipc_place_open(name, &place);
  if (error != 0) return ipc_platform_status((uint32_t)error);
  status = create_at(&place, (mode_t)mode);
  ipc_place_close(&place);
  return status;
}

/* Look and removal happen in one opened directory: nothing is removed from another that takes its name in between. */
static ipc_status remove_at(const ipc_place *place) {
  struct stat found;
  if (fstatat(place->directory, place->name, &found, AT_SYMLINK_NOFOLLOW) != 0) return from_errno();
  if (!S_ISFIFO(found.st_mode)) return ipc_status_of(IPC_REFUSED);
  return unlinkat(place->directory, place->name, 0) == 0 ? ipc_status_of(IPC_OK) : from_errno();
}

ipc_status ipc_fifo_remove(const void *path, size_t path_len) {
  char name[PATH_MAX];
  ipc_place place;
  ipc_status status = path_init(name, path, path_len);
  if (status.code != IPC_OK) return status;
  int error = ipc_place_open(name, &place);
  if (error != 0) return ipc_platform_status((uint32_t)error);
  status = remove_at(&place);
  ipc_place_close(&place);
  return status;
}

/* ------------------------------------------------------------------------------------------------- open */

/* open(2), however often a signal handler interrupts it. errno. */
static int open_plain(const char *path, int flags, int *out_fd) {
  do {
    *out_fd = open(path, flags);
  } while (*out_fd < 0 && errno == EINTR);
  return *out_fd >= 0 ? 0 : errno;
}

/* A reading end, if there is a writer now. errno, ETIMEDOUT if there is none. */
static int open_reader_now(const char *path, int flags, int *out_fd) {
  int error = open_plain(path, flags | O_NONBLOCK, out_fd);
  if (error != 0) return error;
  bool has_writer;
  error = ipc_system_fifo_has_writer(*out_fd, &has_writer);
  if (error == 0 && !has_writer) error = ETIMEDOUT;
  if (error != 0) (void)close(*out_fd);
  return error;
}

/* A writing end waits only if an attempt finds no reader; a reading end always finds out by waiting, but for a timeout
 * that expires at once. */
static int open_until(const char *path, int flags, int64_t timeout_ms, int *out_fd) {
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  if ((flags & O_ACCMODE) == O_WRONLY) {
    int error = open_plain(path, flags | O_NONBLOCK, out_fd);
    if (error != ENXIO) return error;
    if (timeout_ms == 0) return ETIMEDOUT;
  } else if (timeout_ms == 0) {
    return open_reader_now(path, flags, out_fd);
  }
  return ipc_system_open_until(path, flags, &deadline, out_fd);
}

/* Makes sure, now that nobody can put something else there, that |fd| is a FIFO, and makes it nonblocking. */
static ipc_status make_own(int fd) {
  struct stat found;
  if (fstat(fd, &found) != 0) return from_errno();
  if (!S_ISFIFO(found.st_mode)) return ipc_status_of(IPC_REFUSED);
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return from_errno();
  if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return from_errno();
  return ipc_status_of(IPC_OK);
}

/* The look before keeps devices and files from being opened at all. */
static ipc_status look(const ipc_fifo_opening *opening) {
  struct stat found;
  int error = ipc_trusted_path_check(opening->path);
  if (error != 0) return ipc_platform_status((uint32_t)error);
  if (stat(opening->path, &found) != 0) return from_errno();
  return ipc_status_of(S_ISFIFO(found.st_mode) ? IPC_OK : IPC_REFUSED);
}

ipc_status ipc_fifo_opened(int error, int fd) {
  if (error != 0) return ipc_platform_status((uint32_t)error);
  ipc_status status = make_own(fd);
  if (status.code != IPC_OK) (void)close(fd);
  return status;
}

ipc_status ipc_fifo_opening_init(ipc_fifo_opening *opening, const void *path, size_t path_len, uint32_t direction,
                                 uint32_t flags) {
  if ((direction != IPC_FIFO_READ && direction != IPC_FIFO_WRITE) || (flags & ~(uint32_t)IPC_FIFO_NO_WAIT) != 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  opening->flags = (direction == IPC_FIFO_READ ? O_RDONLY : O_WRONLY) | O_CLOEXEC | O_NOCTTY;
  opening->no_wait = (flags & IPC_FIFO_NO_WAIT) != 0;
  return path_init(opening->path, path, path_len);
}

ipc_status ipc_fifo_opening_attempt(const ipc_fifo_opening *opening, int *out_fd) {
  ipc_status status = look(opening);
  if (status.code != IPC_OK) return status;
  if (!opening->no_wait && (opening->flags & O_ACCMODE) == O_RDONLY) return ipc_status_of(IPC_WOULD_BLOCK);
  int error = open_plain(opening->path, opening->flags | O_NONBLOCK, out_fd);
  return error == ENXIO ? (ipc_status){IPC_WOULD_BLOCK, ENXIO} : ipc_fifo_opened(error, *out_fd);
}

ipc_status ipc_fifo_opening_at_once(const ipc_fifo_opening *opening, int *out_fd) {
  ipc_status status = look(opening);
  if (status.code != IPC_OK) return status;
  int error = open_until(opening->path, opening->flags, 0, out_fd);
  return ipc_fifo_opened(error, *out_fd);
}

static ipc_status open_end(const ipc_fifo_opening *opening, int64_t timeout_ms, int *out_fd) {
  if (opening->no_wait) return ipc_fifo_opening_attempt(opening, out_fd);
  ipc_status status = look(opening);
  if (status.code != IPC_OK) return status;
  int error = timeout_ms < 0 ? open_plain(opening->path, opening->flags, out_fd)
                             : open_until(opening->path, opening->flags, timeout_ms, out_fd);
  return ipc_fifo_opened(error, *out_fd);
}

ipc_status ipc_fifo_open(const void *path, size_t path_len, uint32_t direction, uint32_t flags, int64_t timeout_ms,
                         ipc_stream **out_stream) {
  if (out_stream != NULL) *out_stream = NULL;
  if (out_stream == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_fifo_opening opening;
  ipc_stream *stream;
  ipc_status status = ipc_fifo_opening_init(&opening, path, path_len, direction, flags);
  if (status.code != IPC_OK) return status;
  uint32_t end = direction == IPC_FIFO_READ ? DIRECTION_READ : DIRECTION_WRITE;
  status = ipc_stream_prepare(&ipc_transport_own_pipe, end, &stream);
  if (status.code != IPC_OK) return status;
  int fd = -1;
  status = open_end(&opening, timeout_ms, &fd);
  if (status.code != IPC_OK) {
    ipc_stream_discard(stream);
    return status;
  }
  ipc_stream_own(stream, fd);
  *out_stream = stream;
  return status;
}
