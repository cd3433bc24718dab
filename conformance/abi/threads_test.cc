// Handles that several threads use at once. spec/abi.md, AbiThreads.
#include <algorithm>
#include <array>
#include <memory>
#include <thread>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"
#include "conformance/abi/waiting.h"

namespace {

using cts::abi::Open;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::StatusText;
using cts::abi::Waiting;

constexpr size_t kBulk = size_t{1} << 20;  // bytes: several times what a system holds between two ends
constexpr size_t kPiece = 4096;
constexpr int kRaces = 50;

/// Byte number `at` of writer number `writer`.
char ByteOf(int writer, size_t at) { return static_cast<char>(writer * 64 + at % 61); }

std::string BytesOf(int writer, size_t from, size_t length) {
  std::string bytes(length, 0);
  for (size_t i = 0; i < length; i++) bytes[i] = ByteOf(writer, from + i);
  return bytes;
}

/// Writes `length` bytes of `writer`, piece by piece; tells what went wrong.
std::string WriteBulk(const ipc_table &table, ipc_stream *stream, int writer, size_t length) {
  for (size_t at = 0; at < length; at += kPiece) {
    const std::string piece = BytesOf(writer, at, std::min(kPiece, length - at));
    size_t len = 0;
    const ipc_status status = table.stream_write(stream, piece.data(), piece.size(), IPC_NO_TIMEOUT, &len);
    if (status.code != IPC_OK || len != piece.size()) return "a write: " + StatusText(status);
  }
  return "";
}

/// Reads to the end, counting the bytes of two writers; tells what went wrong.
std::string CountBulk(const ipc_table &table, ipc_stream *stream, std::array<size_t, 2> *counts) {
  std::vector<char> room(kPiece);
  for (;;) {
    size_t len = 0;
    const ipc_status status = table.stream_read(stream, room.data(), room.size(), IPC_NO_TIMEOUT, &len);
    if (status.code == IPC_END) return "";
    if (status.code != IPC_OK || len == 0 || len > room.size()) return "a read: " + StatusText(status);
    for (size_t i = 0; i < len; i++) (*counts)[(room[i] & 0x40) != 0]++;
  }
}

/// Reads `length` bytes of `writer` and compares each; tells what went wrong.
std::string ReadBulk(const ipc_table &table, ipc_stream *stream, int writer, size_t length) {
  std::vector<char> room(kPiece);
  for (size_t at = 0; at < length;) {
    size_t len = 0;
    const ipc_status status =
        table.stream_read(stream, room.data(), std::min(room.size(), length - at), IPC_NO_TIMEOUT, &len);
    if (status.code != IPC_OK || len == 0 || len > room.size()) return "a read: " + StatusText(status);
    if (std::string(room.data(), len) != BytesOf(writer, at, len)) return "other bytes behind " + std::to_string(at);
    at += len;
  }
  return "";
}

const ipc_table &Table() { return cts::abi::TheLibrary().table(); }

/// Ends the loop in a thread before the loop goes.
ipc_submission TimerOf(uint64_t token, int64_t timeout_ms) {
  ipc_submission timer = {};
  timer.size = sizeof timer;
  timer.operation = IPC_SUBMIT_TIMER;
  timer.token = token;
  timer.timeout_ms = timeout_ms;
  return timer;
}

}  // namespace

CTS_CASE(AbiThreads, OneReadsWhileAnotherWrites) {
  (void)LIB(stream_read);
  (void)LIB(stream_write);
  Pair pair = stream_pair();
  std::array<std::string, 4> wrong;
  step("a mebibyte each way at once");
  std::thread threads[] = {
      std::thread([&] { wrong[0] = WriteBulk(Table(), pair.writer.get(), 0, kBulk); }),
      std::thread([&] { wrong[1] = ReadBulk(Table(), pair.reader.get(), 0, kBulk); }),
      std::thread([&] { wrong[2] = WriteBulk(Table(), pair.reader.get(), 1, kBulk); }),
      std::thread([&] { wrong[3] = ReadBulk(Table(), pair.writer.get(), 1, kBulk); }),
  };
  for (std::thread &thread : threads) thread.join();
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
}

CTS_CASE(AbiThreads, HalvesAreUsedByTwoThreads) {
  Pair pair = stream_pair();
  ipc_stream *reading = nullptr, *writing = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_split)(pair.reader.get(), &reading, &writing));
  pair.reader.reset();
  std::array<std::string, 4> wrong;
  std::thread threads[] = {
      std::thread([&] {
        wrong[0] = WriteBulk(Table(), writing, 1, kBulk);
        Table().stream_free(writing);
      }),
      std::thread([&] {
        wrong[1] = ReadBulk(Table(), reading, 0, kBulk);
        Table().stream_free(reading);
      }),
      std::thread([&] { wrong[2] = WriteBulk(Table(), pair.writer.get(), 0, kBulk); }),
      std::thread([&] { wrong[3] = ReadBulk(Table(), pair.writer.get(), 1, kBulk); }),
  };
  for (std::thread &thread : threads) thread.join();
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
  EXPECT_EQ(read_to_end(pair.writer.get()), "");
}

CTS_CASE(AbiThreads, TwoWritersLoseNothing) {
  (void)LIB(stream_read);
  (void)LIB(stream_write);
  Pair pair = stream_pair();
  std::array<std::string, 3> wrong;
  std::array<size_t, 2> counts = {};
  std::thread reader([&] { wrong[2] = CountBulk(Table(), pair.reader.get(), &counts); });
  std::thread writers[] = {
      std::thread([&] { wrong[0] = WriteBulk(Table(), pair.writer.get(), 0, kBulk / 4); }),
      std::thread([&] { wrong[1] = WriteBulk(Table(), pair.writer.get(), 1, kBulk / 4); }),
  };
  for (std::thread &writer : writers) writer.join();
  pair.writer.reset();
  reader.join();
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
  EXPECT_EQ(counts[0], kBulk / 4);
  EXPECT_EQ(counts[1], kBulk / 4);
}

CTS_CASE(AbiThreads, TwoReadersShareEverything) {
  (void)LIB(stream_read);
  (void)LIB(stream_write);
  Pair pair = stream_pair();
  std::array<std::string, 3> wrong;
  std::array<size_t, 2> one = {}, two = {};
  std::thread readers[] = {
      std::thread([&] { wrong[0] = CountBulk(Table(), pair.reader.get(), &one); }),
      std::thread([&] { wrong[1] = CountBulk(Table(), pair.reader.get(), &two); }),
  };
  wrong[2] = WriteBulk(Table(), pair.writer.get(), 0, kBulk / 2);
  pair.writer.reset();  // the end is for both
  for (std::thread &reader : readers) reader.join();
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
  EXPECT_EQ(one[0] + two[0], kBulk / 2);
}

CTS_CASE(AbiThreads, ManyConnectAndAccept) {
  constexpr int kThreads = 4, kConnections = 8;
  (void)LIB(local_connect);
  (void)LIB(listener_accept);
  auto listener = listen();
  const cts::abi::Name name = address_of(listener.get());
  std::array<std::string, 2 * kThreads> wrong;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kConnections && wrong[t].empty(); i++) {
        ipc_stream *stream = nullptr;
        const ipc_name bytes = name.get();
        const ipc_status status = Table().local_connect(&bytes, IPC_NO_TIMEOUT, &stream);
        if (status.code != IPC_OK) wrong[t] = "a connect: " + StatusText(status);
        if (wrong[t].empty()) wrong[t] = WriteBulk(Table(), stream, t & 1, 100);
        if (wrong[t].empty()) wrong[t] = ReadBulk(Table(), stream, 1, 50);
        if (stream != nullptr) Table().stream_free(stream);
      }
    });
    threads.emplace_back([&, t] {
      std::string &mine = wrong[kThreads + t];
      for (int i = 0; i < kConnections && mine.empty(); i++) {
        ipc_stream *stream = nullptr;
        const ipc_status status = Table().listener_accept(listener.get(), IPC_NO_TIMEOUT, &stream);
        if (status.code != IPC_OK) mine = "an accept: " + StatusText(status);
        if (mine.empty()) mine = WriteBulk(Table(), stream, 1, 50);
        std::array<size_t, 2> counts = {};
        if (mine.empty()) mine = CountBulk(Table(), stream, &counts);
        if (mine.empty() && counts[0] + counts[1] != 100) mine = "a connection lost bytes";
        if (stream != nullptr) Table().stream_free(stream);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
}

CTS_CASE(AbiThreads, PureFunctionsRunAtOnce) {
  (void)LIB(name_native);
  (void)LIB(name_parse);
  constexpr int kThreads = 4;
  std::array<int, kThreads> wrong = {};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      const std::string path = "/some/name/" + std::to_string(t);
      for (int i = 0; i < 1000; i++) {
        char room[64];
        size_t len = 0;
        uint32_t kind = 0;
        const ipc_name name = {IPC_NAME_PATH, path.data(), path.size()};
        wrong[t] += Table().name_native(&name, IPC_OS_LINUX, room, sizeof room, &len).code != IPC_OK ||
                    std::string(room, len) != path;
        wrong[t] += Table().name_parse(path.data(), path.size(), &kind, room, sizeof room, &len).code != IPC_OK ||
                    std::string(room, len) != path;
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (int count : wrong) EXPECT_EQ(count, 0);
}

// ----------------------------------------------------------------------------------------- closing what is in use

CTS_CASE(AbiThreads, CloseEndsAWaitingRead) {
  auto read = LIB(stream_read);
  auto close = LIB(stream_close);
  const std::set<int> before = cts::abi::Descriptors();
  Pair pair = stream_pair();
  char byte;
  size_t len = 7;
  Waiting waiting([&] { return read(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len); });
  waiting.UntilItWaits();
  step("the close of a stream that is read");
  EXPECT_STATUS(IPC_OK, close(pair.reader.get()));
  EXPECT_STATUS(IPC_CANCELLED, waiting.Join());
  EXPECT_EQ(len, 0u);
  EXPECT_STATUS(IPC_CLOSED, read(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len));
  pair = Pair();
  EXPECT_EQ(cts::abi::Descriptors(), before) << "what the wait had opened is still open";
}

CTS_CASE(AbiThreads, CloseEndsAWaitingWrite) {
  auto write = LIB(stream_write);
  auto close = LIB(stream_close);
  Pair pair = stream_pair();
  const std::string bytes(16 * kBulk, 'x');
  size_t len = 0;
  Waiting waiting([&] { return write(pair.writer.get(), bytes.data(), bytes.size(), IPC_NO_TIMEOUT, &len); });
  waiting.UntilItWaits();
  step("the close of a stream that is written");
  EXPECT_STATUS(IPC_OK, close(pair.writer.get()));
  EXPECT_STATUS(IPC_CANCELLED, waiting.Join());
  EXPECT_GT(len, 0u);
  EXPECT_LT(len, bytes.size());
  EXPECT_EQ(read_to_end(pair.reader.get()).size(), len) << "the length is what was taken";
}

CTS_CASE(AbiThreads, CloseEndsAWaitingAccept) {
  auto accept_next = LIB(listener_accept);
  auto close = LIB(listener_close);
  auto listener = listen();
  ipc_stream *stream = reinterpret_cast<ipc_stream *>(&listener);
  Waiting waiting([&] { return accept_next(listener.get(), IPC_NO_TIMEOUT, &stream); });
  waiting.UntilItWaits();
  step("the close of a listener that accepts");
  EXPECT_STATUS(IPC_OK, close(listener.get()));
  EXPECT_STATUS(IPC_CANCELLED, waiting.Join());
  EXPECT_EQ(stream, nullptr);
}

CTS_CASE(AbiThreads, CloseOfAHalfLeavesTheOtherWaiting) {
  auto read = LIB(stream_read);
  auto close = LIB(stream_close);
  Pair pair = stream_pair();
  ipc_stream *reading = nullptr, *writing = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_split)(pair.reader.get(), &reading, &writing));
  Owned<ipc_stream> reader(reading), writer(writing);
  char byte = 0;
  size_t len = 7;
  Waiting waiting([&] { return read(reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len); });
  waiting.UntilItWaits();
  EXPECT_STATUS(IPC_OK, close(writer.get()));
  waiting.UntilItWaits();
  write_all(pair.writer.get(), "x");
  EXPECT_STATUS(IPC_OK, waiting.Join());
  EXPECT_EQ(std::string(&byte, len), "x");
}

CTS_CASE(AbiThreads, SplitOfAStreamInUseIsBusy) {
  auto read = LIB(stream_read);
  auto split = LIB(stream_split);
  Pair pair = stream_pair();
  char byte = 0;
  size_t len = 7;
  Waiting waiting([&] { return read(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len); });
  waiting.UntilItWaits();
  ipc_stream *one = reinterpret_cast<ipc_stream *>(&byte), *two = one;
  EXPECT_STATUS(IPC_BUSY, split(pair.reader.get(), &one, &two));
  EXPECT_EQ(one, nullptr);
  EXPECT_EQ(two, nullptr);
  write_all(pair.writer.get(), "x");
  EXPECT_STATUS(IPC_OK, waiting.Join()) << "the read that was under way";
  EXPECT_EQ(len, 1u);
}

CTS_CASE(AbiThreads, CloseAgainstCalls) {
  auto read = LIB(stream_read);
  auto close = LIB(stream_close);
  for (int i = 0; i < kRaces; i++) {
    step("race " + std::to_string(i));
    Pair pair = stream_pair();
    write_all(pair.writer.get(), "0123456789");
    std::atomic<bool> begun{false};
    ipc_status last = {};
    std::thread reader([&] {
      char byte;
      size_t len;
      do {
        last = read(pair.reader.get(), &byte, 1, IPC_NO_TIMEOUT, &len);
        begun = true;
      } while (last.code == IPC_OK);
    });
    while (!begun) std::this_thread::yield();
    const ipc_status closed = close(pair.reader.get());
    reader.join();
    EXPECT_STATUS(IPC_OK, closed);
    EXPECT_STATUS_IN((IPC_CANCELLED, IPC_CLOSED), last) << "the read that met the close";
    if (HasFailure()) return;
  }
}

CTS_CASE(AbiThreads, OneOfTwoClosesWins) {
  auto close = LIB(stream_close);
  for (int i = 0; i < kRaces; i++) {
    step("race " + std::to_string(i));
    Pair pair = stream_pair();
    std::atomic<int> ready{0};
    std::array<ipc_status, 2> statuses = {};
    auto body = [&](int which) {
      ready++;
      while (ready < 2) std::this_thread::yield();
      statuses[which] = close(pair.reader.get());
    };
    std::thread one(body, 0), two(body, 1);
    one.join();
    two.join();
    const bool right = (statuses[0].code == IPC_OK && statuses[1].code == IPC_CLOSED) ||
                       (statuses[1].code == IPC_OK && statuses[0].code == IPC_CLOSED);
    EXPECT_TRUE(right) << StatusText(statuses[0]) << " and " << StatusText(statuses[1]);
    if (!right) return;
  }
}

CTS_CASE(AbiThreads, ReadersOfFramesTakeTurns) {
  auto read = LIB(framed_read);
  constexpr int kReaders = 4;
  Open open = open_handle("framed");
  auto *framed = static_cast<ipc_framed *>(open.handle);
  std::array<char, kReaders> bodies = {};
  std::array<size_t, kReaders> lengths = {};
  std::vector<std::unique_ptr<Waiting>> readers;
  for (int i = 0; i < kReaders; i++) {
    readers.push_back(
        std::make_unique<Waiting>([&, i] { return read(framed, &bodies[i], 1, IPC_NO_TIMEOUT, &lengths[i]); }));
    readers.back()->UntilItWaits();
  }
  step("frames, one for each");
  for (int i = 0; i < kReaders; i++) write_all(open.pair.writer.get(), std::string("\0\0\0\1", 4) + char('a' + i));
  for (auto &reader : readers) EXPECT_STATUS(IPC_OK, reader->Join());
  std::sort(bodies.begin(), bodies.end());
  EXPECT_EQ(std::string(bodies.data(), kReaders), "abcd");
}

CTS_CASE(AbiThreads, SecondConnectOfASocketIsBusy) {
  auto connect_socket = LIB(socket_connect);
  const auto [name, listener, clients] = full_backlog();
  const ipc_name bytes = name.get();
  ipc_socket *last = clients.back().get();
  Waiting waiting([&] { return connect_socket(last, &bytes, IPC_NO_TIMEOUT); });
  waiting.UntilItWaits();
  step("a connect while another one of that socket waits");
  EXPECT_STATUS(IPC_BUSY, connect_socket(last, &bytes, 0));
  ipc_socket *accepted = nullptr;
  for (size_t i = 0; i < clients.size(); i++) {
    EXPECT_STATUS(IPC_OK, LIB(listener_accept_socket)(listener.get(), IPC_NO_TIMEOUT, &accepted));
    Owned<ipc_socket>(accepted).reset();
  }
  EXPECT_STATUS(IPC_OK, waiting.Join());
  EXPECT_STATUS(IPC_ALREADY_CONNECTED, connect_socket(last, &bytes, 0));
}

// ------------------------------------------------------------------------------------------------------- loops

CTS_CASE(AbiThreads, LoopIsFreedWhileHandlesClose) {
  auto submit = LIB(loop_submit);
  auto free_loop = LIB(loop_free);
  auto close = LIB(stream_close);
  for (int i = 0; i < 4 * kRaces; i++) {  // each is over at once, and most of them are not close
    step("race " + std::to_string(i));
    Open open = open_handle("loop");
    auto *loop = static_cast<ipc_loop *>(open.handle);
    std::vector<Pair> pairs;
    char byte = 0;
    const ipc_buffer into = {&byte, 1};
    for (uint64_t token = 0; token < 4; token++) {
      pairs.push_back(stream_pair());
      ipc_submission read = {};
      read.size = sizeof read;
      read.operation = IPC_SUBMIT_READ;
      read.token = token;
      read.timeout_ms = IPC_NO_TIMEOUT;
      read.stream = pairs.back().reader.get();
      read.buffers = &into;
      read.num_buffers = 1;
      ASSERT_STATUS(IPC_OK, submit(loop, &read));
    }
    std::atomic<int> ready{0};
    auto both = [&] {
      ready++;
      while (ready < 2) std::this_thread::yield();
    };
    std::thread closing([&] {
      both();
      for (Pair &pair : pairs) (void)close(pair.reader.get());
    });
    open.forget();
    both();
    EXPECT_STATUS(IPC_OK, free_loop(loop));
    closing.join();
  }
}

CTS_CASE(AbiThreads, WakeEndsAWait) {
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  auto wait = LIB(loop_wait);
  ipc_completion completion;
  size_t number = 7;
  Waiting waiting([&] { return wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number); });
  waiting.UntilItWaits();
  EXPECT_STATUS(IPC_OK, LIB(loop_wake)(loop));
  EXPECT_STATUS(IPC_INTERRUPTED, waiting.Join());
  EXPECT_EQ(number, 0u);
}

CTS_CASE(AbiThreads, OneThreadWaitsForALoop) {
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  auto wait = LIB(loop_wait);
  ipc_completion completion, other;
  size_t number = 0, other_number = 7;
  Waiting waiting([&] { return wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number); });
  waiting.UntilItWaits();
  EXPECT_STATUS(IPC_BUSY, wait(loop, IPC_NO_TIMEOUT, &other, 1, &other_number));
  EXPECT_EQ(other_number, 0u);
  EXPECT_STATUS(IPC_OK, LIB(loop_wake)(loop));
  EXPECT_STATUS(IPC_INTERRUPTED, waiting.Join());
}

CTS_CASE(AbiThreads, SubmitFromAnotherThread) {
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  auto wait = LIB(loop_wait);
  ipc_completion completion = {};
  size_t number = 0;
  Waiting waiting([&] { return wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number); });
  waiting.UntilItWaits();
  const ipc_submission timer = TimerOf(7, 0);
  EXPECT_STATUS(IPC_OK, LIB(loop_submit)(loop, &timer));
  EXPECT_STATUS(IPC_OK, waiting.Join());
  EXPECT_EQ(number, 1u);
  EXPECT_EQ(completion.token, 7u);
  EXPECT_STATUS(IPC_TIMED_OUT, completion.status);
}

CTS_CASE(AbiThreads, CancelFromAnotherThread) {
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  auto wait = LIB(loop_wait);
  const ipc_submission timer = TimerOf(7, IPC_NO_TIMEOUT);
  ASSERT_STATUS(IPC_OK, LIB(loop_submit)(loop, &timer));
  ipc_completion completion = {};
  size_t number = 0;
  Waiting waiting([&] { return wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number); });
  waiting.UntilItWaits();
  EXPECT_STATUS(IPC_OK, LIB(loop_cancel)(loop, 7));
  EXPECT_STATUS(IPC_OK, waiting.Join());
  EXPECT_EQ(number, 1u);
  EXPECT_STATUS(IPC_CANCELLED, completion.status);
  EXPECT_STATUS(IPC_NOT_FOUND, LIB(loop_cancel)(loop, 7)) << "it has completed";
}

CTS_CASE(AbiThreads, CloseEndsAWaitForALoop) {
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  auto wait = LIB(loop_wait);
  ipc_completion completion;
  size_t number = 7;
  Waiting waiting([&] { return wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number); });
  waiting.UntilItWaits();
  EXPECT_STATUS(IPC_OK, LIB(loop_close)(loop));
  EXPECT_STATUS(IPC_CLOSED, waiting.Join());
  EXPECT_EQ(number, 0u);
}

CTS_CASE(AbiThreads, EachThreadHasItsLoop) {
  constexpr int kThreads = 4, kMessages = 100;
  (void)LIB(loop_submit);
  (void)LIB(loop_wait);
  std::vector<Pair> pairs;
  std::vector<Open> loops;
  for (int t = 0; t < kThreads; t++) {
    pairs.push_back(stream_pair());
    loops.push_back(open_handle("loop"));
  }
  std::array<std::string, kThreads> wrong;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([&, t] {
      auto *loop = static_cast<ipc_loop *>(loops[t].handle);
      for (int i = 0; i < kMessages && wrong[t].empty(); i++) {
        char sent = ByteOf(0, t + i), got = 0;
        const ipc_buffer into = {&got, 1};
        const ipc_const_buffer from = {&sent, 1};
        ipc_submission read = {};
        read.size = sizeof read;
        read.operation = IPC_SUBMIT_READ;
        read.token = 1;
        read.timeout_ms = IPC_NO_TIMEOUT;
        read.num_buffers = 1;
        ipc_submission write = read;
        read.stream = pairs[t].reader.get();
        read.buffers = &into;
        write.operation = IPC_SUBMIT_WRITE;
        write.token = 2;
        write.stream = pairs[t].writer.get();
        write.const_buffers = &from;
        if (Table().loop_submit(loop, &read).code != IPC_OK || Table().loop_submit(loop, &write).code != IPC_OK)
          wrong[t] = "a submit failed";
        for (int left = wrong[t].empty() ? 2 : 0; left > 0;) {
          ipc_completion completions[2];
          size_t number = 0;
          const ipc_status status = Table().loop_wait(loop, IPC_NO_TIMEOUT, completions, 2, &number);
          if (status.code != IPC_OK) wrong[t] = "a wait: " + StatusText(status);
          for (size_t c = 0; c < number; c++) {
            if (completions[c].status.code != IPC_OK || completions[c].len != 1) wrong[t] = "a completion failed";
          }
          left = wrong[t].empty() ? left - static_cast<int>(number) : 0;
        }
        if (wrong[t].empty() && got != sent) wrong[t] = "another loop's byte";
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
}

CTS_CASE(AbiThreads, TwoLoopsShareAStream) {
  Pair pair = stream_pair();
  Open one = open_handle("loop"), two = open_handle("loop");
  char bytes[2] = {};
  for (int i = 0; i < 2; i++) {
    ipc_buffer into = {&bytes[i], 1};
    ipc_submission read = {};
    read.size = sizeof read;
    read.operation = IPC_SUBMIT_READ;
    read.token = 1;
    read.timeout_ms = IPC_NO_TIMEOUT;
    read.num_buffers = 1;
    read.buffers = &into;
    read.stream = pair.reader.get();
    ASSERT_STATUS(IPC_OK, LIB(loop_submit)(static_cast<ipc_loop *>((i == 0 ? one : two).handle), &read));
    // The read is in the loop; what it points to has to stay: this one's turn ends with the close below.
    ipc_completion completion = {};
    size_t number = 0;
    if (i == 0) {
      write_all(pair.writer.get(), "a");
      ASSERT_STATUS(IPC_OK,
                    LIB(loop_wait)(static_cast<ipc_loop *>(one.handle), IPC_NO_TIMEOUT, &completion, 1, &number));
      EXPECT_STATUS(IPC_OK, completion.status);
      EXPECT_EQ(bytes[0], 'a');
    } else {
      EXPECT_STATUS(IPC_OK, LIB(stream_close)(pair.reader.get()));
      ASSERT_STATUS(IPC_OK,
                    LIB(loop_wait)(static_cast<ipc_loop *>(two.handle), IPC_NO_TIMEOUT, &completion, 1, &number));
      EXPECT_STATUS(IPC_CANCELLED, completion.status);
    }
  }
}

CTS_CASE(AbiThreads, CloseIsOfEffectThoughALoopWaits) {
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  auto close_stream = LIB(stream_close);
  auto read = LIB(stream_read);
  Open open = open_handle("loop");
  auto *loop = static_cast<ipc_loop *>(open.handle);
  for (int i = 0; i < kRaces && !HasFailure(); i++) {
    Pair pair = stream_pair();
    char byte = 0;
    size_t len = 0, number = 0;
    const ipc_buffer into = {&byte, 1};
    ipc_submission submission = {};
    submission.size = sizeof submission;
    submission.operation = IPC_SUBMIT_READ;
    submission.timeout_ms = IPC_NO_TIMEOUT;
    submission.stream = pair.reader.get();
    submission.buffers = &into;
    submission.num_buffers = 1;
    ASSERT_STATUS(IPC_OK, submit(loop, &submission));
    ipc_completion completion = {};
    Waiting waiting([&] { return wait(loop, IPC_NO_TIMEOUT, &completion, 1, &number); });
    waiting.UntilItWaits();
    EXPECT_STATUS(IPC_OK, close_stream(pair.reader.get()));
    EXPECT_STATUS(IPC_END, read(pair.writer.get(), &byte, 1, 0, &len)) << "the other end, right after the close";
    EXPECT_STATUS(IPC_OK, waiting.Join());
    EXPECT_STATUS(IPC_CANCELLED, completion.status);
  }
}

CTS_CASE(AbiThreads, FloodEndsNoTimeout) {
  constexpr size_t kBody = 32 * kBulk;
  constexpr int kTimeoutsMin = 4;  // of a millisecond: no system moves that much in so few
  auto read = LIB(framed_read);
  Pair pair = stream_pair();
  ipc_framing framing = cts::abi::PlainFraming();
  framing.max = kBody;
  ipc_framed *framed = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(framed_open)(pair.reader.get(), &framing, &framed));
  (void)pair.reader.release();  // the framed stream's
  Owned<ipc_framed> owned(framed);
  const unsigned char header[] = {kBody >> 24, (kBody >> 16) & 0xff, 0, 0};
  write_all(pair.writer.get(), std::string(reinterpret_cast<const char *>(header), sizeof header));
  const std::string piece = BytesOf(0, 0, kBulk);
  std::string wrong;
  std::thread writer([&] {  // it never sleeps, so that the reader never finds nothing
    for (size_t at = 0, sent = 0; at < kBody && wrong.empty(); at += sent) {
      const size_t from = at % kBulk;
      const ipc_status status = Table().stream_write(pair.writer.get(), piece.data() + from, kBulk - from, 0, &sent);
      if (status.code != IPC_OK && status.code != IPC_TIMED_OUT) wrong = "a write: " + StatusText(status);
    }
  });
  std::string body(kBody, 0);
  size_t len = 7;
  int timeouts = 0;
  ipc_status status = {};
  do {
    status = read(framed, &body[0], body.size(), 1, &len);
    timeouts += status.code == IPC_TIMED_OUT;
  } while (status.code == IPC_TIMED_OUT);
  writer.join();
  EXPECT_STATUS(IPC_OK, status);
  EXPECT_EQ(wrong, "");
  EXPECT_EQ(len, kBody);
  for (size_t at = 0; at < kBody; at += kBulk) {
    ASSERT_EQ(body.compare(at, kBulk, piece), 0) << "other bytes than were sent, behind " << at;
  }
  EXPECT_GT(timeouts, kTimeoutsMin) << "reads of what arrives for far longer than their timeout";
}

CTS_CASE(AbiThreads, WholeMessagesAreLeftWhole) {
  constexpr int kMessages = 10000;
  constexpr size_t kLong = 100;
  auto receive = LIB(socket_receive);
  auto send = LIB(socket_send);
  Sockets sockets = socket_pair();
  std::atomic<int> came{0};
  std::array<std::string, 2> wrong;
  // One has room for every message, the other for every second: it leaves the long ones to be received by the first.
  auto receiving = [&](std::string *what, size_t room) {
    std::string bytes(room, 0);
    const ipc_buffer into = {&bytes[0], room};
    while (came < kMessages) {
      ipc_received received = {};
      received.size = sizeof received;
      const ipc_status status = receive(sockets.receiver.get(), IPC_RECEIVE_WHOLE, &into, 1, &received, nullptr, 1);
      if (status.code == IPC_OK) {
        came++;
      } else if (status.code == IPC_MESSAGE_TRUNCATED ? room == kLong || received.len != 0
                                                      : status.code != IPC_TIMED_OUT) {
        *what = "a receive: " + StatusText(status) + " with " + std::to_string(received.len) + " bytes";
        came++;  // it is gone
      }
    }
  };
  std::thread all([&] { receiving(&wrong[0], kLong); });
  std::thread half([&] { receiving(&wrong[1], 1); });
  const std::string bytes(kLong, 'x');
  ipc_status status = {};
  for (int i = 0; i < kMessages && status.code == IPC_OK; i++) {
    const ipc_const_buffer from = {bytes.data(), i % 2 == 0 ? kLong : 1};
    status = send(sockets.sender.get(), &from, 1, nullptr, nullptr, IPC_NO_TIMEOUT);
  }
  all.join();
  half.join();
  EXPECT_STATUS(IPC_OK, status);
  for (const std::string &each : wrong) EXPECT_EQ(each, "");
}
