/* pipe_handle.h - what everything on pipes shares: making and opening them, examining a handle, and operations that can
 * be waited for with a deadline and ended by a close.
 *
 * Errors are Win32 codes; 0 is success.
 */
#ifndef REF_WINDOWS_PIPE_HANDLE_H
#define REF_WINDOWS_PIPE_HANDLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "ipc/base.h"
#include "ref/windows/errand.h"
#include "ref/windows/gate.h"
#include "ref/windows/room.h"

enum { DIRECTION_READ = 1, DIRECTION_WRITE = 2, DIRECTION_BOTH = 3 };

enum { PIPE_BUFFER = 65536 }; /* bytes that a pipe holds without a reader, for each direction */

/* ----------------------------------------------------------------------------------------- making and opening */

/* Who may open a pipe. */
typedef struct ipc_pipe_security {
  SECURITY_ATTRIBUTES attributes; /* what the system is given */
  SECURITY_DESCRIPTOR descriptor;
  union {
    ACL acl;
    unsigned char room[sizeof(ACL) + sizeof(ACCESS_ALLOWED_ACE) + SECURITY_MAX_SID_SIZE];
  } list;
} ipc_pipe_security;

/* ipc_pipe_security_init: with |same_user| the user that this process runs as, and nobody else, whoever they are; else
 * whom the system lets in by default. |inherit|: children inherit the handle. It points into itself: do not copy it. */
DWORD ipc_pipe_security_init(ipc_pipe_security *out_security, bool same_user, bool inherit);

/* What a new instance is like. */
typedef struct ipc_pipe_instance_options {
  DWORD open_mode;     /* PIPE_ACCESS_*, FILE_FLAG_* */
  DWORD pipe_mode;     /* PIPE_TYPE_*, PIPE_READMODE_*, PIPE_REJECT_REMOTE_CLIENTS */
  DWORD instances_max; /* PIPE_UNLIMITED_INSTANCES */
  DWORD in_size;       /* bytes that wait for the server without its reading */
  DWORD out_size;      /* bytes that wait for the client */
  DWORD wait_ms;       /* how long clients wait that do not say; 0: 50 */
  ipc_pipe_security *security;
} ipc_pipe_instance_options;

/* ipc_pipe_make_instance makes an instance of the pipe |name|. A client can connect to it from then on. */
DWORD ipc_pipe_make_instance(const wchar_t *name, const ipc_pipe_instance_options *options, HANDLE *out_pipe);

/* ipc_pipe_open opens the client's end of |name| with |access| (GENERIC_*) and |flags| (FILE_FLAG_*), overlapped, and
 * waits for an instance until |deadline|. ERROR_PIPE_BUSY: there was none in time. The server may ask who the client
 * is, and not act in its name. */
DWORD ipc_pipe_open(const wchar_t *name, DWORD access, DWORD flags, ipc_deadline *deadline, HANDLE *out_pipe);

/* ipc_pipe_await_instance waits until an instance of |name| is free; it may be taken again by then. ERROR_PIPE_BUSY:
 * there was none in time. */
DWORD ipc_pipe_await_instance(const wchar_t *name, ipc_deadline *deadline);

/* ipc_pipe_begin_wait has a thread of the pool wait likewise, without a deadline; NULL if there is no memory. Called
 * back, it ends at once, and at the latest after half a second. */
ipc_errand *ipc_pipe_begin_wait(const wchar_t *name);

/* -------------------------------------------------------------------------------------------------- examining */

/* What a handle is. */
typedef struct ipc_pipe_facts {
  uint32_t directions; /* DIRECTION_* that the handle was opened for */
  bool server;         /* the end that CreateNamedPipe made */
  bool synchronous;    /* opened without FILE_FLAG_OVERLAPPED: the system does one thing at a time on it */
  bool nonblocking;    /* PIPE_NOWAIT */
  bool connected;      /* or was, and what the other end wrote may still be there */
  bool listening;      /* no client yet */
} ipc_pipe_facts;

/* ipc_pipe_examine looks at |raw| without changing it. IPC_OK, or IPC_INVALID_ARGUMENT if it is no handle of a pipe. */
ipc_status ipc_pipe_examine(const ipc_raw *raw, ipc_pipe_facts *out_facts);

/* ipc_pipe_is_connected says whether both ends are there; ipc_pipe_is_closing whether the other end of a connected pipe
 * is gone. A handle that may not ask is connected. */
bool ipc_pipe_is_connected(HANDLE pipe);
bool ipc_pipe_is_closing(HANDLE pipe);

ipc_raw ipc_pipe_raw(HANDLE pipe);

/* ------------------------------------------------------------------------------------------------- operations */

/* Events that operations wait with: kept, so that a call has none to make. One slot serves one operation at a time; who
 * finds it empty makes an event of his own. NULL if the system has none left. */
typedef _Atomic(HANDLE) ipc_event_slot;
HANDLE ipc_event_take(ipc_event_slot *slot);
void ipc_event_give(ipc_event_slot *slot, HANDLE event);

/* ipc_overlapped_init prepares an operation that sets |event|. The low bit keeps its result off a completion port that
 * somebody has associated with the handle. */
static inline OVERLAPPED ipc_overlapped_init(HANDLE event) {
  OVERLAPPED operation = {.hEvent = (HANDLE)((ULONG_PTR)event | 1)};
  return operation;
}

/* How an operation ended. */
typedef struct ipc_outcome {
  int32_t code; /* IPC_OK: the system ended it, as `error` says. IPC_TIMED_OUT, IPC_CANCELLED (the gate was shut): it
                   was taken back and did nothing. IPC_FAILED: likewise, for the wait failed. */
  DWORD error;
  DWORD len; /* bytes moved */
} ipc_outcome;

/* ipc_overlapped_finish waits for the operation that ReadFile, WriteFile, ... has begun with |operation| and |event|.
 * |started| is what that returned. The caller is inside |gate|. When patience ends it cancels the operation and goes by
 * what really happened, so there is exactly one outcome. Only after it |operation| and the buffer are the caller's. */
ipc_outcome ipc_overlapped_finish(ipc_gate *gate, HANDLE pipe, OVERLAPPED *operation, HANDLE event, BOOL started,
                                  ipc_deadline *deadline);

/* ipc_overlapped_result gives the result of an operation that has ended. */
DWORD ipc_overlapped_result(HANDLE pipe, OVERLAPPED *operation, DWORD *out_len);

#endif /* REF_WINDOWS_PIPE_HANDLE_H */
