/* channel.c - see channel.h. */
#include "ref/windows/channel.h"

#include <stdlib.h>
#include <string.h>

#include "ref/common/platform.h"
#include "ref/windows/errand.h"

/* ------------------------------------------------------------------------------------------------- life */

ipc_channel *ipc_channel_new(uint32_t directions) {
  ipc_channel *channel = calloc(1, sizeof *channel);
  if (channel == NULL) return NULL;
  channel->pipe = INVALID_HANDLE_VALUE;
  atomic_init(&channel->home, NULL);
  atomic_init(&channel->references, 1);
  atomic_init(&channel->reading, NULL);
  InitializeSRWLock(&channel->looking);
  channel->chunk = CHUNK_NONE;
  if ((directions & DIRECTION_WRITE) != 0) {
    channel->monitor = ipc_monitor_new();
    channel->written = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (channel->monitor == NULL || channel->written == NULL) {
      ipc_channel_drop(channel);
      return NULL;
    }
    ipc_turn_init(&channel->turn, channel->monitor);
  }
  return channel;
}

void ipc_channel_own(ipc_channel *channel, HANDLE pipe, bool synchronous, bool server) {
  channel->pipe = pipe;
  channel->synchronous = synchronous;
  channel->server = server;
}

void ipc_channel_set_home(ipc_channel *channel, ipc_pipe_home *home) { atomic_store(&channel->home, home); }

void ipc_channel_leave_home(ipc_channel *channel) {
  ipc_pipe_home *home = atomic_exchange(&channel->home, NULL);
  if (home != NULL) home->leave(home);
}

/* Releases a channel that nobody refers to and that has no home. */
static void dispose(ipc_channel *channel) {
  HANDLE event = atomic_load(&channel->reading);
  if (channel->pipe != INVALID_HANDLE_VALUE) (void)CloseHandle(channel->pipe);
  if (event != NULL) (void)CloseHandle(event);
  if (channel->written != NULL) (void)CloseHandle(channel->written);
  event = atomic_load(&channel->arrived);
  if (event != NULL) (void)CloseHandle(event);
  if (channel->monitor != NULL) ipc_monitor_free(channel->monitor);
  free(channel->bytes);
  free(channel);
}

/* Ends the life of a channel that has come inside the gate of |home|, with one reference. The pipe is home or closed
 * before the gate is left: who shuts it finds the name free of it. */
static void end_at_home(ipc_channel *channel, ipc_pipe_home *home, bool goes_home) {
  atomic_store(&channel->home, NULL);
  if (goes_home) {
    home->take_back(home, channel->pipe);
    channel->pipe = INVALID_HANDLE_VALUE;
  }
  ipc_channel_drop(channel);
  ipc_gate_leave(home->gate);
  home->leave(home);
}

/* In the pool: waits until everything has been read. */
static void CALLBACK await_reader(PTP_CALLBACK_INSTANCE instance, void *context) {
  ipc_channel *channel = context;
  ipc_pipe_home *home = atomic_load(&channel->home);
  ipc_deadline forever = {.timeout_ms = -1};
  (void)instance;
  ipc_channel_renew_writes(channel); /* no chunk is in flight, and nobody writes any more */
  ipc_status status = ipc_channel_flush(channel, home->gate, &forever);
  end_at_home(channel, home, status.code == IPC_OK || status.code == IPC_BROKEN_PIPE);
}

void ipc_channel_drop(ipc_channel *channel) {
  if (atomic_fetch_sub(&channel->references, 1) != 1) return;
  ipc_pipe_home *home = atomic_load(&channel->home);
  if (home != NULL && channel->pipe != INVALID_HANDLE_VALUE && ipc_gate_enter(home->gate)) {
    atomic_store(&channel->references, 1);
    bool may_be_unread = channel->monitor != NULL && ipc_pipe_is_connected(channel->pipe);
    if (!may_be_unread || !ipc_pool_submit(await_reader, channel)) end_at_home(channel, home, !may_be_unread);
    return;
  }
  ipc_channel_leave_home(channel);
  dispose(channel);
}

/* A second handle for the same, inherited if |pipe| is; INVALID_HANDLE_VALUE if there can be none. */
static HANDLE duplicate(HANDLE pipe) {
  HANDLE made;
  HANDLE process = GetCurrentProcess();
  DWORD flags = 0;
  (void)GetHandleInformation(pipe, &flags);
  BOOL inherit = (flags & HANDLE_FLAG_INHERIT) != 0;
  return DuplicateHandle(process, pipe, process, &made, 0, inherit, DUPLICATE_SAME_ACCESS) ? made
                                                                                           : INVALID_HANDLE_VALUE;
}

HANDLE ipc_channel_give_away(ipc_channel *channel) {
  HANDLE given = channel->pipe;
  ipc_channel_leave_home(channel);
  if (channel->monitor == NULL) {
    channel->pipe = INVALID_HANDLE_VALUE;
    return given;
  }
  ipc_monitor_lock(channel->monitor);
  HANDLE made = channel->chunk != CHUNK_NONE ? duplicate(given) : INVALID_HANDLE_VALUE;
  /* If there can be no duplicate the chunk goes on for as long as the new owner keeps the handle. */
  if (made == INVALID_HANDLE_VALUE) channel->pipe = INVALID_HANDLE_VALUE;
  ipc_monitor_unlock(channel->monitor);
  return made != INVALID_HANDLE_VALUE ? made : given;
}

/* ------------------------------------------------------------------------------------------------- reading */

ipc_status ipc_channel_read_status(DWORD error) {
  switch (error) {
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA:            /* the pipe is being closed */
    case ERROR_PIPE_NOT_CONNECTED: /* the server has thrown the client out */
    case ERROR_HANDLE_EOF:
      return (ipc_status){IPC_END, error};
    case ERROR_OPERATION_ABORTED: /* not by this library */
      return (ipc_status){IPC_FAILED, error};
    default:
      return ipc_platform_status(error);
  }
}

/* How much there is to read now: IPC_OK with more than 0, IPC_TIMED_OUT, or why there will be nothing. */
static ipc_status look(const ipc_channel *channel, DWORD *out_len) {
  *out_len = 0;
  if (!PeekNamedPipe(channel->pipe, NULL, 0, NULL, out_len, NULL)) return ipc_channel_read_status(GetLastError());
  return ipc_status_of(*out_len != 0 ? IPC_OK : IPC_TIMED_OUT);
}

/* A message of somebody else's that is empty is neither data nor the end: on to the next. So is an operation that
 * somebody else has cancelled. */
static ipc_status read_overlapped(ipc_channel *channel, ipc_gate *gate, HANDLE event, void *out_data, DWORD data_max,
                                  ipc_deadline *deadline, size_t *out_len) {
  for (;;) {
    OVERLAPPED operation = ipc_overlapped_init(event);
    BOOL started = ReadFile(channel->pipe, out_data, data_max, NULL, &operation);
    ipc_outcome outcome = ipc_overlapped_finish(gate, channel->pipe, &operation, event, started, deadline);
    if (outcome.code != IPC_OK) return ipc_status_of(outcome.code);
    if (outcome.error == ERROR_OPERATION_ABORTED) continue;
    if (outcome.error != 0 && outcome.error != ERROR_MORE_DATA) return ipc_channel_read_status(outcome.error);
    *out_len = outcome.len;
    if (outcome.len != 0) return ipc_status_of(IPC_OK);
  }
}

static ipc_status read_after_look(ipc_channel *channel, void *out_data, DWORD data_max, size_t *out_len) {
  DWORD there;
  AcquireSRWLockExclusive(&channel->looking);
  ipc_status status = look(channel, &there);
  if (status.code == IPC_OK) {
    DWORD len = 0;
    DWORD error = ReadFile(channel->pipe, out_data, data_max, &len, NULL) ? 0 : GetLastError();
    if (error != 0 && error != ERROR_MORE_DATA)
      status = ipc_channel_read_status(error);
    else if (len == 0)
      status = ipc_status_of(IPC_TIMED_OUT);
    *out_len = len;
  }
  ReleaseSRWLockExclusive(&channel->looking);
  return status;
}

static ipc_status read_synchronous(ipc_channel *channel, ipc_gate *gate, void *out_data, DWORD data_max,
                                   ipc_deadline *deadline, size_t *out_len) {
  for (;;) {
    ipc_status status = read_after_look(channel, out_data, data_max, out_len);
    if (status.code != IPC_TIMED_OUT) return status;
    int left_ms = ipc_deadline_left_ms(deadline);
    if (left_ms == 0) return status;
    ipc_deadline slice = {.timeout_ms = left_ms < 0 || left_ms > SLICE_MS ? SLICE_MS : left_ms};
    int32_t code = ipc_gate_wait(gate, NULL, 0, &slice);
    if (code != IPC_TIMED_OUT) return ipc_status_of(code);
  }
}

ipc_status ipc_channel_read(ipc_channel *channel, ipc_gate *gate, void *out_data, size_t data_max,
                            ipc_deadline *deadline, size_t *out_len) {
  DWORD max = data_max > INT32_MAX ? INT32_MAX : (DWORD)data_max;
  *out_len = 0;
  if (channel->synchronous) return read_synchronous(channel, gate, out_data, max, deadline, out_len);
  if (deadline->timeout_ms == 0) { /* to look costs less than to begin and to take back */
    DWORD there;
    ipc_status status = look(channel, &there);
    if (status.code != IPC_OK) return status;
  }
  HANDLE event = ipc_event_take(&channel->reading);
  if (event == NULL) return ipc_platform_status(GetLastError());
  ipc_status status = read_overlapped(channel, gate, event, out_data, max, deadline, out_len);
  ipc_event_give(&channel->reading, event);
  return status;
}

/* ------------------------------------------------------------------------------------------------- writing */

ipc_status ipc_channel_write_status(DWORD error) {
  switch (error) {
    case ERROR_BROKEN_PIPE:
    case ERROR_NO_DATA: /* the pipe is being closed */
    case ERROR_PIPE_NOT_CONNECTED:
      return (ipc_status){IPC_BROKEN_PIPE, error};
    case ERROR_NOT_ENOUGH_QUOTA:
      return (ipc_status){IPC_OUT_OF_RESOURCES, error};
    case ERROR_OPERATION_ABORTED: /* not by this library */
      return (ipc_status){IPC_FAILED, error};
    default:
      return ipc_platform_status(error);
  }
}

/* Begins the write of the chunk; on a synchronous handle also ends it. ERROR_IO_PENDING if it has to wait. */
static DWORD begin(ipc_channel *channel) {
  DWORD len;
  if (channel->synchronous) {
    return WriteFile(channel->pipe, channel->bytes, (DWORD)channel->len, &len, NULL) ? 0 : GetLastError();
  }
  channel->operation = ipc_overlapped_init(channel->written);
  BOOL done = WriteFile(channel->pipe, channel->bytes, (DWORD)channel->len, NULL, &channel->operation);
  return done ? 0 : GetLastError();
}

/* Says where the chunk is, also to who waits for an event. */
static void note_chunk(ipc_channel *channel, uint32_t chunk) {
  channel->chunk = chunk;
  HANDLE arrived = atomic_load(&channel->arrived);
  if (arrived != NULL) (void)(chunk == CHUNK_NONE ? SetEvent(arrived) : ResetEvent(arrived));
}

static void set_chunk(ipc_channel *channel, uint32_t chunk, DWORD refused, DWORD lost) {
  ipc_monitor_lock(channel->monitor);
  note_chunk(channel, chunk);
  channel->refused = refused;
  if (lost != 0) channel->lost = lost;
  ipc_monitor_wake(channel->monitor);
  ipc_monitor_unlock(channel->monitor);
}

/* Waits until the chunk, which the system has, has arrived. */
static void see_off(ipc_channel *channel) {
  DWORD len;
  (void)WaitForSingleObject(channel->written, INFINITE);
  DWORD error = ipc_overlapped_result(channel->pipe, &channel->operation, &len);
  set_chunk(channel, CHUNK_NONE, 0, error);
}

/* In the pool: brings the chunk to the system and waits until it has arrived. The chunk's reference is its own. */
static void CALLBACK carry(PTP_CALLBACK_INSTANCE instance, void *context) {
  ipc_channel *channel = context;
  (void)instance;
  if (channel->chunk == CHUNK_FLYING) {
    see_off(channel);
  } else if (channel->synchronous) {
    set_chunk(channel, CHUNK_FLYING, 0, 0);
    set_chunk(channel, CHUNK_NONE, 0, begin(channel));
  } else {
    DWORD error = begin(channel);
    if (error == ERROR_IO_PENDING) {
      set_chunk(channel, CHUNK_FLYING, 0, 0);
      see_off(channel);
    } else {
      set_chunk(channel, CHUNK_NONE, error, 0);
    }
  }
  ipc_channel_drop(channel);
}

/* Gives the chunk to the pool. */
static bool submit_chunk(ipc_channel *channel) {
  atomic_fetch_add(&channel->references, 1);
  bool submitted = ipc_pool_submit(carry, channel);
  if (!submitted) ipc_channel_drop(channel);
  return submitted;
}

/* Waits until the pool has brought the chunk to the system: soon. A synchronous handle does not tell when the system
 * has it; there a moment's patience learns of most that it has arrived, or that there is no reader. */
static DWORD await_handed(ipc_channel *channel) {
  ipc_deadline patience = {.timeout_ms = channel->synchronous ? SLICE_MS : -1};
  ipc_monitor_lock(channel->monitor);
  for (bool left = true; left; left = ipc_monitor_wait(channel->monitor, &patience)) {
    if (channel->chunk == CHUNK_NONE) break;
    if (channel->chunk == CHUNK_FLYING && !channel->synchronous) break;
  }
  DWORD error = channel->chunk != CHUNK_NONE ? 0 : channel->refused != 0 ? channel->refused : channel->lost;
  ipc_monitor_unlock(channel->monitor);
  return error;
}

/* Has the chunk written by the caller, for whom there is room. If somebody else has taken the room since, the pool
 * waits for it, but it was this thread that began. */
static DWORD write_self(ipc_channel *channel) {
  DWORD error = begin(channel);
  if (error != ERROR_IO_PENDING) return error;
  note_chunk(channel, CHUNK_FLYING);
  if (!submit_chunk(channel)) see_off(channel);
  return 0;
}

/* Hands over the chunk; nobody else's is in flight. 0, or why it was not taken. */
static DWORD hand_over(ipc_channel *channel) {
  if (ipc_pipe_room(channel->pipe) >= channel->len) return write_self(channel);
  if (channel->synchronous && ipc_pipe_is_closing(channel->pipe)) return ERROR_NO_DATA;
  channel->refused = 0;
  note_chunk(channel, CHUNK_HANDED);
  if (!submit_chunk(channel)) {
    note_chunk(channel, CHUNK_NONE);
    return ERROR_NOT_ENOUGH_MEMORY;
  }
  return await_handed(channel);
}

/* Waits until no chunk is in flight: IPC_OK, IPC_TIMED_OUT, IPC_CANCELLED. */
static int32_t await_arrival(ipc_channel *channel, ipc_deadline *deadline) {
  int32_t code = IPC_OK;
  ipc_monitor_lock(channel->monitor);
  for (bool left = true; channel->chunk != CHUNK_NONE; left = ipc_monitor_wait(channel->monitor, deadline)) {
    if (ipc_turn_is_ended(&channel->turn))
      code = IPC_CANCELLED;
    else if (!left)
      code = IPC_TIMED_OUT;
    if (code != IPC_OK) break;
  }
  ipc_monitor_unlock(channel->monitor);
  return code;
}

/* Where a write has got to. */
typedef struct cursor {
  const ipc_const_buffer *buffers;
  size_t num_buffers;
  size_t offset; /* into the first of them */
} cursor;

/* Copies the next chunk to the channel and steps over it. Its length is 0 at the end. */
static void gather(ipc_channel *channel, cursor *at) {
  channel->len = 0;
  while (at->num_buffers != 0 && channel->len < CHUNK_MAX) {
    size_t len = at->buffers->len - at->offset;
    if (len > CHUNK_MAX - channel->len) len = CHUNK_MAX - channel->len;
    if (len != 0) memcpy(channel->bytes + channel->len, (const unsigned char *)at->buffers->data + at->offset, len);
    channel->len += len;
    at->offset += len;
    if (at->offset == at->buffers->len) {
      at->buffers++;
      at->num_buffers--;
      at->offset = 0;
    }
  }
}

/* Sees to room for a chunk of |len| bytes. None is in flight. */
static bool reserve(ipc_channel *channel, size_t len) {
  if (channel->room >= len) return true;
  unsigned char *bytes = realloc(channel->bytes, len);
  if (bytes == NULL) return false;
  channel->bytes = bytes;
  channel->room = len;
  return true;
}

/* The caller has the turn. */
static ipc_status write_chunks(ipc_channel *channel, cursor *at, ipc_deadline *deadline, size_t *out_len) {
  for (;;) {
    int32_t code = await_arrival(channel, deadline);
    bool all = at->num_buffers == 0;
    if (code != IPC_OK) return ipc_status_of(all ? IPC_OK : code);
    if (channel->lost != 0) return ipc_channel_write_status(channel->lost);
    if (all) return ipc_status_of(IPC_OK);
    if (ipc_turn_is_ended(&channel->turn)) return ipc_status_of(IPC_CANCELLED);
    if (!reserve(channel, CHUNK_MAX)) return ipc_status_of(IPC_OUT_OF_RESOURCES);
    gather(channel, at);
    if (channel->len == 0) continue;
    DWORD error = hand_over(channel);
    if (error != 0) return ipc_channel_write_status(error);
    *out_len += channel->len;
  }
}

ipc_status ipc_channel_write(ipc_channel *channel, const ipc_const_buffer *buffers, size_t num_buffers,
                             ipc_deadline *deadline, size_t *out_len) {
  cursor at = {.buffers = buffers, .num_buffers = num_buffers};
  *out_len = 0;
  int32_t code = ipc_turn_take(&channel->turn, deadline);
  if (code != IPC_OK) return ipc_status_of(code == IPC_CLOSED ? IPC_CANCELLED : code);
  ipc_status status = write_chunks(channel, &at, deadline, out_len);
  ipc_turn_give(&channel->turn);
  return status;
}

ipc_status ipc_channel_take_writing(ipc_channel *channel, ipc_deadline *deadline) {
  int32_t code = ipc_turn_take(&channel->turn, deadline);
  if (code != IPC_OK) return ipc_status_of(code == IPC_CLOSED ? IPC_CANCELLED : code);
  code = await_arrival(channel, deadline);
  ipc_status status = ipc_status_of(code);
  if (code == IPC_OK && channel->lost != 0) status = ipc_channel_write_status(channel->lost);
  if (status.code != IPC_OK) ipc_turn_give(&channel->turn);
  return status;
}

void ipc_channel_give_writing(ipc_channel *channel) { ipc_turn_give(&channel->turn); }

ipc_status ipc_channel_write_message(ipc_channel *channel, const void *data, size_t data_len, ipc_deadline *deadline) {
  if (data_len > INT32_MAX) return ipc_status_of(IPC_MESSAGE_TOO_LARGE);
  ipc_status status = ipc_channel_take_writing(channel, deadline);
  if (status.code != IPC_OK) return status;
  DWORD error = ERROR_NOT_ENOUGH_MEMORY;
  if (reserve(channel, data_len > CHUNK_MAX ? data_len : CHUNK_MAX)) {
    if (data_len != 0) memcpy(channel->bytes, data, data_len);
    channel->len = data_len;
    error = hand_over(channel);
  }
  if (error != 0) status = ipc_channel_write_status(error);
  /* It is taken; what is left to wait for is its arrival. */
  if (error == 0 && await_arrival(channel, deadline) == IPC_OK && channel->lost != 0) {
    status = ipc_channel_write_status(channel->lost);
  }
  ipc_turn_give(&channel->turn);
  return status;
}

bool ipc_channel_is_busy(ipc_channel *channel) {
  ipc_monitor_lock(channel->monitor);
  bool busy = channel->chunk != CHUNK_NONE;
  ipc_monitor_unlock(channel->monitor);
  return busy;
}

/* A writer that is just handing a chunk over may miss the event's making: then it is set too early, once. */
HANDLE ipc_channel_arrival(ipc_channel *channel) {
  ipc_monitor_lock(channel->monitor);
  HANDLE arrived = atomic_load(&channel->arrived);
  if (arrived == NULL) {
    arrived = CreateEventW(NULL, TRUE, channel->chunk == CHUNK_NONE, NULL);
    atomic_store(&channel->arrived, arrived);
  }
  ipc_monitor_unlock(channel->monitor);
  return arrived;
}

/* ------------------------------------------------------------------------------------------------- messages */

ipc_status ipc_channel_read_message(ipc_channel *channel, ipc_gate *gate, void *out_data, size_t data_max,
                                    ipc_deadline *deadline, size_t *out_len) {
  DWORD max = data_max > INT32_MAX ? INT32_MAX : (DWORD)data_max;
  unsigned char none;
  ipc_outcome outcome;
  *out_len = 0;
  HANDLE event = ipc_event_take(&channel->reading);
  if (event == NULL) return ipc_platform_status(GetLastError());
  do { /* again if somebody else has cancelled it */
    OVERLAPPED operation = ipc_overlapped_init(event);
    BOOL started = ReadFile(channel->pipe, max != 0 ? out_data : &none, max, NULL, &operation);
    outcome = ipc_overlapped_finish(gate, channel->pipe, &operation, event, started, deadline);
  } while (outcome.code == IPC_OK && outcome.error == ERROR_OPERATION_ABORTED);
  ipc_event_give(&channel->reading, event);
  if (outcome.code != IPC_OK) return ipc_status_of(outcome.code);
  if (outcome.error != 0 && outcome.error != ERROR_MORE_DATA) return ipc_channel_read_status(outcome.error);
  *out_len = outcome.len;
  return outcome.error == 0 ? ipc_status_of(IPC_OK) : (ipc_status){IPC_MESSAGE_TRUNCATED, outcome.error};
}

/* ------------------------------------------------------------------------------------------------- flushing */

/* A flush under way. */
typedef struct flush {
  ipc_errand errand;    /* first */
  ipc_channel *channel; /* the errand's reference, which is dropped before that is done */
} flush;

static DWORD carry_out_flush(ipc_errand *errand) {
  ipc_channel *channel = ((flush *)errand)->channel;
  if (ipc_pipe_is_closing(channel->pipe)) return ERROR_BROKEN_PIPE; /* Wine would say that all is well */
  return FlushFileBuffers(channel->pipe) ? 0 : GetLastError();
}

static void finish_flush(ipc_errand *errand) { ipc_channel_drop(((flush *)errand)->channel); }

static void release_flush(ipc_errand *errand) { free((flush *)errand); }

static flush *flush_begin(ipc_channel *channel) {
  flush *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->errand = (ipc_errand){.carry_out = carry_out_flush, .finish = finish_flush, .release = release_flush};
  f->channel = channel;
  atomic_fetch_add(&channel->references, 1);
  if (ipc_errand_begin(&f->errand)) return f;
  ipc_channel_drop(channel);
  free(f);
  return NULL;
}

/* Has it end. A thread that cannot be called back stays until the other end has read everything or is gone. */
static void flush_end(flush *f) {
  enum { TRIES_MAX = 1000, TRY_MS = 1 };
  for (int i = 0; i < TRIES_MAX; i++) {
    ipc_errand_call_back(&f->errand);
    if (WaitForSingleObject(f->errand.done, TRY_MS) == WAIT_OBJECT_0) return;
  }
}

ipc_status ipc_channel_flush(ipc_channel *channel, ipc_gate *gate, ipc_deadline *deadline) {
  ipc_status status = ipc_channel_take_writing(channel, deadline);
  if (status.code != IPC_OK) return status;
  ipc_channel_give_writing(channel); /* what others write meanwhile is theirs to flush */
  flush *f = flush_begin(channel);
  if (f == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  const ipc_errand *errand = &f->errand;
  int32_t code = ipc_gate_wait(gate, &errand->done, 1, deadline);
  if (code != IPC_OK) flush_end(f);
  if (WaitForSingleObject(errand->done, 0) == WAIT_OBJECT_0 && errand->error != ERROR_OPERATION_ABORTED) {
    status = errand->error == 0 ? ipc_status_of(IPC_OK) : ipc_channel_write_status(errand->error);
  } else {
    status = ipc_status_of(code != IPC_OK ? code : IPC_FAILED);
  }
  ipc_errand_drop(&f->errand);
  return status;
}

void ipc_channel_end_writes(ipc_channel *channel) {
  if (channel->monitor != NULL) (void)ipc_turn_end(&channel->turn);
}

void ipc_channel_renew_writes(ipc_channel *channel) { ipc_turn_init(&channel->turn, channel->monitor); }
