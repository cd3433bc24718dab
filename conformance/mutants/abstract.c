/* abstract.c - broken abstract names. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

enum { NAME_ROOM = 128 };

static bool is_abstract(const ipc_name *name) {
  return name != NULL && name->kind == IPC_NAME_NATIVE && name->len > 1 && *(const char *)name->data == 0;
}

/* up_to_second_nul is the abstract name cut where a C string would end behind its first byte. */
static ipc_name up_to_second_nul(const ipc_name *name) {
  ipc_name cut = *name;
  const char *data = name->data;
  const char *nul = name->len > 2 ? memchr(data + 2, 0, name->len - 2) : NULL;
  if (nul != NULL && nul + 1 < data + name->len) cut.len = (size_t)(nul - data);
  return cut;
}

static ipc_status listens_up_to_a_nul(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                      ipc_listener **out_listener) {
  if (!is_abstract(name) || ((const char *)name->data)[1] == 0)
    return ipc_unix_listen(name, type, options, out_listener);
  const ipc_name cut = up_to_second_nul(name);
  return ipc_unix_listen(&cut, type, options, out_listener);
}
REPLACES(unix_listen, listens_up_to_a_nul)

/* without_trailing_nuls is the abstract name without the NULs at its end. */
static ipc_name without_trailing_nuls(const ipc_name *name) {
  ipc_name cut = *name;
  const char *data = name->data;
  while (cut.len > 2 && data[cut.len - 1] == 0) cut.len--;
  return cut;
}

static ipc_status connects_without_trailing_nuls(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  if (!is_abstract(name)) return ipc_local_connect(name, timeout_ms, out_stream);
  const ipc_name cut = without_trailing_nuls(name);
  return ipc_local_connect(&cut, timeout_ms, out_stream);
}
REPLACES(local_connect, connects_without_trailing_nuls)

static ipc_status refuses_a_leading_nul(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                        ipc_listener **out_listener) {
  if (is_abstract(name) && ((const char *)name->data)[1] == 0) return mutant_status(IPC_INVALID_NAME);
  return ipc_unix_listen(name, type, options, out_listener);
}
REPLACES(unix_listen, refuses_a_leading_nul)

static ipc_status cuts_a_long_name(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_name cut = *name;
  if (is_abstract(name) && cut.len > 108) cut.len = 108;
  return ipc_local_connect(&cut, timeout_ms, out_stream);
}
REPLACES(local_connect, cuts_a_long_name)

static ipc_status removes_the_file_of_that_name(ipc_listener *listener) {
  char name[NAME_ROOM] = {0};
  size_t len = 0;
  if (ipc_listener_native(listener, name, NAME_ROOM - 1, &len).code == IPC_OK && len > 1 && name[0] == 0 &&
      name[1] == '/')
    unlink(name + 1);
  return ipc_listener_close(listener);
}
REPLACES(listener_close, removes_the_file_of_that_name)

/* A stream holds the listening socket until it is closed. */
static ipc_status takes_the_listener_along(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  ipc_status status = ipc_listener_accept(listener, timeout_ms, out_stream);
  if (status.code == IPC_OK)
    mutant_remember(*out_stream, (uint64_t)fcntl(mutant_listener_fd(listener), F_DUPFD_CLOEXEC, 0));
  return status;
}
static ipc_status lets_the_listener_go(ipc_stream *stream) {
  const uint64_t fd = mutant_recall(stream);
  mutant_remember(stream, 0);
  if (fd != 0) close((int)fd);
  return ipc_stream_close(stream);
}
static void install_streams_hold_the_name(ipc_table *table) {
  table->listener_accept = takes_the_listener_along;
  table->stream_close = lets_the_listener_go;
}

static ipc_status promises_permission_bits(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                           ipc_listener **out_listener) {
  ipc_local_listen_options plain = *options;
  if (is_abstract(name)) plain.flags &= ~(uint32_t)IPC_LISTEN_MODE, plain.mode = 0;
  return ipc_unix_listen(name, type, &plain, out_listener);
}
REPLACES(unix_listen, promises_permission_bits)

static ipc_status chooses_one_name(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options,
                                   ipc_listener **out_listener) {
  static const char chosen[] = {0, 'i', 'p', 'c'};
  const ipc_name always = {IPC_NAME_NATIVE, chosen, sizeof(chosen)};
  return ipc_unix_listen(name != NULL ? name : &always, type, options, out_listener);
}
REPLACES(unix_listen, chooses_one_name)

static ipc_status names_a_sender_up_to_a_nul(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers,
                                             size_t num_buffers, ipc_received *out_received, ipc_ancillary *ancillary,
                                             int64_t timeout_ms) {
  ipc_status status = ipc_socket_receive(socket, flags, buffers, num_buffers, out_received, ancillary, timeout_ms);
  const ipc_name from = {IPC_NAME_NATIVE, out_received->from, out_received->from_len};
  if (status.code == IPC_OK && is_abstract(&from)) out_received->from_len = up_to_second_nul(&from).len;
  return status;
}
REPLACES(socket_receive, names_a_sender_up_to_a_nul)

const mutant abstract_mutants[] = {
    {"abstract.ends_at_nul", "takes a NUL inside an abstract name for its end (libuv#4737)",
     "Abstract.NulsCountInsideTheName", NULL, NULL, install_listens_up_to_a_nul},
    {"abstract.trailing_nuls", "connects to an abstract name without the NULs at its end (node#50889)",
     "Abstract.TrailingNulsCount", NULL, NULL, install_connects_without_trailing_nuls},
    {"abstract.leading_nul", "refuses an abstract name that begins with a NUL (deno#33872)",
     "Abstract.NativeIsReportedExactly", NULL, NULL, install_refuses_a_leading_nul},
    {"abstract.long_cut", "cuts an abstract name that is too long", "Abstract.LongestNameIsWhole", NULL, NULL,
     install_cuts_a_long_name},
    {"abstract.removes_file", "removes the file that has the bytes of an abstract name (deno#33872)",
     "Abstract.NameMakesNoFile", NULL, NULL, install_removes_the_file_of_that_name},
    {"abstract.held_by_streams", "holds the name as long as a stream that was accepted there (nng#1175, runtime#49363)",
     "Abstract.AcceptedStreamsDoNotHoldTheName", NULL, NULL, install_streams_hold_the_name},
    {"abstract.promises_mode", "promises permission bits that protect nothing", "Abstract.PermissionBitsAreUnsupported",
     NULL, NULL, install_promises_permission_bits},
    {"abstract.one_name", "always chooses the same name", "Abstract.SystemChoosesAName", NULL, NULL,
     install_chooses_one_name},
    {"abstract.sender_ends_at_nul", "takes a NUL inside a sender's name for its end", "Abstract.SenderIsNamedExactly",
     NULL, NULL, install_names_a_sender_up_to_a_nul},
    {0},
};
