// Feature gates: spec/feature_gates.md.
#include <set>

#include "conformance/cases/common.h"

namespace cts {
namespace {

/// Sends a bare line, as requests for what is not offered have to be, and waits for the answer.
Reply Ask(Peer &peer, Json request, uint64_t number) {
  const uint64_t id = (1u << 30) + number;
  request["id"] = id;
  return peer.send_line(request.dump() + "\n", id).wait();
}

/// The part of a name before its last point: "" if there is none.
std::string Stem(const std::string &name) {
  const size_t point = name.rfind('.');
  return point == std::string::npos ? "" : name.substr(0, point);
}

std::set<std::string> Names(const Reply &hello, const char *key) {
  return hello.json().at(key).get<std::set<std::string>>();
}

}  // namespace

CTS_CASE(FeatureGates, WhatIsNotOfferedIsUnsupported) {
  uint64_t number = 0, asked = 0;
  for (const Defined &operation : Definition()) {
    if (peer().offers(operation.name)) continue;
    const Json request = {{"op", operation.name}, {"on", "nobody"}};
    EXPECT_THAT(Ask(peer(), request, ++number), StatusIs("unsupported")) << operation.name;
    asked++;
  }
  EXPECT_GT(asked, 0u) << "everything is offered, on a system that cannot have it all";
  EXPECT_TRUE(peer().Reset());
}

CTS_CASE(FeatureGates, SingleAttemptsAreOfferedOrUnsupported) {
  Listener listener = listen(peer(), fresh_name());
  const Json request = {{"op", "listener.accept"}, {"on", listener.handle()}, {"as", "none"}, {"wait", false}};
  EXPECT_THAT(Ask(peer(), request, 1), StatusIs(peer().offers("wait") ? "would_block" : "unsupported"));
  connect(peer(), listener);
  listener.accept();
}

CTS_CASE(FeatureGates, TimeoutsAreOfferedOrUnsupported) {
  Listener listener = listen(peer(), fresh_name());
  const Json request = {
      {"op", "listener.accept"}, {"on", listener.handle()}, {"as", "none"}, {"timeout_ms", kTimeoutMs}};
  const bool offered = peer().offers("listener.accept.timeout");
  EXPECT_THAT(Ask(peer(), request, 1), StatusIs(offered ? "timed_out" : "unsupported"));
  connect(peer(), listener);
  listener.accept();
}

CTS_CASE(FeatureGates, HandlesCanBeClosed) {
  for (const Defined &operation : Definition()) {
    if (!peer().offers(operation.name)) continue;
    for (const std::string &kind : operation.makes) {
      EXPECT_TRUE(peer().offers(kind + ".close")) << operation.name << " makes what cannot be closed";
    }
  }
}

CTS_CASE(FeatureGates, FeaturesHaveTheirOperation) {
  for (const std::string &feature : peer().offer().features) {
    bool known = false, offered = false;
    for (const Defined &operation : Definition()) {
      if (operation.name != Stem(feature) && operation.features.count(feature) == 0) continue;
      known = true;
      offered = offered || peer().offers(operation.name);
    }
    EXPECT_TRUE(offered || !known) << feature << " is offered, and no operation that has it";
  }
}

CTS_CASE(FeatureGates, OfferStaysTheSame) {
  const Json request = {{"op", "hello"}, {"protocol", 1}, {"lane", "control"}};
  const Reply first = Ask(peer(), request, 1);
  require_ok(first);
  listen(peer(), fresh_name());
  const Reply second = Ask(peer(), request, 2);
  EXPECT_TRUE(peer().Reset());
  for (const Reply &later : {second, Ask(peer(), request, 3)}) {
    require_ok(later);
    for (const char *key : {"operations", "features", "modes"}) EXPECT_EQ(Names(later, key), Names(first, key)) << key;
  }
}

}  // namespace cts
