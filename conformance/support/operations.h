// operations.h - a request for each operation of the peer protocol. Made by `cts spec generate` from spec/operations.toml: change that file, not this one.
// clang-format off
#ifndef CONFORMANCE_SUPPORT_OPERATIONS_H
#define CONFORMANCE_SUPPORT_OPERATIONS_H

#include <cstdint>
#include <string>
#include <vector>

#include "conformance/support/request.h"

namespace cts {
namespace op {

/// hello: Who the peer is and what it offers in the mode it is in. The first request, and asked again after configure.
struct hello : RequestOf<hello> {
  hello() : RequestOf("hello") {}
  /// highest protocol version the runner speaks
  hello &protocol(uint32_t value) {
    set("protocol", value, "");
    return *this;
  }
};

/// configure: Chooses the mode, once a process and before any handle exists.
struct configure : RequestOf<configure> {
  configure() : RequestOf("configure") {}
  /// one of hello's modes
  configure &mode(const std::string &value) {
    set("mode", value, "");
    return *this;
  }
};

/// reset: Ends operations in flight as `cancelled`, closes every handle and answers `ok`; `busy` if one cannot be ended.
struct reset : RequestOf<reset> {
  reset() : RequestOf("reset") {}
};

/// pending: The ids of requests begun and not answered, after a full turn of the peer's loop.
struct pending : RequestOf<pending> {
  pending() : RequestOf("pending") {}
};

/// name.parse: Splits a textual name into kind and name: a leading `@` means namespaced and is taken off.
struct name_parse : RequestOf<name_parse> {
  name_parse() : RequestOf("name.parse") {}
  /// the textual form
  name_parse &text(const Bytes &value) {
    set("text", value, "");
    return *this;
  }
};

/// name.format: The canonical text of a name: name.parse gives the same kind and an equal name back.
struct name_format : RequestOf<name_format> {
  name_format() : RequestOf("name.format") {}
  /// of the name
  name_format &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  name_format &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
};

/// name.native: Validates a name by one system's rules and gives the address that system binds: a pure function.
struct name_native : RequestOf<name_native> {
  name_native() : RequestOf("name.native") {}
  /// of the name
  name_native &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  name_native &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// default: the system the peer runs on
  name_native &os(const std::string &value) {
    set("os", value, "");
    return *this;
  }
};

/// name.limit: The longest name of a kind on a system: in bytes, on Windows in UTF-16 units; `unsupported` if it has no such kind.
struct name_limit : RequestOf<name_limit> {
  name_limit() : RequestOf("name.limit") {}
  /// of the name
  name_limit &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// default: the system the peer runs on
  name_limit &os(const std::string &value) {
    set("os", value, "");
    return *this;
  }
};

/// local.listen: Binds a local socket name and listens on it.
struct local_listen : RequestOf<local_listen> {
  local_listen() : RequestOf("local.listen") {}
  /// name for the listener it makes
  local_listen &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the name
  local_listen &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  local_listen &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// take over a stale name; default false
  local_listen &reclaim(bool value) {
    set("reclaim", value, "local.listen.reclaim");
    return *this;
  }
  /// permission bits, at most 0777
  local_listen &mode(uint32_t value) {
    set("mode", value, "local.listen.mode");
    return *this;
  }
  /// a hint, at least 1
  local_listen &backlog(uint32_t value) {
    set("backlog", value, "local.listen.backlog");
    return *this;
  }
};

/// local.connect: Connects to a local socket name.
struct local_connect : RequestOf<local_connect> {
  local_connect() : RequestOf("local.connect") {}
  /// name for the stream it makes
  local_connect &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the name
  local_connect &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  local_connect &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// the library's own timeout
  local_connect &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "local.connect.timeout");
    return *this;
  }
  /// false: one attempt
  local_connect &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// listener.accept: Takes the next connection.
struct listener_accept : RequestOf<listener_accept> {
  listener_accept() : RequestOf("listener.accept") {}
  /// name for the stream it makes
  listener_accept &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// the library's own timeout
  listener_accept &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "listener.accept.timeout");
    return *this;
  }
  /// false: one attempt
  listener_accept &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// listener.native: The address that the listener is bound to, as the system knows it.
struct listener_native : RequestOf<listener_native> {
  listener_native() : RequestOf("listener.native") {}
};

/// listener.set_nonblocking: From now on accept answers `would_block` instead of waiting, or waits again.
struct listener_set_nonblocking : RequestOf<listener_set_nonblocking> {
  listener_set_nonblocking() : RequestOf("listener.set_nonblocking") {}
  /// the new state
  listener_set_nonblocking &nonblocking(bool value) {
    set("nonblocking", value, "");
    return *this;
  }
};

/// listener.raw: The system's handle, borrowed: it stays the listener's.
struct listener_raw : RequestOf<listener_raw> {
  listener_raw() : RequestOf("listener.raw") {}
};

/// listener.release: Gives the system's handle to the caller; the listener is closed without touching it or its name.
struct listener_release : RequestOf<listener_release> {
  listener_release() : RequestOf("listener.release") {}
};

/// listener.adopt: Makes a listener of a listening local socket handle, which it owns from then on; its name is never removed.
struct listener_adopt : RequestOf<listener_adopt> {
  listener_adopt() : RequestOf("listener.adopt") {}
  /// name for the listener it makes
  listener_adopt &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// taken over on `ok` only
  listener_adopt &raw(const Raw &value) {
    set("raw", value, "");
    return *this;
  }
};

/// listener.close: Ends accepts under way as `cancelled`, stops listening and removes the file it made if it is still that file. Accepted streams go on.
struct listener_close : RequestOf<listener_close> {
  listener_close() : RequestOf("listener.close") {}
};

/// stream.read: Reads bytes: at least one, or `end`.
struct stream_read : RequestOf<stream_read> {
  stream_read() : RequestOf("stream.read") {}
  /// some: one successful call; exact: max bytes; end: until the stream ends
  stream_read &until(const std::string &value) {
    set("until", value, "");
    return *this;
  }
  /// bytes wanted at most (some, end: default 65536, no bound) or exactly (exact)
  stream_read &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// size of the buffer of each call to the library, at least 1, default 65536
  stream_read &buffer(uint32_t value) {
    set("buffer", value, "");
    return *this;
  }
  /// a digest for each so many bytes, at least 1
  stream_read &chunk(uint32_t value) {
    set("chunk", value, "");
    return *this;
  }
  /// the library's own timeout, each call
  stream_read &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "stream.read.timeout");
    return *this;
  }
  /// false: one attempt
  stream_read &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// stream.write: Writes bytes: all of them, unless it is told not to wait, fails or times out.
struct stream_write : RequestOf<stream_write> {
  stream_write() : RequestOf("stream.write") {}
  /// what to write
  stream_write &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// bytes handed to each call of the library, at least 1, default all
  stream_write &buffer(uint32_t value) {
    set("buffer", value, "");
    return *this;
  }
  /// the library's own timeout, each call
  stream_write &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "stream.write.timeout");
    return *this;
  }
  /// false: one attempt
  stream_write &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// stream.read_vectored: Reads into several buffers in one call, filling each before the next.
struct stream_read_vectored : RequestOf<stream_read_vectored> {
  stream_read_vectored() : RequestOf("stream.read_vectored") {}
  /// sizes of the buffers, 0 to 64 of them
  stream_read_vectored &lengths(const std::vector<uint32_t> &value) {
    set("lengths", value, "");
    return *this;
  }
  /// the library's own timeout
  stream_read_vectored &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "stream.read.timeout");
    return *this;
  }
  /// false: one attempt
  stream_read_vectored &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// stream.write_vectored: Writes from several buffers, in order, as one write.
struct stream_write_vectored : RequestOf<stream_write_vectored> {
  stream_write_vectored() : RequestOf("stream.write_vectored") {}
  /// what to write, all buffers together
  stream_write_vectored &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// sizes of the buffers, 0 to 64 of them; their sum is the length of data
  stream_write_vectored &lengths(const std::vector<uint32_t> &value) {
    set("lengths", value, "");
    return *this;
  }
  /// the library's own timeout
  stream_write_vectored &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "stream.write.timeout");
    return *this;
  }
  /// false: one attempt
  stream_write_vectored &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// stream.flush: Hands to the system what the implementation still holds. Not a wait for the reader.
struct stream_flush : RequestOf<stream_flush> {
  stream_flush() : RequestOf("stream.flush") {}
};

/// stream.split: Makes a reading and a writing half, each usable from a thread of its own.
struct stream_split : RequestOf<stream_split> {
  stream_split() : RequestOf("stream.split") {}
  /// name for the stream it makes
  stream_split &read_as(const std::string &value) {
    set("read_as", value, "");
    return *this;
  }
  /// name for the stream it makes
  stream_split &write_as(const std::string &value) {
    set("write_as", value, "");
    return *this;
  }
};

/// stream.peer_credentials: Who is at the other end, as the system recorded when the connection was made.
struct stream_peer_credentials : RequestOf<stream_peer_credentials> {
  stream_peer_credentials() : RequestOf("stream.peer_credentials") {}
};

/// stream.set_nonblocking: From now on reads and writes answer `would_block` instead of waiting, or wait again.
struct stream_set_nonblocking : RequestOf<stream_set_nonblocking> {
  stream_set_nonblocking() : RequestOf("stream.set_nonblocking") {}
  /// the new state
  stream_set_nonblocking &nonblocking(bool value) {
    set("nonblocking", value, "");
    return *this;
  }
};

/// stream.raw: The system's handle, borrowed: it stays the stream's.
struct stream_raw : RequestOf<stream_raw> {
  stream_raw() : RequestOf("stream.raw") {}
};

/// stream.release: Gives the system's handle to the caller; the stream is closed without touching it.
struct stream_release : RequestOf<stream_release> {
  stream_release() : RequestOf("stream.release") {}
};

/// stream.adopt: Makes a stream of a connected local socket handle, or of one end of a pipe, which it owns from then on.
struct stream_adopt : RequestOf<stream_adopt> {
  stream_adopt() : RequestOf("stream.adopt") {}
  /// name for the stream it makes
  stream_adopt &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// taken over on `ok` only
  stream_adopt &raw(const Raw &value) {
    set("raw", value, "");
    return *this;
  }
};

/// stream.close: Ends operations under way as `cancelled` and closes. Bytes already accepted stay readable for the other end.
struct stream_close : RequestOf<stream_close> {
  stream_close() : RequestOf("stream.close") {}
};

/// framing.encode: Makes what stands around a body in its frame. A library that wants the body gets that many bytes of 0.
struct framing_encode : RequestOf<framing_encode> {
  framing_encode() : RequestOf("framing.encode") {}
  /// member of the family: framing.md
  framing_encode &codec(const std::string &value) {
    set("codec", value, "");
    return *this;
  }
  /// bytes before the length field, default 0
  framing_encode &offset(uint32_t value) {
    set("offset", value, "framing.length_field");
    return *this;
  }
  /// bytes of the length field; codec `length` needs it
  framing_encode &width(uint32_t value) {
    set("width", value, "framing.length_field");
    return *this;
  }
  /// of the length field's bytes, default big
  framing_encode &order(const std::string &value) {
    set("order", value, "framing.length_field");
    return *this;
  }
  /// body length minus field value, default 0
  framing_encode &adjustment(int64_t value) {
    set("adjustment", value, "framing.length_field");
    return *this;
  }
  /// bytes not delivered from the front of the frame, default offset + width
  framing_encode &skip(uint32_t value) {
    set("skip", value, "framing.length_field");
    return *this;
  }
  /// 5 or 10, default 5
  framing_encode &varint_bytes(uint32_t value) {
    set("varint_bytes", value, "framing.varint");
    return *this;
  }
  /// longest body in bytes, at least 1, default 1 MiB
  framing_encode &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// bytes of the body
  framing_encode &body_length(uint64_t value) {
    set("body_length", value, "");
    return *this;
  }
};

/// framing.decode: Takes a stream apart, which is head, body and tail one after the other. The status is what a fresh decoder says after the last byte: `ok`, or after `end` `end` at a boundary and `message_truncated` in a frame; or `message_too_large` or `malformed`. Every piece is given to the decoder, also after an error. At most 4,096 frames.
struct framing_decode : RequestOf<framing_decode> {
  framing_decode() : RequestOf("framing.decode") {}
  /// member of the family: framing.md
  framing_decode &codec(const std::string &value) {
    set("codec", value, "");
    return *this;
  }
  /// bytes before the length field, default 0
  framing_decode &offset(uint32_t value) {
    set("offset", value, "framing.length_field");
    return *this;
  }
  /// bytes of the length field; codec `length` needs it
  framing_decode &width(uint32_t value) {
    set("width", value, "framing.length_field");
    return *this;
  }
  /// of the length field's bytes, default big
  framing_decode &order(const std::string &value) {
    set("order", value, "framing.length_field");
    return *this;
  }
  /// body length minus field value, default 0
  framing_decode &adjustment(int64_t value) {
    set("adjustment", value, "framing.length_field");
    return *this;
  }
  /// bytes not delivered from the front of the frame, default offset + width
  framing_decode &skip(uint32_t value) {
    set("skip", value, "framing.length_field");
    return *this;
  }
  /// 5 or 10, default 5
  framing_decode &varint_bytes(uint32_t value) {
    set("varint_bytes", value, "framing.varint");
    return *this;
  }
  /// longest body in bytes, at least 1, default 1 MiB
  framing_decode &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// lengths that have a shorter form; default as the library likes
  framing_decode &overlong(const std::string &value) {
    set("overlong", value, "");
    return *this;
  }
  /// first bytes of the stream
  framing_decode &head(const Bytes &value) {
    set("head", value, "");
    return *this;
  }
  /// what follows them
  framing_decode &body(const Data &value) {
    set("body", value, "");
    return *this;
  }
  /// what follows that
  framing_decode &tail(const Bytes &value) {
    set("tail", value, "");
    return *this;
  }
  /// lengths of the first pieces that the decoder gets
  framing_decode &pieces(const std::vector<uint64_t> &value) {
    set("pieces", value, "");
    return *this;
  }
  /// length of each piece after these, at least 1; default: the rest is one
  framing_decode &piece(uint64_t value) {
    set("piece", value, "");
    return *this;
  }
  /// tell the decoder that the stream ends, default false
  framing_decode &end(bool value) {
    set("end", value, "");
    return *this;
  }
};

/// pipe.create: Makes an unnamed pipe: two streams of one direction each.
struct pipe_create : RequestOf<pipe_create> {
  pipe_create() : RequestOf("pipe.create") {}
  /// name for the stream it makes
  pipe_create &read_as(const std::string &value) {
    set("read_as", value, "");
    return *this;
  }
  /// name for the stream it makes
  pipe_create &write_as(const std::string &value) {
    set("write_as", value, "");
    return *this;
  }
  /// children inherit the reading end; default false
  pipe_create &inherit_reader(bool value) {
    set("inherit_reader", value, "pipe.inherit");
    return *this;
  }
  /// children inherit the writing end; default false
  pipe_create &inherit_writer(bool value) {
    set("inherit_writer", value, "pipe.inherit");
    return *this;
  }
  /// bytes it should hold without a reader: a hint
  pipe_create &capacity(uint64_t value) {
    set("capacity", value, "pipe.capacity");
    return *this;
  }
};

/// fifo.create: Makes a FIFO file with exactly these permission bits.
struct fifo_create : RequestOf<fifo_create> {
  fifo_create() : RequestOf("fifo.create") {}
  /// of the file
  fifo_create &path(const Bytes &value) {
    set("path", value, "");
    return *this;
  }
  /// permission bits, at most 0777
  fifo_create &mode(uint32_t value) {
    set("mode", value, "");
    return *this;
  }
};

/// fifo.open: Opens one end of a FIFO file when the other end is open too; `wait: false` opens a reading end at once.
struct fifo_open : RequestOf<fifo_open> {
  fifo_open() : RequestOf("fifo.open") {}
  /// name for the stream it makes
  fifo_open &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the file
  fifo_open &path(const Bytes &value) {
    set("path", value, "");
    return *this;
  }
  /// the end to open
  fifo_open &direction(const std::string &value) {
    set("direction", value, "");
    return *this;
  }
  /// the library's own timeout
  fifo_open &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "fifo.open.timeout");
    return *this;
  }
  /// false: do not wait for the other side; a writing end without a reader is `would_block`
  fifo_open &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// fifo.remove: Removes a FIFO file; never anything else, and never through a link.
struct fifo_remove : RequestOf<fifo_remove> {
  fifo_remove() : RequestOf("fifo.remove") {}
  /// of the file
  fifo_remove &path(const Bytes &value) {
    set("path", value, "");
    return *this;
  }
};

}  // namespace op
}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_OPERATIONS_H
