// SPDX-License-Identifier: Apache-2.0
#include "control/trial/past.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

TEST(SlowBound, NeedsAHundredTimesAndEndsAtASecond) {
  const auto times = [](uint64_t fast, uint64_t slow_us, uint64_t slow) {
    AnswerTimes counted{};
    counted[TimeHistogram::bucket_of(100)] = fast;
    counted[TimeHistogram::bucket_of(slow_us)] += slow;
    return slow_bound_us(counted);
  };
  EXPECT_EQ(times(99, 5'000, 0), 0u) << "too few";
  EXPECT_EQ(times(100, 5'000, 0), 128u);
  EXPECT_EQ(times(990, 5'000, 10), 128u);
  EXPECT_EQ(times(989, 5'000, 11), 8'192u);
  EXPECT_EQ(times(100, 600'000, 100), 0u) << "only 1 s counts";
}

}  // namespace
}  // namespace teal
