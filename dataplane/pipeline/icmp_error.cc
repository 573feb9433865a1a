// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/icmp_error.h"

namespace teal {

// The backend of the flow that the quoted packet belongs to; kNoId: none is known. A flow to the
// preview address always has an entry.
uint16_t IcmpErrors::backend_of_client(const Packet& packet, const Rules& rules) const {
  const bool preview = packet.role == Role::kIcmpToPreview;
  if (packet.flow == kNoFlow) return preview ? kNoId : stateless_.backend_of_client(packet, rules);
  const bool is_its_address = (flows_.table().state(packet.flow).preview != 0) == preview;
  return is_its_address ? flows_.table().backend(packet.flow) : kNoId;
}

Verdict IcmpErrors::track(Packet& packet, const Rules& rules) {
  const FlowIndex flow = packet.flow;
  const FlowTable& table = flows_.table();
  uint64_t hop = Hop::kNone;
  if (packet.role != Role::kIcmpFromBackend) {
    const uint16_t backend = backend_of_client(packet, rules);
    if (backend == kNoId) return Verdict::drop(DropReason::k_icmp_without_flow);
    packet.backend = backend;
    hop = next_hop(header_, backend);
  } else {
    const bool ours =
        flow == kNoFlow ? stateless_.may_be_of_backend(packet, rules) : table.backend(flow) == packet.backend;
    if (!ours)
      return Verdict::punt(PuntClass::kFromBackend);  // about a connection that is not through the VIP
    const FlowState state = flow == kNoFlow ? FlowState{.last_hop = kNoLastHop} : table.state(flow);
    hop = last_hops_.to_client(state.last_hop, packet.key.client);
    if (state.preview != 0) packet.role = Role::kIcmpFromPreview;
  }
  const Verdict verdict = leave_by(packet, hop);
  if (!verdict.is_undecided()) return verdict;
  block_.count(Event::k_icmp_errors);
  if (flow == kNoFlow) block_.count(Event::k_stateless);
  return verdict;
}

}  // namespace teal
