// What a process of Linux holds: /proc/PID/fd, task and task/TID/children (proc(5)).
#include <unistd.h>

#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include "conformance/support/linux/kept.h"
#include "conformance/support/linux/proc.h"
#include "conformance/support/posix/orphans.h"
#include "conformance/support/process.h"

namespace cts {
namespace {

/// Whether this is a process and not a thread of one.
bool IsProcess(int64_t id) {
  const std::string status = ReadProc("/proc/" + std::to_string(id) + "/status");
  return status.find("\nTgid:\t" + std::to_string(id) + "\n") != std::string::npos;
}

/// The children of a process with these threads, but for those in `known`. (gVisor lists the threads of children among
/// them.)
std::vector<int64_t> ChildrenOf(Kept &kept, int64_t parent, const std::vector<int64_t> &threads,
                                const std::set<pid_t> &known = {}) {
  static const bool listed = access("/proc/thread-self/children", R_OK) == 0;  // CONFIG_PROC_CHILDREN
  const auto is_known = [&](int64_t pid) { return known.count(static_cast<pid_t>(pid)) != 0; };
  std::vector<int64_t> children;
  for (int64_t tid : listed ? threads : std::vector<int64_t>()) {
    const std::string numbers = kept.Read(tid, Kept::kChildren);
    if (numbers.empty()) continue;
    std::istringstream fields(numbers);
    for (int64_t child; fields >> child;) {
      if (!is_known(child) && IsProcess(child)) children.push_back(child);
    }
  }
  if (listed) return children;
  for (int64_t pid : NumbersIn("/proc")) {
    if (!is_known(pid) && ParentOf(pid) == parent) children.push_back(pid);
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
  const std::shared_ptr<Kept> kept = Keep(pid, &threads);
  const std::vector<int64_t> children = ChildrenOf(*kept, pid, threads);
  uint64_t num_descriptors = described ? 0 : kept->NumDescriptors();
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
  const std::shared_ptr<Kept> own = Keep(getpid(), &threads);
  return ChildrenOf(*own, getpid(), threads, known);
}

}  // namespace cts
