/* released.h - system handles that `release` gave to the runner and no `adopt` has taken back. The process owns them
 * for the runner, and reset closes them. */
#ifndef CTS_PEER_RELEASED_H
#define CTS_PEER_RELEASED_H

#include "ipc/ipc.h"

/* released_add remembers |raw|. Beyond 256 of them it forgets, and the end of the process closes. */
void released_add(const ipc_raw *raw);

/* released_take forgets |raw|: a library owns it now. One that is not remembered is no matter. */
void released_take(const ipc_raw *raw);

/* released_close_all closes all of them. */
void released_close_all(void);

#endif /* CTS_PEER_RELEASED_H */
