/* minimal_library.c - the smallest useful library under test: streams over blocking Unix domain sockets, for Linux.
 *
 * It shows all that spec/abi.md asks of a C library: functions, a table that names them, and the one symbol that hands
 * the table out. A slot left out is NULL and a feature left out is not offered: what needs it is not applicable.
 *
 *     cc -std=c11 -shared -fPIC -I spec/include -o libminimal.so docs/examples/minimal_library/minimal_library.c
 *     ./cts run --library ./libminimal.so --abi */
#define _GNU_SOURCE /* accept4, MSG_NOSIGNAL, SOCK_CLOEXEC */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/ipc.h"

enum { OPTIONS_MAX = 4096 }; /* bytes of options of any version to come */

/* The types that the headers leave to the library. A descriptor is -1 once its handle is closed, and as long as it has
 * none yet. */
struct ipc_stream {
  int fd;
};
struct ipc_listener {
  int fd;
  struct sockaddr_un address;
  struct stat file; /* what bind made: close removes this file and no other */
  pid_t owner;      /* a child of fork(2) has a copy of the handle, and the file is not its */
};

static ipc_status status(int32_t code) { return (ipc_status){.code = code, .native = 0}; }

/* status_of gives an errno its class. What has none is IPC_FAILED, which satisfies "must fail" and no more. */
static ipc_status status_of(int error) {
  int32_t code = IPC_FAILED;
  if (error == ENOENT || error == ENOTDIR) code = IPC_NOT_FOUND;
  if (error == ECONNREFUSED || error == EPROTOTYPE) code = IPC_REFUSED;
  if (error == EADDRINUSE) code = IPC_IN_USE;
  if (error == EACCES || error == EPERM || error == EROFS) code = IPC_PERMISSION_DENIED;
  if (error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS) code = IPC_OUT_OF_RESOURCES;
  if (error == EPIPE) code = IPC_BROKEN_PIPE;
  if (error == ECONNRESET) code = IPC_RESET;
  if (error == EINTR) code = IPC_INTERRUPTED; /* this library does not try again by itself */
  return (ipc_status){.code = code, .native = (uint32_t)error};
}

/* check is what the calls on a handle begin with. The table lists no timeout, so a host passes IPC_NO_TIMEOUT. */
static ipc_status check(int fd, int64_t timeout_ms) {
  if (timeout_ms < IPC_NO_TIMEOUT) return status(IPC_INVALID_ARGUMENT);
  if (fd < 0) return status(IPC_CLOSED);
  return status(timeout_ms == IPC_NO_TIMEOUT ? IPC_OK : IPC_UNSUPPORTED);
}

/* address_of makes an address of a path, or of a native address, which is a path here. Nothing is cut to fit. */
static ipc_status address_of(const ipc_name *name, struct sockaddr_un *address) {
  if (name == NULL || (name->data == NULL && name->len > 0)) return status(IPC_INVALID_ARGUMENT);
  if (name->kind < IPC_NAME_PATH || name->kind > IPC_NAME_NATIVE) return status(IPC_INVALID_ARGUMENT);
  if (name->kind == IPC_NAME_NAMESPACED) return status(IPC_UNSUPPORTED);
  if (name->len == 0 || memchr(name->data, '\0', name->len) != NULL) return status(IPC_INVALID_NAME);
  if (name->len >= sizeof(address->sun_path)) return status(IPC_NAME_TOO_LONG); /* a NUL has to fit behind it */
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path, name->data, name->len);
  return status(IPC_OK);
}

/* new_stream comes before the system is asked: a connection that was taken and has no memory would be lost. */
static ipc_stream *new_stream(void) {
  ipc_stream *stream = malloc(sizeof(*stream));
  if (stream != NULL) stream->fd = -1;
  return stream;
}

/* finish_stream gives the stream to the caller if |result| is IPC_OK, and else takes back what was made. */
static ipc_status finish_stream(ipc_status result, ipc_stream *stream, ipc_stream **out_stream) {
  if (result.code == IPC_OK) {
    *out_stream = stream;
    return result;
  }
  if (stream->fd >= 0) close(stream->fd);
  free(stream);
  return result;
}

static ipc_status local_connect(const ipc_name *name, int64_t timeout_ms, ipc_stream **out_stream) {
  struct sockaddr_un address;
  if (out_stream == NULL) return status(IPC_INVALID_ARGUMENT);
  *out_stream = NULL; /* on every status but IPC_OK */
  ipc_status result = check(0, timeout_ms);
  if (result.code == IPC_OK) result = address_of(name, &address);
  if (result.code != IPC_OK) return result;
  ipc_stream *stream = new_stream();
  if (stream == NULL) return status(IPC_OUT_OF_RESOURCES);
  stream->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (stream->fd < 0 || connect(stream->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
    result = status_of(errno);
  return finish_stream(result, stream, out_stream);
}

static ipc_status listener_close(ipc_listener *listener) {
  if (listener == NULL) return status(IPC_INVALID_ARGUMENT);
  if (listener->fd < 0) return status(IPC_CLOSED);
  const char *path = listener->address.sun_path;
  struct stat now; /* compared while the socket is open: until then no other file gets its inode */
  if (listener->owner == getpid() && lstat(path, &now) == 0 && now.st_dev == listener->file.st_dev &&
      now.st_ino == listener->file.st_ino)
    unlink(path);
  close(listener->fd);
  listener->fd = -1;
  return status(IPC_OK);
}

static ipc_status listener_free(ipc_listener *listener) {
  listener_close(listener);
  free(listener);
  return status(IPC_OK);
}

/* check_options refuses what this library does not know: a field behind those it has, or a flag, that is not 0. */
static ipc_status check_options(const ipc_local_listen_options *options) {
  if (options == NULL) return status(IPC_OK);
  if (options->size < sizeof(*options) || options->size > OPTIONS_MAX) return status(IPC_INVALID_ARGUMENT);
  for (size_t i = sizeof(*options); i < options->size; i++) {
    if (((const unsigned char *)options)[i] != 0) return status(IPC_INVALID_ARGUMENT);
  }
  const uint32_t known = IPC_LISTEN_RECLAIM | IPC_LISTEN_MODE | IPC_LISTEN_KEEP_NAME | IPC_LISTEN_SAME_USER;
  if (options->flags & ~known) return status(IPC_INVALID_ARGUMENT);
  return status(options->flags == 0 ? IPC_OK : IPC_UNSUPPORTED); /* none of them is offered */
}

static ipc_status local_listen(const ipc_name *name, const ipc_local_listen_options *options, ipc_listener **out) {
  if (out == NULL) return status(IPC_INVALID_ARGUMENT);
  *out = NULL;
  ipc_status result = check_options(options);
  if (result.code != IPC_OK) return result;
  ipc_listener *listener = calloc(1, sizeof(*listener));
  if (listener == NULL) return status(IPC_OUT_OF_RESOURCES);
  listener->owner = getpid();
  listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  result = listener->fd < 0 ? status_of(errno) : address_of(name, &listener->address);
  if (result.code == IPC_OK &&
      (bind(listener->fd, (struct sockaddr *)&listener->address, sizeof(listener->address)) != 0 ||
       lstat(listener->address.sun_path, &listener->file) != 0 || listen(listener->fd, SOMAXCONN) != 0)) {
    result = status_of(errno);
  }
  if (result.code != IPC_OK) listener_free(listener); /* and with it what was made so far */
  if (result.code == IPC_OK) *out = listener;
  return result;
}

/* What the host gives the other process to connect to: needed as soon as local_listen is offered. */
static ipc_status listener_native(ipc_listener *listener, void *out_native, size_t native_max, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (listener == NULL || out_native == NULL || out_len == NULL) return status(IPC_INVALID_ARGUMENT);
  *out_len = listener->fd < 0 ? 0 : strlen(listener->address.sun_path);
  if (listener->fd < 0) return status(IPC_CLOSED);
  if (*out_len > native_max) return status(IPC_MESSAGE_TRUNCATED);
  memcpy(out_native, listener->address.sun_path, *out_len);
  return status(IPC_OK);
}

static ipc_status listener_accept(ipc_listener *listener, int64_t timeout_ms, ipc_stream **out_stream) {
  if (out_stream != NULL) *out_stream = NULL;
  if (listener == NULL || out_stream == NULL) return status(IPC_INVALID_ARGUMENT);
  ipc_status result = check(listener->fd, timeout_ms);
  if (result.code != IPC_OK) return result;
  ipc_stream *stream = new_stream();
  if (stream == NULL) return status(IPC_OUT_OF_RESOURCES);
  do stream->fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
  while (stream->fd < 0 && errno == EINTR); /* a signal handler ran, which is no answer (ipc/base.h) */
  return finish_stream(stream->fd < 0 ? status_of(errno) : result, stream, out_stream);
}

static ipc_status stream_read(ipc_stream *stream, void *out_data, size_t max, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0;
  if (stream == NULL || out_len == NULL || (out_data == NULL && max > 0)) return status(IPC_INVALID_ARGUMENT);
  ipc_status result = check(stream->fd, timeout_ms);
  if (result.code != IPC_OK || max == 0) return result; /* to read nothing is IPC_OK, not the end */
  ssize_t got;
  do got = recv(stream->fd, out_data, max, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0) return status_of(errno);
  *out_len = (size_t)got;
  return status(got == 0 ? IPC_END : IPC_OK);
}

static ipc_status stream_write(ipc_stream *stream, const void *data, size_t len, int64_t timeout_ms, size_t *out_len) {
  if (out_len != NULL) *out_len = 0; /* counts what was taken, whatever the status */
  if (stream == NULL || out_len == NULL || (data == NULL && len > 0)) return status(IPC_INVALID_ARGUMENT);
  ipc_status result = check(stream->fd, timeout_ms);
  while (result.code == IPC_OK && *out_len < len) { /* send may take a part */
    ssize_t put = send(stream->fd, (const char *)data + *out_len, len - *out_len, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return status_of(errno);
    *out_len += (size_t)put;
  }
  return result;
}

static ipc_status stream_close(ipc_stream *stream) {
  if (stream == NULL) return status(IPC_INVALID_ARGUMENT);
  if (stream->fd < 0) return status(IPC_CLOSED);
  close(stream->fd);
  stream->fd = -1;
  return status(IPC_OK);
}

static ipc_status stream_free(ipc_stream *stream) {
  stream_close(stream);
  free(stream);
  return status(IPC_OK);
}

static const ipc_table table = {
    .size = sizeof(table),
    .abi_major = IPC_ABI_MAJOR,
    .abi_minor = IPC_ABI_MINOR,
    .implementation = "minimal-library",
    .version = "1",
    .features = (const char *const[]){"name.path", NULL},
    .traits = (const char *const[]){NULL},
    .local_listen = local_listen,
    .local_connect = local_connect,
    .listener_accept = listener_accept,
    .listener_native = listener_native,
    .listener_close = listener_close,
    .stream_read = stream_read,
    .stream_write = stream_write,
    .stream_close = stream_close,
    .listener_free = listener_free,
    .stream_free = stream_free,
};

const ipc_table *ipc_get_table(uint32_t abi_major) { return abi_major == IPC_ABI_MAJOR ? &table : NULL; }
