/* kit_internals.c - cts_peer.c, with doors for the unit tests. Replies go to a pipe instead of the channel. */
#if !defined(_WIN32) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* as cts_peer.c does, before any header of the system */
#endif

#include "conformance/kits/c/tests/kit_internals.h"

#include <inttypes.h>
#include <stdarg.h>

#include "../cts_peer.c"

static node test_nodes[JSON_NODES_MAX];
static cts_call test_call;
static executor test_executor;

void kit_use(const cts_peer *declared) {
  check_peer(declared);
  peer = declared;
}

/* load_line copies |line| to where a request is parsed. */
static size_t load_line(const char *line, size_t len) {
  if (len > CTS_LINE_MAX) len = CTS_LINE_MAX;
  memcpy(test_call.line, line, len);
  return len;
}

const char *kit_parse(const char *line, size_t len) {
  json j;
  len = load_line(line, len);
  return json_parse(&j, test_call.line, len, test_nodes) ? NULL : j.why;
}

static size_t dump_text(char *out, size_t max, size_t put, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int len = put < max ? vsnprintf(out + put, max - put, format, arguments) : 0;
  va_end(arguments);
  return put + (size_t)len;
}

static size_t dump_node(char *out, size_t max, size_t put, uint32_t *index) {
  static const char words[] = "nft";
  const node *n = &test_nodes[(*index)++];
  switch (n->type) {
    case JSON_INTEGER:
      return dump_text(out, max, put, "%" PRId64 ";", n->number);
    case JSON_STRING:
      put = dump_text(out, max, put, "%" PRIu32 ":", n->len);
      if (put + n->len <= max) memcpy(out + put, test_call.line + n->start, n->len);
      return put + n->len;
    case JSON_ARRAY:
    case JSON_OBJECT: {
      bool object = n->type == JSON_OBJECT;
      put = dump_text(out, max, put, object ? "{" : "[");
      for (uint32_t left = n->len * (object ? 2 : 1); left > 0; left--) put = dump_node(out, max, put, index);
      return dump_text(out, max, put, object ? "}" : "]");
    }
    default:
      return dump_text(out, max, put, "%c", words[n->type - JSON_NULL]);
  }
}

size_t kit_dump(char *out, size_t max) {
  uint32_t index = 0;
  return dump_node(out, max, 0, &index);
}

const char *kit_check(const char *line, size_t len, const char **out_why, cts_call **out_call) {
  json j;
  len = load_line(line, len);
  test_call.executor = &test_executor;
  test_call.results_len = 0;
  test_call.overflow = false;
  bool request = json_parse(&j, test_call.line, len, test_nodes) && call_begin_request(&j, &test_call);
  *out_call = &test_call;
  *out_why = request ? test_call.why : j.why;
  if (!request) return NULL;
  return test_call.refusal.status != NULL ? test_call.refusal.status : "";
}

ptrdiff_t kit_base64_decode(uint8_t *text, size_t len) { return base64_decode(text, len); }

/* A pipe that holds two of the longest lines. */
#ifdef _WIN32

typedef HANDLE pipe_end;

static bool pipe_open(pipe_end ends[2]) { return CreatePipe(&ends[0], &ends[1], NULL, 2 * CTS_LINE_MAX) != 0; }
static void pipe_close(pipe_end end) { CloseHandle(end); }
static void write_replies_to(pipe_end end) { channel.out = end; }

static size_t pipe_read(pipe_end end, char *out, size_t max) {
  DWORD got = 0;
  return ReadFile(end, out, (DWORD)max, &got, NULL) ? got : 0;
}

#else

typedef int pipe_end;

static bool pipe_open(pipe_end ends[2]) {
  return pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 2 * CTS_LINE_MAX) >= 0;
}
static void pipe_close(pipe_end end) { close(end); }
static void write_replies_to(pipe_end end) { channel_out = end; }

static size_t pipe_read(pipe_end end, char *out, size_t max) {
  ssize_t got = read(end, out, max);
  return got > 0 ? (size_t)got : 0;
}

#endif

size_t kit_reply(cts_outcome outcome, char *out, size_t max) {
  pipe_end ends[2];
  size_t filled = 0, got;
  if (!pipe_open(ends)) return 0;
  write_replies_to(ends[1]);
  reply(&test_call, outcome);
  pipe_close(ends[1]);
  while ((got = pipe_read(ends[0], out + filled, max - filled)) > 0) filled += got;
  pipe_close(ends[0]);
  return filled;
}

bool kit_handle_name_valid(const char *name) { return handle_name_valid(name, strlen(name)); }
