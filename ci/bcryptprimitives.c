/// The system library bcryptprimitives.dll as programs of Go and Rust ask for it, for versions of Wine that lack it
/// (ci/wine puts it into the prefix). Windows has its own.

#include <windows.h>

/// RtlGenRandom, which has this name in advapi32 (ntsecapi.h).
BOOLEAN WINAPI SystemFunction036(PVOID buffer, ULONG length);

/// Fills `length` bytes of `buffer` with random ones and returns TRUE, as Microsoft documents for ProcessPrng.
/// FALSE only if the system has none to give.
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length) {
  while (length > 0) {
    const ULONG part = length < 0x10000 ? (ULONG)length : 0x10000;
    if (!SystemFunction036(buffer, part)) return FALSE;
    buffer += part;
    length -= part;
  }
  return TRUE;
}
