/* hostile_peer - the library against a process that breaks every rule it can.
 *
 * The other process (hostile_process.h) goes on from input to input, each of which has an endpoint of its own; it does
 * what the input says: half a frame, lengths that lie, floods, control data of any kind, more descriptors than there is
 * room for, ends of each half, connections that leave before they are accepted, no reading at all. In between the
 * library is called, without waiting or for a millisecond. The two take turns, so that an input always does the same;
 * unless it says that a batch goes on during the next call.
 *
 * What holds for every input: every call returns (or the fuzzer's -timeout tells the input), with a status that its
 * header lists and, when the two took turns, with the one that what happened before leaves; bytes, messages, frames and
 * descriptors are those that were sent, in order and whole; a file that is no longer the library's stays; and
 * afterwards there are as many descriptors, threads and bytes of memory as before.
 *
 * The input: endpoint; options (1 nonblocking, 2 framed, 4 credentials come, 8 everything is read at the end, 16
 * reclaim, 32 same user, 64 a backlog of 1); codec, width and flags, limit; then steps: what (below 160 an action of
 * the other process, else a call), which socket (128: the batch is not waited for), how much; for some more, as
 * read_action says.
 */
#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "fuzz/framing_model.h"
#include "fuzz/hostile_process.h"
#include "fuzz/input.h"
#include "ipc/ipc.h"

/* ASan's, if they are there. */
extern "C" __attribute__((weak)) size_t __sanitizer_get_current_allocated_bytes();
extern "C" __attribute__((weak)) void __sanitizer_symbolize_pc(void *pc, const char *format, char *out, size_t len);

namespace fuzz {
namespace {

constexpr size_t kStepsMax = 64;
constexpr size_t kEnds = 4;          /* of the library's, at once */
constexpr size_t kConnections = 8;   /* of an input */
constexpr size_t kFlowMax = 1 << 18; /* bytes of a direction of a connection */
constexpr size_t kPartsMax = 256;    /* messages, or places where descriptors travel, of a direction */
constexpr size_t kReadMax = 1 << 16;
constexpr size_t kGuard = 16;    /* bytes behind a buffer that stay as they are */
constexpr size_t kWindow = 320;  /* descriptors that are looked at after each input */
constexpr int kFullEvery = 1024; /* inputs after which all are counted, and threads */

bool traced() {
  static const bool on = std::getenv("IPC_FUZZ_TRACE") != nullptr;
  return on;
}

/* ------------------------------------------------------------------------------------------------------- what flows */

/* A message; or, in a stream, a place where descriptors travel beside the bytes from |at| on. */
struct Part {
  size_t at = 0, len = 0;
  size_t descriptors = 0;
  bool unknown = false; /* how many descriptors */
  bool cut = false;     /* received: the front of a message */
};

/* One direction of a connection: what was sent, and what came. */
struct Flow {
  uint8_t *sent = nullptr, *came = nullptr; /* kFlowMax each */
  size_t sent_len = 0, came_len = 0, checked = 0;
  Part parts[kPartsMax], came_parts[kPartsMax];
  size_t num_parts = 0, num_came_parts = 0, checked_parts = 0;
  size_t issued = 0, issued_parts = 0; /* at most, if all that is under way succeeds */
  bool loose = false;                  /* what comes is not foretold */

  void clear() {
    sent_len = came_len = checked = num_parts = num_came_parts = checked_parts = issued = issued_parts = 0;
    loose = false;
  }

  bool has_room(size_t len) const { return issued + len <= kFlowMax && issued_parts < kPartsMax; }

  void issue(size_t len) {
    issued += len;
    issued_parts++;
  }

  void put(const uint8_t *bytes, size_t len) {
    FUZZ_CHECK(sent_len + len <= kFlowMax, "the target's own fault: a flow is full");
    std::memcpy(sent + sent_len, bytes, len);
    sent_len += len;
  }

  void part(size_t at, size_t len, size_t descriptors, bool unknown) {
    if (num_parts == kPartsMax) {
      loose = true;
      return;
    }
    parts[num_parts++] = Part{at, len, descriptors, unknown, false};
  }

  /* Bytes that are there to be read. */
  size_t left() const { return sent_len - came_len; }

  /* A stream: what came is the front of what was sent. */
  void check_bytes() {
    if (!loose) {
      FUZZ_CHECK(came_len <= sent_len, "%zu bytes came of %zu", came_len, sent_len);
      FUZZ_CHECK(std::memcmp(sent + checked, came + checked, came_len - checked) == 0, "other bytes behind %zu",
                 checked);
    }
    checked = came_len;
  }

  /* Messages: what came are the first of those that were sent. */
  void check_messages() {
    for (; checked_parts < num_came_parts; checked_parts++) {
      const Part &got = came_parts[checked_parts], &want = parts[checked_parts];
      if (loose) continue;
      FUZZ_CHECK(checked_parts < num_parts, "message %zu was never sent", checked_parts);
      FUZZ_CHECK(got.cut ? got.len < want.len : got.len == want.len, "message %zu: %zu bytes of %zu", checked_parts,
                 got.len, want.len);
      FUZZ_CHECK(std::memcmp(came + got.at, sent + want.at, got.len) == 0, "message %zu is another", checked_parts);
    }
  }
};

struct Connection {
  Flow to_library, from_library;
  bool closed = false;                        /* the other process has */
  bool shut_write = false, shut_read = false; /* the other process has */
  std::vector<Part> frames;                   /* framed: what came, in to_library.came */
  int32_t last = IPC_WOULD_BLOCK;             /* framed: what the last read said, when |sent_then| bytes were there */
  size_t sent_then = 0;
};

/* An end that the library has. */
struct End {
  ipc_stream *stream = nullptr;
  ipc_framed *framed = nullptr;
  ipc_socket *socket = nullptr;
  size_t connection = 0;
  bool shut_write = false, shut_read = false;

  bool open() const { return stream != nullptr || framed != nullptr || socket != nullptr; }
};

enum Endpoint { kLocal, kFile, kConnects, kSeqpacket, kSeqpacketConnects, kDatagram, kNumEndpoints };

enum class Call : uint8_t {
  kAccept,
  kRead,
  kReadVectored,
  kReadAncillary,
  kWrite,
  kWriteVectored,
  kWriteAncillary,
  kShutdown,
  kCredentials,
  kLength,
  kClose,
  kCloseListener,
  kConnect,
  kFewDescriptors,
  kNumCalls
};

bool one_of(int32_t status, std::initializer_list<int32_t> all) {
  for (int32_t one : all) {
    if (status == one) return true;
  }
  return false;
}

size_t entries_of(const char *path) {
  size_t count = 0;
  DIR *directory = opendir(path);
  while (directory != nullptr && readdir(directory) != nullptr) count++;
  if (directory != nullptr) closedir(directory);
  return count;
}

/* What /proc says that a descriptor is, as `socket:[4711]`; empty if there is none. */
std::string what_is(int fd) {
  char what[64];
  const ssize_t len = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), what, sizeof what);
  return len < 0 ? std::string() : std::string(what, static_cast<size_t>(len));
}

/* Bytes of memory that the process has asked for; 0 if nobody knows. */
size_t allocated() {
  if (__sanitizer_get_current_allocated_bytes != nullptr) return __sanitizer_get_current_allocated_bytes();
#if defined(__GLIBC_PREREQ) && __GLIBC_PREREQ(2, 33)
  return mallinfo2().uordblks;
#else
  return 0;
#endif
}

/* What an input may have left: open descriptors, of the lowest ones, and memory. */
struct Resources {
  std::vector<pollfd> window{kWindow};
  size_t bytes = 0;

  void look() {
    for (size_t i = 0; i < kWindow; i++) window[i] = pollfd{static_cast<int>(i), 0, 0};
    (void)poll(window.data(), kWindow, 0);
    bytes = allocated();
  }
  /* The first descriptor that is open here and not |before|, or -1. */
  int more_than(const Resources &before) const {
    for (size_t i = 0; i < kWindow; i++) {
      if ((window[i].revents & POLLNVAL) == 0 && (before.window[i].revents & POLLNVAL) != 0) return static_cast<int>(i);
    }
    return -1;
  }
};

/* A descriptor that was more after an input than before it. */
struct Grown {
  int fd;
  std::string what, input;
};

/* ------------------------------------------------------------------------------------------------------- one input */

class Session {
 public:
  Session() {
    static uint8_t memory[4 * kConnections][kFlowMax];
    for (size_t i = 0; i < kConnections; i++) {
      connections_[i].to_library.sent = memory[4 * i];
      connections_[i].to_library.came = memory[4 * i + 1];
      connections_[i].from_library.sent = memory[4 * i + 2];
      connections_[i].from_library.came = memory[4 * i + 3];
    }
    start_symbolizer();
    null_ = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)getrlimit(RLIMIT_NOFILE, &descriptors_);
    each_is_new_ = std::getenv("IPC_FUZZ_NEW_PROCESS") != nullptr;
    stay_on_one_core();
    make_directory();
    process_.start();
  }

  ~Session() { remove_directory(); }

  /* Runs an input; again if anything is more than before, because the first time some things are made for ever. */
  void run(const uint8_t *data, size_t len) {
    if (each_is_new_) process_.end();
    Resources before, after;
    for (int again = 0;; again++) {
      before.look();
      perform(data, len);
      after.look();
      const int fd = after.more_than(before);
      if (fd < 0 && after.bytes <= before.bytes) break;
      if (fd >= 0) grown_.push_back(Grown{fd, what_is(fd), std::string(reinterpret_cast<const char *>(data), len)});
      FUZZ_CHECK(again < 3 || fd < 0, "descriptor %d is left", fd);
      FUZZ_CHECK(again < 3, "%zu bytes of memory are left", after.bytes - before.bytes);
    }
    count_all();
  }

 private:
  /* --------------------------------------------------------------------------------------------------- around it */

  /* With the other process: a wake-up across cores costs more than the rest. */
  static void stay_on_one_core() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(sched_getcpu()), &one);
    (void)sched_setaffinity(0, sizeof one, &one);
  }

  /* The fuzzer names functions that an input is the first to reach by a process with two pipes, which it would start at
   * any time and which would look like descriptors that an input left. */
  static void start_symbolizer() {
    char name[256];
    if (__sanitizer_symbolize_pc != nullptr)
      __sanitizer_symbolize_pc(reinterpret_cast<void *>(&getrlimit), "%f", name, sizeof name);
  }

  void make_directory() {
    const char *base = std::getenv("TMPDIR");
    if (base == nullptr) base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* memory is faster than a disk */
    Shared &s = process_.shared();
    const int n = std::snprintf(s.directory, sizeof s.directory, "%s/ipc-fuzz-XXXXXX", base);
    FUZZ_CHECK(n > 0 && static_cast<size_t>(n) < sizeof s.directory, "TMPDIR is too long");
    FUZZ_CHECK(mkdtemp(s.directory) != nullptr, "%s: %s", s.directory, std::strerror(errno));
    path_ = std::string(s.directory) + "/s";
  }

  void remove_directory() {
    (void)unlink(path_.c_str());
    (void)rmdir(process_.shared().directory);
  }

  /* Which inputs left a descriptor that is still there: once, or |run| had said so. */
  void tell_grown() const {
    for (const Grown &grown : grown_) {
      if (what_is(grown.fd) != grown.what) continue;
      std::fprintf(stderr, "descriptor %d, %s, is there since the input", grown.fd, grown.what.c_str());
      for (const char byte : grown.input) std::fprintf(stderr, " %02x", static_cast<unsigned char>(byte));
      std::fprintf(stderr, "\n");
    }
  }

  void count_all() {
    if (++inputs_ % kFullEvery != 0) return;
    const size_t descriptors = entries_of("/proc/self/fd"), threads = entries_of("/proc/self/task");
    if (most_descriptors_ == 0) {
      most_descriptors_ = descriptors;
      most_threads_ = threads;
    }
    if (descriptors > most_descriptors_) tell_grown();
    FUZZ_CHECK(descriptors <= most_descriptors_, "%zu descriptors are left, of the last %d inputs",
               descriptors - most_descriptors_, kFullEvery);
    grown_.clear();
    FUZZ_CHECK(threads <= most_threads_, "%zu threads are left, of the last %d inputs", threads - most_threads_,
               kFullEvery);
  }

  void perform(const uint8_t *data, size_t len) {
    Input in(data, len);
    reset(&in, data, len);
    open_endpoint();
    for (size_t step = 0; step < kStepsMax && in.len() > 0; step++) {
      const uint8_t what = in.u8(), which = in.u8(), amount = in.u8();
      if (what < 160) {
        add(read_action(static_cast<Act>(what % static_cast<uint8_t>(Act::kNumActs)), which, amount, &in));
        race_ = (which & 128) != 0;
      } else {
        if (race_ && num_actions() > 0 && !settles_) {
          go();
        } else {
          sync();
        }
        call(static_cast<Call>(what % static_cast<uint8_t>(Call::kNumCalls)), which, amount);
        sync();
      }
    }
    sync();
    enough_descriptors(); /* also where no call came after */
    if ((options_ & 8) != 0) read_everything();
    for (End &end : ends_) close_end(&end);
    close_listener();
    check_file();
    check_frames();
  }

  void reset(Input *in, const uint8_t *data, size_t len) {
    endpoint_ = in->u8() % kNumEndpoints;
    options_ = in->u8();
    framing_ = ipc_framing{};
    framing_.size = sizeof framing_;
    framing_.codec = in->u8() % 6 + 1;
    const uint8_t form = in->u8();
    static const uint32_t widths[] = {1, 2, 3, 4, 8};
    framing_.width = widths[form % 5];
    framing_.flags = form / 5 % 4;
    framing_.skip = framing_.width;
    framing_.max = uint64_t{in->u8()} * 64 + 16;
    for (Connection &c : connections_) {
      c.to_library.clear();
      c.from_library.clear();
      c.closed = c.shut_write = c.shut_read = false;
      c.frames.clear();
      c.last = IPC_WOULD_BLOCK;
    }
    for (int &connection : slots_) connection = -1;
    num_connections_ = asked_connections_ = accepted_ = accepted_by_other_ = 0;
    race_ = under_way_ = settles_ = replaced_ = false;
    answer_len_ = 0;
    Shared &s = process_.shared();
    s.begin = true;
    s.type = endpoint_ == kDatagram                                       ? SOCK_DGRAM
             : endpoint_ == kSeqpacket || endpoint_ == kSeqpacketConnects ? SOCK_SEQPACKET
                                                                          : SOCK_STREAM;
    s.listens = endpoint_ == kConnects || endpoint_ == kSeqpacketConnects;
    s.num_actions = 0;
    input_ = data;
    input_len_ = len < kInputMax ? len : kInputMax;
    std::memcpy(s.input, data, input_len_);
  }

  bool is_stream() const { return endpoint_ <= kConnects; }
  bool framed() const { return is_stream() && (options_ & 2) != 0 && model_accepts(framing_); }
  bool nonblocking() const { return (options_ & 1) != 0; }
  int32_t in_vain() const { return nonblocking() ? IPC_WOULD_BLOCK : IPC_TIMED_OUT; }
  int64_t timeout() const { return under_way_ ? 1 : 0; }

  void open_endpoint() {
    Shared &s = process_.shared();
    s.name = sockaddr_un{};
    s.name.sun_family = AF_UNIX;
    if (endpoint_ == kFile) {
      name_text_ = path_;
      std::memcpy(s.name.sun_path, path_.c_str(), path_.size() + 1);
      s.name_len = static_cast<socklen_t>(sizeof s.name);
    } else {
      char text[64];
      const int n = std::snprintf(text, sizeof text, "ipc-fuzz-%d-%llu", getpid(), ++names_);
      name_text_.assign(text, static_cast<size_t>(n));
      std::memcpy(s.name.sun_path + 1, text, static_cast<size_t>(n));
      s.name_len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + static_cast<size_t>(n));
    }
    if (traced()) std::fprintf(stderr, "endpoint %u, options %#x, codec %u\n", endpoint_, options_, framing_.codec);
    if (s.listens) {
      sync(); /* it listens */
      return;
    }
    const ipc_name name = {endpoint_ == kFile ? IPC_NAME_PATH : IPC_NAME_NAMESPACED, name_text_.data(),
                           name_text_.size()};
    ipc_local_listen_options how = {};
    how.size = sizeof how;
    if ((options_ & 16) != 0) how.flags |= IPC_LISTEN_RECLAIM;
    if ((options_ & 32) != 0) how.flags |= IPC_LISTEN_SAME_USER;
    how.backlog = (options_ & 64) != 0 ? 1 : 0;
    ipc_status status;
    if (endpoint_ == kDatagram) {
      how.flags &= ~static_cast<uint32_t>(IPC_LISTEN_SAME_USER);
      how.backlog = 0;
      status = ipc_socket_bind(&name, &how, &ends_[0].socket);
      if (status.code == IPC_OK) begin_end(&ends_[0], 0);
      num_connections_ = 1;
    } else if (endpoint_ == kSeqpacket) {
      status = ipc_unix_listen(&name, IPC_UNIX_SEQPACKET, &how, &listener_);
    } else {
      status = ipc_local_listen(&name, &how, &listener_);
    }
    FUZZ_CHECK(status.code == IPC_OK, "no endpoint: status %d, error %u", status.code,
               static_cast<unsigned>(status.native));
    if (listener_ != nullptr && nonblocking()) (void)ipc_listener_set_nonblocking(listener_, true);
  }

  /* ------------------------------------------------------------------------------------------ the other process */

  size_t num_actions() { return process_.shared().num_actions; }

  Action read_action(Act act, uint8_t which, uint8_t amount, Input *in) {
    Action a;
    a.act = act;
    a.slot = which % kSlots;
    a.amount = amount;
    switch (act) {
      case Act::kSend:
      case Act::kSendControl:
        if (act == Act::kSendControl) a.extra = in->u8();
        a.at = static_cast<uint32_t>(in->data() - input_);
        a.len = amount < in->len() ? amount : static_cast<uint32_t>(in->len());
        if (a.at + a.len > input_len_) a.at = a.len = 0;
        for (uint32_t i = 0; i < a.len; i++) (void)in->u8();
        break;
      case Act::kFlood:
      case Act::kReceive:
        a.amount = static_cast<uint32_t>(amount) << (which >> 2 & 1 ? 8 : 0);
        break;
      case Act::kSendDescriptors:
      case Act::kSendCredentials:
        a.extra = in->u8();
        break;
      case Act::kLeave:
        /* Rare, because a new process is dear. */
        if (in->u16() != 0x6C6C) a.act = Act::kClose;
        break;
      default:
        break;
    }
    return a;
  }

  static size_t bytes_of(const Action &a) {
    switch (a.act) {
      case Act::kSend:
        return a.len;
      case Act::kFlood:
        return a.amount;
      case Act::kSendDescriptors:
      case Act::kSendCredentials:
        return a.extra;
      case Act::kSendControl:
        return 1;
      default:
        return 0;
    }
  }

  static bool sends(Act act) { return act >= Act::kSend && act <= Act::kSendUrgent; }

  /* Adds an action to the batch, if there is room for what it may come to. */
  void add(const Action &a) {
    Shared &s = process_.shared();
    if (s.num_actions == kActionsMax) return;
    if (a.act == Act::kConnect) {
      if (!s.listens && endpoint_ != kDatagram && asked_connections_++ >= kConnections) return;
    }
    if (sends(a.act)) {
      /* The slot may be another connection's by then; so each has to have room. */
      for (Connection &c : connections_) {
        if (!c.to_library.has_room(bytes_of(a))) return;
      }
      for (Connection &c : connections_) c.to_library.issue(bytes_of(a));
    }
    /* Who was sent away, and which file is whose, is not known while calls are under way. */
    if (one_of_acts(a.act)) settles_ = true;
    s.actions[s.num_actions] = a;
    s.actions[s.num_actions++].result = kNotDone;
  }

  static bool one_of_acts(Act act) {
    return act == Act::kListen || act == Act::kStopListening || act == Act::kReplaceFile || act == Act::kLeave;
  }

  void go() {
    process_.go();
    under_way_ = true;
  }

  /* Has the batch done, and takes in what came of it. */
  void sync() {
    Shared &s = process_.shared();
    if (!under_way_) {
      if (s.num_actions == 0 && !(s.begin && s.listens)) return;
      process_.go();
    }
    bool leaves = false;
    for (size_t i = 0; i < s.num_actions; i++) leaves = leaves || s.actions[i].act == Act::kLeave;
    const bool there = process_.wait(leaves);
    under_way_ = settles_ = false;
    for (size_t i = 0; i < s.num_actions; i++) apply(s.actions[i]);
    if (!there) left();
    s.begin = false;
    s.num_actions = 0;
    for (size_t i = 0; i < num_connections_; i++) check_flows(&connections_[i]);
  }

  /* The process has ended: all that it had is closed. The next one has nothing. */
  void left() {
    for (size_t i = 0; i < num_connections_; i++) connections_[i].closed = true;
    for (int &connection : slots_) connection = -1;
    for (size_t i = 0; i < kConnections; i++) connections_[i].to_library.issued = connections_[i].to_library.sent_len;
    accepted_by_other_ = num_connections_;
  }

  void drop_slot(int *slot) {
    if (*slot >= 0 && endpoint_ != kDatagram) connections_[*slot].closed = true;
    *slot = -1;
  }

  void apply(const Action &a) {
    if (traced()) {
      static const char *const names[] = {"connect",      "send",
                                          "flood",        "send descriptors",
                                          "send control", "send credentials",
                                          "send urgent",  "receive",
                                          "receive cut",  "shutdown",
                                          "option",       "close",
                                          "listen",       "stop listening",
                                          "replace file", "leave"};
      std::fprintf(stderr, "  other %s, slot %u, amount %u, extra %u, bytes %u: %d\n", names[static_cast<int>(a.act)],
                   a.slot, a.amount, a.extra, a.len, a.result);
    }
    if (a.result == kNotDone) return;
    int *slot = &slots_[a.slot % kSlots];
    switch (a.act) {
      case Act::kConnect:
        drop_slot(slot);
        if (a.result == 0) connected(slot);
        FUZZ_CHECK(a.result != -ECONNREFUSED || listener_ == nullptr || endpoint_ == kFile || under_way_,
                   "a listener refuses");
        return;
      case Act::kStopListening:
      case Act::kListen:
        if (!process_.shared().listens) return;
        for (; accepted_by_other_ < num_connections_; accepted_by_other_++)
          connections_[accepted_by_other_].closed = true;
        return;
      case Act::kReplaceFile:
        if (endpoint_ == kFile && a.result >= 0) {
          replaced_ = true;
          stays_ = a.amount % 4 != 0;
        }
        return;
      default:
        break;
    }
    if (*slot < 0 || a.result < 0) return;
    Connection &c = connections_[*slot];
    if (sends(a.act)) {
      sent(a, &c.to_library);
    } else if (a.act == Act::kReceive && endpoint_ != kDatagram) {
      received(a, &c.from_library);
    } else if (a.act == Act::kShutdown && endpoint_ != kDatagram) {
      c.shut_read = c.shut_read || a.amount % 3 != 1;
      c.shut_write = c.shut_write || a.amount % 3 != 0;
    } else if (a.act == Act::kClose) {
      drop_slot(slot);
    }
  }

  void connected(int *slot) {
    if (endpoint_ == kDatagram) {
      *slot = 0;
    } else if (process_.shared().listens) {
      *slot = static_cast<int>(accepted_by_other_++);
      FUZZ_CHECK(accepted_by_other_ <= num_connections_, "a connection that nobody made");
    } else {
      *slot = static_cast<int>(num_connections_++);
    }
  }

  void sent(const Action &a, Flow *flow) {
    const auto len = static_cast<size_t>(a.result);
    const size_t at = flow->sent_len;
    if (a.act == Act::kSendUrgent) {
      flow->loose = true;
      return;
    }
    const uint8_t *bytes = a.act == Act::kSend ? input_ + a.at : process_.shared().pattern + pattern_at(a);
    flow->put(bytes, len);
    const size_t descriptors = a.act == Act::kSendDescriptors ? a.amount : 0;
    const bool unknown = a.act == Act::kSendControl || a.act == Act::kSendCredentials;
    if (is_stream()) {
      if (len > 0 && (descriptors > 0 || unknown)) flow->part(at, len, descriptors, unknown);
    } else {
      flow->part(at, len, descriptors, unknown);
      if (len == 0 && endpoint_ != kDatagram) flow->loose = true; /* the library cannot tell it from the end */
    }
  }

  void received(const Action &a, Flow *flow) {
    const auto len = static_cast<size_t>(a.result);
    std::memcpy(flow->came + flow->came_len, process_.shared().received + a.received_at, len);
    if (!is_stream() && (len > 0 || flow->num_came_parts < flow->num_parts)) {
      if (flow->num_came_parts == kPartsMax) return;
      Part *part = &flow->came_parts[flow->num_came_parts++];
      *part = Part{flow->came_len, len, 0, false, false};
      const size_t i = flow->num_came_parts - 1;
      part->cut = i < flow->num_parts && a.amount < flow->parts[i].len;
    }
    flow->came_len += len;
  }

  void check_flows(Connection *c) {
    if (is_stream()) {
      if (!framed()) c->to_library.check_bytes();
      c->from_library.check_bytes();
    } else {
      c->to_library.check_messages();
      if (endpoint_ != kDatagram) c->from_library.check_messages();
    }
  }

  /* --------------------------------------------------------------------------------------------- the library */

  void told(const char *call, ipc_status status, size_t len) {
    if (traced())
      std::fprintf(stderr, "%s%s: status %d, %zu\n", call, under_way_ ? " (at once)" : "", status.code, len);
    FUZZ_CHECK(len <= kFlowMax, "%s tells a length of %zu", call, len);
  }

  /* Memory is there, so only descriptors can be short. */
  bool short_of(int32_t status) const { return few_ && status == IPC_OUT_OF_RESOURCES; }

  End *free_end() {
    for (End &end : ends_) {
      if (!end.open()) return &end;
    }
    return nullptr;
  }

  void begin_end(End *end, size_t connection) {
    end->connection = connection;
    end->shut_read = end->shut_write = false;
    if (end->stream != nullptr) {
      if (nonblocking()) (void)ipc_stream_set_nonblocking(end->stream, true);
      if ((options_ & 4) != 0) (void)ipc_stream_set_pass_credentials(end->stream, true);
      if (framed()) {
        const ipc_status status = ipc_framed_open(end->stream, &framing_, &end->framed);
        FUZZ_CHECK(status.code == IPC_OK, "no framed stream: %d", status.code);
        end->stream = nullptr;
      }
    } else {
      if (nonblocking()) (void)ipc_socket_set_nonblocking(end->socket, true);
      if ((options_ & 4) != 0) (void)ipc_socket_set_pass_credentials(end->socket, true);
    }
  }

  void close_end(End *end) {
    if (!end->open()) return;
    ipc_status status;
    if (end->stream != nullptr) {
      status = ipc_stream_free(end->stream);
    } else if (end->framed != nullptr) {
      status = ipc_framed_free(end->framed);
    } else {
      status = ipc_socket_free(end->socket);
    }
    told("close", status, 0);
    FUZZ_CHECK(status.code == IPC_OK, "close: %d", status.code);
    *end = End{};
  }

  void close_listener() {
    if (listener_ == nullptr) return;
    const ipc_status status = ipc_listener_free(listener_);
    told("close of the listener", status, 0);
    FUZZ_CHECK(status.code == IPC_OK, "close of the listener: %d", status.code);
    listener_ = nullptr;
    /* Who was not accepted never will be. */
    if (!process_.shared().listens) accepted_ = kConnections;
  }

  /* A file that the other process put there stays, and is removed here; the library's own is gone. */
  void check_file() {
    if (endpoint_ != kFile) return;
    struct stat found;
    const bool there = lstat(path_.c_str(), &found) == 0;
    if (there) (void)unlink(path_.c_str());
    FUZZ_CHECK(there == (replaced_ && stays_), there ? "the library's file is left" : "another's file is gone");
  }

  void call(Call what, uint8_t which, uint8_t amount) {
    End *end = &ends_[which % kEnds];
    switch (what) {
      case Call::kAccept:
        accept();
        break;
      case Call::kConnect:
        connect();
        break;
      case Call::kCloseListener:
        close_listener();
        break;
      case Call::kFewDescriptors:
        few_descriptors(amount % 4);
        return; /* for the next call */
      default:
        if (!end->open()) break;
        if (what == Call::kClose) {
          close_end(end);
        } else if (end->stream != nullptr) {
          call_stream(what, end, which, amount);
        } else if (end->framed != nullptr) {
          call_framed(what, end, which, amount);
        } else {
          call_socket(what, end, which, amount);
        }
    }
    enough_descriptors();
  }

  /* Ends what few_descriptors() began, whether a call came behind it or not. */
  void enough_descriptors() {
    if (few_) FUZZ_CHECK(setrlimit(RLIMIT_NOFILE, &descriptors_) == 0, "setrlimit: %s", std::strerror(errno));
    few_ = false;
  }

  /* Leaves room for so many. */
  void few_descriptors(rlim_t more) {
    enough_descriptors();
    const int lowest = fcntl(null_, F_DUPFD_CLOEXEC, 0);
    (void)close(lowest);
    const rlimit few = {static_cast<rlim_t>(lowest) + more, descriptors_.rlim_max};
    few_ = setrlimit(RLIMIT_NOFILE, &few) == 0;
  }

  void accept() {
    End *end = free_end();
    if (listener_ == nullptr || end == nullptr) return;
    const ipc_status status = endpoint_ == kSeqpacket ? ipc_listener_accept_socket(listener_, timeout(), &end->socket)
                                                      : ipc_listener_accept(listener_, timeout(), &end->stream);
    told("accept", status, 0);
    FUZZ_CHECK(one_of(status.code, {IPC_OK, in_vain()}) || short_of(status.code), "accept: %d", status.code);
    FUZZ_CHECK(end->open() == (status.code == IPC_OK), "a stream beside %d", status.code);
    if (!under_way_ && !few_)
      FUZZ_CHECK(end->open() == (accepted_ < num_connections_), "accept: %d, of %zu connections %zu were accepted",
                 status.code, num_connections_, accepted_);
    if (end->open()) begin_end(end, accepted_++);
  }

  void connect() {
    End *end = free_end();
    if (!process_.shared().listens || end == nullptr || num_connections_ == kConnections) return;
    const ipc_name name = {IPC_NAME_NAMESPACED, name_text_.data(), name_text_.size()};
    ipc_status status;
    if (endpoint_ == kConnects) {
      status = ipc_local_connect(&name, timeout(), &end->stream);
    } else {
      status = ipc_socket_open(IPC_UNIX_SEQPACKET, &end->socket);
      if (status.code == IPC_OK) status = ipc_socket_connect(end->socket, &name, timeout());
      if (status.code != IPC_OK && end->socket != nullptr) {
        (void)ipc_socket_free(end->socket);
        end->socket = nullptr;
      }
    }
    told("connect", status, 0);
    FUZZ_CHECK(
        one_of(status.code, {IPC_OK, IPC_REFUSED, IPC_TIMED_OUT, IPC_WOULD_BLOCK, IPC_BUSY}) || short_of(status.code),
        "connect: %d", status.code);
    FUZZ_CHECK(end->open() == (status.code == IPC_OK), "a stream beside %d", status.code);
    if (end->open()) begin_end(end, num_connections_++);
  }

  /* Room for |len| bytes at the end of what came, with a guard behind it. */
  uint8_t *room(Flow *flow, size_t *len) {
    if (*len > kFlowMax - kGuard - flow->came_len) *len = kFlowMax - kGuard - flow->came_len;
    std::memset(flow->came + flow->came_len + *len, 0xA5, kGuard);
    return flow->came + flow->came_len;
  }

  void check_guard(const uint8_t *buffer, size_t len) {
    for (size_t i = 0; i < kGuard; i++) FUZZ_CHECK(buffer[len + i] == 0xA5, "a byte behind the buffer is written");
  }

  /* Descriptors that came are closed; there are as many as travelled beside the bytes from |from| to |to|. */
  void take_descriptors(const ipc_ancillary &beside, const Part *part, bool known) {
    FUZZ_CHECK(beside.num_descriptors <= beside.descriptors_max, "more descriptors than there is room for");
    for (size_t i = 0; i < beside.num_descriptors; i++) {
      FUZZ_CHECK((fcntl(beside.descriptors[i], F_GETFD) & FD_CLOEXEC) != 0, "descriptor %d is inherited",
                 beside.descriptors[i]);
      (void)close(beside.descriptors[i]);
    }
    if (!known) return;
    const size_t travelled = part != nullptr ? part->descriptors : 0;
    const bool cut = (beside.fields & IPC_ANCILLARY_CUT) != 0;
    const size_t expected = travelled < beside.descriptors_max ? travelled : beside.descriptors_max;
    FUZZ_CHECK(beside.num_descriptors == expected || (few_ && cut && beside.num_descriptors < expected),
               "%zu descriptors of %zu, room for %zu", beside.num_descriptors, travelled, beside.descriptors_max);
    FUZZ_CHECK(cut == (beside.num_descriptors < travelled), "cut is %d", cut);
  }

  /* Which halves are shut: of a call with IPC_SHUTDOWN_* |amount| % 3 + 1. */
  static void shut(End *end, uint8_t amount) {
    end->shut_read = end->shut_read || amount % 3 != 1;
    end->shut_write = end->shut_write || amount % 3 != 0;
  }

  void call_stream(Call what, End *end, uint8_t which, uint8_t amount) {
    Connection &c = connections_[end->connection];
    const size_t len = static_cast<size_t>(amount) << ((which & 4) != 0 ? 8 : 0);
    switch (what) {
      case Call::kRead:
      case Call::kReadVectored:
      case Call::kReadAncillary:
        read_stream(what, end, &c, len, which >> 3);
        break;
      case Call::kWrite:
      case Call::kWriteVectored:
      case Call::kWriteAncillary:
        write_stream(what, end, &c, len, amount);
        break;
      case Call::kShutdown: {
        const ipc_status status = ipc_stream_shutdown(end->stream, amount % 3 + 1);
        told("shutdown", status, 0);
        FUZZ_CHECK(status.code == IPC_OK, "shutdown: %d", status.code);
        shut(end, amount);
        break;
      }
      case Call::kCredentials: {
        ipc_credentials who = {};
        const ipc_status status = ipc_stream_peer_credentials(end->stream, &who);
        told("credentials", status, 0);
        FUZZ_CHECK(status.code == IPC_OK && who.uid == geteuid() && who.gid == getegid(), "credentials: %d",
                   status.code);
        break;
      }
      default:
        break;
    }
  }

  void read_stream(Call what, End *end, Connection *c, size_t len, size_t descriptors_max) {
    Flow *flow = &c->to_library;
    uint8_t *buffer = room(flow, &len);
    if (len == 0) return;
    int32_t descriptors[IPC_ANCILLARY_DESCRIPTORS_MAX];
    ipc_ancillary beside = {};
    beside.size = sizeof beside;
    beside.descriptors = descriptors;
    beside.descriptors_max = descriptors_max;
    size_t got = 0;
    ipc_status status;
    if (what == Call::kReadAncillary) {
      status = ipc_stream_read_ancillary(end->stream, buffer, len, &beside, timeout(), &got);
    } else if (what == Call::kReadVectored) {
      const ipc_buffer parts[] = {{buffer, len / 2}, {nullptr, 0}, {buffer + len / 2, len - len / 2}};
      status = ipc_stream_read_vectored(end->stream, parts, 3, timeout(), &got);
    } else {
      status = ipc_stream_read(end->stream, buffer, len, timeout(), &got);
    }
    told("read", status, got);
    check_guard(buffer, len);
    FUZZ_CHECK(got <= len && (got > 0) == (status.code == IPC_OK), "%zu bytes of %zu beside %d", got, len, status.code);
    check_read(status.code, *end, *c, flow->left() > 0);
    const size_t from = flow->came_len;
    flow->came_len += got;
    if (what == Call::kReadAncillary) {
      const Part *part = nullptr;
      bool known = !under_way_ && !flow->loose;
      for (size_t i = 0; i < flow->num_parts; i++) {
        const Part &p = flow->parts[i];
        if (p.at < from || p.at >= from + got) continue;
        known = known && !p.unknown && part == nullptr;
        /* Urgent bytes, which make it loose, move the places. */
        FUZZ_CHECK(flow->loose || part == nullptr || p.unknown || part->unknown,
                   "descriptors of two sends in one read");
        part = &p;
      }
      if (status.code != IPC_OK) FUZZ_CHECK(beside.num_descriptors == 0, "descriptors beside %d", status.code);
      take_descriptors(beside, part, known);
    }
    if (!under_way_) flow->check_bytes();
  }

  /* What a read may say, if |more| is there to be read. */
  void check_read(int32_t status, const End &end, const Connection &c, bool more) {
    FUZZ_CHECK(one_of(status, {IPC_OK, IPC_END, IPC_RESET, in_vain()}) || short_of(status), "read: %d", status);
    if (under_way_ || c.to_library.loose || short_of(status)) return;
    const bool ended = c.closed || c.shut_write || end.shut_read;
    if (more) {
      FUZZ_CHECK(status == IPC_OK || (status == IPC_RESET && c.closed), "read: %d, and there is more", status);
    } else if (ended) {
      FUZZ_CHECK(status == IPC_END || (status == IPC_RESET && c.closed), "read: %d at the end", status);
    } else {
      FUZZ_CHECK(status == in_vain(), "read: %d, and there is nothing", status);
    }
  }

  const uint8_t *pattern(size_t seed) { return process_.shared().pattern + seed % 256; }

  void write_stream(Call what, End *end, Connection *c, size_t len, uint8_t amount) {
    Flow *flow = &c->from_library;
    if (flow->sent_len + len > kFlowMax || (len == 0 && what == Call::kWriteAncillary)) return;
    const uint8_t *bytes = pattern(flow->sent_len);
    size_t took = 0;
    ipc_status status;
    if (what == Call::kWriteAncillary) {
      status = write_beside(end, bytes, len, amount, &took);
    } else if (what == Call::kWriteVectored) {
      const ipc_const_buffer parts[] = {{bytes, len / 3}, {nullptr, 0}, {bytes + len / 3, len - len / 3}};
      status = ipc_stream_write_vectored(end->stream, parts, 3, timeout(), &took);
    } else {
      status = ipc_stream_write(end->stream, bytes, len, timeout(), &took);
    }
    told("write", status, took);
    FUZZ_CHECK(took <= len, "%zu bytes taken of %zu", took, len);
    flow->put(bytes, took);
    if (what == Call::kWriteAncillary && amount > IPC_ANCILLARY_DESCRIPTORS_MAX) {
      FUZZ_CHECK(status.code == IPC_INVALID_ARGUMENT && took == 0, "%u descriptors: %d", amount, status.code);
      return;
    }
    if (what == Call::kWriteAncillary && status.code == IPC_OUT_OF_RESOURCES) return; /* too many under way */
    check_write(status.code, *end, *c, len, took);
  }

  ipc_status write_beside(End *end, const uint8_t *bytes, size_t len, uint8_t descriptors_num, size_t *out_took) {
    int32_t descriptors[256];
    for (int32_t &d : descriptors) d = null_;
    ipc_ancillary beside = {};
    beside.size = sizeof beside;
    beside.descriptors = descriptors;
    beside.num_descriptors = descriptors_num;
    return ipc_stream_write_ancillary(end->stream, bytes, len, &beside, timeout(), out_took);
  }

  void check_write(int32_t status, const End &end, const Connection &c, size_t len, size_t took) {
    FUZZ_CHECK(one_of(status, {IPC_OK, IPC_BROKEN_PIPE, IPC_RESET, in_vain()}), "write: %d", status);
    if (status == IPC_OK) FUZZ_CHECK(took == len || (nonblocking() && took > 0), "%zu bytes taken of %zu", took, len);
    FUZZ_CHECK(status == IPC_OK || took < len || len == 0, "all %zu bytes taken beside %d", len, status);
    if (status == IPC_WOULD_BLOCK) FUZZ_CHECK(took == 0, "%zu bytes taken beside %d", took, status);
    if (under_way_ || len == 0) return;
    const bool broken = c.closed || c.shut_read || end.shut_write;
    FUZZ_CHECK(broken == one_of(status, {IPC_BROKEN_PIPE, IPC_RESET}), "write: %d", status);
  }

  void call_framed(Call what, End *end, uint8_t which, uint8_t amount) {
    Connection &c = connections_[end->connection];
    if (what == Call::kRead || what == Call::kReadVectored || what == Call::kReadAncillary) {
      (void)read_frame(end, &c);
    } else if (what == Call::kWrite || what == Call::kWriteVectored || what == Call::kWriteAncillary) {
      write_frames(end, &c, static_cast<size_t>(amount) << ((which & 4) != 0 ? 6 : 0), which >> 3 & 3);
    }
  }

  int32_t read_frame(End *end, Connection *c) {
    Flow *flow = &c->to_library;
    size_t len = framing_.max, got = 0;
    if (len + kGuard > kFlowMax - flow->came_len || c->frames.size() == kPartsMax) return IPC_WOULD_BLOCK;
    uint8_t *buffer = room(flow, &len);
    const ipc_status status = ipc_framed_read(end->framed, buffer, len, timeout(), &got);
    told("framed read", status, got);
    check_guard(buffer, len);
    FUZZ_CHECK(one_of(status.code, {IPC_OK, IPC_END, IPC_RESET, IPC_MALFORMED, IPC_MESSAGE_TOO_LARGE,
                                    IPC_MESSAGE_TRUNCATED, in_vain()}),
               "framed read: %d", status.code);
    FUZZ_CHECK(got <= len && (got == 0 || status.code == IPC_OK), "%zu bytes beside %d", got, status.code);
    if (status.code == IPC_OK) {
      c->frames.push_back(Part{flow->came_len, got, 0, false, false});
      flow->came_len += got;
    }
    if (under_way_) {
      c->last = IPC_OK; /* nothing is known of what was there */
    } else {
      c->last = status.code;
      c->sent_then = flow->sent_len;
    }
    return status.code;
  }

  void write_frames(End *end, Connection *c, size_t len, size_t num) {
    Flow *flow = &c->from_library;
    if (len > framing_.max) len = framing_.max;
    const ipc_const_buffer bodies[] = {{pattern(1), len}, {pattern(2), len / 2}, {nullptr, 0}};
    static std::vector<uint8_t> header;
    for (const ipc_const_buffer &body : bodies) {
      if (model_encode(framing_, body.len, &header) != IPC_OK) return;
    }
    if (flow->sent_len + 3 * len + 256 > kFlowMax) return;
    size_t took = 0;
    ipc_status status = ipc_framed_write(end->framed, bodies, num, timeout(), &took);
    told("framed write", status, took);
    FUZZ_CHECK(one_of(status.code, {IPC_OK, IPC_BROKEN_PIPE, IPC_RESET, in_vain()}), "framed write: %d", status.code);
    FUZZ_CHECK(took <= num, "%zu frames taken of %zu", took, num);
    for (size_t i = 0; i < took; i++) {
      (void)model_encode(framing_, bodies[i].len, &header);
      flow->put(header.data(), header.size());
      if (bodies[i].len > 0) flow->put(static_cast<const uint8_t *>(bodies[i].data), bodies[i].len);
      if (framing_.codec == IPC_FRAMING_NETSTRING) flow->put(reinterpret_cast<const uint8_t *>(","), 1);
    }
    status = ipc_framed_flush(end->framed, timeout());
    told("framed flush", status, 0);
  }

  /* Every frame that came is the one that the model takes from what was sent, and what the last read said is right. */
  void check_frames() {
    if (!framed()) return;
    static std::vector<Event> events;
    for (size_t i = 0; i < num_connections_; i++) {
      const Connection &c = connections_[i];
      const Flow &flow = c.to_library;
      if (flow.loose || (c.frames.empty() && c.last == IPC_WOULD_BLOCK)) continue;
      model_decode(framing_, flow.sent, flow.sent_len, false, SIZE_MAX, 0, &events);
      FUZZ_CHECK(c.frames.size() < events.size(), "%zu frames came of %zu", c.frames.size(), events.size() - 1);
      for (size_t k = 0; k < c.frames.size(); k++) {
        const size_t len = events[k].end - events[k].begin;
        FUZZ_CHECK(
            c.frames[k].len == len && std::memcmp(flow.came + c.frames[k].at, flow.sent + events[k].begin, len) == 0,
            "frame %zu is another", k);
      }
      if (c.last == IPC_OK || c.last == IPC_RESET) continue;
      model_decode(framing_, flow.sent, c.sent_then, one_of(c.last, {IPC_END, IPC_MESSAGE_TRUNCATED}), SIZE_MAX, 0,
                   &events);
      const int32_t expected = events[c.frames.size()].status;
      const bool waits = expected == IPC_WOULD_BLOCK && c.last == in_vain();
      FUZZ_CHECK(waits || expected == c.last, "the last read of %zu frames said %d in place of %d", c.frames.size(),
                 c.last, expected);
    }
  }

  void call_socket(Call what, End *end, uint8_t which, uint8_t amount) {
    Connection &c = connections_[end->connection];
    const size_t len = static_cast<size_t>(amount) << ((which & 4) != 0 ? 8 : 0);
    switch (what) {
      case Call::kRead:
      case Call::kReadVectored:
      case Call::kReadAncillary:
        receive(what, end, &c, len, which >> 3);
        break;
      case Call::kWrite:
      case Call::kWriteVectored:
      case Call::kWriteAncillary:
        send_message(what, end, &c, len, amount);
        break;
      case Call::kLength: {
        size_t next = 0;
        const ipc_status status = ipc_socket_next_length(end->socket, timeout(), &next);
        told("next length", status, next);
        check_receive(status.code, *end, c);
        const Flow &flow = c.to_library;
        if (!under_way_ && !flow.loose && status.code == IPC_OK)
          FUZZ_CHECK(next == flow.parts[flow.num_came_parts].len, "the next message has %zu bytes", next);
        break;
      }
      case Call::kShutdown: {
        const ipc_status status = ipc_socket_shutdown(end->socket, amount % 3 + 1);
        told("shutdown", status, 0);
        FUZZ_CHECK(one_of(status.code, {IPC_OK, IPC_NOT_CONNECTED}), "shutdown: %d", status.code);
        if (status.code != IPC_OK) break;
        shut(end, amount);
        break;
      }
      case Call::kCredentials: {
        ipc_credentials who = {};
        const ipc_status status = ipc_socket_peer_credentials(end->socket, &who);
        told("credentials", status, 0);
        FUZZ_CHECK(status.code == (endpoint_ == kDatagram ? IPC_UNSUPPORTED : IPC_OK), "credentials: %d", status.code);
        break;
      }
      default:
        break;
    }
  }

  /* What a receive may say. */
  void check_receive(int32_t status, const End &end, const Connection &c) {
    FUZZ_CHECK(one_of(status, {IPC_OK, IPC_END, IPC_RESET, IPC_MESSAGE_TRUNCATED, in_vain()}) || short_of(status),
               "receive: %d", status);
    const Flow &flow = c.to_library;
    if (under_way_ || flow.loose || short_of(status)) return;
    if (endpoint_ == kDatagram && end.shut_read) return;
    if (flow.num_came_parts < flow.num_parts) {
      FUZZ_CHECK(one_of(status, {IPC_OK, IPC_MESSAGE_TRUNCATED}) || (status == IPC_RESET && c.closed),
                 "receive: %d, and there is more", status);
    } else if (endpoint_ != kDatagram && (c.closed || c.shut_write || end.shut_read)) {
      FUZZ_CHECK(status == IPC_END || (status == IPC_RESET && c.closed), "receive: %d at the end", status);
    } else {
      FUZZ_CHECK(status == in_vain(), "receive: %d, and there is nothing", status);
    }
  }

  void receive(Call what, End *end, Connection *c, size_t len, size_t descriptors_max) {
    Flow *flow = &c->to_library;
    uint8_t *buffer = room(flow, &len);
    const bool whole = what == Call::kReadVectored;
    const ipc_buffer parts[] = {{buffer, len / 2}, {buffer + len / 2, len - len / 2}};
    ipc_received told_of = {};
    told_of.size = sizeof told_of;
    int32_t descriptors[IPC_ANCILLARY_DESCRIPTORS_MAX];
    ipc_ancillary beside = {};
    beside.size = sizeof beside;
    beside.descriptors = descriptors;
    beside.descriptors_max = descriptors_max;
    const ipc_status status = ipc_socket_receive(end->socket, whole ? IPC_RECEIVE_WHOLE : 0, parts, 2, &told_of,
                                                 what == Call::kReadAncillary ? &beside : nullptr, timeout());
    told("receive", status, told_of.len);
    check_guard(buffer, len);
    FUZZ_CHECK(told_of.len <= len, "%zu bytes of %zu", told_of.len, len);
    check_receive(status.code, *end, *c);
    const bool cut = status.code == IPC_MESSAGE_TRUNCATED;
    if (told_of.from_len != 0) {
      answer_len_ = told_of.from_len;
      std::memcpy(answer_, told_of.from, answer_len_);
    }
    const Part *part = flow->num_came_parts < flow->num_parts ? &flow->parts[flow->num_came_parts] : nullptr;
    if (what == Call::kReadAncillary) {
      if (status.code != IPC_OK) FUZZ_CHECK(beside.num_descriptors == 0, "descriptors beside %d", status.code);
      take_descriptors(beside, part,
                       !under_way_ && !flow->loose && status.code == IPC_OK && part != nullptr && !part->unknown);
    }
    if (cut && whole) {
      FUZZ_CHECK(told_of.len == 0, "%zu bytes of a message that stays", told_of.len);
      if (!under_way_ && !flow->loose && part != nullptr)
        FUZZ_CHECK(told_of.needed == part->len && part->len > len, "%zu bytes are needed", told_of.needed);
    } else if (status.code == IPC_OK || cut) {
      if (flow->num_came_parts < kPartsMax)
        flow->came_parts[flow->num_came_parts++] = Part{flow->came_len, told_of.len, 0, false, cut};
      else
        flow->loose = true;
      flow->came_len += told_of.len;
    }
    if (!under_way_) flow->check_messages();
  }

  void send_message(Call what, End *end, Connection *c, size_t len, uint8_t amount) {
    Flow *flow = &c->from_library;
    if (flow->sent_len + len > kFlowMax || flow->num_parts == kPartsMax) return;
    const uint8_t *bytes = pattern(flow->sent_len);
    const ipc_const_buffer parts[] = {{bytes, len / 3}, {bytes + len / 3, len - len / 3}};
    const ipc_name to = {IPC_NAME_NATIVE, answer_, answer_len_};
    const bool datagram = endpoint_ == kDatagram;
    int32_t descriptors[256];
    for (int32_t &d : descriptors) d = null_;
    ipc_ancillary beside = {};
    beside.size = sizeof beside;
    beside.descriptors = descriptors;
    beside.num_descriptors = amount;
    const bool with = what == Call::kWriteAncillary;
    const ipc_status status = ipc_socket_send(end->socket, parts, 2, datagram && answer_len_ != 0 ? &to : nullptr,
                                              with ? &beside : nullptr, timeout());
    told("send", status, 0);
    if (with && amount > IPC_ANCILLARY_DESCRIPTORS_MAX) {
      FUZZ_CHECK(status.code == IPC_INVALID_ARGUMENT, "%u descriptors: %d", amount, status.code);
      return;
    }
    if (with && status.code == IPC_OUT_OF_RESOURCES) return; /* too many under way */
    FUZZ_CHECK(one_of(status.code, {IPC_OK, IPC_BROKEN_PIPE, IPC_RESET, IPC_UNENCODABLE, IPC_REFUSED, IPC_NOT_CONNECTED,
                                    IPC_MESSAGE_TOO_LARGE, in_vain()}) ||
                   short_of(status.code),
               "send: %d", status.code);
    FUZZ_CHECK(datagram || (status.code == IPC_UNENCODABLE) == (len == 0), "send of %zu bytes: %d", len, status.code);
    if (status.code == IPC_OK) {
      flow->part(flow->sent_len, len, 0, false);
      flow->put(bytes, len);
    }
  }

  /* The other process leaves every connection; all that it had sent comes, and then the end. */
  void read_everything() {
    for (uint8_t slot = 0; slot < kSlots; slot++) {
      Action a;
      a.slot = slot;
      add(a);
    }
    sync();
    while (listener_ != nullptr && accepted_ < num_connections_ && free_end() != nullptr) accept();
    for (End &end : ends_) {
      if (!end.open()) continue;
      Connection &c = connections_[end.connection];
      for (int reads = 0; reads < 512; reads++) {
        const size_t before = c.to_library.came_len + c.to_library.num_came_parts + c.frames.size();
        if (end.framed != nullptr) {
          if (read_frame(&end, &c) != IPC_OK) break;
        } else if (end.stream != nullptr) {
          read_stream(Call::kRead, &end, &c, kReadMax, 0);
        } else {
          receive(Call::kReadAncillary, &end, &c, kReadMax, 3);
        }
        if (before == c.to_library.came_len + c.to_library.num_came_parts + c.frames.size() && reads > 0) break;
      }
    }
  }

  HostileProcess process_;
  bool each_is_new_ = false;
  std::string path_, name_text_;
  unsigned long long names_ = 0;
  int inputs_ = 0;
  std::vector<Grown> grown_; /* since all were counted */
  size_t most_descriptors_ = 0, most_threads_ = 0;
  int null_ = -1;
  rlimit descriptors_ = {};

  /* Of the input: */
  const uint8_t *input_ = nullptr;
  size_t input_len_ = 0;
  unsigned endpoint_ = 0;
  uint8_t options_ = 0;
  ipc_framing framing_ = {};
  Connection connections_[kConnections];
  size_t num_connections_ = 0; /* that were made, in the order of accepting */
  size_t asked_connections_ = 0;
  size_t accepted_ = 0; /* by the library */
  size_t accepted_by_other_ = 0;
  int slots_[kSlots] = {}; /* the connection of each of the other process's sockets, -1: none */
  End ends_[kEnds];
  ipc_listener *listener_ = nullptr;
  bool race_ = false;      /* the batch is not waited for */
  bool under_way_ = false; /* it is not known what the other process has done */
  bool settles_ = false;   /* the batch has to be waited for */
  bool replaced_ = false, stays_ = false;
  bool few_ = false;
  uint8_t answer_[IPC_NATIVE_MAX] = {}; /* whom a datagram socket answers */
  size_t answer_len_ = 0;
};

}  // namespace
}  // namespace fuzz

namespace {

fuzz::Session &session() {
  static fuzz::Session one;
  return one;
}

}  // namespace

/* Before the corpus is read: what is forked then is small. */
extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  (void)session();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  if (len <= fuzz::kInputMax) session().run(data, len);
  return 0;
}
