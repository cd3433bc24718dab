/* outcome.c - see outcome.h. */
#include "conformance/peer/outcome.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool outcome_is(cts_outcome outcome, const char *status) { return strcmp(outcome.status, status) == 0; }

cts_outcome outcome_why(const char *status, const char *format, ...) {
  static _Thread_local char why[200];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof(why), format, arguments);
  va_end(arguments);
  return cts_status(status, why);
}

cts_outcome outcome_of(ipc_status status) {
  const char *name = cts_status_name(status.code);
  cts_outcome outcome =
      name != NULL
          ? cts_status(name, NULL)
          : outcome_why("failed", "the library answered status %d, which the ABI does not have", (int)status.code);
  outcome.native = status.native;
  return outcome;
}
