/* claim.h - whose a name is: what decides between listeners of this library that listen on a name at the same time.
 *
 * The system has FILE_FLAG_FIRST_PIPE_INSTANCE for the first of them, but nothing by which that one keeps others from
 * adding instances, and Wine does not heed the flag.
 */
#ifndef REF_WINDOWS_CLAIM_H
#define REF_WINDOWS_CLAIM_H

#include "ref/windows/address.h"

/* A claim on a name in this session, until it is released, at the latest when the process ends. */
typedef struct ipc_claim {
  HANDLE alone;  /* NULL unless it excludes everybody else */
  HANDLE shared; /* NULL unless others may claim the name so, too */
} ipc_claim;

/* ipc_claim_alone claims the name of |address| against everybody, ipc_claim_share together with those who share it. Of
 * two that differ and come at the same time both may lose. IPC_OK, IPC_IN_USE (somebody's claim stands against it),
 * IPC_OUT_OF_RESOURCES; then there is no claim. */
int32_t ipc_claim_alone(const ipc_address *address, ipc_claim *out_claim);
int32_t ipc_claim_share(const ipc_address *address, ipc_claim *out_claim);

/* ipc_claim_release gives a claim back; one that is zero is none. */
void ipc_claim_release(ipc_claim *claim);

#endif /* REF_WINDOWS_CLAIM_H */
