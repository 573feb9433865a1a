// SPDX-License-Identifier: Apache-2.0
#include "dataplane/shm/flow_table.h"

#include <algorithm>
#include <cmath>

namespace teal {

// Partitions fill unevenly (binomial), so each gets four standard deviations more than its share, and 10 %
// free slots so that the two choices work. In a table of millions, the deviations are small but many more
// buckets can be full. There, 13 % of all slots stay free. A service alone has room for all flows
// (WorkerFlows::has_slots).
FlowTable::Geometry FlowTable::Geometry::for_capacity(uint64_t flows, uint32_t partitions) {
  const double share = static_cast<double>(flows) / partitions;
  const double slots = std::max((share + 4 * std::sqrt(share)) / 0.90, share / 0.87);
  return {partitions, static_cast<uint32_t>(std::max(1.0, std::ceil(slots / kSlots)))};
}

void FlowTable::remove(FlowIndex index, const Location& location) {
  const uint64_t bucket = bucket_of(index);
  buckets_[bucket].tags[slot_of(index)].store(0, std::memory_order_relaxed);
  if (bucket == location.first) return;
  auto& displaced = buckets_[location.first].displaced;
  // Release: the count is not lowered before the tag is cleared. A kill in between leaves the count too high,
  // which only costs a lookup in the second bucket. A count that is too low would hide a flow.
  displaced.store(static_cast<uint16_t>(displaced.load(std::memory_order_relaxed) - 1),
                  std::memory_order_release);
}

std::optional<Flow> FlowTable::read(FlowIndex index) const {
  const Bucket& bucket = buckets_[bucket_of(index)];
  for (int tries = 0; tries < 8; ++tries) {
    // Acquire: pairs with the release store in insert(). A tag that was cleared before this number was stored
    // is seen cleared, or replaced.
    const uint32_t inserts = bucket.inserts.load(std::memory_order_acquire);
    if (bucket.tags[slot_of(index)].load(std::memory_order_acquire) == 0) return std::nullopt;
    uint64_t words[4];
    for (int i = 0; i < 4; ++i) words[i] = entry(index).words[i].load(std::memory_order_acquire);
    if (bucket.inserts.load(std::memory_order_relaxed) == inserts) return std::bit_cast<Flow>(words);
  }
  return std::nullopt;
}

}  // namespace teal
