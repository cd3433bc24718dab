// What a library does when there is no memory: each of its allocations fails in turn. spec/abi.md, AbiMemory.
#include "conformance/abi/memory.h"

#include "conformance/abi/calls.h"
#include "conformance/abi/case.h"
#include "conformance/abi/makers.h"

namespace {

using cts::abi::Descriptors;
using cts::abi::Ended;
using cts::abi::FailingAllocations;
using cts::abi::LiveBlocks;
using cts::abi::Open;
using cts::abi::Owned;
using cts::abi::Pair;
using cts::abi::PlainFraming;
using cts::abi::Scenario;
using cts::abi::Threads;
using cts::abi::ThreadsAfter;

constexpr uint64_t kAllocationsMax = 10000;  // of one call

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
        EXPECT_LE(ThreadsAfter(threads), threads) << what << " failed";
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

// The scenarios are those of makers.h, by the axis `call`.
CTS_CASE(AbiMemory, MakersFailWhole) {
  const std::string call = shape("call");
  cts::abi::Makers makers(this);
  step(call + " without memory");
  LetEachFail(makers.Of(call), shape("failure") == "lasting");
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

CTS_CASE(AbiMemory, FramesAreNotLost) {
  RequireSight();
  auto read = LIB(framed_read);
  const std::string body(0x1000, 'b');
  for (uint64_t number = 1; number <= kAllocationsMax; number++) {
    step("allocation " + std::to_string(number));
    Open open = open_handle("framed");
    auto *framed = static_cast<ipc_framed *>(open.handle);
    write_all(open.pair.writer.get(), std::string("\0\0\x10\0", 4) + body);
    std::string room(body.size(), '#');
    size_t len = 7;
    uint64_t failed = 0;
    ipc_status status;
    {
      FailingAllocations failing(number, true);
      status = read(framed, &room[0], room.size(), IPC_NO_TIMEOUT, &len);
      failed = failing.failed();
    }
    EXPECT_STATUS_IN((IPC_OK, IPC_OUT_OF_RESOURCES), status);
    if (status.code != IPC_OK) {
      EXPECT_EQ(len, 0u);
      EXPECT_STATUS(IPC_OK, read(framed, &room[0], room.size(), IPC_NO_TIMEOUT, &len));
    }
    EXPECT_EQ(len, body.size());
    EXPECT_EQ(room, body);
    write_all(open.pair.writer.get(), std::string("\0\0\0\1n", 5));
    EXPECT_STATUS(IPC_OK, read(framed, &room[0], room.size(), IPC_NO_TIMEOUT, &len)) << "the next frame";
    EXPECT_EQ(room.substr(0, len), "n");
    if (HasFailure() || failed == 0) {
      if (number == 1 && failed == 0) throw Ended{"unverifiable", "the library made no allocation that could fail"};
      return;
    }
  }
}

CTS_CASE(AbiMemory, SubmissionsFailWhole) {
  (void)LIB(loop_open);
  (void)LIB(loop_submit);
  (void)LIB(loop_wait);
  cts::abi::Makers makers(this);
  step("a submission without memory");
  LetEachFail(makers.OfSubmission(shape("operation")), shape("failure") == "lasting");
}
