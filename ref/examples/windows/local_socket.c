/* local_socket.c - a server and a client, two processes that find each other by a name.
 *
 *   x86_64-w64-mingw32-gcc local_socket.c -lipc_ref -ladvapi32 -lntdll
 */
#include <stdio.h>
#include <string.h>
#include <windows.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000 };

/* A call that did not answer IPC_OK. `code` decides what to do; `native`, the system's own error, is for people. */
static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Reads to the end into |text|, which ends in a NUL. A read brings what is there, at least a byte; the end is a status
 * of its own. */
static ipc_status read_all(ipc_stream *stream, char *text, size_t text_max) {
  size_t len = 0;
  for (;;) {
    size_t n;
    ipc_status status = ipc_stream_read(stream, text + len, text_max - 1 - len, TIMEOUT_MS, &n);
    len += n;
    text[len] = '\0';
    if (status.code == IPC_END) return (ipc_status){IPC_OK, 0};
    if (status.code != IPC_OK || len == text_max - 1) return status;
  }
}

static int client(const ipc_name *name) {
  ipc_stream *stream;
  ipc_status status = ipc_local_connect(name, TIMEOUT_MS, &stream);
  if (status.code != IPC_OK) return fail("ipc_local_connect", status);
  size_t len;
  /* A write takes everything, unless it fails or its time is up. */
  status = ipc_stream_write(stream, "hello\n", 6, TIMEOUT_MS, &len);
  if (status.code != IPC_OK) fail("ipc_stream_write", status);
  ipc_stream_free(stream); /* closes it, too: the server reads what was written, then the end */
  return status.code != IPC_OK;
}

static int server(ipc_listener *listener) {
  ipc_stream *stream;
  ipc_status status = ipc_listener_accept(listener, TIMEOUT_MS, &stream);
  if (status.code != IPC_OK) return fail("ipc_listener_accept", status);
  char text[64];
  status = read_all(stream, text, sizeof text);
  ipc_stream_free(stream);
  if (status.code != IPC_OK) return fail("ipc_stream_read", status);
  printf("the client said: %s", text);
  return strcmp(text, "hello\n") != 0;
}

/* Starts this program again, as the client. */
static HANDLE start_client(const char *self, const char *name) {
  char command[1024];
  snprintf(command, sizeof command, "\"%s\" %s", self, name);
  STARTUPINFOA start = {.cb = sizeof start};
  PROCESS_INFORMATION made;
  if (!CreateProcessA(NULL, command, NULL, NULL, FALSE, 0, NULL, NULL, &start, &made)) return NULL;
  CloseHandle(made.hThread);
  return made.hProcess;
}

int main(int argc, char **argv) {
  char text[64];
  snprintf(text, sizeof text, "ipc-example-%lu", GetCurrentProcessId());
  const char *chosen = argc > 1 ? argv[1] : text;
  const ipc_name name = {IPC_NAME_NAMESPACED, chosen, strlen(chosen)};
  if (argc > 1) return client(&name);

  /* From here on clients can connect. Nobody but this user may, from the first moment on. */
  const ipc_local_listen_options options = {.size = sizeof options, .flags = IPC_LISTEN_SAME_USER};
  ipc_listener *listener;
  ipc_status status = ipc_local_listen(&name, &options, &listener);
  if (status.code != IPC_OK) return fail("ipc_local_listen", status);
  HANDLE child = start_client(argv[0], text);
  int failed = child == NULL || server(listener);
  DWORD ended = 1;
  if (child != NULL) {
    WaitForSingleObject(child, INFINITE);
    GetExitCodeProcess(child, &ended);
    CloseHandle(child);
  }
  ipc_listener_free(listener);
  return failed || ended != 0;
}
