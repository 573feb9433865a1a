// SPDX-License-Identifier: Apache-2.0
//
// The life of a flow as a table. A flow keeps no sequence numbers: RST and FIN only shorten the timeout, and
// later data restores the flow. So a forged RST or FIN costs a live flow nothing but a shorter timeout. After
// both FINs, data takes back the FIN of its own sender alone. After a RST, the client's data waits for the
// backend's answer, as a new flow's does; kFlowUnanswered says whether the backend had ever answered.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/packet/parse.h"
#include "dataplane/shm/flow_table.h"

namespace teal {

enum class FlowEvent : uint8_t {  // the client's; the backend's follow in the same order
  kBareAck,                       // a segment without data, SYN, FIN or RST
  kData,
  kSyn,
  kFin,
  kRst,
  kCountOfOneSide
};
inline constexpr uint32_t kEventsOfOneSide = static_cast<uint32_t>(FlowEvent::kCountOfOneSide);

inline FlowEvent tcp_event(const PacketShape& packet) {
  if (packet.tcp_flags & kTcpRst) return FlowEvent::kRst;
  if (packet.tcp_flags & kTcpFin) return FlowEvent::kFin;
  if (packet.tcp_flags & kTcpSyn) return FlowEvent::kSyn;
  return packet.payload_bytes > 0 ? FlowEvent::kData : FlowEvent::kBareAck;
}

namespace phase_table {
inline constexpr FlowPhase kEmb = FlowPhase::kEmbryonic, kEst = FlowPhase::kEstablished,
                           kCFi = FlowPhase::kClientFin, kBFi = FlowPhase::kBackendFin,
                           kClo = FlowPhase::kClosed, kRes = FlowPhase::kReset, kRng = FlowPhase::kResetting;
// clang-format off
inline constexpr std::array<std::array<FlowPhase, 2 * kEventsOfOneSide>,
                            static_cast<size_t>(FlowPhase::kCount)> kNext = {{
  //                  client: ack   data  syn   fin   rst    backend: ack   data  syn   fin   rst
  /* embryonic   */         {{kEmb, kEmb, kEmb, kEmb, kRes,           kEst, kEst, kEst, kBFi, kRes}},
  /* established */         {{kEst, kEst, kEst, kCFi, kRes,           kEst, kEst, kEst, kBFi, kRes}},
  /* client fin  */         {{kCFi, kEst, kCFi, kCFi, kRes,           kCFi, kCFi, kCFi, kClo, kRes}},
  /* backend fin */         {{kBFi, kBFi, kBFi, kClo, kRes,           kBFi, kEst, kBFi, kBFi, kRes}},
  /* closed      */         {{kClo, kBFi, kClo, kClo, kRes,           kClo, kCFi, kClo, kClo, kRes}},
  /* reset       */         {{kRes, kEmb, kRes, kRes, kRes,           kRes, kEst, kRes, kRes, kRes}},
  /* resetting   */         {{kRng, kRng, kRng, kRng, kRes,           kRng, kRng, kRng, kRng, kRes}},
}};
// clang-format on
}  // namespace phase_table

// A SYN of a client on a closed or reset flow is not asked here: it begins a new flow (client_packet.cc).
constexpr FlowPhase next_phase(FlowPhase phase, bool from_backend, FlowEvent event) {
  return phase_table::kNext[static_cast<size_t>(phase)]
                           [static_cast<size_t>(event) + (from_backend ? kEventsOfOneSide : 0)];
}

// Whether this event assures a flow that was in `phase` before it. A TCP flow is assured by the client's
// answer to the backend's answer. A client with a forged address does not get the backend's answer; it would
// have to guess when there is one (Teal keeps no sequence numbers, so a blind ACK after that moment does
// pass). A UDP flow is assured by the backend's answer, as many exchanges are one question and one answer.
// Phase kReset shows no answer: a flow reaches it without one, too.
constexpr bool assures(FlowPhase phase, bool udp, bool from_backend, FlowEvent event) {
  if (udp) return from_backend;
  return !from_backend && phase != FlowPhase::kEmbryonic && phase != FlowPhase::kReset &&
         event != FlowEvent::kSyn && event != FlowEvent::kRst;
}

// Whether no packet of the backend has ever come. After a RST, data makes a flow embryonic whose backend may
// have answered.
constexpr bool is_unanswered(const FlowState& state) {
  return state.phase == FlowPhase::kEmbryonic && (state.flags & kFlowUnanswered) != 0;
}

// Whether the flow's first outcome is still to come (BackendSignals). Midstream flows have none.
constexpr bool awaits_outcome(const FlowState& state) {
  return is_unanswered(state) && state.counted == 0 && (state.flags & kFlowMidstream) == 0;
}

// The state of a flow after a packet from one of its ends.
inline FlowState next_state(const FlowState& before, bool from_backend, const PacketShape& packet,
                            uint32_t now_tick) {
  FlowState after = before;
  const bool udp = packet.protocol == kProtocolUdp;
  const FlowEvent event = tcp_event(packet);
  // Only the backend's packets keep a UDP flow alive: a one-way sender cannot hold a backend for ever.
  if (!udp || from_backend) after.tick = now_tick;
  if (!udp) {
    after.phase = next_phase(before.phase, from_backend, event);
  } else if (from_backend) {
    after.phase = FlowPhase::kEstablished;
  }
  if (from_backend) after.flags &= static_cast<uint8_t>(~kFlowUnanswered);
  if (assures(before.phase, udp, from_backend, event)) after.flags &= static_cast<uint8_t>(~kFlowUnassured);
  return after;
}

inline uint32_t timeout_ticks(const Timeouts& timeouts, const FlowState& state) {
  if ((state.flags & kFlowUnassured) && !is_closing(state.phase)) return timeouts.embryonic;
  switch (state.phase) {
    case FlowPhase::kEmbryonic:
      return timeouts.embryonic;
    case FlowPhase::kEstablished:
      return state.flags & kFlowUdp ? timeouts.udp_established : timeouts.tcp_established;
    case FlowPhase::kClientFin:
    case FlowPhase::kBackendFin:
      return timeouts.tcp_half_closed;
    case FlowPhase::kClosed:
    case FlowPhase::kReset:
    case FlowPhase::kResetting:
    case FlowPhase::kCount:
      break;
  }
  return timeouts.tcp_closed;
}

}  // namespace teal
