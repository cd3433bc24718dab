// fault.cc - see fault.h. A thread of the library may be cancelled inside one of these functions (open_until.c), so
// they take no lock and allocate nothing on the way.
#include "ref/tests/fault.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <set>

namespace ref_tests {
namespace fault {
namespace {

// The functions, a constant each.
// clang-format off: by their first letters
#define FAULT_FUNCTIONS(F) \
  F(accept) F(accept4) \
  F(bind) \
  F(calloc) F(close) F(connect) \
  F(epoll_create1) F(epoll_ctl) F(epoll_wait) F(eventfd) \
  F(fchmod) F(fchmodat) F(fcntl) F(flock) F(free) F(fstat) F(fstatat) \
  F(getcwd) F(getpeername) F(getsockname) F(getsockopt) \
  F(ioctl) \
  F(kill) \
  F(listen) \
  F(malloc) F(mkfifoat) \
  F(open) F(openat) \
  F(pipe2) F(poll) F(preadv2) F(pthread_cond_init) F(pthread_condattr_init) F(pthread_create) F(pthread_kill) F(pthread_mutex_init) \
  F(pwritev2) \
  F(read) F(readlinkat) F(readv) F(realloc) F(recv) F(recvfrom) F(recvmsg) \
  F(send) F(sendmsg) F(sendto) F(setsockopt) F(shutdown) F(sigaction) F(sigqueue) F(sigwait) F(socket) F(socketpair) \
  F(stat) F(syscall) \
  F(tee) \
  F(unlinkat) \
  F(writev)
// clang-format on

enum Function {
#define CONSTANT(name) k_##name,
  FAULT_FUNCTIONS(CONSTANT)
#undef CONSTANT
      kNumFunctions
};
constexpr std::array<const char *, kNumFunctions> kNames = {
#define NAME(name) #name,
    FAULT_FUNCTIONS(NAME)
#undef NAME
};

std::atomic<bool> counting{false};
std::array<std::atomic<int>, kNumFunctions> counts{};
std::array<Fault, kNumFunctions> world_faults{};  // error 0: none
Fault point_fault{};
int point_function = -1, point_nth = 0;
std::atomic<bool> met{false};
std::atomic<long> blocks{0}, allocated{0};

// Counts a call, and gives what is to become of it; null: nothing special.
const Fault *meet(Function function) {
  if (!counting) return nullptr;
  const int nth = counts[function]++;
  if (function == point_function && (nth == point_nth || (point_fault.lasting && nth > point_nth))) {
    met = true;
    return &point_fault;
  }
  return world_faults[function].error != 0 ? &world_faults[function] : nullptr;
}

Fault fails(int error) { return {Kind::kFails, error, false}; }
Fault lacks(int error) { return {Kind::kFails, error, true}; }
const Fault kPart{Kind::kPart, 0, false};

std::map<std::string, std::vector<Fault>> all_functions() {
  const std::vector<Fault> memory = {fails(ENOMEM), lacks(ENOMEM)};
  const std::vector<Fault> no_descriptor = {fails(EMFILE), fails(ENFILE), fails(ENOMEM), lacks(EMFILE)};
  const std::vector<Fault> reads = {fails(EINTR), fails(EAGAIN), fails(ENOMEM), fails(EIO), kPart};
  const std::vector<Fault> receives = {fails(EINTR), fails(EAGAIN), fails(ENOMEM), fails(ECONNRESET), kPart};
  const std::vector<Fault> writes = {fails(EINTR), fails(EAGAIN), fails(EPIPE), fails(ENOMEM), kPart};
  const std::vector<Fault> sends = {fails(EINTR),   fails(EAGAIN),     fails(EPIPE), fails(ENOMEM),
                                    fails(ENOBUFS), fails(ECONNRESET), kPart};
  const std::vector<Fault> looks = {fails(EACCES), fails(ENOMEM), fails(EIO)};
  const auto with = [](std::vector<Fault> base, std::initializer_list<Fault> more) {
    base.insert(base.end(), more);
    return base;
  };
  return {
      {"accept", with(no_descriptor, {fails(EINTR), fails(ECONNABORTED), fails(EAGAIN), fails(ENOBUFS)})},
      {"accept4", with(no_descriptor, {fails(EINTR), fails(ECONNABORTED), fails(EAGAIN), fails(ENOBUFS), fails(EPERM),
                                       lacks(ENOSYS), lacks(EINVAL)})},
      {"bind", {fails(EADDRINUSE), fails(EACCES), fails(ENOSPC), fails(ENOMEM), fails(EROFS), lacks(EADDRINUSE)}},
      {"calloc", memory},
      {"close", {{Kind::kDoneFails, EINTR, false}, {Kind::kDoneFails, EIO, false}, {Kind::kDoneFails, EINTR, true}}},
      {"connect",
       {fails(EINTR), fails(EAGAIN), fails(ECONNREFUSED), fails(ENOENT), fails(EACCES), fails(EPERM), fails(ENOMEM)}},
      {"epoll_create1", no_descriptor},
      {"epoll_ctl", {fails(ENOMEM), fails(ENOSPC), fails(EPERM), lacks(ENOMEM)}},
      {"epoll_wait", {fails(EINTR), fails(ENOMEM)}},
      {"eventfd", no_descriptor},
      {"fchmod", {fails(EINVAL), fails(EPERM)}},
      {"fchmodat", {fails(EPERM), fails(EROFS), fails(EOPNOTSUPP), fails(ENOMEM)}},
      {"fcntl", {fails(ENOMEM), fails(EPERM), fails(EMFILE), lacks(EPERM)}},
      {"flock", {fails(EINTR), fails(EWOULDBLOCK), fails(ENOLCK), fails(ENOMEM)}},
      {"free", {}},
      {"fstat", looks},
      {"fstatat", with(looks, {fails(ENOENT)})},
      {"getcwd", {fails(ERANGE), fails(ENOENT), fails(EACCES), fails(ENOMEM)}},
      {"getpeername", {fails(ENOBUFS), fails(ENOTCONN)}},
      {"getsockname", {fails(ENOBUFS)}},
      {"getsockopt", {fails(ENOPROTOOPT), fails(ENOMEM)}},
      {"ioctl", {fails(ENOMEM), fails(ENOTTY)}},
      {"listen", {fails(EADDRINUSE), fails(ENOBUFS)}},
      {"malloc", memory},
      {"open", with(no_descriptor, {fails(EINTR), fails(EACCES), fails(ENOENT), fails(ENXIO)})},
      {"pipe2", no_descriptor},
      {"poll", {fails(EINTR), fails(ENOMEM)}},
      {"preadv2", with(reads, {lacks(EOPNOTSUPP)})},
      {"pthread_cond_init", memory},
      {"pthread_create", {fails(EAGAIN), fails(ENOMEM)}},
      {"pthread_kill", {fails(EAGAIN)}},
      {"pthread_mutex_init", memory},
      {"pwritev2", with(writes, {lacks(EOPNOTSUPP)})},
      {"read", reads},
      {"readv", reads},
      {"realloc", memory},
      {"recv", receives},
      {"recvmsg", receives},
      {"send", sends},
      {"sendmsg", sends},
      {"setsockopt", {fails(ENOMEM), fails(ENOBUFS)}},
      {"kill", {fails(EPERM), fails(ESRCH)}},
      {"mkfifoat", {fails(EACCES), fails(ENOSPC), fails(EEXIST), fails(EROFS), fails(ENOMEM)}},
      {"openat", with(no_descriptor, {fails(EINTR), fails(EACCES), fails(ENOENT), fails(ENXIO)})},
      {"pthread_condattr_init", memory},
      {"readlinkat", {fails(EACCES), fails(EIO), fails(ENOMEM)}},
      {"recvfrom", receives},
      {"sendto", sends},
      {"sigaction", {}},  // of a signal that there is, it cannot fail
      {"sigqueue", {fails(EAGAIN), fails(EPERM), fails(ESRCH)}},
      {"shutdown", {fails(ENOTCONN), fails(ENOMEM)}},
      {"sigwait", {fails(EINTR)}},
      {"socket", with(no_descriptor, {fails(ENOBUFS), fails(EACCES), fails(EINVAL), lacks(EINVAL)})},
      {"socketpair", no_descriptor},
      {"stat", with(looks, {fails(ENOENT)})},
      {"syscall", with(no_descriptor, {fails(EINTR), fails(ENOSYS), fails(EPERM), lacks(ENOSYS)})},
      {"tee", {fails(EAGAIN), fails(ENOMEM), fails(EINTR)}},
      {"unlinkat", {fails(EACCES), fails(EBUSY), fails(ENOENT)}},
      {"writev", writes},
  };
}

int number_of(const std::string &name) {
  for (int i = 0; i < kNumFunctions; i++) {
    if (name == kNames[static_cast<size_t>(i)]) return i;
  }
  abort();
}

}  // namespace

const std::map<std::string, std::vector<Fault>> &functions() {
  static const auto all = all_functions();
  return all;
}

bool may_leave_file(const std::string &function) {
  return std::set<std::string>{"unlinkat", "fstatat", "open", "openat", "readlinkat"}.count(function) != 0;
}

void start(const World &world, const Point *point) {
  for (auto &count : counts) count = 0;
  for (auto &fault : world_faults) fault = {};
  for (const auto &[name, error] : world) world_faults[static_cast<size_t>(number_of(name))] = lacks(error);
  point_function = point == nullptr ? -1 : number_of(point->function);
  if (point != nullptr) {
    point_nth = point->nth;
    point_fault = point->fault;
  }
  met = false;
  blocks = 0;
  allocated = 0;
  counting = true;
}

std::map<std::string, int> stop() {
  counting = false;
  std::map<std::string, int> called;
  for (int i = 0; i < kNumFunctions; i++) {
    const int count = counts[static_cast<size_t>(i)];
    if (count != 0) called[kNames[static_cast<size_t>(i)]] = count;
  }
  return called;
}

bool was_met() { return met; }
long blocks_left() { return blocks; }
long allocations() { return allocated; }

Pause::Pause() : before_(counting) { counting = false; }
Pause::~Pause() { counting = before_; }

}  // namespace fault
}  // namespace ref_tests

// ------------------------------------------------------------------------------------------------- the functions

using ref_tests::fault::Fault;
using ref_tests::fault::Kind;
using ref_tests::fault::meet;

// A function that answers |failed| and sets errno.
#define IN_FRONT(result, name, parameters, failed, ...)                    \
  extern "C" result __real_##name parameters;                              \
  extern "C" result __wrap_##name parameters;                              \
  extern "C" result __wrap_##name parameters {                             \
    const Fault *fault = meet(ref_tests::fault::k_##name);                 \
    if (fault == nullptr) return __real_##name(__VA_ARGS__);               \
    if (fault->kind == Kind::kDoneFails) (void)__real_##name(__VA_ARGS__); \
    errno = fault->error;                                                  \
    return failed;                                                         \
  }

// One that answers its error number.
#define IN_FRONT_OF_PTHREAD(name, parameters, ...)                       \
  extern "C" int __real_##name parameters;                               \
  extern "C" int __wrap_##name parameters;                               \
  extern "C" int __wrap_##name parameters {                              \
    const Fault *fault = meet(ref_tests::fault::k_##name);               \
    return fault == nullptr ? __real_##name(__VA_ARGS__) : fault->error; \
  }

// One that moves bytes: |part| is the call for one byte.
#define IN_FRONT_OF_TRANSFER(name, parameters, part, ...)    \
  extern "C" ssize_t __real_##name parameters;               \
  extern "C" ssize_t __wrap_##name parameters;               \
  extern "C" ssize_t __wrap_##name parameters {              \
    const Fault *fault = meet(ref_tests::fault::k_##name);   \
    if (fault == nullptr) return __real_##name(__VA_ARGS__); \
    if (fault->kind == Kind::kPart) return part;             \
    errno = fault->error;                                    \
    return -1;                                               \
  }

namespace {

iovec one_byte(const iovec *buffers, size_t num_buffers) {
  for (size_t i = 0; i < num_buffers; i++) {
    if (buffers[i].iov_len != 0) return {buffers[i].iov_base, 1};
  }
  return {nullptr, 0};
}

extern "C" int __real_getsockopt(int fd, int level, int name, void *out, socklen_t *len);

// A message goes whole or not at all: there is no part of it to move.
bool moves_bytes(int fd) {
  int type = 0;
  socklen_t len = sizeof type;
  return __real_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM;
}

// |message| with one byte of what it holds.
struct OneByteMessage {
  explicit OneByteMessage(const msghdr *whole) : part(one_byte(whole->msg_iov, whole->msg_iovlen)), message(*whole) {
    message.msg_iov = &part;
    message.msg_iovlen = 1;
  }
  iovec part;
  msghdr message;
};

}  // namespace

extern "C" ssize_t __real_recvmsg(int fd, msghdr *message, int flags);
extern "C" ssize_t __real_sendmsg(int fd, const msghdr *message, int flags);

static ssize_t send_one_byte(int fd, const msghdr *message, int flags) {
  if (!moves_bytes(fd)) return __real_sendmsg(fd, message, flags);
  const OneByteMessage one(message);
  return __real_sendmsg(fd, &one.message, flags);
}

static ssize_t receive_one_byte(int fd, msghdr *message, int flags) {
  if (!moves_bytes(fd)) return __real_recvmsg(fd, message, flags);
  OneByteMessage one(message);
  const ssize_t n = __real_recvmsg(fd, &one.message, flags);
  message->msg_namelen = one.message.msg_namelen;
  message->msg_controllen = one.message.msg_controllen;
  message->msg_flags = one.message.msg_flags;
  return n;
}

IN_FRONT(int, accept, (int fd, sockaddr *address, socklen_t *len), -1, fd, address, len)
IN_FRONT(int, accept4, (int fd, sockaddr *address, socklen_t *len, int flags), -1, fd, address, len, flags)
IN_FRONT(int, bind, (int fd, const sockaddr *address, socklen_t len), -1, fd, address, len)
IN_FRONT(int, close, (int fd), -1, fd)
IN_FRONT(int, connect, (int fd, const sockaddr *address, socklen_t len), -1, fd, address, len)
IN_FRONT(int, epoll_create1, (int flags), -1, flags)
IN_FRONT(int, epoll_wait, (int epoll, epoll_event *out, int max, int timeout_ms), -1, epoll, out, max, timeout_ms)
IN_FRONT(int, eventfd, (unsigned value, int flags), -1, value, flags)
IN_FRONT(int, fchmod, (int fd, mode_t mode), -1, fd, mode)
IN_FRONT(int, fchmodat, (int directory, const char *path, mode_t mode, int flags), -1, directory, path, mode, flags)
IN_FRONT(int, flock, (int fd, int operation), -1, fd, operation)
IN_FRONT(int, fstat, (int fd, struct stat *out), -1, fd, out)
IN_FRONT(int, fstatat, (int directory, const char *path, struct stat *out, int flags), -1, directory, path, out, flags)
IN_FRONT(char *, getcwd, (char *out, size_t max), nullptr, out, max)
IN_FRONT(int, getpeername, (int fd, sockaddr *address, socklen_t *len), -1, fd, address, len)
IN_FRONT(int, getsockname, (int fd, sockaddr *address, socklen_t *len), -1, fd, address, len)
IN_FRONT(int, getsockopt, (int fd, int level, int name, void *out, socklen_t *len), -1, fd, level, name, out, len)
IN_FRONT(int, kill, (pid_t pid, int signal), -1, pid, signal)
IN_FRONT(int, mkfifoat, (int directory, const char *path, mode_t mode), -1, directory, path, mode)
IN_FRONT(ssize_t, readlinkat, (int directory, const char *path, char *out, size_t max), -1, directory, path, out, max)
IN_FRONT(int, sigaction, (int signal, const struct sigaction *wanted, struct sigaction *before), -1, signal, wanted,
         before)
IN_FRONT(int, sigqueue, (pid_t pid, int signal, const union sigval value), -1, pid, signal, value)
IN_FRONT(int, listen, (int fd, int backlog), -1, fd, backlog)
IN_FRONT(int, pipe2, (int *out, int flags), -1, out, flags)
IN_FRONT(int, poll, (pollfd * polled, nfds_t n, int timeout), -1, polled, n, timeout)
IN_FRONT(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len), -1, fd, level, name, value,
         len)
IN_FRONT(int, shutdown, (int fd, int how), -1, fd, how)
IN_FRONT(int, socket, (int family, int type, int protocol), -1, family, type, protocol)
IN_FRONT(int, socketpair, (int family, int type, int protocol, int *out), -1, family, type, protocol, out)
IN_FRONT(int, stat, (const char *path, struct stat *out), -1, path, out)
IN_FRONT(ssize_t, tee, (int from, int to, size_t len, unsigned flags), -1, from, to, len, flags)
IN_FRONT(int, unlinkat, (int directory, const char *path, int flags), -1, directory, path, flags)

IN_FRONT_OF_PTHREAD(pthread_cond_init, (pthread_cond_t * out, const pthread_condattr_t *attributes), out, attributes)
IN_FRONT_OF_PTHREAD(pthread_condattr_init, (pthread_condattr_t * out), out)
IN_FRONT_OF_PTHREAD(pthread_kill, (pthread_t thread, int signal), thread, signal)
IN_FRONT_OF_PTHREAD(pthread_create,
                    (pthread_t * out, const pthread_attr_t *attributes, void *(*body)(void *), void *argument), out,
                    attributes, body, argument)
IN_FRONT_OF_PTHREAD(pthread_mutex_init, (pthread_mutex_t * out, const pthread_mutexattr_t *attributes), out, attributes)
IN_FRONT_OF_PTHREAD(sigwait, (const sigset_t *set, int *out), set, out)

IN_FRONT_OF_TRANSFER(read, (int fd, void *data, size_t max), __real_read(fd, data, max != 0), fd, data, max)
IN_FRONT_OF_TRANSFER(recv, (int fd, void *data, size_t max, int flags),
                     __real_recv(fd, data, moves_bytes(fd) ? max != 0 : max, flags), fd, data, max, flags)
IN_FRONT_OF_TRANSFER(recvfrom, (int fd, void *data, size_t max, int flags, sockaddr *from, socklen_t *len),
                     __real_recvfrom(fd, data, moves_bytes(fd) ? max != 0 : max, flags, from, len), fd, data, max,
                     flags, from, len)
IN_FRONT_OF_TRANSFER(sendto, (int fd, const void *data, size_t size, int flags, const sockaddr *to, socklen_t len),
                     __real_sendto(fd, data, moves_bytes(fd) ? size != 0 : size, flags, to, len), fd, data, size, flags,
                     to, len)
IN_FRONT_OF_TRANSFER(send, (int fd, const void *data, size_t len, int flags),
                     __real_send(fd, data, moves_bytes(fd) ? len != 0 : len, flags), fd, data, len, flags)
IN_FRONT_OF_TRANSFER(recvmsg, (int fd, msghdr *message, int flags), receive_one_byte(fd, message, flags), fd, message,
                     flags)
IN_FRONT_OF_TRANSFER(sendmsg, (int fd, const msghdr *message, int flags), send_one_byte(fd, message, flags), fd,
                     message, flags)

namespace {

// A vectored transfer of one byte.
template <typename Transfer, typename... Rest>
ssize_t one_byte_of(Transfer transfer, int fd, const iovec *buffers, int num_buffers, Rest... rest) {
  const iovec part = one_byte(buffers, static_cast<size_t>(num_buffers));
  return transfer(fd, &part, 1, rest...);
}

}  // namespace

IN_FRONT_OF_TRANSFER(readv, (int fd, const iovec *buffers, int n), one_byte_of(__real_readv, fd, buffers, n), fd,
                     buffers, n)
IN_FRONT_OF_TRANSFER(writev, (int fd, const iovec *buffers, int n), one_byte_of(__real_writev, fd, buffers, n), fd,
                     buffers, n)
IN_FRONT_OF_TRANSFER(preadv2, (int fd, const iovec *buffers, int n, off_t offset, int flags),
                     one_byte_of(__real_preadv2, fd, buffers, n, offset, flags), fd, buffers, n, offset, flags)
IN_FRONT_OF_TRANSFER(pwritev2, (int fd, const iovec *buffers, int n, off_t offset, int flags),
                     one_byte_of(__real_pwritev2, fd, buffers, n, offset, flags), fd, buffers, n, offset, flags)

// Those with a variable number of arguments: one, or six, are passed on whether they are there or not.
#define IN_FRONT_OF_VARIADIC(name, first_type, second_type)                 \
  extern "C" int __real_##name(first_type, second_type, ...);               \
  extern "C" int __wrap_##name(first_type first, second_type second, ...);  \
  extern "C" int __wrap_##name(first_type first, second_type second, ...) { \
    va_list arguments;                                                      \
    va_start(arguments, second);                                            \
    void *third = va_arg(arguments, void *);                                \
    va_end(arguments);                                                      \
    const Fault *fault = meet(ref_tests::fault::k_##name);                  \
    if (fault == nullptr) return __real_##name(first, second, third);       \
    errno = fault->error;                                                   \
    return -1;                                                              \
  }

IN_FRONT_OF_VARIADIC(fcntl, int, int)
IN_FRONT_OF_VARIADIC(ioctl, int, unsigned long)
IN_FRONT_OF_VARIADIC(open, const char *, int)

extern "C" int __real_openat(int, const char *, int, ...);
extern "C" int __wrap_openat(int directory, const char *path, int flags, ...);
extern "C" int __wrap_openat(int directory, const char *path, int flags, ...) {
  const Fault *fault = meet(ref_tests::fault::k_openat);
  if (fault == nullptr) return __real_openat(directory, path, flags);  // nobody makes a file with it
  errno = fault->error;
  return -1;
}

// Whether the system call |number| can meet |fault| at all: only some wait, and a write lacks nothing for good.
static bool is_possible(long number, const Fault &fault) {
  if (fault.error == EINTR) return number == SYS_openat || number == SYS_connect || number == SYS_write;
  return number != SYS_write || !fault.lasting;
}

extern "C" long __real_syscall(long, ...);
extern "C" long __wrap_syscall(long number, ...);
// A thread may be cancelled at any instruction of its system call: of this function only where that is made, which has
// nothing to undo then (what ThreadSanitizer puts into a function has).
extern "C" __attribute__((no_sanitize("thread"))) long __wrap_syscall(long number, ...) {
  int type = PTHREAD_CANCEL_DEFERRED;
  pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &type);
  va_list list;
  va_start(list, number);
  long given[6];
  for (long &argument : given) argument = va_arg(list, long);
  va_end(list);
  const Fault *fault = meet(ref_tests::fault::k_syscall);
  const bool fails = fault != nullptr && is_possible(number, *fault);
  pthread_setcanceltype(type, nullptr);
  if (!fails) return __real_syscall(number, given[0], given[1], given[2], given[3], given[4], given[5]);
  errno = fault->error;
  return -1;
}

// A removal of a descriptor that is there does not fail: it is done whatever the answer.
extern "C" int __real_epoll_ctl(int, int, int, epoll_event *);
extern "C" int __wrap_epoll_ctl(int, int, int, epoll_event *);
extern "C" int __wrap_epoll_ctl(int epoll, int operation, int fd, epoll_event *event) {
  const Fault *fault = meet(ref_tests::fault::k_epoll_ctl);
  if (fault == nullptr || operation == EPOLL_CTL_DEL) return __real_epoll_ctl(epoll, operation, fd, event);
  errno = fault->error;
  return -1;
}

// A new block, or none.
static void *account(void *memory) {
  if (memory == nullptr) errno = ENOMEM;
  if (memory != nullptr && ref_tests::fault::counting) {
    ref_tests::fault::blocks++;
    ref_tests::fault::allocated++;
  }
  return memory;
}

extern "C" void *__real_malloc(size_t);
extern "C" void *__wrap_malloc(size_t);
extern "C" void *__wrap_malloc(size_t bytes) {
  return account(meet(ref_tests::fault::k_malloc) == nullptr ? __real_malloc(bytes) : nullptr);
}

extern "C" void *__real_calloc(size_t, size_t);
extern "C" void *__wrap_calloc(size_t, size_t);
extern "C" void *__wrap_calloc(size_t num, size_t bytes) {
  return account(meet(ref_tests::fault::k_calloc) == nullptr ? __real_calloc(num, bytes) : nullptr);
}

extern "C" void *__real_realloc(void *, size_t);
extern "C" void *__wrap_realloc(void *, size_t);
extern "C" void *__wrap_realloc(void *before, size_t bytes) {
  void *memory = nullptr;
  if (meet(ref_tests::fault::k_realloc) == nullptr) memory = __real_realloc(before, bytes);
  if (memory == nullptr) errno = ENOMEM;
  if (memory != nullptr && ref_tests::fault::counting) {
    if (before == nullptr) ref_tests::fault::blocks++;
    ref_tests::fault::allocated++;
  }
  return memory;
}

extern "C" void __real_free(void *);
extern "C" void __wrap_free(void *);
extern "C" void __wrap_free(void *memory) {
  (void)meet(ref_tests::fault::k_free);  // it cannot fail: it is counted
  if (memory != nullptr && ref_tests::fault::counting) ref_tests::fault::blocks--;
  __real_free(memory);
}
