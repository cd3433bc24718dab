/* socket.c - sockets that move whole messages: Unix domain datagrams and seqpacket connections.
 *
 * As with streams (stream.c), every transfer is an attempt that does not wait, and only if that finds nothing to do a
 * wait for the descriptor or for close. Three things are different:
 *
 * A datagram to a receiver without room. poll(2) calls a socket writable that has room of its own; whether the receiver
 * has some it knows only of the one that the socket is connected to. So a send to another one waits on a second socket,
 * made for this wait and connected to the receiver: that sends nothing, changes nothing for anybody, and is writable
 * when the receiver has taken a message or has gone.
 *
 * A seqpacket connect to a full backlog. Nothing can be polled for that; only connect(2) itself waits for it. It does
 * so in slices, between which a close is noticed. Room is noticed at once.
 *
 * An empty seqpacket message, which other programs can send, is received as 0 bytes, like the end. It is the end if the
 * other end has shut down its direction and nothing follows.
 */
#include "ref/posix/extensions.h"

#include "ref/posix/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/address.h"
#include "ref/posix/binding.h"
#include "ref/posix/control.h"
#include "ref/posix/descriptor.h"
#include "ref/posix/system.h"

enum {
  VECTOR_MAX = 64,
  RECEIVED_SIZE_MAX = 4096, /* of an ipc_received of any version to come */
  CONNECT_SLICE_MS = 20,    /* how often a connect that waits looks whether it has been closed */
  NO_ROOM_SLICE_MS = 10,    /* how often a send looks again that found no descriptor to wait on */
};

struct ipc_socket {
  ipc_gate gate;
  int fd;
  int type; /* SOCK_DGRAM or SOCK_SEQPACKET */
  ipc_socket_file file;
  pthread_mutex_t receiving; /* one attempt at a time: between a look at a message and its receipt no other takes it */
  atomic_flag connecting;    /* seqpacket: one connects */
};

static ipc_status from_errno(void) { return ipc_platform_status((uint32_t)errno); }

static bool is_seqpacket(const ipc_socket *socket) { return socket->type == SOCK_SEQPACKET; }

/* ------------------------------------------------------------------------------------------------- life */

ipc_status ipc_socket_prepare(int type, ipc_socket **out_socket) {
  *out_socket = NULL;
  ipc_socket *socket = malloc(sizeof *socket);
  if (socket == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  if (pthread_mutex_init(&socket->receiving, NULL) != 0) {
    free(socket);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  if (ipc_gate_init(&socket->gate) != 0) {
    pthread_mutex_destroy(&socket->receiving);
    free(socket);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  atomic_flag_clear(&socket->connecting);
  socket->fd = -1;
  socket->type = type;
  socket->file = (ipc_socket_file){.path = NULL};
  *out_socket = socket;
  return ipc_status_of(IPC_OK);
}

void ipc_socket_own(ipc_socket *socket, int fd, const ipc_socket_file *file) {
  socket->fd = fd;
  if (file != NULL) socket->file = *file;
}

void ipc_socket_discard(ipc_socket *socket) {
  (void)ipc_gate_shut(&socket->gate);
  ipc_gate_destroy(&socket->gate);
  pthread_mutex_destroy(&socket->receiving);
  free(socket);
}

ipc_status ipc_socket_open(uint32_t type, ipc_socket **out_socket) {
  if (out_socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_socket = NULL;
  if (type != IPC_UNIX_DATAGRAM && type != IPC_UNIX_SEQPACKET) return ipc_status_of(IPC_INVALID_ARGUMENT);
  int system_type = type == IPC_UNIX_DATAGRAM ? SOCK_DGRAM : SOCK_SEQPACKET;
  ipc_socket *socket;
  ipc_status status = ipc_socket_prepare(system_type, &socket);
  if (status.code != IPC_OK) return status;
  int fd = ipc_system_socket(system_type, false);
  if (fd < 0) {
    status = from_errno();
    ipc_socket_discard(socket);
    return status;
  }
  ipc_socket_own(socket, fd, NULL);
  *out_socket = socket;
  return status;
}

static ipc_status bind_socket(ipc_socket *socket, const ipc_address *address, const ipc_local_listen_options *options) {
  ipc_socket_file file;
  int fd = ipc_system_socket(SOCK_DGRAM, false);
  if (fd < 0) return from_errno();
  ipc_status status = ipc_binding_bind(fd, address, options, &file);
  if (status.code != IPC_OK) {
    (void)close(fd);
    return status;
  }
  if ((options->flags & IPC_LISTEN_KEEP_NAME) != 0) ipc_socket_file_forget(&file);
  ipc_socket_own(socket, fd, &file);
  return status;
}

ipc_status ipc_socket_bind(const ipc_name *name, const ipc_local_listen_options *options, ipc_socket **out_socket) {
  if (out_socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_socket = NULL;
  ipc_local_listen_options wanted;
  if (!ipc_binding_options(options, &wanted) || wanted.backlog != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if ((wanted.flags & IPC_LISTEN_SAME_USER) != 0) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_address address;
  const ipc_address *bound_to;
  ipc_socket *socket;
  ipc_status status = ipc_binding_address(name, &address, &bound_to);
  if (status.code == IPC_OK) status = ipc_socket_prepare(SOCK_DGRAM, &socket);
  if (status.code != IPC_OK) return status;
  status = bind_socket(socket, bound_to, &wanted);
  if (status.code != IPC_OK) {
    ipc_socket_discard(socket);
    return status;
  }
  *out_socket = socket;
  return status;
}

ipc_status ipc_socket_adopt(const ipc_raw *raw, ipc_socket **out_socket) {
  if (out_socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_socket = NULL;
  int fd;
  int type;
  ipc_socket *socket;
  ipc_status status = ipc_descriptor_check(raw, IPC_USE_SOCKET, &fd, &type);
  if (status.code == IPC_OK) status = ipc_socket_prepare(type, &socket);
  if (status.code != IPC_OK) return status;
  int error = ipc_descriptor_set_cloexec(fd);
  if (error != 0) {
    ipc_socket_discard(socket);
    return ipc_platform_status((uint32_t)error);
  }
  ipc_socket_own(socket, fd, NULL);
  *out_socket = socket;
  return status;
}

ipc_status ipc_socket_release(ipc_socket *socket, ipc_raw *out_raw) {
  if (socket == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_socket_file_forget(&socket->file);
  *out_raw = ipc_descriptor_raw(socket->fd);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_socket_close(ipc_socket *socket) {
  if (socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_socket_file_remove(&socket->file);
  (void)close(socket->fd);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_socket_free(ipc_socket *socket) {
  if (socket == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_socket_close(socket);
  ipc_socket_discard(socket);
  return ipc_status_of(IPC_OK);
}

ipc_gate *ipc_socket_gate(ipc_socket *socket) { return &socket->gate; }

int ipc_socket_fd(const ipc_socket *socket) { return socket->fd; }

/* ---------------------------------------------------------------------------------------------- connect */

/* IPC_OK for a connected socket, also one whose other end has gone; IPC_NOT_CONNECTED, or what the system was short of.
 */
static ipc_status connection_of(int fd) {
  ipc_address address = {.len = sizeof address.socket};
  if (getpeername(fd, &address.socket.any, &address.len) == 0) return ipc_status_of(IPC_OK);
  return errno == ENOBUFS || errno == ENOMEM ? from_errno() : ipc_status_of(IPC_NOT_CONNECTED);
}

static ipc_status connect_datagram(ipc_socket *socket, const ipc_address *address) {
  int result;
  do {
    result = connect(socket->fd, &address->socket.any, address->len);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? ipc_status_of(IPC_OK) : from_errno();
}

/* Waits for room in the backlog in slices, because nothing else notices a close. */
static ipc_status connect_waiting(ipc_socket *socket, const ipc_address *address, ipc_deadline *deadline) {
  for (;;) {
    if (ipc_gate_is_shut(&socket->gate)) return ipc_status_of(IPC_CANCELLED);
    int left_ms = ipc_deadline_left_ms(deadline);
    if (left_ms == 0) return ipc_status_of(IPC_TIMED_OUT);
    int slice_ms = left_ms < 0 || left_ms > CONNECT_SLICE_MS ? CONNECT_SLICE_MS : left_ms;
    int error = ipc_system_connect_for(socket->fd, &address->socket.any, address->len, slice_ms);
    if (error == 0) return ipc_status_of(IPC_OK);
    if (error != EAGAIN) return ipc_platform_status((uint32_t)error);
  }
}

bool ipc_socket_is_connected(const ipc_socket *socket) { return connection_of(socket->fd).code == IPC_OK; }

bool ipc_socket_hold_connect(ipc_socket *socket) { return !atomic_flag_test_and_set(&socket->connecting); }

void ipc_socket_let_connect(ipc_socket *socket) { atomic_flag_clear(&socket->connecting); }

/* Connects once. IPC_WOULD_BLOCK: no room in the backlog. Of two calls at once one is IPC_BUSY: how long the other goes
 * on is not for it to wait. */
static ipc_status connect_once(ipc_socket *socket, const ipc_address *address) {
  if (!is_seqpacket(socket)) return connect_datagram(socket, address);
  if (!ipc_socket_hold_connect(socket)) return ipc_status_of(IPC_BUSY);
  int error = ipc_system_connect_now(socket->fd, &address->socket.any, address->len);
  /* Linux looks for room first. */
  if (error == EAGAIN && connection_of(socket->fd).code == IPC_OK) error = EISCONN;
  ipc_socket_let_connect(socket);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

static ipc_status connect_patiently(ipc_socket *socket, const ipc_address *address, int64_t timeout_ms) {
  ipc_status status = connect_once(socket, address);
  if (status.code != IPC_WOULD_BLOCK) return status;
  if (atomic_load_explicit(&socket->gate.nonblocking, memory_order_relaxed)) return status;
  if (!ipc_socket_hold_connect(socket)) return ipc_status_of(IPC_BUSY);
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  status = connect_waiting(socket, address, &deadline);
  ipc_socket_let_connect(socket);
  return status;
}

ipc_status ipc_socket_attempt_connect(ipc_socket *socket, const ipc_address *address) {
  return connect_once(socket, address);
}

ipc_status ipc_socket_connect(ipc_socket *socket, const ipc_name *name, int64_t timeout_ms) {
  if (socket == NULL || name == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address;
  ipc_status status = ipc_address_init(&address, name);
  if (status.code != IPC_OK) return status;
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  status = connect_patiently(socket, &address, timeout_ms);
  ipc_gate_leave(&socket->gate);
  return status;
}

/* ------------------------------------------------------------------------------------------------- send */

/* A message on its way out. */
typedef struct sending {
  struct iovec buffers[VECTOR_MAX];
  size_t num_buffers; /* none of them empty */
  size_t total;
  bool has_receiver;
  ipc_address receiver;
  bool has_control;
  struct msghdr beside; /* with a control buffer and nothing else */
} sending;

/* An iovec has no const: a send does not write through it. */
static void *without_const(const void *data) {
  union {
    const void *given;
    void *taken;
  } pointer = {data};
  return pointer.taken;
}

static bool append_buffer(struct iovec *buffers, size_t *num_buffers, size_t *total, void *data, size_t len) {
  if (len == 0) return true;
  if (data == NULL || len > (size_t)SSIZE_MAX - *total) return false;
  *total += len;
  buffers[(*num_buffers)++] = (struct iovec){data, len};
  return true;
}

/* Checks the arguments of a send and makes a message of them. |control| must live as long as |out|. */
static ipc_status sending_init(sending *out, const ipc_socket *socket, const ipc_const_buffer *buffers,
                               size_t num_buffers, const ipc_name *to, const ipc_ancillary *ancillary,
                               ipc_control *control) {
  out->num_buffers = 0;
  out->total = 0;
  if ((buffers == NULL && num_buffers != 0) || num_buffers > VECTOR_MAX) return ipc_status_of(IPC_INVALID_ARGUMENT);
  for (size_t i = 0; i < num_buffers; i++) {
    if (!append_buffer(out->buffers, &out->num_buffers, &out->total, without_const(buffers[i].data), buffers[i].len)) {
      return ipc_status_of(IPC_INVALID_ARGUMENT);
    }
  }
  ipc_status status = ancillary != NULL ? ipc_control_check_sent(ancillary) : ipc_status_of(IPC_OK);
  if (status.code != IPC_OK) return status;
  out->has_receiver = to != NULL;
  if (to != NULL) status = ipc_address_init(&out->receiver, to);
  if (status.code != IPC_OK) return status;
  out->has_control = ancillary != NULL;
  out->beside = (struct msghdr){0};
  if (ancillary != NULL) ipc_control_put(control, ancillary, &out->beside);
  bool unencodable = is_seqpacket(socket) && out->total == 0;
  return ipc_status_of(unencodable ? IPC_UNENCODABLE : IPC_OK);
}

/* A single buffer spares the kernel a structure to copy. */
static ssize_t send_once(const ipc_socket *socket, sending *s) {
  struct sockaddr *to = s->has_receiver ? &s->receiver.socket.any : NULL;
  socklen_t to_len = s->has_receiver ? s->receiver.len : 0;
  if (s->num_buffers <= 1 && !s->has_control) {
    const struct iovec *only = s->num_buffers == 1 ? s->buffers : &(struct iovec){NULL, 0};
    return sendto(socket->fd, only->iov_base, only->iov_len, ipc_system_send_flags, to, to_len);
  }
  struct msghdr message = s->beside;
  message.msg_name = to;
  message.msg_namelen = to_len;
  message.msg_iov = s->buffers;
  message.msg_iovlen = s->num_buffers;
  return sendmsg(socket->fd, &message, ipc_system_send_flags);
}

/* One attempt. Linux passes over a receiver on a connected seqpacket socket, where others refuse it. */
static ipc_status attempt_send(const ipc_socket *socket, sending *s) {
  if (s->has_receiver && is_seqpacket(socket)) {
    ipc_status status = connection_of(socket->fd);
    return status.code == IPC_OK ? ipc_status_of(IPC_ALREADY_CONNECTED) : status;
  }
  ssize_t n;
  do {
    n = send_once(socket, s);
  } while (n < 0 && errno == EINTR);
  return n >= 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)errno);
}

static bool is_writable(int fd) {
  struct pollfd polled = {.fd = fd, .events = POLLOUT};
  return poll(&polled, 1, 0) != 0;
}

/* What to wait on until there is room: see the head of this file, and socket.h. */
static ipc_status find_room(const ipc_socket *socket, const ipc_address *receiver, int *out_fd, bool *out_made) {
  *out_fd = socket->fd;
  *out_made = false;
  if (receiver == NULL) return ipc_status_of(IPC_OK);
  int fd = ipc_system_socket(SOCK_DGRAM, true);
  if (fd < 0) return from_errno();
  if (connect(fd, &receiver->socket.any, receiver->len) != 0) {
    ipc_status status = from_errno();
    (void)close(fd);
    return status;
  }
  if (is_writable(fd)) {
    (void)close(fd); /* the receiver has room: it is this socket's own buffer that is full, if anything still is */
    return ipc_status_of(IPC_OK);
  }
  *out_fd = fd;
  *out_made = true;
  return ipc_status_of(IPC_OK);
}

/* Without a descriptor to wait on it looks again after a while, but for a close it still waits. */
static int32_t wait_without_descriptor(ipc_socket *socket, ipc_deadline *deadline) {
  int left_ms = ipc_deadline_left_ms(deadline);
  if (left_ms == 0) return IPC_TIMED_OUT;
  ipc_deadline slice = {.timeout_ms = left_ms < 0 || left_ms > NO_ROOM_SLICE_MS ? NO_ROOM_SLICE_MS : left_ms};
  int32_t code = ipc_gate_wait(&socket->gate, -1, POLLOUT, &slice);
  return code == IPC_TIMED_OUT ? IPC_OK : code;
}

/* Waits until another attempt makes sense. IPC_OK also where only another attempt can say what is wrong. */
static int32_t wait_for_room(ipc_socket *socket, const sending *s, ipc_deadline *deadline) {
  if (ipc_deadline_left(deadline) == 0) return IPC_TIMED_OUT;
  if (ipc_gate_is_shut(&socket->gate)) return IPC_CANCELLED;
  int fd;
  bool made;
  ipc_status status = find_room(socket, s->has_receiver ? &s->receiver : NULL, &fd, &made);
  if (status.code == IPC_OUT_OF_RESOURCES) return wait_without_descriptor(socket, deadline);
  if (status.code != IPC_OK) return IPC_OK;
  int32_t code = ipc_gate_wait(&socket->gate, fd, POLLOUT, deadline);
  if (made) (void)close(fd);
  return code;
}

static ipc_status send_patiently(ipc_socket *socket, sending *s, int64_t timeout_ms) {
  bool nonblocking = atomic_load_explicit(&socket->gate.nonblocking, memory_order_relaxed);
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  for (;;) {
    ipc_status status = attempt_send(socket, s);
    if (status.code != IPC_WOULD_BLOCK || nonblocking) return status;
    int32_t code = wait_for_room(socket, s, &deadline);
    if (code != IPC_OK) return ipc_status_of(code);
  }
}

ipc_status ipc_socket_check_send(const ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers,
                                 const ipc_name *to, const ipc_ancillary *ancillary, ipc_address *out_to) {
  sending s;
  ipc_control control;
  ipc_status status = sending_init(&s, socket, buffers, num_buffers, to, ancillary, &control);
  if (status.code == IPC_OK && to != NULL) *out_to = s.receiver;
  return status;
}

ipc_status ipc_socket_attempt_send(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers,
                                   const ipc_address *to, const ipc_ancillary *ancillary) {
  sending s;
  ipc_control control;
  ipc_status status = sending_init(&s, socket, buffers, num_buffers, NULL, ancillary, &control);
  if (status.code != IPC_OK) return status;
  s.has_receiver = to != NULL;
  if (to != NULL) s.receiver = *to;
  return attempt_send(socket, &s);
}

ipc_status ipc_socket_room(const ipc_socket *socket, const ipc_address *to, int *out_fd, bool *out_made) {
  return find_room(socket, to, out_fd, out_made);
}

ipc_status ipc_socket_send(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers, const ipc_name *to,
                           const ipc_ancillary *ancillary, int64_t timeout_ms) {
  if (socket == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  sending s;
  ipc_control control;
  ipc_status status = sending_init(&s, socket, buffers, num_buffers, to, ancillary, &control);
  if (status.code != IPC_OK && status.code != IPC_UNENCODABLE) return status;
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  if (status.code == IPC_OK) status = send_patiently(socket, &s, timeout_ms);
  ipc_gate_leave(&socket->gate);
  return status;
}

/* ---------------------------------------------------------------------------------------------- receive */

/* Room for a message, and what is told of it. */
typedef struct receiving {
  struct iovec buffers[VECTOR_MAX];
  size_t num_buffers; /* none of them empty */
  size_t room;
  bool whole;
  ipc_received *received;   /* NULL: a look at the length alone */
  ipc_ancillary *ancillary; /* may be NULL */
} receiving;

/* Sets |received| to "nothing came". False if it is none. */
static bool received_init(ipc_received *received) {
  if (received == NULL || received->size < sizeof *received || received->size > RECEIVED_SIZE_MAX) return false;
  uint32_t size = received->size;
  memset(received, 0, size);
  received->size = size;
  return true;
}

/* Checks the arguments of a receive. */
static ipc_status receiving_init(receiving *out, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                                 ipc_received *received, ipc_ancillary *ancillary) {
  out->num_buffers = 0;
  out->room = 0;
  out->whole = (flags & IPC_RECEIVE_WHOLE) != 0;
  out->received = received;
  out->ancillary = ancillary;
  if (!received_init(received) || (flags & ~(uint32_t)IPC_RECEIVE_WHOLE) != 0 ||
      (buffers == NULL && num_buffers != 0) || num_buffers > VECTOR_MAX) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  for (size_t i = 0; i < num_buffers; i++) {
    if (!append_buffer(out->buffers, &out->num_buffers, &out->room, buffers[i].data, buffers[i].len)) {
      return ipc_status_of(IPC_INVALID_ARGUMENT);
    }
  }
  return ancillary != NULL ? ipc_control_check_room(ancillary) : ipc_status_of(IPC_OK);
}

/* The length of the next message, which stays; -1 with errno. Without a control buffer no descriptor is made. */
static ssize_t look_at_next(const ipc_socket *socket) {
  ssize_t n;
  do {
    n = recv(socket->fd, NULL, 0, ipc_system_receive_flags | MSG_PEEK | MSG_TRUNC);
  } while (n < 0 && errno == EINTR);
  return n;
}

/* Takes a message: its whole length, or -1 with errno. */
static ssize_t take_next(const ipc_socket *socket, receiving *r, ipc_address *from) {
  int flags = ipc_system_receive_flags | MSG_TRUNC;
  if (r->num_buffers <= 1 && r->ancillary == NULL) {
    const struct iovec *only = r->num_buffers == 1 ? r->buffers : &(struct iovec){NULL, 0};
    from->len = sizeof from->socket;
    return recvfrom(socket->fd, only->iov_base, only->iov_len, flags, &from->socket.any, &from->len);
  }
  struct msghdr message = {.msg_name = &from->socket.any,
                           .msg_namelen = sizeof from->socket,
                           .msg_iov = r->buffers,
                           .msg_iovlen = r->num_buffers};
  ssize_t n = r->ancillary != NULL ? ipc_control_receive(socket->fd, &message, flags, r->ancillary)
                                   : recvmsg(socket->fd, &message, flags);
  from->len = message.msg_namelen;
  return n;
}

/* Closes the descriptors that came: their message has not come whole. */
static void forget_ancillary(ipc_ancillary *ancillary) {
  if (ancillary == NULL) return;
  for (size_t i = 0; i < ancillary->num_descriptors; i++) (void)close(ancillary->descriptors[i]);
  ipc_control_clear(ancillary);
}

/* Tells of a message of |len| bytes that has been taken. */
static ipc_status message_came(receiving *r, size_t len, const ipc_address *from) {
  const unsigned char *native;
  size_t native_len;
  ipc_address_native(from, &native, &native_len);
  if (native_len > IPC_NATIVE_MAX) native_len = IPC_NATIVE_MAX;
  memcpy(r->received->from, native, native_len);
  r->received->from_len = native_len;
  r->received->needed = len;
  r->received->len = len < r->room ? len : r->room;
  if (len <= r->room) return ipc_status_of(IPC_OK);
  forget_ancillary(r->ancillary);
  return ipc_status_of(IPC_MESSAGE_TRUNCATED);
}

/* What poll(2) says of the receiving direction right now. */
static bool is_shut_down(int fd) {
  struct pollfd polled = {.fd = fd, .events = ipc_system_poll_end};
  int ready;
  do {
    ready = poll(&polled, 1, 0);
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && (polled.revents & (ipc_system_poll_end | POLLHUP)) != 0;
}

/* Whether the 0 bytes that a seqpacket socket gave are the end, and no empty message. The last ones in front of the end
 * are taken for it. */
static bool is_end(const ipc_socket *socket) {
  return is_seqpacket(socket) && is_shut_down(socket->fd) && !ipc_system_has_input(socket->fd);
}

/* What is to be said when there is no message. A datagram socket whose direction has been shut down says so to poll(2)
 * alone. */
static ipc_status nothing_came(const ipc_socket *socket, int error) {
  bool is_empty = error == EAGAIN || error == EWOULDBLOCK;
  if (is_empty && !is_seqpacket(socket) && is_shut_down(socket->fd) && look_at_next(socket) < 0) {
    return ipc_status_of(IPC_END);
  }
  return ipc_platform_status((uint32_t)error);
}

/* With |whole|: IPC_OK if the next message fits. */
static ipc_status check_next(const ipc_socket *socket, receiving *r) {
  ssize_t len = look_at_next(socket);
  if (len < 0) return nothing_came(socket, errno);
  if ((size_t)len <= r->room) return ipc_status_of(IPC_OK);
  r->received->needed = (size_t)len;
  return ipc_status_of(IPC_MESSAGE_TRUNCATED);
}

static ipc_status attempt_receive_alone(const ipc_socket *socket, receiving *r) {
  ipc_address from;
  ipc_status status = r->whole ? check_next(socket, r) : ipc_status_of(IPC_OK);
  if (status.code != IPC_OK) return status;
  ssize_t len;
  do {
    len = take_next(socket, r, &from);
  } while (len < 0 && errno == EINTR);
  if (len < 0) return nothing_came(socket, errno);
  if (len == 0 && is_end(socket)) {
    forget_ancillary(r->ancillary);
    return ipc_status_of(IPC_END);
  }
  return message_came(r, (size_t)len, &from);
}

static ipc_status attempt_receive(ipc_socket *socket, void *argument) {
  pthread_mutex_lock(&socket->receiving);
  ipc_status status = attempt_receive_alone(socket, argument);
  pthread_mutex_unlock(&socket->receiving);
  return status;
}

/* Repeats |attempt|, which does not wait, until it has something to say. */
static ipc_status receive_patiently(ipc_socket *socket, ipc_status (*attempt)(ipc_socket *, void *), void *argument,
                                    int64_t timeout_ms) {
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  bool nonblocking = atomic_load_explicit(&socket->gate.nonblocking, memory_order_relaxed);
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  ipc_status status;
  for (;;) {
    status = attempt(socket, argument);
    if (status.code != IPC_WOULD_BLOCK || nonblocking) break;
    int32_t code = ipc_gate_wait(&socket->gate, socket->fd, POLLIN, &deadline);
    if (code == IPC_OK) continue;
    status = ipc_status_of(code);
    break;
  }
  ipc_gate_leave(&socket->gate);
  return status;
}

ipc_status ipc_socket_check_receive(uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                                    ipc_received *out_received, ipc_ancillary *ancillary) {
  receiving r;
  return receiving_init(&r, flags, buffers, num_buffers, out_received, ancillary);
}

ipc_status ipc_socket_attempt_receive(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                                      ipc_received *out_received, ipc_ancillary *ancillary) {
  receiving r;
  ipc_status status = receiving_init(&r, flags, buffers, num_buffers, out_received, ancillary);
  return status.code == IPC_OK ? attempt_receive(socket, &r) : status;
}

ipc_status ipc_socket_receive(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                              ipc_received *out_received, ipc_ancillary *ancillary, int64_t timeout_ms) {
  receiving r;
  ipc_status status = receiving_init(&r, flags, buffers, num_buffers, out_received, ancillary);
  if (status.code != IPC_OK) return status;
  if (socket == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return receive_patiently(socket, attempt_receive, &r, timeout_ms);
}

static ipc_status attempt_next_length(ipc_socket *socket, void *argument) {
  size_t *out_len = argument;
  pthread_mutex_lock(&socket->receiving);
  ssize_t len = look_at_next(socket);
  ipc_status status = len < 0                      ? nothing_came(socket, errno)
                      : len == 0 && is_end(socket) ? ipc_status_of(IPC_END)
                                                   : ipc_status_of(IPC_OK);
  pthread_mutex_unlock(&socket->receiving);
  if (status.code == IPC_OK) *out_len = (size_t)len;
  return status;
}

ipc_status ipc_socket_next_length(ipc_socket *socket, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (socket == NULL || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return receive_patiently(socket, attempt_next_length, out_len, timeout_ms);
}

/* ------------------------------------------------------------------------------------------------- rest */

/* A seqpacket socket that is not connected has no direction to end, although Linux would let it. */
static ipc_status shut_down(const ipc_socket *socket, uint32_t directions) {
  int how = directions == IPC_SHUTDOWN_READ ? SHUT_RD : directions == IPC_SHUTDOWN_WRITE ? SHUT_WR : SHUT_RDWR;
  ipc_status status = is_seqpacket(socket) ? connection_of(socket->fd) : ipc_status_of(IPC_OK);
  if (status.code != IPC_OK) return status;
  return shutdown(socket->fd, how) == 0 ? ipc_status_of(IPC_OK) : from_errno();
}

ipc_status ipc_socket_shutdown(ipc_socket *socket, uint32_t directions) {
  if (socket == NULL || directions == 0 || (directions & ~(uint32_t)IPC_SHUTDOWN_BOTH) != 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = shut_down(socket, directions);
  ipc_gate_leave(&socket->gate);
  return status;
}

static ipc_status peer_credentials(const ipc_socket *socket, ipc_credentials *out_credentials) {
  if (!is_seqpacket(socket)) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_status status = connection_of(socket->fd);
  if (status.code != IPC_OK) return status;
  int error = ipc_system_peer_credentials(socket->fd, out_credentials);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

ipc_status ipc_socket_peer_credentials(ipc_socket *socket, ipc_credentials *out_credentials) {
  if (socket == NULL || out_credentials == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  ipc_status status = peer_credentials(socket, out_credentials);
  ipc_gate_leave(&socket->gate);
  return status;
}

ipc_status ipc_socket_set_pass_credentials(ipc_socket *socket, bool pass) {
  if (socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  int error = ipc_system_pass_credentials(socket->fd, pass);
  ipc_gate_leave(&socket->gate);
  return error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
}

ipc_status ipc_socket_native(ipc_socket *socket, void *out_native, size_t native_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (socket == NULL || out_native == NULL || out_len == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address = {.len = sizeof address.socket};
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  int error = getsockname(socket->fd, &address.socket.any, &address.len) == 0 ? 0 : errno;
  ipc_gate_leave(&socket->gate);
  if (error != 0) return ipc_platform_status((uint32_t)error);
  const unsigned char *native;
  ipc_address_native(&address, &native, out_len);
  if (*out_len > native_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_native, native, *out_len);
  return ipc_status_of(IPC_OK);
}

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_socket_set_nonblocking(ipc_socket *socket, bool nonblocking) {
  if (socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&socket->gate.nonblocking, nonblocking);
  ipc_gate_leave(&socket->gate);
  return ipc_status_of(IPC_OK);
}
#endif

ipc_status ipc_socket_raw(ipc_socket *socket, ipc_raw *out_raw) {
  if (socket == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_enter(&socket->gate)) return ipc_status_of(IPC_CLOSED);
  *out_raw = ipc_descriptor_raw(socket->fd);
  ipc_gate_leave(&socket->gate);
  return ipc_status_of(IPC_OK);
}
