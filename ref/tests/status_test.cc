// The mapping from errno to statuses, and the table of functions.
#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <set>
#include <string>

#include "ipc/ipc.h"
#include "ref/common/platform.h"

namespace {

TEST(Status, MapsEveryListedErrno) {
  int listed = 0;
#define NATIVE_ERRNO(error, meaning)                                                    \
  EXPECT_EQ(meaning, ipc_platform_status(error).code) << #error;                        \
  EXPECT_EQ(static_cast<uint32_t>(error), ipc_platform_status(error).native) << #error; \
  listed++;
#include "ref/common/native_status.inc"
#undef NATIVE_ERRNO
  EXPECT_GT(listed, 40);
}

TEST(Status, UnlistedErrnoIsFailed) {
  for (const uint32_t native : {0u, 99999u, static_cast<uint32_t>(EIO), static_cast<uint32_t>(EDOM)}) {
    EXPECT_EQ(IPC_FAILED, ipc_platform_status(native).code);
    EXPECT_EQ(native, ipc_platform_status(native).native);
  }
}

TEST(Status, NoErrnoIsOkAndEveryStatusIsKnown) {
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

TEST(Table, OffersEverySlotThatNoGateTookAway) {
  const ipc_table *table = ipc_get_table(1);
#ifdef IPC_WITHOUT_NONBLOCKING
  EXPECT_EQ(nullptr, table->listener_set_nonblocking);
  EXPECT_EQ(nullptr, table->stream_set_nonblocking);
  const size_t gated = 2;
#else
  const size_t gated = 0;
#endif
  const auto *bytes = reinterpret_cast<const unsigned char *>(table);
  size_t empty = 0;
  for (size_t at = offsetof(ipc_table, name_parse); at < sizeof *table; at += sizeof(void (*)())) {
    const unsigned char none[sizeof(void (*)())] = {};
    if (std::memcmp(bytes + at, none, sizeof none) == 0) empty++;
  }
  EXPECT_EQ(gated, empty);
}

TEST(Table, ListsEachFeatureOnce) {
  std::set<std::string> features;
  size_t listed = 0;
  for (const char *const *feature = ipc_get_table(1)->features; *feature != nullptr; feature++, listed++)
    features.insert(*feature);
  EXPECT_EQ(listed, features.size());
  EXPECT_EQ(1u, features.count("close_while_in_use"));
#ifdef IPC_WITHOUT_NONBLOCKING
  EXPECT_EQ(0u, features.count("wait"));
#else
  EXPECT_EQ(1u, features.count("wait"));
#endif
}

}  // namespace
