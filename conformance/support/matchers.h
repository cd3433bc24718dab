// matchers.h - GoogleMock matchers on replies. When one does not match, the reply's role is blamed.
#ifndef CONFORMANCE_SUPPORT_MATCHERS_H
#define CONFORMANCE_SUPPORT_MATCHERS_H

#include <string>
#include <vector>

#include "conformance/support/data.h"
#include "conformance/support/peer.h"
#include "gmock/gmock.h"

namespace cts {

/// GoogleTest prints a reply by its description.
void PrintTo(const Reply &reply, std::ostream *os);

/// Role whose reply first failed a matcher in this case; "" if none did.
const std::string &BlamedRole();
void ClearBlame();
/// A reply that did not match: why, as GoogleTest prints it, and the whole of it as a sentence.
struct Mismatch {
  std::string wrong, sentence;
};
/// The mismatches of this case, in order.
const std::vector<Mismatch> &Mismatches();
/// For matchers: notes that a reply did not match what is `expected`, and tells `listener` what is `wrong`.
void Blame(const Reply &reply, const std::string &expected, const std::string &wrong,
           testing::MatchResultListener *listener);

/// A reply whose status is one of a few.
class StatusMatcher {
 public:
  explicit StatusMatcher(std::vector<std::string> statuses) : statuses_(std::move(statuses)) {}
  template <typename T>
  operator testing::Matcher<T>() const {  // NOLINT: matchers convert
    return testing::MakePolymorphicMatcher(*this);
  }
  bool MatchAndExplain(const Reply &reply, testing::MatchResultListener *listener) const;
  void DescribeTo(std::ostream *os) const;
  void DescribeNegationTo(std::ostream *os) const;

 private:
  std::vector<std::string> statuses_;
};

inline StatusMatcher StatusIs(const std::string &status) { return StatusMatcher({status}); }
inline StatusMatcher StatusIsOneOf(std::vector<std::string> statuses) { return StatusMatcher(std::move(statuses)); }
inline StatusMatcher IsOk() { return StatusMatcher({"ok"}); }

/// Any status that says that nothing was done: neither ok nor unsupported (what is offered must be supported).
testing::Matcher<const Reply &> Fails();

/// A read whose status, length and digest are those of `data` (and its bytes, if they came).
testing::Matcher<const Reply &> Reads(const Data &data, const std::string &status = "ok");
/// A read to the end that got exactly `data` before.
inline testing::Matcher<const Reply &> Ends(const Data &data) { return Reads(data, "end"); }
/// A write that was accepted whole.
testing::Matcher<const Reply &> Accepts(const Data &data);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_MATCHERS_H
