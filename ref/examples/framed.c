/* framed.c - messages over a stream: the framed stream keeps what a read brought too much, and what a write could not
 * send yet.
 *
 *   cc framed.c $(pkg-config --cflags --libs ipc-ref)
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000 };

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

static const ipc_framing FRAMING = {.size = sizeof FRAMING, .codec = IPC_FRAMING_VARINT, .max = 1000};

/* Makes a framed stream of |stream|, which belongs to it from then on. */
static ipc_framed *frames_on(ipc_stream *stream) {
  ipc_framed *framed;
  ipc_status status = ipc_framed_open(stream, &FRAMING, &framed);
  if (status.code == IPC_OK) return framed;
  fail("ipc_framed_open", status);
  ipc_stream_free(stream); /* still ours */
  return NULL;
}

static int send_all(ipc_framed *framed) {
  const ipc_const_buffer bodies[] = {{"first", 5}, {"", 0}, {"third", 5}};
  size_t num;
  ipc_status status = ipc_framed_write(framed, bodies, 3, TIMEOUT_MS, &num);
  return status.code == IPC_OK ? 0 : fail("ipc_framed_write", status);
}

/* Returns how many messages came before the end, or -1. */
static int receive_all(ipc_framed *framed) {
  for (int num = 0;; num++) {
    char body[1000];
    size_t len;
    ipc_status status = ipc_framed_read(framed, body, sizeof body, TIMEOUT_MS, &len);
    if (status.code == IPC_END) return num;
    if (status.code != IPC_OK) {
      fail("ipc_framed_read", status);
      return -1;
    }
    printf("message of %zu bytes: %.*s\n", len, (int)len, body);
  }
}

int main(void) {
  ipc_stream *reader;
  ipc_stream *writer;
  ipc_status status = ipc_pipe_create(NULL, &reader, &writer);
  if (status.code != IPC_OK) return fail("ipc_pipe_create", status);
  ipc_raw raw;
  status = ipc_stream_raw(writer, &raw);
  if (status.code != IPC_OK) return fail("ipc_stream_raw", status);
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    /* The handles of a process are its own, so the child makes one of the descriptor that it inherited. */
    ipc_stream *own;
    ipc_framed *framed = ipc_stream_adopt(&raw, &own).code == IPC_OK ? frames_on(own) : NULL;
    int failed = framed == NULL || send_all(framed);
    ipc_framed_free(framed);
    _exit(failed);
  }
  ipc_stream_free(writer);
  ipc_framed *framed = frames_on(reader);
  int num = framed != NULL ? receive_all(framed) : -1;
  ipc_framed_free(framed);
  int ended = 1;
  if (child > 0) (void)waitpid(child, &ended, 0);
  return num != 3 || ended != 0;
}
