// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/reset_answer.h"

namespace teal {

Verdict ResetAnswers::answer(Packet& packet, bool from_backend, uint64_t hop_back, const Rules& rules,
                             uint32_t now_tick) {
  const uint8_t tcp_flags = packet.shape.tcp_flags;
  const bool rst = tcp_flags & kTcpRst;
  if (!rst) {
    if ((tcp_flags & kTcpAck) == 0) return Verdict::drop(DropReason::k_flow_reset);
    if (const Verdict verdict = leave_by(packet, hop_back); !verdict.is_undecided()) return verdict;
    packet.role = Role::kOfResetFlow;
    block_.count(Event::k_resets_sent);
  }
  const FlowState before = flows_.table().state(packet.flow);
  FlowState after = before;
  constexpr uint8_t kBothReset = kFlowClientReset | kFlowBackendReset;
  after.flags |= from_backend ? kFlowBackendReset : kFlowClientReset;
  if (after.phase == FlowPhase::kResetting && (rst || (after.flags & kBothReset) == kBothReset)) {
    after.phase = FlowPhase::kReset;
    after.tick = now_tick;
    block_.count(Event::k_flows_reset);
  }
  flows_.change(packet.flow, before, after, rules);
  return Verdict::undecided();
}

}  // namespace teal
