/* memory.h - where the portable part gets memory, so that tests can count it and let it run out. */
#ifndef REF_COMMON_MEMORY_H
#define REF_COMMON_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As realloc: |bytes| is never 0. Set by tests alone, while nothing else runs. */
extern void *(*ipc_memory_resize)(void *memory, size_t bytes);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_COMMON_MEMORY_H */
