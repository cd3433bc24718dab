// Signals on Windows: those of the C run-time library.
#include <csignal>

#include "ref/tests/windows_support.h"

namespace {

using namespace ref_tests;

struct Seen {
  std::atomic<int> num{0};
  std::atomic<int> signal{0};
  std::atomic<int> depth{0}, depth_max{0};
  int raise_times = 0;  // by the hook, at its first run
};

void hook(const ipc_signal_event *event, void *context) {
  Seen *seen = static_cast<Seen *>(context);
  seen->signal = event->signal;
  const int depth = ++seen->depth;
  if (depth > seen->depth_max) seen->depth_max = depth;
  if (seen->num++ == 0) {
    for (int i = 0; i < seen->raise_times; i++) (void)ipc_signal_raise(event->signal);
  }
  seen->depth--;
}

int32_t number(const std::string &name) {
  int32_t signal = 0;
  EXPECT_STATUS(IPC_OK, ipc_signal_number(name.data(), name.size(), &signal));
  return signal;
}

class WindowsSignalTest : public ::testing::Test {
 protected:
  void TearDown() override { std::signal(SIGTERM, SIG_DFL); }
  ipc_status set(uint32_t action, uint32_t flags = 0) {
    return ipc_signal_set_handler(SIGTERM, action, flags, hook, &seen_);
  }
  Seen seen_;
};

TEST_F(WindowsSignalTest, HasTheSignalsOfTheRunTimeLibrary) {
  const std::vector<std::pair<std::string, int>> known = {{"ABRT", SIGABRT},  {"FPE", SIGFPE},   {"ILL", SIGILL},
                                                          {"INT", SIGINT},    {"SEGV", SIGSEGV}, {"TERM", SIGTERM},
                                                          {"BREAK", SIGBREAK}};
  for (const auto &[name, signal] : known) {
    EXPECT_EQ(signal, number(name)) << name;
    char out[8];
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_signal_name(signal, out, sizeof out, &len));
    EXPECT_EQ(name, std::string(out, len));
    EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, ipc_signal_name(signal, out, name.size() - 1, &len));
    EXPECT_EQ(name.size(), len);
    uint32_t traits = 0;
    EXPECT_STATUS(IPC_OK, ipc_signal_describe(signal, &traits));
    const bool fault = name == "FPE" || name == "ILL" || name == "SEGV";
    EXPECT_EQ(static_cast<uint32_t>(IPC_SIGNAL_CATCHABLE | (fault ? IPC_SIGNAL_FAULT : 0)), traits) << name;
  }
  int32_t signal;
  for (const std::string name : {"KILL", "CHLD", "TERMS", "TER", "", "RT0", "SIGTERM"}) {
    EXPECT_STATUS(IPC_NOT_FOUND, ipc_signal_number(name.data(), name.size(), &signal)) << name;
  }
  char out[8];
  size_t len;
  uint32_t traits;
  for (const int none : {-1, 0, 1, 9, 17, 23, 99999}) {
    EXPECT_STATUS(IPC_NOT_FOUND, ipc_signal_name(none, out, sizeof out, &len)) << none;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_describe(none, &traits)) << none;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_set_handler(none, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_raise(none));
  }
}

TEST_F(WindowsSignalTest, AHookStaysSet) {
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_HOOK, IPC_SIGNAL_RESTART));
  for (int i = 1; i <= 5; i++) {
    EXPECT_STATUS(IPC_OK, ipc_signal_raise(SIGTERM));
    EXPECT_EQ(i, seen_.num);
  }
  EXPECT_EQ(SIGTERM, seen_.signal);
}

TEST_F(WindowsSignalTest, ResetLeavesTheDefault) {
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_HOOK, IPC_SIGNAL_RESET));
  EXPECT_STATUS(IPC_OK, ipc_signal_raise(SIGTERM));
  EXPECT_EQ(1, seen_.num);
  EXPECT_EQ(SIG_DFL, std::signal(SIGTERM, SIG_IGN));
}

TEST_F(WindowsSignalTest, IgnoredAndDefault) {
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_HOOK));
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_IGNORE));
  EXPECT_STATUS(IPC_OK, ipc_signal_raise(SIGTERM));
  EXPECT_EQ(0, seen_.num);
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_DEFAULT));
  EXPECT_EQ(SIG_DFL, std::signal(SIGTERM, SIG_IGN));
}

TEST_F(WindowsSignalTest, AHookIsNotInterruptedByItsOwnSignal) {
  seen_.raise_times = 3;
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_HOOK));
  EXPECT_STATUS(IPC_OK, ipc_signal_raise(SIGTERM));
  EXPECT_EQ(1, seen_.depth_max);
  EXPECT_EQ(2, seen_.num) << "signals that wait fall together";
}

TEST_F(WindowsSignalTest, ANestedHookIs) {
  seen_.raise_times = 1;
  ASSERT_STATUS(IPC_OK, set(IPC_SIGNAL_HOOK, IPC_SIGNAL_NESTED));
  EXPECT_STATUS(IPC_OK, ipc_signal_raise(SIGTERM));
  EXPECT_EQ(2, seen_.depth_max);
  EXPECT_EQ(2, seen_.num);
}

TEST_F(WindowsSignalTest, ArgumentsAreChecked) {
  EXPECT_STATUS(IPC_PERMISSION_DENIED, ipc_signal_set_handler(SIGSEGV, IPC_SIGNAL_HOOK, 0, hook, nullptr));
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGSEGV, IPC_SIGNAL_HOOK, IPC_SIGNAL_UNSAFE, hook, nullptr));
  EXPECT_STATUS(IPC_OK, ipc_signal_set_handler(SIGSEGV, IPC_SIGNAL_DEFAULT, 0, nullptr, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_set_handler(SIGTERM, IPC_SIGNAL_HOOK, 0, nullptr, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_set_handler(SIGTERM, 0, 0, hook, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_set_handler(SIGTERM, 4, 0, hook, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_set_handler(SIGTERM, IPC_SIGNAL_HOOK, 1024, hook, nullptr));
  EXPECT_STATUS(IPC_UNSUPPORTED,
                ipc_signal_set_handler(SIGTERM, IPC_SIGNAL_HOOK, IPC_SIGNAL_NO_CHILD_STOP, hook, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_signal_number(nullptr, 0, nullptr));
}

}  // namespace
