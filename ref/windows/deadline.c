/* deadline.c - the clock of deadlines is the performance counter, which nobody can set. */
#include "ref/common/deadline.h"

#include "ref/windows/win32.h"

enum { NS_PER_S = 1000000000 };

/* QueryPerformanceCounter and QueryPerformanceFrequency cannot fail since Windows XP. The frequency never changes. */
int64_t ipc_deadline_now_ns(void) {
  LARGE_INTEGER frequency = {.QuadPart = 1};
  LARGE_INTEGER now = {.QuadPart = 0};
  (void)QueryPerformanceFrequency(&frequency);
  (void)QueryPerformanceCounter(&now);
  int64_t seconds = now.QuadPart / frequency.QuadPart;
  int64_t rest = now.QuadPart % frequency.QuadPart;
  return seconds * NS_PER_S + rest * NS_PER_S / frequency.QuadPart;
}
