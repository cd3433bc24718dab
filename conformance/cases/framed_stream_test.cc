// Streams of frames: spec/framed_stream.md.
#include "conformance/cases/common.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// More than any system takes of a stream without a reader.
constexpr uint64_t kFarBeyondTheCapacity = 4_MiB;
constexpr uint64_t kRoom = 8_MiB;

const std::vector<std::string> kCodecs = {"u32", "length", "varint", "netstring", "content_length", "escape"};

/// A framed stream that a peer holds.
struct Framed {
  Peer *peer;
  std::string handle;

  template <typename T>
  Reply call(T request) const {
    return peer->call(request.on(handle));
  }
  template <typename T>
  Pending start(T request) const {
    return peer->start(request.on(handle));
  }
  Reply read(uint64_t max = kRoom) const { return call(op::framed_read().max(max)); }
  Reply read_now(uint64_t max = kRoom) const { return call(op::framed_read().max(max).wait(false)); }
  Reply write(const std::vector<std::string> &bodies) const;
  Reply write_one(const Data &body) const;
};

op::framed_write WriteOne(const Data &body) {
  return op::framed_write().data(body).lengths({static_cast<uint32_t>(body.length())});
}
op::framed_write Write(const std::vector<std::string> &bodies) {
  std::string joined;
  std::vector<uint32_t> lengths;
  for (const std::string &body : bodies) {
    joined += body;
    lengths.push_back(static_cast<uint32_t>(body.size()));
  }
  return op::framed_write().data(joined).lengths(lengths);
}
Reply Framed::write(const std::vector<std::string> &bodies) const { return call(Write(bodies)); }
Reply Framed::write_one(const Data &body) const { return call(WriteOne(body)); }

op::framed_open Codec(const std::string &codec) {
  op::framed_open request;
  request.codec(codec);
  if (codec == "length") request.width(3).order("little").adjustment(-1);
  return request;
}

/// Opens, or ends the case.
Framed Open(const Stream &stream, op::framed_open request) {
  Framed framed{&stream.peer(), stream.peer().fresh_handle("f")};
  const Reply reply = stream.call(request.as(framed.handle));
  if (!reply.ok()) throw Abort{"failed", reply.role(), reply.describe()};
  return framed;
}
Framed Open(const Stream &stream) { return Open(stream, Codec("u32").max(kRoom)); }

std::string Number(uint64_t value, int width) {
  std::string bytes;
  for (int i = width - 1; i >= 0; i--) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}
std::string U32(const std::string &body) { return Number(body.size(), 4) + body; }

/// The frame around a body of less than 128 bytes.
std::string FrameOf(const std::string &codec, const std::string &body) {
  const std::string length = std::to_string(body.size());
  if (codec == "length") return std::string(1, static_cast<char>(body.size() + 1)) + std::string(2, '\0') + body;
  if (codec == "varint") return Number(body.size(), 1) + body;
  if (codec == "netstring") return length + ":" + body + ",";
  if (codec == "content_length") return "Content-Length: " + length + "\r\n\r\n" + body;
  return U32(body);
}

/// A write that took this many frames.
void ExpectTaken(const Reply &reply, uint64_t frames, const std::string &status = "ok") {
  EXPECT_THAT(reply, StatusIs(status));
  EXPECT_EQ(reply.number("frames"), frames);
}

}  // namespace

// ----------------------------------------------------------------------------------------- frames through a stream

CTS_CASE(FramedStream, FramesOfEveryCodecArrive) {
  Listener listener = listen(server(), fresh_name());
  for (const std::string &codec : kCodecs) {
    Pair pair = connected_pair(listener, client());
    pair.server_writes = shape("writer") == "server";
    Framed writer = Open(pair.writer(), Codec(codec)), reader = Open(pair.reader(), Codec(codec));
    for (uint64_t length : {0u, 1u, 5u, 300u, 70000u, 1u}) {
      const Data body = pattern(length);
      const Pending writing = writer.start(WriteOne(body));  // it may be more than the system takes by itself
      EXPECT_THAT(reader.read(), Reads(body)) << codec;
      ExpectTaken(writing.wait(), 1);
    }
  }
}

CTS_CASE(FramedStream, WritesTheFramesOfTheCodec) {
  Listener listener = listen(server(), fresh_name());
  for (const std::string &codec : kCodecs) {
    Pair pair = connected_pair(listener, client());
    pair.server_writes = shape("writer") == "server";
    Framed writer = Open(pair.writer(), Codec(codec));
    const std::string stream = FrameOf(codec, "hello") + FrameOf(codec, "") + FrameOf(codec, std::string(100, 'x'));
    ExpectTaken(writer.write({"hello", "", std::string(100, 'x')}), 3);
    EXPECT_THAT(pair.reader().read_exact(stream.size()), Reads(stream)) << codec;
    ExpectTaken(writer.write_one("next"), 1);
    EXPECT_THAT(pair.reader().read_exact(FrameOf(codec, "next").size()), Reads(FrameOf(codec, "next"))) << codec;
  }
}

CTS_CASE(FramedStream, ReadsHandMadeFrames) {
  Listener listener = listen(server(), fresh_name());
  for (const std::string &codec : kCodecs) {
    Pair pair = connected_pair(listener, client());
    pair.server_writes = shape("writer") == "server";
    Framed reader = Open(pair.reader(), Codec(codec));
    for (const char *body : {"hello", "", "more"}) {
      const std::string frame = FrameOf(codec, body);
      for (size_t i = 0; i < frame.size(); i++) {
        EXPECT_THAT(reader.read_now(), Reads("", "would_block")) << codec << " behind " << i << " bytes";
        require_ok(pair.writer().call(op::stream_write().data(frame.substr(i, 1)).wait(false)));
      }
      EXPECT_THAT(reader.read_now(), Reads(body)) << codec;
    }
  }
}

CTS_CASE(FramedStream, ManyFramesInOneWrite) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  std::vector<uint32_t> lengths;
  uint64_t sum = 0;
  for (uint32_t i = 0; i < 64; i++) {
    lengths.push_back(i % 5 == 0 ? 0 : i % 3 == 0 ? 1000 + i : i);
    sum += lengths.back();
  }
  const Data bodies = pattern(sum);
  ExpectTaken(writer.call(op::framed_write().data(bodies).lengths(lengths)), 64);
  uint64_t at = 0;
  for (uint32_t length : lengths) {
    ASSERT_THAT(reader.read(), Reads(Data(bodies.slice(at, length))));
    at += length;
  }
}

CTS_CASE(FramedStream, EmptyFrameIsNoEnd) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  ExpectTaken(writer.write({"", "", "x", ""}), 4);
  require_ok(writer.call(op::framed_close()));
  for (const char *body : {"", "", "x", ""}) EXPECT_THAT(reader.read(), Reads(body));
  EXPECT_THAT(reader.read(), Ends(""));
}

CTS_CASE(FramedStream, LongFrameArrives) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  const Data body = pattern(kFarBeyondTheCapacity);
  Pending writing = writer.start(WriteOne(body).in("w").watch());
  writing.expect_blocked();
  EXPECT_THAT(reader.read(), Reads(body));
  ExpectTaken(writing.wait(), 1);
  ExpectTaken(writer.write_one("behind"), 1);
  EXPECT_THAT(reader.read(), Reads("behind"));
}

CTS_CASE(FramedStream, FrameThatDoesNotFitStays) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  ExpectTaken(writer.write({"hello", "next"}), 2);
  for (uint64_t room : {0u, 1u, 4u, 4u}) {
    Reply reply = reader.read(room);
    EXPECT_THAT(reply, Reads("", "message_truncated"));
    EXPECT_EQ(reply.number("needed"), 5u);
  }
  EXPECT_THAT(reader.read(5), Reads("hello"));
  EXPECT_THAT(reader.read(5), Reads("next"));
}

// --------------------------------------------------------------------------------------------------------- waiting

CTS_CASE(FramedStream, ReadWaitsForTheWholeFrame) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader());
  Pending reading = reader.start(op::framed_read().max(100).in("r").watch());
  reading.expect_blocked();
  require_ok(pair.writer().write(U32("hello").substr(0, 2)));
  reading.expect_blocked();
  require_ok(pair.writer().write(U32("hello").substr(2, 5)));
  reading.expect_blocked();
  require_ok(pair.writer().write(U32("hello").substr(7)));
  EXPECT_THAT(reading.wait(), Reads("hello"));
}

CTS_CASE(FramedStream, ReadWithoutWaitingWouldBlock) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  EXPECT_THAT(reader.read_now(), Reads("", "would_block"));
  ExpectTaken(writer.write({"one", "two"}), 2);
  EXPECT_THAT(reader.read_now(), Reads("one"));
  EXPECT_THAT(reader.read_now(), Reads("two"));
  EXPECT_THAT(reader.read_now(), Reads("", "would_block"));
}

CTS_CASE(FramedStream, WriteWithoutWaitingTakesWholeFrames) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  std::vector<Data> taken;
  for (;;) {
    const Data body = pattern(50001);
    Reply reply = writer.call(WriteOne(body).wait(false));
    ASSERT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
    ASSERT_EQ(reply.number("frames"), reply.ok() ? 1u : 0u);
    if (!reply.ok()) break;
    taken.push_back(body);
    ASSERT_LT(taken.size(), 1000u) << "the stream never was full";
  }
  Pending flushing = writer.start(op::framed_flush().in("w"));
  for (const Data &body : taken) ASSERT_THAT(reader.read(), Reads(body));
  EXPECT_THAT(flushing.wait(), IsOk());
  EXPECT_THAT(reader.read_now(), Reads("", "would_block"));
}

CTS_CASE(FramedStream, NextWriteSendsTheRestFirst) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  const Data body = pattern(kFarBeyondTheCapacity);
  ExpectTaken(writer.call(WriteOne(body).wait(false)), 1);
  Pending writing = writer.start(Write({"next", ""}).in("w").watch());
  writing.expect_blocked();
  EXPECT_THAT(reader.read(), Reads(body));
  ExpectTaken(writing.wait(), 2);
  EXPECT_THAT(reader.read(), Reads("next"));
  EXPECT_THAT(reader.read(), Reads(""));
}

CTS_CASE(FramedStream, ReadTimesOutAndGoesOn) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader());
  const std::string frame = U32("hello");
  for (size_t cut : {0u, 2u, 4u, 7u}) {
    require_ok(pair.writer().write(frame.substr(0, cut)));
    const Stopwatch watch;
    EXPECT_THAT(reader.call(op::framed_read().max(100).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
    EXPECT_GE(watch.ms(), kTimeoutMs);
    require_ok(pair.writer().write(frame.substr(cut)));
    EXPECT_THAT(reader.call(op::framed_read().max(100).timeout_ms(10000)), Reads("hello")) << "cut at " << cut;
  }
}

CTS_CASE(FramedStream, ReadTimesOutBehindAnother) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader());
  Pending first = reader.start(op::framed_read().max(100).in("a").watch());
  first.expect_blocked();
  const Stopwatch watch;
  EXPECT_THAT(reader.call(op::framed_read().max(100).timeout_ms(kTimeoutMs).in("b")), Reads("", "timed_out"));
  const uint64_t waited = watch.ms();
  EXPECT_GE(waited, kTimeoutMs);
  EXPECT_LT(waited, kTimeoutMs + LateMs());
  EXPECT_THAT(reader.call(op::framed_read().max(100).timeout_ms(0).in("b")), Reads("", "timed_out"));
  require_ok(pair.writer().write(U32("first") + U32("next")));
  EXPECT_THAT(first.wait(), Reads("first"));
  EXPECT_THAT(reader.call(op::framed_read().max(100).in("b")), Reads("next"));
}

CTS_CASE(FramedStream, PiecesDoNotProlongATimeout) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader());
  require_ok(pair.writer().write(Number(kRoom, 4)));
  const Stopwatch watch;
  Pending reading = reader.start(op::framed_read().max(kRoom).timeout_ms(kTimeoutMs));
  while (!reading.answered() && watch.ms() < kTimeoutMs + LateMs()) require_ok(pair.writer().write("x"));
  ASSERT_TRUE(reading.answered()) << "what comes makes it wait longer";
  EXPECT_THAT(reading.wait(), Reads("", "timed_out"));
}

CTS_CASE(FramedStream, WriteTimesOutAndGoesOn) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  const Data body = pattern(kFarBeyondTheCapacity);
  const Stopwatch watch;
  ExpectTaken(writer.call(WriteOne(body).timeout_ms(kTimeoutMs)), 1, "timed_out");
  EXPECT_GE(watch.ms(), kTimeoutMs);
  EXPECT_THAT(writer.call(op::framed_flush().timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  Pending flushing = writer.start(op::framed_flush().in("w").watch());
  flushing.expect_blocked();
  EXPECT_THAT(reader.read(), Reads(body));
  EXPECT_THAT(flushing.wait(), IsOk());
  ExpectTaken(writer.write_one("next"), 1);
  EXPECT_THAT(reader.read(), Reads("next"));
}

// ------------------------------------------------------------------------------------------------- ends and errors

CTS_CASE(FramedStream, EndBetweenFrames) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  ExpectTaken(writer.write({"one", "two"}), 2);
  require_ok(writer.call(op::framed_close()));
  EXPECT_THAT(reader.read(), Reads("one"));
  EXPECT_THAT(reader.read(), Reads("two"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(reader.read(), Ends(""));
}

CTS_CASE(FramedStream, EndInsideAFrameIsTruncated) {
  Listener listener = listen(server(), fresh_name());
  for (size_t cut = 1; cut < U32("hello").size(); cut++) {
    Pair pair = connected_pair(listener, client());
    pair.server_writes = shape("writer") == "server";
    Framed reader = Open(pair.reader());
    require_ok(pair.writer().write(U32("before") + U32("hello").substr(0, cut)));
    require_ok(pair.writer().close());
    EXPECT_THAT(reader.read(), Reads("before"));
    for (int i = 0; i < 2; i++) {
      Reply reply = reader.read();
      EXPECT_THAT(reply, Reads("", "message_truncated")) << "cut at " << cut;
      EXPECT_FALSE(reply.has("needed"));
    }
  }
}

CTS_CASE(FramedStream, EndBehindATimeoutIsTruncated) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader());
  require_ok(pair.writer().write(U32("hello").substr(0, 6)));
  EXPECT_THAT(reader.call(op::framed_read().max(100).timeout_ms(kTimeoutMs)), Reads("", "timed_out"));
  require_ok(pair.writer().close());
  EXPECT_THAT(reader.read(), Reads("", "message_truncated"));
}

CTS_CASE(FramedStream, LimitIsExact) {
  Listener listener = listen(server(), fresh_name());
  for (const std::string &codec : kCodecs) {
    Pair pair = connected_pair(listener, client());
    pair.server_writes = shape("writer") == "server";
    Framed reader = Open(pair.reader(), Codec(codec).max(10));
    const std::string fits(10, 'x'), too_large(11, 'x');
    require_ok(pair.writer().write(FrameOf(codec, fits) + FrameOf(codec, too_large)));
    EXPECT_THAT(reader.read(), Reads(fits)) << codec;
    EXPECT_THAT(reader.read(), Reads("", "message_too_large")) << codec;
  }
}

CTS_CASE(FramedStream, TooLargeStaysTooLarge) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader(), Codec("u32").max(10));
  require_ok(pair.writer().write(U32("before") + Number(11, 4)));
  EXPECT_THAT(reader.read(), Reads("before"));
  EXPECT_THAT(reader.read(), Reads("", "message_too_large"));
  require_ok(pair.writer().write(std::string(11, 'x') + U32("good")));
  for (int i = 0; i < 3; i++) EXPECT_THAT(reader.read(), Reads("", "message_too_large"));
  ExpectTaken(reader.write_one("why"), 1);
  EXPECT_THAT(pair.writer().read_exact(7), Reads(U32("why")));
}

CTS_CASE(FramedStream, MalformedStaysMalformed) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader(), Codec("netstring"));
  require_ok(pair.writer().write("2:ok,1:a;"));
  EXPECT_THAT(reader.read(), Reads("ok"));
  EXPECT_THAT(reader.read(), Reads("", "malformed"));
  require_ok(pair.writer().write("2:ok,"));
  for (int i = 0; i < 3; i++) EXPECT_THAT(reader.read(), Reads("", "malformed"));
}

CTS_CASE(FramedStream, NegativeLengthIsMalformed) {
  Pair pair = connected_pair();
  Framed reader = Open(pair.reader(), Codec("escape"));
  require_ok(pair.writer().write(std::string("\0\0\0\2ok\xFF\xFF\xFF\xFE\0\0\0\1a", 15)));
  EXPECT_THAT(reader.read(), Reads("ok"));
  for (int i = 0; i < 3; i++) ASSERT_THAT(reader.read(), Reads("", "malformed"));
}

CTS_CASE(FramedStream, TooLargeIsNotWritten) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer(), Codec("u32").max(5)), reader = Open(pair.reader());
  ExpectTaken(writer.write({"one", "12345", "123456", "two"}), 2, "message_too_large");
  ExpectTaken(writer.write({"123456"}), 0, "message_too_large");
  ExpectTaken(writer.write({"two"}), 1);
  for (const char *body : {"one", "12345", "two"}) EXPECT_THAT(reader.read(), Reads(body));
}

CTS_CASE(FramedStream, WriteWithoutAReaderIsBrokenPipe) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  require_ok(reader.call(op::framed_close()));
  for (int i = 0; i < 2; i++) ExpectTaken(writer.write({"nobody", "reads"}), 0, "broken_pipe");
}

// ------------------------------------------------------------------------------------------------- several at once

CTS_CASE(FramedStream, TwoWritersNeverMix) {
  constexpr uint32_t frames = 16, length = 60000;
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  const Data sent[2] = {pattern(uint64_t{frames} * length), pattern(uint64_t{frames} * length)};
  Pending writing[2];
  for (int i = 0; i < 2; i++) {
    const op::framed_write request = op::framed_write().data(sent[i]).lengths(std::vector<uint32_t>(frames, length));
    writing[i] = writer.start(op::framed_write(request).in(i == 0 ? "v" : "w"));
  }
  uint32_t next[2] = {0, 0};
  for (uint32_t i = 0; i < 2 * frames; i++) {
    Reply reply = reader.read();
    ASSERT_THAT(reply, IsOk());
    const bool first = next[0] < frames && reply.number("crc32") == sent[0].slice_crc32(next[0] * length, length);
    const int from = first ? 0 : 1;
    ASSERT_EQ(reply.number("crc32"), sent[from].slice_crc32(next[from] * length, length))
        << "behind " << next[0] << " and " << next[1] << " frames comes one that nobody wrote";
    next[from]++;
  }
  for (const Pending &each : writing) ExpectTaken(each.wait(), frames);
}

CTS_CASE(FramedStream, ReadWhileWriting) {
  Pair pair = connected_pair();
  Framed ends[2] = {Open(pair.server), Open(pair.client)};
  const Data sent[2] = {pattern(1_MiB), pattern(1_MiB)};
  Pending writing[2];
  for (int i = 0; i < 2; i++) writing[i] = ends[i].start(WriteOne(sent[i]).in("w").watch());
  for (const Pending &each : writing) each.expect_blocked();
  Pending reading[2];
  for (int i = 0; i < 2; i++) reading[i] = ends[i].start(op::framed_read().max(kRoom).in("r"));
  for (int i = 0; i < 2; i++) {
    EXPECT_THAT(reading[i].wait(), Reads(sent[1 - i]));
    ExpectTaken(writing[i].wait(), 1);
  }
}

CTS_CASE(FramedStream, CloseEndsAWaitingRead) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  Pending reading = reader.start(op::framed_read().max(100).in("r").watch());
  reading.expect_blocked();
  require_ok(reader.call(op::framed_close().in("c")));
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
  ExpectTaken(writer.write_one("nobody reads"), 0, "broken_pipe");
}

CTS_CASE(FramedStream, CloseEndsAWaitingWrite) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  Pending writing = writer.start(WriteOne(pattern(kFarBeyondTheCapacity)).in("w").watch());
  writing.expect_blocked();
  require_ok(writer.call(op::framed_close().in("c")));
  EXPECT_THAT(writing.wait(), StatusIs("cancelled"));
  EXPECT_THAT(reader.read(), Reads("", "message_truncated"));
}

// ------------------------------------------------------------------------------------------- what they are made of

CTS_CASE(FramedStream, OpenOwnsTheStream) {
  Pair pair = connected_pair();
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  EXPECT_THAT(pair.writer().write("past it"), StatusIs("invalid_argument"));
  ExpectTaken(writer.write_one("through it"), 1);
  EXPECT_THAT(reader.read(), Reads("through it"));
}

CTS_CASE(FramedStream, OpenRefusesABusyStream) {
  Pair pair = connected_pair();
  Pending reading = pair.reader().start(op::stream_read().until("some").max(16).in("r").watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.reader().call(Codec("u32").as("refused")), StatusIs("busy"));
  require_ok(pair.writer().write("plain"));
  EXPECT_THAT(reading.wait(), Reads("plain"));
  Framed reader = Open(pair.reader());
  require_ok(pair.writer().write(U32("framed")));
  EXPECT_THAT(reader.read(), Reads("framed"));
}

CTS_CASE(FramedStream, OpenRefusesWhatIsNoCodec) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.reader().call(op::framed_open().codec("length").width(5).as("a")), StatusIs("invalid_argument"));
  EXPECT_THAT(pair.reader().call(Codec("u32").max(0).as("b")), StatusIs("invalid_argument"));
  EXPECT_THAT(pair.reader().call(Codec("u32").max(uint64_t{1} << 31).as("c")), StatusIs("invalid_argument"));
  require_ok(pair.writer().write("plain"));
  EXPECT_THAT(pair.reader().read_exact(5), Reads("plain"));
}

CTS_CASE(FramedStream, OpenTakesTheModeAlong) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(op::stream_set_nonblocking().nonblocking(true)));
  Framed writer = Open(pair.writer()), reader = Open(pair.reader());
  EXPECT_THAT(reader.read(), Reads("", "would_block"));
  require_ok(reader.call(op::framed_set_nonblocking().nonblocking(false)));
  Pending reading = reader.start(op::framed_read().max(100));
  ExpectTaken(writer.write_one("waited for"), 1);
  EXPECT_THAT(reading.wait(), Reads("waited for"));
}

CTS_CASE(FramedStream, HalvesOfASplit) {
  Pair pair = connected_pair();
  Peer &writing = pair.writer().peer();
  const std::string in = writing.fresh_handle("h"), out = writing.fresh_handle("h");
  require_ok(pair.writer().call(op::stream_split().read_as(in).write_as(out)));
  Framed writer = Open(Stream(&writing, out)), reader = Open(pair.reader());
  Framed other = Open(Stream(&writing, in));
  ExpectTaken(writer.write_one("there"), 1);
  EXPECT_THAT(writer.read(), Reads("", "unsupported"));
  ExpectTaken(other.write_one("wrong way"), 0, "unsupported");
  EXPECT_THAT(reader.read(), Reads("there"));
}

CTS_CASE(FramedStream, DescriptorIsNotInherited) {
  Pair pair = connected_pair();
  const Reply raw = Open(pair.writer()).call(op::framed_raw());
  require_ok(raw);
  EXPECT_TRUE(look::IsCloseOnExec(pair.writer().peer().offer().pid, raw.raw().value));
}

CTS_CASE(FramedStream, EndsOfAPipe) {
  require_ok(peer().call(op::pipe_create().read_as("in").write_as("out")));
  Framed writer = Open(Stream(&peer(), "out")), reader = Open(Stream(&peer(), "in"));
  ExpectTaken(writer.write({"one", "", "two"}), 3);
  for (const char *body : {"one", "", "two"}) EXPECT_THAT(reader.read(), Reads(body));
  EXPECT_THAT(writer.read(), Reads("", "unsupported"));
  ExpectTaken(reader.write_one("wrong way"), 0, "unsupported");
  require_ok(writer.call(op::framed_close()));
  EXPECT_THAT(reader.read(), Ends(""));
}

}  // namespace cts
