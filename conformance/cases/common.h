// common.h - what the cases of several families share: times, requests, pipes.
#ifndef CONFORMANCE_CASES_COMMON_H
#define CONFORMANCE_CASES_COMMON_H

#include <string>

#include "conformance/support/case.h"

namespace cts {

/// Long enough to be told from "at once", short enough for a suite that runs often.
constexpr uint64_t kTimeoutMs = 40;

/// Milliseconds since it was made.
class Stopwatch {
 public:
  uint64_t ms() const { return static_cast<uint64_t>(NowUs() - begun_us_) / 1000; }

 private:
  int64_t begun_us_ = NowUs();
};

inline op::stream_read ReadSome(uint64_t max) { return op::stream_read().until("some").max(max); }
inline op::stream_read ReadExact(uint64_t length) { return op::stream_read().until("exact").max(length); }
inline op::stream_write WriteNow(const Data &data) { return op::stream_write().data(data).wait(false); }

/// The reply, or the end of the case.
inline const Reply &Required(const Reply &reply) {
  if (!reply.ok()) throw Abort{"failed", reply.role(), "the " + reply.role() + ": " + reply.describe()};
  return reply;
}

/// Both ends of a pipe.
struct Pipe {
  Stream reader, writer;
};

/// Makes a pipe, or ends the case.
inline Pipe MakePipe(Peer &peer, op::pipe_create request = op::pipe_create()) {
  const std::string reader = peer.fresh_handle("r"), writer = peer.fresh_handle("w");
  Required(peer.call(request.read_as(reader).write_as(writer)));
  return Pipe{Stream(&peer, reader), Stream(&peer, writer)};
}

}  // namespace cts

#endif  // CONFORMANCE_CASES_COMMON_H
