/* claim.c - a claim is a named mutex that nobody locks: that it is there says it all. */
#include "ref/windows/claim.h"

#include <string.h>

#include "ref/common/platform.h"

static const wchar_t claim_prefix[] = L"Local\\ipc:";

enum { PREFIX_UNITS = sizeof claim_prefix / sizeof *claim_prefix - 1, PIPE_PREFIX_UNITS = 9 };

/* The system compares names of pipes without regard to case, and names of mutexes with it. */
int32_t ipc_claim_name(const ipc_address *address, HANDLE *out_claim) {
  wchar_t name[PREFIX_UNITS + ADDRESS_UNITS_MAX + 1];
  const wchar_t *pipe_name = address->text + PIPE_PREFIX_UNITS;
  *out_claim = NULL;
  memcpy(name, claim_prefix, sizeof claim_prefix);
  if (LCMapStringEx(LOCALE_NAME_INVARIANT, LCMAP_UPPERCASE, pipe_name, -1, name + PREFIX_UNITS, ADDRESS_UNITS_MAX + 1,
                    NULL, NULL, 0) == 0) {
    return IPC_OUT_OF_RESOURCES;
  }
  HANDLE claim = CreateMutexW(NULL, FALSE, name);
  DWORD error = GetLastError();
  if (claim != NULL && error != ERROR_ALREADY_EXISTS) {
    *out_claim = claim;
    return IPC_OK;
  }
  if (claim != NULL) (void)CloseHandle(claim);
  /* Somebody else's mutex, or something else of that name, is no less a claim. */
  bool taken = claim != NULL || error == ERROR_ACCESS_DENIED || error == ERROR_INVALID_HANDLE;
  return taken ? IPC_IN_USE : IPC_OUT_OF_RESOURCES;
}
