/* control.c - credentials in control messages on macOS and FreeBSD: none.
 *
 * macOS has no such message. FreeBSD's cmsgcred is filled by the kernel with what the sender is, whatever it gives, and
 * its sockcred2 has a size that depends on the receiver; neither is what ipc/ancillary.h promises.
 *
 * Sources: unix(4) of both.
 */
#include <errno.h>
#include <sys/socket.h>

#include "ref/posix/system.h"

#ifdef MSG_CMSG_CLOEXEC
const int ipc_system_cloexec_flag = MSG_CMSG_CLOEXEC;
#else
const int ipc_system_cloexec_flag = 0;
#endif
const int ipc_system_credentials_type = -1;
const size_t ipc_system_credentials_size = 0;
const int ipc_system_added_descriptor_type = -1;

int32_t ipc_system_credentials_check(const ipc_credentials *credentials) {
  (void)credentials;
  return IPC_UNSUPPORTED;
}

void ipc_system_credentials_encode(const ipc_credentials *credentials, void *out_payload) {
  (void)credentials;
  (void)out_payload;
}

void ipc_system_credentials_decode(const void *payload, ipc_credentials *out_credentials) {
  (void)payload;
  *out_credentials = (ipc_credentials){0};
}

int ipc_system_pass_credentials(int fd, bool pass) {
  (void)fd;
  (void)pass;
  return EOPNOTSUPP;
}
