#include "conformance/abi/memory.h"

#include <cerrno>
#include <cstddef>
#include <cstdlib>

// What stands behind these functions has names of its own: glibc's __libc_*, or what the sanitizers intercept with.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define CTS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CTS_SANITIZER 1
#endif

#if defined(CTS_SANITIZER)
#define CTS_SEES_ALLOCATIONS 1
#define CTS_REAL(function) __interceptor_##function
#elif defined(__GLIBC__)
#include <malloc.h>
#define CTS_SEES_ALLOCATIONS 1
#define CTS_REAL(function) __libc_##function
#else
#define CTS_SEES_ALLOCATIONS 0
#endif

// The first allocations come before a sanitizer has set itself up: what these functions do is not instrumented.
#if defined(CTS_SANITIZER)
#define CTS_BARE __attribute__((no_sanitize_address, no_sanitize_thread))
#else
#define CTS_BARE
#endif

namespace cts {
namespace abi {
namespace {

struct Injection {
  bool armed = false, lasting = false;
  uint64_t first = 0, tried = 0, failed = 0;
};

constexpr size_t kSoiledMax = 4096;  // bytes of a block

thread_local Injection injection;
int64_t live_blocks = 0;  // of all threads: __atomic_*
int64_t live_bytes = 0;
uint64_t soiled_blocks = 0;

#if CTS_SEES_ALLOCATIONS
/// Whether this allocation is to fail.
CTS_BARE bool Fails() {
  if (!injection.armed) return false;
  injection.tried++;
  const bool fails = injection.tried == injection.first || (injection.lasting && injection.tried > injection.first);
  if (fails) {
    injection.failed++;
    errno = ENOMEM;
  }
  return fails;
}

CTS_BARE void Count(int64_t more) { __atomic_fetch_add(&live_blocks, more, __ATOMIC_RELAXED); }
CTS_BARE void CountBytes(int64_t more) { __atomic_fetch_add(&live_bytes, more, __ATOMIC_RELAXED); }

/// Nothing with a sanitizer: it lets nobody ask of what was allocated before it had set itself up.
CTS_BARE int64_t SizeOf(void *block) {
#if defined(CTS_SANITIZER)
  (void)block;
  return 0;
#else
  return static_cast<int64_t>(malloc_usable_size(block));
#endif
}

/// What is read before it was written shows: fresh memory is mostly zero, and this is not; as a number it is now below
/// zero and now above.
CTS_BARE void Soil(void *block, size_t bytes) {
  volatile unsigned char *at = static_cast<unsigned char *>(block);
  const unsigned char soil = (__atomic_add_fetch(&soiled_blocks, 1, __ATOMIC_RELAXED) & 1) != 0 ? 0xA5 : 0x5A;
  for (size_t i = 0; i < bytes && i < kSoiledMax; i++) at[i] = soil;
}

CTS_BARE void *Counted(void *block) {
  if (block != nullptr) {
    Count(1);
    CountBytes(SizeOf(block));
  }
  return block;
}
#endif

}  // namespace

const bool kAllocationsSeen = CTS_SEES_ALLOCATIONS != 0;

FailingAllocations::FailingAllocations(uint64_t first, bool lasting) {
  injection = Injection();
  injection.first = first;
  injection.lasting = lasting;
  injection.armed = true;
}

FailingAllocations::~FailingAllocations() { injection.armed = false; }

uint64_t FailingAllocations::tried() const { return injection.tried; }
uint64_t FailingAllocations::failed() const { return injection.failed; }

int64_t LiveBlocks() { return __atomic_load_n(&live_blocks, __ATOMIC_RELAXED); }
int64_t LiveBytes() {
#if CTS_SEES_ALLOCATIONS && !defined(CTS_SANITIZER)
  return __atomic_load_n(&live_bytes, __ATOMIC_RELAXED);
#else
  return -1;
#endif
}

}  // namespace abi
}  // namespace cts

#if CTS_SEES_ALLOCATIONS

extern "C" {

void *CTS_REAL(malloc)(size_t);
void *CTS_REAL(calloc)(size_t, size_t);
void *CTS_REAL(realloc)(void *, size_t);
void *CTS_REAL(memalign)(size_t, size_t);
void CTS_REAL(free)(void *);

#if defined(CTS_SANITIZER)
// What the loader keeps of a library that was loaded late: the sanitizer knows it by who called malloc(3), which is the
// function below.
const char *__lsan_default_suppressions() { return "leak:ld-linux\n"; }
const char *__lsan_default_options() { return "print_suppressions=0"; }
#endif

// The loader finds these first. glibc's strdup(3) and operator new come through them.

CTS_BARE void *malloc(size_t bytes) noexcept {
  if (cts::abi::Fails()) return nullptr;
  void *block = cts::abi::Counted(CTS_REAL(malloc)(bytes));
  if (block != nullptr) cts::abi::Soil(block, bytes);
  return block;
}

CTS_BARE void *calloc(size_t number, size_t bytes) noexcept {
  return cts::abi::Fails() ? nullptr : cts::abi::Counted(CTS_REAL(calloc)(number, bytes));
}

CTS_BARE void *realloc(void *before, size_t bytes) noexcept {
  if (cts::abi::Fails()) return nullptr;
  const int64_t had = before == nullptr ? 0 : cts::abi::SizeOf(before);
  void *block = CTS_REAL(realloc)(before, bytes);
  if (before == nullptr) return cts::abi::Counted(block);
  if (block == nullptr && bytes == 0) cts::abi::Count(-1);
  if (block != nullptr || bytes == 0) cts::abi::CountBytes((block == nullptr ? 0 : cts::abi::SizeOf(block)) - had);
  return block;
}

CTS_BARE int posix_memalign(void **out, size_t alignment, size_t bytes) noexcept {
  if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
  if (cts::abi::Fails()) return ENOMEM;
  void *block = cts::abi::Counted(CTS_REAL(memalign)(alignment, bytes));
  if (block != nullptr) *out = block;
  return block == nullptr ? ENOMEM : 0;
}

CTS_BARE void *aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return cts::abi::Fails() ? nullptr : cts::abi::Counted(CTS_REAL(memalign)(alignment, bytes));
}

CTS_BARE void *memalign(size_t alignment, size_t bytes) noexcept {
  return cts::abi::Fails() ? nullptr : cts::abi::Counted(CTS_REAL(memalign)(alignment, bytes));
}

CTS_BARE void free(void *block) noexcept {
  if (block != nullptr) {
    cts::abi::Count(-1);
    cts::abi::CountBytes(-cts::abi::SizeOf(block));
  }
  CTS_REAL(free)(block);
}

}  // extern "C"

#endif
