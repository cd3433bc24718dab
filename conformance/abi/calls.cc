#include "conformance/abi/calls.h"

namespace cts {
namespace abi {
namespace {

/// Collects the calls whose slot is filled.
class Collector {
 public:
  explicit Collector(Outputs *outputs) : outputs_(outputs) {}

  /// `call` gets the slot's function and `out`, which gives the pointers that it is called with.
  template <typename F, typename C>
  void Add(const char *name, F ipc_table::*slot, int num_handles, int num_lengths, int num_others, C call) {
    F function = TheLibrary().table().*slot;
    if (function == nullptr) return;
    Outputs *outputs = outputs_;
    auto make = [function, call, outputs](int omitted) {
      outputs->Spoil();
      return call(function, [omitted](int number, auto *pointer) { return number == omitted ? nullptr : pointer; });
    };
    calls_.push_back(Call{name, num_handles + num_lengths + num_others, num_handles, num_lengths, make});
  }

  std::vector<Call> Take() { return std::move(calls_); }

 private:
  Outputs *outputs_;
  std::vector<Call> calls_;
};

constexpr int64_t kForEver = IPC_NO_TIMEOUT;  // a library may offer no other

char g_room[256];
ipc_raw g_raw;
ipc_credentials g_credentials;
ipc_signal_event g_event;
const char g_bytes[] = "bytes";

}  // namespace

void Outputs::Spoil() {
  for (void *&handle : handles) handle = this;
  for (size_t &length : lengths) length = 777;
}

std::string Outputs::Left(int num_handles, int num_lengths) const {
  for (int i = 0; i < num_handles; i++) {
    if (handles[i] != nullptr) return "a handle result that is not NULL";
  }
  for (int i = 0; i < num_lengths; i++) {
    if (lengths[i] != 0) return "a length of " + std::to_string(lengths[i]);
  }
  return "";
}

void Open::forget() {
  if (listener.get() == handle) (void)listener.release();
  if (pair.reader.get() == handle) (void)pair.reader.release();
  if (socket.get() == handle) (void)socket.release();
  if (decoder.get() == handle) (void)decoder.release();
  if (watcher.get() == handle) (void)watcher.release();
  if (loop.get() == handle) (void)loop.release();
  if (framed.get() == handle) (void)framed.release();
}

std::vector<Call> CallsOn(const std::string &kind, void *handle, Outputs *outputs) {
  Collector c(outputs);
  size_t *len = &outputs->lengths[0];
  void **one = &outputs->handles[0], **two = &outputs->handles[1];
#define ADD(slot, handles, lengths, others, ...) \
  c.Add(#slot, &ipc_table::slot, handles, lengths, others, [=](auto f, auto out) { return f(__VA_ARGS__); })
#define HANDLE_OUT(number, type, place) reinterpret_cast<type **>(out(number, place))
  if (kind == "listener") {
    auto *h = static_cast<ipc_listener *>(handle);
    ADD(listener_accept, 1, 0, 0, h, kForEver, HANDLE_OUT(0, ipc_stream, one));
    ADD(listener_accept_socket, 1, 0, 0, h, kForEver, HANDLE_OUT(0, ipc_socket, one));
    ADD(listener_native, 0, 1, 0, h, g_room, sizeof g_room, out(0, len));
    ADD(listener_set_nonblocking, 0, 0, 0, ((void)out, h), false);
    ADD(listener_raw, 0, 0, 1, h, out(0, &g_raw));
    ADD(listener_release, 0, 0, 1, h, out(0, &g_raw));
    ADD(listener_close, 0, 0, 0, ((void)out, h));
  } else if (kind == "stream") {
    auto *h = static_cast<ipc_stream *>(handle);
    static const ipc_buffer into = {g_room, sizeof g_room};
    static const ipc_const_buffer from = {g_bytes, 5};
    static ipc_ancillary room, nothing;
    room.size = nothing.size = sizeof room;
    ADD(stream_read, 0, 1, 0, h, g_room, sizeof g_room, kForEver, out(0, len));
    ADD(stream_write, 0, 1, 0, h, g_bytes, 5, kForEver, out(0, len));
    ADD(stream_read_vectored, 0, 1, 0, h, &into, 1, kForEver, out(0, len));
    ADD(stream_write_vectored, 0, 1, 0, h, &from, 1, kForEver, out(0, len));
    ADD(stream_flush, 0, 0, 0, ((void)out, h));
    ADD(stream_split, 2, 0, 0, h, HANDLE_OUT(0, ipc_stream, one), HANDLE_OUT(1, ipc_stream, two));
    ADD(stream_peer_credentials, 0, 0, 1, h, out(0, &g_credentials));
    ADD(stream_set_nonblocking, 0, 0, 0, ((void)out, h), false);
    ADD(stream_shutdown, 0, 0, 0, ((void)out, h), IPC_SHUTDOWN_WRITE);
    ADD(stream_write_ancillary, 0, 1, 0, h, g_bytes, 5, &nothing, kForEver, out(0, len));
    ADD(stream_read_ancillary, 0, 1, 0, h, g_room, sizeof g_room, &room, kForEver, out(0, len));
    ADD(stream_set_pass_credentials, 0, 0, 0, ((void)out, h), false);
    ADD(stream_raw, 0, 0, 1, h, out(0, &g_raw));
    ADD(stream_release, 0, 0, 1, h, out(0, &g_raw));
    ADD(stream_close, 0, 0, 0, ((void)out, h));
  } else if (kind == "socket") {
    auto *h = static_cast<ipc_socket *>(handle);
    static const ipc_buffer into = {g_room, sizeof g_room};
    static const ipc_const_buffer from = {g_bytes, 5};
    static ipc_received received;
    received.size = sizeof received;
    static const ipc_name to = {IPC_NAME_PATH, "/nowhere/at/all", 15};
    ADD(socket_connect, 0, 0, 0, ((void)out, h), &to, kForEver);
    ADD(socket_native, 0, 1, 0, h, g_room, sizeof g_room, out(0, len));
    ADD(socket_send, 0, 0, 0, ((void)out, h), &from, 1, nullptr, nullptr, kForEver);
    ADD(socket_receive, 0, 0, 1, h, 0, &into, 1, out(0, &received), nullptr, kForEver);
    ADD(socket_next_length, 0, 1, 0, h, kForEver, out(0, len));
    ADD(socket_shutdown, 0, 0, 0, ((void)out, h), IPC_SHUTDOWN_WRITE);
    ADD(socket_set_pass_credentials, 0, 0, 0, ((void)out, h), false);
    ADD(socket_set_nonblocking, 0, 0, 0, ((void)out, h), false);
    ADD(socket_raw, 0, 0, 1, h, out(0, &g_raw));
    ADD(socket_release, 0, 0, 1, h, out(0, &g_raw));
    ADD(socket_close, 0, 0, 0, ((void)out, h));
  } else if (kind == "decoder") {
    auto *h = static_cast<ipc_decoder *>(handle);
    static const void *body;
    static uint64_t need;
    ADD(decoder_feed, 0, 1, 0, h, g_bytes, 5, out(0, len));
    ADD(decoder_next, 0, 0, 3, h, out(0, &body), out(1, len), out(2, &need));
    ADD(decoder_set_max, 0, 0, 0, ((void)out, h), uint64_t{100});
    ADD(decoder_end, 0, 0, 0, ((void)out, h));
  } else if (kind == "watcher") {
    auto *h = static_cast<ipc_watcher *>(handle);
    g_event.size = sizeof g_event;
    ADD(watcher_next, 0, 0, 1, h, kForEver, out(0, &g_event));
    ADD(watcher_set_nonblocking, 0, 0, 0, ((void)out, h), false);
    ADD(watcher_raw, 0, 0, 1, h, out(0, &g_raw));
    ADD(watcher_close, 0, 0, 0, ((void)out, h));
  } else if (kind == "loop") {
    auto *h = static_cast<ipc_loop *>(handle);
    static ipc_submission timer;
    timer.size = sizeof timer;
    timer.operation = IPC_SUBMIT_TIMER;
    timer.token = 1;
    static ipc_completion completion;
    ADD(loop_submit, 0, 0, 0, ((void)out, h), &timer);
    ADD(loop_cancel, 0, 0, 0, ((void)out, h), uint64_t{99});
    ADD(loop_wait, 0, 1, 1, h, kForEver, out(1, &completion), 1, out(0, len));
    ADD(loop_wake, 0, 0, 0, ((void)out, h));
    ADD(loop_close, 0, 0, 0, ((void)out, h));
  } else if (kind == "framed") {
    auto *h = static_cast<ipc_framed *>(handle);
    static const ipc_const_buffer body = {g_bytes, 5};
    ADD(framed_write, 0, 1, 0, h, &body, 1, kForEver, out(0, len));
    ADD(framed_read, 0, 1, 0, h, g_room, sizeof g_room, kForEver, out(0, len));
    ADD(framed_flush, 0, 0, 0, ((void)out, h), kForEver);
    ADD(framed_set_nonblocking, 0, 0, 0, ((void)out, h), false);
    ADD(framed_raw, 0, 0, 1, h, out(0, &g_raw));
    ADD(framed_close, 0, 0, 0, ((void)out, h));
  } else {
    throw Ended{"failed", "no calls are known on " + kind};
  }
#undef HANDLE_OUT
#undef ADD
  return c.Take();
}

}  // namespace abi
}  // namespace cts
