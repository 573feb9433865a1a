// SPDX-License-Identifier: Apache-2.0
#include "dataplane/pipeline/track.h"

#include <rte_mbuf.h>

#include "dataplane/pipeline/fast_path.h"

namespace teal {

uint32_t Tracker::track(Burst& burst, const Rules& rules, std::span<const PortTraits> ports,
                        const PortMacs& macs, const LookAhead& lookups, uint64_t now_tick) {
  slow_path_.set_time(now_tick);
  const auto tick = static_cast<uint32_t>(now_tick);  // of flows
  FlowTable& table = flows_.table();
  FastPath fast_path{table, rules.ruleset, ports, macs, header_.next_hops, last_hops_, block_, tick};
  uint32_t left = 0;
  lookups.begin();
  for (Packet& packet : burst.all()) {
    lookups.step(packet);
    if (!packet.verdict.is_undecided()) continue;
    if (fast_path.take(packet)) [[likely]]
      continue;
    // An earlier packet of this burst may have begun this flow.
    const FlowIndex found = table.find_by(packet.flow, packet.location, packet.key, rules);
    packet.flow = found;
    packet.verdict =
        slow_path_.track(packet, rules, arrival_hop(ports[packet.mbuf->port], packet.frame), tick);
    if (found != kNoFlow && packet.flow != found) lookups.forget(found);
    left += packet.verdict.is_undecided();
  }
  return left;
}

}  // namespace teal
