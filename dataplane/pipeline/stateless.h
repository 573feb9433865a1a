// SPDX-License-Identifier: Apache-2.0
//
// Packets of flows that have no entry. An entry cannot be made when both its buckets are full or when the
// embryonic quota is used up. The client's packets are forwarded all the same, each by the choice for a new
// flow (choose.h). The choice is a pure function of the flow key and the rules, so all packets of the flow
// reach the same backend until a flip or a reload changes the rules.
//
// The backend's packets find no entry either. Teal treats them as packets of a stateless flow only if this
// worker has lately failed to make an entry and if the choice names their backend.
#pragma once

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/insert_failures.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

class Stateless {
 public:
  Stateless(SegmentHeader& header, WorkerBlock& block, const WorkerFlows& flows, const LastHops& last_hops,
            const InsertFailures& insert_failures)
      : header_(header),
        block_(block),
        flows_(flows),
        last_hops_(last_hops),
        insert_failures_(insert_failures) {}

  // Forwards a backend's packet to the client of a stateless flow, or punts it: most likely it is about
  // somebody's own traffic with the backend.
  Verdict forward_reply(Packet& packet, const Rules& rules);

  // Whether a packet of the backend's side, about `packet.backend`, may be about a stateless flow: this
  // worker would have sent the client's packet to this very backend, under one colour or the other. Never if
  // the client is on the backend's own link: this host is on it, and its own health checks stay its own.
  bool may_be_of_backend(const Packet& packet, const Rules& rules) const;

  // The backend that gets the next packet of a stateless flow's client. kNoId: none, as nothing says that
  // there is such a flow.
  uint16_t backend_of_client(const Packet& packet, const Rules& rules) const;

 private:
  bool may_be_stateless(uint8_t protocol, const Rules& rules) const;

  SegmentHeader& header_;
  WorkerBlock& block_;
  const WorkerFlows& flows_;
  const LastHops& last_hops_;
  const InsertFailures& insert_failures_;
};

}  // namespace teal
