/* call.c - see call.h. */
#include "conformance/peer/call.h"

#include <stdlib.h>
#include <string.h>

#include "conformance/peer/outcome.h"
#include "conformance/peer/platform.h"
#include "conformance/peer/released.h"

uint32_t call_name_kind(const cts_call *call, const char *kind_key) {
  const char *kind = cts_text_or(call, kind_key, "");
  return strcmp(kind, "path") == 0         ? IPC_NAME_PATH
         : strcmp(kind, "namespaced") == 0 ? IPC_NAME_NAMESPACED
                                           : IPC_NAME_NATIVE;
}

ipc_name call_name(const cts_call *call, const char *kind_key, const char *name_key) {
  cts_bytes name = cts_bytes_of(call, name_key);
  return (ipc_name){call_name_kind(call, kind_key), name.data, name.len};
}

int64_t call_timeout(const cts_call *call) {
  return cts_has(call, "timeout_ms") ? (int64_t)cts_u64_or(call, "timeout_ms", 0) : IPC_NO_TIMEOUT;
}

ipc_raw call_raw(const cts_call *call) {
  cts_raw raw = cts_raw_of(call, "raw");
  return (ipc_raw){platform_raw_kind(raw.kind), raw.value};
}

/* flag_of is |flag| if the operation has the argument |name| and it is true. */
static uint32_t flag_of(const cts_call *call, const char *name, uint32_t flag) {
  return cts_takes(call, name) && cts_bool_or(call, name, false) ? flag : 0;
}

cts_outcome call_listen_options(const cts_call *call, ipc_local_listen_options *out_options) {
  *out_options = (ipc_local_listen_options){.size = sizeof(*out_options)};
  out_options->flags = flag_of(call, "reclaim", IPC_LISTEN_RECLAIM) | flag_of(call, "keep_name", IPC_LISTEN_KEEP_NAME) |
                       flag_of(call, "same_user", IPC_LISTEN_SAME_USER);
  if (cts_has(call, "mode")) out_options->flags |= IPC_LISTEN_MODE;
  out_options->mode = (uint32_t)cts_u64_or(call, "mode", 0);
  if (!cts_takes(call, "backlog") || !cts_has(call, "backlog")) return cts_ok();
  out_options->backlog = (uint32_t)cts_u64_or(call, "backlog", 0);
  return out_options->backlog == 0 ? cts_status("invalid_argument", "backlog is at least 1") : cts_ok();
}

uint8_t *call_room_get(cts_call *call, size_t len) { return len <= CTS_LINE_MAX ? cts_scratch(call) : malloc(len); }

void call_room_put(cts_call *call, uint8_t *room) {
  if (room != cts_scratch(call)) free(room);
}

cts_outcome call_add_bytes(cts_call *call, const char *key, ipc_status status, size_t len) {
  if (status.code == IPC_OK && len > CTS_LINE_MAX)
    return outcome_why("failed", "the library wrote beyond the room it had");
  if (status.code == IPC_OK) cts_add_bytes(call, key, cts_scratch(call), len);
  return outcome_of(status);
}

void call_add_native(cts_call *call, ipc_listener *listener) {
  size_t len = 0;
  ipc_status status = library.listener_native(listener, cts_scratch(call), CTS_LINE_MAX, &len);
  if (status.code == IPC_OK && len <= CTS_LINE_MAX) cts_add_bytes(call, "native", cts_scratch(call), len);
}

void call_add_credentials(cts_call *call, const ipc_credentials *credentials) {
  if (credentials->fields & IPC_CREDENTIALS_PID) cts_add_u64(call, "pid", credentials->pid);
  if (credentials->fields & IPC_CREDENTIALS_UID) cts_add_u64(call, "uid", credentials->uid);
  if (credentials->fields & IPC_CREDENTIALS_GID) cts_add_u64(call, "gid", credentials->gid);
}

cts_outcome call_add_raw(cts_call *call, ipc_status status, const ipc_raw *raw) {
  if (status.code == IPC_OK) cts_add_raw(call, "raw", (cts_raw){platform_raw_kind_name(raw->kind), raw->value});
  return outcome_of(status);
}

cts_outcome call_make(cts_call *call, const char *key, ipc_status status, endpoint_kind kind, void *handle) {
  if (status.code != IPC_OK) return outcome_of(status);
  if (handle == NULL) return outcome_why("failed", "the library answered ok and made no handle");
  endpoint *e = endpoint_new(kind, handle, &status);
  if (e != NULL) cts_make(call, key, e);
  return outcome_of(status);
}

cts_outcome call_released(cts_call *call, ipc_status status, const ipc_raw *raw) {
  if (status.code == IPC_OK) {
    released_add(raw);
    endpoint_end_waits(cts_object(call));
  }
  return call_add_raw(call, status, raw);
}
