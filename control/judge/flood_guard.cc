// SPDX-License-Identifier: Apache-2.0
#include "control/judge/flood_guard.h"

#include <algorithm>

namespace teal {

FloodGuard::FloodGuard(double old_rate, uint64_t now_ns)
    : most_in_second_(kTimesOldRate * old_rate + kMargin),
      most_in_all_(kTimesOldRate * old_rate * (kLongSlices / kShortSlices) + kMargin),
      start_ns_(now_ns) {}

bool FloodGuard::is_flood(uint64_t flows, uint64_t now_ns) {
  const uint64_t slice = std::max(slice_, now_ns > start_ns_ ? (now_ns - start_ns_) / kSliceNs : 0);
  // Slices without a call had no flows. After a long pause that is every slice.
  for (uint64_t empty = std::max(slice_ + 1, slice >= kLongSlices ? slice - kLongSlices + 1 : 0);
       empty <= slice; ++empty)
    flows_[empty % kLongSlices] = 0;
  slice_ = slice;
  uint32_t& newest = flows_[slice % kLongSlices];
  newest = static_cast<uint32_t>(std::min<uint64_t>(newest + flows, UINT32_MAX));
  double in_second = 0, in_all = 0;
  for (size_t age = 0; age < kLongSlices; ++age) {
    const uint32_t count = flows_[(slice + kLongSlices - age) % kLongSlices];
    in_all += count;
    if (age < kShortSlices) in_second += count;
  }
  if (in_second > most_in_second_ || in_all > most_in_all_) held_until_ns_ = now_ns + kHoldNs;
  return now_ns < held_until_ns_;
}

}  // namespace teal
