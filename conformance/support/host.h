// host.h - what a case does to the system itself: files at the names of sockets, bare sockets, descriptors seen from
// outside. Implemented once an operating system (posix/, windows/host.cc).
//
// What cannot be done ends the case (Abort) with the reason.
#ifndef CONFORMANCE_SUPPORT_HOST_H
#define CONFORMANCE_SUPPORT_HOST_H

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace cts {
namespace host {

/// Paths at which these functions have made something since this was last called: what a peer does not owe to remove.
std::set<std::string> TakeMade();

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
  BareListener(intptr_t handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  intptr_t handle_;
  std::string path_;
};

/// A client made of the bare system calls on an address as a listen answers it.
class BareClient {
 public:
  /// Connects a socket of `type` (stream, seqpacket).
  explicit BareClient(const std::string &native, const std::string &type = "stream");
  ~BareClient();
  BareClient(const BareClient &) = delete;
  BareClient &operator=(const BareClient &) = delete;
  void Write(const std::string &bytes);
  /// Reads until `length` bytes came or the stream ended.
  std::string Read(size_t length);

 private:
  intptr_t handle_ = -1;
};

/// What descriptor `fd` of process `pid` is of, for what it is open, and whether it is nonblocking: the same text in
/// every process that shares the open file description. Empty if it is not open.
std::string DescriptorOf(int64_t pid, const std::string &fd);
/// The descriptors of process `pid` that are of `what` (DescriptorOf), as many as there are.
std::vector<std::string> DescriptorsOf(int64_t pid, const std::string &what);
/// All descriptors that process `pid` has open.
std::vector<std::string> DescriptorsOf(int64_t pid);
/// The directory that process `pid` works in.
std::string WorkingDirectory(int64_t pid);
/// Kills process `pid`, which a peer started.
void KillProcess(int64_t pid);
/// A client of another user, in a process of its own, made of the bare system calls. Only a runner that is root can
/// make one; elsewhere the case ends as unverifiable.
class ForeignClient {
 public:
  /// Connects a socket of `type` (stream, seqpacket) to an address as a listen answers it.
  ForeignClient(const std::string &native, const std::string &type);
  ~ForeignClient();
  ForeignClient(const ForeignClient &) = delete;
  ForeignClient &operator=(const ForeignClient &) = delete;
  /// What connect(2) said: "connected", or why not.
  std::string Connect();
  /// Waits for what the connection gives: "end", "bytes", or what recv(2) said.
  std::string Receive();

 private:
  int Answer();
  int pid_ = -1, answers_ = -1;
};

/// Gives what is at `path`, a link not followed, to another user. Only root can; elsewhere the case ends as
/// unverifiable.
void GiveAway(const std::string &path);
void MakeDirectory(const std::string &path);
/// Makes a directory, mode 0700, unless there is one.
void EnsureDirectory(const std::string &path);
/// Why nothing can be written to this directory; empty if it can.
std::string WhyNotWritable(const std::string &directory);
void Remove(const std::string &path);

/// Whether descriptor `fd` of process `pid` is close-on-exec.
bool IsCloseOnExec(int64_t pid, const std::string &fd);
/// Most memory that process `pid` ever had mapped, in bytes.
uint64_t PeakMemory(int64_t pid);
/// The runner's own process, which lives as long as its peers, and is none of them.
uint64_t ProcessId();

/// Control messages as this system lays them out, padding included: descriptors, credentials (a system without them
/// ends the case), a kind that nobody knows.
std::string DescriptorsMessage(const std::vector<int32_t> &descriptors);
std::string CredentialsMessage(uint32_t pid, uint32_t uid, uint32_t gid);
std::string UnknownMessage(const std::string &payload);
/// Bytes before the payload of a control message.
size_t ControlHeaderLength();
/// The control message with another length in its header.
std::string WithControlLength(std::string message, uint64_t length);

/// Effective user and group of this process, which its peers share.
uint32_t UserId();
uint32_t GroupId();

}  // namespace host
}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_HOST_H
