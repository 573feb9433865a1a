// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "control/loop/clock.h"

namespace teal {

// A clock that a test sets. A wait passes at once: it moves the clock and calls on_sleep.
class SteppedClock : public Clock {
 public:
  Time now() const override { return Time() + (passed_ += std::chrono::microseconds(1)); }  // so loops end
  int64_t wall_ms() const override {
    return 1'700'000'000'000 + wall_jump_ms + passed_ / std::chrono::milliseconds(1);
  }
  uint64_t tick() const override {
    return first_tick_ + static_cast<uint64_t>(passed_ / std::chrono::nanoseconds(kTickNs));
  }
  Task<void> wait(asio::steady_timer&, Time until) const override {
    passed_ = until - Time();
    on_sleep();
    co_await yield_to_loop();
  }

  void advance(std::chrono::steady_clock::duration duration) { passed_ += duration; }

  std::function<void()> on_sleep = [] {};
  int64_t wall_jump_ms = 0;  // somebody sets the clock of the host

 private:
  const uint64_t first_tick_ = now_ticks();
  mutable std::chrono::nanoseconds passed_{0};
};

}  // namespace teal
