/* system.h - what each Unix provides to the code that all of them share (ref/posix/), each in files of its own folder.
 *
 * Everything here answers an errno, 0 for success, where it says "errno"; descriptors are -1 on failure with errno
 * set. Every descriptor made is closed on exec and is the caller's.
 */
#ifndef REF_POSIX_SYSTEM_H
#define REF_POSIX_SYSTEM_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ipc/signal.h"
#include "ipc/stream.h"
#include "ref/posix/deadline.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Flags with which a send raises no SIGPIPE and does not wait, and a receive does not wait. */
extern const int ipc_system_send_flags;
extern const int ipc_system_receive_flags;

/* ipc_system_socket makes a socket of the local family, |type| SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET, that raises
 * no SIGPIPE; with |nonblocking| O_NONBLOCK is set. */
int ipc_system_socket(int type, bool nonblocking);

/* ipc_system_accept takes a connection from |listener|. The new descriptor waits, whatever the listener's mode. Fails
 * with EAGAIN if nobody waits and the listener has O_NONBLOCK, and is never EINTR or ECONNABORTED. */
int ipc_system_accept(int listener);

/* ipc_system_connect connects the fresh stream socket |fd|, which nobody shares yet, waiting at most until |deadline|
 * for room in the listener's backlog, where the system can wait for that. If |deadline| can pass, |fd| was made
 * nonblocking, so that the first attempt does not wait; afterwards it waits. errno:
 * ETIMEDOUT when the deadline passed, EAGAIN when there is no room and the system cannot wait; never EINTR. */
int ipc_system_connect(int fd, const struct sockaddr *address, socklen_t address_len, ipc_deadline *deadline);

/* ipc_system_connect_now connects |fd|, a socket that waits in connect(2) for room in a backlog, without waiting:
 * EAGAIN if there is no room. ipc_system_connect_for waits for it at most |timeout_ms|, then it is EAGAIN, too. Neither
 * leaves a mode or an option of the description changed; while they run others that share it see them. errno, never
 * EINTR. */
int ipc_system_connect_now(int fd, const struct sockaddr *address, socklen_t address_len);
int ipc_system_connect_for(int fd, const struct sockaddr *address, socklen_t address_len, int64_t timeout_ms);

/* ipc_system_autobind binds |fd| to a name that is free and that the system chooses. errno, EOPNOTSUPP where no system
 * does that. */
int ipc_system_autobind(int fd);

/* The event of poll(2) that says that nothing more can come: the other end, or this one, has shut the direction down.
 */
extern const short ipc_system_poll_end;

/* ipc_system_has_input tells whether messages with at least one byte wait at |fd|. */
bool ipc_system_has_input(int fd);

/* Flags of open(2) for a directory that is to be walked through, not read. */
extern const int ipc_system_directory_flags;

/* Whether ipc_system_peer_credentials tells the user of a connection that was accepted. */
extern const bool ipc_system_knows_peers;

/* A pair of descriptors that wakes: after ipc_system_wake_signal, |wait| is readable and stays so. They may be one. */
typedef struct ipc_wake {
  int32_t wait;
  int32_t signal;
} ipc_wake;

/* ipc_system_wake_open makes one. errno. */
int ipc_system_wake_open(ipc_wake *out_wake);

/* ipc_system_wake_signal makes |wake->wait| readable. It cannot fail and does not wait. */
void ipc_system_wake_signal(const ipc_wake *wake);

/* ipc_system_wake_close closes what ipc_system_wake_open made. */
void ipc_system_wake_close(const ipc_wake *wake);

/* ipc_system_pipe makes an unnamed pipe: reading end, writing end. errno. */
int ipc_system_pipe(int out_ends[2]);

/* ipc_system_pipe_capacity makes the pipe at |fd| hold at least |bytes|, or as many as the system lets it. */
void ipc_system_pipe_capacity(int fd, uint64_t bytes);

/* ipc_system_read_now and ipc_system_write_now are readv(2) and writev(2) that do not wait, whatever the mode of the
 * description. EOPNOTSUPP: the system cannot do that with this descriptor. A write that is told |quiet| raises no
 * SIGPIPE, or is EOPNOTSUPP; |now| false leaves waiting to the description. */
ssize_t ipc_system_read_now(int fd, const struct iovec *buffers, size_t num_buffers);
ssize_t ipc_system_write_now(int fd, const struct iovec *buffers, size_t num_buffers, bool now, bool quiet);

/* ipc_system_fifo_has_writer tells whether some process has the FIFO at |fd|, a reading end, open for writing, or there
 * are bytes in it; nothing is consumed. errno, with the answer in |*out_has|. */
int ipc_system_fifo_has_writer(int fd, bool *out_has);

/* ipc_system_open_until opens |path| as open(2) with |flags|, which wait, but gives up at |deadline|, which can pass:
 * ETIMEDOUT. EOPNOTSUPP if the system cannot end such a wait. errno. */
int ipc_system_open_until(const char *path, int flags, ipc_deadline *deadline, int *out_fd);

/* ipc_system_peer_credentials asks who made the other end of |fd|. errno, EOPNOTSUPP if the system cannot tell. */
int ipc_system_peer_credentials(int fd, ipc_credentials *out_credentials);

/* The flag with which recvmsg(2) makes descriptors that are closed on exec, and which it gives back in msg_flags if it
 * knows it; 0 if the system has none. */
extern const int ipc_system_cloexec_flag;

/* The control message that carries credentials, and the size of its payload, at most IPC_SYSTEM_CREDENTIALS_SIZE_MAX.
 * The type is -1 if the system has none. */
enum { IPC_SYSTEM_CREDENTIALS_SIZE_MAX = 96 };
extern const int ipc_system_credentials_type;
extern const size_t ipc_system_credentials_size;

/* The control message by which the system adds a descriptor that nobody sent, if an option is set on the socket; -1 if
 * it has none. */
extern const int ipc_system_added_descriptor_type;

/* ipc_system_credentials_check tells whether |credentials| can be sent: IPC_OK, IPC_INVALID_ARGUMENT (a process id that
 * the system's type does not hold), IPC_UNSUPPORTED. */
int32_t ipc_system_credentials_check(const ipc_credentials *credentials);

/* ipc_system_credentials_encode writes the payload for |credentials|, which have been checked; what they do not give is
 * this process's own. ipc_system_credentials_decode reads one; what it does not tell is not among the fields. */
void ipc_system_credentials_encode(const ipc_credentials *credentials, void *out_payload);
void ipc_system_credentials_decode(const void *payload, ipc_credentials *out_credentials);

/* ipc_system_pass_credentials makes the system put credentials beside what comes at |fd|, or stop it. errno. */
int ipc_system_pass_credentials(int fd, bool pass);
#ifndef IPC_WITHOUT_SIGNALS

/* Signals have numbers below this. */
enum { IPC_SYSTEM_SIGNALS_MAX = 128 };

/* The system's signals but the real-time ones; ends in an entry without a name. A signal's first entry has the name
 * that it goes by, the others have names that are understood, too. */
typedef struct ipc_system_signal {
  const char *name; /* without SIG */
  int32_t signal;
} ipc_system_signal;
extern const ipc_system_signal ipc_system_signals[];

/* ipc_system_realtime_signals gives the lowest and the highest real-time signal that programs may use; none if the
 * lowest is above the highest. */
void ipc_system_realtime_signals(int32_t *out_lowest, int32_t *out_highest);

/* ipc_system_signal_queue is sigqueue(3) where the system has real-time signals. errno. */
int ipc_system_signal_queue(pid_t pid, int32_t signal, int32_t value);

/* ipc_system_signal_origin fills what |info| says of where a signal comes from: `fields`, and what they name.
 * Async-signal-safe. */
void ipc_system_signal_origin(const siginfo_t *info, ipc_signal_event *out_event);

/* ipc_system_signal_write is write(2) for a signal handler, to a pipe that does not wait: async-signal-safe, and not a
 * point where the thread is cancelled, because that would leave the handler half done. It is made again when it was
 * interrupted. */
ssize_t ipc_system_signal_write(int fd, const void *data, size_t len);

#endif /* IPC_WITHOUT_SIGNALS */

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_POSIX_SYSTEM_H */
