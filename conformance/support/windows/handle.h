// handle.h - a Windows handle that is closed with its owner.
#ifndef CONFORMANCE_SUPPORT_WINDOWS_HANDLE_H
#define CONFORMANCE_SUPPORT_WINDOWS_HANDLE_H

#include <windows.h>

namespace cts {

/// A handle, or none (which calls answer as nullptr or INVALID_HANDLE_VALUE).
class Handle {
 public:
  Handle() = default;
  explicit Handle(HANDLE handle) { reset(handle); }
  ~Handle() { reset(); }
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;
  HANDLE get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }
  void reset(HANDLE handle = nullptr) {
    if (handle_ != nullptr) CloseHandle(handle_);
    handle_ = handle == INVALID_HANDLE_VALUE ? nullptr : handle;
  }

 private:
  HANDLE handle_ = nullptr;
};

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_WINDOWS_HANDLE_H
