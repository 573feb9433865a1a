// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/pipeline/ask.h"
#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hop_moves.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/reset_answer.h"
#include "dataplane/pipeline/signals.h"
#include "dataplane/pipeline/stateless.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

// This is the slow path of a packet from a backend to a client. It goes to the client of its flow.
class Replies {
 public:
  Replies(SegmentHeader& header, WorkerBlock& block, WorkerFlows& flows, LastHops& last_hops,
          HopMoves& hop_moves, Stateless& stateless, ResetAnswers& reset_answers, Signals& signals,
          Asks& asks)
      : header_(header),
        block_(block),
        flows_(flows),
        last_hops_(last_hops),
        hop_moves_(hop_moves),
        stateless_(stateless),
        reset_answers_(reset_answers),
        signals_(signals),
        asks_(asks) {}

  // `packet.flow` is the packet's flow or kNoFlow. Sets the packet's hop; or decides: a packet of no flow of
  // Teal is punted, TCP of a backend that does not have the flow is dropped.
  Verdict track(Packet& packet, const Rules& rules, uint32_t now_tick);

 private:
  SegmentHeader& header_;
  WorkerBlock& block_;
  WorkerFlows& flows_;
  LastHops& last_hops_;
  HopMoves& hop_moves_;
  Stateless& stateless_;
  ResetAnswers& reset_answers_;
  Signals& signals_;
  Asks& asks_;
};

}  // namespace teal
