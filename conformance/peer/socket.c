/* socket.c - the handlers of Unix domain sockets: unix.listen, stream.shutdown, and the sockets that move messages. */
#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

cts_outcome do_stream_shutdown(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_unix_listen(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_listener_accept_socket(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_open(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_bind(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_connect(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_native(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_send(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_receive(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_next_length(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_shutdown(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_peer_credentials(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_set_pass_credentials(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_raw(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_release(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_socket_adopt(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}
