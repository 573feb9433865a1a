// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>

#include "control/loop/clock.h"

namespace teal {

// Spaces the attempts at something that fails: after the first failure the next attempt is due in a second,
// then in 2, 4, 8 seconds and so on, at most in a minute.
class Backoff {
 public:
  static constexpr std::chrono::seconds kFirst{1}, kLongest{60};

  explicit Backoff(const Clock& clock) : clock_(clock) {}

  bool is_due() const { return clock_.now() >= next_; }
  // Returns whether the latest attempt failed.
  bool is_failing() const { return pause_.count() != 0; }
  void failed() {
    pause_ = std::clamp(2 * pause_, kFirst, kLongest);
    next_ = clock_.now() + pause_;
  }
  void reset() {
    pause_ = {};
    next_ = {};
  }

 private:
  const Clock& clock_;
  std::chrono::seconds pause_{0};
  Clock::Time next_{};
};

}  // namespace teal
