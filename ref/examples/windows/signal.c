/* signal.c - a hook for Ctrl+C that stays set, unlike a handler of signal().
 *
 *   x86_64-w64-mingw32-gcc signal.c -lipc_ref -ladvapi32 -lntdll
 */
#include <signal.h>
#include <stdio.h>

#include "ipc/ipc.h"

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Runs in a thread of its own when somebody presses Ctrl+C. */
static void count(const ipc_signal_event *event, void *context) {
  volatile sig_atomic_t *num = context;
  (void)event;
  *num = *num + 1;
}

int main(void) {
  static volatile sig_atomic_t num = 0;
  int32_t interrupt;
  ipc_status status = ipc_signal_number("INT", 3, &interrupt);
  if (status.code != IPC_OK) return fail("ipc_signal_number", status);
  status = ipc_signal_set_handler(interrupt, IPC_SIGNAL_HOOK, 0, count, (void *)&num);
  if (status.code != IPC_OK) return fail("ipc_signal_set_handler", status);
  for (int i = 0; i < 3; i++) ipc_signal_raise(interrupt); /* as Ctrl+C does, but in this thread */
  printf("interrupted %d times\n", (int)num);
  status = ipc_signal_set_handler(interrupt, IPC_SIGNAL_DEFAULT, 0, NULL, NULL);
  return status.code != IPC_OK || num != 3;
}
