/* peer_protocol - any line, as the two ends of the channel read it.
 *
 * Two readers that have nothing in common meet in every exchange: the C kit's own, in peers, and the runner's, which is
 * a JSON library and the protocol's rules. What holds for every input: both take it or neither does, and then they have
 * read the same; checking it as a request of any operation answers with a status that exists, or says why it is no
 * request.
 *
 * The input is the line, up to its LF.
 */
#include <algorithm>
#include <string>
#include <vector>

#include "conformance/kits/c/tests/kit_internals.h"
#include "conformance/support/line.h"
#include "fuzz/input.h"

namespace fuzz {
namespace {

constexpr size_t kLineMax = 65535; /* without its LF */

using Ordered = nlohmann::ordered_json;

/* As kit_dump writes it. */
void dump(const Ordered &json, std::string *out) {
  const auto text = [out](const std::string &s) { *out += std::to_string(s.size()) + ":" + s; };
  if (json.is_null()) {
    *out += 'n';
  } else if (json.is_boolean()) {
    *out += json.get<bool>() ? 't' : 'f';
  } else if (json.is_number_unsigned()) {
    *out += std::to_string(json.get<uint64_t>()) + ";";
  } else if (json.is_number_integer()) {
    *out += std::to_string(json.get<int64_t>()) + ";";
  } else if (json.is_string()) {
    text(json.get<std::string>());
  } else if (json.is_array()) {
    *out += '[';
    for (const Ordered &element : json) dump(element, out);
    *out += ']';
  } else {
    *out += '{';
    for (const auto &member : json.items()) {
      text(member.key());
      dump(member.value(), out);
    }
    *out += '}';
  }
}

cts_outcome never(cts_call *) { return cts_ok(); }

/* Makes the kit check requests as a peer does that has every operation and feature that there is. */
void offer_everything() {
  static std::vector<cts_operation> operations;
  static std::vector<const char *> features;
  static cts_peer peer = {};
#define CTS_OPERATION_BEGIN(identifier, name, on, consumes) operations.push_back({name, never});
#define CTS_MAKES(key, kind)
#define CTS_ARG(name, type, optional, feature, values)
#define CTS_OPERATION_END
#define CTS_FEATURE(name) features.push_back(name);
#include "conformance/kits/c/cts_operations.inc"
#undef CTS_OPERATION_BEGIN
#undef CTS_MAKES
#undef CTS_ARG
#undef CTS_OPERATION_END
#undef CTS_FEATURE
  operations.push_back({nullptr, nullptr});
  features.push_back(nullptr);
  peer.implementation = "everything";
  peer.version = "1";
  peer.threads = true;
  peer.features = features.data();
  peer.operations = operations.data();
  kit_use(&peer);
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  static const bool offered = (offer_everything(), true);
  (void)offered;
  std::string line(reinterpret_cast<const char *>(data), len < kLineMax ? len : kLineMax);
  line.resize(std::min(line.size(), line.find('\n')));
  const char *refused = kit_parse(line.data(), line.size());
  static std::vector<char> read(2 * kLineMax);
  const size_t read_len = refused == nullptr ? kit_dump(read.data(), read.size()) : 0;
  cts::Json json;
  std::string error;
  const bool taken = cts::ParseLine(line, &json, &error);
  FUZZ_CHECK(taken == (refused == nullptr), "the runner: %s; the kit: %s", taken ? "takes it" : error.c_str(),
             refused == nullptr ? "takes it" : refused);
  if (taken) {
    std::string expected;
    dump(Ordered::parse(line), &expected);
    FUZZ_CHECK(expected == std::string(read.data(), read_len), "they read something else");
  }
  const char *why;
  cts_call *call;
  const char *status = kit_check(line.data(), line.size(), &why, &call);
  FUZZ_CHECK(taken || status == nullptr, "a request that is no line");
  FUZZ_CHECK(status != nullptr || (why != nullptr && *why != '\0'), "no reason why it is no request");
  return 0;
}
