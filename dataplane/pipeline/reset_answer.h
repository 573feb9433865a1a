// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

// Slow path of a packet of a flow that Teal resets (reset.h). A RST passes to the other end, as always. Any
// other packet is consumed: if it has an acknowledgement number, it becomes the RST to its own sender.
class ResetAnswers {
 public:
  ResetAnswers(WorkerBlock& block, WorkerFlows& flows) : block_(block), flows_(flows) {}

  // `packet.flow` is_reset_by_teal(), and `hop_back` leads to the packet's sender. Marks the sender's end as
  // reset. The packet's role becomes kOfResetFlow unless it is a RST or its verdict is a drop.
  Verdict answer(Packet& packet, bool from_backend, uint64_t hop_back, const Rules& rules, uint32_t now_tick);

 private:
  WorkerBlock& block_;
  WorkerFlows& flows_;
};

}  // namespace teal
