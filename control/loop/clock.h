// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "control/loop/coroutine.h"
#include "control/loop/wall_clock.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {

// Tells the time to all of teald. Tests derive a clock that they set, so that no test waits for time to pass.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual Time now() const { return std::chrono::steady_clock::now(); }
  // The same on the whole host, in ms.
  int64_t steady_ms() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now().time_since_epoch()).count();
  }
  virtual int64_t wall_ms() const { return wall_clock_ms(); }  // since 1970, UTC
  virtual uint64_t tick() const { return now_ticks(); }        // the coarse clock of the workers
  // Returns at `until`, or as soon as the timer is cancelled.
  virtual Task<void> wait(asio::steady_timer& timer, Time until) const {
    timer.expires_at(until);
    boost::system::error_code cancelled;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  }

  Task<void> sleep(Time::duration duration) const {
    const Time until = now() + duration;
    asio::steady_timer timer(co_await asio::this_coro::executor);
    co_await wait(timer, until);
  }
};

}  // namespace teal
