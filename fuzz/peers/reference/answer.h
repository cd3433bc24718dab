/* answer.h - what the reference answers to a request of the differential targets, in the format of fuzz/README.md.
 *
 * The target asks it in its own process, and peer.c in another: so that two builds of the reference can differ only in
 * what they are built for. */
#ifndef FUZZ_PEERS_REFERENCE_ANSWER_H
#define FUZZ_PEERS_REFERENCE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes that grow. All zeros is an empty one; `data` is released with free. */
typedef struct bytes {
  uint8_t *data;
  size_t len, max;
} bytes;

/* Appends |len| bytes. Ends the program if there is no memory. */
void bytes_append(bytes *to, const void *data, size_t len);

/* Appends |value| in 4 bytes, the highest first. */
void bytes_append_u32(bytes *to, size_t value);

/* What the reference offers, as a peer's first answer lists it; ends in NULL. */
extern const char *const answer_offers[];

/* Appends the answer to one request. Any bytes may be asked: what is no request is answered by `not offered`. */
void answer(const uint8_t *request, size_t len, bytes *out);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* FUZZ_PEERS_REFERENCE_ANSWER_H */
