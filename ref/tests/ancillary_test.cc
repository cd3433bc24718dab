// Control buffers as pure functions, and descriptors and credentials beside the bytes of streams.
//
// The test's own recvmsg and sendmsg stand in front of the C library's: they count, and can play a system that does not
// know MSG_CMSG_CLOEXEC, or one that leaves the length of a control message as it was when it cuts it.
#include <dlfcn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cstring>
#include <memory>
#include <random>

#include "ref/tests/support.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

namespace {

enum class System { kReal, kIgnoresFlag, kRefusesFlag, kKeepsLength };
std::atomic<System> played{System::kReal};
std::atomic<int> num_receives{0};
std::atomic<int> num_sends{0};
std::atomic<int> last_flags{0};  // of a receive

}  // namespace

extern "C" ssize_t recvmsg(int fd, msghdr *message, int flags) {
  static const auto real = reinterpret_cast<ssize_t (*)(int, msghdr *, int)>(dlsym(RTLD_NEXT, "recvmsg"));
  num_receives++;
  last_flags = flags;
  if (played == System::kRefusesFlag && (flags & MSG_CMSG_CLOEXEC) != 0) {
    errno = EINVAL;
    return -1;
  }
  if (played == System::kIgnoresFlag) flags &= ~MSG_CMSG_CLOEXEC;
  const ssize_t n = real(fd, message, flags);
  if (played == System::kKeepsLength && n > 0 && (message->msg_flags & MSG_CTRUNC) != 0) {
    cmsghdr *header = CMSG_FIRSTHDR(message);
    if (header != nullptr) header->cmsg_len += 400;
  }
  return n;
}

extern "C" ssize_t sendmsg(int fd, const msghdr *message, int flags) {
  static const auto real = reinterpret_cast<ssize_t (*)(int, const msghdr *, int)>(dlsym(RTLD_NEXT, "sendmsg"));
  num_sends++;
  return real(fd, message, flags);
}

namespace ref_tests {
namespace {

constexpr size_t kMost = IPC_ANCILLARY_DESCRIPTORS_MAX;
constexpr uid_t kOther = 48213;  // a user of nobody else on the machine

// What |body| answers in a child process, which ends with it.
int in_child(const std::function<int()> &body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int ended = 0;
  EXPECT_EQ(child, waitpid(child, &ended, 0));
  return WIFEXITED(ended) ? WEXITSTATUS(ended) : 1000;
}

// Whether this process may become another user: it is root, and in no namespace (a sandbox) that has root alone.
bool may_become_other() {
  return geteuid() == 0 && in_child([] { return setgid(kOther) == 0 && setuid(kOther) == 0 ? 0 : 1; }) == 0;
}

// What is to be sent.
ipc_ancillary sent(std::vector<int32_t> *descriptors) {
  ipc_ancillary ancillary{};
  ancillary.size = sizeof ancillary;
  ancillary.descriptors = descriptors->data();
  ancillary.num_descriptors = descriptors->size();
  return ancillary;
}

ipc_ancillary claim(uint32_t fields = 0, uint64_t pid = 0, uint32_t uid = 0, uint32_t gid = 0) {
  ipc_ancillary ancillary{};
  ancillary.size = sizeof ancillary;
  ancillary.fields = IPC_ANCILLARY_CREDENTIALS;
  ancillary.credentials.fields = fields;
  ancillary.credentials.pid = pid;
  ancillary.credentials.uid = uid;
  ancillary.credentials.gid = gid;
  return ancillary;
}

// Room that holds on to what came, and closes it.
struct Room {
  explicit Room(size_t max) : descriptors(max) {
    value.size = sizeof value;
    value.descriptors = descriptors.data();
    value.descriptors_max = max;
    value.fields = 0xffffffff;  // the call sets it, whatever it was
    value.num_descriptors = 12345;
  }
  ~Room() { close_all(); }
  Room(const Room &) = delete;
  Room &operator=(const Room &) = delete;
  size_t num() const { return value.num_descriptors; }
  bool cut() const { return (value.fields & IPC_ANCILLARY_CUT) != 0; }
  bool credentials() const { return (value.fields & IPC_ANCILLARY_CREDENTIALS) != 0; }
  bool empty() const { return value.fields == 0 && value.num_descriptors == 0 && value.credentials.fields == 0; }
  void close_all() {
    for (size_t i = 0; owns && i < value.num_descriptors && i < descriptors.size(); i++) ::close(descriptors[i]);
    value.num_descriptors = 0;
  }
  bool owns = true;
  std::vector<int32_t> descriptors;
  ipc_ancillary value{};
};

// The numbers in a buffer are nobody's descriptors.
struct Numbers : Room {
  explicit Numbers(size_t max) : Room(max) { owns = false; }
  std::vector<int32_t> list() const { return {descriptors.begin(), descriptors.begin() + static_cast<long>(num())}; }
};

// --------------------------------------------------------------------------------------------- pure functions

// The buffer as the macros make it.
std::string golden(const std::vector<int32_t> &descriptors, const ucred *credentials) {
  const size_t bytes = descriptors.size() * sizeof(int32_t);
  std::string control((bytes != 0 ? CMSG_SPACE(bytes) : 0) + (credentials != nullptr ? CMSG_SPACE(sizeof(ucred)) : 0),
                      '\0');
  msghdr message{};
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (bytes != 0) {
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(header), descriptors.data(), bytes);
    header = CMSG_NXTHDR(&message, header);
  }
  if (credentials != nullptr) {
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof(ucred));
    memcpy(CMSG_DATA(header), credentials, sizeof(ucred));
  }
  return control;
}

std::vector<int32_t> count_up(size_t num) {
  std::vector<int32_t> numbers(num);
  for (size_t i = 0; i < num; i++) numbers[i] = static_cast<int32_t>(i * 7 + 3);
  return numbers;
}

TEST(AncillaryEncode, IsWhatTheMacrosMakeInEverySizeOfBuffer) {
  const ucred credentials{4711, 1000, 100};
  for (const size_t num : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, kMost}) {
    for (const bool with_credentials : {false, true}) {
      std::vector<int32_t> numbers = count_up(num);
      ipc_ancillary ancillary = sent(&numbers);
      if (with_credentials) {
        ancillary.fields = IPC_ANCILLARY_CREDENTIALS;
        ancillary.credentials = {7, 1000, 100, 4711};
      }
      const std::string wanted = golden(numbers, with_credentials ? &credentials : nullptr);
      for (size_t max = 0; max <= wanted.size() + 9; max++) {
        std::string control(wanted.size() + 9, '\xaa');
        size_t len = 99999;
        const bool fits = max >= wanted.size();
        ASSERT_STATUS(fits ? IPC_OK : IPC_MESSAGE_TRUNCATED,
                      ipc_ancillary_encode(&ancillary, control.data(), max, &len));
        ASSERT_EQ(wanted.size(), len);
        const size_t written = fits ? wanted.size() : 0;
        ASSERT_EQ(wanted.substr(0, written) + std::string(control.size() - written, '\xaa'), control);
      }
    }
  }
}

TEST(AncillaryEncode, GivesTheOwnCredentials) {
  const ucred own{getpid(), geteuid(), getegid()};
  ipc_ancillary ancillary = claim();
  std::string control(512, '\0');
  size_t len = 0;
  ASSERT_STATUS(IPC_OK, ipc_ancillary_encode(&ancillary, control.data(), control.size(), &len));
  EXPECT_EQ(golden({}, &own), control.substr(0, len));
}

TEST(AncillaryEncode, RefusesWhatCannotBe) {
  char control[2048];
  size_t len = 1;
  std::vector<int32_t> numbers = count_up(kMost + 1);
  const auto encode = [&](const ipc_ancillary &ancillary) {
    len = 1;
    const ipc_status status = ipc_ancillary_encode(&ancillary, control, sizeof control, &len);
    EXPECT_EQ(0u, status.code == IPC_OK ? 0u : len);
    return status;
  };
  ipc_ancillary ancillary = sent(&numbers);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, encode(ancillary));
  ancillary.num_descriptors = kMost;
  EXPECT_STATUS(IPC_OK, encode(ancillary));
  numbers[kMost - 1] = -1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, encode(ancillary));
  ancillary.num_descriptors = 1;
  EXPECT_STATUS(IPC_OK, encode(ancillary));
  ancillary.descriptors = nullptr;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, encode(ancillary));
  ancillary.num_descriptors = 0;
  EXPECT_STATUS(IPC_OK, encode(ancillary));
  for (const uint32_t fields : {uint32_t{IPC_ANCILLARY_CUT}, 4u, 0x80000000u}) {
    ancillary.fields = fields;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, encode(ancillary));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, encode(claim(8)));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, encode(claim(IPC_CREDENTIALS_PID, uint64_t{1} << 31)));
  EXPECT_STATUS(IPC_OK, encode(claim(IPC_CREDENTIALS_UID, uint64_t{1} << 31)));
  EXPECT_STATUS(IPC_OK, encode(claim(IPC_CREDENTIALS_PID, INT32_MAX)));
  ancillary = claim();
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_encode(nullptr, control, sizeof control, &len));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_encode(&ancillary, nullptr, 0, &len));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_encode(&ancillary, control, sizeof control, nullptr));
}

// A structure of a later version: what this one does not know must be zero.
TEST(AncillaryEncode, TakesALongerStructureThatAsksForNothingNew) {
  struct Longer {
    ipc_ancillary known;
    uint64_t more;
  } longer{};
  longer.known = claim();
  char control[256];
  size_t len = 0;
  longer.known.size = sizeof longer;
  EXPECT_STATUS(IPC_OK, ipc_ancillary_encode(&longer.known, control, sizeof control, &len));
  longer.more = 1;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_encode(&longer.known, control, sizeof control, &len));
  for (const uint32_t size : {uint32_t{0}, static_cast<uint32_t>(sizeof(ipc_ancillary)) - 1, UINT32_MAX}) {
    longer.known.size = size;
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_encode(&longer.known, control, sizeof control, &len));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_decode(control, 0, &longer.known));
  }
}

TEST(AncillaryDecode, IsSafeForEveryLengthAtEveryAlignment) {
  const ucred credentials{4711, 1000, 100};
  const std::vector<int32_t> all = {3, 4, 5, 6, 7};
  const std::string whole = golden({3, 4, 5}, &credentials) + golden({6, 7}, nullptr);
  for (size_t shift = 0; shift < 8; shift++) {
    for (size_t len = 0; len <= whole.size(); len++) {
      // Exactly so many bytes: a sanitizer sees a read beyond them.
      const std::unique_ptr<char[]> bytes(new char[shift + len]);
      memcpy(bytes.get() + shift, whole.data(), len);
      Numbers room(8);
      const ipc_status status = ipc_ancillary_decode(bytes.get() + shift, len, &room.value);
      ASSERT_TRUE(status.code == IPC_OK || status.code == IPC_MALFORMED) << len;
      const std::vector<int32_t> came = room.list();
      ASSERT_EQ(std::vector<int32_t>(all.begin(), all.begin() + static_cast<long>(came.size())), came) << len;
      ASSERT_FALSE(room.cut());
      ASSERT_EQ(len >= CMSG_SPACE(12) + CMSG_LEN(sizeof(ucred)), room.credentials()) << len;
    }
  }
  Numbers room(8);
  EXPECT_STATUS(IPC_OK, ipc_ancillary_decode(whole.data(), whole.size(), &room.value));
  EXPECT_EQ(all, room.list());
  EXPECT_EQ(4711u, room.value.credentials.pid);
  EXPECT_EQ(1000u, room.value.credentials.uid);
  EXPECT_EQ(100u, room.value.credentials.gid);
  EXPECT_EQ(7u, room.value.credentials.fields);
}

TEST(AncillaryDecode, IsSafeForAnyBytes) {
  const ucred credentials{1, 2, 3};
  const std::string seed = golden({3, 4, 5}, &credentials) + golden({6, 7}, nullptr);
  std::mt19937 random(20250101);
  for (int round = 0; round < 100000; round++) {
    std::string bytes = seed.substr(0, random() % (seed.size() + 1));
    for (size_t changes = random() % 6; changes > 0 && !bytes.empty(); changes--) {
      // Mostly where the lengths are.
      const size_t at = random() % 2 != 0 ? random() % bytes.size() : (random() % bytes.size()) & ~size_t{7};
      bytes[at] = static_cast<char>(random());
    }
    const size_t max = random() % 5;
    std::unique_ptr<char[]> exact(new char[bytes.size()]);
    memcpy(exact.get(), bytes.data(), bytes.size());
    Numbers room(max);
    const ipc_status status = ipc_ancillary_decode(exact.get(), bytes.size(), &room.value);
    ASSERT_TRUE(status.code == IPC_OK || status.code == IPC_MALFORMED);
    ASSERT_LE(room.num(), max);
    for (const int32_t number : room.list()) ASSERT_GE(number, 0);
  }
}

TEST(AncillaryDecode, SaysWhatIsBroken) {
  const std::string good = golden({3, 4}, nullptr);
  const auto decode = [](std::string bytes, Numbers *room) {
    return ipc_ancillary_decode(bytes.data(), bytes.size(), &room->value);
  };
  for (const size_t length :
       {size_t{0}, size_t{15}, CMSG_LEN(1), CMSG_LEN(5), good.size() + 1, SIZE_MAX, SIZE_MAX - 7}) {
    std::string broken = good;
    memcpy(broken.data(), &length, sizeof length);
    Numbers alone(8), second(8);
    EXPECT_STATUS(IPC_MALFORMED, decode(broken, &alone));
    EXPECT_STATUS(IPC_MALFORMED, decode(good + broken, &second));
    EXPECT_LE(2u, second.num()) << "what came before it is told";
  }
  Numbers negative(8), short_credentials(8);
  EXPECT_STATUS(IPC_MALFORMED, decode(golden({3, -1, 4}, nullptr), &negative));
  EXPECT_EQ(std::vector<int32_t>{3}, negative.list());
  const ucred credentials{1, 2, 3};
  std::string cut = golden({}, &credentials);
  const size_t length = CMSG_LEN(8);
  memcpy(cut.data(), &length, sizeof length);
  EXPECT_STATUS(IPC_MALFORMED, decode(cut, &short_credentials));
  EXPECT_FALSE(short_credentials.credentials());
}

TEST(AncillaryDecode, LeavesOutWhatTheSystemDoesNotTell) {
  for (const pid_t pid : {0, -1}) {
    const ucred unknown{pid, 65534, 65534};
    const std::string control = golden({}, &unknown);
    Numbers room(0);
    ASSERT_STATUS(IPC_OK, ipc_ancillary_decode(control.data(), control.size(), &room.value));
    EXPECT_TRUE(room.credentials());
    EXPECT_EQ(static_cast<uint32_t>(IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID), room.value.credentials.fields);
    EXPECT_EQ(0u, room.value.credentials.pid);
  }
}

TEST(AncillaryDecode, PassesOverOtherLevelsAndKinds) {
  const std::string good = golden({3}, nullptr);
  for (const int level : {SOL_SOCKET, 0, 41}) {
    for (const int type : {int{SCM_RIGHTS}, int{SCM_CREDENTIALS}, 99}) {
      if (level == SOL_SOCKET && type != 99) continue;
      std::string other = golden({8, 9, 10}, nullptr);
      memcpy(other.data() + offsetof(cmsghdr, cmsg_level), &level, sizeof level);
      memcpy(other.data() + offsetof(cmsghdr, cmsg_type), &type, sizeof type);
      const std::string control = good + other + good;
      Numbers room(8);
      ASSERT_STATUS(IPC_OK, ipc_ancillary_decode(control.data(), control.size(), &room.value));
      EXPECT_EQ((std::vector<int32_t>{3, 3}), room.list());
      EXPECT_FALSE(room.credentials());
    }
  }
}

TEST(AncillaryDecode, ChecksItsArguments) {
  Numbers room(4);
  EXPECT_STATUS(IPC_OK, ipc_ancillary_decode(nullptr, 0, &room.value));
  EXPECT_TRUE(room.empty());
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_decode(nullptr, 1, &room.value));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_decode("x", 1, nullptr));
  room.value.descriptors = nullptr;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_decode("x", 1, &room.value));
  Numbers large(kMost + 1);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_ancillary_decode("x", 1, &large.value));
}

// ----------------------------------------------------------------------------------------------------- streams

class AncillaryTest : public DescriptorTest {
 protected:
  void SetUp() override {
    DescriptorTest::SetUp();
    pair_ = std::make_unique<Pair>(directory_.file("s"));
    null_ = open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  void TearDown() override {
    played = System::kReal;
    pair_.reset();
    ::close(null_);
    DescriptorTest::TearDown();
  }
  ipc_status pass(std::vector<int32_t> descriptors, const std::string &data = "x", int64_t timeout_ms = 0) {
    const ipc_ancillary ancillary = sent(&descriptors);
    return ipc_stream_write_ancillary(pair_->client, data.data(), data.size(), &ancillary, timeout_ms, &len_);
  }
  ipc_status pass_claim(const ipc_ancillary &ancillary) {
    return ipc_stream_write_ancillary(pair_->client, "c", 1, &ancillary, 0, &len_);
  }
  ipc_status take(Room *room, size_t max = sizeof(data_), int64_t timeout_ms = 0) {
    return ipc_stream_read_ancillary(pair_->server, data_, max, &room->value, timeout_ms, &len_);
  }
  // Sends |num| copies of one descriptor and takes them with |room|.
  void exchange(size_t num, Room *room) {
    ASSERT_STATUS(IPC_OK, pass(std::vector<int32_t>(num, null_)));
    ASSERT_STATUS(IPC_OK, take(room));
    ASSERT_EQ(1u, len_);
  }
  TempDir directory_;
  std::unique_ptr<Pair> pair_;
  int null_ = -1;
  char data_[64] = {};
  size_t len_ = 0;
};

TEST_F(AncillaryTest, EveryNumberOfDescriptorsUpToTheMostIsOneCallEach) {
  for (const size_t num : {size_t{0}, size_t{1}, size_t{2}, size_t{3}, kMost}) {
    const size_t before = open_descriptors().size();
    Room room(num);
    num_sends = 0;
    num_receives = 0;
    exchange(num, &room);
    EXPECT_EQ(1, num_sends);
    EXPECT_EQ(1, num_receives);
    EXPECT_NE(0, last_flags & MSG_CMSG_CLOEXEC) << "a fork in between would inherit them";
    EXPECT_EQ(num, room.num());
    EXPECT_FALSE(room.cut());
    EXPECT_FALSE(room.credentials());
    EXPECT_EQ(before + num, open_descriptors().size());
    for (size_t i = 0; i < num; i++) EXPECT_EQ(FD_CLOEXEC, fcntl(room.descriptors[i], F_GETFD));
  }
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, pass(std::vector<int32_t>(kMost + 1, null_)));
  EXPECT_EQ(0u, len_);
}

TEST_F(AncillaryTest, WhateverTheRoomNothingIsLeftOpen) {
  const std::set<int> before = open_descriptors();
  for (const size_t num : {size_t{1}, size_t{2}, size_t{20}, kMost}) {
    for (size_t max = 0; max <= num + 1 && max <= kMost; max += max < 22 ? 1 : 77) {
      Room room(max);
      exchange(num, &room);
      EXPECT_EQ(std::min(num, max), room.num());
      EXPECT_EQ(num > max, room.cut()) << num << " sent, room for " << max;
      room.close_all();
      ASSERT_EQ(before, open_descriptors()) << num << " sent, room for " << max;
    }
  }
}

TEST_F(AncillaryTest, WhenDescriptorsRunOutTheBytesAndTheFirstOnesCome) {
  for (int spare = 0; spare < 5; spare++) {
    Room room(5);
    ASSERT_STATUS(IPC_OK, pass(std::vector<int32_t>(5, null_)));
    ipc_status status;
    {
      const DescriptorLimit limit(spare);
      status = take(&room);
    }
    EXPECT_STATUS(IPC_OK, status);
    EXPECT_EQ(1u, len_);
    EXPECT_EQ(static_cast<size_t>(spare), room.num());
    EXPECT_TRUE(room.cut());
  }
  Room room(5);
  exchange(5, &room);
  EXPECT_EQ(5u, room.num());
}

TEST_F(AncillaryTest, PlainReadsDropDescriptors) {
  const std::set<int> before = open_descriptors();
  const ipc_buffer buffers[2] = {{data_, 1}, {data_ + 1, 1}};
  ASSERT_STATUS(IPC_OK, pass({null_, null_}));
  ASSERT_STATUS(IPC_OK, ipc_stream_read(pair_->server, data_, sizeof data_, 0, &len_));
  ASSERT_STATUS(IPC_OK, pass({null_, null_}, "xy"));
  ASSERT_STATUS(IPC_OK, ipc_stream_read_vectored(pair_->server, buffers, 2, 0, &len_));
  EXPECT_EQ(before, open_descriptors());
  Room room(4);
  ASSERT_STATUS(IPC_OK, pass({}, "next"));
  ASSERT_STATUS(IPC_OK, take(&room));
  EXPECT_TRUE(room.empty());
}

TEST_F(AncillaryTest, ClosingAStreamClosesWhatWaitsInIt) {
  int ends[2];
  ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
  ASSERT_STATUS(IPC_OK, pass({ends[1]}));
  ::close(ends[1]);
  ASSERT_STATUS(IPC_OK, ipc_stream_close(pair_->server));
  EXPECT_EQ(0, read(ends[0], data_, 1)) << "not the end of the pipe";
  ::close(ends[0]);
}

TEST_F(AncillaryTest, WhatFailsBringsAndLeavesNothing) {
  const std::set<int> before = open_descriptors();
  Room room(4);
  EXPECT_STATUS(IPC_TIMED_OUT, take(&room, 8));
  EXPECT_TRUE(room.empty());
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, pass({null_, 999999}));
  EXPECT_EQ(0u, len_);
  EXPECT_STATUS(IPC_TIMED_OUT, take(&room, 8));
  EXPECT_EQ(before, open_descriptors());
  ASSERT_STATUS(IPC_OK, pass({null_}));
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, true));
  ASSERT_STATUS(IPC_OK, ipc_stream_close(pair_->client));
  Room last(4);
  EXPECT_STATUS(IPC_OK, take(&last));
  EXPECT_EQ(1u, last.num());
  Room end(4);
  EXPECT_STATUS(IPC_END, take(&end));
  EXPECT_TRUE(end.empty()) << "the system tells credentials of nobody";
  std::vector<int32_t> numbers = {null_};
  const ipc_ancillary ancillary = sent(&numbers);
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write_ancillary(pair_->server, "x", 1, &ancillary, 0, &len_));
  ASSERT_STATUS(IPC_OK, ipc_stream_close(pair_->server));
  Room closed(4);
  EXPECT_STATUS(IPC_CLOSED, take(&closed));
  EXPECT_TRUE(closed.empty());
  EXPECT_STATUS(IPC_CLOSED, pass({null_}));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_set_pass_credentials(pair_->server, true));
}

TEST_F(AncillaryTest, ArgumentsAreCheckedAndNothingIsDone) {
  Room room(4);
  std::vector<int32_t> numbers = {null_};
  ipc_ancillary ancillary = sent(&numbers);
  ipc_stream *to = pair_->client, *from = pair_->server;
  const auto write = [&](ipc_stream *s, const void *data, size_t n, const ipc_ancillary *a, int64_t ms, size_t *len) {
    return ipc_stream_write_ancillary(s, data, n, a, ms, len);
  };
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(nullptr, "x", 1, &ancillary, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, nullptr, 1, &ancillary, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, "x", 0, &ancillary, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, "x", SIZE_MAX, &ancillary, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, "x", 1, nullptr, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, "x", 1, &ancillary, -2, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, "x", 1, &ancillary, 0, nullptr));
  ancillary.fields = IPC_ANCILLARY_CUT;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, write(to, "x", 1, &ancillary, 0, &len_));
  EXPECT_STATUS(IPC_TIMED_OUT, take(&room));

  ASSERT_STATUS(IPC_OK, pass({null_}));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(nullptr, data_, 8, &room.value, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(from, nullptr, 8, &room.value, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(from, data_, 0, &room.value, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(from, data_, SIZE_MAX, &room.value, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(from, data_, 8, nullptr, 0, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(from, data_, 8, &room.value, -2, &len_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_read_ancillary(from, data_, 8, &room.value, 0, nullptr));
  Room large(kMost + 1);
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, take(&large));
  large.value.num_descriptors = 0;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_set_pass_credentials(nullptr, true));
  EXPECT_STATUS(IPC_OK, take(&room));
  EXPECT_EQ(1u, room.num()) << "one of the reads above took it";
}

TEST_F(AncillaryTest, PipesAndTheOtherHalfCarryNothing) {
  ipc_stream *reader = nullptr, *writer = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_pipe_create(nullptr, &reader, &writer));
  ipc_ancillary nothing{};
  nothing.size = sizeof nothing;
  Room room(1);
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write_ancillary(writer, "x", 1, &nothing, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_read_ancillary(reader, data_, 1, &room.value, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_set_pass_credentials(reader, true));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
  ASSERT_STATUS(IPC_OK, ipc_stream_split(pair_->client, &reader, &writer));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write_ancillary(reader, "x", 1, &nothing, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_read_ancillary(writer, data_, 1, &room.value, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write_ancillary(writer, "x", 1, &nothing, 0, &len_));
  ipc_stream_free(reader);
  ipc_stream_free(writer);
}

// ------------------------------------------------------------------------------------------ what a descriptor is

TEST_F(AncillaryTest, FilesShareTheirOffset) {
  const int file = open(directory_.file("f").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(6, write(file, "abcdef", 6));
  ASSERT_EQ(0, lseek(file, 0, SEEK_SET));
  Room room(1);
  ASSERT_STATUS(IPC_OK, pass({file}));
  ASSERT_STATUS(IPC_OK, take(&room));
  ASSERT_EQ(1u, room.num());
  ASSERT_EQ(2, read(room.descriptors[0], data_, 2));
  EXPECT_EQ(2, lseek(file, 0, SEEK_CUR));
  ASSERT_EQ(1, read(file, data_, 1));
  EXPECT_EQ('c', data_[0]);
  ::close(file);
}

TEST_F(AncillaryTest, PipesSocketsAndListenersAreTheSame) {
  int ends[2];
  ASSERT_EQ(0, pipe2(ends, O_CLOEXEC));
  Room room(3);
  ASSERT_STATUS(IPC_OK, pass({ends[1], raw_fd(pair_->client), raw_fd(pair_->listener)}));
  ASSERT_STATUS(IPC_OK, take(&room));
  ASSERT_EQ(3u, room.num());
  ASSERT_EQ(1, write(room.descriptors[0], "p", 1));
  ASSERT_EQ(1, read(ends[0], data_, 1));
  EXPECT_EQ('p', data_[0]);
  ASSERT_EQ(1, write(room.descriptors[1], "s", 1));
  ASSERT_STATUS(IPC_OK, ipc_stream_read(pair_->server, data_, 1, 0, &len_));
  EXPECT_EQ('s', data_[0]);
  const std::string path = directory_.file("s");
  const ipc_name name = name_of(IPC_NAME_PATH, path);
  ipc_stream *client = nullptr;
  ASSERT_STATUS(IPC_OK, ipc_local_connect(&name, IPC_NO_TIMEOUT, &client));
  const int accepted = accept4(room.descriptors[2], nullptr, nullptr, SOCK_CLOEXEC);
  EXPECT_LE(0, accepted);
  ::close(accepted);
  ipc_stream_free(client);
  for (const int end : ends) ::close(end);
}

TEST_F(AncillaryTest, ADescriptorMayBeTheStreamsOwn) {
  const std::set<int> before = open_descriptors();
  ASSERT_STATUS(IPC_OK, pass({raw_fd(pair_->server)}));  // a cycle, until it is taken
  Room room(1);
  ASSERT_STATUS(IPC_OK, take(&room));
  ASSERT_EQ(1u, room.num());
  room.close_all();
  EXPECT_EQ(before, open_descriptors());
}

// ----------------------------------------------------------------------------------------- systems that differ

TEST_F(AncillaryTest, CloseOnExecIsSetWhereTheFlagIsUnknown) {
  for (const System system : {System::kIgnoresFlag, System::kRefusesFlag}) {
    played = system;
    Room room(3);
    exchange(5, &room);
    EXPECT_EQ(3u, room.num());
    EXPECT_TRUE(room.cut());
    for (size_t i = 0; i < room.num(); i++) EXPECT_EQ(FD_CLOEXEC, fcntl(room.descriptors[i], F_GETFD));
  }
}

TEST_F(AncillaryTest, ACutThatLeavesTheLengthAsItWasLosesNothing) {
  const std::set<int> before = open_descriptors();
  played = System::kKeepsLength;
  Room room(2);
  exchange(kMost, &room);
  EXPECT_EQ(2u, room.num());
  EXPECT_TRUE(room.cut());
  room.close_all();
  EXPECT_EQ(before, open_descriptors());
}

TEST_F(AncillaryTest, DescriptorsThatTheSystemAddsAreClosed) {
  const std::set<int> before = open_descriptors();
  const int on = 1;
  if (setsockopt(raw_fd(pair_->server), SOL_SOCKET, SO_PASSPIDFD, &on, sizeof on) != 0) {
    ASSERT_EQ(ENOPROTOOPT, errno);
    GTEST_SKIP() << "this kernel adds no descriptors";
  }
  for (const size_t num : {size_t{0}, size_t{1}, size_t{2}, kMost}) {
    for (const bool credentials : {false, true}) {
      ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, credentials));
      Room room(num);
      exchange(num, &room);
      EXPECT_EQ(num, room.num());
      EXPECT_FALSE(room.cut());
      EXPECT_EQ(credentials, room.credentials());
      room.close_all();
      ASSERT_EQ(before, open_descriptors()) << num;
    }
  }
}

// --------------------------------------------------------------------------------------------------- waiting

TEST_F(AncillaryTest, CloseEndsAWaitingRead) {
  Room room(1);
  ipc_status status{};
  Worker reading([&] { status = take(&room, 8, IPC_NO_TIMEOUT); });
  ASSERT_TRUE(reading.wait_until_polling());
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair_->server));
  reading.join();
  EXPECT_STATUS(IPC_CANCELLED, status);
  EXPECT_TRUE(room.empty());
}

TEST_F(AncillaryTest, AFullConnectionTakesNothingAndThenEverythingOnce) {
  std::string piece(8192, 'f');
  size_t filled = 0;
  while (ipc_stream_write(pair_->client, piece.data(), piece.size(), 0, &len_).code == IPC_OK) filled += len_;
  filled += len_;
  EXPECT_STATUS(IPC_TIMED_OUT, pass({null_}, "late"));
  EXPECT_EQ(0u, len_);
  ipc_status status{};
  size_t written = 0;
  const std::string data = "late" + std::string(1 << 20, 'd');
  std::vector<int32_t> numbers = {null_};
  const ipc_ancillary ancillary = sent(&numbers);
  Worker writing([&] {
    status = ipc_stream_write_ancillary(pair_->client, data.data(), data.size(), &ancillary, IPC_NO_TIMEOUT, &written);
  });
  ASSERT_TRUE(writing.wait_until_polling());
  std::string all(filled + data.size(), '\0');
  size_t got = 0, came = 0, with = 0;
  while (got < all.size()) {
    Room room(2);
    ASSERT_STATUS(IPC_OK, ipc_stream_read_ancillary(pair_->server, all.data() + got, all.size() - got, &room.value,
                                                    20000, &len_));
    if (room.num() != 0) with = got;
    came += room.num();
    got += len_;
  }
  writing.join();
  EXPECT_STATUS(IPC_OK, status);
  EXPECT_EQ(data.size(), written);
  EXPECT_EQ(std::string(filled, 'f') + data, all);
  EXPECT_EQ(1u, came);
  EXPECT_LE(with, filled);
}

#ifndef IPC_WITHOUT_NONBLOCKING
TEST_F(AncillaryTest, NonblockingHandlesDoNotWait) {
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair_->server, true));
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair_->client, true));
  Room room(1);
  EXPECT_STATUS(IPC_WOULD_BLOCK, take(&room, 8, IPC_NO_TIMEOUT));
  EXPECT_TRUE(room.empty());
  const std::string data(8 << 20, 'd');
  EXPECT_STATUS(IPC_OK, pass({null_}, data, IPC_NO_TIMEOUT));
  EXPECT_LT(0u, len_);
  EXPECT_GT(data.size(), len_);
  EXPECT_STATUS(IPC_OK, take(&room, 8, IPC_NO_TIMEOUT));
  EXPECT_EQ(1u, room.num());
}
#endif

// ------------------------------------------------------------------------------------------------ credentials

TEST_F(AncillaryTest, CredentialsAreTheWritersAndOnlyThereIfAskedFor) {
  Room unasked(0), asked(0), claimed(0), stopped(0);
  ASSERT_STATUS(IPC_OK, pass_claim(claim()));
  ASSERT_STATUS(IPC_OK, take(&unasked));
  EXPECT_TRUE(unasked.empty());
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, true));
  ASSERT_STATUS(IPC_OK, pass({}));
  ASSERT_STATUS(IPC_OK, take(&asked));
  ASSERT_TRUE(asked.credentials());
  EXPECT_EQ(7u, asked.value.credentials.fields);
  EXPECT_EQ(static_cast<uint64_t>(getpid()), asked.value.credentials.pid);
  EXPECT_EQ(getuid(), asked.value.credentials.uid);
  EXPECT_EQ(getgid(), asked.value.credentials.gid);
  ASSERT_STATUS(IPC_OK, pass_claim(claim(7, static_cast<uint64_t>(getpid()), geteuid(), getegid())));
  ASSERT_STATUS(IPC_OK, take(&claimed));
  EXPECT_EQ(static_cast<uint64_t>(getpid()), claimed.value.credentials.pid);
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, false));
  ASSERT_STATUS(IPC_OK, pass_claim(claim()));
  ASSERT_STATUS(IPC_OK, take(&stopped));
  EXPECT_TRUE(stopped.empty());
}

TEST_F(AncillaryTest, AskingAfterTheWriteTellsNoProcess) {
  ASSERT_STATUS(IPC_OK, pass({null_}));
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, true));
  Room room(1);
  ASSERT_STATUS(IPC_OK, take(&room));
  EXPECT_EQ(1u, room.num());
  EXPECT_EQ(0u, room.value.credentials.fields & IPC_CREDENTIALS_PID);
}

TEST_F(AncillaryTest, AChildIsToldApart) {
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, true));
  ASSERT_STATUS(IPC_OK, pass({}, "parent"));
  const int fd = raw_fd(pair_->client);
  ASSERT_EQ(0, in_child([&] { return send(fd, "child", 5, 0) == 5 ? 0 : 1; }));
  Room parent(0), child(0);
  ASSERT_STATUS(IPC_OK, take(&parent));
  EXPECT_EQ(6u, len_);
  EXPECT_EQ(static_cast<uint64_t>(getpid()), parent.value.credentials.pid);
  ASSERT_STATUS(IPC_OK, take(&child));
  EXPECT_EQ(5u, len_);
  EXPECT_NE(static_cast<uint64_t>(getpid()), child.value.credentials.pid & 0xffffffff);
}

TEST_F(AncillaryTest, PrivilegeDecidesWhoMayBeClaimed) {
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, true));
  const pid_t dead = fork();
  if (dead == 0) _exit(0);
  ASSERT_EQ(dead, waitpid(dead, nullptr, 0));
  const auto parent = static_cast<uint64_t>(getppid());
  if (geteuid() == 0 && !may_become_other()) GTEST_SKIP() << "root in a sandbox";
  if (geteuid() == 0) {
    EXPECT_STATUS(IPC_OK, pass_claim(claim(7, parent, 1234, 5678)));
    Room room(0);
    ASSERT_STATUS(IPC_OK, take(&room));
    EXPECT_EQ(parent, room.value.credentials.pid);
    EXPECT_EQ(1234u, room.value.credentials.uid);
    EXPECT_EQ(5678u, room.value.credentials.gid);
    EXPECT_STATUS(IPC_NO_SUCH_PROCESS, pass_claim(claim(IPC_CREDENTIALS_PID, static_cast<uint64_t>(dead))));
    EXPECT_STATUS(IPC_NO_SUCH_PROCESS, pass_claim(claim(IPC_CREDENTIALS_PID, INT32_MAX)));
    EXPECT_STATUS(IPC_NO_SUCH_PROCESS, pass_claim(claim(IPC_CREDENTIALS_PID, 0)));
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, pass_claim(claim(IPC_CREDENTIALS_UID, 0, UINT32_MAX)));
  }
  // Without privilege: each step that is not as it must be is a bit.
  EXPECT_EQ(0, in_child([&] {
              if (geteuid() == 0 && (setgid(kOther) != 0 || setuid(kOther) != 0)) return 64;
              int wrong = 0;
              if (pass_claim(claim(IPC_CREDENTIALS_PID, parent)).code != IPC_PERMISSION_DENIED) wrong |= 1;
              if (pass_claim(claim(IPC_CREDENTIALS_UID, 0, 0)).code != IPC_PERMISSION_DENIED) wrong |= 2;
              if (pass_claim(claim(IPC_CREDENTIALS_GID, 0, 0, 0)).code != IPC_PERMISSION_DENIED) wrong |= 4;
              if (pass_claim(claim(IPC_CREDENTIALS_PID, static_cast<uint64_t>(dead))).code != IPC_PERMISSION_DENIED) {
                wrong |= 8;
              }
              if (pass_claim(claim()).code != IPC_OK) wrong |= 16;
              return wrong;
            }));
  Room room(0);
  ASSERT_STATUS(IPC_OK, take(&room));
  EXPECT_EQ(1u, len_) << "a refused claim travelled";
}

// Those that the system adds are real ids, those that this library gives effective ones.
TEST_F(AncillaryTest, RealAndEffectiveIds) {
  if (!may_become_other()) GTEST_SKIP() << "takes another user";
  ASSERT_STATUS(IPC_OK, ipc_stream_set_pass_credentials(pair_->server, true));
  EXPECT_EQ(0, in_child([&] {
              if (setregid(4321, 0) != 0 || setreuid(1234, 0) != 0) return 64;
              return pass({}).code == IPC_OK && pass_claim(claim()).code == IPC_OK ? 0 : 1;
            }));
  Room added(0), given(0);
  ASSERT_STATUS(IPC_OK, take(&added));
  EXPECT_EQ(1234u, added.value.credentials.uid);
  EXPECT_EQ(4321u, added.value.credentials.gid);
  ASSERT_STATUS(IPC_OK, take(&given));
  EXPECT_EQ(0u, given.value.credentials.uid);
  EXPECT_EQ(0u, given.value.credentials.gid);
}

// Descriptors under way count against the limit of the user who sent them.
TEST_F(AncillaryTest, TooManyUnderWayIsOutOfResources) {
  if (geteuid() == 0 && !may_become_other()) GTEST_SKIP() << "root in a sandbox";
  EXPECT_EQ(0, in_child([&] {
              const rlimit limit{64, 64};
              if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
              if (geteuid() == 0 && setuid(kOther) != 0) return 65;
              for (int i = 0; i < 100; i++) {
                const ipc_status status = pass(std::vector<int32_t>(20, null_));
                if (status.code == IPC_OK) continue;
                if (status.code != IPC_OUT_OF_RESOURCES || status.native != ETOOMANYREFS || len_ != 0) return 1;
                Room room(20);
                for (int taken = 0; taken < i; taken++) {
                  if (take(&room, 1).code != IPC_OK || room.num() != 20) return 2;
                  room.close_all();
                }
                return pass({null_}).code == IPC_OK ? 0 : 3;
              }
              return 4;
            }));
}

}  // namespace
}  // namespace ref_tests
