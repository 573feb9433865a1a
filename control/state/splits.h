// SPDX-License-Identifier: Apache-2.0
//
// The traffic splits of services: the inventory makes them, and a start learns from those in the segment.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "control/state/inventory.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

// Takes over each flip that is later in the segment than in the inventory: teald was killed before it
// recorded the result, or the disk failed. A flip is recorded before it is published, so one without a record
// is a rollback or an abort, and nothing is left to undo. Takes over the shares of the segment, too: a ramp
// with another share is paused. Returns the ids of the services that were flipped. `now_tick` and `now_ms`
// are the same moment.
std::vector<uint16_t> learn_splits(Inventory& inventory, uint64_t published_generation,
                                   const TrafficSplits& splits, uint64_t now_tick, int64_t now_ms);

// Returns the traffic split of a service. `present` (or null) is its split in the segment now. If that has
// the same flip, its exact time of the flip is kept, and so is a reset under way, as long as the deadline is
// over. `now_tick` and `now_ms` are the same moment.
TrafficSplit make_split(const ServiceState& service, const DrainConfig& drain, const TrafficSplit* present,
                        uint64_t now_tick, int64_t now_ms);

// Returns the traffic splits of all services. `present` (or null): the splits in the segment now.
TrafficSplits make_splits(const Inventory& inventory, const Config& config, const TrafficSplits* present,
                          uint64_t now_tick, int64_t now_ms);

uint32_t drain_ticks(std::chrono::milliseconds timeout);  // at least 1, as 0 says "never flipped"

// Returns whether both send the new flows of these services alike.
bool same_splits(const Inventory& inventory, const TrafficSplits& a, const TrafficSplits& b);

}  // namespace teal
