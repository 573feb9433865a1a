// SPDX-License-Identifier: Apache-2.0
//
// The flows that one worker owns. Every flow begins, changes and ends here, so that three records agree:
//
//   flow table  the entry itself
//   ledger      how many flows each backend and colour has, and how many are not assured
//   due tick    when the sweep has to look into the entry's bucket again (sweep.h)
//
// One exception: the fast path refreshes a flow's idle timer in the table alone. A refresh changes no
// count, and it only postpones the end of the flow.
#pragma once

#include <bit>
#include <cstdint>

#include "dataplane/pipeline/phase.h"
#include "dataplane/shm/flow_ledger.h"
#include "dataplane/shm/rules.h"
#include "dataplane/shm/segment.h"

namespace teal {

class WorkerFlows {
 public:
  // Worker `worker` of `workers`, whose counters are `block`.
  WorkerFlows(Segment& segment, WorkerBlock& block, uint32_t worker, uint32_t workers);

  FlowsHeader& header() { return header_; }
  FlowTable& table() { return table_; }
  const FlowTable& table() const { return table_; }
  // The worker owns the buckets [first_bucket, end_bucket).
  uint64_t first_bucket() const { return first_bucket_; }
  uint64_t end_bucket() const { return end_bucket_; }

  // Flows that are not assured take a quarter of the worker's slots at most, so that a SYN flood leaves room.
  // A service takes eight times as much as is left free, of that quarter and of all slots: eight ninths if it
  // is alone. So each service can have much, and the flood of one leaves room to all others.
  bool has_quota(uint16_t service) const {
    return ledger_.unassured_of(service) < share_of(embryonic_quota_, ledger_.embryonic());
  }
  bool has_slots(uint16_t service) const {
    return ledger_.flows_of(service) < share_of(slots_, ledger_.flows());
  }
  bool is_full() const { return ledger_.flows() >= slots_; }

  // The worker has loaded this publication, and no flow has begun under it.
  void adopt(const Rules& rules);

  // Inserts a flow that is not in the table. Returns kNoFlow, and changes nothing, if both its
  // buckets are full. Inline in the one place where clients' packets begin flows.
  [[gnu::always_inline]] FlowIndex begin(const FlowTable::Location& location, const FlowKey& key,
                                         uint16_t backend, uint32_t birth_generation, const FlowState& state,
                                         const Rules& rules) {
    const FlowIndex flow = table_.insert(location, key, backend, birth_generation, state);
    if (flow == kNoFlow) return kNoFlow;
    table_.bring_forward(flow, end_tick(state, rules));
    ledger_.added(backend, state, birth_generation);
    return flow;
  }

  // Changes a flow's state from `before`, which is its present state.
  void change(FlowIndex flow, const FlowState& before, const FlowState& after, const Rules& rules) {
    // This compares the whole word at once. Without a change the line stays clean.
    if (std::bit_cast<uint64_t>(after) == std::bit_cast<uint64_t>(before)) return;
    table_.set_state(flow, after);
    table_.bring_forward(flow, end_tick(after, rules));  // it may end earlier than the sweep knows
    ledger_.moved(table_.backend(flow), before, after, table_.birth_generation(flow));
  }

  // Removes a flow. The second form is for callers that do not know the flow's location.
  void end(FlowIndex flow, const FlowTable::Location& location);
  void end(FlowIndex index, const Flow& flow, const Rules& rules);

 private:
  static uint32_t end_tick(const FlowState& state, const Rules& rules) {
    return state.tick + timeout_ticks(rules.ruleset.timeouts, state);
  }

  void recount_older();
  static uint64_t share_of(uint64_t slots, uint64_t used) { return used < slots ? 8 * (slots - used) : 0; }

  FlowTable table_;
  FlowLedger ledger_;
  const uint64_t first_bucket_, end_bucket_;
  const uint64_t slots_;            // of these buckets
  const uint64_t embryonic_quota_;  // slots
  bool is_without_publication_;     // the ledger knows no flip
  FlowsHeader& header_;
};

}  // namespace teal
