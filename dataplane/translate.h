// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "dataplane/burst.h"
#include "dataplane/port.h"

namespace teal {

// Rewrites each undecided packet for its next hop: addresses and ports, checksums, TTL, Ethernet addresses.
// After it every packet has a verdict. `ports_by_id` gives the port of a hop, nullptr where no such port
// runs.
void translate(Burst& burst, const Rules& rules, std::span<const Port* const> ports_by_id);

// The same for frames of our own: they want the Ethernet addresses of their hop only.
void address(Burst& burst, std::span<const Port* const> ports_by_id);

}  // namespace teal
