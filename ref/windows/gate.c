/* gate.c - entering, leaving, shutting, and waiting behind a gate. */
#include "ref/windows/gate.h"

#include <assert.h>
#include <stddef.h>

#include "ipc/status.h"

#define GATE_SHUT 0x80000000u

bool ipc_gate_init(ipc_gate *gate) {
  atomic_init(&gate->state, 0);
  atomic_init(&gate->nonblocking, false);
  InitializeSRWLock(&gate->lock);
  InitializeConditionVariable(&gate->left);
  gate->attachments = NULL;
  gate->shut = CreateEventW(NULL, TRUE, FALSE, NULL);
  return gate->shut != NULL;
}

void ipc_gate_destroy(ipc_gate *gate) {
  assert(ipc_gate_is_shut(gate));
  assert(gate->attachments == NULL);
  (void)CloseHandle(gate->shut);
}

bool ipc_gate_is_shut(const ipc_gate *gate) { return (atomic_load(&gate->state) & GATE_SHUT) != 0; }

bool ipc_gate_enter(ipc_gate *gate) {
  uint32_t state = atomic_load_explicit(&gate->state, memory_order_relaxed);
  do {
    if ((state & GATE_SHUT) != 0) return false;
  } while (!atomic_compare_exchange_weak_explicit(&gate->state, &state, state + 1, memory_order_acquire,
                                                  memory_order_relaxed));
  return true;
}

/* Out of a shut gate a call leaves under the lock: once close sees that nobody is inside, nobody will touch the gate
 * any more, and it may be freed. */
static void leave_shut(ipc_gate *gate) {
  AcquireSRWLockExclusive(&gate->lock);
  uint32_t before = atomic_fetch_sub_explicit(&gate->state, 1, memory_order_release);
  assert((before & ~GATE_SHUT) != 0);
  if (before == (GATE_SHUT | 1)) WakeConditionVariable(&gate->left);
  ReleaseSRWLockExclusive(&gate->lock);
}

void ipc_gate_leave(ipc_gate *gate) {
  uint32_t state = atomic_load_explicit(&gate->state, memory_order_relaxed);
  do {
    if ((state & GATE_SHUT) != 0) {
      leave_shut(gate);
      return;
    }
    assert(state != 0);
  } while (!atomic_compare_exchange_weak_explicit(&gate->state, &state, state - 1, memory_order_release,
                                                  memory_order_relaxed));
}

/* Whether the gate is shut is decided under the lock: a gate being shut takes the lock after it is, and finds every
 * attachment that was let in before. */
bool ipc_gate_attach(ipc_gate *gate, ipc_gate_attachment *attachment) {
  AcquireSRWLockExclusive(&gate->lock);
  bool open = !ipc_gate_is_shut(gate);
  if (open) {
    attachment->next = gate->attachments;
    attachment->link = &gate->attachments;
    if (attachment->next != NULL) attachment->next->link = &attachment->next;
    gate->attachments = attachment;
  }
  ReleaseSRWLockExclusive(&gate->lock);
  return open;
}

ipc_gate_attachment *ipc_gate_attached(ipc_gate *gate, const void *owner) {
  AcquireSRWLockExclusive(&gate->lock);
  ipc_gate_attachment *found = gate->attachments;
  while (found != NULL && found->owner != owner) found = found->next;
  ReleaseSRWLockExclusive(&gate->lock);
  return found;
}

/* gate->lock is held. */
static void unlink_attachment(ipc_gate_attachment *attachment) {
  *attachment->link = attachment->next;
  if (attachment->next != NULL) attachment->next->link = attachment->link;
  attachment->link = NULL;
}

bool ipc_gate_detach(ipc_gate *gate, ipc_gate_attachment *attachment) {
  AcquireSRWLockExclusive(&gate->lock);
  bool attached = attachment->link != NULL;
  if (attached) unlink_attachment(attachment);
  ReleaseSRWLockExclusive(&gate->lock);
  return attached;
}

/* Tells everybody who is attached to the gate, which is shut. gate->lock is held, but not while they are told. */
static void end_attachments(ipc_gate *gate) {
  while (gate->attachments != NULL) {
    ipc_gate_attachment *attachment = gate->attachments;
    unlink_attachment(attachment);
    ReleaseSRWLockExclusive(&gate->lock);
    attachment->shut(attachment);
    AcquireSRWLockExclusive(&gate->lock);
  }
}

bool ipc_gate_shut(ipc_gate *gate) {
  if ((atomic_fetch_or(&gate->state, GATE_SHUT) & GATE_SHUT) != 0) return false;
  (void)SetEvent(gate->shut);
  AcquireSRWLockExclusive(&gate->lock);
  end_attachments(gate);
  while (atomic_load_explicit(&gate->state, memory_order_acquire) != GATE_SHUT) {
    (void)SleepConditionVariableSRW(&gate->left, &gate->lock, INFINITE, 0);
  }
  ReleaseSRWLockExclusive(&gate->lock);
  return true;
}

int32_t ipc_gate_shut_if_empty(ipc_gate *gate) {
  uint32_t empty = 0;
  if (!atomic_compare_exchange_strong(&gate->state, &empty, GATE_SHUT)) {
    return (empty & GATE_SHUT) != 0 ? IPC_CLOSED : IPC_BUSY;
  }
  (void)SetEvent(gate->shut);
  AcquireSRWLockExclusive(&gate->lock);
  end_attachments(gate);
  ReleaseSRWLockExclusive(&gate->lock);
  return IPC_OK;
}

/* Of several events that are set the system names the first: what has happened comes before the close. */
int32_t ipc_gate_wait(ipc_gate *gate, const HANDLE *events, size_t num, ipc_deadline *deadline) {
  HANDLE waits[MAXIMUM_WAIT_OBJECTS];
  assert(num <= GATE_EVENTS_MAX);
  for (size_t i = 0; i < num; i++) waits[i] = events[i];
  waits[num] = gate->shut;
  for (;;) {
    int left_ms = ipc_deadline_left_ms(deadline);
    DWORD ready = WaitForMultipleObjects((DWORD)num + 1, waits, FALSE, left_ms < 0 ? INFINITE : (DWORD)left_ms);
    if (ready < WAIT_OBJECT_0 + num) return IPC_OK;
    if (ready == WAIT_OBJECT_0 + num) return IPC_CANCELLED;
    if (ready != WAIT_TIMEOUT) return IPC_FAILED;
    if (ipc_deadline_left(deadline) == 0) return IPC_TIMED_OUT; /* the system's clock may be early */
  }
}
