// SPDX-License-Identifier: Apache-2.0
#include "dataplane/sweep.h"

#include "dataplane/phase.h"

namespace teal {

void Sweeper::sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  if (tracker_.first_bucket() == tracker_.end_bucket()) return;
  const uint64_t due = (now_tsc - swept_until_tsc_) / tsc_per_bucket_;
  if (due == 0) return;
  // Behind by more than is done at once: what is missed is made up for by nobody, the round takes longer.
  swept_until_tsc_ = due <= kMostAtOnce ? swept_until_tsc_ + due * tsc_per_bucket_ : now_tsc;
  for (uint64_t i = std::min<uint64_t>(due, kMostAtOnce); i > 0; --i) sweep_bucket(rules, now_tick);
}

void Sweeper::sweep_bucket(const Rules& rules, uint32_t now_tick) {
  FlowTable& table = tracker_.table();
  table.for_each_in_bucket(hand_, [&](FlowIndex index, const Flow& flow) {
    if (ticks_since(flow.state.tick, now_tick) < timeout_ticks(rules.ruleset.timeouts, flow.state)) return;
    const uint64_t hash = client_hash(flow.client, flow.client_port, table.hash_seed());
    tracker_.end_flow(index, table.place_of(hash, rules[flow.backend]));
    block_.count(Event::k_flows_aged);
  });
  if (++hand_ == tracker_.end_bucket()) hand_ = tracker_.first_bucket();
}

}  // namespace teal
