/* frame_decode - any bytes, cut in any way, with every codec and parameter.
 *
 * What holds for every input: the decoder says what the model (framing_model.h) says, however the stream is cut; the
 * memory that it asks for follows the bytes that it got; it goes on after memory ran out; errors and ends stay; what a
 * frame is encoded to decodes to the frame; a greatest length that changes behind an error changes nothing; and what is
 * no argument is told.
 *
 * Runs are cheap and inputs are many: the stream is decoded once, cut as the input says, and what is refused is tried
 * in one run of four, which its bytes decide.
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

#define CHECK_REFUSED(call) FUZZ_CHECK((call).code == IPC_INVALID_ARGUMENT, "status %d", (call).code)

/* Arguments that are missing, and descriptions of codecs that are none, made from |f|, which is one. */
void check_refused(const ipc_framing &f) {
  uint8_t header[IPC_FRAMING_ENCODED_MAX];
  size_t len = 77;
  uint64_t need = 77;
  const void *body;
  ipc_const_buffer trailer;
  ipc_decoder *decoder = nullptr;
  ipc_framing smaller = f, reserved = f, flags = f;
  smaller.size = sizeof f - 1;
  reserved.reserved = 1;
  flags.flags |= 0x80000000u;
  const ipc_framing *const none_of_them[] = {nullptr, &smaller, &reserved, &flags};
  for (const ipc_framing *none : none_of_them) {
    CHECK_REFUSED(ipc_framing_decode(none, &decoder));
    CHECK_REFUSED(ipc_framing_encode(none, 0, header, sizeof header, &len, &trailer));
    FUZZ_CHECK(decoder == nullptr && len == 0 && trailer.len == 0, "something comes of no codec");
  }
  CHECK_REFUSED(ipc_framing_decode(&f, nullptr));
  CHECK_REFUSED(ipc_framing_encode(&f, 0, nullptr, 0, &len, &trailer));
  CHECK_REFUSED(ipc_framing_encode(&f, 0, header, sizeof header, nullptr, &trailer));
  CHECK_REFUSED(ipc_framing_encode(&f, 0, header, sizeof header, &len, nullptr));
  CHECK_REFUSED(ipc_decoder_feed(nullptr, header, 0, &len));
  CHECK_REFUSED(ipc_decoder_next(nullptr, &body, &len, &need));
  FUZZ_CHECK(body == nullptr && len == 0 && need == 0, "something comes of no decoder");
  CHECK_REFUSED(ipc_decoder_end(nullptr));
  CHECK_REFUSED(ipc_decoder_set_max(nullptr, 1));
  CHECK_REFUSED(ipc_decoder_free(nullptr));
}

/* What a decoder refuses leaves it as it was: whatever it is in the middle of. */
void check_refused(ipc_decoder *decoder, bool ended) {
  size_t len = 77;
  uint64_t need = 77;
  const void *body = "";
  CHECK_REFUSED(ipc_decoder_feed(decoder, nullptr, 1, &len));
  FUZZ_CHECK(len == 0, "%zu bytes are taken of nothing", len);
  CHECK_REFUSED(ipc_decoder_feed(decoder, "", 0, nullptr));
  (void)ipc_decoder_feed(decoder, nullptr, 0, &len); /* nothing is no mistake, and no change */
  if (ended) CHECK_REFUSED(ipc_decoder_feed(decoder, "x", 1, &len));
  CHECK_REFUSED(ipc_decoder_next(decoder, nullptr, &len, &need));
  CHECK_REFUSED(ipc_decoder_next(decoder, &body, nullptr, &need));
  CHECK_REFUSED(ipc_decoder_next(decoder, &body, &len, nullptr));
  CHECK_REFUSED(ipc_decoder_set_max(decoder, UINT64_MAX));
}

/* A decoder for which there is no memory, and a limit that none of its frames could keep. */
void check_refused(const Program &p, bool has_limit) {
  ipc_decoder *decoder = nullptr;
  memory = Memory{};
  memory.starves = true;
  memory.asked = 1; /* the next is refused */
  FUZZ_CHECK(ipc_framing_decode(&p.framing, &decoder).code == IPC_OUT_OF_RESOURCES && decoder == nullptr,
             "a decoder of no memory");
  memory = Memory{};
  if (has_limit) return;
  FUZZ_CHECK(ipc_framing_decode(&p.framing, &decoder).code == IPC_OK, "no decoder");
  CHECK_REFUSED(ipc_decoder_set_max(decoder, p.changed_max));
  FUZZ_CHECK(ipc_decoder_free(decoder).code == IPC_OK, "free");
}

/* Feeds the stream in pieces; takes each frame as soon as it is there. */
void decode(const Program &p, bool refuses, const std::vector<Event> &events) {
  memory = Memory{};
  ipc_decoder *decoder = nullptr;
  ipc_status status = ipc_framing_decode(&p.framing, &decoder);
  FUZZ_CHECK(status.code == IPC_OK, "a codec that is one is refused: %d", status.code);
  memory = Memory{};
  memory.starves = p.starves;
  size_t frame = 0;
  const auto change = [&] {
    if (!p.changes || frame != p.change_at) return;
    status = ipc_decoder_set_max(decoder, p.changed_max);
    FUZZ_CHECK(status.code == IPC_OK, "a limit is refused: %d", status.code);
  };
  change();
  if (refuses) check_refused(decoder, false);
  size_t at = 0, begin = 0; /* bytes taken; where the frame under way begins */
  for (size_t piece = 0; at < p.len; piece++) {
    size_t left = piece_len(p.cut, piece);
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
  if (refuses) check_refused(decoder, p.ends);
  const Event &end = events[frame];
  FUZZ_CHECK(frame + 1 == events.size(), "frame %zu of %zu did not come", frame, events.size() - 1);
  for (int again = 0; again < 2; again++) check_next(decoder, p, end, at); /* it stays */
  if (end.status == IPC_MALFORMED || end.status == IPC_MESSAGE_TOO_LARGE) {
    size_t took;
    if (!p.ends) status = ipc_decoder_feed(decoder, "\0\0\0\0\1x", 6, &took);
    FUZZ_CHECK(status.code == end.status, "status %d behind the error %d", status.code, end.status);
    FUZZ_CHECK(p.ends || took == 0, "%zu bytes are taken behind an error", took);
    FUZZ_CHECK(ipc_decoder_end(decoder).code == end.status, "the end changes the error");
    FUZZ_CHECK(ipc_decoder_set_max(decoder, p.framing.max).code == end.status, "a limit changes the error");
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

/* One of four, decided by the bytes of the input. */
unsigned quarter(const uint8_t *data, size_t len) {
  unsigned sum = 0;
  for (size_t i = 0; i < len; i++) sum += data[i];
  return sum % 4;
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
  const bool refuses = quarter(data, len) == 0;
  if (p.changes) {
    ipc_framing changed = p.framing;
    changed.max = p.changed_max;
    const bool has_limit = model_accepts(changed);
    if (!has_limit) p.changes = false;
    if (refuses) check_refused(p, has_limit);
  }
  model_decode(p.framing, p.data, p.len, p.ends, p.changes ? p.change_at : SIZE_MAX, p.changed_max, &events);
  decode(p, refuses, events);
  if (refuses) check_refused(p.framing);
  static std::vector<uint8_t> header;
  check_encode(p.framing, p.encoded_len, &header);
  if (events[0].status == IPC_OK) round_trip(p, events[0]);
  return 0;
}
