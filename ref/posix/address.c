/* address.c - native names to socket addresses and back. */
#define _POSIX_C_SOURCE 200809L

#include "ref/posix/address.h"

#include <string.h>

enum { PATH_OFFSET = offsetof(struct sockaddr_un, sun_path) };

ipc_status ipc_address_init(ipc_address *address, const ipc_name *name) {
  memset(address, 0, sizeof *address);
  address->socket.un.sun_family = AF_UNIX;
  size_t len;
  ipc_status status =
      ipc_name_native(name, IPC_OS_THIS, address->socket.un.sun_path, sizeof address->socket.un.sun_path, &len);
  if (status.code != IPC_OK) return status;
  bool is_path = address->socket.un.sun_path[0] != '\0';
  address->len = (socklen_t)(PATH_OFFSET + len + (is_path ? 1 : 0));
  return status;
}

void ipc_address_native(const ipc_address *address, const unsigned char **out_data, size_t *out_len) {
  size_t total = address->len < sizeof address->socket ? address->len : sizeof address->socket;
  size_t len = total > PATH_OFFSET ? total - PATH_OFFSET : 0;
  const unsigned char *data = address->socket.bytes + PATH_OFFSET;
  if (len != 0 && data[0] != 0) {
    const unsigned char *nul = memchr(data, 0, len);
    if (nul != NULL) len = (size_t)(nul - data);
  }
  *out_data = data;
  *out_len = len;
}

const char *ipc_address_path(const ipc_address *address) {
  const char *path = address->socket.un.sun_path;
  return path[0] != '\0' ? path : NULL;
}
