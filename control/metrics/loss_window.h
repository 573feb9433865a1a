// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include "control/loop/clock.h"

namespace teal {

// Tells how many packets were lost within the last minute, from the samples of a counter.
class LossWindow {
 public:
  // `lost` is the counter's value. A counter that went back has begun again. Losses before the first
  // sample do not count.
  void add(Clock::Time now, uint64_t lost) {
    constexpr std::chrono::minutes kWindow(1);
    if (!samples_.empty() && samples_.back().lost > lost) samples_.clear();
    samples_.push_back({now, lost});
    while (samples_.size() > 1 && samples_.front().at + kWindow < now) samples_.pop_front();
  }
  uint64_t of_last_minute() const {
    return samples_.empty() ? 0 : samples_.back().lost - samples_.front().lost;
  }

 private:
  struct Sample {
    Clock::Time at;
    uint64_t lost;
  };
  std::deque<Sample> samples_;  // oldest first
};

}  // namespace teal
