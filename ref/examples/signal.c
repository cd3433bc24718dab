/* signal.c - waiting for signals as for anything else, instead of handling them. A child asks its parent to go on.
 *
 *   cc signal.c $(pkg-config --cflags --libs ipc-ref)
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

static int signal_of(const char *name, size_t name_len, int32_t *out_signal) {
  ipc_status status = ipc_signal_number(name, name_len, out_signal);
  return status.code == IPC_OK ? 0 : fail("ipc_signal_number", status);
}

int main(void) {
  int32_t signals[2];
  if (signal_of("USR1", 4, &signals[0]) || signal_of("CHLD", 4, &signals[1])) return 1;
  /* From here on neither does what it does by default: they wait to be taken. */
  ipc_watcher *watcher;
  ipc_status status = ipc_signal_watch(signals, 2, &watcher);
  if (status.code != IPC_OK) return fail("ipc_signal_watch", status);

  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) {
    status = ipc_signal_send(signals[0], (uint64_t)parent);
    _exit(status.code == IPC_OK ? 0 : fail("ipc_signal_send", status));
  }
  int seen[2] = {0, 0};
  while (child > 0 && !(seen[0] && seen[1])) {
    ipc_signal_event event = {.size = sizeof event};
    status = ipc_watcher_next(watcher, TIMEOUT_MS, &event);
    if (status.code != IPC_OK) break;
    seen[event.signal == signals[0] ? 0 : 1] = 1;
    if ((event.fields & IPC_SIGNAL_HAS_SENDER) != 0)
      printf("signal %d of %s\n", (int)event.signal, event.pid == (uint64_t)child ? "the child" : "somebody else");
  }
  int ended = 1;
  if (child > 0) (void)waitpid(child, &ended, 0);
  ipc_watcher_free(watcher); /* both signals do again what they did before */
  return !seen[0] || !seen[1] || ended != 0;
}
