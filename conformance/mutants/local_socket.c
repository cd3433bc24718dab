/* local_socket.c - broken local sockets. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

enum { PATH_ROOM = 128, LONG_TRANSFER = 60000, HALF_WRITER = 1, HALF_READER = 2 };

/* waiting_bytes returns how many bytes can be read from |fd| now. */
static size_t waiting_bytes(int fd) {
  int num = 0;
  return ioctl(fd, FIONREAD, &num) == 0 && num > 0 ? (size_t)num : 0;
}

/* path_of writes the file path of a name, ended by NUL; false if it is no path. */
static bool path_of(const ipc_name *name, char out_path[PATH_ROOM]) {
  if (name->kind == IPC_NAME_NAMESPACED || name->len == 0 || name->len >= PATH_ROOM) return false;
  memcpy(out_path, name->data, name->len);
  out_path[name->len] = 0;
  return out_path[0] != 0;
}

static bool path_of_listener(ipc_listener *listener, char out_path[PATH_ROOM]) {
  size_t len = 0;
  if (ipc_listener_native(listener, out_path, PATH_ROOM - 1, &len).code != IPC_OK || len == 0) return false;
  out_path[len] = 0;
  return out_path[0] != 0;
}

static mode_t type_of(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 ? status.st_mode & S_IFMT : 0;
}

/* recoded returns |status|, but |to| where it is |from|. */
static ipc_status recoded(ipc_status status, int32_t from, int32_t to) {
  if (status.code == from) status.code = to;
  return status;
}

/* ------------------------------------------------------------------------------------------------ moving bytes */

static ipc_status writes_the_second_half_first(ipc_stream *stream, const void *data, size_t data_len,
                                               int64_t timeout_ms, size_t *out_len) {
  const size_t half = data_len / 2;
  size_t first = 0;
  if (data_len <= 1 << 20) return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  ipc_status status = ipc_stream_write(stream, (const char *)data + half, data_len - half, timeout_ms, &first);
  *out_len = first;
  if (status.code != IPC_OK) return status;
  status = ipc_stream_write(stream, data, half, timeout_ms, out_len);
  *out_len += first;
  return status;
}
REPLACES(stream_write, writes_the_second_half_first)

static ipc_status drops_what_does_not_fit(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                          size_t *out_len) {
  char rest[16];
  size_t num_rest = 0;
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  const size_t waiting = status.code == IPC_OK ? waiting_bytes(mutant_fd(stream)) : 0;
  if (waiting != 0 && waiting <= sizeof(rest)) ipc_stream_read(stream, rest, waiting, 0, &num_rest);
  return status;
}
REPLACES(stream_read, drops_what_does_not_fit)

static ipc_status fills_its_buffer(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                   size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  while (status.code == IPC_OK && data_max > 4096 && *out_len < data_max) {
    size_t more = 0;
    status = ipc_stream_read(stream, (char *)out_data + *out_len, data_max - *out_len, timeout_ms, &more);
    *out_len += more;
  }
  return recoded(status, IPC_END, *out_len != 0 ? IPC_OK : IPC_END);
}
REPLACES(stream_read, fills_its_buffer)

static ipc_status ends_at_an_empty_write(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                         size_t *out_len) {
  if (data_len == 0) shutdown(mutant_fd(stream), SHUT_WR);
  return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
}
REPLACES(stream_write, ends_at_an_empty_write)

/* An accepted stream is looked at once, when it is read first. */
static ipc_status accepts_to_look_once(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK) mutant_remember(*out_stream, 1);
  return status;
}
static ipc_status takes_a_late_writer_for_gone(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                               size_t *out_len) {
  const bool looks = mutant_recall(stream) == 1 && timeout_ms < 0;
  mutant_remember(stream, 0);
  *out_len = 0;
  if (looks && !mutant_ready(mutant_fd(stream), POLLIN)) return mutant_status(IPC_END);
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}
static void install_late_writer(ipc_table *table) {
  table->listener_accept = accepts_to_look_once;
  table->stream_read = takes_a_late_writer_for_gone;
}

static ipc_status fails_to_flush(ipc_stream *stream) {
  return recoded(ipc_stream_flush(stream), IPC_OK, IPC_UNSUPPORTED);
}
REPLACES(stream_flush, fails_to_flush)

static ipc_status writes_vectors_backwards(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers,
                                           int64_t timeout_ms, size_t *out_len) {
  ipc_const_buffer backwards[64];
  if (num_buffers > 64) return mutant_status(IPC_INVALID_ARGUMENT);
  for (size_t i = 0; i < num_buffers; i++) backwards[i] = buffers[num_buffers - 1 - i];
  return ipc_stream_write_vectored(stream, backwards, num_buffers, timeout_ms, out_len);
}
REPLACES(stream_write_vectored, writes_vectors_backwards)

static ipc_status reads_into_the_first_alone(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers,
                                             int64_t timeout_ms, size_t *out_len) {
  size_t len = 0;
  ipc_status status = ipc_stream_read(stream, buffers[0].data, buffers[0].len, timeout_ms, &len);
  for (size_t i = 0; i < num_buffers && status.code == IPC_OK; i++) *out_len = i == 0 ? len : *out_len + buffers[i].len;
  return status;
}
REPLACES(stream_read_vectored, reads_into_the_first_alone)

/* One lock a stream for both directions. */
static pthread_mutex_t direction_locks[251];
static pthread_once_t direction_locks_once = PTHREAD_ONCE_INIT;

static void make_direction_locks(void) {
  for (size_t i = 0; i < sizeof(direction_locks) / sizeof(direction_locks[0]); i++)
    pthread_mutex_init(&direction_locks[i], NULL);
}

static pthread_mutex_t *lock_of(const ipc_stream *stream) {
  pthread_once(&direction_locks_once, make_direction_locks);
  return &direction_locks[((uintptr_t)stream >> 4) % (sizeof(direction_locks) / sizeof(direction_locks[0]))];
}

static ipc_status reads_under_a_lock(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                     size_t *out_len) {
  pthread_mutex_lock(lock_of(stream));
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  pthread_mutex_unlock(lock_of(stream));
  return status;
}
static ipc_status writes_under_a_lock(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                      size_t *out_len) {
  pthread_mutex_lock(lock_of(stream));
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  pthread_mutex_unlock(lock_of(stream));
  return status;
}
static void install_one_lock(ipc_table *table) {
  table->stream_read = reads_under_a_lock;
  table->stream_write = writes_under_a_lock;
}

/* ---------------------------------------------------------------------------------------------------- the end */

static ipc_status ends_before_the_last_byte(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                            size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code != IPC_OK) return status;
  const uint64_t sum = mutant_recall(stream) + *out_len;
  const int fd = mutant_fd(stream);
  mutant_remember(stream, sum);
  if (sum < LONG_TRANSFER || !mutant_ready(fd, POLLHUP) || waiting_bytes(fd) != 0) return status;
  --*out_len;
  return recoded(status, IPC_OK, *out_len == 0 ? IPC_END : IPC_OK);
}
REPLACES(stream_read, ends_before_the_last_byte)

static ipc_status sees_the_hangup_first(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                        size_t *out_len) {
  const int fd = mutant_fd(stream);
  *out_len = 0;
  if (mutant_recall(stream) != 0) return mutant_status(IPC_END);
  if (fd >= 0 && mutant_ready(fd, POLLHUP) && waiting_bytes(fd) >= 4096) {
    mutant_remember(stream, 1);
    return mutant_status(IPC_END);
  }
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}
REPLACES(stream_read, sees_the_hangup_first)

static ipc_status says_the_end_once(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                    size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code != IPC_END) return status;
  mutant_remember(stream, mutant_recall(stream) + 1);
  return recoded(status, IPC_END, mutant_recall(stream) > 1 ? IPC_FAILED : IPC_END);
}
REPLACES(stream_read, says_the_end_once)

static ipc_status writes_to_nobody_with(int32_t code, ipc_stream *stream, const void *data, size_t data_len,
                                        int64_t timeout_ms, size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_BROKEN_PIPE && code == IPC_OK) *out_len = data_len;
  return recoded(status, IPC_BROKEN_PIPE, code);
}

static ipc_status ends_a_write_to_nobody(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                         size_t *out_len) {
  return writes_to_nobody_with(IPC_END, stream, data, data_len, timeout_ms, out_len);
}
REPLACES(stream_write, ends_a_write_to_nobody)

static ipc_status succeeds_to_write_to_nobody(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                              size_t *out_len) {
  return writes_to_nobody_with(IPC_OK, stream, data, data_len, timeout_ms, out_len);
}
REPLACES(stream_write, succeeds_to_write_to_nobody)

static ipc_status raises_sigpipe(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                 size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_BROKEN_PIPE) raise(SIGPIPE);
  return status;
}
REPLACES(stream_write, raises_sigpipe)

static ipc_status calls_a_reset_a_failure(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                          size_t *out_len) {
  return recoded(ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len), IPC_RESET, IPC_FAILED);
}
REPLACES(stream_read, calls_a_reset_a_failure)

/* --------------------------------------------------------------------------------------- listening, accepting */

/* client_left tells whether the other end is gone with nothing of it to be read. */
static bool client_left(ipc_stream *stream) {
  const int fd = mutant_fd(stream);
  return mutant_ready(fd, POLLHUP) && waiting_bytes(fd) == 0;
}

static ipc_status fails_if_the_client_left(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code != IPC_OK || !client_left(*out_stream)) return status;
  ipc_stream_free(*out_stream);
  *out_stream = NULL;
  return mutant_status(IPC_FAILED);
}
REPLACES(listener_accept, fails_if_the_client_left)

static ipc_status fails_for_ever_once_a_client_left(ipc_listener *listener, int64_t timeout_ms,
                                                    ipc_stream **out_stream) {
  ipc_status status = {.code = IPC_FAILED};
  if (mutant_recall(listener) == 0) status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK && mutant_ready(mutant_fd(*out_stream), POLLHUP)) mutant_remember(listener, 1);
  return status;
}
REPLACES(listener_accept, fails_for_ever_once_a_client_left)

static ipc_status accepts_forty_times(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  *out_stream = NULL;
  if (mutant_recall(listener) == 40) return mutant_status(IPC_OUT_OF_RESOURCES);
  mutant_remember(listener, mutant_recall(listener) + 1);
  return ipc_listener_accept(listener, timeout_ms, out_stream);
}
REPLACES(listener_accept, accepts_forty_times)

static ipc_status gives_up_after_twenty_that_left(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  *out_stream = NULL;
  if (mutant_recall(listener) == 20) return mutant_status(IPC_CLOSED);
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK && mutant_ready(mutant_fd(*out_stream), POLLHUP))
    mutant_remember(listener, mutant_recall(listener) + 1);
  return status;
}
REPLACES(listener_accept, gives_up_after_twenty_that_left)

static ipc_status goes_on_accepting_when_closed(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(listener_accept, goes_on_accepting_when_closed)

static ipc_status goes_on_reading_when_closed(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                              size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(stream_read, goes_on_reading_when_closed)

static ipc_status forgets_what_was_written(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                           size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_CANCELLED) *out_len = 0;
  return status;
}
REPLACES(stream_write, forgets_what_was_written)

/* A listener that is closed although somebody still holds its socket goes on listening for all to see. */
static ipc_status keeps_waiting_clients(ipc_listener *listener) {
  const int fd = mutant_listener_fd(listener);
  if (fd >= 0 && mutant_ready(fd, POLLIN)) fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return ipc_listener_close(listener);
}
REPLACES(listener_close, keeps_waiting_clients)

static ipc_status counts_accepts(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  mutant_remember(listener, 1);
  return ipc_listener_accept(listener, timeout_ms, out_stream);
}
static ipc_status closes_only_after_an_accept(ipc_listener *listener) {
  char path[PATH_ROOM];
  const int fd = mutant_listener_fd(listener);
  if (fd >= 0 && mutant_recall(listener) == 0 && !path_of_listener(listener, path)) fcntl(fd, F_DUPFD_CLOEXEC, 0);
  return ipc_listener_close(listener);
}
static void install_close_needs_an_accept(ipc_table *table) {
  table->listener_accept = counts_accepts;
  table->listener_close = closes_only_after_an_accept;
}

/* The listener remembers its last stream, and that, as long as it is not freed, that it is one. */
static ipc_status remembers_its_last_stream(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK) {
    mutant_remember(listener, (uint64_t)(uintptr_t)*out_stream);
    mutant_remember(*out_stream, 1);
  }
  return status;
}
static ipc_status ends_its_last_stream(ipc_listener *listener) {
  ipc_stream *stream = (ipc_stream *)(uintptr_t)mutant_recall(listener);
  if (stream != NULL && mutant_recall(stream) == 1) shutdown(mutant_fd(stream), SHUT_RDWR);
  return ipc_listener_close(listener);
}
static void install_streams_end_with_the_listener(ipc_table *table) {
  table->listener_accept = remembers_its_last_stream;
  table->listener_close = ends_its_last_stream;
}

/* The stream remembers the thread that made it. */
static uint64_t this_thread(void) {
  static _Thread_local char here;
  return (uint64_t)(uintptr_t)&here;
}
static ipc_status accepts_for_a_thread(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK) mutant_remember(*out_stream, this_thread());
  return status;
}
static ipc_status closes_in_its_own_thread_alone(ipc_stream *stream) {
  const uint64_t made_in = mutant_recall(stream);
  return made_in != 0 && made_in != this_thread() ? mutant_status(IPC_FAILED) : ipc_stream_close(stream);
}
static void install_closes_in_its_own_thread_alone(ipc_table *table) {
  table->listener_accept = accepts_for_a_thread;
  table->stream_close = closes_in_its_own_thread_alone;
}

/* ------------------------------------------------------------------------------------------------ names at work */

static ipc_status calls_a_missing_path_refused(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  return recoded(ipc_local_connect(name, timeout_ms, out_stream), IPC_NOT_FOUND, IPC_REFUSED);
}
REPLACES(local_connect, calls_a_missing_path_refused)

static ipc_status tries_for_a_while(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_local_connect(name, timeout_ms, out_stream);
  for (int i = 0; i < 50 && (status.code == IPC_NOT_FOUND || status.code == IPC_REFUSED); i++) {
    poll(NULL, 0, 10);
    status = ipc_local_connect(name, timeout_ms, out_stream);
  }
  return status;
}
REPLACES(local_connect, tries_for_a_while)

static ipc_status calls_a_stale_name_missing(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  char path[PATH_ROOM];
  ipc_status status = ipc_local_connect(name, timeout_ms, out_stream);
  return path_of(name, path) ? recoded(status, IPC_REFUSED, IPC_NOT_FOUND) : status;
}
REPLACES(local_connect, calls_a_stale_name_missing)

/* removes_first removes what has the path if it is of |type|, and listens. */
static ipc_status removes_first(mode_t type, const ipc_name *name, const ipc_local_listen_options *options,
                                ipc_listener **out_listener) {
  char path[PATH_ROOM];
  if (path_of(name, path) && type_of(path) == type) unlink(path);
  return ipc_local_listen(name, options, out_listener);
}

static ipc_status takes_over_live_sockets(const ipc_name *name, const ipc_local_listen_options *options,
                                          ipc_listener **out_listener) {
  return removes_first(options->flags & IPC_LISTEN_RECLAIM ? 0 : S_IFSOCK, name, options, out_listener);
}
REPLACES(local_listen, takes_over_live_sockets)

static ipc_status removes_files_first(const ipc_name *name, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  return removes_first(options->flags & IPC_LISTEN_RECLAIM ? 0 : S_IFREG, name, options, out_listener);
}
REPLACES(local_listen, removes_files_first)

static ipc_status reclaims_files(const ipc_name *name, const ipc_local_listen_options *options,
                                 ipc_listener **out_listener) {
  return removes_first(options->flags & IPC_LISTEN_RECLAIM ? S_IFREG : 0, name, options, out_listener);
}
REPLACES(local_listen, reclaims_files)

static ipc_status removes_before_it_probes(const ipc_name *name, const ipc_local_listen_options *options,
                                           ipc_listener **out_listener) {
  return removes_first(options->flags & IPC_LISTEN_RECLAIM ? S_IFSOCK : 0, name, options, out_listener);
}
REPLACES(local_listen, removes_before_it_probes)

static ipc_status probes_with_a_connection(const ipc_name *name, const ipc_local_listen_options *options,
                                           ipc_listener **out_listener) {
  ipc_stream *probe = NULL;
  if (options->flags & IPC_LISTEN_RECLAIM && ipc_local_connect(name, 0, &probe).code == IPC_OK) {
    ipc_stream_free(probe);
    return mutant_status(IPC_IN_USE);
  }
  return ipc_local_listen(name, options, out_listener);
}
REPLACES(local_listen, probes_with_a_connection)

static ipc_status loses_the_error(const ipc_name *name, const ipc_local_listen_options *options,
                                  ipc_listener **out_listener) {
  return recoded(ipc_local_listen(name, options, out_listener), IPC_IN_USE, IPC_FAILED);
}
REPLACES(local_listen, loses_the_error)

static ipc_status calls_a_file_in_use(const ipc_name *name, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  return recoded(ipc_local_listen(name, options, out_listener), IPC_ALREADY_EXISTS, IPC_IN_USE);
}
REPLACES(local_listen, calls_a_file_in_use)

/* follows_a_link listens where a symbolic link leads; a path that is none stays. */
static ipc_status follows_a_link(bool reclaiming, const ipc_name *name, const ipc_local_listen_options *options,
                                 ipc_listener **out_listener) {
  char path[PATH_ROOM], target[PATH_ROOM];
  const bool wanted = ((options->flags & IPC_LISTEN_RECLAIM) != 0) == reclaiming;
  const ssize_t len = wanted && path_of(name, path) ? readlink(path, target, sizeof(target)) : -1;
  const ipc_name led_to = {IPC_NAME_PATH, target, len > 0 ? (size_t)len : 0};
  return ipc_local_listen(len > 0 ? &led_to : name, options, out_listener);
}

static ipc_status listens_behind_a_link(const ipc_name *name, const ipc_local_listen_options *options,
                                        ipc_listener **out_listener) {
  return follows_a_link(false, name, options, out_listener);
}
REPLACES(local_listen, listens_behind_a_link)

static ipc_status reclaims_behind_a_link(const ipc_name *name, const ipc_local_listen_options *options,
                                         ipc_listener **out_listener) {
  return follows_a_link(true, name, options, out_listener);
}
REPLACES(local_listen, reclaims_behind_a_link)

static ipc_status makes_the_directory(const ipc_name *name, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  char path[PATH_ROOM];
  ipc_status status = ipc_local_listen(name, options, out_listener);
  if (status.code != IPC_NOT_FOUND || !path_of(name, path)) return status;
  *strrchr(path, '/') = 0;
  mkdir(path, 0700);
  return ipc_local_listen(name, options, out_listener);
}
REPLACES(local_listen, makes_the_directory)

static ipc_status calls_a_missing_directory_forbidden(const ipc_name *name, const ipc_local_listen_options *options,
                                                      ipc_listener **out_listener) {
  return recoded(ipc_local_listen(name, options, out_listener), IPC_NOT_FOUND, IPC_PERMISSION_DENIED);
}
REPLACES(local_listen, calls_a_missing_directory_forbidden)

static ipc_status leaves_its_file(const ipc_name *name, const ipc_local_listen_options *options,
                                  ipc_listener **out_listener) {
  ipc_local_listen_options keeping = *options;
  keeping.flags |= IPC_LISTEN_KEEP_NAME;
  return ipc_local_listen(name, &keeping, out_listener);
}
REPLACES(local_listen, leaves_its_file)

static ipc_status removes_what_has_its_name(ipc_listener *listener) {
  char path[PATH_ROOM];
  const bool has_path = path_of_listener(listener, path);
  ipc_status status = ipc_listener_close(listener);
  if (has_path && type_of(path) == S_IFREG) unlink(path);
  return status;
}
REPLACES(listener_close, removes_what_has_its_name)

static ipc_status adopts_as_its_own(const ipc_raw *raw, ipc_listener **out_listener) {
  ipc_status status = ipc_listener_adopt(raw, out_listener);
  if (status.code == IPC_OK) mutant_remember(*out_listener, 1);
  return status;
}
static ipc_status removes_an_adopted_name(ipc_listener *listener) {
  char path[PATH_ROOM];
  if (mutant_recall(listener) == 1 && path_of_listener(listener, path)) unlink(path);
  return ipc_listener_close(listener);
}
static void install_removes_an_adopted_name(ipc_table *table) {
  table->listener_adopt = adopts_as_its_own;
  table->listener_close = removes_an_adopted_name;
}

static ipc_status tells_an_adopted_name_short(ipc_listener *listener, void *out_native, size_t native_max,
                                              size_t *out_len) {
  ipc_status status = ipc_listener_native(listener, out_native, native_max, out_len);
  if (status.code == IPC_OK && mutant_recall(listener) == 1) --*out_len;
  return status;
}
static void install_tells_an_adopted_name_short(ipc_table *table) {
  table->listener_adopt = adopts_as_its_own;
  table->listener_native = tells_an_adopted_name_short;
}

static ipc_status tells_another_name_later(ipc_listener *listener, void *out_native, size_t native_max,
                                           size_t *out_len) {
  ipc_status status = ipc_listener_native(listener, out_native, native_max, out_len);
  if (status.code == IPC_OK && mutant_recall(listener) != 0 && *out_len < native_max)
    ((char *)out_native)[(*out_len)++] = 0;
  mutant_remember(listener, 1);
  return status;
}
REPLACES(listener_native, tells_another_name_later)

static ipc_status leaves_0666_to_the_umask(const ipc_name *name, const ipc_local_listen_options *options,
                                           ipc_listener **out_listener) {
  ipc_local_listen_options left = *options;
  char path[PATH_ROOM];
  ipc_status status = ipc_local_listen(name, options, out_listener);
  if (status.code == IPC_OK && left.flags & IPC_LISTEN_MODE && left.mode == 0666 && path_of(name, path)) {
    const mode_t mask = umask(0);
    umask(mask);
    chmod(path, 0666 & ~(mask != 0 ? mask : 022));
  }
  return status;
}
REPLACES(local_listen, leaves_0666_to_the_umask)

static ipc_status always_reclaims(const ipc_name *name, const ipc_local_listen_options *options,
                                  ipc_listener **out_listener) {
  ipc_local_listen_options reclaiming = *options;
  reclaiming.flags |= IPC_LISTEN_RECLAIM;
  return ipc_local_listen(name, &reclaiming, out_listener);
}
REPLACES(local_listen, always_reclaims)

static ipc_status never_reclaims(const ipc_name *name, const ipc_local_listen_options *options,
                                 ipc_listener **out_listener) {
  ipc_local_listen_options plain = *options;
  plain.flags &= ~(uint32_t)IPC_LISTEN_RECLAIM;
  return ipc_local_listen(name, &plain, out_listener);
}
REPLACES(local_listen, never_reclaims)

/* ------------------------------------------------------------------------------------------------ not waiting */

static ipc_status has_no_class_for_nobody_there(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  return recoded(ipc_listener_accept(listener, timeout_ms, out_stream), IPC_WOULD_BLOCK, IPC_FAILED);
}
REPLACES(listener_accept, has_no_class_for_nobody_there)

static ipc_status leaves_the_listener_waiting(ipc_listener *listener, bool nonblocking) {
  (void)nonblocking;
  return ipc_listener_set_nonblocking(listener, false);
}
REPLACES(listener_set_nonblocking, leaves_the_listener_waiting)

static ipc_status switches_and_remembers(ipc_listener *listener, bool nonblocking) {
  mutant_remember(listener, nonblocking);
  return ipc_listener_set_nonblocking(listener, nonblocking);
}
static ipc_status hands_its_mode_on(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK && mutant_recall(listener) != 0) ipc_stream_set_nonblocking(*out_stream, true);
  return status;
}
static void install_hands_its_mode_on(ipc_table *table) {
  table->listener_set_nonblocking = switches_and_remembers;
  table->listener_accept = hands_its_mode_on;
}

static ipc_status takes_nothing_for_the_end(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                            size_t *out_len) {
  return recoded(ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len), IPC_WOULD_BLOCK, IPC_END);
}
REPLACES(stream_read, takes_nothing_for_the_end)

static ipc_status always_waits_for_room(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                        size_t *out_len) {
  ipc_stream_set_nonblocking(stream, false);
  return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
}
REPLACES(stream_write, always_waits_for_room)

static ipc_status never_waits_again(ipc_stream *stream, bool nonblocking) {
  const uint64_t moves = mutant_recall(stream) + 1;
  mutant_remember(stream, moves);
  return ipc_stream_set_nonblocking(stream, nonblocking || moves > 1);
}
REPLACES(stream_set_nonblocking, never_waits_again)

/* ---------------------------------------------------------------------------------------------------- timeouts */

static ipc_status accepts_half_as_long(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  return ipc_listener_accept(listener, timeout_ms > 0 ? timeout_ms / 2 : timeout_ms, out_stream);
}
REPLACES(listener_accept, accepts_half_as_long)

static ipc_status calls_a_timeout_would_block(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                              size_t *out_len) {
  return recoded(ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len), IPC_TIMED_OUT, IPC_WOULD_BLOCK);
}
REPLACES(stream_read, calls_a_timeout_would_block)

static ipc_status reads_in_whole_seconds(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                         size_t *out_len) {
  const int64_t whole = timeout_ms > 0 ? (timeout_ms + 999) / 1000 * 1000 : timeout_ms;
  return ipc_stream_read(stream, out_data, data_max, whole, out_len);
}
REPLACES(stream_read, reads_in_whole_seconds)

static ipc_status forgets_what_was_written_in_time(ipc_stream *stream, const void *data, size_t data_len,
                                                   int64_t timeout_ms, size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_TIMED_OUT) *out_len = 0;
  return status;
}
REPLACES(stream_write, forgets_what_was_written_in_time)

static ipc_status begins_its_time_anew(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                       size_t *out_len) {
  ipc_status status = {.code = IPC_OK};
  size_t sum = 0;
  if (timeout_ms <= 0) return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  while (status.code == IPC_OK && sum < data_len) {
    const size_t piece = data_len - sum < 4096 ? data_len - sum : 4096;
    size_t len = 0;
    status = ipc_stream_write(stream, (const char *)data + sum, piece, timeout_ms, &len);
    sum += len;
    if (len == 0) break;
  }
  *out_len = sum;
  return status;
}
REPLACES(stream_write, begins_its_time_anew)

static ipc_status calls_a_full_backlog_exhausted(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_local_connect(name, 0, out_stream);
  if (status.code == IPC_TIMED_OUT && timeout_ms > 0) status.code = IPC_OUT_OF_RESOURCES;
  return status.code == IPC_TIMED_OUT ? ipc_local_connect(name, timeout_ms, out_stream) : status;
}
REPLACES(local_connect, calls_a_full_backlog_exhausted)

static ipc_status does_not_wait_for_the_backlog(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  return ipc_local_connect(name, timeout_ms > 0 ? 0 : timeout_ms, out_stream);
}
REPLACES(local_connect, does_not_wait_for_the_backlog)

static ipc_status takes_a_full_backlog_for_connected(const ipc_name *name, int64_t timeout_ms,
                                                     ipc_stream **out_stream) {
  int fds[2];
  ipc_status status = ipc_local_connect(name, timeout_ms > 0 ? 0 : timeout_ms, out_stream);
  if (status.code != IPC_TIMED_OUT || timeout_ms <= 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return status;
  fcntl(fds[0], F_SETFD, FD_CLOEXEC);
  const ipc_raw raw = {IPC_RAW_FD, (uint64_t)fds[0]};
  close(fds[1]);
  return ipc_stream_adopt(&raw, out_stream);
}
REPLACES(local_connect, takes_a_full_backlog_for_connected)

static ipc_status never_notices_room(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_local_connect(name, timeout_ms > 0 ? 0 : timeout_ms, out_stream);
  if (status.code == IPC_TIMED_OUT && timeout_ms > 0) poll(NULL, 0, (int)timeout_ms + 1);
  return status;
}
REPLACES(local_connect, never_notices_room)

/* ------------------------------------------------------------------------------- halves, handles, credentials */

static ipc_status marks_halves(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer) {
  ipc_status status = ipc_stream_split(stream, out_reader, out_writer);
  if (status.code == IPC_OK) {
    mutant_remember(*out_reader, HALF_READER);
    mutant_remember(*out_writer, HALF_WRITER);
  }
  return status;
}
static ipc_status ends_writing_with_the_half(ipc_stream *stream) {
  if (mutant_recall(stream) == HALF_WRITER) shutdown(mutant_fd(stream), SHUT_WR);
  return ipc_stream_close(stream);
}
static void install_ends_writing_with_the_half(ipc_table *table) {
  table->stream_split = marks_halves;
  table->stream_close = ends_writing_with_the_half;
}
static ipc_status ends_reading_with_the_half(ipc_stream *stream) {
  if (mutant_recall(stream) == HALF_READER) shutdown(mutant_fd(stream), SHUT_RD);
  return ipc_stream_close(stream);
}
static void install_ends_reading_with_the_half(ipc_table *table) {
  table->stream_split = marks_halves;
  table->stream_close = ends_reading_with_the_half;
}

static ipc_status reads_halves_of_one_lock(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                           size_t *out_len) {
  if (mutant_recall(stream) != HALF_READER) return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  pthread_mutex_lock(lock_of(NULL));
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  pthread_mutex_unlock(lock_of(NULL));
  return status;
}
static ipc_status writes_halves_of_one_lock(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                            size_t *out_len) {
  if (mutant_recall(stream) != HALF_WRITER) return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  pthread_mutex_lock(lock_of(NULL));
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  pthread_mutex_unlock(lock_of(NULL));
  return status;
}
static void install_halves_of_one_lock(ipc_table *table) {
  table->stream_split = marks_halves;
  table->stream_read = reads_halves_of_one_lock;
  table->stream_write = writes_halves_of_one_lock;
}

static ipc_status keeps_a_copy_of_what_it_releases(ipc_stream *stream, ipc_raw *out_raw) {
  ipc_status status = ipc_stream_release(stream, out_raw);
  if (status.code == IPC_OK) fcntl((int)out_raw->value, F_DUPFD_CLOEXEC, 0);
  return status;
}
REPLACES(stream_release, keeps_a_copy_of_what_it_releases)

static ipc_status lets_children_have_the_listener(const ipc_name *name, const ipc_local_listen_options *options,
                                                  ipc_listener **out_listener) {
  ipc_status status = ipc_local_listen(name, options, out_listener);
  if (status.code == IPC_OK) fcntl(mutant_listener_fd(*out_listener), F_SETFD, 0);
  return status;
}
REPLACES(local_listen, lets_children_have_the_listener)

static ipc_status lets_children_have_streams(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK) fcntl(mutant_fd(*out_stream), F_SETFD, 0);
  return status;
}
REPLACES(listener_accept, lets_children_have_streams)

static ipc_status tells_its_own_process(ipc_stream *stream, ipc_credentials *out_credentials) {
  ipc_status status = ipc_stream_peer_credentials(stream, out_credentials);
  if (status.code == IPC_OK) out_credentials->pid = (uint64_t)getpid();
  return status;
}
REPLACES(stream_peer_credentials, tells_its_own_process)

static ipc_status knows_no_process(ipc_stream *stream, ipc_credentials *out_credentials) {
  ipc_status status = ipc_stream_peer_credentials(stream, out_credentials);
  out_credentials->fields &= ~(uint32_t)IPC_CREDENTIALS_PID;
  return status;
}
REPLACES(stream_peer_credentials, knows_no_process)

static ipc_status knows_no_user(ipc_stream *stream, ipc_credentials *out_credentials) {
  ipc_status status = ipc_stream_peer_credentials(stream, out_credentials);
  out_credentials->fields &= IPC_CREDENTIALS_PID;
  return status;
}
REPLACES(stream_peer_credentials, knows_no_user)

static ipc_status looks_the_process_up(ipc_stream *stream, ipc_credentials *out_credentials) {
  ipc_status status = ipc_stream_peer_credentials(stream, out_credentials);
  if (status.code != IPC_OK || kill((pid_t)out_credentials->pid, 0) == 0 || errno != ESRCH) return status;
  return mutant_status(IPC_NO_SUCH_PROCESS);
}
REPLACES(stream_peer_credentials, looks_the_process_up)

/* The completion of a write that found no reader never comes. */
static ipc_status loses_completions_of_broken_writes(ipc_loop *loop, int64_t timeout_ms,
                                                     ipc_completion *out_completions, size_t completions_max,
                                                     size_t *out_num) {
  for (;;) {
    size_t kept = 0;
    ipc_status status = ipc_loop_wait(loop, timeout_ms, out_completions, completions_max, out_num);
    if (status.code != IPC_OK) return status;
    for (size_t i = 0; i < *out_num; i++) {
      const bool lost =
          out_completions[i].operation == IPC_SUBMIT_WRITE &&
          (out_completions[i].status.code == IPC_BROKEN_PIPE || out_completions[i].status.code == IPC_RESET);
      if (!lost) out_completions[kept++] = out_completions[i];
    }
    *out_num = kept;
    if (kept > 0) return status;
  }
}
REPLACES(loop_wait, loses_completions_of_broken_writes)

/* ------------------------------------------------------------------------------------------------ what stays behind */

static ipc_status keeps_a_descriptor_for_halves(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer) {
  ipc_status status = ipc_stream_split(stream, out_reader, out_writer);
  if (status.code == IPC_OK) (void)open("/dev/null", O_RDONLY | O_CLOEXEC);
  return status;
}
REPLACES(stream_split, keeps_a_descriptor_for_halves)

static ipc_status leaves_its_lock(const ipc_name *name, const ipc_local_listen_options *options,
                                  ipc_listener **out_listener) {
  static const char suffix[] = ".lock";
  char path[PATH_ROOM + sizeof suffix];
  if ((options->flags & IPC_LISTEN_RECLAIM) != 0 && path_of(name, path) && type_of(path) == S_IFSOCK) {
    memcpy(path + name->len, suffix, sizeof suffix);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) close(fd);
  }
  return ipc_local_listen(name, options, out_listener);
}
REPLACES(local_listen, leaves_its_lock)

static void *never_ends(void *unused) {
  (void)unused;
  mutant_wait_for_ever();
  return NULL;
}

static ipc_status leaves_a_thread_when_time_is_over(ipc_listener *listener, int64_t timeout_ms,
                                                    ipc_stream **out_stream) {
  pthread_t thread;
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_TIMED_OUT && pthread_create(&thread, NULL, never_ends, NULL) == 0) pthread_detach(thread);
  return status;
}
REPLACES(listener_accept, leaves_a_thread_when_time_is_over)

const mutant local_socket_mutants[] = {
    {"local_socket.halves_swapped", "writes the second half of a long write first",
     "LocalSocket.TransferFarBeyondTheBuffer", NULL, NULL, install_writes_the_second_half_first},
    {"local_socket.rest_dropped", "drops what a short read has no room for", "LocalSocket.ShortReadLeavesTheRest", NULL,
     NULL, install_drops_what_does_not_fit},
    {"local_socket.fills_buffer", "waits until a read's buffer is full", "LocalSocket.ReadReturnsWhatIsThere", NULL,
     NULL, install_fills_its_buffer},
    {"local_socket.empty_write_ends", "ends the stream at a write of no bytes", "LocalSocket.EmptyWriteIsNothing", NULL,
     NULL, install_ends_at_an_empty_write},
    {"local_socket.late_writer", "takes a writer for gone that has not written when it first looks (herdr#1279)",
     "LocalSocket.ReadWaitsForData", NULL, NULL, install_late_writer},
    {"local_socket.flush_fails", "says that a stream cannot be flushed (interprocess#58)", "LocalSocket.FlushIsNoError",
     NULL, NULL, install_fails_to_flush},
    {"local_socket.vector_backwards", "sends the buffers of a vectored write from the last to the first",
     "LocalSocket.VectoredWriteKeepsOrder", NULL, NULL, install_writes_vectors_backwards},
    {"local_socket.vector_first_alone", "fills the first buffer of a vectored read alone and counts all of them",
     "LocalSocket.VectoredReadFillsInOrder", NULL, NULL, install_reads_into_the_first_alone},
    {"local_socket.one_lock", "has one lock for both directions of a stream", "LocalSocket.BothDirectionsAtOnce", NULL,
     NULL, install_one_lock},
    {"local_socket.end_before_last_byte", "reports the end before the last byte (QTBUG-47683)",
     "LocalSocket.ReaderGetsEverythingWrittenBeforeClose", NULL, NULL, install_ends_before_the_last_byte},
    {"local_socket.hangup_first", "reports the end although there is something to be read (interprocess 1.x)",
     "LocalSocket.LastWordsAreReadable", NULL, NULL, install_sees_the_hangup_first},
    {"local_socket.end_once", "says the end once and fails afterwards (interprocess#93)", "LocalSocket.EndRepeats",
     NULL, NULL, install_says_the_end_once},
    {"local_socket.write_to_nobody_ends", "answers a write to nobody with an end (libuv#4562)",
     "LocalSocket.WriteAfterPeerClosedFails", NULL, NULL, install_ends_a_write_to_nobody},
    {"local_socket.write_to_nobody_succeeds", "answers a write to nobody with success (dotnet/runtime#77543)",
     "LocalSocket.WriteAfterPeerClosedFails", NULL, NULL, install_succeeds_to_write_to_nobody},
    {"local_socket.sigpipe", "raises SIGPIPE at a write to nobody (libuv#45)", "LocalSocket.WriteAfterPeerClosedFails",
     NULL, NULL, install_raises_sigpipe},
    {"local_socket.reset_is_failure", "has no class for a reset connection",
     "LocalSocket.UnreadDataAtCloseIsResetOrEnd", NULL, NULL, install_calls_a_reset_a_failure},
    {"local_socket.completion_lost", "never completes a write that found no reader (joyent/libuv#914)",
     "LocalSocket.WriteAfterPeerClosedFails", "server", "async", install_loses_completions_of_broken_writes},
    {"local_socket.client_that_left_fails", "fails to accept a client that has left again (socket2#631)",
     "LocalSocket.ClientThatLeftIsStillAccepted", NULL, NULL, install_fails_if_the_client_left},
    {"local_socket.client_that_left_stays", "fails every accept once a client has left (interprocess#86)",
     "LocalSocket.ClientThatLeftIsStillAccepted", NULL, NULL, install_fails_for_ever_once_a_client_left},
    {"local_socket.forty_accepts", "accepts forty clients and no more", "LocalSocket.ManyConnectionsInTurn", NULL, NULL,
     install_accepts_forty_times},
    {"local_socket.gives_up", "ends listening when many clients have left before they were accepted",
     "LocalSocket.ClientsThatLeftAreAcceptedAll", NULL, NULL, install_gives_up_after_twenty_that_left},
    {"local_socket.accept_not_woken", "does not end a waiting accept at close (corefx#24973, npipe#21)",
     "LocalSocket.CloseEndsAWaitingAccept", "path", NULL, install_goes_on_accepting_when_closed},
    {"local_socket.read_not_woken", "does not end a waiting read at close", "LocalSocket.CloseEndsAWaitingRead",
     "server", NULL, install_goes_on_reading_when_closed},
    {"local_socket.cancelled_length", "forgets what a write had placed when it is cancelled",
     "LocalSocket.CloseEndsAWaitingWrite", NULL, NULL, install_forgets_what_was_written},
    {"local_socket.close_keeps_clients", "does not close a listener with clients that wait (go-winio#85)",
     "LocalSocket.ListenerCloseEndsWaitingConnections", NULL, NULL, install_keeps_waiting_clients},
    {"local_socket.close_needs_accept", "does not close a listener that never accepted (go-winio#281)",
     "LocalSocket.CloseFreesTheNamespacedName", NULL, NULL, install_close_needs_an_accept},
    {"local_socket.streams_end_with_listener", "ends accepted streams with their listener (asyncio#320)",
     "LocalSocket.ListenerCloseLeavesAcceptedStreams", NULL, NULL, install_streams_end_with_the_listener},
    {"local_socket.own_thread_alone", "closes a stream in the thread that made it alone (interprocess#71)",
     "LocalSocket.CloseEndsAWaitingRead", "client", NULL, install_closes_in_its_own_thread_alone},
    {"local_socket.missing_is_refused", "calls a path that is not there refused", "LocalSocket.ConnectToNothingFails",
     "path", NULL, install_calls_a_missing_path_refused},
    {"local_socket.tries_for_a_while", "tries again for half a second to connect to nothing",
     "LocalSocket.ConnectToNothingFails", NULL, NULL, install_tries_for_a_while},
    {"local_socket.stale_is_missing", "calls a socket file that nobody listens on missing (interprocess#40)",
     "LocalSocket.ConnectToStaleNameIsRefused", NULL, NULL, install_calls_a_stale_name_missing},
    {"local_socket.second_listener", "takes a live name over (nanomsg#745)", "LocalSocket.SecondListenIsInUse", "path",
     NULL, install_takes_over_live_sockets},
    {"local_socket.error_lost", "loses the error of bind in its clean-up (resume-form-assistant-plugin#43)",
     "LocalSocket.SecondListenIsInUse", NULL, NULL, install_loses_the_error},
    {"local_socket.removes_files", "removes a regular file that has its name (nng#2317)",
     "LocalSocket.ListenOnRegularFileFails", NULL, NULL, install_removes_files_first},
    {"local_socket.file_is_in_use", "calls the name of a regular file in use",
     "LocalSocket.ListenOnRegularFileIsAlreadyExists", NULL, NULL, install_calls_a_file_in_use},
    {"local_socket.follows_link", "listens where a symbolic link leads", "LocalSocket.ListenDoesNotFollowALink", NULL,
     NULL, install_listens_behind_a_link},
    {"local_socket.makes_directory", "makes the directory that is missing", "LocalSocket.ListenInMissingDirectoryFails",
     NULL, NULL, install_makes_the_directory},
    {"local_socket.missing_is_forbidden", "calls a missing directory a matter of permission (node#64399)",
     "LocalSocket.MissingDirectoryIsNotFound", NULL, NULL, install_calls_a_missing_directory_forbidden},
    {"local_socket.leaves_file", "leaves its file at close (cpython#111246)", "LocalSocket.CloseFreesThePath", NULL,
     NULL, install_leaves_its_file},
    {"local_socket.removes_anothers", "removes at close whatever has its name (go#13877, sddm#2205)",
     "LocalSocket.CloseLeavesAnothersFile", NULL, NULL, install_removes_what_has_its_name},
    {"local_socket.removes_adopted", "removes the file of a listener that it was given (go#11826, cpython#133354)",
     "LocalSocket.AdoptedListenerLeavesItsFile", NULL, NULL, install_removes_an_adopted_name},
    {"local_socket.adopted_name_short",
     "tells the name of a listener that it was given without its last byte "
     "(rust#118925)",
     "LocalSocket.AdoptedListenerKnowsItsName", NULL, NULL, install_tells_an_adopted_name_short},
    {"local_socket.name_changes", "tells its name with a NUL behind it when it is asked again",
     "LocalSocket.ListenerReportsItsNativeName", NULL, NULL, install_tells_another_name_later},
    {"local_socket.umask", "leaves mode 0666 to the umask (interprocess e7a5273)", "LocalSocket.ModeIsExact", "0666",
     NULL, install_leaves_0666_to_the_umask},
    {"local_socket.always_reclaims", "takes a stale name over without being asked to",
     "LocalSocket.StaleNameIsInUseWithoutReclaim", NULL, NULL, install_always_reclaims},
    {"local_socket.never_reclaims", "does not take over a stale name when asked to (interprocess#40)",
     "LocalSocket.ReclaimTakesAStaleName", NULL, NULL, install_never_reclaims},
    {"local_socket.removes_before_probe",
     "removes a name before it looks whether somebody lives there "
     "(owncloud/client#2666)",
     "LocalSocket.ReclaimLeavesALiveName", NULL, NULL, install_removes_before_it_probes},
    {"local_socket.probe_in_queue", "leaves a connection in the queue of the listener that it probes",
     "LocalSocket.ReclaimLeavesALiveName", NULL, NULL, install_probes_with_a_connection},
    {"local_socket.reclaims_files", "takes over the name of a regular file (nng#2317)",
     "LocalSocket.ReclaimLeavesARegularFile", NULL, NULL, install_reclaims_files},
    {"local_socket.reclaims_behind_link", "takes over the stale name that a link leads to",
     "LocalSocket.ReclaimDoesNotFollowALink", NULL, NULL, install_reclaims_behind_a_link},
    {"local_socket.nobody_is_failure", "has no class for nobody there (interprocess#49)",
     "LocalSocket.AcceptWithoutWaitingWouldBlock", NULL, NULL, install_has_no_class_for_nobody_there},
    {"local_socket.nonblocking_accept_waits", "waits in accept although it should not (interprocess#22)",
     "LocalSocket.NonblockingListenerWouldBlock", NULL, NULL, install_leaves_the_listener_waiting},
    {"local_socket.mode_handed_on", "hands the listener's nonblocking mode to accepted streams",
     "LocalSocket.AcceptedStreamWaits", NULL, NULL, install_hands_its_mode_on},
    {"local_socket.nothing_is_end", "takes nothing to be read for the end", "LocalSocket.ReadWithoutWaitingWouldBlock",
     NULL, NULL, install_takes_nothing_for_the_end},
    {"local_socket.nonblocking_write_waits", "waits for room in a write that should not wait (mpv#2959)",
     "LocalSocket.WriteWithoutWaitingWouldBlock", "server", NULL, install_always_waits_for_room},
    {"local_socket.never_waits_again", "does not wait any more once it did not",
     "LocalSocket.SetNonblockingTakesEffectAtOnce", NULL, NULL, install_never_waits_again},
    {"local_socket.accept_too_early", "waits half its timeout in accept", "LocalSocket.AcceptTimesOut", NULL, NULL,
     install_accepts_half_as_long},
    {"local_socket.timeout_is_would_block", "answers a timeout as would_block", "LocalSocket.ReadTimesOut", NULL, NULL,
     install_calls_a_timeout_would_block},
    {"local_socket.whole_seconds", "rounds a read's timeout up to whole seconds", "LocalSocket.ReadTimesOut", NULL,
     NULL, install_reads_in_whole_seconds},
    {"local_socket.timed_out_length", "forgets what a write had placed when its time is over",
     "LocalSocket.WriteTimesOut", NULL, NULL, install_forgets_what_was_written_in_time},
    {"local_socket.timeout_anew", "begins a write's timeout anew with each part",
     "LocalSocket.RoomDoesNotProlongATimeout", NULL, NULL, install_begins_its_time_anew},
    {"local_socket.backlog_is_exhaustion", "calls a full backlog a lack of buffer space (asio#1014)",
     "LocalSocket.ConnectTimesOutWhenTheBacklogIsFull", NULL, NULL, install_calls_a_full_backlog_exhausted},
    {"local_socket.backlog_not_waited", "does not wait while the backlog is full (php-src#23669, curl#18748)",
     "LocalSocket.ConnectTimesOutWhenTheBacklogIsFull", NULL, NULL, install_does_not_wait_for_the_backlog},
    {"local_socket.backlog_is_connected", "takes a full backlog for a connection (interprocess 6618d48)",
     "LocalSocket.ConnectTimesOutWhenTheBacklogIsFull", NULL, NULL, install_takes_a_full_backlog_for_connected},
    {"local_socket.room_unnoticed", "waits for the backlog and does not notice when there is room",
     "LocalSocket.ConnectWaitsForRoomInTheBacklog", NULL, NULL, install_never_notices_room},
    {"local_socket.halves_one_lock", "has one lock for both halves of a stream", "LocalSocket.SplitHalvesWorkAtOnce",
     "server", NULL, install_halves_of_one_lock},
    {"local_socket.half_ends_writing", "ends the connection's direction with the writing half",
     "LocalSocket.ClosingTheWritingHalfKeepsTheConnection", NULL, NULL, install_ends_writing_with_the_half},
    {"local_socket.half_ends_reading", "ends the connection's direction with the reading half",
     "LocalSocket.ClosingTheReadingHalfKeepsTheConnection", NULL, NULL, install_ends_reading_with_the_half},
    {"local_socket.release_keeps_copy", "keeps a copy of the descriptor that it gives away",
     "LocalSocket.ReleasedStreamCanBeAdopted", NULL, NULL, install_keeps_a_copy_of_what_it_releases},
    {"local_socket.listener_inherited", "lets children inherit the listener", "LocalSocket.ChildHasNoListener", NULL,
     NULL, install_lets_children_have_the_listener},
    {"local_socket.stream_inherited", "lets children inherit accepted streams", "LocalSocket.StreamIsNotInherited",
     "server", NULL, install_lets_children_have_streams},
    {"local_socket.own_pid", "tells its own process for the other end's", "LocalSocket.ServerSeesWhoConnected", NULL,
     NULL, install_tells_its_own_process},
    {"local_socket.no_pid", "tells nobody's process (goodboy/tractor#418)", "LocalSocket.ClientSeesWhoListens", NULL,
     NULL, install_knows_no_process},
    {"local_socket.no_user", "tells no user of the other end (nix#1339)", "LocalSocket.ServerSeesWhichUserConnected",
     NULL, NULL, install_knows_no_user},
    {"local_socket.pid_looked_up", "looks the other end's process up when it is asked (interprocess 4641bad)",
     "LocalSocket.CredentialsSurviveThePeersEnd", NULL, NULL, install_looks_the_process_up},
    {"local_socket.descriptor_left", "keeps a descriptor for each stream that was split",
     "LocalSocket.SplitHalvesWorkAtOnce", "server", NULL, install_keeps_a_descriptor_for_halves},
    {"local_socket.file_left", "leaves its lock file behind when it takes over a stale name",
     "LocalSocket.ReclaimTakesAStaleName", NULL, NULL, install_leaves_its_lock},
    {"local_socket.thread_left", "leaves a thread behind when an accept has timed out", "LocalSocket.AcceptTimesOut",
     NULL, NULL, install_leaves_a_thread_when_time_is_over},
    {0},
};
