// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/sweep.h"

#include "dataplane/pipeline/phase.h"

namespace teal {
namespace {

constexpr uint32_t kNever = 1u << 30;  // ticks: 124 days, more than any timeout

// The tick at which the sweep has to look at a flow again if nobody changes it before.
uint32_t due_tick(const Flow& flow, const Rules& rules, const SegmentHeader& header, uint32_t now_tick) {
  if (flow.state.phase == FlowPhase::kResetting) return flow.state.tick + kProbeTicks;
  if (is_to_be_reset(flow, rules, header))
    return now_tick;  // it waits for the rate, or is closing and may live again
  return flow.state.tick + timeout_ticks(rules.ruleset.timeouts, flow.state);
}

}  // namespace

void Sweeper::sweep(const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  const uint64_t buckets = flows_.end_bucket() - flows_.first_bucket();
  if (buckets == 0) return;
  signals_.samples().sweep(rules, now_tsc, now_tick);
  const uint64_t pace = (now_tsc - swept_until_tsc_) / tsc_per_bucket_;
  if (pace == 0) return;
  // A late round is not caught up; it takes longer.
  if (pace > kMaxAtOnce) swept_until_tsc_ = now_tsc - kMaxAtOnce * tsc_per_bucket_;
  // Acquire: pairs with the release store in BackendWords::tell_workers(). The round sees the words before
  // it.
  const uint64_t health_changes = header_.health_changes.load(std::memory_order_acquire);
  if (rules.generation != generation_ || health_changes != health_changes_) {
    generation_ = rules.generation;
    health_changes_ = health_changes;
    all_are_due_ = buckets;
  }
  // When probes fill the burst, the next iteration goes on.
  for (uint64_t i = std::min<uint64_t>(pace, kMaxAtOnce); i > 0 && probes_have_room(); --i) {
    swept_until_tsc_ += tsc_per_bucket_;
    const uint64_t bucket = hand_;
    hand_ = after(bucket);
    // The tags of hand_ were prefetched one bucket ago.
    flows_.table().prefetch_tags(after(hand_));
    flows_.table().prefetch_young(hand_);
    if (flows_.table().young(bucket) != 0) look_at_young(bucket, rules, now_tick);
    if (looks_at_all()) {
      --all_are_due_;
      flows_.table().prefetch_entries(hand_);
      look_into(bucket, rules, now_tsc, now_tick);
    } else if (!is_before(now_tick, flows_.table().due(bucket))) {
      look_into(bucket, rules, now_tsc, now_tick);
    }
  }
}

void Sweeper::look_at_young(uint64_t bucket, const Rules& rules, uint32_t now_tick) {
  FlowTable& table = flows_.table();
  const uint32_t young = table.young(bucket);
  uint32_t left = young;
  for (uint32_t slots = young; slots != 0; slots &= slots - 1) {
    const auto slot = static_cast<uint32_t>(std::countr_zero(slots));
    if (signals_.is_settled(FlowTable::index_of(bucket, slot), rules, now_tick))
      left &= ~(uint32_t{1} << slot);
  }
  if (left != young) table.set_young(bucket, left);
}

void Sweeper::look_into(uint64_t bucket, const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  FlowTable& table = flows_.table();
  uint32_t due = now_tick + kNever;
  table.for_each_in_bucket(bucket, [&](FlowIndex index, const Flow& flow) {
    treat(index, flow, rules, now_tsc, now_tick);
    const auto left = table.read(index);
    if (!left) return;
    if (const uint32_t tick = due_tick(*left, rules, header_, now_tick); is_before(tick, due)) due = tick;
  });
  table.set_due(bucket, due);
}

void Sweeper::treat(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc,
                    uint32_t now_tick) {
  if (flow.state.phase == FlowPhase::kResetting) {
    resetter_.go_on(index, flow, rules, now_tick);
  } else if (flow.state.phase != FlowPhase::kAsked &&
             ticks_since(flow.state.tick, now_tick) >= timeout_ticks(rules.ruleset.timeouts, flow.state)) {
    flows_.end(index, flow, rules);
    block_.count(Event::k_flows_aged);
  } else if (!is_closing(flow.state.phase) && is_to_be_reset(flow, rules, header_)) {
    resetter_.begin(index, flow, rules, now_tsc, now_tick);
  } else if (flow.state.phase == FlowPhase::kAsked) {
    asks_.go_on(index, flow, rules, now_tsc, now_tick);
  }
}

}  // namespace teal
