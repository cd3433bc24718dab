/* signal.c - the handlers of signals and their watchers. */
#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

cts_outcome do_signal_number(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_name(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_describe(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_set_handler(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_send(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_send_group(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_queue(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_watch(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_watcher_next(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_watcher_raw(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_signal_hooked(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}
