// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/track.h"

#include <utility>

#include <rte_mbuf.h>

#include "dataplane/pipeline/choose.h"
#include "dataplane/pipeline/fast_path.h"
#include "dataplane/pipeline/phase.h"

namespace teal {
namespace {

bool begins_tcp(const PacketShape& packet) {
  return (packet.tcp_flags & (kTcpSyn | kTcpAck | kTcpRst | kTcpFin)) == kTcpSyn;
}

// The packet's way out: the hop that it leaves by, if there is one.
Verdict leave_by(Packet& packet, uint64_t hop_word) {
  packet.hop = hop_word;
  return hop_word == Hop::kNone ? Verdict::drop(DropReason::k_no_next_hop) : Verdict::undecided();
}

// A slot was emptied: to guess it says nothing any more.
void forget_candidates(Burst& burst, FlowIndex emptied) {
  for (Packet& packet : burst.all()) {
    if (packet.verdict.is_undecided() && packet.flow == emptied) packet.flow = kNoFlow;
  }
}

ServiceColourCounters& counters_of(WorkerBlock& block, uint16_t service, Colour colour) {
  return block.services[service][static_cast<int>(colour)];
}

}  // namespace

Tracker::Tracker(Segment& segment, WorkerBlock& block, uint32_t worker, uint32_t workers)
    : header_(segment.header()),
      block_(block),
      table_(segment.flow_table()),
      ledger_(block),
      last_hops_(segment.header()),
      first_bucket_(table_.first_bucket(worker, workers)),
      end_bucket_(table_.first_bucket(worker + 1, workers)),
      embryonic_quota_((end_bucket_ - first_bucket_) * FlowTable::kSlots / 4) {}

uint32_t Tracker::track(Burst& burst, const Rules& rules, std::span<const PortTraits> ports,
                        const PortMacs& macs, const LookAhead& lookups, uint32_t now_tick) {
  FastPath express{table_, rules.ruleset, ports, macs, header_.next_hops, last_hops_, block_, now_tick};
  uint32_t left = 0;
  lookups.begin();
  for (Packet& packet : burst.all()) {
    lookups.step(packet);
    if (!packet.verdict.is_undecided()) continue;
    if (express.take(packet)) [[likely]]
      continue;
    // An earlier packet of this burst may have begun this flow.
    packet.flow = table_.find_by(packet.flow, packet.location, packet.key, rules);
    packet.verdict = judge(packet, rules, arrival_hop(ports[packet.mbuf->port], packet.frame), now_tick);
    if (emptied_ != kNoFlow) forget_candidates(burst, std::exchange(emptied_, kNoFlow));
    left += packet.verdict.is_undecided();
  }
  return left;
}

[[gnu::noinline]] Verdict Tracker::judge(Packet& packet, const Rules& rules, uint64_t hop_back,
                                         uint32_t now_tick) {
  switch (packet.role) {
    case Role::kToVip:
      return track_client_packet(packet, rules, hop_back, now_tick);
    case Role::kFromBackend:
      return track_reply(packet, rules, now_tick);
    case Role::kIcmpToVip:
    case Role::kIcmpFromBackend:
      return track_icmp_error(packet, rules, now_tick);
    case Role::kOfResetFlow:  // given by track_reset_flow() only
      break;
  }
  return packet.verdict;
}

Verdict Tracker::track_client_packet(Packet& packet, const Rules& rules, uint64_t hop_word,
                                     uint32_t now_tick) {
  const FlowIndex& flow = packet.flow;
  FlowState state;
  if (flow != kNoFlow) {
    state = table_.state(flow);
    if (begins_tcp(packet.shape) && (is_closing(state.phase) || state.phase == FlowPhase::kResetting))
      end_flow_of(packet, Event::k_flows_replaced);
    else if (packet.shape.protocol == kProtocolUdp && is_cut(flow, state, packet.key.service, rules))
      end_flow_of(packet, Event::k_flows_cut);
  }
  if (flow == kNoFlow) {
    if (const Verdict verdict = begin_flow(packet, rules, hop_word, now_tick); !verdict.is_undecided())
      return verdict;
  } else {
    packet.backend = table_.backend(flow);
    if (is_reset_by_teal(state)) [[unlikely]] {
      const Verdict verdict = track_reset_flow(packet, false, hop_word, now_tick);
      if ((packet.shape.tcp_flags & kTcpRst) == 0) return verdict;
      state = table_.state(flow);
    }
    advance(flow, state, false, packet.shape, last_hops_.id_of(hop_word), rules, now_tick);
  }
  const Colour colour =
      flow == kNoFlow ? rules.splits.services[packet.key.service].active : table_.state(flow).colour();
  counters_of(block_, packet.key.service, colour)
      .count(Direction::kToBackend, rte_pktmbuf_pkt_len(packet.mbuf));
  return leave_by(packet, header_.next_hops[packet.backend].load(std::memory_order_relaxed));
}

// Admit, choose the colour, choose the backend, insert. Undecided: go on, with a flow or without.
Verdict Tracker::begin_flow(Packet& packet, const Rules& rules, uint64_t hop_word, uint32_t now_tick) {
  const FlowKey& key = packet.key;
  const ServiceRule& service = rules.ruleset.services[key.service];
  const TrafficSplit& split = rules.splits.services[key.service];
  const bool udp = packet.shape.protocol == kProtocolUdp;
  const bool midstream = !udp && !begins_tcp(packet.shape);

  const uint64_t choice = choice_of(packet, rules);
  const Colour colour = new_colour(split, choice, midstream, now_tick);
  const uint16_t backend = choose_backend(rules.ruleset, service, colour, choice);
  if (backend == kNoId) return Verdict::drop(DropReason::k_no_backend);
  if (client_is_on_link(key.client, backend, rules))
    return Verdict::drop(DropReason::k_client_on_backend_link);
  packet.backend = backend;

  if (packet.shape.tcp_flags & kTcpRst)
    return Verdict::undecided();  // it ends whatever it was about: nothing to remember
  if (ledger_.embryonic() >= embryonic_quota_) {
    note_insert_failure(Event::k_embryonic_quota, hop_word, now_tick);
    return Verdict::undecided();
  }
  FlowState state{.tick = now_tick, .last_hop = last_hops_.id_of(hop_word)};
  state.flags =
      static_cast<uint8_t>((colour == Colour::kGreen ? kFlowGreen : 0) | (midstream ? kFlowMidstream : 0) |
                           (udp ? kFlowUdp : 0) | kFlowUnassured);
  packet.flow = table_.insert(packet.location, key, backend, static_cast<uint32_t>(rules.generation), state);
  if (packet.flow == kNoFlow) {
    note_insert_failure(Event::k_table_full, hop_word, now_tick);
    return Verdict::undecided();
  }
  bring_sweep_forward(packet.flow, state, rules);
  ledger_.added(backend, state);
  ServiceColourCounters& counters = counters_of(block_, key.service, colour);
  counters.new_flows.add(1);
  if (midstream) {
    counters.midstream.add(1);
    block_.count(Event::k_flows_midstream);
  } else {
    block_.count(Event::k_flows_created);
    // Pairs with PublicationWriter::acknowledge(): promise 2's proof.
    if (rules.generation < header_.acknowledged.load(std::memory_order_relaxed))
      block_.count(Event::k_wrong_colour_flows);
  }
  return Verdict::undecided();
}

uint64_t Tracker::choice_of(const Packet& packet, const Rules& rules) const {
  const FlowKey& key = packet.key;
  const bool by_client = rules.ruleset.services[key.service].flags & kAffinityClient;
  return choice_hash(by_client ? address_hash(key.client, table_.secret()) : packet.location.hash,
                     key.service);
}

// A TCP flow that this table does not know is most likely one of the colour that drains; not so once a full
// table has made new flows without entries, which look the same.
Colour Tracker::new_colour(const TrafficSplit& split, uint64_t choice, bool midstream,
                           uint32_t now_tick) const {
  if (midstream && is_draining(split, now_tick) &&
      !failed_insert_within(ticks_since(split.flipped_at_tick, now_tick), now_tick))
    return split.previous;
  return choose_colour(split, choice);
}

Verdict Tracker::track_reply(Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowIndex flow = packet.flow;
  if (flow == kNoFlow) return forward_reply_without_flow(packet, rules, now_tick);

  const uint16_t backend = table_.backend(flow);
  FlowState state = table_.state(flow);
  if (backend == packet.backend) {
    if (is_reset_by_teal(state)) [[unlikely]] {
      const uint64_t hop_back = header_.next_hops[backend].load(std::memory_order_relaxed);
      const Verdict verdict = track_reset_flow(packet, true, hop_back, now_tick);
      if ((packet.shape.tcp_flags & kTcpRst) == 0) return verdict;
      state = table_.state(flow);
    }
    advance(flow, state, true, packet.shape, kNoId, rules, now_tick);
  } else if (packet.shape.protocol == kProtocolTcp) {
    return Verdict::drop(DropReason::k_stale_backend);
  }
  counters_of(block_, packet.key.service, state.colour())
      .count(Direction::kToClient, rte_pktmbuf_pkt_len(packet.mbuf));
  return leave_by(packet, hop_to_client(state.last_hop, packet.key.client));
}

// What an end of a flow that Teal resets (reset.h) sends. A RST passes to the other end as always; all else
// is consumed, and where it tells a number, it goes back by `hop_back` as a RST.
Verdict Tracker::track_reset_flow(Packet& packet, bool from_backend, uint64_t hop_back, uint32_t now_tick) {
  const uint8_t tcp_flags = packet.shape.tcp_flags;
  const bool rst = tcp_flags & kTcpRst;
  if (!rst) {
    if ((tcp_flags & kTcpAck) == 0) return Verdict::drop(DropReason::k_flow_reset);
    if (const Verdict way = leave_by(packet, hop_back); !way.is_undecided()) return way;
    packet.role = Role::kOfResetFlow;
    block_.count(Event::k_resets_sent);
  }
  FlowState state = table_.state(packet.flow);
  constexpr uint8_t kBothReset = kFlowClientReset | kFlowBackendReset;
  state.flags |= from_backend ? kFlowBackendReset : kFlowClientReset;
  if (state.phase == FlowPhase::kResetting && (rst || (state.flags & kBothReset) == kBothReset)) {
    state.phase = FlowPhase::kReset;
    state.tick = now_tick;
    block_.count(Event::k_flows_reset);
  }
  set_state(packet.flow, state);
  return Verdict::undecided();
}

// Is this flow of a client that sends on UDP to be chosen anew, as it is older than a flip away from its
// colour? (The service's rule was looked at when the packet was classified.)
bool Tracker::is_cut(FlowIndex index, const FlowState& state, uint16_t service, const Rules& rules) const {
  if ((rules.ruleset.services[service].flags & kUdpCut) == 0) return false;
  const TrafficSplit& split = rules.splits.services[service];
  return state.colour() != split.active && is_older(table_.birth_generation(index), split.flip_generation);
}

// May there be flows of this worker that have no entry, as it lately could not make one?
bool Tracker::may_be_stateless(uint8_t protocol, const Rules& rules, uint32_t now_tick) const {
  const Timeouts& timeouts = rules.ruleset.timeouts;
  return failed_insert_within(protocol == kProtocolUdp ? timeouts.udp_established : timeouts.tcp_established,
                              now_tick);
}

// Without a flow, what a backend's side sends is most likely about somebody's own traffic with the backend,
// and the kernel's. It is taken for a stateless flow's only where this worker would have sent the client's
// packet to this very backend, as one colour or the other. And never towards the backend's own link: this
// host is on it, and its own health checks stay its own.
bool Tracker::speaks_for_stateless(const Packet& packet, const Rules& rules, uint32_t now_tick) const {
  if (!may_be_stateless(packet.shape.protocol, rules, now_tick)) return false;
  const uint16_t backend = packet.backend;
  const ServiceRule& service = rules.ruleset.services[packet.key.service];
  const uint64_t choice = choice_of(packet, rules);
  return (choose_backend(rules.ruleset, service, Colour::kBlue, choice) == backend ||
          choose_backend(rules.ruleset, service, Colour::kGreen, choice) == backend) &&
         !client_is_on_link(packet.key.client, backend, rules);
}

// The backend that the client of a stateless flow is talking to: that of its next packet. kNoId: it is
// talking to none.
uint16_t Tracker::stateless_backend(const Packet& packet, const Rules& rules, uint32_t now_tick) const {
  const uint8_t protocol = packet.shape.protocol;
  if (!may_be_stateless(protocol, rules, now_tick)) return kNoId;
  const FlowKey& key = packet.key;
  const uint64_t choice = choice_of(packet, rules);
  const Colour colour =
      new_colour(rules.splits.services[key.service], choice, protocol == kProtocolTcp, now_tick);
  const uint16_t backend = choose_backend(rules.ruleset, rules.ruleset.services[key.service], colour, choice);
  return backend == kNoId || client_is_on_link(key.client, backend, rules) ? kNoId : backend;
}

Verdict Tracker::forward_reply_without_flow(Packet& packet, const Rules& rules, uint32_t now_tick) {
  if (!speaks_for_stateless(packet, rules, now_tick)) return Verdict::punt();
  block_.count(Event::k_stateless);
  return leave_by(packet, hop_to_client(kNoId, packet.key.client));
}

// An error that a client's side sends about a reply goes to the flow's backend, one that the backend's side
// sends about a client's packet goes to the client. It changes no state.
Verdict Tracker::track_icmp_error(Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowIndex flow = packet.flow;
  uint64_t hop_word = Hop::kNone;
  if (packet.role == Role::kIcmpToVip) {
    const uint16_t backend =
        flow == kNoFlow ? stateless_backend(packet, rules, now_tick) : table_.backend(flow);
    if (backend == kNoId) return Verdict::drop(DropReason::k_icmp_without_flow);
    packet.backend = backend;
    hop_word = header_.next_hops[backend].load(std::memory_order_relaxed);
  } else {
    const bool ours = flow == kNoFlow ? speaks_for_stateless(packet, rules, now_tick)
                                      : table_.backend(flow) == packet.backend;
    if (!ours) return Verdict::punt();  // about a connection that is not through the VIP
    hop_word = hop_to_client(flow == kNoFlow ? kNoId : table_.state(flow).last_hop, packet.key.client);
  }
  const Verdict verdict = leave_by(packet, hop_word);
  if (!verdict.is_undecided()) return verdict;
  block_.count(Event::k_icmp_errors);
  if (flow == kNoFlow) block_.count(Event::k_stateless);
  return verdict;
}

// `last_hop` kNoId: keep the one that the flow has.
void Tracker::advance(FlowIndex index, const FlowState& before, bool from_backend, const PacketShape& packet,
                      uint16_t last_hop, const Rules& rules, uint32_t now_tick) {
  FlowState after = before;
  if (last_hop != kNoId) after.last_hop = last_hop;
  const bool udp = packet.protocol == kProtocolUdp;
  const FlowEvent event = tcp_event(packet);
  // Only the backend's packets keep a UDP flow alive: a one-way sender cannot hold a backend for ever.
  if (!udp || from_backend) after.tick = now_tick;
  if (!udp) {
    after.phase = next_phase(before.phase, from_backend, event);
  } else if (from_backend) {
    after.phase = FlowPhase::kEstablished;
  }
  if (assures(before.phase, udp, from_backend, event)) after.flags &= static_cast<uint8_t>(~kFlowUnassured);
  if (after == before) return;  // leave the line clean
  table_.set_state(index, after);
  bring_sweep_forward(index, after, rules);
  ledger_.moved(table_.backend(index), before, after);
}

// The flow may end earlier than the sweep knows. (Where Teal resets a flow, its bucket is due soon anyway.)
void Tracker::bring_sweep_forward(FlowIndex index, const FlowState& state, const Rules& rules) {
  table_.bring_forward(index, state.tick + timeout_ticks(rules.ruleset.timeouts, state));
}

void Tracker::end_flow(FlowIndex index, const FlowTable::Location& location) {
  ledger_.removed(table_.backend(index), table_.state(index));
  table_.remove(index, location);
}

void Tracker::end_flow(FlowIndex index, const Flow& flow, const Rules& rules) {
  end_flow(index, table_.locate({flow.client, flow.client_port, rules[flow.backend]}));
}

// The flow of a packet that begins another.
void Tracker::end_flow_of(Packet& packet, Event why) {
  end_flow(packet.flow, packet.location);
  emptied_ = std::exchange(packet.flow, kNoFlow);
  block_.count(why);
}

void Tracker::set_state(FlowIndex index, const FlowState& state) {
  const FlowState before = table_.state(index);
  table_.set_state(index, state);
  ledger_.moved(table_.backend(index), before, state);
}

uint64_t Tracker::hop_to_client(uint16_t last_hop, const IpAddress& client) const {
  if (const uint64_t word = last_hops_.word_of(last_hop); word != Hop::kNone) return word;
  const uint64_t word = header_.client_default_hops[client.is_v4() ? 0 : 1].load(std::memory_order_relaxed);
  return word != Hop::kNone ? word : hop_of_latest_failure_;
}

void Tracker::note_insert_failure(Event why, uint64_t hop_word, uint32_t now_tick) {
  block_.count(why);
  block_.count(Event::k_stateless);
  block_.status.last_insert_failure_tick.store(now_tick, std::memory_order_relaxed);
  hop_of_latest_failure_ = hop_word;
}

bool Tracker::failed_insert_within(uint32_t ticks, uint32_t now_tick) const {
  const uint32_t failed_at = block_.status.last_insert_failure_tick.load(std::memory_order_relaxed);
  return failed_at != 0 && ticks_since(failed_at, now_tick) <= ticks;
}

bool Tracker::client_is_on_link(const IpAddress& client, uint16_t backend, const Rules& rules) const {
  const uint8_t bits = header_.on_link_prefix_bits[backend].load(std::memory_order_relaxed);
  return bits != 0 && same_prefix(client, rules.ruleset.backends[backend].socket.address, bits);
}

}  // namespace teal
