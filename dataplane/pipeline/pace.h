// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>

namespace teal {

// A token bucket: it holds the tokens of a tenth of a second, at least one. The workers that share a rate
// have a bucket each, with a part of the rate. So after a pause, each of them may take a token at once.
class Pace {
 public:
  Pace(uint64_t tsc_hz, uint32_t workers) : tsc_hz_(tsc_hz), workers_(workers) {}

  // Takes a token. Returns false if there is none. `per_second` is the rate of all workers together, at least
  // 1. `now_tsc` never goes back.
  bool take(uint64_t now_tsc, uint32_t per_second) {
    const uint64_t cost = tsc_hz_ * workers_ / per_second;
    const uint64_t depth = std::max(tsc_hz_ / 10, cost);
    if (now_tsc - paid_until_tsc_ > depth) paid_until_tsc_ = now_tsc - depth;
    if (now_tsc - paid_until_tsc_ < cost) return false;
    paid_until_tsc_ += cost;
    return true;
  }

 private:
  uint64_t tsc_hz_;
  uint64_t workers_;
  uint64_t paid_until_tsc_ = 0;
};

}  // namespace teal
