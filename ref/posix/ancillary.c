/* ancillary.c - control buffers as pure functions: the arguments; control.c does the rest. */
#include "ref/posix/extensions.h"

#include "ipc/ancillary.h"

#include "ref/common/platform.h"
#include "ref/posix/control.h"

ipc_status ipc_ancillary_encode(const ipc_ancillary *ancillary, void *out_control, size_t control_max,
                                size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (out_control == NULL || out_len == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_control_check_sent(ancillary);
  if (status.code != IPC_OK) return status;
  return ipc_control_encode(ancillary, out_control, control_max, out_len);
}

ipc_status ipc_ancillary_decode(const void *control, size_t control_len, ipc_ancillary *ancillary) {
  if (control == NULL && control_len != 0) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_status status = ipc_control_check_room(ancillary);
  if (status.code != IPC_OK) return status;
  return ipc_control_decode(control, control_len, ancillary);
}
