// Signals: names, hooks with each of their flags, sending, and the table of hooks under concurrency.
#include <grp.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cstring>
#include <map>

#include "ref/tests/support.h"

#ifndef IPC_WITHOUT_SIGNALS

namespace ref_tests {
namespace {

constexpr int32_t kReserved[] = {32, 33};  // the C library's own

ipc_status number_of(const std::string &name, int32_t *out) { return ipc_signal_number(name.data(), name.size(), out); }

// Runs |body| in a child and returns its wait status.
int in_child(const std::function<int()> &body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

bool exited_with(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
bool killed_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

// What a hook has seen. Handlers and the test share it.
struct Seen {
  std::atomic<int> runs{0}, depth{0}, deepest{0}, signal{0}, value{0}, code{0}, wrong{0};
  std::atomic<uint32_t> fields{0}, uid{0}, size{0};
  std::atomic<uint64_t> pid{0};
  std::atomic<int> again{0};  // how often the hook sends itself its signal
};

void record(const ipc_signal_event *event, void *context) {
  auto *seen = static_cast<Seen *>(context);
  const int depth = ++seen->depth;
  if (depth > seen->deepest) seen->deepest = depth;
  seen->signal = event->signal;
  seen->fields = event->fields;
  seen->size = event->size;
  seen->pid = event->pid;
  seen->uid = event->uid;
  seen->value = event->value;
  seen->code = event->code;
  if (seen->again > 0) {
    seen->again--;
    if (ipc_signal_send(event->signal, static_cast<uint64_t>(getpid())).code != IPC_OK) seen->wrong++;
  }
  errno = ENOTTY;
  seen->depth--;
  seen->runs++;
}

// Each test ends with the dispositions it began with.
class SignalTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
      struct sigaction now;
      if (sigaction(signal, nullptr, &now) == 0) saved_[signal] = now;
    }
    sigprocmask(SIG_SETMASK, nullptr, &mask_);
  }
  void TearDown() override {
    for (const auto &entry : saved_) sigaction(entry.first, &entry.second, nullptr);
    sigprocmask(SIG_SETMASK, &mask_, nullptr);
    EXPECT_EQ(0, seen_.wrong);
    DescriptorTest::TearDown();
  }
  ipc_status hook(int signal, uint32_t flags = 0) {
    return ipc_signal_set_handler(signal, IPC_SIGNAL_HOOK, flags, record, &seen_);
  }
  static struct sigaction disposition(int signal) {
    struct sigaction now;
    EXPECT_EQ(0, sigaction(signal, nullptr, &now));
    return now;
  }

  Seen seen_;
  const uint64_t self_ = static_cast<uint64_t>(getpid());

 private:
  std::map<int, struct sigaction> saved_;
  sigset_t mask_;
};

// ------------------------------------------------------------------------------------------------ names

TEST_F(SignalTest, EverySignalHasANameThatLeadsBack) {
  std::set<std::string> names;
  for (int signal = 1; signal <= SIGRTMAX; signal++) {
    if (signal == kReserved[0] || signal == kReserved[1]) continue;
    char name[16];
    size_t len = 0;
    ASSERT_STATUS(IPC_OK, ipc_signal_name(signal, name, sizeof name, &len)) << signal;
    const std::string text(name, len);
    EXPECT_TRUE(names.insert(text).second) << text;
    int32_t number = 0;
    ASSERT_STATUS(IPC_OK, number_of(text, &number)) << text;
    EXPECT_EQ(signal, number);
    uint32_t traits = 0;
    ASSERT_STATUS(IPC_OK, ipc_signal_describe(signal, &traits));
    EXPECT_EQ(signal != SIGKILL && signal != SIGSTOP, (traits & IPC_SIGNAL_CATCHABLE) != 0);
    EXPECT_EQ(signal >= SIGRTMIN, (traits & IPC_SIGNAL_QUEUED) != 0);
  }
  EXPECT_EQ(1u, names.count("RT0"));
  EXPECT_EQ(1u, names.count("RT" + std::to_string(SIGRTMAX - SIGRTMIN)));
}

TEST_F(SignalTest, NamesThatArePosixOrCommon) {
  const std::map<std::string, int> expected = {
      {"INT", SIGINT},   {"TERM", SIGTERM}, {"CHLD", SIGCHLD},     {"CLD", SIGCHLD},       {"ABRT", SIGABRT},
      {"IOT", SIGABRT},  {"POLL", SIGPOLL}, {"IO", SIGIO},         {"SYS", SIGSYS},        {"PWR", SIGPWR},
      {"RT0", SIGRTMIN}, {"WINCH", 28},     {"RT9", SIGRTMIN + 9}, {"RT10", SIGRTMIN + 10}};
  for (const auto &entry : expected) {
    int32_t number = 0;
    EXPECT_STATUS(IPC_OK, number_of(entry.first, &number)) << entry.first;
    EXPECT_EQ(entry.second, number) << entry.first;
  }
}

TEST_F(SignalTest, WhatIsNoNameOrNumber) {
  int32_t number = -7;
  for (const std::string name :
       {"", "int", "SIGINT", "INTX", "IN", "RT", "RT00", "RT01", "RT-1", "RT31", "RT300", "RT1x", "RTx", "RT 1"}) {
    EXPECT_STATUS(IPC_NOT_FOUND, number_of(name, &number)) << name;
  }
  EXPECT_STATUS(IPC_NOT_FOUND, number_of(std::string("INT\0", 4), &number));
  EXPECT_EQ(-7, number);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_number(nullptr, 0, &number));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_number("INT", 3, nullptr));
  for (const int32_t signal : {0, -1, 32, 33, SIGRTMAX + 1, 127, 128, 4096, INT32_MAX, INT32_MIN}) {
    char name[16];
    size_t len = 9;
    uint32_t traits = 0;
    EXPECT_STATUS(IPC_NOT_FOUND, ipc_signal_name(signal, name, sizeof name, &len)) << signal;
    EXPECT_EQ(0u, len);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_describe(signal, &traits)) << signal;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, hook(signal)) << signal;
    if (signal != 0) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_send(signal, self_)) << signal;
    }
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_queue(signal, self_, 1)) << signal;
  }
}

TEST_F(SignalTest, ANameThatDoesNotFitIsNotCut) {
  char name[4] = {'x', 'x', 'x', 'x'};
  size_t len = 0;
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, ipc_signal_name(SIGTERM, name, 3, &len));
  EXPECT_EQ(4u, len);
  EXPECT_EQ(0, std::memcmp(name, "xxxx", 4));
  EXPECT_STATUS(IPC_OK, ipc_signal_name(SIGTERM, name, 4, &len));
  EXPECT_EQ("TERM", std::string(name, len));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_name(SIGTERM, nullptr, 4, &len));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_name(SIGTERM, name, 4, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_describe(SIGTERM, nullptr));
}

// ------------------------------------------------------------------------------------------------ hooks

TEST_F(SignalTest, AHookRunsBeforeSendReturnsAndKeepsErrno) {
  ASSERT_STATUS(IPC_OK, hook(SIGUSR2));
  errno = EXDEV;
  EXPECT_STATUS(IPC_OK, ipc_signal_send(SIGUSR2, self_));
  EXPECT_EQ(EXDEV, errno);
  EXPECT_EQ(1, seen_.runs);
  EXPECT_EQ(SIGUSR2, seen_.signal);
  EXPECT_EQ(sizeof(ipc_signal_event), seen_.size);
  EXPECT_EQ(static_cast<uint32_t>(IPC_SIGNAL_HAS_SENDER), seen_.fields);
  EXPECT_EQ(self_, seen_.pid);
  EXPECT_EQ(getuid(), seen_.uid);
  EXPECT_EQ(SI_USER, seen_.code);
}

TEST_F(SignalTest, AHookRunsBeforeRaiseReturnsInTheSameThread) {
  const uint64_t self = static_cast<uint64_t>(getpid());
  ASSERT_EQ(IPC_OK, ipc_signal_set_handler(SIGUSR1, IPC_SIGNAL_HOOK, 0, record, &seen_).code);
  for (int i = 1; i <= 3; i++) {
    ASSERT_EQ(IPC_OK, ipc_signal_raise(SIGUSR1).code);
    EXPECT_EQ(i, seen_.runs);
  }
  EXPECT_EQ(SIGUSR1, seen_.signal);
  EXPECT_EQ(self, seen_.pid);
  for (const int32_t none : {0, -1, 65536}) EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_signal_raise(none).code) << none;
}

TEST_F(SignalTest, AHookOfATimerHasNoSender) {
  ASSERT_STATUS(IPC_OK, hook(SIGALRM));
  const itimerval often = {{0, 1000}, {0, 1000}}, never = {};
  setitimer(ITIMER_REAL, &often, nullptr);
  while (seen_.runs == 0) pause();
  setitimer(ITIMER_REAL, &never, nullptr);
  EXPECT_EQ(0u, seen_.fields);
  EXPECT_EQ(0u, seen_.pid);
}

TEST_F(SignalTest, FlagsAreTheSystems) {
  const struct {
    uint32_t flag;
    int system;
  } flags[] = {{0, 0},
               {IPC_SIGNAL_RESTART, SA_RESTART},
               {IPC_SIGNAL_RESET, static_cast<int>(SA_RESETHAND)},
               {IPC_SIGNAL_NESTED, SA_NODEFER},
               {IPC_SIGNAL_NO_CHILD_STOP, SA_NOCLDSTOP},
               {IPC_SIGNAL_UNSAFE, 0}};
  const int known = SA_RESTART | static_cast<int>(SA_RESETHAND) | SA_NODEFER | SA_NOCLDSTOP | SA_NOCLDWAIT;
  for (const auto &entry : flags) {
    ASSERT_STATUS(IPC_OK, hook(SIGCHLD, entry.flag));
    EXPECT_EQ(entry.system, disposition(SIGCHLD).sa_flags & known) << entry.flag;
    const sigset_t mask = disposition(SIGCHLD).sa_mask;
    for (int signal = 1; signal <= SIGRTMAX; signal++) EXPECT_EQ(0, sigismember(&mask, signal));
  }
  ASSERT_STATUS(IPC_OK,
                ipc_signal_set_handler(SIGCHLD, IPC_SIGNAL_DEFAULT, IPC_SIGNAL_NO_CHILD_STOP, nullptr, nullptr));
  EXPECT_EQ(SIG_DFL, disposition(SIGCHLD).sa_handler);
  EXPECT_EQ(SA_NOCLDSTOP, disposition(SIGCHLD).sa_flags & known);
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGCHLD, IPC_SIGNAL_IGNORE, 0, nullptr, nullptr));
  EXPECT_EQ(SIG_IGN, disposition(SIGCHLD).sa_handler);
}

TEST_F(SignalTest, WhatIsRefusedChangesNothing) {
  ASSERT_STATUS(IPC_OK, hook(SIGUSR2, IPC_SIGNAL_RESTART));
  const auto set = [&](int signal, uint32_t action, uint32_t flags, ipc_signal_hook what) {
    return ipc_signal_set_handler(signal, action, flags, what, nullptr);
  };
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, set(SIGUSR2, 0, 0, record));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, set(SIGUSR2, 4, 0, record));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, set(SIGUSR2, IPC_SIGNAL_HOOK, 32, record));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, set(SIGUSR2, IPC_SIGNAL_HOOK, 0, nullptr));
  for (const uint32_t action : {IPC_SIGNAL_DEFAULT, IPC_SIGNAL_IGNORE, IPC_SIGNAL_HOOK}) {
    EXPECT_STATUS(IPC_UNSUPPORTED, set(SIGKILL, action, 0, record));
    EXPECT_STATUS(IPC_UNSUPPORTED, set(SIGSTOP, action, 0, record));
  }
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
    EXPECT_STATUS(IPC_PERMISSION_DENIED, set(signal, IPC_SIGNAL_HOOK, 0, record));
  }
  EXPECT_STATUS(IPC_OK, ipc_signal_send(SIGUSR2, self_));
  EXPECT_EQ(1, seen_.runs);
  EXPECT_EQ(SA_RESTART, disposition(SIGUSR2).sa_flags & SA_RESTART);
}

TEST_F(SignalTest, AHookForAFaultThatIsMeant) {
  ASSERT_STATUS(IPC_OK, hook(SIGFPE, IPC_SIGNAL_UNSAFE));
  EXPECT_STATUS(IPC_OK, ipc_signal_send(SIGFPE, self_));
  EXPECT_EQ(1, seen_.runs);
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGFPE, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
}

TEST_F(SignalTest, NestedLetsAHookInterruptItself) {
  NEEDS_THE_SYSTEMS_SIGNALS();
  ASSERT_STATUS(IPC_OK, hook(SIGUSR2));
  seen_.again = 1;
  EXPECT_STATUS(IPC_OK, ipc_signal_send(SIGUSR2, self_));
  EXPECT_EQ(2, seen_.runs);
  EXPECT_EQ(1, seen_.deepest);
  ASSERT_STATUS(IPC_OK, hook(SIGUSR2, IPC_SIGNAL_NESTED));
  seen_.again = 3;
  EXPECT_STATUS(IPC_OK, ipc_signal_send(SIGUSR2, self_));
  EXPECT_EQ(6, seen_.runs);
  EXPECT_EQ(4, seen_.deepest);
}

TEST_F(SignalTest, ResetRunsOnceAndThenTheDefault) {
  ASSERT_STATUS(IPC_OK, hook(SIGUSR2, IPC_SIGNAL_RESET));
  EXPECT_STATUS(IPC_OK, ipc_signal_send(SIGUSR2, self_));
  EXPECT_EQ(1, seen_.runs);
  EXPECT_EQ(SIG_DFL, disposition(SIGUSR2).sa_handler);
  const int status = in_child([&] { return ipc_signal_send(SIGUSR2, static_cast<uint64_t>(getpid())).code; });
  EXPECT_TRUE(killed_by(status, SIGUSR2)) << status;
}

// A read(2) of the test's own, interrupted.
int interrupted_read(pthread_t *out_thread, std::function<void(pthread_t)> interrupt) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return -1;
  std::atomic<int> error{0};
  {
    Worker reader([&] {
      char byte;
      const ssize_t n = read(ends[0], &byte, 1);
      error = n < 0 ? errno : 0;
    });
    EXPECT_TRUE(reader.wait_until_in(SYS_read));
    *out_thread = reader.handle();
    interrupt(reader.handle());
    // An interrupted read has ended; one that goes on is let go.
    EXPECT_EQ(1, write(ends[1], "x", 1));
  }
  close(ends[0]);
  close(ends[1]);
  return error;
}

TEST_F(SignalTest, RestartIsAboutSystemCalls) {
  NEEDS_THE_SYSTEMS_SIGNALS();
  pthread_t thread;
  for (const uint32_t flags : {0u, static_cast<uint32_t>(IPC_SIGNAL_RESTART)}) {
    ASSERT_STATUS(IPC_OK, hook(SIGUSR2, flags));
    const int before = seen_.runs;
    const int error = interrupted_read(&thread, [&](pthread_t reader) {
      pthread_kill(reader, SIGUSR2);
      while (seen_.runs == before) sched_yield();
    });
    // Without the flag the read may find the byte of the test first: only the other way round is sure.
    if (flags != 0) {
      EXPECT_EQ(0, error);
    } else {
      EXPECT_TRUE(error == EINTR || error == 0) << error;
    }
  }
}

// ThreadSanitizer delivers a signal a little later than the system does.
TEST_F(SignalTest, ChildrenThatStopAreToldOrNot) {
  const auto has_run = [this](int times) {
    for (const auto end = Clock::now() + kDeadline; seen_.runs < times && Clock::now() < end;) sched_yield();
    return seen_.runs == times;
  };
  for (const uint32_t flags : {0u, static_cast<uint32_t>(IPC_SIGNAL_NO_CHILD_STOP)}) {
    seen_.runs = 0;
    ASSERT_STATUS(IPC_OK, hook(SIGCHLD, flags | IPC_SIGNAL_RESTART));
    const pid_t child = fork();
    if (child == 0) {
      for (;;) pause();
    }
    const uint64_t pid = static_cast<uint64_t>(child);
    ASSERT_STATUS(IPC_OK, ipc_signal_send(SIGSTOP, pid));
    int status = 0;
    ASSERT_EQ(child, waitpid(child, &status, WUNTRACED));
    ASSERT_TRUE(WIFSTOPPED(status));
    EXPECT_TRUE(has_run(flags == 0 ? 1 : 0));
    ASSERT_STATUS(IPC_OK, ipc_signal_send(SIGKILL, pid));
    ASSERT_EQ(child, waitpid(child, &status, 0));
    EXPECT_TRUE(killed_by(status, SIGKILL));
    EXPECT_TRUE(has_run(flags == 0 ? 2 : 1));
    EXPECT_EQ(pid, seen_.pid) << "it names the child";
    EXPECT_STATUS(IPC_NO_SUCH_PROCESS, ipc_signal_send(0, pid));
  }
}

// ---------------------------------------------------------------------------------------------- sending

TEST_F(SignalTest, TargetsThatAreNone) {
  for (const uint64_t pid :
       {uint64_t{0}, uint64_t{INT32_MAX} + 1, uint64_t{UINT32_MAX}, (uint64_t{1} << 32) + self_, UINT64_MAX}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_send(0, pid)) << pid;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_send_group(0, pid)) << pid;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_queue(SIGRTMIN, pid, 0)) << pid;
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_send_group(0, 1));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_queue(SIGTERM, self_, 0));
  EXPECT_STATUS(IPC_NO_SUCH_PROCESS, ipc_signal_send(0, INT32_MAX));
  EXPECT_STATUS(IPC_NO_SUCH_PROCESS, ipc_signal_send_group(0, INT32_MAX));
  EXPECT_STATUS(IPC_NO_SUCH_PROCESS, ipc_signal_queue(SIGRTMIN, INT32_MAX, 0));
  EXPECT_STATUS(IPC_OK, ipc_signal_send(0, self_));
}

TEST_F(SignalTest, AnotherUsersProcessIsDenied) {
  const uint64_t parent = self_;
  const int status = in_child([&] {
    if (setgroups(0, nullptr) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 100;
    if (ipc_signal_send(SIGTERM, parent).code != IPC_PERMISSION_DENIED) return 101;
    return ipc_signal_queue(SIGRTMIN, parent, 1).code;
  });
  if (exited_with(status, 100)) GTEST_SKIP() << "only root, outside a user namespace, can become somebody else";
  EXPECT_TRUE(exited_with(status, IPC_PERMISSION_DENIED)) << status;
}

TEST_F(SignalTest, AGroupIsReached) {
  const pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    for (;;) pause();
  }
  setpgid(child, child);
  ASSERT_STATUS(IPC_OK, hook(SIGTERM));
  EXPECT_STATUS(IPC_OK, ipc_signal_send_group(SIGTERM, static_cast<uint64_t>(child)));
  int status = 0;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  EXPECT_TRUE(killed_by(status, SIGTERM));
  EXPECT_EQ(0, seen_.runs);
  EXPECT_STATUS(IPC_NO_SUCH_PROCESS, ipc_signal_send_group(0, static_cast<uint64_t>(child)));
}

std::vector<int> queued_values;  // only one thread is involved

TEST_F(SignalTest, QueuedSignalsComeInTheirOrderWithTheirValues) {
  NEEDS_THE_SYSTEMS_SIGNALS();
  queued_values.clear();
  queued_values.reserve(100);
  const auto append = [](const ipc_signal_event *event, void *) { queued_values.push_back(event->value); };
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGRTMIN + 3, IPC_SIGNAL_HOOK, 0, append, nullptr));
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGRTMIN + 3);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::vector<int> expected;
  for (int i = 0; i < 50; i++) {
    expected.push_back(i % 2 == 0 ? i : -i);
    ASSERT_STATUS(IPC_OK, ipc_signal_queue(SIGRTMIN + 3, self_, expected.back()));
  }
  EXPECT_TRUE(queued_values.empty());
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  EXPECT_EQ(expected, queued_values);
}

TEST_F(SignalTest, AFullQueueIsOutOfResources) {
  const int status = in_child([] {
    const rlimit few{4, 4};
    sigset_t set;
    sigfillset(&set);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    // The limit counts what all processes of the user have pending: from some number on nothing fits.
    if (setrlimit(RLIMIT_SIGPENDING, &few) != 0) return 100;
    for (int i = 0; i < 6; i++) {
      const ipc_status queued = ipc_signal_queue(SIGRTMIN, static_cast<uint64_t>(getpid()), i);
      if (queued.code != IPC_OK) return queued.code;
    }
    return 101;
  });
  EXPECT_TRUE(exited_with(status, IPC_OUT_OF_RESOURCES)) << status;
}

// ------------------------------------------------------------------------------------------ concurrency

// Hooks that know their own context.
std::atomic<int> mixed{0};
int one_context, other_context;
void one_hook(const ipc_signal_event *, void *context) { mixed += context == &one_context ? 0 : 1; }
void other_hook(const ipc_signal_event *, void *context) { mixed += context == &other_context ? 0 : 1; }

TEST_F(SignalTest, AHookAndItsContextStayTogether) {
  mixed = 0;
  ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_HOOK, 0, one_hook, &one_context));
  std::atomic<bool> stop{false};
  std::vector<std::thread> senders;
  for (int i = 0; i < 3; i++) {
    senders.emplace_back([&] {
      while (!stop) pthread_kill(pthread_self(), SIGUSR2);
    });
  }
  for (int i = 0; i < 5000; i++) {
    const bool one = i % 2 == 0;
    ASSERT_STATUS(IPC_OK, ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_HOOK, i % 4 == 0 ? IPC_SIGNAL_NESTED : 0,
                                                 one ? one_hook : other_hook, one ? &one_context : &other_context));
  }
  stop = true;
  for (auto &sender : senders) sender.join();
  EXPECT_EQ(0, mixed);
}

TEST_F(SignalTest, AChildCanSetHandlersWhateverOtherThreadsDid) {
  std::atomic<bool> stop{false};
  std::thread setter([&] {
    while (!stop) ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_IGNORE, 0, nullptr, nullptr);
  });
  for (int i = 0; i < 50; i++) {
    const int status = in_child([] {
      alarm(20);  // a lock that nobody opens would keep it for ever
      return ipc_signal_set_handler(SIGUSR2, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr).code;
    });
    ASSERT_TRUE(exited_with(status, IPC_OK)) << status;
  }
  stop = true;
  setter.join();
}

}  // namespace
}  // namespace ref_tests

#endif  // IPC_WITHOUT_SIGNALS
