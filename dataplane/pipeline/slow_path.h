// SPDX-License-Identifier: Apache-2.0
//
// Slow path: every packet of a service that the fast path does not take. Each role of a packet has a room:
//
//   to a VIP         client_packet  may begin a flow, or change the flow's state
//   from a backend   reply          may change the flow's state
//   ICMP error       icmp_error     changes no state
//
// Four rooms serve the others: reset_answer if Teal resets the packet's flow, ask if the flow may be over,
// hop_moves if its client came by another hop, stateless if it has no entry.
#pragma once

#include "dataplane/pipeline/client_packet.h"
#include "dataplane/pipeline/hop_moves.h"
#include "dataplane/pipeline/icmp_error.h"
#include "dataplane/pipeline/insert_failures.h"
#include "dataplane/pipeline/reply.h"
#include "dataplane/pipeline/reset_answer.h"
#include "dataplane/pipeline/stateless.h"

namespace teal {

class SlowPath {
 public:
  SlowPath(SegmentHeader& header, WorkerBlock& block, WorkerFlows& flows, LastHops& last_hops,
           Signals& signals, Asks& asks)
      : insert_failures_(block, flows.header()),
        hop_moves_(header, last_hops, block),
        stateless_(header, block, flows, last_hops, insert_failures_),
        reset_answers_(block, flows),
        client_packets_(header, block, flows, last_hops, hop_moves_, insert_failures_, reset_answers_,
                        signals, asks),
        replies_(header, block, flows, last_hops, hop_moves_, stateless_, reset_answers_, signals, asks),
        icmp_errors_(header, block, flows, last_hops, stateless_) {}
  SlowPath(const SlowPath&) = delete;  // the rooms refer to each other
  SlowPath& operator=(const SlowPath&) = delete;

  // At the start of a burst.
  void set_time(uint64_t tick) { insert_failures_.set_time(tick); }

  // Decides about an undecided packet, or leaves it to translate(): then the packet has a backend and a hop.
  // `packet.flow` is the packet's flow or kNoFlow, `hop_back` the hop that the packet came by.
  [[gnu::noinline]] Verdict track(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick);

 private:
  InsertFailures insert_failures_;
  HopMoves hop_moves_;
  Stateless stateless_;
  ResetAnswers reset_answers_;
  ClientPackets client_packets_;
  Replies replies_;
  IcmpErrors icmp_errors_;
};

}  // namespace teal
