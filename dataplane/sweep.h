// SPDX-License-Identifier: Apache-2.0
//
// Ageing: a clock hand goes round the worker's buckets at a steady pace, a few per iteration, and ends the
// flows whose timeout is over. A round takes 1 s, and longer for a large table, so that ageing never takes
// more than about a hundredth of a core.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/burst.h"
#include "dataplane/track.h"

namespace teal {

class Sweeper {
 public:
  static constexpr uint64_t kBucketsPerSecond = 100'000;  // at most
  static constexpr uint32_t kMostAtOnce = 256;            // buckets an iteration

  Sweeper(Tracker& tracker, WorkerBlock& block, uint64_t tsc_hz)
      : tracker_(tracker),
        block_(block),
        hand_(tracker.first_bucket()),
        tsc_per_bucket_(tsc_hz / std::clamp<uint64_t>(tracker.end_bucket() - hand_, 1, kBucketsPerSecond)) {}

  void sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick);

 private:
  void sweep_bucket(const Rules& rules, uint32_t now_tick);

  Tracker& tracker_;
  WorkerBlock& block_;
  uint64_t hand_;  // bucket
  uint64_t tsc_per_bucket_;
  uint64_t swept_until_tsc_ = 0;
};

}  // namespace teal
