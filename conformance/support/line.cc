#include "conformance/support/line.h"

#include <algorithm>
#include <vector>

namespace cts {
namespace {

constexpr int64_t kNumberMax = 9007199254740991;  // 2^53-1

bool IsWide(const Json &number) {
  if (number.is_number_unsigned()) return number.get<uint64_t>() > static_cast<uint64_t>(kNumberMax);
  return number.is_number_integer() && number.get<int64_t>() < -kNumberMax;
}

}  // namespace

bool ParseLine(const std::string &line, Json *json, std::string *error) {
  std::vector<std::vector<std::string>> keys;  // few of each object: to look at all costs less than to sort them
  bool repeated = false, floating = false, wide = false, deep = false;
  auto callback = [&](int depth, Json::parse_event_t event, Json &parsed) {
    deep = deep || depth > 8;
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::key) {
      const std::string &key = parsed.get_ref<const std::string &>();
      repeated = repeated || std::find(keys.back().begin(), keys.back().end(), key) != keys.back().end();
      keys.back().push_back(key);
    }
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::value) {
      floating = floating || parsed.is_number_float();
      wide = wide || IsWide(parsed);
    }
    return true;
  };
  try {
    // The library would pass over a byte order mark and take a NUL for the end, neither of which is JSON.
    const bool foreign = line.compare(0, 3, "\xEF\xBB\xBF") == 0 || line.find('\0') != std::string::npos;
    // By pointers: a string's iterators are calls for each character where nothing inlines them.
    *json = Json::parse(line.data(), foreign ? line.data() : line.data() + line.size(), callback);
  } catch (const Json::exception &) {
    *error = "is no JSON";
    return false;
  }
  if (!json->is_object()) *error = "is no JSON object";
  if (repeated) *error = "has a key twice";
  if (floating) *error = "has a number that is no integer";
  if (wide) *error = "has a number beyond 2^53-1";
  if (deep) *error = "is nested deeper than 8";
  return error->empty();
}

}  // namespace cts
