// Streams on Windows: what waits can be ended and times out on time, and no byte is lost or counted wrongly.
#include <algorithm>

#include "ref/tests/windows_support.h"
#include "ref/windows/room.h"

namespace {

using namespace ref_tests;

class WindowsStreamTest : public HandleTest {
 protected:
  char data_[1024] = {};
  size_t len_ = 77;
};

TEST_F(WindowsStreamTest, BothDirectionsAtOnceFromTwoThreadsEach) {
  Pair pair;
  const std::string up = pattern(1 << 20, 1), down = pattern(1 << 20, 2);
  std::string got_up, got_down;
  const auto write = [](ipc_stream *stream, const std::string &bytes) {
    size_t len = 0;
    EXPECT_STATUS(IPC_OK, ipc_stream_write(stream, bytes.data(), bytes.size(), 20000, &len));
    EXPECT_EQ(bytes.size(), len);
  };
  const auto read = [](ipc_stream *stream, size_t want, std::string &got) {
    char block[5000];
    size_t len = 0;
    while (got.size() < want && ipc_stream_read(stream, block, sizeof block, 20000, &len).code == IPC_OK) {
      got.append(block, len);
    }
  };
  std::thread threads[] = {std::thread(write, pair.client, std::cref(up)),
                           std::thread(write, pair.server, std::cref(down)),
                           std::thread(read, pair.server, up.size(), std::ref(got_up)),
                           std::thread(read, pair.client, down.size(), std::ref(got_down))};
  for (std::thread &thread : threads) thread.join();
  EXPECT_TRUE(up == got_up);
  EXPECT_TRUE(down == got_down);
}

// A close comes before the read begins, or while it waits: at least once it must have been the latter.
TEST_F(WindowsStreamTest, CloseEndsAWaitingRead) {
  int num_cancelled = 0;
  for (int round = 0; round < 200 && num_cancelled < 5; round++) {
    Pair pair;
    std::atomic<bool> begins{false};
    ipc_status status{};
    size_t len = 77;
    char byte;
    std::thread reader([&] {
      begins = true;
      status = ipc_stream_read(pair.server, &byte, 1, IPC_NO_TIMEOUT, &len);
    });
    while (!begins) SwitchToThread();
    for (int i = 0; i < round; i++) SwitchToThread();
    EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.server));
    reader.join();
    EXPECT_EQ(0u, len);
    EXPECT_TRUE(status.code == IPC_CANCELLED || status.code == IPC_CLOSED) << status.code;
    if (status.code == IPC_CANCELLED) num_cancelled++;
    EXPECT_STATUS(IPC_CLOSED, ipc_stream_read(pair.server, &byte, 1, 0, &len));
    EXPECT_STATUS(IPC_CLOSED, ipc_stream_close(pair.server));
    EXPECT_STATUS(IPC_END, ipc_stream_read(pair.client, &byte, 1, 20000, &len));
  }
  EXPECT_LE(5, num_cancelled);
}

// The thread that wrote ends before the reader reads: what was taken stays taken.
TEST_F(WindowsStreamTest, CloseEndsAWaitingWriteAndTheLengthIsExact) {
  Pair pair;
  const std::string sent = pattern(1 << 20);
  ipc_status status{};
  size_t len = 0;
  std::thread writer([&] { status = ipc_stream_write(pair.client, sent.data(), sent.size(), IPC_NO_TIMEOUT, &len); });
  ASSERT_TRUE(comes_true([&] { return available(pair.server) >= 65536; }));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
  writer.join();
  EXPECT_STATUS(IPC_CANCELLED, status);
  EXPECT_LT(len, sent.size());
  const Rest rest = read_rest(pair.server);
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_EQ(len, rest.bytes.size());
  EXPECT_TRUE(sent.substr(0, len) == rest.bytes);
}

TEST_F(WindowsStreamTest, AWriteTimesOutOnTimeAndTheLengthIsExact) {
  const std::string sent = pattern(1 << 20);
  for (const int timeout_ms : {0, 1, 45}) {
    Pair pair;
    ipc_status status{};
    std::thread([&] {
      const auto begin = Clock::now();
      status = ipc_stream_write(pair.client, sent.data(), sent.size(), timeout_ms, &len_);
      EXPECT_LE(milliseconds(timeout_ms), Clock::now() - begin);
      EXPECT_GT(milliseconds(timeout_ms + 2000), Clock::now() - begin);
    }).join();
    EXPECT_STATUS(IPC_TIMED_OUT, status);
    EXPECT_LT(0u, len_);
    EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
    const Rest rest = read_rest(pair.server, 1000);
    EXPECT_EQ(IPC_END, rest.code);
    EXPECT_TRUE(sent.substr(0, len_) == rest.bytes) << rest.bytes.size();
  }
}

TEST_F(WindowsStreamTest, AReadTimesOutOnTimeAndTakesNothing) {
  Pair pair;
  for (const int timeout_ms : {0, 1, 45}) {
    const auto begin = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(pair.server, data_, sizeof data_, timeout_ms, &len_));
    EXPECT_LE(milliseconds(timeout_ms), Clock::now() - begin);
    EXPECT_GT(milliseconds(timeout_ms + 2000), Clock::now() - begin);
    EXPECT_EQ(0u, len_);
  }
  EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, "all", 3, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(pair.server, data_, sizeof data_, 20000, &len_));
  EXPECT_EQ("all", std::string(data_, len_));
}

// Reads run out of patience just as the bytes come, each run of which begins when a read has: each byte comes once.
TEST_F(WindowsStreamTest, NoByteIsLostToATimeout) {
  constexpr size_t kRun = 50;
  Pair pair;
  const std::string sent = pattern(60 * kRun);
  std::atomic<int> num_timed_out{0};
  std::thread writer([&] {
    size_t len;
    for (size_t i = 0; i < sent.size(); i++) {
      const int before = num_timed_out;
      if (i % kRun == 0) EXPECT_TRUE(comes_true([&] { return num_timed_out != before; }));
      EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, &sent[i], 1, 20000, &len));
    }
  });
  std::string got;
  const auto end = Clock::now() + kDeadline;
  while (got.size() < sent.size() && Clock::now() < end) {
    const ipc_status status = ipc_stream_read(pair.server, data_, 1, num_timed_out % 2, &len_);
    got.append(data_, len_);
    if (status.code == IPC_TIMED_OUT) num_timed_out++;
  }
  writer.join();
  EXPECT_TRUE(sent == got);
}

TEST_F(WindowsStreamTest, SingleAttemptsAreExactAndThenThereIsRoomAgain) {
  Pair pair;
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair.client, true));
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair.server, true));
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_read(pair.server, data_, 1, 20000, &len_));
  const std::string piece = pattern(10000);
  std::string taken;
  ipc_status status;
  std::thread([&] {
    while ((status = ipc_stream_write(pair.client, piece.data(), piece.size(), 20000, &len_)).code == IPC_OK) {
      ASSERT_LT(0u, len_);
      taken.append(piece, 0, len_);
      ASSERT_GT(1u << 24, taken.size());
    }
  }).join();
  EXPECT_STATUS(IPC_WOULD_BLOCK, status);
  EXPECT_EQ(0u, len_);
  std::string got;
  ASSERT_TRUE(comes_true([&] {
    if (ipc_stream_read(pair.server, data_, sizeof data_, 0, &len_).code == IPC_OK) got.append(data_, len_);
    return got.size() >= taken.size();
  }));
  EXPECT_TRUE(taken == got);
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_read(pair.server, data_, 1, 0, &len_));
  EXPECT_TRUE(comes_true([&] { return ipc_stream_write(pair.client, "x", 1, 0, &len_).code == IPC_OK; }));
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair.server, false));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(pair.server, data_, 9, 20000, &len_));
  EXPECT_EQ("x", std::string(data_, len_));
}

TEST_F(WindowsStreamTest, LastWordsBeyondTheBufferAreReadableAfterClose) {
  Pair pair;
  const std::string sent = pattern(120000);
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair.client, true));
  std::thread([&] {
    EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, sent.data(), sent.size(), 0, &len_));
    EXPECT_STATUS(IPC_OK, ipc_stream_free(pair.client));
    pair.client = nullptr;
  }).join();
  EXPECT_LT(65536u, len_) << "more than the pipe holds";
  const Rest rest = read_rest(pair.server);
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_TRUE(sent.substr(0, len_) == rest.bytes) << rest.bytes.size();
  for (int i = 0; i < 3; i++) EXPECT_STATUS(IPC_END, ipc_stream_read(pair.server, data_, 1, 0, &len_));
}

// What lies in flight behind a closed stream is released when the reader goes: TearDown counts the handles.
TEST_F(WindowsStreamTest, AReaderThatNeverReadsAndLeavesReleasesEverything) {
  const std::string sent = pattern(1 << 20);
  for (int i = 0; i < 20; i++) {
    Pair pair;
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(pair.client, sent.data(), sent.size(), 0, &len_));
    EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
    EXPECT_LT(0u, available(pair.server));
  }
}

TEST_F(WindowsStreamTest, WritesFailOnceTheReaderIsGone) {
  for (const bool nonblocking : {false, true}) {
    Pair pair;
    EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair.client, nonblocking));
    EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.server));
    for (int i = 0; i < 3; i++) {
      EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(pair.client, "x", 1, 20000, &len_));
      EXPECT_EQ(0u, len_);
    }
    EXPECT_STATUS(IPC_END, ipc_stream_read(pair.client, data_, 1, 0, &len_));
  }
}

TEST_F(WindowsStreamTest, AWriteThatWaitsEndsWhenTheReaderLeaves) {
  Pair pair;
  const std::string sent = pattern(1 << 20);
  ipc_status status{};
  std::thread writer([&] { status = ipc_stream_write(pair.client, sent.data(), sent.size(), IPC_NO_TIMEOUT, &len_); });
  ASSERT_TRUE(comes_true([&] { return available(pair.server) >= 65536; }));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.server));
  writer.join();
  EXPECT_STATUS(IPC_BROKEN_PIPE, status);
  EXPECT_LT(len_, sent.size());
}

// A chunk that was taken and did not arrive is reported by the next write.
TEST_F(WindowsStreamTest, ALostChunkIsABrokenPipe) {
  Pair pair;
  const std::string sent = pattern(1 << 20);
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(pair.client, sent.data(), sent.size(), 0, &len_));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(pair.client, "x", 1, 0, &len_));
  EXPECT_EQ(0u, len_);
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.server));
  for (int i = 0; i < 3; i++) {
    EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(pair.client, "x", 1, 20000, &len_));
    EXPECT_EQ(0u, len_);
  }
}

TEST_F(WindowsStreamTest, ShortWritesOfTwoThreadsAreNotMixed) {
  Pair pair;
  constexpr int kRecords = 200;
  constexpr size_t kRecord = 4096;
  const auto write = [&](char letter) {
    const std::string record(kRecord, letter);
    size_t len;
    for (int i = 0; i < kRecords; i++) {
      EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, record.data(), record.size(), 20000, &len));
    }
  };
  std::thread a(write, 'a'), b(write, 'b');
  std::string got;
  char block[3000];
  while (got.size() < 2 * kRecords * kRecord &&
         ipc_stream_read(pair.server, block, sizeof block, 20000, &len_).code == IPC_OK) {
    got.append(block, len_);
  }
  a.join();
  b.join();
  ASSERT_EQ(2 * kRecords * kRecord, got.size());
  for (size_t at = 0; at < got.size(); at += kRecord) {
    ASSERT_EQ(std::string::npos, got.substr(at, kRecord).find_first_not_of(got[at])) << at;
  }
}

// Tells the library of room in a pipe, as Windows does and Wine does not, until it goes out of scope.
class Room {
 public:
  explicit Room(DWORD (*room)(HANDLE)) : before_(ipc_pipe_room) { ipc_pipe_room = room; }
  ~Room() { ipc_pipe_room = before_; }

 private:
  DWORD (*before_)(HANDLE);
};

// Where there is room the caller writes himself, beyond that the pool does.
TEST_F(WindowsStreamTest, WhereThereIsRoomTheLengthIsExactToo) {
  static ipc_stream *reader;
  const Room room([](HANDLE) { return 65536 - std::min<DWORD>(65536, available(reader)); });
  Pair pair;
  reader = pair.server;
  const std::string sent = pattern(200000);
  ipc_status status{};
  std::thread([&] {
    status = ipc_stream_write(pair.client, sent.data(), 65536, 0, &len_);
    EXPECT_STATUS(IPC_OK, status);
    EXPECT_EQ(65536u, len_);
    status = ipc_stream_write(pair.client, sent.data() + 65536, sent.size() - 65536, 20, &len_);
  }).join();
  EXPECT_STATUS(IPC_TIMED_OUT, status);
  const size_t taken = 65536 + len_;
  EXPECT_LT(taken, sent.size());
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
  const Rest rest = read_rest(pair.server);
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_TRUE(sent.substr(0, taken) == rest.bytes) << rest.bytes.size();

  Pair broken;
  EXPECT_STATUS(IPC_OK, ipc_stream_close(broken.server));
  ipc_pipe_room = [](HANDLE) -> DWORD { return 65536; };
  EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(broken.client, "x", 1, 20000, &len_));
  EXPECT_EQ(0u, len_);
}

// Somebody else took the room: the chunk waits all the same. What its thread's end takes back the next write tells.
TEST_F(WindowsStreamTest, RoomThatIsGoneIsWaitedFor) {
  const Room room([](HANDLE) -> DWORD { return 65536; });
  const std::string sent = pattern(120000);
  Pair pair;
  ASSERT_STATUS(IPC_OK, ipc_stream_set_nonblocking(pair.client, true));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, sent.data(), sent.size(), 0, &len_));
  EXPECT_EQ(sent.size(), len_);
  EXPECT_STATUS(IPC_WOULD_BLOCK, ipc_stream_write(pair.client, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(pair.client));
  EXPECT_TRUE(sent == read_rest(pair.server).bytes);

  Pair lost;
  std::thread([&] {
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(lost.client, pattern(1 << 20).data(), 1 << 20, 0, &len_));
  }).join();
  EXPECT_STATUS(IPC_FAILED, ipc_stream_write(lost.client, "x", 1, 20000, &len_));
  EXPECT_EQ(0u, len_);
}

TEST_F(WindowsStreamTest, VectoredBuffersKeepOrder) {
  Pair pair;
  const ipc_const_buffer out[] = {{"ab", 2}, {nullptr, 0}, {"cdef", 4}, {"g", 1}};
  EXPECT_STATUS(IPC_OK, ipc_stream_write_vectored(pair.client, out, 4, 20000, &len_));
  EXPECT_EQ(7u, len_);
  char first[3], second[2], third[9];
  const ipc_buffer in[] = {{nullptr, 0}, {first, 3}, {second, 2}, {third, 9}};
  EXPECT_STATUS(IPC_OK, ipc_stream_read_vectored(pair.server, in, 4, 20000, &len_));
  EXPECT_EQ(7u, len_);
  EXPECT_EQ("abc", std::string(first, 3));
  EXPECT_EQ("de", std::string(second, 2));
  EXPECT_EQ("fg", std::string(third, 2));
}

TEST_F(WindowsStreamTest, HalvesWorkAndEndOnTheirOwn) {
  Pair pair;
  ipc_stream *reader, *writer;
  ASSERT_STATUS(IPC_OK, ipc_stream_split(pair.client, &reader, &writer));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_write(pair.client, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write(reader, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_read(writer, data_, 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_flush(reader));
  ipc_raw raw;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_release(writer, &raw));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(writer, "up", 2, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(pair.server, data_, 9, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(writer));
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(pair.server, data_, 9, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.server, "down", 4, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(reader, data_, 9, 20000, &len_));
  EXPECT_EQ("down", std::string(data_, len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(reader));
  EXPECT_STATUS(IPC_END, ipc_stream_read(pair.server, data_, 9, 20000, &len_));
}

// A split before the read begins succeeds: at least once it must come while the read waits.
TEST_F(WindowsStreamTest, SplitIsBusyWhileACallIsUnderWay) {
  int num_busy = 0;
  for (int round = 0; round < 200 && num_busy < 3; round++) {
    Pair pair;
    std::atomic<bool> begins{false};
    std::thread reader([&] {
      char byte;
      size_t len;
      begins = true;
      const ipc_status status = ipc_stream_read(pair.client, &byte, 1, 20000, &len);
      EXPECT_TRUE(status.code == IPC_OK || status.code == IPC_CLOSED) << status.code;
    });
    while (!begins) SwitchToThread();
    for (int i = 0; i < round; i++) SwitchToThread();
    ipc_stream *halves[2];
    const ipc_status status = ipc_stream_split(pair.client, &halves[0], &halves[1]);
    if (status.code != IPC_OK) {
      EXPECT_STATUS(IPC_BUSY, status);
      num_busy++;
    }
    EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.server, "x", 1, 20000, &len_));
    reader.join();
    EXPECT_STATUS(IPC_OK, ipc_stream_free(halves[0]));
    EXPECT_STATUS(IPC_OK, ipc_stream_free(halves[1]));
  }
  EXPECT_LE(3, num_busy);
}

TEST_F(WindowsStreamTest, ReleasedAndAdoptedAgainGoesOnWhereItWas) {
  Pair pair;
  EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.client, "before", 6, 20000, &len_));
  ipc_raw raw;
  ASSERT_STATUS(IPC_OK, ipc_stream_release(pair.server, &raw));
  EXPECT_STATUS(IPC_CLOSED, ipc_stream_read(pair.server, data_, 1, 0, &len_));
  ipc_stream *again;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &again));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(again, data_, 99, 20000, &len_));
  EXPECT_EQ("before", std::string(data_, len_));
  ipc_credentials peer;
  EXPECT_STATUS(IPC_OK, ipc_stream_peer_credentials(again, &peer));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(again));
  EXPECT_STATUS(IPC_END, ipc_stream_read(pair.client, data_, 99, 20000, &len_));
}

TEST_F(WindowsStreamTest, ReleaseLosesNothingThatIsInFlight) {
  Pair pair;
  const std::string sent = pattern(1 << 20);
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(pair.client, sent.data(), sent.size(), 0, &len_));
  const size_t taken = len_;
  ipc_raw raw;
  ASSERT_STATUS(IPC_OK, ipc_stream_release(pair.client, &raw));
  ASSERT_TRUE(CloseHandle(reinterpret_cast<HANDLE>(static_cast<uintptr_t>(raw.value))));
  const Rest rest = read_rest(pair.server);
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_TRUE(sent.substr(0, taken) == rest.bytes) << rest.bytes.size() << " of " << taken;
}

// Somebody else's pipe of messages: a message in pieces is data, and an empty one is neither data nor the end.
TEST_F(WindowsStreamTest, MessagesOfOthersAreBytes) {
  const std::string name = "\\\\.\\pipe\\" + fresh_name();
  HANDLE server = CreateNamedPipeA(name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED,
                                   PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE, 1, 4096, 4096, 0, nullptr);
  ASSERT_NE(INVALID_HANDLE_VALUE, server);
  HANDLE client = CreateFileA(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
  ASSERT_NE(INVALID_HANDLE_VALUE, client);
  const ipc_raw raw = raw_of(server);
  ipc_stream *stream;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw, &stream));
  DWORD written;
  ASSERT_TRUE(WriteFile(client, "first", 5, &written, nullptr));
  ASSERT_TRUE(WriteFile(client, "", 0, &written, nullptr));
  ASSERT_TRUE(WriteFile(client, "third", 5, &written, nullptr));
  std::string got;
  while (got.size() < 10) {
    ASSERT_STATUS(IPC_OK, ipc_stream_read(stream, data_, 3, 20000, &len_));
    ASSERT_LT(0u, len_);
    got.append(data_, len_);
  }
  EXPECT_EQ("firstthird", got);
  CloseHandle(client);
  EXPECT_STATUS(IPC_END, ipc_stream_read(stream, data_, 3, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(stream));
}

TEST_F(WindowsStreamTest, AdoptTakesConnectedPipesAlone) {
  ipc_stream *stream;
  const std::string name = "\\\\.\\pipe\\" + fresh_name();
  HANDLE listening = CreateNamedPipeA(name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED, PIPE_TYPE_BYTE, 1, 4096,
                                      4096, 0, nullptr);
  ASSERT_NE(INVALID_HANDLE_VALUE, listening);
  HANDLE event = CreateEventW(nullptr, TRUE, FALSE, nullptr);
  HANDLE file = CreateFileA("NUL", GENERIC_READ, 0, nullptr, OPEN_EXISTING, 0, nullptr);
  for (const HANDLE handle : {listening, event, file, static_cast<HANDLE>(nullptr), INVALID_HANDLE_VALUE}) {
    const ipc_raw raw = raw_of(handle);
    EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&raw, &stream));
    EXPECT_EQ(nullptr, stream);
  }
  HANDLE client = CreateFileA(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING, 0, nullptr);
  DWORD mode = PIPE_NOWAIT;
  ASSERT_TRUE(SetNamedPipeHandleState(client, &mode, nullptr, nullptr));
  const ipc_raw nowait = raw_of(client), descriptor = {IPC_RAW_FD, 0};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&nowait, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&descriptor, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(nullptr, &stream));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_stream_adopt(&nowait, nullptr));
  for (const HANDLE handle : {listening, event, file, client}) EXPECT_TRUE(CloseHandle(handle));
}

// The system's own anonymous pipes have synchronous ends.
TEST_F(WindowsStreamTest, SynchronousHandlesTimeOutAndCanBeClosed) {
  HANDLE read_end, write_end;
  ASSERT_TRUE(CreatePipe(&read_end, &write_end, nullptr, 4096));
  const ipc_raw raw_reader = raw_of(read_end), raw_writer = raw_of(write_end);
  ipc_stream *reader, *writer;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw_reader, &reader));
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw_writer, &writer));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write(reader, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_read(writer, data_, 1, 0, &len_));
  ipc_credentials peer;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_peer_credentials(reader, &peer));
  for (const int timeout_ms : {0, 1, 45}) {
    const auto begin = Clock::now();
    EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_read(reader, data_, 1, timeout_ms, &len_));
    EXPECT_LE(milliseconds(timeout_ms), Clock::now() - begin);
  }
  EXPECT_STATUS(IPC_OK, ipc_stream_write(writer, "hello", 5, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_read(reader, data_, 99, 20000, &len_));
  EXPECT_EQ("hello", std::string(data_, len_));

  const std::string sent = pattern(1 << 20);
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(writer, sent.data(), sent.size(), 30, &len_));
  const size_t taken = len_;
  EXPECT_STATUS(IPC_OK, ipc_stream_free(writer));
  const Rest rest = read_rest(reader);
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_TRUE(sent.substr(0, taken) == rest.bytes) << rest.bytes.size() << " of " << taken;
  EXPECT_STATUS(IPC_OK, ipc_stream_free(reader));
}

TEST_F(WindowsStreamTest, CloseEndsWhatWaitsOnSynchronousHandles) {
  HANDLE read_end, write_end;
  ASSERT_TRUE(CreatePipe(&read_end, &write_end, nullptr, 4096));
  const ipc_raw raw_reader = raw_of(read_end), raw_writer = raw_of(write_end);
  ipc_stream *reader, *writer;
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw_reader, &reader));
  ASSERT_STATUS(IPC_OK, ipc_stream_adopt(&raw_writer, &writer));
  const std::string sent = pattern(1 << 20);
  ipc_status status{};
  std::thread waiting([&] { status = ipc_stream_write(writer, sent.data(), sent.size(), IPC_NO_TIMEOUT, &len_); });
  ASSERT_TRUE(comes_true([&] { return available(reader) >= 4096; }));
  EXPECT_STATUS(IPC_OK, ipc_stream_close(writer));
  waiting.join();
  EXPECT_STATUS(IPC_CANCELLED, status);
  std::string got;
  while (got.size() < len_) {
    size_t len;
    ASSERT_STATUS(IPC_OK, ipc_stream_read(reader, data_, sizeof data_, 20000, &len));
    got.append(data_, len);
  }
  EXPECT_TRUE(sent.substr(0, len_) == got);
  EXPECT_STATUS(IPC_OK, ipc_stream_free(writer));
  EXPECT_STATUS(IPC_END, ipc_stream_read(reader, data_, 1, 20000, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_free(reader));
}

TEST_F(WindowsStreamTest, ArgumentsAreChecked) {
  Pair pair;
  const ipc_buffer hole{nullptr, 1};
  const ipc_const_buffer const_hole{nullptr, 1};
  const ipc_buffer huge[2] = {{data_, SIZE_MAX / 2}, {data_, SIZE_MAX / 2}};
  const std::vector<ipc_buffer> many(65, ipc_buffer{data_, 0});
  ipc_stream *half;
  for (const ipc_status &status :
       {ipc_stream_read(nullptr, data_, 1, 0, &len_), ipc_stream_read(pair.server, nullptr, 1, 0, &len_),
        ipc_stream_read(pair.server, data_, 1, 0, nullptr), ipc_stream_read(pair.server, data_, 1, -2, &len_),
        ipc_stream_write(nullptr, "x", 1, 0, &len_), ipc_stream_write(pair.server, nullptr, 1, 0, &len_),
        ipc_stream_write(pair.server, "x", 1, 0, nullptr), ipc_stream_write(pair.server, "x", 1, -2, &len_),
        ipc_stream_read_vectored(pair.server, &hole, 1, 0, &len_),
        ipc_stream_read_vectored(pair.server, huge, 2, 0, &len_),
        ipc_stream_read_vectored(pair.server, many.data(), many.size(), 0, &len_),
        ipc_stream_write_vectored(pair.server, &const_hole, 1, 0, &len_), ipc_stream_flush(nullptr),
        ipc_stream_close(nullptr), ipc_stream_raw(pair.server, nullptr), ipc_stream_release(pair.server, nullptr),
        ipc_stream_peer_credentials(pair.server, nullptr), ipc_stream_split(pair.server, nullptr, nullptr),
        ipc_stream_split(pair.server, &half, &half)}) {
    EXPECT_EQ(IPC_INVALID_ARGUMENT, status.code);
  }
  EXPECT_EQ(0u, len_);
  EXPECT_STATUS(IPC_OK, ipc_stream_read(pair.server, data_, 0, 0, &len_));
  EXPECT_STATUS(IPC_OK, ipc_stream_write(pair.server, nullptr, 0, 0, &len_));
}

TEST_F(WindowsStreamTest, FramesTravel) {
  Pair pair;
  ipc_framing framing{};
  framing.size = sizeof framing;
  framing.codec = IPC_FRAMING_VARINT;
  framing.max = 100000;
  ipc_framed *sender, *receiver;
  ASSERT_STATUS(IPC_OK, ipc_framed_open(pair.client, &framing, &sender));
  ASSERT_STATUS(IPC_OK, ipc_framed_open(pair.server, &framing, &receiver));
  pair.client = pair.server = nullptr;
  const std::string large = pattern(90000);
  std::thread writer([&] {
    const ipc_const_buffer bodies[] = {{"first", 5}, {"", 0}, {large.data(), large.size()}};
    size_t num;
    EXPECT_STATUS(IPC_OK, ipc_framed_write(sender, bodies, 3, 20000, &num));
    EXPECT_EQ(3u, num);
    EXPECT_STATUS(IPC_OK, ipc_framed_free(sender));
  });
  std::vector<char> body(100000);
  EXPECT_STATUS(IPC_OK, ipc_framed_read(receiver, body.data(), body.size(), 20000, &len_));
  EXPECT_EQ("first", std::string(body.data(), len_));
  EXPECT_STATUS(IPC_OK, ipc_framed_read(receiver, body.data(), body.size(), 20000, &len_));
  EXPECT_EQ(0u, len_);
  EXPECT_STATUS(IPC_OK, ipc_framed_read(receiver, body.data(), body.size(), 20000, &len_));
  EXPECT_TRUE(large == std::string(body.data(), len_));
  EXPECT_STATUS(IPC_END, ipc_framed_read(receiver, body.data(), body.size(), 20000, &len_));
  writer.join();
  EXPECT_STATUS(IPC_OK, ipc_framed_free(receiver));
}

}  // namespace
