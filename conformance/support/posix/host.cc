// Files and bare sockets on Unix.
#include "conformance/support/host.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <sstream>

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

int Socket() {
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) Give("make a socket");
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

}  // namespace

void MakeFile(const std::string &path, const std::string &contents) {
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
  if (symlink(target.c_str(), path.c_str()) != 0) Give("make a link at " + path);
}

void MakeFifo(const std::string &path, unsigned mode) {
  if (mkfifo(path.c_str(), 0600) != 0 || chmod(path.c_str(), mode) != 0) Give("make a FIFO at " + path);
}

void MakeStaleSocket(const std::string &path) {
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
  close(fd_);
  unlink(path_.c_str());
}

BareClient::BareClient(const std::string &native) : fd_(Socket()) {
  sockaddr_un address;
  socklen_t length = Address(native, &address);
  timeval limit{5, 0};  // a listener that never answers must not hold the runner
  setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd_, reinterpret_cast<sockaddr *>(&address), length) != 0) {
    int error = errno;
    close(fd_);
    throw Abort{"failed", "server", std::string("connect(2) on the listener's address: ") + strerror(error)};
  }
}

BareClient::~BareClient() { close(fd_); }

void BareClient::Write(const std::string &bytes) {
  if (send(fd_, bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    Give("write to the listener's stream");
}

std::string BareClient::Read(size_t length) {
  std::string bytes(length, '\0');
  size_t have = 0;
  while (have < length) {
    ssize_t got = recv(fd_, &bytes[have], length - have, 0);
    if (got < 0) Give("read from the listener's stream");
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
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

uint32_t UserId() { return geteuid(); }
uint32_t GroupId() { return getegid(); }

}  // namespace host
}  // namespace cts
