/* loop.h - how completion loops work, and what their two files share: loop.c has the loop, loop_operation.c has what
 * each operation does.
 *
 * An operation is an attempt that does not wait, the very one that the waiting call makes (stream.h, listener.h), and,
 * while that finds nothing to do, a place in a queue until the descriptor is ready. The attempt comes first, in the
 * thread that submits: what need not wait costs what the call costs. Only then is there interest in the descriptor.
 *
 *   ipc_loop ── operations under way: a list, and by token
 *     │         timers: a heap of those with a deadline
 *     │         completions: a queue of operations that have ended
 *     └─ sources, by descriptor ── a queue for each direction
 *           └─ bindings: the gates of the handles that use the descriptor
 *
 * - One lock a loop, held for everything but waiting. So an operation is under way or has ended, and whoever ends it
 *   first (readiness, timeout, cancel, close of the handle, close of the loop) is the only one. Attempts are made under
 *   it; they never wait (but see listener.c and pipe.c on descriptors that other processes share).
 * - An operation is inside its handle's gate from its submission to its end, like a call. A handle being closed tells
 *   the loops that are attached to its gate, and those end the operations, in the thread that closes: nobody needs to
 *   run the loop. Locks are taken in the order loop, gate.
 * - A queue is served from its head, so operations of one direction are carried out in order, and only while the head
 * is done: an operation behind one that waits makes no attempt. Each has at most one system call, and each queue a
 *   bounded number of operations, in one turn of the loop: a busy stream does not keep the others waiting. For the same
 *   reason a loop that always has completions looks at its descriptors from time to time.
 * - Interest stays when a queue runs empty, because the next operation usually follows; a descriptor that is reported
 *   and has no operation loses it then. Interest is gone before a descriptor is closed: what a poller keeps by number
 *   must not outlive it. The two halves of a split share a source.
 * - What an operation waits for is not always told by the descriptor in whose queue it stands: whether the receiver of
 * a datagram has room, only another socket tells, and a connect waits in a thread. Such an operation stands aside while
 *   it is the head: a descriptor of its own is watched in the stead of the queue's, and goes with the wait.
 * - Operations that no readiness exists for (the open of a FIFO, a connect to a full backlog) wait in a thread of their
 *   own (waiter.h), whose descriptor is ready when it is done.
 * - Operations that have ended are kept for the next ones. Sources and bindings live as long as their handles. So in
 * the steady state nothing is allocated.
 */
#ifndef REF_POSIX_LOOP_H
#define REF_POSIX_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/loop.h"
#include "ref/common/loop_table.h"
#include "ref/posix/address.h"
#include "ref/posix/fifo.h"
#include "ref/posix/gate.h"
#include "ref/posix/waiter.h"

typedef struct loop_operation loop_operation;

/* What an operation is. */
typedef struct loop_kind {
  /* Checks what |op->what| says beyond the size, and gets what the operation needs, its place inside the gate included.
   * On a status other than IPC_OK nothing is kept, and that is what submit answers. */
  ipc_status (*begin)(loop_operation *op);

  /* Makes an attempt: the outcome, or IPC_WOULD_BLOCK with what to wait for in |op->fd| and |op->direction|, and, if it
   * stands aside, in |op->aside_fd| and |op->aside_direction|: that descriptor is watched until the next attempt or the
   * end, and is the operation's to close then. An outcome of IPC_OK may still become another at the end. */
  ipc_status (*attempt)(loop_operation *op);

  /* Lets go of everything but the gate. |status| is the outcome; the one returned counts: an operation that is called
   * off may have come to something else. May be NULL. */
  ipc_status (*end)(loop_operation *op, ipc_status status);
} loop_kind;

struct loop_operation {
  loop_entry entry;   /* first */
  loop_link in_queue; /* of its source; before NULL: it waits in none */
  const loop_kind *kind;
  ipc_submission what;
  ipc_gate *gate; /* that it is inside of, or NULL */
  int fd;         /* what it waits for, and in which direction; -1: nothing */
  uint32_t direction;
  int aside_fd; /* what it waits for in truth, or -1; -1 again before each attempt */
  uint32_t aside_direction;
  bool single; /* IPC_WOULD_BLOCK is its outcome */
  ipc_status status;
  size_t len;
  ipc_stream *stream;        /* prepared, or made */
  ipc_socket *socket;        /* likewise */
  ipc_waiter *waiter;        /* the thread that waits for it, or NULL */
  ipc_fifo_opening *opening; /* of a FIFO */
  ipc_address address;       /* of a connect, of a send with a receiver */
  int room;                  /* a descriptor made for the wait of a send, or -1 */
  bool connecting;           /* it keeps other connects of its socket out */
};

/* ipc_loop_kind gives what |operation| (IPC_SUBMIT_*) is, or NULL if this system cannot do it so. */
const loop_kind *ipc_loop_kind(uint32_t operation);

#endif /* REF_POSIX_LOOP_H */
