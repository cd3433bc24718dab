/* loop_operation.c - what each operation of a loop does: its checks, its attempt, its end. */
#include "ref/posix/extensions.h"

#include "ref/posix/loop.h"

#ifndef IPC_WITHOUT_ASYNC

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/control.h"
#include "ref/posix/listener.h"
#include "ref/posix/local.h"
#include "ref/posix/pipe.h"
#include "ref/posix/socket.h"
#include "ref/posix/stream.h"
#include "ref/posix/system.h"
#include "ref/posix/watcher.h"

static ipc_status enter(loop_operation *op, ipc_gate *gate) {
  if (!ipc_gate_enter(gate)) return ipc_status_of(IPC_CLOSED);
  op->gate = gate;
  return ipc_status_of(IPC_OK);
}

static ipc_status enter_stream(loop_operation *op, uint32_t direction) {
  ipc_status status = enter(op, ipc_stream_gate(op->what.stream));
  if (status.code != IPC_OK) return status;
  op->fd = ipc_stream_descriptor(op->what.stream);
  op->direction = direction;
  return status;
}

static void discard_stream(loop_operation *op) {
  if (op->stream != NULL) ipc_stream_discard(op->stream);
  op->stream = NULL;
}

/* -------------------------------------------------------------------------------------------- read, write */

static ipc_status begin_read(loop_operation *op) {
  struct iovec buffers[VECTOR_MAX];
  size_t num;
  if (op->what.stream == NULL || op->what.flags != 0 ||
      !ipc_stream_room(op->what.buffers, op->what.num_buffers, buffers, &num)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return enter_stream(op, DIRECTION_READ);
}

static ipc_status attempt_read(loop_operation *op) {
  struct iovec buffers[VECTOR_MAX];
  size_t num;
  if (!ipc_stream_room(op->what.buffers, op->what.num_buffers, buffers, &num)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT); /* the caller changed what must stay valid */
  }
  const ipc_stream_attempting wanted = {.buffers = buffers, .num_buffers = num};
  return ipc_stream_attempt(op->what.stream, DIRECTION_READ, &wanted, &op->len);
}

static ipc_status begin_write(loop_operation *op) {
  struct iovec buffers[VECTOR_MAX];
  size_t num;
  if (op->what.stream == NULL || op->what.flags != 0 ||
      !ipc_stream_bytes(op->what.const_buffers, op->what.num_buffers, 0, buffers, &num)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return enter_stream(op, DIRECTION_WRITE);
}

static size_t bytes_of(const struct iovec *buffers, size_t num) {
  size_t total = 0;
  for (size_t i = 0; i < num; i++) total += buffers[i].iov_len;
  return total;
}

/* After a part there is no second attempt: it would find no room, and others have their turn. */
static ipc_status attempt_write_beside(loop_operation *op, const struct msghdr *beside) {
  struct iovec buffers[VECTOR_MAX];
  size_t num;
  if (!ipc_stream_bytes(op->what.const_buffers, op->what.num_buffers, op->len, buffers, &num)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  const ipc_stream_attempting wanted = {.buffers = buffers, .num_buffers = num, .beside = beside};
  size_t left = bytes_of(buffers, num); /* before the attempt, which steps over what it moves */
  size_t len;
  ipc_status status = ipc_stream_attempt(op->what.stream, DIRECTION_WRITE, &wanted, &len);
  op->len += len;
  return status.code == IPC_OK && len < left ? ipc_status_of(IPC_WOULD_BLOCK) : status;
}

static ipc_status attempt_write(loop_operation *op) { return attempt_write_beside(op, NULL); }

static const loop_kind kind_read = {begin_read, attempt_read, NULL};
static const loop_kind kind_write = {begin_write, attempt_write, NULL};

/* ----------------------------------------------------------------------------------- with ancillary data */

static ipc_status begin_read_ancillary(loop_operation *op) {
  struct iovec buffers[VECTOR_MAX];
  size_t num;
  ipc_status status = ipc_control_check_room(op->what.ancillary);
  if (status.code != IPC_OK) return status;
  if (op->what.stream == NULL || op->what.flags != 0 || op->what.num_buffers != 1 ||
      !ipc_stream_room(op->what.buffers, 1, buffers, &num) || num == 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return enter_stream(op, DIRECTION_READ);
}

static ipc_status attempt_read_ancillary(loop_operation *op) {
  struct iovec buffers[VECTOR_MAX];
  size_t num;
  if (!ipc_stream_room(op->what.buffers, 1, buffers, &num)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  const ipc_stream_attempting wanted = {.buffers = buffers, .num_buffers = num, .room = op->what.ancillary};
  return ipc_stream_attempt(op->what.stream, DIRECTION_READ, &wanted, &op->len);
}

static ipc_status begin_write_ancillary(loop_operation *op) {
  ipc_status status = ipc_control_check_sent(op->what.ancillary);
  if (status.code == IPC_INVALID_ARGUMENT) return status;
  op->status = status; /* what this system cannot send */
  if (op->what.num_buffers != 1 || op->what.const_buffers == NULL || op->what.const_buffers[0].len == 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return begin_write(op);
}

/* What travels beside the bytes travels once: with the first of them. */
static ipc_status attempt_write_ancillary(loop_operation *op) {
  if (op->status.code != IPC_OK) return op->status;
  if (op->len != 0) return attempt_write(op);
  ipc_control control;
  struct msghdr beside = {0};
  ipc_control_put(&control, op->what.ancillary, &beside);
  return attempt_write_beside(op, &beside);
}

static const loop_kind kind_read_ancillary = {begin_read_ancillary, attempt_read_ancillary, NULL};
static const loop_kind kind_write_ancillary = {begin_write_ancillary, attempt_write_ancillary, NULL};

/* ------------------------------------------------------------------------------------------------- accept */

static ipc_status begin_accept(loop_operation *op) {
  if (op->what.listener == NULL || op->what.flags != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_stream_prepare(&ipc_transport_socket, DIRECTION_BOTH, &op->stream);
  if (status.code != IPC_OK) return status;
  status = enter(op, ipc_listener_gate(op->what.listener));
  if (status.code != IPC_OK) {
    discard_stream(op);
    return status;
  }
  op->fd = ipc_listener_descriptor(op->what.listener);
  op->direction = DIRECTION_READ;
  return status;
}

static ipc_status attempt_accept(loop_operation *op) {
  int fd;
  ipc_status status = ipc_listener_attempt(op->what.listener, SOCK_STREAM, &fd);
  if (status.code == IPC_OK) ipc_stream_own(op->stream, fd);
  return status;
}

/* Of everything that makes a stream: it is the completion's, or it is not needed. */
static ipc_status end_making(loop_operation *op, ipc_status status) {
  if (status.code != IPC_OK) discard_stream(op);
  return status;
}

static const loop_kind kind_accept = {begin_accept, attempt_accept, end_making};

/* -------------------------------------------------------------------------------------------- messages */

static ipc_status begin_accept_socket(loop_operation *op) {
  if (op->what.listener == NULL || op->what.flags != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_socket_prepare(SOCK_SEQPACKET, &op->socket);
  if (status.code != IPC_OK) return status;
  status = enter(op, ipc_listener_gate(op->what.listener));
  if (status.code != IPC_OK) {
    ipc_socket_discard(op->socket);
    op->socket = NULL;
    return status;
  }
  op->fd = ipc_listener_descriptor(op->what.listener);
  op->direction = DIRECTION_READ;
  return status;
}

static ipc_status attempt_accept_socket(loop_operation *op) {
  int fd;
  ipc_status status = ipc_listener_attempt(op->what.listener, SOCK_SEQPACKET, &fd);
  if (status.code == IPC_OK) ipc_socket_own(op->socket, fd, NULL);
  return status;
}

static ipc_status end_accept_socket(loop_operation *op, ipc_status status) {
  if (status.code == IPC_OK) return status;
  ipc_socket_discard(op->socket);
  op->socket = NULL;
  return status;
}

static ipc_status enter_socket(loop_operation *op, uint32_t direction) {
  ipc_status status = enter(op, ipc_socket_gate(op->what.socket));
  if (status.code != IPC_OK) return status;
  op->fd = ipc_socket_fd(op->what.socket);
  op->direction = direction;
  return status;
}

static ipc_status begin_receive(loop_operation *op) {
  const ipc_submission *what = &op->what;
  if (what->socket == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status =
      ipc_socket_check_receive(what->flags, what->buffers, what->num_buffers, what->received, what->ancillary);
  return status.code == IPC_OK ? enter_socket(op, DIRECTION_READ) : status;
}

static ipc_status attempt_receive(loop_operation *op) {
  const ipc_submission *what = &op->what;
  ipc_status status = ipc_socket_attempt_receive(what->socket, what->flags, what->buffers, what->num_buffers,
                                                 what->received, what->ancillary);
  if (status.code == IPC_OK || status.code == IPC_MESSAGE_TRUNCATED) op->len = what->received->len;
  return status;
}

static ipc_status begin_send(loop_operation *op) {
  const ipc_submission *what = &op->what;
  if (what->socket == NULL || what->flags != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_socket_check_send(what->socket, what->const_buffers, what->num_buffers, what->name,
                                            what->ancillary, &op->address);
  op->status = status; /* of what cannot be sent so: what the call would return */
  return status.code == IPC_INVALID_ARGUMENT ? status : enter_socket(op, DIRECTION_WRITE);
}

static void give_up_room(loop_operation *op) {
  if (op->room >= 0) (void)close(op->room);
  op->room = -1;
}

/* Says what to wait for until there is room. What became of the receiver instead, the next attempt says, in the next
 * turn: the socket itself is writable. */
static ipc_status wait_for_room(loop_operation *op, const ipc_address *to) {
  int fd;
  bool made;
  ipc_status status = ipc_socket_room(op->what.socket, to, &fd, &made);
  if (status.code == IPC_OUT_OF_RESOURCES) return status;
  if (status.code == IPC_OK && made) {
    op->room = fd;
    op->aside_fd = fd;
    op->aside_direction = DIRECTION_WRITE;
  }
  return ipc_status_of(IPC_WOULD_BLOCK);
}

/* A new descriptor for each wait: behind the name there may be another socket by now. */
static ipc_status attempt_send(loop_operation *op) {
  const ipc_submission *what = &op->what;
  give_up_room(op);
  if (op->status.code != IPC_OK) return op->status;
  const ipc_address *to = what->name != NULL ? &op->address : NULL;
  ipc_status status =
      ipc_socket_attempt_send(what->socket, what->const_buffers, what->num_buffers, to, what->ancillary);
  for (size_t i = 0; i < what->num_buffers && status.code == IPC_OK; i++) op->len += what->const_buffers[i].len;
  return status.code == IPC_WOULD_BLOCK && what->timeout_ms != 0 ? wait_for_room(op, to) : status;
}

static ipc_status end_send(loop_operation *op, ipc_status status) {
  give_up_room(op);
  return status;
}

static const loop_kind kind_send = {begin_send, attempt_send, end_send};
static const loop_kind kind_accept_socket = {begin_accept_socket, attempt_accept_socket, end_accept_socket};
static const loop_kind kind_receive = {begin_receive, attempt_receive, NULL};

#ifndef IPC_WITHOUT_SIGNALS
static ipc_status begin_next_signal(loop_operation *op) {
  if (op->what.watcher == NULL || op->what.event == NULL || op->what.flags != 0 ||
      !ipc_watcher_event_fits(op->what.event)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_status status = enter(op, ipc_watcher_gate(op->what.watcher));
  if (status.code != IPC_OK) return status;
  op->fd = ipc_watcher_descriptor(op->what.watcher);
  op->direction = DIRECTION_READ;
  return status;
}

static ipc_status attempt_next_signal(loop_operation *op) {
  return ipc_watcher_attempt(op->what.watcher, op->what.event);
}

static const loop_kind kind_next_signal = {begin_next_signal, attempt_next_signal, NULL};
#endif

/* ------------------------------------------------------------------------------------ what waits in a thread */

/* Waits for the waiter that |error| says was started. Nobody else waits for its descriptor. */
static ipc_status wait_for_thread(loop_operation *op, int error) {
  if (error != 0) return ipc_platform_status((uint32_t)error);
  op->fd = ipc_waiter_descriptor(op->waiter);
  op->direction = DIRECTION_READ;
  return ipc_status_of(IPC_WOULD_BLOCK);
}

/* The result is taken at the end, when nobody has interest in the descriptor any more. */
static ipc_status look_at_thread(const loop_operation *op) {
  return ipc_status_of(ipc_waiter_has_ended(op->waiter) ? IPC_OK : IPC_WOULD_BLOCK);
}

/* Ends the waiter: the call's errno, ECANCELED if it came to nothing. */
static int end_thread(loop_operation *op, int *out_fd) {
  ipc_waiter *waiter = op->waiter;
  op->waiter = NULL;
  return ipc_waiter_end(waiter, out_fd);
}

static ipc_status begin_connect(loop_operation *op) {
  if (op->what.name == NULL || op->what.flags != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_address_init(&op->address, op->what.name);
  op->status = status; /* of a name that is none: what the call would return */
  if (status.code == IPC_INVALID_ARGUMENT) return status;
  return ipc_stream_prepare(&ipc_transport_socket, DIRECTION_BOTH, &op->stream);
}

static ipc_status connected(loop_operation *op, int error, int fd) {
  if (error != 0) return ipc_local_connect_status(error);
  ipc_stream_own(op->stream, fd);
  return ipc_status_of(IPC_OK);
}

static ipc_status attempt_connect(loop_operation *op) {
  int fd;
  if (op->waiter != NULL) return look_at_thread(op);
  if (op->status.code != IPC_OK) return op->status;
  ipc_status status = ipc_local_connect_attempt(&op->address, &fd);
  if (status.code == IPC_OK) return connected(op, 0, fd);
  if (status.code != IPC_WOULD_BLOCK || op->what.timeout_ms == 0) return status;
  return wait_for_thread(op, ipc_waiter_connect(&op->address.socket.any, op->address.len, &op->waiter));
}

/* A connection made in the moment of the end is one. */
static ipc_status end_connect(loop_operation *op, ipc_status status) {
  if (op->waiter != NULL) {
    int fd = -1;
    int error = end_thread(op, &fd);
    if (error != ECANCELED) status = connected(op, error, fd);
  }
  return end_making(op, status);
}

static const loop_kind kind_connect = {begin_connect, attempt_connect, end_connect};

static ipc_status begin_socket_connect(loop_operation *op) {
  if (op->what.socket == NULL || op->what.name == NULL || op->what.flags != 0) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_status status = ipc_address_init(&op->address, op->what.name);
  op->status = status;
  return status.code == IPC_INVALID_ARGUMENT ? status : enter_socket(op, DIRECTION_WRITE);
}

/* It stands aside in the queue of its socket: what is sent behind it waits until it is connected. */
static ipc_status wait_to_connect(loop_operation *op) {
  op->connecting = ipc_socket_hold_connect(op->what.socket);
  if (!op->connecting) return ipc_status_of(IPC_BUSY);
  int error = ipc_waiter_connect_socket(op->fd, &op->address.socket.any, op->address.len, &op->waiter);
  return error == 0 ? ipc_status_of(IPC_WOULD_BLOCK) : ipc_platform_status((uint32_t)error);
}

static ipc_status attempt_socket_connect(loop_operation *op) {
  if (op->status.code != IPC_OK) return op->status;
  ipc_status status =
      op->waiter != NULL ? look_at_thread(op) : ipc_socket_attempt_connect(op->what.socket, &op->address);
  if (status.code != IPC_WOULD_BLOCK || op->what.timeout_ms == 0) return status;
  if (op->waiter == NULL) status = wait_to_connect(op);
  if (status.code != IPC_WOULD_BLOCK) return status;
  op->aside_fd = ipc_waiter_descriptor(op->waiter);
  op->aside_direction = DIRECTION_READ;
  return status;
}

/* A connection made in the moment of the end is one, and then the thread may not have come to say so. */
static ipc_status end_socket_connect(loop_operation *op, ipc_status status) {
  if (op->waiter != NULL) {
    int none;
    int error = end_thread(op, &none);
    if (error == ECANCELED && ipc_socket_is_connected(op->what.socket)) error = 0;
    if (error != ECANCELED) status = error == 0 ? ipc_status_of(IPC_OK) : ipc_platform_status((uint32_t)error);
  }
  if (op->connecting) ipc_socket_let_connect(op->what.socket);
  op->connecting = false;
  return status;
}

static const loop_kind kind_socket_connect = {begin_socket_connect, attempt_socket_connect, end_socket_connect};

static void forget_opening(loop_operation *op) {
  free(op->opening);
  op->opening = NULL;
}

static ipc_status begin_fifo_open(loop_operation *op) {
  const ipc_name *name = op->what.name;
  if (name == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  op->opening = malloc(sizeof *op->opening);
  if (op->opening == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  op->single = (op->what.flags & IPC_FIFO_NO_WAIT) != 0;
  op->status = ipc_fifo_opening_init(op->opening, name->data, name->len, op->what.direction, op->what.flags);
  uint32_t end = op->what.direction == IPC_FIFO_READ ? DIRECTION_READ : DIRECTION_WRITE;
  ipc_status status = op->status.code == IPC_INVALID_ARGUMENT
                          ? op->status
                          : ipc_stream_prepare(&ipc_transport_own_pipe, end, &op->stream);
  if (status.code != IPC_OK) forget_opening(op);
  return status;
}

static ipc_status opened(loop_operation *op, int error, int fd) {
  ipc_status status = ipc_fifo_opened(error, fd);
  if (status.code == IPC_OK) ipc_stream_own(op->stream, fd);
  return status;
}

static ipc_status attempt_fifo_open(loop_operation *op) {
  int fd;
  if (op->waiter != NULL) return look_at_thread(op);
  if (op->status.code != IPC_OK) return op->status;
  bool at_once = op->what.timeout_ms == 0 && !op->opening->no_wait;
  ipc_status status = at_once ? ipc_fifo_opening_at_once(op->opening, &fd) : ipc_fifo_opening_attempt(op->opening, &fd);
  if (status.code == IPC_OK) ipc_stream_own(op->stream, fd);
  if (status.code != IPC_WOULD_BLOCK || op->single) return status;
  return wait_for_thread(op, ipc_waiter_open(op->opening->path, op->opening->flags, &op->waiter));
}

static ipc_status end_fifo_open(loop_operation *op, ipc_status status) {
  forget_opening(op);
  if (op->waiter != NULL) {
    int fd = -1;
    int error = end_thread(op, &fd);
    if (error != ECANCELED) status = opened(op, error, fd);
  }
  return end_making(op, status);
}

static const loop_kind kind_fifo_open = {begin_fifo_open, attempt_fifo_open, end_fifo_open};

/* -------------------------------------------------------------------------------------------------- timer */

static ipc_status begin_timer(loop_operation *op) {
  return ipc_status_of(op->what.flags == 0 ? IPC_OK : IPC_INVALID_ARGUMENT);
}

static ipc_status attempt_timer(loop_operation *op) {
  (void)op;
  return ipc_status_of(IPC_WOULD_BLOCK);
}

static const loop_kind kind_timer = {begin_timer, attempt_timer, NULL};

const loop_kind *ipc_loop_kind(uint32_t operation) {
  switch (operation) {
    case IPC_SUBMIT_ACCEPT:
      return &kind_accept;
    case IPC_SUBMIT_CONNECT:
      return &kind_connect;
    case IPC_SUBMIT_READ:
      return &kind_read;
    case IPC_SUBMIT_WRITE:
      return &kind_write;
    case IPC_SUBMIT_ACCEPT_SOCKET:
      return &kind_accept_socket;
    case IPC_SUBMIT_READ_ANCILLARY:
      return &kind_read_ancillary;
    case IPC_SUBMIT_WRITE_ANCILLARY:
      return &kind_write_ancillary;
    case IPC_SUBMIT_SOCKET_CONNECT:
      return &kind_socket_connect;
    case IPC_SUBMIT_SEND:
      return &kind_send;
    case IPC_SUBMIT_RECEIVE:
      return &kind_receive;
#ifndef IPC_WITHOUT_SIGNALS
    case IPC_SUBMIT_NEXT_SIGNAL:
      return &kind_next_signal;
#endif
    case IPC_SUBMIT_FIFO_OPEN:
      return &kind_fifo_open;
    case IPC_SUBMIT_TIMER:
      return &kind_timer;
    default:
      return NULL;
  }
}

#endif /* IPC_WITHOUT_ASYNC */
