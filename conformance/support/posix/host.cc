// Files and bare sockets on Unix.
#include "conformance/support/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "conformance/support/peer.h"

namespace cts {
namespace host {
namespace {

[[noreturn]] void Give(const std::string &what) {
  throw Abort{"failed", "", "the runner cannot " + what + ": " + strerror(errno)};
}

/// An address of exactly the length that `native` has.
socklen_t Address(const std::string &native, sockaddr_un *address) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  if (native.empty() || native.size() > sizeof address->sun_path) {
    errno = ENAMETOOLONG;
    Give("use an address of " + std::to_string(native.size()) + " bytes");
  }
  memcpy(address->sun_path, native.data(), native.size());
  const bool nul = native[0] != '\0' && native.size() < sizeof address->sun_path;
  return static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + native.size() + (nul ? 1 : 0));
}

int TypeNamed(const std::string &type) { return type == "stream" ? SOCK_STREAM : SOCK_SEQPACKET; }

int Socket(int type = SOCK_STREAM) {
  int fd = socket(AF_UNIX, type, 0);
  if (fd < 0) Give("make a socket");
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

std::set<std::string> g_made;

}  // namespace

std::set<std::string> TakeMade() { return std::exchange(g_made, {}); }

void MakeFile(const std::string &path, const std::string &contents) {
  g_made.insert(path);
  std::ofstream file(path, std::ios::binary);
  file << contents;
  file.close();
  if (!file) Give("write " + path);
}

std::string ReadFile(const std::string &path) {
  if (TypeOf(path) != "file") throw Abort{"failed", "", path + " should be a regular file, but is: " + TypeOf(path)};
  std::ifstream file(path, std::ios::binary);
  std::ostringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

void MakeLink(const std::string &path, const std::string &target) {
  g_made.insert(path);
  if (symlink(target.c_str(), path.c_str()) != 0) Give("make a link at " + path);
}

void MakeFifo(const std::string &path, unsigned mode) {
  g_made.insert(path);
  if (mkfifo(path.c_str(), 0600) != 0 || chmod(path.c_str(), mode) != 0) Give("make a FIFO at " + path);
}

void MakeStaleSocket(const std::string &path) {
  g_made.insert(path);
  sockaddr_un address;
  socklen_t length = Address(path, &address);
  int fd = Socket();
  int failed = bind(fd, reinterpret_cast<sockaddr *>(&address), length);
  int error = errno;
  close(fd);
  errno = error;
  if (failed != 0) Give("bind " + path);
}

void Rename(const std::string &from, const std::string &to) {
  g_made.insert(to);
  if (rename(from.c_str(), to.c_str()) != 0) Give("rename " + from);
}

std::string TypeOf(const std::string &path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) return "none";
  if (S_ISREG(info.st_mode)) return "file";
  if (S_ISLNK(info.st_mode)) return "link";
  if (S_ISFIFO(info.st_mode)) return "fifo";
  return S_ISSOCK(info.st_mode) ? "socket" : "other";
}

unsigned ModeOf(const std::string &path) {
  struct stat info;
  if (lstat(path.c_str(), &info) != 0) Give("look at " + path);
  return info.st_mode & 07777;
}

std::vector<std::string> List(const std::string &directory) {
  DIR *dir = opendir(directory.c_str());
  if (dir == nullptr) Give("list " + directory);
  std::vector<std::string> names;
  while (dirent *entry = readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

std::unique_ptr<BareListener> BareListener::TryMake(const std::string &path) {
  sockaddr_un address;
  if (path.size() > sizeof address.sun_path) return nullptr;
  socklen_t length = Address(path, &address);
  int fd = Socket();
  if (bind(fd, reinterpret_cast<sockaddr *>(&address), length) == 0 && listen(fd, 8) == 0) {
    return std::unique_ptr<BareListener>(new BareListener(fd, path));
  }
  close(fd);
  return nullptr;
}

BareListener::~BareListener() {
  close(static_cast<int>(handle_));
  unlink(path_.c_str());
}

BareClient::BareClient(const std::string &native, const std::string &type) : handle_(Socket(TypeNamed(type))) {
  Peer::WriteHeld();
  const int fd = static_cast<int>(handle_);
  sockaddr_un address;
  socklen_t length = Address(native, &address);
  timeval limit{5, 0};  // a listener that never answers must not hold the runner
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, reinterpret_cast<sockaddr *>(&address), length) != 0) {
    int error = errno;
    close(fd);
    throw Abort{"failed", "server", std::string("connect(2) on the listener's address: ") + strerror(error)};
  }
}

BareClient::~BareClient() { close(static_cast<int>(handle_)); }

void BareClient::Write(const std::string &bytes) {
  if (send(static_cast<int>(handle_), bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    Give("write to the listener's stream");
}

std::string BareClient::Read(size_t length) {
  Peer::WriteHeld();
  std::string bytes(length, '\0');
  size_t have = 0;
  while (have < length) {
    ssize_t got = recv(static_cast<int>(handle_), &bytes[have], length - have, 0);
    if (got < 0) Give("read from the listener's stream");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

namespace {

/// A user that this process is not: nobody.
constexpr uid_t kForeignUser = 65534;

void NeedRoot() {
  if (geteuid() != 0) throw Abort{"unverifiable", "", "only root can act as another user"};
}

/// What the client of another user does: an int for connect, an int for the first receive.
[[noreturn]] void BeForeign(int answers, const sockaddr_un &address, socklen_t length, int type) {
  int answer = 0;
  int fd = socket(AF_UNIX, type, 0);
  timeval limit{10, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (setgid(kForeignUser) != 0 || setuid(kForeignUser) != 0) _exit(1);
  if (connect(fd, reinterpret_cast<const sockaddr *>(&address), length) != 0) answer = errno;
  if (write(answers, &answer, sizeof answer) != sizeof answer) _exit(1);
  char byte;
  ssize_t got = recv(fd, &byte, 1, 0);
  answer = got < 0 ? errno : got == 0 ? 0 : -1;
  _exit(write(answers, &answer, sizeof answer) == sizeof answer ? 0 : 1);
}

}  // namespace

ForeignClient::ForeignClient(const std::string &native, const std::string &type) {
  NeedRoot();
  sockaddr_un address;
  socklen_t length = Address(native, &address);
  int ends[2];
  if (pipe(ends) != 0) Give("make a pipe");
  pid_ = fork();
  if (pid_ < 0) Give("fork");
  if (pid_ == 0) BeForeign(ends[1], address, length, TypeNamed(type));
  close(ends[1]);
  answers_ = ends[0];
}

ForeignClient::~ForeignClient() {
  close(answers_);
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) continue;
}

int ForeignClient::Answer() {
  Peer::WriteHeld();
  int answer = 0;
  ssize_t got;
  do {
    got = read(answers_, &answer, sizeof answer);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof answer) throw Abort{"failed", "", "the client of another user ended early"};
  return answer;
}

std::string ForeignClient::Connect() {
  int answer = Answer();
  return answer == 0 ? "connected" : strerror(answer);
}

std::string ForeignClient::Receive() {
  int answer = Answer();
  return answer == 0 ? "end" : answer < 0 ? "bytes" : strerror(answer);
}

void GiveAway(const std::string &path) {
  NeedRoot();
  if (lchown(path.c_str(), kForeignUser, kForeignUser) != 0) Give("give away " + path);
}

void MakeDirectory(const std::string &path) {
  g_made.insert(path);
  if (mkdir(path.c_str(), 0700) != 0) Give("make the directory " + path);
}

void EnsureDirectory(const std::string &path) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) Give("make the directory " + path);
}

std::string WhyNotWritable(const std::string &directory) {
  return access(directory.c_str(), W_OK | X_OK) == 0 ? "" : strerror(errno);
}

void Remove(const std::string &path) {
  if (unlink(path.c_str()) != 0) Give("remove " + path);
}

std::vector<std::string> DescriptorsOf(int64_t pid, const std::string &what) {
  std::vector<std::string> found;
  for (const std::string &fd : DescriptorsOf(pid)) {
    if (DescriptorOf(pid, fd) == what) found.push_back(fd);
  }
  return found;
}

uint64_t ProcessId() { return static_cast<uint64_t>(getpid()); }

namespace {

std::string ControlMessage(int type, const std::string &payload) {
  cmsghdr header{};
  header.cmsg_len = CMSG_LEN(payload.size());
  header.cmsg_level = SOL_SOCKET;
  header.cmsg_type = type;
  std::string message(CMSG_SPACE(payload.size()), '\0');
  memcpy(message.data(), &header, sizeof header);
  message.replace(CMSG_LEN(0), payload.size(), payload);
  return message;
}

}  // namespace

std::string DescriptorsMessage(const std::vector<int32_t> &descriptors) {
  const char *bytes = reinterpret_cast<const char *>(descriptors.data());
  return ControlMessage(SCM_RIGHTS, std::string(bytes, descriptors.size() * sizeof(int32_t)));
}

std::string CredentialsMessage(uint32_t pid, uint32_t uid, uint32_t gid) {
#ifdef SO_PASSCRED
  const ucred credentials{static_cast<pid_t>(pid), uid, gid};
  return ControlMessage(SCM_CREDENTIALS, std::string(reinterpret_cast<const char *>(&credentials), sizeof credentials));
#else
  throw Abort{"failed", "", "this system has no credentials of " + std::to_string(pid) + " to send"};
#endif
}

std::string UnknownMessage(const std::string &payload) { return ControlMessage(0x7ffe, payload); }

size_t ControlHeaderLength() { return CMSG_LEN(0); }

std::string WithControlLength(std::string message, uint64_t length) {
  decltype(cmsghdr::cmsg_len) value = static_cast<decltype(cmsghdr::cmsg_len)>(length);
  memcpy(message.data() + offsetof(cmsghdr, cmsg_len), &value, sizeof value);
  return message;
}

void KillProcess(int64_t pid) {
  Peer::WriteHeld();
  if (pid <= 1 || !IsDescendant(pid, getpid())) throw Abort{"failed", "", std::to_string(pid) + " is no peer's child"};
  if (kill(static_cast<pid_t>(pid), SIGKILL) != 0) Give("kill process " + std::to_string(pid));
}

uint32_t UserId() { return geteuid(); }
uint32_t GroupId() { return getegid(); }

}  // namespace host
}  // namespace cts
