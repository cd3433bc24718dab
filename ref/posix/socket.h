/* socket.h - how other files of ref/posix/ make sockets that move messages, and use them without waiting. */
#ifndef REF_POSIX_SOCKET_H
#define REF_POSIX_SOCKET_H

#include <stdbool.h>

#include "ipc/socket.h"
#include "ref/posix/address.h"
#include "ref/posix/gate.h"
#include "ref/posix/socket_file.h"

/* ipc_socket_prepare allocates a socket of |type| (SOCK_DGRAM, SOCK_SEQPACKET) that has no descriptor yet, so that
 * memory cannot run out once there is a connection to lose. IPC_OK or IPC_OUT_OF_RESOURCES. Exactly one of the two
 * below must follow. */
ipc_status ipc_socket_prepare(int type, ipc_socket **out_socket);

/* ipc_socket_own gives |socket| its descriptor, and the file that was made for it (NULL: none), which the socket owns
 * from then on. */
void ipc_socket_own(ipc_socket *socket, int fd, const ipc_socket_file *file);

/* ipc_socket_discard releases a socket that was never given one. */
void ipc_socket_discard(ipc_socket *socket);

/* For a loop that does the waiting itself. The caller is inside the socket's gate; the arguments are checked as by the
 * functions of ipc/socket.h, whose statuses these are; the handle's own nonblocking mode makes no difference.
 * IPC_WOULD_BLOCK: not yet. Names are addresses here, made once for all attempts. */
ipc_gate *ipc_socket_gate(ipc_socket *socket);
int ipc_socket_fd(const ipc_socket *socket); /* inside the gate */
ipc_status ipc_socket_attempt_send(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers,
                                   const ipc_address *to, const ipc_ancillary *ancillary);
ipc_status ipc_socket_attempt_receive(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                                      ipc_received *out_received, ipc_ancillary *ancillary);
ipc_status ipc_socket_attempt_connect(ipc_socket *socket, const ipc_address *address);

/* What the calls would say of their arguments alone, before anything is attempted, and without being inside the gate.
 * ipc_socket_check_send puts the address of |to| (if not NULL) into |out_to|. ipc_socket_check_receive sets
 * |out_received| to "nothing came". */
ipc_status ipc_socket_check_send(const ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers,
                                 const ipc_name *to, const ipc_ancillary *ancillary, ipc_address *out_to);
ipc_status ipc_socket_check_receive(uint32_t flags, const ipc_buffer *buffers, size_t num_buffers,
                                    ipc_received *out_received, ipc_ancillary *ancillary);

/* ipc_socket_is_connected is true for a connected socket, also one whose other end has gone. Inside the gate. */
bool ipc_socket_is_connected(const ipc_socket *socket);

/* ipc_socket_hold_connect keeps every other connect out, as the wait of one does: they are IPC_BUSY. False: another is
 * under way. ipc_socket_let_connect must follow a true one. */
bool ipc_socket_hold_connect(ipc_socket *socket);
void ipc_socket_let_connect(ipc_socket *socket);

/* ipc_socket_room says what to wait for after a send to |to| (NULL: where it is connected) would have had to wait:
 * POLLOUT on |*out_fd|. That is the socket itself (|*out_made| false), or, where the receiver has no room and the
 * socket does not tell when it has, a descriptor made for this wait, which the caller closes. IPC_OK,
 * IPC_OUT_OF_RESOURCES (no descriptor to be had), or what became of the receiver meanwhile: the next attempt will say
 * it. */
ipc_status ipc_socket_room(const ipc_socket *socket, const ipc_address *to, int *out_fd, bool *out_made);

#endif /* REF_POSIX_SOCKET_H */
