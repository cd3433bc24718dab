// Unix domain listeners of every type, who may connect, and ending one direction of a stream.
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstddef>
#include <cstring>

#include "ref/tests/support.h"

namespace ref_tests {
namespace {

using namespace std::string_literals;

constexpr uid_t kForeignUser = 65534;

bool exists(const std::string &path) {
  struct stat found{};
  return lstat(path.c_str(), &found) == 0;
}

mode_t mode_of(const std::string &path) {
  struct stat found{};
  EXPECT_EQ(0, lstat(path.c_str(), &found)) << path;
  return found.st_mode & 07777;
}

// A process of another user that connects and waits for what it gets: exit status 0 for the end.
pid_t foreign_client(const std::string &native) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, native.data(), native.size());
  const auto len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + native.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (setgid(kForeignUser) != 0 || setuid(kForeignUser) != 0) _exit(2);
  if (connect(fd, reinterpret_cast<sockaddr *>(&address), len) != 0) _exit(3);
  char byte;
  _exit(recv(fd, &byte, 1, 0) == 0 ? 0 : 4);
}

int exit_status(pid_t pid) {
  int status = -1;
  EXPECT_EQ(pid, waitpid(pid, &status, 0));
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class UnixTest : public DescriptorTest {
 protected:
  ipc_status listen(const ipc_name &name, uint32_t type, uint32_t flags, uint32_t mode = 0) {
    const ipc_local_listen_options options{sizeof options, flags, mode, 0};
    return ipc_unix_listen(&name, type, &options, &listener_);
  }
  std::string native() {
    char bytes[128];
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_listener_native(listener_, bytes, sizeof bytes, &len));
    return std::string(bytes, len);
  }
  void TearDown() override {
    ipc_listener_free(listener_);
    DescriptorTest::TearDown();
  }
  TempDir directory_;
  ipc_listener *listener_ = nullptr;
};

TEST_F(UnixTest, ArgumentsAreChecked) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  for (const uint32_t type : {0u, static_cast<uint32_t>(IPC_UNIX_DATAGRAM), 4u}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, listen(name, type, 0));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, listen(name, IPC_UNIX_STREAM, 16));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, listen(name, IPC_UNIX_STREAM, IPC_LISTEN_MODE, 01000));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_unix_listen(&name, IPC_UNIX_STREAM, nullptr, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_accept_socket(nullptr, 0, nullptr));
  EXPECT_EQ(nullptr, listener_);
  EXPECT_FALSE(exists(path));
}

TEST_F(UnixTest, AcceptIsOfTheListenersType) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ASSERT_STATUS(IPC_OK, listen(name, IPC_UNIX_SEQPACKET, 0));
  ipc_stream *stream = nullptr;
  ipc_socket *socket = nullptr;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_listener_accept(listener_, IPC_NO_TIMEOUT, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_accept_socket(listener_, -2, &socket));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_accept_socket(listener_, 0, nullptr));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept_socket(listener_, 0, &socket));
  ipc_raw raw{};
  ASSERT_STATUS(IPC_OK, ipc_listener_release(listener_, &raw));
  ipc_listener_free(listener_);
  listener_ = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_listener_adopt(&raw, &listener_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_listener_accept(listener_, 0, &stream));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept_socket(listener_, 0, &socket));
}

TEST_F(UnixTest, KeepNameLeavesTheFile) {
  const std::string path = directory_.file("s");
  ASSERT_STATUS(IPC_OK, listen(name_of(IPC_NAME_PATH, path), IPC_UNIX_STREAM, IPC_LISTEN_KEEP_NAME));
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
  EXPECT_TRUE(exists(path));
}

TEST_F(UnixTest, AutobindIsOnItsOwn) {
  ASSERT_STATUS(IPC_OK, ipc_unix_listen(nullptr, IPC_UNIX_STREAM, nullptr, &listener_));
  const std::string name = native();
  EXPECT_EQ(6u, name.size());
  EXPECT_EQ('\0', name[0]);
  ipc_listener *none = listener_;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(nullptr, nullptr, &none));
  EXPECT_EQ(nullptr, none);
  const ipc_local_listen_options options{sizeof options, IPC_LISTEN_MODE, 0600, 0};
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_unix_listen(nullptr, IPC_UNIX_STREAM, &options, &none));
}

TEST_F(UnixTest, SameUserLimitsTheBitsWhateverTheUmask) {
  for (const mode_t mask : {0u, 027u, 077u, 0777u}) {
    const std::string path = directory_.file("s" + std::to_string(mask));
    const mode_t before = umask(mask);
    EXPECT_STATUS(IPC_OK, listen(name_of(IPC_NAME_PATH, path), IPC_UNIX_STREAM, IPC_LISTEN_SAME_USER));
    umask(before);
    EXPECT_EQ(0700u, mode_of(path)) << std::oct << mask;
    ipc_listener_free(listener_);
    listener_ = nullptr;
  }
}

TEST_F(UnixTest, ForeignUsersAreTurnedAway) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: only root can act as another user";
  const std::string name = "ipc-ref-foreign-" + std::to_string(getpid());
  ASSERT_STATUS(IPC_OK, listen(name_of(IPC_NAME_NAMESPACED, name), IPC_UNIX_STREAM, IPC_LISTEN_SAME_USER));
  ipc_stream *stream = nullptr;
  ipc_status status{};
  {
    Worker worker([&] { status = ipc_listener_accept(listener_, IPC_NO_TIMEOUT, &stream); });
    ASSERT_TRUE(worker.wait_until_polling());
    for (int i = 0; i < 3; i++) EXPECT_EQ(0, exit_status(foreign_client("\0"s + name)));
    EXPECT_FALSE(worker.done());
    EXPECT_STATUS(IPC_OK, ipc_listener_close(listener_));
    worker.join();
  }
  EXPECT_STATUS(IPC_CANCELLED, status);
  EXPECT_EQ(nullptr, stream);
}

TEST_F(UnixTest, ForeignUserAndATimeout) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: only root can act as another user";
  const std::string name = "ipc-ref-foreign2-" + std::to_string(getpid());
  ASSERT_STATUS(IPC_OK, listen(name_of(IPC_NAME_NAMESPACED, name), IPC_UNIX_STREAM, IPC_LISTEN_SAME_USER));
  const pid_t foreign = foreign_client("\0"s + name);
  ipc_stream *stream = nullptr;
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener_, 500, &stream));
  EXPECT_EQ(0, exit_status(foreign));
}

TEST_F(UnixTest, ShutdownArgumentsAndOtherTransports) {
  Pair pair(directory_.file("p"));
  for (const uint32_t how : {0u, 4u, 5u}) EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_shutdown(pair.client, how));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_shutdown(nullptr, IPC_SHUTDOWN_READ));
  EXPECT_STATUS(IPC_OK, ipc_stream_shutdown(pair.client, IPC_SHUTDOWN_BOTH));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_shutdown(pair.client, IPC_SHUTDOWN_BOTH));
  ipc_stream *reader = nullptr, *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_shutdown(reader, IPC_SHUTDOWN_READ));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_shutdown(writer, IPC_SHUTDOWN_WRITE));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

}  // namespace
}  // namespace ref_tests
