// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/ask.h"

#include <cstring>

namespace teal {
namespace {

// The acknowledgement number of the flow's probe `probe`, 1 to kMaxProbes. It differs from probe to probe, as
// one that falls into the window by chance gets no answer.
uint32_t number_of_probe(const FlowTable& table, uint64_t flow_hash, uint32_t probe) {
  return static_cast<uint32_t>(mix(flow_hash ^ kMixA, table.hash_seed() ^ (probe * kMixC)));
}

uint32_t sequence_number(const Packet& packet) {
  Be32 number;
  std::memcpy(&number.raw, packet.frame + packet.shape.l4_offset + 4, sizeof(number.raw));
  return number.host();
}

}  // namespace

Verdict Asks::syn(const Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowState before = flows_.table().state(packet.flow);
  if (before.phase == FlowPhase::kAsked) {
    // The backend has had the time of a probe to answer, so the client's next SYN need not wait for the sweep.
    const bool silent =
        before.probes > 1 || (before.probes == 1 && ticks_since(before.tick, now_tick) >= kProbeTicks);
    if (!silent) return Verdict::drop(DropReason::k_asked_syn);
    give_up(packet.flow, before, rules, now_tick);
    return Verdict::undecided();
  }
  if (before.phase == FlowPhase::kBackendFin) {
    becomes(packet.flow, FlowPhase::kBackendFin, kSynPasses, rules, now_tick);
    return Verdict::undecided();
  }
  if (before.probes == kSynPasses && ticks_since(before.tick, now_tick) < kSynPassTicks)
    return Verdict::undecided();
  becomes(packet.flow, FlowPhase::kAsked, 0, rules, now_tick);
  ask_soon(packet.flow);
  return Verdict::drop(DropReason::k_asked_syn);
}

Verdict Asks::backend_sent(Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowEvent event = tcp_event(packet.shape);
  const FlowState before = flows_.table().state(packet.flow);
  if (event == FlowEvent::kRst) {
    if (!has_number_of_probe(packet)) return Verdict::undecided();
    // It may be late: an ACK that was under way was taken for the answer. A flow that is not assured has begun
    // since.
    if ((before.flags & kFlowUnassured) == 0) becomes(packet.flow, FlowPhase::kReset, 0, rules, now_tick);
    return Verdict::drop(DropReason::k_ask_answer);
  }
  if (before.phase == FlowPhase::kAsked) {
    if (event != FlowEvent::kBareAck || before.probes == 0) return Verdict::undecided();
    const bool rst_of_client = before.flags & kFlowClientReset;
    becomes(packet.flow, FlowPhase::kEstablished, rst_of_client ? 0 : kSynPasses, rules, now_tick);
    return Verdict::drop(DropReason::k_ask_answer);
  }
  if (event != FlowEvent::kSyn || before.probes != kSynPasses || (packet.shape.tcp_flags & kTcpAck) == 0)
    return Verdict::undecided();
  const Verdict verdict = leave_by(packet, next_hop(header_, packet.backend));
  if (!verdict.is_undecided()) return verdict;
  packet.role = Role::kOfResetFlow;
  block_.count(Event::k_resets_sent);
  // The backend repeats its SYN-ACK if the RST is lost.
  becomes(packet.flow, FlowPhase::kReset, kSynPasses, rules, now_tick);
  return Verdict::undecided();
}

void Asks::send(const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  while (waiting_count_ > 0 && probes_.have_room_for(1)) {
    const FlowIndex index = waiting_[--waiting_count_];
    const auto flow = flows_.table().read(index);  // it may be another one by now
    if (flow && flow->state.phase == FlowPhase::kAsked && flow->state.probes == 0)
      ask(index, *flow, rules, now_tsc, now_tick);
  }
}

void Asks::go_on(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  if (ticks_since(flow.state.tick, now_tick) < kProbeTicks) return;
  if (flow.state.probes == kMaxProbes) return give_up(index, flow.state, rules, now_tick);
  ask(index, flow, rules, now_tsc, now_tick);
}

// Without a token the flow stays as it is, and the sweep comes again.
void Asks::ask(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc, uint32_t now_tick) {
  if (!pace_.take(now_tsc, kAsksPerSecond)) return;
  FlowState after = flow.state;
  ++after.probes;
  after.tick = now_tick;
  flows_.change(index, flow.state, after, rules);
  const FlowTable& table = flows_.table();
  const uint64_t hash = table.locate({flow.client, flow.client_port, rules[flow.backend]}).hash;
  if (probes_.send({flow.client, flow.client_port, kProtocolTcp}, rules.ruleset.backends[flow.backend].socket,
                   number_of_probe(table, hash, after.probes), next_hop(header_, flow.backend)))
    block_.count(Event::k_asks);
}

void Asks::give_up(FlowIndex flow, const FlowState& state, const Rules& rules, uint32_t now_tick) {
  const bool rst_of_client = state.flags & kFlowClientReset;
  becomes(flow, rst_of_client ? FlowPhase::kClientFin : FlowPhase::kEstablished, kSynPasses, rules, now_tick);
  block_.count(Event::k_asks_unanswered);
}

bool Asks::has_number_of_probe(const Packet& packet) const {
  const uint32_t number = sequence_number(packet);
  for (uint32_t probe = 1; probe <= kMaxProbes; ++probe)
    if (number == number_of_probe(flows_.table(), packet.location.hash, probe)) return true;
  return false;
}

void Asks::becomes(FlowIndex flow, FlowPhase phase, uint8_t probes, const Rules& rules, uint32_t now_tick) {
  const FlowState before = flows_.table().state(flow);
  FlowState after = before;
  after.phase = phase;
  after.probes = probes;
  after.tick = now_tick;
  after.flags &= static_cast<uint8_t>(~kFlowClientReset);
  flows_.change(flow, before, after, rules);
}

}  // namespace teal
