// process.h - one peer process and its three streams. Implemented once an operating system (posix/, windows/process.cc;
// what threads do: inspect.cc of linux/, darwin/, freebsd/, windows/); process.cc is for all.
//
// A process is killed with everything it started. Nothing here waits longer than it is told to.
#ifndef CONFORMANCE_SUPPORT_PROCESS_H
#define CONFORMANCE_SUPPORT_PROCESS_H

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace cts {

/// How a process ended.
struct Exit {
  bool by_signal = false;
  int64_t code = 0;   // exit status or signal number
  bool known = true;  // false: only its parent knows
  /// For people: "exit status 3", "signal 11 (Segmentation fault)", "exception 0xC0000005 (access violation)".
  std::string describe() const;
};

/// A child process with pipes to its standard streams, or a process of another's with a socket instead of them.
class Process {
 public:
  /// Starts `command` in directory `cwd` with exactly `environment`, in a process group (Windows: job) of its own;
  /// nothing but the three pipes is inherited. nullptr with a sentence in `error` if it cannot be started.
  static std::unique_ptr<Process> Start(const std::vector<std::string> &command,
                                        const std::map<std::string, std::string> &environment, const std::string &cwd,
                                        std::string *error);
  virtual ~Process() = default;  // kills what is left

  virtual int64_t pid() const = 0;

  /// Appends to what waits to be written to standard input. Never blocks.
  virtual void Write(const std::string &bytes) = 0;
  /// Ends standard input once everything is written.
  virtual void CloseInput() = 0;

  /// Bytes that arrived on standard output; whoever consumes them erases them. At a mebibyte reading stops until then.
  virtual std::string &output() = 0;
  /// Standard output has ended and `output` holds all there will be.
  virtual bool ended() const = 0;

  /// The process itself has ended, even if something it started still holds its output.
  virtual bool exited() = 0;

  /// The last 64 KiB of standard error.
  virtual const std::string &errors() const = 0;

  /// Waits at most `timeout_ms` for the process to end by itself.
  virtual bool Wait(int timeout_ms, Exit *exit) = 0;
  /// Kills it and everything it started, and reaps it.
  virtual void Kill() = 0;
};

/// A stream socket on which one process that another started opens its channel (spec/peer_protocol.md, 1.7).
class ControlSocket {
 public:
  /// Listens: on Unix at `path`, which is removed with it, on Windows at a loopback port with a token of its own.
  /// nullptr with a sentence in `error` if that cannot be.
  static std::unique_ptr<ControlSocket> Open(const std::string &path, std::string *error);
  virtual ~ControlSocket() = default;
  /// What the child finds in CTS_CONTROL.
  virtual const std::string &address() const = 0;
  /// The next connection that is there, if it is of `pid` or of what that started (Unix: by its credentials, Windows:
  /// by the token it sends first); those of others are closed, and counted. Never waits. The process is not a child of
  /// this one: killing it leaves it to its parent to reap.
  virtual std::unique_ptr<Process> Accept(int64_t pid) = 0;
  virtual int strangers() const = 0;
};

/// When a process began, as the system measures it; empty if it has ended, reaped or not. Tells it from another that
/// has its number later.
std::string Beginning(int64_t pid);

/// Moves bytes of all `processes` both ways until something arrived or ended, or `timeout_ms` passed (0: only what is
/// there now). Reading all while waiting for one keeps peers from blocking on replies that nobody takes.
void PumpAll(const std::vector<Process *> &processes, int timeout_ms);

/// Once, before the first process: what peers leave behind when they die can be found, and no peer's death is a signal,
/// or a dialog, here.
void PrepareForPeers();
/// Kills and reaps processes that no Process owns and whose parent has died: what peers left behind. Returns how many
/// there were.
int KillOrphans();

/// Variables of this process that peers get (spec/peer_protocol.md, 8.1), in UTF-8.
std::map<std::string, std::string> InheritedEnvironment();

/// Milliseconds on a clock that never goes back.
int64_t NowMs();
/// Microseconds on the same clock.
int64_t NowUs();

/// How a thread, or every thread of a process, stands: for telling "it waits in the kernel" from "it runs".
struct ThreadState {
  bool known = false;            // this kernel shows it
  bool sleeping = false;         // in an interruptible wait
  bool stopped = false;          // by a signal
  bool waits_elsewhere = false;  // for another thread or for time to pass, not for what the operation is about
  std::string counters;          // grow whenever it runs
};

/// Threads as one: known, sleeping or stopped if every one is, whatever for; not known if there are none.
ThreadState Together(const std::vector<ThreadState> &threads);

/// State of one thread.
ThreadState InspectThread(int64_t pid, int64_t tid);
/// All threads of a process together.
ThreadState InspectProcess(int64_t pid);

/// Whether `pid` is `ancestor` or was started by it, through however many others.
bool IsDescendant(int64_t pid, int64_t ancestor);

/// Whether any system gives processes numbers as high as `pid`.
bool IsProcessId(uint64_t pid);
/// Whether `target` is a process that this one has started, or with `group` the group that such a process leads.
bool IsOurs(int64_t target, bool group);

/// Memory that a process holds in fact, in bytes; 0 if this system does not show it.
uint64_t ResidentBytes(int64_t pid);

/// Makes every process that is started from now on run about `factor` times slower than alone: a process of this one
/// that never waits takes its core (each core that this process may use) from it, by a higher priority. False if this
/// system cannot, or this process has so low a priority itself that none is low enough below it.
bool SlowProcesses(int factor);
/// Ends what SlowProcesses started.
void EndSlowing();

/// What a process has that a library can leak, by its number or name, each with what it is where that was asked for.
using Held = std::map<std::string, std::string>;

/// What a process holds, as the system shows it from outside.
struct Holdings {
  static constexpr size_t kKinds = 3;
  static const char *const kNames[kKinds];  // what records call them: descriptors, threads, children
  bool known = false;                       // this system shows it
  std::array<uint64_t, kKinds> counts{};
  std::array<Held, kKinds> held;  // if asked for, and shown

  /// Whether it is more of some kind than `before`.
  bool MoreThan(const Holdings &before) const;
};

/// What process `pid` holds: its descriptors (Windows: handles), threads, and child processes; with `described` what
/// each is.
Holdings HoldingsOf(int64_t pid, bool described);

/// Lets the other processes of this core run, at most a millisecond.
void LetOthersRun();

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_PROCESS_H
