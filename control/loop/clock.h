// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

#include "control/loop/coroutine.h"
#include "control/loop/wall_clock.h"
#include "dataplane/shm/tsc_clock.h"

namespace teal {

// The clocks that changes go by. Tests derive a clock that they set, so that no test waits for time to pass.
class Clock {
 public:
  using Time = std::chrono::steady_clock::time_point;

  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  virtual Time now() const { return std::chrono::steady_clock::now(); }
  virtual int64_t wall_ms() const { return wall_clock_ms(); }  // since 1970, UTC
  virtual uint32_t tick() const { return now_ticks(); }        // the coarse clock of the workers
  virtual Task<void> sleep(std::chrono::steady_clock::duration duration) const { return sleep_for(duration); }
};

}  // namespace teal
