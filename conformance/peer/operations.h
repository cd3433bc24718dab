/* operations.h - the handlers of the generic peer, one an operation of the ABI's table. */
#ifndef CTS_PEER_OPERATIONS_H
#define CTS_PEER_OPERATIONS_H

#include "conformance/kits/c/cts_peer.h"

cts_outcome do_name_parse(cts_call *call);
cts_outcome do_name_format(cts_call *call);
cts_outcome do_name_native(cts_call *call);
cts_outcome do_name_limit(cts_call *call);
cts_outcome do_local_listen(cts_call *call);
cts_outcome do_local_connect(cts_call *call);
cts_outcome do_listener_accept(cts_call *call);
cts_outcome do_listener_native(cts_call *call);
cts_outcome do_listener_set_nonblocking(cts_call *call);
cts_outcome do_listener_raw(cts_call *call);
cts_outcome do_listener_release(cts_call *call);
cts_outcome do_listener_adopt(cts_call *call);
cts_outcome do_listener_close(cts_call *call);
cts_outcome do_stream_read(cts_call *call);
cts_outcome do_stream_write(cts_call *call);
cts_outcome do_stream_read_vectored(cts_call *call);
cts_outcome do_stream_write_vectored(cts_call *call);
cts_outcome do_stream_flush(cts_call *call);
cts_outcome do_stream_split(cts_call *call);
cts_outcome do_stream_peer_credentials(cts_call *call);
cts_outcome do_stream_set_nonblocking(cts_call *call);
cts_outcome do_stream_raw(cts_call *call);
cts_outcome do_stream_release(cts_call *call);
cts_outcome do_stream_adopt(cts_call *call);
cts_outcome do_stream_close(cts_call *call);
cts_outcome do_framing_encode(cts_call *call);
cts_outcome do_framing_decode(cts_call *call);
cts_outcome do_pipe_create(cts_call *call);
cts_outcome do_fifo_create(cts_call *call);
cts_outcome do_fifo_open(cts_call *call);
cts_outcome do_fifo_remove(cts_call *call);
cts_outcome do_stream_shutdown(cts_call *call);
cts_outcome do_stream_write_ancillary(cts_call *call);
cts_outcome do_stream_read_ancillary(cts_call *call);
cts_outcome do_stream_set_pass_credentials(cts_call *call);
cts_outcome do_unix_listen(cts_call *call);
cts_outcome do_listener_accept_socket(cts_call *call);
cts_outcome do_socket_open(cts_call *call);
cts_outcome do_socket_bind(cts_call *call);
cts_outcome do_socket_connect(cts_call *call);
cts_outcome do_socket_native(cts_call *call);
cts_outcome do_socket_send(cts_call *call);
cts_outcome do_socket_receive(cts_call *call);
cts_outcome do_socket_next_length(cts_call *call);
cts_outcome do_socket_shutdown(cts_call *call);
cts_outcome do_socket_peer_credentials(cts_call *call);
cts_outcome do_socket_set_pass_credentials(cts_call *call);
cts_outcome do_socket_set_nonblocking(cts_call *call);
cts_outcome do_socket_raw(cts_call *call);
cts_outcome do_socket_release(cts_call *call);
cts_outcome do_socket_adopt(cts_call *call);
cts_outcome do_socket_close(cts_call *call);
cts_outcome do_ancillary_encode(cts_call *call);
cts_outcome do_ancillary_decode(cts_call *call);
cts_outcome do_signal_number(cts_call *call);
cts_outcome do_signal_name(cts_call *call);
cts_outcome do_signal_describe(cts_call *call);
cts_outcome do_signal_set_handler(cts_call *call);
cts_outcome do_signal_send(cts_call *call);
cts_outcome do_signal_send_group(cts_call *call);
cts_outcome do_signal_queue(cts_call *call);
cts_outcome do_signal_watch(cts_call *call);
cts_outcome do_watcher_next(cts_call *call);
cts_outcome do_watcher_set_nonblocking(cts_call *call);
cts_outcome do_watcher_raw(cts_call *call);
cts_outcome do_watcher_close(cts_call *call);
cts_outcome do_signal_hooked(cts_call *call);
cts_outcome do_framed_open(cts_call *call);
cts_outcome do_framed_write(cts_call *call);
cts_outcome do_framed_read(cts_call *call);
cts_outcome do_framed_flush(cts_call *call);
cts_outcome do_framed_set_nonblocking(cts_call *call);
cts_outcome do_framed_raw(cts_call *call);
cts_outcome do_framed_close(cts_call *call);
cts_outcome do_signal_raise(cts_call *call);
cts_outcome do_listener_accept_named_pipe(cts_call *call);
cts_outcome do_named_pipe_listen(cts_call *call);
cts_outcome do_named_pipe_connect(cts_call *call);
cts_outcome do_named_pipe_wait(cts_call *call);
cts_outcome do_named_pipe_read(cts_call *call);
cts_outcome do_named_pipe_write(cts_call *call);
cts_outcome do_named_pipe_transact(cts_call *call);
cts_outcome do_named_pipe_peek(cts_call *call);
cts_outcome do_named_pipe_flush(cts_call *call);
cts_outcome do_named_pipe_disconnect(cts_call *call);
cts_outcome do_named_pipe_peer(cts_call *call);
cts_outcome do_named_pipe_info(cts_call *call);
cts_outcome do_named_pipe_set_read_mode(cts_call *call);
cts_outcome do_named_pipe_duplicate(cts_call *call);
cts_outcome do_named_pipe_set_nonblocking(cts_call *call);
cts_outcome do_named_pipe_raw(cts_call *call);
cts_outcome do_named_pipe_release(cts_call *call);
cts_outcome do_named_pipe_adopt(cts_call *call);
cts_outcome do_named_pipe_close(cts_call *call);

/* hooked_begin_reset ends calls of signal.hooked that wait, and those that begin until hooked_end_reset. */
void hooked_begin_reset(void);
void hooked_end_reset(void);

/* The kit's view of handles: objects are endpoints. */
extern const cts_kind operations_kinds[];

#endif /* CTS_PEER_OPERATIONS_H */
