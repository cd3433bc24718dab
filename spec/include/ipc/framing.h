/* framing.h - frames in a byte stream: where one message ends and the next begins.
 *
 * A codec is a member of a family and its parameters. The functions are pure: they move no bytes through the system and
 * wait for nothing. spec/framing.md holds the requirements. A frame is a header that tells the length of the body, the
 * body, and for netstrings a trailer:
 *
 *   IPC_FRAMING_U32             4 bytes big-endian: the length of the body alone. The reference frame.
 *   IPC_FRAMING_LENGTH          |offset| bytes of the caller's, a field of |width| bytes with the value v, and a body
 * of v + |adjustment| bytes. The first |skip| bytes of the frame are not delivered. IPC_FRAMING_VARINT base-128 groups,
 * the lowest first, at most |varint_bytes| of them IPC_FRAMING_NETSTRING       decimal digits without leading zeros,
 * `:`, the body, `,` IPC_FRAMING_CONTENT_LENGTH  header lines that end in CR LF, one of them `Content-Length: N`, and
 * an empty line IPC_FRAMING_ESCAPE          4 bytes big-endian, signed; -1 and 8 bytes big-endian, unsigned, for 2^31
 * and more
 *
 * IPC_FRAMING_LENGTH has a second dialect, tokio-util's, for decoding alone: with IPC_FRAMING_BODY_AT_SKIP the body of
 * v + |adjustment| bytes begins |skip| bytes behind the frame's beginning, wherever the field ends, and the frame ends
 * with it. A header is complete when both the field and |skip| bytes are there. A body that begins within the header
 * and ends there, too, is IPC_MALFORMED: the next frame would begin within this one's header. Encoding with the flag is
 * IPC_UNENCODABLE.
 *
 * Sources: the Language Server Protocol's base protocol; D. J. Bernstein, "Netstrings"; Protocol Buffers, "Encoding";
 * CPython, multiprocessing.connection.
 */
#ifndef IPC_FRAMING_H
#define IPC_FRAMING_H

#include "ipc/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Codecs. */
enum {
  IPC_FRAMING_U32 = 1,
  IPC_FRAMING_LENGTH = 2,
  IPC_FRAMING_VARINT = 3,
  IPC_FRAMING_NETSTRING = 4,
  IPC_FRAMING_CONTENT_LENGTH = 5,
  IPC_FRAMING_ESCAPE = 6,
};

/* Flags of a codec. */
enum {
  IPC_FRAMING_LITTLE_ENDIAN = 1,   /* IPC_FRAMING_LENGTH: the field's lowest byte comes first */
  IPC_FRAMING_ACCEPT_OVERLONG = 2, /* IPC_FRAMING_VARINT and _ESCAPE: read lengths that have a shorter form, too */
  IPC_FRAMING_BODY_AT_SKIP = 4,    /* IPC_FRAMING_LENGTH: the body begins behind |skip| bytes (decoding alone) */
};

/* Limits, in bytes. */
#define IPC_FRAMING_MAX_DEFAULT ((uint64_t)1 << 20)           /* body, where |max| is 0 */
#define IPC_FRAMING_MAX_CEILING_U32 (((uint64_t)1 << 31) - 1) /* the greatest |max| of IPC_FRAMING_U32 */
#define IPC_FRAMING_MAX_CEILING (((uint64_t)1 << 53) - 1)     /* the greatest |max| of the others */
#define IPC_FRAMING_OFFSET_MAX 1024u                          /* the greatest |offset| */
#define IPC_FRAMING_HEADER_MAX 8192u                          /* Content-Length header, its empty line included */
#define IPC_FRAMING_ENCODED_MAX ((size_t)IPC_FRAMING_OFFSET_MAX + 8) /* the longest header that is written */

/* A codec. What it does not use is not looked at. */
typedef struct ipc_framing {
  uint32_t size;         /* bytes of this structure */
  uint32_t codec;        /* IPC_FRAMING_U32, ... */
  uint32_t flags;        /* IPC_FRAMING_LITTLE_ENDIAN, ... */
  uint32_t offset;       /* LENGTH: bytes before the field */
  uint32_t width;        /* LENGTH: bytes of the field: 1, 2, 3, 4 or 8 */
  uint32_t skip;         /* LENGTH: bytes taken off the front of the frame, at most offset + width; BODY_AT_SKIP: 1032 */
  int64_t adjustment;    /* LENGTH: length of the body minus the value of the field */
  uint32_t varint_bytes; /* VARINT: 5 (lengths below 2^32) or 10; 0 is 5 */
  uint32_t reserved;     /* 0 */
  uint64_t max;          /* longest body, after the adjustment; 0 is IPC_FRAMING_MAX_DEFAULT */
} ipc_framing;

/* Takes a stream apart. Unlike other handles it may be used by one thread at a time. */
typedef struct ipc_decoder ipc_decoder;

/* ipc_framing_encode writes what goes before a body of |body_len| bytes to |out_header| and its length to
 * |*out_header_len|, and points |*out_trailer| to what goes behind it: memory of the library that stays valid, of
 * length 0 but for netstrings. The caller sends header, body and trailer, in one vectored write if it likes. The first
 * |offset| bytes of the header are 0 and the caller's to fill.
 *
 *   IPC_OK
 *   IPC_MESSAGE_TOO_LARGE  |body_len| exceeds |max|
 *   IPC_UNENCODABLE        the length field cannot say it, or IPC_FRAMING_BODY_AT_SKIP
 *   IPC_MESSAGE_TRUNCATED  |header_max| is too small: nothing is written but |*out_header_len|, the room needed;
 *                          IPC_FRAMING_ENCODED_MAX always suffices
 *   IPC_INVALID_ARGUMENT   a NULL pointer, or a codec that ipc_framing_decode would refuse
 */
ipc_status ipc_framing_encode(const ipc_framing *framing, uint64_t body_len, void *out_header, size_t header_max,
                              size_t *out_header_len, ipc_const_buffer *out_trailer);

/* ipc_framing_decode makes a decoder at a frame's beginning. It belongs to the caller: ipc_decoder_free.
 *
 *   IPC_OK
 *   IPC_INVALID_ARGUMENT   a NULL pointer; an unknown codec or flag; |max| above the codec's ceiling; a |width|,
 *                          |offset|, |skip| or |varint_bytes| out of range; an |adjustment| with which no frame could
 *                          be valid: above |max|, or below minus what the field can say
 *   IPC_OUT_OF_RESOURCES   no memory
 */
ipc_status ipc_framing_decode(const ipc_framing *framing, ipc_decoder **out_decoder);

/* ipc_decoder_feed gives the decoder bytes of the stream, cut anywhere. It takes them up to the end of a frame, so that
 * it never holds more than one; |*out_len| says how many it took, 0 while a frame waits for ipc_decoder_next.
 *
 *   IPC_OK
 *   IPC_MESSAGE_TOO_LARGE, IPC_MALFORMED  the stream is broken, now or since an earlier call
 *   IPC_OUT_OF_RESOURCES   no memory for more; what was taken is safe, and the rest may be given again
 *   IPC_INVALID_ARGUMENT   a NULL pointer, or bytes after ipc_decoder_end
 *
 * Memory grows with the bytes received: whatever a header announces, at most twice these and a constant is held. */
ipc_status ipc_decoder_feed(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len);

/* ipc_decoder_next takes the frame that is complete. |*out_body| is the decoder's memory, valid until the next call
 * on it.
 *
 *   IPC_OK
 *   IPC_WOULD_BLOCK        none is complete. |*out_need| bytes, at least 1, have to come before more can be said; it is
 *                          never more than the frame still lacks, and exactly that once the length is known.
 *   IPC_END                ipc_decoder_end came at a frame's boundary
 *   IPC_MESSAGE_TRUNCATED  ipc_decoder_end came inside a frame
 *   IPC_MESSAGE_TOO_LARGE  a header announces a body longer than |max|
 *   IPC_MALFORMED          the stream is none of this codec
 *   IPC_INVALID_ARGUMENT   a NULL pointer
 *
 * An end or an error stays: after it nothing is decoded any more. */
ipc_status ipc_decoder_next(ipc_decoder *decoder, const void **out_body, size_t *out_len, uint64_t *out_need);

/* ipc_decoder_end says that the stream ended. A frame that is complete can still be taken. IPC_OK at a boundary,
 * IPC_MESSAGE_TRUNCATED inside a frame, or the error from before. */
ipc_status ipc_decoder_end(ipc_decoder *decoder);

/* ipc_decoder_set_max sets the limit for the frames whose header has not been understood yet, lower or higher; a frame
 * whose length is known keeps the limit it was judged by. 0 is IPC_FRAMING_MAX_DEFAULT. IPC_OK, the error from before, or IPC_INVALID_ARGUMENT (a NULL pointer, above the codec's
 * ceiling, or no frame could be valid). */
ipc_status ipc_decoder_set_max(ipc_decoder *decoder, uint64_t max);

/* ipc_decoder_free releases the decoder and the frame it holds. NULL is IPC_INVALID_ARGUMENT. */
ipc_status ipc_decoder_free(ipc_decoder *decoder);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_FRAMING_H */
