// Named pipes of messages: spec/named_pipe.md.
#include <deque>

#include "conformance/cases/named_pipes.h"

namespace cts {
namespace {

op::named_pipe_transact Transact(const Data &data, uint64_t max) {
  return op::named_pipe_transact().data(data).max(max);
}
op::named_pipe_set_read_mode ReadMode(const std::string &mode) {
  return op::named_pipe_set_read_mode().read_mode(mode);
}
op::named_pipe_connect ReadMessages(const Listener &listener) { return ConnectRequest(listener).read_mode("messages"); }

/// Expects a message of `length` bytes, of which `front` came.
void ExpectCut(const Reply &reply, const Data &front, uint64_t left) {
  EXPECT_THAT(reply, Reads(front, "message_truncated"));
  EXPECT_EQ(reply.number("left"), left);
}

void ExpectPeek(const NamedPipe &end, uint64_t max, const Data &front, uint64_t available, uint64_t message_left) {
  const Reply reply = end.peek(max);
  EXPECT_THAT(reply, Reads(front)) << "peeking";
  EXPECT_EQ(reply.number("available"), available);
  EXPECT_EQ(reply.number("message_left"), message_left);
}

/// Longer than a reply shows bytes, so that several fill every pipe.
constexpr uint64_t kMessage = 20000;
/// More of these than any pipe holds unread.
constexpr int kManyMessages = 1000;

/// Message number `i`.
Data Numbered(int i) { return Data::Pattern(static_cast<uint32_t>(i) * 13 + 1, kMessage); }

/// Writes messages from the first on, without waiting, until one would block: how many were taken.
int FillWithMessages(const NamedPipe &writer) {
  for (int taken = 0; taken < kManyMessages; taken++) {
    const Reply reply = writer.call(WritePipeNow(Numbered(taken)));
    EXPECT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
    EXPECT_EQ(reply.length(), reply.ok() ? kMessage : 0) << "a part of a message was taken";
    if (!reply.ok() || testing::Test::HasFailure()) return taken;
  }
  ADD_FAILURE() << "the pipe never was full";
  return 0;
}

}  // namespace

/// A listener for messages whose name nobody has.
#define LISTEN(request) ListenPipe(server(), (request))
#define FRESH_PIPE PipeRequest(fresh_name("namespaced")).type("messages")
/// A connection whose ends both read messages, with its writer by the shape.
#define CONNECT(name)                                                                     \
  const Listener name##_listener = LISTEN(FRESH_PIPE);                                    \
  PipePair name = ConnectPipes(name##_listener, client(), ReadMessages(name##_listener)); \
  name.server_writes = has_axis("writer") && shape("writer") == "server"

// ------------------------------------------------------------------------------------------------- messages

CTS_CASE(NamedPipeMessage, OneWriteIsOneMessage) {
  CONNECT(pair);
  for (const char *text : {"a", "bc", "def", "g"}) EXPECT_THAT(pair.writer().write(text), Accepts(text));
  for (const char *text : {"a", "bc", "def", "g"}) EXPECT_THAT(pair.reader().read(64), Reads(text));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block"));
}

CTS_CASE(NamedPipeMessage, EveryLengthArrivesWhole) {
  CONNECT(pair);
  for (uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{511}, uint64_t{4095}, 4_KiB, uint64_t{4097},
                          uint64_t{65535}, 64_KiB, uint64_t{65537}, uint64_t{100000}, 1_MiB}) {
    const Data message = pattern(length);
    Pending writing = pair.writer().start(WritePipe(message));
    Pending next = pair.writer().start(WritePipe("next"));
    EXPECT_THAT(pair.reader().read(length), Reads(message)) << "a message of " << length << " bytes";
    EXPECT_THAT(writing.wait(), Accepts(message));
    EXPECT_THAT(pair.reader().read(64), Reads("next")) << "behind a message of " << length << " bytes";
    EXPECT_THAT(next.wait(), IsOk());
  }
}

CTS_CASE(NamedPipeMessage, RoomToSpareTakesOneMessage) {
  CONNECT(pair);
  const Data first = pattern(3000), second = pattern(2000);
  require_ok(pair.writer().write(first));
  require_ok(pair.writer().write(second));
  EXPECT_THAT(pair.reader().read(1_MiB), Reads(first));
  EXPECT_THAT(pair.reader().read(1_MiB), Reads(second));
}

CTS_CASE(NamedPipeMessage, OrderIsKept) {
  CONNECT(pair);
  constexpr int messages = 200;
  for (int sent = 0, came = 0; came < messages; came++) {
    for (; sent < messages && sent < came + 8; sent++) {
      require_ok(pair.writer().write("message " + std::to_string(sent)));
    }
    ASSERT_THAT(pair.reader().read(64), Reads("message " + std::to_string(came)));
  }
}

CTS_CASE(NamedPipeMessage, EmptyMessageIsAMessage) {
  CONNECT(pair);
  Pending reading = pair.reader().start(ReadPipe(64).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.writer().write(""), Accepts(""));
  EXPECT_THAT(reading.wait(), Reads(""));
  for (const char *text : {"", "", "full", ""}) require_ok(pair.writer().write(text));
  for (const char *text : {"", "", "full", ""}) EXPECT_THAT(pair.reader().read(64), Reads(text));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block"));
}

CTS_CASE(NamedPipeMessage, EmptyMessageIsNotTheEnd) {
  CONNECT(pair);
  require_ok(pair.writer().write(""));
  require_ok(pair.writer().write("goes on"));
  require_ok(pair.writer().write(""));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().read(64), Reads(""));
  EXPECT_THAT(pair.reader().read(64), Reads("goes on"));
  EXPECT_THAT(pair.reader().read(64), Reads(""));
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().read(64), Ends(""));
}

CTS_CASE(NamedPipeMessage, EndComesAfterTheMessages) {
  CONNECT(pair);
  const Data long_one = pattern(200000);
  Pending first = pair.writer().start(WritePipe("first"));
  Pending second = pair.writer().start(WritePipe(long_one));
  Pending closing = pair.writer().start(op::named_pipe_close());
  EXPECT_THAT(pair.reader().read(64), Reads("first"));
  ExpectCut(pair.reader().read(100000), long_one.prefix(100000), 100000);
  EXPECT_THAT(pair.reader().read(200000), Reads(Data(long_one.slice(100000, 100000))));
  EXPECT_THAT(first.wait(), IsOk());
  EXPECT_THAT(second.wait(), Accepts(long_one));
  EXPECT_THAT(closing.wait(), IsOk());
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().read(64), Ends(""));
}

// ------------------------------------------------------------------------------------------- too little room

CTS_CASE(NamedPipeMessage, TooLittleRoomTellsWhatIsLeft) {
  CONNECT(pair);
  require_ok(pair.writer().write("0123456789"));
  require_ok(pair.writer().write("next"));
  ExpectCut(pair.reader().read(4), "0123", 6);
  ExpectCut(pair.reader().read(5), "45678", 1);
  EXPECT_THAT(pair.reader().read(64), Reads("9"));
  EXPECT_THAT(pair.reader().read(64), Reads("next"));
}

CTS_CASE(NamedPipeMessage, WhatIsLeftIsExactForEveryRoom) {
  CONNECT(pair);
  const Data message = pattern(40);
  for (uint64_t room = 1; room <= 41; room++) {
    require_ok(pair.writer().write(message));
    uint64_t at = 0;
    for (; at + room < message.length(); at += room) {
      ExpectCut(pair.reader().read(room), Data(message.slice(at, room)), message.length() - at - room);
    }
    ASSERT_THAT(pair.reader().read(room), Reads(Data(message.slice(at, room)))) << "room for " << room;
  }
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block"));
}

CTS_CASE(NamedPipeMessage, NoRoomTellsTheLength) {
  CONNECT(pair);
  require_ok(pair.writer().write("0123456789"));
  for (int i = 0; i < 3; i++) ExpectCut(pair.reader().read(0), "", 10);
  ExpectCut(pair.reader().read(9), "012345678", 1);
  ExpectCut(pair.reader().read(0), "", 1);
  EXPECT_THAT(pair.reader().read(1), Reads("9"));
}

CTS_CASE(NamedPipeMessage, NoRoomTakesAnEmptyMessage) {
  CONNECT(pair);
  require_ok(pair.writer().write(""));
  require_ok(pair.writer().write("next"));
  EXPECT_THAT(pair.reader().read(0), Reads(""));
  EXPECT_THAT(pair.reader().read(64), Reads("next"));
}

CTS_CASE(NamedPipeMessage, WholeLeavesWhatDoesNotFit) {
  CONNECT(pair);
  const Data message = pattern(100000);
  Pending writing = pair.writer().start(WritePipe(message));
  for (uint64_t room : {99999, 1000, 1, 0}) ExpectCut(pair.reader().call(ReadPipe(room).whole(true)), "", 100000);
  EXPECT_THAT(pair.reader().call(ReadPipe(100000).whole(true)), Reads(message));
  EXPECT_THAT(writing.wait(), Accepts(message));
  require_ok(pair.writer().write("next"));
  ExpectCut(pair.reader().call(ReadPipe(3).whole(true)), "", 4);
  ExpectCut(pair.reader().read(1), "n", 3);
  ExpectCut(pair.reader().call(ReadPipe(2).whole(true)), "", 3);
  EXPECT_THAT(pair.reader().call(ReadPipe(3).whole(true)), Reads("ext"));
}

CTS_CASE(NamedPipeMessage, WholeWaitsForAMessage) {
  CONNECT(pair);
  EXPECT_THAT(pair.reader().call(ReadPipeNow(4).whole(true)), Reads("", "would_block"));
  Pending reading = pair.reader().start(ReadPipe(4).whole(true).watch());
  reading.expect_blocked();
  require_ok(pair.writer().write("12345"));
  ExpectCut(reading.wait(), "", 5);
  EXPECT_THAT(pair.reader().call(ReadPipe(5).whole(true)), Reads("12345"));
  reading = pair.reader().start(ReadPipe(4).whole(true).watch());
  reading.expect_blocked();
  require_ok(pair.writer().close());
  EXPECT_THAT(reading.wait(), Ends(""));
}

// ------------------------------------------------------------------------------------------------- peeking

CTS_CASE(NamedPipeMessage, PeekSeesTheFirstMessage) {
  CONNECT(pair);
  ExpectPeek(pair.reader(), 64, "", 0, 0);
  require_ok(pair.writer().write("0123456789"));
  require_ok(pair.writer().write("next"));
  for (int i = 0; i < 2; i++) {
    ExpectPeek(pair.reader(), 4, "0123", 14, 6);
    ExpectPeek(pair.reader(), 64, "0123456789", 14, 0);
    ExpectPeek(pair.reader(), 0, "", 14, 10);
  }
  EXPECT_THAT(pair.reader().read(64), Reads("0123456789"));
  ExpectPeek(pair.reader(), 64, "next", 4, 0);
  EXPECT_THAT(pair.reader().read(64), Reads("next"));
}

CTS_CASE(NamedPipeMessage, PeekInsideAMessage) {
  CONNECT(pair);
  require_ok(pair.writer().write("0123456789"));
  require_ok(pair.writer().write("next"));
  ExpectCut(pair.reader().read(4), "0123", 6);
  ExpectPeek(pair.reader(), 2, "45", 10, 4);
  ExpectPeek(pair.reader(), 64, "456789", 10, 0);
  EXPECT_THAT(pair.reader().read(64), Reads("456789"));
}

CTS_CASE(NamedPipeMessage, PeekLeavesAnEmptyMessage) {
  CONNECT(pair);
  require_ok(pair.writer().write(""));
  require_ok(pair.writer().write("full"));
  for (int i = 0; i < 2; i++) ExpectPeek(pair.reader(), 64, "", 4, 0);
  EXPECT_THAT(pair.reader().read(64), Reads(""));
  ExpectPeek(pair.reader(), 64, "full", 4, 0);
  EXPECT_THAT(pair.reader().read(64), Reads("full"));
}

// ----------------------------------------------------------------------------------------------- read modes

CTS_CASE(NamedPipeMessage, ClientBeginsWithBytes) {
  const Listener listener = LISTEN(FRESH_PIPE);
  const PipePair pair = ConnectPipes(listener, client());
  const Reply theirs = pair.client.call(op::named_pipe_info()), ours = pair.server.call(op::named_pipe_info());
  EXPECT_EQ(require_ok(theirs).text("type"), "messages");
  EXPECT_EQ(theirs.text("read_mode"), "bytes");
  EXPECT_EQ(require_ok(ours).text("type"), "messages");
  EXPECT_EQ(ours.text("read_mode"), "messages");
  for (const char *text : {"0123", "456", "", "789"}) require_ok(pair.server.write(text));
  EXPECT_THAT(pair.client.read(2), Reads("01"));
  ExpectBytes(pair.client, "23456789");
  for (const char *text : {"two", "messages"}) require_ok(pair.client.write(text));
  for (const char *text : {"two", "messages"}) EXPECT_THAT(pair.server.read(64), Reads(text));
}

CTS_CASE(NamedPipeMessage, ServerCanReadBytes) {
  const Listener listener = LISTEN(FRESH_PIPE.read_mode("bytes"));
  const PipePair pair = ConnectPipes(listener, client(), ReadMessages(listener));
  EXPECT_EQ(require_ok(pair.server.call(op::named_pipe_info())).text("read_mode"), "bytes");
  for (const char *text : {"ab", "cd"}) require_ok(pair.client.write(text));
  EXPECT_THAT(pair.server.read(3), Reads("abc"));
  EXPECT_THAT(pair.server.read(3), Reads("d"));
  for (const char *text : {"ab", "cd"}) require_ok(pair.server.write(text));
  for (const char *text : {"ab", "cd"}) EXPECT_THAT(pair.client.read(64), Reads(text));
}

CTS_CASE(NamedPipeMessage, ReadModeCanBeChanged) {
  CONNECT(pair);
  for (int round = 0; round < 2; round++) {
    for (const char *text : {"ab", "cd", "ef"}) require_ok(pair.writer().write(text));
    EXPECT_THAT(pair.reader().read(64), Reads("ab"));
    EXPECT_THAT(pair.reader().call(ReadMode("bytes")), IsOk());
    EXPECT_EQ(require_ok(pair.reader().call(op::named_pipe_info())).text("read_mode"), "bytes");
    ExpectBytes(pair.reader(), "cdef");
    EXPECT_THAT(pair.reader().call(ReadMode("messages")), IsOk());
    EXPECT_EQ(require_ok(pair.reader().call(op::named_pipe_info())).text("read_mode"), "messages");
    EXPECT_EQ(require_ok(pair.writer().call(op::named_pipe_info())).text("read_mode"), "messages")
        << "the other end's mode changed";
  }
}

CTS_CASE(NamedPipeMessage, BytesGoOnInsideAMessage) {
  CONNECT(pair);
  require_ok(pair.writer().write("0123456789"));
  require_ok(pair.writer().write("next"));
  ExpectCut(pair.reader().read(4), "0123", 6);
  require_ok(pair.reader().call(ReadMode("bytes")));
  EXPECT_THAT(pair.reader().read(3), Reads("456"));
  ExpectBytes(pair.reader(), "789next");
}

CTS_CASE(NamedPipeMessage, MessagesGoOnBehindBytes) {
  CONNECT(pair);
  require_ok(pair.writer().write("0123456789"));
  require_ok(pair.writer().write("next"));
  require_ok(pair.reader().call(ReadMode("bytes")));
  EXPECT_THAT(pair.reader().read(3), Reads("012"));
  require_ok(pair.reader().call(ReadMode("messages")));
  ExpectCut(pair.reader().read(2), "34", 5);
  EXPECT_THAT(pair.reader().read(64), Reads("56789"));
  EXPECT_THAT(pair.reader().read(64), Reads("next"));
}

CTS_CASE(NamedPipeMessage, OneDirectionCarriesMessages) {
  const bool outbound = shape("writer") == "server";
  const std::string direction = outbound ? "outbound" : "inbound";
  const Listener listener = LISTEN(FRESH_PIPE.direction(direction));
  op::named_pipe_connect request = ConnectRequest(listener).direction(direction);
  PipePair pair = ConnectPipes(listener, client(), outbound ? request.read_mode("messages") : request);
  pair.server_writes = outbound;
  EXPECT_THAT(pair.writer().call(ReadMode("messages")), StatusIs("unsupported"));
  for (const char *text : {"one", "", "three"}) require_ok(pair.writer().write(text));
  for (const char *text : {"one", "", "three"}) EXPECT_THAT(pair.reader().read(64), Reads(text));
  for (const NamedPipe &end : {pair.server, pair.client}) {
    EXPECT_THAT(end.call(Transact("one way", 64)), StatusIs("unsupported"));
  }
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block")) << "a transaction wrote all the same";
}

// --------------------------------------------------------------------------------------------- transactions

CTS_CASE(NamedPipeMessage, TransactionGetsItsAnswer) {
  CONNECT(pair);
  for (int i = 0; i < 20; i++) {
    const std::string question = "question " + std::to_string(i), answer = "answer " + std::to_string(i);
    Pending asking = pair.writer().start(Transact(question, 64));
    EXPECT_THAT(pair.reader().read(64), Reads(question));
    require_ok(pair.reader().write(answer));
    EXPECT_THAT(asking.wait(), Reads(answer));
  }
}

CTS_CASE(NamedPipeMessage, TransactionWaitsForItsAnswer) {
  CONNECT(pair);
  Pending asking = pair.writer().start(Transact("question", 64).watch());
  EXPECT_THAT(pair.reader().read(64), Reads("question"));
  asking.expect_blocked();
  require_ok(pair.reader().write("answer"));
  EXPECT_THAT(asking.wait(), Reads("answer"));
}

CTS_CASE(NamedPipeMessage, TransactionCarriesEveryLength) {
  CONNECT(pair);
  for (uint64_t length : {uint64_t{0}, uint64_t{1}, 64_KiB, uint64_t{65537}, uint64_t{300000}}) {
    const Data question = pattern(length), answer = pattern(length);
    Pending asking = pair.writer().start(Transact(question, length));
    EXPECT_THAT(pair.reader().read(length), Reads(question));
    Pending answering = pair.reader().start(WritePipe(answer));
    EXPECT_THAT(asking.wait(), Reads(answer));
    EXPECT_THAT(answering.wait(), Accepts(answer));
  }
}

CTS_CASE(NamedPipeMessage, LongAnswerTellsWhatIsLeft) {
  CONNECT(pair);
  Pending asking = pair.writer().start(Transact("question", 4));
  EXPECT_THAT(pair.reader().read(64), Reads("question"));
  require_ok(pair.reader().write("0123456789"));
  ExpectCut(asking.wait(), "0123", 6);
  EXPECT_THAT(pair.writer().read(64), Reads("456789"));
  asking = pair.writer().start(Transact("again", 64));
  EXPECT_THAT(pair.reader().read(64), Reads("again"));
  require_ok(pair.reader().write("well"));
  EXPECT_THAT(asking.wait(), Reads("well"));
}

CTS_CASE(NamedPipeMessage, TransactionIsBusyWhileSomethingWaits) {
  CONNECT(pair);
  require_ok(pair.reader().write("unasked"));
  EXPECT_THAT(pair.writer().call(Transact("question", 64)), Reads("", "busy"));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block")) << "it was asked all the same";
  ExpectCut(pair.writer().read(2), "un", 5);
  EXPECT_THAT(pair.writer().call(Transact("question", 64)), Reads("", "busy"));
  EXPECT_THAT(pair.writer().read(64), Reads("asked"));
  Pending asking = pair.writer().start(Transact("question", 64));
  EXPECT_THAT(pair.reader().read(64), Reads("question"));
  require_ok(pair.reader().write("answer"));
  EXPECT_THAT(asking.wait(), Reads("answer"));
}

CTS_CASE(NamedPipeMessage, EmptyMessageKeepsATransactionBusy) {
  CONNECT(pair);
  require_ok(pair.reader().write(""));
  EXPECT_THAT(pair.writer().call(Transact("question", 64)), Reads("", "busy"));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block")) << "it was asked all the same";
  EXPECT_THAT(pair.writer().read(64), Reads(""));
  EXPECT_THAT(pair.writer().call(ReadPipeNow(64)), Reads("", "would_block"));
}

CTS_CASE(NamedPipeMessage, TransactionNeedsMessages) {
  CONNECT(pair);
  require_ok(pair.writer().call(ReadMode("bytes")));
  EXPECT_THAT(pair.writer().call(Transact("question", 64)), Reads("", "unsupported"));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64)), Reads("", "would_block")) << "it was asked all the same";
  require_ok(pair.writer().call(ReadMode("messages")));
  Pending asking = pair.writer().start(Transact("question", 64));
  EXPECT_THAT(pair.reader().read(64), Reads("question"));
  require_ok(pair.reader().write("answer"));
  EXPECT_THAT(asking.wait(), Reads("answer"));
}

CTS_CASE(NamedPipeMessage, TransactionWithNobodyIsBrokenPipe) {
  CONNECT(pair);
  require_ok(pair.reader().close());
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.writer().call(Transact("question", 64)), Reads("", "broken_pipe"));
}

CTS_CASE(NamedPipeMessage, TransactionEndsWhenTheOtherEndCloses) {
  CONNECT(pair);
  Pending asking = pair.writer().start(Transact("question", 64).watch());
  EXPECT_THAT(pair.reader().read(64), Reads("question"));
  asking.expect_blocked();
  require_ok(pair.reader().close());
  const Reply reply = asking.wait();
  EXPECT_THAT(reply, Allowed("transaction without an answer"));
  EXPECT_EQ(reply.length(), 0u);
}

CTS_CASE(NamedPipeMessage, TransactionTimesOut) {
  CONNECT(pair);
  const Stopwatch watch;
  EXPECT_THAT(pair.writer().call(Transact("question", 64).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  // Whether it was written is the system's business; that it is not cut is not.
  const Reply reply = pair.reader().call(ReadPipeNow(64));
  EXPECT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
  if (reply.ok()) {
    EXPECT_THAT(reply, Reads("question"));
  }
  require_ok(pair.reader().write("late"));
  EXPECT_THAT(pair.writer().call(ReadPipe(64).timeout_ms(kLongMs)), Reads("late"));
}

CTS_CASE(NamedPipeMessage, CloseEndsAWaitingTransaction) {
  CONNECT(pair);
  Pending asking = pair.writer().start(Transact("question", 64).watch());
  EXPECT_THAT(pair.reader().read(64), Reads("question"));
  asking.expect_blocked();
  EXPECT_THAT(pair.writer().call(op::named_pipe_close().in("b")), IsOk());
  EXPECT_THAT(asking.wait(), Reads("", "cancelled"));
  EXPECT_THAT(pair.reader().read(64), Ends(""));
}

// ------------------------------------------------------------------------------------------- whole or nothing

CTS_CASE(NamedPipeMessage, SingleAttemptIsWholeOrNothing) {
  CONNECT(pair);
  const int taken = FillWithMessages(pair.writer());
  if (HasFailure()) return;
  ASSERT_GT(taken, 0);
  for (int i = 0; i < taken; i++) ASSERT_THAT(pair.reader().read(kMessage), Reads(Numbered(i))) << "message " << i;
  EXPECT_THAT(pair.reader().call(ReadPipeNow(kMessage)), Reads("", "would_block"));
  EXPECT_THAT(pair.writer().call(WritePipeNow("room")), Accepts("room"));
  EXPECT_THAT(pair.reader().read(64), Reads("room"));
}

CTS_CASE(NamedPipeMessage, WriteWaitsWhenThePipeIsFull) {
  CONNECT(pair);
  const int taken = FillWithMessages(pair.writer());
  if (HasFailure()) return;
  Pending writing = pair.writer().start(WritePipe(Numbered(taken)).watch());
  writing.expect_blocked();
  for (int i = 0; i <= taken; i++) ASSERT_THAT(pair.reader().read(kMessage), Reads(Numbered(i))) << "message " << i;
  EXPECT_THAT(writing.wait(), Accepts(Numbered(taken)));
}

CTS_CASE(NamedPipeMessage, WriteThatTimesOutIsWholeOrNothing) {
  CONNECT(pair);
  const int taken = FillWithMessages(pair.writer());
  if (HasFailure()) return;
  const Stopwatch watch;
  const Reply reply = pair.writer().call(WritePipe(Numbered(taken)).timeout_ms(kTimeoutMs));
  ExpectWaited(watch, kTimeoutMs);
  ASSERT_THAT(reply, StatusIs("timed_out"));
  ASSERT_TRUE(reply.length() == 0 || reply.length() == kMessage) << reply.length();
  for (int i = 0; i < taken; i++) ASSERT_THAT(pair.reader().read(kMessage), Reads(Numbered(i))) << "message " << i;
  if (reply.length() != 0) {
    EXPECT_THAT(pair.reader().read(kMessage), Reads(Numbered(taken)));
  }
  require_ok(pair.writer().write("the next"));
  EXPECT_THAT(pair.reader().read(64), Reads("the next"));
}

CTS_CASE(NamedPipeMessage, CloseLeavesTheLastMessageWholeOrOut) {
  CONNECT(pair);
  const int taken = FillWithMessages(pair.writer());
  if (HasFailure()) return;
  Pending writing = pair.writer().start(WritePipe(Numbered(taken)).watch());
  writing.expect_blocked();
  EXPECT_THAT(pair.writer().call(op::named_pipe_close().in("b")), IsOk());
  const Reply reply = writing.wait();
  ASSERT_THAT(reply, StatusIs("cancelled"));
  ASSERT_TRUE(reply.length() == 0 || reply.length() == kMessage) << reply.length();
  for (int i = 0; i < taken; i++) ASSERT_THAT(pair.reader().read(kMessage), Reads(Numbered(i))) << "message " << i;
  if (reply.length() != 0) {
    EXPECT_THAT(pair.reader().read(kMessage), Reads(Numbered(taken)));
  }
  EXPECT_THAT(pair.reader().read(kMessage), Ends(""));
}

CTS_CASE(NamedPipeMessage, WritersDoNotMixMessages) {
  CONNECT(pair);
  constexpr int messages = 20;
  std::deque<Data> sent[2];
  std::vector<Pending> writing;
  for (int i = 0; i < messages; i++) {
    for (int lane = 0; lane < 2; lane++) {
      sent[lane].push_back(pattern(5000 + static_cast<uint64_t>(i) * 3000));
      writing.push_back(pair.writer().start(WritePipe(sent[lane].back()).in("w" + std::to_string(lane))));
    }
  }
  while (!sent[0].empty() || !sent[1].empty()) {
    const Reply reply = pair.reader().read(1_MiB);
    ASSERT_THAT(reply, IsOk());
    const auto is_next = [&](const std::deque<Data> &of) {
      return !of.empty() && reply.length() == of.front().length() && reply.number("crc32") == of.front().crc32();
    };
    const int from = is_next(sent[0]) ? 0 : 1;
    ASSERT_TRUE(is_next(sent[from])) << "a message that nobody wrote, or not yet, of " << reply.length() << " bytes";
    sent[from].pop_front();
  }
  for (const Pending &each : writing) EXPECT_THAT(each.wait(), IsOk());
}

// -------------------------------------------------------------------------------------------------- waiting

CTS_CASE(NamedPipeMessage, ReadTimesOut) {
  CONNECT(pair);
  const Stopwatch watch;
  EXPECT_THAT(pair.reader().call(ReadPipe(64).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  require_ok(pair.writer().write("0123456789"));
  ExpectCut(pair.reader().call(ReadPipe(4).timeout_ms(kLongMs)), "0123", 6);
  EXPECT_THAT(pair.reader().call(ReadPipe(64).timeout_ms(kLongMs)), Reads("456789"));
}

CTS_CASE(NamedPipeMessage, CloseEndsAWaitingRead) {
  CONNECT(pair);
  Pending reading = pair.reader().start(ReadPipe(64).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.reader().call(op::named_pipe_close().in("b")), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
}

CTS_CASE(NamedPipeMessage, NonblockingEndDoesNotWait) {
  CONNECT(pair);
  require_ok(pair.reader().call(op::named_pipe_set_nonblocking().nonblocking(true)));
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.reader().read(64), Reads("", "would_block"));
  for (const char *text : {"", "two"}) require_ok(pair.writer().write(text));
  for (const char *text : {"", "two"}) EXPECT_THAT(pair.reader().read(64), Reads(text));
  EXPECT_THAT(pair.reader().read(64), Reads("", "would_block"));
  require_ok(pair.reader().call(op::named_pipe_set_nonblocking().nonblocking(false)));
  Pending reading = pair.reader().start(ReadPipe(64).watch());
  reading.expect_blocked();
  require_ok(pair.writer().write("waited"));
  EXPECT_THAT(reading.wait(), Reads("waited"));
}

CTS_CASE(NamedPipeMessage, FlushWaitsForEveryMessage) {
  CONNECT(pair);
  for (const char *text : {"one", "", "three"}) require_ok(pair.writer().write(text));
  Pending flushing = pair.writer().start(op::named_pipe_flush());
  EXPECT_THAT(pair.reader().read(64), Reads("one"));
  EXPECT_THAT(pair.reader().read(64), Reads(""));
  ExpectCut(pair.reader().read(4), "thre", 1);
  EXPECT_FALSE(flushing.answered()) << "the last message has not been read to its end";
  EXPECT_THAT(pair.reader().read(64), Reads("e"));
  EXPECT_THAT(flushing.wait(), IsOk());
}

CTS_CASE(NamedPipeMessage, DisconnectDiscardsMessages) {
  CONNECT(pair);
  require_ok(pair.server.write("0123456789"));
  require_ok(pair.server.write("never read"));
  ExpectCut(pair.client.read(4), "0123", 6);
  EXPECT_THAT(pair.server.call(op::named_pipe_disconnect()), IsOk());
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.client.read(64), Ends(""));
  EXPECT_THAT(pair.client.write("nobody reads"), StatusIs("broken_pipe"));
}

}  // namespace cts
