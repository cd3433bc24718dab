// FIFO files: spec/fifo.md.
#include "conformance/cases/common.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// More than a FIFO holds.
constexpr uint64_t kFarBeyondTheCapacity = 1_MiB;

op::fifo_create Create(const std::string &path) { return op::fifo_create().path(path).mode(0600); }
op::fifo_open Open(const std::string &path, const std::string &direction) {
  return op::fifo_open().path(path).direction(direction);
}

/// Starts an open that is expected to wait.
struct Opening {
  Opening(Peer &peer, op::fifo_open request)
      : stream(&peer, peer.fresh_handle("s")), pending(peer.start(request.as(stream.handle()).watch())) {}
  /// Its stream; ends the case if the open fails.
  const Stream &opened() const {
    const Reply reply = pending.wait();
    if (!reply.ok()) throw Abort{"failed", reply.role(), reply.describe()};
    return stream;
  }
  Stream stream;
  Pending pending;
};

/// Opens at once, or ends the case.
Stream OpenNow(Peer &peer, const op::fifo_open &request) { return Opening(peer, request).opened(); }

/// One stream of each direction.
struct BothEnds {
  Stream writer, reader;
};

/// Opens both ends, the reader first; it waits until the writer comes.
BothEnds OpenBoth(Peer &writing, Peer &reading, const std::string &path) {
  Opening reader(reading, Open(path, "read"));
  Opening writer(writing, Open(path, "write"));
  return BothEnds{writer.opened(), reader.opened()};
}

}  // namespace

/// The process that the shape makes the writer, and the other one.
#define WRITING (shape("writer") == "server" ? server() : client())
#define READING (shape("writer") == "server" ? client() : server())

// ---------------------------------------------------------------------------------------------------- opening

CTS_CASE(Fifo, OpenWaitsForTheOtherSide) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  const bool reader_first = shape("first") == "reader";
  Opening first(reader_first ? READING : WRITING, Open(path, reader_first ? "read" : "write"));
  first.pending.expect_blocked();
  Opening second(reader_first ? WRITING : READING, Open(path, reader_first ? "write" : "read"));
  EXPECT_THAT(second.pending.wait(), IsOk());
  EXPECT_THAT(first.pending.wait(), IsOk());
}

CTS_CASE(Fifo, BytesArriveUnchanged) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  Data data = pattern(kFarBeyondTheCapacity);
  Pending writing = ends.writer.start(op::stream_write().data(data));
  EXPECT_THAT(ends.reader.read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(Fifo, ForeignFifoWorks) {
  const std::string path = fresh_path();
  host::MakeFifo(path, 0600);
  BothEnds ends = OpenBoth(client(), server(), path);
  require_ok(ends.writer.write("hello"));
  EXPECT_THAT(ends.reader.read_exact(5), Reads("hello"));
}

CTS_CASE(Fifo, ReaderOpensWithoutWaiting) {
  const std::string path = fresh_path();
  require_ok(peer().call(Create(path)));
  Stream reader = OpenNow(peer(), Open(path, "read").wait(false));
  for (int i = 0; i < 3; i++) EXPECT_THAT(reader.call(ReadSome(16).wait(false)), Reads("", "would_block"));
  EXPECT_THAT(reader.close(), IsOk());
}

CTS_CASE(Fifo, WriterWithoutReaderWouldBlock) {
  const std::string path = fresh_path();
  require_ok(peer().call(Create(path)));
  EXPECT_THAT(peer().call(Open(path, "write").wait(false).as("none")), StatusIs("would_block"));
  OpenNow(peer(), Open(path, "read").wait(false));
  EXPECT_THAT(peer().call(Open(path, "write").wait(false).as("writer")), IsOk());
}

CTS_CASE(Fifo, NoWriterYetIsNotTheEnd) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  Stream reader = OpenNow(READING, Open(path, "read").wait(false));
  Pending reading = reader.start(ReadSome(16).watch());
  reading.expect_blocked();
  Stream writer = OpenNow(WRITING, Open(path, "write"));
  reading.expect_blocked();
  require_ok(writer.write("first"));
  EXPECT_THAT(reading.wait(), Reads("first"));
}

CTS_CASE(Fifo, OpenTimesOut) {
  const std::string path = fresh_path();
  require_ok(peer().call(Create(path)));
  for (uint64_t timeout_ms : {kTimeoutMs, uint64_t{0}}) {
    const Stopwatch watch;
    EXPECT_THAT(peer().call(Open(path, shape("direction")).timeout_ms(timeout_ms).as("none")), StatusIs("timed_out"));
    const uint64_t waited = watch.ms();
    EXPECT_GE(waited, timeout_ms);
    EXPECT_LT(waited, timeout_ms + LateMs());
  }
}

CTS_CASE(Fifo, TimedOutOpenLeavesNothing) {
  const std::string path = fresh_path();
  require_ok(peer().call(Create(path)));
  for (uint64_t timeout_ms : {uint64_t{0}, uint64_t{1}, uint64_t{2}, uint64_t{5}, kTimeoutMs}) {
    EXPECT_THAT(peer().call(Open(path, "read").timeout_ms(timeout_ms).as("none")), StatusIs("timed_out"));
    EXPECT_THAT(peer().call(Open(path, "write").wait(false).as("none")), StatusIs("would_block"));
  }
  Stream reader = OpenNow(peer(), Open(path, "read").wait(false));
  Stream writer = OpenNow(peer(), Open(path, "write").timeout_ms(10000));
  EXPECT_THAT(writer.close(), IsOk());
}

CTS_CASE(Fifo, TimedOutOpenReleasesNobodyElse) {
  const std::string path = fresh_path(), &direction = shape("direction");
  require_ok(server().call(Create(path)));
  Opening patient(server(), Open(path, direction));
  patient.pending.expect_blocked();
  for (int i = 0; i < 3; i++) {
    EXPECT_THAT(client().call(Open(path, direction).timeout_ms(kTimeoutMs).as("none")), StatusIs("timed_out"));
    patient.pending.expect_blocked();
  }
  OpenNow(client(), Open(path, direction == "read" ? "write" : "read"));
  EXPECT_THAT(patient.pending.wait(), IsOk());
}

CTS_CASE(Fifo, OpenWithTimeoutMeetsTheOtherSide) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  Opening writer(WRITING, Open(path, "write").timeout_ms(10000));
  writer.pending.expect_blocked();
  Stream reader = OpenNow(READING, Open(path, "read"));
  require_ok(writer.opened().write("met"));
  EXPECT_THAT(reader.read_exact(3), Reads("met"));
}

CTS_CASE(Fifo, ReaderOpenWithTimeoutMeetsTheOtherSide) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  Opening reader(READING, Open(path, "read").timeout_ms(10000));
  reader.pending.expect_blocked();
  Stream writer = OpenNow(WRITING, Open(path, "write"));
  require_ok(writer.write("met"));
  EXPECT_THAT(reader.opened().read_exact(3), Reads("met"));
}

CTS_CASE(Fifo, OpenWithoutPatienceMeetsAWriter) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  Stream second = OpenNow(READING, Open(path, "read").timeout_ms(0));
  require_ok(ends.reader.close());
  require_ok(ends.writer.write("met"));
  EXPECT_THAT(second.read_exact(3), Reads("met"));
  Stream third = OpenNow(WRITING, Open(path, "write").timeout_ms(0));
  require_ok(third.write("too"));
  EXPECT_THAT(second.read_exact(3), Reads("too"));
}

CTS_CASE(Fifo, LinksOnTheWayAreFollowed) {
  const std::string home = fresh_path(), real = home + "/real", other = home + "/other";
  for (const std::string &directory : {home, real, real + "/deep", other}) host::MakeDirectory(directory);
  host::MakeLink(home + "/relative", "real");
  host::MakeLink(home + "/absolute", real);
  host::MakeLink(home + "/chain", "relative");
  host::MakeLink(home + "/slashed", "real//");
  host::MakeLink(other + "/up", "../real");
  host::MakeLink(other + "/deeper", "up/deep/..");
  const std::string fifo = real + "/deep/fifo";
  for (const std::string way : {"/real", "/relative", "/absolute", "/chain", "/slashed", "/other/up", "/other/deeper",
                                "//relative/", "/./other/../chain", "/relative/deep/.."}) {
    const std::string path = home + way + "/deep/fifo";
    EXPECT_THAT(server().call(Create(path)), IsOk()) << way;
    EXPECT_EQ(look::TypeOf(fifo), "fifo") << way;
    Stream reader = OpenNow(server(), Open(path, "read").wait(false));
    Stream writer = OpenNow(client(), Open(way == "/real" ? path : fifo, "write").wait(false));
    EXPECT_THAT(writer.write("met"), Accepts("met")) << way;
    EXPECT_THAT(reader.read_exact(3), Reads("met")) << way;
    require_ok(reader.close());
    require_ok(writer.close());
    EXPECT_THAT(server().call(op::fifo_remove().path(path)), IsOk()) << way;
    EXPECT_EQ(look::TypeOf(fifo), "none") << way;
  }
}

CTS_CASE(Fifo, LinkToAFifoIsFollowed) {
  const std::string link = fresh_path(), target = fresh_path(), chain = fresh_path();
  require_ok(server().call(Create(target)));
  host::MakeLink(link, target);
  host::MakeLink(chain, link);
  BothEnds ends = OpenBoth(client(), server(), chain);
  require_ok(ends.writer.write("through"));
  EXPECT_THAT(ends.reader.read_exact(7), Reads("through"));
}

CTS_CASE(Fifo, LinkOfAnotherUserIsDenied) {
  const bool last = shape("link") == "last";
  const std::string link = fresh_path(), target = fresh_path();
  if (last) {
    require_ok(peer().call(Create(target)));
  } else {
    host::MakeDirectory(target);
    require_ok(peer().call(Create(target + "/fifo")));
  }
  host::MakeLink(link, target);
  const std::string path = last ? link : link + "/fifo";
  Stream before = OpenNow(peer(), Open(path, "read").wait(false));
  EXPECT_THAT(before.close(), IsOk());
  host::GiveAway(link);
  EXPECT_THAT(peer().call(Open(path, "read").wait(false).as("none")), StatusIs("permission_denied"));
  EXPECT_THAT(peer().call(Open(path, "read").timeout_ms(0).as("none")), StatusIs("permission_denied"));
  EXPECT_EQ(look::TypeOf(last ? target : target + "/fifo"), "fifo");
}

// --------------------------------------------------------------------------------------------------- the end

CTS_CASE(Fifo, EndWhenTheLastWriterLeft) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  Stream second = OpenNow(shape("writer") == "server" ? server(2) : client(2), Open(path, "write"));
  require_ok(ends.writer.write("one "));
  require_ok(second.write("two"));
  require_ok(ends.writer.close());
  EXPECT_THAT(ends.reader.read_exact(7), Reads("one two"));
  Pending reading = ends.reader.start(ReadSome(16).watch());
  reading.expect_blocked();
  require_ok(second.close());
  EXPECT_THAT(reading.wait(), Ends(""));
  for (int i = 0; i < 3; i++) EXPECT_THAT(ends.reader.read(16), Ends(""));
}

CTS_CASE(Fifo, NewWriterRevivesTheReader) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  require_ok(ends.writer.write("first life"));
  require_ok(ends.writer.close());
  EXPECT_THAT(ends.reader.read_to_end(), Ends("first life"));
  for (const char *life : {"second life", "third life"}) {
    Stream writer = OpenNow(WRITING, Open(path, "write"));
    Pending reading = ends.reader.start(ReadSome(16).watch());
    reading.expect_blocked();
    require_ok(writer.write(life));
    EXPECT_THAT(reading.wait(), Reads(life));
    require_ok(writer.close());
    EXPECT_THAT(ends.reader.read(16), Ends(""));
  }
}

CTS_CASE(Fifo, WriteWithoutAReaderIsBrokenPipe) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  for (int round = 0; round < 2; round++) {
    BothEnds ends = OpenBoth(WRITING, READING, path);
    require_ok(ends.writer.write("unread"));
    require_ok(ends.reader.close());
    for (int i = 0; i < 3; i++) EXPECT_THAT(ends.writer.write("nobody reads"), StatusIs("broken_pipe"));
  }
}

CTS_CASE(Fifo, CloseEndsAWaitingRead) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  Pending reading = ends.reader.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(ends.reader.call(op::stream_close().in("c")));
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
}

// --------------------------------------------------------------------------------------- making and removing

CTS_CASE(Fifo, ModeIsExact) {
  const std::string path = fresh_path();
  const unsigned mode = static_cast<unsigned>(std::stoul(shape("mode"), nullptr, 8));
  require_ok(peer().call(op::fifo_create().path(path).mode(mode)));
  EXPECT_EQ(look::TypeOf(path), "fifo");
  EXPECT_EQ(look::ModeOf(path), mode);
}

CTS_CASE(Fifo, CreateLeavesWhatIsThere) {
  const std::string path = fresh_path(), &what = shape("what"), target = fresh_path();
  if (what == "fifo") host::MakeFifo(path, 0640);
  if (what == "file") host::MakeFile(path, "contents");
  if (what == "link") host::MakeLink(path, target);
  EXPECT_THAT(peer().call(Create(path)), StatusIs("already_exists"));
  EXPECT_EQ(look::TypeOf(path), what);
  EXPECT_EQ(look::TypeOf(target), "none");
  if (what == "fifo") {
    EXPECT_EQ(look::ModeOf(path), 0640u);
  } else if (what == "file") {
    EXPECT_EQ(look::ReadFile(path), "contents");
  }
}

CTS_CASE(Fifo, CreateNeedsItsDirectory) {
  EXPECT_THAT(peer().call(Create(fresh_path() + "/fifo")), StatusIs("not_found"));
}

CTS_CASE(Fifo, BadPathsAreInvalidNames) {
  const std::string directory_before = directory();
  const std::string with_nul = fresh_path() + std::string("\0tail", 5);
  const std::string overlong = directory_before + "/" + std::string(8192, 'x');
  const std::pair<std::string, std::string> paths[] = {
      {"", "invalid_name"}, {with_nul, "invalid_name"}, {overlong, "name_too_long"}};
  for (const auto &path : paths) {
    EXPECT_THAT(peer().call(Create(path.first)), StatusIs(path.second));
    EXPECT_THAT(peer().call(Open(path.first, "read").as("none")), StatusIs(path.second));
    EXPECT_THAT(peer().call(op::fifo_remove().path(path.first)), StatusIs(path.second));
  }
  EXPECT_TRUE(host::List(directory_before).empty());
}

CTS_CASE(Fifo, OpenRefusesWhatIsNoFifo) {
  const std::string path = fresh_path(), nothing = fresh_path(), &direction = shape("direction");
  host::MakeFile(path, "contents");
  EXPECT_THAT(peer().call(Open(path, direction).as("none")), StatusIs("refused"));
  EXPECT_EQ(look::ReadFile(path), "contents");
  EXPECT_THAT(peer().call(Open(nothing, direction).as("none")), StatusIs("not_found"));
  EXPECT_EQ(look::TypeOf(nothing), "none");
}

CTS_CASE(Fifo, RemoveTakesTheFile) {
  const std::string path = fresh_path();
  for (int round = 0; round < 2; round++) {
    require_ok(peer().call(Create(path)));
    EXPECT_THAT(peer().call(op::fifo_remove().path(path)), IsOk());
    EXPECT_EQ(look::TypeOf(path), "none");
    EXPECT_THAT(peer().call(op::fifo_remove().path(path)), StatusIs("not_found"));
  }
}

CTS_CASE(Fifo, RemoveLeavesWhatIsNoFifo) {
  const std::string path = fresh_path();
  host::MakeFile(path, "contents");
  EXPECT_THAT(peer().call(op::fifo_remove().path(path)), StatusIs("refused"));
  EXPECT_EQ(look::ReadFile(path), "contents");
}

CTS_CASE(Fifo, RemoveLeavesADirectory) {
  const std::string directory = fresh_path();
  host::MakeDirectory(directory);
  for (const std::string &path : {directory, directory + "/", directory + "//", directory + "/."}) {
    EXPECT_THAT(peer().call(op::fifo_remove().path(path)), StatusIs("refused")) << path;
    EXPECT_EQ(look::TypeOf(directory), "other") << path;
  }
}

CTS_CASE(Fifo, RemoveDoesNotFollowALink) {
  const std::string link = fresh_path(), target = fresh_path();
  require_ok(peer().call(Create(target)));
  host::MakeLink(link, target);
  EXPECT_THAT(peer().call(op::fifo_remove().path(link)), StatusIs("refused"));
  EXPECT_EQ(look::TypeOf(link), "link");
  EXPECT_EQ(look::TypeOf(target), "fifo");
}

CTS_CASE(Fifo, OpenEndsOutliveTheFile) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  require_ok(server().call(op::fifo_remove().path(path)));
  EXPECT_EQ(look::TypeOf(path), "none");
  require_ok(ends.writer.write("goes on"));
  EXPECT_THAT(ends.reader.read_exact(7), Reads("goes on"));
}

CTS_CASE(Fifo, StreamIsNotInherited) {
  const std::string path = fresh_path();
  require_ok(peer().call(Create(path)));
  Stream reader = OpenNow(peer(), Open(path, "read").wait(false));
  Reply reply = reader.call(op::stream_raw());
  require_ok(reply);
  EXPECT_EQ(reply.raw().kind, "fd");
  EXPECT_TRUE(look::IsCloseOnExec(peer().offer().pid, reply.raw().value));
}

CTS_CASE(Fifo, ChildHoldsNoEnd) {
  const std::string path = fresh_path();
  require_ok(server().call(Create(path)));
  BothEnds ends = OpenBoth(WRITING, READING, path);
  Peer &child = spawn(WRITING);
  require_ok(ends.writer.write("goodbye"));
  require_ok(ends.writer.close());
  EXPECT_THAT(ends.reader.read_to_end(), Ends("goodbye"));
  EXPECT_NE(Beginning(child.offer().pid), "") << "the child has ended: it proves nothing";
}

CTS_CASE(Fifo, OpenOfASocketFileFails) {
  const LocalName name = fresh_name("path");
  Listener listener = listen(server(), name);
  EXPECT_THAT(client().call(Open(name.name, shape("direction")).as("none")), Fails());
  connect(client(), listener);
  listener.accept();
}

}  // namespace cts
