#include "conformance/support/requirement.h"

#include <cstring>
#include <map>
#include <set>

#include "conformance/support/data.h"

namespace cts {
namespace {

/// What a requirement calls `role` in that shape: by itself, and as the writer or reader.
std::vector<std::string> NamesOf(const Shape &shape, const std::string &role) {
  auto writer = shape.find("writer");
  if (writer == shape.end() || role == "peer" || role == "library") return {role};
  return {role, writer->second == role ? "writer" : "reader"};
}

/// Every requirement, as JSON that begins with its id.
const char *const kRows[] = {
#include "conformance/support/requirements.inc"
};

Requirement Read(const char *row) {
  const Json json = Json::parse(row);
  Requirement requirement;
  json.at("id").get_to(requirement.id);
  json.at("level").get_to(requirement.level);
  json.at("shapes").get_to(requirement.shapes);
  json.at("needs").get_to(requirement.needs);
  json.at("fresh").get_to(requirement.fresh);
  json.at("evidence").get_to(requirement.evidence);
  json.at("outcomes").get_to(requirement.outcomes);
  return requirement;
}

}  // namespace

bool Requirement::gates(const std::string &os) const {
  auto found = evidence.find(SystemOf(os));
  if (found == evidence.end()) return false;
  // Wine's results gate Wine alone, and only a real run gates a real system.
  const bool wine = os.find("-wine") != std::string::npos;
  return found->second.rfind(wine ? "wine " : "run ", 0) == 0;
}

bool Requirement::excluded(const std::string &os) const {
  auto found = evidence.find(SystemOf(os));
  return found != evidence.end() && found->second == "no";
}

std::vector<Shape> ShapesOf(const Requirement &requirement) {
  std::vector<Shape> shapes{Shape()};
  for (const auto &axis : requirement.shapes) {
    std::vector<Shape> wider;
    for (const Shape &shape : shapes) {
      for (const std::string &value : axis.second) {
        wider.push_back(shape);
        wider.back()[axis.first] = value;
      }
    }
    shapes = wider;
  }
  return shapes;
}

std::string ShapeName(const Requirement &requirement, const Shape &shape) {
  std::string name;
  for (const auto &axis : requirement.shapes) name += (name.empty() ? "" : "+") + shape.at(axis.first);
  return name;
}

std::vector<std::string> NeedsOf(const Requirement &requirement, const Shape &shape, const std::string &role) {
  std::vector<std::string> needs;
  for (const std::string &name : NamesOf(shape, role)) {
    auto found = requirement.needs.find(name);
    if (found != requirement.needs.end()) needs.insert(needs.end(), found->second.begin(), found->second.end());
  }
  auto kind = shape.find("kind");
  if (kind != shape.end() && role != "peer") needs.push_back("name." + kind->second);
  return needs;
}

bool IsFresh(const Requirement &requirement, const Shape &shape, const std::string &role) {
  for (const std::string &name : NamesOf(shape, role)) {
    if (requirement.fresh.count(name) != 0) return true;
  }
  return false;
}

bool IsOperation(const std::string &need) {
  static const std::set<std::string> operations = {
#define CTS_OPERATION_BEGIN(identifier, name, on, consumes) name,
#define CTS_MAKES(key, kind)
#define CTS_ARG(name, type, optional, feature, values)
#define CTS_OPERATION_END
#include "conformance/kits/c/cts_operations.inc"
#undef CTS_OPERATION_BEGIN
#undef CTS_MAKES
#undef CTS_ARG
#undef CTS_OPERATION_END
  };
  return operations.count(need) != 0;
}

std::string SystemOf(const std::string &os) {
  if (os == "gvisor") return "linux";
  return os.substr(0, os.find('-'));
}

const Requirement *FindRequirement(const std::string &id) {
  static std::map<std::string, Requirement> found;
  auto known = found.find(id);
  if (known != found.end()) return &known->second;
  // A program that asks for a few does not wait for all to be read.
  const std::string begin = "{\"id\":\"" + id + "\"";
  for (const char *row : kRows) {
    if (strncmp(row, begin.c_str(), begin.size()) == 0) return &found.emplace(id, Read(row)).first->second;
  }
  return nullptr;
}

}  // namespace cts
