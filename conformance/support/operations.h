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
  /// leave the file behind at close; default false
  local_listen &keep_name(bool value) {
    set("keep_name", value, "local.listen.keep_name");
    return *this;
  }
  /// processes of this user alone may connect; default false
  local_listen &same_user(bool value) {
    set("same_user", value, "local.listen.same_user");
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
  /// `max` from the second frame on
  framing_decode &max_after(uint64_t value) {
    set("max_after", value, "framing.max_after");
    return *this;
  }
  /// codec `length`: the body begins behind `skip` bytes, default false: behind the length field
  framing_decode &body_at_skip(bool value) {
    set("body_at_skip", value, "framing.body_at_skip");
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

/// stream.shutdown: Ends one direction or both, for every handle of the connection: the other end reads what was written, then the end.
struct stream_shutdown : RequestOf<stream_shutdown> {
  stream_shutdown() : RequestOf("stream.shutdown") {}
  /// what is shut down
  stream_shutdown &how(const std::string &value) {
    set("how", value, "");
    return *this;
  }
};

/// stream.write_ancillary: Writes bytes, and beside the first of them descriptors or credentials.
struct stream_write_ancillary : RequestOf<stream_write_ancillary> {
  stream_write_ancillary() : RequestOf("stream.write_ancillary") {}
  /// what to write, at least 1 byte
  stream_write_ancillary &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// descriptors of this process to pass, at most 64; they stay open
  stream_write_ancillary &descriptors(const std::vector<uint64_t> &value) {
    set("descriptors", value, "ancillary.descriptors");
    return *this;
  }
  /// pass credentials, default false
  stream_write_ancillary &credentials(bool value) {
    set("credentials", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  stream_write_ancillary &pid(uint64_t value) {
    set("pid", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  stream_write_ancillary &uid(uint32_t value) {
    set("uid", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  stream_write_ancillary &gid(uint32_t value) {
    set("gid", value, "ancillary.credentials");
    return *this;
  }
  /// the library's own timeout
  stream_write_ancillary &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "stream.write.timeout");
    return *this;
  }
  /// false: one attempt
  stream_write_ancillary &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// stream.read_ancillary: Reads bytes, at least one, and what travels beside them.
struct stream_read_ancillary : RequestOf<stream_read_ancillary> {
  stream_read_ancillary() : RequestOf("stream.read_ancillary") {}
  /// bytes wanted at most, at least 1
  stream_read_ancillary &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// room for so many descriptors, at most 64; default 0
  stream_read_ancillary &descriptors_max(uint32_t value) {
    set("descriptors_max", value, "ancillary.descriptors");
    return *this;
  }
  /// the library's own timeout
  stream_read_ancillary &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "stream.read.timeout");
    return *this;
  }
  /// false: one attempt
  stream_read_ancillary &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// stream.set_pass_credentials: From now on credentials come beside the bytes, the sender asked or not; or no more.
struct stream_set_pass_credentials : RequestOf<stream_set_pass_credentials> {
  stream_set_pass_credentials() : RequestOf("stream.set_pass_credentials") {}
  /// the new state
  stream_set_pass_credentials &pass(bool value) {
    set("pass", value, "");
    return *this;
  }
};

/// unix.listen: Binds a Unix domain socket of a type and listens on it.
struct unix_listen : RequestOf<unix_listen> {
  unix_listen() : RequestOf("unix.listen") {}
  /// name for the listener it makes
  unix_listen &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the connections
  unix_listen &type(const std::string &value) {
    set("type", value, "");
    return *this;
  }
  /// of the name
  unix_listen &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name; `autobind` stands instead of both
  unix_listen &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// true: a name that the system chooses
  unix_listen &autobind(bool value) {
    set("autobind", value, "unix.autobind");
    return *this;
  }
  /// take over a stale name; default false
  unix_listen &reclaim(bool value) {
    set("reclaim", value, "local.listen.reclaim");
    return *this;
  }
  /// permission bits, at most 0777
  unix_listen &mode(uint32_t value) {
    set("mode", value, "local.listen.mode");
    return *this;
  }
  /// a hint, at least 1
  unix_listen &backlog(uint32_t value) {
    set("backlog", value, "local.listen.backlog");
    return *this;
  }
  /// leave the file behind at close; default false
  unix_listen &keep_name(bool value) {
    set("keep_name", value, "local.listen.keep_name");
    return *this;
  }
  /// processes of this user alone may connect; default false
  unix_listen &same_user(bool value) {
    set("same_user", value, "local.listen.same_user");
    return *this;
  }
};

/// listener.accept_socket: Takes the next connection of a listener of type seqpacket.
struct listener_accept_socket : RequestOf<listener_accept_socket> {
  listener_accept_socket() : RequestOf("listener.accept_socket") {}
  /// name for the socket it makes
  listener_accept_socket &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// the library's own timeout
  listener_accept_socket &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "listener.accept.timeout");
    return *this;
  }
  /// false: one attempt
  listener_accept_socket &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// socket.open: Makes a socket that moves whole messages, with no name and no peer.
struct socket_open : RequestOf<socket_open> {
  socket_open() : RequestOf("socket.open") {}
  /// name for the socket it makes
  socket_open &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the socket
  socket_open &type(const std::string &value) {
    set("type", value, "");
    return *this;
  }
};

/// socket.bind: Makes a datagram socket with a name, which receives what is sent there.
struct socket_bind : RequestOf<socket_bind> {
  socket_bind() : RequestOf("socket.bind") {}
  /// name for the socket it makes
  socket_bind &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the name
  socket_bind &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name; `autobind` stands instead of both
  socket_bind &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// true: a name that the system chooses
  socket_bind &autobind(bool value) {
    set("autobind", value, "unix.autobind");
    return *this;
  }
  /// take over a stale name; default false
  socket_bind &reclaim(bool value) {
    set("reclaim", value, "local.listen.reclaim");
    return *this;
  }
  /// permission bits, at most 0777
  socket_bind &mode(uint32_t value) {
    set("mode", value, "local.listen.mode");
    return *this;
  }
  /// leave the file behind at close; default false
  socket_bind &keep_name(bool value) {
    set("keep_name", value, "local.listen.keep_name");
    return *this;
  }
};

/// socket.connect: Datagram: sets where sends go and whose messages come, again if need be. Seqpacket: connects.
struct socket_connect : RequestOf<socket_connect> {
  socket_connect() : RequestOf("socket.connect") {}
  /// of the name
  socket_connect &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  socket_connect &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// the library's own timeout
  socket_connect &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "socket.connect.timeout");
    return *this;
  }
  /// false: one attempt
  socket_connect &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// socket.native: The address that the socket is bound to; length 0 if it has none.
struct socket_native : RequestOf<socket_native> {
  socket_native() : RequestOf("socket.native") {}
};

/// socket.send: Sends one message, whole or not at all.
struct socket_send : RequestOf<socket_send> {
  socket_send() : RequestOf("socket.send") {}
  /// the message
  socket_send &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// sizes of the buffers it is gathered from, 0 to 64 of them; default one
  socket_send &lengths(const std::vector<uint32_t> &value) {
    set("lengths", value, "");
    return *this;
  }
  /// of `to`
  socket_send &to_kind(const std::string &value) {
    set("to_kind", value, "");
    return *this;
  }
  /// name of the receiver; default: where the socket is connected
  socket_send &to(const Bytes &value) {
    set("to", value, "");
    return *this;
  }
  /// descriptors of this process to pass, at most 64; they stay open
  socket_send &descriptors(const std::vector<uint64_t> &value) {
    set("descriptors", value, "ancillary.descriptors");
    return *this;
  }
  /// pass credentials, default false
  socket_send &credentials(bool value) {
    set("credentials", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  socket_send &pid(uint64_t value) {
    set("pid", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  socket_send &uid(uint32_t value) {
    set("uid", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  socket_send &gid(uint32_t value) {
    set("gid", value, "ancillary.credentials");
    return *this;
  }
  /// the library's own timeout
  socket_send &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "socket.send.timeout");
    return *this;
  }
  /// false: one attempt
  socket_send &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// socket.receive: Takes one message. One that does not fit is cut, and the rest of it lost: `message_truncated`; or it stays, with `whole`.
struct socket_receive : RequestOf<socket_receive> {
  socket_receive() : RequestOf("socket.receive") {}
  /// room in bytes
  socket_receive &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// sizes of the buffers it is scattered to, 0 to 64 of them with the sum `max`; default one
  socket_receive &lengths(const std::vector<uint32_t> &value) {
    set("lengths", value, "");
    return *this;
  }
  /// a message that does not fit stays; default false
  socket_receive &whole(bool value) {
    set("whole", value, "socket.receive.whole");
    return *this;
  }
  /// room for so many descriptors, at most 64; default 0
  socket_receive &descriptors_max(uint32_t value) {
    set("descriptors_max", value, "ancillary.descriptors");
    return *this;
  }
  /// the library's own timeout
  socket_receive &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "socket.receive.timeout");
    return *this;
  }
  /// false: one attempt
  socket_receive &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// socket.next_length: How long the next message is, which stays.
struct socket_next_length : RequestOf<socket_next_length> {
  socket_next_length() : RequestOf("socket.next_length") {}
  /// the library's own timeout
  socket_next_length &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "socket.receive.timeout");
    return *this;
  }
  /// false: one attempt
  socket_next_length &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// socket.shutdown: Ends one direction or both.
struct socket_shutdown : RequestOf<socket_shutdown> {
  socket_shutdown() : RequestOf("socket.shutdown") {}
  /// what is shut down
  socket_shutdown &how(const std::string &value) {
    set("how", value, "");
    return *this;
  }
};

/// socket.peer_credentials: Who is at the other end of a seqpacket connection.
struct socket_peer_credentials : RequestOf<socket_peer_credentials> {
  socket_peer_credentials() : RequestOf("socket.peer_credentials") {}
};

/// socket.set_pass_credentials: From now on credentials come beside each message, the sender asked or not; or no more.
struct socket_set_pass_credentials : RequestOf<socket_set_pass_credentials> {
  socket_set_pass_credentials() : RequestOf("socket.set_pass_credentials") {}
  /// the new state
  socket_set_pass_credentials &pass(bool value) {
    set("pass", value, "");
    return *this;
  }
};

/// socket.set_nonblocking: From now on sends and receives answer `would_block` instead of waiting, or wait again.
struct socket_set_nonblocking : RequestOf<socket_set_nonblocking> {
  socket_set_nonblocking() : RequestOf("socket.set_nonblocking") {}
  /// the new state
  socket_set_nonblocking &nonblocking(bool value) {
    set("nonblocking", value, "");
    return *this;
  }
};

/// socket.raw: The system's handle, borrowed: it stays the socket's.
struct socket_raw : RequestOf<socket_raw> {
  socket_raw() : RequestOf("socket.raw") {}
};

/// socket.release: Gives the system's handle to the caller; the socket is closed without touching it or its name.
struct socket_release : RequestOf<socket_release> {
  socket_release() : RequestOf("socket.release") {}
};

/// socket.adopt: Makes a socket of a datagram or seqpacket handle of the local family, which it owns from then on; its name is never removed.
struct socket_adopt : RequestOf<socket_adopt> {
  socket_adopt() : RequestOf("socket.adopt") {}
  /// name for the socket it makes
  socket_adopt &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// taken over on `ok` only
  socket_adopt &raw(const Raw &value) {
    set("raw", value, "");
    return *this;
  }
};

/// socket.close: Ends operations under way as `cancelled`, closes, and removes the file it made if it is still that file.
struct socket_close : RequestOf<socket_close> {
  socket_close() : RequestOf("socket.close") {}
};

/// ancillary.encode: Makes a control buffer as sendmsg(2) takes it, of exactly the size needed: a pure function.
struct ancillary_encode : RequestOf<ancillary_encode> {
  ancillary_encode() : RequestOf("ancillary.encode") {}
  /// numbers to put in, at most 64; they need not be open
  ancillary_encode &descriptors(const std::vector<uint64_t> &value) {
    set("descriptors", value, "ancillary.descriptors");
    return *this;
  }
  /// pass credentials, default false
  ancillary_encode &credentials(bool value) {
    set("credentials", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  ancillary_encode &pid(uint64_t value) {
    set("pid", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  ancillary_encode &uid(uint32_t value) {
    set("uid", value, "ancillary.credentials");
    return *this;
  }
  /// instead of the own
  ancillary_encode &gid(uint32_t value) {
    set("gid", value, "ancillary.credentials");
    return *this;
  }
};

/// ancillary.decode: Takes a control buffer apart as recvmsg(2) fills it: a pure function that opens and closes nothing.
struct ancillary_decode : RequestOf<ancillary_decode> {
  ancillary_decode() : RequestOf("ancillary.decode") {}
  /// the buffer
  ancillary_decode &control(const Bytes &value) {
    set("control", value, "");
    return *this;
  }
  /// room for so many descriptors, at most 64; default 0
  ancillary_decode &descriptors_max(uint32_t value) {
    set("descriptors_max", value, "ancillary.descriptors");
    return *this;
  }
};

/// signal.number: The number of a signal on this system.
struct signal_number : RequestOf<signal_number> {
  signal_number() : RequestOf("signal.number") {}
  /// name: INT, TERM, USR1, ..., or RT0, RT1, ... of the real-time ones
  signal_number &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
};

/// signal.name: The name of a signal by its number.
struct signal_name : RequestOf<signal_name> {
  signal_name() : RequestOf("signal.name") {}
  /// its number
  signal_name &number(int64_t value) {
    set("number", value, "");
    return *this;
  }
};

/// signal.describe: What may be done with a signal.
struct signal_describe : RequestOf<signal_describe> {
  signal_describe() : RequestOf("signal.describe") {}
  /// name: INT, TERM, USR1, ..., or RT0, RT1, ... of the real-time ones
  signal_describe &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
};

/// signal.set_handler: Says what a signal does to this process from now on.
struct signal_set_handler : RequestOf<signal_set_handler> {
  signal_set_handler() : RequestOf("signal.set_handler") {}
  /// name: INT, TERM, USR1, ..., or RT0, RT1, ... of the real-time ones
  signal_set_handler &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
  /// what it does
  signal_set_handler &action(const std::string &value) {
    set("action", value, "");
    return *this;
  }
  /// system calls that it interrupts go on; default false
  signal_set_handler &restart(bool value) {
    set("restart", value, "");
    return *this;
  }
  /// the first delivery sets it back to default; default false
  signal_set_handler &reset(bool value) {
    set("reset", value, "");
    return *this;
  }
  /// it may interrupt its own hook; default false
  signal_set_handler &nested(bool value) {
    set("nested", value, "");
    return *this;
  }
  /// CHLD: only for children that end; default false
  signal_set_handler &no_child_stop(bool value) {
    set("no_child_stop", value, "signal.child_stop");
    return *this;
  }
};

/// signal.send: Sends a signal to a process, or asks whether it exists.
struct signal_send : RequestOf<signal_send> {
  signal_send() : RequestOf("signal.send") {}
  /// name; absent: nothing is sent
  signal_send &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
  /// of the process
  signal_send &pid(uint64_t value) {
    set("pid", value, "");
    return *this;
  }
};

/// signal.send_group: Sends a signal to every process of a group.
struct signal_send_group : RequestOf<signal_send_group> {
  signal_send_group() : RequestOf("signal.send_group") {}
  /// name; absent: nothing is sent
  signal_send_group &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
  /// id of the process group
  signal_send_group &group(uint64_t value) {
    set("group", value, "");
    return *this;
  }
};

/// signal.queue: Sends a real-time signal with a value, queued behind those before it.
struct signal_queue : RequestOf<signal_queue> {
  signal_queue() : RequestOf("signal.queue") {}
  /// name: INT, TERM, USR1, ..., or RT0, RT1, ... of the real-time ones
  signal_queue &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
  /// of the process
  signal_queue &pid(uint64_t value) {
    set("pid", value, "");
    return *this;
  }
  /// goes with it; within 32 bits
  signal_queue &value(int64_t value) {
    set("value", value, "");
    return *this;
  }
};

/// signal.watch: Routes signals to a handle on which they can be waited for, instead of to a handler.
struct signal_watch : RequestOf<signal_watch> {
  signal_watch() : RequestOf("signal.watch") {}
  /// name for the watcher it makes
  signal_watch &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// names of them, 1 to 64
  signal_watch &signals(const std::vector<std::string> &value) {
    set("signals", value, "");
    return *this;
  }
};

/// watcher.next: Waits for the next of the signals watched.
struct watcher_next : RequestOf<watcher_next> {
  watcher_next() : RequestOf("watcher.next") {}
  /// the library's own timeout
  watcher_next &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "watcher.next.timeout");
    return *this;
  }
  /// false: one attempt
  watcher_next &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// watcher.set_nonblocking: From now on watcher.next answers `would_block` instead of waiting, or waits again.
struct watcher_set_nonblocking : RequestOf<watcher_set_nonblocking> {
  watcher_set_nonblocking() : RequestOf("watcher.set_nonblocking") {}
  /// the new state
  watcher_set_nonblocking &nonblocking(bool value) {
    set("nonblocking", value, "");
    return *this;
  }
};

/// watcher.raw: A handle that is readable while a signal waits, borrowed: it stays the watcher's.
struct watcher_raw : RequestOf<watcher_raw> {
  watcher_raw() : RequestOf("watcher.raw") {}
};

/// watcher.close: Ends waits under way as `cancelled` and gives the signals back what they did before.
struct watcher_close : RequestOf<watcher_close> {
  watcher_close() : RequestOf("watcher.close") {}
};

/// signal.hooked: How often the hook of a signal has run in this process since it was last set; waits until it has run `at_least` so often.
struct signal_hooked : RequestOf<signal_hooked> {
  signal_hooked() : RequestOf("signal.hooked") {}
  /// name: INT, TERM, USR1, ..., or RT0, RT1, ... of the real-time ones
  signal_hooked &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
  /// default 0
  signal_hooked &at_least(uint32_t value) {
    set("at_least", value, "");
    return *this;
  }
};

/// framed.open: Makes a framed stream of a stream, which it owns from then on.
struct framed_open : RequestOf<framed_open> {
  framed_open() : RequestOf("framed.open") {}
  /// name for the framed it makes
  framed_open &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// member of the family: framing.md
  framed_open &codec(const std::string &value) {
    set("codec", value, "");
    return *this;
  }
  /// bytes before the length field, default 0
  framed_open &offset(uint32_t value) {
    set("offset", value, "framing.length_field");
    return *this;
  }
  /// bytes of the length field; codec `length` needs it
  framed_open &width(uint32_t value) {
    set("width", value, "framing.length_field");
    return *this;
  }
  /// of the length field's bytes, default big
  framed_open &order(const std::string &value) {
    set("order", value, "framing.length_field");
    return *this;
  }
  /// body length minus field value, default 0
  framed_open &adjustment(int64_t value) {
    set("adjustment", value, "framing.length_field");
    return *this;
  }
  /// bytes not delivered from the front of the frame, default offset + width
  framed_open &skip(uint32_t value) {
    set("skip", value, "framing.length_field");
    return *this;
  }
  /// 5 or 10, default 5
  framed_open &varint_bytes(uint32_t value) {
    set("varint_bytes", value, "framing.varint");
    return *this;
  }
  /// longest body in bytes, at least 1, default 1 MiB
  framed_open &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
};

/// framed.write: Writes frames: header, body and trailer of each, as many as there are, in as few system calls as can be.
struct framed_write : RequestOf<framed_write> {
  framed_write() : RequestOf("framed.write") {}
  /// the bodies, one behind the other
  framed_write &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// length of each body, 1 to 64 of them
  framed_write &lengths(const std::vector<uint32_t> &value) {
    set("lengths", value, "");
    return *this;
  }
  /// the library's own timeout
  framed_write &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "framed.write.timeout");
    return *this;
  }
  /// false: one attempt
  framed_write &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// framed.read: Takes the next frame. One that does not fit stays: `message_truncated`.
struct framed_read : RequestOf<framed_read> {
  framed_read() : RequestOf("framed.read") {}
  /// room in bytes
  framed_read &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// the library's own timeout
  framed_read &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "framed.read.timeout");
    return *this;
  }
  /// false: one attempt
  framed_read &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// framed.flush: Hands to the system what is left of a frame that a write has taken.
struct framed_flush : RequestOf<framed_flush> {
  framed_flush() : RequestOf("framed.flush") {}
  /// the library's own timeout
  framed_flush &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "framed.write.timeout");
    return *this;
  }
  /// false: one attempt
  framed_flush &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// framed.set_nonblocking: From now on reads and writes answer `would_block` instead of waiting, or wait again.
struct framed_set_nonblocking : RequestOf<framed_set_nonblocking> {
  framed_set_nonblocking() : RequestOf("framed.set_nonblocking") {}
  /// the new state
  framed_set_nonblocking &nonblocking(bool value) {
    set("nonblocking", value, "");
    return *this;
  }
};

/// framed.raw: The system's handle, borrowed: it stays the framed stream's.
struct framed_raw : RequestOf<framed_raw> {
  framed_raw() : RequestOf("framed.raw") {}
};

/// framed.close: Ends operations under way as `cancelled` and closes the stream. What framed.flush would send is lost.
struct framed_close : RequestOf<framed_close> {
  framed_close() : RequestOf("framed.close") {}
};

/// cancel: Ends the request `target` as `cancelled`, unless it has its answer already. Runs in control.
struct cancel : RequestOf<cancel> {
  cancel() : RequestOf("cancel") {}
  /// id of the request
  cancel &target(uint64_t value) {
    set("target", value, "");
    return *this;
  }
};

/// process.spawn: Starts this peer again as a child process, as a program of its language starts one: the child has what is inheritable, and a channel of its own.
struct process_spawn : RequestOf<process_spawn> {
  process_spawn() : RequestOf("process.spawn") {}
  /// name for the process it makes
  process_spawn &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// the socket that the child opens its channel on, as CTS_CONTROL names it (spec/peer_protocol.md, 1.7)
  process_spawn &control(const std::string &value) {
    set("control", value, "");
    return *this;
  }
};

/// process.wait: Waits until the child has ended.
struct process_wait : RequestOf<process_wait> {
  process_wait() : RequestOf("process.wait") {}
};

/// process.close: Kills the child if it still runs, with what it started, and forgets it.
struct process_close : RequestOf<process_close> {
  process_close() : RequestOf("process.close") {}
};

/// signal.raise: Raises a signal in this process: what it does has been done before the answer.
struct signal_raise : RequestOf<signal_raise> {
  signal_raise() : RequestOf("signal.raise") {}
  /// name: INT, TERM, USR1, ..., or RT0, RT1, ... of the real-time ones
  signal_raise &signal(const std::string &value) {
    set("signal", value, "");
    return *this;
  }
};

/// named_pipe.listen: Makes a named pipe and waits for clients.
struct named_pipe_listen : RequestOf<named_pipe_listen> {
  named_pipe_listen() : RequestOf("named_pipe.listen") {}
  /// name for the listener it makes
  named_pipe_listen &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the name
  named_pipe_listen &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  named_pipe_listen &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// what one write makes; default bytes. messages: feature named_pipe.messages
  named_pipe_listen &type(const std::string &value) {
    set("type", value, "");
    return *this;
  }
  /// of the server's end; default the type
  named_pipe_listen &read_mode(const std::string &value) {
    set("read_mode", value, "");
    return *this;
  }
  /// seen from the server; default duplex
  named_pipe_listen &direction(const std::string &value) {
    set("direction", value, "");
    return *this;
  }
  /// connections at a time, 1 to 254; default no limit
  named_pipe_listen &instances_max(uint32_t value) {
    set("instances_max", value, "");
    return *this;
  }
  /// bytes that wait for the server: a hint
  named_pipe_listen &in_size(uint32_t value) {
    set("in_size", value, "");
    return *this;
  }
  /// bytes that wait for the client: a hint
  named_pipe_listen &out_size(uint32_t value) {
    set("out_size", value, "");
    return *this;
  }
  /// instances that wait for clients: a hint, at least 1
  named_pipe_listen &backlog(uint32_t value) {
    set("backlog", value, "");
    return *this;
  }
  /// others may have instances of the name; default false
  named_pipe_listen &share_name(bool value) {
    set("share_name", value, "");
    return *this;
  }
  /// processes of this user alone may connect; default false
  named_pipe_listen &same_user(bool value) {
    set("same_user", value, "named_pipe.same_user");
    return *this;
  }
};

/// listener.accept_named_pipe: Takes the next connection of a listener of named_pipe.listen.
struct listener_accept_named_pipe : RequestOf<listener_accept_named_pipe> {
  listener_accept_named_pipe() : RequestOf("listener.accept_named_pipe") {}
  /// name for the named_pipe it makes
  listener_accept_named_pipe &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// the library's own timeout
  listener_accept_named_pipe &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "listener.accept.timeout");
    return *this;
  }
  /// false: one attempt
  listener_accept_named_pipe &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// named_pipe.connect: Connects to a named pipe.
struct named_pipe_connect : RequestOf<named_pipe_connect> {
  named_pipe_connect() : RequestOf("named_pipe.connect") {}
  /// name for the named_pipe it makes
  named_pipe_connect &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// of the name
  named_pipe_connect &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  named_pipe_connect &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// seen from the server; default duplex
  named_pipe_connect &direction(const std::string &value) {
    set("direction", value, "");
    return *this;
  }
  /// default bytes
  named_pipe_connect &read_mode(const std::string &value) {
    set("read_mode", value, "");
    return *this;
  }
  /// the library's own timeout
  named_pipe_connect &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.connect.timeout");
    return *this;
  }
  /// false: one attempt
  named_pipe_connect &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// named_pipe.wait: Waits until an instance of a named pipe is free.
struct named_pipe_wait : RequestOf<named_pipe_wait> {
  named_pipe_wait() : RequestOf("named_pipe.wait") {}
  /// of the name
  named_pipe_wait &kind(const std::string &value) {
    set("kind", value, "");
    return *this;
  }
  /// the name
  named_pipe_wait &name(const Bytes &value) {
    set("name", value, "");
    return *this;
  }
  /// the library's own timeout
  named_pipe_wait &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.connect.timeout");
    return *this;
  }
};

/// named_pipe.read: Reads bytes, or one message: one that does not fit is read in parts, or stays with `whole`.
struct named_pipe_read : RequestOf<named_pipe_read> {
  named_pipe_read() : RequestOf("named_pipe.read") {}
  /// room in bytes
  named_pipe_read &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// take a message only if it fits; default false
  named_pipe_read &whole(bool value) {
    set("whole", value, "");
    return *this;
  }
  /// the library's own timeout
  named_pipe_read &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.read.timeout");
    return *this;
  }
  /// false: one attempt
  named_pipe_read &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// named_pipe.write: Writes bytes, or one message, whole or not at all.
struct named_pipe_write : RequestOf<named_pipe_write> {
  named_pipe_write() : RequestOf("named_pipe.write") {}
  /// what to write
  named_pipe_write &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// the library's own timeout
  named_pipe_write &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.write.timeout");
    return *this;
  }
  /// false: one attempt
  named_pipe_write &wait(bool value) {
    set("wait", value, "wait");
    return *this;
  }
};

/// named_pipe.transact: Writes a message and reads the one that answers it.
struct named_pipe_transact : RequestOf<named_pipe_transact> {
  named_pipe_transact() : RequestOf("named_pipe.transact") {}
  /// the message
  named_pipe_transact &data(const Data &value) {
    set("data", value, "");
    return *this;
  }
  /// room for the answer in bytes
  named_pipe_transact &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
  /// the library's own timeout
  named_pipe_transact &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.read.timeout");
    return *this;
  }
};

/// named_pipe.peek: Copies what waits to be read, which stays.
struct named_pipe_peek : RequestOf<named_pipe_peek> {
  named_pipe_peek() : RequestOf("named_pipe.peek") {}
  /// room in bytes
  named_pipe_peek &max(uint64_t value) {
    set("max", value, "");
    return *this;
  }
};

/// named_pipe.flush: Waits until the other end has read everything.
struct named_pipe_flush : RequestOf<named_pipe_flush> {
  named_pipe_flush() : RequestOf("named_pipe.flush") {}
  /// the library's own timeout
  named_pipe_flush &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.write.timeout");
    return *this;
  }
};

/// named_pipe.disconnect: Ends the connection at the server's end; what the client has not read is lost, unless `flush` waits for that.
struct named_pipe_disconnect : RequestOf<named_pipe_disconnect> {
  named_pipe_disconnect() : RequestOf("named_pipe.disconnect") {}
  /// wait first until the client has read everything; default false
  named_pipe_disconnect &flush(bool value) {
    set("flush", value, "");
    return *this;
  }
  /// the library's own timeout
  named_pipe_disconnect &timeout_ms(uint64_t value) {
    set("timeout_ms", value, "named_pipe.write.timeout");
    return *this;
  }
};

/// named_pipe.peer: Which process is at the other end, and in which session.
struct named_pipe_peer : RequestOf<named_pipe_peer> {
  named_pipe_peer() : RequestOf("named_pipe.peer") {}
};

/// named_pipe.info: What this end of a named pipe is.
struct named_pipe_info : RequestOf<named_pipe_info> {
  named_pipe_info() : RequestOf("named_pipe.info") {}
};

/// named_pipe.set_read_mode: Says whether this end reads bytes or messages from now on.
struct named_pipe_set_read_mode : RequestOf<named_pipe_set_read_mode> {
  named_pipe_set_read_mode() : RequestOf("named_pipe.set_read_mode") {}
  /// the new one
  named_pipe_set_read_mode &read_mode(const std::string &value) {
    set("read_mode", value, "");
    return *this;
  }
};

/// named_pipe.duplicate: Makes another handle of this end in another process.
struct named_pipe_duplicate : RequestOf<named_pipe_duplicate> {
  named_pipe_duplicate() : RequestOf("named_pipe.duplicate") {}
  /// of the process
  named_pipe_duplicate &pid(uint64_t value) {
    set("pid", value, "");
    return *this;
  }
};

/// named_pipe.set_nonblocking: From now on reads and writes answer `would_block` instead of waiting, or wait again.
struct named_pipe_set_nonblocking : RequestOf<named_pipe_set_nonblocking> {
  named_pipe_set_nonblocking() : RequestOf("named_pipe.set_nonblocking") {}
  /// the new state
  named_pipe_set_nonblocking &nonblocking(bool value) {
    set("nonblocking", value, "");
    return *this;
  }
};

/// named_pipe.raw: The system's handle, borrowed: it stays the pipe's.
struct named_pipe_raw : RequestOf<named_pipe_raw> {
  named_pipe_raw() : RequestOf("named_pipe.raw") {}
};

/// named_pipe.release: Gives the system's handle to the caller; the pipe is closed without touching it.
struct named_pipe_release : RequestOf<named_pipe_release> {
  named_pipe_release() : RequestOf("named_pipe.release") {}
};

/// named_pipe.adopt: Makes a named pipe of a connected handle, which it owns from then on.
struct named_pipe_adopt : RequestOf<named_pipe_adopt> {
  named_pipe_adopt() : RequestOf("named_pipe.adopt") {}
  /// name for the named_pipe it makes
  named_pipe_adopt &as(const std::string &value) {
    set("as", value, "");
    return *this;
  }
  /// taken over on `ok` only
  named_pipe_adopt &raw(const Raw &value) {
    set("raw", value, "");
    return *this;
  }
};

/// named_pipe.close: Ends operations under way as `cancelled` and closes. What was written stays readable for the other end.
struct named_pipe_close : RequestOf<named_pipe_close> {
  named_pipe_close() : RequestOf("named_pipe.close") {}
};

}  // namespace op
}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_OPERATIONS_H
