/* odd_library.c - the reference behind a table of another version, or behind a function that ends the process: for the
 * test of those who load libraries. CTS_ODD says which:
 *
 *   older     a table that ends in front of pipe_create; behind it nothing can be read
 *   newer     a minor version more, with slots, a feature and a trait that nobody knows
 *   crashes, hangs, exits   what a read of a NULL stream does
 *   prints    what a library may write to standard output
 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */

#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/ipc.h"

/* The reference's (//ref:ref_to_wrap). */
const ipc_table *ipc_ref_get_table(uint32_t abi_major);

enum { NAMES_MAX = 256, NEW_SLOTS = 4 };

static const char *const *with_one_more(const char *const *names, const char *name, const char **out) {
  size_t num = 0;
  while (names[num] != NULL && num < NAMES_MAX - 2) num++;
  memcpy(out, names, num * sizeof(*names));
  out[num] = name;
  out[num + 1] = NULL;
  return out;
}

/* in_front_of_nothing returns |size| bytes behind which no memory is. */
static char *in_front_of_nothing(size_t size) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED || mprotect(pages + page, page, PROT_NONE) != 0) abort();
  return pages + page - size;
}

static void unknown(void) { abort(); }

static const ipc_table *older(const ipc_table *reference) {
  static ipc_table *table;
  static const char *const features[] = {"name.path", "name.namespaced", NULL}; /* of what is still there */
  const char *const *told_features = features;
  size_t size = offsetof(ipc_table, pipe_create);
  if (table == NULL) {
    char *place = in_front_of_nothing(size);
    memcpy(place, reference, size);
    table = (ipc_table *)(void *)place;
    uint32_t told = (uint32_t)size;
    memcpy(&table->size, &told, sizeof(told));
    memcpy(&table->features, &told_features, sizeof(told_features));
  }
  return table;
}

static const ipc_table *newer(const ipc_table *reference) {
  static struct {
    ipc_table known;
    void (*more[NEW_SLOTS])(void);
  } table;
  static const char *features[NAMES_MAX], *traits[NAMES_MAX];
  if (table.known.size != 0) return &table.known;
  table.known = *reference;
  table.known.size = sizeof(table);
  table.known.abi_minor++;
  table.known.features = with_one_more(reference->features, "brand.new", features);
  table.known.traits = with_one_more(reference->traits, "never_seen", traits);
  for (int i = 0; i < NEW_SLOTS; i++) table.more[i] = unknown;
  return &table.known;
}

static ipc_status read_or_end(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                              size_t *out_len) {
  const char *odd = getenv("CTS_ODD");
  if (stream == NULL && strcmp(odd, "crashes") == 0) *(volatile int *)NULL = 1;
  if (stream == NULL && strcmp(odd, "exits") == 0) exit(0);
  while (stream == NULL && strcmp(odd, "hangs") == 0) poll(NULL, 0, -1);
  if (strcmp(odd, "prints") == 0) printf("result {\"outcome\": \"passed\", \"message\": \"\"}\n");
  fflush(stdout);
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}

IPC_EXPORT const ipc_table *ipc_get_table(uint32_t abi_major) {
  static ipc_table table;
  const char *odd = getenv("CTS_ODD");
  const ipc_table *reference = ipc_ref_get_table(abi_major);
  if (odd == NULL || reference == NULL) return reference;
  if (strcmp(odd, "older") == 0) return older(reference);
  if (strcmp(odd, "newer") == 0) return newer(reference);
  if (table.size == 0) table = *reference;
  table.stream_read = read_or_end;
  return &table;
}
