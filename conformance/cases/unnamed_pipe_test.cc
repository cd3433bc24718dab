// Unnamed pipes: spec/unnamed_pipe.md.
#include <map>

#include "conformance/cases/common.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// More than any system lets an unprivileged process give a pipe by default.
constexpr uint64_t kFarBeyondTheCapacity = 4_MiB;
/// The least that PIPE_BUF may be: writes of at most this many bytes stay whole everywhere.
constexpr uint64_t kWhole = 512;

/// Writes pieces of `length` bytes until one would block; returns the bytes accepted. Each is whole or nothing, or the
/// case has a failure.
uint64_t FillWhole(const Pipe &pipe, uint64_t length) {
  const Data piece(std::string(length, 'p'));
  for (uint64_t accepted = 0; accepted < kFarBeyondTheCapacity; accepted += length) {
    const Reply reply = pipe.writer.call(WriteNow(piece));
    EXPECT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
    EXPECT_EQ(reply.length(), reply.ok() ? length : 0) << "a part of it was taken";
    if (!reply.ok() || reply.length() != length) return accepted;
  }
  ADD_FAILURE() << "the pipe never was full";
  return 0;
}

/// Whether the descriptor of that end is closed on exec.
bool IsCloseOnExec(const Stream &end) {
  const Reply reply = end.call(op::stream_raw());
  EXPECT_THAT(reply, IsOk());
  EXPECT_EQ(reply.raw().kind, "fd");
  return look::IsCloseOnExec(end.peer().offer().pid, reply.raw().value);
}

/// The end that `child` inherited from its parent: on Unix it has the same number.
Stream Inherited(Peer &child, const Stream &end) {
  const Reply raw = end.call(op::stream_raw());
  if (!raw.ok()) throw Abort{"failed", raw.role(), raw.describe()};
  const std::string handle = child.fresh_handle("i");
  const Reply reply = child.call(op::stream_adopt().raw(raw.raw()).as(handle));
  if (!reply.ok()) throw Abort{"failed", reply.role(), "descriptor " + raw.raw().value + ": " + reply.describe()};
  return Stream(&child, handle);
}

op::pipe_create InheritReader() { return op::pipe_create().inherit_reader(true); }
op::pipe_create InheritWriter() { return op::pipe_create().inherit_writer(true); }

/// Expects a read in chunks of `kWhole` bytes to hold `records` records of each of two writers, each writer's in order.
void ExpectRecordsInOrder(const Reply &reply, const Data sent[2], uint64_t records) {
  uint64_t next[2] = {0, 0};
  for (uint64_t crc : reply.numbers("chunks")) {
    const int from = next[0] < records && crc == sent[0].slice_crc32(next[0] * kWhole, kWhole) ? 0 : 1;
    ASSERT_EQ(crc, sent[from].slice_crc32(next[from] * kWhole, kWhole))
        << "behind " << next[0] << " and " << next[1] << " records comes one that nobody wrote";
    next[from]++;
  }
  EXPECT_EQ(next[0] + next[1], 2 * records);
}

}  // namespace

// ------------------------------------------------------------------------------------------------ moving bytes

CTS_CASE(UnnamedPipe, BytesArriveUnchanged) {
  Pipe pipe = MakePipe(peer());
  std::string every;
  for (int byte = 0; byte < 256; byte++) every += static_cast<char>(byte);
  EXPECT_THAT(pipe.writer.write(every), Accepts(every));
  EXPECT_THAT(pipe.reader.read_exact(256), Reads(every));
  const Data data = pattern(4_KiB);
  EXPECT_THAT(pipe.writer.write(data), Accepts(data));
  EXPECT_THAT(pipe.reader.read_exact(4_KiB), Reads(data));
}

CTS_CASE(UnnamedPipe, EachEndHasOneDirection) {
  Pipe pipe = MakePipe(peer());
  Reply refused = pipe.reader.write("wrong way");
  EXPECT_THAT(refused, StatusIs("unsupported"));
  EXPECT_EQ(refused.length(), 0u);
  EXPECT_THAT(pipe.reader.call(op::stream_flush()), StatusIs("unsupported"));
  EXPECT_THAT(pipe.writer.read(16), Reads("", "unsupported"));
  EXPECT_THAT(pipe.writer.call(op::stream_flush()), IsOk());
  require_ok(pipe.writer.write("right way"));
  EXPECT_THAT(pipe.reader.read(64), Reads("right way"));
}

CTS_CASE(UnnamedPipe, WritesHaveNoBoundaries) {
  Pipe pipe = MakePipe(peer());
  require_ok(pipe.writer.write("ab"));
  require_ok(pipe.writer.write("cd"));
  EXPECT_THAT(pipe.reader.read_exact(4), Reads("abcd"));
  require_ok(pipe.writer.write("efgh"));
  for (const char *piece : {"e", "f", "g", "h"}) EXPECT_THAT(pipe.reader.read(1), Reads(piece));
}

CTS_CASE(UnnamedPipe, EmptyWriteIsNothing) {
  Pipe pipe = MakePipe(peer());
  EXPECT_THAT(pipe.writer.write(""), Accepts(""));
  require_ok(pipe.writer.write("x"));
  EXPECT_THAT(pipe.reader.read(10), Reads("x"));
  EXPECT_THAT(pipe.writer.write(""), Accepts(""));
  require_ok(pipe.writer.close());
  EXPECT_THAT(pipe.reader.read(10), Ends(""));
}

CTS_CASE(UnnamedPipe, VectoredBuffersKeepOrder) {
  Pipe pipe = MakePipe(peer());
  Data data = pattern(2055);
  EXPECT_THAT(pipe.writer.call(op::stream_write_vectored().data(data).lengths({3, 0, 1, 2048, 0, 3})), Accepts(data));
  EXPECT_THAT(pipe.reader.call(op::stream_read_vectored().lengths({0, 2000, 1, 0, 4})), Reads(data.prefix(2005)));
  EXPECT_THAT(pipe.reader.call(op::stream_read_vectored().lengths({50, 50})), Reads(Data(data.slice(2005, 50))));
}

CTS_CASE(UnnamedPipe, ReadWaitsForData) {
  Pipe pipe = MakePipe(peer());
  Pending reading = pipe.reader.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(pipe.writer.write("now"));
  EXPECT_THAT(reading.wait(), Reads("now"));
}

CTS_CASE(UnnamedPipe, FullPipeWaits) {
  Pipe pipe = MakePipe(peer());
  Data data = pattern(kFarBeyondTheCapacity);
  Pending writing = pipe.writer.start(op::stream_write().data(data).in("w").watch());
  writing.expect_blocked();
  EXPECT_THAT(pipe.reader.read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(UnnamedPipe, TransferFarBeyondTheCapacity) {
  constexpr uint64_t chunk = 64_KiB;
  Pipe pipe = MakePipe(peer());
  Data data = pattern(kFarBeyondTheCapacity);
  Pending writing = pipe.writer.start(op::stream_write().data(data).in("w"));
  Reply reply = pipe.reader.call(ReadExact(data.length()).buffer(1500).chunk(chunk));
  EXPECT_THAT(reply, Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
  std::vector<uint64_t> chunks = reply.numbers("chunks");
  ASSERT_EQ(chunks.size(), data.length() / chunk);
  for (size_t i = 0; i < chunks.size(); i++) ASSERT_EQ(chunks[i], data.slice_crc32(i * chunk, chunk)) << "chunk " << i;
  require_ok(pipe.writer.write("little"));
  EXPECT_THAT(pipe.reader.call(ReadSome(1_MiB).buffer(1_MiB)), Reads("little"));
}

CTS_CASE(UnnamedPipe, SmallWritesAreNotMixed) {
  constexpr uint64_t records = 512;
  Pipe pipe = MakePipe(peer());
  const Data sent[2] = {pattern(records * kWhole), pattern(records * kWhole)};
  Pending writing[2];
  // Both fill the pipe before anything is read: then each waits while the other does.
  for (int i = 0; i < 2; i++) {
    writing[i] = pipe.writer.start(
        op::stream_write().data(sent[i]).buffer(static_cast<uint32_t>(kWhole)).in("w" + std::to_string(i)).watch());
  }
  for (const Pending &each : writing) each.expect_blocked();
  Reply reply = pipe.reader.call(ReadExact(2 * records * kWhole).chunk(static_cast<uint32_t>(kWhole)));
  ASSERT_THAT(reply, IsOk());
  for (int i = 0; i < 2; i++) EXPECT_THAT(writing[i].wait(), Accepts(sent[i]));
  ExpectRecordsInOrder(reply, sent, records);
}

// --------------------------------------------------------------------------------------------------- the end

CTS_CASE(UnnamedPipe, EndComesAfterTheData) {
  Pipe pipe = MakePipe(peer());
  Data data = pattern(4_KiB);
  require_ok(pipe.writer.write(data));
  require_ok(pipe.writer.close());
  EXPECT_THAT(pipe.reader.read_exact(1), Reads(data.prefix(1)));
  EXPECT_THAT(pipe.reader.read_to_end(), Ends(Data(data.slice(1, 4095))));
  for (int i = 0; i < 3; i++) EXPECT_THAT(pipe.reader.read(16), Ends(""));
}

CTS_CASE(UnnamedPipe, WaitingReadEndsWhenTheWriterCloses) {
  Pipe pipe = MakePipe(peer());
  Pending reading = pipe.reader.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(pipe.writer.close());
  EXPECT_THAT(reading.wait(), Ends(""));
}

CTS_CASE(UnnamedPipe, WriteWithoutAReaderIsBrokenPipe) {
  for (int round = 0; round < 2; round++) {
    Pipe pipe = MakePipe(peer());
    require_ok(pipe.writer.write("read"));
    EXPECT_THAT(pipe.reader.read_exact(4), Reads("read"));
    require_ok(pipe.writer.write("unread"));
    require_ok(pipe.reader.close());
    for (int i = 0; i < 3; i++) {
      Reply reply = pipe.writer.write("nobody reads");
      EXPECT_THAT(reply, StatusIs("broken_pipe"));
      EXPECT_EQ(reply.length(), 0u);
    }
  }
}

CTS_CASE(UnnamedPipe, WaitingWriteEndsWhenTheReaderCloses) {
  Pipe pipe = MakePipe(peer());
  Pending writing = pipe.writer.start(op::stream_write().data(pattern(kFarBeyondTheCapacity)).in("w").watch());
  writing.expect_blocked();
  require_ok(pipe.reader.close());
  Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("broken_pipe"));
  EXPECT_GT(reply.length(), 0u);
  EXPECT_LT(reply.length(), kFarBeyondTheCapacity);
}

CTS_CASE(UnnamedPipe, CloseEndsAWaitingRead) {
  Pipe pipe = MakePipe(peer());
  Pending reading = pipe.reader.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(pipe.reader.call(op::stream_close().in("c")));
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  EXPECT_THAT(pipe.writer.write("nobody reads"), StatusIs("broken_pipe"));
}

CTS_CASE(UnnamedPipe, CloseEndsAWaitingWrite) {
  Pipe pipe = MakePipe(peer());
  Data data = pattern(kFarBeyondTheCapacity);
  Pending writing = pipe.writer.start(op::stream_write().data(data).in("w").watch());
  writing.expect_blocked();
  require_ok(pipe.writer.call(op::stream_close().in("c")));
  Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("cancelled"));
  EXPECT_THAT(pipe.reader.read_to_end(), Ends(data.prefix(reply.length())));
}

// --------------------------------------------------------------------------------------------------- not waiting

CTS_CASE(UnnamedPipe, ReadWithoutWaitingWouldBlock) {
  Pipe pipe = MakePipe(peer());
  EXPECT_THAT(pipe.reader.call(ReadSome(16).wait(false)), Reads("", "would_block"));
  require_ok(pipe.writer.write("there"));
  EXPECT_THAT(pipe.reader.call(ReadSome(16).wait(false)), Reads("there"));
  EXPECT_THAT(pipe.reader.call(ReadSome(16).wait(false)), Reads("", "would_block"));
  require_ok(pipe.writer.close());
  EXPECT_THAT(pipe.reader.call(ReadSome(16).wait(false)), Ends(""));
}

CTS_CASE(UnnamedPipe, FullPipeWouldBlock) {
  Pipe pipe = MakePipe(peer());
  const uint64_t accepted = FillWhole(pipe, 256);
  if (HasFailure()) return;
  ASSERT_GT(accepted, 0u);
  EXPECT_THAT(pipe.reader.read_exact(accepted), Reads(Data(std::string(accepted, 'p'))));
  require_ok(pipe.writer.call(WriteNow("room")));
  EXPECT_THAT(pipe.reader.read(16), Reads("room"));
}

CTS_CASE(UnnamedPipe, SmallWriteIsWholeOrNothing) {
  Pipe pipe = MakePipe(peer());
  // 100 bytes ahead of pieces of 512: at the end there is room for a part of one.
  require_ok(pipe.writer.write(std::string(100, 'p')));
  uint64_t accepted = 100 + FillWhole(pipe, kWhole);
  accepted += FillWhole(pipe, 1);
  if (HasFailure()) return;
  EXPECT_THAT(pipe.reader.read_exact(accepted), Reads(Data(std::string(accepted, 'p'))));
  EXPECT_THAT(pipe.reader.call(ReadSome(16).wait(false)), Reads("", "would_block"));
}

CTS_CASE(UnnamedPipe, LargeWriteTakesAPart) {
  Pipe pipe = MakePipe(peer());
  Data data = pattern(kFarBeyondTheCapacity);
  Reply reply = pipe.writer.call(WriteNow(data));
  ASSERT_THAT(reply, IsOk());
  ASSERT_GT(reply.length(), 0u);
  ASSERT_LT(reply.length(), data.length());
  EXPECT_THAT(pipe.reader.read_exact(reply.length()), Reads(data.prefix(reply.length())));
  EXPECT_THAT(pipe.reader.call(ReadSome(16).wait(false)), Reads("", "would_block"));
}

CTS_CASE(UnnamedPipe, NonblockingIsOfOneEnd) {
  Pipe pipe = MakePipe(peer());
  require_ok(pipe.reader.call(op::stream_set_nonblocking().nonblocking(true)));
  EXPECT_THAT(pipe.reader.read(16), Reads("", "would_block"));
  Data data = pattern(kFarBeyondTheCapacity);
  Pending writing = pipe.writer.start(op::stream_write().data(data).in("w").watch());
  writing.expect_blocked();
  require_ok(pipe.reader.call(op::stream_set_nonblocking().nonblocking(false)));
  EXPECT_THAT(pipe.reader.read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(UnnamedPipe, ReadTimesOut) {
  Pipe pipe = MakePipe(peer());
  const Stopwatch watch;
  EXPECT_THAT(pipe.reader.call(ReadSome(16).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
  EXPECT_GE(watch.ms(), kTimeoutMs);
  EXPECT_LT(watch.ms(), kTimeoutMs + LateMs());
  require_ok(pipe.writer.write("later"));
  EXPECT_THAT(pipe.reader.call(ReadSome(16).timeout_ms(10000)), Reads("later"));
}

CTS_CASE(UnnamedPipe, WriteTimesOut) {
  Pipe pipe = MakePipe(peer());
  Data data = pattern(kFarBeyondTheCapacity);
  const Stopwatch watch;
  Reply reply = pipe.writer.call(op::stream_write().data(data).timeout_ms(kTimeoutMs));
  EXPECT_GE(watch.ms(), kTimeoutMs);
  EXPECT_LT(watch.ms(), kTimeoutMs + LateMs());
  ASSERT_THAT(reply, StatusIs("timed_out"));
  require_ok(pipe.writer.close());
  EXPECT_THAT(pipe.reader.read_to_end(), Ends(data.prefix(reply.length())));
}

// --------------------------------------------------------------------------------------------- the ends as handles

CTS_CASE(UnnamedPipe, CapacityHintHolds) {
  Pipe pipe = MakePipe(peer(), op::pipe_create().capacity(256_KiB));
  Data data = pattern(256_KiB);
  ASSERT_THAT(pipe.writer.call(WriteNow(data)), Accepts(data));
  EXPECT_THAT(pipe.reader.read_exact(data.length()), Reads(data));
}

CTS_CASE(UnnamedPipe, CapacityIsOnlyAHint) {
  for (uint64_t capacity : {uint64_t{1}, uint64_t{1} << 50}) {
    Pipe pipe = MakePipe(peer(), op::pipe_create().capacity(capacity));
    require_ok(pipe.writer.write("through"));
    EXPECT_THAT(pipe.reader.read_exact(7), Reads("through"));
  }
}

CTS_CASE(UnnamedPipe, NotInheritedByDefault) {
  Pipe pipe = MakePipe(peer());
  EXPECT_TRUE(IsCloseOnExec(pipe.reader));
  EXPECT_TRUE(IsCloseOnExec(pipe.writer));
}

CTS_CASE(UnnamedPipe, InheritableWhenAskedFor) {
  const bool reader = shape("end") == "reader";
  Pipe pipe =
      MakePipe(peer(), reader ? op::pipe_create().inherit_reader(true) : op::pipe_create().inherit_writer(true));
  EXPECT_EQ(IsCloseOnExec(pipe.reader), !reader);
  EXPECT_EQ(IsCloseOnExec(pipe.writer), reader);
}

CTS_CASE(UnnamedPipe, ReleasedEndsCanBeAdopted) {
  Pipe pipe = MakePipe(peer());
  require_ok(pipe.writer.write("before "));
  Reply writer = pipe.writer.call(op::stream_release()), reader = pipe.reader.call(op::stream_release());
  require_ok(writer);
  require_ok(reader);
  require_ok(peer().call(op::stream_adopt().raw(writer.raw()).as("writer")));
  require_ok(peer().call(op::stream_adopt().raw(reader.raw()).as("reader")));
  Stream adopted_writer(&peer(), "writer"), adopted_reader(&peer(), "reader");
  require_ok(adopted_writer.write("after"));
  EXPECT_THAT(adopted_writer.read(16), StatusIs("unsupported"));
  EXPECT_THAT(adopted_reader.read_exact(12), Reads("before after"));
  require_ok(adopted_writer.close());
  EXPECT_THAT(adopted_reader.read(16), Ends("")) << "something still holds the writing end";
}

CTS_CASE(UnnamedPipe, PipesAreNotConnections) {
  Pipe pipe = MakePipe(peer());
  for (const Stream &end : {pipe.reader, pipe.writer}) {
    EXPECT_THAT(end.call(op::stream_split().read_as("a").write_as("b")), StatusIs("unsupported"));
    EXPECT_THAT(end.call(op::stream_peer_credentials()), StatusIs("unsupported"));
  }
  require_ok(pipe.writer.write("works"));
  EXPECT_THAT(pipe.reader.read(16), Reads("works"));
}

// ------------------------------------------------------------------------------------------------- inheritance

CTS_CASE(UnnamedPipe, ParentReadsWhatItsChildWrites) {
  Pipe pipe = MakePipe(peer(), InheritWriter());
  Stream writer = Inherited(spawn(peer()), pipe.writer);
  require_ok(pipe.writer.close());
  EXPECT_THAT(writer.write("from the child"), Accepts("from the child"));
  EXPECT_THAT(pipe.reader.read(64), Reads("from the child"));
  Data data = pattern(kFarBeyondTheCapacity);
  Pending writing = writer.start(op::stream_write().data(data));
  EXPECT_THAT(pipe.reader.read_exact(data.length()), Reads(data));
  EXPECT_THAT(writing.wait(), Accepts(data));
  require_ok(writer.close());
  EXPECT_THAT(pipe.reader.read(16), Ends(""));
}

CTS_CASE(UnnamedPipe, ChildReadsWhatItsParentWrites) {
  Pipe pipe = MakePipe(peer(), InheritReader());
  Stream reader = Inherited(spawn(peer()), pipe.reader);
  require_ok(pipe.reader.close());
  EXPECT_THAT(pipe.writer.write("from the parent"), Accepts("from the parent"));
  EXPECT_THAT(reader.read(64), Reads("from the parent"));
  Data data = pattern(kFarBeyondTheCapacity);
  Pending reading = reader.start(ReadExact(data.length()));
  EXPECT_THAT(pipe.writer.write(data), Accepts(data));
  EXPECT_THAT(reading.wait(), Reads(data));
  require_ok(pipe.writer.close());
  EXPECT_THAT(reader.read(16), Ends(""));
}

CTS_CASE(UnnamedPipe, BytesBeforeTheChildReachIt) {
  Pipe pipe = MakePipe(peer(), InheritReader());
  Data data = pattern(4_KiB);
  require_ok(pipe.writer.write(data));
  require_ok(pipe.writer.close());
  Stream reader = Inherited(spawn(peer()), pipe.reader);
  EXPECT_THAT(reader.read_to_end(), Ends(data));
}

CTS_CASE(UnnamedPipe, EndsThatWereNotAskedForStayBehind) {
  const bool reader = shape("end") == "reader", writer = shape("end") == "writer";
  Pipe pipe = MakePipe(peer(), reader ? InheritReader() : writer ? InheritWriter() : op::pipe_create());
  Peer &child = spawn(peer());
  const int64_t parent_pid = peer().offer().pid, child_pid = child.offer().pid;
  auto check = [&](const Stream &end, bool asked_for) {
    const Reply reply = end.call(op::stream_raw());
    require_ok(reply);
    const std::string what = look::DescriptorOf(parent_pid, reply.raw().value);
    ASSERT_NE(what, "") << "the parent's own descriptor cannot be seen";
    const std::vector<std::string> once = {reply.raw().value}, never;
    EXPECT_EQ(look::DescriptorsOf(child_pid, what), asked_for ? once : never) << what;
  };
  check(pipe.reader, reader);
  check(pipe.writer, writer);
  int closed = 700;
  while (host::DescriptorOf(child_pid, std::to_string(closed)) != "") closed++;
  EXPECT_THAT(child.call(op::stream_adopt().raw(Raw{"fd", std::to_string(closed)}).as("nothing")), Fails());
}

CTS_CASE(UnnamedPipe, EndWaitsForTheChildsWriter) {
  Pipe pipe = MakePipe(peer(), InheritWriter());
  Stream writer = Inherited(spawn(peer()), pipe.writer);
  Pending reading = pipe.reader.start(ReadSome(16).in("r").watch());
  require_ok(pipe.writer.close());
  reading.expect_blocked();
  require_ok(writer.write("still here"));
  EXPECT_THAT(reading.wait(), Reads("still here"));
  reading = pipe.reader.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(writer.close());
  EXPECT_THAT(reading.wait(), Ends(""));
}

CTS_CASE(UnnamedPipe, EndComesWhenTheWritingChildEnds) {
  Pipe pipe = MakePipe(peer(), InheritWriter());
  Peer &child = spawn(peer());
  Stream writer = Inherited(child, pipe.writer);
  require_ok(pipe.writer.close());
  require_ok(writer.write("last words"));
  EXPECT_THAT(pipe.reader.read(64), Reads("last words"));
  Pending reading = pipe.reader.start(ReadSome(16).in("r").watch());
  reading.expect_blocked();
  require_ok(peer().call(op::process_close().on(child.process_handle()).in("c")));
  EXPECT_THAT(reading.wait(), Ends(""));
}

CTS_CASE(UnnamedPipe, ReaderGetsTheBytesOfTwoWritingProcesses) {
  constexpr uint64_t records = 512;
  Pipe pipe = MakePipe(peer(), InheritWriter());
  const Data sent[2] = {pattern(records * kWhole), pattern(records * kWhole)};
  Stream writer[2];
  Pending writing[2];
  for (Stream &each : writer) each = Inherited(spawn(peer()), pipe.writer);
  require_ok(pipe.writer.close());
  // Both fill the pipe before anything is read: then each waits while the other does.
  for (int i = 0; i < 2; i++)
    writing[i] = writer[i].start(op::stream_write().data(sent[i]).buffer(static_cast<uint32_t>(kWhole)).watch());
  for (const Pending &each : writing) each.expect_blocked();
  Reply reply = pipe.reader.call(ReadExact(2 * records * kWhole).chunk(static_cast<uint32_t>(kWhole)));
  ASSERT_THAT(reply, IsOk());
  for (int i = 0; i < 2; i++) EXPECT_THAT(writing[i].wait(), Accepts(sent[i]));
  ExpectRecordsInOrder(reply, sent, records);
  require_ok(writer[0].close());
  require_ok(writer[1].close());
  EXPECT_THAT(pipe.reader.read(16), Ends(""));
}

CTS_CASE(UnnamedPipe, ReadersInTwoProcessesShareTheBytes) {
  constexpr uint64_t records = 256;
  constexpr uint32_t whole = static_cast<uint32_t>(kWhole);
  Pipe pipe = MakePipe(peer(), InheritReader());
  const Data first = pattern(2 * kWhole), rest = pattern(records * kWhole);
  Stream reader[2];
  for (Stream &each : reader) each = Inherited(spawn(peer()), pipe.reader);
  require_ok(pipe.reader.close());
  // Each has read, by itself, before both read at once: that one of them can, and takes no more than it asked for.
  require_ok(pipe.writer.write(first));
  for (int i = 0; i < 2; i++) EXPECT_THAT(reader[i].read_exact(kWhole), Reads(Data(first.slice(i * kWhole, kWhole))));
  Pending reading[2];
  for (int i = 0; i < 2; i++)
    reading[i] = reader[i].start(op::stream_read().until("end").buffer(whole).chunk(whole).watch());
  for (const Pending &each : reading) each.expect_blocked();
  EXPECT_THAT(pipe.writer.call(op::stream_write().data(rest).buffer(whole)), Accepts(rest));
  require_ok(pipe.writer.close());
  std::map<uint64_t, uint64_t> unread;  // digest of a record -> its number
  for (uint64_t i = 0; i < records; i++) unread[rest.slice_crc32(i * kWhole, kWhole)] = i;
  ASSERT_EQ(unread.size(), records) << "two records of the pattern have one digest";
  for (const Pending &each : reading) {
    const Reply reply = each.wait();
    EXPECT_THAT(reply, StatusIs("end"));
    int64_t before = -1;
    for (uint64_t crc : reply.numbers("chunks")) {
      auto record = unread.find(crc);
      ASSERT_NE(record, unread.end()) << "a record that nobody wrote, or that was read before";
      EXPECT_GT(static_cast<int64_t>(record->second), before) << "records in another order";
      before = static_cast<int64_t>(record->second);
      unread.erase(record);
    }
  }
  EXPECT_EQ(unread.size(), 0u) << "records that nobody read";
}

CTS_CASE(UnnamedPipe, KilledWriterLeavesWholeRecords) {
  Pipe pipe = MakePipe(peer(), InheritWriter());
  Peer &child = spawn(peer());
  Stream writer = Inherited(child, pipe.writer);
  require_ok(pipe.writer.close());
  Data data = pattern(kFarBeyondTheCapacity);
  writer.start(op::stream_write().data(data).buffer(static_cast<uint32_t>(kWhole)).watch()).expect_blocked();
  require_ok(peer().call(op::process_close().on(child.process_handle())));
  Reply reply = pipe.reader.read_to_end();
  EXPECT_THAT(reply, Ends(data.prefix(reply.length())));
  EXPECT_GT(reply.length(), 0u);
  EXPECT_EQ(reply.length() % kWhole, 0u) << "a record was torn";
}

CTS_CASE(UnnamedPipe, WriteIsBrokenPipeOnceTheReadingChildEnds) {
  Pipe pipe = MakePipe(peer(), InheritReader());
  Peer &child = spawn(peer());
  Stream reader = Inherited(child, pipe.reader);
  require_ok(pipe.reader.close());
  EXPECT_THAT(pipe.writer.write("somebody reads"), Accepts("somebody reads"));
  EXPECT_THAT(reader.read(64), Reads("somebody reads"));
  require_ok(peer().call(op::process_close().on(child.process_handle())));
  for (int i = 0; i < 3; i++) {
    Reply reply = pipe.writer.write("nobody reads");
    EXPECT_THAT(reply, StatusIs("broken_pipe"));
    EXPECT_EQ(reply.length(), 0u);
  }
}

CTS_CASE(UnnamedPipe, WaitingWriteEndsWhenTheReadingChildEnds) {
  Pipe pipe = MakePipe(peer(), InheritReader());
  Peer &child = spawn(peer());
  Inherited(child, pipe.reader);
  require_ok(pipe.reader.close());
  Pending writing = pipe.writer.start(op::stream_write().data(pattern(kFarBeyondTheCapacity)).in("w").watch());
  writing.expect_blocked();
  require_ok(peer().call(op::process_close().on(child.process_handle()).in("c")));
  Reply reply = writing.wait();
  EXPECT_THAT(reply, StatusIs("broken_pipe"));
  EXPECT_GT(reply.length(), 0u);
  EXPECT_LT(reply.length(), kFarBeyondTheCapacity);
}

CTS_CASE(UnnamedPipe, CapacityIsSharedWithTheChild) {
  Pipe pipe = MakePipe(peer(), InheritWriter());
  Pipe theirs{pipe.reader, Inherited(spawn(peer()), pipe.writer)};
  const Data piece(std::string(kWhole, 'p'));
  const uint64_t accepted = FillWhole(theirs, kWhole);
  if (HasFailure()) return;
  ASSERT_GE(accepted, 4 * kWhole);
  Reply full = pipe.writer.call(WriteNow(piece));
  EXPECT_THAT(full, StatusIs("would_block"));
  EXPECT_EQ(full.length(), 0u);
  EXPECT_THAT(pipe.reader.read_exact(accepted), Reads(Data(std::string(accepted, 'p'))));
  EXPECT_THAT(pipe.writer.call(WriteNow(piece)), Accepts(piece));
  EXPECT_THAT(theirs.writer.call(WriteNow(piece)), Accepts(piece));
}

CTS_CASE(UnnamedPipe, NonblockingStaysWithTheProcess) {
  Pipe pipe = MakePipe(peer(), InheritReader());
  Stream theirs = Inherited(spawn(peer()), pipe.reader);
  Pending reading = theirs.start(ReadSome(16).watch());
  reading.expect_blocked();
  const std::string descriptor = pipe.reader.call(op::stream_raw()).raw().value;
  const std::string before = look::DescriptorOf(theirs.peer().offer().pid, descriptor);
  require_ok(pipe.reader.call(op::stream_set_nonblocking().nonblocking(true)));
  EXPECT_EQ(look::DescriptorOf(theirs.peer().offer().pid, descriptor), before) << "the child's descriptor was changed";
  EXPECT_THAT(pipe.reader.read(16), Reads("", "would_block"));
  for (const char *text : {"first", "second"}) {
    reading.expect_blocked();
    require_ok(pipe.writer.write(text));
    EXPECT_THAT(reading.wait(), Reads(text));
    reading = theirs.start(ReadSome(16).watch());
  }
  require_ok(pipe.writer.write("last"));
  EXPECT_THAT(reading.wait(), Reads("last"));
}

CTS_CASE(UnnamedPipe, ChildsCloseLeavesTheParentsEnd) {
  const bool reader = shape("end") == "reader";
  Pipe pipe = MakePipe(peer(), reader ? InheritReader() : InheritWriter());
  Peer &child = spawn(peer());
  auto works = [&](const char *when) {
    EXPECT_THAT(pipe.writer.write("works"), Accepts("works")) << when;
    EXPECT_THAT(pipe.reader.read(16), Reads("works")) << when;
  };
  require_ok(Inherited(child, reader ? pipe.reader : pipe.writer).close());
  works("after the child's close");
  ASSERT_NE(child.End(), nullptr) << "the child goes on";
  works("after the child's end");
}

CTS_CASE(UnnamedPipe, AnswerComesBackThroughASecondPipe) {
  Pipe request = MakePipe(peer(), InheritReader()), answer = MakePipe(peer(), InheritWriter());
  Peer &child = spawn(peer());
  Stream asked = Inherited(child, request.reader), answering = Inherited(child, answer.writer);
  require_ok(request.reader.close());
  require_ok(answer.writer.close());
  require_ok(request.writer.write("how are you?"));
  require_ok(request.writer.close());
  EXPECT_THAT(asked.read_to_end(), Ends("how are you?"));
  require_ok(answering.write("well"));
  ASSERT_NE(child.End(), nullptr) << "the child goes on";
  EXPECT_THAT(answer.reader.read_to_end(), Ends("well"));
  EXPECT_EQ(require_ok(peer().call(op::process_wait().on(child.process_handle()))).number("code"), 0u);
}

}  // namespace cts
