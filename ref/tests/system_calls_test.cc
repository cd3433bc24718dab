// What the library asks of the system: how often, and what it does when the system does not know a flag.
//
// The test's own definitions of a few functions of the C library stand in front of it: they count, and can fail.
#include <dlfcn.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cstdarg>
#include <map>

#include "ref/tests/support.h"

namespace {

struct Calls {
  bool recording = false;
  std::map<std::string, int> count;
  bool no_flags = false;  // accept4 and SOCK_CLOEXEC are unknown
};
Calls calls;

void record(const char *name) {
  if (calls.recording) calls.count[name]++;
}

template <typename Function>
Function next(const char *name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

}  // namespace

#define COUNTED(result, name, parameters, ...)                  \
  extern "C" result name parameters {                           \
    record(#name);                                              \
    static const auto real = next<result(*) parameters>(#name); \
    return real(__VA_ARGS__);                                   \
  }

COUNTED(ssize_t, recv, (int fd, void *data, size_t len, int flags), fd, data, len, flags)
COUNTED(ssize_t, send, (int fd, const void *data, size_t len, int flags), fd, data, len, flags)
COUNTED(ssize_t, recvmsg, (int fd, msghdr *message, int flags), fd, message, flags)
COUNTED(ssize_t, sendmsg, (int fd, const msghdr *message, int flags), fd, message, flags)
COUNTED(int, poll, (pollfd * polled, nfds_t n, int timeout), polled, n, timeout)
COUNTED(int, eventfd, (unsigned value, int flags), value, flags)
COUNTED(int, clock_gettime, (clockid_t clock, timespec *out), clock, out)
COUNTED(int, connect, (int fd, const sockaddr *address, socklen_t len), fd, address, len)
COUNTED(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), fd, level, name, value, len)
COUNTED(int, accept, (int fd, sockaddr *address, socklen_t *len), fd, address, len)

extern "C" int socket(int family, int type, int protocol) {
  record("socket");
  if (calls.no_flags && (type & (SOCK_CLOEXEC | SOCK_NONBLOCK)) != 0) {
    errno = EINVAL;
    return -1;
  }
  static const auto real = next<int (*)(int, int, int)>("socket");
  return real(family, type, protocol);
}

extern "C" int accept4(int fd, sockaddr *address, socklen_t *len, int flags) {
  record("accept4");
  if (calls.no_flags) {
    errno = ENOSYS;
    return -1;
  }
  static const auto real = next<int (*)(int, sockaddr *, socklen_t *, int)>("accept4");
  return real(fd, address, len, flags);
}

namespace ref_tests {
namespace {

using Counts = std::map<std::string, int>;

// What |body| calls.
Counts counted(const std::function<void()> &body) {
  calls.count.clear();
  calls.recording = true;
  body();
  calls.recording = false;
  return calls.count;
}

class SystemCallsTest : public DescriptorTest {
 protected:
  TempDir directory_;
  char data_[16] = {};
  size_t len_ = 0;
};

TEST_F(SystemCallsTest, WhatNeedNotWaitIsOneCall) {
  Pair pair(directory_.file("s"));
  const ipc_const_buffer out[2] = {{"a", 1}, {"b", 1}};
  const ipc_buffer in[2] = {{data_, 1}, {data_ + 1, 1}};
  for (const int64_t timeout_ms : {IPC_NO_TIMEOUT, int64_t{0}, int64_t{5000}}) {
    EXPECT_EQ((Counts{{"send", 1}}), counted([&] { ipc_stream_write(pair.client, "ab", 2, timeout_ms, &len_); }));
    EXPECT_EQ((Counts{{"recv", 1}}), counted([&] { ipc_stream_read(pair.server, data_, 16, timeout_ms, &len_); }));
    EXPECT_EQ((Counts{{"sendmsg", 1}}),
              counted([&] { ipc_stream_write_vectored(pair.client, out, 2, timeout_ms, &len_); }));
    EXPECT_EQ((Counts{{"recvmsg", 1}}),
              counted([&] { ipc_stream_read_vectored(pair.server, in, 2, timeout_ms, &len_); }));
    EXPECT_EQ(2u, len_);
  }
  EXPECT_EQ((Counts{{"recv", 1}}), counted([&] { ipc_stream_read(pair.server, data_, 16, 0, &len_); }));
  EXPECT_EQ((Counts{}), counted([&] { ipc_stream_read(pair.server, data_, 0, 0, &len_); }));
  EXPECT_EQ((Counts{}), counted([&] { ipc_stream_flush(pair.server); }));
}

// A message and what travels beside it, taken as it comes; one that must stay if it does not fit is looked at first.
TEST_F(SystemCallsTest, AMessageThatNeedNotWaitIsOneCall) {
  const std::string path = directory_.file("m");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_socket *receiver = nullptr, *sender = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_socket_bind(&name, nullptr, &receiver));
  ASSERT_STATUS(IPC_OK, ipc_socket_open(IPC_UNIX_DATAGRAM, &sender));
  ASSERT_STATUS(IPC_OK, ipc_socket_connect(sender, &name, IPC_NO_TIMEOUT));
  const ipc_const_buffer out[2] = {{"a", 1}, {"b", 1}};
  const ipc_buffer in[2] = {{data_, 1}, {data_ + 1, 1}};
  ipc_received received{};
  received.size = sizeof received;
  for (const int64_t timeout_ms : {IPC_NO_TIMEOUT, int64_t{0}, int64_t{5000}}) {
    for (const ipc_name *to : {static_cast<const ipc_name *>(nullptr), &name}) {
      int32_t descriptor = raw_fd(sender);
      ipc_ancillary beside{};
      beside.size = sizeof beside;
      beside.descriptors = &descriptor;
      beside.num_descriptors = 1;
      EXPECT_EQ((Counts{{"sendmsg", 1}}), counted([&] { ipc_socket_send(sender, out, 2, to, &beside, timeout_ms); }));
      ipc_ancillary room{};
      room.size = sizeof room;
      room.descriptors = &descriptor;
      room.descriptors_max = 1;
      EXPECT_EQ((Counts{{"recvmsg", 1}}),
                counted([&] { ipc_socket_receive(receiver, 0, in, 2, &received, &room, timeout_ms); }));
      EXPECT_EQ(2u, received.len);
      ASSERT_EQ(1u, room.num_descriptors);
      close(descriptor);
    }
    ASSERT_STATUS(IPC_OK, ipc_socket_send(sender, out, 2, nullptr, nullptr, timeout_ms));
    const Counts whole =
        counted([&] { ipc_socket_receive(receiver, IPC_RECEIVE_WHOLE, in, 2, &received, nullptr, timeout_ms); });
    int calls_made = 0;
    for (const auto &call : whole) calls_made += call.second;
    EXPECT_EQ(2, calls_made);
    EXPECT_EQ(2u, received.len);
  }
  ipc_socket_free(sender);
  ipc_socket_free(receiver);
}

TEST_F(SystemCallsTest, StreamsWithAncillaryDataTakeOneCall) {
  Pair pair(directory_.file("s"));
  int32_t descriptor = raw_fd(pair.client);
  ipc_ancillary beside{};
  beside.size = sizeof beside;
  beside.descriptors = &descriptor;
  beside.num_descriptors = 1;
  EXPECT_EQ((Counts{{"sendmsg", 1}}),
            counted([&] { ipc_stream_write_ancillary(pair.client, "ab", 2, &beside, IPC_NO_TIMEOUT, &len_); }));
  ipc_ancillary room{};
  room.size = sizeof room;
  room.descriptors = &descriptor;
  room.descriptors_max = 1;
  EXPECT_EQ((Counts{{"recvmsg", 1}}),
            counted([&] { ipc_stream_read_ancillary(pair.server, data_, 16, &room, IPC_NO_TIMEOUT, &len_); }));
  ASSERT_EQ(1u, room.num_descriptors);
  close(descriptor);
}

TEST_F(SystemCallsTest, AcceptAndConnectThatNeedNotWait) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  for (const int64_t timeout_ms : {IPC_NO_TIMEOUT, int64_t{5000}}) {
    ipc_stream *client = nullptr;
    ipc_stream *server = nullptr;
    EXPECT_EQ((Counts{{"socket", 1}, {"connect", 1}}), counted([&] { ipc_local_connect(&name, timeout_ms, &client); }));
    EXPECT_EQ((Counts{{"accept4", 1}}), counted([&] { ipc_listener_accept(listener, timeout_ms, &server); }));
    ipc_stream_free(client);
    ipc_stream_free(server);
  }
  ipc_listener_free(listener);
}

TEST_F(SystemCallsTest, OneWakeDescriptorServesAHandleForLife) {
  Pair pair(directory_.file("s"));
  const auto read = [&] { EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(pair.server, data_, 1, 1, &len_)); };
  EXPECT_EQ(1, counted(read)["eventfd"]);
  EXPECT_EQ(0, counted(read)["eventfd"]);
}

TEST_F(SystemCallsTest, DescriptorsAreClosedOnExecWithoutTheFlagsToo) {
  calls.no_flags = true;
  {
    Pair pair(directory_.file("s"));
    EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(pair.listener), F_GETFD));
    EXPECT_NE(0, fcntl(raw_fd(pair.listener), F_GETFL) & O_NONBLOCK);
    for (auto *stream : {pair.server, pair.client}) {
      EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(stream), F_GETFD));
      EXPECT_EQ(0, fcntl(raw_fd(stream), F_GETFL) & O_NONBLOCK);
    }
    ipc_stream *stream = nullptr;
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(pair.listener, 1, &stream));
  }
  calls.no_flags = false;
}

}  // namespace
}  // namespace ref_tests
