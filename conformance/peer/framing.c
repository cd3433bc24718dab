/* framing.c - the handlers of framing.encode and framing.decode. */
#include <stdlib.h>
#include <string.h>

#include "conformance/peer/call.h"
#include "conformance/peer/endpoint.h"
#include "conformance/peer/operations.h"
#include "conformance/peer/outcome.h"

enum { FRAMES_MAX = 4096 };

/* Position of |text| in |names|, which ends in NULL, counted from 1; 0 if it is not there. */
static uint32_t position(const char *const *names, const char *text) {
  for (uint32_t i = 0; names[i] != NULL; i++) {
    if (strcmp(names[i], text) == 0) return i + 1;
  }
  return 0;
}

bool call_framing(const cts_call *call, ipc_framing *out_framing, cts_outcome *out) {
  /* In the order of IPC_FRAMING_U32 and so on. */
  static const char *const codecs[] = {"u32", "length", "varint", "netstring", "content_length", "escape", NULL};
  ipc_framing f = {.size = sizeof(f)};
  f.codec = position(codecs, cts_text_or(call, "codec", ""));
  f.offset = (uint32_t)cts_u64_or(call, "offset", 0);
  f.width = (uint32_t)cts_u64_or(call, "width", 0);
  f.adjustment = cts_i64_or(call, "adjustment", 0);
  f.skip = cts_has(call, "skip") ? (uint32_t)cts_u64_or(call, "skip", 0) : f.offset + f.width;
  f.varint_bytes = (uint32_t)cts_u64_or(call, "varint_bytes", 0);
  f.max = cts_u64_or(call, "max", 0);
  if (strcmp(cts_text_or(call, "order", "big"), "little") == 0) f.flags |= IPC_FRAMING_LITTLE_ENDIAN;
  *out_framing = f;
  /* To the library a zero is a default; in a request it is a value, and out of range. */
  const bool zero = (cts_has(call, "max") && f.max == 0) || (cts_has(call, "varint_bytes") && f.varint_bytes == 0);
  if (zero) *out = cts_status("invalid_argument", "max is at least 1, varint_bytes 5 or 10");
  return !zero;
}

cts_outcome do_framing_encode(cts_call *call) {
  ipc_framing framing;
  cts_outcome refusal;
  size_t len = 0;
  ipc_const_buffer trailer = {NULL, 0};
  if (!call_framing(call, &framing, &refusal)) return refusal;
  uint64_t body_len = cts_u64_or(call, "body_length", 0);
  ipc_status status = library.framing_encode(&framing, body_len, cts_scratch(call), CTS_LINE_MAX, &len, &trailer);
  if (status.code != IPC_OK) return outcome_of(status);
  if (len > CTS_LINE_MAX || trailer.len > CTS_LINE_MAX || (trailer.len != 0 && trailer.data == NULL))
    return outcome_why("failed", "the library answered a header or trailer that cannot be");
  cts_add_bytes(call, "header", cts_scratch(call), len);
  cts_add_bytes(call, "trailer", trailer.len != 0 ? trailer.data : "", trailer.len);
  return outcome_of(status);
}

/* A decoder under test, and what it delivered. */
typedef struct decoding {
  ipc_decoder *decoder;
  cts_digest digest; /* of the frames, joined */
  uint64_t frames[FRAMES_MAX];
  size_t num_frames;
  uint64_t need;      /* of the last IPC_WOULD_BLOCK */
  uint64_t max_after; /* limit from the second frame on, or 0 */
  const char *broken; /* what the library did that no library may, or NULL */
} decoding;

/* take_frames takes frames until there is none, and answers why there is none. */
static ipc_status take_frames(decoding *d) {
  for (;;) {
    const void *body = NULL;
    size_t len = 0;
    ipc_status status = library.decoder_next(d->decoder, &body, &len, &d->need);
    if (status.code != IPC_OK) return status;
    if (body == NULL && len != 0) d->broken = "the library delivered a frame without bytes";
    if (d->num_frames == FRAMES_MAX) d->broken = "the library delivered more frames than a reply holds";
    if (d->broken != NULL) return status;
    d->frames[d->num_frames++] = len;
    cts_digest_update(&d->digest, body, len);
    if (d->num_frames > 1 || d->max_after == 0) continue;
    if (library.decoder_set_max(d->decoder, d->max_after).code != IPC_OK)
      d->broken = "the library refused a limit between two frames";
    if (d->broken != NULL) return status;
  }
}

/* feed_piece gives the decoder one piece, frame by frame, also after an error, which has to stay what it is. */
static ipc_status feed_piece(decoding *d, const uint8_t *data, size_t len) {
  for (;;) {
    size_t taken = 0;
    ipc_status fed = library.decoder_feed(d->decoder, data, len, &taken);
    if (taken > len) d->broken = "the library took more bytes than it was given";
    if (d->broken != NULL || fed.code == IPC_OUT_OF_RESOURCES) return fed;
    size_t before = d->num_frames;
    ipc_status status = take_frames(d);
    if (fed.code != IPC_OK && fed.code != status.code) d->broken = "decoder_feed and decoder_next disagree";
    if (d->broken != NULL || status.code != IPC_WOULD_BLOCK) return status;
    if (fed.code == IPC_OK && taken == 0 && len != 0 && d->num_frames == before)
      d->broken = "the library answered ok, took nothing and delivered nothing";
    data += taken;
    len -= taken;
    if (d->broken != NULL || len == 0) return status;
  }
}

/* next_piece says how long piece number |i| is, of |left| bytes. */
static size_t next_piece(const cts_call *call, size_t i, size_t left) {
  size_t num = 0;
  const uint64_t *pieces = cts_has(call, "pieces") ? cts_list_of(call, "pieces", &num) : NULL;
  uint64_t piece = i < num ? pieces[i] : cts_u64_or(call, "piece", left);
  return piece < left ? (size_t)piece : left;
}

/* feed_stream feeds all pieces and then tells the end, if the request does. */
static ipc_status feed_stream(const cts_call *call, decoding *d, const uint8_t *stream, size_t len) {
  ipc_status status = take_frames(d); /* a fresh decoder has something to say, too */
  for (size_t i = 0, at = 0; at < len && d->broken == NULL && status.code != IPC_OUT_OF_RESOURCES; i++) {
    size_t piece = next_piece(call, i, len - at);
    ipc_status now = feed_piece(d, stream + at, piece);
    if (status.code != IPC_WOULD_BLOCK && now.code != status.code) d->broken = "an error did not stay what it was";
    status = now;
    at += piece;
  }
  if (!cts_bool_or(call, "end", false) || d->broken != NULL || status.code == IPC_OUT_OF_RESOURCES) return status;
  ipc_status ended = library.decoder_end(d->decoder);
  status = take_frames(d);
  if (ended.code != (status.code == IPC_END ? IPC_OK : status.code))
    d->broken = "decoder_end and decoder_next disagree";
  return status;
}

static cts_outcome add_decoding(cts_call *call, const decoding *d, ipc_status status) {
  cts_add_list_u64(call, "frames", d->frames, d->num_frames);
  cts_add_digest(call, &d->digest);
  if (d->broken != NULL) return cts_status("failed", d->broken);
  if (status.code != IPC_WOULD_BLOCK) return outcome_of(status);
  if (cts_bool_or(call, "end", false)) return cts_status("failed", "the library waits for bytes after the end");
  if (d->need == 0) return cts_status("failed", "the library waits for no bytes");
  cts_add_u64(call, "need", d->need);
  return cts_ok();
}

/* check_max_after has the library judge `max_after` before any effect: it takes the limit, and the first one back. */
static ipc_status check_max_after(const cts_call *call, decoding *d, const ipc_framing *framing) {
  ipc_status status = {IPC_OK, 0};
  if (!cts_has(call, "max_after")) return status;
  d->max_after = cts_u64_or(call, "max_after", 0);
  status.code = IPC_INVALID_ARGUMENT; /* a zero is a value here, and out of range */
  if (d->max_after != 0) status = library.decoder_set_max(d->decoder, d->max_after);
  return status.code == IPC_OK ? library.decoder_set_max(d->decoder, framing->max) : status;
}

/* decode makes the decoder, feeds it and adds what it delivered. */
static cts_outcome decode(cts_call *call, decoding *d, const ipc_framing *framing, const uint8_t *stream, size_t len) {
  cts_digest_init(&d->digest, 0);
  ipc_status status = library.framing_decode(framing, &d->decoder);
  if (status.code != IPC_OK) return outcome_of(status);
  if (d->decoder == NULL) return cts_status("failed", "the library answered ok and made no decoder");
  status = check_max_after(call, d, framing);
  cts_outcome outcome =
      status.code == IPC_OK ? add_decoding(call, d, feed_stream(call, d, stream, len)) : outcome_of(status);
  library.decoder_free(d->decoder);
  return outcome;
}

/* stream_of joins head, body and tail. NULL if there is no memory; the caller frees it. */
static uint8_t *stream_of(const cts_call *call, size_t *out_len) {
  cts_bytes head = {NULL, 0}, tail = {NULL, 0};
  cts_data body = {.len = 0};
  if (cts_has(call, "head")) head = cts_bytes_of(call, "head");
  if (cts_has(call, "body")) body = cts_data_of(call, "body");
  if (cts_has(call, "tail")) tail = cts_bytes_of(call, "tail");
  *out_len = head.len + body.len + tail.len;
  uint8_t *stream = malloc(*out_len + 1);
  if (stream == NULL) return NULL;
  if (head.len != 0) memcpy(stream, head.data, head.len);
  if (body.len != 0) cts_data_copy(&body, 0, stream + head.len, body.len);
  if (tail.len != 0) memcpy(stream + head.len + body.len, tail.data, tail.len);
  return stream;
}

cts_outcome do_framing_decode(cts_call *call) {
  ipc_framing framing;
  cts_outcome outcome;
  size_t len;
  if (!call_framing(call, &framing, &outcome)) return outcome;
  if (strcmp(cts_text_or(call, "overlong", "refuse"), "accept") == 0) framing.flags |= IPC_FRAMING_ACCEPT_OVERLONG;
  if (cts_bool_or(call, "body_at_skip", false)) framing.flags |= IPC_FRAMING_BODY_AT_SKIP;
  if (cts_u64_or(call, "piece", 1) == 0) return cts_status("invalid_argument", "piece is at least 1");
  decoding *d = calloc(1, sizeof(*d));
  uint8_t *stream = stream_of(call, &len);
  if (d == NULL || stream == NULL) {
    outcome = cts_status("out_of_resources", "no memory for the stream");
  } else {
    outcome = decode(call, d, &framing, stream, len);
  }
  free(stream);
  free(d);
  return outcome;
}
