/* deadline.h - the end of a call's patience, on a clock that nobody can set.
 *
 * A call that does not wait never asks for the time: the deadline begins to run when the first wait does. What lies
 * before is one attempt that does not wait. Each platform implements it.
 */
#ifndef REF_COMMON_DEADLINE_H
#define REF_COMMON_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Set `timeout_ms` (-1: none) and `running` to false; ipc_deadline_left does the rest. */
typedef struct ipc_deadline {
  int64_t timeout_ms;
  bool running;
  int64_t end_ns; /* of the platform's clock, once it is running */
} ipc_deadline;

/* ipc_deadline_left starts |deadline| if it does not run, and gives the nanoseconds left: 0 if it has passed, INT64_MAX
 * if it never does. */
int64_t ipc_deadline_left(ipc_deadline *deadline);

/* ipc_deadline_left_ms is the same in milliseconds for waits of the system: rounded up, so that it is never early, at
 * most INT_MAX, -1 if it never passes. */
int ipc_deadline_left_ms(ipc_deadline *deadline);

/* ipc_deadline_now_ns reads the platform's clock, which nobody can set; ipc_deadline_end_ns is |timeout_ms| (not
 * negative) from now, INT64_MAX if the clock does not reach that. */
int64_t ipc_deadline_now_ns(void);
int64_t ipc_deadline_end_ns(int64_t timeout_ms);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_COMMON_DEADLINE_H */
