/* control.c - control buffers: making them, taking them apart, and receiving descriptors without losing one.
 *
 * A control buffer is a row of control messages: a header with the length of both, then the payload, then padding to
 * the alignment of the next header. Both sides go through it by offsets and copies, never by pointers into it, so that
 * bytes of any origin and alignment are safe. The macros of <sys/socket.h> serve for arithmetic alone: CMSG_LEN(0) is
 * where the payload begins, CMSG_SPACE(n) is how far the next header is.
 */
#include "ref/posix/extensions.h"

#include "ref/posix/control.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "ref/common/platform.h"
#include "ref/posix/descriptor.h"

enum {
  STRUCT_SIZE_MAX = 4096, /* of an ipc_ancillary of any version to come */
  KNOWN_CREDENTIALS = IPC_CREDENTIALS_PID | IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID,
};

/* ----------------------------------------------------------------------------------------------- checks */

/* A newer program that asks for nothing new has zeros in what this version does not know. */
static bool size_is_known(const ipc_ancillary *ancillary) {
  if (ancillary->size < sizeof *ancillary || ancillary->size > STRUCT_SIZE_MAX) return false;
  const unsigned char *bytes = (const unsigned char *)ancillary;
  for (size_t i = sizeof *ancillary; i < ancillary->size; i++) {
    if (bytes[i] != 0) return false;
  }
  return true;
}

ipc_status ipc_control_check_sent(const ipc_ancillary *ancillary) {
  ipc_status invalid = ipc_status_of(IPC_INVALID_ARGUMENT);
  if (ancillary == NULL || !size_is_known(ancillary)) return invalid;
  if ((ancillary->fields & ~(uint32_t)IPC_ANCILLARY_CREDENTIALS) != 0) return invalid;
  size_t num = ancillary->num_descriptors;
  if (num > IPC_ANCILLARY_DESCRIPTORS_MAX || (num != 0 && ancillary->descriptors == NULL)) return invalid;
  for (size_t i = 0; i < num; i++) {
    if (ancillary->descriptors[i] < 0) return invalid;
  }
  if ((ancillary->fields & IPC_ANCILLARY_CREDENTIALS) == 0) return ipc_status_of(IPC_OK);
  if ((ancillary->credentials.fields & ~(uint32_t)KNOWN_CREDENTIALS) != 0) return invalid;
  return ipc_status_of(ipc_system_credentials_check(&ancillary->credentials));
}

void ipc_control_clear(ipc_ancillary *ancillary) {
  ancillary->fields = 0;
  ancillary->num_descriptors = 0;
  ancillary->credentials = (ipc_credentials){0};
}

ipc_status ipc_control_check_room(ipc_ancillary *ancillary) {
  if (ancillary == NULL || !size_is_known(ancillary)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  size_t max = ancillary->descriptors_max;
  if (max > IPC_ANCILLARY_DESCRIPTORS_MAX || (max != 0 && ancillary->descriptors == NULL)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_control_clear(ancillary);
  return ipc_status_of(IPC_OK);
}

/* ----------------------------------------------------------------------------------------------- making */

static size_t encoded_len(const ipc_ancillary *ancillary) {
  size_t len = 0;
  if (ancillary->num_descriptors != 0) len += CMSG_SPACE(ancillary->num_descriptors * sizeof(int32_t));
  if ((ancillary->fields & IPC_ANCILLARY_CREDENTIALS) != 0) len += CMSG_SPACE(ipc_system_credentials_size);
  return len;
}

/* Writes one control message at |out|, which is zeroed and has room, and gives where the next one goes. */
static unsigned char *put_message(unsigned char *out, int type, const void *payload, size_t len) {
  struct cmsghdr header = {.cmsg_len = CMSG_LEN(len), .cmsg_level = SOL_SOCKET, .cmsg_type = type};
  memcpy(out, &header, sizeof header);
  memcpy(out + CMSG_LEN(0), payload, len);
  return out + CMSG_SPACE(len);
}

ipc_status ipc_control_encode(const ipc_ancillary *ancillary, void *out_control, size_t control_max, size_t *out_len) {
  size_t len = encoded_len(ancillary);
  *out_len = len;
  if (len > control_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  if (len == 0) return ipc_status_of(IPC_OK);
  memset(out_control, 0, len);
  unsigned char *out = out_control;
  if (ancillary->num_descriptors != 0) {
    out = put_message(out, SCM_RIGHTS, ancillary->descriptors, ancillary->num_descriptors * sizeof(int32_t));
  }
  if ((ancillary->fields & IPC_ANCILLARY_CREDENTIALS) != 0) {
    unsigned char payload[IPC_SYSTEM_CREDENTIALS_SIZE_MAX];
    ipc_system_credentials_encode(&ancillary->credentials, payload);
    (void)put_message(out, ipc_system_credentials_type, payload, ipc_system_credentials_size);
  }
  return ipc_status_of(IPC_OK);
}

void ipc_control_put(ipc_control *control, const ipc_ancillary *ancillary, struct msghdr *message) {
  size_t len;
  (void)ipc_control_encode(ancillary, control->bytes, sizeof control->bytes, &len); /* there is room for everything */
  message->msg_control = len != 0 ? control->bytes : NULL;
  message->msg_controllen = len;
}

/* ----------------------------------------------------------------------------------------- taking apart */

/* What is left to take apart, and the control message at the front of it. */
typedef struct cursor {
  const unsigned char *bytes;
  size_t left;
  int level;
  int type;
  const unsigned char *payload;
  size_t len; /* of the payload */
  bool clip;  /* a payload that reaches beyond the bytes is what there is of it: some systems leave the length of a
                 message that they have cut as it was */
} cursor;

/* Goes to the next control message: IPC_OK, IPC_END, or IPC_MALFORMED. Fewer bytes than a header are none, and the
 * padding behind the last one may be missing, as CMSG_NXTHDR has it. */
static int32_t next_message(cursor *c) {
  const size_t header_len = CMSG_LEN(0);
  struct cmsghdr header;
  if (c->left < header_len) return IPC_END;
  memcpy(&header, c->bytes, sizeof header);
  size_t message_len = header.cmsg_len;
  if (c->clip && message_len > c->left) message_len = c->left;
  if (message_len < header_len || message_len > c->left) return IPC_MALFORMED;
  c->level = header.cmsg_level;
  c->type = header.cmsg_type;
  c->payload = c->bytes + header_len;
  c->len = message_len - header_len;
  size_t step = CMSG_SPACE(c->len);
  if (step > c->left) step = c->left;
  c->bytes += step;
  c->left -= step;
  return IPC_OK;
}

/* The descriptors of one control message. Those beyond the room are closed if they are |owned|, open in this process.
 */
static int32_t take_descriptors(const cursor *c, ipc_ancillary *ancillary, bool owned) {
  int32_t fd;
  for (size_t offset = 0; offset + sizeof fd <= c->len; offset += sizeof fd) {
    memcpy(&fd, c->payload + offset, sizeof fd);
    if (fd < 0) return IPC_MALFORMED;
    if (ancillary->num_descriptors < ancillary->descriptors_max) {
      ancillary->descriptors[ancillary->num_descriptors++] = fd;
    } else {
      ancillary->fields |= IPC_ANCILLARY_CUT;
      if (owned) (void)close(fd);
    }
  }
  return c->len % sizeof fd == 0 ? IPC_OK : IPC_MALFORMED;
}

/* A descriptor that the system added unasked for by this library, because somebody set an option on the socket. */
static void close_added(const cursor *c) {
  int32_t fd;
  if (c->len != sizeof fd) return;
  memcpy(&fd, c->payload, sizeof fd);
  if (fd >= 0) (void)close(fd);
}

static int32_t take_message(const cursor *c, ipc_ancillary *ancillary, bool owned) {
  if (c->level != SOL_SOCKET) return IPC_OK;
  if (c->type == SCM_RIGHTS) return take_descriptors(c, ancillary, owned);
  if (c->type == ipc_system_credentials_type) {
    if (c->len != ipc_system_credentials_size) return IPC_MALFORMED;
    ipc_system_credentials_decode(c->payload, &ancillary->credentials);
    ancillary->fields |= IPC_ANCILLARY_CREDENTIALS;
  } else if (owned && c->type == ipc_system_added_descriptor_type) {
    close_added(c);
  }
  return IPC_OK;
}

static int32_t take_all(const void *control, size_t len, ipc_ancillary *ancillary, bool owned) {
  cursor c = {.bytes = control, .left = len, .clip = owned};
  for (;;) {
    int32_t code = next_message(&c);
    if (code == IPC_OK) code = take_message(&c, ancillary, owned);
    if (code != IPC_OK) return code == IPC_END ? IPC_OK : code;
  }
}

ipc_status ipc_control_decode(const void *control, size_t control_len, ipc_ancillary *ancillary) {
  return ipc_status_of(take_all(control, control_len, ancillary, false));
}

/* -------------------------------------------------------------------------------------------- receiving */

/* How much room to give the system. Credentials come before the descriptors, asked for or not, so they always have
 * room; if they do not come, more descriptors fit than are wanted, and take_all closes those. */
static size_t room_for(const ipc_ancillary *ancillary) {
  return CMSG_SPACE(ancillary->descriptors_max * sizeof(int32_t)) + CMSG_SPACE(ipc_system_credentials_size) +
         CMSG_SPACE(sizeof(int32_t));
}

/* The flag is an unknown one to some systems: they ignore it, and show that by not giving it back, or refuse it. */
static ssize_t receive(int fd, struct msghdr *message, int flags) {
  ssize_t n = recvmsg(fd, message, flags | ipc_system_cloexec_flag);
  if (n < 0 && errno == EINVAL && ipc_system_cloexec_flag != 0) n = recvmsg(fd, message, flags);
  return n;
}

/* Behind a receive that did not do it. Another thread's fork and exec in between inherits the descriptors; there is no
 * way to prevent that then. */
static void set_close_on_exec(const ipc_ancillary *ancillary) {
  for (size_t i = 0; i < ancillary->num_descriptors; i++) {
    (void)ipc_descriptor_set_cloexec(ancillary->descriptors[i]);
  }
}

ssize_t ipc_control_receive(int fd, struct msghdr *message, int flags, ipc_ancillary *ancillary) {
  ipc_control control;
  message->msg_control = control.bytes;
  message->msg_controllen = room_for(ancillary);
  ssize_t n = receive(fd, message, flags);
  if (n >= 0) {
    (void)take_all(control.bytes, message->msg_controllen, ancillary, true); /* the system's own is well formed */
    if ((message->msg_flags & MSG_CTRUNC) != 0) ancillary->fields |= IPC_ANCILLARY_CUT;
    if (ipc_system_cloexec_flag == 0 || (message->msg_flags & ipc_system_cloexec_flag) == 0) {
      set_close_on_exec(ancillary);
    }
  }
  message->msg_control = NULL;
  message->msg_controllen = 0;
  return n;
}
