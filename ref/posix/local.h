/* local.h - the connect to a local socket in steps, for those who must not wait in it. */
#ifndef REF_POSIX_LOCAL_H
#define REF_POSIX_LOCAL_H

#include "ipc/local.h"
#include "ref/posix/address.h"

/* ipc_local_connect_attempt connects a new socket, unless it would have to wait for room in the backlog: then it is
 * IPC_WOULD_BLOCK. Otherwise the statuses of ipc_local_connect. The descriptor waits. */
ipc_status ipc_local_connect_attempt(const ipc_address *address, int *out_fd);

/* ipc_local_connect_status is what a connect that failed with |error| answers. */
ipc_status ipc_local_connect_status(int error);

#endif /* REF_POSIX_LOCAL_H */
