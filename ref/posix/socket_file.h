/* socket_file.h - the file that a bound path leaves in the file system: remembering, removing, replacing it. */
#ifndef REF_POSIX_SOCKET_FILE_H
#define REF_POSIX_SOCKET_FILE_H

#include <sys/stat.h>
#include <sys/types.h>

#include "ipc/status.h"
#include "ref/posix/address.h"
#include "ref/posix/trusted_path.h"

/* Which file a listener or socket made. `path` NULL: none. */
typedef struct ipc_socket_file {
  char *path;  /* absolute where that could be found out; owned */
  pid_t owner; /* the process that bound it: a child of fork must not remove it */
  dev_t device;
  ino_t inode;
} ipc_socket_file;

/* ipc_socket_file_init notes |path|, before it is bound: made absolute, so that a later change of the working directory
 * does not change what it means. IPC_OK or IPC_OUT_OF_RESOURCES. */
ipc_status ipc_socket_file_init(ipc_socket_file *file, const char *path);

/* ipc_socket_file_identify notes which file is at |place| now, right after it was bound. IPC_OK, or what the look said.
 */
ipc_status ipc_socket_file_identify(ipc_socket_file *file, const ipc_place *place);

/* ipc_socket_file_set_mode gives the file at |place| |mode| if the umask took bits of it; never through a symbolic
 * link. */
ipc_status ipc_socket_file_set_mode(const ipc_place *place, mode_t mode);

/* ipc_socket_file_remove removes the file if its path still leads to that very file, and forgets it. Look and removal
 * happen in one opened directory, so that nothing is removed from another that takes its name in between. A path that
 * somebody else could lead elsewhere by now (trusted_path.h) is not followed. Only a process that has no descriptor
 * left for that goes by the path. To be called while the socket is still open: that keeps the inode number from being
 * given to another file, and other processes from taking the name for one left behind. */
void ipc_socket_file_remove(ipc_socket_file *file);

/* ipc_socket_file_forget leaves the file where it is. */
void ipc_socket_file_forget(ipc_socket_file *file);

/* ipc_socket_file_occupied says what is at a place that could not be bound: IPC_IN_USE (a socket), IPC_ALREADY_EXISTS
 * (anything else, a symbolic link included), or what the look said (IPC_NOT_FOUND: it has just gone). */
ipc_status ipc_socket_file_occupied(const ipc_place *place);

/* ipc_socket_file_reclaim removes the socket file at |address|, whose place is |place|, if no process has a socket
 * bound to it any more. On IPC_OK |*out_lock| is held until ipc_socket_file_unlock, so that a second process that
 * reclaims in the same directory waits for what the caller binds there.
 *
 *   IPC_OK
 *   IPC_IN_USE             a socket lives there
 *   IPC_ALREADY_EXISTS     something that is no socket
 *   IPC_NOT_FOUND          nothing is there any more
 *   IPC_BUSY               another process reclaims in this directory, or the file changed meanwhile
 *   IPC_PERMISSION_DENIED  the directory or the socket does not let this process look
 *   IPC_OUT_OF_RESOURCES, IPC_FAILED
 *
 * A file is removed only if it is one and the same before and after a process with the lock found nobody behind it.
 * Between that and its removal only a program that unlinks foreign sockets and takes no lock could put another there.
 */
ipc_status ipc_socket_file_reclaim(const ipc_address *address, const ipc_place *place, int *out_lock);

/* ipc_socket_file_unlock ends what ipc_socket_file_reclaim began. */
void ipc_socket_file_unlock(int lock);

#endif /* REF_POSIX_SOCKET_FILE_H */
