// Asynchronous I/O: spec/async.md.
#include "conformance/cases/common.h"
#include "conformance/cases/sockets.h"
#include "conformance/support/host.h"

namespace cts {
namespace {

/// More than any system buffers on a stream.
constexpr uint64_t kFarBeyondTheBuffer = 4_MiB;
/// More messages than any receiver holds unread.
constexpr int kFarBeyondTheQueue = 2000;

/// Longer than any case takes.
constexpr uint64_t kNeverMs = 600000;

/// Starts an operation on a stream or socket and waits until it is under way.
template <typename Handle, typename T>
Pending Started(const Handle &handle, T request) {
  Pending pending = handle.start(request.watch());
  pending.expect_blocked();
  return pending;
}

Reply Cancel(Peer &peer, const Pending &pending) { return peer.call(op::cancel().target(pending.id())); }

}  // namespace

// ------------------------------------------------------------------------------------------------------- reads

CTS_CASE(Async, CancelEndsAWaitingRead) {
  Pair pair = connected_pair();
  Pending reading = Started(pair.reader(), ReadSome(16));
  EXPECT_THAT(Cancel(pair.reader().peer(), reading), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(Cancel(pair.reader().peer(), reading), StatusIs("not_found"));
}

CTS_CASE(Async, CancelledReadLosesNoByte) {
  Pair pair = connected_pair();
  Data data = pattern(64_KiB);
  for (int round = 0; round < 3; round++) {
    Pending reading = Started(pair.reader(), ReadSome(16));
    EXPECT_THAT(Cancel(pair.reader().peer(), reading), IsOk());
    EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
    EXPECT_THAT(pair.writer().write(data), Accepts(data));
    EXPECT_THAT(pair.reader().read_exact(data.length()), Reads(data));
  }
}

CTS_CASE(Async, CancelledReadSaysWhatItTook) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("taken"));
  Pending reading = Started(pair.reader(), ReadExact(64));
  EXPECT_THAT(Cancel(pair.reader().peer(), reading), IsOk());
  EXPECT_THAT(reading.wait(), Reads("taken", "cancelled"));
  require_ok(pair.writer().write("next"));
  EXPECT_THAT(pair.reader().read(16), Reads("next"));
}

CTS_CASE(Async, CancelAndArrivalMeet) {
  Pair pair = connected_pair();
  for (int round = 0; round < 50; round++) {
    Pending reading = Started(pair.reader(), ReadSome(16));
    Pending writing = pair.writer().start(op::stream_write().data("x"));
    EXPECT_THAT(Cancel(pair.reader().peer(), reading), StatusIsOneOf({"ok", "not_found"}));
    EXPECT_THAT(writing.wait(), IsOk());
    const Reply reply = reading.wait();
    if (reply.status() == "cancelled") {
      EXPECT_THAT(reply, Reads("", "cancelled"));
      EXPECT_THAT(pair.reader().read(16), Reads("x"));
    } else {
      EXPECT_THAT(reply, Reads("x"));
    }
  }
}

CTS_CASE(Async, ReadsUnderWayTakeTheBytesInOrder) {
  Pair pair = connected_pair();
  Pending first = Started(pair.reader(), ReadSome(4).in("a"));
  Pending second = Started(pair.reader(), ReadSome(4).in("b"));
  Pending third = Started(pair.reader(), ReadSome(4).in("c"));
  Pending last = Started(pair.reader(), ReadSome(4).in("r"));
  require_ok(pair.writer().write("aaaabbbbcccc"));
  EXPECT_THAT(first.wait(), Reads("aaaa"));
  EXPECT_THAT(second.wait(), Reads("bbbb"));
  EXPECT_THAT(third.wait(), Reads("cccc"));
  last.expect_blocked();
  EXPECT_THAT(Cancel(pair.reader().peer(), last), IsOk());
  EXPECT_THAT(last.wait(), Reads("", "cancelled"));
}

CTS_CASE(Async, CancelEndsOneOfTwoReads) {
  Pair pair = connected_pair();
  Pending first = Started(pair.reader(), ReadSome(16).in("a"));
  Pending second = Started(pair.reader(), ReadSome(16).in("b"));
  const bool cancels_first = shape("which") == "first";
  Pending &cancelled = cancels_first ? first : second, &kept = cancels_first ? second : first;
  EXPECT_THAT(Cancel(pair.reader().peer(), cancelled), IsOk());
  EXPECT_THAT(cancelled.wait(), Reads("", "cancelled"));
  kept.expect_blocked();
  require_ok(pair.writer().write("for the other"));
  EXPECT_THAT(kept.wait(), Reads("for the other"));
}

CTS_CASE(Async, CancelledVectoredReadLosesNoByte) {
  Pair pair = connected_pair();
  for (int round = 0; round < 3; round++) {
    Pending reading = Started(pair.reader(), op::stream_read_vectored().lengths({3, 0, 5}));
    EXPECT_THAT(Cancel(pair.reader().peer(), reading), IsOk());
    EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
    require_ok(pair.writer().write("all of it"));
    EXPECT_THAT(pair.reader().read_exact(9), Reads("all of it"));
  }
}

CTS_CASE(Async, CancelledReadOfAHalf) {
  Pair pair = connected_pair();
  Peer &splitting = pair.reader().peer();
  require_ok(pair.reader().call(op::stream_split().read_as("reading").write_as("writing")));
  const Stream reading_half(&splitting, "reading"), writing_half(&splitting, "writing");
  Pending reading = Started(reading_half, ReadSome(16).in("r"));
  require_ok(writing_half.call(op::stream_write().data("at once").in("w")));
  EXPECT_THAT(pair.writer().read_exact(7), Reads("at once"));
  EXPECT_THAT(Cancel(splitting, reading), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  require_ok(writing_half.call(op::stream_write().data("and on").in("w")));
  EXPECT_THAT(pair.writer().read_exact(6), Reads("and on"));
  require_ok(pair.writer().write("heard"));
  EXPECT_THAT(reading_half.read(16), Reads("heard"));
}

CTS_CASE(Async, EndEndsEveryRead) {
  Pair pair = connected_pair();
  std::vector<Pending> readings;
  for (const char *lane : {"a", "b", "c"}) readings.push_back(Started(pair.reader(), ReadSome(16).in(lane)));
  require_ok(pair.writer().write("last"));
  require_ok(pair.writer().close());
  int got = 0;
  for (const Pending &reading : readings) {
    const Reply reply = reading.wait();
    if (reply.ok()) {
      got++;
      EXPECT_THAT(reply, Reads("last"));
    } else {
      EXPECT_THAT(reply, Ends(""));
    }
    EXPECT_THAT(Cancel(pair.reader().peer(), reading), StatusIs("not_found"));
  }
  EXPECT_EQ(got, 1) << "reads got the bytes";
}

CTS_CASE(Async, ShutdownEndsEveryRead) {
  Pair pair = connected_pair();
  std::vector<Pending> readings;
  for (const char *lane : {"a", "b", "c"}) readings.push_back(Started(pair.reader(), ReadSome(16).in(lane)));
  require_ok(pair.writer().call(op::stream_shutdown().how("write")));
  for (const Pending &reading : readings) {
    EXPECT_THAT(reading.wait(), Ends(""));
    EXPECT_THAT(Cancel(pair.reader().peer(), reading), StatusIs("not_found"));
  }
  EXPECT_THAT(pair.reader().write("still writes"), Accepts("still writes"));
}

CTS_CASE(Async, TimeoutEndsOneOfTwoReads) {
  Pair pair = connected_pair();
  Pending first = Started(pair.reader(), ReadSome(16).in("a"));
  EXPECT_THAT(pair.reader().call(ReadSome(16).timeout_ms(kTimeoutMs).in("b")), Reads("", "timed_out"));
  Pending third = Started(pair.reader(), ReadSome(16).in("c"));
  require_ok(pair.writer().write("first"));
  EXPECT_THAT(first.wait(), Reads("first"));
  EXPECT_THAT(Cancel(pair.reader().peer(), third), IsOk());
  EXPECT_THAT(third.wait(), Reads("", "cancelled"));
}

CTS_CASE(Async, EachTimeoutHasItsTime) {
  Pair pair = connected_pair(), other = connected_pair(pair.listener, client());
  const Stopwatch watch;
  Pending later = other.server.start(ReadSome(16).timeout_ms(kTimeoutMs + 20).in("a"));
  Pending sooner = pair.server.start(ReadSome(16).timeout_ms(kTimeoutMs).in("b"));
  EXPECT_THAT(sooner.wait(), Reads("", "timed_out"));
  EXPECT_GE(watch.ms(), kTimeoutMs);
  EXPECT_THAT(later.wait(), Reads("", "timed_out"));
  EXPECT_GE(watch.ms(), kTimeoutMs + 20);
}

CTS_CASE(Async, TimeoutsEndInTheirOwnOrder) {
  Pair pair = connected_pair();
  std::vector<Pending> kept, cancelled, shorts;
  std::vector<uint64_t> times;
  std::vector<Stopwatch> watches;
  for (uint64_t i = 0; i < 9; i++) {
    const std::string lane = std::to_string(i);
    // Long ones get shorter and short ones longer, so that the first to end is begun neither first nor last.
    Pending with_long = Started(pair.reader(), ReadSome(1).timeout_ms(kNeverMs - 1000 * (i * 5 % 9)).in("l" + lane));
    (i % 3 == 1 ? cancelled : kept).push_back(with_long);
    if (i % 2 == 0) continue;
    times.push_back(kTimeoutMs + 3 * (i * 7 % 9));
    watches.emplace_back();
    shorts.push_back(pair.reader().start(ReadSome(1).timeout_ms(times.back()).in("s" + lane)));
  }
  for (const Pending &reading : cancelled) EXPECT_THAT(Cancel(pair.reader().peer(), reading), IsOk());
  for (const Pending &reading : cancelled) EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  for (size_t i = 0; i < shorts.size(); i++) {
    EXPECT_THAT(shorts[i].wait(), Reads("", "timed_out"));
    EXPECT_GE(watches[i].ms(), times[i]);
  }
  require_ok(pair.writer().write("abcdef"));
  char next = 'a';
  for (const Pending &reading : kept) EXPECT_THAT(reading.wait(), Reads(std::string(1, next++)));
}

// ------------------------------------------------------------------------------------------------------ writes

CTS_CASE(Async, CancelledWriteSaysWhatWasTaken) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = Started(pair.writer(), op::stream_write().data(data));
  EXPECT_THAT(Cancel(pair.writer().peer(), writing), IsOk());
  const Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("cancelled"));
  ASSERT_LE(reply.length(), data.length());  // all of it where a library keeps what the system has not taken
  EXPECT_THAT(pair.reader().read_exact(reply.length()), Reads(data.prefix(reply.length())));
  require_ok(pair.writer().write("what follows"));
  EXPECT_THAT(pair.reader().read(64), Reads("what follows"));
}

CTS_CASE(Async, CancelledReadLeavesAWriteAlone) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending reading = Started(pair.writer(), ReadSome(16).in("r"));
  Pending writing = Started(pair.writer(), op::stream_write().data(data).in("w"));
  EXPECT_THAT(Cancel(pair.writer().peer(), reading), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(pair.reader().read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(Async, CancelledWriteLeavesAReadAlone) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending reading = Started(pair.writer(), ReadSome(16).in("r"));
  Pending writing = Started(pair.writer(), op::stream_write().data(data).in("w"));
  EXPECT_THAT(Cancel(pair.writer().peer(), writing), IsOk());
  EXPECT_THAT(writing.wait(), StatusIs("cancelled"));
  reading.expect_blocked();
  require_ok(pair.reader().write("still heard"));
  EXPECT_THAT(reading.wait(), Reads("still heard"));
}

CTS_CASE(Async, WritesUnderWayGoInOrder) {
  Pair pair = connected_pair();
  Data first = pattern(kFarBeyondTheBuffer), second = pattern(64_KiB), third = pattern(64_KiB), last = pattern(64_KiB);
  std::vector<Pending> writings = {Started(pair.writer(), op::stream_write().data(first).in("a")),
                                   Started(pair.writer(), op::stream_write().data(second).in("b")),
                                   Started(pair.writer(), op::stream_write().data(third).in("c")),
                                   Started(pair.writer(), op::stream_write().data(last).in("w"))};
  EXPECT_THAT(Cancel(pair.writer().peer(), writings[2]), IsOk());
  const Reply cancelled = writings[2].wait();
  EXPECT_THAT(cancelled, StatusIs("cancelled"));
  EXPECT_EQ(cancelled.length(), 0u);
  for (const Data &data : {first, second, last}) EXPECT_THAT(pair.reader().read_exact(data.length()), Reads(data));
  EXPECT_THAT(writings[0].wait(), Accepts(first));
  EXPECT_THAT(writings[1].wait(), Accepts(second));
  EXPECT_THAT(writings[3].wait(), Accepts(last));
}

CTS_CASE(Async, TimedOutWriteLeavesTheOther) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = Started(pair.writer(), op::stream_write().data(data).in("a"));
  const Reply late = pair.writer().call(op::stream_write().data("late").timeout_ms(kTimeoutMs).in("b"));
  EXPECT_THAT(late, StatusIs("timed_out"));
  EXPECT_EQ(late.length(), 0u);
  EXPECT_THAT(pair.reader().read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
  EXPECT_THAT(Cancel(pair.writer().peer(), writing), StatusIs("not_found"));
  require_ok(pair.writer().write("next"));
  EXPECT_THAT(pair.reader().read(16), Reads("next"));
}

CTS_CASE(Async, PeersCloseEndsReadAndWrite) {
  Pair pair = connected_pair();
  Pending reading = Started(pair.writer(), ReadSome(16).in("r"));
  Pending writing = Started(pair.writer(), op::stream_write().data(pattern(kFarBeyondTheBuffer)).in("w"));
  require_ok(pair.reader().close());
  const Reply written = writing.wait(), read = reading.wait();
  EXPECT_THAT(written, Allowed("waiting write"));
  EXPECT_LT(written.length(), kFarBeyondTheBuffer);
  EXPECT_THAT(read, Allowed("waiting read"));
  EXPECT_EQ(read.length(), 0u);
}

CTS_CASE(Async, WaitingWriteDelaysNobody) {
  Pair slow = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = Started(slow.server, op::stream_write().data(data).in("w"));
  for (int i = 0; i < 3; i++) {
    Pair quick = connected_pair(slow.listener, client());
    require_ok(quick.client.write("question"));
    EXPECT_THAT(quick.server.read_exact(8), Reads("question"));
    require_ok(quick.server.write("answer"));
    EXPECT_THAT(quick.client.read_exact(6), Reads("answer"));
  }
  writing.expect_blocked();
  EXPECT_THAT(slow.client.read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(Async, ManyStreamsInBothDirections) {
  constexpr uint64_t kEach = 512_KiB;
  struct Moving {
    Data data;
    Pending writing, reading;
  };
  Listener listener = listen(server(), fresh_name());
  std::vector<Moving> moving;
  const std::vector<std::string> lanes = {"a", "b", "c", "r", "w", "s"};  // two for each stream
  for (size_t i = 0; i < lanes.size(); i += 2) {
    Pair pair = connected_pair(listener, client());
    for (const bool down : {true, false}) {
      const Stream &from = down ? pair.server : pair.client, &to = down ? pair.client : pair.server;
      Data data = pattern(kEach);
      Pending reading = to.start(ReadExact(kEach).in(lanes[i]));
      moving.push_back({data, from.start(op::stream_write().data(data).in(lanes[i + 1])), reading});
    }
  }
  for (const Moving &one : moving) {
    EXPECT_THAT(one.writing.wait(), Accepts(one.data));
    EXPECT_THAT(one.reading.wait(), Reads(one.data));
  }
}

// --------------------------------------------------------------------------------------------- accept, connect

CTS_CASE(Async, CancelledAcceptLeavesTheNextConnection) {
  Listener listener = listen(server(), fresh_name());
  for (int round = 0; round < 3; round++) {
    Pending accepting = listener.start_accept("none");
    accepting.expect_blocked();
    EXPECT_THAT(Cancel(server(), accepting), IsOk());
    EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
    Stream near = connect(client(), listener), far = listener.accept();
    require_ok(near.write("through"));
    EXPECT_THAT(far.read_exact(7), Reads("through"));
  }
}

CTS_CASE(Async, AcceptsUnderWayTakeConnectionsInOrder) {
  Listener listener = listen(server(), fresh_name());
  std::vector<Pending> accepting;
  for (const char *lane : {"a", "b", "c"}) {
    accepting.push_back(listener.start_accept(server().fresh_handle("s"), lane));
    accepting.back().expect_blocked();  // only then is the next one behind it
  }
  EXPECT_THAT(Cancel(server(), accepting[2]), IsOk());
  EXPECT_THAT(accepting[2].wait(), StatusIs("cancelled"));
  connect(client(), listener);
  EXPECT_THAT(accepting[0].wait(), IsOk());
  accepting[1].expect_blocked();
  connect(client(), listener);
  EXPECT_THAT(accepting[1].wait(), IsOk());
}

CTS_CASE(Async, CancelEndsAWaitingConnect) {
  Listener listener = listen(server(), listen_request(fresh_name()).backlog(1));
  const size_t filled = FillBacklog(client(), connect_request(listener));
  Pending connecting = client().start(connect_request(listener).as("none").watch());
  connecting.expect_blocked();
  EXPECT_THAT(Cancel(client(), connecting), IsOk());
  EXPECT_THAT(connecting.wait(), StatusIs("cancelled"));
  for (size_t i = 0; i < filled; i++) listener.accept();
  Pending accepting = listener.start_accept("nobody");
  accepting.expect_blocked();  // the one called off is none of them
  EXPECT_THAT(client().call(connect_request(listener).as("none")), IsOk());
  EXPECT_THAT(accepting.wait(), IsOk());
}

CTS_CASE(Async, TimedOutAcceptLeavesAnother) {
  Listener listener = listen(server(), fresh_name());
  Pending waiting = listener.start_accept("first", "a");
  waiting.expect_blocked();
  EXPECT_THAT(listener.call(op::listener_accept().as("second").timeout_ms(kTimeoutMs).in("b")), StatusIs("timed_out"));
  waiting.expect_blocked();
  connect(client(), listener);
  EXPECT_THAT(waiting.wait(), IsOk());
}

CTS_CASE(Async, ConnectsAtOnceAreServedOnce) {
  const std::vector<std::string> lanes = {"a", "b", "c", "r"};
  Listener listener = listen(server(), fresh_name());
  std::vector<Pending> accepting, connecting;
  for (const std::string &lane : lanes) {
    accepting.push_back(listener.start_accept("of-" + lane, lane));
    accepting.back().expect_blocked();
  }
  for (const std::string &lane : lanes) {
    connecting.push_back(client().start(connect_request(listener).as("to-" + lane).in(lane)));
  }
  for (const Pending &pending : connecting) require_ok(pending.wait());
  for (const Pending &pending : accepting) require_ok(pending.wait());
  for (const std::string &lane : lanes) require_ok(Stream(&client(), "to-" + lane).write(lane));
  std::vector<std::string> heard;
  for (const std::string &lane : lanes) {
    const Reply reply = Stream(&server(), "of-" + lane).read(16);
    require_ok(reply);
    heard.push_back(reply.bytes("data"));
  }
  EXPECT_THAT(heard, testing::UnorderedElementsAreArray(lanes));
}

CTS_CASE(Async, CloseEndsEveryAccept) {
  Listener listener = listen(server(), fresh_name());
  std::vector<Pending> accepting;
  for (const char *lane : {"a", "b", "c"}) {
    accepting.push_back(listener.start_accept(server().fresh_handle("none"), lane));
    accepting.back().expect_blocked();
  }
  require_ok(listener.call(op::listener_close().in("r")));
  for (const Pending &pending : accepting) EXPECT_THAT(pending.wait(), StatusIs("cancelled"));
  EXPECT_THAT(client().call(connect_request(listener).as("late")), Fails());
}

// ---------------------------------------------------------------------------------------------------- messages

CTS_CASE(Async, CancelledReceiveLosesNoMessage) {
  Socket receiver = BindSocket(server(), fresh_name()), sender = OpenSocket(client(), "datagram");
  for (const char *text : {"one", "", "three"}) {
    Pending receiving = Started(receiver, op::socket_receive().max(64));
    EXPECT_THAT(Cancel(server(), receiving), IsOk());
    EXPECT_THAT(receiving.wait(), Reads("", "cancelled"));
    require_ok(sender.send_to(receiver.native(), text));
    EXPECT_THAT(receiver.receive(64), Reads(text));
  }
}

CTS_CASE(Async, CancelledSendIsNoMessage) {
  Socket receiver = BindSocket(server(), fresh_name()), sender = OpenSocket(client(), "datagram");
  const bool named = shape("receiver") == "named";
  // Where the receiver is named each time, another socket is connected to it and sends nothing.
  require_ok((named ? OpenSocket(client(), "datagram") : sender).connect_to(receiver.native()));
  auto send = [&](const std::string &text) {
    op::socket_send request = op::socket_send().data(text);
    return named ? request.to_kind("native").to(receiver.native()) : request;
  };
  int filled = 0;
  for (;; filled++) {
    const Reply reply = sender.call(send(Long(std::to_string(filled))).wait(false));
    if (reply.status() == "would_block") break;
    require_ok(reply);
    ASSERT_LT(filled, kFarBeyondTheQueue);
  }
  Pending sending = Started(sender, send(Long("never")));
  EXPECT_THAT(Cancel(client(), sending), IsOk());
  EXPECT_THAT(sending.wait(), StatusIs("cancelled"));
  Pending after = Started(sender, send(Long("after")));
  for (int i = 0; i < filled; i++) EXPECT_THAT(receiver.receive(1000), Reads(Long(std::to_string(i))));
  EXPECT_THAT(after.wait(), IsOk());
  EXPECT_THAT(receiver.receive(1000), Reads(Long("after")));
}

CTS_CASE(Async, CancelledSendLetsTheNextGo) {
  Socket full = BindSocket(server(), fresh_name()), free = BindSocket(server(), fresh_name());
  Socket sender = OpenSocket(client(), "datagram");
  for (int filled = 0;; filled++) {
    const Reply reply =
        sender.call(op::socket_send().data(Long("filling")).to_kind("native").to(full.native()).wait(false));
    if (reply.status() == "would_block") break;
    require_ok(reply);
    ASSERT_LT(filled, kFarBeyondTheQueue);
  }
  Pending sending =
      Started(sender, op::socket_send().data(Long("never")).to_kind("native").to(full.native()).in("full"));
  Pending behind = sender.start(op::socket_send().data("goes on").to_kind("native").to(free.native()).in("free"));
  EXPECT_THAT(Cancel(client(), sending), StatusIs("ok"));
  EXPECT_THAT(sending.wait(), StatusIs("cancelled"));
  EXPECT_THAT(behind.wait(), IsOk());
  EXPECT_THAT(free.receive(64), Reads("goes on"));
}

CTS_CASE(Async, CancelEndsAWaitingSocketConnect) {
  Listener listener = UnixListen(server(), ListenRequest("seqpacket", fresh_name()).backlog(1));
  auto request = [&] { return op::socket_connect().kind("native").name(listener.native()); };
  auto accept = [&] { return listener.call(op::listener_accept_socket().as(server().fresh_handle("s"))); };
  size_t fill = 0;
  for (;; fill++) {  // how many fit into a backlog of 1 is the system's business
    const Reply reply = OpenSocket(client(), "seqpacket").call(request().wait(false));
    if (reply.status() == "would_block") break;
    require_ok(reply);
    ASSERT_LT(fill, 64u);
  }
  Socket socket = OpenSocket(client(), "seqpacket");
  Pending connecting = Started(socket, request());
  EXPECT_THAT(Cancel(client(), connecting), IsOk());
  EXPECT_THAT(connecting.wait(), StatusIs("cancelled"));
  for (size_t i = 0; i < fill; i++) require_ok(accept());
  Pending accepting = listener.start(op::listener_accept_socket().as("late").watch());
  accepting.expect_blocked();  // the one called off is none of them
  EXPECT_THAT(socket.call(request()), IsOk());
  EXPECT_THAT(accepting.wait(), IsOk());
}

namespace {

/// Both ends of a seqpacket connection.
struct Packets {
  Listener listener;
  Socket near, far;
};
Packets ConnectPackets(Peer &listening, Peer &connecting, const LocalName &name) {
  Packets packets{UnixListen(listening, "seqpacket", name), OpenSocket(connecting, "seqpacket"), Socket()};
  Required(packets.near.connect_to(packets.listener.native()));
  packets.far = Socket(&listening, listening.fresh_handle("d"));
  Required(packets.listener.call(op::listener_accept_socket().as(packets.far.handle())));
  return packets;
}

}  // namespace

CTS_CASE(Async, CancelledSeqpacketReceiveLosesNoMessage) {
  Packets packets = ConnectPackets(server(), client(), fresh_name("path"));
  for (const char *text : {"one", "two", "three"}) {
    Pending receiving = Started(packets.far, op::socket_receive().max(64));
    EXPECT_THAT(Cancel(server(), receiving), IsOk());
    EXPECT_THAT(receiving.wait(), Reads("", "cancelled"));
    require_ok(packets.near.send(text));
    EXPECT_THAT(packets.far.receive(64), Reads(text));
  }
}

CTS_CASE(Async, CancelledSocketAcceptLeavesTheNextConnection) {
  Listener listener = UnixListen(server(), "seqpacket", fresh_name("path"));
  for (int round = 0; round < 3; round++) {
    Pending accepting = Started(listener, op::listener_accept_socket().as("none"));
    EXPECT_THAT(Cancel(server(), accepting), IsOk());
    EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
    Socket near = OpenSocket(client(), "seqpacket");
    require_ok(near.connect_to(listener.native()));
    const Socket far(&server(), server().fresh_handle("d"));
    require_ok(listener.call(op::listener_accept_socket().as(far.handle())));
    require_ok(near.send("through"));
    EXPECT_THAT(far.receive(64), Reads("through"));
  }
}

CTS_CASE(Async, CloseEndsEveryReceive) {
  Socket socket = BindSocket(peer(), fresh_name());
  std::vector<Pending> receiving;
  for (const char *lane : {"a", "b", "c"}) {
    receiving.push_back(Started(socket, op::socket_receive().max(64).in(lane)));
  }
  require_ok(socket.call(op::socket_close().in("r")));
  for (const Pending &pending : receiving) EXPECT_THAT(pending.wait(), Reads("", "cancelled"));
}

// ------------------------------------------------------------------------------------- beside the bytes, signals

CTS_CASE(Async, CancelledReadLosesNoDescriptor) {
  Pair pair = connected_pair();
  const Passed passed = Passing(MakePipe(pair.writer().peer()).reader);
  auto take = [] { return op::stream_read_ancillary().max(16).descriptors_max(4); };
  for (int round = 0; round < 3; round++) {
    Pending reading = Started(pair.reader(), take());
    EXPECT_THAT(Cancel(pair.reader().peer(), reading), IsOk());
    const Reply cancelled = reading.wait();
    EXPECT_THAT(cancelled, Reads("", "cancelled"));
    EXPECT_FALSE(cancelled.has("descriptors"));
    require_ok(pair.writer().call(op::stream_write_ancillary().data("yours").descriptors({passed.number})));
    const Reply reply = pair.reader().call(take());
    EXPECT_THAT(reply, Reads("yours"));
    EXPECT_EQ(Came(pair.reader().peer(), reply), std::vector<std::string>{passed.of});
  }
}

CTS_CASE(Async, CancelledWriteSendsNoDescriptor) {
  Pair pair = connected_pair();
  const Passed passed = Passing(MakePipe(pair.writer().peer()).reader);
  Data data = pattern(kFarBeyondTheBuffer);
  const Reply filled = pair.writer().call(WriteNow(data));
  require_ok(filled);
  Pending writing = Started(pair.writer(), op::stream_write_ancillary().data("none").descriptors({passed.number}));
  EXPECT_THAT(Cancel(pair.writer().peer(), writing), IsOk());
  const Reply cancelled = writing.wait();
  EXPECT_THAT(cancelled, StatusIs("cancelled"));
  EXPECT_EQ(cancelled.length(), 0u);
  EXPECT_THAT(pair.reader().read_exact(filled.length()), Reads(data.prefix(filled.length())));
  require_ok(pair.writer().write("next"));
  const Reply next = pair.reader().call(op::stream_read_ancillary().max(16).descriptors_max(4));
  EXPECT_THAT(next, Reads("next"));
  EXPECT_FALSE(next.has("descriptors"));
}

CTS_CASE(Async, CancelledNextLosesNoSignal) {
  const Stream watcher(&server(), "watcher");  // a handle to call on
  require_ok(server().call(op::signal_watch().signals({"TERM"}).as(watcher.handle())));
  for (int round = 0; round < 3; round++) {
    Pending waiting = Started(watcher, op::watcher_next());
    EXPECT_THAT(Cancel(server(), waiting), IsOk());
    EXPECT_THAT(waiting.wait(), StatusIs("cancelled"));
    require_ok(client().call(op::signal_send().signal("TERM").pid(static_cast<uint64_t>(server().offer().pid))));
    const Reply next = watcher.call(op::watcher_next());
    require_ok(next);
    EXPECT_EQ(next.text("signal"), "TERM");
  }
}

CTS_CASE(Async, OneSignalEndsOneWait) {
  const Stream watcher(&server(), "watcher");  // a handle to call on
  require_ok(server().call(op::signal_watch().signals({"TERM"}).as(watcher.handle())));
  const op::signal_send send = op::signal_send().signal("TERM").pid(static_cast<uint64_t>(server().offer().pid));
  Pending first = Started(watcher, op::watcher_next().in("a")), second = Started(watcher, op::watcher_next().in("b"));
  require_ok(client().call(send));
  require_ok(first.wait());
  second.expect_blocked();
  require_ok(client().call(send));
  require_ok(second.wait());
  EXPECT_THAT(Cancel(server(), second), StatusIs("not_found"));
}

// -------------------------------------------------------------------------------------------------- fifo, pipe

CTS_CASE(Async, CancelEndsAWaitingFifoOpen) {
  const std::string path = fresh_path();
  const std::string &direction = shape("direction");
  require_ok(peer().call(op::fifo_create().path(path).mode(0600)));
  for (int round = 0; round < 3; round++) {
    Pending opening = peer().start(op::fifo_open().path(path).direction(direction).as("none").watch());
    opening.expect_blocked();
    EXPECT_THAT(Cancel(peer(), opening), IsOk());
    EXPECT_THAT(opening.wait(), StatusIs("cancelled"));
    // Nobody counts as an opener any more.
    EXPECT_THAT(peer().call(op::fifo_open().path(path).direction("write").wait(false).as("none")),
                StatusIs("would_block"));
  }
  const std::string other = direction == "read" ? "write" : "read";
  Pending opening = peer().start(op::fifo_open().path(path).direction(direction).as("one").in("b").watch());
  opening.expect_blocked();
  EXPECT_THAT(peer().call(op::fifo_open().path(path).direction(other).as("other")), IsOk());
  EXPECT_THAT(opening.wait(), IsOk());
}

CTS_CASE(Async, ResetEndsAWaitingFifoOpen) {
  const std::string path = fresh_path();
  require_ok(peer().call(op::fifo_create().path(path).mode(0600)));
  Pending opening = peer().start(op::fifo_open().path(path).direction(shape("direction")).as("none").watch());
  opening.expect_blocked();
  EXPECT_THAT(Cancel(peer(), Pending()), StatusIs("not_found"));
  EXPECT_THAT(peer().call(op::reset()), IsOk());
  EXPECT_THAT(opening.wait(), StatusIs("cancelled"));
}

CTS_CASE(Async, CancelEndsAWaitingPipeRead) {
  require_ok(peer().call(op::pipe_create().read_as("r").write_as("w")));
  Stream reader(&peer(), "r"), writer(&peer(), "w");
  Pending reading = Started(reader, ReadSome(16));
  EXPECT_THAT(Cancel(peer(), reading), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  require_ok(writer.write("kept"));
  EXPECT_THAT(reader.read(16), Reads("kept"));
}

CTS_CASE(Async, CancelledPipeWriteSaysWhatWasTaken) {
  const Pipe pipe = MakePipe(peer());
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = Started(pipe.writer, op::stream_write().data(data));
  EXPECT_THAT(Cancel(peer(), writing), IsOk());
  const Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("cancelled"));
  ASSERT_LE(reply.length(), data.length());  // all of it where a library keeps what the system has not taken
  EXPECT_THAT(pipe.reader.read_exact(reply.length()), Reads(data.prefix(reply.length())));
  require_ok(pipe.writer.write("what follows"));
  EXPECT_THAT(pipe.reader.read(64), Reads("what follows"));
}

CTS_CASE(Async, CancelledFifoReadLosesNoByte) {
  const std::string path = fresh_path();
  Peer &writing = shape("writer") == "server" ? server() : client();
  Peer &reading = shape("writer") == "server" ? client() : server();
  require_ok(server().call(op::fifo_create().path(path).mode(0600)));
  Pending opening = reading.start(op::fifo_open().path(path).direction("read").as("in"));
  require_ok(writing.call(op::fifo_open().path(path).direction("write").as("out")));
  require_ok(opening.wait());
  const Stream in(&reading, "in"), out(&writing, "out");
  for (int round = 0; round < 3; round++) {
    Pending waiting = Started(in, ReadSome(16));
    EXPECT_THAT(Cancel(reading, waiting), IsOk());
    EXPECT_THAT(waiting.wait(), Reads("", "cancelled"));
    require_ok(out.write("kept"));
    EXPECT_THAT(in.read(16), Reads("kept"));
  }
}

// ---------------------------------------------------------------------------------------------------- requests

CTS_CASE(Async, CancelAfterTheAnswerIsNotFound) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("there"));
  Pending reading = pair.reader().start(ReadSome(16));
  EXPECT_THAT(reading.wait(), Reads("there"));
  EXPECT_THAT(Cancel(pair.reader().peer(), reading), StatusIs("not_found"));
  require_ok(pair.writer().write("and then"));
  EXPECT_THAT(pair.reader().read(16), Reads("and then"));
}

CTS_CASE(Async, CancelBeforeItBegan) {
  Pair pair = connected_pair();
  Pending first = Started(pair.reader(), ReadSome(16));
  Pending queued = pair.reader().start(ReadSome(16));
  EXPECT_THAT(Cancel(pair.reader().peer(), queued), IsOk());
  first.expect_blocked();
  require_ok(pair.writer().write("first"));
  EXPECT_THAT(first.wait(), Reads("first"));
  EXPECT_THAT(queued.wait(), StatusIs("cancelled"));
}

CTS_CASE(Async, ManyOperationsUnderWay) {
  const std::vector<std::string> lanes = {"a", "b", "c", "r", "w", "s"};
  Listener listener = listen(server(), fresh_name());
  std::vector<Pair> pairs;
  std::vector<Pending> readings;
  for (size_t i = 0; i < lanes.size(); i++) pairs.push_back(connected_pair(listener, client()));
  for (size_t i = 0; i < lanes.size(); i++) {
    readings.push_back(Started(pairs[i].server, ReadExact(1_KiB).in(lanes[i])));
  }
  EXPECT_THAT(Cancel(server(), readings[0]), IsOk());
  EXPECT_THAT(readings[0].wait(), Reads("", "cancelled"));
  for (size_t i = lanes.size() - 1; i > 0; i--) {
    Data data = pattern(1_KiB);
    require_ok(pairs[i].client.write(data));
    EXPECT_THAT(readings[i].wait(), Reads(data));
  }
}

CTS_CASE(Async, CloseEndsEverythingUnderWay) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  const Stream &closing = pair.writer();
  Pending first = Started(closing, ReadSome(16).in("a"));
  Pending second = Started(closing, ReadSome(16).in("b"));
  Pending third = Started(closing, ReadSome(16).in("c"));
  Pending writing = Started(closing, op::stream_write().data(data).in("w"));
  EXPECT_THAT(Cancel(closing.peer(), third), IsOk());
  EXPECT_THAT(third.wait(), Reads("", "cancelled"));
  EXPECT_THAT(closing.call(op::stream_close().in("r")), IsOk());
  EXPECT_THAT(first.wait(), Reads("", "cancelled"));
  EXPECT_THAT(second.wait(), Reads("", "cancelled"));
  const Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("cancelled"));
  EXPECT_THAT(pair.reader().read_exact(reply.length()), Reads(data.prefix(reply.length())));
}

CTS_CASE(Async, ResetEndsEverythingUnderWay) {
  Pair read = connected_pair(), written = connected_pair(read.listener, client());
  Pending accepting = read.listener.start_accept("none", "a");
  accepting.expect_blocked();
  Pending reading = Started(read.server, ReadSome(16).in("b"));
  Pending writing = Started(written.server, op::stream_write().data(pattern(kFarBeyondTheBuffer)).in("c"));
  EXPECT_TRUE(server().Reset());
  EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(writing.wait(), StatusIs("cancelled"));
}

}  // namespace cts
