/* frame_program.h - how the targets about framing lay out an input.
 *
 * The input: codec, flags, width, offset, skip, adjustment (2 bytes), varint bytes, a limit (3 bytes), options (1 the
 * stream ends, 2 memory runs out now and then, 4 the limit changes, 8 the length is encoded in place of decoding), the
 * frame at which the limit changes, the other limit (3 bytes), how the stream is cut, a length to encode (3 bytes); the
 * rest is the stream.
 */
#ifndef FUZZ_FRAME_PROGRAM_H
#define FUZZ_FRAME_PROGRAM_H

#include <cstddef>
#include <cstdint>

#include "fuzz/input.h"
#include "ipc/framing.h"

namespace fuzz {

struct Program {
  ipc_framing framing = {};
  bool ends = false, starves = false, changes = false, encodes = false;
  size_t change_at = 0;
  uint64_t changed_max = 0;
  uint8_t cut = 0;
  uint64_t encoded_len = 0;
  const uint8_t *data = nullptr;
  size_t len = 0;
};

inline Program read_program(Input in) {
  static const uint32_t widths[] = {1, 2, 3, 4, 8};
  Program p;
  ipc_framing &f = p.framing;
  f.size = sizeof f;
  f.codec = in.u8();
  if (f.codec < 0xF0) f.codec = f.codec % 6 + 1; /* now and then one that does not exist */
  f.flags = in.u8();
  if (f.flags < 0xF0) f.flags %= 8;
  const uint8_t width = in.u8();
  f.width = width < 0xF0 ? widths[width % 5] : width;
  f.offset = in.u8();
  if (f.offset >= 0xF8) f.offset = IPC_FRAMING_OFFSET_MAX - 4 + (f.offset - 0xF8); /* around the greatest */
  f.skip = in.u8();
  if (f.skip >= 0xF8) f.skip = static_cast<uint32_t>(IPC_FRAMING_ENCODED_MAX) - 4 + (f.skip - 0xF8);
  const auto adjustment = static_cast<int16_t>(in.u16());
  f.adjustment = adjustment;
  if (adjustment == INT16_MIN) f.adjustment = INT64_MIN;
  if (adjustment == INT16_MAX) f.adjustment = static_cast<int64_t>(IPC_FRAMING_MAX_CEILING);
  const uint8_t varint_bytes = in.u8();
  f.varint_bytes = varint_bytes < 0xF0 ? (varint_bytes % 3) * 5 : varint_bytes;
  const auto limit = [&in] {
    const uint64_t mantissa = in.u16(), shift = in.u8();
    return shift < 64 ? mantissa << shift : mantissa; /* every order of magnitude */
  };
  f.max = limit();
  const uint8_t options = in.u8();
  p.ends = (options & 1) != 0;
  p.starves = (options & 2) != 0;
  p.changes = (options & 4) != 0;
  p.encodes = (options & 8) != 0;
  p.change_at = in.u8() % 4;
  p.changed_max = limit();
  p.cut = in.u8();
  p.encoded_len = limit();
  p.data = in.data();
  p.len = in.len();
  return p;
}

/* The length of piece number |piece|: whole (0), single bytes (1), or any from 1 to |cut|. */
inline size_t piece_len(uint8_t cut, size_t piece) {
  if (cut == 0) return SIZE_MAX;
  return 1 + (piece * 2654435761u >> 7) % cut;
}

}  // namespace fuzz

#endif /* FUZZ_FRAME_PROGRAM_H */
