// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/reject.h"

#include <rte_mbuf.h>

#include "dataplane/packet/port_unreachable.h"
#include "dataplane/pipeline/hops.h"

namespace teal {
namespace {

bool is_to_be_answered(const Packet& packet) {
  if (packet.shape.protocol == kProtocolTcp) return (packet.shape.tcp_flags & kTcpRst) == 0;
  return rte_pktmbuf_tailroom(packet.mbuf) >= kPortUnreachableGrowth;
}

}  // namespace

Verdict Rejects::reject(Packet& packet, uint64_t hop_back, uint32_t now_tick) {
  if (!is_to_be_answered(packet) || !budget_.take(now_tick)) return Verdict::drop(DropReason::k_reject_limit);
  packet.role = Role::kRejected;
  block_.count(Event::k_rejected);
  return leave_by(packet, hop_back);
}

}  // namespace teal
