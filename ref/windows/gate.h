/* gate.h - what lets a handle be closed while other threads are inside calls on it.
 *
 * Each handle has a gate. A call enters it and leaves it; close shuts it, wakes the calls that wait, and returns when
 * the last one has left. So a system handle is never closed, and its value never reused, under a call that still uses
 * it. Entering and leaving are one atomic operation each. What wakes is an event of the gate's own: the pipe may be
 * shared with another handle or another process, whose operations must not be cancelled.
 *
 * Who has calls inside that no thread waits for attaches himself to the gate. Shutting takes each attachment off and
 * calls it, and the attached makes his calls leave. So a close depends on nobody running a loop.
 */
#ifndef REF_WINDOWS_GATE_H
#define REF_WINDOWS_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ref/common/deadline.h"
#include "ref/windows/win32.h"

typedef struct ipc_gate ipc_gate;

/* What is told when a gate is shut. Its owner keeps it alive while it is attached, and until `shut` has returned. */
typedef struct ipc_gate_attachment ipc_gate_attachment;
struct ipc_gate_attachment {
  /* Called once, by the thread that shuts and without a lock, after the attachment was taken off: makes every call that
   * the owner has inside leave, and waits for nobody else's. */
  void (*shut)(ipc_gate_attachment *attachment);
  const void *owner;
  ipc_gate_attachment *next;
  ipc_gate_attachment **link; /* what points to this one; NULL when it is not attached */
};

struct ipc_gate {
  _Atomic uint32_t state; /* GATE_SHUT | calls inside */
  _Atomic bool nonblocking;
  HANDLE shut;  /* event, manual reset: set when the gate is shut */
  SRWLOCK lock; /* of the rest */
  CONDITION_VARIABLE left;
  ipc_gate_attachment *attachments;
};

/* ipc_gate_init makes an open gate. False if the system has no event left. */
bool ipc_gate_init(ipc_gate *gate);

/* ipc_gate_destroy releases it. It must be shut. */
void ipc_gate_destroy(ipc_gate *gate);

/* ipc_gate_enter is true if the gate is open; ipc_gate_leave must follow. */
bool ipc_gate_enter(ipc_gate *gate);
void ipc_gate_leave(ipc_gate *gate);

/* ipc_gate_shut shuts the gate, wakes every call inside and returns when they have left. False if it was shut before.
 * Afterwards the caller alone owns what is behind it. */
bool ipc_gate_shut(ipc_gate *gate);

/* ipc_gate_shut_if_empty shuts the gate if no call is inside: IPC_OK, IPC_BUSY, or IPC_CLOSED if it was shut before. */
int32_t ipc_gate_shut_if_empty(ipc_gate *gate);

bool ipc_gate_is_shut(const ipc_gate *gate);

/* ipc_gate_attach attaches |attachment|, its `shut` and `owner` set; false if the gate is shut. ipc_gate_attached finds
 * the attachment of |owner|, or NULL. ipc_gate_detach is false if the attachment has been taken off already: then its
 * `shut` is about to be called, is being called, or has been called. An owner may hold a lock of its own around these
 * that its `shut` takes, too: no lock is held there. */
bool ipc_gate_attach(ipc_gate *gate, ipc_gate_attachment *attachment);
ipc_gate_attachment *ipc_gate_attached(ipc_gate *gate, const void *owner);
bool ipc_gate_detach(ipc_gate *gate, ipc_gate_attachment *attachment);

/* ipc_gate_wait sleeps until one of |num| |events|, at most GATE_EVENTS_MAX, is set. The caller is inside the gate.
 * IPC_OK (also if the gate is shut by now), IPC_TIMED_OUT, IPC_CANCELLED (the gate was shut), IPC_FAILED. */
enum { GATE_EVENTS_MAX = MAXIMUM_WAIT_OBJECTS - 1 };
int32_t ipc_gate_wait(ipc_gate *gate, const HANDLE *events, size_t num, ipc_deadline *deadline);

#endif /* REF_WINDOWS_GATE_H */
