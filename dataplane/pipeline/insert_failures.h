// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dataplane/shm/segment.h"

namespace teal {

// When this worker last could not make an entry for a flow. For some time after that, packets without an
// entry may belong to flows of Teal (stateless.h). The time has 64 bits, as the last failure may be years
// old.
class InsertFailures {
 public:
  explicit InsertFailures(WorkerBlock& block) : block_(block) {}

  // At the start of a burst.
  void set_time(uint64_t tick) { now_tick_ = tick; }
  uint64_t now_tick() const { return now_tick_; }

  // `why` is k_table_full, k_embryonic_quota or k_service_share. The packet is forwarded without an entry.
  void note(Event why) {
    block_.count(why);
    block_.count(Event::k_stateless);
    block_.status.last_insert_failure_tick.store(now_tick_, std::memory_order_relaxed);
  }

  bool within(uint64_t ticks) const {
    const uint64_t failed_at = block_.status.last_insert_failure_tick.load(std::memory_order_relaxed);
    return failed_at != 0 && age_in_ticks(failed_at, now_tick_) <= ticks;
  }

 private:
  WorkerBlock& block_;
  uint64_t now_tick_ = 0;
};

}  // namespace teal
