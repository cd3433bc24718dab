/* address.h - native names and socket addresses, one made of the other without losing a byte. */
#ifndef REF_POSIX_ADDRESS_H
#define REF_POSIX_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "ipc/name.h"

/* An address of the local family. It has room for more than sun_path: a system that binds a path without its NUL
 * reports it with one behind the end of sockaddr_un. */
typedef struct ipc_address {
  union {
    struct sockaddr any;
    struct sockaddr_un un;
    unsigned char bytes[sizeof(struct sockaddr_un) + 16];
  } socket;
  socklen_t len; /* bytes of `socket` that count */
} ipc_address;

/* ipc_address_init fills |address| from |name|. Statuses as ipc_name_native. A path ends in NUL; an abstract address
 * has exactly the length of its name, because each further byte would be part of it. */
ipc_status ipc_address_init(ipc_address *address, const ipc_name *name);

/* ipc_address_native gives the native name: |*out_data| points into |address|. Length 0: the socket has none. */
void ipc_address_native(const ipc_address *address, const unsigned char **out_data, size_t *out_len);

/* ipc_address_path is the path as a string, or NULL if |address|, made by ipc_address_init, names no file. */
const char *ipc_address_path(const ipc_address *address);

#endif /* REF_POSIX_ADDRESS_H */
