/* claim.h - one listener of this library a name: what decides between two that listen on a name at the same time. */
#ifndef REF_WINDOWS_CLAIM_H
#define REF_WINDOWS_CLAIM_H

#include "ref/windows/address.h"

/* ipc_claim_name claims the name of |address| in this session until |*out_claim| is closed, at the latest when the
 * process ends. IPC_OK, IPC_IN_USE (somebody has claimed it), IPC_OUT_OF_RESOURCES. */
int32_t ipc_claim_name(const ipc_address *address, HANDLE *out_claim);

#endif /* REF_WINDOWS_CLAIM_H */
