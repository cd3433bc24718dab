/* queue_library.c - a library under test for the generic peer's own tests: pipes that are queues in memory, and one
 * signal that is a call. It asks the system for nothing but a lock, so that it is the same everywhere and what a test
 * waits for can be told exactly: stream.peer_credentials answers how many calls wait on the pipe, as `pid`. */
#include <stdlib.h>
#include <string.h>

#include "ipc/ipc.h"

#if defined(_WIN32)
#include <windows.h>
static SRWLOCK mutex = SRWLOCK_INIT;
static CONDITION_VARIABLE changed = CONDITION_VARIABLE_INIT;
static void lock(void) { AcquireSRWLockExclusive(&mutex); }
static void unlock(void) { ReleaseSRWLockExclusive(&mutex); }
static void wait_for_change(void) { SleepConditionVariableSRW(&changed, &mutex, INFINITE, 0); }
static void wake_all(void) { WakeAllConditionVariable(&changed); }
#else
#include <pthread.h>
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static void lock(void) { pthread_mutex_lock(&mutex); }
static void unlock(void) { pthread_mutex_unlock(&mutex); }
static void wait_for_change(void) { pthread_cond_wait(&changed, &mutex); }
static void wake_all(void) { pthread_cond_broadcast(&changed); }
#endif

enum { ROOM = 4096 };

/* What both ends share. Everything is guarded by the one lock. */
typedef struct queue {
  uint8_t bytes[ROOM];
  size_t at, filled;
  uint64_t num_waiting;
  unsigned num_ends; /* not freed */
  bool writer_gone, reader_gone;
} queue;

struct ipc_stream {
  queue *queue;
  bool is_writer, nonblocking, closed;
};

static ipc_status answer(int32_t code) { return (ipc_status){code, 0}; }

static ipc_status pipe_create(const ipc_pipe_options *options, ipc_stream **out_reader, ipc_stream **out_writer) {
  queue *q = calloc(1, sizeof(*q));
  ipc_stream *reader = calloc(1, sizeof(*reader)), *writer = calloc(1, sizeof(*writer));
  (void)options;
  if (q == NULL || reader == NULL || writer == NULL) {
    free(q);
    free(reader);
    free(writer);
    return answer(IPC_OUT_OF_RESOURCES);
  }
  q->num_ends = 2;
  *reader = (ipc_stream){.queue = q};
  *writer = (ipc_stream){.queue = q, .is_writer = true};
  *out_reader = reader;
  *out_writer = writer;
  return answer(IPC_OK);
}

/* await waits for the next change. IPC_OK: look again. The lock is held. */
static int32_t await(ipc_stream *s, bool nonblocking) {
  if (nonblocking) return IPC_WOULD_BLOCK;
  s->queue->num_waiting++;
  wait_for_change();
  s->queue->num_waiting--;
  return s->closed ? IPC_CANCELLED : IPC_OK;
}

static int32_t read_now(ipc_stream *s, uint8_t *out, size_t max, size_t *out_len) {
  queue *q = s->queue;
  const bool nonblocking = s->nonblocking;
  if (s->closed) return IPC_CLOSED;
  if (s->is_writer) return IPC_UNSUPPORTED;
  while (q->filled == 0 && max > 0) {
    if (q->writer_gone) return IPC_END;
    int32_t code = await(s, nonblocking);
    if (code != IPC_OK) return code;
  }
  size_t len = q->filled < max ? q->filled : max;
  for (size_t i = 0; i < len; i++) out[i] = q->bytes[(q->at + i) % ROOM];
  q->at = (q->at + len) % ROOM;
  q->filled -= len;
  *out_len = len;
  return IPC_OK;
}

static int32_t write_now(ipc_stream *s, const uint8_t *data, size_t len, size_t *out_len) {
  queue *q = s->queue;
  const bool nonblocking = s->nonblocking;
  if (s->closed) return IPC_CLOSED;
  if (!s->is_writer) return IPC_UNSUPPORTED;
  while (*out_len < len) {
    if (q->reader_gone) return IPC_BROKEN_PIPE;
    if (q->filled == ROOM) {
      if (nonblocking && *out_len > 0) return IPC_OK;
      int32_t code = await(s, nonblocking);
      if (code != IPC_OK) return code;
      continue;
    }
    q->bytes[(q->at + q->filled++) % ROOM] = data[(*out_len)++];
    if (q->filled == ROOM) wake_all();
  }
  return IPC_OK;
}

static ipc_status stream_read(ipc_stream *s, void *out, size_t max, int64_t timeout_ms, size_t *out_len) {
  (void)timeout_ms;
  *out_len = 0;
  lock();
  int32_t code = read_now(s, out, max, out_len);
  wake_all();
  unlock();
  return answer(code);
}

static ipc_status stream_write(ipc_stream *s, const void *data, size_t len, int64_t timeout_ms, size_t *out_len) {
  (void)timeout_ms;
  *out_len = 0;
  lock();
  int32_t code = write_now(s, data, len, out_len);
  wake_all();
  unlock();
  return answer(code);
}

static ipc_status stream_set_nonblocking(ipc_stream *s, bool nonblocking) {
  lock();
  bool closed = s->closed;
  if (!closed) s->nonblocking = nonblocking;
  unlock();
  return answer(closed ? IPC_CLOSED : IPC_OK);
}

static ipc_status stream_peer_credentials(ipc_stream *s, ipc_credentials *out) {
  lock();
  *out = (ipc_credentials){.fields = IPC_CREDENTIALS_PID, .pid = s->queue->num_waiting};
  unlock();
  return answer(IPC_OK);
}

static ipc_status stream_close(ipc_stream *s) {
  lock();
  bool closed = s->closed;
  s->closed = true;
  *(s->is_writer ? &s->queue->writer_gone : &s->queue->reader_gone) = true;
  wake_all();
  unlock();
  return answer(closed ? IPC_CLOSED : IPC_OK);
}

static ipc_status stream_free(ipc_stream *s) {
  if (s == NULL) return answer(IPC_OK);
  stream_close(s);
  lock();
  bool last = --s->queue->num_ends == 0;
  unlock();
  if (last) free(s->queue);
  free(s);
  return answer(IPC_OK);
}

/* The one signal: raising it calls its hook. */
enum { THE_SIGNAL = 2 };
static ipc_signal_hook hook;
static void *hook_context;

static ipc_status signal_number(const void *name, size_t len, int32_t *out_signal) {
  if (len != 3 || memcmp(name, "INT", 3) != 0) return answer(IPC_NOT_FOUND);
  *out_signal = THE_SIGNAL;
  return answer(IPC_OK);
}

static ipc_status signal_name(int32_t signal, void *out, size_t max, size_t *out_len) {
  if (signal != THE_SIGNAL) return answer(IPC_NOT_FOUND);
  if (max < 3) return answer(IPC_MESSAGE_TRUNCATED);
  memcpy(out, "INT", 3);
  *out_len = 3;
  return answer(IPC_OK);
}

static ipc_status signal_set_handler(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook wanted,
                                     void *context) {
  (void)signal;
  (void)flags;
  hook = action == IPC_SIGNAL_HOOK ? wanted : NULL;
  hook_context = context;
  return answer(IPC_OK);
}

static ipc_status signal_raise(int32_t signal) {
  const ipc_signal_event event = {.size = sizeof(event), .signal = signal};
  if (hook != NULL) hook(&event, hook_context);
  return answer(IPC_OK);
}

static const char *const features[] = {"close_while_in_use", "wait", NULL};
static const char *const traits[] = {NULL};

const ipc_table *ipc_get_table(uint32_t abi_major) {
  static const ipc_table table = {
      .size = sizeof(table),
      .abi_major = IPC_ABI_MAJOR,
      .abi_minor = IPC_ABI_MINOR,
      .implementation = "queue",
      .version = "1",
      .features = features,
      .traits = traits,
      .pipe_create = pipe_create,
      .stream_read = stream_read,
      .stream_write = stream_write,
      .stream_set_nonblocking = stream_set_nonblocking,
      .stream_peer_credentials = stream_peer_credentials,
      .stream_close = stream_close,
      .stream_free = stream_free,
      .signal_number = signal_number,
      .signal_name = signal_name,
      .signal_set_handler = signal_set_handler,
      .signal_raise = signal_raise,
  };
  return abi_major == IPC_ABI_MAJOR ? &table : NULL;
}
