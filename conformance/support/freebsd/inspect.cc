// What FreeBSD shows of processes: kinfo_proc and kinfo_file (sysctl(3), kinfo_getfile(3)), the reaper and the
// parent-death signal (procctl(2)).
#include <sys/param.h>
// (The others need it.)
#include <fcntl.h>
#include <libutil.h>
#include <signal.h>
#include <sys/cpuset.h>
#include <sys/procctl.h>
#include <sys/socket.h>
#include <sys/sysctl.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <sys/user.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "conformance/support/host.h"
#include "conformance/support/peer.h"
#include "conformance/support/posix/orphans.h"
#include "conformance/support/process.h"

namespace cts {
namespace {

/// Processes, or their threads, that a sysctl of kern.proc answers: `what` KERN_PROC_PID (of `id`) or KERN_PROC_PROC
/// (all).
std::vector<kinfo_proc> Processes(int what, int64_t id) {
  int name[] = {CTL_KERN, KERN_PROC, what, static_cast<int>(id)};
  const unsigned length = (what & ~KERN_PROC_INC_THREAD) == KERN_PROC_PROC ? 3 : 4;
  for (;;) {
    size_t size = 0;
    if (sysctl(name, length, nullptr, &size, nullptr, 0) != 0) return {};
    std::vector<kinfo_proc> entries(size / sizeof(kinfo_proc) + 16);
    size = entries.size() * sizeof(kinfo_proc);
    if (sysctl(name, length, entries.data(), &size, nullptr, 0) == 0) {
      entries.resize(size / sizeof(kinfo_proc));
      return entries;
    }
    if (errno != ENOMEM) return {};  // else there are more of them now
  }
}

std::vector<kinfo_proc> ThreadsOf(int64_t pid) { return Processes(KERN_PROC_PID | KERN_PROC_INC_THREAD, pid); }

/// The process; false if there is none.
bool Find(int64_t pid, kinfo_proc *found) {
  const std::vector<kinfo_proc> entries = Processes(KERN_PROC_PID, pid);
  if (entries.empty()) return false;
  *found = entries[0];
  return true;
}

std::vector<kinfo_proc> ChildrenOf(int64_t parent) {
  std::vector<kinfo_proc> children;
  for (const kinfo_proc &process : Processes(KERN_PROC_PROC, 0)) {
    if (process.ki_ppid == parent) children.push_back(process);
  }
  return children;
}

/// Whether a sleeping thread waits for another thread (umtx(2), under the names that its waits have) or just for time
/// to pass.
bool WaitsElsewhere(const kinfo_proc &thread) {
  static const char *const names[] = {"uwait",  "ucond",  "umtxn", "umtxpi", "umtxpp",
                                      "urdlck", "uwrlck", "usem",  "nanslp"};
  return std::any_of(std::begin(names), std::end(names),
                     [&](const char *name) { return strncmp(thread.ki_wmesg, name, WMESGLEN) == 0; });
}

ThreadState StateOf(const kinfo_proc &thread) {
  ThreadState state;
  state.known = true;
  state.sleeping = thread.ki_stat == SSLEEP;
  state.stopped = thread.ki_stat == SSTOP;
  state.waits_elsewhere = state.sleeping && WaitsElsewhere(thread);
  state.counters = std::to_string(thread.ki_runtime) + " " + std::to_string(thread.ki_rusage.ru_nvcsw) + " " +
                   std::to_string(thread.ki_rusage.ru_nivcsw) + "\n";
  return state;
}

/// The descriptors of a process. The system lists other files too, under negative numbers: its directory, its program.
std::vector<kinfo_file> FilesOf(int64_t pid) {
  int count = 0;
  const std::unique_ptr<kinfo_file, decltype(&free)> files(kinfo_getfile(static_cast<pid_t>(pid), &count), &free);
  return files == nullptr ? std::vector<kinfo_file>() : std::vector<kinfo_file>(files.get(), files.get() + count);
}

/// What a file is, the same text for every process that shares the open file description.
std::string WhatIs(const kinfo_file &file) {
  char text[64];
  switch (file.kf_type) {
    case KF_TYPE_SOCKET:
      snprintf(text, sizeof text, "socket:[%llx]", static_cast<unsigned long long>(file.kf_un.kf_sock.kf_sock_pcb));
      return text;
    case KF_TYPE_PIPE: {
      // Both ends are the same pipe: one has the other's address.
      const uint64_t one = file.kf_un.kf_pipe.kf_pipe_addr, other = file.kf_un.kf_pipe.kf_pipe_peer;
      const uint64_t either = std::min(one, other) != 0 ? std::min(one, other) : std::max(one, other);
      snprintf(text, sizeof text, "pipe:[%llx]", static_cast<unsigned long long>(either));
      return text;
    }
    case KF_TYPE_KQUEUE:
      return "kqueue";
    default:
      return file.kf_path;
  }
}

/// The file behind a descriptor; false if it is not open.
bool Find(int64_t pid, const std::string &fd, kinfo_file *found) {
  for (const kinfo_file &file : FilesOf(pid)) {
    if (file.kf_fd < 0 || std::to_string(file.kf_fd) != fd) continue;
    *found = file;
    return true;
  }
  return false;
}

}  // namespace

ThreadState InspectThread(int64_t pid, int64_t tid) {
  for (const kinfo_proc &thread : ThreadsOf(pid)) {
    if (thread.ki_tid == tid) return StateOf(thread);
  }
  return ThreadState();
}

ThreadState InspectProcess(int64_t pid) {
  std::vector<ThreadState> states;
  for (const kinfo_proc &thread : ThreadsOf(pid)) states.push_back(StateOf(thread));
  return Together(states);
}

Holdings HoldingsOf(int64_t pid, bool described) {
  const std::vector<kinfo_proc> threads = ThreadsOf(pid), children = ChildrenOf(pid);
  std::vector<kinfo_file> files = FilesOf(pid);
  files.erase(std::remove_if(files.begin(), files.end(), [](const kinfo_file &file) { return file.kf_fd < 0; }),
              files.end());
  Holdings holdings;
  holdings.known = !files.empty() && !threads.empty();
  holdings.counts = {files.size(), threads.size(), children.size()};
  if (!described) return holdings;
  for (const kinfo_file &file : files) holdings.held[0][std::to_string(file.kf_fd)] = WhatIs(file);
  for (const kinfo_proc &thread : threads) holdings.held[1][std::to_string(thread.ki_tid)] = thread.ki_tdname;
  for (const kinfo_proc &child : children) holdings.held[2][std::to_string(child.ki_pid)] = child.ki_comm;
  return holdings;
}

int64_t ParentOf(int64_t pid) {
  kinfo_proc process;
  return Find(pid, &process) ? process.ki_ppid : 0;
}

bool IsProcessId(uint64_t pid) { return pid <= 99999; }  // PID_MAX of its kernel

std::string Beginning(int64_t pid) {
  kinfo_proc process;
  if (!Find(pid, &process) || process.ki_stat == SZOMB) return "";
  return std::to_string(process.ki_start.tv_sec) + "." + std::to_string(process.ki_start.tv_usec);
}

int64_t ConnectedPid(int fd) {
  xucred credentials = {};
  socklen_t size = sizeof credentials;
  // With LOCAL_PEERCRED, unix(4); the pid is there since FreeBSD 13.
  return getsockopt(fd, SOL_LOCAL, LOCAL_PEERCRED, &credentials, &size) == 0 ? credentials.cr_pid : 0;
}

uint64_t ResidentBytes(int64_t pid) {
  kinfo_proc process;
  if (!Find(pid, &process)) return 0;
  return static_cast<uint64_t>(process.ki_rssize) * static_cast<uint64_t>(getpagesize());
}

void AdoptOrphans() { procctl(P_PID, 0, PROC_REAP_ACQUIRE, nullptr); }

size_t CoresUsable() {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? static_cast<size_t>(cores) : 1;
}

void StayOnCore(size_t core) {
  cpuset_t one;
  CPU_ZERO(&one);
  CPU_SET(core, &one);
  cpuset_setaffinity(CPU_LEVEL_WHICH, CPU_WHICH_PID, -1, sizeof one, &one);
}

void DieWithParent() {
  int signal = SIGKILL;
  procctl(P_PID, 0, PROC_PDEATHSIG_CTL, &signal);
}

void CloseFrom(int first) { closefrom(first); }

std::vector<int64_t> ChildrenBut(const std::set<pid_t> &known) {
  std::vector<int64_t> children;
  for (const kinfo_proc &child : ChildrenOf(getpid())) {
    if (known.count(child.ki_pid) == 0) children.push_back(child.ki_pid);
  }
  return children;
}

std::string host::DescriptorOf(int64_t pid, const std::string &fd) {
  kinfo_file file;
  if (!Find(pid, fd, &file)) return "";
  const bool reads = (file.kf_flags & KF_FLAG_READ) != 0, writes = (file.kf_flags & KF_FLAG_WRITE) != 0;
  const char *direction = reads == writes ? "" : reads ? " for reading" : " for writing";
  return WhatIs(file) + direction + ((file.kf_flags & KF_FLAG_NONBLOCK) != 0 ? ", nonblocking" : "");
}

std::vector<std::string> host::DescriptorsOf(int64_t pid) {
  std::vector<std::string> found;
  for (const kinfo_file &file : FilesOf(pid)) {
    if (file.kf_fd >= 0) found.push_back(std::to_string(file.kf_fd));
  }
  return found;
}

std::string host::WorkingDirectory(int64_t pid) {
  for (const kinfo_file &file : FilesOf(pid)) {
    if (file.kf_fd == KF_FD_TYPE_CWD) return file.kf_path;
  }
  throw Abort{"failed", "", "the directory of process " + std::to_string(pid) + " cannot be seen"};
}

bool host::IsCloseOnExec(int64_t pid, const std::string &fd) {
  throw Abort{"unverifiable", "",
              "this system does not show whether descriptor " + fd + " of process " + std::to_string(pid) +
                  " is close-on-exec"};
}

uint64_t host::PeakMemory(int64_t pid) {
  throw Abort{"unverifiable", "",
              "this system does not show how much memory process " + std::to_string(pid) + " ever had mapped"};
}

}  // namespace cts
