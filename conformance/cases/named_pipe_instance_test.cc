// Names, instances and connections of named pipes: spec/named_pipe.md.
#include <algorithm>
#include <cctype>

#include "conformance/cases/named_pipes.h"
#include "conformance/support/host.h"

namespace cts {
namespace {

const std::string kPrefix = "\\\\.\\pipe\\";
/// What a name may have behind the prefix, in UTF-16 units.
constexpr size_t kNameMax = 247;
/// A process number that no system gives.
constexpr uint64_t kNobody = 0x7ffffff0;

op::named_pipe_connect ConnectByName(const LocalName &name) {
  return op::named_pipe_connect().kind(name.kind).name(name.name);
}
op::named_pipe_connect ConnectNow(const Listener &listener) { return ConnectRequest(listener).wait(false); }
op::named_pipe_wait WaitRequest(const LocalName &name) { return op::named_pipe_wait().kind(name.kind).name(name.name); }
op::named_pipe_wait WaitFor(const Listener &listener) {
  return op::named_pipe_wait().kind("native").name(listener.native());
}
op::listener_accept_named_pipe AcceptNow() { return op::listener_accept_named_pipe().wait(false); }

/// Expects that what is written at each end comes out at the other.
void ExpectConnected(const NamedPipe &one, const NamedPipe &other) {
  EXPECT_THAT(one.write("ping"), Accepts("ping"));
  EXPECT_THAT(other.read(4), Reads("ping"));
  EXPECT_THAT(other.write("pong"), Accepts("pong"));
  EXPECT_THAT(one.read(4), Reads("pong"));
}

/// Takes the connection to its end: an instance is free once both ends are closed.
void CloseBoth(const PipePair &pair) {
  Required(pair.client.close());
  Required(pair.server.close());
}

std::string Upper(std::string text) {
  for (char &c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return text;
}

/// Names that no pipe can have, behind a beginning that one can.
std::vector<std::string> Impossible(const std::string &fresh) {
  const std::string nul(1, '\0');
  return {
      fresh + "\\a",  fresh + "/a",       "\\" + fresh,       "/" + fresh,        fresh + ".",
      fresh + " ",    fresh + nul,        nul + fresh,        fresh + nul + "a",  fresh + "\xff",
      fresh + "\x80", fresh + "\xc0\xaf", fresh + "\xe2\x82", fresh + "\xf5\x80", "\xed\xa0\xbd\xed\xb8\x80" + fresh};
}

}  // namespace

/// A listener at the server, with the options of `request`.
#define LISTEN(request) ListenPipe(server(), (request))
#define FRESH_PIPE PipeRequest(fresh_name("namespaced"))

// ------------------------------------------------------------------------------------------------ instances

CTS_CASE(NamedPipeInstance, LimitIsExact) {
  const auto limit = static_cast<uint32_t>(std::stoul(shape("limit")));
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(limit));
  std::vector<PipePair> pairs;
  for (uint32_t i = 0; i < limit; i++) pairs.push_back(ConnectPipes(listener, client()));
  for (int i = 0; i < 2; i++) EXPECT_THAT(client().call(ConnectNow(listener).as("none")), StatusIs("busy"));
  EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block"));
  ExpectConnected(pairs.front().server, pairs.front().client);
  ExpectConnected(pairs.back().client, pairs.back().server);
  CloseBoth(pairs.back());
  const PipePair again = ConnectPipes(listener, client());
  ExpectConnected(again.server, again.client);
  EXPECT_THAT(client().call(ConnectNow(listener).as("none")), StatusIs("busy"));
}

CTS_CASE(NamedPipeInstance, NoLimitTakesManyAtOnce) {
  const Listener listener = LISTEN(FRESH_PIPE);
  std::vector<PipePair> pairs;
  for (int i = 0; i < 64; i++) pairs.push_back(ConnectPipes(listener, client()));
  EXPECT_EQ(require_ok(pairs.front().server.call(op::named_pipe_info())).number("instances_max"), 0u);
  for (size_t i = 0; i < pairs.size(); i++) require_ok(pairs[i].client.write("client " + std::to_string(i)));
  for (size_t i = pairs.size(); i-- > 0;) ExpectBytes(pairs[i].server, "client " + std::to_string(i));
}

CTS_CASE(NamedPipeInstance, LimitAbove254IsRefused) {
  const LocalName name = fresh_name("namespaced");
  for (uint32_t limit : {255u, 256u, 257u, 510u, 65537u, 4294967295u}) {
    EXPECT_THAT(server().call(PipeRequest(name).instances_max(limit).as("none")), StatusIs("invalid_argument"))
        << limit;
  }
  EXPECT_THAT(client().call(ConnectByName(name).as("none")), StatusIs("not_found"));
}

CTS_CASE(NamedPipeInstance, InstancesAreCounted) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(2));
  const PipePair first = ConnectPipes(listener, client());
  const auto info = [&](const NamedPipe &end) { return require_ok(end.call(op::named_pipe_info())); };
  EXPECT_EQ(info(first.server).number("instances_max"), 2u);
  EXPECT_EQ(info(first.client).number("instances_max"), 2u);
  EXPECT_GE(info(first.server).number("instances"), 1u);
  EXPECT_LE(info(first.server).number("instances"), 2u);
  const PipePair second = ConnectPipes(listener, client());
  for (const NamedPipe &end : {first.server, first.client, second.server, second.client}) {
    EXPECT_EQ(info(end).number("instances"), 2u);
  }
  require_ok(listener.close());
  CloseBoth(first);
  EXPECT_EQ(info(second.server).number("instances"), 1u);
}

CTS_CASE(NamedPipeInstance, LeavingDoesNotFreeTheInstance) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  const PipePair pair = ConnectPipes(listener, client());
  require_ok(pair.client.close());
  EXPECT_THAT(client().call(ConnectNow(listener).as("none")), StatusIs("busy"));
  EXPECT_THAT(pair.server.read(16), Ends(""));
  EXPECT_THAT(client().call(ConnectNow(listener).as("none")), StatusIs("busy"));
  require_ok(pair.server.close());
  const PipePair next = ConnectPipes(listener, client());
  ExpectConnected(next.client, next.server);
}

CTS_CASE(NamedPipeInstance, ConnectTimesOutWhileEveryInstanceIsTaken) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  const PipePair pair = ConnectPipes(listener, client());
  const Stopwatch watch;
  EXPECT_THAT(client().call(ConnectRequest(listener).timeout_ms(kTimeoutMs).as("none")), StatusIs("timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  const Stopwatch again;
  EXPECT_THAT(client().call(ConnectRequest(listener).timeout_ms(0).as("none")), StatusIs("busy"));
  EXPECT_LT(again.ms(), LateMs());
  ExpectConnected(pair.client, pair.server);
}

CTS_CASE(NamedPipeInstance, ConnectWaitsForAnInstance) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  const PipePair pair = ConnectPipes(listener, client());
  Pending connecting = client(2).start(ConnectRequest(listener).as("late"));
  ExpectConnected(pair.client, pair.server);
  EXPECT_FALSE(connecting.answered()) << "every instance is taken";
  CloseBoth(pair);
  const NamedPipe accepted = AcceptPipe(listener);
  EXPECT_THAT(connecting.wait(), IsOk());
  ExpectConnected(accepted, NamedPipe(&client(2), "late"));
}

CTS_CASE(NamedPipeInstance, LastWordsAreReadBeforeAnotherIsServed) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  const PipePair pair = ConnectPipes(listener, client());
  require_ok(pair.server.write("last words"));
  require_ok(pair.server.close());
  EXPECT_THAT(client().call(ConnectNow(listener).as("none")), StatusIs("busy"));
  Pending connecting = client(2).start(ConnectRequest(listener).as("next"));
  ExpectBytes(pair.client, "last words");
  EXPECT_THAT(pair.client.read(16), Ends(""));
  EXPECT_THAT(connecting.wait(), IsOk()) << "nobody accepts";
  const NamedPipe accepted = AcceptPipe(listener);
  ExpectConnected(accepted, NamedPipe(&client(2), "next"));
}

CTS_CASE(NamedPipeInstance, WaitTellsOfAFreeInstance) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  EXPECT_THAT(client().call(WaitFor(listener)), IsOk());
  EXPECT_THAT(client().call(WaitFor(listener).timeout_ms(kLongMs)), IsOk()) << "to wait takes nothing";
  const PipePair pair = ConnectPipes(listener, client());
  Pending waiting = client(2).start(WaitFor(listener));
  ExpectConnected(pair.client, pair.server);
  EXPECT_FALSE(waiting.answered()) << "every instance is taken";
  CloseBoth(pair);
  Pending accepting = listener.start(op::listener_accept_named_pipe().as("next"));
  EXPECT_THAT(waiting.wait(), IsOk());
  const NamedPipe next = ConnectPipe(client(2), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
  ExpectConnected(next, NamedPipe(&server(), "next"));
}

CTS_CASE(NamedPipeInstance, WaitTimesOut) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  const PipePair pair = ConnectPipes(listener, client());
  const Stopwatch watch;
  EXPECT_THAT(client().call(WaitFor(listener).timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  // The server's own default, of 50 ms, would show in the sum.
  const Stopwatch watch_many;
  for (int i = 0; i < 20; i++) EXPECT_THAT(client().call(WaitFor(listener).timeout_ms(0)), StatusIs("timed_out"));
  EXPECT_LT(watch_many.ms(), LateMs());
  ExpectConnected(pair.client, pair.server);
}

CTS_CASE(NamedPipeInstance, NobodysNameIsNotFound) {
  const LocalName name = fresh_name("namespaced");
  const Stopwatch watch;
  EXPECT_THAT(client().call(ConnectByName(name).as("none")), StatusIs("not_found"));
  EXPECT_THAT(client().call(ConnectByName(name).timeout_ms(kLongMs).as("none")), StatusIs("not_found"));
  EXPECT_THAT(client().call(WaitRequest(name)), StatusIs("not_found"));
  EXPECT_THAT(client().call(WaitRequest(name).timeout_ms(kLongMs)), StatusIs("not_found"));
  EXPECT_LT(watch.ms(), LateMs()) << "it tried for a while";
}

// ------------------------------------------------------------------------------------------------- names

CTS_CASE(NamedPipeInstance, ListenerTellsItsName) {
  const LocalName name = fresh_name("namespaced");
  const Listener listener = LISTEN(PipeRequest(name));
  EXPECT_EQ(listener.native(), kPrefix + name.name);
  EXPECT_EQ(require_ok(listener.call(op::listener_native())).bytes("native"), listener.native());
  const PipePair by_name = ConnectPipes(listener, client(), ConnectByName(name));
  ExpectConnected(by_name.client, by_name.server);
}

CTS_CASE(NamedPipeInstance, CaseDoesNotMatter) {
  const LocalName name = fresh_name("namespaced");
  const Listener listener = LISTEN(PipeRequest(LocalName{name.kind, name.name + "-Mixed"}));
  const std::vector<LocalName> others = {{"namespaced", name.name + "-mixed"},
                                         {"namespaced", name.name + "-MIXED"},
                                         {"namespaced", Upper(name.name + "-mixed")},
                                         {"native", "\\\\.\\PiPe\\" + Upper(name.name) + "-mIXED"}};
  for (const LocalName &other : others) {
    const PipePair pair = ConnectPipes(listener, client(), ConnectByName(other));
    ExpectConnected(pair.client, pair.server);
    EXPECT_THAT(server(2).call(PipeRequest(other).as("none")), StatusIs("in_use")) << other.name;
  }
}

CTS_CASE(NamedPipeInstance, CharactersOfAllKinds) {
  for (const char *suffix : {"<>:\"|?*", " a b ~", "..a", "%41%", "\t\x01\x7f", "@#&;'`$", "\xc3\xa9\xe2\x82\xac",
                             "\xf0\x9f\x98\x80", "\xed\xa0\x80", "x\xed\xb0\x80x"}) {
    const LocalName base = fresh_name("namespaced"), name{base.kind, base.name + suffix};
    const Listener listener = LISTEN(PipeRequest(name));
    EXPECT_EQ(listener.native(), kPrefix + name.name);
    const PipePair pair = ConnectPipes(listener, client(), ConnectByName(name));
    ExpectConnected(pair.client, pair.server);
    EXPECT_THAT(client().call(ConnectByName(base).as("none")), StatusIs("not_found")) << "its beginning leads to it";
  }
}

CTS_CASE(NamedPipeInstance, ImpossibleNamesAreRefused) {
  for (std::string name : Impossible(fresh_name("namespaced").name)) {
    for (const LocalName &each : {LocalName{"namespaced", name}, LocalName{"native", kPrefix + name}}) {
      EXPECT_THAT(server().call(PipeRequest(each).as("none")), StatusIs("invalid_name")) << each.kind;
      EXPECT_THAT(client().call(ConnectByName(each).as("none")), StatusIs("invalid_name")) << each.kind;
      EXPECT_THAT(client().call(WaitRequest(each)), StatusIs("invalid_name")) << each.kind;
    }
  }
  for (const LocalName &empty : {LocalName{"namespaced", ""}, LocalName{"native", ""}, LocalName{"native", kPrefix}}) {
    EXPECT_THAT(server().call(PipeRequest(empty).as("none")), StatusIs("invalid_name")) << empty.kind;
    EXPECT_THAT(client().call(ConnectByName(empty).as("none")), StatusIs("invalid_name")) << empty.kind;
  }
}

CTS_CASE(NamedPipeInstance, OtherPlacesAreNoPipes) {
  const std::string name = fresh_name("namespaced").name;
  for (const std::string &place : {name, "C:\\" + name, "\\\\.\\mailslot\\" + name, "\\\\.\\" + name, "\\pipe\\" + name,
                                   "\\\\127.0.0.1\\pipe\\" + name, "\\\\localhost\\pipe\\" + name}) {
    const LocalName native{"native", place};
    EXPECT_THAT(server().call(PipeRequest(native).as("none")), StatusIs("invalid_name")) << place;
    EXPECT_THAT(client().call(ConnectByName(native).as("none")), StatusIs("invalid_name")) << place;
    EXPECT_THAT(client().call(WaitRequest(native)), StatusIs("invalid_name")) << place;
  }
}

CTS_CASE(NamedPipeInstance, LongestNameIsUsable) {
  LocalName name = fresh_name("namespaced");
  name.name.resize(kNameMax, 'x');
  const Listener listener = LISTEN(PipeRequest(name));
  const PipePair pair = ConnectPipes(listener, client(), ConnectByName(name));
  ExpectConnected(pair.client, pair.server);
  // With characters that are one unit in three bytes, and two units in four.
  LocalName wide = fresh_name("namespaced");
  const size_t units = kNameMax - wide.name.size();
  for (size_t i = 0; i < units % 2 + 2; i++) wide.name += "\xe2\x82\xac";
  for (size_t i = 0; i < units / 2 - 1; i++) wide.name += "\xf0\x9f\x98\x80";
  const Listener second = LISTEN(PipeRequest(wide));
  const PipePair wide_pair = ConnectPipes(second, client(), ConnectByName(wide));
  ExpectConnected(wide_pair.client, wide_pair.server);
}

CTS_CASE(NamedPipeInstance, OverlongNameIsTooLong) {
  LocalName longest = fresh_name("namespaced");
  longest.name.resize(kNameMax, 'x');
  const Listener listener = LISTEN(PipeRequest(longest));
  for (size_t length : {kNameMax + 1, kNameMax + 2, kNameMax + 3, size_t{1000}, size_t{30000}}) {
    LocalName name = longest;
    name.name.resize(length, 'x');
    for (const LocalName &each : {name, LocalName{"native", kPrefix + name.name}}) {
      EXPECT_THAT(server().call(PipeRequest(each).as("none")), StatusIs("name_too_long")) << length;
      EXPECT_THAT(client().call(ConnectByName(each).as("none")), StatusIs("name_too_long")) << length;
      EXPECT_THAT(client().call(WaitRequest(each)), StatusIs("name_too_long")) << length;
    }
  }
  EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block")) << "a name was cut";
}

CTS_CASE(NamedPipeInstance, PipeIsListedWhileItLives) {
  const LocalName name = fresh_name("namespaced");
  const auto listed = [&] {
    const std::vector<std::string> names = host::List("\\\\.\\pipe");
    return std::find(names.begin(), names.end(), name.name) != names.end();
  };
  EXPECT_FALSE(listed());
  const Listener listener = LISTEN(PipeRequest(name));
  EXPECT_TRUE(listed());
  require_ok(listener.close());
  EXPECT_FALSE(listed());
}

// ---------------------------------------------------------------------------------------------- whose it is

CTS_CASE(NamedPipeInstance, NameIsOneListeners) {
  const std::string &order = shape("order");
  const LocalName name = fresh_name("namespaced");
  const Listener first = LISTEN(PipeRequest(name).share_name(order == "shared_then_alone"));
  op::named_pipe_listen second = PipeRequest(name).share_name(order == "alone_then_shared");
  for (int i = 0; i < 2; i++) EXPECT_THAT(server(2).call(second.as("none")), StatusIs("in_use"));
  EXPECT_THAT(server().call(second.as("none")), StatusIs("in_use")) << "in one process";
  const PipePair pair = ConnectPipes(first, client());
  ExpectConnected(pair.client, pair.server);
  CloseBoth(pair);
  require_ok(first.close());
  const Listener next = ListenPipe(server(2), second);
  const PipePair next_pair = ConnectPipes(next, client());
  ExpectConnected(next_pair.client, next_pair.server);
}

CTS_CASE(NamedPipeInstance, OneOfTwoThatListenAtOnceHasTheName) {
  Peer *peers[2] = {&server(1), &server(2)};
  for (int round = 0; round < 25; round++) {
    const LocalName name = fresh_name("namespaced");
    Pending pending[2];
    std::string handles[2];
    Reply replies[2];
    for (int i = 0; i < 2; i++) {
      handles[i] = peers[i]->fresh_handle("l");
      pending[i] = peers[i]->start(PipeRequest(name).as(handles[i]));
    }
    for (int i = 0; i < 2; i++) replies[i] = pending[i].wait();
    const int winner = replies[0].ok() ? 0 : 1;
    ASSERT_THAT(replies[winner], IsOk());
    ASSERT_THAT(replies[1 - winner], StatusIs("in_use"));
    const PipePair pair =
        ConnectPipes(Listener(peers[winner], handles[winner], replies[winner].bytes("native")), client());
    ExpectConnected(pair.client, pair.server);
  }
}

CTS_CASE(NamedPipeInstance, SharedNameIsJoined) {
  const LocalName name = fresh_name("namespaced");
  const Listener listeners[2] = {LISTEN(PipeRequest(name).share_name(true).backlog(1)),
                                 ListenPipe(server(2), PipeRequest(name).share_name(true).backlog(1))};
  std::vector<NamedPipe> clients, servers;
  for (int i = 0; i < 64; i++) {  // until no instance is left that nobody has accepted
    const std::string handle = client().fresh_handle("p");
    const Reply reply = client().call(ConnectNow(listeners[0]).as(handle));
    if (reply.status() == "busy") break;
    require_ok(reply);
    clients.emplace_back(&client(), handle);
    require_ok(clients.back().write("x"));
  }
  for (const Listener &listener : listeners) {
    const size_t before = servers.size();
    for (;;) {
      const std::string handle = listener.peer().fresh_handle("p");
      const Reply reply = listener.call(AcceptNow().as(handle));
      if (reply.status() == "would_block") break;
      require_ok(reply);
      servers.emplace_back(&listener.peer(), handle);
      ExpectBytes(servers.back(), "x");
      if (HasFailure()) return;
    }
    EXPECT_GT(servers.size(), before) << "clients came to one listener alone";
  }
  EXPECT_EQ(servers.size(), clients.size());
}

CTS_CASE(NamedPipeInstance, SharedNameOutlivesItsFirstListener) {
  const LocalName name = fresh_name("namespaced");
  const Listener first = LISTEN(PipeRequest(name).share_name(true));
  const PipePair old = ConnectPipes(first, client());
  const Listener second = ListenPipe(server(2), PipeRequest(name).share_name(true));
  require_ok(first.close());
  const PipePair next = ConnectPipes(second, client());
  ExpectConnected(old.client, old.server);
  ExpectConnected(next.client, next.server);
  const Listener third = LISTEN(PipeRequest(name).share_name(true));
  require_ok(second.close());
  const PipePair last = ConnectPipes(third, client());
  ExpectConnected(last.client, last.server);
}

CTS_CASE(NamedPipeInstance, DifferingPipeIsRefused) {
  const std::string &what = shape("what");
  const LocalName name = fresh_name("namespaced");
  const Listener first = LISTEN(PipeRequest(name).share_name(true).type("bytes").direction("duplex").instances_max(64));
  op::named_pipe_listen second = PipeRequest(name).share_name(true).instances_max(what == "limit" ? 63 : 64);
  if (what == "type") second.type("messages");
  if (what == "direction") second.direction("inbound");
  EXPECT_THAT(server(2).call(second.as("none")), StatusIs("permission_denied"));
  const PipePair pair = ConnectPipes(first, client());
  ExpectConnected(pair.client, pair.server);
  const Listener equal = ListenPipe(server(2), PipeRequest(name).share_name(true).instances_max(64));
}

CTS_CASE(NamedPipeInstance, SizesMayDiffer) {
  const LocalName name = fresh_name("namespaced");
  const Listener first = LISTEN(PipeRequest(name).share_name(true).in_size(4096));
  const Listener second = ListenPipe(server(2), PipeRequest(name).share_name(true).in_size(65536).out_size(8192));
  require_ok(first.close());
  const PipePair pair = ConnectPipes(second, client());
  ExpectConnected(pair.client, pair.server);
}

CTS_CASE(NamedPipeInstance, LimitCountsAllListeners) {
  const LocalName name = fresh_name("namespaced");
  op::named_pipe_listen request = PipeRequest(name).share_name(true).instances_max(1);
  const Listener first = LISTEN(request);
  EXPECT_THAT(server(2).call(request.as("none")), StatusIs("busy"));
  const PipePair pair = ConnectPipes(first, client());
  EXPECT_THAT(server(2).call(request.as("none")), StatusIs("busy"));
  CloseBoth(pair);
  require_ok(first.close());
  const PipePair next = ConnectPipes(ListenPipe(server(2), request), client());
  ExpectConnected(next.client, next.server);
}

CTS_CASE(NamedPipeInstance, NameIsFreeOnceEverythingIsClosed) {
  const LocalName name = fresh_name("namespaced");
  for (int round = 0; round < 20; round++) {
    const Listener listener = ListenPipe(server(1 + round % 2), PipeRequest(name));
    const PipePair pair = ConnectPipes(listener, client());
    ExpectConnected(pair.client, pair.server);
    if (HasFailure()) return;
    require_ok(listener.close());
    CloseBoth(pair);
    EXPECT_THAT(client().call(ConnectByName(name).as("none")), StatusIs("not_found"));
  }
}

CTS_CASE(NamedPipeInstance, AcceptedPipesHoldTheName) {
  const LocalName name = fresh_name("namespaced");
  const Listener listener = LISTEN(PipeRequest(name));
  const PipePair pair = ConnectPipes(listener, client());
  require_ok(listener.close());
  EXPECT_THAT(server(2).call(PipeRequest(name).as("none")), StatusIs("in_use"));
  EXPECT_THAT(client().call(ConnectByName(name).wait(false).as("none")), StatusIs("busy"));
  ExpectConnected(pair.client, pair.server);
  CloseBoth(pair);
  const PipePair next = ConnectPipes(ListenPipe(server(2), PipeRequest(name)), client());
  ExpectConnected(next.client, next.server);
}

CTS_CASE(NamedPipeInstance, SquattedNameIsInUse) {
  const LocalName name = fresh_name("namespaced");
  std::unique_ptr<host::BareListener> squatter = host::BareListener::TryMake(kPrefix + name.name);
  ASSERT_NE(squatter, nullptr);
  EXPECT_THAT(server().call(PipeRequest(name).as("none")), StatusIs("in_use"));
  EXPECT_THAT(server().call(PipeRequest(name).same_user(true).as("none")), StatusIs("in_use"));
  squatter.reset();
  const PipePair pair = ConnectPipes(LISTEN(PipeRequest(name)), client());
  ExpectConnected(pair.client, pair.server);
}

CTS_CASE(NamedPipeInstance, KilledServerLeavesNoName) {
  const LocalName name = fresh_name("namespaced");
  Peer &child = spawn(server());
  const Listener listener = ListenPipe(child, PipeRequest(name));
  const PipePair pair = ConnectPipes(listener, client());
  require_ok(pair.server.write("last words"));
  require_ok(server().call(op::process_close().on(child.process_handle())));
  ExpectBytes(pair.client, "last words");
  EXPECT_THAT(pair.client.read(16), Ends(""));
  require_ok(pair.client.close());
  EXPECT_THAT(client().call(ConnectByName(name).as("none")), StatusIs("not_found"));
  const PipePair next = ConnectPipes(LISTEN(PipeRequest(name)), client());
  ExpectConnected(next.client, next.server);
}

// ------------------------------------------------------------------------------------------------ accepting

CTS_CASE(NamedPipeInstance, ConnectSucceedsBeforeAccept) {
  const Listener listener = LISTEN(FRESH_PIPE);
  const NamedPipe early = ConnectPipe(client(), listener);
  EXPECT_THAT(early.write("early"), Accepts("early"));
  const NamedPipe accepted = AcceptPipe(listener);
  ExpectBytes(accepted, "early");
  ExpectConnected(accepted, early);
}

CTS_CASE(NamedPipeInstance, AcceptWaitsForAClient) {
  const Listener listener = LISTEN(FRESH_PIPE);
  for (int i = 0; i < 3; i++) {
    const std::string handle = server().fresh_handle("p");
    Pending accepting = listener.start(op::listener_accept_named_pipe().as(handle).watch());
    accepting.expect_blocked();
    const NamedPipe connected = ConnectPipe(client(), listener);
    EXPECT_THAT(accepting.wait(), IsOk());
    ExpectConnected(connected, NamedPipe(&server(), handle));
  }
}

CTS_CASE(NamedPipeInstance, EachClientHasItsOwnPipe) {
  const Listener listener = LISTEN(FRESH_PIPE);
  std::vector<PipePair> pairs;
  for (int i = 1; i <= 3; i++) pairs.push_back(ConnectPipes(listener, client(i)));
  for (size_t i = 0; i < pairs.size(); i++) require_ok(pairs[i].client.write("client " + std::to_string(i)));
  for (size_t i = pairs.size(); i-- > 0;) {
    ExpectBytes(pairs[i].server, "client " + std::to_string(i));
    require_ok(pairs[i].server.write("server " + std::to_string(i)));
  }
  for (size_t i = 0; i < pairs.size(); i++) ExpectBytes(pairs[i].client, "server " + std::to_string(i));
}

CTS_CASE(NamedPipeInstance, TwoAcceptsTakeTwoClients) {
  const Listener listener = LISTEN(FRESH_PIPE);
  Pending accepting[2];
  accepting[0] = listener.start(op::listener_accept_named_pipe().as("s0").in("l0").watch());
  accepting[0].expect_blocked();
  accepting[1] = listener.start(op::listener_accept_named_pipe().as("s1").in("l1"));
  const NamedPipe clients[2] = {ConnectPipe(client(), listener), ConnectPipe(client(), listener)};
  for (const Pending &each : accepting) EXPECT_THAT(each.wait(), IsOk());
  for (const NamedPipe &each : clients) require_ok(each.write("x"));
  for (const char *handle : {"s0", "s1"}) ExpectBytes(NamedPipe(&server(), handle), "x");
}

CTS_CASE(NamedPipeInstance, ClientThatLeftIsStillAccepted) {
  const Listener listener = LISTEN(FRESH_PIPE);
  for (int i = 0; i < 20; i++) {
    const std::string word = i % 2 == 0 ? "visitor " + std::to_string(i) : "";  // and some say nothing
    const NamedPipe gone = ConnectPipe(client(), listener);
    if (!word.empty()) require_ok(gone.write(word));
    require_ok(gone.close());
    const NamedPipe accepted = AcceptPipe(listener);
    ExpectBytes(accepted, word);
    EXPECT_THAT(accepted.read(16), Ends(""));
    EXPECT_THAT(accepted.write("nobody reads"), StatusIs("broken_pipe"));
    require_ok(accepted.close());
    if (HasFailure()) return;
  }
  const PipePair stays = ConnectPipes(listener, client());
  ExpectConnected(stays.client, stays.server);
}

CTS_CASE(NamedPipeInstance, ClientsThatLeftTogetherAreAccepted) {
  const Listener listener = LISTEN(FRESH_PIPE.backlog(4));
  for (int round = 0; round < 8; round++) {
    int visitors = 0;
    for (; visitors < 4; visitors++) {  // how many there is room for is the library's business
      const std::string handle = client().fresh_handle("p");
      const Reply reply = client().call(ConnectNow(listener).as(handle));
      if (reply.status() == "busy") break;
      require_ok(reply);
      const NamedPipe visitor(&client(), handle);
      require_ok(visitor.write("visitor " + std::to_string(visitors)));
      require_ok(visitor.close());
    }
    ASSERT_GT(visitors, 0);
    for (int i = 0; i < visitors; i++) {
      const NamedPipe accepted = AcceptPipe(listener);
      ExpectBytes(accepted, "visitor " + std::to_string(i));
      EXPECT_THAT(accepted.read(16), Ends(""));
      require_ok(accepted.close());
      if (HasFailure()) return;
    }
    EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block"));
  }
  const PipePair stays = ConnectPipes(listener, client());
  ExpectConnected(stays.client, stays.server);
}

CTS_CASE(NamedPipeInstance, AcceptWithoutWaitingWouldBlock) {
  const Listener listener = LISTEN(FRESH_PIPE);
  for (int i = 0; i < 2; i++) EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block"));
  const NamedPipe connected = ConnectPipe(client(), listener);
  EXPECT_THAT(listener.call(AcceptNow().as("one")), IsOk());
  ExpectConnected(connected, NamedPipe(&server(), "one"));
  EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block"));
}

CTS_CASE(NamedPipeInstance, NonblockingListenerDoesNotWait) {
  const Listener listener = LISTEN(FRESH_PIPE);
  require_ok(listener.call(op::listener_set_nonblocking().nonblocking(true)));
  EXPECT_THAT(listener.call(op::listener_accept_named_pipe().as("none")), StatusIs("would_block"));
  const NamedPipe connected = ConnectPipe(client(), listener);
  const NamedPipe accepted = AcceptPipe(listener);
  Pending reading = accepted.start(ReadPipe(16).watch());
  reading.expect_blocked();  // the pipe waits although its listener does not
  require_ok(connected.write("waited"));
  EXPECT_THAT(reading.wait(), Reads("waited"));
  require_ok(listener.call(op::listener_set_nonblocking().nonblocking(false)));
  Pending accepting = listener.start(op::listener_accept_named_pipe().as("second").watch());
  accepting.expect_blocked();
  const NamedPipe second = ConnectPipe(client(), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
}

CTS_CASE(NamedPipeInstance, AcceptTimesOut) {
  const Listener listener = LISTEN(FRESH_PIPE);
  for (int i = 0; i < 2; i++) {
    const Stopwatch watch;
    EXPECT_THAT(listener.call(op::listener_accept_named_pipe().as("none").timeout_ms(kTimeoutMs)),
                StatusIs("timed_out"));
    ExpectWaited(watch, kTimeoutMs);
  }
  const NamedPipe connected = ConnectPipe(client(), listener);
  EXPECT_THAT(listener.call(op::listener_accept_named_pipe().as("one").timeout_ms(kLongMs)), IsOk());
  ExpectConnected(connected, NamedPipe(&server(), "one"));
}

CTS_CASE(NamedPipeInstance, AcceptWaitsWhileEveryInstanceIsConnected) {
  const Listener listener = LISTEN(FRESH_PIPE.instances_max(1));
  const PipePair pair = ConnectPipes(listener, client());
  const Stopwatch watch;
  EXPECT_THAT(listener.call(op::listener_accept_named_pipe().as("none").timeout_ms(kTimeoutMs)), StatusIs("timed_out"));
  ExpectWaited(watch, kTimeoutMs);
  Pending accepting = listener.start(op::listener_accept_named_pipe().as("next").in("l"));
  ExpectConnected(pair.client, pair.server);
  CloseBoth(pair);
  const NamedPipe next = ConnectPipe(client(), listener);
  EXPECT_THAT(accepting.wait(), IsOk());
  ExpectConnected(next, NamedPipe(&server(), "next"));
}

CTS_CASE(NamedPipeInstance, CloseEndsAWaitingAccept) {
  const LocalName name = fresh_name("namespaced");
  const Listener listener = LISTEN(PipeRequest(name));
  Pending accepting = listener.start(op::listener_accept_named_pipe().as("never").watch());
  accepting.expect_blocked();
  EXPECT_THAT(listener.call(op::listener_close().in("b")), IsOk());
  EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
  const PipePair next = ConnectPipes(LISTEN(PipeRequest(name)), client());
  ExpectConnected(next.client, next.server);
}

CTS_CASE(NamedPipeInstance, CloseNeedsNoAccept) {
  const LocalName name = fresh_name("namespaced");
  for (int i = 0; i < 50; i++) {
    const Listener listener = LISTEN(PipeRequest(name));
    ASSERT_THAT(listener.close(), IsOk());
  }
  const PipePair next = ConnectPipes(LISTEN(PipeRequest(name)), client());
  ExpectConnected(next.client, next.server);
}

CTS_CASE(NamedPipeInstance, CloseAmongClientsEnds) {
  for (int round = 0; round < 40; round++) {
    const Listener listener = LISTEN(FRESH_PIPE);
    Pending accepting = listener.start(op::listener_accept_named_pipe().as(server().fresh_handle("p")).in("l").watch());
    accepting.expect_blocked();
    const NamedPipe late(&client(), client().fresh_handle("p"));
    Pending connecting = client().start(ConnectNow(listener).as(late.handle()));
    ASSERT_THAT(listener.close(), IsOk());
    const Reply connected = connecting.wait(), accepted = accepting.wait();
    ASSERT_THAT(connected, StatusIsOneOf({"ok", "busy", "not_found"}));
    ASSERT_THAT(accepted, StatusIsOneOf({"ok", "cancelled"}));
    if (connected.ok() && !accepted.ok()) {
      ASSERT_THAT(late.read(16), Ends("")) << "nobody accepted it";
    }
  }
  // Which of these it was is the scheduler's; without an accept it is certain. (Who makes an instance only to accept
  // has none to connect to.)
  const Listener listener = LISTEN(FRESH_PIPE);
  const NamedPipe late(&client(), client().fresh_handle("p"));
  const Reply connected = client().call(ConnectNow(listener).as(late.handle()));
  ASSERT_THAT(connected, StatusIsOneOf({"ok", "busy"}));
  require_ok(listener.close());
  if (connected.ok()) EXPECT_THAT(late.read(16), Ends("")) << "nobody accepted it";
}

CTS_CASE(NamedPipeInstance, ListenerCloseLeavesAcceptedPipes) {
  const PipePair pair = ConnectPipes(LISTEN(FRESH_PIPE), client());
  Pending reading = pair.server.start(ReadPipe(16).watch());
  reading.expect_blocked();
  EXPECT_THAT(pair.listener.call(op::listener_close().in("b")), IsOk());
  reading.expect_blocked();
  require_ok(pair.client.write("ping"));
  EXPECT_THAT(reading.wait(), Reads("ping"));
  ExpectConnected(pair.server, pair.client);
}

CTS_CASE(NamedPipeInstance, ListenerCloseEndsWaitingConnections) {
  const Listener listener = LISTEN(FRESH_PIPE);
  const NamedPipe waiting = ConnectPipe(client(), listener);
  require_ok(listener.close());
  for (int i = 0; i < 2; i++) EXPECT_THAT(waiting.read(16), Ends(""));
  EXPECT_THAT(waiting.write("nobody reads"), StatusIs("broken_pipe"));
}

CTS_CASE(NamedPipeInstance, ListenersOfStreamsAreOthers) {
  const Listener pipes = LISTEN(FRESH_PIPE);
  const Listener streams = listen(server(), fresh_name("namespaced"));
  const NamedPipe to_pipes = ConnectPipe(client(), pipes);
  const NamedPipe to_streams = ConnectPipe(client(), streams);
  EXPECT_THAT(pipes.call(op::listener_accept().as("none")), StatusIs("unsupported"));
  EXPECT_THAT(streams.call(op::listener_accept_named_pipe().as("none")), StatusIs("unsupported"));
  ExpectConnected(to_pipes, AcceptPipe(pipes));
  const Stream stream = streams.accept();
  require_ok(to_streams.write("ping"));
  EXPECT_THAT(stream.read_exact(4), Reads("ping"));
  require_ok(stream.write("pong"));
  ExpectBytes(to_streams, "pong");
}

CTS_CASE(NamedPipeInstance, LocalSocketReachesAPipe) {
  const Listener listener = LISTEN(FRESH_PIPE);
  const std::string handle = server().fresh_handle("p");
  Pending accepting = listener.start(op::listener_accept_named_pipe().as(handle));
  const Stream stream = connect(client(), listener);
  require_ok(accepting.wait());
  const NamedPipe accepted(&server(), handle);
  require_ok(stream.write("ping"));
  ExpectBytes(accepted, "ping");
  require_ok(accepted.write("pong"));
  EXPECT_THAT(stream.read_exact(4), Reads("pong"));
  require_ok(accepted.close());
  EXPECT_THAT(stream.read(16), Ends(""));
}

// ---------------------------------------------------------------------------------- who and what the ends are

CTS_CASE(NamedPipeInstance, EndsKnowEachOther) {
  const Listener listener = LISTEN(FRESH_PIPE);
  for (int i = 1; i <= 2; i++) {
    const PipePair pair = ConnectPipes(listener, client(i));
    const Reply of_client = pair.server.call(op::named_pipe_peer()),
                of_server = pair.client.call(op::named_pipe_peer());
    EXPECT_EQ(require_ok(of_client).number("pid"), static_cast<uint64_t>(client(i).offer().pid));
    EXPECT_EQ(require_ok(of_server).number("pid"), static_cast<uint64_t>(server().offer().pid));
    EXPECT_EQ(of_client.number("session"), of_server.number("session")) << "they run in one session";
    require_ok(pair.client.close());
    EXPECT_EQ(require_ok(pair.server.call(op::named_pipe_peer())).number("pid"),
              static_cast<uint64_t>(client(i).offer().pid))
        << "it is forgotten when the other end has closed";
  }
}

CTS_CASE(NamedPipeInstance, InfoTellsWhatTheEndsAre) {
  for (const char *type : {"bytes", "messages"}) {
    const Listener listener = LISTEN(FRESH_PIPE.type(type).instances_max(7).in_size(4096).out_size(8192));
    const PipePair pair = ConnectPipes(listener, client());
    for (const NamedPipe &end : {pair.server, pair.client}) {
      const Reply info = require_ok(end.call(op::named_pipe_info()));
      const bool is_server = end.handle() == pair.server.handle() && &end.peer() == &server();
      EXPECT_EQ(info.text("end"), is_server ? "server" : "client");
      EXPECT_EQ(info.text("type"), type);
      EXPECT_EQ(info.text("read_mode"), is_server ? type : "bytes");
      EXPECT_EQ(info.number("instances_max"), 7u);
      EXPECT_EQ(info.number("in_size"), 4096u) << "at the " << info.text("end");
      EXPECT_EQ(info.number("out_size"), 8192u) << "at the " << info.text("end");
    }
  }
}

CTS_CASE(NamedPipeInstance, EveryDirectionConnects) {
  const bool outbound = shape("writer") == "server";
  const std::string direction = shape("direction") == "duplex" ? "duplex" : outbound ? "outbound" : "inbound";
  const Listener listener = LISTEN(FRESH_PIPE.direction(direction));
  const PipePair pair = ConnectPipes(listener, client(), ConnectRequest(listener).direction(direction));
  for (const NamedPipe &end : {pair.server, pair.client}) {
    EXPECT_EQ(require_ok(end.call(op::named_pipe_info())).text("type"), "bytes");
    EXPECT_THAT(end.call(op::named_pipe_peer()), IsOk());
  }
  const NamedPipe &writer = outbound ? pair.server : pair.client, &reader = outbound ? pair.client : pair.server;
  require_ok(writer.write("through"));
  ExpectBytes(reader, "through");
  require_ok(writer.close());
  EXPECT_THAT(reader.read(16), Ends(""));
}

CTS_CASE(NamedPipeInstance, WrongDirectionIsDenied) {
  const std::string &direction = shape("direction");
  const Listener listener = LISTEN(FRESH_PIPE.direction(direction));
  for (const char *asked : {"duplex", direction == "inbound" ? "outbound" : "inbound"}) {
    EXPECT_THAT(client().call(ConnectRequest(listener).direction(asked).as("none")), StatusIs("permission_denied"))
        << asked;
  }
  EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block")) << "a refused client was taken";
  const PipePair pair = ConnectPipes(listener, client(), ConnectRequest(listener).direction(direction));
  EXPECT_THAT(pair.client.call(op::named_pipe_peer()), IsOk());
}

CTS_CASE(NamedPipeInstance, ClientCanDoWithOneDirection) {
  const Listener listener = LISTEN(FRESH_PIPE);
  const PipePair inbound = ConnectPipes(listener, client(), ConnectRequest(listener).direction("inbound"));
  require_ok(inbound.client.write("up"));
  ExpectBytes(inbound.server, "up");
  EXPECT_THAT(inbound.client.read(16), StatusIs("unsupported"));
  const PipePair outbound = ConnectPipes(listener, client(), ConnectRequest(listener).direction("outbound"));
  require_ok(outbound.server.write("down"));
  ExpectBytes(outbound.client, "down");
  EXPECT_THAT(outbound.client.write("wrong way"), StatusIs("unsupported"));
}

CTS_CASE(NamedPipeInstance, SameUserIsServed) {
  const Listener listener = LISTEN(FRESH_PIPE.same_user(true));
  for (int i = 1; i <= 2; i++) {
    const PipePair pair = ConnectPipes(listener, client(i));
    ExpectConnected(pair.client, pair.server);
  }
}

CTS_CASE(NamedPipeInstance, ForeignUserIsNeverAccepted) {
  const Listener listener = LISTEN(FRESH_PIPE.same_user(true));
  host::ForeignClient foreign(listener.native(), "stream");
  EXPECT_NE(foreign.Connect(), "connected");
  EXPECT_THAT(listener.call(AcceptNow().as("none")), StatusIs("would_block"));
  const PipePair pair = ConnectPipes(listener, client());
  ExpectConnected(pair.client, pair.server);
}

// ------------------------------------------------------------------------------------------------ handles

CTS_CASE(NamedPipeInstance, DuplicateWorksInAnotherProcess) {
  const PipePair pair = ConnectPipes(LISTEN(FRESH_PIPE), client());
  const bool of_server = shape("writer") == "server";
  const NamedPipe &end = of_server ? pair.server : pair.client, &other = of_server ? pair.client : pair.server;
  Peer &taker = of_server ? server(2) : client(2);
  const Reply given = end.call(op::named_pipe_duplicate().pid(static_cast<uint64_t>(taker.offer().pid)));
  require_ok(taker.call(op::named_pipe_adopt().raw(require_ok(given).raw()).as("taken")));
  const NamedPipe taken(&taker, "taken");
  ExpectConnected(taken, other);
  ExpectConnected(end, other);
  require_ok(end.close());
  ExpectConnected(taken, other);
  EXPECT_EQ(require_ok(taken.call(op::named_pipe_info())).text("end"), of_server ? "server" : "client");
  require_ok(taken.close());
  EXPECT_THAT(other.read(16), Ends("")) << "something still holds that end";
}

CTS_CASE(NamedPipeInstance, DuplicateIntoNobodyIsNoSuchProcess) {
  const PipePair pair = ConnectPipes(LISTEN(FRESH_PIPE), client());
  for (const NamedPipe &end : {pair.server, pair.client}) {
    EXPECT_THAT(end.call(op::named_pipe_duplicate().pid(kNobody)), StatusIs("no_such_process"));
  }
  ExpectConnected(pair.server, pair.client);
}

CTS_CASE(NamedPipeInstance, ReleasedPipeCanBeAdopted) {
  const Listener listener = LISTEN(FRESH_PIPE.type("messages"));
  const PipePair pair = ConnectPipes(listener, client(), ConnectRequest(listener).read_mode("messages"));
  const bool of_server = shape("writer") == "server";
  const NamedPipe &end = of_server ? pair.server : pair.client, &other = of_server ? pair.client : pair.server;
  require_ok(end.write("before"));
  require_ok(other.write("waits"));
  require_ok(other.write("too"));
  const Reply released = end.call(op::named_pipe_release());
  EXPECT_EQ(require_ok(released).raw().kind, "handle");
  require_ok(end.peer().call(op::named_pipe_adopt().raw(released.raw()).as("adopted")));
  const NamedPipe adopted(&end.peer(), "adopted");
  EXPECT_THAT(other.read(64), Reads("before"));
  EXPECT_THAT(adopted.read(64), Reads("waits"));
  EXPECT_THAT(adopted.read(64), Reads("too"));
  require_ok(adopted.write("after"));
  EXPECT_THAT(other.read(64), Reads("after"));
  const Reply info = require_ok(adopted.call(op::named_pipe_info()));
  EXPECT_EQ(info.text("end"), of_server ? "server" : "client");
  EXPECT_EQ(info.text("read_mode"), "messages");
  require_ok(adopted.close());
  EXPECT_THAT(other.read(64), Ends("")) << "something still holds that end";
}

CTS_CASE(NamedPipeInstance, AdoptRefusesWhatIsNoPipe) {
  const PipePair pair = ConnectPipes(LISTEN(FRESH_PIPE), client());
  const Raw raw = require_ok(pair.client.call(op::named_pipe_raw())).raw();
  EXPECT_EQ(raw.kind, "handle");
  for (const Raw &wrong : {Raw{"handle", "0"}, Raw{"handle", "18446744073709551615"}, Raw{"handle", "1073741824"},
                           Raw{"fd", raw.value}, Raw{"socket", raw.value}}) {
    EXPECT_THAT(client().call(op::named_pipe_adopt().raw(wrong).as("none")), StatusIs("invalid_argument"))
        << wrong.kind << " " << wrong.value;
  }
  ExpectConnected(pair.client, pair.server);
}

CTS_CASE(NamedPipeInstance, NothingIsInherited) {
  const LocalName name = fresh_name("namespaced");
  const Listener listener = LISTEN(PipeRequest(name));
  const PipePair first = ConnectPipes(listener, client()), second = ConnectPipes(listener, client());
  Peer &server_child = spawn(server()), &client_child = spawn(client());
  require_ok(first.server.close());
  EXPECT_THAT(first.client.read(16), Ends("")) << "a child holds the server's end";
  require_ok(second.client.close());
  EXPECT_THAT(second.server.read(16), Ends("")) << "a child holds the client's end";
  require_ok(first.client.close());
  require_ok(second.server.close());
  require_ok(listener.close());
  // Both children live, and nothing of the pipe does.
  EXPECT_THAT(server_child.call(WaitRequest(name)), StatusIs("not_found")) << "a child holds the listener";
  EXPECT_THAT(client_child.call(WaitRequest(name)), StatusIs("not_found"));
}

}  // namespace cts
