/* turn.h - calls that take turns, one at a time, and can be ended while they wait.
 *
 * Unlike a lock a turn may be held while its holder waits for the system, so waiting for it has a deadline, and closing
 * the handle ends it. Taking a turn that nobody has and giving it back are one atomic operation each. A turn that is
 * given back goes to one of those who wait, so that a thread in a loop does not keep it from the others.
 */
#ifndef REF_COMMON_TURN_H
#define REF_COMMON_TURN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ref/common/monitor.h"

typedef struct ipc_turn {
  _Atomic uint32_t state; /* TURN_HELD, ... */
  ipc_monitor *monitor;   /* guards the rest; it may be shared with other turns */
  uint32_t num_waiting;
  bool passed_on; /* held for the first of those who wait that looks */
} ipc_turn;

/* ipc_turn_init makes a turn that nobody has, over |monitor|, which outlives it. */
void ipc_turn_init(ipc_turn *turn, ipc_monitor *monitor);

/* ipc_turn_take waits until it is the caller's turn: IPC_OK, and ipc_turn_give must follow. Or IPC_TIMED_OUT,
 * IPC_CANCELLED (ended while it waited), IPC_CLOSED (ended before). */
int32_t ipc_turn_take(ipc_turn *turn, ipc_deadline *deadline);
void ipc_turn_give(ipc_turn *turn);

/* ipc_turn_end ends the calls that wait for the turn and those to come. False if that was done before. The holder keeps
 * the turn. */
bool ipc_turn_end(ipc_turn *turn);
bool ipc_turn_is_ended(const ipc_turn *turn);

/* ipc_turn_drain returns when nobody has the turn, which was ended, or waits for it. */
void ipc_turn_drain(ipc_turn *turn);

#endif /* REF_COMMON_TURN_H */
