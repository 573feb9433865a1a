// SPDX-License-Identifier: Apache-2.0
//
// A worker counts the signals that its flows give about their backends, without a probe: BackendSignals,
// ServiceTimes, and for a judgement TrialCounters (shm/counters.h). The slow path and the sweep notice them:
//
//   begun             client_packet  a SYN or a first UDP packet
//   unanswered        client_packet  a repeated SYN before the backend's first packet
//                     sweep          1 s without a packet of the backend (UDP: udp_unanswered)
//   answered, refused reply          the backend's first packet
//   reset_by_backend  reply          a RST on an established flow
//
// FlowState::counted says that a flow's first outcome is counted. Midstream flows are never counted: their
// backend answered before Teal saw them.
#pragma once

#include <algorithm>
#include <optional>

#include "dataplane/pipeline/samples.h"
#include "dataplane/pipeline/trials.h"

namespace teal {

class Signals {
 public:
  // A client repeats its SYN after 1 s (RFC 6298, 2). A sooner one may be a copy, or forged: it says nothing
  // about the backend.
  static constexpr uint32_t kRepeatTicks = 50;

  Signals(SegmentHeader& header, WorkerFlows& flows, WorkerBlock& block, uint64_t tsc_hz)
      : flows_(flows),
        block_(block),
        trials_(header, flows.table(), block),
        samples_(flows, block, trials_, tsc_hz) {}

  Trials& trials() { return trials_; }
  Samples& samples() { return samples_; }

  // A packet changes its flow's state from `before` to `after`. They set `counted` and `judged`, and clear
  // `sampled`.
  void client_sent(const Packet& packet, const FlowState& before, FlowState& after, const Rules& rules) {
    if (awaits_outcome(before) && (packet.shape.tcp_flags & kTcpSyn) != 0 &&
        ticks_since(before.tick, after.tick) >= kRepeatTicks) {
      of(packet.backend, before).unanswered.add(1);
      after.counted = 1;
      trials_.failed(trials_.subject(packet), after, rules, &TrialCounters::unanswered);
    }
    if (before.sampled != 0) [[unlikely]]
      samples_.client_sent(packet, after);
  }
  void backend_sent(const Packet& packet, const FlowState& before, FlowState& after, const Rules& rules) {
    if (before.sampled != 0) [[unlikely]]
      samples_.backend_sent(packet, after, rules);
    if (before.flags & kFlowMidstream) return;
    const bool rst = packet.shape.tcp_flags & kTcpRst;
    if ((before.flags & kFlowUnanswered) != 0 && !rst) note_answer_when_idle(packet, before.colour(), rules);
    if (before.counted == 0) {
      (rst ? of(packet.backend, before).refused : of(packet.backend, before).answered).add(1);
      after.counted = 1;
      if (rst) trials_.failed(trials_.subject(packet), after, rules, &TrialCounters::refused);
    } else if (rst && before.phase == FlowPhase::kEstablished) {
      of(packet.backend, before).reset_by_backend.add(1);
      trials_.failed(trials_.subject(packet), after, rules, &TrialCounters::reset);
    }
  }

  // A SYN ends its flow and begins another.
  void replaced(const Packet& packet, const Rules& rules) {
    FlowState state = flows_.table().state(packet.flow);
    if (!awaits_outcome(state)) return;
    of(flows_.table().backend(packet.flow), state).unanswered.add(1);
    trials_.failed(trials_.subject(packet), state, rules, &TrialCounters::unanswered);
  }

  // The sweep calls it for a slot of FlowTable::young(). Counts a flow as unanswered whose outcome has not
  // come for 1 s, or until its timeout if that is shorter. Returns true if the sweep need not ask again.
  bool is_settled(FlowIndex index, const Rules& rules, uint32_t now_tick) {
    const std::optional<Flow> flow = flows_.table().read(index);
    if (!flow || !awaits_outcome(flow->state)) return true;
    const uint32_t longest = std::min(kAnswerTicks, timeout_ticks(rules.ruleset.timeouts, flow->state));
    if (ticks_since(flow->state.tick, now_tick) < longest) return false;
    BackendSignals& counts = of(flow->backend, flow->state);
    const bool udp = flow->state.flags & kFlowUdp;
    (udp ? counts.udp_unanswered : counts.unanswered).add(1);
    FlowState after = flow->state;
    after.counted = 1;
    trials_.failed(Trials::subject(*flow, rules), after, rules,
                   udp ? &TrialCounters::no_reply : &TrialCounters::unanswered);
    flows_.change(index, flow->state, after, rules);
    return true;
  }

 private:
  // A flow that began before the colour was idle says nothing.
  void note_answer_when_idle(const Packet& packet, Colour colour, const Rules& rules) {
    const TrafficSplit& split = rules.splits.services[packet.key.service];
    if (colour == split.active || split.other_share != 0) [[likely]]
      return;
    const uint32_t born = flows_.table().birth_generation(packet.flow);
    if (is_older_flow(born, split.flip_generation)) return;
    block_.services[packet.key.service][static_cast<int>(colour)].answered_when_idle.store(
        born, std::memory_order_relaxed);
  }
  BackendSignals& of(uint16_t backend, const FlowState& state) {
    return block_.signals[backend][static_cast<int>(state.colour())];
  }

  WorkerFlows& flows_;
  WorkerBlock& block_;
  Trials trials_;
  Samples samples_;
};

}  // namespace teal
