#include "conformance/support/matchers.h"

#include <algorithm>
#include <ostream>
#include <sstream>

namespace cts {
namespace {

std::string g_blamed;
std::vector<Mismatch> g_mismatches;

/// A matcher made of a description and a function that explains what is wrong ("" if nothing is).
class ReplyMatcher : public testing::MatcherInterface<const Reply &> {
 public:
  using Judge = std::function<std::string(const Reply &)>;
  ReplyMatcher(std::string what, Judge judge) : what_(std::move(what)), judge_(std::move(judge)) {}
  bool MatchAndExplain(const Reply &reply, testing::MatchResultListener *listener) const override {
    std::string wrong = judge_(reply);
    if (wrong.empty()) return true;
    Blame(reply, what_, wrong, listener);
    return false;
  }
  void DescribeTo(std::ostream *os) const override { *os << what_; }

 private:
  std::string what_;
  Judge judge_;
};

testing::Matcher<const Reply &> MakeReplyMatcher(const std::string &what, ReplyMatcher::Judge judge) {
  return testing::Matcher<const Reply &>(new ReplyMatcher(what, std::move(judge)));
}

std::string JudgeRead(const Reply &reply, const Data &data, const std::string &status) {
  if (reply.status() != status) return "the status is " + reply.status();
  if (reply.length() != data.length()) return "the length is " + std::to_string(reply.length());
  if (reply.number("crc32") != data.crc32())
    return "the bytes differ: their digest is " + std::to_string(reply.number("crc32"));
  if (reply.has("data") && reply.bytes("data") != data.slice(0, data.length()))
    return "the bytes differ, not their digest";
  return "";
}

}  // namespace

const std::string &BlamedRole() { return g_blamed; }
const std::vector<Mismatch> &Mismatches() { return g_mismatches; }

void ClearBlame() {
  g_blamed.clear();
  g_mismatches.clear();
}

void Blame(const Reply &reply, const std::string &expected, const std::string &wrong,
           testing::MatchResultListener *listener) {
  if (g_blamed.empty()) g_blamed = reply.role();
  // GoogleTest asks twice when an expectation fails, and only the second time does it want to know why.
  if (listener->IsInterested()) {
    g_mismatches.push_back(
        {wrong, "the " + reply.role() + "'s " + reply.describe() + "; expected: " + expected + "; " + wrong});
  }
  *listener << wrong;
}

/// GoogleTest prints a reply by its description.
void PrintTo(const Reply &reply, std::ostream *os) { *os << "[" << reply.role() << "] " << reply.describe(); }

bool StatusMatcher::MatchAndExplain(const Reply &reply, testing::MatchResultListener *listener) const {
  if (std::find(statuses_.begin(), statuses_.end(), reply.status()) != statuses_.end()) return true;
  std::ostringstream expected;
  DescribeTo(&expected);
  Blame(reply, expected.str(), "the status is " + reply.status(), listener);
  return false;
}

void StatusMatcher::DescribeTo(std::ostream *os) const {
  *os << "has status";
  for (size_t i = 0; i < statuses_.size(); i++) *os << (i == 0 ? " " : " or ") << statuses_[i];
}

void StatusMatcher::DescribeNegationTo(std::ostream *os) const {
  *os << "not: ";
  DescribeTo(os);
}

testing::Matcher<const Reply &> Fails() {
  return MakeReplyMatcher("fails", [](const Reply &reply) -> std::string {
    if (reply.ok() || reply.status() == "end") return "it did not fail";
    if (reply.status() == "unsupported") return "it is offered, but unsupported";
    return "";
  });
}

testing::Matcher<const Reply &> Reads(const Data &data, const std::string &status) {
  return MakeReplyMatcher("reads " + data.describe() + " with status " + status,
                          [=](const Reply &reply) { return JudgeRead(reply, data, status); });
}

testing::Matcher<const Reply &> Accepts(const Data &data) {
  return MakeReplyMatcher("accepts " + data.describe(), [=](const Reply &reply) -> std::string {
    if (!reply.ok()) return "the status is " + reply.status();
    if (reply.length() != data.length()) return "the length is " + std::to_string(reply.length());
    return "";
  });
}

}  // namespace cts
