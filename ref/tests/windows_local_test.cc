// Local sockets on Windows: names, the backlog, accepting, and clients that leave.
#include "ref/tests/windows_support.h"

namespace {

using namespace ref_tests;

class WindowsLocalTest : public HandleTest {
 protected:
  void SetUp() override {
    HandleTest::SetUp();
    text_ = fresh_name();
    name_ = name_of(text_);
  }
  void TearDown() override {
    EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
    HandleTest::TearDown();
  }
  void listen(uint32_t backlog = 0, uint32_t flags = 0) {
    const ipc_local_listen_options options = {sizeof options, flags, 0, backlog};
    ASSERT_STATUS(IPC_OK, ipc_local_listen(&name_, &options, &listener_));
  }
  // Connects, says |word| and leaves.
  void visit(const std::string &word) {
    ipc_stream *stream;
    size_t len;
    ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &stream));
    EXPECT_STATUS(IPC_OK, ipc_stream_write(stream, word.data(), word.size(), 20000, &len));
    EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
  }
  std::string accept_all() {
    ipc_stream *stream;
    const ipc_status status = ipc_listener_accept(listener_, 20000, &stream);
    EXPECT_STATUS(IPC_OK, status);
    if (status.code != IPC_OK) return "";
    const Rest rest = read_rest(stream);
    EXPECT_EQ(IPC_END, rest.code);
    EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
    return rest.bytes;
  }

  std::string text_;
  ipc_name name_{};
  ipc_listener *listener_ = nullptr;
  char data_[256] = {};
  size_t len_ = 0;
};

TEST_F(WindowsLocalTest, ClientsThatLeftBeforeAcceptAreAcceptedInOrder) {
  listen();
  for (int i = 0; i < 10; i++) visit(std::to_string(i));
  for (int i = 0; i < 10; i++) EXPECT_EQ(std::to_string(i), accept_all());
  visit("");
  EXPECT_EQ("", accept_all());
  visit("last");
  EXPECT_EQ("last", accept_all());
}

// The row turns over and over, and every visitor has left before he is accepted.
TEST_F(WindowsLocalTest, AThousandVisitorsAreAcceptedInOrder) {
  listen(10);
  for (int batch = 0; batch < 100; batch++) {
    for (int i = 0; i < 10; i++) visit(std::to_string(10 * batch + i));
    for (int i = 0; i < 10; i++) ASSERT_EQ(std::to_string(10 * batch + i), accept_all());
  }
}

TEST_F(WindowsLocalTest, ManyClientsAtOnceAgainstTwoAcceptors) {
  listen(4);
  constexpr int kClients = 60;
  std::atomic<int> next{0}, accepted{0};
  std::vector<std::atomic<int>> seen(kClients);
  const auto connect = [&] {
    for (int i; (i = next++) < kClients;) visit(std::to_string(i));
  };
  const auto accept = [&] {
    while (accepted++ < kClients) seen[std::stoul(accept_all())]++;
  };
  std::thread threads[] = {std::thread(connect), std::thread(connect), std::thread(connect), std::thread(accept),
                           std::thread(accept)};
  for (std::thread &thread : threads) thread.join();
  for (int i = 0; i < kClients; i++) EXPECT_EQ(1, seen[i]) << i;
}

// The thread that first waited ends: what it had begun is begun again.
TEST_F(WindowsLocalTest, AnAcceptingThreadThatEndedLeavesNoHole) {
  listen(3);
  std::thread([&] {
    ipc_stream *stream;
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener_, 1, &stream));
  }).join();
  for (int i = 0; i < 7; i++) {
    visit(std::to_string(i));
    EXPECT_EQ(std::to_string(i), accept_all());
  }
}

TEST_F(WindowsLocalTest, ASecondListenIsInUseAndDisturbsNobody) {
  listen();
  ipc_listener *second;
  std::string shouted = text_;
  for (char &c : shouted) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  const ipc_name other_case = name_of(shouted);
  for (int i = 0; i < 5; i++) {
    EXPECT_STATUS(IPC_IN_USE, ipc_local_listen(&name_, nullptr, &second));
    EXPECT_EQ(nullptr, second);
    EXPECT_STATUS(IPC_IN_USE, ipc_local_listen(&other_case, nullptr, &second));
  }
  visit("mine");
  EXPECT_EQ("mine", accept_all());
}

TEST_F(WindowsLocalTest, APipeOfSomebodyElseIsInUse) {
  const std::string native = "\\\\.\\pipe\\" + text_;
  HANDLE pipe = CreateNamedPipeA(native.c_str(), PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES, 4096,
                                 4096, 0, nullptr);
  ASSERT_NE(INVALID_HANDLE_VALUE, pipe);
  EXPECT_STATUS(IPC_IN_USE, ipc_local_listen(&name_, nullptr, &listener_));
  EXPECT_TRUE(CloseHandle(pipe));
  listen();
}

TEST_F(WindowsLocalTest, OfTwoThatListenAtOnceOneWins) {
  for (int round = 0; round < 50; round++) {
    std::atomic<int> ready{0};
    ipc_listener *listeners[2] = {};
    ipc_status statuses[2] = {};
    const auto race = [&](int i) {
      ready++;
      while (ready != 2) continue;
      statuses[i] = ipc_local_listen(&name_, nullptr, &listeners[i]);
    };
    std::thread a(race, 0), b(race, 1);
    a.join();
    b.join();
    const int winner = statuses[0].code == IPC_OK ? 0 : 1;
    EXPECT_STATUS(IPC_OK, statuses[winner]);
    EXPECT_STATUS(IPC_IN_USE, statuses[1 - winner]);
    listener_ = listeners[winner];
    visit("won");
    EXPECT_EQ("won", accept_all());
    EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
    listener_ = nullptr;
  }
}

TEST_F(WindowsLocalTest, CloseFreesTheName) {
  ipc_stream *stream;
  EXPECT_STATUS(IPC_NOT_FOUND, ipc_local_connect(&name_, 20000, &stream));
  for (int i = 0; i < 3; i++) {
    listen();
    visit("x");
    EXPECT_EQ("x", accept_all());
    EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
    EXPECT_STATUS(IPC_CLOSED, ipc_listener_close(listener_));
    EXPECT_STATUS(IPC_CLOSED, ipc_listener_accept(listener_, 0, &stream));
    EXPECT_STATUS(IPC_NOT_FOUND, ipc_local_connect(&name_, 20000, &stream));
    EXPECT_EQ(nullptr, stream);
    EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
    listener_ = nullptr;
  }
}

TEST_F(WindowsLocalTest, AcceptTimesOutOnTime) {
  listen();
  ipc_stream *stream;
  for (const int timeout_ms : {0, 1, 45}) {
    const auto begin = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener_, timeout_ms, &stream));
    EXPECT_LE(milliseconds(timeout_ms), Clock::now() - begin);
    EXPECT_GT(milliseconds(timeout_ms + 2000), Clock::now() - begin);
  }
  EXPECT_STATUS(IPC_OK, ipc_listener_set_nonblocking(listener_, true));
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_listener_accept(listener_, 20000, &stream));
  visit("x");
  EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener_, 0, &stream));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(stream, data_, 1, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
}

TEST_F(WindowsLocalTest, CloseEndsAWaitingAccept) {
  int num_cancelled = 0;
  for (int round = 0; round < 200 && num_cancelled < 5; round++) {
    listen();
    std::atomic<int> num_begun{0};
    ipc_status statuses[2] = {};
    const auto wait = [&](int i) {
      ipc_stream *stream;
      num_begun++;
      statuses[i] = ipc_listener_accept(listener_, IPC_NO_TIMEOUT, &stream);
    };
    std::thread a(wait, 0), b(wait, 1);
    while (num_begun != 2) SwitchToThread();
    for (int i = 0; i < 10 * round; i++) SwitchToThread();
    EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
    a.join();
    b.join();
    for (const ipc_status &status : statuses) {
      EXPECT_TRUE(status.code == IPC_CANCELLED || status.code == IPC_CLOSED) << status.code;
    }
    if (statuses[0].code == IPC_CANCELLED && statuses[1].code == IPC_CANCELLED) num_cancelled++;
    EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
    listener_ = nullptr;
  }
  EXPECT_LE(5, num_cancelled);
}

TEST_F(WindowsLocalTest, ListenerCloseEndsWaitingConnectionsAndLeavesAcceptedOnes) {
  listen();
  ipc_stream *first, *second, *accepted;
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &first));
  ASSERT_STATUS(IPC_OK, ipc_listener_accept(listener_, 20000, &accepted));
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &second));
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
  EXPECT_STATUS(IPC_END, ipc_stream_read(second, data_, 1, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(first, "up", 2, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(accepted, data_, 9, 20000, &len_));
  EXPECT_EQ("up", std::string(data_, len_));
  for (ipc_stream *stream : {first, second, accepted}) EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
}

TEST_F(WindowsLocalTest, ConnectTimesOutOnTimeWhileTheBacklogIsFull) {
  listen(2);
  ipc_stream *waiting[2], *stream, *accepted;
  for (ipc_stream *&one : waiting) ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &one));
  for (const int timeout_ms : {0, 1, 45}) {
    const auto begin = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_local_connect(&name_, timeout_ms, &stream));
    EXPECT_EQ(nullptr, stream);
    EXPECT_LE(milliseconds(timeout_ms), Clock::now() - begin);
    EXPECT_GT(milliseconds(timeout_ms + 2000), Clock::now() - begin);
  }
  std::thread late([&] { EXPECT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &stream)); });
  EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener_, 20000, &accepted));
  late.join();
  for (ipc_stream *one : {waiting[0], waiting[1], stream, accepted}) EXPECT_STATUS(IPC_OK, ipc_stream_free(one));
}

TEST_F(WindowsLocalTest, AConnectThatWaitsEndsWhenTheListenerCloses) {
  listen(1);
  ipc_stream *waiting, *stream = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name_, 20000, &waiting));
  std::atomic<bool> begins{false};
  ipc_status status{};
  std::thread late([&] {
    begins = true;
    status = ipc_local_connect(&name_, IPC_NO_TIMEOUT, &stream);
  });
  while (!begins) SwitchToThread();
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
  late.join();
  EXPECT_STATUS(IPC_NOT_FOUND, status);
  EXPECT_STATUS(IPC_END, ipc_stream_read(waiting, data_, 1, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(waiting));
}

TEST_F(WindowsLocalTest, ReleasedListenerCanBeAdopted) {
  listen();
  visit("early");
  EXPECT_EQ("early", accept_all());
  ipc_raw raw;
  ASSERT_STATUS(IPC_OK, ipc_listener_release(listener_, &raw));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(listener_));
  listener_ = nullptr;
  EXPECT_STATUS(IPC_IN_USE, ipc_local_listen(&name_, nullptr, &listener_));
  ASSERT_STATUS(IPC_OK, ipc_listener_adopt(&raw, &listener_));
  for (int i = 0; i < 3; i++) visit(std::to_string(i));
  for (int i = 0; i < 3; i++) EXPECT_EQ(std::to_string(i), accept_all());
  std::string native(300, '\0');
  EXPECT_STATUS(IPC_OK, ipc_listener_native(listener_, native.data(), native.size(), &len_));
  EXPECT_EQ("\\\\.\\pipe\\" + text_, native.substr(0, len_));
}

TEST_F(WindowsLocalTest, AdoptTakesListenersAlone) {
  Pair pair;
  ipc_listener *adopted;
  const ipc_raw stream = raw_of(raw_handle(pair.client)), server = raw_of(raw_handle(pair.server)),
                descriptor = {IPC_RAW_FD, 0};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(&stream, &adopted));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(&server, &adopted));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(&descriptor, &adopted));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(nullptr, &adopted));
}

TEST_F(WindowsLocalTest, NamesAreWhatTheSystemTakes) {
  text_ = fresh_name() + "-\xC3\xA9\xF0\x9F\x90\x9F\xED\xA0\x80";  // e acute, a fish, a lone surrogate
  name_ = name_of(text_);
  listen();
  visit("x");
  EXPECT_EQ("x", accept_all());
  std::string native(300, '\0');
  EXPECT_STATUS(IPC_OK, ipc_listener_native(listener_, native.data(), native.size(), &len_));
  native.resize(len_);
  EXPECT_EQ("\\\\.\\pipe\\" + text_, native);
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, ipc_listener_native(listener_, native.data(), len_ - 1, &len_));
  const ipc_name again = name_of(native, IPC_NAME_NATIVE);
  ipc_stream *stream;
  EXPECT_STATUS(IPC_OK, ipc_local_connect(&again, 20000, &stream));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
  const std::string longest(247, 'n');
  const ipc_name long_name = name_of(longest);
  ipc_listener *other;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&long_name, nullptr, &other));
  EXPECT_STATUS(IPC_OK, ipc_local_connect(&long_name, 20000, &stream));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(other));
}

TEST_F(WindowsLocalTest, OptionsAreChecked) {
  const ipc_name path = name_of("/tmp/x", IPC_NAME_PATH);
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_local_listen(&path, nullptr, &listener_));
  ipc_local_listen_options options{};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name_, &options, &listener_));
  options.size = sizeof options;
  options.flags = IPC_LISTEN_MODE;
  options.mode = 0600;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_local_listen(&name_, &options, &listener_));
  options.flags = 64;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name_, &options, &listener_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(nullptr, nullptr, &listener_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name_, nullptr, nullptr));
  ipc_stream *stream;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_connect(&name_, -2, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_connect(nullptr, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_connect(&name_, 0, nullptr));
}

TEST_F(WindowsLocalTest, TheSameUserConnectsWhoeverElseMayNot) {
  listen(0, IPC_LISTEN_SAME_USER | IPC_LISTEN_RECLAIM | IPC_LISTEN_KEEP_NAME);
  visit("me");
  EXPECT_EQ("me", accept_all());
}

TEST_F(WindowsLocalTest, BothEndsKnowTheProcessOfTheOther) {
  Pair pair;
  ipc_credentials peer{};
  ipc_stream *reader, *writer;
  ASSERT_STATUS(IPC_OK, ipc_stream_split(pair.client, &reader, &writer));
  for (ipc_stream *stream : {pair.server, reader, writer}) {
    EXPECT_STATUS(IPC_OK, ipc_stream_peer_credentials(stream, &peer));
    EXPECT_EQ(static_cast<uint32_t>(IPC_CREDENTIALS_PID), peer.fields);
    EXPECT_EQ(GetCurrentProcessId(), peer.pid);
    EXPECT_STATUS(IPC_OK, ipc_stream_free(stream == pair.server ? nullptr : stream));
  }
}

TEST_F(WindowsLocalTest, NothingIsInherited) {
  Pair pair;
  ipc_raw raw;
  ASSERT_STATUS(IPC_OK, ipc_listener_raw(pair.listener, &raw));
  const HANDLE listening = reinterpret_cast<HANDLE>(static_cast<uintptr_t>(raw.value));
  for (const HANDLE handle : {listening, raw_handle(pair.server), raw_handle(pair.client)}) {
    DWORD flags = HANDLE_FLAG_INHERIT;
    EXPECT_TRUE(GetHandleInformation(handle, &flags));
    EXPECT_EQ(0u, flags & HANDLE_FLAG_INHERIT);
  }
}

}  // namespace
