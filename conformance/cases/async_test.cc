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

// ------------------------------------------------------------------------------------------------------ writes

CTS_CASE(Async, CancelledWriteSaysWhatWasTaken) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  Pending writing = Started(pair.writer(), op::stream_write().data(data));
  EXPECT_THAT(Cancel(pair.writer().peer(), writing), IsOk());
  const Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("cancelled"));
  ASSERT_LT(reply.length(), data.length());
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
  size_t fill = 0;
  for (;; fill++) {  // how many fit into a backlog of 1 is the system's business
    const Reply reply = client().call(connect_request(listener).as(client().fresh_handle("s")).timeout_ms(0));
    if (reply.status() == "timed_out") break;
    require_ok(reply);
    ASSERT_LT(fill, 64u);
  }
  Pending connecting = client().start(connect_request(listener).as("none").watch());
  connecting.expect_blocked();
  EXPECT_THAT(Cancel(client(), connecting), IsOk());
  EXPECT_THAT(connecting.wait(), StatusIs("cancelled"));
  for (size_t i = 0; i < fill; i++) listener.accept();
  Pending accepting = listener.start_accept("nobody");
  accepting.expect_blocked();  // the one called off is none of them
  EXPECT_THAT(client().call(connect_request(listener).as("none")), IsOk());
  EXPECT_THAT(accepting.wait(), IsOk());
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

}  // namespace cts
