// Files and bare named pipes on Windows. What only Unix has ends the case as unverifiable: such requirements say that
// they are not applicable here, so no case should come to it.
#include "conformance/support/host.h"

#include <windows.h>
// After it.
#include <psapi.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "conformance/support/peer.h"
#include "conformance/support/windows/handle.h"
#include "conformance/support/windows/text.h"

namespace cts {
namespace host {
namespace {

constexpr DWORD kLimitMs = 5000;  // a listener that never answers must not hold the runner

[[noreturn]] void Give(const std::string &what) {
  throw Abort{"failed", "", "the runner cannot " + what + ": " + SystemError(GetLastError())};
}

[[noreturn]] void UnixAlone(const char *what) {
  throw Abort{"unverifiable", "", std::string("the runner has no ") + what + " on Windows"};
}

HANDLE AsHandle(intptr_t value) { return reinterpret_cast<HANDLE>(value); }

/// Waits for an overlapped call on a pipe; false with the error set if it failed or did not end.
bool Finish(HANDLE pipe, BOOL done, OVERLAPPED *overlapped, DWORD *count) {
  if (!done && GetLastError() != ERROR_IO_PENDING) return false;
  if (WaitForSingleObject(overlapped->hEvent, kLimitMs) != WAIT_OBJECT_0) CancelIoEx(pipe, overlapped);
  return GetOverlappedResult(pipe, overlapped, count, TRUE) != 0;
}

std::set<std::string> g_made;

}  // namespace

std::set<std::string> TakeMade() { return std::exchange(g_made, {}); }

void MakeFile(const std::string &path, const std::string &contents) {
  g_made.insert(path);
  std::ofstream file(std::filesystem::path(Wide(path)), std::ios::binary);
  file << contents;
  file.close();
  if (!file) Give("write " + path);
}

std::string ReadFile(const std::string &path) {
  if (TypeOf(path) != "file") throw Abort{"failed", "", path + " should be a regular file, but is: " + TypeOf(path)};
  std::ifstream file(std::filesystem::path(Wide(path)), std::ios::binary);
  std::ostringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

void MakeLink(const std::string &, const std::string &) { UnixAlone("symbolic links"); }
void MakeFifo(const std::string &, unsigned) { UnixAlone("FIFOs"); }
void MakeStaleSocket(const std::string &) { UnixAlone("socket files"); }

void Rename(const std::string &from, const std::string &to) {
  g_made.insert(to);
  if (!MoveFileExW(Wide(from).c_str(), Wide(to).c_str(), 0)) Give("rename " + from);
}

std::string TypeOf(const std::string &path) {
  const DWORD attributes = GetFileAttributesW(Wide(path).c_str());
  if (attributes == INVALID_FILE_ATTRIBUTES) return "none";
  if ((attributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0) return "link";
  return (attributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)) != 0 ? "other" : "file";
}

unsigned ModeOf(const std::string &) { UnixAlone("permission bits"); }

std::vector<std::string> List(const std::string &directory) {
  std::vector<std::string> names;
  WIN32_FIND_DATAW entry;
  HANDLE search = FindFirstFileW(Wide(directory + "\\*").c_str(), &entry);
  if (search == INVALID_HANDLE_VALUE) Give("list " + directory);
  do {
    const std::string name = Narrow(entry.cFileName);
    if (name != "." && name != "..") names.push_back(name);
  } while (FindNextFileW(search, &entry));
  FindClose(search);
  std::sort(names.begin(), names.end());
  return names;
}

std::unique_ptr<BareListener> BareListener::TryMake(const std::string &path) {
  HANDLE pipe =
      CreateNamedPipeW(Wide(path).c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
                       PIPE_TYPE_BYTE | PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES, 4096, 4096, 0, nullptr);
  if (pipe == INVALID_HANDLE_VALUE) return nullptr;
  return std::unique_ptr<BareListener>(new BareListener(reinterpret_cast<intptr_t>(pipe), path));
}

BareListener::~BareListener() { CloseHandle(AsHandle(handle_)); }

BareClient::BareClient(const std::string &native, const std::string &type) {
  if (type != "stream") UnixAlone("sockets of messages");
  Peer::WriteHeld();
  const std::wstring name = Wide(native);
  const int64_t deadline = NowMs() + kLimitMs;
  HANDLE pipe;
  while ((pipe = CreateFileW(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, nullptr, OPEN_EXISTING,
                             FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, nullptr)) ==
         INVALID_HANDLE_VALUE) {
    const DWORD error = GetLastError();
    if (error != ERROR_PIPE_BUSY || NowMs() >= deadline)
      throw Abort{"failed", "server", "CreateFile on the listener's name: " + SystemError(error)};
    WaitNamedPipeW(name.c_str(), kLimitMs);
  }
  handle_ = reinterpret_cast<intptr_t>(pipe);
}

BareClient::~BareClient() { CloseHandle(AsHandle(handle_)); }

void BareClient::Write(const std::string &bytes) {
  Handle event(CreateEventW(nullptr, TRUE, FALSE, nullptr));
  OVERLAPPED overlapped = {};
  overlapped.hEvent = event.get();
  DWORD count = 0;
  const BOOL done = WriteFile(AsHandle(handle_), bytes.data(), static_cast<DWORD>(bytes.size()), nullptr, &overlapped);
  if (!Finish(AsHandle(handle_), done, &overlapped, &count) || count != bytes.size())
    Give("write to the listener's stream");
}

std::string BareClient::Read(size_t length) {
  Peer::WriteHeld();
  Handle event(CreateEventW(nullptr, TRUE, FALSE, nullptr));
  std::string bytes(length, '\0');
  size_t have = 0;
  while (have < length) {
    OVERLAPPED overlapped = {};
    overlapped.hEvent = event.get();
    DWORD count = 0;
    const BOOL done =
        ::ReadFile(AsHandle(handle_), &bytes[have], static_cast<DWORD>(length - have), nullptr, &overlapped);
    if (!Finish(AsHandle(handle_), done, &overlapped, &count)) {
      if (GetLastError() == ERROR_BROKEN_PIPE) break;
      Give("read from the listener's stream");
    }
    have += count;
  }
  bytes.resize(have);
  return bytes;
}

ForeignClient::ForeignClient(const std::string &, const std::string &) {
  throw Abort{"unverifiable", "", "the runner cannot act as another user on Windows"};
}
ForeignClient::~ForeignClient() = default;
std::string ForeignClient::Connect() { UnixAlone("client of another user"); }
std::string ForeignClient::Receive() { UnixAlone("client of another user"); }
void GiveAway(const std::string &) { UnixAlone("files of another user"); }

std::string DescriptorOf(int64_t, const std::string &) { UnixAlone("descriptors to look at"); }
std::vector<std::string> DescriptorsOf(int64_t, const std::string &) { UnixAlone("descriptors to look at"); }
std::vector<std::string> DescriptorsOf(int64_t) { UnixAlone("descriptors to look at"); }
bool IsCloseOnExec(int64_t, const std::string &) { UnixAlone("descriptors to look at"); }
std::string WorkingDirectory(int64_t) { UnixAlone("working directories of others to look at"); }

void KillProcess(int64_t pid) {
  if (!IsOurs(pid, false)) throw Abort{"failed", "", std::to_string(pid) + " is no peer's child"};
  Peer::WriteHeld();
  Handle process(OpenProcess(PROCESS_TERMINATE, FALSE, static_cast<DWORD>(pid)));
  if (!process || !TerminateProcess(process.get(), 1)) Give("end process " + std::to_string(pid));
}

void MakeDirectory(const std::string &path) {
  g_made.insert(path);
  if (!CreateDirectoryW(Wide(path).c_str(), nullptr)) Give("make the directory " + path);
}

void EnsureDirectory(const std::string &path) {
  if (!CreateDirectoryW(Wide(path).c_str(), nullptr) && GetLastError() != ERROR_ALREADY_EXISTS)
    Give("make the directory " + path);
}

std::string WhyNotWritable(const std::string &directory) {
  Handle opened(CreateFileW(Wide(directory).c_str(), FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY,
                            FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING,
                            FILE_FLAG_BACKUP_SEMANTICS, nullptr));
  if (!opened) return SystemError(GetLastError());
  const DWORD attributes = GetFileAttributesW(Wide(directory).c_str());
  return (attributes & FILE_ATTRIBUTE_DIRECTORY) != 0 ? "" : "it is a file";
}

void Remove(const std::string &path) {
  if (!DeleteFileW(Wide(path).c_str())) Give("remove " + path);
}

uint64_t PeakMemory(int64_t pid) {
  Handle process(OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, FALSE, static_cast<DWORD>(pid)));
  PROCESS_MEMORY_COUNTERS counters = {};
  counters.cb = sizeof counters;
  if (!process || !GetProcessMemoryInfo(process.get(), &counters, sizeof counters) || counters.PeakPagefileUsage == 0)
    throw Abort{"unverifiable", "", "the memory of process " + std::to_string(pid) + " cannot be seen"};
  return counters.PeakPagefileUsage;  // committed; what is only reserved costs nothing here
}

uint64_t ProcessId() { return GetCurrentProcessId(); }

std::string DescriptorsMessage(const std::vector<int32_t> &) { UnixAlone("control messages"); }
std::string CredentialsMessage(uint32_t, uint32_t, uint32_t) { UnixAlone("control messages"); }
std::string UnknownMessage(const std::string &) { UnixAlone("control messages"); }
size_t ControlHeaderLength() { UnixAlone("control messages"); }
std::string WithControlLength(std::string, uint64_t) { UnixAlone("control messages"); }
uint32_t UserId() { UnixAlone("numbers of users"); }
uint32_t GroupId() { UnixAlone("numbers of groups"); }

}  // namespace host
}  // namespace cts
