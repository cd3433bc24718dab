#include "conformance/support/data.h"

#include <algorithm>
#include <array>

namespace cts {
namespace {

constexpr uint32_t kPeriod = 65521;  // prime, so that no power-of-two chunking ever sees a repeat

const std::string &PatternTable() {
  static const std::string table = [] {
    std::string bytes(kPeriod, '\0');
    uint32_t x = 1;
    for (char &byte : bytes) {
      x = (1103515245u * x + 12345u) & 0x7fffffffu;
      byte = static_cast<char>((x >> 16) & 0xffu);
    }
    return bytes;
  }();
  return table;
}

/// Tables for eight bytes at a time ("slicing by 8"): [k][b] is the CRC of byte b with k zero bytes behind it.
using CrcTables = std::array<std::array<uint32_t, 256>, 8>;

const CrcTables &TheCrcTables() {
  static const CrcTables tables = [] {
    CrcTables made{};
    for (uint32_t i = 0; i < 256; i++) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; bit++) c = (c & 1) ? 0xedb88320u ^ (c >> 1) : c >> 1;
      made[0][i] = c;
    }
    for (size_t k = 1; k < made.size(); k++) {
      for (size_t i = 0; i < 256; i++) made[k][i] = made[0][made[k - 1][i] & 0xff] ^ (made[k - 1][i] >> 8);
    }
    return made;
  }();
  return tables;
}

constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

uint32_t Crc32(uint32_t crc, const void *data, size_t size) {
  const CrcTables &table = TheCrcTables();
  const auto *p = static_cast<const unsigned char *>(data);
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    crc ^= p[0] | p[1] << 8 | p[2] << 16 | static_cast<uint32_t>(p[3]) << 24;
    crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^ table[4][crc >> 24] ^
          table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^ table[0][p[7]];
  }
  for (; size > 0; size--, p++) crc = table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
  return ~crc;
}

std::string Dump(const Json &json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Data::Data(std::string bytes) : bytes_(std::move(bytes)) { length_ = bytes_.size(); }

Data Data::Pattern(uint32_t seed, uint64_t length) {
  Data data;
  data.pattern_ = true;
  data.seed_ = seed % kPeriod;
  data.length_ = length;
  return data;
}

std::string Data::slice(uint64_t offset, uint64_t length) const {
  offset = std::min(offset, length_);
  length = std::min(length, length_ - offset);
  if (!pattern_) return bytes_.substr(offset, length);
  const std::string &table = PatternTable();
  std::string bytes;
  bytes.reserve(length);
  uint64_t at = (seed_ + offset) % kPeriod;
  while (bytes.size() < length) {
    uint64_t run = std::min<uint64_t>(kPeriod - at, length - bytes.size());
    bytes.append(table, at, run);
    at = 0;
  }
  return bytes;
}

uint32_t Data::slice_crc32(uint64_t offset, uint64_t length) const {
  std::string bytes = slice(offset, length);
  return Crc32(0, bytes.data(), bytes.size());
}

Data Data::prefix(uint64_t length) const {
  Data cut = *this;
  cut.length_ = std::min(length, length_);
  if (!pattern_) cut.bytes_.resize(cut.length_);
  return cut;
}

Json Data::json() const {
  if (!pattern_) return BytesJson(bytes_);
  return Json{{"seed", seed_}, {"length", length_}};
}

std::string Data::describe() const {
  if (pattern_) return std::to_string(length_) + " bytes of pattern " + std::to_string(seed_);
  return std::to_string(length_) + " bytes \"" + Printable(bytes_, 60) + "\"";
}

std::string Base64(const std::string &bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    size_t have = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; k++) group = group << 8 | (k < have ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    for (size_t k = 0; k < 4; k++) text += k <= have ? kAlphabet[(group >> (18 - 6 * k)) & 63] : '=';
  }
  return text;
}

bool FromBase64(const std::string &text, std::string *bytes) {
  static constexpr uint8_t kNone = 64;
  static const std::array<uint8_t, 256> values = [] {
    std::array<uint8_t, 256> made{};
    made.fill(kNone);
    for (uint8_t i = 0; i < kNone; i++) made[static_cast<unsigned char>(kAlphabet[i])] = i;
    return made;
  }();
  if (text.size() % 4 != 0) return false;
  size_t digits = text.size();
  while (digits > 0 && text.size() - digits < 2 && text[digits - 1] == '=') digits--;
  bytes->clear();
  bytes->reserve(text.size() / 4 * 3);
  uint32_t group = 0;
  unsigned held = 0;  // bits of the group that are no byte yet
  for (size_t i = 0; i < digits; i++) {
    const uint8_t value = values[static_cast<unsigned char>(text[i])];
    if (value == kNone) return false;
    group = group << 6 | value;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    bytes->push_back(static_cast<char>(group >> held & 0xff));
  }
  return (group & ((1u << held) - 1)) == 0;  // what is left over says nothing
}

Json BytesJson(const std::string &bytes) {
  bool printable = std::all_of(bytes.begin(), bytes.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7f; });
  if (printable) return bytes;
  return Json{{"b64", Base64(bytes)}};
}

bool BytesFromJson(const Json &json, std::string *bytes) {
  if (json.is_string()) {
    *bytes = json.get<std::string>();
    return true;
  }
  if (!json.is_object() || json.size() != 1 || !json.contains("b64") || !json["b64"].is_string()) return false;
  return FromBase64(json["b64"].get<std::string>(), bytes);
}

std::string Printable(const std::string &bytes, size_t most) {
  static const char hex[] = "0123456789abcdef";
  std::string text;
  for (unsigned char c : bytes) {
    if (text.size() >= most) return text + "…";
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      text += static_cast<char>(c);
    } else if (c == '\n') {
      text += "\\n";
    } else {
      text += {'\\', 'x', hex[c >> 4], hex[c & 15]};
    }
  }
  return text;
}

}  // namespace cts
