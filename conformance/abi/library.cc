#include "conformance/abi/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

namespace cts {
namespace abi {
namespace {

bool Lists(const char *const *names, const std::string &name) {
  for (; names != nullptr && *names != nullptr; names++) {
    if (name == *names) return true;
  }
  return false;
}

}  // namespace

const std::vector<Slot> &Slots() {
  static const std::vector<Slot> slots = {
#define CTS_SLOT(slot, operation) {offsetof(ipc_table, slot), operation},
#include "conformance/abi/slots.inc"
#undef CTS_SLOT
  };
  return slots;
}

bool Library::Open(const std::string &path, std::string *error) {
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    *error = dlerror();
    return false;
  }
  void *symbol = dlsym(handle, "ipc_get_table");
  if (symbol == nullptr) {
    *error = path + ": it exports no ipc_get_table";
    return false;
  }
  static_assert(sizeof symbol == sizeof get_table_, "dlsym(3) gives functions as object pointers");
  memcpy(&get_table_, &symbol, sizeof symbol);
  own_ = get_table_(IPC_ABI_MAJOR);
  if (own_ == nullptr || own_->size < offsetof(ipc_table, name_parse) || own_->abi_major != IPC_ABI_MAJOR) {
    *error = path + ": the library does not speak version " + std::to_string(IPC_ABI_MAJOR) + " of the C ABI";
    return false;
  }
  memcpy(&table_, own_, std::min<size_t>(own_->size, sizeof table_));
  return true;
}

bool Library::offers(const std::string &need) const {
  if (need[0] == '!') return !Lists(table_.traits, need.substr(1));
  for (const Slot &slot : Slots()) {
    if (need != slot.operation) continue;
    void *function = nullptr;
    memcpy(&function, reinterpret_cast<const char *>(&table_) + slot.offset, sizeof function);
    return function != nullptr;
  }
  return Lists(table_.features, need);
}

Library &TheLibrary() {
  static Library library;
  return library;
}

}  // namespace abi
}  // namespace cts
