// Framing: spec/framing.md.
#include "conformance/support/case.h"
#include "conformance/support/host.h"

namespace cts {
namespace {

using Frames = std::vector<std::string>;

constexpr uint64_t kMax31 = (1ull << 31) - 1;
constexpr int64_t kMax53 = (1ll << 53) - 1;
const uint32_t kWidths[] = {1, 2, 3, 4, 8};
const std::vector<std::string> kOrders = {"big", "little"};

/// Bytes of a hexadecimal text; blanks are for people.
std::string Hex(const std::string &text) {
  std::string digits, bytes;
  for (char c : text) {
    if (c != ' ') digits += c;
  }
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return bytes;
}

/// `value` in `width` bytes.
std::string Number(uint64_t value, uint32_t width, const std::string &order = "big") {
  std::string bytes;
  for (uint32_t i = 0; i < width; i++) {
    const uint32_t place = order == "big" ? width - 1 - i : i;
    bytes += static_cast<char>(value >> (8 * place));
  }
  return bytes;
}

std::string U32(const std::string &body) { return Number(body.size(), 4) + body; }

std::string Joined(const Frames &frames) {
  std::string bytes;
  for (const std::string &frame : frames) bytes += frame;
  return bytes;
}

std::string Describe(const Frames &frames) {
  std::string text = std::to_string(frames.size()) + " frames:";
  for (size_t i = 0; i < frames.size() && i < 10; i++) text += " '" + Printable(frames[i], 40) + "'";
  return text + (frames.size() > 10 ? " ..." : "");
}

/// A reply to framing.decode with exactly these frames and this status.
class DecodesMatcher {
 public:
  using is_gtest_matcher = void;
  DecodesMatcher(Frames frames, std::string status) : frames_(std::move(frames)), status_(std::move(status)) {}

  bool MatchAndExplain(const Reply &reply, testing::MatchResultListener *listener) const {
    const std::string wrong = Wrong(reply);
    if (!wrong.empty()) Blame(reply, Expected(), wrong, listener);
    return wrong.empty();
  }
  void DescribeTo(std::ostream *os) const { *os << Expected(); }
  void DescribeNegationTo(std::ostream *os) const { *os << "anything but " << Expected(); }

 private:
  std::string Expected() const { return "status " + status_ + " behind " + Describe(frames_); }
  std::string Wrong(const Reply &reply) const {
    if (reply.status() != status_) return "the status is " + reply.status();
    if (status_ == "invalid_argument") return "";
    std::vector<uint64_t> lengths;
    for (const std::string &frame : frames_) lengths.push_back(frame.size());
    if (reply.numbers("frames") != lengths) {
      std::string text = "the frames' lengths are";
      for (uint64_t length : reply.numbers("frames")) text += " " + std::to_string(length);
      return text;
    }
    const std::string bytes = Joined(frames_);
    if (reply.has("data") && reply.bytes("data") != bytes) return "the bytes are " + Printable(reply.bytes("data"));
    if (reply.number("crc32") != Data(bytes).crc32()) return "the bytes differ";
    return "";
  }
  Frames frames_;
  std::string status_;
};

DecodesMatcher Decodes(Frames frames, const std::string &status = "ok") { return {std::move(frames), status}; }

op::framing_decode Decode(const std::string &codec, const std::string &stream) {
  return op::framing_decode().codec(codec).head(stream);
}
op::framing_decode Decode(const std::string &stream) { return Decode("u32", stream); }
op::framing_encode Encode(const std::string &codec, uint64_t length) {
  return op::framing_encode().codec(codec).body_length(length);
}
op::framing_decode Field(uint32_t width, const std::string &stream) { return Decode("length", stream).width(width); }

/// A reply to framing.encode with exactly this header and trailer.
void ExpectHeader(const Reply &reply, const std::string &header, const std::string &trailer = "") {
  ASSERT_THAT(reply, IsOk());
  EXPECT_EQ(Printable(reply.bytes("header")), Printable(header));
  EXPECT_EQ(Printable(reply.bytes("trailer")), Printable(trailer));
}

/// A reply to framing.encode that made nothing.
void ExpectNoHeader(const Reply &reply, const std::string &status) {
  EXPECT_THAT(reply, StatusIs(status));
  EXPECT_FALSE(reply.has("header"));
}

std::string LspHeader(const std::string &lines) { return lines + "\r\n"; }
std::string LspLine(const std::string &value) { return "Content-Length: " + value + "\r\n"; }

/// Two frames of each codec, `hello` and the empty one.
const std::map<std::string, std::string> kTwoFrames = {
    {"u32", U32("hello") + U32("")},
    {"length", U32("hello") + U32("")},
    {"varint", Hex("05") + "hello" + Hex("00")},
    {"netstring", "5:hello,0:,"},
    {"content_length", LspHeader(LspLine("5")) + "hello" + LspHeader("X: y\r\n" + LspLine("0"))},
    {"escape", U32("hello") + U32("")},
};

op::framing_decode DecodeTwo(const std::string &codec) {
  op::framing_decode request = Decode(codec, kTwoFrames.at(codec));
  if (codec == "length") request.width(4);
  return request;
}

}  // namespace

// ---------------------------------------------------------------------------------------------- the reference frame

CTS_CASE(Framing, HeaderIsFourBytesBigEndian) {
  for (uint64_t length : {0u, 1u, 255u, 256u, 65535u, 65536u, 1048576u}) {
    ExpectHeader(peer().call(Encode("u32", length)), Number(length, 4));
  }
}

CTS_CASE(Framing, LengthCountsTheBodyAlone) {
  EXPECT_THAT(peer().call(Decode(Hex("00000003") + "abc")), Decodes({"abc"}));
  EXPECT_THAT(peer().call(Decode(Hex("00000003") + "abc").end(true)), Decodes({"abc"}, "end"));
}

CTS_CASE(Framing, EmptyBodyIsAFrame) {
  for (const Frames &frames : std::vector<Frames>{{""}, {"", "a"}, {"a", "", "b"}, {"a", ""}, {"", "", ""}}) {
    std::string stream;
    for (const std::string &frame : frames) stream += U32(frame);
    EXPECT_THAT(peer().call(Decode(stream)), Decodes(frames));
    EXPECT_THAT(peer().call(Decode(stream).end(true)), Decodes(frames, "end"));
  }
}

CTS_CASE(Framing, EncodeThenDecodeIsIdentity) {
  std::vector<uint64_t> lengths;
  for (uint64_t length = 0; length <= 300; length++) lengths.push_back(length);
  for (uint64_t edge : {4096u, 65536u}) lengths.insert(lengths.end(), {edge - 1, edge, edge + 1});
  lengths.insert(lengths.end(), {1048575, 1048576});
  for (uint64_t length : lengths) {
    const Data body = pattern(length);
    Reply around = peer().call(Encode("u32", length));
    ASSERT_THAT(around, IsOk()) << length;
    op::framing_decode request = op::framing_decode().codec("u32").head(around.bytes("header")).body(body);
    Reply reply = peer().call(request.tail(around.bytes("trailer")).end(true));
    ASSERT_THAT(reply, Ends(body)) << length;
    ASSERT_EQ(reply.numbers("frames"), std::vector<uint64_t>{length});
  }
}

// ------------------------------------------------------------------------------------------------------------ cutting

CTS_CASE(Framing, EverySplitPointDecodesTheSame) {
  const Frames frames = {"abc", "", "hello"};
  const std::string stream = U32(frames[0]) + U32(frames[1]) + U32(frames[2]);
  for (uint64_t first = 0; first <= stream.size(); first++) {
    for (uint64_t second = 0; first + second <= stream.size(); second++) {
      ASSERT_THAT(peer().call(Decode(stream).pieces({first, second})), Decodes(frames)) << first << " " << second;
    }
    ASSERT_THAT(peer().call(Decode(stream).pieces({first}).end(true)), Decodes(frames, "end")) << first;
  }
}

CTS_CASE(Framing, EverySplitPointOfEveryCodecDecodesTheSame) {
  for (const auto &entry : kTwoFrames) {
    for (uint64_t at = 0; at <= entry.second.size(); at++) {
      ASSERT_THAT(peer().call(DecodeTwo(entry.first).pieces({at}).end(true)), Decodes({"hello", ""}, "end"))
          << entry.first << " cut at " << at;
    }
    EXPECT_THAT(peer().call(DecodeTwo(entry.first).piece(1).end(true)), Decodes({"hello", ""}, "end")) << entry.first;
  }
}

CTS_CASE(Framing, OneByteAtATimeDecodesTheSame) {
  const Frames frames = {"", "a", std::string(300, 'b'), std::string(3000, 'c'), "d"};
  std::string stream;
  for (const std::string &frame : frames) stream += U32(frame);
  EXPECT_THAT(peer().call(Decode(stream).piece(1)), Decodes(frames));
  EXPECT_THAT(peer().call(Decode(stream).piece(1).end(true)), Decodes(frames, "end"));
}

CTS_CASE(Framing, ManyFramesInOnePieceAllCome) {
  Frames frames;
  std::string stream;
  for (int i = 0; i < 1000; i++) {
    frames.push_back(std::string(static_cast<size_t>(i) % 7, static_cast<char>('a' + i % 26)));
    stream += U32(frames.back());
  }
  EXPECT_THAT(peer().call(Decode(stream)), Decodes(frames));
}

CTS_CASE(Framing, ShortAfterLongHasNoTail) {
  const Frames frames = {std::string(4000, 'x'), "y", "", "z"};
  std::string stream;
  for (const std::string &frame : frames) stream += U32(frame);
  EXPECT_THAT(peer().call(Decode(stream)), Decodes(frames));
  EXPECT_THAT(peer().call(Decode(stream).piece(100)), Decodes(frames));
}

// ------------------------------------------------------------------------------------------------------------- limits

CTS_CASE(Framing, LongestBodyIsAccepted) {
  const std::string ten(10, 'x');
  EXPECT_THAT(peer().call(Decode(U32(ten) + U32(ten)).max(10)), Decodes({ten, ten}));
  const Data body = pattern(1_MiB);
  for (uint64_t piece : {2_MiB, 64_KiB, uint64_t{4099}}) {
    Reply reply = peer().call(Decode(Number(1_MiB, 4)).body(body).tail(U32("a")).piece(piece));
    EXPECT_THAT(reply, IsOk());
    EXPECT_EQ(reply.numbers("frames"), (std::vector<uint64_t>{1_MiB, 1}));
    EXPECT_EQ(reply.number("crc32"), Crc32(body.crc32(), "a", 1)) << "the bytes differ";
  }
}

CTS_CASE(Framing, LongerBodyIsTooLarge) {
  EXPECT_THAT(peer().call(Decode(U32(std::string(11, 'x'))).max(10)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode(Number(1_MiB + 1, 4)).body(pattern(1_MiB + 1))), Decodes({}, "message_too_large"));
}

CTS_CASE(Framing, TooLargeIsToldWithTheHeader) {
  EXPECT_THAT(peer().call(Decode(Number(11, 4)).max(10)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode(Number(1_MiB + 1, 4)).piece(1)), Decodes({}, "message_too_large"));
}

CTS_CASE(Framing, AllOnesIsTooLarge) {
  EXPECT_THAT(peer().call(Decode(Hex("ffffffff"))), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode(Hex("ffffffff") + "abc").max(kMax31)), Decodes({}, "message_too_large"));
}

CTS_CASE(Framing, CeilingIsTwoGibibytesLessOne) {
  EXPECT_THAT(peer().call(Decode(Hex("7fffffff") + "abc").max(kMax31)), Decodes({}));
  EXPECT_THAT(peer().call(Decode(Hex("80000000") + "abc").max(kMax31)), Decodes({}, "message_too_large"));
  for (uint64_t max : {uint64_t{0}, kMax31 + 1, uint64_t{1} << 32, static_cast<uint64_t>(kMax53)}) {
    EXPECT_THAT(peer().call(Decode("").max(max)), StatusIs("invalid_argument")) << max;
  }
}

CTS_CASE(Framing, AnnouncedLengthTakesNoMemory) {
  const Data part = pattern(256_KiB);
  const auto announce = [&](uint64_t length) { return Decode(Number(length, 4)).body(part).max(kMax31).end(true); };
  // What the same bytes take when they are all that was announced.
  EXPECT_THAT(peer().call(announce(part.length()).piece(1000)), Ends(part));
  const uint64_t before = host::PeakMemory(peer().pid());
  EXPECT_THAT(peer().call(announce(kMax31).piece(1000)), Decodes({}, "message_truncated"));
  EXPECT_THAT(peer().call(announce(kMax31)), Decodes({}, "message_truncated"));
  EXPECT_LT(host::PeakMemory(peer().pid()) - before, uint64_t{1} << 30) << "bytes more than before the announcement";
}

CTS_CASE(Framing, EncodeRefusesTooLarge) {
  ExpectHeader(peer().call(Encode("u32", 10).max(10)), Number(10, 4));
  ExpectNoHeader(peer().call(Encode("u32", 11).max(10)), "message_too_large");
  ExpectHeader(peer().call(Encode("u32", 1_MiB)), Number(1_MiB, 4));
  ExpectNoHeader(peer().call(Encode("u32", 1_MiB + 1)), "message_too_large");
}

// --------------------------------------------------------------------------------------------------------------- need

CTS_CASE(Framing, NeedIsExactWhereTheLengthIsKnown) {
  const std::string frame = U32("hello");
  for (size_t before = 0; before < 2; before++) {
    const std::string whole = before == 0 ? "" : U32("first");
    for (size_t at = 0; at < frame.size(); at++) {
      for (uint64_t piece : {1u, 100u}) {
        Reply reply = peer().call(Decode(whole + frame.substr(0, at)).piece(piece));
        ASSERT_THAT(reply, Decodes(before == 0 ? Frames{} : Frames{"first"}));
        EXPECT_EQ(reply.number("need"), at < 4 ? 4 - at : frame.size() - at) << "behind " << at << " bytes";
      }
    }
  }
}

CTS_CASE(Framing, NeedIsNeverTooMuch) {
  for (const char *codec : {"varint", "netstring", "content_length", "escape"}) {
    const std::string &stream = kTwoFrames.at(codec);
    for (size_t at = 0; at < stream.size(); at++) {
      Reply reply = peer().call(Decode(codec, stream.substr(0, at)));
      ASSERT_THAT(reply, IsOk()) << codec << " behind " << at << " bytes";
      const bool first = reply.numbers("frames").empty();
      EXPECT_GE(reply.number("need"), 1u) << codec;
      // What the frame under way lacks: up to where `hello` and its trailer end, or up to the end.
      const size_t first_end = stream.find("hello") + 5 + (std::string(codec) == "netstring" ? 1 : 0);
      EXPECT_LE(reply.number("need"), (first ? first_end : stream.size()) - at)
          << codec << " behind " << at << " bytes";
    }
  }
}

// ---------------------------------------------------------------------------------------------------- ends and errors

CTS_CASE(Framing, EndAtABoundaryIsClean) {
  EXPECT_THAT(peer().call(Decode("").end(true)), Decodes({}, "end"));
  EXPECT_THAT(peer().call(Decode(U32("a")).end(true)), Decodes({"a"}, "end"));
  EXPECT_THAT(peer().call(Decode(U32("a") + U32("")).piece(1).end(true)), Decodes({"a", ""}, "end"));
}

CTS_CASE(Framing, EndInAHeaderIsTruncated) {
  for (size_t length = 1; length <= 4; length++) {
    const std::string part = Number(5, 4).substr(0, length);
    EXPECT_THAT(peer().call(Decode(part).end(true)), Decodes({}, "message_truncated")) << length;
    EXPECT_THAT(peer().call(Decode(U32("a") + part).end(true)), Decodes({"a"}, "message_truncated")) << length;
  }
}

CTS_CASE(Framing, EndInABodyIsTruncated) {
  for (size_t length = 1; length < 5; length++) {
    const std::string part = Number(5, 4) + std::string(length, 'x');
    EXPECT_THAT(peer().call(Decode(part).end(true)), Decodes({}, "message_truncated")) << length;
    EXPECT_THAT(peer().call(Decode(U32("a") + part).piece(1).end(true)), Decodes({"a"}, "message_truncated")) << length;
  }
}

CTS_CASE(Framing, FramesBeforeAnErrorAreDelivered) {
  const std::string stream = U32("one") + U32("two") + Hex("ffffffff");
  EXPECT_THAT(peer().call(Decode(stream)), Decodes({"one", "two"}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode(stream).piece(1)), Decodes({"one", "two"}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode(stream + U32("three"))), Decodes({"one", "two"}, "message_too_large"));
}

CTS_CASE(Framing, ErrorsAreSticky) {
  const std::string bad = Number(11, 4), good = U32("good");
  for (uint64_t cut = 1; cut <= bad.size() + good.size(); cut++) {
    EXPECT_THAT(peer().call(Decode(bad + good).max(10).pieces({cut})), Decodes({}, "message_too_large")) << cut;
    EXPECT_THAT(peer().call(Decode(bad + good).max(10).pieces({cut}).end(true)), Decodes({}, "message_too_large"))
        << cut;
  }
  EXPECT_THAT(peer().call(Decode(bad + std::string(11, 'x') + good).max(10).piece(1)),
              Decodes({}, "message_too_large"));
}

// ------------------------------------------------------------------------------------------------------ length fields

CTS_CASE(Framing, FieldOfEveryWidthAndOrder) {
  for (uint32_t width : kWidths) {
    for (const std::string &order : kOrders) {
      const std::string one = Number(5, width, order) + "hello";
      EXPECT_THAT(peer().call(Field(width, one + one).order(order)), Decodes({"hello", "hello"})) << width << order;
      if (width == 1) continue;
      const std::string long_body(300, 'l');
      EXPECT_THAT(peer().call(Field(width, Number(300, width, order) + long_body).order(order)), Decodes({long_body}))
          << width << " " << order;
    }
  }
}

CTS_CASE(Framing, EncodeWritesEveryWidthAndOrder) {
  for (uint32_t width : kWidths) {
    for (const std::string &order : kOrders) {
      for (uint64_t length : {0u, 5u, 255u, 258u, 66051u}) {
        if (width < 3 && length >> (8 * width) != 0) continue;
        for (uint32_t offset : {0u, 3u}) {
          Reply reply = peer().call(Encode("length", length).width(width).order(order).offset(offset));
          ExpectHeader(reply, std::string(offset, '\0') + Number(length, width, order));
        }
      }
    }
  }
}

CTS_CASE(Framing, WidthThatDoesNotExistIsRefused) {
  for (uint32_t width : {0u, 5u, 6u, 7u, 9u, 0xffffffffu}) {
    EXPECT_THAT(peer().call(Field(width, "").skip(0)), StatusIs("invalid_argument")) << width;
    ExpectNoHeader(peer().call(Encode("length", 1).width(width).skip(0)), "invalid_argument");
  }
}

CTS_CASE(Framing, OffsetBytesAreNotLookedAt) {
  for (const char *front : {"000000", "ffffff", "010203"}) {
    EXPECT_THAT(peer().call(Field(1, Hex(front) + Hex("02") + "hi").offset(3)), Decodes({"hi"})) << front;
  }
  EXPECT_THAT(peer().call(Field(1, std::string(1024, '\xff') + Hex("02") + "hi").offset(1024)), Decodes({"hi"}));
  for (uint32_t offset : {1025u, 0xffffffffu, 0xfffffffcu}) {
    EXPECT_THAT(peer().call(Field(4, "").offset(offset).skip(0)), StatusIs("invalid_argument")) << offset;
  }
}

CTS_CASE(Framing, AllOnesInEveryWidthIsTooLarge) {
  for (uint32_t width : kWidths) {
    for (const std::string &order : kOrders) {
      for (int64_t adjustment : {0, 1, 100}) {
        const auto request = Field(width, std::string(width, '\xff') + "abc").order(order).max(100);
        EXPECT_THAT(peer().call(op::framing_decode(request).adjustment(adjustment)), Decodes({}, "message_too_large"))
            << width << " " << order << " " << adjustment;
      }
    }
  }
}

CTS_CASE(Framing, LimitHoldsAfterAPositiveAdjustment) {
  const std::string ten(10, 'x');
  for (uint32_t width : kWidths) {
    EXPECT_THAT(peer().call(Field(width, Number(8, width) + ten).adjustment(2).max(10)), Decodes({ten})) << width;
    EXPECT_THAT(peer().call(Field(width, Number(9, width) + ten + "x").adjustment(2).max(10)),
                Decodes({}, "message_too_large"))
        << width;
  }
}

CTS_CASE(Framing, LimitHoldsAfterANegativeAdjustment) {
  const std::string ten(10, 'x');
  for (uint32_t width : kWidths) {
    EXPECT_THAT(peer().call(Field(width, Number(14, width) + ten).adjustment(-4).max(10)), Decodes({ten})) << width;
    EXPECT_THAT(peer().call(Field(width, Number(15, width) + ten + "x").adjustment(-4).max(10)),
                Decodes({}, "message_too_large"))
        << width;
  }
}

CTS_CASE(Framing, ValueBelowTheAdjustmentIsMalformed) {
  for (uint32_t width : kWidths) {
    EXPECT_THAT(peer().call(Field(width, Number(4, width)).adjustment(-4)), Decodes({""})) << width;
    for (uint64_t value : {3u, 0u}) {
      EXPECT_THAT(peer().call(Field(width, Number(value, width)).adjustment(-4)), Decodes({}, "malformed")) << width;
    }
  }
}

CTS_CASE(Framing, AdjustmentNeverWraps) {
  for (int64_t adjustment : {1, 2, 10}) {
    for (uint64_t below = 0; below <= 12; below++) {
      const std::string stream = Number(UINT64_MAX - below, 8) + "0123456789";
      EXPECT_THAT(peer().call(Field(8, stream).adjustment(adjustment).max(10)), Decodes({}, "message_too_large"))
          << below << " " << adjustment;
    }
  }
  const std::string most = Hex("ffffffffffffffff"), none = Hex("0000000000000000");
  const uint64_t max = static_cast<uint64_t>(kMax53);
  EXPECT_THAT(peer().call(Field(8, most).adjustment(kMax53).max(max)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Field(8, most).adjustment(-kMax53).max(max)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Field(8, none).adjustment(-kMax53).max(max)), Decodes({}, "malformed"));
  EXPECT_THAT(peer().call(Field(8, none).adjustment(-1).max(max)), Decodes({}, "malformed"));
}

CTS_CASE(Framing, ImpossibleAdjustmentIsRefused) {
  EXPECT_THAT(peer().call(Field(1, Hex("00") + "0123456789").adjustment(10).max(10)), Decodes({"0123456789"}));
  for (int64_t adjustment : std::initializer_list<int64_t>{11, 1 << 20, kMax53}) {
    EXPECT_THAT(peer().call(Field(8, "").adjustment(adjustment).max(10)), StatusIs("invalid_argument")) << adjustment;
    ExpectNoHeader(peer().call(Encode("length", 1).width(8).adjustment(adjustment).max(10)), "invalid_argument");
  }
  for (uint32_t width : {1u, 2u, 3u, 4u}) {
    const int64_t most = (int64_t{1} << (8 * width)) - 1;
    EXPECT_THAT(peer().call(Field(width, std::string(width, '\xff')).adjustment(-most)), Decodes({""})) << width;
    EXPECT_THAT(peer().call(Field(width, "").adjustment(-most - 1)), StatusIs("invalid_argument")) << width;
    ExpectNoHeader(peer().call(Encode("length", 1).width(width).adjustment(-most - 1)), "invalid_argument");
  }
}

CTS_CASE(Framing, SkipCountsFromTheFrame) {
  const std::string frame = Hex("aabb0005") + "hello";
  for (uint32_t skip = 0; skip <= 4; skip++) {
    EXPECT_THAT(peer().call(Field(2, frame).offset(2).skip(skip)), Decodes({frame.substr(skip)})) << skip;
  }
  EXPECT_THAT(peer().call(Field(2, frame).offset(2)), Decodes({"hello"}));
}

CTS_CASE(Framing, SkipLeavesTheNextFrameIntact) {
  const std::string first = U32("hello"), second = U32("world!");
  EXPECT_THAT(peer().call(Field(4, first + second).skip(0).adjustment(0)), Decodes({first, second}));
  EXPECT_THAT(peer().call(Field(4, first + second).skip(1).end(true)),
              Decodes({first.substr(1), second.substr(1)}, "end"));
}

CTS_CASE(Framing, SkipBeyondTheHeaderIsRefused) {
  EXPECT_THAT(peer().call(Field(2, Hex("aabb0002") + "hi").offset(2).skip(4)), Decodes({"hi"}));
  for (uint32_t skip : {5u, 100u, 0xffffffffu}) {
    EXPECT_THAT(peer().call(Field(2, Hex("aabb0002") + "hi").offset(2).skip(skip)), StatusIs("invalid_argument"));
  }
}

CTS_CASE(Framing, EncodeRefusesWhatTheFieldCannotSay) {
  for (uint32_t width : {1u, 2u, 3u}) {
    const uint64_t most = (uint64_t{1} << (8 * width)) - 1;
    const auto request = [&](uint64_t length) { return Encode("length", length).width(width).max(1 << 25); };
    ExpectHeader(peer().call(request(most)), std::string(width, '\xff'));
    ExpectNoHeader(peer().call(request(most + 1)), "unencodable");
    ExpectHeader(peer().call(request(most + 2).adjustment(2)), std::string(width, '\xff'));
    ExpectNoHeader(peer().call(request(most + 3).adjustment(2)), "unencodable");
    ExpectHeader(peer().call(request(most - 2).adjustment(-2)), std::string(width, '\xff'));
    ExpectNoHeader(peer().call(request(most - 1).adjustment(-2)), "unencodable");
  }
}

CTS_CASE(Framing, EncodeRefusesLessThanTheAdjustment) {
  for (uint32_t width : kWidths) {
    ExpectNoHeader(peer().call(Encode("length", 3).width(width).adjustment(4)), "unencodable");
    ExpectNoHeader(peer().call(Encode("length", 0).width(width).adjustment(4)), "unencodable");
    ExpectHeader(peer().call(Encode("length", 4).width(width).adjustment(4)), std::string(width, '\0'));
  }
}

CTS_CASE(Framing, EveryTupleRoundTrips) {
  for (uint32_t offset : {0u, 1u, 3u}) {
    for (uint32_t width : kWidths) {
      for (const std::string &order : kOrders) {
        for (int64_t adjustment : {-3, 0, 3}) {
          Reply around =
              peer().call(Encode("length", 5).offset(offset).width(width).order(order).adjustment(adjustment));
          ASSERT_THAT(around, IsOk());
          const std::string frame = around.bytes("header") + "hello" + around.bytes("trailer");
          for (uint32_t skip = 0; skip <= offset + width; skip++) {
            auto request = Field(width, frame + frame).offset(offset).order(order).adjustment(adjustment).skip(skip);
            ASSERT_THAT(peer().call(request.end(true)), Decodes({frame.substr(skip), frame.substr(skip)}, "end"))
                << offset << " " << width << " " << order << " " << adjustment << " " << skip;
          }
        }
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------------------ varints

CTS_CASE(Framing, VarintIsLowestGroupFirst) {
  const std::map<uint64_t, std::string> forms = {{0, "00"},     {1, "01"},       {127, "7f"},      {128, "8001"},
                                                 {300, "ac02"}, {16383, "ff7f"}, {16384, "808001"}};
  for (const auto &form : forms) {
    ExpectHeader(peer().call(Encode("varint", form.first)), Hex(form.second));
    ExpectHeader(peer().call(Encode("varint", form.first).varint_bytes(10)), Hex(form.second));
    const Data body = pattern(form.first);
    Reply reply = peer().call(Decode("varint", Hex(form.second)).body(body).end(true));
    EXPECT_THAT(reply, Ends(body)) << form.first;
    EXPECT_EQ(reply.numbers("frames"), std::vector<uint64_t>{form.first});
  }
  ExpectHeader(peer().call(Encode("varint", 2097151).max(1 << 22)), Hex("ffff7f"));
}

CTS_CASE(Framing, VarintBeyond32BitsIsMalformed) {
  const uint64_t max = uint64_t{1} << 33;
  EXPECT_THAT(peer().call(Decode("varint", Hex("ffffffff0f")).max(max)), Decodes({}));
  for (const char *last : {"10", "1f", "7f", "80", "8f", "ff"}) {
    EXPECT_THAT(peer().call(Decode("varint", Hex("ffffffff") + Hex(last) + "abc").max(max)), Decodes({}, "malformed"))
        << last;
    EXPECT_THAT(peer().call(Decode("varint", Hex("80808080") + Hex(last) + "abc").max(max)), Decodes({}, "malformed"))
        << last;
  }
}

CTS_CASE(Framing, VarintBeyond64BitsIsMalformed) {
  const uint64_t max = static_cast<uint64_t>(kMax53);
  const std::string nine(9, '\xff');
  EXPECT_THAT(peer().call(Decode("varint", nine + Hex("01")).varint_bytes(10).max(max)),
              Decodes({}, "message_too_large"));
  for (const char *last : {"02", "03", "7f", "81", "80", "ff"}) {
    EXPECT_THAT(peer().call(Decode("varint", nine + Hex(last)).varint_bytes(10).max(max)), Decodes({}, "malformed"))
        << last;
  }
}

CTS_CASE(Framing, VarintBytesAreFiveOrTen) {
  for (uint32_t bytes : {0u, 1u, 4u, 6u, 9u, 11u, 0xffffffffu}) {
    EXPECT_THAT(peer().call(Decode("varint", Hex("01") + "a").varint_bytes(bytes)), StatusIs("invalid_argument"))
        << bytes;
  }
}

CTS_CASE(Framing, VarintThatCannotSayIsUnencodable) {
  const uint64_t max = uint64_t{1} << 40, over = uint64_t{1} << 32;
  ExpectHeader(peer().call(Encode("varint", over - 1).max(max)), Hex("ffffffff0f"));
  ExpectNoHeader(peer().call(Encode("varint", over).max(max)), "unencodable");
  ExpectHeader(peer().call(Encode("varint", over).max(max).varint_bytes(10)), Hex("8080808010"));
}

CTS_CASE(Framing, OverlongVarintIsRefused) {
  for (const char *form : {"8000", "8100", "818000", "ff808000", "8080808000", "ffffffff00"}) {
    EXPECT_THAT(peer().call(Decode("varint", Hex(form) + "abc").overlong("refuse").max(1 << 30)),
                Decodes({}, "malformed"))
        << form;
  }
}

CTS_CASE(Framing, OverlongVarintIsRead) {
  for (const char *form : {"8000", "80808000", "8080808000"}) {
    EXPECT_THAT(peer().call(Decode("varint", Hex(form)).overlong("accept")), Decodes({""})) << form;
  }
  for (const char *form : {"8300", "838000", "8380808000"}) {
    EXPECT_THAT(peer().call(Decode("varint", Hex(form) + "abc").overlong("accept")), Decodes({"abc"})) << form;
  }
  EXPECT_THAT(peer().call(Decode("varint", Hex("838080808000") + "abc").overlong("accept")), Decodes({}, "malformed"));
}

// --------------------------------------------------------------------------------------------------------- netstrings

CTS_CASE(Framing, NetstringIsDigitsColonBodyComma) {
  EXPECT_THAT(peer().call(Decode("netstring", "0:,5:hello,4:1:,,,")), Decodes({"", "hello", "1:,,"}));
  ExpectHeader(peer().call(Encode("netstring", 0)), "0:", ",");
  ExpectHeader(peer().call(Encode("netstring", 5)), "5:", ",");
  ExpectHeader(peer().call(Encode("netstring", 1048576)), "1048576:", ",");
}

CTS_CASE(Framing, NetstringLeadingZeroIsMalformed) {
  EXPECT_THAT(peer().call(Decode("netstring", "0:,")), Decodes({""}));
  for (const char *text : {"00:,", "01:a,", "000", "05:hello,", "00"}) {
    EXPECT_THAT(peer().call(Decode("netstring", text)), Decodes({}, "malformed")) << text;
  }
}

CTS_CASE(Framing, NetstringLengthIsDigits) {
  for (const char *text : {":,", "-1:a,", "+1:a,", " 1:a,", "1 :a,", "1x", "x", "0x1:a,", "1.:a,", "\n1:a,", "1;a,"}) {
    EXPECT_THAT(peer().call(Decode("netstring", text)), Decodes({}, "malformed")) << text;
  }
}

CTS_CASE(Framing, NetstringWrongTrailerIsMalformed) {
  for (const char *text : {"1:a;", "1:ab,", "0:;", "1:a\n", "1:a1:b,", "5:hello5:hello,"}) {
    EXPECT_THAT(peer().call(Decode("netstring", text)), Decodes({}, "malformed")) << text;
    EXPECT_THAT(peer().call(Decode("netstring", std::string("2:ok,") + text).piece(1)), Decodes({"ok"}, "malformed"))
        << text;
  }
}

CTS_CASE(Framing, NetstringLongLengthIsTooLarge) {
  for (const char *text : {"4294967297:a,", "9999999999:", "4294967296", "18446744073709551617:a,",
                           "18446744073709551616:,", "99999999999999999999:"}) {
    EXPECT_THAT(peer().call(Decode("netstring", text)), Decodes({}, "message_too_large")) << text;
  }
}

CTS_CASE(Framing, NetstringLimitIsExact) {
  EXPECT_THAT(peer().call(Decode("netstring", "10:0123456789,").max(10)), Decodes({"0123456789"}));
  EXPECT_THAT(peer().call(Decode("netstring", "11").max(10)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode("netstring", "10").max(10)), Decodes({}));
}

CTS_CASE(Framing, NetstringEndIsCleanBehindTheComma) {
  const std::string whole = "2:ab,";
  for (size_t length = 1; length < whole.size(); length++) {
    EXPECT_THAT(peer().call(Decode("netstring", whole + whole.substr(0, length)).end(true)),
                Decodes({"ab"}, "message_truncated"))
        << length;
  }
  EXPECT_THAT(peer().call(Decode("netstring", whole).end(true)), Decodes({"ab"}, "end"));
}

// ----------------------------------------------------------------------------------------------------- Content-Length

namespace {
op::framing_decode Lsp(const std::string &stream) { return Decode("content_length", stream); }
}  // namespace

CTS_CASE(Framing, ContentLengthCountsBytes) {
  EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("5")) + "hello")), Decodes({"hello"}));
  EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("6")) + "\xc3\xa4\xe2\x82\xac!")), Decodes({"\xc3\xa4\xe2\x82\xac!"}));
  EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("4")) + "\r\n\r\n" + LspHeader(LspLine("0")))),
              Decodes({"\r\n\r\n", ""}));
  ExpectHeader(peer().call(Encode("content_length", 0)), "Content-Length: 0\r\n\r\n");
  ExpectHeader(peer().call(Encode("content_length", 1048576)), "Content-Length: 1048576\r\n\r\n");
}

CTS_CASE(Framing, ContentLengthIgnoresCase) {
  for (const char *line : {"content-length: 2", "CONTENT-LENGTH: 2", "cOnTeNt-LeNgTh:2", "Content-Length:\t2",
                           "Content-Length:  2 \t", "Content-Length: 0002"}) {
    EXPECT_THAT(peer().call(Lsp(LspHeader(std::string(line) + "\r\n") + "hi")), Decodes({"hi"})) << line;
  }
}

CTS_CASE(Framing, ContentLengthPassesOverOtherFields) {
  for (const char *line :
       {"Content-Type: application/vscode-jsonrpc; charset=utf-8", "X:", "X: a: b: c", "Content: 9", "Content-Lengt: 9",
        "Content-Length2: 9", "X-Content-Length: 9", "x!#$%&'*+-.^_`|~9: \x80"}) {
    const std::string other = std::string(line) + "\r\n";
    EXPECT_THAT(peer().call(Lsp(LspHeader(other + LspLine("2")) + "hi")), Decodes({"hi"})) << line;
    EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("2") + other) + "hi")), Decodes({"hi"})) << line;
  }
}

CTS_CASE(Framing, ContentLengthMissingIsMalformed) {
  EXPECT_THAT(peer().call(Lsp("\r\n")), Decodes({}, "malformed"));
  EXPECT_THAT(peer().call(Lsp(LspHeader("Content-Type: x\r\n") + "hi")), Decodes({}, "malformed"));
  // A header of its own for each frame: the second has none.
  EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("2")) + "hi" + LspHeader("X: y\r\n") + "hi")),
              Decodes({"hi"}, "malformed"));
}

CTS_CASE(Framing, ContentLengthTwiceIsMalformed) {
  for (const char *second : {"Content-Length: 2", "Content-Length: 3", "content-length: 2", "Content-Length: 0"}) {
    EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("2") + second + "\r\n") + "hi!")), Decodes({}, "malformed"))
        << second;
  }
}

CTS_CASE(Framing, ContentLengthIsDigits) {
  for (const char *value : {"", " ", "-1", "-0", "+1", "1 2", "1,1", "0x1", "1.0", "1e0", "one", "1a", "1;",
                            "99999999999999999999x", "\xd9\xa1"}) {
    EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine(value)) + "hi")), Decodes({}, "malformed")) << value;
  }
}

CTS_CASE(Framing, ContentLengthLinesEndInCrLf) {
  for (const std::string &stream :
       {std::string("Content-Length: 2\n\nhi"), std::string("Content-Length: 2\r\rhi"),
        std::string("Content-Length: 2\r\n\nhi"), std::string("Content-Length: 2\r\n\rhi"),
        std::string("X: \0\r\nContent-Length: 2\r\n\r\nhi", 29), std::string("X: \x01\r\nContent-Length: 2\r\n\r\nhi"),
        std::string("X: \x7f\r\nContent-Length: 2\r\n\r\nhi"), std::string("\nContent-Length: 2\r\n\r\nhi"),
        std::string("X: yz\nContent-Length: 2\r\n\r\nhi"), std::string("Content-Length: 22\n\r\nhi")}) {
    EXPECT_THAT(peer().call(Lsp(stream)), Decodes({}, "malformed")) << Printable(stream);
    EXPECT_THAT(peer().call(Lsp(stream).piece(1)), Decodes({}, "malformed")) << Printable(stream);
  }
}

CTS_CASE(Framing, ContentLengthLinesHaveNames) {
  for (const char *line : {"hello", ": 2", ":", " X: y", "\tX: y", "X : y", "X\t: y", "X y: z", "(X): y", "\x80: y"}) {
    EXPECT_THAT(peer().call(Lsp(LspHeader(std::string(line) + "\r\n" + LspLine("2")) + "hi")), Decodes({}, "malformed"))
        << Printable(line);
  }
  EXPECT_THAT(peer().call(Lsp(LspHeader("Content-Length : 2\r\n") + "hi")), Decodes({}, "malformed"));
  EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("2") + " 3\r\n") + "hi")), Decodes({}, "malformed"));
}

CTS_CASE(Framing, ContentLengthHeaderIsLimited) {
  const std::string rest = "\r\n" + LspHeader(LspLine("2"));
  for (size_t length : {8191u, 8192u}) {
    const std::string header = "X: " + std::string(length - 3 - rest.size(), 'x') + rest;
    EXPECT_THAT(peer().call(Lsp(header + "hi" + header + "hi")), Decodes({"hi", "hi"})) << length;
  }
  const std::string longer = "X: " + std::string(8193 - 3 - rest.size(), 'x') + rest;
  EXPECT_THAT(peer().call(Lsp(longer + "hi")), Decodes({}, "malformed"));
  EXPECT_THAT(peer().call(Lsp("X: " + std::string(8188, 'x'))), Decodes({}));
  EXPECT_THAT(peer().call(Lsp("X: " + std::string(8189, 'x'))), Decodes({}, "malformed"));
}

CTS_CASE(Framing, ContentLengthTooLarge) {
  EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine("10")) + "0123456789").max(10)), Decodes({"0123456789"}));
  for (const char *value : {"11", "4294967296", "4294967298", "18446744073709551616", "18446744073709551618",
                            "99999999999999999999999999999999"}) {
    EXPECT_THAT(peer().call(Lsp(LspHeader(LspLine(value)) + "hi").max(10)), Decodes({}, "message_too_large")) << value;
  }
}

// ------------------------------------------------------------------------------------------------------------ escapes

CTS_CASE(Framing, EscapeShortFormIsFourBytes) {
  EXPECT_THAT(peer().call(Decode("escape", U32("hello") + U32("") + U32("x"))), Decodes({"hello", "", "x"}));
  for (uint64_t length : {0u, 1u, 256u, 1048576u}) {
    ExpectHeader(peer().call(Encode("escape", length)), Number(length, 4));
  }
}

CTS_CASE(Framing, EscapeNegativeIsMalformed) {
  for (const char *header : {"fffffffe", "80000000", "80000001", "ffff0000", "ffffff00"}) {
    EXPECT_THAT(peer().call(Decode("escape", Hex(header))), Decodes({}, "malformed")) << header;
    EXPECT_THAT(peer().call(Decode("escape", U32("a") + Hex(header) + "abcdefgh")), Decodes({"a"}, "malformed"))
        << header;
  }
}

CTS_CASE(Framing, EscapeBeginsAtTwoGibibytes) {
  const uint64_t max = uint64_t{1} << 33;
  ExpectHeader(peer().call(Encode("escape", kMax31).max(max)), Hex("7fffffff"));
  ExpectHeader(peer().call(Encode("escape", kMax31 + 1).max(max)), Hex("ffffffff 0000000080000000"));
  ExpectHeader(peer().call(Encode("escape", uint64_t{1} << 32).max(max)), Hex("ffffffff 0000000100000000"));
}

CTS_CASE(Framing, EscapeLongFormIsRead) {
  const std::string two_gib = Hex("ffffffff 0000000080000000"), most = Hex("ffffffff ffffffffffffffff");
  const uint64_t max = uint64_t{1} << 32;
  EXPECT_THAT(peer().call(Decode("escape", two_gib + "abc").max(max)), Decodes({}));
  EXPECT_THAT(peer().call(Decode("escape", two_gib + "abc").max(max).end(true)), Decodes({}, "message_truncated"));
  EXPECT_THAT(peer().call(Decode("escape", two_gib).max(kMax31)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode("escape", most).max(kMax31)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode("escape", most).max(max)), Decodes({}, "message_too_large"));
  EXPECT_THAT(peer().call(Decode("escape", most.substr(0, 5)).end(true)), Decodes({}, "message_truncated"));
}

CTS_CASE(Framing, OverlongEscapeIsRefused) {
  for (const char *length : {"0000000000000000", "0000000000000003", "000000007fffffff"}) {
    EXPECT_THAT(
        peer().call(Decode("escape", Hex("ffffffff") + Hex(length) + "abc").overlong("refuse").max(uint64_t{1} << 32)),
        Decodes({}, "malformed"))
        << length;
  }
}

CTS_CASE(Framing, OverlongEscapeIsRead) {
  EXPECT_THAT(peer().call(Decode("escape", Hex("ffffffff 0000000000000000")).overlong("accept")), Decodes({""}));
  EXPECT_THAT(peer().call(Decode("escape", Hex("ffffffff 0000000000000003") + "abc" + U32("d")).overlong("accept")),
              Decodes({"abc", "d"}));
}

// ---------------------------------------------------------------------------------------------- a limit that changes

CTS_CASE(Framing, LowerLimitHoldsFromTheNextFrame) {
  const std::string ten = U32("0123456789"), three = U32("abc"), four = U32("abcd");
  for (uint64_t piece : {100u, 1u, 15u}) {
    EXPECT_THAT(peer().call(Decode(ten + three).max(10).max_after(3).piece(piece)), Decodes({"0123456789", "abc"}));
    EXPECT_THAT(peer().call(Decode(ten + three + four).max(10).max_after(3).piece(piece)),
                Decodes({"0123456789", "abc"}, "message_too_large"));
    EXPECT_THAT(peer().call(Decode(ten + ten).max(10).max_after(3).piece(piece)),
                Decodes({"0123456789"}, "message_too_large"));
  }
}

CTS_CASE(Framing, HigherLimitHoldsFromTheNextFrame) {
  const std::string ten = U32("0123456789"), three = U32("abc"), four = U32("abcd");
  for (uint64_t piece : {100u, 1u, 9u}) {
    EXPECT_THAT(peer().call(Decode(three + ten + four).max(3).max_after(10).piece(piece)),
                Decodes({"abc", "0123456789", "abcd"}));
    EXPECT_THAT(peer().call(Decode(three + U32("0123456789x")).max(3).max_after(10).piece(piece)),
                Decodes({"abc"}, "message_too_large"));
    EXPECT_THAT(peer().call(Decode(four + ten).max(3).max_after(10).piece(piece)), Decodes({}, "message_too_large"));
  }
}

CTS_CASE(Framing, LimitAfterIsChecked) {
  EXPECT_THAT(peer().call(Decode(U32("a") + U32("b")).max_after(kMax31)), Decodes({"a", "b"}));
  for (uint64_t max : {uint64_t{0}, kMax31 + 1, static_cast<uint64_t>(kMax53)}) {
    EXPECT_THAT(peer().call(Decode(U32("a")).max_after(max)), StatusIs("invalid_argument")) << max;
  }
  EXPECT_THAT(peer().call(Field(1, "").adjustment(10).max_after(10)), Decodes({}));
  EXPECT_THAT(peer().call(Field(1, "").adjustment(10).max_after(9)), StatusIs("invalid_argument"));
}

// ----------------------------------------------------------------------------------- bodies that begin where skip says

CTS_CASE(Framing, BodyBeginsAtSkip) {
  // Offset and field, then digits: a body of 7 bytes behind each skip.
  const std::string bytes = Hex("ff0007") + "0123456789";
  for (uint32_t skip = 0; skip <= 6; skip++) {
    const std::string frame = bytes.substr(0, skip + 7), body = bytes.substr(skip, 7);
    for (uint64_t cut = 0; cut <= 2 * frame.size(); cut++) {
      auto request = Field(2, frame + frame).offset(1).skip(skip).body_at_skip(true);
      ASSERT_THAT(peer().call(request.pieces({cut}).end(true)), Decodes({body, body}, "end")) << skip << " " << cut;
    }
  }
}

CTS_CASE(Framing, BodyAtSkipNeedsFieldAndSkip) {
  for (uint32_t skip : {0u, 2u, 3u, 8u}) {
    const uint64_t header = skip > 3 ? skip : 3, whole = skip + 9;
    const std::string frame = Hex("ff0009") + std::string(20, 'x');
    for (uint64_t at = 0; at < whole; at++) {
      Reply reply = peer().call(Field(2, frame.substr(0, at)).offset(1).skip(skip).body_at_skip(true));
      ASSERT_THAT(reply, Decodes({}));
      EXPECT_EQ(reply.number("need"), at < header ? header - at : whole - at) << skip << " behind " << at << " bytes";
    }
  }
}

CTS_CASE(Framing, BodyAtSkipContainsItsField) {
  const auto request = [](uint64_t value, uint32_t skip) {
    return Field(4, Number(value, 4)).skip(skip).body_at_skip(true);
  };
  for (uint32_t skip : {0u, 1u, 3u}) {
    EXPECT_THAT(peer().call(request(4 - skip, skip)), Decodes({Number(4 - skip, 4).substr(skip)})) << skip;
    for (uint64_t value = 0; value < 4 - skip; value++) {
      EXPECT_THAT(peer().call(request(value, skip)), Decodes({}, "malformed")) << skip << " " << value;
    }
  }
  EXPECT_THAT(peer().call(request(0, 4)), Decodes({""}));
  EXPECT_THAT(peer().call(request(0, 1032)), Decodes({}));
  for (uint32_t skip : {1033u, 0xffffffffu}) EXPECT_THAT(peer().call(request(0, skip)), StatusIs("invalid_argument"));
  // A field of one byte reaches the end of a header of 255 bytes, and of none that is longer.
  const std::string header = std::string(254, 'x') + "\xff";
  EXPECT_THAT(peer().call(Field(1, header).offset(254).skip(0).body_at_skip(true)), Decodes({header}));
  EXPECT_THAT(peer().call(Field(1, "x" + header).offset(255).skip(0).body_at_skip(true)), StatusIs("invalid_argument"));
}

// ------------------------------------------------------------------------------------------------------------ vectors

namespace {

const char *const kVectors[] = {
#include "conformance/support/framing_vectors.inc"
};

/// The request that a vector describes.
op::framing_decode VectorRequest(const Json &vector) {
  op::framing_decode request;
  const Json &codec = vector.at("codec");
  request.codec(codec.at("codec").get<std::string>());
  if (codec.contains("offset")) request.offset(codec["offset"].get<uint32_t>());
  if (codec.contains("width")) request.width(codec["width"].get<uint32_t>());
  if (codec.contains("order")) request.order(codec["order"].get<std::string>());
  if (codec.contains("adjustment")) request.adjustment(codec["adjustment"].get<int64_t>());
  if (codec.contains("skip")) request.skip(codec["skip"].get<uint32_t>());
  if (codec.contains("varint_bytes")) request.varint_bytes(codec["varint_bytes"].get<uint32_t>());
  if (codec.contains("max")) request.max(codec["max"].get<uint64_t>());
  if (codec.contains("body_at_skip")) request.body_at_skip(codec["body_at_skip"].get<bool>());
  if (codec.contains("overlong")) request.overlong(codec["overlong"].get<std::string>());
  std::string stream;
  std::vector<uint64_t> pieces;
  for (const Json &chunk : vector.at("chunks")) {
    const std::string bytes = Hex(chunk.get<std::string>());
    stream += bytes;
    pieces.push_back(bytes.size());
  }
  return request.head(stream).pieces(pieces).end(vector.at("end").get<bool>());
}

void ExpectVectorHolds(Peer &peer, const Json &vector) {
  Frames frames;
  std::string status = "ok";
  uint64_t need = 0;
  for (const Json &event : vector.at("events")) {
    if (event.contains("frame")) frames.push_back(Hex(event["frame"].get<std::string>()));
    if (event.contains("status")) status = event["status"].get<std::string>();
    if (event.contains("need")) need = event["need"].get<uint64_t>();
  }
  Reply reply = peer.call(VectorRequest(vector));
  EXPECT_THAT(reply, Decodes(frames, status)) << vector["name"];
  if (need != 0 && reply.ok()) {
    EXPECT_EQ(reply.number("need"), need) << vector["name"];
  }
}

}  // namespace

CTS_CASE(Framing, EveryVectorHolds) {
  for (const char *line : kVectors) {
    const Json vector = Json::parse(line);
    if (!vector.at("codec").contains("body_at_skip")) ExpectVectorHolds(peer(), vector);
  }
}

CTS_CASE(Framing, EveryVectorOfBodyAtSkipHolds) {
  for (const char *line : kVectors) {
    const Json vector = Json::parse(line);
    if (vector.at("codec").contains("body_at_skip")) ExpectVectorHolds(peer(), vector);
  }
}

}  // namespace cts
