// SPDX-License-Identifier: Apache-2.0
#include "dataplane/watchdog.h"

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

using WatchdogTest = WorkerTest;

TEST_F(WatchdogTest, NamesTheWorkerThatHasNotIteratedSinceTheLastCall) {
  start({.workers = 2});
  const auto iterate = [&](uint32_t worker) { segment().worker(worker).status.total_tsc.add(1'000); };
  Watchdog watchdog(segment(), 2);
  EXPECT_NE(watchdog.stalled(), std::nullopt);
  iterate(0);
  iterate(1);
  EXPECT_EQ(watchdog.stalled(), std::nullopt);
  iterate(0);
  EXPECT_EQ(watchdog.stalled(), 1u);
  iterate(1);
  EXPECT_EQ(watchdog.stalled(), 0u);
  iterate(0);
  iterate(1);
  EXPECT_EQ(watchdog.stalled(), std::nullopt);
}

TEST_F(WatchdogTest, DoesNotTakeTimeOfAnEarlierProcessForProgress) {
  start();
  segment().worker(0).status.total_tsc.add(1'000'000);
  Watchdog watchdog(segment(), 1);
  EXPECT_EQ(watchdog.stalled(), 0u);
}

}  // namespace
}  // namespace teal::test
