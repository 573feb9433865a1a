// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/shm/segment.h"

namespace teal {

// Finds workers whose loop has stopped. A worker's total_tsc grows with each iteration. A sleep ends after a
// millisecond at most, so a sleeping worker is not a stalled one.
class Watchdog {
 public:
  Watchdog(const Segment& segment, uint32_t workers) : segment_(segment), workers_(workers) {
    static_cast<void>(stalled());  // total_tsc keeps the value of an earlier process
  }

  // Returns a worker that has not finished an iteration since the previous call, if there is one. The caller
  // waits much longer between calls than an iteration takes.
  std::optional<uint32_t> stalled() {
    std::optional<uint32_t> found;
    for (uint32_t worker = 0; worker < workers_; ++worker) {
      const uint64_t now = segment_.worker(worker).status.total_tsc.read();
      if (now == seen_[worker]) found = worker;
      seen_[worker] = now;
    }
    return found;
  }

 private:
  const Segment& segment_;
  const uint32_t workers_;
  std::array<uint64_t, kWorkerSlots> seen_{};
};

}  // namespace teal
