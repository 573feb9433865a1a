// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "dataplane/burst.h"

namespace teal {

// Fills role, key, client hash, place and (for replies) backend of each packet, or decides its verdict: what
// is no service's or has used up its TTL goes to the kernel, what is broken is dropped. The place's tags are
// prefetched. `ports` is indexed by the mbuf's port field (ethdev id).
void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const FlowTable& table);

}  // namespace teal
