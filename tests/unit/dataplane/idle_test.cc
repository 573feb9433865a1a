// SPDX-License-Identifier: Apache-2.0
#include "dataplane/idle.h"

#include <gtest/gtest.h>

namespace teal::test {
namespace {

constexpr uint32_t kAwake = IdleGovernor::kSpins + IdleGovernor::kPauses;

TEST(IdleGovernor, SpinNeverSleeps) {
  IdleGovernor idle(Idle::kSpin);
  for (uint32_t poll = 0; poll < 100'000; ++poll) ASSERT_EQ(idle.next_sleep_us(), 0u);
}

TEST(IdleGovernor, AdaptiveSleepsAfterItsSpinsAndPauses) {
  IdleGovernor idle(Idle::kAdaptive);
  for (uint32_t poll = 0; poll < kAwake; ++poll) ASSERT_EQ(idle.next_sleep_us(), 0u) << "poll " << poll;
  EXPECT_GE(idle.next_sleep_us(), IdleGovernor::kShortestSleepUs);
}

TEST(IdleGovernor, SleepsGrowUpToTheLongest) {
  IdleGovernor idle(Idle::kAdaptive);
  for (uint32_t poll = 0; poll < kAwake; ++poll) idle.next_sleep_us();
  uint32_t last = 0;
  for (uint32_t sleep = 0; sleep < 1'000; ++sleep) {
    const uint32_t next = idle.next_sleep_us();
    ASSERT_GE(next, last);
    ASSERT_LE(next, IdleGovernor::kLongestSleepUs);
    last = next;
  }
  EXPECT_EQ(last, IdleGovernor::kLongestSleepUs);
}

TEST(IdleGovernor, SpinsAgainAfterOnePacket) {
  IdleGovernor idle(Idle::kAdaptive);
  for (uint32_t poll = 0; poll < kAwake + 50; ++poll) idle.next_sleep_us();
  idle.had_work();
  for (uint32_t poll = 0; poll < kAwake; ++poll) ASSERT_EQ(idle.next_sleep_us(), 0u);
  EXPECT_LT(idle.next_sleep_us(), 2 * IdleGovernor::kShortestSleepUs);
}

}  // namespace
}  // namespace teal::test
