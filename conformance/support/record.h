// record.h - what a runner leaves behind of a case: spec/results.md, "Record".
#ifndef CONFORMANCE_SUPPORT_RECORD_H
#define CONFORMANCE_SUPPORT_RECORD_H

#include <cstdint>
#include <string>

#include "conformance/support/data.h"
#include "conformance/support/plan.h"
#include "conformance/support/requirement.h"

namespace cts {

/// How a case ended. The defaults are those of one that passed and proved nothing about waiting.
struct Result {
  std::string outcome = "passed";
  std::string message;
  std::string proof = "none";
  std::string blame;  // server, client, peer
  uint64_t operations = 0;
  int64_t duration_us = 0;
};

/// The record of a case in one shape, in the pairing of the plan.
Json RecordOf(const Plan &plan, const Requirement &requirement, const Shape &shape, const Result &result);

/// What GoogleTest says of a failed expectation, on one line of bounded length.
std::string OneLine(const std::string &text);

/// Where an expectation stands, from the repository's root on: ` [conformance/cases/fifo_test.cc:17]`.
std::string Place(const char *file, int line);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_RECORD_H
