/* pipe_handle.c - see pipe_handle.h. */
#include "ref/windows/pipe_handle.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <winternl.h>

#include "ref/common/platform.h"

/* Values of FILE_PIPE_LOCAL_INFORMATION, which the user's headers do not have (ntifs.h). */
enum { STATE_LISTENING = 2, STATE_CONNECTED = 3, STATE_CLOSING = 4 };
enum { SYNCHRONOUS_MODES = 0x10 | 0x20 }; /* FILE_SYNCHRONOUS_IO_ALERT, FILE_SYNCHRONOUS_IO_NONALERT */

/* ----------------------------------------------------------------------------------------- making and opening */

/* The user that this process runs as. */
typedef struct user {
  union {
    TOKEN_USER user;
    unsigned char room[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
  } token;
} user;

static DWORD find_user(user *out_user) {
  HANDLE token;
  if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) return GetLastError();
  DWORD len;
  DWORD error = GetTokenInformation(token, TokenUser, out_user, sizeof *out_user, &len) ? 0 : GetLastError();
  (void)CloseHandle(token);
  return error;
}

static DWORD restrict_to_user(ipc_pipe_security *security) {
  user current;
  DWORD error = find_user(&current);
  if (error != 0) return error;
  if (!InitializeAcl(&security->list.acl, sizeof security->list, ACL_REVISION) ||
      !AddAccessAllowedAce(&security->list.acl, ACL_REVISION, GENERIC_ALL, current.token.user.User.Sid) ||
      !InitializeSecurityDescriptor(&security->descriptor, SECURITY_DESCRIPTOR_REVISION) ||
      !SetSecurityDescriptorDacl(&security->descriptor, TRUE, &security->list.acl, FALSE) ||
      !SetSecurityDescriptorControl(&security->descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED)) {
    return GetLastError();
  }
  security->attributes.lpSecurityDescriptor = &security->descriptor;
  return 0;
}

DWORD ipc_pipe_security_init(ipc_pipe_security *out_security, bool same_user, bool inherit) {
  out_security->attributes =
      (SECURITY_ATTRIBUTES){.nLength = sizeof out_security->attributes, .bInheritHandle = inherit};
  return same_user ? restrict_to_user(out_security) : 0;
}

DWORD ipc_pipe_make_instance(const wchar_t *name, const ipc_pipe_instance_options *options, HANDLE *out_pipe) {
  *out_pipe = CreateNamedPipeW(name, options->open_mode, options->pipe_mode | PIPE_WAIT, options->instances_max,
                               options->out_size, options->in_size, options->wait_ms, &options->security->attributes);
  return *out_pipe != INVALID_HANDLE_VALUE ? 0 : GetLastError();
}

/* The system takes some numbers for words: 0 for the server's own choice, 1 for no waiting at all. It is asked again
 * now and then: Wine does not tell that the last instance was closed while a client of it is still there, and a call
 * back may have come too early. */
enum { WAIT_LEAST_MS = 2, WAIT_SLICE_MS = 500 };
enum { HANDLES_CLOSED = 676 }; /* ERROR_HANDLES_CLOSED, which not every winerror.h has */

DWORD ipc_pipe_await_instance(const wchar_t *name, ipc_deadline *deadline) {
  for (;;) {
    int left_ms = ipc_deadline_left_ms(deadline);
    int slice_ms = left_ms < 0 || left_ms > WAIT_SLICE_MS ? WAIT_SLICE_MS : left_ms;
    if (left_ms != 0 && slice_ms < WAIT_LEAST_MS) slice_ms = WAIT_LEAST_MS;
    if (WaitNamedPipeW(name, left_ms == 0 ? NMPWAIT_NOWAIT : (DWORD)slice_ms)) return 0;
    DWORD error = GetLastError();
    if (error == HANDLES_CLOSED) continue; /* Wine: the name went while it was waited for */
    if (error != ERROR_SEM_TIMEOUT) return error;
    if (left_ms == 0) return ERROR_PIPE_BUSY; /* whether the time is over the deadline says, not the system */
  }
}

typedef struct pipe_wait {
  ipc_errand errand; /* first */
  wchar_t name[];
} pipe_wait;

static DWORD carry_out_wait(ipc_errand *errand) {
  DWORD error = ERROR_PIPE_BUSY;
  while (error == ERROR_PIPE_BUSY && !atomic_load(&errand->is_called_back)) {
    ipc_deadline slice = {.timeout_ms = WAIT_SLICE_MS};
    error = ipc_pipe_await_instance(((pipe_wait *)errand)->name, &slice);
  }
  return error == ERROR_PIPE_BUSY ? ERROR_OPERATION_ABORTED : error;
}

static void release_wait(ipc_errand *errand) { free((pipe_wait *)errand); }

ipc_errand *ipc_pipe_begin_wait(const wchar_t *name) {
  size_t size = (wcslen(name) + 1) * sizeof *name;
  pipe_wait *wait = malloc(sizeof *wait + size);
  if (wait == NULL) return NULL;
  wait->errand = (ipc_errand){.carry_out = carry_out_wait, .release = release_wait};
  memcpy(wait->name, name, size);
  if (ipc_errand_begin(&wait->errand)) return &wait->errand;
  free(wait);
  return NULL;
}

DWORD ipc_pipe_open(const wchar_t *name, DWORD access, DWORD flags, ipc_deadline *deadline, HANDLE *out_pipe) {
  for (;;) {
    *out_pipe = CreateFileW(name, access, 0, NULL, OPEN_EXISTING,
                            FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION | flags, NULL);
    if (*out_pipe != INVALID_HANDLE_VALUE) return 0;
    DWORD error = GetLastError();
    if (error != ERROR_PIPE_BUSY || ipc_deadline_left(deadline) == 0) return error;
    error = ipc_pipe_await_instance(name, deadline);
    if (error != 0) return error;
  }
}

/* -------------------------------------------------------------------------------------------------- examining */

static bool ask(HANDLE handle, FILE_INFORMATION_CLASS what, void *out, ULONG size) {
  IO_STATUS_BLOCK block;
  return NtQueryInformationFile(handle, &block, out, size, what) == 0;
}

static ULONG state_of(HANDLE pipe) {
  FILE_PIPE_LOCAL_INFORMATION local = {.NamedPipeState = STATE_CONNECTED};
  return ask(pipe, FilePipeLocalInformation, &local, sizeof local) ? local.NamedPipeState : STATE_CONNECTED;
}

ipc_status ipc_pipe_examine(const ipc_raw *raw, ipc_pipe_facts *out_facts) {
  ipc_status status = {IPC_INVALID_ARGUMENT, 0};
  if (raw == NULL || raw->kind != IPC_RAW_HANDLE || raw->value > UINTPTR_MAX) return status;
  HANDLE handle = (HANDLE)(uintptr_t)raw->value;
  if (handle == NULL || handle == INVALID_HANDLE_VALUE) return status;
  DWORD flags;
  FILE_ACCESS_INFORMATION access;
  FILE_MODE_INFORMATION mode;
  /* Sockets are "pipes" to GetFileType, and not to GetNamedPipeInfo. */
  if (GetFileType(handle) != FILE_TYPE_PIPE || !GetNamedPipeInfo(handle, &flags, NULL, NULL, NULL)) {
    status.native = GetLastError();
    return status;
  }
  if (!ask(handle, FileAccessInformation, &access, sizeof access) ||
      !ask(handle, FileModeInformation, &mode, sizeof mode)) {
    return status;
  }
  DWORD waiting = PIPE_WAIT;
  if (!GetNamedPipeHandleStateW(handle, &waiting, NULL, NULL, NULL, NULL, 0)) waiting = PIPE_WAIT;
  ULONG state = state_of(handle);
  *out_facts = (ipc_pipe_facts){
      .directions = ((access.AccessFlags & FILE_READ_DATA) != 0 ? DIRECTION_READ : 0u) |
                    ((access.AccessFlags & FILE_WRITE_DATA) != 0 ? DIRECTION_WRITE : 0u),
      .server = (flags & PIPE_SERVER_END) != 0,
      .synchronous = (mode.Mode & SYNCHRONOUS_MODES) != 0,
      .nonblocking = (waiting & PIPE_NOWAIT) != 0,
      .connected = state == STATE_CONNECTED || state == STATE_CLOSING,
      .listening = state == STATE_LISTENING,
  };
  status.code = IPC_OK;
  return status;
}

bool ipc_pipe_is_connected(HANDLE pipe) { return state_of(pipe) == STATE_CONNECTED; }
bool ipc_pipe_is_closing(HANDLE pipe) { return state_of(pipe) == STATE_CLOSING; }

static DWORD room_of(HANDLE pipe) {
  FILE_PIPE_LOCAL_INFORMATION local;
  return ask(pipe, FilePipeLocalInformation, &local, sizeof local) ? local.WriteQuotaAvailable : 0;
}

DWORD (*ipc_pipe_room)(HANDLE pipe) = room_of;

ipc_raw ipc_pipe_raw(HANDLE pipe) {
  ipc_raw raw = {IPC_RAW_HANDLE, (uint64_t)(uintptr_t)pipe};
  return raw;
}

/* ------------------------------------------------------------------------------------------------- operations */

HANDLE ipc_event_take(ipc_event_slot *slot) {
  HANDLE event = atomic_exchange(slot, NULL);
  return event != NULL ? event : CreateEventW(NULL, TRUE, FALSE, NULL);
}

void ipc_event_give(ipc_event_slot *slot, HANDLE event) {
  HANDLE empty = NULL;
  if (!atomic_compare_exchange_strong(slot, &empty, event)) (void)CloseHandle(event);
}

DWORD ipc_overlapped_result(HANDLE pipe, OVERLAPPED *operation, DWORD *out_len) {
  *out_len = 0;
  /* False with ERROR_MORE_DATA has moved bytes, too. */
  return GetOverlappedResult(pipe, operation, out_len, FALSE) ? 0 : GetLastError();
}

ipc_outcome ipc_overlapped_finish(ipc_gate *gate, HANDLE pipe, OVERLAPPED *operation, HANDLE event, BOOL started,
                                  ipc_deadline *deadline) {
  ipc_outcome outcome = {.code = IPC_OK};
  DWORD error = started ? 0 : GetLastError();
  if (!started && error != ERROR_IO_PENDING && error != ERROR_MORE_DATA) {
    outcome.error = error;
    return outcome;
  }
  if (error == ERROR_IO_PENDING) {
    outcome.code = ipc_gate_wait(gate, &event, 1, deadline);
    if (outcome.code != IPC_OK) {
      (void)CancelIoEx(pipe, operation); /* too late is well, too: the result says what happened */
      (void)WaitForSingleObject(event, INFINITE);
    }
  }
  outcome.error = ipc_overlapped_result(pipe, operation, &outcome.len);
  if (outcome.code != IPC_OK && outcome.error != ERROR_OPERATION_ABORTED) outcome.code = IPC_OK;
  return outcome;
}
