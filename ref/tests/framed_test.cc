// Framed streams: what only a test inside one process can see: calls of the system, memory, every cut, every part.
#include "ipc/framed.h"

#include <dlfcn.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <map>

#include "ref/common/memory.h"
#include "ref/tests/support.h"

namespace {

std::map<std::string, int> calls;
bool recording = false;

void record(const char *name) {
  if (recording) calls[name]++;
}

template <typename Function>
Function next(const char *name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

size_t allocations = 0, fail_from = SIZE_MAX;
void *resize(void *memory, size_t bytes) {
  allocations++;
  return bytes >= fail_from ? nullptr : std::realloc(memory, bytes);
}

}  // namespace

#define COUNTED(result, name, parameters, ...)                  \
  extern "C" result name parameters {                           \
    record(#name);                                              \
    static const auto real = next<result(*) parameters>(#name); \
    return real(__VA_ARGS__);                                   \
  }

COUNTED(ssize_t, recv, (int fd, void *data, size_t len, int flags), fd, data, len, flags)
COUNTED(ssize_t, send, (int fd, const void *data, size_t len, int flags), fd, data, len, flags)
COUNTED(ssize_t, recvmsg, (int fd, msghdr *message, int flags), fd, message, flags)
COUNTED(ssize_t, sendmsg, (int fd, const msghdr *message, int flags), fd, message, flags)
COUNTED(int, poll, (pollfd * polled, nfds_t n, int timeout), polled, n, timeout)
COUNTED(int, clock_gettime, (clockid_t clock, timespec *out), clock, out)

namespace ref_tests {
namespace {

using Counts = std::map<std::string, int>;

Counts counted(const std::function<void()> &body) {
  calls.clear();
  recording = true;
  body();
  recording = false;
  return calls;
}

constexpr uint32_t kCodecs[] = {IPC_FRAMING_U32,       IPC_FRAMING_LENGTH,         IPC_FRAMING_VARINT,
                                IPC_FRAMING_NETSTRING, IPC_FRAMING_CONTENT_LENGTH, IPC_FRAMING_ESCAPE};

ipc_framing codec_of(uint32_t codec, uint64_t max = 0) {
  ipc_framing f{};
  f.size = sizeof f;
  f.codec = codec;
  f.width = f.skip = 4;
  f.max = max;
  return f;
}

// The frame around |body|.
std::string frame_of(const ipc_framing &f, const std::string &body) {
  char header[IPC_FRAMING_ENCODED_MAX];
  size_t len = 0;
  ipc_const_buffer trailer{};
  EXPECT_STATUS(IPC_OK, ipc_framing_encode(&f, body.size(), header, sizeof header, &len, &trailer));
  return std::string(header, len) + body + std::string(static_cast<const char *>(trailer.data), trailer.len);
}

// A framed stream over one end of a pair of sockets, the other end bare.
class FramedTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    before_ = ipc_memory_resize;
    ipc_memory_resize = resize;
  }
  void TearDown() override {
    finish();
    ipc_memory_resize = before_;
    fail_from = SIZE_MAX;
    DescriptorTest::TearDown();
  }
  // |room| bytes of socket buffer; 0 leaves it alone.
  void open(const ipc_framing &framing, int room = 0) {
    finish();
    int ends[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
    if (room != 0) setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    bare_ = ends[1];
    const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
    ipc_stream *stream = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &stream));
    ASSERT_STATUS(IPC_OK, ipc_framed_open(stream, &framing, &framed_));
  }
  void finish() {
    ipc_framed_free(framed_);
    framed_ = nullptr;
    if (bare_ >= 0) ::close(bare_);
    bare_ = -1;
  }
  void put(const std::string &bytes) {
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t n = ::write(bare_, bytes.data() + at, bytes.size() - at);
      ASSERT_GT(n, 0);
      at += static_cast<size_t>(n);
    }
  }
  std::string get(size_t len) {
    std::string bytes(len, '\0');
    for (size_t at = 0; at < len;) {
      const ssize_t n = ::read(bare_, bytes.data() + at, len - at);
      if (n <= 0) return bytes.substr(0, at);
      at += static_cast<size_t>(n);
    }
    return bytes;
  }
  ipc_status read(int64_t timeout_ms = IPC_NO_TIMEOUT) {
    room_.assign(1 << 21, '\0');
    const ipc_status status = ipc_framed_read(framed_, room_.data(), room_.size(), timeout_ms, &len_);
    room_.resize(status.code == IPC_OK ? len_ : 0);
    return status;
  }
  ipc_status write(const std::vector<std::string> &bodies, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    std::vector<ipc_const_buffer> buffers;
    for (const std::string &body : bodies) buffers.push_back({body.data(), body.size()});
    return ipc_framed_write(framed_, buffers.data(), buffers.size(), timeout_ms, &num_);
  }

  ipc_framed *framed_ = nullptr;
  int bare_ = -1;
  std::string room_;
  size_t len_ = 0, num_ = 0;

 private:
  void *(*before_)(void *, size_t) = nullptr;
};

TEST_F(FramedTest, ArgumentsAreChecked) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  open(f);
  char byte;
  ipc_framed *other = nullptr;
  ipc_raw raw{};
  std::vector<ipc_const_buffer> many(65, ipc_const_buffer{"x", 1});
  const ipc_const_buffer none{nullptr, 1};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_open(nullptr, &f, &other));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_read(nullptr, &byte, 1, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_read(framed_, nullptr, 1, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_read(framed_, &byte, 1, 0, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_read(framed_, &byte, 1, -2, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_write(nullptr, many.data(), 1, 0, &num_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_write(framed_, nullptr, 1, 0, &num_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_write(framed_, many.data(), 65, 0, &num_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_write(framed_, many.data(), 1, 0, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_write(framed_, &none, 1, 0, &num_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_flush(nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_raw(framed_, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_framed_close(nullptr));
  EXPECT_STATUS(IPC_OK, ipc_framed_free(nullptr));
  EXPECT_STATUS(IPC_OK, ipc_framed_close(framed_));
  EXPECT_STATUS(IPC_CLOSED, ipc_framed_close(framed_));
  EXPECT_STATUS(IPC_CLOSED, read());
  EXPECT_STATUS(IPC_CLOSED, write({"x"}));
  EXPECT_STATUS(IPC_CLOSED, ipc_framed_flush(framed_, 0));
  EXPECT_STATUS(IPC_CLOSED, ipc_framed_raw(framed_, &raw));
}

TEST_F(FramedTest, WhatNeedNotWaitIsOneCall) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  open(f);
  const std::vector<std::string> shorts(64, std::string(64, 's'));
  const std::string long_body(4000, 'l');
  for (const int64_t timeout_ms : {IPC_NO_TIMEOUT, int64_t{0}, int64_t{5000}}) {
    EXPECT_EQ((Counts{{"send", 1}}), counted([&] { write({"hello"}, timeout_ms); }));
    EXPECT_EQ((Counts{{"sendmsg", 1}}), counted([&] { write({long_body}, timeout_ms); }));
    EXPECT_EQ((Counts{{"send", 1}}), counted([&] { write(shorts, timeout_ms); }));
    EXPECT_EQ(64u, num_);
    EXPECT_EQ((Counts{{"sendmsg", 3}}),
              counted([&] { write(std::vector<std::string>(64, long_body.substr(0, 400))); }));
    get(9 + 4004 + 64 * 68 + 64 * 404);
    put(frame_of(f, "one") + frame_of(f, "") + frame_of(f, "three"));
    EXPECT_EQ((Counts{{"recv", 1}}), counted([&] { EXPECT_STATUS(IPC_OK, read(timeout_ms)); }));
    EXPECT_EQ((Counts{}), counted([&] { EXPECT_STATUS(IPC_OK, read(timeout_ms)); }));
    EXPECT_EQ((Counts{}), counted([&] { EXPECT_STATUS(IPC_OK, read(timeout_ms)); }));
    EXPECT_EQ("three", room_);
  }
}

TEST_F(FramedTest, SmallFramesAllocateNothingAfterTheFirst) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  open(f);
  put(frame_of(f, std::string(200, 'x')));
  ASSERT_STATUS(IPC_OK, read());
  allocations = 0;
  for (int i = 0; i < 100; i++) {
    put(frame_of(f, std::string(100, 'y')));
    ASSERT_STATUS(IPC_OK, read());
    ASSERT_STATUS(IPC_OK, write({std::string(100, 'z')}));
    get(104);
  }
  EXPECT_EQ(0u, allocations);
}

TEST_F(FramedTest, EveryCutByEveryCodec) {
  for (const uint32_t codec : kCodecs) {
    const ipc_framing f = codec_of(codec);
    const std::string stream = frame_of(f, "hello") + frame_of(f, "") + frame_of(f, "world");
    for (size_t cut = 0; cut <= stream.size(); cut++) {
      open(f);
      std::vector<std::string> bodies;
      put(stream.substr(0, cut));
      while (read(0).code == IPC_OK) bodies.push_back(room_);
      put(stream.substr(cut));
      ::shutdown(bare_, SHUT_WR);
      ipc_status last;
      while ((last = read()).code == IPC_OK) bodies.push_back(room_);
      EXPECT_STATUS(IPC_END, last);
      ASSERT_EQ((std::vector<std::string>{"hello", "", "world"}), bodies) << codec << " cut at " << cut;
    }
  }
}

TEST_F(FramedTest, SlowSenderIsWaitedFor) {
  for (const uint32_t codec : kCodecs) {
    const ipc_framing f = codec_of(codec);
    open(f);
    const std::string stream = frame_of(f, "hello") + frame_of(f, "x");
    Worker sender([&] {
      for (const char c : stream) put(std::string(1, c));
    });
    EXPECT_STATUS(IPC_OK, read());
    EXPECT_EQ("hello", room_);
    EXPECT_STATUS(IPC_OK, read(20000));
    EXPECT_EQ("x", room_);
  }
}

// A sender whose socket takes little at a time, whatever it takes: what arrives is whole.
TEST_F(FramedTest, PartsOfAFrameGoOnWhereTheyEnded) {
  for (const uint32_t codec : kCodecs) {
    const ipc_framing f = codec_of(codec);
    for (size_t ahead = 0; ahead < 40; ahead++) {
      open(f, 1);
      ASSERT_STATUS(IPC_OK, ipc_framed_set_nonblocking(framed_, true));
      std::string expected, got;
      size_t attempts = 0;
      const std::vector<std::string> bodies = {std::string(ahead, 'a'), std::string(3000, 'b'), "",
                                               std::string(9000, 'c')};
      for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < bodies.size();) {
          const std::vector<std::string> left(bodies.begin() + static_cast<long>(i), bodies.end());
          const ipc_status status = write(left);
          if (status.code == IPC_WOULD_BLOCK) {
            ASSERT_EQ(0u, num_);
            got += get(997);
          } else {
            ASSERT_STATUS(IPC_OK, status);
            ASSERT_GT(num_, 0u);
          }
          for (size_t n = 0; n < num_; n++) expected += frame_of(f, bodies[i++]);
          ASSERT_LT(attempts++, 100000u);
        }
      }
      while (ipc_framed_flush(framed_, 0).code == IPC_WOULD_BLOCK) got += get(1);
      got += get(expected.size() - got.size());
      ASSERT_EQ(expected, got) << codec << " " << ahead;
    }
  }
}

TEST_F(FramedTest, PipesAndTheirEverySize) {
  const ipc_framing f = codec_of(IPC_FRAMING_NETSTRING);
  ipc_stream *in = nullptr, *out = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &in, &out));
  ipc_framed *reader = nullptr, *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_framed_open(in, &f, &reader));
  ASSERT_STATUS(IPC_OK, ipc_framed_open(out, &f, &writer));
  Worker sender([&] {
    for (size_t len = 0; len < 200000; len += 4097) {
      const std::string body(len, 'p');
      const ipc_const_buffer buffer{body.data(), body.size()};
      size_t num = 0;
      EXPECT_STATUS(IPC_OK, ipc_framed_write(writer, &buffer, 1, IPC_NO_TIMEOUT, &num));
    }
    ipc_framed_free(writer);
  });
  room_.resize(1 << 20);
  for (size_t len = 0; len < 200000; len += 4097) {
    ASSERT_STATUS(IPC_OK, ipc_framed_read(reader, room_.data(), room_.size(), IPC_NO_TIMEOUT, &len_));
    ASSERT_EQ(len, len_);
  }
  EXPECT_STATUS(IPC_END, ipc_framed_read(reader, room_.data(), room_.size(), IPC_NO_TIMEOUT, &len_));
  ipc_framed_free(reader);
}

TEST_F(FramedTest, TimeoutsLoseNothing) {
  const ipc_framing f = codec_of(IPC_FRAMING_NETSTRING);
  open(f);
  for (const char c : frame_of(f, "hello")) {
    EXPECT_STATUS(IPC_TIMED_OUT, read(1));
    put(std::string(1, c));
  }
  EXPECT_STATUS(IPC_OK, read(0));
  EXPECT_EQ("hello", room_);
}

TEST_F(FramedTest, MemoryForTheRestMayRunOut) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  open(f, 1);
  fail_from = 1000;
  EXPECT_STATUS(IPC_OUT_OF_RESOURCES, write({"first", std::string(100000, 'x')}, 0));
  EXPECT_EQ(2u, num_);
  fail_from = SIZE_MAX;
  EXPECT_STATUS(IPC_OUT_OF_RESOURCES, write({"next"}, 0));
  EXPECT_EQ(0u, num_);
}

TEST_F(FramedTest, MemoryForAFrameMayRunOutAndComeBack) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  open(f);
  put(frame_of(f, std::string(5000, 'x')) + frame_of(f, "y"));
  fail_from = 1000;
  EXPECT_STATUS(IPC_OUT_OF_RESOURCES, read());
  fail_from = SIZE_MAX;
  EXPECT_STATUS(IPC_OK, read());
  EXPECT_EQ(std::string(5000, 'x'), room_);
  EXPECT_STATUS(IPC_OK, read());
  EXPECT_EQ("y", room_);
}

TEST_F(FramedTest, FailedOpenLeavesTheStream) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  int ends[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
  const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
  ipc_stream *stream = nullptr;
  ipc_framed *framed = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &stream));
  for (const size_t limit : {size_t{1}, size_t{10000}}) {
    fail_from = limit;
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, ipc_framed_open(stream, &f, &framed));
    EXPECT_EQ(nullptr, framed);
  }
  fail_from = SIZE_MAX;
  char byte;
  Worker reader([&] { ipc_stream_read(stream, &byte, 1, IPC_NO_TIMEOUT, &len_); });
  ASSERT_TRUE(reader.wait_until_polling());
  EXPECT_STATUS(IPC_BUSY, ipc_framed_open(stream, &f, &framed));
  ASSERT_EQ(1, ::write(ends[1], "x", 1));
  reader.join();
  EXPECT_EQ(1u, len_);
  ipc_stream_close(stream);
  EXPECT_STATUS(IPC_CLOSED, ipc_framed_open(stream, &f, &framed));
  ipc_stream_free(stream);
  ::close(ends[1]);
}

TEST_F(FramedTest, CloseEndsWhoHasTheTurnAndWhoWaitsForIt) {
  open(codec_of(IPC_FRAMING_U32), 1);
  std::atomic<int> cancelled{0};
  const auto reading = [&] {
    char body[8];
    size_t len;
    cancelled += ipc_framed_read(framed_, body, 8, IPC_NO_TIMEOUT, &len).code == IPC_CANCELLED;
  };
  const std::string body(1 << 20, 'x');
  const auto writing = [&] {
    const ipc_const_buffer buffer{body.data(), body.size()};
    size_t num;
    cancelled += ipc_framed_write(framed_, &buffer, 1, IPC_NO_TIMEOUT, &num).code == IPC_CANCELLED;
  };
  Worker r1(reading), w1(writing);
  ASSERT_TRUE(r1.wait_until_polling());
  ASSERT_TRUE(w1.wait_until_polling());
  Worker r2(reading), w2(writing);
  ASSERT_TRUE(r2.wait_until_in(SYS_futex));
  ASSERT_TRUE(w2.wait_until_in(SYS_futex));
  EXPECT_STATUS(IPC_TIMED_OUT, write({"no turn"}, 1));
  EXPECT_STATUS(IPC_OK, ipc_framed_set_nonblocking(framed_, true));
  EXPECT_STATUS(IPC_WOULD_BLOCK, write({"no turn"}));
  EXPECT_STATUS(IPC_OK, ipc_framed_close(framed_));
  for (Worker *worker : {&r1, &w1, &r2, &w2}) worker->join();
  EXPECT_EQ(4, cancelled);
}

TEST_F(FramedTest, SignalsChangeNothing) {
  const ipc_framing f = codec_of(IPC_FRAMING_U32);
  open(f, 1);
  struct sigaction nothing{};
  nothing.sa_handler = [](int) {};
  struct sigaction before{};
  sigaction(SIGUSR1, &nothing, &before);
  const std::string body(300000, 'x');
  {
    Worker reader([&] { EXPECT_STATUS(IPC_OK, read()); });
    ASSERT_TRUE(reader.wait_until_polling());
    for (const char c : frame_of(f, "hello")) {
      pthread_kill(reader.handle(), SIGUSR1);
      put(std::string(1, c));
    }
  }
  EXPECT_EQ("hello", room_);
  {
    Worker writer([&] { EXPECT_STATUS(IPC_OK, write({body})); });
    ASSERT_TRUE(writer.wait_until_polling());
    std::string got;
    while (got.size() < body.size()) {
      pthread_kill(writer.handle(), SIGUSR1);
      got += get(10001 < body.size() + 4 - got.size() ? 10001 : body.size() + 4 - got.size());
    }
    EXPECT_EQ(frame_of(f, body), got);
  }
  sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace ref_tests
