/* released.c - see released.h. */
#include "conformance/peer/released.h"

#include "conformance/peer/platform.h"

enum { RELEASED_MAX = 256 };
static platform_mutex mutex = PLATFORM_MUTEX_INIT;
static ipc_raw released[RELEASED_MAX];
static size_t num_released;

void released_add(const ipc_raw *raw) {
  platform_lock(&mutex);
  if (num_released < RELEASED_MAX) released[num_released++] = *raw;
  platform_unlock(&mutex);
}

void released_take(const ipc_raw *raw) {
  platform_lock(&mutex);
  for (size_t i = 0; i < num_released; i++) {
    if (released[i].kind == raw->kind && released[i].value == raw->value) {
      released[i] = released[--num_released];
      break;
    }
  }
  platform_unlock(&mutex);
}

void released_close_all(void) {
  platform_lock(&mutex);
  while (num_released > 0) platform_close_raw(&released[--num_released]);
  platform_unlock(&mutex);
}
