#include "conformance/support/plan.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace cts {
namespace {

using Json = nlohmann::json;

Implementation ReadImplementation(const Json &json) {
  Implementation implementation;
  implementation.name = json.at("name").get<std::string>();
  implementation.command = json.at("command").get<std::vector<std::string>>();
  implementation.mode = json.value("mode", std::string());
  if (json.contains("env")) implementation.environment = json["env"].get<std::map<std::string, std::string>>();
  if (implementation.command.empty()) throw std::runtime_error("`command` of " + implementation.name + " is empty");
  return implementation;
}

}  // namespace

bool LoadPlan(const std::string &file, Plan *plan, std::string *error) {
  try {
    std::ifstream stream(file);
    if (!stream) {
      *error = "cannot read the plan " + file;
      return false;
    }
    Json json = Json::parse(stream);
    plan->run_id = json.at("run_id").get<std::string>();
    plan->work_dir = json.at("work_dir").get<std::string>();
    plan->os = json.at("os").get<std::string>();
    plan->server = ReadImplementation(json.at("server"));
    plan->client = ReadImplementation(json.at("client"));
    plan->records = json.value("records", std::string());
    plan->trace = json.value("trace", std::string());
    plan->deadline_ms = json.value("deadline_ms", plan->deadline_ms);
    plan->memory_max_mib = json.value("memory_max_mib", plan->memory_max_mib);
    plan->seed = json.value("seed", plan->seed);
    plan->account = json.value("account", plan->account);
    plan->slow = json.value("slow", plan->slow);
    plan->shuffle = json.value("shuffle", plan->shuffle);
    if (plan->run_id.size() != 32) throw std::runtime_error("`run_id` must be 32 hexadecimal digits");
    if (plan->deadline_ms < 1) throw std::runtime_error("`deadline_ms` must be at least 1");
    if (plan->account != "none" && plan->account != "grown" && plan->account != "all")
      throw std::runtime_error("`account` must be `none`, `grown` or `all`");
    if (plan->slow < 1) throw std::runtime_error("`slow` must be at least 1");
    return true;
  } catch (const std::exception &problem) {
    *error = "the plan " + file + " is not usable: " + problem.what();
    return false;
  }
}

}  // namespace cts
