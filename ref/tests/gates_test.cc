// Feature gates: PEER and LIBRARY are the arguments, and HEADER, one of the public ones. LIBRARY is the one with every
// gate off; beside it, _GATE in its name for each gate that is on, are the others. What a gate takes away is gone from
// everything a program could meet: the table, the symbols, the features, the headers, and what the generic peer offers.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "conformance/kits/c/tests/line_peer.h"
#include "ipc/ipc.h"

namespace {

using Names = std::set<std::string>;

std::string peer_path, library_path, include_path;

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
// Operations of the peer protocol, by the names of their slots.
const std::map<std::string, std::string> kOperations = {
#define CTS_OPERATION_BEGIN(identifier, name, on, consumes) {#identifier, name},
#define CTS_MAKES(key, kind)
#define CTS_ARG(name, type, optional, feature, values)
#define CTS_OPERATION_END
#include "conformance/kits/c/cts_operations.inc"
};

// One combination of gates.
struct Gates {
  bool signals, async, nonblocking;

  bool on(const std::string &gate) const {
    return gate == "signals" ? signals : gate == "async" ? async : gate == "nonblocking" && nonblocking;
  }
  // Whether every gate of |gates|, separated by spaces, is on.
  bool all_on(const std::string &gates) const {
    std::istringstream words(gates);
    for (std::string gate; words >> gate;) {
      if (!on(gate)) return false;
    }
    return true;
  }
  std::string suffix() const {
    return std::string(signals ? "_signals" : "") + (async ? "_async" : "") + (nonblocking ? "_nonblocking" : "");
  }
  std::string library() const {
    const size_t end = library_path.rfind(".so");
    return library_path.substr(0, end) + suffix() + library_path.substr(end);
  }
  std::string macros() const {
    return std::string(signals ? "" : " -DIPC_WITHOUT_SIGNALS") + (async ? "" : " -DIPC_WITHOUT_ASYNC") +
           (nonblocking ? "" : " -DIPC_WITHOUT_NONBLOCKING");
  }
};

// What a command prints on both outputs, and its status.
std::pair<int, std::string> run(const std::string &command) {
  std::string output;
  FILE *pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return {-1, "popen failed"};
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) output.append(part, n);
  return {pclose(pipe), output};
}

// The symbols that `nm |options|` knows of |library|.
Names symbols(const std::string &options, const std::string &library) {
  const auto [status, output] = run("nm --defined-only --format=posix " + options + " " + library);
  EXPECT_EQ(0, status) << output;
  Names found;
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) found.insert(line.substr(0, line.find_first_of(" @")));
  return found;
}

class GatesTest : public testing::TestWithParam<Gates> {
 protected:
  void SetUp() override {
    handle_ = dlopen(GetParam().library().c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(nullptr, handle_) << dlerror();
    const auto get_table = reinterpret_cast<const ipc_table *(*)(uint32_t)>(dlsym(handle_, "ipc_get_table"));
    ASSERT_NE(nullptr, get_table);
    table_ = get_table(IPC_ABI_MAJOR);
    ASSERT_NE(nullptr, table_);
    ASSERT_EQ(sizeof(ipc_table), table_->size);
  }
  void TearDown() override {
    if (handle_ != nullptr) dlclose(handle_);
  }

  bool has(const Slot &slot) const {
    void (*function)() = nullptr;
    const auto *slots = reinterpret_cast<const unsigned char *>(table_) + offsetof(ipc_table, name_parse);
    std::memcpy(&function, slots + slot.number * sizeof function, sizeof function);
    return function != nullptr;
  }

  // |found| are names of slots.
  static void expect_what_is_on(const Names &found) {
    Names missing, surplus;
    for (const Slot &slot : kSlots) {
      const bool on = GetParam().all_on(slot.gates), is = found.count(slot.name) == 1;
      if (on && !is) missing.insert(slot.name);
      if (is && !on) surplus.insert(slot.name);
    }
    EXPECT_EQ(Names{}, missing);
    EXPECT_EQ(Names{}, surplus);
  }

  void *handle_ = nullptr;
  const ipc_table *table_ = nullptr;
};

TEST_P(GatesTest, TheTableHasWhatIsOn) {
  Names found;
  for (const Slot &slot : kSlots) {
    if (has(slot)) found.insert(slot.name);
  }
  expect_what_is_on(found);
}

TEST_P(GatesTest, TheFeaturesAreThoseThatAreOn) {
  Names listed;
  for (const char *const *feature = table_->features; *feature != nullptr; feature++) {
    ASSERT_EQ(1u, kFeatures.count(*feature)) << *feature;
    EXPECT_TRUE(GetParam().all_on(kFeatures.at(*feature))) << *feature;
    EXPECT_TRUE(listed.insert(*feature).second) << *feature << " is listed twice";
  }
  EXPECT_EQ(GetParam().nonblocking, listed.count("wait") == 1);
}

TEST_P(GatesTest, NothingButTheTableIsExported) {
  Names exported = symbols("--dynamic", GetParam().library());
  for (const char *linkers : {"__bss_start", "_edata", "_end"}) exported.erase(linkers);
  EXPECT_EQ((Names{"ipc_get_table"}), exported);
}

TEST_P(GatesTest, TheSymbolsAreThoseThatAreOn) {
  const Names defined = symbols("", GetParam().library());
  Names found;
  for (const Slot &slot : kSlots) {
    if (defined.count("ipc_" + slot.name) == 1) found.insert(slot.name);
  }
  expect_what_is_on(found);
}

// Each function behind a gate is used in a file of its own, the others in one: the compiler names the files with
// errors.
TEST_P(GatesTest, TheHeadersDeclareWhatIsOn) {
  const char *temporary = std::getenv("TEST_TMPDIR");
  const std::string base =
      std::string(temporary != nullptr ? temporary : "/tmp") + "/gates" + GetParam().suffix() + "-";
  std::map<std::string, std::string> files;
  for (const Slot &slot : kSlots) {
    std::string &text = files[slot.gates.empty() ? "all" : slot.name];
    text += "  ." + slot.name + " = ipc_" + slot.name + ",\n";
  }
  std::string command =
      "cc -std=c11 -Wall -Wextra -Werror -pedantic-errors -Wno-missing-field-initializers -fsyntax-only";
  command += " -I" + include_path + GetParam().macros();
  for (const auto &[name, text] : files) {
    std::ofstream(base + name + ".c") << "#include \"ipc/ipc.h\"\nconst ipc_table table = {\n" << text << "};\n";
    command += " " + base + name + ".c";
  }
  const auto [status, output] = run(command);
  Names failed, expected;
  const std::regex error("gates[a-z_]*-([a-z_]+)\\.c:[0-9]+:[0-9]+: error");
  for (std::sregex_iterator at(output.begin(), output.end(), error), end; at != end; ++at) failed.insert((*at)[1]);
  for (const Slot &slot : kSlots) {
    if (!GetParam().all_on(slot.gates)) expected.insert(slot.name);
  }
  for (const auto &[name, text] : files) std::remove((base + name + ".c").c_str());
  EXPECT_EQ(expected, failed) << output;
  EXPECT_EQ(expected.empty(), status == 0) << output;
}

TEST_P(GatesTest, ThePeerOffersWhatIsOn) {
  LinePeer peer({peer_path, "--library", GetParam().library()});
  const auto hello = nlohmann::json::parse(peer.ask(R"({"id":1,"op":"hello","protocol":1})"), nullptr, false);
  EXPECT_EQ(0, peer.end());
  ASSERT_TRUE(hello.is_object() && hello.contains("operations")) << hello;
  const auto operations = hello["operations"].get<Names>(), features = hello["features"].get<Names>(),
             modes = hello["modes"].get<Names>();
  for (const Slot &slot : kSlots) {
    const auto operation = kOperations.find(slot.name);
    if (operation == kOperations.end()) continue;
    EXPECT_EQ(has(slot), operations.count(operation->second) == 1) << operation->second;
    EXPECT_TRUE(has(slot) <= GetParam().all_on(slot.gates)) << operation->second;
  }
  for (const char *const *feature = table_->features; *feature != nullptr; feature++) {
    EXPECT_EQ(1u, features.count(*feature)) << *feature;
  }
  EXPECT_EQ(1u, modes.count("blocking"));
  EXPECT_EQ(GetParam().nonblocking, modes.count("nonblocking") == 1);
  EXPECT_EQ(table_->loop_open != nullptr, modes.count("async") == 1);
}

std::vector<Gates> combinations() {
  std::vector<Gates> all;
  for (const bool signals : {false, true}) {
    for (const bool async : {false, true}) {
      for (const bool nonblocking : {false, true}) all.push_back({signals, async, nonblocking});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(On, GatesTest, testing::ValuesIn(combinations()), [](const auto &info) {
  return info.param.suffix().empty() ? std::string("none") : info.param.suffix().substr(1);
});

}  // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc != 4) return 2;
  peer_path = argv[1];
  library_path = argv[2];
  if (library_path.find('/') == std::string::npos) library_path = "./" + library_path;
  const std::string header = argv[3];
  include_path = header.substr(0, header.rfind("/ipc/"));
  return RUN_ALL_TESTS();
}
