/* ancillary.h - what travels beside the bytes of a Unix domain socket: descriptors and credentials.
 *
 * spec/ancillary.md holds the requirements. Systems without it answer IPC_UNSUPPORTED.
 *
 * Sources: unix(7), cmsg(3); POSIX.1-2017 XSH sendmsg(), <sys/socket.h>.
 */
#ifndef IPC_ANCILLARY_H
#define IPC_ANCILLARY_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Most descriptors beside one message: what Linux lets through (SCM_MAX_FD). */
#define IPC_ANCILLARY_DESCRIPTORS_MAX ((size_t)253)

/* What ipc_ancillary.fields says. */
enum {
  IPC_ANCILLARY_CREDENTIALS = 1, /* `credentials` is to be sent, or has come */
  IPC_ANCILLARY_CUT = 2,         /* came: there was more than there was room for, in the array or among the descriptors
                                    that this process may have; what did not fit has been closed */
};

/* Ancillary data, to be sent or room for what comes. Zero-initialise, set `size`, then what is wanted. */
typedef struct ipc_ancillary {
  uint32_t size;          /* sizeof(ipc_ancillary) */
  uint32_t fields;        /* IPC_ANCILLARY_*; room: set by the call */
  int32_t *descriptors;   /* the caller's array. Sent: not written to, and its descriptors stay open. Room: filled with
                             new descriptors of this process, closed on exec, which the caller owns */
  size_t descriptors_max; /* room: elements of `descriptors`, at most IPC_ANCILLARY_DESCRIPTORS_MAX */
  size_t num_descriptors; /* sent: elements, at most IPC_ANCILLARY_DESCRIPTORS_MAX; room: set by the call */
  ipc_credentials credentials; /* sent: its `fields` says which are given, the others are the process's own */
} ipc_ancillary;

#ifndef _WIN32

/* ipc_ancillary_encode writes |ancillary| as the control buffer that sendmsg(2) takes, each kind one control message,
 * descriptors first, and its exact length to |*out_len|; nothing to send is length 0. A pure function: the descriptors
 * need not be open, and credentials that are not given are this process's: its id, its effective user and group.
 *
 *   IPC_OK
 *   IPC_MESSAGE_TRUNCATED  |control_max| is too small: nothing is written but |*out_len|, the room needed
 *   IPC_UNSUPPORTED        credentials, where the system has none to send
 *   IPC_INVALID_ARGUMENT   a NULL pointer, more descriptors than IPC_ANCILLARY_DESCRIPTORS_MAX, a negative one,
 *                          IPC_ANCILLARY_CUT, a process id larger than the system's ids
 */
ipc_status ipc_ancillary_encode(const ipc_ancillary *ancillary, void *out_control, size_t control_max, size_t *out_len);

/* ipc_ancillary_decode takes apart a control buffer as recvmsg(2) fills it. A pure function: it opens and closes
 * nothing. Descriptors beyond |ancillary->descriptors_max| are not told, and IPC_ANCILLARY_CUT is set. Several control
 * messages of one kind add up (descriptors) or the last one counts (credentials); unknown kinds are passed over. Bytes
 * at the end that are fewer than a header are no control message. Control data of any length and alignment is safe.
 *
 *   IPC_OK
 *   IPC_MALFORMED          a length in it is smaller than its header or reaches beyond the buffer, descriptors are not
 *                          whole numbers or negative, credentials have another size; what came before it is in
 *                          |*ancillary|
 *   IPC_INVALID_ARGUMENT   a NULL pointer with a length, a `size` of another layout
 */
ipc_status ipc_ancillary_decode(const void *control, size_t control_len, ipc_ancillary *ancillary);

/* ipc_stream_write_ancillary is ipc_stream_write with |ancillary| beside the first byte: if |*out_len| is at least 1 it
 * has been sent, else it has not.
 *
 *   IPC_INVALID_ARGUMENT   also: |data_len| is 0 (nothing to travel beside), a descriptor is not open, or a user or
 *                          group that the system cannot have
 *   IPC_PERMISSION_DENIED  credentials that this process may not claim
 *   IPC_NO_SUCH_PROCESS    credentials of a process that does not exist, by one that may claim those of others
 *   IPC_OUT_OF_RESOURCES   also: too many descriptors under way
 *   IPC_UNSUPPORTED        also: a pipe or FIFO
 *   and every status of ipc_stream_write
 */
ipc_status ipc_stream_write_ancillary(ipc_stream *stream, const void *data, size_t data_len,
                                      const ipc_ancillary *ancillary, int64_t timeout_ms, size_t *out_len);

/* ipc_stream_read_ancillary is ipc_stream_read of at least one byte, and takes what travels beside them to |ancillary|.
 * Bytes beside which different descriptors travel are never given by one read; bytes written before them with none may
 * come in the same read, in front of theirs. What ipc_stream_read meets is closed and never comes. On a status other
 * than IPC_OK no descriptor has been made. IPC_INVALID_ARGUMENT also for |data_max| 0; IPC_UNSUPPORTED also for a pipe
 * or FIFO; the others of ipc_stream_read.
 */
ipc_status ipc_stream_read_ancillary(ipc_stream *stream, void *out_data, size_t data_max, ipc_ancillary *ancillary,
                                     int64_t timeout_ms, size_t *out_len);

/* ipc_stream_set_pass_credentials makes the system put the sender's credentials beside what comes from now on, whether
 * the sender asked for it or not (Linux: SO_PASSCRED), or stop it. Without it credentials do not come. It is a property
 * of the connection's end, and other handles of it share it. What the system adds names the real user and group of the
 * process that writes. Bytes that were written before, when neither end had asked, come with
 * credentials that tell no process.
 * IPC_OK, IPC_CLOSED, IPC_UNSUPPORTED, IPC_INVALID_ARGUMENT, IPC_FAILED. */
ipc_status ipc_stream_set_pass_credentials(ipc_stream *stream, bool pass);

#endif /* _WIN32 */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_ANCILLARY_H */
