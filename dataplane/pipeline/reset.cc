// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/reset.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include "dataplane/packet/tcp_segment.h"

namespace teal {
namespace {

// The address that the flow's client speaks to.
const Socket& address_of(const FlowState& state, const ServiceRule& service) {
  return state.preview != 0 ? service.preview : service.vip;
}

}  // namespace

Resetter::Resetter(WorkerFlows& flows, const LastHops& last_hops, Segment& segment, WorkerBlock& block,
                   uint32_t workers, rte_mempool* pool, Burst& probes)
    : flows_(flows),
      last_hops_(last_hops),
      header_(segment.header()),
      block_(block),
      workers_(workers),
      pool_(pool),
      probes_(probes),
      pace_(segment.header().tsc_hz),
      random_(rte_rdtsc()) {}  // a seed, not a time

void Resetter::begin(FlowIndex index, const Flow& flow, const Rules& rules, uint64_t now_tsc,
                     uint32_t now_tick) {
  if (flow.state.flags & kFlowUdp) return end(index, flow, rules, Event::k_flows_cut);
  // No connection exists yet, and the client's next SYN begins another flow.
  if (is_unanswered(flow.state)) return end(index, flow, rules, Event::k_flows_reset);
  if (pace_.take(now_tsc, rules.ruleset.reset_rate / workers_)) probe_ends(index, flow, rules, now_tick);
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

// Without a hop to the end, a source address or a free mbuf, no probe is sent: that is like a lost probe.
void Resetter::send_probe(const Socket& source, const Socket& destination, uint64_t hop_word) {
  if (hop_word == Hop::kNone || source.protocol == 0) return;
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  if (mbuf == nullptr) return;
  random_ += kMixA;
  const uint64_t numbers = mix(random_, kMixB);
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, kTcpSegmentBytes));
  const uint32_t bytes = write_tcp_segment(frame, {.source = source,
                                                   .destination = destination,
                                                   .sequence = {static_cast<uint32_t>(numbers >> 32)},
                                                   .acknowledgement = {static_cast<uint32_t>(numbers)},
                                                   .flags = kTcpAck});
  rte_pktmbuf_trim(mbuf, static_cast<uint16_t>(kTcpSegmentBytes - bytes));
  const uint32_t row = probes_.count++;
  probes_.mbufs[row] = mbuf;
  Packet& packet = probes_.packets[row];
  packet.frame = frame;
  packet.mbuf = mbuf;
  packet.hop = hop_word;
  packet.verdict = Verdict::undecided();
  block_.count(Event::k_reset_probes);
}

}  // namespace teal
