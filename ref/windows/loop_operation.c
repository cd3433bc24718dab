/* loop_operation.c - what each operation of a loop does: its checks, its attempt, its end. */
#ifndef IPC_WITHOUT_ASYNC

#include "ref/common/platform.h"
#include "ref/windows/listener.h"
#include "ref/windows/loop.h"
#include "ref/windows/stream.h"

static ipc_status enter(loop_operation *op, ipc_gate *gate) {
  if (!ipc_gate_enter(gate)) return ipc_status_of(IPC_CLOSED);
  op->gate = gate;
  return ipc_status_of(IPC_OK);
}

/* The end of a direction tells its queue from others: two halves of a split share the channel. */
static ipc_status enter_stream(loop_operation *op, uint32_t direction) {
  ipc_status status = enter(op, ipc_stream_gate(op->what.stream));
  if (status.code != IPC_OK) return status;
  const unsigned char *channel = (const unsigned char *)ipc_stream_channel(op->what.stream);
  op->key = channel + (direction == DIRECTION_READ ? 0 : 1);
  return status;
}

static void discard_stream(loop_operation *op) {
  if (op->stream != NULL) ipc_stream_discard(op->stream);
  op->stream = NULL;
}

/* Adds up |num| buffers; false if one is none, or there are too many bytes. */
static bool add_up(const ipc_buffer *buffers, const ipc_const_buffer *const_buffers, size_t num, size_t *out_total) {
  *out_total = 0;
  if (num > VECTOR_MAX || (num != 0 && buffers == NULL && const_buffers == NULL)) return false;
  for (size_t i = 0; i < num; i++) {
    size_t len = buffers != NULL ? buffers[i].len : const_buffers[i].len;
    const void *data = buffers != NULL ? buffers[i].data : const_buffers[i].data;
    if (len != 0 && data == NULL) return false;
    if (len > (size_t)PTRDIFF_MAX - *out_total) return false;
    *out_total += len;
  }
  return true;
}

/* --------------------------------------------------------------------------------------------------- read */

static ipc_status begin_read(loop_operation *op) {
  size_t total;
  if (op->what.stream == NULL || op->what.flags != 0 || (op->what.buffers == NULL && op->what.num_buffers != 0) ||
      !add_up(op->what.buffers, NULL, op->what.num_buffers, &total)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  if (op->own == NULL) op->own = CreateEventW(NULL, TRUE, FALSE, NULL);
  if (op->own == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  return enter_stream(op, DIRECTION_READ);
}

/* The first buffer with room, or NULL. */
static const ipc_buffer *first_buffer(const loop_operation *op) {
  for (size_t i = 0; i < op->what.num_buffers; i++) {
    if (op->what.buffers[i].len != 0) return &op->what.buffers[i];
  }
  return NULL;
}

/* Fills the buffers behind |first|, which is full, with what is there. */
static void read_on(loop_operation *op, ipc_channel *channel, const ipc_buffer *first) {
  for (const ipc_buffer *at = first + 1; at < op->what.buffers + op->what.num_buffers; at++) {
    ipc_deadline now = {.timeout_ms = 0};
    size_t len = 0;
    if (at->len == 0) continue;
    if (ipc_channel_read(channel, op->gate, at->data, at->len, &now, &len).code != IPC_OK) return;
    op->len += len;
    if (len < at->len) return;
  }
}

/* Takes the result of the read, which has ended: IPC_WOULD_BLOCK if it is to be begun again. */
static ipc_status take_read(loop_operation *op, ipc_channel *channel) {
  DWORD len;
  DWORD error = ipc_overlapped_result(channel->pipe, &op->read, &len);
  op->is_reading = false;
  if (error == ERROR_OPERATION_ABORTED) return ipc_status_of(IPC_WOULD_BLOCK);
  if (error != 0 && error != ERROR_MORE_DATA) return ipc_channel_read_status(error);
  if (len == 0) return ipc_status_of(IPC_WOULD_BLOCK); /* somebody else's empty message */
  op->len = len;
  return ipc_status_of(IPC_OK);
}

static ipc_status read_overlapped(loop_operation *op, ipc_channel *channel, const ipc_buffer *first) {
  ipc_status status = ipc_status_of(IPC_WOULD_BLOCK);
  op->event = op->own;
  while (status.code == IPC_WOULD_BLOCK) {
    if (!op->is_reading) {
      DWORD max = first->len > INT32_MAX ? INT32_MAX : (DWORD)first->len;
      op->read = ipc_overlapped_init(op->own);
      DWORD error = ReadFile(channel->pipe, first->data, max, NULL, &op->read) ? 0 : GetLastError();
      if (error != 0 && error != ERROR_IO_PENDING && error != ERROR_MORE_DATA) return ipc_channel_read_status(error);
      op->is_reading = true;
    }
    if (!HasOverlappedIoCompleted(&op->read)) return status;
    status = take_read(op, channel);
  }
  if (status.code == IPC_OK && op->len == first->len) read_on(op, channel, first);
  return status;
}

static ipc_status attempt_read(loop_operation *op) {
  ipc_channel *channel = ipc_stream_channel(op->what.stream);
  if (!ipc_stream_can(op->what.stream, DIRECTION_READ)) return ipc_status_of(IPC_UNSUPPORTED);
  const ipc_buffer *first = first_buffer(op);
  if (first == NULL) return ipc_status_of(IPC_OK);
  if (!channel->synchronous) return read_overlapped(op, channel, first);
  ipc_deadline now = {.timeout_ms = 0};
  ipc_status status = ipc_channel_read(channel, op->gate, first->data, first->len, &now, &op->len);
  if (status.code == IPC_TIMED_OUT) return ipc_status_of(IPC_WOULD_BLOCK);
  if (status.code == IPC_OK && op->len == first->len) read_on(op, channel, first);
  return status;
}

/* A read that is called off may have got something by then. */
static ipc_status end_read(loop_operation *op, ipc_status status) {
  if (!op->is_reading) return status;
  ipc_channel *channel = ipc_stream_channel(op->what.stream);
  (void)CancelIoEx(channel->pipe, &op->read);
  (void)WaitForSingleObject(op->own, INFINITE);
  ipc_status taken = take_read(op, channel);
  return taken.code == IPC_WOULD_BLOCK ? status : taken;
}

static const loop_kind kind_read = {begin_read, attempt_read, end_read};

/* -------------------------------------------------------------------------------------------------- write */

static ipc_status begin_write(loop_operation *op) {
  size_t total;
  if (op->what.stream == NULL || op->what.flags != 0 || (op->what.const_buffers == NULL && op->what.num_buffers != 0) ||
      !add_up(NULL, op->what.const_buffers, op->what.num_buffers, &total)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  return enter_stream(op, DIRECTION_WRITE);
}

/* What of the buffers is behind the first |op->len| bytes. */
static size_t rest_of(const loop_operation *op, ipc_const_buffer out_rest[VECTOR_MAX]) {
  size_t num = 0, skip = op->len;
  for (size_t i = 0; i < op->what.num_buffers; i++) {
    ipc_const_buffer at = op->what.const_buffers[i];
    size_t skipped = skip < at.len ? skip : at.len;
    skip -= skipped;
    if (skipped == at.len) continue;
    out_rest[num++] = (ipc_const_buffer){(const unsigned char *)at.data + skipped, at.len - skipped};
  }
  return num;
}

/* Everything is taken before the last of it has arrived: for that the operation waits, too. */
static ipc_status attempt_write(loop_operation *op) {
  ipc_channel *channel = ipc_stream_channel(op->what.stream);
  if (!ipc_stream_can(op->what.stream, DIRECTION_WRITE)) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_const_buffer rest[VECTOR_MAX];
  ipc_deadline now = {.timeout_ms = 0};
  size_t num = rest_of(op, rest), len = 0;
  if (num == 0 && op->len == 0) return ipc_status_of(IPC_OK);
  ipc_status status =
      num == 0 ? ipc_channel_take_writing(channel, &now) : ipc_channel_write(channel, rest, num, &now, &len);
  op->len += len;
  if (num == 0 && status.code == IPC_OK) ipc_channel_give_writing(channel);
  if (num != 0 && status.code == IPC_OK && ipc_channel_is_busy(channel)) status.code = IPC_TIMED_OUT;
  if (status.code != IPC_TIMED_OUT) return status;
  op->event = ipc_channel_arrival(channel);
  return ipc_status_of(IPC_WOULD_BLOCK);
}

/* What was taken is never taken back: a write that is called off when all is taken has come to its end. */
static ipc_status end_write(loop_operation *op, ipc_status status) {
  ipc_const_buffer rest[VECTOR_MAX];
  bool is_called_off = status.code == IPC_CANCELLED || status.code == IPC_TIMED_OUT;
  return is_called_off && op->len != 0 && rest_of(op, rest) == 0 ? ipc_status_of(IPC_OK) : status;
}

static const loop_kind kind_write = {begin_write, attempt_write, end_write};

/* ----------------------------------------------------------------------------------------- accept, connect */

static ipc_status begin_accept(loop_operation *op) {
  if (op->what.listener == NULL || op->what.flags != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_stream_prepare(DIRECTION_BOTH, &op->stream);
  if (status.code != IPC_OK) return status;
  status = enter(op, ipc_listener_gate(op->what.listener));
  if (status.code != IPC_OK) discard_stream(op);
  op->key = op->what.listener;
  return status;
}

static ipc_status attempt_accept(loop_operation *op) {
  HANDLE pipe;
  if (ipc_listener_shape_of(op->what.listener)->named_pipe) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_status status = ipc_listener_attempt(op->what.listener, &pipe);
  if (status.code == IPC_OK) ipc_stream_own(op->stream, pipe, false, true);
  op->event = ipc_listener_event(op->what.listener);
  return status;
}

/* Of everything that makes a stream: it is the completion's, or it is not needed. */
static ipc_status end_making(loop_operation *op, ipc_status status) {
  if (status.code != IPC_OK) discard_stream(op);
  return status;
}

static const loop_kind kind_accept = {begin_accept, attempt_accept, end_making};

static ipc_status begin_connect(loop_operation *op) {
  if (op->what.name == NULL || op->what.flags != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  op->status = ipc_address_init(&op->address, op->what.name); /* of a name that is none: what the call would return */
  if (op->status.code == IPC_INVALID_ARGUMENT) return op->status;
  return ipc_stream_prepare(DIRECTION_BOTH, &op->stream);
}

/* Has an instance waited for, unless there is no patience for it. */
static ipc_status wait_for_instance(loop_operation *op) {
  if (op->what.timeout_ms == 0) return ipc_status_of(IPC_WOULD_BLOCK);
  op->waiting = ipc_pipe_begin_wait(op->address.text);
  if (op->waiting == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  op->event = op->waiting->done;
  return ipc_status_of(IPC_WOULD_BLOCK);
}

/* Ends the wait: 0, or why there will be no instance. ERROR_IO_PENDING: it goes on. */
static DWORD take_wait(loop_operation *op) {
  if (op->waiting == NULL) return 0;
  if (WaitForSingleObject(op->waiting->done, 0) != WAIT_OBJECT_0) return ERROR_IO_PENDING;
  DWORD error = op->waiting->error;
  ipc_errand_drop(op->waiting);
  op->waiting = NULL;
  op->event = NULL;
  return error == ERROR_OPERATION_ABORTED ? 0 : error; /* by somebody else: it is begun again */
}

/* The instance that was there after a wait may be somebody else's by now. */
static ipc_status attempt_connect(loop_operation *op) {
  if (op->status.code != IPC_OK) return op->status; /* of the name */
  HANDLE pipe;
  ipc_deadline now = {.timeout_ms = 0};
  DWORD error = take_wait(op);
  if (error == ERROR_IO_PENDING) return ipc_status_of(IPC_WOULD_BLOCK);
  if (error == 0) error = ipc_pipe_open(op->address.text, GENERIC_READ | GENERIC_WRITE, 0, &now, &pipe);
  if (error == ERROR_PIPE_BUSY) return wait_for_instance(op);
  if (error != 0) return ipc_platform_status(error);
  ipc_stream_own(op->stream, pipe, false, false);
  return ipc_status_of(IPC_OK);
}

static ipc_status end_connect(loop_operation *op, ipc_status status) {
  if (op->waiting != NULL) {
    ipc_errand_call_back(op->waiting);
    ipc_errand_drop(op->waiting);
    op->waiting = NULL;
  }
  return end_making(op, status);
}

static const loop_kind kind_connect = {begin_connect, attempt_connect, end_connect};

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
    case IPC_SUBMIT_TIMER:
      return &kind_timer;
    default:
      return NULL;
  }
}

#else

typedef int ipc_windows_loop_operation_is_gated_off; /* ISO C has no empty translation unit */

#endif /* IPC_WITHOUT_ASYNC */
