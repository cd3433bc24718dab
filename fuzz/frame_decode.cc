/* frame_decode - any bytes, cut in any way, with every codec and parameter.
 *
 * What holds for every input: the decoder says what the model (framing_model.h) says, however the stream is cut; the
 * memory that it asks for follows the bytes that it got; it goes on after memory ran out; errors and ends stay; and
 * what a frame is encoded to decodes to the frame.
 *
 * The input: frame_program.h.
 */
#include <cstring>
#include <vector>

#include "fuzz/frame_program.h"
#include "fuzz/framing_model.h"
#include "fuzz/input.h"
#include "ipc/framing.h"
#include "ref/common/memory.h"

namespace fuzz {
namespace {

/* The memory of the decoder under test. It asks for itself first, then for its buffer. */
struct Memory {
  bool starves = false;
  unsigned asked = 0;
  size_t most = 0; /* bytes asked for at once */
  bool refused = false;
};
Memory memory;

void *resize(void *old, size_t bytes) {
  memory.asked++;
  if (memory.starves && memory.asked % 3 == 2) {
    memory.refused = true;
    return nullptr;
  }
  if (bytes > memory.most) memory.most = bytes;
  return std::realloc(old, bytes);
}

void check_next(ipc_decoder *decoder, const Program &p, const Event &expected, size_t at) {
  const void *body;
  size_t body_len;
  uint64_t need;
  const ipc_status status = ipc_decoder_next(decoder, &body, &body_len, &need);
  FUZZ_CHECK(status.code == expected.status, "status %d in place of %d at %zu", status.code, expected.status, at);
  if (status.code == IPC_OK) {
    FUZZ_CHECK(body_len == expected.end - expected.begin, "%zu bytes in place of %zu", body_len,
               expected.end - expected.begin);
    FUZZ_CHECK(body_len == 0 || std::memcmp(body, p.data + expected.begin, body_len) == 0, "other bytes at %zu", at);
    FUZZ_CHECK(need == 0, "a need of %llu beside a frame", static_cast<unsigned long long>(need));
  } else if (status.code == IPC_WOULD_BLOCK) {
    FUZZ_CHECK(need >= expected.need_min && need <= expected.need_max, "need %llu at %zu",
               static_cast<unsigned long long>(need), at);
  }
}

/* Feeds the stream in pieces; takes each frame as soon as it is there. */
void decode(const Program &p, uint8_t cut, bool starves, const std::vector<Event> &events) {
  memory = Memory{};
  ipc_decoder *decoder = nullptr;
  ipc_status status = ipc_framing_decode(&p.framing, &decoder);
  FUZZ_CHECK(status.code == IPC_OK, "a codec that is one is refused: %d", status.code);
  memory = Memory{};
  memory.starves = starves;
  size_t frame = 0;
  const auto change = [&] {
    if (!p.changes || frame != p.change_at) return;
    status = ipc_decoder_set_max(decoder, p.changed_max);
    FUZZ_CHECK(status.code == IPC_OK, "a limit is refused: %d", status.code);
  };
  change();
  size_t at = 0, begin = 0; /* bytes taken; where the frame under way begins */
  for (size_t piece = 0; at < p.len; piece++) {
    size_t left = piece_len(cut, piece);
    if (left > p.len - at) left = p.len - at;
    while (left > 0) {
      size_t took;
      memory.refused = false;
      status = ipc_decoder_feed(decoder, p.data + at, left, &took);
      at += took;
      left -= took;
      FUZZ_CHECK(memory.most <= 2 * (at - begin) + 128, "%zu bytes of memory for %zu that came", memory.most,
                 at - begin);
      if (status.code == IPC_OUT_OF_RESOURCES) {
        FUZZ_CHECK(memory.refused, "memory ran out that nobody refused");
        continue;
      }
      if (status.code != IPC_OK) break;
      const Event &next = events[frame];
      if (next.status == IPC_OK && next.next == at) {
        check_next(decoder, p, next, at);
        frame++;
        begin = at;
        memory.most = 0;
        change();
      } else {
        FUZZ_CHECK(left == 0, "%zu bytes are not taken at %zu", left, at);
      }
    }
    if (status.code != IPC_OK) break;
  }
  if (p.ends) (void)ipc_decoder_end(decoder);
  const Event &end = events[frame];
  FUZZ_CHECK(frame + 1 == events.size(), "frame %zu of %zu did not come", frame, events.size() - 1);
  for (int again = 0; again < 2; again++) check_next(decoder, p, end, at); /* it stays */
  if (end.status == IPC_MALFORMED || end.status == IPC_MESSAGE_TOO_LARGE) {
    size_t took;
    if (!p.ends) status = ipc_decoder_feed(decoder, "\0\0\0\0\1x", 6, &took);
    FUZZ_CHECK(status.code == end.status, "status %d behind the error %d", status.code, end.status);
    FUZZ_CHECK(p.ends || took == 0, "%zu bytes are taken behind an error", took);
    FUZZ_CHECK(ipc_decoder_end(decoder).code == end.status, "the end changes the error");
    check_next(decoder, p, end, at);
  }
  memory.starves = false;
  FUZZ_CHECK(ipc_decoder_free(decoder).code == IPC_OK, "free");
}

/* What goes before a body of |body_len| bytes is what the model writes, in exactly the room that is needed. */
void check_encode(const ipc_framing &f, uint64_t body_len, std::vector<uint8_t> *out_header) {
  const int32_t expected = model_encode(f, body_len, out_header);
  uint8_t header[IPC_FRAMING_ENCODED_MAX];
  size_t len;
  ipc_const_buffer trailer;
  ipc_status status = ipc_framing_encode(&f, body_len, header, sizeof header, &len, &trailer);
  FUZZ_CHECK(status.code == expected, "encode %llu: status %d in place of %d",
             static_cast<unsigned long long>(body_len), status.code, expected);
  if (expected != IPC_OK) return;
  FUZZ_CHECK(len == out_header->size() && std::memcmp(header, out_header->data(), len) == 0, "another header");
  FUZZ_CHECK(trailer.len == (f.codec == IPC_FRAMING_NETSTRING ? 1 : 0), "another trailer");
  size_t needed;
  status = ipc_framing_encode(&f, body_len, header, len - 1, &needed, &trailer);
  FUZZ_CHECK(status.code == IPC_MESSAGE_TRUNCATED && needed == len, "room for one byte less suffices");
}

/* The body of a frame that was decoded is encoded to what decodes to it. */
void round_trip(const Program &p, const Event &frame) {
  const ipc_framing &f = p.framing;
  const bool is_length = f.codec == IPC_FRAMING_LENGTH;
  if (p.changes || (is_length && (f.flags & IPC_FRAMING_BODY_AT_SKIP) != 0)) return;
  const size_t shown = is_length ? f.offset + f.width - f.skip : 0; /* bytes of the header that are delivered */
  const size_t body_len = frame.end - frame.begin - shown;
  const uint8_t *body = p.data + frame.end - body_len;
  static std::vector<uint8_t> stream;
  check_encode(f, body_len, &stream);
  FUZZ_CHECK(!stream.empty(), "what was decoded cannot be encoded");
  stream.insert(stream.end(), body, body + body_len);
  if (f.codec == IPC_FRAMING_NETSTRING) stream.push_back(',');
  static std::vector<Event> events;
  model_decode(f, stream.data(), stream.size(), true, SIZE_MAX, 0, &events);
  FUZZ_CHECK(events.size() == 2 && events[0].end - events[0].begin == body_len + shown &&
                 (body_len == 0 || std::memcmp(stream.data() + events[0].end - body_len, body, body_len) == 0),
             "what is encoded is another frame");
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  static std::vector<Event> events;
  ipc_memory_resize = resize;
  Program p = read_program(Input(data, len));
  if (!model_accepts(p.framing)) {
    ipc_decoder *decoder = nullptr;
    const ipc_status status = ipc_framing_decode(&p.framing, &decoder);
    FUZZ_CHECK(status.code == IPC_INVALID_ARGUMENT && decoder == nullptr, "what is no codec is taken: %d", status.code);
    return 0;
  }
  if (p.changes) {
    ipc_framing changed = p.framing;
    changed.max = p.changed_max;
    if (!model_accepts(changed)) p.changes = false;
  }
  model_decode(p.framing, p.data, p.len, p.ends, p.changes ? p.change_at : SIZE_MAX, p.changed_max, &events);
  decode(p, 0, false, events);
  decode(p, p.cut == 0 ? 1 : p.cut, p.starves, events);
  static std::vector<uint8_t> header;
  check_encode(p.framing, p.encoded_len, &header);
  if (events[0].status == IPC_OK) round_trip(p, events[0]);
  return 0;
}
