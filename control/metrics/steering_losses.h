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
    if (of_last_minute() == 0 || now < next_) return 0;
    next_ = now + std::chrono::minutes(1);
    return of_last_minute();
  }

 private:
  std::optional<uint64_t> dropped_;
  LossWindow window_;
  Clock::Time next_{};
};

}  // namespace teal
