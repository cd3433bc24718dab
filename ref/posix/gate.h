/* gate.h - what lets a handle be closed while other threads are inside calls on it.
 *
 * Each handle has a gate. A call enters it and leaves it; close shuts it, wakes the calls that wait, and returns when
 * the last one has left. So a descriptor is never closed, and its number never reused, under a call that still uses
 * it. Entering and leaving are one atomic operation each. The gate wakes through descriptors of its own and never by
 * shutdown(2): the socket may be shared with another handle or another process, which must notice nothing.
 *
 * The wake descriptor is made by the first call that has to wait, not with the handle: most handles never need one,
 * and a handle costs one descriptor. When the process has none left to give, waiting goes on without, in slices.
 *
 * Who has calls inside that no thread waits for (loop.c) attaches himself to the gate. Shutting takes each attachment
 * off and calls it, and the attached makes his calls leave. So a close depends on nobody running a loop.
 */
#ifndef REF_POSIX_GATE_H
#define REF_POSIX_GATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ref/posix/deadline.h"

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
  _Atomic uint64_t wake; /* a packed ipc_wake, or GATE_NO_WAKE */
  pthread_mutex_t lock;  /* of the rest */
  pthread_cond_t left;   /* the last call left a gate that is shut */
  ipc_gate_attachment *attachments;
};

/* ipc_gate_init makes an open gate. errno. */
int ipc_gate_init(ipc_gate *gate);

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

/* ipc_gate_wait sleeps until |fd| has one of |events| of poll(2), or trouble, which the next attempt will name. The
 * caller is inside the gate. IPC_OK, IPC_TIMED_OUT, IPC_CANCELLED (the gate was shut), IPC_OUT_OF_RESOURCES,
 * IPC_FAILED. A signal handler that runs meanwhile does not end it and does not prolong it. */
int32_t ipc_gate_wait(ipc_gate *gate, int fd, short events, ipc_deadline *deadline);

#endif /* REF_POSIX_GATE_H */
