/* unnamed_pipe.c - a program writes into the standard input of another.
 *
 *   x86_64-w64-mingw32-gcc unnamed_pipe.c -lipc_ref -ladvapi32 -lntdll
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000 };

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Starts |command| with |input| as its standard input. Whatever is inheritable it inherits. */
static HANDLE start_reader(char *command, const ipc_raw *input) {
  STARTUPINFOA start = {.cb = sizeof start, .dwFlags = STARTF_USESTDHANDLES};
  start.hStdInput = (HANDLE)(uintptr_t)input->value;
  start.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
  start.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  PROCESS_INFORMATION made;
  if (!CreateProcessA(NULL, command, NULL, NULL, TRUE, 0, NULL, NULL, &start, &made)) return NULL;
  CloseHandle(made.hThread);
  return made.hProcess;
}

/* What the child does: it knows nothing of this library. */
static int count_lines(void) {
  char line[80];
  int num = 0;
  while (fgets(line, sizeof line, stdin) != NULL) num++;
  printf("%d lines\n", num);
  return num == 2 ? 0 : 1;
}

int main(int argc, char **argv) {
  if (argc > 1) return count_lines();
  /* The reading end is for the child. The writing end stays here, so that the child sees the end when it is closed. */
  const ipc_pipe_options options = {.size = sizeof options, .flags = IPC_PIPE_INHERIT_READER};
  ipc_stream *reader;
  ipc_stream *writer;
  ipc_status status = ipc_pipe_create(&options, &reader, &writer);
  if (status.code != IPC_OK) return fail("ipc_pipe_create", status);
  ipc_raw raw;
  status = ipc_stream_raw(reader, &raw);
  if (status.code != IPC_OK) return fail("ipc_stream_raw", status);
  char command[1024];
  snprintf(command, sizeof command, "\"%s\" count", argv[0]);
  HANDLE child = start_reader(command, &raw);
  ipc_stream_free(reader); /* the child's end alone is left: if it ends early, a write is IPC_BROKEN_PIPE */
  int failed = child == NULL;
  if (!failed) {
    size_t len;
    status = ipc_stream_write(writer, "pear\napple\n", 11, TIMEOUT_MS, &len);
    if (status.code != IPC_OK) failed = fail("ipc_stream_write", status);
  }
  ipc_stream_free(writer); /* the child sees the end of its input */
  DWORD ended = 1;
  if (child != NULL) {
    WaitForSingleObject(child, INFINITE);
    GetExitCodeProcess(child, &ended);
    CloseHandle(child);
  }
  return failed || ended != 0;
}
