// SPDX-License-Identifier: Apache-2.0
#include "control/api/resources/top_counts.h"

#include <gtest/gtest.h>

#include <random>

namespace teal {
namespace {

using Counts = TopCounts<uint64_t, std::hash<uint64_t>>;

TEST(TopCounts, AreExactUpToTheNumberOfCandidates) {
  Counts counts;
  for (uint64_t key = 0; key < Counts::kMaxCandidates; ++key)
    for (uint64_t i = 0; i <= key % 7; ++i) counts.add(key);
  counts.add(6);
  const auto top = counts.top(2);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0], (std::pair<uint64_t, uint64_t>(6, 8)));
  EXPECT_EQ(top[1].second, 7u);
  EXPECT_EQ(counts.error(), 0u);
  EXPECT_EQ(counts.top(1'000'000).size(), Counts::kMaxCandidates);
}

TEST(TopCounts, FindFrequentKeysAmongAMillionOthers) {
  Counts counts;
  std::mt19937_64 random(7);
  constexpr uint64_t kFrequent = 3, kOthers = 1'000'000, kTimes = 5000;
  for (uint64_t i = 0; i < kOthers; ++i) {
    counts.add(1000 + random());
    // Key 2 occurs in the second half only.
    if (i % (kOthers / kTimes) == 0)
      for (uint64_t key = 0; key < kFrequent; ++key)
        if (key != 2 || i >= kOthers / 2) counts.add(key);
    ASSERT_LE(counts.candidates(), Counts::kMaxCandidates + 1);
  }
  const auto top = counts.top(kFrequent);
  ASSERT_EQ(top.size(), kFrequent);
  for (const auto& [key, count] : top) {
    const uint64_t exact = key == 2 ? kTimes / 2 : kTimes;
    EXPECT_LT(key, kFrequent);
    EXPECT_LE(count, exact);
    EXPECT_GE(count + counts.error(), exact);
  }
  EXPECT_LE(counts.error(), 2 * (kOthers + kFrequent * kTimes) / Counts::kMaxCandidates);
}

}  // namespace
}  // namespace teal
