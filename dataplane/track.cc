// SPDX-License-Identifier: Apache-2.0
#include "dataplane/track.h"

#include <cstring>

#include <rte_mbuf.h>

#include "dataplane/choose.h"
#include "dataplane/phase.h"

namespace teal {
namespace {

bool begins_tcp(const PacketShape& packet) {
  return (packet.tcp_flags & (kTcpSyn | kTcpAck | kTcpRst | kTcpFin)) == kTcpSyn;
}

// The hop back to where a frame came from.
uint64_t arrival_hop(const rte_mbuf* mbuf, std::span<const PortTraits> ports) {
  return Hop::word_of(ports[mbuf->port].id, load_mac(rte_pktmbuf_mtod_offset(mbuf, const uint8_t*, 6)));
}

// The packet's way out: the hop that it leaves by, if there is one.
Verdict leave_by(Burst& burst, uint32_t i, uint64_t hop_word) {
  burst.hops[i] = hop_word;
  return hop_word == Hop::kNone ? Verdict::drop(DropReason::k_no_next_hop) : Verdict::undecided();
}

ServiceColourCounters& counters_of(WorkerBlock& block, uint16_t service, Colour colour) {
  return block.services[service][static_cast<int>(colour)];
}

void count_packet(WorkerBlock& block, uint16_t service, Colour colour, Direction direction, uint32_t bytes) {
  ServiceColourCounters& counters = counters_of(block, service, colour);
  counters.packets[static_cast<int>(direction)].add(1);
  counters.bytes[static_cast<int>(direction)].add(bytes);
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

void Tracker::track(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, uint32_t now_tick) {
  removed_in_burst_ = false;
  for (uint32_t i = 0; i < burst.count; ++i) {
    if (!burst.verdicts[i].is_undecided()) continue;
    // An earlier packet of this burst may have begun or replaced this flow.
    burst.flows[i] = removed_in_burst_
                         ? table_.find(burst.places[i], burst.keys[i], rules)
                         : table_.find_by(burst.flows[i], burst.places[i], burst.keys[i], rules);
    const uint64_t hop_back = arrival_hop(burst.mbufs[i], ports);
    if (follow_quietly(burst, i, rules, hop_back, now_tick)) [[likely]]
      continue;
    burst.verdicts[i] = judge(burst, i, rules, hop_back, now_tick);
  }
}

// Nearly every packet: it is of an established flow, and all that it changes is since when the flow is quiet.
// Then what judge() would come to, in short; else false, and nothing has happened.
[[gnu::always_inline]] inline bool Tracker::follow_quietly(Burst& burst, uint32_t i, const Rules& rules,
                                                           uint64_t hop_back, uint32_t now_tick) {
  constexpr uint8_t kEventful = kFlowUnproven | kFlowClientReset | kFlowBackendReset;
  const FlowIndex flow = burst.flows[i];
  const Role role = burst.roles[i];
  if (flow == kNoFlow || (role != Role::kToVip && role != Role::kFromBackend)) return false;
  const PacketShape& packet = burst.shapes[i];
  FlowState state = table_.state(flow);
  if (state.phase != FlowPhase::kEstablished || (state.flags & kEventful) != 0 ||
      (packet.tcp_flags & (kTcpSyn | kTcpFin | kTcpRst)) != 0)
    return false;
  const uint16_t backend = table_.backend(flow);
  const uint16_t service = burst.keys[i].service;
  const bool to_vip = role == Role::kToVip;
  uint64_t hop_word;
  if (to_vip) {
    if (last_hops_.word_of(state.last_hop) != hop_back) return false;  // the client comes another way now
    if (rules.ruleset.services[service].flags & kUdpCut) return false;
    burst.backends[i] = backend;
    hop_word = header_.next_hops[backend].load(std::memory_order_relaxed);
  } else {
    if (backend != burst.backends[i]) return false;
    hop_word = last_hops_.word_of(state.last_hop);
  }
  if (hop_word == Hop::kNone) return false;
  const bool keeps_alive = !to_vip || packet.protocol == kProtocolTcp;  // see advance()
  if (keeps_alive && state.tick != now_tick) {
    state.tick = now_tick;
    table_.set_state(flow, state);
  }
  count_packet(block_, service, state.colour(), to_vip ? Direction::kToBackend : Direction::kToClient,
               rte_pktmbuf_pkt_len(burst.mbufs[i]));
  burst.hops[i] = hop_word;
  return true;
}

[[gnu::noinline]] Verdict Tracker::judge(Burst& burst, uint32_t i, const Rules& rules, uint64_t hop_back,
                                         uint32_t now_tick) {
  switch (burst.roles[i]) {
    case Role::kToVip:
      return track_client_packet(burst, i, rules, hop_back, now_tick);
    case Role::kFromBackend:
      return track_reply(burst, i, rules, now_tick);
    case Role::kIcmpToVip:
    case Role::kIcmpFromBackend:
      return follow_icmp_error(burst, i, rules, now_tick);
    case Role::kOfResetFlow:  // given by track_reset_flow() only
      break;
  }
  return burst.verdicts[i];
}

Verdict Tracker::track_client_packet(Burst& burst, uint32_t i, const Rules& rules, uint64_t hop_word,
                                     uint32_t now_tick) {
  const PacketShape& packet = burst.shapes[i];
  const FlowIndex& flow = burst.flows[i];
  FlowState state;
  if (flow != kNoFlow) {
    state = table_.state(flow);
    if (begins_tcp(packet) && (is_closing(state.phase) || state.phase == FlowPhase::kResetting))
      end_flow_of(burst, i, Event::k_flows_replaced);
    else if (packet.protocol == kProtocolUdp && is_cut(flow, state, burst.keys[i].service, rules))
      end_flow_of(burst, i, Event::k_flows_cut);
  }
  if (flow == kNoFlow) {
    if (const Verdict verdict = begin_flow(burst, i, rules, hop_word, now_tick); !verdict.is_undecided())
      return verdict;
  } else {
    burst.backends[i] = table_.backend(flow);
    if (is_reset_by_teal(state)) [[unlikely]] {
      const Verdict verdict = track_reset_flow(burst, i, false, hop_word, now_tick);
      if ((packet.tcp_flags & kTcpRst) == 0) return verdict;
      state = table_.state(flow);
    }
    advance(flow, state, false, packet, last_hops_.id_of(hop_word), rules, now_tick);
  }
  const Colour colour =
      flow == kNoFlow ? rules.targets.services[burst.keys[i].service].active : table_.state(flow).colour();
  count_packet(block_, burst.keys[i].service, colour, Direction::kToBackend,
               rte_pktmbuf_pkt_len(burst.mbufs[i]));
  return leave_by(burst, i, header_.next_hops[burst.backends[i]].load(std::memory_order_relaxed));
}

// Admit, choose the colour, choose the backend, insert. Undecided: go on, with a flow or without.
Verdict Tracker::begin_flow(Burst& burst, uint32_t i, const Rules& rules, uint64_t hop_word,
                            uint32_t now_tick) {
  const PacketShape& packet = burst.shapes[i];
  const FlowKey& key = burst.keys[i];
  const ServiceRule& service = rules.ruleset.services[key.service];
  const Target& target = rules.targets.services[key.service];
  const bool udp = packet.protocol == kProtocolUdp;
  const bool adopted = !udp && !begins_tcp(packet);

  const uint64_t choice = choice_of(burst, i, rules);
  const Colour colour = new_colour(target, choice, adopted, now_tick);
  const uint16_t backend = choose_backend(rules.ruleset, service, colour, choice);
  if (backend == kNoId) return Verdict::drop(DropReason::k_no_backend);
  if (client_is_on_link(key.client, backend, rules))
    return Verdict::drop(DropReason::k_client_on_backend_link);
  burst.backends[i] = backend;

  if (packet.tcp_flags & kTcpRst)
    return Verdict::undecided();  // it ends whatever it was about: nothing to remember
  if (ledger_.embryonic() >= embryonic_quota_) {
    note_insert_failure(Event::k_embryonic_quota, hop_word, now_tick);
    return Verdict::undecided();
  }
  FlowState state{.tick = now_tick, .last_hop = last_hops_.id_of(hop_word)};
  state.flags = static_cast<uint8_t>((colour == Colour::kGreen ? kFlowGreen : 0) |
                                     (adopted ? kFlowAdopted : 0) | (udp ? kFlowUdp : 0) | kFlowUnproven);
  burst.flows[i] =
      table_.insert(burst.places[i], key, backend, static_cast<uint32_t>(rules.generation), state);
  if (burst.flows[i] == kNoFlow) {
    note_insert_failure(Event::k_table_full, hop_word, now_tick);
    return Verdict::undecided();
  }
  bring_sweep_forward(burst.flows[i], state, rules);
  ledger_.added(backend, state);
  ServiceColourCounters& counters = counters_of(block_, key.service, colour);
  counters.new_flows.add(1);
  if (adopted) {
    counters.adopted.add(1);
    block_.count(Event::k_flows_adopted);
  } else {
    block_.count(Event::k_flows_created);
    // Pairs with PublicationWriter::acknowledge(): promise 2's proof.
    if (rules.generation < header_.acknowledged.load(std::memory_order_relaxed))
      block_.count(Event::k_wrong_colour_flows);
  }
  return Verdict::undecided();
}

uint64_t Tracker::choice_of(const Burst& burst, uint32_t i, const Rules& rules) const {
  const FlowKey& key = burst.keys[i];
  const bool by_client = rules.ruleset.services[key.service].flags & kAffinityClient;
  return choice_hash(by_client ? address_hash(key.client, table_.hash_seed()) : burst.client_hashes[i],
                     key.service);
}

// A TCP flow that this table does not know is most likely one of the colour that drains; not so once a full
// table has made new flows without entries, which look the same.
Colour Tracker::new_colour(const Target& target, uint64_t choice, bool adopted, uint32_t now_tick) const {
  if (adopted && is_draining(target, now_tick) &&
      !failed_insert_within(ticks_since(target.flipped_at_tick, now_tick), now_tick))
    return target.previous;
  return choose_colour(target, choice);
}

Verdict Tracker::track_reply(Burst& burst, uint32_t i, const Rules& rules, uint32_t now_tick) {
  const PacketShape& packet = burst.shapes[i];
  const FlowIndex flow = burst.flows[i];
  if (flow == kNoFlow) return forward_reply_without_flow(burst, i, rules, now_tick);

  const uint16_t backend = table_.backend(flow);
  FlowState state = table_.state(flow);
  if (backend == burst.backends[i]) {
    if (is_reset_by_teal(state)) [[unlikely]] {
      const uint64_t hop_back = header_.next_hops[backend].load(std::memory_order_relaxed);
      const Verdict verdict = track_reset_flow(burst, i, true, hop_back, now_tick);
      if ((packet.tcp_flags & kTcpRst) == 0) return verdict;
      state = table_.state(flow);
    }
    advance(flow, state, true, packet, kNoId, rules, now_tick);
  } else if (packet.protocol == kProtocolTcp) {
    return Verdict::drop(DropReason::k_stale_backend);
  }
  count_packet(block_, burst.keys[i].service, state.colour(), Direction::kToClient,
               rte_pktmbuf_pkt_len(burst.mbufs[i]));
  return leave_by(burst, i, hop_to_client(state.last_hop, burst.keys[i].client));
}

// What an end of a flow that Teal resets (reset.h) sends. A RST passes to the other end as always; all else
// is consumed, and where it tells a number, it goes back by `hop_back` as a RST.
Verdict Tracker::track_reset_flow(Burst& burst, uint32_t i, bool from_backend, uint64_t hop_back,
                                  uint32_t now_tick) {
  const uint8_t tcp_flags = burst.shapes[i].tcp_flags;
  const bool rst = tcp_flags & kTcpRst;
  if (!rst) {
    if ((tcp_flags & kTcpAck) == 0) return Verdict::drop(DropReason::k_flow_reset);
    if (const Verdict way = leave_by(burst, i, hop_back); !way.is_undecided()) return way;
    burst.roles[i] = Role::kOfResetFlow;
    block_.count(Event::k_resets_sent);
  }
  FlowState state = table_.state(burst.flows[i]);
  constexpr uint8_t kBothReset = kFlowClientReset | kFlowBackendReset;
  state.flags |= from_backend ? kFlowBackendReset : kFlowClientReset;
  if (state.phase == FlowPhase::kResetting && (rst || (state.flags & kBothReset) == kBothReset)) {
    state.phase = FlowPhase::kReset;
    state.tick = now_tick;
    block_.count(Event::k_flows_reset);
  }
  set_state(burst.flows[i], state);
  return Verdict::undecided();
}

// Is this flow of a client that sends on UDP to be chosen anew, as it is older than a flip away from its
// colour? (The service's rule was looked at when the packet was classified.)
bool Tracker::is_cut(FlowIndex index, const FlowState& state, uint16_t service, const Rules& rules) const {
  if ((rules.ruleset.services[service].flags & kUdpCut) == 0) return false;
  const Target& target = rules.targets.services[service];
  return state.colour() != target.active && is_older(table_.birth_generation(index), target.flip_generation);
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
bool Tracker::speaks_for_stateless(const Burst& burst, uint32_t i, const Rules& rules,
                                   uint32_t now_tick) const {
  if (!may_be_stateless(burst.shapes[i].protocol, rules, now_tick)) return false;
  const uint16_t backend = burst.backends[i];
  const ServiceRule& service = rules.ruleset.services[burst.keys[i].service];
  const uint64_t choice = choice_of(burst, i, rules);
  return (choose_backend(rules.ruleset, service, Colour::kBlue, choice) == backend ||
          choose_backend(rules.ruleset, service, Colour::kGreen, choice) == backend) &&
         !client_is_on_link(burst.keys[i].client, backend, rules);
}

// The backend that the client of a stateless flow is talking to: that of its next packet. kNoId: it is
// talking to none.
uint16_t Tracker::stateless_backend(const Burst& burst, uint32_t i, const Rules& rules,
                                    uint32_t now_tick) const {
  const uint8_t protocol = burst.shapes[i].protocol;
  if (!may_be_stateless(protocol, rules, now_tick)) return kNoId;
  const FlowKey& key = burst.keys[i];
  const uint64_t choice = choice_of(burst, i, rules);
  const Colour colour =
      new_colour(rules.targets.services[key.service], choice, protocol == kProtocolTcp, now_tick);
  const uint16_t backend = choose_backend(rules.ruleset, rules.ruleset.services[key.service], colour, choice);
  return backend == kNoId || client_is_on_link(key.client, backend, rules) ? kNoId : backend;
}

Verdict Tracker::forward_reply_without_flow(Burst& burst, uint32_t i, const Rules& rules, uint32_t now_tick) {
  if (!speaks_for_stateless(burst, i, rules, now_tick)) return Verdict::punt();
  block_.count(Event::k_stateless);
  return leave_by(burst, i, hop_to_client(kNoId, burst.keys[i].client));
}

// An error that a client's side sends about a reply goes to the flow's backend, one that the backend's side
// sends about a client's packet goes to the client. It changes no state.
Verdict Tracker::follow_icmp_error(Burst& burst, uint32_t i, const Rules& rules, uint32_t now_tick) {
  const FlowIndex flow = burst.flows[i];
  uint64_t hop_word = Hop::kNone;
  if (burst.roles[i] == Role::kIcmpToVip) {
    const uint16_t backend =
        flow == kNoFlow ? stateless_backend(burst, i, rules, now_tick) : table_.backend(flow);
    if (backend == kNoId) return Verdict::drop(DropReason::k_icmp_without_flow);
    burst.backends[i] = backend;
    hop_word = header_.next_hops[backend].load(std::memory_order_relaxed);
  } else {
    const bool ours = flow == kNoFlow ? speaks_for_stateless(burst, i, rules, now_tick)
                                      : table_.backend(flow) == burst.backends[i];
    if (!ours) return Verdict::punt();  // about a connection that is not through the VIP
    hop_word = hop_to_client(flow == kNoFlow ? kNoId : table_.state(flow).last_hop, burst.keys[i].client);
  }
  const Verdict verdict = leave_by(burst, i, hop_word);
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
  if (proves(before.phase, udp, from_backend, event)) after.flags &= static_cast<uint8_t>(~kFlowUnproven);
  if (after == before) return;  // leave the line clean
  table_.set_state(index, after);
  bring_sweep_forward(index, after, rules);
  ledger_.moved(table_.backend(index), before, after);
}

// The flow may end earlier than the sweep knows. (Where Teal resets a flow, its bucket is due soon anyway.)
void Tracker::bring_sweep_forward(FlowIndex index, const FlowState& state, const Rules& rules) {
  table_.bring_forward(index, state.tick + timeout_ticks(rules.ruleset.timeouts, state));
}

void Tracker::end_flow(FlowIndex index, const FlowTable::Place& place) {
  ledger_.removed(table_.backend(index), table_.state(index));
  table_.remove(index, place);
}

void Tracker::end_flow(FlowIndex index, const Flow& flow, const Rules& rules) {
  const uint64_t hash = client_hash(flow.client, flow.client_port, table_.hash_seed());
  end_flow(index, table_.place_of(hash, rules[flow.backend]));
}

// The flow of a packet that begins another.
void Tracker::end_flow_of(Burst& burst, uint32_t i, Event why) {
  end_flow(burst.flows[i], burst.places[i]);
  removed_in_burst_ = true;
  burst.flows[i] = kNoFlow;
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
