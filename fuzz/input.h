/* input.h - takes an input of a fuzz target apart. An input that ends early is as good as one that goes on with zeros.
 */
#ifndef FUZZ_INPUT_H
#define FUZZ_INPUT_H

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace fuzz {

class Input {
 public:
  Input(const uint8_t *data, size_t len) : data_(data), len_(len) {}

  uint8_t u8() { return static_cast<uint8_t>(number(1)); }
  uint16_t u16() { return static_cast<uint16_t>(number(2)); }
  uint32_t u32() { return static_cast<uint32_t>(number(4)); }
  uint64_t u64() { return number(8); }

  /* What is left. */
  const uint8_t *data() const { return data_; }
  size_t len() const { return len_; }

 private:
  /* Lowest byte first. */
  uint64_t number(int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes && len_ > 0; i++, data_++, len_--) value |= static_cast<uint64_t>(*data_) << (8 * i);
    return value;
  }

  const uint8_t *data_;
  size_t len_;
};

}  // namespace fuzz

/* What must hold for every input; if it does not, the program says so and aborts, which is a finding. */
#define FUZZ_CHECK(condition, ...)                                                        \
  do {                                                                                    \
    if (!(condition)) {                                                                   \
      std::fprintf(stderr, "%s:%d: does not hold: %s: ", __FILE__, __LINE__, #condition); \
      std::fprintf(stderr, __VA_ARGS__);                                                  \
      std::fputc('\n', stderr);                                                           \
      std::abort();                                                                       \
    }                                                                                     \
  } while (false)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#endif /* FUZZ_INPUT_H */
