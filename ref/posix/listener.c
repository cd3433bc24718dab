/* listener.c - accepting connections.
 *
 * accept(2) has no flag for "do not wait", so whether an attempt waits is a matter of the descriptor's O_NONBLOCK. On a
 * listener that this library made it has been set since the descriptor exists: before anybody could share it. A
 * released one is given back without it. On an adopted one, which others may share, nothing is changed: there accept
 * looks with poll(2) first, one thread at a time. What that cannot prevent: another *process* that takes the connection
 * between the two leaves this one in accept(2) until the next. Whoever shares a listener between processes should make
 * it nonblocking, as is usual.
 */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/address.h"
#include "ref/posix/descriptor.h"
#include "ref/posix/socket.h"
#include "ref/posix/stream.h"
#include "ref/posix/system.h"

/* A single attempt turns away at most so many connections that are not welcome: more than a backlog holds. */
enum { UNWELCOME_MAX = 4096 };

struct ipc_listener {
  ipc_gate gate;
  int fd;
  int type; /* SOCK_STREAM or SOCK_SEQPACKET */
  bool adopted;
  bool restricted; /* to processes of `user` */
  uid_t user;
  pthread_mutex_t accepting; /* adopted: from the look to the accept */
  ipc_socket_file file;
};

/* ------------------------------------------------------------------------------------------------- life */

ipc_status ipc_listener_prepare(int type, ipc_listener **out_listener) {
  *out_listener = NULL;
  ipc_listener *listener = malloc(sizeof *listener);
  if (listener == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  if (ipc_gate_init(&listener->gate) != 0) {
    free(listener);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  if (pthread_mutex_init(&listener->accepting, NULL) != 0) {
    (void)ipc_gate_shut(&listener->gate);
    ipc_gate_destroy(&listener->gate);
    free(listener);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  listener->fd = -1;
  listener->type = type;
  listener->adopted = false;
  listener->restricted = false;
  listener->user = 0;
  listener->file = (ipc_socket_file){.path = NULL};
  *out_listener = listener;
  return ipc_status_of(IPC_OK);
}

void ipc_listener_own(ipc_listener *listener, int fd, const ipc_socket_file *file) {
  listener->fd = fd;
  listener->file = *file;
}

void ipc_listener_restrict(ipc_listener *listener) {
  listener->restricted = true;
  listener->user = geteuid();
}

void ipc_listener_discard(ipc_listener *listener) {
  (void)ipc_gate_shut(&listener->gate);
  ipc_gate_destroy(&listener->gate);
  pthread_mutex_destroy(&listener->accepting);
  free(listener);
}

ipc_status ipc_listener_adopt(const ipc_raw *raw, ipc_listener **out_listener) {
  if (out_listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_listener = NULL;
  int fd;
  int type;
  ipc_listener *listener;
  ipc_status status = ipc_descriptor_check(raw, IPC_USE_LISTENER, &fd, &type);
  if (status.code == IPC_OK) status = ipc_listener_prepare(type, &listener);
  if (status.code != IPC_OK) return status;
  int error = ipc_descriptor_set_cloexec(fd);
  if (error != 0) {
    ipc_listener_discard(listener);
    return ipc_platform_status((uint32_t)error);
  }
  listener->fd = fd;
  listener->adopted = true;
  *out_listener = listener;
  return status;
}

ipc_status ipc_listener_close(ipc_listener *listener) {
  if (listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_socket_file_remove(&listener->file);
  (void)close(listener->fd);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_listener_free(ipc_listener *listener) {
  if (listener == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_listener_close(listener);
  ipc_listener_discard(listener);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_listener_release(ipc_listener *listener, ipc_raw *out_raw) {
  if (listener == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_socket_file_forget(&listener->file);
  if (!listener->adopted) {
    int flags = fcntl(listener->fd, F_GETFL);
    if (flags >= 0) (void)fcntl(listener->fd, F_SETFL, flags & ~O_NONBLOCK);
  }
  *out_raw = ipc_descriptor_raw(listener->fd);
  return ipc_status_of(IPC_OK);
}

/* ----------------------------------------------------------------------------------------------- accept */

/* accept(2) behind a look that says it will not wait. */
static int accept_if_ready(ipc_listener *listener) {
  struct pollfd polled = {.fd = listener->fd, .events = POLLIN};
  pthread_mutex_lock(&listener->accepting);
  int ready;
  do {
    ready = poll(&polled, 1, 0);
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) errno = EAGAIN;
  int fd = ready > 0 ? ipc_system_accept(listener->fd) : -1;
  int error = errno;
  pthread_mutex_unlock(&listener->accepting);
  errno = error;
  return fd;
}

/* Whether the connection |fd| may come to the program: IPC_OK, IPC_REFUSED, or what the system was short of. One that
 * suddenly cannot tell has not said yes. */
static ipc_status judge(const ipc_listener *listener, int fd) {
  if (!listener->restricted) return ipc_status_of(IPC_OK);
  ipc_credentials peer = {.fields = 0};
  int error = ipc_system_peer_credentials(fd, &peer);
  if (error == ENOMEM || error == ENOBUFS) return ipc_platform_status((uint32_t)error);
  bool welcome = error == 0 && (peer.fields & IPC_CREDENTIALS_UID) != 0 && peer.uid == listener->user;
  return ipc_status_of(welcome ? IPC_OK : IPC_REFUSED);
}

/* Takes the next connection if there is one, welcome or not. IPC_WOULD_BLOCK: nobody waits. */
static ipc_status take_one(ipc_listener *listener, int *out_fd) {
  *out_fd = listener->adopted ? accept_if_ready(listener) : ipc_system_accept(listener->fd);
  if (*out_fd >= 0) return ipc_status_of(IPC_OK);
  /* The arguments are ours: EINVAL means that somebody who shares the socket has shut it down. */
  if (errno == EINVAL) return (ipc_status){IPC_FAILED, EINVAL};
  return ipc_platform_status((uint32_t)errno);
}

/* Waits for a connection and takes it. Those who are not welcome are turned away at no cost to the deadline, however
 * many they are. */
static ipc_status take_connection(ipc_listener *listener, bool nonblocking, int64_t timeout_ms, int *out_fd) {
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  for (int num_unwelcome = 0;;) {
    ipc_status status = take_one(listener, out_fd);
    if (status.code == IPC_OK) {
      status = judge(listener, *out_fd);
      if (status.code == IPC_OK) return status;
      (void)close(*out_fd);
      if (status.code != IPC_REFUSED) return status;
      if (ipc_gate_is_shut(&listener->gate)) return ipc_status_of(IPC_CANCELLED);
      bool expired = timeout_ms > 0 && ipc_deadline_left(&deadline) == 0;
      bool too_many = ++num_unwelcome == UNWELCOME_MAX && (nonblocking || timeout_ms == 0);
      if (expired || too_many) return ipc_status_of(nonblocking ? IPC_WOULD_BLOCK : IPC_TIMED_OUT);
      continue;
    }
    if (status.code != IPC_WOULD_BLOCK || nonblocking) return status;
    int32_t code = ipc_gate_wait(&listener->gate, listener->fd, POLLIN, &deadline);
    if (code != IPC_OK) return ipc_status_of(code);
  }
}

ipc_gate *ipc_listener_gate(ipc_listener *listener) { return &listener->gate; }

int ipc_listener_descriptor(const ipc_listener *listener) { return listener->fd; }

ipc_status ipc_listener_attempt(ipc_listener *listener, int type, int *out_fd) {
  if (listener->type != type) return ipc_status_of(IPC_UNSUPPORTED);
  return take_connection(listener, true, IPC_NO_TIMEOUT, out_fd);
}

/* Takes a connection of |type| inside the gate. */
static ipc_status accept_inside(ipc_listener *listener, int type, int64_t timeout_ms, int *out_fd) {
  if (!ipc_gate_enter(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  bool nonblocking = atomic_load_explicit(&listener->gate.nonblocking, memory_order_relaxed);
  ipc_status status = listener->type == type ? take_connection(listener, nonblocking, timeout_ms, out_fd)
                                             : ipc_status_of(IPC_UNSUPPORTED);
  ipc_gate_leave(&listener->gate);
  return status;
}

ipc_status ipc_listener_accept(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  if (out_stream != NULL) *out_stream = NULL;
  if (listener == NULL || out_stream == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_stream *stream;
  int fd = -1;
  ipc_status status = ipc_stream_prepare(&ipc_transport_socket, DIRECTION_BOTH, &stream);
  if (status.code != IPC_OK) return status;
  status = accept_inside(listener, SOCK_STREAM, timeout_ms, &fd);
  if (status.code != IPC_OK) {
    ipc_stream_discard(stream);
    return status;
  }
  ipc_stream_own(stream, fd);
  *out_stream = stream;
  return status;
}

ipc_status ipc_listener_accept_socket(ipc_listener *listener, int64_t timeout_ms, ipc_socket **out_socket) {
  if (out_socket != NULL) *out_socket = NULL;
  if (listener == NULL || out_socket == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_socket *socket;
  int fd = -1;
  ipc_status status = ipc_socket_prepare(SOCK_SEQPACKET, &socket);
  if (status.code != IPC_OK) return status;
  status = accept_inside(listener, SOCK_SEQPACKET, timeout_ms, &fd);
  if (status.code != IPC_OK) {
    ipc_socket_discard(socket);
    return status;
  }
  ipc_socket_own(socket, fd, NULL);
  *out_socket = socket;
  return status;
}

/* ------------------------------------------------------------------------------------------------- rest */

ipc_status ipc_listener_native(ipc_listener *listener, void *out_native, size_t native_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (listener == NULL || out_native == NULL || out_len == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address = {.len = sizeof address.socket};
  if (!ipc_gate_enter(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  int error = getsockname(listener->fd, &address.socket.any, &address.len) == 0 ? 0 : errno;
  ipc_gate_leave(&listener->gate);
  if (error != 0) return ipc_platform_status((uint32_t)error);
  const unsigned char *native;
  size_t len;
  ipc_address_native(&address, &native, &len);
  if (len == 0) return ipc_status_of(IPC_FAILED);
  *out_len = len;
  if (len > native_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_native, native, len);
  return ipc_status_of(IPC_OK);
}

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_listener_set_nonblocking(ipc_listener *listener, bool nonblocking) {
  if (listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&listener->gate.nonblocking, nonblocking);
  ipc_gate_leave(&listener->gate);
  return ipc_status_of(IPC_OK);
}
#endif

ipc_status ipc_listener_raw(ipc_listener *listener, ipc_raw *out_raw) {
  if (listener == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  *out_raw = ipc_descriptor_raw(listener->fd);
  ipc_gate_leave(&listener->gate);
  return ipc_status_of(IPC_OK);
}
