/* ancillary.c - the handlers of what travels beside the bytes of a stream, and control buffers. */
#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

cts_outcome do_stream_write_ancillary(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_stream_read_ancillary(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_stream_set_pass_credentials(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_ancillary_encode(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}

cts_outcome do_ancillary_decode(cts_call *call) {
  (void)call;
  return cts_status("unsupported", "not written yet");
}
