/* status.c - Win32 error codes to status. */
#include "ref/common/platform.h"
#include "ref/windows/win32.h"

ipc_status ipc_platform_status(uint32_t native) {
  ipc_status status = {IPC_FAILED, native};
  switch (native) {
#define NATIVE_WIN32(error, meaning) \
  case error:                        \
    status.code = meaning;           \
    break;
#include "ref/common/native_status.inc"
#undef NATIVE_WIN32
    default:
      break;
  }
  return status;
}
