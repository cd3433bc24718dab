// plan.h - what the harness tells the runner. spec/results.md, "Plan".
#ifndef CONFORMANCE_SUPPORT_PLAN_H
#define CONFORMANCE_SUPPORT_PLAN_H

#include <map>
#include <string>
#include <vector>

namespace cts {

/// One implementation in one mode, and how to start a peer of it.
struct Implementation {
  std::string name;
  std::vector<std::string> command;
  std::map<std::string, std::string> environment;
  std::string mode;  // empty: the peer's first
  bool operator==(const Implementation &other) const { return name == other.name && mode == other.mode; }
};

/// One pairing, and where its records go.
struct Plan {
  std::string run_id;
  std::string work_dir;
  std::string os;
  Implementation server;
  Implementation client;
  std::string records;
  std::string trace;
  int deadline_ms = 10000;
  int memory_max_mib = 1024;
  unsigned seed = 1;
  /// Which cases are repeated to tell what leaks: `grown`, `all` (spec/results.md, "Resources").
  std::string account = "grown";
  /// How many times slower than alone peers run; 1: not slowed.
  int slow = 1;
  /// What the order of requests in different lanes is drawn from; 0: as the case makes them.
  unsigned shuffle = 0;

  /// Both roles are played by one implementation in one mode.
  bool alone() const { return server == client; }
};

/// Reads the plan; false with a sentence in `error` if the file is not one.
bool LoadPlan(const std::string &file, Plan *plan, std::string *error);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_PLAN_H
