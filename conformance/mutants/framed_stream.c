/* framed_stream.c - broken streams of frames. */
#include <poll.h>
#include <stdlib.h>

#include "conformance/mutants/mutants.h"

static int framed_fd(ipc_framed *framed) {
  ipc_raw raw = {0};
  return ipc_framed_raw(framed, &raw).code == IPC_OK ? (int)raw.value : -1;
}

static ipc_status takes_two_empty_frames_for_the_end(ipc_framed *framed, void *out_body, size_t body_max,
                                                     int64_t timeout_ms, size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code != IPC_OK) return status;
  const bool twice = mutant_recall(framed) == 1 && *out_len == 0;
  mutant_remember(framed, *out_len == 0);
  return twice ? mutant_status(IPC_END) : status;
}
REPLACES(framed_read, takes_two_empty_frames_for_the_end)

static ipc_status drops_a_frame_that_does_not_fit(ipc_framed *framed, void *out_body, size_t body_max,
                                                  int64_t timeout_ms, size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code != IPC_MESSAGE_TRUNCATED || *out_len <= body_max) return status;
  size_t len = *out_len;
  void *room = malloc(len);
  if (room != NULL) ipc_framed_read(framed, room, *out_len, 0, &len);
  free(room);
  return status;
}
REPLACES(framed_read, drops_a_frame_that_does_not_fit)

static ipc_status begins_its_time_anew(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                       size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms > 0 ? 0 : timeout_ms, out_len);
  while (timeout_ms > 0 && status.code == IPC_TIMED_OUT) {
    struct pollfd poller = {.fd = framed_fd(framed), .events = POLLIN};
    if (poll(&poller, 1, (int)timeout_ms + 1) == 0) return status;
    status = ipc_framed_read(framed, out_body, body_max, 0, out_len);
  }
  return status;
}
REPLACES(framed_read, begins_its_time_anew)

static ipc_status takes_a_part_for_a_clean_end(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                               size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code == IPC_MESSAGE_TRUNCATED && *out_len == 0) status.code = IPC_END;
  return status;
}
REPLACES(framed_read, takes_a_part_for_a_clean_end)

static ipc_status forgets_a_part_at_a_timeout(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                              size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code == IPC_TIMED_OUT) mutant_remember(framed, 1);
  if (status.code == IPC_MESSAGE_TRUNCATED && *out_len == 0 && mutant_recall(framed) != 0) status.code = IPC_END;
  return status;
}
REPLACES(framed_read, forgets_a_part_at_a_timeout)

/* says_once answers with |code| once and the end afterwards. */
static ipc_status says_once(int32_t code, ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                            size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code != code) return status;
  if (mutant_recall(framed) != 0) status.code = IPC_END;
  mutant_remember(framed, 1);
  return status;
}

static ipc_status says_too_large_once(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                      size_t *out_len) {
  return says_once(IPC_MESSAGE_TOO_LARGE, framed, out_body, body_max, timeout_ms, out_len);
}
REPLACES(framed_read, says_too_large_once)

static ipc_status says_malformed_once(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                      size_t *out_len) {
  return says_once(IPC_MALFORMED, framed, out_body, body_max, timeout_ms, out_len);
}
REPLACES(framed_read, says_malformed_once)

static ipc_status goes_on_reading_when_closed(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                              size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code == IPC_CANCELLED) mutant_wait_for_ever();
  return status;
}
REPLACES(framed_read, goes_on_reading_when_closed)

static ipc_status forgets_the_frames_before(ipc_framed *framed, const ipc_const_buffer *bodies, size_t num_bodies,
                                            int64_t timeout_ms, size_t *out_num) {
  ipc_status status = ipc_framed_write(framed, bodies, num_bodies, timeout_ms, out_num);
  if (status.code == IPC_MESSAGE_TOO_LARGE) *out_num = 0;
  return status;
}
REPLACES(framed_write, forgets_the_frames_before)

static ipc_status writes_the_last_body_first(ipc_framed *framed, const ipc_const_buffer *bodies, size_t num_bodies,
                                             int64_t timeout_ms, size_t *out_num) {
  ipc_const_buffer turned[64];
  if (num_bodies < 8 || num_bodies > 64) return ipc_framed_write(framed, bodies, num_bodies, timeout_ms, out_num);
  for (size_t i = 0; i < num_bodies; i++) turned[i] = bodies[num_bodies - 1 - i];
  return ipc_framed_write(framed, turned, num_bodies, timeout_ms, out_num);
}
REPLACES(framed_write, writes_the_last_body_first)

static ipc_status writes_to_nobody(ipc_framed *framed, const ipc_const_buffer *bodies, size_t num_bodies,
                                   int64_t timeout_ms, size_t *out_num) {
  ipc_status status = ipc_framed_write(framed, bodies, num_bodies, timeout_ms, out_num);
  if (status.code != IPC_BROKEN_PIPE) return status;
  *out_num = num_bodies;
  return mutant_status(IPC_OK);
}
REPLACES(framed_write, writes_to_nobody)

static ipc_status flushes_nothing(ipc_framed *framed, int64_t timeout_ms) {
  (void)framed;
  (void)timeout_ms;
  return mutant_status(IPC_OK);
}
REPLACES(framed_flush, flushes_nothing)

static ipc_status calls_a_busy_stream_invalid(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed) {
  ipc_status status = ipc_framed_open(stream, framing, out_framed);
  if (status.code == IPC_BUSY) status.code = IPC_INVALID_ARGUMENT;
  return status;
}
REPLACES(framed_open, calls_a_busy_stream_invalid)

static ipc_status takes_another_codec(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed) {
  const ipc_framing plain = {.size = sizeof(plain), .codec = IPC_FRAMING_U32};
  ipc_status status = ipc_framed_open(stream, framing, out_framed);
  return status.code == IPC_INVALID_ARGUMENT ? ipc_framed_open(stream, &plain, out_framed) : status;
}
REPLACES(framed_open, takes_another_codec)

static ipc_status opens_waiting(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed) {
  ipc_status status = ipc_framed_open(stream, framing, out_framed);
  if (status.code == IPC_OK) ipc_framed_set_nonblocking(*out_framed, false);
  return status;
}
REPLACES(framed_open, opens_waiting)

static ipc_status has_no_class_for_no_frame(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms,
                                            size_t *out_len) {
  ipc_status status = ipc_framed_read(framed, out_body, body_max, timeout_ms, out_len);
  if (status.code == IPC_WOULD_BLOCK) status.code = IPC_FAILED;
  return status;
}
REPLACES(framed_read, has_no_class_for_no_frame)

static ipc_status takes_one_byte_less(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed) {
  ipc_framing less = *framing;
  if (less.max > 1) less.max--;
  return ipc_framed_open(stream, &less, out_framed);
}
REPLACES(framed_open, takes_one_byte_less)

const mutant framed_stream_mutants[] = {
    {"framed_stream.empty_is_end", "takes two empty frames for the end", "FramedStream.EmptyFrameIsNoEnd", NULL, NULL,
     install_takes_two_empty_frames_for_the_end},
    {"framed_stream.too_long_dropped", "drops a frame that there is no room for",
     "FramedStream.FrameThatDoesNotFitStays", NULL, NULL, install_drops_a_frame_that_does_not_fit},
    {"framed_stream.timeout_anew", "begins a read's timeout anew with each piece of a frame",
     "FramedStream.PiecesDoNotProlongATimeout", NULL, NULL, install_begins_its_time_anew},
    {"framed_stream.part_is_clean_end", "takes an end inside a frame for a clean one",
     "FramedStream.EndInsideAFrameIsTruncated", NULL, NULL, install_takes_a_part_for_a_clean_end},
    {"framed_stream.part_forgotten", "forgets at a timeout that it has a part of a frame",
     "FramedStream.EndBehindATimeoutIsTruncated", NULL, NULL, install_forgets_a_part_at_a_timeout},
    {"framed_stream.too_large_once", "says once that a frame is too large, and then the end",
     "FramedStream.TooLargeStaysTooLarge", NULL, NULL, install_says_too_large_once},
    {"framed_stream.malformed_once", "says once that a frame is malformed, and then the end",
     "FramedStream.MalformedStaysMalformed", NULL, NULL, install_says_malformed_once},
    {"framed_stream.read_not_woken", "does not end a waiting read at close", "FramedStream.CloseEndsAWaitingRead",
     "server", NULL, install_goes_on_reading_when_closed},
    {"framed_stream.frames_before_forgotten", "forgets the frames that it wrote before one that is too large",
     "FramedStream.TooLargeIsNotWritten", NULL, NULL, install_forgets_the_frames_before},
    {"framed_stream.last_first", "writes many frames from the last to the first", "FramedStream.ManyFramesInOneWrite",
     NULL, NULL, install_writes_the_last_body_first},
    {"framed_stream.writes_to_nobody", "writes frames to nobody with success",
     "FramedStream.WriteWithoutAReaderIsBrokenPipe", NULL, NULL, install_writes_to_nobody},
    {"framed_stream.flush_does_nothing", "leaves the rest of a frame where it is when it is flushed",
     "FramedStream.WriteTimesOutAndGoesOn", "server", NULL, install_flushes_nothing},
    {"framed_stream.busy_is_invalid", "calls a stream invalid that is busy", "FramedStream.OpenRefusesABusyStream",
     NULL, NULL, install_calls_a_busy_stream_invalid},
    {"framed_stream.another_codec", "takes another codec if it is given none that exists",
     "FramedStream.OpenRefusesWhatIsNoCodec", NULL, NULL, install_takes_another_codec},
    {"framed_stream.mode_lost", "forgets the nonblocking mode of the stream", "FramedStream.OpenTakesTheModeAlong",
     "server", NULL, install_opens_waiting},
    {"framed_stream.no_frame_is_failure", "has no class for no frame yet", "FramedStream.ReadWithoutWaitingWouldBlock",
     NULL, NULL, install_has_no_class_for_no_frame},
    {"framed_stream.one_byte_less", "accepts a frame one byte shorter than its limit", "FramedStream.LimitIsExact",
     NULL, NULL, install_takes_one_byte_less},
    {0},
};
