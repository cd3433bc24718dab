/* differential.h - a request is answered by the reference in this process and by peers in others; the answers are
 * compared. fuzz/README.md says what travels between them.
 *
 * $CTS_FUZZ_PEERS names a JSON file (harness/cts/fuzz_differential.py writes it) with the peers, how many requests
 * travel together, where findings go and where the report. Without it there are no peers, and the reference alone
 * answers.
 *
 * A difference is described by facts, texts by name: what was asked, what is `ours` and what `theirs`. A known
 * difference is a set of regular expressions, each of which must match a fact as a whole; it is counted and is no
 * finding.
 *
 * With a batch of one, a finding aborts, so that a fuzzer shows and minimises it. Else the input is written to the
 * artifacts, one for each kind of difference, the run goes on, and at its end the status is 1. */
#ifndef FUZZ_DIFFERENTIAL_H
#define FUZZ_DIFFERENTIAL_H

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace fuzz {

using Facts = std::map<std::string, std::string>;

/* What two answers to |request| differ in; empty if they agree, or if a peer has not offered this request. */
using Compare = Facts (*)(std::string_view request, std::string_view ours, std::string_view theirs);

/* Whether a peer offers |offer|, or there is none at all: else an input is not worth a run. The first call starts the
 * peers and ends the program if one does not answer. */
bool differential_wants(const std::string &offer);

/* Answers |request|, made of the fuzz input |data|, in this process, and has it answered by each peer that offers
 * |offer|: now or with the next ones, at the latest when the program ends. */
void differential_ask(const uint8_t *data, size_t len, const std::string &offer, const std::string &request,
                      Compare compare);

/* |value|, the highest byte first. */
void append_number(std::string *to, uint64_t value, int bytes);

/* Reads what append_number wrote, from |*at| on, which it moves; what is not there is 0. */
uint64_t read_number(std::string_view from, size_t *at, int bytes);

/* The name of a status as the suite writes it: `message_too_large`. What no status is becomes its number. */
std::string status_name(unsigned status);

/* Bytes on a line: printable characters as they are, others as `\x1f`; at most |max| bytes of them. */
std::string shown(std::string_view bytes, size_t max);

}  // namespace fuzz

#endif /* FUZZ_DIFFERENTIAL_H */
