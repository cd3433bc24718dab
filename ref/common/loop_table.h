/* loop_table.h - the operations of a completion loop: those under way, by token and by deadline, those that have ended,
 * and those kept for the next ones. What carries them out is the platform's. Its owner has a lock around all of it.
 */
#ifndef REF_COMMON_LOOP_TABLE_H
#define REF_COMMON_LOOP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A place in a circular list, or, as its head, the list. */
typedef struct loop_link {
  struct loop_link *before;
  struct loop_link *after;
} loop_link;

static inline void link_init(loop_link *head) { head->before = head->after = head; }

static inline bool link_is_empty(const loop_link *head) { return head->after == head; }

static inline void link_append(loop_link *head, loop_link *link) {
  link->before = head->before;
  link->after = head;
  head->before->after = link;
  head->before = link;
}

static inline void link_remove(loop_link *link) {
  link->before->after = link->after;
  link->after->before = link->before;
  link->before = link->after = NULL;
}

/* What the table knows of an operation, which begins with it. */
typedef struct loop_entry {
  loop_link in_loop; /* first: of all that are under way; of the completions; of the spare ones */
  struct loop_entry *same_bucket;
  uint64_t token;  /* the program's */
  uint64_t number; /* in the order of submission */
  int64_t end_ns;  /* of one with a timer: its deadline */
  size_t timer;    /* its place in the heap plus 1; 0: it is not there */
} loop_entry;

typedef struct loop_table {
  loop_link under_way; /* in the order submitted */
  loop_link completed; /* in the order ended */
  loop_link spare;     /* to be used again */
  loop_entry **timers; /* a heap: each ends no later than those below it */
  size_t num_timers;
  size_t timers_room;
  loop_entry **buckets; /* by token; a power of 2 */
  size_t num_buckets;
  size_t num_under_way;
  uint64_t num_added;
} loop_table;

/* ipc_loop_table_init makes an empty table; false if there is no memory. ipc_loop_table_free releases what is the
 * table's own; the entries are their owner's. */
bool ipc_loop_table_init(loop_table *table);
void ipc_loop_table_free(loop_table *table);

/* ipc_loop_table_find gives the operation under way that has |token|, or NULL. */
loop_entry *ipc_loop_table_find(const loop_table *table, uint64_t token);

/* ipc_loop_table_reserve sees that one more operation may have a timer; false if there is no memory. */
bool ipc_loop_table_reserve(loop_table *table);

/* ipc_loop_table_add puts |entry|, whose `token` is set and which is in no list, under way. ipc_loop_table_remove takes
 * it out, its timer with it. */
void ipc_loop_table_add(loop_table *table, loop_entry *entry);
void ipc_loop_table_remove(loop_table *table, loop_entry *entry);

/* ipc_loop_table_time gives |entry|, for which there was reserved, the deadline |end_ns|. True if it is the first. */
bool ipc_loop_table_time(loop_table *table, loop_entry *entry, int64_t end_ns);

/* ipc_loop_table_first gives the operation whose deadline comes first, of equal ones that submitted first, or NULL. */
static inline loop_entry *ipc_loop_table_first(const loop_table *table) {
  return table->num_timers > 0 ? table->timers[0] : NULL;
}

#endif /* REF_COMMON_LOOP_TABLE_H */
