// proc.h - reading /proc (proc(5)).
#ifndef CONFORMANCE_SUPPORT_LINUX_PROC_H
#define CONFORMANCE_SUPPORT_LINUX_PROC_H

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

namespace cts {

/// A small file of /proc, whole; empty if it cannot be read.
inline std::string ReadProc(const std::string &path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char buffer[4096];
  ssize_t got = read(fd, buffer, sizeof buffer);
  close(fd);
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
}

/// Fields of a stat file after the command, which may hold anything: [0] is the state, [1] the parent.
inline std::string AfterCommand(const std::string &stat) {
  size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? "" : stat.substr(end + 2);
}

/// The entries of a directory of /proc, from where it stands on, whose names are numbers.
inline std::vector<int64_t> NumbersIn(DIR *directory) {
  std::vector<int64_t> numbers;
  while (dirent *entry = readdir(directory)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') numbers.push_back(atoll(entry->d_name));
  }
  return numbers;
}

/// All of them; none if the directory cannot be read.
inline std::vector<int64_t> NumbersIn(const std::string &directory) {
  DIR *opened = opendir(directory.c_str());
  if (opened == nullptr) return {};
  std::vector<int64_t> numbers = NumbersIn(opened);
  closedir(opened);
  return numbers;
}

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_LINUX_PROC_H
