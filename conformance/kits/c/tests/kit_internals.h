/* kit_internals.h - what the unit tests see of cts_peer.c beyond its public interface. */
#ifndef CTS_KIT_INTERNALS_H
#define CTS_KIT_INTERNALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conformance/kits/c/cts_peer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* kit_use makes |peer| the one that requests are checked against. */
void kit_use(const cts_peer *peer);

/* kit_parse reads a line of |len| bytes; NULL if it is accepted, else why not. */
const char *kit_parse(const char *line, size_t len);

/* kit_dump writes what kit_parse has accepted to |out|, at most |max| bytes, in a form of its own, and returns its
 * length: n, f, t; an integer and `;`; a string's length, `:` and its bytes; elements between [ and ]; keys (as
 * strings) and values between { and }. Nothing is longer than twice its line. */
size_t kit_dump(char *out, size_t max);

/* kit_check reads and checks a request. It returns NULL if the line is no request (|*out_why| says why); otherwise the
 * status that refuses it, or "" if its handler would run. The call stays valid until the next kit_check. */
const char *kit_check(const char *line, size_t len, const char **out_why, cts_call **out_call);

/* kit_base64_decode decodes in place; the length, or -1. */
ptrdiff_t kit_base64_decode(uint8_t *text, size_t len);

/* kit_reply writes the reply of the call of the last kit_check, with the results added to it, to |out|; its length. */
size_t kit_reply(cts_outcome outcome, char *out, size_t max);

/* kit_handle_name_valid tells whether |name| may name a handle. */
bool kit_handle_name_valid(const char *name);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* CTS_KIT_INTERNALS_H */
