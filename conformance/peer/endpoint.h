/* endpoint.h - a handle of the library under test, and how each mode calls the library on it.
 *
 * A handle has one switch in the library, `set_nonblocking`, which three parties want to set: the runner
 * (stream.set_nonblocking: from then on single attempts), a request with `wait: false` (one attempt), and the mode (in
 * nonblocking mode a handle rests switched, and the kit waits for readiness). The library promises that calls under way
 * keep what they began with; so the switch is set for the calls that begin, and what has begun goes on:
 *
 * - A single attempt needs the switch on. Attempts may overlap; the last one restores the switch.
 * - A waiting call of blocking mode needs it off when it begins. It begins when no attempt is under way. If an attempt
 *   begins before the library has looked at the switch, the call answers would_block although it should wait; it is
 *   made again, if and only if the switch was moved meanwhile.
 * - In nonblocking mode a waiting call is an attempt, and a wait on the raw handle when that answers would_block.
 *   `close` ends that wait. Where the system tells no readiness the attempt is repeated instead.
 * - In async mode nothing is switched: a loop of the library carries calls out (tasks.h). A single attempt is a timeout
 *   that expires at once. Only on a handle that the runner has switched are calls made as they are.
 * - A call with `timeout_ms` is made as in blocking mode in every mode: the timeout is the library's, and a handle
 *   that is switched does not look at it.
 *
 * A library without the switch has blocking mode alone, and its calls are made as they are. */
#ifndef CTS_PEER_ENDPOINT_H
#define CTS_PEER_ENDPOINT_H

#include <stdbool.h>

#include "conformance/peer/platform.h"

/* The library's table, with NULL where it has no slot. Set once, before any request. */
extern ipc_table library;

/* True in nonblocking mode, and in async mode. Set once, before any handle exists. */
extern bool mode_nonblocking;
extern bool mode_async;

/* What a handle is. */
typedef enum endpoint_kind {
  ENDPOINT_LISTENER,
  ENDPOINT_STREAM,
  ENDPOINT_SOCKET,
  ENDPOINT_WATCHER,
  ENDPOINT_FRAMED,
  ENDPOINT_NAMED_PIPE,
} endpoint_kind;

typedef struct endpoint {
  endpoint_kind kind;
  union { /* the library's handle */
    void *handle;
    ipc_listener *listener;
    ipc_stream *stream;
    ipc_socket *socket;
    ipc_watcher *watcher;
    ipc_framed *framed;
    ipc_named_pipe *named_pipe;
  };
  ipc_raw raw;                /* nonblocking mode: what the kit waits on */
  platform_wake wake;         /* nonblocking mode: ends the kit's waits */
  bool can_switch;            /* the library has the switch for handles of this kind, and lends what the kit waits on */
  platform_mutex mutex;       /* guards the rest */
  platform_condition settled; /* no attempt is under way any more */
  bool user_nonblocking;      /* the runner's switch */
  bool switched;              /* where the library's switch is */
  bool closing;               /* close or release has begun */
  unsigned num_attempts;      /* calls under way that need the switch on */
  unsigned num_waiting;       /* calls under way that needed it off */
  unsigned num_kit_waits;     /* waits of the kit under way */
  uint64_t num_moves;         /* of the switch */
} endpoint;

/* endpoint_new wraps |handle| of |kind|, which the library has just made. It owns the handle, also when it fails: then
 * it returns NULL, the handle has been freed, and |*out_status| says why. */
endpoint *endpoint_new(endpoint_kind kind, void *handle, ipc_status *out_status);

/* endpoint_can_free tells whether the library's table has what ends handles of |kind|: close and free. */
bool endpoint_can_free(endpoint_kind kind);

/* endpoint_close ends the kit's waits and closes the handle in the library. */
ipc_status endpoint_close(endpoint *e);

/* endpoint_free frees the handle in the library, and everything of the endpoint. No call is under way. */
void endpoint_free(endpoint *e);

/* endpoint_end_waits ends the kit's waits, now and from now on, as `cancelled`. */
void endpoint_end_waits(endpoint *e);

/* endpoint_kit_waits tells whether the kit waits on the handle for some request. */
bool endpoint_kit_waits(endpoint *e);

/* endpoint_set_nonblocking sets the runner's switch. */
ipc_status endpoint_set_nonblocking(endpoint *e, bool nonblocking);

/* endpoint_follow gives |e|, new and made of |from|, the switch that |from| had: the library takes it along. */
void endpoint_follow(endpoint *e, endpoint *from);

/* endpoint_is_switched tells whether the library's switch is on, by the runner or for another request's attempt. */
bool endpoint_is_switched(endpoint *e);

/* One call of the library, and how it is to wait. */
typedef struct endpoint_request {
  int direction;      /* WAIT_READABLE or WAIT_WRITABLE: what it waits for */
  bool wait;          /* false: one attempt */
  int64_t timeout_ms; /* the library's own, or IPC_NO_TIMEOUT */
  ipc_status (*call)(endpoint *e, int64_t timeout_ms, void *context);
  void *context;
  bool own_wait; /* no readiness of the handle tells when to call again: the library waits in every mode */
  /* Async mode: the call as a submission, size, operation and what that takes; and what its completion says. NULL: the
   * call never waits, and is made as it is. */
  void (*submit)(endpoint *e, ipc_submission *out_submission, void *context);
  void (*complete)(const ipc_completion *done, void *context);
} endpoint_request;

/* endpoint_perform makes the call until it has something to say: its own status, IPC_WOULD_BLOCK only for a single
 * attempt (or from a library that breaks its promise), IPC_CANCELLED when the handle was closed while the kit waited.
 */
ipc_status endpoint_perform(endpoint *e, const endpoint_request *request);

#endif /* CTS_PEER_ENDPOINT_H */
