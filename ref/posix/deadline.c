/* deadline.c - deadlines on CLOCK_MONOTONIC. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/deadline.h"

#include <limits.h>
#include <time.h>

enum { NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

/* CLOCK_MONOTONIC cannot fail on a system that has it. */
static int64_t now_ns(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t ipc_deadline_left(ipc_deadline *deadline) {
  if (deadline->timeout_ms < 0) return INT64_MAX;
  if (deadline->timeout_ms == 0) return 0;
  int64_t now = now_ns();
  if (!deadline->running) {
    bool fits = deadline->timeout_ms <= (INT64_MAX - now) / NS_PER_MS;
    deadline->end_ns = fits ? now + deadline->timeout_ms * NS_PER_MS : INT64_MAX;
    deadline->running = true;
  }
  return deadline->end_ns > now ? deadline->end_ns - now : 0;
}

int ipc_deadline_left_ms(ipc_deadline *deadline) {
  int64_t left_ns = ipc_deadline_left(deadline);
  if (left_ns == INT64_MAX) return -1;
  int64_t left_ms = left_ns / NS_PER_MS + (left_ns % NS_PER_MS != 0);
  return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
