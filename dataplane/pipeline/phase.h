// SPDX-License-Identifier: Apache-2.0
//
// The life of a flow as a table. A flow keeps no sequence numbers, so a FIN that anybody can forge only
// shortens the timeout, and later data restores the flow. After both FINs, data takes back the FIN of its own
// sender alone. A RST of the client says nothing about an assured flow: the backend is asked (ask.h). After
// any other RST, the client's data waits for the backend's answer, as a new flow's does.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/packet/parse.h"
#include "dataplane/shm/flow_table.h"

namespace teal {

// Between two probes to an end of a flow (reset.h, ask.h): 600 ms, and one tick more as both ends of the time
// are rounded down. Linux answers the probes of a socket once in 500 ms (net.ipv4.tcp_invalid_ratelimit).
inline constexpr uint32_t kProbeTicks = 61;
inline constexpr uint8_t kMaxProbes = 3;

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
                           kClo = FlowPhase::kClosed, kRes = FlowPhase::kReset, kRng = FlowPhase::kResetting,
                           kAsk = FlowPhase::kAsked;
// clang-format off
inline constexpr std::array<std::array<FlowPhase, 2 * kEventsOfOneSide>,
                            kFlowPhases> kNext = {{
  //                  client: ack   data  syn   fin   rst    backend: ack   data  syn   fin   rst
  /* embryonic   */         {{kEmb, kEmb, kEmb, kEmb, kRes,           kEst, kEst, kEst, kBFi, kRes}},
  /* established */         {{kEst, kEst, kEst, kCFi, kAsk,           kEst, kEst, kEst, kBFi, kRes}},
  /* client fin  */         {{kCFi, kEst, kCFi, kCFi, kAsk,           kCFi, kCFi, kCFi, kClo, kRes}},
  /* backend fin */         {{kBFi, kBFi, kBFi, kClo, kRes,           kBFi, kEst, kBFi, kBFi, kRes}},
  /* closed      */         {{kClo, kBFi, kClo, kClo, kRes,           kClo, kCFi, kClo, kClo, kRes}},
  /* reset       */         {{kRes, kEmb, kRes, kRes, kRes,           kRes, kEst, kRes, kRes, kRes}},
  /* resetting   */         {{kRng, kRng, kRng, kRng, kRes,           kRng, kRng, kRng, kRng, kRes}},
  /* asked       */         {{kAsk, kAsk, kAsk, kCFi, kAsk,           kAsk, kAsk, kEst, kBFi, kRes}},
}};
// clang-format on
}  // namespace phase_table

// The table does not have the SYN of a client on a closed or reset flow, which begins a new flow
// (client_packet.cc). It is that of an assured flow: settle_asked() has the exceptions.
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
  constexpr uint8_t kBoth = kFlowUnanswered | kFlowUnassured;
  return state.phase == FlowPhase::kEmbryonic && (state.flags & kBoth) == kBoth;
}

// Whether the ends have shaken hands, and the backend has sent nothing since. It may still be in
// SYN-RECEIVED: the client's last ACK of the handshake may be lost, or wait for data (TCP_DEFER_ACCEPT).
constexpr bool has_only_shaken_hands(const FlowState& state) {
  return (state.flags & (kFlowUnanswered | kFlowUnassured)) == kFlowUnanswered;
}

// Whether the flow's first outcome is still to come (BackendSignals). Midstream flows have none.
constexpr bool awaits_outcome(const FlowState& state) {
  return is_unanswered(state) && state.counted == 0 && (state.flags & kFlowMidstream) == 0;
}

// Finishes next_state() for a flow that becomes, stays or no longer is kAsked. Such a flow's tick is the time
// of the latest probe. Nobody is asked about a flow that is not assured: an end may not have the connection
// yet.
inline void settle_asked(const FlowState& before, FlowState& after, bool rst_of_client) {
  if (after.phase != FlowPhase::kAsked) {
    if (after.phase == FlowPhase::kBackendFin && (before.flags & kFlowBackendReset) != 0)
      after.phase = FlowPhase::kClosed;
    after.flags &= static_cast<uint8_t>(~(kFlowClientReset | kFlowBackendReset));
    after.probes = 0;
  } else if (before.phase == FlowPhase::kAsked) {
    after.tick = before.tick;
    if (rst_of_client) after.flags |= kFlowClientReset;
  } else if (before.flags & kFlowUnassured) {
    after.phase = FlowPhase::kReset;
  } else {
    after.flags |= kFlowClientReset;
    if (before.phase == FlowPhase::kClientFin) after.flags |= kFlowBackendReset;
    after.probes = 0;
  }
}

// The state of a flow after a packet from one of its ends.
inline FlowState next_state(const FlowState& before, bool from_backend, const PacketShape& packet,
                            uint32_t now_tick) {
  FlowState after = before;
  const bool udp = packet.protocol == kProtocolUdp;
  const FlowEvent event = tcp_event(packet);
  // Only the backend's packets keep a UDP flow alive: a one-way sender cannot hold a backend for ever. Nor do
  // a client's SYNs hold a flow that is reset.
  const bool keeps =
      udp ? from_backend : from_backend || before.phase != FlowPhase::kReset || event != FlowEvent::kSyn;
  if (keeps) after.tick = now_tick;
  if (!udp) {
    after.phase = next_phase(before.phase, from_backend, event);
  } else if (from_backend) {
    after.phase = FlowPhase::kEstablished;
  }
  if (from_backend && (udp || event != FlowEvent::kSyn))
    after.flags &= static_cast<uint8_t>(~kFlowUnanswered);
  if (after.phase == FlowPhase::kAsked || before.phase == FlowPhase::kAsked) [[unlikely]]
    settle_asked(before, after, !from_backend && event == FlowEvent::kRst);
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
    case FlowPhase::kAsked:
      return kProbeTicks;
    case FlowPhase::kClosed:
    case FlowPhase::kReset:
    case FlowPhase::kResetting:
      break;
  }
  return timeouts.tcp_closed;
}

}  // namespace teal
