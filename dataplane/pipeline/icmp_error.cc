// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/icmp_error.h"

namespace teal {

Verdict IcmpErrors::track(Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowIndex flow = packet.flow;
  const FlowTable& table = flows_.table();
  uint64_t hop = Hop::kNone;
  if (packet.role == Role::kIcmpToVip) {
    const uint16_t backend =
        flow == kNoFlow ? stateless_.backend_of_client(packet, rules, now_tick) : table.backend(flow);
    if (backend == kNoId) return Verdict::drop(DropReason::k_icmp_without_flow);
    packet.backend = backend;
    hop = next_hop(header_, backend);
  } else {
    const bool ours = flow == kNoFlow ? stateless_.may_be_of_backend(packet, rules, now_tick)
                                      : table.backend(flow) == packet.backend;
    if (!ours) return Verdict::punt();  // about a connection that is not through the VIP
    hop = last_hops_.to_client(flow == kNoFlow ? kNoId : table.state(flow).last_hop, packet.key.client);
  }
  const Verdict verdict = leave_by(packet, hop);
  if (!verdict.is_undecided()) return verdict;
  block_.count(Event::k_icmp_errors);
  if (flow == kNoFlow) block_.count(Event::k_stateless);
  return verdict;
}

}  // namespace teal
