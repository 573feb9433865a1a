// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/slow_path.h"

namespace teal {

Verdict SlowPath::track(Packet& packet, const Rules& rules, uint64_t hop_back, uint32_t now_tick) {
  switch (packet.role) {
    case Role::kToVip:
    case Role::kToPreview:
      return client_packets_.track(packet, rules, hop_back, now_tick);
    case Role::kFromBackend:
      return replies_.track(packet, rules, now_tick);
    case Role::kIcmpToVip:
    case Role::kIcmpFromBackend:
    case Role::kIcmpToPreview:
      return icmp_errors_.track(packet, rules);
    case Role::kFromPreview:      // Replies alone gives this role
    case Role::kIcmpFromPreview:  // IcmpErrors alone gives this role
    case Role::kOfResetFlow:      // ResetAnswers alone gives this role
    case Role::kRejected:         // Rejects alone gives this role
      break;
  }
  return packet.verdict;
}

}  // namespace teal
