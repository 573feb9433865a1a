// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dataplane/shm/segment.h"

namespace teal {

// When this worker last could not make an entry for a flow. For some time after that, packets without an
// entry may belong to flows of Teal (stateless.h).
class InsertFailures {
 public:
  explicit InsertFailures(WorkerBlock& block) : block_(block) {}

  // `why` is k_table_full or k_embryonic_quota. The packet is forwarded without an entry.
  void note(Event why, uint32_t now_tick) {
    block_.count(why);
    block_.count(Event::k_stateless);
    block_.status.last_insert_failure_tick.store(now_tick, std::memory_order_relaxed);
  }

  bool within(uint32_t ticks, uint32_t now_tick) const {
    const uint32_t failed_at = block_.status.last_insert_failure_tick.load(std::memory_order_relaxed);
    return failed_at != 0 && ticks_since(failed_at, now_tick) <= ticks;
  }

 private:
  WorkerBlock& block_;
};

}  // namespace teal
