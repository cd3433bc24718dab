/* named_pipe.c - named pipes themselves: not there yet. Every function answers IPC_UNSUPPORTED, and no feature of
 * theirs is listed (ref/common/platform.h). */
#include "ipc/named_pipe.h"

#include "ref/common/platform.h"

ipc_status ipc_named_pipe_listen(const ipc_name *name, const ipc_named_pipe_options *options,
                                 ipc_listener **out_listener) {
  (void)name;
  (void)options;
  (void)out_listener;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_listener_accept_named_pipe(ipc_listener *listener, int64_t timeout_ms, ipc_named_pipe **out_pipe) {
  (void)listener;
  (void)timeout_ms;
  (void)out_pipe;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_connect(const ipc_name *name, const ipc_named_pipe_access *access, int64_t timeout_ms,
                                  ipc_named_pipe **out_pipe) {
  (void)name;
  (void)access;
  (void)timeout_ms;
  (void)out_pipe;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_wait(const ipc_name *name, int64_t timeout_ms) {
  (void)name;
  (void)timeout_ms;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_read(ipc_named_pipe *pipe, uint32_t flags, void *out_data, size_t data_max,
                               int64_t timeout_ms, size_t *out_len, size_t *out_left) {
  (void)pipe;
  (void)flags;
  (void)out_data;
  (void)data_max;
  (void)timeout_ms;
  (void)out_len;
  (void)out_left;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_write(ipc_named_pipe *pipe, const void *data, size_t data_len, int64_t timeout_ms,
                                size_t *out_len) {
  (void)pipe;
  (void)data;
  (void)data_len;
  (void)timeout_ms;
  (void)out_len;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_transact(ipc_named_pipe *pipe, const void *data, size_t data_len, void *out_answer,
                                   size_t answer_max, int64_t timeout_ms, size_t *out_len, size_t *out_left) {
  (void)pipe;
  (void)data;
  (void)data_len;
  (void)out_answer;
  (void)answer_max;
  (void)timeout_ms;
  (void)out_len;
  (void)out_left;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_peek(ipc_named_pipe *pipe, void *out_data, size_t data_max, size_t *out_len,
                               size_t *out_available, size_t *out_message_left) {
  (void)pipe;
  (void)out_data;
  (void)data_max;
  (void)out_len;
  (void)out_available;
  (void)out_message_left;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_flush(ipc_named_pipe *pipe, int64_t timeout_ms) {
  (void)pipe;
  (void)timeout_ms;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_disconnect(ipc_named_pipe *pipe, uint32_t flags, int64_t timeout_ms) {
  (void)pipe;
  (void)flags;
  (void)timeout_ms;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_peer(ipc_named_pipe *pipe, ipc_named_pipe_process *out_process) {
  (void)pipe;
  (void)out_process;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_info(ipc_named_pipe *pipe, ipc_named_pipe_information *out_information) {
  (void)pipe;
  (void)out_information;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_set_read_mode(ipc_named_pipe *pipe, uint32_t read_mode) {
  (void)pipe;
  (void)read_mode;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_duplicate(ipc_named_pipe *pipe, uint64_t pid, ipc_raw *out_raw) {
  (void)pipe;
  (void)pid;
  (void)out_raw;
  return ipc_status_of(IPC_UNSUPPORTED);
}

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_named_pipe_set_nonblocking(ipc_named_pipe *pipe, bool nonblocking) {
  (void)pipe;
  (void)nonblocking;
  return ipc_status_of(IPC_UNSUPPORTED);
}
#endif

ipc_status ipc_named_pipe_raw(ipc_named_pipe *pipe, ipc_raw *out_raw) {
  (void)pipe;
  (void)out_raw;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_release(ipc_named_pipe *pipe, ipc_raw *out_raw) {
  (void)pipe;
  (void)out_raw;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_adopt(const ipc_raw *raw, ipc_named_pipe **out_pipe) {
  (void)raw;
  (void)out_pipe;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_close(ipc_named_pipe *pipe) {
  (void)pipe;
  return ipc_status_of(IPC_UNSUPPORTED);
}

ipc_status ipc_named_pipe_free(ipc_named_pipe *pipe) {
  (void)pipe;
  return ipc_status_of(IPC_UNSUPPORTED);
}
