/* lenient_readers.h - what two libraries make of Content-Length headers that spec/framing.md calls malformed, written
 * down from their sources, so that frame_differential.toml need not accept whatever they do. */
#ifndef FUZZ_LENIENT_READERS_H
#define FUZZ_LENIENT_READERS_H

#include <cstdint>
#include <string_view>

namespace fuzz {

/* What a reader makes of the begin of a stream: IPC_OK and a frame's body, which lies in the stream; or
 * IPC_WOULD_BLOCK, IPC_END, IPC_MESSAGE_TRUNCATED or IPC_MALFORMED. */
struct Read {
  int32_t status;
  std::string_view body;
};

/* jrpc2's channel.Header (docs/findings/jrpc2.md): lines end in LF, and at the end of the stream; CR and LF before that
 * are not part of them; of two lengths the last counts; a length is what strconv.Atoi takes. */
Read read_as_jrpc2(std::string_view stream, bool ended);

/* Whether vscode-jsonrpc's reader (docs/findings/vscode-jsonrpc.md) answers the begin of |stream| so: with IPC_OK and
 * the body of a frame, with IPC_WOULD_BLOCK, or with IPC_MALFORMED. It looks at a header when its empty line is there;
 * bytes of one are 7 bits, of two lengths the last counts, a length is what parseInt takes, and none is too great. With
 * a negative one it delivers the front of what has come, how much depends on the pieces. */
bool vscode_jsonrpc_answers(std::string_view stream, int32_t status, std::string_view body);

}  // namespace fuzz

#endif /* FUZZ_LENIENT_READERS_H */
