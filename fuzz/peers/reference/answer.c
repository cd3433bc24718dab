#include "fuzz/peers/reference/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/framing.h"
#include "ipc/name.h"

enum { DECODE = 1, ENCODE = 2, NATIVE = 3, PARSE = 4, FORMAT = 5 };
enum { NOT_OFFERED = 0xFF };
enum { NAME_MAX_LEN = 16384 };

const char *const answer_offers[] = {
    "decode u32",
    "encode u32",
    "decode length",
    "encode length",
    "decode varint",
    "encode varint",
    "decode netstring",
    "encode netstring",
    "decode content_length",
    "encode content_length",
    "decode escape",
    "encode escape",
    "refusals",
    "native linux",
    "native macos",
    "native freebsd",
    "native windows",
    "parse",
    "format",
    NULL,
};

void bytes_append(bytes *to, const void *data, size_t len) {
  if (to->max - to->len < len) {
    const size_t max = 2 * (to->len + len) + 64;
    uint8_t *grown = realloc(to->data, max);
    if (grown == NULL) {
      fputs("no memory\n", stderr);
      exit(2);
    }
    to->data = grown;
    to->max = max;
  }
  if (len != 0) memcpy(to->data + to->len, data, len);
  to->len += len;
}

void bytes_append_u32(bytes *to, size_t value) {
  const uint8_t number[4] = {(uint8_t)(value >> 24), (uint8_t)(value >> 16), (uint8_t)(value >> 8), (uint8_t)value};
  bytes_append(to, number, sizeof number);
}

static void append_u8(bytes *to, unsigned value) {
  const uint8_t byte = (uint8_t)value;
  bytes_append(to, &byte, 1);
}

static void append_u64(bytes *to, uint64_t value) {
  bytes_append_u32(to, (size_t)(value >> 32));
  bytes_append_u32(to, (size_t)(value & 0xFFFFFFFFu));
}

/* A request that is being read. What is not there is 0, and `lacks` is set. */
typedef struct cursor {
  const uint8_t *at;
  size_t len;
  int lacks;
} cursor;

static uint64_t number(cursor *c, unsigned width) {
  uint64_t value = 0;
  if (c->len < width) {
    c->lacks = 1;
    c->len = 0;
    return 0;
  }
  for (unsigned i = 0; i < width; i++) value = value << 8 | c->at[i];
  c->at += width;
  c->len -= width;
  return value;
}

static ipc_framing codec_of(cursor *c) {
  ipc_framing f;
  memset(&f, 0, sizeof f);
  f.size = sizeof f;
  f.codec = (uint32_t)number(c, 1);
  f.flags = (uint32_t)number(c, 1);
  f.varint_bytes = (uint32_t)number(c, 1);
  f.width = (uint32_t)number(c, 4);
  f.offset = (uint32_t)number(c, 4);
  f.skip = (uint32_t)number(c, 4);
  f.adjustment = (int64_t)number(c, 8);
  f.max = number(c, 8);
  return f;
}

static void last(bytes *out, int32_t status, uint64_t need) {
  append_u8(out, (unsigned)status);
  append_u64(out, need);
}

/* Takes the frame that is complete, if one is. Returns the decoder's status, with the need beside IPC_WOULD_BLOCK. */
static int32_t take(ipc_decoder *decoder, bytes *out, uint64_t *need) {
  const void *body;
  size_t len;
  const int32_t status = ipc_decoder_next(decoder, &body, &len, need).code;
  if (status == IPC_OK) {
    append_u8(out, IPC_OK);
    bytes_append_u32(out, len);
    bytes_append(out, body, len);
  }
  return status;
}

static void decode(cursor *c, bytes *out) {
  const ipc_framing f = codec_of(c);
  const int ends = number(c, 1) != 0;
  ipc_decoder *decoder;
  int32_t status = ipc_framing_decode(&f, &decoder).code;
  if (status != IPC_OK) {
    last(out, status, 0);
    return;
  }
  uint64_t need = 0;
  status = take(decoder, out, &need);
  while (c->len != 0 && !c->lacks && status == IPC_WOULD_BLOCK) {
    size_t left = (size_t)number(c, 4);
    if (left > c->len) left = c->len;
    const uint8_t *piece = c->at;
    c->at += left;
    c->len -= left;
    while (left != 0 && status == IPC_WOULD_BLOCK) {
      size_t took;
      status = ipc_decoder_feed(decoder, piece, left, &took).code;
      if (status != IPC_OK) break;
      piece += took;
      left -= took;
      status = take(decoder, out, &need);
      if (status == IPC_OK)
        status = IPC_WOULD_BLOCK, need = 1; /* to be asked again */
      else if (took == 0)
        status = IPC_FAILED; /* neither a byte nor a frame: it would go on for ever */
    }
    if (status == IPC_WOULD_BLOCK) status = take(decoder, out, &need);
  }
  if (ends) {
    (void)ipc_decoder_end(decoder);
    status = take(decoder, out, &need);
  }
  last(out, status, status == IPC_WOULD_BLOCK ? need : 0);
  (void)ipc_decoder_free(decoder);
}

static void encode(cursor *c, bytes *out) {
  const ipc_framing f = codec_of(c);
  const uint64_t body_len = number(c, 8);
  uint8_t header[IPC_FRAMING_ENCODED_MAX];
  size_t len;
  ipc_const_buffer trailer;
  const int32_t status = ipc_framing_encode(&f, body_len, header, sizeof header, &len, &trailer).code;
  append_u8(out, (unsigned)status);
  if (status != IPC_OK) return;
  bytes_append_u32(out, len);
  bytes_append(out, header, len);
  bytes_append(out, trailer.data, trailer.len);
}

static void name(cursor *c, unsigned what, bytes *out) {
  static uint8_t room[NAME_MAX_LEN];
  size_t len = 0;
  uint32_t kind = 0;
  ipc_name given;
  int32_t status;
  if (what == PARSE) {
    status = ipc_name_parse(c->at, c->len, &kind, room, sizeof room, &len).code;
  } else {
    given.kind = (uint32_t)number(c, 1);
    const uint32_t os = what == NATIVE ? (uint32_t)number(c, 1) : 0;
    given.data = c->at;
    given.len = c->len;
    status = what == NATIVE ? ipc_name_native(&given, os, room, sizeof room, &len).code
                            : ipc_name_format(&given, room, sizeof room, &len).code;
  }
  append_u8(out, (unsigned)status);
  if (status != IPC_OK) return;
  if (what == PARSE) append_u8(out, kind);
  bytes_append(out, room, len);
}

void answer(const uint8_t *request, size_t len, bytes *out) {
  cursor c = {request, len, 0};
  const unsigned what = (unsigned)number(&c, 1);
  switch (what) {
    case DECODE:
      decode(&c, out);
      break;
    case ENCODE:
      encode(&c, out);
      break;
    case NATIVE:
    case PARSE:
    case FORMAT:
      name(&c, what, out);
      break;
    default:
      append_u8(out, NOT_OFFERED);
  }
}
