// Named pipes of bytes: spec/named_pipe.md.
#include "conformance/cases/named_pipes.h"
#include "conformance/support/host.h"

namespace cts {
namespace {

/// What was written in single attempts until one would block: the beginning of an endless pattern.
struct Filled {
  uint32_t seed;
  uint64_t accepted;
  Data data() const { return Data::Pattern(seed, accepted); }
};

/// Writes without waiting until there is no room, or the case has a failure.
Filled FillPipe(const NamedPipe &writer, uint32_t seed) {
  Filled filled{seed, 0};
  while (filled.accepted < kFarBeyondThePipe) {
    // A pattern begins again after 65521 bytes, so this goes on where the last piece ended.
    const Data piece = Data::Pattern(seed + static_cast<uint32_t>(filled.accepted % 65521), 3000);
    const Reply reply = writer.call(WritePipeNow(piece));
    EXPECT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
    if (!reply.ok()) {
      EXPECT_EQ(reply.length(), 0u) << "a part was taken: that is ok with its length";
      return filled;
    }
    EXPECT_GT(reply.length(), 0u);
    EXPECT_LE(reply.length(), piece.length());
    if (testing::Test::HasFailure()) return filled;
    filled.accepted += reply.length();
  }
  ADD_FAILURE() << "the pipe never was full";
  return filled;
}

}  // namespace

/// A listener of this case's own, with the options of `request`.
#define LISTEN(request) ListenPipe(server(), (request))
#define FRESH_PIPE PipeRequest(fresh_name("namespaced"))
/// A connection, with its writer by the shape.
#define CONNECT(name, request)                             \
  PipePair name = ConnectPipes(LISTEN(request), client()); \
  name.server_writes = has_axis("writer") && shape("writer") == "server"

// ------------------------------------------------------------------------------------------------ moving bytes

CTS_CASE(NamedPipe, BytesArriveUnchanged) {
  CONNECT(pair, FRESH_PIPE);
  std::string every;
  for (int byte = 0; byte < 256; byte++) every += static_cast<char>(byte);
  EXPECT_THAT(pair.writer().write(every), Accepts(every));
  ExpectBytes(pair.reader(), every);
  for (uint64_t length : {1_KiB, 64_KiB}) {
    const Data data = pattern(length);
    Pending writing = pair.writer().start(WritePipe(data));
    ExpectBytes(pair.reader(), data);
    EXPECT_THAT(writing.wait(), Accepts(data));
  }
}

CTS_CASE(NamedPipe, WritesHaveNoBoundaries) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("ab"));
  require_ok(pair.writer().write("cd"));
  ExpectBytes(pair.reader(), "abcd");
  require_ok(pair.writer().write("efgh"));
  for (const char *piece : {"e", "f", "g", "h"}) EXPECT_THAT(pair.reader().read(1), Reads(piece));
}

CTS_CASE(NamedPipe, ReadReturnsWhatIsThere) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("0123456789"));
  EXPECT_THAT(pair.reader().read(4), Reads("0123"));
  EXPECT_THAT(pair.reader().read(64_KiB), Reads("456789"));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(64_KiB)), Reads("", "would_block"));
}

CTS_CASE(NamedPipe, ReadWithoutRoomTakesNothing) {
  CONNECT(pair, FRESH_PIPE);
  EXPECT_THAT(pair.reader().read(0), Reads(""));
  require_ok(pair.writer().write("all of it"));
  EXPECT_THAT(pair.reader().read(0), Reads(""));
  ExpectBytes(pair.reader(), "all of it");
}

CTS_CASE(NamedPipe, EmptyWriteIsNothing) {
  CONNECT(pair, FRESH_PIPE);
  Pending reading = pair.reader().start(ReadPipe(16).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.writer().write(""), Accepts(""));
  reading.expect_blocked();
  require_ok(pair.writer().write("x"));
  EXPECT_THAT(reading.wait(), Reads("x"));
  EXPECT_THAT(pair.writer().write(""), Accepts(""));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Reads("", "would_block"));
}

CTS_CASE(NamedPipe, ForeignEmptyWriteIsNoEnd) {
  Listener listener = LISTEN(FRESH_PIPE);
  host::BareClient foreign(listener.native());
  const NamedPipe accepted = AcceptPipe(listener);
  Pending reading = accepted.start(ReadPipe(16).watch());
  reading.expect_blocked();
  foreign.Write("");
  foreign.Write("behind nothing");
  EXPECT_THAT(reading.wait(), Reads("behind nothing"));
}

CTS_CASE(NamedPipe, BareSystemCallsReachThePipe) {
  Listener listener = LISTEN(FRESH_PIPE);
  host::BareClient bare(listener.native());
  const NamedPipe accepted = AcceptPipe(listener);
  bare.Write("ping");
  ExpectBytes(accepted, "ping");
  require_ok(accepted.write("pong"));
  EXPECT_EQ(bare.Read(4), "pong");
}

CTS_CASE(NamedPipe, ReadWaitsForData) {
  CONNECT(pair, FRESH_PIPE);
  Pending reading = pair.reader().start(ReadPipe(16).watch());
  reading.expect_blocked();
  require_ok(pair.writer().write("now"));
  EXPECT_THAT(reading.wait(), Reads("now"));
}

CTS_CASE(NamedPipe, WriteWaitsWhenThePipeIsFull) {
  CONNECT(pair, FRESH_PIPE);
  const Data data = pattern(kFarBeyondThePipe);
  Pending writing = pair.writer().start(WritePipe(data).watch());
  writing.expect_blocked();
  ExpectBytes(pair.reader(), data);
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(NamedPipe, SizesAreHints) {
  for (uint32_t size : {uint32_t{1}, uint32_t{4096}, uint32_t{1} << 20}) {
    CONNECT(pair, FRESH_PIPE.in_size(size).out_size(size));
    const Data data = pattern(256_KiB);
    Pending writing = pair.writer().start(WritePipe(data));
    ExpectBytes(pair.reader(), data, 3000);
    EXPECT_THAT(writing.wait(), Accepts(data));
  }
}

CTS_CASE(NamedPipe, BothDirectionsAtOnce) {
  CONNECT(pair, FRESH_PIPE);
  const Data to_server = pattern(kFarBeyondThePipe), to_client = pattern(kFarBeyondThePipe);
  Pending server_writes = pair.server.start(WritePipe(to_client).in("w").watch());
  Pending client_writes = pair.client.start(WritePipe(to_server).in("w").watch());
  server_writes.expect_blocked();
  client_writes.expect_blocked();
  ExpectBytes(pair.server, to_server);
  ExpectBytes(pair.client, to_client);
  EXPECT_THAT(server_writes.wait(), Accepts(to_client));
  EXPECT_THAT(client_writes.wait(), Accepts(to_server));
}

CTS_CASE(NamedPipe, WriteGoesOnWhileAReadWaits) {
  CONNECT(pair, FRESH_PIPE);
  const NamedPipe &both = pair.writer(), &other = pair.reader();
  for (int i = 0; i < 3; i++) {
    Pending reading = both.start(ReadPipe(16).in("r").watch());
    reading.expect_blocked();
    EXPECT_THAT(both.call(WritePipe("question").in("w")), Accepts("question"));
    EXPECT_THAT(other.read(16), Reads("question"));
    reading.expect_blocked();
    require_ok(other.write("answer"));
    EXPECT_THAT(reading.wait(), Reads("answer"));
  }
}

CTS_CASE(NamedPipe, ReadGoesOnWhileAWriteWaits) {
  CONNECT(pair, FRESH_PIPE);
  const NamedPipe &both = pair.writer(), &other = pair.reader();
  const Data data = pattern(kFarBeyondThePipe);
  Pending writing = both.start(WritePipe(data).in("w").watch());
  writing.expect_blocked();
  require_ok(other.write("meanwhile"));
  EXPECT_THAT(both.call(ReadPipe(16).in("r")), Reads("meanwhile"));
  writing.expect_blocked();
  ExpectBytes(other, data);
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(NamedPipe, OneDirectionRefusesTheOther) {
  const std::string direction = shape("writer") == "server" ? "outbound" : "inbound";
  Listener listener = LISTEN(FRESH_PIPE.direction(direction));
  PipePair pair = ConnectPipes(listener, client(), ConnectRequest(listener).direction(direction));
  pair.server_writes = direction == "outbound";
  const Reply refused = pair.reader().write("wrong way");
  EXPECT_THAT(refused, StatusIs("unsupported"));
  EXPECT_EQ(refused.length(), 0u);
  EXPECT_THAT(pair.reader().call(op::named_pipe_flush()), StatusIs("unsupported"));
  EXPECT_THAT(pair.writer().read(16), Reads("", "unsupported"));
  EXPECT_THAT(pair.writer().peek(16), StatusIs("unsupported"));
  require_ok(pair.writer().write("right way"));
  ExpectBytes(pair.reader(), "right way");
  EXPECT_THAT(pair.writer().call(op::named_pipe_flush()), IsOk());
}

CTS_CASE(NamedPipe, MessagesAreNotReadFromBytes) {
  const LocalName name = fresh_name("namespaced");
  EXPECT_THAT(server().call(PipeRequest(name).type("bytes").read_mode("messages").as("none")),
              StatusIs("invalid_argument"));
  Listener listener = LISTEN(PipeRequest(name));
  PipePair pair = ConnectPipes(listener, client());
  EXPECT_THAT(client().call(ConnectRequest(listener).read_mode("messages").as("none")), StatusIs("invalid_argument"));
  for (const NamedPipe &end : {pair.server, pair.client}) {
    EXPECT_THAT(end.call(op::named_pipe_set_read_mode().read_mode("messages")), StatusIs("invalid_argument"));
    EXPECT_THAT(end.call(op::named_pipe_set_read_mode().read_mode("bytes")), IsOk());
    EXPECT_THAT(end.call(op::named_pipe_transact().data("no message").max(16)), StatusIs("unsupported"));
  }
  require_ok(pair.client.write("still "));
  require_ok(pair.client.write("bytes"));
  ExpectBytes(pair.server, "still bytes");
  EXPECT_THAT(pair.client.call(ReadPipeNow(16)), Reads("", "would_block")) << "a transaction wrote all the same";
}

// --------------------------------------------------------------------------------------------------- peeking

CTS_CASE(NamedPipe, PeekLeavesTheData) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("0123"));
  require_ok(pair.writer().write("456789"));
  for (int i = 0; i < 2; i++) {
    const Reply front = pair.reader().peek(3);
    EXPECT_THAT(front, Reads("012"));
    EXPECT_EQ(front.number("available"), 10u);
    EXPECT_EQ(front.number("message_left"), 0u);
  }
  EXPECT_THAT(pair.reader().peek(64), Reads("0123456789"));
  EXPECT_THAT(pair.reader().peek(0), Reads(""));
  EXPECT_THAT(pair.reader().read(2), Reads("01"));
  EXPECT_THAT(pair.reader().peek(2), Reads("23"));
  ExpectBytes(pair.reader(), "23456789");
}

CTS_CASE(NamedPipe, PeekDoesNotWait) {
  CONNECT(pair, FRESH_PIPE);
  for (int i = 0; i < 2; i++) {
    const Reply nothing = pair.reader().peek(16);
    EXPECT_THAT(nothing, Reads(""));
    EXPECT_EQ(nothing.number("available"), 0u);
    EXPECT_EQ(nothing.number("message_left"), 0u);
  }
  require_ok(pair.writer().write("something"));
  EXPECT_THAT(pair.reader().peek(16), Reads("something"));
}

CTS_CASE(NamedPipe, PeekTellsTheEnd) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("last words"));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().peek(64), Reads("last words"));
  ExpectBytes(pair.reader(), "last words");
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.reader().peek(64), StatusIs("end"));
  EXPECT_THAT(pair.reader().read(64), Ends(""));
}

// -------------------------------------------------------------------------------------------------- the end

CTS_CASE(NamedPipe, EndComesAfterTheData) {
  CONNECT(pair, FRESH_PIPE);
  const Data data = pattern(256_KiB);
  Pending writing = pair.writer().start(WritePipe(data));
  Pending closing = pair.writer().start(op::named_pipe_close());
  ExpectBytes(pair.reader(), data, 500);
  EXPECT_THAT(writing.wait(), Accepts(data));
  EXPECT_THAT(closing.wait(), IsOk());
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(NamedPipe, LastWordsAreReadable) {
  CONNECT(pair, FRESH_PIPE);
  const Data data = pattern(4_KiB);
  EXPECT_THAT(pair.writer().write(data), Accepts(data));
  EXPECT_THAT(pair.writer().close(), IsOk());
  ExpectBytes(pair.reader(), data);
  EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(NamedPipe, WaitingReadEndsWhenTheOtherEndCloses) {
  CONNECT(pair, FRESH_PIPE);
  Pending reading = pair.reader().start(ReadPipe(16).watch());
  reading.expect_blocked();
  require_ok(pair.writer().close());
  EXPECT_THAT(reading.wait(), Ends(""));
}

CTS_CASE(NamedPipe, WriteWithoutAReaderIsBrokenPipe) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("read"));
  ExpectBytes(pair.reader(), "read");
  require_ok(pair.reader().close());
  for (int i = 0; i < 3; i++) {
    const Reply reply = pair.writer().write("nobody reads");
    EXPECT_THAT(reply, StatusIs("broken_pipe"));
    EXPECT_EQ(reply.length(), 0u);
  }
  EXPECT_THAT(pair.writer().read(16), Ends(""));
}

CTS_CASE(NamedPipe, UnreadBytesDoNotSpoilTheEnd) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("never read"));
  require_ok(pair.reader().write("last words"));
  require_ok(pair.reader().close());
  ExpectBytes(pair.writer(), "last words");
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.writer().read(16), Ends(""));
  EXPECT_THAT(pair.writer().write("nobody reads"), StatusIs("broken_pipe"));
}

CTS_CASE(NamedPipe, WaitingWriteEndsWhenTheReaderCloses) {
  CONNECT(pair, FRESH_PIPE);
  Pending writing = pair.writer().start(WritePipe(pattern(kFarBeyondThePipe)).watch());
  writing.expect_blocked();
  require_ok(pair.reader().close());
  const Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("broken_pipe"));
  EXPECT_LT(reply.length(), kFarBeyondThePipe);
}

CTS_CASE(NamedPipe, KilledProcessEndsThePipe) {
  Listener listener = LISTEN(FRESH_PIPE);
  Peer &child = spawn(client());
  PipePair pair = ConnectPipes(listener, child);
  require_ok(pair.client.write("last words"));
  require_ok(client().call(op::process_close().on(child.process_handle())));
  ExpectBytes(pair.server, "last words");
  EXPECT_THAT(pair.server.read(16), Ends(""));
  EXPECT_THAT(pair.server.write("nobody reads"), StatusIs("broken_pipe"));
  const PipePair next = ConnectPipes(listener, client());
  require_ok(next.client.write("the next"));
  ExpectBytes(next.server, "the next");
}

// ------------------------------------------------------------------------------------------------- closing

CTS_CASE(NamedPipe, CloseEndsAWaitingRead) {
  CONNECT(pair, FRESH_PIPE);
  Pending reading = pair.reader().start(ReadPipe(16).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.reader().call(op::named_pipe_close().in("b")), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(pair.writer().write("nobody reads"), StatusIs("broken_pipe"));
}

CTS_CASE(NamedPipe, CloseEndsAWaitingWrite) {
  CONNECT(pair, FRESH_PIPE);
  const Data data = pattern(kFarBeyondThePipe);
  Pending writing = pair.writer().start(WritePipe(data).watch());
  writing.expect_blocked();
  EXPECT_THAT(pair.writer().call(op::named_pipe_close().in("b")), IsOk());
  const Reply reply = writing.wait();
  ASSERT_THAT(reply, StatusIs("cancelled"));
  ExpectBytes(pair.reader(), data.prefix(reply.length()));
  EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(NamedPipe, CloseEndsBothDirections) {
  CONNECT(pair, FRESH_PIPE);
  const NamedPipe &both = pair.writer();
  Pending reading = both.start(ReadPipe(16).in("r").watch());
  Pending writing = both.start(WritePipe(pattern(kFarBeyondThePipe)).in("w").watch());
  reading.expect_blocked();
  writing.expect_blocked();
  EXPECT_THAT(both.call(op::named_pipe_close().in("c")), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(writing.wait(), StatusIs("cancelled"));
}

// ------------------------------------------------------------------------------------------------ flushing

CTS_CASE(NamedPipe, FlushWaitsForTheReader) {
  CONNECT(pair, FRESH_PIPE);
  EXPECT_THAT(pair.writer().call(op::named_pipe_flush()), IsOk()) << "there is nothing to wait for";
  for (int i = 0; i < 3; i++) {
    require_ok(pair.writer().write("0123456789"));
    Pending flushing = pair.writer().start(op::named_pipe_flush());
    ExpectBytes(pair.reader(), "01234");
    EXPECT_FALSE(flushing.answered()) << "a half of it has not been read";
    ExpectBytes(pair.reader(), "56789");
    EXPECT_THAT(flushing.wait(), IsOk());
  }
}

CTS_CASE(NamedPipe, FlushTimesOut) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("unread"));
  const Stopwatch watch;
  EXPECT_THAT(pair.writer().call(op::named_pipe_flush().timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  require_ok(pair.writer().write(" all the same"));
  ExpectBytes(pair.reader(), "unread all the same");
  EXPECT_THAT(pair.writer().call(op::named_pipe_flush().timeout_ms(kLongMs)), IsOk());
}

CTS_CASE(NamedPipe, FlushWithoutAReaderIsBrokenPipe) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("never read"));
  Pending flushing = pair.writer().start(op::named_pipe_flush());
  require_ok(pair.reader().close());
  EXPECT_THAT(flushing.wait(), StatusIs("broken_pipe"));
  EXPECT_THAT(pair.writer().call(op::named_pipe_flush()), StatusIs("broken_pipe"));
}

CTS_CASE(NamedPipe, CloseEndsAWaitingFlush) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.writer().write("read later"));
  Pending flushing = pair.writer().start(op::named_pipe_flush().watch());
  flushing.expect_blocked();
  EXPECT_THAT(pair.writer().call(op::named_pipe_close().in("b")), IsOk());
  EXPECT_THAT(flushing.wait(), StatusIs("cancelled"));
  ExpectBytes(pair.reader(), "read later");
  EXPECT_THAT(pair.reader().read(16), Ends(""));
}

// ------------------------------------------------------------------------------------------- disconnecting

CTS_CASE(NamedPipe, DisconnectDiscardsWhatIsUnread) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.server.write("never read"));
  EXPECT_THAT(pair.server.call(op::named_pipe_disconnect()), IsOk());
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.client.read(16), Ends(""));
  EXPECT_THAT(pair.client.peek(16), StatusIs("end"));
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.client.write("nobody reads"), StatusIs("broken_pipe"));
}

CTS_CASE(NamedPipe, DisconnectCanWaitForTheReader) {
  CONNECT(pair, FRESH_PIPE);
  const Data data = pattern(4_KiB);
  require_ok(pair.server.write(data));
  Pending disconnecting = pair.server.start(op::named_pipe_disconnect().flush(true));
  ExpectBytes(pair.client, data.prefix(4000));
  EXPECT_FALSE(disconnecting.answered()) << "96 bytes have not been read";
  ExpectBytes(pair.client, Data(data.slice(4000, 96)));
  EXPECT_THAT(disconnecting.wait(), IsOk());
  EXPECT_THAT(pair.client.read(16), Ends(""));
}

CTS_CASE(NamedPipe, DisconnectThatTimesOutDoesNothing) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.server.write("un"));
  const Stopwatch watch;
  EXPECT_THAT(pair.server.call(op::named_pipe_disconnect().flush(true).timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  require_ok(pair.server.write("read"));
  ExpectBytes(pair.client, "unread");
  require_ok(pair.client.write("both ways"));
  ExpectBytes(pair.server, "both ways");
}

CTS_CASE(NamedPipe, DisconnectEndsWhatWaits) {
  CONNECT(pair, FRESH_PIPE);
  Pending theirs = pair.client.start(ReadPipe(16).watch());
  theirs.expect_blocked();
  Pending reading = pair.server.start(ReadPipe(16).in("r").watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.server.call(op::named_pipe_disconnect().in("d")), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(theirs.wait(), Ends(""));
}

CTS_CASE(NamedPipe, DisconnectEndsAWaitingWrite) {
  CONNECT(pair, FRESH_PIPE);
  Pending writing = pair.server.start(WritePipe(pattern(kFarBeyondThePipe)).in("w").watch());
  writing.expect_blocked();
  EXPECT_THAT(pair.server.call(op::named_pipe_disconnect().in("d")), IsOk());
  const Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("cancelled"));
  EXPECT_LT(reply.length(), kFarBeyondThePipe);
  EXPECT_THAT(pair.client.read(16), Ends(""));
}

CTS_CASE(NamedPipe, DisconnectIsFinal) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.server.call(op::named_pipe_disconnect()));
  EXPECT_THAT(pair.server.call(op::named_pipe_disconnect()), StatusIs("closed"));
  EXPECT_THAT(pair.server.write("nobody reads"), Fails());
  EXPECT_THAT(pair.server.call(op::named_pipe_peer()), StatusIs("not_connected"));
  EXPECT_THAT(pair.server.close(), IsOk());
  const PipePair next = ConnectPipes(pair.listener, client());
  require_ok(next.server.write("the next"));
  ExpectBytes(next.client, "the next");
}

CTS_CASE(NamedPipe, DisconnectIsTheServersAlone) {
  CONNECT(pair, FRESH_PIPE);
  EXPECT_THAT(pair.client.call(op::named_pipe_disconnect()), StatusIs("unsupported"));
  EXPECT_THAT(pair.client.call(op::named_pipe_disconnect().flush(true)), StatusIs("unsupported"));
  require_ok(pair.client.write("goes on"));
  ExpectBytes(pair.server, "goes on");
}

// --------------------------------------------------------------------------------------------- not waiting

CTS_CASE(NamedPipe, ReadWithoutWaitingWouldBlock) {
  CONNECT(pair, FRESH_PIPE);
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Reads("", "would_block"));
  require_ok(pair.writer().write("there"));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Reads("there"));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Reads("", "would_block"));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Ends(""));
}

CTS_CASE(NamedPipe, WriteWithoutWaitingWouldBlock) {
  CONNECT(pair, FRESH_PIPE);
  const Filled filled = FillPipe(pair.writer(), 77);
  if (HasFailure()) return;
  ASSERT_GT(filled.accepted, 0u);
  ExpectBytes(pair.reader(), filled.data());
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Reads("", "would_block"));
  EXPECT_THAT(pair.writer().call(WritePipeNow("room")), Accepts("room"));
  ExpectBytes(pair.reader(), "room");
}

CTS_CASE(NamedPipe, DirectionsFillOnTheirOwn) {
  CONNECT(pair, FRESH_PIPE);
  const Filled to_server = FillPipe(pair.client, 1000);
  if (HasFailure()) return;
  const Filled to_client = FillPipe(pair.server, 2000);
  if (HasFailure()) return;
  ASSERT_GT(to_server.accepted, 0u);
  ASSERT_GT(to_client.accepted, 0u) << "what the client wrote took the server's room";
  ExpectBytes(pair.server, to_server.data());
  ExpectBytes(pair.client, to_client.data());
}

CTS_CASE(NamedPipe, NonblockingEndDoesNotWait) {
  CONNECT(pair, FRESH_PIPE);
  require_ok(pair.reader().call(op::named_pipe_set_nonblocking().nonblocking(true)));
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.reader().read(16), Reads("", "would_block"));
  require_ok(pair.writer().write("there"));
  EXPECT_THAT(pair.reader().read(16), Reads("there"));
  require_ok(pair.reader().call(op::named_pipe_set_nonblocking().nonblocking(false)));
  Pending reading = pair.reader().start(ReadPipe(16).watch());
  reading.expect_blocked();
  require_ok(pair.writer().write("waited"));
  EXPECT_THAT(reading.wait(), Reads("waited"));
}

CTS_CASE(NamedPipe, ReadTimesOut) {
  CONNECT(pair, FRESH_PIPE);
  const Stopwatch watch;
  EXPECT_THAT(pair.reader().call(ReadPipe(16).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  EXPECT_THAT(pair.reader().call(ReadPipe(16).timeout_ms(0)), Reads("", "timed_out"));
  require_ok(pair.writer().write("later"));
  EXPECT_THAT(pair.reader().call(ReadPipe(16).timeout_ms(kLongMs)), Reads("later"));
}

CTS_CASE(NamedPipe, WriteTimesOutWithItsExactLength) {
  CONNECT(pair, FRESH_PIPE);
  const Data data = pattern(kFarBeyondThePipe);
  const Stopwatch watch;
  const Reply reply = pair.writer().call(WritePipe(data).timeout_ms(kTimeoutMs));
  ExpectWaited(watch, kTimeoutMs);
  ASSERT_THAT(reply, StatusIs("timed_out"));
  ASSERT_LT(reply.length(), data.length());
  ExpectBytes(pair.reader(), data.prefix(reply.length()));
  EXPECT_THAT(pair.reader().call(ReadPipeNow(16)), Reads("", "would_block")) << "more came than was said";
  require_ok(pair.writer().write("goes on"));
  ExpectBytes(pair.reader(), "goes on");
}

}  // namespace cts
