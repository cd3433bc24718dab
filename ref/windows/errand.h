/* errand.h - calls that wait in the system, made by threads of a pool of the library's own.
 *
 * The pool lives as long as the process, and has a thread for each call that waits. A library that is unloaded stays in
 * memory until they are done.
 *
 * An errand is one such call that somebody waits for, and may stop waiting for. It is called back then, and its thread
 * leaves the system's call. A call back that comes before the thread has begun to wait finds nothing to end, and
 * nothing tells the two apart; so whoever must know that it has ended calls back until it has, and a call that nobody
 * waits for any more has an end of its own: `carry_out` looks at `is_called_back` now and then.
 */
#ifndef REF_WINDOWS_ERRAND_H
#define REF_WINDOWS_ERRAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "ref/windows/win32.h"

typedef struct ipc_errand ipc_errand;
struct ipc_errand {
  /* Set by whoever makes one. */
  DWORD (*carry_out)(ipc_errand *errand); /* in the pool: the call; a Win32 error, ERROR_OPERATION_ABORTED if it ended
                                             because it was called back */
  void (*finish)(ipc_errand *errand);     /* in the pool, before it is done: lets go of what it needs; NULL: nothing */
  void (*release)(ipc_errand *errand);    /* frees the memory that it lies in */

  HANDLE done; /* event: `error` is there */
  DWORD error;
  _Atomic bool is_called_back;
  _Atomic uint32_t references; /* of whoever has begun it, and of its thread */
  SRWLOCK lock;
  HANDLE thread; /* while it carries out; under the lock */
};

/* ipc_pool_submit has the pool run |body|. False if there is no memory. */
bool ipc_pool_submit(PTP_SIMPLE_CALLBACK body, void *context);

/* ipc_errand_begin has the pool carry |errand| out; ipc_errand_drop must follow. False if there is no memory: then it
 * is as it was, and still the caller's. */
bool ipc_errand_begin(ipc_errand *errand);

/* ipc_errand_call_back asks for its end, without waiting for it. */
void ipc_errand_call_back(ipc_errand *errand);

/* ipc_errand_drop gives it up, done or not. The memory stays until it is done. */
void ipc_errand_drop(ipc_errand *errand);

#endif /* REF_WINDOWS_ERRAND_H */
