/* table.h - the versioned table of functions. Made by `cts spec generate` from spec/operations.toml: change that file, not this one. */
#ifndef IPC_TABLE_H
#define IPC_TABLE_H

#include "ipc/base.h"
#include "ipc/fifo.h"
#include "ipc/framing.h"
#include "ipc/local.h"
#include "ipc/name.h"
#include "ipc/pipe.h"
#include "ipc/stream.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IPC_ABI_MAJOR 1u
#define IPC_ABI_MINOR 3u

/* Slots are only ever appended. A slot beyond `size`, or NULL, is not offered (spec/abi.md). */
typedef struct ipc_table {
  uint32_t size;               /* bytes of this structure as the library knows it */
  uint16_t abi_major;          /* IPC_ABI_MAJOR it was built with */
  uint16_t abi_minor;          /* IPC_ABI_MINOR it was built with */
  const char *implementation;  /* name of the implementation, UTF-8 */
  const char *version;         /* its version */
  const char *const *features; /* features offered, names from spec/operations.md; ends in NULL */
  const char *const *traits;   /* traits declared; ends in NULL */
  /* 0: name.parse. Splits a textual name into kind and name: a leading `@` means namespaced and is taken off. */
  ipc_status (*name_parse)(const void *text, size_t text_len, uint32_t *out_kind, void *out_name, size_t name_max, size_t *out_len);
  /* 1: name.format. The canonical text of a name: name.parse gives the same kind and an equal name back. */
  ipc_status (*name_format)(const ipc_name *name, void *out_text, size_t text_max, size_t *out_len);
  /* 2: name.native. Validates a name by one system's rules and gives the address that system binds: a pure function. */
  ipc_status (*name_native)(const ipc_name *name, uint32_t os, void *out_native, size_t native_max, size_t *out_len);
  /* 3: name.limit. The longest name of a kind on a system: in bytes, on Windows in UTF-16 units; `unsupported` if it
   * has no such kind. */
  ipc_status (*name_limit)(uint32_t kind, uint32_t os, size_t *out_max);
  /* 4: local.listen. Binds a local socket name and listens on it. */
  ipc_status (*local_listen)(const ipc_name *name, const ipc_local_listen_options *options, ipc_listener **out_listener);
  /* 5: local.connect. Connects to a local socket name. */
  ipc_status (*local_connect)(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream);
  /* 6: listener.accept. Takes the next connection. */
  ipc_status (*listener_accept)(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream);
  /* 7: listener.native. The address that the listener is bound to, as the system knows it. */
  ipc_status (*listener_native)(ipc_listener *listener, void *out_native, size_t native_max, size_t *out_len);
  /* 8: listener.set_nonblocking. From now on accept answers `would_block` instead of waiting, or waits again.
   * Feature gate: nonblocking. */
  ipc_status (*listener_set_nonblocking)(ipc_listener *listener, bool nonblocking);
  /* 9: listener.raw. The system's handle, borrowed: it stays the listener's. */
  ipc_status (*listener_raw)(ipc_listener *listener, ipc_raw *out_raw);
  /* 10: listener.release. Gives the system's handle to the caller; the listener is closed without touching it or its
   * name. */
  ipc_status (*listener_release)(ipc_listener *listener, ipc_raw *out_raw);
  /* 11: listener.adopt. Makes a listener of a listening local socket handle, which it owns from then on; its name is
   * never removed. */
  ipc_status (*listener_adopt)(const ipc_raw *raw, ipc_listener **out_listener);
  /* 12: listener.close. Ends accepts under way as `cancelled`, stops listening and removes the file it made if it is
   * still that file. Accepted streams go on. */
  ipc_status (*listener_close)(ipc_listener *listener);
  /* 13: stream.read. Reads bytes: at least one, or `end`. */
  ipc_status (*stream_read)(ipc_stream *stream, void *out_data, size_t data_max, int64_t timeout_ms, size_t *out_len);
  /* 14: stream.write. Writes bytes: all of them, unless it is told not to wait, fails or times out. */
  ipc_status (*stream_write)(ipc_stream *stream, const void *data, size_t data_len, int64_t timeout_ms, size_t *out_len);
  /* 15: stream.read_vectored. Reads into several buffers in one call, filling each before the next. */
  ipc_status (*stream_read_vectored)(ipc_stream *stream, const ipc_buffer *buffers, size_t num_buffers, int64_t timeout_ms, size_t *out_len);
  /* 16: stream.write_vectored. Writes from several buffers, in order, as one write. */
  ipc_status (*stream_write_vectored)(ipc_stream *stream, const ipc_const_buffer *buffers, size_t num_buffers, int64_t timeout_ms, size_t *out_len);
  /* 17: stream.flush. Hands to the system what the implementation still holds. Not a wait for the reader. */
  ipc_status (*stream_flush)(ipc_stream *stream);
  /* 18: stream.split. Makes a reading and a writing half, each usable from a thread of its own. */
  ipc_status (*stream_split)(ipc_stream *stream, ipc_stream **out_reader, ipc_stream **out_writer);
  /* 19: stream.peer_credentials. Who is at the other end, as the system recorded when the connection was made. */
  ipc_status (*stream_peer_credentials)(ipc_stream *stream, ipc_credentials *out_credentials);
  /* 20: stream.set_nonblocking. From now on reads and writes answer `would_block` instead of waiting, or wait again.
   * Feature gate: nonblocking. */
  ipc_status (*stream_set_nonblocking)(ipc_stream *stream, bool nonblocking);
  /* 21: stream.raw. The system's handle, borrowed: it stays the stream's. */
  ipc_status (*stream_raw)(ipc_stream *stream, ipc_raw *out_raw);
  /* 22: stream.release. Gives the system's handle to the caller; the stream is closed without touching it. */
  ipc_status (*stream_release)(ipc_stream *stream, ipc_raw *out_raw);
  /* 23: stream.adopt. Makes a stream of a connected local socket handle, or of one end of a pipe, which it owns from
   * then on. */
  ipc_status (*stream_adopt)(const ipc_raw *raw, ipc_stream **out_stream);
  /* 24: stream.close. Ends operations under way as `cancelled` and closes. Bytes already accepted stay readable for
   * the other end. */
  ipc_status (*stream_close)(ipc_stream *stream);
  /* 25: listener.free. Releases the memory of a listener, closing it first if need be. No other call may use it any
   * more. */
  ipc_status (*listener_free)(ipc_listener *listener);
  /* 26: stream.free. Releases the memory of a stream, closing it first if need be. No other call may use it any
   * more. */
  ipc_status (*stream_free)(ipc_stream *stream);
  /* 27: framing.encode. Makes what stands around a body in its frame. A library that wants the body gets that many
   * bytes of 0. */
  ipc_status (*framing_encode)(const ipc_framing *framing, uint64_t body_len, void *out_header, size_t header_max, size_t *out_header_len, ipc_const_buffer *out_trailer);
  /* 28: framing.decode. Takes a stream apart, which is head, body and tail one after the other. The status is what a
   * fresh decoder says after the last byte: `ok`, or after `end` `end` at a boundary and `message_truncated` in a
   * frame; or `message_too_large` or `malformed`. Every piece is given to the decoder, also after an error. At most
   * 4,096 frames. */
  ipc_status (*framing_decode)(const ipc_framing *framing, ipc_decoder **out_decoder);
  /* 29: decoder.feed. Gives a decoder bytes of the stream, up to the end of a frame. */
  ipc_status (*decoder_feed)(ipc_decoder *decoder, const void *data, size_t data_len, size_t *out_len);
  /* 30: decoder.next. Takes the frame that is complete, or says how many bytes it lacks. */
  ipc_status (*decoder_next)(ipc_decoder *decoder, const void **out_body, size_t *out_len, uint64_t *out_need);
  /* 31: decoder.end. Says that the stream ended. */
  ipc_status (*decoder_end)(ipc_decoder *decoder);
  /* 32: decoder.free. Releases a decoder. */
  ipc_status (*decoder_free)(ipc_decoder *decoder);
  /* 33: pipe.create. Makes an unnamed pipe: two streams of one direction each. */
  ipc_status (*pipe_create)(const ipc_pipe_options *options, ipc_stream **out_reader, ipc_stream **out_writer);
  /* 34: fifo.create. Makes a FIFO file with exactly these permission bits. */
  ipc_status (*fifo_create)(const void *path, size_t path_len, uint32_t mode);
  /* 35: fifo.open. Opens one end of a FIFO file when the other end is open too; `wait: false` opens a reading end at
   * once. */
  ipc_status (*fifo_open)(const void *path, size_t path_len, uint32_t direction, uint32_t flags, int64_t timeout_ms, ipc_stream **out_stream);
  /* 36: fifo.remove. Removes a FIFO file; never anything else, and never through a link. */
  ipc_status (*fifo_remove)(const void *path, size_t path_len);
} ipc_table;

#if defined(_WIN32)
#define IPC_EXPORT __declspec(dllexport)
#else
#define IPC_EXPORT __attribute__((visibility("default")))
#endif

/* The one symbol that a library exports. Returns its table, or NULL if it does not speak |abi_major|. The table lives
 * as long as the library is loaded. */
IPC_EXPORT const ipc_table *ipc_get_table(uint32_t abi_major);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* IPC_TABLE_H */
