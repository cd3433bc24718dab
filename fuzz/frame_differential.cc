/* frame_differential - any bytes, cut in any way, to the reference here and to the codecs of other processes: builds of
 * the reference for other machines, and libraries that have nothing in common with it.
 *
 * What holds for every input: the same frames, byte for byte, and then the same verdict; an encoder writes the same
 * header. Where a library is allowed to differ, or is known to, frame_differential.toml says so with the reason.
 *
 * The input: frame_program.h. Limits do not change and memory does not run out; what travels to peers is in README.md.
 */
#include <string>
#include <string_view>

#include "fuzz/differential.h"
#include "fuzz/frame_program.h"
#include "fuzz/lenient_readers.h"

namespace fuzz {
namespace {

constexpr char kDecode = 1, kEncode = 2;
constexpr unsigned kUntold = 0xFE, kNotOffered = 0xFF; /* in place of a status */
constexpr size_t kCodecLen = 31;                       /* bytes of a codec in a request */

const char *codec_name(uint32_t codec) {
  static const char *const names[] = {"u32", "length", "varint", "netstring", "content_length", "escape"};
  return codec >= 1 && codec <= 6 ? names[codec - 1] : "none";
}

bool accepts(const ipc_framing &f) {
  ipc_decoder *decoder;
  if (ipc_framing_decode(&f, &decoder).code != IPC_OK) return false;
  return ipc_decoder_free(decoder).code == IPC_OK;
}

/* The request that a program is; it lives until the next. */
const std::string &request_of(const Program &p) {
  static std::string request;
  const ipc_framing &f = p.framing;
  request.assign(1, p.encodes ? kEncode : kDecode);
  append_number(&request, f.codec, 1);
  append_number(&request, f.flags, 1);
  append_number(&request, f.varint_bytes, 1);
  append_number(&request, f.width, 4);
  append_number(&request, f.offset, 4);
  append_number(&request, f.skip, 4);
  append_number(&request, static_cast<uint64_t>(f.adjustment), 8);
  append_number(&request, f.max, 8);
  if (p.encodes) {
    append_number(&request, p.encoded_len, 8);
    return request;
  }
  append_number(&request, p.ends ? 1 : 0, 1);
  size_t at = 0;
  for (size_t piece = 0; at < p.len; piece++) {
    size_t len = piece_len(p.cut, piece);
    if (len > p.len - at) len = p.len - at;
    append_number(&request, len, 4);
    request.append(reinterpret_cast<const char *>(p.data) + at, len);
    at += len;
  }
  return request;
}

/* One event of an answer: a frame, or what comes last. */
struct Told {
  unsigned status = 0;
  std::string_view body; /* of a frame */
  uint64_t need = 0;     /* 0: not told */
};

Told next_of(std::string_view answer, size_t *at) {
  Told told;
  told.status = static_cast<unsigned>(read_number(answer, at, 1));
  if (told.status == IPC_OK) {
    const auto len = static_cast<size_t>(read_number(answer, at, 4));
    if (*at > answer.size() || len > answer.size() - *at) {
      told.status = kNotOffered - 2; /* no answer at all: named by its number */
      return told;
    }
    told.body = answer.substr(*at, len);
    *at += len;
  } else {
    told.need = read_number(answer, at, 8);
  }
  return told;
}

std::string name_of(unsigned status) {
  return status == IPC_OK ? "frame" : status == kUntold ? "error" : status_name(status);
}

/* The bytes of the stream in a request to decode. */
std::string stream_of(std::string_view request) {
  std::string stream;
  for (size_t at = kCodecLen + 2; at < request.size();) {
    const auto len = static_cast<size_t>(read_number(request, &at, 4));
    stream += request.substr(at, len);
    at += len;
  }
  return stream;
}

ipc_framing codec_of(std::string_view request) {
  size_t at = 1;
  ipc_framing f = {};
  f.size = sizeof f;
  f.codec = static_cast<uint32_t>(read_number(request, &at, 1));
  f.flags = static_cast<uint32_t>(read_number(request, &at, 1));
  f.varint_bytes = static_cast<uint32_t>(read_number(request, &at, 1));
  f.width = static_cast<uint32_t>(read_number(request, &at, 4));
  f.offset = static_cast<uint32_t>(read_number(request, &at, 4));
  f.skip = static_cast<uint32_t>(read_number(request, &at, 4));
  f.adjustment = static_cast<int64_t>(read_number(request, &at, 8));
  f.max = read_number(request, &at, 8);
  return f;
}

/* What the stream holds behind its first |frames| frames. */
std::string_view behind(const ipc_framing &f, std::string_view stream, size_t frames) {
  ipc_decoder *decoder;
  if (ipc_framing_decode(&f, &decoder).code != IPC_OK) return stream;
  size_t at = 0;
  for (size_t i = 0; i < frames; i++) {
    const void *body;
    size_t took = 0, len;
    uint64_t need;
    (void)ipc_decoder_feed(decoder, stream.data() + at, stream.size() - at, &took);
    at += took;
    (void)ipc_decoder_next(decoder, &body, &len, &need);
  }
  (void)ipc_decoder_free(decoder);
  return stream.substr(at);
}

/* Whether one of the first |frames| varints of the stream, or the one behind them, has a shorter form. */
bool overlong_in(const ipc_framing &f, std::string_view stream, size_t frames) {
  for (size_t i = 0; i <= frames; i++) {
    const std::string_view rest = behind(f, stream, i);
    size_t last = 0;
    while (last < rest.size() && static_cast<uint8_t>(rest[last]) >= 0x80) last++;
    if (last > 0 && last < rest.size() && rest[last] == '\0') return true;
  }
  return false;
}

Facts facts_of(std::string_view request) {
  const ipc_framing f = codec_of(request);
  Facts facts = {{"what", request[0] == kEncode ? "encode" : "decode"}, {"codec", codec_name(f.codec)}};
  facts["max"] = std::to_string(f.max);
  if (f.codec == IPC_FRAMING_LENGTH) {
    facts["width"] = std::to_string(f.width);
    facts["offset"] = std::to_string(f.offset);
    facts["skip"] = std::to_string(f.skip);
    facts["adjustment"] = std::to_string(f.adjustment);
    facts["order"] = (f.flags & IPC_FRAMING_LITTLE_ENDIAN) != 0 ? "little" : "big";
    facts["body_at_skip"] = (f.flags & IPC_FRAMING_BODY_AT_SKIP) != 0 ? "1" : "0";
  }
  facts["overlong"] = (f.flags & IPC_FRAMING_ACCEPT_OVERLONG) != 0 ? "accept" : "refuse";
  return facts;
}

/* Two final statuses that are not one and the same: a library may not tell of which kind its error is. */
bool same_verdict(const Told &ours, const Told &theirs) {
  if (theirs.status == kUntold) return ours.status == IPC_MALFORMED || ours.status == IPC_MESSAGE_TOO_LARGE;
  return ours.status == theirs.status && (theirs.need == 0 || ours.need == theirs.need);
}

Facts compare_decoded(std::string_view request, std::string_view ours, std::string_view theirs) {
  size_t our_at = 0, their_at = 0;
  for (size_t frame = 0;; frame++) {
    const Told a = next_of(ours, &our_at), b = next_of(theirs, &their_at);
    const bool frames = a.status == IPC_OK && b.status == IPC_OK;
    if (frames ? a.body == b.body : same_verdict(a, b)) {
      if (frames) continue;
      return {};
    }
    Facts facts = facts_of(request);
    facts["ours"] = name_of(a.status);
    facts["theirs"] = name_of(b.status);
    facts["at_frame"] = std::to_string(frame);
    if (frames) facts["bytes"] = shown(a.body, 24) + " / " + shown(b.body, 24);
    if (a.status == b.status && !frames) facts["need"] = std::to_string(a.need) + " / " + std::to_string(b.need);
    facts["ended"] = request[kCodecLen + 1] != 0 ? "1" : "0";
    const ipc_framing f = codec_of(request);
    const std::string stream = stream_of(request);
    facts["stream"] = shown(behind(f, stream, frame), 32);
    if (f.codec == IPC_FRAMING_CONTENT_LENGTH) {
      const std::string_view rest = behind(f, stream, frame);
      const Read jrpc2 = read_as_jrpc2(rest, request[kCodecLen + 1] != 0);
      const unsigned status = jrpc2.status == IPC_MALFORMED ? kUntold : static_cast<unsigned>(jrpc2.status);
      facts["as_jrpc2"] = b.status == status && b.body == jrpc2.body ? "1" : "0";
      facts["as_vscode_jsonrpc"] = vscode_jsonrpc_answers(rest, static_cast<int32_t>(b.status), b.body) ? "1" : "0";
    }
    if (f.codec == IPC_FRAMING_VARINT) facts["overlong_came"] = overlong_in(f, stream, frame) ? "1" : "0";
    return facts;
  }
}

Facts compare(std::string_view request, std::string_view ours, std::string_view theirs) {
  if (!theirs.empty() && static_cast<uint8_t>(theirs[0]) == kNotOffered) return {};
  if (request[0] == kDecode) return compare_decoded(request, ours, theirs);
  if (ours == theirs) return {};
  Facts facts = facts_of(request);
  size_t at = kCodecLen + 1;
  facts["length"] = std::to_string(read_number(request, &at, 8));
  facts["ours"] = ours.empty() ? "none" : status_name(static_cast<uint8_t>(ours[0]));
  facts["theirs"] = theirs.empty() ? "none" : status_name(static_cast<uint8_t>(theirs[0]));
  facts["bytes"] = shown(ours, 32) + " / " + shown(theirs, 32);
  return facts;
}

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len) {
  using namespace fuzz;
  Program p = read_program(Input(data, len));
  static std::string offer;
  const bool valid = accepts(p.framing);
  offer = "refusals";
  if (valid) offer.assign(p.encodes ? "encode " : "decode ").append(codec_name(p.framing.codec));
  if (!differential_wants(offer)) return 0;
  /* Peers are told what the default is. */
  if (valid && p.framing.max == 0) p.framing.max = IPC_FRAMING_MAX_DEFAULT;
  differential_ask(data, len, offer, request_of(p), compare);
  return 0;
}
