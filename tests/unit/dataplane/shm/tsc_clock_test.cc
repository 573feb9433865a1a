// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/tsc_clock.h"

#include <cmath>
#include <thread>

#include <gtest/gtest.h>
#include <x86intrin.h>

namespace teal {
namespace {

TEST(TscClock, TwoMeasurementsAgree) {
  const auto first = static_cast<double>(measure_tsc_hz());
  const auto second = static_cast<double>(measure_tsc_hz());
  EXPECT_LT(std::abs(first - second) / first, 1e-3);
}

TEST(TickClock, FollowsClockMonotonic) {
  TickClock clock(measure_tsc_hz());
  for (int i = 0; i < 50; ++i) {
    const uint32_t before = now_ticks();
    const uint32_t ticks = clock.ticks(__rdtsc());
    const uint32_t after = now_ticks();
    EXPECT_GE(ticks + 1, before);
    EXPECT_LE(ticks, after + 1);
    if (i % 10 == 9) clock.reanchor();
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

TEST(TickClock, NeverGoesBackOverAnchors) {
  // Twice too slow a frequency is given, so that the clock runs at double speed and every new anchor would
  // set it back.
  const uint64_t hz = measure_tsc_hz();
  TickClock clock(hz / 2);
  uint32_t last = clock.ticks(__rdtsc());
  for (int i = 0; i < 30; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    const uint32_t before = clock.ticks(__rdtsc());
    EXPECT_GE(before, last);
    clock.reanchor();
    last = clock.ticks(__rdtsc());
    EXPECT_GE(last, before);
  }
}

TEST(TickClock, EarlierTscCountsAsTheAnchor) {
  const uint64_t early = __rdtsc();
  TickClock clock(measure_tsc_hz());
  EXPECT_LE(clock.ticks(early - 1'000'000'000), clock.ticks(__rdtsc()));
  EXPECT_GE(clock.ticks(early - 1'000'000'000) + 2, now_ticks());
}

}  // namespace
}  // namespace teal
