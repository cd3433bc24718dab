// FIFO files: above all what an open that waits leaves behind, and whom it disturbs.
//
// The test's own recvmsg stands in front of the C library's: it can play a system that has no room for a descriptor and
// gives the header of its control message all the same.
#include <dlfcn.h>
#include <sys/socket.h>

#include <cstring>

#include "ref/tests/support.h"

namespace {

std::atomic<bool> keeps_descriptors{false};

}  // namespace

extern "C" ssize_t recvmsg(int fd, msghdr *message, int flags) {
  static const auto real = reinterpret_cast<ssize_t (*)(int, msghdr *, int)>(dlsym(RTLD_NEXT, "recvmsg"));
  const ssize_t n = real(fd, message, flags);
  cmsghdr *header = keeps_descriptors && n > 0 ? CMSG_FIRSTHDR(message) : nullptr;
  if (header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int kept;
    memcpy(&kept, CMSG_DATA(header), sizeof kept);
    close(kept);
    header->cmsg_len = CMSG_LEN(0);
    message->msg_controllen = CMSG_LEN(0);
  }
  return n;
}

namespace ref_tests {
namespace {

size_t num_threads() {
  size_t found = 0;
  DIR *directory = opendir("/proc/self/task");
  while (const dirent *entry = readdir(directory)) found += entry->d_name[0] != '.';
  closedir(directory);
  return found;
}

class FifoTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    path_ = directory_.file("fifo");
    ASSERT_STATUS(IPC_OK, ipc_fifo_create(path_.data(), path_.size(), 0600));
  }
  ipc_status open_end(uint32_t direction, uint32_t flags, int64_t timeout_ms, ipc_stream **out) {
    return ipc_fifo_open(path_.data(), path_.size(), direction, flags, timeout_ms, out);
  }

  TempDir directory_;
  std::string path_;
  char data_[16] = {};
  size_t len_ = 0;
};

TEST_F(FifoTest, BadArgumentsDoNothing) {
  ipc_stream *stream = nullptr;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_end(0, 0, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_end(3, 0, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_end(IPC_FIFO_READ, 2, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_end(IPC_FIFO_READ, 0, -2, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, open_end(IPC_FIFO_READ, 0, 0, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_fifo_open(nullptr, 1, IPC_FIFO_READ, 0, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_fifo_create("x", 1, 01000));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_fifo_create(nullptr, 1, 0600));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_fifo_remove(nullptr, 1));
  EXPECT_EQ(nullptr, stream);
}

TEST_F(FifoTest, TimedOutOpensLeaveNothing) {
  for (const uint32_t direction : {IPC_FIFO_READ, IPC_FIFO_WRITE}) {
    for (const int64_t timeout_ms : {0, 1, 2, 3, 10}) {
      ipc_stream *stream = nullptr;
      const auto start = Clock::now();
      EXPECT_STATUS(IPC_TIMED_OUT, open_end(direction, 0, timeout_ms, &stream));
      EXPECT_GE(Clock::now() - start, milliseconds(timeout_ms));
      EXPECT_EQ(nullptr, stream);
      const int other = direction == IPC_FIFO_READ ? open(path_.c_str(), O_WRONLY | O_NONBLOCK) : -1;
      EXPECT_EQ(-1, other) << "a reader is left";
    }
  }
}

TEST_F(FifoTest, WaitingOpenHoldsNothingOfOthersOpen) {
  int ends[2];
  ASSERT_EQ(0, pipe(ends));
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  Worker waiting([&] { EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_WRITE, 0, 20000, &writer)); });
  EXPECT_TRUE(waiting.wait_until_polling());
  // The thread that waits in open(2) has closed its copies once it is there.
  bool in_open = false;
  for (const auto end = Clock::now() + kDeadline; !in_open && Clock::now() < end; sched_yield()) {
    DIR *tasks = opendir("/proc/self/task");
    while (const dirent *entry = readdir(tasks)) {
      const pid_t tid = std::atoi(entry->d_name);
      in_open = in_open || (tid > 0 && system_call_of(tid) == SYS_openat);
    }
    closedir(tasks);
  }
  EXPECT_TRUE(in_open);
  ::close(ends[1]);
  char byte;
  EXPECT_EQ(0, ::read(ends[0], &byte, 1));
  ::close(ends[0]);
  EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, 0, IPC_NO_TIMEOUT, &reader));
  waiting.join();
  EXPECT_STATUS(IPC_OK, ipc_stream_write(writer, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(reader, data_, 16, 0, &len_));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

// Whoever comes first, and however close the timeout is: either both have a stream, or the timeout is told, and in
// every case nothing is left. A stream that was made works.
TEST_F(FifoTest, TimeoutsThatRaceWithTheOtherSide) {
  const size_t threads = num_threads();
  for (int round = 0; round < 200; round++) {
    ipc_stream *writer = nullptr;
    ipc_stream *reader = nullptr;
    ipc_status opened{};
    std::thread opening([&] { opened = open_end(IPC_FIFO_WRITE, 0, round % 3, &writer); });
    for (int i = 0; i < round % 5 * 500; i++) sched_yield(); /* another moment in each round */
    ASSERT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, &reader));
    opening.join();
    if (opened.code == IPC_OK) {
      ASSERT_STATUS(IPC_OK, ipc_stream_write(writer, "x", 1, 0, &len_));
      ASSERT_STATUS(IPC_OK, ipc_stream_read(reader, data_, 16, 0, &len_));
    } else {
      ASSERT_STATUS(IPC_TIMED_OUT, opened);
    }
    ipc_stream_free(writer);
    ipc_stream_free(reader);
  }
  for (const auto end = Clock::now() + kDeadline; num_threads() > threads && Clock::now() < end; sched_yield())
    continue;
  EXPECT_LE(num_threads(), threads);  // one of an earlier test may have been about to end
}

TEST_F(FifoTest, ReaderThatWaitsForNothingSeesWriterAndData) {
  ipc_stream *reader = nullptr;
  const int keeper = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, 0, 0, &reader)) << "an idle writer";
  ipc_stream_free(reader);
  EXPECT_EQ(4, ::write(keeper, "data", 4));
  EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, 0, 0, &reader)) << "data";
  EXPECT_STATUS(IPC_OK, ipc_stream_read(reader, data_, 16, 0, &len_));
  EXPECT_EQ(4u, len_);
  ::close(keeper);
  EXPECT_STATUS(IPC_END, ipc_stream_read(reader, data_, 16, 0, &len_));
  ipc_stream_free(reader);
}

TEST_F(FifoTest, SignalHandlersDoNotEndAnOpen) {
  struct sigaction action{}, before{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, &before);
  ipc_stream *writer = nullptr;
  ipc_stream *reader = nullptr;
  {
    Worker waiting([&] { EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_WRITE, 0, IPC_NO_TIMEOUT, &writer)); });
    EXPECT_TRUE(waiting.wait_until_in(SYS_openat));
    pthread_kill(waiting.handle(), SIGUSR2);
    EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, 0, 20000, &reader));
  }
  sigaction(SIGUSR2, &before, nullptr);
  ipc_stream_free(writer);
  ipc_stream_free(reader);
}

TEST_F(FifoTest, ReleasedDescriptorsWait) {
  ipc_stream *reader = nullptr;
  ASSERT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, &reader));
  EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(reader), F_GETFD));
  ipc_raw raw{};
  EXPECT_STATUS(IPC_OK, ipc_stream_release(reader, &raw));
  ipc_stream_free(reader);
  EXPECT_EQ(0, fcntl(static_cast<int>(raw.value), F_GETFL) & O_NONBLOCK);
  ::close(static_cast<int>(raw.value));
}

TEST_F(FifoTest, WithoutDescriptorsNothingIsLeft) {
  // Only locals are used under the limit: UBSan needs a pipe to check what an object is.
  ipc_stream *stream = nullptr;
  const std::string path = path_;
  for (int spare = 0; spare < 2; spare++) {
    DescriptorLimit limit(spare);
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, ipc_fifo_open(path.data(), path.size(), IPC_FIFO_READ, 0, 5000, &stream));
    EXPECT_EQ(nullptr, stream);
  }
}

TEST_F(FifoTest, HeaderWithoutADescriptorIsNone) {
  ipc_stream *stream = nullptr;
  const int keeper = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  keeps_descriptors = true;
  EXPECT_STATUS(IPC_OUT_OF_RESOURCES, open_end(IPC_FIFO_READ, 0, 20000, &stream));
  keeps_descriptors = false;
  EXPECT_EQ(nullptr, stream);
  EXPECT_STATUS(IPC_OK, open_end(IPC_FIFO_READ, 0, 20000, &stream));
  ipc_stream_free(stream);
  ::close(keeper);
}

TEST_F(FifoTest, ModesWhateverTheUmask) {
  const mode_t before = umask(077);
  const std::string path = directory_.file("open");
  EXPECT_STATUS(IPC_OK, ipc_fifo_create(path.data(), path.size(), 0666));
  umask(before);
  struct stat found{};
  ASSERT_EQ(0, lstat(path.c_str(), &found));
  EXPECT_EQ(0666u, found.st_mode & 07777u);
  EXPECT_STATUS(IPC_ALREADY_EXISTS, ipc_fifo_create(path.data(), path.size(), 0600));
  EXPECT_STATUS(IPC_OK, ipc_fifo_remove(path.data(), path.size()));
  EXPECT_STATUS(IPC_NOT_FOUND, ipc_fifo_remove(path.data(), path.size()));
}

TEST_F(FifoTest, DispositionsStay) {
  const auto dispositions = [] {
    std::string all;
    for (int signal = 1; signal < NSIG; signal++) {
      struct sigaction action{};
      if (sigaction(signal, nullptr, &action) == 0) all += std::to_string(action.sa_handler != SIG_DFL);
    }
    return all;
  };
  const std::string before = dispositions();
  ipc_stream *stream = nullptr;
  EXPECT_STATUS(IPC_TIMED_OUT, open_end(IPC_FIFO_WRITE, 0, 1, &stream));
  EXPECT_EQ(before, dispositions());
}

}  // namespace
}  // namespace ref_tests
