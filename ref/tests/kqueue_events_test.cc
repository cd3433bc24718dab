// What events of kqueue mean to a loop (ref/bsd/kqueue_events.h).
//
// synthetic: the events are written from the manual pages, kqueue(2) of FreeBSD and macOS; none came from a kernel.
#include "ref/bsd/kqueue_events.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <vector>

namespace {

constexpr uint32_t kBoth = IPC_READY_READ | IPC_READY_WRITE;

struct Seen {
  std::vector<std::pair<int, uint32_t>> ready;
  bool woken = false;
};

Seen see(const std::vector<ipc_kqueue_event> &events) {
  Seen seen;
  std::vector<ipc_ready> ready(events.size() + 1);
  const size_t num = ipc_kqueue_ready(events.data(), events.size(), ready.data(), &seen.woken);
  EXPECT_LE(num, events.size());
  for (size_t i = 0; i < num; i++) seen.ready.emplace_back(ready[i].fd, ready[i].directions);
  return seen;
}

using Ready = std::vector<std::pair<int, uint32_t>>;

TEST(KqueueEventsTest, NothingIsNothing) {
  EXPECT_EQ(Ready{}, see({}).ready);
  EXPECT_FALSE(see({}).woken);
}

TEST(KqueueEventsTest, EachFilterIsADirection) {
  EXPECT_EQ((Ready{{5, IPC_READY_READ}}), see({{5, IPC_KQUEUE_READ, false, false, 17}}).ready);
  EXPECT_EQ((Ready{{5, IPC_READY_WRITE}}), see({{5, IPC_KQUEUE_WRITE, false, false, 8192}}).ready);
}

TEST(KqueueEventsTest, TheTwoFiltersOfADescriptorAreOneEntry) {
  EXPECT_EQ((Ready{{5, kBoth}, {6, IPC_READY_READ}}), see({{5, IPC_KQUEUE_READ, false, false, 1},
                                                           {6, IPC_KQUEUE_READ, false, false, 1},
                                                           {5, IPC_KQUEUE_WRITE, false, false, 8192}})
                                                          .ready);
}

TEST(KqueueEventsTest, EndOfFileIsReadinessWithAndWithoutBytesLeft) {
  EXPECT_EQ((Ready{{5, IPC_READY_READ}}), see({{5, IPC_KQUEUE_READ, false, true, 100}}).ready);
  EXPECT_EQ((Ready{{5, IPC_READY_READ}}), see({{5, IPC_KQUEUE_READ, false, true, 0}}).ready);
  EXPECT_EQ((Ready{{5, IPC_READY_WRITE}}), see({{5, IPC_KQUEUE_WRITE, false, true, 0}}).ready);
}

TEST(KqueueEventsTest, AHalfClosedPeerLeavesWritingAlone) {
  EXPECT_EQ((Ready{{5, IPC_READY_READ}}), see({{5, IPC_KQUEUE_READ, false, true, 0}}).ready);
}

TEST(KqueueEventsTest, AListenerCountsItsConnections) {
  EXPECT_EQ((Ready{{9, IPC_READY_READ}}), see({{9, IPC_KQUEUE_READ, false, false, 3}}).ready);
}

TEST(KqueueEventsTest, AnEmptyMessageHasNoBytesAndIsThere) {
  EXPECT_EQ((Ready{{5, IPC_READY_READ}}), see({{5, IPC_KQUEUE_READ, false, false, 0}}).ready);
}

TEST(KqueueEventsTest, AWakeIsNoDescriptor) {
  const Seen seen = see({{0, IPC_KQUEUE_USER, false, false, 0}, {0, IPC_KQUEUE_READ, false, false, 1}});
  EXPECT_TRUE(seen.woken);
  EXPECT_EQ((Ready{{0, IPC_READY_READ}}), seen.ready); /* descriptor 0 is another matter */
}

TEST(KqueueEventsTest, ErrorsAreTrouble) {
  EXPECT_EQ((Ready{{5, kBoth}}), see({{5, IPC_KQUEUE_READ, true, false, EBADF}}).ready);
  EXPECT_EQ(Ready{}, see({{5, IPC_KQUEUE_READ, true, false, 0}}).ready); /* a receipt */
}

TEST(KqueueEventsTest, OtherFiltersAreNotOurs) {
  EXPECT_EQ(Ready{}, see({{5, IPC_KQUEUE_OTHER, false, false, 1}}).ready);
}

TEST(KqueueEventsTest, ReceiptsOfAdding) {
  const std::vector<ipc_kqueue_event> good = {{5, IPC_KQUEUE_READ, true, false, 0},
                                              {5, IPC_KQUEUE_WRITE, true, false, 0}};
  EXPECT_EQ(0, ipc_kqueue_receipts(good.data(), good.size(), true));
  const std::vector<ipc_kqueue_event> bad = {{5, IPC_KQUEUE_READ, true, false, 0},
                                             {5, IPC_KQUEUE_WRITE, true, false, EBADF}};
  EXPECT_EQ(EBADF, ipc_kqueue_receipts(bad.data(), bad.size(), true));
  const std::vector<ipc_kqueue_event> full = {{5, IPC_KQUEUE_READ, true, false, ENOMEM}};
  EXPECT_EQ(ENOMEM, ipc_kqueue_receipts(full.data(), full.size(), true));
}

TEST(KqueueEventsTest, RemovingWhatIsNotThereSucceeds) {
  for (const int error : {ENOENT, EBADF}) {
    const std::vector<ipc_kqueue_event> gone = {{5, IPC_KQUEUE_READ, true, false, error}};
    EXPECT_EQ(0, ipc_kqueue_receipts(gone.data(), gone.size(), false));
  }
}

}  // namespace
