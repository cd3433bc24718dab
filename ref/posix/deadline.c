/* deadline.c - the clock of deadlines is CLOCK_MONOTONIC. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/deadline.h"

#include <time.h>

enum { NS_PER_S = 1000000000 };

/* CLOCK_MONOTONIC cannot fail on a system that has it. */
int64_t ipc_deadline_now_ns(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}
