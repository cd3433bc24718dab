/* loop.h - how completion loops work on Windows, and what their two files share: loop.c has the loop, loop_operation.c
 * has what each operation does.
 *
 * An operation is an attempt that does not wait, and, while that finds nothing to do, a wait for an event: of the read
 * that is under way, of the chunk in flight, of the clients of a listener. The system's thread pool does the waiting,
 * and puts a packet into the loop's completion port; so does whoever ends an operation or wakes the loop. The thread in
 * ipc_loop_wait takes packets out and makes the attempts.
 *
 * - The port is the loop's alone. No handle is associated with it: an association lasts as long as the handle, which
 * may be given away, or used in several loops, and the library's other calls would have to know of it.
 * - One lock a loop, held for everything but waiting. So an operation is under way or has ended, and whoever ends it
 *   first (its event, timeout, cancel, close of the handle, close of the loop) is the only one.
 * - An operation is inside its handle's gate from its submission to its end, like a call. A handle being closed tells
 *   the loops that are attached to its gate, and those end the operations, in the thread that closes: nobody needs to
 *   run the loop. Locks are taken in the order loop, gate.
 * - Operations of one direction of one handle stand in a queue, of which only the head makes attempts and waits.
 * - A read under way is in the program's buffer. When the operation ends otherwise it is cancelled and waited for, and
 *   what it had got by then counts: no byte is lost. The system takes back what a thread has begun when that thread
 * ends; then it is begun again.
 * - A connect while every instance is taken waits in a thread of the pool, whose event is set when it should be tried
 *   again. Called off, it has ended, whether that thread has noticed by then or not; pipe_handle.h bounds that.
 * - What has no event is tried every SLICE_MS milliseconds: a read from a synchronous handle, of which nothing tells
 *   that there is something to read (channel.h); and, rarely, what another thread is about to take or to give.
 * - Operations are kept for the next ones, with their wait and their event: in the steady state nothing is made.
 */
#ifndef REF_WINDOWS_LOOP_H
#define REF_WINDOWS_LOOP_H

#include "ipc/loop.h"
#include "ref/common/loop_table.h"
#include "ref/windows/address.h"
#include "ref/windows/errand.h"
#include "ref/windows/gate.h"

typedef struct loop_operation loop_operation;

/* What an operation is. */
typedef struct loop_kind {
  /* Checks what |op->what| says beyond the size, and gets what the operation needs, its place inside the gate included.
   * On a status other than IPC_OK nothing is kept, and that is what submit answers. */
  ipc_status (*begin)(loop_operation *op);

  /* Makes an attempt: the outcome, or IPC_WOULD_BLOCK with what to wait for in |op->event|, NULL for a while. */
  ipc_status (*attempt)(loop_operation *op);

  /* Lets go of everything but the gate. |status| is the outcome; the one returned counts: an operation that is called
   * off may have come to something else. May be NULL. */
  ipc_status (*end)(loop_operation *op, ipc_status status);
} loop_kind;

/* Operations of one direction of one handle. */
typedef struct loop_queue {
  struct loop_queue *same_bucket;
  const void *key; /* what is one direction of one handle's alone */
  loop_link operations;
} loop_queue;

struct loop_operation {
  loop_entry entry;   /* first */
  loop_link in_queue; /* before NULL: it stands in none */
  loop_queue *queue;
  ipc_loop *loop;
  const loop_kind *kind;
  ipc_submission what;
  ipc_gate *gate;  /* that it is inside of, or NULL */
  const void *key; /* of its queue; NULL for none */
  HANDLE event;    /* what it waits for; NULL: time */
  PTP_WAIT wait;   /* the pool's */
  bool is_armed;
  ipc_status status;
  size_t len;
  ipc_stream *stream;  /* prepared, or made */
  ipc_address address; /* of a connect */
  ipc_errand *waiting; /* of a connect: for an instance; NULL: none */
  HANDLE own;          /* event of a read; NULL before the first */
  OVERLAPPED read;
  bool is_reading;
};

/* ipc_loop_kind gives what |operation| (IPC_SUBMIT_*) is, or NULL if this system cannot do it so. */
const loop_kind *ipc_loop_kind(uint32_t operation);

#endif /* REF_WINDOWS_LOOP_H */
