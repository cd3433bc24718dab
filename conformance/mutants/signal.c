/* signal.c - broken signals. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

enum { SIGNALS_MAX = 128, KERNELS_LOWEST = 32, PIECE = 4096 };

static ipc_status recoded(ipc_status status, int32_t from, int32_t to) {
  if (status.code == from) status.code = to;
  return status;
}

/* ------------------------------------------------------------------------------------------------------- names */

static ipc_status knows_names_with_sig(const void *name, size_t name_len, int32_t *out_signal) {
  ipc_status status = ipc_signal_number(name, name_len, out_signal);
  if (status.code != IPC_NOT_FOUND || name_len < 4 || memcmp(name, "SIG", 3) != 0) return status;
  return ipc_signal_number((const char *)name + 3, name_len - 3, out_signal);
}
REPLACES(signal_number, knows_names_with_sig)

static ipc_status counts_from_the_kernels_lowest(const void *name, size_t name_len, int32_t *out_signal) {
  ipc_status status = ipc_signal_number(name, name_len, out_signal);
  if (status.code == IPC_OK && name_len == 3 && memcmp(name, "RT0", 3) == 0) *out_signal = KERNELS_LOWEST;
  return status;
}
REPLACES(signal_number, counts_from_the_kernels_lowest)

static ipc_status names_no_signal(int32_t signal, void *out_name, size_t name_max, size_t *out_len) {
  if (signal != 0 || name_max < 4) return ipc_signal_name(signal, out_name, name_max, out_len);
  memcpy(out_name, "EXIT", 4);
  *out_len = 4;
  return mutant_status(IPC_OK);
}
REPLACES(signal_name, names_no_signal)

static ipc_status can_catch_stop(int32_t signal, uint32_t *out_traits) {
  ipc_status status = ipc_signal_describe(signal, out_traits);
  if (status.code == IPC_OK && signal == SIGSTOP) *out_traits |= IPC_SIGNAL_CATCHABLE;
  return status;
}
REPLACES(signal_describe, can_catch_stop)

/* ------------------------------------------------------------------------------------------------------- hooks */

/* What a signal's hook is, for a mutant that stands before it. */
static struct {
  ipc_signal_hook hook;
  void *context;
} hooks[SIGNALS_MAX];

/* set_before sets |before| in place of the caller's hook. */
static ipc_status set_before(ipc_signal_hook before, int32_t signal, uint32_t action, uint32_t flags,
                             ipc_signal_hook hook, void *context) {
  if (action != IPC_SIGNAL_HOOK || hook == NULL || signal <= 0 || signal >= SIGNALS_MAX)
    return ipc_signal_set_handler(signal, action, flags, hook, context);
  hooks[signal].hook = hook;
  hooks[signal].context = context;
  return ipc_signal_set_handler(signal, action, flags, before, NULL);
}

static void call_as_from_itself(const ipc_signal_event *event, void *context) {
  ipc_signal_event own = *event;
  (void)context;
  own.pid = (uint64_t)getpid();
  hooks[event->signal].hook(&own, hooks[event->signal].context);
}
static ipc_status takes_itself_for_the_sender(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                              void *context) {
  return set_before(call_as_from_itself, signal, action, flags, hook, context);
}
REPLACES(signal_set_handler, takes_itself_for_the_sender)

static void call_twice(const ipc_signal_event *event, void *context) {
  (void)context;
  hooks[event->signal].hook(event, hooks[event->signal].context);
  if (event->signal == SIGCHLD) hooks[event->signal].hook(event, hooks[event->signal].context);
}
static ipc_status runs_a_hook_twice(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                    void *context) {
  return set_before(call_twice, signal, action, flags, hook, context);
}
REPLACES(signal_set_handler, runs_a_hook_twice)

static void call_with_half_a_value(const ipc_signal_event *event, void *context) {
  ipc_signal_event half = *event;
  (void)context;
  half.value = (int16_t)half.value;
  hooks[event->signal].hook(&half, hooks[event->signal].context);
}
static ipc_status cuts_the_value(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook, void *context) {
  return set_before(call_with_half_a_value, signal, action, flags, hook, context);
}
REPLACES(signal_set_handler, cuts_the_value)

static ipc_status resets_like_system_v(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                       void *context) {
  const bool resets = action == IPC_SIGNAL_HOOK && signal == SIGWINCH;
  return ipc_signal_set_handler(signal, action, resets ? flags | IPC_SIGNAL_RESET : flags, hook, context);
}
REPLACES(signal_set_handler, resets_like_system_v)

/* Each leaves a flag out, or puts one in, of a hook. */
static ipc_status never_resets(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook, void *context) {
  return ipc_signal_set_handler(signal, action, flags & ~(uint32_t)IPC_SIGNAL_RESET, hook, context);
}
REPLACES(signal_set_handler, never_resets)

static ipc_status tells_of_every_child(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                       void *context) {
  return ipc_signal_set_handler(signal, action, flags & ~(uint32_t)IPC_SIGNAL_NO_CHILD_STOP, hook, context);
}
REPLACES(signal_set_handler, tells_of_every_child)

static ipc_status never_tells_of_a_stop(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                        void *context) {
  const bool child = signal == SIGCHLD && action == IPC_SIGNAL_HOOK;
  return ipc_signal_set_handler(signal, action, child ? flags | IPC_SIGNAL_NO_CHILD_STOP : flags, hook, context);
}
REPLACES(signal_set_handler, never_tells_of_a_stop)

static ipc_status takes_care_for_granted(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                         void *context) {
  uint32_t traits = 0;
  const bool fault = ipc_signal_describe(signal, &traits).code == IPC_OK && traits & IPC_SIGNAL_FAULT;
  return ipc_signal_set_handler(signal, action, fault ? flags | IPC_SIGNAL_UNSAFE : flags, hook, context);
}
REPLACES(signal_set_handler, takes_care_for_granted)

static ipc_status says_that_it_handles_kill(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                            void *context) {
  return recoded(ipc_signal_set_handler(signal, action, flags, hook, context), IPC_UNSUPPORTED, IPC_OK);
}
REPLACES(signal_set_handler, says_that_it_handles_kill)

static ipc_status says_that_it_set_a_watched_one(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                                 void *context) {
  return recoded(ipc_signal_set_handler(signal, action, flags, hook, context), IPC_BUSY, IPC_OK);
}
REPLACES(signal_set_handler, says_that_it_set_a_watched_one)

static ipc_status ignores_ignoring(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook,
                                   void *context) {
  if (action == IPC_SIGNAL_IGNORE && signal == SIGTSTP) return mutant_status(IPC_OK);
  return ipc_signal_set_handler(signal, action, flags, hook, context);
}
REPLACES(signal_set_handler, ignores_ignoring)

/* ------------------------------------------------------------------------------------------- interrupted calls */

static ipc_status answers_interrupted(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms,
                                      size_t *out_len) {
  struct pollfd poller = {.fd = mutant_fd(stream), .events = POLLIN};
  *out_len = 0;
  if (timeout_ms < 0 && poll(&poller, 1, -1) < 0 && errno == EINTR) return mutant_status(IPC_INTERRUPTED);
  return ipc_stream_read(stream, out_data, data_max, timeout_ms, out_len);
}
REPLACES(stream_read, answers_interrupted)

static ipc_status begins_a_part_anew(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms,
                                     size_t *out_len) {
  size_t sum = 0;
  ipc_status status = {.code = IPC_OK};
  if (timeout_ms >= 0 || data_len <= PIECE) return ipc_stream_write(stream, data, data_len, timeout_ms, out_len);
  while (status.code == IPC_OK && sum < data_len) {
    struct pollfd poller = {.fd = mutant_fd(stream), .events = POLLOUT};
    const size_t piece = data_len - sum < PIECE ? data_len - sum : PIECE;
    size_t len = 0;
    status = ipc_stream_write(stream, (const char *)data + sum, piece, 0, &len);
    if (status.code == IPC_TIMED_OUT) {
      const bool interrupted = poll(&poller, 1, -1) < 0 && errno == EINTR;
      if (interrupted && sum >= PIECE) sum -= PIECE;
      status.code = IPC_OK;
    }
    sum += len;
  }
  *out_len = sum;
  return status;
}
REPLACES(stream_write, begins_a_part_anew)

/* ----------------------------------------------------------------------------------------------------- sending */

static ipc_status cuts_the_process_number(int32_t signal, uint64_t pid) {
  return ipc_signal_send(signal, pid > UINT32_MAX ? (uint32_t)pid : pid);
}
REPLACES(signal_send, cuts_the_process_number)

static ipc_status misses_nobody(int32_t signal, uint64_t pid) {
  return recoded(ipc_signal_send(signal, pid), IPC_NO_SUCH_PROCESS, IPC_OK);
}
REPLACES(signal_send, misses_nobody)

static ipc_status sends_what_cannot_queue(int32_t signal, uint64_t pid, int32_t value) {
  ipc_status status = ipc_signal_queue(signal, pid, value);
  return status.code == IPC_INVALID_ARGUMENT ? ipc_signal_send(signal, pid) : status;
}
REPLACES(signal_queue, sends_what_cannot_queue)

static ipc_status sends_a_group_nothing(int32_t signal, uint64_t group) {
  return signal == 0 ? ipc_signal_send_group(0, group) : ipc_signal_send(0, group);
}
REPLACES(signal_send_group, sends_a_group_nothing)

/* ---------------------------------------------------------------------------------------------------- watchers */

static ipc_status loses_the_second(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event) {
  ipc_signal_event second = {.size = sizeof(second)};
  ipc_status status = ipc_watcher_next(watcher, timeout_ms, out_event);
  if (status.code == IPC_OK) ipc_watcher_next(watcher, 0, &second);
  return status;
}
REPLACES(watcher_next, loses_the_second)

static ipc_status waits_without_time(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event) {
  return ipc_watcher_next(watcher, timeout_ms == 0 ? 500 : timeout_ms, out_event);
}
REPLACES(watcher_next, waits_without_time)

static ipc_status has_no_class_for_no_signal(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event) {
  return recoded(ipc_watcher_next(watcher, timeout_ms, out_event), IPC_WOULD_BLOCK, IPC_INTERRUPTED);
}
REPLACES(watcher_next, has_no_class_for_no_signal)

static ipc_status goes_on_when_closed(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event) {
  ipc_status status = ipc_watcher_next(watcher, timeout_ms, out_event);
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(watcher_next, goes_on_when_closed)

static ipc_status knows_no_sender(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event) {
  ipc_status status = ipc_watcher_next(watcher, timeout_ms, out_event);
  if (status.code == IPC_OK) out_event->fields &= ~(uint32_t)IPC_SIGNAL_HAS_SENDER;
  return status;
}
REPLACES(watcher_next, knows_no_sender)

static ipc_status watches_and_remembers(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher) {
  ipc_status status = ipc_signal_watch(signals, num_signals, out_watcher);
  if (status.code == IPC_OK) mutant_remember(*out_watcher, (uint64_t)signals[0]);
  return status;
}
static ipc_status takes_the_signal_from_the_others(ipc_watcher *watcher) {
  ipc_status status = ipc_watcher_close(watcher);
  const struct sigaction ignoring = {.sa_handler = SIG_IGN};
  if (status.code == IPC_OK && mutant_recall(watcher) != 0) sigaction((int)mutant_recall(watcher), &ignoring, NULL);
  return status;
}
static void install_takes_the_signal_from_the_others(ipc_table *table) {
  table->signal_watch = watches_and_remembers;
  table->watcher_close = takes_the_signal_from_the_others;
}

static ipc_status watches_one_twice(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher) {
  const bool twice = num_signals > 1 && signals[0] == signals[num_signals - 1];
  return ipc_signal_watch(signals, twice ? num_signals - 1 : num_signals, out_watcher);
}
REPLACES(signal_watch, watches_one_twice)

static ipc_status lets_children_have_it(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher) {
  ipc_raw raw = {0};
  ipc_status status = ipc_signal_watch(signals, num_signals, out_watcher);
  if (status.code == IPC_OK && ipc_watcher_raw(*out_watcher, &raw).code == IPC_OK) fcntl((int)raw.value, F_SETFD, 0);
  return status;
}
REPLACES(signal_watch, lets_children_have_it)

static ipc_status watches_with_a_gap(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher) {
  const struct sigaction none = {.sa_handler = SIG_DFL};
  struct sigaction before;
  if (num_signals != 1 || sigaction(signals[0], NULL, &before) != 0 || before.sa_handler == SIG_DFL)
    return ipc_signal_watch(signals, num_signals, out_watcher);
  sigaction(signals[0], &none, NULL);
  poll(NULL, 0, 5);
  sigaction(signals[0], &before, NULL);
  return ipc_signal_watch(signals, num_signals, out_watcher);
}
REPLACES(signal_watch, watches_with_a_gap)

const mutant signal_mutants[] = {
    {"signal.names_with_sig", "knows names with SIG before them", "Signal.UnknownNameIsNotFound", NULL, NULL,
     install_knows_names_with_sig},
    {"signal.kernels_lowest", "counts real-time signals from the kernel's lowest",
     "Signal.RealTimeSignalsAreNumberedUpwards", NULL, NULL, install_counts_from_the_kernels_lowest},
    {"signal.names_no_signal", "has a name for 0", "Signal.NumberWithoutASignalHasNoName", NULL, NULL,
     install_names_no_signal},
    {"signal.catches_stop", "says that STOP can be handled", "Signal.TraitsAreTold", NULL, NULL,
     install_can_catch_stop},
    {"signal.own_pid", "takes its own process for the sender", "Signal.HookGetsTheSender", NULL, NULL,
     install_takes_itself_for_the_sender},
    {"signal.hook_twice", "runs a hook twice for one signal (mio#16)", "Signal.HookRunsForEachSending", "CHLD", NULL,
     install_runs_a_hook_twice},
    {"signal.half_value", "cuts the value of a queued signal to 16 bits", "Signal.QueueCarriesTheValue", NULL, NULL,
     install_cuts_the_value},
    {"signal.system_v", "sets a signal back to its default at the first", "Signal.HookRunsForEachSending", "WINCH",
     NULL, install_resets_like_system_v},
    {"signal.never_resets", "does not set a signal back to its default when it should", "Signal.ResetHookRunsOnce",
     NULL, NULL, install_never_resets},
    {"signal.every_child_stop", "tells of children that stop when it should not", "Signal.NoChildStopTellsOnlyOfTheEnd",
     NULL, NULL, install_tells_of_every_child},
    {"signal.no_child_stop", "never tells of a child that stops", "Signal.ChildThatStopsIsTold", NULL, NULL,
     install_never_tells_of_a_stop},
    {"signal.careless", "handles SEGV without being told that this is meant", "Signal.FaultSignalsNeedCare", NULL, NULL,
     install_takes_care_for_granted},
    {"signal.handles_kill", "says that it handles KILL", "Signal.KillAndStopCannotBeHandled", NULL, NULL,
     install_says_that_it_handles_kill},
    {"signal.watched_is_set", "says that it set what a watched signal does", "Signal.WatchedSignalIsBusy", NULL, NULL,
     install_says_that_it_set_a_watched_one},
    {"signal.ignores_ignoring", "does not ignore TSTP when it should", "Signal.IgnoredSignalDoesNothing", "TSTP", NULL,
     install_ignores_ignoring},
    {"signal.read_interrupted", "answers interrupted although the hook has restart (rust-ctrlc#16)",
     "Signal.RestartLetsAReadGoOn", NULL, NULL, install_answers_interrupted},
    {"signal.part_anew", "writes a part again when a signal interrupts it (boost process#70)",
     "Signal.SignalsLoseNoBytes", "write", NULL, install_begins_a_part_anew},
    {"signal.process_cut", "cuts the number of a process to 32 bits", "Signal.NumbersAreNotCut", NULL, NULL,
     install_cuts_the_process_number},
    {"signal.misses_nobody", "says that it sent a signal to a process that does not exist", "Signal.NoSuchProcess",
     NULL, NULL, install_misses_nobody},
    {"signal.standard_queued", "sends a standard signal that should be queued", "Signal.QueueRefusesStandardSignals",
     NULL, NULL, install_sends_what_cannot_queue},
    {"signal.group_gets_nothing", "asks whether a group exists and sends it nothing", "Signal.GroupGetsTheSignal", NULL,
     NULL, install_sends_a_group_nothing},
    {"signal.burst_lost", "loses the second of two signals that come at once (libevent#1158)",
     "Signal.WatcherGetsABurst", NULL, NULL, install_loses_the_second},
    {"signal.zero_waits", "waits half a second where it has no time", "Signal.WatcherTimesOut", NULL, NULL,
     install_waits_without_time},
    {"signal.nothing_is_interrupted", "answers interrupted where there is no signal", "Signal.WatcherSingleAttempt",
     NULL, NULL, install_has_no_class_for_no_signal},
    {"signal.next_not_woken", "does not end a waiting watcher.next at close", "Signal.CloseEndsAWaitingNext", NULL,
     NULL, install_goes_on_when_closed},
    {"signal.no_sender", "does not tell a watcher who sent a signal", "Signal.WatcherTellsTheSender", NULL, NULL,
     install_knows_no_sender},
    {"signal.taken_from_others", "takes a signal from the other watchers when one is closed",
     "Signal.ClosingOneWatcherLeavesTheOther", NULL, NULL, install_takes_the_signal_from_the_others},
    {"signal.watches_twice", "watches one signal twice", "Signal.WatchRefusesWhatIsNoSet", NULL, NULL,
     install_watches_one_twice},
    {"signal.inherited", "lets children have what it waits on", "Signal.WatcherIsNotInherited", NULL, NULL,
     install_lets_children_have_it},
    {"signal.gap", "leaves a gap between hook and watcher in which the default holds (interprocess c83d37f)",
     "Signal.NoGapBetweenHookAndWatcher", NULL, NULL, install_watches_with_a_gap},
    {0},
};
