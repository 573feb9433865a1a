// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/reset.h"

namespace teal {
namespace {

// The address that the flow's client speaks to.
const Socket& address_of(const FlowState& state, const ServiceRule& service) {
  return state.preview != 0 ? service.preview : service.vip;
}

}  // namespace

Resetter::Resetter(WorkerFlows& flows, const LastHops& last_hops, SegmentHeader& header, WorkerBlock& block,
                   uint32_t workers, Probes& probes)
    : flows_(flows),
      last_hops_(last_hops),
      header_(header),
      block_(block),
      probes_(probes),
      pace_(header.tsc_hz, workers) {}

void Resetter::begin(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc,
                     uint32_t now_tick) {
  if (flow.state.flags & kFlowUdp) return end(index, flow, rules, Event::k_flows_cut);
  // No connection exists yet, and the client's next SYN begins another flow.
  if (is_unanswered(flow.state)) return end(index, flow, rules, Event::k_flows_reset);
  if (pace_.take(now_tsc, std::max(rules.ruleset.reset_rate, 1u))) probe_ends(index, flow, rules, now_tick);
}

void Resetter::go_on(FlowIndex index, const Flow& flow, const Rules& rules, uint32_t now_tick) {
  if (ticks_since(flow.state.tick, now_tick) < kProbeTicks) return;
  if (flow.state.probes == kMaxProbes) return end(index, flow, rules, Event::k_flows_reset);
  probe_ends(index, flow, rules, now_tick);
}

void Resetter::end(FlowIndex index, const Flow& flow, const Rules& rules, Event why) {
  flows_.end(index, flow, rules);
  block_.count(why);
}

void Resetter::probe_ends(FlowIndex index, const Flow& flow, const Rules& rules, uint32_t now_tick) {
  FlowState state = flow.state;
  if (state.phase != FlowPhase::kResetting) {  // it may be kAsked
    state.probes = 0;
    state.flags &= static_cast<uint8_t>(~(kFlowClientReset | kFlowBackendReset));
  }
  state.phase = FlowPhase::kResetting;
  state.tick = now_tick;
  ++state.probes;
  flows_.change(index, flow.state, state, rules);

  const BackendRule& backend = rules.ruleset.backends[flow.backend];
  const Socket client{flow.client, flow.client_port, kProtocolTcp};
  if ((state.flags & kFlowClientReset) == 0)
    send_probe(address_of(flow.state, rules.ruleset.services[backend.service]), client,
               last_hops_.to_client(state.last_hop, flow.client));
  if ((state.flags & kFlowBackendReset) == 0)
    send_probe(client, backend.socket, next_hop(header_, flow.backend));
}

void Resetter::send_probe(const Socket& source, const Socket& destination, uint64_t hop_word) {
  if (probes_.send(source, destination, probes_.random(), hop_word)) block_.count(Event::k_reset_probes);
}

}  // namespace teal
