// Seqpacket connections: spec/seqpacket.md.
#include <memory>

#include "conformance/cases/sockets.h"
#include "conformance/support/host.h"

namespace cts {
namespace {

/// More messages than any connection holds unread.
constexpr int kFarBeyondTheBuffer = 100000;

op::socket_receive Receive(uint64_t max) { return op::socket_receive().max(max); }
op::socket_send Send(const Data &data) { return op::socket_send().data(data); }

/// A connection with both ends held, the writer's by the shape.
struct Connection {
  Listener listener;
  Socket server, client;
  bool server_writes;
  const Socket &writer() const { return server_writes ? server : client; }
  const Socket &reader() const { return server_writes ? client : server; }

  /// Sends without waiting until there is no room; how many messages went.
  int fill() const {
    for (int sent = 0; sent < kFarBeyondTheBuffer; sent++) {
      Reply reply = writer().call(Send(Data::Pattern(1, 2000)).wait(false));
      if (reply.status() == "would_block") return sent;
      Required(reply);
    }
    throw Abort{"failed", "", "the connection took more messages than any buffer holds"};
  }
};

Connection Connect(Peer &listening, Peer &connecting, const LocalName &name, bool server_writes) {
  Connection c{UnixListen(listening, "seqpacket", name), Socket(), OpenSocket(connecting, "seqpacket"), server_writes};
  Required(c.client.connect_to(c.listener.native()));
  const std::string handle = listening.fresh_handle("d");
  Required(c.listener.call(op::listener_accept_socket().as(handle)));
  c.server = Socket(&listening, handle);
  return c;
}

}  // namespace

#define CONNECTION Connect(server(), client(), fresh_name(), has_axis("writer") && shape("writer") == "server")

CTS_CASE(Seqpacket, OneSendIsOneReceive) {
  Connection c = CONNECTION;
  Data data = pattern(30000);
  for (const Data &message : {Data("a"), Data("bc"), data, Data("d")}) require_ok(c.writer().send(message));
  for (const Data &message : {Data("a"), Data("bc"), data, Data("d")}) {
    EXPECT_THAT(c.reader().receive(64_KiB), Reads(message));
  }
}

CTS_CASE(Seqpacket, EndBehindTheMessages) {
  Connection c = CONNECTION;
  require_ok(c.writer().send("last"));
  require_ok(c.writer().send("words"));
  require_ok(c.writer().close());
  EXPECT_THAT(c.reader().receive(64), Reads("last"));
  EXPECT_THAT(c.reader().receive(64), Reads("words"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(c.reader().receive(64), Ends(""));
  EXPECT_THAT(c.reader().call(op::socket_next_length()), StatusIs("end"));
}

CTS_CASE(Seqpacket, EmptyMessageIsUnencodable) {
  Connection c = CONNECTION;
  EXPECT_THAT(c.writer().send(""), StatusIs("unencodable"));
  EXPECT_THAT(c.reader().call(Receive(64).wait(false)), StatusIs("would_block"));
  require_ok(c.writer().send("unharmed"));
  EXPECT_THAT(c.reader().receive(64), Reads("unharmed"));
}

CTS_CASE(Seqpacket, ForeignEmptyMessageIsNoEnd) {
  Listener listener = UnixListen(peer(), "seqpacket", fresh_name());
  auto foreign = std::make_unique<host::BareClient>(listener.native(), "seqpacket");
  const Socket accepted(&peer(), peer().fresh_handle("d"));
  require_ok(listener.call(op::listener_accept_socket().as(accepted.handle())));
  for (const char *text : {"", "full", ""}) foreign->Write(text);
  for (const char *text : {"", "full", ""}) EXPECT_THAT(accepted.receive(64), Reads(text));
  foreign->Write("it is still there");
  EXPECT_THAT(accepted.receive(64), Reads("it is still there"));
  for (const char *text : {"", "left", "", "behind"}) foreign->Write(text);
  foreign.reset();
  for (const char *text : {"", "left", "", "behind"}) EXPECT_THAT(accepted.receive(64), Reads(text));
  EXPECT_THAT(accepted.receive(64), Ends(""));
}

CTS_CASE(Seqpacket, CutMessageIsReported) {
  Connection c = CONNECTION;
  require_ok(c.writer().send("0123456789"));
  require_ok(c.writer().send("next"));
  Reply reply = c.reader().receive(4);
  EXPECT_THAT(reply, Reads("0123", "message_truncated"));
  EXPECT_EQ(reply.number("needed"), 10u);
  EXPECT_THAT(c.reader().receive(4), Reads("next"));
}

CTS_CASE(Seqpacket, NoRoomAtAllTakesTheMessage) {
  Connection c = CONNECTION;
  for (const char *message : {"lost", "kept"}) require_ok(c.writer().send(message));
  EXPECT_THAT(c.reader().receive(0), StatusIs("message_truncated"));
  EXPECT_THAT(c.reader().receive(64), Reads("kept"));
}

CTS_CASE(Seqpacket, WholeLeavesWhatDoesNotFit) {
  Connection c = CONNECTION;
  require_ok(c.writer().send("0123456789"));
  for (uint64_t room : {9, 4, 0}) {
    Reply reply = c.reader().call(Receive(room).whole(true));
    EXPECT_THAT(reply, Reads("", "message_truncated"));
    EXPECT_EQ(reply.number("needed"), 10u);
  }
  Reply next = c.reader().call(op::socket_next_length());
  ASSERT_THAT(next, IsOk());
  EXPECT_EQ(next.length(), 10u);
  EXPECT_THAT(c.reader().call(Receive(10).whole(true)), Reads("0123456789"));
}

CTS_CASE(Seqpacket, DescriptorsComeWithTheirMessage) {
  Connection c = CONNECTION;
  Peer &sending = c.server_writes ? server() : client(), &receiving = c.server_writes ? client() : server();
  const Passed passed = Passing(MakePipe(sending).reader);
  require_ok(c.writer().call(Send("none")));
  require_ok(c.writer().call(Send("cut off").descriptors({passed.number})));
  require_ok(c.writer().call(Send("one").descriptors({passed.number})));
  Reply none = c.reader().call(Receive(64).descriptors_max(2));
  EXPECT_THAT(none, Reads("none"));
  EXPECT_TRUE(Came(receiving, none).empty());
  const size_t before = host::DescriptorsOf(receiving.offer().pid).size();
  Reply cut = c.reader().call(Receive(3).descriptors_max(2));
  EXPECT_THAT(cut, Reads("cut", "message_truncated"));
  const std::vector<std::string> came = Came(receiving, cut);
  if (!came.empty()) {
    EXPECT_EQ(came, std::vector<std::string>{passed.of});
  }
  EXPECT_EQ(host::DescriptorsOf(receiving.offer().pid).size(), before + came.size())
      << "descriptors that nobody was told of";
  Reply one = c.reader().call(Receive(64).descriptors_max(2));
  EXPECT_THAT(one, Reads("one"));
  EXPECT_EQ(Came(receiving, one), (std::vector<std::string>{passed.of}));
}

CTS_CASE(Seqpacket, SocketsAreNotInherited) {
  Connection c = CONNECTION;
  EXPECT_TRUE(IsCloseOnExec(server(), c.server));
  EXPECT_TRUE(IsCloseOnExec(client(), c.client));
}

CTS_CASE(Seqpacket, SendToAClosedPeerIsBrokenPipe) {
  Connection c = CONNECTION;
  require_ok(c.reader().close());
  for (int i = 0; i < 3; i++) EXPECT_THAT(c.writer().send("nobody"), StatusIs("broken_pipe"));
}

CTS_CASE(Seqpacket, UnreadMessagesResetTheConnection) {
  Connection c = CONNECTION;
  require_ok(c.writer().send("never read"));
  require_ok(c.reader().send("read anyway"));
  require_ok(c.reader().close());
  EXPECT_THAT(c.writer().receive(64), Allowed("first receive"));
  EXPECT_THAT(c.writer().receive(64), Reads("read anyway"));
  EXPECT_THAT(c.writer().receive(64), Ends(""));
}

CTS_CASE(Seqpacket, ShutdownEndsOneDirection) {
  Connection c = CONNECTION;
  require_ok(c.writer().send("all there is"));
  require_ok(c.writer().call(op::socket_shutdown().how("write")));
  EXPECT_THAT(c.writer().send("too late"), StatusIs("broken_pipe"));
  EXPECT_THAT(c.reader().receive(64), Reads("all there is"));
  EXPECT_THAT(c.reader().receive(64), Ends(""));
  require_ok(c.reader().send("answer"));
  EXPECT_THAT(c.writer().receive(64), Reads("answer"));
}

CTS_CASE(Seqpacket, ReceiverGivenIsAlreadyConnected) {
  Connection c = CONNECTION;
  EXPECT_THAT(c.client.send_to(c.listener.native(), "x"), StatusIs("already_connected"));
  EXPECT_THAT(c.client.connect_to(c.listener.native()), StatusIs("already_connected"));
  EXPECT_THAT(c.server.call(Receive(64).wait(false)), StatusIs("would_block"));
}

CTS_CASE(Seqpacket, WithoutConnectionIsNotConnected) {
  Socket socket = OpenSocket(peer(), "seqpacket");
  EXPECT_THAT(socket.send("x"), StatusIs("not_connected"));
  EXPECT_THAT(socket.receive(64), StatusIs("not_connected"));
  EXPECT_THAT(socket.call(op::socket_shutdown().how("write")), StatusIs("not_connected"));
  EXPECT_THAT(socket.call(op::socket_peer_credentials()), StatusIs("not_connected"));
}

CTS_CASE(Seqpacket, TypesDoNotMix) {
  Listener streams = UnixListen(server(), "stream", fresh_name());
  Listener packets = UnixListen(server(), "seqpacket", fresh_name());
  EXPECT_THAT(OpenSocket(client(), "seqpacket").connect_to(streams.native()), StatusIs("refused"));
  EXPECT_THAT(client().call(connect_request(packets).as("none")), StatusIs("refused"));
  Socket connected = OpenSocket(client(), "seqpacket");
  require_ok(connected.connect_to(packets.native()));
  EXPECT_THAT(packets.call(op::listener_accept().as("wrong")), StatusIs("unsupported"));
  EXPECT_THAT(packets.call(op::listener_accept_socket().as("right")), IsOk());
}

CTS_CASE(Seqpacket, ServerSeesWhoConnected) {
  Connection c = CONNECTION;
  Reply reply = c.server.call(op::socket_peer_credentials());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.number("pid"), static_cast<uint64_t>(client().offer().pid));
  EXPECT_EQ(reply.number("uid"), host::UserId());
}

CTS_CASE(Seqpacket, ForeignUserIsNeverAccepted) {
  Listener listener = UnixListen(server(), ListenRequest("seqpacket", AbstractName(fresh_path())).same_user(true));
  host::ForeignClient foreign(listener.native(), "seqpacket");
  EXPECT_EQ(foreign.Connect(), "connected");
  EXPECT_THAT(listener.call(op::listener_accept_socket().wait(false).as("none")), StatusIs("would_block"));
  EXPECT_EQ(foreign.Receive(), "end");
  Socket own = OpenSocket(client(), "seqpacket");
  require_ok(own.connect_to(listener.native()));
  EXPECT_THAT(listener.call(op::listener_accept_socket().as("own")), IsOk());
}

CTS_CASE(Seqpacket, FullConnectionMakesTheSenderWait) {
  Connection c = CONNECTION;
  const int filled = c.fill();
  const Data last = Data::Pattern(2, 2000);  // a shorter one might have room
  Pending sending = c.writer().start(Send(last).watch());
  sending.expect_blocked();
  for (int i = 0; i < filled; i++) EXPECT_THAT(c.reader().receive(4096), Reads(Data::Pattern(1, 2000)));
  EXPECT_THAT(sending.wait(), IsOk());
  EXPECT_THAT(c.reader().receive(4096), Reads(last));
}

CTS_CASE(Seqpacket, CloseEndsWhatWaits) {
  Connection c = CONNECTION;
  c.fill();
  Pending sending = c.writer().start(Send(Data::Pattern(2, 2000)).in("s").watch());
  Pending receiving = c.writer().start(Receive(64).in("r").watch());
  sending.expect_blocked();
  receiving.expect_blocked();
  require_ok(c.writer().call(op::socket_close().in("c")));
  EXPECT_THAT(sending.wait(), StatusIs("cancelled"));
  EXPECT_THAT(receiving.wait(), Reads("", "cancelled"));
}

CTS_CASE(Seqpacket, ConnectWaitsForTheBacklog) {
  Listener listener = UnixListen(server(), ListenRequest("seqpacket", fresh_name()).backlog(1));
  int waiting = 0;
  for (; waiting < 64; waiting++) {
    Reply reply =
        OpenSocket(client(), "seqpacket").call(op::socket_connect().kind("native").name(listener.native()).wait(false));
    if (reply.status() == "would_block") break;
    require_ok(reply);
  }
  ASSERT_LT(waiting, 64);
  Socket late = OpenSocket(client(), "seqpacket");
  auto request = [&] { return op::socket_connect().kind("native").name(listener.native()); };
  EXPECT_THAT(late.call(request().timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  Pending connecting = late.start(request().in("c"));
  require_ok(listener.call(op::listener_accept_socket().as("first")));
  EXPECT_THAT(connecting.wait(), IsOk());
  EXPECT_THAT(late.send("in at last"), IsOk());
}

CTS_CASE(Seqpacket, AdoptedListenerKeepsItsType) {
  Listener first = UnixListen(server(), "seqpacket", fresh_name("path"));
  const Reply released = first.call(op::listener_release());
  require_ok(released);
  require_ok(server().call(op::listener_adopt().raw(released.raw()).as("adopted")));
  const Listener adopted(&server(), "adopted", first.native());
  Socket near = OpenSocket(client(), "seqpacket");
  require_ok(near.connect_to(adopted.native()));
  EXPECT_THAT(adopted.call(op::listener_accept().as("wrong")), StatusIs("unsupported"));
  require_ok(adopted.call(op::listener_accept_socket().as("right")));
  require_ok(near.send("a message"));
  EXPECT_THAT(Socket(&server(), "right").receive(64), Reads("a message"));
}

}  // namespace cts
