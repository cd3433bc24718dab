// Completion loops (ipc/loop.h), over each back end of this system.
//
// The linker puts the test's own functions in front of malloc and its like, epoll_ctl, epoll_wait and syscall (--wrap):
// they count, and can fail.
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <condition_variable>
#include <cstdarg>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>

#include "ref/tests/support.h"

namespace {
std::atomic<bool> counting{false};
std::atomic<int> allocations{0};
std::atomic<int> allocations_left{-1};  // until one fails, and all behind it; -1: none does
std::atomic<int> interest_changes{0};
std::atomic<int> waits{0};
std::atomic<int> refused_fd{-1};     // for epoll_ctl
std::atomic<int> hasty_connects{0};  // of the library's threads: so many answer EAGAIN, and do not wait for a backlog

bool may_allocate() {
  if (!counting) return true;
  allocations++;
  if (allocations_left < 0) return true;
  if (allocations_left == 0) return false;
  allocations_left--;
  return true;
}
}  // namespace

extern "C" {
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t num, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
int __real_epoll_ctl(int epoll, int operation, int fd, epoll_event *event);
int __real_epoll_wait(int epoll, epoll_event *events, int max, int timeout_ms);

void *__wrap_malloc(size_t bytes) { return may_allocate() ? __real_malloc(bytes) : nullptr; }
void *__wrap_calloc(size_t num, size_t bytes) { return may_allocate() ? __real_calloc(num, bytes) : nullptr; }
void *__wrap_realloc(void *memory, size_t bytes) { return may_allocate() ? __real_realloc(memory, bytes) : nullptr; }
int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event *event) {
  interest_changes++;
  if (fd == refused_fd && operation == EPOLL_CTL_ADD) {
    errno = EPERM;
    return -1;
  }
  return __real_epoll_ctl(epoll, operation, fd, event);
}
int __wrap_epoll_wait(int epoll, epoll_event *events, int max, int timeout_ms) {
  waits++;
  return __real_epoll_wait(epoll, events, max, timeout_ms);
}

long __real_syscall(long number, ...);
// A thread may be cancelled at any instruction of it, which leaves nothing to undo (what ThreadSanitizer puts into a
// function would).
__attribute__((no_sanitize("thread"))) long __wrap_syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long given[6];
  for (long &argument : given) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_connect && hasty_connects > 0) {
    hasty_connects--;
    errno = EAGAIN;
    return -1;
  }
  return __real_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
}
}

namespace ref_tests {
namespace {

constexpr int64_t kLongMs = 20000;
constexpr size_t kFarBeyondTheBuffers = 4 << 20;

std::string numbered(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; i++) text[i] = static_cast<char>(i * 7 + i / 251);
  return text;
}

// A loop, with submissions as one call each. Buffers live as long as it does.
class Loop {
 public:
  explicit Loop(uint32_t backend) {
    const ipc_loop_options options{sizeof options, backend};
    EXPECT_STATUS(IPC_OK, ipc_loop_open(&options, &loop_));
  }
  ~Loop() { ipc_loop_free(loop_); }
  Loop(const Loop &) = delete;
  Loop &operator=(const Loop &) = delete;
  ipc_loop *get() const { return loop_; }

  static ipc_submission make(uint32_t operation, uint64_t token, int64_t timeout_ms) {
    ipc_submission submission{};
    submission.size = sizeof submission;
    submission.operation = operation;
    submission.token = token;
    submission.timeout_ms = timeout_ms;
    return submission;
  }
  ipc_status submit(const ipc_submission &submission) { return ipc_loop_submit(loop_, &submission); }

  ipc_status read(ipc_stream *stream, uint64_t token, size_t max, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    rooms_[token].assign(max, '\0');
    buffers_[token] = {rooms_[token].data(), max};
    ipc_submission submission = make(IPC_SUBMIT_READ, token, timeout_ms);
    submission.stream = stream;
    submission.buffers = &buffers_[token];
    submission.num_buffers = 1;
    return submit(submission);
  }
  ipc_status write(ipc_stream *stream, uint64_t token, const std::string &bytes, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    rooms_[token] = bytes;
    const_buffers_[token] = {rooms_[token].data(), bytes.size()};
    ipc_submission submission = make(IPC_SUBMIT_WRITE, token, timeout_ms);
    submission.stream = stream;
    submission.const_buffers = &const_buffers_[token];
    submission.num_buffers = 1;
    return submit(submission);
  }
  ipc_status accept(ipc_listener *listener, uint64_t token, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    ipc_submission submission = make(IPC_SUBMIT_ACCEPT, token, timeout_ms);
    submission.listener = listener;
    return submit(submission);
  }
  ipc_status connect(const ipc_name &name, uint64_t token, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    ipc_submission submission = make(IPC_SUBMIT_CONNECT, token, timeout_ms);
    submission.name = &name;
    return submit(submission);
  }
  ipc_status send(ipc_socket *socket, uint64_t token, const std::string &bytes, const ipc_name *to = nullptr,
                  int64_t timeout_ms = IPC_NO_TIMEOUT) {
    rooms_[token] = bytes;
    const_buffers_[token] = {rooms_[token].data(), bytes.size()};
    ipc_submission submission = make(IPC_SUBMIT_SEND, token, timeout_ms);
    submission.socket = socket;
    submission.const_buffers = &const_buffers_[token];
    submission.num_buffers = 1;
    submission.name = to;
    return submit(submission);
  }
  ipc_status receive(ipc_socket *socket, uint64_t token, size_t max, uint32_t flags = 0) {
    rooms_[token].assign(max, '\0');
    buffers_[token] = {rooms_[token].data(), max};
    received_[token].size = sizeof(ipc_received);
    ipc_submission submission = make(IPC_SUBMIT_RECEIVE, token, IPC_NO_TIMEOUT);
    submission.socket = socket;
    submission.buffers = &buffers_[token];
    submission.num_buffers = 1;
    submission.received = &received_[token];
    submission.flags = flags;
    return submit(submission);
  }
  ipc_status connect_socket(ipc_socket *socket, const ipc_name &name, uint64_t token,
                            int64_t timeout_ms = IPC_NO_TIMEOUT) {
    ipc_submission submission = make(IPC_SUBMIT_SOCKET_CONNECT, token, timeout_ms);
    submission.socket = socket;
    submission.name = &name;
    return submit(submission);
  }
  ipc_status open_fifo(const std::string &path, uint32_t direction, uint64_t token, int64_t timeout_ms = IPC_NO_TIMEOUT,
                       uint32_t flags = 0) {
    const ipc_name name = name_of(IPC_NAME_PATH, path);
    ipc_submission submission = make(IPC_SUBMIT_FIFO_OPEN, token, timeout_ms);
    submission.name = &name;
    submission.direction = direction;
    submission.flags = flags;
    return submit(submission);
  }
  ipc_status timer(uint64_t token, int64_t timeout_ms) { return submit(make(IPC_SUBMIT_TIMER, token, timeout_ms)); }
  ipc_status cancel(uint64_t token) { return ipc_loop_cancel(loop_, token); }

  // The next completion, which must come.
  ipc_completion next(int64_t timeout_ms = kLongMs) {
    ipc_completion done{};
    size_t num = 0;
    EXPECT_STATUS(IPC_OK, ipc_loop_wait(loop_, timeout_ms, &done, 1, &num));
    EXPECT_EQ(1u, num);
    return done;
  }
  // The next one is |token|'s with that outcome.
  ipc_completion expect(uint64_t token, int32_t code, size_t len = 0, int64_t timeout_ms = kLongMs) {
    const ipc_completion done = next(timeout_ms);
    EXPECT_EQ(token, done.token);
    EXPECT_STATUS(code, done.status);
    EXPECT_EQ(len, done.len);
    return done;
  }
  void expect_nothing() {
    ipc_completion done{};
    size_t num = 0;
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_loop_wait(loop_, 0, &done, 1, &num));
    EXPECT_EQ(0u, num);
  }
  std::string bytes(uint64_t token, size_t len) { return rooms_[token].substr(0, len); }
  std::string &room(uint64_t token) { return rooms_[token]; }
  const ipc_received &received(uint64_t token) { return received_[token]; }

 private:
  ipc_loop *loop_ = nullptr;
  std::map<uint64_t, std::string> rooms_;
  std::map<uint64_t, ipc_buffer> buffers_;
  std::map<uint64_t, ipc_const_buffer> const_buffers_;
  std::map<uint64_t, ipc_received> received_;
};

class LoopTest : public DescriptorTest, public ::testing::WithParamInterface<uint32_t> {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    loop_ = std::make_unique<Loop>(GetParam());
    ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader_, &writer_));
  }
  void TearDown() override {
    counting = false;
    allocations_left = -1;
    refused_fd = -1;
    ipc_stream_free(reader_);
    ipc_stream_free(writer_);
    loop_.reset();
    DescriptorTest::TearDown();
  }
  void put(ipc_stream *stream, const std::string &bytes) {
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_stream_write(stream, bytes.data(), bytes.size(), kLongMs, &len));
  }
  std::string get(ipc_stream *stream, size_t size) {
    std::string all;
    while (all.size() < size) {
      char block[65536];
      size_t len = 0;
      if (ipc_stream_read(stream, block, std::min(sizeof block, size - all.size()), kLongMs, &len).code != IPC_OK)
        break;
      all.append(block, len);
    }
    return all;
  }
  // A listener whose backlog is full, and what fills it.
  struct Full {
    ipc_listener *listener = nullptr;
    std::vector<ipc_stream *> clients;
    ipc_name name{};
    ~Full() {
      for (ipc_stream *client : clients) ipc_stream_free(client);
      ipc_listener_free(listener);
    }
  };
  void fill(Full *full, const std::string &path) {
    full->name = name_of(IPC_NAME_PATH, path);
    const ipc_local_listen_options options{sizeof options, 0, 0, 1};
    ASSERT_STATUS(IPC_OK, ipc_local_listen(&full->name, &options, &full->listener));
    ipc_stream *client = nullptr;
    while (ipc_local_connect(&full->name, 0, &client).code == IPC_OK) full->clients.push_back(client);
    ASSERT_FALSE(full->clients.empty());
  }
  Loop &loop() { return *loop_; }

  TempDir directory_;
  std::unique_ptr<Loop> loop_;
  ipc_stream *reader_ = nullptr;
  ipc_stream *writer_ = nullptr;
};

std::string backend_name(const ::testing::TestParamInfo<uint32_t> &info) {
  return info.param == IPC_LOOP_EPOLL ? "epoll" : "poll";
}
INSTANTIATE_TEST_SUITE_P(Backends, LoopTest, ::testing::Values(IPC_LOOP_EPOLL, IPC_LOOP_POLL), backend_name);

// ------------------------------------------------------------------------------------------------- arguments

TEST(LoopOpenTest, ArgumentsAndBackends) {
  ipc_loop *loop = nullptr;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_open(nullptr, nullptr));
  ipc_loop_options options{};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_open(&options, &loop));
  options.size = sizeof options;
  for (const uint32_t absent : {IPC_LOOP_KQUEUE, IPC_LOOP_IOCP}) {
    options.backend = absent;
    EXPECT_STATUS(IPC_UNSUPPORTED, ipc_loop_open(&options, &loop));
  }
  options.backend = 99;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_open(&options, &loop));
  struct {
    ipc_loop_options known;
    uint64_t newer;
  } larger{{sizeof larger, IPC_LOOP_BEST}, 1};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_open(&larger.known, &loop));
  EXPECT_EQ(nullptr, loop);
  larger.newer = 0;
  EXPECT_STATUS(IPC_OK, ipc_loop_open(&larger.known, &loop));
  EXPECT_STATUS(IPC_OK, ipc_loop_free(loop));
  EXPECT_STATUS(IPC_OK, ipc_loop_free(nullptr));
  EXPECT_STATUS(IPC_OK, ipc_loop_open(nullptr, &loop));
  EXPECT_STATUS(IPC_OK, ipc_loop_free(loop));
}

TEST_P(LoopTest, BadSubmissionsBeginNothing) {
  ipc_submission good = Loop::make(IPC_SUBMIT_TIMER, 1, IPC_NO_TIMEOUT);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_submit(nullptr, &good));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_submit(loop().get(), nullptr));
  for (const uint32_t operation : {0, 14, 1000}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(Loop::make(operation, 1, 0)));
  }
  for (const uint32_t operation : {1, 3, 4, 5, 12}) { /* without what they are about */
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(Loop::make(operation, 1, 0)));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(Loop::make(IPC_SUBMIT_TIMER, 1, -2)));
  ipc_submission small = good;
  small.size--;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(small));
  ipc_submission flags = good;
  flags.flags = 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(flags));
  ipc_submission read = Loop::make(IPC_SUBMIT_READ, 1, 0);
  read.stream = reader_;
  read.num_buffers = 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(read));
  std::vector<ipc_buffer> many(65, ipc_buffer{&read, 1});
  read.buffers = many.data();
  read.num_buffers = many.size();
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(read));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_cancel(nullptr, 1));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_wake(nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_close(nullptr));
  ipc_completion done;
  size_t num;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_wait(loop().get(), 0, &done, 0, &num));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_wait(loop().get(), 0, nullptr, 1, &num));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_wait(loop().get(), 0, &done, 1, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_wait(loop().get(), -2, &done, 1, &num));
  loop().expect_nothing();
}

TEST_P(LoopTest, ATokenUnderWayIsTaken) {
  ASSERT_STATUS(IPC_OK, loop().timer(7, IPC_NO_TIMEOUT));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().timer(7, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().read(reader_, 7, 1));
  EXPECT_STATUS(IPC_OK, loop().cancel(7));
  EXPECT_STATUS(IPC_OK, loop().timer(7, 0)); /* free again, though nobody took its completion */
  loop().expect(7, IPC_CANCELLED);
  loop().expect(7, IPC_TIMED_OUT);
}

// --------------------------------------------------------------------------------------------- read and write

TEST_P(LoopTest, WhatIsThereCompletesAtOnce) {
  put(writer_, "hello");
  waits = 0;
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 16));
  loop().expect(1, IPC_OK, 5, 0);
  EXPECT_EQ("hello", loop().bytes(1, 5));
  EXPECT_EQ(0, waits); /* nobody had to look */
}

TEST_P(LoopTest, ReadWaitsForBytesAndForTheEnd) {
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 16));
  loop().expect_nothing();
  put(writer_, "abc");
  loop().expect(1, IPC_OK, 3);
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 2, 16));
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, ipc_stream_close(writer_));
  loop().expect(2, IPC_END);
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 3, 16));
  loop().expect(3, IPC_END);
}

TEST_P(LoopTest, ReadsTakeTheBytesInTheOrderSubmitted) {
  for (uint64_t token = 1; token <= 4; token++) ASSERT_STATUS(IPC_OK, loop().read(reader_, token, 2));
  put(writer_, "aabbccdd");
  std::string all;
  for (uint64_t token = 1; token <= 4; token++) {
    loop().expect(token, IPC_OK, 2);
    all += loop().bytes(token, 2);
  }
  EXPECT_EQ("aabbccdd", all);
}

TEST_P(LoopTest, AReadDoesNotOvertakeOneThatWaits) {
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 1));
  put(writer_, "xy"); /* ready, and nobody has looked */
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 2, 1));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 3, 0)); /* also one that needs nothing */
  loop().expect(1, IPC_OK, 1);
  loop().expect(2, IPC_OK, 1);
  loop().expect(3, IPC_OK, 0);
  EXPECT_EQ("xy", loop().bytes(1, 1) + loop().bytes(2, 1));
}

TEST_P(LoopTest, WriteIsCompleteWhenEverythingIsTaken) {
  Pair pair(directory_.file("s"));
  const std::string large = numbered(kFarBeyondTheBuffers);
  for (ipc_stream *to : {pair.client, writer_}) {
    ipc_stream *from = to == writer_ ? reader_ : pair.server;
    ASSERT_STATUS(IPC_OK, loop().write(to, 1, large));
    ASSERT_STATUS(IPC_OK, loop().write(to, 2, "behind it"));
    loop().expect_nothing();
    std::string got;
    std::thread reading([&] { got = get(from, large.size() + 9); });
    loop().expect(1, IPC_OK, large.size());
    loop().expect(2, IPC_OK, 9);
    reading.join();
    EXPECT_TRUE(got == large + "behind it");
  }
}

TEST_P(LoopTest, BothDirectionsAtOnce) {
  Pair pair(directory_.file("s"));
  const std::string large = numbered(kFarBeyondTheBuffers);
  ASSERT_STATUS(IPC_OK, loop().read(pair.client, 1, 16));
  ASSERT_STATUS(IPC_OK, loop().write(pair.client, 2, large));
  loop().expect_nothing();
  put(pair.server, "answer");
  loop().expect(1, IPC_OK, 6); /* though the write waits */
  std::thread reading([&] { EXPECT_TRUE(get(pair.server, large.size()) == large); });
  loop().expect(2, IPC_OK, large.size());
  reading.join();
}

TEST_P(LoopTest, SeveralBuffers) {
  Pair pair(directory_.file("s"));
  const std::string large = numbered(kFarBeyondTheBuffers);
  const ipc_const_buffer out[4] = {{"ab", 2}, {nullptr, 0}, {large.data(), large.size()}, {"yz", 2}};
  ipc_submission write = Loop::make(IPC_SUBMIT_WRITE, 1, IPC_NO_TIMEOUT);
  write.stream = pair.client;
  write.const_buffers = out;
  write.num_buffers = 4;
  ASSERT_STATUS(IPC_OK, loop().submit(write));
  char first[1], second[3];
  const ipc_buffer in[2] = {{first, 1}, {second, 3}};
  ipc_submission read = Loop::make(IPC_SUBMIT_READ, 2, IPC_NO_TIMEOUT);
  read.stream = pair.server;
  read.buffers = in;
  read.num_buffers = 2;
  ASSERT_STATUS(IPC_OK, loop().submit(read));
  loop().expect(2, IPC_OK, 4);
  EXPECT_EQ("ab" + large.substr(0, 2), std::string(first, 1) + std::string(second, 3));
  std::thread reading([&] { EXPECT_TRUE(get(pair.server, large.size()) == large.substr(2) + "yz"); });
  loop().expect(1, IPC_OK, large.size() + 4);
  reading.join();
}

TEST_P(LoopTest, WhatTheCallWouldSay) {
  ASSERT_STATUS(IPC_OK, loop().read(writer_, 1, 1));
  loop().expect(1, IPC_UNSUPPORTED);
  ASSERT_STATUS(IPC_OK, loop().write(reader_, 2, "x"));
  loop().expect(2, IPC_UNSUPPORTED);
  ASSERT_STATUS(IPC_OK, loop().write(writer_, 3, numbered(1 << 20)));
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, ipc_stream_close(reader_));
  const ipc_completion done = loop().next();
  EXPECT_STATUS(IPC_BROKEN_PIPE, done.status);
  EXPECT_GE(done.len, 4096u);
  EXPECT_STATUS(IPC_CLOSED, loop().read(reader_, 4, 1));
}

TEST_P(LoopTest, NonblockingModeDoesNotMatter) {
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(reader_, true));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 1));
  loop().expect_nothing();
  put(writer_, "x");
  loop().expect(1, IPC_OK, 1);
}

// --------------------------------------------------------------------------------------------------- cancel

TEST_P(LoopTest, CancelEndsOnceAndLosesNothing) {
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 16));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 2, 16));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 3, 16));
  EXPECT_STATUS(IPC_OK, loop().cancel(2)); /* from the middle */
  EXPECT_STATUS(IPC_NOT_FOUND, loop().cancel(2));
  EXPECT_STATUS(IPC_OK, loop().cancel(1));
  loop().expect(2, IPC_CANCELLED);
  loop().expect(1, IPC_CANCELLED);
  put(writer_, "kept");
  loop().expect(3, IPC_OK, 4);
  EXPECT_EQ("kept", loop().bytes(3, 4));
  EXPECT_STATUS(IPC_NOT_FOUND, loop().cancel(3));
  loop().expect_nothing();
}

TEST_P(LoopTest, CancelledWriteSaysWhatWasTaken) {
  const std::string large = numbered(1 << 20);
  ASSERT_STATUS(IPC_OK, loop().write(writer_, 1, large));
  EXPECT_STATUS(IPC_OK, loop().cancel(1));
  const ipc_completion done = loop().next();
  EXPECT_STATUS(IPC_CANCELLED, done.status);
  ASSERT_GE(done.len, 4096u);
  ASSERT_LT(done.len, large.size());
  EXPECT_TRUE(get(reader_, done.len) == large.substr(0, done.len));
  ASSERT_STATUS(IPC_OK, loop().write(writer_, 2, "usable"));
  loop().expect(2, IPC_OK, 6);
  EXPECT_EQ("usable", get(reader_, 6));
}

// ------------------------------------------------------------------------------------------- accept, connect

TEST_P(LoopTest, AcceptsInOrder) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  for (uint64_t token = 1; token <= 3; token++) ASSERT_STATUS(IPC_OK, loop().accept(listener, token));
  loop().expect_nothing();
  EXPECT_STATUS(IPC_OK, loop().cancel(2));
  loop().expect(2, IPC_CANCELLED);
  for (const uint64_t token : {1, 3}) {
    ASSERT_STATUS(IPC_OK, loop().connect(name, 10 + token));
    ipc_stream *client = loop().expect(10 + token, IPC_OK).stream;
    ipc_stream *server = loop().expect(token, IPC_OK).stream;
    ASSERT_NE(nullptr, client);
    ASSERT_NE(nullptr, server);
    put(client, "through");
    EXPECT_EQ("through", get(server, 7));
    ipc_stream_free(client);
    ipc_stream_free(server);
  }
  ASSERT_STATUS(IPC_OK, loop().accept(listener, 4, 1));
  loop().expect(4, IPC_TIMED_OUT);
  ipc_listener_free(listener);
}

TEST_P(LoopTest, ConnectSaysWhatTheCallWouldSay) {
  const std::string path = directory_.file("nothing"), overlong(5000, 'x');
  ASSERT_STATUS(IPC_OK, loop().connect(name_of(IPC_NAME_PATH, path), 1));
  loop().expect(1, IPC_NOT_FOUND);
  ASSERT_STATUS(IPC_OK, loop().connect(name_of(IPC_NAME_PATH, overlong), 2));
  loop().expect(2, IPC_NAME_TOO_LONG);
  ASSERT_STATUS(IPC_OK, loop().connect(name_of(IPC_NAME_PATH, ""), 3));
  loop().expect(3, IPC_INVALID_NAME);
}

TEST_P(LoopTest, ConnectToAFullBacklogWaits) {
  Full full;
  const std::string path = directory_.file("s");
  fill(&full, path);
  ASSERT_STATUS(IPC_OK, loop().connect(full.name, 1, 0));
  loop().expect(1, IPC_TIMED_OUT);
  ASSERT_STATUS(IPC_OK, loop().connect(full.name, 2, 20));
  loop().expect(2, IPC_TIMED_OUT);
  ASSERT_STATUS(IPC_OK, loop().connect(full.name, 3));
  ASSERT_STATUS(IPC_OK, loop().connect(full.name, 4));
  loop().expect_nothing();
  EXPECT_STATUS(IPC_OK, loop().cancel(4));
  loop().expect(4, IPC_CANCELLED);
  ipc_stream *server = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_listener_accept(full.listener, kLongMs, &server));
  ipc_stream *client = loop().expect(3, IPC_OK).stream;
  ASSERT_NE(nullptr, client);
  ipc_stream_free(client);
  ipc_stream_free(server);
}

TEST_P(LoopTest, ConnectWaitsWhereTheSystemDoesNot) {
  Full full;
  const std::string path = directory_.file("s");
  fill(&full, path);
  hasty_connects = 3;
  ASSERT_STATUS(IPC_OK, loop().connect(full.name, 1));
  for (const auto end = Clock::now() + kDeadline; hasty_connects > 0 && Clock::now() < end; sched_yield()) continue;
  EXPECT_EQ(0, hasty_connects);
  loop().expect_nothing();
  ipc_stream *server = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_listener_accept(full.listener, kLongMs, &server));
  ipc_stream *client = loop().expect(1, IPC_OK).stream;
  ASSERT_NE(nullptr, client);
  EXPECT_GE(raw_fd(client), 0);
  ipc_stream_free(client);
  ipc_stream_free(server);
}

TEST_P(LoopTest, ConnectWaitsUntilTheListenerGoes) {
  Full full;
  const std::string path = directory_.file("s");
  fill(&full, path);
  ASSERT_STATUS(IPC_OK, loop().connect(full.name, 1));
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, ipc_listener_close(full.listener));
  EXPECT_STATUS(IPC_NOT_FOUND, loop().next().status); /* the waiting connect looks for the name again */
}

// ----------------------------------------------------------------------------------------------------- fifo

TEST_P(LoopTest, FifoOpensMeet) {
  const std::string path = directory_.file("fifo");
  ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
  for (const bool reader_first : {true, false}) {
    ASSERT_STATUS(IPC_OK, loop().open_fifo(path, reader_first ? IPC_FIFO_READ : IPC_FIFO_WRITE, 1));
    loop().expect_nothing();
    ASSERT_STATUS(IPC_OK, loop().open_fifo(path, reader_first ? IPC_FIFO_WRITE : IPC_FIFO_READ, 2));
    ipc_stream *ends[3] = {};
    for (int i = 0; i < 2; i++) {
      const ipc_completion done = loop().next();
      EXPECT_STATUS(IPC_OK, done.status);
      ends[done.token] = done.stream;
    }
    put(ends[reader_first ? 2 : 1], "met");
    ASSERT_STATUS(IPC_OK, loop().read(ends[reader_first ? 1 : 2], 3, 8));
    loop().expect(3, IPC_OK, 3);
    ipc_stream_free(ends[1]);
    ipc_stream_free(ends[2]);
  }
}

TEST_P(LoopTest, FifoOpenThatIsCalledOffLeavesNothing) {
  const std::string path = directory_.file("fifo");
  ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
  for (const uint32_t direction : {IPC_FIFO_READ, IPC_FIFO_WRITE}) {
    ASSERT_STATUS(IPC_OK, loop().open_fifo(path, direction, 1));
    loop().expect_nothing();
    EXPECT_STATUS(IPC_OK, loop().cancel(1));
    EXPECT_STATUS(IPC_NOT_FOUND, loop().cancel(1));
    loop().expect(1, IPC_CANCELLED);
    ASSERT_STATUS(IPC_OK, loop().open_fifo(path, direction, 2, 10));
    loop().expect(2, IPC_TIMED_OUT);
    ASSERT_STATUS(IPC_OK, loop().open_fifo(path, direction, 3, 0));
    loop().expect(3, IPC_TIMED_OUT, 0, 0);
    EXPECT_EQ(-1, ::open(path.c_str(), O_WRONLY | O_NONBLOCK));
    EXPECT_EQ(ENXIO, errno); /* nobody counts as a reader */
  }
}

TEST_P(LoopTest, FifoOpensThatDoNotWait) {
  const std::string path = directory_.file("fifo"), missing = directory_.file("missing");
  ASSERT_EQ(0, mkfifo(path.c_str(), 0600));
  ASSERT_STATUS(IPC_OK, loop().open_fifo(path, IPC_FIFO_WRITE, 1, IPC_NO_TIMEOUT, IPC_FIFO_NO_WAIT));
  loop().expect(1, IPC_WOULD_BLOCK, 0, 0);
  ASSERT_STATUS(IPC_OK, loop().open_fifo(path, IPC_FIFO_READ, 2, IPC_NO_TIMEOUT, IPC_FIFO_NO_WAIT));
  ipc_stream *reader = loop().expect(2, IPC_OK, 0, 0).stream;
  ASSERT_STATUS(IPC_OK, loop().open_fifo(path, IPC_FIFO_WRITE, 3));
  ipc_stream *writer = loop().expect(3, IPC_OK, 0, 0).stream;
  ipc_stream_free(reader);
  ipc_stream_free(writer);
  ASSERT_STATUS(IPC_OK, loop().open_fifo(missing, IPC_FIFO_READ, 4));
  loop().expect(4, IPC_NOT_FOUND, 0, 0);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().open_fifo(path, 3, 5));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().open_fifo(path, IPC_FIFO_READ, 5, 0, 8));
}

// ---------------------------------------------------------------------------------- ancillary, sockets, signals

TEST_P(LoopTest, AncillaryDataTravelsWithTheFirstByte) {
  Pair pair(directory_.file("s"));
  const std::string large = numbered(kFarBeyondTheBuffers);
  int32_t sent[1] = {raw_fd(reader_)}, got[2] = {-1, -1};
  ipc_ancillary out{}, in{};
  out.size = in.size = sizeof out;
  out.descriptors = sent;
  out.num_descriptors = 1;
  in.descriptors = got;
  in.descriptors_max = 2;
  char byte;
  const ipc_buffer room{&byte, 1};
  const ipc_const_buffer from{large.data(), large.size()};
  ipc_submission read = Loop::make(IPC_SUBMIT_READ_ANCILLARY, 1, IPC_NO_TIMEOUT);
  read.stream = pair.server;
  read.buffers = &room;
  read.num_buffers = 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(read));
  read.ancillary = &in;
  ASSERT_STATUS(IPC_OK, loop().submit(read));
  loop().expect_nothing();
  ipc_submission write = Loop::make(IPC_SUBMIT_WRITE_ANCILLARY, 2, IPC_NO_TIMEOUT);
  write.stream = pair.client;
  write.const_buffers = &from;
  write.num_buffers = 1;
  write.ancillary = &out;
  ASSERT_STATUS(IPC_OK, loop().submit(write));
  loop().expect(1, IPC_OK, 1);
  ASSERT_EQ(1u, in.num_descriptors);
  ::close(got[0]);
  std::thread reading([&] { EXPECT_TRUE(get(pair.server, large.size() - 1) == large.substr(1)); });
  loop().expect(2, IPC_OK, large.size());
  reading.join();
}

TEST_P(LoopTest, SocketsAreAcceptedAndReceive) {
  const std::string path = directory_.file("q");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ipc_socket *client = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_unix_listen(&name, IPC_UNIX_SEQPACKET, nullptr, &listener));
  ASSERT_STATUS(IPC_OK, loop().accept(listener, 1));
  loop().expect(1, IPC_UNSUPPORTED); /* it has no streams */
  ipc_submission accept = Loop::make(IPC_SUBMIT_ACCEPT_SOCKET, 2, IPC_NO_TIMEOUT);
  accept.listener = listener;
  ASSERT_STATUS(IPC_OK, loop().submit(accept));
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_SEQPACKET, &client));
  ASSERT_STATUS(IPC_OK, ipc_socket_connect(client, &name, kLongMs));
  ipc_socket *server = loop().expect(2, IPC_OK).socket;
  ASSERT_NE(nullptr, server);
  char bytes[16];
  const ipc_buffer room{bytes, sizeof bytes};
  ipc_received received{};
  received.size = sizeof received;
  ipc_submission receive = Loop::make(IPC_SUBMIT_RECEIVE, 3, IPC_NO_TIMEOUT);
  receive.socket = server;
  receive.buffers = &room;
  receive.num_buffers = 1;
  receive.received = &received;
  ASSERT_STATUS(IPC_OK, loop().submit(receive));
  loop().expect_nothing();
  const ipc_const_buffer message{"message", 7};
  ASSERT_STATUS(IPC_OK, ipc_socket_send(client, &message, 1, nullptr, nullptr, kLongMs));
  loop().expect(3, IPC_OK, 7);
  EXPECT_EQ("message", std::string(bytes, 7));
  receive.token = 4;
  ASSERT_STATUS(IPC_OK, loop().submit(receive));
  ipc_socket_free(server);
  loop().expect(4, IPC_CANCELLED);
  ASSERT_STATUS(IPC_OK, loop().submit(accept));
  ipc_listener_free(listener);
  loop().expect(2, IPC_CANCELLED);
  ipc_socket_free(client);
}

// A datagram socket without a name, and a receiver that has no room for what it sends.
struct Crowded {
  ipc_socket *sender = nullptr;
  ipc_socket *receiver = nullptr;
  std::string path;
  ipc_name name{};
  int num_messages = 0;

  explicit Crowded(const std::string &at) : path(at) {
    name = name_of(IPC_NAME_PATH, path);
    EXPECT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_DATAGRAM, &sender));
    EXPECT_STATUS(IPC_OK, ipc_socket_bind(&name, nullptr, &receiver));
    const ipc_const_buffer message{"filling", 7};
    while (ipc_socket_send(sender, &message, 1, &name, nullptr, 0).code == IPC_OK) num_messages++;
    EXPECT_LT(0, num_messages);
  }
  ~Crowded() {
    ipc_socket_free(sender);
    ipc_socket_free(receiver);
  }
  Crowded(const Crowded &) = delete;
  Crowded &operator=(const Crowded &) = delete;

  // The next message, which must be there.
  std::string take() {
    char bytes[64];
    const ipc_buffer room{bytes, sizeof bytes};
    ipc_received received{};
    received.size = sizeof received;
    EXPECT_STATUS(IPC_OK, ipc_socket_receive(receiver, 0, &room, 1, &received, nullptr, 0));
    return std::string(bytes, received.len);
  }
  // Takes what filled it, but for |left|.
  void drain(int left = 0) {
    for (; num_messages > left; num_messages--) EXPECT_EQ("filling", take());
  }
};

TEST_P(LoopTest, SendWaitsForRoomWithTheReceiver) {
  Crowded crowded(directory_.file("d"));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 1, "first", &crowded.name));
  loop().expect_nothing();
  crowded.drain(1);
  loop().expect(1, IPC_OK, 5);
  crowded.drain();
  EXPECT_EQ("first", crowded.take());
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 2, "at once", &crowded.name));
  loop().expect(2, IPC_OK, 7);
  EXPECT_EQ("at once", crowded.take());
}

// The socket itself has room all the time: who looks at that does not wait, but spins.
TEST_P(LoopTest, SendThatWaitsKeepsNobodyBusy) {
  Crowded crowded(directory_.file("d"));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 1, "waiting", &crowded.name));
  loop().expect_nothing();
  waits = 0;
  ipc_completion done{};
  size_t num = 0;
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_loop_wait(loop().get(), 50, &done, 1, &num));
  EXPECT_GE(3, waits);
  EXPECT_STATUS(IPC_OK, loop().cancel(1));
  loop().expect(1, IPC_CANCELLED);
}

TEST_P(LoopTest, SendsOfASocketAreCarriedOutInOrder) {
  Crowded crowded(directory_.file("d"));
  const std::string path = directory_.file("other");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_socket *other = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_socket_bind(&name, nullptr, &other));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 1, "one", &crowded.name));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 2, "two", &name));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 3, "three", &crowded.name));
  ASSERT_STATUS(IPC_OK, loop().receive(other, 4, 16));
  loop().expect_nothing(); /* though there is room with the other */
  crowded.drain();
  loop().expect(1, IPC_OK, 3);
  loop().expect(2, IPC_OK, 3);
  loop().expect(3, IPC_OK, 5);
  loop().expect(4, IPC_OK, 3);
  EXPECT_EQ("two", loop().bytes(4, 3));
  EXPECT_EQ("one", crowded.take());
  EXPECT_EQ("three", crowded.take());
  ipc_socket_free(other);
}

// What waits behind one that is called off must not wait for what that one waited for.
TEST_P(LoopTest, CancelledSendLetsTheNextGo) {
  Crowded crowded(directory_.file("d"));
  const std::string path = directory_.file("other");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_socket *other = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_socket_bind(&name, nullptr, &other));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 1, "never", &crowded.name));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 2, "never", &crowded.name, 20));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 3, "goes on", &name));
  loop().expect(2, IPC_TIMED_OUT); /* from behind */
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 4, "never", &crowded.name, 20));
  EXPECT_STATUS(IPC_OK, loop().cancel(1));
  loop().expect(1, IPC_CANCELLED);
  loop().expect(3, IPC_OK, 7);
  loop().expect(4, IPC_TIMED_OUT); /* from the front */
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 5, "never", &crowded.name, 0));
  loop().expect(5, IPC_TIMED_OUT);
  crowded.drain();
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 6, "usable", &crowded.name));
  loop().expect(6, IPC_OK, 6);
  EXPECT_EQ("usable", crowded.take());
  ipc_socket_free(other);
}

TEST_P(LoopTest, ClosingEndsASendThatWaits) {
  Crowded crowded(directory_.file("d"));
  Loop second(GetParam());
  for (Loop *each : {&loop(), &second}) {
    ASSERT_STATUS(IPC_OK, each->send(crowded.sender, 1, "never", &crowded.name));
    ASSERT_STATUS(IPC_OK, each->send(crowded.sender, 2, "never", &crowded.name));
  }
  EXPECT_STATUS(IPC_OK, ipc_loop_close(second.get()));
  EXPECT_STATUS(IPC_OK, ipc_socket_close(crowded.sender));
  for (Loop *each : {&loop(), &second}) {
    each->expect(1, IPC_CANCELLED);
    each->expect(2, IPC_CANCELLED);
  }
  EXPECT_STATUS(IPC_CLOSED, loop().send(crowded.sender, 3, "never", &crowded.name));
  crowded.drain();
}

TEST_P(LoopTest, SendLearnsThatTheReceiverWent) {
  Crowded crowded(directory_.file("d"));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 1, "never", &crowded.name));
  loop().expect_nothing();
  EXPECT_STATUS(IPC_OK, ipc_socket_close(crowded.receiver)); /* and the name with it */
  loop().expect(1, IPC_NOT_FOUND);
}

TEST_P(LoopTest, ConnectedSendWaitsOnItsOwnSocket) {
  Crowded crowded(directory_.file("d"));
  ASSERT_STATUS(IPC_OK, loop().connect_socket(crowded.sender, crowded.name, 1));
  loop().expect(1, IPC_OK);
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 2, "connected"));
  loop().expect_nothing();
  crowded.drain(1);
  loop().expect(2, IPC_OK, 9);
  crowded.drain();
  EXPECT_EQ("connected", crowded.take());
}

TEST_P(LoopTest, SendWithoutADescriptorToWaitOn) {
  Crowded crowded(directory_.file("d"));
  Loop &loop = *loop_;
  {
    DescriptorLimit limit(0);
    ASSERT_STATUS(IPC_OK, loop.send(crowded.sender, 1, "never", &crowded.name));
    loop.expect(1, IPC_OUT_OF_RESOURCES);
  }
  crowded.drain();
  ASSERT_STATUS(IPC_OK, loop.send(crowded.sender, 2, "now", &crowded.name));
  loop.expect(2, IPC_OK, 3);
}

TEST_P(LoopTest, SendAndConnectSayWhatTheCallWouldSay) {
  ipc_socket *datagrams = nullptr, *packets = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_DATAGRAM, &datagrams));
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_SEQPACKET, &packets));
  const std::string path = directory_.file("absent"), long_path(300, 'x');
  const ipc_name absent = name_of(IPC_NAME_PATH, path), too_long = name_of(IPC_NAME_PATH, long_path);
  for (const uint32_t operation : {IPC_SUBMIT_SEND, IPC_SUBMIT_SOCKET_CONNECT, IPC_SUBMIT_RECEIVE}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(Loop::make(operation, 1, 0)));
    ipc_submission flags = Loop::make(operation, 1, 0);
    flags.socket = datagrams;
    flags.name = &absent;
    flags.flags = 8;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(flags));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().receive(datagrams, 1, 1, 2));
  ipc_submission nowhere = Loop::make(IPC_SUBMIT_SEND, 1, 0);
  nowhere.socket = datagrams;
  nowhere.num_buffers = 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(nowhere));
  ASSERT_STATUS(IPC_OK, loop().send(datagrams, 1, "x", &absent));
  loop().expect(1, IPC_NOT_FOUND);
  ASSERT_STATUS(IPC_OK, loop().send(datagrams, 2, "x"));
  loop().expect(2, IPC_NOT_CONNECTED);
  ASSERT_STATUS(IPC_OK, loop().send(datagrams, 3, "x", &too_long));
  loop().expect(3, IPC_NAME_TOO_LONG);
  ASSERT_STATUS(IPC_OK, loop().send(packets, 4, ""));
  loop().expect(4, IPC_UNENCODABLE);
  ASSERT_STATUS(IPC_OK, loop().send(packets, 5, "x", &absent));
  loop().expect(5, IPC_NOT_CONNECTED);
  ASSERT_STATUS(IPC_OK, loop().connect_socket(packets, absent, 6));
  loop().expect(6, IPC_NOT_FOUND);
  ASSERT_STATUS(IPC_OK, loop().connect_socket(datagrams, too_long, 7));
  loop().expect(7, IPC_NAME_TOO_LONG);
  ipc_socket_free(datagrams);
  ipc_socket_free(packets);
}

TEST_P(LoopTest, ReceiveOfWholeAndEmptyMessages) {
  Crowded crowded(directory_.file("d"));
  crowded.drain();
  ASSERT_STATUS(IPC_OK, loop().receive(crowded.receiver, 1, 4, IPC_RECEIVE_WHOLE));
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 2, "too long", &crowded.name));
  loop().expect(2, IPC_OK, 8);
  loop().expect(1, IPC_MESSAGE_TRUNCATED);
  EXPECT_EQ(8u, loop().received(1).needed);
  ASSERT_STATUS(IPC_OK, loop().receive(crowded.receiver, 3, 8, IPC_RECEIVE_WHOLE));
  loop().expect(3, IPC_OK, 8);
  EXPECT_EQ("too long", loop().bytes(3, 8));
  ASSERT_STATUS(IPC_OK, loop().receive(crowded.receiver, 4, 4));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 5, "", &crowded.name));
  ASSERT_STATUS(IPC_OK, loop().send(crowded.sender, 6, "too long", &crowded.name));
  loop().expect(5, IPC_OK, 0);
  loop().expect(6, IPC_OK, 8);
  loop().expect(4, IPC_OK, 0);
  ASSERT_STATUS(IPC_OK, loop().receive(crowded.receiver, 7, 4));
  loop().expect(7, IPC_MESSAGE_TRUNCATED, 4);
  EXPECT_EQ(8u, loop().received(7).needed);
}

// A seqpacket listener with no room for another connection.
struct FullOfPackets {
  ipc_listener *listener = nullptr;
  std::vector<ipc_socket *> clients;
  std::string path;
  ipc_name name{};

  explicit FullOfPackets(const std::string &at) : path(at) {
    name = name_of(IPC_NAME_PATH, path);
    const ipc_local_listen_options options{sizeof options, 0, 0, 1};
    EXPECT_STATUS(IPC_OK, ipc_unix_listen(&name, IPC_UNIX_SEQPACKET, &options, &listener));
    int32_t code = IPC_OK;
    while (code == IPC_OK) {
      clients.push_back(nullptr);
      EXPECT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_SEQPACKET, &clients.back()));
      code = ipc_socket_connect(clients.back(), &name, 0).code;
    }
    EXPECT_EQ(IPC_TIMED_OUT, code);
    EXPECT_LT(1u, clients.size());
  }
  ~FullOfPackets() {
    for (ipc_socket *each : clients) ipc_socket_free(each);
    ipc_listener_free(listener);
  }
  FullOfPackets(const FullOfPackets &) = delete;
  FullOfPackets &operator=(const FullOfPackets &) = delete;
  ipc_socket *waiting() const { return clients.back(); } /* not connected */
  ipc_socket *accept() {
    ipc_socket *server = nullptr;
    EXPECT_STATUS(IPC_OK, ipc_listener_accept_socket(listener, kLongMs, &server));
    return server;
  }
};

TEST_P(LoopTest, SocketConnectWaitsForRoomInTheBacklog) {
  FullOfPackets full(directory_.file("q"));
  ASSERT_STATUS(IPC_OK, loop().connect_socket(full.waiting(), full.name, 1, 0));
  loop().expect(1, IPC_TIMED_OUT);
  ASSERT_STATUS(IPC_OK, loop().connect_socket(full.waiting(), full.name, 2, 20));
  loop().expect(2, IPC_TIMED_OUT);
  ASSERT_STATUS(IPC_OK, loop().connect_socket(full.waiting(), full.name, 3));
  ASSERT_STATUS(IPC_OK, loop().send(full.waiting(), 4, "behind it"));
  loop().expect_nothing();
  EXPECT_STATUS(IPC_BUSY, ipc_socket_connect(full.waiting(), &full.name, kLongMs));
  ipc_socket *first = full.accept();
  loop().expect(3, IPC_OK);
  loop().expect(4, IPC_OK, 9);
  EXPECT_STATUS(IPC_ALREADY_CONNECTED, ipc_socket_connect(full.waiting(), &full.name, kLongMs));
  ipc_socket_free(first);
  ipc_socket *last = nullptr;
  for (size_t i = 1; i < full.clients.size(); i++) {
    ipc_socket_free(last);
    last = full.accept();
  }
  ASSERT_STATUS(IPC_OK, loop().receive(last, 5, 16));
  loop().expect(5, IPC_OK, 9);
  EXPECT_EQ("behind it", loop().bytes(5, 9));
  ipc_socket_free(last);
}

TEST_P(LoopTest, SocketConnectThatIsCalledOffIsNone) {
  FullOfPackets full(directory_.file("q"));
  ASSERT_STATUS(IPC_OK, loop().connect_socket(full.waiting(), full.name, 1));
  ASSERT_STATUS(IPC_OK, loop().send(full.waiting(), 2, "nowhere"));
  loop().expect_nothing();
  EXPECT_STATUS(IPC_OK, loop().cancel(1));
  loop().expect(1, IPC_CANCELLED);
  loop().expect(2, IPC_NOT_CONNECTED);
  ASSERT_STATUS(IPC_OK, loop().connect_socket(full.waiting(), full.name, 3));
  EXPECT_STATUS(IPC_OK, ipc_socket_close(full.waiting()));
  loop().expect(3, IPC_CANCELLED);
  for (size_t i = 1; i < full.clients.size(); i++) ipc_socket_free(full.accept());
  ipc_socket *none = nullptr;
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept_socket(full.listener, 0, &none));
}

TEST_P(LoopTest, SocketConnectWaitsUntilTheListenerGoes) {
  FullOfPackets full(directory_.file("q"));
  ASSERT_STATUS(IPC_OK, loop().connect_socket(full.waiting(), full.name, 1));
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, ipc_listener_close(full.listener));
  EXPECT_STATUS(IPC_NOT_FOUND, loop().next().status); /* the waiting connect looks for the name again */
}

// Sends are begun, called off and closed under, from threads, while another drains: what was sent arrives once, in
// order, and nothing else does.
TEST_P(LoopTest, SendsThatAreCalledOffMeetReceives) {
  constexpr uint64_t kMessages = 2000;
  Crowded crowded(directory_.file("d"));
  crowded.drain();
  std::vector<std::string> got;
  std::thread receiver([&] {
    for (;;) {
      char bytes[32];
      const ipc_buffer room{bytes, sizeof bytes};
      ipc_received received{};
      received.size = sizeof received;
      ASSERT_STATUS(IPC_OK, ipc_socket_receive(crowded.receiver, 0, &room, 1, &received, nullptr, kLongMs));
      if (received.len == 0) return;
      got.emplace_back(bytes, received.len);
    }
  });
  std::atomic<uint64_t> submitted{0};
  std::thread canceller([&] {
    for (uint64_t token = 3; token < kMessages; token += 7) {
      while (submitted < token) std::this_thread::yield();
      (void)loop().cancel(token);
    }
  });
  std::vector<std::string> sent;
  std::map<uint64_t, std::string> bytes;
  std::map<uint64_t, ipc_const_buffer> buffers;
  uint64_t ended = 0;
  for (uint64_t token = 1; token <= kMessages; token++) {
    bytes[token] = std::to_string(token);
    buffers[token] = {bytes[token].data(), bytes[token].size()};
    ipc_submission send = Loop::make(IPC_SUBMIT_SEND, token, token % 11 == 0 ? 1 : IPC_NO_TIMEOUT);
    send.socket = crowded.sender;
    send.const_buffers = &buffers[token];
    send.num_buffers = 1;
    send.name = &crowded.name;
    ASSERT_STATUS(IPC_OK, loop().submit(send));
    submitted = token;
    while (token - ended > 20 || (token == kMessages && ended < kMessages)) {
      const ipc_completion done = loop().next();
      ended++;
      if (done.status.code == IPC_OK)
        sent.push_back(bytes[done.token]);
      else
        EXPECT_TRUE(done.status.code == IPC_CANCELLED || done.status.code == IPC_TIMED_OUT);
    }
  }
  canceller.join();
  EXPECT_STATUS(IPC_OK, ipc_socket_send(crowded.sender, nullptr, 0, &crowded.name, nullptr, kLongMs));
  receiver.join();
  EXPECT_EQ(sent, got);
}

#ifndef IPC_WITHOUT_SIGNALS
TEST_P(LoopTest, SignalsComplete) {
  const int32_t signals[] = {SIGUSR1};
  ipc_watcher *watcher = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_signal_watch(signals, 1, &watcher));
  ipc_signal_event event{};
  ipc_submission next = Loop::make(IPC_SUBMIT_NEXT_SIGNAL, 1, IPC_NO_TIMEOUT);
  next.watcher = watcher;
  next.event = &event;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, loop().submit(next));
  event.size = sizeof event;
  ASSERT_STATUS(IPC_OK, loop().submit(next));
  loop().expect_nothing();
  kill(getpid(), SIGUSR1);
  loop().expect(1, IPC_OK);
  EXPECT_EQ(SIGUSR1, event.signal);
  ASSERT_STATUS(IPC_OK, loop().submit(next));
  ipc_watcher_free(watcher);
  loop().expect(1, IPC_CANCELLED);
}
#endif

// ------------------------------------------------------------------------------------------ timers, timeouts

TEST_P(LoopTest, TimersEndInTheOrderOfTheirDeadlines) {
  const auto begun = Clock::now();
  for (const auto &[token, timeout_ms] : std::map<uint64_t, int64_t>{{1, 30}, {2, 10}, {3, 20}, {4, 0}, {5, 25}}) {
    ASSERT_STATUS(IPC_OK, loop().timer(token, timeout_ms));
  }
  ASSERT_STATUS(IPC_OK, loop().timer(6, IPC_NO_TIMEOUT));
  EXPECT_STATUS(IPC_OK, loop().cancel(3));
  loop().expect(4, IPC_TIMED_OUT, 0, 0);
  loop().expect(3, IPC_CANCELLED, 0, 0);
  for (const auto &[token, due_ms] : {std::pair<uint64_t, int>{2, 10}, {5, 25}, {1, 30}}) {
    loop().expect(token, IPC_TIMED_OUT);
    EXPECT_GE(Clock::now() - begun, milliseconds(due_ms));
  }
  loop().expect_nothing();
  EXPECT_STATUS(IPC_OK, loop().cancel(6));
  loop().expect(6, IPC_CANCELLED);
}

TEST_P(LoopTest, AThousandTimersComeInOrder) {
  std::mt19937 random(1);
  std::vector<Clock::time_point> earliest, latest; /* where the deadline lies */
  for (uint64_t token = 0; token < 1000; token++) {
    const int64_t timeout_ms = 1 + static_cast<int64_t>(random() % 40);
    earliest.push_back(Clock::now() + milliseconds(timeout_ms));
    ASSERT_STATUS(IPC_OK, loop().timer(token, timeout_ms));
    latest.push_back(Clock::now() + milliseconds(timeout_ms));
  }
  size_t cancelled = 0;
  for (uint64_t token = 0; token < 1000; token += 3) cancelled += loop().cancel(token).code == IPC_OK ? 1 : 0;
  Clock::time_point last{};
  size_t ended = 0, called_off = 0;
  while (ended + called_off < 1000) {
    const ipc_completion done = loop().next();
    if (done.status.code == IPC_CANCELLED) {
      called_off++;
      continue;
    }
    ASSERT_STATUS(IPC_TIMED_OUT, done.status);
    ended++;
    EXPECT_GE(Clock::now(), earliest[done.token]);
    EXPECT_GE(latest[done.token], last);
    last = std::max(last, earliest[done.token]);
  }
  EXPECT_EQ(cancelled, called_off);
}

TEST_P(LoopTest, TimeoutsLeaveTheHandleUsable) {
  const auto begun = Clock::now();
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4, 20));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 2, 4, 0));
  ASSERT_STATUS(IPC_OK, loop().write(writer_, 3, numbered(1 << 20), 10));
  loop().expect(2, IPC_TIMED_OUT, 0, 0); /* behind another it makes no attempt */
  std::map<uint64_t, ipc_completion> done;
  for (int i = 0; i < 2; i++) {
    const ipc_completion one = loop().next();
    done[one.token] = one;
  }
  EXPECT_STATUS(IPC_OK, done[1].status); /* the write's bytes */
  EXPECT_STATUS(IPC_TIMED_OUT, done[3].status);
  EXPECT_GE(Clock::now() - begun, milliseconds(10));
  EXPECT_GE(done[3].len, 4096u);
  EXPECT_EQ(done[3].len - 4, get(reader_, done[3].len - 4).size());
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 4, 4, 10));
  loop().expect(4, IPC_TIMED_OUT);
  put(writer_, "late");
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 5, 4, 10));
  loop().expect(5, IPC_OK, 4);
  loop().expect_nothing();
}

TEST_P(LoopTest, AnEarlierTimerShortensAWait) {
  Worker waiting([&] { loop().expect(1, IPC_TIMED_OUT); });
  EXPECT_TRUE(waiting.wait_until_in(GetParam() == IPC_LOOP_EPOLL ? SYS_epoll_wait : SYS_poll));
  ASSERT_STATUS(IPC_OK, loop().timer(1, 5));
}

// ------------------------------------------------------------------------------------------ handles that close

TEST_P(LoopTest, ClosingAHandleEndsItsOperationsInLoopsThatNobodyRuns) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  Loop second(GetParam()), third(GetParam());
  const std::string large = numbered(1 << 20);
  for (Loop *each : {&loop(), &second, &third}) {
    ASSERT_STATUS(IPC_OK, each->read(reader_, 1, 4));
    ASSERT_STATUS(IPC_OK, each->read(reader_, 2, 4));
    ASSERT_STATUS(IPC_OK, each->accept(listener, 3));
  }
  EXPECT_STATUS(IPC_OK, ipc_stream_close(reader_));
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
  for (Loop *each : {&loop(), &second, &third}) {
    for (uint64_t token = 1; token <= 3; token++) each->expect(token, IPC_CANCELLED);
    each->expect_nothing();
    EXPECT_STATUS(IPC_CLOSED, each->read(reader_, 1, 4));
    EXPECT_STATUS(IPC_CLOSED, each->accept(listener, 1));
  }
  ipc_listener_free(listener);
}

TEST_P(LoopTest, ReleaseEndsWhatIsUnderWay) {
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4));
  ipc_raw raw{};
  ASSERT_STATUS(IPC_OK, ipc_stream_release(reader_, &raw));
  loop().expect(1, IPC_CANCELLED);
  ipc_stream *again = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &again));
  ASSERT_STATUS(IPC_OK, loop().read(again, 2, 4));
  put(writer_, "x");
  loop().expect(2, IPC_OK, 1);
  ipc_stream_free(again);
}

TEST_P(LoopTest, SplitHalvesShareADescriptor) {
  Pair pair(directory_.file("s"));
  ipc_stream *reader = nullptr;
  ipc_stream *writer = nullptr;
  ASSERT_STATUS(IPC_OK, loop().read(pair.client, 1, 4));
  EXPECT_STATUS(IPC_BUSY, ipc_stream_split(pair.client, &reader, &writer));
  EXPECT_STATUS(IPC_OK, loop().cancel(1));
  loop().expect(1, IPC_CANCELLED);
  ASSERT_STATUS(IPC_OK, ipc_stream_split(pair.client, &reader, &writer));
  const std::string large = numbered(kFarBeyondTheBuffers);
  ASSERT_STATUS(IPC_OK, loop().read(reader, 2, 4));
  ASSERT_STATUS(IPC_OK, loop().write(writer, 3, large));
  ASSERT_STATUS(IPC_OK, ipc_stream_close(reader));
  loop().expect(2, IPC_CANCELLED);
  loop().expect_nothing();
  put(pair.server, "nobody reads this");
  std::thread reading([&] { EXPECT_TRUE(get(pair.server, large.size()) == large); });
  loop().expect(3, IPC_OK, large.size());
  reading.join();
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

TEST_P(LoopTest, ADescriptionThatLivesOnElsewhereLeavesNoGhost) {
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4));
  loop().expect_nothing();
  const int elsewhere = dup(raw_fd(reader_)); /* as another process might have it */
  EXPECT_STATUS(IPC_OK, ipc_stream_close(reader_));
  loop().expect(1, IPC_CANCELLED);
  put(writer_, "readable for ever");
  ASSERT_STATUS(IPC_OK, loop().timer(2, 30));
  waits = 0;
  loop().expect(2, IPC_TIMED_OUT);
  EXPECT_LE(waits, 3);
  ::close(elsewhere);
}

TEST_P(LoopTest, AClosedListenerIsGoneThoughALoopWaitsOnIt) {
  for (int i = 0; i < 50; i++) {
    const std::string text = "ipc-loop-" + std::to_string(getpid()) + "-" + std::to_string(i);
    const ipc_name name = name_of(IPC_NAME_NAMESPACED, text);
    ipc_listener *listener = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
    ASSERT_STATUS(IPC_OK, loop().accept(listener, 1));
    Worker waiting([&] { loop().expect(1, IPC_CANCELLED); });
    EXPECT_TRUE(waiting.wait_until_in(GetParam() == IPC_LOOP_EPOLL ? SYS_epoll_wait : SYS_poll));
    EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
    ipc_stream *client = nullptr;
    EXPECT_STATUS(IPC_REFUSED, ipc_local_connect(&name, 0, &client));
    ipc_listener_free(listener);
  }
}

// ------------------------------------------------------------------------------------------ wait, wake, close

TEST_P(LoopTest, WakesCountAsOne) {
  ipc_completion done;
  size_t num = 1;
  for (int i = 0; i < 3; i++) EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop().get()));
  EXPECT_STATUS(IPC_INTERRUPTED, ipc_loop_wait(loop().get(), IPC_NO_TIMEOUT, &done, 1, &num));
  EXPECT_EQ(0u, num);
  loop().expect_nothing();
  ASSERT_STATUS(IPC_OK, loop().timer(1, 0));
  EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop().get()));
  loop().expect(1, IPC_TIMED_OUT); /* it returned: that is what a wake is for */
  loop().expect_nothing();
}

TEST_P(LoopTest, AWokenWaitHasLookedFirst) {
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4));
  put(writer_, "x");
  EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop().get()));
  loop().expect(1, IPC_OK, 1, 0);
}

std::atomic<ipc_loop *> handler_loop{nullptr};
void wake_in_handler(int) { ipc_loop_wake(handler_loop); }
void do_nothing(int) {}

TEST_P(LoopTest, WakesFromThreadsAndHandlersButNotBySignals) {
  const long number = GetParam() == IPC_LOOP_EPOLL ? SYS_epoll_wait : SYS_poll;
  struct sigaction wakes{}, idle{}, before{}, before_idle{};
  wakes.sa_handler = wake_in_handler;
  idle.sa_handler = do_nothing;
  sigaction(SIGUSR2, &wakes, &before);
  sigaction(SIGURG, &idle, &before_idle);
  handler_loop = loop().get();
  for (const bool in_handler : {false, true}) {
    Worker waiting([&] {
      ipc_completion done;
      size_t num;
      EXPECT_STATUS(IPC_INTERRUPTED, ipc_loop_wait(loop().get(), kLongMs, &done, 1, &num));
    });
    EXPECT_TRUE(waiting.wait_until_in(number));
    pthread_kill(waiting.handle(), SIGURG); /* any other signal ends no wait */
    EXPECT_TRUE(waiting.wait_until_in(number));
    EXPECT_FALSE(waiting.done());
    if (in_handler) {
      pthread_kill(waiting.handle(), SIGUSR2);
    } else {
      EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop().get()));
    }
  }
  sigaction(SIGUSR2, &before, nullptr);
  sigaction(SIGURG, &before_idle, nullptr);
}

TEST_P(LoopTest, OneThreadAtATimeWaits) {
  Worker waiting([&] { loop().expect(1, IPC_OK, 2); });
  EXPECT_TRUE(waiting.wait_until_in(GetParam() == IPC_LOOP_EPOLL ? SYS_epoll_wait : SYS_poll));
  ipc_completion done;
  size_t num;
  EXPECT_STATUS(IPC_BUSY, ipc_loop_wait(loop().get(), 0, &done, 1, &num));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4)); /* while it waits */
  put(writer_, "ab");
}

TEST_P(LoopTest, CloseEndsEverythingAndKeepsCompletions) {
  const std::string path = directory_.file("s"), fifo = directory_.file("fifo");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4));
  ASSERT_STATUS(IPC_OK, loop().accept(listener, 2));
  ASSERT_STATUS(IPC_OK, loop().open_fifo(fifo, IPC_FIFO_READ, 3));
  ASSERT_STATUS(IPC_OK, loop().timer(4, 60000));
  EXPECT_STATUS(IPC_OK, ipc_loop_close(loop().get()));
  EXPECT_STATUS(IPC_CLOSED, ipc_loop_close(loop().get()));
  EXPECT_STATUS(IPC_CLOSED, loop().timer(5, 0));
  EXPECT_STATUS(IPC_CLOSED, loop().cancel(1));
  EXPECT_STATUS(IPC_CLOSED, ipc_loop_wake(loop().get()));
  for (uint64_t token = 1; token <= 4; token++) loop().expect(token, IPC_CANCELLED);
  ipc_completion done;
  size_t num;
  EXPECT_STATUS(IPC_CLOSED, ipc_loop_wait(loop().get(), IPC_NO_TIMEOUT, &done, 1, &num));
  put(writer_, "handles go on");
  EXPECT_EQ("handles go on", get(reader_, 13));
  ipc_listener_free(listener);
}

TEST_P(LoopTest, CloseEndsAWait) {
  Worker waiting([&] {
    ipc_completion done;
    size_t num;
    EXPECT_STATUS(IPC_CLOSED, ipc_loop_wait(loop().get(), IPC_NO_TIMEOUT, &done, 1, &num));
  });
  EXPECT_TRUE(waiting.wait_until_in(GetParam() == IPC_LOOP_EPOLL ? SYS_epoll_wait : SYS_poll));
  EXPECT_STATUS(IPC_OK, ipc_loop_close(loop().get()));
}

TEST_P(LoopTest, WhatNobodyTookIsClosedWithTheLoop) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  {
    Loop brief(GetParam());
    ASSERT_STATUS(IPC_OK, brief.connect(name, 1));
    ASSERT_STATUS(IPC_OK, brief.accept(listener, 2));
    ASSERT_STATUS(IPC_OK, brief.accept(listener, 3));
  }
  ipc_listener_free(listener); /* outlives the loop that was bound to it */
}

// ----------------------------------------------------------------------------------------------- many, fairly

TEST_P(LoopTest, ABusyStreamDoesNotStarveAnother) {
  Pair busy(directory_.file("s"));
  put(busy.server, numbered(100000));
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4));
  put(writer_, "x");
  int others = 0;
  for (uint64_t token = 2; others < 1000; others++) {
    ASSERT_STATUS(IPC_OK, loop().read(busy.client, token, 1));
    if (loop().next(0).token == 1) break;
    token++;
  }
  EXPECT_LT(others, 200);
}

TEST_P(LoopTest, AThousandOperationsUnderWay) {
  constexpr uint64_t kStreams = 100, kEach = 10;
  std::vector<std::pair<ipc_stream *, ipc_stream *>> pipes(kStreams);
  for (auto &pipe : pipes) ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &pipe.first, &pipe.second));
  for (uint64_t i = 0; i < kStreams * kEach; i++) {
    ASSERT_STATUS(IPC_OK, loop().read(pipes[i % kStreams].first, i, 1));
  }
  loop().expect_nothing();
  for (auto &pipe : pipes) put(pipe.second, "0123456789");
  std::vector<int> seen(kStreams * kEach);
  for (size_t got = 0; got < seen.size();) {
    ipc_completion done[32];
    size_t num = 0;
    ASSERT_STATUS(IPC_OK, ipc_loop_wait(loop().get(), kLongMs, done, 32, &num));
    for (size_t i = 0; i < num; i++) {
      EXPECT_STATUS(IPC_OK, done[i].status);
      EXPECT_EQ(std::to_string(done[i].token / kStreams), loop().bytes(done[i].token, 1));
      seen[done[i].token]++;
    }
    got += num;
  }
  EXPECT_EQ(static_cast<std::ptrdiff_t>(seen.size()), std::count(seen.begin(), seen.end(), 1));
  for (auto &pipe : pipes) {
    ipc_stream_free(pipe.first);
    ipc_stream_free(pipe.second);
  }
}

TEST_P(LoopTest, ManyLoops) {
  std::vector<std::unique_ptr<Loop>> loops;
  for (int i = 0; i < 50; i++) {
    loops.push_back(std::make_unique<Loop>(GetParam()));
    ASSERT_STATUS(IPC_OK, loops.back()->read(reader_, 1, 1));
  }
  put(writer_, std::string(50, 'x'));
  for (auto &each : loops) each->expect(1, IPC_OK, 1);
}

// ------------------------------------------------------------------------------------------------- resources

TEST_P(LoopTest, TheSteadyStateAllocatesNothing) {
  Pair pair(directory_.file("s"));
  const auto round = [&] {
    for (ipc_stream *stream : {pair.client, reader_}) {
      ASSERT_STATUS(IPC_OK, loop().read(stream, 1, 4, 60000));
      loop().expect_nothing();
      put(stream == reader_ ? writer_ : pair.server, "x");
      loop().expect(1, IPC_OK, 1);
      ASSERT_STATUS(IPC_OK, loop().read(stream, 2, 4, 60000));
      ASSERT_STATUS(IPC_OK, loop().cancel(2));
      loop().expect(2, IPC_CANCELLED);
    }
  };
  for (int i = 0; i < 3; i++) round();
  interest_changes = 0;
  allocations = 0;
  counting = true;
  for (int i = 0; i < 20; i++) round();
  counting = false;
  EXPECT_EQ(0, allocations);
  EXPECT_EQ(0, interest_changes); /* interest stays for the next one */
}

TEST_P(LoopTest, WithoutMemoryNothingIsHalfDone) {
  const std::string path = directory_.file("s"), fifo = directory_.file("fifo");
  ASSERT_EQ(0, mkfifo(fifo.c_str(), 0600));
  Full full;
  fill(&full, path);
  int failures = 0;
  for (int allowed = 0; allowed < 40; allowed++) {
    const ipc_loop_options options{sizeof options, GetParam()};
    ipc_loop *brief = nullptr;
    int under_way = 0;
    ipc_submission read = Loop::make(IPC_SUBMIT_READ, 1, 60000);
    char byte;
    const ipc_buffer buffer{&byte, 1};
    read.stream = reader_;
    read.buffers = &buffer;
    read.num_buffers = 1;
    ipc_submission accept = Loop::make(IPC_SUBMIT_CONNECT, 2, 60000);
    accept.name = &full.name;
    ipc_submission open = Loop::make(IPC_SUBMIT_FIFO_OPEN, 3, 60000);
    const ipc_name name = name_of(IPC_NAME_PATH, fifo);
    open.name = &name;
    open.direction = IPC_FIFO_READ;
    allocations_left = allowed;
    counting = true;
    const ipc_status opened = ipc_loop_open(&options, &brief);
    if (opened.code == IPC_OK) {
      for (const ipc_submission *each : {&read, &accept, &open}) {
        const ipc_status status = ipc_loop_submit(brief, each);
        if (status.code == IPC_OK) {
          under_way++;
        } else {
          EXPECT_STATUS(IPC_OUT_OF_RESOURCES, status);
          failures++;
        }
      }
    } else {
      EXPECT_STATUS(IPC_OUT_OF_RESOURCES, opened);
      failures++;
    }
    counting = false;
    if (brief == nullptr) continue;
    ipc_loop_close(brief);
    ipc_completion done[4];
    size_t num = 0;
    const ipc_status status = ipc_loop_wait(brief, 0, done, 4, &num);
    EXPECT_STATUS(under_way == 0 ? IPC_CLOSED : IPC_OK, status);
    EXPECT_EQ(static_cast<size_t>(under_way), num);
    for (size_t i = 0; i < num; i++) {
      EXPECT_TRUE(done[i].status.code == IPC_CANCELLED || done[i].status.code == IPC_OUT_OF_RESOURCES);
      if (done[i].status.code == IPC_OUT_OF_RESOURCES) failures++;
    }
    ipc_loop_free(brief);
  }
  EXPECT_GE(failures, 8);
}

TEST_P(LoopTest, WithoutDescriptors) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ipc_stream *client = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name, 0, &client));
  Loop &loop = *loop_; /* UBSan, asked for the type of this fixture, would want a descriptor */
  const ipc_loop_options options{sizeof options, GetParam()};
  {
    DescriptorLimit limit(0);
    ASSERT_STATUS(IPC_OK, loop.accept(listener, 1));
    loop.expect(1, IPC_OUT_OF_RESOURCES);
    ASSERT_STATUS(IPC_OK, loop.connect(name, 2));
    loop.expect(2, IPC_OUT_OF_RESOURCES);
    ipc_loop *none = nullptr;
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, ipc_loop_open(&options, &none));
  }
  ASSERT_STATUS(IPC_OK, loop.accept(listener, 3));
  ipc_stream_free(loop.expect(3, IPC_OK).stream); /* the connection stayed queued */
  ipc_stream_free(client);
  ipc_listener_free(listener);
}

TEST_P(LoopTest, WhatThePollerDoesNotTakeIsAlwaysReady) {
  refused_fd = raw_fd(reader_);
  ASSERT_STATUS(IPC_OK, loop().read(reader_, 1, 4));
  loop().expect_nothing();
  put(writer_, "x");
  loop().expect(1, IPC_OK, 1);
  EXPECT_STATUS(IPC_OK, ipc_stream_close(reader_));
  loop().expect_nothing();
}

// --------------------------------------------------------------------------------------------------- all at once

// Threads submit, cancel, close and wake as they like; each operation completes exactly once.
TEST_P(LoopTest, Stress) {
  constexpr int kThreads = 4, kRounds = 150;
  std::mutex mutex;
  std::map<uint64_t, int> submitted, completed;
  std::map<uint64_t, std::unique_ptr<char[]>> rooms;
  std::atomic<bool> done{false};
  std::thread waiting([&] {
    for (;;) {
      ipc_completion some[8];
      size_t num = 0;
      const ipc_status status = ipc_loop_wait(loop().get(), IPC_NO_TIMEOUT, some, 8, &num);
      if (status.code == IPC_CLOSED) return;
      std::lock_guard<std::mutex> lock(mutex);
      for (size_t i = 0; i < num; i++) completed[some[i].token]++;
    }
  });
  std::atomic<uint64_t> tokens{1};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<unsigned>(t));
      for (int r = 0; r < kRounds; r++) {
        ipc_stream *reader = nullptr;
        ipc_stream *writer = nullptr;
        ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
        std::vector<uint64_t> mine;
        std::vector<ipc_buffer> buffers(6);
        for (ipc_buffer &buffer : buffers) {
          const uint64_t token = tokens++;
          ipc_submission read = Loop::make(IPC_SUBMIT_READ, token, random() % 3 == 0 ? 1 : 60000);
          {
            std::lock_guard<std::mutex> lock(mutex);
            rooms[token] = std::make_unique<char[]>(4);
            buffer = {rooms[token].get(), 4};
            submitted[token]++;
          }
          read.stream = reader;
          read.buffers = &buffer;
          read.num_buffers = 1;
          ASSERT_STATUS(IPC_OK, loop().submit(read));
          mine.push_back(token);
        }
        size_t len = 0;
        if (random() % 2 == 0) ipc_stream_write(writer, "12345678", 8, 0, &len);
        if (random() % 2 == 0) ipc_loop_cancel(loop().get(), mine[random() % mine.size()]);
        if (random() % 4 == 0) ipc_loop_wake(loop().get());
        if (random() % 2 == 0) ipc_stream_close(writer);
        ipc_stream_free(reader);
        ipc_stream_free(writer);
      }
    });
  }
  for (auto &thread : threads) thread.join();
  EXPECT_STATUS(IPC_OK, ipc_loop_close(loop().get()));
  waiting.join();
  EXPECT_EQ(static_cast<size_t>(kThreads * kRounds * 6), completed.size());
  EXPECT_TRUE(submitted == completed);
}

// Handles and loops that go at the same time.
TEST_P(LoopTest, LoopsAndHandlesGoAtTheSameTime) {
  for (int i = 0; i < 200; i++) {
    ipc_stream *reader = nullptr;
    ipc_stream *writer = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
    auto brief = std::make_unique<Loop>(GetParam());
    ASSERT_STATUS(IPC_OK, brief->read(reader, 1, 4));
    std::atomic<int> ready{0};
    std::thread closing([&] {
      for (ready++; ready < 2;) continue;
      ipc_stream_free(reader);
    });
    for (ready++; ready < 2;) continue;
    brief.reset();
    closing.join();
    ipc_stream_free(writer);
  }
}

}  // namespace
}  // namespace ref_tests
