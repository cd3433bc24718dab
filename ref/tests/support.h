// support.h - what the tests of the reference share: status matchers, directories that go away, descriptor accounts,
// and threads that can be waited for until they are blocked.
#ifndef REF_TESTS_SUPPORT_H
#define REF_TESTS_SUPPORT_H

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ipc/ipc.h"

namespace ref_tests {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A test that waits longer than this for an event has failed.
inline constexpr auto kDeadline = std::chrono::seconds(20);

// ThreadSanitizer takes signals itself and runs their handlers later, one of a kind at a time, and not at all while a
// thread is in a system call that it does not know to wait. What rests on the order, the number or the moment of the
// system's own delivery is tested without it.
#ifdef __SANITIZE_THREAD__
#define NEEDS_THE_SYSTEMS_SIGNALS() GTEST_SKIP() << "ThreadSanitizer delivers signals in its own way"
#else
#define NEEDS_THE_SYSTEMS_SIGNALS() (void)0
#endif

// For EXPECT_STATUS: says the expression, the status expected by name, and what came, with its errno.
inline ::testing::AssertionResult status_is(const char *expected_text, const char *call_text, int expected,
                                            const ipc_status &actual) {
  if (actual.code == expected) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << call_text << " is status " << actual.code << " (errno " << actual.native
                                       << "), not " << expected_text << " (" << expected << ")";
}
#define EXPECT_STATUS(expected, call) EXPECT_PRED_FORMAT2(::ref_tests::status_is, expected, call)
#define ASSERT_STATUS(expected, call) ASSERT_PRED_FORMAT2(::ref_tests::status_is, expected, call)

inline ipc_name name_of(uint32_t kind, const std::string &bytes) { return {kind, bytes.data(), bytes.size()}; }

// The open descriptors of this process.
inline std::set<int> open_descriptors() {
  std::set<int> found;
  DIR *directory = opendir("/proc/self/fd");
  if (directory == nullptr) return found;
  while (const dirent *entry = readdir(directory)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] != '.' && fd != dirfd(directory)) found.insert(fd);
  }
  closedir(directory);
  return found;
}

// A directory of mode 0700 that is removed with what is in it.
class TempDir {
 public:
  TempDir() {
    const char *base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base != nullptr && std::string(base).size() < 40 ? base : "/tmp") + "/ipc-ref-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() {
    if (DIR *directory = opendir(path_.c_str())) {
      while (const dirent *entry = readdir(directory)) {
        if (unlinkat(dirfd(directory), entry->d_name, 0) != 0) unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR);
      }
      closedir(directory);
    }
    rmdir(path_.c_str());
  }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;
  const std::string &path() const { return path_; }
  std::string file(const std::string &name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// Each test ends with the descriptors it began with.
class DescriptorTest : public ::testing::Test {
 protected:
  void SetUp() override { before_ = open_descriptors(); }
  void TearDown() override { EXPECT_EQ(before_, open_descriptors()) << "descriptors left behind, or too many closed"; }

 private:
  std::set<int> before_;
};

// The number of the system call that thread |tid| of this process sleeps in, or -1.
inline long system_call_of(pid_t tid) {
  std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/syscall");
  long number = -1;
  return file >> number ? number : -1;
}

// A thread whose blocking can be waited for.
class Worker {
 public:
  explicit Worker(std::function<void()> body)
      : thread_([this, body = std::move(body)] {
          tid_ = static_cast<pid_t>(syscall(SYS_gettid));
          body();
          done_ = true;
        }) {}
  ~Worker() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  bool done() const { return done_; }

  // True once the thread sleeps in |number|; false if it ended, or the deadline passed, first.
  bool wait_until_in(long number) const {
    for (const auto end = Clock::now() + kDeadline; Clock::now() < end; sched_yield()) {
      if (done_) return false;
      if (tid_ != 0 && system_call_of(tid_) == number) return true;
    }
    return false;
  }
  bool wait_until_polling() const {
#ifdef SYS_poll
    return wait_until_in(SYS_poll);
#else
    return wait_until_in(SYS_ppoll);
#endif
  }
  pid_t tid() const { return tid_; }
  pthread_t handle() { return thread_.native_handle(); }

 private:
  std::atomic<pid_t> tid_{0};
  std::atomic<bool> done_{false};
  std::thread thread_;  // last: it uses the others
};

// Lowers the limit of descriptors to those that are open plus |spare|, until it goes out of scope.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(int spare) {
    // The limit is on numbers: fill the gaps first.
    const std::set<int> open = open_descriptors();
    const int highest = open.empty() ? -1 : *open.rbegin();
    for (int fd = 0; fd < highest; fd++) {
      if (open.count(fd) == 0) fillers_.push_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    }
    getrlimit(RLIMIT_NOFILE, &saved_);
    const rlimit lowered{static_cast<rlim_t>(highest + 1 + spare), saved_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~DescriptorLimit() {
    setrlimit(RLIMIT_NOFILE, &saved_);
    for (const int fd : fillers_) ::close(fd);
  }

 private:
  rlimit saved_{};
  std::vector<int> fillers_;
};

// Two connected streams, and the listener they came from.
struct Pair {
  ipc_listener *listener = nullptr;
  ipc_stream *server = nullptr;
  ipc_stream *client = nullptr;

  explicit Pair(const std::string &path) {
    const ipc_name name = name_of(IPC_NAME_PATH, path);
    EXPECT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
    EXPECT_STATUS(IPC_OK, ipc_local_connect(&name, IPC_NO_TIMEOUT, &client));
    EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener, IPC_NO_TIMEOUT, &server));
  }
  ~Pair() {
    ipc_stream_free(server);
    ipc_stream_free(client);
    ipc_listener_free(listener);
  }
  Pair(const Pair &) = delete;
  Pair &operator=(const Pair &) = delete;
};

// The descriptor that |handle| lends.
inline int raw_fd(ipc_stream *stream) {
  ipc_raw raw{};
  EXPECT_STATUS(IPC_OK, ipc_stream_raw(stream, &raw));
  EXPECT_EQ(static_cast<uint32_t>(IPC_RAW_FD), raw.kind);
  return static_cast<int>(raw.value);
}
inline int raw_fd(ipc_socket *socket) {
  ipc_raw raw{};
  EXPECT_STATUS(IPC_OK, ipc_socket_raw(socket, &raw));
  return static_cast<int>(raw.value);
}
inline int raw_fd(ipc_listener *listener) {
  ipc_raw raw{};
  EXPECT_STATUS(IPC_OK, ipc_listener_raw(listener, &raw));
  return static_cast<int>(raw.value);
}

}  // namespace ref_tests

#endif  // REF_TESTS_SUPPORT_H
