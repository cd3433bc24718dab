/* random.c - RtlGenRandom, which needs no provider and no handle. */
#include "ref/windows/random.h"

#include "ref/windows/win32.h"
/* Behind it. */
#include <ntsecapi.h>

bool ipc_random(void *out, size_t len) { return RtlGenRandom(out, (ULONG)len) != FALSE; }
