/* unix_stream.c - broken Unix domain streams. */
#include <poll.h>
#include <signal.h>

#include "conformance/mutants/mutants.h"

enum { SHUT_WRITING = 1, IS_HALF = 2 };

static ipc_status recoded(ipc_status status, int32_t from, int32_t to) {
  if (status.code == from) status.code = to;
  return status;
}

static ipc_status shuts_down_what_cannot_be(ipc_stream *stream, uint32_t directions) {
  return recoded(ipc_stream_shutdown(stream, directions), IPC_UNSUPPORTED, IPC_OK);
}
REPLACES(stream_shutdown, shuts_down_what_cannot_be)

static ipc_status marks_halves(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer) {
  ipc_status status = ipc_stream_split(stream, out_reader, out_writer);
  if (status.code == IPC_OK) mutant_remember(*out_writer, IS_HALF);
  return status;
}
static ipc_status shuts_no_half_down(ipc_stream *stream, uint32_t directions) {
  if (mutant_recall(stream) == IS_HALF && directions == IPC_SHUTDOWN_WRITE) return mutant_status(IPC_OK);
  return ipc_stream_shutdown(stream, directions);
}
static void install_shuts_no_half_down(ipc_table *table) {
  table->stream_split = marks_halves;
  table->stream_shutdown = shuts_no_half_down;
}

static ipc_status remembers_a_shutdown(ipc_stream *stream, uint32_t directions) {
  if (directions == IPC_SHUTDOWN_WRITE) mutant_remember(stream, SHUT_WRITING);
  return ipc_stream_shutdown(stream, directions);
}
static ipc_status reads_nothing_after_a_shutdown(ipc_stream *stream, void *out_data, size_t data_max,
                                                 int64_t timeout_ms, size_t *out_len) {
  *out_len = 0;
  if (mutant_recall(stream) == SHUT_WRITING) return mutant_status(IPC_END);
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}
static void install_reads_nothing_after_a_shutdown(ipc_table *table) {
  table->stream_shutdown = remembers_a_shutdown;
  table->stream_read = reads_nothing_after_a_shutdown;
}

static ipc_status raises_sigpipe_after_a_shutdown(ipc_stream *stream, const void *data, size_t data_len,
                                                  int64_t timeout_ms, size_t *out_len) {
  if (mutant_recall(stream) == SHUT_WRITING) raise(SIGPIPE);
  return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
}
static void install_raises_sigpipe_after_a_shutdown(ipc_table *table) {
  table->stream_shutdown = remembers_a_shutdown;
  table->stream_write = raises_sigpipe_after_a_shutdown;
}

static ipc_status shuts_down_once(ipc_stream *stream, uint32_t directions) {
  if (mutant_recall(stream) == SHUT_WRITING) return mutant_status(IPC_NOT_CONNECTED);
  return remembers_a_shutdown(stream, directions);
}
REPLACES(stream_shutdown, shuts_down_once)

static ipc_status is_not_woken_by_a_shutdown(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                             size_t *out_len) {
  const bool waits = !mutant_ready(mutant_fd(stream), POLLIN);
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_END && waits) mutant_wait_for_ever();
  return status;
}
REPLACES(stream_read, is_not_woken_by_a_shutdown)

static ipc_status writes_to_who_reads_no_more(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                              size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code != IPC_BROKEN_PIPE || mutant_recall(stream) == SHUT_WRITING ||
      mutant_ready(mutant_fd(stream), POLLHUP))
    return status;
  *out_len = data_len;
  return mutant_status(IPC_OK);
}
static void install_writes_to_who_reads_no_more(ipc_table *table) {
  table->stream_shutdown = remembers_a_shutdown;
  table->stream_write = writes_to_who_reads_no_more;
}

static ipc_status drops_what_has_come(ipc_stream *stream, uint32_t directions) {
  char dropped[512];
  size_t len = 0;
  while (directions == IPC_SHUTDOWN_READ && mutant_ready(mutant_fd(stream), POLLIN) &&
         ipc_stream_read(stream, dropped, sizeof(dropped), 0, &len).code == IPC_OK)
    continue;
  return ipc_stream_shutdown(stream, directions);
}
REPLACES(stream_shutdown, drops_what_has_come)

static ipc_status takes_both_for_writing(ipc_stream *stream, uint32_t directions) {
  return ipc_stream_shutdown(stream, directions == IPC_SHUTDOWN_BOTH ? IPC_SHUTDOWN_WRITE : directions);
}
REPLACES(stream_shutdown, takes_both_for_writing)

static ipc_status keeps_no_unix_name(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                     ipc_listener **out_listener) {
  ipc_local_listen_options plain = *options;
  plain.flags &= ~(uint32_t)IPC_LISTEN_KEEP_NAME;
  return ipc_unix_listen(name, type, &plain, out_listener);
}
REPLACES(unix_listen, keeps_no_unix_name)

static ipc_status keeps_no_local_name(const ipc_name *name, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  ipc_local_listen_options plain = *options;
  plain.flags &= ~(uint32_t)IPC_LISTEN_KEEP_NAME;
  return ipc_local_listen(name, &plain, out_listener);
}
REPLACES(local_listen, keeps_no_local_name)

static ipc_status takes_a_connection_of_the_other_type(ipc_listener *listener, int64_t timeout_ms,
                                                       ipc_socket **out_socket) {
  ipc_stream *taken = NULL;
  ipc_status status = ipc_listener_accept_socket(listener, timeout_ms, out_socket);
  if (status.code == IPC_UNSUPPORTED && ipc_listener_accept(listener, 0, &taken).code == IPC_OK) ipc_stream_free(taken);
  return status;
}
REPLACES(listener_accept_socket, takes_a_connection_of_the_other_type)

static ipc_status lets_the_mode_win(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                    ipc_listener **out_listener) {
  ipc_local_listen_options plain = *options;
  if (plain.flags & IPC_LISTEN_MODE) plain.flags &= ~(uint32_t)IPC_LISTEN_SAME_USER;
  return ipc_unix_listen(name, type, &plain, out_listener);
}
REPLACES(unix_listen, lets_the_mode_win)

static ipc_status welcomes_everybody(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                     ipc_listener **out_listener) {
  ipc_local_listen_options plain = *options;
  if (name != NULL && name->kind == IPC_NAME_NATIVE) plain.flags &= ~(uint32_t)IPC_LISTEN_SAME_USER;
  return ipc_unix_listen(name, type, &plain, out_listener);
}
REPLACES(unix_listen, welcomes_everybody)

const mutant unix_stream_mutants[] = {
    {"unix_stream.pipe_shut_down", "says that it shut down what it cannot (interprocess 6b289f1)",
     "UnixStream.ShutdownOfAPipeIsUnsupported", NULL, NULL, install_shuts_down_what_cannot_be},
    {"unix_stream.half_not_shut_down", "says that it shut down a half, and does nothing (interprocess 6b289f1)",
     "UnixStream.HalvesShutDownTheirOwnDirection", "server", NULL, install_shuts_no_half_down},
    {"unix_stream.answer_lost", "reads nothing any more after it has ended its writing (bun#42819)",
     "UnixStream.TheOtherDirectionGoesOn", NULL, NULL, install_reads_nothing_after_a_shutdown},
    {"unix_stream.sigpipe", "raises SIGPIPE at a write after its own shutdown (joyent/libuv#1244)",
     "UnixStream.WriteAfterShutdownIsBrokenPipe", NULL, NULL, install_raises_sigpipe_after_a_shutdown},
    {"unix_stream.shut_down_once", "shuts down once and fails to do it again", "UnixStream.ShutdownAgainIsOk", NULL,
     NULL, install_shuts_down_once},
    {"unix_stream.read_not_woken", "does not end a waiting read at a shutdown", "UnixStream.ShutdownWakesAWaitingRead",
     "server+itself", NULL, install_is_not_woken_by_a_shutdown},
    {"unix_stream.nobody_reads", "writes with success to an end that does not read any more",
     "UnixStream.WriterNoticesThatNobodyReads", NULL, NULL, install_writes_to_who_reads_no_more},
    {"unix_stream.what_came_dropped", "drops what has come when it ends its reading",
     "UnixStream.ShutdownOfReadingGivesWhatHasCome", NULL, NULL, install_drops_what_has_come},
    {"unix_stream.both_is_writing", "ends writing alone when it should end both directions",
     "UnixStream.ShutdownOfBothEndsBoth", NULL, NULL, install_takes_both_for_writing},
    {"unix_stream.keeps_no_name", "removes a file that it should leave (uvloop#28)", "UnixStream.KeepNameLeavesTheFile",
     NULL, NULL, install_keeps_no_unix_name},
    {"unix_stream.keeps_no_local_name", "removes a local socket's file that it should leave (uvloop#28)",
     "UnixStream.LocalListenKeepsTheName", NULL, NULL, install_keeps_no_local_name},
    {"unix_stream.other_type_taken", "takes a connection that it cannot give",
     "UnixStream.AcceptOfTheOtherTypeTakesNothing", NULL, NULL, install_takes_a_connection_of_the_other_type},
    {"unix_stream.mode_wins", "gives a file that is for one user the bits of its mode",
     "UnixStream.SameUserKeepsTheFilePrivate", NULL, NULL, install_lets_the_mode_win},
    {"unix_stream.everybody_is_welcome", "accepts other users where no file keeps them out",
     "UnixStream.ForeignUserIsNeverAccepted", NULL, NULL, install_welcomes_everybody},
    {0},
};
