// peer_test.cc - the generic peer with a library: PEER LIBRARY are the arguments. What the library must do is the
// cases' matter; here it is how the peer reaches it in each mode.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <regex>
#include <string>
#include <thread>

#include "conformance/kits/c/tests/line_peer.h"
#ifndef _WIN32
#include <signal.h>

#include "conformance/support/process.h"
#endif

namespace {

std::string peer_path, library_path;

// A peer with one listener `l`, a connection `c` to it, and its accepted end `s`; all in lane a.
class PeerTest : public testing::TestWithParam<const char *> {
 protected:
  PeerTest() : peer_({peer_path, "--library", library_path}) {}

  // Sends a request with the next id and returns the next line, without the id if it is that of the request, and
  // without the error number, which decides nothing.
  std::string ask(const std::string &rest) {
    send(rest);
    return own_line();
  }
  void send(const std::string &rest) { peer_.send("{\"id\":" + std::to_string(++id_) + "," + rest + "}"); }
  std::string own_line() {
    const std::string line = std::regex_replace(peer_.line(), std::regex(",\"error\":[0-9]+"), "");
    const std::string head = "{\"id\":" + std::to_string(id_) + ",";
    return line.compare(0, head.size(), head) == 0 ? "{" + line.substr(head.size()) : line;
  }
  static std::string reply(const std::string &rest) { return "{" + rest + "}"; }
  static std::string reply_of(int id, const std::string &rest) {
    return "{\"id\":" + std::to_string(id) + "," + rest + "}";
  }

  void connect() {
    ASSERT_NE(ask(R"("op":"configure","mode":")" + std::string(GetParam()) + "\"").find("\"ok\""), std::string::npos);
    std::random_device random;
    const std::string name = "cts-peer-test-" + std::to_string(random()) + "-" + std::to_string(random());
    ASSERT_NE(ask(R"("op":"local.listen","as":"l","kind":"namespaced","name":")" + name + "\"").find("\"ok\""),
              std::string::npos);
    ASSERT_EQ(ask(R"("op":"local.connect","as":"c","kind":"namespaced","name":")" + name + "\""),
              reply(R"("status":"ok")"));
    ASSERT_EQ(ask(R"("op":"listener.accept","on":"l","as":"s")"), reply(R"("status":"ok")"));
  }

  // Starts a request in lane b and waits until the library or the kit waits for it in the system. Returns its id.
  int start(const std::string &rest) {
    const std::string begun = ask(rest + R"(,"lane":"b","watch":true)"), key = "\"tid\":";
    const int id = id_;
    const size_t at = begun.find(key);
    EXPECT_NE(at, std::string::npos) << begun;
    if (at == std::string::npos) return id;
    const int thread = std::stoi(begun.substr(at + key.size()));
    while (!HasFailure() && !waits(id, thread)) continue;
    return id;
  }

#ifdef _WIN32
  bool waits(int id, int) { return asked_in_vain(id); }
#else
  bool waits(int, int thread) { return is_blocked(thread); }
#endif

  // Tells whether `pending` shows that the request waits by asking again.
  bool asked_in_vain(int id) {
    const std::string pending = ask(R"("op":"pending")"), key = R"("would_block":[)";
    const size_t at = pending.find(key);
    return at != std::string::npos && pending.find(std::to_string(id), at) != std::string::npos;
  }

#ifndef _WIN32
  // Tells whether the thread sleeps in the system, and has done nothing else between two looks.
  bool is_blocked(int thread) const {
    const cts::ThreadState first = cts::InspectThread(peer_.pid(), thread);
    const cts::ThreadState second = cts::InspectThread(peer_.pid(), thread);
    for (const cts::ThreadState &state : {first, second}) {
      EXPECT_TRUE(state.known);
      if (!state.sleeping || state.waits_elsewhere) return !state.known;
    }
    return first.counters == second.counters;
  }
#endif

  int id_ = 0;
  LinePeer peer_;
};

TEST_P(PeerTest, CloseEndsTheReadUnderWayAndRepliesAfterIt) {
  connect();
  int read = start(R"("op":"stream.read","on":"c","until":"some")");
  EXPECT_EQ(ask(R"("op":"stream.close","on":"c")"),
            reply_of(read, R"("status":"cancelled","length":0,"crc32":0,"data":"")"));
  EXPECT_EQ(own_line(), reply(R"("status":"ok")"));
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, AttemptsDoNotDisturbAWaitingRead) {
  connect();
  int read = start(R"("op":"stream.read","on":"c","until":"exact","max":2)");
  for (int i = 0; i < 200; i++) {
    ASSERT_EQ(ask(R"("op":"stream.read","on":"c","until":"some","wait":false)"),
              reply(R"("status":"would_block","length":0,"crc32":0,"data":"")"));
  }
  ask(R"("op":"stream.write","on":"s","data":"h")");
  EXPECT_NE(ask(R"("op":"pending")").find("\"ids\":[" + std::to_string(read) + "]"), std::string::npos);
  send(R"("op":"stream.write","on":"s","data":"i")");
  std::string first = peer_.line(), second = peer_.line();
  EXPECT_NE((first + second).find("\"id\":" + std::to_string(read) + ",\"status\":\"ok\",\"length\":2"),
            std::string::npos);
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, TheSwitchOfAHandleMakesItsCallsAttempts) {
  connect();
  ask(R"("op":"stream.set_nonblocking","on":"c","nonblocking":true)");
  EXPECT_EQ(ask(R"("op":"stream.read","on":"c","until":"some")"),
            reply(R"("status":"would_block","length":0,"crc32":0,"data":"")"));
  ask(R"("op":"stream.set_nonblocking","on":"c","nonblocking":false)");
  EXPECT_EQ(ask(R"("op":"stream.read","on":"c","until":"some","timeout_ms":1)"),
            reply(R"("status":"timed_out","length":0,"crc32":0,"data":"")"));
  start(R"("op":"stream.read","on":"c","until":"some")");
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, ALargeWriteIsRepeatedUntilAllIsAccepted) {
  connect();
  start(R"("op":"stream.write","on":"s","data":{"seed":5,"length":3000000},"buffer":70001)");
  send(R"("op":"stream.read","on":"c","until":"exact","max":3000000)");
  const std::string both = peer_.line() + peer_.line();
  EXPECT_NE(both.find(R"("status":"ok","length":3000000})"), std::string::npos) << both;
  EXPECT_NE(both.find(R"("status":"ok","length":3000000,"crc32":)"), std::string::npos) << both;
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, ResetEndsWhatWaitsAndWhatIsQueued) {
  connect();
  int accept = start(R"("op":"listener.accept","on":"l","as":"x")");
  send(R"("op":"stream.flush","on":"c","lane":"b")");
  int queued = id_;
  send(R"("op":"reset")");
  EXPECT_EQ(peer_.line(), reply_of(queued, R"("status":"cancelled","why":"reset came first")"));
  EXPECT_EQ(peer_.line(), reply_of(accept, R"("status":"cancelled")"));
  EXPECT_EQ(own_line(), reply(R"("status":"ok")"));
  EXPECT_EQ(ask(R"("op":"stream.flush","on":"c")"),
            reply(R"("status":"invalid_argument","why":"no handle has the name in on")"));
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, AReleasedHandleCanBeAdopted) {
  connect();
  std::string released = ask(R"("op":"stream.release","on":"c")");
  size_t at = released.find("\"raw\":");
  ASSERT_NE(at, std::string::npos) << released;
  const std::string raw = released.substr(at, released.size() - at - 1);
  EXPECT_EQ(ask("\"op\":\"stream.adopt\",\"as\":\"d\"," + raw), reply(R"("status":"ok")"));
  ask(R"("op":"stream.write","on":"d","data":"x")");
  EXPECT_EQ(ask(R"("op":"stream.read","on":"s","until":"some")"),
            reply(R"("status":"ok","length":1,"crc32":2363233923,"data":"x")"));
  EXPECT_EQ(peer_.end(), 0);
}

// What only Unix has.
#ifndef _WIN32

TEST_P(PeerTest, ADescriptorThatCameCanBeAdoptedAndResetClosesTheOthers) {
  const auto open_in_peer = [this] {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(peer_.pid()) + "/fd");
    return std::distance(begin(all), end(all));
  };
  ASSERT_EQ(ask(R"("op":"reset")"), reply(R"("status":"ok")"));
  const auto before = open_in_peer();
  connect();
  const std::string raw = ask(R"("op":"stream.raw","on":"c")");
  const size_t at = raw.find(R"("value":")");
  ASSERT_NE(at, std::string::npos) << raw;
  const std::string number = std::to_string(std::stoi(raw.substr(at + 9)));
  ASSERT_EQ(ask(R"("op":"stream.write_ancillary","on":"c","data":"x","descriptors":[)" + number + "," + number + "]"),
            reply(R"("status":"ok","length":1)"));
  const std::string read = ask(R"("op":"stream.read_ancillary","on":"s","max":8,"descriptors_max":64)");
  const size_t list = read.find(R"("descriptors":[)");
  ASSERT_NE(list, std::string::npos) << read;
  const std::string first = std::to_string(std::stoi(read.substr(list + 15)));
  EXPECT_EQ(ask(R"("op":"stream.adopt","as":"d","raw":{"kind":"fd","value":")" + first + "\"}"),
            reply(R"("status":"ok")"));
  ask(R"("op":"stream.write","on":"d","data":"x")");
  EXPECT_EQ(ask(R"("op":"stream.read","on":"s","until":"some")"),
            reply(R"("status":"ok","length":1,"crc32":2363233923,"data":"x")"));
  EXPECT_EQ(ask(R"("op":"reset")"), reply(R"("status":"ok")"));
  EXPECT_EQ(open_in_peer(), before);
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, AncillaryArgumentsAreCheckedBeforeTheLibraryIsAsked) {
  connect();
  for (const char *rest : {
           R"("op":"stream.read_ancillary","on":"c","max":8,"descriptors_max":65)",
           R"("op":"stream.write_ancillary","on":"c","data":"x","descriptors":[2147483648])",
           R"("op":"stream.write_ancillary","on":"c","data":"x","pid":1)",
           R"("op":"stream.write_ancillary","on":"c","data":"x","credentials":false,"uid":0)",
       }) {
    EXPECT_NE(ask(rest).find(R"("status":"invalid_argument")"), std::string::npos) << rest;
  }
  EXPECT_EQ(ask(R"("op":"stream.read_ancillary","on":"s","max":8,"wait":false)"),
            reply(R"("status":"would_block","length":0,"crc32":0,"data":"")"));
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, ALargeWriteWithCredentialsIsRepeatedUntilAllIsAccepted) {
  connect();
  start(R"("op":"stream.write_ancillary","on":"s","data":{"seed":5,"length":3000000},"credentials":true)");
  send(R"("op":"stream.read","on":"c","until":"exact","max":3000000)");
  const std::string both = peer_.line() + peer_.line();
  EXPECT_NE(both.find(R"("status":"ok","length":3000000})"), std::string::npos) << both;
  EXPECT_NE(both.find(R"("status":"ok","length":3000000,"crc32":)"), std::string::npos) << both;
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, ResetEndsAWaitForAHook) {
  connect();
  ask(R"("op":"signal.set_handler","signal":"TERM","action":"hook")");
  for (int round = 0; round < 3; round++) {
    int first = start(R"("op":"signal.hooked","signal":"TERM","at_least":5)");
    send(R"("op":"reset")");
    EXPECT_EQ(peer_.line(), reply_of(first, R"("status":"cancelled","why":"reset came first")"));
    EXPECT_EQ(own_line(), reply(R"("status":"ok")"));
  }
  kill(peer_.pid(), SIGTERM);
  EXPECT_NE(ask(R"("op":"signal.hooked","signal":"TERM","at_least":1)").find(R"("status":"ok","count":1)"),
            std::string::npos);
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, EveryWaitForAHookEnds) {
  connect();
  ask(R"("op":"signal.set_handler","signal":"TERM","action":"hook")");
  ask(R"("op":"signal.set_handler","signal":"HUP","action":"hook")");
  int first = start(R"("op":"signal.hooked","signal":"TERM","at_least":1)");
  send(R"("op":"signal.hooked","signal":"TERM","at_least":1,"lane":"c")");
  int second = id_;
  send(R"("op":"signal.hooked","signal":"HUP","at_least":1,"lane":"d")");
  kill(peer_.pid(), SIGTERM);
  const std::string both = peer_.line() + peer_.line();
  for (int id : {first, second}) {
    EXPECT_NE(both.find("{\"id\":" + std::to_string(id) + ",\"status\":\"ok\""), std::string::npos) << both;
  }
  kill(peer_.pid(), SIGHUP);
  EXPECT_NE(own_line().find(R"("status":"ok","count":1,"signal":"HUP")"), std::string::npos);
  EXPECT_EQ(peer_.end(), 0);
}

// To the library a lane is a thread like any other: signals come to it, and never to a thread of the kit.
TEST_P(PeerTest, LanesLetSignalsInAndTheKitDoesNot) {
  connect();
  start(R"("op":"stream.read","on":"c","until":"some")");
  const std::string tasks = "/proc/" + std::to_string(peer_.pid()) + "/task";
  int open = 0, shut = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  // The main thread may still be about to take the mask back with which it started the reader.
  for (; open != 3 && std::chrono::steady_clock::now() < deadline; std::this_thread::yield()) {
    open = shut = 0;
    for (const auto &entry : std::filesystem::directory_iterator(tasks)) {
      std::ifstream status(entry.path() / "status");
      for (std::string word; status >> word;) {
        if (word != "SigBlk:") continue;
        uint64_t blocked = 0;
        status >> std::hex >> blocked;
        ((blocked >> (SIGTERM - 1) & 1) == 0 ? open : shut)++;
      }
    }
  }
  EXPECT_EQ(open, 3) << "main, a and b";
  EXPECT_GE(shut, 1) << "the reader";
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(PeerTest, ASignalThatTheLibraryDoesNotKnow) {
  connect();
  for (const char *rest :
       {R"("op":"signal.send","pid":1,"signal":"NOSUCH")", R"("op":"signal.describe","signal":"term")",
        R"("op":"signal.set_handler","signal":"","action":"hook")",
        R"("op":"signal.watch","as":"w","signals":["TERM","RT99"])", R"("op":"signal.hooked","signal":"SIGTERM")"}) {
    EXPECT_EQ(ask(rest), reply(R"("status":"invalid_argument","why":"the library knows no signal of that name")"));
  }
  EXPECT_EQ(ask(R"("op":"signal.queue","signal":"RT0","pid":1,"value":2147483648)"),
            reply(R"("status":"invalid_argument","why":"value has at most 32 bits")"));
  EXPECT_EQ(ask(R"("op":"signal.name","number":4294967311)"),
            reply(R"("status":"not_found","why":"no C library has such a number")"));
  EXPECT_EQ(peer_.end(), 0);
}

#endif

#ifdef _WIN32
// What waits in blocking mode is told in queue_peer_test.cc, and by the runner.
INSTANTIATE_TEST_SUITE_P(Modes, PeerTest, testing::Values("nonblocking"),
                         [](const testing::TestParamInfo<const char *> &info) { return std::string(info.param); });
#else
INSTANTIATE_TEST_SUITE_P(Modes, PeerTest, testing::Values("blocking", "nonblocking"),
                         [](const testing::TestParamInfo<const char *> &info) { return std::string(info.param); });
#endif

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 3) return 2;
  peer_path = argv[1];
  library_path = argv[2];
  if (library_path.find('/') == std::string::npos) library_path = "./" + library_path;
  return RUN_ALL_TESTS();
}
