/* pipe.c - unnamed pipes, and attempts on pipes of every kind that neither wait nor raise SIGPIPE.
 *
 * read(2) and write(2) have no flag for either. Whether they wait is a matter of O_NONBLOCK, which belongs to the open
 * file description: children that got an end as their standard input share it, and break when it is set. So it stays
 * clear on everything that may be shared, and the attempt asks the system for a transfer that does not wait (Linux:
 * RWF_NOWAIT, since 6.5 for pipes). The ways, from the best; a channel notes in `lacks` what its descriptor turned out
 * not to know, and does not ask again:
 *
 * 1. One call that neither waits nor raises (Linux 6.18: RWF_NOSIGNAL).
 * 2. It does not know how not to raise: SIGPIPE is blocked in this thread around the call, and the one that the call
 *    left pending is taken back. Two calls more. There is no cheaper way: to look first whether a reader is there says
 *    nothing about the moment of the write.
 * 3. It does not know how not to wait (older systems; on Linux also FIFO files): a look with poll(2), then a transfer
 *    that fits what the look promised: any read, a write of PIPE_BUF bytes. One thread of a handle at a time. What that
 *    cannot prevent: another *process* that shares the description, or has another of the same end, and takes the
 *    bytes or the room between the two leaves this one waiting in the system until the next.
 *
 * A description that this library has opened itself and nobody shares (fifo.c) is nonblocking, and needs only 1 or 2.
 */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/pipe.h"
#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/posix/descriptor.h"
#include "ref/posix/system.h"

#ifndef PIPE_BUF
#define PIPE_BUF _POSIX_PIPE_BUF
#endif

enum { LACKS_NOW = 1, LACKS_QUIET = 2 }; /* ipc_channel.lacks */
enum { KNOWN_FLAGS = IPC_PIPE_INHERIT_READER | IPC_PIPE_INHERIT_WRITER };

static bool lacks(const ipc_channel *channel, uint32_t what) {
  return (atomic_load_explicit(&channel->lacks, memory_order_relaxed) & what) != 0;
}

static void note_lack(ipc_channel *channel, uint32_t what) {
  atomic_fetch_or_explicit(&channel->lacks, what, memory_order_relaxed);
}

/* What poll(2) says right now; 0 for nothing. */
static short look(int fd, short events) {
  struct pollfd polled = {.fd = fd, .events = events};
  int ready;
  do {
    ready = poll(&polled, 1, 0);
  } while (ready < 0 && errno == EINTR);
  return ready > 0 ? polled.revents : 0;
}

/* ------------------------------------------------------------------------------------------------- read */

static ssize_t read_after_look(ipc_channel *channel, const struct iovec *buffers, size_t num_buffers) {
  ssize_t n = -1;
  pthread_mutex_lock(&channel->looking);
  int error = EAGAIN;
  if (look(channel->fd, POLLIN) != 0) {
    n = readv(channel->fd, buffers, (int)num_buffers);
    error = errno;
  }
  pthread_mutex_unlock(&channel->looking);
  errno = error;
  return n;
}

static ssize_t read_shared(ipc_channel *channel, const struct iovec *buffers, size_t num_buffers) {
  if (!lacks(channel, LACKS_NOW)) {
    ssize_t n = ipc_system_read_now(channel->fd, buffers, num_buffers);
    if (n >= 0 || errno != EOPNOTSUPP) return n;
    note_lack(channel, LACKS_NOW);
  }
  return read_after_look(channel, buffers, num_buffers);
}

static ssize_t read_own(const ipc_channel *channel, const struct iovec *buffers, size_t num_buffers) {
  if (num_buffers == 1) return read(channel->fd, buffers->iov_base, buffers->iov_len);
  return readv(channel->fd, buffers, (int)num_buffers);
}

/* The system reads nothing from a FIFO that no writer has opened yet, as it does after the last one left. Only in the
 * second case does it call that a hang-up. */
static ssize_t pipe_read(ipc_channel *channel, struct iovec *buffers, size_t num_buffers) {
  for (;;) {
    ssize_t n = channel->transport->owns_mode ? read_own(channel, buffers, num_buffers)
                                              : read_shared(channel, buffers, num_buffers);
    if (n != 0) return n;
    short events = look(channel->fd, POLLIN);
    if ((events & POLLIN) != 0) continue; /* a writer came in between */
    if ((events & POLLHUP) != 0) return 0;
    errno = EAGAIN;
    return -1;
  }
}

/* ------------------------------------------------------------------------------------------------ write */

static size_t total_of(const struct iovec *buffers, size_t num_buffers) {
  size_t total = 0;
  for (size_t i = 0; i < num_buffers; i++) total += buffers[i].iov_len;
  return total;
}

/* A write behind a look that says there is room for PIPE_BUF bytes. */
static ssize_t write_piece(int fd, const struct iovec *buffers, size_t num_buffers) {
  if (look(fd, POLLOUT) != 0) return writev(fd, buffers, (int)num_buffers);
  errno = EAGAIN;
  return -1;
}

/* Writes of at most PIPE_BUF bytes must stay whole; a longer one goes in pieces, as far as there is room. */
static ssize_t write_after_look(int fd, const struct iovec *buffers, size_t num_buffers) {
  if (total_of(buffers, num_buffers) <= PIPE_BUF) return write_piece(fd, buffers, num_buffers);
  ssize_t done = 0;
  for (size_t i = 0; i < num_buffers; i++) {
    for (size_t offset = 0; offset < buffers[i].iov_len;) {
      size_t left = buffers[i].iov_len - offset;
      struct iovec piece = {(unsigned char *)buffers[i].iov_base + offset, left < PIPE_BUF ? left : PIPE_BUF};
      ssize_t n = write_piece(fd, &piece, 1);
      if (n < 0) return done > 0 ? done : n;
      done += n;
      offset += (size_t)n;
    }
  }
  return done;
}

/* A write that may raise SIGPIPE, which the caller has blocked. */
static ssize_t write_raising(ipc_channel *channel, const struct iovec *buffers, size_t num_buffers) {
  bool now = !channel->transport->owns_mode;
  if (!now || !lacks(channel, LACKS_NOW)) {
    ssize_t n = ipc_system_write_now(channel->fd, buffers, num_buffers, now, false);
    if (n >= 0 || errno != EOPNOTSUPP) return n;
    note_lack(channel, LACKS_NOW);
  }
  pthread_mutex_lock(&channel->looking);
  ssize_t n = write_after_look(channel->fd, buffers, num_buffers);
  int error = errno;
  pthread_mutex_unlock(&channel->looking);
  errno = error;
  return n;
}

static bool is_pending(int signal) {
  sigset_t pending;
  return sigpending(&pending) == 0 && sigismember(&pending, signal) == 1;
}

/* Way 2: blocks SIGPIPE in this thread around the write and takes back the one that the write raised, which is this
 * thread's own. One that was pending before, possible only if the thread had it blocked, is somebody else's and stays.
 */
static ssize_t write_masked(ipc_channel *channel, const struct iovec *buffers, size_t num_buffers) {
  sigset_t broken_pipe, before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  int error = pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
  if (error != 0) {
    errno = error;
    return -1;
  }
  bool was_blocked = sigismember(&before, SIGPIPE) == 1;
  bool was_pending = was_blocked && is_pending(SIGPIPE);
  ssize_t n = write_raising(channel, buffers, num_buffers);
  error = errno;
  /* Also after a part: the piece behind it may have found no reader any more. */
  bool raised = (n < 0 && error == EPIPE) || (n > 0 && lacks(channel, LACKS_NOW));
  if (raised && !was_pending && is_pending(SIGPIPE)) {
    int signal;
    while (sigwait(&broken_pipe, &signal) == EINTR) continue;
  }
  if (!was_blocked) (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  errno = error;
  return n;
}

static ssize_t pipe_write(ipc_channel *channel, struct iovec *buffers, size_t num_buffers) {
  bool now = !channel->transport->owns_mode;
  if (!lacks(channel, LACKS_QUIET) && !(now && lacks(channel, LACKS_NOW))) {
    ssize_t n = ipc_system_write_now(channel->fd, buffers, num_buffers, now, true);
    if (n >= 0 || errno != EOPNOTSUPP) return n;
    note_lack(channel, LACKS_QUIET);
  }
  return write_masked(channel, buffers, num_buffers);
}

static int no_credentials(int fd, ipc_credentials *out_credentials) {
  (void)fd;
  (void)out_credentials;
  return EOPNOTSUPP;
}

const ipc_transport ipc_transport_pipe = {
    .read = pipe_read,
    .write = pipe_write,
    .peer_credentials = no_credentials,
};

const ipc_transport ipc_transport_own_pipe = {
    .read = pipe_read,
    .write = pipe_write,
    .peer_credentials = no_credentials,
    .owns_mode = true,
};

/* ----------------------------------------------------------------------------------------------- making */

ipc_status ipc_pipe_adoptable(const ipc_raw *raw, int *out_fd, uint32_t *out_direction) {
  ipc_status status = {IPC_INVALID_ARGUMENT, 0};
  if (raw == NULL || raw->kind != IPC_RAW_FD || raw->value > INT_MAX) return status;
  struct stat found;
  int fd = (int)raw->value;
  if (fstat(fd, &found) != 0) return ipc_descriptor_refused(errno);
  if (!S_ISFIFO(found.st_mode)) return status;
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return ipc_descriptor_refused(errno);
  int access = flags & O_ACCMODE;
  if (access != O_RDONLY && access != O_WRONLY) return status;
  *out_fd = fd;
  *out_direction = access == O_RDONLY ? DIRECTION_READ : DIRECTION_WRITE;
  status.code = IPC_OK;
  return status;
}

/* Copies what this version knows of |given|. False if there is something in it that this version does not know. */
static bool read_options(const ipc_pipe_options *given, ipc_pipe_options *out) {
  *out = (ipc_pipe_options){.size = sizeof *out};
  if (given == NULL) return true;
  if (!ipc_options_fit(given, given->size, sizeof *out)) return false;
  *out = *given;
  return (out->flags & ~(uint32_t)KNOWN_FLAGS) == 0;
}

/* Makes the descriptors. An end that is to be inherited is opened up last, when nothing can fail any more but that. */
static int make_ends(const ipc_pipe_options *options, int ends[2]) {
  int error = ipc_system_pipe(ends);
  if (error != 0) return error;
  if (options->capacity != 0) ipc_system_pipe_capacity(ends[1], options->capacity);
  if ((options->flags & IPC_PIPE_INHERIT_READER) != 0 && fcntl(ends[0], F_SETFD, 0) != 0) error = errno;
  if (error == 0 && (options->flags & IPC_PIPE_INHERIT_WRITER) != 0 && fcntl(ends[1], F_SETFD, 0) != 0) error = errno;
  if (error != 0) {
    (void)close(ends[0]);
    (void)close(ends[1]);
  }
  return error;
}

ipc_status ipc_pipe_create(const ipc_pipe_options *options, ipc_stream **out_reader, ipc_stream **out_writer) {
  if (out_reader != NULL) *out_reader = NULL;
  if (out_writer != NULL) *out_writer = NULL;
  ipc_pipe_options wanted;
  if (out_reader == NULL || out_writer == NULL || out_reader == out_writer || !read_options(options, &wanted)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_stream *reader;
  ipc_stream *writer;
  ipc_status status = ipc_stream_prepare(&ipc_transport_pipe, DIRECTION_READ, &reader);
  if (status.code != IPC_OK) return status;
  status = ipc_stream_prepare(&ipc_transport_pipe, DIRECTION_WRITE, &writer);
  if (status.code != IPC_OK) {
    ipc_stream_discard(reader);
    return status;
  }
  int ends[2];
  int error = make_ends(&wanted, ends);
  if (error != 0) {
    ipc_stream_discard(reader);
    ipc_stream_discard(writer);
    return ipc_platform_status((uint32_t)error);
  }
  ipc_stream_own(reader, ends[0]);
  ipc_stream_own(writer, ends[1]);
  *out_reader = reader;
  *out_writer = writer;
  return status;
}
