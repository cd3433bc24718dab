/* room.h - how much a pipe takes at once. */
#ifndef REF_WINDOWS_ROOM_H
#define REF_WINDOWS_ROOM_H

#include "ref/windows/win32.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ipc_pipe_room gives the bytes that a write would not have to wait for, at least; 0 also if the system does not say.
 * Wine never says; tests set another, while nothing else runs. */
extern DWORD (*ipc_pipe_room)(HANDLE pipe);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_WINDOWS_ROOM_H */
