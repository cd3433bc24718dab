/* unnamed_pipe.c - a program writes into the standard input of another.
 *
 *   cc unnamed_pipe.c $(pkg-config --cflags --libs ipc-ref)
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000 };

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Becomes sort(1), which reads from |reader|. */
static void become_sort(ipc_stream *reader) {
  ipc_raw raw;
  if (ipc_stream_raw(reader, &raw).code == IPC_OK && dup2((int)raw.value, 0) == 0) {
    /* Both ends are closed on exec, but for the copy that is standard input now. */
    (void)execlp("sort", "sort", (char *)NULL);
  }
  _exit(127);
}

int main(void) {
  ipc_stream *reader;
  ipc_stream *writer;
  ipc_status status = ipc_pipe_create(NULL, &reader, &writer);
  if (status.code != IPC_OK) return fail("ipc_pipe_create", status);

  pid_t child = fork();
  if (child == 0) become_sort(reader);
  ipc_stream_free(reader); /* the child's end alone is left: if it ends early, a write is IPC_BROKEN_PIPE, no signal */
  int failed = child < 0;
  if (!failed) {
    size_t len;
    status = ipc_stream_write(writer, "pear\napple\n", 11, TIMEOUT_MS, &len);
    if (status.code != IPC_OK) failed = fail("ipc_stream_write", status);
  }
  ipc_stream_free(writer); /* sort sees the end of its input */
  int ended = 1;
  if (child > 0) (void)waitpid(child, &ended, 0);
  return failed || ended != 0;
}
