// The table that a library hands out. spec/abi.md, AbiTable.
#include <algorithm>
#include <set>
#include <thread>

#include "conformance/abi/case.h"

namespace {

using cts::abi::Slots;
using cts::abi::TheLibrary;

constexpr int kThreads = 8;
constexpr size_t kNamesMax = 4096;  // more names than this are a list without its end

/// Whether the bytes are UTF-8 without control characters.
bool IsPlainText(const std::string &text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x20 || lead == 0x7f) return false;
    const size_t more = lead < 0x80 ? 0 : lead >= 0xf0 && lead < 0xf5 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc2 ? 1 : 4;
    if (more == 4 || lead >= 0xf5 || i + more >= text.size()) return false;
    for (size_t j = 1; j <= more; j++) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return false;
    }
    i += more + 1;
  }
  return true;
}

/// The names of a list of the table; a list that is none is told in `why`.
std::vector<std::string> NamesOf(const char *const *list, std::string *why) {
  std::vector<std::string> names;
  if (list == nullptr) *why = "the list is NULL";
  for (size_t i = 0; list != nullptr && list[i] != nullptr; i++) {
    if (i == kNamesMax) {
      *why = "the list does not end in NULL";
      break;
    }
    names.emplace_back(list[i]);
  }
  return names;
}

bool HasForm(const std::string &name) {
  const char *allowed = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.find_first_not_of(allowed) == std::string::npos;
}

}  // namespace

CTS_CASE(AbiTable, OtherMajorsAreRefused) {
  for (const uint32_t major : {0u, IPC_ABI_MAJOR + 1, 0x10001u, 0x7fffffffu, 0xffffffffu}) {
    step("ipc_get_table(" + std::to_string(major) + ")");
    EXPECT_EQ(TheLibrary().get_table()(major), nullptr) << "of version " << major;
  }
  EXPECT_NE(TheLibrary().get_table()(IPC_ABI_MAJOR), nullptr) << "after other versions were asked for";
}

CTS_CASE(AbiTable, TableStaysWhatItIs) {
  const ipc_table *table = TheLibrary().own_table();
  const std::string before(reinterpret_cast<const char *>(table), table->size);
  cts::abi::Pair pair;
  if (offers("local.listen") || offers("pipe.create")) pair = stream_pair();
  EXPECT_EQ(TheLibrary().get_table()(IPC_ABI_MAJOR), table);
  EXPECT_EQ(std::string(reinterpret_cast<const char *>(table), table->size), before);
}

CTS_CASE(AbiTable, ThreadsGetTheSameTable) {
  std::vector<const ipc_table *> tables(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; i++)
    threads.emplace_back([&tables, i] { tables[i] = TheLibrary().get_table()(IPC_ABI_MAJOR); });
  for (std::thread &thread : threads) thread.join();
  for (const ipc_table *table : tables) EXPECT_EQ(table, TheLibrary().own_table());
}

CTS_CASE(AbiTable, SizeIsOfWholeSlots) {
  const ipc_table *table = TheLibrary().own_table();
  const size_t head = offsetof(ipc_table, name_parse);
  EXPECT_GE(table->size, head);
  EXPECT_EQ((table->size - head) % sizeof(void (*)(void)), 0u) << "size " << table->size;
  EXPECT_EQ(table->abi_major, IPC_ABI_MAJOR);
  if (table->abi_minor == IPC_ABI_MINOR) {
    EXPECT_LE(table->size, sizeof(ipc_table));
  }
}

CTS_CASE(AbiTable, OffersSomething) {
  const auto offered = std::count_if(Slots().begin(), Slots().end(),
                                     [](const cts::abi::Slot &slot) { return TheLibrary().offers(slot.operation); });
  EXPECT_GT(offered, 0) << "every slot is NULL";
}

CTS_CASE(AbiTable, NamesItself) {
  const ipc_table *table = TheLibrary().own_table();
  for (const char *text : {table->implementation, table->version}) {
    ASSERT_NE(text, nullptr);
    EXPECT_NE(*text, 0) << "empty";
    EXPECT_TRUE(IsPlainText(text));
  }
}

CTS_CASE(AbiTable, ListsHoldNamesOnce) {
  for (const char *const *list : {TheLibrary().own_table()->features, TheLibrary().own_table()->traits}) {
    std::string why;
    const std::vector<std::string> names = NamesOf(list, &why);
    EXPECT_EQ(why, "");
    for (const std::string &name : names) EXPECT_TRUE(HasForm(name)) << name;
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << "a name stands twice";
  }
}

CTS_CASE(AbiTable, FeaturesHaveTheirOperation) {
  struct Argument {
    const char *operation, *feature;
  };
  static const char *const kNone = nullptr;
  static const std::vector<Argument> arguments = [] {
    std::vector<Argument> all;
    const char *operation = nullptr;
#define NULL_OR(feature) feature
#define CTS_OPERATION_BEGIN(identifier, name, on, consumes) operation = name;
#define CTS_MAKES(key, kind)
#define CTS_ARG(name, type, optional, feature, values) all.push_back({operation, feature});
#define CTS_OPERATION_END
#include "conformance/kits/c/cts_operations.inc"
#undef CTS_OPERATION_BEGIN
#undef CTS_MAKES
#undef CTS_ARG
#undef CTS_OPERATION_END
#undef NULL_OR
    return all;
  }();
  std::set<std::string> known, served;
  for (const Argument &argument : arguments) {
    if (argument.feature == kNone) continue;
    known.insert(argument.feature);
    if (offers(argument.operation)) served.insert(argument.feature);
  }
  std::string why;
  for (const std::string &feature : NamesOf(TheLibrary().own_table()->features, &why)) {
    if (known.count(feature) != 0) {
      EXPECT_EQ(served.count(feature), 1u) << feature << " is listed, and no operation that takes it is offered";
    }
  }
  EXPECT_EQ(why, "");
}

CTS_CASE(AbiTable, MakersHaveTheirCompanions) {
  struct Rule {
    std::vector<std::string> makers, companions;
  };
  static const std::vector<Rule> rules = {
      {{"local.listen", "unix.listen", "listener.adopt"}, {"listener.native", "listener.close", "listener.free"}},
      {{"local.connect", "listener.accept", "pipe.create", "fifo.open", "stream.adopt", "stream.split"},
       {"stream.close", "stream.free"}},
      {{"socket.open", "socket.bind", "listener.accept_socket", "socket.adopt"}, {"socket.close", "socket.free"}},
      {{"framing.decode"}, {"decoder.feed", "decoder.next", "decoder.end", "decoder.free"}},
      {{"signal.watch"}, {"signal.number", "signal.name", "watcher.close", "watcher.free"}},
      {{"signal.set_handler", "signal.send", "signal.raise"}, {"signal.number", "signal.name"}},
      {{"framed.open"}, {"framed.close", "framed.free", "stream.free"}},
      {{"loop.open"}, {"loop.wait", "loop.close", "loop.free"}},
  };
  for (const Rule &rule : rules) {
    for (const std::string &maker : rule.makers) {
      if (!offers(maker)) continue;
      for (const std::string &companion : rule.companions)
        EXPECT_TRUE(offers(companion)) << "it offers " << maker << " and not " << companion;
    }
  }
}

CTS_CASE(AbiTable, OfferedIsImplemented) {
  // What needs no handle and has no effect can be asked of every library: none of it is `unsupported` by itself.
  char room[4096];
  size_t len = 0;
  uint32_t kind = 0;
  const ipc_name name = {offers("name.path") ? uint32_t{IPC_NAME_PATH} : uint32_t{IPC_NAME_NAMESPACED}, "some", 4};
  if (auto f = offered(&ipc_table::name_parse)) {
    EXPECT_STATUS(IPC_OK, f("some", 4, &kind, room, sizeof room, &len));
  }
  if (auto f = offered(&ipc_table::name_format)) {
    EXPECT_STATUS(IPC_OK, f(&name, room, sizeof room, &len));
  }
  if (auto f = offered(&ipc_table::name_native)) {
    EXPECT_STATUS(IPC_OK, f(&name, IPC_OS_THIS, room, sizeof room, &len));
  }
  if (auto f = offered(&ipc_table::name_limit)) {
    EXPECT_STATUS(IPC_OK, f(name.kind, IPC_OS_THIS, &len));
  }
  int32_t signal = 0;
  if (auto f = offered(&ipc_table::signal_number)) {
    EXPECT_STATUS(IPC_OK, f("INT", 3, &signal));
  }
}
