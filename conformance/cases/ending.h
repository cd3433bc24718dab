// ending.h - how a process ends that a signal ends by its default.
#ifndef CONFORMANCE_CASES_ENDING_H
#define CONFORMANCE_CASES_ENDING_H

#include "conformance/support/process.h"

namespace cts {

/// Whether a process that ended so was ended by what signal number `signal` does by default: on Unix by that signal, on
/// Windows, which has no such ending, with exit code 3 (Microsoft, "signal").
inline bool IsEndBySignal(const Exit &exit, uint64_t signal) {
#ifdef _WIN32
  (void)signal;
  return !exit.by_signal && exit.code == 3;
#else
  return exit.by_signal && static_cast<uint64_t>(exit.code) == signal;
#endif
}

}  // namespace cts

#endif  // CONFORMANCE_CASES_ENDING_H
