/* gate.c - entering, leaving, shutting, and waiting behind a gate. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/gate.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stddef.h>

#include "ipc/status.h"
#include "ref/posix/system.h"

#define GATE_SHUT 0x80000000u
#define GATE_NO_WAKE UINT64_MAX /* no descriptor is -1 */

/* Without a wake descriptor a call looks this often whether the gate has been shut. */
enum { WAIT_SLICE_MS = 10 };

static uint64_t pack(const ipc_wake *wake) { return (uint64_t)(uint32_t)wake->wait << 32 | (uint32_t)wake->signal; }

static ipc_wake unpack(uint64_t packed) {
  ipc_wake wake = {(int32_t)(uint32_t)(packed >> 32), (int32_t)(uint32_t)packed};
  return wake;
}

int ipc_gate_init(ipc_gate *gate) {
  atomic_init(&gate->state, 0);
  atomic_init(&gate->nonblocking, false);
  atomic_init(&gate->wake, GATE_NO_WAKE);
  gate->attachments = NULL;
  int error = pthread_mutex_init(&gate->lock, NULL);
  if (error != 0) return error;
  error = pthread_cond_init(&gate->left, NULL);
  if (error != 0) pthread_mutex_destroy(&gate->lock);
  return error;
}

void ipc_gate_destroy(ipc_gate *gate) {
  assert(ipc_gate_is_shut(gate));
  assert(gate->attachments == NULL);
  pthread_cond_destroy(&gate->left);
  pthread_mutex_destroy(&gate->lock);
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
  pthread_mutex_lock(&gate->lock);
  uint32_t before = atomic_fetch_sub_explicit(&gate->state, 1, memory_order_release);
  assert((before & ~GATE_SHUT) != 0);
  if (before == (GATE_SHUT | 1)) pthread_cond_signal(&gate->left);
  pthread_mutex_unlock(&gate->lock);
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

/* What shutting leaves behind: nobody is inside, nobody can enter. */
static void close_wake(ipc_gate *gate) {
  uint64_t packed = atomic_exchange(&gate->wake, GATE_NO_WAKE);
  if (packed == GATE_NO_WAKE) return;
  ipc_wake wake = unpack(packed);
  ipc_system_wake_close(&wake);
}

/* Whether the gate is shut is decided under the lock: a gate being shut takes the lock after it is, and finds every
 * attachment that was let in before. */
bool ipc_gate_attach(ipc_gate *gate, ipc_gate_attachment *attachment) {
  pthread_mutex_lock(&gate->lock);
  bool open = !ipc_gate_is_shut(gate);
  if (open) {
    attachment->next = gate->attachments;
    attachment->link = &gate->attachments;
    if (attachment->next != NULL) attachment->next->link = &attachment->next;
    gate->attachments = attachment;
  }
  pthread_mutex_unlock(&gate->lock);
  return open;
}

ipc_gate_attachment *ipc_gate_attached(ipc_gate *gate, const void *owner) {
  pthread_mutex_lock(&gate->lock);
  ipc_gate_attachment *found = gate->attachments;
  while (found != NULL && found->owner != owner) found = found->next;
  pthread_mutex_unlock(&gate->lock);
  return found;
}

/* gate->lock is held. */
static void unlink_attachment(ipc_gate_attachment *attachment) {
  *attachment->link = attachment->next;
  if (attachment->next != NULL) attachment->next->link = attachment->link;
  attachment->link = NULL;
}

bool ipc_gate_detach(ipc_gate *gate, ipc_gate_attachment *attachment) {
  pthread_mutex_lock(&gate->lock);
  bool attached = attachment->link != NULL;
  if (attached) unlink_attachment(attachment);
  pthread_mutex_unlock(&gate->lock);
  return attached;
}

/* Tells everybody who is attached to the gate, which is shut. gate->lock is held, but not while they are told. */
static void end_attachments(ipc_gate *gate) {
  while (gate->attachments != NULL) {
    ipc_gate_attachment *attachment = gate->attachments;
    unlink_attachment(attachment);
    pthread_mutex_unlock(&gate->lock);
    attachment->shut(attachment);
    pthread_mutex_lock(&gate->lock);
  }
}

bool ipc_gate_shut(ipc_gate *gate) {
  /* Sequentially consistent, like the installing of a wake descriptor and the look at the state behind it: either
   * this sees the descriptor, or the waiting call sees the gate shut. */
  if ((atomic_fetch_or(&gate->state, GATE_SHUT) & GATE_SHUT) != 0) return false;
  uint64_t packed = atomic_load(&gate->wake);
  if (packed != GATE_NO_WAKE) {
    ipc_wake wake = unpack(packed);
    ipc_system_wake_signal(&wake);
  }
  pthread_mutex_lock(&gate->lock);
  end_attachments(gate);
  while (atomic_load_explicit(&gate->state, memory_order_acquire) != GATE_SHUT) {
    pthread_cond_wait(&gate->left, &gate->lock);
  }
  pthread_mutex_unlock(&gate->lock);
  close_wake(gate);
  return true;
}

int32_t ipc_gate_shut_if_empty(ipc_gate *gate) {
  uint32_t empty = 0;
  if (!atomic_compare_exchange_strong(&gate->state, &empty, GATE_SHUT)) {
    return (empty & GATE_SHUT) != 0 ? IPC_CLOSED : IPC_BUSY;
  }
  pthread_mutex_lock(&gate->lock);
  end_attachments(gate);
  pthread_mutex_unlock(&gate->lock);
  close_wake(gate);
  return IPC_OK;
}

/* Gives the descriptor to wait on, making it if this is the first call that waits; -1 if there is none to be had. */
static int wake_descriptor(ipc_gate *gate) {
  uint64_t packed = atomic_load(&gate->wake);
  if (packed == GATE_NO_WAKE) {
    ipc_wake made;
    if (ipc_system_wake_open(&made) != 0) return -1;
    if (atomic_compare_exchange_strong(&gate->wake, &packed, pack(&made))) return made.wait;
    ipc_system_wake_close(&made); /* another call was first; |packed| is its */
  }
  return unpack(packed).wait;
}

int32_t ipc_gate_wait(ipc_gate *gate, int fd, short events, ipc_deadline *deadline) {
  if (ipc_deadline_left(deadline) == 0) return IPC_TIMED_OUT;
  for (;;) {
    int wake = wake_descriptor(gate);
    if (ipc_gate_is_shut(gate)) return IPC_CANCELLED;
    int left_ms = ipc_deadline_left_ms(deadline);
    int slice_ms = wake < 0 && (left_ms < 0 || left_ms > WAIT_SLICE_MS) ? WAIT_SLICE_MS : left_ms;
    struct pollfd polled[] = {{.fd = fd, .events = events}, {.fd = wake, .events = POLLIN}};
    int ready = poll(polled, wake < 0 ? 1 : 2, slice_ms);
    if (ready < 0 && errno != EINTR) return errno == ENOMEM ? IPC_OUT_OF_RESOURCES : IPC_FAILED;
    if (ipc_gate_is_shut(gate)) return IPC_CANCELLED;
    if (ready > 0) return IPC_OK;
    if (ipc_deadline_left(deadline) == 0) return IPC_TIMED_OUT;
  }
}
