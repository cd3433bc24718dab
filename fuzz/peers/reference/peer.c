/* peer - the reference as a peer of the differential targets: batches in, batches out (fuzz/README.md). Ends with
 * status 0 where its input ends between two batches, and 2 where it ends or is broken within one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/peers/reference/answer.h"

#ifdef _WIN32
#include <fcntl.h>
#include <io.h>
#endif

enum { BATCH_MAX = 1 << 26 };

static size_t read_u32(const uint8_t *at) {
  return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | (size_t)at[3];
}

static int broken(const char *why) {
  fprintf(stderr, "peer: %s\n", why);
  return 2;
}

int main(void) {
#ifdef _WIN32
  (void)_setmode(_fileno(stdin), _O_BINARY);
  (void)_setmode(_fileno(stdout), _O_BINARY);
#endif
  uint8_t head[4];
  bytes batch = {0}, answers = {0}, one = {0};
  for (;;) {
    const size_t got = fread(head, 1, sizeof head, stdin);
    if (got == 0) break;
    if (got != sizeof head) return broken("its input ends within a length");
    const size_t len = read_u32(head);
    if (len < 4 || len > BATCH_MAX) return broken("a batch that is too short or too long");
    if (batch.max < len) {
      uint8_t *grown = realloc(batch.data, len);
      if (grown == NULL) return broken("no memory");
      batch.data = grown;
      batch.max = len;
    }
    if (fread(batch.data, 1, len, stdin) != len) return broken("its input ends within a batch");
    const size_t num_requests = read_u32(batch.data);
    answers.len = 0;
    bytes_append_u32(&answers, 0); /* the length and the number, once they are known */
    bytes_append_u32(&answers, 0);
    size_t num_answers = 0;
    if (num_requests == 0) {
      for (; answer_offers[num_answers] != NULL; num_answers++) {
        const char *offer = answer_offers[num_answers];
        bytes_append_u32(&answers, strlen(offer));
        bytes_append(&answers, offer, strlen(offer));
      }
    }
    for (size_t at = 4; num_answers < num_requests; num_answers++) {
      if (len - at < 4 || read_u32(batch.data + at) > len - at - 4) return broken("a request that is not there");
      const size_t request_len = read_u32(batch.data + at);
      one.len = 0;
      answer(batch.data + at + 4, request_len, &one);
      bytes_append_u32(&answers, one.len);
      bytes_append(&answers, one.data, one.len);
      at += 4 + request_len;
    }
    bytes front = {0};
    bytes_append_u32(&front, answers.len - 4);
    bytes_append_u32(&front, num_answers);
    memcpy(answers.data, front.data, front.len);
    free(front.data);
    if (fwrite(answers.data, 1, answers.len, stdout) != answers.len || fflush(stdout) != 0) {
      return broken("nobody reads its answers");
    }
  }
  free(batch.data);
  free(answers.data);
  free(one.data);
  return 0;
}
