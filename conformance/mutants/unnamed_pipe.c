/* unnamed_pipe.c - broken unnamed pipes. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

enum { RECORD = 512, CAPACITY = 65536, NONBLOCKING = 1 };

static void set_descriptor_flags(ipc_stream *end, int flags) { fcntl(mutant_fd(end), F_SETFD, flags); }

static ipc_status inherits_the_reader_too(const ipc_pipe_options *options, ipc_stream **out_reader,
                                          ipc_stream **out_writer) {
  ipc_status status = ipc_pipe_create(options, out_reader, out_writer);
  if (status.code == IPC_OK && options->flags & IPC_PIPE_INHERIT_WRITER) set_descriptor_flags(*out_reader, 0);
  return status;
}
REPLACES(pipe_create, inherits_the_reader_too)

static ipc_status inherits_without_being_asked(const ipc_pipe_options *options, ipc_stream **out_reader,
                                               ipc_stream **out_writer) {
  ipc_status status = ipc_pipe_create(options, out_reader, out_writer);
  if (status.code == IPC_OK && options->flags == 0) set_descriptor_flags(*out_writer, 0);
  return status;
}
REPLACES(pipe_create, inherits_without_being_asked)

static ipc_status does_not_care_for_capacity(const ipc_pipe_options *options, ipc_stream **out_reader,
                                             ipc_stream **out_writer) {
  ipc_pipe_options plain = *options;
  plain.capacity = 0;
  return ipc_pipe_create(&plain, out_reader, out_writer);
}
REPLACES(pipe_create, does_not_care_for_capacity)

static ipc_status insists_on_capacity(const ipc_pipe_options *options, ipc_stream **out_reader,
                                      ipc_stream **out_writer) {
  if (options->capacity > (uint64_t)1 << 30) return mutant_status(IPC_OUT_OF_RESOURCES);
  return ipc_pipe_create(options, out_reader, out_writer);
}
REPLACES(pipe_create, insists_on_capacity)

static ipc_status ends_a_waiting_read_with_an_error(ipc_stream *stream, void *out_data, size_t data_max,
                                                    int64_t timeout_ms, size_t *out_len) {
  const bool waits = !mutant_ready(mutant_fd(stream), POLLIN | POLLHUP);
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_END && waits) status.code = IPC_BROKEN_PIPE;
  return status;
}
REPLACES(stream_read, ends_a_waiting_read_with_an_error)

static ipc_status reads_no_more_than_fits(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                          size_t *out_len) {
  *out_len = 0;
  if (data_max > CAPACITY) return mutant_status(IPC_INVALID_ARGUMENT);
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}
REPLACES(stream_read, reads_no_more_than_fits)

static ipc_status raises_sigpipe(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                 size_t *out_len) {
  const bool nobody = mutant_ready(mutant_fd(stream), POLLERR);
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_BROKEN_PIPE && nobody) raise(SIGPIPE);
  return status;
}
REPLACES(stream_write, raises_sigpipe)

static ipc_status calls_the_wrong_way_invalid(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                              size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_UNSUPPORTED) status.code = IPC_INVALID_ARGUMENT;
  return status;
}
REPLACES(stream_write, calls_the_wrong_way_invalid)

static ipc_status writes_records_in_two_parts(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                              size_t *out_len) {
  const size_t half = data_len / 2;
  if (data_len > RECORD || data_len < 2) return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  ipc_status status = ipc_stream_write(stream, data, half, timeout_ms, out_len);
  if (status.code != IPC_OK) return status;
  size_t more = 0;
  status = ipc_stream_write(stream, (const char *)data + half, data_len - half, timeout_ms, &more);
  *out_len += more;
  if (status.code == IPC_WOULD_BLOCK) status.code = IPC_OK;
  return status;
}
REPLACES(stream_write, writes_records_in_two_parts)

static ipc_status remembers_the_mode(ipc_stream *stream, bool nonblocking) {
  mutant_remember(stream, nonblocking ? NONBLOCKING : 0);
  return ipc_stream_set_nonblocking(stream, nonblocking);
}
static ipc_status writes_all_or_nothing(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                        size_t *out_len) {
  *out_len = 0;
  if (mutant_recall(stream) == NONBLOCKING && data_len > CAPACITY) return mutant_status(IPC_WOULD_BLOCK);
  return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
}
static void install_all_or_nothing(ipc_table *table) {
  table->stream_set_nonblocking = remembers_the_mode;
  table->stream_write = writes_all_or_nothing;
}

static ipc_status switches_the_description(ipc_stream *stream, bool nonblocking) {
  const int fd = mutant_fd(stream), flags = fcntl(fd, F_GETFL);
  if (flags >= 0) fcntl(fd, F_SETFL, nonblocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK);
  return ipc_stream_set_nonblocking(stream, nonblocking);
}
REPLACES(stream_set_nonblocking, switches_the_description)

static ipc_status makes_a_pair(const ipc_pipe_options *options, ipc_stream **out_reader, ipc_stream **out_writer) {
  ipc_status status = ipc_pipe_create(options, out_reader, out_writer);
  if (status.code == IPC_OK) mutant_remember(*out_reader, (uint64_t)(uintptr_t)*out_writer);
  return status;
}
static ipc_status switches_both_ends(ipc_stream *stream, bool nonblocking) {
  ipc_stream *writer = (ipc_stream *)(uintptr_t)mutant_recall(stream);
  if (writer != NULL && nonblocking) ipc_stream_set_nonblocking(writer, true);
  return ipc_stream_set_nonblocking(stream, nonblocking);
}
static void install_switches_both_ends(ipc_table *table) {
  table->pipe_create = makes_a_pair;
  table->stream_set_nonblocking = switches_both_ends;
}

static ipc_status keeps_a_copy(ipc_stream *stream, ipc_raw *out_raw) {
  ipc_status status = ipc_stream_release(stream, out_raw);
  if (status.code == IPC_OK) fcntl((int)out_raw->value, F_DUPFD_CLOEXEC, 0);
  return status;
}
REPLACES(stream_release, keeps_a_copy)

static ipc_status makes_credentials_up(ipc_stream *stream, ipc_credentials *out_credentials) {
  ipc_status status = ipc_stream_peer_credentials(stream, out_credentials);
  if (status.code != IPC_UNSUPPORTED) return status;
  *out_credentials = (ipc_credentials){.fields = IPC_CREDENTIALS_PID, .pid = (uint64_t)getpid()};
  return mutant_status(IPC_OK);
}
REPLACES(stream_peer_credentials, makes_credentials_up)

static ipc_status writes_a_byte_for_nothing(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                            size_t *out_len) {
  size_t len = 0;
  if (data_len != 0) return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  *out_len = 0;
  return ipc_stream_write(stream, "", 1, timeout_ms, &len);
}
REPLACES(stream_write, writes_a_byte_for_nothing)

static ipc_status waits_once_more(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                  size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  return status.code == IPC_TIMED_OUT ? ipc_stream_read(stream, out_data, data_max, timeout_ms * 10, out_len) : status;
}
REPLACES(stream_read, waits_once_more)

static ipc_status counts_the_whole_write(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                         size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_TIMED_OUT) *out_len = data_len;
  return status;
}
REPLACES(stream_write, counts_the_whole_write)

static ipc_status goes_on_writing_when_closed(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                              size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(stream_write, goes_on_writing_when_closed)

const mutant unnamed_pipe_mutants[] = {
    {"unnamed_pipe.inherited_whole", "lets a child that gets the writing end have the reading end, too",
     "UnnamedPipe.EndsThatWereNotAskedForStayBehind", "writer", NULL, install_inherits_the_reader_too},
    {"unnamed_pipe.inherited_unasked", "lets children have an end that nobody asked for",
     "UnnamedPipe.NotInheritedByDefault", NULL, NULL, install_inherits_without_being_asked},
    {"unnamed_pipe.capacity_ignored", "does not care for the capacity that is asked for",
     "UnnamedPipe.CapacityHintHolds", NULL, NULL, install_does_not_care_for_capacity},
    {"unnamed_pipe.capacity_demanded", "makes no pipe if it cannot have the capacity",
     "UnnamedPipe.CapacityIsOnlyAHint", NULL, NULL, install_insists_on_capacity},
    {"unnamed_pipe.end_is_error", "reports the end to a waiting read as a broken pipe (libuv#3043)",
     "UnnamedPipe.WaitingReadEndsWhenTheWriterCloses", NULL, NULL, install_ends_a_waiting_read_with_an_error},
    {"unnamed_pipe.large_read_fails", "refuses reads larger than the pipe (gipc#13)",
     "UnnamedPipe.TransferFarBeyondTheCapacity", NULL, NULL, install_reads_no_more_than_fits},
    {"unnamed_pipe.sigpipe", "raises SIGPIPE at a write to nobody (libuv#45, joyent/libuv#1244)",
     "UnnamedPipe.WriteWithoutAReaderIsBrokenPipe", NULL, NULL, install_raises_sigpipe},
    {"unnamed_pipe.wrong_way_is_invalid", "calls a write to the reading end an invalid argument",
     "UnnamedPipe.EachEndHasOneDirection", NULL, NULL, install_calls_the_wrong_way_invalid},
    {"unnamed_pipe.two_parts", "writes small records in two parts", "UnnamedPipe.SmallWriteIsWholeOrNothing", NULL,
     NULL, install_writes_records_in_two_parts},
    {"unnamed_pipe.all_or_nothing", "takes nothing of a large write that does not wait",
     "UnnamedPipe.LargeWriteTakesAPart", NULL, NULL, install_all_or_nothing},
    {"unnamed_pipe.description_switched", "sets O_NONBLOCK on what it shares with others",
     "UnnamedPipe.NonblockingStaysWithTheProcess", NULL, NULL, install_switches_the_description},
    {"unnamed_pipe.both_switched", "makes the writing end nonblocking with the reading end",
     "UnnamedPipe.NonblockingIsOfOneEnd", NULL, NULL, install_switches_both_ends},
    {"unnamed_pipe.release_keeps_copy", "keeps a copy of the descriptor that it gives away",
     "UnnamedPipe.ReleasedEndsCanBeAdopted", NULL, NULL, install_keeps_a_copy},
    {"unnamed_pipe.credentials", "tells its own process for the other end of a pipe",
     "UnnamedPipe.PipesAreNotConnections", NULL, NULL, install_makes_credentials_up},
    {"unnamed_pipe.byte_for_nothing", "writes a NUL for a write of no bytes", "UnnamedPipe.EmptyWriteIsNothing", NULL,
     NULL, install_writes_a_byte_for_nothing},
    {"unnamed_pipe.timeout_late", "waits on when a read's time is over", "UnnamedPipe.ReadTimesOut", NULL, NULL,
     install_waits_once_more},
    {"unnamed_pipe.timed_out_length", "counts all of a write of which a part was placed in time",
     "UnnamedPipe.WriteTimesOut", NULL, NULL, install_counts_the_whole_write},
    {"unnamed_pipe.write_not_woken", "does not end a waiting write at close", "UnnamedPipe.CloseEndsAWaitingWrite",
     NULL, NULL, install_goes_on_writing_when_closed},
    {0},
};
