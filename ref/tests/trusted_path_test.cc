// Paths with symbolic links that somebody else could change: refused wherever a name is made or removed.
#include "ref/posix/trusted_path.h"

#include "ref/tests/support.h"

namespace ref_tests {
namespace {

constexpr uid_t kForeignUser = 65534;

class TrustedPathTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    ASSERT_EQ(0, mkdir(real_.c_str(), 0700));
    ASSERT_EQ(0, symlink(real_.c_str(), link_.c_str()));
  }
  void TearDown() override {
    chmod(directory_.path().c_str(), 0700);
    DescriptorTest::TearDown();
  }
  // The errno of each way to ask about |path|; they agree for links before the last name.
  int asked(const std::string &path) {
    ipc_place place;
    const int error = ipc_place_open(path.c_str(), &place);
    if (error == 0) ipc_place_close(&place);
    return error;
  }
  TempDir directory_;
  const std::string real_ = directory_.file("real"), link_ = directory_.file("link");
};

TEST_F(TrustedPathTest, OwnLinksAreFollowed) {
  EXPECT_EQ(0, asked(real_ + "/s"));
  EXPECT_EQ(0, asked(link_ + "/s"));
  EXPECT_EQ(0, asked(link_ + "/../link//./s"));
  EXPECT_EQ(0, asked("relative"));
  EXPECT_EQ(0, asked("/"));
  EXPECT_EQ(0, asked(""));
  EXPECT_EQ(ENOENT, asked(directory_.file("none/s")));
  EXPECT_EQ(ENAMETOOLONG, asked("/" + std::string(5000, 'x')));
  EXPECT_EQ(ENAMETOOLONG, asked("/tmp/" + std::string(300, 'x') + "/s"));
  const int fd = ::open(directory_.file("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ::close(fd);
  EXPECT_EQ(ENOTDIR, asked(directory_.file("file/s")));
}

TEST_F(TrustedPathTest, PlaceIsWhereTheLinkLeads) {
  ipc_place place;
  const std::string path = link_ + "/name";
  ASSERT_EQ(0, ipc_place_open(path.c_str(), &place));
  EXPECT_STREQ("name", place.name);
  ASSERT_EQ(0, mkdirat(place.directory, place.name, 0700));
  struct stat found{};
  EXPECT_EQ(0, lstat((real_ + "/name").c_str(), &found));
  EXPECT_EQ(0, rmdir((real_ + "/name").c_str()));
  ipc_place_close(&place);
}

TEST_F(TrustedPathTest, LoopsEnd) {
  ASSERT_EQ(0, symlink("b", directory_.file("a").c_str()));
  ASSERT_EQ(0, symlink("a", directory_.file("b").c_str()));
  EXPECT_EQ(ELOOP, asked(directory_.file("a/s")));
  EXPECT_EQ(ELOOP, ipc_trusted_path_check(directory_.file("a").c_str()));
}

TEST_F(TrustedPathTest, LinkInADirectoryOpenToOthersIsDenied) {
  const struct {
    mode_t mode;
    int expected;
  } directories[] = {{0700, 0}, {0755, 0}, {0770, EACCES}, {0707, EACCES}, {0777, EACCES}, {01777, 0}, {01770, 0}};
  for (const auto &directory : directories) {
    ASSERT_EQ(0, chmod(directory_.path().c_str(), directory.mode));
    EXPECT_EQ(directory.expected, asked(link_ + "/s")) << std::oct << directory.mode;
    EXPECT_EQ(directory.expected, ipc_trusted_path_check(link_.c_str())) << std::oct << directory.mode;
    EXPECT_EQ(0, asked(real_ + "/s")) << std::oct << directory.mode;
    EXPECT_EQ(0, asked(link_)) << "the last name is not followed";
  }
}

TEST_F(TrustedPathTest, LinkOfAnotherUserIsDenied) {
  if (geteuid() != 0) GTEST_SKIP() << "NOT RUN: only root can give a link away";
  ASSERT_EQ(0, lchown(link_.c_str(), kForeignUser, kForeignUser));
  EXPECT_EQ(EACCES, asked(link_ + "/s"));
  EXPECT_EQ(EACCES, ipc_trusted_path_check(link_.c_str()));
  ASSERT_EQ(0, lchown(link_.c_str(), 0, 0));
  ASSERT_EQ(0, chown(directory_.path().c_str(), kForeignUser, kForeignUser));
  EXPECT_EQ(EACCES, asked(link_ + "/s"));
  ASSERT_EQ(0, seteuid(kForeignUser));
  EXPECT_EQ(0, asked(link_)) << "root's link in this user's directory";
  EXPECT_EQ(0, ipc_trusted_path_check(link_.c_str()));
  ASSERT_EQ(0, seteuid(0));
  ASSERT_EQ(0, chown(directory_.path().c_str(), 0, 0));
}

TEST_F(TrustedPathTest, NothingIsMadeOrRemovedThroughSuchALink) {
  const std::string in_real = real_ + "/f", through = link_ + "/f", socket_through = link_ + "/s";
  ASSERT_STATUS(IPC_OK, ipc_fifo_create(in_real.data(), in_real.size(), 0600));
  const std::string to_fifo = directory_.file("to_fifo");
  ASSERT_EQ(0, symlink(in_real.c_str(), to_fifo.c_str()));
  ASSERT_EQ(0, chmod(directory_.path().c_str(), 0777));
  EXPECT_STATUS(IPC_PERMISSION_DENIED, ipc_fifo_create(through.data(), through.size(), 0600));
  EXPECT_STATUS(IPC_PERMISSION_DENIED, ipc_fifo_remove(through.data(), through.size()));
  ipc_stream *stream = nullptr;
  for (const std::string &path : {through, to_fifo}) {
    EXPECT_STATUS(IPC_PERMISSION_DENIED,
                  ipc_fifo_open(path.data(), path.size(), IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, &stream));
  }
  const ipc_name name = name_of(IPC_NAME_PATH, socket_through);
  ipc_listener *listener = nullptr;
  ipc_socket *socket = nullptr;
  EXPECT_STATUS(IPC_PERMISSION_DENIED, ipc_local_listen(&name, nullptr, &listener));
  EXPECT_STATUS(IPC_PERMISSION_DENIED, ipc_socket_bind(&name, nullptr, &socket));
  ASSERT_EQ(0, chmod(directory_.path().c_str(), 0700));
  ASSERT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
  // A link that has become untrusted meanwhile: the file stays rather than another be removed.
  ASSERT_EQ(0, chmod(directory_.path().c_str(), 0777));
  EXPECT_STATUS(IPC_OK, ipc_listener_free(listener));
  struct stat found{};
  EXPECT_EQ(0, unlink((real_ + "/s").c_str()));
  EXPECT_EQ(0, lstat(in_real.c_str(), &found));
  EXPECT_EQ(0, unlink(in_real.c_str()));
}

}  // namespace
}  // namespace ref_tests
