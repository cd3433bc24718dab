/* datagram.c - broken datagram sockets. */
#include <fcntl.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

/* What mutants make of a receive or a send; parameters as those of the reference. */
#define RECEIVES(function)                                                                                      \
  static ipc_status function(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers, \
                             ipc_received *out_received, ipc_ancillary *ancillary, int64_t timeout_ms)
#define RECEIVE(flags, timeout_ms) \
  ipc_socket_receive(socket, flags, buffers, num_buffers, out_received, ancillary, timeout_ms)
#define SENDS(function)                                                                               \
  static ipc_status function(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers, \
                             const ipc_name *to, const ipc_ancillary *ancillary, int64_t timeout_ms)
#define SEND(to, timeout_ms) ipc_socket_send(socket, buffers, num_buffers, to, ancillary, timeout_ms)

static size_t length_of(const ipc_const_buffer *buffers, size_t num_buffers) {
  size_t sum = 0;
  for (size_t i = 0; i < num_buffers; i++) sum += buffers[i].len;
  return sum;
}

SENDS(sends_no_empty_message) {
  return length_of(buffers, num_buffers) == 0 ? mutant_status(IPC_OK) : SEND(to, timeout_ms);
}
REPLACES(socket_send, sends_no_empty_message)

SENDS(cuts_what_is_too_large) {
  ipc_const_buffer cut = {buffers[0].data, 4096};
  ipc_status status = SEND(to, timeout_ms);
  if (status.code != IPC_MESSAGE_TOO_LARGE) return status;
  return ipc_socket_send(socket, &cut, 1, to, ancillary, timeout_ms);
}
REPLACES(socket_send, cuts_what_is_too_large)

SENDS(drops_what_finds_no_room) {
  ipc_status status = SEND(to, timeout_ms < 0 ? 0 : timeout_ms);
  return timeout_ms < 0 && status.code == IPC_TIMED_OUT ? mutant_status(IPC_OK) : status;
}
REPLACES(socket_send, drops_what_finds_no_room)

SENDS(has_no_buffer_space) {
  ipc_status status = SEND(to, timeout_ms < 0 ? 0 : timeout_ms);
  return timeout_ms < 0 && status.code == IPC_TIMED_OUT ? mutant_status(IPC_OUT_OF_RESOURCES) : status;
}
REPLACES(socket_send, has_no_buffer_space)

SENDS(sends_what_timed_out) {
  ipc_status status = SEND(to, timeout_ms);
  if (status.code == IPC_TIMED_OUT && timeout_ms == 0) status.code = IPC_OK;
  return status;
}
REPLACES(socket_send, sends_what_timed_out)

SENDS(calls_a_missing_receiver_refused) {
  ipc_status status = SEND(to, timeout_ms);
  if (status.code == IPC_NOT_FOUND) status.code = IPC_REFUSED;
  return status;
}
REPLACES(socket_send, calls_a_missing_receiver_refused)

SENDS(calls_no_receiver_invalid) {
  ipc_status status = SEND(to, timeout_ms);
  if (status.code == IPC_NOT_CONNECTED && to == NULL) status.code = IPC_INVALID_ARGUMENT;
  return status;
}
REPLACES(socket_send, calls_no_receiver_invalid)

static ipc_status remembers_that_it_connected(ipc_socket *socket, const ipc_name *name, int64_t timeout_ms) {
  ipc_status status = ipc_socket_connect(socket, name, timeout_ms);
  if (status.code == IPC_OK) mutant_remember(socket, 1);
  return status;
}
SENDS(passes_over_the_receiver) { return SEND(mutant_recall(socket) != 0 ? NULL : to, timeout_ms); }
static void install_passes_over_the_receiver(ipc_table *table) {
  table->socket_connect = remembers_that_it_connected;
  table->socket_send = passes_over_the_receiver;
}

static ipc_status connects_once(ipc_socket *socket, const ipc_name *name, int64_t timeout_ms) {
  if (mutant_recall(socket) != 0) return mutant_status(IPC_ALREADY_CONNECTED);
  return remembers_that_it_connected(socket, name, timeout_ms);
}
REPLACES(socket_connect, connects_once)

RECEIVES(cuts_without_a_word) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_MESSAGE_TRUNCATED && flags == 0 && out_received->len != 0) status.code = IPC_OK;
  return status;
}
REPLACES(socket_receive, cuts_without_a_word)

RECEIVES(fails_at_a_cut) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_MESSAGE_TRUNCATED && flags == 0 && out_received->len != 0) status.code = IPC_FAILED;
  return status;
}
REPLACES(socket_receive, fails_at_a_cut)

RECEIVES(leaves_what_has_no_room) {
  return RECEIVE(num_buffers == 0 || buffers[0].len == 0 ? flags | IPC_RECEIVE_WHOLE : flags, timeout_ms);
}
REPLACES(socket_receive, leaves_what_has_no_room)

RECEIVES(takes_what_should_stay) { return RECEIVE(0 & flags, timeout_ms); }
REPLACES(socket_receive, takes_what_should_stay)

RECEIVES(tells_the_name_short) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_OK && out_received->from_len > 1) out_received->from_len--;
  return status;
}
REPLACES(socket_receive, tells_the_name_short)

RECEIVES(names_the_unnamed) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_OK && out_received->from_len == 0) out_received->from_len = 1;
  return status;
}
REPLACES(socket_receive, names_the_unnamed)

RECEIVES(keeps_the_descriptors_of_a_cut) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_MESSAGE_TRUNCATED && ancillary != NULL && ancillary->descriptors_max != 0)
    fcntl(mutant_socket_fd(socket), F_DUPFD_CLOEXEC, 0);
  return status;
}
REPLACES(socket_receive, keeps_the_descriptors_of_a_cut)

RECEIVES(goes_on_receiving_when_closed) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(socket_receive, goes_on_receiving_when_closed)

RECEIVES(is_not_woken_by_a_shutdown) {
  ipc_status status = RECEIVE(flags, timeout_ms);
  if (status.code == IPC_END) mutant_wait_for_ever();
  return status;
}
REPLACES(socket_receive, is_not_woken_by_a_shutdown)

static ipc_status takes_the_message_it_measures(ipc_socket *socket, int64_t timeout_ms, size_t *out_len) {
  char room[64];
  const ipc_buffer buffer = {room, sizeof(room)};
  ipc_received received = {.size = sizeof(received)};
  ipc_status status = ipc_socket_receive(socket, 0, &buffer, 1, &received, NULL, timeout_ms);
  *out_len = received.len;
  return status;
}
REPLACES(socket_next_length, takes_the_message_it_measures)

static ipc_status goes_on_telling_who_sends(ipc_socket *socket, bool pass) {
  return pass ? ipc_socket_set_pass_credentials(socket, true) : mutant_status(IPC_OK);
}
REPLACES(socket_set_pass_credentials, goes_on_telling_who_sends)

static ipc_status keeps_every_name(const ipc_name *name, const ipc_local_listen_options *options,
                                   ipc_socket **out_socket) {
  ipc_local_listen_options keeping = *options;
  keeping.flags |= IPC_LISTEN_KEEP_NAME;
  return ipc_socket_bind(name, &keeping, out_socket);
}
REPLACES(socket_bind, keeps_every_name)

static ipc_status keeps_no_name(const ipc_name *name, const ipc_local_listen_options *options,
                                ipc_socket **out_socket) {
  ipc_local_listen_options plain = *options;
  plain.flags &= ~(uint32_t)IPC_LISTEN_KEEP_NAME;
  return ipc_socket_bind(name, &plain, out_socket);
}
REPLACES(socket_bind, keeps_no_name)

static ipc_status binds_without_its_mode(const ipc_name *name, const ipc_local_listen_options *options,
                                         ipc_socket **out_socket) {
  ipc_local_listen_options plain = *options;
  plain.flags &= ~(uint32_t)IPC_LISTEN_MODE;
  plain.mode = 0;
  return ipc_socket_bind(name, &plain, out_socket);
}
REPLACES(socket_bind, binds_without_its_mode)

static ipc_status shuts_nothing_down(ipc_socket *socket, uint32_t directions) {
  return directions == IPC_SHUTDOWN_WRITE ? mutant_status(IPC_OK) : ipc_socket_shutdown(socket, directions);
}
REPLACES(socket_shutdown, shuts_nothing_down)

static ipc_status lets_children_have_it(uint32_t type, ipc_socket **out_socket) {
  ipc_status status = ipc_socket_open(type, out_socket);
  if (status.code == IPC_OK) fcntl(mutant_socket_fd(*out_socket), F_SETFD, 0);
  return status;
}
REPLACES(socket_open, lets_children_have_it)

/* A socket that was adopted takes its file with it. */
static ipc_status adopts_as_its_own(const ipc_raw *raw, ipc_socket **out_socket) {
  ipc_status status = ipc_socket_adopt(raw, out_socket);
  if (status.code == IPC_OK) mutant_remember(*out_socket, 1);
  return status;
}
static ipc_status removes_an_adopted_name(ipc_socket *socket) {
  char path[IPC_NATIVE_MAX + 1] = {0};
  size_t len = 0;
  if (mutant_recall(socket) != 0 && ipc_socket_native(socket, path, IPC_NATIVE_MAX, &len).code == IPC_OK && len != 0 &&
      path[0] != 0)
    unlink(path);
  return ipc_socket_close(socket);
}
static void install_removes_an_adopted_name(ipc_table *table) {
  table->socket_adopt = adopts_as_its_own;
  table->socket_close = removes_an_adopted_name;
}

const mutant datagram_mutants[] = {
    {"datagram.no_empty_message", "sends no empty message (go#26668)", "Datagram.EmptyMessageIsAMessage", NULL, NULL,
     install_sends_no_empty_message},
    {"datagram.too_large_cut", "cuts a message that is too large", "Datagram.TooLargeIsRefusedWhole", NULL, NULL,
     install_cuts_what_is_too_large},
    {"datagram.dropped_when_full", "drops a message for which the receiver has no room (vde-2#19)",
     "Datagram.FullReceiverMakesTheSenderWait", NULL, NULL, install_drops_what_finds_no_room},
    {"datagram.no_buffer_space", "answers a full receiver with a lack of buffer space (wazuh#37349)",
     "Datagram.FullReceiverMakesTheSenderWait", NULL, NULL, install_has_no_buffer_space},
    {"datagram.timed_out_is_sent", "says that it sent what timed out at once", "Datagram.TimeoutsPass", NULL, NULL,
     install_sends_what_timed_out},
    {"datagram.missing_is_refused", "calls a receiver refused whose path is not there", "Datagram.SendToNobodyFails",
     "path", NULL, install_calls_a_missing_receiver_refused},
    {"datagram.no_receiver_is_invalid", "calls a send to nobody an invalid argument",
     "Datagram.SendWithoutReceiverIsNotConnected", NULL, NULL, install_calls_no_receiver_invalid},
    {"datagram.receiver_passed_over", "passes over the receiver once the socket is connected",
     "Datagram.NamedReceiverComesFirst", NULL, NULL, install_passes_over_the_receiver},
    {"datagram.connects_once", "connects a socket once", "Datagram.ConnectCanBeRepeated", NULL, NULL,
     install_connects_once},
    {"datagram.cut_without_a_word", "cuts a message without a word (go#14074)", "Datagram.CutMessageIsReported", NULL,
     NULL, install_cuts_without_a_word},
    {"datagram.cut_is_failure", "has no class for a message that was cut (trio#1773)", "Datagram.CutMessageIsReported",
     NULL, NULL, install_fails_at_a_cut},
    {"datagram.no_room_leaves", "leaves a message for which there is no room at all",
     "Datagram.NoRoomAtAllTakesTheMessage", NULL, NULL, install_leaves_what_has_no_room},
    {"datagram.whole_ignored", "takes a message that should stay", "Datagram.WholeLeavesWhatDoesNotFit", NULL, NULL,
     install_takes_what_should_stay},
    {"datagram.sender_short", "tells the sender's name without its last byte (rust#118925)", "Datagram.SenderIsNamed",
     NULL, NULL, install_tells_the_name_short},
    {"datagram.unnamed_has_name", "takes what lies there for the name of a sender without one (envoy#29524)",
     "Datagram.UnnamedSenderHasNoName", NULL, NULL, install_names_the_unnamed},
    {"datagram.cut_leaks", "leaves a descriptor open with a message that was cut (libuv#4358)",
     "Datagram.CutMessageHidesNoDescriptors", NULL, NULL, install_keeps_the_descriptors_of_a_cut},
    {"datagram.receive_not_woken", "does not end a waiting receive at close", "Datagram.CloseEndsAWaitingReceive",
     "path", NULL, install_goes_on_receiving_when_closed},
    {"datagram.shutdown_wakes_nobody", "does not end a waiting receive at a shutdown (go#15250)",
     "Datagram.ShutdownEndsAWaitingReceive", "path", NULL, install_is_not_woken_by_a_shutdown},
    {"datagram.length_takes", "takes the message whose length it tells", "Datagram.NextLengthLeavesTheMessage", NULL,
     NULL, install_takes_the_message_it_measures},
    {"datagram.credentials_go_on", "goes on telling who sends when it should not any more",
     "Datagram.MessagesTellWhoSentThem", NULL, NULL, install_goes_on_telling_who_sends},
    {"datagram.keeps_name", "leaves its file at close", "Datagram.NameIsTakenUntilClosed", "path", NULL,
     install_keeps_every_name},
    {"datagram.keeps_no_name", "removes a file that it should leave", "Datagram.KeepNameLeavesTheFile", NULL, NULL,
     install_keeps_no_name},
    {"datagram.umask", "leaves the mode to the umask", "Datagram.ModeIsExact", NULL, NULL,
     install_binds_without_its_mode},
    {"datagram.shutdown_does_nothing", "ends no direction at a shutdown, with success (interprocess 6b289f1)",
     "Datagram.ShutdownConcernsOneSocket", NULL, NULL, install_shuts_nothing_down},
    {"datagram.inherited", "lets children have its sockets", "Datagram.SocketIsNotInherited", NULL, NULL,
     install_lets_children_have_it},
    {"datagram.removes_adopted", "removes the file of a socket that it was given (cpython#133354)",
     "Datagram.AdoptedSocketLeavesItsFile", NULL, NULL, install_removes_an_adopted_name},
    {0},
};
