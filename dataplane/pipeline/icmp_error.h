// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "dataplane/pipeline/burst.h"
#include "dataplane/pipeline/hops.h"
#include "dataplane/pipeline/stateless.h"
#include "dataplane/pipeline/worker_flows.h"

namespace teal {

// This is the slow path of an ICMP or ICMPv6 error. It goes to the flow's other end: an error from the
// client's side about a reply goes to the flow's backend, an error from the backend's side about a client's
// packet to the client. An error changes no state: anybody can forge one.
class IcmpErrors {
 public:
  IcmpErrors(SegmentHeader& header, WorkerBlock& block, const WorkerFlows& flows, const LastHops& last_hops,
             const Stateless& stateless)
      : header_(header), block_(block), flows_(flows), last_hops_(last_hops), stateless_(stateless) {}

  // `packet.flow` is the flow of the quoted packet or kNoFlow. Sets the packet's backend and hop, or decides.
  Verdict track(Packet& packet, const Rules& rules);

 private:
  uint16_t backend_of_client(const Packet& packet, const Rules& rules) const;

  SegmentHeader& header_;
  WorkerBlock& block_;
  const WorkerFlows& flows_;
  const LastHops& last_hops_;
  const Stateless& stateless_;
};

}  // namespace teal
