/* minimal_peer.c - the smallest useful peer: the client role over plain Unix domain sockets, or on Windows plain named
 * pipes, one request at a time.
 *
 * It shows all that a peer author writes: what the implementation is and offers, how a handle is closed, and a handler
 * for each operation. Build: cc -std=c11 minimal_peer.c cts_peer.c -lpthread, or cl /std:c11 minimal_peer.c cts_peer.c
 */
#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MSG_NOSIGNAL, SOCK_CLOEXEC */
#endif
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#endif

#include <stdint.h>
#include <string.h>

#include "cts_peer.h"

/* The implementation under test: how a connection is made, how some bytes are read (none: the end) and written, and how
 * it is closed. An object is what the kit keeps for a handle. */
#if defined(_WIN32)

static const char implementation[] = "named-pipes";
static const char *const features[] = {"name.namespaced", NULL};

static cts_outcome connect_to(cts_call *call, const char *kind, cts_bytes name, void **out_object) {
  static const char prefix[] = "\\\\.\\pipe\\";
  enum { PREFIX_LEN = sizeof(prefix) - 1, UNITS_MAX = 256 };
  bool is_native = strcmp(kind, "native") == 0;
  char *text = (char *)cts_scratch(call);
  WCHAR wide[UNITS_MAX + 1];
  if (strcmp(kind, "path") == 0) return cts_status("unsupported", "a name is no path here");
  if (name.len == 0 || memchr(name.data, 0, name.len) != NULL) {
    return cts_status("invalid_name", "empty, or a NUL inside");
  }
  if (name.len > 3 * UNITS_MAX) return cts_status("name_too_long", NULL);
  memcpy(text, prefix, PREFIX_LEN);
  memcpy(text + (is_native ? 0 : PREFIX_LEN), name.data, name.len + 1);
  int len = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, UNITS_MAX + 1);
  if (len == 0 && GetLastError() == ERROR_INSUFFICIENT_BUFFER) return cts_status("name_too_long", NULL);
  if (len == 0) return cts_status("invalid_name", "not UTF-8");
  HANDLE pipe = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
  if (pipe == INVALID_HANDLE_VALUE) return cts_win32_error(GetLastError(), "CreateFile");
  *out_object = pipe;
  return cts_ok();
}

static cts_outcome read_bytes(void *object, uint8_t *out, size_t max, size_t *out_len) {
  DWORD got = 0;
  bool read = ReadFile(object, out, (DWORD)max, &got, NULL) != 0;
  *out_len = got;
  return read || GetLastError() == ERROR_BROKEN_PIPE ? cts_ok() : cts_win32_error(GetLastError(), "ReadFile");
}

static cts_outcome write_bytes(void *object, const uint8_t *data, size_t len, size_t *out_len) {
  DWORD put = 0;
  bool written = WriteFile(object, data, (DWORD)len, &put, NULL) != 0;
  *out_len = put;
  return written ? cts_ok() : cts_win32_error(GetLastError(), "WriteFile");
}

static cts_outcome stream_close(void *object) {
  return CloseHandle(object) ? cts_ok() : cts_win32_error(GetLastError(), "CloseHandle");
}

#else

static const char implementation[] = "unix-sockets";
static const char *const features[] = {"name.path", NULL};

/* A handle's object is its descriptor. The offset keeps descriptor 0 apart from NULL. */
static void *object_of(int fd) { return (void *)(intptr_t)(fd + 1); }
static int descriptor_of(void *object) { return (int)(intptr_t)object - 1; }

static cts_outcome connect_to(cts_call *call, const char *kind, cts_bytes name, void **out_object) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)call;
  if (strcmp(kind, "namespaced") == 0) return cts_status("unsupported", "names are paths here");
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
  *out_object = object_of(fd);
  return cts_ok();
}

static cts_outcome read_bytes(void *object, uint8_t *out, size_t max, size_t *out_len) {
  ssize_t got = recv(descriptor_of(object), out, max, 0);
  *out_len = got > 0 ? (size_t)got : 0;
  return got >= 0 ? cts_ok() : cts_error(errno, "recv");
}

static cts_outcome write_bytes(void *object, const uint8_t *data, size_t len, size_t *out_len) {
  ssize_t put = send(descriptor_of(object), data, len, MSG_NOSIGNAL);
  *out_len = put > 0 ? (size_t)put : 0;
  return put >= 0 ? cts_ok() : cts_error(errno, "send");
}

static cts_outcome stream_close(void *object) {
  return close(descriptor_of(object)) == 0 ? cts_ok() : cts_error(errno, "close");
}

#endif

static cts_outcome local_connect(cts_call *call) {
  void *object = NULL;
  cts_outcome outcome = connect_to(call, cts_text_or(call, "kind", ""), cts_bytes_of(call, "name"), &object);
  if (object != NULL) cts_make(call, "as", object);
  return outcome;
}

/* read_some reads at most |max| bytes, once, into the digest. */
static cts_outcome read_some(cts_call *call, cts_digest *digest, size_t max) {
  size_t got = 0;
  cts_outcome outcome = read_bytes(cts_object(call), cts_scratch(call), max, &got);
  cts_digest_update(digest, cts_scratch(call), got);
  bool end = strcmp(outcome.status, "ok") == 0 && got == 0 && max > 0;
  return end ? cts_status("end", NULL) : outcome;
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
  size_t written = 0, put = 0;
  if (buffer == 0) return cts_status("invalid_argument", "buffer is at least 1");
  if (buffer > CTS_LINE_MAX) buffer = CTS_LINE_MAX;
  while (written < data.len && strcmp(outcome.status, "ok") == 0) {
    size_t len = data.len - written < buffer ? data.len - written : (size_t)buffer;
    cts_data_copy(&data, written, cts_scratch(call), len);
    outcome = write_bytes(cts_object(call), cts_scratch(call), len, &put);
    written += put;
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

int main(void) {
  const cts_peer peer = {
      .implementation = implementation, .version = "1", .features = features, .operations = operations, .kinds = kinds};
  return cts_run(&peer);
}
