/* hostile_process.h - the other end of hostile_peer: a process that does with bare system calls what no peer should.
 *
 * It does nothing but system calls on memory that both share, and goes on from input to input. A new one is only made
 * when it has left (Act::kLeave) or does not answer, by a keeper between the two, which the fuzzed process forked when
 * it was small itself and which ends with them.
 */
#ifndef FUZZ_HOSTILE_PROCESS_H
#define FUZZ_HOSTILE_PROCESS_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdint>

namespace fuzz {

constexpr size_t kSlots = 4;             /* sockets that it has at once */
constexpr size_t kActionsMax = 64;       /* of a batch, and of an input */
constexpr size_t kInputMax = 4096;       /* bytes */
constexpr size_t kFloodMax = 255u << 8;  /* bytes that one action sends */
constexpr size_t kReceivedMax = 1 << 18; /* bytes that it receives in one batch */
constexpr size_t kControlMax = 256;      /* bytes of a control buffer that it makes up */
constexpr int32_t kNotDone = INT32_MIN;  /* result of an action that it did not come to */
constexpr int32_t kNoSocket = -1000;     /* result of an action on a slot that is empty */

/* What it can do. Nothing of it waits. The result is that of the system call, or minus errno. */
enum class Act : uint8_t {
  kConnect,         /* into a slot: connects to the reference, or takes a connection of the reference's */
  kSend,            /* bytes of the input */
  kFlood,           /* |amount| bytes */
  kSendDescriptors, /* |amount| descriptors beside |extra| bytes */
  kSendControl,     /* a control buffer of the input's beside a byte, its length off by |extra| */
  kSendCredentials, /* those of process |amount| beside |extra| bytes */
  kSendUrgent,      /* a byte out of band */
  kReceive,         /* at most |amount| bytes */
  kReceiveCut,      /* with too little room for control data */
  kShutdown,        /* |amount| % 3: SHUT_RD, SHUT_WR, SHUT_RDWR */
  kOption,          /* small buffers, credentials wanted, |amount| says which */
  kClose,           /* the slot */
  kListen,          /* anew, with a backlog of |amount| */
  kStopListening,   /* whoever waits is sent away */
  kReplaceFile,     /* puts something else where the reference's name is: |amount| says what */
  kLeave,           /* ends, with all it has */
  kNumActs
};

struct Action {
  Act act = Act::kClose;
  uint8_t slot = 0;
  uint32_t amount = 0, extra = 0;
  uint32_t at = 0;          /* kSend, kSendControl: bytes of the input from here ... */
  uint32_t len = 0;         /* ... so many */
  int32_t result = 0;       /* set by it */
  uint32_t received_at = 0; /* kReceive: where in `received` */
};

/* What both see. The fuzzed process leaves it alone while a batch is under way. */
struct Shared {
  pid_t pid = -1;       /* the hostile process; set by the keeper */
  int type = 0;         /* SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM */
  bool listens = false; /* it listens, and the reference connects; else the other way round */
  bool begin = false;   /* the batch is the first of an input: what was before is closed */
  sockaddr_un name = {};
  socklen_t name_len = 0;
  char directory[64] = ""; /* of names that are files; it removes it when the fuzzed process has ended */
  uint8_t input[kInputMax] = {};
  size_t num_actions = 0;
  Action actions[kActionsMax];
  size_t received_len = 0;
  uint8_t received[kReceivedMax] = {};
  uint8_t pattern[kFloodMax + 256] = {}; /* what floods are made of */
};

/* Where in `pattern` the bytes of an action begin. */
inline size_t pattern_at(const Action &action) { return (action.amount * 7 + action.extra) % 256; }

class HostileProcess {
 public:
  /* Makes the shared memory; the process is started with the first batch. Aborts where the system has no room. */
  HostileProcess();

  Shared &shared() { return *shared_; }

  /* Starts keeper and process if there are none. */
  void start();

  /* Hands it the batch that lies in shared(). */
  void go();

  /* Waits until it has done the batch. False if it has left, as it was told to; aborts if it died otherwise. One that
   * does not answer is killed, and told on standard error. */
  bool wait(bool may_leave);

  /* Kills it: the next batch is a new one's. */
  void end();

 private:
  /* Receives what it, or the keeper, says: the bytes, or -1 when nothing came for too long. */
  ssize_t answer(void *out, size_t max);

  Shared *shared_;
  int control_ = -1;
};

}  // namespace fuzz

#endif /* FUZZ_HOSTILE_PROCESS_H */
