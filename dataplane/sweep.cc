// SPDX-License-Identifier: Apache-2.0
#include "dataplane/sweep.h"

#include "dataplane/phase.h"

namespace teal {

void Sweeper::sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  if (tracker_.first_bucket() == tracker_.end_bucket()) return;
  const uint64_t due = (now_tsc - swept_until_tsc_) / tsc_per_bucket_;
  if (due == 0) return;
  // Behind by more than is done at once: what is missed is made up for by nobody, the round takes longer.
  if (due > kMostAtOnce) swept_until_tsc_ = now_tsc - kMostAtOnce * tsc_per_bucket_;
  // What is left as the probes fill a burst is due in the next iteration.
  for (uint64_t i = std::min<uint64_t>(due, kMostAtOnce); i > 0 && probes_have_room(); --i) {
    swept_until_tsc_ += tsc_per_bucket_;
    sweep_bucket(rules, now_tsc, now_tick);
  }
}

void Sweeper::sweep_bucket(const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  tracker_.table().for_each_in_bucket(hand_, [&](FlowIndex index, const Flow& flow) {
    if (flow.state.phase == FlowPhase::kResetting) {
      resetter_.go_on(index, flow, rules, now_tick);
    } else if (ticks_since(flow.state.tick, now_tick) >= timeout_ticks(rules.ruleset.timeouts, flow.state)) {
      tracker_.end_flow(index, flow, rules);
      block_.count(Event::k_flows_aged);
    } else if (!is_closing(flow.state.phase) && is_to_be_reset(flow, rules)) {
      resetter_.begin(index, flow, rules, now_tsc, now_tick);
    }
  });
  if (++hand_ == tracker_.end_bucket()) hand_ = tracker_.first_bucket();
}

}  // namespace teal
