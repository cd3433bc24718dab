// calls.h - every call that takes a handle, with arguments that are valid: for what holds of all of them.
#ifndef CONFORMANCE_ABI_CALLS_H
#define CONFORMANCE_ABI_CALLS_H

#include <functional>
#include <string>
#include <vector>

#include "conformance/abi/case.h"

namespace cts {
namespace abi {

/// Where the calls' results go. Before each call it is filled with what no call that fails leaves behind.
struct Outputs {
  void *handles[2];
  size_t lengths[1];

  void Spoil();
  /// A handle result that is not NULL, or a length that is not 0, of those that a call has; empty if none.
  std::string Left(int num_handles, int num_lengths) const;
};

/// One call. `omitted` is the number of the out pointer that is NULL, from 0; -1: none.
struct Call {
  std::string name;
  int num_outputs;               // out pointers
  int num_handles, num_lengths;  // of them: handles, lengths
  std::function<ipc_status(int omitted)> make;
};

/// The calls that the library offers on a handle of a kind (the values of the axis `handle`), without `_free` and with
/// `_close` at the end. `handle` may be NULL. None waits if the handle is NULL or closed.
std::vector<Call> CallsOn(const std::string &kind, void *handle, Outputs *outputs);

/// A handle of a kind, open, and what keeps its other end.
struct Open {
  Pair pair;
  Owned<ipc_listener> listener;
  Owned<ipc_socket> other_socket, socket;
  Owned<ipc_decoder> decoder;
  Owned<ipc_watcher> watcher;
  Owned<ipc_loop> loop;
  Owned<ipc_framed> framed;
  void *handle = nullptr;

  /// The library's `_close` and `_free` for it. Whoever calls `free` takes it from its owner first: `forget`.
  std::function<ipc_status()> close, free;
  void forget();
};

}  // namespace abi
}  // namespace cts

#endif  // CONFORMANCE_ABI_CALLS_H
