#include "conformance/support/windows/text.h"

#include <windows.h>

#include <cstdint>

namespace cts {
namespace {

constexpr uint32_t kReplacement = 0xfffd;

/// The code point that begins at `at`, which is moved behind it.
uint32_t Next(const std::string &text, size_t *at) {
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(text[i])); };
  const uint32_t first = byte((*at)++);
  if (first < 0x80) return first;
  const size_t length = first >= 0xf0 && first < 0xf8 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc0 || first >= 0xf8 || text.size() - *at < length - 1) return kReplacement;
  uint32_t value = first & (0x7fu >> length);
  for (size_t i = 0; i < length - 1; i++) {
    if ((byte(*at + i) & 0xc0u) != 0x80) return kReplacement;
    value = value << 6 | (byte(*at + i) & 0x3fu);
  }
  if (value < least[length] || value > 0x10ffff) return kReplacement;
  *at += length - 1;
  return value;
}

void Append(uint32_t value, std::string *text) {
  const auto put = [&](uint32_t byte) { text->push_back(static_cast<char>(static_cast<unsigned char>(byte))); };
  const uint32_t length = value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4;
  static const uint32_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
  put(marks[length] | value >> 6 * (length - 1));
  for (uint32_t i = length - 1; i-- > 0;) put(0x80 | ((value >> 6 * i) & 0x3fu));
}

bool IsHigh(uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
bool IsLow(uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

}  // namespace

std::wstring Wide(const std::string &text) {
  std::wstring wide;
  for (size_t at = 0; at < text.size();) {
    const uint32_t value = Next(text, &at);
    if (value >= 0x10000) {
      wide.push_back(static_cast<wchar_t>(0xd7c0 + (value >> 10)));
      wide.push_back(static_cast<wchar_t>(0xdc00 + (value & 0x3ff)));
    } else {
      wide.push_back(static_cast<wchar_t>(value));
    }
  }
  return wide;
}

std::string Narrow(const std::wstring &text) {
  std::string narrow;
  for (size_t at = 0; at < text.size(); at++) {
    uint32_t value = text[at];
    const uint32_t next = at + 1 < text.size() ? text[at + 1] : 0;
    if (IsHigh(value) && IsLow(next)) {
      value = 0x10000 + ((value - 0xd800) << 10) + (next - 0xdc00);
      at++;
    }
    Append(value, &narrow);
  }
  return narrow;
}

std::string SystemError(unsigned long error) {
  wchar_t text[512];
  const DWORD length = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, nullptr, error,
                                      MAKELANGID(LANG_ENGLISH, SUBLANG_ENGLISH_US), text, 512, nullptr);
  std::wstring said(text, length);
  while (!said.empty() && (said.back() == L'\n' || said.back() == L'\r' || said.back() == L' ')) said.pop_back();
  return (said.empty() ? "error" : Narrow(said)) + " (" + std::to_string(error) + ")";
}

}  // namespace cts
