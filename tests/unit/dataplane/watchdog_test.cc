// SPDX-License-Identifier: Apache-2.0
#include "dataplane/watchdog.h"

#include "tests/unit/dataplane/worker_fixture.h"

namespace teal::test {
namespace {

using WatchdogTest = WorkerTest;

TEST_F(WatchdogTest, NamesTheWorkerThatHasNotGoneRoundSinceTheLastCall) {
  start({.workers = 2});
  const auto go_round = [&](uint32_t worker) { segment().worker(worker).status.total_tsc.add(1'000); };
  Watchdog watchdog(segment(), 2);
  EXPECT_NE(watchdog.stalled(), std::nullopt);
  go_round(0);
  go_round(1);
  EXPECT_EQ(watchdog.stalled(), std::nullopt);
  go_round(0);
  EXPECT_EQ(watchdog.stalled(), 1u);
  go_round(1);
  EXPECT_EQ(watchdog.stalled(), 0u);
  go_round(0);
  go_round(1);
  EXPECT_EQ(watchdog.stalled(), std::nullopt);
}

TEST_F(WatchdogTest, TakesNoTimeOfAFormerProcessForProgress) {
  start();
  segment().worker(0).status.total_tsc.add(1'000'000);
  Watchdog watchdog(segment(), 1);
  EXPECT_EQ(watchdog.stalled(), 0u);
}

}  // namespace
}  // namespace teal::test
