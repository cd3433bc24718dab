/* options.c - see options.h. */
#include "ref/common/options.h"

enum { SIZE_LIMIT = 4096 }; /* bytes of a structure of any version to come */

bool ipc_options_fit(const void *given, size_t given_size, size_t known_size) {
  if (given_size < known_size || given_size > SIZE_LIMIT) return false;
  const unsigned char *bytes = given;
  for (size_t i = known_size; i < given_size; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}
