// What macOS shows of processes: libproc (libproc.h and sys/proc_info.h of its SDK). It has no child subreaper and no
// parent-death signal, and does not say in which call a thread waits: a library that has one thread wait for another
// looks here like one that waits in the system (spec/peer_protocol.md, 4.2).
#include <fcntl.h>
#include <libproc.h>
#include <sys/proc.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "conformance/support/host.h"
#include "conformance/support/peer.h"
#include "conformance/support/posix/orphans.h"
#include "conformance/support/process.h"

namespace cts {
namespace {

/// One structure about a process; false if the system does not give it whole.
template <typename Info>
bool Ask(int64_t pid, int flavor, uint64_t argument, Info *info) {
  return proc_pidinfo(static_cast<int>(pid), flavor, argument, info, sizeof *info) == static_cast<int>(sizeof *info);
}

/// One structure about a descriptor; false if the system does not give it whole.
template <typename Info>
bool AskOf(int64_t pid, int fd, int flavor, Info *info) {
  return proc_pidfdinfo(static_cast<int>(pid), fd, flavor, info, sizeof *info) == static_cast<int>(sizeof *info);
}

/// A list about a process, whole: asked for with more room until some is left over.
template <typename Entry>
std::vector<Entry> ListOf(int64_t pid, int flavor) {
  for (size_t room = 64;; room *= 2) {
    std::vector<Entry> entries(room);
    const int bytes = static_cast<int>(room * sizeof(Entry));
    const int got = proc_pidinfo(static_cast<int>(pid), flavor, 0, entries.data(), bytes);
    if (got == bytes) continue;
    entries.resize(got > 0 ? static_cast<size_t>(got) / sizeof(Entry) : 0);
    return entries;
  }
}

std::vector<int64_t> ChildrenOf(int64_t parent) {
  for (size_t room = 64;; room *= 2) {
    std::vector<pid_t> children(room);
    // Unlike proc_pidinfo it answers how many there are.
    const int got =
        proc_listchildpids(static_cast<pid_t>(parent), children.data(), static_cast<int>(room * sizeof(pid_t)));
    if (got >= static_cast<int>(room)) continue;
    children.resize(got > 0 ? static_cast<size_t>(got) : 0);
    return std::vector<int64_t>(children.begin(), children.end());
  }
}

ThreadState StateOf(const proc_threadinfo &info) {
  ThreadState state;
  state.known = true;
  state.sleeping = info.pth_run_state == TH_STATE_WAITING;
  state.stopped = info.pth_run_state == TH_STATE_STOPPED;
  state.counters = std::to_string(info.pth_user_time) + " " + std::to_string(info.pth_system_time) + "\n";
  return state;
}

const char *KindOf(uint32_t type) {
  switch (type) {
    case PROX_FDTYPE_VNODE:
      return "file";
    case PROX_FDTYPE_SOCKET:
      return "socket";
    case PROX_FDTYPE_PIPE:
      return "pipe";
    case PROX_FDTYPE_KQUEUE:
      return "kqueue";
    default:
      return "descriptor of another kind";
  }
}

/// What a descriptor is, the same text for every process that shares the open file description, and what is said of it.
std::string WhatIs(int64_t pid, const proc_fdinfo &fd, proc_fileinfo *file) {
  char text[64];
  vnode_fdinfowithpath vnode;
  socket_fdinfo socket;
  pipe_fdinfo pipe;
  if (fd.proc_fdtype == PROX_FDTYPE_VNODE && AskOf(pid, fd.proc_fd, PROC_PIDFDVNODEPATHINFO, &vnode)) {
    *file = vnode.pfi;
    return vnode.pvip.vip_path;
  }
  if (fd.proc_fdtype == PROX_FDTYPE_SOCKET && AskOf(pid, fd.proc_fd, PROC_PIDFDSOCKETINFO, &socket)) {
    *file = socket.pfi;
    snprintf(text, sizeof text, "socket:[%llx]", static_cast<unsigned long long>(socket.psi.soi_so));
    return text;
  }
  if (fd.proc_fdtype == PROX_FDTYPE_PIPE && AskOf(pid, fd.proc_fd, PROC_PIDFDPIPEINFO, &pipe)) {
    *file = pipe.pfi;
    // Both ends are the same pipe: one has the other's handle.
    const uint64_t either = std::min(pipe.pipeinfo.pipe_handle, pipe.pipeinfo.pipe_peerhandle);
    const uint64_t other = std::max(pipe.pipeinfo.pipe_handle, pipe.pipeinfo.pipe_peerhandle);
    snprintf(text, sizeof text, "pipe:[%llx]", static_cast<unsigned long long>(either != 0 ? either : other));
    return text;
  }
  *file = proc_fileinfo();
  return KindOf(fd.proc_fdtype);
}

std::vector<proc_fdinfo> Descriptors(int64_t pid) { return ListOf<proc_fdinfo>(pid, PROC_PIDLISTFDS); }

/// The entry of a descriptor; false if it is not open.
bool Find(int64_t pid, const std::string &fd, proc_fdinfo *found) {
  for (const proc_fdinfo &entry : Descriptors(pid)) {
    if (std::to_string(entry.proc_fd) != fd) continue;
    *found = entry;
    return true;
  }
  return false;
}

std::string NameOf(int64_t pid) {
  char name[2 * MAXCOMLEN + 1] = "";
  proc_name(static_cast<int>(pid), name, sizeof name);
  return name;
}

}  // namespace

ThreadState InspectThread(int64_t pid, int64_t tid) {
  proc_threadinfo info;
  return Ask(pid, PROC_PIDTHREADID64INFO, static_cast<uint64_t>(tid), &info) ? StateOf(info) : ThreadState();
}

ThreadState InspectProcess(int64_t pid) {
  std::vector<ThreadState> states;
  for (uint64_t thread : ListOf<uint64_t>(pid, PROC_PIDLISTTHREADS)) {
    proc_threadinfo info;
    states.push_back(Ask(pid, PROC_PIDTHREADINFO, thread, &info) ? StateOf(info) : ThreadState());
  }
  return Together(states);
}

Holdings HoldingsOf(int64_t pid, bool described) {
  const std::vector<proc_fdinfo> descriptors = Descriptors(pid);
  const std::vector<uint64_t> threads = ListOf<uint64_t>(pid, PROC_PIDLISTTHREADS);
  const std::vector<int64_t> children = ChildrenOf(pid);
  Holdings holdings;
  holdings.known = !descriptors.empty() && !threads.empty();
  holdings.counts = {descriptors.size(), threads.size(), children.size()};
  if (!described) return holdings;
  proc_fileinfo ignored;
  for (const proc_fdinfo &fd : descriptors) holdings.held[0][std::to_string(fd.proc_fd)] = WhatIs(pid, fd, &ignored);
  for (uint64_t thread : threads) {
    proc_threadinfo info;
    const bool known = Ask(pid, PROC_PIDTHREADINFO, thread, &info);
    holdings.held[1][std::to_string(thread)] = known ? info.pth_name : "";
  }
  for (int64_t child : children) holdings.held[2][std::to_string(child)] = NameOf(child);
  return holdings;
}

int64_t ParentOf(int64_t pid) {
  proc_bsdinfo info;
  return Ask(pid, PROC_PIDTBSDINFO, 0, &info) ? static_cast<int64_t>(info.pbi_ppid) : 0;
}

bool IsProcessId(uint64_t pid) { return pid <= 99999; }  // PID_MAX of its kernel

std::string Beginning(int64_t pid) {
  proc_bsdinfo info;
  if (!Ask(pid, PROC_PIDTBSDINFO, 0, &info) || info.pbi_status == SZOMB) return "";
  return std::to_string(info.pbi_start_tvsec) + "." + std::to_string(info.pbi_start_tvusec);
}

int64_t ConnectedPid(int fd) {
  pid_t pid = 0;
  socklen_t size = sizeof pid;
  return getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &pid, &size) == 0 ? pid : 0;
}

uint64_t ResidentBytes(int64_t pid) {
  proc_taskinfo info;
  return Ask(pid, PROC_PIDTASKINFO, 0, &info) ? info.pti_resident_size : 0;
}

void AdoptOrphans() {}

size_t CoresUsable() {
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  return cores > 0 ? static_cast<size_t>(cores) : 1;
}

void StayOnCore(size_t) {}  // a hint at most (thread_policy_set), and none on arm64

void DieWithParent() {}

void CloseFrom(int first) {
  for (const proc_fdinfo &fd : Descriptors(getpid())) {
    if (fd.proc_fd >= first) close(fd.proc_fd);
  }
}

std::vector<int64_t> ChildrenBut(const std::set<pid_t> &known) {
  std::vector<int64_t> children;
  for (int64_t child : ChildrenOf(getpid())) {
    if (known.count(static_cast<pid_t>(child)) == 0) children.push_back(child);
  }
  return children;
}

std::string host::DescriptorOf(int64_t pid, const std::string &fd) {
  proc_fdinfo found;
  if (!Find(pid, fd, &found)) return "";
  proc_fileinfo file;
  const std::string what = WhatIs(pid, found, &file);
  const bool reads = (file.fi_openflags & FREAD) != 0, writes = (file.fi_openflags & FWRITE) != 0;
  const char *direction = reads == writes ? "" : reads ? " for reading" : " for writing";
  return what + direction + ((file.fi_openflags & FNONBLOCK) != 0 ? ", nonblocking" : "");
}

std::vector<std::string> host::DescriptorsOf(int64_t pid) {
  std::vector<std::string> found;
  for (const proc_fdinfo &fd : Descriptors(pid)) found.push_back(std::to_string(fd.proc_fd));
  return found;
}

std::string host::WorkingDirectory(int64_t pid) {
  proc_vnodepathinfo info;
  if (!Ask(pid, PROC_PIDVNODEPATHINFO, 0, &info))
    throw Abort{"failed", "", "the directory of process " + std::to_string(pid) + " cannot be seen"};
  return info.pvi_cdir.vip_path;
}

bool host::IsCloseOnExec(int64_t pid, const std::string &fd) {
  proc_fdinfo found;
  proc_fileinfo file = {};
  const bool open = Find(pid, fd, &found);
  if (open) WhatIs(pid, found, &file);
  if (!open || file.fi_openflags == 0)
    throw Abort{"failed", "", "descriptor " + fd + " of process " + std::to_string(pid) + " cannot be seen"};
  return (file.fi_status & PROC_FP_CLEXEC) != 0;
}

uint64_t host::PeakMemory(int64_t pid) {
  throw Abort{"unverifiable", "",
              "this system does not show how much memory process " + std::to_string(pid) + " ever had mapped"};
}

}  // namespace cts
