// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>

#include "control/loop/clock.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

// The real time plus what a test has skipped. It is for code that runs in a thread of its own: a step that
// takes a moment takes it, and no test waits for a time limit.
class SkippingClock : public Clock {
 public:
  Time now() const override { return Clock::now() + skipped(); }
  int64_t wall_ms() const override { return Clock::wall_ms() + skipped() / std::chrono::milliseconds(1); }
  uint64_t tick() const override {
    return Clock::tick() + static_cast<uint64_t>(skipped() / std::chrono::nanoseconds(kTickNs));
  }
  Task<void> wait(asio::steady_timer& timer, Time until) const override {
    const Waiting waiting(*this, timer, until);
    co_await Clock::wait(timer, until - skipped());
  }

  // Ends each wait whose time has come by that. Any other wait that has begun already ends in its real time,
  // or by a later skip.
  void skip(Time::duration duration) {
    const std::lock_guard hold(mutex_);
    skipped_ += duration;
    for (const Wait& wait : waits_) asio::post(wait.timer->get_executor(), [this] { end_waits(); });
  }
  // Returns true as soon as a wait is under way that ends within `duration`; false if none begins.
  [[nodiscard]] bool is_waited_for(Time::duration duration) const {
    std::unique_lock hold(mutex_);
    const auto ends = [&](const Wait& wait) {
      const Time present = Clock::now() + skipped_;
      return wait.until > present && wait.until <= present + duration;
    };
    const auto one_ends = [&] { return std::any_of(waits_.begin(), waits_.end(), ends); };
    return began_.wait_for(hold, std::chrono::seconds(5), one_ends);
  }

 private:
  struct Wait {
    asio::steady_timer* timer;
    Time until;
  };
  class Waiting {
   public:
    Waiting(const SkippingClock& clock, asio::steady_timer& timer, Time until) : clock_(clock) {
      const std::lock_guard hold(clock_.mutex_);
      wait_ = clock_.waits_.insert(clock_.waits_.end(), {&timer, until});
      clock_.began_.notify_all();
    }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() {
      const std::lock_guard hold(clock_.mutex_);
      clock_.waits_.erase(wait_);
    }

   private:
    const SkippingClock& clock_;
    std::list<Wait>::iterator wait_;
  };

  Time::duration skipped() const {
    const std::lock_guard hold(mutex_);
    return skipped_;
  }
  void end_waits() {
    const std::lock_guard hold(mutex_);
    for (const Wait& wait : waits_)
      if (wait.until <= Clock::now() + skipped_) wait.timer->cancel();
  }

  mutable std::mutex mutex_;
  mutable std::condition_variable began_;
  mutable std::list<Wait> waits_;
  Time::duration skipped_{0};
};

}  // namespace teal
