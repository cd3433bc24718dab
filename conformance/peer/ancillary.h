/* ancillary.h - what travels beside the bytes of streams and sockets, between requests, library and replies. */
#ifndef CTS_PEER_ANCILLARY_H
#define CTS_PEER_ANCILLARY_H

#include "conformance/kits/c/cts_peer.h"
#include "ipc/ipc.h"

/* The library's structure with the array that it points to. It is used where it lies: do not copy it. */
typedef struct ancillary {
  ipc_ancillary value;
  int32_t descriptors[CTS_LIST_MAX];
} ancillary;

/* ancillary_given reads `descriptors`, `credentials`, `pid`, `uid` and `gid`: what is to be sent. `ok`, or what is
 * wrong with them. */
cts_outcome ancillary_given(const cts_call *call, ancillary *out);

/* ancillary_is_empty tells whether there is nothing to send. */
bool ancillary_is_empty(const ancillary *a);

/* ancillary_room reads `descriptors_max` and makes room for what comes. `ok`, or what is wrong with it. */
cts_outcome ancillary_room(const cts_call *call, ancillary *out);

/* ancillary_add adds what came: `descriptors`, `pid`, `uid`, `gid`, `cut`. With |outcome| `ok` the descriptors are new
 * ones of this process, and are remembered, so that reset closes them. It returns |outcome|, or `failed` if the library
 * cannot mean what it says. */
cts_outcome ancillary_add(cts_call *call, const ancillary *a, cts_outcome outcome);

#endif /* CTS_PEER_ANCILLARY_H */
