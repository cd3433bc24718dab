// Processes as the runner starts, hears, watches and kills them: the same on every system.
#include "conformance/support/process.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "conformance/support/host.h"

namespace cts {
namespace {

constexpr int kDeadlineMs = 20000;

/// The directory that the test began in.
const std::filesystem::path &Home() {
  static const std::filesystem::path home = std::filesystem::current_path();
  return home;
}

/// A child that does `what`, in the current directory, with nothing but what a program needs to start.
std::unique_ptr<Process> Child(std::vector<std::string> what, std::map<std::string, std::string> more = {}) {
  const char *program = getenv("CTS_TEST_CHILD");
  what.insert(what.begin(), program == nullptr ? "CTS_TEST_CHILD is not set" : program);
  std::string error;
  std::map<std::string, std::string> environment = InheritedEnvironment();
  environment.insert(more.begin(), more.end());
  what[0] = (Home() / what[0]).string();
  std::unique_ptr<Process> process = Process::Start(what, environment, ".", &error);
  EXPECT_NE(process, nullptr) << error;
  return process;
}

/// The next line that the child wrote, without its LF; what there is if it ends or the deadline passes.
std::string Line(Process *process) {
  const int64_t deadline = NowMs() + kDeadlineMs;
  size_t lf;
  while ((lf = process->output().find('\n')) == std::string::npos && !process->ended() && NowMs() < deadline)
    PumpAll({process}, 100);
  const std::string line = process->output().substr(0, lf);
  process->output().erase(0, lf == std::string::npos ? lf : lf + 1);
  return line;
}

Exit ExitOf(Process *process) {
  Exit exit;
  EXPECT_TRUE(process->Wait(kDeadlineMs, &exit)) << "it goes on";
  return exit;
}

/// Waits until process `pid` has ended; false if it goes on.
bool Ended(int64_t pid) {
  const int64_t deadline = NowMs() + kDeadlineMs;
  while (!Beginning(pid).empty() && NowMs() < deadline) LetOthersRun();
  return Beginning(pid).empty();
}

/// The rule of spec/peer_protocol.md, 4.2, for one thread: two passes.
bool Blocked(int64_t pid, int64_t tid) {
  const ThreadState first = InspectThread(pid, tid);
  if (!first.known || !first.sleeping || first.waits_elsewhere) return false;
  const ThreadState second = InspectThread(pid, tid);
  return second.sleeping && !second.waits_elsewhere && first.counters == second.counters;
}

class ProcessTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { PrepareForPeers(); }
  void TearDown() override { EXPECT_EQ(KillOrphans(), 0) << "left behind"; }
};

TEST_F(ProcessTest, LinesGoThereAndBack) {
  auto child = Child({"echo"});
  for (int i = 0; i < 100; i++) {
    child->Write(std::to_string(i) + "\n");
    ASSERT_EQ(Line(child.get()), std::to_string(i));
  }
  child->CloseInput();
  EXPECT_EQ(ExitOf(child.get()).describe(), "exit status 0");
}

TEST_F(ProcessTest, AMebibyteGoesThereAndBackWithoutWaitingForEither) {
  auto child = Child({"echo"});
  const std::string half(500000, 'a');
  child->Write(half + "\n" + half + "\n");
  EXPECT_EQ(Line(child.get()), half);
  EXPECT_EQ(Line(child.get()), half);
  child->CloseInput();
  EXPECT_EQ(ExitOf(child.get()).code, 0);
}

TEST_F(ProcessTest, AFloodIsTakenUpToAMebibyte) {
  auto child = Child({"flood"});
  size_t most = 0, all = 0;
  for (const int64_t deadline = NowMs() + kDeadlineMs; !child->ended() && NowMs() < deadline;) {
    PumpAll({child.get()}, 100);
    most = std::max(most, child->output().size());
    if (child->output().size() >= size_t{1} << 20 || child->exited()) {
      all += child->output().size();
      child->output().clear();
    }
  }
  PumpAll({child.get()}, 0);
  EXPECT_EQ(all + child->output().size(), size_t{64} << 16);
  EXPECT_LE(most, (size_t{1} << 20) + (size_t{64} << 10));
  EXPECT_EQ(child->errors(), std::string(65536, 'x'));
}

TEST_F(ProcessTest, ExitsAreTold) {
  EXPECT_EQ(ExitOf(Child({"exit", "0"}).get()).describe(), "exit status 0");
  EXPECT_EQ(ExitOf(Child({"exit", "3"}).get()).describe(), "exit status 3");
  const Exit crash = ExitOf(Child({"crash"}).get());
  EXPECT_TRUE(crash.describe() == "signal 11 (Segmentation fault)" ||
              crash.describe() == "exception 0xC0000005 (access violation)")
      << crash.describe();
}

TEST_F(ProcessTest, WaitGivesUpAtItsDeadline) {
  auto child = Child({"wait"});
  Exit exit;
  const int64_t begun = NowMs();
  EXPECT_FALSE(child->Wait(50, &exit));
  EXPECT_GE(NowMs() - begun, 50);
  EXPECT_FALSE(child->exited());
}

TEST_F(ProcessTest, WhatCannotBeStartedIsSaid) {
  std::string error;
  EXPECT_EQ(Process::Start({"/nonexistent/program"}, {}, ".", &error), nullptr);
  EXPECT_NE(error.find("cannot run /nonexistent/program: "), std::string::npos) << error;
}

TEST_F(ProcessTest, ArgumentsArriveUnchanged) {
  const std::vector<std::string> arguments = {
      "",      "a b",     "\"",      "a\"b",    "\\",         "a\\",     "a\\\"b",
      "a b\\", "a b\\\\", "\\\\a\\", "tab\tin", "\"quoted\"", "^%PATH%", "*.nothing-is-called-so",
      "'"};
  std::vector<std::string> what = {"arguments"};
  what.insert(what.end(), arguments.begin(), arguments.end());
  auto child = Child(what);
  for (const std::string &argument : arguments)
    EXPECT_EQ(Line(child.get()), std::to_string(argument.size()) + " " + argument);
}

TEST_F(ProcessTest, TheEnvironmentIsTheGivenOne) {
  EXPECT_EQ(Line(Child({"variable", "CTS_ONE"}, {{"CTS_ONE", "1 = one"}}).get()), "1 = one");
  EXPECT_EQ(Line(Child({"variable", "TEST_TMPDIR"}).get()), "none");
}

TEST_F(ProcessTest, NothingElseIsInherited) {
  auto other = Child({"echo"});
  EXPECT_EQ(Line(Child({"handles"}).get()), "three");
}

TEST_F(ProcessTest, AProcessIsKilledWithItsTree) {
  auto child = Child({"tree"});
  const int64_t grandchild = atoll(Line(child.get()).c_str());
  EXPECT_TRUE(IsDescendant(grandchild, child->pid()));
  EXPECT_TRUE(IsOurs(grandchild, false));
  EXPECT_FALSE(IsDescendant(child->pid(), grandchild));
  const int64_t pid = child->pid();
  child->Kill();
  EXPECT_TRUE(Ended(grandchild));
  EXPECT_TRUE(Ended(pid));
  EXPECT_FALSE(IsOurs(grandchild, false));
}

TEST_F(ProcessTest, WhatAPeerThatEndedLeftIsKilledWithIt) {
  auto child = Child({"orphan"});
  const int64_t grandchild = atoll(Line(child.get()).c_str());
  EXPECT_EQ(ExitOf(child.get()).code, 0);
  EXPECT_FALSE(Beginning(grandchild).empty());
  child->Kill();
  EXPECT_TRUE(Ended(grandchild));
}

TEST_F(ProcessTest, OrphansOfTheLivingAreFound) {
  auto child = Child({"echo"});
  auto other = Child({"orphan"});
  const int64_t grandchild = atoll(Line(other.get()).c_str());
  EXPECT_EQ(ExitOf(other.get()).code, 0);
  EXPECT_EQ(KillOrphans(), 1);
  EXPECT_TRUE(Ended(grandchild));
  EXPECT_FALSE(child->exited());
}

TEST_F(ProcessTest, SeveralAreHeardAtOnce) {
  auto one = Child({"echo"}), two = Child({"echo"});
  two->Write("second\n");
  const int64_t deadline = NowMs() + kDeadlineMs;
  while (two->output().empty() && NowMs() < deadline) PumpAll({one.get(), two.get()}, 1000);
  EXPECT_EQ(Line(two.get()), "second");
  EXPECT_TRUE(one->output().empty());
}

TEST_F(ProcessTest, MemoryIsSeen) {
  auto child = Child({"echo"});
  child->Write("started\n");
  ASSERT_EQ(Line(child.get()), "started");
  EXPECT_GT(ResidentBytes(child->pid()), uint64_t{100} << 10);
  EXPECT_LT(ResidentBytes(child->pid()), uint64_t{1} << 30);
}

TEST_F(ProcessTest, AChildOpensAChannelOfItsOwn) {
  std::string error;
  Home();
  std::filesystem::current_path(getenv("TEST_TMPDIR"));  // which may be longer than a socket's path can be
  std::unique_ptr<ControlSocket> control = ControlSocket::Open("k", &error);
  ASSERT_NE(control, nullptr) << error;
  auto child = Child({"connect", control->address()});
  std::unique_ptr<Process> channel;
  const int64_t deadline = NowMs() + kDeadlineMs;
  while (!(channel = control->Accept(child->pid())) && NowMs() < deadline) PumpAll({child.get()}, 1);
  ASSERT_NE(channel, nullptr);
  EXPECT_EQ(Line(channel.get()), std::to_string(child->pid()));
  EXPECT_EQ(channel->pid(), child->pid());
  channel->Write("through the socket\n");
  EXPECT_EQ(Line(channel.get()), "through the socket");
  EXPECT_EQ(control->Accept(child->pid()), nullptr);
  channel->CloseInput();
  EXPECT_EQ(ExitOf(child.get()).code, 0);
  EXPECT_TRUE(channel->exited());
  PumpAll({channel.get()}, 0);
  EXPECT_TRUE(channel->ended());
  EXPECT_EQ(control->strangers(), 0);
  control.reset();
  std::filesystem::current_path(Home());
}

#ifdef _WIN32
TEST_F(ProcessTest, WhoDoesNotKnowTheTokenIsAStranger) {
  std::string error;
  std::unique_ptr<ControlSocket> control = ControlSocket::Open("", &error);
  ASSERT_NE(control, nullptr) << error;
  EXPECT_EQ(control->address().compare(0, 9, "loopback:"), 0);
  EXPECT_EQ(control->address().size() - control->address().rfind(':'), 33u);
  auto child = Child({"connect", control->address(), std::string(32, '0')});
  std::unique_ptr<Process> channel;
  const int64_t deadline = NowMs() + kDeadlineMs;
  while (!(channel = control->Accept(child->pid())) && NowMs() < deadline) PumpAll({child.get()}, 1);
  ASSERT_NE(channel, nullptr);
  EXPECT_EQ(Line(channel.get()), std::to_string(child->pid()));
  EXPECT_EQ(control->strangers(), 1);
}
#endif

/// A child that works and waits in turns, seen from outside: it must never be called blocked while it works.
class InspectTest : public ProcessTest {
 protected:
  /// Thousands of repeats, or as many as there is time for: under Wine a look takes milliseconds.
  void ClaimNothingFalse(const char *how) {
    constexpr int kRepeatsMax = 2000, kBudgetMs = 15000, kLongest = 1 << 20;
    auto child = Child({how});
    const int64_t tid = atoll(Line(child.get()).c_str());
    if (!InspectThread(child->pid(), tid).known) GTEST_SKIP() << "this system shows no run counters of threads";
    int early = 0, longer = 1;
    const int64_t end = NowMs() + kBudgetMs;
    for (int i = 0; (i < kRepeatsMax || early == 0) && NowMs() < end; i++) {
      // Twice as long each time, until it has been looked at while it works: a busy machine may not come to that
      // sooner.
      child->Write(std::to_string(i * 7 % 60 + (early == 0 ? longer : 0)) + "\n");
      longer = std::min(2 * longer, kLongest);
      ASSERT_EQ(Line(child.get()), "begun");
      const int64_t deadline = NowMs() + kDeadlineMs;
      while (!Blocked(child->pid(), tid)) {
        ASSERT_LT(NowMs(), deadline) << "it waits, and is not seen to";
        early++;
      }
      PumpAll({child.get()}, 0);
      ASSERT_EQ(child->output(), "done\n") << "after " << i << " repeats it was called blocked while it worked";
      child->output().clear();
    }
    EXPECT_GT(early, 0) << "it was never looked at while it worked";
  }
};

TEST_F(InspectTest, WhoWorksIsNeverCalledBlocked) { ClaimNothingFalse("work"); }

TEST_F(InspectTest, WhoHasAnotherThreadWorkIsNeverCalledBlocked) { ClaimNothingFalse("carried"); }

TEST_F(InspectTest, WhoWorksIsNeverCalledBlockedUnderLoad) {
  std::atomic<bool> over{false};
  std::vector<std::thread> load;
  for (int i = 0; i < 3; i++) {
    load.emplace_back([&] {
      for (volatile unsigned spin = 0; !over; spin = spin + 1) continue;
    });
  }
  ClaimNothingFalse("work");
  over = true;
  for (std::thread &thread : load) thread.join();
}

TEST_F(InspectTest, AThreadIsKnownWhileOthersComeAndGo) {
  constexpr int kLooks = 500, kBudgetMs = 10000;
  auto child = Child({"churn"});
  const int64_t tid = atoll(Line(child.get()).c_str());
  // Of a process whose threads stay: one that comes and goes while all are looked at makes the whole unknown.
  if (!InspectProcess(static_cast<int64_t>(host::ProcessId())).known)
    GTEST_SKIP() << "this system shows no run counters of threads";
  const int64_t end = NowMs() + kBudgetMs;
  for (int look = 0; look < kLooks && NowMs() < end; look++)
    ASSERT_TRUE(InspectThread(child->pid(), tid).known) << "at look " << look;
}

#ifdef __linux__  // elsewhere nothing stays open of any
TEST_F(InspectTest, LookingAtThisProcessLeavesNothingOpen) {
  const auto self = static_cast<int64_t>(host::ProcessId());
  const Holdings before = HoldingsOf(self, false);
  for (int look = 0; look < 3; look++) {
    InspectProcess(self);
    InspectThread(self, self);
    EXPECT_EQ(HoldingsOf(self, false).counts[0], before.counts[0]);
  }
}
#endif

TEST_F(InspectTest, AThreadThatIsNotThereIsNotKnown) {
  auto child = Child({"echo"});
  EXPECT_FALSE(InspectThread(child->pid(), 3).known);
}

TEST_F(InspectTest, WhatAProcessHoldsIsSeen) {
  auto child = Child({"echo"});
  child->Write("here\n");
  ASSERT_EQ(Line(child.get()), "here");
  const Holdings first = HoldingsOf(child->pid(), true), second = HoldingsOf(child->pid(), false);
  ASSERT_TRUE(first.known && second.known);
  EXPECT_EQ(first.counts, second.counts);
  EXPECT_GE(first.counts[1], 1u);  // threads
  EXPECT_EQ(first.counts[2], 0u);  // children
  EXPECT_FALSE(second.MoreThan(first));
  EXPECT_GE(HoldingsOf(static_cast<int64_t>(host::ProcessId()), false).counts[2], 1u);
  EXPECT_FALSE(HoldingsOf(int64_t{1} << 40, false).known);
}

TEST_F(InspectTest, WhatAProcessHasMoreOfIsSeen) {
  auto child = Child({"grow"});
  const int64_t pid = child->pid();
  const auto ask = [&](const std::string &what) {
    child->Write(what + "\n");
    EXPECT_EQ(Line(child.get()), what);
    return HoldingsOf(child->pid(), false);
  };
  ASSERT_TRUE(ask("nothing").known);
  const Holdings before = ask("thread");  // beside the first one ThreadSanitizer makes a thread of its own
  for (uint64_t more = 1; more <= 3; more++) {
    const Holdings thread = ask("thread");
    EXPECT_EQ(thread.counts[1], before.counts[1] + more);
    EXPECT_EQ(thread.counts[2], before.counts[2] + more - 1);
    EXPECT_TRUE(thread.MoreThan(before));
    EXPECT_EQ(ask("child").counts[2], before.counts[2] + more);
  }
  Exit exit;
  child->CloseInput();
  ASSERT_TRUE(child->Wait(kDeadlineMs, &exit));
  EXPECT_FALSE(HoldingsOf(pid, false).known) << "of a process that has ended";
}

// One thread for another: their number is the same, and what the new one starts is seen.
TEST_F(InspectTest, WhatAThreadStartsThatTakesAnothersPlaceIsSeen) {
  auto child = Child({"grow"});
  const auto exchange = [&] {
    child->Write("exchange\n");
    EXPECT_EQ(Line(child.get()), "exchange");
    return HoldingsOf(child->pid(), false);
  };
  Holdings before = exchange();
  ASSERT_TRUE(before.known);
  for (int time = 0; time < 3; time++) {
    const Holdings after = exchange();
    EXPECT_EQ(after.counts[1], before.counts[1]);
    EXPECT_EQ(after.counts[2], before.counts[2] + 1);
    before = after;
  }
}

TEST_F(InspectTest, ASlowedProcessHasLessThanItsShare) {
  if (!SlowProcesses(20)) GTEST_SKIP() << "this system gives no process less than its share";
  constexpr uint64_t kWorkMs = 20;
  auto child = Child({"spin"});
  const auto ran_ms = [&] { return strtoull(InspectProcess(child->pid()).counters.c_str(), nullptr, 10) / 1000000; };
  const int64_t begun = NowMs();
  const uint64_t before = ran_ms();
  while (ran_ms() < before + kWorkMs && NowMs() < begun + kDeadlineMs) LetOthersRun();
  EXPECT_GE(ran_ms(), before + kWorkMs);
  EXPECT_GE(NowMs() - begun, static_cast<int64_t>(5 * kWorkMs)) << "it has more than a fifth of a core";
  EndSlowing();
}

}  // namespace
}  // namespace cts
