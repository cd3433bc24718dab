// requirement.h - the requirements as the cases know them: read from spec/*.md by `cts spec generate`.
#ifndef CONFORMANCE_SUPPORT_REQUIREMENT_H
#define CONFORMANCE_SUPPORT_REQUIREMENT_H

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace cts {

/// One requirement. spec/README.md says what the parts mean.
struct Requirement {
  std::string id;
  std::string level;
  std::vector<std::pair<std::string, std::vector<std::string>>> shapes;
  std::map<std::string, std::vector<std::string>> needs;
  /// Roles that get a process of their own, as `needs` names them.
  std::set<std::string> fresh;
  std::map<std::string, std::string> evidence;
  std::map<std::string, std::map<std::string, std::vector<std::string>>> outcomes;

  std::string family() const { return id.substr(0, id.find('.')); }
  std::string rule() const { return id.substr(id.find('.') + 1); }
  /// It is about one process.
  bool alone() const { return needs.count("peer") != 0 || in_process(); }
  /// It is about a library in the process that calls it (spec/abi.md): conformance/abi has its case.
  bool in_process() const { return needs.count("library") != 0; }
  /// Its evidence lets it gate the system `os` (a label such as `linux` or `windows-wine-8.0`).
  bool gates(const std::string &os) const;
  /// It is not applicable on that system.
  bool excluded(const std::string &os) const;
};

/// One value for each axis of a requirement.
using Shape = std::map<std::string, std::string>;

/// Every combination of the axes' values; one empty shape if there are none.
std::vector<Shape> ShapesOf(const Requirement &requirement);
/// Values in the order of the axes, joined by `+`: what records call the shape.
std::string ShapeName(const Requirement &requirement, const Shape &shape);
/// What `role` (server, client, peer, library) has to offer in that shape: operations, features and `!traits`.
std::vector<std::string> NeedsOf(const Requirement &requirement, const Shape &shape, const std::string &role);
/// Whether `role` gets a process in that shape that is new to the case and ended after it.
bool IsFresh(const Requirement &requirement, const Shape &shape, const std::string &role);
/// The system whose column applies to a label: `windows-wine-8.0` is `windows`, `gvisor` is `linux`.
std::string SystemOf(const std::string &os);

/// Whether a need is an operation, not a feature or an excluded trait.
bool IsOperation(const std::string &need);

/// The requirement of that id, which lives as long as the program; nullptr if there is none.
const Requirement *FindRequirement(const std::string &id);

}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_REQUIREMENT_H
