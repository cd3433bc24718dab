/* control.h - control buffers of sendmsg(2) and recvmsg(2): what streams and sockets share of ipc/ancillary.h.
 *
 * A call that sends: ipc_control_check_sent before it enters the gate, ipc_control_put once, then its attempts, each
 * with the same message. A call that receives:
 * ipc_control_check_room, then attempts with ipc_control_receive. The buffer lies on the caller's stack; nothing is
 * allocated.
 */
#ifndef REF_POSIX_CONTROL_H
#define REF_POSIX_CONTROL_H

#include <sys/socket.h>
#include <sys/types.h>

#include "ipc/ancillary.h"
#include "ref/posix/system.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room for everything that one message may carry: descriptors, credentials, and a descriptor that the system adds. */
enum {
  IPC_CONTROL_SIZE = CMSG_SPACE(IPC_ANCILLARY_DESCRIPTORS_MAX * sizeof(int32_t)) +
  CMSG_SPACE(IPC_SYSTEM_CREDENTIALS_SIZE_MAX) + CMSG_SPACE(sizeof(int32_t))
};

typedef union ipc_control {
  struct cmsghdr header; /* for its alignment */
  unsigned char bytes[IPC_CONTROL_SIZE];
} ipc_control;

/* ipc_control_check_sent is IPC_OK if |ancillary| can be sent as far as its form says, else IPC_INVALID_ARGUMENT, or
 * IPC_UNSUPPORTED for credentials on a system that has none to send. NULL is IPC_INVALID_ARGUMENT. */
ipc_status ipc_control_check_sent(const ipc_ancillary *ancillary);

/* ipc_control_check_room is IPC_OK if |ancillary| is room for what comes, and then sets it to "nothing came"; else
 * IPC_INVALID_ARGUMENT. */
ipc_status ipc_control_check_room(ipc_ancillary *ancillary);

/* ipc_control_clear sets room to "nothing came". */
void ipc_control_clear(ipc_ancillary *ancillary);

/* ipc_control_put makes |message| carry |ancillary|, which has been checked, by way of |control|, which must live as
 * long as the message is sent. Nothing to send is no control buffer. */
void ipc_control_put(ipc_control *control, const ipc_ancillary *ancillary, struct msghdr *message);

/* ipc_control_receive is one recvmsg(2) of |message|, whose buffers and name the caller has set, with |flags|, and
 * takes what came beside the bytes to |ancillary|, which has been checked: descriptors that are closed on exec,
 * credentials, IPC_ANCILLARY_CUT. Every other descriptor that came has been closed. Afterwards |message| holds what
 * recvmsg wrote, but no control buffer. A count, or -1 with errno: then nothing came. EAGAIN if it would have to wait
 * and |flags| say not to.
 *
 * Not for a look at a message that stays (MSG_PEEK): that needs no control buffer, and without one the system makes no
 * descriptors. */
ssize_t ipc_control_receive(int fd, struct msghdr *message, int flags, ipc_ancillary *ancillary);

/* ipc_control_encode and ipc_control_decode are ipc_ancillary_encode and ipc_ancillary_decode behind the checks of
 * their arguments: |ancillary| is one that ipc_control_check_sent or ipc_control_check_room has passed. */
ipc_status ipc_control_encode(const ipc_ancillary *ancillary, void *out_control, size_t control_max, size_t *out_len);
ipc_status ipc_control_decode(const void *control, size_t control_len, ipc_ancillary *ancillary);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_POSIX_CONTROL_H */
