// Local sockets: spec/local_socket.md.
#include <memory>

#include "conformance/cases/common.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// More than any system holds for a local socket by default, with room to spare.
constexpr uint64_t kFarBeyondTheBuffer = 4_MiB;

}  // namespace

// ------------------------------------------------------------------------------------------------ moving bytes

CTS_CASE(LocalSocket, BytesArriveUnchanged) {
  Pair pair = connected_pair();
  for (uint64_t length : {1_KiB, 64_KiB}) {
    Data data = pattern(length);
    Pending writing = pair.writer().start(op::stream_write().data(data));
    EXPECT_THAT(pair.reader().read_exact(length), Reads(data));
    EXPECT_THAT(writing.wait(), Accepts(data));
  }
  std::string every;
  for (int byte = 0; byte < 256; byte++) every += static_cast<char>(byte);
  EXPECT_THAT(pair.writer().write(every), Accepts(every));
  EXPECT_THAT(pair.reader().read_exact(256), Reads(every));
}

CTS_CASE(LocalSocket, WritesHaveNoBoundaries) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("ab"));
  require_ok(pair.writer().write("cd"));
  EXPECT_THAT(pair.reader().read_exact(4), Reads("abcd"));
  require_ok(pair.writer().write("efgh"));
  for (const char *piece : {"e", "f", "g", "h"}) EXPECT_THAT(pair.reader().read(1), Reads(piece));
}

CTS_CASE(LocalSocket, ShortReadLeavesTheRest) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("0123456789"));
  EXPECT_THAT(pair.reader().read_exact(4), Reads("0123"));
  EXPECT_THAT(pair.reader().read_exact(6), Reads("456789"));
}

CTS_CASE(LocalSocket, ReadReturnsWhatIsThere) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("hello"));
  Reply first = pair.reader().read(64_KiB);
  ASSERT_THAT(first, IsOk());
  const uint64_t got = first.length();
  ASSERT_TRUE(got >= 1 && got <= 5) << got;
  EXPECT_THAT(first, Reads(Data("hello").prefix(got)));
  if (got < 5) {
    EXPECT_THAT(pair.reader().read_exact(5 - got), Reads(Data(std::string("hello").substr(got))));
  }
}

CTS_CASE(LocalSocket, EmptyWriteIsNothing) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.writer().write(""), Accepts(""));
  require_ok(pair.writer().write("x"));
  EXPECT_THAT(pair.reader().read(10), Reads("x"));
}

CTS_CASE(LocalSocket, ReadWaitsForData) {
  Pair pair = connected_pair();
  Pending reading = pair.reader().start(ReadSome(16).watch());
  reading.expect_blocked();
  require_ok(pair.writer().write("now"));
  EXPECT_THAT(reading.wait(), Reads("now"));
}

CTS_CASE(LocalSocket, WriteWaitsWhenTheBufferIsFull) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = pair.writer().start(op::stream_write().data(data).watch());
  writing.expect_blocked();
  EXPECT_THAT(pair.reader().read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(LocalSocket, TransferFarBeyondTheBuffer) {
  constexpr uint64_t chunk = 64_KiB;
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = pair.writer().start(op::stream_write().data(data));
  Reply reply = pair.reader().call(ReadExact(data.length()).buffer(1500).chunk(chunk));
  EXPECT_THAT(reply, Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
  std::vector<uint64_t> chunks = reply.numbers("chunks");
  ASSERT_EQ(chunks.size(), data.length() / chunk);
  for (size_t i = 0; i < chunks.size(); i++) ASSERT_EQ(chunks[i], data.slice_crc32(i * chunk, chunk)) << "chunk " << i;
}

CTS_CASE(LocalSocket, BothDirectionsAtOnce) {
  Pair pair = connected_pair();
  Data to_server = pattern(1_MiB), to_client = pattern(1_MiB);
  Pending server_reads = pair.server.start(ReadExact(1_MiB).in("r").watch());
  Pending client_reads = pair.client.start(ReadExact(1_MiB).in("r").watch());
  server_reads.expect_blocked();  // a direction that waits must not keep the other from going
  client_reads.expect_blocked();
  Pending server_writes = pair.server.start(op::stream_write().data(to_client).in("w"));
  Pending client_writes = pair.client.start(op::stream_write().data(to_server).in("w"));
  EXPECT_THAT(server_writes.wait(), Accepts(to_client));
  EXPECT_THAT(client_writes.wait(), Accepts(to_server));
  EXPECT_THAT(server_reads.wait(), Reads(to_server));
  EXPECT_THAT(client_reads.wait(), Reads(to_client));
}

CTS_CASE(LocalSocket, FlushIsNoError) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.writer().call(op::stream_flush()), IsOk());
  require_ok(pair.writer().write("flushed"));
  EXPECT_THAT(pair.writer().call(op::stream_flush()), IsOk());
  EXPECT_THAT(pair.reader().read_exact(7), Reads("flushed"));
}

CTS_CASE(LocalSocket, VectoredWriteKeepsOrder) {
  Pair pair = connected_pair();
  Data data = pattern(4103);
  Reply reply = pair.writer().call(op::stream_write_vectored().data(data).lengths({3, 0, 1, 4096, 0, 3}));
  EXPECT_THAT(reply, Accepts(data));
  EXPECT_THAT(pair.reader().read_exact(data.length()), Reads(data));
}

CTS_CASE(LocalSocket, VectoredReadFillsInOrder) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("0123456789"));
  Reply reply = pair.reader().call(op::stream_read_vectored().lengths({2, 0, 3, 1}));
  ASSERT_THAT(reply, IsOk());
  const uint64_t got = reply.length();
  ASSERT_TRUE(got >= 1 && got <= 6) << got;
  EXPECT_THAT(reply, Reads(Data("012345").prefix(got)));
  EXPECT_THAT(pair.reader().read_exact(10 - got), Reads(Data(std::string("0123456789").substr(got))));
}

// --------------------------------------------------------------------------------------------- the end of a stream

CTS_CASE(LocalSocket, ReaderGetsEverythingWrittenBeforeClose) {
  Pair pair = connected_pair();
  Data data = pattern(64_KiB);
  Pending writing = pair.writer().start(op::stream_write().data(data));
  Pending closing = pair.writer().start(op::stream_close());
  EXPECT_THAT(pair.reader().call(op::stream_read().until("end").buffer(512)), Ends(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
  EXPECT_THAT(closing.wait(), IsOk());
}

CTS_CASE(LocalSocket, LastWordsAreReadable) {
  Pair pair = connected_pair();
  Data data = pattern(4_KiB);
  EXPECT_THAT(pair.writer().write(data), Accepts(data));
  EXPECT_THAT(pair.writer().close(), IsOk());
  EXPECT_THAT(pair.reader().read_to_end(), Ends(data));
}

CTS_CASE(LocalSocket, EndRepeats) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("bye"));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().read_to_end(), Ends("bye"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(LocalSocket, WriteAfterPeerClosedFails) {
  Pair pair = connected_pair();
  require_ok(pair.reader().close());
  Reply reply;
  for (int i = 0; i < 16; i++) {
    reply = pair.writer().write("x");
    if (!reply.ok()) break;
  }
  EXPECT_THAT(reply, Allowed("write after the reader closed"));
  Pair next = connected_pair(pair.listener, client());
  EXPECT_THAT(next.writer().write("alive"), Accepts("alive"));
}

CTS_CASE(LocalSocket, UnreadDataAtCloseIsResetOrEnd) {
  Pair pair = connected_pair();
  require_ok(pair.server.write("never read"));
  require_ok(pair.client.write("last words"));
  require_ok(pair.client.close());
  EXPECT_THAT(pair.server.read_exact(10), Reads("last words"));
  EXPECT_THAT(pair.server.read(16), Allowed("first read after the data"));
  for (int i = 0; i < 2; i++) EXPECT_THAT(pair.server.read(16), Allowed("later reads"));
}

CTS_CASE(LocalSocket, TransferEndsWhenTheReaderCloses) {
  Pair pair = connected_pair();
  Pending writing = pair.writer().start(op::stream_write().data(pattern(kFarBeyondTheBuffer)).watch());
  writing.expect_blocked();
  require_ok(pair.reader().close());
  Reply reply = writing.wait();
  ASSERT_THAT(reply, Allowed("waiting write"));
  EXPECT_LT(reply.length(), kFarBeyondTheBuffer);
}

// ------------------------------------------------------------------------------------------ listening and accepting

CTS_CASE(LocalSocket, AcceptWaitsForAClient) {
  Listener listener = listen(server(), fresh_name());
  Pending accepting = listener.start_accept(server().fresh_handle("s"));
  accepting.expect_blocked();
  connect(client(), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
}

CTS_CASE(LocalSocket, ConnectSucceedsBeforeAccept) {
  Listener listener = listen(server(), fresh_name());
  Stream client_end = connect(client(), listener);
  EXPECT_THAT(client_end.write("early"), Accepts("early"));
  EXPECT_THAT(listener.accept().read_exact(5), Reads("early"));
}

CTS_CASE(LocalSocket, ClientThatLeftIsStillAccepted) {
  Listener listener = listen(server(), fresh_name());
  for (int i = 0; i < 3; i++) {
    Stream gone = connect(client(), listener);
    require_ok(gone.write("bye"));
    require_ok(gone.close());
  }
  require_ok(connect(client(), listener).close());  // and one that said nothing
  for (int i = 0; i < 3; i++) EXPECT_THAT(listener.accept().read_to_end(), Ends("bye"));
  EXPECT_THAT(listener.accept().read_to_end(), Ends(""));
  Stream stays = connect(client(), listener);
  require_ok(stays.write("here"));
  EXPECT_THAT(listener.accept().read_exact(4), Reads("here"));
}

CTS_CASE(LocalSocket, EachClientHasItsOwnStream) {
  Listener listener = listen(server(), fresh_name());
  for (int i = 1; i <= 3; i++) client(i);
  std::vector<Pair> pairs;
  for (int i = 1; i <= 3; i++) pairs.push_back(connected_pair(listener, client(i)));
  for (size_t i = 0; i < pairs.size(); i++) require_ok(pairs[i].client.write("client " + std::to_string(i)));
  for (size_t i = pairs.size(); i-- > 0;) {
    EXPECT_THAT(pairs[i].server.read_exact(8), Reads("client " + std::to_string(i)));
    require_ok(pairs[i].server.write("server " + std::to_string(i)));
  }
  for (size_t i = 0; i < pairs.size(); i++)
    EXPECT_THAT(pairs[i].client.read_exact(8), Reads("server " + std::to_string(i)));
}

CTS_CASE(LocalSocket, ManyConnectionsInTurn) {
  Listener listener = listen(server(), fresh_name());
  for (int i = 0; i < 50; i++) {
    const std::string word = "client " + std::to_string(i);
    Pair pair = connected_pair(listener, client());
    require_ok(pair.client.write(word));
    require_ok(pair.client.close());
    ASSERT_THAT(pair.server.read_to_end(), Ends(word));
    require_ok(pair.server.close());
  }
}

CTS_CASE(LocalSocket, BacklogHoldsWhatWasAskedFor) {
  constexpr int kBacklog = 8;
  Listener listener = listen(server(), listen_request(fresh_name()).backlog(kBacklog));
  for (int i = 0; i < kBacklog; i++) require_ok(connect(client(), listener).write(std::to_string(i)));
  for (int i = 0; i < kBacklog; i++) EXPECT_THAT(listener.accept().read_exact(1), Reads(std::to_string(i)));
}

CTS_CASE(LocalSocket, ClientsThatLeftAreAcceptedAll) {
  Listener listener = listen(server(), fresh_name());
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < 4; i++) {
      Stream visitor = connect(client(), listener);
      require_ok(visitor.write("visitor " + std::to_string(i)));
      require_ok(visitor.close());
    }
    for (int i = 0; i < 4; i++) {
      Stream accepted = listener.accept();
      EXPECT_THAT(accepted.read_to_end(), Ends("visitor " + std::to_string(i)));
      require_ok(accepted.close());
    }
  }
  Stream staying = connect(client(), listener);
  require_ok(staying.write("staying"));
  EXPECT_THAT(listener.accept().read_exact(7), Reads("staying"));
}

CTS_CASE(LocalSocket, ListenerCloseLeavesAcceptedStreams) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.listener.close(), IsOk());
  require_ok(pair.client.write("ping"));
  EXPECT_THAT(pair.server.read_exact(4), Reads("ping"));
  require_ok(pair.server.write("pong"));
  EXPECT_THAT(pair.client.read_exact(4), Reads("pong"));
}

CTS_CASE(LocalSocket, ListenerCloseEndsWaitingConnections) {
  Listener listener = listen(server(), fresh_name());
  Stream waiting = connect(client(), listener);
  require_ok(listener.close());
  EXPECT_THAT(waiting.read(16), Allowed("read of a connection never accepted"));
}

CTS_CASE(LocalSocket, CloseEndsAWaitingAccept) {
  Listener listener = listen(server(), fresh_name());
  Pending accepting = listener.start_accept("never");
  accepting.expect_blocked();
  EXPECT_THAT(listener.call(op::listener_close().in("b")), IsOk());
  EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
}

CTS_CASE(LocalSocket, CloseEndsAWaitingRead) {
  Pair pair = connected_pair();
  Pending reading = pair.reader().start(ReadSome(16).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.reader().call(op::stream_close().in("b")), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
}

CTS_CASE(LocalSocket, CloseEndsAWaitingWrite) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = pair.writer().start(op::stream_write().data(data).watch());
  writing.expect_blocked();
  EXPECT_THAT(pair.writer().call(op::stream_close().in("b")), IsOk());
  Reply reply = writing.wait();
  ASSERT_THAT(reply, StatusIs("cancelled"));
  EXPECT_THAT(pair.reader().read_to_end(), Ends(data.prefix(reply.length())));
}

CTS_CASE(LocalSocket, CloseLeavesOtherHandles) {
  Pair first = connected_pair(), second = connected_pair(first.listener, client());
  Pending reading = first.server.start(ReadSome(16).watch());
  reading.expect_blocked();
  EXPECT_THAT(second.server.call(op::stream_close().in("b")), IsOk());
  reading.expect_blocked();
  require_ok(first.client.write("still here"));
  EXPECT_THAT(reading.wait(), Reads("still here"));
}

// ------------------------------------------------------------------------------------------------- names at work

CTS_CASE(LocalSocket, ConnectToNothingFails) {
  Stopwatch watch;
  EXPECT_THAT(client().call(connect_request(fresh_name()).as("s1")), Allowed(shape("kind")));
  EXPECT_LT(watch.ms(), LateMs()) << "it tried for a while";
}

CTS_CASE(LocalSocket, ConnectToStaleNameIsRefused) {
  LocalName name = fresh_name("path");
  host::MakeStaleSocket(name.name);
  EXPECT_THAT(client().call(connect_request(name).as("s1")), StatusIs("refused"));
}

CTS_CASE(LocalSocket, ConnectToRegularFileFails) {
  LocalName name = fresh_name("path");
  host::MakeFile(name.name, "contents");
  EXPECT_THAT(client().call(connect_request(name).as("s1")), Allowed("regular file"));
  EXPECT_EQ(look::ReadFile(name.name), "contents");
}

CTS_CASE(LocalSocket, SecondListenIsInUse) {
  LocalName name = fresh_name();
  Listener first = listen(server(), name);
  EXPECT_THAT(server(2).call(listen_request(name).as("second")), StatusIs("in_use"));
  Stream client_end = connect(client(), first);
  require_ok(client_end.write("to the first"));
  EXPECT_THAT(first.accept().read_exact(12), Reads("to the first"));
}

CTS_CASE(LocalSocket, ListenOnRegularFileFails) {
  LocalName name = fresh_name("path");
  host::MakeFile(name.name, "contents");
  EXPECT_THAT(server().call(listen_request(name).as("l1")), Fails());
  EXPECT_EQ(look::ReadFile(name.name), "contents");
}

CTS_CASE(LocalSocket, ListenOnRegularFileIsAlreadyExists) {
  LocalName name = fresh_name("path");
  host::MakeFile(name.name, "contents");
  EXPECT_THAT(server().call(listen_request(name).as("l1")), StatusIs("already_exists"));
}

CTS_CASE(LocalSocket, ListenDoesNotFollowALink) {
  LocalName name = fresh_name("path");
  const std::string target = fresh_path();
  host::MakeLink(name.name, target);
  EXPECT_THAT(server().call(listen_request(name).as("l1")), Fails());
  EXPECT_EQ(look::TypeOf(target), "none");
  EXPECT_EQ(look::TypeOf(name.name), "link");
}

CTS_CASE(LocalSocket, ListenInMissingDirectoryFails) {
  const std::string missing = fresh_path();
  EXPECT_THAT(server().call(op::local_listen().kind("path").name(missing + "/name").as("l1")), Fails());
  EXPECT_EQ(look::TypeOf(missing), "none");
}

CTS_CASE(LocalSocket, MissingDirectoryIsNotFound) {
  const std::string missing = fresh_path();
  EXPECT_THAT(server().call(op::local_listen().kind("path").name(missing + "/name").as("l1")), StatusIs("not_found"));
}

CTS_CASE(LocalSocket, CloseFreesThePath) {
  LocalName name = fresh_name("path");
  require_ok(listen(server(), name).close());
  EXPECT_EQ(look::TypeOf(name.name), "none");
  EXPECT_THAT(client().call(connect_request(name).as("s1")), StatusIs("not_found"));
  Listener again = listen(server(), name);
  connect(client(), connect_request(name));
}

CTS_CASE(LocalSocket, CloseFreesTheNamespacedName) {
  LocalName name = fresh_name("namespaced");
  require_ok(listen(server(), name).close());
  EXPECT_THAT(client().call(connect_request(name).as("s1")), Allowed("connect after close"));
  Listener again = listen(server(), name);
  connect(client(), connect_request(name));
}

CTS_CASE(LocalSocket, CloseLeavesAnothersFile) {
  LocalName name = fresh_name("path");
  Listener old = listen(server(), name);
  host::Rename(name.name, fresh_path());
  host::MakeFile(name.name, "another's");
  EXPECT_THAT(old.close(), IsOk());
  EXPECT_EQ(look::ReadFile(name.name), "another's");
}

CTS_CASE(LocalSocket, ListenerReportsItsNativeName) {
  Listener listener = listen(server(), fresh_name());
  Reply reply = listener.call(op::listener_native());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.bytes("native"), listener.native());
}

CTS_CASE(LocalSocket, BareSystemCallsReachTheListener) {
  Listener listener = listen(server(), fresh_name("path"));
  EXPECT_EQ(look::TypeOf(listener.native()), "socket");
  host::BareClient bare(listener.native());
  bare.Write("ping");
  Stream stream = listener.accept();
  EXPECT_THAT(stream.read_exact(4), Reads("ping"));
  require_ok(stream.write("pong"));
  EXPECT_EQ(bare.Read(4), "pong");
}

CTS_CASE(LocalSocket, ModeIsExact) {
  LocalName name = fresh_name("path");
  const unsigned mode = static_cast<unsigned>(std::stoul(shape("mode"), nullptr, 8));
  listen(server(), listen_request(name).mode(mode));
  EXPECT_EQ(look::ModeOf(name.name), mode);
}

// ---------------------------------------------------------------------------------------- taking over a stale name

CTS_CASE(LocalSocket, StaleNameIsInUseWithoutReclaim) {
  LocalName name = fresh_name("path");
  host::MakeStaleSocket(name.name);
  EXPECT_THAT(server().call(listen_request(name).as("l1")), Fails());
  EXPECT_EQ(look::TypeOf(name.name), "socket");
}

CTS_CASE(LocalSocket, ReclaimTakesAStaleName) {
  LocalName name = fresh_name("path");
  host::MakeStaleSocket(name.name);
  Listener listener = listen(server(), listen_request(name).reclaim(true));
  require_ok(connect(client(), listener).write("reclaimed"));
  EXPECT_THAT(listener.accept().read_exact(9), Reads("reclaimed"));
}

CTS_CASE(LocalSocket, ReclaimLeavesALiveName) {
  LocalName name = fresh_name("path");
  Listener first = listen(server(), name);
  EXPECT_THAT(server(2).call(listen_request(name).reclaim(true).as("second")), StatusIs("in_use"));
  require_ok(connect(client(), first).write("to the first"));
  // What the attempt might have left in the queue would come before the client.
  EXPECT_THAT(first.accept().read_exact(12), Reads("to the first"));
}

CTS_CASE(LocalSocket, ReclaimLeavesARegularFile) {
  LocalName name = fresh_name("path");
  host::MakeFile(name.name, "contents");
  EXPECT_THAT(server().call(listen_request(name).reclaim(true).as("l1")), Fails());
  EXPECT_EQ(look::ReadFile(name.name), "contents");
}

CTS_CASE(LocalSocket, ReclaimDoesNotFollowALink) {
  LocalName name = fresh_name("path");
  const std::string target = fresh_path();
  host::MakeStaleSocket(target);
  host::MakeLink(name.name, target);
  EXPECT_THAT(server().call(listen_request(name).reclaim(true).as("l1")), Fails());
  EXPECT_EQ(look::TypeOf(name.name), "link");
  EXPECT_EQ(look::TypeOf(target), "socket");
}

CTS_CASE(LocalSocket, ConcurrentReclaimLeavesOneListener) {
  Peer *peers[2] = {&server(1), &server(2)};
  for (int round = 0; round < 25; round++) {
    LocalName name = fresh_name("path");
    host::MakeStaleSocket(name.name);
    Reply replies[2];
    Pending pending[2];
    std::string handles[2];
    for (int i = 0; i < 2; i++) {
      handles[i] = peers[i]->fresh_handle("l");
      pending[i] = peers[i]->start(listen_request(name).reclaim(true).as(handles[i]));
    }
    for (int i = 0; i < 2; i++) replies[i] = pending[i].wait();
    const int winner = replies[0].ok() ? 0 : 1;
    ASSERT_THAT(replies[winner], IsOk());
    ASSERT_THAT(replies[1 - winner], StatusIsOneOf({"in_use", "busy"}));
    Listener listener(peers[winner], handles[winner], replies[winner].bytes("native"));
    require_ok(connect(client(), listener).write("one"));
    ASSERT_THAT(listener.accept().read_exact(3), Reads("one"));
  }
}

// --------------------------------------------------------------------------------------------------- not waiting

CTS_CASE(LocalSocket, AcceptWithoutWaitingWouldBlock) {
  Listener listener = listen(server(), fresh_name());
  EXPECT_THAT(listener.call(op::listener_accept().as("none").wait(false)), StatusIs("would_block"));
  connect(client(), listener);
  EXPECT_THAT(listener.call(op::listener_accept().as("one").wait(false)), IsOk());
}

CTS_CASE(LocalSocket, ReadWithoutWaitingWouldBlock) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.reader().call(ReadSome(16).wait(false)), Reads("", "would_block"));
  require_ok(pair.writer().write("there"));
  EXPECT_THAT(pair.reader().call(ReadSome(16).wait(false)), Reads("there"));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().call(ReadSome(16).wait(false)), Ends(""));
}

CTS_CASE(LocalSocket, WriteWithoutWaitingWouldBlock) {
  Pair pair = connected_pair();
  uint64_t accepted = 0;
  Data all = pattern(64_MiB);
  for (;;) {
    ASSERT_LT(accepted, 32_MiB) << "it never would block";
    Data piece = Data::Pattern(all.json()["seed"].get<uint32_t>() + static_cast<uint32_t>(accepted % 65521), 64_KiB);
    Reply reply = pair.writer().call(op::stream_write().data(piece).wait(false));
    ASSERT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
    accepted += reply.length();
    if (reply.ok()) continue;
    EXPECT_EQ(reply.length(), 0u) << "a part was accepted: that is ok with its length";
    break;
  }
  EXPECT_GT(accepted, 0u);
  EXPECT_THAT(pair.reader().read_exact(accepted), Reads(all.prefix(accepted)));
  EXPECT_THAT(pair.writer().call(op::stream_write().data("room").wait(false)), Accepts("room"));
}

CTS_CASE(LocalSocket, SetNonblockingTakesEffectAtOnce) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(op::stream_set_nonblocking().nonblocking(true)));
  EXPECT_THAT(pair.reader().read(16), Reads("", "would_block"));
  require_ok(pair.reader().call(op::stream_set_nonblocking().nonblocking(false)));
  Pending reading = pair.reader().start(ReadSome(16).watch());
  reading.expect_blocked();
  require_ok(pair.writer().write("waited"));
  EXPECT_THAT(reading.wait(), Reads("waited"));
}

CTS_CASE(LocalSocket, NonblockingListenerWouldBlock) {
  Listener listener = listen(server(), fresh_name());
  require_ok(listener.call(op::listener_set_nonblocking().nonblocking(true)));
  EXPECT_THAT(listener.call(op::listener_accept().as("none")), StatusIs("would_block"));
  require_ok(listener.call(op::listener_set_nonblocking().nonblocking(false)));
  Pending accepting = listener.start_accept("one");
  accepting.expect_blocked();
  connect(client(), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
}

CTS_CASE(LocalSocket, AcceptedStreamWaits) {
  Listener listener = listen(server(), fresh_name());
  require_ok(listener.call(op::listener_set_nonblocking().nonblocking(true)));
  Stream client_end = connect(client(), listener);
  Stream accepted = listener.accept();
  Pending reading = accepted.start(ReadSome(16).watch());
  reading.expect_blocked();
  require_ok(client_end.write("waited"));
  EXPECT_THAT(reading.wait(), Reads("waited"));
}

// ------------------------------------------------------------------------------------------------------ timeouts

CTS_CASE(LocalSocket, AcceptTimesOut) {
  Listener listener = listen(server(), fresh_name());
  Stopwatch watch;
  EXPECT_THAT(listener.call(op::listener_accept().as("none").timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  const uint64_t waited = watch.ms();
  EXPECT_GE(waited, kTimeoutMs);
  EXPECT_LT(waited, kTimeoutMs + LateMs());
  connect(client(), listener);
  EXPECT_THAT(listener.call(op::listener_accept().as("one").timeout_ms(10000)), IsOk());
}

CTS_CASE(LocalSocket, ReadTimesOut) {
  Pair pair = connected_pair();
  Stopwatch watch;
  EXPECT_THAT(pair.reader().call(ReadSome(16).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
  const uint64_t waited = watch.ms();
  EXPECT_GE(waited, kTimeoutMs);
  EXPECT_LT(waited, kTimeoutMs + LateMs());
  require_ok(pair.writer().write("later"));
  EXPECT_THAT(pair.reader().call(ReadSome(16).timeout_ms(10000)), Reads("later"));
}

CTS_CASE(LocalSocket, WriteTimesOut) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.writer().call(op::stream_write().data("fits").timeout_ms(kTimeoutMs)), Accepts("fits"));
  EXPECT_THAT(pair.reader().read(16), Reads("fits"));
  Data data = pattern(kFarBeyondTheBuffer);
  Stopwatch watch;
  Reply reply = pair.writer().call(op::stream_write().data(data).timeout_ms(kTimeoutMs));
  const uint64_t waited = watch.ms();
  EXPECT_GE(waited, kTimeoutMs);
  EXPECT_LT(waited, kTimeoutMs + LateMs());
  ASSERT_THAT(reply, StatusIs("timed_out"));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().read_to_end(), Ends(data.prefix(reply.length())));
}

CTS_CASE(LocalSocket, RoomDoesNotProlongATimeout) {
  Pair pair = connected_pair();
  Pending writing = pair.writer().start(op::stream_write().data(pattern(32_MiB)).timeout_ms(kTimeoutMs));
  Pending closing = pair.writer().start(op::stream_close());  // so that no read waits for ever
  require_ok(pair.reader().read(8_KiB));                      // now it has begun
  const Stopwatch watch;
  bool ended = false;
  while (!ended && !writing.answered() && watch.ms() < kTimeoutMs + LateMs()) ended = !pair.reader().read(8_KiB).ok();
  ASSERT_TRUE(ended || writing.answered()) << "what is read makes it wait longer";
  EXPECT_THAT(writing.wait(), StatusIs("timed_out"));
  EXPECT_THAT(closing.wait(), IsOk());
  while (!ended) ended = !pair.reader().read(8_KiB).ok();  // what was taken comes, and no more
}

CTS_CASE(LocalSocket, ConnectTimesOutWhenTheBacklogIsFull) {
  Listener listener = listen(server(), listen_request(fresh_name()).backlog(1));
  const size_t filled = FillBacklog(client(), connect_request(listener));
  const Stopwatch watch;
  EXPECT_THAT(client().call(connect_request(listener).as("none").timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  const uint64_t waited = watch.ms();
  EXPECT_GE(waited, kTimeoutMs);
  EXPECT_LT(waited, kTimeoutMs + LateMs());
  listener.accept();
  EXPECT_THAT(client().call(connect_request(listener).as("late").timeout_ms(10000)), IsOk());
  for (size_t i = 0; i < filled; i++) listener.accept();
}

CTS_CASE(LocalSocket, ConnectWaitsForRoomInTheBacklog) {
  Listener listener = listen(server(), listen_request(fresh_name()).backlog(1));
  const size_t filled = FillBacklog(client(), connect_request(listener));
  const Stream late(&client(), client().fresh_handle("s"));
  Pending connecting = client().start(connect_request(listener).as(late.handle()).timeout_ms(10000).watch());
  connecting.expect_blocked();
  for (size_t i = 0; i < filled; i++) listener.accept();
  require_ok(connecting.wait());
  require_ok(late.write("waited"));
  EXPECT_THAT(listener.accept().read_exact(6), Reads("waited"));
}

// ------------------------------------------------------------------------------------- halves, handles, credentials

CTS_CASE(LocalSocket, SplitHalvesWorkAtOnce) {
  Pair pair = connected_pair();
  const Stream &split = pair.writer(), &other = pair.reader();
  require_ok(split.call(op::stream_split().read_as("reading").write_as("writing")));
  Stream reading_half(&split.peer(), "reading"), writing_half(&split.peer(), "writing");
  Pending reading = reading_half.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  EXPECT_THAT(writing_half.call(op::stream_write().data("from the half").in("w")), Accepts("from the half"));
  EXPECT_THAT(other.read_exact(13), Reads("from the half"));
  require_ok(other.write("to the half"));
  EXPECT_THAT(reading.wait(), Reads("to the half"));
}

CTS_CASE(LocalSocket, ClosingTheWritingHalfKeepsTheConnection) {
  Pair pair = connected_pair();
  require_ok(pair.client.call(op::stream_split().read_as("reading").write_as("writing")));
  Stream reading_half(&pair.client.peer(), "reading"), writing_half(&pair.client.peer(), "writing");
  require_ok(writing_half.close());
  Pending reading = pair.server.start(ReadSome(16).watch());
  reading.expect_blocked();
  require_ok(pair.server.call(op::stream_write().data("still there").in("b")));
  EXPECT_THAT(reading_half.read_exact(11), Reads("still there"));
  require_ok(reading_half.close());
  EXPECT_THAT(reading.wait(), Ends(""));
}

CTS_CASE(LocalSocket, ClosingTheReadingHalfKeepsTheConnection) {
  Pair pair = connected_pair();
  require_ok(pair.client.call(op::stream_split().read_as("reading").write_as("writing")));
  Stream reading_half(&pair.client.peer(), "reading"), writing_half(&pair.client.peer(), "writing");
  require_ok(reading_half.close());
  EXPECT_THAT(pair.server.write("nobody reads"), Accepts("nobody reads"));
  EXPECT_THAT(writing_half.write("still there"), Accepts("still there"));
  EXPECT_THAT(pair.server.read_exact(11), Reads("still there"));
  require_ok(writing_half.close());
  EXPECT_THAT(pair.server.read(16), Allowed("end of the stream"));
}

CTS_CASE(LocalSocket, ReleasedStreamCanBeAdopted) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("before"));
  Reply released = pair.reader().call(op::stream_release());
  require_ok(released);
  Peer &holder = pair.reader().peer();
  require_ok(holder.call(op::stream_adopt().raw(released.raw()).as("adopted")));
  Stream adopted(&holder, "adopted");
  EXPECT_THAT(adopted.read_exact(6), Reads("before"));
  require_ok(adopted.write("after"));
  EXPECT_THAT(pair.writer().read_exact(5), Reads("after"));
  require_ok(adopted.close());
  EXPECT_THAT(pair.writer().read_to_end(), Ends("")) << "something still holds the connection";
}

CTS_CASE(LocalSocket, AdoptedListenerLeavesItsFile) {
  LocalName name = fresh_name("path");
  Listener first = listen(server(), name);
  Reply released = first.call(op::listener_release());
  require_ok(released);
  require_ok(server().call(op::listener_adopt().raw(released.raw()).as("adopted")));
  Listener adopted(&server(), "adopted", first.native());
  require_ok(connect(client(), adopted).write("hello"));
  EXPECT_THAT(adopted.accept().read_exact(5), Reads("hello"));
  EXPECT_THAT(adopted.close(), IsOk());
  EXPECT_EQ(look::TypeOf(name.name), "socket");
}

CTS_CASE(LocalSocket, AdoptedListenerKnowsItsName) {
  Listener first = listen(server(), fresh_name());
  Reply released = first.call(op::listener_release());
  require_ok(released);
  require_ok(server().call(op::listener_adopt().raw(released.raw()).as("adopted")));
  Reply reply = Listener(&server(), "adopted", first.native()).call(op::listener_native());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.bytes("native"), first.native());
}

CTS_CASE(LocalSocket, ListenerIsNotInherited) {
  Reply reply = listen(server(), fresh_name("path")).call(op::listener_raw());
  require_ok(reply);
  EXPECT_EQ(reply.raw().kind, "fd");
  EXPECT_TRUE(look::IsCloseOnExec(server().offer().pid, reply.raw().value));
}

CTS_CASE(LocalSocket, StreamIsNotInherited) {
  Pair pair = connected_pair();
  Reply reply = pair.writer().call(op::stream_raw());
  require_ok(reply);
  EXPECT_EQ(reply.raw().kind, "fd");
  EXPECT_TRUE(look::IsCloseOnExec(pair.writer().peer().offer().pid, reply.raw().value));
}

CTS_CASE(LocalSocket, ChildHasNoListener) {
  Reply reply = listen(server(), fresh_name("path")).call(op::listener_raw());
  require_ok(reply);
  const std::string socket = look::DescriptorOf(server().offer().pid, reply.raw().value);
  ASSERT_NE(socket, "") << "the server's own descriptor cannot be seen";
  EXPECT_EQ(look::DescriptorsOf(spawn(server()).offer().pid, socket), std::vector<std::string>());
}

CTS_CASE(LocalSocket, ChildHoldsNoStreamOpen) {
  Pair pair = connected_pair();
  Peer &child = spawn(pair.writer().peer());
  require_ok(pair.writer().write("goodbye"));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().read_to_end(), Ends("goodbye"));
  EXPECT_NE(Beginning(child.offer().pid), "") << "the child has ended: it proves nothing";
}

CTS_CASE(LocalSocket, ServerSeesWhoConnected) {
  Reply reply = connected_pair().server.call(op::stream_peer_credentials());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.number("pid"), static_cast<uint64_t>(client().offer().pid));
}

CTS_CASE(LocalSocket, ServerSeesWhichUserConnected) {
  Reply reply = connected_pair().server.call(op::stream_peer_credentials());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.number("uid"), host::UserId());
  EXPECT_EQ(reply.number("gid"), host::GroupId());
}

CTS_CASE(LocalSocket, ClientSeesWhoListens) {
  Reply reply = connected_pair().client.call(op::stream_peer_credentials());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.number("pid"), static_cast<uint64_t>(server().offer().pid));
}

CTS_CASE(LocalSocket, HalvesTellWhoIsThere) {
  Pair pair = connected_pair();
  require_ok(pair.server.call(op::stream_split().read_as("reading").write_as("writing")));
  const Stream reading(&server(), "reading"), writing(&server(), "writing");
  for (const Stream &half : {reading, writing}) {
    const Reply reply = half.call(op::stream_peer_credentials());
    ASSERT_THAT(reply, IsOk());
    EXPECT_EQ(reply.number("pid"), static_cast<uint64_t>(client().offer().pid));
    require_ok(half.close());
  }
}

CTS_CASE(LocalSocket, CredentialsSurviveThePeersEnd) {
  Pair pair = connected_pair(listen(server(), fresh_name()), client(2));
  const uint64_t pid = static_cast<uint64_t>(client(2).offer().pid);
  client(2).End();
  EXPECT_THAT(pair.server.read_to_end(), Ends(""));
  Reply reply = pair.server.call(op::stream_peer_credentials());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.number("pid"), pid);
}

}  // namespace cts
