// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "dataplane/shm/segment.h"

namespace teal {

struct Resumed {
  uint64_t flows = 0;    // in the table
  uint64_t removed = 0;  // of a backend that the ruleset does not know
};

// What a starting dataplane does with the table that it finds, before any worker runs: every flow's counts go
// to the worker that owns it now, `displaced` is counted anew, and last hops that no flow names are freed
// once most of their table is taken.
Resumed resume_flows(Segment& segment, uint32_t workers);

}  // namespace teal
