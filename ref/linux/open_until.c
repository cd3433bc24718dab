/* open_until.c - an open(2) that waits, but not for ever.
 *
 * To open one end of a FIFO the kernel waits for the other, and only a signal handler ends that wait: no descriptor
 * exists yet to poll, and no event tells of a reader that itself still waits in open (inotify speaks when an open has
 * ended). An own opening of the other end would end it, and that of every other process that waits there too. So a
 * thread waits in this one's stead and is cancelled when time is up; the C library does that with a signal that it
 * keeps for itself, so no disposition of the program changes.
 *
 * A cancel may come when the open has just succeeded and nobody knows the descriptor yet. Therefore the thread has a
 * table of descriptors of its own, with nothing in it but the socket by which it hands over what it got: what is not
 * handed over ends with the thread, and what others close meanwhile is not held open by it.
 */
#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ref/posix/system.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture */
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#endif

/* What the thread is told. It lives until the thread has been joined. */
typedef struct waiting_open {
  const char *path;
  int flags;
  int channel; /* its end of the socket pair */
} waiting_open;

/* Room for one descriptor beside a message. */
typedef union control_room {
  struct cmsghdr header; /* for its alignment */
  unsigned char bytes[CMSG_SPACE(sizeof(int))];
} control_room;

/* Gives this thread a table of descriptors of its own that holds |kept| alone. errno, EOPNOTSUPP where the system has
 * no such call. */
static int keep_only(int kept) {
  bool done = kept == 0 || syscall(SYS_close_range, 0u, (unsigned)kept - 1, CLOSE_RANGE_UNSHARE) == 0;
  if (done && syscall(SYS_close_range, (unsigned)kept + 1, ~0u, CLOSE_RANGE_UNSHARE) == 0) return 0;
  return errno == ENOMEM || errno == EMFILE || errno == ENFILE ? errno : EOPNOTSUPP;
}

/* Sends |error|, and |fd| if that is one. If that cannot be, the other end learns that nothing comes any more. */
static void hand_over(int channel, int error, int fd) {
  struct iovec part = {&error, sizeof error};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  control_room control;
  memset(&control, 0, sizeof control);
  if (fd >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof control;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  ssize_t n;
  do {
    n = sendmsg(channel, &message, MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0) (void)shutdown(channel, SHUT_RDWR);
}

/* Takes what was handed over, if anything was. errno, ETIMEDOUT for nothing. */
static int take_over(int channel, int *out_fd) {
  int error = 0;
  struct iovec part = {&error, sizeof error};
  control_room control;
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  ssize_t n;
  do {
    n = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK) return errno == ENOMEM ? ENOMEM : EIO;
  if (n < 0) return ETIMEDOUT;
  if (n == 0) return ENOMEM; /* the thread had something, and could not send it */
  if (error != 0) return error;
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header == NULL || header->cmsg_type != SCM_RIGHTS) return EMFILE; /* no room for it in this process */
  memcpy(out_fd, CMSG_DATA(header), sizeof *out_fd);
  return 0;
}

/* The thread. It may be cancelled at any moment of the system call, and nowhere else. */
static void *wait_in_open(void *argument) {
  const waiting_open *wanted = argument;
  int before;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  int channel = wanted->channel;
  int fd = -1;
  int error = keep_only(channel);
  if (error == 0) {
    (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
    do {
      fd = (int)syscall(SYS_openat, AT_FDCWD, wanted->path, wanted->flags, 0);
    } while (fd < 0 && errno == EINTR);
    error = fd < 0 ? errno : 0;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  }
  hand_over(channel, error, fd);
  if (fd >= 0) (void)close(fd); /* only this thread's own */
  return NULL;
}

/* Starts the thread with every signal blocked: the program's handlers are not its business. errno. */
static int start(pthread_t *out_thread, waiting_open *wanted) {
  sigset_t all, before;
  sigfillset(&all);
  int error = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (error != 0) return error;
  error = pthread_create(out_thread, NULL, wait_in_open, wanted);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error == EAGAIN ? ENOMEM : error;
}

int ipc_system_open_until(const char *path, int flags, ipc_deadline *deadline, int *out_fd) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return errno;
  waiting_open wanted = {path, flags, ends[1]};
  pthread_t thread;
  int error = start(&thread, &wanted);
  if (error == 0) {
    struct pollfd polled = {.fd = ends[0], .events = POLLIN};
    while (ipc_deadline_left(deadline) != 0 && poll(&polled, 1, ipc_deadline_left_ms(deadline)) <= 0) continue;
    (void)pthread_cancel(thread);
    (void)pthread_join(thread, NULL);
    error = take_over(ends[0], out_fd);
  }
  (void)close(ends[0]);
  (void)close(ends[1]);
  return error;
}
