// Feature gates in the DLL: the arguments are one with every gate off, and then each whose name has _GATE for each gate
// that is on. What a gate takes away is gone from the table and the features. A DLL exports ipc_get_table and nothing
// else, and needs nothing but DLLs of the system.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>
#include <sstream>

#include "ref/tests/windows_support.h"

namespace {

using namespace ref_tests;
using Names = std::set<std::string>;

std::vector<std::string> libraries;

struct Slot {
  size_t number;
  std::string name;
  std::string gates;
};
const std::vector<Slot> kSlots = {
#define IPC_SLOT(slot, name, gates) {slot, #name, gates},
#include "ref/common/gates.inc"
#undef IPC_SLOT
};
const std::map<std::string, std::string> kFeatures = {
#define IPC_FEATURE(name, gates) {name, gates},
#include "ref/common/gates.inc"
#undef IPC_FEATURE
};

class Library {
 public:
  explicit Library(const std::string &path) : path_(path) {
    char whole[4 * MAX_PATH];
    if (GetFullPathNameA(path.c_str(), sizeof whole, whole, nullptr) != 0) module_ = LoadLibraryA(whole);
  }
  ~Library() {
    if (module_ != nullptr) FreeLibrary(module_);
  }
  const ipc_table *table() const {
    if (module_ == nullptr) return nullptr;
    const FARPROC found = GetProcAddress(module_, "ipc_get_table");
    const ipc_table *(*get_table)(uint32_t) = nullptr;
    std::memcpy(&get_table, &found, sizeof get_table);
    return get_table != nullptr ? get_table(IPC_ABI_MAJOR) : nullptr;
  }
  // Whether every gate of |gates|, separated by spaces, is on.
  bool all_on(const std::string &gates) const {
    const std::string file = path_.substr(path_.find_last_of("/\\") + 1);
    std::istringstream words(gates);
    for (std::string gate; words >> gate;) {
      if (file.find("_" + gate) == std::string::npos) return false;
    }
    return true;
  }
  Names exports() const {
    Names names;
    const IMAGE_DATA_DIRECTORY &at = directory(IMAGE_DIRECTORY_ENTRY_EXPORT);
    const auto *table = this->at<IMAGE_EXPORT_DIRECTORY>(at.VirtualAddress);
    const DWORD *found = this->at<DWORD>(table->AddressOfNames);
    for (DWORD i = 0; i < table->NumberOfNames; i++) names.insert(this->at<char>(found[i]));
    return names;
  }
  Names imports() const {
    Names names;
    const IMAGE_DATA_DIRECTORY &at = directory(IMAGE_DIRECTORY_ENTRY_IMPORT);
    for (const auto *entry = this->at<IMAGE_IMPORT_DESCRIPTOR>(at.VirtualAddress); entry->Name != 0; entry++) {
      std::string name = this->at<char>(entry->Name);
      for (char &c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      names.insert(name);
    }
    return names;
  }

 private:
  template <typename T>
  const T *at(DWORD offset) const {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(module_) + offset);
  }
  const IMAGE_DATA_DIRECTORY &directory(int which) const {
    const auto *dos = at<IMAGE_DOS_HEADER>(0);
    return at<IMAGE_NT_HEADERS>(static_cast<DWORD>(dos->e_lfanew))->OptionalHeader.DataDirectory[which];
  }

  std::string path_;
  HMODULE module_ = nullptr;
};

bool has(const ipc_table *table, const Slot &slot) {
  void (*function)() = nullptr;
  const auto *slots = reinterpret_cast<const unsigned char *>(table) + offsetof(ipc_table, name_parse);
  std::memcpy(&function, slots + slot.number * sizeof function, sizeof function);
  return function != nullptr;
}

TEST(WindowsGates, TheTableAndTheFeaturesAreWhatIsOn) {
  for (const std::string &path : libraries) {
    SCOPED_TRACE(path);
    const Library library(path);
    const ipc_table *table = library.table();
    ASSERT_NE(nullptr, table) << GetLastError();
    size_t known = 0, filled = 0;
    for (const Slot &slot : kSlots) {
      EXPECT_EQ(library.all_on(slot.gates), has(table, slot)) << slot.name;
      known += has(table, slot);
    }
    for (size_t i = 0; i < (sizeof *table - offsetof(ipc_table, name_parse)) / sizeof(void (*)()); i++) {
      filled += has(table, {i, "", ""});
    }
    EXPECT_EQ(known, filled) << "slots that only other systems have";
    Names features;
    for (const char *const *feature = table->features; *feature != nullptr; feature++) {
      EXPECT_TRUE(features.insert(*feature).second) << *feature << " is listed twice";
      ASSERT_EQ(1u, kFeatures.count(*feature)) << *feature;
      EXPECT_TRUE(library.all_on(kFeatures.at(*feature))) << *feature;
    }
    EXPECT_EQ(library.all_on("nonblocking"), features.count("wait") == 1);
  }
}

TEST(WindowsGates, NothingButTheTableIsExportedAndOnlyTheSystemIsNeeded) {
  const Names system = {"advapi32.dll", "kernel32.dll", "msvcrt.dll", "ntdll.dll"};
  for (const std::string &path : libraries) {
    SCOPED_TRACE(path);
    const Library library(path);
    ASSERT_NE(nullptr, library.table());
    EXPECT_EQ((Names{"ipc_get_table"}), library.exports());
    const Names needed = library.imports();
    EXPECT_TRUE(std::includes(system.begin(), system.end(), needed.begin(), needed.end()))
        << ::testing::PrintToString(needed);
  }
}

// The library's pool may still be at work when the host lets it go.
TEST(WindowsGates, CanBeUnloadedWithAChunkInFlight) {
  for (int round = 0; round < 10; round++) {
    const Library library(libraries.front());
    const ipc_table *table = library.table();
    ASSERT_NE(nullptr, table);
    ipc_stream *reader, *writer;
    ASSERT_STATUS(IPC_OK, table->pipe_create(nullptr, &reader, &writer));
    const std::string sent = pattern(1 << 20);
    size_t len;
    EXPECT_STATUS(IPC_TIMED_OUT, table->stream_write(writer, sent.data(), sent.size(), 0, &len));
    EXPECT_STATUS(IPC_OK, table->stream_free(writer));
    EXPECT_STATUS(IPC_OK, table->stream_free(reader));
  }
}

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  libraries.assign(argv + 1, argv + argc);
  return libraries.empty() ? 2 : RUN_ALL_TESTS();
}
