// host.h - what a case does to the system itself: files at the names of sockets, bare sockets, descriptors seen from
// outside. Implemented once an operating system (posix/host.cc).
//
// What cannot be done ends the case (Abort) with the reason.
#ifndef CONFORMANCE_SUPPORT_HOST_H
#define CONFORMANCE_SUPPORT_HOST_H

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace cts {
namespace host {

/// Makes a regular file with these contents.
void MakeFile(const std::string &path, const std::string &contents);
/// Contents of a regular file; a file that is missing or of another type ends the case.
std::string ReadFile(const std::string &path);
/// Makes a symbolic link at `path` that leads to `target`.
void MakeLink(const std::string &path, const std::string &target);
/// Makes a FIFO file with these permission bits.
void MakeFifo(const std::string &path, unsigned mode);
/// Binds a stream socket to `path` and closes it: a name without a listener.
void MakeStaleSocket(const std::string &path);
void Rename(const std::string &from, const std::string &to);

/// What is at `path`, links not followed: none, file, link, socket, fifo, other.
std::string TypeOf(const std::string &path);
/// Permission bits of what is at `path`.
unsigned ModeOf(const std::string &path);
/// Names in a directory, sorted.
std::vector<std::string> List(const std::string &directory);

/// A listener made of the bare system calls; its file is removed with it.
class BareListener {
 public:
  /// nullptr if this system cannot bind the path.
  static std::unique_ptr<BareListener> TryMake(const std::string &path);
  ~BareListener();
  BareListener(const BareListener &) = delete;
  BareListener &operator=(const BareListener &) = delete;

 private:
  BareListener(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

/// A client made of the bare system calls on an address as `local.listen` answers it.
class BareClient {
 public:
  explicit BareClient(const std::string &native);
  ~BareClient();
  BareClient(const BareClient &) = delete;
  BareClient &operator=(const BareClient &) = delete;
  void Write(const std::string &bytes);
  /// Reads until `length` bytes came or the stream ended.
  std::string Read(size_t length);

 private:
  int fd_ = -1;
};

/// What descriptor `fd` of process `pid` is of, for what it is open, and whether it is nonblocking: the same text in
/// every process that shares the open file description. Empty if it is not open.
std::string DescriptorOf(int64_t pid, const std::string &fd);
/// The descriptors of process `pid` that are of `what` (DescriptorOf), as many as there are.
std::vector<std::string> DescriptorsOf(int64_t pid, const std::string &what);
/// Kills process `pid`, which a peer started.
void KillProcess(int64_t pid);
/// Whether descriptor `fd` of process `pid` is close-on-exec.
bool IsCloseOnExec(int64_t pid, const std::string &fd);
/// Most memory that process `pid` ever had mapped, in bytes.
uint64_t PeakMemory(int64_t pid);
/// Effective user and group of this process, which its peers share.
uint32_t UserId();
uint32_t GroupId();

}  // namespace host
}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_HOST_H
