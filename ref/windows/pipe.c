/* pipe.c - unnamed pipes. Windows' own cannot be read or written without waiting, and a call on them not be ended. So a
 * pipe is a named one, with a name made up at random that only this user may open, only once, and that this call does.
 *
 * An end that children inherit is synchronous, as programs expect that get one as their standard input or output; what
 * that means for calls of this library on it is said in channel.h. The other ends are overlapped.
 */
#include "ipc/pipe.h"

#include <stdio.h>

#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/windows/random.h"
#include "ref/windows/stream.h"

enum {
  KNOWN_FLAGS = IPC_PIPE_INHERIT_READER | IPC_PIPE_INHERIT_WRITER,
  CAPACITY_MIN = 4096,    /* bytes: a smaller one is slow and serves nobody */
  CAPACITY_MAX = 1048576, /* bytes: the system charges them to the process */
  NAMES_MAX = 8,          /* that are tried: somebody may open one before this process does */
};

/* Copies what this version knows of |given|. False if there is something in it that this version does not know. */
static bool read_options(const ipc_pipe_options *given, ipc_pipe_options *out) {
  *out = (ipc_pipe_options){.size = sizeof *out};
  if (given == NULL) return true;
  if (!ipc_options_fit(given, given->size, sizeof *out)) return false;
  *out = *given;
  return (out->flags & ~(uint32_t)KNOWN_FLAGS) == 0;
}

static DWORD capacity_of(const ipc_pipe_options *options) {
  if (options->capacity == 0) return PIPE_BUFFER;
  if (options->capacity < CAPACITY_MIN) return CAPACITY_MIN;
  return options->capacity > CAPACITY_MAX ? CAPACITY_MAX : (DWORD)options->capacity;
}

static DWORD make_reader(const wchar_t *name, const ipc_pipe_options *options, HANDLE *out_pipe) {
  bool inherit = (options->flags & IPC_PIPE_INHERIT_READER) != 0;
  ipc_pipe_security security;
  DWORD error = ipc_pipe_security_init(&security, true, inherit);
  if (error != 0) return error;
  ipc_pipe_instance_options instance = {
      .open_mode = PIPE_ACCESS_INBOUND | FILE_FLAG_FIRST_PIPE_INSTANCE | (inherit ? 0u : FILE_FLAG_OVERLAPPED),
      .pipe_mode = PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_REJECT_REMOTE_CLIENTS,
      .instances_max = 1,
      .in_size = capacity_of(options),
      .out_size = capacity_of(options),
      .security = &security,
  };
  return ipc_pipe_make_instance(name, &instance, out_pipe);
}

/* FILE_READ_ATTRIBUTES lets a writer ask for the state of its pipe. */
static DWORD open_writer(const wchar_t *name, const ipc_pipe_options *options, HANDLE *out_pipe) {
  bool inherit = (options->flags & IPC_PIPE_INHERIT_WRITER) != 0;
  ipc_pipe_security security;
  DWORD error = ipc_pipe_security_init(&security, false, inherit);
  if (error != 0) return error;
  *out_pipe = CreateFileW(name, GENERIC_WRITE | FILE_READ_ATTRIBUTES, 0, &security.attributes, OPEN_EXISTING,
                          SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS | (inherit ? 0u : FILE_FLAG_OVERLAPPED), NULL);
  return *out_pipe != INVALID_HANDLE_VALUE ? 0 : GetLastError();
}

static DWORD make_ends_of_name(const wchar_t *name, const ipc_pipe_options *options, HANDLE ends[2]) {
  DWORD error = make_reader(name, options, &ends[0]);
  if (error != 0) return error;
  error = open_writer(name, options, &ends[1]);
  if (error != 0) (void)CloseHandle(ends[0]);
  return error;
}

static DWORD make_ends(const ipc_pipe_options *options, HANDLE ends[2]) {
  DWORD error = 0;
  for (int tries = 0; tries < NAMES_MAX; tries++) {
    uint64_t number[2];
    wchar_t name[64];
    if (!ipc_random(number, sizeof number)) return ERROR_NO_SYSTEM_RESOURCES;
    (void)swprintf(name, sizeof name / sizeof *name, L"\\\\.\\pipe\\ipc-pipe-%016llx%016llx",
                   (unsigned long long)number[0], (unsigned long long)number[1]);
    error = make_ends_of_name(name, options, ends);
    if (error != ERROR_PIPE_BUSY && error != ERROR_ACCESS_DENIED) break;
  }
  return error;
}

ipc_status ipc_pipe_create(const ipc_pipe_options *options, ipc_stream **out_reader, ipc_stream **out_writer) {
  if (out_reader != NULL) *out_reader = NULL;
  if (out_writer != NULL) *out_writer = NULL;
  ipc_pipe_options wanted;
  if (out_reader == NULL || out_writer == NULL || out_reader == out_writer || !read_options(options, &wanted)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_stream *reader;
  ipc_stream *writer;
  ipc_status status = ipc_stream_prepare(DIRECTION_READ, &reader);
  if (status.code != IPC_OK) return status;
  status = ipc_stream_prepare(DIRECTION_WRITE, &writer);
  if (status.code != IPC_OK) {
    ipc_stream_discard(reader);
    return status;
  }
  HANDLE ends[2];
  DWORD error = make_ends(&wanted, ends);
  if (error != 0) {
    ipc_stream_discard(reader);
    ipc_stream_discard(writer);
    return ipc_platform_status(error);
  }
  ipc_stream_own(reader, ends[0], (wanted.flags & IPC_PIPE_INHERIT_READER) != 0, true);
  ipc_stream_own(writer, ends[1], (wanted.flags & IPC_PIPE_INHERIT_WRITER) != 0, false);
  *out_reader = reader;
  *out_writer = writer;
  return status;
}
