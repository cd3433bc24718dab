#include "conformance/support/linux/kept.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "conformance/support/linux/proc.h"

namespace cts {
namespace {

const char *const kNames[Kept::kNumFiles] = {"children", "stat", "schedstat", "syscall"};

std::map<int64_t, std::shared_ptr<Kept>> g_kept;

uint64_t SizeOf(int fd) {
  struct stat is = {};
  return fstat(fd, &is) == 0 && is.st_size > 0 ? static_cast<uint64_t>(is.st_size) : 0;
}

int OpenDirectory(const std::string &path, int how) { return open(path.c_str(), how | O_DIRECTORY | O_CLOEXEC); }

/// Whether the size of /proc/PID/fd is the number of descriptors, as since Linux 6.2: one call in place of those that
/// list them.
bool SizesCount() {
  const Descriptor own(OpenDirectory("/proc/self/fd", O_PATH));
  const uint64_t before = SizeOf(own.get());
  const Descriptor one_more(open("/dev/null", O_RDONLY | O_CLOEXEC));
  return before > 0 && SizeOf(own.get()) == before + 1;
}

}  // namespace

Kept::Kept(int64_t pid) : path_("/proc/" + std::to_string(pid)), descriptors_(OpenDirectory(path_ + "/fd", O_PATH)) {
  const int tasks = OpenDirectory(path_ + "/task", O_RDONLY);
  if (tasks >= 0) tasks_.reset(fdopendir(tasks));
}

std::vector<int64_t> Kept::Threads() {
  if (!tasks_) return {};
  rewinddir(tasks_.get());
  std::vector<int64_t> threads = NumbersIn(tasks_.get());
  const auto lives = [&](int64_t tid) { return std::find(threads.begin(), threads.end(), tid) != threads.end(); };
  for (auto it = files_.begin(); it != files_.end();) it = lives(it->first) ? std::next(it) : files_.erase(it);
  return threads;
}

uint64_t Kept::NumDescriptors() const {
  static const bool sizes_count = SizesCount();
  return sizes_count ? SizeOf(descriptors_.get()) : 0;
}

std::string Kept::Read(int64_t tid, File file) {
  Descriptor &kept = files_[tid][file];
  char text[4096];
  ssize_t length = pread(kept.get(), text, sizeof text, 0);
  if (length < 0) {  // not open yet, or the thread has ended and another one may have its number
    kept.reset(open((Directory(tid) + "/" + kNames[file]).c_str(), O_RDONLY | O_CLOEXEC));
    length = pread(kept.get(), text, sizeof text, 0);
  }
  return length > 0 ? std::string(text, static_cast<size_t>(length)) : "";
}

std::shared_ptr<Kept> Keep(int64_t pid) {
  if (pid == getpid()) return std::make_shared<Kept>(pid);
  const auto found = g_kept.find(pid);
  if (found != g_kept.end()) return found->second;
  for (auto it = g_kept.begin(); it != g_kept.end();) {
    it = it->second->Threads().empty() ? g_kept.erase(it) : std::next(it);
  }
  return g_kept.emplace(pid, std::make_shared<Kept>(pid)).first->second;
}

std::shared_ptr<Kept> Keep(int64_t pid, std::vector<int64_t> *threads) {
  const bool known = g_kept.count(pid) != 0;
  std::shared_ptr<Kept> kept = Keep(pid);
  *threads = kept->Threads();
  if (!threads->empty() || !known) return kept;
  g_kept.erase(pid);  // it has ended, and another one may have its number
  kept = Keep(pid);
  *threads = kept->Threads();
  return kept;
}

}  // namespace cts
