// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/ask.h"

#include "dataplane/packet/tcp_segment.h"

namespace teal {
namespace {

// The acknowledgement number of the flow's probe `probe`, 1 to kMaxProbes. A number that happens to be inside
// of the window gets no answer, so each probe has another.
uint32_t number_of_probe(const FlowTable& table, uint64_t flow_hash, uint32_t probe) {
  return static_cast<uint32_t>(mix(flow_hash ^ kMixA, table.hash_seed() ^ (probe * kMixC)));
}

uint32_t sequence_number(const Packet& packet) {
  return sequence_of(packet.frame, packet.shape).host();
}

}  // namespace

Verdict Asks::syn(const Packet& packet, bool elsewhere, const Rules& rules, uint32_t now_tick) {
  const FlowState before = flows_.table().state(packet.flow);
  if (!elsewhere) {
    // The backend may take it for a new connection.
    if (before.phase != FlowPhase::kAsked && before.probes == kSynPasses)
      becomes(packet.flow, before.phase, 0, rules, now_tick);
    return Verdict::undecided();
  }
  if (before.phase == FlowPhase::kAsked) {
    // The backend has had the time of a probe to answer, so the client's next SYN need not wait for the
    // sweep.
    const bool silent =
        before.probes > 1 || (before.probes == 1 && ticks_since(before.tick, now_tick) >= kProbeTicks);
    if (!silent) return Verdict::drop(DropReason::k_asked_syn);
    give_up(packet.flow, before, flows_.table().backend(packet.flow), rules, now_tick);
    return flows_.table().state(packet.flow).phase == FlowPhase::kReset
               ? Verdict::drop(DropReason::k_asked_syn)  // the next one begins a flow
               : Verdict::undecided();
  }
  if (has_only_shaken_hands(before) && !is_down(header_, flows_.table().backend(packet.flow)))
    return Verdict::undecided();
  if (before.phase == FlowPhase::kBackendFin) {
    becomes(packet.flow, FlowPhase::kBackendFin, kSynPasses, rules, now_tick);
    return Verdict::undecided();
  }
  if (before.probes == kSynPasses && ticks_since(before.tick, now_tick) < kSynPassTicks)
    return Verdict::undecided();
  FlowState after = before;
  after.phase = FlowPhase::kAsked;
  after.probes = 0;
  after.tick = now_tick;
  if (before.phase == FlowPhase::kClientFin) after.flags |= kFlowBackendReset;
  flows_.change(packet.flow, before, after, rules);
  ask_soon(packet.flow);
  return Verdict::drop(DropReason::k_asked_syn);
}

Verdict Asks::backend_sent(Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowEvent event = tcp_event(packet.shape);
  const FlowState before = flows_.table().state(packet.flow);
  if (event == FlowEvent::kRst) {
    if (!has_number_of_probe(packet) && !refuses_syn(packet, before)) return Verdict::undecided();
    // It may be late: an ACK that was under way was taken for the answer. A flow that is not assured has
    // begun since.
    if ((before.flags & kFlowUnassured) == 0) becomes(packet.flow, FlowPhase::kReset, 0, rules, now_tick);
    return Verdict::drop(DropReason::k_ask_answer);
  }
  if (before.phase == FlowPhase::kAsked) {
    if (event != FlowEvent::kBareAck || before.probes == 0) return Verdict::undecided();
    const bool rst_of_client = before.flags & kFlowClientReset;
    becomes(packet.flow, phase_before(before), rst_of_client ? 0 : kSynPasses, rules, now_tick,
            kFlowUnanswered);  // SYN-RECEIVED would answer by a RST
    answered_[packet.flow % answered_.size()] = {packet.flow, now_tick};
    return Verdict::drop(DropReason::k_ask_answer);
  }
  if (event != FlowEvent::kSyn || before.probes != kSynPasses || has_only_shaken_hands(before) ||
      (packet.shape.tcp_flags & kTcpAck) == 0)
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
  if (flow.state.probes == kMaxProbes) return give_up(index, flow.state, flow.backend, rules, now_tick);
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

// A backend that is down, too, has lost the connection or will: its client may go elsewhere.
void Asks::give_up(FlowIndex flow, const FlowState& state, uint16_t backend, const Rules& rules,
                   uint32_t now_tick) {
  const bool rst_of_client = state.flags & kFlowClientReset;
  const uint8_t probes = has_only_shaken_hands(state) ? 0 : kSynPasses;
  if (is_down(header_, backend))
    becomes(flow, FlowPhase::kReset, 0, rules, now_tick, kFlowUnanswered);
  else
    becomes(flow, rst_of_client ? FlowPhase::kClientFin : phase_before(state), probes, rules, now_tick);
  block_.count(Event::k_asks_unanswered);
}

FlowPhase Asks::phase_before(const FlowState& asked) const {
  return asked.flags & kFlowBackendReset ? FlowPhase::kClientFin : FlowPhase::kEstablished;
}

// A closed port answers a SYN by a RST with the number 0 (RFC 9293, 3.10.7.1).
bool Asks::refuses_syn(const Packet& packet, const FlowState& before) {
  return before.probes == kSynPasses && before.phase != FlowPhase::kAsked &&
         (packet.shape.tcp_flags & kTcpAck) != 0 && sequence_number(packet) == 0;
}

bool Asks::has_number_of_probe(const Packet& packet) const {
  const uint32_t number = sequence_number(packet);
  for (uint32_t probe = 1; probe <= kMaxProbes; ++probe)
    if (number == number_of_probe(flows_.table(), packet.location.hash, probe)) return true;
  return false;
}

void Asks::becomes(FlowIndex flow, FlowPhase phase, uint8_t probes, const Rules& rules, uint32_t now_tick,
                   uint8_t cleared_flags) {
  const FlowState before = flows_.table().state(flow);
  FlowState after = before;
  after.phase = phase;
  after.probes = probes;
  after.tick = now_tick;
  after.flags &= static_cast<uint8_t>(~(kFlowClientReset | kFlowBackendReset | cleared_flags));
  flows_.change(flow, before, after, rules);
  if (phase == FlowPhase::kReset) answered_[flow % answered_.size()] = {};  // the slot's next flow is another
}

}  // namespace teal
