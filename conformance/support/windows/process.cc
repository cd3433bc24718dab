// Processes on Windows: a job for each, so that its whole tree dies with it, and pipes that are overlapped on this
// side, so that reading never waits for one while another has something to say. What threads do is in inspect.cc.
#include "conformance/support/process.h"

// Before windows.h, which otherwise brings an older one.
#include <winsock2.h>
// After it.
#include <psapi.h>
#include <tlhelp32.h>
#include <ws2tcpip.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <set>

#include "conformance/support/windows/handle.h"
#include "conformance/support/windows/text.h"

namespace cts {
namespace {

constexpr size_t kOutputMax = size_t{1} << 20;
constexpr size_t kErrorsMax = size_t{64} << 10;
constexpr DWORD kPipeBytes = 65536;
constexpr UINT kKilled = 1;  // exit code of what is killed; nobody asks for it

/// 128 random bits, in hexadecimal.
std::string Token() {
  std::random_device random;
  std::string token;
  for (int i = 0; i < 32; i++) token += "0123456789abcdef"[random() % 16];
  return token;
}

// ------------------------------------------------------------------------------------------------ bytes both ways

/// What overlapped calls go to: the end of a pipe, or a socket.
class Endpoint {
 public:
  explicit Endpoint(HANDLE pipe) : handle_(pipe) {}
  explicit Endpoint(SOCKET socket) : handle_(reinterpret_cast<HANDLE>(socket)), is_socket_(true) {}
  ~Endpoint() {
    if (is_socket_) {
      closesocket(socket());
    } else if (handle_ != INVALID_HANDLE_VALUE) {
      CloseHandle(handle_);
    }
  }
  Endpoint(const Endpoint &) = delete;
  Endpoint &operator=(const Endpoint &) = delete;
  bool valid() const { return handle_ != INVALID_HANDLE_VALUE; }
  HANDLE handle() const { return handle_; }
  bool is_socket() const { return is_socket_; }
  SOCKET socket() const { return reinterpret_cast<SOCKET>(handle_); }

 private:
  HANDLE handle_;
  bool is_socket_ = false;
};

/// One overlapped call at a time on an endpoint. It is cancelled and over before the endpoint or the buffer goes.
class Transfer {
 public:
  Transfer() : event_(CreateEventW(nullptr, TRUE, FALSE, nullptr)) {}
  ~Transfer() { Close(); }
  Transfer(const Transfer &) = delete;
  Transfer &operator=(const Transfer &) = delete;

  void Open(std::shared_ptr<Endpoint> endpoint) { endpoint_ = std::move(endpoint); }
  void Close() {
    if (under_way_) {
      DWORD ignored;
      CancelIoEx(endpoint_->handle(), &overlapped_);
      GetOverlappedResult(endpoint_->handle(), &overlapped_, &ignored, TRUE);
      under_way_ = false;
    }
    endpoint_.reset();
  }
  bool open() const { return endpoint_ != nullptr; }
  /// The event that the call under way will set; nullptr if there is none.
  HANDLE event() const { return under_way_ ? event_.get() : nullptr; }

 protected:
  /// Starts a read or write; false if the other end has gone.
  bool Start(char *into, const char *from, size_t length) {
    overlapped_ = OVERLAPPED{};
    overlapped_.hEvent = event_.get();
    const DWORD count = static_cast<DWORD>(std::min<size_t>(length, kPipeBytes));
    const BOOL done = into != nullptr ? ReadFile(endpoint_->handle(), into, count, nullptr, &overlapped_)
                                      : WriteFile(endpoint_->handle(), from, count, nullptr, &overlapped_);
    under_way_ = done || GetLastError() == ERROR_IO_PENDING;
    return under_way_;
  }
  bool under_way() const { return under_way_; }
  /// Whether the call under way has ended; then false in `ok` if it failed, and how many bytes it moved.
  bool Ended(bool *ok, DWORD *count) {
    if (!HasOverlappedIoCompleted(&overlapped_)) return false;
    *ok = GetOverlappedResult(endpoint_->handle(), &overlapped_, count, FALSE) != 0;
    under_way_ = false;
    return true;
  }
  const Endpoint &endpoint() const { return *endpoint_; }

 private:
  std::shared_ptr<Endpoint> endpoint_;
  Handle event_;
  OVERLAPPED overlapped_ = {};
  bool under_way_ = false;
};

class Incoming : public Transfer {
 public:
  ~Incoming() { Close(); }

  /// Takes what has arrived while `into` is shorter than `most`; true if something did, or it has ended.
  bool Move(std::string *into, size_t most) {
    bool moved = false;
    while (open()) {
      if (!under_way()) {
        if (into->size() >= most) break;
        if (!Start(buffer_, nullptr, sizeof buffer_)) {
          Close();
          return true;
        }
      }
      bool ok;
      DWORD count = 0;
      if (!Ended(&ok, &count)) break;
      moved = true;
      into->append(buffer_, count);
      // A byte pipe also delivers writes of no bytes; on a socket that is the end.
      if (!ok || (count == 0 && endpoint().is_socket())) Close();
    }
    return moved;
  }

 private:
  char buffer_[kPipeBytes];
};

class Outgoing : public Transfer {
 public:
  ~Outgoing() { Close(); }

  void Write(const std::string &bytes) {
    waiting_ += bytes;
    Move();
  }
  void Finish() {
    finishing_ = true;
    Move();
  }

  /// Writes what can be written without waiting; true if the other end took something or has gone.
  bool Move() {
    bool moved = false;
    while (open()) {
      if (!under_way() && flying_.empty()) {
        if (waiting_.empty()) break;
        flying_.swap(waiting_);
      }
      if (!under_way() && !Start(nullptr, flying_.data(), flying_.size())) {
        Drop();
        return true;
      }
      bool ok;
      DWORD count = 0;
      if (!Ended(&ok, &count)) break;
      moved = true;
      flying_.erase(0, count);
      if (!ok) Drop();
    }
    if (open() && finishing_ && !under_way()) {
      if (endpoint().is_socket()) shutdown(endpoint().socket(), SD_SEND);
      Close();
    }
    return moved;
  }

 private:
  /// The peer has gone; its output tells.
  void Drop() {
    waiting_.clear();
    flying_.clear();
    Close();
  }

  std::string waiting_, flying_;  // `flying_` must not move while a call is under way
  bool finishing_ = false;
};

// --------------------------------------------------------------------------------------------------- starting

/// One pipe: our end, overlapped, and the child's, which can be inherited.
bool MakePipe(bool child_reads, std::shared_ptr<Endpoint> *ours, Handle *theirs) {
  const std::wstring name = LR"(\\.\pipe\cts-runner-)" + Wide(Token());
  const DWORD direction = child_reads ? PIPE_ACCESS_OUTBOUND : PIPE_ACCESS_INBOUND;
  *ours = std::make_shared<Endpoint>(
      CreateNamedPipeW(name.c_str(), direction | FILE_FLAG_OVERLAPPED | FILE_FLAG_FIRST_PIPE_INSTANCE,
                       PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, 1, kPipeBytes, kPipeBytes, 0, nullptr));
  SECURITY_ATTRIBUTES inheritable = {sizeof inheritable, nullptr, TRUE};
  if ((*ours)->valid())
    theirs->reset(CreateFileW(name.c_str(), child_reads ? GENERIC_READ : GENERIC_WRITE, 0, &inheritable, OPEN_EXISTING,
                              0, nullptr));
  return static_cast<bool>(*theirs);
}

/// An argument so that CommandLineToArgvW and the C run-time give it back: backslashes count double before a quote.
std::wstring Quoted(const std::wstring &argument) {
  if (!argument.empty() && argument.find_first_of(L" \t\n\v\"") == std::wstring::npos) return argument;
  std::wstring quoted = L"\"";
  size_t backslashes = 0;
  for (wchar_t c : argument) {
    if (c == L'"') quoted.append(backslashes + 1, L'\\');
    backslashes = c == L'\\' ? backslashes + 1 : 0;
    quoted.push_back(c);
  }
  quoted.append(backslashes, L'\\');
  return quoted + L'"';
}

std::wstring CommandLine(const std::vector<std::string> &command) {
  std::wstring line;
  for (const std::string &argument : command) line += (line.empty() ? L"" : L" ") + Quoted(Wide(argument));
  return line;
}

/// The block that CreateProcessW takes: sorted without case, each ended by NUL, and another NUL behind the last.
std::wstring EnvironmentBlock(const std::map<std::string, std::string> &environment) {
  std::vector<std::wstring> variables;
  for (const auto &entry : environment) variables.push_back(Wide(entry.first + "=" + entry.second));
  std::sort(variables.begin(), variables.end(), [](const std::wstring &a, const std::wstring &b) {
    return CompareStringOrdinal(a.c_str(), -1, b.c_str(), -1, TRUE) == CSTR_LESS_THAN;
  });
  std::wstring block;
  for (const std::wstring &variable : variables) block += variable + L'\0';
  return block + (variables.empty() ? std::wstring(2, L'\0') : std::wstring(1, L'\0'));
}

/// The program that `name` means: with a directory in it that file, else looked up in `path`; `.exe` may be left out.
std::wstring FindProgram(const std::string &name, const std::string &path) {
  const std::wstring wide = Wide(name), directories = Wide(path);
  const bool has_directory = name.find_first_of("/\\:") != std::string::npos;
  wchar_t found[32768];
  const DWORD length =
      SearchPathW(has_directory ? nullptr : directories.c_str(), wide.c_str(), L".exe", 32768, found, nullptr);
  return length > 0 && length < 32768 ? std::wstring(found, length) : wide;
}

/// A list of attributes for CreateProcessW that says which handles are inherited.
class InheritedHandles {
 public:
  explicit InheritedHandles(std::vector<HANDLE> handles) : handles_(std::move(handles)) {
    SIZE_T size = 0;
    InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
    memory_.resize(size);
    initialized_ = InitializeProcThreadAttributeList(list(), 1, 0, &size) != 0;
    valid_ = initialized_ && UpdateProcThreadAttribute(list(), 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles_.data(),
                                                       handles_.size() * sizeof(HANDLE), nullptr, nullptr);
  }
  ~InheritedHandles() {
    if (initialized_) DeleteProcThreadAttributeList(list());
  }
  InheritedHandles(const InheritedHandles &) = delete;
  InheritedHandles &operator=(const InheritedHandles &) = delete;
  bool valid() const { return valid_; }
  LPPROC_THREAD_ATTRIBUTE_LIST list() { return reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(memory_.data()); }

 private:
  std::vector<HANDLE> handles_;
  std::vector<char> memory_;
  bool initialized_ = false, valid_ = false;
};

class WindowsProcess;

std::set<WindowsProcess *> &Owned() {
  static std::set<WindowsProcess *> owned;
  return owned;
}

/// Every process there is: its number and its parent's.
std::map<DWORD, DWORD> Parents() {
  std::map<DWORD, DWORD> parents;
  Handle snapshot(CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0));
  PROCESSENTRY32W entry = {};
  entry.dwSize = sizeof entry;
  if (!snapshot) return parents;
  for (BOOL more = Process32FirstW(snapshot.get(), &entry); more; more = Process32NextW(snapshot.get(), &entry))
    parents[entry.th32ProcessID] = entry.th32ParentProcessID;
  return parents;
}

HANDLE OpenById(int64_t pid, DWORD access) { return OpenProcess(access, FALSE, static_cast<DWORD>(pid)); }

void Terminate(DWORD pid) {
  Handle process(OpenById(pid, PROCESS_TERMINATE | SYNCHRONIZE));
  if (process && TerminateProcess(process.get(), kKilled)) WaitForSingleObject(process.get(), INFINITE);
}

class WindowsProcess : public Process {
 public:
  ~WindowsProcess() override { Kill(); }

  bool Spawn(const std::vector<std::string> &command, const std::map<std::string, std::string> &environment,
             const std::string &cwd, std::string *error) {
    std::shared_ptr<Endpoint> in, out, err;
    Handle child_in, child_out, child_err;
    if (!MakePipe(true, &in, &child_in) || !MakePipe(false, &out, &child_out) || !MakePipe(false, &err, &child_err)) {
      *error = "no pipe for a peer: " + SystemError(GetLastError());
      return false;
    }
    in_.Open(in);
    out_.Open(out);
    err_.Open(err);
    InheritedHandles inherited({child_in.get(), child_out.get(), child_err.get()});
    job_.reset(CreateJobObjectW(nullptr, nullptr));
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (!inherited.valid() || !job_ ||
        !SetInformationJobObject(job_.get(), JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
      *error = "no job for a peer: " + SystemError(GetLastError());
      return false;
    }
    auto path = environment.find("PATH");
    const std::wstring program = FindProgram(command[0], path == environment.end() ? "" : path->second);
    std::wstring line = CommandLine(command), block = EnvironmentBlock(environment);
    STARTUPINFOEXW startup = {};
    startup.StartupInfo.cb = sizeof startup;
    startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    startup.StartupInfo.hStdInput = child_in.get();
    startup.StartupInfo.hStdOutput = child_out.get();
    startup.StartupInfo.hStdError = child_err.get();
    startup.lpAttributeList = inherited.list();
    PROCESS_INFORMATION started = {};
    // Suspended until it is in its job, so that nothing it starts can be outside.
    constexpr DWORD kFlags = CREATE_SUSPENDED | CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT |
                             DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP;
    if (!CreateProcessW(program.c_str(), line.data(), nullptr, nullptr, TRUE, kFlags, block.data(), Wide(cwd).c_str(),
                        &startup.StartupInfo, &started)) {
      *error = "cannot run " + command[0] + ": " + SystemError(GetLastError());
      return false;
    }
    process_.reset(started.hProcess);
    Handle thread(started.hThread);
    pid_ = started.dwProcessId;
    Owned().insert(this);
    if (!AssignProcessToJobObject(job_.get(), process_.get()) || ResumeThread(thread.get()) == static_cast<DWORD>(-1)) {
      *error = "cannot put a peer into its job: " + SystemError(GetLastError());
      TerminateProcess(process_.get(), kKilled);
      return false;
    }
    return true;
  }

  /// Takes over a process that another started, and the socket to it. False: it has ended already.
  bool Attach(SOCKET socket, int64_t pid) {
    auto both = std::make_shared<Endpoint>(socket);
    in_.Open(both);
    out_.Open(both);
    process_.reset(OpenById(pid, SYNCHRONIZE | PROCESS_TERMINATE | PROCESS_QUERY_LIMITED_INFORMATION));
    pid_ = pid;
    attached_ = true;
    return static_cast<bool>(process_);
  }

  int64_t pid() const override { return pid_; }
  std::string &output() override { return output_; }
  bool ended() const override { return !out_.open(); }
  const std::string &errors() const override { return errors_; }
  void Write(const std::string &bytes) override { in_.Write(bytes); }
  void CloseInput() override { in_.Finish(); }

  bool exited() override { return !process_ || WaitForSingleObject(process_.get(), 0) == WAIT_OBJECT_0; }

  bool Wait(int timeout_ms, Exit *exit) override {
    const int64_t deadline = NowMs() + timeout_ms;
    while (!exited()) {
      if (NowMs() >= deadline) return false;
      PumpAll({this}, 1);
      if (ended()) LetOthersRun();
    }
    DWORD code = 0;
    exit->known = !attached_ && process_ && GetExitCodeProcess(process_.get(), &code);
    exit->code = static_cast<int64_t>(code);
    return true;
  }

  void Kill() override {
    Owned().erase(this);
    if (process_ && attached_) {
      for (const auto &entry : Parents()) {
        if (IsDescendant(entry.first, pid_)) Terminate(entry.first);
      }
    } else if (process_) {
      TerminateJobObject(job_.get(), kKilled);
      TerminateProcess(process_.get(), kKilled);  // if it is in no job
      WaitForSingleObject(process_.get(), INFINITE);
      AwaitEmptyJob();
    }
    in_.Close();
    out_.Close();
    err_.Close();
    job_.reset();
    process_.reset();
    pid_ = -1;
  }

  /// Whether the process `pid` is this one or was started by it, through however many others.
  bool Contains(int64_t pid) const {
    if (pid == pid_) return true;
    Handle process(OpenById(pid, PROCESS_QUERY_LIMITED_INFORMATION));
    BOOL contained = FALSE;
    return process && IsProcessInJob(process.get(), job_.get(), &contained) && contained;
  }

  /// The processes of its job that live.
  std::vector<DWORD> Members() const {
    struct {
      JOBOBJECT_BASIC_PROCESS_ID_LIST list;
      ULONG_PTR more[255];
    } members = {};
    std::vector<DWORD> pids;
    QueryInformationJobObject(job_.get(), JobObjectBasicProcessIdList, &members, sizeof members, nullptr);
    const ULONG_PTR *const first = members.list.ProcessIdList;
    for (DWORD i = 0; i < members.list.NumberOfProcessIdsInList; i++) pids.push_back(static_cast<DWORD>(first[i]));
    return pids;
  }

  /// Events of calls under way.
  void Interest(std::vector<HANDLE> *events) const {
    for (HANDLE event : {out_.event(), err_.event(), in_.event()}) {
      if (event != nullptr) events->push_back(event);
    }
  }

  bool Move() {
    const bool wrote = in_.Move();
    const bool read = out_.Move(&output_, kOutputMax);
    const bool said = err_.Move(&errors_, errors_.size() + kErrorsMax);
    if (errors_.size() > kErrorsMax) errors_.erase(0, errors_.size() - kErrorsMax);
    return wrote || read || said;
  }

 private:
  /// Terminated processes leave the job one by one.
  void AwaitEmptyJob() const {
    JOBOBJECT_BASIC_ACCOUNTING_INFORMATION accounting = {};
    while (QueryInformationJobObject(job_.get(), JobObjectBasicAccountingInformation, &accounting, sizeof accounting,
                                     nullptr) &&
           accounting.ActiveProcesses > 0)
      LetOthersRun();
  }

  Handle process_, job_;
  int64_t pid_ = -1;
  bool attached_ = false;
  Outgoing in_;
  Incoming out_, err_;
  std::string output_, errors_;
};

// ------------------------------------------------------------------------------------------------ control sockets

/// A connection that has not said the whole token yet.
struct Caller {
  SOCKET socket;
  std::string said;
};

class WindowsControlSocket : public ControlSocket {
 public:
  ~WindowsControlSocket() override {
    for (const Caller &caller : callers_) closesocket(caller.socket);
    if (listener_ != INVALID_SOCKET) closesocket(listener_);
  }

  bool Listen(std::string *error) {
    static const int started = [] {
      WSADATA data;
      return WSAStartup(MAKEWORD(2, 2), &data);
    }();
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int length = sizeof address;
    u_long nonblocking = 1;
    const BOOL exclusive = TRUE;
    listener_ = started == 0 ? socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) : INVALID_SOCKET;
    const bool listens = listener_ != INVALID_SOCKET &&
                         setsockopt(listener_, SOL_SOCKET, SO_EXCLUSIVEADDRUSE,
                                    reinterpret_cast<const char *>(&exclusive), sizeof exclusive) == 0 &&
                         bind(listener_, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0 &&
                         listen(listener_, 8) == 0 &&
                         getsockname(listener_, reinterpret_cast<sockaddr *>(&address), &length) == 0 &&
                         ioctlsocket(listener_, static_cast<long>(FIONBIO), &nonblocking) == 0;
    if (!listens) *error = "cannot listen on a loopback port: " + SystemError(static_cast<DWORD>(WSAGetLastError()));
    token_ = Token();
    address_ = "loopback:" + std::to_string(ntohs(address.sin_port)) + ":" + token_;
    token_ += "\n";
    return listens;
  }

  const std::string &address() const override { return address_; }
  int strangers() const override { return strangers_; }

  std::unique_ptr<Process> Accept(int64_t pid) override {
    SOCKET caller;
    u_long nonblocking = 1;
    while ((caller = accept(listener_, nullptr, nullptr)) != INVALID_SOCKET) {
      ioctlsocket(caller, static_cast<long>(FIONBIO), &nonblocking);
      callers_.push_back(Caller{caller, ""});
    }
    for (size_t i = 0; i < callers_.size();) {
      const bool wrong = !Hear(&callers_[i]);
      if (!wrong && callers_[i].said != token_) {
        i++;
        continue;
      }
      const SOCKET socket = callers_[i].socket;
      callers_.erase(callers_.begin() + static_cast<std::ptrdiff_t>(i));
      auto process = std::make_unique<WindowsProcess>();
      if (!wrong && process->Attach(socket, pid)) return process;
      if (wrong) closesocket(socket);
      strangers_++;
    }
    return nullptr;
  }

 private:
  /// Takes no byte behind the token. False: what it says is not the token, or it says no more.
  bool Hear(Caller *caller) {
    char bytes[64];
    const int wanted = static_cast<int>(token_.size() - caller->said.size());
    const int got = recv(caller->socket, bytes, wanted, 0);
    if (got < 0) return WSAGetLastError() == WSAEWOULDBLOCK;
    caller->said.append(bytes, static_cast<size_t>(got));
    return got > 0 && token_.compare(0, caller->said.size(), caller->said) == 0;
  }

  SOCKET listener_ = INVALID_SOCKET;
  std::string token_, address_;
  std::vector<Caller> callers_;
  int strangers_ = 0;
};

/// Ends this process, and with it every peer, once the harness that started it has ended. (Under Wine it has no parent
/// that it could see, and dies with its wineserver.)
void EndWithParent() {
  static const HANDLE parent = [] {
    const std::map<DWORD, DWORD> parents = Parents();
    auto found = parents.find(GetCurrentProcessId());
    return found == parents.end() || found->second == 0 ? nullptr : OpenById(found->second, SYNCHRONIZE);
  }();
  if (parent != nullptr && WaitForSingleObject(parent, 0) == WAIT_OBJECT_0) ExitProcess(2);
}

const char *ExceptionName(uint32_t code) {
  switch (code) {
    case 0x80000003:
      return " (breakpoint)";
    case 0xC0000005:
      return " (access violation)";
    case 0xC000001D:
      return " (illegal instruction)";
    case 0xC0000094:
      return " (integer division by zero)";
    case 0xC00000FD:
      return " (stack overflow)";
    case 0xC0000135:
      return " (a DLL is missing)";
    case 0xC0000139:
      return " (a DLL lacks a function)";
    case 0xC000013A:
      return " (ended from the console)";
    case 0xC0000374:
      return " (heap corrupted)";
    case 0xC0000409:
      return " (fast failure: abort, or a stack overrun)";
    default:
      return "";
  }
}

}  // namespace

std::unique_ptr<ControlSocket> ControlSocket::Open(const std::string &, std::string *error) {
  auto control = std::make_unique<WindowsControlSocket>();
  if (!control->Listen(error)) return nullptr;
  return control;
}

std::string Exit::describe() const {
  if (!known) return "what only its parent knows";
  // The system ends a process with the status of the exception that it does not handle: an error, or a warning.
  if (code < 0x80000000) return "exit status " + std::to_string(code);
  char text[32];
  snprintf(text, sizeof text, "exception 0x%08X", static_cast<unsigned>(code));
  return text + std::string(ExceptionName(static_cast<uint32_t>(code)));
}

std::unique_ptr<Process> Process::Start(const std::vector<std::string> &command,
                                        const std::map<std::string, std::string> &environment, const std::string &cwd,
                                        std::string *error) {
  auto process = std::make_unique<WindowsProcess>();
  if (!process->Spawn(command, environment, cwd, error)) return nullptr;
  return process;
}

void PumpAll(const std::vector<Process *> &processes, int timeout_ms) {
  EndWithParent();
  std::vector<HANDLE> events;
  bool moved = false;
  for (Process *process : processes) moved = static_cast<WindowsProcess *>(process)->Move() || moved;
  if (moved || timeout_ms == 0) return;
  for (Process *process : processes) static_cast<WindowsProcess *>(process)->Interest(&events);
  if (events.empty()) {  // everything has ended: there is nothing to wait for
    LetOthersRun();
    return;
  }
  // The system waits for at most 64 at a time; of the others one hears a little later.
  const bool all = events.size() <= MAXIMUM_WAIT_OBJECTS;
  const DWORD count = static_cast<DWORD>(all ? events.size() : MAXIMUM_WAIT_OBJECTS);
  WaitForMultipleObjects(count, events.data(), FALSE, static_cast<DWORD>(all ? timeout_ms : std::min(timeout_ms, 10)));
  for (Process *process : processes) static_cast<WindowsProcess *>(process)->Move();
}

bool SlowProcesses(int factor) { return factor <= 1; }  // no priority takes a core from another here and under Wine

void EndSlowing() {}

void PrepareForPeers() {
  // What crashes ends at once instead of asking somebody at the screen; peers inherit this.
  SetErrorMode(SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX);
}

std::map<std::string, std::string> InheritedEnvironment() {
  // Without SystemRoot there are no sockets.
  static const char *const names[] = {"PATH", "HOME", "LANG", "SystemRoot", "TEMP", "TMP", "USERNAME", "USERPROFILE"};
  std::map<std::string, std::string> kept;
  wchar_t *const block = GetEnvironmentStringsW();
  for (const wchar_t *entry = block; entry != nullptr && *entry != L'\0'; entry += wcslen(entry) + 1) {
    const std::string variable = Narrow(entry);
    const std::string name = variable.substr(0, variable.find('=', 1));  // some begin with `=`: cmd.exe's own
    const auto same = [&](const char *wanted) { return _stricmp(wanted, name.c_str()) == 0; };
    if (name.size() >= variable.size()) continue;
    const auto found = std::find_if(std::begin(names), std::end(names), same);
    if (found != std::end(names)) kept[*found] = variable.substr(name.size() + 1);
    if (name.compare(0, 4, "CTS_") == 0) kept[name] = variable.substr(name.size() + 1);
  }
  if (block != nullptr) FreeEnvironmentStringsW(block);
  return kept;
}

bool IsDescendant(int64_t pid, int64_t ancestor) {
  for (const WindowsProcess *owned : Owned()) {
    if (ancestor == owned->pid() || ancestor == static_cast<int64_t>(GetCurrentProcessId())) {
      if (owned->Contains(pid)) return true;
    }
  }
  const std::map<DWORD, DWORD> parents = Parents();
  for (int depth = 0; depth < 64 && pid > 0; depth++) {
    if (pid == ancestor) return true;
    auto found = parents.find(static_cast<DWORD>(pid));
    if (found == parents.end()) return false;
    // The number of a parent that has ended may be another's by now, which then is younger.
    const std::string child = Beginning(pid), parent = Beginning(found->second);
    if (parent.empty() || parent > child) return false;
    pid = found->second;
  }
  return false;
}

bool IsOurs(int64_t target, bool group) {
  return !group && target != static_cast<int64_t>(GetCurrentProcessId()) && IsDescendant(target, GetCurrentProcessId());
}

int KillOrphans() {
  int killed = 0;
  for (const WindowsProcess *owned : Owned()) {
    for (DWORD pid : owned->Members()) {
      if (pid == owned->pid()) continue;
      const std::map<DWORD, DWORD> parents = Parents();
      auto parent = parents.find(pid);
      if (parent == parents.end() || !Beginning(parent->second).empty()) continue;
      Terminate(pid);
      killed++;
    }
  }
  return killed;
}

bool IsProcessId(uint64_t pid) { return pid < uint64_t{1} << 32; }

std::string Beginning(int64_t pid) {
  Handle process(OpenById(pid, SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION));
  FILETIME created, exited, kernel, user;
  if (!process || WaitForSingleObject(process.get(), 0) == WAIT_OBJECT_0) return "";
  if (!GetProcessTimes(process.get(), &created, &exited, &kernel, &user)) return "";
  char text[24];  // of one length, so that texts compare as times do
  snprintf(text, sizeof text, "%08lx%08lx", created.dwHighDateTime, created.dwLowDateTime);
  return text;
}

uint64_t ResidentBytes(int64_t pid) {
  Handle process(OpenById(pid, PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ));
  PROCESS_MEMORY_COUNTERS counters = {};
  counters.cb = sizeof counters;
  if (!process || !GetProcessMemoryInfo(process.get(), &counters, sizeof counters)) return 0;
  return counters.WorkingSetSize;
}

int64_t NowUs() {
  static const int64_t frequency = [] {
    LARGE_INTEGER value;
    QueryPerformanceFrequency(&value);
    return static_cast<int64_t>(value.QuadPart);
  }();
  LARGE_INTEGER now;
  QueryPerformanceCounter(&now);
  const int64_t ticks = now.QuadPart;
  return ticks / frequency * 1000000 + ticks % frequency * 1000000 / frequency;
}

int64_t NowMs() { return NowUs() / 1000; }

void LetOthersRun() {
  SwitchToThread();
  WaitForSingleObject(GetCurrentProcess(), 1);
}

}  // namespace cts
