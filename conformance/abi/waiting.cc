#include "conformance/abi/waiting.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "conformance/abi/case.h"
#include "conformance/support/process.h"

namespace cts {
namespace abi {
namespace {

constexpr int kUnknownMax = 1000;   // looks at a thread that this system does not show
constexpr int kElsewhereMin = 200;  // looks in a row at one that sleeps in a lock: a library may wait there, too

int64_t ThreadId() {
#if defined(__linux__)
  return syscall(SYS_gettid);
#else
  return 0;
#endif
}

[[noreturn]] void EndCase() {
  TheSurroundings().end_now();
  std::abort();  // it does not return
}

}  // namespace

Waiting::Waiting(std::function<ipc_status()> call)
    : thread_([this, call] {
        thread_id_ = ThreadId();
        status_ = call();
        returned_ = true;
      }) {}

Waiting::~Waiting() {
  if (!thread_.joinable()) return;
  if (returned_) {
    thread_.join();
    return;
  }
  ADD_FAILURE() << "a call is still under way at the end of the case";
  EndCase();
}

void Waiting::UntilItWaits() {
  std::string last;
  int unknown = 0, elsewhere = 0;
  for (;;) {
    if (returned_) {
      ADD_FAILURE() << "the call should wait, and returned: " << StatusText(status_);
      EndCase();
    }
    const int64_t id = thread_id_;
    const ThreadState state = id == 0 ? ThreadState() : InspectThread(getpid(), id);
    if (!state.known && ++unknown == kUnknownMax) {
      TheSurroundings().ended = {"unverifiable", "this system does not show whether a thread waits"};
      EndCase();
    }
    const bool still = state.known && state.sleeping && state.counters == last;
    elsewhere = still && state.waits_elsewhere ? elsewhere + 1 : 0;
    if (still && (!state.waits_elsewhere || elsewhere >= kElsewhereMin)) break;
    last = state.counters;
    LetOthersRun();
  }
  TheSurroundings().proof = "thread";
}

void Waiting::Signal(int number) { (void)pthread_kill(thread_.native_handle(), number); }

ipc_status Waiting::Join() {
  thread_.join();
  return status_;
}

}  // namespace abi
}  // namespace cts
