/* local.c - local sockets: listening on a name and connecting to one. */
#include "ipc/local.h"

#include "ref/common/options.h"
#include "ref/common/platform.h"
#include "ref/windows/listener.h"
#include "ref/windows/stream.h"

enum {
  MODE_MAX = 0777,
  KNOWN_FLAGS = IPC_LISTEN_RECLAIM | IPC_LISTEN_MODE | IPC_LISTEN_KEEP_NAME | IPC_LISTEN_SAME_USER,
};

/* Copies what this version knows of |given|. False if there is something in it that this version does not know. */
static bool read_options(const ipc_local_listen_options *given, ipc_local_listen_options *out) {
  *out = (ipc_local_listen_options){.size = sizeof *out};
  if (given == NULL) return true;
  if (!ipc_options_fit(given, given->size, sizeof *out)) return false;
  *out = *given;
  if ((out->flags & ~(uint32_t)KNOWN_FLAGS) != 0) return false;
  return (out->flags & IPC_LISTEN_MODE) == 0 || out->mode <= MODE_MAX;
}

/* A pipe's name leaves no file behind: there is nothing to reclaim, and nothing to keep. */
ipc_status ipc_local_listen(const ipc_name *name, const ipc_local_listen_options *options,
                            ipc_listener **out_listener) {
  if (out_listener != NULL) *out_listener = NULL;
  ipc_local_listen_options wanted;
  if (name == NULL || out_listener == NULL || !read_options(options, &wanted)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_address address;
  ipc_listener *listener;
  ipc_status status = ipc_address_init(&address, name);
  if (status.code != IPC_OK) return status;
  if ((wanted.flags & IPC_LISTEN_MODE) != 0) return ipc_status_of(IPC_UNSUPPORTED);
  ipc_listener_shape shape = ipc_listener_local_shape((wanted.flags & IPC_LISTEN_SAME_USER) != 0);
  status = ipc_listener_prepare(&address, &shape, wanted.backlog, &listener);
  if (status.code != IPC_OK) return status;
  status = ipc_listener_open(listener);
  if (status.code != IPC_OK) {
    ipc_listener_discard(listener);
    return status;
  }
  *out_listener = listener;
  return status;
}

ipc_status ipc_local_connect(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  if (out_stream == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  *out_stream = NULL;
  if (name == NULL || timeout_ms < IPC_NO_TIMEOUT) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_address address;
  ipc_stream *stream;
  ipc_deadline deadline = {.timeout_ms = timeout_ms};
  ipc_status status = ipc_address_init(&address, name);
  if (status.code == IPC_OK) status = ipc_stream_prepare(DIRECTION_BOTH, &stream);
  if (status.code != IPC_OK) return status;
  HANDLE pipe;
  DWORD error = ipc_pipe_open(address.text, GENERIC_READ | GENERIC_WRITE, 0, &deadline, &pipe);
  if (error != 0) {
    ipc_stream_discard(stream);
    return error == ERROR_PIPE_BUSY ? (ipc_status){IPC_TIMED_OUT, error} : ipc_platform_status(error);
  }
  ipc_stream_own(stream, pipe, false, false);
  *out_stream = stream;
  return status;
}
