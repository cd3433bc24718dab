/* framing_model.h - what spec/framing.md says of a stream, written down a second time and in another way: the whole
 * stream is at hand, lengths are 128 bits wide, and nothing is fast. The decoder is held against it. */
#ifndef FUZZ_FRAMING_MODEL_H
#define FUZZ_FRAMING_MODEL_H

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ipc/framing.h"

namespace fuzz {

/* A frame: the bytes [begin, end) of the stream are delivered, and the next frame begins at `next`. Or, as the last of
 * all, what ends or holds up the stream: a status, and for IPC_WOULD_BLOCK how many bytes have to come. */
struct Event {
  int32_t status = IPC_OK; /* IPC_OK: a frame */
  size_t begin = 0, end = 0, next = 0;
  uint64_t need_min = 0, need_max = 0; /* IPC_WOULD_BLOCK: what the decoder may answer */
};

/* Whether |f| is a codec at all: there is a frame of it that is valid. */
bool model_accepts(const ipc_framing &f);

/* What a decoder of |f|, which model_accepts, makes of |len| bytes, with or without the end of the stream behind them.
 * From frame number |change_at| on the limit is |changed_max| (0: the default). */
void model_decode(const ipc_framing &f, const uint8_t *data, size_t len, bool ended, size_t change_at,
                  uint64_t changed_max, std::vector<Event> *out_events);

/* What an encoder of |f|, which model_accepts, writes before a body of |body_len| bytes: IPC_OK and the header, or
 * what it refuses. */
int32_t model_encode(const ipc_framing &f, uint64_t body_len, std::vector<uint8_t> *out_header);

}  // namespace fuzz

#endif /* FUZZ_FRAMING_MODEL_H */
