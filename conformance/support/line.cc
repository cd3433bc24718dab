#include "conformance/support/line.h"

#include <utility>
#include <vector>

namespace cts {
namespace {

constexpr int64_t kNumberMax = 9007199254740991;  // 2^53-1
constexpr size_t kDepthMax = 8;

/// Builds the value and notes what the protocol's rules forbid. It reads on behind that: what is no JSON is told first.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(Json *root) : root_(root) {}
  const char *wrong() const { return wrong_; }

  bool null() override { return Put(nullptr); }
  bool boolean(bool value) override { return Put(value); }
  bool number_integer(number_integer_t value) override {
    if (value < -kNumberMax) wrong_ = "has a number beyond 2^53-1";
    return Put(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (value > static_cast<number_unsigned_t>(kNumberMax)) wrong_ = "has a number beyond 2^53-1";
    return Put(value);
  }
  bool number_float(number_float_t value, const string_t &) override {
    wrong_ = "has a number that is no integer";
    return Put(value);
  }
  bool string(string_t &value) override { return Put(std::move(value)); }
  bool binary(binary_t &) override { return false; }  // JSON has none
  bool start_object(size_t) override { return Open(Json::object()); }
  bool start_array(size_t) override { return Open(Json::array()); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(string_t &name) override {
    if (open_.back()->contains(name)) wrong_ = "has a key twice";
    member_ = &(*open_.back())[std::move(name)];
    return true;
  }
  bool parse_error(size_t, const std::string &, const nlohmann::detail::exception &) override { return false; }

 private:
  Json *Place(Json value) {
    if (open_.empty()) {
      *root_ = std::move(value);
      return root_;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *member_ = std::move(value);
    return member_;
  }

  bool Put(Json value) {
    Place(std::move(value));
    return true;
  }

  bool Open(Json empty) {
    open_.push_back(Place(std::move(empty)));
    if (open_.size() > kDepthMax) wrong_ = "is nested deeper than 8";
    return true;
  }

  bool Close() {
    open_.pop_back();
    return true;
  }

  Json *root_;
  std::vector<Json *> open_;  // none moves: an array grows only while its youngest element is not open
  Json *member_ = nullptr;    // of the innermost object, which the next value is for
  const char *wrong_ = nullptr;
};

}  // namespace

bool ParseLine(const std::string &line, Json *json, std::string *error) {
  Builder builder(json);
  // The library would pass over a byte order mark and take a NUL for the end, neither of which is JSON.
  const bool foreign = line.compare(0, 3, "\xEF\xBB\xBF") == 0 || line.find('\0') != std::string::npos;
  // By pointers: a string's iterators are calls for each character where nothing inlines them.
  if (foreign || !Json::sax_parse(line.data(), line.data() + line.size(), &builder)) {
    *error = "is no JSON";
  } else if (builder.wrong() != nullptr) {
    *error = builder.wrong();
  } else if (!json->is_object()) {
    *error = "is no JSON object";
  }
  return error->empty();
}

}  // namespace cts
