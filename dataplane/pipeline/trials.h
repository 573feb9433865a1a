// SPDX-License-Identifier: Apache-2.0
//
// Counts the outcomes that a judgement may count: TrialCounters (shm/counters.h). ClientPackets counts the
// flows that begin. Signals and Samples count the outcomes, where they count them for the backend too.
//
// FlowState::judged says that no outcome of a flow counts any more. A flow that takes the place of one that
// was chosen again begins with it. Midstream flows have no outcomes.
#pragma once

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/worker_flows.h"
#include "dataplane/shm/segment.h"

namespace teal {

class Trials {
 public:
  Trials(SegmentHeader& header, const FlowTable& table, WorkerBlock& block)
      : header_(header), table_(table), block_(block) {}

  // A flow, as its outcomes are counted.
  struct Subject {
    IpAddress client;
    uint16_t service;
    uint32_t birth_generation;
  };
  Subject subject(const Packet& packet) const {
    return {packet.key.client, packet.key.service, table_.birth_generation(packet.flow)};
  }
  static Subject subject(const Flow& flow, const Rules& rules) {
    return {flow.client, rules[flow.backend], flow.birth_generation};
  }

  void begun(const FlowKey& key, Colour colour) {
    cell(key.service, colour, client_hash(key.client, table_.secret())).begun.add(1);
  }
  // The flow fails. `after` is its state; sets `judged`.
  void failed(const Subject& flow, FlowState& after, const Rules& rules, Counter TrialCounters::*as) {
    if (counts(flow, after, rules)) count_failure(flow, after, rules, as);
  }
  // The flow's first answer has taken this time, or has waited for so long. `after` as for failed().
  void measured(const Subject& flow, FlowState& after, const Rules& rules, uint64_t waited_us) {
    if (!counts(flow, after, rules)) return;
    cell(flow.service, after.colour(), client_hash(flow.client, table_.secret())).measured.add(1);
    if (is_slow(waited_us, rules.splits.services[flow.service]))
      count_failure(flow, after, rules, &TrialCounters::slow);
  }
  static bool is_slow(uint64_t waited_us, const TrafficSplit& split) {
    constexpr uint64_t kSecondUs = 1'000'000;
    return split.slow_us == 0 ? waited_us >= kSecondUs : waited_us > split.slow_us;
  }

 private:
  static bool counts(const Subject& flow, const FlowState& state, const Rules& rules) {
    const uint32_t from = rules.splits.services[flow.service].counted_from;
    return state.judged == 0 && (from == 0 || !is_older(flow.birth_generation, from));
  }
  void count_failure(const Subject& flow, FlowState& after, const Rules& rules, Counter TrialCounters::*as) {
    after.judged = 1;
    const uint64_t client = client_hash(flow.client, table_.secret());
    const TrafficSplit& split = rules.splits.services[flow.service];
    // Only during a ramp: the judgement after a flip knows clients by their cells.
    const bool by_client =
        split.other_share != 0 && (rules.ruleset.services[flow.service].flags & kAffinityClient) != 0;
    if (by_client && !header_.failed_clients[flow.service].is_first(client, split.counted_from)) return;
    (cell(flow.service, after.colour(), client).*as).add(1);
  }
  // The cell comes from the upper bits of the hash, FailedClients' row from the lower ones.
  TrialCounters& cell(uint16_t service, Colour colour, uint64_t client_hash) {
    return block_.trials[service][static_cast<int>(colour)][scale(client_hash, kClientCells)];
  }

  SegmentHeader& header_;
  const FlowTable& table_;
  WorkerBlock& block_;
};

}  // namespace teal
