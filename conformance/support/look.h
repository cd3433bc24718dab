// look.h - what a case sees of the system itself, beside what peers answer: each look is a line of the raw trace
// (spec/results.md), so that two systems' traces differ where what they do to files and descriptors does.
//
// Each is the function of host.h of that name. A look that is repeated until something comes about is host.h's own: how
// often it is repeated is chance.
#ifndef CONFORMANCE_SUPPORT_LOOK_H
#define CONFORMANCE_SUPPORT_LOOK_H

#include <cstdint>
#include <string>
#include <vector>

namespace cts {
namespace look {

std::string TypeOf(const std::string &path);
unsigned ModeOf(const std::string &path);
std::string ReadFile(const std::string &path);
bool IsCloseOnExec(int64_t pid, const std::string &fd);
std::string DescriptorOf(int64_t pid, const std::string &fd);
/// The trace holds how many there are.
std::vector<std::string> DescriptorsOf(int64_t pid, const std::string &what);

}  // namespace look
}  // namespace cts

#endif  // CONFORMANCE_SUPPORT_LOOK_H
