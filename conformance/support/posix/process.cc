// Processes on Unix: fork, exec, poll. What each system has of its own (subreaper, /proc) is in its inspect.cc.
#include "conformance/support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <set>

#include "conformance/support/posix/descriptor.h"
#include "conformance/support/posix/orphans.h"

extern char **environ;  // POSIX has programs declare it

namespace cts {
namespace {

constexpr size_t kOutputMax = size_t{1} << 20;
constexpr size_t kErrorsMax = size_t{64} << 10;
constexpr int kPriorityMax = 19;  // the greatest nice value, which is the lowest priority

int g_priority = 0;              // the nice value of what is started
std::vector<pid_t> g_occupants;  // what takes the cores from it (SlowProcesses)

std::set<pid_t> &Owned() {
  static std::set<pid_t> owned;
  return owned;
}

bool MakePipe(Descriptor *read_end, Descriptor *write_end) {
  int fds[2];
  if (pipe(fds) != 0) return false;
  for (int fd : fds) fcntl(fd, F_SETFD, FD_CLOEXEC);
  read_end->reset(fds[0]);
  write_end->reset(fds[1]);
  return true;
}

/// In the child: never returns. Reports errno of what failed through `report`.
[[noreturn]] void Exec(char *const *argv, char *const *envp, const char *program, const char *cwd, int in, int out,
                       int err, int report, int priority) {
  setpgid(0, 0);
  DieWithParent();
  if (priority != 0) setpriority(PRIO_PROCESS, 0, priority);
  if (dup2(in, 0) == 0 && dup2(out, 1) == 1 && dup2(err, 2) == 2 && dup2(report, 3) == 3 && chdir(cwd) == 0) {
    fcntl(3, F_SETFD, FD_CLOEXEC);
    CloseFrom(4);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    signal(SIGPIPE, SIG_DFL);
    umask(027);  // one that shows: what depends on it is seen whatever the user's is
    execve(program, argv, envp);
    report = 3;
  }
  int error = errno;
  ssize_t ignored = write(report, &error, sizeof error);
  (void)ignored;
  _exit(127);
}

/// The file that `name` means, looked up in `path` as a shell does.
std::string FindProgram(const std::string &name, const std::string &path) {
  if (name.find('/') != std::string::npos) {
    char resolved[4096];
    return realpath(name.c_str(), resolved) != nullptr ? resolved : name;
  }
  size_t begin = 0;
  while (begin <= path.size()) {
    size_t end = std::min(path.find(':', begin), path.size());
    std::string candidate = path.substr(begin, end - begin) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return name;
}

std::vector<char *> Pointers(std::vector<std::string> &strings) {
  std::vector<char *> pointers;
  for (std::string &s : strings) pointers.push_back(&s[0]);
  pointers.push_back(nullptr);
  return pointers;
}

class PosixProcess : public Process {
 public:
  ~PosixProcess() override { Kill(); }

  bool Spawn(std::vector<std::string> command, const std::map<std::string, std::string> &environment,
             const std::string &cwd, std::string *error) {
    Descriptor child_in, child_out, child_err, report_read, report_write;
    if (!MakePipe(&child_in, &input_) || !MakePipe(&output_fd_, &child_out) || !MakePipe(&error_fd_, &child_err) ||
        !MakePipe(&report_read, &report_write)) {
      *error = std::string("no pipe for a peer: ") + strerror(errno);
      return false;
    }
    for (const Descriptor *fd : {&input_, &output_fd_, &error_fd_}) fcntl(fd->get(), F_SETFL, O_NONBLOCK);
    auto path = environment.find("PATH");
    std::string program = FindProgram(command[0], path == environment.end() ? "/usr/bin:/bin" : path->second);
    std::vector<std::string> variables;
    for (const auto &entry : environment) variables.push_back(entry.first + "=" + entry.second);
    std::vector<char *> argv = Pointers(command), envp = Pointers(variables);
    // The report end must be above 3, or the dup2 calls of the child would overwrite each other's sources.
    int report = fcntl(report_write.get(), F_DUPFD_CLOEXEC, 10);
    int in = fcntl(child_in.get(), F_DUPFD_CLOEXEC, 10), out = fcntl(child_out.get(), F_DUPFD_CLOEXEC, 10);
    int err = fcntl(child_err.get(), F_DUPFD_CLOEXEC, 10);
    pid_ = fork();
    if (pid_ == 0) Exec(argv.data(), envp.data(), program.c_str(), cwd.c_str(), in, out, err, report, g_priority);
    for (int fd : {report, in, out, err}) close(fd);
    report_write.reset();
    if (pid_ < 0) {
      *error = std::string("cannot start a process: ") + strerror(errno);
      return false;
    }
    setpgid(pid_, pid_);
    Owned().insert(pid_);
    int failure = 0;
    ssize_t got;
    while ((got = read(report_read.get(), &failure, sizeof failure)) < 0 && errno == EINTR) {
    }
    if (got == static_cast<ssize_t>(sizeof failure)) {
      *error = "cannot run " + command[0] + ": " + strerror(failure);
      return false;
    }
    return true;
  }

  /// Takes over a process that another started, and the socket to it. False: it has ended already.
  bool Attach(int fd, pid_t pid) {
    output_fd_.reset(fd);
    input_.reset(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    fcntl(fd, F_SETFL, O_NONBLOCK);
    pid_ = pid;
    beginning_ = Beginning(pid);
    return !beginning_.empty() && input_.get() >= 0;
  }

  int64_t pid() const override { return pid_; }
  std::string &output() override { return out_; }
  bool ended() const override { return output_fd_.get() < 0; }
  bool exited() override { return attached() ? Beginning(pid_) != beginning_ : Reap(WNOHANG); }
  const std::string &errors() const override { return errors_; }

  void Write(const std::string &bytes) override {
    pending_ += bytes;
    Flush();
  }

  void CloseInput() override {
    closing_ = true;
    Flush();
  }

  bool Wait(int timeout_ms, Exit *exit) override {
    int64_t deadline = NowMs() + timeout_ms;
    for (int attempt = 0; !exited(); attempt++) {
      if (NowMs() >= deadline) return false;
      PumpAll({this}, 1);
      // An end is near once the output has ended: on one core it has come when the process has run.
      if (ended() && attempt < 8) sched_yield();
      if (ended() && attempt >= 8) LetOthersRun();
    }
    *exit = exit_;
    exit->known = !attached();
    return true;
  }

  void Kill() override {
    if (pid_ <= 1) return;
    if (attached()) {
      KillAttached();
      return;
    }
    if (!reaped_) {
      kill(-pid_, SIGKILL);
      kill(pid_, SIGKILL);
      Reap(0);
    }
    kill(-pid_, SIGKILL);  // members of the group that outlived it
    Owned().erase(pid_);
    KillOrphans();
    pid_ = -1;
  }

  /// Has nothing to do with the process any more: it is another's.
  void Leave() { pid_ = -1; }

  /// What to wait for; entries with fd -1 are ignored by poll.
  void Interest(std::vector<pollfd> *fds) const {
    bool read_more = out_.size() < kOutputMax;
    fds->push_back({read_more ? output_fd_.get() : -1, POLLIN, 0});
    fds->push_back({error_fd_.get(), POLLIN, 0});
    fds->push_back({pending_.empty() ? -1 : input_.get(), POLLOUT, 0});
  }

  void Move(const pollfd *fds) {
    if (fds[0].revents != 0) Drain(&output_fd_, &out_, kOutputMax);
    if (fds[1].revents != 0) {
      Drain(&error_fd_, &errors_, errors_.size() + kErrorsMax);
      if (errors_.size() > kErrorsMax) errors_.erase(0, errors_.size() - kErrorsMax);
    }
    if (fds[2].revents != 0) Flush();
  }

 private:
  bool attached() const { return !beginning_.empty(); }

  /// Its parent reaps it, or this process does after the parent's death: KillOrphans.
  void KillAttached() {
    while (!exited()) {
      if (getpgid(pid_) == pid_) kill(-pid_, SIGKILL);
      kill(pid_, SIGKILL);
      LetOthersRun();
    }
    pid_ = -1;
  }

  static void Drain(Descriptor *fd, std::string *into, size_t most) {
    char buffer[65536];
    while (fd->get() >= 0 && into->size() < most) {
      ssize_t got = read(fd->get(), buffer, sizeof buffer);
      if (got > 0) {
        into->append(buffer, static_cast<size_t>(got));
        if (static_cast<size_t>(got) < sizeof buffer) return;
      } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        fd->reset();
      } else if (errno == EAGAIN) {
        return;
      }
    }
  }

  void Flush() {
    while (!pending_.empty() && input_.get() >= 0) {
      ssize_t put = write(input_.get(), pending_.data(), pending_.size());
      if (put > 0) {
        pending_.erase(0, static_cast<size_t>(put));
      } else if (errno == EAGAIN) {
        return;
      } else if (errno != EINTR) {
        pending_.clear();  // the peer has gone; its output tells
        input_.reset();
      }
    }
    if (!closing_ || !pending_.empty()) return;
    if (attached()) shutdown(input_.get(), SHUT_WR);  // the socket has two directions, and a copy that reads
    input_.reset();
  }

  bool Reap(int flags) {
    if (reaped_) return true;
    int status = 0;
    pid_t got;
    while ((got = waitpid(pid_, &status, flags)) < 0 && errno == EINTR) {
    }
    if (got == 0) return false;
    reaped_ = true;
    exit_.by_signal = WIFSIGNALED(status);
    exit_.code = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  }

  pid_t pid_ = -1;
  Descriptor input_, output_fd_, error_fd_;
  std::string pending_, out_, errors_;
  bool closing_ = false, reaped_ = false;
  Exit exit_;
  std::string beginning_;  // of a process that another started
};

class PosixControlSocket : public ControlSocket {
 public:
  ~PosixControlSocket() override {
    if (!path_.empty()) unlink(path_.c_str());
  }

  bool Listen(const std::string &path, std::string *error) {
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    *error = "the path " + path + " is too long for a socket";
    if (path.size() >= sizeof address.sun_path) return false;
    memcpy(address.sun_path, path.c_str(), path.size());
    fd_.reset(socket(AF_UNIX, SOCK_STREAM, 0));
    fcntl(fd_.get(), F_SETFD, FD_CLOEXEC);
    fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
    const bool bound = bind(fd_.get(), reinterpret_cast<sockaddr *>(&address), sizeof address) == 0;
    if (bound) path_ = path;
    *error = "cannot listen at " + path + ": " + strerror(errno);
    return bound && listen(fd_.get(), 8) == 0;
  }

  std::unique_ptr<Process> Accept(int64_t pid) override {
    int fd;
    while ((fd = accept(fd_.get(), nullptr, nullptr)) >= 0) {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
      const int64_t from = ConnectedPid(fd);
      auto process = std::make_unique<PosixProcess>();
      if (process->Attach(fd, static_cast<pid_t>(from)) && IsDescendant(from, pid)) return process;
      process->Leave();
      strangers_++;
    }
    return nullptr;
  }

  const std::string &address() const override { return path_; }
  int strangers() const override { return strangers_; }

 private:
  Descriptor fd_;
  std::string path_;
  int strangers_ = 0;
};

}  // namespace

std::unique_ptr<ControlSocket> ControlSocket::Open(const std::string &path, std::string *error) {
  auto control = std::make_unique<PosixControlSocket>();
  if (!control->Listen(path, error)) return nullptr;
  return control;
}

std::string Exit::describe() const {
  if (!known) return "what only its parent knows";
  if (!by_signal) return "exit status " + std::to_string(code);
  return "signal " + std::to_string(code) + " (" + strsignal(static_cast<int>(code)) + ")";
}

std::unique_ptr<Process> Process::Start(const std::vector<std::string> &command,
                                        const std::map<std::string, std::string> &environment, const std::string &cwd,
                                        std::string *error) {
  auto process = std::make_unique<PosixProcess>();
  if (!process->Spawn(command, environment, cwd, error)) return nullptr;
  return process;
}

void PumpAll(const std::vector<Process *> &processes, int timeout_ms) {
  static const pid_t parent = getppid();
  if (getppid() != parent) _exit(2);  // the harness was killed; peers end with this process, or as their input does
  std::vector<pollfd> fds;
  bool open = false;
  for (Process *process : processes) static_cast<PosixProcess *>(process)->Interest(&fds);
  for (const pollfd &fd : fds) open = open || fd.fd >= 0;
  if (!open && timeout_ms > 1) timeout_ms = 1;  // everything has ended: there is nothing to wait for
  if (poll(fds.data(), static_cast<nfds_t>(fds.size()), timeout_ms) <= 0) return;
  for (size_t i = 0; i < processes.size(); i++) static_cast<PosixProcess *>(processes[i])->Move(&fds[3 * i]);
}

bool IsDescendant(int64_t pid, int64_t ancestor) {
  for (int depth = 0; depth < 64 && pid > 1; depth++) {
    if (pid == ancestor) return true;
    pid = ParentOf(pid);
  }
  return false;
}

bool IsOurs(int64_t target, bool group) {
  if (target == getpid() || !IsDescendant(target, getpid())) return false;
  return !group || getpgid(static_cast<pid_t>(target)) == static_cast<pid_t>(target);
}

namespace {

/// Takes one core for ever. It stays there: two of them on one core would leave the other one free.
[[noreturn]] void Occupy(size_t core) {
  DieWithParent();
  CloseFrom(0);
  StayOnCore(core);
  volatile unsigned turns = 0;
  for (;;) turns = turns + 1;
}

}  // namespace

bool SlowProcesses(int factor) {
  if (factor <= 1) return true;
  // A step of the nice value is worth a quarter of a core's share (sched(7)): against one that never waits, a process
  // with 1/(factor-1) of its weight has 1/factor of the core. What runs at a low priority itself has few steps below
  // it.
  const int own = getpriority(PRIO_PROCESS, 0);
  const int wanted = own + static_cast<int>(std::ceil(std::log(factor - 1) / std::log(1.25)));
  if (own > 0 && wanted > kPriorityMax) return false;
  g_priority = std::min(kPriorityMax, wanted);
  const size_t cores = CoresUsable();
  for (size_t core = 0; core < cores; core++) {
    const pid_t pid = fork();
    if (pid == 0) Occupy(core);
    if (pid < 0) return false;
    Owned().insert(pid);
    g_occupants.push_back(pid);
  }
  return true;
}

void EndSlowing() {
  for (pid_t pid : g_occupants) {
    kill(pid, SIGKILL);
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
    Owned().erase(pid);
  }
  g_occupants.clear();
  g_priority = 0;
}

void PrepareForPeers() {
  signal(SIGPIPE, SIG_IGN);  // a peer that has gone is seen by its output
  AdoptOrphans();
}

std::map<std::string, std::string> InheritedEnvironment() {
  std::map<std::string, std::string> kept;
  for (const char *name : {"PATH", "HOME", "LANG", "TMPDIR", "USER"}) {
    const char *value = getenv(name);
    if (value != nullptr) kept.emplace(name, value);
  }
  for (char **entry = environ; *entry != nullptr; entry++) {
    const std::string variable = *entry;
    if (variable.compare(0, 4, "CTS_") != 0) continue;
    kept.emplace(variable.substr(0, variable.find('=')), variable.substr(variable.find('=') + 1));
  }
  return kept;
}

int KillOrphans() {
  int killed = 0;
  for (bool found = true; found;) {
    found = false;
    for (int64_t child : ChildrenBut(Owned())) {
      if (child <= 1) continue;
      kill(static_cast<pid_t>(child), SIGKILL);
      if (waitpid(static_cast<pid_t>(child), nullptr, 0) > 0) {
        killed++;
        found = true;
      }
    }
  }
  return killed;
}

int64_t NowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

int64_t NowMs() { return NowUs() / 1000; }

void LetOthersRun() {
  sched_yield();
  poll(nullptr, 0, 1);
}

}  // namespace cts
