/* ancillary_decode - any bytes as a control buffer of Linux, at any alignment.
 *
 * What holds for every input: the decoder says what a walk with the system's own macros over an aligned copy says; it
 * stays within the bytes and within the room it is given; what is encoded decodes to what was given, in exactly the
 * room that was said to be needed; of the descriptors that a system hands over those within the room are open and
 * closed on exec, and all others are closed; and what is no argument is told.
 *
 * The input: how the buffer is made (1 from a script of control messages, else the bytes themselves), and 2 whether a
 * system hands something over, too; its alignment, and 8 times the fields of the credentials that are encoded; the room
 * for descriptors; then the bytes, or the script: kind, length of the payload, how much the length lies, payload.
 * The two bytes behind the room also say what a system hands over: 7 how many descriptors, 8 it knows the flag to close
 * on exec, 16 it refuses it, 32 credentials, 64 a descriptor that nobody asked for, 128 it has cut; a byte of
 * credentials.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/input.h"
#include "ipc/ancillary.h"
#include "ref/posix/control.h"

namespace fuzz {
namespace {

/* unix(7). Written down here, because <sys/socket.h> shows it to GNU programs alone. */
struct Credentials {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};
constexpr int kCredentials = 2; /* SCM_CREDENTIALS */

struct Decoded {
  int32_t status = IPC_OK;
  std::vector<int32_t> descriptors;
  bool cut = false, has_credentials = false;
  Credentials credentials = {};
};

/* The rules of ipc/ancillary.h, with the macros of the system. |control| is aligned. */
Decoded by_rules(const std::vector<uint8_t> &control, size_t room) {
  Decoded d;
  size_t at = 0;
  while (control.size() - at >= sizeof(cmsghdr)) {
    cmsghdr header;
    std::memcpy(&header, control.data() + at, sizeof header);
    if (header.cmsg_len < CMSG_LEN(0) || header.cmsg_len > control.size() - at) {
      d.status = IPC_MALFORMED;
      return d;
    }
    const uint8_t *payload = control.data() + at + CMSG_LEN(0);
    const size_t len = header.cmsg_len - CMSG_LEN(0);
    if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == SCM_RIGHTS) {
      for (size_t i = 0; i < len / sizeof(int32_t); i++) {
        int32_t descriptor;
        std::memcpy(&descriptor, payload + i * sizeof descriptor, sizeof descriptor);
        if (descriptor < 0) {
          d.status = IPC_MALFORMED;
          return d;
        }
        if (d.descriptors.size() < room)
          d.descriptors.push_back(descriptor);
        else
          d.cut = true;
      }
      if (len % sizeof(int32_t) != 0) d.status = IPC_MALFORMED;
    } else if (header.cmsg_level == SOL_SOCKET && header.cmsg_type == kCredentials) {
      if (len == sizeof d.credentials) {
        std::memcpy(&d.credentials, payload, sizeof d.credentials);
        d.has_credentials = true;
      } else {
        d.status = IPC_MALFORMED;
      }
    }
    if (d.status != IPC_OK) return d;
    const size_t step = CMSG_ALIGN(header.cmsg_len);
    at += step < control.size() - at ? step : control.size() - at;
  }
  return d;
}

/* A row of control messages that tell the truth more often than chance would have it. */
std::vector<uint8_t> from_script(Input in) {
  std::vector<uint8_t> control;
  while (in.len() > 0 && control.size() < 4096) {
    const uint8_t kind = in.u8();
    size_t len = in.u8();
    const auto lie = static_cast<int8_t>(in.u8());
    cmsghdr header = {};
    header.cmsg_level = (kind & 0x10) != 0 ? in.u8() : SOL_SOCKET;
    header.cmsg_type = (kind & 0x20) != 0 ? in.u8() : (kind & 1) != 0 ? kCredentials : SCM_RIGHTS;
    if ((kind & 2) != 0) len = len * 8; /* beyond the most descriptors, too */
    if ((kind & 4) != 0) len = sizeof(Credentials);
    if ((kind & 8) != 0) len &= ~size_t{3};
    header.cmsg_len = CMSG_LEN(len);
    if (lie > 96 || lie < -96) header.cmsg_len += static_cast<size_t>(static_cast<ptrdiff_t>(lie));
    if (lie == 127) header.cmsg_len = SIZE_MAX;
    const size_t at = control.size();
    control.resize(at + CMSG_SPACE(len));
    std::memcpy(control.data() + at, &header, sizeof header);
    for (size_t i = 0; i < len; i++) {
      /* Descriptors are small numbers, now and then a negative one. */
      const bool small = i % 4 != 0 && (kind & 0x40) == 0;
      control[at + CMSG_LEN(0) + i] = small ? 0 : in.u8();
    }
    if ((kind & 0x80) != 0 && in.len() == 0) control.resize(at + CMSG_LEN(len)); /* no padding behind the last */
  }
  return control;
}

void check_decode(const std::vector<uint8_t> &control, size_t alignment, size_t room) {
  const Decoded expected = by_rules(control, room);
  /* Exactly as long as it is, so that a byte too far is seen. */
  const std::unique_ptr<uint8_t[]> memory(new uint8_t[control.size() + alignment]);
  if (!control.empty()) std::memcpy(memory.get() + alignment, control.data(), control.size());
  const std::unique_ptr<int32_t[]> descriptors(new int32_t[room]);
  ipc_ancillary got = {};
  got.size = sizeof got;
  got.descriptors = descriptors.get();
  got.descriptors_max = room;
  const ipc_status status = ipc_ancillary_decode(memory.get() + alignment, control.size(), &got);
  FUZZ_CHECK(status.code == expected.status, "status %d in place of %d", status.code, expected.status);
  FUZZ_CHECK(got.num_descriptors == expected.descriptors.size(), "%zu descriptors in place of %zu", got.num_descriptors,
             expected.descriptors.size());
  for (size_t i = 0; i < got.num_descriptors; i++) {
    FUZZ_CHECK(descriptors[i] == expected.descriptors[i], "descriptor %zu is another", i);
  }
  FUZZ_CHECK(((got.fields & IPC_ANCILLARY_CUT) != 0) == expected.cut, "cut is %d", !expected.cut);
  FUZZ_CHECK(((got.fields & IPC_ANCILLARY_CREDENTIALS) != 0) == expected.has_credentials, "credentials are %s",
             expected.has_credentials ? "missing" : "made up");
  if (expected.has_credentials) {
    const bool has_pid = (got.credentials.fields & IPC_CREDENTIALS_PID) != 0;
    FUZZ_CHECK(has_pid == (expected.credentials.pid > 0), "a process id of %d", expected.credentials.pid);
    FUZZ_CHECK(!has_pid || got.credentials.pid == static_cast<uint64_t>(expected.credentials.pid), "another process");
    FUZZ_CHECK(got.credentials.uid == expected.credentials.uid && got.credentials.gid == expected.credentials.gid,
               "another user or group");
  }
}

void check_round_trip(const Decoded &d, uint32_t fields) {
  ipc_ancillary sent = {};
  sent.size = sizeof sent;
  std::vector<int32_t> descriptors = d.descriptors;
  sent.descriptors = descriptors.data();
  sent.num_descriptors = descriptors.size();
  if (d.has_credentials) {
    sent.fields = IPC_ANCILLARY_CREDENTIALS;
    sent.credentials.fields = fields;
    sent.credentials.pid = static_cast<uint64_t>(d.credentials.pid < 0 ? 0 : d.credentials.pid);
    sent.credentials.uid = d.credentials.uid;
    sent.credentials.gid = d.credentials.gid;
  }
  uint8_t nothing;
  size_t needed, len;
  ipc_status status = ipc_ancillary_encode(&sent, &nothing, 0, &needed);
  const bool empty = descriptors.empty() && !d.has_credentials;
  FUZZ_CHECK(status.code == (empty ? IPC_OK : IPC_MESSAGE_TRUNCATED) && (needed == 0) == empty, "status %d",
             status.code);
  std::vector<uint8_t> control(needed);
  status = ipc_ancillary_encode(&sent, needed != 0 ? control.data() : &nothing, needed, &len);
  FUZZ_CHECK(status.code == IPC_OK && len == needed, "what is needed does not suffice: %d", status.code);
  const Decoded back = by_rules(control, IPC_ANCILLARY_DESCRIPTORS_MAX);
  FUZZ_CHECK(back.status == IPC_OK && back.descriptors == d.descriptors && back.has_credentials == d.has_credentials,
             "what is encoded is something else");
  if (d.has_credentials) {
    const pid_t pid = (fields & IPC_CREDENTIALS_PID) != 0 ? static_cast<pid_t>(sent.credentials.pid) : getpid();
    const uid_t uid = (fields & IPC_CREDENTIALS_UID) != 0 ? d.credentials.uid : geteuid();
    const gid_t gid = (fields & IPC_CREDENTIALS_GID) != 0 ? d.credentials.gid : getegid();
    FUZZ_CHECK(back.credentials.pid == pid && back.credentials.uid == uid && back.credentials.gid == gid,
               "other credentials");
  }
}

/* ------------------------------------------------------------------------------------------- what is no argument */

/* The decoder and the encoder refuse |a|; |control| is a buffer to decode. */
void check_refused_both(ipc_ancillary *a, const std::vector<uint8_t> &control) {
  uint8_t out[64];
  size_t len = 77;
  FUZZ_CHECK(ipc_ancillary_decode(control.data(), control.size(), a).code == IPC_INVALID_ARGUMENT, "decode");
  FUZZ_CHECK(ipc_ancillary_encode(a, out, sizeof out, &len).code == IPC_INVALID_ARGUMENT && len == 0, "encode");
}

/* The encoder refuses |a|. */
void check_refused_sent(const ipc_ancillary &a) {
  uint8_t out[64];
  size_t len = 77;
  FUZZ_CHECK(ipc_ancillary_encode(&a, out, sizeof out, &len).code == IPC_INVALID_ARGUMENT && len == 0, "encode");
}

void check_refused(const std::vector<uint8_t> &control, uint8_t byte) {
  int32_t descriptors[2] = {1, 2};
  ipc_ancillary sound = {};
  sound.size = sizeof sound;
  sound.descriptors = descriptors;
  sound.num_descriptors = sound.descriptors_max = 2;
  uint8_t out[64];
  size_t len = 77;
  check_refused_both(nullptr, control);
  FUZZ_CHECK(ipc_ancillary_decode(nullptr, 1, &sound).code == IPC_INVALID_ARGUMENT, "bytes that are not there");
  FUZZ_CHECK(ipc_ancillary_decode(nullptr, 0, &sound).code == IPC_OK, "no bytes");
  sound.num_descriptors = 2;
  FUZZ_CHECK(ipc_ancillary_encode(&sound, nullptr, 0, &len).code == IPC_INVALID_ARGUMENT && len == 0, "no room");
  FUZZ_CHECK(ipc_ancillary_encode(&sound, out, sizeof out, nullptr).code == IPC_INVALID_ARGUMENT, "no length");

  ipc_ancillary a = sound;
  a.size = sizeof a - 1 - byte % 8;
  check_refused_both(&a, control);
  a.size = 4097 + byte;
  check_refused_both(&a, control);
  /* Of a version to come: taken if it asks for nothing that this one does not know. */
  struct {
    ipc_ancillary known;
    uint8_t more[8];
  } longer = {sound, {}};
  longer.known.size = sizeof longer;
  FUZZ_CHECK(ipc_ancillary_encode(&longer.known, out, sizeof out, &len).code == IPC_OK, "zeros of a version to come");
  longer.more[byte % 8] = 1;
  check_refused_both(&longer.known, control);
  a = sound;
  a.num_descriptors = a.descriptors_max = IPC_ANCILLARY_DESCRIPTORS_MAX + 1;
  check_refused_both(&a, control);
  a = sound;
  a.descriptors = nullptr;
  check_refused_both(&a, control);

  a = sound;
  a.fields = IPC_ANCILLARY_CUT;
  check_refused_sent(a);
  a = sound;
  a.fields = IPC_ANCILLARY_CREDENTIALS;
  a.credentials.fields = 0x80000000u;
  check_refused_sent(a);
  a.credentials.fields = IPC_CREDENTIALS_PID;
  a.credentials.pid = UINT64_MAX - byte;
  check_refused_sent(a);
  descriptors[byte % 2] = -1 - byte;
  check_refused_sent(sound);
}

/* ------------------------------------------------------------------------------------------- a system that hands over
 */

/* What recvmsg(2), which this file defines, hands over. */
struct Handed {
  bool active = false;
  std::vector<uint8_t> control;
  bool knows_flag = false; /* to close on exec: done, and given back */
  bool refuses_flag = false;
  bool cut = false;
};
Handed handed;

void put(std::vector<uint8_t> *control, int type, const void *payload, size_t len) {
  cmsghdr header = {};
  header.cmsg_level = SOL_SOCKET;
  header.cmsg_type = type;
  header.cmsg_len = CMSG_LEN(len);
  const size_t at = control->size();
  control->resize(at + CMSG_SPACE(len));
  std::memcpy(control->data() + at, &header, sizeof header);
  std::memcpy(control->data() + at + CMSG_LEN(0), payload, len);
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

/* A system hands over what |in| says, as far as there is room. */
void check_handed(Input in, size_t room) {
  const uint8_t what = in.u8();
  size_t num = what & 7;
  if (room > 7) room %= 8;
  handed = Handed{};
  handed.knows_flag = (what & 0x08) != 0;
  handed.refuses_flag = !handed.knows_flag && (what & 0x10) != 0;
  handed.cut = (what & 0x80) != 0;
  const std::vector<uint8_t> credentials(ipc_system_credentials_size, in.u8());
  const auto open_one = [] {
    const int fd = fcntl(STDERR_FILENO, handed.knows_flag ? F_DUPFD_CLOEXEC : F_DUPFD, 3);
    FUZZ_CHECK(fd >= 0, "no descriptor: %d", errno);
    return fd;
  };
  if ((what & 0x20) != 0) put(&handed.control, ipc_system_credentials_type, credentials.data(), credentials.size());
  std::vector<int32_t> came;
  const size_t control_max = CMSG_SPACE(room * sizeof came[0]) + CMSG_SPACE(ipc_system_credentials_size) +
                             CMSG_SPACE(sizeof came[0]); /* as ipc_control_receive gives */
  const size_t others = handed.control.size() + ((what & 0x40) != 0 ? CMSG_SPACE(sizeof came[0]) : 0);
  for (; num != 0 && others + CMSG_SPACE(num * sizeof came[0]) > control_max; num--) handed.cut = true;
  for (size_t i = 0; i < num; i++) came.push_back(open_one());
  int32_t added = -1;
  if ((what & 0x40) != 0) {
    added = open_one();
    put(&handed.control, ipc_system_added_descriptor_type, &added, sizeof added);
  }
  if (num != 0) put(&handed.control, SCM_RIGHTS, came.data(), num * sizeof came[0]);

  int32_t descriptors[8];
  ipc_ancillary got = {};
  got.size = sizeof got;
  got.descriptors = descriptors;
  got.descriptors_max = room;
  FUZZ_CHECK(ipc_control_check_room(&got).code == IPC_OK, "room is refused");
  msghdr message = {};
  handed.active = true;
  const ssize_t n = ipc_control_receive(-1, &message, 0, &got);
  handed.active = false;
  FUZZ_CHECK(n == 1, "%zd bytes", n);
  FUZZ_CHECK(got.num_descriptors == (num < room ? num : room), "%zu descriptors of %zu in room for %zu",
             got.num_descriptors, num, room);
  FUZZ_CHECK(((got.fields & IPC_ANCILLARY_CUT) != 0) == (handed.cut || num > room), "cut is told wrong");
  FUZZ_CHECK(((got.fields & IPC_ANCILLARY_CREDENTIALS) != 0) == ((what & 0x20) != 0), "credentials are told wrong");
  for (size_t i = 0; i < num; i++) {
    const bool kept = i < got.num_descriptors;
    FUZZ_CHECK(is_open(came[i]) == kept, "descriptor %zu of %zu is %s", i, num, kept ? "closed" : "open");
    if (!kept) continue;
    FUZZ_CHECK(descriptors[i] == came[i], "descriptor %zu is another", i);
    FUZZ_CHECK((fcntl(came[i], F_GETFD) & FD_CLOEXEC) != 0, "descriptor %zu outlives exec", i);
    close(came[i]);
  }
  FUZZ_CHECK(added < 0 || !is_open(added), "the descriptor that nobody asked for is open");
  FUZZ_CHECK(ipc_system_pass_credentials(-1, (what & 0x20) != 0) != 0, "what is no socket passes credentials");
}

}  // namespace
}  // namespace fuzz

/* In place of the system's. Nothing but check_handed receives anything in this program. */
extern "C" ssize_t recvmsg(int, msghdr *message, int flags) {
  using fuzz::handed;
  FUZZ_CHECK(handed.active, "somebody receives");
  if (handed.refuses_flag && (flags & ipc_system_cloexec_flag) != 0) {
    errno = EINVAL;
    return -1;
  }
  FUZZ_CHECK(message->msg_controllen >= handed.control.size(), "room for %zu bytes of %zu",
             static_cast<size_t>(message->msg_controllen), handed.control.size());
  if (!handed.control.empty()) std::memcpy(message->msg_control, handed.control.data(), handed.control.size());
  message->msg_controllen = static_cast<decltype(message->msg_controllen)>(handed.control.size());
  message->msg_flags = (handed.cut ? MSG_CTRUNC : 0) | (handed.knows_flag ? ipc_system_cloexec_flag : 0);
  return 1;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  Input in(data, len);
  const uint8_t how = in.u8(), layout = in.u8();
  const bool script = (how & 1) != 0;
  const size_t alignment = layout % 8;
  size_t room = in.u8();
  if (room > IPC_ANCILLARY_DESCRIPTORS_MAX) room = IPC_ANCILLARY_DESCRIPTORS_MAX;
  const std::vector<uint8_t> control = script ? from_script(in) : std::vector<uint8_t>(in.data(), in.data() + in.len());
  check_decode(control, alignment, room);
  check_round_trip(by_rules(control, room),
                   layout >> 3 & (IPC_CREDENTIALS_PID | IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID));
  check_refused(control, layout);
  if ((how & 2) != 0) check_handed(in, room);
  return 0;
}
