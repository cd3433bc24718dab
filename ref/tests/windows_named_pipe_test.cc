// Named pipes: messages, instances, transactions, flushing and disconnecting.
#include "ref/tests/windows_support.h"

namespace {

using namespace ref_tests;

// What one read gave.
struct Message {
  int32_t code = IPC_OK;
  std::string bytes;
  size_t left = 0;
};

class WindowsNamedPipeTest : public HandleTest {
 protected:
  void SetUp() override {
    HandleTest::SetUp();
    text_ = fresh_name();
    name_ = name_of(text_);
    options_.size = sizeof options_;
    access_.size = sizeof access_;
  }
  void TearDown() override {
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(server_));
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(client_));
    EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
    HandleTest::TearDown();
  }
  void messages() {
    options_.type = IPC_NAMED_PIPE_MESSAGES;
    access_.read_mode = IPC_NAMED_PIPE_MESSAGES;
  }
  void connect() {
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_listen(&name_, &options_, &listener_));
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 20000, &client_));
    ASSERT_STATUS(IPC_OK, ipc_listener_accept_named_pipe(listener_, 20000, &server_));
  }
  static void write(ipc_named_pipe *pipe, const std::string &bytes) {
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_write(pipe, bytes.data(), bytes.size(), 20000, &len));
    EXPECT_EQ(bytes.size(), len);
  }
  static Message read(ipc_named_pipe *pipe, size_t max, uint32_t flags = 0, int64_t timeout_ms = 20000) {
    Message message;
    std::vector<char> room(max + 1);
    size_t len = 0;
    message.code = ipc_named_pipe_read(pipe, flags, room.data(), max, timeout_ms, &len, &message.left).code;
    message.bytes.assign(room.data(), len);
    return message;
  }

  std::string text_;
  ipc_name name_{};
  ipc_named_pipe_options options_{};
  ipc_named_pipe_access access_{};
  ipc_listener *listener_ = nullptr;
  ipc_named_pipe *server_ = nullptr;
  ipc_named_pipe *client_ = nullptr;
};

TEST_F(WindowsNamedPipeTest, MessagesKeepTheirBoundaries) {
  messages();
  connect();
  const size_t lengths[] = {1, 0, 7, 65536, 300, 0};
  std::thread writer([&] {
    for (const size_t length : lengths) write(client_, pattern(length));
  });
  for (const size_t length : lengths) {
    const Message message = read(server_, 100000);
    EXPECT_EQ(IPC_OK, message.code);
    EXPECT_EQ(pattern(length), message.bytes);
    EXPECT_EQ(0u, message.left);
  }
  writer.join();
}

TEST_F(WindowsNamedPipeTest, AMessageOfAMegabyteIsOne) {
  messages();
  connect();
  const std::string much = pattern(1 << 20);
  std::thread writer([&] { write(server_, much); });
  EXPECT_EQ(much, read(client_, much.size()).bytes);
  writer.join();
}

TEST_F(WindowsNamedPipeTest, WhatDoesNotFitIsReadInParts) {
  messages();
  connect();
  write(client_, "0123456789");
  write(client_, "next");
  Message part = read(server_, 4);
  EXPECT_EQ(IPC_MESSAGE_TRUNCATED, part.code);
  EXPECT_EQ("0123", part.bytes);
  EXPECT_EQ(6u, part.left);
  part = read(server_, 2);
  EXPECT_EQ(IPC_MESSAGE_TRUNCATED, part.code);
  EXPECT_EQ("45", part.bytes);
  EXPECT_EQ(4u, part.left);
  part = read(server_, 4);
  EXPECT_EQ(IPC_OK, part.code);
  EXPECT_EQ("6789", part.bytes);
  EXPECT_EQ("next", read(server_, 10).bytes);
}

TEST_F(WindowsNamedPipeTest, WholeLeavesWhatDoesNotFit) {
  messages();
  connect();
  write(client_, "0123456789");
  write(client_, "");
  for (int i = 0; i < 2; i++) {
    const Message message = read(server_, 9, IPC_NAMED_PIPE_WHOLE);
    EXPECT_EQ(IPC_MESSAGE_TRUNCATED, message.code);
    EXPECT_EQ("", message.bytes);
    EXPECT_EQ(10u, message.left);
  }
  EXPECT_EQ("0123456789", read(server_, 10, IPC_NAMED_PIPE_WHOLE).bytes);
  EXPECT_EQ(IPC_OK, read(server_, 10, IPC_NAMED_PIPE_WHOLE).code);
  EXPECT_EQ(IPC_TIMED_OUT, read(server_, 10, IPC_NAMED_PIPE_WHOLE, 10).code);
}

TEST_F(WindowsNamedPipeTest, PeekTellsOfMessages) {
  messages();
  connect();
  write(client_, "0123456789");
  write(client_, "next");
  char data[8];
  size_t len, available, left;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_peek(server_, data, 4, &len, &available, &left));
  EXPECT_EQ("0123", std::string(data, len));
  EXPECT_EQ(14u, available);
  EXPECT_EQ(6u, left);
  EXPECT_EQ("0123456789", read(server_, 100).bytes);
}

TEST_F(WindowsNamedPipeTest, BytesOfAMessagePipeHaveNoBoundaries) {
  messages();
  access_.read_mode = 0;
  connect();
  write(server_, "one");
  write(server_, "two");
  EXPECT_EQ("on", read(client_, 2).bytes);
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_set_read_mode(client_, IPC_NAMED_PIPE_MESSAGES));
  EXPECT_EQ("e", read(client_, 100).bytes);
  EXPECT_EQ("two", read(client_, 100).bytes);
}

TEST_F(WindowsNamedPipeTest, ATransactionIsAnsweredByAMessage) {
  messages();
  connect();
  std::thread server([&] {
    const Message question = read(server_, 100);
    write(server_, question.bytes + "!");
    read(server_, 100);
    write(server_, "a long answer");
  });
  char answer[100];
  size_t len, left;
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_transact(client_, "what", 4, answer, sizeof answer, 20000, &len, &left));
  EXPECT_EQ("what!", std::string(answer, len));
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, ipc_named_pipe_transact(client_, "more", 4, answer, 6, 20000, &len, &left));
  EXPECT_EQ("a long", std::string(answer, len));
  EXPECT_EQ(7u, left);
  EXPECT_STATUS(IPC_BUSY, ipc_named_pipe_transact(client_, "more", 4, answer, 6, 20000, &len, &left));
  EXPECT_EQ(" answer", read(client_, 100).bytes);
  server.join();
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_transact(client_, "more", 4, answer, 6, 20, &len, &left));
}

TEST_F(WindowsNamedPipeTest, FlushWaitsForTheReader) {
  connect();
  write(server_, "bytes");
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_flush(server_, 20));
  std::atomic<bool> flushed{false};
  std::thread flusher([&] {
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_flush(server_, 20000));
    flushed = true;
  });
  EXPECT_EQ("byte", read(client_, 4).bytes);
  EXPECT_FALSE(flushed);
  EXPECT_EQ("s", read(client_, 4).bytes);
  flusher.join();
}

TEST_F(WindowsNamedPipeTest, CloseEndsAFlush) {
  connect();
  write(server_, "bytes");
  std::thread flusher([&] {
    const int32_t code = ipc_named_pipe_flush(server_, 20000).code;
    EXPECT_TRUE(code == IPC_CANCELLED || code == IPC_CLOSED) << code;
  });
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  flusher.join();
  EXPECT_EQ("bytes", read(client_, 100).bytes);
  EXPECT_EQ(IPC_END, read(client_, 100).code);
}

TEST_F(WindowsNamedPipeTest, DisconnectDiscardsUnlessItFlushes) {
  connect();
  write(server_, "lost");
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_named_pipe_disconnect(client_, 0, 20000));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_disconnect(server_, IPC_NAMED_PIPE_FLUSH, 20));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_disconnect(server_, 0, 20000));
  EXPECT_STATUS(IPC_CLOSED, ipc_named_pipe_disconnect(server_, 0, 20000));
  EXPECT_EQ(IPC_CLOSED, read(server_, 1).code);
  EXPECT_EQ(IPC_END, read(client_, 100).code);
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  EXPECT_STATUS(IPC_CLOSED, ipc_named_pipe_close(server_));
}

TEST_F(WindowsNamedPipeTest, DirectionsAreTheServers) {
  options_.direction = access_.direction = IPC_NAMED_PIPE_INBOUND;
  connect();
  write(client_, "in");
  EXPECT_EQ("in", read(server_, 100).bytes);
  size_t len;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_named_pipe_write(server_, "x", 1, 0, &len));
  EXPECT_EQ(IPC_UNSUPPORTED, read(client_, 1, 0, 0).code);
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_named_pipe_flush(server_, 0));
  ipc_named_pipe *other;
  access_.direction = IPC_NAMED_PIPE_OUTBOUND;
  EXPECT_STATUS(IPC_PERMISSION_DENIED, ipc_named_pipe_connect(&name_, &access_, 0, &other));
}

TEST_F(WindowsNamedPipeTest, AsManyAtATimeAsTheLimit) {
  options_.instances_max = 2;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_listen(&name_, &options_, &listener_));
  ipc_named_pipe *clients[3] = {}, *servers[3] = {};
  for (int i = 0; i < 2; i++) {
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, nullptr, 20000, &clients[i]));
    ASSERT_STATUS(IPC_OK, ipc_listener_accept_named_pipe(listener_, 20000, &servers[i]));
  }
  EXPECT_STATUS(IPC_BUSY, ipc_named_pipe_connect(&name_, nullptr, 0, &clients[2]));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_connect(&name_, nullptr, 20, &clients[2]));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_wait(&name_, 20));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept_named_pipe(listener_, 20, &servers[2]));
  std::thread acceptor([&] { EXPECT_STATUS(IPC_OK, ipc_listener_accept_named_pipe(listener_, 20000, &servers[2])); });
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(servers[0]));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(clients[0]));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, nullptr, 20000, &clients[2]));
  acceptor.join();
  for (int i = 1; i < 3; i++) {
    ipc_named_pipe_free(clients[i]);
    ipc_named_pipe_free(servers[i]);
  }
}

TEST_F(WindowsNamedPipeTest, ALimitedNameOutlivesItsConnections) {
  options_.instances_max = 1;
  connect();
  for (int i = 0; i < 20; i++) {
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_wait(&name_, 0));
    // The client leaves first, or the server does.
    for (const int whose : {i % 2, 1 - i % 2}) {
      ipc_named_pipe *&end = whose == 0 ? server_ : client_;
      EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(end));
      end = nullptr;
    }
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_wait(&name_, 20000)) << "nobody accepts";
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 20000, &client_));
    ASSERT_STATUS(IPC_OK, ipc_listener_accept_named_pipe(listener_, 20000, &server_));
    write(client_, "up");
    EXPECT_EQ("up", read(server_, 10).bytes);
  }
}

TEST_F(WindowsNamedPipeTest, LastWordsAreReadBeforeTheInstanceComesBack) {
  messages();
  options_.instances_max = 1;
  connect();
  write(server_, "last words");
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_wait(&name_, 50));
  ipc_named_pipe *next = nullptr;
  EXPECT_STATUS(IPC_BUSY, ipc_named_pipe_connect(&name_, &access_, 0, &next));
  EXPECT_EQ("last words", read(client_, 100).bytes);
  EXPECT_EQ(IPC_END, read(client_, 100).code);
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 20000, &next));
  size_t len;
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_named_pipe_write(client_, "late", 4, 20000, &len));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(next));
}

TEST_F(WindowsNamedPipeTest, ClosingTheListenerLeavesLastWords) {
  options_.instances_max = 1;
  connect();
  write(server_, "last words");
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
  listener_ = nullptr;
  EXPECT_STATUS(IPC_NOT_FOUND, ipc_named_pipe_wait(&name_, 0)) << "the last handle is closed with the listener";
  EXPECT_EQ("last words", read(client_, 100).bytes);
  EXPECT_EQ(IPC_END, read(client_, 100).code);
}

TEST_F(WindowsNamedPipeTest, AClientThatLeavesLastWordsUnreadFreesTheInstance) {
  options_.instances_max = 1;
  connect();
  const std::string much = pattern(1 << 20);
  size_t len;
  (void)ipc_named_pipe_write(server_, much.data(), much.size(), 20, &len); /* a chunk is left in flight */
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_named_pipe_wait(&name_, 20));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(client_));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_wait(&name_, 20000));
}

TEST_F(WindowsNamedPipeTest, WhoComesFirstIsAcceptedFirstWhateverComesBack) {
  options_.instances_max = 3;
  connect();
  std::vector<ipc_named_pipe *> clients(3);
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 20000, &clients[0]));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(client_));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  for (size_t i : {1u, 2u}) {
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 20000, &clients[i]));
  }
  for (size_t i = 0; i < clients.size(); i++) write(clients[i], std::to_string(i));
  for (size_t i = 0; i < clients.size(); i++) {
    ipc_named_pipe *accepted = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_listener_accept_named_pipe(listener_, 20000, &accepted));
    EXPECT_EQ(std::to_string(i), read(accepted, 10).bytes);
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(accepted));
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(clients[i]));
  }
}

TEST_F(WindowsNamedPipeTest, AnInstanceComesBackAsItWasMade) {
  messages();
  options_.instances_max = 1;
  connect();
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_set_read_mode(server_, IPC_NAMED_PIPE_BYTES));
  for (ipc_named_pipe **end : {&client_, &server_}) {
    EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(*end));
    *end = nullptr;
  }
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 20000, &client_));
  ASSERT_STATUS(IPC_OK, ipc_listener_accept_named_pipe(listener_, 20000, &server_));
  write(client_, "one");
  write(client_, "two");
  EXPECT_EQ("one", read(server_, 100).bytes);
  EXPECT_EQ("two", read(server_, 100).bytes);
}

TEST_F(WindowsNamedPipeTest, AnInstanceOfManyHandlesStaysConnected) {
  options_.instances_max = 1;
  connect();
  ipc_raw raw;
  ipc_named_pipe *twin = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_duplicate(server_, GetCurrentProcessId(), &raw));
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_adopt(&raw, &twin));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  write(twin, "still here");
  EXPECT_EQ("still here", read(client_, 100).bytes);
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(twin));
  EXPECT_EQ(IPC_END, read(client_, 100).code);
}

TEST_F(WindowsNamedPipeTest, ADisconnectedInstanceServesTheNextAtOnce) {
  options_.instances_max = 1;
  connect();
  write(server_, "never read");
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_disconnect(server_, 0, 0));
  ipc_named_pipe *next = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_connect(&name_, &access_, 0, &next));
  EXPECT_EQ(IPC_END, read(client_, 100).code);
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(next));
}

TEST_F(WindowsNamedPipeTest, NamesAreSharedByThoseWhoShare) {
  ipc_listener *second;
  options_.flags = IPC_NAMED_PIPE_SHARE_NAME;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_listen(&name_, &options_, &listener_));
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_listen(&name_, &options_, &second));
  ipc_listener *third;
  options_.flags = 0;
  EXPECT_STATUS(IPC_IN_USE, ipc_named_pipe_listen(&name_, &options_, &third));
  EXPECT_STATUS(IPC_IN_USE, ipc_local_listen(&name_, nullptr, &third));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(second));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_listen(&name_, &options_, &listener_));
  options_.flags = IPC_NAMED_PIPE_SHARE_NAME;
  EXPECT_STATUS(IPC_IN_USE, ipc_named_pipe_listen(&name_, &options_, &third));
}

TEST_F(WindowsNamedPipeTest, EachEndKnowsTheOtherAndItself) {
  messages();
  options_.instances_max = 3;
  connect();
  ipc_named_pipe_process process = {};
  process.size = sizeof process;
  for (ipc_named_pipe *pipe : {server_, client_}) {
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_peer(pipe, &process));
    EXPECT_EQ(GetCurrentProcessId(), process.pid);
    ipc_named_pipe_information information = {};
    information.size = sizeof information;
    ASSERT_STATUS(IPC_OK, ipc_named_pipe_info(pipe, &information));
    EXPECT_EQ(pipe == server_ ? 1u : 0u, information.server);
    EXPECT_EQ(static_cast<uint32_t>(IPC_NAMED_PIPE_MESSAGES), information.type);
    EXPECT_EQ(3u, information.instances_max);
    EXPECT_EQ(3u, information.num_instances);
  }
}

TEST_F(WindowsNamedPipeTest, ADuplicateKeepsTheConnection) {
  connect();
  ipc_raw raw;
  ipc_named_pipe *twin;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_duplicate(client_, GetCurrentProcessId(), &raw));
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_adopt(&raw, &twin));
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(client_));
  write(twin, "still here");
  EXPECT_EQ("still here", read(server_, 100).bytes);
  EXPECT_EQ(IPC_TIMED_OUT, read(server_, 100, 0, 20).code);
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_free(twin));
  EXPECT_EQ(IPC_END, read(server_, 100).code);
  EXPECT_STATUS(IPC_NO_SUCH_PROCESS, ipc_named_pipe_duplicate(server_, 0, &raw));
}

TEST_F(WindowsNamedPipeTest, CloseEndsReadsAndAccepts) {
  messages();
  connect();
  std::thread reader([&] {
    const int32_t code = read(server_, 1).code;
    EXPECT_TRUE(code == IPC_CANCELLED || code == IPC_CLOSED) << code;
  });
  std::thread acceptor([&] {
    ipc_named_pipe *none;
    const int32_t code = ipc_listener_accept_named_pipe(listener_, 20000, &none).code;
    EXPECT_TRUE(code == IPC_CANCELLED || code == IPC_CLOSED) << code;
  });
  EXPECT_STATUS(IPC_OK, ipc_named_pipe_close(server_));
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
  reader.join();
  acceptor.join();
}

TEST_F(WindowsNamedPipeTest, WhatIsRefused) {
  ipc_listener *none = nullptr;
  options_.read_mode = IPC_NAMED_PIPE_MESSAGES; /* from a pipe of bytes */
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_named_pipe_listen(&name_, &options_, &none));
  options_.read_mode = 0;
  options_.instances_max = 255;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_named_pipe_listen(&name_, &options_, &none));
  options_.instances_max = 0;
  ASSERT_STATUS(IPC_OK, ipc_named_pipe_listen(&name_, &options_, &listener_));
  ipc_stream *stream;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_listener_accept(listener_, 0, &stream));
  ipc_named_pipe *pipe;
  access_.read_mode = IPC_NAMED_PIPE_MESSAGES;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_named_pipe_connect(&name_, &access_, 0, &pipe));
  const std::string other = fresh_name();
  const ipc_name nobody = name_of(other);
  EXPECT_STATUS(IPC_NOT_FOUND, ipc_named_pipe_connect(&nobody, nullptr, 0, &pipe));
  EXPECT_STATUS(IPC_NOT_FOUND, ipc_named_pipe_wait(&nobody, 0));
}

}  // namespace
