#include "fuzz/hostile_process.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <new>

#include "fuzz/input.h"

namespace fuzz {
namespace {

constexpr int kAnswerMs = 10000; /* after which it hangs */

/* Where the fuzzed process has its end of the channel: out of the way, so that a new process changes no other number.
 */
constexpr int kControl = 900;

/* ---------------------------------------------------------------------------------- in the hostile process alone */

/* It never allocates, never runs code of the library, and returns to no frame of the fuzzed process. */
class Hostile {
 public:
  explicit Hostile(Shared *shared) : s_(shared), null_(open("/dev/null", O_RDWR | O_CLOEXEC)) {}

  void perform() {
    if (s_->begin) {
      for (int &fd : sockets_) drop(&fd);
      drop(&listener_);
      if (s_->listens) listen_anew(8);
    }
    s_->received_len = 0;
    for (size_t i = 0; i < s_->num_actions; i++) s_->actions[i].result = perform(&s_->actions[i]);
  }

  /* The fuzzed process is gone: nothing stays behind. */
  void remove_files() {
    if (s_->directory[0] == '\0') return;
    (void)unlink(s_->name.sun_path);
    (void)rmdir(s_->directory);
  }

 private:
  static void drop(int *fd) {
    if (*fd >= 0) (void)close(*fd);
    *fd = -1;
  }

  static int32_t told(ssize_t result) { return result < 0 ? -errno : static_cast<int32_t>(result); }

  const sockaddr *name() const { return reinterpret_cast<const sockaddr *>(&s_->name); }

  int32_t listen_anew(int backlog) {
    drop(&listener_);
    if (s_->name.sun_path[0] != '\0') (void)unlink(s_->name.sun_path);
    listener_ = socket(AF_UNIX, s_->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener_, name(), s_->name_len) != 0) return -errno;
    return told(listen(listener_, backlog));
  }

  int32_t connect_slot(int *fd) {
    drop(fd);
    if (s_->listens) {
      *fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      return *fd < 0 ? -errno : 0;
    }
    *fd = socket(AF_UNIX, s_->type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* A datagram's sender has a name that the system chooses, so that it can be answered. */
    const sa_family_t family = AF_UNIX;
    if (s_->type == SOCK_DGRAM) (void)bind(*fd, reinterpret_cast<const sockaddr *>(&family), sizeof family);
    if (connect(*fd, name(), s_->name_len) == 0) return 0;
    const int32_t error = -errno;
    drop(fd);
    return error;
  }

  int32_t send_with(int fd, const uint8_t *bytes, size_t len, void *control, size_t control_len) {
    iovec vector = {const_cast<uint8_t *>(bytes), len};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control_len != 0 ? control : nullptr;
    message.msg_controllen = control_len;
    return told(sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL));
  }

  /* Beside |extra| bytes one control message. */
  int32_t send_beside(int fd, const Action &a, int type, const void *payload, size_t len) {
    alignas(cmsghdr) uint8_t control[CMSG_SPACE(256 * sizeof(int))] = {};
    cmsghdr header = {};
    header.cmsg_len = CMSG_LEN(len);
    header.cmsg_level = SOL_SOCKET;
    header.cmsg_type = type;
    std::memcpy(control, &header, sizeof header);
    std::memcpy(control + CMSG_LEN(0), payload, len);
    return send_with(fd, s_->pattern + pattern_at(a), a.extra, control, CMSG_SPACE(len));
  }

  int32_t send_descriptors(int fd, const Action &a) {
    int descriptors[256];
    for (int &d : descriptors) d = null_;
    return send_beside(fd, a, SCM_RIGHTS, descriptors, a.amount % 256 * sizeof(int));
  }

  int32_t send_credentials(int fd, const Action &a) {
    const ucred claimed = {a.amount == 0 ? getpid() : static_cast<pid_t>(a.amount), geteuid(), getegid()};
    return send_beside(fd, a, SCM_CREDENTIALS, &claimed, sizeof claimed);
  }

  int32_t send_control(int fd, const Action &a) {
    alignas(cmsghdr) uint8_t control[kControlMax] = {};
    const size_t len = a.len < kControlMax ? a.len : kControlMax;
    std::memcpy(control, s_->input + a.at, len);
    cmsghdr header;
    std::memcpy(&header, control, sizeof header);
    header.cmsg_level = SOL_SOCKET; /* else the kernel passes it over */
    header.cmsg_type = SCM_RIGHTS;
    header.cmsg_len = len + static_cast<size_t>(static_cast<int8_t>(a.extra));
    std::memcpy(control, &header, sizeof header);
    return send_with(fd, s_->pattern + pattern_at(a), 1, control, len);
  }

  int32_t receive(int fd, Action *a) {
    size_t room = kReceivedMax - s_->received_len;
    if (room > a->amount) room = a->amount;
    const ssize_t n = recv(fd, s_->received + s_->received_len, room, MSG_DONTWAIT);
    if (n < 0) return -errno;
    a->received_at = static_cast<uint32_t>(s_->received_len);
    s_->received_len += static_cast<size_t>(n);
    return static_cast<int32_t>(n);
  }

  /* Room for half a descriptor; what comes all the same is closed. The bytes stay. */
  int32_t receive_cut(int fd) {
    alignas(cmsghdr) uint8_t control[CMSG_LEN(sizeof(int))];
    uint8_t byte[1];
    iovec vector = {byte, sizeof byte};
    msghdr message = {};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = CMSG_LEN(sizeof(int) / 2);
    const ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC | MSG_PEEK);
    const int32_t result = told(n);
    if (n >= 0 && message.msg_controllen >= CMSG_LEN(sizeof(int))) {
      int got;
      std::memcpy(&got, control + CMSG_LEN(0), sizeof got);
      (void)close(got);
    }
    return result;
  }

  int32_t set_option(int fd, uint32_t amount) {
    const int one = 1, small = 1;
    switch (amount % 3) {
      case 0:
        return told(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small));
      case 1:
        return told(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
      default:
        return told(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    }
  }

  int32_t replace_file(uint32_t what) {
    const char *path = s_->name.sun_path;
    if (path[0] == '\0') return -ENOENT;
    if (unlink(path) != 0 && rmdir(path) != 0 && errno != ENOENT) return -errno;
    switch (what % 4) {
      case 0:
        return 0; /* nothing */
      case 1:
        return told(mknod(path, S_IFREG | 0600, 0));
      case 2:
        return told(symlink("/nowhere", path));
      default: {
        const int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const int32_t result = told(bind(other, name(), s_->name_len));
        (void)close(other);
        return result;
      }
    }
  }

  int32_t perform(Action *a) {
    int *fd = &sockets_[a->slot % kSlots];
    switch (a->act) {
      case Act::kConnect:
        return connect_slot(fd);
      case Act::kListen:
        return s_->listens ? listen_anew(static_cast<int>(a->amount)) : -EINVAL;
      case Act::kStopListening:
        drop(&listener_);
        return 0;
      case Act::kReplaceFile:
        return replace_file(a->amount);
      case Act::kLeave:
        _exit(0);
      default:
        break;
    }
    if (*fd < 0) return kNoSocket;
    switch (a->act) {
      case Act::kSend:
        return send_with(*fd, s_->input + a->at, a->len, nullptr, 0);
      case Act::kFlood:
        return send_with(*fd, s_->pattern + pattern_at(*a), a->amount, nullptr, 0);
      case Act::kSendDescriptors:
        return send_descriptors(*fd, *a);
      case Act::kSendControl:
        return send_control(*fd, *a);
      case Act::kSendCredentials:
        return send_credentials(*fd, *a);
      case Act::kSendUrgent:
        return told(send(*fd, "!", 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL));
      case Act::kReceive:
        return receive(*fd, a);
      case Act::kReceiveCut:
        return receive_cut(*fd);
      case Act::kShutdown:
        return told(shutdown(*fd, static_cast<int>(a->amount % 3)));
      case Act::kOption:
        return set_option(*fd, a->amount);
      default:
        drop(fd);
        return 0;
    }
  }

  Shared *s_;
  int null_; /* what it sends */
  int sockets_[kSlots] = {-1, -1, -1, -1};
  int listener_ = -1;
};

/* Every descriptor but |kept| and the standard ones, of which output is that of the fuzzed process. */
void close_others(int kept) {
  for (int fd = 3; fd < 1024; fd++) {
    if (fd != kept) (void)close(fd);
  }
}

constexpr int kEnded = 1; /* the status with which it ends because the fuzzed process has */

[[noreturn]] void live(int control, Shared *shared) {
  Hostile hostile(shared);
  char go;
  while (read(control, &go, 1) == 1) {
    hostile.perform();
    if (write(control, &go, 1) != 1) break;
  }
  hostile.remove_files();
  _exit(kEnded);
}

/* What a keeper tells when a new process is there: how the one before ended. */
struct Left {
  char left = 'l';
  int status = 0; /* as of waitpid(2); 0 if there was none */
};

/* Makes hostile processes, one after the other, each when the one before has ended: so small a process is forked in a
 * fraction of the time that the fuzzed one would take. */
[[noreturn]] void keep(int control, Shared *shared) {
  for (int number = 1; number < NSIG; number++) (void)std::signal(number, SIG_DFL);
  close_others(control);
  for (Left left;;) {
    const pid_t pid = fork();
    if (pid == 0) live(control, shared);
    if (pid < 0) _exit(kEnded);
    shared->pid = pid;
    if (send(control, &left, sizeof left, MSG_NOSIGNAL) != sizeof left) _exit(kEnded);
    /* Its sockets are closed when it can be waited for, and not before. */
    if (waitpid(pid, &left.status, 0) != pid) _exit(kEnded);
    if (WIFEXITED(left.status) && WEXITSTATUS(left.status) == kEnded) _exit(0);
  }
}

}  // namespace

/* -------------------------------------------------------------------------------------------- in the fuzzed process */

HostileProcess::HostileProcess() {
  void *memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FUZZ_CHECK(memory != MAP_FAILED, "mmap: %s", std::strerror(errno));
  shared_ = new (memory) Shared;
  for (size_t i = 0; i < sizeof shared_->pattern; i++)
    shared_->pattern[i] = static_cast<uint8_t>(i * 7 + (i >> 8) * 13 + 1);
}

void HostileProcess::start() {
  if (control_ >= 0) return;
  int ends[2];
  FUZZ_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair: %s", std::strerror(errno));
  const pid_t keeper = fork();
  FUZZ_CHECK(keeper >= 0, "fork: %s", std::strerror(errno));
  if (keeper == 0) keep(ends[1], shared_);
  (void)close(ends[1]);
  control_ = fcntl(ends[0], F_DUPFD_CLOEXEC, kControl);
  FUZZ_CHECK(control_ == kControl, "descriptor %d: %s", kControl, std::strerror(errno));
  (void)close(ends[0]);
  const timeval longest = {kAnswerMs / 1000, 0};
  FUZZ_CHECK(setsockopt(control_, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest) == 0, "SO_RCVTIMEO: %s",
             std::strerror(errno));
  Left none;
  FUZZ_CHECK(answer(&none, sizeof none) == sizeof none, "the hostile process does not come");
}

void HostileProcess::go() {
  start();
  FUZZ_CHECK(send(control_, "g", 1, MSG_NOSIGNAL) == 1, "the hostile process is gone: %s", std::strerror(errno));
}

ssize_t HostileProcess::answer(void *out, size_t max) {
  ssize_t n;
  do {
    n = recv(control_, out, max, 0);
  } while (n < 0 && errno == EINTR);
  FUZZ_CHECK(n > 0 || (n < 0 && errno == EAGAIN), "the hostile process's keeper is gone: %s", std::strerror(errno));
  return n;
}

bool HostileProcess::wait(bool may_leave) {
  Left left;
  const ssize_t n = answer(&left, sizeof left);
  if (n == 1) return true;
  if (n == sizeof left) {
    FUZZ_CHECK(may_leave && left.status == 0, "the hostile process ended with status %#x", left.status);
  } else {
    std::fprintf(stderr, "the hostile process hangs; it is killed\n");
    end();
  }
  return false;
}

void HostileProcess::end() {
  if (control_ < 0) return;
  FUZZ_CHECK(shared_->pid > 0 && kill(shared_->pid, SIGKILL) == 0, "the hostile process is no child of its keeper");
  Left left;
  ssize_t n;
  do {
    n = answer(&left, sizeof left);
    FUZZ_CHECK(n > 0, "the hostile process cannot be killed");
  } while (n != sizeof left); /* it may have answered just before */
}

}  // namespace fuzz
