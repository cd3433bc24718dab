/* loop_table.c - see loop_table.h. */
#include "ref/common/loop_table.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_BUCKETS = 64, FIRST_TIMERS = 32 };

bool ipc_loop_table_init(loop_table *table) {
  *table = (loop_table){.num_buckets = FIRST_BUCKETS};
  link_init(&table->under_way);
  link_init(&table->completed);
  link_init(&table->spare);
  table->buckets = calloc(FIRST_BUCKETS, sizeof *table->buckets);
  return table->buckets != NULL;
}

void ipc_loop_table_free(loop_table *table) {
  free(table->timers);
  free(table->buckets);
}

/* ----------------------------------------------------------------------------------------------- tokens */

static loop_entry **bucket_of(const loop_table *table, uint64_t token) {
  uint64_t mixed = token * UINT64_C(0x9E3779B97F4A7C15);
  return &table->buckets[(mixed >> 32) & (table->num_buckets - 1)];
}

loop_entry *ipc_loop_table_find(const loop_table *table, uint64_t token) {
  loop_entry *entry = *bucket_of(table, token);
  while (entry != NULL && entry->token != token) entry = entry->same_bucket;
  return entry;
}

/* More buckets, if there is memory; without, chains get longer and nothing else changes. */
static void grow_buckets(loop_table *table) {
  size_t num = table->num_buckets * 2;
  loop_entry **grown = calloc(num, sizeof *grown);
  if (grown == NULL) return;
  free(table->buckets);
  table->buckets = grown;
  table->num_buckets = num;
  for (loop_link *link = table->under_way.after; link != &table->under_way; link = link->after) {
    loop_entry *entry = (loop_entry *)link;
    loop_entry **bucket = bucket_of(table, entry->token);
    entry->same_bucket = *bucket;
    *bucket = entry;
  }
}

void ipc_loop_table_add(loop_table *table, loop_entry *entry) {
  if (table->num_under_way >= table->num_buckets) grow_buckets(table);
  loop_entry **bucket = bucket_of(table, entry->token);
  entry->same_bucket = *bucket;
  *bucket = entry;
  entry->number = table->num_added++;
  entry->end_ns = INT64_MAX;
  entry->timer = 0;
  link_append(&table->under_way, &entry->in_loop);
  table->num_under_way++;
}

/* ----------------------------------------------------------------------------------------------- timers */

static bool ends_before(const loop_entry *a, const loop_entry *b) {
  return a->end_ns != b->end_ns ? a->end_ns < b->end_ns : a->number < b->number;
}

static void timer_place(loop_table *table, size_t at, loop_entry *entry) {
  table->timers[at] = entry;
  entry->timer = at + 1;
}

static void timer_up(loop_table *table, size_t at, loop_entry *entry) {
  while (at > 0 && ends_before(entry, table->timers[(at - 1) / 2])) {
    timer_place(table, at, table->timers[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  timer_place(table, at, entry);
}

static void timer_down(loop_table *table, size_t at, loop_entry *entry) {
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= table->num_timers) break;
    if (child + 1 < table->num_timers && ends_before(table->timers[child + 1], table->timers[child])) child++;
    if (!ends_before(table->timers[child], entry)) break;
    timer_place(table, at, table->timers[child]);
    at = child;
  }
  timer_place(table, at, entry);
}

bool ipc_loop_table_reserve(loop_table *table) {
  if (table->num_timers < table->timers_room) return true;
  size_t room = table->timers_room == 0 ? FIRST_TIMERS : table->timers_room * 2;
  loop_entry **grown = realloc(table->timers, room * sizeof *grown);
  if (grown == NULL) return false;
  table->timers = grown;
  table->timers_room = room;
  return true;
}

bool ipc_loop_table_time(loop_table *table, loop_entry *entry, int64_t end_ns) {
  assert(table->num_timers < table->timers_room);
  entry->end_ns = end_ns;
  table->num_timers++;
  timer_up(table, table->num_timers - 1, entry);
  return entry->timer == 1;
}

static void timer_remove(loop_table *table, loop_entry *entry) {
  if (entry->timer == 0) return;
  size_t at = entry->timer - 1;
  loop_entry *last = table->timers[--table->num_timers];
  entry->timer = 0;
  if (last == entry) return;
  if (at > 0 && ends_before(last, table->timers[(at - 1) / 2])) {
    timer_up(table, at, last);
  } else {
    timer_down(table, at, last);
  }
}

void ipc_loop_table_remove(loop_table *table, loop_entry *entry) {
  loop_entry **at = bucket_of(table, entry->token);
  while (*at != entry) at = &(*at)->same_bucket;
  *at = entry->same_bucket;
  timer_remove(table, entry);
  link_remove(&entry->in_loop);
  table->num_under_way--;
}
