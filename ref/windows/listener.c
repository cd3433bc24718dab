/* listener.c - accepting connections. */
#include "ref/windows/listener.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ref/common/platform.h"
#include "ref/common/turn.h"
#include "ref/windows/claim.h"
#include "ref/windows/stream.h"

enum { INSTANCE_FRESH, INSTANCE_WAITING, INSTANCE_CONNECTED };

typedef struct instance {
  HANDLE pipe;
  uint32_t state; /* INSTANCE_*; WAITING: `operation` is under way */
  OVERLAPPED operation;
} instance;

struct ipc_listener {
  ipc_gate gate;
  _Atomic uint32_t references; /* the caller's, and those of accepted pipes that come back */
  ipc_pipe_home home;
  ipc_gate_attachment closing; /* ends the accepts that wait for their turn */
  ipc_monitor *monitor;
  ipc_turn turn;   /* of accepts */
  ipc_claim claim; /* on the name */
  ipc_listener_shape shape;
  ipc_address address;
  HANDLE connected;     /* event of all their operations */
  size_t num_instances; /* in `row`, all of which have a pipe; under the monitor, as is what follows */
  instance *row[BACKLOG_MAX];
  size_t backlog;
  instance instances[]; /* `backlog` of them */
};

static void take_back(ipc_pipe_home *home, HANDLE pipe);
static void leave_home(ipc_pipe_home *home);

/* ------------------------------------------------------------------------------------------------- life */

static void end_accepts(ipc_gate_attachment *attachment) {
  unsigned char *inside = (unsigned char *)attachment;
  (void)ipc_turn_end(&((ipc_listener *)(void *)(inside - offsetof(ipc_listener, closing)))->turn);
}

ipc_listener_shape ipc_listener_local_shape(bool same_user) {
  return (ipc_listener_shape){
      .instance =
          {
              .open_mode = PIPE_ACCESS_DUPLEX,
              .pipe_mode = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS,
              .instances_max = PIPE_UNLIMITED_INSTANCES,
              .in_size = PIPE_BUFFER,
              .out_size = PIPE_BUFFER,
          },
      .same_user = same_user,
  };
}

const ipc_listener_shape *ipc_listener_shape_of(const ipc_listener *listener) { return &listener->shape; }

ipc_status ipc_listener_prepare(const ipc_address *address, const ipc_listener_shape *shape, uint32_t backlog,
                                ipc_listener **out_listener) {
  size_t wanted = backlog == 0 ? BACKLOG_DEFAULT : backlog > BACKLOG_MAX ? BACKLOG_MAX : backlog;
  *out_listener = NULL;
  ipc_listener *listener = calloc(1, sizeof *listener + wanted * sizeof *listener->instances);
  if (listener == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  listener->backlog = wanted;
  listener->shape = *shape;
  listener->address = *address;
  for (size_t i = 0; i < wanted; i++) {
    listener->instances[i].pipe = INVALID_HANDLE_VALUE;
    listener->row[i] = &listener->instances[i];
  }
  listener->monitor = ipc_monitor_new();
  listener->connected = CreateEventW(NULL, TRUE, FALSE, NULL);
  if (!ipc_gate_init(&listener->gate) || listener->monitor == NULL || listener->connected == NULL) {
    ipc_listener_discard(listener);
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  atomic_init(&listener->references, 1);
  listener->home = (ipc_pipe_home){.gate = &listener->gate, .take_back = take_back, .leave = leave_home};
  ipc_turn_init(&listener->turn, listener->monitor);
  listener->closing = (ipc_gate_attachment){.shut = end_accepts, .owner = listener};
  (void)ipc_gate_attach(&listener->gate, &listener->closing);
  *out_listener = listener;
  return ipc_status_of(IPC_OK);
}

void ipc_listener_discard(ipc_listener *listener) {
  if (listener->gate.shut != NULL) {
    (void)ipc_gate_shut(&listener->gate);
    ipc_gate_destroy(&listener->gate);
  }
  if (listener->connected != NULL) (void)CloseHandle(listener->connected);
  if (listener->monitor != NULL) ipc_monitor_free(listener->monitor);
  free(listener);
}

/* Takes the operation of |at| back, if there is one. The event is that of all, so it may be set for another. */
static void stop_waiting(const ipc_listener *listener, instance *at) {
  DWORD len;
  if (at->state != INSTANCE_WAITING) return;
  (void)CancelIoEx(at->pipe, &at->operation);
  while (!HasOverlappedIoCompleted(&at->operation)) (void)WaitForSingleObject(listener->connected, 1);
  at->state = ipc_overlapped_result(at->pipe, &at->operation, &len) == 0 ? INSTANCE_CONNECTED : INSTANCE_FRESH;
}

/* Closes every instance from |first| on, and gives the name back. Nobody accepts any more. */
static void close_row(ipc_listener *listener, size_t first) {
  for (size_t i = first; i < listener->num_instances; i++) {
    stop_waiting(listener, listener->row[i]);
    (void)CloseHandle(listener->row[i]->pipe);
    listener->row[i]->pipe = INVALID_HANDLE_VALUE;
  }
  listener->num_instances = 0;
  ipc_claim_release(&listener->claim);
}

static DWORD make_instance(const ipc_listener *listener, DWORD open_flags, HANDLE *out_pipe) {
  ipc_pipe_security security;
  DWORD error = ipc_pipe_security_init(&security, listener->shape.same_user, false);
  if (error != 0) return error;
  ipc_pipe_instance_options options = listener->shape.instance;
  options.open_mode |= FILE_FLAG_OVERLAPPED | open_flags;
  options.security = &security;
  return ipc_pipe_make_instance(listener->address.text, &options, out_pipe);
}

/* Puts |pipe| at the end of the row, which has room. */
static void append(ipc_listener *listener, HANDLE pipe) {
  instance *at = listener->row[listener->num_instances++];
  at->pipe = pipe;
  at->state = INSTANCE_FRESH;
}

/* Fills the row up, as far as the system lets it. What there is stays. */
static DWORD fill_row(ipc_listener *listener) {
  while (listener->num_instances < listener->backlog) {
    HANDLE pipe;
    DWORD error = make_instance(listener, 0, &pipe);
    if (error == ERROR_PIPE_BUSY) return 0; /* the limit */
    if (error != 0) return error;
    append(listener, pipe);
  }
  return 0;
}

/* Whether |pipe| is what was asked for: one that joins others is what these are, and not every system refuses it then.
 * An end that has not the right to ask is taken at its word. */
static bool is_as_asked(const ipc_listener *listener, HANDLE pipe) {
  const ipc_pipe_instance_options *asked = &listener->shape.instance;
  DWORD flags, max;
  if (!GetNamedPipeInfo(pipe, &flags, NULL, NULL, &max)) return true;
  if (max > PIPE_UNLIMITED_INSTANCES) max = PIPE_UNLIMITED_INSTANCES; /* Wine says 0xFFFFFFFF */
  return ((flags ^ asked->pipe_mode) & PIPE_TYPE_MESSAGE) == 0 && max == asked->instances_max;
}

/* Makes an instance of a name that others may have instances of, too. */
static ipc_status open_shared(ipc_listener *listener) {
  int32_t code = ipc_claim_share(&listener->address, &listener->claim);
  if (code != IPC_OK) return ipc_status_of(code);
  HANDLE pipe;
  DWORD error = make_instance(listener, 0, &pipe);
  if (error != 0) return ipc_platform_status(error); /* ERROR_PIPE_BUSY: IPC_BUSY */
  append(listener, pipe);
  return ipc_status_of(is_as_asked(listener, pipe) ? IPC_OK : IPC_PERMISSION_DENIED);
}

/* Makes the first instance, and sees that it is the first. The system knows FILE_FLAG_FIRST_PIPE_INSTANCE; Wine does
 * not heed it, so among listeners of this library the claim decides, and the number of instances about everybody
 * else's. */
static ipc_status open_first(ipc_listener *listener) {
  int32_t code = ipc_claim_alone(&listener->address, &listener->claim);
  if (code != IPC_OK) return ipc_status_of(code);
  HANDLE pipe;
  DWORD error = make_instance(listener, FILE_FLAG_FIRST_PIPE_INSTANCE, &pipe);
  if (error == ERROR_ACCESS_DENIED || error == ERROR_PIPE_BUSY) return (ipc_status){IPC_IN_USE, error};
  if (error != 0) return ipc_platform_status(error);
  append(listener, pipe);
  DWORD instances;
  bool alone = !GetNamedPipeHandleStateW(pipe, NULL, &instances, NULL, NULL, NULL, 0) || instances <= 1;
  return ipc_status_of(alone ? IPC_OK : IPC_IN_USE);
}

ipc_status ipc_listener_open(ipc_listener *listener) {
  ipc_status status = listener->shape.share_name ? open_shared(listener) : open_first(listener);
  if (status.code == IPC_OK) {
    DWORD error = fill_row(listener);
    if (error != 0) status = ipc_platform_status(error);
  }
  if (status.code != IPC_OK) close_row(listener, 0);
  return status;
}

ipc_status ipc_listener_adopt(const ipc_raw *raw, ipc_listener **out_listener) {
  if (out_listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_listener = NULL;
  ipc_pipe_facts facts;
  ipc_status status = ipc_pipe_examine(raw, &facts);
  if (status.code != IPC_OK) return status;
  if (!facts.server || !facts.listening || facts.synchronous || facts.nonblocking ||
      facts.directions != DIRECTION_BOTH) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  HANDLE pipe = (HANDLE)(uintptr_t)raw->value;
  ipc_address address;
  ipc_listener *listener;
  DWORD error = ipc_address_of_pipe(&address, pipe);
  if (error != 0) return (ipc_status){IPC_INVALID_ARGUMENT, error};
  ipc_listener_shape shape = ipc_listener_local_shape(false);
  status = ipc_listener_prepare(&address, &shape, 0, &listener);
  if (status.code != IPC_OK) return status;
  (void)ipc_claim_alone(&address, &listener->claim); /* somebody may have it: the handle is what counts */
  append(listener, pipe);
  error = fill_row(listener);
  if (error == 0 && !SetHandleInformation(pipe, HANDLE_FLAG_INHERIT, 0)) error = GetLastError();
  if (error != 0) {
    close_row(listener, 1); /* the first stays the caller's */
    ipc_listener_discard(listener);
    return ipc_platform_status(error);
  }
  *out_listener = listener;
  return status;
}

ipc_status ipc_listener_close(ipc_listener *listener) {
  if (listener == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  close_row(listener, 0);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_listener_free(ipc_listener *listener) {
  if (listener == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_listener_close(listener);
  leave_home(&listener->home);
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_listener_release(ipc_listener *listener, ipc_raw *out_raw) {
  if (listener == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_gate_shut(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  if (listener->num_instances == 0) { /* every one is connected */
    close_row(listener, 0);
    return ipc_status_of(IPC_BUSY);
  }
  stop_waiting(listener, listener->row[0]);
  *out_raw = ipc_pipe_raw(listener->row[0]->pipe);
  close_row(listener, 1);
  return ipc_status_of(IPC_OK);
}

/* ----------------------------------------------------------------------------------------------- accept */

/* Whether |error| of a ConnectNamedPipe says that a client is there, or was and has left: that is a connection, too. */
static bool means_connected(DWORD error) {
  return error == 0 || error == ERROR_PIPE_CONNECTED || error == ERROR_NO_DATA;
}

/* Notes whether |at| has a client, and has it waited for if not. The system takes back what a thread has begun when
 * that ends: then it is begun again. A Win32 error if the instance is of no use. */
static DWORD look_at(const ipc_listener *listener, instance *at, bool *out_begun) {
  DWORD len;
  DWORD error = ERROR_OPERATION_ABORTED;
  if (at->state == INSTANCE_WAITING) {
    if (!HasOverlappedIoCompleted(&at->operation)) return 0;
    error = ipc_overlapped_result(at->pipe, &at->operation, &len);
  }
  if (at->state != INSTANCE_CONNECTED && error == ERROR_OPERATION_ABORTED) {
    at->operation = ipc_overlapped_init(listener->connected);
    *out_begun = true;
    error = ConnectNamedPipe(at->pipe, &at->operation) ? 0 : GetLastError();
    if (error == ERROR_IO_PENDING) {
      at->state = INSTANCE_WAITING;
      return 0;
    }
  }
  if (at->state == INSTANCE_CONNECTED || means_connected(error)) {
    at->state = INSTANCE_CONNECTED;
    return 0;
  }
  at->state = INSTANCE_FRESH;
  return error;
}

/* Takes the connection of row[|i|]; a new instance takes its place, at the end of the row, unless the limit is reached.
 */
static ipc_status take(ipc_listener *listener, size_t i, HANDLE *out_pipe) {
  HANDLE fresh;
  DWORD error = make_instance(listener, 0, &fresh);
  bool limited = error == ERROR_PIPE_BUSY && listener->shape.named_pipe;
  if (error != 0 && !limited) {
    ipc_status status = ipc_platform_status(error);
    return status.code == IPC_BUSY ? (ipc_status){IPC_OUT_OF_RESOURCES, error} : status;
  }
  instance *taken = listener->row[i];
  *out_pipe = taken->pipe;
  taken->pipe = limited ? INVALID_HANDLE_VALUE : fresh;
  taken->state = INSTANCE_FRESH;
  memmove(&listener->row[i], &listener->row[i + 1], (listener->num_instances - i - 1) * sizeof *listener->row);
  listener->row[listener->num_instances - 1] = taken;
  if (limited) listener->num_instances--;
  return ipc_status_of(IPC_OK);
}

/* Looks at all before it takes one: what is begun for the last costs nobody a connection. */
static ipc_status take_oldest(ipc_listener *listener, HANDLE *out_pipe) {
  DWORD error = listener->shape.named_pipe ? fill_row(listener) : 0;
  if (error != 0) return ipc_platform_status(error);
  size_t found = listener->num_instances;
  bool begun;
  (void)ResetEvent(listener->connected); /* it may be set for a connection that was taken long ago */
  do { /* what is begun resets the event: of others it may have been set behind the look at them */
    begun = false;
    for (size_t i = listener->num_instances; i-- > 0;) {
      error = look_at(listener, listener->row[i], &begun);
      if (error != 0) return ipc_platform_status(error);
      if (listener->row[i]->state == INSTANCE_CONNECTED) found = i;
    }
  } while (begun);
  return found < listener->num_instances ? take(listener, found, out_pipe) : ipc_status_of(IPC_WOULD_BLOCK);
}

/* The caller has the turn. IPC_TIMED_OUT if nobody came in time. */
static ipc_status await_connection(ipc_listener *listener, ipc_deadline *deadline, HANDLE *out_pipe) {
  for (;;) {
    ipc_monitor_lock(listener->monitor);
    ipc_status status = take_oldest(listener, out_pipe);
    bool full = listener->num_instances == 0;
    ipc_monitor_unlock(listener->monitor);
    if (status.code != IPC_WOULD_BLOCK) return status;
    int left_ms = ipc_deadline_left_ms(deadline);
    ipc_deadline slice = {.timeout_ms = left_ms < 0 || left_ms > SLICE_MS ? SLICE_MS : left_ms};
    int32_t code = ipc_gate_wait(&listener->gate, &listener->connected, 1, full && left_ms != 0 ? &slice : deadline);
    if (code != IPC_OK && !(code == IPC_TIMED_OUT && full && left_ms != 0)) return ipc_status_of(code);
  }
}

/* ------------------------------------------------------------------------------------------ coming back */

ipc_pipe_home *ipc_listener_home(ipc_listener *listener) {
  if (!listener->shape.named_pipe || listener->shape.instance.instances_max == PIPE_UNLIMITED_INSTANCES) return NULL;
  (void)atomic_fetch_add(&listener->references, 1);
  return &listener->home;
}

static ipc_listener *listener_at(ipc_pipe_home *home) {
  return (ipc_listener *)(void *)((unsigned char *)home - offsetof(ipc_listener, home));
}

static void leave_home(ipc_pipe_home *home) {
  ipc_listener *listener = listener_at(home);
  if (atomic_fetch_sub(&listener->references, 1) == 1) ipc_listener_discard(listener);
}

/* Makes an instance that was connected as it was made, but that no client can connect to. False if it cannot be. */
static bool restore(const ipc_listener *listener, HANDLE pipe) {
  DWORD mode = listener->shape.instance.pipe_mode & PIPE_READMODE_MESSAGE;
  if (!DisconnectNamedPipe(pipe) && GetLastError() != ERROR_PIPE_NOT_CONNECTED) return false;
  /* An end that has not the right to set the mode has not set it before either. */
  return SetNamedPipeHandleState(pipe, &mode, NULL, NULL) || GetLastError() == ERROR_ACCESS_DENIED;
}

/* Has clients connect to the one instance of the row, which was restored. */
static void reopen(ipc_listener *listener) {
  bool begun;
  if (look_at(listener, listener->row[0], &begun) == 0) return;
  (void)CloseHandle(listener->row[0]->pipe);
  listener->row[0]->pipe = INVALID_HANDLE_VALUE;
  listener->num_instances = 0;
}

/* An instance that comes back to others is closed, and one made in its place that the system finds last, as the row
 * has it last. The only one is used again. */
static void take_back(ipc_pipe_home *home, HANDLE pipe) {
  ipc_listener *listener = listener_at(home);
  bool restored = restore(listener, pipe);
  ipc_monitor_lock(listener->monitor);
  if (restored && listener->num_instances == 0) {
    append(listener, pipe);
    reopen(listener);
  } else {
    (void)CloseHandle(pipe);
  }
  (void)fill_row(listener);            /* if it fails, who accepts is told */
  (void)SetEvent(listener->connected); /* what was begun has reset it */
  ipc_monitor_unlock(listener->monitor);
}

/* ------------------------------------------------------------------------------------------- waiting for it */

static ipc_status take_turn_and_connection(ipc_listener *listener, ipc_deadline *deadline, HANDLE *out_pipe) {
  int32_t code = ipc_turn_take(&listener->turn, deadline);
  if (code != IPC_OK) return ipc_status_of(code == IPC_CLOSED ? IPC_CANCELLED : code);
  ipc_status status = await_connection(listener, deadline, out_pipe);
  ipc_turn_give(&listener->turn);
  return status;
}

ipc_gate *ipc_listener_gate(ipc_listener *listener) { return &listener->gate; }

ipc_status ipc_listener_attempt(ipc_listener *listener, HANDLE *out_pipe) {
  ipc_deadline now = {.timeout_ms = 0};
  ipc_status status = take_turn_and_connection(listener, &now, out_pipe);
  return status.code == IPC_TIMED_OUT ? ipc_status_of(IPC_WOULD_BLOCK) : status;
}

HANDLE ipc_listener_event(const ipc_listener *listener) { return listener->connected; }

static ipc_status accept_inside(ipc_listener *listener, int64_t timeout_ms, HANDLE *out_pipe) {
  if (!ipc_gate_enter(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  bool nonblocking = atomic_load_explicit(&listener->gate.nonblocking, memory_order_relaxed);
  ipc_deadline deadline = {.timeout_ms = nonblocking ? 0 : timeout_ms};
  ipc_status status = take_turn_and_connection(listener, &deadline, out_pipe);
  ipc_gate_leave(&listener->gate);
  if (status.code == IPC_TIMED_OUT && nonblocking) status.code = IPC_WOULD_BLOCK;
  return status;
}

ipc_status ipc_listener_accept_pipe(ipc_listener *listener, bool named_pipe, int64_t timeout_ms, HANDLE *out_pipe) {
  if (ipc_gate_is_shut(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  if (listener->shape.named_pipe != named_pipe) return ipc_status_of(IPC_UNSUPPORTED);
  return accept_inside(listener, timeout_ms, out_pipe);
}

ipc_status ipc_listener_accept(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  if (out_stream != NULL) *out_stream = NULL;
  if (listener == NULL || out_stream == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_stream *stream;
  HANDLE pipe;
  ipc_status status = ipc_stream_prepare(DIRECTION_BOTH, &stream);
  if (status.code != IPC_OK) return status;
  status = ipc_listener_accept_pipe(listener, false, timeout_ms, &pipe);
  if (status.code != IPC_OK) {
    ipc_stream_discard(stream);
    return status;
  }
  ipc_stream_own(stream, pipe, false, true);
  *out_stream = stream;
  return status;
}

/* ------------------------------------------------------------------------------------------------- rest */

ipc_status ipc_listener_native(ipc_listener *listener, void *out_native, size_t native_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (listener == NULL || out_native == NULL || out_len == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (ipc_gate_is_shut(&listener->gate)) return ipc_status_of(IPC_CLOSED);
  *out_len = listener->address.native_len;
  if (*out_len > native_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_native, listener->address.native, *out_len);
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
  ipc_monitor_lock(listener->monitor);
  bool full = listener->num_instances == 0;
  if (!full) *out_raw = ipc_pipe_raw(listener->row[0]->pipe);
  ipc_monitor_unlock(listener->monitor);
  ipc_gate_leave(&listener->gate);
  return ipc_status_of(full ? IPC_BUSY : IPC_OK);
}
