// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/health/health_policy.h"
#include "dataplane/shm/segment.h"

namespace teal {

// Writes the words of health that differ into the segment. Tells the workers if a backend went down or a pool
// has another mode: their sweep then looks at all flows once. Returns true if it told them.
bool store_health(SegmentHeader& header, const HealthWords& words);

}  // namespace teal
