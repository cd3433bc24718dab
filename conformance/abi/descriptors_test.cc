// What a library does when the process may open no more descriptors. spec/abi.md, AbiDescriptors.
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <set>

#include "conformance/abi/case.h"
#include "conformance/abi/makers.h"
#include "conformance/abi/memory.h"

namespace {

using cts::abi::Descriptors;
using cts::abi::LiveBlocks;
using cts::abi::Scenario;
using cts::abi::Threads;
using cts::abi::ThreadsAfter;

constexpr int kNumbersMax = 64;  // that one call needs at once
constexpr int kTimeoutMs = 90;

/// How far the numbers of descriptors go, so that `number` more than these can be opened.
rlim_t LimitFor(const std::set<int> &open, int number) {
  rlim_t limit = 0;
  for (int left = number; left > 0 || open.count(static_cast<int>(limit)) != 0; limit++) {
    left -= open.count(static_cast<int>(limit)) == 0;
  }
  return limit;
}

/// While one exists, the process can open no descriptor from this number on.
class DescriptorsLeft {
 public:
  explicit DescriptorsLeft(rlim_t number) {
    cts::abi::Ended cannot = {"unverifiable", "this system does not limit a process's descriptors"};
    if (getrlimit(RLIMIT_NOFILE, &before_) != 0) throw cannot;
    rlimit limit = before_;
    limit.rlim_cur = number;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) throw cannot;
  }
  ~DescriptorsLeft() { (void)setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorsLeft(const DescriptorsLeft &) = delete;
  DescriptorsLeft &operator=(const DescriptorsLeft &) = delete;

 private:
  rlimit before_;
};

/// What this thread has had of a processor.
double ProcessorMs() {
  timespec spent = {};
  (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

/// Makes the call with no descriptor left, with one, and so on, until it has enough.
void LetDescriptorsRunOut(const Scenario &scenario) {
  scenario.prepare();
  ASSERT_STATUS(IPC_OK, scenario.call());
  scenario.undo();
  for (int number = 0; number <= kNumbersMax; number++) {
    const std::string what = "with " + std::to_string(number) + " descriptors left";
    int64_t blocks = 0;
    bool enough = false;
    for (int repetition = 0; repetition < 2; repetition++) {
      scenario.prepare();
      const std::set<int> before = Descriptors();
      const size_t threads = Threads();
      const rlim_t limit = LimitFor(before, number);
      ipc_status status;
      {
        DescriptorsLeft left(limit);
        status = scenario.call();
      }
      enough = status.code == IPC_OK;
      if (!enough) {
        EXPECT_STATUS(IPC_OUT_OF_RESOURCES, status) << what;
        EXPECT_EQ(Descriptors(), before) << "what the call had opened is still open: " << what;
        EXPECT_LE(ThreadsAfter(threads), threads) << what;
        scenario.check_none();
        EXPECT_STATUS(IPC_OK, scenario.call()) << "with descriptors again, after " << what;
      }
      scenario.undo();
      if (testing::Test::HasFailure()) return;
      if (repetition == 1 && cts::abi::kAllocationsSeen) {
        EXPECT_LE(LiveBlocks(), blocks) << "a block is lost " << what;
      }
      blocks = LiveBlocks();
    }
    if (enough && number > 0) return;
  }
  ADD_FAILURE() << "the call takes more than " << kNumbersMax << " descriptors";
}

}  // namespace

CTS_CASE(AbiDescriptors, MakersFailWhole) {
  const std::string call = shape("call");
  cts::abi::Makers makers(this);
  step(call + " without descriptors");
  LetDescriptorsRunOut(makers.Of(call));
}

CTS_CASE(AbiDescriptors, SubmissionsFailWhole) {
  (void)LIB(loop_open);
  (void)LIB(loop_submit);
  (void)LIB(loop_wait);
  cts::abi::Makers makers(this);
  step("a submission without descriptors");
  LetDescriptorsRunOut(makers.OfSubmission(shape("operation")));
}

CTS_CASE(AbiDescriptors, WaitsEnd) {
  auto read = LIB(stream_read);
  cts::abi::Pair pair = stream_pair();
  char byte = 0;
  size_t len = 7;
  for (const rlim_t numbers : {0, 1}) {
    step("a read that has to wait, where poll(2) takes no more than " + std::to_string(numbers) + " descriptors");
    ipc_status status;
    const double before = ProcessorMs();
    {
      DescriptorsLeft left(numbers);
      status = read(pair.reader.get(), &byte, 1, kTimeoutMs, &len);
    }
    EXPECT_LT(ProcessorMs() - before, kTimeoutMs / 6) << "it asks the system again and again";
    EXPECT_STATUS_IN((IPC_TIMED_OUT, IPC_FAILED, IPC_OUT_OF_RESOURCES), status);
    EXPECT_EQ(len, 0u);
  }
  write_all(pair.writer.get(), "x");
  EXPECT_EQ(read_exactly(pair.reader.get(), 1), "x");
}

CTS_CASE(AbiDescriptors, SendsWaitTheirTime) {
  auto send = LIB(socket_send);
  const cts::abi::Name name = fresh_name();
  const ipc_name bytes = name.get();
  ipc_socket *receiver = nullptr, *sender = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(socket_bind)(&bytes, nullptr, &receiver));
  cts::abi::Owned<ipc_socket> receiving(receiver);
  ASSERT_STATUS(IPC_OK, LIB(socket_open)(IPC_UNIX_DATAGRAM, &sender));
  cts::abi::Owned<ipc_socket> sending(sender);
  const std::string filling(1000, '.');  // long: some systems count the bytes of a queue, not its messages
  const ipc_const_buffer from = {filling.data(), filling.size()};
  ipc_status status = {};
  while (status.code == IPC_OK) status = send(sender, &from, 1, &bytes, nullptr, 0);
  ASSERT_STATUS(IPC_TIMED_OUT, status) << "the receiver is full";
  step("a send to a full receiver without descriptors");
  const auto begun = std::chrono::steady_clock::now();
  {
    DescriptorsLeft left(LimitFor(Descriptors(), 0));
    status = send(sender, &from, 1, &bytes, nullptr, kTimeoutMs);
  }
  EXPECT_STATUS_IN((IPC_TIMED_OUT, IPC_OUT_OF_RESOURCES), status);
  if (status.code == IPC_TIMED_OUT) {
    EXPECT_GE(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(kTimeoutMs)) << "before its time";
  }
}
