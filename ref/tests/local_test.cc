// Local sockets: listening, connecting, accepting, and who owns a name.
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "ref/tests/support.h"

namespace ref_tests {
namespace {

using namespace std::string_literals;

struct stat stat_of(const std::string &path) {
  struct stat found{};
  EXPECT_EQ(0, lstat(path.c_str(), &found)) << path;
  return found;
}

bool exists(const std::string &path) {
  struct stat found{};
  return lstat(path.c_str(), &found) == 0;
}

class LocalTest : public DescriptorTest {
 protected:
  ipc_status listen(const std::string &path, ipc_listener **out, uint32_t flags = 0, uint32_t mode = 0,
                    uint32_t backlog = 0) {
    const ipc_name name = name_of(IPC_NAME_PATH, path);
    const ipc_local_listen_options options{sizeof options, flags, mode, backlog};
    return ipc_local_listen(&name, &options, out);
  }
  ipc_status connect(const std::string &path, int64_t timeout_ms, ipc_stream **out, uint32_t kind = IPC_NAME_PATH) {
    const ipc_name name = name_of(kind, path);
    return ipc_local_connect(&name, timeout_ms, out);
  }
  // A socket file that nobody is behind.
  void make_stale(const std::string &path) { ::close(bound(path, SOCK_STREAM)); }
  // A socket of another program, bound to |path|.
  int bound(const std::string &path, int type) {
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&address), sizeof address)) << errno;
    return fd;
  }
  TempDir directory_;
};

TEST_F(LocalTest, ListenMakesAFileAndCloseRemovesIt) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener));
  EXPECT_TRUE(S_ISSOCK(stat_of(path).st_mode));
  EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(listener), F_GETFD));
  char native[200];
  size_t len = 0;
  EXPECT_STATUS(IPC_OK, ipc_listener_native(listener, native, sizeof native, &len));
  EXPECT_EQ(path, std::string(native, len));
  EXPECT_STATUS(IPC_MESSAGE_TRUNCATED, ipc_listener_native(listener, native, path.size() - 1, &len));
  EXPECT_EQ(path.size(), len);
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
  EXPECT_FALSE(exists(path));
  EXPECT_STATUS(IPC_CLOSED, ipc_listener_close(listener));
  EXPECT_STATUS(IPC_CLOSED, ipc_listener_native(listener, native, sizeof native, &len));
  ipc_stream *stream;
  EXPECT_STATUS(IPC_CLOSED, ipc_listener_accept(listener, 0, &stream));
  ipc_raw raw;
  EXPECT_STATUS(IPC_CLOSED, ipc_listener_raw(listener, &raw));
  EXPECT_STATUS(IPC_CLOSED, ipc_listener_release(listener, &raw));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(listener));
}

TEST_F(LocalTest, FreeClosesAndTakesNull) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(listener));
  EXPECT_FALSE(exists(path));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(nullptr));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(nullptr));
}

TEST_F(LocalTest, CloseLeavesAFileThatIsNotItsOwn) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener));
  ASSERT_EQ(0, unlink(path.c_str()));
  const int other = bound(path, SOCK_STREAM);
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
  EXPECT_TRUE(exists(path));
  ipc_listener_free(listener);
  ::close(other);
}

TEST_F(LocalTest, RelativePathIsRemovedAfterAChangeOfDirectory) {
  char *const cwd = getcwd(nullptr, 0);
  ASSERT_EQ(0, chdir(directory_.path().c_str()));
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen("s", &listener));
  EXPECT_EQ(0, chdir("/"));
  ipc_listener_free(listener);
  EXPECT_FALSE(exists(directory_.file("s")));
  EXPECT_EQ(0, chdir(cwd));
  std::free(cwd);
}

TEST_F(LocalTest, LongestNamesAreWhole) {
  for (const uint32_t kind : {IPC_NAME_PATH, IPC_NAME_NAMESPACED}) {
    std::string bytes = kind == IPC_NAME_PATH ? directory_.path() + "/" : "ipc-ref-" + std::to_string(getpid()) + "-";
    bytes.resize(107, 'x');
    const ipc_name name = name_of(kind, bytes);
    ipc_listener *listener = nullptr;
    ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
    char native[200];
    size_t len;
    EXPECT_STATUS(IPC_OK, ipc_listener_native(listener, native, sizeof native, &len));
    EXPECT_EQ(kind == IPC_NAME_PATH ? bytes : "\0"s + bytes, std::string(native, len));
    ipc_stream *stream = nullptr;
    EXPECT_STATUS(IPC_OK, connect(std::string(native, len), 0, &stream, IPC_NAME_NATIVE));
    ipc_stream_free(stream);
    ipc_listener_free(listener);
    const std::string longer = bytes + "x";
    EXPECT_STATUS(IPC_NAME_TOO_LONG, connect(longer, 0, &stream, kind));
    EXPECT_EQ(nullptr, stream);
  }
}

TEST_F(LocalTest, AbstractNameHasItsExactLength) {
  const std::string bytes = "ipc-ref-exact-" + std::to_string(getpid());
  const ipc_name name = name_of(IPC_NAME_NAMESPACED, bytes);
  ipc_listener *listener = nullptr;
  ipc_listener *second = nullptr;
  const ipc_local_listen_options reclaim{sizeof reclaim, IPC_LISTEN_RECLAIM, 0, 0};
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, &reclaim, &listener));
  EXPECT_STATUS(IPC_IN_USE, ipc_local_listen(&name, &reclaim, &second));
  ipc_stream *stream;
  EXPECT_STATUS(IPC_REFUSED, connect(bytes + "x", 0, &stream, IPC_NAME_NAMESPACED));
  EXPECT_STATUS(IPC_REFUSED, connect("\0"s + bytes + "\0"s, 0, &stream, IPC_NAME_NATIVE));
  EXPECT_STATUS(IPC_OK, connect("\0"s + bytes, 0, &stream, IPC_NAME_NATIVE));
  ipc_stream_free(stream);
  ipc_listener_free(listener);
  EXPECT_STATUS(IPC_REFUSED, connect(bytes, 0, &stream, IPC_NAME_NAMESPACED));
  const ipc_local_listen_options mode{sizeof mode, IPC_LISTEN_MODE, 0600, 0};
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_local_listen(&name, &mode, &listener));
}

TEST_F(LocalTest, OptionsAreChecked) {
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_listener *listener = nullptr;
  ipc_local_listen_options options{sizeof options, 0, 0, 0};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name, &options, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(nullptr, &options, &listener));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, listen(path, &listener, 16));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, listen(path, &listener, IPC_LISTEN_MODE, 01000));
  options.size = 0;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name, &options, &listener));
  options.size = sizeof options - 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name, &options, &listener));
  struct {
    ipc_local_listen_options known;
    uint32_t unknown;
  } newer{{sizeof newer, 0, 0, 0}, 1};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_local_listen(&name, &newer.known, &listener));
  EXPECT_FALSE(exists(path));
  newer.unknown = 0;
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, &newer.known, &listener));
  ipc_listener_free(listener);
}

TEST_F(LocalTest, ModeHoldsWhateverTheUmask) {
  const mode_t saved = umask(0);
  for (const mode_t mask : {0u, 022u, 077u, 0777u}) {
    for (const uint32_t mode : {0u, 0600u, 0660u, 0666u, 0777u}) {
      const std::string path = directory_.file("m");
      umask(mask);
      ipc_listener *listener = nullptr;
      ASSERT_STATUS(IPC_OK, listen(path, &listener, IPC_LISTEN_MODE, mode));
      EXPECT_EQ(mode, stat_of(path).st_mode & 07777u) << "umask " << mask;
      EXPECT_EQ(mask, umask(mask)) << "the umask is not the library's";
      ipc_listener_free(listener);
    }
    ipc_listener *listener = nullptr;
    ASSERT_STATUS(IPC_OK, listen(directory_.file("m"), &listener, 0, 0600));
    EXPECT_EQ(0777u & ~mask, stat_of(directory_.file("m")).st_mode & 0777u) << "mode without its flag";
    ipc_listener_free(listener);
  }
  umask(saved);
}

TEST_F(LocalTest, ConnectSaysWhatIsMissing) {
  ipc_stream *stream;
  EXPECT_STATUS(IPC_NOT_FOUND, connect(directory_.file("none"), 0, &stream));
  EXPECT_STATUS(IPC_NOT_FOUND, connect(directory_.file("no/where"), 0, &stream));
  make_stale(directory_.file("stale"));
  EXPECT_STATUS(IPC_REFUSED, connect(directory_.file("stale"), 0, &stream));
  EXPECT_STATUS(IPC_REFUSED, connect(directory_.path(), 0, &stream));
  const int datagram = bound(directory_.file("d"), SOCK_DGRAM);
  EXPECT_STATUS(IPC_REFUSED, connect(directory_.file("d"), 0, &stream));
  ::close(datagram);
  const int silent = bound(directory_.file("bound"), SOCK_STREAM);
  EXPECT_STATUS(IPC_REFUSED, connect(directory_.file("bound"), 0, &stream));
  ::close(silent);
  EXPECT_STATUS(IPC_INVALID_NAME, connect("", 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, connect(directory_.file("none"), -2, &stream));
  EXPECT_EQ(nullptr, stream);
}

TEST_F(LocalTest, ListenSaysWhatIsInTheWay) {
  ipc_listener *listener;
  for (const uint32_t flags : {0u, static_cast<uint32_t>(IPC_LISTEN_RECLAIM)}) {
    const std::string regular = directory_.file("regular");
    ::close(open(regular.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    EXPECT_STATUS(IPC_ALREADY_EXISTS, listen(regular, &listener, flags));
    EXPECT_TRUE(S_ISREG(stat_of(regular).st_mode));
    EXPECT_STATUS(IPC_ALREADY_EXISTS, listen(directory_.path(), &listener, flags));
    const std::string dangling = directory_.file("dangling");
    EXPECT_EQ(flags == 0 ? 0 : -1, symlink("nowhere", dangling.c_str()));
    EXPECT_STATUS(IPC_ALREADY_EXISTS, listen(dangling, &listener, flags));
    EXPECT_FALSE(exists(directory_.file("nowhere")));
    make_stale(directory_.file(flags != 0 ? "stale1" : "stale0"));
    const std::string link = directory_.file(flags != 0 ? "link1" : "link0");
    EXPECT_EQ(0, symlink(flags != 0 ? "stale1" : "stale0", link.c_str()));
    EXPECT_STATUS(IPC_ALREADY_EXISTS, listen(link, &listener, flags));
    EXPECT_TRUE(exists(directory_.file(flags != 0 ? "stale1" : "stale0"))) << "a link was followed";
    EXPECT_STATUS(IPC_NOT_FOUND, listen(directory_.file("no/where"), &listener, flags));
    EXPECT_STATUS(IPC_NOT_FOUND, listen(regular + "/x", &listener, flags));
    EXPECT_EQ(nullptr, listener);
  }
  EXPECT_STATUS(IPC_IN_USE, listen(directory_.file("stale0"), &listener));
}

TEST_F(LocalTest, ReclaimTakesAStaleNameAndNoLiveOne) {
  const std::string path = directory_.file("s");
  make_stale(path);
  ipc_listener *listener = nullptr;
  ipc_listener *second = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener, IPC_LISTEN_RECLAIM | IPC_LISTEN_MODE, 0640));
  EXPECT_EQ(0640u, stat_of(path).st_mode & 0777u);
  const ino_t inode = stat_of(path).st_ino;
  EXPECT_STATUS(IPC_IN_USE, listen(path, &second, IPC_LISTEN_RECLAIM));
  EXPECT_EQ(inode, stat_of(path).st_ino);
  ipc_stream *stream = nullptr;
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener, 0, &stream)) << "the probe made a connection";
  EXPECT_STATUS(IPC_OK, connect(path, 0, &stream));
  ipc_stream_free(stream);
  ipc_listener_free(listener);
  EXPECT_FALSE(exists(path));
}

TEST_F(LocalTest, ReclaimSparesEverySocketThatIsBound) {
  ipc_listener *listener;
  for (const int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
    const std::string path = directory_.file("t" + std::to_string(type));
    const int fd = bound(path, type);
    EXPECT_STATUS(IPC_IN_USE, listen(path, &listener, IPC_LISTEN_RECLAIM)) << type;
    EXPECT_TRUE(exists(path));
    ::close(fd);
    EXPECT_STATUS(IPC_OK, listen(path, &listener, IPC_LISTEN_RECLAIM)) << type;
    ipc_listener_free(listener);
  }
}

TEST_F(LocalTest, ReclaimYieldsToAnotherInTheDirectory) {
  const std::string path = directory_.file("s");
  make_stale(path);
  const int lock = open(directory_.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ASSERT_EQ(0, flock(lock, LOCK_EX | LOCK_NB));
  ipc_listener *listener = nullptr;
  EXPECT_STATUS(IPC_BUSY, listen(path, &listener, IPC_LISTEN_RECLAIM));
  EXPECT_TRUE(exists(path));
  EXPECT_STATUS(IPC_OK, listen(directory_.file("fresh"), &listener, IPC_LISTEN_RECLAIM))
      << "a fresh name needs no lock";
  ipc_listener_free(listener);
  ::close(lock);
  EXPECT_STATUS(IPC_OK, listen(path, &listener, IPC_LISTEN_RECLAIM));
  ipc_listener_free(listener);
}

TEST_F(LocalTest, ReclaimWorksThroughALinkToTheDirectory) {
  const std::string link = directory_.file("link");
  ASSERT_EQ(0, symlink(".", link.c_str()));
  make_stale(directory_.file("s"));
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(link + "/s", &listener, IPC_LISTEN_RECLAIM));
  ipc_listener_free(listener);
  EXPECT_FALSE(exists(directory_.file("s")));
}

// Of any number that reclaim one name at once exactly one gets it, and nobody's listener is lost.
TEST_F(LocalTest, ConcurrentReclaimersEndWithOneListener) {
  const std::string path = directory_.file("s");
  for (int round = 0; round < 200; round++) {
    make_stale(path);
    std::atomic<int> ready{0};
    ipc_listener *got[4] = {};
    {
      std::vector<std::thread> threads;
      for (auto &slot : got) {
        threads.emplace_back([&, this] {
          ready++;
          while (ready != 4) sched_yield();
          for (;;) {
            const ipc_status status = listen(path, &slot, IPC_LISTEN_RECLAIM);
            if (status.code == IPC_BUSY) continue;
            EXPECT_TRUE(status.code == IPC_OK || status.code == IPC_IN_USE) << status.code << " " << status.native;
            return;
          }
        });
      }
      for (auto &thread : threads) thread.join();
    }
    int winners = 0;
    for (auto *listener : got) {
      if (listener == nullptr) continue;
      winners++;
      ipc_stream *client = nullptr;
      ipc_stream *server = nullptr;
      EXPECT_STATUS(IPC_OK, connect(path, 0, &client));
      EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener, 0, &server)) << "the name leads elsewhere";
      ipc_stream_free(client);
      ipc_stream_free(server);
      ipc_listener_free(listener);
    }
    ASSERT_EQ(1, winners);
    ASSERT_FALSE(exists(path));
  }
}

TEST_F(LocalTest, ConnectTimesOutWhenTheBacklogIsFullAndNotEarlier) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener, 0, 0, 1));
  std::vector<ipc_stream *> queued;
  ipc_stream *stream = nullptr;
  ipc_status status;
  while ((status = connect(path, 0, &stream)).code == IPC_OK) queued.push_back(stream);
  EXPECT_EQ(IPC_TIMED_OUT, status.code);
  EXPECT_FALSE(queued.empty());
  for (const int timeout_ms : {1, 30, 101}) {
    const auto start = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, connect(path, timeout_ms, &stream));
    EXPECT_GE(Clock::now() - start, milliseconds(timeout_ms));
  }
  // Room made by an accept is taken by a connect that waits, with and without a timeout.
  for (const int64_t timeout_ms : {IPC_NO_TIMEOUT, int64_t{20000}}) {
    Worker worker([&] { EXPECT_STATUS(IPC_OK, connect(path, timeout_ms, &stream)); });
    EXPECT_TRUE(worker.wait_until_in(SYS_connect));
    ipc_stream *accepted = nullptr;
    EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener, 0, &accepted));
    worker.join();
    queued.push_back(accepted);
    queued.push_back(stream);
    timeval left{9, 9};
    socklen_t len = sizeof left;
    EXPECT_EQ(0, getsockopt(raw_fd(stream), SOL_SOCKET, SO_SNDTIMEO, &left, &len));
    EXPECT_EQ(0, left.tv_sec + left.tv_usec) << "the connect's timeout stayed on the stream";
    EXPECT_EQ(0, fcntl(raw_fd(stream), F_GETFL) & O_NONBLOCK);
  }
  for (auto *each : queued) ipc_stream_free(each);
  ipc_listener_free(listener);
}

TEST_F(LocalTest, SignalsDoNotProlongAConnect) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener, 0, 0, 1));
  std::vector<ipc_stream *> queued;
  ipc_stream *stream = nullptr;
  while (connect(path, 0, &stream).code == IPC_OK) queued.push_back(stream);
  struct sigaction action{}, saved{};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR2, &action, &saved);
  const auto start = Clock::now();
  {
    Worker worker([&] { EXPECT_STATUS(IPC_TIMED_OUT, connect(path, 100, &stream)); });
    while (!worker.done()) {
      if (worker.tid() != 0) syscall(SYS_tgkill, getpid(), worker.tid(), SIGUSR2);
      sched_yield();
    }
  }
  EXPECT_GE(Clock::now() - start, milliseconds(100));
  EXPECT_LT(Clock::now() - start, kDeadline);
  sigaction(SIGUSR2, &saved, nullptr);
  for (auto *each : queued) ipc_stream_free(each);
  ipc_listener_free(listener);
}

TEST_F(LocalTest, AcceptTimesOutAndNotEarlier) {
  ipc_listener *listener = nullptr;
  ipc_stream *stream = nullptr;
  ASSERT_STATUS(IPC_OK, listen(directory_.file("s"), &listener));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener, 0, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_accept(listener, -2, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_accept(listener, 0, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_accept(nullptr, 0, &stream));
  for (const int timeout_ms : {1, 40}) {
    const auto start = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener, timeout_ms, &stream));
    EXPECT_GE(Clock::now() - start, milliseconds(timeout_ms));
  }
#ifndef IPC_WITHOUT_NONBLOCKING
  EXPECT_STATUS(IPC_OK, ipc_listener_set_nonblocking(listener, true));
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_listener_accept(listener, IPC_NO_TIMEOUT, &stream));
  EXPECT_STATUS(IPC_OK, ipc_listener_set_nonblocking(listener, false));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener, 0, &stream));
#endif
  ipc_listener_free(listener);
}

TEST_F(LocalTest, CloseEndsEveryAcceptThatWaits) {
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(directory_.file("s"), &listener));
  const auto accept = [&] {
    ipc_stream *stream = nullptr;
    EXPECT_STATUS(IPC_CANCELLED, ipc_listener_accept(listener, IPC_NO_TIMEOUT, &stream));
    EXPECT_EQ(nullptr, stream);
  };
  Worker first(accept), second(accept);
  EXPECT_TRUE(first.wait_until_polling());
  EXPECT_TRUE(second.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
  first.join();
  second.join();
  ipc_listener_free(listener);
}

TEST_F(LocalTest, CloseMayBeFollowedByFreeAtOnce) {
  for (int round = 0; round < 300; round++) {
    ipc_listener *listener = nullptr;
    ASSERT_STATUS(IPC_OK, listen(directory_.file("s"), &listener));
    std::atomic<bool> inside{false};
    std::thread thread([&] {
      ipc_stream *stream = nullptr;
      inside = true;
      const ipc_status status = ipc_listener_accept(listener, 20000, &stream);
      EXPECT_TRUE(status.code == IPC_CANCELLED || status.code == IPC_CLOSED) << status.code;
    });
    while (!inside) sched_yield();
    EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
    thread.join();
    ipc_listener_free(listener);
  }
}

TEST_F(LocalTest, AcceptedStreamIsPlain) {
  const std::string path = directory_.file("s");
  Pair pair(path);
  EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(pair.server), F_GETFD));
  EXPECT_EQ(FD_CLOEXEC, fcntl(raw_fd(pair.client), F_GETFD));
  EXPECT_EQ(0, fcntl(raw_fd(pair.server), F_GETFL) & O_NONBLOCK);
  EXPECT_EQ(0, fcntl(raw_fd(pair.client), F_GETFL) & O_NONBLOCK);
  ipc_credentials credentials{};
  for (auto *stream : {pair.server, pair.client}) {
    EXPECT_STATUS(IPC_OK, ipc_stream_peer_credentials(stream, &credentials));
    EXPECT_EQ(7u, credentials.fields);
    EXPECT_EQ(static_cast<uint64_t>(getpid()), credentials.pid);
    EXPECT_EQ(geteuid(), credentials.uid);
    EXPECT_EQ(getegid(), credentials.gid);
  }
  // A listener's close leaves its streams alone.
  EXPECT_STATUS(IPC_OK, ipc_listener_close(pair.listener));
  size_t len;
  char data[4];
  EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, "abc", 3, 0, &len));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(pair.server, data, 4, 0, &len));
  EXPECT_EQ(3u, len);
}

TEST_F(LocalTest, ConnectionsNeverAcceptedEndForTheirClients) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ipc_stream *client = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener));
  ASSERT_STATUS(IPC_OK, connect(path, 0, &client));
  ipc_listener_free(listener);
  char byte;
  size_t len;
  const ipc_status status = ipc_stream_read(client, &byte, 1, 20000, &len);
  EXPECT_TRUE(status.code == IPC_RESET || status.code == IPC_END) << status.code;
  EXPECT_STATUS(IPC_END, ipc_stream_read(client, &byte, 1, 20000, &len));
  ipc_stream_free(client);
}

TEST_F(LocalTest, OutOfDescriptorsLosesNoConnection) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ipc_stream *client = nullptr;
  ipc_stream *server = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener));
  ASSERT_STATUS(IPC_OK, connect(path, 0, &client));
  {
    DescriptorLimit limit(0);
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, ipc_listener_accept(listener, 0, &server));
    ipc_stream *other = nullptr;
    ipc_listener *another = nullptr;
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, connect(path, 0, &other));
    EXPECT_STATUS(IPC_OUT_OF_RESOURCES, listen(directory_.file("t"), &another));
    EXPECT_FALSE(exists(directory_.file("t")));
    EXPECT_EQ(nullptr, other);
    EXPECT_EQ(nullptr, another);
  }
  EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener, 0, &server));
  ipc_stream_free(server);
  ipc_stream_free(client);
  make_stale(directory_.file("stale"));
  for (int spare = 0; spare <= 4; spare++) {
    // The socket, the directory, its lock, the probe: each may be the one too many, and the stale file stays.
    DescriptorLimit limit(spare);
    ipc_listener *another = nullptr;
    EXPECT_TRUE(exists(directory_.file("stale")));
    EXPECT_STATUS(spare < 4 ? IPC_OUT_OF_RESOURCES : IPC_OK,
                  listen(directory_.file("stale"), &another, IPC_LISTEN_RECLAIM));
    ipc_listener_free(another);
  }
  ipc_listener_free(listener);
}

TEST_F(LocalTest, ReleasedListenerIsOpenBlockingAndKeepsItsFile) {
  const std::string path = directory_.file("s");
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, listen(path, &listener));
  ipc_raw raw{};
  ASSERT_STATUS(IPC_OK, ipc_listener_release(listener, &raw));
  EXPECT_STATUS(IPC_CLOSED, ipc_listener_close(listener));
  ipc_listener_free(listener);
  EXPECT_TRUE(exists(path));
  const int fd = static_cast<int>(raw.value);
  EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);

  // Adopted, it waits, times out and is cancelled like any other, and its mode stays what it is.
  ASSERT_EQ(0, fcntl(fd, F_SETFD, 0));
  ASSERT_STATUS(IPC_OK, ipc_listener_adopt(&raw, &listener));
  EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
  ipc_stream *stream = nullptr;
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_listener_accept(listener, 5, &stream));
  ipc_stream *client = nullptr;
  ASSERT_STATUS(IPC_OK, connect(path, 0, &client));
  EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener, 0, &stream));
  ipc_stream_free(stream);
  ipc_stream_free(client);
  {
    Worker worker([&] { EXPECT_STATUS(IPC_CANCELLED, ipc_listener_accept(listener, IPC_NO_TIMEOUT, &stream)); });
    EXPECT_TRUE(worker.wait_until_polling());
    EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
    EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
  }
  ipc_listener_free(listener);
  EXPECT_TRUE(exists(path)) << "an adopted name is not the library's to remove";
}

TEST_F(LocalTest, AdoptedListenerIsSharedByThreads) {
  const std::string path = directory_.file("s");
  const int fd = bound(path, SOCK_STREAM);
  ASSERT_EQ(0, ::listen(fd, 8));
  const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(fd)};
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_listener_adopt(&raw, &listener));
  std::atomic<int> accepted{0};
  const auto accept = [&] {
    ipc_stream *stream = nullptr;
    while (ipc_listener_accept(listener, IPC_NO_TIMEOUT, &stream).code == IPC_OK) {
      accepted++;
      ipc_stream_free(stream);
    }
  };
  std::thread first(accept), second(accept), third(accept);
  for (int i = 1; i <= 200; i++) {
    ipc_stream *client = nullptr;
    EXPECT_STATUS(IPC_OK, connect(path, 20000, &client));
    char byte;
    size_t len;
    EXPECT_STATUS(IPC_END, ipc_stream_read(client, &byte, 1, 20000, &len));
    ipc_stream_free(client);
  }
  EXPECT_STATUS(IPC_OK, ipc_listener_close(listener));
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(200, accepted);
  ipc_listener_free(listener);
}

TEST_F(LocalTest, AdoptRefusesWhatIsNoListenerAndLeavesIt) {
  ipc_listener *listener = nullptr;
  ipc_stream *stream = nullptr;
  int both[2], datagrams[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, both));
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams));
  const int fresh = socket(AF_UNIX, SOCK_STREAM, 0);
  const int inet = socket(AF_INET, SOCK_STREAM, 0);
  const int file = open("/dev/null", O_RDONLY);
  const int listening = bound(directory_.file("s"), SOCK_STREAM);
  fcntl(listening, F_SETFD, 0);
  ASSERT_EQ(0, ::listen(listening, 1));
  const auto adopt = [&](int fd, bool listener_too) {
    const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(fd)};
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&raw, &stream)) << fd;
    if (listener_too) {
      EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(&raw, &listener)) << fd;
    }
    EXPECT_EQ(nullptr, stream);
    EXPECT_EQ(0, fcntl(fd, F_GETFD)) << "touched";
  };
  for (const int fd : {datagrams[0], fresh, inet, file}) adopt(fd, true);
  adopt(listening, false);
  const ipc_raw connected{IPC_RAW_FD, static_cast<uint64_t>(both[0])};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(&connected, &listener));
  EXPECT_EQ(0, fcntl(both[0], F_GETFD));
  for (const ipc_raw raw :
       {ipc_raw{IPC_RAW_FD, 99999}, ipc_raw{IPC_RAW_FD, UINT64_MAX}, ipc_raw{IPC_RAW_FD, 1ull << 32 | 1},
        ipc_raw{IPC_RAW_HANDLE, connected.value}, ipc_raw{0, connected.value}}) {
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&raw, &stream));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_listener_adopt(&raw, &listener));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(nullptr, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&connected, nullptr));
  for (const int fd : {both[0], both[1], datagrams[0], datagrams[1], fresh, inet, file, listening})
    EXPECT_EQ(0, ::close(fd));
}

TEST_F(LocalTest, AdoptedListenerSaysItsAddressToTheByte) {
  ipc_listener *listener = nullptr;
  char native[200];
  size_t len;
  const std::string with_nuls = "\0ipc-ref\0"s + std::to_string(getpid()) + "\0"s;
  std::string unterminated = directory_.path() + "/";
  unterminated.resize(108, 'y');
  for (const std::string &bytes : {with_nuls, unterminated}) {
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, bytes.data(), bytes.size());
    const auto address_len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + bytes.size());
    ASSERT_EQ(0, bind(fd, reinterpret_cast<sockaddr *>(&address), address_len));
    ASSERT_EQ(0, ::listen(fd, 1));
    const ipc_raw raw{IPC_RAW_FD, static_cast<uint64_t>(fd)};
    ASSERT_STATUS(IPC_OK, ipc_listener_adopt(&raw, &listener));
    EXPECT_STATUS(IPC_OK, ipc_listener_native(listener, native, sizeof native, &len));
    EXPECT_EQ(bytes, std::string(native, len));
    ipc_stream *stream = nullptr;
    EXPECT_STATUS(bytes.size() < 108 ? IPC_OK : IPC_NAME_TOO_LONG, connect(bytes, 0, &stream, IPC_NAME_NATIVE));
    ipc_stream_free(stream);
    ipc_listener_free(listener);
  }
}

}  // namespace
}  // namespace ref_tests
