/* control.c - credentials in control messages, and the flags and options around them, on Linux. */
#define _GNU_SOURCE

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ref/posix/system.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 4 /* Linux 6.5 */
#endif

const int ipc_system_cloexec_flag = MSG_CMSG_CLOEXEC;
const int ipc_system_credentials_type = SCM_CREDENTIALS;
const size_t ipc_system_credentials_size = sizeof(struct ucred);
const int ipc_system_added_descriptor_type = SCM_PIDFD;

_Static_assert(sizeof(struct ucred) <= IPC_SYSTEM_CREDENTIALS_SIZE_MAX, "room for credentials");

int32_t ipc_system_credentials_check(const ipc_credentials *credentials) {
  bool expressible = (credentials->fields & IPC_CREDENTIALS_PID) == 0 || credentials->pid <= INT_MAX;
  return expressible ? IPC_OK : IPC_INVALID_ARGUMENT;
}

void ipc_system_credentials_encode(const ipc_credentials *credentials, void *out_payload) {
  uint32_t fields = credentials->fields;
  struct ucred given = {
      .pid = (fields & IPC_CREDENTIALS_PID) != 0 ? (pid_t)credentials->pid : getpid(),
      .uid = (fields & IPC_CREDENTIALS_UID) != 0 ? credentials->uid : geteuid(),
      .gid = (fields & IPC_CREDENTIALS_GID) != 0 ? credentials->gid : getegid(),
  };
  memcpy(out_payload, &given, sizeof given);
}

void ipc_system_credentials_decode(const void *payload, ipc_credentials *out_credentials) {
  struct ucred came;
  memcpy(&came, payload, sizeof came);
  *out_credentials =
      (ipc_credentials){.fields = IPC_CREDENTIALS_UID | IPC_CREDENTIALS_GID, .uid = came.uid, .gid = came.gid};
  /* 0: the sender lives in a PID namespace that this process cannot see, or the bytes were sent before anybody asked.
   */
  if (came.pid > 0) {
    out_credentials->fields |= IPC_CREDENTIALS_PID;
    out_credentials->pid = (uint64_t)came.pid;
  }
}

int ipc_system_pass_credentials(int fd, bool pass) {
  int on = pass ? 1 : 0;
  return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 ? 0 : errno;
}
