/* channel.h - a pipe handle and the bytes that are on their way through it: what a stream's calls are made of.
 *
 * Reads go straight into the caller's buffer; one that is taken back has taken nothing.
 *
 * Writes do not. Windows does not say how much of a write that was taken back the reader had got already. So a write
 * goes in chunks of at most CHUNK_MAX bytes through a buffer of the channel. A chunk that has been handed over is
 * *taken*: no timeout and no close takes it back, it stays *in flight* until the system has it all, and the next write
 * waits for it first. At most one is in flight. Each is one write to the system, which never mixes it with others'.
 *
 * A call that waits for as long as it takes returns when nothing of it is in flight any more, so what it wrote survives
 * the end of the process. One that ran out of patience, or was ended by close, may leave a chunk in flight. That keeps
 * the channel, and so the handle, alive behind a closed stream, until the reader has made room for it or is gone: then
 * everything is released. No close waits for it. A chunk that is in flight when the *process* ends is lost.
 *
 * Windows takes back what a thread has begun when that thread ends. So a chunk that may have to wait is begun by a
 * thread of a pool of the library's own, which stays until the chunk has arrived; a thread for each chunk that is
 * stuck, not for each stream. If the system says that there is room, the caller writes it himself.
 *
 * A *synchronous* handle (one that was opened without FILE_FLAG_OVERLAPPED, as standard streams are) does one thing at
 * a time. No call of the library waits in it but the pool's: reads look with PeekNamedPipe whether there is something,
 * every SLICE_MS milliseconds. What that cannot do: another *process* that reads from the same handle between the look
 * and the read leaves the read waiting for the next bytes, whatever its deadline; and where such a handle goes both
 * ways, a read waits while a chunk is in flight. The reader's leaving is noticed by the write after the one it ended.
 */
#ifndef REF_WINDOWS_CHANNEL_H
#define REF_WINDOWS_CHANNEL_H

#include "ref/common/turn.h"
#include "ref/windows/pipe_handle.h"

enum {
  CHUNK_MAX = 65536, /* bytes of a write that travel as one */
  SLICE_MS = 10,
};

/* Where the chunk in the buffer is. */
enum {
  CHUNK_NONE,
  CHUNK_HANDED, /* to the pool: nothing is known yet */
  CHUNK_FLYING, /* to the system */
};

/* A home: where a pipe goes that its channel has no use for any more, in place of being closed. It goes when the other
 * end has read everything or is gone; a thread of the pool waits for that, until the gate is shut: then the pipe is
 * closed. */
typedef struct ipc_pipe_home ipc_pipe_home;
struct ipc_pipe_home {
  ipc_gate *gate;
  void (*take_back)(ipc_pipe_home *home, HANDLE pipe); /* inside the gate; the pipe is the home's */
  void (*leave)(ipc_pipe_home *home);                  /* outside: the channel knows the home no more */
};

typedef struct ipc_channel {
  HANDLE pipe;                   /* INVALID_HANDLE_VALUE before there is one */
  _Atomic(ipc_pipe_home *) home; /* NULL: none */
  bool synchronous;
  bool server;                 /* the end of who made the pipe */
  _Atomic uint32_t references; /* handles of the library, and the chunk in flight; the last one closes the pipe */
  ipc_event_slot reading;
  SRWLOCK looking; /* synchronous: from a look to the read that rests on it */

  /* Writing; NULL and unused in a channel that is only read. */
  ipc_monitor *monitor;
  ipc_turn turn;           /* of writers */
  uint32_t chunk;          /* CHUNK_*; from here on under the monitor */
  DWORD refused;           /* why the system did not take the chunk; 0 if it did */
  DWORD lost;              /* why a chunk that was taken did not arrive; stays */
  _Atomic(HANDLE) arrived; /* event, set while no chunk is in flight; NULL before somebody wanted it */
  OVERLAPPED operation;
  HANDLE written;       /* the operation's event */
  unsigned char *bytes; /* made by the first write */
  size_t room;          /* of them */
  size_t len;           /* of the chunk */
} ipc_channel;

/* ipc_channel_new makes a channel with one reference and no pipe yet; NULL if there is no memory. */
ipc_channel *ipc_channel_new(uint32_t directions);

/* ipc_channel_own gives it its pipe. */
void ipc_channel_own(ipc_channel *channel, HANDLE pipe, bool synchronous, bool server);

/* ipc_channel_drop gives up a reference. With the last one the pipe is closed, or goes home. */
void ipc_channel_drop(ipc_channel *channel);

/* ipc_channel_set_home gives a new channel the home of its pipe. ipc_channel_leave_home: there may be other handles of
 * the pipe from now on, which go on when this one is closed, so it does not go home. */
void ipc_channel_set_home(ipc_channel *channel, ipc_pipe_home *home);
void ipc_channel_leave_home(ipc_channel *channel);

/* ipc_channel_give_away takes the pipe out: the caller owns what is returned. No call is under way. While a chunk is in
 * flight that is a duplicate: the chunk goes on in the handle that it was begun with. */
HANDLE ipc_channel_give_away(ipc_channel *channel);

/* ipc_channel_read reads at least one and at most |data_max| bytes, which is not 0, inside |gate|. IPC_TIMED_OUT if
 * there was nothing in time, else the statuses of ipc_stream_read. */
ipc_status ipc_channel_read(ipc_channel *channel, ipc_gate *gate, void *out_data, size_t data_max,
                            ipc_deadline *deadline, size_t *out_len);

/* ipc_channel_write writes |num_buffers| buffers. |*out_len| is what was taken. IPC_OK if that is all, or
 * IPC_TIMED_OUT, else the statuses of ipc_stream_write. */
ipc_status ipc_channel_write(ipc_channel *channel, const ipc_const_buffer *buffers, size_t num_buffers,
                             ipc_deadline *deadline, size_t *out_len);

/* ipc_channel_write_message writes |data| as one chunk, however long it is, and if it is empty: IPC_OK if it was taken,
 * IPC_TIMED_OUT if not. The others are those of ipc_channel_write. */
ipc_status ipc_channel_write_message(ipc_channel *channel, const void *data, size_t data_len, ipc_deadline *deadline);

/* ipc_channel_read_message reads from a pipe in message mode, inside |gate|, at most |data_max| bytes, which may be 0.
 * IPC_OK with a whole message, or its rest; IPC_MESSAGE_TRUNCATED with its front. IPC_TIMED_OUT if there was none in
 * time. The handle is overlapped. */
ipc_status ipc_channel_read_message(ipc_channel *channel, ipc_gate *gate, void *out_data, size_t data_max,
                                    ipc_deadline *deadline, size_t *out_len);

/* ipc_channel_take_writing waits until no chunk is in flight and keeps writers out: IPC_OK, and
 * ipc_channel_give_writing must follow; or IPC_TIMED_OUT, IPC_CANCELLED, or why the last chunk did not arrive. */
ipc_status ipc_channel_take_writing(ipc_channel *channel, ipc_deadline *deadline);
void ipc_channel_give_writing(ipc_channel *channel);

/* ipc_channel_is_busy says whether a chunk is in flight; ipc_channel_arrival gives an event that is set when none is,
 * NULL if there can be none. It is the channel's. */
bool ipc_channel_is_busy(ipc_channel *channel);
HANDLE ipc_channel_arrival(ipc_channel *channel);

/* ipc_channel_flush waits until the other end has read everything, inside |gate|. IPC_OK, IPC_TIMED_OUT, IPC_CANCELLED,
 * IPC_BROKEN_PIPE, ... It waits in a thread of the pool, which is called back when patience ends. */
ipc_status ipc_channel_flush(ipc_channel *channel, ipc_gate *gate, ipc_deadline *deadline);

/* ipc_channel_end_writes ends the writes that wait as IPC_CANCELLED, and those to come. ipc_channel_renew_writes lets
 * writes in again; nobody is inside. */
void ipc_channel_end_writes(ipc_channel *channel);
void ipc_channel_renew_writes(ipc_channel *channel);

/* What an error of the system means to a reader and to a writer. */
ipc_status ipc_channel_read_status(DWORD error);
ipc_status ipc_channel_write_status(DWORD error);

#endif /* REF_WINDOWS_CHANNEL_H */
