#include "fuzz/lenient_readers.h"

#include <cctype>
#include <string>

#include "ipc/status.h"

namespace fuzz {
namespace {

constexpr int64_t kMost = int64_t{1} << 53; /* more than any stream has */
constexpr std::string_view kSpace = " \t\n\v\f\r";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char &c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(kSpace);
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

/* Reads digits of |base| at |*at|, which it moves behind them. At most kMost comes of them. */
int64_t digits(std::string_view text, int base, size_t *at) {
  int64_t value = 0;
  for (; *at < text.size(); ++*at) {
    const int c = std::tolower(static_cast<unsigned char>(text[*at]));
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : base;
    if (digit >= base) break;
    value = value * base + digit;
    if (value > kMost) value = kMost;
  }
  return value;
}

bool negative(std::string_view text, size_t *at) {
  if (*at >= text.size() || (text[*at] != '-' && text[*at] != '+')) return false;
  return text[(*at)++] == '-';
}

/* strconv.Atoi, without what is too great; false if the text is no number. */
bool atoi_of(std::string_view text, int64_t *out) {
  size_t at = 0;
  const bool minus = negative(text, &at);
  const size_t begin = at;
  const int64_t value = digits(text, 10, &at);
  *out = minus ? -value : value;
  return at > begin && at == text.size();
}

/* JavaScript's parseInt; false for NaN. */
bool parse_int(std::string_view text, int64_t *out) {
  size_t at = 0;
  const bool minus = negative(text, &at);
  const bool hexadecimal = text.size() - at >= 2 && text[at] == '0' && (text[at + 1] | 0x20) == 'x';
  if (hexadecimal) at += 2;
  const size_t begin = at;
  const int64_t value = digits(text, hexadecimal ? 16 : 10, &at);
  *out = minus ? -value : value;
  return at > begin;
}

}  // namespace

Read read_as_jrpc2(std::string_view stream, bool ended) {
  std::string length;
  size_t at = 0;
  for (;;) {
    const size_t newline = stream.find('\n', at);
    if (newline == stream.npos && !ended) return {IPC_WOULD_BLOCK, {}};
    if (at == stream.size()) return {IPC_END, {}};
    const size_t next = newline == stream.npos ? stream.size() : newline + 1;
    std::string_view line = stream.substr(at, next - at);
    at = next;
    while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
    if (line.empty()) break;
    const size_t colon = line.find(':');
    if (colon == line.npos) return {IPC_MALFORMED, {}};
    if (lower(line.substr(0, colon)) == "content-length") length = trimmed(line.substr(colon + 1));
  }
  int64_t size;
  if (!atoi_of(length, &size) || size < 0) return {IPC_MALFORMED, {}};
  const auto left = static_cast<int64_t>(stream.size() - at);
  if (left >= size) return {IPC_OK, stream.substr(at, static_cast<size_t>(size))};
  if (!ended) return {IPC_WOULD_BLOCK, {}};
  return {left == 0 ? IPC_END : IPC_MESSAGE_TRUNCATED, {}};
}

bool vscode_jsonrpc_answers(std::string_view stream, int32_t status, std::string_view body) {
  /* The end of a header: CR LF CR LF, where a third CR begins nothing. */
  int state = 0;
  size_t end = 0;
  for (; end < stream.size() && state != 4; end++) {
    const char c = stream[end];
    state = c == '\r' ? (state == 0 ? 1 : state == 2 ? 3 : 0) : c == '\n' ? (state == 1 ? 2 : state == 3 ? 4 : 0) : 0;
  }
  if (state != 4) return status == IPC_WOULD_BLOCK;
  std::string header(stream.substr(0, end));
  for (char &c : header) c = static_cast<char>(c & 0x7F);
  std::string length;
  /* The last two of its parts are empty, wherever bits that were dropped made more of them. */
  for (size_t at = 0; at + 2 < header.size();) {
    const size_t next = header.find("\r\n", at);
    const std::string_view line = std::string_view(header).substr(at, next - at);
    at = next + 2;
    const size_t colon = line.find(':');
    if (colon == line.npos) return status == IPC_MALFORMED;
    if (lower(line.substr(0, colon)) == "content-length") length = trimmed(line.substr(colon + 1));
  }
  int64_t size;
  if (!parse_int(length, &size)) return status == IPC_MALFORMED;
  const std::string_view rest = stream.substr(end);
  if (size < 0) return status == IPC_OK && rest.substr(0, body.size()) == body;
  if (static_cast<int64_t>(rest.size()) < size) return status == IPC_WOULD_BLOCK;
  return status == IPC_OK && rest.substr(0, static_cast<size_t>(size)) == body;
}

}  // namespace fuzz
