// minimal_peer_test.cc - the sample peer, over its pipes, against a plain listening socket. Its path is the argument.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "conformance/kits/c/tests/line_peer.h"

namespace {

std::string peer_path;

// A listening socket in the abstract namespace, named after this process.
class Listener {
 public:
  Listener() {
    static int count = 0;
    name_ = "cts-minimal-peer-" + std::to_string(getpid()) + "-" + std::to_string(count++);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path + 1, name_.data(), name_.size());
    socklen_t len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name_.size());
    fd_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr *>(&address), len), 0);
    EXPECT_EQ(listen(fd_, 8), 0);
  }
  ~Listener() { close(fd_); }
  std::string name() const { return "\"\\u0000" + name_ + "\""; }
  int accept_one() const { return accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC); }

 private:
  std::string name_;
  int fd_ = -1;
};

TEST(MinimalPeer, ServesAClientRole) {
  LinePeer peer({peer_path});
  Listener listener;
  EXPECT_NE(peer.ask(R"({"id":1,"op":"hello","protocol":1})").find("\"lanes\":\"single\""), std::string::npos);
  EXPECT_EQ(peer.ask(R"({"id":2,"op":"local.connect","as":"s","kind":"native","name":)" + listener.name() + "}"),
            R"({"id":2,"status":"ok"})");
  int fd = listener.accept_one();
  EXPECT_EQ(peer.ask(R"({"id":3,"op":"stream.write","on":"s","data":"hello"})"),
            R"({"id":3,"status":"ok","length":5})");
  char bytes[16];
  EXPECT_EQ(read(fd, bytes, sizeof(bytes)), 5);
  EXPECT_EQ(write(fd, "hello", 5), 5);
  EXPECT_EQ(peer.ask(R"({"id":4,"op":"stream.read","on":"s","until":"exact","max":5,"chunk":5})"),
            R"({"id":4,"status":"ok","length":5,"crc32":907060870,"data":"hello","chunks":[907060870]})");
  close(fd);
  EXPECT_EQ(peer.ask(R"({"id":5,"op":"stream.read","on":"s","until":"some"})"),
            R"({"id":5,"status":"end","length":0,"crc32":0,"data":""})");
  EXPECT_EQ(peer.ask(R"({"id":6,"op":"stream.write","on":"s","data":"x"})"),
            R"({"id":6,"status":"broken_pipe","error":32,"length":0,"why":"send"})");
  EXPECT_EQ(peer.ask(R"({"id":7,"op":"stream.close","on":"s"})"), R"({"id":7,"status":"ok"})");
  EXPECT_EQ(peer.ask(R"({"id":8,"op":"stream.close","on":"s"})"),
            R"({"id":8,"status":"invalid_argument","why":"no handle has the name in on"})");
  EXPECT_EQ(peer.end(), 0);
}

TEST(MinimalPeer, ResetClosesItsHandles) {
  LinePeer peer({peer_path});
  Listener listener;
  peer.ask(R"({"id":2,"op":"local.connect","as":"s","kind":"native","name":)" + listener.name() + "}");
  int fd = listener.accept_one();
  EXPECT_EQ(peer.ask(R"({"id":3,"op":"reset"})"), R"({"id":3,"status":"ok"})");
  char byte;
  EXPECT_EQ(read(fd, &byte, 1), 0);
  close(fd);
  EXPECT_EQ(peer.end(), 0);
}

TEST(MinimalPeer, EndsWithItsInputWhileBlockedInTheLibrary) {
  LinePeer peer({peer_path});
  Listener listener;
  peer.ask(R"({"id":2,"op":"local.connect","as":"s","kind":"native","name":)" + listener.name() + "}");
  int fd = listener.accept_one();
  EXPECT_EQ(peer.ask(R"({"id":3,"op":"stream.read","on":"s","until":"some","watch":true})"),
            R"({"id":3,"event":"begun","tid":)" + std::to_string(peer.pid()) + "}");
  EXPECT_EQ(peer.end(), 0);
  close(fd);
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

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 2) return 2;
  peer_path = argv[1];
  return RUN_ALL_TESTS();
}
