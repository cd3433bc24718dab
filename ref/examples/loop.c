/* loop.c - many connections, one thread: a server takes clients and echoes what they say, with operations that complete
 * in a loop. The clients are processes of their own.
 *
 *   cc loop.c $(pkg-config --cflags --libs ipc-ref)
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000, NUM_CLIENTS = 3, ACCEPT = 1000 };

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Says something, and returns 0 if the same comes back. */
static int talk(const ipc_name *name) {
  ipc_stream *stream;
  ipc_status status = ipc_local_connect(name, TIMEOUT_MS, &stream);
  if (status.code != IPC_OK) return fail("ipc_local_connect", status);
  char back[8];
  size_t len;
  status = ipc_stream_write(stream, "hello", 5, TIMEOUT_MS, &len);
  for (size_t got = 0; status.code == IPC_OK && got < 5; got += len) {
    status = ipc_stream_read(stream, back + got, 5 - got, TIMEOUT_MS, &len);
  }
  ipc_stream_free(stream);
  if (status.code != IPC_OK) return fail("a client", status);
  return memcmp(back, "hello", 5) != 0;
}

/* A client's connection. What an operation is given must stay where it is until the operation has completed. */
typedef struct connection {
  ipc_stream *stream;
  char bytes[64];
  ipc_buffer room;
  ipc_const_buffer sent;
} connection;

typedef struct server {
  ipc_loop *loop;
  ipc_listener *listener;
  connection connections[NUM_CLIENTS];
  size_t num_accepted;
  size_t num_gone;
} server;

static int submit(server *s, ipc_submission *submission) {
  submission->size = sizeof *submission;
  submission->timeout_ms = TIMEOUT_MS;
  ipc_status status = ipc_loop_submit(s->loop, submission);
  return status.code == IPC_OK ? 0 : fail("ipc_loop_submit", status);
}

static int accept_one(server *s) {
  return submit(s, &(ipc_submission){.operation = IPC_SUBMIT_ACCEPT, .token = ACCEPT, .listener = s->listener});
}

/* A connection has one operation at a time, and its number is the token. */
static int read_some(server *s, uint64_t number) {
  connection *from = &s->connections[number];
  from->room = (ipc_buffer){from->bytes, sizeof from->bytes};
  return submit(s, &(ipc_submission){.operation = IPC_SUBMIT_READ,
                                     .token = number,
                                     .stream = from->stream,
                                     .buffers = &from->room,
                                     .num_buffers = 1});
}

static int echo(server *s, uint64_t number, size_t len) {
  connection *to = &s->connections[number];
  to->sent = (ipc_const_buffer){to->bytes, len};
  return submit(s, &(ipc_submission){.operation = IPC_SUBMIT_WRITE,
                                     .token = number,
                                     .stream = to->stream,
                                     .const_buffers = &to->sent,
                                     .num_buffers = 1});
}

/* A completion says what the call would have returned; what follows from it is the next operation. */
static int proceed(server *s, const ipc_completion *done) {
  if (done->operation == IPC_SUBMIT_READ && done->status.code == IPC_END) {
    s->num_gone++;
    return 0;
  }
  if (done->status.code != IPC_OK) return fail("an operation", done->status);
  if (done->operation == IPC_SUBMIT_READ) return echo(s, done->token, done->len);
  if (done->operation == IPC_SUBMIT_WRITE) return read_some(s, done->token);
  size_t number = s->num_accepted++;
  s->connections[number].stream = done->stream;
  if (read_some(s, number)) return 1;
  return s->num_accepted < NUM_CLIENTS ? accept_one(s) : 0;
}

/* Serves until every client has come and gone. */
static int serve(server *s) {
  if (accept_one(s)) return 1;
  while (s->num_gone < NUM_CLIENTS) {
    ipc_completion done[8];
    size_t num;
    ipc_status status = ipc_loop_wait(s->loop, TIMEOUT_MS, done, 8, &num);
    if (status.code != IPC_OK) return fail("ipc_loop_wait", status);
    for (size_t i = 0; i < num; i++) {
      if (proceed(s, &done[i])) return 1;
    }
  }
  printf("%zu clients were served\n", s->num_gone);
  return 0;
}

int main(void) {
  /* The process id makes the name this program's own. */
  char text[64];
  snprintf(text, sizeof text, "ipc-example-loop-%ld", (long)getpid());
  ipc_name name = {IPC_NAME_NAMESPACED, text, strlen(text)};
  server s = {0};
  ipc_status status = ipc_local_listen(&name, NULL, &s.listener);
  if (status.code != IPC_OK) return fail("ipc_local_listen", status);
  int num_started = 0;
  while (num_started < NUM_CLIENTS) {
    pid_t child = fork();
    if (child == 0) _exit(talk(&name));
    if (child < 0) break;
    num_started++;
  }
  int failed = 1;
  status = ipc_loop_open(NULL, &s.loop); /* not before fork(2): a child has no use for it */
  if (status.code != IPC_OK) fail("ipc_loop_open", status);
  if (status.code == IPC_OK && num_started == NUM_CLIENTS) failed = serve(&s);
  ipc_loop_free(s.loop); /* before the handles or after them: either ends what is under way */
  for (size_t i = 0; i < NUM_CLIENTS; i++) ipc_stream_free(s.connections[i].stream);
  ipc_listener_free(s.listener);
  for (; num_started > 0; num_started--) {
    int ended = 1;
    failed |= wait(&ended) < 0 || ended != 0;
  }
  return failed;
}
