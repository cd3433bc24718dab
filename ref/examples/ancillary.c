/* ancillary.c - one process opens a file and gives it to another, which could not have opened it itself.
 *
 *   cc ancillary.c $(pkg-config --cflags --libs ipc-ref)
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

/* Sends |fd| beside a byte. The descriptor stays open here: what travels is a copy. */
static int give(const ipc_name *name, int fd) {
  ipc_stream *stream;
  ipc_status status = ipc_local_connect(name, TIMEOUT_MS, &stream);
  if (status.code != IPC_OK) return fail("ipc_local_connect", status);
  int32_t descriptors[] = {fd};
  const ipc_ancillary beside = {.size = sizeof beside, .descriptors = descriptors, .num_descriptors = 1};
  size_t len;
  status = ipc_stream_write_ancillary(stream, "f", 1, &beside, TIMEOUT_MS, &len);
  ipc_stream_free(stream);
  return status.code == IPC_OK ? 0 : fail("ipc_stream_write_ancillary", status);
}

/* Takes a descriptor. -1 if none came. */
static int take(ipc_listener *listener) {
  ipc_stream *stream;
  ipc_status status = ipc_listener_accept(listener, TIMEOUT_MS, &stream);
  if (status.code != IPC_OK) {
    fail("ipc_listener_accept", status);
    return -1;
  }
  char byte;
  size_t len;
  int32_t descriptors[1];
  ipc_ancillary room = {.size = sizeof room, .descriptors = descriptors, .descriptors_max = 1};
  status = ipc_stream_read_ancillary(stream, &byte, 1, &room, TIMEOUT_MS, &len);
  ipc_stream_free(stream);
  if (status.code != IPC_OK) fail("ipc_stream_read_ancillary", status);
  return status.code == IPC_OK && room.num_descriptors == 1 ? descriptors[0] : -1;
}

int main(void) {
  char path[64];
  int len = snprintf(path, sizeof path, "/tmp/ipc-example-fd-%ld", (long)getpid());
  const ipc_name name = {IPC_NAME_PATH, path, (size_t)len};
  ipc_listener *listener;
  ipc_status status = ipc_local_listen(&name, NULL, &listener);
  if (status.code != IPC_OK) return fail("ipc_local_listen", status);

  pid_t child = fork();
  if (child == 0) {
    ipc_listener_free(listener); /* the parent's */
    FILE *file = tmpfile();      /* it has no name by which the other could open it */
    _exit(file == NULL || fputs("for you\n", file) < 0 || fflush(file) != 0 || give(&name, fileno(file)));
  }
  char text[16] = "";
  int fd = child < 0 ? -1 : take(listener);
  if (fd >= 0) {
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n > 0) printf("the file says: %s", text);
    close(fd); /* ours, once it has come */
  }
  int ended = 1;
  if (child > 0) (void)waitpid(child, &ended, 0);
  ipc_listener_free(listener);
  return strcmp(text, "for you\n") != 0 || ended != 0;
}
