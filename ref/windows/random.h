/* random.h - random bytes for names that nobody guesses. */
#ifndef REF_WINDOWS_RANDOM_H
#define REF_WINDOWS_RANDOM_H

#include <stdbool.h>
#include <stddef.h>

/* ipc_random fills |out| with |len| random bytes; false if the system has none. */
bool ipc_random(void *out, size_t len);

#endif /* REF_WINDOWS_RANDOM_H */
