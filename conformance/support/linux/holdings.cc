// What a process of Linux holds: /proc/PID/fd, task and task/TID/children (proc(5)).
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include "conformance/support/linux/proc.h"
#include "conformance/support/posix/descriptor.h"
#include "conformance/support/posix/orphans.h"
#include "conformance/support/process.h"

namespace cts {
namespace {

/// Whether this is a process and not a thread of one.
bool IsProcess(int64_t id) {
  const std::string status = ReadProc("/proc/" + std::to_string(id) + "/status");
  return status.find("\nTgid:\t" + std::to_string(id) + "\n") != std::string::npos;
}

uint64_t SizeOf(int fd) {
  struct stat is = {};
  return fstat(fd, &is) == 0 && is.st_size > 0 ? static_cast<uint64_t>(is.st_size) : 0;
}

/// Whether the size of /proc/PID/fd is the number of descriptors, as since Linux 6.2: one call in place of those that
/// list them.
bool SizesCount() {
  const Descriptor own(open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  const uint64_t before = SizeOf(own.get());
  const Descriptor one_more(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return before > 0 && SizeOf(own.get()) == before + 1;
}

/// A process that is looked at after every case. Its files in /proc stay open: to find and open one costs many times
/// what it costs to read it again.
class Kept {
 public:
  explicit Kept(int64_t pid)
      : path_("/proc/" + std::to_string(pid)), descriptors_(open((path_ + "/fd").c_str(), kDirectory)) {
    const int tasks = open((path_ + "/task").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tasks >= 0) tasks_.reset(fdopendir(tasks));
  }

  /// The ids of its threads; none if it has ended.
  std::vector<int64_t> Threads() {
    if (!tasks_) return {};
    rewinddir(tasks_.get());
    return NumbersIn(tasks_.get());
  }

  /// How many descriptors it has; 0 if it has ended, or the size of their directory is not their number.
  uint64_t NumDescriptors() const {
    static const bool sizes_count = SizesCount();
    return sizes_count ? SizeOf(descriptors_.get()) : 0;
  }

  /// The processes that these threads of it have started.
  std::vector<int64_t> Children(const std::vector<int64_t> &threads) {
    std::map<int64_t, std::unique_ptr<Descriptor>> files;
    std::vector<int64_t> children;
    for (int64_t tid : threads) {
      std::unique_ptr<Descriptor> &file = files[tid] = std::move(children_[tid]);
      if (!file) {
        const std::string path = path_ + "/task/" + std::to_string(tid) + "/children";
        file = std::make_unique<Descriptor>(open(path.c_str(), O_RDONLY | O_CLOEXEC));
      }
      char text[4096];
      const ssize_t length = pread(file->get(), text, sizeof text, 0);
      if (length <= 0) continue;
      std::istringstream numbers(std::string(text, static_cast<size_t>(length)));
      for (int64_t child; numbers >> child;) children.push_back(child);
    }
    children_ = std::move(files);
    return children;
  }

 private:
  static constexpr int kDirectory = O_PATH | O_DIRECTORY | O_CLOEXEC;

  std::string path_;
  Descriptor descriptors_;
  std::unique_ptr<DIR, int (*)(DIR *)> tasks_{nullptr, closedir};
  std::map<int64_t, std::unique_ptr<Descriptor>> children_;  // of each thread, by its id
};

/// A process to look at, and its threads: none if it has ended.
Kept &Look(int64_t pid, std::vector<int64_t> *threads) {
  static std::map<int64_t, Kept> looked_at;
  auto found = looked_at.find(pid);
  if (found != looked_at.end()) {
    *threads = found->second.Threads();
    if (!threads->empty()) return found->second;
  }
  // It is new here, or its number may be another's by now. What has ended meanwhile is dropped.
  for (auto it = looked_at.begin(); it != looked_at.end();) {
    it = it->second.Threads().empty() ? looked_at.erase(it) : std::next(it);
  }
  Kept &kept = looked_at.try_emplace(pid, pid).first->second;
  *threads = kept.Threads();
  return kept;
}

/// The children of a process with these threads, but for those in `known`. (gVisor lists the threads of children among
/// them.)
std::vector<int64_t> ChildrenOf(Kept &kept, int64_t parent, const std::vector<int64_t> &threads,
                                const std::set<pid_t> &known = {}) {
  static const bool listed = access("/proc/thread-self/children", R_OK) == 0;  // CONFIG_PROC_CHILDREN
  std::vector<int64_t> children;
  for (int64_t pid : listed ? kept.Children(threads) : NumbersIn("/proc")) {
    if (known.count(static_cast<pid_t>(pid)) != 0) continue;
    if (listed ? IsProcess(pid) : ParentOf(pid) == parent) children.push_back(pid);
  }
  return children;
}

/// What a descriptor is: the target of its link in /proc, of a socket with its type and name.
std::string WhatIs(const std::string &link) {
  char target[4096];
  const ssize_t length = readlink(link.c_str(), target, sizeof target);
  std::string what = length < 0 ? "gone" : std::string(target, static_cast<size_t>(length));
  if (what.compare(0, 8, "socket:[") != 0) return what;
  // A line of /proc/net/unix: address, references, protocol, flags, type, state, inode, and the name if it has one.
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    std::istringstream fields(line);
    std::string skipped, type, state, inode, name;
    fields >> skipped >> skipped >> skipped >> skipped >> type >> state >> inode >> name;
    if ("socket:[" + inode + "]" != what) continue;
    const char *kind = type == "0001" ? " unix stream" : type == "0002" ? " unix datagram" : " unix seqpacket";
    return what + kind + (name.empty() ? "" : " " + name);
  }
  return what;
}

}  // namespace

Holdings HoldingsOf(int64_t pid, bool described) {
  const std::string directory = "/proc/" + std::to_string(pid);
  std::vector<int64_t> threads, descriptors;
  Kept &kept = Look(pid, &threads);
  const std::vector<int64_t> children = ChildrenOf(kept, pid, threads);
  uint64_t num_descriptors = described ? 0 : kept.NumDescriptors();
  if (num_descriptors == 0) {
    descriptors = NumbersIn(directory + "/fd");
    num_descriptors = descriptors.size();
  }
  Holdings holdings;
  holdings.known = num_descriptors > 0 && !threads.empty();
  holdings.counts = {num_descriptors, threads.size(), children.size()};
  if (!described) return holdings;
  const auto name_of = [](const std::string &of) {
    const std::string name = ReadProc(of + "/comm");
    return name.substr(0, name.find('\n'));
  };
  for (int64_t fd : descriptors) holdings.held[0][std::to_string(fd)] = WhatIs(directory + "/fd/" + std::to_string(fd));
  for (int64_t tid : threads)
    holdings.held[1][std::to_string(tid)] = name_of(directory + "/task/" + std::to_string(tid));
  for (int64_t child : children) holdings.held[2][std::to_string(child)] = name_of("/proc/" + std::to_string(child));
  return holdings;
}

std::vector<int64_t> ChildrenBut(const std::set<pid_t> &known) {
  std::vector<int64_t> threads;
  Kept &own = Look(getpid(), &threads);
  return ChildrenOf(own, getpid(), threads, known);
}

}  // namespace cts
