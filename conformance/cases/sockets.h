// sockets.h - what the cases of Unix domain sockets share: sockets that move messages, listeners of a type.
#ifndef CONFORMANCE_CASES_SOCKETS_H
#define CONFORMANCE_CASES_SOCKETS_H

#include <string>
#include <vector>

#include "conformance/cases/common.h"
#include "conformance/support/look.h"

namespace cts {

/// A socket that a peer holds.
class Socket {
 public:
  Socket() = default;
  Socket(Peer *peer, std::string handle, std::string native = "")
      : peer_(peer), handle_(std::move(handle)), native_(std::move(native)) {}

  const std::string &handle() const { return handle_; }
  /// Where it receives, if it was bound.
  const std::string &native() const { return native_; }

  Reply send(const Data &data) const { return call(op::socket_send().data(data)); }
  Reply send_to(const std::string &native, const Data &data) const {
    return call(op::socket_send().data(data).to_kind("native").to(native));
  }
  Reply receive(uint64_t max) const { return call(op::socket_receive().max(max)); }
  Reply close() const { return call(op::socket_close()); }
  Reply connect_to(const std::string &native) const { return call(op::socket_connect().kind("native").name(native)); }

  template <typename T>
  Reply call(T request) const {
    return peer_->call(request.on(handle_));
  }
  template <typename T>
  Pending start(T request) const {
    return peer_->start(request.on(handle_));
  }

 private:
  Peer *peer_ = nullptr;
  std::string handle_, native_;
};

/// A message as long as any other that this makes. Some systems count the bytes of a queue, so behind those that fill
/// it a shorter one may still have room.
inline std::string Long(const std::string &text) { return text + std::string(1000 - text.size(), '.'); }

inline Socket OpenSocket(Peer &peer, const std::string &type) {
  const std::string handle = peer.fresh_handle("d");
  Required(peer.call(op::socket_open().type(type).as(handle)));
  return Socket(&peer, handle);
}

inline Socket BindSocket(Peer &peer, op::socket_bind request) {
  const std::string handle = peer.fresh_handle("d");
  Reply reply = peer.call(request.as(handle));
  Required(reply);
  return Socket(&peer, handle, reply.bytes("native"));
}
inline Socket BindSocket(Peer &peer, const LocalName &name) {
  return BindSocket(peer, op::socket_bind().kind(name.kind).name(name.name));
}

inline op::unix_listen ListenRequest(const std::string &type, const LocalName &name) {
  return op::unix_listen().type(type).kind(name.kind).name(name.name);
}

inline Listener UnixListen(Peer &peer, op::unix_listen request) {
  const std::string handle = peer.fresh_handle("l");
  Reply reply = peer.call(request.as(handle));
  Required(reply);
  return Listener(&peer, handle, reply.bytes("native"));
}
inline Listener UnixListen(Peer &peer, const std::string &type, const LocalName &name) {
  return UnixListen(peer, ListenRequest(type, name));
}

/// A descriptor of a peer that it passes on.
struct Passed {
  uint64_t number;
  std::string of;  // what it is of
};

/// The descriptor behind a stream.
inline Passed Passing(const Stream &stream) {
  const Reply reply = stream.call(op::stream_raw());
  const std::string number = Required(reply).raw().value;
  return Passed{std::stoull(number), look::DescriptorOf(stream.peer().offer().pid, number)};
}

/// What the descriptors that came to a peer are of.
inline std::vector<std::string> Came(const Peer &peer, const Reply &reply) {
  std::vector<std::string> came;
  if (!reply.has("descriptors")) return came;
  for (uint64_t number : reply.numbers("descriptors")) {
    came.push_back(look::DescriptorOf(peer.offer().pid, std::to_string(number)));
  }
  return came;
}

/// Whether the descriptor behind a socket of `peer` is closed on exec.
inline bool IsCloseOnExec(const Peer &peer, const Socket &socket) {
  const Reply reply = socket.call(op::socket_raw());
  return look::IsCloseOnExec(peer.offer().pid, Required(reply).raw().value);
}

/// An abstract name as the system knows it.
inline LocalName AbstractName(const std::string &bytes) { return LocalName{"native", std::string(1, '\0') + bytes}; }

}  // namespace cts

#endif  // CONFORMANCE_CASES_SOCKETS_H
