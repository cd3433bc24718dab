#include "fuzz/framing_model.h"

#include <cctype>
#include <cstring>
#include <string>

namespace fuzz {
namespace {

/* Wide enough for any sum of lengths. */
__extension__ typedef __int128 Wide;

constexpr uint64_t kNoMore = ~uint64_t{0};

/* What the bytes of a header say. */
struct Header {
  int32_t status = IPC_OK; /* or IPC_WOULD_BLOCK, or what is wrong */
  size_t body_at = 0;      /* where the body begins */
  Wide body_len = 0;
  uint64_t need_min = 1, need_max = kNoMore; /* IPC_WOULD_BLOCK */
};

Header wrong(int32_t status) {
  Header h;
  h.status = status;
  return h;
}

Header needs(uint64_t least, uint64_t most) {
  Header h;
  h.status = IPC_WOULD_BLOCK;
  h.need_min = least;
  h.need_max = most;
  return h;
}

Header body(size_t at, Wide len, uint64_t max) {
  if (len < 0) return wrong(IPC_MALFORMED);
  if (len > static_cast<Wide>(max)) return wrong(IPC_MESSAGE_TOO_LARGE);
  Header h;
  h.body_at = at;
  h.body_len = len;
  return h;
}

uint64_t limit_of(uint64_t max) { return max != 0 ? max : IPC_FRAMING_MAX_DEFAULT; }

bool begins_at_skip(const ipc_framing &f) {
  return f.codec == IPC_FRAMING_LENGTH && (f.flags & IPC_FRAMING_BODY_AT_SKIP) != 0;
}

Wide number(const uint8_t *bytes, size_t width, bool little) {
  Wide value = 0;
  for (size_t i = 0; i < width; i++) {
    const Wide byte = bytes[i];
    const size_t place = little ? i : width - 1 - i;
    value += byte << (8 * place);
  }
  return value;
}

Header length_header(const ipc_framing &f, const uint8_t *data, size_t len, uint64_t max) {
  const size_t field_end = f.offset + f.width;
  const size_t least = begins_at_skip(f) && f.skip > field_end ? f.skip : field_end;
  if (len < least) return needs(least - len, least - len);
  const Wide body_len =
      number(data + f.offset, f.width, (f.flags & IPC_FRAMING_LITTLE_ENDIAN) != 0) + static_cast<Wide>(f.adjustment);
  if (!begins_at_skip(f)) return body(field_end, body_len, max);
  if (body_len >= 0 && body_len + f.skip < static_cast<Wide>(field_end)) return wrong(IPC_MALFORMED);
  return body(f.skip, body_len, max);
}

Header varint_header(const ipc_framing &f, const uint8_t *data, size_t len, uint64_t max) {
  const size_t most = f.varint_bytes != 0 ? f.varint_bytes : 5;
  const Wide beyond = static_cast<Wide>(1) << (most == 5 ? 32 : 64);
  Wide value = 0;
  for (size_t i = 0; i < most; i++) {
    if (i == len) return needs(1, kNoMore);
    const Wide group = data[i] & 0x7F;
    value += group << (7 * i);
    if (value >= beyond) return wrong(IPC_MALFORMED);
    if ((data[i] & 0x80) != 0) continue;
    if (group == 0 && i > 0 && (f.flags & IPC_FRAMING_ACCEPT_OVERLONG) == 0) return wrong(IPC_MALFORMED);
    return body(i + 1, value, max);
  }
  return wrong(IPC_MALFORMED); /* the last group, too, says that more follows */
}

bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

/* The decimal number in |text|, or one more than |max| if it is greater than that. */
Wide decimal(const std::string &text, uint64_t max) {
  Wide value = 0;
  for (char digit : text) {
    value = value * 10 + (digit - '0');
    if (value > static_cast<Wide>(max)) return static_cast<Wide>(max) + 1;
  }
  return value;
}

Header netstring_header(const uint8_t *data, size_t len, uint64_t max) {
  std::string digits;
  for (size_t i = 0; i < len; i++) {
    if (data[i] == ':' && !digits.empty()) return body(i + 1, decimal(digits, max), max);
    if (!is_digit(data[i]) || digits == "0") return wrong(IPC_MALFORMED);
    digits += static_cast<char>(data[i]);
    if (decimal(digits, max) > static_cast<Wide>(max)) return wrong(IPC_MESSAGE_TOO_LARGE);
  }
  return needs(1, kNoMore);
}

/* Reads one line, |line| without its CR LF: the status, and the length if it is the one that tells it. */
int32_t content_length_line(const std::string &line, uint64_t max, bool *out_has, Wide *out_len) {
  const size_t colon = line.find(':');
  *out_has = false;
  if (colon == std::string::npos || colon == 0) return IPC_MALFORMED;
  std::string name = line.substr(0, colon), value = line.substr(colon + 1);
  for (char &c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 || (!std::isalnum(byte) && std::string("!#$%&'*+-.^_`|~").find(c) == std::string::npos))
      return IPC_MALFORMED;
    c = static_cast<char>(std::tolower(byte));
  }
  if (name != "content-length") return IPC_OK;
  *out_has = true;
  const size_t first = value.find_first_not_of(" \t");
  if (first == std::string::npos) return IPC_MALFORMED;
  value = value.substr(first, value.find_last_not_of(" \t") - first + 1);
  if (value.find_first_not_of("0123456789") != std::string::npos) return IPC_MALFORMED;
  *out_len = decimal(value, max);
  return *out_len > static_cast<Wide>(max) ? IPC_MESSAGE_TOO_LARGE : IPC_OK;
}

Header content_length_header(const uint8_t *data, size_t len, uint64_t max) {
  bool has_length = false;
  Wide body_len = 0;
  std::string line;
  for (size_t i = 0; i < len; i++) {
    const uint8_t byte = data[i];
    const bool after_cr = i > 0 && data[i - 1] == '\r';
    if (after_cr && byte != '\n') return wrong(IPC_MALFORMED);
    if (!after_cr && byte == '\n') return wrong(IPC_MALFORMED);
    if (byte == 0x7F || (byte < 0x20 && byte != '\t' && byte != '\r' && byte != '\n')) return wrong(IPC_MALFORMED);
    if (byte == '\n') {
      if (line.empty()) return has_length ? body(i + 1, body_len, max) : wrong(IPC_MALFORMED);
      bool tells;
      Wide told = 0;
      const int32_t status = content_length_line(line, max, &tells, &told);
      if (tells && has_length) return wrong(IPC_MALFORMED);
      if (status != IPC_OK) return wrong(status);
      if (tells) body_len = told;
      has_length = has_length || tells;
      line.clear();
    } else if (byte != '\r') {
      line += static_cast<char>(byte);
    }
    if (i + 1 == IPC_FRAMING_HEADER_MAX) return wrong(IPC_MALFORMED);
  }
  return needs(1, kNoMore);
}

Header escape_header(const ipc_framing &f, const uint8_t *data, size_t len, uint64_t max) {
  if (len < 4) return needs(4 - len, 4 - len);
  const auto announced = static_cast<int32_t>(static_cast<uint32_t>(number(data, 4, false)));
  if (announced >= 0) return body(4, announced, max);
  if (announced != -1) return wrong(IPC_MALFORMED);
  if (len < 12) return needs(12 - len, 12 - len);
  const Wide value = number(data + 4, 8, false);
  if (value < (static_cast<Wide>(1) << 31) && (f.flags & IPC_FRAMING_ACCEPT_OVERLONG) == 0) return wrong(IPC_MALFORMED);
  return body(12, value, max);
}

Header header_of(const ipc_framing &f, const uint8_t *data, size_t len, uint64_t max) {
  switch (f.codec) {
    case IPC_FRAMING_U32:
      return len < 4 ? needs(4 - len, 4 - len) : body(4, number(data, 4, false), max);
    case IPC_FRAMING_LENGTH:
      return length_header(f, data, len, max);
    case IPC_FRAMING_VARINT:
      return varint_header(f, data, len, max);
    case IPC_FRAMING_NETSTRING:
      return netstring_header(data, len, max);
    case IPC_FRAMING_CONTENT_LENGTH:
      return content_length_header(data, len, max);
    default:
      return escape_header(f, data, len, max);
  }
}

Event last(int32_t status, uint64_t need_min = 0, uint64_t need_max = 0) {
  Event e;
  e.status = status;
  e.need_min = need_min;
  e.need_max = need_max;
  return e;
}

}  // namespace

bool model_accepts(const ipc_framing &f) {
  const uint64_t ceiling = f.codec == IPC_FRAMING_U32 ? IPC_FRAMING_MAX_CEILING_U32 : IPC_FRAMING_MAX_CEILING;
  if (f.size < sizeof f || f.reserved != 0 || f.flags > 7 || f.max > ceiling) return false;
  if (f.codec == IPC_FRAMING_VARINT) return f.varint_bytes == 0 || f.varint_bytes == 5 || f.varint_bytes == 10;
  if (f.codec != IPC_FRAMING_LENGTH) return f.codec >= IPC_FRAMING_U32 && f.codec <= IPC_FRAMING_ESCAPE;
  if (std::memchr("\1\2\3\4\10", static_cast<int>(f.width), 5) == nullptr || f.width > 8) return false;
  const uint32_t field_end = f.offset + f.width;
  if (f.offset > IPC_FRAMING_OFFSET_MAX) return false;
  if (f.skip > (begins_at_skip(f) ? IPC_FRAMING_ENCODED_MAX : field_end)) return false;
  /* The bodies that the field can say are those from |least| to |most|; one of them must be neither too long nor, with
   * a body that begins within the header, too short. */
  const Wide least = f.adjustment, most = least + ((static_cast<Wide>(1) << (8 * f.width)) - 1);
  const Wide shortest = begins_at_skip(f) && f.skip < field_end ? field_end - f.skip : 0;
  const Wide from = least > shortest ? least : shortest, longest = limit_of(f.max);
  return from <= (most < longest ? most : longest);
}

void model_decode(const ipc_framing &f, const uint8_t *data, size_t len, bool ended, size_t change_at,
                  uint64_t changed_max, std::vector<Event> *out_events) {
  out_events->clear();
  for (size_t at = 0;;) {
    const uint64_t max = limit_of(out_events->size() >= change_at ? changed_max : f.max);
    const size_t left = len - at;
    const Header h = header_of(f, data + at, left, max);
    if (h.status == IPC_WOULD_BLOCK) {
      const int32_t end = left == 0 ? IPC_END : IPC_MESSAGE_TRUNCATED;
      out_events->push_back(ended ? last(end) : last(IPC_WOULD_BLOCK, h.need_min, h.need_max));
      return;
    }
    if (h.status != IPC_OK) {
      out_events->push_back(last(h.status));
      return;
    }
    const Wide trailer = f.codec == IPC_FRAMING_NETSTRING ? 1 : 0;
    const Wide size = static_cast<Wide>(h.body_at) + h.body_len + trailer;
    if (static_cast<Wide>(left) < size) {
      const auto lacks = static_cast<uint64_t>(size - static_cast<Wide>(left));
      out_events->push_back(ended ? last(IPC_MESSAGE_TRUNCATED) : last(IPC_WOULD_BLOCK, lacks, lacks));
      return;
    }
    const size_t next = at + static_cast<size_t>(size);
    if (trailer != 0 && data[next - 1] != ',') {
      out_events->push_back(last(IPC_MALFORMED));
      return;
    }
    Event frame;
    frame.begin = at + (f.codec == IPC_FRAMING_LENGTH ? f.skip : h.body_at);
    frame.end = next - static_cast<size_t>(trailer);
    frame.next = next;
    out_events->push_back(frame);
    at = next;
  }
}

int32_t model_encode(const ipc_framing &f, uint64_t body_len, std::vector<uint8_t> *out_header) {
  out_header->clear();
  if (body_len > limit_of(f.max)) return IPC_MESSAGE_TOO_LARGE;
  const auto put = [out_header](Wide value, size_t width, bool little) {
    for (size_t i = 0; i < width; i++)
      out_header->push_back(static_cast<uint8_t>(value >> (8 * (little ? i : width - 1 - i))));
  };
  const auto put_text = [out_header](const std::string &text) {
    out_header->insert(out_header->end(), text.begin(), text.end());
  };
  switch (f.codec) {
    case IPC_FRAMING_U32:
      put(body_len, 4, false);
      return IPC_OK;
    case IPC_FRAMING_LENGTH: {
      const Wide value = static_cast<Wide>(body_len) - f.adjustment;
      if (begins_at_skip(f) || value < 0 || value >> (8 * f.width) != 0) return IPC_UNENCODABLE;
      out_header->resize(f.offset);
      put(value, f.width, (f.flags & IPC_FRAMING_LITTLE_ENDIAN) != 0);
      return IPC_OK;
    }
    case IPC_FRAMING_VARINT: {
      if (f.varint_bytes != 10 && body_len >> 32 != 0) return IPC_UNENCODABLE;
      do {
        out_header->push_back(static_cast<uint8_t>((body_len & 0x7F) | (body_len > 0x7F ? 0x80 : 0)));
        body_len >>= 7;
      } while (body_len != 0);
      return IPC_OK;
    }
    case IPC_FRAMING_NETSTRING:
      put_text(std::to_string(body_len) + ":");
      return IPC_OK;
    case IPC_FRAMING_CONTENT_LENGTH:
      put_text("Content-Length: " + std::to_string(body_len) + "\r\n\r\n");
      return IPC_OK;
    default:
      if (body_len < uint64_t{1} << 31) {
        put(body_len, 4, false);
      } else {
        put(0xFFFFFFFF, 4, false);
        put(body_len, 8, false);
      }
      return IPC_OK;
  }
}

}  // namespace fuzz
