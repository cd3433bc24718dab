// Unnamed pipes, and pipe ends that are adopted, in each way the system may be able not to wait and not to raise
// SIGPIPE (ref/posix/pipe.c).
//
// The test's own definitions of preadv2 and pwritev2 stand in front of the C library's: they can play a system that
// does not know a flag.
#include <dlfcn.h>
#include <limits.h>
#include <sys/uio.h>

#include <cstring>

#include "ref/tests/support.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

namespace {
std::atomic<int> unknown_flags{0};
std::atomic<int> flag_calls{0};

using Transfer = ssize_t (*)(int, const iovec *, int, off_t, int);
ssize_t transfer(const char *name, int fd, const iovec *buffers, int num, off_t offset, int flags) {
  flag_calls++;
  if ((flags & unknown_flags) != 0) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return reinterpret_cast<Transfer>(dlsym(RTLD_NEXT, name))(fd, buffers, num, offset, flags);
}
}  // namespace

extern "C" ssize_t preadv2(int fd, const iovec *buffers, int num, off_t offset, int flags) {
  return transfer("preadv2", fd, buffers, num, offset, flags);
}
extern "C" ssize_t pwritev2(int fd, const iovec *buffers, int num, off_t offset, int flags) {
  return transfer("pwritev2", fd, buffers, num, offset, flags);
}

namespace ref_tests {
namespace {

bool broken_pipe_is_pending() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGPIPE) == 1;
}

// A pipe in each of the ways; the parameter is the flags that the system does not know.
class PipeTest : public DescriptorTest, public ::testing::WithParamInterface<int> {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    unknown_flags = GetParam();
    ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader_, &writer_));
  }
  void TearDown() override {
    ipc_stream_free(reader_);
    ipc_stream_free(writer_);
    unknown_flags = 0;
    DescriptorTest::TearDown();
  }
  // Writes until there is no room.
  std::string fill(size_t piece) {
    std::string all;
    for (;;) {
      const std::string bytes(piece, static_cast<char>('a' + all.size() % 26));
      const ipc_status status = ipc_stream_write(writer_, bytes.data(), bytes.size(), 0, &len_);
      all += bytes.substr(0, len_);
      if (status.code != IPC_OK) return all;
    }
  }
  std::string read_all() {
    std::string all, block(5000, '\0');
    while (ipc_stream_read(reader_, block.data(), block.size(), 0, &len_).code == IPC_OK) all.append(block, 0, len_);
    return all;
  }

  ipc_stream *reader_ = nullptr;
  ipc_stream *writer_ = nullptr;
  char data_[16] = {};
  size_t len_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Ways, PipeTest, ::testing::Values(0, RWF_NOSIGNAL, RWF_NOWAIT, RWF_NOWAIT | RWF_NOSIGNAL));

TEST_P(PipeTest, BytesThenEnd) {
  const ipc_const_buffer out[2] = {{"ab", 2}, {"cd", 2}};
  EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(writer_, out, 2, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(writer_, "ef", 2, IPC_NO_TIMEOUT, &len_));
  EXPECT_EQ("abcdef", read_all());
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(reader_, data_, 16, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(writer_));
  for (int i = 0; i < 2; i++) EXPECT_STATUS(IPC_END, ipc_stream_read(reader_, data_, 16, IPC_NO_TIMEOUT, &len_));
}

TEST_P(PipeTest, DescriptionsAreBlockingAndStaySo) {
#ifndef IPC_WITHOUT_NONBLOCKING
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(reader_, true));
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_read(reader_, data_, 1, IPC_NO_TIMEOUT, &len_));
#endif
  fill(100);
  for (ipc_stream *end : {reader_, writer_}) {
    EXPECT_EQ(0, fcntl(raw_fd(end), F_GETFL) & O_NONBLOCK);
    EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(end), F_GETFD));
  }
}

TEST_P(PipeTest, BrokenPipeRaisesNothing) {
  struct sigaction action{};
  sigaction(SIGPIPE, nullptr, &action);
  ASSERT_EQ(SIG_DFL, action.sa_handler);
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  ASSERT_STATUS(IPC_OK, ipc_stream_close(reader_));
  const std::string large(100000, 'x');
  for (const size_t size : {size_t{1}, large.size()}) {
    EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(writer_, large.data(), size, IPC_NO_TIMEOUT, &len_));
    EXPECT_EQ(0u, len_);
    EXPECT_FALSE(broken_pipe_is_pending());
  }
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  EXPECT_EQ(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
  sigaction(SIGPIPE, nullptr, &action);
  EXPECT_EQ(SIG_DFL, action.sa_handler);
}

TEST_P(PipeTest, ASignalThatWasPendingBeforeStays) {
  ASSERT_STATUS(IPC_OK, ipc_stream_close(reader_));
  sigset_t broken_pipe, before;
  sigemptyset(&broken_pipe);
  sigaddset(&broken_pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &broken_pipe, &before);
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(writer_, "x", 1, 0, &len_));
  EXPECT_FALSE(broken_pipe_is_pending());
  raise(SIGPIPE);
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(writer_, "x", 1, 0, &len_));
  EXPECT_TRUE(broken_pipe_is_pending());
  int signal;
  sigwait(&broken_pipe, &signal);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_P(PipeTest, WaitingWriteEndsWhenTheReaderCloses) {
  const std::string large(1 << 20, 'x');
  Worker worker([&] {
    EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(writer_, large.data(), large.size(), IPC_NO_TIMEOUT, &len_));
    EXPECT_GE(len_, 65536u);
    EXPECT_FALSE(broken_pipe_is_pending());
  });
  EXPECT_TRUE(worker.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_stream_close(reader_));
}

TEST_P(PipeTest, CloseEndsWaits) {
  fill(4096);
  {
    const std::string large(1 << 20, 'x');
    Worker worker([&] {
      EXPECT_STATUS(IPC_CANCELLED, ipc_stream_write(writer_, large.data(), large.size(), IPC_NO_TIMEOUT, &len_));
    });
    EXPECT_TRUE(worker.wait_until_polling());
    EXPECT_STATUS(IPC_OK, ipc_stream_close(writer_));
  }
  read_all();
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
  {
    Worker worker([&] { EXPECT_STATUS(IPC_CANCELLED, ipc_stream_read(reader, data_, 16, IPC_NO_TIMEOUT, &len_)); });
    EXPECT_TRUE(worker.wait_until_polling());
    EXPECT_STATUS(IPC_OK, ipc_stream_close(reader));
  }
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_read(reader, data_, 16, 0, &len_));
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(writer, "x", 1, 0, &len_));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

TEST_P(PipeTest, SmallWritesAreWholeOrNothing) {
  ASSERT_STATUS(IPC_OK, ipc_stream_write(writer_, "0123456789", 10, 0, &len_));
  const std::string piece(PIPE_BUF - 100, 'p');
  const ipc_const_buffer two[2] = {{piece.data(), 1000}, {piece.data() + 1000, piece.size() - 1000}};
  size_t total = 10;
  for (ipc_status status{}; status.code == IPC_OK; total += len_) {
    status = ipc_stream_write_vectored(writer_, two, 2, 0, &len_);
    EXPECT_EQ(status.code == IPC_OK ? piece.size() : 0u, len_);
  }
  EXPECT_EQ(total, read_all().size());
}

#ifndef IPC_WITHOUT_NONBLOCKING
TEST_P(PipeTest, LargeWriteThatDoesNotWaitTakesAPart) {
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(writer_, true));
  std::string large(300000, '\0');
  for (size_t i = 0; i < large.size(); i++) large[i] = static_cast<char>(i * 7 + i / 251);
  const ipc_const_buffer two[2] = {{large.data(), 1000}, {large.data() + 1000, large.size() - 1000}};
  EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(writer_, two, 2, IPC_NO_TIMEOUT, &len_));
  const size_t taken = len_;
  EXPECT_GE(taken, 32768u);
  EXPECT_LT(taken, large.size());
  EXPECT_TRUE(large.substr(0, taken) == read_all());
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(reader_, data_, 16, 0, &len_));
}
#endif

TEST_P(PipeTest, ManyReadersAndWritersShareWithoutLoss) {
  constexpr int kThreads = 3, kRecords = 2000;
  std::atomic<int> read{0};
  std::vector<std::thread> writers, readers;
  for (int i = 0; i < kThreads; i++) {
    writers.emplace_back([this] {
      size_t len;
      for (int n = 0; n < kRecords; n++) {
        EXPECT_STATUS(IPC_OK, ipc_stream_write(writer_, "12345678", 8, IPC_NO_TIMEOUT, &len));
      }
    });
    readers.emplace_back([this, &read] {
      char byte[64];
      size_t len;
      while (ipc_stream_read(reader_, byte, sizeof byte, IPC_NO_TIMEOUT, &len).code == IPC_OK) {
        read += static_cast<int>(len);
      }
    });
  }
  for (auto &thread : writers) thread.join();
  EXPECT_STATUS(IPC_OK, ipc_stream_close(writer_));
  for (auto &thread : readers) thread.join();
  EXPECT_EQ(kThreads * kRecords * 8, read);
}

TEST_P(PipeTest, WhatIsNotKnownIsAskedOnce) {
  for (int i = 0; i < 2; i++) {
    flag_calls = 0;
    ASSERT_STATUS(IPC_OK, ipc_stream_write(writer_, "x", 1, 0, &len_));
    const int writes = flag_calls;
    ASSERT_STATUS(IPC_OK, ipc_stream_read(reader_, data_, 1, 0, &len_));
    const bool now = (GetParam() & RWF_NOWAIT) == 0;
    EXPECT_EQ(i == 1 ? now : 1, flag_calls - writes);
    if (i == 1) {
      EXPECT_EQ(now ? 1 : 0, writes);
    }
  }
}

using PipeCreateTest = DescriptorTest;

TEST_F(PipeCreateTest, BadArgumentsDoNothing) {
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(nullptr, nullptr, &writer));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(nullptr, &reader, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(nullptr, &reader, &reader));
  ipc_pipe_options options{};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(&options, &reader, &writer));
  options.size = sizeof options;
  options.flags = 4;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(&options, &reader, &writer));
  struct {
    ipc_pipe_options known;
    uint64_t newer;
  } larger{{sizeof larger, 0, 0}, 1};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(&larger.known, &reader, &writer));
  EXPECT_EQ(nullptr, reader);
  larger.newer = 0;
  EXPECT_STATUS(IPC_OK, ipc_pipe_create(&larger.known, &reader, &writer));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

TEST_F(PipeCreateTest, CapacityAndInheritance) {
  for (const uint32_t flags : {0, 1, 2, 3}) {
    const ipc_pipe_options options{sizeof options, flags, 200000};
    ipc_stream *reader = nullptr;
    ipc_stream *writer = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_pipe_create(&options, &reader, &writer));
    EXPECT_GE(fcntl(raw_fd(writer), F_GETPIPE_SZ), 200000);
    EXPECT_EQ((flags & 1) != 0 ? 0 : FD_CLOEXEC, fcntl(raw_fd(reader), F_GETFD));
    EXPECT_EQ((flags & 2) != 0 ? 0 : FD_CLOEXEC, fcntl(raw_fd(writer), F_GETFD));
    ipc_stream_free(reader);
    ipc_stream_free(writer);
  }
}

TEST_F(PipeCreateTest, WithoutDescriptorsNothingIsLeft) {
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  DescriptorLimit limit(1);
  EXPECT_STATUS(IPC_OUT_OF_RESOURCES, ipc_pipe_create(nullptr, &reader, &writer));
  EXPECT_EQ(nullptr, reader);
}

TEST_F(PipeCreateTest, AdoptsOneEndAndNothingElse) {
  TempDir directory;
  const std::string path = directory.file("fifo");
  ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
  const int both = open(path.c_str(), O_RDWR | O_CLOEXEC);
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  ipc_stream *stream = nullptr;
  for (const int fd : {both, file}) {
    const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(fd)};
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&raw, &stream));
  }
  ::close(file);
  // An end of a FIFO that others may share: its mode is not touched.
  const ipc_raw reading{IPC_RAW_FD, static_cast<uint64_t>(open(path.c_str(), O_RDONLY))};
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&reading, &stream));
  char byte;
  size_t len;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write(stream, "x", 1, 0, &len));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(stream, &byte, 1, 0, &len));
  EXPECT_EQ(1, ::write(both, "x", 1));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(stream, &byte, 1, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(0, fcntl(static_cast<int>(reading.value), F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(FD_CLOEXEC, fcntl(static_cast<int>(reading.value), F_GETFD));
  ::close(both);
  EXPECT_STATUS(IPC_END, ipc_stream_read(stream, &byte, 1, IPC_NO_TIMEOUT, &len));
  ipc_stream_free(stream);
}

}  // namespace
}  // namespace ref_tests
