// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/tsc_clock.h"

#include <cmath>

#include <gtest/gtest.h>
#include <x86intrin.h>

#include "dataplane/shm/ruleset.h"

namespace teal {
namespace {

constexpr uint64_t kHz = 2'000'000'000;
constexpr uint64_t kTscPerTick = kHz / 1'000'000'000 * kTickNs;

// The reading of two clocks that agree, `ticks` after an arbitrary moment.
ClockReading reading_after(double ticks) {
  return {.tsc = 7'000'000'000'000 + static_cast<uint64_t>(ticks * kTscPerTick),
          .monotonic_ns = 500'000 * kTickNs + static_cast<uint64_t>(ticks * kTickNs)};
}

TEST(TscClock, TwoMeasurementsOfTheFrequencyAgree) {
  const auto first = static_cast<double>(measure_tsc_hz());
  const auto second = static_cast<double>(measure_tsc_hz());
  EXPECT_LT(std::abs(first - second) / first, 1e-3);
}

TEST(TickClock, SaysTheTicksOfClockMonotonic) {
  TickClock clock(measure_tsc_hz(), read_clocks());
  for (int i = 0; i < 50; ++i) {
    const uint32_t before = now_ticks();
    const uint32_t ticks = clock.ticks(__rdtsc());
    const uint32_t after = now_ticks();
    EXPECT_GE(ticks + 1, before);
    EXPECT_LE(ticks, after + 1);
    if (i % 10 == 9) clock.reanchor(read_clocks());
  }
}

TEST(TickClock, GoesOnBetweenAnchorsByTheTsc) {
  TickClock clock(kHz, reading_after(0.25));
  for (const double ticks : {0.3, 0.9, 1.1, 99.5, 100.5, 12345.5})
    EXPECT_EQ(clock.ticks(reading_after(ticks).tsc), 500'000 + static_cast<uint32_t>(ticks)) << ticks;
}

TEST(TickClock, NeverGoesBackOverAnchors) {
  // Half the true frequency: the clock runs at double speed, so that every new anchor would set it back.
  TickClock clock(kHz / 2, reading_after(0));
  uint32_t last = clock.ticks(reading_after(0).tsc);
  for (double ticks = 0.5; ticks < 20; ticks += 0.5) {
    const uint32_t before = clock.ticks(reading_after(ticks).tsc);
    EXPECT_GE(before, last);
    clock.reanchor(reading_after(ticks));
    last = clock.ticks(reading_after(ticks).tsc);
    EXPECT_GE(last, before);
  }
  EXPECT_GE(last, 500'000u + 19);
}

TEST(TickClock, FollowsAnAnchorThatIsAhead) {
  TickClock clock(2 * kHz, reading_after(0));  // at half speed
  EXPECT_EQ(clock.ticks(reading_after(100.5).tsc), 500'050u);
  clock.reanchor(reading_after(100.5));
  EXPECT_EQ(clock.ticks(reading_after(100.5).tsc), 500'100u);
}

TEST(TickClock, EarlierTscCountsAsTheAnchor) {
  const TickClock clock(kHz, reading_after(100.5));
  EXPECT_EQ(clock.ticks(reading_after(0).tsc), 500'100u);
}

}  // namespace
}  // namespace teal
