/* waiter.h - system calls that cannot be made without waiting, in a thread that can be called off.
 *
 * For two calls there is neither a way not to wait nor an event to wait for: the open of a FIFO (no descriptor exists
 * yet), and on Linux the connect to a listener whose backlog is full. A waiter is a thread that makes such a call. Its
 * result is a descriptor; `readable` becomes readable when there is one, or an error.
 *
 * A system that cannot end such a wait has no waiters: starting one is EOPNOTSUPP.
 */
#ifndef REF_POSIX_WAITER_H
#define REF_POSIX_WAITER_H

#include <stdbool.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ipc_waiter ipc_waiter;

/* ipc_waiter_open starts an open(2) of |path| with |flags|; ipc_waiter_connect connects a new stream socket of the
 * local family to |address|; ipc_waiter_connect_socket connects |fd|, which stays the caller's, is in nobody else's
 * hands as far as connects go, and must stay open until the end. What they are given is copied. errno, EOPNOTSUPP if
 * the system has no waiters. */
int ipc_waiter_open(const char *path, int flags, ipc_waiter **out_waiter);
int ipc_waiter_connect(const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter);
int ipc_waiter_connect_socket(int fd, const struct sockaddr *address, socklen_t address_len, ipc_waiter **out_waiter);

/* ipc_waiter_descriptor becomes readable when the call has ended. It is the waiter's. */
int ipc_waiter_descriptor(const ipc_waiter *waiter);

/* ipc_waiter_has_ended tells whether the call has ended. */
bool ipc_waiter_has_ended(const ipc_waiter *waiter);

/* ipc_waiter_end ends the call if it has not ended, and releases the waiter: the call's errno, 0 with the descriptor,
 * closed on exec, in |*out_fd| (-1 if the call makes none); ECANCELED if it came to nothing. */
int ipc_waiter_end(ipc_waiter *waiter, int *out_fd);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_POSIX_WAITER_H */
