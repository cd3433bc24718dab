// What is said of processes alike on every system.
#include "conformance/support/process.h"

namespace cts {

ThreadState Together(const std::vector<ThreadState> &threads) {
  ThreadState all;
  all.known = all.sleeping = all.stopped = !threads.empty();
  for (const ThreadState &one : threads) {
    all.known = all.known && one.known;
    all.sleeping = all.sleeping && one.sleeping;
    all.stopped = all.stopped && one.stopped;
    all.counters += one.counters;
  }
  return all;
}

}  // namespace cts
