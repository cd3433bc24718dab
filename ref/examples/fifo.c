/* fifo.c - two processes meet at a FIFO file, whoever comes first.
 *
 *   cc fifo.c $(pkg-config --cflags --libs ipc-ref)
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

static int writer(const char *path) {
  ipc_stream *stream;
  /* Waits until a reader is there, without end: a timeout is not something that every system can hold
   * (IPC_UNSUPPORTED).
   */
  ipc_status status = ipc_fifo_open(path, strlen(path), IPC_FIFO_WRITE, 0, IPC_NO_TIMEOUT, &stream);
  if (status.code != IPC_OK) return fail("ipc_fifo_open for writing", status);
  size_t len;
  /* At most PIPE_BUF bytes: never mixed with what another writer writes. */
  status = ipc_stream_write(stream, "a line\n", 7, TIMEOUT_MS, &len);
  if (status.code != IPC_OK) fail("ipc_stream_write", status);
  ipc_stream_free(stream);
  return status.code != IPC_OK;
}

static int reader(const char *path) {
  ipc_stream *stream;
  /* Opens at once. Until a writer has come reads wait for one; the end comes when the last writer has left. */
  ipc_status status = ipc_fifo_open(path, strlen(path), IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, &stream);
  if (status.code != IPC_OK) return fail("ipc_fifo_open for reading", status);
  char text[64];
  size_t total = 0;
  size_t len;
  while ((status = ipc_stream_read(stream, text + total, sizeof text - total, TIMEOUT_MS, &len)).code == IPC_OK)
    total += len;
  ipc_stream_free(stream);
  if (status.code != IPC_END) return fail("ipc_stream_read", status);
  printf("the writer wrote: %.*s", (int)total, text);
  return total != 7;
}

int main(void) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/ipc-example-fifo-%ld", (long)getpid());
  ipc_status status = ipc_fifo_create(path, strlen(path), 0600);
  if (status.code != IPC_OK) return fail("ipc_fifo_create", status);

  pid_t child = fork();
  if (child == 0) _exit(writer(path));
  int failed = child < 0 || reader(path);
  int ended = 1;
  if (child > 0) (void)waitpid(child, &ended, 0);
  status = ipc_fifo_remove(path, strlen(path));
  if (status.code != IPC_OK) failed = fail("ipc_fifo_remove", status);
  return failed || ended != 0;
}
