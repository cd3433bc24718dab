// Datagrams: spec/datagram.md.
#include "conformance/cases/sockets.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// More messages than any receiver holds unread.
constexpr int kFarBeyondTheQueue = 2000;

op::socket_receive Receive(uint64_t max) { return op::socket_receive().max(max); }
op::socket_send SendTo(const std::string &native, const Data &data) {
  return op::socket_send().data(data).to_kind("native").to(native);
}

/// A sender and where it sends: to a receiver it names each time, or to the one it is connected to.
struct Route {
  Socket sender, receiver;
  bool named;
  op::socket_send request(const Data &data) const {
    return named ? SendTo(receiver.native(), data) : op::socket_send().data(data);
  }
  /// Sends without waiting until the receiver has no room; how many it took.
  int fill() const {
    for (int sent = 0; sent < kFarBeyondTheQueue; sent++) {
      Reply reply = sender.call(request(Long(std::to_string(sent))).wait(false));
      if (reply.status() == "would_block") return sent;
      Required(reply);
    }
    throw Abort{"failed", "", "the receiver took more messages than any queue holds"};
  }
};

Route MakeRoute(Peer &sending, Peer &receiving, const LocalName &name, bool named, bool always_connected) {
  Route route{OpenSocket(sending, "datagram"), BindSocket(receiving, name), named};
  // Where the receiver is named each time, another socket is connected to it and sends nothing.
  const Socket connected = named ? OpenSocket(sending, "datagram") : route.sender;
  if (always_connected) Required(connected.connect_to(route.receiver.native()));
  return route;
}

}  // namespace

/// A route of the shape; without the shape `receiver` the receiver is named.
#define ROUTE                                                                                        \
  MakeRoute(client(), server(), fresh_name(), !has_axis("receiver") || shape("receiver") == "named", \
            has_axis("receiver"))

// ---------------------------------------------------------------------------------------------------- messages

CTS_CASE(Datagram, OneSendIsOneReceive) {
  Route route = ROUTE;
  for (const char *text : {"a", "bc", "def"}) require_ok(route.sender.call(route.request(text)));
  for (const char *text : {"a", "bc", "def"}) EXPECT_THAT(route.receiver.receive(64), Reads(text));
  Data data = pattern(2000);
  require_ok(route.sender.call(route.request(data)));
  EXPECT_THAT(route.receiver.receive(4096), Reads(data));
}

CTS_CASE(Datagram, EmptyMessageIsAMessage) {
  Route route = ROUTE;
  for (const char *text : {"", "full", ""}) require_ok(route.sender.call(route.request(text)));
  for (const char *text : {"", "full", ""}) EXPECT_THAT(route.receiver.receive(64), Reads(text));
  EXPECT_THAT(route.receiver.call(Receive(64).wait(false)), StatusIs("would_block"));
}

CTS_CASE(Datagram, BuffersMakeOneMessage) {
  Route route = ROUTE;
  require_ok(route.sender.call(route.request("0123456789").lengths({3, 0, 6, 1})));
  EXPECT_THAT(route.receiver.call(Receive(12).lengths({1, 4, 0, 7})), Reads("0123456789"));
}

CTS_CASE(Datagram, CutMessageIsReported) {
  Route route = ROUTE;
  require_ok(route.sender.call(route.request("0123456789")));
  require_ok(route.sender.call(route.request("next")));
  Reply reply = route.receiver.receive(4);
  EXPECT_THAT(reply, Reads("0123", "message_truncated"));
  EXPECT_EQ(reply.number("needed"), 10u);
  EXPECT_THAT(route.receiver.receive(4), Reads("next"));
}

CTS_CASE(Datagram, NoRoomAtAllTakesTheMessage) {
  Route route = ROUTE;
  require_ok(route.sender.call(route.request("lost")));
  require_ok(route.sender.call(route.request("next")));
  EXPECT_THAT(route.receiver.receive(0), Reads("", "message_truncated"));
  EXPECT_THAT(route.receiver.receive(64), Reads("next"));
}

CTS_CASE(Datagram, WholeLeavesWhatDoesNotFit) {
  Route route = ROUTE;
  require_ok(route.sender.call(route.request("0123456789")));
  for (uint64_t room : {9, 9, 4, 0}) {
    Reply reply = route.receiver.call(Receive(room).whole(true));
    EXPECT_THAT(reply, Reads("", "message_truncated"));
    EXPECT_EQ(reply.number("needed"), 10u);
  }
  EXPECT_THAT(route.receiver.call(Receive(10).whole(true)), Reads("0123456789"));
}

CTS_CASE(Datagram, NextLengthLeavesTheMessage) {
  Route route = ROUTE;
  require_ok(route.sender.call(route.request("0123456789")));
  for (int i = 0; i < 2; i++) {
    Reply reply = route.receiver.call(op::socket_next_length());
    ASSERT_THAT(reply, IsOk());
    EXPECT_EQ(reply.length(), 10u);
  }
  EXPECT_THAT(route.receiver.receive(10), Reads("0123456789"));
  EXPECT_THAT(route.receiver.call(op::socket_next_length().wait(false)), StatusIs("would_block"));
}

CTS_CASE(Datagram, TooLargeIsRefusedWhole) {
  Route route = ROUTE;
  Reply reply = route.sender.call(route.request(pattern(16_MiB)));
  EXPECT_THAT(reply, StatusIs("message_too_large"));
  EXPECT_EQ(reply.length(), 0u);
  EXPECT_THAT(route.receiver.call(Receive(64).wait(false)), StatusIs("would_block"));
}

CTS_CASE(Datagram, NoneIsLostAndOrderIsKept) {
  Route route = ROUTE;
  std::vector<Pending> sends;
  for (int round = 0; round < 40; round++) {
    for (int i = 0; i < 25; i++) {
      sends.push_back(route.sender.start(route.request(std::to_string(round * 25 + i)).in("send")));
    }
    for (int i = 0; i < 25; i++) EXPECT_THAT(route.receiver.receive(64), Reads(std::to_string(round * 25 + i)));
    for (const Pending &send : sends) EXPECT_THAT(send.wait(), IsOk());
    sends.clear();
  }
}

// ----------------------------------------------------------------------------------------------------- addresses

CTS_CASE(Datagram, SenderIsNamed) {
  Socket receiver = BindSocket(server(), fresh_name()), sender = BindSocket(client(), fresh_name());
  require_ok(sender.send_to(receiver.native(), "who?"));
  Reply question = receiver.receive(64);
  ASSERT_THAT(question, Reads("who?"));
  EXPECT_EQ(question.bytes("from"), sender.native());
  require_ok(receiver.send_to(question.bytes("from"), "you"));
  Reply answer = sender.receive(64);
  EXPECT_THAT(answer, Reads("you"));
  EXPECT_EQ(answer.bytes("from"), receiver.native());
}

CTS_CASE(Datagram, UnnamedSenderHasNoName) {
  Socket receiver = BindSocket(server(), fresh_name()), sender = OpenSocket(client(), "datagram");
  require_ok(sender.send_to(receiver.native(), "hello"));
  Reply reply = receiver.receive(64);
  EXPECT_THAT(reply, Reads("hello"));
  EXPECT_FALSE(reply.has("from") && !reply.bytes("from").empty());
  Reply native = sender.call(op::socket_native());
  ASSERT_THAT(native, IsOk());
  EXPECT_EQ(native.bytes("native"), "");
}

CTS_CASE(Datagram, ConnectCanBeRepeated) {
  Socket first = BindSocket(server(), fresh_name()), second = BindSocket(server(), fresh_name());
  Socket sender = OpenSocket(client(), "datagram");
  for (const Socket *receiver : {&first, &second, &first}) {
    require_ok(sender.connect_to(receiver->native()));
    require_ok(sender.send("for you"));
    EXPECT_THAT(receiver->receive(64), Reads("for you"));
  }
}

CTS_CASE(Datagram, SocketCanBeConnectedToItself) {
  Socket socket = BindSocket(peer(), fresh_name());
  require_ok(socket.connect_to(socket.native()));
  require_ok(socket.send("to myself"));
  EXPECT_THAT(socket.receive(64), Reads("to myself"));
}

CTS_CASE(Datagram, NamedReceiverComesFirst) {
  Socket connected = BindSocket(server(), fresh_name()), named = BindSocket(server(), fresh_name());
  Socket sender = OpenSocket(client(), "datagram");
  require_ok(sender.connect_to(connected.native()));
  Reply reply = sender.send_to(named.native(), "for the named");
  EXPECT_THAT(reply, Allowed("send past the connection"));
  if (reply.ok()) {
    EXPECT_THAT(named.call(Receive(64).wait(false)), Reads("for the named"));
  }
  require_ok(sender.send("for the connected"));
  EXPECT_THAT(connected.receive(64), Reads("for the connected"));
  EXPECT_THAT(named.call(Receive(64).wait(false)), StatusIs("would_block"));
}

CTS_CASE(Datagram, ConnectedSocketHearsItsPeerAlone) {
  Socket peer_of_it = BindSocket(client(), fresh_name()), connected = BindSocket(server(), fresh_name());
  Socket stranger = OpenSocket(client(), "datagram");
  require_ok(connected.connect_to(peer_of_it.native()));
  EXPECT_THAT(stranger.send_to(connected.native(), "let me in"), Allowed("send of a stranger"));
  require_ok(peer_of_it.send_to(connected.native(), "hello"));
  EXPECT_THAT(connected.receive(64), Reads("hello"));
  EXPECT_THAT(connected.call(Receive(64).wait(false)), StatusIs("would_block"));
}

CTS_CASE(Datagram, SendWithoutReceiverIsNotConnected) {
  Socket sender = OpenSocket(peer(), "datagram");
  EXPECT_THAT(sender.send("to whom?"), StatusIs("not_connected"));
}

CTS_CASE(Datagram, SendToNobodyFails) {
  Socket sender = OpenSocket(client(), "datagram"), gone = BindSocket(server(), fresh_name());
  const LocalName nothing = fresh_name();
  Reply reply = sender.call(op::socket_send().data("x").to_kind(nothing.kind).to(nothing.name));
  EXPECT_THAT(reply, StatusIs(nothing.kind == "path" ? "not_found" : "refused"));
  require_ok(sender.connect_to(gone.native()));
  require_ok(gone.close());
  EXPECT_THAT(sender.send("x"), StatusIs("refused"));
}

CTS_CASE(Datagram, SendToAStreamListenerIsRefused) {
  Listener listener = UnixListen(server(), "stream", fresh_name());
  Socket sender = OpenSocket(client(), "datagram");
  EXPECT_THAT(sender.send_to(listener.native(), "x"), StatusIs("refused"));
  EXPECT_THAT(sender.connect_to(listener.native()), StatusIs("refused"));
}

// ------------------------------------------------------------------------------------------ beside the messages

CTS_CASE(Datagram, DescriptorsComeWithTheirMessage) {
  Route route = ROUTE;
  const Pipe pipe = MakePipe(client());
  const Passed reader = Passing(pipe.reader), writer = Passing(pipe.writer);
  require_ok(route.sender.call(route.request("both").descriptors({writer.number, reader.number})));
  require_ok(route.sender.call(route.request("none")));
  require_ok(route.sender.call(route.request("one").descriptors({reader.number})));
  const std::vector<std::pair<std::string, std::vector<std::string>>> sent = {
      {"both", {writer.of, reader.of}}, {"none", {}}, {"one", {reader.of}}};
  for (const auto &message : sent) {
    Reply reply = route.receiver.call(Receive(64).descriptors_max(2));
    EXPECT_THAT(reply, Reads(message.first));
    EXPECT_EQ(Came(server(), reply), message.second);
  }
  require_ok(route.sender.call(route.request("scattered").lengths({4, 0, 5}).descriptors({writer.number})));
  Reply scattered = route.receiver.call(Receive(64).lengths({3, 61}).descriptors_max(2));
  EXPECT_THAT(scattered, Reads("scattered"));
  EXPECT_EQ(Came(server(), scattered), std::vector<std::string>{writer.of});
}

CTS_CASE(Datagram, CutMessageHidesNoDescriptors) {
  Route route = ROUTE;
  const Passed passed = Passing(MakePipe(client()).reader);
  size_t open = host::DescriptorsOf(server().offer().pid).size();
  for (uint64_t room : {4, 0}) {
    require_ok(route.sender.call(route.request("0123456789").descriptors({passed.number})));
    Reply reply = route.receiver.call(Receive(room).descriptors_max(2));
    EXPECT_THAT(reply, Reads(std::string("0123456789").substr(0, room), "message_truncated"));
    const std::vector<std::string> came = Came(server(), reply);
    if (!came.empty()) {
      EXPECT_EQ(came, std::vector<std::string>{passed.of});
    }
    open += came.size();
    EXPECT_EQ(host::DescriptorsOf(server().offer().pid).size(), open) << "descriptors that nobody was told of";
  }
}

CTS_CASE(Datagram, MessagesTellWhoSentThem) {
  Route route = ROUTE;
  require_ok(route.receiver.call(op::socket_set_pass_credentials().pass(true)));
  require_ok(route.sender.call(route.request("who?")));
  Reply reply = route.receiver.receive(64);
  EXPECT_THAT(reply, Reads("who?"));
  EXPECT_EQ(reply.number("pid"), static_cast<uint64_t>(client().offer().pid));
  EXPECT_EQ(reply.number("uid"), host::UserId());
  EXPECT_EQ(reply.number("gid"), host::GroupId());
  require_ok(route.receiver.call(op::socket_set_pass_credentials().pass(false)));
  require_ok(route.sender.call(route.request("nobody")));
  reply = route.receiver.receive(64);
  EXPECT_THAT(reply, Reads("nobody"));
  for (const char *key : {"pid", "uid", "gid"}) EXPECT_FALSE(reply.has(key)) << key;
}

// ------------------------------------------------------------------------------------------------------ the name

CTS_CASE(Datagram, NameIsTakenUntilClosed) {
  const LocalName name = fresh_name();
  Socket first = BindSocket(server(), name);
  EXPECT_THAT(client().call(op::socket_bind().kind(name.kind).name(name.name).as("second")), StatusIs("in_use"));
  require_ok(first.close());
  if (name.kind == "path") {
    EXPECT_EQ(look::TypeOf(name.name), "none");
  }
  BindSocket(client(), name);
}

CTS_CASE(Datagram, KeepNameLeavesTheFile) {
  const LocalName name = fresh_name();
  auto request = [&] { return op::socket_bind().kind(name.kind).name(name.name); };
  require_ok(BindSocket(server(), request().keep_name(true)).close());
  EXPECT_EQ(look::TypeOf(name.name), "socket");
  EXPECT_THAT(client().call(request().as("taken")), StatusIs("in_use"));
  require_ok(BindSocket(client(), request().reclaim(true)).close());
  EXPECT_EQ(look::TypeOf(name.name), "none");
}

CTS_CASE(Datagram, ModeIsExact) {
  for (unsigned mode : {0600u, 0666u, 0777u}) {
    const LocalName name = fresh_name();
    Socket socket = BindSocket(peer(), op::socket_bind().kind(name.kind).name(name.name).mode(mode));
    EXPECT_EQ(look::ModeOf(name.name), mode);
    EXPECT_THAT(socket.close(), IsOk());
  }
}

// ------------------------------------------------------------------------------------------------------- waiting

CTS_CASE(Datagram, ReceiveWaitsForAMessage) {
  Route route = ROUTE;
  EXPECT_THAT(route.receiver.call(Receive(64).wait(false)), StatusIs("would_block"));
  Pending receiving = route.receiver.start(Receive(64).watch());
  receiving.expect_blocked();
  require_ok(route.sender.call(route.request("here")));
  EXPECT_THAT(receiving.wait(), Reads("here"));
}

CTS_CASE(Datagram, SetNonblockingTakesEffectAtOnce) {
  Socket receiver = BindSocket(server(), fresh_name()), sender = OpenSocket(client(), "datagram");
  require_ok(receiver.call(op::socket_set_nonblocking().nonblocking(true)));
  EXPECT_THAT(receiver.receive(64), StatusIs("would_block"));
  require_ok(receiver.call(op::socket_set_nonblocking().nonblocking(false)));
  Pending receiving = receiver.start(op::socket_receive().max(64).watch());
  receiving.expect_blocked();
  require_ok(sender.send_to(receiver.native(), "waited for"));
  EXPECT_THAT(receiving.wait(), Reads("waited for"));
}

CTS_CASE(Datagram, FullReceiverMakesTheSenderWait) {
  Route route = ROUTE;
  const int filled = route.fill();
  ASSERT_GT(filled, 0);
  Pending sending = route.sender.start(route.request(Long("the last")).watch());
  sending.expect_blocked();
  for (int i = 0; i < filled; i++) EXPECT_THAT(route.receiver.receive(1000), Reads(Long(std::to_string(i))));
  EXPECT_THAT(sending.wait(), IsOk());
  EXPECT_THAT(route.receiver.receive(1000), Reads(Long("the last")));
}

CTS_CASE(Datagram, WaitingSendNoticesThatTheReceiverIsGone) {
  Route route = ROUTE;
  route.fill();
  Pending sending = route.sender.start(route.request(Long("too late")).watch());
  sending.expect_blocked();
  require_ok(route.receiver.close());
  EXPECT_THAT(sending.wait(), StatusIsOneOf({"refused", "not_found"}));
}

CTS_CASE(Datagram, SendersCloseIsNoEnd) {
  Socket receiver = BindSocket(server(), fresh_name());
  const bool named = shape("receiver") == "named";
  for (const char *text : {"first", "second"}) {
    Socket sender = OpenSocket(client(), "datagram");
    // Where the receiver is named, another socket is connected to it; its close is no end either.
    Socket connected = named ? OpenSocket(client(), "datagram") : sender;
    require_ok(connected.connect_to(receiver.native()));
    require_ok(named ? sender.send_to(receiver.native(), text) : sender.send(text));
    require_ok(sender.close());
    if (named) require_ok(connected.close());
    EXPECT_THAT(receiver.receive(64), Reads(text));
    EXPECT_THAT(receiver.call(op::socket_receive().max(64).wait(false)), StatusIs("would_block"));
  }
}

CTS_CASE(Datagram, TimeoutsPass) {
  Route route = ROUTE;
  for (uint64_t timeout_ms : {kTimeoutMs, uint64_t{0}}) {
    EXPECT_THAT(route.receiver.call(Receive(64).timeout_ms(timeout_ms)), StatusIs("timed_out"));
  }
  const int filled = route.fill();
  for (uint64_t timeout_ms : {kTimeoutMs, uint64_t{0}}) {
    const Stopwatch watch;
    EXPECT_THAT(route.sender.call(route.request(Long("x")).timeout_ms(timeout_ms)), StatusIs("timed_out"));
    EXPECT_GE(watch.ms(), timeout_ms);
  }
  for (int i = 0; i < filled; i++) EXPECT_THAT(route.receiver.receive(1000), Reads(Long(std::to_string(i))));
  EXPECT_THAT(route.receiver.call(Receive(64).wait(false)), StatusIs("would_block"));
}

CTS_CASE(Datagram, CloseEndsAWaitingReceive) {
  Socket receiver = BindSocket(peer(), fresh_name());
  Pending receiving = receiver.start(Receive(64).in("r").watch());
  receiving.expect_blocked();
  require_ok(receiver.call(op::socket_close().in("c")));
  EXPECT_THAT(receiving.wait(), Reads("", "cancelled"));
}

CTS_CASE(Datagram, CloseEndsAWaitingSend) {
  Route route = ROUTE;
  const int filled = route.fill();
  Pending sending = route.sender.start(route.request(Long("never")).in("s").watch());
  sending.expect_blocked();
  require_ok(route.sender.call(op::socket_close().in("c")));
  EXPECT_THAT(sending.wait(), StatusIs("cancelled"));
  for (int i = 0; i < filled; i++) EXPECT_THAT(route.receiver.receive(1000), Reads(Long(std::to_string(i))));
  EXPECT_THAT(route.receiver.call(Receive(64).wait(false)), StatusIs("would_block"));
}

// ------------------------------------------------------------------------------------------------------ shutdown

CTS_CASE(Datagram, ShutdownConcernsOneSocket) {
  Socket receiver = BindSocket(server(), fresh_name());
  Socket one = OpenSocket(client(), "datagram"), other = OpenSocket(client(), "datagram");
  require_ok(one.send_to(receiver.native(), "before"));
  require_ok(one.call(op::socket_shutdown().how("write")));
  EXPECT_THAT(one.send_to(receiver.native(), "after"), StatusIs("broken_pipe"));
  require_ok(other.send_to(receiver.native(), "other"));
  EXPECT_THAT(receiver.receive(64), Reads("before"));
  EXPECT_THAT(receiver.receive(64), Reads("other"));
}

CTS_CASE(Datagram, ShutdownEndsAWaitingReceive) {
  Socket receiver = BindSocket(peer(), fresh_name());
  Pending receiving = receiver.start(Receive(64).in("r").watch());
  receiving.expect_blocked();
  require_ok(receiver.call(op::socket_shutdown().how("read").in("c")));
  EXPECT_THAT(receiving.wait(), Reads("", "end"));
  EXPECT_THAT(receiver.receive(64), Reads("", "end"));
}

CTS_CASE(Datagram, SocketIsNotInherited) {
  EXPECT_TRUE(IsCloseOnExec(peer(), OpenSocket(peer(), "datagram")));
  EXPECT_TRUE(IsCloseOnExec(peer(), BindSocket(peer(), fresh_name())));
}

CTS_CASE(Datagram, ReleasedSocketCanBeAdopted) {
  Route route = ROUTE;
  Reply released = route.receiver.call(op::socket_release());
  require_ok(released);
  require_ok(route.sender.call(route.request("kept")));
  const std::string handle = server().fresh_handle("d");
  require_ok(server().call(op::socket_adopt().raw(released.raw()).as(handle)));
  Socket adopted(&server(), handle);
  EXPECT_THAT(adopted.receive(64), Reads("kept"));
  EXPECT_THAT(adopted.close(), IsOk());
}

CTS_CASE(Datagram, AdoptedSocketLeavesItsFile) {
  const LocalName name = fresh_name();
  Reply released = BindSocket(peer(), name).call(op::socket_release());
  require_ok(released);
  require_ok(peer().call(op::socket_adopt().raw(released.raw()).as("adopted")));
  EXPECT_THAT(Socket(&peer(), "adopted").close(), IsOk());
  EXPECT_EQ(look::TypeOf(name.name), "socket");
}

}  // namespace cts
