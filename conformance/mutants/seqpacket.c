/* seqpacket.c - broken seqpacket connections. */
#include <fcntl.h>
#include <unistd.h>

#include "conformance/mutants/mutants.h"

#define RECEIVES(function)                                                                                      \
  static ipc_status function(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers, \
                             ipc_received *out_received, ipc_ancillary *ancillary, int64_t timeout_ms)
#define RECEIVE ipc_socket_receive(socket, flags, buffers, num_buffers, out_received, ancillary, timeout_ms)
#define SENDS(function)                                                                               \
  static ipc_status function(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers, \
                             const ipc_name *to, const ipc_ancillary *ancillary, int64_t timeout_ms)
#define SEND ipc_socket_send(socket, buffers, num_buffers, to, ancillary, timeout_ms)

static ipc_status recoded(ipc_status status, int32_t from, int32_t to) {
  if (status.code == from) status.code = to;
  return status;
}

RECEIVES(takes_nothing_for_the_end) {
  ipc_status status = RECEIVE;
  return status.code == IPC_OK && out_received->len == 0 ? mutant_status(IPC_END) : status;
}
REPLACES(socket_receive, takes_nothing_for_the_end)

RECEIVES(says_the_end_once) {
  ipc_status status = RECEIVE;
  if (status.code != IPC_END) return status;
  const bool before = mutant_recall(socket) != 0;
  mutant_remember(socket, 1);
  return recoded(status, IPC_END, before ? IPC_NOT_CONNECTED : IPC_END);
}
REPLACES(socket_receive, says_the_end_once)

RECEIVES(cuts_without_a_word) {
  ipc_status status = RECEIVE;
  return flags == 0 ? recoded(status, IPC_MESSAGE_TRUNCATED, IPC_OK) : status;
}
REPLACES(socket_receive, cuts_without_a_word)

RECEIVES(takes_what_should_stay) {
  const uint32_t none = flags & 0;
  return ipc_socket_receive(socket, none, buffers, num_buffers, out_received, ancillary, timeout_ms);
}
REPLACES(socket_receive, takes_what_should_stay)

RECEIVES(calls_a_reset_the_end) { return recoded(RECEIVE, IPC_RESET, IPC_FAILED); }
REPLACES(socket_receive, calls_a_reset_the_end)

RECEIVES(goes_on_when_closed) {
  ipc_status status = RECEIVE;
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(socket_receive, goes_on_when_closed)

SENDS(says_that_it_sent_nothing) { return recoded(SEND, IPC_UNENCODABLE, IPC_OK); }
REPLACES(socket_send, says_that_it_sent_nothing)

SENDS(sends_to_nobody) { return recoded(SEND, IPC_BROKEN_PIPE, IPC_OK); }
REPLACES(socket_send, sends_to_nobody)

SENDS(passes_over_a_receiver) {
  return to != NULL ? ipc_socket_send(socket, buffers, num_buffers, NULL, ancillary, timeout_ms) : SEND;
}
REPLACES(socket_send, passes_over_a_receiver)

SENDS(drops_what_finds_no_room) {
  ipc_status status = ipc_socket_send(socket, buffers, num_buffers, to, ancillary, timeout_ms < 0 ? 0 : timeout_ms);
  return timeout_ms < 0 ? recoded(status, IPC_TIMED_OUT, IPC_OK) : status;
}
REPLACES(socket_send, drops_what_finds_no_room)

static ipc_status accepts_of_any_type(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  return recoded(ipc_listener_accept(listener, timeout_ms, out_stream), IPC_UNSUPPORTED, IPC_INVALID_ARGUMENT);
}
REPLACES(listener_accept, accepts_of_any_type)

static ipc_status tells_its_own_process(ipc_socket *socket, ipc_credentials *out_credentials) {
  ipc_status status = ipc_socket_peer_credentials(socket, out_credentials);
  if (status.code == IPC_OK) out_credentials->pid = (uint64_t)getpid();
  return status;
}
REPLACES(socket_peer_credentials, tells_its_own_process)

static ipc_status connects_at_once_or_never(ipc_socket *socket, const ipc_name *name, int64_t timeout_ms) {
  ipc_status status = ipc_socket_connect(socket, name, timeout_ms);
  return recoded(status, IPC_WOULD_BLOCK, IPC_OUT_OF_RESOURCES);
}
REPLACES(socket_connect, connects_at_once_or_never)

static ipc_status shuts_nothing_down(ipc_socket *socket, uint32_t directions) {
  (void)directions;
  return socket != NULL ? mutant_status(IPC_OK) : mutant_status(IPC_INVALID_ARGUMENT);
}
REPLACES(socket_shutdown, shuts_nothing_down)

static ipc_status lets_children_have_it(ipc_listener *listener, int64_t timeout_ms, ipc_socket **out_socket) {
  ipc_status status = ipc_listener_accept_socket(listener, timeout_ms, out_socket);
  if (status.code == IPC_OK) fcntl(mutant_socket_fd(*out_socket), F_SETFD, 0);
  return status;
}
REPLACES(listener_accept_socket, lets_children_have_it)

const mutant seqpacket_mutants[] = {
    {"seqpacket.empty_is_end", "takes an empty message for the end", "Seqpacket.ForeignEmptyMessageIsNoEnd", NULL, NULL,
     install_takes_nothing_for_the_end},
    {"seqpacket.end_once", "says the end once and is not connected afterwards", "Seqpacket.EndBehindTheMessages", NULL,
     NULL, install_says_the_end_once},
    {"seqpacket.cut_without_a_word", "cuts a message without a word (go#14074)", "Seqpacket.CutMessageIsReported", NULL,
     NULL, install_cuts_without_a_word},
    {"seqpacket.whole_ignored", "takes a message that should stay (trio#1773)", "Seqpacket.WholeLeavesWhatDoesNotFit",
     NULL, NULL, install_takes_what_should_stay},
    {"seqpacket.reset_is_failure", "has no class for a reset connection", "Seqpacket.UnreadMessagesResetTheConnection",
     NULL, NULL, install_calls_a_reset_the_end},
    {"seqpacket.receive_not_woken", "does not end a waiting receive at close", "Seqpacket.CloseEndsWhatWaits", "server",
     NULL, install_goes_on_when_closed},
    {"seqpacket.empty_is_sent", "says that it sent an empty message", "Seqpacket.EmptyMessageIsUnencodable", NULL, NULL,
     install_says_that_it_sent_nothing},
    {"seqpacket.sends_to_nobody", "sends to nobody with success (dotnet/runtime#77543)",
     "Seqpacket.SendToAClosedPeerIsBrokenPipe", NULL, NULL, install_sends_to_nobody},
    {"seqpacket.receiver_passed_over", "passes over a receiver that a connection cannot have",
     "Seqpacket.ReceiverGivenIsAlreadyConnected", NULL, NULL, install_passes_over_a_receiver},
    {"seqpacket.dropped_when_full", "drops a message for which there is no room",
     "Seqpacket.FullConnectionMakesTheSenderWait", NULL, NULL, install_drops_what_finds_no_room},
    {"seqpacket.types_mix", "calls it a wrong argument to accept a stream from a listener of seqpackets",
     "Seqpacket.TypesDoNotMix", NULL, NULL, install_accepts_of_any_type},
    {"seqpacket.own_pid", "tells its own process for the other end's", "Seqpacket.ServerSeesWhoConnected", NULL, NULL,
     install_tells_its_own_process},
    {"seqpacket.backlog_is_exhaustion", "calls a full backlog a lack of buffer space (asio#1014)",
     "Seqpacket.ConnectWaitsForTheBacklog", NULL, NULL, install_connects_at_once_or_never},
    {"seqpacket.shutdown_does_nothing", "ends no direction at a shutdown, with success (interprocess 6b289f1)",
     "Seqpacket.ShutdownEndsOneDirection", NULL, NULL, install_shuts_nothing_down},
    {"seqpacket.inherited", "lets children have accepted sockets", "Seqpacket.SocketsAreNotInherited", NULL, NULL,
     install_lets_children_have_it},
    {0},
};
