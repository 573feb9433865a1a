// SPDX-License-Identifier: Apache-2.0
#include "dataplane/worker_clock.h"

#include <gtest/gtest.h>

#include "dataplane/shm/ruleset.h"

namespace teal::test {
namespace {

constexpr uint64_t kHz = 2'000'000'000;  // what the segment says
constexpr uint64_t kStartTsc = 50 * kHz;
constexpr uint32_t kStartTick = 700'000;
constexpr uint32_t kTicksOfASecond = 1'000'000'000 / kTickNs;

// The two clocks, set by the test. `real_hz` is the true frequency of the TSC.
struct Clocks {
  double seconds = 0;
  double real_hz = kHz;

  uint64_t tsc() const { return kStartTsc + static_cast<uint64_t>(seconds * real_hz); }
  uint32_t tick() const { return kStartTick + static_cast<uint32_t>(seconds * kTicksOfASecond); }
} clocks;

ClockReading read_test_clocks() {
  return {.tsc = clocks.tsc(),
          .monotonic_ns = kStartTick * kTickNs + static_cast<uint64_t>(clocks.seconds * 1e9)};
}

TEST(WorkerClock, SaysTheTscAndTheTicksOfTheMonotonicClock) {
  clocks = {};
  WorkerClock clock(kHz, read_test_clocks);
  for (; clocks.seconds < 5; clocks.seconds += 0.123) {
    const Time now = clock.at(clocks.tsc());
    EXPECT_EQ(now.tsc, clocks.tsc());
    EXPECT_NEAR(now.tick, clocks.tick(), 1) << clocks.seconds;
  }
}

// The measured frequency of the TSC is some ppm off. Over days, the ages of flows would drift away from the
// times of flips that teald writes.
TEST(WorkerClock, ClockOfAWrongFrequencyIsSetRightEverySecond) {
  for (const double error : {0.75, 1.25}) {
    clocks = {.real_hz = kHz * error};
    WorkerClock clock(kHz, read_test_clocks);
    uint32_t last = 0;
    for (; clocks.seconds < 60; clocks.seconds += 0.01) {
      const uint32_t tick = clock.at(clocks.tsc()).tick;
      EXPECT_GE(tick, last) << "it went back";
      last = tick;
      EXPECT_NEAR(tick, clocks.tick(), 35) << "after " << clocks.seconds << " s";
    }
  }
}

}  // namespace
}  // namespace teal::test
