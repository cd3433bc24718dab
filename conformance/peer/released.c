/* released.c - see released.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POSIX threads under -std=c11 */
#endif

#include "conformance/peer/released.h"

#include <pthread.h>

#include "conformance/peer/platform.h"

enum { RELEASED_MAX = 256 };
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static ipc_raw released[RELEASED_MAX];
static size_t num_released;

void released_add(const ipc_raw *raw) {
  pthread_mutex_lock(&mutex);
  if (num_released < RELEASED_MAX) released[num_released++] = *raw;
  pthread_mutex_unlock(&mutex);
}

void released_take(const ipc_raw *raw) {
  pthread_mutex_lock(&mutex);
  for (size_t i = 0; i < num_released; i++) {
    if (released[i].kind == raw->kind && released[i].value == raw->value) {
      released[i] = released[--num_released];
      break;
    }
  }
  pthread_mutex_unlock(&mutex);
}

void released_close_all(void) {
  pthread_mutex_lock(&mutex);
  while (num_released > 0) platform_close_raw(&released[--num_released]);
  pthread_mutex_unlock(&mutex);
}
