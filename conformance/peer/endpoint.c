/* endpoint.c - see endpoint.h. */
#include "conformance/peer/endpoint.h"

#include <stdlib.h>

#include "conformance/kits/c/cts_peer.h"
#include "conformance/peer/tasks.h"

ipc_table library;
bool mode_nonblocking;
bool mode_async;

static ipc_status status_of(int32_t code) { return (ipc_status){code, 0}; }

/* The library's functions for each kind of handle, with what is common to all of them. */

/* needs_raw tells whether the kit waits for readiness of the system's handles. */
static bool needs_raw(void) { return mode_nonblocking && !platform_asks_again; }

static bool library_can_switch(endpoint_kind kind) {
  switch (kind) {
    case ENDPOINT_LISTENER:
      return library.listener_set_nonblocking != NULL && (!needs_raw() || library.listener_raw != NULL);
    case ENDPOINT_STREAM:
      return library.stream_set_nonblocking != NULL && (!needs_raw() || library.stream_raw != NULL);
    case ENDPOINT_SOCKET:
      return library.socket_set_nonblocking != NULL && (!needs_raw() || library.socket_raw != NULL);
    case ENDPOINT_WATCHER:
      return library.watcher_set_nonblocking != NULL && (!needs_raw() || library.watcher_raw != NULL);
    case ENDPOINT_FRAMED:
      return library.framed_set_nonblocking != NULL && (!needs_raw() || library.framed_raw != NULL);
    case ENDPOINT_NAMED_PIPE:
      return library.named_pipe_set_nonblocking != NULL && (!needs_raw() || library.named_pipe_raw != NULL);
  }
  return false;
}

static ipc_status library_set_nonblocking(endpoint *e, bool nonblocking) {
  switch (e->kind) {
    case ENDPOINT_LISTENER:
      return library.listener_set_nonblocking(e->listener, nonblocking);
    case ENDPOINT_STREAM:
      return library.stream_set_nonblocking(e->stream, nonblocking);
    case ENDPOINT_SOCKET:
      return library.socket_set_nonblocking(e->socket, nonblocking);
    case ENDPOINT_WATCHER:
      return library.watcher_set_nonblocking(e->watcher, nonblocking);
    case ENDPOINT_FRAMED:
      return library.framed_set_nonblocking(e->framed, nonblocking);
    case ENDPOINT_NAMED_PIPE:
      return library.named_pipe_set_nonblocking(e->named_pipe, nonblocking);
  }
  return status_of(IPC_INVALID_ARGUMENT);
}

static ipc_status library_raw(endpoint *e) {
  switch (e->kind) {
    case ENDPOINT_LISTENER:
      return library.listener_raw(e->listener, &e->raw);
    case ENDPOINT_STREAM:
      return library.stream_raw(e->stream, &e->raw);
    case ENDPOINT_SOCKET:
      return library.socket_raw(e->socket, &e->raw);
    case ENDPOINT_WATCHER:
      return library.watcher_raw(e->watcher, &e->raw);
    case ENDPOINT_FRAMED:
      return library.framed_raw(e->framed, &e->raw);
    case ENDPOINT_NAMED_PIPE:
      return library.named_pipe_raw(e->named_pipe, &e->raw);
  }
  return status_of(IPC_INVALID_ARGUMENT);
}

static ipc_status library_close(endpoint *e) {
  switch (e->kind) {
    case ENDPOINT_LISTENER:
      return library.listener_close(e->listener);
    case ENDPOINT_STREAM:
      return library.stream_close(e->stream);
    case ENDPOINT_SOCKET:
      return library.socket_close(e->socket);
    case ENDPOINT_WATCHER:
      return library.watcher_close(e->watcher);
    case ENDPOINT_FRAMED:
      return library.framed_close(e->framed);
    case ENDPOINT_NAMED_PIPE:
      return library.named_pipe_close(e->named_pipe);
  }
  return status_of(IPC_INVALID_ARGUMENT);
}

static void library_free(endpoint_kind kind, void *handle) {
  switch (kind) {
    case ENDPOINT_LISTENER:
      library.listener_free(handle);
      break;
    case ENDPOINT_STREAM:
      library.stream_free(handle);
      break;
    case ENDPOINT_SOCKET:
      library.socket_free(handle);
      break;
    case ENDPOINT_WATCHER:
      library.watcher_free(handle);
      break;
    case ENDPOINT_FRAMED:
      library.framed_free(handle);
      break;
    case ENDPOINT_NAMED_PIPE:
      library.named_pipe_free(handle);
      break;
  }
}

bool endpoint_can_free(endpoint_kind kind) {
  switch (kind) {
    case ENDPOINT_LISTENER:
      return library.listener_close != NULL && library.listener_free != NULL;
    case ENDPOINT_STREAM:
      return library.stream_close != NULL && library.stream_free != NULL;
    case ENDPOINT_SOCKET:
      return library.socket_close != NULL && library.socket_free != NULL;
    case ENDPOINT_WATCHER:
      return library.watcher_close != NULL && library.watcher_free != NULL;
    case ENDPOINT_FRAMED:
      return library.framed_close != NULL && library.framed_free != NULL;
    case ENDPOINT_NAMED_PIPE:
      return library.named_pipe_close != NULL && library.named_pipe_free != NULL;
  }
  return false;
}

/* library_switch moves the library's switch. e->mutex is held (or nobody else knows the endpoint yet). */
static ipc_status library_switch(endpoint *e, bool nonblocking) {
  ipc_status status = library_set_nonblocking(e, nonblocking);
  if (status.code == IPC_OK) {
    e->switched = nonblocking;
    e->num_moves++;
  }
  return status;
}

/* settle moves the switch to where the calls under way and the two standing wishes want it. e->mutex is held. */
static ipc_status settle(endpoint *e) {
  bool wanted = e->num_attempts > 0 || e->user_nonblocking || (mode_nonblocking && e->num_waiting == 0);
  return wanted == e->switched ? status_of(IPC_OK) : library_switch(e, wanted);
}

/* prepare_nonblocking switches a new handle and gets what the kit waits on, if it waits. */
static ipc_status prepare_nonblocking(endpoint *e) {
  ipc_status status = needs_raw() ? library_raw(e) : status_of(IPC_OK);
  if (status.code != IPC_OK) return status;
  if (needs_raw() && !platform_wake_open(&e->wake)) return status_of(IPC_OUT_OF_RESOURCES);
  return library_switch(e, true);
}

endpoint *endpoint_new(endpoint_kind kind, void *handle, ipc_status *out_status) {
  endpoint *e = calloc(1, sizeof(*e));
  if (e == NULL) {
    library_free(kind, handle);
    *out_status = status_of(IPC_OUT_OF_RESOURCES);
    return NULL;
  }
  e->kind = kind;
  e->handle = handle;
  e->wake = (platform_wake)PLATFORM_WAKE_INIT;
  platform_mutex_init(&e->mutex);
  platform_condition_init(&e->settled);
  e->can_switch = library_can_switch(kind);
  *out_status = mode_nonblocking && e->can_switch ? prepare_nonblocking(e) : status_of(IPC_OK);
  if (out_status->code == IPC_OK) return e;
  endpoint_free(e);
  return NULL;
}

void endpoint_free(endpoint *e) {
  library_free(e->kind, e->handle);
  platform_wake_close(&e->wake);
  platform_mutex_destroy(&e->mutex);
  platform_condition_destroy(&e->settled);
  free(e);
}

void endpoint_end_waits(endpoint *e) {
  platform_lock(&e->mutex);
  e->closing = true;
  platform_unlock(&e->mutex);
  platform_wake_set(&e->wake);
}

ipc_status endpoint_close(endpoint *e) {
  endpoint_end_waits(e);
  return library_close(e);
}

bool endpoint_kit_waits(endpoint *e) {
  platform_lock(&e->mutex);
  bool waits = e->num_kit_waits > 0;
  platform_unlock(&e->mutex);
  return waits;
}

bool endpoint_is_switched(endpoint *e) {
  platform_lock(&e->mutex);
  bool switched = e->switched;
  platform_unlock(&e->mutex);
  return switched;
}

ipc_status endpoint_set_nonblocking(endpoint *e, bool nonblocking) {
  platform_lock(&e->mutex);
  ipc_status status = library_switch(e, nonblocking); /* asked for, so made, even if it changes nothing */
  if (status.code == IPC_OK) {
    e->user_nonblocking = nonblocking;
    settle(e);
  }
  platform_unlock(&e->mutex);
  return status;
}

void endpoint_follow(endpoint *e, endpoint *from) {
  platform_lock(&from->mutex);
  e->user_nonblocking = from->user_nonblocking;
  if (!mode_nonblocking) e->switched = from->switched;
  platform_unlock(&from->mutex);
}

/* One making of the call: how it is made, and what the switch had done when it began. */
typedef struct turn {
  bool single;    /* would_block is its answer */
  bool attempt;   /* it needs the switch on */
  uint64_t moves; /* of the switch, when it began */
} turn;

/* turn_begin decides how the call is made now, and puts the switch there. */
static ipc_status turn_begin(endpoint *e, const endpoint_request *request, turn *t) {
  ipc_status status = status_of(IPC_OK);
  platform_lock(&e->mutex);
  for (;;) {
    t->single = !request->wait || e->user_nonblocking;
    bool kit_waits = mode_nonblocking && request->timeout_ms < 0 && !request->own_wait;
    t->attempt = e->can_switch && (t->single || kit_waits);
    if (t->attempt || e->num_attempts == 0) break;
    platform_wait(&e->settled, &e->mutex); /* attempts never wait for long */
  }
  unsigned *count = t->attempt ? &e->num_attempts : &e->num_waiting;
  ++*count;
  if (e->can_switch) status = settle(e);
  if (status.code != IPC_OK) --*count;
  t->moves = e->num_moves;
  platform_unlock(&e->mutex);
  return status;
}

/* turn_end restores the switch and tells whether it was moved by others during the call. */
static bool turn_end(endpoint *e, const turn *t) {
  platform_lock(&e->mutex);
  bool moved = e->num_moves != t->moves;
  --*(t->attempt ? &e->num_attempts : &e->num_waiting);
  if (e->num_attempts == 0) {
    settle(e); /* on a handle that was closed meanwhile it fails, and does not matter */
    platform_wake_all(&e->settled);
  }
  platform_unlock(&e->mutex);
  return moved;
}

/* kit_wait waits for readiness, or for a moment; false when the handle is being closed. */
static bool kit_wait(endpoint *e, int direction) {
  platform_lock(&e->mutex);
  bool open = !e->closing;
  if (open) e->num_kit_waits++;
  platform_unlock(&e->mutex);
  if (!open) return false;
  if (platform_asks_again) {
    open = cts_again(cts_current());
  } else {
    platform_wait_ready(&e->raw, direction, &e->wake);
  }
  platform_lock(&e->mutex);
  e->num_kit_waits--;
  open = open && !e->closing;
  platform_unlock(&e->mutex);
  return open;
}

/* perform_task has the loop make the call. */
static ipc_status perform_task(endpoint *e, const endpoint_request *request) {
  ipc_completion done;
  ipc_submission submission = {.size = sizeof(submission)};
  request->submit(e, &submission, request->context);
  submission.timeout_ms = request->wait ? request->timeout_ms : 0;
  ipc_status status = tasks_perform(&submission, &done);
  request->complete(&done, request->context);
  if (!request->wait && status.code == IPC_TIMED_OUT) status.code = IPC_WOULD_BLOCK;
  return status;
}

ipc_status endpoint_perform(endpoint *e, const endpoint_request *request) {
  if (mode_async && request->submit != NULL && !endpoint_is_switched(e)) return perform_task(e, request);
  for (bool has_waited = false;; has_waited = true) {
    turn t;
    ipc_status status = turn_begin(e, request, &t);
    if (has_waited && status.code == IPC_CLOSED) return status_of(IPC_CANCELLED); /* it was under way all the time */
    if (status.code != IPC_OK) return status;
    status = request->call(e, request->timeout_ms, request->context);
    bool moved = turn_end(e, &t);
    if (has_waited && t.attempt && status.code == IPC_CLOSED) return status_of(IPC_CANCELLED);
    if (status.code != IPC_WOULD_BLOCK || t.single) return status;
    if (t.attempt) {
      if (!kit_wait(e, request->direction)) return status_of(IPC_CANCELLED);
    } else if (!moved) {
      return status;
    }
  }
}
