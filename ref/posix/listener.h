/* listener.h - how other files of ref/posix/ make listeners, and what they need of them. */
#ifndef REF_POSIX_LISTENER_H
#define REF_POSIX_LISTENER_H

#include "ipc/local.h"
#include "ref/posix/gate.h"
#include "ref/posix/socket_file.h"

/* ipc_listener_prepare allocates a listener of |type| (SOCK_STREAM, SOCK_SEQPACKET) that has no descriptor yet. IPC_OK
 * or IPC_OUT_OF_RESOURCES. Exactly one of the two below must follow. */
ipc_status ipc_listener_prepare(int type, ipc_listener **out_listener);

/* ipc_listener_restrict makes |listener| take only connections of processes of this effective user. To be called before
 * it has its descriptor. */
void ipc_listener_restrict(ipc_listener *listener);

/* ipc_listener_own gives |listener| its descriptor, made by this library with O_NONBLOCK, and the file it made, which
 * the listener owns from then on. */
void ipc_listener_own(ipc_listener *listener, int fd, const ipc_socket_file *file);

/* ipc_listener_discard releases a listener that was never given one. */
void ipc_listener_discard(ipc_listener *listener);

/* What a loop needs of a listener. Behind the gate, which the caller has entered: its descriptor, and one attempt to
 * take a connection of |type| (SOCK_*), IPC_WOULD_BLOCK if nobody waits, IPC_UNSUPPORTED if it has others. */
ipc_gate *ipc_listener_gate(ipc_listener *listener);
int ipc_listener_descriptor(const ipc_listener *listener);
ipc_status ipc_listener_attempt(ipc_listener *listener, int type, int *out_fd);

#endif /* REF_POSIX_LISTENER_H */
