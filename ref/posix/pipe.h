/* pipe.h - the transports of pipes and FIFO files. */
#ifndef REF_POSIX_PIPE_H
#define REF_POSIX_PIPE_H

#include "ref/posix/stream.h"

/* For descriptions that others may share, and whose blocking mode is therefore left alone. */
extern const ipc_transport ipc_transport_pipe;

/* For a description that this library has opened and made nonblocking. */
extern const ipc_transport ipc_transport_own_pipe;

/* ipc_pipe_adoptable says whether |raw| is one end of a pipe or FIFO, and changes nothing about it. IPC_OK with the
 * descriptor and its direction, IPC_INVALID_ARGUMENT or IPC_OUT_OF_RESOURCES. */
ipc_status ipc_pipe_adoptable(const ipc_raw *raw, int *out_fd, uint32_t *out_direction);

#endif /* REF_POSIX_PIPE_H */
