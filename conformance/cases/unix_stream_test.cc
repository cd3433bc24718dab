// Unix domain streams: spec/unix_stream.md.
#include "conformance/cases/sockets.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

constexpr uint64_t kFarBeyondTheBuffer = 4_MiB;

op::stream_shutdown Shutdown(const std::string &how) { return op::stream_shutdown().how(how); }

}  // namespace

// ---------------------------------------------------------------------------------------------------- half close

CTS_CASE(UnixStream, ListensLikeALocalSocket) {
  Pair pair = connected_pair(UnixListen(server(), "stream", fresh_name()), client());
  require_ok(pair.client.write("question"));
  EXPECT_THAT(pair.server.read_exact(8), Reads("question"));
  require_ok(pair.server.write("answer"));
  EXPECT_THAT(pair.client.read_exact(6), Reads("answer"));
}

CTS_CASE(UnixStream, ShutdownIsTheEndBehindTheData) {
  Pair pair = connected_pair();
  Data data = pattern(64_KiB);
  Pending writing = pair.writer().start(op::stream_write().data(data));
  Pending ending = pair.writer().start(Shutdown("write"));
  EXPECT_THAT(pair.reader().call(op::stream_read().until("end").buffer(512)), Ends(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
  EXPECT_THAT(ending.wait(), IsOk());
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(UnixStream, TheOtherDirectionGoesOn) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("all there is"));
  require_ok(pair.writer().call(Shutdown("write")));
  EXPECT_THAT(pair.reader().read_to_end(), Ends("all there is"));
  Data answer = pattern(100_KiB);
  Pending answering = pair.reader().start(op::stream_write().data(answer));
  EXPECT_THAT(pair.writer().read_exact(answer.length()), Reads(answer));
  EXPECT_THAT(answering.wait(), Accepts(answer));
}

CTS_CASE(UnixStream, EachDirectionEndsOnItsOwn) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("question"));
  require_ok(pair.writer().call(Shutdown("write")));
  EXPECT_THAT(pair.reader().read_to_end(), Ends("question"));
  require_ok(pair.reader().write("answer"));
  require_ok(pair.reader().call(Shutdown("write")));
  EXPECT_THAT(pair.writer().read_to_end(), Ends("answer"));
  for (const Stream &end : {pair.writer(), pair.reader()}) {
    EXPECT_THAT(end.write("late"), StatusIs("broken_pipe"));
    EXPECT_THAT(end.read(16), Ends(""));
  }
}

CTS_CASE(UnixStream, OwnShutdownLeavesAWaitingRead) {
  Pair pair = connected_pair();
  Pending reading = pair.writer().start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(pair.writer().call(Shutdown("write").in("s")));
  reading.expect_blocked();
  require_ok(pair.reader().write("still heard"));
  EXPECT_THAT(reading.wait(), Reads("still heard"));
}

CTS_CASE(UnixStream, ShutdownLeavesOtherConnections) {
  Pair ended = connected_pair(), other = connected_pair(ended.listener, client());
  require_ok(ended.client.call(Shutdown("both")));
  EXPECT_THAT(ended.server.read(16), Ends(""));
  require_ok(other.client.write("goes on"));
  EXPECT_THAT(other.server.read_exact(7), Reads("goes on"));
  Pair next = connected_pair(ended.listener, client());
  require_ok(next.client.write("comes"));
  EXPECT_THAT(next.server.read_exact(5), Reads("comes"));
}

CTS_CASE(UnixStream, ShutdownIsForEveryHolder) {
  Listener listener = listen(server(), fresh_name());
  Pair shared = connected_pair(listener, client()), way = connected_pair(listener, client(2));
  const Passed passed = Passing(shared.server);
  require_ok(way.server.call(op::stream_write_ancillary().data("x").descriptors({passed.number})));
  const Reply came = way.client.call(op::stream_read_ancillary().max(16).descriptors_max(1));
  require_ok(came);
  ASSERT_EQ(Came(client(2), came), std::vector<std::string>{passed.of});
  const Raw raw{"fd", std::to_string(came.numbers("descriptors").at(0))};
  require_ok(client(2).call(op::stream_adopt().raw(raw).as("held")));
  const Stream held(&client(2), "held");
  require_ok(shared.server.write("of one, "));
  require_ok(held.write("of the other"));
  require_ok(held.call(Shutdown("write")));
  EXPECT_THAT(shared.client.read_to_end(), Ends("of one, of the other"));
  EXPECT_THAT(shared.server.write("late"), StatusIs("broken_pipe"));
}

CTS_CASE(UnixStream, ShutdownDoesNotWaitForTheReader) {
  Pair pair = connected_pair();
  Data data = pattern(kFarBeyondTheBuffer);
  const Reply written = pair.writer().call(WriteNow(data));
  require_ok(written);
  ASSERT_LT(written.length(), data.length()) << "the stream was not full";
  EXPECT_THAT(pair.writer().call(Shutdown("write")), IsOk());
  EXPECT_THAT(pair.reader().read_to_end(), Ends(data.prefix(written.length())));
}

CTS_CASE(UnixStream, EndAfterShutdownNeedsNoWaiting) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.reader().call(ReadSome(16).wait(false)), Reads("", "would_block"));
  require_ok(pair.writer().write("last"));
  require_ok(pair.writer().call(Shutdown("write")));
  EXPECT_THAT(pair.reader().call(ReadSome(16).wait(false)), Reads("last"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().call(ReadSome(16).wait(false)), Ends(""));
}

CTS_CASE(UnixStream, ShutdownStaysWhenTheHandleIsReleased) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("before"));
  require_ok(pair.writer().call(Shutdown("write")));
  const Reply released = pair.writer().call(op::stream_release());
  require_ok(released);
  Peer &holder = pair.writer().peer();
  require_ok(holder.call(op::stream_adopt().raw(released.raw()).as("adopted")));
  const Stream adopted(&holder, "adopted");
  EXPECT_THAT(adopted.write("late"), StatusIs("broken_pipe"));
  EXPECT_THAT(pair.reader().read_to_end(), Ends("before"));
  require_ok(pair.reader().write("answer"));
  EXPECT_THAT(adopted.read_exact(6), Reads("answer"));
}

CTS_CASE(UnixStream, ShutdownWhenThePeerIsGone) {
  Pair pair = connected_pair();
  require_ok(pair.reader().close());
  EXPECT_THAT(pair.writer().call(Shutdown("write")), Allowed("shutdown behind the peer's close"));
}

CTS_CASE(UnixStream, CredentialsOutliveAShutdown) {
  Pair pair = connected_pair();
  require_ok(pair.client.call(Shutdown("both")));
  const Reply reply = pair.server.call(op::stream_peer_credentials());
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(reply.number("pid"), static_cast<uint64_t>(client().offer().pid));
}

CTS_CASE(UnixStream, WriteAfterShutdownIsBrokenPipe) {
  Pair pair = connected_pair();
  require_ok(pair.writer().call(Shutdown("write")));
  for (int i = 0; i < 3; i++) {
    Reply reply = pair.writer().write("too late");
    EXPECT_THAT(reply, StatusIs("broken_pipe"));
    EXPECT_EQ(reply.length(), 0u);
  }
  EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(UnixStream, ShutdownOfReadingGivesWhatHasCome) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("came before"));
  require_ok(pair.reader().call(Shutdown("read")));
  EXPECT_THAT(pair.reader().read_to_end(), Ends("came before"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(pair.reader().read(16), Ends(""));
}

CTS_CASE(UnixStream, WriterNoticesThatNobodyReads) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(Shutdown("read")));
  EXPECT_THAT(pair.writer().write("nobody reads"), StatusIs("broken_pipe"));
  require_ok(pair.reader().write("but writes"));
  EXPECT_THAT(pair.writer().read_exact(10), Reads("but writes"));
}

CTS_CASE(UnixStream, ShutdownOfBothEndsBoth) {
  Pair pair = connected_pair();
  require_ok(pair.reader().write("left behind"));
  require_ok(pair.writer().call(Shutdown("both")));
  EXPECT_THAT(pair.writer().write("x"), StatusIs("broken_pipe"));
  EXPECT_THAT(pair.reader().write("x"), StatusIs("broken_pipe"));
  EXPECT_THAT(pair.reader().read(16), Ends(""));
  EXPECT_THAT(pair.writer().read_to_end(), Ends("left behind"));
}

CTS_CASE(UnixStream, ShutdownAgainIsOk) {
  Pair pair = connected_pair();
  for (const char *how : {"write", "write", "read", "both", "both"}) {
    EXPECT_THAT(pair.writer().call(Shutdown(how)), IsOk());
  }
}

CTS_CASE(UnixStream, CloseAfterShutdownLosesNothing) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("last words"));
  require_ok(pair.writer().call(Shutdown("write")));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().read_to_end(), Ends("last words"));
}

CTS_CASE(UnixStream, ShutdownWakesAWaitingRead) {
  Pair pair = connected_pair();
  const bool own = shape("by") == "itself";
  Pending reading = pair.reader().start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  Pending ending = own ? pair.reader().start(Shutdown("read").in("s")) : pair.writer().start(Shutdown("write"));
  EXPECT_THAT(ending.wait(), IsOk());
  EXPECT_THAT(reading.wait(), Ends(""));
  const Stream &later = own ? pair.writer() : pair.reader();
  EXPECT_THAT(later.call(Shutdown("both")), IsOk());
}

CTS_CASE(UnixStream, ShutdownWakesAWaitingWrite) {
  Pair pair = connected_pair();
  Pending writing = pair.writer().start(op::stream_write().data(pattern(kFarBeyondTheBuffer)).in("w").watch());
  writing.expect_blocked();
  const bool own = shape("by") == "itself";
  const Stream &by = own ? pair.writer() : pair.reader(), &later = own ? pair.reader() : pair.writer();
  require_ok(by.call(Shutdown("both").in("s")));
  Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("broken_pipe"));
  EXPECT_LT(reply.length(), kFarBeyondTheBuffer);
  EXPECT_THAT(later.call(Shutdown("both")), IsOk());
}

CTS_CASE(UnixStream, HalvesShutDownTheirOwnDirection) {
  Pair pair = connected_pair();
  Peer &splitting = pair.writer().peer();
  const std::string reading = splitting.fresh_handle("r"), writing = splitting.fresh_handle("w");
  require_ok(pair.writer().call(op::stream_split().read_as(reading).write_as(writing)));
  Stream reader(&splitting, reading), writer(&splitting, writing);
  for (const char *how : {"read", "both"}) EXPECT_THAT(writer.call(Shutdown(how)), StatusIs("unsupported"));
  for (const char *how : {"write", "both"}) EXPECT_THAT(reader.call(Shutdown(how)), StatusIs("unsupported"));
  require_ok(writer.write("whole"));
  EXPECT_THAT(writer.call(Shutdown("write")), IsOk());
  EXPECT_THAT(pair.reader().read_to_end(), Ends("whole"));
  require_ok(pair.reader().write("still open"));
  EXPECT_THAT(reader.read_exact(10), Reads("still open"));
}

CTS_CASE(UnixStream, ShutdownOfAPipeIsUnsupported) {
  const std::string reading = peer().fresh_handle("r"), writing = peer().fresh_handle("w");
  require_ok(peer().call(op::pipe_create().read_as(reading).write_as(writing)));
  Stream reader(&peer(), reading), writer(&peer(), writing);
  EXPECT_THAT(writer.call(Shutdown("write")), StatusIs("unsupported"));
  EXPECT_THAT(reader.call(Shutdown("read")), StatusIs("unsupported"));
  require_ok(writer.write("unharmed"));
  EXPECT_THAT(reader.read_exact(8), Reads("unharmed"));
}

// ------------------------------------------------------------------------------------------------- name and type

CTS_CASE(UnixStream, KeepNameLeavesTheFile) {
  const LocalName name = fresh_name();
  require_ok(UnixListen(server(), ListenRequest("stream", name).keep_name(true)).close());
  EXPECT_EQ(look::TypeOf(name.name), "socket");
  EXPECT_THAT(client().call(connect_request(name).as("nobody")), StatusIs("refused"));
  require_ok(UnixListen(server(), ListenRequest("stream", name).reclaim(true)).close());
  EXPECT_EQ(look::TypeOf(name.name), "none");
}

CTS_CASE(UnixStream, LocalListenKeepsTheName) {
  const LocalName name = fresh_name();
  require_ok(listen(server(), listen_request(name).keep_name(true)).close());
  EXPECT_EQ(look::TypeOf(name.name), "socket");
}

CTS_CASE(UnixStream, UnlinkedListenerServesItsConnections) {
  const LocalName name = fresh_name("path");
  Pair pair = connected_pair(listen(server(), name), client());
  Stream waiting = connect(client(), pair.listener);
  host::Remove(name.name);
  EXPECT_THAT(client().call(connect_request(name).as("late")), StatusIs("not_found"));
  require_ok(pair.client.write("question"));
  EXPECT_THAT(pair.server.read_exact(8), Reads("question"));
  require_ok(pair.server.write("answer"));
  EXPECT_THAT(pair.client.read_exact(6), Reads("answer"));
  require_ok(waiting.write("was there"));
  EXPECT_THAT(pair.listener.accept().read_exact(9), Reads("was there"));
}

CTS_CASE(UnixStream, RenamedFileLeadsToTheListener) {
  const LocalName name = fresh_name("path"), renamed = fresh_name("path");
  Listener listener = listen(server(), name);
  host::Rename(name.name, renamed.name);
  EXPECT_THAT(client().call(connect_request(name).as("old")), StatusIs("not_found"));
  require_ok(connect(client(), connect_request(renamed)).write("renamed"));
  EXPECT_THAT(listener.accept().read_exact(7), Reads("renamed"));
}

CTS_CASE(UnixStream, StreamToADatagramNameIsRefused) {
  Socket socket = BindSocket(server(), fresh_name());
  EXPECT_THAT(client().call(op::local_connect().kind("native").name(socket.native()).as("none")), StatusIs("refused"));
  EXPECT_THAT(socket.call(op::socket_receive().max(16).wait(false)), StatusIs("would_block"));
}

CTS_CASE(UnixStream, ModeIsExact) {
  const LocalName name = fresh_name("path");
  const unsigned mode = static_cast<unsigned>(std::stoul(shape("mode"), nullptr, 8));
  UnixListen(server(), ListenRequest("stream", name).mode(mode));
  EXPECT_EQ(look::ModeOf(name.name), mode);
}

CTS_CASE(UnixStream, ReclaimTakesAStaleName) {
  const LocalName name = fresh_name("path"), file = fresh_name("path");
  host::MakeStaleSocket(name.name);
  host::MakeFile(file.name, "contents");
  EXPECT_THAT(server().call(ListenRequest("stream", file).reclaim(true).as("none")), Fails());
  EXPECT_EQ(look::ReadFile(file.name), "contents");
  Listener listener = UnixListen(server(), ListenRequest("stream", name).reclaim(true));
  require_ok(connect(client(), listener).write("reclaimed"));
  EXPECT_THAT(listener.accept().read_exact(9), Reads("reclaimed"));
}

CTS_CASE(UnixStream, ReclaimLeavesALiveName) {
  const LocalName name = fresh_name("path");
  Listener first = UnixListen(server(), "stream", name);
  EXPECT_THAT(server(2).call(ListenRequest("stream", name).reclaim(true).as("stream")), StatusIs("in_use"));
  EXPECT_THAT(server(2).call(op::socket_bind().kind(name.kind).name(name.name).reclaim(true).as("datagrams")),
              StatusIs("in_use"));
  require_ok(connect(client(), first).write("to the first"));
  EXPECT_THAT(first.accept().read_exact(12), Reads("to the first"));
}

CTS_CASE(UnixStream, CloseEndsAWaitingAccept) {
  Listener listener = UnixListen(server(), "stream", fresh_name());
  Pending accepting = listener.start_accept("none");
  accepting.expect_blocked();
  require_ok(listener.call(op::listener_close().in("c")));
  EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
}

CTS_CASE(UnixStream, ListenerIsNotInherited) {
  const Reply raw = UnixListen(server(), "stream", fresh_name("path")).call(op::listener_raw());
  require_ok(raw);
  EXPECT_TRUE(look::IsCloseOnExec(server().offer().pid, raw.raw().value));
}

namespace {

/// A descriptor number that a process does not have open.
Raw NotOpen() { return Raw{"fd", "1000000"}; }

}  // namespace

CTS_CASE(UnixStream, OnlyListenersAreAdoptedAsListeners) {
  const Pipe pipe = MakePipe(peer());
  Socket datagrams = BindSocket(peer(), fresh_name("path"));
  Listener listener = listen(peer(), fresh_name("path"));
  const Stream near = connect(peer(), listener), far = listener.accept();
  const std::vector<Raw> wrong = {Required(pipe.reader.call(op::stream_raw())).raw(),
                                  Required(datagrams.call(op::socket_raw())).raw(),
                                  Required(far.call(op::stream_raw())).raw(), NotOpen()};
  for (const Raw &raw : wrong) {
    EXPECT_THAT(peer().call(op::listener_adopt().raw(raw).as(peer().fresh_handle("no"))), Fails()) << raw.value;
  }
  require_ok(pipe.writer.write("a pipe"));
  EXPECT_THAT(pipe.reader.read_exact(6), Reads("a pipe"));
  require_ok(near.write("a stream"));
  EXPECT_THAT(far.read_exact(8), Reads("a stream"));
}

CTS_CASE(UnixStream, OnlyStreamsAreAdoptedAsStreams) {
  Socket datagrams = BindSocket(peer(), fresh_name("path"));
  Listener listener = listen(peer(), fresh_name("path"));
  const std::vector<Raw> wrong = {Required(datagrams.call(op::socket_raw())).raw(),
                                  Required(listener.call(op::listener_raw())).raw(), NotOpen()};
  for (const Raw &raw : wrong) {
    EXPECT_THAT(peer().call(op::stream_adopt().raw(raw).as(peer().fresh_handle("no"))), Fails()) << raw.value;
  }
  require_ok(datagrams.send_to(datagrams.native(), "a message"));
  EXPECT_THAT(datagrams.receive(64), Reads("a message"));
  connect(peer(), listener);
  listener.accept();
}

CTS_CASE(UnixStream, AcceptOfTheOtherTypeTakesNothing) {
  Listener listener = UnixListen(server(), "stream", fresh_name());
  Stream stream = connect(client(), listener);
  EXPECT_THAT(listener.call(op::listener_accept_socket().as("wrong")), StatusIs("unsupported"));
  require_ok(stream.write("still here"));
  EXPECT_THAT(listener.accept().read_exact(10), Reads("still here"));
}

// -------------------------------------------------------------------------------------------------- who connects

CTS_CASE(UnixStream, SameUserIsWelcome) {
  Pair pair = connected_pair(UnixListen(server(), ListenRequest("stream", fresh_name()).same_user(true)), client());
  require_ok(pair.client.write("it is me"));
  EXPECT_THAT(pair.server.read_exact(8), Reads("it is me"));
}

CTS_CASE(UnixStream, SameUserKeepsTheFilePrivate) {
  const LocalName name = fresh_name(), open = fresh_name();
  UnixListen(peer(), ListenRequest("stream", name).same_user(true));
  EXPECT_EQ(look::ModeOf(name.name) & 077, 0u);
  UnixListen(peer(), ListenRequest("stream", open).same_user(true).mode(0666));
  EXPECT_EQ(look::ModeOf(open.name), 0600u);
}

CTS_CASE(UnixStream, ForeignUserIsNeverAccepted) {
  Listener listener = UnixListen(server(), ListenRequest("stream", AbstractName(fresh_path())).same_user(true));
  host::ForeignClient first(listener.native(), "stream"), second(listener.native(), "stream");
  EXPECT_EQ(first.Connect(), "connected");
  EXPECT_EQ(second.Connect(), "connected");
  EXPECT_THAT(listener.call(op::listener_accept().wait(false).as("none")), StatusIs("would_block"));
  EXPECT_EQ(first.Receive(), "end");
  EXPECT_EQ(second.Receive(), "end");
  Stream stream = connect(client(), listener);
  require_ok(stream.write("it is me"));
  EXPECT_THAT(listener.accept().read_exact(8), Reads("it is me"));
}

CTS_CASE(UnixStream, ForeignUserDoesNotEndAWaitingAccept) {
  Listener listener = UnixListen(server(), ListenRequest("stream", AbstractName(fresh_path())).same_user(true));
  const std::string accepted = server().fresh_handle("s");
  Pending accepting = listener.start_accept(accepted);
  accepting.expect_blocked();
  for (int i = 0; i < 3; i++) {
    host::ForeignClient foreign(listener.native(), "stream");
    EXPECT_EQ(foreign.Connect(), "connected");
    EXPECT_EQ(foreign.Receive(), "end");
    accepting.expect_blocked();
  }
  connect(client(), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
}

CTS_CASE(UnixStream, ForeignUserDoesNotProlongATimeout) {
  Listener listener = UnixListen(server(), ListenRequest("stream", AbstractName(fresh_path())).same_user(true));
  host::ForeignClient foreign(listener.native(), "stream");
  EXPECT_EQ(foreign.Connect(), "connected");
  EXPECT_THAT(listener.call(op::listener_accept().timeout_ms(kTimeoutMs).as("none")), StatusIs("timed_out"));
  EXPECT_EQ(foreign.Receive(), "end");
  const Stopwatch watch;
  Pending accepting = listener.start(op::listener_accept().timeout_ms(kTimeoutMs).as("none"));
  while (!accepting.answered() && watch.ms() < kTimeoutMs + LateMs()) {
    EXPECT_EQ(host::ForeignClient(listener.native(), "stream").Connect(), "connected");
  }
  ASSERT_TRUE(accepting.answered()) << "who is turned away makes it wait longer";
  EXPECT_THAT(accepting.wait(), StatusIs("timed_out"));
}

CTS_CASE(UnixStream, LinkOfAnotherUserIsDenied) {
  const std::string link = fresh_path(), target = fresh_path();
  host::MakeDirectory(target);
  host::MakeLink(link, target);
  const LocalName through{"path", link + "/s"};
  Listener before = UnixListen(peer(), "stream", through);
  EXPECT_EQ(look::TypeOf(target + "/s"), "socket");
  EXPECT_THAT(before.close(), IsOk());
  host::GiveAway(link);
  EXPECT_THAT(peer().call(ListenRequest("stream", through).as("none")), StatusIs("permission_denied"));
  EXPECT_TRUE(host::List(target).empty());
}

}  // namespace cts
