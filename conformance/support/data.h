// data.h - bytes that travel through the peers: literal bytes and patterns, their digests, base64.
//
// spec/peer_protocol.md, 2.4.
#ifndef CONFORMANCE_SUPPORT_DATA_H
#define CONFORMANCE_SUPPORT_DATA_H

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace cts {

using Json = nlohmann::json;

/// Bytes as a peer sees them; on the channel a string or {"b64"}.
struct Bytes {
  std::string value;
  Bytes() = default;
  Bytes(std::string bytes) : value(std::move(bytes)) {}  // NOLINT: meant to convert
  Bytes(const char *text) : value(text) {}               // NOLINT: meant to convert
  bool operator==(const Bytes &other) const { return value == other.value; }
};

/// A system handle as a peer reports it.
struct Raw {
  std::string kind;
  std::string value;
};

/// What a write sends: literal bytes, or the pattern of `length` bytes that `seed` begins.
class Data {
 public:
  Data() : Data(std::string()) {}
  Data(const char *text) : Data(std::string(text)) {}  // NOLINT: meant to convert
  Data(std::string bytes);                             // NOLINT: meant to convert
  static Data Pattern(uint32_t seed, uint64_t length);

  uint64_t length() const { return length_; }
  /// CRC-32 (IEEE 802.3) of all bytes.
  uint32_t crc32() const { return slice_crc32(0, length_); }
  /// CRC-32 of `length` bytes from `offset`; both are cut to what there is.
  uint32_t slice_crc32(uint64_t offset, uint64_t length) const;
  /// `length` bytes from `offset`; both are cut to what there is.
  std::string slice(uint64_t offset, uint64_t length) const;
  /// The first `length` bytes of this.
  Data prefix(uint64_t length) const;
  Json json() const;
  /// For people: the text if it is short and printable, else length and kind.
  std::string describe() const;

 private:
  std::string bytes_;
  bool pattern_ = false;
  uint32_t seed_ = 0;
  uint64_t length_ = 0;
};

/// Continues a CRC-32 with `size` bytes; begin with 0.
uint32_t Crc32(uint32_t crc, const void *data, size_t size);

std::string Base64(const std::string &bytes);
/// Decodes strictly; false if `text` is not canonical base64 with padding.
bool FromBase64(const std::string &text, std::string *bytes);

/// JSON on one line. Bytes that are no UTF-8, as peers may say, are replaced.
std::string Dump(const Json &json);

/// Bytes as JSON: a string for printable ASCII, {"b64"} otherwise.
Json BytesJson(const std::string &bytes);
/// Reads bytes from JSON; false if it is neither a string nor {"b64"}.
bool BytesFromJson(const Json &json, std::string *bytes);

/// Bytes for people: printable ASCII as it is, the rest as \xNN; cut at `most` characters.
std::string Printable(const std::string &bytes, size_t most = 200);

constexpr uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr uint64_t operator""_MiB(unsigned long long n) { return n << 20; }

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_DATA_H
