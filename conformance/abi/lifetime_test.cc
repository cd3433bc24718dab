// How handles begin and end, and what they leave behind. spec/abi.md, AbiLifetime.
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"
#include "conformance/abi/memory.h"

namespace {

using cts::abi::Call;
using cts::abi::CallsOn;
using cts::abi::Descriptors;
using cts::abi::Ended;
using cts::abi::LiveBlocks;
using cts::abi::Open;
using cts::abi::Outputs;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::PlainFraming;
using cts::abi::Threads;
using cts::abi::ThreadsAfter;

constexpr int kRounds = 16;      // of making and freeing, after which nothing may have grown
constexpr int kRoundsFirst = 4;  // before them: what a library keeps for good, it has by then

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

/// What may be counted of what a process holds.
struct Holdings {
  std::set<int> descriptors = Descriptors();
  size_t threads = Threads();
  int64_t blocks = LiveBlocks();
};

/// Does it again and again: no more is held than after the first times.
void NothingGrows(const std::function<void()> &round) {
  for (int i = 0; i < kRoundsFirst; i++) round();
  const Holdings before;
  for (int i = 0; i < kRounds; i++) round();
  const Holdings after;
  EXPECT_EQ(after.descriptors, before.descriptors);
  EXPECT_LE(ThreadsAfter(before.threads), before.threads);
  if (cts::abi::kAllocationsSeen) {
    EXPECT_LT(after.blocks - before.blocks, kRounds) << "blocks are allocated that nobody frees";
  }
}

}  // namespace

// --------------------------------------------------------------------------------------------- closing, freeing

CTS_CASE(AbiLifetime, ClosedHandleSaysSo) {
  Open open = open_handle(shape("handle"));
  ASSERT_STATUS(IPC_OK, open.close());
  Outputs outputs;
  for (const Call &call : CallsOn(shape("handle"), open.handle, &outputs)) {
    step(call.name + " on a closed handle");
    EXPECT_STATUS(IPC_CLOSED, call.make(-1)) << call.name;
    EXPECT_EQ(outputs.Left(call.num_handles, call.num_lengths), "") << call.name;
  }
}

CTS_CASE(AbiLifetime, FreeClosesWhatIsOpen) {
  Pair pair = stream_pair();
  write_all(pair.writer.get(), "last");
  ASSERT_STATUS(IPC_OK, LIB(stream_free)(pair.writer.release()));
  EXPECT_EQ(read_to_end(pair.reader.get()), "last");
}

CTS_CASE(AbiLifetime, FreeOfAListenerRemovesItsName) {
  const cts::abi::Name name = fresh_name();
  auto listener = listen(name);
  ASSERT_STATUS(IPC_OK, LIB(listener_free)(listener.release()));
  if (name.kind == IPC_NAME_PATH) {
    EXPECT_NE(access(name.bytes.c_str(), F_OK), 0) << "the file is still there";
  }
  listener = listen(name);
}

CTS_CASE(AbiLifetime, NameIsRemovedFromElsewhere) {
  const std::string path = fresh_path();
  const std::string directory = path.substr(0, path.rfind('/'));
  const struct {
    std::string from, name;
  } ways[] = {{directory, path.substr(directory.size() + 1)}, {"/", path.substr(1)}};
  for (const auto &way : ways) {
    step("a listener at " + way.name + " from " + way.from);
    ASSERT_EQ(chdir(way.from.c_str()), 0);
    if (way.name.size() > 80) throw Ended{"unverifiable", "this run's directory has too long a path"};
    auto listener = listen({IPC_NAME_PATH, way.name});
    EXPECT_EQ(access(path.c_str(), F_OK), 0);
    ASSERT_EQ(chdir(way.from == "/" ? directory.c_str() : "/"), 0);
    ASSERT_STATUS(IPC_OK, LIB(listener_free)(listener.release()));
    EXPECT_NE(unlink(path.c_str()), 0) << "the file is still there";
  }
}

CTS_CASE(AbiLifetime, FreeAfterCloseTouchesNothing) {
  Open open = open_handle(shape("handle"));
  ASSERT_STATUS(IPC_OK, open.close());
  // The descriptors that the handle had are somebody else's from now on.
  int files[16];
  for (int &file : files) ASSERT_GE(file = ::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  open.forget();
  EXPECT_STATUS(IPC_OK, open.free());
  for (int file : files) EXPECT_TRUE(IsOpen(file)) << "free closed descriptor " << file << ", which was not its own";
  for (int file : files) close(file);
}

CTS_CASE(AbiLifetime, SecondCloseTouchesNothing) {
  Open open = open_handle(shape("handle"));
  ASSERT_STATUS(IPC_OK, open.close());
  int files[16];
  for (int &file : files) ASSERT_GE(file = ::open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
  EXPECT_STATUS(IPC_CLOSED, open.close());
  for (int file : files) EXPECT_TRUE(IsOpen(file)) << "close closed descriptor " << file << ", which was not its own";
  for (int file : files) close(file);
}

CTS_CASE(AbiLifetime, AnyOrderOfFreeingWorks) {
  auto free_listener = LIB(listener_free);
  auto free_stream = LIB(stream_free);
  std::set<int> before = Descriptors();
  std::vector<int> order = {0, 1, 2};
  do {
    Pair pair = stream_pair();
    for (int which : order) {
      step("freeing " + std::to_string(order[0]) + std::to_string(order[1]) + std::to_string(order[2]));
      if (which == 0) {
        EXPECT_STATUS(IPC_OK, free_listener(pair.listener.release()));
      } else {
        EXPECT_STATUS(IPC_OK, free_stream((which == 1 ? pair.reader : pair.writer).release()));
      }
    }
    EXPECT_EQ(Descriptors(), before);
  } while (std::next_permutation(order.begin(), order.end()));
}

CTS_CASE(AbiLifetime, StreamsOutliveTheirListener) {
  Pair pair = stream_pair();
  ASSERT_STATUS(IPC_OK, LIB(listener_close)(pair.listener.get()));
  ASSERT_STATUS(IPC_OK, LIB(listener_free)(pair.listener.release()));
  write_all(pair.writer.get(), "there");
  EXPECT_EQ(read_exactly(pair.reader.get(), 5), "there");
  write_all(pair.reader.get(), "and back");
  EXPECT_EQ(read_exactly(pair.writer.get(), 8), "and back");
}

CTS_CASE(AbiLifetime, NothingIsLeftBehind) {
  auto round = [&] {
    Open open = open_handle(shape("handle"));
    if (open.close) {
      EXPECT_STATUS(IPC_OK, open.close());
    }
    open.forget();
    EXPECT_STATUS(IPC_OK, open.free());
  };
  NothingGrows(round);
}

CTS_CASE(AbiLifetime, OpenHandlesAreFreedWhole) {
  auto round = [&] {
    Open open = open_handle(shape("handle"));
    open.forget();
    EXPECT_STATUS(IPC_OK, open.free());  // without a close before
  };
  NothingGrows(round);
}

// ----------------------------------------------------------------------------------------------------- halves

CTS_CASE(AbiLifetime, HalvesOutliveTheirStream) {
  Pair pair = stream_pair();
  ipc_stream *reading = nullptr, *writing = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_split)(pair.reader.get(), &reading, &writing));
  Owned<ipc_stream> reader(reading), writer(writing);
  Outputs outputs;
  for (const Call &call : CallsOn("stream", pair.reader.get(), &outputs)) {
    step(call.name + " on a stream that was split");
    EXPECT_STATUS(IPC_CLOSED, call.make(-1)) << call.name << " on a stream that was split";
  }
  EXPECT_STATUS(IPC_OK, LIB(stream_free)(pair.reader.release()));
  write_all(pair.writer.get(), "in");
  EXPECT_EQ(read_exactly(reader.get(), 2), "in");
  write_all(writer.get(), "out");
  EXPECT_EQ(read_exactly(pair.writer.get(), 3), "out");
}

CTS_CASE(AbiLifetime, OneHalfOutlivesTheOther) {
  Pair pair = stream_pair();
  ipc_stream *reading = nullptr, *writing = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_split)(pair.reader.get(), &reading, &writing));
  Owned<ipc_stream> reader(reading), writer(writing);
  pair.reader.reset();
  const bool reader_first = shape("first") == "reader";
  ASSERT_STATUS(IPC_OK, LIB(stream_close)((reader_first ? reader : writer).get()));
  EXPECT_STATUS(IPC_OK, LIB(stream_free)((reader_first ? reader : writer).release()));
  if (reader_first) {
    write_all(writer.get(), "out");
    EXPECT_EQ(read_exactly(pair.writer.get(), 3), "out");
    writer.reset();
    EXPECT_EQ(read_to_end(pair.writer.get()), "");
  } else {
    write_all(pair.writer.get(), "in");
    EXPECT_EQ(read_exactly(reader.get(), 2), "in");
  }
}

CTS_CASE(AbiLifetime, HalfRefusesTheOtherDirection) {
  Pair pair = stream_pair();
  ipc_stream *reading = nullptr, *writing = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_split)(pair.reader.get(), &reading, &writing));
  Owned<ipc_stream> reader(reading), writer(writing);
  write_all(pair.writer.get(), "x");
  char byte;
  size_t len = 7;
  EXPECT_STATUS(IPC_UNSUPPORTED, LIB(stream_read)(writer.get(), &byte, 1, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  len = 7;
  EXPECT_STATUS(IPC_UNSUPPORTED, LIB(stream_write)(reader.get(), "x", 1, IPC_NO_TIMEOUT, &len));
  EXPECT_EQ(len, 0u);
  ipc_stream *one = reinterpret_cast<ipc_stream *>(&len), *two = one;
  EXPECT_STATUS(IPC_UNSUPPORTED, LIB(stream_split)(reader.get(), &one, &two));
  EXPECT_EQ(one, nullptr);
  EXPECT_EQ(two, nullptr);
  EXPECT_EQ(read_exactly(reader.get(), 1), "x");
}

CTS_CASE(AbiLifetime, HalfIsNotReleased) {
  auto release = LIB(stream_release);
  auto close_stream = LIB(stream_close);
  Pair pair = stream_pair();
  ipc_stream *reading = nullptr, *writing = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_split)(pair.reader.get(), &reading, &writing));
  Owned<ipc_stream> reader(reading), writer(writing);
  ipc_raw raw = {};
  for (ipc_stream *half : {reading, writing}) {
    EXPECT_STATUS(IPC_UNSUPPORTED, release(half, &raw));
  }
  write_all(pair.writer.get(), "x");
  EXPECT_EQ(read_exactly(reading, 1), "x") << "a refused release closed it";
  for (ipc_stream *half : {reading, writing}) {
    EXPECT_STATUS(IPC_OK, close_stream(half));
    EXPECT_STATUS(IPC_CLOSED, release(half, &raw));
  }
}

// ------------------------------------------------------------------------------------------------ raw handles

CTS_CASE(AbiLifetime, ReleasedHandleKeepsItsMode) {
  auto adopt = LIB(stream_adopt);
  auto release = LIB(stream_release);
  for (const bool nonblocking : {false, true}) {
    step(nonblocking ? "adopted nonblocking" : "adopted blocking");
    int ends[2];
    if (shape("stream") == "local") {
      ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    } else {
      ASSERT_EQ(pipe(ends), 0);
    }
    if (nonblocking) {
      ASSERT_EQ(fcntl(ends[0], F_SETFL, fcntl(ends[0], F_GETFL) | O_NONBLOCK), 0);
    }
    const int flags = fcntl(ends[0], F_GETFL);
    ipc_raw raw = {IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
    ipc_stream *stream = nullptr;
    ASSERT_STATUS(IPC_OK, adopt(&raw, &stream));
    Owned<ipc_stream> owned(stream);
    ASSERT_EQ(write(ends[1], "x", 1), 1);
    EXPECT_EQ(read_exactly(stream, 1), "x");
    char byte = 0;
    size_t len = 0;
    EXPECT_STATUS(IPC_TIMED_OUT, LIB(stream_read)(stream, &byte, 1, 0, &len));
    ASSERT_STATUS(IPC_OK, release(stream, &raw));
    EXPECT_EQ(fcntl(ends[0], F_GETFL), flags);
    close(ends[0]);
    close(ends[1]);
  }
}

CTS_CASE(AbiLifetime, ReleaseLeavesNothing) {
  auto release = LIB(stream_release);
  auto round = [&] {
    Pair pair = stream_pair();
    ipc_raw raw = {};
    EXPECT_STATUS(IPC_OK, release(pair.reader.get(), &raw));
    close(static_cast<int>(raw.value));
  };
  NothingGrows(round);
}

CTS_CASE(AbiLifetime, LentHandleStaysTheStreams) {
  Pair pair = stream_pair();
  ipc_raw first = {}, second = {};
  ASSERT_STATUS(IPC_OK, LIB(stream_raw)(pair.reader.get(), &first));
  ASSERT_STATUS(IPC_OK, LIB(stream_raw)(pair.reader.get(), &second));
  EXPECT_EQ(first.kind, uint32_t{IPC_RAW_FD});
  EXPECT_EQ(first.value, second.value);
  EXPECT_TRUE(IsOpen(static_cast<int>(first.value)));
  ASSERT_STATUS(IPC_OK, LIB(stream_close)(pair.reader.get()));
  EXPECT_FALSE(IsOpen(static_cast<int>(first.value))) << "it is open after the close";
}

CTS_CASE(AbiLifetime, ReleasedHandleIsTheCallers) {
  Pair pair = stream_pair();
  ipc_raw raw = {};
  ASSERT_STATUS(IPC_OK, LIB(stream_release)(pair.writer.get(), &raw));
  size_t len = 7;
  EXPECT_STATUS(IPC_CLOSED, LIB(stream_write)(pair.writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
  pair.writer.reset();
  ASSERT_TRUE(IsOpen(static_cast<int>(raw.value)));
  EXPECT_EQ(write(static_cast<int>(raw.value), "raw", 3), 3);
  EXPECT_EQ(read_exactly(pair.reader.get(), 3), "raw");
  close(static_cast<int>(raw.value));
  EXPECT_EQ(read_to_end(pair.reader.get()), "");
}

CTS_CASE(AbiLifetime, ReleasedListenerKeepsItsName) {
  const cts::abi::Name name = fresh_name();
  auto listener = listen(name);
  ipc_raw raw = {};
  ASSERT_STATUS(IPC_OK, LIB(listener_release)(listener.get(), &raw));
  listener.reset();
  if (name.kind == IPC_NAME_PATH) {
    EXPECT_EQ(access(name.bytes.c_str(), F_OK), 0) << "the file went with the handle";
  }
  ipc_listener *adopted = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(listener_adopt)(&raw, &adopted));
  listener.reset(adopted);
  auto client = connect(name);
  EXPECT_NE(accept(adopted), nullptr);
  listener.reset();
  if (name.kind == IPC_NAME_PATH) {
    EXPECT_EQ(access(name.bytes.c_str(), F_OK), 0) << "an adopted listener removed a name";
    unlink(name.bytes.c_str());
  }
  EXPECT_FALSE(IsOpen(static_cast<int>(raw.value))) << "an adopted handle is open after the free";
}

CTS_CASE(AbiLifetime, AdoptedHandleIsTheStreams) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const ipc_raw raw = {IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
  ipc_stream *stream = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(stream_adopt)(&raw, &stream));
  write_all(stream, "x");
  char byte = 0;
  EXPECT_EQ(read(ends[1], &byte, 1), 1);
  EXPECT_STATUS(IPC_OK, LIB(stream_free)(stream));
  EXPECT_FALSE(IsOpen(ends[0])) << "an adopted handle is open after the free";
  EXPECT_EQ(read(ends[1], &byte, 1), 0);
  close(ends[1]);
}

// ------------------------------------------------------------------------------------------------- memory passed

CTS_CASE(AbiLifetime, MemoryPassedInIsNotKept) {
  cts::abi::Name name = fresh_name();
  const cts::abi::Name kept = name;
  auto *bytes = new ipc_name(name.get());
  auto *options = new ipc_local_listen_options();
  options->size = sizeof *options;
  ipc_listener *listener = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(local_listen)(bytes, options, &listener));
  Owned<ipc_listener> owned(listener);
  // What was passed is another's now.
  memset(&name.bytes[0], '#', name.bytes.size());
  memset(static_cast<void *>(bytes), 0xff, sizeof *bytes);
  memset(static_cast<void *>(options), 0xff, sizeof *options);
  delete bytes;
  delete options;
  auto client = connect(kept);
  auto server = accept(listener);
  std::string data(1000, 'a');
  write_all(client.get(), data);
  memset(&data[0], '#', data.size());
  EXPECT_EQ(read_exactly(server.get(), 1000), std::string(1000, 'a'));
  owned.reset();
  if (kept.kind == IPC_NAME_PATH) {
    EXPECT_NE(access(kept.bytes.c_str(), F_OK), 0) << "the close did not find its file";
  }
}

CTS_CASE(AbiLifetime, FrameStaysUntilTheNextCall) {
  ipc_decoder *one = nullptr, *two = nullptr;
  const ipc_framing framing = PlainFraming();
  ASSERT_STATUS(IPC_OK, LIB(framing_decode)(&framing, &one));
  ASSERT_STATUS(IPC_OK, LIB(framing_decode)(&framing, &two));
  Owned<ipc_decoder> first(one), second(two);
  char fed[9] = {0, 0, 0, 5, 'f', 'i', 'r', 's', 't'};
  size_t len = 0;
  uint64_t need = 0;
  const void *body = nullptr;
  ASSERT_STATUS(IPC_OK, LIB(decoder_feed)(one, fed, sizeof fed, &len));
  memset(fed, '#', sizeof fed);
  ASSERT_STATUS(IPC_OK, LIB(decoder_next)(one, &body, &len, &need));
  // Others go on meanwhile.
  const char other[9] = {0, 0, 0, 5, 'o', 't', 'h', 'e', 'r'};
  const void *other_body = nullptr;
  size_t other_len = 0;
  ASSERT_STATUS(IPC_OK, LIB(decoder_feed)(two, other, sizeof other, &other_len));
  ASSERT_STATUS(IPC_OK, LIB(decoder_next)(two, &other_body, &other_len, &need));
  second.reset();
  EXPECT_EQ(std::string(static_cast<const char *>(body), len), "first");
}

CTS_CASE(AbiLifetime, TrailerStays) {
  ipc_framing framing = PlainFraming();
  framing.codec = IPC_FRAMING_NETSTRING;
  char header[IPC_FRAMING_ENCODED_MAX];
  size_t len = 0;
  ipc_const_buffer trailer = {}, next = {};
  ASSERT_STATUS(IPC_OK, LIB(framing_encode)(&framing, 5, header, sizeof header, &len, &trailer));
  framing.codec = IPC_FRAMING_U32;
  ASSERT_STATUS(IPC_OK, LIB(framing_encode)(&framing, 70000, header, sizeof header, &len, &next));
  ASSERT_EQ(trailer.len, 1u);
  EXPECT_EQ(*static_cast<const char *>(trailer.data), ',');
}

// ---------------------------------------------------------------------------------------------------- processes

CTS_CASE(AbiLifetime, NothingIsInherited) {
  const std::set<int> before = Descriptors();
  Open open = open_handle(shape("handle"));
  for (int fd : Descriptors()) {
    if (before.count(fd) != 0) continue;
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << "a child would inherit descriptor " << fd;
  }
}

CTS_CASE(AbiLifetime, DescriptorZeroIsOneLikeOthers) {
  const ipc_table &table = cts::abi::TheLibrary().table();
  const std::string handle = shape("handle");
  auto vacate = [] {
    close(0);
    require(!IsOpen(0), "descriptor 0 cannot be closed");
  };
  char room[8];
  const ipc_buffer into = {room, sizeof room};
  ipc_submission submission = {};
  submission.size = sizeof submission;
  submission.token = 7;
  submission.timeout_ms = IPC_NO_TIMEOUT;
  submission.buffers = &into;
  submission.num_buffers = 1;
  ipc_received received = {};
  received.size = sizeof received;
  submission.received = &received;
  const ipc_const_buffer from = {"zero", 4};
  ipc_loop *loop = nullptr;
  if (auto open_loop = offered(&ipc_table::loop_open)) require_ok(open_loop(nullptr, &loop), "loop_open");
  Owned<ipc_loop> owned(loop);
  // By turns: the call that waits in the loop, and the call itself.
  auto in_loop = [&](const std::function<void()> &meanwhile) {
    if (loop == nullptr) return meanwhile();
    ipc_completion completion = {};
    size_t num = 0;
    EXPECT_STATUS(IPC_OK, table.loop_submit(loop, &submission));
    EXPECT_STATUS(IPC_TIMED_OUT, table.loop_wait(loop, 0, &completion, 1, &num));
    meanwhile();
    EXPECT_STATUS(IPC_OK, table.loop_wait(loop, IPC_NO_TIMEOUT, &completion, 1, &num));
    EXPECT_STATUS(IPC_OK, completion.status);
    if (completion.stream != nullptr) table.stream_free(completion.stream);
  };
  step("a " + handle + " with descriptor 0");
  if (handle == "local" || handle == "pipe" || handle == "fifo") {
    Pair pair;
    std::string path;
    if (handle == "local") {
      pair.listener = listen();
      pair.writer = connect(address_of(pair.listener.get()));
      vacate();
      pair.reader = accept(pair.listener.get());
    } else if (handle == "pipe") {
      auto create = offered(&ipc_table::pipe_create);
      if (create == nullptr) throw Ended{"not_applicable", "not offered: library: pipe.create"};
      ipc_stream *reader = nullptr, *writer = nullptr;
      vacate();
      require_ok(create(nullptr, &reader, &writer), "pipe_create");
      pair.reader.reset(reader);
      pair.writer.reset(writer);
    } else {
      auto create = offered(&ipc_table::fifo_create);
      auto open_end = offered(&ipc_table::fifo_open);
      if (create == nullptr || open_end == nullptr) throw Ended{"not_applicable", "not offered: library: fifo.open"};
      path = fresh_path();
      require_ok(create(path.data(), path.size(), 0600), "fifo_create");
      const int held = open(path.c_str(), O_RDWR | O_CLOEXEC);  // no open waits
      ipc_stream *reader = nullptr, *writer = nullptr;
      vacate();
      require_ok(open_end(path.data(), path.size(), IPC_FIFO_READ, 0, IPC_NO_TIMEOUT, &reader), "fifo_open");
      require_ok(open_end(path.data(), path.size(), IPC_FIFO_WRITE, 0, IPC_NO_TIMEOUT, &writer), "fifo_open");
      pair.reader.reset(reader);
      pair.writer.reset(writer);
      close(held);
    }
    require(IsOpen(0), "the handle did not get descriptor 0");
    write_all(pair.writer.get(), "zero");
    EXPECT_EQ(read_exactly(pair.reader.get(), 4), "zero");
    submission.operation = IPC_SUBMIT_READ;
    submission.stream = pair.reader.get();
    in_loop([&] { write_all(pair.writer.get(), "zero"); });
    pair.writer.reset();
    (void)read_to_end(pair.reader.get());
    pair.reader.reset();
  } else if (handle == "listener") {
    vacate();
    Owned<ipc_listener> listener = listen();
    require(IsOpen(0), "the handle did not get descriptor 0");
    Owned<ipc_stream> client = connect(address_of(listener.get()));
    EXPECT_NE(accept(listener.get()), nullptr);
    submission.operation = IPC_SUBMIT_ACCEPT;
    submission.listener = listener.get();
    submission.num_buffers = 0;
    in_loop([&] { client = connect(address_of(listener.get())); });
    listener.reset();
  } else if (handle == "socket") {
    vacate();
    Sockets sockets = socket_pair();  // the receiver comes first
    require(IsOpen(0), "the handle did not get descriptor 0");
    auto send = [&] {
      EXPECT_STATUS(IPC_OK, table.socket_send(sockets.sender.get(), &from, 1, nullptr, nullptr, IPC_NO_TIMEOUT));
    };
    send();
    EXPECT_STATUS(IPC_OK,
                  table.socket_receive(sockets.receiver.get(), 0, &into, 1, &received, nullptr, IPC_NO_TIMEOUT));
    EXPECT_EQ(received.len, 4u);
    submission.operation = IPC_SUBMIT_RECEIVE;
    submission.socket = sockets.receiver.get();
    in_loop(send);
    sockets.receiver.reset();
  } else {
    vacate();
    Open open = open_handle(handle);
    require(IsOpen(0), "the handle did not get descriptor 0");
    if (handle == "watcher") {
      ipc_signal_event event = {};
      event.size = sizeof event;
      raise(SIGUSR2);
      EXPECT_STATUS(IPC_OK, table.watcher_next(static_cast<ipc_watcher *>(open.handle), IPC_NO_TIMEOUT, &event));
      EXPECT_EQ(event.signal, SIGUSR2);
    } else {
      ipc_completion completion = {};
      size_t num = 0;
      submission.operation = IPC_SUBMIT_TIMER;
      submission.timeout_ms = 1;
      EXPECT_STATUS(IPC_OK, table.loop_submit(static_cast<ipc_loop *>(open.handle), &submission));
      EXPECT_STATUS(IPC_OK,
                    table.loop_wait(static_cast<ipc_loop *>(open.handle), IPC_NO_TIMEOUT, &completion, 1, &num));
    }
  }
  EXPECT_FALSE(IsOpen(0)) << "what had descriptor 0 was freed and left it open";
}

CTS_CASE(AbiLifetime, FailuresLeaveNothing) {
  const ipc_table &table = cts::abi::TheLibrary().table();
  const std::string call = shape("call");
  const cts::abi::Name taken = fresh_name(), nowhere = fresh_name();
  const ipc_name taken_bytes = taken.get(), nowhere_bytes = nowhere.get();
  Owned<ipc_listener> listener;
  Open open;
  ipc_loop *loop = nullptr;
  ipc_stream *stream = nullptr;
  ipc_framed *framed = nullptr;
  const ipc_framing framing = PlainFraming();
  std::function<void()> round;
  if (call == "local.listen") {
    listener = listen(taken);
    round = [&] {
      ipc_listener *none = nullptr;
      EXPECT_STATUS(IPC_IN_USE, table.local_listen(&taken_bytes, nullptr, &none));
    };
  } else if (call == "local.connect") {
    round = [&] {
      EXPECT_STATUS_IN((IPC_NOT_FOUND, IPC_REFUSED), table.local_connect(&nowhere_bytes, IPC_NO_TIMEOUT, &stream));
    };
  } else if (call == "listener.accept") {
    require_offer("listener.accept.timeout");
    listener = listen();
    round = [&] { EXPECT_STATUS(IPC_TIMED_OUT, table.listener_accept(listener.get(), 0, &stream)); };
  } else if (call == "framed.open") {
    Pair pair = stream_pair();
    require_ok(table.stream_close(pair.reader.get()), "stream_close");
    open.pair = std::move(pair);
    round = [&] { EXPECT_STATUS(IPC_CLOSED, table.framed_open(open.pair.reader.get(), &framing, &framed)); };
  } else if (call == "fifo.open") {
    const std::string path = fresh_path();
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    require(file >= 0, "open(2) failed");
    close(file);
    round = [&, path] {
      EXPECT_STATUS(IPC_REFUSED,
                    table.fifo_open(path.data(), path.size(), IPC_FIFO_READ, IPC_FIFO_NO_WAIT, 0, &stream));
    };
  } else if (call == "loop.submit") {
    open = open_handle("loop");
    loop = static_cast<ipc_loop *>(open.handle);
    listener = listen();
    // What comes to nothing makes nothing: a connect that fails, and an accept that is cancelled.
    round = [&] {
      ipc_submission submission = {};
      submission.size = sizeof submission;
      submission.timeout_ms = IPC_NO_TIMEOUT;
      submission.token = 1;
      submission.operation = IPC_SUBMIT_CONNECT;
      submission.name = &nowhere_bytes;
      require_ok(table.loop_submit(loop, &submission), "loop_submit");
      submission.token = 2;
      submission.operation = IPC_SUBMIT_ACCEPT;
      submission.listener = listener.get();
      require_ok(table.loop_submit(loop, &submission), "loop_submit");
      require_ok(table.loop_cancel(loop, 2), "loop_cancel");
      for (int left = 2; left > 0; left--) {
        ipc_completion completion = {};
        size_t num = 0;
        require_ok(table.loop_wait(loop, IPC_NO_TIMEOUT, &completion, 1, &num), "loop_wait");
        if (completion.token == 1) {
          EXPECT_STATUS_IN((IPC_NOT_FOUND, IPC_REFUSED), completion.status);
        } else {
          EXPECT_STATUS(IPC_CANCELLED, completion.status);
        }
        EXPECT_TRUE(completion.stream == nullptr && completion.socket == nullptr) << "a handle of what failed";
      }
    };
  } else if (call == "listener.accept_socket") {
    auto listen_unix = offered(&ipc_table::unix_listen);
    if (listen_unix == nullptr || offered(&ipc_table::loop_open) == nullptr) {
      throw Ended{"not_applicable", "not offered: library: unix.listen, loop.open"};
    }
    ipc_listener *made = nullptr;
    require_ok(listen_unix(&taken_bytes, IPC_UNIX_SEQPACKET, nullptr, &made), "unix_listen");
    listener.reset(made);
    open = open_handle("loop");
    loop = static_cast<ipc_loop *>(open.handle);
    round = [&] {
      ipc_socket *none = nullptr;
      EXPECT_STATUS(IPC_TIMED_OUT, table.listener_accept_socket(listener.get(), 0, &none));
      EXPECT_EQ(none, nullptr);
      ipc_submission submission = {};
      submission.size = sizeof submission;
      submission.timeout_ms = IPC_NO_TIMEOUT;
      submission.token = 1;
      submission.operation = IPC_SUBMIT_ACCEPT_SOCKET;
      submission.listener = listener.get();
      require_ok(table.loop_submit(loop, &submission), "loop_submit");
      require_ok(table.loop_cancel(loop, 1), "loop_cancel");
      ipc_completion completion = {};
      size_t num = 0;
      require_ok(table.loop_wait(loop, IPC_NO_TIMEOUT, &completion, 1, &num), "loop_wait");
      EXPECT_STATUS(IPC_CANCELLED, completion.status);
      EXPECT_EQ(completion.socket, nullptr) << "a handle of what was cancelled";
    };
  } else {
    throw Ended{"failed", "there is no scenario for " + call};
  }
  step(call + " that fails, again and again");
  NothingGrows(round);
}

CTS_CASE(AbiLifetime, ForkedChildWatchesNothing) {
  Open open = open_handle("watcher");
  (void)LIB(signal_watch);
  step("a signal in a child");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    raise(SIGUSR2);
    _exit(1);  // it should have ended
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR2)
      << "the signal did not do in the child what it did before it was watched";
  ipc_signal_event event = {};
  event.size = sizeof event;
  auto next = LIB(watcher_next);
  auto *watcher = static_cast<ipc_watcher *>(open.handle);
  EXPECT_STATUS(IPC_TIMED_OUT, next(watcher, 0, &event)) << "the parent was told of its child's signal";
  raise(SIGUSR2);
  EXPECT_STATUS(IPC_OK, next(watcher, 0, &event));
  EXPECT_EQ(event.signal, SIGUSR2);
}

CTS_CASE(AbiLifetime, UnaskedDescriptorsAreClosed) {
  auto read = LIB(stream_read_ancillary);
  Pair pair = stream_pair();
  ipc_raw raw = {};
  ASSERT_STATUS(IPC_OK, LIB(stream_raw)(pair.reader.get(), &raw));
  const int on = 1, pass_process = 76;  // SO_PASSPIDFD, Linux 6.5, which older headers do not have
#if defined(__linux__)
  const bool known = setsockopt(static_cast<int>(raw.value), SOL_SOCKET, pass_process, &on, sizeof on) == 0;
#else
  const bool known = false;
#endif
  if (!known) throw Ended{"unverifiable", "this system adds no descriptor unasked for"};
  ipc_ancillary room = {};
  room.size = sizeof room;
  char byte = 0;
  size_t len = 0;
  for (const bool zero : {false, true}) {  // also where it gets the number 0
    if (zero) close(0);
    const std::set<int> before = Descriptors();
    write_all(pair.writer.get(), "x");
    EXPECT_STATUS(IPC_OK, read(pair.reader.get(), &byte, 1, &room, IPC_NO_TIMEOUT, &len));
    EXPECT_EQ(std::string(&byte, len), "x");
    EXPECT_EQ(room.num_descriptors, 0u);
    EXPECT_EQ(Descriptors(), before) << "what the system added is still open";
  }
}

CTS_CASE(AbiLifetime, ForkedChildMayFree) {
  const cts::abi::Name name = fresh_name();
  auto listener = listen(name);
  auto client = connect(address_of(listener.get()));
  auto server = accept(listener.get());
  auto free_listener = LIB(listener_free);
  auto free_stream = LIB(stream_free);
  step("free in a child");
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const bool freed = free_listener(listener.release()).code == IPC_OK &&
                       free_stream(client.release()).code == IPC_OK && free_stream(server.release()).code == IPC_OK;
    _exit(freed ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "the child did not end well";
  write_all(client.get(), "still here");
  EXPECT_EQ(read_exactly(server.get(), 10), "still here");
  auto second = connect(name);
  EXPECT_NE(accept(listener.get()), nullptr);
}

CTS_CASE(AbiLifetime, ProcessStaysAsItWas) {
  struct State {
    mode_t mask;
    std::string directory;
    sigset_t blocked;
    struct sigaction actions[32];
  };
  auto take = [] {
    State state = {};
    state.mask = umask(077);
    umask(state.mask);
    char path[4096];
    state.directory = getcwd(path, sizeof path) == nullptr ? "" : path;
    sigemptyset(&state.blocked);
    pthread_sigmask(SIG_BLOCK, nullptr, &state.blocked);
    for (int signal = 1; signal < 32; signal++) sigaction(signal, nullptr, &state.actions[signal]);
    return state;
  };
  umask(027);
  const State before = take();
  Pair pair = stream_pair();
  write_all(pair.writer.get(), "x");
  pair.reader.reset();
  size_t len = 0;
  step("a write to a reader that is gone");
  for (int i = 0; i < 2; i++)
    EXPECT_STATUS_IN((IPC_BROKEN_PIPE, IPC_RESET), LIB(stream_write)(pair.writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
  pair = Pair();
  const State after = take();
  EXPECT_EQ(after.mask, before.mask);
  EXPECT_EQ(after.directory, before.directory);
  for (int signal = 1; signal < 32; signal++) {
    EXPECT_EQ(sigismember(&after.blocked, signal), sigismember(&before.blocked, signal)) << "signal " << signal;
    EXPECT_EQ(after.actions[signal].sa_handler, before.actions[signal].sa_handler) << "signal " << signal;
  }
}

CTS_CASE(AbiLifetime, BlockedSignalsStayPending) {
  // A SIGPIPE that the program itself has pending is its own: no write takes it.
  Pair pair = stream_pair();
  sigset_t pipe_signal, pending;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr), 0);
  pair.reader.reset();
  size_t len = 0;
  EXPECT_STATUS_IN((IPC_BROKEN_PIPE, IPC_RESET), LIB(stream_write)(pair.writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0) << "a write left a signal behind";
  ASSERT_EQ(raise(SIGPIPE), 0);
  EXPECT_STATUS_IN((IPC_BROKEN_PIPE, IPC_RESET), LIB(stream_write)(pair.writer.get(), "x", 1, IPC_NO_TIMEOUT, &len));
  ASSERT_EQ(sigpending(&pending), 0);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 1) << "a write took a signal that was not its own";
}
