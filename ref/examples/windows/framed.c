/* framed.c - messages between two threads over a local socket: the framed stream keeps what a read brought too much,
 * and what a write could not send yet.
 *
 *   x86_64-w64-mingw32-gcc framed.c -lipc_ref -ladvapi32 -lntdll
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

/* Sends three messages to the listener of |name|. */
static DWORD WINAPI send_all(void *name) {
  ipc_stream *stream;
  ipc_status status = ipc_local_connect(name, TIMEOUT_MS, &stream);
  if (status.code != IPC_OK) return (DWORD)fail("ipc_local_connect", status);
  ipc_framed *framed = frames_on(stream);
  if (framed == NULL) return 1;
  const ipc_const_buffer bodies[] = {{"first", 5}, {"", 0}, {"third", 5}};
  size_t num;
  status = ipc_framed_write(framed, bodies, 3, TIMEOUT_MS, &num);
  ipc_framed_free(framed);
  return status.code == IPC_OK ? 0 : (DWORD)fail("ipc_framed_write", status);
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
    printf("message of %u bytes: %.*s\n", (unsigned)len, (int)len, body);
  }
}

int main(void) {
  char text[64];
  snprintf(text, sizeof text, "ipc-example-framed-%lu", GetCurrentProcessId());
  ipc_name name = {IPC_NAME_NAMESPACED, text, strlen(text)};
  ipc_listener *listener;
  ipc_status status = ipc_local_listen(&name, NULL, &listener);
  if (status.code != IPC_OK) return fail("ipc_local_listen", status);
  HANDLE sender = CreateThread(NULL, 0, send_all, &name, 0, NULL);
  if (sender == NULL) return 1;
  ipc_stream *stream;
  status = ipc_listener_accept(listener, TIMEOUT_MS, &stream);
  ipc_framed *framed = status.code == IPC_OK ? frames_on(stream) : NULL;
  int num = framed != NULL ? receive_all(framed) : -1;
  ipc_framed_free(framed);
  DWORD failed = 1;
  WaitForSingleObject(sender, INFINITE);
  GetExitCodeThread(sender, &failed);
  CloseHandle(sender);
  ipc_listener_free(listener);
  return num != 3 || failed != 0;
}
