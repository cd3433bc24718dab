/* loop.h - asynchronous I/O by completion: begin operations, take their completions.
 *
 * A loop has any number of operations under way on any number of handles. What a completion says is what the call of
 * the same name would have returned; only the waiting is elsewhere. Handles work with and without a loop at the same
 * time, and with several loops. spec/async.md holds the requirements. Absent without `async`.
 *
 * Sources of the model: Microsoft, "I/O Completion Ports"; io_uring(7).
 */
#ifndef IPC_LOOP_H
#define IPC_LOOP_H

#include "ipc/ancillary.h"
#include "ipc/base.h"
#include "ipc/name.h"
#include "ipc/signal.h"
#include "ipc/socket.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A queue of operations and completions. submit, cancel and wake may be called from any thread at any time; one thread
 * at a time waits. A process may have many. */
typedef struct ipc_loop ipc_loop;

/* What a loop waits with. */
enum {
  IPC_LOOP_BEST = 0,   /* the best that the system has */
  IPC_LOOP_EPOLL = 1,  /* Linux */
  IPC_LOOP_KQUEUE = 2, /* macOS, FreeBSD */
  IPC_LOOP_POLL = 3,   /* every Unix: the fallback */
  IPC_LOOP_IOCP = 4,   /* Windows */
};

/* Options of ipc_loop_open. Zero-initialise, set `size`, then what is wanted. */
typedef struct ipc_loop_options {
  uint32_t size;    /* sizeof(ipc_loop_options) */
  uint32_t backend; /* IPC_LOOP_* */
} ipc_loop_options;

/* Operations of ipc_submission. Behind each: the call it is, and the fields it uses beside `operation`, `token` and
 * `timeout_ms`. Everything that fields point to is the caller's and must stay valid until the completion has been
 * taken; names are copied. */
enum {
  IPC_SUBMIT_ACCEPT = 1,          /* ipc_listener_accept: listener; result stream */
  IPC_SUBMIT_ACCEPT_SOCKET = 2,   /* ipc_listener_accept_socket: listener; result socket */
  IPC_SUBMIT_CONNECT = 3,         /* ipc_local_connect: name; result stream */
  IPC_SUBMIT_READ = 4,            /* ipc_stream_read: stream, buffers; result len */
  IPC_SUBMIT_WRITE = 5,           /* ipc_stream_write: stream, const_buffers; result len */
  IPC_SUBMIT_READ_ANCILLARY = 6,  /* ipc_stream_read_ancillary: stream, one of buffers, ancillary; result len */
  IPC_SUBMIT_WRITE_ANCILLARY = 7, /* ipc_stream_write_ancillary: stream, one of const_buffers, ancillary; result len */
  IPC_SUBMIT_SOCKET_CONNECT = 8,  /* ipc_socket_connect: socket, name */
  IPC_SUBMIT_SEND = 9,         /* ipc_socket_send: socket, const_buffers, name, ancillary (either may be NULL); len */
  IPC_SUBMIT_RECEIVE = 10,     /* ipc_socket_receive: socket, flags, buffers, received, ancillary (may be NULL); len */
  IPC_SUBMIT_NEXT_SIGNAL = 11, /* ipc_watcher_next: watcher, event */
  IPC_SUBMIT_FIFO_OPEN = 12,   /* ipc_fifo_open: name (its bytes are the path), flags, direction; result stream */
  IPC_SUBMIT_TIMER = 13,       /* nothing: completes as IPC_TIMED_OUT after timeout_ms */
};

/* An operation to begin. Zero-initialise, set `size`, then what the operation uses. */
typedef struct ipc_submission {
  uint32_t size;      /* sizeof(ipc_submission) */
  uint32_t operation; /* IPC_SUBMIT_* */
  uint64_t token;     /* the caller's; no other operation under way in the loop has it */
  int64_t timeout_ms; /* as of the call; runs from the submission */
  uint32_t flags;     /* of the call */
  uint32_t direction; /* IPC_FIFO_READ or IPC_FIFO_WRITE */
  ipc_listener *listener;
  ipc_stream *stream;
  ipc_socket *socket;
  ipc_watcher *watcher;
  const ipc_name *name;
  const ipc_buffer *buffers;             /* to read into */
  const ipc_const_buffer *const_buffers; /* to write from */
  size_t num_buffers;                    /* of either, at most 64 */
  ipc_received *received;
  ipc_ancillary *ancillary;
  ipc_signal_event *event;
} ipc_submission;

/* How an operation ended. */
typedef struct ipc_completion {
  uint64_t token;     /* of its submission */
  uint32_t operation; /* IPC_SUBMIT_* */
  ipc_status status;  /* what the call would have returned; IPC_WOULD_BLOCK only of an open with IPC_FIFO_NO_WAIT */
  size_t len;         /* bytes transferred, whatever the status */
  ipc_stream *stream; /* made by the operation: the caller's, to close and free */
  ipc_socket *socket; /* likewise */
} ipc_completion;

#ifndef IPC_WITHOUT_ASYNC

/* ipc_loop_open makes a loop. |options| may be NULL.
 * IPC_OK, IPC_UNSUPPORTED (a back end that the system does not have), IPC_OUT_OF_RESOURCES, IPC_INVALID_ARGUMENT,
 * IPC_FAILED. */
ipc_status ipc_loop_open(const ipc_loop_options *options, ipc_loop **out_loop);

/* ipc_loop_submit begins an operation and does not wait. On IPC_OK exactly one completion follows; it may be there at
 * once. Otherwise nothing has begun. Operations of one direction of one handle in one loop are carried out in the order
 * submitted: also sends to different receivers, and what is sent behind a socket's connect. A nonblocking mode of the
 * handle does not matter here.
 *
 *   IPC_OK
 *   IPC_INVALID_ARGUMENT   a NULL pointer, an unknown operation, a token that is under way, a `size` of another layout,
 *                          or what the call would refuse so
 *   IPC_CLOSED             the loop, or the handle, is closed
 *   IPC_UNSUPPORTED        the system cannot do this operation asynchronously
 *   IPC_OUT_OF_RESOURCES
 */
ipc_status ipc_loop_submit(ipc_loop *loop, const ipc_submission *submission);

/* ipc_loop_cancel ends the operation |token|: it completes exactly once, as IPC_CANCELLED with the bytes transferred
 * until then, or as what it has come to already. What a cancelled read had not taken, the next one gets.
 * IPC_OK, IPC_NOT_FOUND (no such operation is under way: it has completed), IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_loop_cancel(ipc_loop *loop, uint64_t token);

/* ipc_loop_wait waits until there is a completion, at most |timeout_ms|, and takes up to |completions_max| of them, in
 * the order in which the operations ended.
 *
 *   IPC_OK                 |*out_num| is at least 1
 *   IPC_TIMED_OUT          none came
 *   IPC_INTERRUPTED        ipc_loop_wake was called and there is no completion
 *   IPC_BUSY               another thread waits
 *   IPC_CLOSED             closed, and every completion has been taken
 *   IPC_INVALID_ARGUMENT, IPC_OUT_OF_RESOURCES, IPC_FAILED
 */
ipc_status ipc_loop_wait(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions, size_t completions_max,
                         size_t *out_num);

/* ipc_loop_wake makes the wait under way, or else the next one, return. Any number of wakes before that count as one.
 * It may be called in a signal handler. IPC_OK, IPC_CLOSED, IPC_INVALID_ARGUMENT. */
ipc_status ipc_loop_wake(ipc_loop *loop);

/* ipc_loop_close completes every operation under way as IPC_CANCELLED, makes a wait under way return and begins no
 * more; completions can still be taken. Handles made by operations whose completion nobody takes are closed by
 * ipc_loop_free. IPC_OK, IPC_CLOSED (it was before), IPC_INVALID_ARGUMENT. */
ipc_status ipc_loop_close(ipc_loop *loop);

/* ipc_loop_free closes the loop if that has not been done, and releases it. No other call on it may be under way. NULL
 * is allowed. Always IPC_OK.
 *
 * Closing a handle (ipc_stream_close, ...) completes its operations under way, in every loop, as IPC_CANCELLED. */
ipc_status ipc_loop_free(ipc_loop *loop);

#endif /* IPC_WITHOUT_ASYNC */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_LOOP_H */
