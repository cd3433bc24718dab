/* outcome.h - what the handlers of the generic peer share: outcomes of the library's statuses. */
#ifndef CTS_PEER_OUTCOME_H
#define CTS_PEER_OUTCOME_H

#include "conformance/kits/c/cts_peer.h"
#include "ipc/ipc.h"

/* outcome_of turns the library's status into the protocol's. A code that the ABI does not have is `failed`. */
cts_outcome outcome_of(ipc_status status);

/* outcome_is tells whether an outcome has that status. */
bool outcome_is(cts_outcome outcome, const char *status);

/* outcome_why is cts_status with a reason made by |format|, valid until the thread's next call. */
cts_outcome outcome_why(const char *status, const char *format, ...);

#endif /* CTS_PEER_OUTCOME_H */
