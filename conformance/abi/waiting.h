// waiting.h - a call that another thread makes, and that can be seen to wait.
#ifndef CONFORMANCE_ABI_WAITING_H
#define CONFORMANCE_ABI_WAITING_H

#include <atomic>
#include <functional>
#include <thread>

#include "ipc/ipc.h"

namespace cts {
namespace abi {

/// A thread that makes one call of the library.
class Waiting {
 public:
  explicit Waiting(std::function<ipc_status()> call);
  /// Ends the case's process if the call is still under way: what it uses must not go before it.
  ~Waiting();
  Waiting(const Waiting &) = delete;
  Waiting &operator=(const Waiting &) = delete;

  /// Returns once the thread is seen to sleep in the call (spec/peer_protocol.md, 4.2); a call that returns instead
  /// fails the case.
  void UntilItWaits();
  /// Sends the thread a signal.
  void Signal(int number);
  /// Waits for the call to return.
  ipc_status Join();

 private:
  std::atomic<int64_t> thread_id_{0};
  std::atomic<bool> returned_{false};
  ipc_status status_ = {};
  std::thread thread_;
};

}  // namespace abi
}  // namespace cts

#endif  // CONFORMANCE_ABI_WAITING_H
