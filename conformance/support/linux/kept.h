// kept.h - processes that are looked at again and again, in /proc (proc(5)).
#ifndef CONFORMANCE_SUPPORT_LINUX_KEPT_H
#define CONFORMANCE_SUPPORT_LINUX_KEPT_H

#include <dirent.h>

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "conformance/support/posix/descriptor.h"

namespace cts {

/// A process of which files in /proc stay open: to find and open one costs many times what it costs to read it again.
class Kept {
 public:
  /// Files of /proc/PID/task/TID.
  enum File : size_t { kChildren, kStat, kSchedstat, kSyscall, kNumFiles };

  explicit Kept(int64_t pid);

  /// The ids of its threads; none if it has ended.
  std::vector<int64_t> Threads();
  /// How many descriptors it has; 0 if it has ended, or this kernel does not count them.
  uint64_t NumDescriptors() const;
  /// A file of one of its threads, up to 4 KiB of it; empty if it is empty, or the thread is not there.
  std::string Read(int64_t tid, File file);
  /// Where its thread's other files are.
  std::string Directory(int64_t tid) const { return path_ + "/task/" + std::to_string(tid); }

 private:
  std::string path_;
  Descriptor descriptors_;
  std::unique_ptr<DIR, int (*)(DIR *)> tasks_{nullptr, closedir};
  std::map<int64_t, std::array<Descriptor, kNumFiles>> files_;  // of each thread, by its id
};

/// The process of that number, while it is looked at. Those that have ended are let go when another one comes. Of this
/// process nothing stays open: there are cases that count its descriptors.
std::shared_ptr<Kept> Keep(int64_t pid);

/// As Keep, with the ids of its threads; none if there is no such process.
std::shared_ptr<Kept> Keep(int64_t pid, std::vector<int64_t> *threads);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_LINUX_KEPT_H
