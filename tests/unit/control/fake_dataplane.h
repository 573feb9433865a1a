// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/shm/process_lock.h"
#include "dataplane/shm/segment.h"

namespace teal {

// Imitates a dataplane for teald: it holds the lock, makes the segment, and its workers load the publication
// word and report what they have adopted. It forwards no packets.
class FakeDataplane {
 public:
  explicit FakeDataplane(const std::string& run_dir, uint32_t workers = 1, bool hold_still = false);
  ~FakeDataplane() { stop(); }

  Segment& segment() { return *segment_; }
  // Fills the row of a port that DPDK owns.
  void add_port(uint16_t id, const char* name, LinkState link, uint64_t missed);
  const TrafficSplits& splits();  // as published now
  const Ruleset& ruleset();
  uint64_t generation() const;

  // A worker that holds still is in the middle of a burst: it adopts no generation and releases no slot.
  // Returns when every worker does so.
  void hold_still(bool still);
  // Ends in order. The segment's file stays; segment() must not be called again.
  void stop();
  // Ends as after SIGKILL: the workers do not release their slots.
  void die();

  static bool wait_for(const std::function<bool()>& condition,
                       std::chrono::milliseconds at_most = std::chrono::seconds(20));

 private:
  void work(uint32_t worker);

  std::optional<ProcessLock> lock_;
  std::optional<Segment> segment_;
  std::atomic<bool> hold_still_{false};
  std::atomic<uint32_t> still_{0};
  std::atomic<bool> stop_{false};
  std::atomic<bool> die_{false};
  std::atomic<uint32_t> ready_{0};
  std::vector<std::thread> threads_;
};

}  // namespace teal
