/* abi.c - mutants of the rules of the ABI itself (spec/abi.md): they are met in the process that calls them. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

/* ------------------------------------------------------------------------------------------------- the table */

static void install_has_half_a_slot(ipc_table *table) { table->size -= 4; }

static void install_names_features_twice(ipc_table *table) {
  static const char *const features[] = {"name.path", "name.namespaced", "name.path", NULL};
  table->features = features;
}

static void install_lacks_a_companion(ipc_table *table) { table->decoder_end = NULL; }

static void install_has_no_version(ipc_table *table) { table->version = ""; }

/* ------------------------------------------------------------------------------------------------- arguments */

static ipc_status calls_null_closed(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                    size_t *out_len) {
  if (stream == NULL) {
    if (out_len != NULL) *out_len = 0;
    return mutant_status(IPC_CLOSED);
  }
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}
REPLACES(stream_read, calls_null_closed)

static ipc_status ends_what_it_reads(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                     size_t *out_len) {
  ipc_status status = ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
  if (status.code == IPC_OK && data_max > 1) ((char *)out_data)[data_max] = '\0';
  return status;
}
static void install_ends_what_it_reads(ipc_table *table) { table->stream_read = ends_what_it_reads; }

static ipc_status takes_half_a_number(const ipc_raw *raw, ipc_stream **out_stream) {
  if (raw == NULL || raw->kind != IPC_RAW_FD) return ipc_stream_adopt(raw, out_stream);
  ipc_raw half = {raw->kind, (uint32_t)raw->value};
  ipc_status status = ipc_stream_adopt(&half, out_stream);
  if (status.code != IPC_OK && raw->value <= INT32_MAX) close((int)raw->value);
  return status;
}
REPLACES(stream_adopt, takes_half_a_number)

static ipc_status drops_what_is_newer(const ipc_name *name, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  ipc_local_listen_options known;
  if (options == NULL || options->size <= sizeof(known)) return ipc_local_listen(name, options, out_listener);
  known = *options;
  known.size = sizeof(known);
  return ipc_local_listen(name, &known, out_listener);
}
REPLACES(local_listen, drops_what_is_newer)

static ipc_status leaves_the_handle(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_stream *before = out_stream == NULL ? NULL : *out_stream;
  ipc_status status = ipc_local_connect(name, timeout_ms, out_stream);
  if (status.code == IPC_NOT_FOUND || status.code == IPC_REFUSED) *out_stream = before;
  return status;
}
REPLACES(local_connect, leaves_the_handle)

/* -------------------------------------------------------------------------------------------- life of handles */

static ipc_status closes_twice_without_a_word(ipc_stream *stream) {
  ipc_status status = ipc_stream_close(stream);
  return status.code == IPC_CLOSED ? mutant_status(IPC_OK) : status;
}
REPLACES(stream_close, closes_twice_without_a_word)

static ipc_status closes_and_remembers(ipc_stream *stream) {
  int fd = stream == NULL ? -1 : mutant_fd(stream);
  if (fd >= 0) mutant_remember(stream, (uint64_t)fd + 1);
  return ipc_stream_close(stream);
}

static ipc_status frees_and_closes_again(ipc_stream *stream) {
  uint64_t fd = stream == NULL ? 0 : mutant_recall(stream);
  if (fd != 0) {
    mutant_remember(stream, 0);
    close((int)fd - 1);
  }
  return ipc_stream_free(stream);
}

static void install_frees_and_closes_again(ipc_table *table) {
  table->stream_close = closes_and_remembers;
  table->stream_free = frees_and_closes_again;
}

static ipc_status only_closes(ipc_loop *loop) {
  if (loop != NULL) ipc_loop_close(loop);
  return mutant_status(IPC_OK);
}
REPLACES(loop_free, only_closes)

static ipc_status lets_children_have_it(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK) fcntl(mutant_fd(*out_stream), F_SETFD, 0);
  return status;
}
REPLACES(listener_accept, lets_children_have_it)

static ipc_status leaves_a_signal(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                  size_t *out_len) {
  ipc_status status = ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  if (status.code == IPC_BROKEN_PIPE) pthread_kill(pthread_self(), SIGPIPE);
  return status;
}
REPLACES(stream_write, leaves_a_signal)

static ipc_status changes_the_umask(const ipc_name *name, const ipc_local_listen_options *options,
                                    ipc_listener **out_listener) {
  umask(077);
  return ipc_local_listen(name, options, out_listener);
}
static void install_changes_the_umask(ipc_table *table) { table->local_listen = changes_the_umask; }

/* ---------------------------------------------------------------------------------------------------- threads */

static ipc_status loses_the_wake(ipc_loop *loop) { return loop == NULL ? ipc_loop_wake(loop) : mutant_status(IPC_OK); }
REPLACES(loop_wake, loses_the_wake)

static ipc_status splits_what_is_in_use(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer) {
  ipc_status status = ipc_stream_split(stream, out_reader, out_writer);
  return status.code == IPC_BUSY ? mutant_status(IPC_FAILED) : status;
}
REPLACES(stream_split, splits_what_is_in_use)

/* --------------------------------------------------------------------------------------------- without memory */

static ipc_status has_no_class_for_memory(const ipc_pipe_options *options, ipc_stream **out_reader,
                                          ipc_stream **out_writer) {
  ipc_status status = ipc_pipe_create(options, out_reader, out_writer);
  return status.code == IPC_OUT_OF_RESOURCES ? mutant_status(IPC_FAILED) : status;
}
REPLACES(pipe_create, has_no_class_for_memory)

static ipc_status leaves_a_descriptor(const ipc_name *name, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  ipc_status status = ipc_local_listen(name, options, out_listener);
  if (status.code == IPC_OUT_OF_RESOURCES) (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
  return status;
}
static void install_leaves_a_descriptor(ipc_table *table) { table->local_listen = leaves_a_descriptor; }

static void *volatile lost_block; /* what the compiler may not take away */

static ipc_status loses_a_block(const ipc_framing *framing, ipc_decoder **out_decoder) {
  ipc_status status = ipc_framing_decode(framing, out_decoder);
  if (status.code == IPC_OUT_OF_RESOURCES) lost_block = malloc(16);
  return status;
}
REPLACES(framing_decode, loses_a_block)

static ipc_status closes_what_it_took(const ipc_raw *raw, ipc_stream **out_stream) {
  ipc_status status = ipc_stream_adopt(raw, out_stream);
  if (status.code == IPC_OUT_OF_RESOURCES) close((int)raw->value);
  return status;
}
static void install_closes_what_it_took(ipc_table *table) { table->stream_adopt = closes_what_it_took; }

/* mutant.shape is that of the axes; the mode `abi` is the process that calls (spec/results.md). */
const mutant abi_mutants[] = {
    {"abi.half_a_slot", "says a size that ends in the middle of a slot", "AbiTable.SizeIsOfWholeSlots", NULL, "abi",
     install_has_half_a_slot},
    {"abi.features_twice", "lists a feature twice", "AbiTable.ListsHoldNamesOnce", NULL, "abi",
     install_names_features_twice},
    {"abi.lacks_a_companion", "makes decoders that cannot be told of the end", "AbiTable.MakersHaveTheirCompanions",
     NULL, "abi", install_lacks_a_companion},
    {"abi.no_version", "has an empty version", "AbiTable.NamesItself", NULL, "abi", install_has_no_version},
    {"abi.null_is_closed", "takes a NULL stream for a closed one", "AbiArguments.NullHandleIsRefused", "stream", "abi",
     install_calls_null_closed},
    {"abi.ends_what_it_reads", "puts a NUL behind what it reads", "AbiArguments.ReadStaysInItsRoom", "local", "abi",
     install_ends_what_it_reads},
    {"abi.half_a_number", "adopts by half of the number, and closes what it does not take",
     "AbiArguments.AdoptRefusesWhatIsNoStream", NULL, "abi", install_takes_half_a_number},
    {"abi.drops_newer", "drops options that it does not know", "AbiArguments.NewerOptionsThatAskForMoreAreRefused",
     NULL, "abi", install_drops_what_is_newer},
    {"abi.leaves_the_handle", "leaves a handle result as it was when it fails",
     "AbiArguments.FailedMakersLeaveNoHandle", NULL, "abi", install_leaves_the_handle},
    {"abi.closes_twice", "calls a second close ok", "AbiLifetime.ClosedHandleSaysSo", "stream", "abi",
     install_closes_twice_without_a_word},
    {"abi.free_closes_again", "closes the descriptor again when it frees", "AbiLifetime.FreeAfterCloseTouchesNothing",
     "stream", "abi", install_frees_and_closes_again},
    {"abi.loop_stays", "closes a loop and does not free it", "AbiLifetime.NothingIsLeftBehind", "loop", "abi",
     install_only_closes},
    {"abi.inherited", "lets children inherit an accepted connection", "AbiLifetime.NothingIsInherited", "stream", "abi",
     install_lets_children_have_it},
    {"abi.leaves_a_signal", "raises SIGPIPE", "AbiLifetime.BlockedSignalsStayPending", "local", "abi",
     install_leaves_a_signal},
    {"abi.umask", "changes the umask", "AbiLifetime.ProcessStaysAsItWas", "local", "abi", install_changes_the_umask},
    {"abi.wake_is_lost", "loses the wake of a loop", "AbiThreads.WakeEndsAWait", NULL, "abi", install_loses_the_wake},
    {"abi.split_in_use", "has no class for a stream in use", "AbiThreads.SplitOfAStreamInUseIsBusy", "local", "abi",
     install_splits_what_is_in_use},
    {"abi.memory_is_failure", "has no class for memory that ran out", "AbiMemory.MakersFailWhole", "pipe.create+once",
     "abi", install_has_no_class_for_memory},
    {"abi.memory_leaves_a_descriptor", "leaves a descriptor open when memory runs out", "AbiMemory.MakersFailWhole",
     "local.listen+once", "abi", install_leaves_a_descriptor},
    {"abi.memory_loses_a_block", "loses a block when memory runs out", "AbiMemory.MakersFailWhole",
     "framing.decode+once", "abi", install_loses_a_block},
    {"abi.memory_closes_what_it_took", "closes what it could not adopt", "AbiMemory.MakersFailWhole",
     "stream.adopt+once", "abi", install_closes_what_it_took},
    {0},
};
