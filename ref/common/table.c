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
