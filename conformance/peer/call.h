/* call.h - what the handlers of the generic peer share: arguments as the library takes them, its results as the reply
 * gives them, and the handles that it makes. */
#ifndef CTS_PEER_CALL_H
#define CTS_PEER_CALL_H

#include "conformance/kits/c/cts_peer.h"
#include "conformance/peer/endpoint.h"
#include "ipc/ipc.h"

/* call_name_kind reads the enumeration |kind_key|: IPC_NAME_*. */
uint32_t call_name_kind(const cts_call *call, const char *kind_key);

/* call_name reads a name. Its bytes stay valid until the handler returns. */
ipc_name call_name(const cts_call *call, const char *kind_key, const char *name_key);

/* call_timeout reads `timeout_ms`: IPC_NO_TIMEOUT if it is absent. */
int64_t call_timeout(const cts_call *call);

/* call_raw reads `raw`. */
ipc_raw call_raw(const cts_call *call);

/* call_framing reads the codec of a request. False, with the refusal in |*out|, if the ABI has no form for it. */
bool call_framing(const cts_call *call, ipc_framing *out_framing, cts_outcome *out);

/* call_listen_options reads the options of everything that binds a name: those arguments among reclaim, mode, backlog,
 * keep_name and same_user that the operation has. `ok`, or what is wrong with them. */
cts_outcome call_listen_options(const cts_call *call, ipc_local_listen_options *out_options);

/* call_room_get returns |len| bytes: the lane's own room if that is enough, else memory for call_room_put. NULL: there
 * is none. */
uint8_t *call_room_get(cts_call *call, size_t len);
void call_room_put(cts_call *call, uint8_t *room);

/* call_add_bytes adds the |len| bytes that the library wrote to the scratch room, if |status| is ok. */
cts_outcome call_add_bytes(cts_call *call, const char *key, ipc_status status, size_t len);

/* call_add_native adds the address of a new listener. */
void call_add_native(cts_call *call, ipc_listener *listener);

/* call_add_credentials adds what is known of |credentials|. */
void call_add_credentials(cts_call *call, const ipc_credentials *credentials);

/* call_add_raw adds a system handle that the library answered, if |status| is ok. */
cts_outcome call_add_raw(cts_call *call, ipc_status status, const ipc_raw *raw);

/* call_make gives the kit |handle| of |kind|, which the library made; |status| is the library's. */
cts_outcome call_make(cts_call *call, const char *key, ipc_status status, endpoint_kind kind, void *handle);

/* call_released ends the kit's waits on a handle that was released: they are calls under way that end as cancelled. It
 * remembers |raw|, so that reset closes it, and adds it to the reply. */
cts_outcome call_released(cts_call *call, ipc_status status, const ipc_raw *raw);

#endif /* CTS_PEER_CALL_H */
