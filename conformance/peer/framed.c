/* framed.c - the handlers of streams of frames. */
#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

cts_outcome do_framed_open(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_framed_write(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_framed_read(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_framed_flush(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_framed_raw(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}
