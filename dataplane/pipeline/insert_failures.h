// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>

#include "dataplane/shm/segment.h"

namespace teal {

// When this worker last could not make an entry for a flow. For some time after that, packets without an
// entry may belong to flows of Teal (stateless.h). The time has 64 bits, as the last failure may be years
// old.
//
// A worker begins with the latest failure of all workers before it, which the file of the flows keeps: any of
// the flows without an entry may be its own now.
class InsertFailures {
 public:
  InsertFailures(WorkerBlock& block, FlowsHeader& flows)
      : block_(block),
        latest_of_all_(flows.last_insert_failure_tick),
        failed_at_(latest_of_all_.load(std::memory_order_relaxed)) {}

  // At the start of a burst.
  void set_time(uint64_t tick) { now_tick_ = tick; }
  uint64_t now_tick() const { return now_tick_; }

  // `why` is k_table_full, k_embryonic_quota or k_service_share. The packet is forwarded without an entry.
  void note(Event why) {
    block_.count(why);
    block_.count(Event::k_stateless);
    if (failed_at_ != now_tick_) note_time();
  }

  bool within(uint64_t ticks) const {
    return failed_at_ != 0 && age_in_ticks(failed_at_, now_tick_) <= ticks;
  }

 private:
  // At most once a tick, so workers do not contend for the shared word.
  [[gnu::noinline]] void note_time() {
    failed_at_ = now_tick_;
    uint64_t latest = latest_of_all_.load(std::memory_order_relaxed);
    while (latest < now_tick_ &&
           !latest_of_all_.compare_exchange_weak(latest, now_tick_, std::memory_order_relaxed)) {
    }
  }

  WorkerBlock& block_;
  std::atomic<uint64_t>& latest_of_all_;
  uint64_t failed_at_;  // tick; 0 = never
  uint64_t now_tick_ = 0;
};

}  // namespace teal
