// orphans.h - what the Unix process code needs of each system.
#ifndef CONFORMANCE_SUPPORT_POSIX_ORPHANS_H
#define CONFORMANCE_SUPPORT_POSIX_ORPHANS_H

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

namespace cts {

/// Children of children come to this process when their parent dies, where the system can do that.
void AdoptOrphans();

/// How many cores this process may run on.
size_t CoresUsable();

/// In a new child: run on one of these alone, the one of number `core` from 0, where the system lets a process choose.
void StayOnCore(size_t core);

/// In a new child: have the kernel kill it when the runner dies, where it can.
void DieWithParent();

/// In a new child: closes every descriptor from `first` on.
void CloseFrom(int first);

/// The process at the other end of a connected Unix socket when it connected; 0 if the system does not say.
int64_t ConnectedPid(int fd);

/// The parent of a process; 0 if there is no such process.
int64_t ParentOf(int64_t pid);

/// Children of this process, adopted ones included, but for those in `known`.
std::vector<int64_t> ChildrenBut(const std::set<pid_t> &known);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_POSIX_ORPHANS_H
