// What process_test starts: test_child WHAT [ARGUMENTS…]. Each WHAT is one way for a process to behave.
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#ifdef _WIN32
#include <winsock2.h>
// After it.
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <windows.h>
#else
#include <pthread.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#if defined(__linux__)
#include <sys/syscall.h>
#elif defined(__FreeBSD__)
#include <pthread_np.h>
#endif

extern char **environ;
#endif

namespace {

[[noreturn]] void Fail(const char *what) {
  fprintf(stderr, "test_child: %s\n", what);
  exit(99);
}

void Say(const std::string &text) {
  if (fwrite(text.data(), 1, text.size(), stdout) != text.size() || fflush(stdout) != 0) exit(98);
}

/// The next line without its LF; false at the end.
bool ReadLine(std::string *line) {
  line->clear();
  for (int c; (c = getchar()) != EOF;) {
    if (c == '\n') return true;
    line->push_back(static_cast<char>(c));
  }
  return false;
}

#ifdef _WIN32

int64_t ThreadId() {
  // As a peer does it, so that the runner finds the thread under Wine.
  const DWORD tid = GetCurrentThreadId();
  using SetDescription = HRESULT(WINAPI *)(HANDLE, PCWSTR);
  const FARPROC found = GetProcAddress(GetModuleHandleW(L"kernelbase.dll"), "SetThreadDescription");
  SetDescription set_description = nullptr;
  memcpy(&set_description, &found, sizeof found);
  if (set_description == nullptr) Fail("SetThreadDescription");
  set_description(GetCurrentThread(), (L"cts-" + std::to_wstring(tid)).c_str());
  return tid;
}

int64_t ProcessId() { return GetCurrentProcessId(); }

/// A call that the system answers at once.
void ShortCall() {
  HANDLE event = CreateEventW(nullptr, FALSE, FALSE, nullptr);
  if (event == nullptr || !CloseHandle(event)) Fail("CreateEvent");
}

/// Starts this program again, with the standard streams that this one has.
int64_t StartAgain(const char *self, const char *what) {
  wchar_t program[4096];
  GetModuleFileNameW(nullptr, program, 4096);
  std::wstring line = L"child " + std::wstring(what, what + strlen(what));
  STARTUPINFOW startup = {};
  startup.cb = sizeof startup;
  startup.dwFlags = STARTF_USESTDHANDLES;
  startup.hStdInput = GetStdHandle(STD_INPUT_HANDLE);
  startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
  startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
  PROCESS_INFORMATION started = {};
  if (!CreateProcessW(program, line.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr, &startup, &started))
    Fail(self);
  return started.dwProcessId;
}

/// Whether something is open that is inheritable and none of the standard streams. Handles are small multiples of 4.
bool HasMoreThanStandardStreams() {
  const HANDLE standard[] = {GetStdHandle(STD_INPUT_HANDLE), GetStdHandle(STD_OUTPUT_HANDLE),
                             GetStdHandle(STD_ERROR_HANDLE)};
  for (uintptr_t value = 4; value < 4096; value += 4) {
    HANDLE handle = reinterpret_cast<HANDLE>(value);
    DWORD flags = 0;
    if (!GetHandleInformation(handle, &flags) || GetFileType(handle) != FILE_TYPE_PIPE) continue;
    if (handle != standard[0] && handle != standard[1] && handle != standard[2]) return true;
  }
  return false;
}

/// Connects to a control socket and says what a child of a peer says first; `token` replaces the right one.
void Connect(const std::string &address, const std::string &token) {
  WSADATA data;
  const size_t colon = address.find(':', 9);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<u_short>(atoi(address.c_str() + 9)));
  if (address.compare(0, 9, "loopback:") != 0 || WSAStartup(MAKEWORD(2, 2), &data) != 0) Fail("address");
  SOCKET s = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(s, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0) Fail("connect");
  const std::string first = (token.empty() ? address.substr(colon + 1) : token) + "\n";
  send(s, first.data(), static_cast<int>(first.size()), 0);
  const std::string pid = std::to_string(ProcessId()) + "\n";
  send(s, pid.data(), static_cast<int>(pid.size()), 0);
  char bytes[64];
  for (int got; (got = recv(s, bytes, sizeof bytes, 0)) > 0;) send(s, bytes, got, 0);
}

#else

int64_t ThreadId() {
#if defined(__linux__)
  return syscall(SYS_gettid);
#elif defined(__APPLE__)
  uint64_t id = 0;
  pthread_threadid_np(nullptr, &id);
  return static_cast<int64_t>(id);
#elif defined(__FreeBSD__)
  return pthread_getthreadid_np();
#endif
}

int64_t ProcessId() { return getpid(); }

void ShortCall() {
  char byte;
  if (pread(0, &byte, 1, 0) >= 0) Fail("standard input is no pipe");
}

int64_t StartAgain(const char *self, const char *what) {
  std::string program = self, argument = what;
  char *argv[] = {&program[0], &argument[0], nullptr};
  pid_t pid;
  if (posix_spawn(&pid, self, nullptr, nullptr, argv, environ) != 0) Fail(self);
  return pid;
}

bool HasMoreThanStandardStreams() {
  for (int fd = 3; fd < 1024; fd++) {
    if (lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF) return true;
  }
  return false;
}

void Connect(const std::string &address, const std::string &token) {
  if (!token.empty()) return;  // who it is shows by itself here
  sockaddr_un to = {};
  to.sun_family = AF_UNIX;
  memcpy(to.sun_path, address.data(), address.size());
  int s = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(s, reinterpret_cast<sockaddr *>(&to), sizeof to) != 0) Fail("connect");
  const std::string pid = std::to_string(ProcessId()) + "\n";
  if (write(s, pid.data(), pid.size()) < 0) Fail("write");
  char bytes[64];
  for (ssize_t got; (got = read(s, bytes, sizeof bytes)) > 0;) {
    if (write(s, bytes, static_cast<size_t>(got)) != got) Fail("write");
  }
}

#endif

/// Lines come back.
int Echo() {
  for (std::string line; ReadLine(&line);) Say(line + "\n");
  return 0;
}

void ShortCalls(int count) {
  for (; count > 0; count--) ShortCall();
}

/// For each number that comes: `begun`, so many short calls, `done`, and back to waiting for the next. `carried`:
/// another thread makes the calls, and this one waits for it.
int Work(bool carried) {
  std::mutex mutex;
  std::condition_variable changed;
  int count = 0;
  bool over = false;
  std::thread carrier([&] {
    std::unique_lock<std::mutex> lock(mutex);
    for (;;) {
      changed.wait(lock, [&] { return count > 0 || over; });
      if (over) return;
      lock.unlock();
      ShortCalls(count);
      lock.lock();
      count = 0;
      changed.notify_all();
    }
  });
  Say(std::to_string(ThreadId()) + "\n");
  for (std::string line; ReadLine(&line);) {
    Say("begun\n");
    const int calls = atoi(line.c_str());
    std::unique_lock<std::mutex> lock(mutex);
    if (carried) {
      count = calls;
      changed.notify_all();
      changed.wait(lock, [&] { return count == 0; });
    } else {
      ShortCalls(calls);
    }
    Say("done\n");
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    over = true;
  }
  changed.notify_all();
  carrier.join();
  return 0;
}

/// Waits for the end of its input, while another thread starts threads that end at once.
int Churn() {
  std::atomic<bool> over{false};
  std::thread starter([&] {
    while (!over) std::thread([] {}).join();
  });
  Say(std::to_string(ThreadId()) + "\n");
  for (std::string line; ReadLine(&line);) continue;
  over = true;
  starter.join();
  return 0;
}

/// Waits, and reads nothing.
int Stay() {
  for (;;) {
#ifdef _WIN32
    WaitForSingleObject(GetCurrentProcess(), INFINITE);  // for its own end
#else
    pause();
#endif
  }
}

/// Goes on after its input has ended.
int WaitForever() {
  for (int c; (c = getchar()) != EOF;) continue;
  return Stay();
}

}  // namespace

int main(int argc, char **argv) {
#ifdef _WIN32
  _setmode(_fileno(stdin), _O_BINARY);
  _setmode(_fileno(stdout), _O_BINARY);
#endif
  const std::string what = argc > 1 ? argv[1] : "";
  const std::string argument = argc > 2 ? argv[2] : "", second = argc > 3 ? argv[3] : "";
  if (what == "echo") return Echo();
  if (what == "work" || what == "carried") return Work(what == "carried");
  if (what == "churn") return Churn();
  if (what == "wait") return WaitForever();
  if (what == "stay") return Stay();
  if (what == "spin") {
    for (volatile unsigned turns = 0;; turns = turns + 1) continue;
  }
  if (what == "exit") return atoi(argument.c_str());
  if (what == "crash") {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would make an exit status of it
    // Not the null pointer, which a sanitizer looks for: another address where nothing is.
    const volatile char *nowhere = reinterpret_cast<const volatile char *>(uintptr_t{1});
    return *nowhere;
  }
  if (what == "arguments") {
    for (int i = 2; i < argc; i++) Say(std::to_string(strlen(argv[i])) + " " + argv[i] + "\n");
    return 0;
  }
  if (what == "variable") {
    const char *value = getenv(argument.c_str());
    Say(value == nullptr ? "none\n" : std::string(value) + "\n");
    return 0;
  }
  if (what == "handles") {
    Say(HasMoreThanStandardStreams() ? "more\n" : "three\n");
    return 0;
  }
  if (what == "flood") {
    const std::string part(65536, 'x');
    for (int i = 0; i < 64; i++) {
      Say(part);
      fwrite(part.data(), 1, part.size(), stderr);
    }
    return 0;
  }
  if (what == "tree" || what == "orphan") {
    Say(std::to_string(StartAgain(argv[0], "wait")) + "\n");
    return what == "tree" ? WaitForever() : 0;
  }
  if (what == "grow") {  // for each line: one more of that
    std::thread exchanged;
    std::promise<void> end;
    for (std::string line; ReadLine(&line);) {
      if (line == "exchange") {  // the thread that did this before ends, another one starts a process
        if (exchanged.joinable()) {
          end.set_value();
          exchanged.join();
        }
        end = std::promise<void>();
        std::promise<void> started;
        exchanged = std::thread([&] {
          StartAgain(argv[0], "stay");
          started.set_value();
          end.get_future().wait();
        });
        started.get_future().wait();
      }
      if (line == "thread") std::thread(Stay).detach();
      if (line == "child") StartAgain(argv[0], "stay");
      Say(line + "\n");
    }
    _Exit(0);  // of a process with threads
  }
  if (what == "connect") {
    if (!second.empty()) Connect(argument, second);
    Connect(argument, "");
    return 0;
  }
  return 97;
}
