/* fifo.c - broken FIFOs. */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

enum { PATH_ROOM = 4096 };

/* c_path writes |path| ended by NUL; false if it has no room. */
static bool c_path(const void *path, size_t path_len, char out_path[PATH_ROOM]) {
  if (path_len >= PATH_ROOM) return false;
  memcpy(out_path, path, path_len);
  out_path[path_len] = 0;
  return true;
}

static ipc_status leaves_the_mode_to_the_umask(const void *path, size_t path_len, uint32_t mode) {
  char file[PATH_ROOM];
  ipc_status status = ipc_fifo_create(path, path_len, mode);
  if (status.code == IPC_OK && c_path(path, path_len, file)) {
    const mode_t mask = umask(0);
    umask(mask);
    chmod(file, (mode_t)mode & ~(mask != 0 ? mask : 022));
  }
  return status;
}
REPLACES(fifo_create, leaves_the_mode_to_the_umask)

static ipc_status takes_what_is_there(const void *path, size_t path_len, uint32_t mode) {
  ipc_status status = ipc_fifo_create(path, path_len, mode);
  if (status.code == IPC_ALREADY_EXISTS) status.code = IPC_OK;
  return status;
}
REPLACES(fifo_create, takes_what_is_there)

static ipc_status calls_a_missing_directory_forbidden(const void *path, size_t path_len, uint32_t mode) {
  ipc_status status = ipc_fifo_create(path, path_len, mode);
  if (status.code == IPC_NOT_FOUND) status.code = IPC_PERMISSION_DENIED;
  return status;
}
REPLACES(fifo_create, calls_a_missing_directory_forbidden)

static ipc_status creates_up_to_the_nul(const void *path, size_t path_len, uint32_t mode) {
  const unsigned char *nul = path_len != 0 ? memchr(path, 0, path_len) : NULL;
  return ipc_fifo_create(path, nul != NULL ? (size_t)(nul - (const unsigned char *)path) : path_len, mode);
}
REPLACES(fifo_create, creates_up_to_the_nul)

static ipc_status takes_no_writer_yet_for_the_end(ipc_stream *stream, void *out_data, size_t data_max,
                                                  int64_t timeout_ms, size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_WOULD_BLOCK) status.code = IPC_END;
  return status;
}
REPLACES(stream_read, takes_no_writer_yet_for_the_end)

static ipc_status has_no_class_for_no_reader(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                             int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_fifo_open(path, path_len, direction, flags, timeout_ms, out_stream);
  if (status.code == IPC_WOULD_BLOCK) status.code = IPC_FAILED;
  return status;
}
REPLACES(fifo_open, has_no_class_for_no_reader)

static ipc_status opens_without_its_timeout(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                            int64_t timeout_ms, ipc_stream **out_stream) {
  const int64_t forgotten = timeout_ms > 0 ? timeout_ms * 50 : timeout_ms;
  return ipc_fifo_open(path, path_len, direction, flags, forgotten, out_stream);
}
REPLACES(fifo_open, opens_without_its_timeout)

static ipc_status leaves_a_reader_behind(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                         int64_t timeout_ms, ipc_stream **out_stream) {
  char file[PATH_ROOM];
  ipc_status status = ipc_fifo_open(path, path_len, direction, flags, timeout_ms, out_stream);
  if (status.code == IPC_TIMED_OUT && direction == IPC_FIFO_READ && c_path(path, path_len, file))
    open(file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  return status;
}
REPLACES(fifo_open, leaves_a_reader_behind)

static ipc_status ends_its_wait_by_opening(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                           int64_t timeout_ms, ipc_stream **out_stream) {
  char file[PATH_ROOM];
  ipc_status status = ipc_fifo_open(path, path_len, direction, flags, timeout_ms, out_stream);
  if (status.code == IPC_TIMED_OUT && c_path(path, path_len, file)) close(open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  return status;
}
REPLACES(fifo_open, ends_its_wait_by_opening)

static ipc_status never_learns_that_the_writer_left(ipc_stream *stream, void *out_data, size_t data_max,
                                                    int64_t timeout_ms, size_t *out_len) {
  const bool waits = !mutant_ready(mutant_fd(stream), POLLIN | POLLHUP);
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_END && waits) mutant_wait_for_ever();
  return status;
}
REPLACES(stream_read, never_learns_that_the_writer_left)

static ipc_status ends_for_ever(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                size_t *out_len) {
  *out_len = 0;
  if (mutant_recall(stream) != 0) return mutant_status(IPC_END);
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_END) mutant_remember(stream, 1);
  return status;
}
REPLACES(stream_read, ends_for_ever)

static ipc_status writes_to_nobody(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                   size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code != IPC_BROKEN_PIPE) return status;
  *out_len = data_len;
  return mutant_status(IPC_OK);
}
REPLACES(stream_write, writes_to_nobody)

static ipc_status calls_a_file_missing(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                       int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_fifo_open(path, path_len, direction, flags, timeout_ms, out_stream);
  if (status.code == IPC_REFUSED) status.code = IPC_NOT_FOUND;
  return status;
}
REPLACES(fifo_open, calls_a_file_missing)

static ipc_status makes_what_is_missing(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                        int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_fifo_open(path, path_len, direction, flags, timeout_ms, out_stream);
  if (status.code == IPC_NOT_FOUND) ipc_fifo_create(path, path_len, 0600);
  return status;
}
REPLACES(fifo_open, makes_what_is_missing)

static ipc_status removes_a_file(const void *path, size_t path_len) {
  char file[PATH_ROOM];
  struct stat found;
  const bool is_file = c_path(path, path_len, file) && lstat(file, &found) == 0 && S_ISREG(found.st_mode);
  return is_file && unlink(file) == 0 ? mutant_status(IPC_OK) : ipc_fifo_remove(path, path_len);
}
REPLACES(fifo_remove, removes_a_file)

static ipc_status removes_a_link(const void *path, size_t path_len) {
  char file[PATH_ROOM];
  struct stat found;
  const bool is_link = c_path(path, path_len, file) && lstat(file, &found) == 0 && S_ISLNK(found.st_mode);
  return is_link && unlink(file) == 0 ? mutant_status(IPC_OK) : ipc_fifo_remove(path, path_len);
}
REPLACES(fifo_remove, removes_a_link)

static ipc_status removes_what_is_not_there(const void *path, size_t path_len) {
  ipc_status status = ipc_fifo_remove(path, path_len);
  if (status.code == IPC_NOT_FOUND) status.code = IPC_OK;
  return status;
}
REPLACES(fifo_remove, removes_what_is_not_there)

static ipc_status lets_children_have_it(const void *path, size_t path_len, uint32_t direction, uint32_t flags,
                                        int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_fifo_open(path, path_len, direction, flags, timeout_ms, out_stream);
  if (status.code == IPC_OK) fcntl(mutant_fd(*out_stream), F_SETFD, 0);
  return status;
}
REPLACES(fifo_open, lets_children_have_it)

const mutant fifo_mutants[] = {
    {"fifo.umask", "leaves the mode of a FIFO to the umask", "Fifo.ModeIsExact", NULL, NULL,
     install_leaves_the_mode_to_the_umask},
    {"fifo.takes_what_is_there", "takes whatever is there for the FIFO that it should make",
     "Fifo.CreateLeavesWhatIsThere", NULL, NULL, install_takes_what_is_there},
    {"fifo.missing_is_forbidden", "calls a missing directory a matter of permission", "Fifo.CreateNeedsItsDirectory",
     NULL, NULL, install_calls_a_missing_directory_forbidden},
    {"fifo.cut_at_nul", "makes a FIFO of a path up to its first NUL", "Fifo.BadPathsAreInvalidNames", NULL, NULL,
     install_creates_up_to_the_nul},
    {"fifo.no_writer_is_end", "takes no writer yet for the end (eio#857)", "Fifo.ReaderOpensWithoutWaiting", NULL, NULL,
     install_takes_no_writer_yet_for_the_end},
    {"fifo.no_reader_is_failure", "has no class for no reader yet", "Fifo.WriterWithoutReaderWouldBlock", NULL, NULL,
     install_has_no_class_for_no_reader},
    {"fifo.open_late", "opens with fifty times the timeout (nagioscore#309)", "Fifo.OpenTimesOut", "read", NULL,
     install_opens_without_its_timeout},
    {"fifo.reader_left_behind", "leaves a reader behind when an open has timed out", "Fifo.TimedOutOpenLeavesNothing",
     NULL, NULL, install_leaves_a_reader_behind},
    {"fifo.wait_ended_by_opening", "opens both ends to end its own wait", "Fifo.TimedOutOpenReleasesNobodyElse", NULL,
     NULL, install_ends_its_wait_by_opening},
    {"fifo.end_unnoticed", "never tells a waiting read that the last writer left (bun#40099)",
     "Fifo.EndWhenTheLastWriterLeft", "server", NULL, install_never_learns_that_the_writer_left},
    {"fifo.end_for_ever", "reads nothing any more after an end", "Fifo.NewWriterRevivesTheReader", NULL, NULL,
     install_ends_for_ever},
    {"fifo.writes_to_nobody", "writes to nobody with success", "Fifo.WriteWithoutAReaderIsBrokenPipe", NULL, NULL,
     install_writes_to_nobody},
    {"fifo.file_is_missing", "calls a path missing that is no FIFO", "Fifo.OpenRefusesWhatIsNoFifo", NULL, NULL,
     install_calls_a_file_missing},
    {"fifo.makes_what_is_missing", "makes the FIFO that it should open", "Fifo.OpenRefusesWhatIsNoFifo", NULL, NULL,
     install_makes_what_is_missing},
    {"fifo.removes_files", "removes regular files", "Fifo.RemoveLeavesWhatIsNoFifo", NULL, NULL,
     install_removes_a_file},
    {"fifo.removes_links", "removes a link that leads to a FIFO", "Fifo.RemoveDoesNotFollowALink", NULL, NULL,
     install_removes_a_link},
    {"fifo.removed_again", "removes what is not there", "Fifo.RemoveTakesTheFile", NULL, NULL,
     install_removes_what_is_not_there},
    {"fifo.inherited", "lets children have what it opens", "Fifo.StreamIsNotInherited", NULL, NULL,
     install_lets_children_have_it},
    {0},
};
