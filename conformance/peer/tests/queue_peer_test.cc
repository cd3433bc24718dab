// queue_peer_test.cc - the generic peer with queue_library.c, which is the same on every system: PEER LIBRARY are the
// arguments. How the peer reaches a library, ends what waits, and starts children.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "conformance/kits/c/tests/line_peer.h"
#include "conformance/peer/tests/control_listener.h"

namespace {

std::string peer_path, library_path;

#ifdef _WIN32
constexpr bool kAsksAgain = true;
#else
constexpr bool kAsksAgain = false;
#endif

bool has(const std::string &text, const std::string &part) { return text.find(part) != std::string::npos; }

// The number that |key| has in |line|; 0 if there is none.
uint64_t number_in(const std::string &line, const std::string &key) {
  std::smatch match;
  return std::regex_search(line, match, std::regex("\"" + key + "\":([0-9]+)")) ? std::stoull(match[1]) : 0;
}

// A peer in the mode of the parameter, with a pipe: reader `r`, writer `w`.
class QueuePeerTest : public testing::TestWithParam<const char *> {
 protected:
  QueuePeerTest() : peer_({peer_path, "--library", library_path}) {
    EXPECT_TRUE(has(ask(R"("op":"configure","mode":")" + std::string(GetParam()) + "\""), R"("ok")"));
    make_pipe();
  }

  void make_pipe() { EXPECT_EQ(ask(R"("op":"pipe.create","read_as":"r","write_as":"w")"), R"("status":"ok")"); }

  int send(const std::string &rest) {
    peer_.send("{\"id\":" + std::to_string(++id_) + "," + rest + "}");
    return id_;
  }

  // The reply to |id|, or with |event| its event, without braces and id. Lines that come before it are kept.
  std::string reply(int id, bool event = false) {
    const std::pair<uint64_t, bool> key(static_cast<uint64_t>(id), event);
    while (lines_.count(key) == 0) {
      const std::string line = peer_.line(), head = "{\"id\":" + std::to_string(number_in(line, "id")) + ",";
      if (line.compare(0, head.size(), head) != 0) return line;
      lines_[{number_in(line, "id"), has(line, R"("event":)")}] =
          line.substr(head.size(), line.size() - head.size() - 1);
      arrived_.push_back(static_cast<int>(number_in(line, "id")));
    }
    return lines_[key];
  }
  std::string ask(const std::string &rest) { return reply(send(rest)); }

  bool asks_again() const { return kAsksAgain && std::string(GetParam()) == "nonblocking"; }

  // Tells whether the peer shows that the request |id| waits.
  bool is_shown_to_wait(int id) {
    if (!asks_again()) return number_in(ask(R"("op":"stream.peer_credentials","on":"w")"), "pid") > 0;
    std::smatch match;
    const std::string pending = ask(R"("op":"pending")");
    EXPECT_TRUE(has(pending, R"("status":"ok","ids":[)")) << pending;
    return std::regex_search(pending, match, std::regex(R"("would_block":\[([0-9,]*)\])")) &&
           has("," + match[1].str() + ",", "," + std::to_string(id) + ",");
  }

  // Starts a request in lane b and comes back when it waits. Returns its id.
  int start(const std::string &rest) {
    const int id = send(rest + R"(,"lane":"b","watch":true)");
    const std::string begun = reply(id, true);
    EXPECT_TRUE(has(begun, R"("event":"begun","tid":)")) << begun;
    EXPECT_EQ(has(begun, R"("repeats":true)"), asks_again()) << begun;
    EXPECT_GT(number_in(begun, "tid"), 0u);
    while (!HasFailure() && !is_shown_to_wait(id)) continue;
    return id;
  }

  int id_ = 0;
  std::map<std::pair<uint64_t, bool>, std::string> lines_;
  std::vector<int> arrived_;
  LinePeer peer_;
};

TEST_P(QueuePeerTest, CloseEndsTheReadThatWaits) {
  for (int round = 0; round < 50 && !HasFailure(); round++) {
    const int read = start(R"("op":"stream.read","on":"r","until":"some")");
    const int close = send(R"("op":"stream.close","on":"r")");
    EXPECT_EQ(reply(close), R"("status":"ok")");
    EXPECT_EQ(reply(read), R"("status":"cancelled","length":0,"crc32":0,"data":"")");
    EXPECT_EQ(arrived_.back(), close) << "close answers last";
    EXPECT_EQ(ask(R"("op":"stream.close","on":"w")"), R"("status":"ok")");
    make_pipe();
  }
  EXPECT_EQ(peer_.end(), 0);
}

// Where the peer asks again, an attempt that began before the byte came must not be taken for one that began after.
TEST_P(QueuePeerTest, NothingIsShownToWaitThatCanGoOn) {
  for (int round = 0; round < 300 && !HasFailure(); round++) {
    const int read = start(R"("op":"stream.read","on":"r","until":"some")");
    EXPECT_EQ(ask(R"("op":"stream.write","on":"w","data":"x")"), R"("status":"ok","length":1)");
    EXPECT_FALSE(asks_again() && is_shown_to_wait(read));
    EXPECT_TRUE(has(reply(read), R"("status":"ok","length":1,)"));
  }
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(QueuePeerTest, AttemptsDoNotDisturbAWaitingRead) {
  const int read = start(R"("op":"stream.read","on":"r","until":"exact","max":2)");
  for (int i = 0; i < 100; i++) {
    EXPECT_EQ(ask(R"("op":"stream.read","on":"r","until":"some","wait":false)"),
              R"("status":"would_block","length":0,"crc32":0,"data":"")");
  }
  ask(R"("op":"stream.write","on":"w","data":"h")");
  while (!HasFailure() && !is_shown_to_wait(read)) continue;
  EXPECT_TRUE(has(ask(R"("op":"pending")"), "\"ids\":[" + std::to_string(read) + "]"));
  ask(R"("op":"stream.write","on":"w","data":"i")");
  EXPECT_TRUE(has(reply(read), R"("status":"ok","length":2,)"));
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(QueuePeerTest, ALargeWriteIsRepeatedUntilAllIsAccepted) {
  const int write = start(R"("op":"stream.write","on":"w","data":{"seed":5,"length":300000},"buffer":70001)");
  EXPECT_TRUE(
      has(ask(R"("op":"stream.read","on":"r","until":"exact","max":300000)"), R"("status":"ok","length":300000,)"));
  EXPECT_EQ(reply(write), R"("status":"ok","length":300000)");
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(QueuePeerTest, ResetEndsWhatWaits) {
  for (int round = 0; round < 20 && !HasFailure(); round++) {
    const int read = start(R"("op":"stream.read","on":"r","until":"some")");
    EXPECT_EQ(ask(R"("op":"reset")"), R"("status":"ok")");
    const std::string ended = reply(read);  // which end the reset closes first is its own matter
    EXPECT_TRUE(has(ended, R"("status":"cancelled")") || has(ended, R"("status":"end")")) << ended;
    make_pipe();
  }
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(QueuePeerTest, ItEndsWithItsInputWhileARequestWaits) {
  start(R"("op":"stream.read","on":"r","until":"some")");
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(QueuePeerTest, AWaitForAHookEndsByTheHookOrAReset) {
  EXPECT_EQ(ask(R"("op":"signal.set_handler","signal":"INT","action":"hook")"), R"("status":"ok")");
  const int first = send(R"("op":"signal.hooked","signal":"INT","at_least":2,"lane":"b")");
  EXPECT_EQ(ask(R"("op":"signal.raise","signal":"INT")"), R"("status":"ok")");
  EXPECT_EQ(ask(R"("op":"signal.raise","signal":"INT")"), R"("status":"ok")");
  EXPECT_EQ(reply(first), R"("status":"ok","count":2,"signal":"INT")");
  const int second = send(R"("op":"signal.hooked","signal":"INT","at_least":3,"lane":"b","watch":true)");
  reply(second, true);
  EXPECT_EQ(ask(R"("op":"reset")"), R"("status":"ok")");
  EXPECT_TRUE(has(reply(second), R"("status":"cancelled")"));
  EXPECT_EQ(peer_.end(), 0);
}

TEST_P(QueuePeerTest, AChildHasAChannelOfItsOwn) {
  ControlListener listener;
  const std::string spawned = ask(R"("op":"process.spawn","as":"p","control":")" + listener.control() + "\"");
  EXPECT_TRUE(has(spawned, R"("status":"ok","pid":)")) << spawned;
  listener.accept_child();
  listener.send_line(R"({"id":1,"op":"hello","protocol":1})");
  const std::string hello = listener.line();
  EXPECT_EQ(number_in(hello, "pid"), number_in(spawned, "pid")) << hello;
  EXPECT_TRUE(has(hello, R"("implementation":"queue")")) << hello;
  const int wait = send(R"("op":"process.wait","on":"p","lane":"b")");
  listener.send_line(R"({"id":2,"op":"pipe.create","read_as":"r","write_as":"w"})");
  EXPECT_EQ(listener.line(), R"({"id":2,"status":"ok"})");
  listener.send_line(R"({"id":3,"op":"stream.read","on":"r","until":"some","watch":true})");
  EXPECT_TRUE(has(listener.line(), R"("event":"begun")"));
  listener.half_close();
  EXPECT_EQ(reply(wait), R"("status":"ok","code":0)");
  EXPECT_EQ(listener.line(), "") << "it has ended";
  EXPECT_EQ(ask(R"("op":"process.wait","on":"p")"), R"("status":"ok","code":0)");
  EXPECT_EQ(ask(R"("op":"process.close","on":"p")"), R"("status":"ok")");
  EXPECT_EQ(peer_.end(), 0);
}

// A child that held its parent's output would keep it open.
TEST_P(QueuePeerTest, AChildDoesNotHoldItsParentsChannel) {
  ControlListener listener;
  ask(R"("op":"process.spawn","as":"p","control":")" + listener.control() + "\"");
  listener.accept_child();
  peer_.close_in();
  EXPECT_EQ(peer_.line(), "(the end) ");
  EXPECT_EQ(peer_.end(), 0);
  listener.send_line(R"({"id":1,"op":"reset"})");
  EXPECT_EQ(listener.line(), R"({"id":1,"status":"ok"})") << "it goes on";
  listener.half_close();
  EXPECT_EQ(listener.line(), "");
}

TEST_P(QueuePeerTest, ClosingAProcessKillsIt) {
  ControlListener listener;
  ask(R"("op":"process.spawn","as":"p","control":")" + listener.control() + "\"");
  listener.accept_child();
  const int wait = send(R"("op":"process.wait","on":"p","lane":"b","watch":true)");
  reply(wait, true);
  EXPECT_EQ(ask(R"("op":"process.close","on":"p")"), R"("status":"ok")");
  EXPECT_TRUE(has(reply(wait), R"("status":"cancelled")"));
  EXPECT_EQ(listener.line(), "");
  EXPECT_EQ(peer_.end(), 0);
}

#ifdef _WIN32
// Wine makes the description the name of the thread below, where its counters are (spec/peer_protocol.md, 4.6).
TEST_P(QueuePeerTest, TheThreadOfALaneHasItsNumberInItsDescription) {
  using GetDescription = HRESULT(WINAPI *)(HANDLE, PWSTR *);
  const auto get = reinterpret_cast<GetDescription>(
      reinterpret_cast<void (*)()>(GetProcAddress(GetModuleHandleW(L"kernel32.dll"), "GetThreadDescription")));
  ASSERT_NE(get, nullptr);
  for (const char *lane : {"main", "a", "b"}) {
    const int id = send(R"("op":"stream.peer_credentials","on":"w","watch":true,"lane":")" + std::string(lane) + "\"");
    const uint64_t tid = number_in(reply(id, true), "tid");
    HANDLE thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, static_cast<DWORD>(tid));
    ASSERT_NE(thread, nullptr);
    PWSTR description = nullptr;
    EXPECT_GE(get(thread, &description), 0);
    EXPECT_EQ(std::wstring(description), L"cts-" + std::to_wstring(tid));
    LocalFree(description);
    CloseHandle(thread);
  }
  EXPECT_EQ(peer_.end(), 0);
}

INSTANTIATE_TEST_SUITE_P(Modes, QueuePeerTest, testing::Values("blocking", "nonblocking"),
                         [](const testing::TestParamInfo<const char *> &info) { return std::string(info.param); });
#else
// Nonblocking mode needs something to wait on, which a queue in memory has not.
INSTANTIATE_TEST_SUITE_P(Modes, QueuePeerTest, testing::Values("blocking"),
                         [](const testing::TestParamInfo<const char *> &info) { return std::string(info.param); });
#endif

TEST(QueuePeer, TheNameOfALibraryIsNotOfOneCodePage) {
  const std::filesystem::path copy = std::filesystem::u8path(testing::TempDir()) /
                                     std::filesystem::u8path("\xc3\xa4 \xe6\xbc\xa2 \xf0\x9f\x90\x99.dll");
  std::ofstream(copy, std::ios::binary) << std::ifstream(library_path, std::ios::binary).rdbuf();
  LinePeer peer({peer_path, "--library", copy.u8string()});
  EXPECT_TRUE(has(peer.ask(R"({"id":1,"op":"hello","protocol":1})"), R"("implementation":"queue")"));
  EXPECT_EQ(peer.end(), 0);
  std::filesystem::remove(copy);
}

TEST(QueuePeer, ItEndsWithItsInputWhileNobodyTakesItsReplies) {
  LinePeer peer({peer_path, "--library", library_path});
  for (int i = 1; i <= 400; i++) peer.send("{\"id\":" + std::to_string(i) + R"(,"op":"hello","protocol":1})");
  peer.close_in();
  EXPECT_EQ(peer.wait(), 0);
}

TEST(QueuePeer, ALibraryThatCannotBeLoadedIsStatus2) {
  LinePeer peer({peer_path, "--library", "/nonexistent/library.so"});
  EXPECT_EQ(peer.end(), 2);
}

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 3) return 2;
  peer_path = argv[1];
  library_path = argv[2];
  if (library_path.find('/') == std::string::npos) library_path = "./" + library_path;
  return RUN_ALL_TESTS();
}
