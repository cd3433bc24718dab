// Streams: transfers, their ends, and handles that are closed, split and released while they are in use.
#include <sys/socket.h>

#include <cstring>
#include <memory>
#include <numeric>

#include "ref/tests/support.h"

namespace ref_tests {
namespace {

class StreamTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    pair_ = std::make_unique<Pair>(directory_.file("s"));
  }
  void TearDown() override {
    pair_.reset();
    DescriptorTest::TearDown();
  }
  ipc_stream *&server() { return pair_->server; }
  ipc_stream *&client() { return pair_->client; }

  // Writes until nothing more fits; how much did.
  static size_t fill(ipc_stream *stream) {
    const std::string block(65536, 'f');
    size_t total = 0, len = 0;
    ipc_status status;
    do {
      status = ipc_stream_write(stream, block.data(), block.size(), 0, &len);
      total += len;
    } while (status.code == IPC_OK);
    EXPECT_EQ(IPC_TIMED_OUT, status.code);
    return total;
  }
  // Reads until something other than IPC_OK; that, and how much came.
  static int32_t drain(ipc_stream *stream, size_t *total) {
    std::string block(65536, 0);
    size_t len = 0;
    *total = 0;
    for (;;) {
      const ipc_status status = ipc_stream_read(stream, block.data(), block.size(), 0, &len);
      if (status.code != IPC_OK) return status.code;
      *total += len;
    }
  }

  TempDir directory_;
  std::unique_ptr<Pair> pair_;
  char data_[64] = {};
  size_t len_ = 77;
};

TEST_F(StreamTest, BytesArriveInOrderAndThenTheEnd) {
  std::string sent(1 << 20, 0);
  std::iota(sent.begin(), sent.end(), 0);
  std::thread writer([&] {
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_stream_write(client(), sent.data(), sent.size(), IPC_NO_TIMEOUT, &len));
    EXPECT_EQ(sent.size(), len);
    EXPECT_STATUS(IPC_OK, ipc_stream_flush(client()));
    EXPECT_STATUS(IPC_OK, ipc_stream_close(client()));
  });
  std::string got;
  char block[7777];
  ipc_status status;
  while ((status = ipc_stream_read(server(), block, sizeof block, IPC_NO_TIMEOUT, &len_)).code == IPC_OK)
    got.append(block, len_);
  writer.join();
  EXPECT_EQ(IPC_END, status.code);
  EXPECT_EQ(0u, len_);
  EXPECT_TRUE(sent == got);
  for (int i = 0; i < 3; i++) EXPECT_STATUS(IPC_END, ipc_stream_read(server(), block, 1, 0, &len_));
}

TEST_F(StreamTest, EmptyTransfersSayOkInEveryState) {
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 0, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(server(), nullptr, 0, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read_vectored(server(), nullptr, 0, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(server(), nullptr, 0, 0, &len_));
  const ipc_buffer empty[2] = {{nullptr, 0}, {data_, 0}};
  EXPECT_STATUS(IPC_OK, ipc_stream_read_vectored(server(), empty, 2, 0, &len_));
  ipc_stream_close(client());
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 0, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(server(), "", 0, 0, &len_));
  EXPECT_EQ(0u, len_);
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_read(client(), data_, 0, 0, &len_));
}

TEST_F(StreamTest, ArgumentsAreChecked) {
  const ipc_buffer hole{nullptr, 1};
  const ipc_const_buffer const_hole{nullptr, 1};
  const ipc_buffer huge[2] = {{data_, SIZE_MAX / 2}, {data_, SIZE_MAX / 2}};
  const std::vector<ipc_buffer> many(65, ipc_buffer{data_, 0});
  const std::vector<ipc_const_buffer> const_many(65, ipc_const_buffer{data_, 0});
  for (const ipc_status &status : {ipc_stream_read(nullptr, data_, 1, 0, &len_),
                                   ipc_stream_read(server(), nullptr, 1, 0, &len_),
                                   ipc_stream_read(server(), data_, 1, 0, nullptr),
                                   ipc_stream_read(server(), data_, 1, -2, &len_),
                                   ipc_stream_write(nullptr, "x", 1, 0, &len_),
                                   ipc_stream_write(server(), nullptr, 1, 0, &len_),
                                   ipc_stream_write(server(), "x", 1, 0, nullptr),
                                   ipc_stream_write(server(), "x", 1, -2, &len_),
                                   ipc_stream_read_vectored(server(), nullptr, 1, 0, &len_),
                                   ipc_stream_read_vectored(server(), &hole, 1, 0, &len_),
                                   ipc_stream_read_vectored(server(), huge, 2, 0, &len_),
                                   ipc_stream_read_vectored(server(), many.data(), many.size(), 0, &len_),
                                   ipc_stream_write_vectored(server(), const_many.data(), const_many.size(), 0, &len_),
                                   ipc_stream_write_vectored(server(), &const_hole, 1, 0, &len_),
                                   ipc_stream_flush(nullptr),
                                   ipc_stream_close(nullptr),
                                   ipc_stream_raw(server(), nullptr),
                                   ipc_stream_raw(nullptr, nullptr),
                                   ipc_stream_release(server(), nullptr),
                                   ipc_stream_peer_credentials(server(), nullptr),
                                   ipc_stream_split(server(), nullptr, nullptr)}) {
    EXPECT_EQ(IPC_INVALID_ARGUMENT, status.code);
  }
  EXPECT_EQ(0u, len_);
}

TEST_F(StreamTest, TimeoutsAreNeverEarly) {
  for (const int timeout_ms : {0, 1, 45}) {
    auto start = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(server(), data_, sizeof data_, timeout_ms, &len_));
    EXPECT_GE(Clock::now() - start, milliseconds(timeout_ms));
    EXPECT_EQ(0u, len_);
  }
  const size_t full = fill(client());
  for (const int timeout_ms : {0, 1, 45}) {
    auto start = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(client(), "x", 1, timeout_ms, &len_));
    EXPECT_GE(Clock::now() - start, milliseconds(timeout_ms));
    EXPECT_EQ(0u, len_);
  }
  size_t total;
  EXPECT_EQ(IPC_TIMED_OUT, drain(server(), &total));
  EXPECT_EQ(full, total);
}

TEST_F(StreamTest, WriteThatTimesOutSaysWhatWasTaken) {
  const std::string big(8 << 20, 'x');
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(client(), big.data(), big.size(), 20, &len_));
  EXPECT_GT(len_, 0u);
  EXPECT_LT(len_, big.size());
  size_t total;
  drain(server(), &total);
  EXPECT_EQ(len_, total);
}

TEST_F(StreamTest, SignalsNeitherEndNorProlongAWait) {
  struct sigaction action{}, saved{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, &saved);
  const auto start = Clock::now();
  {
    Worker worker([&] { EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(server(), data_, 1, 60, &len_)); });
    while (!worker.done()) {
      if (worker.tid() != 0) syscall(SYS_tgkill, getpid(), worker.tid(), SIGUSR2);
      sched_yield();
    }
  }
  EXPECT_GE(Clock::now() - start, milliseconds(60));
  EXPECT_LT(Clock::now() - start, kDeadline);
  sigaction(SIGUSR2, &saved, nullptr);
}

TEST_F(StreamTest, WriteAfterTheReaderLeftIsBrokenPipe) {
  ipc_stream_close(server());
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(client(), "x", 1, IPC_NO_TIMEOUT, &len_));
  const ipc_const_buffer two[2] = {{"x", 1}, {"y", 1}};
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write_vectored(client(), two, 2, IPC_NO_TIMEOUT, &len_));
  EXPECT_EQ(0u, len_);
}

TEST_F(StreamTest, BlockedWriteEndsWithTheReader) {
  const std::string big(8 << 20, 'x');
  Worker worker([&] {
    EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(client(), big.data(), big.size(), IPC_NO_TIMEOUT, &len_));
    EXPECT_GT(len_, 0u);
    EXPECT_LT(len_, big.size());
  });
  EXPECT_TRUE(worker.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_stream_close(server()));
}

TEST_F(StreamTest, UnreadDataOfOursIsAResetOnceAndThenTheEnd) {
  EXPECT_STATUS(IPC_OK, ipc_stream_write(client(), "unread", 6, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(server(), "last", 4, 0, &len_));
  ipc_stream_close(server());
  EXPECT_STATUS(IPC_OK, ipc_stream_read(client(), data_, sizeof data_, 0, &len_));
  EXPECT_EQ(4u, len_);
  EXPECT_STATUS(IPC_RESET, ipc_stream_read(client(), data_, sizeof data_, 0, &len_));
  EXPECT_STATUS(IPC_END, ipc_stream_read(client(), data_, sizeof data_, 0, &len_));
  EXPECT_STATUS(IPC_END, ipc_stream_read(client(), data_, sizeof data_, 0, &len_));
}

TEST_F(StreamTest, CloseEndsAReadAndAWriteThatWait) {
  const size_t full = fill(client());
  Worker reader([&] {
    size_t len = 7;
    char byte;
    EXPECT_STATUS(IPC_CANCELLED, ipc_stream_read(client(), &byte, 1, IPC_NO_TIMEOUT, &len));
    EXPECT_EQ(0u, len);
  });
  Worker writer([&] {
    size_t len = 7;
    EXPECT_STATUS(IPC_CANCELLED, ipc_stream_write(client(), "x", 1, 20000, &len));
    EXPECT_EQ(0u, len);
  });
  EXPECT_TRUE(reader.wait_until_polling());
  EXPECT_TRUE(writer.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_stream_close(client()));
  reader.join();
  writer.join();
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_read(client(), data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_write(client(), "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_flush(client()));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_close(client()));
  size_t total;
  EXPECT_EQ(IPC_END, drain(server(), &total));
  EXPECT_EQ(full, total);
}

// The socket is shared with a descriptor that others hold: closing the handle must wake its waiters and nothing else.
TEST_F(StreamTest, CloseLeavesASharedDescriptorWhole) {
  const int shared = fcntl(raw_fd(client()), F_DUPFD_CLOEXEC, 0);
  {
    Worker worker([&] {
      size_t len;
      char byte;
      EXPECT_STATUS(IPC_CANCELLED, ipc_stream_read(client(), &byte, 1, IPC_NO_TIMEOUT, &len));
    });
    EXPECT_TRUE(worker.wait_until_polling());
    EXPECT_STATUS(IPC_OK, ipc_stream_close(client()));
  }
  EXPECT_EQ(0, fcntl(shared, F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(1, ::write(shared, "a", 1));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(server(), "b", 1, 0, &len_));
  EXPECT_EQ(1, ::read(shared, data_, 1));
  ::close(shared);
  EXPECT_STATUS(IPC_END, ipc_stream_read(server(), data_, 1, 20000, &len_));
}

TEST_F(StreamTest, CloseInTheMiddleOfTransfersIsClean) {
  for (int round = 0; round < 100; round++) {
    Pair pair(directory_.file("t"));
    std::atomic<int> inside{0};
    const auto body = [&](bool write) {
      char block[4096] = {};
      size_t len;
      ipc_status status;
      inside++;
      do {
        status = write ? ipc_stream_write(pair.client, block, sizeof block, IPC_NO_TIMEOUT, &len)
                       : ipc_stream_read(pair.client, block, sizeof block, IPC_NO_TIMEOUT, &len);
      } while (status.code == IPC_OK);
      EXPECT_TRUE(status.code == IPC_CANCELLED || status.code == IPC_CLOSED) << status.code;
    };
    std::thread reader(body, false), writer(body, true), second(body, true);
    std::thread echo([&] {
      char block[4096];
      size_t len;
      while (ipc_stream_read(pair.server, block, sizeof block, IPC_NO_TIMEOUT, &len).code == IPC_OK) {
        if (ipc_stream_write(pair.server, block, len, IPC_NO_TIMEOUT, &len).code != IPC_OK) break;
      }
    });
    while (inside != 3) sched_yield();
    EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
    for (auto *thread : {&reader, &writer, &second, &echo}) thread->join();
  }
}

TEST_F(StreamTest, VectoredTransfersFillInOrder) {
  ipc_const_buffer out[4] = {{"ab", 2}, {nullptr, 0}, {"c", 1}, {"defg", 4}};
  const ipc_const_buffer before[4] = {out[0], out[1], out[2], out[3]};
  EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(client(), out, 4, 0, &len_));
  EXPECT_EQ(7u, len_);
  EXPECT_EQ(0, std::memcmp(before, out, sizeof out));
  char a[3] = {}, b[10] = {};
  const ipc_buffer in[3] = {{a, 3}, {nullptr, 0}, {b, 10}};
  EXPECT_STATUS(IPC_OK, ipc_stream_read_vectored(server(), in, 3, 0, &len_));
  EXPECT_EQ(7u, len_);
  EXPECT_EQ("abc", std::string(a, 3));
  EXPECT_STREQ("defg", b);
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read_vectored(server(), in, 3, 0, &len_));
}

TEST_F(StreamTest, VectoredWriteGoesOnWhereItStopped) {
  std::vector<std::string> parts;
  std::vector<ipc_const_buffer> buffers;
  std::string all;
  for (size_t i = 0; i < 64; i++) {
    parts.emplace_back(i * 1500 + 1, static_cast<char>('A' + i));
    all += parts.back();
  }
  for (const auto &part : parts) buffers.push_back({part.data(), part.size()});
  const auto before = buffers;
  std::thread writer([&] {
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(client(), buffers.data(), buffers.size(), IPC_NO_TIMEOUT, &len));
    EXPECT_EQ(all.size(), len);
    EXPECT_EQ(0, std::memcmp(before.data(), buffers.data(), buffers.size() * sizeof buffers[0]));
    ipc_stream_close(client());
  });
  std::string got;
  char block[3001];
  while (ipc_stream_read(server(), block, sizeof block, IPC_NO_TIMEOUT, &len_).code == IPC_OK) got.append(block, len_);
  writer.join();
  EXPECT_TRUE(all == got);
}

TEST_F(StreamTest, HalvesKeepTheConnectionUntilBothAreClosed) {
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_stream_split(client(), &reader, &writer));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_read(client(), data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_close(client()));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_read(writer, data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write(reader, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_flush(reader));
  EXPECT_STATUS(IPC_OK, ipc_stream_flush(writer));
  ipc_stream *a;
  ipc_stream *b;
  ipc_raw raw;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_split(reader, &a, &b));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_release(writer, &raw));
  EXPECT_EQ(raw_fd(reader), raw_fd(writer));

  // The writing half goes: no end for the other side, and the reading half still reads.
  EXPECT_STATUS(IPC_OK, ipc_stream_write(writer, "a", 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(writer));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(server(), data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(server(), "b", 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(reader, data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_write(writer, "a", 1, 0, &len_));
  {
    Worker waiting([&] { EXPECT_STATUS(IPC_CANCELLED, ipc_stream_read(reader, data_, 1, IPC_NO_TIMEOUT, &len_)); });
    EXPECT_TRUE(waiting.wait_until_polling());
    EXPECT_STATUS(IPC_OK, ipc_stream_close(reader));
  }
  size_t len;
  EXPECT_STATUS(IPC_END, ipc_stream_read(server(), data_, 1, 0, &len));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

TEST_F(StreamTest, SplitIsBusyWhileACallIsUnderWay) {
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  Worker worker([&] { EXPECT_STATUS(IPC_OK, ipc_stream_read(client(), data_, 1, IPC_NO_TIMEOUT, &len_)); });
  EXPECT_TRUE(worker.wait_until_polling());
  EXPECT_STATUS(IPC_BUSY, ipc_stream_split(client(), &reader, &writer));
  EXPECT_EQ(nullptr, reader);
  size_t len;
  EXPECT_STATUS(IPC_OK, ipc_stream_write(server(), "x", 1, 0, &len));
  worker.join();
  ASSERT_STATUS(IPC_OK, ipc_stream_split(client(), &reader, &writer));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

TEST_F(StreamTest, ReleaseEndsCallsAndGivesTheDescriptorAsItIs) {
  ipc_raw raw{};
  {
    Worker worker([&] { EXPECT_STATUS(IPC_CANCELLED, ipc_stream_read(client(), data_, 1, IPC_NO_TIMEOUT, &len_)); });
    EXPECT_TRUE(worker.wait_until_polling());
    EXPECT_STATUS(IPC_OK, ipc_stream_release(client(), &raw));
  }
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_release(client(), &raw));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_close(client()));
  const int fd = static_cast<int>(raw.value);
  EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(1, ::write(fd, "r", 1));
  size_t len;
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 1, 0, &len));
  ipc_stream *adopted = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &adopted));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(adopted, "s", 1, 0, &len));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 1, 0, &len));
  ipc_stream_free(adopted);
  EXPECT_STATUS(IPC_END, ipc_stream_read(server(), data_, 1, 0, &len));
}

TEST_F(StreamTest, AdoptedStreamWaitsWhateverItsMode) {
  for (const bool nonblocking : {false, true}) {
    int both[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | (nonblocking ? SOCK_NONBLOCK : 0), 0, both));
    const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(both[0])};
    ipc_stream *stream = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &stream));
    EXPECT_EQ(FD_CLOEXEC, fcntl(both[0], F_GETFD));
    {
      Worker worker([&] { EXPECT_STATUS(IPC_OK, ipc_stream_read(stream, data_, 1, IPC_NO_TIMEOUT, &len_)); });
      EXPECT_TRUE(worker.wait_until_polling());
      EXPECT_EQ(1, ::write(both[1], "x", 1));
    }
    EXPECT_EQ(nonblocking, (fcntl(both[1], F_GETFL) & O_NONBLOCK) != 0);
    EXPECT_EQ(nonblocking, (fcntl(both[0], F_GETFL) & O_NONBLOCK) != 0);
    ipc_stream_free(stream);
    ::close(both[1]);
  }
}

TEST_F(StreamTest, DescriptorsThatTravelWithBytesAreNotKept) {
  int both[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both));
  const int sender = raw_fd(client());
  char byte = 'd';
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &both[0], sizeof(int));
  const auto before = open_descriptors();
  for (int i = 0; i < 2; i++) {
    ASSERT_EQ(1, sendmsg(sender, &message, 0));
    char more;
    const ipc_buffer two[2] = {{data_, 1}, {&more, 1}};
    EXPECT_STATUS(IPC_OK, i == 0 ? ipc_stream_read(server(), data_, 1, 0, &len_)
                                 : ipc_stream_read_vectored(server(), two, 2, 0, &len_));
    EXPECT_EQ(before, open_descriptors());
  }
  ::close(both[0]);
  ::close(both[1]);
}

TEST_F(StreamTest, WaitingNeedsNoDescriptorToBeLeft) {
  // The thread begins before the limit and ends after it, and only locals are used under it: UBSan needs a pipe to
  // check what an object is.
  ipc_stream *const stream = server();
  enum { kStarting, kStarted, kLimited, kReading, kLifted };
  std::atomic<int> phase{kStarting};
  std::thread reader([&phase, stream] {
    char other;
    size_t other_len;
    phase = kStarted;
    while (phase != kLimited) sched_yield();
    phase = kReading;
    const ipc_status status = ipc_stream_read(stream, &other, 1, IPC_NO_TIMEOUT, &other_len);
    EXPECT_TRUE(status.code == IPC_CANCELLED || status.code == IPC_CLOSED) << status.code;
    while (phase != kLifted) sched_yield();
  });
  while (phase != kStarted) sched_yield();
  {
    char byte;
    size_t len;
    DescriptorLimit limit(0);
    const auto start = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(stream, &byte, 1, 25, &len));
    EXPECT_GE(Clock::now() - start, milliseconds(25));
    phase = kLimited;
    while (phase != kReading) sched_yield();
    EXPECT_STATUS(IPC_OK, ipc_stream_close(stream));
  }
  phase = kLifted;
  reader.join();
}

#ifndef IPC_WITHOUT_NONBLOCKING
TEST_F(StreamTest, NonblockingIsOfTheHandleAlone) {
  const int flags = fcntl(raw_fd(client()), F_GETFL);
  EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(client(), true));
  EXPECT_EQ(flags, fcntl(raw_fd(client()), F_GETFL));
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_read(client(), data_, 1, IPC_NO_TIMEOUT, &len_));
  const std::string big(8 << 20, 'x');
  EXPECT_STATUS(IPC_OK, ipc_stream_write(client(), big.data(), big.size(), IPC_NO_TIMEOUT, &len_));
  EXPECT_GT(len_, 0u);
  EXPECT_LT(len_, big.size());
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_write(client(), big.data(), big.size(), 1000, &len_));
  EXPECT_EQ(0u, len_);

  // Halves begin as the stream was, and are switched apart.
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_stream_split(client(), &reader, &writer));
  EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(reader, false));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(reader, data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_write(writer, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(writer, false));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(writer, "x", 1, 0, &len_));
  ipc_stream_free(reader);
  EXPECT_STATUS(IPC_OK, ipc_stream_close(writer));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_set_nonblocking(writer, true));
  ipc_stream_free(writer);
}

TEST_F(StreamTest, CallsUnderWayKeepTheModeTheyBeganWith) {
  Worker worker([&] { EXPECT_STATUS(IPC_OK, ipc_stream_read(server(), data_, 1, IPC_NO_TIMEOUT, &len_)); });
  EXPECT_TRUE(worker.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(server(), true));
  size_t len;
  char byte;
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_read(server(), &byte, 1, IPC_NO_TIMEOUT, &len));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(client(), "x", 1, 0, &len));
}
#endif

}  // namespace
}  // namespace ref_tests
