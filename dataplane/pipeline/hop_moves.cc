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
  if (!udp && (packet.shape.tcp_flags & (kTcpSyn | kTcpRst)) != 0) return;

  const uint32_t end = udp ? 0 : end_of_segment(packet.frame, packet.shape);
  const bool has_data = packet.shape.payload_bytes != 0 || (packet.shape.tcp_flags & kTcpFin) != 0;
  const uint32_t ticks = udp ? kUdpTicks : kTcpTicks;
  Move& place = place_of(packet.flow);
  if (state.hop_moves != 0 && place.flow == packet.flow && place.hop == hop &&
      (udp || ticks_since(place.began, now_tick) < ticks)) {
    place.ends[1] = end;
    place.has_data = has_data;
    place.latest = now_tick;
    if (udp && ticks_since(place.began, now_tick) >= ticks) {
      move(state, hop);
      place.flow = kNoFlow;
    }
    return;
  }
  const bool is_late = ticks_since(place.latest, now_tick) >= ticks;
  if (place.flow != kNoFlow && place.flow != packet.flow && !is_late) return;
  place = {packet.flow, {end, end}, has_data, now_tick, now_tick, hop};
  state.hop_moves = 1;
}

void HopMoves::backend_sent(const Packet& packet, FlowState& state, uint32_t now_tick) {
  Move& place = place_of(packet.flow);
  const bool udp = packet.shape.protocol == kProtocolUdp;
  // Another flow has taken the place, or another dataplane began the move, or the client is silent.
  if (place.flow != packet.flow || (udp && ticks_since(place.latest, now_tick) >= kForgottenTicks)) {
    state.hop_moves = 0;
    return;
  }
  if (udp || (packet.shape.tcp_flags & kTcpAck) == 0) return;
  const uint32_t acknowledged = acknowledgement_of(packet.frame, packet.shape).host();
  if (place.is_proven_by(acknowledged)) {
    move(state, place.hop);
    place.flow = kNoFlow;
  } else if (ticks_since(place.began, now_tick) >= kTcpTicks) {
    state.hop_moves = 0;  // the client's next packet starts again
    place.flow = kNoFlow;
  }
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
