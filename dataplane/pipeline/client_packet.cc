// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/client_packet.h"

#include <utility>

#include <rte_mbuf.h>

namespace teal {
namespace {

bool begins_tcp(const PacketShape& packet) {
  return (packet.tcp_flags & (kTcpSyn | kTcpAck | kTcpRst | kTcpFin)) == kTcpSyn;
}

// Whether the service cuts UDP flows at a flip, and the packet's flow is older than the flip away from its
// colour. A flow of a preview is on the colour that the flip made active.
bool is_cut(const FlowTable& table, const Packet& packet, const FlowState& state, const Rules& rules) {
  const uint16_t service = packet.key.service;
  if ((rules.ruleset.services[service].flags & kUdpCut) == 0) return false;
  const TrafficSplit& split = rules.splits.services[service];
  const Colour wanted = is_preview(packet, rules.ruleset) ? other(split.active) : split.active;
  return state.colour() != wanted &&
         is_older_flow(table.birth_generation(packet.flow), split.flip_generation);
}

// Whether one of the packet and its flow is to the VIP, and the other one to the preview address. The flow
// key has no such address.
bool is_to_other_address(const Packet& packet, const FlowState& state) {
  return (packet.role == Role::kToPreview) != (state.preview != 0);
}

// Whether a SYN on this flow begins another: the flow is closing, or Teal resets it.
bool begins_again(const FlowState& state) {
  return is_closing(state.phase) || state.phase == FlowPhase::kResetting;
}

// Whether a packet to the service's other address may take its tuple from the flow. Either the flow is over.
// Or it is to the preview address and gives way to the VIP: it is not assured (anybody can forge it), or its
// address has left the config.
bool may_take_tuple(const Packet& packet, const FlowState& state, const Rules& rules) {
  const bool udp = packet.shape.protocol == kProtocolUdp;
  if (!udp && !begins_tcp(packet.shape)) return false;
  if (!udp && begins_again(state)) return true;
  return state.preview != 0 && ((state.flags & kFlowUnassured) != 0 ||
                                rules.ruleset.services[packet.key.service].preview.protocol == 0);
}

}  // namespace

Verdict ClientPackets::track(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick) {
  Again again;
  if (packet.flow != kNoFlow) {
    const FlowState state = flows_.table().state(packet.flow);
    if (is_to_other_address(packet, state)) [[unlikely]] {
      if (!may_take_tuple(packet, state, rules)) return Verdict::drop(DropReason::k_tuple_in_use);
    } else if (packet.shape.protocol == kProtocolUdp && is_udp_chosen_again(packet, state, rules)) {
      end_flow(packet, Event::k_flows_cut);
      again.is_chosen = true;
      if ((state.flags & kFlowUnassured) == 0) again.last_hop = state.last_hop;
    } else if (!begins_tcp(packet.shape)) {
      return follow_flow(packet, rules, hop_back, now_tick);
    } else if (!begins_again(state) || is_without_proof(packet, state, rules)) {
      if (!is_chosen_again(packet, state, rules)) {
        if (const Verdict verdict = ask_about(packet, state, rules, now_tick); !verdict.is_undecided())
          return verdict;
        return follow_flow(packet, rules, hop_back, now_tick);
      }
      again.is_chosen = true;
    }
  }
  return begin_flow(packet, rules, hop_back, now_tick, again);
}

// Chooses a colour and a backend for a new flow. The verdict is a drop if the flow cannot begin.
[[gnu::always_inline]] inline ClientPackets::Choice ClientPackets::choose(const Packet& packet,
                                                                          bool midstream,
                                                                          const Rules& rules) const {
  const FlowKey& key = packet.key;
  const uint64_t choice = choice_of(packet, rules, flows_.table().secret());
  const TrafficSplit& split = rules.splits.services[key.service];
  const bool preview = is_preview(packet, rules.ruleset);
  const bool before_the_flip = midstream && began_before_the_flip(split, insert_failures_);
  const Colour colour = choose_new_colour(split, choice, before_the_flip, preview);
  const auto [backend, as] = choose_backend(header_, rules.ruleset, key.service, colour, choice);
  if (backend == kNoId) return {Verdict::drop(DropReason::k_no_backend)};
  if (as == ChosenAs::kRejected) [[unlikely]]
    return {Verdict::drop(DropReason::k_reject_limit), colour, backend, Hop::kNone, as};
  if (client_is_on_link(header_, key.client, backend, rules))
    return {Verdict::drop(DropReason::k_client_on_backend_link)};
  const uint64_t hop = next_hop(header_, backend);
  if (hop == Hop::kNone) return {Verdict::drop(DropReason::k_no_next_hop)};
  return {Verdict::undecided(), colour, backend, hop, as, preview, before_the_flip};
}

// Whether the packet's flow is on a backend that is down, and `choice` names another backend or none.
bool ClientPackets::leaves_down_backend(const Packet& packet, const Choice& choice) const {
  const uint16_t backend = flows_.table().backend(packet.flow);
  if (!is_down(header_, backend)) return false;
  return choice.verdict.is_undecided() ? choice.backend != backend : choice.as == ChosenAs::kRejected;
}

// Whether the UDP flow of a packet ends here and the packet begins another one.
bool ClientPackets::is_udp_chosen_again(const Packet& packet, const FlowState& state,
                                        const Rules& rules) const {
  const FlowTable& table = flows_.table();
  return is_cut(table, packet, state, rules) || (is_down(header_, table.backend(packet.flow)) &&
                                                 leaves_down_backend(packet, choose(packet, false, rules)));
}

// Whether the flow of a SYN gets a new choice: its backend has never answered, and a new flow would not go
// there. The flow stays where the new choice cannot be reached.
bool ClientPackets::is_chosen_again(const Packet& packet, const FlowState& state, const Rules& rules) const {
  if (!is_unanswered(state)) return false;
  const Choice choice = choose(packet, false, rules);
  if (leaves_down_backend(packet, choice)) return true;
  const BackendRule& backend = rules.ruleset.backends[flows_.table().backend(packet.flow)];
  return choice.verdict.is_undecided() &&
         (choice.colour != state.colour() || !takes_new_flows(backend, state.colour()));
}

// Whether a new flow of the packet's tuple would not go to its flow's backend. A choice that cannot be
// reached is another one, too: the backend of before would take a SYN.
bool ClientPackets::would_go_elsewhere(const Packet& packet, const FlowState& state,
                                       const Rules& rules) const {
  const Choice choice = choose(packet, false, rules);
  return !choice.verdict.is_undecided() || choice.colour != state.colour() ||
         choice.backend != flows_.table().backend(packet.flow);
}

// Whether the flow is kReset by the answer of a backend that may be in SYN-RECEIVED (ask.h), and a SYN would
// move it.
bool ClientPackets::is_without_proof(const Packet& packet, const FlowState& state, const Rules& rules) const {
  return state.phase == FlowPhase::kReset && has_only_shaken_hands(state) && !is_reset_by_teal(state) &&
         would_go_elsewhere(packet, state, rules);
}

// A SYN meets an assured flow: may it pass to the flow's backend?
Verdict ClientPackets::ask_about(const Packet& packet, const FlowState& state, const Rules& rules,
                                 uint32_t now_tick) {
  if (state.flags & kFlowUnassured) return Verdict::undecided();
  return asks_.syn(packet, would_go_elsewhere(packet, state, rules), rules, now_tick);
}

Verdict ClientPackets::follow_flow(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick) {
  const FlowTable& table = flows_.table();
  packet.backend = table.backend(packet.flow);
  if (is_reset_by_teal(table.state(packet.flow))) [[unlikely]] {
    const Verdict verdict = reset_answers_.answer(packet, false, hop_back, rules, now_tick);
    if ((packet.shape.tcp_flags & kTcpRst) == 0) return verdict;
  }
  const FlowState before = table.state(packet.flow);
  FlowState after = next_state(before, false, packet.shape, now_tick);
  signals_.client_sent(packet, before, after, rules);
  hop_moves_.client_sent(packet, hop_back, after, now_tick);
  flows_.change(packet.flow, before, after, rules);
  asks_.client_sent(packet.flow, before, after, now_tick);
  return leave_to_backend(packet, before.colour(), next_hop(header_, packet.backend));
}

// Chooses a colour and a backend, and inserts the flow in place of the packet's, if it has one. If no entry
// can be made, the packet goes to the chosen backend all the same.
Verdict ClientPackets::begin_flow(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick,
                                  const Again& again) {
  const FlowKey& key = packet.key;
  const bool udp = packet.shape.protocol == kProtocolUdp;
  const bool midstream = !udp && !begins_tcp(packet.shape);
  if (is_martian(key.client) || rules.ruleset.is_service_address(key.client)) [[unlikely]]
    return Verdict::drop(DropReason::k_martian);
  const Choice choice = choose(packet, midstream, rules);
  if (!choice.verdict.is_undecided()) {
    if (choice.as != ChosenAs::kRejected) return choice.verdict;
    packet.backend = choice.backend;  // translate() looks at its rule
    return reject(packet, rules, hop_back, now_tick);
  }
  const bool takes_slot_over = packet.flow != kNoFlow || again.is_chosen;
  const bool takes_quota_over =
      packet.flow != kNoFlow && (flows_.table().state(packet.flow).flags & kFlowUnassured) != 0;
  if (packet.flow != kNoFlow) replace_flow(packet, rules);
  packet.backend = choice.backend;

  // A RST ends the connection that it is about: there is nothing to remember.
  if (packet.shape.tcp_flags & kTcpRst) return leave_without_entry(packet, rules, choice.hop);
  if (!(takes_quota_over || flows_.has_quota(key.service)) ||
      !(takes_slot_over || flows_.has_slots(key.service))) [[unlikely]] {
    note_insert_failure(why_no_room(key.service), key.client, hop_back);
    return leave_without_entry(packet, rules, choice.hop);
  }
  FlowState state{
      .tick = now_tick,
      .last_hop = again.last_hop != kNoLastHop ? again.last_hop : last_hops_.id_of(hop_back, key.client),
      .preview = packet.role == Role::kToPreview,
      .judged = again.is_chosen || choice.preview};
  state.flags = static_cast<uint8_t>(flag_of(choice.colour) | (midstream ? kFlowMidstream : 0) |
                                     (udp ? kFlowUdp : 0) | kFlowUnassured | kFlowUnanswered);
  const uint32_t birth_generation = choice.before_the_flip
                                        ? rules.splits.services[key.service].flip_generation - 1
                                        : static_cast<uint32_t>(rules.generation);
  packet.flow = flows_.begin(packet.location, key, choice.backend, birth_generation, state, rules);
  if (packet.flow == kNoFlow) {
    note_insert_failure(Event::k_table_full, key.client, hop_back);
    return leave_without_entry(packet, rules, choice.hop);
  }
  if (choice.as != ChosenAs::kFirst) [[unlikely]]
    block_.count(choice.as == ChosenAs::kSecond ? Event::k_second_choice : Event::k_all_held_back);
  ServiceColourCounters& counters = block_.services[key.service][static_cast<int>(choice.colour)];
  if (midstream) {
    counters.midstream.add(1);
    block_.count(Event::k_flows_midstream);
  } else {
    block_.count(Event::k_flows_created);
    block_.signals[choice.backend][static_cast<int>(choice.colour)].begun.add(1);
    if (choice.preview) [[unlikely]]
      counters.previewed.add(1);
    else if (again.is_chosen) [[unlikely]]
      counters.chosen_again.add(1);
    else
      signals_.trials().begun(key, choice.colour);
    signals_.samples().flow_began(packet, rules, now_tick);
    // Pairs with PublicationWriter::acknowledge(). This counter proves promise 2.
    if (rules.generation < header_.acknowledged.load(std::memory_order_relaxed))
      block_.count(Event::k_wrong_colour_flows);
  }
  return leave_to_backend(packet, choice.colour, choice.hop);
}

Verdict ClientPackets::leave_to_backend(Packet& packet, Colour counted_as, uint64_t hop) {
  block_.services[packet.key.service][static_cast<int>(counted_as)].count(Direction::kToBackend,
                                                                          rte_pktmbuf_pkt_len(packet.mbuf));
  return leave_by(packet, hop);
}

// A packet without an entry counts as the active colour's. Nothing would say that the replies leave from the
// preview address.
Verdict ClientPackets::leave_without_entry(Packet& packet, const Rules& rules, uint64_t hop) {
  if (packet.role == Role::kToPreview) return Verdict::drop(DropReason::k_no_preview);
  return leave_to_backend(packet, rules.splits.services[packet.key.service].active, hop);
}

// Refuses the client. A half-open flow ends with that; a closing one serves its late packets.
Verdict ClientPackets::reject(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick) {
  if (packet.flow != kNoFlow && is_unanswered(flows_.table().state(packet.flow))) replace_flow(packet, rules);
  return rejects_.reject(packet, hop_back, now_tick);
}

Event ClientPackets::why_no_room(uint16_t service) const {
  if (!flows_.has_quota(service)) return Event::k_embryonic_quota;
  return flows_.is_full() ? Event::k_table_full : Event::k_service_share;
}

void ClientPackets::note_insert_failure(Event why, const IpAddress& client, uint64_t hop_back) {
  insert_failures_.note(why);
  last_hops_.note_stateless_client(hop_back, client);
}

// A SYN ends the flow.
void ClientPackets::replace_flow(Packet& packet, const Rules& rules) {
  signals_.replaced(packet, rules);
  end_flow(packet, Event::k_flows_replaced);
}

void ClientPackets::end_flow(Packet& packet, Event why) {
  flows_.end(std::exchange(packet.flow, kNoFlow), packet.location);
  block_.count(why);
}

}  // namespace teal
