// kit_test.cc - unit tests of the C peer kit: reading lines, checking arguments, codecs, replies.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "conformance/kits/c/tests/kit_internals.h"

namespace {

cts_outcome never(cts_call *) { return cts_ok(); }

const cts_operation kOperations[] = {
    {"name.parse", never},   {"local.listen", never}, {"local.connect", never},
    {"stream.read", never},  {"stream.write", never}, {"stream.write_vectored", never},
    {"stream.adopt", never}, {"stream.split", never}, {"stream.set_nonblocking", never},
    {nullptr, nullptr},
};
const char *const kFeatures[] = {"lanes", "name.path", "wait", "local.listen.backlog", nullptr};

class KitTest : public testing::Test {
 protected:
  KitTest() {
    peer_.implementation = "test";
    peer_.version = "1";
    peer_.threads = true;
    peer_.features = kFeatures;
    peer_.operations = kOperations;
    kit_use(&peer_);
  }

  // The status that refuses the request, "" if it would run, "garbage" if it is none.
  std::string check(const std::string &line) {
    const char *status = kit_check(line.data(), line.size(), &why_, &call_);
    return status == nullptr ? "garbage" : status;
  }

  std::string reply(cts_outcome outcome) {
    std::string out(2 * CTS_LINE_MAX, '\0');
    out.resize(kit_reply(outcome, &out[0], out.size()));
    return out;
  }

  cts_peer peer_{};
  const char *why_ = nullptr;
  cts_call *call_ = nullptr;
};

std::string parse(const std::string &line) {
  const char *why = kit_parse(line.data(), line.size());
  return why == nullptr ? "" : why;
}

TEST_F(KitTest, AcceptsTheJsonOfTheProtocol) {
  const std::vector<std::string> lines = {
      R"({})",
      R"({"a":1})",
      " {\t\"a\" : [ ] , \"b\" : { } } \r",
      R"({"a":[1,-1,0,9007199254740991,-9007199254740991,true,false,null,"x"]})",
      R"({"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00\u0000"})",
      "{\"a\":\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf \xed\x9f\xbf\"}",
      R"({"a":{"a":1},"b":{"a":1}})",
  };
  for (const std::string &line : lines) {
    EXPECT_EQ(parse(line), "") << line;
  }
  EXPECT_EQ(parse(R"({"a":[[[[[[[]]]]]]]})"), "");
}

TEST_F(KitTest, RefusesEverythingElseAndSaysWhy) {
  const struct {
    std::string line, why;
  } vectors[] = {
      {"", "a value is missing or unknown"},
      {"x", "a value is missing or unknown"},
      {"[]", "the line is no object"},
      {"1", "the line is no object"},
      {"{}{}", "something follows the object"},
      {"{} x", "something follows the object"},
      {R"({"a":1,"a":2})", "a key appears twice"},
      {R"({"a":1,"\u0061":2})", "a key appears twice"},
      {R"({"x":{"b":1,"c":{},"b":1}})", "a key appears twice"},
      {R"({"a":1.0})", "a number that is no integer"},
      {R"({"a":1e3})", "a number that is no integer"},
      {R"({"a":01})", "a number with a leading zero"},
      {R"({"a":-})", "a value is missing or unknown"},
      {R"({"a":+1})", "a value is missing or unknown"},
      {R"({"a":9007199254740992})", "a number beyond 2^53-1"},
      {R"({"a":-9007199254740992})", "a number beyond 2^53-1"},
      {R"({"a":99999999999999999999999999999999999999})", "a number beyond 2^53-1"},
      {R"({"a":NaN})", "a value is missing or unknown"},
      {R"({"a":tru})", "a value is missing or unknown"},
      {R"({"a":truex})", "a comma or closing bracket is missing"},
      {R"({"a":1,})", "a key is missing"},
      {R"({,})", "a key is missing"},
      {R"({a:1})", "a key is missing"},
      {R"({"a" 1})", "a colon is missing"},
      {R"({"a":[1,]})", "a value is missing or unknown"},
      {R"({"a":[1 2]})", "a comma or closing bracket is missing"},
      {R"({"a":[1})", "a comma or closing bracket is missing"},
      {R"({"a":"b)", "the line ends inside a string"},
      {R"({"a":"\)", "the line ends inside a string"},
      {R"({"a":"\x"})", "an unknown escape in a string"},
      {R"({"a":"\u12"})", "\\u without four hexadecimal digits"},
      {R"({"a":"\ud800"})", "a lone surrogate in a string"},
      {R"({"a":"\ud800\u0041"})", "a lone surrogate in a string"},
      {R"({"a":"\ude00"})", "a lone surrogate in a string"},
      {"{\"a\":\"\x01\"}", "a control character in a string"},
      {std::string("{\"a\":\"\0\"}", 9), "a control character in a string"},
      {std::string("{\"a\":\0}", 7), "a value is missing or unknown"},
      {"{\"a\":\"\xff\"}", "not valid UTF-8"},
      {"{\"a\":\"\xc0\x80\"}", "not valid UTF-8"},
      {"{\"a\":\"\xe0\x9f\xbf\"}", "not valid UTF-8"},
      {"{\"a\":\"\xed\xa0\x80\"}", "not valid UTF-8"},
      {"{\"a\":\"\xf0\x8f\xbf\xbf\"}", "not valid UTF-8"},
      {"{\"a\":\"\xf4\x90\x80\x80\"}", "not valid UTF-8"},
      {"{\"a\":\"\xe2\x82", "not valid UTF-8"},
      {R"({"a":[[[[[[[[]]]]]]]]})", "nested more than 8 deep"},
      {std::string(60000, '['), "nested more than 8 deep"},
  };
  for (const auto &v : vectors) EXPECT_EQ(parse(v.line), v.why) << v.line.substr(0, 80);
}

TEST_F(KitTest, EveryPrefixOfALineIsRefused) {
  const std::string line = R"({"id":7,"op":"x\u00e9\ud83d\ude00","a":[1,{"b":null}],"c":true})";
  EXPECT_EQ(parse(line), "");
  for (size_t len = 0; len < line.size(); len++) EXPECT_NE(parse(line.substr(0, len)), "") << len;
}

TEST_F(KitTest, TheLongestLinesFit) {
  std::string many = "{\"a\":[1";
  while (many.size() + 4 < CTS_LINE_MAX) many += ",1";
  EXPECT_EQ(parse(many + "]}"), "");
  std::string keys = "{";
  for (int i = 0; keys.size() + 20 < CTS_LINE_MAX; i++) keys += "\"" + std::to_string(i) + "\":0,";
  EXPECT_EQ(parse(keys + "\"x\":0}"), "");
  EXPECT_EQ(parse(keys + "\"0\":0}"), "a key appears twice");
}

TEST_F(KitTest, ALineWithoutAnIdIsGarbage) {
  for (const char *line : {R"({"op":"hello"})", R"({"id":0,"op":"hello"})", R"({"id":-1})", R"({"id":"1"})", "{}"}) {
    EXPECT_EQ(check(line), "garbage") << line;
  }
}

TEST_F(KitTest, RefusesUnderTheIdWhatIsWrongWithTheRequest) {
  const struct {
    const char *line, *status, *why;
  } vectors[] = {
      {R"({"id":1})", "invalid_argument", "op is missing or no text"},
      {R"({"id":1,"op":7})", "invalid_argument", "op is missing or no text"},
      {R"({"id":1,"op":"nope"})", "unsupported", "the operation is not offered"},
      {R"({"id":1,"op":"stream.flush","on":"s"})", "unsupported", "the operation is not offered"},
      {R"({"id":1,"op":"hello"})", "invalid_argument", "protocol is missing"},
      {R"({"id":1,"op":"hello","protocol":4294967296})", "invalid_argument",
       "protocol is of the wrong type or out of range"},
      {R"({"id":1,"op":"hello","protocol":1,"watch":1})", "invalid_argument", "watch is neither true nor false"},
      {R"({"id":1,"op":"hello","protocol":1,"lane":""})", "invalid_argument", "lane is no name"},
      {R"({"id":1,"op":"stream.read","until":"some"})", "invalid_argument", "on is missing"},
      {R"({"id":1,"op":"stream.read","on":"a b","until":"some"})", "invalid_argument", "on is no name"},
      {R"({"id":1,"op":"stream.read","on":"s"})", "invalid_argument", "until is missing"},
      {R"({"id":1,"op":"stream.read","on":"s","until":"som"})", "invalid_argument",
       "until is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.read","on":"s","until":"some|exact"})", "invalid_argument",
       "until is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.read","on":"s","until":"some","max":-1})", "invalid_argument",
       "max is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.read","on":"s","until":"some","max":"5"})", "invalid_argument",
       "max is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.read","on":"s","until":"some","timeout_ms":5})", "unsupported",
       "timeout_ms needs the feature stream.read.timeout"},
      {R"({"id":1,"op":"local.listen","as":"l","kind":"path","name":7})", "invalid_argument",
       "name is of the wrong type or out of range"},
      {R"({"id":1,"op":"local.listen","as":"l","kind":"path","name":{"b64":"YQ"}})", "invalid_argument",
       "name is of the wrong type or out of range"},
      {R"({"id":1,"op":"local.listen","as":"l","kind":"path","name":{"b64":"YQ==","x":1}})", "invalid_argument",
       "name is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.split","on":"s","read_as":"r"})", "invalid_argument", "write_as is missing"},
      {R"({"id":1,"op":"stream.write","on":"s","data":{"seed":65521,"length":1}})", "invalid_argument",
       "data is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.write","on":"s","data":{"seed":0,"length":1073741825}})", "invalid_argument",
       "data is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.set_nonblocking","on":"s","nonblocking":1})", "invalid_argument",
       "nonblocking is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.adopt","as":"s","raw":{"kind":"fd","value":7}})", "invalid_argument",
       "raw is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.adopt","as":"s","raw":{"kind":"file","value":"7"}})", "invalid_argument",
       "raw is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.adopt","as":"s","raw":{"kind":"fd","value":"18446744073709551616"}})",
       "invalid_argument", "raw is of the wrong type or out of range"},
      {R"({"id":1,"op":"stream.write_vectored","on":"s","data":"a","lengths":[1,-1]})", "invalid_argument",
       "lengths is of the wrong type or out of range"},
  };
  for (const auto &v : vectors) {
    EXPECT_EQ(check(v.line), v.status) << v.line;
    EXPECT_STREQ(why_, v.why) << v.line;
  }
}

TEST_F(KitTest, IgnoresKeysItDoesNotKnow) {
  EXPECT_EQ(check(R"({"id":1,"op":"hello","protocol":1,"on":5,"as":{},"colour":[[1]]})"), "");
}

TEST_F(KitTest, GivesHandlersTypedArguments) {
  ASSERT_EQ(check(R"({"id":9007199254740991,"op":"stream.read","on":"s","until":"exact","max":9007199254740991})"), "");
  EXPECT_STREQ(cts_text_or(call_, "until", ""), "exact");
  EXPECT_EQ(cts_u64_or(call_, "max", 0), 9007199254740991u);
  EXPECT_TRUE(cts_has(call_, "max"));
  EXPECT_FALSE(cts_has(call_, "wait"));
  EXPECT_TRUE(cts_bool_or(call_, "wait", true));

  ASSERT_EQ(check(R"({"id":1,"op":"local.listen","as":"l","kind":"native","name":{"b64":"AGEA/w=="},"backlog":3})"),
            "");
  cts_bytes name = cts_bytes_of(call_, "name");
  EXPECT_EQ(std::string(reinterpret_cast<const char *>(name.data), name.len), std::string("\0a\0\xff", 4));
  EXPECT_EQ(cts_u64_or(call_, "backlog", 0), 3u);

  ASSERT_EQ(check(R"({"id":1,"op":"stream.adopt","as":"s","raw":{"kind":"handle","value":"18446744073709551615"}})"),
            "");
  EXPECT_STREQ(cts_raw_of(call_, "raw").kind, "handle");
  EXPECT_EQ(cts_raw_of(call_, "raw").value, UINT64_MAX);

  size_t num = 0;
  ASSERT_EQ(check(R"({"id":1,"op":"stream.write_vectored","on":"s","data":{"seed":3,"length":9},"lengths":[4,0,5]})"),
            "");
  const uint64_t *lengths = cts_list_of(call_, "lengths", &num);
  EXPECT_EQ(std::vector<uint64_t>(lengths, lengths + num), (std::vector<uint64_t>{4, 0, 5}));
  EXPECT_EQ(cts_data_of(call_, "data").bytes, nullptr);
  EXPECT_EQ(cts_data_of(call_, "data").seed, 3u);
}

TEST_F(KitTest, LimitsListsAndInlineData) {
  auto vectored = [](size_t num) {
    std::string line = R"({"id":1,"op":"stream.write_vectored","on":"s","data":"","lengths":[)";
    for (size_t i = 0; i < num; i++) line += i > 0 ? ",0" : "0";
    return line + "]}";
  };
  EXPECT_EQ(check(vectored(0)), "");
  EXPECT_EQ(check(vectored(64)), "");
  EXPECT_EQ(check(vectored(65)), "invalid_argument");
  auto write = [](size_t len) {
    return R"({"id":1,"op":"stream.write","on":"s","data":")" + std::string(len, 'x') + "\"}";
  };
  EXPECT_EQ(check(write(4096)), "");
  EXPECT_EQ(check(write(4097)), "invalid_argument");
}

TEST_F(KitTest, NamesOfHandles) {
  EXPECT_TRUE(kit_handle_name_valid("a"));
  EXPECT_TRUE(kit_handle_name_valid("A-z_0.9"));
  EXPECT_TRUE(kit_handle_name_valid(std::string(63, 'a').c_str()));
  for (const std::string &name :
       {std::string(), std::string(64, 'a'), std::string("a b"), std::string("a/b"), std::string("\xc3\xa9")}) {
    EXPECT_FALSE(kit_handle_name_valid(name.c_str())) << name;
  }
}

TEST_F(KitTest, Base64) {
  const struct {
    const char *text, *bytes;
  } vectors[] = {{"", ""},
                 {"Zg==", "f"},
                 {"Zm8=", "fo"},
                 {"Zm9v", "foo"},
                 {"Zm9vYg==", "foob"},
                 {"Zm9vYmE=", "fooba"},
                 {"Zm9vYmFy", "foobar"},
                 {"++//", "\xfb\xef\xff"}};
  for (const auto &v : vectors) {
    std::string text = v.text;
    ASSERT_EQ(kit_base64_decode(reinterpret_cast<uint8_t *>(&text[0]), text.size()), (ptrdiff_t)std::strlen(v.bytes));
    EXPECT_EQ(text.substr(0, std::strlen(v.bytes)), v.bytes);
  }
  for (std::string text :
       {"Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9v", "Zm9v\n", "Zg==Zg==", "-_-_", "=", "Z=g="}) {
    EXPECT_EQ(kit_base64_decode(reinterpret_cast<uint8_t *>(&text[0]), text.size()), -1) << text;
  }
}

TEST_F(KitTest, Crc32AndPatterns) {
  EXPECT_EQ(cts_crc32(0, "123456789", 9), 0xCBF43926u);
  EXPECT_EQ(cts_crc32(0, "hello", 5), 907060870u);
  EXPECT_EQ(cts_crc32(cts_crc32(0, "hel", 3), "lo", 2), 907060870u);
  // The pattern by its definition, one byte at a time.
  std::vector<uint8_t> table;
  for (uint64_t n = 0, x = 1; n < 65521; n++) {
    x = (1103515245 * x + 12345) % (UINT64_C(1) << 31);
    table.push_back(static_cast<uint8_t>(x >> 16));
  }
  const cts_data data = {nullptr, 65000, 200000};
  std::vector<uint8_t> bytes(150000);
  cts_data_copy(&data, 7, bytes.data(), bytes.size());
  for (size_t i = 0; i < bytes.size(); i++) ASSERT_EQ(bytes[i], table[(65000 + 7 + i) % 65521]) << i;
}

TEST_F(KitTest, DigestsDoNotDependOnHowBytesArrive) {
  static cts_digest whole, pieces;  // large
  std::vector<uint8_t> bytes(10000);
  const cts_data data = {nullptr, 1, bytes.size()};
  cts_data_copy(&data, 0, bytes.data(), bytes.size());
  cts_digest_init(&whole, 999);
  cts_digest_update(&whole, bytes.data(), bytes.size());
  cts_digest_init(&pieces, 999);
  for (size_t at = 0, run = 1; at < bytes.size(); at += run, run = run * 3 % 1000 + 1) {
    if (run > bytes.size() - at) run = bytes.size() - at;
    cts_digest_update(&pieces, bytes.data() + at, run);
  }
  EXPECT_EQ(whole.crc32, pieces.crc32);
  ASSERT_EQ(whole.num_chunks, 11u);
  ASSERT_EQ(pieces.num_chunks, 11u);
  for (size_t i = 0; i < 11; i++) EXPECT_EQ(whole.chunks[i], pieces.chunks[i]) << i;
  EXPECT_EQ(whole.chunks[10], cts_crc32(0, bytes.data() + 9990, 10));
}

TEST_F(KitTest, RepliesAreEscaped) {
  ASSERT_EQ(check(R"({"id":5,"op":"hello","protocol":1})"), "");
  cts_add_bytes(call_, "a", "a\"\\/", 4);
  cts_add_bytes(call_, "b", "\0\xff", 2);
  cts_add_bytes(call_, "c", "", 0);
  cts_add_text(call_, "d", "\x01\xc3\xa9\xff\x7f\n");
  cts_add_u64(call_, "e", UINT64_MAX);
  EXPECT_EQ(reply(cts_error(2, "no\nsuch")),
            "{\"id\":5,\"status\":\"not_found\",\"error\":2,\"a\":\"a\\\"\\\\/\",\"b\":{\"b64\":\"AP8=\"},\"c\":\"\","
            "\"d\":\"\\u0001\xc3\xa9\\ufffd\\u007f\\u000a\",\"e\":18446744073709551615,\"why\":\"no\\u000asuch\"}\n");
}

TEST_F(KitTest, WhyIsCutBetweenCharacters) {
  ASSERT_EQ(check(R"({"id":5,"op":"hello","protocol":1})"), "");
  const std::string why = std::string(499, 'x') + "\xc3\xa9 and more";
  EXPECT_EQ(reply(cts_status("failed", why.c_str())),
            R"({"id":5,"status":"failed","why":")" + std::string(499, 'x') + "\"}\n");
  EXPECT_EQ(reply(cts_status("failed", std::string(500, '\x01').c_str())).size(),
            std::strlen(R"({"id":5,"status":"failed","why":""})") + 1 + 6 * 500);
}

TEST_F(KitTest, AReplyNeverExceedsALine) {
  ASSERT_EQ(check(R"({"id":5,"op":"hello","protocol":1})"), "");
  static cts_digest digest;
  std::vector<uint8_t> zeros(4096);
  cts_digest_init(&digest, 1);
  cts_digest_update(&digest, zeros.data(), zeros.size());
  cts_add_digest(call_, &digest);
  std::string most = reply(cts_status("message_too_large", std::string(600, '\x01').c_str()));
  EXPECT_LE(most.size(), static_cast<size_t>(CTS_LINE_MAX));
  EXPECT_EQ(most.substr(0, 37), R"({"id":5,"status":"message_too_large",)");

  ASSERT_EQ(check(R"({"id":5,"op":"hello","protocol":1})"), "");
  cts_add_u64(call_, "a", 1);
  cts_add_bytes(call_, "b", std::string(63000, 'x').data(), 63000);
  EXPECT_EQ(reply(cts_ok()), R"({"id":5,"status":"failed","why":"the reply would be longer than a line may be"})"
                             "\n");
}

TEST_F(KitTest, StatusNumbersAreThoseOfTheAbi) {
  EXPECT_STREQ(cts_status_name(0), "ok");
  EXPECT_STREQ(cts_status_name(27), "failed");
  EXPECT_EQ(cts_status_name(28), nullptr);
  EXPECT_EQ(cts_status_name(-1), nullptr);
}

}  // namespace
