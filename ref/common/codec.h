/* codec.h - what framing.c gives the rest of the portable part: a codec checked once, and headers without a check. */
#ifndef REF_COMMON_CODEC_H
#define REF_COMMON_CODEC_H

#include "ipc/framing.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ipc_codec_resolve copies |given| to |out| with its defaults filled in. The reference frame becomes the length codec
 * that it is, so |out| is for the two functions below alone. False if there is no such codec. */
bool ipc_codec_resolve(const ipc_framing *given, ipc_framing *out);

/* ipc_codec_put writes the header of a body of |body_len| bytes to |out_header|, which has IPC_FRAMING_ENCODED_MAX
 * bytes, and its length to |*out_len|. IPC_OK, IPC_MESSAGE_TOO_LARGE or IPC_UNENCODABLE, with length 0. */
int32_t ipc_codec_put(const ipc_framing *codec, uint64_t body_len, unsigned char *out_header, size_t *out_len);

/* ipc_codec_trailer is what goes behind every body: at most one byte, for ever valid. */
ipc_const_buffer ipc_codec_trailer(const ipc_framing *codec);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* REF_COMMON_CODEC_H */
