// Watchers of signals: what they get, what they give back, and what they survive.
#include <poll.h>
#include <sys/wait.h>

#include <cstring>
#include <map>

#include "ref/tests/support.h"

#ifndef IPC_WITHOUT_SIGNALS

namespace ref_tests {
namespace {

constexpr size_t kRecordsOfAPipe = 65536 / 32;

int in_child(const std::function<int()> &body) {
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // what hangs is killed
    _exit(body());
  }
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

bool exited_with(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
bool killed_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

uint64_t own_pid() { return static_cast<uint64_t>(getpid()); }

std::atomic<int> hook_runs{0};
void count_hook(const ipc_signal_event *, void *) { hook_runs++; }

// A watcher that is freed at the end.
class Watcher {
 public:
  explicit Watcher(std::vector<int32_t> signals) {
    EXPECT_STATUS(IPC_OK, ipc_signal_watch(signals.data(), signals.size(), &watcher_));
  }
  ~Watcher() { free(); }
  Watcher(const Watcher &) = delete;
  Watcher &operator=(const Watcher &) = delete;
  void free() {
    EXPECT_STATUS(IPC_OK, ipc_watcher_free(watcher_));
    watcher_ = nullptr;
  }
  ipc_watcher *get() const { return watcher_; }
  ipc_status next(int64_t timeout_ms = 0) {
    event.size = sizeof event;
    return ipc_watcher_next(watcher_, timeout_ms, &event);
  }
  int fd() const {
    ipc_raw raw{};
    EXPECT_STATUS(IPC_OK, ipc_watcher_raw(watcher_, &raw));
    return static_cast<int>(raw.value);
  }
  ipc_signal_event event{};

 private:
  ipc_watcher *watcher_ = nullptr;
};

// What the system says of a signal, to be compared.
struct Disposition {
  explicit Disposition(int signal) { sigaction(signal, nullptr, &action); }
  bool operator==(const Disposition &other) const {
    if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) {  // flags mean nothing then
      return action.sa_handler == other.action.sa_handler;
    }
    bool same = action.sa_flags == other.action.sa_flags && action.sa_sigaction == other.action.sa_sigaction;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
      same = same && sigismember(&action.sa_mask, signal) == sigismember(&other.action.sa_mask, signal);
    }
    return same;
  }
  struct sigaction action = {};
};

// Each test ends with the dispositions it began with: by itself, nothing puts them back.
class WatcherTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    hook_runs = 0;
    for (int signal = 1; signal <= SIGRTMAX; signal++) before_.emplace_back(signal);
  }
  void TearDown() override {
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
      EXPECT_TRUE(before_[static_cast<size_t>(signal - 1)] == Disposition(signal)) << signal;
    }
    DescriptorTest::TearDown();
  }

 private:
  std::vector<Disposition> before_;
};

// -------------------------------------------------------------------------------------------- what it gets

TEST_F(WatcherTest, GetsEverySignalThatCanBeWatched) {
  for (int signal = 1; signal <= SIGRTMAX; signal++) {
    uint32_t traits = 0;
    if (ipc_signal_describe(signal, &traits).code != IPC_OK) continue;
    if ((traits & IPC_SIGNAL_CATCHABLE) == 0 || (traits & IPC_SIGNAL_FAULT) != 0) continue;
    Watcher watcher({signal});
    ASSERT_STATUS(IPC_OK, ipc_signal_send(signal, own_pid()));
    ASSERT_STATUS(IPC_OK, watcher.next()) << signal;
    EXPECT_EQ(signal, watcher.event.signal);
    EXPECT_EQ(static_cast<uint32_t>(IPC_SIGNAL_HAS_SENDER), watcher.event.fields);
    EXPECT_EQ(own_pid(), watcher.event.pid);
    EXPECT_EQ(getuid(), watcher.event.uid);
    EXPECT_EQ(SI_USER, watcher.event.code);
    EXPECT_STATUS(IPC_TIMED_OUT, watcher.next());
  }
}

TEST_F(WatcherTest, LowerSignalsFirstAndEqualOnesInTheirOrder) {
  NEEDS_THE_SYSTEMS_SIGNALS();
  const int lowest = SIGRTMIN;
  Watcher watcher({lowest, lowest + 1, lowest + 2, SIGTERM});
  sigset_t set, before;
  sigfillset(&set);
  pthread_sigmask(SIG_BLOCK, &set, &before);
  for (const int value : {1, -1, 7}) {
    for (const int signal : {lowest + 2, lowest, lowest + 1}) {
      ASSERT_STATUS(IPC_OK, ipc_signal_queue(signal, own_pid(), value));
    }
    ASSERT_STATUS(IPC_OK, ipc_signal_send(SIGTERM, own_pid()));
  }
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  ASSERT_STATUS(IPC_OK, watcher.next());
  EXPECT_EQ(SIGTERM, watcher.event.signal) << "three that waited are one";
  for (const int signal : {lowest, lowest + 1, lowest + 2}) {
    for (const int value : {1, -1, 7}) {
      ASSERT_STATUS(IPC_OK, watcher.next());
      EXPECT_EQ(signal, watcher.event.signal);
      EXPECT_EQ(value, watcher.event.value);
      EXPECT_EQ(static_cast<uint32_t>(IPC_SIGNAL_HAS_SENDER | IPC_SIGNAL_HAS_VALUE), watcher.event.fields);
    }
  }
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next());
}

TEST_F(WatcherTest, EachWatcherGetsIt) {
  Watcher both({SIGTERM, SIGHUP}), one({SIGTERM});
  raise(SIGTERM);
  raise(SIGHUP);
  EXPECT_STATUS(IPC_OK, one.next());
  EXPECT_STATUS(IPC_TIMED_OUT, one.next());
  EXPECT_STATUS(IPC_OK, both.next());
  EXPECT_EQ(SIGTERM, both.event.signal);
  EXPECT_STATUS(IPC_OK, both.next());
  EXPECT_EQ(SIGHUP, both.event.signal);
  both.free();
  raise(SIGTERM);
  EXPECT_STATUS(IPC_OK, one.next());
}

TEST_F(WatcherTest, EverySignalGoesToOneOfSeveralReaders) {
  NEEDS_THE_SYSTEMS_SIGNALS();
  constexpr int kSignals = 300, kReaders = 3;
  Watcher watcher({SIGRTMIN});
  std::atomic<int> taken[kSignals] = {};
  std::vector<std::unique_ptr<Worker>> readers;
  for (int i = 0; i < kReaders; i++) {
    readers.push_back(std::make_unique<Worker>([&] {
      ipc_signal_event event{};
      event.size = sizeof event;
      while (ipc_watcher_next(watcher.get(), IPC_NO_TIMEOUT, &event).code == IPC_OK) {
        if (event.value < 0) break;
        taken[event.value]++;
      }
    }));
  }
  for (int i = 0; i < kSignals; i++) ASSERT_STATUS(IPC_OK, ipc_signal_queue(SIGRTMIN, own_pid(), i));
  for (int i = 0; i < kReaders; i++) ASSERT_STATUS(IPC_OK, ipc_signal_queue(SIGRTMIN, own_pid(), -1));
  readers.clear();
  // A reader may have met its end before the last signals were handled, in another thread.
  while (watcher.next().code == IPC_OK) {
    if (watcher.event.value >= 0) taken[watcher.event.value]++;
  }
  for (const auto &count : taken) EXPECT_EQ(1, count);
}

TEST_F(WatcherTest, WhatDoesNotFitIsSaidOnce) {
  Watcher watcher({SIGUSR2});
  for (size_t i = 0; i < 2 * kRecordsOfAPipe; i++) raise(SIGUSR2);
  size_t taken = 0, told = 0;
  for (;;) {
    const ipc_status status = watcher.next();
    if (status.code == IPC_TIMED_OUT) break;
    ASSERT_TRUE(status.code == IPC_OK || status.code == IPC_OUT_OF_RESOURCES) << status.code;
    taken += status.code == IPC_OK ? 1 : 0;
    told += status.code == IPC_OUT_OF_RESOURCES ? 1 : 0;
  }
  EXPECT_EQ(1u, told);
  EXPECT_GE(taken, kRecordsOfAPipe / 16);
  EXPECT_LE(taken, kRecordsOfAPipe);
  raise(SIGUSR2);
  EXPECT_STATUS(IPC_OK, watcher.next());
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next());
}

TEST_F(WatcherTest, InterruptsNoSystemCall) {
  NEEDS_THE_SYSTEMS_SIGNALS();
  Watcher watcher({SIGUSR2});
  int ends[2];
  ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
  std::atomic<ssize_t> got{-2};
  Worker reader([&] {
    char byte;
    got = read(ends[0], &byte, 1);
  });
  ASSERT_TRUE(reader.wait_until_in(SYS_read));
  pthread_kill(reader.handle(), SIGUSR2);
  EXPECT_STATUS(IPC_OK, watcher.next(20000));
  ASSERT_EQ(1, write(ends[1], "x", 1));
  reader.join();
  EXPECT_EQ(1, got);
  close(ends[0]);
  close(ends[1]);
}

TEST_F(WatcherTest, ErrnoIsKept) {
  Watcher watcher({SIGUSR2});
  for (size_t i = 0; i < kRecordsOfAPipe + 10; i++) {
    errno = EXDEV;
    raise(SIGUSR2);
    ASSERT_EQ(EXDEV, errno) << i;
  }
}

// ----------------------------------------------------------------------------------------------- arguments

TEST_F(WatcherTest, WhatCannotBeWatched) {
  ipc_watcher *watcher = nullptr;
  const auto watch = [&](std::vector<int32_t> signals) {
    watcher = reinterpret_cast<ipc_watcher *>(1);
    const ipc_status status = ipc_signal_watch(signals.data(), signals.size(), &watcher);
    EXPECT_EQ(nullptr, watcher);
    return status;
  };
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, watch({}));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, watch({SIGTERM, SIGHUP, SIGTERM}));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, watch(std::vector<int32_t>(65, SIGTERM)));
  for (const int32_t signal : {0, -1, 32, 33, SIGRTMAX + 1, INT32_MAX, INT32_MIN}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, watch({SIGTERM, signal})) << signal;
  }
  EXPECT_STATUS(IPC_UNSUPPORTED, watch({SIGTERM, SIGKILL}));
  EXPECT_STATUS(IPC_UNSUPPORTED, watch({SIGSTOP}));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, watch({SIGKILL, 0}));
  for (const int32_t signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    EXPECT_STATUS(IPC_PERMISSION_DENIED, watch({SIGTERM, signal}));
  }
  const int32_t signal = SIGTERM;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_watch(nullptr, 1, &watcher));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_watch(&signal, 1, nullptr));
}

TEST_F(WatcherTest, SixtyFourSignalsAreTheMost) {
  std::vector<int32_t> signals;
  for (int signal = 1; signal <= SIGRTMAX; signal++) {
    uint32_t traits = 0;
    if (ipc_signal_describe(signal, &traits).code != IPC_OK) continue;
    if ((traits & IPC_SIGNAL_CATCHABLE) != 0 && (traits & IPC_SIGNAL_FAULT) == 0) signals.push_back(signal);
  }
  Watcher watcher(signals);
  raise(SIGRTMAX);
  EXPECT_STATUS(IPC_OK, watcher.next());
  EXPECT_EQ(SIGRTMAX, watcher.event.signal);
}

TEST_F(WatcherTest, WrongArgumentsOfTheOthers) {
  Watcher watcher({SIGTERM});
  ipc_raw raw{};
  ipc_signal_event event{};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_next(watcher.get(), 0, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_next(watcher.get(), 0, &event)) << "its size is 0";
  event.size = sizeof event - 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_next(watcher.get(), 0, &event));
  event.size = 5000;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_next(watcher.get(), 0, &event));
  event.size = sizeof event;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_next(watcher.get(), -2, &event));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_next(nullptr, 0, &event));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_raw(watcher.get(), nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_raw(nullptr, &raw));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_close(nullptr));
  EXPECT_STATUS(IPC_OK, ipc_watcher_free(nullptr));
#ifndef IPC_WITHOUT_NONBLOCKING
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_watcher_set_nonblocking(nullptr, true));
#endif
}

TEST_F(WatcherTest, ANewerProgramsEventIsZeroBeyondWhatIsKnown) {
  Watcher watcher({SIGTERM});
  struct {
    ipc_signal_event known;
    unsigned char more[16];
  } event;
  std::memset(&event, 0xee, sizeof event);
  event.known.size = sizeof event;
  raise(SIGTERM);
  EXPECT_STATUS(IPC_OK, ipc_watcher_next(watcher.get(), 0, &event.known));
  EXPECT_EQ(sizeof event, event.known.size);
  EXPECT_EQ(SIGTERM, event.known.signal);
  for (const unsigned char byte : event.more) EXPECT_EQ(0, byte);
}

// ------------------------------------------------------------------------------------------------ waiting

TEST_F(WatcherTest, WaitsUntilOneComes) {
  Watcher watcher({SIGTERM});
  std::atomic<int> code{-1};
  Worker waiting([&] { code = watcher.next(IPC_NO_TIMEOUT).code; });
  ASSERT_TRUE(waiting.wait_until_polling());
  ASSERT_STATUS(IPC_OK, ipc_signal_send(SIGTERM, own_pid()));
  waiting.join();
  EXPECT_EQ(IPC_OK, code);
}

TEST_F(WatcherTest, TimesOutNotBefore) {
  Watcher watcher({SIGTERM});
  const auto begun = Clock::now();
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next(30));
  EXPECT_GE(Clock::now() - begun, milliseconds(30));
}

TEST_F(WatcherTest, CloseCancelsWhoWaits) {
  for (int i = 0; i < 20; i++) {
    Watcher watcher({SIGTERM});
    std::atomic<int> code{-1};
    Worker waiting([&] { code = watcher.next(IPC_NO_TIMEOUT).code; });
    ASSERT_TRUE(waiting.wait_until_polling());
    EXPECT_STATUS(IPC_OK, ipc_watcher_close(watcher.get()));
    waiting.join();
    EXPECT_EQ(IPC_CANCELLED, code);
    EXPECT_STATUS(IPC_CLOSED, watcher.next());
    EXPECT_STATUS(IPC_CLOSED, ipc_watcher_close(watcher.get()));
    ipc_raw raw{};
    EXPECT_STATUS(IPC_CLOSED, ipc_watcher_raw(watcher.get(), &raw));
#ifndef IPC_WITHOUT_NONBLOCKING
    EXPECT_STATUS(IPC_CLOSED, ipc_watcher_set_nonblocking(watcher.get(), true));
#endif
  }
}

#ifndef IPC_WITHOUT_NONBLOCKING
TEST_F(WatcherTest, NonblockingDoesNotWait) {
  Watcher watcher({SIGTERM});
  EXPECT_STATUS(IPC_OK, ipc_watcher_set_nonblocking(watcher.get(), true));
  for (const int64_t timeout_ms : {IPC_NO_TIMEOUT, int64_t{0}, int64_t{1000}}) {
    EXPECT_STATUS(IPC_WOULD_BLOCK, watcher.next(timeout_ms));
  }
  raise(SIGTERM);
  EXPECT_STATUS(IPC_OK, watcher.next());
  EXPECT_STATUS(IPC_OK, ipc_watcher_set_nonblocking(watcher.get(), false));
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next());
}
#endif

TEST_F(WatcherTest, WhatItLendsIsReadableWhileASignalWaits) {
  Watcher watcher({SIGTERM});
  pollfd polled{watcher.fd(), POLLIN, 0};
  EXPECT_EQ(FD_CLOEXEC, fcntl(polled.fd, F_GETFD));
  EXPECT_EQ(0, poll(&polled, 1, 0));
  raise(SIGTERM);
  EXPECT_EQ(1, poll(&polled, 1, 0));
  EXPECT_STATUS(IPC_OK, watcher.next());
  EXPECT_EQ(0, poll(&polled, 1, 0));
}

// --------------------------------------------------------------------------------------- what it gives back

TEST_F(WatcherTest, ADispositionIsGivenBackExactly) {
  struct sigaction mine, original;
  std::memset(&mine, 0, sizeof mine);
  mine.sa_handler = [](int) { hook_runs++; };
  mine.sa_flags = SA_RESTART | SA_NODEFER;
  sigaddset(&mine.sa_mask, SIGHUP);
  sigaction(SIGUSR2, &mine, &original);
  const Disposition before(SIGUSR2);
  {
    Watcher first({SIGUSR2}), second({SIGUSR2});
    raise(SIGUSR2);
    first.free();
    raise(SIGUSR2);
    EXPECT_EQ(0, hook_runs);
  }
  EXPECT_TRUE(before == Disposition(SIGUSR2));
  raise(SIGUSR2);
  EXPECT_EQ(1, hook_runs);
  sigaction(SIGUSR2, &original, nullptr);
}

TEST_F(WatcherTest, AHookStepsBackMeanwhile) {
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_HOOK, 0, count_hook, nullptr));
  {
    Watcher watcher({SIGUSR2});
    raise(SIGUSR2);
    EXPECT_STATUS(IPC_OK, watcher.next());
    for (const uint32_t action : {IPC_SIGNAL_DEFAULT, IPC_SIGNAL_IGNORE, IPC_SIGNAL_HOOK}) {
      EXPECT_STATUS(IPC_BUSY, ipc_signal_set_handler(SIGUSR2, action, 0, count_hook, nullptr));
    }
    EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGHUP, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
  }
  EXPECT_EQ(0, hook_runs);
  raise(SIGUSR2);
  EXPECT_EQ(1, hook_runs);
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
}

TEST_F(WatcherTest, WhatTheProgramSetItselfMeanwhileStays) {
  {
    Watcher watcher({SIGUSR2});
    signal(SIGUSR2, SIG_IGN);
  }
  EXPECT_EQ(SIG_IGN, Disposition(SIGUSR2).action.sa_handler);
  {
    Watcher watcher({SIGUSR2});
    signal(SIGUSR2, SIG_DFL);
    Watcher second({SIGUSR2});  // routes it again
    raise(SIGUSR2);
    EXPECT_STATUS(IPC_OK, watcher.next());
    EXPECT_STATUS(IPC_OK, second.next());
  }
  EXPECT_EQ(SIG_IGN, Disposition(SIGUSR2).action.sa_handler);
  signal(SIGUSR2, SIG_DFL);
}

TEST_F(WatcherTest, WithoutDescriptorsNothingChanges) {
  for (const int spare : {0, 1}) {
    const Disposition before(SIGUSR2);
    DescriptorLimit limit(spare);
    const int32_t signal = SIGUSR2;
    ipc_watcher *watcher = nullptr;
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, ipc_signal_watch(&signal, 1, &watcher));
    EXPECT_EQ(nullptr, watcher);
    EXPECT_TRUE(before == Disposition(SIGUSR2));
  }
  Watcher watcher({SIGUSR2});
  DescriptorLimit limit(0);  // none for a wake: waiting goes on without
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next(30));
  raise(SIGUSR2);
  EXPECT_STATUS(IPC_OK, watcher.next(30));
}

// --------------------------------------------------------------------------------------------------- forks

TEST_F(WatcherTest, AChildsSignalsDoWhatTheyDidBefore) {
  signal(SIGHUP, SIG_IGN);
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_HOOK, 0, count_hook, nullptr));
  {
    Watcher watcher({SIGTERM, SIGHUP, SIGUSR2});
    EXPECT_TRUE(killed_by(in_child([] { return raise(SIGTERM); }), SIGTERM));
    EXPECT_TRUE(exited_with(in_child([] { return raise(SIGHUP) == 0 && raise(SIGHUP) == 0 ? 7 : 8; }), 7));
    EXPECT_TRUE(
        exited_with(in_child([] { return raise(SIGUSR2) == 0 && raise(SIGUSR2) == 0 ? hook_runs.load() : 8; }), 2));
    EXPECT_STATUS(IPC_TIMED_OUT, watcher.next()) << "a child's signals are not the parent's";
    raise(SIGTERM);
    EXPECT_STATUS(IPC_OK, watcher.next());
  }
  signal(SIGHUP, SIG_DFL);
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
}

TEST_F(WatcherTest, AChildCanFreeWhatItInherited) {
  Watcher watcher({SIGTERM});
  EXPECT_TRUE(killed_by(in_child([&] {
                          if (ipc_watcher_free(watcher.get()).code != IPC_OK) return 100;
                          if (Disposition(SIGTERM).action.sa_handler != SIG_DFL) return 101;
                          return raise(SIGTERM);
                        }),
                        SIGTERM));
  raise(SIGTERM);
  EXPECT_STATUS(IPC_OK, watcher.next());
}

TEST_F(WatcherTest, AChildCanHaveWatchersOfItsOwn) {
  Watcher watcher({SIGTERM});
  EXPECT_TRUE(exited_with(in_child([&] {
                            Watcher own({SIGTERM});
                            raise(SIGTERM);
                            if (own.next().code != IPC_OK || own.next().code != IPC_TIMED_OUT) return 100;
                            return ipc_watcher_free(watcher.get()).code == IPC_OK ? 9 : 101;
                          }),
                          9));
  EXPECT_STATUS(IPC_TIMED_OUT, watcher.next());
}

TEST_F(WatcherTest, AChildMadeAmidAStormCanFree) {
  Watcher watcher({SIGUSR2});
  std::atomic<bool> stop{false};
  std::vector<std::thread> storm;
  for (int i = 0; i < 2; i++) {
    storm.emplace_back([&] {
      while (!stop) pthread_kill(pthread_self(), SIGUSR2);
    });
  }
  for (int i = 0; i < 50; i++) {
    const int status = in_child([&] {
      signal(SIGUSR2, SIG_IGN);
      return ipc_watcher_free(watcher.get()).code == IPC_OK ? 0 : 100;
    });
    ASSERT_TRUE(exited_with(status, 0)) << status;
  }
  stop = true;
  for (auto &thread : storm) thread.join();
}

// --------------------------------------------------------------------------------------------------- storms

// Signals come without end in two threads while watchers come and go. A handler that wrote to a descriptor after it was
// closed would write to the pipe that gets its number.
TEST_F(WatcherTest, ClosesDuringAStormTouchNothing) {
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_HOOK, 0, count_hook, nullptr));
  std::atomic<bool> stop{false};
  std::vector<std::thread> storm;
  for (int i = 0; i < 2; i++) {
    storm.emplace_back([&] {
      while (!stop) pthread_kill(pthread_self(), SIGUSR2);
    });
  }
  for (int round = 0; round < 100; round++) {
    {
      Watcher first({SIGUSR2}), second({SIGUSR2, SIGHUP});
      const int32_t code = second.next(20000).code;
      EXPECT_TRUE(code == IPC_OK || code == IPC_OUT_OF_RESOURCES) << code;
      first.free();
      second.free();
    }
    int ends[2][2];
    for (auto &pipe_ends : ends) EXPECT_EQ(0, pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK));
    sched_yield();
    for (auto &pipe_ends : ends) {
      char byte;
      EXPECT_EQ(-1, read(pipe_ends[0], &byte, 1)) << "somebody wrote to a descriptor that is not theirs";
      close(pipe_ends[0]);
      close(pipe_ends[1]);
    }
  }
  stop = true;
  for (auto &thread : storm) thread.join();
  EXPECT_GT(hook_runs, 0) << "between watchers the hook has it";
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
}

TEST_F(WatcherTest, WatchersOfManyThreadsAtOnce) {
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_IGNORE, 0, nullptr, nullptr));
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int round = 0; round < 100; round++) {
        const int32_t signals[] = {SIGUSR2, SIGRTMIN + 5};
        ipc_watcher *watcher = nullptr;
        ipc_signal_event event{};
        event.size = sizeof event;
        if (ipc_signal_watch(signals, 2, &watcher).code != IPC_OK) wrong++;
        pthread_kill(pthread_self(), SIGUSR2);
        if (ipc_watcher_next(watcher, 20000, &event).code != IPC_OK || event.signal != SIGUSR2) wrong++;
        ipc_watcher_free(watcher);
      }
    });
  }
  for (auto &thread : threads) thread.join();
  EXPECT_EQ(0, wrong);
  EXPECT_EQ(SIG_IGN, Disposition(SIGUSR2).action.sa_handler);
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
}

// write(2) is where a thread that is being cancelled ends. Inside a handler that would leave its slot entered for ever.
TEST_F(WatcherTest, AThreadThatIsBeingCancelledLeavesTheHandler) {
  Watcher watcher({SIGUSR2});
  static std::atomic<bool> going, stop;
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  going = stop = false;
  pthread_t thread;
  ASSERT_EQ(0, pthread_create(
                   &thread, nullptr,
                   [](void *) -> void * {
                     going = true;
                     while (!stop) {  // nothing in here is a cancellation point
                       pthread_mutex_lock(&mutex);
                       pthread_mutex_unlock(&mutex);
                     }
                     pthread_testcancel();
                     return nullptr;
                   },
                   nullptr));
  while (!going) sched_yield();
  pthread_cancel(thread);
  pthread_kill(thread, SIGUSR2);
  EXPECT_STATUS(IPC_OK, watcher.next(20000));
  watcher.free();
  stop = true;
  void *result = nullptr;
  pthread_join(thread, &result);
  EXPECT_EQ(PTHREAD_CANCELED, result);
}

}  // namespace
}  // namespace ref_tests

#endif  // IPC_WITHOUT_SIGNALS
