/* mutants.c - chooses the mutant, and what mutants share. See mutants.h. */
#include "conformance/mutants/mutants.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The reference's (//ref:ref_to_wrap). */
const ipc_table *ipc_ref_get_table(uint32_t abi_major);

static const mutant unbroken[] = {
    {"unbroken", "is the reference", "LocalSocket.BytesArriveUnchanged", NULL, NULL, NULL},
    {0},
};

const mutant *const mutant_families[] = {
    unbroken,
    naming_mutants,
    local_socket_mutants,
    unix_stream_mutants,
    abstract_mutants,
    ancillary_mutants,
    datagram_mutants,
    seqpacket_mutants,
    unnamed_pipe_mutants,
    fifo_mutants,
    framing_mutants,
    framed_stream_mutants,
    signal_mutants,
    async_mutants,
    abi_mutants,
    NULL,
};

/* --------------------------------------------------------------------------------------- what is remembered */

enum { REMEMBERED_MAX = 4096 };

static struct {
  const void *handle;
  uint64_t number;
} remembered[REMEMBERED_MAX];
static size_t num_remembered;
static pthread_mutex_t remembered_mutex = PTHREAD_MUTEX_INITIALIZER;

/* position returns where |handle| is, num_remembered if nowhere. The mutex is held. */
static size_t position(const void *handle) {
  size_t i = 0;
  while (i < num_remembered && remembered[i].handle != handle) i++;
  return i;
}

uint64_t mutant_recall(const void *handle) {
  pthread_mutex_lock(&remembered_mutex);
  size_t at = position(handle);
  uint64_t number = at < num_remembered ? remembered[at].number : 0;
  pthread_mutex_unlock(&remembered_mutex);
  return number;
}

void mutant_remember(const void *handle, uint64_t number) {
  pthread_mutex_lock(&remembered_mutex);
  size_t at = position(handle);
  if (at < REMEMBERED_MAX) {
    remembered[at].handle = handle;
    remembered[at].number = number;
    if (at == num_remembered) num_remembered++;
  }
  pthread_mutex_unlock(&remembered_mutex);
}

static void forget(const void *handle) {
  pthread_mutex_lock(&remembered_mutex);
  size_t at = position(handle);
  if (at < num_remembered) remembered[at] = remembered[--num_remembered];
  pthread_mutex_unlock(&remembered_mutex);
}

/* Another handle may get the address of one that was freed. */

static ipc_status forgetting_stream_free(ipc_stream *stream) {
  forget(stream);
  return ipc_stream_free(stream);
}

static ipc_status forgetting_listener_free(ipc_listener *listener) {
  forget(listener);
  return ipc_listener_free(listener);
}

static ipc_status forgetting_socket_free(ipc_socket *socket) {
  forget(socket);
  return ipc_socket_free(socket);
}

static ipc_status forgetting_framed_free(ipc_framed *framed) {
  forget(framed);
  return ipc_framed_free(framed);
}

static ipc_status forgetting_decoder_free(ipc_decoder *decoder) {
  forget(decoder);
  return ipc_decoder_free(decoder);
}

static ipc_status forgetting_watcher_free(ipc_watcher *watcher) {
  forget(watcher);
  return ipc_watcher_free(watcher);
}

/* -------------------------------------------------------------------------------------------- descriptors */

static int fd_of(ipc_status status, const ipc_raw *raw) { return status.code == IPC_OK ? (int)raw->value : -1; }

int mutant_fd(ipc_stream *stream) {
  ipc_raw raw = {0};
  ipc_status status = ipc_stream_raw(stream, &raw);
  return fd_of(status, &raw);
}

int mutant_listener_fd(ipc_listener *listener) {
  ipc_raw raw = {0};
  ipc_status status = ipc_listener_raw(listener, &raw);
  return fd_of(status, &raw);
}

int mutant_socket_fd(ipc_socket *socket) {
  ipc_raw raw = {0};
  ipc_status status = ipc_socket_raw(socket, &raw);
  return fd_of(status, &raw);
}

bool mutant_ready(int fd, short events) {
  struct pollfd poller = {.fd = fd, .events = events};
  return poll(&poller, 1, 0) == 1 && (poller.revents & events) != 0;
}

void mutant_wait_for_ever(void) {
  for (;;) poll(NULL, 0, -1);
}

/* ------------------------------------------------------------------------------------------- the table */

/* chosen returns the mutant that CTS_MUTANT names, the unbroken one if it is not set, NULL if there is none. */
static const mutant *chosen(void) {
  const char *name = getenv("CTS_MUTANT");
  if (name == NULL) return unbroken;
  for (const mutant *const *family = mutant_families; *family != NULL; family++) {
    for (const mutant *m = *family; m->name != NULL; m++) {
      if (strcmp(m->name, name) == 0) return m;
    }
  }
  return NULL;
}

const ipc_table *ipc_get_table(uint32_t abi_major) {
  static ipc_table table;
  const ipc_table *reference = ipc_ref_get_table(abi_major);
  const mutant *m = chosen();
  if (reference == NULL || m == NULL) return NULL;
  table = *reference;
  table.implementation = m->name;
  table.stream_free = forgetting_stream_free;
  table.listener_free = forgetting_listener_free;
  table.socket_free = forgetting_socket_free;
  table.framed_free = forgetting_framed_free;
  table.decoder_free = forgetting_decoder_free;
  table.watcher_free = forgetting_watcher_free;
  if (m->install != NULL) m->install(&table);
  return &table;
}
