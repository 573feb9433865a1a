// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/tick_budget.h"
#include "dataplane/shm/segment.h"

namespace teal {

// Refuses the clients of a pool whose mode is kReject: a TCP packet becomes a RST, a UDP packet an ICMP
// error. The answer leaves by the hop that the packet came by.
class Rejects {
 public:
  // A worker sends so many answers in 10 ms: at most 10,000 a second.
  static constexpr uint32_t kPerTick = 100;

  explicit Rejects(WorkerBlock& block) : block_(block) {}

  // Gives the packet the role kRejected, for translate(), and counts it. Drops it if the tick's answers are
  // used up, or if no answer is due. None is due to a RST (RFC 9293, 3.10.7.1), to a source that is not a
  // single host (RFC 1122, 3.2.2), and to a packet whose mbuf has no room for the error.
  Verdict reject(Packet& packet, uint64_t hop_back, uint32_t now_tick);

 private:
  WorkerBlock& block_;
  TickBudget budget_{kPerTick};
};

}  // namespace teal
