// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

namespace teal {

// Which clients of a service have failed in its present trial. A row holds the trial in which its latest
// client failed, so no trial has to clear them. Two clients of one row count as one, and trials that are
// 32,768 generations apart look the same: both only lose failures, of both colours alike.
struct FailedClients {
  static constexpr uint32_t kRows = 2048;
  std::atomic<uint16_t> trials[kRows];  // workers: rw by exchange; 0: no client has failed

  // Notes that a client failed in the trial that began with this generation (TrafficSplit::counted_from).
  // Returns true for its first failure. Any worker may call it at any time: one worker gets true.
  bool is_first(uint64_t client_hash, uint32_t counted_from) {
    const auto trial = static_cast<uint16_t>(counted_from << 1 | 1);
    // Relaxed: each row is complete by itself.
    return trials[client_hash % kRows].exchange(trial, std::memory_order_relaxed) != trial;
  }
};

}  // namespace teal
