/* listener.h - a listener is a row of instances of one pipe, each of which one client can connect to.
 *
 * As many are made as connections may wait (the backlog), at once, so that clients connect from then on. Accepting
 * takes the oldest one that has a client and puts a new one at the end of the row, where the system finds it last: so
 * clients are accepted in the order in which they came.
 *
 * The name of a pipe lives as long as any handle of its server: a name is free again when the listener *and every
 * stream that it accepted* are closed. Until then a second listener is told IPC_IN_USE, and a client that comes after
 * the listener was closed waits as for a full backlog.
 *
 * ipc_listener_raw lends the oldest instance, which changes with every accept; ipc_listener_release gives it away and
 * closes the others, with the clients that had connected to them. ipc_listener_adopt takes an instance that waits for
 * its client, overlapped and for both directions, and makes the others beside it.
 *
 * A named pipe may have a limit of instances. Then the row is as long as the system lets it be, and empty while every
 * instance is connected. If those were closed with their connections the name would be gone with the last one, and be
 * nobody's until somebody accepts. So they come back (ipc_listener_home): when the client of one has read everything or
 * is gone, it is disconnected, and waits for the next client, whether anybody accepts or not. Until then the connection
 * stays: a client that never reads and never leaves keeps the instance, as it would if that had been closed. One of
 * which there may be another handle (its owner has asked for that, or duplicated or released it) does not come back;
 * nor does any once the listener is closed. That an instance of somebody else's is free again the system does not tell,
 * so who accepts while the row is empty asks every SLICE_MS milliseconds.
 */
#ifndef REF_WINDOWS_LISTENER_H
#define REF_WINDOWS_LISTENER_H

#include "ipc/local.h"
#include "ipc/named_pipe.h"
#include "ref/windows/address.h"
#include "ref/windows/channel.h"

enum { BACKLOG_DEFAULT = 16, BACKLOG_MAX = 64 };

/* What the instances of a listener are like. */
typedef struct ipc_listener_shape {
  ipc_pipe_instance_options instance; /* all but `security` */
  bool same_user;
  bool share_name; /* others may have instances of the name */
  bool named_pipe; /* for ipc_listener_accept_named_pipe, not ipc_listener_accept */
} ipc_listener_shape;

/* ipc_listener_prepare allocates a listener of |address| that has no instances yet, and would have |backlog| waiting, 0
 * for the default. IPC_OK or IPC_OUT_OF_RESOURCES. Exactly one of the two below must follow. */
ipc_status ipc_listener_prepare(const ipc_address *address, const ipc_listener_shape *shape, uint32_t backlog,
                                ipc_listener **out_listener);

/* ipc_listener_local_shape is the shape of a local socket. */
ipc_listener_shape ipc_listener_local_shape(bool same_user);

/* ipc_listener_open makes the instances. IPC_IN_USE: there are others' of that name, and one of the two does not share
 * it; IPC_BUSY: as many as may be. On another status than IPC_OK there are none, and ipc_listener_discard must
 * follow. */
ipc_status ipc_listener_open(ipc_listener *listener);

/* ipc_listener_discard releases a listener that has no instances. */
void ipc_listener_discard(ipc_listener *listener);

/* What a loop needs of a listener. Behind the gate, which the caller has entered: one attempt to take a connection,
 * IPC_WOULD_BLOCK if nobody waits or another thread is accepting; and the event that is set when an attempt should be
 * repeated. It lasts until the listener is closed. */
ipc_gate *ipc_listener_gate(ipc_listener *listener);
ipc_status ipc_listener_attempt(ipc_listener *listener, HANDLE *out_pipe);
HANDLE ipc_listener_event(const ipc_listener *listener);

/* ipc_listener_accept_pipe is the accept of either kind, |named_pipe| as in the listener's shape; IPC_UNSUPPORTED if it
 * is of the other. */
ipc_status ipc_listener_accept_pipe(ipc_listener *listener, bool named_pipe, int64_t timeout_ms, HANDLE *out_pipe);
const ipc_listener_shape *ipc_listener_shape_of(const ipc_listener *listener);

/* ipc_listener_home is where a pipe that was accepted comes back to, and must be given to its channel; NULL if it is
 * closed as any other. It outlives the listener. */
ipc_pipe_home *ipc_listener_home(ipc_listener *listener);

#endif /* REF_WINDOWS_LISTENER_H */
