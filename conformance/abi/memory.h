// memory.h - allocation under control: this program's malloc and its like stand in front of the system's, for the
// library, too. They count what is allocated, fill it with bytes that are not zero, and fail when they are told to.
//
// It works where the dynamic loader lets a program's functions go before those of the C library (ELF), and for a
// library that allocates through them, as operator new does. With AddressSanitizer or ThreadSanitizer they stand in
// front of the sanitizer's.
#ifndef CONFORMANCE_ABI_MEMORY_H
#define CONFORMANCE_ABI_MEMORY_H

#include <cstdint>

namespace cts {
namespace abi {

/// Whether this build stands in front of the system's functions.
extern const bool kAllocationsSeen;

/// While one exists, the calling thread's allocations from number `first` (from 1) on fail: that one alone, or with
/// `lasting` every later one, too. One at a time a thread. Nothing but the call under test belongs into its life.
class FailingAllocations {
 public:
  explicit FailingAllocations(uint64_t first, bool lasting = false);
  ~FailingAllocations();
  FailingAllocations(const FailingAllocations &) = delete;
  FailingAllocations &operator=(const FailingAllocations &) = delete;

  /// How many allocations the thread has tried, and how many of them failed.
  uint64_t tried() const;
  uint64_t failed() const;
};

/// Blocks that are allocated now, by the whole process.
int64_t LiveBlocks();

/// The bytes that these can hold; -1 if this build does not count them.
int64_t LiveBytes();

}  // namespace abi
}  // namespace cts

#endif  // CONFORMANCE_ABI_MEMORY_H
