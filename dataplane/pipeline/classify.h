// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "dataplane/pipeline/look_ahead.h"

namespace teal {

// Parses each packet, names its flow and works out where that lies in the flow table: frame, shape, role,
// key, place and (for replies) backend. Or decides its verdict: what is no service's or has used up its TTL
// goes to the kernel, what is broken is dropped. `ports` is indexed by the mbuf's port field (ethdev id).
void classify(Burst& burst, const Rules& rules, std::span<const PortTraits> ports, const LookAhead& lookups);

}  // namespace teal
