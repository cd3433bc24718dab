/* waiter.c - an open(2) or connect(2) that waits, but not for ever.
 *
 * To open one end of a FIFO the kernel waits for the other, and only a signal handler ends that wait: no descriptor
 * exists yet to poll, and no event tells of a reader that itself still waits in open (inotify speaks when an open has
 * ended). An own opening of the other end would end it, and that of every other process that waits there too. A
 * connect(2) to a listener whose backlog is full waits in the kernel as well; without waiting it is EAGAIN, and no
 * event tells when there is room. So a thread waits in this one's stead and is cancelled when time is up; the C library
 * does that with a signal that it keeps for itself, so no disposition of the program changes.
 *
 * A cancel may come when the call has just succeeded and nobody knows the descriptor yet. Therefore the thread has a
 * table of descriptors of its own, with nothing in it but the socket by which it hands over what it got: what is not
 * handed over ends with the thread, and what others close meanwhile is not held open by it. A thread that connects a
 * socket which is there already makes no descriptor and needs no such table: connected or not, the socket tells.
 */
#define _GNU_SOURCE

#include "ref/posix/waiter.h"

#include <errno.h>
#ifdef __GLIBC__
#include <execinfo.h>
#endif
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "ref/posix/system.h"

#ifndef SYS_close_range
#define SYS_close_range 436 /* the same on every architecture */
#endif
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2u
#endif

/* The thread and what it is told. */
struct ipc_waiter {
  pthread_t thread;
  int result;            /* where the call's outcome arrives */
  int channel;           /* the thread's end of that socket pair */
  int flags;             /* of the open */
  int given;             /* the socket to connect; -1: one of its own */
  bool was_nonblocking;  /* the given one's O_NONBLOCK, to be set again */
  socklen_t address_len; /* 0: it is an open */
  union {
    struct sockaddr any;
    struct sockaddr_un un;
    unsigned char bytes[sizeof(struct sockaddr_un) + 16];
  } address;
  char path[]; /* ends in NUL */
};

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

/* Takes what was handed over, if anything was. errno, ECANCELED for nothing: no call that waits here has that of its
 * own. */
static int take_over(int channel, bool makes_descriptor, int *out_fd) {
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
  if (n < 0) return ECANCELED;
  if (n == 0) return ENOMEM; /* the thread had something, and could not send it */
  *out_fd = -1;
  if (error != 0 || !makes_descriptor) return error;
  const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  /* No room for it in this process: Linux gives no header then, and gVisor one with nothing behind it. */
  if (header == NULL || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof *out_fd)) return EMFILE;
  memcpy(out_fd, CMSG_DATA(header), sizeof *out_fd);
  return 0;
}

/* The call itself: a descriptor, or -1 with errno. */
static int make_call(const ipc_waiter *waiter, int socket_fd) {
  if (waiter->address_len == 0) return (int)syscall(SYS_openat, AT_FDCWD, waiter->path, waiter->flags, 0);
  return syscall(SYS_connect, socket_fd, &waiter->address.any, waiter->address_len) == 0 ? socket_fd : -1;
}

/* Descriptors of this thread's own table have numbers that mean something else elsewhere: they are made and closed by
 * the system call itself, so that nothing that keeps account of the process's descriptors is misled. */
static int own_socket(void) { return (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); }
static void own_close(int fd) { (void)syscall(SYS_close, fd); }

/* Whether the call has come to nothing, and is to be made again. A given socket tells EAGAIN if it has a timeout of its
 * own, or if another process that shares it has set O_NONBLOCK; gVisor tells it of any, instead of waiting. */
static bool is_to_be_repeated(int result) { return result < 0 && (errno == EINTR || errno == EAGAIN); }

static void *wait_in_connect(void *argument) {
  const ipc_waiter *waiter = argument;
  int before;
  int result;
  (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
  do {
    result = make_call(waiter, waiter->given);
  } while (is_to_be_repeated(result));
  int error = result < 0 ? errno : 0;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  hand_over(waiter->channel, error, -1);
  return NULL;
}

/* The thread. It may be cancelled at any moment of the system call, and nowhere else. */
static void *wait_in_call(void *argument) {
  const ipc_waiter *waiter = argument;
  int before;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  int channel = waiter->channel;
  int fd = -1;
  int error = keep_only(channel);
  if (error == 0) {
    int socket_fd = waiter->address_len != 0 ? own_socket() : -1;
    if (socket_fd >= 0 || waiter->address_len == 0) {
      (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
      (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &before);
      do {
        fd = make_call(waiter, socket_fd);
      } while (is_to_be_repeated(fd));
      error = fd < 0 ? errno : 0;
      (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    } else {
      error = errno;
    }
  }
  hand_over(channel, error, fd);
  if (fd >= 0) own_close(fd);
  return NULL;
}

/* Whether the thread can be cancelled. glibc loads what that takes at its first use, and ends the process if it has no
 * memory for it; this uses it sooner, where that has an answer. Once loaded it stays. */
static bool can_cancel(void) {
#ifdef __GLIBC__
  static _Atomic bool loaded = false;
  void *frame;
  if (!atomic_load_explicit(&loaded, memory_order_relaxed)) {
    if (backtrace(&frame, 1) == 0) return false;
    atomic_store_explicit(&loaded, true, memory_order_relaxed);
  }
#endif
  return true;
}

/* Starts the thread with every signal blocked: the program's handlers are not its business. errno. */
static int start_thread(ipc_waiter *waiter) {
  if (!can_cancel()) return ENOMEM;
  sigset_t all, before;
  sigfillset(&all);
  int error = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (error != 0) return error;
  error = pthread_create(&waiter->thread, NULL, waiter->given >= 0 ? wait_in_connect : wait_in_call, waiter);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return error == EAGAIN ? ENOMEM : error;
}

static void dispose(ipc_waiter *waiter) {
  (void)close(waiter->result);
  (void)close(waiter->channel);
  free(waiter);
}

/* Starts |waiter|, or releases it. errno. */
static int start(ipc_waiter *waiter, ipc_waiter **out_waiter) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    int error = errno;
    free(waiter);
    return error;
  }
  waiter->result = ends[0];
  waiter->channel = ends[1];
  int error = start_thread(waiter);
  if (error != 0) {
    dispose(waiter);
    return error;
  }
  *out_waiter = waiter;
  return 0;
}

int ipc_waiter_open(const char *path, int flags, ipc_waiter **out_waiter) {
  size_t len = strlen(path) + 1;
  ipc_waiter *waiter = malloc(sizeof *waiter + len);
  if (waiter == NULL) return ENOMEM;
  waiter->flags = flags;
  waiter->given = -1;
  waiter->address_len = 0;
  memcpy(waiter->path, path, len);
  return start(waiter, out_waiter);
}

/* A waiter for a connect that is not started yet. errno. */
static int prepare_connect(const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter) {
  ipc_waiter *waiter = malloc(sizeof *waiter);
  if (waiter == NULL) return ENOMEM;
  if (address_len == 0 || address_len > sizeof waiter->address) {
    free(waiter);
    return EINVAL;
  }
  waiter->flags = 0;
  waiter->given = -1;
  waiter->address_len = address_len;
  memcpy(&waiter->address, address, address_len);
  *out_waiter = waiter;
  return 0;
}

int ipc_waiter_connect(const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter) {
  ipc_waiter *waiter;
  int error = prepare_connect(address, address_len, &waiter);
  return error == 0 ? start(waiter, out_waiter) : error;
}

/* Sets O_NONBLOCK of |fd|, and tells how it was. errno. */
static int switch_nonblocking(int fd, bool nonblocking, bool *out_was) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return errno;
  *out_was = (flags & O_NONBLOCK) != 0;
  int wanted = nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
  return wanted == flags || fcntl(fd, F_SETFL, wanted) == 0 ? 0 : errno;
}

int ipc_waiter_connect_socket(int fd, const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter) {
  ipc_waiter *waiter;
  bool was_nonblocking, ignored;
  int error = prepare_connect(address, address_len, &waiter);
  if (error != 0) return error;
  error = switch_nonblocking(fd, false, &was_nonblocking);
  if (error != 0) {
    free(waiter);
    return error;
  }
  waiter->given = fd;
  waiter->was_nonblocking = was_nonblocking;
  error = start(waiter, out_waiter);
  if (error != 0 && was_nonblocking) (void)switch_nonblocking(fd, true, &ignored);
  return error;
}

int ipc_waiter_descriptor(const ipc_waiter *waiter) { return waiter->result; }

bool ipc_waiter_has_ended(const ipc_waiter *waiter) {
  struct pollfd polled = {.fd = waiter->result, .events = POLLIN};
  return poll(&polled, 1, 0) > 0;
}

/* A thread that has handed over what it got cannot be cancelled any more, and is joined without a wait worth the name.
 */
int ipc_waiter_end(ipc_waiter *waiter, int *out_fd) {
  (void)pthread_cancel(waiter->thread);
  (void)pthread_join(waiter->thread, NULL);
  int error = take_over(waiter->result, waiter->given < 0, out_fd);
  bool ignored;
  if (waiter->given >= 0 && waiter->was_nonblocking) (void)switch_nonblocking(waiter->given, true, &ignored);
  dispose(waiter);
  return error;
}

int ipc_system_open_until(const char *path, int flags, ipc_deadline *deadline, int *out_fd) {
  ipc_waiter *waiter;
  int error = ipc_waiter_open(path, flags, &waiter);
  if (error != 0) return error;
  struct pollfd polled = {.fd = ipc_waiter_descriptor(waiter), .events = POLLIN};
  while (ipc_deadline_left(deadline) != 0 && poll(&polled, 1, ipc_deadline_left_ms(deadline)) <= 0) continue;
  error = ipc_waiter_end(waiter, out_fd);
  return error == ECANCELED ? ETIMEDOUT : error;
}
