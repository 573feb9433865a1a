// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/pipeline/phase.h"

namespace teal::test {

// What becomes of a packet.
enum class Fate : uint8_t {
  kToBackend,
  kToClient,
  kPunted,
  kStale,     // of another backend than the flow's
  kAnswered,  // goes back to its sender as a RST
  kDropped,
  kInUse,
  kNoPreview,
  kHeld,    // a SYN, while the backend is asked
  kRefusal  // a RST of the backend that is not for the client
};

// A flow of the plainest model, and how a packet of one of its ends changes it.
struct ModelFlow {
  uint16_t backend;
  FlowPhase phase;
  bool unassured;
  uint32_t birth_generation;
  bool to_preview = false;                           // to the preview address
  bool answered = false;                             // a packet of the backend has come, not only a SYN-ACK
  bool client_reset = false, backend_reset = false;  // by Teal
  bool rst_of_client = false;                        // kAsked: why
  bool client_fin = false;                           // kAsked: it was kClientFin
  bool syn_passes = false;                           // to the backend, which was asked lately
  uint32_t alive_at = 0;                             // the tick of the backend's answer

  bool is_reset() const { return phase == FlowPhase::kResetting || client_reset || backend_reset; }
  bool is_unanswered() const { return phase == FlowPhase::kEmbryonic && !answered && unassured; }
  bool has_only_shaken_hands() const { return !answered && !unassured; }
  bool is_over() const { return is_closing(phase) || phase == FlowPhase::kResetting; }
};

inline FlowEvent event_of(uint8_t flags, bool data) {
  if (flags & kTcpRst) return FlowEvent::kRst;
  if (flags & kTcpFin) return FlowEvent::kFin;
  if (flags & kTcpSyn) return FlowEvent::kSyn;
  return data ? FlowEvent::kData : FlowEvent::kBareAck;
}

inline void move(ModelFlow& flow, bool tcp, bool from_backend, FlowEvent event) {
  if (from_backend && (!tcp || event != FlowEvent::kSyn)) flow.answered = true;
  const bool assured = !flow.unassured;
  if (assures(flow.phase, !tcp, from_backend, event)) flow.unassured = false;
  if (tcp) {
    const FlowPhase next = next_phase(flow.phase, from_backend, event);
    if (next == FlowPhase::kAsked) {
      flow.rst_of_client |= event == FlowEvent::kRst;
      flow.client_fin = flow.phase == FlowPhase::kClientFin;
      flow.syn_passes = false;
    }
    flow.phase = next == FlowPhase::kAsked && !assured ? FlowPhase::kReset : next;
  } else if (from_backend)
    flow.phase = FlowPhase::kEstablished;
}

}  // namespace teal::test
