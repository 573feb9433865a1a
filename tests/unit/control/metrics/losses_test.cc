// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/steering_losses.h"

#include <gtest/gtest.h>

namespace teal {
namespace {

using std::chrono::seconds;

SteerCounters dropped(uint64_t count) {
  SteerCounters counters{};
  counters[STEER_PASS] = 1'000'000;
  counters[STEER_NO_SOCKET] = count;
  return counters;
}

TEST(SteeringLosses, AreWhatTheProgramDroppedAndOfTheLastMinute) {
  const Clock::Time start{};
  SteeringLosses losses;
  EXPECT_FALSE(losses.dropped());
  EXPECT_EQ(losses.of_last_minute(), 0u);
  losses.sample(dropped(7), start);
  EXPECT_EQ(losses.dropped(), 7u);
  EXPECT_EQ(losses.of_last_minute(), 0u) << "losses before the first sample are old";
  losses.sample(dropped(19), start + seconds(30));
  EXPECT_EQ(losses.dropped(), 19u);
  EXPECT_EQ(losses.of_last_minute(), 12u);
  losses.sample(dropped(19), start + seconds(91));
  EXPECT_EQ(losses.of_last_minute(), 0u);
}

TEST(SteeringLosses, TheLogTellsOfThemOnceAMinuteAndNotOfThoseBefore) {
  SteeringLosses losses;
  const auto at = [&](int second, uint64_t dropped) {
    SteerCounters counters{};
    counters[STEER_NO_SOCKET] = dropped;
    losses.sample(counters, Clock::Time(std::chrono::seconds(second)));
    return losses.news(Clock::Time(std::chrono::seconds(second)));
  };
  EXPECT_EQ(losses.news(Clock::Time()), 0u);
  EXPECT_EQ(at(100, 7), 0u) << "before teald";
  EXPECT_EQ(at(101, 10), 3u);
  EXPECT_EQ(at(102, 20), 0u) << "within the minute";
  EXPECT_EQ(at(161, 25), 15u);
  EXPECT_EQ(at(300, 25), 0u);
  EXPECT_EQ(at(301, 2), 0u) << "the program is a new one";
  EXPECT_EQ(at(302, 4), 2u);
}

TEST(SteeringLosses, BeginAgainWithTheProgramAndAreNotKnownWithoutIt) {
  const Clock::Time start{};
  SteeringLosses losses;
  losses.sample(dropped(19), start);
  losses.sample(dropped(2), start + seconds(1));
  EXPECT_EQ(losses.dropped(), 2u);
  EXPECT_EQ(losses.of_last_minute(), 0u);
  losses.sample(std::nullopt, start + seconds(2));
  EXPECT_FALSE(losses.dropped());
  EXPECT_EQ(losses.of_last_minute(), 0u);
}

}  // namespace
}  // namespace teal
