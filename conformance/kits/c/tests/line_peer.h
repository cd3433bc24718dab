// line_peer.h - a peer process for tests: starts it, writes lines to it, reads its lines.
#ifndef CTS_KITS_C_TESTS_LINE_PEER_H
#define CTS_KITS_C_TESTS_LINE_PEER_H

#include <gtest/gtest.h>

#include <string>
#include <vector>

#ifdef _WIN32
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <condition_variable>
#include <mutex>
#include <thread>
#else
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

// What differs between systems: a child process with a pipe to its standard input and one from its standard output.
#ifdef _WIN32

class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string> &command) {
    HANDLE child_in, child_out;
    if (!CreatePipe(&child_in, &in_, nullptr, 0) || !CreatePipe(&out_, &child_out, nullptr, 0)) abort();
    SetHandleInformation(child_in, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    SetHandleInformation(child_out, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    STARTUPINFOW startup{};
    startup.cb = sizeof(startup);
    startup.dwFlags = STARTF_USESTDHANDLES;
    startup.hStdInput = child_in;
    startup.hStdOutput = child_out;
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    SetHandleInformation(startup.hStdError, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    std::wstring line;
    for (const std::string &word : command) line += (line.empty() ? L"\"" : L" \"") + wide(word) + L"\"";
    PROCESS_INFORMATION started{};
    if (CreateProcessW(nullptr, &line[0], nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &started)) {
      CloseHandle(started.hThread);
      process_ = started.hProcess;
      pid_ = started.dwProcessId;
    }
    CloseHandle(child_in);
    CloseHandle(child_out);
  }

  ~ChildProcess() {
    if (process_ != nullptr) TerminateProcess(process_, 1);
    close_in();
    if (reader_.joinable()) reader_.join();
    CloseHandle(out_);
    if (process_ != nullptr) CloseHandle(process_);
  }

  int pid() const { return static_cast<int>(pid_); }

  bool write_some(const char *data, size_t len, size_t *put) {
    DWORD written = 0;
    const bool ok = in_ != nullptr && WriteFile(in_, data, static_cast<DWORD>(len), &written, nullptr);
    *put = written;
    return ok && written > 0;
  }

  enum Got { BYTES, END, NOTHING };

  // Waits for output and appends it.
  Got read_some(std::string *out, int deadline_ms) {
    if (!reader_.joinable()) reader_ = std::thread([this] { read_on(); });
    std::unique_lock<std::mutex> lock(mutex_);
    auto ready = [this] { return !arrived_.empty() || ended_; };
    if (!changed_.wait_for(lock, std::chrono::milliseconds(deadline_ms), ready)) return NOTHING;
    if (arrived_.empty()) return END;
    *out += arrived_;
    arrived_.clear();
    return BYTES;
  }

  void close_in() {
    if (in_ != nullptr) CloseHandle(in_);
    in_ = nullptr;
  }

  // Waits for the process's end and returns its exit status.
  int wait() {
    DWORD code = static_cast<DWORD>(-1);
    if (process_ == nullptr) return -1;
    WaitForSingleObject(process_, INFINITE);
    GetExitCodeProcess(process_, &code);
    CloseHandle(process_);
    process_ = nullptr;
    return static_cast<int>(code);
  }

 private:
  static std::wstring wide(const std::string &text) {
    std::wstring out(text.size(), L'\0');
    out.resize(static_cast<size_t>(MultiByteToWideChar(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), &out[0],
                                                       static_cast<int>(out.size()))));
    return out;
  }

  // A pipe cannot be waited for: a thread reads it, from the first time that somebody wants to read.
  void read_on() {
    char bytes[65536];
    DWORD got = 0;
    while (ReadFile(out_, bytes, sizeof(bytes), &got, nullptr) && got > 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      arrived_.append(bytes, got);
      changed_.notify_all();
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  HANDLE process_ = nullptr, in_ = nullptr, out_ = nullptr;
  DWORD pid_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string arrived_;
  bool ended_ = false;
  std::thread reader_;
};

#else

class ChildProcess {
 public:
  explicit ChildProcess(std::vector<std::string> command) {
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0) abort();
    signal(SIGPIPE, SIG_IGN);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      dup2(out[1], 1);
      for (int fd : {in[0], in[1], out[0], out[1]}) close(fd);
      std::vector<char *> argv;
      for (std::string &word : command) argv.push_back(&word[0]);
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }

  ~ChildProcess() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close_in();
    close(out_);
  }

  int pid() const { return pid_; }

  bool write_some(const char *data, size_t len, size_t *put) {
    ssize_t written = write(in_, data, len);
    *put = written > 0 ? static_cast<size_t>(written) : 0;
    return written > 0;
  }

  enum Got { BYTES, END, NOTHING };

  // Waits for output and appends it.
  Got read_some(std::string *out, int deadline_ms) {
    char bytes[65536];
    pollfd ready = {out_, POLLIN, 0};
    if (poll(&ready, 1, deadline_ms) <= 0) return NOTHING;
    ssize_t got = read(out_, bytes, sizeof(bytes));
    if (got <= 0) return END;
    out->append(bytes, static_cast<size_t>(got));
    return BYTES;
  }

  void close_in() {
    if (in_ >= 0) close(in_);
    in_ = -1;
  }

  // Waits for the process's end and returns its exit status, or minus the signal that ended it.
  int wait() {
    int status = 0;
    if (pid_ < 0 || waitpid(pid_, &status, 0) != pid_) return -1000;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
};

#endif

// A running peer. Every wait for a line has a deadline, after which what was read so far is returned.
class LinePeer {
 public:
  static constexpr int kDeadlineMs = 10000;

  explicit LinePeer(const std::vector<std::string> &command) : child_(command) {}

  LinePeer(const LinePeer &) = delete;
  LinePeer &operator=(const LinePeer &) = delete;

  int pid() const { return child_.pid(); }

  void send_raw(const std::string &bytes) {
    for (size_t at = 0, put = 0; at < bytes.size(); at += put) {
      if (!child_.write_some(bytes.data() + at, bytes.size() - at, &put)) return;
    }
  }
  void send(const std::string &line) { send_raw(line + "\n"); }

  // The next line without its LF.
  std::string line() {
    size_t lf;
    while ((lf = read_.find('\n')) == std::string::npos) {
      const ChildProcess::Got got = child_.read_some(&read_, kDeadlineMs);
      if (got == ChildProcess::NOTHING) return "(nothing came) " + read_;
      if (got == ChildProcess::END) return "(the end) " + read_;
    }
    std::string result = read_.substr(0, lf);
    read_.erase(0, lf + 1);
    return result;
  }

  std::string ask(const std::string &request) {
    send(request);
    return line();
  }

  void close_in() { child_.close_in(); }

  // Ends standard input and returns the exit status: 0 is what the protocol asks for.
  int end() {
    close_in();
    while (child_.read_some(&read_, kDeadlineMs) == ChildProcess::BYTES)
      continue;  // a peer that ends closes its output
    return wait();
  }

  // Waits for the peer's end, and leaves what it wrote where it is.
  int wait() { return child_.wait(); }

 private:
  ChildProcess child_;
  std::string read_;
};

#endif  // CTS_KITS_C_TESTS_LINE_PEER_H
