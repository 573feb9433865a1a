// SPDX-License-Identifier: Apache-2.0
//
// How a test divides its capital among bets that begin at different times.
//
// A colour may become bad late. A capital that has bet on many good outcomes is lost by then, so a part of
// the capital is kept for later. Investment number n (from 1) is 1 / (n (n + 1)) of a purse: 1/2, 1/6,
// 1/12, ... These parts add up to 1, so the sum of all bets does not grow on average, however long a
// rollout takes. A bet that begins with investment n starts with 1 / (n (n + 1)) of the purse.
#pragma once

#include <cstdint>

namespace teal {

// The two purses. A new step brings load, and so is the likelier time to become bad.
inline constexpr double kCapitalForSteps = 0.8;
inline constexpr double kCapitalForTime = 0.2;  // an investment every kRestartNs
inline constexpr uint64_t kRestartNs = 10'000'000'000;

// Returns the part of a purse that is left after this many investments.
constexpr double part_left(uint64_t investments) {
  return 1 / (static_cast<double>(investments) + 1);
}

// Returns the part that the investments after the first `before`, up to number `now`, take together.
constexpr double part_invested(uint64_t before, uint64_t now) {
  return part_left(before) - part_left(now);
}

}  // namespace teal
