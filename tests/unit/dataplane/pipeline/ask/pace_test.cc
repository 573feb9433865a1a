// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/pace.h"

#include <gtest/gtest.h>

#include <vector>

namespace teal::test {
namespace {

constexpr uint64_t kPaceHz = 1'000'000'000, kPaceStart = 77 * kPaceHz;

TEST(Pace, GivesTheTokensOfATenthOfASecondAtOnceAndThenTheRate) {
  Pace pace(kPaceHz, 1);
  const auto taken_at = [&](uint64_t tsc) {
    uint32_t taken = 0;
    while (pace.take(tsc, 1'000)) ++taken;
    return taken;
  };
  EXPECT_EQ(taken_at(kPaceStart), 100u);
  EXPECT_EQ(taken_at(kPaceStart), 0u);
  EXPECT_EQ(taken_at(kPaceStart + kPaceHz / 100), 10u);
  EXPECT_EQ(taken_at(kPaceStart + kPaceHz), 100u) << "tokens past the depth of the bucket are lost";
  uint32_t taken = 0;
  for (uint64_t ms = 1; ms <= 1'000; ++ms) taken += taken_at(kPaceStart + kPaceHz + ms * kPaceHz / 1'000);
  EXPECT_EQ(taken, 1'000u);
}

TEST(Pace, WorkersShareTheRate) {
  constexpr uint64_t kSeconds = 32;
  for (const uint32_t workers : {1u, 3u, 16u}) {
    for (const uint32_t rate : {1u, 7u, 500u}) {
      std::vector<Pace> paces(workers, Pace(kPaceHz, workers));
      uint64_t taken = 0;
      for (uint64_t ms = 0; ms < kSeconds * 1'000; ++ms)
        for (Pace& pace : paces)
          while (pace.take(kPaceStart + ms * kPaceHz / 1'000, rate)) ++taken;
      const uint64_t depth = std::max(rate / 10, workers);
      EXPECT_LE(taken, kSeconds * rate + depth) << workers << " workers, " << rate << " a second";
      EXPECT_GE(taken + workers, kSeconds * rate) << workers << " workers, " << rate << " a second";
    }
  }
}

}  // namespace
}  // namespace teal::test
