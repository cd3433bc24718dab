/* table.h - the versioned table of functions. Made by `cts spec generate` from spec/operations.toml: change that file, not this one. */
#ifndef IPC_TABLE_H
#define IPC_TABLE_H

#include "ipc/ancillary.h"
#include "ipc/base.h"
#include "ipc/fifo.h"
#include "ipc/framed.h"
#include "ipc/framing.h"
#include "ipc/local.h"
#include "ipc/loop.h"
#include "ipc/name.h"
#include "ipc/named_pipe.h"
#include "ipc/pipe.h"
#include "ipc/signal.h"
#include "ipc/socket.h"
#include "ipc/stream.h"
#include "ipc/unix.h"

#ifdef __cplusplus
extern "C" {
#endif

#define IPC_ABI_MAJOR 1u
#define IPC_ABI_MINOR 5u

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
  /* 34: fifo.create. Makes a FIFO file with exactly these permission bits. Unix only. */
  ipc_status (*fifo_create)(const void *path, size_t path_len, uint32_t mode);
  /* 35: fifo.open. Opens one end of a FIFO file when the other end is open too; `wait: false` opens a reading end at
   * once. Unix only. */
  ipc_status (*fifo_open)(const void *path, size_t path_len, uint32_t direction, uint32_t flags, int64_t timeout_ms, ipc_stream **out_stream);
  /* 36: fifo.remove. Removes a FIFO file; never anything else, and never through a link. Unix only. */
  ipc_status (*fifo_remove)(const void *path, size_t path_len);
  /* 37: stream.shutdown. Ends one direction or both, for every handle of the connection: the other end reads what
   * was written, then the end. Unix only. */
  ipc_status (*stream_shutdown)(ipc_stream *stream, uint32_t directions);
  /* 38: stream.write_ancillary. Writes bytes, and beside the first of them descriptors or credentials. Unix only. */
  ipc_status (*stream_write_ancillary)(ipc_stream *stream, const void *data, size_t data_len, const ipc_ancillary *ancillary, int64_t timeout_ms, size_t *out_len);
  /* 39: stream.read_ancillary. Reads bytes, at least one, and what travels beside them. Unix only. */
  ipc_status (*stream_read_ancillary)(ipc_stream *stream, void *out_data, size_t data_max, ipc_ancillary *ancillary, int64_t timeout_ms, size_t *out_len);
  /* 40: stream.set_pass_credentials. From now on credentials come beside the bytes, the sender asked or not; or no
   * more. Unix only. */
  ipc_status (*stream_set_pass_credentials)(ipc_stream *stream, bool pass);
  /* 41: unix.listen. Binds a Unix domain socket of a type and listens on it. Unix only. */
  ipc_status (*unix_listen)(const ipc_name *name, uint32_t type, const ipc_local_listen_options *options, ipc_listener **out_listener);
  /* 42: listener.accept_socket. Takes the next connection of a listener of type seqpacket. Unix only. */
  ipc_status (*listener_accept_socket)(ipc_listener *listener, int64_t timeout_ms, ipc_socket **out_socket);
  /* 43: socket.open. Makes a socket that moves whole messages, with no name and no peer. Unix only. */
  ipc_status (*socket_open)(uint32_t type, ipc_socket **out_socket);
  /* 44: socket.bind. Makes a datagram socket with a name, which receives what is sent there. Unix only. */
  ipc_status (*socket_bind)(const ipc_name *name, const ipc_local_listen_options *options, ipc_socket **out_socket);
  /* 45: socket.connect. Datagram: sets where sends go and whose messages come, again if need be. Seqpacket:
   * connects. Unix only. */
  ipc_status (*socket_connect)(ipc_socket *socket, const ipc_name *name, int64_t timeout_ms);
  /* 46: socket.native. The address that the socket is bound to; length 0 if it has none. Unix only. */
  ipc_status (*socket_native)(ipc_socket *socket, void *out_native, size_t native_max, size_t *out_len);
  /* 47: socket.send. Sends one message, whole or not at all. Unix only. */
  ipc_status (*socket_send)(ipc_socket *socket, const ipc_const_buffer *buffers, size_t num_buffers, const ipc_name *to, const ipc_ancillary *ancillary, int64_t timeout_ms);
  /* 48: socket.receive. Takes one message. One that does not fit is cut, and the rest of it lost:
   * `message_truncated`; or it stays, with `whole`. Unix only. */
  ipc_status (*socket_receive)(ipc_socket *socket, uint32_t flags, const ipc_buffer *buffers, size_t num_buffers, ipc_received *out_received, ipc_ancillary *ancillary, int64_t timeout_ms);
  /* 49: socket.next_length. How long the next message is, which stays. Unix only. */
  ipc_status (*socket_next_length)(ipc_socket *socket, int64_t timeout_ms, size_t *out_len);
  /* 50: socket.shutdown. Ends one direction or both. Unix only. */
  ipc_status (*socket_shutdown)(ipc_socket *socket, uint32_t directions);
  /* 51: socket.peer_credentials. Who is at the other end of a seqpacket connection. Unix only. */
  ipc_status (*socket_peer_credentials)(ipc_socket *socket, ipc_credentials *out_credentials);
  /* 52: socket.set_pass_credentials. From now on credentials come beside each message, the sender asked or not; or
   * no more. Unix only. */
  ipc_status (*socket_set_pass_credentials)(ipc_socket *socket, bool pass);
  /* 53: socket.set_nonblocking. From now on sends and receives answer `would_block` instead of waiting, or wait
   * again. Unix only. Feature gate: nonblocking. */
  ipc_status (*socket_set_nonblocking)(ipc_socket *socket, bool nonblocking);
  /* 54: socket.raw. The system's handle, borrowed: it stays the socket's. Unix only. */
  ipc_status (*socket_raw)(ipc_socket *socket, ipc_raw *out_raw);
  /* 55: socket.release. Gives the system's handle to the caller; the socket is closed without touching it or its
   * name. Unix only. */
  ipc_status (*socket_release)(ipc_socket *socket, ipc_raw *out_raw);
  /* 56: socket.adopt. Makes a socket of a datagram or seqpacket handle of the local family, which it owns from then
   * on; its name is never removed. Unix only. */
  ipc_status (*socket_adopt)(const ipc_raw *raw, ipc_socket **out_socket);
  /* 57: socket.close. Ends operations under way as `cancelled`, closes, and removes the file it made if it is still
   * that file. Unix only. */
  ipc_status (*socket_close)(ipc_socket *socket);
  /* 58: socket.free. Releases the memory of a socket, closing it first if need be. No other call may use it any
   * more. Unix only. */
  ipc_status (*socket_free)(ipc_socket *socket);
  /* 59: ancillary.encode. Makes a control buffer as sendmsg(2) takes it, of exactly the size needed: a pure
   * function. Unix only. */
  ipc_status (*ancillary_encode)(const ipc_ancillary *ancillary, void *out_control, size_t control_max, size_t *out_len);
  /* 60: ancillary.decode. Takes a control buffer apart as recvmsg(2) fills it: a pure function that opens and closes
   * nothing. Unix only. */
  ipc_status (*ancillary_decode)(const void *control, size_t control_len, ipc_ancillary *ancillary);
  /* 61: signal.number. The number of a signal on this system. Feature gate: signals. */
  ipc_status (*signal_number)(const void *name, size_t name_len, int32_t *out_signal);
  /* 62: signal.name. The name of a signal by its number. Feature gate: signals. */
  ipc_status (*signal_name)(int32_t signal, void *out_name, size_t name_max, size_t *out_len);
  /* 63: signal.describe. What may be done with a signal. Feature gate: signals. */
  ipc_status (*signal_describe)(int32_t signal, uint32_t *out_traits);
  /* 64: signal.set_handler. Says what a signal does to this process from now on. Feature gate: signals. */
  ipc_status (*signal_set_handler)(int32_t signal, uint32_t action, uint32_t flags, ipc_signal_hook hook, void *context);
  /* 65: signal.send. Sends a signal to a process, or asks whether it exists. Unix only. Feature gate: signals. */
  ipc_status (*signal_send)(int32_t signal, uint64_t pid);
  /* 66: signal.send_group. Sends a signal to every process of a group. Unix only. Feature gate: signals. */
  ipc_status (*signal_send_group)(int32_t signal, uint64_t group);
  /* 67: signal.queue. Sends a real-time signal with a value, queued behind those before it. Unix only. Feature gate:
   * signals. */
  ipc_status (*signal_queue)(int32_t signal, uint64_t pid, int32_t value);
  /* 68: signal.watch. Routes signals to a handle on which they can be waited for, instead of to a handler. Unix
   * only. Feature gate: signals. */
  ipc_status (*signal_watch)(const int32_t *signals, size_t num_signals, ipc_watcher **out_watcher);
  /* 69: watcher.next. Waits for the next of the signals watched. Unix only. Feature gate: signals. */
  ipc_status (*watcher_next)(ipc_watcher *watcher, int64_t timeout_ms, ipc_signal_event *out_event);
  /* 70: watcher.set_nonblocking. From now on watcher.next answers `would_block` instead of waiting, or waits again.
   * Unix only. Feature gates: signals, nonblocking. */
  ipc_status (*watcher_set_nonblocking)(ipc_watcher *watcher, bool nonblocking);
  /* 71: watcher.raw. A handle that is readable while a signal waits, borrowed: it stays the watcher's. Unix only.
   * Feature gate: signals. */
  ipc_status (*watcher_raw)(ipc_watcher *watcher, ipc_raw *out_raw);
  /* 72: watcher.close. Ends waits under way as `cancelled` and gives the signals back what they did before. Unix
   * only. Feature gate: signals. */
  ipc_status (*watcher_close)(ipc_watcher *watcher);
  /* 73: watcher.free. Releases the memory of a watcher, closing it first if need be. No other call may use it any
   * more. Unix only. Feature gate: signals. */
  ipc_status (*watcher_free)(ipc_watcher *watcher);
  /* 74: framed.open. Makes a framed stream of a stream, which it owns from then on. */
  ipc_status (*framed_open)(ipc_stream *stream, const ipc_framing *framing, ipc_framed **out_framed);
  /* 75: framed.write. Writes frames: header, body and trailer of each, as many as there are, in as few system calls
   * as can be. */
  ipc_status (*framed_write)(ipc_framed *framed, const ipc_const_buffer *bodies, size_t num_bodies, int64_t timeout_ms, size_t *out_num);
  /* 76: framed.read. Takes the next frame. One that does not fit stays: `message_truncated`. */
  ipc_status (*framed_read)(ipc_framed *framed, void *out_body, size_t body_max, int64_t timeout_ms, size_t *out_len);
  /* 77: framed.flush. Hands to the system what is left of a frame that a write has taken. */
  ipc_status (*framed_flush)(ipc_framed *framed, int64_t timeout_ms);
  /* 78: framed.set_nonblocking. From now on reads and writes answer `would_block` instead of waiting, or wait again.
   * Feature gate: nonblocking. */
  ipc_status (*framed_set_nonblocking)(ipc_framed *framed, bool nonblocking);
  /* 79: framed.raw. The system's handle, borrowed: it stays the framed stream's. */
  ipc_status (*framed_raw)(ipc_framed *framed, ipc_raw *out_raw);
  /* 80: framed.close. Ends operations under way as `cancelled` and closes the stream. What framed.flush would send
   * is lost. */
  ipc_status (*framed_close)(ipc_framed *framed);
  /* 81: framed.free. Releases the memory of a framed stream, closing it first if need be. No other call may use it
   * any more. */
  ipc_status (*framed_free)(ipc_framed *framed);
  /* 82: decoder.set_max. Sets the limit for the frames that follow. */
  ipc_status (*decoder_set_max)(ipc_decoder *decoder, uint64_t max);
  /* 83: loop.open. Makes a loop: a queue of operations under way and of their completions. Feature gate: async. */
  ipc_status (*loop_open)(const ipc_loop_options *options, ipc_loop **out_loop);
  /* 84: loop.submit. Begins an operation; its completion says how it ended. Feature gate: async. */
  ipc_status (*loop_submit)(ipc_loop *loop, const ipc_submission *submission);
  /* 85: loop.cancel. Ends an operation under way as `cancelled`, unless it has completed. Feature gate: async. */
  ipc_status (*loop_cancel)(ipc_loop *loop, uint64_t token);
  /* 86: loop.wait. Waits for completions and takes them. Feature gate: async. */
  ipc_status (*loop_wait)(ipc_loop *loop, int64_t timeout_ms, ipc_completion *out_completions, size_t completions_max, size_t *out_num);
  /* 87: loop.wake. Makes the wait under way, or the next, return. Feature gate: async. */
  ipc_status (*loop_wake)(ipc_loop *loop);
  /* 88: loop.close. Ends every operation under way as `cancelled`; their completions can still be taken. Feature
   * gate: async. */
  ipc_status (*loop_close)(ipc_loop *loop);
  /* 89: loop.free. Releases a loop, closing it first if need be. No other call may use it any more. Feature gate:
   * async. */
  ipc_status (*loop_free)(ipc_loop *loop);
  /* 90: signal.raise. Raises a signal in this process: what it does has been done before the answer. Feature gate:
   * signals. */
  ipc_status (*signal_raise)(int32_t signal);
  /* 91: named_pipe.listen. Makes a named pipe and waits for clients. Windows only. */
  ipc_status (*named_pipe_listen)(const ipc_name *name, const ipc_named_pipe_options *options, ipc_listener **out_listener);
  /* 92: listener.accept_named_pipe. Takes the next connection of a listener of named_pipe.listen. Windows only. */
  ipc_status (*listener_accept_named_pipe)(ipc_listener *listener, int64_t timeout_ms, ipc_named_pipe **out_pipe);
  /* 93: named_pipe.connect. Connects to a named pipe. Windows only. */
  ipc_status (*named_pipe_connect)(const ipc_name *name, const ipc_named_pipe_access *access, int64_t timeout_ms, ipc_named_pipe **out_pipe);
  /* 94: named_pipe.wait. Waits until an instance of a named pipe is free. Windows only. */
  ipc_status (*named_pipe_wait)(const ipc_name *name, int64_t timeout_ms);
  /* 95: named_pipe.read. Reads bytes, or one message: one that does not fit is read in parts, or stays with `whole`.
   * Windows only. */
  ipc_status (*named_pipe_read)(ipc_named_pipe *pipe, uint32_t flags, void *out_data, size_t data_max, int64_t timeout_ms, size_t *out_len, size_t *out_left);
  /* 96: named_pipe.write. Writes bytes, or one message, whole or not at all. Windows only. */
  ipc_status (*named_pipe_write)(ipc_named_pipe *pipe, const void *data, size_t data_len, int64_t timeout_ms, size_t *out_len);
  /* 97: named_pipe.transact. Writes a message and reads the one that answers it. Windows only. */
  ipc_status (*named_pipe_transact)(ipc_named_pipe *pipe, const void *data, size_t data_len, void *out_answer, size_t answer_max, int64_t timeout_ms, size_t *out_len, size_t *out_left);
  /* 98: named_pipe.peek. Copies what waits to be read, which stays. Windows only. */
  ipc_status (*named_pipe_peek)(ipc_named_pipe *pipe, void *out_data, size_t data_max, size_t *out_len, size_t *out_available, size_t *out_message_left);
  /* 99: named_pipe.flush. Waits until the other end has read everything. Windows only. */
  ipc_status (*named_pipe_flush)(ipc_named_pipe *pipe, int64_t timeout_ms);
  /* 100: named_pipe.disconnect. Ends the connection at the server's end; what the client has not read is lost,
   * unless `flush` waits for that. Windows only. */
  ipc_status (*named_pipe_disconnect)(ipc_named_pipe *pipe, uint32_t flags, int64_t timeout_ms);
  /* 101: named_pipe.peer. Which process is at the other end, and in which session. Windows only. */
  ipc_status (*named_pipe_peer)(ipc_named_pipe *pipe, ipc_named_pipe_process *out_process);
  /* 102: named_pipe.info. What this end of a named pipe is. Windows only. */
  ipc_status (*named_pipe_info)(ipc_named_pipe *pipe, ipc_named_pipe_information *out_information);
  /* 103: named_pipe.set_read_mode. Says whether this end reads bytes or messages from now on. Windows only. */
  ipc_status (*named_pipe_set_read_mode)(ipc_named_pipe *pipe, uint32_t read_mode);
  /* 104: named_pipe.duplicate. Makes another handle of this end in another process. Windows only. */
  ipc_status (*named_pipe_duplicate)(ipc_named_pipe *pipe, uint64_t pid, ipc_raw *out_raw);
  /* 105: named_pipe.set_nonblocking. From now on reads and writes answer `would_block` instead of waiting, or wait
   * again. Windows only. Feature gate: nonblocking. */
  ipc_status (*named_pipe_set_nonblocking)(ipc_named_pipe *pipe, bool nonblocking);
  /* 106: named_pipe.raw. The system's handle, borrowed: it stays the pipe's. Windows only. */
  ipc_status (*named_pipe_raw)(ipc_named_pipe *pipe, ipc_raw *out_raw);
  /* 107: named_pipe.release. Gives the system's handle to the caller; the pipe is closed without touching it.
   * Windows only. */
  ipc_status (*named_pipe_release)(ipc_named_pipe *pipe, ipc_raw *out_raw);
  /* 108: named_pipe.adopt. Makes a named pipe of a connected handle, which it owns from then on. Windows only. */
  ipc_status (*named_pipe_adopt)(const ipc_raw *raw, ipc_named_pipe **out_pipe);
  /* 109: named_pipe.close. Ends operations under way as `cancelled` and closes. What was written stays readable for
   * the other end. Windows only. */
  ipc_status (*named_pipe_close)(ipc_named_pipe *pipe);
  /* 110: named_pipe.free. Releases the memory of a named pipe, closing it first if need be. No other call may use it
   * any more. Windows only. */
  ipc_status (*named_pipe_free)(ipc_named_pipe *pipe);
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
