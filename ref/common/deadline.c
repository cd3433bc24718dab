/* deadline.c - deadlines, given a clock. */
#include "ref/common/deadline.h"

#include <limits.h>

enum { NS_PER_MS = 1000000 };

static int64_t end_from(int64_t now, int64_t timeout_ms) {
  return timeout_ms <= (INT64_MAX - now) / NS_PER_MS ? now + timeout_ms * NS_PER_MS : INT64_MAX;
}

int64_t ipc_deadline_end_ns(int64_t timeout_ms) { return end_from(ipc_deadline_now_ns(), timeout_ms); }

int64_t ipc_deadline_left(ipc_deadline *deadline) {
  if (deadline->timeout_ms < 0) return INT64_MAX;
  if (deadline->timeout_ms == 0) return 0;
  int64_t now = ipc_deadline_now_ns();
  if (!deadline->running) {
    deadline->end_ns = end_from(now, deadline->timeout_ms);
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
