// The mapping from the system's errors to statuses, and the table of functions.
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#endif
#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <sstream>
#include <string>

#include "ipc/ipc.h"
#include "ref/common/platform.h"

namespace {

#ifdef _WIN32
constexpr uint32_t kUnlisted[] = {0, 99999, ERROR_CRC, ERROR_ARENA_TRASHED};
#else
constexpr uint32_t kUnlisted[] = {0, 99999, EIO, EDOM};
#endif

TEST(Status, MapsEveryListedError) {
  int listed = 0;
#define NATIVE_ERROR(error, meaning)                                                    \
  EXPECT_EQ(meaning, ipc_platform_status(error).code) << #error;                        \
  EXPECT_EQ(static_cast<uint32_t>(error), ipc_platform_status(error).native) << #error; \
  listed++;
#ifdef _WIN32
#define NATIVE_WIN32 NATIVE_ERROR
#else
#define NATIVE_ERRNO NATIVE_ERROR
#endif
#include "ref/common/native_status.inc"
  EXPECT_GT(listed, 25);
}

TEST(Status, UnlistedErrorIsFailed) {
  for (const uint32_t native : kUnlisted) {
    EXPECT_EQ(IPC_FAILED, ipc_platform_status(native).code) << native;
    EXPECT_EQ(native, ipc_platform_status(native).native);
  }
}

TEST(Status, NoErrorIsOkAndEveryStatusIsKnown) {
  for (uint32_t native = 0; native < 200; native++) {
    EXPECT_NE(IPC_OK, ipc_platform_status(native).code);
    EXPECT_LT(ipc_platform_status(native).code, IPC_STATUS_COUNT);
  }
}

TEST(Table, SpeaksItsMajorVersionOnly) {
  EXPECT_EQ(nullptr, ipc_get_table(0));
  EXPECT_EQ(nullptr, ipc_get_table(2));
  ASSERT_NE(nullptr, ipc_get_table(1));
  EXPECT_EQ(ipc_get_table(1), ipc_get_table(1));
}

TEST(Table, DescribesItself) {
  const ipc_table *table = ipc_get_table(1);
  EXPECT_EQ(sizeof(ipc_table), table->size);
  EXPECT_EQ(IPC_ABI_MAJOR, table->abi_major);
  EXPECT_EQ(IPC_ABI_MINOR, table->abi_minor);
  EXPECT_STREQ("ipc-ref", table->implementation);
  EXPECT_STREQ("0.1.0", table->version);
  ASSERT_NE(nullptr, table->traits);
  EXPECT_EQ(nullptr, table->traits[0]);
}

// Whether a gate of |gates|, which are separated by spaces, is off in this build.
bool gated_off(const std::string &gates) {
  std::istringstream words(gates);
  bool off = false;
  for (std::string gate; words >> gate;) {
#ifdef IPC_WITHOUT_SIGNALS
    off = off || gate == "signals";
#endif
#ifdef IPC_WITHOUT_ASYNC
    off = off || gate == "async";
#endif
#ifdef IPC_WITHOUT_NONBLOCKING
    off = off || gate == "nonblocking";
#endif
  }
  return off;
}

TEST(Table, OffersEverySlotOfTheSystemThatNoGateTookAway) {
  const ipc_table *table = ipc_get_table(1);
  size_t slots = 0;
#define IPC_SLOT(slot, name, gates)                                                                  \
  EXPECT_EQ(gated_off(gates), table->name == nullptr) << "slot " << slot << ": " #name;              \
  EXPECT_EQ(offsetof(ipc_table, name_parse) + slot * sizeof(void (*)()), offsetof(ipc_table, name)); \
  slots++;
#define IPC_FOREIGN_SLOT(slot, name)                                                                 \
  EXPECT_EQ(nullptr, table->name) << "slot " << slot << ": " #name;                                  \
  EXPECT_EQ(offsetof(ipc_table, name_parse) + slot * sizeof(void (*)()), offsetof(ipc_table, name)); \
  slots++;
#include "ref/common/gates.inc"
#undef IPC_SLOT
#undef IPC_FOREIGN_SLOT
  EXPECT_EQ(sizeof *table, offsetof(ipc_table, name_parse) + slots * sizeof(void (*)()));
}

TEST(Table, ListsEachFeatureOnce) {
  std::set<std::string> features;
  size_t listed = 0;
  for (const char *const *feature = ipc_get_table(1)->features; *feature != nullptr; feature++, listed++)
    features.insert(*feature);
  EXPECT_EQ(listed, features.size());
  EXPECT_EQ(1u, features.count("close_while_in_use"));
}

// A feature that is listed is one of the definition's, and behind no gate that is off.
TEST(Table, ListsNoFeatureThatAGateTookAway) {
  std::set<std::string> possible;
#define IPC_FEATURE(name, gates) \
  if (!gated_off(gates)) possible.insert(name);
#include "ref/common/gates.inc"
#undef IPC_FEATURE
  for (const char *const *feature = ipc_get_table(1)->features; *feature != nullptr; feature++) {
    EXPECT_EQ(1u, possible.count(*feature)) << *feature;
  }
}

}  // namespace
