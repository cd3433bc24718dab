/* claim.c - a claim is a named mutex that nobody locks: that it is there says it all. */
#include "ref/windows/claim.h"

#include <string.h>

#include "ref/common/platform.h"

#define ALONE L"Local\\ipc:"
#define SHARED L"Local\\ipc-shared:"

enum { PREFIX_UNITS_MAX = sizeof SHARED / sizeof(wchar_t) - 1, PIPE_PREFIX_UNITS = 9 };

/* The name of a mutex for |address|. */
typedef struct mutex_name {
  wchar_t text[PREFIX_UNITS_MAX + ADDRESS_UNITS_MAX + 1];
} mutex_name;

/* The system compares names of pipes without regard to case, and names of mutexes with it. */
static bool name_mutex(const wchar_t *prefix, const ipc_address *address, mutex_name *out_name) {
  size_t units = wcslen(prefix);
  memcpy(out_name->text, prefix, units * sizeof *prefix);
  return LCMapStringEx(LOCALE_NAME_INVARIANT, LCMAP_UPPERCASE, address->text + PIPE_PREFIX_UNITS, -1,
                       out_name->text + units, ADDRESS_UNITS_MAX + 1, NULL, NULL, 0) != 0;
}

/* Whether the mutex is there. Something else of that name, or what this user may not open, is no less a claim. */
static bool is_there(const mutex_name *name) {
  HANDLE mutex = OpenMutexW(SYNCHRONIZE, FALSE, name->text);
  if (mutex == NULL) return GetLastError() != ERROR_FILE_NOT_FOUND;
  (void)CloseHandle(mutex);
  return true;
}

/* Makes the mutex, or takes part in the one that is there. */
static int32_t make(const mutex_name *name, bool first, HANDLE *out_mutex) {
  HANDLE mutex = CreateMutexW(NULL, FALSE, name->text);
  DWORD error = GetLastError();
  if (mutex != NULL && (!first || error != ERROR_ALREADY_EXISTS)) {
    *out_mutex = mutex;
    return IPC_OK;
  }
  if (mutex != NULL) (void)CloseHandle(mutex);
  bool taken = mutex != NULL || error == ERROR_ACCESS_DENIED || error == ERROR_INVALID_HANDLE;
  return taken ? IPC_IN_USE : IPC_OUT_OF_RESOURCES;
}

/* One's own claim comes first, then the look for others': of two that come at once one at least sees the other. */
static int32_t claim(const ipc_address *address, bool alone, ipc_claim *out_claim) {
  mutex_name own, other;
  *out_claim = (ipc_claim){NULL, NULL};
  if (!name_mutex(alone ? ALONE : SHARED, address, &own) || !name_mutex(alone ? SHARED : ALONE, address, &other)) {
    return IPC_OUT_OF_RESOURCES;
  }
  int32_t code = make(&own, alone, alone ? &out_claim->alone : &out_claim->shared);
  if (code == IPC_OK && is_there(&other)) {
    ipc_claim_release(out_claim);
    code = IPC_IN_USE;
  }
  return code;
}

int32_t ipc_claim_alone(const ipc_address *address, ipc_claim *out_claim) { return claim(address, true, out_claim); }
int32_t ipc_claim_share(const ipc_address *address, ipc_claim *out_claim) { return claim(address, false, out_claim); }

void ipc_claim_release(ipc_claim *claim) {
  if (claim->alone != NULL) (void)CloseHandle(claim->alone);
  if (claim->shared != NULL) (void)CloseHandle(claim->shared);
  *claim = (ipc_claim){NULL, NULL};
}
