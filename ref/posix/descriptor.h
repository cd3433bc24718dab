/* descriptor.h - small services around descriptors that cross the boundary of the library. */
#ifndef REF_POSIX_DESCRIPTOR_H
#define REF_POSIX_DESCRIPTOR_H

#include <stdbool.h>

#include "ipc/base.h"

/* What ipc_descriptor_check is asked for. */
typedef enum ipc_descriptor_use { IPC_USE_LISTENER, IPC_USE_STREAM, IPC_USE_SOCKET } ipc_descriptor_use;

/* ipc_descriptor_check says whether |raw| is an open socket of the local family that serves the use, and changes
 * nothing about it: a stream or seqpacket socket that listens; a stream socket that is connected; a datagram or
 * seqpacket socket that does not listen. IPC_OK with the descriptor in |*out_fd| and its SO_TYPE in |*out_type|, or
 * IPC_INVALID_ARGUMENT or IPC_OUT_OF_RESOURCES. */
ipc_status ipc_descriptor_check(const ipc_raw *raw, ipc_descriptor_use use, int *out_fd, int *out_type);

/* ipc_descriptor_refused is what a descriptor is that the system answered |error| about (0: it did not complain):
 * IPC_INVALID_ARGUMENT, or IPC_OUT_OF_RESOURCES if that kept it from telling. */
ipc_status ipc_descriptor_refused(int error);

/* ipc_descriptor_set_cloexec keeps |fd| from being inherited. errno. */
int ipc_descriptor_set_cloexec(int fd);

/* ipc_descriptor_raw is |fd| as the ABI passes it. */
ipc_raw ipc_descriptor_raw(int fd);

#endif /* REF_POSIX_DESCRIPTOR_H */
