// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/reply.h"

#include <rte_mbuf.h>

namespace teal {

Verdict Replies::track(Packet& packet, const Rules& rules, uint32_t now_tick) {
  const FlowIndex flow = packet.flow;
  if (flow == kNoFlow) return stateless_.forward_reply(packet, rules);

  const FlowTable& table = flows_.table();
  const uint16_t backend = table.backend(flow);
  if (backend == packet.backend) {
    if (is_reset_by_teal(table.state(flow))) [[unlikely]] {
      const Verdict verdict =
          reset_answers_.answer(packet, true, next_hop(header_, backend), rules, now_tick);
      if ((packet.shape.tcp_flags & kTcpRst) == 0) return verdict;
    }
    const FlowState before = table.state(flow);
    if (asks_.may_get_answer(packet, before)) [[unlikely]] {
      const Verdict verdict = asks_.backend_sent(packet, rules, now_tick);
      if (!verdict.is_undecided() || packet.role == Role::kOfResetFlow) return verdict;
    }
    FlowState after = next_state(before, true, packet.shape, now_tick);
    signals_.backend_sent(packet, before, after, rules);
    if (after.hop_moves != 0) [[unlikely]]
      hop_moves_.backend_sent(packet, after, now_tick);
    flows_.change(flow, before, after, rules);
  } else if (packet.shape.protocol == kProtocolTcp) {
    return Verdict::drop(DropReason::k_stale_backend);
  }
  const FlowState state = table.state(flow);
  if (state.preview != 0) [[unlikely]]
    packet.role = Role::kFromPreview;
  block_.services[packet.key.service][static_cast<int>(state.colour())].count(
      Direction::kToClient, rte_pktmbuf_pkt_len(packet.mbuf));
  return leave_by(packet, last_hops_.to_client(state.last_hop, packet.key.client));
}

}  // namespace teal
