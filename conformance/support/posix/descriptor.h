// descriptor.h - a file descriptor and who closes it.
#ifndef CONFORMANCE_SUPPORT_POSIX_DESCRIPTOR_H
#define CONFORMANCE_SUPPORT_POSIX_DESCRIPTOR_H

#include <unistd.h>

namespace cts {

/// A descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor &) = delete;
  Descriptor &operator=(const Descriptor &) = delete;
  int get() const { return fd_; }
  void reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_POSIX_DESCRIPTOR_H
