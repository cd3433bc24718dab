// What Linux shows of processes: /proc/PID/task/TID (proc(5)), the child subreaper and the parent-death signal
// (prctl(2)).
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "conformance/support/host.h"
#include "conformance/support/peer.h"
#include "conformance/support/posix/orphans.h"
#include "conformance/support/process.h"

namespace cts {
namespace {

/// A small file of /proc, whole; empty if it cannot be read.
std::string ReadProc(const std::string &path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  char buffer[4096];
  ssize_t got = read(fd, buffer, sizeof buffer);
  close(fd);
  return got > 0 ? std::string(buffer, static_cast<size_t>(got)) : "";
}

/// Fields of a stat file after the command, which may hold anything: [0] is the state, [1] the parent.
std::string AfterCommand(const std::string &stat) {
  size_t end = stat.rfind(')');
  return end == std::string::npos || end + 2 >= stat.size() ? "" : stat.substr(end + 2);
}

std::vector<int64_t> NumbersIn(const std::string &directory) {
  std::vector<int64_t> numbers;
  DIR *dir = opendir(directory.c_str());
  if (dir == nullptr) return numbers;
  while (dirent *entry = readdir(dir)) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9') numbers.push_back(atoll(entry->d_name));
  }
  closedir(dir);
  return numbers;
}

/// Whether the call a sleeping thread is in waits for another thread (a runtime's own lock is not the library) or just
/// for time to pass (a library that polls does not wait in the system).
bool WaitsElsewhere(const std::string &task) {
  std::string call = ReadProc(task + "/syscall");
  if (!call.empty() && call[0] >= '0' && call[0] <= '9') {
    long number = atol(call.c_str());
    if (number == SYS_futex || number == SYS_clock_nanosleep) return true;
#ifdef SYS_nanosleep
    if (number == SYS_nanosleep) return true;
#endif
#ifdef SYS_futex_waitv
    if (number == SYS_futex_waitv) return true;
#endif
    return false;
  }
  const std::string channel = ReadProc(task + "/wchan");
  return channel.find("futex") != std::string::npos || channel.find("nanosleep") != std::string::npos;
}

/// Counters that grow whenever the thread runs.
std::string Counters(const std::string &task) {
  std::string counters = ReadProc(task + "/schedstat");
  if (!counters.empty() && counters != "0 0 0\n") return counters;
  std::string status = ReadProc(task + "/status");
  size_t at = status.find("voluntary_ctxt_switches");
  return at == std::string::npos ? "" : status.substr(at);
}

/// Whether this is a process and not a thread of one.
bool IsProcess(int64_t id) {
  const std::string status = ReadProc("/proc/" + std::to_string(id) + "/status");
  return status.find("\nTgid:\t" + std::to_string(id) + "\n") != std::string::npos;
}

/// The children of a process with these threads, but for those in `known`. (gVisor lists the threads of children among
/// them.)
std::vector<int64_t> ChildrenOf(int64_t parent, const std::vector<int64_t> &threads,
                                const std::set<pid_t> &known = {}) {
  const auto is_known = [&](int64_t pid) { return known.count(static_cast<pid_t>(pid)) != 0; };
  static const bool listed = access("/proc/thread-self/children", R_OK) == 0;  // CONFIG_PROC_CHILDREN
  const std::string directory = "/proc/" + std::to_string(parent);
  std::vector<int64_t> children;
  for (int64_t tid : listed ? threads : std::vector<int64_t>()) {
    std::istringstream numbers(ReadProc(directory + "/task/" + std::to_string(tid) + "/children"));
    for (int64_t child; numbers >> child;) {
      if (!is_known(child) && IsProcess(child)) children.push_back(child);
    }
  }
  if (listed) return children;
  for (int64_t pid : NumbersIn("/proc")) {
    if (!is_known(pid) && ParentOf(pid) == parent) children.push_back(pid);
  }
  return children;
}

uint64_t SizeOf(const std::string &directory) {
  struct stat is = {};
  return stat(directory.c_str(), &is) == 0 && is.st_size > 0 ? static_cast<uint64_t>(is.st_size) : 0;
}

/// Whether the size of /proc/PID/fd is the number of descriptors, as since Linux 6.2: one call in place of five that
/// list them.
bool SizesCount() {
  const uint64_t before = SizeOf("/proc/self/fd");
  const int one_more = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const uint64_t after = SizeOf("/proc/self/fd");
  close(one_more);
  return before > 0 && after == before + 1;
}

/// The entries of a directory of /proc whose names are numbers, 0 among them.
std::vector<std::string> EntriesOf(const std::string &directory) {
  std::vector<std::string> entries;
  DIR *dir = opendir(directory.c_str());
  if (dir == nullptr) return entries;
  while (dirent *entry = readdir(dir)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') entries.push_back(entry->d_name);
  }
  closedir(dir);
  return entries;
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

ThreadState Inspect(const std::string &task) {
  ThreadState state;
  std::string after = AfterCommand(ReadProc(task + "/stat"));
  state.counters = Counters(task);
  state.known = !after.empty() && !state.counters.empty();
  state.sleeping = !after.empty() && after[0] == 'S';
  state.stopped = !after.empty() && after[0] == 'T';
  state.waits_elsewhere = state.sleeping && WaitsElsewhere(task);
  return state;
}

}  // namespace

ThreadState InspectThread(int64_t pid, int64_t tid) {
  return Inspect("/proc/" + std::to_string(pid) + "/task/" + std::to_string(tid));
}

ThreadState InspectProcess(int64_t pid) {
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  std::vector<ThreadState> states;
  for (int64_t tid : NumbersIn(tasks)) states.push_back(Inspect(tasks + "/" + std::to_string(tid)));
  return Together(states);
}

Holdings HoldingsOf(int64_t pid, bool described) {
  const std::string directory = "/proc/" + std::to_string(pid);
  static const bool sizes_count = SizesCount();
  const bool counted = sizes_count && !described;
  const std::vector<std::string> descriptors = counted ? std::vector<std::string>() : EntriesOf(directory + "/fd");
  const std::vector<int64_t> threads = NumbersIn(directory + "/task"), children = ChildrenOf(pid, threads);
  Holdings holdings;
  const uint64_t num_descriptors = counted ? SizeOf(directory + "/fd") : descriptors.size();
  holdings.known = num_descriptors > 0 && !threads.empty();
  holdings.counts = {num_descriptors, threads.size(), children.size()};
  if (!described) return holdings;
  for (const std::string &fd : descriptors) holdings.held[0][fd] = WhatIs(directory + "/fd/" + fd);
  const auto name_of = [](const std::string &of) {
    const std::string name = ReadProc(of + "/comm");
    return name.substr(0, name.find('\n'));
  };
  for (int64_t tid : threads)
    holdings.held[1][std::to_string(tid)] = name_of(directory + "/task/" + std::to_string(tid));
  for (int64_t child : children) holdings.held[2][std::to_string(child)] = name_of("/proc/" + std::to_string(child));
  return holdings;
}

int64_t ParentOf(int64_t pid) {
  const std::string after = AfterCommand(ReadProc("/proc/" + std::to_string(pid) + "/stat"));
  return after.size() > 2 ? atoll(after.c_str() + 2) : 0;
}

bool IsProcessId(uint64_t pid) { return pid < uint64_t{1} << 22; }  // PID_MAX_LIMIT of 64-bit kernels, proc(5)
std::string Beginning(int64_t pid) {
  // Behind the command: the state is field 0, the time of the start field 19.
  std::istringstream fields(AfterCommand(ReadProc("/proc/" + std::to_string(pid) + "/stat")));
  std::string state, field;
  if (!(fields >> state) || state == "Z" || state == "X") return "";
  for (int i = 0; i < 19; i++) fields >> field;
  return field;
}

int64_t ConnectedPid(int fd) {
  ucred credentials = {};
  socklen_t size = sizeof credentials;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.pid : 0;
}

uint64_t ResidentBytes(int64_t pid) {
  // statm: total and resident size, in pages.
  std::string statm = ReadProc("/proc/" + std::to_string(pid) + "/statm");
  size_t second = statm.find(' ');
  if (second == std::string::npos) return 0;
  return strtoull(statm.c_str() + second, nullptr, 10) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

size_t CoresUsable() {
  cpu_set_t cores;
  return sched_getaffinity(0, sizeof cores, &cores) == 0 ? static_cast<size_t>(CPU_COUNT(&cores)) : 1;
}

void StayOnCore(size_t core) {
  cpu_set_t usable, one;
  if (sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &usable) || core-- > 0) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
    return;
  }
}

void DieWithParent() { prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); }

void CloseFrom(int first) {
#ifdef SYS_close_range
  if (syscall(SYS_close_range, static_cast<unsigned>(first), ~0u, 0u) == 0) return;
#endif
  for (int64_t fd : NumbersIn("/proc/self/fd")) {
    if (fd >= first) close(static_cast<int>(fd));
  }
}

std::vector<int64_t> ChildrenBut(const std::set<pid_t> &known) {
  return ChildrenOf(getpid(), NumbersIn("/proc/self/task"), known);
}

namespace {

/// The flags in /proc/PID/fdinfo/FD; -1 if it is not open.
long FlagsOf(int64_t pid, const std::string &fd) {
  std::string info = ReadProc("/proc/" + std::to_string(pid) + "/fdinfo/" + fd);
  size_t at = info.find("flags:");
  return at == std::string::npos ? -1 : strtol(info.c_str() + at + 6, nullptr, 8);
}

}  // namespace

std::string host::DescriptorOf(int64_t pid, const std::string &fd) {
  char target[4096];
  const std::string link = "/proc/" + std::to_string(pid) + "/fd/" + fd;
  const ssize_t length = readlink(link.c_str(), target, sizeof target);
  const long flags = FlagsOf(pid, fd);
  if (length < 0 || flags < 0) return "";
  const long access = flags & O_ACCMODE;
  const char *direction = access == O_RDONLY ? " for reading" : access == O_WRONLY ? " for writing" : "";
  const char *nonblocking = (flags & O_NONBLOCK) != 0 ? ", nonblocking" : "";
  return std::string(target, static_cast<size_t>(length)) + direction + nonblocking;
}

std::vector<std::string> host::DescriptorsOf(int64_t pid) { return List("/proc/" + std::to_string(pid) + "/fd"); }

std::string host::WorkingDirectory(int64_t pid) {
  char target[4096];
  const std::string link = "/proc/" + std::to_string(pid) + "/cwd";
  const ssize_t length = readlink(link.c_str(), target, sizeof target);
  if (length < 0) throw Abort{"failed", "", link + " cannot be seen: " + strerror(errno)};
  return std::string(target, static_cast<size_t>(length));
}

bool host::IsCloseOnExec(int64_t pid, const std::string &fd) {
  const long flags = FlagsOf(pid, fd);
  if (flags < 0)
    throw Abort{"failed", "", "descriptor " + fd + " of process " + std::to_string(pid) + " cannot be seen"};
  return (flags & O_CLOEXEC) != 0;
}

uint64_t host::PeakMemory(int64_t pid) {
  std::string status = ReadProc("/proc/" + std::to_string(pid) + "/status");
  size_t at = status.find("VmPeak:");
  if (at == std::string::npos)
    throw Abort{"unverifiable", "",
                "this system does not show how much memory process " + std::to_string(pid) + " took"};
  return strtoull(status.c_str() + at + 7, nullptr, 10) << 10;  // VmPeak is in KiB
}

}  // namespace cts
