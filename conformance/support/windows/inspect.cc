// What Windows shows of threads (NtQuerySystemInformation), and what Linux shows of those of Wine.
//
// Wine 8.0 answers SystemProcessInformation without states and switches. There a thread of Windows is a thread of
// Linux, whose name is the description that it was given (SetThreadDescription): peers call theirs `cts-TID`
// (spec/peer_protocol.md, 4.6), and so it is found in /proc, as \\?\unix\proc shows it.
#include <windows.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "conformance/support/process.h"
#include "conformance/support/windows/handle.h"
#include "conformance/support/windows/text.h"

namespace cts {
namespace {

// ------------------------------------------------------------------------------------------------------------ Windows

/// SYSTEM_THREAD_INFORMATION with the members that winternl.h calls reserved (Microsoft, "SYSTEM_THREAD_INFORMATION").
struct ThreadInformation {
  LARGE_INTEGER kernel_time, user_time, create_time;
  ULONG wait_time;
  PVOID start_address;
  HANDLE process, thread;
  LONG priority, base_priority;
  ULONG context_switches, thread_state, wait_reason;
};

/// SYSTEM_PROCESS_INFORMATION; the threads follow it.
struct ProcessInformation {
  ULONG next_entry_offset, number_of_threads;
  char unused[72];
  HANDLE process, parent;
  ULONG handle_count;
  char unused_too[156];
};
static_assert(sizeof(void *) != 8 || sizeof(ThreadInformation) == 80, "as the system lays it out");
static_assert(sizeof(void *) != 8 || (sizeof(ProcessInformation) == 256 && offsetof(ProcessInformation, process) == 80),
              "as the system lays it out");

enum : ULONG { kSystemProcessInformation = 5 };
enum : LONG { kInfoLengthMismatch = static_cast<LONG>(0xC0000004) };
enum : ULONG { kStateWaiting = 5 };
// KWAIT_REASON (wdm.h): what a thread waits for that waits neither for a device nor for an object. By alert wait those
// for SRW locks, condition variables and critical sections.
enum : ULONG {
  kDelayExecution = 4,
  kSuspended = 5,
  kWrDelayExecution = 11,
  kWrSuspended = 12,
  kWrAlertByThreadId = 37
};

template <typename Function>
Function NtdllFunction(const char *name) {
  const FARPROC found = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), name);
  Function function;
  static_assert(sizeof function == sizeof found, "");
  memcpy(&function, &found, sizeof function);
  return function;
}

/// The answer of NtQuerySystemInformation(SystemProcessInformation); empty if there is none.
std::vector<char> QueryProcesses() {
  using Query = LONG(WINAPI *)(ULONG, void *, ULONG, ULONG *);
  static const Query query = NtdllFunction<Query>("NtQuerySystemInformation");
  std::vector<char> answer(size_t{256} << 10);
  for (int attempt = 0; query != nullptr && attempt < 8; attempt++) {
    ULONG length = 0;
    const LONG status = query(kSystemProcessInformation, answer.data(), static_cast<ULONG>(answer.size()), &length);
    if (status >= 0) return answer;
    if (status != kInfoLengthMismatch) break;
    answer.resize(answer.size() * 2);
  }
  return {};
}

/// The threads of a process.
std::vector<ThreadInformation> Threads(int64_t pid) {
  const std::vector<char> answer = QueryProcesses();
  std::vector<ThreadInformation> threads;
  for (size_t at = 0; at + sizeof(ProcessInformation) <= answer.size();) {
    ProcessInformation process;
    memcpy(&process, answer.data() + at, sizeof process);
    if (reinterpret_cast<intptr_t>(process.process) == pid) {
      threads.resize(process.number_of_threads);
      memcpy(threads.data(), answer.data() + at + sizeof process, threads.size() * sizeof(ThreadInformation));
      return threads;
    }
    if (process.next_entry_offset == 0) break;
    at += process.next_entry_offset;
  }
  return threads;
}

ThreadState StateOf(const ThreadInformation &thread) {
  ThreadState state;
  const ULONG reason = thread.wait_reason;
  const bool waiting = thread.thread_state == kStateWaiting;
  state.known = true;
  state.stopped = waiting && (reason == kSuspended || reason == kWrSuspended);
  state.sleeping = waiting && !state.stopped;
  state.waits_elsewhere = waiting && (reason == kDelayExecution || reason == kWrDelayExecution);
  state.counters = std::to_string(thread.context_switches) + " ";
  return state;
}

ThreadState StateOfAll(const std::vector<ThreadInformation> &threads) {
  std::vector<ThreadState> states;
  for (const ThreadInformation &thread : threads) states.push_back(StateOf(thread));
  return Together(states);
}

// --------------------------------------------------------------------------------------------------------------- Wine

bool OnWine() {
  static const bool wine = GetProcAddress(GetModuleHandleW(L"ntdll.dll"), "wine_get_version") != nullptr;
  return wine;
}

const std::string kProc = "\\\\?\\unix\\proc\\";

/// A small file of /proc, whole; empty if it cannot be read.
std::string ReadProc(const std::string &path) {
  constexpr DWORD kShare = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  Handle file(CreateFileW(Wide(kProc + path).c_str(), GENERIC_READ, kShare, nullptr, OPEN_EXISTING, 0, nullptr));
  char buffer[16384];
  DWORD got = 0;
  if (!file || !ReadFile(file.get(), buffer, sizeof buffer, &got, nullptr)) return "";
  return std::string(buffer, got);
}

std::vector<std::string> NumbersIn(const std::string &directory) {
  std::vector<std::string> numbers;
  WIN32_FIND_DATAW entry;
  HANDLE search = FindFirstFileW(Wide(kProc + directory + "*").c_str(), &entry);
  if (search == INVALID_HANDLE_VALUE) return numbers;
  do {
    if (entry.cFileName[0] >= L'1' && entry.cFileName[0] <= L'9') numbers.push_back(Narrow(entry.cFileName));
  } while (FindNextFileW(search, &entry));
  FindClose(search);
  return numbers;
}

/// Whether a process of Linux has the prefix, and so the wineserver and the numbers of threads, that this one has.
bool HasOurPrefix(const std::string &linux_pid) {
  static const std::string ours = [] {
    wchar_t value[4096];
    const DWORD length = GetEnvironmentVariableW(L"WINEPREFIX", value, 4096);
    return length > 0 && length < 4096 ? "WINEPREFIX=" + Narrow(std::wstring(value, length)) + '\0' : std::string();
  }();
  const std::string environment = '\0' + ReadProc(linux_pid + "\\environ");
  const size_t at = environment.find(std::string(1, '\0') + "WINEPREFIX=");
  if (at == std::string::npos || ours.empty()) return at == std::string::npos && ours.empty() && environment.size() > 1;
  return environment.compare(at + 1, ours.size(), ours) == 0;
}

std::string NameOf(int64_t tid) { return "cts-" + std::to_string(tid) + "\n"; }

/// The thread that the name of a thread of Linux tells of; 0 if it tells of none.
int64_t ThreadNamedBy(const std::string &name) {
  const int64_t tid = name.compare(0, 4, "cts-") == 0 ? atoll(name.c_str() + 4) : 0;
  return name == NameOf(tid) ? tid : 0;
}

/// Where Linux shows the threads of a process, and one of them that has a name of its own.
struct Place {
  std::string tasks;   // a directory in /proc
  std::string number;  // in it, of the thread
  int64_t tid = 0;     // 0: no place
};

/// The place of one process of Linux, if it may be that of a process with the threads `tids`: how many of them it has
/// names of, and of how many others.
Place PlaceIn(const std::string &linux_pid, const std::set<int64_t> &tids, size_t *ours, size_t *others) {
  Place place;
  place.tasks = linux_pid + "\\task\\";
  std::set<int64_t> named;
  for (const std::string &number : NumbersIn(place.tasks)) {
    const int64_t tid = ThreadNamedBy(ReadProc(place.tasks + number + "\\comm"));
    if (tid != 0) named.insert(tid);
    if (tids.count(tid) == 0 || place.tid != 0) continue;
    place.tid = tid;
    place.number = number;
  }
  const auto is_ours = [&](int64_t tid) { return tids.count(tid) != 0; };
  *ours = static_cast<size_t>(std::count_if(named.begin(), named.end(), is_ours));
  *others = named.size() - *ours;
  return place;
}

/// Where Linux shows the threads of process `pid`. A thread has the name of the one that made it until it is given its
/// own, and keeps it when that has ended and another process has a thread with its id: so of several processes with
/// such a name it is the one with the most names of threads that `pid` has, and the fewest others.
Place PlaceOf(int64_t pid) {
  static std::map<int64_t, Place> known;
  std::set<int64_t> tids;
  for (const ThreadInformation &thread : Threads(pid)) tids.insert(reinterpret_cast<intptr_t>(thread.thread));
  Place &place = known[pid];
  // Without a search, which takes longer than what tries again at intervals sleeps: two looks must fit between two
  // tries.
  const std::string name = place.tid == 0 ? "" : ReadProc(place.tasks + place.number + "\\comm");
  if (tids.count(place.tid) != 0 && name == NameOf(place.tid)) return place;
  place = Place();
  size_t most = 0, fewest = 0;
  for (const std::string &linux_pid : NumbersIn("")) {
    if (!HasOurPrefix(linux_pid)) continue;
    size_t ours, others;
    Place found = PlaceIn(linux_pid, tids, &ours, &others);
    if (ours < most || ours == 0 || (ours == most && others >= fewest)) continue;
    most = ours;
    fewest = others;
    place = std::move(found);
  }
  return place;
}

/// The directory in /proc of the Linux thread of thread `tid` of a process that is at `place`; empty if it has none.
std::string TaskOf(const Place &place, int64_t tid) {
  if (place.tid == tid) return place.tasks + place.number + "\\";
  for (const std::string &number : NumbersIn(place.tasks)) {
    if (ReadProc(place.tasks + number + "\\comm") == NameOf(tid)) return place.tasks + number + "\\";
  }
  return "";
}

/// Has the wineserver serve whatever was asked of it before this call. It takes requests one after another, in the
/// order in which its poll finds them: a question of our own that has its answer may have been found in the same look,
/// and before; after a second one everything that was there at the first has been served.
void AwaitWineserver() {
  for (int i = 0; i < 2; i++) Handle(CreateEventW(nullptr, FALSE, FALSE, nullptr)).reset();
}

/// Whether a sleeping thread of Wine is in a call that waits for time to pass.
bool WaitsForTime(const std::string &task) {
  enum : long { kSelect = 23, kNanosleep = 35, kClockNanosleep = 230, kPselect = 270 };
  const std::string call = ReadProc(task + "syscall");
  // A kernel that does not say: nothing can be claimed.
  const long number = !call.empty() && call[0] >= '0' && call[0] <= '9' ? atol(call.c_str()) : kNanosleep;
  return number == kSelect || number == kPselect || number == kNanosleep || number == kClockNanosleep;
}

/// Counters that grow whenever the thread runs. The first file says nothing of a thread that has not run yet, and of
/// none where the kernel does not count there.
std::string CountersOf(const std::string &task) {
  const std::string counters = ReadProc(task + "schedstat");
  if (!counters.empty() && counters != "0 0 0\n") return counters;
  const std::string status = ReadProc(task + "status");
  const size_t at = status.find("voluntary_ctxt_switches");
  return at == std::string::npos ? "" : status.substr(at);
}

/// The state of a thread that was listed a moment ago. One that has ended since then did not sleep: the look is known
/// and proves nothing, as with a thread that runs.
ThreadState StateOfTask(const std::string &task) {
  ThreadState state;
  const std::string stat = ReadProc(task + "stat");
  const size_t command = stat.rfind(')');
  const char letter = command != std::string::npos && command + 2 < stat.size() ? stat[command + 2] : '\0';
  state.counters = letter == '\0' ? "" : CountersOf(task);
  state.known = letter == '\0' || !state.counters.empty() || ReadProc(task + "stat").empty();
  state.sleeping = letter == 'S' && !state.counters.empty();
  state.stopped = letter == 'T';
  return state;
}

/// All threads of a process of Linux, as one.
ThreadState StateOfTasks(const std::string &tasks) {
  std::vector<ThreadState> states;
  for (const std::string &number : NumbersIn(tasks)) states.push_back(StateOfTask(tasks + number + "\\"));
  return Together(states);
}

// A thread that sleeps on Wine may wait for the wineserver's answer to a short question. It has that answer, and so has
// run or can run, before the next look is taken.
ThreadState InspectOnWine(int64_t pid, int64_t tid) {
  const Place place = PlaceOf(pid);
  const std::string task = place.tid == 0 ? "" : TaskOf(place, tid);
  if (task.empty()) return ThreadState();
  AwaitWineserver();
  ThreadState state = StateOfTasks(place.tasks);
  state.waits_elsewhere = state.sleeping && WaitsForTime(task);
  return state;
}

ThreadState InspectAllOnWine(int64_t pid) {
  const Place place = PlaceOf(pid);
  if (place.tid == 0) return ThreadState();
  AwaitWineserver();
  return StateOfTasks(place.tasks);
}

}  // namespace

// What the system cannot be asked to give up (a write on a pipe) a library has a thread of its own carry, and waits for
// that: by a lock, or by an event, as it waits for a device. So a thread waits for the system only while every thread
// of its process sleeps.
ThreadState InspectThread(int64_t pid, int64_t tid) {
  if (OnWine()) return InspectOnWine(pid, tid);
  const std::vector<ThreadInformation> threads = Threads(pid);
  for (const ThreadInformation &thread : threads) {
    if (reinterpret_cast<intptr_t>(thread.thread) != tid) continue;
    ThreadState state = StateOfAll(threads);
    state.waits_elsewhere = StateOf(thread).waits_elsewhere;
    return state;
  }
  return ThreadState();
}

// Handles have no names that another process could ask for, so nothing is described. Wine 8.0 does not count them: what
// it answers here is the room in the process's table (32, 64, ...), GetProcessHandleCount is always 0, and the list of
// all handles (SystemExtendedHandleInformation) ends the wineserver with a segmentation fault when it is asked for
// while processes come and go. So there only threads and children are told.
Holdings HoldingsOf(int64_t pid, bool) {
  const std::vector<char> answer = QueryProcesses();
  Holdings holdings;
  for (size_t at = 0; at + sizeof(ProcessInformation) <= answer.size();) {
    ProcessInformation process;
    memcpy(&process, answer.data() + at, sizeof process);
    if (reinterpret_cast<intptr_t>(process.process) == pid) {
      holdings.known = true;
      holdings.counts[0] = OnWine() ? 0 : process.handle_count;
      holdings.counts[1] = process.number_of_threads;
    }
    if (reinterpret_cast<intptr_t>(process.parent) == pid) holdings.counts[2]++;
    if (process.next_entry_offset == 0) break;
    at += process.next_entry_offset;
  }
  return holdings;
}

ThreadState InspectProcess(int64_t pid) { return OnWine() ? InspectAllOnWine(pid) : StateOfAll(Threads(pid)); }

}  // namespace cts
