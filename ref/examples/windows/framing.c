/* framing.c - messages in a stream of bytes: a header says how long each is. The functions move no bytes themselves, so
 * they go with any transport; here it is a pipe.
 *
 *   x86_64-w64-mingw32-gcc framing.c -lipc_ref -ladvapi32 -lntdll
 */
#include <stdio.h>
#include <string.h>

#include "ipc/ipc.h"

enum { TIMEOUT_MS = 10000 };

/* 4 bytes big-endian, then the body, of at most 1,000 bytes: a header that says more is refused before anything is
 * allocated for it. */
static const ipc_framing FRAMING = {.size = sizeof FRAMING, .codec = IPC_FRAMING_U32, .max = 1000};

static int fail(const char *call, ipc_status status) {
  fprintf(stderr, "%s: status %d, error %u\n", call, (int)status.code, (unsigned)status.native);
  return 1;
}

/* Sends one message: header and body in one write. */
static int send_message(ipc_stream *stream, const char *text) {
  unsigned char header[IPC_FRAMING_ENCODED_MAX];
  size_t header_len;
  ipc_const_buffer trailer; /* netstrings alone have one */
  ipc_status status = ipc_framing_encode(&FRAMING, strlen(text), header, sizeof header, &header_len, &trailer);
  if (status.code != IPC_OK) return fail("ipc_framing_encode", status);
  const ipc_const_buffer parts[] = {{header, header_len}, {text, strlen(text)}, trailer};
  size_t len;
  status = ipc_stream_write_vectored(stream, parts, 3, TIMEOUT_MS, &len);
  return status.code == IPC_OK ? 0 : fail("ipc_stream_write_vectored", status);
}

/* Takes every message that is complete. Returns how many. */
static int take_messages(ipc_decoder *decoder) {
  int num = 0;
  const void *body;
  size_t len;
  uint64_t need;
  while (ipc_decoder_next(decoder, &body, &len, &need).code == IPC_OK) {
    printf("message of %u bytes: %.*s\n", (unsigned)len, (int)len, (const char *)body);
    num++;
  }
  return num;
}

/* Reads to the end, whatever pieces the bytes come in. Returns the number of messages, or -1. */
static int receive(ipc_stream *stream, ipc_decoder *decoder) {
  int num = 0;
  for (;;) {
    unsigned char bytes[5]; /* on purpose: messages are not cut where reads are */
    size_t len;
    size_t taken;
    ipc_status status = ipc_stream_read(stream, bytes, sizeof bytes, TIMEOUT_MS, &len);
    if (status.code == IPC_END) return ipc_decoder_end(decoder).code == IPC_OK ? num : -1; /* in the midst of one? */
    for (size_t at = 0; status.code == IPC_OK && at < len; at += taken) {
      status = ipc_decoder_feed(decoder, bytes + at, len - at, &taken);
      num += take_messages(decoder);
    }
    if (status.code != IPC_OK) return fail("ipc_stream_read", status), -1;
  }
}

int main(void) {
  ipc_stream *reader;
  ipc_stream *writer;
  ipc_decoder *decoder;
  ipc_status status = ipc_pipe_create(NULL, &reader, &writer);
  if (status.code != IPC_OK) return fail("ipc_pipe_create", status);
  int failed = send_message(writer, "first") || send_message(writer, "") || send_message(writer, "third");
  ipc_stream_free(writer); /* what it wrote stays readable */
  int num = -1;
  status = ipc_framing_decode(&FRAMING, &decoder);
  if (status.code == IPC_OK) {
    num = receive(reader, decoder);
    ipc_decoder_free(decoder);
  }
  ipc_stream_free(reader);
  return failed || num != 3;
}
