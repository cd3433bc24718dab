// fault.h - what the system can do to the library, one call at a time.
//
// The linker sends every call of the library to a function of the C library through fault.cc, which counts it and, at
// the point that is armed, lets it fail. What is counted while nothing is armed is nobody's.
#ifndef REF_TESTS_FAULT_H
#define REF_TESTS_FAULT_H

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace ref_tests {
namespace fault {

enum class Kind {
  kFails,      // does nothing, and says so
  kPart,       // moves one byte where more were asked for
  kDoneFails,  // does its work, and says that it failed: close(2)
};

struct Fault {
  Kind kind;
  int error;     // what errno says, or the function itself if that is how it fails
  bool lasting;  // also every later call of the function: what a system does not know, it does not learn
};

// The |nth| call (from 0) of |function| meets |fault|.
struct Point {
  std::string function;
  int nth;
  Fault fault;
};

// A system that lacks something all the time: functions and the error number that each answers.
using World = std::map<std::string, int>;

// Every function in front of which there is one of the test's, with what can become of a call.
const std::map<std::string, std::vector<Fault>> &functions();

// Whether a failure of |function| may leave the name of a file behind: it is what would have removed it, or told
// whose it is.
bool may_leave_file(const std::string &function);

// Begins to count, in |world|, with |point| armed unless it is null. What it points to must stay until stop.
void start(const World &world, const Point *point);

// Ends the counting: how often each function was called.
std::map<std::string, int> stop();

// Whether the armed point was met since start.
bool was_met();

// Blocks of memory that have been allocated since start and not been freed, and how many were allocated at all.
long blocks_left();
long allocations();

// In its life the calls are the test's own: not counted, and they do not fail.
class Pause {
 public:
  Pause();
  ~Pause();
  Pause(const Pause &) = delete;
  Pause &operator=(const Pause &) = delete;

 private:
  bool before_;
};

}  // namespace fault
}  // namespace ref_tests

#endif  // REF_TESTS_FAULT_H
