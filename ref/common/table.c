/* table.c - the table of functions: the one symbol a host asks for. */
#include "ipc/ipc.h"
#include "ref/common/platform.h"

/* No trait: closing a listener removes its file, a write waits for room, nothing is accepted ahead of the program. */
static const char *const ipc_traits[] = {NULL};

static const ipc_table ipc_ref_table = {
    .size = sizeof(ipc_table),
    .abi_major = IPC_ABI_MAJOR,
    .abi_minor = IPC_ABI_MINOR,
    .implementation = "ipc-ref",
    .version = "0.1.0",
    .features = ipc_platform_features,
    .traits = ipc_traits,
    .name_parse = ipc_name_parse,
    .name_format = ipc_name_format,
    .name_native = ipc_name_native,
    .name_limit = ipc_name_limit,
    .local_listen = ipc_local_listen,
    .local_connect = ipc_local_connect,
    .listener_accept = ipc_listener_accept,
    .listener_native = ipc_listener_native,
#ifndef IPC_WITHOUT_NONBLOCKING
    .listener_set_nonblocking = ipc_listener_set_nonblocking,
#endif
    .listener_raw = ipc_listener_raw,
    .listener_release = ipc_listener_release,
    .listener_adopt = ipc_listener_adopt,
    .listener_close = ipc_listener_close,
    .stream_read = ipc_stream_read,
    .stream_write = ipc_stream_write,
    .stream_read_vectored = ipc_stream_read_vectored,
    .stream_write_vectored = ipc_stream_write_vectored,
    .stream_flush = ipc_stream_flush,
    .stream_split = ipc_stream_split,
    .stream_peer_credentials = ipc_stream_peer_credentials,
#ifndef IPC_WITHOUT_NONBLOCKING
    .stream_set_nonblocking = ipc_stream_set_nonblocking,
#endif
    .stream_raw = ipc_stream_raw,
    .stream_release = ipc_stream_release,
    .stream_adopt = ipc_stream_adopt,
    .stream_close = ipc_stream_close,
    .listener_free = ipc_listener_free,
    .stream_free = ipc_stream_free,
    .framing_encode = ipc_framing_encode,
    .framing_decode = ipc_framing_decode,
    .decoder_feed = ipc_decoder_feed,
    .decoder_next = ipc_decoder_next,
    .decoder_end = ipc_decoder_end,
    .decoder_free = ipc_decoder_free,
    .pipe_create = ipc_pipe_create,
    .fifo_create = ipc_fifo_create,
    .fifo_open = ipc_fifo_open,
    .fifo_remove = ipc_fifo_remove,
    .stream_shutdown = ipc_stream_shutdown,
    .stream_write_ancillary = ipc_stream_write_ancillary,
    .stream_read_ancillary = ipc_stream_read_ancillary,
    .stream_set_pass_credentials = ipc_stream_set_pass_credentials,
    .unix_listen = ipc_unix_listen,
    .listener_accept_socket = ipc_listener_accept_socket,
    .socket_open = ipc_socket_open,
    .socket_bind = ipc_socket_bind,
    .socket_connect = ipc_socket_connect,
    .socket_native = ipc_socket_native,
    .socket_send = ipc_socket_send,
    .socket_receive = ipc_socket_receive,
    .socket_next_length = ipc_socket_next_length,
    .socket_shutdown = ipc_socket_shutdown,
    .socket_peer_credentials = ipc_socket_peer_credentials,
    .socket_set_pass_credentials = ipc_socket_set_pass_credentials,
#ifndef IPC_WITHOUT_NONBLOCKING
    .socket_set_nonblocking = ipc_socket_set_nonblocking,
#endif
    .socket_raw = ipc_socket_raw,
    .socket_release = ipc_socket_release,
    .socket_adopt = ipc_socket_adopt,
    .socket_close = ipc_socket_close,
    .socket_free = ipc_socket_free,
    .ancillary_encode = ipc_ancillary_encode,
    .ancillary_decode = ipc_ancillary_decode,
#ifndef IPC_WITHOUT_SIGNALS
    .signal_number = ipc_signal_number,
    .signal_name = ipc_signal_name,
    .signal_describe = ipc_signal_describe,
    .signal_set_handler = ipc_signal_set_handler,
    .signal_send = ipc_signal_send,
    .signal_send_group = ipc_signal_send_group,
    .signal_queue = ipc_signal_queue,
    .signal_watch = ipc_signal_watch,
    .watcher_next = ipc_watcher_next,
#ifndef IPC_WITHOUT_NONBLOCKING
    .watcher_set_nonblocking = ipc_watcher_set_nonblocking,
#endif
    .watcher_raw = ipc_watcher_raw,
    .watcher_close = ipc_watcher_close,
    .watcher_free = ipc_watcher_free,
#endif
    .framed_open = ipc_framed_open,
    .framed_write = ipc_framed_write,
    .framed_read = ipc_framed_read,
    .framed_flush = ipc_framed_flush,
#ifndef IPC_WITHOUT_NONBLOCKING
    .framed_set_nonblocking = ipc_framed_set_nonblocking,
#endif
    .framed_raw = ipc_framed_raw,
    .framed_close = ipc_framed_close,
    .framed_free = ipc_framed_free,
    .decoder_set_max = ipc_decoder_set_max,
#ifndef IPC_WITHOUT_ASYNC
    .loop_open = ipc_loop_open,
    .loop_submit = ipc_loop_submit,
    .loop_cancel = ipc_loop_cancel,
    .loop_wait = ipc_loop_wait,
    .loop_wake = ipc_loop_wake,
    .loop_close = ipc_loop_close,
    .loop_free = ipc_loop_free,
#endif
};

const ipc_table *ipc_get_table(uint32_t abi_major) { return abi_major == IPC_ABI_MAJOR ? &ipc_ref_table : NULL; }
