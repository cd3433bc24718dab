/* name_parse - any text as a name: parsed, formatted, and made native for every system.
 *
 * What holds for every input: the answers are those of rules written down here a second time; parse and format are each
 * other's inverse, and what they make stays what it is; nothing is cut: too little room is told with the room needed,
 * and nothing is written; no two names have one native address; each limit is the last length that is taken; and what
 * is no argument is told.
 *
 * Runs are cheap and inputs are many: which of the two names, as which kind and for which system, is looked at, follows
 * from the bytes of the input, and every 16th is also held against the limits and tries what is refused.
 *
 * The input: how the second name differs from the first (a place, a byte, a way); the rest is text.
 */
#include <cstring>
#include <string>
#include <string_view>

#include "fuzz/input.h"
#include "ipc/name.h"

namespace fuzz {
namespace {

constexpr uint32_t kSystems[] = {IPC_OS_LINUX, IPC_OS_MACOS, IPC_OS_FREEBSD, IPC_OS_WINDOWS};
constexpr size_t kRoom = 8192;

/* Views of the input or of a room: a run asks for no memory. */
struct Name {
  uint32_t kind = 0;
  std::string_view bytes;
};

struct Answer {
  int32_t status = IPC_OK;
  std::string_view bytes; /* IPC_OK */
};

/* Room for a text, until the run is over. */
class Rooms {
 public:
  static void begin() { taken_ = 0; }
  static char *take() {
    static char rooms[64][kRoom + 64];
    FUZZ_CHECK(taken_ < 64, "the target's own fault: more rooms are needed");
    return rooms[taken_++];
  }

 private:
  static size_t taken_;
};
size_t Rooms::taken_ = 0;

std::string_view joined(std::string_view front, std::string_view rest) {
  char *to = Rooms::take();
  FUZZ_CHECK(front.size() + rest.size() <= kRoom, "the target's own fault: a text is too long");
  if (!front.empty()) std::memcpy(to, front.data(), front.size());
  if (!rest.empty()) std::memcpy(to + front.size(), rest.data(), rest.size());
  return {to, front.size() + rest.size()};
}

/* ------------------------------------------------------------------------------------------------------ the rules */

/* Whether |b| may follow |previous|, so that text is well-formed by the table of RFC 3629, section 4, widened by
 * surrogates that are alone: Unicode's "generalised UTF-8". Counts UTF-16 units. */
bool is_wtf8(std::string_view text, size_t *out_units) {
  struct Row {
    uint8_t first_min, first_max, second_min, second_max;
    size_t len;
  };
  static const Row rows[] = {
      {0x00, 0x7F, 0, 0, 1},       {0xC2, 0xDF, 0x80, 0xBF, 2}, {0xE0, 0xE0, 0xA0, 0xBF, 3},
      {0xE1, 0xEF, 0x80, 0xBF, 3}, {0xF0, 0xF0, 0x90, 0xBF, 4}, {0xF1, 0xF3, 0x80, 0xBF, 4},
      {0xF4, 0xF4, 0x80, 0x8F, 4},
  };
  bool high = false; /* the one before is a high surrogate */
  *out_units = 0;
  for (size_t i = 0; i < text.size();) {
    const auto at = [&text](size_t k) { return static_cast<uint8_t>(text[k]); };
    const Row *row = nullptr;
    for (const Row &r : rows) {
      if (at(i) >= r.first_min && at(i) <= r.first_max) row = &r;
    }
    if (row == nullptr || row->len > text.size() - i) return false;
    if (row->len > 1 && (at(i + 1) < row->second_min || at(i + 1) > row->second_max)) return false;
    for (size_t k = 2; k < row->len; k++) {
      if (at(i + k) < 0x80 || at(i + k) > 0xBF) return false;
    }
    const bool surrogate = at(i) == 0xED && at(i + 1) >= 0xA0;
    const bool low = surrogate && at(i + 1) >= 0xB0;
    if (high && low) return false;
    high = surrogate && !low;
    *out_units += row->len == 4 ? 2 : 1;
    i += row->len;
  }
  return true;
}

bool ends_with(std::string_view text, char c) { return !text.empty() && text[text.size() - 1] == c; }

int32_t pipe_name(std::string_view name) {
  size_t units;
  if (name.empty() || name.find_first_of(std::string_view("\0/\\", 3)) != name.npos) return IPC_INVALID_NAME;
  if (ends_with(name, '.') || ends_with(name, ' ') || !is_wtf8(name, &units)) return IPC_INVALID_NAME;
  return units > 256 - 9 ? IPC_NAME_TOO_LONG : IPC_OK;
}

int32_t plain(std::string_view name, size_t max) {
  if (name.empty() || name.find('\0') != name.npos) return IPC_INVALID_NAME;
  return name.size() > max ? IPC_NAME_TOO_LONG : IPC_OK;
}

/* spec/naming.md: what |name| is to |os|. */
Answer native_by_rules(const Name &name, uint32_t os) {
  const bool windows = os == IPC_OS_WINDOWS, linux_ = os == IPC_OS_LINUX;
  const size_t path_max = linux_ ? 107 : 103;
  Answer a{IPC_OK, name.bytes};
  if (name.kind == IPC_NAME_PATH) {
    a.status = windows ? IPC_UNSUPPORTED : plain(name.bytes, path_max);
  } else if (name.kind == IPC_NAME_NAMESPACED) {
    a.status = windows ? pipe_name(name.bytes) : linux_ ? plain(name.bytes, 107) : IPC_UNSUPPORTED;
    a.bytes = joined(windows ? std::string_view("\\\\.\\pipe\\") : std::string_view("", 1), name.bytes);
  } else if (name.bytes.empty()) {
    a.status = IPC_INVALID_NAME;
  } else if (windows) {
    std::string front(name.bytes.substr(0, 9)); /* so short that it asks for no memory */
    for (char &c : front) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    a.status = front == "\\\\.\\pipe\\" ? pipe_name(name.bytes.substr(9)) : IPC_INVALID_NAME;
  } else if (linux_ && name.bytes[0] == '\0') {
    a.status = name.bytes.size() == 1 ? IPC_INVALID_NAME : name.bytes.size() > 108 ? IPC_NAME_TOO_LONG : IPC_OK;
  } else {
    a.status = plain(name.bytes, path_max);
  }
  return a;
}

/* ------------------------------------------------------------------------------------------------------ the library */

/* Calls |make|(out, room, out_len), then twice more: with exactly the room needed, and with one byte less. */
template <typename Make>
Answer make_text(Make make) {
  static const std::string untouched(kRoom + 64, 0x5A);
  char *const text = Rooms::take(), *const other = Rooms::take();
  size_t len, again;
  Answer a;
  a.status = make(text, kRoom + 64, &len);
  if (a.status != IPC_OK) {
    FUZZ_CHECK(len == 0, "a length of %zu beside status %d", len, a.status);
    return a;
  }
  a.bytes = {text, len};
  FUZZ_CHECK(make(other, len, &again) == IPC_OK && again == len && std::memcmp(text, other, len) == 0,
             "exactly the room needed does not suffice");
  if (len > 0) {
    std::memset(other, 0x5A, len);
    FUZZ_CHECK(make(other, len - 1, &again) == IPC_MESSAGE_TRUNCATED && again == len, "one byte less suffices");
    FUZZ_CHECK(std::memcmp(other, untouched.data(), len) == 0, "something is written without room");
  }
  return a;
}

ipc_name view(const Name &name) { return {name.kind, name.bytes.data(), name.bytes.size()}; }

Answer native(const Name &name, uint32_t os) {
  const ipc_name given = view(name);
  return make_text([&](char *out, size_t max, size_t *len) { return ipc_name_native(&given, os, out, max, len).code; });
}

Answer format(const Name &name) {
  const ipc_name given = view(name);
  return make_text([&](char *out, size_t max, size_t *len) { return ipc_name_format(&given, out, max, len).code; });
}

Answer parse(std::string_view text, uint32_t *out_kind) {
  return make_text([&](char *out, size_t max, size_t *len) {
    uint32_t kind = 77;
    const int32_t status = ipc_name_parse(text.data(), text.size(), &kind, out, max, len).code;
    FUZZ_CHECK(status == IPC_OK || kind == 77, "a kind beside status %d", status);
    if (status == IPC_OK) *out_kind = kind;
    return status;
  });
}

void check_text(std::string_view text) {
  const bool at = !text.empty() && text[0] == '@';
  const std::string_view rest = at ? text.substr(1) : text;
  const bool valid = !rest.empty() && rest.find('\0') == rest.npos;
  Name name;
  const Answer parsed = parse(text, &name.kind);
  FUZZ_CHECK(parsed.status == (valid ? IPC_OK : IPC_INVALID_NAME), "status %d", parsed.status);
  if (!valid) return;
  name.bytes = parsed.bytes;
  FUZZ_CHECK(name.kind == (at ? IPC_NAME_NAMESPACED : IPC_NAME_PATH) && name.bytes == rest, "another name");
  const Answer canonical = format(name);
  FUZZ_CHECK(canonical.status == IPC_OK, "what is parsed cannot be formatted: %d", canonical.status);
  FUZZ_CHECK(canonical.bytes == text, "the text is not the canonical one, although its name says so");
}

void check_format(const Name &name) {
  const Answer text = format(name);
  const bool formats = name.kind != IPC_NAME_NATIVE && plain(name.bytes, SIZE_MAX) == IPC_OK;
  const int32_t refused = name.kind == IPC_NAME_NATIVE ? IPC_INVALID_ARGUMENT : IPC_INVALID_NAME;
  FUZZ_CHECK(text.status == (formats ? IPC_OK : refused), "format: status %d", text.status);
  if (formats) {
    Name back;
    const Answer parsed = parse(text.bytes, &back.kind);
    FUZZ_CHECK(parsed.status == IPC_OK && back.kind == name.kind, "the canonical text is another kind");
    const bool dotted = name.kind == IPC_NAME_PATH && name.bytes[0] == '@';
    FUZZ_CHECK(parsed.bytes == joined(dotted ? "./" : "", name.bytes), "the canonical text is another name");
  }
}

/* The address of a name, which is as it should be. */
Answer check_native(const Name &name, uint32_t os) {
  const Answer expected = native_by_rules(name, os), got = native(name, os);
  FUZZ_CHECK(got.status == expected.status, "system %u: status %d in place of %d", os, got.status, expected.status);
  if (got.status != IPC_OK) return got;
  FUZZ_CHECK(got.bytes == expected.bytes, "system %u: another address", os);
  const Answer again = native({IPC_NAME_NATIVE, got.bytes}, os);
  FUZZ_CHECK(again.status == IPC_OK && again.bytes == got.bytes, "system %u: a native address changes", os);
  return got;
}

/* Two names that have one address are one. */
void check_pair(const Name &a, const Name &b, uint32_t os) {
  const Answer x = check_native(a, os), y = check_native(b, os);
  if (x.status != IPC_OK || y.status != IPC_OK) return;
  if (a.kind == IPC_NAME_NATIVE || b.kind == IPC_NAME_NATIVE) return; /* Windows' pipe names are spelt in two ways */
  FUZZ_CHECK((x.bytes == y.bytes) == (a.kind == b.kind && a.bytes == b.bytes), "system %u: two names, one address", os);
}

/* The limit that is told is the length up to which names are taken. */
void check_limit(uint32_t kind, uint32_t os) {
  size_t max = 77;
  const int32_t told = ipc_name_limit(kind, os, &max).code;
  const int32_t one = native({kind, "x"}, os).status;
  FUZZ_CHECK(told == one, "system %u: status %d for a limit, %d for a name", os, told, one);
  if (told != IPC_OK) {
    FUZZ_CHECK(max == 0, "a limit of %zu beside status %d", max, told);
    return;
  }
  const std::string longer(max + 1, 'x');
  const std::string_view longest = std::string_view(longer).substr(0, max);
  FUZZ_CHECK(native({kind, longest}, os).status == IPC_OK, "system %u: not up to the limit", os);
  FUZZ_CHECK(native({kind, longer}, os).status == IPC_NAME_TOO_LONG, "system %u: beyond it", os);
}

#define CHECK_REFUSED(call) FUZZ_CHECK((call).code == IPC_INVALID_ARGUMENT, "status %d", (call).code)

/* Arguments that are missing, and kinds and systems that there are not. */
void check_refused(const Name &given, uint32_t beyond) {
  const ipc_name name = view(given), no_data = {given.kind, nullptr, 0};
  ipc_name no_kind = name;
  no_kind.kind = IPC_NAME_NATIVE + 1 + beyond;
  const uint32_t no_system = 1000 + beyond;
  char out[8];
  size_t len = 77;
  uint32_t kind;
  CHECK_REFUSED(ipc_name_native(nullptr, IPC_OS_THIS, out, sizeof out, &len));
  FUZZ_CHECK(len == 0, "a length of %zu", len);
  CHECK_REFUSED(ipc_name_native(&no_data, IPC_OS_THIS, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_native(&name, IPC_OS_THIS, nullptr, 0, &len));
  CHECK_REFUSED(ipc_name_native(&name, IPC_OS_THIS, out, sizeof out, nullptr));
  CHECK_REFUSED(ipc_name_native(&name, no_system, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_native(&no_kind, IPC_OS_THIS, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_limit(IPC_NAME_PATH, IPC_OS_THIS, nullptr));
  CHECK_REFUSED(ipc_name_limit(IPC_NAME_PATH, no_system, &len));
  CHECK_REFUSED(ipc_name_limit(no_kind.kind, IPC_OS_THIS, &len));
  CHECK_REFUSED(ipc_name_parse(nullptr, 0, &kind, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_parse(name.data, name.len, nullptr, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_parse(name.data, name.len, &kind, nullptr, 0, &len));
  CHECK_REFUSED(ipc_name_parse(name.data, name.len, &kind, out, sizeof out, nullptr));
  CHECK_REFUSED(ipc_name_format(nullptr, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_format(&no_data, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_format(&no_kind, out, sizeof out, &len));
  CHECK_REFUSED(ipc_name_format(&name, nullptr, 0, &len));
  CHECK_REFUSED(ipc_name_format(&name, out, sizeof out, nullptr));
}

/* A name that is nearly |text|. */
std::string_view varied(std::string_view text, uint8_t way, uint16_t place, uint8_t byte) {
  const size_t at = text.empty() ? 0 : place % (text.size() + 1), in = text.empty() ? 0 : at % text.size();
  const char character = static_cast<char>(byte);
  const std::string_view front = text.substr(0, in);
  switch (way % 4) {
    case 0:
      return joined(joined(text.substr(0, at), {&character, 1}), text.substr(at));
    case 1:
      return text.empty() ? text : joined(front, text.substr(in + 1));
    case 2:
      return text.empty() ? text : joined(joined(front, {&character, 1}), text.substr(in + 1));
    default: /* to each limit, and beyond */
      return joined(text, std::string(byte, text.empty() ? 'x' : text.back()));
  }
}

/* What of all that could be looked at a run looks at: numbers below |num|, decided by the bytes of the input. */
class Choice {
 public:
  Choice(const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) rest_ = (rest_ ^ data[i]) * 16777619u; /* FNV-1a */
  }
  uint32_t below(uint32_t num) {
    const uint32_t chosen = rest_ % num;
    rest_ /= num;
    return chosen;
  }

 private:
  uint32_t rest_ = 2166136261u;
};

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  Rooms::begin();
  Input in(data, len);
  const uint8_t way = in.u8();
  const uint16_t place = in.u16();
  const uint8_t byte = in.u8();
  if (in.len() > kRoom - 512) return 0;
  const std::string_view text(reinterpret_cast<const char *>(in.data()), in.len());
  const std::string_view other = varied(text, way, place, byte);
  Choice choice(data, len);
  static const uint32_t kinds[] = {IPC_NAME_PATH, IPC_NAME_NAMESPACED, IPC_NAME_NATIVE};
  const Name one = {kinds[choice.below(3)], text}, another = {kinds[choice.below(3)], other};
  const uint32_t os = kSystems[choice.below(4)];
  check_text(choice.below(2) == 0 ? text : other);
  check_format(choice.below(2) == 0 ? one : another);
  check_pair(one, another, os);
  if (choice.below(16) != 0) return 0;
  check_limit(choice.below(2) == 0 ? IPC_NAME_PATH : IPC_NAME_NAMESPACED, os);
  check_refused(one, place);
  return 0;
}
