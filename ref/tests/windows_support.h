// windows_support.h - what the tests of the reference on Windows share: status matchers, accounts of handles, connected
// pairs, and waiting for what another thread or the library's pool does.
#ifndef REF_TESTS_WINDOWS_SUPPORT_H
#define REF_TESTS_WINDOWS_SUPPORT_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <gtest/gtest.h>
#include <windows.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "ipc/ipc.h"

namespace ref_tests {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// A test that waits longer than this for an event has failed.
inline constexpr auto kDeadline = std::chrono::seconds(20);

// For EXPECT_STATUS: says the expression, the status expected by name, and what came, with its Win32 code.
inline ::testing::AssertionResult status_is(const char *expected_text, const char *call_text, int expected,
                                            const ipc_status &actual) {
  if (actual.code == expected) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << call_text << " is status " << actual.code << " (error " << actual.native
                                       << "), not " << expected_text << " (" << expected << ")";
}
#define EXPECT_STATUS(expected, call) EXPECT_PRED_FORMAT2(::ref_tests::status_is, expected, call)
#define ASSERT_STATUS(expected, call) ASSERT_PRED_FORMAT2(::ref_tests::status_is, expected, call)

// True once |condition| is; false if that takes too long.
inline bool comes_true(const std::function<bool()> &condition) {
  for (const auto end = Clock::now() + kDeadline; Clock::now() < end; SwitchToThread()) {
    if (condition()) return true;
  }
  return false;
}

// Wine 8.0 always says 0: there this shows nothing.
inline DWORD num_handles() {
  DWORD num = 0;
  return GetProcessHandleCount(GetCurrentProcess(), &num) ? num : 0;
}

// A name that nobody else has.
inline std::string fresh_name() {
  static std::atomic<int> made{0};
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  return "ipc-ref-test-" + std::to_string(GetCurrentProcessId()) + "-" + std::to_string(now.QuadPart) + "-" +
         std::to_string(made++);
}

inline ipc_name name_of(const std::string &bytes, uint32_t kind = IPC_NAME_NAMESPACED) {
  return {kind, bytes.data(), bytes.size()};
}

// Bytes that tell where they are from.
inline std::string pattern(size_t len, unsigned seed = 1) {
  std::string bytes(len, '\0');
  for (char &byte : bytes) {
    seed = seed * 1664525u + 1013904223u;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

inline HANDLE raw_handle(ipc_stream *stream) {
  ipc_raw raw{};
  EXPECT_STATUS(IPC_OK, ipc_stream_raw(stream, &raw));
  EXPECT_EQ(static_cast<uint32_t>(IPC_RAW_HANDLE), raw.kind);
  return reinterpret_cast<HANDLE>(static_cast<uintptr_t>(raw.value));
}

inline ipc_raw raw_of(HANDLE handle) { return {IPC_RAW_HANDLE, reinterpret_cast<uintptr_t>(handle)}; }

// Bytes that |stream| could read right now.
inline DWORD available(ipc_stream *stream) {
  DWORD there = 0;
  return PeekNamedPipe(raw_handle(stream), nullptr, 0, nullptr, &there, nullptr) ? there : 0;
}

// Everything up to the end, and the status that was not IPC_OK.
struct Rest {
  std::string bytes;
  int32_t code = IPC_OK;
};
inline Rest read_rest(ipc_stream *stream, size_t piece = 7777) {
  Rest rest;
  std::vector<char> buffer(piece);
  for (;;) {
    size_t len = 0;
    rest.code = ipc_stream_read(stream, buffer.data(), buffer.size(), 20000, &len).code;
    rest.bytes.append(buffer.data(), len);
    if (rest.code != IPC_OK) return rest;
  }
}

// Two connected streams, and the listener they came from.
struct Pair {
  ipc_listener *listener = nullptr;
  ipc_stream *server = nullptr;
  ipc_stream *client = nullptr;

  Pair() {
    const std::string text = fresh_name();
    const ipc_name name = name_of(text);
    EXPECT_STATUS(IPC_OK, ipc_local_listen(&name, nullptr, &listener));
    EXPECT_STATUS(IPC_OK, ipc_local_connect(&name, 20000, &client));
    EXPECT_STATUS(IPC_OK, ipc_listener_accept(listener, 20000, &server));
  }
  ~Pair() {
    ipc_stream_free(server);
    ipc_stream_free(client);
    ipc_listener_free(listener);
  }
  Pair(const Pair &) = delete;
  Pair &operator=(const Pair &) = delete;
};

// Makes what a process has once, whatever it does: the pool and its threads, the run-time library's own.
inline void warm_up() {
  Pair pair;
  size_t len;
  const std::string much = pattern(300000);
  EXPECT_STATUS(IPC_TIMED_OUT, ipc_stream_write(pair.client, much.data(), much.size(), 1, &len));
  std::thread([&] { ipc_stream_read(pair.client, &len, 1, 0, &len); }).join();
}

// Each test ends with as many handles as it began with. What the library's pool still does is waited for.
class HandleTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { warm_up(); }
  void SetUp() override { before_ = num_handles(); }
  void TearDown() override {
    EXPECT_TRUE(comes_true([this] { return num_handles() <= before_; }))
        << before_ << " handles before, " << num_handles() << " after";
  }

 private:
  DWORD before_ = 0;
};

}  // namespace ref_tests

#endif  // REF_TESTS_WINDOWS_SUPPORT_H
