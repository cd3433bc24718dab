// control_listener.h - where a child of a peer opens its channel, for tests: the runner's side of CTS_CONTROL.
#ifndef CTS_PEER_TESTS_CONTROL_LISTENER_H
#define CTS_PEER_TESTS_CONTROL_LISTENER_H

#include <gtest/gtest.h>

#include <string>

#ifdef _WIN32
#include <winsock2.h>
#else
#include <stdlib.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif

// A listening socket, and the one connection that it takes.
class ControlListener {
 public:
  ControlListener() {
#ifdef _WIN32
    WSADATA data;
    EXPECT_EQ(WSAStartup(MAKEWORD(2, 2), &data), 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int len = sizeof(address);
    listening_ = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    EXPECT_EQ(bind(listening_, reinterpret_cast<sockaddr *>(&address), len), 0);
    EXPECT_EQ(getsockname(listening_, reinterpret_cast<sockaddr *>(&address), &len), 0);
    control_ = "loopback:" + std::to_string(ntohs(address.sin_port)) + ":" + token_;
#else
    char directory[] = "/tmp/cts-control-XXXXXX";  // a path of Bazel's would be too long
    EXPECT_NE(mkdtemp(directory), nullptr);
    control_ = std::string(directory) + "/control";
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    control_.copy(address.sun_path, sizeof(address.sun_path) - 1);
    listening_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(bind(listening_, reinterpret_cast<sockaddr *>(&address), sizeof(address)), 0);
#endif
    EXPECT_EQ(listen(listening_, 1), 0);
  }

  ~ControlListener() {
    close_socket(connection_);
    close_socket(listening_);
#ifdef _WIN32
    WSACleanup();
#else
    unlink(control_.c_str());
    rmdir(control_.substr(0, control_.rfind('/')).c_str());
#endif
  }

  ControlListener(const ControlListener &) = delete;
  ControlListener &operator=(const ControlListener &) = delete;

  // The argument of process.spawn.
  const std::string &control() const { return control_; }

  void accept_child() {
    fd_set waiting;
    timeval deadline = {10, 0};
    FD_ZERO(&waiting);
    FD_SET(listening_, &waiting);
    ASSERT_EQ(select(static_cast<int>(listening_) + 1, &waiting, nullptr, nullptr, &deadline), 1) << "no child came";
    connection_ = accept(listening_, nullptr, nullptr);
#ifdef _WIN32
    EXPECT_EQ(line(), token_) << "a child says first who it is";
#endif
  }

  void send_line(const std::string &text) {
    const std::string bytes = text + "\n";
    EXPECT_EQ(send(connection_, bytes.data(), static_cast<int>(bytes.size()), 0), static_cast<int>(bytes.size()));
  }

  // The next line without its LF; what there was of it if the child is gone.
  std::string line() {
    std::string text;
    char byte = 0;
    while (recv(connection_, &byte, 1, 0) == 1 && byte != '\n') text += byte;
    return text;
  }

  // The end of the child's input.
  void half_close() { shutdown(connection_, 1); }

 private:
#ifdef _WIN32
  static void close_socket(SOCKET socket) { closesocket(socket); }
  SOCKET listening_ = INVALID_SOCKET, connection_ = INVALID_SOCKET;
  const std::string token_ = "0123456789abcdef0123456789abcdef";
#else
  static void close_socket(int socket) {
    if (socket >= 0) close(socket);
  }
  int listening_ = -1, connection_ = -1;
#endif
  std::string control_;
};

#endif  // CTS_PEER_TESTS_CONTROL_LISTENER_H
