/* framed.c - frames over a stream. Asks the system nothing but through ipc_stream_*.
 *
 * Reading: one read of the stream fills a buffer with what is there, and the decoder takes frames out of it. A frame
 * that is complete stays with the decoder until it has been delivered. Writing: headers, trailers and short bodies of
 * all frames at hand are put together in one run of bytes, long bodies stay where they are, and one vectored write
 * takes them. Of a frame that the system has taken in part the rest is kept, and goes before anything else.
 *
 * The stream itself always waits; a call that must not gives it no time. So a call keeps the mode that it began with,
 * although it may ask the stream several times. Readers take turns, and so do writers, which makes everything of one
 * direction the holder's of its turn.
 */
#include "ipc/framed.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/stream.h"
#include "ref/common/codec.h"
#include "ref/common/memory.h"
#include "ref/common/platform.h"
#include "ref/common/turn.h"

enum {
  BODIES_MAX = 64,
  BUFFERS_MAX = 64,        /* of a vectored write */
  READ_BUFFER = 65536,     /* bytes of a read */
  SHORT_BODY = 256,        /* bytes that are copied faster than pointed to */
  TRAILER_MAX = 1,         /* byte */
  STAGED_FRAME_MAX = 1289, /* bytes of a frame that are staged: the longest header, a short body, a trailer */
  STAGED_MAX = 64 * 288 + STAGED_FRAME_MAX /* BODIES_MAX short bodies with headers of 31 bytes, and the last one any */
};
_Static_assert(STAGED_FRAME_MAX == IPC_FRAMING_ENCODED_MAX + SHORT_BODY + TRAILER_MAX, "a frame's share");

struct ipc_framed {
  ipc_stream *stream;
  ipc_framing codec; /* resolved: for headers */
  _Atomic bool nonblocking;
  ipc_monitor *monitor; /* of both turns */
  ipc_turn reading, writing;

  ipc_decoder *decoder;
  size_t start, end; /* of the bytes in |buffer| that the decoder has not got */
  const void *body;  /* a frame that is complete and not delivered, or NULL */
  size_t body_len;
  bool inside; /* the decoder has got bytes of a frame that is not complete */

  unsigned char *rest; /* of a frame that was sent in part */
  size_t rest_len, rest_sent;
  bool broken; /* the rest of a frame is lost */

  unsigned char staged[STAGED_MAX];
  unsigned char buffer[READ_BUFFER];
};

/* ----------------------------------------------------------------------------------------------------- patience */

/* How long a call may wait. */
typedef struct patience {
  ipc_deadline deadline;
  bool nonblocking; /* as it was when the call began */
  bool tried;       /* the stream has been asked without waiting */
} patience;

static patience patience_of(const ipc_framed *f, int64_t timeout_ms) {
  bool nonblocking = atomic_load_explicit(&f->nonblocking, memory_order_relaxed);
  return (patience){.deadline = {.timeout_ms = nonblocking ? 0 : timeout_ms}, .nonblocking = nonblocking};
}

/* How long the next call on the stream may wait. If that has an end, the first one does not wait at all: so the clock
 * is not asked before there is something to wait for. */
static int64_t patience_ms(patience *p) {
  if (p->deadline.timeout_ms <= 0) return p->deadline.timeout_ms;
  return p->tried ? ipc_deadline_left_ms(&p->deadline) : 0;
}

/* Whether the stream may be asked once more, although it has been asked before. */
static bool has_patience(patience *p) {
  p->tried = true;
  return ipc_deadline_left(&p->deadline) != 0;
}

/* The status of a call that ends with |status| of the stream or of the turn. */
static ipc_status answer(const patience *p, ipc_status status) {
  if (status.code == IPC_TIMED_OUT && p->nonblocking) return ipc_status_of(IPC_WOULD_BLOCK);
  return status;
}

/* A stream that is closed has been closed during the call: who comes later does not get the turn. */
static ipc_status during_call(ipc_status status) {
  return status.code == IPC_CLOSED ? ipc_status_of(IPC_CANCELLED) : status;
}

/* --------------------------------------------------------------------------------------------------------- life */

static void framed_dispose(ipc_framed *f) {
  if (f->decoder != NULL) (void)ipc_decoder_free(f->decoder);
  if (f->monitor != NULL) ipc_monitor_free(f->monitor);
  free(f->rest);
  free(f);
}

/* Makes what a framed stream consists of, but for the stream. */
static ipc_status framed_new(const ipc_framing *framing, const ipc_framing *codec, ipc_framed **out_framed) {
  ipc_framed *f = ipc_memory_resize(NULL, sizeof *f);
  if (f == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  memset(f, 0, offsetof(ipc_framed, staged));
  f->codec = *codec;
  f->monitor = ipc_monitor_new();
  ipc_status status = ipc_framing_decode(framing, &f->decoder);
  if (status.code == IPC_OK && f->monitor == NULL) status = ipc_status_of(IPC_OUT_OF_RESOURCES);
  if (status.code != IPC_OK) {
    framed_dispose(f);
    return status;
  }
  ipc_turn_init(&f->reading, f->monitor);
  ipc_turn_init(&f->writing, f->monitor);
  *out_framed = f;
  return status;
}

ipc_status ipc_framed_open(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed) {
  if (out_framed != NULL) *out_framed = NULL;
  ipc_framing codec;
  if (stream == NULL || out_framed == NULL || !ipc_codec_resolve(framing, &codec)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  ipc_framed *f;
  bool nonblocking;
  ipc_status status = framed_new(framing, &codec, &f);
  if (status.code != IPC_OK) return status;
  status = ipc_stream_take_over(stream, &nonblocking);
  if (status.code != IPC_OK) {
    framed_dispose(f);
    return status;
  }
  atomic_init(&f->nonblocking, nonblocking);
  f->stream = stream;
  *out_framed = f;
  return status;
}

ipc_status ipc_framed_close(ipc_framed *framed) {
  if (framed == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (!ipc_turn_end(&framed->reading)) return ipc_status_of(IPC_CLOSED);
  (void)ipc_turn_end(&framed->writing);
  ipc_status status = ipc_stream_close(framed->stream);
  ipc_turn_drain(&framed->reading);
  ipc_turn_drain(&framed->writing);
  return status;
}

ipc_status ipc_framed_free(ipc_framed *framed) {
  if (framed == NULL) return ipc_status_of(IPC_OK);
  (void)ipc_framed_close(framed);
  (void)ipc_stream_free(framed->stream);
  framed_dispose(framed);
  return ipc_status_of(IPC_OK);
}

#ifndef IPC_WITHOUT_NONBLOCKING
ipc_status ipc_framed_set_nonblocking(ipc_framed *framed, bool nonblocking) {
  if (framed == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (ipc_turn_is_ended(&framed->reading)) return ipc_status_of(IPC_CLOSED);
  atomic_store(&framed->nonblocking, nonblocking);
  return ipc_status_of(IPC_OK);
}
#endif

ipc_status ipc_framed_raw(ipc_framed *framed, ipc_raw *out_raw) {
  if (framed == NULL || out_raw == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  return ipc_stream_raw(framed->stream, out_raw);
}

/* ------------------------------------------------------------------------------------------------------ reading */

/* Reads from the stream to the buffer, which is empty: IPC_OK if something came. */
static ipc_status fill(ipc_framed *f, patience *p) {
  ipc_status status;
  do {
    f->start = 0;
    status = ipc_stream_read(f->stream, f->buffer, READ_BUFFER, patience_ms(p), &f->end);
  } while (status.code == IPC_TIMED_OUT && has_patience(p));
  return status;
}

/* Gives the decoder what it takes of the buffer: up to the end of a frame. */
static ipc_status feed(ipc_framed *f) {
  size_t taken;
  ipc_status status = ipc_decoder_feed(f->decoder, f->buffer + f->start, f->end - f->start, &taken);
  f->start += taken;
  if (taken != 0) f->inside = true;
  return status;
}

/* Gets the next frame to where it is delivered from. */
static ipc_status next_frame(ipc_framed *f, patience *p) {
  for (;;) {
    uint64_t need;
    ipc_status status = ipc_decoder_next(f->decoder, &f->body, &f->body_len, &need);
    if (status.code == IPC_OK) f->inside = false;
    if (status.code != IPC_WOULD_BLOCK) return status;
    if (f->start == f->end) {
      /* Between two reads of one frame: a sender that never stops must not keep a call for ever. */
      if (p->tried && p->deadline.timeout_ms > 0 && !has_patience(p)) return ipc_status_of(IPC_TIMED_OUT);
      status = fill(f, p);
      p->tried = true;
      /* Between two frames the end is the stream's to repeat, or to take back: a FIFO may get another writer. */
      if (status.code == IPC_END && f->inside) return ipc_decoder_end(f->decoder);
      if (status.code != IPC_OK) return during_call(status);
    }
    status = feed(f);
    if (status.code == IPC_OUT_OF_RESOURCES) return status;
  }
}

/* Delivers the frame that is complete, if it fits. */
static ipc_status deliver(ipc_framed *f, void *out_body, size_t body_max, size_t *out_len) {
  *out_len = f->body_len;
  if (f->body_len > body_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_body, f->body, f->body_len);
  f->body = NULL;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_framed_read(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (framed == NULL || out_body == NULL || out_len == NULL || timeout_ms < IPC_NO_TIMEOUT) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  patience p = patience_of(framed, timeout_ms);
  ipc_status status = ipc_status_of(ipc_turn_take(&framed->reading, &p.deadline));
  if (status.code != IPC_OK) return answer(&p, status);
  if (framed->body == NULL) status = next_frame(framed, &p);
  if (status.code == IPC_OK) status = deliver(framed, out_body, body_max, out_len);
  ipc_turn_give(&framed->reading);
  return answer(&p, status);
}

/* ------------------------------------------------------------------------------------------------------ writing */

/* What one write of the stream is given: the rest of an earlier frame, then whole frames. */
typedef struct batch {
  ipc_const_buffer buffers[BUFFERS_MAX];
  size_t num_buffers;
  size_t staged_len;       /* bytes of |staged| in use */
  size_t total;            /* bytes of all buffers */
  size_t ends[BODIES_MAX]; /* of the frames: bytes from the batch's beginning */
  size_t num_frames;
  int32_t refused; /* IPC_OK, or what is wrong with the body behind them */
} batch;

static void add_buffer(batch *b, const void *data, size_t len) {
  b->total += len;
  if (b->num_buffers != 0) {
    ipc_const_buffer *last = &b->buffers[b->num_buffers - 1];
    if ((const unsigned char *)last->data + last->len == data) { /* one run of staged bytes */
      last->len += len;
      return;
    }
  }
  b->buffers[b->num_buffers++] = (ipc_const_buffer){data, len};
}

/* Copies |len| bytes to the end of the staged ones. */
static void stage(ipc_framed *f, batch *b, const void *data, size_t len) {
  if (len == 0) return;
  unsigned char *at = f->staged + b->staged_len;
  memcpy(at, data, len);
  b->staged_len += len;
  add_buffer(b, at, len);
}

/* Adds a frame around |body|. False if the batch is full, or the body refused. */
static bool add_frame(ipc_framed *f, batch *b, const ipc_const_buffer *body) {
  if (b->staged_len > STAGED_MAX - STAGED_FRAME_MAX || b->num_buffers > BUFFERS_MAX - 3) return false;
  if (body->len > SIZE_MAX / 2 - b->total) return false;
  unsigned char *header = f->staged + b->staged_len;
  size_t header_len;
  b->refused = ipc_codec_put(&f->codec, body->len, header, &header_len);
  if (b->refused != IPC_OK) return false;
  b->staged_len += header_len;
  add_buffer(b, header, header_len);
  if (body->len <= SHORT_BODY) {
    stage(f, b, body->data, body->len);
  } else {
    add_buffer(b, body->data, body->len);
  }
  ipc_const_buffer trailer = ipc_codec_trailer(&f->codec);
  stage(f, b, trailer.data, trailer.len);
  b->ends[b->num_frames++] = b->total;
  return true;
}

/* The rest of a frame and as many frames as fit. */
static void make_batch(ipc_framed *f, const ipc_const_buffer *bodies, size_t num_bodies, batch *b) {
  b->num_buffers = b->staged_len = b->total = b->num_frames = 0;
  b->refused = IPC_OK;
  if (f->rest_sent != f->rest_len) add_buffer(b, f->rest + f->rest_sent, f->rest_len - f->rest_sent);
  while (b->num_frames < num_bodies && add_frame(f, b, &bodies[b->num_frames])) continue;
}

/* Keeps the bytes of the batch from |from| to |to|, which are the rest of a frame. */
static bool keep_rest(ipc_framed *f, const batch *b, size_t from, size_t to) {
  unsigned char *rest = ipc_memory_resize(f->rest, to - from);
  if (rest == NULL) return false;
  f->rest = rest;
  f->rest_len = f->rest_sent = 0;
  for (size_t i = 0, at = 0; at < to; at += b->buffers[i++].len) {
    size_t begin = from > at ? from - at : 0;
    size_t end = to - at < b->buffers[i].len ? to - at : b->buffers[i].len;
    if (begin >= end) continue;
    memcpy(rest + f->rest_len, (const unsigned char *)b->buffers[i].data + begin, end - begin);
    f->rest_len += end - begin;
  }
  return true;
}

/* Draws the conclusions from |sent| bytes of the batch: returns how many frames were taken. False in |*out_kept| if the
 * rest of one is lost. */
static size_t account(ipc_framed *f, const batch *b, size_t sent, bool *out_kept) {
  size_t rest = f->rest_len - f->rest_sent, taken = 0;
  *out_kept = true;
  if (sent < rest) {
    f->rest_sent += sent;
    return 0;
  }
  size_t begin = rest;
  while (taken < b->num_frames && sent > begin) begin = b->ends[taken++];
  f->rest_sent = f->rest_len;
  if (sent < begin) *out_kept = keep_rest(f, b, sent, begin);
  return taken;
}

/* Sends a batch, and waits as long as may be. */
static ipc_status send_batch(ipc_framed *f, const batch *b, patience *p, size_t *out_sent) {
  if (b->total == 0) return ipc_stream_flush(f->stream);
  ipc_status status = ipc_stream_write_vectored(f->stream, b->buffers, b->num_buffers, patience_ms(p), out_sent);
  p->tried = true;
  return status;
}

/* Writes as many of the bodies as go into one batch. */
static ipc_status write_batch(ipc_framed *f, const ipc_const_buffer *bodies, size_t num_bodies, patience *p,
                              size_t *out_num) {
  batch b;
  size_t sent = 0;
  bool kept;
  make_batch(f, bodies, num_bodies, &b);
  ipc_status status = b.total == 0 && b.refused != IPC_OK ? ipc_status_of(b.refused) : send_batch(f, &b, p, &sent);
  *out_num = account(f, &b, sent, &kept);
  if (!kept) {
    f->broken = true;
    return ipc_status_of(IPC_OUT_OF_RESOURCES);
  }
  bool in_part = status.code == IPC_TIMED_OUT && p->nonblocking;
  bool all = status.code == IPC_OK || (in_part && *out_num == b.num_frames && *out_num != 0);
  return all && b.refused != IPC_OK ? ipc_status_of(b.refused) : during_call(status);
}

/* Writes the bodies, and whatever is left of a frame before them. */
static ipc_status write_frames(ipc_framed *f, const ipc_const_buffer *bodies, size_t num_bodies, patience *p,
                               size_t *out_num) {
  ipc_status status;
  do {
    size_t num = 0;
    /* A flush has no bodies, and NULL + 0 is not defined. */
    const ipc_const_buffer *left = bodies != NULL ? bodies + *out_num : NULL;
    status = write_batch(f, left, num_bodies - *out_num, p, &num);
    *out_num += num;
    if (status.code == IPC_TIMED_OUT && p->nonblocking && *out_num != 0) return ipc_status_of(IPC_OK);
    if (status.code == IPC_TIMED_OUT && has_patience(p)) status.code = IPC_OK;
  } while (status.code == IPC_OK && (*out_num < num_bodies || f->rest_sent != f->rest_len));
  return answer(p, status);
}

static bool are_valid(const ipc_const_buffer *bodies, size_t num_bodies) {
  if ((bodies == NULL && num_bodies != 0) || num_bodies > BODIES_MAX) return false;
  for (size_t i = 0; i < num_bodies; i++) {
    if (bodies[i].data == NULL && bodies[i].len != 0) return false;
  }
  return true;
}

ipc_status ipc_framed_write(ipc_framed *framed, const ipc_const_buffer *bodies, size_t num_bodies, int64_t timeout_ms,
                            size_t *out_num) {
  if (out_num != NULL) *out_num = 0;
  if (framed == NULL || out_num == NULL || timeout_ms < IPC_NO_TIMEOUT || !are_valid(bodies, num_bodies)) {
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  }
  patience p = patience_of(framed, timeout_ms);
  ipc_status status = ipc_status_of(ipc_turn_take(&framed->writing, &p.deadline));
  if (status.code != IPC_OK) return answer(&p, status);
  if (framed->broken) {
    status = ipc_status_of(IPC_OUT_OF_RESOURCES);
  } else {
    status = write_frames(framed, bodies, num_bodies, &p, out_num);
  }
  ipc_turn_give(&framed->writing);
  return status;
}

ipc_status ipc_framed_flush(ipc_framed *framed, int64_t timeout_ms) {
  size_t num;
  return ipc_framed_write(framed, NULL, 0, timeout_ms, &num);
}
