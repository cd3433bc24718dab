/* name.h - names of local sockets, and what each system makes of them.
 *
 * A local socket name is a kind and bytes. Every function here is pure: it touches no file and no socket, so the rules
 * of every system can be tested on each. spec/naming.md holds the requirements.
 *
 *                  path                               namespaced
 *   Linux          a file path, at most 107 bytes     abstract: NUL and the name, at most 107 bytes of name
 *   macOS, FreeBSD a file path, at most 103 bytes     IPC_UNSUPPORTED
 *   Windows        IPC_UNSUPPORTED                    \\.\pipe\ and the name, at most 256 UTF-16 units together
 *
 * Sources: unix(7); FreeBSD and XNU unix(4); Microsoft, "CreateNamedPipeA function", "Pipe Names" and "Naming Files,
 * Paths, and Namespaces".
 */
#ifndef IPC_NAME_H
#define IPC_NAME_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of names. IPC_NAME_NATIVE is an address exactly as a system binds it: what ipc_name_native and
 * ipc_listener_native give, for ipc_local_connect and ipc_local_listen to take without any mapping. */
enum { IPC_NAME_PATH = 1, IPC_NAME_NAMESPACED = 2, IPC_NAME_NATIVE = 3 };

/* A name. Bytes, not text: no encoding is assumed but on Windows, where they are WTF-8. */
typedef struct ipc_name {
  uint32_t kind;    /* IPC_NAME_* */
  const void *data; /* the caller's; need not end in NUL */
  size_t len;       /* bytes */
} ipc_name;

/* ipc_name_parse splits a textual name: a leading `@` means namespaced and is taken off, anything else is a path. It
 * writes the kind to |*out_kind| and the name, at most |name_max| bytes, to |out_name|, and its length to |*out_len|.
 *
 *   IPC_OK
 *   IPC_INVALID_NAME       empty text, `@` alone, or a NUL byte inside
 *   IPC_MESSAGE_TRUNCATED  |name_max| is smaller than the name: nothing is written but |*out_len|, the room needed
 *   IPC_INVALID_ARGUMENT   a NULL pointer
 */
ipc_status ipc_name_parse(const void *text, size_t text_len, uint32_t *out_kind, void *out_name, size_t name_max,
                          size_t *out_len);

/* ipc_name_format writes the canonical text of |name|: what ipc_name_parse takes apart into the same kind and a name
 * of the same meaning. A namespaced name gets its `@`; a path that begins with `@` gets `./` in front, so that no two
 * different names share a text. Statuses as ipc_name_parse; IPC_NAME_NATIVE is IPC_INVALID_ARGUMENT. */
ipc_status ipc_name_format(const ipc_name *name, void *out_text, size_t text_max, size_t *out_len);

/* ipc_name_native validates |name| by the rules of |os| (IPC_OS_*) and writes the address that this system binds:
 * a path, or NUL and the abstract name, or `\\.\pipe\` and the name (WTF-8).
 *
 *   IPC_OK
 *   IPC_INVALID_NAME       empty; a NUL byte inside; on Windows: not WTF-8, a slash or backslash, `.` or `..`, or a
 *                          dot or space at the end (the system would drop it and two names would be one)
 *   IPC_NAME_TOO_LONG      longer than ipc_name_limit says; nothing is ever cut
 *   IPC_UNSUPPORTED        the system has no names of this kind
 *   IPC_MESSAGE_TRUNCATED  |native_max| is too small: nothing is written but |*out_len|, the room needed
 *   IPC_INVALID_ARGUMENT   a NULL pointer, an unknown kind or system
 *
 * A native name is checked for its length and form and given back unchanged. */
ipc_status ipc_name_native(const ipc_name *name, uint32_t os, void *out_native, size_t native_max, size_t *out_len);

/* ipc_name_limit writes the length of the longest name of |kind| (path or namespaced) on |os| to |*out_max|: in bytes,
 * on Windows in UTF-16 units. IPC_OK, IPC_UNSUPPORTED (no such kind there), IPC_INVALID_ARGUMENT. */
ipc_status ipc_name_limit(uint32_t kind, uint32_t os, size_t *out_max);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_NAME_H */
