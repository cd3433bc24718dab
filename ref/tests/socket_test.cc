// Sockets that move messages: arguments, limits, addresses, waiting and closing.
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "ref/tests/support.h"

namespace ref_tests {
namespace {

using namespace std::string_literals;

struct Received {
  ipc_status status{};
  std::string data, from;
  size_t needed = 0;
};

Received receive(ipc_socket *socket, size_t room, uint32_t flags = 0, int64_t timeout_ms = 0) {
  std::string data(room, '\0');
  const ipc_buffer buffer{data.data(), room};
  ipc_received told{};
  told.size = sizeof told;
  Received result;
  result.status = ipc_socket_receive(socket, flags, &buffer, 1, &told, nullptr, timeout_ms);
  result.data = data.substr(0, told.len);
  result.from = std::string(reinterpret_cast<char *>(told.from), told.from_len);
  result.needed = told.needed;
  return result;
}

ipc_status send(ipc_socket *socket, const std::string &data, const ipc_name *to = nullptr, int64_t timeout_ms = 0) {
  const ipc_const_buffer buffer{data.data(), data.size()};
  return ipc_socket_send(socket, &buffer, 1, to, nullptr, timeout_ms);
}

int raw_of(ipc_socket *socket) {
  ipc_raw raw{};
  EXPECT_STATUS(IPC_OK, ipc_socket_raw(socket, &raw));
  return static_cast<int>(raw.value);
}

class SocketTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    path_ = directory_.file("s");
    name_ = name_of(IPC_NAME_PATH, path_);
    ASSERT_STATUS(IPC_OK, ipc_socket_bind(&name_, nullptr, &receiver_));
    ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_DATAGRAM, &sender_));
  }
  void TearDown() override {
    ipc_socket_free(sender_);
    ipc_socket_free(receiver_);
    DescriptorTest::TearDown();
  }
  int fill() {
    int sent = 0;
    while (send(sender_, "x", &name_).code == IPC_OK) sent++;
    return sent;
  }
  TempDir directory_;
  std::string path_;
  ipc_name name_{};
  ipc_socket *receiver_ = nullptr, *sender_ = nullptr;
};

TEST_F(SocketTest, ArgumentsAreChecked) {
  ipc_socket *made = sender_;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_open(IPC_UNIX_STREAM, &made));
  EXPECT_EQ(nullptr, made);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_open(0, &made));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_open(4, &made));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_open(IPC_UNIX_DATAGRAM, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_bind(&name_, nullptr, nullptr));
  ipc_local_listen_options options{sizeof options, 0, 0, 1};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_bind(nullptr, &options, &made));
  options = {sizeof options, IPC_LISTEN_SAME_USER, 0, 0};
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_socket_bind(nullptr, &options, &made));
  options = {sizeof options - 1, 0, 0, 0};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_bind(nullptr, &options, &made));
  options = {sizeof options, IPC_LISTEN_MODE, 0600, 0};
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_socket_bind(nullptr, &options, &made));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_connect(nullptr, &name_, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_connect(sender_, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_connect(sender_, &name_, -2));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_send(nullptr, nullptr, 0, nullptr, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_send(sender_, nullptr, 1, &name_, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_send(sender_, nullptr, 0, &name_, nullptr, -2));
  const ipc_const_buffer no_data{nullptr, 1};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_send(sender_, &no_data, 1, &name_, nullptr, 0));
  const ipc_const_buffer huge[2] = {{"x", SIZE_MAX / 2}, {"x", SIZE_MAX / 2}};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_send(sender_, huge, 2, &name_, nullptr, 0));
  ipc_received told{};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(receiver_, 0, nullptr, 0, &told, nullptr, 0));
  told.size = sizeof told;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(receiver_, 2, nullptr, 0, &told, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(receiver_, 0, nullptr, 1, &told, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(receiver_, 0, nullptr, 0, nullptr, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(receiver_, 0, nullptr, 0, &told, nullptr, -2));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(nullptr, 0, nullptr, 0, &told, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_next_length(receiver_, 0, nullptr));
  for (const uint32_t how : {0u, 4u, 7u}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_shutdown(sender_, how));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_raw(sender_, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_release(sender_, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_close(nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_set_nonblocking(nullptr, true));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_set_pass_credentials(nullptr, true));
  ipc_credentials credentials;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_peer_credentials(sender_, nullptr));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_socket_peer_credentials(sender_, &credentials));
  EXPECT_STATUS(IPC_OK, ipc_socket_free(nullptr));
  EXPECT_STATUS(IPC_TIMED_OUT, receive(receiver_, 8).status);
}

TEST_F(SocketTest, BadNamesAreRefused) {
  const std::string empty, only_nul("\0", 1), nul = path_ + "\0x"s, longest(108, 'x');
  const struct {
    ipc_name name;
    int expected;
  } names[] = {{name_of(IPC_NAME_PATH, empty), IPC_INVALID_NAME},
               {name_of(IPC_NAME_PATH, nul), IPC_INVALID_NAME},
               {name_of(IPC_NAME_PATH, longest), IPC_NAME_TOO_LONG},
               {name_of(IPC_NAME_NAMESPACED, longest), IPC_NAME_TOO_LONG},
               {name_of(IPC_NAME_NATIVE, only_nul), IPC_INVALID_NAME},
               {{IPC_NAME_PATH, nullptr, 1}, IPC_INVALID_ARGUMENT},
               {{9, "x", 1}, IPC_INVALID_ARGUMENT}};
  for (const auto &bad : names) {
    ipc_socket *made = nullptr;
    EXPECT_STATUS(bad.expected, ipc_socket_bind(&bad.name, nullptr, &made));
    EXPECT_STATUS(bad.expected, ipc_socket_connect(sender_, &bad.name, 0));
    EXPECT_STATUS(bad.expected, send(sender_, "x", &bad.name));
    EXPECT_EQ(nullptr, made);
  }
}

TEST_F(SocketTest, ClosedHandleSaysSo) {
  ASSERT_STATUS(IPC_OK, ipc_socket_close(sender_));
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_close(sender_));
  EXPECT_STATUS(IPC_CLOSED, send(sender_, "x", &name_));
  EXPECT_STATUS(IPC_CLOSED, receive(sender_, 8).status);
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_connect(sender_, &name_, 0));
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_shutdown(sender_, IPC_SHUTDOWN_BOTH));
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_set_nonblocking(sender_, true));
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_set_pass_credentials(sender_, true));
  ipc_raw raw;
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_raw(sender_, &raw));
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_release(sender_, &raw));
  size_t len;
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_next_length(sender_, 0, &len));
  char native[128];
  EXPECT_STATUS(IPC_CLOSED, ipc_socket_native(sender_, native, sizeof native, &len));
}

TEST_F(SocketTest, BuffersUpToTheLimit) {
  ipc_const_buffer out[65];
  char bytes[65];
  ipc_buffer in[65];
  for (int i = 0; i < 65; i++) {
    out[i] = {"x", 1};
    in[i] = {bytes + i, 1};
  }
  ipc_received told{};
  told.size = sizeof told;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_send(sender_, out, 65, &name_, nullptr, 0));
  EXPECT_STATUS(IPC_OK, ipc_socket_send(sender_, out, 64, &name_, nullptr, 0));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_receive(receiver_, 0, in, 65, &told, nullptr, 0));
  EXPECT_STATUS(IPC_OK, ipc_socket_receive(receiver_, 0, in, 64, &told, nullptr, 0));
  EXPECT_EQ(64u, told.len);
  EXPECT_EQ(std::string(64, 'x'), std::string(bytes, 64));
}

TEST_F(SocketTest, RoomAroundTheLength) {
  for (const size_t room : {9u, 10u, 11u}) {
    for (const uint32_t flags : {0u, static_cast<uint32_t>(IPC_RECEIVE_WHOLE)}) {
      ASSERT_STATUS(IPC_OK, send(sender_, "0123456789", &name_));
      const Received first = receive(receiver_, room, flags);
      EXPECT_STATUS(room < 10 ? IPC_MESSAGE_TRUNCATED : IPC_OK, first.status);
      EXPECT_EQ(10u, first.needed);
      EXPECT_EQ(room >= 10 ? "0123456789" : flags == 0 ? "012345678" : "", first.data);
      const Received second = receive(receiver_, 64);
      EXPECT_STATUS(room < 10 && flags != 0 ? IPC_OK : IPC_TIMED_OUT, second.status);
    }
  }
}

TEST_F(SocketTest, LargestMessageIsWhole) {
  int buffer = 0;
  socklen_t len = sizeof buffer;
  ASSERT_EQ(0, getsockopt(raw_of(sender_), SOL_SOCKET, SO_SNDBUF, &buffer, &len));
  const size_t most = static_cast<size_t>(buffer) - 32; /* Linux: what sk_buff and header keep */
  for (const size_t length : {most - 1, most}) {
    EXPECT_STATUS(IPC_OK, send(sender_, std::string(length, 'x'), &name_));
    EXPECT_EQ(length, receive(receiver_, most + 1).data.size());
  }
  EXPECT_STATUS(IPC_MESSAGE_TOO_LARGE, send(sender_, std::string(most + 1, 'x'), &name_));
  EXPECT_STATUS(IPC_TIMED_OUT, receive(receiver_, 8).status);
}

TEST_F(SocketTest, NativeIsExactAndTruncationIsSaid) {
  char native[128];
  size_t len = 0;
  EXPECT_STATUS(IPC_OK, ipc_socket_native(receiver_, native, path_.size(), &len));
  EXPECT_EQ(path_, std::string(native, len));
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, ipc_socket_native(receiver_, native, path_.size() - 1, &len));
  EXPECT_EQ(path_.size(), len);
  EXPECT_STATUS(IPC_OK, ipc_socket_native(sender_, native, sizeof native, &len));
  EXPECT_EQ(0u, len);
}

TEST_F(SocketTest, AdoptTakesMessageSocketsAlone) {
  ipc_socket *adopted = nullptr;
  ipc_raw raw{IPC_RAW_FD, 0};
  for (const int type : {SOCK_DGRAM, SOCK_SEQPACKET, SOCK_STREAM}) {
    int ends[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, type, 0, ends));
    raw.value = static_cast<uint64_t>(ends[0]);
    EXPECT_STATUS(type == SOCK_STREAM ? IPC_INVALID_ARGUMENT : IPC_OK, ipc_socket_adopt(&raw, &adopted));
    if (type == SOCK_STREAM) {
      EXPECT_EQ(nullptr, adopted);
      ::close(ends[0]);
    } else {
      EXPECT_EQ(FD_CLOEXEC, fcntl(ends[0], F_GETFD));
      EXPECT_STATUS(IPC_OK, send(adopted, "x"));
      ipc_socket_free(adopted);
    }
    ::close(ends[1]);
  }
  const int listening = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  const sa_family_t family = AF_UNIX;
  ASSERT_EQ(0, bind(listening, reinterpret_cast<const sockaddr *>(&family), sizeof family));
  ASSERT_EQ(0, listen(listening, 1));
  raw.value = static_cast<uint64_t>(listening);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_adopt(&raw, &adopted));
  ::close(listening);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_adopt(&raw, &adopted));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_adopt(nullptr, &adopted));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_socket_adopt(&raw, nullptr));
}

TEST_F(SocketTest, ReleaseKeepsTheFile) {
  ipc_raw raw{};
  ASSERT_STATUS(IPC_OK, ipc_socket_release(receiver_, &raw));
  struct stat found{};
  EXPECT_EQ(0, lstat(path_.c_str(), &found));
  EXPECT_EQ(0, fcntl(static_cast<int>(raw.value), F_GETFL) & O_NONBLOCK);
  ::close(static_cast<int>(raw.value));
}

// -------------------------------------------------------------------------------------------------- waiting

TEST_F(SocketTest, SendToAFullReceiverSleepsAndGoesOn) {
  const int filled = fill();
  ASSERT_GT(filled, 0);
  ipc_status status{};
  Worker worker([&] { status = send(sender_, "late", &name_, IPC_NO_TIMEOUT); });
  ASSERT_TRUE(worker.wait_until_polling());
  EXPECT_STATUS(IPC_OK, receive(receiver_, 8).status);
  worker.join();
  EXPECT_STATUS(IPC_OK, status);
}

TEST_F(SocketTest, CloseEndsASendToAFullReceiver) {
  fill();
  ipc_status status{};
  Worker worker([&] { status = send(sender_, "late", &name_, IPC_NO_TIMEOUT); });
  ASSERT_TRUE(worker.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_socket_close(sender_));
  worker.join();
  EXPECT_STATUS(IPC_CANCELLED, status);
}

TEST_F(SocketTest, SendWaitsWithoutADescriptorToo) {
  fill();
  EXPECT_STATUS(IPC_TIMED_OUT, send(sender_, "x", &name_, 5));
  DescriptorLimit limit(0);
  EXPECT_STATUS(IPC_TIMED_OUT, send(sender_, "x", &name_, 5));
  ipc_status status{};
  Worker worker([&] { status = send(sender_, "late", &name_, IPC_NO_TIMEOUT); });
  EXPECT_STATUS(IPC_OK, receive(receiver_, 8).status);
  worker.join();
  EXPECT_STATUS(IPC_OK, status);
}

TEST_F(SocketTest, ShutDownReadingIsTheEndAndNoBusyLoop) {
  ASSERT_STATUS(IPC_OK, send(sender_, "before", &name_));
  ASSERT_STATUS(IPC_OK, ipc_socket_shutdown(receiver_, IPC_SHUTDOWN_READ));
  EXPECT_EQ("before", receive(receiver_, 64).data);
  EXPECT_STATUS(IPC_END, receive(receiver_, 64, 0, IPC_NO_TIMEOUT).status);
  EXPECT_STATUS(IPC_END, receive(receiver_, 64, IPC_RECEIVE_WHOLE, IPC_NO_TIMEOUT).status);
  ASSERT_STATUS(IPC_OK, ipc_socket_set_nonblocking(receiver_, true));
  EXPECT_STATUS(IPC_END, receive(receiver_, 64).status);
  EXPECT_STATUS(IPC_BROKEN_PIPE, send(sender_, "after", &name_));
}

// Two threads: one takes short messages whole, one takes long ones. Nothing is ever cut.
TEST_F(SocketTest, WholeReceiptsDoNotMeet) {
  const std::string lengths[2] = {std::string(10, 's'), std::string(1000, 'l')};
  std::atomic<int> got{0}, cut{0};
  const auto take = [&](size_t room) {
    while (got < 400) {
      const Received message = receive(receiver_, room, IPC_RECEIVE_WHOLE, 1);
      if (message.status.code == IPC_OK) got++;
      if (!message.data.empty() && message.data.size() != 10 && message.data.size() != 1000) cut++;
    }
  };
  Worker small([&] { take(10); });
  Worker large([&] { take(1000); });
  for (int i = 0; i < 400; i++) ASSERT_STATUS(IPC_OK, send(sender_, lengths[i % 2], &name_, 20000));
  small.join();
  large.join();
  EXPECT_EQ(400, got);
  EXPECT_EQ(0, cut);
}

// ------------------------------------------------------------------------------------------------ seqpacket

class SeqpacketTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    path_ = directory_.file("q");
    name_ = name_of(IPC_NAME_PATH, path_);
    const ipc_local_listen_options options{sizeof options, 0, 0, 1};
    ASSERT_STATUS(IPC_OK, ipc_unix_listen(&name_, IPC_UNIX_SEQPACKET, &options, &listener_));
    ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_SEQPACKET, &client_));
  }
  void TearDown() override {
    ipc_socket_free(client_);
    ipc_listener_free(listener_);
    DescriptorTest::TearDown();
  }
  void fill_backlog(std::vector<ipc_socket *> *clients) {
    for (ipc_status status{}; status.code == IPC_OK;) {
      ipc_socket *socket = nullptr;
      ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_SEQPACKET, &socket));
      clients->push_back(socket);
      status = ipc_socket_connect(socket, &name_, 0);
    }
  }
  TempDir directory_;
  std::string path_;
  ipc_name name_{};
  ipc_listener *listener_ = nullptr;
  ipc_socket *client_ = nullptr;
};

TEST_F(SeqpacketTest, ForeignEmptyMessagesAreNoEnd) {
  int ends[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
  ipc_socket *socket = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_socket_adopt(&raw, &socket));
  ASSERT_EQ(0, ::send(ends[1], "", 0, 0));
  const Received empty = receive(socket, 8);
  EXPECT_STATUS(IPC_OK, empty.status);
  EXPECT_EQ("", empty.data);
  ASSERT_EQ(0, ::send(ends[1], "", 0, 0));
  ASSERT_EQ(0, ::send(ends[1], "", 0, 0));
  ASSERT_EQ(4, ::send(ends[1], "last", 4, 0));
  ::close(ends[1]);
  size_t len = 1;
  EXPECT_STATUS(IPC_OK, ipc_socket_next_length(socket, 0, &len));
  EXPECT_EQ(0u, len);
  EXPECT_STATUS(IPC_OK, receive(socket, 8).status);
  EXPECT_STATUS(IPC_OK, receive(socket, 8).status);
  EXPECT_EQ("last", receive(socket, 8).data);
  EXPECT_STATUS(IPC_END, receive(socket, 8).status);
  EXPECT_STATUS(IPC_END, ipc_socket_next_length(socket, 0, &len));
  ipc_socket_free(socket);
}

TEST_F(SeqpacketTest, CloseEndsAWaitingConnect) {
  std::vector<ipc_socket *> clients;
  fill_backlog(&clients);
  ipc_status status{};
  Worker worker([&] { status = ipc_socket_connect(client_, &name_, IPC_NO_TIMEOUT); });
  ASSERT_TRUE(worker.wait_until_in(SYS_connect));
  EXPECT_STATUS(IPC_OK, ipc_socket_close(client_));
  worker.join();
  EXPECT_STATUS(IPC_CANCELLED, status);
  for (ipc_socket *socket : clients) ipc_socket_free(socket);
}

TEST_F(SeqpacketTest, ConnectLeavesModeAndOptionsAsTheyWere) {
  std::vector<ipc_socket *> clients;
  fill_backlog(&clients);
  ipc_socket *late = clients.back();
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_socket_connect(late, &name_, 30));
  EXPECT_EQ(0, fcntl(raw_of(late), F_GETFL) & O_NONBLOCK);
  timeval timeout{1, 1};
  socklen_t len = sizeof timeout;
  ASSERT_EQ(0, getsockopt(raw_of(late), SOL_SOCKET, SO_SNDTIMEO, &timeout, &len));
  EXPECT_EQ(0, timeout.tv_sec);
  EXPECT_EQ(0, timeout.tv_usec);
  ipc_socket *accepted = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_listener_accept_socket(listener_, 0, &accepted));
  EXPECT_STATUS(IPC_OK, ipc_socket_connect(late, &name_, 0));
  EXPECT_EQ(0, fcntl(raw_of(late), F_GETFL) & O_NONBLOCK);
  EXPECT_STATUS(IPC_ALREADY_CONNECTED, ipc_socket_connect(late, &name_, 0));
  EXPECT_EQ(0, fcntl(raw_of(late), F_GETFL) & O_NONBLOCK);
  ipc_socket_free(accepted);
  for (ipc_socket *socket : clients) ipc_socket_free(socket);
}

}  // namespace
}  // namespace ref_tests
