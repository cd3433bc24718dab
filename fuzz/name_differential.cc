/* name_differential - any name, to the reference here and to builds of it for other machines.
 *
 * What holds for every input: they parse, format and make native for every system alike: the rules are pure, and
 * depend neither on the byte order nor on the system of whoever applies them.
 *
 * The input: what is asked (0 native, 1 parse, 2 format), the kind, the system; the rest is the name or text.
 */
#include <string>

#include "fuzz/differential.h"
#include "fuzz/input.h"
#include "ipc/name.h"

namespace fuzz {
namespace {

constexpr char kNative = 3, kParse = 4, kFormat = 5;
constexpr size_t kNameMax = 8192;
const char *const kSystems[] = {"none", "linux", "macos", "freebsd", "windows"};

/* How many bytes of a request stand before the name. */
size_t head_len(std::string_view request) { return request[0] == kNative ? 3 : request[0] == kParse ? 1 : 2; }

Facts compare(std::string_view request, std::string_view ours, std::string_view theirs) {
  if (ours == theirs) return {};
  const auto status = [](std::string_view answer) {
    return answer.empty() ? "none" : status_name(static_cast<uint8_t>(answer[0]));
  };
  Facts facts = {{"what", request[0] == kNative ? "native" : request[0] == kParse ? "parse" : "format"}};
  if (request[0] != kParse) facts["kind"] = std::to_string(request[1]);
  if (request[0] == kNative) facts["system"] = kSystems[static_cast<size_t>(request[2])];
  facts["name"] = shown(request.substr(head_len(request)), 48);
  facts["ours"] = status(ours);
  facts["theirs"] = status(theirs);
  facts["bytes"] = shown(ours, 48) + " / " + shown(theirs, 48);
  return facts;
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  Input in(data, len);
  const char what = static_cast<char>(kNative + in.u8() % 3);
  const uint8_t kind = in.u8() % 5; /* with two that do not exist */
  const uint8_t os = in.u8() % 4 + 1;
  if (in.len() > kNameMax) return 0;
  std::string request(1, what), offer = what == kParse ? "parse" : "format";
  if (what != kParse) append_number(&request, kind, 1);
  if (what == kNative) {
    append_number(&request, os, 1);
    offer = std::string("native ") + kSystems[os];
  }
  if (!differential_wants(offer)) return 0;
  request.append(reinterpret_cast<const char *>(in.data()), in.len());
  differential_ask(data, len, offer, request, compare);
  return 0;
}
