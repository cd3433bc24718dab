// What Linux shows of processes: /proc/PID/task/TID (proc(5)), the child subreaper and the parent-death signal
// (prctl(2)).
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "conformance/support/host.h"
#include "conformance/support/linux/kept.h"
#include "conformance/support/linux/proc.h"
#include "conformance/support/peer.h"
#include "conformance/support/posix/orphans.h"
#include "conformance/support/process.h"

namespace cts {
namespace {

/// Whether the call a sleeping thread is in waits for another thread (a runtime's own lock is not the library) or just
/// for time to pass (a library that polls does not wait in the system).
bool WaitsElsewhere(Kept &process, int64_t tid) {
  std::string call = process.Read(tid, Kept::kSyscall);
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
  const std::string channel = ReadProc(process.Directory(tid) + "/wchan");
  return channel.find("futex") != std::string::npos || channel.find("nanosleep") != std::string::npos;
}

/// Counters that grow whenever the thread runs.
std::string Counters(Kept &process, int64_t tid) {
  std::string counters = process.Read(tid, Kept::kSchedstat);
  if (!counters.empty() && counters != "0 0 0\n") return counters;
  std::string status = ReadProc(process.Directory(tid) + "/status");
  size_t at = status.find("voluntary_ctxt_switches");
  return at == std::string::npos ? "" : status.substr(at);
}

ThreadState Inspect(Kept &process, int64_t tid) {
  ThreadState state;
  std::string after = AfterCommand(process.Read(tid, Kept::kStat));
  state.counters = Counters(process, tid);
  state.known = !after.empty() && !state.counters.empty();
  state.sleeping = !after.empty() && after[0] == 'S';
  state.stopped = !after.empty() && after[0] == 'T';
  state.waits_elsewhere = state.sleeping && WaitsElsewhere(process, tid);
  return state;
}

}  // namespace

ThreadState InspectThread(int64_t pid, int64_t tid) { return Inspect(*Keep(pid), tid); }

ThreadState InspectProcess(int64_t pid) {
  std::vector<int64_t> threads;
  const std::shared_ptr<Kept> process = Keep(pid, &threads);
  std::vector<ThreadState> states;
  for (int64_t tid : threads) states.push_back(Inspect(*process, tid));
  return Together(states);
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
