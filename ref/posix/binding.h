/* binding.h - giving a socket its name: what ipc_local_listen, ipc_unix_listen and ipc_socket_bind have in common. */
#ifndef REF_POSIX_BINDING_H
#define REF_POSIX_BINDING_H

#include <stdbool.h>

#include "ipc/local.h"
#include "ref/posix/socket_file.h"

/* ipc_binding_options copies what this version knows of |given|, which may be NULL. False if there is something in it
 * that this version does not know: a newer program that asks for nothing new has zeros there. */
bool ipc_binding_options(const ipc_local_listen_options *given, ipc_local_listen_options *out_options);

/* ipc_binding_address fills |address| from |name|, and |*out_bound_to| with it; NULL, which stands for a name that the
 * system chooses, gives NULL. Statuses as ipc_name_native. */
ipc_status ipc_binding_address(const ipc_name *name, ipc_address *address, const ipc_address **out_bound_to);

/* ipc_binding_bind binds |fd|, which nobody shares yet, to |address| (NULL: the system chooses) and gives the file, if
 * it makes one, its bits. With them nobody has been able to reach the socket before. On IPC_OK |*out_file| is the
 * caller's; ipc_socket_file_remove takes everything back. IPC_LISTEN_KEEP_NAME is the caller's matter, too: it forgets
 * the file once nothing can fail any more. Statuses as ipc_local_listen. */
ipc_status ipc_binding_bind(int fd, const ipc_address *address, const ipc_local_listen_options *options,
                            ipc_socket_file *out_file);

#endif /* REF_POSIX_BINDING_H */
