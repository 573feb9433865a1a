// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/shm/segment.h"

namespace teal {

// Does every worker's loop go round? Its total_tsc grows with each round, also over its sleeps, which take a
// millisecond at most.
class Watchdog {
 public:
  Watchdog(const Segment& segment, uint32_t workers) : segment_(segment), workers_(workers) {
    static_cast<void>(stalled());  // total_tsc goes on from the former process
  }

  // A worker that has not gone round since the last call. Calls are much further apart than a round takes.
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
