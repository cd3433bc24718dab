/* options.h - structures of options, which grow with the versions of the library. */
#ifndef REF_COMMON_OPTIONS_H
#define REF_COMMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

/* ipc_options_fit says whether a structure of |given_size| bytes at |given| means nothing beyond the |known_size| bytes
 * that this version knows: what a newer program has behind them is zeros, if it asks for nothing new. */
bool ipc_options_fit(const void *given, size_t given_size, size_t known_size);

#endif /* REF_COMMON_OPTIONS_H */
