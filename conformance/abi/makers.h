// makers.h - calls that make something, each with what surrounds it: for what holds when the system refuses what they
// need.
#ifndef CONFORMANCE_ABI_MAKERS_H
#define CONFORMANCE_ABI_MAKERS_H

#include <functional>
#include <string>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"

namespace cts {
namespace abi {

/// A call and what surrounds it.
struct Scenario {
  std::function<void()> prepare;     // before each attempt
  std::function<ipc_status()> call;  // allocates and opens nothing by itself
  std::function<void()> check_none;  // after a failure: nothing has been done
  std::function<void()> undo;        // after a success: what was made works, and is released
};

/// The scenarios of a case. It must outlive them; of one object there is one scenario.
class Makers {
 public:
  explicit Makers(Case *of) : case_(of) {}
  ~Makers();
  /// By the operation (the axis `call`).
  Scenario Of(const std::string &call);
  /// A submission to a new loop of what has to wait there (the axis `operation`). `call` is also what has become of it
  /// at once.
  Scenario OfSubmission(const std::string &operation);

 private:
  void Spoil();
  void Release();
  void watched_signal();
  void make_fifo();
  void complete(int32_t expected);
  Scenario Submitted(std::function<void()> fill, std::function<void()> finish);

  Case *const case_;
  Name name;
  ipc_name bytes = {};
  Owned<ipc_listener> listener;
  Pair pair;
  Owned<ipc_stream> extra;
  Open opened, other;
  Case::Sockets sockets;
  int other_side = -1;  // of a FIFO
  ipc_listener *made_listener = nullptr;
  ipc_stream *one = nullptr, *two = nullptr;
  ipc_socket *socket = nullptr;
  ipc_decoder *decoder = nullptr;
  ipc_watcher *watcher = nullptr;
  ipc_loop *loop = nullptr;
  ipc_framed *framed = nullptr;
  const ipc_framing framing = PlainFraming();
  int32_t signal = 0;
  ipc_raw raw = {};
  char room[16] = {};
  const ipc_buffer into = {room, sizeof room};
  const ipc_const_buffer from = {"bytes", 5};
  // Some systems count the bytes of a queue, not its messages: what fills it is long, or it takes many thousands.
  const std::string filling = std::string(1000, '.');
  const ipc_const_buffer filler = {filling.data(), filling.size()};
  ipc_received received = {};
  ipc_signal_event event = {};
  ipc_submission submission = {};
  ipc_completion completion = {};
};

}  // namespace abi
}  // namespace cts

#endif  // CONFORMANCE_ABI_MAKERS_H
