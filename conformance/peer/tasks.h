/* tasks.h - async mode: requests become submissions to one loop of the library, and are answered from its completions.
 *
 * One thread takes completions, and does nothing else. A lane submits, and sleeps until that thread hands it the
 * completion of its operation. Which back end the loop has says the environment variable CTS_LOOP: `epoll`, `kqueue`,
 * `poll`, or, without it, the library's choice. */
#ifndef CTS_PEER_TASKS_H
#define CTS_PEER_TASKS_H

#include <stdbool.h>

#include "conformance/kits/c/cts_peer.h"
#include "ipc/ipc.h"

/* tasks_offered tells whether the library's table has what the mode needs. */
bool tasks_offered(void);

/* tasks_start opens the loop and starts its thread, once. On false it has said why on standard error. */
bool tasks_start(void);

/* tasks_perform submits |submission|, whose token is chosen here, for the request that runs in this thread, and returns
 * its outcome; |*out_done| is its completion, zeros if there was none. Completions that the library makes up, or makes
 * twice, end the process. */
ipc_status tasks_perform(const ipc_submission *submission, ipc_completion *out_done);

/* What the kit needs of the mode. */
extern const cts_tasks tasks_hooks;

#endif /* CTS_PEER_TASKS_H */
