// library.h - the library under test, loaded into this process.
#ifndef CONFORMANCE_ABI_LIBRARY_H
#define CONFORMANCE_ABI_LIBRARY_H

#include <cstddef>
#include <string>
#include <vector>

#include "ipc/ipc.h"

namespace cts {
namespace abi {

/// One slot of the table: where it is, and the operation that has it.
struct Slot {
  size_t offset;  // bytes from the table's beginning
  const char *operation;
};

/// Every slot of this version, in the table's order.
const std::vector<Slot> &Slots();

/// A library, which stays loaded until the process ends.
class Library {
 public:
  using GetTable = const ipc_table *(*)(uint32_t);

  /// Loads `path` and asks for its table; false with a sentence in `error` if it is none.
  bool Open(const std::string &path, std::string *error);

  /// The symbol that it exports.
  GetTable get_table() const { return get_table_; }
  /// The library's own table: no slot beyond its `size` may be read.
  const ipc_table *own_table() const { return own_; }
  /// The table as this version knows it: a slot that the library's does not reach to is NULL.
  const ipc_table &table() const { return table_; }

  /// Whether an operation's slot is filled, a feature is listed, or, for `!trait`, a trait is not.
  bool offers(const std::string &need) const;

 private:
  GetTable get_table_ = nullptr;
  const ipc_table *own_ = nullptr;
  ipc_table table_ = {};
};

/// The library that --library named.
Library &TheLibrary();

}  // namespace abi
}  // namespace cts

#endif  // CONFORMANCE_ABI_LIBRARY_H
