// What a library does when there is no memory: each of its allocations fails in turn. spec/abi.md, AbiMemory.
#include "conformance/abi/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"

namespace {

using cts::abi::Descriptors;
using cts::abi::Ended;
using cts::abi::FailingAllocations;
using cts::abi::LiveBlocks;
using cts::abi::Open;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::PlainFraming;
using cts::abi::Threads;

constexpr uint64_t kAllocationsMax = 10000;  // of one call

/// A call and what surrounds it.
struct Scenario {
  std::function<void()> prepare;     // before each attempt
  std::function<ipc_status()> call;  // allocates nothing by itself
  std::function<void()> check_none;  // after a failure: nothing has been done
  std::function<void()> undo;        // after a success
};

void RequireSight() {
  if (!cts::abi::kAllocationsSeen)
    throw Ended{"unverifiable", "this build does not stand in front of the system's malloc"};
}

/// Lets each allocation of the call fail in turn, and after it the call succeed.
void LetEachFail(const Scenario &scenario, bool lasting) {
  RequireSight();
  // What the library keeps from its first use on is none of the call's.
  scenario.prepare();
  ASSERT_STATUS(IPC_OK, scenario.call());
  scenario.undo();
  for (uint64_t number = 1; number <= kAllocationsMax; number++) {
    const std::string what = "allocation " + std::to_string(number) + (lasting ? " and all behind it" : "");
    int64_t blocks = 0;
    uint64_t failed = 0;
    for (int repetition = 0; repetition < 2; repetition++) {
      scenario.prepare();
      const std::set<int> before = Descriptors();
      const size_t threads = Threads();
      ipc_status status;
      {
        FailingAllocations failing(number, lasting);
        status = scenario.call();
        failed = failing.failed();
      }
      if (failed == 0) {
        EXPECT_STATUS(IPC_OK, status) << "with every allocation granted";
        scenario.undo();
        break;
      }
      if (status.code == IPC_OK) {  // it could do without
        scenario.undo();
      } else {
        EXPECT_STATUS(IPC_OUT_OF_RESOURCES, status) << what << " failed";
        EXPECT_EQ(Descriptors(), before) << "what the call had opened is still open: " << what << " failed";
        EXPECT_EQ(Threads(), threads) << what << " failed";
        scenario.check_none();
        EXPECT_STATUS(IPC_OK, scenario.call()) << "with memory again, after " << what << " failed";
        scenario.undo();
      }
      if (testing::Test::HasFailure()) return;
      if (repetition == 1) {
        EXPECT_LE(LiveBlocks(), blocks) << "a block is lost when " << what << " fails";
      }
      blocks = LiveBlocks();
    }
    if (failed == 0) {
      if (number == 1) throw Ended{"unverifiable", "the library made no allocation that could fail"};
      return;
    }
  }
  ADD_FAILURE() << "the call makes more than " << kAllocationsMax << " allocations";
}

}  // namespace

// The scenarios, by the axis `call`.
CTS_CASE(AbiMemory, MakersFailWhole) {
  const ipc_table &table = cts::abi::TheLibrary().table();
  const std::string call = shape("call");
  Scenario s;
  cts::abi::Name name;
  ipc_name bytes = {};
  Owned<ipc_listener> listener;
  Pair pair;
  Owned<ipc_stream> extra;
  ipc_listener *made_listener = nullptr;
  ipc_stream *one = nullptr, *two = nullptr;
  ipc_socket *socket = nullptr;
  ipc_decoder *decoder = nullptr;
  ipc_watcher *watcher = nullptr;
  ipc_loop *loop = nullptr;
  ipc_framed *framed = nullptr;
  const ipc_framing framing = PlainFraming();
  int32_t signal = 0;
  ipc_raw raw = {};
  auto spoil = [&] {
    made_listener = reinterpret_cast<ipc_listener *>(&s);
    one = two = reinterpret_cast<ipc_stream *>(&s);
    socket = reinterpret_cast<ipc_socket *>(&s);
    decoder = reinterpret_cast<ipc_decoder *>(&s);
    watcher = reinterpret_cast<ipc_watcher *>(&s);
    loop = reinterpret_cast<ipc_loop *>(&s);
    framed = reinterpret_cast<ipc_framed *>(&s);
  };
  auto streams_null = [&] { EXPECT_TRUE(one == nullptr) << "a failed call left a handle"; };
  if (call == "local.listen") {
    s.prepare = [&] {
      spoil();
      name = fresh_name();
      bytes = name.get();
    };
    s.call = [&] { return table.local_listen(&bytes, nullptr, &made_listener); };
    s.check_none = [&] {
      EXPECT_EQ(made_listener, nullptr);
      if (name.kind == IPC_NAME_PATH) {
        EXPECT_NE(access(name.bytes.c_str(), F_OK), 0) << "a failed listen left its file";
      }
    };
    s.undo = [&] { table.listener_free(made_listener); };
  } else if (call == "local.connect") {
    s.prepare = [&] {
      spoil();
      listener = listen();  // each attempt's own: a failed one may have reached it and left again
      name = address_of(listener.get());
      bytes = name.get();
    };
    s.call = [&] { return table.local_connect(&bytes, IPC_NO_TIMEOUT, &one); };
    s.check_none = streams_null;
    s.undo = [&] { table.stream_free(one); };
  } else if (call == "listener.accept") {
    listener = listen();
    name = address_of(listener.get());
    s.prepare = [&] {
      spoil();
      extra = connect(name);
      write_all(extra.get(), "queued");
    };
    s.call = [&] { return table.listener_accept(listener.get(), IPC_NO_TIMEOUT, &one); };
    s.check_none = streams_null;
    s.undo = [&] {
      EXPECT_EQ(read_exactly(one, 6), "queued") << "the connection did not stay queued";
      table.stream_free(one);
      extra.reset();
    };
  } else if (call == "pipe.create") {
    s.prepare = spoil;
    s.call = [&] { return table.pipe_create(nullptr, &one, &two); };
    s.check_none = [&] {
      EXPECT_EQ(one, nullptr);
      EXPECT_EQ(two, nullptr);
    };
    s.undo = [&] {
      table.stream_free(one);
      table.stream_free(two);
    };
  } else if (call == "stream.split") {
    s.prepare = [&] {
      spoil();
      pair = stream_pair();
    };
    s.call = [&] { return table.stream_split(pair.reader.get(), &one, &two); };
    s.check_none = [&] {
      EXPECT_EQ(one, nullptr);
      EXPECT_EQ(two, nullptr);
      write_all(pair.writer.get(), "x");
      EXPECT_EQ(read_exactly(pair.reader.get(), 1), "x") << "the stream is not what it was";
    };
    s.undo = [&] {
      table.stream_free(one);
      table.stream_free(two);
      pair = Pair();
    };
  } else if (call == "stream.adopt") {
    s.prepare = [&] {
      spoil();
      int ends[2];
      require(pipe(ends) == 0, "pipe(2) failed");
      for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
      close(ends[1]);
      raw = {IPC_RAW_FD, static_cast<uint64_t>(ends[0])};
    };
    s.call = [&] { return table.stream_adopt(&raw, &one); };
    s.check_none = [&] {
      EXPECT_EQ(one, nullptr);
      EXPECT_NE(fcntl(static_cast<int>(raw.value), F_GETFD), -1) << "what was not taken was closed";
    };
    s.undo = [&] { table.stream_free(one); };
  } else if (call == "framing.decode") {
    s.prepare = spoil;
    s.call = [&] { return table.framing_decode(&framing, &decoder); };
    s.check_none = [&] { EXPECT_EQ(decoder, nullptr); };
    s.undo = [&] { table.decoder_free(decoder); };
  } else if (call == "framed.open") {
    s.prepare = [&] {
      spoil();
      pair = stream_pair();
    };
    s.call = [&] { return table.framed_open(pair.reader.get(), &framing, &framed); };
    s.check_none = [&] {
      EXPECT_EQ(framed, nullptr);
      write_all(pair.writer.get(), "x");
      EXPECT_EQ(read_exactly(pair.reader.get(), 1), "x") << "the stream is not what it was";
    };
    s.undo = [&] {
      (void)pair.reader.release();  // the framed stream's
      table.framed_free(framed);
      pair = Pair();
    };
  } else if (call == "socket.open") {
    s.prepare = spoil;
    s.call = [&] { return table.socket_open(IPC_UNIX_DATAGRAM, &socket); };
    s.check_none = [&] { EXPECT_EQ(socket, nullptr); };
    s.undo = [&] { table.socket_free(socket); };
  } else if (call == "socket.bind") {
    s.prepare = [&] {
      spoil();
      name = fresh_name();
      bytes = name.get();
    };
    s.call = [&] { return table.socket_bind(&bytes, nullptr, &socket); };
    s.check_none = [&] {
      EXPECT_EQ(socket, nullptr);
      if (name.kind == IPC_NAME_PATH) {
        EXPECT_NE(access(name.bytes.c_str(), F_OK), 0) << "a failed bind left its file";
      }
    };
    s.undo = [&] { table.socket_free(socket); };
  } else if (call == "signal.watch") {
    require_ok(table.signal_number("USR2", 4, &signal), "signal_number");
    s.prepare = spoil;
    s.call = [&] { return table.signal_watch(&signal, 1, &watcher); };
    s.check_none = [&] { EXPECT_EQ(watcher, nullptr); };
    s.undo = [&] { table.watcher_free(watcher); };
  } else if (call == "loop.open") {
    s.prepare = spoil;
    s.call = [&] { return table.loop_open(nullptr, &loop); };
    s.check_none = [&] { EXPECT_EQ(loop, nullptr); };
    s.undo = [&] { table.loop_free(loop); };
  } else {
    throw Ended{"failed", "there is no scenario for " + call};
  }
  step(call + " without memory");
  LetEachFail(s, shape("failure") == "lasting");
}

CTS_CASE(AbiMemory, TransfersLoseNothing) {
  RequireSight();
  auto read = LIB(stream_read);
  auto write = LIB(stream_write);
  Pair pair = stream_pair();
  write_all(pair.writer.get(), "warm");
  EXPECT_EQ(read_exactly(pair.reader.get(), 4), "warm");
  char room[16] = {};
  size_t sent = 0, got = 0;
  ipc_status wrote, was_read;
  {
    FailingAllocations none(1, true);
    wrote = write(pair.writer.get(), "first", 5, IPC_NO_TIMEOUT, &sent);
  }
  EXPECT_STATUS_IN((IPC_OK, IPC_OUT_OF_RESOURCES), wrote);
  ASSERT_LE(sent, 5u);
  EXPECT_TRUE(wrote.code != IPC_OK || sent == 5);
  write_all(pair.writer.get(), "second");
  {
    FailingAllocations none(1, true);
    was_read = read(pair.reader.get(), room, sizeof room, IPC_NO_TIMEOUT, &got);
  }
  EXPECT_STATUS_IN((IPC_OK, IPC_OUT_OF_RESOURCES), was_read);
  ASSERT_LE(got, sizeof room);
  EXPECT_TRUE(was_read.code == IPC_OK || got == 0) << got;
  pair.writer.reset();
  EXPECT_EQ(std::string(room, got) + read_to_end(pair.reader.get()), std::string("first").substr(0, sent) + "second");
}

CTS_CASE(AbiMemory, ClosingNeedsNone) {
  RequireSight();
  std::vector<Open> warm;
  warm.push_back(open_handle(shape("handle")));
  warm.clear();
  const std::set<int> before = Descriptors();
  Open open = open_handle(shape("handle"));
  open.forget();
  ipc_status closed = {}, freed = {};
  {
    FailingAllocations none(1, true);
    if (open.close) closed = open.close();
    freed = open.free();
  }
  EXPECT_STATUS(IPC_OK, closed);
  EXPECT_STATUS(IPC_OK, freed);
  open = Open();
  EXPECT_EQ(Descriptors(), before);
}

CTS_CASE(AbiMemory, DecoderKeepsWhatItTook) {
  RequireSight();
  auto feed = LIB(decoder_feed);
  const ipc_framing framing = PlainFraming();
  const std::string frame = std::string("\0\0\x10\0", 4) + std::string(0x1000, 'b');
  for (uint64_t number = 1; number <= kAllocationsMax; number++) {
    step("allocation " + std::to_string(number));
    ipc_decoder *decoder = nullptr;
    ASSERT_STATUS(IPC_OK, LIB(framing_decode)(&framing, &decoder));
    Owned<ipc_decoder> owned(decoder);
    size_t taken = 0, len = 0;
    uint64_t failed = 0;
    ipc_status status;
    {
      FailingAllocations failing(number, true);
      status = feed(decoder, frame.data(), frame.size(), &taken);
      failed = failing.failed();
    }
    EXPECT_STATUS_IN((IPC_OK, IPC_OUT_OF_RESOURCES), status);
    ASSERT_LE(taken, frame.size());
    // With memory again the rest goes in, and the frame comes out whole.
    for (int i = 0; taken < frame.size() && i < 3; i++) {
      EXPECT_STATUS(IPC_OK, feed(decoder, frame.data() + taken, frame.size() - taken, &len));
      taken += len;
    }
    const void *body = nullptr;
    uint64_t need = 0;
    ASSERT_STATUS(IPC_OK, LIB(decoder_next)(decoder, &body, &len, &need));
    EXPECT_EQ(std::string(static_cast<const char *>(body), len), frame.substr(4));
    if (HasFailure() || failed == 0) {
      if (number == 1 && failed == 0) throw Ended{"unverifiable", "the library made no allocation that could fail"};
      return;
    }
  }
}

CTS_CASE(AbiMemory, SubmissionsFailWhole) {
  RequireSight();
  auto submit = LIB(loop_submit);
  auto wait = LIB(loop_wait);
  for (uint64_t number = 1; number <= kAllocationsMax; number++) {
    step("allocation " + std::to_string(number));
    Open open = open_handle("loop");  // a new one, that keeps nothing ready
    auto *loop = static_cast<ipc_loop *>(open.handle);
    ipc_submission timer = {};
    timer.size = sizeof timer;
    timer.operation = IPC_SUBMIT_TIMER;
    timer.token = 5;
    uint64_t failed = 0;
    ipc_status status;
    {
      FailingAllocations failing(number, true);
      status = submit(loop, &timer);
      failed = failing.failed();
    }
    EXPECT_STATUS_IN((IPC_OK, IPC_OUT_OF_RESOURCES), status);
    if (status.code != IPC_OK) {
      EXPECT_STATUS(IPC_OK, submit(loop, &timer)) << "what was refused is under way";
    }
    ipc_completion completion = {};
    size_t num = 0;
    EXPECT_STATUS(IPC_OK, wait(loop, IPC_NO_TIMEOUT, &completion, 1, &num));
    EXPECT_EQ(num, 1u);
    EXPECT_STATUS(IPC_TIMED_OUT, completion.status);
    EXPECT_STATUS(IPC_TIMED_OUT, wait(loop, 0, &completion, 1, &num)) << "two completions of one submission";
    if (HasFailure() || failed == 0) {
      if (number == 1 && failed == 0) throw Ended{"unverifiable", "the library made no allocation that could fail"};
      return;
    }
  }
}
