// Ancillary data: spec/ancillary.md.
#include <functional>
#include <set>

#include "conformance/cases/common.h"
#include "conformance/support/host.h"
#include "conformance/support/look.h"

namespace cts {
namespace {

/// More than a connection holds.
constexpr uint64_t kFarBeyondTheBuffer = 64_MiB;
/// Most descriptors that a request of the peer protocol names.
constexpr size_t kManyDescriptors = 64;

/// A matcher on replies: `judge` says what is wrong, "" if nothing is.
class Judged {
 public:
  Judged(std::string expected, std::function<std::string(const Reply &)> judge)
      : expected_(std::move(expected)), judge_(std::move(judge)) {}
  template <typename T>
  operator testing::Matcher<T>() const {  // NOLINT: matchers convert
    return testing::MakePolymorphicMatcher(*this);
  }
  bool MatchAndExplain(const Reply &reply, testing::MatchResultListener *listener) const {
    const std::string wrong = judge_(reply);
    if (!wrong.empty()) Blame(reply, expected_, wrong, listener);
    return wrong.empty();
  }
  void DescribeTo(std::ostream *os) const { *os << expected_; }
  void DescribeNegationTo(std::ostream *os) const { *os << "not: " << expected_; }

 private:
  std::string expected_;
  std::function<std::string(const Reply &)> judge_;
};

/// The descriptors that came.
std::vector<uint64_t> Came(const Reply &reply) {
  return reply.has("descriptors") ? reply.numbers("descriptors") : std::vector<uint64_t>();
}

/// So many descriptors came, all different, and nothing was cut.
Judged Brings(size_t num) {
  return Judged("brings " + std::to_string(num) + " descriptors", [num](const Reply &reply) -> std::string {
    const std::vector<uint64_t> came = Came(reply);
    if (came.size() != num) return std::to_string(came.size()) + " descriptors came";
    if (std::set<uint64_t>(came.begin(), came.end()).size() != num) return "one number came twice";
    return reply.has("cut") ? "it says that something was cut" : "";
  });
}

/// So many descriptors came, and it says that there were more.
Judged BringsAfterACut(size_t num) {
  return Judged("brings " + std::to_string(num) + " descriptors, cut", [num](const Reply &reply) -> std::string {
    if (Came(reply).size() != num) return std::to_string(Came(reply).size()) + " descriptors came";
    return reply.has("cut") ? "" : "it does not say that something was cut";
  });
}

/// Credentials came, and name these.
Judged IsFrom(uint64_t pid, uint64_t uid, uint64_t gid) {
  const std::string expected =
      "is from process " + std::to_string(pid) + ", user " + std::to_string(uid) + ", group " + std::to_string(gid);
  return Judged(expected, [=](const Reply &reply) -> std::string {
    for (const char *key : {"pid", "uid", "gid"}) {
      if (!reply.has(key)) return std::string(key) + " did not come";
    }
    if (reply.number("pid") != pid) return "pid is " + std::to_string(reply.number("pid"));
    if (reply.number("uid") != uid) return "uid is " + std::to_string(reply.number("uid"));
    return reply.number("gid") == gid ? "" : "gid is " + std::to_string(reply.number("gid"));
  });
}

/// Peers have the user and group of the runner.
Judged IsFrom(const Peer &peer) {
  return IsFrom(static_cast<uint64_t>(peer.offer().pid), host::UserId(), host::GroupId());
}

/// No credentials came, nor anything about them.
Judged IsFromNobody() {
  return Judged("tells no sender", [](const Reply &reply) -> std::string {
    for (const char *key : {"pid", "uid", "gid", "cut"}) {
      if (reply.has(key)) return std::string(key) + " came";
    }
    return "";
  });
}

op::stream_write_ancillary Passing(const Data &data, const std::vector<uint64_t> &descriptors) {
  return op::stream_write_ancillary().data(data).descriptors(descriptors);
}
op::stream_write_ancillary Claiming(const Data &data) {
  return op::stream_write_ancillary().data(data).credentials(true);
}
op::stream_read_ancillary Taking(uint64_t max, size_t descriptors) {
  return op::stream_read_ancillary().max(max).descriptors_max(static_cast<uint32_t>(descriptors));
}
/// A read that has no room for descriptors.
op::stream_read_ancillary TakingBytes(uint64_t max) { return op::stream_read_ancillary().max(max); }
op::stream_set_pass_credentials Pass(bool pass) { return op::stream_set_pass_credentials().pass(pass); }

uint64_t NumberIn(const Reply &reply) {
  if (!reply.ok()) throw Abort{"failed", reply.role(), reply.describe()};
  return std::stoull(reply.raw().value);
}
/// The descriptor behind a stream, in its peer.
uint64_t NumberOf(const Stream &stream) { return NumberIn(stream.call(op::stream_raw())); }

/// The one descriptor that came; another number of them ends the case.
uint64_t OnlyOne(const Reply &reply) {
  const std::vector<uint64_t> came = Came(reply);
  if (came.size() == 1) return came[0];
  throw Abort{"failed", reply.role(), reply.describe() + ": " + std::to_string(came.size()) + " descriptors, not 1"};
}

Raw RawOf(uint64_t descriptor) { return Raw{"fd", std::to_string(descriptor)}; }

/// Makes a stream of a descriptor that came, or ends the case.
Stream Adopt(Peer &peer, uint64_t descriptor) {
  const std::string as = peer.fresh_handle("s");
  const Reply reply = peer.call(op::stream_adopt().as(as).raw(RawOf(descriptor)));
  if (!reply.ok()) throw Abort{"failed", reply.role(), reply.describe()};
  return Stream(&peer, as);
}

size_t NumDescriptors(const Peer &peer) { return host::DescriptorsOf(peer.offer().pid).size(); }
/// What the descriptor of a peer is of: the same text for every copy. One that is not open ends the case.
std::string TargetOf(const Peer &peer, uint64_t descriptor) {
  const std::string target = look::DescriptorOf(peer.offer().pid, std::to_string(descriptor));
  if (target.empty()) throw Abort{"failed", peer.role(), "descriptor " + std::to_string(descriptor) + " is not open"};
  return target;
}

/// Writes until there is no room for one byte more; returns the bytes accepted.
uint64_t Fill(const Stream &stream, const Data &piece) {
  uint64_t accepted = 0;
  while (accepted < kFarBeyondTheBuffer) {
    const Reply reply = stream.call(op::stream_write().data(piece).wait(false));
    EXPECT_THAT(reply, StatusIsOneOf({"ok", "would_block"}));
    if (!reply.ok()) return accepted;
    accepted += reply.length();
  }
  ADD_FAILURE() << "the connection never was full";
  return accepted;
}

}  // namespace

// ------------------------------------------------------------------------------------------------ descriptors

CTS_CASE(Ancillary, DescriptorWorksInTheOtherProcess) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer());
  EXPECT_THAT(pair.writer().call(Passing("here", {NumberOf(pipe.writer)})), Accepts("here"));
  Reply reply = pair.reader().call(Taking(16, 1));
  EXPECT_THAT(reply, Reads("here"));
  EXPECT_THAT(reply, Brings(1));
  Stream passed = Adopt(pair.reader().peer(), OnlyOne(reply));
  require_ok(passed.write("through the passed end"));
  EXPECT_THAT(pipe.reader.read(64), Reads("through the passed end"));
}

CTS_CASE(Ancillary, SendersCopyStaysOpen) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer());
  const size_t before = NumDescriptors(pair.writer().peer());
  require_ok(pair.writer().call(Passing("x", {NumberOf(pipe.writer)})));
  EXPECT_EQ(NumDescriptors(pair.writer().peer()), before) << "the sender has more descriptors, or fewer";
  EXPECT_THAT(pipe.writer.write("still mine"), Accepts("still mine"));
  EXPECT_THAT(pipe.reader.read(64), Reads("still mine"));
}

CTS_CASE(Ancillary, DescriptorOutlivesTheSendersCopy) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer());
  require_ok(pair.writer().call(Passing("x", {NumberOf(pipe.writer)})));
  require_ok(pipe.writer.close());
  require_ok(pair.writer().close());
  Stream passed = Adopt(pair.reader().peer(), OnlyOne(pair.reader().call(Taking(16, 1))));
  require_ok(passed.write("alive"));
  require_ok(passed.close());
  EXPECT_THAT(pipe.reader.read_to_end(), Ends("alive"));
}

CTS_CASE(Ancillary, SeveralComeInTheirOrder) {
  Pair pair = connected_pair();
  Peer &sender = pair.writer().peer();
  Pipe pipes[] = {MakePipe(sender), MakePipe(sender), MakePipe(sender)};
  require_ok(pair.writer().call(
      Passing("three", {NumberOf(pipes[2].writer), NumberOf(pipes[0].writer), NumberOf(pipes[1].writer)})));
  Reply reply = pair.reader().call(Taking(16, 3));
  ASSERT_THAT(reply, Brings(3));
  const char *const written[] = {"third", "first", "second"};
  for (size_t i = 0; i < 3; i++) require_ok(Adopt(pair.reader().peer(), Came(reply)[i]).write(written[i]));
  EXPECT_THAT(pipes[0].reader.read(16), Reads("first"));
  EXPECT_THAT(pipes[1].reader.read(16), Reads("second"));
  EXPECT_THAT(pipes[2].reader.read(16), Reads("third"));
}

CTS_CASE(Ancillary, ManyComeAtOnce) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  const size_t before = NumDescriptors(pair.reader().peer());
  require_ok(pair.writer().call(Passing("many", std::vector<uint64_t>(kManyDescriptors, number))));
  Reply reply = pair.reader().call(Taking(16, kManyDescriptors));
  EXPECT_THAT(reply, Reads("many"));
  ASSERT_THAT(reply, Brings(kManyDescriptors));
  EXPECT_EQ(NumDescriptors(pair.reader().peer()), before + kManyDescriptors);
  for (const uint64_t came : Came(reply)) {
    EXPECT_EQ(TargetOf(pair.reader().peer(), came), TargetOf(pair.writer().peer(), number));
  }
}

CTS_CASE(Ancillary, ConnectionIsServedWhereItIsPassed) {
  Listener listener = listen(server(), fresh_name());
  Pair way = connected_pair(listener, client()), served = connected_pair(listener, client(2));
  require_ok(served.client.write("asked before"));
  require_ok(way.server.call(Passing("yours", {NumberOf(served.server)})));
  require_ok(served.server.close());
  Stream passed = Adopt(client(), OnlyOne(way.client.call(Taking(16, 1))));
  EXPECT_THAT(passed.read(64), Reads("asked before"));
  require_ok(passed.write("answered elsewhere"));
  EXPECT_THAT(served.client.read(64), Reads("answered elsewhere"));
  require_ok(passed.close());
  EXPECT_THAT(served.client.read_to_end(), Ends(""));
}

CTS_CASE(Ancillary, ListenerAcceptsWhereItIsPassed) {
  Pair way = connected_pair();
  Listener listener = listen(server(), fresh_name());
  const uint64_t number = NumberIn(listener.call(op::listener_raw()));
  require_ok(way.server.call(Passing("yours", {number})));
  const Raw came = RawOf(OnlyOne(way.client.call(Taking(16, 1))));
  require_ok(client().call(op::listener_adopt().as("passed").raw(came)));
  Pair pair = connected_pair(Listener(&client(), "passed", listener.native()), client(2));
  require_ok(pair.client.write("to whom?"));
  EXPECT_THAT(pair.server.read(64), Reads("to whom?"));
}

CTS_CASE(Ancillary, ArrivesClosedOnExec) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer(), op::pipe_create().inherit_writer(true));
  const uint64_t sent = NumberOf(pipe.writer);
  EXPECT_FALSE(look::IsCloseOnExec(pair.writer().peer().offer().pid, std::to_string(sent)));
  require_ok(pair.writer().call(Passing("x", {sent, sent})));
  Reply reply = pair.reader().call(Taking(16, 2));
  ASSERT_THAT(reply, Brings(2));
  for (const uint64_t came : Came(reply)) {
    EXPECT_TRUE(look::IsCloseOnExec(pair.reader().peer().offer().pid, std::to_string(came)));
  }
}

// --------------------------------------------------------------------------------------- beside which bytes

CTS_CASE(Ancillary, ComesWithItsFirstByte) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  require_ok(pair.writer().call(Passing("abcd", {number})));
  Reply first = pair.reader().call(Taking(1, 4));
  EXPECT_THAT(first, Reads("a"));
  EXPECT_THAT(first, Brings(1));
  Reply rest = pair.reader().call(Taking(16, 4));
  EXPECT_THAT(rest, Reads("bcd"));
  EXPECT_THAT(rest, Brings(0));
}

CTS_CASE(Ancillary, ComesNeitherBeforeNorAfterItsBytes) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  require_ok(pair.writer().write("before"));
  require_ok(pair.writer().call(Passing("with", {number})));
  Reply before = pair.reader().call(Taking(6, 4));
  EXPECT_THAT(before, Reads("before"));
  EXPECT_THAT(before, Brings(0));
  Reply with = pair.reader().call(Taking(4, 4));
  EXPECT_THAT(with, Reads("with"));
  EXPECT_THAT(with, Brings(1));
  require_ok(pair.writer().write("after"));
  Reply after = pair.reader().call(Taking(16, 4));
  EXPECT_THAT(after, Reads("after"));
  EXPECT_THAT(after, Brings(0));
}

CTS_CASE(Ancillary, MessagesAreNotMixed) {
  Pair pair = connected_pair();
  Peer &sender = pair.writer().peer(), &receiver = pair.reader().peer();
  const uint64_t numbers[] = {NumberOf(MakePipe(sender).writer), NumberOf(MakePipe(sender).writer),
                              NumberOf(MakePipe(sender).writer)};
  require_ok(pair.writer().call(Passing("one", {numbers[0]})));
  require_ok(pair.writer().call(Passing("two", {numbers[1], numbers[2]})));
  Reply first = pair.reader().call(Taking(64, 8));
  EXPECT_THAT(first, Reads("one"));
  ASSERT_THAT(first, Brings(1));
  Reply second = pair.reader().call(Taking(64, 8));
  EXPECT_THAT(second, Reads("two"));
  ASSERT_THAT(second, Brings(2));
  EXPECT_EQ(TargetOf(receiver, Came(first)[0]), TargetOf(sender, numbers[0]));
  EXPECT_EQ(TargetOf(receiver, Came(second)[0]), TargetOf(sender, numbers[1]));
  EXPECT_EQ(TargetOf(receiver, Came(second)[1]), TargetOf(sender, numbers[2]));
}

CTS_CASE(Ancillary, SendersAtOnceAreNotMixed) {
  constexpr int kEach = 25;
  Pair pair = connected_pair();
  Peer &sender = pair.writer().peer();
  const uint64_t numbers[] = {NumberOf(MakePipe(sender).writer), NumberOf(MakePipe(sender).writer)};
  const std::string targets[] = {TargetOf(sender, numbers[0]), TargetOf(sender, numbers[1])};
  std::vector<Pending> writing;
  for (int i = 0; i < kEach; i++) {
    writing.push_back(pair.writer().start(Passing("0", {numbers[0]}).in("w0")));
    writing.push_back(pair.writer().start(Passing("1", {numbers[1]}).in("w1")));
  }
  int came[2] = {0, 0};
  for (int i = 0; i < 2 * kEach; i++) {
    Reply reply = pair.reader().call(Taking(64, 8));
    ASSERT_THAT(reply, IsOk());
    ASSERT_EQ(reply.length(), 1u) << "bytes of two messages were given by one read";
    const int which = reply.bytes("data") == "1";
    came[which]++;
    EXPECT_EQ(TargetOf(pair.reader().peer(), OnlyOne(reply)), targets[which]);
  }
  for (Pending &one : writing) EXPECT_THAT(one.wait(), IsOk());
  EXPECT_EQ(came[0], kEach);
  EXPECT_EQ(came[1], kEach);
}

CTS_CASE(Ancillary, LongWriteCarriesThemOnce) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  Data data = pattern(1_MiB);
  Pending writing = pair.writer().start(Passing(data, {number}).in("w"));
  uint64_t got = 0;
  while (got < data.length()) {
    Reply reply = pair.reader().call(Taking(data.length(), 4));
    ASSERT_THAT(reply, IsOk());
    ASSERT_THAT(reply, Brings(got == 0 ? 1 : 0));
    ASSERT_EQ(reply.number("crc32"), data.slice_crc32(got, reply.length())) << "after byte " << got;
    got += reply.length();
  }
  EXPECT_EQ(got, data.length());
  EXPECT_THAT(writing.wait(), Accepts(data));
}

CTS_CASE(Ancillary, WaitsForRoomAndTravelsThen) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  const uint64_t filled = Fill(pair.writer(), pattern(64_KiB));
  EXPECT_THAT(pair.writer().call(Passing("no room", {number}).wait(false)), StatusIs("would_block"));
  Pending writing = pair.writer().start(Passing("room", {number}).in("w").watch());
  writing.expect_blocked();
  EXPECT_EQ(pair.reader().read_exact(filled).length(), filled);
  Reply reply = pair.reader().call(Taking(64, 4));
  EXPECT_THAT(reply, Reads("room"));
  EXPECT_THAT(reply, Brings(1));
  EXPECT_THAT(writing.wait(), Accepts("room"));
}

// -------------------------------------------------------------------------------- what is not taken, and leaks

CTS_CASE(Ancillary, PlainReadDropsThem) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer());
  const size_t before = NumDescriptors(pair.reader().peer());
  require_ok(pair.writer().call(Passing("dropped", {NumberOf(pipe.writer)})));
  require_ok(pipe.writer.close());
  EXPECT_THAT(pair.reader().read_exact(7), Reads("dropped"));
  ASSERT_EQ(NumDescriptors(pair.reader().peer()), before) << "descriptors that nobody was told of";
  EXPECT_THAT(pipe.reader.read_to_end(), Ends("")) << "somebody still has the writing end";
  require_ok(pair.writer().write("next"));
  Reply next = pair.reader().call(Taking(16, 4));
  EXPECT_THAT(next, Reads("next"));
  EXPECT_THAT(next, Brings(0));
}

CTS_CASE(Ancillary, WithoutRoomTheyAreClosed) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer());
  const uint64_t number = NumberOf(pipe.writer);
  const size_t before = NumDescriptors(pair.reader().peer());
  require_ok(pair.writer().call(Passing("closed", std::vector<uint64_t>(kManyDescriptors, number))));
  require_ok(pipe.writer.close());
  Reply reply = pair.reader().call(TakingBytes(16));
  EXPECT_THAT(reply, Reads("closed"));
  EXPECT_THAT(reply, BringsAfterACut(0));
  ASSERT_EQ(NumDescriptors(pair.reader().peer()), before) << "descriptors that nobody was told of";
  EXPECT_THAT(pipe.reader.read_to_end(), Ends("")) << "somebody still has the writing end";
}

CTS_CASE(Ancillary, TooManyAreCut) {
  Pair pair = connected_pair();
  Peer &sender = pair.writer().peer();
  Pipe kept = MakePipe(sender), cut = MakePipe(sender);
  const size_t before = NumDescriptors(pair.reader().peer());
  std::vector<uint64_t> numbers(kManyDescriptors, NumberOf(cut.writer));
  numbers[0] = NumberOf(kept.writer);
  require_ok(pair.writer().call(Passing("cut", numbers)));
  require_ok(cut.writer.close());
  Reply reply = pair.reader().call(Taking(16, 1));
  EXPECT_THAT(reply, Reads("cut"));
  ASSERT_THAT(reply, BringsAfterACut(1));
  ASSERT_EQ(NumDescriptors(pair.reader().peer()), before + 1) << "descriptors that nobody was told of";
  EXPECT_EQ(TargetOf(pair.reader().peer(), Came(reply)[0]), TargetOf(sender, numbers[0]));
  EXPECT_THAT(cut.reader.read_to_end(), Ends("")) << "somebody still has the writing end";
}

CTS_CASE(Ancillary, ExactRoomIsNotCut) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  for (size_t num = 1; num <= 5; num++) {
    require_ok(pair.writer().call(Passing("x", std::vector<uint64_t>(num, number))));
    EXPECT_THAT(pair.reader().call(Taking(16, num)), Brings(num));
  }
}

CTS_CASE(Ancillary, ClosingReleasesWhatWasNotRead) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer());
  require_ok(pair.writer().call(Passing("never read", {NumberOf(pipe.writer)})));
  require_ok(pipe.writer.close());
  require_ok(pair.reader().close());
  EXPECT_THAT(pipe.reader.read_to_end(), Ends("")) << "somebody still has the writing end";
}

CTS_CASE(Ancillary, ClosedDescriptorIsRefused) {
  Pair pair = connected_pair();
  Pipe pipe = MakePipe(pair.writer().peer()), gone = MakePipe(pair.writer().peer());
  const uint64_t number = NumberOf(pipe.writer), closed = NumberOf(gone.writer);
  require_ok(gone.writer.close());
  Reply refused = pair.writer().call(Passing("refused", {number, closed}));
  EXPECT_THAT(refused, StatusIs("invalid_argument"));
  EXPECT_EQ(refused.length(), 0u);
  require_ok(pipe.writer.close());
  EXPECT_THAT(pipe.reader.read_to_end(), Ends("")) << "somebody still has the writing end";
  require_ok(pair.writer().write("next"));
  Reply next = pair.reader().call(Taking(64, 4));
  EXPECT_THAT(next, Reads("next"));
  EXPECT_THAT(next, Brings(0));
}

CTS_CASE(Ancillary, WriteOfNoBytesIsRefused) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  EXPECT_THAT(pair.writer().call(Passing("", {number})), StatusIs("invalid_argument"));
  require_ok(pair.writer().write("next"));
  Reply next = pair.reader().call(Taking(64, 4));
  EXPECT_THAT(next, Reads("next"));
  EXPECT_THAT(next, Brings(0));
}

CTS_CASE(Ancillary, ReadOfNoBytesIsRefused) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  require_ok(pair.writer().call(Passing("stays", {number})));
  EXPECT_THAT(pair.reader().call(Taking(0, 4)), StatusIs("invalid_argument"));
  Reply reply = pair.reader().call(Taking(16, 4));
  EXPECT_THAT(reply, Reads("stays"));
  EXPECT_THAT(reply, Brings(1));
}

CTS_CASE(Ancillary, NothingBesideIsAPlainWrite) {
  Pair pair = connected_pair();
  EXPECT_THAT(pair.writer().call(Passing("plain", {})), Accepts("plain"));
  Reply reply = pair.reader().call(Taking(64, 4));
  EXPECT_THAT(reply, Reads("plain"));
  EXPECT_THAT(reply, Brings(0));
  EXPECT_THAT(reply, IsFromNobody());
}

// ------------------------------------------------------------------------------- waiting, ends, other streams

CTS_CASE(Ancillary, ReadWaits) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  Pending reading = pair.reader().start(Taking(16, 1).in("r").watch());
  reading.expect_blocked();
  require_ok(pair.writer().call(Passing("now", {number})));
  Reply reply = reading.wait();
  EXPECT_THAT(reply, Reads("now"));
  EXPECT_THAT(reply, Brings(1));
}

CTS_CASE(Ancillary, ReadWithoutWaitingWouldBlock) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  Reply nothing = pair.reader().call(Taking(16, 1).wait(false));
  EXPECT_THAT(nothing, Reads("", "would_block"));
  EXPECT_THAT(nothing, Brings(0));
  require_ok(pair.writer().call(Passing("there", {number}).wait(false)));
  Reply reply = pair.reader().call(Taking(16, 1).wait(false));
  EXPECT_THAT(reply, Reads("there"));
  EXPECT_THAT(reply, Brings(1));
}

CTS_CASE(Ancillary, ReadTimesOut) {
  Pair pair = connected_pair();
  const Stopwatch watch;
  Reply reply = pair.reader().call(Taking(16, 1).timeout_ms(kTimeoutMs));
  const uint64_t waited_ms = watch.ms();
  EXPECT_THAT(reply, Reads("", "timed_out"));
  EXPECT_GE(waited_ms, kTimeoutMs);
  EXPECT_LT(waited_ms, kTimeoutMs + LateMs());
  require_ok(pair.writer().call(op::stream_write_ancillary().data("later")));
  EXPECT_THAT(pair.reader().call(Taking(16, 1).timeout_ms(10000)), Reads("later"));
}

CTS_CASE(Ancillary, CloseEndsAWaitingRead) {
  Pair pair = connected_pair();
  Pending reading = pair.reader().start(Taking(16, 1).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.reader().call(op::stream_close().in("b")), IsOk());
  EXPECT_THAT(reading.wait(), Reads("", "cancelled"));
}

CTS_CASE(Ancillary, EndBringsNothing) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(Pass(true)));
  require_ok(pair.writer().call(op::stream_write_ancillary().data("last")));
  require_ok(pair.writer().close());
  EXPECT_THAT(pair.reader().call(Taking(16, 1)), Reads("last"));
  for (int i = 0; i < 2; i++) {
    Reply reply = pair.reader().call(Taking(16, 1));
    EXPECT_THAT(reply, Ends(""));
    EXPECT_THAT(reply, Brings(0));
    EXPECT_THAT(reply, IsFromNobody());
  }
}

CTS_CASE(Ancillary, HalvesCarryTheirDirection) {
  Pair pair = connected_pair();
  const Stream &split = pair.writer();
  const uint64_t number = NumberOf(MakePipe(split.peer()).writer);
  require_ok(split.call(op::stream_split().read_as("reading").write_as("writing")));
  Stream reading(&split.peer(), "reading"), writing(&split.peer(), "writing");
  EXPECT_THAT(reading.call(Passing("x", {number})), StatusIs("unsupported"));
  EXPECT_THAT(writing.call(Taking(16, 1)), StatusIs("unsupported"));
  require_ok(writing.call(Passing("half", {number})));
  Reply reply = pair.reader().call(Taking(16, 1));
  EXPECT_THAT(reply, Reads("half"));
  EXPECT_THAT(reply, Brings(1));
}

CTS_CASE(Ancillary, PipesCarryNothing) {
  Pipe pipe = MakePipe(peer());
  const uint64_t number = NumberOf(pipe.reader);
  EXPECT_THAT(pipe.writer.call(Passing("x", {number})), StatusIs("unsupported"));
  EXPECT_THAT(pipe.reader.call(Taking(16, 1)), StatusIs("unsupported"));
  EXPECT_THAT(pipe.reader.call(Pass(true)), StatusIs("unsupported"));
  require_ok(pipe.writer.write("only this"));
  EXPECT_THAT(pipe.reader.read(64), Reads("only this"));
}

// ------------------------------------------------------------------------------------------------ credentials

CTS_CASE(Ancillary, SystemTellsWhoWrote) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(Pass(true)));
  require_ok(pair.writer().write("plain"));
  Reply reply = pair.reader().call(TakingBytes(64));
  EXPECT_THAT(reply, Reads("plain"));
  EXPECT_THAT(reply, IsFrom(pair.writer().peer()));
  EXPECT_THAT(reply, Brings(0));
}

CTS_CASE(Ancillary, CredentialsComeOnlyIfAskedFor) {
  Pair pair = connected_pair();
  require_ok(pair.writer().call(Claiming("unasked")));
  Reply unasked = pair.reader().call(TakingBytes(64));
  EXPECT_THAT(unasked, Reads("unasked"));
  EXPECT_THAT(unasked, IsFromNobody());
  require_ok(pair.reader().call(Pass(true)));
  require_ok(pair.writer().call(Claiming("asked")));
  EXPECT_THAT(pair.reader().call(TakingBytes(64)), IsFrom(pair.writer().peer()));
  require_ok(pair.reader().call(Pass(false)));
  require_ok(pair.writer().call(Claiming("no more")));
  EXPECT_THAT(pair.reader().call(TakingBytes(64)), IsFromNobody());
}

CTS_CASE(Ancillary, AskingLateNamesNobodyElse) {
  Pair pair = connected_pair();
  require_ok(pair.writer().write("before"));
  require_ok(pair.reader().call(Pass(true)));
  Reply reply = pair.reader().call(TakingBytes(64));
  EXPECT_THAT(reply, Reads("before"));
  if (reply.has("pid")) {
    EXPECT_THAT(reply, IsFrom(pair.writer().peer()));
  }
  require_ok(pair.writer().write("after"));
  EXPECT_THAT(pair.reader().call(TakingBytes(64)), IsFrom(pair.writer().peer()));
}

CTS_CASE(Ancillary, OwnCredentialsMayBeNamed) {
  Pair pair = connected_pair();
  const uint64_t pid = static_cast<uint64_t>(pair.writer().peer().offer().pid);
  require_ok(pair.reader().call(Pass(true)));
  EXPECT_THAT(pair.writer().call(Claiming("me").pid(pid).uid(host::UserId()).gid(host::GroupId())), Accepts("me"));
  EXPECT_THAT(pair.reader().call(TakingBytes(64)), IsFrom(pair.writer().peer()));
}

CTS_CASE(Ancillary, CredentialsNeedAByte) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(op::stream_set_pass_credentials().pass(true)));
  EXPECT_THAT(pair.writer().call(op::stream_write_ancillary().data("").credentials(true)),
              StatusIs("invalid_argument"));
  require_ok(pair.writer().call(op::stream_write_ancillary().data("with a byte").credentials(true)));
  EXPECT_THAT(pair.reader().call(op::stream_read_ancillary().max(64)), Reads("with a byte"));
}

CTS_CASE(Ancillary, ForeignProcessNeedsPrivilege) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(Pass(true)));
  const Reply claimed = pair.writer().call(Claiming("not me").pid(host::ProcessId()));
  if (host::UserId() == 0) {
    EXPECT_THAT(claimed, Accepts("not me"));
    EXPECT_THAT(pair.reader().call(TakingBytes(64)), IsFrom(host::ProcessId(), 0, host::GroupId()));
    return;
  }
  EXPECT_THAT(claimed, StatusIs("permission_denied"));
  EXPECT_EQ(claimed.length(), 0u);
  require_ok(pair.writer().call(Claiming("me")));
  Reply next = pair.reader().call(TakingBytes(64));
  EXPECT_THAT(next, Reads("me"));
  EXPECT_THAT(next, IsFrom(pair.writer().peer()));
}

CTS_CASE(Ancillary, ProcessThatEndedIsRefused) {
  Pair pair = connected_pair();
  require_ok(pair.reader().call(Pass(true)));
  connect(client(2), pair.listener);
  const uint64_t ended = static_cast<uint64_t>(client(2).offer().pid);
  client(2).End();
  // Who may not claim another process at all is not told which of them exist.
  const Reply refused = pair.writer().call(Claiming("nobody").pid(ended));
  EXPECT_THAT(refused, StatusIs(host::UserId() == 0 ? "no_such_process" : "permission_denied"));
  EXPECT_EQ(refused.length(), 0u);
  require_ok(pair.writer().write("next"));
  EXPECT_THAT(pair.reader().call(TakingBytes(64)), Reads("next"));
}

CTS_CASE(Ancillary, WritersOfOneEndAreToldApart) {
  Listener listener = listen(server(), fresh_name());
  Pair shared = connected_pair(listener, client()), way = connected_pair(listener, client(2));
  require_ok(shared.client.call(Pass(true)));
  require_ok(way.server.call(Passing("x", {NumberOf(shared.server)})));
  Stream passed = Adopt(client(2), OnlyOne(way.client.call(Taking(16, 1))));
  require_ok(shared.server.write("by the server"));
  require_ok(passed.write("by the other"));
  Reply first = shared.client.call(TakingBytes(64));
  EXPECT_THAT(first, Reads("by the server"));
  EXPECT_THAT(first, IsFrom(server()));
  Reply second = shared.client.call(TakingBytes(64));
  EXPECT_THAT(second, Reads("by the other"));
  EXPECT_THAT(second, IsFrom(client(2)));
}

CTS_CASE(Ancillary, BothKindsComeTogether) {
  Pair pair = connected_pair();
  const uint64_t number = NumberOf(MakePipe(pair.writer().peer()).writer);
  require_ok(pair.reader().call(Pass(true)));
  for (size_t num = 1; num <= 5; num++) {
    require_ok(pair.writer().call(Passing("both", std::vector<uint64_t>(num, number)).credentials(true)));
    Reply reply = pair.reader().call(Taking(64, num));
    EXPECT_THAT(reply, Reads("both"));
    EXPECT_THAT(reply, Brings(num));
    EXPECT_THAT(reply, IsFrom(pair.writer().peer()));
  }
}

// -------------------------------------------------------------------------------------------- control buffers

namespace {

op::ancillary_encode Encode(const std::vector<uint64_t> &descriptors) {
  return op::ancillary_encode().descriptors(descriptors);
}
op::ancillary_decode Decode(const std::string &control, size_t descriptors) {
  return op::ancillary_decode().control(control).descriptors_max(static_cast<uint32_t>(descriptors));
}

/// The reply has this control buffer.
Judged Encodes(const std::string &control) {
  return Judged("encodes " + Printable(control), [control](const Reply &reply) -> std::string {
    if (!reply.ok()) return "the status is " + reply.status();
    const std::string made = reply.bytes("control");
    return made == control ? "" : "it is " + Printable(made);
  });
}

/// These descriptors are in the buffer, and nothing was cut.
Judged Tells(const std::vector<uint64_t> &descriptors) {
  return Judged("tells its descriptors", [descriptors](const Reply &reply) -> std::string {
    if (!reply.ok()) return "the status is " + reply.status();
    if (Came(reply) != descriptors) return "they are others";
    return reply.has("cut") ? "it says that something was cut" : "";
  });
}

}  // namespace

CTS_CASE(Ancillary, EncodesDescriptors) {
  EXPECT_THAT(peer().call(Encode({3})), Encodes(host::DescriptorsMessage({3})));
  EXPECT_THAT(peer().call(Encode({3, 4})), Encodes(host::DescriptorsMessage({3, 4})));
  EXPECT_THAT(peer().call(Encode({7, 0, 7, 2147483647})), Encodes(host::DescriptorsMessage({7, 0, 7, 2147483647})));
  EXPECT_THAT(peer().call(Encode({})), Encodes(""));
}

CTS_CASE(Ancillary, EncodesCredentials) {
  auto claim = op::ancillary_encode().credentials(true).pid(4711).uid(1000).gid(100);
  EXPECT_THAT(peer().call(claim), Encodes(host::CredentialsMessage(4711, 1000, 100)));
  EXPECT_THAT(peer().call(claim.descriptors({5, 6, 7})),
              Encodes(host::DescriptorsMessage({5, 6, 7}) + host::CredentialsMessage(4711, 1000, 100)));
}

CTS_CASE(Ancillary, EncodesTheOwnCredentialsIfNoneAreNamed) {
  const uint32_t pid = static_cast<uint32_t>(peer().offer().pid);
  EXPECT_THAT(peer().call(op::ancillary_encode().credentials(true)),
              Encodes(host::CredentialsMessage(pid, host::UserId(), host::GroupId())));
  EXPECT_THAT(peer().call(op::ancillary_encode().credentials(true).uid(77)),
              Encodes(host::CredentialsMessage(pid, 77, host::GroupId())));
}

CTS_CASE(Ancillary, DecodesDescriptors) {
  EXPECT_THAT(peer().call(Decode(host::DescriptorsMessage({3}), 4)), Tells({3}));
  EXPECT_THAT(peer().call(Decode(host::DescriptorsMessage({9, 8, 9}), 3)), Tells({9, 8, 9}));
  EXPECT_THAT(peer().call(Decode("", 4)), Tells({}));
}

CTS_CASE(Ancillary, DecodesCredentials) {
  Reply reply = peer().call(op::ancillary_decode().control(host::CredentialsMessage(4711, 1000, 100)));
  EXPECT_THAT(reply, IsOk());
  EXPECT_THAT(reply, IsFrom(4711, 1000, 100));
  reply = peer().call(Decode(host::CredentialsMessage(1, 2, 3) + host::DescriptorsMessage({5}), 1));
  EXPECT_THAT(reply, Tells({5}));
  EXPECT_THAT(reply, IsFrom(1, 2, 3));
}

CTS_CASE(Ancillary, DecodeUndoesEncode) {
  std::vector<uint64_t> numbers;
  for (size_t num = 0; num <= kManyDescriptors; num++) {
    Reply encoded = peer().call(Encode(numbers));
    ASSERT_THAT(encoded, IsOk());
    ASSERT_THAT(peer().call(Decode(encoded.bytes("control"), kManyDescriptors)), Tells(numbers));
    numbers.push_back(num * 33554432 % 2147483647);
  }
}

CTS_CASE(Ancillary, DecodeSaysWhatDidNotFit) {
  const std::string control = host::DescriptorsMessage({3, 4, 5});
  for (size_t room = 0; room < 3; room++) {
    Reply reply = peer().call(Decode(control, room));
    EXPECT_THAT(reply, IsOk());
    EXPECT_THAT(reply, BringsAfterACut(room));
  }
  EXPECT_THAT(peer().call(Decode(control, 3)), Tells({3, 4, 5}));
}

CTS_CASE(Ancillary, DecodeAddsUpDescriptors) {
  const std::string one = host::DescriptorsMessage({3}), two = host::DescriptorsMessage({5, 4});
  EXPECT_THAT(peer().call(Decode(one + two, 8)), Tells({3, 5, 4}));
  EXPECT_THAT(peer().call(Decode(two + one, 2)), BringsAfterACut(2));
}

CTS_CASE(Ancillary, DecodePassesOverWhatItDoesNotKnow) {
  const std::string known = host::DescriptorsMessage({3}), other = host::DescriptorsMessage({4});
  for (const char *payload : {"", "x", "a longer one that needs more"}) {
    EXPECT_THAT(peer().call(Decode(known + host::UnknownMessage(payload) + other, 8)), Tells({3, 4})) << payload;
  }
}

CTS_CASE(Ancillary, DecodeNeedsNoPaddingAtTheEnd) {
  const std::string whole = host::DescriptorsMessage({3});
  const size_t length = host::ControlHeaderLength() + sizeof(int32_t);
  for (size_t cut = length; cut <= whole.size(); cut++) {
    EXPECT_THAT(peer().call(Decode(whole.substr(0, cut), 4)), Tells({3})) << cut << " bytes";
  }
  // Fewer bytes than a header behind it are no message.
  for (size_t more = 1; more < host::ControlHeaderLength(); more++) {
    EXPECT_THAT(peer().call(Decode(whole + std::string(more, '\xff'), 4)), Tells({3})) << more << " bytes more";
  }
}

CTS_CASE(Ancillary, DecodeRefusesBrokenLengths) {
  const std::string good = host::DescriptorsMessage({3, 4});
  const size_t header = host::ControlHeaderLength();
  const uint64_t lengths[] = {0, 1, header - 1, header + 1, header + 7, good.size() + 1, 65536, UINT32_MAX, UINT64_MAX};
  for (const uint64_t length : lengths) {
    const std::string broken = host::WithControlLength(good, length);
    EXPECT_THAT(peer().call(Decode(broken, 8)), StatusIs("malformed")) << "length " << length;
    EXPECT_THAT(peer().call(Decode(good + broken, 8)), StatusIs("malformed")) << "second length " << length;
  }
  EXPECT_THAT(peer().call(Decode(good, 8)), Tells({3, 4}));
}

}  // namespace cts
