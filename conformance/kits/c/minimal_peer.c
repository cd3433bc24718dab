/* minimal_peer.c - the smallest useful peer: the client role over plain Unix domain sockets, one request at a time.
 *
 * It shows all that a peer author writes: what the implementation is and offers, how a handle is closed, and a handler
 * for each operation. Build: cc -std=c11 minimal_peer.c cts_peer.c -lpthread */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MSG_NOSIGNAL, SOCK_CLOEXEC */
#endif

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cts_peer.h"

/* A handle's object is its descriptor. The offset keeps descriptor 0 apart from NULL. */
static void *object_of(int fd) { return (void *)(intptr_t)(fd + 1); }
static int descriptor_of(void *object) { return (int)(intptr_t)object - 1; }

static cts_outcome stream_close(void *object) {
  return close(descriptor_of(object)) == 0 ? cts_ok() : cts_error(errno, "close");
}

static cts_outcome local_connect(cts_call *call) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  cts_bytes name = cts_bytes_of(call, "name");
  if (strcmp(cts_text_or(call, "kind", ""), "namespaced") == 0) {
    return cts_status("unsupported", "names are paths here");
  }
  bool is_abstract = name.len > 0 && name.data[0] == 0; /* only a native address can begin with NUL */
  if (name.len == 0 || (!is_abstract && memchr(name.data, 0, name.len) != NULL)) {
    return cts_status("invalid_name", "empty, or a NUL inside");
  }
  if (name.len > sizeof(address.sun_path) - (is_abstract ? 0 : 1)) return cts_status("name_too_long", NULL);
  memcpy(address.sun_path, name.data, name.len);
  socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name.len + (is_abstract ? 0 : 1));

  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return cts_error(errno, "socket");
  if (connect(fd, (struct sockaddr *)&address, len) != 0) {
    cts_outcome failed = cts_error(errno, "connect");
    close(fd);
    return failed;
  }
  cts_make(call, "as", object_of(fd));
  return cts_ok();
}

/* read_some reads at most |max| bytes, once, into the digest. */
static cts_outcome read_some(cts_call *call, cts_digest *digest, size_t max) {
  ssize_t got = recv(descriptor_of(cts_object(call)), cts_scratch(call), max, 0);
  if (got < 0) return cts_error(errno, "recv");
  cts_digest_update(digest, cts_scratch(call), (size_t)got);
  return got == 0 && max > 0 ? cts_status("end", NULL) : cts_ok();
}

static cts_outcome stream_read(cts_call *call) {
  const char *until = cts_text_or(call, "until", "");
  bool some = strcmp(until, "some") == 0;
  uint64_t max = cts_u64_or(call, "max", some ? CTS_LINE_MAX : UINT64_MAX);
  uint64_t buffer = cts_u64_or(call, "buffer", CTS_LINE_MAX);
  uint64_t chunk = cts_u64_or(call, "chunk", 0);
  if (buffer == 0 || (cts_has(call, "chunk") && chunk == 0)) {
    return cts_status("invalid_argument", "buffer and chunk are at least 1");
  }
  if (strcmp(until, "exact") == 0 && !cts_has(call, "max")) return cts_status("invalid_argument", "exact needs max");
  if (buffer > CTS_LINE_MAX) buffer = CTS_LINE_MAX;

  cts_digest digest;
  cts_outcome outcome;
  cts_digest_init(&digest, (uint32_t)chunk);
  do {
    uint64_t left = max - digest.length;
    outcome = read_some(call, &digest, (size_t)(left < buffer ? left : buffer));
  } while (!some && digest.length < max && strcmp(outcome.status, "ok") == 0);
  cts_add_digest(call, &digest);
  return outcome;
}

static cts_outcome stream_write(cts_call *call) {
  cts_data data = cts_data_of(call, "data");
  uint64_t buffer = cts_u64_or(call, "buffer", CTS_LINE_MAX);
  cts_outcome outcome = cts_ok();
  size_t written = 0;
  if (buffer == 0) return cts_status("invalid_argument", "buffer is at least 1");
  if (buffer > CTS_LINE_MAX) buffer = CTS_LINE_MAX;
  while (written < data.len && strcmp(outcome.status, "ok") == 0) {
    size_t len = data.len - written < buffer ? data.len - written : (size_t)buffer;
    cts_data_copy(&data, written, cts_scratch(call), len);
    ssize_t put = send(descriptor_of(cts_object(call)), cts_scratch(call), len, MSG_NOSIGNAL);
    if (put < 0) {
      outcome = cts_error(errno, "send");
    } else {
      written += (size_t)put;
    }
  }
  cts_add_u64(call, "length", written);
  return outcome;
}

static const cts_operation operations[] = {
    {"local.connect", local_connect},
    {"stream.read", stream_read},
    {"stream.write", stream_write},
    {"stream.close", cts_close},
    {NULL, NULL},
};
static const cts_kind kinds[] = {{"stream", stream_close, NULL}, {NULL, NULL, NULL}};
static const char *const features[] = {"name.path", NULL};

int main(void) {
  const cts_peer peer = {
      .implementation = "unix-sockets", .version = "1", .features = features, .operations = operations, .kinds = kinds};
  return cts_run(&peer);
}
