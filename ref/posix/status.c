/* status.c - errno to status. */
#include <errno.h>

#include "ref/common/platform.h"

ipc_status ipc_platform_status(uint32_t native) {
  ipc_status status = {IPC_FAILED, native};
  switch (native) {
#define NATIVE_ERRNO(error, meaning) \
  case error:                        \
    status.code = meaning;           \
    break;
#include "ref/common/native_status.inc"
#undef NATIVE_ERRNO
    default:
      break;
  }
  return status;
}
