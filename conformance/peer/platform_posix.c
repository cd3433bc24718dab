/* platform_posix.c - platform.h for systems with descriptors: dlopen, poll, and a pipe (Linux: an eventfd) as wake. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* POSIX threads, O_CLOEXEC and eventfd under -std=c11 */
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "conformance/peer/platform.h"
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

int main(int argc, char **argv) { return peer_main(argc, argv); }

void platform_mutex_init(platform_mutex *mutex) { pthread_mutex_init(mutex, NULL); }
void platform_mutex_destroy(platform_mutex *mutex) { pthread_mutex_destroy(mutex); }
void platform_lock(platform_mutex *mutex) { pthread_mutex_lock(mutex); }
void platform_unlock(platform_mutex *mutex) { pthread_mutex_unlock(mutex); }

void platform_condition_init(platform_condition *condition) { pthread_cond_init(condition, NULL); }
void platform_condition_destroy(platform_condition *condition) { pthread_cond_destroy(condition); }
void platform_wait(platform_condition *condition, platform_mutex *mutex) { pthread_cond_wait(condition, mutex); }
void platform_wake_one(platform_condition *condition) { pthread_cond_signal(condition); }
void platform_wake_all(platform_condition *condition) { pthread_cond_broadcast(condition); }

static void *run_body(void *argument) {
  platform_body *body = argument;
  (*body)();
  return NULL;
}

bool platform_start_thread(platform_body *body) {
  sigset_t all, before;
  pthread_t thread;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int error = pthread_create(&thread, NULL, run_body, body);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  if (error == 0) pthread_detach(thread);
  return error == 0;
}

get_table_function platform_load(const char *path, const char **out_why) {
  get_table_function get_table = NULL;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = library != NULL ? dlsym(library, "ipc_get_table") : NULL;
  if (symbol == NULL) *out_why = dlerror();
  /* ISO C has no conversion from an object pointer to a function pointer; POSIX promises the same representation. */
  memcpy(&get_table, &symbol, sizeof(get_table));
  return get_table;
}

bool platform_wake_open(platform_wake *wake) {
#if defined(__linux__)
  wake->in = wake->out = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  return wake->in >= 0;
#else
  int ends[2];
  if (pipe(ends) != 0) return false;
  for (int i = 0; i < 2; i++) {
    fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    fcntl(ends[i], F_SETFL, O_NONBLOCK);
  }
  wake->in = ends[0];
  wake->out = ends[1];
  return true;
#endif
}

void platform_wake_set(const platform_wake *wake) {
  uint64_t one = 1;
  int error = errno; /* a signal handler must not show */
  while (wake->out >= 0 && write(wake->out, &one, sizeof(one)) < 0 && errno == EINTR) continue;
  errno = error;
}

void platform_wake_take(const platform_wake *wake) {
  struct pollfd in = {wake->in, POLLIN, 0};
  uint64_t taken;
  while (poll(&in, 1, -1) < 0 && errno == EINTR) continue;
  while (read(wake->in, &taken, sizeof(taken)) > 0) continue;
}

void platform_wake_close(platform_wake *wake) {
  if (wake->out >= 0 && wake->out != wake->in) close(wake->out);
  if (wake->in >= 0) close(wake->in);
  wake->in = wake->out = -1;
}

const bool platform_asks_again = false;

void platform_wait_ready(const ipc_raw *raw, int direction, const platform_wake *wake) {
  short events = direction == WAIT_READABLE ? POLLIN : POLLOUT;
  struct pollfd both[2] = {{(int)raw->value, events, 0}, {wake->in, POLLIN, 0}};
  poll(both, 2, -1); /* an error is an early return */
}

const char *platform_raw_kind_name(uint32_t kind) {
  return kind == IPC_RAW_HANDLE ? "handle" : kind == IPC_RAW_SOCKET ? "socket" : "fd";
}

uint32_t platform_raw_kind(const char *name) {
  return strcmp(name, "handle") == 0 ? IPC_RAW_HANDLE : strcmp(name, "socket") == 0 ? IPC_RAW_SOCKET : IPC_RAW_FD;
}

void platform_close_raw(const ipc_raw *raw) {
  if (raw->kind == IPC_RAW_FD) close((int)raw->value);
}
