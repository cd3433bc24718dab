// named_pipes.h - what the cases of Windows' named pipes share: ends that a peer holds, listeners, connections.
#ifndef CONFORMANCE_CASES_NAMED_PIPES_H
#define CONFORMANCE_CASES_NAMED_PIPES_H

#include <string>

#include "conformance/cases/common.h"

namespace cts {

/// More than any system holds for a pipe whose size was not asked for, with room to spare.
constexpr uint64_t kFarBeyondThePipe = 4_MiB;
/// For what comes in any case, where a call without a timeout would not say what is meant.
constexpr uint64_t kLongMs = 8000;

/// One end of a named pipe that a peer holds.
class NamedPipe {
 public:
  NamedPipe() = default;
  NamedPipe(Peer *peer, std::string handle) : peer_(peer), handle_(std::move(handle)) {}

  Peer &peer() const { return *peer_; }
  const std::string &handle() const { return handle_; }

  Reply read(uint64_t max) const { return call(op::named_pipe_read().max(max)); }
  Reply write(const Data &data) const { return call(op::named_pipe_write().data(data)); }
  Reply peek(uint64_t max) const { return call(op::named_pipe_peek().max(max)); }
  Reply close() const { return call(op::named_pipe_close()); }

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
  std::string handle_;
};

/// A connection with both ends held, and the listener it came from.
struct PipePair {
  Listener listener;
  NamedPipe server, client;
  bool server_writes = false;
  /// By the shape `writer`; without that shape the client writes.
  const NamedPipe &writer() const { return server_writes ? server : client; }
  const NamedPipe &reader() const { return server_writes ? client : server; }
};

inline op::named_pipe_read ReadPipe(uint64_t max) { return op::named_pipe_read().max(max); }
inline op::named_pipe_read ReadPipeNow(uint64_t max) { return ReadPipe(max).wait(false); }
inline op::named_pipe_write WritePipe(const Data &data) { return op::named_pipe_write().data(data); }
inline op::named_pipe_write WritePipeNow(const Data &data) { return WritePipe(data).wait(false); }

inline op::named_pipe_listen PipeRequest(const LocalName &name) {
  return op::named_pipe_listen().kind(name.kind).name(name.name);
}
inline op::named_pipe_connect ConnectRequest(const Listener &listener) {
  return op::named_pipe_connect().kind("native").name(listener.native());
}

/// Listens, or ends the case.
inline Listener ListenPipe(Peer &peer, op::named_pipe_listen request) {
  const std::string handle = peer.fresh_handle("l");
  const Reply reply = peer.call(request.as(handle));
  Required(reply);
  return Listener(&peer, handle, reply.bytes("native"));
}

/// Connects, or ends the case.
inline NamedPipe ConnectPipe(Peer &peer, op::named_pipe_connect request) {
  const std::string handle = peer.fresh_handle("p");
  Required(peer.call(request.as(handle)));
  return NamedPipe(&peer, handle);
}
inline NamedPipe ConnectPipe(Peer &peer, const Listener &listener) {
  return ConnectPipe(peer, ConnectRequest(listener));
}

/// Accepts a connection that is there, or comes.
inline NamedPipe AcceptPipe(const Listener &listener) {
  const std::string handle = listener.peer().fresh_handle("p");
  Required(listener.call(op::listener_accept_named_pipe().as(handle)));
  return NamedPipe(&listener.peer(), handle);
}

/// Connects and accepts. The accept is under way before the connect: a listener need hold no more than one instance
/// that nobody has accepted.
inline PipePair ConnectPipes(const Listener &listener, Peer &client, op::named_pipe_connect request) {
  const std::string handle = listener.peer().fresh_handle("p");
  Pending accepting = listener.start(op::listener_accept_named_pipe().as(handle));
  PipePair pair;
  pair.client = ConnectPipe(client, request);
  Required(accepting.wait());
  pair.listener = listener;
  pair.server = NamedPipe(&listener.peer(), handle);
  return pair;
}
inline PipePair ConnectPipes(const Listener &listener, Peer &client) {
  return ConnectPipes(listener, client, ConnectRequest(listener));
}

/// Reads `data`, in as many reads of bytes as it takes, each with room for `room`.
inline void ExpectBytes(const NamedPipe &end, const Data &data, uint64_t room = 64_KiB) {
  for (uint64_t at = 0; at < data.length();) {
    const uint64_t want = std::min(room, data.length() - at);
    const Reply reply = end.read(want);
    if (!reply.ok() || reply.length() == 0 || reply.length() > want) {
      EXPECT_THAT(reply, Reads(Data(data.slice(at, want)))) << "behind " << at << " bytes";
      return;
    }
    const Data piece(data.slice(at, reply.length()));
    EXPECT_THAT(reply, Reads(piece)) << "behind " << at << " bytes";
    if (testing::Test::HasFailure()) return;
    at += reply.length();
  }
}

/// Whether that long has passed, and not much more.
inline void ExpectWaited(const Stopwatch &watch, uint64_t timeout_ms) {
  const uint64_t waited = watch.ms();
  EXPECT_GE(waited, timeout_ms);
  EXPECT_LT(waited, timeout_ms + LateMs());
}

}  // namespace cts

#endif  // CONFORMANCE_CASES_NAMED_PIPES_H
