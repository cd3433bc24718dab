/* ancillary_decode - any bytes as a control buffer, at any alignment.
 *
 * What holds for every input: the decoder says what a walk with the system's own macros over an aligned copy says; it
 * stays within the bytes and within the room it is given; what is encoded decodes to what was given, in exactly the
 * room that was said to be needed.
 *
 * The input: how the buffer is made (1 from a script of control messages, else the bytes themselves), its alignment,
 * the room for descriptors; then the bytes, or the script: kind, length of the payload, how much the length lies,
 * payload.
 */
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <vector>

#include "fuzz/input.h"
#include "ipc/ancillary.h"

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

void check_round_trip(const Decoded &d) {
  ipc_ancillary sent = {};
  sent.size = sizeof sent;
  std::vector<int32_t> descriptors = d.descriptors;
  sent.descriptors = descriptors.data();
  sent.num_descriptors = descriptors.size();
  if (d.has_credentials) {
    sent.fields = IPC_ANCILLARY_CREDENTIALS;
    sent.credentials.fields = IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID;
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
    FUZZ_CHECK(back.credentials.pid == getpid() && back.credentials.uid == d.credentials.uid &&
                   back.credentials.gid == d.credentials.gid,
               "other credentials");
  }
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  Input in(data, len);
  const bool script = (in.u8() & 1) != 0;
  const size_t alignment = in.u8() % 8;
  size_t room = in.u8();
  if (room > IPC_ANCILLARY_DESCRIPTORS_MAX) room = IPC_ANCILLARY_DESCRIPTORS_MAX;
  const std::vector<uint8_t> control = script ? from_script(in) : std::vector<uint8_t>(in.data(), in.data() + in.len());
  check_decode(control, alignment, room);
  check_round_trip(by_rules(control, room));
  return 0;
}
