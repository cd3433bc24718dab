/* turn.c - see turn.h. While TURN_WAITED or TURN_ENDED is set, the state changes under the monitor's lock alone. */
#include "ref/common/turn.h"

#include <stddef.h>

#include "ipc/status.h"

enum {
  TURN_HELD = 1,   /* somebody has the turn, or it is passed on */
  TURN_WAITED = 2, /* somebody waits for it */
  TURN_ENDED = 4
};

void ipc_turn_init(ipc_turn *turn, ipc_monitor *monitor) {
  atomic_init(&turn->state, 0);
  turn->monitor = monitor;
  turn->num_waiting = 0;
  turn->passed_on = false;
}

bool ipc_turn_is_ended(const ipc_turn *turn) { return (atomic_load(&turn->state) & TURN_ENDED) != 0; }

/* Waits for a turn that somebody has, under the lock. */
static int32_t wait_for_turn(ipc_turn *turn, ipc_deadline *deadline) {
  for (bool left = true;; left = ipc_monitor_wait(turn->monitor, deadline)) {
    if (ipc_turn_is_ended(turn)) return IPC_CANCELLED;
    if (turn->passed_on) {
      turn->passed_on = false;
      return IPC_OK;
    }
    if (!left) return IPC_TIMED_OUT;
  }
}

static int32_t take_slowly(ipc_turn *turn, ipc_deadline *deadline) {
  int32_t code = IPC_OK;
  ipc_monitor_lock(turn->monitor);
  turn->num_waiting++;
  uint32_t before = atomic_fetch_or(&turn->state, TURN_WAITED);
  if ((before & TURN_ENDED) != 0) {
    code = IPC_CLOSED;
  } else if ((before & TURN_HELD) != 0) {
    code = wait_for_turn(turn, deadline);
  } else {
    atomic_fetch_or(&turn->state, TURN_HELD);
  }
  if (--turn->num_waiting == 0) atomic_fetch_and(&turn->state, ~(uint32_t)TURN_WAITED);
  if (ipc_turn_is_ended(turn)) ipc_monitor_wake(turn->monitor); /* somebody may drain */
  ipc_monitor_unlock(turn->monitor);
  return code;
}

int32_t ipc_turn_take(ipc_turn *turn, ipc_deadline *deadline) {
  uint32_t nobody = 0;
  if (atomic_compare_exchange_strong_explicit(&turn->state, &nobody, TURN_HELD, memory_order_acquire,
                                              memory_order_relaxed)) {
    return IPC_OK;
  }
  return take_slowly(turn, deadline);
}

void ipc_turn_give(ipc_turn *turn) {
  uint32_t held = TURN_HELD;
  if (atomic_compare_exchange_strong_explicit(&turn->state, &held, 0, memory_order_release, memory_order_relaxed)) {
    return;
  }
  ipc_monitor_lock(turn->monitor);
  if (turn->num_waiting != 0 && !ipc_turn_is_ended(turn)) {
    turn->passed_on = true;
  } else {
    atomic_fetch_and(&turn->state, ~(uint32_t)TURN_HELD);
  }
  ipc_monitor_wake(turn->monitor);
  ipc_monitor_unlock(turn->monitor);
}

bool ipc_turn_end(ipc_turn *turn) {
  ipc_monitor_lock(turn->monitor);
  uint32_t before = atomic_fetch_or(&turn->state, TURN_ENDED);
  if (turn->passed_on) {
    turn->passed_on = false;
    atomic_fetch_and(&turn->state, ~(uint32_t)TURN_HELD);
  }
  ipc_monitor_wake(turn->monitor);
  ipc_monitor_unlock(turn->monitor);
  return (before & TURN_ENDED) == 0;
}

void ipc_turn_drain(ipc_turn *turn) {
  ipc_deadline never = {.timeout_ms = -1};
  ipc_monitor_lock(turn->monitor);
  while ((atomic_load(&turn->state) & TURN_HELD) != 0 || turn->num_waiting != 0) {
    (void)ipc_monitor_wait(turn->monitor, &never);
  }
  ipc_monitor_unlock(turn->monitor);
}
