// SPDX-License-Identifier: Apache-2.0
//
// A flow as its entry in the flow table holds it (flow_table.h).
#pragma once

#include <bit>
#include <cstdint>

#include "dataplane/packet/flow_key.h"
#include "dataplane/shm/last_hop.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

enum class FlowPhase : uint8_t {
  kEmbryonic,  // the backend has not answered yet
  kEstablished,
  kClientFin,   // half closed
  kBackendFin,  // half closed
  kClosed,      // both FINs
  kReset,
  kResetting,  // live, but Teal resets it (pipeline/reset.h)
  kAsked,      // live: Teal asks the backend whether the connection is over (pipeline/ask.h)
};
inline constexpr uint32_t kFlowPhases = 8;  // 3 bits of a flow's state
constexpr bool is_closing(FlowPhase phase) {
  return phase == FlowPhase::kClosed || phase == FlowPhase::kReset;
}

enum FlowFlags : uint8_t {
  kFlowGreen = 1,      // the flow's colour; unset: blue
  kFlowDisplaced = 2,  // the flow is in its second bucket
  kFlowMidstream = 4,  // the flow began with a TCP packet other than a SYN
  kFlowUdp = 8,
  kFlowUnassured = 16,    // not assured: not both ends have shown that they talk
  kFlowClientReset = 32,  // Teal resets the flow: the client was sent a RST, or sent one. kAsked: it sent one
  kFlowBackendReset = 64,  // Teal resets the flow: the same for the backend. kAsked: the client sent its FIN
  kFlowUnanswered = 128,   // the backend has sent no packet yet, or only its SYN-ACK
};

constexpr uint8_t flag_of(Colour colour) {
  static_assert(static_cast<uint8_t>(Colour::kGreen) == kFlowGreen);
  return static_cast<uint8_t>(colour);
}

// FlowState::probes of a flow whose SYNs pass to its backend for a while (pipeline/ask.h).
inline constexpr uint8_t kSynPasses = 3;

// This is the mutable word of an entry. It is loaded and stored whole.
struct FlowState {
  uint32_t tick = 0;           // idle since: the timeout counts from this tick
  uint16_t last_hop : 14 = 0;  // index into FlowsHeader::last_hops, or kNoLastHop
  uint16_t hop_moves : 1 = 0;  // a packet of the client came by another hop (pipeline/hop_moves.h)
  uint16_t preview : 1 = 0;    // the client speaks to the service's preview address
  FlowPhase phase : 3 = FlowPhase::kEmbryonic;
  uint8_t judged : 1 = 0;  // no outcome of the flow counts in TrialCounters any more: it failed, or never did
  uint8_t sampled : 1 = 0;  // a worker measures the flow's times (pipeline/samples.h)
  uint8_t counted : 1 = 0;  // the flow's first outcome is counted, or is not to be counted (BackendSignals)
  uint8_t probes : 2 = 0;   // kResetting, kAsked: the probes sent to its ends; else 0 or kSynPasses
  uint8_t flags = 0;        // FlowFlags

  Colour colour() const { return flags & kFlowGreen ? Colour::kGreen : Colour::kBlue; }
  friend bool operator==(const FlowState&, const FlowState&) = default;
};
static_assert(sizeof(FlowState) == 8);

// Returns true if Teal resets the flow or has reset it. Then only a RST passes from one end to the other
// (pipeline/reset.h).
constexpr bool is_reset_by_teal(const FlowState& state) {
  return state.phase == FlowPhase::kResetting ||
         (state.phase == FlowPhase::kReset && (state.flags & (kFlowClientReset | kFlowBackendReset)) != 0);
}

// Returns true if the flow is established and assured, to the VIP, its backend has sent more than a SYN-ACK,
// its last hop is sure, and Teal neither resets nor samples it. A packet without SYN, FIN and RST then only
// refreshes `tick`.
inline bool is_steady(const FlowState& state) {
  constexpr uint8_t kUnsteady = kFlowUnassured | kFlowUnanswered | kFlowClientReset | kFlowBackendReset;
  const FlowState mask{
      .hop_moves = 1, .preview = 1, .phase = static_cast<FlowPhase>(7), .sampled = 1, .flags = kUnsteady};
  const FlowState steady{.phase = FlowPhase::kEstablished};
  return (std::bit_cast<uint64_t>(state) & std::bit_cast<uint64_t>(mask)) == std::bit_cast<uint64_t>(steady);
}

struct Flow {
  IpAddress client;
  Be16 client_port;
  uint16_t backend = kNoId;  // id; a backend belongs to one service
  uint32_t birth_generation = 0;
  FlowState state;
};
static_assert(sizeof(Flow) == 32);

// Compares birth generations, which are the low 32 bits of a generation and wrap.
constexpr bool is_older(uint32_t generation, uint32_t than) {
  return static_cast<int32_t>(generation - than) < 0;
}

// Whether a drain waits for this flow of its colour. The flip's generation has 32 bits, and 0 is no flip.
inline bool is_older_flow(uint32_t birth_generation, uint32_t flip_generation) {
  return flip_generation != 0 && is_older(birth_generation, flip_generation);
}

}  // namespace teal
