// SPDX-License-Identifier: Apache-2.0
#include "dataplane/loss_log.h"

#include <gtest/gtest.h>

namespace teal::test {
namespace {

using namespace std::chrono_literals;

const LossLog::Time kStart = LossLog::Time{} + 1h;

TEST(LossLog, TellsOfLostPacketsWithTheirCounts) {
  LossLog log;
  EXPECT_EQ(log.look({0, 0, 0, 0}, kStart), "");
  EXPECT_EQ(log.look({1200, 3, 0, 0}, kStart + 1s),
            "the NIC lost 1203 packets: 1200 rx_missed, 3 rx_no_buffers");
  EXPECT_EQ(log.look({1200, 3, 0, 0}, kStart + 2h), "") << "nothing was lost since";
  EXPECT_EQ(log.look({1200, 3, 0, 1}, kStart + 3h), "the NIC lost 1 packet: 1 tx_errors");
}

TEST(LossLog, HasAtMostOneLineAMinuteAndLeavesNoLossOut) {
  LossLog log;
  int lines = 0;
  for (uint64_t second = 1; second < 60; ++second)
    if (!log.look({second, 0, 0, 0}, kStart + std::chrono::seconds(second)).empty()) ++lines;
  EXPECT_EQ(lines, 1);
  EXPECT_EQ(log.look({59, 0, 0, 0}, kStart + 61s), "the NIC lost 58 packets: 58 rx_missed");
}

TEST(LossLog, CountersThatBeginAgainAreNoLoss) {
  LossLog log;
  EXPECT_NE(log.look({50, 0, 0, 0}, kStart), "");
  EXPECT_EQ(log.look({0, 0, 0, 0}, kStart + 2min), "");
  EXPECT_EQ(log.look({2, 0, 0, 0}, kStart + 3min), "the NIC lost 2 packets: 2 rx_missed");
}

}  // namespace
}  // namespace teal::test
