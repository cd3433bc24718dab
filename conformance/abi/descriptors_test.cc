// What a library does when the process may open no more descriptors. spec/abi.md, AbiDescriptors.
#include <sys/resource.h>

#include <set>

#include "conformance/abi/case.h"
#include "conformance/abi/makers.h"
#include "conformance/abi/memory.h"

namespace {

using cts::abi::Descriptors;
using cts::abi::LiveBlocks;
using cts::abi::Scenario;
using cts::abi::Threads;

constexpr int kNumbersMax = 64;  // that one call needs at once

/// While one exists, the process can open so many descriptors more.
class DescriptorsLeft {
 public:
  DescriptorsLeft(const std::set<int> &open, int number) {
    cts::abi::Ended cannot = {"unverifiable", "this system does not limit a process's descriptors"};
    if (getrlimit(RLIMIT_NOFILE, &before_) != 0) throw cannot;
    rlimit limit = before_;
    limit.rlim_cur = 0;
    for (int left = number; left > 0 || open.count(static_cast<int>(limit.rlim_cur)) != 0; limit.rlim_cur++) {
      left -= open.count(static_cast<int>(limit.rlim_cur)) == 0;
    }
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) throw cannot;
  }
  ~DescriptorsLeft() { (void)setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorsLeft(const DescriptorsLeft &) = delete;
  DescriptorsLeft &operator=(const DescriptorsLeft &) = delete;

 private:
  rlimit before_;
};

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
      ipc_status status;
      {
        DescriptorsLeft left(before, number);
        status = scenario.call();
      }
      enough = status.code == IPC_OK;
      if (!enough) {
        EXPECT_STATUS(IPC_OUT_OF_RESOURCES, status) << what;
        EXPECT_EQ(Descriptors(), before) << "what the call had opened is still open: " << what;
        EXPECT_EQ(Threads(), threads) << what;
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
