// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

#include "bpf/steer_maps.h"
#include "control/metrics/loss_window.h"

namespace teal {

// Tells how many packets the steering program dropped, because no dataplane had a socket on their queue. The
// losses go on while no dataplane runs.
class SteeringLosses {
 public:
  // To be called about once a second. Nothing: there is no AF_XDP port, or the counters cannot be read.
  void sample(const std::optional<SteerCounters>& counters, Clock::Time now) {
    if (!counters) {
      dropped_.reset();
      told_.reset();
      window_ = {};
      return;
    }
    dropped_ = (*counters)[STEER_NO_SOCKET];
    window_.add(now, *dropped_);
  }
  // The latest sample.
  const std::optional<uint64_t>& dropped() const { return dropped_; }
  uint64_t of_last_minute() const { return window_.of_last_minute(); }
  // Returns how many packets the log shall tell of now, at most once a minute; 0: none.
  uint64_t news(Clock::Time now) {
    if (!dropped_) return 0;
    const uint64_t told = told_.value_or(*dropped_);  // it does not tell of what was before teald
    if (!told_ || *dropped_ < told) told_ = dropped_;
    if (*dropped_ <= told || now < next_) return 0;
    told_ = dropped_;
    next_ = now + std::chrono::minutes(1);
    return *dropped_ - told;
  }

 private:
  std::optional<uint64_t> dropped_;
  LossWindow window_;
  std::optional<uint64_t> told_;
  Clock::Time next_{};
};

}  // namespace teal
