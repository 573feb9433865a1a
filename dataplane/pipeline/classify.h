// SPDX-License-Identifier: Apache-2.0
//
// The stage that says what a packet is. It parses the packet and decides by one address and port whose it is:
//
//   destination is a VIP         of a client: role kToVip; of a preview address: kToPreview
//   source is a backend          a reply: role kFromBackend. On ports of the backends' side alone.
//   ICMP error about one of them roles kIcmpToVip, kIcmpToPreview, kIcmpFromBackend: the same test on the
//                                quoted packet
//   anything else                punted: it belongs to the kernel
//
// The flow key is the same in both directions: the client's address and port, and the service.
#pragma once

#include <span>

#include "dataplane/pipeline/look_ahead.h"

namespace teal {

// Writes each packet's frame, shape, role, key, location in the flow table and, for replies, backend. Or
// decides: packets of no service and packets with a TTL of 1 or less are punted, broken packets are dropped.
// Begins the lookups of the burst. `ports` is indexed by the mbuf's port field (ethdev id).
void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const LookAhead& lookups);

}  // namespace teal
