// Requirements on peers: spec/peer_protocol.md, section 9.
#include <random>

#include "conformance/support/case.h"
#include "conformance/support/host.h"

namespace cts {
namespace {

/// A request for an operation that does not exist.
struct Unknown : Request {
  explicit Unknown(const std::string &operation) : Request(operation) {}
};

/// A request with a key that does not exist.
struct ResetWithMore : Request {
  ResetWithMore() : Request("reset") { set("x-unknown", true, ""); }
};

std::string RandomOperation(uint64_t salt) {
  std::mt19937_64 random(salt);
  std::string name = "x";
  for (int i = 0; i < 12; i++) name += static_cast<char>('a' + random() % 26);
  return name + ".unknown";
}

/// A reset with a key that does not exist, nested `depth` deep, the request itself among it.
std::string NestedReset(uint64_t id, size_t depth, const std::string &innermost) {
  return "{\"id\":" + std::to_string(id) + ",\"op\":\"reset\",\"x-unknown\":" + std::string(depth - 1, '[') +
         innermost + std::string(depth - 1, ']') + "}\n";
}

}  // namespace

CTS_CASE(PeerProtocol, UnknownOperationIsUnsupported) {
  std::string operation = RandomOperation(static_cast<uint64_t>(NowUs()));
  std::string line = Json{{"id", 1u << 30}, {"op", operation}}.dump();
  EXPECT_THAT(peer().send_line(line + "\n", 1u << 30).wait(), StatusIs("unsupported")) << operation;
  EXPECT_TRUE(peer().Reset());
}

CTS_CASE(PeerProtocol, GarbageLineIsAnswered) {
  for (const char *line :
       {"garbage\n", "[1,2]\n", "{\"id\":1.5,\"op\":\"reset\"}\n", "{\"id\":7\n", "{}\n", "\xff\xfe\n"}) {
    EXPECT_THAT(peer().send_line(line, 0).wait(), StatusIs("invalid_argument")) << Printable(line);
  }
  EXPECT_TRUE(peer().Reset());
}

CTS_CASE(PeerProtocol, OverlongLineIsAnswered) {
  std::string line = "{\"id\":1,\"op\":\"reset\",\"x\":\"" + std::string(1 << 20, 'x') + "\"}\n";
  EXPECT_THAT(peer().send_line(line, 0).wait(), StatusIs("invalid_argument"));
  EXPECT_TRUE(peer().Reset());
}

CTS_CASE(PeerProtocol, NestingOf8IsTaken) {
  for (const char *innermost : {"", "true"})
    EXPECT_THAT(peer().send_line(NestedReset(1u << 30, 8, innermost), 1u << 30).wait(), IsOk()) << innermost;
}

CTS_CASE(PeerProtocol, DeeperNestingIsAnswered) {
  for (const size_t depth : {9, 30000}) {
    for (const char *innermost : {"", "true"}) {
      EXPECT_THAT(peer().send_line(NestedReset(1, depth, innermost), 0).wait(), StatusIs("invalid_argument")) << depth;
    }
  }
  EXPECT_TRUE(peer().Reset());
}

CTS_CASE(PeerProtocol, UnknownKeysAreIgnored) { EXPECT_THAT(peer().call(ResetWithMore()), IsOk()); }

CTS_CASE(PeerProtocol, MissingArgumentIsInvalidArgument) {
  EXPECT_THAT(peer().call(op::local_connect().as("s1").kind("path")), StatusIs("invalid_argument"));
  EXPECT_THAT(peer().call(op::local_connect().as("s1").name("x").kind("no_such_kind")), StatusIs("invalid_argument"));
  EXPECT_THAT(peer().call(op::local_connect().kind("path").name("x")), StatusIs("invalid_argument"));
}

CTS_CASE(PeerProtocol, UnknownHandleIsInvalidArgument) {
  EXPECT_THAT(peer().call(op::stream_close().on("nobody")), StatusIs("invalid_argument"));
}

CTS_CASE(PeerProtocol, TakenHandleNameIsInvalidArgument) {
  LocalName first = fresh_name(), second = fresh_name();
  require_ok(peer().call(listen_request(first).as("taken")));
  EXPECT_THAT(peer().call(listen_request(second).as("taken")), StatusIs("invalid_argument"));
  EXPECT_THAT(peer().call(listen_request(second).as("free")), IsOk());
}

CTS_CASE(PeerProtocol, FailedOperationMakesNoHandle) {
  LocalName nobody = fresh_name();
  for (int i = 0; i < 2; i++) {
    Reply reply = peer().call(connect_request(nobody).as("s1"));
    EXPECT_THAT(reply, Fails());
    EXPECT_NE(reply.status(), "invalid_argument") << "the name of the handle is still taken";
  }
  EXPECT_THAT(peer().call(op::stream_close().on("s1")), StatusIs("invalid_argument"));
}

CTS_CASE(PeerProtocol, ResetClosesEverything) {
  LocalName name = fresh_name();
  Listener listener = listen(peer(), name);
  EXPECT_TRUE(peer().Reset());
  EXPECT_THAT(peer().call(connect_request(listener).as("s1")), Fails());
  EXPECT_THAT(peer().call(listen_request(name).as(listener.handle())), IsOk());
}

CTS_CASE(PeerProtocol, ResetClosesWhatCame) {
  const size_t before = host::DescriptorsOf(server().offer().pid).size();
  Pair pair = connected_pair();
  const Reply raw = pair.client.call(op::stream_raw());
  ASSERT_THAT(raw, IsOk());
  const std::vector<uint64_t> sent(5, std::stoull(raw.raw().value));
  require_ok(pair.client.call(op::stream_write_ancillary().data("x").descriptors(sent)));
  require_ok(pair.server.call(op::stream_read_ancillary().max(1).descriptors_max(5)));
  EXPECT_GE(host::DescriptorsOf(server().offer().pid).size(), before + 5);
  EXPECT_TRUE(server().Reset());
  EXPECT_LE(host::DescriptorsOf(server().offer().pid).size(), before);
}

CTS_CASE(PeerProtocol, ResetEndsWhatWaits) {
  Listener listener = listen(peer(), fresh_name());
  Pending accepting = listener.start_accept("s1");
  accepting.expect_blocked();
  EXPECT_TRUE(peer().Reset());
  EXPECT_THAT(accepting.wait(), StatusIs("cancelled"));
}

CTS_CASE(PeerProtocol, LanesDoNotDelayEachOther) {
  Listener listener = listen(peer(), fresh_name());
  listener.start_accept("s1", "a").expect_blocked();
  EXPECT_THAT(peer().call(listen_request(fresh_name()).as("other").in("b")), IsOk());
}

CTS_CASE(PeerProtocol, EndOfInputEndsThePeer) {
  Listener listener = listen(peer(), fresh_name());
  listener.start_accept("s1").expect_blocked();
  std::unique_ptr<Exit> exit = peer().End();
  ASSERT_NE(exit, nullptr) << "it went on";
  EXPECT_FALSE(exit->by_signal) << exit->describe();
  EXPECT_EQ(exit->code, 0) << exit->describe();
}

CTS_CASE(PeerProtocol, ChildIsAPeerOfItsOwn) {
  Peer &child = spawn(peer());
  EXPECT_NE(child.offer().pid, peer().offer().pid);
  EXPECT_THAT(child.call(op::process_wait().on(child.process_handle())), StatusIs("invalid_argument"));
  Pending here = peer().start(listen_request(fresh_name()).as("same"));
  Pending there = child.start(listen_request(fresh_name()).as("same"));
  EXPECT_THAT(there.wait(), IsOk());
  EXPECT_THAT(here.wait(), IsOk());
}

CTS_CASE(PeerProtocol, WaitTellsHowTheChildEnded) {
  Peer &child = spawn(peer());
  Pending waiting = peer().start(op::process_wait().on(child.process_handle()).watch());
  waiting.expect_blocked();
  ASSERT_NE(child.End(), nullptr) << "it went on";
  EXPECT_EQ(require_ok(waiting.wait()).number("code"), 0u);
  EXPECT_EQ(require_ok(peer().call(op::process_wait().on(child.process_handle()))).number("code"), 0u);
  Peer &killed = spawn(peer());
  host::KillProcess(killed.offer().pid);
  const Reply reply = peer().call(op::process_wait().on(killed.process_handle()));
  EXPECT_EQ(require_ok(reply).text("signal"), "KILL");
  EXPECT_FALSE(reply.has("code"));
}

CTS_CASE(PeerProtocol, ClosingAProcessKillsIt) {
  Peer &child = spawn(peer());
  Pending waiting = peer().start(op::process_wait().on(child.process_handle()).in("w").watch());
  waiting.expect_blocked();
  EXPECT_THAT(peer().call(op::process_close().on(child.process_handle()).in("c")), IsOk());
  EXPECT_EQ(Beginning(child.offer().pid), "") << "it lives on";
  EXPECT_FALSE(IsDescendant(child.offer().pid, peer().offer().pid)) << "it has not been reaped";
  EXPECT_THAT(waiting.wait(), StatusIs("cancelled"));
  EXPECT_THAT(peer().call(op::process_close().on(child.process_handle())), StatusIs("invalid_argument"));
}

CTS_CASE(PeerProtocol, ResetEndsChildren) {
  Peer &child = spawn(peer());
  Pending waiting = peer().start(op::process_wait().on(child.process_handle()).watch());
  waiting.expect_blocked();
  EXPECT_TRUE(peer().Reset());
  EXPECT_THAT(waiting.wait(), StatusIs("cancelled"));
  EXPECT_EQ(Beginning(child.offer().pid), "") << "it lives on";
}

CTS_CASE(PeerProtocol, ChildEndsWithItsInput) {
  Peer &child = spawn(peer());
  Listener listener = listen(child, fresh_name());
  listener.start_accept("s1").expect_blocked();
  ASSERT_NE(child.End(), nullptr) << "it went on";
  EXPECT_EQ(require_ok(peer().call(op::process_wait().on(child.process_handle()))).number("code"), 0u);
}

}  // namespace cts
