// Names: parsing, formatting, and the rules of each system, on any system.
#include "ipc/name.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::string_literals;

constexpr uint32_t kSystems[] = {IPC_OS_LINUX, IPC_OS_MACOS, IPC_OS_FREEBSD, IPC_OS_WINDOWS};
const std::string kPipe = "\\\\.\\pipe\\";

struct Result {
  int32_t code;
  std::string bytes;
  uint32_t kind = 0;
  friend bool operator==(const Result &a, const Result &b) {
    return a.code == b.code && a.bytes == b.bytes && a.kind == b.kind;
  }
  friend std::ostream &operator<<(std::ostream &out, const Result &r) {
    return out << "{status " << r.code << ", kind " << r.kind << ", " << ::testing::PrintToString(r.bytes) << "}";
  }
};

Result native(uint32_t kind, const std::string &bytes, uint32_t os) {
  char out[1024];
  size_t len = 77;
  const ipc_name name{kind, bytes.data(), bytes.size()};
  const ipc_status status = ipc_name_native(&name, os, out, sizeof out, &len);
  return {status.code, std::string(out, len)};
}

Result parse(const std::string &text) {
  char out[1024];
  size_t len = 77;
  uint32_t kind = 0;
  const ipc_status status = ipc_name_parse(text.data(), text.size(), &kind, out, sizeof out, &len);
  return {status.code, std::string(out, len), kind};
}

Result format(uint32_t kind, const std::string &bytes) {
  char out[1024];
  size_t len = 77;
  const ipc_name name{kind, bytes.data(), bytes.size()};
  const ipc_status status = ipc_name_format(&name, out, sizeof out, &len);
  return {status.code, std::string(out, len)};
}

int32_t pipe_code(const std::string &name) { return native(IPC_NAME_NAMESPACED, name, IPC_OS_WINDOWS).code; }

TEST(NameParse, SplitsKindAndName) {
  EXPECT_EQ((Result{IPC_OK, "a", IPC_NAME_PATH}), parse("a"));
  EXPECT_EQ((Result{IPC_OK, "/run/a b", IPC_NAME_PATH}), parse("/run/a b"));
  EXPECT_EQ((Result{IPC_OK, "a", IPC_NAME_NAMESPACED}), parse("@a"));
  EXPECT_EQ((Result{IPC_OK, "@a", IPC_NAME_NAMESPACED}), parse("@@a"));
  EXPECT_EQ((Result{IPC_OK, "./@a", IPC_NAME_PATH}), parse("./@a"));
  EXPECT_EQ((Result{IPC_OK, "\xff\xfe", IPC_NAME_PATH}), parse("\xff\xfe"));
}

TEST(NameParse, RefusesWhatIsNoName) {
  EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), parse(""));
  EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), parse("@"));
  EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), parse("a\0b"s));
  EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), parse("\0a"s));
  EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), parse("@a\0"s));
}

TEST(NameParse, SaysTheRoomNeededAndWritesNothingElse) {
  char out[4] = "xyz";
  uint32_t kind = 99;
  size_t len = 0;
  EXPECT_EQ(IPC_MESSAGE_TRUNCATED, ipc_name_parse("@abcd", 5, &kind, out, 3, &len).code);
  EXPECT_EQ(4u, len);
  EXPECT_EQ(99u, kind);
  EXPECT_STREQ("xyz", out);
  EXPECT_EQ(IPC_OK, ipc_name_parse("@abcd", 5, &kind, out, 4, &len).code);
  EXPECT_EQ("abcd", std::string(out, 4));
}

TEST(NameParse, RefusesNullPointers) {
  char out[4];
  uint32_t kind;
  size_t len = 1;
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_parse(nullptr, 0, &kind, out, 4, &len).code);
  EXPECT_EQ(0u, len);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_parse("a", 1, nullptr, out, 4, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_parse("a", 1, &kind, nullptr, 4, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_parse("a", 1, &kind, out, 4, nullptr).code);
}

TEST(NameParse, MayWriteOverItsInput) {
  char text[] = "@abc";
  uint32_t kind;
  size_t len;
  EXPECT_EQ(IPC_OK, ipc_name_parse(text, 4, &kind, text, 4, &len).code);
  EXPECT_EQ("abc", std::string(text, len));
}

TEST(NameFormat, MarksKinds) {
  EXPECT_EQ((Result{IPC_OK, "a"}), format(IPC_NAME_PATH, "a"));
  EXPECT_EQ((Result{IPC_OK, "./@a"}), format(IPC_NAME_PATH, "@a"));
  EXPECT_EQ((Result{IPC_OK, "a@"}), format(IPC_NAME_PATH, "a@"));
  EXPECT_EQ((Result{IPC_OK, "@a"}), format(IPC_NAME_NAMESPACED, "a"));
  EXPECT_EQ((Result{IPC_OK, "@@a"}), format(IPC_NAME_NAMESPACED, "@a"));
}

TEST(NameFormat, RefusesWhatIsNoName) {
  for (const uint32_t kind : {IPC_NAME_PATH, IPC_NAME_NAMESPACED}) {
    EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), format(kind, ""));
    EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), format(kind, "a\0b"s));
  }
  EXPECT_EQ((Result{IPC_INVALID_ARGUMENT, ""}), format(IPC_NAME_NATIVE, "a"));
  EXPECT_EQ((Result{IPC_INVALID_ARGUMENT, ""}), format(0, "a"));
  EXPECT_EQ((Result{IPC_INVALID_ARGUMENT, ""}), format(4, "a"));
  const ipc_name null_data{IPC_NAME_PATH, nullptr, 0};
  char out[4];
  size_t len;
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_format(&null_data, out, 4, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_format(nullptr, out, 4, &len).code);
}

TEST(NameFormat, CountsItsMarkerAsRoom) {
  char out[8] = "unused";
  size_t len;
  const ipc_name name{IPC_NAME_PATH, "@ab", 3};
  EXPECT_EQ(IPC_MESSAGE_TRUNCATED, ipc_name_format(&name, out, 4, &len).code);
  EXPECT_EQ(5u, len);
  EXPECT_STREQ("unused", out);
  EXPECT_EQ(IPC_OK, ipc_name_format(&name, out, 5, &len).code);
}

// Formatting, parsing and formatting again is formatting once, and the kind survives. A path may gain `./`.
TEST(NameFormat, RoundTrips) {
  std::mt19937 random(20);
  for (int i = 0; i < 20000; i++) {
    std::string bytes;
    const size_t len = 1 + random() % 6;
    while (bytes.size() < len) bytes += "@./\\ a\xffZ"[random() % 8];
    const uint32_t kind = random() % 2 != 0 ? IPC_NAME_PATH : IPC_NAME_NAMESPACED;
    const Result text = format(kind, bytes);
    ASSERT_EQ(IPC_OK, text.code);
    const Result back = parse(text.bytes);
    ASSERT_EQ(kind, back.kind);
    ASSERT_TRUE(back.bytes == bytes || back.bytes == "./" + bytes);
    ASSERT_EQ(text, format(back.kind, back.bytes));
  }
}

TEST(NameNative, MapsEachKindOnEachSystem) {
  for (const uint32_t os : {IPC_OS_LINUX, IPC_OS_MACOS, IPC_OS_FREEBSD}) {
    EXPECT_EQ((Result{IPC_OK, "/a/b"}), native(IPC_NAME_PATH, "/a/b", os));
  }
  EXPECT_EQ((Result{IPC_OK, "\0ab"s}), native(IPC_NAME_NAMESPACED, "ab", IPC_OS_LINUX));
  EXPECT_EQ((Result{IPC_UNSUPPORTED, ""}), native(IPC_NAME_NAMESPACED, "ab", IPC_OS_MACOS));
  EXPECT_EQ((Result{IPC_UNSUPPORTED, ""}), native(IPC_NAME_NAMESPACED, "ab", IPC_OS_FREEBSD));
  EXPECT_EQ((Result{IPC_UNSUPPORTED, ""}), native(IPC_NAME_PATH, "ab", IPC_OS_WINDOWS));
  EXPECT_EQ((Result{IPC_OK, kPipe + "ab"}), native(IPC_NAME_NAMESPACED, "ab", IPC_OS_WINDOWS));
#ifdef __linux__
  EXPECT_EQ(native(IPC_NAME_NAMESPACED, "ab", IPC_OS_LINUX), native(IPC_NAME_NAMESPACED, "ab", IPC_OS_THIS));
#endif
}

TEST(NameNative, HoldsTheLimitToTheByte) {
  struct {
    uint32_t kind, os;
    size_t max;
  } const limits[] = {
      {IPC_NAME_PATH, IPC_OS_LINUX, 107},         {IPC_NAME_NAMESPACED, IPC_OS_LINUX, 107},
      {IPC_NAME_PATH, IPC_OS_MACOS, 103},         {IPC_NAME_PATH, IPC_OS_FREEBSD, 103},
      {IPC_NAME_NAMESPACED, IPC_OS_WINDOWS, 247},
  };
  for (const auto &limit : limits) {
    size_t max = 0;
    EXPECT_EQ(IPC_OK, ipc_name_limit(limit.kind, limit.os, &max).code);
    EXPECT_EQ(limit.max, max);
    EXPECT_EQ(IPC_OK, native(limit.kind, std::string(max - 1, 'x'), limit.os).code);
    EXPECT_EQ(IPC_OK, native(limit.kind, std::string(max, 'x'), limit.os).code);
    EXPECT_EQ((Result{IPC_NAME_TOO_LONG, ""}), native(limit.kind, std::string(max + 1, 'x'), limit.os));
    EXPECT_EQ(IPC_NAME_TOO_LONG, native(limit.kind, std::string(100000, 'x'), limit.os).code);
    // The native form of the longest name is itself within the limit, and one more is not.
    const std::string longest = native(limit.kind, std::string(max, 'x'), limit.os).bytes;
    EXPECT_EQ((Result{IPC_OK, longest}), native(IPC_NAME_NATIVE, longest, limit.os));
    EXPECT_EQ(IPC_NAME_TOO_LONG, native(IPC_NAME_NATIVE, longest + "x", limit.os).code);
  }
}

TEST(NameLimit, HasNoneWhereThereIsNoSuchKind) {
  size_t max = 1;
  EXPECT_EQ(IPC_UNSUPPORTED, ipc_name_limit(IPC_NAME_PATH, IPC_OS_WINDOWS, &max).code);
  EXPECT_EQ(0u, max);
  EXPECT_EQ(IPC_UNSUPPORTED, ipc_name_limit(IPC_NAME_NAMESPACED, IPC_OS_MACOS, &max).code);
  EXPECT_EQ(IPC_UNSUPPORTED, ipc_name_limit(IPC_NAME_NAMESPACED, IPC_OS_FREEBSD, &max).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_limit(IPC_NAME_NATIVE, IPC_OS_LINUX, &max).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_limit(IPC_NAME_PATH, 5, &max).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_limit(IPC_NAME_PATH, IPC_OS_LINUX, nullptr).code);
}

TEST(NameNative, RefusesEmptyNamesAndNuls) {
  for (const uint32_t os : kSystems) {
    for (const uint32_t kind : {IPC_NAME_PATH, IPC_NAME_NAMESPACED}) {
      if (native(kind, "a", os).code == IPC_UNSUPPORTED) continue;
      for (const std::string &bad : {""s, "\0"s, "\0a"s, "a\0"s, "a\0b"s}) {
        EXPECT_EQ((Result{IPC_INVALID_NAME, ""}), native(kind, bad, os)) << os << " " << ::testing::PrintToString(bad);
      }
    }
    EXPECT_EQ(IPC_INVALID_NAME, native(IPC_NAME_NATIVE, "", os).code);
  }
}

TEST(NameNative, TakesNativeAddressesUnchangedIfTheyAreOnes) {
  EXPECT_EQ((Result{IPC_OK, "\0a\0b"s}), native(IPC_NAME_NATIVE, "\0a\0b"s, IPC_OS_LINUX));
  EXPECT_EQ((Result{IPC_OK, "\0\0"s}), native(IPC_NAME_NATIVE, "\0\0"s, IPC_OS_LINUX));
  EXPECT_EQ(IPC_INVALID_NAME, native(IPC_NAME_NATIVE, "\0"s, IPC_OS_LINUX).code);
  EXPECT_EQ(IPC_INVALID_NAME, native(IPC_NAME_NATIVE, "a\0"s, IPC_OS_LINUX).code);
  for (const uint32_t os : {IPC_OS_MACOS, IPC_OS_FREEBSD}) {
    EXPECT_EQ(IPC_INVALID_NAME, native(IPC_NAME_NATIVE, "\0a"s, os).code);
    EXPECT_EQ((Result{IPC_OK, "a"}), native(IPC_NAME_NATIVE, "a", os));
  }
  EXPECT_EQ((Result{IPC_OK, "\\\\.\\PiPe\\a"}), native(IPC_NAME_NATIVE, "\\\\.\\PiPe\\a", IPC_OS_WINDOWS));
  for (const char *bad : {"a", "\\\\.\\pipe", "\\\\.\\pipe\\", "\\\\.\\pipes\\a", "//./pipe/a", "\\\\?\\pipe\\a",
                          "\\\\.\\pipe\\a\\b", "\\\\.\\pipe\\a."}) {
    EXPECT_EQ(IPC_INVALID_NAME, native(IPC_NAME_NATIVE, bad, IPC_OS_WINDOWS).code) << bad;
  }
}

TEST(NameNative, ChecksPipeNames) {
  for (const char *good : {"a", "a b", ".a", " a", "a.b", "a:b*?\"<>|", "\x01", "\x7f"})
    EXPECT_EQ(IPC_OK, pipe_code(good)) << good;
  for (const char *bad : {".", "..", "a.", "a ", " ", "a/b", "a\\b", "/", "\\"}) {
    EXPECT_EQ(IPC_INVALID_NAME, pipe_code(bad)) << bad;
  }
}

TEST(NameNative, ChecksWtf8) {
  const std::vector<std::string> good = {
      "\x7f",  // U+007F
      "\xc2\x80",
      "\xdf\xbf",  // U+0080, U+07FF: ends of two bytes
      "\xe0\xa0\x80",
      "\xef\xbf\xbf",  // U+0800, U+FFFF: ends of three
      "\xed\x9f\xbf",
      "\xee\x80\x80",  // the neighbours of the surrogates
      "\xed\xa0\x80",
      "\xed\xaf\xbf",  // lone high surrogates
      "\xed\xb0\x80",
      "\xed\xbf\xbf",                  // lone low surrogates
      "\xed\xb0\x80\xed\xa0\x80",      // low before high: no pair
      "\xed\xa0\x80\xed\xa0\x80",      // two high
      "\xed\xa0\x80-\xed\xb0\x80",     // apart
      "\xed\xa0\x80\xf0\x90\x80\x80",  // high, then a whole character
      "\xf0\x90\x80\x80",
      "\xf4\x8f\xbf\xbf",  // U+10000, U+10FFFF: ends of four
  };
  for (const auto &name : good) EXPECT_EQ(IPC_OK, pipe_code(name)) << ::testing::PrintToString(name);
  const std::vector<std::string> bad = {
      "\x80",
      "\xbf",  // a continuation begins nothing
      "\xc0\x80",
      "\xc1\xbf",  // overlong ASCII
      "\xe0\x80\x80",
      "\xe0\x9f\xbf",  // overlong: fits two bytes
      "\xf0\x80\x80\x80",
      "\xf0\x8f\xbf\xbf",  // overlong: fits three
      "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80",
      "\xf8\x88\x80\x80\x80",
      "\xfe",
      "\xff",  // beyond U+10FFFF
      "\xc2",
      "\xe0\xa0",
      "\xf0\x90\x80",
      "a\xe2\x82",  // cut
      "\xc2\x41",
      "\xe0\xa0\x41",
      "\xf0\x90\x41\x80",  // broken off
      "\xed\xa0\x80\xed\xb0\x80",
      "x\xed\xaf\xbf\xed\xbf\xbfy",  // a pair that is one character
  };
  for (const auto &name : bad) EXPECT_EQ(IPC_INVALID_NAME, pipe_code(name)) << ::testing::PrintToString(name);
}

TEST(NameNative, CountsUtf16UnitsOnWindows) {
  const auto repeat = [](const std::string &unit, size_t times) {
    std::string out;
    while (times-- != 0) out += unit;
    return out;
  };
  EXPECT_EQ(IPC_OK, pipe_code(repeat("\xc3\xa9", 247)));
  EXPECT_EQ(IPC_NAME_TOO_LONG, pipe_code(repeat("\xc3\xa9", 248)));
  EXPECT_EQ(IPC_OK, pipe_code(repeat("\xed\xa0\x80", 247)));
  EXPECT_EQ(IPC_OK, pipe_code(repeat("\xf0\x9f\x98\x80", 123) + "x"));
  EXPECT_EQ(IPC_NAME_TOO_LONG, pipe_code(repeat("\xf0\x9f\x98\x80", 124)));
}

TEST(NameNative, RefusesBadArguments) {
  char out[16] = "unused";
  size_t len = 7;
  const ipc_name name{IPC_NAME_PATH, "abc", 3};
  const ipc_name null_data{IPC_NAME_PATH, nullptr, 0};
  const ipc_name bad_kind{4, "abc", 3};
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_native(nullptr, IPC_OS_LINUX, out, 16, &len).code);
  EXPECT_EQ(0u, len);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_native(&null_data, IPC_OS_LINUX, out, 16, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_native(&name, IPC_OS_LINUX, nullptr, 0, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_native(&name, IPC_OS_LINUX, out, 16, nullptr).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_native(&name, 5, out, 16, &len).code);
  for (const uint32_t os : kSystems)
    EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_name_native(&bad_kind, os, out, 16, &len).code);
  EXPECT_EQ(IPC_MESSAGE_TRUNCATED, ipc_name_native(&name, IPC_OS_LINUX, out, 2, &len).code);
  EXPECT_EQ(3u, len);
  EXPECT_STREQ("unused", out);
}

// A native address taken back as IPC_NAME_NATIVE is itself, and no two names have one address. Short names over an
// alphabet of everything that is special somewhere make collisions likely if there can be any.
TEST(NameNative, NoTwoNamesHaveOneAddress) {
  const std::vector<std::string> alphabet = {"a",
                                             "A",
                                             ".",
                                             " ",
                                             "/",
                                             "\\",
                                             "@",
                                             "\0"s,
                                             "\x80",
                                             "\xc3\xa9",
                                             "\xed\xa0\x80",
                                             "\xed\xb0\x80",
                                             "\xf0\x90\x80\x80",
                                             kPipe,
                                             "pipe"};
  for (const uint32_t os : kSystems) {
    std::mt19937 random(os);
    std::map<std::string, std::pair<uint32_t, std::string>> owner;
    for (int i = 0; i < 60000; i++) {
      std::string bytes;
      for (size_t n = random() % 5; n != 0; n--) bytes += alphabet[random() % alphabet.size()];
      const uint32_t kind = random() % 2 != 0 ? IPC_NAME_PATH : IPC_NAME_NAMESPACED;
      const Result address = native(kind, bytes, os);
      if (address.code != IPC_OK) continue;
      const auto [entry, is_new] = owner.emplace(address.bytes, std::pair(kind, bytes));
      ASSERT_EQ(entry->second, std::pair(kind, bytes));
      ASSERT_EQ(address, native(IPC_NAME_NATIVE, address.bytes, os));
      ASSERT_EQ(address, native(kind, bytes, os)) << "not pure";
    }
    ASSERT_GT(owner.size(), 1000u);
  }
}

}  // namespace
