// The runner: every case against one pairing of implementations. spec/results.md, "Plan", says what it is given.
#include <cstring>
#include <iostream>

#include "conformance/support/case.h"

int main(int argc, char **argv) {
  testing::InitGoogleMock(&argc, argv);
  std::string file;
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], "--cts_plan=", 11) == 0) {
      file = argv[i] + 11;
    } else {
      std::cerr << "unknown argument " << argv[i] << "; usage: cases --cts_plan=FILE [--gtest_…]\n";
      return 2;
    }
  }
  cts::Plan plan;
  std::string error = "usage: cases --cts_plan=FILE [--gtest_…]";
  const bool listing = GTEST_FLAG_GET(list_tests);
  if (file.empty() && listing) {  // the names alone need no plan
    plan.os = "linux";
  } else if (file.empty() || !cts::LoadPlan(file, &plan, &error)) {
    std::cerr << error << "\n";
    return 2;
  }
  if (!cts::RegisterCases(plan, &error)) {
    std::cerr << error << "\n";
    return 2;
  }
  cts::PrepareForPeers();
  if (!cts::SlowProcesses(plan.slow)) {
    std::cerr
        << "`slow`: this system gives no process less than its share, or gives this one too little itself (nice)\n";
    return 2;
  }
  const int result = RUN_ALL_TESTS();
  cts::EndPeers();
  cts::EndSlowing();
  if (!cts::RecordsWritten()) {
    std::cerr << "records or trace could not be written\n";
    return 2;
  }
  return result == 0 ? 0 : 1;
}
