// Framing: the codecs, the decoder's memory, and the vectors of the specification.
#include "ipc/framing.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "ref/common/memory.h"

namespace {

using Json = nlohmann::json;
using namespace std::string_literals;

constexpr uint32_t kCodecs[] = {IPC_FRAMING_U32,       IPC_FRAMING_LENGTH,         IPC_FRAMING_VARINT,
                                IPC_FRAMING_NETSTRING, IPC_FRAMING_CONTENT_LENGTH, IPC_FRAMING_ESCAPE};

ipc_framing framing_of(uint32_t codec, uint64_t max = 0) {
  ipc_framing f{};
  f.size = sizeof f;
  f.codec = codec;
  f.width = 4;
  f.skip = 4;
  f.max = max;
  return f;
}

struct Header {
  int32_t code;
  std::string bytes, trailer;
};

Header encode(const ipc_framing &framing, uint64_t length) {
  char out[IPC_FRAMING_ENCODED_MAX];
  size_t len = 77;
  ipc_const_buffer trailer{out, 77};
  const ipc_status status = ipc_framing_encode(&framing, length, out, sizeof out, &len, &trailer);
  return {status.code, std::string(out, len), std::string(static_cast<const char *>(trailer.data), trailer.len)};
}

struct Decoded {
  int32_t code = IPC_OK;  // of the last next
  std::vector<std::string> frames;
  uint64_t need = 0;
};

// A decoder that is freed, and the loop every caller writes.
class Decoder {
 public:
  explicit Decoder(const ipc_framing &framing) { made = ipc_framing_decode(&framing, &decoder_).code; }
  ~Decoder() {
    if (decoder_ != nullptr) ipc_decoder_free(decoder_);
  }
  Decoder(const Decoder &) = delete;
  Decoder &operator=(const Decoder &) = delete;

  // Takes what is complete.
  void take() {
    const void *body;
    size_t len;
    while ((got.code = ipc_decoder_next(decoder_, &body, &len, &got.need).code) == IPC_OK)
      got.frames.emplace_back(static_cast<const char *>(body), len);
  }
  // Feeds a piece frame by frame; the status of the last feed.
  int32_t feed(const std::string &piece) {
    // A copy of its own, so that a sanitizer sees a read beyond the piece.
    std::vector<char> data(piece.begin(), piece.end());
    size_t at = 0;
    int32_t code;
    do {
      size_t taken = 0;
      code = ipc_decoder_feed(decoder_, data.data() + at, data.size() - at, &taken).code;
      EXPECT_LE(taken, data.size() - at);
      at += taken;
      take();
    } while (at < data.size() && code == IPC_OK && got.code == IPC_WOULD_BLOCK);
    return code;
  }
  int32_t end() {
    const int32_t code = ipc_decoder_end(decoder_).code;
    take();
    return code;
  }
  ipc_decoder *get() { return decoder_; }

  int32_t made;
  Decoded got;

 private:
  ipc_decoder *decoder_ = nullptr;
};

// Counts what the decoder asks for, and lets it fail.
struct Memory {
  static inline std::map<void *, size_t> held;
  static inline size_t now, most, fail_from;
  static void *resize(void *memory, size_t bytes) {
    if (bytes >= fail_from) return nullptr;
    void *result = std::realloc(memory, bytes);
    if (result == nullptr) return nullptr;
    if (memory != nullptr) now -= held[memory];
    held.erase(memory);
    held[result] = bytes;
    now += bytes;
    most = now > most ? now : most;
    return result;
  }
  Memory() {
    held.clear();
    now = most = 0;
    fail_from = std::numeric_limits<size_t>::max();
    previous = ipc_memory_resize;
    ipc_memory_resize = resize;
  }
  ~Memory() { ipc_memory_resize = previous; }
  void *(*previous)(void *, size_t);
};

std::string hex(const std::string &text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

// ------------------------------------------------------------------------------------------------------- arguments

TEST(Framing, NullsAreInvalid) {
  const ipc_framing f = framing_of(IPC_FRAMING_U32);
  char room[8];
  size_t len;
  uint64_t need;
  const void *body;
  ipc_const_buffer trailer;
  ipc_decoder *decoder = nullptr;
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_framing_encode(nullptr, 1, room, 8, &len, &trailer).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_framing_encode(&f, 1, nullptr, 8, &len, &trailer).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_framing_encode(&f, 1, room, 8, nullptr, &trailer).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_framing_encode(&f, 1, room, 8, &len, nullptr).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_framing_decode(nullptr, &decoder).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_framing_decode(&f, nullptr).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_feed(nullptr, "", 0, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_next(nullptr, &body, &len, &need).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_end(nullptr).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_free(nullptr).code);
  Decoder d(f);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_feed(d.get(), nullptr, 1, &len).code);
  EXPECT_EQ(IPC_OK, ipc_decoder_feed(d.get(), nullptr, 0, &len).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_next(d.get(), nullptr, &len, &need).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_next(d.get(), &body, nullptr, &need).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_next(d.get(), &body, &len, nullptr).code);
}

TEST(Framing, CodecsThatDoNotExistAreInvalid) {
  std::vector<ipc_framing> bad(8, framing_of(IPC_FRAMING_LENGTH));
  bad[0].codec = 0;
  bad[1].codec = 7;
  bad[2].size = sizeof(ipc_framing) - 1;
  bad[3].flags = 8;
  bad[4].max = IPC_FRAMING_MAX_CEILING + 1;
  bad[5].reserved = 1;
  bad[6].offset = UINT32_MAX;  // offset + width wraps
  bad[7].width = 16;
  for (size_t i = 0; i < bad.size(); i++) {
    EXPECT_EQ(IPC_INVALID_ARGUMENT, Decoder(bad[i]).made) << i;
    EXPECT_EQ(IPC_INVALID_ARGUMENT, encode(bad[i], 1).code) << i;
  }
}

TEST(Framing, AdjustmentsReachTheWholeRange) {
  ipc_framing f = framing_of(IPC_FRAMING_LENGTH, 10);
  f.width = f.skip = 8;
  for (int64_t adjustment : {INT64_MIN, INT64_MIN + 1}) {
    f.adjustment = adjustment;
    const std::string zero = hex(adjustment == INT64_MIN ? "8000000000000000" : "7fffffffffffffff");
    Decoder lowest(f), below(f), most(f);
    lowest.feed(zero);
    EXPECT_EQ(std::vector<std::string>{""}, lowest.got.frames);
    below.feed(hex("7ffffffffffffffe"));
    EXPECT_EQ(IPC_MALFORMED, below.got.code);
    most.feed(hex("ffffffffffffffff"));
    EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, most.got.code);
    EXPECT_EQ(zero, encode(f, 0).bytes);
  }
  f.adjustment = INT64_MAX;
  EXPECT_EQ(IPC_INVALID_ARGUMENT, Decoder(f).made);
}

// -------------------------------------------------------------------------------------------------------- encoding

TEST(FramingEncode, WritesHeaderOrNothing) {
  const ipc_framing f = framing_of(IPC_FRAMING_ESCAPE, IPC_FRAMING_MAX_CEILING);
  for (size_t room = 0; room <= 13; room++) {
    std::vector<char> out(room, 'x');  // a sanitizer sees a write beyond it
    size_t len = 0;
    ipc_const_buffer trailer;
    char none;
    const ipc_status status =
        ipc_framing_encode(&f, uint64_t{1} << 40, room == 0 ? &none : out.data(), room, &len, &trailer);
    EXPECT_EQ(room < 12 ? IPC_MESSAGE_TRUNCATED : IPC_OK, status.code) << room;
    EXPECT_EQ(12u, len);
    if (room < 12) {
      EXPECT_EQ(std::string(room, 'x'), std::string(out.begin(), out.end()));
    }
  }
}

TEST(FramingEncode, EveryLengthDecodesAgain) {
  for (uint32_t codec : kCodecs) {
    const ipc_framing f = framing_of(codec, codec == IPC_FRAMING_U32 ? (1u << 31) - 1 : uint64_t{1} << 31);
    for (uint64_t bit = 0; bit < 31; bit++) {
      for (uint64_t length : {(uint64_t{1} << bit) - 1, uint64_t{1} << bit, (uint64_t{1} << bit) + 1}) {
        const Header header = encode(f, length);
        ASSERT_EQ(IPC_OK, header.code) << codec << " " << length;
        Decoder d(f);
        d.feed(header.bytes);
        if (length == 0 && header.trailer.empty()) {
          EXPECT_EQ(1u, d.got.frames.size());
          continue;
        }
        EXPECT_EQ(IPC_WOULD_BLOCK, d.got.code);
        EXPECT_EQ(length + header.trailer.size(), d.got.need) << codec;
      }
    }
  }
}

// ---------------------------------------------------------------------------------------------------------- memory

TEST(FramingMemory, FollowsWhatCame) {
  const std::map<uint32_t, std::string> announcements = {
      {IPC_FRAMING_U32, hex("7fffffff")},
      {IPC_FRAMING_LENGTH, hex("7fffffff")},
      {IPC_FRAMING_VARINT, hex("ffffffff07")},
      {IPC_FRAMING_NETSTRING, "2147483647:"},
      {IPC_FRAMING_CONTENT_LENGTH, "Content-Length: 2147483647\r\n\r\n"},
      {IPC_FRAMING_ESCAPE, hex("7fffffff")},
  };
  for (const auto &announcement : announcements) {
    Memory memory;
    Decoder d(framing_of(announcement.first, (1u << 31) - 1));
    d.feed(announcement.second);
    EXPECT_GE(d.got.need, (1u << 31) - 1);
    EXPECT_LT(Memory::most, 1024u) << announcement.first;
    size_t came = announcement.second.size();
    for (int i = 0; i < 200; i++) {
      d.feed(std::string(1000, 'x'));
      came += 1000;
      ASSERT_LT(Memory::most, 2 * came + 1024) << announcement.first;
    }
    EXPECT_EQ(IPC_WOULD_BLOCK, d.got.code);
  }
}

TEST(FramingMemory, LargeFramesDoNotStay) {
  Memory memory;
  Decoder d(framing_of(IPC_FRAMING_U32));
  d.feed(hex("00100000") + std::string(1u << 20, 'x'));
  ASSERT_EQ(1u, d.got.frames.size());
  EXPECT_LE(Memory::most, (1u << 20) + 1024u);
  // The buffer of the large frame goes, though realloc alone is counted: what is asked for next is small again.
  const size_t large = Memory::now;
  Memory::fail_from = 70000;
  EXPECT_EQ(IPC_OK, d.feed(hex("00000001") + "y"));
  EXPECT_EQ("y", d.got.frames.back());
  EXPECT_GT(large, 1u << 20);
}

TEST(FramingMemory, ExhaustionIsAStatusAndLosesNothing) {
  Memory memory;
  {
    Memory::fail_from = 1;
    EXPECT_EQ(IPC_OUT_OF_RESOURCES, Decoder(framing_of(IPC_FRAMING_U32)).made);
    Memory::fail_from = std::numeric_limits<size_t>::max();
  }
  Decoder d(framing_of(IPC_FRAMING_U32));
  const std::string stream = hex("000003e8") + std::string(1000, 'x');
  Memory::fail_from = 500;
  size_t taken = 0;
  ASSERT_EQ(IPC_OUT_OF_RESOURCES, ipc_decoder_feed(d.get(), stream.data(), stream.size(), &taken).code);
  EXPECT_LT(taken, 500u);
  EXPECT_GE(taken, 4u);
  d.take();
  EXPECT_EQ(IPC_WOULD_BLOCK, d.got.code);
  Memory::fail_from = std::numeric_limits<size_t>::max();
  EXPECT_EQ(IPC_OK, d.feed(stream.substr(taken)));
  EXPECT_EQ(std::vector<std::string>{std::string(1000, 'x')}, d.got.frames);
}

// -------------------------------------------------------------------------------------------------------- decoding

TEST(FramingDecode, HoldsOneFrameAtATime) {
  Decoder d(framing_of(IPC_FRAMING_U32));
  const std::string stream = hex("00000001") + "a" + hex("00000001") + "b";
  size_t taken = 0;
  EXPECT_EQ(IPC_OK, ipc_decoder_feed(d.get(), stream.data(), stream.size(), &taken).code);
  EXPECT_EQ(5u, taken);
  EXPECT_EQ(IPC_OK, ipc_decoder_feed(d.get(), stream.data() + 5, 5, &taken).code);
  EXPECT_EQ(0u, taken) << "a frame waits to be taken";
  EXPECT_EQ(IPC_OK, ipc_decoder_end(d.get()).code);
  d.take();
  EXPECT_EQ(std::vector<std::string>{"a"}, d.got.frames);
  EXPECT_EQ(IPC_END, d.got.code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_feed(d.get(), "x", 1, &taken).code);
  d.take();
  EXPECT_EQ(IPC_END, d.got.code);
}

TEST(FramingDecode, EndStays) {
  Decoder d(framing_of(IPC_FRAMING_U32));
  d.feed("\0\0"s);
  for (int i = 0; i < 3; i++) {
    EXPECT_EQ(IPC_MESSAGE_TRUNCATED, d.end());
    EXPECT_EQ(IPC_MESSAGE_TRUNCATED, d.got.code);
  }
}

// Whatever comes, every cut gives the same, nothing is read that did not come, and nothing exceeds the limit.
TEST(FramingDecode, RandomBytesDecodeTheSameHoweverCut) {
  std::mt19937 random(20);
  const std::string alphabet =
      "\0\0\0\0\1\2\3\xff\xff\x80"
      "0123:,ab\r\nContent-Length: 1"s;
  for (int round = 0; round < 20000; round++) {
    ipc_framing f = framing_of(kCodecs[random() % 6], 1 + random() % 20);
    f.flags = random() % 8;
    f.varint_bytes = random() % 2 ? 5 : 10;
    const uint32_t widths[] = {1, 2, 3, 4, 8};
    f.width = widths[random() % 5];
    f.offset = random() % 3;
    f.skip = random() % (f.offset + f.width + (f.flags & IPC_FRAMING_BODY_AT_SKIP ? 6 : 1));
    f.adjustment = static_cast<int64_t>(random() % 5) - 2;
    std::string stream = random() % 2 ? "Content-Length: 3\r\n\r\nabc" : "";
    for (size_t i = random() % 40; i > 0; i--) stream += alphabet[random() % alphabet.size()];
    Decoder whole(f), cut(f);
    if (whole.made != IPC_OK) {
      EXPECT_EQ(IPC_FRAMING_LENGTH, static_cast<int>(f.codec));
      continue;
    }
    whole.take();
    cut.take();
    whole.feed(stream);
    for (size_t at = 0; at < stream.size();) {
      const size_t piece = 1 + random() % 5;
      cut.feed(stream.substr(at, piece));
      at += piece;
    }
    ASSERT_EQ(whole.got.code, cut.got.code);
    ASSERT_EQ(whole.got.frames, cut.got.frames);
    ASSERT_EQ(whole.got.need, cut.got.need);
    for (const std::string &frame : whole.got.frames) ASSERT_LE(frame.size(), f.max + f.offset + f.width);
    whole.end();
    cut.end();
    ASSERT_EQ(whole.got.code, cut.got.code);
  }
}

// ----------------------------------------------------------------------------------------- a limit that changes

TEST(FramingMax, AHeaderThatIsUnderstoodKeepsItsLimit) {
  Decoder d(framing_of(IPC_FRAMING_U32, 10));
  d.feed(hex("0000000a") + "01234");
  EXPECT_EQ(IPC_OK, ipc_decoder_set_max(d.get(), 3).code);
  d.feed("56789" + hex("00000004"));
  EXPECT_EQ(std::vector<std::string>{"0123456789"}, d.got.frames);
  EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, d.got.code);
  EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, ipc_decoder_set_max(d.get(), 100).code) << "the error from before";
  d.take();
  EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, d.got.code);
}

TEST(FramingMax, AHeaderThatIsNotUnderstoodTakesTheNewOne) {
  Decoder lower(framing_of(IPC_FRAMING_NETSTRING, 100)), higher(framing_of(IPC_FRAMING_NETSTRING, 10));
  lower.feed("50");
  EXPECT_EQ(IPC_OK, ipc_decoder_set_max(lower.get(), 10).code);
  lower.feed(":");
  EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, lower.got.code);
  higher.feed("5");
  EXPECT_EQ(IPC_OK, ipc_decoder_set_max(higher.get(), 100).code);
  higher.feed("0:");
  EXPECT_EQ(51u, higher.got.need);
}

TEST(FramingMax, IsCheckedAsTheFirstOne) {
  Decoder d(framing_of(IPC_FRAMING_U32));
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_set_max(nullptr, 1).code);
  EXPECT_EQ(IPC_INVALID_ARGUMENT, ipc_decoder_set_max(d.get(), IPC_FRAMING_MAX_CEILING_U32 + 1).code);
  EXPECT_EQ(IPC_OK, ipc_decoder_set_max(d.get(), IPC_FRAMING_MAX_CEILING_U32).code);
  EXPECT_EQ(IPC_OK, ipc_decoder_set_max(d.get(), 0).code);
  d.feed(hex("00100001"));
  EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, d.got.code) << "0 is the default";
}

TEST(FramingEncode, BodyAtSkipIsForDecodingAlone) {
  ipc_framing f = framing_of(IPC_FRAMING_LENGTH, 10);
  f.flags = IPC_FRAMING_BODY_AT_SKIP;
  EXPECT_EQ(IPC_UNENCODABLE, encode(f, 5).code);
  EXPECT_EQ(IPC_MESSAGE_TOO_LARGE, encode(f, 11).code);
  f.skip = IPC_FRAMING_ENCODED_MAX + 1;
  EXPECT_EQ(IPC_INVALID_ARGUMENT, encode(f, 5).code);
  f.codec = IPC_FRAMING_VARINT;
  EXPECT_EQ(IPC_OK, encode(f, 5).code) << "not looked at";
}

// --------------------------------------------------------------------------------------------------------- vectors

const std::map<std::string, uint32_t> kNames = {{"u32", IPC_FRAMING_U32},
                                                {"length", IPC_FRAMING_LENGTH},
                                                {"varint", IPC_FRAMING_VARINT},
                                                {"netstring", IPC_FRAMING_NETSTRING},
                                                {"content_length", IPC_FRAMING_CONTENT_LENGTH},
                                                {"escape", IPC_FRAMING_ESCAPE}};
const std::map<std::string, int32_t> kStatuses = {{"end", IPC_END},
                                                  {"message_truncated", IPC_MESSAGE_TRUNCATED},
                                                  {"message_too_large", IPC_MESSAGE_TOO_LARGE},
                                                  {"malformed", IPC_MALFORMED}};

ipc_framing framing_of(const Json &codec) {
  ipc_framing f{};
  f.size = sizeof f;
  f.codec = kNames.at(codec.at("codec").get<std::string>());
  f.offset = codec.value("offset", 0u);
  f.width = codec.value("width", 0u);
  f.adjustment = codec.value("adjustment", int64_t{0});
  f.skip = codec.value("skip", f.offset + f.width);
  f.varint_bytes = codec.value("varint_bytes", 0u);
  f.max = codec.value("max", uint64_t{0});
  if (codec.value("order", "big") == "little") f.flags |= IPC_FRAMING_LITTLE_ENDIAN;
  if (codec.value("body_at_skip", false)) f.flags |= IPC_FRAMING_BODY_AT_SKIP;
  if (codec.value("overlong", "refuse") == "accept") f.flags |= IPC_FRAMING_ACCEPT_OVERLONG;
  return f;
}

void check_vector(const Json &vector) {
  const Json &codec = vector.at("codec"), &last = vector.at("events").back();
  Decoder d(framing_of(codec));
  if (last.value("status", "") == "invalid_argument") {
    // In C a limit of 0 is the default; the others are refused.
    EXPECT_EQ(codec.value("max", uint64_t{1}) == 0 ? IPC_OK : IPC_INVALID_ARGUMENT, d.made);
    return;
  }
  ASSERT_EQ(IPC_OK, d.made);
  d.take();
  for (const Json &chunk : vector.at("chunks")) d.feed(hex(chunk.get<std::string>()));
  if (vector.at("end").get<bool>()) d.end();
  std::vector<std::string> frames;
  for (const Json &event : vector.at("events")) {
    if (event.contains("frame")) frames.push_back(hex(event["frame"].get<std::string>()));
  }
  EXPECT_EQ(frames, d.got.frames);
  EXPECT_EQ(last.contains("status") ? kStatuses.at(last["status"].get<std::string>()) : IPC_WOULD_BLOCK, d.got.code);
  if (last.contains("need")) {
    EXPECT_EQ(last["need"].get<uint64_t>(), d.got.need);
  }
}

TEST(FramingVectors, AllHold) {
  std::ifstream file("spec/vectors/framing.jsonl");
  ASSERT_TRUE(file) << "run it where the repository's files are";
  size_t num = 0;
  for (std::string line; std::getline(file, line); num++) {
    const Json vector = Json::parse(line);
    SCOPED_TRACE(vector.at("name").get<std::string>());
    check_vector(vector);
  }
  EXPECT_GT(num, 100u);
}

}  // namespace
