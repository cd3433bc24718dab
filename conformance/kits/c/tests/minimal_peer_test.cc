// minimal_peer_test.cc - the sample peer, over its pipes, against a plain listening socket, or on Windows a plain named
// pipe. The peer's path is the argument.
#include <gtest/gtest.h>

#include <cstring>
#include <regex>
#include <string>

#include "conformance/kits/c/tests/line_peer.h"
#ifndef _WIN32
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif

namespace {

std::string peer_path;

// A listening end with one connection. Named after this process.
#ifdef _WIN32

class Listener {
 public:
  Listener() {
    static int count = 0;
    name_ = "cts-minimal-peer-" + std::to_string(GetCurrentProcessId()) + "-" + std::to_string(count++);
    pipe_ = CreateNamedPipeA(("\\\\.\\pipe\\" + name_).c_str(), PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 1, 4096, 4096, 0,
                             nullptr);
    EXPECT_NE(pipe_, INVALID_HANDLE_VALUE);
  }
  ~Listener() { disconnect(); }

  // The members of a request that say where to connect.
  std::string address() const { return R"("kind":"namespaced","name":")" + name_ + "\""; }
  void accept() { EXPECT_TRUE(ConnectNamedPipe(pipe_, nullptr) || GetLastError() == ERROR_PIPE_CONNECTED); }
  // At most |max| bytes; none at the end.
  std::string receive(size_t max) {
    std::string bytes(max, 0);
    DWORD got = 0;
    ReadFile(pipe_, &bytes[0], static_cast<DWORD>(max), &got, nullptr);
    return bytes.substr(0, got);
  }
  bool send(const std::string &bytes) {
    DWORD put = 0;
    return WriteFile(pipe_, bytes.data(), static_cast<DWORD>(bytes.size()), &put, nullptr) && put == bytes.size();
  }
  void disconnect() {
    if (pipe_ != INVALID_HANDLE_VALUE) CloseHandle(pipe_);
    pipe_ = INVALID_HANDLE_VALUE;
  }

 private:
  std::string name_;
  HANDLE pipe_;
};

#else

class Listener {
 public:
  Listener() {
    static int count = 0;
    name_ = "cts-minimal-peer-" + std::to_string(getpid()) + "-" + std::to_string(count++);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    socklen_t len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    listening_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(listening_, reinterpret_cast<sockaddr *>(&address), len), 0);
    EXPECT_EQ(listen(listening_, 8), 0);
  }
  ~Listener() {
    close(listening_);
    disconnect();
  }

  // The members of a request that say where to connect: in the abstract namespace.
  std::string address() const { return R"("kind":"native","name":"\u0000)" + name_ + "\""; }
  void accept() { connection_ = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC); }
  // At most |max| bytes; none at the end.
  std::string receive(size_t max) {
    std::string bytes(max, 0);
    const ssize_t got = read(connection_, &bytes[0], max);
    return bytes.substr(0, got > 0 ? static_cast<size_t>(got) : 0);
  }
  bool send(const std::string &bytes) {
    return write(connection_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  }
  void disconnect() {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
  }

 private:
  std::string name_;
  int listening_ = -1, connection_ = -1;
};

#endif

TEST(MinimalPeer, ServesAClientRole) {
  LinePeer peer({peer_path});
  Listener listener;
  EXPECT_NE(peer.ask(R"({"id":1,"op":"hello","protocol":1})").find("\"lanes\":\"single\""), std::string::npos);
  EXPECT_EQ(peer.ask(R"({"id":2,"op":"local.connect","as":"s",)" + listener.address() + "}"),
            R"({"id":2,"status":"ok"})");
  listener.accept();
  EXPECT_EQ(peer.ask(R"({"id":3,"op":"stream.write","on":"s","data":"hello"})"),
            R"({"id":3,"status":"ok","length":5})");
  EXPECT_EQ(listener.receive(16), "hello");
  EXPECT_TRUE(listener.send("hello"));
  EXPECT_EQ(peer.ask(R"({"id":4,"op":"stream.read","on":"s","until":"exact","max":5,"chunk":5})"),
            R"({"id":4,"status":"ok","length":5,"crc32":907060870,"data":"hello","chunks":[907060870]})");
  listener.disconnect();
  EXPECT_EQ(peer.ask(R"({"id":5,"op":"stream.read","on":"s","until":"some"})"),
            R"({"id":5,"status":"end","length":0,"crc32":0,"data":""})");
  const std::string broken = peer.ask(R"({"id":6,"op":"stream.write","on":"s","data":"x"})");
  const std::regex expected(
      R"re(\{"id":6,"status":"broken_pipe","error":[0-9]+,"length":0,"why":"(send|WriteFile)"\})re");
  EXPECT_TRUE(std::regex_match(broken, expected)) << broken;
  EXPECT_EQ(peer.ask(R"({"id":7,"op":"stream.close","on":"s"})"), R"({"id":7,"status":"ok"})");
  EXPECT_EQ(peer.ask(R"({"id":8,"op":"stream.close","on":"s"})"),
            R"({"id":8,"status":"invalid_argument","why":"no handle has the name in on"})");
  EXPECT_EQ(peer.end(), 0);
}

TEST(MinimalPeer, ResetClosesItsHandles) {
  LinePeer peer({peer_path});
  Listener listener;
  peer.ask(R"({"id":2,"op":"local.connect","as":"s",)" + listener.address() + "}");
  listener.accept();
  EXPECT_EQ(peer.ask(R"({"id":3,"op":"reset"})"), R"({"id":3,"status":"ok"})");
  EXPECT_EQ(listener.receive(1), "");
  EXPECT_EQ(peer.end(), 0);
}

TEST(MinimalPeer, EndsWithItsInputWhileBlockedInTheLibrary) {
  LinePeer peer({peer_path});
  Listener listener;
  peer.ask(R"({"id":2,"op":"local.connect","as":"s",)" + listener.address() + "}");
  listener.accept();
  const std::string begun = peer.ask(R"({"id":3,"op":"stream.read","on":"s","until":"some","watch":true})");
#ifdef _WIN32
  EXPECT_TRUE(std::regex_match(begun, std::regex(R"(\{"id":3,"event":"begun","tid":[1-9][0-9]*\})"))) << begun;
#else
  EXPECT_EQ(begun, R"({"id":3,"event":"begun","tid":)" + std::to_string(peer.pid()) + "}");
#endif
  EXPECT_EQ(peer.end(), 0);
}

TEST(MinimalPeer, SkipsWhatIsNoRequest) {
  LinePeer peer({peer_path});
  EXPECT_EQ(peer.ask("nonsense"), R"({"id":0,"status":"invalid_argument","why":"a value is missing or unknown"})");
  for (int i = 0; i < 100; i++) peer.send_raw(std::string(65536, 'x'));
  EXPECT_EQ(peer.ask("x"), R"({"id":0,"status":"invalid_argument","why":"the line is longer than 65536 bytes"})");
  const std::string head = R"({"id":7,"op":"pending","pad":")", tail = "\"}";
  const std::string pad(65536 - 1 - head.size() - tail.size(), 'y');
  EXPECT_EQ(peer.ask(head + pad + tail), R"({"id":7,"status":"ok","ids":[]})");
  EXPECT_EQ(peer.ask(head + pad + "y" + tail),
            R"({"id":0,"status":"invalid_argument","why":"the line is longer than 65536 bytes"})");
  EXPECT_EQ(peer.ask("{\"id\":8,\"op\":\"reset\"}\r"), R"({"id":8,"status":"ok"})");
  peer.send_raw("{\"id\":9,");
  EXPECT_EQ(peer.end(), 0);
}

TEST(MinimalPeer, AnswersWhatCameBeforeTheEndOfItsInput) {
  for (int round = 0; round < 20; round++) {
    LinePeer peer({peer_path});
    peer.send(R"({"id":1,"op":"pending"})");
    peer.close_in();
    EXPECT_EQ(peer.line(), R"({"id":1,"status":"ok","ids":[]})");
    EXPECT_EQ(peer.end(), 0);
  }
}

// The output fills, and the peer comes to a halt in a write. The end of its input must reach it there.
TEST(MinimalPeer, EndsWithItsInputWhileNobodyTakesItsReplies) {
  LinePeer peer({peer_path});
  for (int i = 1; i <= 400; i++) peer.send("{\"id\":" + std::to_string(i) + R"(,"op":"hello","protocol":1})");
  peer.close_in();
  EXPECT_EQ(peer.wait(), 0);
}

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  peer_path = argv[1];
  return RUN_ALL_TESTS();
}
