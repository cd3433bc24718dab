// text.h - text of Windows (UTF-16, surrogates perhaps unpaired) and of the suite (WTF-8).
#ifndef CONFORMANCE_SUPPORT_WINDOWS_TEXT_H
#define CONFORMANCE_SUPPORT_WINDOWS_TEXT_H

#include <string>

namespace cts {

/// WTF-8 as UTF-16. A byte that cannot stand where it is becomes U+FFFD: what is shown or searched must not fail.
std::wstring Wide(const std::string &text);
/// UTF-16 as WTF-8: every text has one, and Wide gives it back.
std::string Narrow(const std::wstring &text);
/// What the system says of an error of its own, with the number: "Access denied. (5)".
std::string SystemError(unsigned long error);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_WINDOWS_TEXT_H
