// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/pipeline/ask.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/choose.h"
#include "dataplane/pipeline/hop_moves.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/insert_failures.h"
#include "dataplane/pipeline/reject.h"
#include "dataplane/pipeline/reset_answer.h"
#include "dataplane/pipeline/signals.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

// This is the slow path of a packet from a client to a VIP. It goes to the backend of its flow, and begins
// the flow if there is none.
class ClientPackets {
 public:
  ClientPackets(SegmentHeader& header, WorkerBlock& block, WorkerFlows& flows, LastHops& last_hops,
                HopMoves& hop_moves, InsertFailures& insert_failures, ResetAnswers& reset_answers,
                Signals& signals, Asks& asks)
      : header_(header),
        block_(block),
        flows_(flows),
        last_hops_(last_hops),
        hop_moves_(hop_moves),
        insert_failures_(insert_failures),
        reset_answers_(reset_answers),
        signals_(signals),
        asks_(asks),
        rejects_(block) {}

  // `packet.flow` is the packet's flow or kNoFlow, `hop_back` the hop that the packet came by. Sets the
  // packet's flow, backend and hop; or its verdict is a drop.
  Verdict track(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick);

 private:
  // Where a new flow goes, if the verdict is undecided. If it is a drop, no flow can begin.
  struct Choice {
    Verdict verdict;
    Colour colour = Colour::kBlue;
    uint16_t backend = kNoId;
    uint64_t hop = Hop::kNone;  // the backend's next hop
    ChosenAs as = ChosenAs::kFirst;
    bool preview = false;          // the idle colour, by a preview
    bool before_the_flip = false;  // a midstream flow that most likely began before it
  };

  // A flow that is chosen again. An assured UDP flow keeps its last hop: the packet may be forged.
  struct Again {
    bool is_chosen = false;
    uint16_t last_hop = kNoLastHop;
  };

  Choice choose(const Packet& packet, bool midstream, const Rules& rules) const;
  bool is_chosen_again(const Packet& packet, const FlowState& state, const Rules& rules) const;
  bool would_go_elsewhere(const Packet& packet, const FlowState& state, const Rules& rules) const;
  bool is_without_proof(const Packet& packet, const FlowState& state, const Rules& rules) const;
  Verdict ask_about(const Packet& packet, const FlowState& state, const Rules& rules, uint32_t now_tick);
  bool leaves_down_backend(const Packet& packet, const Choice& choice) const;
  bool is_udp_chosen_again(const Packet& packet, const FlowState& state, const Rules& rules) const;
  Verdict begin_flow(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick,
                     const Again& again);
  Verdict follow_flow(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick);
  Verdict leave_to_backend(Packet& packet, Colour counted_as, uint64_t hop);
  Verdict leave_without_entry(Packet& packet, const Rules& rules, uint64_t hop);
  Verdict reject(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick);
  Event why_no_room(uint16_t service) const;
  void note_insert_failure(Event why, const IpAddress& client, uint64_t hop_back);
  void replace_flow(Packet& packet, const Rules& rules);
  void end_flow(Packet& packet, Event why);

  SegmentHeader& header_;
  WorkerBlock& block_;
  WorkerFlows& flows_;
  LastHops& last_hops_;
  HopMoves& hop_moves_;
  InsertFailures& insert_failures_;
  ResetAnswers& reset_answers_;
  Signals& signals_;
  Asks& asks_;
  Rejects rejects_;
};

}  // namespace teal
