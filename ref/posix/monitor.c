/* monitor.c - monitors are a mutex and a condition on CLOCK_MONOTONIC. */
#define _POSIX_C_SOURCE 200809L

#include "ref/common/monitor.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { NS_PER_S = 1000000000 };

struct ipc_monitor {
  pthread_mutex_t mutex;
  pthread_cond_t condition;
};

static int condition_init(pthread_cond_t *condition) {
  pthread_condattr_t attributes;
  int error = pthread_condattr_init(&attributes);
  if (error != 0) return error;
  error = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (error == 0) error = pthread_cond_init(condition, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  return error;
}

ipc_monitor *ipc_monitor_new(void) {
  ipc_monitor *monitor = malloc(sizeof *monitor);
  if (monitor == NULL) return NULL;
  if (pthread_mutex_init(&monitor->mutex, NULL) != 0) {
    free(monitor);
    return NULL;
  }
  if (condition_init(&monitor->condition) == 0) return monitor;
  (void)pthread_mutex_destroy(&monitor->mutex);
  free(monitor);
  return NULL;
}

void ipc_monitor_free(ipc_monitor *monitor) {
  (void)pthread_cond_destroy(&monitor->condition);
  (void)pthread_mutex_destroy(&monitor->mutex);
  free(monitor);
}

void ipc_monitor_lock(ipc_monitor *monitor) { (void)pthread_mutex_lock(&monitor->mutex); }
void ipc_monitor_unlock(ipc_monitor *monitor) { (void)pthread_mutex_unlock(&monitor->mutex); }
void ipc_monitor_wake(ipc_monitor *monitor) { (void)pthread_cond_broadcast(&monitor->condition); }

bool ipc_monitor_wait(ipc_monitor *monitor, ipc_deadline *deadline) {
  int64_t left_ns = ipc_deadline_left(deadline);
  if (left_ns == 0) return false;
  if (left_ns == INT64_MAX) {
    (void)pthread_cond_wait(&monitor->condition, &monitor->mutex);
    return true;
  }
  /* Running by now: its end is a time of the same clock. */
  struct timespec end = {.tv_sec = (time_t)(deadline->end_ns / NS_PER_S), .tv_nsec = (long)(deadline->end_ns % NS_PER_S)};
  (void)pthread_cond_timedwait(&monitor->condition, &monitor->mutex, &end);
  return true; /* whether it has passed the next wait will say */
}
