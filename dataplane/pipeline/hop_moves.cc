// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/hop_moves.h"

#include "dataplane/config/options.h"
#include "dataplane/packet/tcp_segment.h"

namespace teal {

void HopMoves::client_sent(const Packet& packet, uint64_t hop_back, FlowState& state, uint32_t now_tick) {
  const bool udp = packet.shape.protocol == kProtocolUdp;
  if (last_hops_.word_of(state.last_hop) == hop_back) {
    if (udp) state.hop_moves = 0;
    return;
  }
  const uint16_t hop = last_hops_.id_of(hop_back, packet.key.client);
  if (hop == kNoLastHop) return;
  if (state.flags & kFlowUnassured) return move(state, hop);
  if (!may_move_to(hop_back, hop)) return;
  if (udp ? last_hops_.is_known(state.last_hop) : (packet.shape.tcp_flags & (kTcpSyn | kTcpRst)) != 0) return;

  Move& place = place_of(packet.flow);
  if (state.hop_moves != 0 && place.flow == packet.flow && place.hop == hop) {
    const uint32_t since = ticks_since(place.tick, now_tick);
    if (udp && since >= kUdpTicks) move(state, hop);
    if (udp || since < kTcpTicks) return;
  }
  place = {packet.flow, udp ? 0 : end_of_segment(packet.frame, packet.shape), now_tick, hop};
  state.hop_moves = 1;
}

void HopMoves::backend_sent(const Packet& packet, FlowState& state, uint32_t now_tick) {
  const Move& place = place_of(packet.flow);
  if (place.flow != packet.flow) {  // another flow has taken it, or another dataplane began the move
    state.hop_moves = 0;
    return;
  }
  if (packet.shape.protocol == kProtocolUdp || (packet.shape.tcp_flags & kTcpAck) == 0) return;
  const uint32_t acknowledged = acknowledgement_of(packet.frame, packet.shape).host();
  if (acknowledged == place.end)
    move(state, place.hop);
  else if (static_cast<int32_t>(acknowledged - place.end) > 0 ||
           ticks_since(place.tick, now_tick) >= kTcpTicks)
    state.hop_moves = 0;  // the client's next packet starts again
}

bool HopMoves::may_move_to(uint64_t hop_word, uint16_t hop) const {
  return last_hops_.is_known(hop) && (header_.ports[Hop::port_of(hop_word)].side & kClientSide) != 0;
}

void HopMoves::move(FlowState& state, uint16_t hop) {
  state.last_hop = hop;
  state.hop_moves = 0;
  if ((state.flags & kFlowUnassured) == 0) block_.count(Event::k_hops_moved);
}

}  // namespace teal
