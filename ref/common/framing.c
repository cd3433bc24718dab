/* framing.c - frames in a byte stream. Pure: asks no system anything but memory.
 *
 * A decoder collects bytes until it has as many as it |wanted|, then looks at them, which ends in an error, a frame, or
 * a greater |wanted|. A header is looked at as often as it takes, so that an error is told with the first byte that
 * cannot belong to a frame, however the stream is cut. Lengths are 64 bits and compared before they are added; memory
 * is asked for bytes that are there.
 */
#include "ipc/framing.h"

#include <stdlib.h>
#include <string.h>

#include "ref/common/codec.h"
#include "ref/common/memory.h"
#include "ref/common/platform.h"

enum {
  ROOM_FIRST = 64,    /* bytes of a decoder's first buffer */
  ROOM_KEPT = 65536,  /* a greater buffer does not outlive its frame */
  ESCAPE_LONG = 12,   /* bytes of -1 and the 8-byte length */
  DECIMAL_DIGITS = 20 /* of 2^64 - 1 */
};

static const char content_length[] = "Content-Length";

struct ipc_decoder {
  ipc_framing framing;  /* checked, defaults filled in */
  uint64_t max_ceiling; /* of the codec that was asked for */
  unsigned char *bytes; /* of the frame that is under way or complete */
  size_t len;           /* bytes of them that are there */
  size_t room;          /* bytes that fit */
  uint64_t wanted;      /* bytes that must be there for the next look */
  int32_t error;        /* IPC_OK, or what ended the stream */
  bool ready;           /* a frame is complete */
  bool ended;           /* no bytes follow */
  bool in_body;         /* the header is complete */
  size_t header_len;    /* known in the body */
  uint64_t body_len;    /* known in the body */
  uint64_t value;       /* text codecs: the length read so far */
  bool has_value;       /* CONTENT_LENGTH: its line was there */
  size_t line_start;    /* CONTENT_LENGTH: of the line under way */
};

void *(*ipc_memory_resize)(void *memory, size_t bytes) = realloc;

/* ---------------------------------------------------------------------------------------------------- the codec */

/* The greatest value of a field of |width| bytes. */
static uint64_t field_max(uint32_t width) { return width >= 8 ? UINT64_MAX : ((uint64_t)1 << (8 * width)) - 1; }

/* |adjustment| without its sign; also of INT64_MIN, which has no positive counterpart. */
static uint64_t magnitude(int64_t adjustment) {
  return adjustment < 0 ? (uint64_t)0 - (uint64_t)adjustment : (uint64_t)adjustment;
}

/* Whether the body begins where |skip| says, and not where the field ends. */
static bool is_body_at_skip(const ipc_framing *f) {
  return f->codec == IPC_FRAMING_LENGTH && (f->flags & IPC_FRAMING_BODY_AT_SKIP) != 0;
}

/* The least body of a valid frame: one that begins within the header has to reach its end, or the next frame would
 * begin within this one's header. */
static uint64_t body_min(const ipc_framing *f) {
  uint32_t header_len = f->offset + f->width;
  return is_body_at_skip(f) && f->skip < header_len ? header_len - f->skip : 0;
}

/* Whether there is a value of the field whose body is neither too short nor too long. */
static bool has_valid_frame(const ipc_framing *f) {
  uint64_t adjustment = magnitude(f->adjustment), least = body_min(f), greatest = field_max(f->width);
  if (least > f->max) return false;
  if (f->adjustment < 0) return adjustment <= greatest && least <= greatest - adjustment;
  return adjustment <= f->max && (least <= adjustment || least - adjustment <= greatest);
}

static bool check_length(const ipc_framing *f) {
  if (f->width != 1 && f->width != 2 && f->width != 3 && f->width != 4 && f->width != 8) return false;
  if (f->offset > IPC_FRAMING_OFFSET_MAX) return false;
  if (f->skip > (is_body_at_skip(f) ? IPC_FRAMING_ENCODED_MAX : f->offset + f->width)) return false;
  return has_valid_frame(f);
}

static uint64_t max_ceiling(uint32_t codec) {
  return codec == IPC_FRAMING_U32 ? IPC_FRAMING_MAX_CEILING_U32 : IPC_FRAMING_MAX_CEILING;
}

bool ipc_codec_resolve(const ipc_framing *given, ipc_framing *out) {
  const uint32_t flags = IPC_FRAMING_LITTLE_ENDIAN | IPC_FRAMING_ACCEPT_OVERLONG | IPC_FRAMING_BODY_AT_SKIP;
  if (given == NULL || given->size < sizeof(*given) || given->reserved != 0) return false;
  if ((given->flags & ~flags) != 0) return false;
  *out = *given;
  if (out->max == 0) out->max = IPC_FRAMING_MAX_DEFAULT;
  if (out->varint_bytes == 0) out->varint_bytes = 5;
  if (out->max > max_ceiling(out->codec)) return false;
  switch (out->codec) {
    case IPC_FRAMING_U32:
      *out = (ipc_framing){.codec = IPC_FRAMING_LENGTH, .width = 4, .skip = 4, .max = out->max};
      return true;
    case IPC_FRAMING_LENGTH:
      return check_length(out);
    case IPC_FRAMING_VARINT:
      return out->varint_bytes == 5 || out->varint_bytes == 10;
    case IPC_FRAMING_NETSTRING:
    case IPC_FRAMING_CONTENT_LENGTH:
    case IPC_FRAMING_ESCAPE:
      return true;
    default:
      return false;
  }
}

static uint64_t get_field(const unsigned char *bytes, size_t width, bool little) {
  uint64_t value = 0;
  for (size_t i = 0; i < width; i++) value = value << 8 | bytes[little ? width - 1 - i : i];
  return value;
}

static void put_field(unsigned char *out, size_t width, bool little, uint64_t value) {
  for (size_t i = 0; i < width; i++) out[little ? i : width - 1 - i] = (unsigned char)(value >> (8 * i));
}

/* ----------------------------------------------------------------------------------------------------- encoding */

/* Writes |value| in decimal, at most DECIMAL_DIGITS bytes; returns how many. */
static size_t put_decimal(unsigned char *out, uint64_t value) {
  unsigned char digits[DECIMAL_DIGITS];
  size_t len = 0;
  do {
    digits[len++] = (unsigned char)('0' + value % 10);
    value /= 10;
  } while (value != 0);
  for (size_t i = 0; i < len; i++) out[i] = digits[len - 1 - i];
  return len;
}

/* The put_ functions write a header to |out|, which has IPC_FRAMING_ENCODED_MAX bytes, and return its length, or 0 if
 * the codec cannot say |body_len|. */

static size_t put_length(const ipc_framing *f, uint64_t body_len, unsigned char *out) {
  if (is_body_at_skip(f)) return 0;
  uint64_t adjustment = magnitude(f->adjustment);
  if (f->adjustment > 0 && body_len < adjustment) return 0;
  /* No wrap: a body is shorter than 2^53, a negative adjustment at most 2^63. */
  uint64_t value = f->adjustment < 0 ? body_len + adjustment : body_len - adjustment;
  if (value > field_max(f->width)) return 0;
  memset(out, 0, f->offset);
  put_field(out + f->offset, f->width, (f->flags & IPC_FRAMING_LITTLE_ENDIAN) != 0, value);
  return f->offset + f->width;
}

static size_t put_varint(const ipc_framing *f, uint64_t body_len, unsigned char *out) {
  if (f->varint_bytes == 5 && body_len > UINT32_MAX) return 0;
  size_t len = 0;
  for (; body_len >= 0x80; body_len >>= 7) out[len++] = (unsigned char)((body_len & 0x7F) | 0x80);
  out[len++] = (unsigned char)body_len;
  return len;
}

static size_t put_netstring(uint64_t body_len, unsigned char *out) {
  size_t len = put_decimal(out, body_len);
  out[len++] = ':';
  return len;
}

static size_t put_content_length(uint64_t body_len, unsigned char *out) {
  size_t len = sizeof(content_length) - 1;
  memcpy(out, content_length, len);
  memcpy(out + len, ": ", 2);
  len += 2;
  len += put_decimal(out + len, body_len);
  memcpy(out + len, "\r\n\r\n", 4);
  return len + 4;
}

static size_t put_escape(uint64_t body_len, unsigned char *out) {
  bool is_long = body_len > INT32_MAX;
  put_field(out, 4, false, is_long ? UINT32_MAX : body_len);
  if (is_long) put_field(out + 4, 8, false, body_len);
  return is_long ? ESCAPE_LONG : 4;
}

static size_t put_header(const ipc_framing *f, uint64_t body_len, unsigned char *out) {
  switch (f->codec) {
    case IPC_FRAMING_LENGTH:
      return put_length(f, body_len, out);
    case IPC_FRAMING_VARINT:
      return put_varint(f, body_len, out);
    case IPC_FRAMING_NETSTRING:
      return put_netstring(body_len, out);
    case IPC_FRAMING_CONTENT_LENGTH:
      return put_content_length(body_len, out);
    default:
      return put_escape(body_len, out);
  }
}

int32_t ipc_codec_put(const ipc_framing *codec, uint64_t body_len, unsigned char *out_header, size_t *out_len) {
  *out_len = 0;
  if (body_len > codec->max) return IPC_MESSAGE_TOO_LARGE;
  *out_len = put_header(codec, body_len, out_header);
  return *out_len != 0 ? IPC_OK : IPC_UNENCODABLE;
}

ipc_const_buffer ipc_codec_trailer(const ipc_framing *codec) {
  return codec->codec == IPC_FRAMING_NETSTRING ? (ipc_const_buffer){",", 1} : (ipc_const_buffer){NULL, 0};
}

ipc_status ipc_framing_encode(const ipc_framing *framing, uint64_t body_len, void *out_header, size_t header_max,
                              size_t *out_header_len, ipc_const_buffer *out_trailer) {
  unsigned char header[IPC_FRAMING_ENCODED_MAX];
  ipc_framing f;
  if (out_header_len != NULL) *out_header_len = 0;
  if (out_trailer != NULL) *out_trailer = (ipc_const_buffer){NULL, 0};
  if (out_header == NULL || out_header_len == NULL || out_trailer == NULL || !ipc_codec_resolve(framing, &f))
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  int32_t code = ipc_codec_put(&f, body_len, header, out_header_len);
  if (code != IPC_OK) return ipc_status_of(code);
  if (*out_header_len > header_max) return ipc_status_of(IPC_MESSAGE_TRUNCATED);
  memcpy(out_header, header, *out_header_len);
  *out_trailer = ipc_codec_trailer(&f);
  return ipc_status_of(IPC_OK);
}

/* ----------------------------------------------------------------------------------------------- decoding headers */

static size_t trailer_len(const ipc_decoder *d) { return d->framing.codec == IPC_FRAMING_NETSTRING ? 1 : 0; }

/* Ends the header: a body of |body_len| bytes begins |header_len| bytes behind the frame's beginning. */
static int32_t begin_body(ipc_decoder *d, size_t header_len, uint64_t body_len) {
  if (body_len > d->framing.max) return IPC_MESSAGE_TOO_LARGE;
  if (body_len < body_min(&d->framing)) return IPC_MALFORMED;
  d->in_body = true;
  d->header_len = header_len;
  d->body_len = body_len;
  d->wanted = header_len + body_len + trailer_len(d);
  return IPC_OK;
}

/* Bytes of the shortest header. A body that begins far behind the field is only begun when the bytes up to it are there.
 */
static size_t header_min(const ipc_framing *f) {
  if (f->codec == IPC_FRAMING_ESCAPE) return 4;
  if (f->codec != IPC_FRAMING_LENGTH) return 1;
  uint32_t header_len = f->offset + f->width;
  return is_body_at_skip(f) && f->skip > header_len ? f->skip : header_len;
}

/* The look_ functions look at a header, of which |wanted| bytes are there. They end it, want more, or answer what is
 * wrong with it. */

static int32_t look_length(ipc_decoder *d) {
  const ipc_framing *f = &d->framing;
  uint64_t value = get_field(d->bytes + f->offset, f->width, (f->flags & IPC_FRAMING_LITTLE_ENDIAN) != 0);
  uint64_t adjustment = magnitude(f->adjustment);
  if (f->adjustment < 0) {
    if (value < adjustment) return IPC_MALFORMED;
    value -= adjustment;
  } else {
    if (value > f->max - adjustment) return IPC_MESSAGE_TOO_LARGE;
    value += adjustment;
  }
  return begin_body(d, is_body_at_skip(f) ? f->skip : f->offset + f->width, value);
}

static int32_t look_varint(ipc_decoder *d) {
  uint32_t last_max = d->framing.varint_bytes == 5 ? 0x0F : 0x01; /* what is left of 32 or 64 bits */
  unsigned char byte = d->bytes[d->len - 1];
  if (d->len == d->framing.varint_bytes && byte > last_max) return IPC_MALFORMED;
  if (byte & 0x80) {
    d->wanted++;
    return IPC_OK;
  }
  if (byte == 0 && d->len > 1 && (d->framing.flags & IPC_FRAMING_ACCEPT_OVERLONG) == 0) return IPC_MALFORMED;
  uint64_t value = 0;
  for (size_t i = d->len; i > 0; i--) value = value << 7 | (d->bytes[i - 1] & 0x7Fu);
  return begin_body(d, d->len, value);
}

/* Adds a digit to the length; a value that exceeds |max| only grows. */
static int32_t add_digit(ipc_decoder *d, unsigned char digit) {
  d->value = d->value * 10 + (digit - (unsigned)'0');
  return d->value > d->framing.max ? IPC_MESSAGE_TOO_LARGE : IPC_OK;
}

static bool is_digit(unsigned char c) { return c >= '0' && c <= '9'; }

static int32_t look_netstring(ipc_decoder *d) {
  unsigned char byte = d->bytes[d->len - 1];
  if (byte == ':' && d->len > 1) return begin_body(d, d->len, d->value);
  if (!is_digit(byte) || (d->len == 2 && d->bytes[0] == '0')) return IPC_MALFORMED;
  d->wanted++;
  return add_digit(d, byte);
}

static int32_t look_escape(ipc_decoder *d) {
  uint64_t value = get_field(d->bytes, 4, false);
  if (d->len == ESCAPE_LONG) {
    value = get_field(d->bytes + 4, 8, false);
    if (value <= INT32_MAX && (d->framing.flags & IPC_FRAMING_ACCEPT_OVERLONG) == 0) return IPC_MALFORMED;
  } else if (value == UINT32_MAX) {
    d->wanted = ESCAPE_LONG;
    return IPC_OK;
  } else if (value > INT32_MAX) {
    return IPC_MALFORMED;
  }
  return begin_body(d, d->len, value);
}

/* Whether |c| may stand in the name of a header field: RFC 9110, `token`. */
static bool is_token(unsigned char c) {
  if (is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
  return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool is_blank(unsigned char c) { return c == ' ' || c == '\t'; }

/* Whether |name| is Content-Length, in whatever case. */
static bool is_content_length(const unsigned char *name, size_t len) {
  if (len != sizeof(content_length) - 1) return false;
  for (size_t i = 0; i < len; i++) {
    /* The hyphen is its own lower case, and no other byte becomes it. */
    if ((name[i] | 0x20u) != ((unsigned char)content_length[i] | 0x20u)) return false;
  }
  return true;
}

/* Reads the value of the Content-Length line: digits, with blanks around them and nothing else. */
static int32_t read_content_length(ipc_decoder *d, const unsigned char *value, size_t len) {
  int32_t code = IPC_OK;
  if (d->has_value) return IPC_MALFORMED;
  d->has_value = true;
  while (len > 0 && is_blank(value[0])) value++, len--;
  while (len > 0 && is_blank(value[len - 1])) len--;
  if (len == 0) return IPC_MALFORMED;
  for (size_t i = 0; i < len; i++) {
    if (!is_digit(value[i])) return IPC_MALFORMED;
    /* The first digit too many decides the status, unless what follows is no number at all. */
    if (code == IPC_OK) code = add_digit(d, value[i]);
  }
  return code;
}

/* Reads the header line of |len| bytes, its CR LF taken off. */
static int32_t read_line(ipc_decoder *d, const unsigned char *line, size_t len) {
  size_t name_len = 0;
  while (name_len < len && is_token(line[name_len])) name_len++;
  if (name_len == 0 || name_len == len || line[name_len] != ':') return IPC_MALFORMED;
  if (!is_content_length(line, name_len)) return IPC_OK;
  return read_content_length(d, line + name_len + 1, len - name_len - 1);
}

static int32_t look_content_length(ipc_decoder *d) {
  unsigned char byte = d->bytes[d->len - 1];
  bool after_cr = d->len > 1 && d->bytes[d->len - 2] == '\r';
  if (after_cr != (byte == '\n')) return IPC_MALFORMED;
  if ((byte < ' ' && byte != '\t' && byte != '\r' && byte != '\n') || byte == 0x7F) return IPC_MALFORMED;
  if (byte == '\n') {
    size_t line_len = d->len - 2 - d->line_start;
    if (line_len == 0) return d->has_value ? begin_body(d, d->len, d->value) : IPC_MALFORMED;
    int32_t code = read_line(d, d->bytes + d->line_start, line_len);
    if (code != IPC_OK) return code;
    d->line_start = d->len;
  }
  d->wanted++;
  return d->len == IPC_FRAMING_HEADER_MAX ? IPC_MALFORMED : IPC_OK;
}

static int32_t look_header(ipc_decoder *d) {
  switch (d->framing.codec) {
    case IPC_FRAMING_LENGTH:
      return look_length(d);
    case IPC_FRAMING_VARINT:
      return look_varint(d);
    case IPC_FRAMING_NETSTRING:
      return look_netstring(d);
    case IPC_FRAMING_CONTENT_LENGTH:
      return look_content_length(d);
    default:
      return look_escape(d);
  }
}

/* ---------------------------------------------------------------------------------------------------- the decoder */

/* Puts the decoder at the beginning of a frame. The bytes of the one before stay where they are. */
static void begin_frame(ipc_decoder *d) {
  d->len = 0;
  d->ready = d->in_body = d->has_value = false;
  d->value = d->body_len = 0;
  d->header_len = d->line_start = 0;
  d->wanted = header_min(&d->framing);
}

/* Looks at what is there, which is all that was wanted. */
static void look(ipc_decoder *d) {
  if (!d->in_body) d->error = look_header(d);
  if (d->error != IPC_OK || !d->in_body || d->len < d->wanted) return;
  if (trailer_len(d) != 0 && d->bytes[d->len - 1] != ',') {
    d->error = IPC_MALFORMED;
  } else {
    d->ready = true;
  }
}

/* Makes room for |more| bytes. Room doubles, but never beyond what the frame may use. */
static bool reserve(ipc_decoder *d, size_t more) {
  if (more <= d->room - d->len) return true;
  if (more > SIZE_MAX / 2 - d->len) return false;
  size_t needed = d->len + more;
  size_t room = d->room < ROOM_FIRST / 2 ? ROOM_FIRST : 2 * d->room;
  if (d->in_body && room > d->wanted) room = (size_t)d->wanted;
  if (room < needed) room = needed;
  unsigned char *bytes = ipc_memory_resize(d->bytes, room);
  if (bytes == NULL) return false;
  d->bytes = bytes;
  d->room = room;
  return true;
}

ipc_status ipc_framing_decode(const ipc_framing *framing, ipc_decoder **out_decoder) {
  ipc_framing f;
  if (out_decoder != NULL) *out_decoder = NULL;
  if (out_decoder == NULL || !ipc_codec_resolve(framing, &f)) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_decoder *d = ipc_memory_resize(NULL, sizeof(*d));
  if (d == NULL) return ipc_status_of(IPC_OUT_OF_RESOURCES);
  *d = (ipc_decoder){.framing = f, .max_ceiling = max_ceiling(framing->codec)};
  begin_frame(d);
  *out_decoder = d;
  return ipc_status_of(IPC_OK);
}

ipc_status ipc_decoder_feed(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len) {
  ipc_decoder *d = decoder;
  const unsigned char *bytes = data;
  if (out_len != NULL) *out_len = 0;
  if (d == NULL || out_len == NULL || (data == NULL && data_len != 0) || (d->ended && data_len != 0))
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (d->len == 0 && d->room > ROOM_KEPT) {
    free(d->bytes);
    d->bytes = NULL;
    d->room = 0;
  }
  while (*out_len < data_len && !d->ready && d->error == IPC_OK) {
    size_t left = data_len - *out_len;
    size_t more = d->wanted - d->len < left ? (size_t)(d->wanted - d->len) : left;
    if (!reserve(d, more)) return ipc_status_of(IPC_OUT_OF_RESOURCES);
    memcpy(d->bytes + d->len, bytes + *out_len, more);
    d->len += more;
    *out_len += more;
    if (d->len == d->wanted) look(d);
  }
  return ipc_status_of(d->error);
}

ipc_status ipc_decoder_next(ipc_decoder *decoder, const void **out_body, size_t *out_len, uint64_t *out_need) {
  ipc_decoder *d = decoder;
  if (out_body != NULL) *out_body = NULL;
  if (out_len != NULL) *out_len = 0;
  if (out_need != NULL) *out_need = 0;
  if (d == NULL || out_body == NULL || out_len == NULL || out_need == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (d->error != IPC_OK) return ipc_status_of(d->error);
  if (d->ready) {
    size_t start = d->framing.codec == IPC_FRAMING_LENGTH ? d->framing.skip : d->header_len;
    *out_body = d->bytes + start;
    *out_len = d->len - trailer_len(d) - start;
    begin_frame(d);
    return ipc_status_of(IPC_OK);
  }
  if (d->ended) return ipc_status_of(d->len == 0 ? IPC_END : IPC_MESSAGE_TRUNCATED);
  *out_need = d->wanted - d->len;
  return ipc_status_of(IPC_WOULD_BLOCK);
}

ipc_status ipc_decoder_end(ipc_decoder *decoder) {
  ipc_decoder *d = decoder;
  if (d == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  d->ended = true;
  if (d->error != IPC_OK) return ipc_status_of(d->error);
  return ipc_status_of(d->len == 0 || d->ready ? IPC_OK : IPC_MESSAGE_TRUNCATED);
}

ipc_status ipc_decoder_set_max(ipc_decoder *decoder, uint64_t max) {
  ipc_decoder *d = decoder;
  if (d == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  ipc_framing changed = d->framing;
  changed.max = max != 0 ? max : IPC_FRAMING_MAX_DEFAULT;
  if (changed.max > d->max_ceiling || (changed.codec == IPC_FRAMING_LENGTH && !has_valid_frame(&changed)))
    return ipc_status_of(IPC_INVALID_ARGUMENT);
  if (d->error == IPC_OK) d->framing.max = changed.max;
  return ipc_status_of(d->error);
}

ipc_status ipc_decoder_free(ipc_decoder *decoder) {
  if (decoder == NULL) return ipc_status_of(IPC_INVALID_ARGUMENT);
  free(decoder->bytes);
  free(decoder);
  return ipc_status_of(IPC_OK);
}
