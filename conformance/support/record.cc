#include "conformance/support/record.h"

namespace cts {

Json RecordOf(const Plan &plan, const Requirement &requirement, const Shape &shape, const Result &result) {
  Json record = {{"case", requirement.id},
                 {"requirement", requirement.level},
                 {"shape", ShapeName(requirement, shape)},
                 {"os", plan.os},
                 {"outcome", result.outcome},
                 {"proof", result.proof},
                 {"blame", result.blame},
                 {"duration_ms", static_cast<double>(result.duration_us) / 1000.0},
                 {"message", result.message},
                 {"operations", result.operations},
                 {"gates", requirement.gates(plan.os)}};
  if (requirement.alone()) {
    record["peer"] = plan.server.name;
    record["mode"] = plan.server.mode;
  } else {
    record["server"] = plan.server.name;
    record["server_mode"] = plan.server.mode;
    record["client"] = plan.client.name;
    record["client_mode"] = plan.client.mode;
  }
  return record;
}

std::string OneLine(const std::string &text) {
  std::string line;
  for (char c : text) {
    if (c == '\n') c = ' ';
    if (c == ' ' && !line.empty() && line.back() == ' ') continue;
    line += c;
  }
  return line.substr(0, 2000);
}

std::string Place(const char *file, int line) {
  const std::string name = file == nullptr ? "" : file;
  const size_t at = name.find("conformance/");
  return " [" + (at == std::string::npos ? name : name.substr(at)) + ":" + std::to_string(line) + "]";
}

}  // namespace cts
