// Completion loops on Windows: what each operation comes to, and what ends it.
#ifndef IPC_WITHOUT_ASYNC

#include <deque>

#include "ref/tests/windows_support.h"

namespace {

using namespace ref_tests;

class WindowsLoopTest : public HandleTest {
 protected:
  void SetUp() override {
    HandleTest::SetUp();
    ASSERT_STATUS(IPC_OK, ipc_loop_open(nullptr, &loop_));
    text_ = fresh_name();
    name_ = name_of(text_);
  }
  void TearDown() override {
    EXPECT_STATUS(IPC_OK, ipc_loop_free(loop_));
    EXPECT_STATUS(IPC_OK, ipc_stream_free(server_));
    EXPECT_STATUS(IPC_OK, ipc_stream_free(client_));
    EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
    HandleTest::TearDown();
  }
  static ipc_submission submission(uint32_t operation, uint64_t token, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    ipc_submission made = {};
    made.size = sizeof made;
    made.operation = operation;
    made.token = token;
    made.timeout_ms = timeout_ms;
    return made;
  }
  int32_t submit(const ipc_submission &what) { return ipc_loop_submit(loop_, &what).code; }
  ipc_completion wait(int64_t timeout_ms = 20000) {
    ipc_completion done = {};
    size_t num = 0;
    const ipc_status status = ipc_loop_wait(loop_, timeout_ms, &done, 1, &num);
    if (status.code != IPC_OK) {
      EXPECT_EQ(0u, num);
      done.token = UINT64_MAX;
      done.status = status;
    }
    return done;
  }
  void have_a_connect_wait();
  void connect() {
    ASSERT_STATUS(IPC_OK, ipc_local_listen(&name_, nullptr, &listener_));
    ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &client_));
    ASSERT_STATUS(IPC_OK, ipc_listener_accept(listener_, 20000, &server_));
  }
  ipc_submission read_into(std::string *room, uint64_t token, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    buffers_.push_back({&(*room)[0], room->size()});
    ipc_submission what = submission(IPC_SUBMIT_READ, token, timeout_ms);
    what.stream = server_;
    what.buffers = &buffers_.back();
    what.num_buffers = 1;
    return what;
  }
  ipc_submission write_of(const std::string &bytes, uint64_t token, int64_t timeout_ms = IPC_NO_TIMEOUT) {
    const_buffers_.push_back({bytes.data(), bytes.size()});
    ipc_submission what = submission(IPC_SUBMIT_WRITE, token, timeout_ms);
    what.stream = server_;
    what.const_buffers = &const_buffers_.back();
    what.num_buffers = 1;
    return what;
  }
  void say(const std::string &bytes) {
    size_t len;
    EXPECT_STATUS(IPC_OK, ipc_stream_write(client_, bytes.data(), bytes.size(), 20000, &len));
  }
  std::string hear(size_t max) {
    std::string room(max, '\0');
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_stream_read(client_, &room[0], max, 20000, &len));
    room.resize(len);
    return room;
  }

  ipc_loop *loop_ = nullptr;
  ipc_listener *listener_ = nullptr;
  ipc_stream *server_ = nullptr, *client_ = nullptr;
  std::string text_;
  ipc_name name_{};
  std::deque<ipc_buffer> buffers_;
  std::deque<ipc_const_buffer> const_buffers_;
};

TEST_F(WindowsLoopTest, AcceptAndConnectMakeStreams) {
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name_, nullptr, &listener_));
  ipc_submission accept = submission(IPC_SUBMIT_ACCEPT, 1);
  accept.listener = listener_;
  ASSERT_EQ(IPC_OK, submit(accept));
  EXPECT_EQ(IPC_TIMED_OUT, wait(10).status.code);
  ipc_submission connect = submission(IPC_SUBMIT_CONNECT, 2);
  connect.name = &name_;
  ASSERT_EQ(IPC_OK, submit(connect));
  for (int i = 0; i < 2; i++) {
    const ipc_completion done = wait();
    ASSERT_EQ(IPC_OK, done.status.code) << done.token;
    (done.token == 1 ? server_ : client_) = done.stream;
  }
  say("hello");
  std::string room(10, '\0');
  ASSERT_EQ(IPC_OK, submit(read_into(&room, 3)));
  const ipc_completion done = wait();
  EXPECT_EQ("hello", room.substr(0, done.len));
}

TEST_F(WindowsLoopTest, AReadWaitsAndTakesWhatComes) {
  connect();
  std::string first(4, '\0'), second(100, '\0');
  ASSERT_EQ(IPC_OK, submit(read_into(&first, 1)));
  ASSERT_EQ(IPC_OK, submit(read_into(&second, 2)));
  EXPECT_EQ(IPC_TIMED_OUT, wait(10).status.code);
  say("0123456789");
  ipc_completion done = wait();
  EXPECT_EQ(1u, done.token);
  EXPECT_EQ("0123", first.substr(0, done.len));
  done = wait();
  EXPECT_EQ(2u, done.token);
  EXPECT_EQ("456789", second.substr(0, done.len));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(client_));
  ASSERT_EQ(IPC_OK, submit(read_into(&second, 3)));
  EXPECT_EQ(IPC_END, wait().status.code);
}

TEST_F(WindowsLoopTest, ACancelledReadLosesNothing) {
  connect();
  for (int i = 0; i < 200; i++) {
    std::string room(100, '\0');
    ASSERT_EQ(IPC_OK, submit(read_into(&room, 1)));
    std::thread writer([&] { say("word"); });
    const int32_t cancelled = ipc_loop_cancel(loop_, 1).code;
    EXPECT_TRUE(cancelled == IPC_OK || cancelled == IPC_NOT_FOUND);
    std::string got;
    ipc_completion done = wait();
    EXPECT_EQ(1u, done.token);
    got += room.substr(0, done.len);
    writer.join();
    while (got.size() < 4) {
      ASSERT_EQ(IPC_OK, submit(read_into(&room, 2)));
      done = wait();
      ASSERT_EQ(IPC_OK, done.status.code);
      got += room.substr(0, done.len);
    }
    ASSERT_EQ("word", got);
  }
  EXPECT_STATUS(IPC_NOT_FOUND, ipc_loop_cancel(loop_, 1));
}

TEST_F(WindowsLoopTest, AWriteBeyondTheBufferWaitsForTheReader) {
  connect();
  const std::string much = pattern(1 << 20);
  ASSERT_EQ(IPC_OK, submit(write_of(much, 1)));
  EXPECT_EQ(IPC_TIMED_OUT, wait(10).status.code);
  std::string got;
  std::thread reader([&] {
    while (got.size() < much.size()) got += hear(50000);
  });
  const ipc_completion done = wait();
  EXPECT_EQ(IPC_OK, done.status.code);
  EXPECT_EQ(much.size(), done.len);
  reader.join();
  EXPECT_TRUE(much == got);
}

TEST_F(WindowsLoopTest, WhatACancelledWriteHasTakenArrives) {
  connect();
  const std::string much = pattern(1 << 20), more = pattern(5, 7);
  ASSERT_EQ(IPC_OK, submit(write_of(much, 1, 20)));
  ASSERT_EQ(IPC_OK, submit(write_of(more, 2)));
  ipc_completion done = wait();
  EXPECT_EQ(1u, done.token);
  EXPECT_EQ(IPC_TIMED_OUT, done.status.code);
  const size_t taken = done.len;
  EXPECT_LT(taken, much.size());
  std::string got;
  std::thread reader([&] {
    while (got.size() < taken + more.size()) got += hear(50000);
  });
  done = wait();
  EXPECT_EQ(2u, done.token);
  EXPECT_EQ(IPC_OK, done.status.code);
  reader.join();
  EXPECT_TRUE(much.substr(0, taken) + more == got);
}

TEST_F(WindowsLoopTest, ClosingAHandleEndsItsOperationsWithoutALoopThatRuns) {
  connect();
  std::string room(10, '\0');
  const std::string much = pattern(1 << 20);
  ASSERT_EQ(IPC_OK, submit(read_into(&room, 1)));
  ASSERT_EQ(IPC_OK, submit(read_into(&room, 2)));
  ASSERT_EQ(IPC_OK, submit(write_of(much, 3)));
  ipc_submission accept = submission(IPC_SUBMIT_ACCEPT, 4);
  accept.listener = listener_;
  ASSERT_EQ(IPC_OK, submit(accept));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(server_));
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
  for (int i = 0; i < 4; i++) EXPECT_EQ(IPC_CANCELLED, wait().status.code);
  EXPECT_EQ(IPC_TIMED_OUT, wait(0).status.code);
  EXPECT_EQ(IPC_CLOSED, submit(read_into(&room, 5)));
}

TEST_F(WindowsLoopTest, ClosingTheLoopEndsEverythingAndWakes) {
  connect();
  std::string room(10, '\0');
  ASSERT_EQ(IPC_OK, submit(read_into(&room, 1)));
  std::thread closer([&] { EXPECT_STATUS(IPC_OK, ipc_loop_close(loop_)); });
  EXPECT_EQ(IPC_CANCELLED, wait().status.code);
  closer.join();
  EXPECT_EQ(IPC_CLOSED, wait().status.code);
  EXPECT_EQ(IPC_CLOSED, submit(read_into(&room, 2)));
  say("for the next");
  size_t len;
  EXPECT_STATUS(IPC_OK, ipc_stream_read(server_, &room[0], 10, 20000, &len));
}

TEST_F(WindowsLoopTest, TimersComeInTheirOrder) {
  ASSERT_EQ(IPC_OK, submit(submission(IPC_SUBMIT_TIMER, 3, 60)));
  ASSERT_EQ(IPC_OK, submit(submission(IPC_SUBMIT_TIMER, 1, 20)));
  ASSERT_EQ(IPC_OK, submit(submission(IPC_SUBMIT_TIMER, 2, 40)));
  EXPECT_EQ(IPC_INVALID_ARGUMENT, submit(submission(IPC_SUBMIT_TIMER, 2, 40)));
  const auto begun = Clock::now();
  for (uint64_t token = 1; token <= 3; token++) {
    const ipc_completion done = wait();
    EXPECT_EQ(token, done.token);
    EXPECT_EQ(IPC_TIMED_OUT, done.status.code);
    EXPECT_GE(Clock::now() - begun, milliseconds(20 * token));
  }
}

TEST_F(WindowsLoopTest, AWakeEndsAWait) {
  EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop_));
  EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop_));
  EXPECT_EQ(IPC_INTERRUPTED, wait().status.code);
  EXPECT_EQ(IPC_TIMED_OUT, wait(0).status.code);
  std::thread waker([&] { EXPECT_STATUS(IPC_OK, ipc_loop_wake(loop_)); });
  EXPECT_EQ(IPC_INTERRUPTED, wait().status.code);
  waker.join();
}

// The system takes back what a thread has begun when it ends.
TEST_F(WindowsLoopTest, AThreadThatSubmittedMayEnd) {
  connect();
  std::string room(10, '\0');
  ipc_submission accept = submission(IPC_SUBMIT_ACCEPT, 2);
  accept.listener = listener_;
  std::thread([&] {
    EXPECT_EQ(IPC_OK, submit(read_into(&room, 1)));
    EXPECT_EQ(IPC_OK, submit(accept));
  }).join();
  EXPECT_EQ(IPC_TIMED_OUT, wait(20).status.code);
  say("still");
  ipc_completion done = wait();
  EXPECT_EQ(1u, done.token);
  EXPECT_EQ("still", room.substr(0, done.len));
  ipc_stream *second;
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &second));
  done = wait();
  EXPECT_EQ(2u, done.token);
  EXPECT_EQ(IPC_OK, done.status.code);
  EXPECT_STATUS(IPC_OK, ipc_stream_free(done.stream));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(second));
}

TEST_F(WindowsLoopTest, AConnectWaitsForAnInstance) {
  have_a_connect_wait();
  ipc_submission hasty = submission(IPC_SUBMIT_CONNECT, 2, 20);
  hasty.name = &name_;
  ASSERT_EQ(IPC_OK, submit(hasty));
  ipc_completion done = wait();
  EXPECT_EQ(2u, done.token);
  EXPECT_EQ(IPC_TIMED_OUT, done.status.code);
  ASSERT_STATUS(IPC_OK, ipc_listener_accept(listener_, 20000, &server_));
  done = wait();
  EXPECT_EQ(IPC_OK, done.status.code);
  EXPECT_STATUS(IPC_OK, ipc_stream_free(done.stream));
}

// A listener of |name_| with one instance, which has a client, and a connect by the loop, which waits for it.
void WindowsLoopTest::have_a_connect_wait() {
  const ipc_local_listen_options options = {sizeof options, 0, 0, 1};
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name_, &options, &listener_));
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &client_));
  ipc_submission connect = submission(IPC_SUBMIT_CONNECT, 1);
  connect.name = &name_;
  ASSERT_EQ(IPC_OK, submit(connect));
  ipc_completion none;
  size_t num;
  ASSERT_STATUS(IPC_TIMED_OUT, ipc_loop_wait(loop_, 50, &none, 1, &num));
}

TEST_F(WindowsLoopTest, ACancelledConnectHasEndedAtOnce) {
  have_a_connect_wait();
  ASSERT_STATUS(IPC_OK, ipc_loop_cancel(loop_, 1));
  ipc_completion done;
  size_t num;
  ASSERT_STATUS(IPC_OK, ipc_loop_wait(loop_, 0, &done, 1, &num));
  EXPECT_EQ(IPC_CANCELLED, done.status.code);
  EXPECT_EQ(nullptr, done.stream);
}

// The pool's threads may be anywhere when a connect is called off, and the loop is gone at once.
TEST_F(WindowsLoopTest, CancelledConnectsLeaveNothingBehind) {
  have_a_connect_wait();
  ASSERT_STATUS(IPC_OK, ipc_loop_cancel(loop_, 1));
  EXPECT_EQ(IPC_CANCELLED, wait().status.code);
  const DWORD before = num_handles();
  for (int i = 0; i < 100; i++) {
    ipc_loop *other;
    ASSERT_STATUS(IPC_OK, ipc_loop_open(nullptr, &other));
    ipc_submission connect = submission(IPC_SUBMIT_CONNECT, 1);
    connect.name = &name_;
    ASSERT_STATUS(IPC_OK, ipc_loop_submit(other, &connect));
    for (int turn = 0; turn < i % 7 * 16; turn++) SwitchToThread();  // more or less of it is begun
    if (i % 2 == 0) ASSERT_STATUS(IPC_OK, ipc_loop_cancel(other, 1));
    ASSERT_STATUS(IPC_OK, ipc_loop_free(other));
  }
  EXPECT_TRUE(comes_true([before] { return num_handles() <= before; })) << num_handles() << " were " << before;
}

// The name is gone with the listener and what it accepted; that clients are still there does not count.
TEST_F(WindowsLoopTest, AConnectThatWaitsIsToldThatTheNameIsGone) {
  have_a_connect_wait();
  ASSERT_STATUS(IPC_OK, ipc_listener_free(listener_));
  listener_ = nullptr;
  ipc_completion done = wait();
  EXPECT_EQ(IPC_NOT_FOUND, done.status.code) << done.status.native;
}

TEST_F(WindowsLoopTest, AConnectThatWaitsIsToldThatEverybodyHasGone) {
  have_a_connect_wait();
  ASSERT_STATUS(IPC_OK, ipc_listener_free(listener_));
  ASSERT_STATUS(IPC_OK, ipc_stream_free(client_));
  listener_ = nullptr;
  client_ = nullptr;
  ipc_completion done = wait();
  EXPECT_EQ(IPC_NOT_FOUND, done.status.code) << done.status.native;
}

TEST_F(WindowsLoopTest, TwoLoopsShareAStream) {
  connect();
  ipc_loop *other;
  ASSERT_STATUS(IPC_OK, ipc_loop_open(nullptr, &other));
  std::string room(4, '\0'), more(4, '\0');
  ASSERT_EQ(IPC_OK, submit(read_into(&room, 1)));
  const ipc_submission theirs = read_into(&more, 1);
  ASSERT_STATUS(IPC_OK, ipc_loop_submit(other, &theirs));
  say("01234567");
  EXPECT_EQ(IPC_OK, wait().status.code);
  ipc_completion done;
  size_t num;
  ASSERT_STATUS(IPC_OK, ipc_loop_wait(other, 20000, &done, 1, &num));
  EXPECT_EQ(IPC_OK, done.status.code);
  EXPECT_TRUE(room + more == "01234567" || more + room == "01234567");
  EXPECT_STATUS(IPC_OK, ipc_loop_free(other));
}

TEST_F(WindowsLoopTest, WhatIsRefused) {
  ipc_loop *none;
  ipc_loop_options options = {sizeof options, IPC_LOOP_EPOLL};
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_loop_open(&options, &none));
  options.backend = 5;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_loop_open(&options, &none));
  EXPECT_EQ(IPC_UNSUPPORTED, submit(submission(IPC_SUBMIT_SEND, 1)));
  EXPECT_EQ(IPC_INVALID_ARGUMENT, submit(submission(IPC_SUBMIT_READ, 1)));
  EXPECT_EQ(IPC_INVALID_ARGUMENT, submit(submission(0, 1)));
}

}  // namespace

#endif  // IPC_WITHOUT_ASYNC
