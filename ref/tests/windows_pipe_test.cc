// Unnamed pipes on Windows, and children that inherit an end. The program is its own child:
//
//   --write HANDLE LENGTH   adopts HANDLE and writes LENGTH bytes of the pattern
//   --read HANDLE LENGTH    adopts HANDLE, reads to the end, and succeeds if that was LENGTH bytes of the pattern
//   --copy                  copies standard input to standard output with the C run-time library
#include <fcntl.h>
#include <io.h>

#include <cstdio>
#include <cstdlib>

#include "ref/tests/windows_support.h"

namespace {

using namespace ref_tests;

class Child {
 public:
  Child(const std::string &arguments, bool standard = false, HANDLE in = nullptr, HANDLE out = nullptr) {
    char self[4 * MAX_PATH];
    GetModuleFileNameA(nullptr, self, sizeof self);
    std::string command = "\"" + std::string(self) + "\" " + arguments;
    STARTUPINFOA start{};
    start.cb = sizeof start;
    if (standard) {
      start.dwFlags = STARTF_USESTDHANDLES;
      start.hStdInput = in;
      start.hStdOutput = out;
    }
    PROCESS_INFORMATION made{};
    if (!CreateProcessA(self, command.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &start, &made)) {
      ADD_FAILURE() << "CreateProcess: " << GetLastError();
      return;
    }
    CloseHandle(made.hThread);
    process_ = made.hProcess;
  }
  ~Child() {
    if (process_ == nullptr) return;
    TerminateProcess(process_, 99);
    CloseHandle(process_);
  }
  DWORD wait() {
    DWORD code = 98;
    if (process_ == nullptr || WaitForSingleObject(process_, 20000) != WAIT_OBJECT_0) return 97;
    GetExitCodeProcess(process_, &code);
    return code;
  }
  void kill() { TerminateProcess(process_, 96); }

 private:
  HANDLE process_ = nullptr;
};

std::string number(HANDLE handle) { return std::to_string(reinterpret_cast<uintptr_t>(handle)); }

bool is_inherited(HANDLE handle) {
  DWORD flags = 0;
  EXPECT_TRUE(GetHandleInformation(handle, &flags));
  return (flags & HANDLE_FLAG_INHERIT) != 0;
}

class WindowsPipeTest : public HandleTest {
 protected:
  void TearDown() override {
    EXPECT_STATUS(IPC_OK, ipc_stream_free(reader_));
    EXPECT_STATUS(IPC_OK, ipc_stream_free(writer_));
    HandleTest::TearDown();
  }
  void make(uint32_t flags = 0, uint64_t capacity = 0) {
    const ipc_pipe_options options = {sizeof options, flags, capacity};
    ASSERT_STATUS(IPC_OK, ipc_pipe_create(&options, &reader_, &writer_));
  }
  void write(const std::string &bytes) {
    EXPECT_STATUS(IPC_OK, ipc_stream_write(writer_, bytes.data(), bytes.size(), 20000, &len_));
    EXPECT_EQ(bytes.size(), len_);
  }
  void close_writer() {
    EXPECT_STATUS(IPC_OK, ipc_stream_free(writer_));
    writer_ = nullptr;
  }
  void close_reader() {
    EXPECT_STATUS(IPC_OK, ipc_stream_free(reader_));
    reader_ = nullptr;
  }

  ipc_stream *reader_ = nullptr, *writer_ = nullptr;
  char data_[256] = {};
  size_t len_ = 0;
};

TEST_F(WindowsPipeTest, EachEndHasOneDirection) {
  make();
  ipc_stream *halves[2];
  ipc_credentials peer;
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_write(reader_, "x", 1, 0, &len_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_flush(reader_));
  EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_read(writer_, data_, 1, 0, &len_));
  for (ipc_stream *end : {reader_, writer_}) {
    EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_split(end, &halves[0], &halves[1]));
    EXPECT_STATUS(IPC_UNSUPPORTED, ipc_stream_peer_credentials(end, &peer));
  }
  write("works");
  EXPECT_STATUS(IPC_OK, ipc_stream_read(reader_, data_, 99, 20000, &len_));
  EXPECT_EQ("works", std::string(data_, len_));
}

TEST_F(WindowsPipeTest, EndComesAfterTheData) {
  for (const uint32_t flags :
       {0, static_cast<int>(IPC_PIPE_INHERIT_READER), static_cast<int>(IPC_PIPE_INHERIT_WRITER)}) {
    make(flags);
    write("bytes");
    close_writer();
    const Rest rest = read_rest(reader_, 2);
    EXPECT_EQ("bytes", rest.bytes);
    EXPECT_EQ(IPC_END, rest.code);
    EXPECT_STATUS(IPC_END, ipc_stream_read(reader_, data_, 1, 0, &len_));
    close_reader();
  }
}

TEST_F(WindowsPipeTest, NoReaderIsABrokenPipe) {
  for (const uint32_t flags : {0, static_cast<int>(IPC_PIPE_INHERIT_WRITER)}) {
    for (const bool nonblocking : {false, true}) {
      make(flags);
      EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(writer_, nonblocking));
      close_reader();
      for (int i = 0; i < 3; i++) {
        EXPECT_STATUS(IPC_BROKEN_PIPE, ipc_stream_write(writer_, "x", 1, 20000, &len_));
        EXPECT_EQ(0u, len_);
      }
      close_writer();
    }
  }
}

TEST_F(WindowsPipeTest, CapacityIsAHint) {
  make(0, 262144);
  EXPECT_STATUS(IPC_OK, ipc_stream_set_nonblocking(writer_, true));
  const std::string sent = pattern(262144);
  size_t taken = 0;
  while (taken < sent.size() &&
         ipc_stream_write(writer_, sent.data() + taken, sent.size() - taken, 0, &len_).code == IPC_OK) {
    taken += len_;
  }
  EXPECT_EQ(sent.size(), taken);
  close_writer();
  EXPECT_TRUE(sent == read_rest(reader_).bytes);
  close_reader();
  for (const uint64_t capacity : {uint64_t{1}, UINT64_MAX}) {
    make(0, capacity);
    std::thread writer([&] { write(sent); });
    std::string got;
    std::vector<char> block(9999);
    while (got.size() < sent.size()) {
      size_t len;
      ASSERT_STATUS(IPC_OK, ipc_stream_read(reader_, block.data(), block.size(), 20000, &len));
      got.append(block.data(), len);
    }
    writer.join();
    EXPECT_TRUE(sent == got);
    close_writer();
    close_reader();
  }
}

TEST_F(WindowsPipeTest, OnlyWhatWasAskedForIsInherited) {
  for (const uint32_t flags : {0, 1, 2, 3}) {
    make(flags);
    EXPECT_EQ((flags & IPC_PIPE_INHERIT_READER) != 0, is_inherited(raw_handle(reader_)));
    EXPECT_EQ((flags & IPC_PIPE_INHERIT_WRITER) != 0, is_inherited(raw_handle(writer_)));
    close_reader();
    close_writer();
  }
}

TEST_F(WindowsPipeTest, ParentReadsWhatItsChildWrites) {
  for (const size_t length : {5, 1 << 20}) {
    make(IPC_PIPE_INHERIT_WRITER);
    Child child("--write " + number(raw_handle(writer_)) + " " + std::to_string(length));
    close_writer();
    const Rest rest = read_rest(reader_);
    EXPECT_EQ(IPC_END, rest.code);
    EXPECT_TRUE(pattern(length) == rest.bytes) << rest.bytes.size();
    EXPECT_EQ(0u, child.wait());
    close_reader();
  }
}

TEST_F(WindowsPipeTest, ChildReadsWhatItsParentWrites) {
  for (const size_t length : {5, 1 << 20}) {
    make(IPC_PIPE_INHERIT_READER);
    Child child("--read " + number(raw_handle(reader_)) + " " + std::to_string(length));
    close_reader();
    write(pattern(length));
    close_writer();
    EXPECT_EQ(0u, child.wait());
  }
}

TEST_F(WindowsPipeTest, AnEndThatWasNotAskedForStaysBehind) {
  make(IPC_PIPE_INHERIT_READER);
  Child writer("--write " + number(raw_handle(writer_)) + " 5");
  EXPECT_EQ(3u, writer.wait()) << "a child adopted what it should not have";
  close_writer();
  EXPECT_STATUS(IPC_END, ipc_stream_read(reader_, data_, 1, 20000, &len_));
}

TEST_F(WindowsPipeTest, EndComesWhenTheChildIsKilled) {
  make(IPC_PIPE_INHERIT_WRITER);
  Child child("--write " + number(raw_handle(writer_)) + " 1000000");
  close_writer();
  ASSERT_TRUE(comes_true([&] { return available(reader_) != 0; }));
  child.kill();
  const Rest rest = read_rest(reader_);
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_TRUE(pattern(1000000).substr(0, rest.bytes.size()) == rest.bytes);
}

// A child that knows nothing of this library has its standard streams on the ends.
TEST_F(WindowsPipeTest, StandardStreamsOfAChild) {
  make(IPC_PIPE_INHERIT_READER);
  const ipc_pipe_options options = {sizeof options, IPC_PIPE_INHERIT_WRITER, 0};
  ipc_stream *answer, *answer_end;
  ASSERT_STATUS(IPC_OK, ipc_pipe_create(&options, &answer, &answer_end));
  Child child("--copy", true, raw_handle(reader_), raw_handle(answer_end));
  close_reader();
  EXPECT_STATUS(IPC_OK, ipc_stream_free(answer_end));
  const std::string sent = pattern(300000);
  std::thread writer([&] {
    write(sent);
    close_writer();
  });
  const Rest rest = read_rest(answer);
  writer.join();
  EXPECT_EQ(IPC_END, rest.code);
  EXPECT_TRUE(sent == rest.bytes) << rest.bytes.size();
  EXPECT_EQ(0u, child.wait());
  EXPECT_STATUS(IPC_OK, ipc_stream_free(answer));
}

TEST_F(WindowsPipeTest, ArgumentsAreChecked) {
  ipc_pipe_options options{};
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(&options, &reader_, &writer_));
  options.size = sizeof options;
  options.flags = 4;
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(&options, &reader_, &writer_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(nullptr, nullptr, &writer_));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(nullptr, &reader_, nullptr));
  EXPECT_STATUS(IPC_INVALID_ARGUMENT, ipc_pipe_create(nullptr, &reader_, &reader_));
  EXPECT_EQ(nullptr, reader_);
}

ipc_stream *adopt(const char *value) {
  const ipc_raw raw = {IPC_RAW_HANDLE, std::strtoull(value, nullptr, 10)};
  ipc_stream *stream;
  return ipc_stream_adopt(&raw, &stream).code == IPC_OK ? stream : nullptr;
}

int write_as_child(const char *value, size_t length) {
  ipc_stream *stream = adopt(value);
  if (stream == nullptr) return 3;
  const std::string bytes = pattern(length);
  size_t len;
  const ipc_status status = ipc_stream_write(stream, bytes.data(), bytes.size(), 20000, &len);
  ipc_stream_free(stream);
  return status.code == IPC_OK ? 0 : 4;
}

int read_as_child(const char *value, size_t length) {
  ipc_stream *stream = adopt(value);
  if (stream == nullptr) return 3;
  const Rest rest = read_rest(stream);
  ipc_stream_free(stream);
  return rest.code == IPC_END && rest.bytes == pattern(length) ? 0 : 5;
}

int copy_as_child() {
  _setmode(_fileno(stdin), _O_BINARY);
  _setmode(_fileno(stdout), _O_BINARY);
  char block[5000];
  for (size_t n; (n = std::fread(block, 1, sizeof block, stdin)) != 0;) {
    if (std::fwrite(block, 1, n, stdout) != n) return 6;
  }
  return std::ferror(stdin) != 0 || std::fflush(stdout) != 0 ? 7 : 0;
}

}  // namespace

int main(int argc, char **argv) {
  const std::string role = argc > 1 ? argv[1] : "";
  if (role == "--write") return write_as_child(argv[2], std::strtoul(argv[3], nullptr, 10));
  if (role == "--read") return read_as_child(argv[2], std::strtoul(argv[3], nullptr, 10));
  if (role == "--copy") return copy_as_child();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
